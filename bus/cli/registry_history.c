/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_history.c - the changes of the control log as a person looks back at them.
 *
 * Everything that was read is kept, with what became of it: what a revision held is found by going
 * over the changes up to it once more, so that nothing has to be kept beside them.
 */
#include "registry_history.h"

#include <string.h>

#include "assert.h"
#include "mem.h"
#include "wire/schedule.h"

static const struct dri_wire_limits record_limits = {
    .message_bytes = UINT32_MAX, .depth = 16, .elements = UINT32_MAX};

static enum dray_status make_room(struct dri_history *history)
{
    if (history->count < history->capacity) {
        return DRAY_OK;
    }
    size_t capacity = history->capacity == 0 ? 64 : history->capacity * 2;
    struct dri_history_record *more = dri_zalloc_array(capacity, sizeof(*more));
    if (more == NULL) {
        return DRAY_ENOMEM;
    }
    if (history->count > 0) {
        memcpy(more, history->records, history->count * sizeof(*more));
    }
    dri_free(history->records);
    history->records = more;
    history->capacity = capacity;
    return DRAY_OK;
}

enum dray_status dri_history_add(struct dri_history *history, struct dray_slice value,
                                 const struct dri_control_outcome *outcome)
{
    struct dri_history_record record = {.revision = outcome->revision,
                                        .verdict = outcome->verdict,
                                        .conflict = outcome->conflict,
                                        .distrust = outcome->distrust,
                                        .is_unsigned = outcome->is_unsigned,
                                        .bytes_len = value.len,
                                        .bytes = dri_zalloc(value.len + 1)};
    enum dray_status status = make_room(history);
    if (status != DRAY_OK || record.bytes == NULL) {
        dri_free(record.bytes);
        return DRAY_ENOMEM;
    }
    if (value.len > 0) {
        memcpy(record.bytes, value.at, value.len);
    }
    if (outcome->has_change) {
        struct dri_control_record control;
        struct dri_wire_error error;
        record.has_change =
            dri_control_decode(dray_slice_of(record.bytes, value.len), &record_limits, &control,
                               &error) == DRAY_OK &&
            dri_change_decode(control.change, &record_limits, &record.change, &error) == DRAY_OK;
        if (record.has_change && dri_change_is_schedule(&record.change)) {
            /* its items are counted so; one that is refused for them stays as it is */
            enum dray_status decoded =
                dri_schedule_change_decode(control.change, &record_limits, &record.change, &error);
            DRI_ASSERT(decoded == DRAY_OK || outcome->verdict != DRI_CONTROL_SCHEDULES);
        }
    }
    if (outcome->text[0] != '\0') {
        record.text = dri_strdup(outcome->text);
    }
    history->records[history->count++] = record;
    return DRAY_OK;
}

void dri_history_fini(struct dri_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        dri_free(history->records[i].text);
        dri_free(history->records[i].bytes);
    }
    dri_free(history->records);
    *history = (struct dri_history){.records = NULL};
}

enum dray_status dri_history_apply(const struct dri_history_record *record,
                                   struct dri_registry *registry)
{
    struct dri_registry_conflict conflict;
    char text[256];
    if (record->verdict != DRI_CONTROL_APPLIED) {
        return DRAY_OK;
    }
    enum dray_status status = dri_registry_apply(registry, record->revision, &record->change,
                                                 &conflict, text, sizeof(text));
    DRI_ASSERT(status == DRAY_OK || status == DRAY_ENOMEM); /* the same rule on the same records */
    return status;
}

enum dray_status dri_history_registry(const struct dri_history *history, uint64_t revision,
                                      struct dri_registry **ret_registry)
{
    const struct dri_registry_config config = {.readers_max = 1, .shards = 1};
    struct dri_registry *registry = NULL;
    enum dray_status status = dri_registry_create(&config, &registry);
    for (size_t i = 0; status == DRAY_OK && i < history->count; i++) {
        if (history->records[i].revision > revision) {
            break;
        }
        status = dri_history_apply(&history->records[i], registry);
    }
    if (status != DRAY_OK) {
        dri_registry_destroy(registry);
        return status;
    }
    *ret_registry = registry;
    return DRAY_OK;
}

struct dray_slice dri_history_route(const struct dri_history *history, struct dray_slice key,
                                    uint64_t revision)
{
    for (size_t i = history->count; i > 0 && history->records[i - 1].revision >= revision; i--) {
        const struct dri_history_record *record = &history->records[i - 1];
        struct dri_change_item item;
        size_t at = 0;
        bool is_it = record->revision == revision && record->verdict == DRI_CONTROL_APPLIED;
        while (is_it && dri_change_next(&record->change, &at, &item)) {
            if (dray_slice_equal(item.key, key)) {
                return item.route;
            }
        }
    }
    return dray_slice_of(NULL, 0);
}

const char *dri_history_verdict(const struct dri_history_record *record)
{
    switch (record->verdict) {
    case DRI_CONTROL_CONFLICT:
        return "conflict";
    case DRI_CONTROL_REFUSED:
        return "refused";
    case DRI_CONTROL_IGNORED:
        return "ignored";
    default:
        return "accepted";
    }
}

struct dray_slice dri_history_author(struct dray_slice author)
{
    const uint8_t *sign = author.at == NULL ? NULL : memchr(author.at, '#', author.len);
    return sign == NULL ? author : dray_slice_of(author.at, (size_t)(sign - author.at));
}
