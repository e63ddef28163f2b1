/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CANCELLED_H
#define DRI_CANCELLED_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* cancelled.h - ids of scheduled commands that are not to run.
 *
 * Bounded: beyond max the oldest is forgotten. Threads: any; one usually adds (control), another
 * asks (engine). Without any id, to ask costs one load.
 */

struct dri_cancelled;

DRAY_MUST_CHECK enum dray_status dri_cancelled_create(uint32_t max,
                                                      struct dri_cancelled **ret_cancelled);
/** NULL is a no-op. */
void dri_cancelled_destroy(struct dri_cancelled *cancelled);

/** until_ms: wall; from then on it counts as forgotten. One that is there gets the later time.
 *  Returns whether another id had to be forgotten for it. */
bool dri_cancelled_add(struct dri_cancelled *cancelled, struct dray_slice id, bool is_binary,
                       uint64_t until_ms);
bool dri_cancelled_has(struct dri_cancelled *cancelled, struct dray_slice id, bool is_binary,
                       uint64_t now_ms);
/** Grows with each new id. */
uint64_t dri_cancelled_version(const struct dri_cancelled *cancelled);

#endif
