/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_FIRING_THREAD_H
#define DRI_FIRING_THREAD_H

#include <stdbool.h>

#include <dray/status.h>

#include "metrics.h"
#include "schedules.h"
#include "settings.h"
#include "transport.h"

/* firing_thread.h - fires the ticks of the group's schedules while this replica may.
 *
 * A thread of its own, which has a transport of its own while there is something to fire and it is
 * ours to fire. Threads: start and stop from one thread, the rest from any.
 */

struct dri_firing_thread;

struct dri_firing_config {
    const struct dri_settings *settings; /* borrowed for life */
    const struct dri_transport_ops *ops;
    struct dri_schedules *schedules; /* borrowed */
    struct dri_metrics *metrics;     /* borrowed */
    const char *worker;              /* borrowed */
    uint32_t answer_ms; /* the broker is away when it is silent for so long; 0: a minute */
};

/** Blocks on nothing. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_firing_start(const struct dri_firing_config *config,
                                                  struct dri_firing_thread **ret_thread);
/** Whether it is ours to fire, as far as the caller knows now. Costs two loads when neither that
 *  nor the schedules have changed since the last call. Threads: one. */
void dri_firing_own(struct dri_firing_thread *thread, bool is_ours);
/** Let it end what it does, and fire nothing from now on; does not block. NULL is a no-op. */
void dri_firing_leave(struct dri_firing_thread *thread);
/** End the thread, free it. What is out and not stored is fired by whoever comes next. Blocks up to
 *  some seconds. NULL is a no-op. */
void dri_firing_stop(struct dri_firing_thread *thread);

#endif
