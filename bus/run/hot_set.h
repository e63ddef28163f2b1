/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_HOT_SET_H
#define DRI_HOT_SET_H

#include <stddef.h>
#include <stdint.h>

#include "metrics.h"
#include "registry.h"

/* hot_set.h - which routes are called often, and what is done for them.
 *
 * A route is hot when this replica has called its handler at least calls_min times within the
 * window (heat.h). The modules of hot routes, and of those with policy.preload, are kept mapped
 * (preload.h). Threads: the registry's writer.
 */

#define DRI_HOT_LISTED_MAX 32u

/** The busiest routes, the busiest first; of equals the first by key. */
struct dri_hottest {
    uint64_t calls_min;
    const struct dri_route *routes[DRI_HOT_LISTED_MAX];
    size_t count;
    size_t called, hot; /* of all that were added */
};

/** calls_min is set, the rest was zero before the first. Requires: in the order of keys. */
void dri_hottest_add(struct dri_hottest *hottest, const struct dri_route *route);

struct dri_hot_set {
    struct dri_registry *registry; /* borrowed */
    struct dri_metrics_page *page; /* borrowed; NULL: nothing is shown */
    uint64_t part_ns;
    uint32_t calls_min;
    uint64_t due_ns;
    uint64_t preloaded_part; /* in which all of it was preloaded last */
    size_t hot;              /* as of the last turn */
    uint64_t preloaded_bytes;
};

void dri_hot_set_init(struct dri_hot_set *set, struct dri_registry *registry,
                      struct dri_metrics_page *page, uint32_t calls_min, uint32_t window_ms);
/** Take what was called until now into the heat of the routes. */
void dri_hot_set_take(struct dri_hot_set *set, uint64_t mono_ns);
/** Once a second: take, show, and preload what has become hot; once in each part of the window all
 *  that is. */
void dri_hot_set_turn(struct dri_hot_set *set, uint64_t mono_ns);

#endif
