/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_MACHINE_H
#define DRI_MACHINE_H

#include "adaptive.h"
#include "assert.h"
#include "breaker.h"
#include "claims.h"
#include "core.h"
#include "groups.h"
#include "keys.h"
#include "map.h"
#include "parked.h"
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
 *   park.c     (parked.h, entries.c) what waits in a park log: in, out, and the order of its key
 *   gate.c     what a copy waits for before it goes there, and before it comes out
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
    bool is_park;         /* a park log */
    bool is_caught_up;    /* ... read to the end that it had when it was assigned */
    bool is_held;         /* ... not read on: no more goes there */
    uint32_t unread;      /* ... copies that were stored there and not read back */
    uint32_t park;        /* slot of its park log; UINT32_MAX: none */
    uint64_t origin_hash; /* of its messages' names */
    uint64_t assigned_ns;
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
    uint64_t finished;              /* flights; of these ... */
    uint64_t said, said_to;         /* so many are in what was sent last, below this offset */
    uint64_t kept, kept_to;         /* the same, confirmed */
    uint32_t same_out;              /* settles of the position that was sent last, unanswered */
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
    uint8_t detail; /* PUBLISH: outcome; slots: DRI_SLOT_ bit, or 0 for one delivery; entries:
                       DRI_ENTRY_ bit */
    uint16_t lane;  /* SETTLE: 1 for an entry */
    uint32_t ref;   /* flight, slot or entry */
};

/** A delivery that was settled lately. */
struct dri_recent {
    uint64_t offset;
    uint32_t slot; /* + 1 */
    uint32_t epoch;
};

/** Entries in one state: number + 1. */
struct dri_entry_list {
    uint32_t head, tail;
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
    uint32_t slots_end;        /* slots from here on were never assigned */
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

    struct dri_entry *entries;
    uint32_t entries_max;
    uint32_t entries_fresh, entries_free; /* as with flights; number + 1 */
    uint32_t entries_taken;               /* not FREE; of these ... */
    uint32_t entries_used;                /* WAITING to OUT */
    uint32_t entries_stopped;             /* of these, STOPPED and HELD */
    struct dri_map sources;               /* source hash of an entry to its number */
    struct dri_parked_key *parked_keys;
    uint32_t parked_keys_max, parked_keys_fresh, parked_keys_free, parked_keys_used;
    uint32_t touched; /* parked keys to look at in this step: number + 1 */
    uint32_t unread_count;
    uint32_t unread_copies; /* of all park logs */
    uint32_t unread;        /* parked keys with a copy that was not read back: number + 1 */
    struct dri_entry_list entries_ready; /* may come out */
    struct dri_entry_list entries_gated; /* could, but for gate.c */
    uint32_t unparked;                   /* flights that came out, or were asked for */
    uint32_t unparked_taken;             /* of these, flights */
    uint32_t unparked_max;               /* of the slab, set aside for them */
    uint32_t late_max;                   /* of the slab, for dri_core_take_late */
    uint32_t *telling; /* by hash of a key: its flights with an outcome on the way */
    uint32_t telling_mask;
    struct dri_flight *gated; /* whose copies wait until others are settled (gate.c) */
    uint32_t gates_telling;   /* of these, that wait for outcomes of their keys */
    bool is_gate_due;         /* one of them may go */
    bool is_exit_due;         /* one of entries_gated may */

    struct dri_timers timers; /* flights, then slots, then the drain, then groups, then entries */

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

static inline struct dri_entry *dri_entry_of(const struct dri_core *core,
                                             const struct dri_flight *flight)
{
    return flight->entry != 0 ? &core->entries[flight->entry - 1] : NULL;
}

/** Of what in a tracker: entries have their nodes behind those of the flights. */
static inline uint32_t dri_node_of(const struct dri_core *core, const struct dri_flight *flight)
{
    return flight->entry != 0 ? core->flights_max + flight->entry - 1 : flight->index;
}

#include "parts.h"

#endif
