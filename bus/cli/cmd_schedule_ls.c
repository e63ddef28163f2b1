/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_schedule_ls.c - dray schedule ls, show: the schedules of the control topic, when each ticks
 * next, and what was fired last.
 *
 * The last ticks stand in a topic that is made when the first tick is fired. Where it cannot be
 * read they are left out: a listing is no reason to make a topic, or to fail.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "registry_tool.h"
#include "rows.h"

#define READ_MS     10000u
#define TOPIC_BYTES 512u

struct last {
    uint64_t revision, tick_ms;
    char worker[DRI_CELL_BYTES];
};

struct listing {
    const struct dri_cli *cli;
    struct dri_registry_tool tool;
    struct dri_schedule **list; /* held */
    size_t count;
    struct last *lasts; /* owned; as list */
    uint32_t assigned, caught_up;
    uint64_t now_ms;
    size_t shown;
};

/* ---- what was fired last ---- */

static void note_tick(struct listing *listing, struct dray_slice value)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_tick tick;
    struct dri_wire_error error;
    if (value.at == NULL || dri_tick_decode(value, &limits, &tick, &error) != DRAY_OK) {
        return;
    }
    for (size_t i = 0; i < listing->count; i++) {
        struct last *last = &listing->lasts[i];
        if (dray_slice_equal_text(tick.key, listing->list[i]->key)) {
            last->revision = tick.revision;
            last->tick_ms = tick.tick_ms;
            dri_cell_text(tick.worker, last->worker);
        }
    }
}

static void on_tick_event(void *arg, const struct dri_transport_event *event)
{
    struct listing *listing = arg;
    if (event->type == DRI_TE_ASSIGNED) {
        listing->assigned++;
    } else if (event->type == DRI_TE_CAUGHT_UP) {
        listing->caught_up++;
    } else if (event->type == DRI_TE_MESSAGE) {
        note_tick(listing, event->as.message.value);
    }
}

static bool is_at_end(void *arg)
{
    const struct listing *listing = arg;
    return listing->assigned > 0 && listing->caught_up >= listing->assigned;
}

static void read_ticks(struct listing *listing)
{
    const struct dri_settings *settings = &listing->cli->settings;
    bool is_kafka = strcmp(listing->tool.info.kind, "kafka") == 0;
    char topic[TOPIC_BYTES];
    char text[TOPIC_BYTES];
    struct dri_bus *bus = NULL;
    snprintf(topic, sizeof(topic), is_kafka ? "%s" : "%s.>", settings->topics.ticks);
    const struct dri_source source = {
        .topic = topic, .role = DRI_ROLE_LOG, .start = DRI_START_EARLIEST};
    const struct dri_bus_config config = {.sources = &source, .sources_count = 1};
    if (dri_bus_open(listing->cli, &config, &bus, text, sizeof(text)) == DRAY_OK) {
        enum dray_status status = dri_bus_run(bus, READ_MS, on_tick_event, is_at_end, listing);
        (void)status; /* what was read is shown */
    }
    dri_bus_close(bus);
}

/* ---- showing ---- */

static void add_time(struct dri_text *text, const char *key, uint64_t at_ms)
{
    char when[DRI_CLOCK_TEXT_BYTES];
    if (at_ms != 0) {
        dri_clock_format(at_ms, when);
        dri_text_addf(text, ",\"%s\":\"%s\"", key, when);
    }
}

static void print_json(const struct listing *listing, size_t at, bool is_pretty)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    const struct dri_schedule *schedule = listing->list[at];
    const struct last *last = &listing->lasts[at];
    struct dri_text text;
    dri_text_init(&text);
    dri_text_addf(&text, "{\"key\":\"%s\",\"revision\":%" PRIu64, schedule->key,
                  schedule->revision);
    add_time(&text, "next", dri_cron_next(&schedule->cron, listing->now_ms));
    add_time(&text, "last", last->tick_ms);
    if (last->tick_ms != 0) {
        dri_text_addf(&text, ",\"last_revision\":%" PRIu64, last->revision);
    }
    if (last->worker[0] != '\0') {
        dri_text_addf(&text, ",\"worker\":");
        dri_text_add_json_string(&text, dray_slice_text(last->worker));
    }
    dri_registry_tool_add_maker(&listing->tool, schedule->revision, &text);
    dri_text_addf(&text, ",\"schedule\":%s", is_pretty ? "\n" : "");
    enum dray_status status = dri_msgpack_to_json(
        dray_slice_of(schedule->bytes, schedule->bytes_len), &limits, is_pretty, &text);
    dri_text_addf(&text, "%s}", status == DRAY_OK ? "" : "null");
    if (text.status == DRAY_OK) {
        printf("%s\n", text.at);
    }
    dri_text_fini(&text);
}

static void add_row(const struct listing *listing, struct dri_table *table, size_t at)
{
    const struct dri_schedule *schedule = listing->list[at];
    uint64_t next_ms = dri_cron_next(&schedule->cron, listing->now_ms);
    uint64_t last_ms = listing->lasts[at].tick_ms;
    char revision[24];
    char next[DRI_CLOCK_TEXT_BYTES] = "";
    char when[DRI_CLOCK_TEXT_BYTES] = "";
    char last[DRI_CLOCK_TEXT_BYTES + 24] = "";
    char cron[DRI_CELL_BYTES];
    char command[DRI_CELL_BYTES];
    snprintf(revision, sizeof(revision), "%" PRIu64, schedule->revision);
    dri_cell_text(schedule->view.cron, cron);
    dri_cell_text(schedule->view.command, command);
    if (next_ms != 0) {
        dri_clock_format(next_ms, next);
    }
    if (last_ms != 0) {
        bool is_former = listing->lasts[at].revision != schedule->revision;
        dri_clock_format(last_ms, when);
        snprintf(last, sizeof(last), "%s%s", when, is_former ? " (former)" : "");
    }
    const char *cells[] = {schedule->key, cron,
                           command,       next,
                           last,          dri_missed_text(schedule->view.missed),
                           revision,      listing->lasts[at].worker};
    dri_table_row(table, cells);
}

static bool is_wanted(const struct listing *listing, const struct dri_schedule *schedule)
{
    const struct dri_cli *cli = listing->cli;
    struct dray_slice key = dray_slice_text(schedule->key);
    struct dray_slice name = dri_schedule_key_name(key);
    bool is_named = cli->arguments_count == 0;
    for (size_t i = 0; i < cli->arguments_count; i++) {
        is_named = is_named || dray_slice_equal_text(name, cli->arguments[i]) ||
                   dray_slice_equal_text(key, cli->arguments[i]);
    }
    return is_named;
}

static void show_all(struct listing *listing, bool is_pretty)
{
    static const char *const columns[] = {"KEY",       "CRON",   "COMMAND",  "NEXT",
                                          "LAST SENT", "MISSED", "REVISION", "BY"};
    const struct dri_cli *cli = listing->cli;
    struct dri_table *table = NULL;
    if (!is_pretty && !cli->is_json) {
        table = dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
    }
    for (size_t i = 0; i < listing->count; i++) {
        if (!is_wanted(listing, listing->list[i])) {
            continue;
        }
        listing->shown++;
        if (table != NULL) {
            add_row(listing, table, i);
        } else {
            print_json(listing, i, is_pretty);
        }
    }
    if (table != NULL) {
        (void)dri_table_print(table, stdout, cli->has_colour);
        dri_table_destroy(table);
    }
}

static int list_with(struct listing *listing, bool is_pretty)
{
    const struct dri_cli *cli = listing->cli;
    const char *group = dri_cli_has(cli, "all") ? NULL : cli->settings.group;
    if (dri_schedules_hold(listing->tool.schedules, group, &listing->list, &listing->count) !=
        DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    listing->lasts = dri_zalloc_array(listing->count + 1, sizeof(*listing->lasts));
    if (listing->lasts == NULL) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    if (listing->count > 0) {
        read_ticks(listing);
    }
    show_all(listing, is_pretty);
    if (listing->shown == 0 && cli->arguments_count > 0) {
        return dri_cli_fail(cli, DRI_EXIT_NO_MATCH,
                            "group %s has no schedule \"%s\"; dray schedule ls --all shows those "
                            "of all groups",
                            cli->settings.group, cli->arguments[0]);
    }
    return DRI_EXIT_OK;
}

static int list(const struct dri_cli *cli, bool is_pretty)
{
    struct listing listing = {.cli = cli, .now_ms = dri_clock_wall_ms()};
    dri_cli_catch_signals();
    int code = dri_registry_tool_open(&listing.tool, cli, true, false);
    if (code == DRI_EXIT_OK) {
        code = list_with(&listing, is_pretty);
    }
    dri_schedules_let_go(listing.list, listing.count);
    dri_free(listing.lasts);
    dri_registry_tool_close(&listing.tool);
    return code;
}

static int ls_run(struct dri_cli *cli)
{
    return list(cli, false);
}

static const struct dri_cli_option ls_options[] = {
    {.name = "all", .help = "Those of all groups, not only of ours."},
    {.name = NULL},
};

static const struct dri_cli_example ls_examples[] = {
    {"What ticks when", "dray schedule ls -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_schedule_ls_command = {
    .name = "schedule ls",
    .summary = "list the recurring schedules of the group",
    .usage = "[NAME...] [--all]",
    .about =
        "One line for each schedule: when it ticks next, which tick was sent last (commands "
        "are sent ahead, so that may be a tick to come), and by which replica. In JSON "
        "{\"key\",\"revision\",\"next\",\"last\",\"last_revision\",\"worker\",\"author\","
        "\"ts\",\"note\",\"schedule\"}; last_revision is that of the schedule whose tick it was: "
        "another one than revision (former) when it was changed since, and no tick of the new "
        "one was sent yet. What was sent last is known of the group in use.",
    .options = ls_options,
    .examples = ls_examples,
    .needs_settings = true,
    .is_listing = true,
    .run = ls_run,
};

static int show_check(const struct dri_cli *cli)
{
    return cli->arguments_count > 0
               ? DRI_EXIT_OK
               : dri_cli_usage(cli, "which schedule? as in: dray schedule show daily-report");
}

static int show_run(struct dri_cli *cli)
{
    return list(cli, !cli->is_json);
}

static const struct dri_cli_example show_examples[] = {
    {"Everything that is known of one", "dray schedule show daily-report -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_schedule_show_command = {
    .name = "schedule show",
    .summary = "show recurring schedules with all they say",
    .usage = "NAME...",
    .about = "Prints what schedule ls prints in JSON, readable: the command with its payload, who "
             "put it and why.",
    .options = ls_options,
    .examples = show_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = show_check,
    .run = show_run,
};
