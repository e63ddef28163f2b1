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

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = *(const struct entry *const *)a;
    const struct entry *right = *(const struct entry *const *)b;
    struct dri_candidate x = {.version = left->version};
    struct dri_candidate y = {.version = right->version};
    return dri_candidate_compare(&x, &y);
}

static size_t align_up(size_t bytes)
{
    return (bytes + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
}

/** One block: the set with its text, the rest, candidates, entries. */
static struct set *set_alloc(const struct dri_route_view *view, size_t count)
{
    size_t rest_at = align_up(sizeof(struct set) + view->ns.len + view->name.len);
    size_t candidates_at = align_up(rest_at + sizeof(struct set_rest));
    size_t entries_at = candidates_at + count * sizeof(struct dri_candidate);
    uint8_t *block = (uint8_t *)dri_zalloc(entries_at + count * sizeof(const struct entry *));
    if (block == NULL) {
        return NULL;
    }
    struct set *set = (struct set *)(void *)block;
    memcpy(set->text, view->ns.at, view->ns.len);
    memcpy(set->text + view->ns.len, view->name.at, view->name.len);
    set->ns_len = (uint16_t)view->ns.len;
    set->name_len = (uint16_t)view->name.len;
    set->count = (uint32_t)count;
    set->rest = (struct set_rest *)(void *)(block + rest_at);
    set->rest->candidates = (struct dri_candidate *)(void *)(block + candidates_at);
    set->rest->entries = (const struct entry **)(void *)(block + entries_at);
    return set;
}

enum dray_status set_create(const struct entry *const *entries, size_t count, struct set **ret_set)
{
    struct set *set = set_alloc(&entries[0]->route.view, count);
    if (set == NULL) {
        return DRAY_ENOMEM;
    }
    struct set_rest *rest = set->rest;
    memcpy((void *)rest->entries, (const void *)entries, count * sizeof(entries[0]));
    qsort((void *)rest->entries, count, sizeof(rest->entries[0]), compare_entries);
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = rest->entries[i];
        rest->candidates[i] = (struct dri_candidate){
            .version = entry->version,
            .tags = entry->route.view.tags,
            .weight = entry->route.view.weight,
            .state = entry->route.view.state,
        };
    }
    if (dri_selection_is_plain(rest->candidates, count)) {
        struct dri_selection any = {.range = NULL};
        set->plain = rest->entries[dri_selection_choose(&any, rest->candidates, count)];
    }
    *ret_set = set;
    return DRAY_OK;
}

struct set *set_find(const struct table *table, uint64_t hash, struct dray_slice ns,
                     struct dray_slice name)
{
    size_t at = 0;
    struct set *set = (struct set *)table_first(table, hash, &at);
    while (set != NULL && (set->ns_len != ns.len || set->name_len != name.len ||
                           memcmp(set->text, ns.at, ns.len) != 0 ||
                           memcmp(set->text + ns.len, name.at, name.len) != 0)) {
        set = (struct set *)table_next(table, hash, &at);
    }
    return set;
}
