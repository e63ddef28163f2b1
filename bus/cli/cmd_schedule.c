/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_schedule.c - dray schedule cancel.
 *
 * One record on the control topic names the ids; every worker remembers them, and ends a scheduled
 * command that it meets. An id of 32 hex digits is how a binary id is shown, and may be a text as
 * well: then both are named, because no two commands share an id.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "registry_tool.h"

#define WAIT_MS    30000u
#define ID_BYTES   16u
#define TEXT_MAX   64u
#define LATE_MS    UINT64_C(86400000) /* remembered so long after it was due: it may be late */
#define FORMS_OF_1 2u

struct cancelling {
    const struct dri_cli *cli;
    struct dri_cancel_item *items; /* owned */
    uint8_t (*binaries)[ID_BYTES]; /* owned */
    size_t count;
    uint64_t until_ms;
};

static int digit(char sign)
{
    return sign >= '0' && sign <= '9'   ? sign - '0'
           : sign >= 'a' && sign <= 'f' ? sign - 'a' + 10
           : sign >= 'A' && sign <= 'F' ? sign - 'A' + 10
                                        : -1;
}

static bool read_hex(const char *text, uint8_t ret_bytes[ID_BYTES])
{
    size_t len = 2 * (size_t)ID_BYTES;
    if (strlen(text) != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (digit(text[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < ID_BYTES; i++) {
        ret_bytes[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    }
    return true;
}

static int check(const struct dri_cli *cli)
{
    const char *due = dri_cli_value(cli, "due");
    if (cli->arguments_count == 0) {
        return dri_cli_usage(cli, "which command? its id, as dray send printed it");
    }
    for (size_t i = 0; i < cli->arguments_count; i++) {
        size_t len = strlen(cli->arguments[i]);
        if (len == 0 || len > TEXT_MAX || !dri_utf8_is_valid(dray_slice_text(cli->arguments[i]))) {
            return dri_cli_usage(cli, "\"%.80s\" is no id: 1 to %u bytes", cli->arguments[i],
                                 TEXT_MAX);
        }
    }
    if (due != NULL && dri_clock_parse(due, strlen(due)) == 0) {
        return dri_cli_usage(cli, "--due: \"%s\" is no time, as in 2026-12-24T18:00:00Z", due);
    }
    return DRI_EXIT_OK;
}

static int collect(struct cancelling *cancelling)
{
    const struct dri_cli *cli = cancelling->cli;
    const char *due = dri_cli_value(cli, "due");
    size_t most = FORMS_OF_1 * cli->arguments_count;
    cancelling->items = dri_zalloc_array(most, sizeof(*cancelling->items));
    cancelling->binaries = dri_zalloc_array(cli->arguments_count, sizeof(*cancelling->binaries));
    if (cancelling->items == NULL || cancelling->binaries == NULL) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    if (due != NULL) {
        cancelling->until_ms = dri_clock_parse(due, strlen(due)) + LATE_MS;
    }
    for (size_t i = 0; i < cli->arguments_count; i++) {
        uint8_t *binary = cancelling->binaries[i];
        struct dri_cancel_item item = {.until_ms = cancelling->until_ms};
        item.id = dray_slice_text(cli->arguments[i]);
        cancelling->items[cancelling->count++] = item;
        if (read_hex(cli->arguments[i], binary)) {
            item.id = dray_slice_of(binary, ID_BYTES);
            item.is_id_binary = true;
            cancelling->items[cancelling->count++] = item;
        }
    }
    return DRI_EXIT_OK;
}

static void print_cancelled(const struct dri_cli *cli, uint64_t revision)
{
    for (size_t i = 0; i < cli->arguments_count; i++) {
        struct dri_text line;
        dri_text_init(&line);
        dri_text_addf(&line, "{\"id\":");
        dri_text_add_json_string(&line, dray_slice_text(cli->arguments[i]));
        dri_text_addf(&line, ",\"revision\":%" PRIu64 "}", revision);
        if (line.status == DRAY_OK) {
            printf("%s\n", line.at);
        }
        dri_text_fini(&line);
    }
}

static int publish(struct cancelling *cancelling, uint64_t wait_ms)
{
    const struct dri_cli *cli = cancelling->cli;
    struct dri_registry_tool tool;
    struct dri_control_outcome outcome = {.revision = 0};
    int code = dri_registry_tool_open(&tool, cli, true, wait_ms != 0);
    if (code == DRI_EXIT_OK) {
        code = dri_registry_tool_cancel(&tool, cancelling->items, cancelling->count,
                                        dri_cli_value(cli, "note"), &outcome);
    }
    if (code == DRI_EXIT_OK && outcome.verdict != DRI_CONTROL_CANCELS) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "the control topic refuses it: %s", outcome.text);
    }
    if (code == DRI_EXIT_OK) {
        print_cancelled(cli, outcome.revision);
        if (wait_ms != 0) {
            code = dri_registry_tool_wait(&tool, NULL, 0, outcome.revision, wait_ms);
        }
    }
    dri_registry_tool_close(&tool);
    return code;
}

static int run(struct dri_cli *cli)
{
    struct cancelling cancelling = {.cli = cli};
    uint64_t wait_ms = WAIT_MS;
    int code = DRI_EXIT_USAGE;
    if (dri_cli_patience(cli, "wait", &wait_ms)) {
        code = collect(&cancelling);
    }
    if (code == DRI_EXIT_OK) {
        code = publish(&cancelling, dri_cli_has(cli, "wait") ? wait_ms : 0);
    }
    dri_free(cancelling.items);
    dri_free(cancelling.binaries);
    return code;
}

static const struct dri_cli_option options[] = {
    {.name = "due",
     .argument = "TIME",
     .help = "When the commands would be due, as in 2026-12-24T18:00:00Z: a day later the workers "
             "may forget them. Default: 395 days from now."},
    {.name = "wait",
     .argument = "[SECONDS]",
     .help = "Wait until every live replica knows it; 30 s when no time is given."},
    {.name = "note", .argument = "TEXT", .help = "Why; kept with the record."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"Take a reminder back",
     "dray schedule cancel 019b6f3a0c7e7d1f8a4b2c3d4e5f6071 --wait -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_schedule_cancel_command = {
    .name = "schedule cancel",
    .summary = "keep scheduled commands from running",
    .usage = "ID... [--due TIME] [--wait[=SECONDS]] [--note TEXT]",
    .about =
        "Tells every worker, by one record on the control topic, that the scheduled commands with "
        "these ids are not to run. Each ends as a dead letter with reason rejected, and its "
        "result, "
        "when somebody wants one, is an error of kind rejected and code cancelled: at once when it "
        "waits in a worker, otherwise when it next comes out of a delay log, at the latest before "
        "it is due. A command whose time has come already, or that never had one, runs: its result "
        "says so. What is replayed runs, too.\n\n"
        "Prints {\"id\",\"revision\"} for each. Whether there is such a command is not looked at. "
        "Exit code 75: a replica does not know it yet.",
    .options = options,
    .examples = examples,
    .needs_settings = true,
    .check = check,
    .run = run,
};
