/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "machine.h"
#include "planted.h"

/* The end: drain finishes what was taken in, stop does not.
 *
 * A drain runs what is queued and publishes what was run. A flight that waits for a time (a retry,
 * a scheduled one) is not waited for: it is dropped together with what stands behind it in its key,
 * because those would overtake it when it comes again. So is what stands behind a handler that is
 * deaf, whose own command has its outcome, and what stands behind something that is parked. What is
 * parked is no flight, and is not waited for. When nothing is out any more, every slot is
 * settled for the last time; when all of that is answered the drain is over, and clean. drain_ms
 * bounds it; what is left then is dropped, settles that may still be sent are sent, and it is not
 * clean.
 *
 * A drain ends flights, not assignments: the transport leaves the group, and what it reports then
 * (REVOKED) is answered as ever.
 */

void dri_drain_begin(struct dri_core *core)
{
    if (core->is_draining || core->is_stopped) {
        return;
    }
    core->is_draining = true;
    dri_timers_set(&core->timers, dri_drain_timer_id(core),
                   dri_after_ms(core->now.mono_ns, core->config.drain_ms));
    for (uint32_t i = 0; i < core->fresh; i++) {
        struct dri_flight *flight = &core->flights[i];
        if (flight->state == DRI_FLIGHT_WAITING) {
            dri_lanes_give_up_key(core, flight);
        } else if (flight->is_deaf) {
            dri_lanes_give_up_held(core, flight);
        } else if (flight->is_gated) {
            dri_gate_end(core, flight, &core->stats.dropped_on_drain);
        } else if (flight->state == DRI_FLIGHT_QUEUED && core->parked_keys_used > 0) {
            dri_lanes_update(core, flight); /* behind what is parked: given up in this step */
        } else if (DRI_IS_PLANTED(DRAIN_DROPS) && flight->state == DRI_FLIGHT_QUEUED) {
            dri_slot_finish(core, flight);
            dri_slot_give_up(core, flight, &core->stats.dropped_on_drain);
        }
    }
}

static void drained(struct dri_core *core, bool is_clean)
{
    core->is_drained = true;
    core->is_clean = is_clean;
    dri_timers_cancel(&core->timers, dri_drain_timer_id(core));
    dri_push(core, DRI_CA_DRAINED, 0, 0, 0);
}

void dri_drain_end_now(struct dri_core *core)
{
    uint64_t position;
    if (core->is_drained) {
        core->is_stopped = true;
        return;
    }
    core->is_draining = true;
    core->is_stopped = true;
    for (uint32_t i = 0; i < core->fresh; i++) {
        if (core->flights[i].is_tracked) {
            dri_slot_give_up(core, &core->flights[i], &core->stats.dropped_on_drain);
        }
    }
    for (uint32_t i = 0; i < core->slots_end; i++) {
        if (dri_slot_needs_settle(&core->slots[i], &position)) {
            dri_slot_settle_final(core, &core->slots[i], position);
        }
    }
    drained(core, false);
}

void dri_drain_check(struct dri_core *core)
{
    bool is_over = true;
    uint64_t position;
    if (!core->is_draining || core->is_drained || dri_flights_out(core) > 0) {
        return;
    }
    for (uint32_t i = 0; i < core->slots_end; i++) {
        struct dri_slot *slot = &core->slots[i];
        if (slot->is_revoking) {
            is_over = false;
        } else if (dri_slot_needs_settle(slot, &position)) {
            dri_slot_settle_final(core, slot, position);
            is_over = false;
        }
    }
    if (is_over) {
        drained(core, true);
    }
}
