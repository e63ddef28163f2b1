/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* park.c - records of a park log.
 *
 * A record is the message as it was, so that whoever reads the topic with other tools sees the
 * command, and what dray must know about it in headers: text, because that is what a person reads
 * who looks into a log of commands that do not go on. A record that is parked again carries what
 * the record before it said, so earlier dray-park-* headers never stay.
 *
 * Who reads is not who wrote: another release, another tool, a person with a producer. A field that
 * makes no sense is as good as absent; only a record that does not say where it comes from is none.
 */

#include "park.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "headers.h"

#define OURS         "dray-park-"
#define FIELDS_COUNT 7u
#define FIELD_BYTES  64u /* lengths, name and a number or a time, rounded up */

/* 0: adds nothing. */
static void time_add(struct dri_header_sheet *sheet, const char *name, uint64_t wall_ms)
{
    if (wall_ms != 0) {
        dri_sheet_add_time(sheet, name, wall_ms);
    }
}

/* Absent: adds nothing. */
static void text_add(struct dri_header_sheet *sheet, const char *name, struct dray_slice text)
{
    if (!dray_slice_is_absent(text)) {
        dri_sheet_add(sheet, dray_slice_text(name), text);
    }
}

static const char *const kind_texts[DRI_PARK_KIND_COUNT] = {
#define KIND_TEXT(name, text) [DRI_PARK_##name] = (text),
    DRI_PARK_KIND_TABLE(KIND_TEXT)
#undef KIND_TEXT
};

enum dray_status dri_park_headers(const struct dri_park *park, struct dray_slice original,
                                  void *buffer, size_t buffer_bytes, size_t *ret_len)
{
    struct dri_header_sheet sheet = {
        .at = (uint8_t *)buffer, .bytes = buffer_bytes, .status = DRAY_OK};

    dri_sheet_add_others(&sheet, original, OURS);
    text_add(&sheet, OURS "source", park->source);
    dri_sheet_add_number(&sheet, OURS "attempts", park->attempts);
    time_add(&sheet, OURS "due", park->due_ms);
    time_add(&sheet, OURS "first-failed-at", park->first_failed_ms);
    if (park->has_order) {
        dri_sheet_add_number(&sheet, OURS "order", park->order);
    }
    if (park->kind != DRI_PARK_COMMAND) {
        text_add(&sheet, OURS "state", dray_slice_text(kind_texts[park->kind]));
    }
    text_add(&sheet, OURS "unit", park->unit);
    if (sheet.status == DRAY_OK) {
        *ret_len = sheet.len;
    }
    return sheet.status;
}

size_t dri_park_headers_max(const struct dri_park *park, struct dray_slice original)
{
    return original.len + FIELDS_COUNT * FIELD_BYTES + park->source.len + park->unit.len;
}

static enum dri_park_kind kind_parse(struct dray_slice text)
{
    for (unsigned i = DRI_PARK_COMMAND + 1u; i < DRI_PARK_KIND_COUNT; i++) {
        if (dray_slice_equal_text(text, kind_texts[i])) {
            return (enum dri_park_kind)i;
        }
    }
    return DRI_PARK_COMMAND;
}

/* One header of ours, its name without the prefix. */
static void field_read(struct dray_slice name, struct dray_slice value, struct dri_park *park)
{
    uint64_t number = 0;

    if (dri_header_name_is(name, "source")) {
        park->source = value;
    } else if (dri_header_name_is(name, "unit")) {
        park->unit = value;
    } else if (dri_header_name_is(name, "state")) {
        park->kind = kind_parse(value);
    } else if (dri_header_name_is(name, "due")) {
        park->due_ms = dri_clock_parse((const char *)value.at, value.len);
    } else if (dri_header_name_is(name, "first-failed-at")) {
        park->first_failed_ms = dri_clock_parse((const char *)value.at, value.len);
    } else if (dri_header_name_is(name, "attempts")) {
        park->attempts =
            dri_header_number(value, &number) && number <= UINT32_MAX ? (uint32_t)number : 0;
    } else if (dri_header_name_is(name, "order")) {
        park->has_order = dri_header_number(value, &park->order);
    }
}

enum dray_status dri_park_read(struct dray_slice headers, struct dri_park *ret_park)
{
    struct dri_park park;
    struct dri_header header;
    size_t at = 0;

    memset(&park, 0, sizeof(park));
    while (dri_headers_next(headers, &at, &header)) {
        if (dri_header_name_begins(header.name, OURS) && !dray_slice_is_absent(header.value)) {
            size_t prefix = sizeof(OURS) - 1;

            field_read(dray_slice_of(header.name.at + prefix, header.name.len - prefix),
                       header.value, &park);
        }
    }
    if (park.source.len == 0 && park.kind != DRI_PARK_RELEASE) {
        return DRAY_ENOTFOUND;
    }
    *ret_park = park;
    return DRAY_OK;
}

enum dray_status dri_park_original(struct dray_slice headers, void *buffer, size_t buffer_bytes,
                                   size_t *ret_len)
{
    struct dri_header_sheet sheet = {
        .at = (uint8_t *)buffer, .bytes = buffer_bytes, .status = DRAY_OK};

    dri_sheet_add_others(&sheet, headers, OURS);
    if (sheet.status == DRAY_OK) {
        *ret_len = sheet.len;
    }
    return sheet.status;
}

uint64_t dri_park_source_hash(struct dray_slice origin, uint64_t offset)
{
    return dri_park_source_mix(dri_hash64(origin), offset);
}

static bool read_source(struct dray_slice source, struct dray_slice *ret_origin,
                        uint64_t *ret_offset)
{
    size_t slash = source.len;

    while (slash > 0 && source.at[slash - 1] != '/') {
        slash--;
    }
    if (slash < 2 ||
        !dri_header_number(dray_slice_of(source.at + slash, source.len - slash), ret_offset)) {
        return false;
    }
    *ret_origin = dray_slice_of(source.at, slash - 1);
    return true;
}

uint64_t dri_park_source_hash_of(struct dray_slice source)
{
    struct dray_slice origin;
    uint64_t offset;
    return read_source(source, &origin, &offset) ? dri_park_source_hash(origin, offset) : 0;
}

uint64_t dri_park_source_offset_of(struct dray_slice source)
{
    struct dray_slice origin;
    uint64_t offset;
    return read_source(source, &origin, &offset) ? offset : 0;
}
