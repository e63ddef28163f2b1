/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "epoch.h"

#include <stddef.h>

#include "assert.h"

void dri_epoch_init(struct dri_epoch *epoch)
{
    atomic_init(&epoch->now, DRI_EPOCH_OFFLINE + 1);
    epoch->readers = NULL;
}

void dri_epoch_add(struct dri_epoch *epoch, struct dri_epoch_reader *reader)
{
    atomic_init(&reader->seen, DRI_EPOCH_OFFLINE);
    reader->next = epoch->readers;
    epoch->readers = reader;
}

void dri_epoch_remove(struct dri_epoch *epoch, struct dri_epoch_reader *reader)
{
    struct dri_epoch_reader **at = &epoch->readers;
    DRI_ASSERT(!dri_epoch_is_online(reader));
    while (*at != reader) {
        DRI_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = reader->next;
}

uint64_t dri_epoch_advance(struct dri_epoch *epoch)
{
    /* Release: pairs with the acquires of online and quiescent. */
    return atomic_fetch_add_explicit(&epoch->now, 1, memory_order_release) + 1;
}

uint64_t dri_epoch_oldest(const struct dri_epoch *epoch)
{
    uint64_t oldest = atomic_load_explicit(&epoch->now, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence in dri_epoch_online */
    for (const struct dri_epoch_reader *reader = epoch->readers; reader != NULL;
         reader = reader->next) {
        /* Acquire: pairs with the releases of offline and quiescent. */
        uint64_t seen = atomic_load_explicit(&reader->seen, memory_order_acquire);
        if (seen != DRI_EPOCH_OFFLINE && seen < oldest) {
            oldest = seen;
        }
    }
    return oldest;
}
