/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_registry_state.c - dray registry pause and resume.
 *
 * Both write a route as it is in the log, with another state, by compare and set: whatever this
 * build does not know of the route is kept. Resume then waits for the replicas and copies the
 * letters of reason held back to the workers: before every replica has applied the change, one that
 * has not would only hold them again. Letters that were on their way when the topic was read are
 * found by reading it again, until nothing new is there.
 */
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "registry_change.h"
#include "replay.h"
#include "wire/json.h"

#define STATE_BYTES 32u  /* that another state may need more */
#define WHERE_BYTES 512u /* of the letters' expression */
#define ROUNDS_MAX  5u

struct toggle {
    const struct dri_cli *cli;
    enum dri_route_state state;
    struct dri_registry_key *keys; /* owned */
    uint8_t **routes;              /* owned, each: the new bytes */
    size_t count;
};

static int fill(void *arg, const struct dri_registry *registry, struct dri_change_item *items,
                size_t count)
{
    struct toggle *toggle = arg;
    for (size_t i = 0; i < count; i++) {
        const struct dri_route *route = dri_registry_find_key(registry, items[i].key);
        size_t len = 0;
        if (route == NULL) {
            return dri_cli_fail(toggle->cli, DRI_EXIT_NO_MATCH, "there is no route %s",
                                toggle->keys[i].text);
        }
        dri_free(toggle->routes[i]);
        toggle->routes[i] = dri_zalloc(route->bytes_len + STATE_BYTES);
        if (toggle->routes[i] == NULL) {
            return dri_cli_fail(toggle->cli, DRI_EXIT_FAILED, "out of memory");
        }
        enum dray_status status =
            dri_route_with_state(dray_slice_of(route->bytes, route->bytes_len), toggle->state,
                                 toggle->routes[i], route->bytes_len + STATE_BYTES, &len);
        if (status != DRAY_OK) {
            return dri_cli_fail(toggle->cli, DRI_EXIT_FAILED, "%s: %s", toggle->keys[i].text,
                                dray_status_text(status));
        }
        items[i].route = dray_slice_of(toggle->routes[i], len);
    }
    return DRI_EXIT_OK;
}

static void toggle_fini(struct toggle *toggle)
{
    for (size_t i = 0; toggle->routes != NULL && i < toggle->count; i++) {
        dri_free(toggle->routes[i]);
    }
    dri_free((void *)toggle->routes);
    dri_free(toggle->keys);
}

/* Publish the routes in their new state. */
static int change_state(struct toggle *toggle, bool must_wait)
{
    const struct dri_cli *cli = toggle->cli;
    struct dri_registry_edit edit = {
        .cli = cli, .count = cli->arguments_count, .fill = fill, .arg = toggle};
    int code = dri_registry_edit_options(&edit);
    edit.is_waiting = edit.is_waiting || must_wait;
    toggle->count = edit.count;
    toggle->keys = dri_zalloc_array(edit.count, sizeof(*toggle->keys));
    toggle->routes = dri_zalloc_array(edit.count, sizeof(*toggle->routes));
    edit.items = dri_zalloc_array(edit.count, sizeof(*edit.items));
    edit.keys = toggle->keys;
    bool has_room = toggle->keys != NULL && toggle->routes != NULL && edit.items != NULL;
    if (code == DRI_EXIT_OK && !has_room) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    for (size_t i = 0; has_room && code == DRI_EXIT_OK && i < edit.count; i++) {
        code = dri_registry_key_read(cli, cli->arguments[i], &toggle->keys[i]);
    }
    if (code == DRI_EXIT_OK) {
        code = dri_registry_edit_run(&edit);
    }
    dri_free(edit.items);
    return code;
}

static int pause_run(struct dri_cli *cli)
{
    struct toggle toggle = {.cli = cli, .state = DRI_ROUTE_PAUSED};
    if (cli->arguments_count == 0) {
        return dri_cli_usage(cli, "which route? as in: dray registry pause order.create@1.0.0");
    }
    if (dri_cli_has(cli, "drain")) {
        toggle.state = DRI_ROUTE_DRAINING;
    }
    int code = change_state(&toggle, false);
    toggle_fini(&toggle);
    return code;
}

/* ---- resume ---- */

/* text in quotes, for an expression. */
static void add_quoted(struct dri_text *where, const char *text, size_t len)
{
    dri_text_addf(where, "\"");
    for (size_t i = 0; i < len; i++) {
        bool is_special = text[i] == '"' || text[i] == '\\';
        dri_text_addf(where, is_special ? "\\%c" : "%c", text[i]);
    }
    dri_text_addf(where, "\"");
}

/* The held letters of one route; until a reading of the topic finds nothing new. */
static int replay_held(const struct dri_cli *cli, const char *key)
{
    const char *slash = strchr(key, '/');
    const char *at = strrchr(key, '@');
    struct dri_text where;
    uint64_t all = 0;
    int code = DRI_EXIT_OK;
    dri_text_init(&where);
    dri_text_addf(&where, "reason = held and namespace = ");
    add_quoted(&where, key, (size_t)(slash - key));
    dri_text_addf(&where, " and command = ");
    add_quoted(&where, slash + 1, (size_t)(at - slash - 1));
    if (where.status != DRAY_OK) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", dray_status_text(where.status));
    }
    for (unsigned round = 0; code == DRI_EXIT_OK && round < ROUNDS_MAX; round++) {
        uint64_t count = 0;
        code = dri_dlq_replay_where(cli, where.at, &count);
        all += count;
        if (count == 0) {
            break;
        }
    }
    dri_text_fini(&where);
    struct dri_text line;
    dri_text_init(&line);
    dri_text_addf(&line, "{\"key\":");
    dri_text_add_json_string(&line, dray_slice_text(key));
    dri_text_addf(&line, ",\"replayed\":%llu}", (unsigned long long)all);
    if (line.status == DRAY_OK) {
        printf("%s\n", line.at);
    }
    dri_text_fini(&line);
    return code;
}

static int resume_run(struct dri_cli *cli)
{
    struct toggle toggle = {.cli = cli, .state = DRI_ROUTE_ACTIVE};
    if (cli->arguments_count == 0) {
        return dri_cli_usage(cli, "which route? as in: dray registry resume order.create@1.0.0");
    }
    int code = change_state(&toggle, true);
    if (code == DRI_EXIT_TIMEOUT) {
        fprintf(stderr, "dray: held letters were not replayed; run the same command again when all "
                        "replicas are there\n");
    }
    for (size_t i = 0; code == DRI_EXIT_OK && toggle.keys != NULL && i < toggle.count; i++) {
        code = replay_held(cli, toggle.keys[i].text);
    }
    toggle_fini(&toggle);
    return code;
}

/* ---- the tables ---- */

#define STATE_OPTIONS                                                                              \
    {.name = "base",                                                                               \
     .argument = "REV",                                                                            \
     .help = "Only if this is still the revision of the route; default: the present one."},        \
        DRI_REGISTRY_ON_CONFLICT_OPTION, DRI_REGISTRY_FORCE_OPTION, DRI_REGISTRY_NOTE_OPTION

static const struct dri_cli_option pause_options[] = {
    {.name = "drain",
     .help = "Let what the lanes were handed already run; state `draining` instead of `paused`."},
    DRI_REGISTRY_WAIT_OPTION,
    STATE_OPTIONS,
    {.name = NULL},
};

static const struct dri_cli_option resume_options[] = {
    {.name = "wait",
     .argument = "[SECONDS]",
     .help = "How long to wait until every live replica has applied it; default: 30 s."},
    STATE_OPTIONS,
    {.name = NULL},
};

static const struct dri_cli_example pause_examples[] = {
    {"Stop a command while its database is moved",
     "dray registry pause order.create@1.0.0 --wait --note 'database moves' -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_pause_command = {
    .name = "registry pause",
    .summary = "let a route's commands wait",
    .usage = "KEY... [--drain] [--base REV | --force] [--on-conflict RULE] [--wait[=SECONDS]] "
             "[--note TEXT]",
    .about =
        "Sets the state of routes to paused, by one change. What runs finishes; nothing more of "
        "the route begins. Its commands wait in the workers, and with them what stands behind them "
        "in their keys, up to a quarter of worker.max_in_flight over all paused routes; what is "
        "more becomes dead letters with reason held, which resume brings back.\n\n"
        "Prints {\"key\",\"revision\"} for each. Exit code 1: somebody else was faster, both "
        "sides are shown. 3: there is no such route.",
    .options = pause_options,
    .examples = pause_examples,
    .needs_settings = true,
    .run = pause_run,
};

static const struct dri_cli_example resume_examples[] = {
    {"Go on, and bring back what was held meanwhile",
     "dray registry resume order.create@1.0.0 -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_resume_command = {
    .name = "registry resume",
    .summary = "let a paused route's commands run, and replay what was held",
    .usage = "KEY... [--base REV | --force] [--on-conflict RULE] [--wait=SECONDS] [--note TEXT]",
    .about =
        "Sets the state of routes to active, by one change; this also closes an open breaker. What "
        "waits in the workers runs, in the order of each key. When every live replica has applied "
        "the change, the dead letters with reason held of that namespace and command are copied to "
        "the replay topic as `dray dlq replay` does, each once.\n\n"
        "Prints {\"key\",\"revision\"} for each, then {\"key\",\"replayed\"}. Exit code 1: "
        "somebody else was faster, both sides are shown, or letters could not be copied. 3: there "
        "is no such route. 75: a replica has not applied it yet, and nothing was replayed; the "
        "same command again goes on.",
    .options = resume_options,
    .examples = resume_examples,
    .needs_settings = true,
    .run = resume_run,
};
