/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLAIMS_H
#define DRI_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

#include "progress.h"
#include "tracker.h"

/* claims.h - what one assignment says, beside its position, of the commands beyond it: which are
 * finished, and so are not to be run again by whoever has the partition next.
 *
 * See claims.c for what may be said and what is remembered for it.
 *
 * Threads: one owner. Pure; all memory is the caller's.
 */

#define DRI_CLAIMS_GIVEN_UP_MAX 256u

struct dri_claims {
    /* Given up in this assignment: runs of offsets, ascending, not touching. */
    struct dri_progress_run given_up[DRI_CLAIMS_GIVEN_UP_MAX];
    uint32_t given_up_count;
    uint64_t ceiling; /* nothing is said of this offset and those above */

    /* What was committed before this assignment, as far as it was not read over yet. */
    struct dri_progress_reader reader;
    struct dri_progress_run run; /* the lowest of it */
    bool has_run;
    size_t restored_len;
    char restored[DRI_PROGRESS_BYTES_MAX];

    uint64_t said_to; /* the latest text names whatever is finished below this offset */
    bool is_cut;      /* the latest text could not say all of what was received */
    char text[DRI_PROGRESS_BYTES_MAX]; /* of the latest dri_claims_text */
    bool is_whole;                     /* it names everything that is finished */
};

/** A new assignment: nothing is known. */
void dri_claims_init(struct dri_claims *claims);

/** Take over what was committed with this position; it is copied. Hostile. False: it says nothing
 * of it. */
bool dri_claims_restore(struct dri_claims *claims, struct dray_slice metadata, uint64_t position);

/** What was restored is not true of this log. */
void dri_claims_forget(struct dri_claims *claims);

/** Whether this offset was finished before this assignment. Requires: offsets are asked about in
 * increasing order. */
bool dri_claims_has(struct dri_claims *claims, uint64_t offset);

/** The same, of any offset that was not received yet. */
bool dri_claims_tell(const struct dri_claims *claims, uint64_t offset);

/** This offset will not be finished in this assignment. */
void dri_claims_give_up(struct dri_claims *claims, uint64_t offset);

/** What is finished beyond a position of the tracker, as text for the commit of that position;
 * absent when nothing is. Borrows until the next call. */
struct dray_slice dri_claims_text(struct dri_claims *claims, const struct dri_tracker *tracker,
                                  uint64_t position);

#endif
