/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_LOCK_H
#define DRI_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* lock.h - ranked mutexes and condition variables: the list of all locks of the program.
 *
 * A thread may take only a higher rank than it holds; dri_lock_take asserts it in every build.
 * Under a lock: no callback, no input or output, no log line.
 */

/** Lowest first: taken first. X(name) */
#define DRI_LOCK_TABLE(X)                                                                          \
    X(WORKER)                                                                                      \
    X(CONTROL)                                                                                     \
    X(MODULES)                                                                                     \
    X(REGISTRY)                                                                                    \
    X(ROUTE)                                                                                       \
    X(SCHEDULES)                                                                                   \
    X(CANCELLED)                                                                                   \
    X(LANE)                                                                                        \
    X(CANARY)                                                                                      \
    X(TRANSPORT)                                                                                   \
    X(METRICS)                                                                                     \
    X(QUEUE)                                                                                       \
    X(TEST)                                                                                        \
    X(LOG)

enum dri_lock_rank {
#define DRI_LOCK_ENUM(name) DRI_LOCK_##name,
    DRI_LOCK_TABLE(DRI_LOCK_ENUM)
#undef DRI_LOCK_ENUM
    DRI_LOCK_COUNT
};

struct dri_lock {
    pthread_mutex_t mutex;
    enum dri_lock_rank rank; /* immutable after init */
};

struct dri_cond {
    pthread_cond_t cond; /* waits on CLOCK_MONOTONIC */
};

void dri_lock_init(struct dri_lock *lock, enum dri_lock_rank rank);
void dri_lock_fini(struct dri_lock *lock);
/** Requires: the calling thread holds no lock of the same or a higher rank. */
void dri_lock_take(struct dri_lock *lock);
void dri_lock_drop(struct dri_lock *lock);
/** Requires: the calling thread holds it (asserted). */
void dri_lock_assert_held(const struct dri_lock *lock);

void dri_cond_init(struct dri_cond *cond);
void dri_cond_fini(struct dri_cond *cond);
void dri_cond_signal(struct dri_cond *cond);
void dri_cond_broadcast(struct dri_cond *cond);
/** Waits until signalled or until the monotonic time until_ns; may wake without a reason.
 *  Requires: lock is held and is the last lock taken. */
void dri_cond_wait_until(struct dri_cond *cond, struct dri_lock *lock, uint64_t until_ns);

#endif
