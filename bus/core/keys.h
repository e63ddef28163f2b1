/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_KEYS_H
#define DRI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flight.h"
#include "map.h"

/* keys.h - the ordering keys that have a flight, or something parked: one queue each, of which one
 * chain runs at a time.
 *
 * A key exists from its first flight until the last one left it and nothing of it is parked. Its
 * number stays the same meanwhile. Only queues and names: when a key may run is decided in lanes.c.
 *
 * Threads: one owner. Pure; all memory is the caller's.
 */

struct dri_key {
    uint64_t hash;
    struct dri_flight *head, *tail; /* QUEUED; only the head may be WAITING */
    struct dri_flight *back_tail;   /* last of those that came back from the running chain */
    uint32_t next, prev;            /* line of ready keys, number + 1; free list */
    uint32_t out;                   /* flights of the running chain that are not back yet */
    uint32_t count;                 /* in the queue */
    uint16_t lane;
    uint32_t parked;  /* number of what is parked of it + 1 (parked.h); 0: nothing */
    uint32_t group;   /* in whose line it stands; only when ready */
    bool is_ready;    /* in a line (groups.c) */
    bool is_held;     /* ... of a group that is paused */
    bool is_deaf;     /* its handler ignores its deadline: nothing of it may start */
    bool is_dropping; /* draining: what is behind a dropped retry is dropped too */
};

struct dri_keys {
    struct dri_map map;
    struct dri_key *keys;
    uint32_t keys_max;
    uint32_t fresh;     /* numbers from here on were never used */
    uint32_t free;      /* number + 1; 0: none */
    uint32_t held;      /* flights in the queues of keys that are held */
    uint32_t queue_max; /* of one key, before the rest counts as excess; 0: no bound */
    uint32_t excess;    /* flights beyond it, of all queues */
};

/** keys, entries: zeroed; entries_count as dri_map_entries(keys_max) said. */
void dri_keys_init(struct dri_keys *keys, struct dri_key *memory, uint32_t keys_max,
                   struct dri_map_entry *entries, uint32_t entries_count);

/** NULL when no flight has this key. */
struct dri_key *dri_keys_find(const struct dri_keys *keys, uint64_t hash);

/** A new key with an empty queue. Requires: not there; fewer than keys_max (asserted). */
struct dri_key *dri_keys_add(struct dri_keys *keys, uint64_t hash);

/** Requires: empty, nothing out, not ready. */
void dri_keys_remove(struct dri_keys *keys, struct dri_key *key);

uint32_t dri_keys_number(const struct dri_keys *keys, const struct dri_key *key);
struct dri_key *dri_keys_at(const struct dri_keys *keys, uint32_t number);

/** Sets flight->key_number. */
void dri_key_append(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight);
/** In front of all others, but for what came out of a park log. Requires: nothing of the key is
 * out.
 */
void dri_key_prepend(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight);
/** A flight that came back from the running chain: in front of the queue, behind earlier ones. */
void dri_key_put_back(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight);
/** Clears flight->key_number. */
void dri_key_unlink(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight);
/** Count its queue among what is held, or no longer. No-op when it is so already. */
void dri_key_hold(struct dri_keys *keys, struct dri_key *key, bool is_held);

#endif
