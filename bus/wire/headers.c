/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* headers.c - headers as they travel inside dray, and what dray writes as one.
 *
 * One flat run of bytes is copied with the message, kept with it and never parsed unless somebody
 * asks; names and values need no end mark, so that every byte a broker takes is kept. Values of our
 * own are text, because other tools show them: decimal numbers, RFC 3339 times.
 */

#include "headers.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Name length and value length. */
#define HEADER_FIXED_BYTES 6u
#define VALUE_IS_NULL      UINT32_MAX

static uint32_t little_read(const uint8_t *at, unsigned bytes)
{
    uint32_t number = 0;

    for (unsigned i = 0; i < bytes; i++) {
        number |= (uint32_t)at[i] << (8 * i);
    }
    return number;
}

static void little_write(uint8_t *at, uint32_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
}

bool dri_headers_next(struct dray_slice headers, size_t *at, struct dri_header *ret_header)
{
    size_t left = *at < headers.len ? headers.len - *at : 0;
    const uint8_t *begin = left == 0 ? NULL : headers.at + *at;
    uint32_t name_len;
    uint32_t value_len;

    if (left < HEADER_FIXED_BYTES) {
        return false;
    }
    name_len = little_read(begin, 2);
    if (left - HEADER_FIXED_BYTES < name_len) {
        return false;
    }
    value_len = little_read(begin + 2 + name_len, 4);
    ret_header->name = dray_slice_of(begin + 2, name_len);
    ret_header->value = dray_slice_of(NULL, 0);
    if (value_len == VALUE_IS_NULL) {
        *at += HEADER_FIXED_BYTES + name_len;
        return true;
    }
    if (left - HEADER_FIXED_BYTES - name_len < value_len) {
        return false;
    }
    ret_header->value = dray_slice_of(begin + HEADER_FIXED_BYTES + name_len, value_len);
    *at += HEADER_FIXED_BYTES + name_len + (size_t)value_len;
    return true;
}

static uint8_t fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool dri_header_name_begins(struct dray_slice name, const char *prefix)
{
    for (size_t i = 0; prefix[i] != '\0'; i++) {
        if (i >= name.len || fold(name.at[i]) != fold((uint8_t)prefix[i])) {
            return false;
        }
    }
    return true;
}

bool dri_header_name_is(struct dray_slice name, const char *text)
{
    return name.len == strlen(text) && dri_header_name_begins(name, text);
}

struct dray_slice dri_headers_find(struct dray_slice headers, const char *name)
{
    struct dray_slice found = dray_slice_of(NULL, 0);
    struct dri_header header;
    size_t at = 0;

    while (dri_headers_next(headers, &at, &header)) {
        if (dri_header_name_is(header.name, name)) {
            found = header.value;
        }
    }
    return found;
}

bool dri_header_number(struct dray_slice value, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (value.len == 0 || value.len > 20) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint64_t digit = (uint64_t)value.at[i] - '0';

        if (value.at[i] < '0' || value.at[i] > '9' || number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

size_t dri_headers_bytes(struct dray_slice name, struct dray_slice value)
{
    return HEADER_FIXED_BYTES + name.len + value.len;
}

enum dray_status dri_headers_append(void *buffer, size_t buffer_bytes, size_t *len,
                                    struct dray_slice name, struct dray_slice value)
{
    uint8_t *at;

    if (name.len > UINT16_MAX || value.len >= VALUE_IS_NULL || *len > buffer_bytes ||
        dri_headers_bytes(name, value) > buffer_bytes - *len) {
        return DRAY_ELIMIT;
    }
    at = (uint8_t *)buffer + *len;
    little_write(at, (uint32_t)name.len, 2);
    if (name.len > 0) {
        memcpy(at + 2, name.at, name.len);
    }
    at += 2 + name.len;
    little_write(at, dray_slice_is_absent(value) ? VALUE_IS_NULL : (uint32_t)value.len, 4);
    if (value.len > 0) {
        memcpy(at + 4, value.at, value.len);
    }
    *len += dri_headers_bytes(name, value);
    return DRAY_OK;
}

void dri_sheet_add(struct dri_header_sheet *sheet, struct dray_slice name, struct dray_slice value)
{
    if (sheet->status == DRAY_OK) {
        sheet->status = dri_headers_append(sheet->at, sheet->bytes, &sheet->len, name, value);
    }
}

void dri_sheet_add_number(struct dri_header_sheet *sheet, const char *name, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    dri_sheet_add(sheet, dray_slice_text(name), dray_slice_text(text));
}

void dri_sheet_add_time(struct dri_header_sheet *sheet, const char *name, uint64_t wall_ms)
{
    char text[DRI_CLOCK_TEXT_BYTES];

    dri_clock_format(wall_ms, text);
    dri_sheet_add(sheet, dray_slice_text(name), dray_slice_text(text));
}

void dri_sheet_add_others(struct dri_header_sheet *sheet, struct dray_slice headers,
                          const char *prefix)
{
    struct dri_header header;
    size_t at = 0;

    while (dri_headers_next(headers, &at, &header)) {
        if (!dri_header_name_begins(header.name, prefix)) {
            dri_sheet_add(sheet, header.name, header.value);
        }
    }
}
