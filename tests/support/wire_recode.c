/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "wire_recode.h"

#include <string.h>

#include "base/mem.h"
#include "wire/cancel.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/headers.h"
#include "wire/letter.h"
#include "wire/park.h"
#include "wire/result.h"
#include "wire/schedule.h"

const struct dri_wire_limits wire_limits = {
    .message_bytes = 1024u * 1024u, .depth = 16, .elements = 4096};

static enum dray_status envelope_recode(struct dray_slice message, uint8_t *buffer,
                                        size_t buffer_bytes, size_t *ret_len,
                                        struct dri_wire_error *ret_error)
{
    struct dri_envelope envelope;
    enum dray_status status = dri_envelope_decode(message, &wire_limits, &envelope, ret_error);

    return status != DRAY_OK ? status
                             : dri_envelope_encode(&envelope, buffer, buffer_bytes, ret_len);
}

static enum dray_status result_recode(struct dray_slice message, uint8_t *buffer,
                                      size_t buffer_bytes, size_t *ret_len,
                                      struct dri_wire_error *ret_error)
{
    struct dri_result result;
    enum dray_status status = dri_result_decode(message, &wire_limits, &result, ret_error);

    return status != DRAY_OK ? status : dri_result_encode(&result, buffer, buffer_bytes, ret_len);
}

static enum dray_status letter_recode(struct dray_slice message, uint8_t *buffer,
                                      size_t buffer_bytes, size_t *ret_len,
                                      struct dri_wire_error *ret_error)
{
    struct dri_letter letter;
    enum dray_status status = dri_letter_read(message, &letter);

    *ret_error = (struct dri_wire_error){"", "has no dray-dlq-reason", 0};
    if (status != DRAY_OK) {
        return status;
    }
    if (letter.reason == DRAY_KIND_COUNT) {
        letter.reason = DRAY_KIND_INVALID;
    }
    return dri_letter_headers(&letter, message, buffer, buffer_bytes, ret_len);
}

static enum dray_status park_recode(struct dray_slice message, uint8_t *buffer, size_t buffer_bytes,
                                    size_t *ret_len, struct dri_wire_error *ret_error)
{
    struct dri_park park;
    enum dray_status status = dri_park_read(message, &park);

    *ret_error = (struct dri_wire_error){"", "has no dray-park-source", 0};
    return status != DRAY_OK ? status
                             : dri_park_headers(&park, message, buffer, buffer_bytes, ret_len);
}

static enum dray_status control_recode(struct dray_slice message, uint8_t *buffer,
                                       size_t buffer_bytes, size_t *ret_len,
                                       struct dri_wire_error *ret_error)
{
    struct dri_control_record record;
    enum dray_status status = dri_control_decode(message, &wire_limits, &record, ret_error);

    return status != DRAY_OK ? status : dri_control_encode(&record, buffer, buffer_bytes, ret_len);
}

static enum dray_status change_recode(struct dray_slice message, uint8_t *buffer,
                                      size_t buffer_bytes, size_t *ret_len,
                                      struct dri_wire_error *ret_error)
{
    struct dri_change change;
    struct dri_change_item *items;
    size_t at = 0;
    size_t count = 0;
    enum dray_status status = dri_change_decode(message, &wire_limits, &change, ret_error);

    if (status != DRAY_OK) {
        return status;
    }
    items = dri_zalloc_array(change.items_count + 1, sizeof(*items));
    if (items == NULL) {
        return DRAY_ENOMEM;
    }
    while (count < change.items_count && dri_change_next(&change, &at, &items[count])) {
        count++;
    }
    status = count == change.items_count
                 ? dri_change_encode(&change, items, count, buffer, buffer_bytes, ret_len)
                 : DRAY_EFATAL;
    dri_free(items);
    return status;
}

static enum dray_status cancel_recode(struct dray_slice message, uint8_t *buffer,
                                      size_t buffer_bytes, size_t *ret_len,
                                      struct dri_wire_error *ret_error)
{
    struct dri_change change;
    struct dri_cancel_item *items;
    size_t at = 0;
    size_t count = 0;
    enum dray_status status = dri_cancel_decode(message, &wire_limits, &change, ret_error);

    if (status != DRAY_OK) {
        return status;
    }
    items = dri_zalloc_array(change.items_count + 1, sizeof(*items));
    if (items == NULL) {
        return DRAY_ENOMEM;
    }
    while (count < change.items_count && dri_cancel_next(&change, &at, &items[count])) {
        count++;
    }
    status = count == change.items_count
                 ? dri_cancel_encode(&change, items, count, buffer, buffer_bytes, ret_len)
                 : DRAY_EFATAL;
    dri_free(items);
    return status;
}

static enum dray_status schedules_recode(struct dray_slice message, uint8_t *buffer,
                                         size_t buffer_bytes, size_t *ret_len,
                                         struct dri_wire_error *ret_error)
{
    struct dri_change change;
    struct dri_schedule_item *items;
    size_t at = 0;
    size_t count = 0;
    enum dray_status status = dri_schedule_change_decode(message, &wire_limits, &change, ret_error);

    if (status != DRAY_OK) {
        return status;
    }
    items = dri_zalloc_array(change.items_count + 1, sizeof(*items));
    if (items == NULL) {
        return DRAY_ENOMEM;
    }
    while (count < change.items_count && dri_schedule_next(&change, &at, &items[count])) {
        count++;
    }
    status = count == change.items_count
                 ? dri_schedule_change_encode(&change, items, count, buffer, buffer_bytes, ret_len)
                 : DRAY_EFATAL;
    dri_free(items);
    return status;
}

static enum dray_status schedule_recode(struct dray_slice message, uint8_t *buffer,
                                        size_t buffer_bytes, size_t *ret_len,
                                        struct dri_wire_error *ret_error)
{
    struct dri_schedule_view view;
    enum dray_status status = dri_schedule_decode(message, &wire_limits, &view, ret_error);

    return status != DRAY_OK ? status : dri_schedule_encode(&view, buffer, buffer_bytes, ret_len);
}

static enum dray_status tick_recode(struct dray_slice message, uint8_t *buffer, size_t buffer_bytes,
                                    size_t *ret_len, struct dri_wire_error *ret_error)
{
    struct dri_tick tick;
    enum dray_status status = dri_tick_decode(message, &wire_limits, &tick, ret_error);

    return status != DRAY_OK ? status : dri_tick_encode(&tick, buffer, buffer_bytes, ret_len);
}

static enum dray_status route_recode(struct dray_slice message, uint8_t *buffer,
                                     size_t buffer_bytes, size_t *ret_len,
                                     struct dri_wire_error *ret_error)
{
    struct dri_route_view view;
    enum dray_status status = dri_route_decode(message, &wire_limits, &view, ret_error);

    return status != DRAY_OK ? status : dri_route_encode(&view, buffer, buffer_bytes, ret_len);
}

static enum dray_status status_recode(struct dray_slice message, uint8_t *buffer,
                                      size_t buffer_bytes, size_t *ret_len,
                                      struct dri_wire_error *ret_error)
{
    struct dri_status_record record;
    enum dray_status status = dri_status_decode(message, &wire_limits, &record, ret_error);

    if (status != DRAY_OK) {
        return status;
    }
    struct dri_status_failure *failed = dri_zalloc_array(record.failed_count + 1, sizeof(*failed));
    struct dri_status_module *modules =
        dri_zalloc_array(record.modules_count + 1, sizeof(*modules));
    struct dri_status_refusal *refusals =
        dri_zalloc_array(record.refusals_count + 1, sizeof(*refusals));
    struct dri_status_idle *idle = dri_zalloc_array(record.idle_count + 1, sizeof(*idle));
    struct dri_status_heat *heat = dri_zalloc_array(record.heat_count + 1, sizeof(*heat));
    struct dri_status_lists lists = {.failed = failed,
                                     .modules = modules,
                                     .refusals = refusals,
                                     .heat = dray_slice_is_absent(record.heat) ? NULL : heat,
                                     .idle = dray_slice_is_absent(record.idle) ? NULL : idle};
    bool has_room =
        failed != NULL && modules != NULL && refusals != NULL && idle != NULL && heat != NULL;
    status = has_room ? DRAY_OK : DRAY_ENOMEM;
    if (status == DRAY_OK) {
        size_t at = 0;
        while (lists.failed_count < record.failed_count &&
               dri_status_next_failure(&record, &at, &failed[lists.failed_count])) {
            lists.failed_count++;
        }
        at = 0;
        while (lists.modules_count < record.modules_count &&
               dri_status_next_module(&record, &at, &modules[lists.modules_count])) {
            lists.modules_count++;
        }
        at = 0;
        while (lists.refusals_count < record.refusals_count &&
               dri_status_next_refusal(&record, &at, &refusals[lists.refusals_count])) {
            lists.refusals_count++;
        }
        at = 0;
        while (lists.idle_count < record.idle_count &&
               dri_status_next_idle(&record, &at, &idle[lists.idle_count])) {
            lists.idle_count++;
        }
        at = 0;
        while (lists.heat_count < record.heat_count &&
               dri_status_next_heat(&record, &at, &heat[lists.heat_count])) {
            lists.heat_count++;
        }
        bool is_whole = lists.heat_count == record.heat_count &&
                        lists.idle_count == record.idle_count &&
                        lists.failed_count == record.failed_count &&
                        lists.modules_count == record.modules_count &&
                        lists.refusals_count == record.refusals_count;
        status = is_whole ? dri_status_encode(&record, &lists, buffer, buffer_bytes, ret_len)
                          : DRAY_EFATAL;
    }
    dri_free(failed);
    dri_free(modules);
    dri_free(refusals);
    dri_free(idle);
    dri_free(heat);
    return status;
}

wire_recode_fn *wire_recode_find(const char *format)
{
    static const struct {
        const char *format;
        wire_recode_fn *recode;
    } formats[] = {
        {"envelope", envelope_recode},   {"result", result_recode}, {"letter", letter_recode},
        {"control", control_recode},     {"change", change_recode}, {"route", route_recode},
        {"status", status_recode},       {"cancel", cancel_recode}, {"schedule", schedule_recode},
        {"schedules", schedules_recode}, {"tick", tick_recode},     {"park", park_recode}};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(format, formats[i].format) == 0) {
            return formats[i].recode;
        }
    }
    return NULL;
}
