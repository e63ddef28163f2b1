/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_WRITER_H
#define DRI_WIRE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <dray/slice.h>

/* writer.h - msgpack written straight into a bounded buffer. Private to wire.
 *
 * For the two formats that are written once a command (envelope and result); what is written rarely
 * goes through msgpack-c (packer.h). The first write that does not fit sets is_full, and nothing is
 * written from then on: callers check once, at the end.
 */

struct dri_writer {
    uint8_t *at;
    uint8_t *end;
    bool is_full;
};

static inline struct dri_writer dri_writer_of(void *buffer, size_t buffer_bytes)
{
    struct dri_writer writer = {.at = (uint8_t *)buffer, .end = NULL, .is_full = buffer == NULL};

    writer.end = buffer == NULL ? NULL : writer.at + buffer_bytes;
    return writer;
}

/* Room for `bytes`, or NULL. */
static inline uint8_t *dri_writer_room(struct dri_writer *writer, size_t bytes)
{
    uint8_t *at = writer->at;

    if (writer->is_full || (size_t)(writer->end - at) < bytes) {
        writer->is_full = true;
        return NULL;
    }
    writer->at = at + bytes;
    return at;
}

static inline void dri_writer_raw(struct dri_writer *writer, const void *bytes, size_t len)
{
    uint8_t *at = dri_writer_room(writer, len);

    if (at != NULL && len > 0) {
        memcpy(at, bytes, len);
    }
}

static inline void dri_writer_byte(struct dri_writer *writer, uint8_t byte)
{
    uint8_t *at = dri_writer_room(writer, 1);

    if (at != NULL) {
        at[0] = byte;
    }
}

/* A first byte and a big-endian number of `width` bytes. */
static inline void dri_writer_head(struct dri_writer *writer, uint8_t first, uint64_t number,
                                   unsigned width)
{
    uint8_t *at = dri_writer_room(writer, 1 + (size_t)width);

    if (at == NULL) {
        return;
    }
    at[0] = first;
    for (unsigned i = 0; i < width; i++) {
        at[1 + i] = (uint8_t)(number >> (8 * (width - 1 - i)));
    }
}

static inline void dri_writer_uint(struct dri_writer *writer, uint64_t value)
{
    if (value < 0x80) {
        dri_writer_byte(writer, (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        dri_writer_head(writer, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        dri_writer_head(writer, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        dri_writer_head(writer, 0xce, value, 4);
    } else {
        dri_writer_head(writer, 0xcf, value, 8);
    }
}

static inline void dri_writer_bool(struct dri_writer *writer, bool value)
{
    dri_writer_byte(writer, value ? 0xc3 : 0xc2);
}

static inline void dri_writer_nil(struct dri_writer *writer)
{
    dri_writer_byte(writer, 0xc0);
}

/* pairs <= 65535 */
static inline void dri_writer_map(struct dri_writer *writer, uint32_t pairs)
{
    if (pairs < 16) {
        dri_writer_byte(writer, (uint8_t)(0x80 | pairs));
    } else {
        dri_writer_head(writer, 0xde, pairs, 2);
    }
}

static inline void dri_writer_str(struct dri_writer *writer, struct dray_slice text)
{
    if (text.len > UINT32_MAX) {
        writer->is_full = true;
        return;
    }
    if (text.len < 32) {
        dri_writer_byte(writer, (uint8_t)(0xa0 | text.len));
    } else if (text.len <= UINT8_MAX) {
        dri_writer_head(writer, 0xd9, text.len, 1);
    } else if (text.len <= UINT16_MAX) {
        dri_writer_head(writer, 0xda, text.len, 2);
    } else {
        dri_writer_head(writer, 0xdb, text.len, 4);
    }
    dri_writer_raw(writer, text.at, text.len);
}

static inline void dri_writer_bin(struct dri_writer *writer, struct dray_slice bytes)
{
    if (bytes.len > UINT32_MAX) {
        writer->is_full = true;
        return;
    }
    if (bytes.len <= UINT8_MAX) {
        dri_writer_head(writer, 0xc4, bytes.len, 1);
    } else if (bytes.len <= UINT16_MAX) {
        dri_writer_head(writer, 0xc5, bytes.len, 2);
    } else {
        dri_writer_head(writer, 0xc6, bytes.len, 4);
    }
    dri_writer_raw(writer, bytes.at, bytes.len);
}

/* A literal key of at most 31 bytes: header and text are one copy of constant length. */
#define DRI_WRITER_KEY(writer, literal)                                                            \
    do {                                                                                           \
        uint8_t *key_at_ = dri_writer_room((writer), sizeof(literal));                             \
        if (key_at_ != NULL) {                                                                     \
            key_at_[0] = (uint8_t)(0xa0 | (sizeof(literal) - 1));                                  \
            memcpy(key_at_ + 1, (literal), sizeof(literal) - 1);                                   \
        }                                                                                          \
    } while (0)

#endif
