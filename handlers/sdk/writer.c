/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* writer.c - one msgpack value into a buffer that is there already.
 *
 * A value is written whole or not at all, so that what stands in the buffer after a failure is
 * still made of whole values. Each call looks at the room that is left: there is no size to be
 * estimated first, and a result can be as large as the worker takes.
 */

#include <string.h>

#include <dray/reader.h>
#include <dray/writer.h>

void dray_writer_init(struct dray_writer *writer, void *bytes, size_t len)
{
    writer->begin = bytes;
    writer->at = writer->begin;
    writer->end = len == 0 ? writer->begin : writer->begin + len;
    writer->status = DRAY_OK;
}

enum dray_status dray_writer_status(const struct dray_writer *writer)
{
    return writer->status;
}

struct dray_slice dray_writer_bytes(const struct dray_writer *writer)
{
    return dray_slice_of(writer->begin, (size_t)(writer->at - writer->begin));
}

/* Room for len bytes, or NULL. A value is written whole or not at all, so `at` never stands inside
 * one. */
static uint8_t *reserve(struct dray_writer *writer, size_t len)
{
    uint8_t *at = writer->at;

    if (writer->status != DRAY_OK) {
        return NULL;
    }
    if ((size_t)(writer->end - at) < len) {
        writer->status = DRAY_ELIMIT;
        return NULL;
    }
    writer->at = at + len;
    return at;
}

static void store(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

/* A first byte and a big-endian number behind it. */
static void write_number(struct dray_writer *writer, uint8_t first, uint64_t value, unsigned bytes)
{
    uint8_t *at = reserve(writer, 1 + (size_t)bytes);

    if (at != NULL) {
        at[0] = first;
        store(at + 1, value, bytes);
    }
}

static void write_byte(struct dray_writer *writer, uint8_t byte)
{
    write_number(writer, byte, 0, 0);
}

void dray_write_nil(struct dray_writer *writer)
{
    write_byte(writer, 0xc0);
}

void dray_write_bool(struct dray_writer *writer, bool value)
{
    write_byte(writer, value ? 0xc3 : 0xc2);
}

void dray_write_uint(struct dray_writer *writer, uint64_t value)
{
    if (value < 0x80) {
        write_byte(writer, (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        write_number(writer, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        write_number(writer, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        write_number(writer, 0xce, value, 4);
    } else {
        write_number(writer, 0xcf, value, 8);
    }
}

void dray_write_int(struct dray_writer *writer, int64_t value)
{
    if (value >= 0) {
        dray_write_uint(writer, (uint64_t)value);
    } else if (value >= -32) {
        write_byte(writer, (uint8_t)value);
    } else if (value >= INT8_MIN) {
        write_number(writer, 0xd0, (uint64_t)value, 1);
    } else if (value >= INT16_MIN) {
        write_number(writer, 0xd1, (uint64_t)value, 2);
    } else if (value >= INT32_MIN) {
        write_number(writer, 0xd2, (uint64_t)value, 4);
    } else {
        write_number(writer, 0xd3, (uint64_t)value, 8);
    }
}

void dray_write_double(struct dray_writer *writer, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    write_number(writer, 0xcb, bits, 8);
}

/* The head of a str or bin, and its bytes, all or nothing. */
static void write_bytes(struct dray_writer *writer, uint8_t first, uint64_t number, unsigned bytes,
                        struct dray_slice content)
{
    uint8_t *at;

    if (content.len > UINT32_MAX) {
        writer->status = writer->status == DRAY_OK ? DRAY_ELIMIT : writer->status;
        return;
    }
    at = reserve(writer, 1 + (size_t)bytes + content.len);
    if (at == NULL) {
        return;
    }
    at[0] = first;
    store(at + 1, number, bytes);
    if (content.len > 0) {
        memcpy(at + 1 + bytes, content.at, content.len);
    }
}

void dray_write_slice(struct dray_writer *writer, struct dray_slice text)
{
    if (dray_slice_is_absent(text)) {
        dray_write_nil(writer);
    } else if (writer->status == DRAY_OK && !dray_text_is_valid(text)) {
        writer->status = DRAY_EINVALID;
    } else if (text.len < 32) {
        write_bytes(writer, (uint8_t)(0xa0 | text.len), 0, 0, text);
    } else if (text.len <= UINT8_MAX) {
        write_bytes(writer, 0xd9, text.len, 1, text);
    } else if (text.len <= UINT16_MAX) {
        write_bytes(writer, 0xda, text.len, 2, text);
    } else {
        write_bytes(writer, 0xdb, text.len, 4, text);
    }
}

void dray_write_text(struct dray_writer *writer, const char *text)
{
    dray_write_slice(writer, dray_slice_text(text));
}

void dray_write_bin(struct dray_writer *writer, struct dray_slice bytes)
{
    if (dray_slice_is_absent(bytes)) {
        dray_write_nil(writer);
    } else if (bytes.len <= UINT8_MAX) {
        write_bytes(writer, 0xc4, bytes.len, 1, bytes);
    } else if (bytes.len <= UINT16_MAX) {
        write_bytes(writer, 0xc5, bytes.len, 2, bytes);
    } else {
        write_bytes(writer, 0xc6, bytes.len, 4, bytes);
    }
}

void dray_write_array(struct dray_writer *writer, uint32_t count)
{
    if (count < 16) {
        write_byte(writer, (uint8_t)(0x90 | count));
    } else if (count <= UINT16_MAX) {
        write_number(writer, 0xdc, count, 2);
    } else {
        write_number(writer, 0xdd, count, 4);
    }
}

void dray_write_map(struct dray_writer *writer, uint32_t pairs)
{
    if (pairs < 16) {
        write_byte(writer, (uint8_t)(0x80 | pairs));
    } else if (pairs <= UINT16_MAX) {
        write_number(writer, 0xde, pairs, 2);
    } else {
        write_number(writer, 0xdf, pairs, 4);
    }
}

void dray_write_raw(struct dray_writer *writer, struct dray_slice value)
{
    uint8_t *at;

    if (dray_slice_is_absent(value)) {
        dray_write_nil(writer);
        return;
    }
    at = reserve(writer, value.len);
    if (at != NULL && value.len > 0) {
        memcpy(at, value.at, value.len);
    }
}
