/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_REPLAYED_H
#define DRI_REPLAYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* replayed.h - which copies of dead letters were met already, so that a copy that was made twice
 * runs once.
 *
 * A copy is named by the letter that it is of and by its generation: headers dray-replay-of and
 * dray-replays. Threads: one owner.
 */

struct dri_replay_name {
    uint8_t bytes[16];
};

/** The name in a message's headers. False: it is no replay. */
bool dri_replay_name_of(struct dray_slice headers, struct dri_replay_name *ret_name);

/** The name that a copy will have. */
struct dri_replay_name dri_replay_name_make(struct dray_slice replay_of, uint64_t replays);

struct dri_replayed;

/** Remembers up to max names, then forgets the oldest. Memory is taken as it is used.
 *  Errors: ENOMEM. Requires: 1 <= max <= 2^30. */
DRAY_MUST_CHECK enum dray_status dri_replayed_create(uint32_t max,
                                                     struct dri_replayed **ret_replayed);
/** NULL is a no-op. */
void dri_replayed_destroy(struct dri_replayed *replayed);

/** Whether a copy of this name at a smaller offset is known within scope; else remembers this one.
 *  The same copy delivered again is no duplicate of itself. */
bool dri_replayed_is_duplicate(struct dri_replayed *replayed, uint64_t scope,
                               const struct dri_replay_name *name, uint64_t offset);

/** Whether any copy of this name is known within scope. */
bool dri_replayed_has(const struct dri_replayed *replayed, uint64_t scope,
                      const struct dri_replay_name *name);

#endif
