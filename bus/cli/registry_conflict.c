/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_conflict.c - somebody else was faster: what a writer says, and what he does about it.
 *
 * override_warn and merge are rules of the writer, not of the log: he reads what is there and
 * writes another change that is based on it. So no reader has to know who merged what, and two
 * writers who override each other still come one after the other. A merge begins with the route
 * that the writer saw, which is in the log under the revision that is his base.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "registry_change.h"
#include "run/binding.h"
#include "wire/route_diff.h"

/* ---- both sides ---- */

static void add_side(struct dri_text *text, const char *name, struct dray_slice route)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    dri_text_addf(text, ",\"%s\":", name);
    if (route.at == NULL) {
        dri_text_addf(text, "null");
    } else if (dri_msgpack_to_json(route, &limits, false, text) != DRAY_OK) {
        text->status = DRAY_EINVALID;
    }
}

static struct dray_slice ours_of(const struct dri_registry_edit *edit, const char *key)
{
    for (size_t i = 0; i < edit->count; i++) {
        if (dray_slice_equal_text(edit->items[i].key, key)) {
            return edit->items[i].route;
        }
    }
    return dray_slice_of(NULL, 0);
}

static const char *author_of(const struct dri_registry_tool *tool, uint64_t revision)
{
    const struct dri_registry_maker *maker =
        revision == 0 ? NULL : dri_registry_tool_maker(tool, revision);
    return maker == NULL || maker->author == NULL ? "" : maker->author;
}

static void print_sides(const struct dri_registry_edit *edit, const struct dri_registry_tool *tool,
                        const struct dri_registry_dispute *dispute)
{
    const struct dri_route *there =
        dri_registry_find_key(tool->registry, dray_slice_text(dispute->key));
    const char *author = author_of(tool, dispute->present);
    struct dri_text text;
    dri_text_init(&text);
    dri_text_addf(&text, "{\"key\":");
    dri_text_add_json_string(&text, dray_slice_text(dispute->key));
    dri_text_addf(&text, ",\"conflict\":true,\"base\":%" PRIu64 ",\"present\":%" PRIu64,
                  dispute->base, dispute->present);
    if (author[0] != '\0') {
        dri_text_addf(&text, ",\"author\":");
        dri_text_add_json_string(&text, dray_slice_text(author));
    }
    if (dispute->path != NULL) {
        dri_text_addf(&text, ",\"path\":");
        dri_text_add_json_string(&text, dray_slice_text(dispute->path));
    }
    add_side(&text, "yours", ours_of(edit, dispute->key));
    add_side(&text, "theirs",
             there == NULL ? dray_slice_of(NULL, 0)
                           : dray_slice_of(there->bytes, there->bytes_len));
    dri_text_addf(&text, "}");
    if (text.status == DRAY_OK) {
        printf("%s\n", text.at);
        (void)fflush(stdout);
    }
    dri_text_fini(&text);
}

int dri_registry_dispute_say(const struct dri_registry_tool *tool,
                             const struct dri_registry_dispute *dispute)
{
    char who[128] = "";
    char what[DRI_ROUTE_PATH_BYTES + 32] = "";
    const char *author = author_of(tool, dispute->present);
    if (author[0] != '\0') {
        snprintf(who, sizeof(who), ", put by %.100s", author);
    }
    if (dispute->path != NULL) {
        snprintf(what, sizeof(what), "; both have changed %s", dispute->path);
    }
    if (dispute->present == 0) {
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED,
                            "conflict: %s is not there, yours is based on revision %" PRIu64 "%s",
                            dispute->key, dispute->base, what);
    }
    if (dispute->base == 0) {
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED,
                            "conflict: %s is there already, at revision %" PRIu64 "%s%s",
                            dispute->key, dispute->present, who, what);
    }
    return dri_cli_fail(tool->cli, DRI_EXIT_FAILED,
                        "conflict: %s is at revision %" PRIu64 "%s, yours is based on %" PRIu64
                        "%s",
                        dispute->key, dispute->present, who, dispute->base, what);
}

int dri_registry_dispute_tell(const struct dri_registry_edit *edit,
                              const struct dri_registry_tool *tool,
                              const struct dri_registry_dispute *dispute)
{
    print_sides(edit, tool, dispute);
    return dri_registry_dispute_say(tool, dispute);
}

/* ---- settling ---- */

/* One item whose base is not the present revision. */
struct open_item {
    struct dri_registry_edit *edit;
    const struct dri_registry_tool *tool;
    struct dri_change_item *item;
    struct dri_registry_fate *fate;
    const char *key;
    const struct dri_route *there; /* NULL: nothing */
    uint64_t present;              /* its revision, or 0 */
};

static int refuse(const struct open_item *open, const char *path)
{
    const struct dri_registry_dispute dispute = {
        .key = open->key, .base = open->item->base, .present = open->present, .path = path};
    return dri_registry_dispute_tell(open->edit, open->tool, &dispute);
}

/* It will be written, over what is there now. */
static void go_on(const struct open_item *open)
{
    bool is_merge = open->edit->on_conflict == DRI_CONFLICT_MERGE;
    const char *author = author_of(open->tool, open->present);
    if (open->present == 0) {
        dri_cli_warn("%s was removed meanwhile; it is put again", open->key);
    } else {
        dri_cli_warn("%s: revision %" PRIu64 "%s%s %s", open->key, open->present,
                     author[0] == '\0' ? "" : " by ", author,
                     is_merge ? "is merged with yours" : "is overridden");
    }
    open->fate->other = open->present;
    if (open->present > open->edit->other) {
        open->edit->other = open->present;
    }
    open->item->base = open->present;
}

static int is_done(const struct open_item *open)
{
    open->fate->is_done = true;
    open->item->base = open->present;
    return DRI_EXIT_OK;
}

/* What is put has to be a route that runs, after the merge too. */
static bool is_route(struct dray_slice bytes)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_route_view view;
    struct dri_wire_error error;
    return dri_route_decode(bytes, &limits, &view, &error) == DRAY_OK &&
           dri_binding_unsupported(&view) == NULL;
}

static int merge(const struct open_item *open)
{
    struct dri_change_item *item = open->item;
    const struct dri_route_sides sides = {
        .ancestor = item->base == 0
                        ? dray_slice_of(NULL, 0)
                        : dri_history_route(&open->tool->history, item->key, item->base),
        .ours = item->route,
        .theirs = open->there == NULL ? dray_slice_of(NULL, 0)
                                      : dray_slice_of(open->there->bytes, open->there->bytes_len)};
    char path[DRI_ROUTE_PATH_BYTES] = "";
    if (dri_value_is_same(sides.ours, sides.theirs)) {
        return is_done(open);
    }
    if (sides.ours.at == NULL || sides.theirs.at == NULL ||
        (item->base != 0 && sides.ancestor.at == NULL)) {
        return refuse(open, NULL); /* one removes what the other changes, or the base is none */
    }
    size_t bytes_max = sides.ours.len + sides.theirs.len + 16;
    size_t len = 0;
    uint8_t *bytes = dri_zalloc(bytes_max);
    if (bytes == NULL) {
        return dri_cli_fail(open->edit->cli, DRI_EXIT_FAILED, "out of memory");
    }
    enum dray_status status = dri_route_merge(&sides, bytes, bytes_max, &len, path);
    if (status != DRAY_OK || !is_route(dray_slice_of(bytes, len))) {
        dri_free(bytes);
        return refuse(open, status == DRAY_ECONFLICT ? path : "what does not go together");
    }
    if (dri_value_is_same(dray_slice_of(bytes, len), sides.theirs)) {
        dri_free(bytes); /* they have done the same */
        return is_done(open);
    }
    dri_free(open->fate->merged);
    open->fate->merged = bytes;
    item->route = dray_slice_of(bytes, len);
    go_on(open);
    return DRI_EXIT_OK;
}

static int settle(const struct open_item *open)
{
    if (open->edit->on_conflict == DRI_CONFLICT_REFUSE) {
        return refuse(open, NULL);
    }
    if (open->item->route.at == NULL && open->there == NULL) {
        return is_done(open); /* removed already */
    }
    if (open->edit->on_conflict == DRI_CONFLICT_MERGE && open->edit->fill == NULL) {
        return merge(open);
    }
    go_on(open);
    return DRI_EXIT_OK;
}

int dri_registry_edit_settle(struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    int code = DRI_EXIT_OK;
    for (size_t i = 0; code == DRI_EXIT_OK && i < edit->count; i++) {
        struct dri_change_item *item = &edit->items[i];
        char key[DRI_ROUTE_KEY_BYTES_MAX + 1];
        struct open_item open = {
            .edit = edit, .tool = tool, .item = item, .fate = &edit->fates[i], .key = key};
        open.there = dri_registry_find_key(tool->registry, item->key);
        open.present = open.there == NULL ? 0 : open.there->revision;
        snprintf(key, sizeof(key), "%.*s", (int)item->key.len, (const char *)item->key.at);
        if (item->base != open.present) {
            open.fate->is_done = false; /* it was, until somebody changed it again */
            code = settle(&open);
        }
    }
    if (code == DRI_EXIT_OK && edit->fill != NULL && edit->on_conflict != DRI_CONFLICT_REFUSE) {
        code = edit->fill(edit->arg, tool->registry, edit->items, edit->count);
    }
    return code;
}
