/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* json.c - JSON to msgpack and back by recursive descent, for tests.
 *
 * A container's count is known only at its end, so its head is always the five-byte form, filled in
 * when the container is closed.
 */

#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dray/reader.h>
#include <dray/writer.h>

#define DEPTH_MAX 14u /* less than what the reader takes */

/* ---- the buffer ---- */

void dray_test_buffer_fini(struct dray_test_buffer *buffer)
{
    free(buffer->at);
    memset(buffer, 0, sizeof(*buffer));
}

static bool grow(struct dray_test_buffer *buffer, size_t len)
{
    size_t capacity = buffer->capacity;
    char *at;

    if (capacity - buffer->len >= len) {
        return true;
    }
    while (capacity - buffer->len < len) {
        capacity = capacity == 0 ? 256 : capacity * 2;
    }
    at = realloc(buffer->at, capacity);
    if (at == NULL) {
        return false;
    }
    buffer->at = at;
    buffer->capacity = capacity;
    return true;
}

static enum dray_status add(struct dray_test_buffer *buffer, const void *bytes, size_t len)
{
    if (!grow(buffer, len)) {
        return DRAY_ENOMEM;
    }
    if (len > 0) {
        memcpy(buffer->at + buffer->len, bytes, len);
    }
    buffer->len += len;
    return DRAY_OK;
}

static enum dray_status add_text(struct dray_test_buffer *buffer, const char *text)
{
    return add(buffer, text, strlen(text));
}

/* What the SDK's writer makes of a scalar; len bounds it. */
static struct dray_writer begin_value(struct dray_test_buffer *buffer, size_t len)
{
    struct dray_writer writer;

    if (grow(buffer, len)) {
        dray_writer_init(&writer, buffer->at + buffer->len, len);
    } else {
        dray_writer_init(&writer, NULL, 0);
    }
    return writer;
}

static enum dray_status end_value(struct dray_test_buffer *buffer, const struct dray_writer *writer)
{
    if (writer->begin == NULL) {
        return DRAY_ENOMEM;
    }
    buffer->len += dray_writer_bytes(writer).len;
    return dray_writer_status(writer);
}

/* ---- from JSON ---- */

struct parser {
    const char *begin;
    const char *at;
    struct dray_test_buffer *out;
    unsigned depth;
};

static enum dray_status parse_value(struct parser *parser);

static void skip_space(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\r\n");
}

static bool take(struct parser *parser, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(parser->at, word, len) != 0) {
        return false;
    }
    parser->at += len;
    return true;
}

static enum dray_status parse_hex4(struct parser *parser, uint32_t *ret_unit)
{
    uint32_t unit = 0;

    for (unsigned i = 0; i < 4; i++) {
        char c = parser->at[i];
        const char *digits = "0123456789abcdef";
        const char *digit = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

        if (digit == NULL) {
            return DRAY_EINVALID;
        }
        unit = unit << 4 | (uint32_t)(digit - digits);
    }
    parser->at += 4;
    *ret_unit = unit;
    return DRAY_OK;
}

static enum dray_status add_code_point(struct dray_test_buffer *text, uint32_t code)
{
    char utf8[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = len; i-- > 1; code >>= 6) {
        utf8[i] = (char)(0x80 | (code & 0x3f));
    }
    utf8[0] = (char)(first[len] | code);
    return add(text, utf8, len);
}

static enum dray_status parse_escape(struct parser *parser, struct dray_test_buffer *text)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *known;
    uint32_t code = 0;
    uint32_t low = 0;

    if (*parser->at != 'u') {
        known = *parser->at == '\0' ? NULL : strchr(from, *parser->at);
        if (known == NULL) {
            return DRAY_EINVALID;
        }
        parser->at++;
        return add(text, to + (known - from), 1);
    }
    parser->at++;
    if (parse_hex4(parser, &code) != DRAY_OK) {
        return DRAY_EINVALID;
    }
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take(parser, "\\u") || parse_hex4(parser, &low) != DRAY_OK || low < 0xdc00 ||
            low > 0xdfff) {
            return DRAY_EINVALID;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return DRAY_EINVALID;
    }
    return add_code_point(text, code);
}

/* A string without its quotes, into text. */
static enum dray_status parse_string(struct parser *parser, struct dray_test_buffer *text)
{
    enum dray_status status = DRAY_OK;

    if (!take(parser, "\"")) {
        return DRAY_EINVALID;
    }
    while (status == DRAY_OK && *parser->at != '"') {
        if ((unsigned char)*parser->at < ' ') {
            return DRAY_EINVALID;
        }
        if (take(parser, "\\")) {
            status = parse_escape(parser, text);
        } else {
            status = add(text, parser->at++, 1);
        }
    }
    if (status == DRAY_OK) {
        parser->at++;
    }
    return status;
}

static enum dray_status put_text(struct parser *parser)
{
    struct dray_test_buffer text = {NULL, 0, 0};
    enum dray_status status = parse_string(parser, &text);

    if (status == DRAY_OK) {
        struct dray_writer writer = begin_value(parser->out, text.len + 5);

        dray_write_slice(&writer, dray_slice_of(text.at == NULL ? "" : text.at, text.len));
        status = end_value(parser->out, &writer);
    }
    dray_test_buffer_fini(&text);
    return status;
}

static enum dray_status put_number(struct parser *parser)
{
    size_t len = strspn(parser->at, "+-0123456789.eE");
    struct dray_writer writer = begin_value(parser->out, 9);
    char *rest = NULL;

    errno = 0;
    if (strcspn(parser->at, ".eE") < len) {
        dray_write_double(&writer, strtod(parser->at, &rest));
    } else if (*parser->at == '-') {
        dray_write_int(&writer, strtoll(parser->at, &rest, 10));
    } else {
        dray_write_uint(&writer, strtoull(parser->at, &rest, 10));
    }
    if (errno != 0 || len == 0 || rest != parser->at + len || *parser->at == '+') {
        return DRAY_EINVALID;
    }
    parser->at = rest;
    return end_value(parser->out, &writer);
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *digit = c == '\0' ? NULL : strchr(digits, c);

    return digit == NULL ? -1 : (int)(digit - digits);
}

/* Behind {"$bin": the string and the brace. */
static enum dray_status put_bin(struct parser *parser)
{
    struct dray_test_buffer text = {NULL, 0, 0};
    struct dray_writer writer;
    enum dray_status status;
    size_t len = 0;
    uint32_t bits = 0;

    skip_space(parser);
    status = parse_string(parser, &text);
    skip_space(parser);
    if (status == DRAY_OK && !take(parser, "}")) {
        status = DRAY_EINVALID;
    }
    for (size_t i = 0; status == DRAY_OK && i < text.len && text.at[i] != '='; i++) {
        int digit = base64_digit(text.at[i]);

        if (digit < 0) {
            status = DRAY_EINVALID;
            break;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0) { /* in place: what is written is behind what was read */
            text.at[len++] = (char)(bits >> (6 - 2 * (i % 4)));
        }
    }
    if (status == DRAY_OK) {
        writer = begin_value(parser->out, len + 5);
        dray_write_bin(&writer, dray_slice_of(len == 0 ? "" : text.at, len));
        status = end_value(parser->out, &writer);
    }
    dray_test_buffer_fini(&text);
    return status;
}

/* The values of a container up to its end; each with its key for a map. */
static enum dray_status put_members(struct parser *parser, const char *close, bool is_map,
                                    uint32_t *ret_count)
{
    uint32_t count = 0;
    enum dray_status status = DRAY_OK;

    skip_space(parser);
    if (take(parser, close)) {
        *ret_count = 0;
        return DRAY_OK;
    }
    do {
        skip_space(parser);
        if (is_map) {
            status = put_text(parser);
            skip_space(parser);
            if (status == DRAY_OK && !take(parser, ":")) {
                status = DRAY_EINVALID;
            }
        }
        if (status == DRAY_OK) {
            status = parse_value(parser);
        }
        count++;
        skip_space(parser);
    } while (status == DRAY_OK && take(parser, ","));
    if (status == DRAY_OK && !take(parser, close)) {
        status = DRAY_EINVALID;
    }
    *ret_count = count;
    return status;
}

static enum dray_status put_container(struct parser *parser, bool is_map)
{
    char head[5] = {(char)(is_map ? 0xdf : 0xdd)};
    size_t at = parser->out->len;
    uint32_t count = 0;
    enum dray_status status = add(parser->out, head, sizeof(head));

    if (++parser->depth > DEPTH_MAX) {
        return DRAY_EINVALID;
    }
    if (status == DRAY_OK) {
        status = put_members(parser, is_map ? "}" : "]", is_map, &count);
    }
    parser->depth--;
    for (unsigned i = 0; status == DRAY_OK && i < 4; i++) {
        parser->out->at[at + 1 + i] = (char)(count >> (24 - 8 * i));
    }
    return status;
}

static enum dray_status put_map(struct parser *parser)
{
    const char *at = parser->at;

    skip_space(parser);
    if (take(parser, "\"$bin\"")) {
        skip_space(parser);
        if (take(parser, ":")) {
            return put_bin(parser);
        }
    }
    parser->at = at;
    return put_container(parser, true);
}

static enum dray_status put_word(struct parser *parser)
{
    struct dray_writer writer = begin_value(parser->out, 1);

    if (take(parser, "null")) {
        dray_write_nil(&writer);
    } else if (take(parser, "true")) {
        dray_write_bool(&writer, true);
    } else if (take(parser, "false")) {
        dray_write_bool(&writer, false);
    } else {
        return DRAY_EINVALID;
    }
    return end_value(parser->out, &writer);
}

static enum dray_status parse_value(struct parser *parser)
{
    skip_space(parser);
    switch (*parser->at) {
    case '{':
        parser->at++;
        return put_map(parser);
    case '[':
        parser->at++;
        return put_container(parser, false);
    case '"':
        return put_text(parser);
    case 'n':
    case 't':
    case 'f':
        return put_word(parser);
    default:
        return put_number(parser);
    }
}

enum dray_status dray_test_json_decode(const char *json, struct dray_test_buffer *buffer,
                                       size_t *ret_offset)
{
    struct parser parser = {json, json, buffer, 0};
    enum dray_status status = parse_value(&parser);

    skip_space(&parser);
    if (status == DRAY_OK && *parser.at != '\0') {
        status = DRAY_EINVALID;
    }
    if (status != DRAY_OK) {
        *ret_offset = (size_t)(parser.at - parser.begin);
    }
    return status;
}

/* ---- to JSON ---- */

static enum dray_status format_value(struct dray_reader *reader, struct dray_test_buffer *out);

static enum dray_status format_string(struct dray_slice text, struct dray_test_buffer *out)
{
    enum dray_status status = add_text(out, "\"");

    for (size_t i = 0; status == DRAY_OK && i < text.len; i++) {
        char c = (char)text.at[i];
        char escape[8];

        if (c == '"' || c == '\\') {
            (void)snprintf(escape, sizeof(escape), "\\%c", c);
        } else if ((unsigned char)c < ' ') {
            (void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
        } else {
            (void)snprintf(escape, sizeof(escape), "%c", c);
        }
        status = add_text(out, escape);
    }
    return status == DRAY_OK ? add_text(out, "\"") : status;
}

static enum dray_status format_bin(struct dray_slice bytes, struct dray_test_buffer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum dray_status status = add_text(out, "{\"$bin\":\"");

    for (size_t i = 0; status == DRAY_OK && i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t bits = (uint32_t)bytes.at[i] << 16 |
                        (left > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0) |
                        (left > 2 ? bytes.at[i + 2] : 0u);
        char four[5] = {digits[bits >> 18], digits[bits >> 12 & 63],
                        left > 1 ? digits[bits >> 6 & 63] : '=', left > 2 ? digits[bits & 63] : '=',
                        '\0'};

        status = add_text(out, four);
    }
    return status == DRAY_OK ? add_text(out, "\"}") : status;
}

static enum dray_status format_integer(struct dray_reader *reader, struct dray_test_buffer *out)
{
    /* The reader's first failure sticks, so the two sizes of integer need a copy to try on. */
    struct dray_reader trial = *reader;
    char text[32];
    uint64_t u = 0;
    int64_t i = 0;

    if (dray_read_uint(&trial, &u) == DRAY_OK) {
        (void)snprintf(text, sizeof(text), "%" PRIu64, u);
    } else if (dray_read_int(reader, &i) == DRAY_OK) {
        (void)snprintf(text, sizeof(text), "%" PRId64, i);
        return add_text(out, text);
    }
    *reader = trial;
    return dray_reader_status(reader) == DRAY_OK ? add_text(out, text) : DRAY_EINVALID;
}

static enum dray_status format_container(struct dray_reader *reader, bool is_map,
                                         struct dray_test_buffer *out)
{
    uint32_t count = 0;
    enum dray_status status =
        is_map ? dray_read_map(reader, &count) : dray_read_array(reader, &count);

    if (status == DRAY_OK) {
        status = add_text(out, is_map ? "{" : "[");
    }
    for (uint32_t i = 0; status == DRAY_OK && i < count; i++) {
        status = i == 0 ? DRAY_OK : add_text(out, ",");
        if (status == DRAY_OK && is_map) {
            status = format_value(reader, out);
            status = status == DRAY_OK ? add_text(out, ":") : status;
        }
        if (status == DRAY_OK) {
            status = format_value(reader, out);
        }
    }
    return status == DRAY_OK ? add_text(out, is_map ? "}" : "]") : status;
}

static enum dray_status format_scalar(struct dray_reader *reader, enum dray_type type,
                                      struct dray_test_buffer *out)
{
    struct dray_slice slice = {NULL, 0};
    enum dray_status status;
    bool is_true = false;
    double real = 0;
    char text[40];

    switch (type) {
    case DRAY_TYPE_NIL:
        status = dray_read_nil(reader);
        return status == DRAY_OK ? add_text(out, "null") : status;
    case DRAY_TYPE_BOOL:
        status = dray_read_bool(reader, &is_true);
        return status == DRAY_OK ? add_text(out, is_true ? "true" : "false") : status;
    case DRAY_TYPE_DOUBLE:
        status = dray_read_double(reader, &real);
        (void)snprintf(text, sizeof(text), "%.17g", real);
        return status == DRAY_OK ? add_text(out, text) : status;
    case DRAY_TYPE_TEXT:
        status = dray_read_text(reader, &slice);
        return status == DRAY_OK ? format_string(slice, out) : status;
    case DRAY_TYPE_BIN:
        status = dray_read_bin(reader, &slice);
        return status == DRAY_OK ? format_bin(slice, out) : status;
    default: /* nothing, or an extension, which no handler here makes */
        return DRAY_EINVALID;
    }
}

static enum dray_status format_value(struct dray_reader *reader, struct dray_test_buffer *out)
{
    enum dray_type type = dray_reader_peek(reader);

    if (type == DRAY_TYPE_ARRAY || type == DRAY_TYPE_MAP) {
        return format_container(reader, type == DRAY_TYPE_MAP, out);
    }
    if (type == DRAY_TYPE_INTEGER) {
        return format_integer(reader, out);
    }
    return format_scalar(reader, type, out);
}

enum dray_status dray_test_json_encode(struct dray_slice value, struct dray_test_buffer *buffer)
{
    struct dray_reader reader;
    enum dray_status status;

    dray_reader_init(&reader, value);
    status = format_value(&reader, buffer);
    if (status == DRAY_OK) {
        status = dray_reader_finish(&reader);
    }
    if (status == DRAY_OK && !grow(buffer, 1)) {
        status = DRAY_ENOMEM;
    }
    if (status == DRAY_OK) {
        buffer->at[buffer->len] = '\0';
    }
    return status;
}
