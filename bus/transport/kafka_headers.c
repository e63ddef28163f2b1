/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_headers.c - message headers between the flat form of wire/headers.h and librdkafka's lists.
 *
 * The flat form is spelled out here a second time because a transport knows nothing of the wire:
 * name length (u16, little-endian), name, value length (u32, little-endian; UINT32_MAX: null),
 * value. tests/contract sends what wire/headers.c wrote and reads it back, so the two cannot drift
 * apart.
 */

#include <string.h>

#include "kafka_private.h"

#define NULL_VALUE UINT32_MAX

struct header {
    const char *name;
    size_t name_len;
    const void *value; /* NULL: null value */
    size_t value_len;
};

static uint32_t read_le(const uint8_t *at, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint32_t)at[i] << (8 * i);
    }
    return value;
}

static void write_le(uint8_t *at, size_t bytes, uint32_t value)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* One header at *at; false when the bytes do not hold a whole one. */
static bool read_header(struct dray_slice flat, size_t *at, struct header *ret)
{
    size_t left = flat.len - *at;
    const uint8_t *bytes = flat.at + *at;
    if (left < 2) {
        return false;
    }
    ret->name_len = read_le(bytes, 2);
    if (left - 2 < ret->name_len + 4) {
        return false;
    }
    ret->name = (const char *)bytes + 2;
    left -= 2 + ret->name_len + 4;
    bytes += 2 + ret->name_len;
    uint32_t value_len = read_le(bytes, 4);
    bool is_null = value_len == NULL_VALUE;
    ret->value = is_null ? NULL : bytes + 4;
    ret->value_len = is_null ? 0 : value_len;
    if (left < ret->value_len) {
        return false;
    }
    *at += 2 + ret->name_len + 4 + ret->value_len;
    return true;
}

enum dray_status dri_kafka_headers_make(struct dray_slice flat, rd_kafka_headers_t **ret_headers)
{
    if (flat.len == 0) {
        *ret_headers = NULL;
        return DRAY_OK;
    }
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    if (headers == NULL) {
        return DRAY_ENOMEM;
    }
    size_t at = 0;
    struct header header;
    while (at < flat.len) {
        if (!read_header(flat, &at, &header) ||
            rd_kafka_header_add(headers, header.name, (ssize_t)header.name_len, header.value,
                                (ssize_t)header.value_len) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_headers_destroy(headers);
            return DRAY_EINVALID;
        }
    }
    *ret_headers = headers;
    return DRAY_OK;
}

/* A name that the flat form cannot hold (over 65,535 bytes) is cut: it is a stranger's, and nothing
 * of ours looks at it. */
static size_t name_bytes(const char *name)
{
    size_t len = strlen(name);
    return len > UINT16_MAX ? UINT16_MAX : len;
}

size_t dri_kafka_headers_bytes(const rd_kafka_headers_t *headers)
{
    size_t bytes = 0;
    const char *name;
    const void *value;
    size_t value_len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &value_len) ==
                       RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        bytes += 2 + name_bytes(name) + 4 + (value == NULL ? 0 : value_len);
    }
    return bytes;
}

void dri_kafka_headers_flatten(const rd_kafka_headers_t *headers, uint8_t *at)
{
    const char *name;
    const void *value;
    size_t value_len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &value_len) ==
                       RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        size_t name_len = name_bytes(name);
        write_le(at, 2, (uint32_t)name_len);
        memcpy(at + 2, name, name_len);
        at += 2 + name_len;
        write_le(at, 4, value == NULL ? NULL_VALUE : (uint32_t)value_len);
        at += 4;
        if (value != NULL && value_len > 0) {
            memcpy(at, value, value_len);
            at += value_len;
        }
    }
}
