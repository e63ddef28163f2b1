/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* snapshot.c - the registry's file.
 *
 * It has the form of a control change, because that has a decoder that was fuzzed. It is loaded by
 * the same apply as the log: routes are put again in the order of their revisions, those of one
 * revision as one change, so that digest and later compare-and-set come out as if the log had been
 * read. Everything that can be checked is checked before the first route is put.
 */
#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "scanner.h"
#include "sha256.h"
#include "state.h"
#include "url.h"

#define FILE_BYTES_MAX (UINT64_C(256) << 20)
#define HASH_BYTES     32u
#define HEAD_BYTES     1024u
#define ITEM_BYTES     64u /* of an item beside key and route */
#define ELEMENTS_MAX   4000000u

static void hash_of(struct dray_slice bytes, uint8_t ret_hash[HASH_BYTES])
{
    struct dri_sha256 sha;
    dri_sha256_init(&sha);
    dri_sha256_add(&sha, bytes);
    dri_sha256_end(&sha, ret_hash);
}

enum dray_status dri_snapshot_bus(const char *url, char ret_hex[65])
{
    size_t bytes = strlen(url) + 1;
    uint8_t hash[HASH_BYTES];
    char *shown = dri_zalloc(bytes);
    if (shown == NULL) {
        return DRAY_ENOMEM;
    }
    dri_url_redact(url, shown, bytes);
    hash_of(dray_slice_text(shown), hash);
    dri_hex(hash, sizeof(hash), ret_hex);
    dri_free(shown);
    return DRAY_OK;
}

/* ---- save ---- */

struct gather {
    struct dri_change_item *items; /* NULL: only measure */
    size_t count, bytes;
};

static void gather_route(void *arg, const struct dri_route *route)
{
    struct gather *gather = arg;
    struct dray_slice key = dray_slice_text(route->key);
    if (gather->items != NULL) {
        gather->items[gather->count] =
            (struct dri_change_item){.key = key,
                                     .base = route->revision,
                                     .route = dray_slice_of(route->bytes, route->bytes_len)};
    }
    gather->count++;
    gather->bytes += key.len + route->bytes_len + ITEM_BYTES;
}

/* Absent: nobody signs. */
static struct dray_slice signers_of(const struct dri_snapshot_place *place)
{
    return place->signers == NULL || place->signers[0] == '\0' ? dray_slice_of(NULL, 0)
                                                               : dray_slice_text(place->signers);
}

static enum dray_status encode(const struct dri_snapshot_place *place,
                               const struct dri_registry *registry, struct gather *gather,
                               uint8_t *bytes, size_t bytes_max, size_t *ret_len)
{
    char digest[65];
    char bus[65];
    enum dray_status status = dri_snapshot_bus(place->bus, bus);
    if (status != DRAY_OK) {
        return status;
    }
    dri_registry_digest(registry, digest);
    const struct dri_change map = {
        .kind = dray_slice_text("routes"),
        .cluster = dray_slice_text(place->cluster),
        .topic = dray_slice_text(place->topic),
        .author = dray_slice_text(bus),
        .note = dray_slice_text(digest),
        .issuer = signers_of(place),
        .ts_ms = dri_clock_wall_ms(),
        .seq = dri_registry_revision(registry),
    };
    return dri_change_encode(&map, gather->items, gather->count, bytes, bytes_max, ret_len);
}

enum dray_status dri_snapshot_save(const struct dri_snapshot_place *place,
                                   const struct dri_registry *registry, char *ret_text,
                                   size_t text_bytes)
{
    struct gather gather = {.items = NULL};
    dri_registry_each(registry, gather_route, &gather);
    size_t bytes_max = gather.bytes + HEAD_BYTES + strlen(place->cluster) + strlen(place->topic);
    gather.items = dri_zalloc_array(gather.count, sizeof(*gather.items));
    uint8_t *bytes = dri_zalloc(bytes_max + HASH_BYTES);
    size_t len = 0;
    enum dray_status status = gather.items == NULL || bytes == NULL ? DRAY_ENOMEM : DRAY_OK;
    if (status == DRAY_OK) {
        gather.count = 0;
        dri_registry_each(registry, gather_route, &gather);
        status = encode(place, registry, &gather, bytes, bytes_max, &len);
    }
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s: %s", DRI_SNAPSHOT_FILE, dray_status_text(status));
    } else {
        hash_of(dray_slice_of(bytes, len), bytes + len);
        status = dri_state_write(place->folder, DRI_SNAPSHOT_FILE, bytes, len + HASH_BYTES,
                                 ret_text, text_bytes);
    }
    dri_free(gather.items);
    dri_free(bytes);
    return status;
}

/* ---- load ---- */

static enum dray_status damaged(const char *why, char *ret_text, size_t text_bytes)
{
    snprintf(ret_text, text_bytes, "%s: %s", DRI_SNAPSHOT_FILE, why);
    return DRAY_EINVALID;
}

/* The file, checked as far as that goes without a registry. Owns: *ret_bytes returned owned. */
static enum dray_status read_map(const struct dri_snapshot_place *place, void **ret_bytes,
                                 struct dri_change *ret_map, char *ret_text, size_t text_bytes)
{
    const struct dri_wire_limits limits = {
        .message_bytes = UINT32_MAX, .depth = 16, .elements = ELEMENTS_MAX};
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    uint8_t hash[HASH_BYTES];
    char bus[65];
    void *bytes = NULL;
    size_t len = 0;
    enum dray_status status = dri_snapshot_bus(place->bus, bus);
    if (status == DRAY_OK) {
        status = dri_state_read(place->folder, DRI_SNAPSHOT_FILE, FILE_BYTES_MAX, &bytes, &len);
    }
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s: %s", DRI_SNAPSHOT_FILE, dray_status_text(status));
        return status;
    }
    size_t map_len = len < HASH_BYTES ? 0 : len - HASH_BYTES;
    const uint8_t *at = bytes;
    hash_of(dray_slice_of(at, map_len), hash);
    if (len < HASH_BYTES || memcmp(hash, at + map_len, HASH_BYTES) != 0) {
        status = damaged("its checksum does not fit", ret_text, text_bytes);
    } else if (dri_change_decode(dray_slice_of(at, map_len), &limits, ret_map, &error) != DRAY_OK) {
        status = damaged(error.text, ret_text, text_bytes);
    } else if (!dray_slice_equal_text(ret_map->kind, "routes") ||
               !dray_slice_equal_text(ret_map->author, bus) ||
               !dray_slice_equal_text(ret_map->cluster, place->cluster) ||
               !dray_slice_equal_text(ret_map->topic, place->topic)) {
        status = damaged("it is of another bus, cluster or control topic", ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

uint64_t dri_snapshot_revision(const struct dri_snapshot_place *place)
{
    struct dri_change map;
    void *bytes = NULL;
    char text[128] = "";
    enum dray_status status = read_map(place, &bytes, &map, text, sizeof(text));
    if (status == DRAY_OK) {
        dri_free(bytes);
        return map.seq;
    }
    if (status != DRAY_ENOTFOUND) {
        DRI_LOG(DRI_LOG_WARN, "CTL-NOT-OURS", "the local snapshot is ignored",
                DRI_TEXT("reason", text), DRI_TEXT("state", place->folder));
    }
    return 0;
}

static int compare_by_revision(const void *a, const void *b)
{
    const struct dri_change_item *left = a;
    const struct dri_change_item *right = b;
    return (left->base > right->base) - (left->base < right->base);
}

struct loader {
    struct dri_registry *registry;
    uint8_t *buffer; /* owned; has room for all routes */
    size_t buffer_bytes;
    char *text;
    size_t text_bytes;
};

/* The items that one change has put, as that change. */
static enum dray_status apply_group(const struct loader *loader, struct dri_change_item *items,
                                    size_t count)
{
    const struct dri_wire_limits limits = {
        .message_bytes = UINT32_MAX, .depth = 16, .elements = ELEMENTS_MAX};
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    struct dri_registry_conflict conflict = {.key = ""};
    struct dri_change change = {.kind = dray_slice_text("routes")};
    uint64_t revision = items[0].base;
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        items[i].base = 0;
    }
    enum dray_status status =
        dri_change_encode(&change, items, count, loader->buffer, loader->buffer_bytes, &len);
    if (status == DRAY_OK) {
        status = dri_change_decode(dray_slice_of(loader->buffer, len), &limits, &change, &error);
    }
    if (status == DRAY_OK) {
        status = dri_registry_apply(loader->registry, revision, &change, &conflict, loader->text,
                                    loader->text_bytes);
    }
    return status == DRAY_ECONFLICT ? DRAY_EINVALID : status;
}

/* All items, in the order of their revisions. */
static enum dray_status gather_items(const struct dri_change *map, const struct loader *loader,
                                     struct dri_change_item *items, size_t *ret_count)
{
    size_t count = 0;
    size_t at = 0;
    while (count < map->items_count && dri_change_next(map, &at, &items[count])) {
        const struct dri_change_item *item = &items[count++];
        if (item->route.at == NULL || item->base == 0 || item->base > map->seq) {
            return damaged("a route in it has no revision", loader->text, loader->text_bytes);
        }
    }
    if (count > 0) {
        qsort(items, count, sizeof(*items), compare_by_revision);
    }
    *ret_count = count;
    return DRAY_OK;
}

static enum dray_status apply_all(const struct dri_change *map, struct loader *loader)
{
    size_t count = 0;
    struct dri_change_item *items = dri_zalloc_array(map->items_count, sizeof(*items));
    loader->buffer_bytes = map->items.len + HEAD_BYTES;
    loader->buffer = dri_zalloc(loader->buffer_bytes);
    enum dray_status status = items == NULL || loader->buffer == NULL ? DRAY_ENOMEM : DRAY_OK;
    if (status == DRAY_OK) {
        status = gather_items(map, loader, items, &count);
    }
    for (size_t i = 0; status == DRAY_OK && i < count;) {
        size_t end = i + 1;
        while (end < count && items[end].base == items[i].base) {
            end++;
        }
        status = apply_group(loader, &items[i], end - i);
        i = end;
    }
    dri_free(items);
    dri_free(loader->buffer);
    return status;
}

enum dray_status dri_snapshot_load(const struct dri_snapshot_place *place,
                                   struct dri_registry *registry, char *ret_text, size_t text_bytes)
{
    struct dri_change map;
    void *bytes = NULL;
    char digest[65];
    enum dray_status status = read_map(place, &bytes, &map, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    struct loader loader = {.registry = registry, .text = ret_text, .text_bytes = text_bytes};
    if (dray_slice_equal(map.issuer, signers_of(place))) {
        status = apply_all(&map, &loader);
    } else {
        status = damaged("it was made under other control.signers, which may have trusted what "
                         "these do not",
                         ret_text, text_bytes);
        DRI_LOG(DRI_LOG_WARN, "CTL-NOT-OURS", "the local snapshot is not used",
                DRI_TEXT("reason", ret_text));
    }
    if (status == DRAY_OK) {
        dri_registry_see(registry, map.seq);
        dri_registry_digest(registry, digest);
        if (!dray_slice_equal_text(map.note, digest)) {
            status = damaged("its routes do not give its digest", ret_text, text_bytes);
        }
    }
    dri_free(bytes);
    return status;
}
