/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry.c - the registry's life, and what its writer asks of it. registry_inside.h says which
 * file does what.
 *
 * Names are spread over shards by their hash, so that a table that grows copies a sixteenth of
 * all slots; a registry of one shard is the plain store (docs/adr/0022). A name's routes are one
 * immutable set that a change replaces by one store; readers use epochs (base/epoch.h;
 * docs/adr/0003 has the measurements against mutex, rwlock and liburcu).
 */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "registry_inside.h"
#include "sha256.h"

#define READERS_DEFAULT 256u

static enum dray_status tables_create(struct dri_registry *registry)
{
    struct table *table = NULL;
    for (size_t i = 0; i < registry->config.shards; i++) {
        if (table_create(0, &table) != DRAY_OK) {
            return DRAY_ENOMEM;
        }
        atomic_init(&registry->shards[i], table);
    }
    if (table_create(0, &table) != DRAY_OK) {
        return DRAY_ENOMEM;
    }
    atomic_init(&registry->fids, table);
    return DRAY_OK;
}

enum dray_status dri_registry_create(const struct dri_registry_config *config,
                                     struct dri_registry **ret_registry)
{
    struct dri_registry *registry = (struct dri_registry *)dri_zalloc(sizeof(*registry));
    struct writer *writer = (struct writer *)dri_zalloc(sizeof(*writer));
    if (registry == NULL || writer == NULL) {
        dri_free(registry);
        dri_free(writer);
        return DRAY_ENOMEM;
    }
    registry->config = *config;
    if (registry->config.readers_max == 0) {
        registry->config.readers_max = READERS_DEFAULT;
    }
    if (registry->config.shards == 0) {
        registry->config.shards = SHARD_COUNT;
    }
    DRI_ASSERT(registry->config.shards <= SHARD_COUNT &&
               (registry->config.shards & (registry->config.shards - 1)) == 0);
    registry->shard_skip = shard_skip_of(registry->config.shards);
    registry->writer = writer;
    dri_lock_init(&writer->lock, DRI_LOCK_REGISTRY);
    writer->limbo_end = &writer->limbo;
    dri_epoch_init(&registry->epoch);
    if (tables_create(registry) != DRAY_OK) {
        dri_registry_destroy(registry);
        return DRAY_ENOMEM;
    }
    *ret_registry = registry;
    return DRAY_OK;
}

static void names_free(struct table *table)
{
    for (size_t i = 0; table != NULL && i <= table->mask; i++) {
        void *item = atomic_load_explicit(&table->slots[i].item, memory_order_relaxed);
        if (item != (void *)&registry_removed) {
            named_free((struct named *)item);
        }
    }
    dri_free(table);
}

static void assert_unpinned(const struct writer *writer)
{
    for (size_t chunk = 0; chunk < writer->chunks_count; chunk++) {
        for (size_t i = 0; i < CHUNK_NUMBERS; i++) {
            DRI_ASSERT(atomic_load(&writer->orphans[chunk]->of[i].pins) == 0);
        }
    }
}

void dri_registry_destroy(struct dri_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    struct writer *writer = registry->writer;
    DRI_ASSERT(writer->readers == NULL);
    assert_unpinned(writer);
    retire_end(registry); /* what a change that failed has left */
    size_t waiting = dri_registry_reclaim(registry);
    DRI_ASSERT(waiting == 0);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        names_free(table_of(&registry->shards[i]));
    }
    dri_free(table_of(&registry->fids));
    while (writer->tree != NULL) {
        struct entry *entry = writer->tree;
        tree_remove(&writer->tree, entry);
        entry_destroy(&registry->config, entry);
    }
    for (size_t i = 0; i < CHUNK_COUNT; i++) {
        dri_free(writer->orphans[i]);
    }
    dri_free(writer->free_numbers);
    dri_lock_fini(&writer->lock);
    dri_free(writer);
    dri_free(registry);
}

/* ---- changes ---- */

static enum dray_status refuse_change(struct dri_registry *registry, uint64_t revision)
{
    revision_seen(registry, revision);
    return DRAY_EINVALID;
}

enum dray_status dri_registry_apply(struct dri_registry *registry, uint64_t revision,
                                    const struct dri_change *change,
                                    struct dri_registry_conflict *ret_conflict, char *ret_text,
                                    size_t text_bytes)
{
    const struct answer answer = {ret_conflict, ret_text, text_bytes};
    size_t count = 0;
    size_t at = 0;
    if (change->kind.at != NULL && !dray_slice_equal_text(change->kind, "routes")) {
        answer_text(&answer, "the change is not of kind \"routes\"");
        return refuse_change(registry, revision);
    }
    struct dri_change_item *items = (struct dri_change_item *)dri_zalloc_array(
        change->items_count, sizeof(struct dri_change_item));
    if (items == NULL) {
        answer_text(&answer, "there is no memory for the change");
        return DRAY_ENOMEM;
    }
    while (count < change->items_count && dri_change_next(change, &at, &items[count])) {
        count++;
    }
    enum dray_status status = DRAY_EINVALID;
    if (count == change->items_count) {
        status = edit_apply(registry, revision, items, count, &answer);
    } else {
        answer_text(&answer, "the change has fewer items than it says");
        status = refuse_change(registry, revision);
    }
    dri_free(items);
    return status;
}

/* NOLINTNEXTLINE(readability-function-size): a record's parts, and the answer's */
enum dray_status dri_registry_put(struct dri_registry *registry, uint64_t base, uint64_t revision,
                                  struct dray_slice route,
                                  struct dri_registry_conflict *ret_conflict, char *ret_text,
                                  size_t text_bytes)
{
    const struct answer answer = {ret_conflict, ret_text, text_bytes};
    const struct dri_change_item item = {.base = base, .route = route};
    if (route.at == NULL) {
        answer_text(&answer, "there is no route map");
        return refuse_change(registry, revision);
    }
    return edit_apply(registry, revision, &item, 1, &answer);
}

enum dray_status dri_registry_remove(struct dri_registry *registry, struct dray_slice key,
                                     uint64_t base, uint64_t revision,
                                     struct dri_registry_conflict *ret_conflict)
{
    const struct answer answer = {.conflict = ret_conflict};
    const struct dri_change_item item = {.key = key, .base = base};
    return edit_apply(registry, revision, &item, 1, &answer);
}

void dri_registry_see(struct dri_registry *registry, uint64_t revision)
{
    revision_seen(registry, revision);
}

struct unbound {
    struct entry **entries; /* NULL: only count */
    size_t count;
};

static void gather_unbound(void *arg, struct entry *entry)
{
    struct unbound *unbound = (struct unbound *)arg;
    if (entry->route.handler != NULL) {
        return;
    }
    if (unbound->entries != NULL) {
        unbound->entries[unbound->count] = entry;
    }
    unbound->count++;
}

void dri_registry_rebind(struct dri_registry *registry)
{
    struct unbound unbound = {.entries = NULL};
    if (registry->config.bind == NULL) {
        return;
    }
    tree_each(registry->writer->tree, gather_unbound, &unbound);
    size_t count = unbound.count;
    unbound.entries = (struct entry **)dri_zalloc_array(count, sizeof(struct entry *));
    unbound.count = 0;
    if (unbound.entries == NULL) {
        return; /* the next time */
    }
    tree_each(registry->writer->tree, gather_unbound, &unbound);
    for (size_t i = 0; i < count; i++) {
        edit_rebind(registry, unbound.entries[i]);
    }
    dri_free((void *)unbound.entries);
    (void)dri_registry_reclaim(registry);
}

/* ---- what is called ---- */

struct taking {
    const struct writer *writer;
    uint64_t part;
};

static void take_calls(void *arg, struct entry *entry)
{
    const struct taking *taking = (const struct taking *)arg;
    struct dri_route *route = &entry->route;
    uint32_t calls = calls_of(taking->writer, route->number) - route->calls_base;
    dri_heat_take(&route->heat, taking->part, calls);
}

void dri_registry_take_calls(struct dri_registry *registry, uint64_t part)
{
    struct writer *writer = registry->writer;
    struct taking taking = {writer, part};
    dri_lock_take(&writer->lock); /* the list of readers */
    tree_each(writer->tree, take_calls, &taking);
    dri_lock_drop(&writer->lock);
}

/* ---- what is there ---- */

uint64_t dri_registry_revision(const struct dri_registry *registry)
{
    /* Acquire: pairs with the release of a change; whoever sees the number finds the routes. */
    return atomic_load_explicit(&registry->revision, memory_order_acquire);
}

bool dri_registry_has_special(const struct dri_registry *registry)
{
    return atomic_load_explicit(&registry->special, memory_order_relaxed) > 0;
}

size_t dri_registry_count(const struct dri_registry *registry)
{
    return registry->writer->routes_count;
}

struct visit {
    dri_registry_visit_fn *fn;
    void *arg;
};

static void visit_entry(void *arg, struct entry *entry)
{
    const struct visit *visit = (const struct visit *)arg;
    visit->fn(visit->arg, &entry->route);
}

void dri_registry_each(const struct dri_registry *registry, dri_registry_visit_fn *visit, void *arg)
{
    struct visit each = {visit, arg};
    tree_each(registry->writer->tree, visit_entry, &each);
}

const struct dri_route *dri_registry_find_key(const struct dri_registry *registry,
                                              struct dray_slice key)
{
    const struct entry *entry = key.at == NULL ? NULL : tree_find(registry->writer->tree, key);
    return entry == NULL ? NULL : &entry->route;
}

static void add_to_digest(void *arg, struct entry *entry)
{
    struct dri_sha256 *sha = (struct dri_sha256 *)arg;
    const struct dri_route *route = &entry->route;
    char numbers[64];
    int revision_len =
        snprintf(numbers, sizeof(numbers), "%llu", (unsigned long long)route->revision);
    int len = revision_len + 1 +
              snprintf(numbers + revision_len + 1, sizeof(numbers) - (size_t)revision_len - 1, "%u",
                       (unsigned)route->bytes_len);
    dri_sha256_add(sha, dray_slice_of(route->key, entry->key_len + 1));
    dri_sha256_add(sha, dray_slice_of(numbers, (size_t)len + 1));
    dri_sha256_add(sha, dray_slice_of(route->bytes, route->bytes_len));
}

void dri_registry_digest(const struct dri_registry *registry, char ret_hex[65])
{
    struct writer *writer = registry->writer;
    if (writer->digest[0] == '\0') {
        struct dri_sha256 sha;
        uint8_t digest[32];
        dri_sha256_init(&sha);
        tree_each(writer->tree, add_to_digest, &sha);
        dri_sha256_end(&sha, digest);
        dri_hex(digest, sizeof(digest), writer->digest);
    }
    memcpy(ret_hex, writer->digest, sizeof(writer->digest));
}
