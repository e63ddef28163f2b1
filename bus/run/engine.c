/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* engine.c - the single-threaded shell around the core.
 *
 * A turn is: poll the transport, take in what came, collect what the lanes finished, step the core
 * once with all of it, carry out its actions. Everything is done in arrays, because a turn with a
 * thousand messages costs one step, one publish and one wake a lane.
 *
 * Bytes. A message is copied into one pool block at intake and the broker's buffer is let go at the
 * next poll. Borrowing was considered and rejected for now: one borrowed message pins its whole
 * fetch, a handler may outlive its assignment, and a client handle must not be destroyed while a
 * message is out, so every slow path would need the copy anyway: docs/adr/0004 has the number.
 *
 * Outcomes. The core says which outcome of which flight; the bytes are encoded here, right before
 * they are handed over, into one scratch arena a batch. What the transport does not take stays in
 * the backlog as (flight, outcome) and is encoded again: a flight keeps all it needs until its
 * RELEASE, so an unknown acknowledgement can always be answered by the same bytes again.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "grouping.h"
#include "hash.h"
#include "intake.h"
#include "letter.h"
#include "log.h"
#include "mem.h"
#include "outcome.h"
#include "pool.h"
#include "window.h"

#define EVENTS_MAX   1024u
#define ACTIONS_MAX  512u
#define MESSAGES_MAX 1000u
#define BATCH_MAX    256u
#define TURNS_MAX    4u /* steps in one turn before the transport is polled again */

struct job {
    struct dri_flight *flight;
    enum dri_outcome outcome;
};

struct dri_engine {
    struct dri_engine_config config; /* immutable */
    struct dri_core *core;           /* owned: pages, touched as far as flights are out */
    size_t core_bytes;
    struct dri_intake *intake;                   /* owned */
    struct dri_grouping *grouping;               /* owned */
    struct dri_outcomes *outcomes;               /* owned */
    struct dri_window *window;                   /* owned; NULL: none */
    struct dri_flight *gated_first, *gated_last; /* that the window gives back unrun, by next */

    struct dri_transport_event events[EVENTS_MAX];
    struct dri_core_event core_events[EVENTS_MAX];
    size_t core_events_count;
    struct dri_flight *done[EVENTS_MAX];
    struct dri_core_action actions[ACTIONS_MAX];

    struct job *backlog; /* owned ring: outcomes to publish, in order */
    size_t backlog_capacity, backlog_head, backlog_count;

    uint32_t *epochs; /* owned; by slot, of the last assignment; 0: there was none */
    bool is_quiet;

    struct dri_settle settles[ACTIONS_MAX];
    size_t settles_count;

    bool is_drained, is_clean, has_failed;
    struct dri_engine_stats stats;
};

static void crash_point(const struct dri_engine *engine, const char *name)
{
    if (engine->config.on_crash_point != NULL) {
        engine->config.on_crash_point(name);
    }
}

static enum dray_status create_window(struct dri_engine *engine)
{
    const struct dri_window_config config = {
        .slots_max = engine->config.core.slots_max,
        .entries_max = engine->config.window_entries,
        .bytes_max = engine->config.window_bytes,
        .longest_ms = engine->config.window_ms,
        .limits = engine->config.limits,
    };
    return dri_window_create(&config, &engine->window);
}

enum dray_status dri_engine_create(const struct dri_engine_config *config,
                                   struct dri_engine **ret_engine)
{
    DRI_ASSERT(config->transport != NULL && config->executor != NULL);
    struct dri_engine *engine = dri_zalloc(sizeof(*engine));
    if (engine == NULL) {
        return DRAY_ENOMEM;
    }
    engine->config = *config;
    size_t flights = (size_t)config->core.in_flight_max + config->core.unacked_max;
    engine->backlog_capacity = flights + 1;
    engine->backlog = dri_map(engine->backlog_capacity * sizeof(*engine->backlog));
    engine->core_bytes = dri_core_bytes(&config->core);
    engine->epochs = dri_zalloc_array(config->core.slots_max, sizeof(*engine->epochs));
    void *memory = dri_map(engine->core_bytes);
    enum dray_status status = DRAY_ENOMEM;
    if (memory != NULL && engine->backlog != NULL && engine->epochs != NULL) {
        engine->core = dri_core_init(memory, &config->core);
        DRI_ASSERT((void *)engine->core == memory);
        status = dri_intake_create(config, &engine->intake);
    } else {
        dri_unmap(memory, engine->core_bytes);
    }
    if (status == DRAY_OK) {
        status = dri_grouping_create(config, engine->core, engine->intake, &engine->grouping);
    }
    if (status == DRAY_OK && config->window_topic != NULL) {
        status = create_window(engine);
    }
    if (status == DRAY_OK) {
        status = dri_outcomes_create(config, engine->intake, engine->window, &engine->outcomes);
    }
    if (status != DRAY_OK) {
        dri_engine_destroy(engine);
        return status;
    }
    *ret_engine = engine;
    return DRAY_OK;
}

void dri_engine_destroy(struct dri_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    dri_outcomes_destroy(engine->outcomes);
    dri_grouping_destroy(engine->grouping);
    dri_intake_destroy(engine->intake);
    dri_window_destroy(engine->window);
    dri_unmap(engine->core, engine->core_bytes);
    dri_unmap(engine->backlog, engine->backlog_capacity * sizeof(*engine->backlog));
    dri_free(engine->epochs);
    dri_free(engine);
}

/* --- events in
 * ------------------------------------------------------------------------------------ */

static struct dri_core_event *next_core_event(struct dri_engine *engine)
{
    DRI_ASSERT(engine->core_events_count < EVENTS_MAX);
    struct dri_core_event *event = &engine->core_events[engine->core_events_count];
    engine->core_events_count++;
    return event;
}

static bool is_window_log(const struct dri_engine *engine, uint32_t slot)
{
    return engine->window != NULL && dri_window_is_log(engine->window, slot);
}

static void take_assigned(struct dri_engine *engine, const struct dri_transport_event *event)
{
    engine->stats.assignments++;
    DRI_ASSERT(event->slot < engine->config.core.slots_max);
    dri_intake_assigned(engine->intake, event);
    if (engine->window != NULL) {
        dri_window_assigned(engine->window, event);
    }
    if (is_window_log(engine, event->slot)) {
        return; /* its end and its messages are nobody else's */
    }
    engine->epochs[event->slot] = event->epoch;
    if (engine->is_quiet) {
        engine->config.transport_ops->pause(engine->config.transport, event->slot, event->epoch);
    }
    *next_core_event(engine) = (struct dri_core_event){
        .type = DRI_CE_ASSIGNED,
        .slot = event->slot,
        .epoch = event->epoch,
        .as.assigned = {.is_watermark = event->as.assigned.mode == DRI_SETTLE_WATERMARK,
                        .lease_ns = event->as.assigned.lease_ns,
                        .committed = event->as.assigned.committed,
                        .metadata = event->as.assigned.metadata},
    };
    DRI_LOG(DRI_LOG_INFO, "ENG-ASSIGNED", "source assigned",
            DRI_SLICE("source", event->as.assigned.origin), DRI_UINT("epoch", event->epoch),
            DRI_INT("committed", event->as.assigned.committed),
            DRI_UINT("metadata_bytes", event->as.assigned.metadata.len));
}

static void take_ended(struct dri_engine *engine, const struct dri_transport_event *event)
{
    bool is_lost = event->type == DRI_TE_LOST;
    *(is_lost ? &engine->stats.losses : &engine->stats.revocations) += 1;
    if (is_window_log(engine, event->slot)) {
        dri_window_ended(engine->window, event->slot, event->epoch);
        engine->stats.unassignments++;
        engine->config.transport_ops->unassign(engine->config.transport, event->slot, event->epoch);
        return;
    }
    *next_core_event(engine) = (struct dri_core_event){
        .type = is_lost ? DRI_CE_LOST : DRI_CE_REVOKED,
        .slot = event->slot,
        .epoch = event->epoch,
    };
    DRI_LOG(DRI_LOG_INFO, is_lost ? "ENG-LOST" : "ENG-REVOKED",
            is_lost ? "source lost" : "source revoked",
            DRI_TEXT("source", dri_intake_origin(engine->intake, event->slot)),
            DRI_UINT("epoch", event->epoch));
}

static void take_message(struct dri_engine *engine, struct dri_now now,
                         const struct dri_transport_event *event)
{
    if (is_window_log(engine, event->slot)) {
        engine->has_failed =
            engine->has_failed ||
            !dri_window_read(engine->window, now, event->slot, event->epoch, &event->as.message);
        return;
    }
    struct dri_flight *flight = dri_core_take(engine->core);
    DRI_ASSERT(flight != NULL); /* poll was told how many there is room for */
    engine->stats.messages++;
    engine->stats.bytes_in += event->as.message.value.len;
    if (!dri_intake_fill(engine->intake, now, event, flight)) {
        dri_core_untake(engine->core, flight);
        engine->has_failed = true; /* no memory for the bytes: the broker still has them */
        return;
    }
    dri_grouping_place(engine->grouping, flight);
    if (flight->invalid == DRAY_KIND_INVALID) {
        engine->stats.invalid++;
    }
    struct dri_core_event *core_event = next_core_event(engine);
    core_event->type = DRI_CE_RECORD;
    core_event->slot = event->slot;
    core_event->epoch = event->epoch;
    core_event->as.flight = flight;
}

/* Before the core hears of it: then whoever waits for this end is woken in the same step. */
static void note_window_stored(struct dri_engine *engine, struct dri_now now, uint64_t token)
{
    struct dri_flight *flight = dri_core_publishing(engine->core, token);
    if (flight == NULL || flight->outcome != DRI_OUTCOME_WINDOW) {
        return;
    }
    struct dray_slice record = dri_outcomes_window_record(engine->outcomes, now, flight);
    engine->has_failed = engine->has_failed || record.at == NULL ||
                         !dri_window_stored(engine->window, now, flight, record);
}

static void take_published(struct dri_engine *engine, struct dri_now now,
                           const struct dri_published *published)
{
    static const enum dri_core_ack acks[] = {
        [DRI_ACK_STORED] = DRI_CORE_STORED,
        [DRI_ACK_NOT_STORED] = DRI_CORE_NOT_STORED,
        [DRI_ACK_UNKNOWN] = DRI_CORE_UNKNOWN,
    };
    if (published->ack == DRI_ACK_STORED) {
        crash_point(engine, "after_publish");
        if (engine->window != NULL) {
            note_window_stored(engine, now, published->token);
        }
    } else if (published->ack == DRI_ACK_UNKNOWN) {
        struct dri_flight *flight = published->reason == DRAY_EEXISTS
                                        ? dri_core_publishing(engine->core, published->token)
                                        : NULL;
        if (flight != NULL) {
            flight->is_id_taken = true;
        }
        engine->stats.publish_unknown++;
    } else {
        engine->stats.publish_refused++;
        DRI_LOG(DRI_LOG_WARN, "ENG-REFUSED", "the broker refused an outcome",
                DRI_TEXT("reason", dray_status_text(published->reason)));
    }
    struct dri_core_event *event = next_core_event(engine);
    event->type = DRI_CE_PUBLISHED;
    event->as.published.token = published->token;
    event->as.published.ack = acks[published->ack];
    event->as.published.reason = published->reason;
}

static void take_error(struct dri_engine *engine, const struct dri_transport_event *event)
{
    bool is_fatal = dray_status_class(event->status) == DRAY_CLASS_FATAL;
    DRI_LOG(is_fatal ? DRI_LOG_ERROR : DRI_LOG_WARN, "ENG-BROKER", "the broker's client reports",
            DRI_SLICE("text", event->as.text), DRI_TEXT("status", dray_status_name(event->status)));
    engine->has_failed = engine->has_failed || is_fatal;
}

static void take_event(struct dri_engine *engine, struct dri_now now,
                       const struct dri_transport_event *event)
{
    switch (event->type) {
    case DRI_TE_ASSIGNED:
        take_assigned(engine, event);
        break;
    case DRI_TE_REVOKED:
    case DRI_TE_LOST:
        take_ended(engine, event);
        break;
    case DRI_TE_MESSAGE:
        take_message(engine, now, event);
        break;
    case DRI_TE_PUBLISHED:
        take_published(engine, now, &event->as.published);
        break;
    case DRI_TE_SETTLED: {
        crash_point(engine, "after_settle");
        struct dri_core_event *core_event = next_core_event(engine);
        core_event->type = DRI_CE_SETTLED;
        core_event->slot = event->slot;
        core_event->epoch = event->epoch;
        core_event->as.settled.position = event->as.position;
        core_event->as.settled.status = event->status;
        break;
    }
    case DRI_TE_ERROR:
        take_error(engine, event);
        break;
    case DRI_TE_CAUGHT_UP:
        break; /* the transport holds the commands back until then */
    }
}

/* --- actions out
 * ---------------------------------------------------------------------------------- */

static void flush_settles(struct dri_engine *engine, struct dri_now now)
{
    if (engine->settles_count > 0) {
        crash_point(engine, "before_settle");
        engine->config.transport_ops->settle(engine->config.transport, now, engine->settles,
                                             engine->settles_count);
        if (engine->settles[0].delivery != 0) {
            crash_point(engine, "after_settle"); /* nobody answers this kind */
        }
        engine->settles_count = 0;
    }
}

static void do_settle(struct dri_engine *engine, struct dri_now now,
                      const struct dri_core_action *action)
{
    if (engine->settles_count == ACTIONS_MAX) {
        flush_settles(engine, now);
    }
    engine->settles[engine->settles_count++] = (struct dri_settle){
        .slot = action->slot,
        .epoch = action->epoch,
        .position = action->as.settle.position,
        .delivery = action->as.settle.delivery,
        .metadata = action->as.settle.metadata,
        .is_final = action->as.settle.is_final,
    };
}

static void backlog_put(struct dri_engine *engine, struct dri_flight *flight,
                        enum dri_outcome outcome)
{
    DRI_ASSERT(engine->backlog_count < engine->backlog_capacity);
    size_t at = (engine->backlog_head + engine->backlog_count) % engine->backlog_capacity;
    engine->backlog[at] = (struct job){flight, outcome};
    engine->backlog_count++;
}

/* To its lane, unless the window says that it is not to be run, or not yet. */
static void start(struct dri_engine *engine, struct dri_now now, uint32_t lane,
                  struct dri_flight *flight)
{
    struct dri_executor *executor = engine->config.executor;
    char text[DRI_SOURCE_BYTES];
    enum dri_window_gate gate = DRI_WINDOW_RUN;
    if (engine->window != NULL && flight->window_ms != 0) {
        gate = dri_window_enter(engine->window, now, flight,
                                dri_intake_source(engine->intake, flight, text));
        engine->has_failed = engine->has_failed || gate == DRI_WINDOW_NO_MEMORY;
    } else {
        flight->has_window = false;
    }
    if (gate == DRI_WINDOW_RUN) {
        ((struct dri_executor_base *)(void *)executor)->ops->submit(executor, lane, flight);
        return;
    }
    flight->is_answered = gate == DRI_WINDOW_ANSWERED;
    flight->is_held = !flight->is_answered;
    flight->next = NULL; /* with a window it is alone */
    if (engine->gated_last != NULL) {
        engine->gated_last->next = flight;
    } else {
        engine->gated_first = flight;
    }
    engine->gated_last = flight;
}

static void do_action(struct dri_engine *engine, struct dri_now now,
                      const struct dri_core_action *action)
{
    struct dri_executor *executor = engine->config.executor;
    const struct dri_executor_ops *run = ((struct dri_executor_base *)(void *)executor)->ops;
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    struct dri_flight *flight = action->as.run.flight;

    switch (action->type) {
    case DRI_CA_START:
        start(engine, now, action->as.run.lane, flight);
        break;
    case DRI_CA_PUBLISH:
        backlog_put(engine, flight, action->as.run.outcome);
        break;
    case DRI_CA_SETTLE:
        do_settle(engine, now, action);
        break;
    case DRI_CA_EXTEND:
        ops->extend(engine->config.transport, now, action->slot, action->epoch, &flight->delivery,
                    1);
        break;
    case DRI_CA_CANCEL:
        run->cancel(executor, flight);
        break;
    case DRI_CA_UNASSIGN:
        flush_settles(engine, now);
        engine->stats.unassignments++;
        ops->unassign(engine->config.transport, action->slot, action->epoch);
        break;
    case DRI_CA_UNPARK:
    case DRI_CA_FORGET:
        break;
    case DRI_CA_RELEASE:
        run->release(executor, flight);
        if (flight->ticket != NULL) {
            dri_window_leave(engine->window, flight);
        }
        dri_intake_release(engine->intake, flight);
        break;
    case DRI_CA_DRAINED:
        engine->is_drained = true;
        engine->is_clean = action->as.is_clean;
        break;
    }
}

/* Encode and hand over what waits, in order, until the transport is full. */
static bool pump_backlog(struct dri_engine *engine, struct dri_now now)
{
    bool did_some = false;
    while (engine->backlog_count > 0) {
        struct dri_publish *batch = NULL;
        size_t jobs = 0;
        size_t count = 0;
        dri_outcomes_begin(engine->outcomes);
        while (jobs < engine->backlog_count && jobs < BATCH_MAX) {
            size_t at = (engine->backlog_head + jobs) % engine->backlog_capacity;
            if (!dri_outcomes_add(engine->outcomes, now, engine->backlog[at].flight,
                                  engine->backlog[at].outcome)) {
                break;
            }
            jobs++;
        }
        count = dri_outcomes_batch(engine->outcomes, &batch);
        crash_point(engine, "before_publish");
        size_t taken =
            engine->config.transport_ops->publish(engine->config.transport, now, batch, count);
        size_t done = dri_outcomes_jobs_of(engine->outcomes, taken);
        engine->stats.publishes += taken;
        engine->backlog_head = (engine->backlog_head + done) % engine->backlog_capacity;
        engine->backlog_count -= done;
        did_some = did_some || done > 0;
        if (done < jobs || jobs == 0) {
            break; /* full: the rest after the next acks */
        }
    }
    engine->stats.pointer_letters = dri_outcomes_pointers(engine->outcomes);
    return did_some;
}

static bool carry_out(struct dri_engine *engine, struct dri_now now)
{
    bool did_some = false;
    for (;;) {
        size_t count = dri_core_actions(engine->core, engine->actions, ACTIONS_MAX);
        for (size_t i = 0; i < count; i++) {
            do_action(engine, now, &engine->actions[i]);
        }
        if (count == 0) {
            break;
        }
        did_some = true;
    }
    flush_settles(engine, now);
    return pump_backlog(engine, now) || did_some;
}

/* --- the turn
 * ------------------------------------------------------------------------------------- */

static bool step(struct dri_engine *engine, struct dri_now now)
{
    size_t count = engine->core_events_count;
    engine->core_events_count = 0;
    dri_core_step(engine->core, now, engine->core_events, count);
    bool did_some = carry_out(engine, now);
    ((struct dri_executor_base *)(void *)engine->config.executor)
        ->ops->flush(engine->config.executor);
    return did_some || count > 0;
}

static void report_done(struct dri_engine *engine, enum dri_core_event_type type, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct dri_core_event *event = next_core_event(engine);
        event->type = type;
        event->slot = engine->done[i]->slot;
        event->epoch = engine->done[i]->epoch;
        event->as.flight = engine->done[i];
        dri_grouping_done(engine->grouping, engine->done[i]);
    }
}

static struct dri_flight *take_gated(struct dri_engine *engine)
{
    struct dri_flight *flight = engine->gated_first;
    if (flight != NULL) {
        engine->gated_first = flight->next;
        engine->gated_last = flight->next != NULL ? engine->gated_last : NULL;
    }
    return flight;
}

/* What the window keeps from its lane, and then what it lets go there: in this order one that was
 * held is known to wait before it is woken. */
static size_t collect_gated(struct dri_engine *engine)
{
    size_t count = 0;
    size_t room = EVENTS_MAX - engine->core_events_count;
    struct dri_flight *flight;
    for (; count < room && (flight = take_gated(engine)) != NULL; count++) {
        *next_core_event(engine) = (struct dri_core_event){
            .type = DRI_CE_DONE, .slot = flight->slot, .epoch = flight->epoch, .as.flight = flight};
    }
    for (; count < room && (flight = dri_window_take_woken(engine->window)) != NULL; count++) {
        *next_core_event(engine) = (struct dri_core_event){
            .type = DRI_CE_WAKE, .slot = flight->slot, .epoch = flight->epoch, .as.flight = flight};
    }
    return count;
}

static size_t collect(struct dri_engine *engine)
{
    size_t gated = engine->window != NULL ? collect_gated(engine) : 0;
    struct dri_executor *executor = engine->config.executor;
    const struct dri_executor_ops *run = ((struct dri_executor_base *)(void *)executor)->ops;
    size_t room = EVENTS_MAX - engine->core_events_count;
    size_t returned = run->take_returned(executor, engine->done, room);
    report_done(engine, DRI_CE_RETURNED, returned);
    size_t done = run->take(executor, engine->done, room - returned);
    report_done(engine, DRI_CE_DONE, done);
    return gated + returned + done;
}

enum dray_status dri_engine_turn(struct dri_engine *engine, struct dri_now now, bool *ret_idle)
{
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    bool has_more = false;
    bool has_news = dri_grouping_begin(engine->grouping);
    size_t room = dri_core_room(engine->core);
    size_t messages_max = room < MESSAGES_MAX ? room : MESSAGES_MAX;
    size_t count = ops->poll(engine->config.transport, now, messages_max, engine->events,
                             EVENTS_MAX, &has_more);
    uint64_t messages_before = engine->stats.messages;
    for (size_t i = 0; i < count; i++) {
        take_event(engine, now, &engine->events[i]);
    }
    if (engine->stats.messages != messages_before) {
        crash_point(engine, "after_receive");
    }
    bool did_some = step(engine, now);
    for (unsigned i = 0; i < TURNS_MAX && collect(engine) > 0; i++) {
        did_some = step(engine, now) || did_some;
    }
    dri_grouping_end(engine->grouping);
    *ret_idle = !did_some && count == 0 && !has_more && !has_news;
    return engine->has_failed ? DRAY_EFATAL : DRAY_OK;
}

uint64_t dri_engine_next_deadline(const struct dri_engine *engine)
{
    uint64_t core = dri_core_next_deadline(engine->core);
    uint64_t transport = engine->config.transport_ops->next_deadline(engine->config.transport);
    return core < transport ? core : transport;
}

void dri_engine_set_limits(struct dri_engine *engine, const struct dri_core_limits *limits)
{
    dri_core_set_limits(engine->core, limits);
}

/* An epoch that is gone is dropped by the transport, so nothing is forgotten when a slot ends. */
void dri_engine_set_quiet(struct dri_engine *engine, bool is_quiet)
{
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    engine->is_quiet = is_quiet;
    for (uint32_t slot = 0; slot < engine->config.core.slots_max; slot++) {
        if (engine->epochs[slot] != 0) {
            (is_quiet ? ops->pause : ops->resume)(engine->config.transport, slot,
                                                  engine->epochs[slot]);
        }
    }
}

void dri_engine_set_names(struct dri_engine *engine, const char *namespaces,
                          const char *const *reply_patterns, size_t count)
{
    dri_intake_set_namespaces(engine->intake, namespaces);
    dri_outcomes_set_patterns(engine->outcomes, reply_patterns, count);
}

static void send_to_core(struct dri_engine *engine, struct dri_now now,
                         enum dri_core_event_type type)
{
    (void)dri_grouping_begin(engine->grouping);
    *next_core_event(engine) = (struct dri_core_event){.type = type};
    (void)step(engine, now);
    dri_grouping_end(engine->grouping);
}

void dri_engine_drain(struct dri_engine *engine, struct dri_now now)
{
    send_to_core(engine, now, DRI_CE_DRAIN);
}

void dri_engine_stop(struct dri_engine *engine, struct dri_now now)
{
    send_to_core(engine, now, DRI_CE_STOP);
}

bool dri_engine_is_drained(const struct dri_engine *engine, bool *ret_clean)
{
    if (engine->is_drained) {
        *ret_clean = engine->is_clean;
    }
    return engine->is_drained;
}

const char *dri_engine_origin(const struct dri_engine *engine, uint32_t slot)
{
    return dri_intake_origin(engine->intake, slot);
}

void dri_engine_stats(const struct dri_engine *engine, struct dri_engine_stats *ret_stats,
                      struct dri_core_stats *ret_core)
{
    *ret_stats = engine->stats;
    if (engine->window != NULL) {
        struct dri_window_stats window;
        dri_window_stats(engine->window, &window);
        ret_stats->window_held = window.held;
        ret_stats->window_evicted = window.evicted;
        ret_stats->window_refused = window.refused;
        ret_stats->window_entries = window.entries;
        ret_stats->window_bytes = window.bytes;
    }
    dri_core_stats(engine->core, ret_core);
}
