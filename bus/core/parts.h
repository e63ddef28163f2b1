/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PARTS_H
#define DRI_PARTS_H

#include "machine.h"

/* parts.h - what each file of the core has for the others. Part of machine.h, which has the
 * structures. */

/* core.c */
/** Hand a flight that is DONE or DROPPED back to the shell. */
void dri_release(struct dri_core *core, struct dri_flight *flight);
/** The same for a TAKEN one that is not let in. */
void dri_refuse(struct dri_core *core, struct dri_flight *flight);
/** Flights that the core or the outside still holds; not those that only a deaf handler does. */
uint32_t dri_flights_out(const struct dri_core *core);
uint32_t dri_slot_timer_id(const struct dri_core *core, const struct dri_slot *slot,
                           enum dri_slot_timer kind);
uint32_t dri_drain_timer_id(const struct dri_core *core);
uint32_t dri_slot_number(const struct dri_core *core, const struct dri_slot *slot);
uint64_t dri_after_ms(uint64_t from_ns, uint64_t ms);
/** Take its place in its key's order. Requires: TAKEN, or WAITING for not_before. */
void dri_flight_enter(struct dri_core *core, struct dri_flight *flight);

/* early.c */
/** Whether its time has not come; then it waits, here or in a delay log. Requires: TAKEN. */
bool dri_early_takes(struct dri_core *core, struct dri_flight *flight);
void dri_early_due(struct dri_core *core, struct dri_flight *flight);
/** The delay log cannot take it: it waits here. */
void dri_early_keep(struct dri_core *core, struct dri_flight *flight);

/* lanes.c */
void dri_lanes_enqueue(struct dri_core *core, struct dri_flight *flight);
void dri_lanes_dispatch(struct dri_core *core);
/** It waits until due_ns. Requires: at the head of its key's queue, or in no list. */
void dri_lanes_hold(struct dri_core *core, struct dri_flight *flight, uint64_t due_ns);
bool dri_lanes_is_expired(const struct dri_core *core, const struct dri_flight *flight);
/** Requires: in no list. */
void dri_lanes_expire(struct dri_core *core, struct dri_flight *flight);
void dri_lanes_done(struct dri_core *core, struct dri_flight *flight);
void dri_lanes_wake(struct dri_core *core, struct dri_flight *flight);
void dri_lanes_returned(struct dri_core *core, struct dri_flight *flight);
void dri_lanes_due(struct dri_core *core, struct dri_flight *flight);
/** Answer a flight that stands in a line without a run, or do what else is due with it. False: it
 * stands behind what is parked. */
bool dri_lanes_fall_back(struct dri_core *core, struct dri_flight *flight);
/** Take a QUEUED or WAITING flight out. */
void dri_lanes_unlink(struct dri_core *core, struct dri_flight *flight);
/** Give up a flight and whatever waits behind it in its key: while draining. */
void dri_lanes_give_up_key(struct dri_core *core, struct dri_flight *flight);
/** Give up what waits behind a deaf handler: while draining. */
void dri_lanes_give_up_held(struct dri_core *core, const struct dri_flight *flight);
/** It was to be parked, and cannot: back to where it stood, to wait. Requires: nothing of its key
 * is out. */
void dri_lanes_come_back(struct dri_core *core, struct dri_flight *flight, uint64_t wait_ms);
/** Of this hash; made when there is none. */
struct dri_key *dri_lanes_key(struct dri_core *core, uint64_t hash);
/** Put a key into the line where it belongs after any change of it, or out; or it is gone. */
void dri_lanes_update_key(struct dri_core *core, struct dri_key *key);
/** The same for the key of a flight, when it has one. */
void dri_lanes_update(struct dri_core *core, const struct dri_flight *flight);

/* groups.c */
struct dri_line *dri_line_at(const struct dri_core *core, uint32_t group, uint32_t lane);
/** Requires: the head of the key is QUEUED, nothing of it is out. */
void dri_line_push_key(struct dri_core *core, struct dri_key *key);
void dri_line_unlink_key(struct dri_core *core, struct dri_key *key);
/** Keyless and QUEUED. */
void dri_line_push_flight(struct dri_core *core, struct dri_flight *flight);
void dri_line_unlink_flight(struct dri_core *core, struct dri_flight *flight);
/** The first of the line whose turn it is, still in it. Requires: one may be served. */
struct dri_key *dri_line_next_key(struct dri_core *core, uint32_t lane);
struct dri_flight *dri_line_next_flight(struct dri_core *core);
bool dri_group_is_blocked(const struct dri_core *core, const struct dri_flight *flight);
/** It can start nothing before something changes: paused, or its breaker is open. */
bool dri_group_is_shut(const struct dri_core *core, const struct dri_flight *flight);
bool dri_group_is_limited(const struct dri_core *core, const struct dri_flight *flight);
/** It is handed to a lane. */
void dri_group_begin(struct dri_core *core, struct dri_flight *flight);
/** It is back. Whether it waits on with its route, and the run was no attempt. */
bool dri_group_back(struct dri_core *core, struct dri_flight *flight);
/** Its handler was deaf and has returned at last: until then it counts as running. */
void dri_group_returned(struct dri_core *core, const struct dri_flight *flight);
void dri_group_due(struct dri_core *core, uint32_t number);
uint32_t dri_group_timer_id(const struct dri_core *core, uint32_t number);
/** Whether a new flight may wait here; else spill it. */
bool dri_group_takes(struct dri_core *core, const struct dri_flight *flight);
/** A new flight was queued: if too many wait for paused groups now, it is held, or what holds it.
 */
void dri_group_came(struct dri_core *core, struct dri_flight *flight);
/** Dead-letter a flight that is in no list as held. */
void dri_group_spill(struct dri_core *core, struct dri_flight *flight);
/** Flights that wait for paused groups. */
uint32_t dri_groups_held(const struct dri_core *core);
/** After the events of a step: no more of them than may be, however they came to wait. */
void dri_groups_bound(struct dri_core *core);
/** Answer with a fallback what waits for a breaker and may be. Whether any was, so that others may
 * run. */
bool dri_groups_fall_back(struct dri_core *core);
/** While draining: give up what waits for a time or a change. */
void dri_groups_drain(struct dri_core *core);

/** Look again at whether anything of it may start, and when. */
void dri_group_refresh(struct dri_core *core, struct dri_group *group);
/** Whether it has any limit now, or its breaker is not closed. */
void dri_group_count_limits(struct dri_group *group);

/* outcome.c */
void dri_outcome_letter(struct dri_core *core, struct dri_flight *flight,
                        enum dray_error_kind kind);
void dri_outcome_ok(struct dri_core *core, struct dri_flight *flight);
/** ok, without a run. Requires: it wants a result. */
void dri_outcome_fallback(struct dri_core *core, struct dri_flight *flight);
/** Put it into a delay log. Requires: TAKEN. */
void dri_outcome_delay(struct dri_core *core, struct dri_flight *flight);
/** Publish its copy for the park log. Requires: PARKING. */
void dri_outcome_park(struct dri_core *core, struct dri_flight *flight);
/** It needs no outcome of its own: settle. */
void dri_outcome_none(struct dri_core *core, struct dri_flight *flight);
void dri_outcome_published(struct dri_core *core, const struct dri_core_event *event);
/** Nothing more will be told of it; whether something was, and something was not. */
bool dri_outcome_told(struct dri_core *core, struct dri_flight *flight);
void dri_outcome_due(struct dri_core *core, struct dri_flight *flight);

/* slots.c */
/** Whether it was let in; else it was refused, and is not the caller's any more. */
bool dri_slot_admit(struct dri_core *core, struct dri_flight *flight);
/** Every outcome is stored: settle. */
void dri_slot_finish(struct dri_core *core, struct dri_flight *flight);
/** Settle when its time comes. */
void dri_slot_arm(struct dri_core *core, struct dri_slot *slot);
/** The same, without waiting long. */
void dri_slot_arm_soon(struct dri_core *core, struct dri_slot *slot);
/** Settle it once more, although nothing is new: there was no answer. */
void dri_slot_say_again(struct dri_core *core, struct dri_slot *slot);
/** Whether a record of this offset is new; if so it is received: as a node, or as finished when an
 * earlier assignment says so. UINT32_MAX: no node. */
bool dri_slot_receive(struct dri_core *core, struct dri_slot *slot, uint64_t offset, uint32_t node);
/** What is left of a slot that ends is done. */
void dri_slot_try_end(struct dri_core *core, struct dri_slot *slot);
/** It ends here without an outcome: its slot settles nothing at or beyond it. */
void dri_slot_give_up(struct dri_core *core, struct dri_flight *flight, uint64_t *counter);
void dri_slot_assigned(struct dri_core *core, const struct dri_core_event *event);
void dri_slot_revoked(struct dri_core *core, uint32_t number, uint32_t epoch);
void dri_slot_lost(struct dri_core *core, uint32_t number, uint32_t epoch);
void dri_slot_settled(struct dri_core *core, const struct dri_core_event *event);
void dri_slot_due(struct dri_core *core, struct dri_slot *slot, enum dri_slot_timer kind);
/** Fill in an action of a slot that is read now; false: it means nothing any more. */
bool dri_slot_read(struct dri_slot *slot, uint8_t bit, struct dri_core_action *ret_action);
/** Whether the broker does not know yet how far it is, or what is finished beyond. */
bool dri_slot_needs_settle(struct dri_slot *slot, uint64_t *ret_position);
void dri_slot_settle_final(struct dri_core *core, struct dri_slot *slot, uint64_t position);
/** Settle every slot as far as it is. */
void dri_slots_barrier(struct dri_core *core);
/** A completion of an old assignment came in: it is counted, and reaches no tracker. */
void dri_slot_stale(struct dri_core *core, const struct dri_flight *flight);

/* leases.c */
/** Whether this is a delivery of something known; then it was refused. */
bool dri_lease_is_redelivery(struct dri_core *core, struct dri_slot *slot,
                             struct dri_flight *flight);
void dri_lease_start(struct dri_core *core, struct dri_slot *slot, struct dri_flight *flight,
                     uint64_t from_ns);
void dri_lease_stop(struct dri_slot *slot, struct dri_flight *flight);
void dri_lease_remember(struct dri_core *core, const struct dri_flight *flight);
void dri_lease_due(struct dri_core *core, struct dri_slot *slot);

/* drain.c */
void dri_drain_begin(struct dri_core *core);
void dri_drain_end_now(struct dri_core *core);
/** After each step: whether the drain is over. */
void dri_drain_check(struct dri_core *core);

#endif
