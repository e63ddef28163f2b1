/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cancelled.c - a ring of names, and a hash table of chains into it.
 *
 * A name is 128 bits of SHA-256 over the id and what kind of id it is, so that a collision, which
 * would swallow a command, needs not be thought of.
 */
#include "cancelled.h"

#include <stdatomic.h>
#include <string.h>

#include "assert.h"
#include "lock.h"
#include "mem.h"
#include "sha256.h"

struct name {
    uint8_t bytes[16];
};

struct entry {
    struct name name;
    uint64_t until_ms;
    uint32_t next; /* in its chain: index + 1; 0 ends it */
};

struct dri_cancelled {
    struct dri_lock lock;
    struct entry *entries; /* owned pages; ring; guard: lock */
    uint32_t *chains;      /* owned pages; index + 1; 0: empty; guard: lock */
    uint32_t max, mask;    /* immutable */
    uint32_t oldest;       /* guard: lock */
    _Atomic(uint32_t) count;
    _Atomic(uint64_t) version;
};

enum dray_status dri_cancelled_create(uint32_t max, struct dri_cancelled **ret_cancelled)
{
    DRI_ASSERT(max >= 1 && max <= UINT32_C(1) << 24);
    struct dri_cancelled *cancelled = dri_zalloc(sizeof(*cancelled));
    if (cancelled == NULL) {
        return DRAY_ENOMEM;
    }
    uint32_t chains = 1;
    while (chains < max) {
        chains *= 2;
    }
    dri_lock_init(&cancelled->lock, DRI_LOCK_CANCELLED);
    cancelled->max = max;
    cancelled->mask = chains - 1;
    cancelled->entries = dri_map(max * sizeof(*cancelled->entries));
    cancelled->chains = dri_map(chains * sizeof(*cancelled->chains));
    if (cancelled->entries == NULL || cancelled->chains == NULL) {
        dri_cancelled_destroy(cancelled);
        return DRAY_ENOMEM;
    }
    *ret_cancelled = cancelled;
    return DRAY_OK;
}

void dri_cancelled_destroy(struct dri_cancelled *cancelled)
{
    if (cancelled == NULL) {
        return;
    }
    dri_unmap(cancelled->entries, cancelled->max * sizeof(*cancelled->entries));
    dri_unmap(cancelled->chains, ((size_t)cancelled->mask + 1) * sizeof(*cancelled->chains));
    dri_lock_fini(&cancelled->lock);
    dri_free(cancelled);
}

static struct name name_of(struct dray_slice id, bool is_binary)
{
    struct name name;
    struct dri_sha256 sha;
    uint8_t digest[32];
    dri_sha256_init(&sha);
    dri_sha256_add(&sha, dray_slice_text(is_binary ? "b" : "t"));
    dri_sha256_add(&sha, id);
    dri_sha256_end(&sha, digest);
    memcpy(name.bytes, digest, sizeof(name.bytes));
    return name;
}

static uint32_t *chain_of(const struct dri_cancelled *cancelled, const struct name *name)
{
    uint32_t hash = 0;
    memcpy(&hash, name->bytes, sizeof(hash));
    return &cancelled->chains[hash & cancelled->mask];
}

/* The link that leads to a name, or to the end of its chain. */
static uint32_t *find(struct dri_cancelled *cancelled, const struct name *name)
{
    uint32_t *link = chain_of(cancelled, name);
    while (*link != 0 && memcmp(&cancelled->entries[*link - 1].name, name, sizeof(*name)) != 0) {
        link = &cancelled->entries[*link - 1].next;
    }
    return link;
}

/* A place that is in no chain. */
static uint32_t take_place(struct dri_cancelled *cancelled, bool *ret_forgot)
{
    uint32_t count = atomic_load(&cancelled->count);
    *ret_forgot = count == cancelled->max;
    if (!*ret_forgot) {
        atomic_store(&cancelled->count, count + 1);
        return count;
    }
    uint32_t place = cancelled->oldest;
    uint32_t *link = find(cancelled, &cancelled->entries[place].name);
    DRI_ASSERT(*link == place + 1);
    *link = cancelled->entries[place].next;
    cancelled->oldest = (place + 1) % cancelled->max;
    return place;
}

bool dri_cancelled_add(struct dri_cancelled *cancelled, struct dray_slice id, bool is_binary,
                       uint64_t until_ms)
{
    struct name name = name_of(id, is_binary);
    bool has_forgot = false;
    dri_lock_take(&cancelled->lock);
    uint32_t found = *find(cancelled, &name);
    if (found != 0) {
        struct entry *entry = &cancelled->entries[found - 1];
        entry->until_ms = until_ms > entry->until_ms ? until_ms : entry->until_ms;
    } else {
        uint32_t place = take_place(cancelled, &has_forgot);
        uint32_t *chain = chain_of(cancelled, &name);
        cancelled->entries[place] =
            (struct entry){.name = name, .until_ms = until_ms, .next = *chain};
        *chain = place + 1;
        atomic_fetch_add(&cancelled->version, 1);
    }
    dri_lock_drop(&cancelled->lock);
    return has_forgot;
}

bool dri_cancelled_has(struct dri_cancelled *cancelled, struct dray_slice id, bool is_binary,
                       uint64_t now_ms)
{
    if (atomic_load(&cancelled->count) == 0) {
        return false;
    }
    struct name name = name_of(id, is_binary);
    dri_lock_take(&cancelled->lock);
    uint32_t found = *find(cancelled, &name);
    bool has = found != 0 && cancelled->entries[found - 1].until_ms > now_ms;
    dri_lock_drop(&cancelled->lock);
    return has;
}

uint64_t dri_cancelled_version(const struct dri_cancelled *cancelled)
{
    return atomic_load(&cancelled->version);
}
