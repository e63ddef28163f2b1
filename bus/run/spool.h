/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SPOOL_H
#define DRI_SPOOL_H

#include <stdbool.h>
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

/** Keep a message; *ret_place is never 0. What the disk has no room for stays in memory: then the
 * spool is late, the cause is in the log, and the owner had better bring no more. Errors: ENOMEM;
 * EIO: the file has as many segments as there are numbers. */
DRAY_MUST_CHECK enum dray_status
dri_spool_put(struct dri_spool *spool, const struct dri_spooled *message, uint64_t *ret_place);
/** Read it back; slices borrow until the next call. Errors: ENOMEM; EIO.
 *  Requires: a place that put gave and drop did not take. */
DRAY_MUST_CHECK enum dray_status dri_spool_get(struct dri_spool *spool, uint64_t place,
                                               struct dri_spooled *ret_message);
void dri_spool_drop(struct dri_spool *spool, uint64_t place);

/** Whether something is kept in memory that belongs on the disk. */
bool dri_spool_is_late(const struct dri_spool *spool);
/** Write what is late. False: there is still no room for it. */
bool dri_spool_catch_up(struct dri_spool *spool);

typedef bool dri_spool_full_fn(void *arg);
/** Let a test say when the disk is full; without a folder there is no other way. */
void dri_spool_set_full(struct dri_spool *spool, dri_spool_full_fn *is_full, void *arg);

/** Bytes that are kept, and that the file has. */
void dri_spool_stats(const struct dri_spool *spool, uint64_t *ret_kept, uint64_t *ret_file);

#endif
