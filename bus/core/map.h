/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CORE_MAP_H
#define DRI_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* map.h - (tag, key) to a small number: open addressing of a fixed size, in the caller's memory.
 *
 * Linear probing; removal moves later entries back, so there are no tombstones and a table that
 * lives for months stays as fast as on its first day. Never walked: order of the table decides
 * nothing.
 *
 * Threads: one owner. Pure.
 */

struct dri_map_entry {
    uint64_t key;
    uint32_t tag;
    uint32_t value; /* + 1; 0: empty, so that zeroed memory is an empty table */
};

struct dri_map {
    struct dri_map_entry *entries;
    uint32_t mask;
    uint32_t count;
};

/** Entries that a table for at most count pairs needs: a power of two, at most half full. */
uint32_t dri_map_entries(uint32_t count);

/** entries: zeroed, as many as dri_map_entries said. Borrowed for life. */
void dri_map_init(struct dri_map *map, struct dri_map_entry *entries, uint32_t entries_count);

/** The pair is looked for soon. */
void dri_map_prefetch(const struct dri_map *map, uint32_t tag, uint64_t key);

/** The value, or UINT32_MAX. */
uint32_t dri_map_find(const struct dri_map *map, uint32_t tag, uint64_t key);

/** Requires: not there; room (asserted). */
void dri_map_add(struct dri_map *map, uint32_t tag, uint64_t key, uint32_t value);

/** Requires: there. */
void dri_map_remove(struct dri_map *map, uint32_t tag, uint64_t key);

#endif
