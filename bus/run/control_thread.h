/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CONTROL_THREAD_H
#define DRI_CONTROL_THREAD_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/status.h>

#include "canary.h"
#include "cancelled.h"
#include "metrics.h"
#include "queue.h"
#include "registry.h"
#include "schedules.h"
#include "settings.h"
#include "transport.h"

/* control_thread.h - follows the control topic and reports on the status topic.
 *
 * A thread of its own with a transport of its own, without a group. It is the registry's one
 * writer from start to stop. Threads: start and stop from one thread, the rest from any.
 */

struct dri_control_thread;

struct dri_control_config {
    const struct dri_settings *settings; /* borrowed for life */
    const struct dri_transport_ops *ops;
    struct dri_registry *registry;   /* borrowed; empty */
    struct dri_metrics *metrics;     /* borrowed */
    const char *worker, *version;    /* borrowed */
    const char *admin;               /* "": there is none */
    struct dri_cancelled *cancelled; /* borrowed; takes up what is cancelled; NULL: nobody asks */
    struct dri_schedules *schedules; /* borrowed; likewise for schedules */
    struct dri_canary *canary;       /* borrowed; new versions are judged; NULL: they are not */
    struct dri_wake *served;         /* notified when the registry has changed; NULL: nobody */
};

enum dri_worker_state {
    DRI_WORKER_STARTING,
    DRI_WORKER_READY,
    DRI_WORKER_PAUSED, /* quiet: finishes what it has, takes nothing new */
    DRI_WORKER_DRAINING,
};

/** Start it, and wait until the registry may be served from: the log was read to its end and, when
 *  nothing was ever put, seeded with the routes of the configuration; or the topic cannot be
 *  reached and the local snapshot stands in. Blocks up to half a minute.
 *  Errors: EINVALID (the log or the seed is refused), EBROKER, ETIMEOUT, ENOTFOUND, EAUTH, ENOMEM;
 *          ret_text says what happened and what to do. */
DRAY_MUST_CHECK enum dray_status dri_control_start(const struct dri_control_config *config,
                                                   struct dri_control_thread **ret_control,
                                                   char *ret_text, size_t text_bytes);
/** What the status records say from now on. */
void dri_control_set_state(struct dri_control_thread *control, enum dri_worker_state state);
/** Whether what is served is what the log says, as far as is known; else ret_text says why not. */
bool dri_control_is_fit(struct dri_control_thread *control, char *ret_text, size_t text_bytes);
/** Replicas of the group that take commands now, this one among them; 0: not known, or no route
 * shares its rate. config.served is notified when it changes. */
uint32_t dri_control_replicas(const struct dri_control_thread *control);
/** Say goodbye on the status topic, end the thread, free it. Blocks up to some seconds. NULL is a
 *  no-op. */
void dri_control_stop(struct dri_control_thread *control);

#endif
