/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_schedule_put.c - dray schedule put, rm: one change of the control topic, by compare and set.
 *
 * Before a schedule travels, the command of its next tick is built from it, as `dray send` would,
 * and decoded with the limits of a worker: what every worker would refuse is refused here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "registry_change.h"
#include "registry_tool.h"
#include "send_message.h"

#define WAIT_MS    30000u
#define TEXT_BYTES 1024u
#define TRIES_MAX  5u

struct edit {
    const struct dri_cli *cli;
    char (*keys)[DRI_SCHEDULE_KEY_BYTES_MAX + 1]; /* owned; of items */
    struct dri_schedule_item *items;              /* owned */
    size_t count;
    uint64_t wait_ms;
    bool is_waiting;
};

static int name_check(const struct dri_cli *cli, const char *name)
{
    if (!dri_schedule_name_is_valid(dray_slice_text(name))) {
        return dri_cli_usage(cli,
                             "\"%.80s\" is no name of a schedule: up to 64 letters, digits, - and "
                             "_",
                             name);
    }
    return DRI_EXIT_OK;
}

static int edit_init(struct edit *edit, const struct dri_cli *cli, size_t count)
{
    *edit = (struct edit){.cli = cli, .count = count, .wait_ms = WAIT_MS};
    edit->is_waiting = dri_cli_has(cli, "wait");
    edit->keys = dri_zalloc_array(count, sizeof(*edit->keys));
    edit->items = dri_zalloc_array(count, sizeof(*edit->items));
    if (edit->keys == NULL || edit->items == NULL) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(edit->keys[i], sizeof(edit->keys[i]), "%.64s/%.64s", cli->settings.group,
                 cli->arguments[i]);
        edit->items[i].key = dray_slice_text(edit->keys[i]);
    }
    return dri_cli_patience(cli, "wait", &edit->wait_ms) ? DRI_EXIT_OK : DRI_EXIT_USAGE;
}

static void edit_fini(struct edit *edit)
{
    dri_free(edit->keys);
    dri_free(edit->items);
}

/* ---- compare and set ---- */

static uint64_t present_revision(const struct dri_registry_tool *tool, struct dray_slice key)
{
    struct dri_schedule **list = NULL;
    size_t count = 0;
    uint64_t revision = 0;
    if (dri_schedules_hold(tool->schedules, NULL, &list, &count) != DRAY_OK) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        revision = dray_slice_equal_text(key, list[i]->key) ? list[i]->revision : revision;
    }
    dri_schedules_let_go(list, count);
    return revision;
}

static int fill_bases(const struct edit *edit, const struct dri_registry_tool *tool)
{
    const struct dri_cli *cli = edit->cli;
    for (size_t i = 0; i < edit->count; i++) {
        struct dri_schedule_item *item = &edit->items[i];
        uint64_t present = present_revision(tool, item->key);
        uint64_t base = dri_cli_has(cli, "create") ? 0 : present;
        if (!dri_cli_uint(cli, "base", 0, UINT64_MAX, &base)) {
            return DRI_EXIT_USAGE;
        }
        if (dray_slice_is_absent(item->schedule) && present == 0) {
            return dri_cli_fail(cli, DRI_EXIT_NO_MATCH,
                                "there is no schedule %s; dray schedule ls shows those there are",
                                edit->keys[i]);
        }
        if (base != present) {
            const struct dri_registry_dispute dispute = {
                .key = edit->keys[i], .base = base, .present = present};
            return dri_registry_dispute_say(tool, &dispute);
        }
        item->base = base;
    }
    return DRI_EXIT_OK;
}

static int change(const struct edit *edit, struct dri_registry_tool *tool, uint64_t *ret_revision)
{
    const struct dri_cli *cli = edit->cli;
    struct dri_control_outcome outcome = {.revision = 0};
    bool is_choosy = dri_cli_has(cli, "base") || dri_cli_has(cli, "create");
    for (unsigned tries = 1;; tries++) {
        int code = fill_bases(edit, tool);
        if (code == DRI_EXIT_OK) {
            code = dri_registry_tool_schedule(tool, edit->items, edit->count,
                                              dri_cli_value(cli, "note"), &outcome);
        }
        if (code != DRI_EXIT_OK) {
            return code;
        }
        if (outcome.verdict != DRI_CONTROL_CONFLICT || is_choosy || tries == TRIES_MAX) {
            break;
        }
    }
    if (outcome.verdict == DRI_CONTROL_CONFLICT) {
        const struct dri_registry_dispute dispute = {.key = outcome.conflict.key,
                                                     .base = outcome.conflict.base,
                                                     .present = outcome.conflict.present};
        return dri_registry_dispute_say(tool, &dispute);
    }
    if (outcome.verdict != DRI_CONTROL_SCHEDULES) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "the change is refused: %s", outcome.text);
    }
    *ret_revision = outcome.revision;
    return DRI_EXIT_OK;
}

/* next_ms 0: nothing is said of it. */
static void print_accepted(const struct edit *edit, uint64_t revision, uint64_t next_ms)
{
    for (size_t i = 0; i < edit->count; i++) {
        char next[DRI_CLOCK_TEXT_BYTES];
        printf("{\"key\":\"%s\",\"revision\":%" PRIu64, edit->keys[i], revision);
        if (next_ms != 0) {
            dri_clock_format(next_ms, next);
            printf(",\"next\":\"%s\"", next);
        }
        printf("}\n");
    }
    (void)fflush(stdout); /* a closed pipe shows at the end */
}

static int edit_run(const struct edit *edit, const struct dri_cron *cron)
{
    struct dri_registry_tool tool;
    uint64_t revision = 0;
    dri_cli_catch_signals();
    int code = dri_registry_tool_open(&tool, edit->cli, true, edit->is_waiting);
    if (code == DRI_EXIT_OK) {
        code = change(edit, &tool, &revision);
    }
    if (code == DRI_EXIT_OK) {
        print_accepted(edit, revision, cron == NULL ? 0 : dri_cron_next(cron, dri_clock_wall_ms()));
    }
    if (code == DRI_EXIT_OK && edit->is_waiting) {
        code = dri_registry_tool_wait(&tool, NULL, 0, revision, edit->wait_ms);
    }
    dri_registry_tool_close(&tool);
    return code;
}

/* ---- put ---- */

static int missed_read(const struct dri_cli *cli, struct dri_schedule_view *view)
{
    const char *text = dri_cli_value(cli, "missed");
    uint64_t catch_up = DRI_SCHEDULE_CATCH_UP;
    view->missed = DRI_MISSED_ONE;
    if (text != NULL && strcmp(text, "skip") == 0) {
        view->missed = DRI_MISSED_SKIP;
    } else if (text != NULL && strcmp(text, "all") == 0) {
        view->missed = DRI_MISSED_ALL;
    } else if (text != NULL && strcmp(text, "one") != 0) {
        return dri_cli_usage(cli, "--missed: \"%.40s\" is none of skip, one, all", text);
    }
    if (!dri_cli_uint(cli, "catch-up", 1, DRI_SCHEDULE_CATCH_UP_MAX, &catch_up)) {
        return DRI_EXIT_USAGE;
    }
    if (dri_cli_has(cli, "catch-up") && view->missed != DRI_MISSED_ALL) {
        return dri_cli_usage(cli, "--catch-up bounds --missed all; it says nothing without");
    }
    view->catch_up = (uint32_t)catch_up;
    return DRI_EXIT_OK;
}

static int put_check(const struct dri_cli *cli)
{
    struct dri_send_form form;
    struct dri_schedule_view view;
    uint64_t number = 0;
    if (cli->arguments_count != 2) {
        return dri_cli_usage(cli, "a name and a command, as in: dray schedule put nightly "
                                  "report.daily --cron '0 6 * * *'");
    }
    if (dri_cli_value(cli, "cron") == NULL) {
        return dri_cli_usage(cli, "when? --cron '0 6 * * mon-fri'; dray help schedule next says "
                                  "what an expression may be");
    }
    int code = name_check(cli, cli->arguments[0]);
    if (code == DRI_EXIT_OK) {
        code = dri_send_form_init(&form, cli);
        if (code == DRI_EXIT_OK && form.deadline_ms > DRI_SCHEDULE_DEADLINE_MAX_MS) {
            code = dri_cli_usage(cli, "--deadline: at most 3650 days (87600h), not \"%s\"",
                                 dri_cli_value(cli, "deadline"));
        }
        dri_send_form_fini(&form);
    }
    if (code == DRI_EXIT_OK && !dri_cli_uint(cli, "base", 0, UINT64_MAX, &number)) {
        code = DRI_EXIT_USAGE;
    }
    if (code == DRI_EXIT_OK && dri_cli_has(cli, "base") && dri_cli_has(cli, "create")) {
        code = dri_cli_usage(cli, "--base and --create exclude each other");
    }
    return code == DRI_EXIT_OK ? missed_read(cli, &view) : code;
}

/* The command of the next tick, only to see whether there can be one. */
static int try_out(const struct dri_cli *cli, struct dri_send_form *form)
{
    struct dri_send_message message;
    char text[TEXT_BYTES] = "";
    enum dray_status status = dri_send_message_make(
        form, dray_slice_text(dri_cli_value(cli, "payload")), &message, text, sizeof(text));
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, status == DRAY_EINVALID ? DRI_EXIT_USAGE : DRI_EXIT_FAILED, "%s",
                            text);
    }
    dri_send_message_fini(&message);
    return DRI_EXIT_OK;
}

/* Owns: *ret_bytes returned owned. */
static enum dray_status map_make(const struct dri_cli *cli, const struct dri_send_form *form,
                                 struct dri_schedule_view *view, uint8_t **ret_bytes,
                                 size_t *ret_len, struct dri_wire_error *ret_error)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_schedule_view checked;
    uint8_t *payload = NULL;
    uint8_t *bytes = NULL;
    size_t payload_len = 0;
    enum dray_status status = DRAY_OK;
    if (dri_cli_has(cli, "payload")) {
        status = dri_json_to_msgpack(dray_slice_text(dri_cli_value(cli, "payload")), &limits,
                                     &payload, &payload_len, ret_error);
    }
    view->cron = dray_slice_text(dri_cli_value(cli, "cron"));
    view->command = dray_slice_text(form->command);
    view->namespace_ = dray_slice_text(form->namespace_);
    view->version = dray_slice_text(form->version);
    view->key = dray_slice_text(form->key);
    view->reply_to = dray_slice_text(form->reply_to);
    view->payload = dray_slice_of(payload, payload_len);
    view->tags = dray_slice_of(form->tags, form->tags_len);
    view->meta = dray_slice_of(form->meta, form->meta_len);
    view->deadline_ms = form->deadline_ms;
    size_t bytes_max = dri_schedule_encoded_max(view);
    if (status == DRAY_OK) {
        bytes = dri_zalloc(bytes_max);
        status = bytes == NULL ? DRAY_ENOMEM : dri_schedule_encode(view, bytes, bytes_max, ret_len);
    }
    if (status == DRAY_OK) {
        status = dri_schedule_decode(dray_slice_of(bytes, *ret_len), &limits, &checked, ret_error);
    }
    dri_free(payload);
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

static int put_with(const struct dri_cli *cli, struct dri_send_form *form)
{
    struct dri_schedule_view view = {.catch_up = 0};
    struct dri_wire_error error = {.field = "", .text = "", .offset = 0};
    struct edit edit;
    uint8_t *bytes = NULL;
    size_t len = 0;
    form->command = cli->arguments[1];
    int code = missed_read(cli, &view);
    if (code == DRI_EXIT_OK) {
        code = try_out(cli, form);
    }
    if (code != DRI_EXIT_OK) {
        return code;
    }
    enum dray_status status = map_make(cli, form, &view, &bytes, &len, &error);
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "the schedule cannot be written: %s %s",
                            error.field,
                            error.text[0] == '\0' ? dray_status_text(status) : error.text);
    }
    code = edit_init(&edit, cli, 1);
    if (code == DRI_EXIT_OK) {
        edit.items[0].schedule = dray_slice_of(bytes, len);
        code = edit_run(&edit, &form->cron);
    }
    edit_fini(&edit);
    dri_free(bytes);
    return code;
}

static int put_run(struct dri_cli *cli)
{
    struct dri_send_form form;
    int code = dri_send_form_init(&form, cli);
    if (code == DRI_EXIT_OK) {
        code = put_with(cli, &form);
    }
    dri_send_form_fini(&form);
    return code;
}

static const struct dri_cli_option put_options[] = {
    {.name = "cron", .argument = "EXPRESSION", .help = "When (UTC); see dray help schedule next."},
    {.name = "payload",
     .argument = "JSON",
     .help = "The arguments of each command; bytes as {\"$bin\":\"base64\"}."},
    {.name = "key", .argument = "KEY", .help = "Ordering key of the commands."},
    {.name = "ns", .argument = "NAMESPACE", .help = "Default: the worker's namespace."},
    {.name = "cmd-version",
     .argument = "VERSION",
     .help = "Handler version that is wanted, or a range as ^1.2."},
    {.name = "tag",
     .argument = "KEY=VALUE",
     .help = "A routing tag, as region=eu.",
     .is_repeatable = true},
    {.name = "meta",
     .argument = "KEY=VALUE",
     .help = "Metadata that the handler may read.",
     .is_repeatable = true},
    {.name = "reply-to",
     .argument = "TOPIC",
     .help = "Where results go; empty: nobody wants them. Default: the worker's results topic."},
    {.name = "deadline",
     .argument = "SECONDS",
     .help = "A command that has not begun so long after its tick ends as expired; at most 3650 "
             "days."},
    {.name = "missed",
     .argument = "RULE",
     .help = "What becomes of ticks at which nobody could fire: skip; one: the last of them is "
             "made up for (the default); all: each of the last --catch-up."},
    {.name = "catch-up", .argument = "N", .help = "With --missed all; 1 to 1000, default 100."},
    {.name = "base",
     .argument = "REVISION",
     .help = "Only if the schedule is at this revision still; 0: only if there is none."},
    {.name = "create", .help = "Only if there is none of this name."},
    {.name = "wait",
     .argument = "[SECONDS]",
     .help = "Wait until every live replica knows it; 30 s when no time is given."},
    {.name = "note", .argument = "TEXT", .help = "Why; kept with the record."},
    {.name = NULL},
};

static const struct dri_cli_example put_examples[] = {
    {"A report on working days at six",
     "dray schedule put daily-report report.daily --cron '0 6 * * mon-fri' --deadline 2h -c "
     "worker.yaml"},
    {"A poll every ten seconds; what was missed is of no use",
     "dray schedule put poll inbox.poll --cron '*/10 * * * * *' --missed skip --payload "
     "'{\"box\":\"in\"}' -c worker.yaml"},
    {"Hourly accounts, none of which may be left out",
     "dray schedule put accounts accounts.close --cron @hourly --missed all --catch-up 48 --key "
     "accounts -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_schedule_put_command = {
    .name = "schedule put",
    .summary = "put a recurring schedule, or change it",
    .usage = "NAME CMD --cron EXPRESSION [--payload JSON] [--key K] [--missed skip|one|all] "
             "[--deadline SECONDS] [--base REV | --create] [--wait[=SECONDS]] [--note TEXT]",
    .about =
        "Writes a schedule of the group (--group, or the configuration's) to the control topic. "
        "From then on one command is sent for each tick, once in the whole group, by whichever "
        "replica is there; until the schedule is changed or removed. A schedule that is there is "
        "replaced as a whole: its ticks up to now stay the old one's, those to come are the new "
        "one's.\n\n"
        "Ticks are sent worker.fire_ahead_ms before their time, as scheduled commands. Prints "
        "{\"key\",\"revision\",\"next\"}. Exit code 1: somebody else has changed the schedule "
        "meanwhile. 75: a replica does not know it yet.",
    .options = put_options,
    .examples = put_examples,
    .needs_settings = true,
    .check = put_check,
    .run = put_run,
};

/* ---- rm ---- */

static int rm_check(const struct dri_cli *cli)
{
    uint64_t number = 0;
    int code = DRI_EXIT_OK;
    if (cli->arguments_count == 0) {
        return dri_cli_usage(cli, "which schedule? as in: dray schedule rm daily-report");
    }
    for (size_t i = 0; code == DRI_EXIT_OK && i < cli->arguments_count; i++) {
        code = name_check(cli, cli->arguments[i]);
    }
    if (code == DRI_EXIT_OK && !dri_cli_uint(cli, "base", 0, UINT64_MAX, &number)) {
        code = DRI_EXIT_USAGE;
    }
    if (code == DRI_EXIT_OK && dri_cli_has(cli, "base") && cli->arguments_count > 1) {
        code =
            dri_cli_usage(cli, "--base is for one schedule; there are %zu", cli->arguments_count);
    }
    return code;
}

static int rm_run(struct dri_cli *cli)
{
    struct edit edit;
    int code = edit_init(&edit, cli, cli->arguments_count);
    if (code == DRI_EXIT_OK) {
        code = edit_run(&edit, NULL);
    }
    edit_fini(&edit);
    return code;
}

static const struct dri_cli_option rm_options[] = {
    {.name = "base",
     .argument = "REVISION",
     .help = "Only if the schedule is at this revision still."},
    {.name = "wait",
     .argument = "[SECONDS]",
     .help = "Wait until every live replica knows it; 30 s when no time is given."},
    {.name = "note", .argument = "TEXT", .help = "Why; kept with the record."},
    {.name = NULL},
};

static const struct dri_cli_example rm_examples[] = {
    {"No more reports", "dray schedule rm daily-report --wait -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_schedule_rm_command = {
    .name = "schedule rm",
    .summary = "remove recurring schedules",
    .usage = "NAME... [--base REV] [--wait[=SECONDS]] [--note TEXT]",
    .about = "Removes schedules of the group. What was sent ahead for ticks to come is cancelled: "
             "each such command ends as a dead letter with reason rejected. A tick that is past "
             "runs.\n\n"
             "Prints {\"key\",\"revision\"} for each. Exit code 3: there is no such schedule. 75: "
             "a replica does not know it yet.",
    .options = rm_options,
    .examples = rm_examples,
    .needs_settings = true,
    .check = rm_check,
    .run = rm_run,
};
