/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_dlq.c - dray dlq ls, show and groups: looking at dead letters without touching them.
 *
 * JSON lines go out as they are read, so a topic of any size can be piped; a table has to know its
 * widths and comes at the end. What a letter says was written by strangers: on the way to a
 * terminal nothing in it may act.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "letters.h"
#include "mem.h"
#include "rows.h"
#include "wire/envelope.h"
#include "wire/headers.h"
#include "wire/scanner.h"

#define CELL_BYTES   DRI_CELL_BYTES
#define HEX_BYTES    512u /* of a message, shown in hex */
#define HEX_LINE     16u
#define GROUPS_FIRST 64u

static const struct dri_wire_limits any_size = {
    .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};

static int nothing_matched(const struct dri_cli *cli)
{
    return dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "no dead letter in %s matches",
                        cli->settings.topics.dead_letters);
}

/* ---- ls ---- */

static void add_row(struct dri_table *table, const struct dri_found *found)
{
    char cells[8][CELL_BYTES];
    dri_cell_time(found->letter.last_failed_ms, cells[0]);
    dri_cell_text(found->letter.reason_text, cells[1]);
    dri_cell_text(found->letter.command, cells[2]);
    dri_cell_text(found->key, cells[3]);
    snprintf(cells[4], CELL_BYTES, "%" PRIu64, found->letter.attempts);
    dri_cell_text(dray_slice_text(found->position), cells[5]);
    dri_cell_text(found->letter.sequence, cells[6]);
    dri_cell_text(found->letter.message, cells[7]);
    const char *row[] = {cells[0], cells[1], cells[2], cells[3],
                         cells[4], cells[5], cells[6], cells[7]};
    dri_table_row(table, row);
}

static int show_row(const struct dri_cli *cli, struct dri_table *table,
                    const struct dri_found *found)
{
    struct dri_text text;
    if (table != NULL) {
        add_row(table, found);
        return DRI_EXIT_OK;
    }
    dri_text_init(&text);
    dri_letter_to_json(found, &text);
    dri_text_addf(&text, "}");
    return dri_say_text(cli, &text);
}

static int ls_walk(const struct dri_cli *cli, struct dri_letters *letters, struct dri_table *table,
                   uint64_t limit)
{
    struct dri_found *found = NULL;
    enum dray_status status = DRAY_OK;
    uint64_t count = 0;
    int code = DRI_EXIT_OK;
    while (code == DRI_EXIT_OK && count < limit) {
        status = dri_letters_next(letters, &found);
        if (status != DRAY_OK) {
            break;
        }
        code = show_row(cli, table, found);
        count++;
        dri_free(found);
    }
    if (table != NULL && count > 0 && !dri_table_print(table, stdout, cli->has_colour)) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    if (code == DRI_EXIT_OK) {
        code = dri_letters_end(cli, letters, status);
    }
    return code == DRI_EXIT_OK && count == 0 ? nothing_matched(cli) : code;
}

/* What ls and groups are asked. */
static int letters_check(const struct dri_cli *cli)
{
    struct dri_letter_filter filter = {0};
    uint64_t limit = 0;
    if (cli->arguments_count > 0) {
        return dri_cli_usage(cli, "dray %s takes no arguments; which letters is said with --where",
                             cli->command->name);
    }
    if (!dri_cli_uint(cli, "limit", 1, UINT64_MAX - 1, &limit)) {
        return DRI_EXIT_USAGE;
    }
    int code = dri_letter_filter_init(&filter, cli);
    dri_letter_filter_fini(&filter);
    return code;
}

static int ls_run(struct dri_cli *cli)
{
    static const char *const columns[] = {"LAST FAILED", "REASON",   "COMMAND", "KEY",
                                          "ATTEMPTS",    "POSITION", "UNIT",    "MESSAGE"};
    struct dri_letter_filter filter = {0};
    struct dri_letters *letters = NULL;
    struct dri_table *table = NULL;
    uint64_t limit = UINT64_MAX;
    int code = dri_letter_filter_init(&filter, cli);
    if (code == DRI_EXIT_OK && !dri_cli_uint(cli, "limit", 1, UINT64_MAX - 1, &limit)) {
        code = DRI_EXIT_USAGE;
    }
    dri_cli_catch_signals();
    if (code == DRI_EXIT_OK) {
        code = dri_letters_begin(cli, &filter, &letters);
    }
    if (code == DRI_EXIT_OK && !cli->is_json) {
        table = dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
        code = table == NULL ? dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory") : code;
    }
    if (code == DRI_EXIT_OK) {
        code = ls_walk(cli, letters, table, limit);
    }
    dri_table_destroy(table);
    dri_letters_close(letters);
    dri_letter_filter_fini(&filter);
    return code;
}

/* ---- show ---- */

static void add_json_headers(const struct dri_found *found, struct dri_text *text)
{
    struct dri_header header;
    size_t at = 0;
    bool is_first = true;
    dri_text_addf(text, ",\"headers\":[");
    while (dri_headers_next(found->headers, &at, &header)) {
        dri_text_addf(text, "%s{\"name\":", is_first ? "" : ",");
        dri_text_add_json_string(text, header.name);
        dri_text_addf(text, ",\"value\":");
        if (header.value.at == NULL) {
            dri_text_addf(text, "null");
        } else {
            dri_text_add_json_string(text, header.value);
        }
        dri_text_addf(text, "}");
        is_first = false;
    }
    dri_text_addf(text, "]");
}

/* The message as JSON, when it is one msgpack value. */
static bool value_to_json(const struct dri_found *found, bool is_pretty, struct dri_text *text)
{
    dri_text_init(text);
    if (found->value.len == 0 ||
        dri_msgpack_to_json(found->value, &any_size, is_pretty, text) != DRAY_OK ||
        text->status != DRAY_OK) {
        dri_text_fini(text);
        return false;
    }
    return true;
}

static int show_json(const struct dri_cli *cli, const struct dri_found *found)
{
    struct dri_text text;
    struct dri_text value;
    char *bytes = dri_base64_encode(found->value);
    dri_text_init(&text);
    dri_letter_to_json(found, &text);
    dri_text_addf(&text, ",\"position\":\"%s\"", found->position);
    add_json_headers(found, &text);
    if (value_to_json(found, false, &value)) {
        dri_text_addf(&text, ",\"envelope\":");
        dri_text_add(&text, value.at, value.len);
        dri_text_fini(&value);
    } else {
        dri_text_addf(&text, ",\"envelope\":null");
    }
    dri_text_addf(&text, ",\"bytes\":{\"$bin\":\"%s\"}}", bytes == NULL ? "" : bytes);
    dri_free(bytes);
    return dri_say_text(cli, &text);
}

static void add_line(struct dri_text *text, const char *name, struct dray_slice value)
{
    if (value.at != NULL && value.len > 0) {
        dri_text_addf(text, "  %-14s ", name);
        dri_text_add(text, (const char *)value.at, value.len);
        dri_text_addf(text, "\n");
    }
}

static void add_facts(const struct dri_found *found, struct dri_text *text)
{
    const struct dri_letter *letter = &found->letter;
    char times[2][CELL_BYTES];
    char numbers[3][CELL_BYTES];
    dri_cell_time(letter->first_failed_ms, times[0]);
    dri_cell_time(letter->last_failed_ms, times[1]);
    snprintf(numbers[0], CELL_BYTES, "%" PRIu64, letter->attempts);
    snprintf(numbers[1], CELL_BYTES, "%" PRIu64, letter->replays);
    snprintf(numbers[2], CELL_BYTES, "%zu bytes%s", found->value.len,
             letter->is_pointer ? " (a pointer: the message itself did not fit)" : "");
    dri_text_addf(text, "%s\n", found->position);
    add_line(text, "reason", letter->reason_text);
    add_line(text, "message", letter->message);
    add_line(text, "command", letter->command);
    add_line(text, "id", letter->id);
    add_line(text, "key", found->key);
    add_line(text, "namespace", letter->namespace_);
    add_line(text, "version", letter->version);
    add_line(text, "handler", letter->handler);
    add_line(text, "attempts", dray_slice_text(numbers[0]));
    add_line(text, "replays", dray_slice_text(numbers[1]));
    add_line(text, "first failed", dray_slice_text(times[0]));
    add_line(text, "last failed", dray_slice_text(times[1]));
    add_line(text, "source", letter->source);
    add_line(text, "worker", letter->worker);
    add_line(text, "fingerprint", letter->fingerprint);
    add_line(text, "unit", letter->sequence);
    add_line(text, "size", dray_slice_text(numbers[2]));
}

static void add_headers(const struct dri_found *found, struct dri_text *text)
{
    struct dri_header header;
    size_t at = 0;
    dri_text_addf(text, "headers\n");
    while (dri_headers_next(found->headers, &at, &header)) {
        dri_text_addf(text, "  ");
        dri_text_add(text, (const char *)header.name.at, header.name.len);
        dri_text_addf(text, ": ");
        if (header.value.at != NULL) {
            dri_text_add(text, (const char *)header.value.at, header.value.len);
        }
        dri_text_addf(text, "\n");
    }
}

static void add_hex(struct dray_slice value, struct dri_text *text)
{
    size_t count = value.len < HEX_BYTES ? value.len : HEX_BYTES;
    for (size_t at = 0; at < count; at += HEX_LINE) {
        dri_text_addf(text, "  %04zx ", at);
        for (size_t i = at; i < at + HEX_LINE; i++) {
            if (i < count) {
                dri_text_addf(text, " %02x", value.at[i]);
            } else {
                dri_text_addf(text, "   ");
            }
        }
        dri_text_addf(text, "  ");
        for (size_t i = at; i < at + HEX_LINE && i < count; i++) {
            bool is_plain = value.at[i] >= 0x20 && value.at[i] < 0x7f;
            dri_text_addf(text, "%c", is_plain ? (char)value.at[i] : '.');
        }
        dri_text_addf(text, "\n");
    }
    if (count < value.len) {
        dri_text_addf(text, "  ... %zu bytes more; --raw writes them all\n", value.len - count);
    }
}

static void add_message(const struct dri_found *found, struct dri_text *text)
{
    struct dri_envelope envelope;
    struct dri_wire_error error = {"", "", 0};
    struct dri_text value;
    if (found->value.len == 0) {
        return;
    }
    enum dray_status status = dri_envelope_decode(found->value, &any_size, &envelope, &error);
    if (status != DRAY_OK) {
        dri_text_addf(text, "no envelope: %s %s (at byte %" PRIu32 ")\n",
                      error.field[0] == '\0' ? "message" : error.field, error.text, error.offset);
    }
    if (value_to_json(found, true, &value)) {
        dri_text_addf(text, "%s\n", status == DRAY_OK ? "envelope" : "message");
        dri_text_add(text, value.at, value.len);
        dri_text_addf(text, "\n");
        dri_text_fini(&value);
    }
    if (status != DRAY_OK) {
        dri_text_addf(text, "bytes\n");
        add_hex(found->value, text);
    }
}

/* A terminal obeys control bytes, also the C1 ones that hide in UTF-8. */
static void make_harmless(struct dri_text *text)
{
    if (text->status != DRAY_OK) {
        return;
    }
    uint8_t *at = (uint8_t *)text->at;
    dri_utf8_mend(at, text->len);
    for (size_t i = 0; i < text->len; i++) {
        bool is_c1 = at[i] == 0xc2 && i + 1 < text->len && at[i + 1] < 0xa0;
        if ((at[i] < 0x20 && at[i] != '\n') || at[i] == 0x7f) {
            at[i] = '?';
        } else if (is_c1) {
            at[i] = '?';
            at[i + 1] = '?';
        }
    }
}

static int show_one(const struct dri_cli *cli, const struct dri_found *found)
{
    struct dri_text text;
    if (dri_cli_has(cli, "raw")) {
        size_t written =
            found->value.len == 0 ? 0 : fwrite(found->value.at, 1, found->value.len, stdout);
        return written == found->value.len ? DRI_EXIT_OK : DRI_EXIT_FAILED;
    }
    if (cli->is_json) {
        return show_json(cli, found);
    }
    dri_text_init(&text);
    add_facts(found, &text);
    add_headers(found, &text);
    add_message(found, &text);
    make_harmless(&text);
    return dri_say_text(cli, &text);
}

static int show_walk(const struct dri_cli *cli, struct dri_letters *letters, bool is_raw)
{
    struct dri_found *found = NULL;
    struct dri_found *kept = NULL; /* --raw: one, and only when there is no other */
    enum dray_status status = DRAY_OK;
    uint64_t count = 0;
    int code = DRI_EXIT_OK;
    while (code == DRI_EXIT_OK && (status = dri_letters_next(letters, &found)) == DRAY_OK) {
        count++;
        if (is_raw && count == 1) {
            kept = found;
            continue;
        }
        code = is_raw ? dri_cli_fail(cli, DRI_EXIT_FAILED,
                                     "several letters match: say which by "
                                     "its position, as dlq ls prints it")
                      : show_one(cli, found);
        dri_free(found);
    }
    if (code == DRI_EXIT_OK) {
        code = dri_letters_end(cli, letters, status);
    }
    if (code == DRI_EXIT_OK && kept != NULL) {
        code = show_one(cli, kept);
    }
    dri_free(kept);
    return code == DRI_EXIT_OK && count == 0 ? nothing_matched(cli) : code;
}

static int show_check(const struct dri_cli *cli)
{
    return cli->arguments_count == 1
               ? DRI_EXIT_OK
               : dri_cli_usage(cli,
                               "which letter? its position, as topic/3/17 or DLQ/17, or an id");
}

static int show_run(struct dri_cli *cli)
{
    struct dri_letter_filter filter = {0};
    struct dri_letters *letters = NULL;
    filter.place = cli->arguments[0];
    dri_cli_catch_signals();
    int code = dri_letters_begin(cli, &filter, &letters);
    if (code == DRI_EXIT_OK) {
        code = show_walk(cli, letters, dri_cli_has(cli, "raw"));
    }
    dri_letters_close(letters);
    return code;
}

/* ---- groups ---- */

struct group {
    char fingerprint[24], reason[24];
    char command[CELL_BYTES], message[CELL_BYTES];
    uint64_t count, first_ms, last_ms;
};

struct groups {
    struct group *at; /* owned */
    size_t count, capacity;
};

static struct group *group_for(struct groups *groups, const struct dri_found *found)
{
    struct dray_slice fingerprint = found->letter.fingerprint;
    for (size_t i = 0; i < groups->count; i++) {
        if (dray_slice_equal(dray_slice_text(groups->at[i].fingerprint),
                             fingerprint.at == NULL ? dray_slice_text("") : fingerprint)) {
            return &groups->at[i];
        }
    }
    if (groups->count == groups->capacity) {
        size_t capacity = groups->capacity == 0 ? GROUPS_FIRST : 2 * groups->capacity;
        struct group *larger = dri_zalloc_array(capacity, sizeof(*larger));
        if (larger == NULL) {
            return NULL;
        }
        if (groups->count > 0) {
            memcpy(larger, groups->at, groups->count * sizeof(*larger));
        }
        dri_free(groups->at);
        groups->at = larger;
        groups->capacity = capacity;
    }
    struct group *group = &groups->at[groups->count++];
    snprintf(group->fingerprint, sizeof(group->fingerprint), "%.*s", (int)fingerprint.len,
             fingerprint.at == NULL ? "" : (const char *)fingerprint.at);
    snprintf(group->reason, sizeof(group->reason), "%.*s", (int)found->letter.reason_text.len,
             (const char *)found->letter.reason_text.at);
    dri_cell_text(found->letter.command, group->command);
    dri_cell_text(found->letter.message, group->message);
    group->first_ms = UINT64_MAX;
    return group;
}

static enum dray_status groups_read(struct groups *groups, struct dri_letters *letters)
{
    struct dri_found *found = NULL;
    enum dray_status status;
    while ((status = dri_letters_next(letters, &found)) == DRAY_OK) {
        const struct dri_letter *letter = &found->letter;
        struct group *group = group_for(groups, found);
        if (group != NULL) {
            group->count++;
            group->first_ms = letter->first_failed_ms < group->first_ms ? letter->first_failed_ms
                                                                        : group->first_ms;
            group->last_ms =
                letter->last_failed_ms > group->last_ms ? letter->last_failed_ms : group->last_ms;
        }
        dri_free(found);
        if (group == NULL) {
            return DRAY_ENOMEM;
        }
    }
    return status;
}

static void group_to_json(const struct group *group, struct dri_text *text)
{
    const char *const texts[][2] = {{"fingerprint", group->fingerprint},
                                    {"reason", group->reason},
                                    {"command", group->command},
                                    {"message", group->message}};
    char time[CELL_BYTES];
    dri_text_addf(text, "{\"count\":%" PRIu64, group->count);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        dri_text_addf(text, ",\"%s\":", texts[i][0]);
        dri_text_add_json_string(text, dray_slice_text(texts[i][1]));
    }
    dri_cell_time(group->first_ms, time);
    dri_text_addf(text, ",\"first_failed_at\":\"%s\"", time);
    dri_cell_time(group->last_ms, time);
    dri_text_addf(text, ",\"last_failed_at\":\"%s\"}", time);
}

static int groups_print(const struct dri_cli *cli, const struct groups *groups)
{
    static const char *const columns[] = {"COUNT",       "REASON",      "COMMAND",
                                          "LAST FAILED", "FINGERPRINT", "MESSAGE"};
    struct dri_table *table =
        cli->is_json ? NULL : dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
    int code = DRI_EXIT_OK;
    for (size_t i = 0; i < groups->count && code == DRI_EXIT_OK; i++) {
        const struct group *group = &groups->at[i];
        char count[CELL_BYTES];
        char last[CELL_BYTES];
        struct dri_text text;
        if (cli->is_json) {
            dri_text_init(&text);
            group_to_json(group, &text);
            code = dri_say_text(cli, &text);
            continue;
        }
        snprintf(count, sizeof(count), "%" PRIu64, group->count);
        dri_cell_time(group->last_ms, last);
        const char *cells[] = {count, group->reason,      group->command,
                               last,  group->fingerprint, group->message};
        if (table != NULL) {
            dri_table_row(table, cells);
        }
    }
    if (!cli->is_json && (table == NULL || !dri_table_print(table, stdout, cli->has_colour))) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    dri_table_destroy(table);
    return code;
}

static int groups_run(struct dri_cli *cli)
{
    struct dri_letter_filter filter = {0};
    struct dri_letters *letters = NULL;
    struct groups groups = {0};
    int code = dri_letter_filter_init(&filter, cli);
    dri_cli_catch_signals();
    if (code == DRI_EXIT_OK) {
        code = dri_letters_begin(cli, &filter, &letters);
    }
    if (code == DRI_EXIT_OK) {
        code = dri_letters_end(cli, letters, groups_read(&groups, letters));
    }
    if (code == DRI_EXIT_OK) {
        code = groups.count == 0 ? nothing_matched(cli) : groups_print(cli, &groups);
    }
    dri_free(groups.at);
    dri_letters_close(letters);
    dri_letter_filter_fini(&filter);
    return code;
}

/* ---- tables ---- */

static const struct dri_cli_option ls_options[] = {
    DRI_LETTER_FILTER_OPTIONS,
    {.name = "limit", .argument = "N", .help = "Stop after N letters."},
    {.name = NULL},
};

static const struct dri_cli_example ls_examples[] = {
    {"What failed in the last two hours", "dray dlq ls -c worker.yaml --since -2h"},
    {"Only what a handler rejected, as JSON",
     "dray dlq ls -c worker.yaml --where 'reason = rejected and attempts >= 2' --json"},
    {NULL, NULL},
};

const struct dri_cli_command dri_dlq_ls_command = {
    .name = "dlq ls",
    .summary = "list dead letters",
    .usage = "[--where EXPR] [--command NAME] [--reason KIND] [--since TIME] [--limit N]",
    .about =
        "Lists dead letters, oldest first within a partition. In a pipe, or with --json, one "
        "JSON object a line: topic, partition and offset (NATS: sequence), key, id, command, "
        "namespace, reason, message, attempts, first_failed_at, last_failed_at, source, "
        "worker, fingerprint, unit, replays, size.\n\nLetters of one `unit` are commands of one "
        "key that were held together, and are let go together with dray dlq release."
        "\n\nExit code 3: none matched.",
    .options = ls_options,
    .examples = ls_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = letters_check,
    .run = ls_run,
};

static const struct dri_cli_option show_options[] = {
    {.name = "raw", .help = "Write the message's bytes as they are, and nothing else."},
    {.name = NULL},
};

static const struct dri_cli_example show_examples[] = {
    {"One letter with everything that is known", "dray dlq show -c worker.yaml 3/17"},
    {"Its bytes into a file", "dray dlq show -c worker.yaml DLQ/17 --raw > message.bin"},
    {NULL, NULL},
};

const struct dri_cli_command dri_dlq_show_command = {
    .name = "dlq show",
    .summary = "show a dead letter with its headers and its message",
    .usage = "POSITION|ID [--raw]",
    .about =
        "Shows what failed and why: the facts, every header, and the message decoded. POSITION "
        "is topic/partition/offset or stream/sequence as dlq ls prints it, or the end of it; "
        "an ID shows every letter of that command.\n\nExit code 3: there is no such letter.",
    .options = show_options,
    .examples = show_examples,
    .needs_settings = true,
    .check = show_check,
    .run = show_run,
};

static const struct dri_cli_option groups_options[] = {
    DRI_LETTER_FILTER_OPTIONS,
    {.name = NULL},
};

static const struct dri_cli_example groups_examples[] = {
    {"What goes wrong, and how often", "dray dlq groups -c worker.yaml --since -1d"},
    {NULL, NULL},
};

const struct dri_cli_command dri_dlq_groups_command = {
    .name = "dlq groups",
    .summary = "count dead letters by what went wrong",
    .usage = "[--where EXPR] [--since TIME]",
    .about = "Counts letters with equal fingerprints: the same reason, command, handler and code, "
             "and the same message but for its numbers.\n\nExit code 3: none matched.",
    .options = groups_options,
    .examples = groups_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = letters_check,
    .run = groups_run,
};
