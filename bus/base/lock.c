/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "lock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "assert.h"

/* Ranks rise strictly, so a thread holds at most one lock of each. */
static _Thread_local struct {
    const struct dri_lock *locks[DRI_LOCK_COUNT];
    unsigned count;
} held;

void dri_lock_init(struct dri_lock *lock, enum dri_lock_rank rank)
{
    DRI_ASSERT((unsigned)rank < DRI_LOCK_COUNT);
    DRI_ASSERT(pthread_mutex_init(&lock->mutex, NULL) == 0);
    lock->rank = rank;
}

void dri_lock_fini(struct dri_lock *lock)
{
    DRI_ASSERT(pthread_mutex_destroy(&lock->mutex) == 0);
}

void dri_lock_take(struct dri_lock *lock)
{
    /* The last taken need not be the highest any more once a lower one was dropped out of order,
     * but what is held stays sorted, so the last is the highest that is held. */
    DRI_ASSERT(held.count == 0 || held.locks[held.count - 1]->rank < lock->rank);
    DRI_ASSERT(pthread_mutex_lock(&lock->mutex) == 0);
    held.locks[held.count] = lock;
    held.count++;
}

void dri_lock_drop(struct dri_lock *lock)
{
    unsigned i = held.count;
    while (i > 0 && held.locks[i - 1] != lock) {
        i--;
    }
    DRI_ASSERT(i > 0);
    memmove(&held.locks[i - 1], &held.locks[i], (held.count - i) * sizeof(held.locks[0]));
    held.count--;
    DRI_ASSERT(pthread_mutex_unlock(&lock->mutex) == 0);
}

void dri_lock_assert_held(const struct dri_lock *lock)
{
    unsigned i = 0;
    while (i < held.count && held.locks[i] != lock) {
        i++;
    }
    DRI_ASSERT(i < held.count);
}

void dri_cond_init(struct dri_cond *cond)
{
    pthread_condattr_t attr;
    DRI_ASSERT(pthread_condattr_init(&attr) == 0);
    DRI_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    DRI_ASSERT(pthread_cond_init(&cond->cond, &attr) == 0);
    DRI_ASSERT(pthread_condattr_destroy(&attr) == 0);
}

void dri_cond_fini(struct dri_cond *cond)
{
    DRI_ASSERT(pthread_cond_destroy(&cond->cond) == 0);
}

void dri_cond_signal(struct dri_cond *cond)
{
    DRI_ASSERT(pthread_cond_signal(&cond->cond) == 0);
}

void dri_cond_broadcast(struct dri_cond *cond)
{
    DRI_ASSERT(pthread_cond_broadcast(&cond->cond) == 0);
}

void dri_cond_wait_until(struct dri_cond *cond, struct dri_lock *lock, uint64_t until_ns)
{
    DRI_ASSERT(held.count > 0 && held.locks[held.count - 1] == lock);
    if (until_ns == UINT64_MAX) {
        DRI_ASSERT(pthread_cond_wait(&cond->cond, &lock->mutex) == 0);
        return;
    }
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / 1000000000u),
        .tv_nsec = (long)(until_ns % 1000000000u),
    };
    int error = pthread_cond_timedwait(&cond->cond, &lock->mutex, &until);
    DRI_ASSERT(error == 0 || error == ETIMEDOUT);
}
