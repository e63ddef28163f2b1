/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <string.h>

#include "assert.h"
#include "hash.h"
#include "mem.h"
#include "registry_inside.h"

/* registry_reader.c - look-ups and pins: no lock, no shared line written.
 *
 * Three loads find the routes of a name (shard, slot, set) and one more the route, because a set
 * knows beforehand which of its routes an ordinary command gets. A pin is a plain increment of a
 * counter that only this thread writes.
 */

/** Relaxed: only one thread writes it, so that no read-modify-write is needed. */
static void count(_Atomic(uint32_t) *counter, uint32_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

enum dray_status dri_reader_register(struct dri_registry *registry, struct dri_reader **ret_reader)
{
    struct writer *writer = registry->writer;
    struct dri_reader *reader = (struct dri_reader *)dri_zalloc(sizeof(*reader));
    if (reader == NULL) {
        return DRAY_ENOMEM;
    }
    reader->registry = registry;
    dri_lock_take(&writer->lock);
    enum dray_status status = writer->readers_count < registry->config.readers_max
                                  ? reader_make_chunks(reader, writer->chunks_count)
                                  : DRAY_ELIMIT;
    if (status == DRAY_OK) {
        reader->next = writer->readers;
        writer->readers = reader;
        writer->readers_count++;
        dri_epoch_add(&registry->epoch, &reader->epoch);
    }
    dri_lock_drop(&writer->lock);
    if (status != DRAY_OK) {
        reader_free(reader);
        return status;
    }
    dri_epoch_online(&registry->epoch, &reader->epoch);
    *ret_reader = reader;
    return DRAY_OK;
}

/** Pins that outlive their reader are counted on, and its calls. */
static void keep_counts(struct writer *writer, const struct dri_reader *reader)
{
    for (size_t chunk = 0; chunk < writer->chunks_count; chunk++) {
        for (size_t i = 0; i < CHUNK_NUMBERS; i++) {
            const struct seat *seat = &reader->chunks[chunk]->of[i];
            struct seat *orphan = &writer->orphans[chunk]->of[i];
            count(&orphan->pins, atomic_load_explicit(&seat->pins, memory_order_relaxed));
            count(&orphan->calls, atomic_load_explicit(&seat->calls, memory_order_relaxed));
        }
    }
}

void dri_reader_unregister(struct dri_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    struct dri_registry *registry = reader->registry;
    struct writer *writer = registry->writer;
    dri_epoch_offline(&reader->epoch);
    dri_lock_take(&writer->lock);
    struct dri_reader **at = &writer->readers;
    while (*at != reader) {
        DRI_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = reader->next;
    writer->readers_count--;
    dri_epoch_remove(&registry->epoch, &reader->epoch);
    keep_counts(writer, reader);
    dri_lock_drop(&writer->lock);
    reader_free(reader);
}

void dri_reader_offline(struct dri_reader *reader)
{
    dri_epoch_offline(&reader->epoch);
}

void dri_reader_online(struct dri_reader *reader)
{
    dri_epoch_online(&reader->registry->epoch, &reader->epoch);
}

void dri_reader_quiescent(struct dri_reader *reader)
{
    dri_epoch_quiescent(&reader->registry->epoch, &reader->epoch);
}

static bool is_version_wanted(const struct dri_query *query)
{
    return query->version.at != NULL;
}

static bool has_wanted_version(const struct entry *entry, const struct dri_query *query)
{
    struct dri_semver_range range;
    return !is_version_wanted(query) ||
           (dri_semver_range_parse(query->version, &range) == DRAY_OK &&
            dri_semver_range_has(&range, &entry->version));
}

/** By function id: it means one version with one signature, so there is nothing to choose.
 * Errors: ENOTFOUND: not in this namespace; ECONFLICT: there it means another name or version. */
static enum dray_status find_fid(const struct dri_registry *registry, struct dray_slice ns,
                                 const struct dri_query *query, const struct entry **ret_entry)
{
    /* Acquire: pairs with the release in table_reserve; the table's slots. */
    const struct table *fids = atomic_load_explicit(&registry->fids, memory_order_acquire);
    size_t at = 0;
    const struct entry *entry = (const struct entry *)table_first(fids, query->fid, &at);
    if (entry == NULL || !named_has_namespace(&entry->named, ns)) {
        return DRAY_ENOTFOUND;
    }
    if ((query->name.at != NULL && !dray_slice_equal(entry->route.view.name, query->name)) ||
        !has_wanted_version(entry, query)) {
        return DRAY_ECONFLICT;
    }
    *ret_entry = entry;
    return DRAY_OK;
}

static bool is_built_for(const struct entry *entry, const struct dri_query *query)
{
    return entry->route.fid_built != 0 && entry->route.fid_built == query->fid &&
           has_wanted_version(entry, query);
}

/** The route of a name whose handler was built for this function id, or NULL. */
static const struct entry *choose_built(const struct named *named, const struct dri_query *query)
{
    if (!named->is_set) {
        return is_built_for(named_entry(named), query) ? named_entry(named) : NULL;
    }
    const struct set *set = named_set(named);
    for (uint32_t i = 0; i < set->count; i++) {
        if (is_built_for(set->entries[i], query)) {
            return set->entries[i];
        }
    }
    return NULL;
}

static const struct entry *choose(const struct set *set, const struct dri_query *query)
{
    struct dri_semver_range range;
    if (!is_version_wanted(query) && set->plain != NULL) {
        return set->plain;
    }
    if (is_version_wanted(query) && dri_semver_range_parse(query->version, &range) != DRAY_OK) {
        return NULL;
    }
    const struct dri_selection selection = {
        .range = is_version_wanted(query) ? &range : NULL,
        .tags = query->tags,
        .key_hash = query->key_hash,
    };
    size_t chosen = dri_selection_choose(&selection, set->candidates, set->count);
    return chosen == set->count ? NULL : set->entries[chosen];
}

static enum dray_status find_name(const struct dri_registry *registry, struct dray_slice ns,
                                  const struct dri_query *query, const struct entry **ret_entry)
{
    if (query->name.at == NULL) {
        return DRAY_ENOTFOUND;
    }
    uint64_t hash = fold_hashes(dri_hash64(ns), dri_hash64(query->name));
    /* Acquire: pairs with the release in table_reserve; the table's slots. */
    const struct table *shard =
        atomic_load_explicit(&registry->shards[shard_of(registry, hash)], memory_order_acquire);
    const struct named *named = named_find(shard, hash, ns, query->name);
    if (named == NULL) {
        return DRAY_ENOTFOUND;
    }
    if (query->has_fid) {
        *ret_entry = choose_built(named, query);
    } else if (named->is_set) {
        *ret_entry = choose(named_set(named), query);
    } else {
        const struct entry *entry = named_entry(named);
        *ret_entry = has_wanted_version(entry, query) ? entry : NULL;
    }
    return *ret_entry == NULL ? DRAY_ECONFLICT : DRAY_OK;
}

static struct seat *seat_of(const struct dri_reader *reader, const struct dri_route *route)
{
    return &reader->chunks[route->number / CHUNK_NUMBERS]->of[route->number % CHUNK_NUMBERS];
}

enum dray_status dri_registry_pin(struct dri_reader *reader, const struct dri_query *query,
                                  const struct dri_route **ret_route)
{
    struct dray_slice ns = query->ns.at == NULL ? dray_slice_of("default", 7) : query->ns;
    const struct entry *entry = NULL;
    enum dray_status status = DRAY_ENOTFOUND;
    DRI_ASSERT(dri_epoch_is_online(&reader->epoch));
    if (query->has_fid) {
        status = find_fid(reader->registry, ns, query, &entry);
    }
    if (status == DRAY_ENOTFOUND) {
        status = find_name(reader->registry, ns, query, &entry);
    }
    if (status != DRAY_OK) {
        return status;
    }
    /* Relaxed is enough: the reclaimer reads it after our next quiescent. */
    count(&seat_of(reader, &entry->route)->pins, 1);
    *ret_route = &entry->route;
    return DRAY_OK;
}

void dri_registry_unpin(struct dri_reader *reader, const struct dri_route *route)
{
    _Atomic(uint32_t) *pins = &seat_of(reader, route)->pins;
    /* Release: pairs with the acquire in has_pins; our last use of the route. */
    atomic_store_explicit(pins, atomic_load_explicit(pins, memory_order_relaxed) - 1,
                          memory_order_release);
}

void dri_registry_note_call(const struct dri_reader *reader, const struct dri_route *route)
{
    count(&seat_of(reader, route)->calls, 1);
}
