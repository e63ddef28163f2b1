/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* window.c - which command ids have ended or are in flight.
 *
 * One table for all partitions that are here, an entry for each (log, namespace and name, id). An
 * entry can have three things: a record (how the first one ended), a holder (the flight that has
 * the id now), and flights that wait for the holder. It goes when it has none of them.
 *
 * A flight has a ticket from its first hand-over to its release: it holds an entry, or waits at
 * one, or was woken, or has the record that answers it. Records are shared and counted, because the
 * table may forget one while an answer made of it is still on its way to the broker.
 *
 * The records of one log stand in a list in the order of the log, which is nearly that of time:
 * from its head they are dropped when they are old. When there are too many, the log whose head is
 * the oldest gives it up. Memory is the heap's: an entry and a record a command, of routes that
 * have a window only. A slab was not worth it: whoever asks for a window pays a publish for each
 * command, which is a thousand times dearer.
 *
 * Time is the wall clock's, because a record outlives processes. A record from the future counts as
 * of now.
 */
#include "window.h"

#include <string.h>

#include "assert.h"
#include "hash.h"
#include "log.h"
#include "mem.h"

#define ID_BYTES_MAX 64u
#define WARN_NS      UINT64_C(60000000000)

struct record {
    struct record *older, *newer; /* of its log */
    struct entry *entry;          /* that has it; NULL: replaced or forgotten */
    uint32_t refs;                /* the entry, and tickets that are answered */
    uint64_t ts_ms;
    size_t len; /* its bytes stand behind the struct */
};

struct entry {
    struct entry *next; /* of the bucket */
    uint64_t hash, scope;
    uint32_t slot; /* of the log */
    bool is_id_binary;
    uint8_t id_len;
    uint8_t id[ID_BYTES_MAX];
    struct record *record;
    struct ticket *holder;
    struct ticket *first, *last; /* that wait */
};

enum place {
    PLACE_NONE,
    PLACE_HOLDS,
    PLACE_WAITS,
    PLACE_WOKEN
};

struct ticket {
    struct dri_flight *flight;
    struct ticket *next, *prev; /* WAITS: of the entry; WOKEN: of the window */
    struct ticket *all_next, *all_prev;
    struct entry *entry; /* HOLDS, WAITS */
    struct record *answer;
    enum place place;
    int32_t partition;
    uint64_t ended_ms;
};

struct log {
    bool is_log, is_live; /* of a window */
    bool is_park;
    uint32_t epoch;        /* of the last assignment */
    uint32_t live_at;      /* place among the live ones */
    uint32_t window;       /* of others: slot of their log, DRI_SLOT_NONE */
    uint32_t window_epoch; /* ... when they were assigned */
    int32_t partition;
    struct record *oldest, *newest;
};

struct dri_window {
    struct dri_window_config config;
    struct log *logs; /* owned; by slot */
    uint32_t *live;   /* owned; slots of logs that are here */
    uint32_t live_count;
    struct entry **buckets; /* owned pages */
    size_t buckets_count;
    struct ticket *first_woken, *last_woken;
    struct ticket tickets; /* ring of all */
    struct dri_window_stats stats;
    uint64_t warn_ns; /* next time that an early end is told of */
};

enum dray_status dri_window_create(const struct dri_window_config *config,
                                   struct dri_window **ret_window)
{
    struct dri_window *window = dri_zalloc(sizeof(*window));
    if (window == NULL) {
        return DRAY_ENOMEM;
    }
    window->config = *config;
    window->config.limits.message_bytes = UINT32_MAX;
    window->buckets_count = 1024;
    while (window->buckets_count < config->entries_max) {
        window->buckets_count *= 2;
    }
    window->tickets.all_next = window->tickets.all_prev = &window->tickets;
    window->logs = dri_zalloc_array(config->slots_max, sizeof(*window->logs));
    window->live = dri_zalloc_array(config->slots_max, sizeof(*window->live));
    window->buckets = dri_map(window->buckets_count * sizeof(struct entry *));
    if (window->logs == NULL || window->live == NULL || window->buckets == NULL) {
        dri_window_destroy(window);
        return DRAY_ENOMEM;
    }
    for (uint32_t i = 0; i < config->slots_max; i++) {
        window->logs[i].window = DRI_SLOT_NONE;
    }
    *ret_window = window;
    return DRAY_OK;
}

static void drop_record(struct record *record)
{
    if (record != NULL && --record->refs == 0) {
        dri_free(record);
    }
}

/* --- entries --- */

uint64_t dri_window_scope(struct dray_slice ns, struct dray_slice name)
{
    uint8_t text[DRI_ROUTE_KEY_BYTES_MAX];
    if (ns.at == NULL || name.at == NULL || ns.len > DRI_NAME_BYTES_MAX ||
        name.len > DRI_NAME_BYTES_MAX) {
        return 0;
    }
    memcpy(text, ns.at, ns.len);
    text[ns.len] = '/';
    memcpy(text + ns.len + 1, name.at, name.len);
    return dri_hash64(dray_slice_of(text, ns.len + 1 + name.len));
}

struct identity {
    uint32_t slot;
    uint64_t scope, hash;
    struct dray_slice id;
    bool is_id_binary;
};

static struct identity identity_of(uint32_t slot, uint64_t scope, struct dray_slice id,
                                   bool is_binary)
{
    struct identity identity = {.slot = slot, .scope = scope, .id = id, .is_id_binary = is_binary};
    identity.hash = dri_hash64(id) ^ scope * 31u ^ (uint64_t)slot * UINT64_C(0x9e3779b97f4a7c15);
    return identity;
}

static struct entry **bucket_of(const struct dri_window *window, uint64_t hash)
{
    return &window->buckets[hash & (window->buckets_count - 1)];
}

static struct entry *find(const struct dri_window *window, const struct identity *identity)
{
    struct entry *entry = *bucket_of(window, identity->hash);
    while (entry != NULL &&
           (entry->hash != identity->hash || entry->scope != identity->scope ||
            entry->slot != identity->slot || entry->is_id_binary != identity->is_id_binary ||
            !dray_slice_equal(dray_slice_of(entry->id, entry->id_len), identity->id))) {
        entry = entry->next;
    }
    return entry;
}

static struct entry *find_or_add(struct dri_window *window, const struct identity *identity)
{
    struct entry *entry = find(window, identity);
    DRI_ASSERT(identity->id.len > 0 && identity->id.len <= ID_BYTES_MAX);
    if (entry != NULL) {
        return entry;
    }
    entry = dri_zalloc(sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    struct entry **bucket = bucket_of(window, identity->hash);
    entry->hash = identity->hash;
    entry->scope = identity->scope;
    entry->slot = identity->slot;
    entry->is_id_binary = identity->is_id_binary;
    entry->id_len = (uint8_t)identity->id.len;
    memcpy(entry->id, identity->id.at, identity->id.len);
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

/* When nothing is left of it. */
static void tidy(struct dri_window *window, struct entry *entry)
{
    if (entry->record != NULL || entry->holder != NULL || entry->first != NULL) {
        return;
    }
    struct entry **at = bucket_of(window, entry->hash);
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    dri_free(entry);
}

/* --- records --- */

static void forget(struct dri_window *window, struct record *record)
{
    struct entry *entry = record->entry;
    DRI_ASSERT(entry != NULL);
    struct log *log = &window->logs[entry->slot];
    *(record->older != NULL ? &record->older->newer : &log->oldest) = record->newer;
    *(record->newer != NULL ? &record->newer->older : &log->newest) = record->older;
    window->stats.entries--;
    window->stats.bytes -= record->len;
    entry->record = NULL;
    record->entry = NULL;
    drop_record(record);
}

static void forget_and_tidy(struct dri_window *window, struct record *record)
{
    struct entry *entry = record->entry;
    forget(window, record);
    tidy(window, entry);
}

static uint64_t age_ms(const struct record *record, struct dri_now now)
{
    return now.wall_ms > record->ts_ms ? now.wall_ms - record->ts_ms : 0;
}

static struct record *oldest_of_all(const struct dri_window *window)
{
    struct record *oldest = NULL;
    for (uint32_t i = 0; i < window->live_count; i++) {
        struct record *head = window->logs[window->live[i]].oldest;
        if (head != NULL && (oldest == NULL || head->ts_ms < oldest->ts_ms)) {
            oldest = head;
        }
    }
    return oldest;
}

/* Room for one more. */
static void make_room(struct dri_window *window, struct dri_now now, struct log *log, size_t len)
{
    const struct dri_window_config *config = &window->config;
    while (log->oldest != NULL && age_ms(log->oldest, now) > config->longest_ms) {
        forget_and_tidy(window, log->oldest);
    }
    while (window->stats.entries > 0 && (window->stats.entries >= config->entries_max ||
                                         window->stats.bytes + len > config->bytes_max)) {
        struct record *oldest = oldest_of_all(window);
        if (age_ms(oldest, now) <= config->longest_ms) {
            window->stats.evicted++;
        }
        if (age_ms(oldest, now) <= config->longest_ms && now.mono_ns >= window->warn_ns) {
            window->warn_ns = now.mono_ns + WARN_NS;
            DRI_LOG(DRI_LOG_WARN, "ENG-WINDOW",
                    "the window is full: ends are forgotten before their time, and their "
                    "duplicates would run; raise worker.window_entries or worker.window_bytes",
                    DRI_UINT("entries", window->stats.entries),
                    DRI_UINT("bytes", window->stats.bytes),
                    DRI_UINT("age_ms", age_ms(oldest, now)));
        }
        forget_and_tidy(window, oldest);
    }
}

/* The entry has a holder, waiters or nothing: it stays while this goes on. False: no memory. */
static bool put_record(struct dri_window *window, struct dri_now now,
                       const struct identity *identity, uint64_t ts_ms, struct dray_slice bytes)
{
    struct log *log = &window->logs[identity->slot];
    make_room(window, now, log, bytes.len);
    struct record *record = dri_zalloc(sizeof(*record) + bytes.len);
    struct entry *entry = record != NULL ? find_or_add(window, identity) : NULL;
    if (entry == NULL) {
        dri_free(record);
        return false;
    }
    if (entry->record != NULL) {
        forget(window, entry->record); /* a later one stands for it */
    }
    memcpy(record + 1, bytes.at, bytes.len);
    record->len = bytes.len;
    record->ts_ms = ts_ms < now.wall_ms ? ts_ms : now.wall_ms;
    record->refs = 1;
    record->entry = entry;
    record->older = log->newest;
    *(log->newest != NULL ? &log->newest->newer : &log->oldest) = record;
    log->newest = record;
    entry->record = record;
    window->stats.entries++;
    window->stats.bytes += bytes.len;
    return true;
}

static bool decode(const struct dri_window *window, const struct record *record,
                   struct dri_result *ret_result)
{
    struct dri_wire_error error;
    return dri_result_decode(dray_slice_of(record + 1, record->len), &window->config.limits,
                             ret_result, &error) == DRAY_OK;
}

/* --- tickets --- */

static void append(struct ticket **first, struct ticket **last, struct ticket *ticket)
{
    ticket->next = NULL;
    ticket->prev = *last;
    *(*last != NULL ? &(*last)->next : first) = ticket;
    *last = ticket;
}

static void take_out(struct ticket **first, struct ticket **last, struct ticket *ticket)
{
    *(ticket->prev != NULL ? &ticket->prev->next : first) = ticket->next;
    *(ticket->next != NULL ? &ticket->next->prev : last) = ticket->prev;
}

/* All of them: the first that is handed over has the id, or they have the record. */
static void wake_all(struct dri_window *window, struct entry *entry)
{
    for (struct ticket *ticket; (ticket = entry->first) != NULL;) {
        take_out(&entry->first, &entry->last, ticket);
        ticket->entry = NULL;
        ticket->place = PLACE_WOKEN;
        append(&window->first_woken, &window->last_woken, ticket);
    }
}

/* To no place; what it had or waited for goes on without it. */
static void step_back(struct dri_window *window, struct ticket *ticket)
{
    struct entry *entry = ticket->entry;
    if (ticket->place == PLACE_WOKEN) {
        take_out(&window->first_woken, &window->last_woken, ticket);
    } else if (ticket->place == PLACE_WAITS) {
        take_out(&entry->first, &entry->last, ticket);
    } else if (ticket->place == PLACE_HOLDS) {
        entry->holder = NULL;
        wake_all(window, entry);
    }
    ticket->place = PLACE_NONE;
    ticket->entry = NULL;
    if (entry != NULL) {
        tidy(window, entry);
    }
}

static struct ticket *ticket_of(struct dri_window *window, struct dri_flight *flight)
{
    struct ticket *ticket = flight->ticket;
    if (ticket == NULL && (ticket = dri_zalloc(sizeof(*ticket))) != NULL) {
        ticket->flight = flight;
        ticket->all_next = &window->tickets;
        ticket->all_prev = window->tickets.all_prev;
        ticket->all_prev->all_next = ticket;
        window->tickets.all_prev = ticket;
        flight->ticket = ticket;
    }
    return ticket;
}

static void end_ticket(struct ticket *ticket)
{
    ticket->all_prev->all_next = ticket->all_next;
    ticket->all_next->all_prev = ticket->all_prev;
    drop_record(ticket->answer);
    dri_free(ticket);
}

void dri_window_leave(struct dri_window *window, struct dri_flight *flight)
{
    struct ticket *ticket = flight->ticket;
    if (ticket != NULL) {
        flight->ticket = NULL;
        step_back(window, ticket);
        end_ticket(ticket);
    }
}

struct dri_flight *dri_window_take_woken(struct dri_window *window)
{
    struct ticket *ticket = window->first_woken;
    if (ticket == NULL) {
        return NULL;
    }
    step_back(window, ticket);
    return ticket->flight;
}

/* --- logs --- */

void dri_window_assigned(struct dri_window *window, const struct dri_transport_event *event)
{
    DRI_ASSERT(event->slot < window->config.slots_max);
    struct log *log = &window->logs[event->slot];
    if (log->is_live) {
        dri_window_ended(window, event->slot, log->epoch);
    }
    bool is_log = event->as.assigned.role == DRI_ROLE_WINDOW;
    uint32_t other = event->as.assigned.window;
    bool has_log = !is_log && other < window->config.slots_max && window->logs[other].is_live;
    *log = (struct log){
        .is_log = is_log,
        .is_live = is_log,
        .is_park = event->as.assigned.role == DRI_ROLE_PARK,
        .epoch = event->epoch,
        .live_at = window->live_count,
        .window = has_log ? other : DRI_SLOT_NONE,
        .window_epoch = has_log ? window->logs[other].epoch : 0,
        .partition = event->as.assigned.partition,
    };
    if (is_log) {
        window->live[window->live_count++] = event->slot;
    }
    uint32_t park = event->as.assigned.park;
    if (!is_log && park < window->config.slots_max && window->logs[park].is_park) {
        window->logs[park].window = log->window; /* what was parked comes back by that slot */
        window->logs[park].window_epoch = log->window_epoch;
    }
}

bool dri_window_is_log(const struct dri_window *window, uint32_t slot)
{
    return slot < window->config.slots_max && window->logs[slot].is_log;
}

/* Flights that held or waited at its entries end with it: the commands are gone, too. */
static void leave_log(struct dri_window *window, uint32_t slot)
{
    struct ticket *next = NULL;
    for (struct ticket *ticket = window->tickets.all_next; ticket != &window->tickets;
         ticket = next) {
        next = ticket->all_next;
        if (ticket->entry != NULL && ticket->entry->slot == slot && ticket->place == PLACE_WAITS) {
            step_back(window, ticket);
        }
    }
    for (struct ticket *ticket = window->tickets.all_next; ticket != &window->tickets;
         ticket = ticket->all_next) {
        if (ticket->entry != NULL && ticket->entry->slot == slot) {
            step_back(window, ticket);
        }
    }
}

void dri_window_ended(struct dri_window *window, uint32_t slot, uint32_t epoch)
{
    struct log *log = &window->logs[slot];
    if (!log->is_live || log->epoch != epoch) {
        return;
    }
    leave_log(window, slot);
    while (log->oldest != NULL) {
        forget_and_tidy(window, log->oldest);
    }
    uint32_t last = window->live[--window->live_count];
    window->live[log->live_at] = last;
    window->logs[last].live_at = log->live_at;
    log->is_live = false;
}

bool dri_window_read(struct dri_window *window, struct dri_now now, uint32_t slot, uint32_t epoch,
                     const struct dri_message *message)
{
    const struct log *log = &window->logs[slot];
    struct dri_result result;
    struct dri_wire_error error;
    if (!log->is_live || log->epoch != epoch || message->value.at == NULL) {
        return true;
    }
    uint64_t scope = 0;
    if (dri_result_decode(message->value, &window->config.limits, &result, &error) == DRAY_OK) {
        scope = dri_window_scope(result.ns, result.command);
    }
    if (scope == 0) {
        window->stats.refused++;
        return true;
    }
    struct identity identity = identity_of(slot, scope, result.id, result.is_id_binary);
    const struct entry *entry = find(window, &identity);
    bool is_known =
        entry != NULL && entry->record != NULL &&
        dray_slice_equal(dray_slice_of(entry->record + 1, entry->record->len), message->value);
    bool is_old =
        result.ts_ms < now.wall_ms && now.wall_ms - result.ts_ms > window->config.longest_ms;
    if (is_known || is_old) {
        return true;
    }
    if (!put_record(window, now, &identity, result.ts_ms, message->value)) {
        return false;
    }
    struct entry *put = find(window, &identity);
    wake_all(window, put);
    return true;
}

/* --- the gate --- */

/* Of this very command: it was run, and came again. */
static bool is_own(const struct dri_window *window, const struct record *record,
                   struct dray_slice source)
{
    struct dri_result result;
    return decode(window, record, &result) && dray_slice_equal(result.source, source);
}

static enum dri_window_gate hold(struct dri_window *window, struct ticket *ticket,
                                 struct entry *entry)
{
    window->stats.held++;
    if (entry != NULL) {
        ticket->entry = entry;
        ticket->place = PLACE_WAITS;
        append(&entry->first, &entry->last, ticket);
    }
    return DRI_WINDOW_HELD;
}

enum dri_window_gate dri_window_enter(struct dri_window *window, struct dri_now now,
                                      struct dri_flight *flight, struct dray_slice source)
{
    const struct log *own = &window->logs[flight->slot];
    flight->has_window = false;
    if (own->window == DRI_SLOT_NONE) {
        return DRI_WINDOW_RUN;
    }
    const struct log *log = &window->logs[own->window];
    bool is_here = own->epoch == flight->epoch && log->is_live && log->epoch == own->window_epoch;
    struct ticket *ticket = ticket_of(window, flight);
    if (ticket == NULL) {
        return DRI_WINDOW_NO_MEMORY;
    }
    DRI_ASSERT(ticket->answer == NULL);
    if (!is_here && flight->is_replay) {
        step_back(window, ticket); /* whoever has its partition of commands may be another */
        return DRI_WINDOW_RUN;
    }
    if (!is_here) {
        step_back(window, ticket);
        return hold(window, ticket, NULL); /* it is being taken away; this one follows */
    }
    ticket->partition = log->partition;
    if (ticket->place == PLACE_HOLDS) {
        flight->has_window = true;
        return DRI_WINDOW_RUN;
    }
    step_back(window, ticket);
    struct identity identity = identity_of(own->window, flight->window_scope, flight->envelope.id,
                                           flight->envelope.is_id_binary);
    struct entry *entry = find_or_add(window, &identity);
    if (entry == NULL) {
        return DRI_WINDOW_NO_MEMORY;
    }
    struct record *record = entry->record;
    if (record != NULL && age_ms(record, now) <= flight->window_ms &&
        (!flight->is_replay || is_own(window, record, source))) {
        record->refs++;
        ticket->answer = record;
        return DRI_WINDOW_ANSWERED;
    }
    if (entry->holder != NULL) {
        return hold(window, ticket, entry);
    }
    entry->holder = ticket;
    ticket->entry = entry;
    ticket->place = PLACE_HOLDS;
    flight->has_window = true;
    return DRI_WINDOW_RUN;
}

int32_t dri_window_partition(const struct dri_flight *flight)
{
    return ((const struct ticket *)flight->ticket)->partition;
}

uint64_t dri_window_ended_ms(const struct dri_flight *flight, struct dri_now now)
{
    struct ticket *ticket = flight->ticket;
    ticket->ended_ms = ticket->ended_ms != 0 ? ticket->ended_ms : now.wall_ms;
    return ticket->ended_ms;
}

bool dri_window_stored(struct dri_window *window, struct dri_now now, struct dri_flight *flight,
                       struct dray_slice record)
{
    struct ticket *ticket = flight->ticket;
    if (ticket == NULL || ticket->place != PLACE_HOLDS) {
        return true; /* its log is gone */
    }
    struct entry *entry = ticket->entry;
    struct identity identity = identity_of(
        entry->slot, entry->scope, dray_slice_of(entry->id, entry->id_len), entry->is_id_binary);
    bool was_put = put_record(window, now, &identity, ticket->ended_ms, record);
    if (was_put) {
        step_back(window, ticket);
    }
    return was_put;
}

bool dri_window_answer(const struct dri_window *window, const struct dri_flight *flight,
                       struct dri_result *ret_result)
{
    const struct ticket *ticket = flight->ticket;
    return ticket != NULL && ticket->answer != NULL && decode(window, ticket->answer, ret_result);
}

void dri_window_stats(const struct dri_window *window, struct dri_window_stats *ret_stats)
{
    *ret_stats = window->stats;
}

void dri_window_destroy(struct dri_window *window)
{
    if (window == NULL) {
        return;
    }
    while (window->tickets.all_next != NULL && window->tickets.all_next != &window->tickets) {
        struct ticket *ticket = window->tickets.all_next;
        step_back(window, ticket);
        end_ticket(ticket);
    }
    for (uint32_t slot = 0; window->logs != NULL && slot < window->config.slots_max; slot++) {
        while (window->logs[slot].oldest != NULL) {
            forget_and_tidy(window, window->logs[slot].oldest);
        }
    }
    dri_unmap(window->buckets, window->buckets_count * sizeof(struct entry *));
    dri_free(window->live);
    dri_free(window->logs);
    dri_free(window);
}
