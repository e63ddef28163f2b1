/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_FLIGHT_H
#define DRI_FLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/kind.h>
#include <dray/slice.h>

#include "control.h"
#include "envelope.h"
#include "park.h"
#include "verdict.h"

/* flight.h - one message on its way through the worker: a record of the core's slab.
 *
 * Owner: the core, except between START and DONE, when it belongs to the lane that runs it; lanes
 * may touch only the fields marked (lane). After a DONE with is_stuck a handler still reads the
 * message's bytes, until RETURNED. The shell fills the fields marked (shell) before it
 * hands a flight to the core, and frees what they point to when the core says RELEASE.
 */

/** The one state machine. Each transition stands in flight.c's table; anything else asserts. */
#define DRI_FLIGHT_STATE_TABLE(X)                                                                  \
    X(FREE)    /* on the slab's free list */                                                       \
    X(TAKEN)   /* handed to the shell to be filled */                                              \
    X(QUEUED)  /* behind another flight of its key, or waits for a run slot */                     \
    X(RUNNING) /* with a lane */                                                                   \
    X(WAITING) /* for a time: a retry, and its key with it; or not_before, in no queue */          \
    X(LETTER)  /* its dead letter is on the way */                                                 \
    X(RESULT)  /* its result is on the way */                                                      \
    X(PARKING) /* its copy for another log is on the way */                                        \
    X(DONE)    /* every outcome stored; the settle may still be on the way */                      \
    X(DROPPED) /* its assignment is gone; only waits for what is out */

enum dri_flight_state {
#define DRI_FLIGHT_ENUM(name) DRI_FLIGHT_##name,
    DRI_FLIGHT_STATE_TABLE(DRI_FLIGHT_ENUM)
#undef DRI_FLIGHT_ENUM
    DRI_FLIGHT_STATE_COUNT
};

/** Which outcome is to be published. */
enum dri_outcome {
    DRI_OUTCOME_RESULT,          /* ok */
    DRI_OUTCOME_LETTER,          /* dead letter with the original bytes */
    DRI_OUTCOME_LETTER_POINTER,  /* dead letter without the bytes: they did not fit */
    DRI_OUTCOME_ERROR_RESULT,    /* error.dead_letter: true, after the letter */
    DRI_OUTCOME_LIMIT_RESULT,    /* the result was too large: kind limit, not run again */
    DRI_OUTCOME_DELAY,           /* its copy for a delay log: its time is far away */
    DRI_OUTCOME_WINDOW,          /* record of the window log, before the result */
    DRI_OUTCOME_PARK,            /* its copy for the park log: park_... say how */
    DRI_OUTCOME_FALLBACK_RESULT, /* the target refused: to the results topic, reply_failed */
};

struct dri_card; /* of the shell: run/card.h */

/** Whether its letter belongs to a unit of one key, that is released as a whole. */
enum dri_sequence {
    DRI_SEQUENCE_NONE,
    DRI_SEQUENCE_FIRST, /* the unit is named after it */
    DRI_SEQUENCE_MEMBER
};

struct dri_flight {
    /* Ordered by who touches what when, because a flight that waits for its acknowledgement is in
     * no cache any more: what the core needs of every command comes first (DRI_FLIGHT_CORE_BYTES),
     * then what the lane leaves, what the shell encodes from, and last what few commands have. */

    /* core: links, place and state */
    /* key queue, queue of the keyless, run chain, free list */
    struct dri_flight *next;
    struct dri_flight *prev; /* key queue, queue of the keyless */
    uint32_t index;          /* in the slab; immutable */
    uint32_t generation;     /* bumped on each take and each publish; part of the token */
    enum dri_flight_state state;
    enum dri_outcome outcome; /* being published, in LETTER and RESULT */
    uint32_t key_number;      /* of its entry in the key table, plus 1; 0: none */
    uint32_t group;           /* (shell) whose limits hold; 0: none. The core's after RECORD */

    /* (shell) filled at intake, then immutable until RELEASE; more of it below. What zero would not
     * mean "none" for is set by dri_core_take: lane_hint. */
    uint32_t slot, epoch;
    uint64_t offset;
    uint64_t key_hash;            /* of namespace and key; only when has_key */
    uint64_t deadline_ms;         /* wall; 0: none */
    uint64_t not_before_ms;       /* wall; 0: at once */
    enum dray_error_kind invalid; /* NONE, or why it cannot run (INVALID, AUTH, LIMIT) */
    uint32_t bytes;               /* that count against max_bytes */
    uint32_t window_ms; /* of its route: how long its id is not run again; 0: no window. It is a
                           chain of its own then, and the shell looks at it before it runs */
    uint16_t lane_hint; /* UINT16_MAX: none; only with has_key */
    bool has_key;
    bool has_id;       /* an error result can name the command */
    bool wants_result; /* reply_to is not "" */
    bool is_replay;    /* came from a replay source */
    bool is_id_taken;  /* its deduplication ids belong to a message of a log that is gone */
    bool is_duplicate; /* a second copy of a replay: ends as ok without a run or a result */

    /* what the shell said instead of running it, or for this run */
    bool has_window;  /* it runs, and its end is stored in the window before its result */
    bool is_answered; /* not run: an earlier command of this id has ended, its result is this one's
                       */
    bool is_held;     /* not run: an earlier command of this id is in flight; until WAKE */

    /* core */
    bool is_with_lane;      /* between START and DONE */
    uint16_t lane;          /* that runs it */
    bool is_publishing;     /* between PUBLISH and PUBLISHED */
    bool is_cancelled;      /* CANCEL was said in this run */
    bool is_leased;         /* in its slot's list of leases */
    bool is_extend_queued;  /* EXTEND was said and is not read yet */
    bool is_tracked;        /* in its slot's list of the unfinished */
    bool is_fallback;       /* its result is the fallback of its route; it was not run for it */
    bool is_half_told;      /* its letter is stored, its error result is not */
    bool is_result_limited; /* a result did not fit: whatever result follows says kind limit */
    bool is_deaf;           /* its handler still runs: it keeps its key and its bytes */
    bool has_returned;      /* ... has returned, before DONE was seen */
    bool is_release_due;    /* nothing else keeps it */
    bool is_early;          /* WAITING for not_before: it has no place in the order yet */
    bool is_delay_refused;  /* its copy is too large for a delay log: it waits here */
    bool is_probe;          /* of its group's breaker; only while with the lane */
    bool has_token;         /* of its group's rate; only while with the lane */
    bool is_unparkable;     /* its copy did not fit, or its key is no order: it waits in memory */
    bool is_parker;         /* its key waits for its copy or letter: the key's parking */
    bool was_read_back;     /* its copy was read, and nobody had said yet that it is stored */
    bool was_parked_anew;   /* of an entry: from then on another copy stands for it */
    bool is_telling;        /* an outcome of it is on the way: gate.c counts it in its key */
    bool is_gated;          /* PARKING, and not published: in the list of gate.c */
    enum dri_sequence sequence;
    uint32_t entry;            /* that it came out of: number + 1; 0: none */
    uint32_t unit_entry;       /* SEQUENCE_MEMBER: HELD record that names the unit: number + 1 */
    uint32_t publish_attempts; /* of this outcome that failed */
    void *ticket;              /* the shell's, of its id in a window; NULL: none */
    struct dri_card *card;     /* (shell) the fallback of its route, retained until RELEASE */
    void *block;               /* (shell) one pool block: value, key, headers, subject */
    void *outcome_block;       /* (lane) heap block of the executor: result, error code, message */

    /* how the last run ended (lane), read by the core and the shell after DONE */
    enum dray_error_kind kind;  /* NONE: ok */
    struct dri_verdict verdict; /* what to do about a failure */
    uint32_t attempt; /* runs so far, from 1 in the first run; (core) counts it at START */
    bool was_run;     /* false: the chain stopped before it; run it again, not counted */
    bool is_stuck; /* its handler did not return and still runs: a final failure; RETURNED comes */
    bool is_result_too_large;  /* the handler succeeded, but its result cannot travel */
    _Atomic(bool) is_recalled; /* set by the engine's thread: do not begin it any more */
    uint32_t blamed; /* (shell) before DONE: the dependency that failed; 0: all of the route's */
    uint64_t started_ns, ended_ns; /* of the last run */
    struct dray_slice result;      /* encoded payload of the result */
    struct dray_slice version;     /* that ran; borrows from outcome_block */

    /* the command itself (shell) */
    struct dray_slice value, key;
    struct dri_envelope envelope; /* borrows from block */
    struct dray_slice headers, subject;
    uint64_t received_ns;
    uint64_t source_ms;   /* wall, when the broker stored it; 0: not known */
    uint64_t choice_hash; /* chooses among the routes of a name: canaries */

    /* what ended otherwise (lane) */
    uint64_t revision;         /* of the registry at lookup */
    struct dray_slice handler; /* that ran; borrows from outcome_block */
    uint64_t first_failed_ms, last_failed_ms;
    struct dray_slice error_code, error_message;
    struct dray_slice backtrace;  /* of a stuck handler */
    struct dray_slice route_name; /* only when the command came with a fid alone */

    /* core: waits and leases */
    uint64_t due_ns; /* WAITING, or backoff of a refused publish */
    struct dri_flight *lease_next, *lease_prev;
    uint64_t lease_due_ns; /* when the lease is to be renewed */
    uint64_t lease_end_ns; /* when the lease ends, if it is not renewed */
    uint64_t delivery;     /* (shell) the core puts a newer one here when it is delivered again */
    uint32_t deliveries;   /* (shell) */
    uint32_t probe_of[DRI_DEPENDS_MAX]; /* dependencies whose probe it is; 0: none */
    uint8_t probes;                     /* that failed */

    /* core: parking */
    bool has_park_order; /* false: it stands there for the first time */
    enum dri_park_kind park_kind;
    uint64_t gate;        /* until so many of its slot that are finished are settled */
    uint64_t unit_place;  /* of the bytes of unit_entry with the shell */
    uint64_t park_order;  /* PARK: offset at which it first stood in the log ... */
    uint64_t park_due_ms; /* ... wall; 0: when its turn comes */
    /* (shell) of what came out of a park log: where it came from, of which unit; else absent */
    struct dray_slice park_source, park_unit;
    uint64_t window_scope; /* (shell) names namespace and command; only with window_ms */

    struct dri_wire_error wire_error; /* (shell) */

    uint8_t rest_of_line[56]; /* nothing: see the assertion */
};

/* The core carves its flights on cache lines, and each one fills its own. The type does not demand
 * the alignment: gcc 12 does not keep that promise for the fake stack of AddressSanitizer. */
_Static_assert(sizeof(struct dri_flight) % 64 == 0, "a flight ends where a cache line ends");

/** What the core touches of a flight whose acknowledgement has come, and what it and the shell
 * touch of one that has run: from its beginning. */
#define DRI_FLIGHT_CORE_BYTES offsetof(struct dri_flight, kind)
#define DRI_FLIGHT_RUN_BYTES  offsetof(struct dri_flight, envelope)

/** Token of a publish: index and generation. Each publish has its own; read it when the PUBLISH
 * action is carried out. */
static inline uint64_t dri_flight_token(const struct dri_flight *flight)
{
    return ((uint64_t)flight->generation << 32) | flight->index;
}

const char *dri_flight_state_text(enum dri_flight_state state);

/** The one state machine: for each state, a bit for each state that may follow. In flight.c. */
extern const uint16_t dri_flight_transitions[DRI_FLIGHT_STATE_COUNT];

/** Whether the one state machine has this transition. Pure. */
static inline bool dri_flight_may_go(enum dri_flight_state from, enum dri_flight_state to)
{
    return (dri_flight_transitions[from] >> to & 1u) != 0;
}

#endif
