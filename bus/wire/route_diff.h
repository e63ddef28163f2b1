/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ROUTE_DIFF_H
#define DRI_ROUTE_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/slice.h>
#include <dray/status.h>

/* route_diff.h - two route maps beside each other: what is different, and one of two changes.
 *
 * Maps are compared by their keys in whatever order, numbers by value, everything else by its
 * bytes. A key that this build does not know is treated like any other. Pure; any thread.
 */

#define DRI_ROUTE_PATH_BYTES 256u

/** Whether two msgpack values mean the same. Absent is the same as absent only; what cannot be read
 *  is the same as nothing. */
bool dri_value_is_same(struct dray_slice a, struct dray_slice b);

/** The value under a key of a map, absent when there is none. Borrows. */
struct dray_slice dri_route_field(struct dray_slice map, const char *key);

/** One difference. path: keys joined by dots ("policy.attempts"); absent: not there. */
typedef void dri_route_difference_fn(void *arg, const char *path, struct dray_slice before,
                                     struct dray_slice after);
/** Called for each key whose value differs, those of maps in maps by themselves. An absent side is
 *  an empty map. */
void dri_route_differences(struct dray_slice before, struct dray_slice after,
                           dri_route_difference_fn *on_difference, void *arg);

struct dri_route_sides {
    struct dray_slice ancestor; /* what both began with; absent: nothing was there */
    struct dray_slice ours, theirs;
};
/** Both changes in one route, key by key. What runs (runtime, module, handler, sha256, signature)
 *  is one key here, for half of each would be neither, and so is a fallback.
 *  Errors: ECONFLICT: both changed ret_path (DRI_ROUTE_PATH_BYTES) in different ways; ELIMIT;
 *          EINVALID: a side is no map. That the result is a route is for the caller to check. */
DRAY_MUST_CHECK enum dray_status dri_route_merge(const struct dri_route_sides *sides, void *buffer,
                                                 size_t buffer_bytes, size_t *ret_len,
                                                 char *ret_path);

#endif
