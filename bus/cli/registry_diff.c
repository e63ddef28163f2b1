/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_diff.c - differences as people and pipes read them.
 *
 * A dry run, a history and a diff print the same lines for the same thing, so whoever has read one
 * can read the others. Only what differs is printed: a route is some hundred bytes, and its change
 * is one number.
 */
#include "registry_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "wire/route_diff.h"

struct dray_slice dri_difference_side(const struct dri_route *route)
{
    return route == NULL ? dray_slice_of(NULL, 0) : dray_slice_of(route->bytes, route->bytes_len);
}

const char *dri_difference_word(const struct dri_difference *difference)
{
    if (dri_value_is_same(difference->before, difference->after)) {
        return "same";
    }
    return difference->before.at == NULL  ? "add"
           : difference->after.at == NULL ? "remove"
                                          : "update";
}

static void add_value(struct dri_text *text, struct dray_slice value, const char *absent)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    if (value.at == NULL) {
        dri_text_addf(text, "%s", absent);
    } else if (dri_msgpack_to_json(value, &limits, false, text) != DRAY_OK &&
               text->status == DRAY_OK) {
        text->status = DRAY_EINVALID;
    }
}

struct sink {
    struct dri_text *text;
    const char *indent; /* NULL: JSON */
    size_t count;
};

static void on_path(void *arg, const char *path, struct dray_slice before, struct dray_slice after)
{
    struct sink *sink = arg;
    if (sink->indent != NULL) {
        char shown[DRI_ROUTE_PATH_BYTES];
        snprintf(shown, sizeof(shown), "%s", path);
        dri_cli_clean(shown);
        dri_text_addf(sink->text, "%s    %s: ", sink->indent, shown);
        add_value(sink->text, before, "(not set)");
        dri_text_addf(sink->text, " -> ");
        add_value(sink->text, after, "(not set)");
        dri_text_addf(sink->text, "\n");
        return;
    }
    dri_text_addf(sink->text, "%s{\"path\":", sink->count++ == 0 ? "" : ",");
    dri_text_add_json_string(sink->text, dray_slice_text(path));
    dri_text_addf(sink->text, ",\"from\":");
    add_value(sink->text, before, "null");
    dri_text_addf(sink->text, ",\"to\":");
    add_value(sink->text, after, "null");
    dri_text_addf(sink->text, "}");
}

void dri_difference_add_json(const struct dri_difference *difference, struct dri_text *text)
{
    struct sink sink = {.text = text};
    dri_text_addf(text, "\"key\":");
    dri_text_add_json_string(text, difference->key);
    dri_text_addf(text, ",\"change\":\"%s\"", dri_difference_word(difference));
    if (difference->before.at == NULL || difference->after.at == NULL) {
        bool is_added = difference->before.at == NULL;
        const char *noun = difference->noun == NULL ? "route" : difference->noun;
        dri_text_addf(text, ",\"%s\":", is_added ? noun : "was");
        add_value(text, is_added ? difference->after : difference->before, "null");
        return;
    }
    dri_text_addf(text, ",\"diff\":[");
    dri_route_differences(difference->before, difference->after, on_path, &sink);
    dri_text_addf(text, "]");
}

void dri_difference_add_lines(const struct dri_difference *difference, const char *indent,
                              struct dri_text *text)
{
    struct sink sink = {.text = text, .indent = indent};
    char key[DRI_ROUTE_KEY_BYTES_MAX + 1];
    bool is_added = difference->before.at == NULL;
    bool is_removed = difference->after.at == NULL;
    snprintf(key, sizeof(key), "%.*s", (int)difference->key.len, (const char *)difference->key.at);
    dri_cli_clean(key);
    dri_text_addf(text, "%s%c %s", indent, is_added ? '+' : is_removed ? '-' : '~', key);
    if (difference->revision != 0) {
        dri_text_addf(text, " (revision %" PRIu64 ")", difference->revision);
    }
    dri_text_addf(text, "\n");
    if (is_added != is_removed) {
        dri_text_addf(text, "%s    ", indent);
        add_value(text, is_added ? difference->after : difference->before, "");
        dri_text_addf(text, "\n");
    } else if (!is_added) {
        dri_route_differences(difference->before, difference->after, on_path, &sink);
    }
}

void dri_difference_print(const struct dri_difference *difference, bool is_json)
{
    struct dri_text text;
    dri_text_init(&text);
    if (is_json) {
        dri_text_addf(&text, "{");
        dri_difference_add_json(difference, &text);
        dri_text_addf(&text, "}\n");
    } else {
        dri_difference_add_lines(difference, "", &text);
    }
    if (text.status == DRAY_OK) {
        printf("%s", text.at);
    }
    dri_text_fini(&text);
}

/* ---- two registries ---- */

struct compared {
    const struct dri_registry *other;
    bool is_after; /* the one that is walked */
    dri_difference_fn *fn;
    void *arg;
};

static void compare_route(void *arg, const struct dri_route *route)
{
    const struct compared *compared = arg;
    const struct dri_route *other =
        dri_registry_find_key(compared->other, dray_slice_text(route->key));
    struct dri_difference difference = {.key = dray_slice_text(route->key)};
    if (compared->is_after) { /* only what before has not */
        difference.after = dri_difference_side(route);
    } else {
        difference.before = dri_difference_side(route);
        difference.after = dri_difference_side(other);
        difference.revision = route->revision;
    }
    if (compared->is_after ? other == NULL
                           : !dri_value_is_same(difference.before, difference.after)) {
        compared->fn(compared->arg, &difference);
    }
}

void dri_differences_each(const struct dri_registry *before, const struct dri_registry *after,
                          dri_difference_fn *on_difference, void *arg)
{
    struct compared compared = {.other = after, .fn = on_difference, .arg = arg};
    dri_registry_each(before, compare_route, &compared);
    compared.other = before;
    compared.is_after = true;
    dri_registry_each(after, compare_route, &compared);
}
