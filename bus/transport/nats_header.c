/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "nats_tools.h"

/* Headers between NATS and the flat form of wire/headers.h: each is name length (u16,
 * little-endian), name, value length (u32, little-endian; UINT32_MAX for null), value. The layers
 * do not let this file include that one, so the format is walked and written here by a few lines of
 * its own.
 *
 * A block has to begin with the version line and to end with an empty line, else it counts as one
 * without headers. Names and values that are sent are cleaned here, so that no byte of a command
 * can begin a line of its own. nats_message.c takes the block from a message, and puts it onto one.
 *
 * Names that begin with Nats- are instructions to the server (a copied Nats-Expected-Stream makes a
 * letter unpublishable for ever): they go out as dray-orig-<name>. The Nats-Msg-Id of a letter or a
 * replay is dray's own and is left out when it is read, or each replay would carry all earlier ones
 * along as originals. The broker's message key is the
 * header dray-key; bytes that are no clean UTF-8 text go as base64, and dray-key-encoding says so.
 */

#define VERSION_LINE      DRI_NATS_VERSION_LINE
#define KEY_NAME          "dray-key"
#define KEY_ENCODING_NAME "dray-key-encoding"
#define KEY_ENCODING      "base64"
#define ORIGINAL_PREFIX   "dray-orig-"
#define RESERVED_PREFIX   "Nats-"
#define DEDUP_NAME        "Nats-Msg-Id"

/* --- base64 --------------------------------------------------------------------------------- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t base64_encode(struct dray_slice bytes, uint8_t *ret_text)
{
    uint8_t *put = ret_text;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.at[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.at[i + 2] : 0;
        *put++ = (uint8_t)base64[group >> 18];
        *put++ = (uint8_t)base64[group >> 12 & 63];
        *put++ = left > 1 ? (uint8_t)base64[group >> 6 & 63] : '=';
        *put++ = left > 2 ? (uint8_t)base64[group & 63] : '=';
    }
    return (size_t)(put - ret_text);
}

size_t dri_nats_base64_decode(struct dray_slice text, uint8_t *ret_bytes)
{
    uint32_t bits = 0, count = 0;
    size_t put = 0;
    while (text.len > 0 && text.at[text.len - 1] == '=') {
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.at[i] == '\0' ? NULL : strchr(base64, text.at[i]);
        if (found == NULL) {
            return SIZE_MAX;
        }
        bits = bits << 6 | (uint32_t)(found - base64);
        count += 6;
        if (count >= 8) {
            count -= 8;
            ret_bytes[put++] = (uint8_t)(bits >> count);
        }
    }
    return put;
}

/* --- what was received ---------------------------------------------------------------------- */

struct dray_slice dri_nats_header_sound(struct dray_slice block)
{
    const size_t shortest = sizeof(VERSION_LINE) - 1 + 4;
    bool is_sound = block.at != NULL && block.len >= shortest &&
                    memcmp(block.at, VERSION_LINE, sizeof(VERSION_LINE) - 1) == 0 &&
                    memcmp(block.at + block.len - 4, "\r\n\r\n", 4) == 0;
    return is_sound ? block : (struct dray_slice){NULL, 0};
}

struct line {
    struct dray_slice name, value;
};

/** The next "Name: value" of a block; *at is 0 first. One space after the colon is not of the
 * value. */
static bool next_line(struct dray_slice block, size_t *at, struct line *ret_line)
{
    size_t here = *at;
    if (here == 0) {
        const uint8_t *end = memchr(block.at, '\n', block.len);
        here = end == NULL ? block.len : (size_t)(end - block.at) + 1;
    }
    while (here < block.len) {
        const uint8_t *start = block.at + here;
        const uint8_t *end = memchr(start, '\n', block.len - here);
        size_t len = end == NULL ? block.len - here : (size_t)(end - start);
        here += len + (end == NULL ? 0 : 1);
        if (len > 0 && start[len - 1] == '\r') {
            len--;
        }
        const uint8_t *colon = len == 0 ? NULL : memchr(start, ':', len);
        if (colon == NULL || colon == start) {
            continue; /* the empty line at the end, or nothing that has a name */
        }
        size_t name_len = (size_t)(colon - start);
        size_t skip = name_len + 1 < len && start[name_len + 1] == ' ' ? 2 : 1;
        *at = here;
        ret_line->name = dray_slice_of(start, name_len);
        ret_line->value = dray_slice_of(start + name_len + skip, len - name_len - skip);
        return true;
    }
    *at = here;
    return false;
}

static bool name_is(struct dray_slice name, const char *text)
{
    size_t len = strlen(text);
    return name.len == len && strncasecmp((const char *)name.at, text, len) == 0;
}

static size_t flat_put(uint8_t *put, struct line line)
{
    put[0] = (uint8_t)line.name.len;
    put[1] = (uint8_t)(line.name.len >> 8);
    memcpy(put + 2, line.name.at, line.name.len);
    uint8_t *value = put + 2 + line.name.len;
    for (int i = 0; i < 4; i++) {
        value[i] = (uint8_t)(line.value.len >> (8 * i));
    }
    if (line.value.len > 0) {
        memcpy(value + 4, line.value.at, line.value.len);
    }
    return 6 + line.name.len + line.value.len;
}

enum dray_status dri_nats_header_decode_block(struct dray_slice block, bool is_ours,
                                              struct dri_nats_arena *arena,
                                              struct dray_slice *ret_key,
                                              struct dray_slice *ret_headers)
{
    const struct dray_slice absent = {NULL, 0};
    struct dray_slice key = absent;
    bool is_base64 = false;
    size_t at = 0, len = 0, lines = 0;
    struct line line;
    *ret_key = *ret_headers = absent;
    block = dri_nats_header_sound(block);
    if (block.at == NULL) {
        return DRAY_OK;
    }
    for (size_t i = 0; i < block.len; i++) {
        lines += block.at[i] == '\n' ? 1 : 0;
    }
    /* A line of n bytes and its end becomes at most n + 6. */
    uint8_t *flat = dri_nats_arena_take(arena, block.len + 6 * lines);
    if (flat == NULL) {
        return DRAY_ENOMEM;
    }
    while (next_line(block, &at, &line)) {
        if (line.name.len > UINT16_MAX || (is_ours && name_is(line.name, DEDUP_NAME))) {
            continue;
        }
        if (name_is(line.name, KEY_NAME)) {
            key = line.value;
        } else if (name_is(line.name, KEY_ENCODING_NAME)) {
            is_base64 = dray_slice_equal_text(line.value, KEY_ENCODING);
        } else {
            len += flat_put(flat + len, line);
        }
    }
    if (key.at != NULL && is_base64) {
        uint8_t *raw = dri_nats_arena_take(arena, key.len + 1);
        if (raw == NULL) {
            return DRAY_ENOMEM;
        }
        size_t raw_len = dri_nats_base64_decode(key, raw);
        key = raw_len == SIZE_MAX ? key : dray_slice_of(raw, raw_len);
    }
    *ret_key = key;
    *ret_headers = len == 0 ? absent : dray_slice_of(flat, len);
    return DRAY_OK;
}

/* --- what is sent --------------------------------------------------------------------------- */

/** The next header of the flat form; false at the end or where it is damaged. */
static bool next_flat(struct dray_slice flat, size_t *at, struct line *ret_line)
{
    size_t here = *at;
    if (flat.at == NULL || flat.len - here < 6) {
        return false;
    }
    size_t name_len = (size_t)(flat.at[here] | flat.at[here + 1] << 8);
    if (flat.len - here - 6 < name_len) {
        return false;
    }
    ret_line->name = dray_slice_of(flat.at + here + 2, name_len);
    const uint8_t *size = flat.at + here + 2 + name_len;
    uint32_t value_len = 0;
    for (int i = 3; i >= 0; i--) {
        value_len = value_len << 8 | size[i];
    }
    if (value_len == UINT32_MAX) {
        value_len = 0; /* NATS knows no null: empty */
    }
    here += 6 + name_len;
    if (flat.len - here < value_len) {
        return false;
    }
    ret_line->value = dray_slice_of(flat.at + here, value_len);
    *at = here + value_len;
    return true;
}

static uint8_t *put_bytes(uint8_t *put, const void *at, size_t len)
{
    if (len > 0) {
        memcpy(put, at, len);
    }
    return put + len;
}

static uint8_t *put_line(uint8_t *put, const char *prefix, struct line line)
{
    put = put_bytes(put, prefix, strlen(prefix));
    for (size_t i = 0; i < line.name.len; i++) {
        uint8_t byte = line.name.at[i];
        *put++ = byte <= ' ' || byte == ':' || byte == 0x7f ? '_' : byte;
    }
    put = put_bytes(put, ": ", 2);
    for (size_t i = 0; i < line.value.len; i++) {
        uint8_t byte = line.value.at[i];
        *put++ = byte == '\r' || byte == '\n' || byte == '\0' ? ' ' : byte;
    }
    return put_bytes(put, "\r\n", 2);
}

/** Whether a key can stand in a header as it is: UTF-8 without control bytes or blank ends. */
static bool is_clean_text(struct dray_slice key)
{
    size_t at = 0;
    if (key.len == 0 || key.at[0] == ' ' || key.at[key.len - 1] == ' ') {
        return key.len == 0;
    }
    while (at < key.len) {
        uint8_t byte = key.at[at];
        size_t more = byte < 0x80 ? 0 : byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && byte < 0xc2) || byte > 0xf4 ||
            key.len - at <= more) {
            return false;
        }
        uint32_t point = more == 0 ? byte : byte & (0x3fu >> more);
        for (size_t i = 1; i <= more; i++) {
            if ((key.at[at + i] & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (key.at[at + i] & 0x3fu);
        }
        if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
            (point >= 0xd800 && point <= 0xdfff)) {
            return false;
        }
        at += more + 1;
    }
    return true;
}

static uint8_t *put_key(uint8_t *put, struct dray_slice key)
{
    const struct dray_slice name = dray_slice_text(KEY_NAME);
    if (is_clean_text(key)) {
        return put_line(put, "", (struct line){name, key});
    }
    put = put_bytes(put, KEY_NAME ": ", sizeof(KEY_NAME) + 1);
    put += base64_encode(key, put);
    put = put_bytes(put, "\r\n", 2);
    return put_line(
        put, "", (struct line){dray_slice_text(KEY_ENCODING_NAME), dray_slice_text(KEY_ENCODING)});
}

enum dray_status dri_nats_header_encode(const struct dri_publish *publish,
                                        struct dri_nats_arena *arena, struct dray_slice *ret_block)
{
    const size_t line_extra = sizeof(ORIGINAL_PREFIX) + 4;
    size_t at = 0, count = 0;
    struct line line;
    while (next_flat(publish->headers, &at, &line)) {
        count++;
    }
    size_t bytes = publish->headers.len + count * line_extra + publish->dedup_id.len +
                   publish->key.len * 4 / 3 + 128;
    uint8_t *block = dri_nats_arena_take(arena, bytes), *put = block;
    if (block == NULL) {
        return DRAY_ENOMEM;
    }
    if (publish->dedup_id.at != NULL && publish->dedup_id.len > 0) {
        put = put_line(put, "", (struct line){dray_slice_text(DEDUP_NAME), publish->dedup_id});
    }
    if (publish->key.at != NULL) {
        put = put_key(put, publish->key);
    }
    for (at = 0; next_flat(publish->headers, &at, &line);) {
        bool is_key = name_is(line.name, KEY_NAME) || name_is(line.name, KEY_ENCODING_NAME);
        if (line.name.len == 0 || (is_key && publish->key.at != NULL)) {
            continue;
        }
        bool is_reserved = line.name.len >= sizeof(RESERVED_PREFIX) - 1 &&
                           strncasecmp((const char *)line.name.at, RESERVED_PREFIX,
                                       sizeof(RESERVED_PREFIX) - 1) == 0;
        put = put_line(put, is_reserved ? ORIGINAL_PREFIX : "", line);
    }
    size_t len = (size_t)(put - block);
    *ret_block = len == 0 ? (struct dray_slice){NULL, 0} : dray_slice_of(block, len);
    block[len] = '\0';
    return DRAY_OK;
}
