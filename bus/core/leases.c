/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "machine.h"
#include "planted.h"

/* Deliveries that are settled one by one (JetStream), each under a lease.
 *
 * The lease of everything in flight is renewed when a third of it has passed, so that two renewals
 * may be lost. Within a slot all leases are equally long, so its list is in the order of time by
 * itself; one timer per slot stands at the head. A lease that was not renewed in time (nobody
 * called step) is not renewed any more: the message may be with somebody else. The flight goes on,
 * because dropping it would let its followers pass; the one thing said to the broker about it is
 * the settle, once its outcome is stored, which a broker takes from an expired delivery too.
 *
 * A message that is delivered again while it is in flight (lease lost, or its holder suspected) is
 * the same flight with a newer delivery. One that comes again just after it was settled (its
 * acknowledgement crossed the redelivery, or was lost) is settled again from a small memory of what
 * was settled lately, without a run. That memory is lossy, which costs a run and never a message,
 * and it is asked only when the broker itself says that this is a redelivery.
 */

static struct dri_recent *recent_of(const struct dri_core *core, const struct dri_flight *flight)
{
    uint64_t mixed = (flight->offset + ((uint64_t)flight->slot << 40)) * 0x9e3779b97f4a7c15u;
    return &core->recent[(uint32_t)(mixed >> 32) & core->recent_mask];
}

void dri_lease_remember(struct dri_core *core, const struct dri_flight *flight)
{
    *recent_of(core, flight) = (struct dri_recent){
        .offset = flight->offset, .slot = flight->slot + 1, .epoch = flight->epoch};
}

static bool is_recent(const struct dri_core *core, const struct dri_flight *flight)
{
    const struct dri_recent *recent = recent_of(core, flight);
    return flight->deliveries > 1 && recent->slot == flight->slot + 1 &&
           recent->epoch == flight->epoch && recent->offset == flight->offset;
}

bool dri_lease_is_redelivery(struct dri_core *core, struct dri_slot *slot,
                             struct dri_flight *flight)
{
    uint32_t index = dri_map_find(&core->deliveries, flight->slot, flight->offset);
    if (index != UINT32_MAX) {
        struct dri_flight *older = &core->flights[index];
        older->delivery = flight->delivery;
        dri_lease_stop(slot, older);
        dri_lease_start(core, slot, older, flight->received_ns);
    } else if (is_recent(core, flight)) {
        dri_push(core, DRI_CA_SETTLE, flight->index, 0, 0);
    } else {
        return false;
    }
    core->stats.duplicates_in_flight++;
    dri_refuse(core, flight);
    return true;
}

/* Into the list by time: nearly always at its end. */
static void insert(struct dri_core *core, struct dri_slot *slot, struct dri_flight *flight)
{
    struct dri_flight *before = slot->lease_tail;
    while (before != NULL && before->lease_due_ns > flight->lease_due_ns) {
        before = before->lease_prev;
    }
    struct dri_flight *after = before != NULL ? before->lease_next : slot->lease_head;
    flight->lease_prev = before;
    flight->lease_next = after;
    if (before != NULL) {
        before->lease_next = flight;
    } else {
        slot->lease_head = flight;
        dri_timers_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_LEASE),
                       flight->lease_due_ns);
    }
    if (after != NULL) {
        after->lease_prev = flight;
    } else {
        slot->lease_tail = flight;
    }
    flight->is_leased = true;
}

void dri_lease_start(struct dri_core *core, struct dri_slot *slot, struct dri_flight *flight,
                     uint64_t from_ns)
{
    if (slot->lease_ns == 0) {
        return;
    }
    uint64_t third_ns = slot->lease_ns / 3;
    flight->lease_due_ns = from_ns + (third_ns != 0 ? third_ns : 1);
    flight->lease_end_ns = from_ns + slot->lease_ns;
    insert(core, slot, flight);
}

/* The slot's timer is left alone: it finds nothing to do, once, which is cheaper than to move it at
 * every settle. */
void dri_lease_stop(struct dri_slot *slot, struct dri_flight *flight)
{
    if (!flight->is_leased) {
        return;
    }
    if (flight->lease_prev != NULL) {
        flight->lease_prev->lease_next = flight->lease_next;
    } else {
        slot->lease_head = flight->lease_next;
    }
    if (flight->lease_next != NULL) {
        flight->lease_next->lease_prev = flight->lease_prev;
    } else {
        slot->lease_tail = flight->lease_prev;
    }
    flight->lease_next = NULL;
    flight->lease_prev = NULL;
    flight->is_leased = false;
}

void dri_lease_due(struct dri_core *core, struct dri_slot *slot)
{
    struct dri_flight *flight;
    while ((flight = slot->lease_head) != NULL && flight->lease_due_ns <= core->now.mono_ns) {
        dri_lease_stop(slot, flight);
        if (core->now.mono_ns >= flight->lease_end_ns) {
            core->stats.leases_lost++;
            continue;
        }
        if (!flight->is_extend_queued && !DRI_IS_PLANTED(ACK_AFTER_LEASE)) {
            flight->is_extend_queued = true;
            dri_push(core, DRI_CA_EXTEND, flight->index, 0, 0);
        }
        dri_lease_start(core, slot, flight, core->now.mono_ns);
    }
    if (flight != NULL) {
        dri_timers_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_LEASE),
                       flight->lease_due_ns);
    }
}
