/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PARKED_H
#define DRI_PARKED_H

#include <stdbool.h>
#include <stdint.h>

#include "park.h"

/* parked.h - what the core remembers of commands that wait in a park log, and of their keys.
 *
 * Entries and parked keys stand in slabs of their own, are named by number, and are untouched until
 * they are needed. park.c has what is done with them.
 */

enum dri_entry_state {
    DRI_ENTRY_FREE,
    DRI_ENTRY_WAITING, /* for its time, its turn, or its release */
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
    uint64_t offset;      /* in its log */
    uint64_t order;       /* at which it first stood there: its place among its key's entries */
    uint64_t source_hash; /* of the message that it is */
    uint64_t due_ms;      /* wall; 0: when its turn comes */
    uint64_t not_before_ns;          /* mono: it could not come out, and is not asked for again */
    uint64_t place;                  /* of its bytes with the shell; 0: none */
    uint32_t slot, epoch;            /* of the park log */
    uint32_t key;                    /* number of its parked key + 1; 0: none */
    uint32_t next, prev;             /* in its key's queue, by order; free list: number + 1 */
    uint32_t ready_next, ready_prev; /* in the list of those that are ready: number + 1 */
    uint32_t flight;                 /* that was taken for it: index + 1, until it is free again */
    uint32_t users;                  /* flights whose letter names the unit of this one */
    uint32_t attempts;
    uint8_t kind;   /* enum dri_park_kind */
    uint8_t state;  /* enum dri_entry_state */
    uint8_t queued; /* bits: stands in the action queue */
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
    uint32_t key;                    /* number in the table of keys */
    uint32_t head, tail;             /* entries, by order: number + 1 */
    uint32_t parking;                /* the live flight of it whose copy, or whose letter in a
                                        sequence, is on the way: index + 1. One at a time */
    uint32_t touched_next;           /* in the list of those to look at: number + 1; free list */
    uint32_t unread_next, unread_prev;
    bool is_touched, is_unread;      /* in that list */
    struct dri_unread live, rewrite; /* the last follower; the last copy that was written anew */
};

#endif
