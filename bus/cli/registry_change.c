/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_change.c - a change of the registry, by compare and set.
 *
 * Without --base the revisions that are there when the log was read are the bases, so a change that
 * somebody else makes between our reading and our writing is a conflict. Whether that is the end of
 * it, or the writer tries again with other bases, is his own rule (registry_conflict.c); the log
 * has but the one.
 */
#include "registry_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "registry_diff.h"

#define TRIES_MAX      60u
#define WAIT_MS        30000u
#define LEVEL_MS       2000u
#define NOTE_BYTES_MAX 4000u /* of ours, so that ours and a few words fit into a change */

const struct dri_cli_option dri_registry_rm_options[] = {
    {.name = "base",
     .argument = "REV",
     .help = "Only if this is still the revision of the route; default: the present one."},
    DRI_REGISTRY_ON_CONFLICT_OPTION,
    DRI_REGISTRY_FORCE_OPTION,
    DRI_REGISTRY_WAIT_OPTION,
    DRI_REGISTRY_NOTE_OPTION,
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

static int read_on_conflict(struct dri_registry_edit *edit)
{
    static const char *const words[] = {"refuse", "override_warn", "merge"};
    const char *word = dri_cli_value(edit->cli, "on-conflict");
    bool is_force = dri_cli_has(edit->cli, "force");
    edit->on_conflict = is_force ? DRI_CONFLICT_OVERRIDE : DRI_CONFLICT_REFUSE;
    if (word == NULL) {
        return DRI_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) == 0) {
            edit->on_conflict = (enum dri_on_conflict)i;
            return is_force && edit->on_conflict != DRI_CONFLICT_OVERRIDE
                       ? dri_cli_usage(edit->cli, "--force is --on-conflict override_warn, not %s",
                                       word)
                       : DRI_EXIT_OK;
        }
    }
    return dri_cli_usage(edit->cli, "--on-conflict is refuse, override_warn or merge, not \"%s\"",
                         word);
}

int dri_registry_edit_options(struct dri_registry_edit *edit)
{
    const struct dri_cli *cli = edit->cli;
    edit->has_base = dri_cli_has(cli, "base");
    edit->is_create = dri_cli_has(cli, "create");
    edit->is_waiting = dri_cli_has(cli, "wait");
    edit->note = dri_cli_value(cli, "note");
    edit->wait_ms = WAIT_MS;
    if (!dri_cli_uint(cli, "base", 0, UINT64_MAX, &edit->base) ||
        !dri_cli_patience(cli, "wait", &edit->wait_ms)) {
        return DRI_EXIT_USAGE;
    }
    if (edit->has_base + edit->is_create + dri_cli_has(cli, "force") > 1) {
        return dri_cli_usage(cli, "--base, --create and --force exclude each other");
    }
    return read_on_conflict(edit);
}

/* ---- the change ---- */

static int make_fates(struct dri_registry_edit *edit)
{
    dri_free(edit->fates);
    edit->fates = dri_zalloc_array(edit->count == 0 ? 1 : edit->count, sizeof(*edit->fates));
    return edit->fates != NULL ? DRI_EXIT_OK
                               : dri_cli_fail(edit->cli, DRI_EXIT_FAILED, "out of memory");
}

static void drop_fates(struct dri_registry_edit *edit)
{
    for (size_t i = 0; edit->fates != NULL && i < edit->count; i++) {
        dri_free(edit->fates[i].merged);
        edit->fates[i].merged = NULL;
    }
    dri_free(edit->fates);
    edit->fates = NULL;
}

/* What is wanted, and what the writer saw. */
static int begin(struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    int code = DRI_EXIT_OK;
    if (edit->plan != NULL) {
        drop_fates(edit); /* there are as many as there were items */
        code = edit->plan(edit->arg, tool, edit);
    } else if (edit->fill != NULL) {
        code = edit->fill(edit->arg, tool->registry, edit->items, edit->count);
    }
    if (code == DRI_EXIT_OK && edit->fates == NULL) {
        code = make_fates(edit);
    }
    for (size_t i = 0; code == DRI_EXIT_OK && i < edit->count; i++) {
        struct dri_change_item *item = &edit->items[i];
        const struct dri_route *there = dri_registry_find_key(tool->registry, item->key);
        item->base = edit->has_base    ? edit->base
                     : edit->is_create ? 0
                     : there == NULL   ? 0
                                       : there->revision;
        if (item->route.at == NULL && there == NULL && !edit->has_base) {
            return dri_cli_fail(edit->cli, DRI_EXIT_NO_MATCH, "there is no route %.*s",
                                (int)item->key.len, (const char *)item->key.at);
        }
    }
    return code;
}

static void print_accepted(const struct dri_registry_edit *edit, uint64_t revision)
{
    for (size_t i = 0; i < edit->count; i++) {
        struct dri_text text;
        if (edit->fates[i].is_done) {
            continue;
        }
        dri_text_init(&text);
        dri_text_addf(&text, "{\"key\":");
        dri_text_add_json_string(&text, edit->items[i].key);
        dri_text_addf(&text, ",\"revision\":%" PRIu64, revision);
        if (edit->fates[i].other != 0) {
            dri_text_addf(&text, ",\"%s\":%" PRIu64,
                          edit->on_conflict == DRI_CONFLICT_MERGE ? "merged" : "over",
                          edit->fates[i].other);
        }
        dri_text_addf(&text, "}");
        if (text.status == DRAY_OK) {
            printf("%s\n", text.at);
        }
        dri_text_fini(&text);
    }
    (void)fflush(stdout); /* a closed pipe shows at the end */
}

/* The note says whom the change was written over, so that the history does. */
static void make_note(const struct dri_registry_edit *edit, struct dri_text *note)
{
    dri_text_addf(note, "%s", edit->note == NULL ? "" : edit->note);
    if (edit->other != 0 && note->len < NOTE_BYTES_MAX) {
        dri_text_addf(note, "%s(%s revision %" PRIu64 ")", note->len > 0 ? " " : "",
                      edit->on_conflict == DRI_CONFLICT_MERGE ? "merged with" : "over",
                      edit->other);
    }
}

/* One record out and back, of what there is to write. */
static int publish(const struct dri_registry_edit *edit, struct dri_registry_tool *tool,
                   struct dri_control_outcome *ret_outcome, size_t *ret_count)
{
    struct dri_change_item *out =
        dri_zalloc_array(edit->count == 0 ? 1 : edit->count, sizeof(*out));
    struct dri_text note;
    size_t count = 0;
    int code = DRI_EXIT_OK;
    if (out == NULL) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED, "out of memory");
    }
    for (size_t i = 0; i < edit->count; i++) {
        if (!edit->fates[i].is_done) {
            out[count++] = edit->items[i];
        }
    }
    dri_text_init(&note);
    make_note(edit, &note);
    if (count > 0) {
        const char *text = note.status == DRAY_OK && note.len > 0 ? note.at : NULL;
        code = dri_registry_tool_change(tool, out, count, text, ret_outcome);
    }
    dri_text_fini(&note);
    dri_free(out);
    *ret_count = count;
    return code;
}

struct over {
    struct dri_registry_key key;
    uint64_t other;
};

/* Planned anew the items are others; whom they are written over is still known. */
static int plan_again(struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    size_t count = 0;
    struct over *overs = dri_zalloc_array(edit->count + 1, sizeof(*overs));
    if (overs == NULL) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED, "out of memory");
    }
    for (size_t i = 0; i < edit->count; i++) {
        if (edit->fates[i].other != 0) {
            struct over *over = &overs[count++];
            over->other = edit->fates[i].other;
            snprintf(over->key.text, sizeof(over->key.text), "%.*s", (int)edit->items[i].key.len,
                     (const char *)edit->items[i].key.at);
        }
    }
    int code = begin(edit, tool);
    for (size_t i = 0; code == DRI_EXIT_OK && i < edit->count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (dray_slice_equal_text(edit->items[i].key, overs[k].key.text)) {
                edit->fates[i].other = overs[k].other;
            }
        }
    }
    dri_free(overs);
    return code;
}

/* Somebody else was faster: what there is to write now. */
static int think_again(struct dri_registry_edit *edit, const struct dri_registry_tool *tool,
                       const struct dri_control_outcome *outcome)
{
    if (edit->on_conflict == DRI_CONFLICT_REFUSE) {
        const struct dri_registry_dispute dispute = {.key = outcome->conflict.key,
                                                     .base = outcome->conflict.base,
                                                     .present = outcome->conflict.present};
        return dri_registry_dispute_tell(edit, tool, &dispute);
    }
    int code = dri_registry_edit_settle(edit, tool);
    return code == DRI_EXIT_OK && edit->plan != NULL && edit->on_conflict == DRI_CONFLICT_OVERRIDE
               ? plan_again(edit, tool)
               : code;
}

static int change(struct dri_registry_edit *edit, struct dri_registry_tool *tool,
                  uint64_t *ret_revision)
{
    struct dri_control_outcome outcome = {.verdict = DRI_CONTROL_APPLIED};
    size_t count = 0;
    int code = dri_registry_edit_settle(edit, tool);
    for (unsigned tries = 1; code == DRI_EXIT_OK; tries++) {
        code = publish(edit, tool, &outcome, &count);
        if (code != DRI_EXIT_OK || count == 0 || outcome.verdict != DRI_CONTROL_CONFLICT) {
            break;
        }
        if (tries == TRIES_MAX) {
            edit->on_conflict = DRI_CONFLICT_REFUSE;
        }
        code = think_again(edit, tool, &outcome);
    }
    if (code != DRI_EXIT_OK) {
        return code;
    }
    if (count == 0) {
        fprintf(stderr, "dray: nothing to do: the registry is so already\n");
        *ret_revision = tool->log.end;
        return DRI_EXIT_OK;
    }
    if (outcome.verdict != DRI_CONTROL_APPLIED) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED, "the change is refused: %s", outcome.text);
    }
    *ret_revision = outcome.revision;
    print_accepted(edit, outcome.revision);
    return DRI_EXIT_OK;
}

/* What a change of a whole set would do. */
static int show(const struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    for (size_t i = 0; i < edit->count; i++) {
        const struct dri_change_item *item = &edit->items[i];
        const struct dri_route *there = dri_registry_find_key(tool->registry, item->key);
        const struct dri_difference difference = {.key = item->key,
                                                  .before = dri_difference_side(there),
                                                  .after = item->route,
                                                  .revision = there == NULL ? 0 : there->revision};
        dri_difference_print(&difference, edit->cli->is_json);
    }
    if (edit->count == 0) {
        fprintf(stderr, "dray: nothing to do: the registry is so already\n");
    }
    return DRI_EXIT_OK;
}

/* Whether we have read as far as the replicas. */
static bool is_level(void *arg)
{
    const struct dri_registry_tool *tool = arg;
    bool is_all = true;
    for (size_t i = 0; i < tool->replicas_count; i++) {
        const struct dri_replica *replica = &tool->replicas[i];
        is_all =
            is_all && (!dri_replica_is_live(replica) || replica->record.revision <= tool->log.end);
    }
    return is_all;
}

/* Others may have changed routes of the set that our change did not name. */
static int look_back(struct dri_registry_edit *edit, const struct dri_registry_tool *tool)
{
    int code = begin(edit, tool);
    for (size_t i = 0; code == DRI_EXIT_OK && i < edit->count; i++) {
        dri_cli_warn("%.*s was changed by somebody else meanwhile and is not as you want it; run "
                     "the same command again",
                     (int)edit->items[i].key.len, (const char *)edit->items[i].key.at);
    }
    return code == DRI_EXIT_OK && edit->count > 0 ? DRI_EXIT_FAILED : code;
}

static int wait_for_replicas(const struct dri_registry_edit *edit, struct dri_registry_tool *tool,
                             uint64_t revision)
{
    if (edit->plan != NULL) {
        return dri_registry_tool_wait(tool, edit->wanted, edit->wanted_count, revision,
                                      edit->wait_ms);
    }
    struct dray_slice *keys = dri_zalloc_array(edit->count + 1, sizeof(*keys));
    if (keys == NULL) {
        return dri_cli_fail(edit->cli, DRI_EXIT_FAILED, "out of memory");
    }
    for (size_t i = 0; i < edit->count; i++) {
        keys[i] = edit->items[i].key;
    }
    int code = dri_registry_tool_wait(tool, keys, edit->count, revision, edit->wait_ms);
    dri_free(keys);
    return code;
}

int dri_registry_edit_run(struct dri_registry_edit *edit)
{
    struct dri_registry_tool tool;
    uint64_t revision = 0;
    if (edit->has_base && edit->count > 1) {
        return dri_cli_usage(edit->cli, "--base is for one route; there are %zu", edit->count);
    }
    dri_cli_catch_signals();
    int code = edit->needs_history || edit->on_conflict == DRI_CONFLICT_MERGE
                   ? dri_registry_tool_open_history(&tool, edit->cli, edit->is_waiting)
                   : dri_registry_tool_open(&tool, edit->cli, true, edit->is_waiting);
    if (code == DRI_EXIT_OK) {
        code = find_versions(edit, &tool);
    }
    if (code == DRI_EXIT_OK) {
        code = begin(edit, &tool);
    }
    if (code == DRI_EXIT_OK && edit->is_dry_run) {
        code = show(edit, &tool);
    } else if (code == DRI_EXIT_OK) {
        code = change(edit, &tool, &revision);
        if (code == DRI_EXIT_OK && edit->is_waiting) {
            code = wait_for_replicas(edit, &tool, revision);
        }
        if (edit->plan != NULL && revision != 0 && edit->on_conflict != DRI_CONFLICT_MERGE) {
            enum dray_status status =
                dri_bus_run(tool.bus, LEVEL_MS, dri_registry_tool_on_event, is_level, &tool);
            int looked = look_back(edit, &tool);
            (void)status; /* what was read counts */
            code = code == DRI_EXIT_OK ? looked : code;
        }
    }
    drop_fates(edit);
    dri_registry_tool_close(&tool);
    return code;
}
