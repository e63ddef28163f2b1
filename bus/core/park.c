/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "entries.h"
#include "planted.h"

/* What waits in a park log (docs/adr/0013-parking.md).
 *
 * Each record of a park log that is not finished is an *entry*. The entries of a key are a queue,
 * in the order in which they first stood in the log; the first one whose time has come comes out as
 * a flight, alone, and stays the first until its outcome is stored. Live flights of such a key
 * stand in the key's queue of flights as ever, and do not run: they are parked one by one, so that
 * they stand in the log in their order.
 *
 * Three things keep a key parked: an entry of it; a live flight of it whose copy is on the way; and
 * a copy that was stored and was not read back yet. The last is why the answer to a publish carries
 * its offset. With it gone missing, the key waits for the record itself, known by its source.
 *
 * An entry that has to wait again is stored anew with the place in the order that it had. Until
 * that copy was read nothing of its key comes out: the old entry is finished and the new one is not
 * there yet. So it is also when a log is read from its beginning, where copies of one command can
 * stand in any number: nothing comes out before the log was caught up with, and of the copies with
 * one source the one with the lowest order, and of these the last, is the command.
 *
 * What has to be decided for a key (whether its first entry is due, whether a follower can be
 * parked, whether the key is free) is decided in one place, look_at, at the end of each step, for
 * the keys that something has happened to. To decide it where it happens was rejected: it happens
 * in the middle of walks over queues that the decision would change.
 *
 * A release names no entries: it frees all of its key that stand before it, and is finished only
 * when all of these are, because whoever reads the log next must find both or neither.
 */

#define RELOOK_MAX_MS 60000u /* look at the wall clock again: it may have been set */
#define REFUSED_MS    1000u  /* until something is asked for again that could not be had */
#define RELIEVE_MAX   16u    /* flights that are parked because a commit cannot say all */
#define RELIEVE_LOOK  1024u
#define BEHIND_A_LETTER                                                                            \
    "an earlier command of its key ended as a dead letter, and its key is held until it is "       \
    "released"

/* --- in --- */

static uint64_t source_of(const struct dri_core *core, const struct dri_flight *flight)
{
    const struct dri_entry *entry = dri_entry_of(core, flight);
    return entry != NULL
               ? entry->source_hash
               : dri_park_source_mix(core->slots[flight->slot].origin_hash, flight->offset);
}

bool dri_park_has(const struct dri_core *core, const struct dri_flight *flight)
{
    return core->slots[flight->slot].park != UINT32_MAX &&
           dri_map_find(&core->sources, 0, source_of(core, flight)) != UINT32_MAX;
}

/* Whether its copy has somewhere to go, and nothing of its key that comes before it is on the way
 * there. */
static bool has_place(const struct dri_core *core, const struct dri_flight *flight)
{
    const struct dri_slot *slot = &core->slots[flight->slot];
    if (slot->is_revoking || flight->is_duplicate || flight->is_unparkable) {
        return false;
    }
    if (flight->entry != 0) {
        return true;
    }
    if (flight->is_replay && flight->has_key) {
        return false; /* its key's other replays may be with another worker than the log */
    }
    if (slot->park == UINT32_MAX || !dri_park_is_open(&core->slots[slot->park]) ||
        core->entries_used + core->states[DRI_FLIGHT_PARKING] + core->unread_copies >=
            core->config.park_max) {
        return false;
    }
    const struct dri_key *key =
        flight->has_key ? dri_keys_find(&core->keys, flight->key_hash) : NULL;
    const struct dri_parked_key *parked = key != NULL ? dri_parked_at(core, key->parked) : NULL;
    return parked == NULL ||
           (parked->parking == 0 && (parked->live.to == 0 || parked->live.slot == slot->park));
}

bool dri_park_can(const struct dri_core *core, const struct dri_flight *flight)
{
    uint32_t log = core->slots[flight->slot].park;
    bool is_held = flight->entry == 0 && log != UINT32_MAX && core->slots[log].is_held;
    return core->config.park_max != 0 && !core->is_draining && !core->is_stopped && !is_held &&
           has_place(core, flight);
}

bool dri_park_wants(const struct dri_core *core, const struct dri_flight *flight, uint64_t wait_ms)
{
    if (core->config.park_max == 0) {
        return false;
    }
    bool is_crowded = core->states[DRI_FLIGHT_WAITING] > core->in_flight_carved / 4;
    return (wait_ms > core->config.park_after_ms || is_crowded) && dri_park_can(core, flight);
}

/* Its key waits for it. */
static void begin_parking(struct dri_core *core, struct dri_flight *flight)
{
    if (!flight->has_key || flight->entry != 0 || flight->is_parker) {
        return;
    }
    struct dri_parked_key *parked = dri_parked_add(core, flight->key_hash);
    DRI_ASSERT(parked->parking == 0);
    parked->parking = flight->index + 1;
    flight->is_parker = true;
    dri_park_touch(core, dri_parked_key_of(core, parked));
}

void dri_park_leave(struct dri_core *core, struct dri_flight *flight)
{
    if (!flight->is_parker) {
        return;
    }
    struct dri_key *key = dri_keys_find(&core->keys, flight->key_hash);
    DRI_ASSERT(key != NULL && dri_parked_at(core, key->parked)->parking == flight->index + 1);
    dri_parked_at(core, key->parked)->parking = 0;
    flight->is_parker = false;
    dri_park_touch(core, key);
}

void dri_park_put(struct dri_core *core, struct dri_flight *flight, enum dri_park_kind kind,
                  uint64_t due_ms)
{
    const struct dri_entry *entry = dri_entry_of(core, flight);
    flight->park_kind = kind;
    flight->park_due_ms = due_ms;
    flight->has_park_order = entry != NULL && !DRI_IS_PLANTED(PARK_REWRITE_LOSES_ORDER);
    flight->park_order = entry != NULL ? entry->order : 0;
    flight->was_parked_anew = entry != NULL;
    begin_parking(core, flight);
    dri_move(core, flight, DRI_FLIGHT_PARKING);
    dri_gate_told(core, flight);
    if (!dri_gate_takes(core, flight)) {
        dri_outcome_park(core, flight);
    }
    if (DRI_IS_PLANTED(PARK_SETTLE_EARLY)) {
        dri_slot_finish(core, flight);
    }
}

/* Until it was read back its key is parked. */
static void note_unread(struct dri_core *core, struct dri_flight *flight, uint64_t offset)
{
    const struct dri_entry *entry = dri_entry_of(core, flight);
    uint32_t log = entry != NULL ? flight->slot : core->slots[flight->slot].park;
    const struct dri_key *key =
        flight->has_key ? dri_keys_find(&core->keys, flight->key_hash) : NULL;
    struct dri_parked_key *parked = key != NULL ? dri_parked_at(core, key->parked) : NULL;
    if (parked == NULL || log == UINT32_MAX || !dri_park_is_open(&core->slots[log])) {
        return;
    }
    struct dri_unread *unread = entry != NULL ? &parked->rewrite : &parked->live;
    struct dri_unread next = {.to = offset != UINT64_MAX ? offset + 1 : UINT64_MAX,
                              .source_hash = source_of(core, flight),
                              .slot = log};
    if (offset == UINT64_MAX) {
        uint32_t number = dri_map_find(&core->sources, 0, next.source_hash);
        bool is_back = number != UINT32_MAX && &core->entries[number] != entry;
        next.to = is_back || flight->was_read_back ? 0 : UINT64_MAX;
    } else if (dri_unread_was_read(core, &next)) {
        next.to = 0;
    }
    if (next.to != 0) {
        *unread = next;
        dri_unread_link(core, parked);
    }
}

/* It stands in the log and takes a place there, though nobody has read it yet. */
static void count_unread(struct dri_core *core, const struct dri_flight *flight, uint64_t offset)
{
    const struct dri_entry *entry = dri_entry_of(core, flight);
    uint32_t log = entry != NULL ? flight->slot : core->slots[flight->slot].park;
    if (log == UINT32_MAX || !dri_park_is_open(&core->slots[log])) {
        return;
    }
    const struct dri_unread copy = {.to = offset + 1, .slot = log};
    uint32_t number = dri_map_find(&core->sources, 0, source_of(core, flight));
    bool is_back =
        offset != UINT64_MAX
            ? dri_unread_was_read(core, &copy)
            : flight->was_read_back || (number != UINT32_MAX && &core->entries[number] != entry);
    if (!is_back) {
        core->slots[log].unread++;
        core->unread_copies++;
    }
}

static void count_read(struct dri_core *core, struct dri_slot *slot, uint32_t copies)
{
    copies = copies < slot->unread ? copies : slot->unread;
    slot->unread -= copies;
    core->unread_copies -= copies;
}

void dri_park_stored(struct dri_core *core, struct dri_flight *flight, uint64_t offset)
{
    count_unread(core, flight, offset);
    core->stats.parked++;
    core->stats.rewritten += flight->entry != 0 ? 1 : 0;
    note_unread(core, flight, offset);
    dri_outcome_none(core, flight);
}

bool dri_park_too_large(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = flight->has_key ? dri_keys_find(&core->keys, flight->key_hash) : NULL;
    if (flight->park_kind == DRI_PARK_HELD || core->slots[flight->slot].is_revoking ||
        (key != NULL && key->out > 0)) {
        return false;
    }
    if (flight->is_parker) {
        dri_park_leave(core, flight);
    }
    flight->is_unparkable = true;
    flight->was_parked_anew = false;
    if (flight->park_kind == DRI_PARK_STOPPED) {
        dri_outcome_letter(core, flight, flight->kind);
        return true;
    }
    uint64_t wait_ms =
        flight->park_due_ms > core->now.wall_ms ? flight->park_due_ms - core->now.wall_ms : 0;
    dri_lanes_come_back(core, flight, wait_ms);
    return true;
}

/* A few of the oldest: the next commit says how far that went. */
void dri_park_relieve(struct dri_core *core, struct dri_slot *slot)
{
    uint32_t looked = 0;
    uint32_t relieved = 0;
    if (slot->is_park) {
        return;
    }
    for (uint32_t node = dri_tracker_first(&slot->tracker), next;
         node != UINT32_MAX && looked < RELIEVE_LOOK && relieved < RELIEVE_MAX; node = next) {
        struct dri_flight *flight = &core->flights[node];
        next = dri_tracker_next(&slot->tracker, node);
        looked++;
        if (flight->state != DRI_FLIGHT_WAITING || flight->is_early || flight->is_held ||
            !dri_park_can(core, flight)) {
            continue;
        }
        uint64_t left_ns =
            flight->due_ns > core->now.mono_ns ? flight->due_ns - core->now.mono_ns : 0;
        uint64_t due_ms = core->now.wall_ms + left_ns / 1000000u;
        dri_lanes_unlink(core, flight);
        dri_park_put(core, flight, DRI_PARK_COMMAND,
                     flight->not_before_ms > due_ms ? flight->not_before_ms : due_ms);
        relieved++;
    }
}

/* --- the ceiling --- */

bool dri_park_exhaust(struct dri_core *core, struct dri_flight *flight)
{
    if (core->config.park_max == 0 || flight->verdict.exhausted == DRI_EXHAUSTED_DEAD_LETTER ||
        !flight->has_key || !has_place(core, flight)) {
        return false;
    }
    if (flight->verdict.exhausted == DRI_EXHAUSTED_STOP_KEY) {
        dri_park_put(core, flight, DRI_PARK_STOPPED, 0);
        return true;
    }
    begin_parking(core, flight);
    flight->sequence = DRI_SEQUENCE_FIRST;
    dri_outcome_letter(core, flight, flight->kind);
    return true;
}

/* It is in no list: a letter of the unit, without a run. */
static void end_as_member(struct dri_core *core, struct dri_flight *flight, struct dri_entry *held)
{
    begin_parking(core, flight);
    dri_parked_add(core, flight->key_hash)->has_gate = true; /* it may come again */
    flight->sequence = DRI_SEQUENCE_MEMBER;
    flight->unit_entry = dri_entry_number(core, held) + 1;
    flight->unit_place = held->place;
    held->users++;
    flight->was_run = false;
    flight->error_message = dray_slice_text(BEHIND_A_LETTER);
    dri_outcome_letter(core, flight, DRAY_KIND_REJECTED);
}

/* Whatever of the key stands before a release is let go. */
static void release(struct dri_core *core, struct dri_parked_key *parked,
                    const struct dri_entry *by)
{
    for (struct dri_entry *entry = dri_entry_at(core, parked->head), *next; entry != NULL;
         entry = next) {
        next = dri_entry_at(core, entry->next);
        if (entry->slot != by->slot || entry->offset >= by->offset) {
            continue;
        }
        if (entry->kind == DRI_PARK_HELD) {
            dri_entry_finish(core, entry);
        } else if (entry->kind == DRI_PARK_STOPPED &&
                   (entry->state == DRI_ENTRY_WAITING || entry->state == DRI_ENTRY_GATED)) {
            entry->kind = DRI_PARK_COMMAND;
            entry->attempts = 0; /* somebody has mended what was wrong */
            entry->due_ms = 0;
            core->entries_stopped--;
        }
    }
}

/* --- a record of a park log --- */

/* Whether this record stands for its command from now on; what stood for it before does not any
 * more, unless its flight just waits for the answer to this very copy. */
static bool replaces(struct dri_core *core, const struct dri_entry *entry)
{
    uint32_t number =
        entry->source_hash != 0 ? dri_map_find(&core->sources, 0, entry->source_hash) : UINT32_MAX;
    if (number == UINT32_MAX) {
        return true;
    }
    struct dri_entry *older = &core->entries[number];
    if (entry->order > older->order) {
        return false;
    }
    if (older->state != DRI_ENTRY_OUT) {
        dri_entry_finish(core, older);
        return true;
    }
    const struct dri_flight *flight = &core->flights[older->flight - 1];
    if (!flight->was_parked_anew || entry->attempts < flight->attempt) {
        return false;
    }
    dri_map_remove(&core->sources, 0, entry->source_hash);
    return true;
}

static void entry_try(struct dri_core *core, struct dri_entry *entry);

static void take_in(struct dri_core *core, struct dri_entry *entry, uint64_t key_hash, bool has_key)
{
    if (!replaces(core, entry)) {
        core->stats.copies_dropped++;
        if (has_key) {
            dri_unread_found(core, dri_parked_add(core, key_hash), entry->source_hash);
            dri_park_touch(core, dri_lanes_key(core, key_hash));
        }
        dri_entry_finish(core, entry);
        return;
    }
    if (entry->source_hash != 0) {
        dri_map_add(&core->sources, 0, entry->source_hash, dri_entry_number(core, entry));
    }
    if (!has_key) {
        entry_try(core, entry);
        return;
    }
    struct dri_parked_key *parked = dri_parked_add(core, key_hash);
    dri_entry_insert(core, parked, entry);
    dri_unread_found(core, parked, entry->source_hash);
    if (parked->parking != 0 &&
        source_of(core, &core->flights[parked->parking - 1]) == entry->source_hash) {
        core->flights[parked->parking - 1].was_read_back = true;
    }
    if (entry->kind == DRI_PARK_RELEASE) {
        release(core, parked, entry);
    }
    dri_park_touch(core, dri_parked_key_of(core, parked));
}

void dri_park_take_in(struct dri_core *core, const struct dri_core_event *event)
{
    const struct dri_core_parked *record = event->as.parked;
    DRI_ASSERT(event->slot < core->config.slots_max);
    struct dri_slot *slot = &core->slots[event->slot];
    struct dri_entry *entry = dri_entry_add(core);
    bool is_ours = dri_park_is_open(slot) && slot->epoch == event->epoch;
    entry->offset = record->offset;
    entry->order = record->order;
    entry->due_ms = record->due_ms;
    entry->place = record->place;
    entry->slot = event->slot;
    entry->epoch = event->epoch;
    entry->attempts = record->attempts;
    entry->kind = (uint8_t)record->kind;
    entry->is_of_release = record->is_of_release;
    entry->source_hash = record->kind == DRI_PARK_RELEASE ? 0 : record->source_hash;
    entry->source_offset = record->source_offset;
    entry->gate = UINT64_MAX;
    if (!is_ours || core->is_draining || core->is_stopped) {
        core->stats.stale_records++;
        dri_entry_try_free(core, entry);
        return;
    }
    if (record->kind != DRI_PARK_RELEASE && !record->is_of_release) {
        count_read(core, slot, 1);
    }
    if (dri_tracker_is_duplicate(&slot->tracker, entry->offset) ||
        !dri_slot_receive(core, slot, entry->offset,
                          core->flights_max + dri_entry_number(core, entry))) {
        dri_entry_try_free(core, entry);
        return;
    }
    entry->state = DRI_ENTRY_WAITING;
    core->entries_used++;
    core->entries_stopped += dri_entry_is_stopper(entry->kind) ? 1 : 0;
    take_in(core, entry, record->key_hash, record->has_key);
}

void dri_park_caught_up(struct dri_core *core, uint32_t number, uint32_t epoch)
{
    struct dri_slot *slot = &core->slots[number];
    if (!dri_park_is_open(slot) || slot->epoch != epoch) {
        return;
    }
    slot->is_caught_up = true;
    for (uint32_t node = dri_tracker_first(&slot->tracker); node != UINT32_MAX;
         node = dri_tracker_next(&slot->tracker, node)) {
        struct dri_entry *entry = &core->entries[node - core->flights_max];
        if (entry->key != 0) {
            dri_park_touch(core, dri_parked_key_of(core, dri_parked_at(core, entry->key)));
        } else if (entry->state == DRI_ENTRY_WAITING) {
            entry_try(core, entry);
        }
    }
}

/* Its commands were revoked before it. Only replays can be here that were parked there: they go on
 * without it, in memory. */
void dri_park_slot_ends(struct dri_core *core, uint32_t number)
{
    if (!core->slots[number].is_park) {
        return;
    }
    dri_unread_slot_ends(core, number);
    count_read(core, &core->slots[number], UINT32_MAX);
    for (uint32_t i = 0; i < core->slots_end; i++) {
        struct dri_slot *slot = &core->slots[i];
        if (slot->is_assigned && !slot->is_park && slot->park == number) {
            slot->park = UINT32_MAX;
        }
    }
}

bool dri_core_wants_parked(const struct dri_core *core)
{
    if (core->config.park_max == 0 || core->is_draining || core->is_stopped) {
        return false;
    }
    if (core->unread != 0 || core->entries_stopped != 0) {
        return true;
    }
    for (uint32_t i = 0; i < core->slots_end; i++) {
        if (dri_park_is_open(&core->slots[i]) && !core->slots[i].is_caught_up) {
            return true;
        }
    }
    return false;
}

/* --- out --- */

/* Its turn has come: make it ready, or look again when its time comes. Requires: WAITING. */
static void entry_try(struct dri_core *core, struct dri_entry *entry)
{
    const struct dri_slot *slot = &core->slots[entry->slot];
    uint32_t timer = dri_entry_timer_id(core, dri_entry_number(core, entry));
    if (!slot->is_caught_up || core->is_draining || core->is_stopped) {
        return;
    }
    if (entry->key == 0 && (entry->kind == DRI_PARK_HELD || entry->kind == DRI_PARK_RELEASE)) {
        dri_entry_finish(core, entry); /* of no key: nobody waits for it */
        return;
    }
    if (entry->not_before_ns > core->now.mono_ns) {
        dri_timers_set(&core->timers, timer, entry->not_before_ns);
    } else if (entry->due_ms > core->now.wall_ms) {
        uint64_t wait_ms = entry->due_ms - core->now.wall_ms;
        dri_timers_set(
            &core->timers, timer,
            dri_after_ms(core->now.mono_ns, wait_ms < RELOOK_MAX_MS ? wait_ms : RELOOK_MAX_MS));
    } else if (entry->key == 0 || !dri_gate_keeps(core, entry)) {
        dri_timers_cancel(&core->timers, timer);
        dri_entry_list(core, entry, DRI_ENTRY_READY);
    }
}

void dri_park_due(struct dri_core *core, uint32_t number)
{
    struct dri_entry *entry = &core->entries[number];
    if (entry->state == DRI_ENTRY_GATED) {
        dri_gate_entry_due(core, entry);
        return;
    }
    if (entry->state != DRI_ENTRY_WAITING) {
        return;
    }
    if (entry->key != 0) {
        dri_park_touch(core, dri_parked_key_of(core, dri_parked_at(core, entry->key)));
    } else {
        entry_try(core, entry);
    }
}

bool dri_park_admit(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_entry *entry = dri_entry_of(core, flight);
    const struct dri_slot *slot = &core->slots[entry->slot];
    if (entry->state != DRI_ENTRY_ASKED) {
        core->stats.stale_records++;
        dri_refuse(core, flight);
        return false;
    }
    if (core->is_draining || core->is_stopped || dri_group_is_shut(core, flight)) {
        dri_refuse(core, flight); /* it waits on where it was */
        return false;
    }
    entry->state = DRI_ENTRY_OUT;
    core->stats.unparked++;
    flight->is_tracked = true;
    flight->slot = entry->slot;
    flight->epoch = entry->epoch;
    flight->offset = entry->offset;
    flight->delivery = slot->is_watermark ? 0 : entry->offset;
    flight->attempt = entry->attempts;
    struct dri_parked_key *parked = dri_parked_at(core, entry->key);
    struct dri_entry *head = parked != NULL ? dri_entry_at(core, parked->head) : NULL;
    if (head != NULL && head->kind == DRI_PARK_HELD && flight->invalid == DRAY_KIND_NONE) {
        end_as_member(core, flight, head);
        return false;
    }
    return true;
}

void dri_park_detach(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_entry *entry = dri_entry_of(core, flight);
    struct dri_entry *unit = dri_entry_at(core, flight->unit_entry);
    if (unit != NULL) {
        unit->users--;
        dri_entry_try_free(core, unit);
    }
    if (entry == NULL) {
        return;
    }
    entry->flight = 0;
    core->unparked--;
    if (entry->state == DRI_ENTRY_ASKED) {
        entry->state = DRI_ENTRY_WAITING;
        entry->not_before_ns = dri_after_ms(core->now.mono_ns, REFUSED_MS);
        dri_timers_set(&core->timers, dri_entry_timer_id(core, dri_entry_number(core, entry)),
                       entry->not_before_ns);
    }
    dri_entry_try_free(core, entry);
}

/* As many as there are flights for. */
static void ask(struct dri_core *core)
{
    bool is_closed = core->is_draining || core->is_stopped || core->config.in_flight_max == 0;
    while (!is_closed && core->entries_ready.head != 0 && core->unparked < core->unparked_max) {
        struct dri_entry *entry = dri_entry_at(core, core->entries_ready.head);
        dri_entry_unlist(core, entry);
        entry->state = DRI_ENTRY_ASKED;
        core->unparked++;
        dri_entry_push(core, entry, DRI_CA_UNPARK, DRI_ENTRY_UNPARK);
    }
}

/* --- a key --- */

/* What may come out next, or is out; the HELD records before it are passed over. */
static struct dri_entry *first_of(const struct dri_core *core, const struct dri_parked_key *parked,
                                  struct dri_entry **ret_held)
{
    struct dri_entry *entry = dri_entry_at(core, parked->head);
    *ret_held = NULL;
    while (entry != NULL && entry->kind == DRI_PARK_HELD) {
        *ret_held = *ret_held == NULL ? entry : *ret_held;
        entry = dri_entry_at(core, entry->next);
    }
    return entry;
}

/* Not while the worker drains: then what a release let go may be given up, and stands in the log as
 * it did before. Whoever reads that next must find the release, too. */
static void finish_releases(struct dri_core *core, struct dri_parked_key *parked)
{
    struct dri_entry *head;
    if (core->is_draining && !DRI_IS_PLANTED(DRAIN_LOSES_RELEASE)) {
        return;
    }
    while ((head = dri_entry_at(core, parked->head)) != NULL && head->kind == DRI_PARK_RELEASE &&
           core->slots[head->slot].is_caught_up) {
        dri_entry_finish(core, head);
    }
}

static void look_at_first(struct dri_core *core, const struct dri_parked_key *parked)
{
    const struct dri_key *key = dri_parked_key_of(core, parked);
    struct dri_entry *held;
    struct dri_entry *entry = first_of(core, parked, &held);
    if (entry == NULL || entry->state != DRI_ENTRY_WAITING || parked->rewrite.to != 0 ||
        key->out > 0 || key->is_deaf) {
        return;
    }
    bool is_let_go = entry->kind == DRI_PARK_COMMAND && held == NULL;
    bool is_member = held != NULL && !entry->is_of_release && entry->kind != DRI_PARK_RELEASE &&
                     core->slots[held->slot].is_caught_up;
    if (is_member) {
        entry->due_ms = 0;
    }
    if (is_let_go || is_member) {
        entry_try(core, entry);
    }
}

/* The first live flight of its queue; one that came out of the log may stand before it. */
static struct dri_flight *first_follower(const struct dri_key *key)
{
    struct dri_flight *flight = key->head;
    if (flight != NULL && flight->entry != 0) {
        flight = flight->next;
    }
    return flight != NULL && flight->state == DRI_FLIGHT_QUEUED ? flight : NULL;
}

/* One goes at a time. False: nothing could be done. */
static bool move_follower(struct dri_core *core, const struct dri_parked_key *parked)
{
    struct dri_key *key = dri_parked_key_of(core, parked);
    struct dri_flight *flight = first_follower(key);
    struct dri_entry *held;
    const struct dri_entry *first = first_of(core, parked, &held);
    bool is_out = first != NULL && first->state == DRI_ENTRY_OUT;
    if (flight == NULL || parked->parking != 0 || (key->out > 0 && !is_out)) {
        return false;
    }
    bool is_copy = dri_park_has(core, flight); /* it was stored by an assignment before, lately */
    if (flight->is_duplicate || is_copy) {
        core->stats.copies_dropped += is_copy ? 1 : 0;
        dri_key_unlink(&core->keys, key, flight);
        dri_outcome_none(core, flight);
        dri_gate_came_again(core, flight);
        return true;
    }
    if (held != NULL && first == NULL && !parked->is_unread) {
        dri_key_unlink(&core->keys, key, flight);
        end_as_member(core, flight, held);
        return true;
    }
    bool waits_for_unit = held != NULL && (first == NULL || !first->is_of_release);
    if (waits_for_unit || !dri_park_can(core, flight)) {
        return false;
    }
    dri_key_unlink(&core->keys, key, flight);
    dri_park_put(core, flight, DRI_PARK_COMMAND, flight->not_before_ms);
    return true;
}

static void look_at(struct dri_core *core, struct dri_parked_key *parked)
{
    struct dri_key *key = dri_parked_key_of(core, parked);
    finish_releases(core, parked);
    if (core->is_draining) {
        struct dri_flight *follower = key->out == 0 ? first_follower(key) : NULL;
        if (follower != NULL) {
            dri_lanes_give_up_key(core, follower);
        }
    } else {
        look_at_first(core, parked);
        while (move_follower(core, parked)) {
        }
    }
    if (parked->head == 0 && parked->parking == 0 && !parked->is_unread && !parked->is_touched) {
        dri_parked_remove(core, parked);
    }
}

bool dri_park_is_due(const struct dri_core *core)
{
    return core->touched != 0 || core->is_exit_due || (core->is_gate_due && core->gated != NULL);
}

void dri_park_work(struct dri_core *core)
{
    if (core->config.park_max == 0) {
        return;
    }
    dri_gate_work(core);
    if (core->unread != 0) {
        dri_unread_sweep(core);
    }
    while (core->touched != 0) {
        struct dri_parked_key *parked = dri_parked_at(core, core->touched);
        core->touched = parked->touched_next;
        parked->is_touched = false;
        look_at(core, parked);
    }
    ask(core);
}
