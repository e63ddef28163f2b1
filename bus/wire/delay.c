/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "delay.h"

#include "assert.h"
#include "clock.h"
#include "headers.h"

#define SOURCE "dray-delay-source"
#define DUE    "dray-delay-due"

struct level {
    const char *name;
    uint64_t ms;
};

static const struct level levels[] = {
#define LEVEL(name, ms) {name, ms},
    DRI_DELAY_LEVEL_TABLE(LEVEL)
#undef LEVEL
};

_Static_assert(sizeof(levels) / sizeof(levels[0]) == DRI_DELAY_LEVELS, "the table and its length");

const char *dri_delay_level_name(uint32_t level)
{
    DRI_ASSERT(level < DRI_DELAY_LEVELS);
    return levels[level].name;
}

uint64_t dri_delay_level_ms(uint32_t level)
{
    DRI_ASSERT(level < DRI_DELAY_LEVELS);
    return levels[level].ms;
}

uint32_t dri_delay_level_for(uint64_t wait_ms)
{
    uint32_t level = DRI_DELAY_LEVELS - 1;
    while (level > 0 && levels[level].ms + DRI_DELAY_MARGIN_MS > wait_ms) {
        level--;
    }
    return level;
}

enum dray_status dri_delay_headers(struct dray_slice original, struct dray_slice source,
                                   uint64_t due_ms, void *buffer, size_t buffer_bytes,
                                   size_t *ret_len)
{
    char due[DRI_CLOCK_TEXT_BYTES];
    struct dri_header header;
    size_t at = 0, len = 0;
    bool has_source = false;
    enum dray_status status = DRAY_OK;
    while (status == DRAY_OK && dri_headers_next(original, &at, &header)) {
        has_source = has_source || dri_header_name_is(header.name, SOURCE);
        if (!dri_header_name_is(header.name, DUE)) {
            status = dri_headers_append(buffer, buffer_bytes, &len, header.name, header.value);
        }
    }
    if (status == DRAY_OK && !has_source) {
        status = dri_headers_append(buffer, buffer_bytes, &len, dray_slice_text(SOURCE), source);
    }
    if (status == DRAY_OK) {
        dri_clock_format(due_ms, due);
        status = dri_headers_append(buffer, buffer_bytes, &len, dray_slice_text(DUE),
                                    dray_slice_text(due));
    }
    if (status == DRAY_OK) {
        *ret_len = len;
    }
    return status;
}

size_t dri_delay_headers_max(struct dray_slice original, struct dray_slice source)
{
    return original.len + dri_headers_bytes(dray_slice_text(SOURCE), source) +
           dri_headers_bytes(dray_slice_text(DUE), dray_slice_of(NULL, DRI_CLOCK_TEXT_BYTES));
}
