/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_LIVE_H
#define DRI_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "settings.h"

/* live.h - the part of the settings that a worker takes up while it runs.
 *
 * Made whole from settings by whoever has read them, handed over by one pointer, and owned by the
 * loop from then on. It copies its strings, so the settings may go. What start-up laid out (the
 * core's memory, the topics) is not in here, or only up to what was laid out. Threads: one owner.
 */

struct dri_live {
    uint32_t max_in_flight, max_unacked; /* at most those of the start */
    uint64_t max_bytes;
    uint32_t timeout_ms, settle_ms, revoke_ms, drain_ms, close_ms, stall_ms;
    char *namespaces;            /* owned; NULL: all */
    const char **reply_patterns; /* owned */
    size_t reply_patterns_count;
    char *reply_text; /* owned: what the patterns point into */
};

/** start: the settings that the worker was made with; now: those of this reading, which may be the
 * same. has_inboxes: the bus answers to inboxes too, so that they are in the default of reply_to.
 *  Owns: returns owned. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_live_create(const struct dri_settings *start,
                                                 const struct dri_settings *now, bool has_inboxes,
                                                 struct dri_live **ret_live);
/** NULL is a no-op. */
void dri_live_destroy(struct dri_live *live);

#endif
