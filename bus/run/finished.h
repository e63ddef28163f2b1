/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_FINISHED_H
#define DRI_FINISHED_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/slice.h>

#include "progress.h"

/* finished.h - which messages of a log a group has finished, for tools that read the log beside it.
 *
 * Threads: one owner.
 */

struct dri_finished {
    struct dri_progress_reader reader;
    struct dri_progress_run run; /* the one at which we are */
    uint64_t position;
    bool has_run;
};

/** What stands with a group's position. Metadata that says nothing leaves the position. metadata:
 * borrowed while this is used; hostile. */
void dri_finished_init(struct dri_finished *finished, uint64_t position,
                       struct dray_slice metadata);
/** Requires: offsets do not fall from call to call. */
bool dri_finished_has(struct dri_finished *finished, uint64_t offset);

#endif
