/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_HEAT_H
#define DRI_HEAT_H

#include <stdbool.h>
#include <stdint.h>

/* heat.h - how often something was called lately: a window of time in ten parts.
 *
 * Time comes as the number of a part, which only grows. The window is the part that runs and the
 * nine before it, so that it covers between nine and ten tenths of its length: what is called hot
 * had its calls within the window, never outside of it.
 *
 * Threads: one at a time.
 */

#define DRI_HEAT_PARTS 10u

/** All zero: never called. */
struct dri_heat {
    uint64_t total; /* calls since ever */
    uint64_t part;  /* the latest that was told of */
    uint32_t seen;  /* of the counter that is taken from */
    uint32_t parts[DRI_HEAT_PARTS];
};

/** counter: a count that only grows, and may wrap; what is new in it belongs to part. */
void dri_heat_take(struct dri_heat *heat, uint64_t part, uint32_t counter);
/** Begin with the window of another. total and what was seen stay. */
void dri_heat_inherit(struct dri_heat *heat, const struct dri_heat *other);
/** Calls in the window. */
uint64_t dri_heat_window(const struct dri_heat *heat);
/** Calls in one part of it: 0 the oldest, DRI_HEAT_PARTS - 1 the one that runs. */
uint32_t dri_heat_part(const struct dri_heat *heat, uint32_t i);

#endif
