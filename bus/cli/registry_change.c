/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_change.c - a change of the registry, by compare and set.
 *
 * Without --base the revisions that are there when the log was read are the bases, so a change that
 * somebody else makes between our reading and our writing is a conflict, never overwritten. --force
 * reads again and tries again.
 */
#include "registry_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "registry_tool.h"

#define TRIES_MAX 30u
#define WAIT_MS   30000u

const struct dri_cli_option dri_registry_rm_options[] = {
    {.name = "base",
     .argument = "REV",
     .help = "Only if this is still the revision of the route; default: the present one."},
    {.name = "force", .help = "Whatever is there: read again and try again on a conflict."},
    {.name = "wait",
     .argument = "[SECONDS]",
     .help = "Wait until every live replica has applied it; 30 s when no time is given."},
    {.name = "note", .argument = "TEXT", .help = "Why; kept with the change."},
    {.name = NULL},
};

int dri_registry_key_read(const struct dri_cli *cli, const char *wanted,
                          struct dri_registry_key *ret_key)
{
    char whole[DRI_ROUTE_KEY_BYTES_MAX + 16];
    const char *ns = cli->settings.namespace_ == NULL ? "default" : cli->settings.namespace_;
    bool has_ns = strchr(wanted, '/') != NULL;
    int len = snprintf(ret_key->text, sizeof(ret_key->text), "%s%s%s", has_ns ? "" : ns,
                       has_ns ? "" : "/", wanted);
    snprintf(whole, sizeof(whole), "%s%s", ret_key->text,
             strchr(wanted, '@') == NULL ? "@0.0.0" : "");
    if (len >= (int)sizeof(ret_key->text) || !dri_route_key_is_valid(dray_slice_text(whole))) {
        return dri_cli_usage(cli, "\"%s\" is no key: [namespace/]name[@version]", wanted);
    }
    return DRI_EXIT_OK;
}

struct versions {
    const char *name; /* "namespace/name" */
    const char *key;  /* of the last one */
    size_t count;
    struct dri_text all;
};

static void note_version(void *arg, const struct dri_route *route)
{
    struct versions *versions = arg;
    size_t len = strlen(versions->name);
    if (strncmp(route->key, versions->name, len) == 0 && route->key[len] == '@') {
        versions->key = route->key;
        versions->count++;
        dri_text_addf(&versions->all, "\n%s", route->key);
    }
}

/* A name alone is the one version that there is. */
static int find_version(const struct dri_cli *cli, const struct dri_registry_tool *tool,
                        struct dri_registry_key *key)
{
    struct versions versions = {.name = key->text};
    int code = DRI_EXIT_OK;
    dri_text_init(&versions.all);
    dri_registry_each(tool->registry, note_version, &versions);
    if (versions.count == 0) {
        code = dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "there is no route %s", key->text);
    } else if (versions.count > 1) {
        code = dri_cli_fail(cli, DRI_EXIT_USAGE, "%s has %zu versions; which one?%s", key->text,
                            versions.count, versions.all.status == DRAY_OK ? versions.all.at : "");
    } else {
        snprintf(key->text, sizeof(key->text), "%s", versions.key);
    }
    dri_text_fini(&versions.all);
    return code;
}

/* The items' keys, now that the registry is known. */
static int find_versions(struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    struct dri_registry_key *keys = edit->keys;
    int code = DRI_EXIT_OK;
    for (size_t i = 0; keys != NULL && code == DRI_EXIT_OK && i < edit->count; i++) {
        if (strchr(keys[i].text, '@') == NULL) {
            code = find_version(edit->cli, tool, &keys[i]);
        }
        for (size_t k = 0; code == DRI_EXIT_OK && k < i; k++) {
            if (strcmp(keys[k].text, keys[i].text) == 0) {
                code = dri_cli_usage(edit->cli, "%s stands there twice", keys[i].text);
            }
        }
        edit->items[i].key = dray_slice_text(keys[i].text);
    }
    return code;
}

int dri_registry_edit_options(struct dri_registry_edit *edit)
{
    const struct dri_cli *cli = edit->cli;
    edit->has_base = dri_cli_has(cli, "base");
    edit->is_create = dri_cli_has(cli, "create");
    edit->is_force = dri_cli_has(cli, "force");
    edit->is_waiting = dri_cli_has(cli, "wait");
    edit->note = dri_cli_value(cli, "note");
    edit->wait_ms = WAIT_MS;
    if (!dri_cli_uint(cli, "base", 0, UINT64_MAX, &edit->base) ||
        !dri_cli_patience(cli, "wait", &edit->wait_ms)) {
        return DRI_EXIT_USAGE;
    }
    if (edit->has_base + edit->is_create + edit->is_force > 1) {
        return dri_cli_usage(cli, "--base, --create and --force exclude each other");
    }
    return DRI_EXIT_OK;
}

/* ---- conflicts ---- */

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

/* Both sides: a sentence on standard error, and the routes as JSON on standard output. */
static int tell_conflict(const struct dri_registry_edit *edit, const struct dri_registry_tool *tool,
                         const char *key, uint64_t base, uint64_t present)
{
    const struct dri_route *there = dri_registry_find_key(tool->registry, dray_slice_text(key));
    const struct dri_registry_maker *maker = dri_registry_tool_maker(tool, present);
    struct dray_slice ours = dray_slice_of(NULL, 0);
    char who[128] = "";
    struct dri_text text;
    for (size_t i = 0; i < edit->count; i++) {
        if (dray_slice_equal_text(edit->items[i].key, key)) {
            ours = edit->items[i].route;
        }
    }
    dri_text_init(&text);
    dri_text_addf(&text, "{\"key\":");
    dri_text_add_json_string(&text, dray_slice_text(key));
    dri_text_addf(&text, ",\"conflict\":true,\"base\":%" PRIu64 ",\"present\":%" PRIu64, base,
                  present);
    if (maker != NULL && maker->author != NULL && present != 0) {
        dri_text_addf(&text, ",\"author\":");
        dri_text_add_json_string(&text, dray_slice_text(maker->author));
        snprintf(who, sizeof(who), ", put by %.100s", maker->author);
    }
    add_side(&text, "yours", ours);
    add_side(&text, "theirs",
             there == NULL ? dray_slice_of(NULL, 0)
                           : dray_slice_of(there->bytes, there->bytes_len));
    dri_text_addf(&text, "}");
    if (text.status == DRAY_OK) {
        printf("%s\n", text.at);
        (void)fflush(stdout);
    }
    dri_text_fini(&text);
    if (present == 0) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED,
                            "conflict: %s is not there, yours is based on revision %" PRIu64, key,
                            base);
    }
    if (base == 0) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED,
                            "conflict: %s is there already, at revision %" PRIu64 "%s", key,
                            present, who);
    }
    return dri_cli_fail(edit->cli, DRI_EXIT_FAILED,
                        "conflict: %s is at revision %" PRIu64 "%s, yours is based on %" PRIu64,
                        key, present, who, base);
}

/* ---- the change ---- */

/* What the writer saw. A base that is given and does not fit is a conflict that needs no record. */
static int fill_bases(const struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    for (size_t i = 0; i < edit->count; i++) {
        struct dri_change_item *item = &edit->items[i];
        const struct dri_route *there = dri_registry_find_key(tool->registry, item->key);
        uint64_t present = there == NULL ? 0 : there->revision;
        char key[DRI_ROUTE_KEY_BYTES_MAX + 1];
        snprintf(key, sizeof(key), "%.*s", (int)item->key.len, (const char *)item->key.at);
        item->base = edit->has_base ? edit->base : edit->is_create ? 0 : present;
        if (item->route.at == NULL && there == NULL && !edit->has_base) {
            return dri_cli_fail(edit->cli, DRI_EXIT_NO_MATCH, "there is no route %s", key);
        }
        if (item->base != present) {
            return tell_conflict(edit, tool, key, item->base, present);
        }
    }
    return DRI_EXIT_OK;
}

static void print_accepted(const struct dri_registry_edit *edit, uint64_t revision)
{
    for (size_t i = 0; i < edit->count; i++) {
        struct dri_text text;
        dri_text_init(&text);
        dri_text_addf(&text, "{\"key\":");
        dri_text_add_json_string(&text, edit->items[i].key);
        dri_text_addf(&text, ",\"revision\":%" PRIu64 "}", revision);
        if (text.status == DRAY_OK) {
            printf("%s\n", text.at);
        }
        dri_text_fini(&text);
    }
    (void)fflush(stdout); /* a closed pipe shows at the end */
}

static int change(const struct dri_registry_edit *edit, struct dri_registry_tool *tool,
                  uint64_t *ret_revision)
{
    struct dri_control_outcome outcome;
    int code = DRI_EXIT_OK;
    for (unsigned tries = 1;; tries++) {
        if (edit->fill != NULL) {
            code = edit->fill(edit->fill_arg, tool->registry, edit->items, edit->count);
        }
        if (code == DRI_EXIT_OK) {
            code = fill_bases(edit, tool);
        }
        if (code == DRI_EXIT_OK) {
            code = dri_registry_tool_change(tool, edit->items, edit->count, edit->note, &outcome);
        }
        if (code != DRI_EXIT_OK) {
            return code;
        }
        if (outcome.verdict != DRI_CONTROL_CONFLICT || !edit->is_force || tries == TRIES_MAX) {
            break;
        }
    }
    if (outcome.verdict == DRI_CONTROL_CONFLICT) {
        return tell_conflict(edit, tool, outcome.conflict.key, outcome.conflict.base,
                             outcome.conflict.present);
    }
    if (outcome.verdict != DRI_CONTROL_APPLIED) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED, "the change is refused: %s", outcome.text);
    }
    *ret_revision = outcome.revision;
    print_accepted(edit, outcome.revision);
    return DRI_EXIT_OK;
}

int dri_registry_edit_run(struct dri_registry_edit *edit)
{
    struct dri_registry_tool tool;
    uint64_t revision = 0;
    if (edit->has_base && edit->count > 1) {
        return dri_cli_usage(edit->cli, "--base is for one route; there are %zu", edit->count);
    }
    dri_cli_catch_signals();
    int code = dri_registry_tool_open(&tool, edit->cli, true, edit->is_waiting);
    if (code == DRI_EXIT_OK) {
        code = find_versions(edit, &tool);
    }
    if (code == DRI_EXIT_OK) {
        code = change(edit, &tool, &revision);
    }
    if (code == DRI_EXIT_OK && edit->is_waiting) {
        code = dri_registry_tool_wait(&tool, edit->items, edit->count, revision, edit->wait_ms);
    }
    dri_registry_tool_close(&tool);
    return code;
}
