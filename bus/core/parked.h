/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PARKED_H
#define DRI_PARKED_H

#include <stdbool.h>
#include <stdint.h>

#include "flight.h"
#include "park.h"

struct dri_core;
struct dri_core_action;
struct dri_core_event;
struct dri_key;
struct dri_slot;

/* parked.h - what the core remembers of commands that wait in a park log, and of their keys.
 *
 * Entries and parked keys stand in slabs of their own, are named by number, and are untouched until
 * they are needed. park.c has what is done with them.
 */

enum dri_entry_state {
    DRI_ENTRY_FREE,
    DRI_ENTRY_WAITING, /* for its time, its turn, or its release */
    DRI_ENTRY_GATED,   /* in the core's list: its time has come, and its source is not settled */
    DRI_ENTRY_READY,   /* in the core's list: it may come out as soon as there is a flight */
    DRI_ENTRY_ASKED,   /* UNPARK was said */
    DRI_ENTRY_OUT,     /* it is a flight */
    DRI_ENTRY_DEAD,    /* finished or given up; only waits for what names it */
};

/** Kinds of actions that an entry can have in the queue, each at most once. */
enum {
    DRI_ENTRY_UNPARK = 1,
    DRI_ENTRY_SETTLE = 2,
    DRI_ENTRY_FORGET = 4,
};

/** A record of a park log that is not finished. */
struct dri_entry {
    uint64_t offset;        /* in its log */
    uint64_t order;         /* at which it first stood there: its place among its key's entries */
    uint64_t source_hash;   /* of the message that it is ... */
    uint64_t source_offset; /* ... which stood there */
    uint64_t gate;          /* until so many of the source that are finished are settled;
                               UINT64_MAX: not known yet (gate.c) */
    uint64_t due_ms;        /* wall; 0: when its turn comes */
    uint64_t not_before_ns; /* mono: it could not come out, and is not asked for again */
    uint64_t place;         /* of its bytes with the shell; 0: none */
    uint32_t slot, epoch;   /* of the park log */
    uint32_t key;           /* number of its parked key + 1; 0: none */
    uint32_t next, prev;    /* in its key's queue, by order; free list: number + 1 */
    uint32_t list_next, list_prev; /* in the list of those that are READY or GATED: number + 1 */
    uint32_t source_slot;          /* to which the source belongs + 1; 0: not known */
    uint32_t flight;               /* that was taken for it: index + 1, until it is free again */
    uint32_t users;                /* flights whose letter names the unit of this one */
    uint32_t attempts;
    uint8_t kind;       /* enum dri_park_kind */
    uint8_t state;      /* enum dri_entry_state */
    uint8_t queued;     /* bits: stands in the action queue */
    bool is_of_release; /* written by a release: runs when its key is let go */
};

/** A copy that was stored and was not read back yet: until then its key is parked. */
struct dri_unread {
    uint64_t to;          /* offset + 1; 0: none; UINT64_MAX: not known, look for the source */
    uint64_t source_hash; /* of what was stored */
    uint32_t slot;
};

/** A key of which something is parked, or is about to be. */
struct dri_parked_key {
    uint32_t key;          /* number in the table of keys */
    uint32_t head, tail;   /* entries, by order: number + 1 */
    uint32_t parking;      /* the live flight of it whose copy, or whose letter in a
                              sequence, is on the way: index + 1. One at a time */
    uint32_t touched_next; /* in the list of those to look at: number + 1; free list */
    uint32_t unread_next, unread_prev;
    bool is_touched, is_unread;      /* in that list */
    bool has_gate;                   /* something of it may have ended and not be settled: gate.c */
    struct dri_unread live, rewrite; /* the last follower; the last copy that was written anew */
};

/* --- park.c and entries.c; called within a step --- */

/** A PARKED event. */
void dri_park_take_in(struct dri_core *core, const struct dri_core_event *event);
void dri_park_caught_up(struct dri_core *core, uint32_t number, uint32_t epoch);
/** Whether a park log has this live message already. */
bool dri_park_has(const struct dri_core *core, const struct dri_flight *flight);
/** Whether it can be stored in a park log now. */
bool dri_park_can(const struct dri_core *core, const struct dri_flight *flight);
/** Whether it is to be parked rather than wait in memory for so long. */
bool dri_park_wants(const struct dri_core *core, const struct dri_flight *flight, uint64_t wait_ms);
/** Store a copy. Requires: it is in no list, dri_park_can said yes. */
void dri_park_put(struct dri_core *core, struct dri_flight *flight, enum dri_park_kind kind,
                  uint64_t due_ms);
/** The copy was stored; offset UINT64_MAX: nobody knows where. */
void dri_park_stored(struct dri_core *core, struct dri_flight *flight, uint64_t offset);
/** The broker does not take so large a copy: it goes on without. False: try again later. */
bool dri_park_too_large(struct dri_core *core, struct dri_flight *flight);
/** A final failure of a route that wants more than a letter; false: a letter is all it gets. */
bool dri_park_exhaust(struct dri_core *core, struct dri_flight *flight);
/** What came out of an entry is given to the core. False: it was refused. */
bool dri_park_admit(struct dri_core *core, struct dri_flight *flight);
/** Its key does not wait for it any more. */
void dri_park_leave(struct dri_core *core, struct dri_flight *flight);
/** It is free again: what it came out of is not. */
void dri_park_detach(struct dri_core *core, struct dri_flight *flight);
/** Its outcome is stored. */
void dri_entry_finish(struct dri_core *core, struct dri_entry *entry);
/** It ends here without an outcome. */
void dri_entry_give_up(struct dri_core *core, struct dri_entry *entry);
/** A park log is revoked or lost: nobody is parked there any more. */
void dri_park_slot_ends(struct dri_core *core, uint32_t number);
void dri_park_due(struct dri_core *core, uint32_t number);
/** Look at a parked key before the step ends. */
void dri_park_touch(struct dri_core *core, const struct dri_key *key);
/** Whatever the touched keys need now; and what may come out. */
void dri_park_work(struct dri_core *core);
/** Whether something has happened since that wants it again. */
bool dri_park_is_due(const struct dri_core *core);
/** Park the oldest waiting flights of a slot whose commit cannot say all. */
void dri_park_relieve(struct dri_core *core, struct dri_slot *slot);

/* --- gate.c --- */

/** An outcome of it is on the way; it is stored, or given up. */
void dri_gate_tell(struct dri_core *core, struct dri_flight *flight);
void dri_gate_told(struct dri_core *core, struct dri_flight *flight);
/** Whether its copy waits until those before it are settled. Requires: PARKING, not published. */
bool dri_gate_takes(struct dri_core *core, struct dri_flight *flight);
void dri_gate_leave(struct dri_core *core, struct dri_flight *flight);
/** Nobody has answered. Requires: is_gated. */
void dri_gate_due(struct dri_core *core, struct dri_flight *flight);
/** Its slot is revoked, or the worker drains: it does not wait on. Requires: is_gated. */
void dri_gate_end(struct dri_core *core, struct dri_flight *flight, uint64_t *counter);
/** Publish, and let out, what need not wait any more. */
void dri_gate_work(struct dri_core *core);
/** Whether it stays in its log until its source is settled. Requires: WAITING, of a key. */
bool dri_gate_keeps(struct dri_core *core, struct dri_entry *entry);
/** Nobody has answered. Requires: GATED. */
void dri_gate_entry_due(struct dri_core *core, struct dri_entry *entry);
/** Its source came once more, and was finished once more. */
void dri_gate_came_again(struct dri_core *core, const struct dri_flight *flight);

uint32_t dri_entry_timer_id(const struct dri_core *core, uint32_t entry);
/** Fill in an action of an entry that is read now; false: it means nothing any more. */
bool dri_entry_read(struct dri_core *core, uint32_t number, uint8_t bit,
                    struct dri_core_action *ret_action);

#endif
