/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SPOOL_H
#define DRI_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* spool.h - bytes of messages that wait outside memory: an unlinked file, in segments.
 *
 * What is in it is also with the broker; it does not outlive the process. A segment's space is
 * given back when nothing of it is kept any more. Threads: one owner.
 */

struct dri_spool;

/** The message's parts, kept together. */
struct dri_spooled {
    struct dray_slice key, value, headers, subject; /* absent ones stay absent */
    int64_t timestamp_ms;
};

/** folder: where the file is made, and unlinked at once; NULL: in memory (simulation).
 *  segment_bytes: 0: 16 MiB. Errors: ENOMEM; EIO, with the cause in the log. */
DRAY_MUST_CHECK enum dray_status dri_spool_create(const char *folder, size_t segment_bytes,
                                                  struct dri_spool **ret_spool);
/** NULL is a no-op. */
void dri_spool_destroy(struct dri_spool *spool);

/** Keep a message; *ret_place is never 0. Errors: ENOMEM; EIO: no space left, and so on. */
DRAY_MUST_CHECK enum dray_status
dri_spool_put(struct dri_spool *spool, const struct dri_spooled *message, uint64_t *ret_place);
/** Read it back; slices borrow until the next call. Errors: ENOMEM; EIO.
 *  Requires: a place that put gave and drop did not take. */
DRAY_MUST_CHECK enum dray_status dri_spool_get(struct dri_spool *spool, uint64_t place,
                                               struct dri_spooled *ret_message);
void dri_spool_drop(struct dri_spool *spool, uint64_t place);

/** Bytes that are kept, and that the file has. */
void dri_spool_stats(const struct dri_spool *spool, uint64_t *ret_kept, uint64_t *ret_file);

#endif
