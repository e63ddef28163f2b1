/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "registry_inside.h"

/* registry_table.c - tables and route sets.
 *
 * A slot goes from empty to taken once in a table's life; its hash never changes after that, so a
 * reader may look at it without an atomic. What is removed leaves a mark, and the marks go when the
 * table is made anew, which also is how it grows.
 */

#define SLOTS_MIN 16u

char registry_removed;

enum dray_status table_create(size_t items, struct table **ret_table)
{
    size_t slots = SLOTS_MIN;
    while (slots / 2 < items) {
        slots *= 2;
    }
    struct table *table =
        (struct table *)dri_zalloc(sizeof(*table) + slots * sizeof(table->slots[0]));
    if (table == NULL) {
        return DRAY_ENOMEM;
    }
    table->mask = slots - 1;
    *ret_table = table;
    return DRAY_OK;
}

struct table *table_of(_Atomic(struct table *) *holder)
{
    return atomic_load_explicit(holder, memory_order_relaxed); /* writers are serialised */
}

static struct slot *slot_find(struct table *table, uint64_t hash, const void *item)
{
    for (size_t i = (size_t)hash;; i++) {
        struct slot *slot = &table->slots[i & table->mask];
        void *there = atomic_load_explicit(&slot->item, memory_order_relaxed); /* we write it */
        if (there == NULL || (there == item && slot->hash == hash)) {
            return slot;
        }
    }
}

void table_put(struct table *table, uint64_t hash, const void *old, void *item)
{
    struct slot *slot = NULL;
    if (old == NULL) {
        slot = slot_find(table, hash, &registry_removed); /* of this hash, or an empty one */
        bool is_empty = atomic_load_explicit(&slot->item, memory_order_relaxed) == NULL;
        if (is_empty) {
            DRI_ASSERT(table->used < table->mask);
            slot->hash = hash;
        }
        table->used += is_empty;
        table->live++;
    } else {
        slot = slot_find(table, hash, old);
        DRI_ASSERT(atomic_load_explicit(&slot->item, memory_order_relaxed) == old);
    }
    if (item == NULL) {
        table->live--;
        item = &registry_removed;
    }
    /* Release: pairs with the acquire in table_next. */
    atomic_store_explicit(&slot->item, item, memory_order_release);
}

enum dray_status table_reserve(struct dri_registry *registry, _Atomic(struct table *) *holder,
                               size_t more)
{
    struct table *old = table_of(holder);
    struct table *table = NULL;
    size_t slots = old->mask + 1;
    if (old->used + more <= slots / 4 * 3) {
        return DRAY_OK;
    }
    enum dray_status status = table_create(old->live + more, &table);
    if (status != DRAY_OK) {
        return status;
    }
    for (size_t i = 0; i < slots; i++) {
        void *item = atomic_load_explicit(&old->slots[i].item, memory_order_relaxed);
        if (item != NULL && item != (void *)&registry_removed) {
            table_put(table, old->slots[i].hash, NULL, item);
        }
    }
    /* Release: pairs with the acquire in registry_reader.c. */
    atomic_store_explicit(holder, table, memory_order_release);
    retire(registry, &old->retired, RETIRED_MEMORY, old);
    return DRAY_OK;
}

void named_init(struct named *named, struct dray_slice key, size_t ns_len, size_t name_len)
{
    *named = (struct named){.ns_len = (uint8_t)ns_len, .name_len = (uint8_t)name_len};
    if (named_is_near(named)) {
        memcpy(named->near, key.at, ns_len);
        memcpy(named->near + ns_len, key.at + ns_len + 1, name_len);
    } else {
        memcpy(named->near, &key.at, sizeof(key.at));
    }
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = *(const struct entry *const *)a;
    const struct entry *right = *(const struct entry *const *)b;
    struct dri_candidate x = {.version = left->version};
    struct dri_candidate y = {.version = right->version};
    return dri_candidate_compare(&x, &y);
}

static struct dri_candidate candidate_of(const struct entry *entry)
{
    return (struct dri_candidate){
        .version = entry->version,
        .tags = entry->route.view.tags,
        .weight = entry->route.view.weight,
        .state = entry->route.view.state,
    };
}

/** One block: the set, its candidates, its entries. */
static struct set *set_alloc(size_t count)
{
    size_t entries_at = sizeof(struct set) + count * sizeof(struct dri_candidate);
    uint8_t *block = (uint8_t *)dri_zalloc(entries_at + count * sizeof(const struct entry *));
    if (block == NULL) {
        return NULL;
    }
    struct set *set = (struct set *)(void *)block;
    set->candidates = (struct dri_candidate *)(void *)(block + sizeof(*set));
    set->entries = (const struct entry **)(void *)(block + entries_at);
    set->count = (uint32_t)count;
    return set;
}

enum dray_status named_create(const struct entry *const *entries, size_t count,
                              struct named **ret_named)
{
    struct dri_candidate only = candidate_of(entries[0]);
    if (count == 1 && dri_selection_is_plain(&only, 1)) {
        *ret_named = (struct named *)(uintptr_t)&entries[0]->named;
        return DRAY_OK;
    }
    struct set *set = set_alloc(count);
    if (set == NULL) {
        return DRAY_ENOMEM;
    }
    /* The name: its own copy, or far away in the key of an entry, which lives longer than the set.
     */
    set->named = entries[0]->named;
    set->named.is_set = true;
    memcpy((void *)set->entries, (const void *)entries, count * sizeof(entries[0]));
    qsort((void *)set->entries, count, sizeof(set->entries[0]), compare_entries);
    for (size_t i = 0; i < count; i++) {
        set->candidates[i] = candidate_of(set->entries[i]);
    }
    if (dri_selection_is_plain(set->candidates, count)) {
        struct dri_selection any = {.range = NULL};
        set->plain = set->entries[dri_selection_choose(&any, set->candidates, count)];
    }
    *ret_named = &set->named;
    return DRAY_OK;
}

void named_free(struct named *named)
{
    if (named != NULL && named->is_set) {
        dri_free(named);
    }
}

struct named *named_find(const struct table *table, uint64_t hash, struct dray_slice ns,
                         struct dray_slice name)
{
    size_t at = 0;
    struct named *named = (struct named *)table_first(table, hash, &at);
    while (named != NULL && !named_is(named, ns, name)) {
        named = (struct named *)table_next(table, hash, &at);
    }
    return named;
}
