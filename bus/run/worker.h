/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WORKER_H
#define DRI_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "settings.h"

/* worker.h - one replica: builds the objects, starts the threads, drains and tears down in reverse.
 *
 * Threads: create, run and destroy from one thread; drain, stop and quiet from any thread or a
 * signal handler (they only set a flag and write an eventfd); reload from any one thread.
 */

struct dri_worker;

/** Check the settings, load the routes, open the transport. Blocks while it connects.
 *  Errors: EBROKER, ETIMEOUT, ENOTFOUND, EAUTH, EINVALID, EUNSUPPORTED, ENOMEM, EIO; ret_text says
 * what happened, where, and what to do. settings are borrowed for life. */
DRAY_MUST_CHECK enum dray_status dri_worker_create(const struct dri_settings *settings,
                                                   struct dri_worker **ret_worker, char *ret_text,
                                                   size_t text_bytes);

/** Work until drained or stopped. *ret_clean: everything that was taken in was finished and
 * settled, and it was not to be started afresh (deaf handlers, retired modules) that it ended.
 * Errors: EFATAL, EBROKER. */
DRAY_MUST_CHECK enum dray_status dri_worker_run(struct dri_worker *worker, bool *ret_clean);

/** Finish, settle, leave the group; dri_worker_run then returns. Async-signal-safe. */
void dri_worker_drain(struct dri_worker *worker);
/** Stop at once. Async-signal-safe. */
void dri_worker_stop(struct dri_worker *worker);
/** Quiet: finish what was taken in and take nothing new, but stay in the group with what is
 * assigned; false: go on. Idempotent. Async-signal-safe. */
void dri_worker_quiet(struct dri_worker *worker, bool is_quiet);

/** Take up, at the loop's next turn, what of the settings can change while it runs (live.h); what
 * the start laid out counts at most as at the start. Settings may go after the call. Errors:
 * ENOMEM: nothing has changed. */
DRAY_MUST_CHECK enum dray_status dri_worker_reload(struct dri_worker *worker,
                                                   const struct dri_settings *settings);

/** NULL is a no-op. */
void dri_worker_destroy(struct dri_worker *worker);

/** The worker's id, for messages. */
const char *dri_worker_id(const struct dri_worker *worker);

#endif
