/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "machine.h"
#include "planted.h"

/* Assignments: what is let in, what is settled, and how a slot is given back.
 *
 * A slot that is revoked is finished in this order: what has not started is dropped (whoever gets
 * the slot next reads it again), what runs is cancelled and waited for, what was run gets its
 * outcome stored, then the final settle is sent and its answer waited for, then the slot is let go.
 * revoke_ms bounds the waiting for flights, and once more the waiting for the answer. A slot that
 * is lost is let go at once and nothing of it is settled.
 *
 * A flight that is dropped while its slot still settles leaves a barrier at its offset: the
 * watermark stays at or below it, so the next owner reads it. Dropped flights that are still with a
 * lane or the broker wait in DROPPED for what is out and then are released; they reach no tracker.
 *
 * What is finished beyond the watermark goes along with each settle (claims.c), and a settle is
 * sent for its sake alone, too: behind one slow command the watermark may stand still for hours
 * while thousands finish. It is then compared by its checksum with what was sent and confirmed
 * last, so that nothing is sent when there is nothing new. A record that was finished in an earlier
 * assignment is not let in; the watermark passes over it.
 *
 * The first record of an assignment without a committed position is settled at once, as a position:
 * with `start: latest` a crash before the first commit would lose what came meanwhile.
 */

#define SETTLE_SOON_MS 50u /* between two that somebody waits for */

static struct dri_slot *slot_at(struct dri_core *core, uint32_t number)
{
    DRI_ASSERT(number < core->config.slots_max);
    return &core->slots[number];
}

void dri_slot_arm(struct dri_core *core, struct dri_slot *slot)
{
    if (slot->is_settle_armed) {
        return; /* nearly always: this is once a command */
    }
    uint32_t id = dri_slot_timer_id(core, slot, DRI_TIMER_SETTLE);
    slot->is_settle_armed = true;
    uint64_t due_ns = dri_after_ms(slot->last_settle_ns, core->config.settle_ms);
    dri_timers_set(&core->timers, id, due_ns > core->now.mono_ns ? due_ns : core->now.mono_ns);
}

/* Somebody waits for the answer. */
void dri_slot_arm_soon(struct dri_core *core, struct dri_slot *slot)
{
    uint32_t settle_ms = core->config.settle_ms;
    if (slot->is_settle_held) {
        return; /* the last one failed */
    }
    slot->is_settle_armed = true;
    uint64_t due_ns =
        dri_after_ms(slot->last_settle_ns, settle_ms < SETTLE_SOON_MS ? settle_ms : SETTLE_SOON_MS);
    dri_timers_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_SETTLE),
                   due_ns > core->now.mono_ns ? due_ns : dri_after_ms(core->now.mono_ns, 1));
}

/* --- admission --- */

/* The first record: where the log really goes on. */
static void begin_log(struct dri_core *core, struct dri_slot *slot, uint64_t offset)
{
    /* Below what was committed: the log was cut and begins anew. Then the commit follows it, and
     * what was finished in the log that was is not what stands there now. */
    bool is_cut = slot->has_settled && offset < slot->settled;
    if (is_cut) {
        slot->has_settled = false;
        dri_claims_forget(slot->claims);
    }
    if (!slot->has_settled) {
        slot->has_sent = false;
        dri_slot_arm(core, slot);
    }
}

/* Whether its outcome was stored in an earlier assignment. */
static bool skip_finished(struct dri_core *core, struct dri_slot *slot, uint64_t offset)
{
    if (!dri_claims_has(slot->claims, offset)) {
        return false;
    }
    core->stats.skipped_finished++;
    if (dri_tracker_skip(&slot->tracker, offset)) {
        dri_slot_arm(core, slot);
    }
    return true;
}

bool dri_slot_receive(struct dri_core *core, struct dri_slot *slot, uint64_t offset, uint32_t node)
{
    struct dri_tracker *tracker = &slot->tracker;
    if (slot->is_watermark && tracker->received == 0) {
        begin_log(core, slot, offset);
    }
    if (slot->is_watermark && skip_finished(core, slot, offset)) {
        return false;
    }
    dri_tracker_append(tracker, node, offset);
    return true;
}

bool dri_slot_admit(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_slot *slot = slot_at(core, flight->slot);
    struct dri_tracker *tracker = &slot->tracker;
    if (!slot->is_assigned || slot->is_revoking || slot->epoch != flight->epoch) {
        core->stats.stale_records++;
        dri_refuse(core, flight);
        return false;
    }
    if (core->is_draining || core->is_stopped) {
        core->stats.dropped_on_drain++;
        dri_refuse(core, flight);
        return false;
    }
    if (dri_tracker_is_duplicate(tracker, flight->offset)) {
        core->stats.duplicates_in_flight++;
        dri_refuse(core, flight);
        return false;
    }
    if (!slot->is_watermark && dri_lease_is_redelivery(core, slot, flight)) {
        return false;
    }
    if (!dri_slot_receive(core, slot, flight->offset, flight->index)) {
        dri_refuse(core, flight);
        return false;
    }
    core->stats.admitted++;
    flight->is_tracked = true;
    if (!slot->is_watermark) {
        dri_map_add(&core->deliveries, flight->slot, flight->offset, flight->index);
        dri_lease_start(core, slot, flight, flight->received_ns);
    }
    return true;
}

/* --- the end of a flight --- */

static void forget_delivery(struct dri_core *core, struct dri_slot *slot, struct dri_flight *flight)
{
    if (!slot->is_watermark) {
        dri_map_remove(&core->deliveries, flight->slot, flight->offset);
        dri_lease_stop(slot, flight);
    }
}

static void end(struct dri_core *core, struct dri_slot *slot);

void dri_slot_try_end(struct dri_core *core, struct dri_slot *slot)
{
    if (slot->is_revoking && slot->tracker.count == 0) {
        end(core, slot);
    }
}

void dri_slot_finish(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_slot *slot = slot_at(core, flight->slot);
    if (!flight->is_tracked) {
        return; /* only with a planted bug: it was finished before */
    }
    flight->is_tracked = false;
    if (flight->is_parker) {
        dri_park_leave(core, flight);
    }
    if (flight->entry != 0) {
        dri_entry_finish(core, dri_entry_of(core, flight));
        return;
    }
    (void)dri_tracker_finish(&slot->tracker, flight->index);
    slot->finished++;
    if (!slot->is_watermark) {
        dri_push(core, DRI_CA_SETTLE, flight->index, 0, 0);
        forget_delivery(core, slot, flight);
        dri_lease_remember(core, flight);
    } else {
        dri_slot_arm(core, slot);
    }
    dri_slot_try_end(core, slot);
}

/* Stop waiting for whatever the core itself waits for with this flight. */
static void detach(struct dri_core *core, struct dri_flight *flight)
{
    switch (flight->state) {
    case DRI_FLIGHT_QUEUED:
    case DRI_FLIGHT_WAITING:
        dri_lanes_unlink(core, flight);
        return;
    case DRI_FLIGHT_LETTER:
    case DRI_FLIGHT_RESULT:
    case DRI_FLIGHT_PARKING:
        dri_gate_leave(core, flight);
        dri_timers_cancel(&core->timers, flight->index);
        return;
    case DRI_FLIGHT_RUNNING:
        return;
    default:
        DRI_UNREACHABLE();
    }
}

void dri_slot_give_up(struct dri_core *core, struct dri_flight *flight, uint64_t *counter)
{
    struct dri_slot *slot = slot_at(core, flight->slot);
    (*counter)++;
    detach(core, flight);
    dri_gate_told(core, flight);
    core->stats.torn += dri_outcome_told(core, flight) ? 1 : 0;
    if (flight->is_parker) {
        dri_park_leave(core, flight);
    }
    if (flight->is_tracked && flight->entry != 0) {
        flight->is_tracked = false;
        dri_entry_give_up(core, dri_entry_of(core, flight));
    } else if (flight->is_tracked) {
        flight->is_tracked = false;
        dri_tracker_give_up(&slot->tracker, flight->index);
        if (slot->is_watermark) {
            dri_claims_give_up(slot->claims, flight->offset);
        }
        forget_delivery(core, slot, flight);
    }
    dri_move(core, flight, DRI_FLIGHT_DROPPED);
    if (!flight->is_with_lane && !flight->is_publishing) {
        dri_release(core, flight);
    }
    dri_slot_try_end(core, slot);
}

/* The flight of a node; NULL: it is an entry that is none now. */
static struct dri_flight *flight_at(struct dri_core *core, uint32_t node)
{
    if (node < core->flights_max) {
        return &core->flights[node];
    }
    const struct dri_entry *entry = &core->entries[node - core->flights_max];
    return entry->state == DRI_ENTRY_OUT ? &core->flights[entry->flight - 1] : NULL;
}

static void give_up_entry_at(struct dri_core *core, uint32_t node)
{
    dri_entry_give_up(core, &core->entries[node - core->flights_max]);
}

/* The mistake of IGNORE_EPOCH: the same offset, in flight again in the present assignment, is taken
 * for finished. */
static void finish_newer(struct dri_core *core, const struct dri_flight *flight)
{
    struct dri_slot *slot = slot_at(core, flight->slot);
    if (!slot->is_assigned || slot->is_park || slot->epoch == flight->epoch) {
        return;
    }
    uint32_t newer = dri_tracker_first(&slot->tracker);
    while (newer != UINT32_MAX && core->flights[newer].offset != flight->offset) {
        newer = dri_tracker_next(&slot->tracker, newer);
    }
    if (newer != UINT32_MAX) {
        dri_slot_finish(core, &core->flights[newer]);
    }
}

void dri_slot_stale(struct dri_core *core, const struct dri_flight *flight)
{
    core->stats.stale_completions++;
    if (DRI_IS_PLANTED(IGNORE_EPOCH)) {
        finish_newer(core, flight);
    }
}

/* --- settling --- */

static struct dray_slice metadata_of(struct dri_slot *slot, uint64_t position)
{
    return dri_claims_text(slot->claims, &slot->tracker, position);
}

bool dri_slot_needs_settle(struct dri_slot *slot, uint64_t *ret_position)
{
    return slot->is_assigned && slot->is_watermark &&
           dri_tracker_watermark(&slot->tracker, ret_position) &&
           !(slot->has_settled && slot->settled == *ret_position &&
             slot->settled_sum == dri_progress_sum(metadata_of(slot, *ret_position)));
}

static void want(struct dri_core *core, struct dri_slot *slot, enum dri_core_action_type type,
                 uint8_t bit)
{
    slot->wanted |= bit;
    if ((slot->queued & bit) == 0) {
        slot->queued |= bit;
        dri_push(core, type, dri_slot_number(core, slot), bit, 0);
    }
}

bool dri_slot_read(struct dri_slot *slot, uint8_t bit, struct dri_core_action *ret_action)
{
    bool is_wanted = (slot->wanted & bit) != 0;
    slot->queued = (uint8_t)(slot->queued & ~bit);
    slot->wanted = (uint8_t)(slot->wanted & ~bit);
    if (bit == DRI_SLOT_UNASSIGN) {
        ret_action->epoch = slot->unassign_epoch;
        return is_wanted;
    }
    if (!is_wanted) {
        return false;
    }
    bool is_final = bit == DRI_SLOT_FINAL;
    uint64_t position = is_final ? slot->final_position : slot->sent;
    ret_action->epoch = slot->epoch;
    ret_action->as.settle.position = position;
    ret_action->as.settle.delivery = 0;
    ret_action->as.settle.metadata = metadata_of(slot, position);
    ret_action->as.settle.is_watermark = true;
    ret_action->as.settle.is_final = is_final;
    slot->sent_sum = dri_progress_sum(ret_action->as.settle.metadata);
    slot->said = slot->finished;
    slot->said_to = slot->claims->said_to;
    slot->same_out++;
    return true;
}

static void settle_now(struct dri_core *core, struct dri_slot *slot, uint64_t position)
{
    if (!slot->has_sent || slot->sent != position) {
        slot->same_out = 0;
    }
    slot->sent = position;
    slot->has_sent = true;
    slot->last_settle_ns = core->now.mono_ns;
}

void dri_slot_settle_final(struct dri_core *core, struct dri_slot *slot, uint64_t position)
{
    if (slot->is_final_out || slot->is_settle_held) {
        return;
    }
    settle_now(core, slot, position);
    slot->is_final_out = true;
    slot->final_position = position;
    slot->wanted = (uint8_t)(slot->wanted & ~DRI_SLOT_SETTLE); /* the final one says more */
    want(core, slot, DRI_CA_SETTLE, DRI_SLOT_FINAL);
}

/* So many of the finished ones, below this offset, do not come again (gate.c). */
static void keep(struct dri_core *core, struct dri_slot *slot, uint64_t count, uint64_t to)
{
    slot->kept = count;
    slot->kept_to = to;
    core->is_gate_due = core->is_gate_due || core->gated != NULL;
    core->is_exit_due = core->entries_gated.head != 0;
}

void dri_slot_say_again(struct dri_core *core, struct dri_slot *slot)
{
    slot->has_sent = false;
    dri_slot_arm(core, slot);
}

static void settle_due(struct dri_core *core, struct dri_slot *slot)
{
    uint64_t position;
    slot->is_settle_armed = false;
    slot->is_settle_held = false;
    if (slot->is_revoking) {
        dri_slot_try_end(core, slot);
        return;
    }
    if (core->is_draining) {
        return; /* a drain settles finally when it is empty */
    }
    if (!dri_slot_needs_settle(slot, &position)) {
        keep(core, slot, slot->finished, slot->claims->said_to);
        return;
    }
    if (core->config.park_max != 0 && slot->claims->is_cut) {
        dri_park_relieve(core, slot);
    }
    if (!slot->has_sent || slot->sent != position ||
        slot->sent_sum != dri_progress_sum(metadata_of(slot, position))) {
        settle_now(core, slot, position);
        want(core, slot, DRI_CA_SETTLE, DRI_SLOT_SETTLE);
    }
}

/* Not armed: the barrier does not wait for settle_ms. A final settle that is out says all already,
 * but for what did not fit. */
void dri_slots_barrier(struct dri_core *core)
{
    core->is_whole = true;
    for (uint32_t i = 0; i < core->slots_end; i++) {
        struct dri_slot *slot = &core->slots[i];
        uint64_t position;
        if (!slot->is_assigned || !slot->is_watermark ||
            !dri_tracker_watermark(&slot->tracker, &position)) {
            continue;
        }
        bool is_needed = dri_slot_needs_settle(slot, &position);
        (void)metadata_of(slot, position);
        core->is_whole = core->is_whole && slot->claims->is_whole;
        if (is_needed && !slot->is_final_out) {
            settle_now(core, slot, position);
            want(core, slot, DRI_CA_SETTLE, DRI_SLOT_SETTLE);
        }
    }
}

static void unassign(struct dri_core *core, struct dri_slot *slot)
{
    slot->is_assigned = false;
    slot->is_revoking = false;
    slot->is_final_out = false;
    slot->is_settle_armed = false;
    slot->wanted = (uint8_t)(slot->wanted & ~(DRI_SLOT_SETTLE | DRI_SLOT_FINAL));
    for (int kind = 0; kind < DRI_TIMER_SLOT_COUNT; kind++) {
        dri_timers_cancel(&core->timers, dri_slot_timer_id(core, slot, (enum dri_slot_timer)kind));
    }
    slot->unassign_epoch = slot->epoch;
    want(core, slot, DRI_CA_UNASSIGN, DRI_SLOT_UNASSIGN);
}

/* A slot that is revoked, and is empty: settle, wait for the answer, let go. */
static void end(struct dri_core *core, struct dri_slot *slot)
{
    uint64_t position;
    if (!dri_slot_needs_settle(slot, &position)) {
        unassign(core, slot);
        return;
    }
    if (!slot->is_final_out && !slot->is_settle_held) {
        dri_slot_settle_final(core, slot, position);
        dri_timers_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_REVOKE),
                       dri_after_ms(core->now.mono_ns, core->config.revoke_ms));
    }
}

/* The answer names a position, not its metadata. Of two that were sent with the same position the
 * later is taken for confirmed: it is on its way, and should it get lost, some runs are repeated.
 */
static void confirm(struct dri_core *core, struct dri_slot *slot, uint64_t position)
{
    if (slot->has_settled && position < slot->settled) {
        return;
    }
    slot->has_settled = true;
    slot->settled = position;
    core->is_exit_due = core->entries_gated.head != 0;
    if (slot->has_sent && position == slot->sent) {
        slot->settled_sum = slot->sent_sum;
        slot->same_out -= slot->same_out > 0 ? 1 : 0;
        if (slot->same_out == 0) {
            keep(core, slot, slot->said, slot->said_to);
        }
    }
}

void dri_slot_settled(struct dri_core *core, const struct dri_core_event *event)
{
    struct dri_slot *slot = slot_at(core, event->slot);
    uint64_t position = event->as.settled.position;
    enum dray_status status = event->as.settled.status;
    if (!slot->is_assigned || slot->epoch != event->epoch) {
        core->stats.stale_completions++;
        return;
    }
    if (slot->is_final_out && position == slot->final_position) {
        slot->is_final_out = false;
    }
    if (status == DRAY_OK) {
        confirm(core, slot, position);
        dri_slot_try_end(core, slot);
        return;
    }
    core->stats.settles_failed++;
    slot->has_sent = slot->has_settled;
    slot->sent = slot->settled;
    slot->sent_sum = slot->settled_sum;
    slot->said = slot->kept;
    slot->said_to = slot->kept_to;
    slot->same_out = 0;
    if (status == DRAY_ESTALE && slot->is_revoking) {
        dri_slot_lost(core, event->slot, event->epoch); /* nothing that we send will be taken */
        return;
    }
    uint32_t settle_ms = core->config.settle_ms != 0 ? core->config.settle_ms : 1;
    slot->is_settle_held = true;
    slot->is_settle_armed = true;
    dri_timers_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_SETTLE),
                   dri_after_ms(core->now.mono_ns, settle_ms));
}

/* --- assignment --- */

static void restore(struct dri_core *core, struct dri_slot *slot, struct dray_slice metadata,
                    int64_t committed)
{
    dri_claims_init(slot->claims);
    if (metadata.len == 0) {
        return;
    }
    if (committed < 0 || !dri_claims_restore(slot->claims, metadata, (uint64_t)committed)) {
        core->stats.metadata_refused++;
        return;
    }
    slot->settled_sum = dri_progress_sum(metadata);
    slot->sent_sum = slot->settled_sum;
}

void dri_slot_assigned(struct dri_core *core, const struct dri_core_event *event)
{
    struct dri_slot *slot = slot_at(core, event->slot);
    core->slots_end = event->slot < core->slots_end ? core->slots_end : event->slot + 1;
    if (slot->is_assigned) {
        dri_slot_lost(core, event->slot, slot->epoch);
    }
    bool is_watermark = event->as.assigned.is_watermark;
    uint32_t park = event->as.assigned.park;
    bool has_park = park < core->config.slots_max && park != event->slot &&
                    core->slots[park].is_park && core->slots[park].is_assigned &&
                    !core->slots[park].is_revoking;
    int64_t committed = is_watermark ? event->as.assigned.committed : -1;
    struct dri_slot next = {
        .epoch = event->epoch,
        .is_assigned = true,
        .is_watermark = is_watermark,
        .is_park = event->as.assigned.is_park,
        .park = has_park ? park : UINT32_MAX,
        .origin_hash = event->as.assigned.origin_hash,
        .assigned_ns = core->now.mono_ns,
        .has_settled = committed >= 0,
        .has_sent = committed >= 0,
        .settled = committed >= 0 ? (uint64_t)committed : 0,
        .sent = committed >= 0 ? (uint64_t)committed : 0,
        .queued = slot->queued,
        .wanted = slot->wanted & DRI_SLOT_UNASSIGN,
        .unassign_epoch = slot->unassign_epoch,
        .lease_ns = is_watermark ? 0 : event->as.assigned.lease_ns,
        .claims = &core->claims[event->slot],
    };
    *slot = next;
    dri_tracker_init(&slot->tracker, core->nodes, is_watermark, committed);
    if (is_watermark) {
        restore(core, slot, event->as.assigned.metadata, committed);
    }
}

static void cancel(struct dri_core *core, struct dri_flight *flight)
{
    if (!flight->is_cancelled) {
        flight->is_cancelled = true;
        dri_push(core, DRI_CA_CANCEL, flight->index, 0, flight->lane);
    }
}

static void revoke_flight(struct dri_core *core, struct dri_flight *flight)
{
    switch (flight->state) {
    case DRI_FLIGHT_QUEUED:
    case DRI_FLIGHT_WAITING:
        dri_slot_give_up(core, flight, &core->stats.dropped_on_revoke);
        return;
    case DRI_FLIGHT_RUNNING:
        cancel(core, flight);
        if (DRI_IS_PLANTED(DROP_ON_REVOKE)) {
            dri_slot_finish(core, flight);
            dri_slot_give_up(core, flight, &core->stats.dropped_on_revoke);
        }
        return;
    case DRI_FLIGHT_PARKING:
        if (flight->is_gated) {
            dri_gate_end(core, flight, &core->stats.dropped_on_revoke);
        }
        return;
    default:
        return; /* its outcome is on the way */
    }
}

static void revoke_flights(struct dri_core *core, struct dri_slot *slot)
{
    for (uint32_t node = dri_tracker_first(&slot->tracker), next; node != UINT32_MAX; node = next) {
        struct dri_flight *flight = flight_at(core, node);
        next = dri_tracker_next(&slot->tracker, node);
        if (flight != NULL) {
            revoke_flight(core, flight);
        } else {
            give_up_entry_at(core, node);
        }
    }
}

void dri_slot_revoked(struct dri_core *core, uint32_t number, uint32_t epoch)
{
    struct dri_slot *slot = slot_at(core, number);
    if (!slot->is_assigned || slot->is_revoking || slot->epoch != epoch) {
        return;
    }
    dri_park_slot_ends(core, number);
    revoke_flights(core, slot);
    slot->is_revoking = true; /* only now: it may end only when all of it was seen */
    dri_timers_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_REVOKE),
                   dri_after_ms(core->now.mono_ns, core->config.revoke_ms));
    dri_slot_try_end(core, slot);
}

static void give_up_all(struct dri_core *core, struct dri_slot *slot)
{
    for (uint32_t node; (node = dri_tracker_first(&slot->tracker)) != UINT32_MAX;) {
        struct dri_flight *flight = flight_at(core, node);
        if (flight == NULL) {
            give_up_entry_at(core, node);
            continue;
        }
        if (flight->state == DRI_FLIGHT_RUNNING) {
            cancel(core, flight);
        }
        dri_slot_give_up(core, flight, &core->stats.dropped_on_revoke);
    }
}

void dri_slot_lost(struct dri_core *core, uint32_t number, uint32_t epoch)
{
    struct dri_slot *slot = slot_at(core, number);
    if (!slot->is_assigned || slot->epoch != epoch) {
        return;
    }
    slot->is_revoking = false;
    dri_park_slot_ends(core, number);
    give_up_all(core, slot);
    unassign(core, slot);
}

void dri_slot_due(struct dri_core *core, struct dri_slot *slot, enum dri_slot_timer kind)
{
    if (!slot->is_assigned) {
        return;
    }
    switch (kind) {
    case DRI_TIMER_SETTLE:
        settle_due(core, slot);
        return;
    case DRI_TIMER_LEASE:
        dri_lease_due(core, slot);
        return;
    case DRI_TIMER_REVOKE:
        if (slot->tracker.count == 0) {
            unassign(core, slot); /* no answer to the final settle */
            return;
        }
        slot->is_revoking = false;
        give_up_all(core, slot);
        slot->is_revoking = true;
        dri_slot_try_end(core, slot);
        return;
    case DRI_TIMER_SLOT_COUNT:
        break;
    }
    DRI_UNREACHABLE();
}
