/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WORKER_INSIDE_H
#define DRI_WORKER_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "exit_alarm.h"
#include "last_run.h"
#include "queue.h"
#include "state.h"
#include "worker.h"

/* worker_inside.h - what the files of a worker share; private to them.
 *
 *   worker.c        the loop, what is asked of it, the end
 *   worker_build.c  makes everything that the loop drives
 */

struct dri_worker {
    const struct dri_settings *settings; /* borrowed; of the start */
    char id[DRI_WORKER_ID_BYTES];
    char transactional_id[DRI_WORKER_ID_BYTES + 80]; /* with exactly_once */

    struct dri_live *live;           /* owned; the loop's from run on */
    _Atomic(struct dri_live *) next; /* owned: read again, and not taken up yet; NULL: none */

    struct dri_metrics *metrics;      /* owned */
    struct dri_metrics_page *page;    /* the loop's */
    struct dri_admin *admin;          /* owned */
    struct dri_modules *modules;      /* owned */
    struct dri_registry *registry;    /* owned */
    struct dri_cancelled *cancelled;  /* owned */
    struct dri_schedules *schedules;  /* owned */
    struct dri_canary *canary;        /* owned */
    struct dri_firing_thread *firing; /* owned */
    const struct dri_transport_ops *ops;
    struct dri_transport *transport;            /* owned */
    struct dri_journal *journal;                /* owned; NULL: it could not be had */
    struct dri_executor *executor;              /* owned */
    struct dri_router *router;                  /* owned */
    struct dri_engine *engine;                  /* owned */
    struct dri_control_thread *_Atomic control; /* owned; writes the registry from start to stop */
    struct dri_wake wake;
    bool has_wake;

    _Atomic(int) request;   /* enum request; only grows */
    int obeyed;             /* the loop's */
    bool is_beginning_anew; /* the loop's: it drains by itself, to be started afresh */
    bool has_deaf;          /* the loop's: because of deaf handlers */
    _Atomic(bool) wants_quiet;
    bool is_quiet;     /* the loop's */
    uint32_t replicas; /* the loop's: that share rates; 0: not known */

    uint64_t ramp_begun_ns, ramp_ns; /* the loop's */
    uint64_t ramp_due_ns;            /* next step; UINT64_MAX: it is over */
    uint32_t in_flight_limit;
    uint64_t metrics_due_ns;
    uint64_t pulse_every_ns; /* 0: no service manager watches */
    uint64_t pulse_due_ns;
    _Atomic(uint64_t) turned_ns; /* the loop's last turn, for /livez; 0: there is none yet */
    _Atomic(uint32_t) stall_ms;
    _Atomic(bool) is_systemic;  /* most commands fail: for /readyz */
    _Atomic(bool) is_waiting;   /* a park log or window is not read to its end: the same */
    enum dri_last_run last_run; /* how the one before this ended */
    bool has_run, is_clean;     /* how this one ended */
    struct dri_exit_alarm alarm;
    _Atomic(int) state; /* enum dri_worker_state */
};

/** Make everything of worker, whose settings are there. What was made when it fails is
 *  for dri_worker_destroy. */
enum dray_status dri_worker_build(struct dri_worker *worker, char *ret_text, size_t text_bytes);
/** Whether results may go to a subject of their own, for which somebody waits. */
bool dri_worker_has_inboxes(const struct dri_worker *worker);

#endif
