/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_STATE_H
#define DRI_STATE_H

#include <stddef.h>

#include <dray/status.h>

/* state.h - the folder in which a worker keeps what must outlive it: its id, the registry's
 * snapshot, the journal (journal.h writes it in place).
 *
 * Files are replaced whole (written beside, synced, renamed), so that a reader sees the old one or
 * the new one. Threads: any; no two at once for one file.
 */

#define DRI_WORKER_ID_BYTES 96u

/** Make the folder when it is missing (0700). Errors: EIO, EAUTH; ret_text says which path and why.
 */
DRAY_MUST_CHECK enum dray_status dri_state_open(const char *folder, char *ret_text,
                                                size_t text_bytes);

/** The worker's id: what settings say, else the one in the folder, else a new one that is kept
 * there:
 *  "<host>-<8 hex>". Errors: as open. */
DRAY_MUST_CHECK enum dray_status dri_state_worker_id(const char *folder, const char *wanted,
                                                     char ret_id[DRI_WORKER_ID_BYTES],
                                                     char *ret_text, size_t text_bytes);

/** Replace a file of the folder. Errors: EIO. */
DRAY_MUST_CHECK enum dray_status dri_state_write(const char *folder, const char *name,
                                                 const void *bytes, size_t len, char *ret_text,
                                                 size_t text_bytes);

/** Read a whole file of the folder, at most bytes_max. Owns: *ret_bytes returned owned (dri_free).
 *  Errors: ENOTFOUND, EIO, ELIMIT, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_state_read(const char *folder, const char *name,
                                                size_t bytes_max, void **ret_bytes,
                                                size_t *ret_len);

#endif
