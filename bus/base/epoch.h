/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_EPOCH_H
#define DRI_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* epoch.h - tells a writer when every reader has let go of what it took out of sight.
 *
 * Readers take no lock and write nothing shared: each has one line of its own, in which it says the
 * epoch that it last saw while it held nothing. A writer takes an object out of sight, advances the
 * epoch, and may free the object once the oldest reader has seen the new epoch. Nobody ever waits:
 * the writer asks again later.
 *
 * Threads: add, remove, advance and oldest under one lock of the owner; a reader's calls from its
 * own thread.
 */

#define DRI_EPOCH_OFFLINE 0u

struct dri_epoch_reader {
    _Alignas(64) _Atomic(uint64_t) seen; /* DRI_EPOCH_OFFLINE, or the epoch last seen */
    struct dri_epoch_reader *next;       /* guard: the owner's lock */
};

struct dri_epoch {
    _Alignas(64) _Atomic(uint64_t) now;
    struct dri_epoch_reader *readers; /* guard: the owner's lock */
};

void dri_epoch_init(struct dri_epoch *epoch);
/** The reader begins offline. */
void dri_epoch_add(struct dri_epoch *epoch, struct dri_epoch_reader *reader);
/** Requires: it was added, and is offline. */
void dri_epoch_remove(struct dri_epoch *epoch, struct dri_epoch_reader *reader);

/** After objects were taken out of sight: returns the epoch that every reader must have seen before
 *  they may be freed. */
uint64_t dri_epoch_advance(struct dri_epoch *epoch);
/** The epoch that all readers have seen; what waits for it or an earlier one may be freed. */
uint64_t dri_epoch_oldest(const struct dri_epoch *epoch);

/** Before the first look, and after offline. */
static inline void dri_epoch_online(const struct dri_epoch *epoch, struct dri_epoch_reader *reader)
{
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_acquire);
    atomic_store_explicit(&reader->seen, now, memory_order_relaxed);
    /* Pairs with the fence in dri_epoch_oldest: either it sees that we are online, or we see what
     * was taken out of sight before it looked. */
    atomic_thread_fence(memory_order_seq_cst);
}

/** Holding nothing, and for longer. */
static inline void dri_epoch_offline(struct dri_epoch_reader *reader)
{
    /* Release: pairs with the acquire in dri_epoch_oldest; our looks are over. */
    atomic_store_explicit(&reader->seen, DRI_EPOCH_OFFLINE, memory_order_release);
}

/** Online, and holding nothing at this moment. */
static inline void dri_epoch_quiescent(const struct dri_epoch *epoch,
                                       struct dri_epoch_reader *reader)
{
    /* Acquire: pairs with dri_epoch_advance; we see what was taken out of sight before it. Release:
     * pairs with the acquire in dri_epoch_oldest. */
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_acquire);
    atomic_store_explicit(&reader->seen, now, memory_order_release);
}

static inline bool dri_epoch_is_online(const struct dri_epoch_reader *reader)
{
    return atomic_load_explicit(&reader->seen, memory_order_relaxed) != DRI_EPOCH_OFFLINE;
}

#endif
