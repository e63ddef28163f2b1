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

#define TEXT_BYTES   1024u
#define PATIENCE_MS  30000u
#define SLOTS_MAX    65536u
#define ORIGIN_BYTES 296u

struct slot {
    char origin[ORIGIN_BYTES];
    int32_t partition;
    bool is_caught_up;
};

struct dri_letters {
    const struct dri_letter_filter *filter; /* borrowed */
    struct dri_bus *bus;                    /* owned */
    bool has_partitions;
    struct slot *slots; /* owned; by slot number */
    uint32_t slots_count, assigned, caught_up;
    struct dri_found *first, **last; /* queue; each owned */
    uint64_t foreign;
    bool has_progress;
    enum dray_status status; /* of a callback */
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

static struct slot *slot_at(struct dri_letters *letters, uint32_t slot)
{
    if (slot >= SLOTS_MAX) {
        return NULL;
    }
    if (slot >= letters->slots_count) {
        uint32_t count = slot < 64 ? 64 : slot * 2;
        struct slot *larger = dri_zalloc_array(count, sizeof(*larger));
        if (larger == NULL) {
            return NULL;
        }
        if (letters->slots_count > 0) {
            memcpy(larger, letters->slots, letters->slots_count * sizeof(*larger));
        }
        dri_free(letters->slots);
        letters->slots = larger;
        letters->slots_count = count;
    }
    return &letters->slots[slot];
}

static void on_assigned(struct dri_letters *letters, const struct dri_transport_event *event)
{
    struct slot *slot = slot_at(letters, event->slot);
    if (slot == NULL) {
        letters->status = DRAY_ENOMEM;
        return;
    }
    struct dray_slice origin = event->as.assigned.origin;
    snprintf(slot->origin, sizeof(slot->origin), "%.*s", (int)origin.len, (const char *)origin.at);
    slot->partition = event->as.assigned.partition;
    letters->assigned++;
}

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

static void on_message(struct dri_letters *letters, const struct dri_transport_event *event)
{
    const struct dri_message *message = &event->as.message;
    struct slot *slot = slot_at(letters, event->slot);
    if (slot == NULL || slot->is_caught_up) {
        return; /* came after the end as it was when we began */
    }
    struct dri_found found = {
        .has_partition = letters->has_partitions,
        .partition = slot->partition,
        .offset = message->offset,
        .topic = message->subject,
        .key = message->key,
        .value = message->value,
        .headers = message->headers,
    };
    snprintf(found.position, sizeof(found.position), "%s/%" PRIu64, slot->origin, found.offset);
    if (dri_letter_read(found.headers, &found.letter) != DRAY_OK) {
        letters->foreign++;
        return;
    }
    if (!dri_letter_filter_matches(letters->filter, &found)) {
        return;
    }
    struct dri_found *copy = copy_of(&found);
    if (copy == NULL) {
        letters->status = DRAY_ENOMEM;
        return;
    }
    *letters->last = copy;
    letters->last = &copy->next;
}

static void on_event(void *arg, const struct dri_transport_event *event)
{
    struct dri_letters *letters = arg;
    letters->has_progress = true;
    if (event->type == DRI_TE_ASSIGNED) {
        on_assigned(letters, event);
    } else if (event->type == DRI_TE_MESSAGE) {
        on_message(letters, event);
    } else if (event->type == DRI_TE_CAUGHT_UP) {
        struct slot *slot = slot_at(letters, event->slot);
        if (slot != NULL && !slot->is_caught_up) {
            slot->is_caught_up = true;
            letters->caught_up++;
        }
    }
}

static bool is_at_end(const struct dri_letters *letters)
{
    return letters->assigned > 0 && letters->caught_up >= letters->assigned;
}

static bool has_news(void *arg)
{
    const struct dri_letters *letters = arg;
    return letters->has_progress || letters->first != NULL || letters->status != DRAY_OK;
}

enum dray_status dri_letters_open(const struct dri_cli *cli, const struct dri_letter_filter *filter,
                                  struct dri_letters **ret_letters, char *ret_text,
                                  size_t text_bytes)
{
    const struct dri_source source = {.topic = cli->settings.topics.dead_letters,
                                      .role = DRI_ROLE_LOG,
                                      .start = DRI_START_EARLIEST};
    const struct dri_bus_config config = {.sources = &source, .sources_count = 1};
    struct dri_transport_info info;
    struct dri_letters *letters = dri_zalloc(sizeof(*letters));
    if (letters == NULL) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
        return DRAY_ENOMEM;
    }
    letters->filter = filter;
    letters->last = &letters->first;
    enum dray_status status = dri_bus_open(cli, &config, &letters->bus, ret_text, text_bytes);
    if (status != DRAY_OK) {
        dri_letters_close(letters);
        return status;
    }
    dri_bus_ops(letters->bus)->info(dri_bus_transport(letters->bus), &info);
    letters->has_partitions = strcmp(info.kind, "nats") != 0;
    *ret_letters = letters;
    return DRAY_OK;
}

enum dray_status dri_letters_next(struct dri_letters *letters, struct dri_found **ret_found)
{
    while (letters->first == NULL) {
        if (letters->status != DRAY_OK) {
            return letters->status;
        }
        if (is_at_end(letters)) {
            return DRAY_ENOTFOUND;
        }
        letters->has_progress = false;
        enum dray_status status =
            dri_bus_run(letters->bus, PATIENCE_MS, on_event, has_news, letters);
        if (status != DRAY_OK) {
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

const char *dri_letters_fault(const struct dri_letters *letters)
{
    return dri_bus_fault(letters->bus);
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
    dri_bus_close(letters->bus);
    while (letters->first != NULL) {
        struct dri_found *found = letters->first;
        letters->first = found->next;
        dri_free(found);
    }
    dri_free(letters->slots);
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
    if (status == DRAY_ENOTFOUND || status == DRAY_OK) {
        return DRI_EXIT_OK;
    }
    if (status == DRAY_ECLOSED) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "interrupted");
    }
    const char *fault = dri_letters_fault(letters);
    return dri_cli_fail(cli, (int)dri_exit_for_open(status), "reading %s: %s",
                        cli->settings.topics.dead_letters,
                        fault[0] != '\0' ? fault : dray_status_text(status));
}

/* ---- JSON ---- */

static void add_text(struct dri_text *text, const char *name, struct dray_slice value)
{
    dri_text_addf(text, "%s\"%s\":", text->len > 1 ? "," : "", name);
    if (value.at == NULL) {
        dri_text_addf(text, "null");
    } else {
        dri_text_add_json_string(text, value);
    }
}

static void add_number(struct dri_text *text, const char *name, uint64_t number)
{
    dri_text_addf(text, ",\"%s\":%" PRIu64, name, number);
}

static void add_time(struct dri_text *text, const char *name, uint64_t wall_ms)
{
    char time[DRI_CLOCK_TEXT_BYTES];
    dri_clock_format(wall_ms, time);
    add_text(text, name, wall_ms == 0 ? dray_slice_of(NULL, 0) : dray_slice_text(time));
}

void dri_letter_to_json(const struct dri_found *found, struct dri_text *text)
{
    const struct dri_letter *letter = &found->letter;
    dri_text_addf(text, "{");
    add_text(text, "topic", found->topic);
    if (found->has_partition) {
        dri_text_addf(text, ",\"partition\":%" PRId32, found->partition);
    }
    add_number(text, found->has_partition ? "offset" : "sequence", found->offset);
    add_text(text, "key", found->key);
    add_text(text, "id", letter->id);
    add_text(text, "command", letter->command);
    add_text(text, "namespace", letter->namespace_);
    add_text(text, "reason", letter->reason_text);
    add_text(text, "message", letter->message);
    add_number(text, "attempts", letter->attempts);
    add_time(text, "first_failed_at", letter->first_failed_ms);
    add_time(text, "last_failed_at", letter->last_failed_ms);
    add_text(text, "source", letter->source);
    add_text(text, "worker", letter->worker);
    add_text(text, "fingerprint", letter->fingerprint);
    add_number(text, "replays", letter->replays);
    add_number(text, "size", size_of(found));
}
