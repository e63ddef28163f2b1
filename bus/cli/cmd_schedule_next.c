/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_schedule_next.c - dray schedule next: when a cron expression ticks. Asks no broker. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "cron.h"

#define TICKS     5u
#define TICKS_MAX 10000u

struct asked {
    struct dri_cron cron;
    uint64_t from_ms;
    uint64_t count;
};

static int read_asked(const struct dri_cli *cli, struct asked *ret_asked)
{
    struct asked asked = {.from_ms = dri_clock_wall_ms(), .count = TICKS};
    struct dri_cron_error error;
    const char *from = dri_cli_value(cli, "from");
    if (cli->arguments_count != 1) {
        return dri_cli_usage(cli, cli->arguments_count == 0
                                      ? "which expression? as in: dray schedule next '*/5 * * * *'"
                                      : "one expression at a time, quoted: '*/5 * * * *'");
    }
    const char *text = cli->arguments[0];
    if (dri_cron_parse(text, strlen(text), &asked.cron, &error) != DRAY_OK) {
        return dri_cli_usage(cli, "byte %zu of \"%.80s\": %s", error.at + 1, text, error.text);
    }
    if (from != NULL) {
        asked.from_ms = dri_clock_parse(from, strlen(from));
        if (asked.from_ms == 0) {
            return dri_cli_usage(cli, "--from: \"%s\" is no time, as in 2026-12-24T18:00:00Z",
                                 from);
        }
    }
    if (!dri_cli_uint(cli, "count", 1, TICKS_MAX, &asked.count)) {
        return DRI_EXIT_USAGE;
    }
    *ret_asked = asked;
    return DRI_EXIT_OK;
}

static int check(const struct dri_cli *cli)
{
    struct asked asked = {.count = 0};
    return read_asked(cli, &asked);
}

static int run(struct dri_cli *cli)
{
    struct asked asked = {.count = 0};
    int code = read_asked(cli, &asked);
    if (code != DRI_EXIT_OK) {
        return code;
    }
    uint64_t tick = dri_cron_next(&asked.cron, asked.from_ms);
    if (tick == 0) {
        return dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "no tick from then to the year 10000");
    }
    for (uint64_t i = 0; i < asked.count && tick != 0; i++) {
        char text[DRI_CLOCK_TEXT_BYTES];
        dri_clock_format(tick, text);
        printf(cli->is_json ? "{\"at\":\"%s\"}\n" : "%s\n", text);
        tick = dri_cron_next(&asked.cron, tick);
    }
    return DRI_EXIT_OK;
}

static const struct dri_cli_option options[] = {
    {.name = "count", .argument = "N", .help = "How many ticks; default 5."},
    {.name = "from",
     .argument = "TIME",
     .help = "Those after this time, as in 2026-12-24T18:00:00Z; default: now."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"Working days at six", "dray schedule next '0 6 * * mon-fri'"},
    {"Every ten seconds", "dray schedule next '*/10 * * * * *'"},
    {"The next leap days", "dray schedule next '0 0 29 feb *' --count 3"},
    {NULL, NULL},
};

const struct dri_cli_command dri_schedule_next_command = {
    .name = "schedule next",
    .summary = "show when a cron expression ticks",
    .usage = "EXPRESSION [--count N] [--from TIME]",
    .about =
        "Prints the next ticks of a cron expression as dray send --cron reads it; asks no broker. "
        "All times are UTC.\n\n"
        "Five fields: minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or jan-dec) "
        "and day of the week (0-7 or sun-sat; 0 and 7 are Sunday); with six, seconds (0-59) come "
        "first. A field is *, a number, a range 1-5, either range or * with a step */10, or a list "
        "of these with commas. When neither the day of the month nor the day of the week begins "
        "with *, a day that fits one of them is enough. @hourly, @daily (@midnight), @weekly, "
        "@monthly and @yearly (@annually) stand for what they say.\n\n"
        "Refused, because programs differ about it: a step on a number (5/15), a range that goes "
        "round (fri-mon), a step wider than its field (*/90).",
    .options = options,
    .examples = examples,
    .is_listing = true,
    .check = check,
    .run = run,
};
