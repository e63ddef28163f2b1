/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "hash.h"
#include "log.h"
#include "mem.h"
#include "registry_inside.h"

/* registry_edit.c - a change, in four steps: read, check, prepare, commit.
 *
 * Everything that can fail happens before the first store that a reader could see: routes are
 * decoded and their modules loaded outside of the lock (the loader may take its time), then under
 * the lock the bases are looked at, and sets, slots and numbers are made. Commit only stores, one
 * store for each name, so each name goes from one whole set of routes to the next. What prepare
 * made of room stays when a later step fails; nobody can see it.
 */

struct edit {
    struct dray_slice key;
    struct dray_slice ns;
    struct dray_slice name;
    uint64_t base;
    struct entry *fresh;   /* NULL: a removal */
    struct entry *present; /* guard: lock */
    /* of the first edit of each name */
    uint64_t name_hash;
    size_t name_edits;    /* how many follow it, itself included; 0: not the first */
    struct named *before; /* what the name led to, and what it will lead to */
    struct named *after;
};

struct batch {
    struct dri_registry *registry;
    const struct answer *answer;
    uint64_t revision; /* 0: a rebind, which is no change */
    struct edit *edits;
    struct edit **order; /* by key: the edits of a name are neighbours */
    size_t count;
};

void answer_text(const struct answer *answer, const char *form, ...)
{
    va_list args;
    if (answer->text == NULL || answer->text_bytes == 0) {
        return;
    }
    va_start(args, form);
    (void)vsnprintf(answer->text, answer->text_bytes, form, args);
    va_end(args);
}

/* ---- read ---- */

/** The parts of a valid key. */
static void split_key(struct edit *edit)
{
    const uint8_t *begin = edit->key.at;
    const uint8_t *end = begin + edit->key.len;
    const uint8_t *slash = (const uint8_t *)memchr(begin, '/', edit->key.len);
    DRI_ASSERT(slash != NULL);
    const uint8_t *name = slash + 1;
    const uint8_t *at_sign = (const uint8_t *)memchr(name, '@', (size_t)(end - name));
    DRI_ASSERT(at_sign != NULL);
    edit->ns = dray_slice_of(begin, (size_t)(slash - begin));
    edit->name = dray_slice_of(name, (size_t)(at_sign - name));
    edit->name_hash = fold_hashes(dri_hash64(edit->ns), dri_hash64(edit->name));
}

/** One block: the entry, its key, its name, the route's bytes; the view is read from that copy. */
static enum dray_status entry_create(struct dray_slice route, uint64_t revision,
                                     const struct answer *answer, struct entry **ret_entry)
{
    struct dri_route_view view;
    struct dri_wire_error error = {.field = "", .text = "", .offset = 0};
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    char key[DRI_ROUTE_KEY_BYTES_MAX + 1];
    if (route.at == NULL) {
        answer_text(answer, "there is no route map");
        return DRAY_EINVALID;
    }
    enum dray_status status = dri_route_decode(route, &limits, &view, &error);
    if (status == DRAY_OK) {
        status = dri_route_key_format(&view, key, sizeof(key));
    }
    if (status != DRAY_OK) {
        answer_text(answer, "route%s%s %s at byte %u", error.field[0] == '\0' ? "" : ".",
                    error.field, error.text, (unsigned)error.offset);
        return status;
    }
    size_t key_len = strlen(key);
    struct entry *entry =
        (struct entry *)dri_zalloc(sizeof(*entry) + key_len + 1 + view.name.len + 1 + route.len);
    if (entry == NULL) {
        return DRAY_ENOMEM;
    }
    uint8_t *at = (uint8_t *)(entry + 1);
    entry->key_len = key_len;
    entry->route.key = (char *)memcpy(at, key, key_len + 1);
    at += key_len + 1;
    entry->route.name_text = (char *)memcpy(at, view.name.at, view.name.len);
    at += view.name.len + 1;
    entry->route.bytes = (uint8_t *)memcpy(at, route.at, route.len);
    entry->route.bytes_len = (uint32_t)route.len; /* below the limit of a message */
    entry->route.revision = revision;
    status = dri_route_decode(dray_slice_of(at, route.len), &limits, &entry->route.view, &error);
    DRI_ASSERT(status == DRAY_OK); /* the same bytes */
    if (dri_semver_parse(entry->route.view.version, &entry->version) != DRAY_OK) {
        answer_text(answer, "route.version holds a number that is too large");
        dri_free(entry);
        return DRAY_EINVALID;
    }
    named_init(&entry->named, dray_slice_of(entry->route.key, key_len), view.ns.len, view.name.len);
    entry->priority = dri_hash64(dray_slice_of(key, key_len));
    entry->route.fid = dri_fid(view.ns, view.name, view.version, view.signature);
    *ret_entry = entry;
    return DRAY_OK;
}

static enum dray_status read_item(struct batch *batch, struct edit *edit,
                                  const struct dri_change_item *item)
{
    edit->key = item->key;
    edit->base = item->base;
    if (item->route.at != NULL) {
        enum dray_status status =
            entry_create(item->route, batch->revision, batch->answer, &edit->fresh);
        if (status != DRAY_OK) {
            return status;
        }
        struct dray_slice made = dray_slice_of(edit->fresh->route.key, edit->fresh->key_len);
        if (edit->key.at == NULL) {
            edit->key = made; /* a put of one route */
        } else if (!dray_slice_equal(edit->key, made)) {
            answer_text(batch->answer, "the item's key is not that of its route, \"%s\"",
                        edit->fresh->route.key);
            return DRAY_EINVALID;
        }
    } else if (!dri_route_key_is_valid(edit->key)) {
        answer_text(batch->answer, "a key is not of the form namespace/name@version");
        return DRAY_EINVALID;
    }
    split_key(edit);
    return DRAY_OK;
}

static int compare_by_key(const void *a, const void *b)
{
    struct dray_slice left = (*(struct edit *const *)a)->key;
    struct dray_slice right = (*(struct edit *const *)b)->key;
    int order = memcmp(left.at, right.at, left.len < right.len ? left.len : right.len);
    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

static int compare_by_fid(const void *a, const void *b)
{
    const struct entry *left = (*(struct edit *const *)a)->fresh;
    const struct entry *right = (*(struct edit *const *)b)->fresh;
    if (left == NULL || right == NULL) {
        return (left == NULL) - (right == NULL);
    }
    return left->route.fid < right->route.fid ? -1 : left->route.fid > right->route.fid;
}

static bool is_same_name(const struct edit *a, const struct edit *b)
{
    return dray_slice_equal(a->ns, b->ns) && dray_slice_equal(a->name, b->name);
}

/** What can be wrong between the items of one change; then the edits of each name are counted. */
static enum dray_status check_items(struct batch *batch)
{
    struct edit **order = batch->order;
    qsort((void *)order, batch->count, sizeof(order[0]), compare_by_fid);
    for (size_t i = 1; i < batch->count && order[i]->fresh != NULL; i++) {
        if (compare_by_fid((const void *)&order[i - 1], (const void *)&order[i]) == 0 &&
            !dray_slice_equal(order[i - 1]->key, order[i]->key)) {
            answer_text(batch->answer, "\"%s\" and \"%s\" have the same function id",
                        order[i - 1]->fresh->route.key, order[i]->fresh->route.key);
            return DRAY_EINVALID;
        }
    }
    qsort((void *)order, batch->count, sizeof(order[0]), compare_by_key);
    struct edit *first = NULL;
    for (size_t i = 0; i < batch->count; i++) {
        if (i > 0 && dray_slice_equal(order[i - 1]->key, order[i]->key)) {
            answer_text(batch->answer, "the change names \"%.*s\" twice", (int)order[i]->key.len,
                        (const char *)order[i]->key.at);
            return DRAY_EINVALID;
        }
        if (first == NULL || !is_same_name(first, order[i])) {
            first = order[i];
        }
        first->name_edits++;
    }
    return DRAY_OK;
}

static enum dray_status batch_read(struct batch *batch, const struct dri_change_item *items,
                                   size_t count)
{
    batch->edits = (struct edit *)dri_zalloc_array(count, sizeof(struct edit));
    batch->order = (struct edit **)dri_zalloc_array(count, sizeof(struct edit *));
    if (batch->edits == NULL || batch->order == NULL) {
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        batch->order[i] = &batch->edits[i];
        batch->count = i + 1;
        enum dray_status status = read_item(batch, &batch->edits[i], &items[i]);
        if (status != DRAY_OK) {
            return status;
        }
    }
    return check_items(batch);
}

static void batch_fini(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        named_free(batch->edits[i].after); /* looks at an entry */
    }
    for (size_t i = 0; i < batch->count; i++) {
        entry_destroy(&batch->registry->config, batch->edits[i].fresh);
    }
    dri_free(batch->edits);
    dri_free((void *)batch->order);
}

/* ---- check, under the lock ---- */

static void answer_conflict(const struct answer *answer, const struct edit *edit, uint64_t present)
{
    answer_text(answer, "\"%.*s\" was changed meanwhile: revision %llu was expected, %llu is there",
                (int)edit->key.len, (const char *)edit->key.at, (unsigned long long)edit->base,
                (unsigned long long)present);
    if (answer->conflict == NULL) {
        return;
    }
    struct dri_registry_conflict conflict = {.base = edit->base, .present = present};
    memcpy(conflict.key, edit->key.at, edit->key.len);
    *answer->conflict = conflict;
}

static enum dray_status check_bases(struct batch *batch)
{
    struct writer *writer = batch->registry->writer;
    uint64_t seen = dri_registry_revision(batch->registry);
    if (batch->revision <= seen) {
        answer_text(batch->answer, "revision %llu is not above %llu, which was seen already",
                    (unsigned long long)batch->revision, (unsigned long long)seen);
        return DRAY_EINVALID;
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct edit *edit = &batch->edits[i];
        edit->present = tree_find(writer->tree, edit->key);
        uint64_t present = edit->present == NULL ? 0 : edit->present->route.revision;
        if (present != edit->base) {
            answer_conflict(batch->answer, edit, present);
            return DRAY_ECONFLICT;
        }
    }
    return DRAY_OK;
}

/** Two keys with one function id: never by chance. */
static enum dray_status check_fid(const struct batch *batch, const struct edit *edit)
{
    size_t at = 0;
    const struct table *fids = table_of(&batch->registry->fids);
    uint64_t fid = edit->fresh->route.fid;
    const struct entry *entry = (const struct entry *)table_first(fids, fid, &at);
    if (entry == NULL || entry == edit->present) {
        return DRAY_OK;
    }
    answer_text(batch->answer, "\"%s\" and \"%s\" have the same function id", entry->route.key,
                edit->fresh->route.key);
    return DRAY_EINVALID;
}

/* ---- prepare, under the lock ---- */

/** Room in the tables, and numbers. */
static enum dray_status reserve(struct batch *batch)
{
    struct dri_registry *registry = batch->registry;
    struct writer *writer = registry->writer;
    size_t names[SHARD_COUNT] = {0};
    size_t puts = 0, added = 0;
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; i < batch->count; i++) {
        const struct edit *edit = &batch->edits[i];
        names[shard_of(registry, edit->name_hash)] += edit->name_edits != 0;
        puts += edit->fresh != NULL;
        added += edit->fresh != NULL && edit->present == NULL;
        if (edit->fresh != NULL && status == DRAY_OK) {
            status = check_fid(batch, edit);
        }
    }
    if (status == DRAY_OK && writer->routes_count + added > ROUTES_MAX) {
        answer_text(batch->answer, "there are more than %u routes", (unsigned)ROUTES_MAX);
        status = DRAY_ELIMIT;
    }
    for (size_t i = 0; i < SHARD_COUNT && status == DRAY_OK; i++) {
        if (names[i] != 0) {
            status = table_reserve(registry, &registry->shards[i], names[i]);
        }
    }
    if (status == DRAY_OK) {
        status = table_reserve(registry, &registry->fids, puts);
    }
    return status == DRAY_OK ? numbers_reserve(writer, puts) : status;
}

static bool is_edited(struct edit *const *edits, size_t count, const struct entry *entry)
{
    for (size_t i = 0; i < count; i++) {
        if (edits[i]->present == entry) {
            return true;
        }
    }
    return false;
}

static struct table *shard_table(struct dri_registry *registry, uint64_t name_hash)
{
    return table_of(&registry->shards[shard_of(registry, name_hash)]);
}

static size_t count_of(const struct named *named)
{
    return named == NULL ? 0 : named->is_set ? named_set(named)->count : 1;
}

/** What a name will lead to: what stays of the old routes, and what is put. */
static enum dray_status prepare_name(struct batch *batch, struct edit *const *edits)
{
    struct edit *first = edits[0];
    size_t edits_count = first->name_edits;
    const struct table *table = shard_table(batch->registry, first->name_hash);
    struct named *before = named_find(table, first->name_hash, first->ns, first->name);
    size_t before_count = count_of(before);
    size_t count = 0;
    const struct entry **entries =
        (const struct entry **)dri_zalloc_array(before_count + edits_count, sizeof(entries[0]));
    if (entries == NULL) {
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < before_count; i++) {
        const struct entry *entry =
            before->is_set ? named_set(before)->entries[i] : named_entry(before);
        if (!is_edited(edits, edits_count, entry)) {
            entries[count++] = entry;
        }
    }
    for (size_t i = 0; i < edits_count; i++) {
        if (edits[i]->fresh != NULL) {
            entries[count++] = edits[i]->fresh;
        }
    }
    first->before = before;
    enum dray_status status = count == 0 ? DRAY_OK : named_create(entries, count, &first->after);
    dri_free((void *)entries);
    return status;
}

static enum dray_status prepare(struct batch *batch)
{
    enum dray_status status = reserve(batch);
    for (size_t i = 0; i < batch->count && status == DRAY_OK; i += batch->order[i]->name_edits) {
        status = prepare_name(batch, &batch->order[i]);
    }
    return status;
}

/* ---- commit, under the lock: nothing can fail any more ---- */

static void commit_name(struct dri_registry *registry, struct edit *first)
{
    struct table *table = shard_table(registry, first->name_hash);
    if (first->before != first->after) {
        table_put(table, first->name_hash, first->before, first->after);
    }
    if (first->before != NULL && first->before->is_set) {
        struct set *set = (struct set *)(void *)first->before;
        retire(registry, &set->retired, RETIRED_MEMORY, set);
    }
    first->after = NULL; /* the table's now */
}

static void commit_fid(struct dri_registry *registry, const struct edit *edit)
{
    struct table *fids = table_of(&registry->fids);
    struct entry *fresh = edit->fresh;
    struct entry *present = edit->present;
    if (fresh != NULL && present != NULL && fresh->route.fid == present->route.fid) {
        table_put(fids, fresh->route.fid, present, fresh);
        return;
    }
    if (fresh != NULL) {
        table_put(fids, fresh->route.fid, NULL, fresh);
    }
    if (present != NULL) {
        table_put(fids, present->route.fid, present, NULL);
    }
}

/* Only the writer changes it; readers look at it after the revision, which is released later. */
static void count_special(struct dri_registry *registry, const struct edit *edit)
{
    uint32_t special = atomic_load_explicit(&registry->special, memory_order_relaxed);
    special += edit->fresh != NULL && dri_route_is_special(&edit->fresh->route.view) ? 1 : 0;
    special -= edit->present != NULL && dri_route_is_special(&edit->present->route.view) ? 1 : 0;
    atomic_store_explicit(&registry->special, special, memory_order_relaxed);
}

static void commit_edit(struct dri_registry *registry, struct edit *edit)
{
    struct writer *writer = registry->writer;
    commit_fid(registry, edit);
    count_special(registry, edit);
    if (edit->present != NULL && edit->fresh != NULL) {
        dri_heat_inherit(&edit->fresh->route.heat, &edit->present->route.heat);
    }
    if (edit->present != NULL) {
        tree_remove(&writer->tree, edit->present);
        writer->routes_count--;
        retire(registry, &edit->present->retired, RETIRED_ENTRY, edit->present);
    }
    if (edit->fresh != NULL) {
        tree_insert(&writer->tree, edit->fresh);
        writer->routes_count++;
        edit->fresh = NULL; /* the registry's now */
    }
}

static void commit(struct batch *batch)
{
    struct dri_registry *registry = batch->registry;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->edits[i].fresh != NULL) {
            number_take(registry->writer, &batch->edits[i].fresh->route);
        }
    }
    for (size_t i = 0; i < batch->count; i += batch->order[i]->name_edits) {
        commit_name(registry, batch->order[i]);
    }
    for (size_t i = 0; i < batch->count; i++) {
        commit_edit(registry, &batch->edits[i]);
    }
    registry->writer->digest[0] = '\0';
}

/* ---- all of it ---- */

static uint64_t fid_built(const struct dri_route *route)
{
    const char *signature = route->handler == NULL ? NULL : route->handler->signature;
    const struct dri_route_view *view = &route->view;
    if (view->signature.len != 0 || signature == NULL || signature[0] == '\0') {
        return 0;
    }
    return dri_fid(view->ns, view->name, view->version, dray_slice_text(signature));
}

static void bind_all(const struct batch *batch)
{
    const struct dri_registry_config *config = &batch->registry->config;
    for (size_t i = 0; i < batch->count && config->bind != NULL; i++) {
        struct entry *entry = batch->edits[i].fresh;
        if (entry != NULL) {
            entry->is_bound = true;
            config->bind(config->arg, &entry->route);
            entry->route.fid_built = fid_built(&entry->route);
        }
    }
}

void revision_seen(struct dri_registry *registry, uint64_t revision)
{
    struct writer *writer = registry->writer;
    dri_lock_take(&writer->lock);
    if (revision > dri_registry_revision(registry)) {
        /* Release: pairs with the acquire in dri_registry_revision; the routes of before. */
        atomic_store_explicit(&registry->revision, revision, memory_order_release);
    }
    dri_lock_drop(&writer->lock);
}

static void warn_of_versions(const struct batch *batch)
{
    bool is_quiet = batch->registry->config.bind == NULL;
    for (size_t i = 0; i < batch->count; i++) {
        const struct entry *entry = batch->edits[i].fresh;
        if (entry != NULL && !entry->route.view.has_version && !is_quiet) {
            DRI_LOG(DRI_LOG_WARN, "REG-NO-VERSION", "a route has no version; 0.0.0 is taken",
                    DRI_TEXT("key", entry->route.key), DRI_UINT("revision", batch->revision));
        }
    }
}

static enum dray_status batch_apply(struct batch *batch)
{
    struct writer *writer = batch->registry->writer;
    dri_lock_take(&writer->lock);
    enum dray_status status = check_bases(batch);
    dri_lock_drop(&writer->lock);
    if (status != DRAY_OK) {
        return status;
    }
    bind_all(batch);
    warn_of_versions(batch);
    dri_lock_take(&writer->lock);
    status = check_bases(batch);
    if (status == DRAY_OK) {
        status = prepare(batch);
    }
    if (status == DRAY_OK) {
        commit(batch);
        /* Release: pairs with the acquire in dri_registry_revision; the routes of this change. */
        atomic_store_explicit(&batch->registry->revision, batch->revision, memory_order_release);
    }
    retire_end(batch->registry);
    dri_lock_drop(&writer->lock);
    return status;
}

enum dray_status edit_apply(struct dri_registry *registry, uint64_t revision,
                            const struct dri_change_item *items, size_t count,
                            const struct answer *answer)
{
    struct batch batch = {.registry = registry, .answer = answer, .revision = revision};
    enum dray_status status = batch_read(&batch, items, count);
    if (status == DRAY_OK) {
        status = batch_apply(&batch);
    }
    if (status == DRAY_ENOMEM) {
        answer_text(answer, "there is no memory for the change");
    } else if (status != DRAY_OK) {
        revision_seen(registry, revision);
    }
    batch_fini(&batch);
    (void)dri_registry_reclaim(registry);
    return status;
}

void edit_rebind(struct dri_registry *registry, struct entry *entry)
{
    const struct answer no_answer = {.text = NULL};
    struct writer *writer = registry->writer;
    struct batch batch = {.registry = registry, .answer = &no_answer};
    const struct dri_change_item item = {
        .key = dray_slice_of(entry->route.key, entry->key_len),
        .base = entry->route.revision,
        .route = dray_slice_of(entry->route.bytes, entry->route.bytes_len),
    };
    enum dray_status status = batch_read(&batch, &item, 1);
    if (status == DRAY_OK) {
        struct entry *fresh = batch.edits[0].fresh;
        fresh->route.revision = entry->route.revision;
        bind_all(&batch);
        bool is_better =
            fresh->route.handler != NULL || strcmp(fresh->route.failure, entry->route.failure) != 0;
        dri_lock_take(&writer->lock);
        batch.edits[0].present = entry;
        if (is_better && tree_find(writer->tree, item.key) == entry && prepare(&batch) == DRAY_OK) {
            commit(&batch);
        }
        retire_end(registry);
        dri_lock_drop(&writer->lock);
    }
    batch_fini(&batch);
}
