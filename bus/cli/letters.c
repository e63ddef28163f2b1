/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* letters.c - reads a dead-letter topic as a log: no group, nothing settled, nothing deleted.
 *
 * Messages that match are copied out of the transport's buffers, for they outlive the next poll: a
 * replay has a window of them out. One poll brings at most a hundred or so, and the next one comes
 * only when the last of them was taken, so memory stays bounded whatever the topic holds.
 */
#include "letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "rows.h"

#define TEXT_BYTES 1024u

struct dri_letters {
    const struct dri_letter_filter *filter; /* borrowed */
    struct dri_log_walk *walk;              /* owned */
    struct dri_found *first, **last;        /* queue; each owned */
    uint64_t foreign;
};

/* ---- the filter ---- */

static int where_fail(const struct dri_cli *cli, const char *text,
                      const struct dri_where_error *error)
{
    char line[512];
    char caret[512];
    size_t shift = error->column > 200 ? error->column - 200 : 0;
    size_t at = error->column - shift;
    snprintf(line, sizeof(line), "%.400s", text + shift);
    memset(caret, ' ', at);
    snprintf(caret + at, sizeof(caret) - at, "^");
    return dri_cli_fail(cli, DRI_EXIT_USAGE, "--where, column %zu: %s\n%s\n%s", error->column + 1,
                        error->text, line, caret);
}

static int read_time(const struct dri_cli *cli, const char *name, uint64_t now_ms, uint64_t *ret_ms)
{
    const char *text = dri_cli_value(cli, name);
    if (text == NULL || dri_where_time(text, strlen(text), now_ms, ret_ms)) {
        return DRI_EXIT_OK;
    }
    return dri_cli_usage(cli,
                         "--%s has to be a time as 2026-01-31T12:00:00Z, 2026-01-31 or -2h, "
                         "not \"%s\"",
                         name, text);
}

int dri_letter_filter_init(struct dri_letter_filter *filter, const struct dri_cli *cli)
{
    const char *text = dri_cli_value(cli, "where");
    struct dri_where_error error = {0, ""};
    uint64_t now_ms = dri_clock_wall_ms();
    *filter = (struct dri_letter_filter){
        .command = dri_cli_value(cli, "command"),
        .reason = dri_cli_value(cli, "reason"),
        .key = dri_cli_value(cli, "key"),
    };
    if (filter->reason != NULL &&
        dray_kind_parse(filter->reason, strlen(filter->reason)) == DRAY_KIND_COUNT) {
        return dri_cli_usage(cli, "--reason: there is no reason \"%s\"", filter->reason);
    }
    int code = read_time(cli, "since", now_ms, &filter->since_ms);
    code = code == DRI_EXIT_OK ? read_time(cli, "until", now_ms, &filter->until_ms) : code;
    if (code != DRI_EXIT_OK || text == NULL) {
        return code;
    }
    enum dray_status status = dri_where_parse(text, now_ms, &filter->where, &error);
    if (status == DRAY_EINVALID) {
        return where_fail(cli, text, &error);
    }
    return status == DRAY_OK ? DRI_EXIT_OK
                             : dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", dray_status_text(status));
}

void dri_letter_filter_fini(struct dri_letter_filter *filter)
{
    dri_where_destroy(filter->where);
    filter->where = NULL;
}

static uint64_t size_of(const struct dri_found *found)
{
    return found->letter.is_pointer ? found->letter.pointer_bytes : found->value.len;
}

static void row_of(const struct dri_found *found, struct dri_where_row *row)
{
    const struct dri_letter *letter = &found->letter;
    memset(row, 0, sizeof(*row));
    row->text[DRI_WHERE_command] = letter->command;
    row->text[DRI_WHERE_reason] = letter->reason_text;
    row->text[DRI_WHERE_key] = found->key;
    row->text[DRI_WHERE_namespace] = letter->namespace_;
    row->text[DRI_WHERE_id] = letter->id;
    row->text[DRI_WHERE_message] = letter->message;
    row->text[DRI_WHERE_source] = letter->source;
    row->text[DRI_WHERE_worker] = letter->worker;
    row->text[DRI_WHERE_fingerprint] = letter->fingerprint;
    row->text[DRI_WHERE_unit] = letter->sequence;
    row->text[DRI_WHERE_topic] = found->topic;
    row->text[DRI_WHERE_version] = letter->version;
    row->text[DRI_WHERE_handler] = letter->handler;
    row->number[DRI_WHERE_attempts] = letter->attempts;
    row->number[DRI_WHERE_replays] = letter->replays;
    row->number[DRI_WHERE_size] = size_of(found);
    row->number[DRI_WHERE_partition] = (uint64_t)found->partition;
    row->number[DRI_WHERE_offset] = found->offset;
    row->number[DRI_WHERE_sequence] = found->offset;
    row->number[DRI_WHERE_first_failed_at] = letter->first_failed_ms;
    row->number[DRI_WHERE_last_failed_at] = letter->last_failed_ms;
}

/* "topic/partition/offset", its end ("3/17", "17"), or the command's id. */
static bool is_place(const struct dri_found *found, const char *place)
{
    size_t len = strlen(place);
    size_t whole = strlen(found->position);
    if (dray_slice_equal_text(found->letter.id, place)) {
        return true;
    }
    if (whole < len || strcmp(found->position + whole - len, place) != 0) {
        return false;
    }
    return whole == len || found->position[whole - len - 1] == '/';
}

bool dri_letter_filter_matches(const struct dri_letter_filter *filter,
                               const struct dri_found *found)
{
    const struct dri_letter *letter = &found->letter;
    struct dri_where_row row;
    if (filter == NULL) {
        return true;
    }
    if ((filter->place != NULL && !is_place(found, filter->place)) ||
        (filter->unit.at != NULL && !dray_slice_equal(letter->sequence, filter->unit)) ||
        (filter->command != NULL && !dray_slice_equal_text(letter->command, filter->command)) ||
        (filter->reason != NULL && !dray_slice_equal_text(letter->reason_text, filter->reason)) ||
        (filter->key != NULL && !dray_slice_equal_text(found->key, filter->key)) ||
        (filter->since_ms != 0 && letter->last_failed_ms < filter->since_ms) ||
        (filter->until_ms != 0 && letter->last_failed_ms >= filter->until_ms)) {
        return false;
    }
    if (filter->where == NULL) {
        return true;
    }
    row_of(found, &row);
    return dri_where_matches(filter->where, &row);
}

/* ---- reading ---- */

static struct dray_slice copy_part(uint8_t **at, struct dray_slice part)
{
    if (part.at == NULL) {
        return part;
    }
    struct dray_slice copy = dray_slice_of(*at, part.len);
    if (part.len > 0) {
        memcpy(*at, part.at, part.len);
    }
    *at += part.len;
    return copy;
}

static struct dri_found *copy_of(const struct dri_found *from)
{
    size_t bytes = from->topic.len + from->key.len + from->value.len + from->headers.len;
    struct dri_found *found = dri_zalloc(sizeof(*found) + bytes + 1);
    if (found == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(found + 1);
    *found = *from;
    found->topic = copy_part(&at, from->topic);
    found->key = copy_part(&at, from->key);
    found->value = copy_part(&at, from->value);
    found->headers = copy_part(&at, from->headers);
    /* The letter's texts are views into the headers, so they are read anew. */
    if (dri_letter_read(found->headers, &found->letter) != DRAY_OK) {
        dri_free(found);
        return NULL;
    }
    return found;
}

static enum dray_status on_message(void *arg, const struct dri_log_place *place,
                                   const struct dri_message *message)
{
    struct dri_letters *letters = arg;
    struct dri_found found = {
        .has_partition = place->has_partition,
        .partition = place->partition,
        .offset = message->offset,
        .topic = message->subject,
        .key = message->key,
        .value = message->value,
        .headers = message->headers,
    };
    dri_log_position(place, message->offset, found.position);
    if (dri_letter_read(found.headers, &found.letter) != DRAY_OK) {
        letters->foreign++;
        return DRAY_OK;
    }
    if (!dri_letter_filter_matches(letters->filter, &found)) {
        return DRAY_OK;
    }
    struct dri_found *copy = copy_of(&found);
    if (copy == NULL) {
        return DRAY_ENOMEM;
    }
    *letters->last = copy;
    letters->last = &copy->next;
    return DRAY_OK;
}

enum dray_status dri_letters_open(const struct dri_cli *cli, const struct dri_letter_filter *filter,
                                  struct dri_letters **ret_letters, char *ret_text,
                                  size_t text_bytes)
{
    struct dri_letters *letters = dri_zalloc(sizeof(*letters));
    if (letters == NULL) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
        return DRAY_ENOMEM;
    }
    letters->filter = filter;
    letters->last = &letters->first;
    const struct dri_log_walk_config config = {
        .cli = cli,
        .source = {.topic = cli->settings.topics.dead_letters,
                   .role = DRI_ROLE_LOG,
                   .start = DRI_START_EARLIEST},
        .on_message = on_message,
        .arg = letters,
    };
    enum dray_status status = dri_log_walk_open(&config, &letters->walk, ret_text, text_bytes);
    if (status != DRAY_OK) {
        dri_letters_close(letters);
        return status;
    }
    *ret_letters = letters;
    return DRAY_OK;
}

enum dray_status dri_letters_next(struct dri_letters *letters, struct dri_found **ret_found)
{
    while (letters->first == NULL) {
        enum dray_status status = dri_log_walk_step(letters->walk);
        if (status != DRAY_OK && letters->first == NULL) {
            return status;
        }
    }
    struct dri_found *found = letters->first;
    letters->first = found->next;
    if (letters->first == NULL) {
        letters->last = &letters->first;
    }
    found->next = NULL;
    *ret_found = found;
    return DRAY_OK;
}

uint64_t dri_letters_foreign(const struct dri_letters *letters)
{
    return letters->foreign;
}

void dri_letters_close(struct dri_letters *letters)
{
    if (letters == NULL) {
        return;
    }
    dri_log_walk_close(letters->walk);
    while (letters->first != NULL) {
        struct dri_found *found = letters->first;
        letters->first = found->next;
        dri_free(found);
    }
    dri_free(letters);
}

int dri_letters_begin(const struct dri_cli *cli, const struct dri_letter_filter *filter,
                      struct dri_letters **ret_letters)
{
    char text[TEXT_BYTES] = "";
    enum dray_status status = dri_letters_open(cli, filter, ret_letters, text, sizeof(text));
    if (status == DRAY_ENOTFOUND) {
        return dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "there are no dead letters: %s", text);
    }
    return status == DRAY_OK ? DRI_EXIT_OK
                             : dri_cli_fail(cli, (int)dri_exit_for_open(status), "%s", text);
}

int dri_letters_end(const struct dri_cli *cli, const struct dri_letters *letters,
                    enum dray_status status)
{
    uint64_t foreign = dri_letters_foreign(letters);
    if (foreign > 0) {
        (void)dri_cli_fail(cli, 0, "%" PRIu64 " messages in %s have no dray-dlq-reason: left out",
                           foreign, cli->settings.topics.dead_letters);
    }
    return dri_log_walk_end(cli, letters->walk, cli->settings.topics.dead_letters, status);
}

/* ---- JSON ---- */

void dri_letter_to_json(const struct dri_found *found, struct dri_text *text)
{
    const struct dri_letter *letter = &found->letter;
    dri_text_addf(text, "{");
    dri_field_text(text, "topic", found->topic);
    if (found->has_partition) {
        dri_text_addf(text, ",\"partition\":%" PRId32, found->partition);
    }
    dri_field_number(text, found->has_partition ? "offset" : "sequence", found->offset);
    dri_field_text(text, "key", found->key);
    dri_field_text(text, "id", letter->id);
    dri_field_text(text, "command", letter->command);
    dri_field_text(text, "namespace", letter->namespace_);
    dri_field_text(text, "reason", letter->reason_text);
    dri_field_text(text, "message", letter->message);
    dri_field_number(text, "attempts", letter->attempts);
    dri_field_time(text, "first_failed_at", letter->first_failed_ms);
    dri_field_time(text, "last_failed_at", letter->last_failed_ms);
    dri_field_text(text, "source", letter->source);
    dri_field_text(text, "worker", letter->worker);
    dri_field_text(text, "fingerprint", letter->fingerprint);
    dri_field_text(text, "unit", letter->sequence);
    dri_field_number(text, "replays", letter->replays);
    dri_field_number(text, "size", size_of(found));
}
