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
 * Outcomes wait in a backlog and are encoded when they are handed over: engine_publish.c.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "cancelled.h"
#include "engine_private.h"
#include "groups.h"
#include "hash.h"
#include "letter.h"
#include "log.h"
#include "mem.h"
#include "pool.h"
#include "prefetch.h"

#define MESSAGES_MAX 1000u
#define NARROW_MAX   32u
#define TURNS_MAX    4u /* steps in one turn before the transport is polled again */

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
    DRI_ASSERT(config->park_topic != NULL || config->core.park_max == 0);
    bool has_backlogs =
        dri_backlog_init(&engine->backlog, &config->core) &&
        (config->transaction_ms == 0 || dri_backlog_init(&engine->second, &config->core));
    engine->core_bytes = dri_core_bytes(&config->core);
    engine->epochs = dri_zalloc_array(config->core.slots_max, sizeof(*engine->epochs));
    engine->hold.slots = dri_zalloc_array(config->core.slots_max, sizeof(*engine->hold.slots));
    void *memory = dri_map(engine->core_bytes);
    enum dray_status status = DRAY_ENOMEM;
    if (memory != NULL && has_backlogs && engine->epochs != NULL && engine->hold.slots != NULL) {
        engine->core = dri_core_init(memory, &config->core);
        DRI_ASSERT((void *)engine->core == memory);
        status = dri_intake_create(config, &engine->intake);
    } else {
        dri_unmap(memory, engine->core_bytes);
    }
    if (status == DRAY_OK && config->transaction_ms != 0) {
        status = dri_transaction_create(config->transaction_ms, config->core.slots_max,
                                        &engine->transaction);
    }
    if (status == DRAY_OK) {
        status = dri_grouping_create(config, engine->core, engine->intake, &engine->grouping);
    }
    if (status == DRAY_OK && config->park_topic != NULL) {
        status = dri_parking_create(config, engine->intake, engine->grouping, &engine->parking);
    }
    if (status == DRAY_OK && config->window_topic != NULL) {
        status = create_window(engine);
    }
    if (status == DRAY_OK) {
        status = dri_outcomes_create(config, engine->intake, engine->parking, engine->window,
                                     &engine->outcomes);
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
    dri_parking_destroy(engine->parking);
    dri_grouping_destroy(engine->grouping);
    dri_intake_destroy(engine->intake);
    dri_window_destroy(engine->window);
    dri_unmap(engine->core, engine->core_bytes);
    dri_transaction_destroy(engine->transaction);
    dri_backlog_fini(&engine->backlog);
    dri_backlog_fini(&engine->second);
    dri_free(engine->hold.slots);
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

/* There are six delay logs for each partition of commands: they would hide the rest. */
static enum dri_log_level level_of(const struct dri_engine *engine, uint32_t slot)
{
    bool is_delay = dri_intake_role(engine->intake, slot) == DRI_ROLE_DELAY;
    return is_delay ? DRI_LOG_DEBUG : DRI_LOG_INFO;
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
    dri_engine_hold_forget(engine, event->slot);
    if (event->as.assigned.role == DRI_ROLE_COMMANDS && event->as.assigned.partition == 0) {
        engine->first_slot = event->slot;
        engine->has_first = true;
    }
    if (engine->transaction != NULL) {
        dri_transaction_assigned(engine->transaction, event->slot);
    }
    bool is_park = event->as.assigned.role == DRI_ROLE_PARK;
    if (engine->is_quiet || (engine->is_narrow && !is_park)) {
        engine->config.transport_ops->pause(engine->config.transport, event->slot, event->epoch);
    }
    *next_core_event(engine) = (struct dri_core_event){
        .type = DRI_CE_ASSIGNED,
        .slot = event->slot,
        .epoch = event->epoch,
        .as.assigned = {.is_watermark = event->as.assigned.mode == DRI_SETTLE_WATERMARK,
                        .lease_ns = event->as.assigned.lease_ns,
                        .committed = event->as.assigned.committed,
                        .is_park = is_park && engine->parking != NULL,
                        .park = event->as.assigned.park,
                        .origin_hash = dri_hash64(event->as.assigned.origin),
                        .metadata = event->as.assigned.metadata},
    };
    DRI_LOG(level_of(engine, event->slot), "ENG-ASSIGNED", "source assigned",
            DRI_SLICE("source", event->as.assigned.origin), DRI_UINT("epoch", event->epoch),
            DRI_INT("committed", event->as.assigned.committed),
            DRI_UINT("metadata_bytes", event->as.assigned.metadata.len));
}

static void take_ended(struct dri_engine *engine, const struct dri_transport_event *event)
{
    bool is_lost = event->type == DRI_TE_LOST;
    *(is_lost ? &engine->stats.losses : &engine->stats.revocations) += 1;
    engine->has_first = engine->has_first && engine->first_slot != event->slot;
    dri_engine_hold_forget(engine, event->slot);
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
    DRI_LOG(level_of(engine, event->slot), is_lost ? "ENG-LOST" : "ENG-REVOKED",
            is_lost ? "source lost" : "source revoked",
            DRI_TEXT("source", dri_intake_origin(engine->intake, event->slot)),
            DRI_UINT("epoch", event->epoch));
}

static void take_parked(struct dri_engine *engine, struct dri_now now,
                        const struct dri_transport_event *event)
{
    struct dri_core_parked *parked = &engine->parked[engine->core_events_count];
    if (!dri_parking_read(engine->parking, now, event, parked)) {
        engine->has_failed = true;
        return;
    }
    struct dri_core_event *core_event = next_core_event(engine);
    core_event->type = DRI_CE_PARKED;
    core_event->slot = event->slot;
    core_event->epoch = event->epoch;
    core_event->as.parked = parked;
    dri_engine_hold_note(engine, event->slot);
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
    engine->stats.messages++;
    if (engine->transaction != NULL) {
        dri_transaction_received(engine->transaction, event->slot, event->as.message.offset);
    }
    engine->stats.bytes_in += event->as.message.value.len;
    if (engine->parking != NULL && dri_intake_role(engine->intake, event->slot) == DRI_ROLE_PARK) {
        take_parked(engine, now, event);
        return;
    }
    /* Poll was told how many there is room for. */
    struct dri_flight *flight =
        engine->is_narrow ? dri_core_take_late(engine->core) : dri_core_take(engine->core);
    DRI_ASSERT(flight != NULL || engine->is_narrow);
    if (flight == NULL) {
        engine->has_failed = true; /* the broker still has it */
        return;
    }
    if (!dri_intake_fill(engine->intake, now, event, flight)) {
        dri_core_untake(engine->core, flight);
        engine->has_failed = true; /* no memory for the bytes: the broker still has them */
        return;
    }
    dri_grouping_place(engine->grouping, flight);
    if (flight->invalid == DRAY_KIND_INVALID) {
        engine->stats.invalid++;
    }
    engine->stats.cancelled += flight->invalid == DRAY_KIND_REJECTED;
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
    if (engine->transaction != NULL) {
        dri_transaction_answered(engine->transaction);
    }
    if (published->ack == DRI_ACK_STORED) {
        dri_engine_crash_point(engine, "after_publish");
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
    event->as.published.offset = published->offset;
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
        dri_engine_crash_point(engine, "after_settle");
        struct dri_core_event *core_event = next_core_event(engine);
        core_event->type = DRI_CE_SETTLED;
        core_event->slot = event->slot;
        core_event->epoch = event->epoch;
        core_event->as.settled.position = event->as.position;
        core_event->as.settled.status = event->status;
        break;
    }
    case DRI_TE_TRANSACTION:
        dri_engine_crash_point(engine, "after_commit");
        engine->stats.transactions += event->status == DRAY_OK ? 1 : 0;
        engine->stats.transactions_void += event->status == DRAY_OK ? 0 : 1;
        dri_transaction_ended(engine->transaction, now, dri_core_torn(engine->core));
        break;
    case DRI_TE_ERROR:
        take_error(engine, event);
        break;
    case DRI_TE_CAUGHT_UP:
        if (dri_intake_role(engine->intake, event->slot) == DRI_ROLE_PARK) {
            *next_core_event(engine) = (struct dri_core_event){
                .type = DRI_CE_CAUGHT_UP, .slot = event->slot, .epoch = event->epoch};
        }
        break;
    }
}

/* --- actions out
 * ---------------------------------------------------------------------------------- */

static void flush_settles(struct dri_engine *engine, struct dri_now now)
{
    if (engine->settles_count > 0) {
        dri_engine_crash_point(engine, "before_settle");
        engine->config.transport_ops->settle(engine->config.transport, now, engine->settles,
                                             engine->settles_count);
        if (engine->settles[0].delivery != 0) {
            dri_engine_crash_point(engine, "after_settle"); /* nobody answers this kind */
        }
        engine->settles_count = 0;
    }
}

bool dri_engine_is_strained(const struct dri_engine *engine, uint32_t slot)
{
    return engine->transaction != NULL && dri_transaction_is_strained(engine->transaction, slot);
}

static bool is_narrowed(const struct dri_engine *engine, uint32_t slot)
{
    return engine->is_narrow && dri_intake_role(engine->intake, slot) != DRI_ROLE_PARK;
}

static void note_settle(struct dri_engine *engine, struct dri_now now,
                        const struct dri_settle *settle)
{
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    switch (
        dri_transaction_settled(engine->transaction, now, settle, dri_core_torn(engine->core))) {
    case DRI_STRAIN_PAUSE:
        engine->stats.metadata_pauses++;
        ops->pause(engine->config.transport, settle->slot, settle->epoch);
        break;
    case DRI_STRAIN_RESUME:
        if (!engine->is_quiet && !is_narrowed(engine, settle->slot) &&
            !dri_engine_is_held(engine, settle->slot)) {
            ops->resume(engine->config.transport, settle->slot, settle->epoch);
        }
        break;
    case DRI_STRAIN_SAME:
        break;
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
    if (engine->transaction != NULL) {
        note_settle(engine, now, &engine->settles[engine->settles_count - 1]);
    }
}

/* It goes to the core with the next step. */
static void do_unpark(struct dri_engine *engine, struct dri_now now,
                      const struct dri_core_action *action)
{
    struct dri_flight *flight = dri_core_take_parked(engine->core, action->as.parked.entry);
    if (engine->core_events_count == EVENTS_MAX ||
        !dri_parking_fill(engine->parking, now, action->as.parked.place, flight)) {
        dri_core_untake(engine->core, flight);
        return;
    }
    struct dri_core_event *event = next_core_event(engine);
    event->type = DRI_CE_RECORD;
    event->slot = flight->slot;
    event->epoch = flight->epoch;
    event->as.flight = flight;
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
        dri_grouping_answer(engine->grouping, flight);
        dri_engine_backlog_put(engine, flight, action->as.run.outcome);
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
        do_unpark(engine, now, action);
        break;
    case DRI_CA_FORGET:
        dri_parking_forget(engine->parking, action->as.parked.place);
        break;
    case DRI_CA_RELEASE:
        DRI_ASSERT(flight->state == DRI_FLIGHT_FREE); /* nobody has taken it again */
        run->release(executor, flight);
        dri_grouping_released(engine->grouping, flight);
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
    return dri_engine_publish(engine, now) || did_some;
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
        if (count - i > DRI_PREFETCH_FAR) {
            dri_prefetch(engine->done[i + DRI_PREFETCH_FAR], DRI_FLIGHT_RUN_BYTES);
        }
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

static bool step_with(struct dri_engine *engine, struct dri_now now, enum dri_core_event_type type)
{
    *next_core_event(engine) = (struct dri_core_event){.type = type};
    return step(engine, now);
}

/* Whatever of the transaction is due. */
static bool transact(struct dri_engine *engine, struct dri_now now)
{
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    uint32_t half_told = dri_core_half_told(engine->core);
    bool is_void = true;
    switch (dri_transaction_due(engine->transaction, now, half_told)) {
    case DRI_TRANSACTION_GO_ON:
        return false;
    case DRI_TRANSACTION_BARRIER:
        (void)step_with(engine, now, DRI_CE_BARRIER);
        is_void = !dri_transaction_close(engine->transaction, dri_core_is_whole(engine->core),
                                         dri_core_torn(engine->core));
        break;
    case DRI_TRANSACTION_GIVE_UP:
        break;
    }
    dri_engine_crash_point(engine, "before_commit");
    ops->commit(engine->config.transport, now, is_void);
    return true;
}

struct cancelling {
    struct dri_engine *engine;
    struct dri_now now;
};

static void cancel_early(void *arg, struct dri_flight *flight)
{
    const struct cancelling *cancelling = arg;
    struct dri_engine *engine = cancelling->engine;
    if (dri_core_is_early(flight) && dri_intake_cancel(engine->intake, cancelling->now, flight)) {
        engine->stats.cancelled++;
        dri_core_cancel(engine->core, flight, flight->invalid);
    }
}

/* What came after the command that it cancels. Whether the core wants a step. */
static bool look_for_cancelled(struct dri_engine *engine, struct dri_now now)
{
    struct dri_cancelled *cancelled = engine->config.cancelled;
    uint64_t version = cancelled != NULL ? dri_cancelled_version(cancelled) : 0;
    if (version == engine->cancelled_version) {
        return false;
    }
    engine->cancelled_version = version;
    struct cancelling cancelling = {.engine = engine, .now = now};
    dri_intake_each(engine->intake, cancel_early, &cancelling);
    return true;
}

/* Pause what is no park log, or resume it. */
static void set_narrow(struct dri_engine *engine, bool is_narrow)
{
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    if (engine->is_narrow == is_narrow) {
        return;
    }
    engine->is_narrow = is_narrow;
    for (uint32_t slot = 0; slot < engine->config.core.slots_max && !engine->is_quiet; slot++) {
        if (engine->epochs[slot] != 0 && !dri_engine_is_strained(engine, slot) &&
            dri_intake_role(engine->intake, slot) != DRI_ROLE_PARK) {
            (is_narrow ? ops->pause : ops->resume)(engine->config.transport, slot,
                                                   engine->epochs[slot]);
        }
    }
}

/* How many messages may come, and of what. */
static size_t messages_max_of(struct dri_engine *engine)
{
    size_t room = dri_core_room(engine->core);
    size_t max = room < MESSAGES_MAX ? room : MESSAGES_MAX;
    if (engine->parking == NULL) {
        return max;
    }
    set_narrow(engine, room == 0 && dri_core_wants_parked(engine->core));
    if (engine->is_narrow || (max > NARROW_MAX && dri_core_is_park_tight(engine->core, max))) {
        max = NARROW_MAX;
    }
    uint32_t park_room = dri_core_park_room(engine->core);
    return max < park_room ? max : park_room;
}

/* What a message brings was written by a thread of the client library. */
static void look_ahead(const struct dri_transport_event *event)
{
    if (event->type == DRI_TE_MESSAGE) {
        dri_prefetch_slice(event->as.message.value);
        dri_prefetch_slice(event->as.message.key);
        dri_prefetch_slice(event->as.message.headers);
    }
}

/* What is assigned brings its first messages in the same poll, and is paused only then. With no
 * room for them it is asked first whether anything was: then the messages wait for the next turn.
 */
static size_t poll(struct dri_engine *engine, struct dri_now now, bool *ret_more)
{
    const struct dri_transport_ops *ops = engine->config.transport_ops;
    size_t messages_max = messages_max_of(engine);
    size_t max = EVENTS_MAX - engine->core_events_count;
    size_t count = 0;
    if (engine->is_narrow) {
        count = ops->poll(engine->config.transport, now, 0, engine->events, max, ret_more);
    }
    return count > 0 ? count
                     : ops->poll(engine->config.transport, now, messages_max, engine->events, max,
                                 ret_more);
}

enum dray_status dri_engine_turn(struct dri_engine *engine, struct dri_now now, bool *ret_idle)
{
    bool has_more = false;
    bool has_news = dri_grouping_begin(engine->grouping);
    has_news = look_for_cancelled(engine, now) || has_news;
    size_t count = poll(engine, now, &has_more);
    uint64_t messages_before = engine->stats.messages;
    for (size_t i = 0; i < count; i++) {
        if (count - i > DRI_PREFETCH_NEAR) {
            look_ahead(&engine->events[i + DRI_PREFETCH_NEAR]);
        }
        take_event(engine, now, &engine->events[i]);
    }
    if (engine->stats.messages != messages_before) {
        dri_engine_crash_point(engine, "after_receive");
    }
    bool did_some = step(engine, now);
    for (unsigned i = 0; i < TURNS_MAX && (collect(engine) > 0 || engine->core_events_count > 0);
         i++) {
        did_some = step(engine, now) || did_some;
    }
    if (engine->transaction != NULL) {
        did_some = transact(engine, now) || did_some;
    }
    dri_grouping_end(engine->grouping);
    if (engine->parking != NULL) {
        dri_engine_hold_look(engine, now);
    }
    *ret_idle = !did_some && count == 0 && !has_more && !has_news && engine->core_events_count == 0;
    return engine->has_failed ? DRAY_EFATAL : DRAY_OK;
}

uint64_t dri_engine_next_deadline(const struct dri_engine *engine)
{
    uint64_t core = dri_core_next_deadline(engine->core);
    uint64_t transport = engine->config.transport_ops->next_deadline(engine->config.transport);
    uint64_t deadline = core < transport ? core : transport;
    uint64_t hold = dri_engine_hold_deadline(engine);
    deadline = hold < deadline ? hold : deadline;
    if (engine->transaction != NULL) {
        uint64_t own = dri_transaction_deadline(engine->transaction);
        deadline = own < deadline ? own : deadline;
    }
    return deadline;
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
        if (engine->epochs[slot] != 0 && !dri_engine_is_strained(engine, slot) &&
            !dri_engine_is_held(engine, slot)) {
            (is_quiet || is_narrowed(engine, slot) ? ops->pause : ops->resume)(
                engine->config.transport, slot, engine->epochs[slot]);
        }
    }
}

void dri_engine_set_names(struct dri_engine *engine, const char *namespaces,
                          const char *const *reply_patterns, size_t count)
{
    dri_intake_set_namespaces(engine->intake, namespaces);
    dri_outcomes_set_patterns(engine->outcomes, reply_patterns, count);
}

void dri_engine_set_replicas(struct dri_engine *engine, uint32_t replicas)
{
    dri_grouping_set_replicas(engine->grouping, replicas);
}

static void send_to_core(struct dri_engine *engine, struct dri_now now,
                         enum dri_core_event_type type)
{
    (void)dri_grouping_begin(engine->grouping);
    (void)step_with(engine, now, type);
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

void dri_engine_each_limit(const struct dri_engine *engine, dri_route_limit_fn *fn, void *arg)
{
    dri_grouping_each_limit(engine->grouping, fn, arg);
}

bool dri_engine_has_first(const struct dri_engine *engine)
{
    return engine->has_first;
}

void dri_engine_stats(const struct dri_engine *engine, struct dri_engine_stats *ret_stats,
                      struct dri_core_stats *ret_core)
{
    *ret_stats = engine->stats;
    ret_stats->parks_held = engine->hold.count;
    if (engine->parking != NULL) {
        dri_parking_stats(engine->parking, &ret_stats->spool_kept, &ret_stats->spool_bytes);
    }
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
