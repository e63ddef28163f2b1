/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* replayed.c - a bounded memory of names: a ring of entries, and a hash table of chains into it.
 *
 * Names are 128 bits of SHA-256, so that a collision, which would swallow a command, needs not be
 * thought of. A scope is one assignment of one source: what an earlier assignment knew says
 * nothing, because its copies may have been given back unfinished.
 *
 * Of two copies the one with the smaller offset runs. A redelivered message meets its own entry,
 * and a copy that the broker delivers after a later one runs too: twice is allowed, never is not.
 */
#include "replayed.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "headers.h"
#include "mem.h"
#include "sha256.h"

#define NONE UINT32_MAX

struct entry {
    struct dri_replay_name name;
    uint64_t scope;
    uint64_t offset;
    uint32_t next; /* in its chain; NONE ends it */
};

struct dri_replayed {
    struct entry *entries; /* owned pages; ring */
    uint32_t *chains;      /* owned pages; 0: empty, else index + 1 */
    uint32_t max, count, oldest;
    uint32_t mask;
};

struct dri_replay_name dri_replay_name_make(struct dray_slice replay_of, uint64_t replays)
{
    struct dri_replay_name name;
    struct dri_sha256 sha;
    uint8_t digest[32];
    char text[32];
    int len = snprintf(text, sizeof(text), "%c%llu", '\n', (unsigned long long)replays);
    dri_sha256_init(&sha);
    dri_sha256_add(&sha, replay_of);
    dri_sha256_add(&sha, dray_slice_of(text, (size_t)len));
    dri_sha256_end(&sha, digest);
    memcpy(name.bytes, digest, sizeof(name.bytes));
    return name;
}

bool dri_replay_name_of(struct dray_slice headers, struct dri_replay_name *ret_name)
{
    struct dray_slice of = dri_headers_find(headers, "dray-replay-of");
    uint64_t replays = 0;
    if (of.at == NULL || of.len == 0 ||
        !dri_header_number(dri_headers_find(headers, "dray-replays"), &replays)) {
        return false;
    }
    *ret_name = dri_replay_name_make(of, replays);
    return true;
}

enum dray_status dri_replayed_create(uint32_t max, struct dri_replayed **ret_replayed)
{
    DRI_ASSERT(max >= 1 && max <= (1u << 30));
    struct dri_replayed *replayed = dri_zalloc(sizeof(*replayed));
    if (replayed == NULL) {
        return DRAY_ENOMEM;
    }
    uint32_t chains = 1;
    while (chains < max) {
        chains *= 2;
    }
    replayed->max = max;
    replayed->mask = chains - 1;
    replayed->entries = dri_map(max * sizeof(*replayed->entries));
    replayed->chains = dri_map(chains * sizeof(*replayed->chains));
    if (replayed->entries == NULL || replayed->chains == NULL) {
        dri_replayed_destroy(replayed);
        return DRAY_ENOMEM;
    }
    *ret_replayed = replayed;
    return DRAY_OK;
}

void dri_replayed_destroy(struct dri_replayed *replayed)
{
    if (replayed == NULL) {
        return;
    }
    dri_unmap(replayed->entries, replayed->max * sizeof(*replayed->entries));
    dri_unmap(replayed->chains, ((size_t)replayed->mask + 1) * sizeof(*replayed->chains));
    dri_free(replayed);
}

static uint32_t *chain_of(const struct dri_replayed *replayed, const struct dri_replay_name *name)
{
    uint32_t hash = 0;
    memcpy(&hash, name->bytes, sizeof(hash));
    return &replayed->chains[hash & replayed->mask];
}

static struct entry *find(const struct dri_replayed *replayed, uint64_t scope,
                          const struct dri_replay_name *name)
{
    uint32_t at = *chain_of(replayed, name);
    while (at != 0) {
        struct entry *entry = &replayed->entries[at - 1];
        if (entry->scope == scope && memcmp(&entry->name, name, sizeof(*name)) == 0) {
            return entry;
        }
        at = entry->next == NONE ? 0 : entry->next + 1;
    }
    return NULL;
}

static void forget_oldest(struct dri_replayed *replayed)
{
    uint32_t index = replayed->oldest;
    struct entry *entry = &replayed->entries[index];
    uint32_t *chain = chain_of(replayed, &entry->name);
    if (*chain == index + 1) {
        *chain = entry->next == NONE ? 0 : entry->next + 1;
    } else {
        struct entry *before = &replayed->entries[*chain - 1];
        while (before->next != index) {
            before = &replayed->entries[before->next];
        }
        before->next = entry->next;
    }
    replayed->oldest = (index + 1) % replayed->max;
    replayed->count--;
}

static void remember(struct dri_replayed *replayed, uint64_t scope,
                     const struct dri_replay_name *name, uint64_t offset)
{
    if (replayed->count == replayed->max) {
        forget_oldest(replayed);
    }
    uint32_t index = (uint32_t)(((uint64_t)replayed->oldest + replayed->count) % replayed->max);
    uint32_t *chain = chain_of(replayed, name);
    replayed->entries[index] = (struct entry){
        .name = *name,
        .scope = scope,
        .offset = offset,
        .next = *chain == 0 ? NONE : *chain - 1,
    };
    *chain = index + 1;
    replayed->count++;
}

bool dri_replayed_is_duplicate(struct dri_replayed *replayed, uint64_t scope,
                               const struct dri_replay_name *name, uint64_t offset)
{
    struct entry *entry = find(replayed, scope, name);
    if (entry == NULL) {
        remember(replayed, scope, name, offset);
        return false;
    }
    if (offset < entry->offset) {
        entry->offset = offset;
    }
    return entry->offset < offset;
}

bool dri_replayed_has(const struct dri_replayed *replayed, uint64_t scope,
                      const struct dri_replay_name *name)
{
    return find(replayed, scope, name) != NULL;
}
