/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_QUEUE_H
#define DRI_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

/* queue.h - hands ownership of pointers from one thread to another, bounded, in batches.
 *
 * dri_spsc: one putter, one taker, no lock: the hand-over between the engine and a lane.
 * dri_wake: an eventfd that is written only when the other side may sleep.
 */

struct dri_spsc;

/** capacity is rounded up to a power of two. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_spsc_create(size_t capacity, struct dri_spsc **ret_queue);
/** Puts as many as fit, in order; returns how many. Threads: the one putter. */
size_t dri_spsc_put(struct dri_spsc *queue, void *const *items, size_t count);
/** Takes up to max, in order; returns how many. Threads: the one taker. */
size_t dri_spsc_take(struct dri_spsc *queue, void **ret_items, size_t max);
/** A lower bound for the taker, an upper bound for the putter. */
size_t dri_spsc_count(const struct dri_spsc *queue);
/** Requires: empty. NULL is a no-op. */
void dri_spsc_destroy(struct dri_spsc *queue);

/** Sleep and wake without lost wake-ups: the sleeper calls prepare, looks at its queues once more,
 *  then waits on fd (or calls cancel); the other side calls notify after it put something. notify
 *  costs a system call only when the sleeper has prepared. */
struct dri_wake {
    int fd; /* eventfd, non-blocking, close-on-exec */
    _Atomic(uint32_t) is_asleep;
};

DRAY_MUST_CHECK enum dray_status dri_wake_init(struct dri_wake *wake);
void dri_wake_fini(struct dri_wake *wake);
/** Threads: the sleeper. */
void dri_wake_prepare(struct dri_wake *wake);
void dri_wake_cancel(struct dri_wake *wake);
/** Waits on the fd for up to timeout_ns (UINT64_MAX: for ever), then empties it. Threads: the
 * sleeper. */
void dri_wake_wait(struct dri_wake *wake, uint64_t timeout_ns);
/** Threads: any. */
void dri_wake_notify(struct dri_wake *wake);

#endif
