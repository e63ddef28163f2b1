/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_STATUS_BEAT_H
#define DRI_STATUS_BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "registry.h"

/* status_beat.h - what a replica says of itself on the status topic: once a second, and at once
 * when it changes.
 *
 * Threads: the registry's writer.
 */

/** How many routes that cannot run here are listed; the rest is counted in the last reason. */
#define DRI_BEAT_FAILED_MAX 64u
#define DRI_BEAT_BYTES_MAX  (64u << 10)

struct dri_beat {
    const char *worker, *group, *version, *admin; /* borrowed; admin "": none */
    const struct dri_registry *registry;          /* borrowed */
    char host[65];
    uint64_t due_ns;
    bool is_changed;       /* say it at once */
    size_t routes, failed; /* as of the last dri_beat_encode */
};

/** Fills in the host's name. */
void dri_beat_init(struct dri_beat *beat);
/** The record of now. Errors: ELIMIT. buffer: DRI_BEAT_BYTES_MAX bytes. */
DRAY_MUST_CHECK enum dray_status dri_beat_encode(struct dri_beat *beat, const char *state,
                                                 uint64_t wall_ms, uint8_t *buffer,
                                                 size_t *ret_len);

#endif
