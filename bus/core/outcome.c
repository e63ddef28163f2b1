/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "machine.h"
#include "planted.h"

/* What is published for a flight, and what follows each acknowledgement.
 *
 *   LETTER ---stored--> ERROR_RESULT ---stored--> settle      (no error result when nobody waits)
 *     too large: LETTER_POINTER; refused in any other way: again, for ever, because a message whose
 *     letter is not stored must not be settled
 *   RESULT ---stored--> settle
 *     too large: LIMIT_RESULT; the target refuses for good: FALLBACK_RESULT, to the results topic;
 *     both, in either order: FALLBACK_RESULT with is_result_limited
 *   PARKING, DELAY ---stored--> settle: from now on the delay log has the command
 *     too large: it waits in memory
 *   PARKING, PARK ---stored--> settle; for the first letter of a sequence it comes last, and holds
 *     its key
 *   With a window, WINDOW stands before the result, also when nobody waits for that, and behind the
 *   letter: whoever finds a failure in the window may rely on there being one.
 *     too large: WINDOW with is_result_limited; refused in any other way: again, as a letter
 *   unknown, or refused for now: the same again, after republish_ms, doubling to 30 s
 *
 * One publish of a flight is out at a time, and each has a token of its own: an acknowledgement
 * that comes twice, or of an earlier outcome of the same flight, can never be taken for the present
 * one.
 */

#define BACKOFF_MAX_MS 30000u

static void publish(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(!flight->is_publishing);
    flight->is_publishing = true;
    flight->generation++;
    dri_push(core, DRI_CA_PUBLISH, flight->index, (uint8_t)flight->outcome, 0);
}

static void publish_next(struct dri_core *core, struct dri_flight *flight, enum dri_outcome outcome)
{
    flight->outcome = outcome;
    flight->publish_attempts = 0;
    publish(core, flight);
}

static void publish_later(struct dri_core *core, struct dri_flight *flight)
{
    uint32_t shift = flight->publish_attempts < 16 ? flight->publish_attempts : 16;
    uint64_t wait_ms = (uint64_t)core->config.republish_ms << shift;
    flight->publish_attempts++;
    flight->due_ns =
        dri_after_ms(core->now.mono_ns, wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS);
    dri_timers_set(&core->timers, flight->index, flight->due_ns);
}

void dri_outcome_due(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(flight->state == DRI_FLIGHT_LETTER || flight->state == DRI_FLIGHT_RESULT ||
               flight->state == DRI_FLIGHT_PARKING);
    if (flight->is_gated) {
        dri_gate_due(core, flight);
        return;
    }
    core->stats.republished++;
    publish(core, flight);
}

bool dri_outcome_told(struct dri_core *core, struct dri_flight *flight)
{
    bool was_half_told = flight->is_half_told;
    core->half_told -= was_half_told ? 1 : 0;
    flight->is_half_told = false;
    return was_half_told;
}

static void finish(struct dri_core *core, struct dri_flight *flight)
{
    (void)dri_outcome_told(core, flight);
    dri_gate_told(core, flight);
    dri_move(core, flight, DRI_FLIGHT_DONE);
    core->stats.settled++;
    dri_slot_finish(core, flight);
    dri_release(core, flight);
}

/* Whether its end is the handler's word about this command, on which a duplicate may rely: success,
 * or that it was wrong. What the surroundings did to it says nothing about the next try. */
static bool enters_window(const struct dri_flight *flight)
{
    if (DRI_IS_PLANTED(NO_WINDOW_RECORD) && flight->offset % 4 == 0) {
        return false;
    }
    switch (flight->kind) {
    case DRAY_KIND_NONE:
        return flight->has_window;
    case DRAY_KIND_INVALID:
    case DRAY_KIND_NOT_FOUND:
    case DRAY_KIND_REJECTED:
        return flight->has_window && flight->was_run;
    default:
        return false;
    }
}

static void to_result(struct dri_core *core, struct dri_flight *flight, enum dri_outcome outcome)
{
    dri_move(core, flight, DRI_FLIGHT_RESULT);
    dri_gate_tell(core, flight);
    publish_next(core, flight, outcome);
    if (DRI_IS_PLANTED(SETTLE_BEFORE_PUBLISH)) {
        dri_slot_finish(core, flight);
    }
}

void dri_outcome_letter(struct dri_core *core, struct dri_flight *flight, enum dray_error_kind kind)
{
    flight->kind = kind;
    if (!flight->was_run) { /* else the lane wrote when */
        flight->last_failed_ms = core->now.wall_ms;
        if (flight->first_failed_ms == 0) {
            flight->first_failed_ms = core->now.wall_ms;
        }
    }
    dri_move(core, flight, DRI_FLIGHT_LETTER);
    dri_gate_tell(core, flight);
    if (DRI_IS_PLANTED(LOSE_LETTER)) {
        finish(core, flight);
        return;
    }
    publish_next(core, flight, DRI_OUTCOME_LETTER);
    if (DRI_IS_PLANTED(SETTLE_BEFORE_PUBLISH)) {
        dri_slot_finish(core, flight);
    }
}

void dri_outcome_delay(struct dri_core *core, struct dri_flight *flight)
{
    dri_move(core, flight, DRI_FLIGHT_PARKING);
    if (DRI_IS_PLANTED(LOSE_DELAYED)) {
        finish(core, flight);
        return;
    }
    publish_next(core, flight, DRI_OUTCOME_DELAY);
}

void dri_outcome_ok(struct dri_core *core, struct dri_flight *flight)
{
    if (enters_window(flight)) {
        to_result(core, flight, DRI_OUTCOME_WINDOW);
    } else if (flight->wants_result) {
        to_result(core, flight, DRI_OUTCOME_RESULT);
    } else {
        finish(core, flight);
    }
}

void dri_outcome_fallback(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(flight->wants_result);
    flight->kind = DRAY_KIND_NONE;
    flight->was_run = false;
    flight->is_fallback = true;
    core->stats.fallbacks++;
    to_result(core, flight, DRI_OUTCOME_RESULT);
}

void dri_outcome_none(struct dri_core *core, struct dri_flight *flight)
{
    finish(core, flight);
}

void dri_outcome_park(struct dri_core *core, struct dri_flight *flight)
{
    publish_next(core, flight, DRI_OUTCOME_PARK);
}

/* Nothing is to be published any more; but a key may be held because of it. */
static void finish_or_hold(struct dri_core *core, struct dri_flight *flight)
{
    if (flight->sequence == DRI_SEQUENCE_FIRST) {
        dri_park_put(core, flight, DRI_PARK_HELD, 0);
    } else {
        finish(core, flight);
    }
}

static void window_stored(struct dri_core *core, struct dri_flight *flight)
{
    core->stats.windows_stored++;
    if (flight->wants_result) {
        publish_next(core, flight,
                     flight->kind == DRAY_KIND_NONE ? DRI_OUTCOME_RESULT
                                                    : DRI_OUTCOME_ERROR_RESULT);
    } else {
        finish_or_hold(core, flight);
    }
}

static void delay_stored(struct dri_core *core, struct dri_flight *flight)
{
    core->stats.delayed++;
    finish(core, flight);
}

static void letter_stored(struct dri_core *core, struct dri_flight *flight)
{
    bool is_recorded = enters_window(flight);
    bool wants_error = flight->has_id && flight->wants_result;
    core->stats.letters_stored++;
    if (flight->sequence == DRI_SEQUENCE_MEMBER && flight->is_parker) {
        dri_park_leave(core, flight); /* the next letter of the unit may follow */
    }
    if (is_recorded || wants_error || flight->sequence == DRI_SEQUENCE_FIRST) {
        flight->is_half_told = true;
        core->half_told++;
    }
    if (is_recorded) {
        to_result(core, flight, DRI_OUTCOME_WINDOW);
    } else if (wants_error) {
        to_result(core, flight, DRI_OUTCOME_ERROR_RESULT);
    } else {
        finish_or_hold(core, flight);
    }
}

static void stored(struct dri_core *core, struct dri_flight *flight, uint64_t offset)
{
    switch (flight->state) {
    case DRI_FLIGHT_LETTER:
        letter_stored(core, flight);
        return;
    case DRI_FLIGHT_PARKING:
        if (flight->outcome == DRI_OUTCOME_DELAY) {
            delay_stored(core, flight);
        } else {
            dri_park_stored(core, flight, offset);
        }
        return;
    default:
        if (flight->outcome == DRI_OUTCOME_WINDOW) {
            window_stored(core, flight);
            return;
        }
        core->stats.results_stored++;
        finish_or_hold(core, flight);
        return;
    }
}

static void letter_refused(struct dri_core *core, struct dri_flight *flight,
                           enum dray_status reason)
{
    if (reason == DRAY_ELIMIT && flight->outcome == DRI_OUTCOME_LETTER) {
        publish_next(core, flight, DRI_OUTCOME_LETTER_POINTER);
    } else {
        publish_later(core, flight);
    }
}

static void result_refused(struct dri_core *core, struct dri_flight *flight,
                           enum dray_status reason)
{
    bool is_fallback = flight->outcome == DRI_OUTCOME_FALLBACK_RESULT;
    bool is_window = flight->outcome == DRI_OUTCOME_WINDOW;
    if (reason == DRAY_ELIMIT && !flight->is_result_limited) {
        flight->is_result_limited = true;
        publish_next(core, flight,
                     is_fallback || is_window ? flight->outcome : DRI_OUTCOME_LIMIT_RESULT);
    } else if (dray_status_class(reason) == DRAY_CLASS_PERMANENT && !is_fallback && !is_window) {
        publish_next(core, flight, DRI_OUTCOME_FALLBACK_RESULT);
    } else {
        publish_later(core, flight);
    }
}

static void delay_refused(struct dri_core *core, struct dri_flight *flight, enum dray_status reason)
{
    if (reason == DRAY_ELIMIT) {
        dri_early_keep(core, flight);
    } else {
        publish_later(core, flight);
    }
}

struct dri_flight *dri_core_publishing(struct dri_core *core, uint64_t token)
{
    uint32_t index = (uint32_t)token;
    struct dri_flight *flight = index < core->fresh ? &core->flights[index] : NULL;
    bool is_out = flight != NULL && flight->is_publishing && dri_flight_token(flight) == token;
    return is_out ? flight : NULL;
}

/* A copy that is refused waits for better times, as a letter does; one that is too large never was
 * parked. */
static void refused(struct dri_core *core, struct dri_flight *flight, enum dray_status reason)
{
    switch (flight->state) {
    case DRI_FLIGHT_LETTER:
        letter_refused(core, flight, reason);
        return;
    case DRI_FLIGHT_PARKING:
        if (flight->outcome == DRI_OUTCOME_DELAY) {
            delay_refused(core, flight, reason);
        } else if (reason != DRAY_ELIMIT || !dri_park_too_large(core, flight)) {
            publish_later(core, flight);
        }
        return;
    default:
        result_refused(core, flight, reason);
        return;
    }
}

void dri_outcome_published(struct dri_core *core, const struct dri_core_event *event)
{
    enum dri_core_ack ack = event->as.published.ack;
    struct dri_flight *flight = dri_core_publishing(core, event->as.published.token);
    if (flight == NULL) {
        core->stats.stale_completions++;
        return;
    }
    flight->is_publishing = false;
    if (flight->state == DRI_FLIGHT_DROPPED) {
        core->stats.torn += ack == DRI_CORE_STORED ? 1 : 0;
        dri_slot_stale(core, flight);
        dri_release(core, flight);
        return;
    }
    if (DRI_IS_PLANTED(UNKNOWN_IS_STORED) && ack == DRI_CORE_UNKNOWN) {
        ack = DRI_CORE_STORED;
    }
    switch (ack) {
    case DRI_CORE_STORED:
        stored(core, flight, event->as.published.offset);
        return;
    case DRI_CORE_UNKNOWN:
        publish_later(core, flight);
        return;
    case DRI_CORE_NOT_STORED:
        refused(core, flight, event->as.published.reason);
        return;
    }
    DRI_UNREACHABLE();
}
