/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "machine.h"
#include "planted.h"

/* Who runs when.
 *
 * A key has one queue, and one chain of it is out at a time; a chain is up to chain_max flights of
 * the head of the queue. What comes back unfinished goes to the front again, in its order: a retry
 * first, WAITING, then those behind it that the lane did not run. While the head is WAITING the key
 * is not ready, so nobody overtakes it; and while a chain is out the key is not ready either, even
 * when the assignment of the chain is gone (its flights are DROPPED): a follower of the next
 * assignment would overlap it. A key's next chain starts when its handler is done; it does not wait
 * for the outcome to be stored, because the order of effects is the handlers' order.
 *
 * A handler that is deaf (it ignores its deadline) gives its flight back as a final failure and
 * goes on running. Its key is held, as if a chain were out, until the handler has returned: a
 * follower would overlap it. The flight is done as any other, but for its RELEASE, which waits too,
 * because the handler reads its bytes; so a held key always has a flight of the slab, and the table
 * of keys cannot overflow. A drain does not wait for a deaf handler: what stands behind it is given
 * up.
 *
 * A ready key stands in a line of its lane (hash mod lanes, so that one key always meets the same
 * thread and its caches). Keyless flights stand in lines for all lanes and are bound late, to
 * the lane that has least to do: bound early, they would wait behind a slow handler while another
 * lane idles. Where both compete for a lane they take turns, and so do the lines: groups.c says
 * which line may be served. A lane is handed
 * about a millisecond of work, by the sliding mean of its runs, and never more than lane_depth
 * chains: enough to hide the hand-over of short runs, while behind slow ones little stands that
 * another lane could run. What was handed over and is recalled or late by then comes back unrun.
 */

#define AHEAD_NS  1000000u /* work handed to a lane ahead of need */
#define AHEAD_MIN 2u       /* one runs, one is ready */

#define HELD_MAX_MS 60000u /* hand it over again, though nobody has said WAKE */

static struct dri_key *key_of(struct dri_core *core, const struct dri_flight *flight)
{
    return flight->key_number != 0 ? dri_keys_at(&core->keys, flight->key_number - 1) : NULL;
}

/* --- keys --- */

/* Of a key of which something is parked only what came out of the park log may run, or be
 * answered. */
static bool is_behind_parked(const struct dri_key *key, const struct dri_flight *flight)
{
    return key->parked != 0 && flight->entry == 0 && !DRI_IS_PLANTED(PARK_FOLLOWER_OVERTAKES);
}

/* Whether the head of its queue may be handed to a lane. */
static bool can_run_head(const struct dri_key *key)
{
    return key->head != NULL && key->head->state == DRI_FLIGHT_QUEUED &&
           !is_behind_parked(key, key->head);
}

/* Put a key where it belongs after any change of it: ready, not ready, or gone. */
void dri_lanes_update_key(struct dri_core *core, struct dri_key *key)
{
    if (key->parked != 0) {
        dri_park_touch(core, key);
    }
    if (key->out > 0 || key->is_deaf) {
        return;
    }
    bool can_run = can_run_head(key);
    if (key->is_ready && (!can_run || key->head->group != key->group)) {
        dri_line_unlink_key(core, key);
    }
    if (can_run && !key->is_ready) {
        dri_line_push_key(core, key);
    }
    if (key->head == NULL && key->parked == 0) {
        dri_keys_remove(&core->keys, key);
    }
}

void dri_lanes_update(struct dri_core *core, const struct dri_flight *flight)
{
    if (flight->key_number != 0) {
        dri_lanes_update_key(core, dri_keys_at(&core->keys, flight->key_number - 1));
    }
}

static struct dri_key *find_or_add_key(struct dri_core *core, const struct dri_flight *flight)
{
    struct dri_key *key = dri_keys_find(&core->keys, flight->key_hash);
    if (key == NULL) {
        uint64_t hash = flight->lane_hint != UINT16_MAX ? flight->lane_hint : flight->key_hash;
        key = dri_keys_add(&core->keys, flight->key_hash);
        key->lane = (uint16_t)(hash % core->config.lanes);
    }
    return key;
}

struct dri_key *dri_lanes_key(struct dri_core *core, uint64_t hash)
{
    struct dri_key *key = dri_keys_find(&core->keys, hash);
    if (key == NULL) {
        key = dri_keys_add(&core->keys, hash);
        key->lane = (uint16_t)(hash % core->config.lanes);
    }
    return key;
}

void dri_lanes_enqueue(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(flight->state == DRI_FLIGHT_QUEUED);
    if (!flight->has_key) {
        dri_line_push_flight(core, flight);
        return;
    }
    struct dri_key *key = find_or_add_key(core, flight);
    if (DRI_IS_PLANTED(KEY_OVERLAP) && key->out > 0) {
        dri_line_push_flight(core, flight);
        return;
    }
    if (flight->entry != 0) {
        dri_key_prepend(&core->keys, key, flight); /* what waits there is behind it */
    } else {
        dri_key_append(&core->keys, key, flight);
    }
    dri_lanes_update_key(core, key);
}

void dri_lanes_unlink(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    dri_timers_cancel(&core->timers, flight->index);
    if (key != NULL) {
        dri_key_unlink(&core->keys, key, flight);
        dri_lanes_update_key(core, key);
    } else if (flight->state == DRI_FLIGHT_QUEUED) {
        dri_line_unlink_flight(core, flight);
    }
}

static void give_up_queue(struct dri_core *core, struct dri_key *key)
{
    key->is_dropping = true;
    key->out++; /* keeps the key while its queue is emptied */
    while (key->head != NULL) {
        dri_slot_give_up(core, key->head, &core->stats.dropped_on_drain);
    }
    key->out--;
    dri_lanes_update_key(core, key);
}

void dri_lanes_give_up_key(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    if (key == NULL) {
        dri_slot_give_up(core, flight, &core->stats.dropped_on_drain);
        return;
    }
    give_up_queue(core, key);
}

void dri_lanes_give_up_held(struct dri_core *core, const struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    if (key != NULL) {
        give_up_queue(core, key);
    }
}

/* --- waiting for a time --- */

/* The flight is at the head of its key's queue, or in no list. */
void dri_lanes_hold(struct dri_core *core, struct dri_flight *flight, uint64_t due_ns)
{
    dri_move(core, flight, DRI_FLIGHT_WAITING);
    flight->due_ns = due_ns;
    dri_timers_set(&core->timers, flight->index, due_ns);
    if (core->is_draining) {
        dri_lanes_give_up_key(core, flight); /* it will come again, after a restart */
    }
}

void dri_lanes_come_back(struct dri_core *core, struct dri_flight *flight, uint64_t wait_ms)
{
    dri_move(core, flight, DRI_FLIGHT_QUEUED);
    if (!flight->has_key) {
        if (wait_ms == 0) {
            dri_line_push_flight(core, flight);
        } else {
            dri_lanes_hold(core, flight, dri_after_ms(core->now.mono_ns, wait_ms));
        }
        return;
    }
    struct dri_key *key = find_or_add_key(core, flight);
    dri_key_prepend(&core->keys, key, flight);
    if (wait_ms > 0 && key->head == flight) {
        dri_lanes_hold(core, flight, dri_after_ms(core->now.mono_ns, wait_ms));
    }
    dri_lanes_update_key(core, key);
}

void dri_lanes_due(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    flight->is_held = false;
    dri_move(core, flight, DRI_FLIGHT_QUEUED);
    if (key != NULL) {
        dri_lanes_update_key(core, key);
    } else if (DRI_IS_PLANTED(RETRY_OVERTAKEN) && flight->has_key) {
        dri_lanes_enqueue(core, flight);
    } else {
        dri_line_push_flight(core, flight);
    }
}

void dri_lanes_wake(struct dri_core *core, struct dri_flight *flight)
{
    if (flight->state == DRI_FLIGHT_WAITING && flight->is_held) {
        dri_timers_cancel(&core->timers, flight->index);
        dri_lanes_due(core, flight);
    }
}

/* --- start --- */

bool dri_lanes_is_expired(const struct dri_core *core, const struct dri_flight *flight)
{
    return flight->deadline_ms != 0 && core->now.wall_ms > flight->deadline_ms;
}

void dri_lanes_expire(struct dri_core *core, struct dri_flight *flight)
{
    core->stats.expired++;
    flight->was_run = false; /* an earlier run is not why */
    dri_outcome_letter(core, flight, DRAY_KIND_EXPIRED);
}

static void prepare_run(struct dri_core *core, struct dri_flight *flight, uint16_t lane)
{
    dri_move(core, flight, DRI_FLIGHT_RUNNING);
    flight->attempt++;
    flight->was_run = false;
    flight->kind = DRAY_KIND_NONE;
    flight->verdict = (struct dri_verdict){.is_retry = false};
    flight->lane = lane;
    flight->is_with_lane = true;
    flight->is_cancelled = false;
    flight->is_answered = false;
    atomic_store_explicit(&flight->is_recalled, false, memory_order_relaxed);
    dri_group_begin(core, flight);
}

/* Change what stands at a lane and what may, and keep the count of lanes with room. */
static void set_lane(struct dri_core *core, struct dri_lane *lane, uint32_t out, uint32_t limit)
{
    core->lanes_with_room -= lane->out < lane->limit ? 1 : 0;
    lane->out = out;
    lane->limit = limit;
    core->lanes_with_room += lane->out < lane->limit ? 1 : 0;
}

static uint32_t share_of(uint64_t mean_ns, uint32_t least, uint32_t most)
{
    uint64_t share = mean_ns > 0 ? AHEAD_NS / mean_ns : most;
    return share < least ? (least < most ? least : most) : share < most ? (uint32_t)share : most;
}

/* A run was this long: hand the lane more or less ahead from now on. */
static void learn(struct dri_core *core, struct dri_lane *lane, uint64_t run_ns)
{
    lane->mean_ns = lane->mean_ns - lane->mean_ns / 8 + run_ns / 8;
    lane->chain = share_of(lane->mean_ns, 1, core->config.chain_max);
    set_lane(core, lane, lane->out, share_of(lane->mean_ns, AHEAD_MIN, core->config.lane_depth));
}

static void start_chain(struct dri_core *core, struct dri_flight *head, uint16_t number)
{
    struct dri_lane *lane = &core->lanes[number];
    set_lane(core, lane, lane->out + 1, lane->limit);
    dri_push(core, DRI_CA_START, head->index, 0, number);
}

/* One of a limited group is a chain of its own, and so is one with a window. */
static bool is_alone(const struct dri_core *core, const struct dri_flight *flight)
{
    return flight->window_ms != 0 || dri_group_is_limited(core, flight);
}

/* Take the head of the key's queue for a run; NULL when there is none that may run now. */
static struct dri_flight *take_runnable(struct dri_core *core, struct dri_key *key, bool is_first)
{
    struct dri_flight *flight;
    while ((flight = key->head) != NULL && flight->state == DRI_FLIGHT_QUEUED) {
        if (is_behind_parked(key, flight)) {
            return NULL;
        }
        if (dri_lanes_is_expired(core, flight)) {
            dri_key_unlink(&core->keys, key, flight);
            dri_lanes_expire(core, flight);
        } else if (dri_group_is_blocked(core, flight) || (!is_first && is_alone(core, flight))) {
            return NULL;
        } else {
            uint32_t number = flight->key_number;
            dri_key_unlink(&core->keys, key, flight);
            flight->key_number = number; /* it keeps its key until it is back */
            return flight;
        }
    }
    return NULL;
}

static void start_key(struct dri_core *core, struct dri_key *key)
{
    struct dri_flight *head = NULL;
    struct dri_flight *tail = NULL;
    uint32_t count = 0;
    dri_line_unlink_key(core, key);
    key->out = 1; /* keeps the key while its queue is read */
    while (count < core->lanes[key->lane].chain) {
        struct dri_flight *flight = take_runnable(core, key, head == NULL);
        if (flight == NULL) {
            break;
        }
        prepare_run(core, flight, key->lane);
        if (tail != NULL) {
            tail->next = flight;
        } else {
            head = flight;
        }
        tail = flight;
        count++;
        if (is_alone(core, flight)) {
            break;
        }
    }
    key->out = count;
    if (head != NULL) {
        start_chain(core, head, key->lane);
    } else {
        dri_lanes_update_key(core, key);
    }
}

static void start_loose(struct dri_core *core, uint16_t lane)
{
    struct dri_flight *flight = dri_line_next_flight(core);
    dri_line_unlink_flight(core, flight);
    if (dri_lanes_is_expired(core, flight)) {
        dri_lanes_expire(core, flight);
    } else {
        prepare_run(core, flight, lane);
        start_chain(core, flight, lane);
    }
}

/* What starting it would do, but for the run. False: it stands behind what is parked, and not in a
 * line any more. */
bool dri_lanes_fall_back(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    if (key != NULL && is_behind_parked(key, flight)) {
        dri_lanes_update_key(core, key);
        return false;
    }
    if (key == NULL) {
        dri_line_unlink_flight(core, flight);
    } else {
        dri_line_unlink_key(core, key);
        key->out = 1; /* keeps the key */
        dri_key_unlink(&core->keys, key, flight);
    }
    if (dri_lanes_is_expired(core, flight)) {
        dri_lanes_expire(core, flight);
    } else {
        dri_outcome_fallback(core, flight);
    }
    if (key != NULL) {
        key->out = 0;
        dri_lanes_update_key(core, key);
    }
    return true;
}

/* Of the lanes with room the one with the fewest chains; of equals the next in turn.
 * Requires: one has room. */
static uint16_t least_loaded(struct dri_core *core)
{
    uint32_t lanes = core->config.lanes;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0, at = core->lane_cursor; i < lanes; i++) {
        bool has_room = core->lanes[at].out < core->lanes[at].limit;
        if (has_room && (best == UINT32_MAX || core->lanes[at].out < core->lanes[best].out)) {
            best = at;
        }
        at = at + 1 < lanes ? at + 1 : 0;
    }
    DRI_ASSERT(best != UINT32_MAX);
    core->lane_cursor = best + 1 < lanes ? best + 1 : 0;
    return (uint16_t)best;
}

static void dispatch_loose(struct dri_core *core)
{
    while (core->loose > 0 && core->lanes_with_room > 0) {
        uint16_t number = least_loaded(core);
        struct dri_lane *lane = &core->lanes[number];
        if (lane->ready > 0 && !lane->is_loose_turn) {
            start_key(core, dri_line_next_key(core, number));
        } else {
            start_loose(core, number);
        }
        lane->is_loose_turn = !lane->is_loose_turn;
    }
}

/* At each lane up to so many chains, from the lane on whose turn it is. */
static void dispatch_keys(struct dri_core *core, uint32_t chains_max)
{
    uint32_t lanes = core->config.lanes;
    for (uint32_t i = 0, at = core->key_cursor; i < lanes && core->ready > 0; i++) {
        struct dri_lane *lane = &core->lanes[at];
        for (uint32_t j = 0; j < chains_max && lane->ready > 0 && lane->out < lane->limit; j++) {
            start_key(core, dri_line_next_key(core, at));
            core->key_cursor = at + 1 < lanes ? at + 1 : 0;
        }
        at = at + 1 < lanes ? at + 1 : 0;
    }
}

/* Where a limit leaves one place, whoever is looked at first gets it: keys and the keyless in turn,
 * and the lanes of the keys in turn. */
void dri_lanes_dispatch(struct dri_core *core)
{
    if (core->is_stopped || (core->loose == 0 && core->ready == 0)) {
        return;
    }
    if (core->groups_used > 0) {
        if (core->is_key_turn) {
            dispatch_keys(core, 1);
        }
        core->is_key_turn = !core->is_key_turn;
    }
    dispatch_loose(core);
    dispatch_keys(core, UINT32_MAX);
}

/* --- back from the lane --- */

static void chain_is_back(struct dri_core *core, struct dri_key *key, uint16_t number)
{
    struct dri_lane *lane = &core->lanes[number];
    if (key != NULL) {
        DRI_ASSERT(key->out > 0);
        if (--key->out > 0) {
            return;
        }
        key->back_tail = NULL;
    }
    DRI_ASSERT(lane->out > 0);
    set_lane(core, lane, lane->out - 1, lane->limit);
    if (key != NULL) {
        dri_lanes_update_key(core, key);
    }
}

static bool is_slot_revoking(const struct dri_core *core, const struct dri_flight *flight)
{
    return core->slots[flight->slot].is_revoking;
}

/* It was not run, or its run counts for its route only: to the front again, as if it had never
 * left. */
static void unrun(struct dri_core *core, struct dri_key *key, struct dri_flight *flight)
{
    flight->attempt--;
    if (is_slot_revoking(core, flight)) {
        dri_slot_give_up(core, flight, &core->stats.dropped_on_revoke);
        return;
    }
    if (key != NULL && key->is_dropping) {
        dri_slot_give_up(core, flight, &core->stats.dropped_on_drain);
        return;
    }
    dri_move(core, flight, DRI_FLIGHT_QUEUED);
    if (key != NULL) {
        dri_key_put_back(&core->keys, key, flight);
    } else {
        dri_line_push_flight(core, flight);
    }
}

static void retry(struct dri_core *core, struct dri_key *key, struct dri_flight *flight)
{
    uint64_t due_ns = dri_after_ms(core->now.mono_ns, flight->verdict.delay_ms);
    core->stats.retries++;
    if (dri_park_wants(core, flight, flight->verdict.delay_ms)) {
        dri_park_put(core, flight, DRI_PARK_COMMAND, core->now.wall_ms + flight->verdict.delay_ms);
        return;
    }
    if (key != NULL && !DRI_IS_PLANTED(RETRY_OVERTAKEN)) {
        dri_key_put_back(&core->keys, key, flight);
    }
    dri_lanes_hold(core, flight, due_ns);
}

/* Behind another command of its id. In a drain or a revocation it comes again, here or elsewhere.
 */
static void hold_back(struct dri_core *core, struct dri_key *key, struct dri_flight *flight)
{
    bool is_dropping = key != NULL && key->is_dropping;
    flight->attempt--;
    if (is_slot_revoking(core, flight) || is_dropping) {
        dri_slot_give_up(core, flight,
                         is_dropping ? &core->stats.dropped_on_drain
                                     : &core->stats.dropped_on_revoke);
        return;
    }
    if (key != NULL) {
        dri_key_put_back(&core->keys, key, flight);
    }
    dri_lanes_hold(core, flight, dri_after_ms(core->now.mono_ns, HELD_MAX_MS));
}

static void answer(struct dri_core *core, struct dri_flight *flight)
{
    flight->attempt--;
    core->stats.answered++;
    dri_outcome_ok(core, flight);
}

static void fail(struct dri_core *core, struct dri_key *key, struct dri_flight *flight)
{
    /* A run that we cancelled ourselves says nothing about the command: whoever has the slot next
     * runs it again, from the first attempt. Only a verdict of the handler's own stays. */
    bool is_ours = flight->is_cancelled && dray_kind_is_retried(flight->kind) && !flight->is_stuck;
    bool is_put_off = flight->verdict.is_retry ||
                      (flight->verdict.exhausted != DRI_EXHAUSTED_DEAD_LETTER && !flight->is_stuck);
    if (is_slot_revoking(core, flight) && (is_put_off || is_ours)) {
        dri_slot_give_up(core, flight, &core->stats.dropped_on_revoke);
    } else if (flight->verdict.is_retry) {
        retry(core, key, flight);
    } else if (!dri_park_exhaust(core, flight)) {
        dri_outcome_letter(core, flight, flight->kind);
    }
}

/* Its handler runs on. */
static void deafen(struct dri_core *core, struct dri_key *key, struct dri_flight *flight)
{
    flight->is_deaf = true;
    if (DRI_IS_PLANTED(DEAF_OVERLAP)) {
        flight->key_number = 0;
    } else if (key != NULL) {
        key->is_deaf = true;
        if (core->is_draining) {
            give_up_queue(core, key);
        }
    }
}

void dri_lanes_returned(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    if (flight->is_with_lane) {
        flight->has_returned = true; /* DONE comes behind it */
        return;
    }
    DRI_ASSERT(flight->is_deaf);
    flight->is_deaf = false;
    flight->key_number = 0;
    dri_group_returned(core, flight);
    if (key != NULL) {
        key->is_deaf = false;
        dri_lanes_update_key(core, key);
    }
    if (flight->is_release_due) {
        flight->is_release_due = false;
        core->releases_due--;
        dri_release(core, flight);
    }
}

void dri_lanes_done(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = key_of(core, flight);
    DRI_ASSERT(flight->is_with_lane);
    flight->is_with_lane = false;
    if (flight->was_run && flight->is_stuck && !flight->has_returned) {
        deafen(core, key, flight);
    } else {
        flight->key_number = 0;
    }
    if (flight->was_run && !flight->is_stuck) {
        learn(core, &core->lanes[flight->lane], flight->ended_ns - flight->started_ns);
    }
    flight->next = NULL;
    flight->prev = NULL;
    bool is_waiting_on = dri_group_back(core, flight);
    if (flight->state == DRI_FLIGHT_DROPPED) {
        dri_slot_stale(core, flight);
        dri_release(core, flight);
    } else if (flight->is_answered) {
        answer(core, flight);
    } else if (flight->is_held) {
        hold_back(core, key, flight);
    } else if (!flight->was_run || is_waiting_on) {
        unrun(core, key, flight);
    } else if (flight->kind == DRAY_KIND_NONE) {
        dri_outcome_ok(core, flight);
    } else {
        fail(core, key, flight);
    }
    chain_is_back(core, key, flight->lane);
}
