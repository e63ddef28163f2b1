/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_dlq_parked.c - dray dlq parked: what stands still, and what waits behind it. */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "mem.h"
#include "parked_list.h"
#include "rows.h"

static uint64_t since_of(const struct dri_parked_record *record)
{
    return record->timestamp_ms > 0 ? (uint64_t)record->timestamp_ms : 0;
}

static void record_to_json(const struct dri_parked_record *record, struct dri_text *text)
{
    const struct dri_park *park = &record->park;
    struct dray_slice none = dray_slice_of(NULL, 0);
    dri_text_addf(text, "{");
    dri_field_text(text, "state", dray_slice_text(dri_parked_state(record)));
    dri_field_text(text, "key", record->key);
    dri_field_text(text, "command", record->command);
    dri_field_text(text, "id", record->id[0] == '\0' ? none : dray_slice_text(record->id));
    dri_field_number(text, "attempts", park->attempts);
    dri_field_time(text, "due", park->due_ms);
    dri_field_text(text, "source", park->source);
    dri_field_text(text, "unit", park->unit);
    dri_field_time(text, "since", since_of(record));
    dri_field_time(text, "first_failed_at", park->first_failed_ms);
    dri_field_text(text, "position", dray_slice_text(record->position));
    dri_field_number(text, "behind", record->behind);
    dri_text_addf(text, "}");
}

static void add_row(struct dri_table *table, const struct dri_parked_record *record)
{
    char cells[8][DRI_CELL_BYTES];
    dri_cell_text(dray_slice_text(dri_parked_state(record)), cells[0]);
    dri_cell_text(record->key, cells[1]);
    dri_cell_text(record->command, cells[2]);
    snprintf(cells[3], DRI_CELL_BYTES, "%" PRIu32, record->park.attempts);
    dri_cell_time(record->park.due_ms, cells[4]);
    dri_cell_time(since_of(record), cells[5]);
    snprintf(cells[6], DRI_CELL_BYTES, "%" PRIu64, record->behind);
    dri_cell_text(record->park.source, cells[7]);
    const char *row[] = {cells[0], cells[1], cells[2], cells[3],
                         cells[4], cells[5], cells[6], cells[7]};
    dri_table_row(table, row);
}

static int show(const struct dri_cli *cli, struct dri_table *table,
                const struct dri_parked_record *record)
{
    struct dri_text text;
    if (table != NULL) {
        add_row(table, record);
        return DRI_EXIT_OK;
    }
    dri_text_init(&text);
    record_to_json(record, &text);
    return dri_say_text(cli, &text);
}

static bool is_asked(const struct dri_cli *cli, const struct dri_parked_record *record)
{
    const char *key = dri_cli_value(cli, "key");
    return (record->is_stopper || dri_cli_has(cli, "all")) &&
           (key == NULL || dray_slice_equal_text(record->key, key));
}

static int show_all(const struct dri_cli *cli, const struct dri_parked_list *list)
{
    static const char *const columns[] = {"STATE", "KEY",   "COMMAND", "ATTEMPTS",
                                          "DUE",   "SINCE", "BEHIND",  "SOURCE"};
    struct dri_table *table =
        cli->is_json ? NULL : dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
    uint64_t count = 0;
    int code = !cli->is_json && table == NULL ? dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory")
                                              : DRI_EXIT_OK;
    for (size_t i = 0; i < list->count && code == DRI_EXIT_OK; i++) {
        if (is_asked(cli, list->at[i])) {
            code = show(cli, table, list->at[i]);
            count++;
        }
    }
    if (table != NULL && count > 0 && !dri_table_print(table, stdout, cli->has_colour)) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    dri_table_destroy(table);
    if (code == DRI_EXIT_OK && count == 0) {
        code = dri_cli_fail(cli, DRI_EXIT_NO_MATCH,
                            dri_cli_has(cli, "all") ? "nothing of that waits in %s"
                                                    : "no key in %s is stopped or held",
                            cli->settings.topics.park);
    }
    return code;
}

static int parked_run(struct dri_cli *cli)
{
    struct dri_parked_list list;
    dri_cli_catch_signals();
    int code = dri_parked_list_read(cli, &list);
    if (code == DRI_EXIT_OK) {
        code = show_all(cli, &list);
    }
    dri_parked_list_fini(&list);
    return code;
}

static const struct dri_cli_option options[] = {
    {.name = "all", .help = "Also what waits for a retry, or behind one."},
    {.name = "key", .argument = "KEY", .help = "Only this key."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"Which keys stand still", "dray dlq parked -c worker.yaml"},
    {"What waits of one key", "dray dlq parked -c worker.yaml --all --key customer-17"},
    {NULL, NULL},
};

const struct dri_cli_command dri_dlq_parked_command = {
    .name = "dlq parked",
    .summary = "list keys that stand still, and what waits in the park log",
    .usage = "[--all] [--key KEY]",
    .about = "Lists the keys that are stopped (exhausted: stop_key) or held (exhausted: "
             "park_sequence) until dray dlq release lets them go; with --all every command that "
             "waits in park.<group>.<commands>, in the order of its key. In a pipe, or with "
             "--json, one JSON object a line: state (stopped, held, waiting), key, command, id, "
             "attempts, due, source, unit, since, first_failed_at, position, behind. `behind` "
             "counts the commands of a stopped or held key that wait in the log.\n\nA command that "
             "came out of the log and runs now is listed until its outcome was committed.\n\nExit "
             "code 3: there is none.",
    .options = options,
    .examples = examples,
    .needs_settings = true,
    .is_listing = true,
    .check = dri_cli_no_arguments,
    .run = parked_run,
};
