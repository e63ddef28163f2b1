/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_CURSOR_H
#define DRI_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "scanner.h"

/* cursor.h - the scanner's short ways, inlined into the decoders of this folder. Private to wire.
 *
 * Each handles the encodings that packers really choose and leaves the rest, and all errors, to
 * dri_scanner_next, so that there is one place that decides what is wrong. Bytes are put together
 * by memcpy: no cast of a byte pointer to a wider type.
 */

static inline uint16_t dri_be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t dri_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t dri_be64(const uint8_t *at)
{
    return (uint64_t)dri_be32(at) << 32 | dri_be32(at + 4);
}

static inline bool dri_is_ascii8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

/* Whether a text is well-formed; short ASCII, which nearly all are, without a call. */
static inline bool dri_cursor_is_utf8(struct dray_slice text)
{
    const uint8_t *at = text.at;
    size_t len = text.len;
    uint8_t bits = 0;

    if (len >= 8) {
        size_t i = 0;

        for (; i + 8 <= len; i += 8) {
            if (!dri_is_ascii8(at + i)) {
                return dri_utf8_is_valid(text);
            }
        }
        return dri_is_ascii8(at + len - 8) ? true : dri_utf8_is_valid(text);
    }
    for (size_t i = 0; i < len; i++) {
        bits |= at[i];
    }
    return bits < 0x80 ? true : dri_utf8_is_valid(text);
}

/* The rare forms of the three below, and what is wrong with the rest. */
DRAY_MUST_CHECK enum dray_status dri_cursor_text_rare(struct dri_scanner *scanner,
                                                      struct dray_slice *ret_text);
DRAY_MUST_CHECK enum dray_status dri_cursor_uint_rare(struct dri_scanner *scanner,
                                                      uint64_t *ret_value);

/* A str, its UTF-8 unchecked. */
DRAY_MUST_CHECK static inline enum dray_status dri_cursor_bytes(struct dri_scanner *scanner,
                                                                struct dray_slice *ret_text)
{
    const uint8_t *at = scanner->at;
    size_t left = (size_t)(scanner->end - at);

    if (left > 0 && (at[0] & 0xe0) == 0xa0 && (size_t)(at[0] & 0x1f) < left) {
        size_t len = at[0] & 0x1f;

        *ret_text = dray_slice_of(at + 1, len);
        scanner->at = at + 1 + len;
        scanner->pending--;
        return DRAY_OK;
    }
    if (left > 1 && at[0] == 0xd9 && (size_t)at[1] + 1 < left) {
        *ret_text = dray_slice_of(at + 2, at[1]);
        scanner->at = at + 2 + at[1];
        scanner->pending--;
        return DRAY_OK;
    }
    return dri_cursor_text_rare(scanner, ret_text);
}

/* A str that is UTF-8. */
DRAY_MUST_CHECK static inline enum dray_status dri_cursor_text(struct dri_scanner *scanner,
                                                               struct dray_slice *ret_text)
{
    const uint8_t *begin = scanner->at;
    struct dray_slice text;
    enum dray_status status = dri_cursor_bytes(scanner, &text);

    if (status != DRAY_OK) {
        return status;
    }
    if (!dri_cursor_is_utf8(text)) {
        scanner->at = begin;
        scanner->error_text = "is not valid UTF-8";
        return DRAY_EINVALID;
    }
    *ret_text = text;
    return DRAY_OK;
}

/* An integer that is not negative, however it was packed. */
DRAY_MUST_CHECK static inline enum dray_status dri_cursor_uint(struct dri_scanner *scanner,
                                                               uint64_t *ret_value)
{
    const uint8_t *at = scanner->at;
    size_t left = (size_t)(scanner->end - at);

    if (left > 0 && at[0] < 0x80) {
        *ret_value = at[0];
        scanner->at = at + 1;
        scanner->pending--;
        return DRAY_OK;
    }
    if (left > 8 && at[0] == 0xcf) {
        *ret_value = dri_be64(at + 1);
        scanner->at = at + 9;
        scanner->pending--;
        return DRAY_OK;
    }
    return dri_cursor_uint_rare(scanner, ret_value);
}

#endif
