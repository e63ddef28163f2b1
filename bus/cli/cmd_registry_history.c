/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_registry_history.c - dray registry history and diff.
 *
 * The history is the log itself: every record, with what the rule says about it, the refused ones
 * too. What a change did to a route is seen by following the registry from record to record.
 */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "clock.h"
#include "registry_diff.h"
#include "registry_tool.h"

#define CELL_BYTES 256u
#define KEYS_SHOWN 3u
#define KIND_SHOWN 32u
#define COLUMNS    6u

/* ---- history ---- */

struct listing {
    const struct dri_registry_tool *tool;
    const struct dri_cli *cli;
    struct dri_registry *registry;         /* owned; as it was before the record at hand */
    struct dri_schedules *schedules;       /* owned; likewise */
    struct dri_schedule **schedules_there; /* held: of schedules, all groups' */
    size_t schedules_count;
    struct dri_table *table; /* NULL: JSON lines, or with the differences */
    uint64_t revision;       /* the only one that is shown; 0: all */
    uint64_t limit;
    bool has_diff;
    size_t shown;
};

/* An item of a record, of whatever kind. */
struct entry {
    struct dray_slice key;
    uint64_t base;
    struct dray_slice after; /* absent: a removal */
};

static bool is_of_routes(const struct dri_history_record *record)
{
    return record->has_change && dray_slice_equal_text(record->change.kind, "routes");
}

static bool is_of_schedules(const struct dri_history_record *record)
{
    return record->has_change && dri_change_is_schedule(&record->change);
}

static bool next_entry(const struct dri_history_record *record, size_t *at, struct entry *ret_entry)
{
    struct dri_change_item route;
    struct dri_schedule_item schedule;
    if (is_of_routes(record) && dri_change_next(&record->change, at, &route)) {
        *ret_entry = (struct entry){route.key, route.base, route.route};
        return true;
    }
    if (is_of_schedules(record) && dri_schedule_next(&record->change, at, &schedule)) {
        *ret_entry = (struct entry){schedule.key, schedule.base, schedule.schedule};
        return true;
    }
    return false;
}

/* A schedule by its key, and by its name when it is of our group; a route as registry ls does. */
static bool is_entry_wanted(const struct listing *listing, const struct dri_history_record *record,
                            struct dray_slice key)
{
    const struct dri_cli *cli = listing->cli;
    char text[DRI_SCHEDULE_KEY_BYTES_MAX + 1];
    if (!is_of_schedules(record)) {
        return dri_registry_key_is_wanted(cli, key);
    }
    bool is_ours = dri_schedule_key_is_of(key, cli->settings.group);
    snprintf(text, sizeof(text), "%.*s", (int)key.len, (const char *)key.at);
    for (size_t i = 0; i < cli->arguments_count; i++) {
        if (fnmatch(cli->arguments[i], text, 0) == 0 ||
            (is_ours && fnmatch(cli->arguments[i], strchr(text, '/') + 1, 0) == 0)) {
            return true;
        }
    }
    return cli->arguments_count == 0;
}

/* Whether the command asks for it. */
static bool is_wanted(const struct listing *listing, const struct dri_history_record *record)
{
    struct entry entry;
    size_t at = 0;
    if (listing->revision != 0 && record->revision != listing->revision) {
        return false;
    }
    while (next_entry(record, &at, &entry)) {
        if (is_entry_wanted(listing, record, entry.key)) {
            return true;
        }
    }
    return listing->cli->arguments_count == 0;
}

static void find_before(const struct listing *listing, const struct dri_history_record *record,
                        struct dri_difference *difference)
{
    if (is_of_routes(record)) {
        const struct dri_route *route = dri_registry_find_key(listing->registry, difference->key);
        difference->before = dri_difference_side(route);
        difference->revision = route == NULL ? 0 : route->revision;
        return;
    }
    difference->noun = "schedule";
    for (size_t i = 0; i < listing->schedules_count; i++) {
        const struct dri_schedule *schedule = listing->schedules_there[i];
        if (dray_slice_equal_text(difference->key, schedule->key)) {
            difference->before = dray_slice_of(schedule->bytes, schedule->bytes_len);
            difference->revision = schedule->revision;
        }
    }
}

/* The next item of a record that is asked for, as a difference from what was there. */
static bool next_item(const struct listing *listing, const struct dri_history_record *record,
                      size_t *at, struct entry *ret_entry, struct dri_difference *ret_difference)
{
    while (next_entry(record, at, ret_entry)) {
        if (is_entry_wanted(listing, record, ret_entry->key)) {
            *ret_difference =
                (struct dri_difference){.key = ret_entry->key, .after = ret_entry->after};
            find_before(listing, record, ret_difference);
            return true;
        }
    }
    return false;
}

static void add_text(struct dri_text *text, const char *name, struct dray_slice value)
{
    if (value.at != NULL && value.len > 0) {
        dri_text_addf(text, ",\"%s\":", name);
        dri_text_add_json_string(text, value);
    }
}

static void time_of(const struct dri_history_record *record, char ret_text[DRI_CLOCK_TEXT_BYTES])
{
    ret_text[0] = '\0';
    if (record->has_change && record->change.ts_ms != 0) {
        dri_clock_format(record->change.ts_ms, ret_text);
    }
}

static void add_items_json(const struct listing *listing, const struct dri_history_record *record,
                           struct dri_text *text)
{
    struct entry item;
    struct dri_difference difference;
    size_t at = 0;
    dri_text_addf(text, ",\"items\":[");
    for (size_t i = 0; next_item(listing, record, &at, &item, &difference); i++) {
        dri_text_addf(text, "%s{", i == 0 ? "" : ",");
        if (listing->has_diff) {
            dri_difference_add_json(&difference, text);
        } else {
            dri_text_addf(text, "\"key\":");
            dri_text_add_json_string(text, item.key);
            dri_text_addf(text, ",\"change\":\"%s\"", dri_difference_word(&difference));
        }
        dri_text_addf(text, ",\"base\":%" PRIu64 "}", item.base);
    }
    dri_text_addf(text, "]");
}

static void print_json(const struct listing *listing, const struct dri_history_record *record)
{
    char when[DRI_CLOCK_TEXT_BYTES];
    struct dri_text text;
    time_of(record, when);
    dri_text_init(&text);
    dri_text_addf(&text, "{\"revision\":%" PRIu64 ",\"verdict\":\"%s\"", record->revision,
                  dri_history_verdict(record));
    if (record->has_change) {
        add_text(&text, "kind", record->change.kind);
        add_text(&text, "ts", dray_slice_text(when));
        add_text(&text, "author", dri_history_author(record->change.author));
        add_text(&text, "note", record->change.note);
    }
    if (record->verdict == DRI_CONTROL_CONFLICT) {
        dri_text_addf(&text, ",\"conflict\":{\"key\":");
        dri_text_add_json_string(&text, dray_slice_text(record->conflict.key));
        dri_text_addf(&text, ",\"base\":%" PRIu64 ",\"present\":%" PRIu64 "}",
                      record->conflict.base, record->conflict.present);
    }
    add_text(&text, "reason", dray_slice_text(record->text));
    if (is_of_routes(record) || is_of_schedules(record)) {
        add_items_json(listing, record, &text);
    }
    dri_text_addf(&text, "}");
    if (text.status == DRAY_OK) {
        printf("%s\n", text.at);
    }
    dri_text_fini(&text);
}

/* "~default/order.create@1.0.0 +..." or "17 routes"; "(schedule) +group/name", "(cancel)". */
static void changes_cell(const struct listing *listing, const struct dri_history_record *record,
                         char ret_cell[CELL_BYTES])
{
    struct entry item;
    struct dri_difference difference;
    size_t at = 0;
    size_t count = 0;
    size_t len = 0;
    if (record->has_change && !is_of_routes(record)) {
        len = (size_t)snprintf(ret_cell, CELL_BYTES, "(%.*s)",
                               record->change.kind.len < KIND_SHOWN ? (int)record->change.kind.len
                                                                    : (int)KIND_SHOWN,
                               (const char *)record->change.kind.at);
    }
    while (next_item(listing, record, &at, &item, &difference)) {
        char sign = difference.before.at == NULL ? '+' : difference.after.at == NULL ? '-' : '~';
        if (count++ < KEYS_SHOWN && len < CELL_BYTES - 1) {
            int added = snprintf(ret_cell + len, CELL_BYTES - len, "%s%c%.*s", len == 0 ? "" : " ",
                                 sign, (int)item.key.len, (const char *)item.key.at);
            len = added < 0 ? len : len + (size_t)added;
        }
    }
    if (count > KEYS_SHOWN) {
        snprintf(ret_cell, CELL_BYTES, "%zu %s", count,
                 is_of_routes(record) ? "routes" : "schedules");
    }
}

static void cells_of(const struct listing *listing, const struct dri_history_record *record,
                     char ret_cells[COLUMNS][CELL_BYTES])
{
    char when[DRI_CLOCK_TEXT_BYTES];
    struct dray_slice author = dray_slice_of(NULL, 0);
    struct dray_slice note = dray_slice_text(record->text);
    time_of(record, when);
    if (record->has_change) {
        author = dri_history_author(record->change.author);
        note = note.at == NULL ? record->change.note : note;
    }
    snprintf(ret_cells[0], CELL_BYTES, "%" PRIu64, record->revision);
    snprintf(ret_cells[1], CELL_BYTES, "%s", when);
    snprintf(ret_cells[2], CELL_BYTES, "%s", dri_history_verdict(record));
    snprintf(ret_cells[3], CELL_BYTES, "%.*s", author.at == NULL ? 0 : (int)author.len,
             author.at == NULL ? "" : (const char *)author.at);
    changes_cell(listing, record, ret_cells[4]);
    snprintf(ret_cells[5], CELL_BYTES, "%.*s",
             note.at == NULL             ? 0
             : note.len > CELL_BYTES - 1 ? (int)CELL_BYTES - 1
                                         : (int)note.len,
             note.at == NULL ? "" : (const char *)note.at);
}

static void print_for_people(const struct listing *listing, const struct dri_history_record *record)
{
    char cells[COLUMNS][CELL_BYTES];
    struct entry item;
    struct dri_difference difference;
    struct dri_text text;
    size_t at = 0;
    cells_of(listing, record, cells);
    if (!listing->has_diff) {
        const char *row[] = {cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]};
        dri_table_row(listing->table, row);
        return;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        dri_cli_clean(cells[i]);
    }
    dri_text_init(&text);
    dri_text_addf(&text, "revision %s  %s  %s  %s%s%s\n", cells[0], cells[1], cells[2], cells[3],
                  cells[5][0] == '\0' ? "" : "  ", cells[5]);
    while (next_item(listing, record, &at, &item, &difference)) {
        dri_difference_add_lines(&difference, "  ", &text);
    }
    if (text.status == DRAY_OK) {
        printf("%s", text.at);
    }
    dri_text_fini(&text);
}

/* The same for schedules: the same rule on the same records. */
static enum dray_status follow_schedules(struct listing *listing,
                                         const struct dri_history_record *record)
{
    struct dri_schedules_fault fault;
    if (record->verdict != DRI_CONTROL_SCHEDULES) {
        return DRAY_OK;
    }
    enum dray_status status =
        dri_schedules_apply(listing->schedules, record->revision, &record->change, 0, &fault);
    DRI_ASSERT(status == DRAY_OK || status == DRAY_ENOMEM);
    if (status == DRAY_OK) {
        dri_schedules_let_go(listing->schedules_there, listing->schedules_count);
        listing->schedules_there = NULL;
        listing->schedules_count = 0;
        status = dri_schedules_hold(listing->schedules, NULL, &listing->schedules_there,
                                    &listing->schedules_count);
    }
    return status;
}

static int walk(struct listing *listing)
{
    const struct dri_history *history = &listing->tool->history;
    size_t wanted = 0;
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; i < history->count; i++) {
        wanted += is_wanted(listing, &history->records[i]);
    }
    size_t skipped = listing->limit == 0 || listing->limit >= wanted ? 0 : wanted - listing->limit;
    for (size_t i = 0, seen = 0; status == DRAY_OK && i < history->count; i++) {
        const struct dri_history_record *record = &history->records[i];
        if (is_wanted(listing, record) && seen++ >= skipped) {
            listing->shown++;
            if (listing->cli->is_json) {
                print_json(listing, record);
            } else {
                print_for_people(listing, record);
            }
        }
        status = dri_history_apply(record, listing->registry);
        if (status == DRAY_OK) {
            status = follow_schedules(listing, record);
        }
    }
    return status == DRAY_OK
               ? DRI_EXIT_OK
               : dri_cli_fail(listing->cli, DRI_EXIT_FAILED, "%s", dray_status_text(status));
}

static int list(struct listing *listing)
{
    static const char *const columns[COLUMNS] = {"REVISION", "TIME",    "VERDICT",
                                                 "AUTHOR",   "CHANGES", "NOTE"};
    const struct dri_registry_config config = {.readers_max = 1, .shards = 1};
    const struct dri_cli *cli = listing->cli;
    if (dri_registry_create(&config, &listing->registry) != DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    if (dri_schedules_create(cli->settings.group, NULL, &listing->schedules) != DRAY_OK) {
        dri_registry_destroy(listing->registry);
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    if (!cli->is_json && !listing->has_diff) {
        listing->table = dri_table_create(columns, COLUMNS);
    }
    int code = walk(listing);
    if (listing->table != NULL) {
        (void)dri_table_print(listing->table, stdout, cli->has_colour);
        dri_table_destroy(listing->table);
    }
    dri_schedules_let_go(listing->schedules_there, listing->schedules_count);
    dri_schedules_destroy(listing->schedules);
    dri_registry_destroy(listing->registry);
    if (code == DRI_EXIT_OK && listing->shown == 0) {
        code = dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "no change%s%s",
                            cli->arguments_count > 0 ? " names " : " is there",
                            cli->arguments_count > 0 ? cli->arguments[0] : "");
    }
    return code;
}

static int history_options(const struct dri_cli *cli, struct listing *listing)
{
    listing->has_diff = dri_cli_has(cli, "diff");
    return dri_cli_uint(cli, "rev", 1, UINT64_MAX, &listing->revision) &&
                   dri_cli_uint(cli, "limit", 1, UINT64_MAX, &listing->limit)
               ? DRI_EXIT_OK
               : DRI_EXIT_USAGE;
}

static int history_check(const struct dri_cli *cli)
{
    struct listing listing = {.cli = cli};
    return history_options(cli, &listing);
}

static int history_run(struct dri_cli *cli)
{
    struct dri_registry_tool tool;
    struct listing listing = {.cli = cli, .tool = &tool};
    dri_cli_catch_signals();
    int code = dri_registry_tool_open_history(&tool, cli, false);
    if (code == DRI_EXIT_OK) {
        code = history_options(cli, &listing);
    }
    if (code == DRI_EXIT_OK) {
        code = list(&listing);
    }
    dri_registry_tool_close(&tool);
    return code;
}

/* ---- diff ---- */

struct printing {
    const struct dri_cli *cli;
    size_t count;
};

static void print_difference(void *arg, const struct dri_difference *difference)
{
    struct printing *printing = arg;
    printing->count++;
    dri_difference_print(difference, printing->cli->is_json);
}

static int diff_options(const struct dri_cli *cli, uint64_t ret_revisions[2])
{
    if (cli->arguments_count < 1 || cli->arguments_count > 2) {
        return dri_cli_usage(cli, "which revisions? as in: dray registry diff 17, or diff 17 21");
    }
    for (size_t i = 0; i < cli->arguments_count; i++) {
        int code = dri_registry_revision_read(cli, cli->arguments[i], &ret_revisions[i]);
        if (code != DRI_EXIT_OK) {
            return code;
        }
    }
    return DRI_EXIT_OK;
}

static int diff_check(const struct dri_cli *cli)
{
    uint64_t revisions[2] = {0, UINT64_MAX};
    return diff_options(cli, revisions);
}

static int diff(const struct dri_registry_tool *tool, const uint64_t revisions[2])
{
    struct dri_registry *sides[2] = {NULL, NULL};
    struct printing printing = {.cli = tool->cli};
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; i < 2; i++) {
        if (revisions[i] != UINT64_MAX && revisions[i] > tool->log.end) {
            return dri_cli_fail(tool->cli, DRI_EXIT_NO_MATCH,
                                "there is no revision %" PRIu64 ": the log ends at %" PRIu64,
                                revisions[i], tool->log.end);
        }
    }
    for (size_t i = 0; status == DRAY_OK && i < 2; i++) {
        status = dri_history_registry(&tool->history, revisions[i], &sides[i]);
    }
    if (status == DRAY_OK) {
        dri_differences_each(sides[0], sides[1], print_difference, &printing);
    }
    dri_registry_destroy(sides[0]);
    dri_registry_destroy(sides[1]);
    if (status != DRAY_OK) {
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED, "%s", dray_status_text(status));
    }
    if (printing.count == 0) {
        fprintf(stderr, "dray: no route is different\n");
    }
    return DRI_EXIT_OK;
}

static int diff_run(struct dri_cli *cli)
{
    struct dri_registry_tool tool;
    uint64_t revisions[2] = {0, UINT64_MAX};
    dri_cli_catch_signals();
    int code = diff_options(cli, revisions);
    if (code != DRI_EXIT_OK) {
        return code;
    }
    code = dri_registry_tool_open_history(&tool, cli, false);
    if (code == DRI_EXIT_OK) {
        code = diff(&tool, revisions);
    }
    dri_registry_tool_close(&tool);
    return code;
}

/* ---- the tables ---- */

static const struct dri_cli_option history_options_table[] = {
    {.name = "diff", .help = "What each change did to its routes, key by key."},
    {.name = "rev", .argument = "REV", .help = "Only this revision."},
    {.name = "limit", .argument = "N", .help = "Only the last N changes."},
    {.name = NULL},
};

static const struct dri_cli_example history_examples[] = {
    {"Who changed what, the last ten changes", "dray registry history --limit 10 -c worker.yaml"},
    {"What happened to one route", "dray registry history order.create --diff -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_history_command = {
    .name = "registry history",
    .summary = "show every change, with author, time and note",
    .usage = "[KEY]... [--diff] [--rev REV] [--limit N]",
    .about =
        "Prints the records of the control topic in their order, each with what the rule says "
        "about it: accepted, conflict (somebody else was faster, and it was skipped), refused, or "
        "ignored (of a kind that this build does not know). KEY is a pattern as of `registry ls`; "
        "then only changes that name such a route, also one that is not there any more, or such a "
        "schedule (group/name, of our group the name alone).\n\n"
        "With --json, or in a pipe, one line for each: {\"revision\",\"verdict\",\"kind\",\"ts\","
        "\"author\",\"note\",\"conflict\":{\"key\",\"base\",\"present\"},\"reason\",\"items\":"
        "[{\"key\",\"change\",\"base\"}]}; \"change\" is add, update, remove or same. With --diff "
        "an addition has its \"route\" or \"schedule\", a removal what it \"was\", an update "
        "\"diff\":[{\"path\","
        "\"from\",\"to\"}].\n\n"
        "Exit code 3: no change fits.",
    .options = history_options_table,
    .examples = history_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = history_check,
    .run = history_run,
};

static const struct dri_cli_example diff_examples[] = {
    {"What has changed since revision 17", "dray registry diff 17 -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_diff_command = {
    .name = "registry diff",
    .summary = "show how the routes differ between two revisions",
    .usage = "REV [REV]",
    .about = "Compares all routes as they were at the first revision with those at the second one, "
             "or with the present ones. Revision 0 is the empty registry.\n\n"
             "With --json, or in a pipe, one line for each route that differs: {\"key\","
             "\"change\":\"add\",\"route\"}, {\"key\",\"change\":\"remove\",\"was\"} or {\"key\","
             "\"change\":\"update\",\"diff\":[{\"path\",\"from\",\"to\"}]}.\n\n"
             "Exit code 3: there is no such revision.",
    .examples = diff_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = diff_check,
    .run = diff_run,
};
