/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_TIMERS_H
#define DRI_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* timers.h - at most one time for each of a fixed number of ids: a binary heap in the caller's
 * memory.
 *
 * Equal times come in the order of ids, so that nothing depends on history.
 *
 * Threads: one owner. Pure.
 */

struct dri_timer {
    uint64_t due_ns;
    uint32_t id;
};

struct dri_timers {
    struct dri_timer *heap;
    uint32_t *places; /* of each id: place in the heap + 1; 0: none */
    uint32_t count;
    uint32_t ids;
};

/** heap, places: ids elements each; places zeroed. Borrowed for life. */
void dri_timers_init(struct dri_timers *timers, struct dri_timer *heap, uint32_t *places,
                     uint32_t ids);

/** Set or move. */
void dri_timers_set(struct dri_timers *timers, uint32_t id, uint64_t due_ns);

/** No-op when it is not set. */
void dri_timers_cancel(struct dri_timers *timers, uint32_t id);

bool dri_timers_is_set(const struct dri_timers *timers, uint32_t id);

/** The earliest time, or UINT64_MAX. */
uint64_t dri_timers_next(const struct dri_timers *timers);

/** Take the earliest one that is due at now; UINT32_MAX when there is none. */
uint32_t dri_timers_pop(struct dri_timers *timers, uint64_t now_ns);

#endif
