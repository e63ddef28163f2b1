/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CONTROL_INSIDE_H
#define DRI_CONTROL_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "control_log.h"
#include "control_thread.h"
#include "hot_set.h"
#include "lock.h"
#include "queue.h"
#include "sharing.h"
#include "status_beat.h"

/* control_inside.h - what the files of the control thread share; private to them.
 *
 *   control_thread.c   sessions, the log into the registry, the seed, life
 *   control_status.c   what goes out to the status topic
 *   canary_control.c   which new versions are on trial, and the changes that end that
 *
 * Threads: all functions the control thread's.
 */

#define NS_PER_MS     UINT64_C(1000000)
#define BEAT_NS       (1000u * NS_PER_MS) /* between two records of the status */
#define TEXT_BYTES    512u
#define TOKEN_SEED    0u
#define TOKEN_BEAT    1u /* and above: what had been said before it */
#define TOKEN_VERDICT UINT64_MAX

enum phase {
    PHASE_STARTING,
    PHASE_SERVING,
    PHASE_FAILED
};

struct seed {
    uint8_t *bytes; /* owned; NULL: there is none */
    size_t len;
    uint64_t due_ns; /* to be published then; UINT64_MAX: it is on its way or done */
    char dedup_id[64];
    bool is_impossible;         /* it would have to be signed, and we cannot */
    unsigned replayed, expired; /* how often it was refused so */
};

/* The change that ends a canary. */
struct verdict {
    uint8_t *bytes; /* owned; NULL: there is none */
    size_t len;
    uint64_t due_ns; /* to be published then */
    uint64_t canary; /* dri_canary_id of the one that it ends */
    char dedup_id[64];
};

struct dri_control_thread {
    const struct dri_settings *settings;
    const struct dri_transport_ops *ops;
    struct dri_registry *registry;
    struct dri_wake *served; /* immutable; NULL: nobody is told of a change */
    const char *worker;
    pthread_t thread;
    bool has_thread;
    struct dri_wake wake;
    bool has_wake;
    _Atomic(int) state; /* enum dri_worker_state */
    _Atomic(bool) is_stopping;

    struct dri_lock lock;
    struct dri_cond cond;
    bool has_lock;
    enum phase phase;              /* guard: lock */
    enum dray_status failure;      /* guard: lock */
    char failure_text[TEXT_BYTES]; /* guard: lock */
    char fault[TEXT_BYTES];        /* guard: lock; why it is not fit; "": it is */

    /* All below: the thread's. */
    struct dri_metrics_page *page;
    struct dri_signers signers;
    char signers_hex[DRI_FINGERPRINT_HEX];
    struct dri_control_log log;
    struct dri_beat beat;
    struct dri_hot_set hot;
    char admin[128];
    struct seed seed;
    struct verdict verdict;
    struct dri_canary *canary; /* NULL: new versions are not judged */
    bool is_asking_canaries;
    bool is_serving, is_from_snapshot, was_outage_told;
    uint64_t begun_ns, changed_ns, rebind_ns; /* changed_ns 0: the snapshot is up to date */
    uint64_t snapshot_revision;               /* of the file at the start */

    struct dri_transport *transport; /* NULL: no session */
    bool is_kafka, is_at_end, is_checked;
    bool is_broken; /* the session has to end */
    uint32_t slot, epoch;
    uint64_t session_ns, end_ns;
    uint64_t refused_ns; /* since then nothing of the log is taken; 0: it is sound */
    size_t beats_out;
    uint64_t beats_said; /* as far as the first of these said it */
    bool is_beat_failing;

    struct dri_sharing sharing;
};

/** The figures of the log and of the routes, as metrics. */
void dri_control_note_counts(struct dri_control_thread *control);

/** Say how the worker is, when it is time to. */
void dri_control_beat(struct dri_control_thread *control, struct dri_now now);
/** Say it now: there is more to say than a record holds. */
void dri_control_beat_now(struct dri_control_thread *control, struct dri_now now);
/** Say that it is gone. False: not taken, try again. */
DRAY_MUST_CHECK bool dri_control_beat_goodbye(struct dri_control_thread *control,
                                              struct dri_now now);
/** What became of one of these. */
void dri_control_beat_ack(struct dri_control_thread *control,
                          const struct dri_published *published);

/** Publish a change of this worker's own to the control topic. False: not taken, try again. */
DRAY_MUST_CHECK bool dri_control_write(struct dri_control_thread *control, struct dri_now now,
                                       uint64_t token, struct dray_slice record,
                                       const char *dedup_id);

/** Whether there is a verdict on a new version to be taken up now. */
bool dri_control_has_verdict(const struct dri_control_thread *control);
/** Which trials there are, and the change that a verdict makes. */
void dri_control_canary(struct dri_control_thread *control, struct dri_now now);

#endif
