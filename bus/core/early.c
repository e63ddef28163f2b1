/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "delay.h"
#include "machine.h"
#include "planted.h"

/* Commands whose time (not_before) has not come.
 *
 * A scheduled command takes its place in its key's order when it becomes due, not before: nothing
 * of its key waits for it. What is near waits here, WAITING and in no queue, for its own timer, so
 * it begins within the turn in which it is due. What is farther away than delay_after_ms goes to a
 * delay log (docs/adr/0012-schedules.md) and comes back as a new record, which is looked at as any
 * other. So it does when more than a quarter of in_flight_max waits for a time already: else many
 * commands for one moment would leave no place for those that can run now.
 *
 * Once due it stays due, also when the wall clock is set back: it has its place in the order. While
 * it waits the wall clock is looked at once a minute at least, because it may be set forward.
 */

#define WAIT_MAX_MS   60000u
#define WAITING_SHARE 4u /* of in_flight_max may wait for a time; the rest goes to a delay log */

static bool is_early(const struct dri_core *core, const struct dri_flight *flight)
{
    uint64_t wall_ms = core->now.wall_ms + (DRI_IS_PLANTED(RUN_EARLY) ? 1000 : 0);
    return flight->not_before_ms > wall_ms && !dri_lanes_is_expired(core, flight);
}

/* When to look at it again: when it may run, or will have expired. */
static uint64_t wait_ms(const struct dri_core *core, const struct dri_flight *flight)
{
    uint64_t until_ms = flight->not_before_ms;
    if (flight->deadline_ms != 0 && flight->deadline_ms < until_ms) {
        until_ms = flight->deadline_ms + 1;
    }
    return until_ms - core->now.wall_ms;
}

static bool is_far(const struct dri_core *core, const struct dri_flight *flight)
{
    const struct dri_core_config *config = &core->config;
    uint64_t ms = wait_ms(core, flight);
    bool is_crowded = core->states[DRI_FLIGHT_WAITING] >= config->in_flight_max / WAITING_SHARE;
    return config->delay_after_ms != 0 && !flight->is_delay_refused && ms >= DRI_DELAY_LEAST_MS &&
           (ms > config->delay_after_ms || is_crowded);
}

void dri_early_keep(struct dri_core *core, struct dri_flight *flight)
{
    flight->is_delay_refused = flight->is_delay_refused || flight->state == DRI_FLIGHT_PARKING;
    flight->is_early = true;
    uint64_t ms = is_early(core, flight) ? wait_ms(core, flight) : 0;
    dri_lanes_hold(core, flight,
                   dri_after_ms(core->now.mono_ns, ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS));
}

bool dri_early_takes(struct dri_core *core, struct dri_flight *flight)
{
    if (!is_early(core, flight)) {
        return false;
    }
    if (is_far(core, flight)) {
        dri_outcome_delay(core, flight);
    } else {
        dri_early_keep(core, flight);
    }
    return true;
}

void dri_early_due(struct dri_core *core, struct dri_flight *flight)
{
    if (dri_lanes_is_expired(core, flight)) {
        dri_lanes_expire(core, flight);
    } else if (!is_early(core, flight)) {
        flight->is_early = false;
        dri_flight_enter(core, flight);
    } else {
        uint64_t ms = wait_ms(core, flight);
        flight->due_ns = dri_after_ms(core->now.mono_ns, ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS);
        dri_timers_set(&core->timers, flight->index, flight->due_ns);
    }
}

bool dri_core_is_early(const struct dri_flight *flight)
{
    return flight->state == DRI_FLIGHT_WAITING && flight->is_early;
}

void dri_core_cancel(struct dri_core *core, struct dri_flight *flight, enum dray_error_kind kind)
{
    DRI_ASSERT(dri_core_is_early(flight));
    dri_timers_cancel(&core->timers, flight->index);
    dri_outcome_letter(core, flight, kind);
}
