/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "map.h"

#include "assert.h"
#include "prefetch.h"

uint32_t dri_map_entries(uint32_t count)
{
    uint32_t entries = 16;
    DRI_ASSERT(count <= UINT32_C(1) << 29);
    while (entries < count * 2) {
        entries *= 2;
    }
    return entries;
}

void dri_map_init(struct dri_map *map, struct dri_map_entry *entries, uint32_t entries_count)
{
    DRI_ASSERT(entries_count >= 2 && (entries_count & (entries_count - 1)) == 0);
    *map = (struct dri_map){.entries = entries, .mask = entries_count - 1};
}

/* Offsets come in rows and hashes may be anything: one multiplication spreads both. */
static uint32_t home_of(const struct dri_map *map, uint32_t tag, uint64_t key)
{
    uint64_t mixed = (key + (uint64_t)tag * 0xd6e8feb86659fd93u) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32) & map->mask;
}

void dri_map_prefetch(const struct dri_map *map, uint32_t tag, uint64_t key)
{
    dri_prefetch(&map->entries[home_of(map, tag, key)], sizeof(struct dri_map_entry));
}

/* Where the pair stands, or the empty entry where it would. */
static uint32_t locate(const struct dri_map *map, uint32_t tag, uint64_t key)
{
    uint32_t at = home_of(map, tag, key);
    for (;;) {
        const struct dri_map_entry *entry = &map->entries[at];
        if (entry->value == 0 || (entry->key == key && entry->tag == tag)) {
            return at;
        }
        at = (at + 1) & map->mask;
    }
}

uint32_t dri_map_find(const struct dri_map *map, uint32_t tag, uint64_t key)
{
    uint32_t value = map->entries[locate(map, tag, key)].value;
    return value != 0 ? value - 1 : UINT32_MAX;
}

void dri_map_add(struct dri_map *map, uint32_t tag, uint64_t key, uint32_t value)
{
    DRI_ASSERT(map->count <= map->mask / 2 && value != UINT32_MAX);
    struct dri_map_entry *entry = &map->entries[locate(map, tag, key)];
    DRI_ASSERT(entry->value == 0);
    *entry = (struct dri_map_entry){.key = key, .tag = tag, .value = value + 1};
    map->count++;
}

void dri_map_remove(struct dri_map *map, uint32_t tag, uint64_t key)
{
    uint32_t hole = locate(map, tag, key);
    DRI_ASSERT(map->entries[hole].value != 0);
    map->count--;
    for (uint32_t at = (hole + 1) & map->mask; map->entries[at].value != 0;
         at = (at + 1) & map->mask) {
        uint32_t home = home_of(map, map->entries[at].tag, map->entries[at].key);
        /* Move it back unless its home lies behind the hole (cyclically). */
        if (((at - home) & map->mask) >= ((at - hole) & map->mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole].value = 0;
}
