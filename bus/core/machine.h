/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_MACHINE_H
#define DRI_MACHINE_H

#include "adaptive.h"
#include "assert.h"
#include "breaker.h"
#include "claims.h"
#include "core.h"
#include "keys.h"
#include "map.h"
#include "timers.h"
#include "tracker.h"

/* machine.h - the inside of a core: what its files share, and nobody else includes.
 *
 *   core.c     memory, events in, actions out, room, stats
 *   lanes.c    who runs when: keys, the keyless, chains, DONE
 *   groups.c   what may run of a route: lines, turns, limits, pause
 *   breaker.c  what the ends of runs say about what is behind a route
 *   systemic.c whether most of what ends, ends badly
 *   early.c    commands whose time has not come
 *   outcome.c  what is published, and what after which acknowledgement
 *   slots.c    assignments: admission, settling, revocation
 *   claims.c   what a commit says of the commands beyond its position; progress.c: as text
 *   leases.c   deliveries that are settled one by one: leases, redelivery
 *   drain.c    the end
 *   check.c    whether all of it is consistent
 */

/** A place for chains to run. */
struct dri_lane {
    uint32_t out;       /* chains that are with the lane */
    uint32_t ring;      /* group + 1 whose line is served next; 0: none may be */
    uint32_t ready;     /* how many stand in the lines of the ring */
    bool is_loose_turn; /* a keyless flight goes before the next ready key */
    uint32_t limit;     /* chains that it may be handed now; at most lane_depth */
    uint32_t chain;     /* flights in one of them; at most chain_max */
    uint64_t mean_ns;   /* of a run, sliding */
};

/** What of one group stands ready for one lane: keys; at the lane behind the last: the keyless. */
struct dri_line {
    uint32_t head, tail;           /* key number + 1, or flight index + 1 */
    uint32_t count;                /* how many */
    uint32_t ring_next, ring_prev; /* group + 1; 0: not in the lane's ring */
};

struct dri_group {
    struct dri_group_limits limits;
    bool is_limited;  /* has any limit */
    bool is_blocked;  /* nothing of it may start now */
    bool was_set;     /* configured before, perhaps for another route */
    bool is_probing;  /* the probe is out */
    bool is_spilling; /* paused: what comes is dead-lettered as held */
    bool is_systemic; /* its breaker opened because most commands of the worker fail */
    enum dri_breaker breaker;
    uint32_t running;    /* flights that are with a lane */
    uint32_t failures;   /* in a row */
    uint32_t unanswered; /* stood in its lines when they were looked through for a fallback */
    uint64_t free_ns;    /* when a bucket without burst has its next token */
    uint64_t open_until_ns;
    struct dri_adaptive adaptive; /* only with limits.concurrency_min */
};

/** Kinds of actions that a slot can have in the queue, each at most once. */
enum {
    DRI_SLOT_SETTLE = 1,
    DRI_SLOT_FINAL = 2,
    DRI_SLOT_UNASSIGN = 4,
};

struct dri_slot {
    uint32_t epoch;
    bool is_assigned;
    bool is_watermark;
    bool is_revoking;
    bool is_final_out;    /* a final settle waits for its answer */
    bool is_settle_held;  /* a final settle failed: the next one waits for the timer */
    bool is_settle_armed; /* the timer DRI_TIMER_SETTLE is set */
    bool has_settled, has_sent;
    uint8_t queued; /* bits: stands in the action queue */
    uint8_t wanted; /* bits: still means something when it is read there */
    uint32_t unassign_epoch;
    uint64_t lease_ns;
    uint64_t settled; /* that the broker confirmed */
    uint64_t sent;    /* last position sent */
    uint64_t final_position;
    uint64_t last_settle_ns;
    uint32_t settled_sum, sent_sum; /* of the metadata beside settled and sent; 0: none */
    struct dri_tracker tracker;
    struct dri_claims *claims;                  /* its own; only of a WATERMARK slot */
    struct dri_flight *lease_head, *lease_tail; /* by lease_due_ns */
};

enum dri_slot_timer {
    DRI_TIMER_SETTLE,
    DRI_TIMER_REVOKE,
    DRI_TIMER_LEASE,
    DRI_TIMER_SLOT_COUNT
};

/** An action in the queue: 8 bytes; the rest is read from the flight or slot when it is taken out.
 */
struct dri_queued_action {
    uint8_t type;
    uint8_t detail; /* PUBLISH: outcome; slots: DRI_SLOT_ bit, or 0 for one delivery */
    uint16_t lane;
    uint32_t ref; /* flight or slot */
};

/** A delivery that was settled lately. */
struct dri_recent {
    uint64_t offset;
    uint32_t slot; /* + 1 */
    uint32_t epoch;
};

struct dri_core {
    struct dri_core_config config; /* immutable but for dri_core_set_limits */
    struct dri_now now;            /* of the step */
    uint64_t steps;                /* with the present one */

    struct dri_flight *flights;
    uint32_t flights_max;      /* in_flight_max + unacked_max as they were at init */
    uint32_t in_flight_carved; /* in_flight_max as it was at init */
    size_t flight_bytes;       /* sizeof(struct dri_flight) */
    uint32_t fresh;            /* flights from here on were never used */
    struct dri_flight *free;
    uint32_t used;         /* not FREE */
    uint32_t releasing;    /* RELEASE stands in the queue */
    uint32_t releases_due; /* only a deaf handler keeps them */
    uint32_t states[DRI_FLIGHT_STATE_COUNT];
    uint64_t bytes;
    bool is_full;

    struct dri_slot *slots;
    struct dri_claims *claims; /* by slot; untouched until its slot is assigned */
    struct dri_tracker_node *nodes;
    struct dri_map deliveries; /* (slot, offset) of EACH slots to flight */
    struct dri_recent *recent;
    uint32_t recent_mask;

    struct dri_keys keys;
    struct dri_lane *lanes; /* and one more, of which only ring and ready count: the keyless */
    uint32_t lanes_with_room;
    uint32_t ready;       /* keys that may run, of all lanes */
    uint32_t loose;       /* keyless flights that may run */
    uint32_t lane_cursor; /* of the keyless */
    uint32_t key_cursor;
    bool is_key_turn;

    struct dri_group *groups; /* 0: no limits */
    struct dri_line *lines;   /* of each group, by lane; then the next group */
    uint32_t groups_used;     /* from here on none was ever configured */
    uint32_t fallbacks;       /* groups with one */
    uint32_t held_loose;      /* keyless flights in lines of paused groups */
    uint32_t open_groups;     /* whose breaker is not closed */
    uint64_t breaker_changes; /* from closed, or to it */
    struct dri_systemic systemic;

    struct dri_timers timers; /* flights, then slots, then the drain, then groups */

    struct dri_queued_action *actions;
    uint32_t actions_max;
    uint32_t actions_head, actions_count; /* the head begins anew whenever it is empty */

    uint32_t half_told;
    bool is_whole; /* at the last barrier */

    bool is_draining, is_stopped, is_drained, is_clean;
    struct dri_core_stats stats; /* counters only; gauges are made when asked for */
};

/** The only place where a state changes. */
static inline void dri_move(struct dri_core *core, struct dri_flight *flight,
                            enum dri_flight_state to)
{
    DRI_ASSERT(dri_flight_may_go(flight->state, to));
    core->states[flight->state]--;
    core->states[to]++;
    flight->state = to;
}

/** Queue an action; core.c says why there is always a place for it. */
static inline void dri_push(struct dri_core *core, enum dri_core_action_type type, uint32_t ref,
                            uint8_t detail, uint16_t lane)
{
    DRI_ASSERT(core->actions_count < core->actions_max);
    uint32_t at = core->actions_head + core->actions_count++;
    at = at < core->actions_max ? at : at - core->actions_max;
    core->actions[at] = (struct dri_queued_action){
        .type = (uint8_t)type, .detail = detail, .lane = lane, .ref = ref};
}

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
void dri_lanes_returned(struct dri_core *core, struct dri_flight *flight);
void dri_lanes_due(struct dri_core *core, struct dri_flight *flight);
/** Answer a flight that stands in a line without a run, or do what else is due with it. */
void dri_lanes_fall_back(struct dri_core *core, struct dri_flight *flight);
/** Take a QUEUED or WAITING flight out. */
void dri_lanes_unlink(struct dri_core *core, struct dri_flight *flight);
/** Give up a flight and whatever waits behind it in its key: while draining. */
void dri_lanes_give_up_key(struct dri_core *core, struct dri_flight *flight);
/** Give up what waits behind a deaf handler: while draining. */
void dri_lanes_give_up_held(struct dri_core *core, const struct dri_flight *flight);
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
void dri_outcome_published(struct dri_core *core, uint64_t token, enum dri_core_ack ack,
                           enum dray_status reason);
/** Nothing more will be told of it; whether something was, and something was not. */
bool dri_outcome_told(struct dri_core *core, struct dri_flight *flight);
void dri_outcome_due(struct dri_core *core, struct dri_flight *flight);

/* slots.c */
/** Whether it was let in; else it was refused, and is not the caller's any more. */
bool dri_slot_admit(struct dri_core *core, struct dri_flight *flight);
/** Every outcome is stored: settle. */
void dri_slot_finish(struct dri_core *core, struct dri_flight *flight);
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
