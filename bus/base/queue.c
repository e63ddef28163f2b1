/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* queue.c - a ring for one putter and one taker, and a wake-up that is free while nobody sleeps.
 *
 * Each side owns one index and keeps a copy of the other's: the shared line moves between cores
 * only when the copy says full or empty, that is once a batch and not once an item.
 */
#include "queue.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "assert.h"
#include "mem.h"

#define CACHE_LINE   64
#define CAPACITY_MAX ((size_t)1 << 31)

struct dri_spsc {
    size_t mask;  /* immutable */
    void **slots; /* immutable; a slot is owned by the side that the indices say */

    _Alignas(CACHE_LINE) _Atomic(size_t) tail; /* written by the putter */
    size_t head_seen;                          /* the putter's */

    _Alignas(CACHE_LINE) _Atomic(size_t) head; /* written by the taker */
    size_t tail_seen;                          /* the taker's */
};

enum dray_status dri_spsc_create(size_t capacity, struct dri_spsc **ret_queue)
{
    size_t slots = 2;
    if (capacity > CAPACITY_MAX) {
        return DRAY_ENOMEM;
    }
    while (slots < capacity) {
        slots *= 2;
    }
    struct dri_spsc *queue = (struct dri_spsc *)dri_zalloc(sizeof(*queue));
    void **memory = (void **)dri_zalloc_array(slots, sizeof(void *));
    if (queue == NULL || memory == NULL) {
        dri_free(queue);
        dri_free((void *)memory);
        return DRAY_ENOMEM;
    }
    queue->mask = slots - 1;
    queue->slots = memory;
    *ret_queue = queue;
    return DRAY_OK;
}

size_t dri_spsc_put(struct dri_spsc *queue, void *const *items, size_t count)
{
    size_t capacity = queue->mask + 1;
    size_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed); /* ours */
    if (capacity - (tail - queue->head_seen) < count) {
        /* Acquire: pairs with the release of head in dri_spsc_take; the slots are read out. */
        queue->head_seen = atomic_load_explicit(&queue->head, memory_order_acquire);
    }
    size_t room = capacity - (tail - queue->head_seen);
    size_t n = count < room ? count : room;
    for (size_t i = 0; i < n; i++) {
        queue->slots[(tail + i) & queue->mask] = items[i];
    }
    if (n != 0) {
        /* Release: pairs with the acquire of tail in dri_spsc_take. */
        atomic_store_explicit(&queue->tail, tail + n, memory_order_release);
    }
    return n;
}

size_t dri_spsc_take(struct dri_spsc *queue, void **ret_items, size_t max)
{
    size_t head = atomic_load_explicit(&queue->head, memory_order_relaxed); /* ours */
    if (queue->tail_seen - head < max) {
        /* Acquire: pairs with the release of tail in dri_spsc_put; slots and what they point to. */
        queue->tail_seen = atomic_load_explicit(&queue->tail, memory_order_acquire);
    }
    size_t ready = queue->tail_seen - head;
    size_t n = max < ready ? max : ready;
    for (size_t i = 0; i < n; i++) {
        ret_items[i] = queue->slots[(head + i) & queue->mask];
    }
    if (n != 0) {
        /* Release: pairs with the acquire of head in dri_spsc_put. */
        atomic_store_explicit(&queue->head, head + n, memory_order_release);
    }
    return n;
}

size_t dri_spsc_count(const struct dri_spsc *queue)
{
    /* Head first: it can only grow towards tail, so the difference is never negative. Acquire:
     * pairs with both releases, for a caller that goes on to put or take. */
    size_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
    return tail - head;
}

void dri_spsc_destroy(struct dri_spsc *queue)
{
    if (queue == NULL) {
        return;
    }
    DRI_ASSERT(dri_spsc_count(queue) == 0);
    dri_free((void *)queue->slots);
    dri_free(queue);
}

enum dray_status dri_wake_init(struct dri_wake *wake)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        return DRAY_EIO;
    }
    wake->fd = fd;
    atomic_init(&wake->is_asleep, 0);
    return DRAY_OK;
}

void dri_wake_fini(struct dri_wake *wake)
{
    if (wake->fd >= 0) {
        (void)close(wake->fd);
        wake->fd = -1;
    }
}

void dri_wake_prepare(struct dri_wake *wake)
{
    atomic_store_explicit(&wake->is_asleep, 1, memory_order_relaxed);
    /* Pairs with the fence in dri_wake_notify: either the other side sees that we sleep, or our
     * next look at the queues sees what it put. */
    atomic_thread_fence(memory_order_seq_cst);
}

static void wake_empty(struct dri_wake *wake)
{
    uint64_t count = 0;
    ssize_t got = read(wake->fd, &count, sizeof(count));
    DRI_ASSERT(got == (ssize_t)sizeof(count) || errno == EAGAIN || errno == EINTR);
}

void dri_wake_cancel(struct dri_wake *wake)
{
    /* Zero already: somebody notified and wrote, or is about to; what comes later wakes once too
     * often. */
    if (atomic_exchange_explicit(&wake->is_asleep, 0, memory_order_relaxed) == 0) {
        wake_empty(wake);
    }
}

void dri_wake_wait(struct dri_wake *wake, uint64_t timeout_ns)
{
    struct pollfd look = {.fd = wake->fd, .events = POLLIN};
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / 1000000000u),
        .tv_nsec = (long)(timeout_ns % 1000000000u),
    };
    int ready = ppoll(&look, 1, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
    DRI_ASSERT(ready >= 0 || errno == EINTR || errno == ENOMEM);
    atomic_store_explicit(&wake->is_asleep, 0, memory_order_relaxed);
    if (ready > 0) {
        wake_empty(wake);
    }
}

void dri_wake_notify(struct dri_wake *wake)
{
    /* Pairs with the fence in dri_wake_prepare. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&wake->is_asleep, memory_order_relaxed) == 0) {
        return;
    }
    if (atomic_exchange_explicit(&wake->is_asleep, 0, memory_order_relaxed) == 1) {
        uint64_t one = 1;
        ssize_t put = write(wake->fd, &one, sizeof(one));
        DRI_ASSERT(put == (ssize_t)sizeof(one) || errno == EAGAIN || errno == EINTR);
    }
}
