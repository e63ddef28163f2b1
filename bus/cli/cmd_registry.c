/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_registry.c - dray registry ls, show and rm.
 *
 * What is shown is what the log leads to by the workers' rule, never what one replica says: a
 * listing is right while no worker runs. Whether the replicas are as far is what status shows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "registry_change.h"
#include "registry_tool.h"

#define CELL_BYTES 256u

/* ---- ls and show ---- */

struct listing {
    const struct dri_registry_tool *tool;
    struct dri_table *table; /* NULL: JSON lines */
    bool is_pretty, is_show;
    size_t shown;
};

static void cell_of(struct dray_slice text, char ret_cell[CELL_BYTES])
{
    snprintf(ret_cell, CELL_BYTES, "%.*s", text.at == NULL ? 0 : (int)text.len,
             text.at == NULL ? "" : (const char *)text.at);
}

static void add_row(const struct listing *listing, const struct dri_route *route)
{
    static const char *const states[] = {"active", "paused", "draining"};
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    const struct dri_registry_maker *maker =
        dri_registry_tool_maker(listing->tool, route->revision);
    char revision[24];
    char weight[16] = "";
    char module[CELL_BYTES];
    char handler[CELL_BYTES];
    struct dri_text tags;
    snprintf(revision, sizeof(revision), "%" PRIu64, route->revision);
    if (route->view.weight != 0) {
        snprintf(weight, sizeof(weight), "%" PRIu32 " %%", route->view.weight);
    }
    cell_of(route->view.module, module);
    cell_of(route->view.handler.at != NULL ? route->view.handler : route->view.name, handler);
    dri_text_init(&tags);
    if (route->view.tags.at != NULL &&
        dri_msgpack_to_json(route->view.tags, &limits, false, &tags) != DRAY_OK) {
        dri_text_fini(&tags);
    }
    const char *cells[] = {route->key,
                           revision,
                           module,
                           handler,
                           states[route->view.state],
                           weight,
                           tags.at == NULL ? "" : tags.at,
                           maker == NULL || maker->author == NULL ? "" : maker->author};
    dri_table_row(listing->table, cells);
    dri_text_fini(&tags);
}

static void show_route(void *arg, const struct dri_route *route)
{
    struct listing *listing = arg;
    if (!dri_registry_key_is_wanted(listing->tool->cli, dray_slice_text(route->key))) {
        return;
    }
    listing->shown++;
    if (listing->table != NULL) {
        add_row(listing, route);
        return;
    }
    struct dri_text text;
    dri_text_init(&text);
    dri_registry_tool_add_route(listing->tool, route, listing->is_pretty, &text);
    if (text.status == DRAY_OK) {
        printf("%s\n", text.at);
    }
    dri_text_fini(&text);
}

static int list(struct dri_cli *cli, bool is_show)
{
    static const char *const columns[] = {"KEY",   "REVISION", "MODULE", "HANDLER",
                                          "STATE", "WEIGHT",   "TAGS",   "AUTHOR"};
    struct dri_registry_tool tool;
    dri_cli_catch_signals();
    int code = dri_registry_tool_open(&tool, cli, true, false);
    if (code == DRI_EXIT_OK) {
        struct listing listing = {.tool = &tool, .is_show = is_show};
        listing.is_pretty = is_show && !cli->is_json;
        if (!is_show && !cli->is_json) {
            listing.table = dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
        }
        dri_registry_each(tool.registry, show_route, &listing);
        if (listing.table != NULL) {
            (void)dri_table_print(listing.table, stdout, cli->has_colour);
            dri_table_destroy(listing.table);
        }
        if (listing.shown == 0 && cli->arguments_count > 0) {
            code = dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "no route is \"%s\"", cli->arguments[0]);
        }
    }
    dri_registry_tool_close(&tool);
    return code;
}

static int ls_run(struct dri_cli *cli)
{
    return list(cli, false);
}

static int show_check(const struct dri_cli *cli)
{
    return cli->arguments_count > 0
               ? DRI_EXIT_OK
               : dri_cli_usage(cli, "which route? as in: dray registry show order.create@1.0.0");
}

static int show_run(struct dri_cli *cli)
{
    return list(cli, true);
}

/* ---- rm ---- */

static int rm_check(const struct dri_cli *cli)
{
    struct dri_registry_edit edit = {.cli = cli};
    struct dri_registry_key key;
    if (cli->arguments_count == 0) {
        return dri_cli_usage(cli, "which route? as in: dray registry rm order.create@1.0.0");
    }
    int code = dri_registry_edit_options(&edit);
    for (size_t i = 0; code == DRI_EXIT_OK && i < cli->arguments_count; i++) {
        code = dri_registry_key_read(cli, cli->arguments[i], &key);
    }
    if (code == DRI_EXIT_OK && edit.has_base && cli->arguments_count > 1) {
        code = dri_cli_usage(cli, "--base is for one route; there are %zu", cli->arguments_count);
    }
    return code;
}

static int rm_run(struct dri_cli *cli)
{
    struct dri_registry_edit edit = {.cli = cli, .count = cli->arguments_count};
    int code = dri_registry_edit_options(&edit);
    edit.items = dri_zalloc_array(edit.count, sizeof(*edit.items));
    edit.keys = dri_zalloc_array(edit.count, sizeof(*edit.keys));
    bool has_room = edit.items != NULL && edit.keys != NULL;
    if (code == DRI_EXIT_OK && !has_room) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    for (size_t i = 0; has_room && code == DRI_EXIT_OK && i < edit.count; i++) {
        code = dri_registry_key_read(cli, cli->arguments[i], &edit.keys[i]);
    }
    if (code == DRI_EXIT_OK) {
        code = dri_registry_edit_run(&edit);
    }
    dri_free(edit.keys);
    dri_free(edit.items);
    return code;
}

/* ---- the table ---- */

static const struct dri_cli_example ls_examples[] = {
    {"All routes", "dray registry ls -c worker.yaml"},
    {"Those of one tenant", "dray registry ls 'acme/*' -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_ls_command = {
    .name = "registry ls",
    .summary = "list the routes of the registry",
    .usage = "[PATTERN]...",
    .about =
        "Reads the control topic from its start and prints the routes that it leads to, by the "
        "rule by which every worker reads it. A pattern (`order.*`, `acme/*`) is matched "
        "against a route's key, namespace/name@version; in your own namespace the name "
        "suffices.\n\n"
        "With --json, or in a pipe, one line for each route: {\"key\",\"revision\",\"fid\","
        "\"author\",\"ts\",\"note\",\"route\"}.\n\n"
        "Exit code 3: no route fits the patterns.",
    .examples = ls_examples,
    .needs_settings = true,
    .is_listing = true,
    .run = ls_run,
};

static const struct dri_cli_example show_examples[] = {
    {"Every version of a command", "dray registry show order.create -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_show_command = {
    .name = "registry show",
    .summary = "show routes whole, with who made them",
    .usage = "KEY...",
    .about = "Prints the routes that fit, each with its revision, who put it and when, and the "
             "whole route as it stands in the log. KEY is namespace/name@version, or name@version "
             "or name in your own namespace; patterns work too.\n\nExit code 3: there is none.",
    .examples = show_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = show_check,
    .run = show_run,
};

static const struct dri_cli_example rm_examples[] = {
    {"Take a version out, and wait until all replicas have",
     "dray registry rm order.create@1.0.0 -c worker.yaml --wait"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_rm_command = {
    .name = "registry rm",
    .summary = "take routes out of the registry",
    .usage = "KEY... [--base REV | --force] [--on-conflict RULE] [--wait[=SECONDS]] [--note TEXT]",
    .about =
        "Removes routes by one change: all of them, or none. Commands that are running finish; "
        "later ones become dead letters (unknown_command or version_mismatch). KEY is "
        "[namespace/]name@version; the version may be left out where there is only one.\n\n"
        "Prints {\"key\",\"revision\"} for each. Exit code 1: somebody else was faster, both "
        "sides are shown. 3: there is no such route.",
    .options = dri_registry_rm_options,
    .examples = rm_examples,
    .needs_settings = true,
    .check = rm_check,
    .run = rm_run,
};
