/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_registry_set.c - dray registry apply and rollback: the registry as files say, or as it was.
 *
 * Both know how the routes should be and write what is missing, as one change: a route that is
 * right already is not in it. Two routes are alike when their maps mean the same, so that the order
 * of keys in a file changes nothing.
 *
 * A file that does not say a route's state leaves it as it is: whoever has paused a route did so
 * for a reason that the files do not know.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "registry_change.h"
#include "registry_diff.h"
#include "registry_files.h"
#include "wire/route_diff.h"

#define STATE_BYTES 32u /* that a state needs in a route */
#define NOTE_BYTES  4000u

/* What has to be written. The keys are our own: a route that is removed takes its key along. */
struct items {
    struct dri_change_item *items; /* owned */
    struct dri_registry_key *keys; /* owned */
    uint8_t **made;                /* owned, each owned: routes of items that were made for them */
    size_t count, capacity;
};

static void items_fini(struct items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        dri_free(items->made[i]);
    }
    dri_free(items->items);
    dri_free(items->keys);
    dri_free((void *)items->made);
    *items = (struct items){.items = NULL};
}

static bool items_init(struct items *items, size_t capacity)
{
    size_t room = capacity == 0 ? 1 : capacity;
    *items = (struct items){.items = dri_zalloc_array(room, sizeof(*items->items)),
                            .keys = dri_zalloc_array(room, sizeof(*items->keys)),
                            .made = dri_zalloc_array(room, sizeof(*items->made)),
                            .capacity = capacity};
    return items->items != NULL && items->keys != NULL && items->made != NULL;
}

/* made: consumed; NULL: route stays elsewhere as long as the items do. */
static void items_add(struct items *items, struct dray_slice key, struct dray_slice route,
                      uint8_t *made)
{
    size_t i = items->count++;
    snprintf(items->keys[i].text, sizeof(items->keys[i].text), "%.*s", (int)key.len,
             (const char *)key.at);
    items->items[i] =
        (struct dri_change_item){.key = dray_slice_text(items->keys[i].text), .route = route};
    items->made[i] = made;
}

struct set {
    const struct dri_cli *cli;
    struct items items;
    struct dray_slice *wanted; /* owned; the keys of all that is to be there */
    size_t wanted_count;
    /* apply */
    struct dri_route_files files;
    bool is_prune;
    const char *ns; /* NULL: all */
    /* rollback */
    uint64_t revision;
    struct dri_cli rest;         /* the arguments behind the revision */
    struct dri_registry *target; /* owned */
    size_t fitting;
};

static void set_fini(struct set *set)
{
    items_fini(&set->items);
    dri_free(set->wanted);
    dri_route_files_fini(&set->files);
    dri_registry_destroy(set->target);
}

static int begin_items(struct set *set, size_t capacity)
{
    items_fini(&set->items);
    dri_free(set->wanted);
    set->wanted = dri_zalloc_array(capacity + 1, sizeof(*set->wanted));
    set->wanted_count = 0;
    if (set->wanted == NULL || !items_init(&set->items, capacity)) {
        return dri_cli_fail(set->cli, DRI_EXIT_FAILED, "out of memory");
    }
    return DRI_EXIT_OK;
}

static void end_items(const struct set *set, struct dri_registry_edit *edit)
{
    edit->items = set->items.items;
    edit->count = set->items.count;
    edit->wanted = set->wanted;
    edit->wanted_count = set->wanted_count;
}

/* ---- apply ---- */

static bool is_of_namespace(const char *key, const char *ns)
{
    size_t len = ns == NULL ? 0 : strlen(ns);
    return ns == NULL || (strncmp(key, ns, len) == 0 && key[len] == '/');
}

static const struct dri_file_route *find_in_files(const struct dri_route_files *files,
                                                  const char *key)
{
    size_t low = 0;
    size_t high = files->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(files->routes[middle].key.text, key);
        if (order == 0) {
            return &files->routes[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

static void prune_route(void *arg, const struct dri_route *route)
{
    struct set *set = arg;
    if (is_of_namespace(route->key, set->ns) && find_in_files(&set->files, route->key) == NULL) {
        items_add(&set->items, dray_slice_text(route->key), dray_slice_of(NULL, 0), NULL);
    }
}

/* The route of a file, in the state that the one in the registry has when the file has none. */
static int wanted_route(const struct set *set, const struct dri_file_route *from,
                        const struct dri_route *there, struct dray_slice *ret_route,
                        uint8_t **ret_made)
{
    size_t bytes_max = from->route.len + STATE_BYTES;
    size_t len = 0;
    *ret_route = from->route;
    *ret_made = NULL;
    if (there == NULL || dri_route_field(from->route, "state").at != NULL ||
        dri_route_field(dri_difference_side(there), "state").at == NULL) {
        return DRI_EXIT_OK;
    }
    uint8_t *made = dri_zalloc(bytes_max);
    if (made == NULL ||
        dri_route_with_state(from->route, there->view.state, made, bytes_max, &len) != DRAY_OK) {
        dri_free(made);
        return dri_cli_fail(set->cli, DRI_EXIT_FAILED, "%s: its state cannot be kept",
                            from->key.text);
    }
    *ret_route = dray_slice_of(made, len);
    *ret_made = made;
    return DRI_EXIT_OK;
}

static int apply_plan(void *arg, const struct dri_registry_tool *tool,
                      struct dri_registry_edit *edit)
{
    struct set *set = arg;
    int code = begin_items(set, set->files.count + dri_registry_count(tool->registry));
    for (size_t i = 0; code == DRI_EXIT_OK && i < set->files.count; i++) {
        const struct dri_file_route *from = &set->files.routes[i];
        const struct dri_route *there =
            dri_registry_find_key(tool->registry, dray_slice_text(from->key.text));
        struct dray_slice route;
        uint8_t *made = NULL;
        set->wanted[set->wanted_count++] = dray_slice_text(from->key.text);
        code = wanted_route(set, from, there, &route, &made);
        if (code == DRI_EXIT_OK && !dri_value_is_same(route, dri_difference_side(there))) {
            items_add(&set->items, dray_slice_text(from->key.text), route, made);
        } else {
            dri_free(made);
        }
    }
    if (code == DRI_EXIT_OK && set->is_prune) {
        dri_registry_each(tool->registry, prune_route, set);
    }
    end_items(set, edit);
    return code;
}

static int set_options(struct dri_registry_edit *edit)
{
    edit->is_dry_run = dri_cli_has(edit->cli, "dry-run");
    return dri_registry_edit_options(edit);
}

static int apply_check(const struct dri_cli *cli)
{
    struct dri_registry_edit edit = {.cli = cli};
    return cli->arguments_count == 1
               ? set_options(&edit)
               : dri_cli_usage(cli, "which folder or file? as in: dray registry apply routes/");
}

static int check_namespaces(const struct set *set)
{
    for (size_t i = 0; i < set->files.count; i++) {
        const struct dri_file_route *route = &set->files.routes[i];
        if (!is_of_namespace(route->key.text, set->ns)) {
            return dri_cli_fail(set->cli, DRI_EXIT_FAILED, "%s: %s is not of namespace %s",
                                route->file, route->key.text, set->ns);
        }
    }
    return DRI_EXIT_OK;
}

static int apply_run(struct dri_cli *cli)
{
    struct set set = {
        .cli = cli, .is_prune = dri_cli_has(cli, "prune"), .ns = dri_cli_value(cli, "ns")};
    struct dri_registry_edit edit = {.cli = cli, .plan = apply_plan, .arg = &set};
    int code = set_options(&edit);
    if (code == DRI_EXIT_OK) {
        code = dri_route_files_load(cli, cli->arguments[0], &set.files);
    }
    if (code == DRI_EXIT_OK) {
        code = check_namespaces(&set);
    }
    if (code == DRI_EXIT_OK) {
        code = dri_registry_edit_run(&edit);
    }
    set_fini(&set);
    return code;
}

/* ---- rollback ---- */

static void rollback_route(void *arg, const struct dri_difference *difference)
{
    struct set *set = arg;
    if (dri_registry_key_is_wanted(&set->rest, difference->key)) {
        items_add(&set->items, difference->key, difference->after, NULL);
    }
}

static void want_route(void *arg, const struct dri_route *route)
{
    struct set *set = arg;
    if (dri_registry_key_is_wanted(&set->rest, dray_slice_text(route->key))) {
        set->wanted[set->wanted_count++] = dray_slice_text(route->key);
    }
}

static void count_fitting(void *arg, const struct dri_route *route)
{
    struct set *set = arg;
    set->fitting += dri_registry_key_is_wanted(&set->rest, dray_slice_text(route->key));
}

/* The revision has to be one, and the keys have to name something. */
static int look_at_target(struct set *set, const struct dri_registry_tool *tool)
{
    if (set->revision > tool->log.end) {
        return dri_cli_fail(set->cli, DRI_EXIT_NO_MATCH,
                            "there is no revision %" PRIu64 ": the log ends at %" PRIu64,
                            set->revision, tool->log.end);
    }
    enum dray_status status = dri_history_registry(&tool->history, set->revision, &set->target);
    if (status != DRAY_OK) {
        return dri_cli_fail(set->cli, DRI_EXIT_FAILED, "%s", dray_status_text(status));
    }
    dri_registry_each(set->target, count_fitting, set);
    dri_registry_each(tool->registry, count_fitting, set);
    if (set->fitting == 0 && set->rest.arguments_count > 0) {
        return dri_cli_fail(set->cli, DRI_EXIT_NO_MATCH, "no route is \"%s\", now or then",
                            set->rest.arguments[0]);
    }
    return DRI_EXIT_OK;
}

static int rollback_plan(void *arg, const struct dri_registry_tool *tool,
                         struct dri_registry_edit *edit)
{
    struct set *set = arg;
    int code = set->target != NULL ? DRI_EXIT_OK : look_at_target(set, tool);
    if (code == DRI_EXIT_OK) {
        code =
            begin_items(set, dri_registry_count(tool->registry) + dri_registry_count(set->target));
    }
    if (code == DRI_EXIT_OK) {
        dri_registry_each(set->target, want_route, set);
        dri_differences_each(tool->registry, set->target, rollback_route, set);
    }
    end_items(set, edit);
    return code;
}

static int rollback_check(const struct dri_cli *cli)
{
    struct dri_registry_edit edit = {.cli = cli};
    uint64_t revision = 0;
    if (cli->arguments_count == 0) {
        return dri_cli_usage(cli, "to which revision? as in: dray registry rollback 17");
    }
    int code = dri_registry_revision_read(cli, cli->arguments[0], &revision);
    if (code == DRI_EXIT_OK && revision == 0) {
        code = dri_cli_usage(cli, "revisions begin at 1; rm takes routes out");
    }
    return code == DRI_EXIT_OK ? set_options(&edit) : code;
}

static int rollback_run(struct dri_cli *cli)
{
    char note[NOTE_BYTES];
    struct set set = {.cli = cli, .rest = *cli};
    struct dri_registry_edit edit = {
        .cli = cli, .plan = rollback_plan, .arg = &set, .needs_history = true};
    set.rest.arguments++;
    set.rest.arguments_count--;
    int code = dri_registry_revision_read(cli, cli->arguments[0], &set.revision);
    if (code == DRI_EXIT_OK) {
        code = set_options(&edit);
    }
    if (code == DRI_EXIT_OK) {
        snprintf(note, sizeof(note), "rollback to revision %" PRIu64 "%s%s", set.revision,
                 edit.note == NULL ? "" : ": ", edit.note == NULL ? "" : edit.note);
        edit.note = note;
        code = dri_registry_edit_run(&edit);
    }
    set_fini(&set);
    return code;
}

/* ---- the tables ---- */

#define SET_OPTIONS                                                                                \
    {.name = "dry-run", .help = "Print what would change, and change nothing."},                   \
        DRI_REGISTRY_ON_CONFLICT_OPTION, DRI_REGISTRY_FORCE_OPTION, DRI_REGISTRY_WAIT_OPTION,      \
        DRI_REGISTRY_NOTE_OPTION

static const struct dri_cli_option apply_options[] = {
    {.name = "prune", .help = "Take out the routes that stand in no file."},
    {.name = "ns",
     .argument = "N",
     .help = "Only this namespace: others are not pruned, and the files may not name them."},
    SET_OPTIONS,
    {.name = NULL},
};

static const struct dri_cli_example apply_examples[] = {
    {"What would it do?", "dray registry apply routes/ --dry-run -c worker.yaml"},
    {"The registry as the files of git say, on all replicas",
     "dray registry apply routes/ --prune --wait --note \"$(git rev-parse HEAD)\" -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_apply_command = {
    .name = "registry apply",
    .summary = "make the registry as files say, by one change",
    .usage = "DIR|FILE [--dry-run] [--prune] [--ns N] [--on-conflict RULE] [--wait[=SECONDS]] "
             "[--note TEXT]",
    .about =
        "Reads the routes of all *.yaml and *.yml below the folder, in the form of `routes:` of a "
        "configuration, and writes those that are not so in the registry, as one change: all of "
        "them, or none. With --prune routes that stand in no file are removed. A route whose "
        "file does not say its state keeps the one that it has: what is paused stays so.\n\n"
        "With --dry-run it prints what would change and writes nothing: for people, or with "
        "--json, or in a pipe, as `registry diff` does. Else it prints {\"key\",\"revision\"} for "
        "each route that it wrote. When the registry is so already it says so and exits with 0.\n\n"
        "With --wait all routes of the files are looked at, also those that were so already: each "
        "replica that cannot run one is named.\n\n"
        "Exit code 1: a conflict, both sides are shown; a file that cannot be read; a refused "
        "route; a route of the set that somebody else has changed meanwhile; or with --wait a "
        "replica that cannot run one. 75: no answer in time, or with --wait a replica that has not "
        "applied it.",
    .options = apply_options,
    .examples = apply_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = apply_check,
    .run = apply_run,
};

static const struct dri_cli_option rollback_options[] = {
    SET_OPTIONS,
    {.name = NULL},
};

static const struct dri_cli_example rollback_examples[] = {
    {"All routes as they were before revision 18",
     "dray registry rollback 17 --wait --note 'the new version leaks' -c worker.yaml"},
    {"One of them", "dray registry rollback 17 order.create@1.0.0 -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_rollback_command = {
    .name = "registry rollback",
    .summary = "make the routes as they were at a revision, by a new change",
    .usage = "REV [KEY]... [--dry-run] [--on-conflict RULE] [--wait[=SECONDS]] [--note TEXT]",
    .about =
        "Compares all routes with what they were when the log was read up to that revision, and "
        "writes what differs as one new change, whose note says so: routes that came later are "
        "removed, those that are gone come back, also in the state (paused) that they had. KEY, "
        "a pattern as of `registry ls`: only these. Nothing of the log is undone; another "
        "rollback goes back again.\n\n"
        "With --dry-run it prints what would change and writes nothing. Else it prints "
        "{\"key\",\"revision\"} for each route that it wrote. When the routes are so already it "
        "says so and exits with 0.\n\n"
        "Exit code 1: a conflict, both sides are shown; a route that somebody else has changed "
        "meanwhile; or with --wait a replica that cannot run a route. 3: there is no such revision "
        "or route. 75: no answer in time, or with --wait a "
        "replica that has not applied it.",
    .options = rollback_options,
    .examples = rollback_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = rollback_check,
    .run = rollback_run,
};
