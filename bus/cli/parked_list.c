/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* parked_list.c - a park log read beside the workers.
 *
 * On Kafka the log keeps what is finished, so the group's position and what is committed with it
 * say what counts: reading begins there. On JetStream what is finished is deleted. Then the records
 * are made into what the workers' core makes of them (core/park.c): of copies with one source the
 * one that stood there first, and of its rewritings the last; a release lets go what stands before
 * it.
 */
#include "parked_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "run/finished.h"
#include "wire/envelope.h"

#define TEXT_BYTES  1024u
#define TOPIC_BYTES 512u
#define LIST_FIRST  256u

static const struct dri_wire_limits any_size = {
    .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};

/* What the group has finished of one part of the log. */
struct part {
    struct dri_finished finished;
    char *metadata; /* owned */
};

struct reading {
    struct dri_parked_list *list;
    struct part *parts; /* owned; by slot */
    uint32_t parts_count;
    const char *topic;
};

static enum dray_status part_grow(struct reading *reading, uint32_t slot)
{
    if (slot < reading->parts_count) {
        return DRAY_OK;
    }
    uint32_t count = slot < 64 ? 64 : slot * 2;
    struct part *larger = dri_zalloc_array(count, sizeof(*larger));
    if (larger == NULL) {
        return DRAY_ENOMEM;
    }
    if (reading->parts_count > 0) {
        memcpy(larger, reading->parts, reading->parts_count * sizeof(*larger));
    }
    dri_free(reading->parts);
    reading->parts = larger;
    reading->parts_count = count;
    return DRAY_OK;
}

static enum dray_status on_begin(void *arg, const struct dri_log_place *place, int64_t position,
                                 struct dray_slice metadata)
{
    struct reading *reading = arg;
    enum dray_status status = part_grow(reading, place->slot);
    if (status != DRAY_OK) {
        return status;
    }
    struct part *part = &reading->parts[place->slot];
    if (metadata.len > 0) {
        part->metadata = dri_strndup(metadata.at, metadata.len);
        if (part->metadata == NULL) {
            return DRAY_ENOMEM;
        }
    }
    dri_finished_init(&part->finished, position < 0 ? 0 : (uint64_t)position,
                      dray_slice_of(part->metadata, part->metadata == NULL ? 0 : metadata.len));
    return DRAY_OK;
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

static struct dri_parked_record *record_make(const struct dri_log_place *place,
                                             const struct dri_message *message)
{
    struct dri_envelope envelope = {.command = {NULL, 0}};
    struct dri_wire_error error;
    struct dri_parked_record *record =
        dri_zalloc(sizeof(*record) + message->subject.len + message->headers.len +
                   message->key.len + 2 * message->value.len + 1);
    if (record == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(record + 1);
    if (message->value.len > 0 &&
        dri_envelope_decode(message->value, &any_size, &envelope, &error) != DRAY_OK) {
        envelope.key = dray_slice_of(NULL, 0); /* the workers take the message's then */
    }
    record->place = *place;
    record->place.origin = NULL;
    record->offset = message->offset;
    record->timestamp_ms = message->timestamp_ms;
    record->topic = copy_part(&at, message->subject);
    record->headers = copy_part(&at, message->headers);
    record->key = copy_part(&at, envelope.key.at != NULL ? envelope.key : message->key);
    record->command = copy_part(&at, envelope.command);
    if (envelope.id.at != NULL) {
        dri_id_format(envelope.id, envelope.is_id_binary, record->id);
    }
    dri_log_position(place, message->offset, record->position);
    return record;
}

static enum dray_status list_grow(struct dri_parked_list *list)
{
    if (list->count < list->capacity) {
        return DRAY_OK;
    }
    size_t capacity = list->capacity == 0 ? LIST_FIRST : 2 * list->capacity;
    struct dri_parked_record **larger = dri_zalloc_array(capacity, sizeof(*larger));
    if (larger == NULL) {
        return DRAY_ENOMEM;
    }
    if (list->count > 0) {
        memcpy(larger, list->at, list->count * sizeof(*larger));
    }
    dri_free(list->at);
    list->at = larger;
    list->capacity = capacity;
    return DRAY_OK;
}

static enum dray_status on_message(void *arg, const struct dri_log_place *place,
                                   const struct dri_message *message)
{
    struct reading *reading = arg;
    struct dri_parked_list *list = reading->list;
    if (place->slot < reading->parts_count && place->has_partition &&
        dri_finished_has(&reading->parts[place->slot].finished, message->offset)) {
        return DRAY_OK;
    }
    enum dray_status status = list_grow(list);
    struct dri_parked_record *record = status == DRAY_OK ? record_make(place, message) : NULL;
    if (record == NULL) {
        return DRAY_ENOMEM;
    }
    if (dri_park_read(record->headers, &record->park) != DRAY_OK) {
        list->foreign++;
        dri_free(record);
        return DRAY_OK;
    }
    record->order = record->park.has_order && record->park.order < record->offset
                        ? record->park.order
                        : record->offset;
    list->at[list->count++] = record;
    return DRAY_OK;
}

/* ---- what the records come to ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Parts of the log in the order of their partitions or subjects. */
static int compare_parts(const struct dri_parked_record *a, const struct dri_parked_record *b)
{
    size_t len = a->topic.len < b->topic.len ? a->topic.len : b->topic.len;
    int order = a->place.partition != b->place.partition
                    ? (a->place.partition > b->place.partition ? 1 : -1)
                : len == 0 ? 0
                           : memcmp(a->topic.at, b->topic.at, len);
    return order != 0 ? order : compare_numbers(a->topic.len, b->topic.len);
}

static int by_source(const void *left, const void *right)
{
    const struct dri_parked_record *a = *(const struct dri_parked_record *const *)left;
    const struct dri_parked_record *b = *(const struct dri_parked_record *const *)right;
    int order = compare_parts(a, b);
    if (order == 0) {
        order = compare_numbers(dri_park_source_hash_of(a->park.source),
                                dri_park_source_hash_of(b->park.source));
    }
    if (order == 0) {
        order = compare_numbers(a->order, b->order);
    }
    return order != 0 ? order : compare_numbers(b->offset, a->offset); /* the last one first */
}

static int compare_keys(const struct dri_parked_record *a, const struct dri_parked_record *b)
{
    if (a->key.at == NULL || b->key.at == NULL) {
        return (a->key.at != NULL) - (b->key.at != NULL);
    }
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = len == 0 ? 0 : memcmp(a->key.at, b->key.at, len);
    return order != 0 ? order : compare_numbers(a->key.len, b->key.len);
}

static int by_key(const void *left, const void *right)
{
    const struct dri_parked_record *a = *(const struct dri_parked_record *const *)left;
    const struct dri_parked_record *b = *(const struct dri_parked_record *const *)right;
    int order = compare_parts(a, b);
    order = order != 0 ? order : compare_keys(a, b);
    order = order != 0 ? order : compare_numbers(a->order, b->order);
    return order != 0 ? order : compare_numbers(a->offset, b->offset);
}

bool dri_parked_is_same_key(const struct dri_parked_record *a, const struct dri_parked_record *b)
{
    return a->key.at != NULL && compare_parts(a, b) == 0 && compare_keys(a, b) == 0;
}

static void list_sort(struct dri_parked_list *list, int (*compare)(const void *, const void *))
{
    if (list->count > 1) {
        qsort(list->at, list->count, sizeof(struct dri_parked_record *), compare);
    }
}

/* Takes out what is NULL. */
static void list_close_up(struct dri_parked_list *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i] != NULL) {
            list->at[count++] = list->at[i];
        }
    }
    list->count = count;
}

static void list_remove(struct dri_parked_list *list, size_t at)
{
    dri_free(list->at[at]);
    list->at[at] = NULL;
}

static void copies_remove(struct dri_parked_list *list)
{
    const struct dri_parked_record *before = NULL;
    list_sort(list, by_source);
    for (size_t i = 0; i < list->count; i++) {
        const struct dri_parked_record *record = list->at[i];
        uint64_t hash = dri_park_source_hash_of(record->park.source);
        if (before != NULL && hash != 0 && record->park.kind != DRI_PARK_RELEASE &&
            compare_parts(before, record) == 0 &&
            dri_park_source_hash_of(before->park.source) == hash) {
            list_remove(list, i);
        } else {
            before = record->park.kind == DRI_PARK_RELEASE ? before : record;
        }
    }
    list_close_up(list);
}

/* Records of one key: from `from` to the return value. */
static size_t key_end(const struct dri_parked_list *list, size_t from)
{
    size_t end = from + 1;
    while (end < list->count && dri_parked_is_same_key(list->at[from], list->at[end])) {
        end++;
    }
    return end;
}

static void key_release(struct dri_parked_list *list, size_t from, size_t end)
{
    bool has_release = false;
    uint64_t release = 0;
    for (size_t i = from; i < end; i++) {
        if (list->at[i]->park.kind == DRI_PARK_RELEASE) {
            release = list->at[i]->offset > release ? list->at[i]->offset : release;
            has_release = true;
        }
    }
    for (size_t i = from; i < end; i++) {
        struct dri_parked_record *record = list->at[i];
        bool is_let_go = has_release && record->offset < release;
        if (record->park.kind == DRI_PARK_RELEASE ||
            (record->park.kind == DRI_PARK_HELD && is_let_go)) {
            list_remove(list, i);
        } else if (record->park.kind == DRI_PARK_STOPPED && is_let_go) {
            record->park.kind = DRI_PARK_COMMAND;
            record->park.due_ms = 0;
        }
    }
}

static void releases_apply(struct dri_parked_list *list)
{
    list_sort(list, by_key);
    for (size_t from = 0, end; from < list->count; from = end) {
        end = key_end(list, from);
        key_release(list, from, end);
    }
    list_close_up(list);
}

static void stoppers_find(struct dri_parked_list *list)
{
    for (size_t from = 0, end; from < list->count; from = end) {
        struct dri_parked_record *stopper = NULL;
        uint64_t commands = 0;
        end = key_end(list, from);
        for (size_t i = from; i < end; i++) {
            enum dri_park_kind kind = list->at[i]->park.kind;
            if (kind == DRI_PARK_COMMAND) {
                commands++;
            } else if (stopper == NULL) {
                stopper = list->at[i];
            }
        }
        if (stopper != NULL) {
            stopper->is_stopper = true;
            stopper->behind = commands;
        }
    }
}

const char *dri_parked_state(const struct dri_parked_record *record)
{
    return record->park.kind == DRI_PARK_STOPPED ? "stopped"
           : record->park.kind == DRI_PARK_HELD  ? "held"
                                                 : "waiting";
}

/* ---- reading ---- */

static int read_all(const struct dri_cli *cli, struct reading *reading)
{
    bool is_kafka = strncmp(cli->settings.bus, "kafka:", 6) == 0;
    char topic[TOPIC_BYTES];
    char text[TEXT_BYTES] = "";
    snprintf(topic, sizeof(topic), is_kafka ? "%s" : "%s.p.*", cli->settings.topics.park);
    const struct dri_log_walk_config config = {
        .cli = cli,
        .source = {.topic = topic, .role = DRI_ROLE_LOG, .start = DRI_START_GROUP},
        .group = cli->settings.group,
        .on_message = on_message,
        .on_begin = on_begin,
        .arg = reading,
    };
    struct dri_log_walk *walk = NULL;
    enum dray_status status = dri_log_walk_open(&config, &walk, text, sizeof(text));
    if (status == DRAY_ENOTFOUND) {
        return dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "nothing is parked: there is no log yet (%s)",
                            text);
    }
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, (int)dri_exit_for_open(status), "%s", text);
    }
    while ((status = dri_log_walk_step(walk)) == DRAY_OK) {
    }
    int code = dri_log_walk_end(cli, walk, cli->settings.topics.park, status);
    dri_log_walk_close(walk);
    return code;
}

int dri_parked_list_read(const struct dri_cli *cli, struct dri_parked_list *list)
{
    struct reading reading = {.list = list};
    *list = (struct dri_parked_list){.at = NULL};
    int code = read_all(cli, &reading);
    for (uint32_t i = 0; i < reading.parts_count; i++) {
        dri_free(reading.parts[i].metadata);
    }
    dri_free(reading.parts);
    if (code == DRI_EXIT_OK) {
        copies_remove(list);
        releases_apply(list);
        stoppers_find(list);
    }
    if (list->foreign > 0) {
        (void)dri_cli_fail(cli, 0, "%zu messages in %s have no dray-park-source: left out",
                           list->foreign, cli->settings.topics.park);
    }
    return code;
}

void dri_parked_list_fini(struct dri_parked_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        dri_free(list->at[i]);
    }
    dri_free(list->at);
    *list = (struct dri_parked_list){.at = NULL};
}
