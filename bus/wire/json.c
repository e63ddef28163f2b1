/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* json.c - JSON text (RFC 8259, strictly) to msgpack bytes.
 *
 * What it promises: no recursion, memory in proportion to the text, integers exact as far as int64
 * and uint64 reach, the shortest encoding of everything, duplicate keys refused, and an error that
 * names the byte. Rejected: a JSON library (each of the small ones turns 2^53 + 1 into a double, or
 * recurses, or takes comments), and a tree between text and bytes.
 *
 * A container's header is one byte until it closes; then its count is known, and only containers of
 * more than 15 elements are moved by two or four bytes.
 *
 * What JSON cannot say is an object with one reserved key: {"$bin":"base64"},
 * {"$ext":[type,"base64"]},
 * {"$float":"nan"|"inf"|"-inf"}, and {"$map":[[key,value],...]} for maps whose keys are no strings,
 * are there twice, or look like one of these.
 */

#include "json.h"

#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json_forms.h"
#include "keys.h"
#include "scanner.h"

/* {"$map":[[k,v]]} is three levels of text for one of msgpack, and a {"$ext":[t,b]} in it two for
 * none. */
#define FRAMES_OF(depth) (3u * (depth) + 2u)
#define FRAMES_MAX       FRAMES_OF(DRI_DEPTH_CEILING)
#define NUMBER_TEXT_MAX  64u
#define HEADER_BYTES_MAX 5u

/* An open container. */
struct frame {
    size_t out_at;  /* of its header in the output */
    size_t text_at; /* of its bracket in the text */
    size_t keys_at; /* of its first key in parser.keys */
    uint32_t count;
    bool is_map;
};

struct parser {
    const uint8_t *text;
    size_t len;
    size_t at;
    struct dri_text out;  /* msgpack bytes */
    struct dri_text keys; /* an array of struct dri_key, of all open objects */
    struct frame frames[FRAMES_MAX];
    size_t depth;
    size_t depth_max;
    size_t out_max;
    msgpack_packer pack;
    size_t error_at;
    const char *error_text;
};

static enum dray_status fail(struct parser *parser, size_t at, const char *text)
{
    parser->error_at = at;
    parser->error_text = text;
    return DRAY_EINVALID;
}

static enum dray_status fail_limit(struct parser *parser, size_t at, const char *text)
{
    (void)fail(parser, at, text);
    return DRAY_ELIMIT;
}

static int out_write(void *data, const char *bytes, size_t len)
{
    struct dri_text *out = (struct dri_text *)data;

    dri_text_add(out, bytes, len);
    return out->status == DRAY_OK ? 0 : -1;
}

static uint8_t *out_bytes(struct parser *parser, size_t at)
{
    return (uint8_t *)parser->out.at + at;
}

static void blanks_skip(struct parser *parser)
{
    while (parser->at < parser->len) {
        uint8_t byte = parser->text[parser->at];

        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') {
            return;
        }
        parser->at++;
    }
}

/* The next byte that is no blank, 0 at the end. */
static uint8_t byte_peek(struct parser *parser)
{
    blanks_skip(parser);
    return parser->at < parser->len ? parser->text[parser->at] : 0;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Four hex digits at `at`, or -1. */
static int32_t unit_read(const struct parser *parser, size_t at)
{
    int32_t unit = 0;

    if (parser->len - at < 4) {
        return -1;
    }
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_value(parser->text[at + i]);

        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static void code_point_add(struct dri_text *out, uint32_t code)
{
    char bytes[4];
    size_t len;

    if (code < 0x80) {
        bytes[0] = (char)code;
        len = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xc0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3f));
        len = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xe0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (code & 0x3f));
        len = 3;
    } else {
        bytes[0] = (char)(0xf0 | code >> 18);
        bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
        bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[3] = (char)(0x80 | (code & 0x3f));
        len = 4;
    }
    dri_text_add(out, bytes, len);
}

/* \uXXXX, or two of them for one code point; parser->at stands behind the 'u'. */
static enum dray_status unicode_read(struct parser *parser)
{
    size_t begin = parser->at - 2;
    int32_t high = unit_read(parser, parser->at);
    int32_t low;

    if (high < 0) {
        return fail(parser, begin, "is not four hex digits after \\u");
    }
    parser->at += 4;
    if (high < 0xd800 || high > 0xdfff) {
        code_point_add(&parser->out, (uint32_t)high);
        return DRAY_OK;
    }
    if (high > 0xdbff || parser->len - parser->at < 6 || parser->text[parser->at] != '\\' ||
        parser->text[parser->at + 1] != 'u') {
        return fail(parser, begin, "is half of a surrogate pair");
    }
    low = unit_read(parser, parser->at + 2);
    if (low < 0xdc00 || low > 0xdfff) {
        return fail(parser, begin, "is half of a surrogate pair");
    }
    parser->at += 6;
    code_point_add(&parser->out,
                   0x10000u + (((uint32_t)high - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u));
    return DRAY_OK;
}

/* What follows a backslash. */
static enum dray_status escape_read(struct parser *parser)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    uint8_t byte = parser->at < parser->len ? parser->text[parser->at] : 0;
    const char *found = byte == 0 ? NULL : strchr(from, byte);

    if (byte == 'u') {
        parser->at++;
        return unicode_read(parser);
    }
    if (found == NULL) {
        return fail(parser, parser->at, "is not an escape that JSON knows");
    }
    dri_text_add(&parser->out, to + (found - from), 1);
    parser->at++;
    return DRAY_OK;
}

/* The characters of a string into the output, up to the closing quote, which is consumed. */
static enum dray_status characters_read(struct parser *parser)
{
    enum dray_status status = DRAY_OK;

    while (status == DRAY_OK) {
        size_t begin = parser->at;
        uint8_t byte = 0;

        while (parser->at < parser->len) {
            byte = parser->text[parser->at];
            if (byte < 0x20 || byte == '"' || byte == '\\') {
                break;
            }
            parser->at++;
        }
        if (!dri_utf8_is_valid(dray_slice_of(parser->text + begin, parser->at - begin))) {
            return fail(parser, begin, "is not valid UTF-8");
        }
        dri_text_add(&parser->out, (const char *)parser->text + begin, parser->at - begin);
        if (parser->at == parser->len) {
            return fail(parser, parser->at, "ends inside a string");
        }
        if (byte < 0x20) {
            return fail(parser, parser->at, "is a control character inside a string");
        }
        parser->at++;
        if (byte == '"') {
            return DRAY_OK;
        }
        status = escape_read(parser);
    }
    return status;
}

/* Put a header of the right size where HEADER_BYTES_MAX or 1 bytes were left for it. */
static void header_place(struct parser *parser, size_t at, size_t reserved, const uint8_t *header,
                         size_t header_len)
{
    size_t body = parser->out.len - at - reserved;

    if (header_len > reserved) {
        /* the bytes are overwritten; they only make room */
        dri_text_add(&parser->out, (const char *)header, header_len - reserved);
    }
    if (parser->out.status != DRAY_OK) {
        return;
    }
    memmove(out_bytes(parser, at + header_len), out_bytes(parser, at + reserved), body);
    memcpy(out_bytes(parser, at), header, header_len);
    parser->out.len = at + header_len + body;
}

/* A string of msgpack; parser->at stands on the opening quote. *ret_key: its content in the output.
 */
static enum dray_status string_read(struct parser *parser, struct dri_key *ret_key)
{
    static const char room[HEADER_BYTES_MAX];
    size_t begin = parser->out.len;
    struct dri_writer writer;
    uint8_t header[HEADER_BYTES_MAX];
    size_t header_len;
    size_t len;
    enum dray_status status;

    dri_text_add(&parser->out, room, sizeof(room));
    parser->at++;
    status = characters_read(parser);
    if (status != DRAY_OK || parser->out.status != DRAY_OK) {
        return status;
    }
    len = parser->out.len - begin - HEADER_BYTES_MAX;
    writer = dri_writer_of(header, sizeof(header));
    dri_writer_str_head(&writer, (uint32_t)len);
    header_len = (size_t)(writer.at - header);
    header_place(parser, begin, HEADER_BYTES_MAX, header, header_len);
    *ret_key = (struct dri_key){.at = (uint32_t)(begin + header_len), .len = (uint32_t)len};
    return DRAY_OK;
}

static size_t digits_skip(struct parser *parser)
{
    size_t begin = parser->at;

    while (parser->at < parser->len && parser->text[parser->at] >= '0' &&
           parser->text[parser->at] <= '9') {
        parser->at++;
    }
    return parser->at - begin;
}

static bool byte_take(struct parser *parser, char a, char b)
{
    uint8_t byte = parser->at < parser->len ? parser->text[parser->at] : 0;

    if (byte != 0 && (byte == (uint8_t)a || byte == (uint8_t)b)) {
        parser->at++;
        return true;
    }
    return false;
}

/* Requires: LC_NUMERIC is "C". */
static enum dray_status real_add(struct parser *parser, size_t begin)
{
    char few[NUMBER_TEXT_MAX];
    size_t len = parser->at - begin;
    char *copy = few;
    double real;

    if (len < sizeof(few)) {
        memcpy(few, parser->text + begin, len);
        few[len] = '\0';
    } else {
        copy = dri_strndup(parser->text + begin, len);
        if (copy == NULL) {
            return DRAY_ENOMEM;
        }
    }
    real = strtod(copy, NULL);
    if (copy != few) {
        dri_free(copy);
    }
    if (isinf(real)) {
        return fail(parser, begin, "is larger than any number that can be carried");
    }
    (void)msgpack_pack_double(&parser->pack, real);
    return DRAY_OK;
}

/* Never a real in its place: what was written as an integer would come out as another number. */
static enum dray_status integer_add(struct parser *parser, size_t begin, bool is_negative)
{
    uint64_t limit = is_negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX;
    uint64_t number = 0;

    for (size_t i = begin + is_negative; i < parser->at; i++) {
        uint64_t digit = (uint64_t)parser->text[i] - '0';

        if (number > (limit - digit) / 10) {
            return fail(parser, begin,
                        "is an integer beyond 64 bits; as a real it has a point or an exponent");
        }
        number = number * 10 + digit;
    }
    if (is_negative) {
        (void)msgpack_pack_int64(&parser->pack, (int64_t)(0 - number));
    } else {
        (void)msgpack_pack_uint64(&parser->pack, number);
    }
    return DRAY_OK;
}

static enum dray_status number_read(struct parser *parser)
{
    size_t begin = parser->at;
    bool is_negative = byte_take(parser, '-', '-');
    bool is_real = false;
    size_t first = parser->at;
    size_t digits = digits_skip(parser);

    if (digits == 0) {
        return fail(parser, begin, "is not a JSON value");
    }
    if (digits > 1 && parser->text[first] == '0') {
        return fail(parser, begin, "is a number with a leading zero");
    }
    if (byte_take(parser, '.', '.')) {
        is_real = true;
        if (digits_skip(parser) == 0) {
            return fail(parser, begin, "is a number without digits after its point");
        }
    }
    if (byte_take(parser, 'e', 'E')) {
        is_real = true;
        (void)byte_take(parser, '+', '-');
        if (digits_skip(parser) == 0) {
            return fail(parser, begin, "is a number without digits in its exponent");
        }
    }
    return is_real ? real_add(parser, begin) : integer_add(parser, begin, is_negative);
}

static bool word_take(struct parser *parser, const char *word)
{
    size_t len = strlen(word);

    if (parser->len - parser->at < len || memcmp(parser->text + parser->at, word, len) != 0) {
        return false;
    }
    parser->at += len;
    return true;
}

static enum dray_status word_read(struct parser *parser)
{
    if (word_take(parser, "true")) {
        (void)msgpack_pack_true(&parser->pack);
    } else if (word_take(parser, "false")) {
        (void)msgpack_pack_false(&parser->pack);
    } else if (word_take(parser, "null")) {
        (void)msgpack_pack_nil(&parser->pack);
    } else {
        return fail(parser, parser->at,
                    parser->at == parser->len ? "ends before a value" : "is not a JSON value");
    }
    return DRAY_OK;
}

static enum dray_status container_open(struct parser *parser, bool is_map)
{
    if (parser->depth >= parser->depth_max) {
        return fail_limit(parser, parser->at, "is nested too deeply");
    }
    parser->frames[parser->depth++] = (struct frame){.out_at = parser->out.len,
                                                     .text_at = parser->at,
                                                     .keys_at = parser->keys.len,
                                                     .is_map = is_map};
    parser->at++;
    dri_text_add(&parser->out, "", 1);
    return DRAY_OK;
}

static enum dray_status keys_check(struct parser *parser, const struct frame *frame)
{
    struct dri_key *keys;
    const struct dri_key *twice;

    if (frame->count < 2) {
        parser->keys.len = frame->keys_at;
        return DRAY_OK;
    }
    /* dri_zalloc aligns, and only whole keys are ever added */
    keys = (struct dri_key *)(void *)(parser->keys.at + frame->keys_at);
    twice = dri_keys_duplicate(out_bytes(parser, 0), keys, frame->count);
    parser->keys.len = frame->keys_at;
    return twice == NULL ? DRAY_OK : fail(parser, frame->text_at, "is an object with a key twice");
}

/* The innermost container is complete. */
static enum dray_status container_close(struct parser *parser)
{
    struct frame *frame = &parser->frames[--parser->depth];
    uint8_t header[HEADER_BYTES_MAX];
    struct dri_writer writer = dri_writer_of(header, sizeof(header));
    enum dray_status status;

    parser->at++;
    if (parser->out.status != DRAY_OK || parser->keys.status != DRAY_OK) {
        return DRAY_ENOMEM;
    }
    if (frame->is_map) {
        /* before the header may move them */
        status = keys_check(parser, frame);
        if (status != DRAY_OK) {
            return status;
        }
    }
    dri_writer_container(&writer, frame->is_map, frame->count);
    header_place(parser, frame->out_at, 1, header, (size_t)(writer.at - header));
    if (!frame->is_map || frame->count != 1 || parser->out.status != DRAY_OK) {
        return parser->out.status;
    }
    status = dri_json_form_resolve(&parser->out, frame->out_at, &parser->error_text);
    if (status == DRAY_EINVALID) {
        parser->error_at = frame->text_at;
    }
    return status;
}

static enum dray_status key_read(struct parser *parser)
{
    struct frame *frame = &parser->frames[parser->depth - 1];
    struct dri_key key = {0, 0};
    enum dray_status status;

    if (byte_peek(parser) != '"') {
        return fail(parser, parser->at, "is not a key in quotes");
    }
    status = string_read(parser, &key);
    if (status != DRAY_OK) {
        return status;
    }
    dri_text_add(&parser->keys, (const char *)&key, sizeof(key));
    frame->count++;
    if (byte_peek(parser) != ':') {
        return fail(parser, parser->at, "is not the colon after a key");
    }
    parser->at++;
    return DRAY_OK;
}

/* One value, or the opening of one; *ret_is_open tells which. */
static enum dray_status value_read(struct parser *parser, bool *ret_is_open)
{
    struct dri_key ignored;
    uint8_t byte = byte_peek(parser);

    *ret_is_open = byte == '{' || byte == '[';
    if (*ret_is_open) {
        return container_open(parser, byte == '{');
    }
    if (byte == '"') {
        return string_read(parser, &ignored);
    }
    if (byte == '-' || (byte >= '0' && byte <= '9')) {
        return number_read(parser);
    }
    return word_read(parser);
}

/* Behind a value: close what ends here, and stand before the next value of what does not. */
static enum dray_status value_end(struct parser *parser, bool is_open)
{
    enum dray_status status = DRAY_OK;

    while (status == DRAY_OK && parser->depth > 0) {
        struct frame *frame = &parser->frames[parser->depth - 1];
        uint8_t byte = byte_peek(parser);

        if (byte == (frame->is_map ? '}' : ']')) {
            status = container_close(parser);
            is_open = false;
            continue;
        }
        if (!is_open) {
            if (byte != ',') {
                return fail(parser, parser->at, "is neither a comma nor the end of its container");
            }
            parser->at++;
        }
        if (frame->is_map) {
            return key_read(parser);
        }
        frame->count++;
        return DRAY_OK;
    }
    return status;
}

static enum dray_status document_read(struct parser *parser)
{
    enum dray_status status;
    bool is_open;

    do {
        status = value_read(parser, &is_open);
        if (status == DRAY_OK) {
            status = value_end(parser, is_open);
        }
        if (status != DRAY_OK) {
            return status;
        }
        if (parser->out.status != DRAY_OK || parser->keys.status != DRAY_OK) {
            return DRAY_ENOMEM;
        }
        if (parser->out.len > parser->out_max) {
            return fail_limit(parser, parser->at, "is larger than the limit");
        }
    } while (parser->depth > 0);
    if (byte_peek(parser) != 0 || parser->at != parser->len) {
        return fail(parser, parser->at, "is followed by more text");
    }
    return DRAY_OK;
}

enum dray_status dri_json_to_msgpack(struct dray_slice json, const struct dri_wire_limits *limits,
                                     uint8_t **ret_bytes, size_t *ret_len,
                                     struct dri_wire_error *ret_error)
{
    uint32_t depth = limits->depth < DRI_DEPTH_CEILING ? limits->depth : DRI_DEPTH_CEILING;
    struct parser parser = {.text = json.at,
                            .len = json.len,
                            .depth_max = FRAMES_OF(depth),
                            .out_max = limits->message_bytes};
    struct dri_scanner scanner;
    struct dray_slice value;
    enum dray_status status;

    if (json.len > UINT32_MAX / 2) { /* offsets are 32 bits wide */
        *ret_error = (struct dri_wire_error){"", "is larger than the limit", 0};
        return DRAY_ELIMIT;
    }
    dri_text_init(&parser.out);
    dri_text_init(&parser.keys);
    msgpack_packer_init(&parser.pack, &parser.out, out_write);
    status = document_read(&parser);
    dri_text_fini(&parser.keys);
    if (status == DRAY_OK) {
        dri_scanner_init(&scanner, dray_slice_of(parser.out.at, parser.out.len), limits);
        status = dri_scanner_skip_payload(&scanner, &value);
        parser.error_text = scanner.error_text;
    }
    if (status != DRAY_OK) {
        dri_text_fini(&parser.out);
        *ret_error = (struct dri_wire_error){
            "", status == DRAY_ENOMEM ? "does not fit in memory" : parser.error_text,
            (uint32_t)parser.error_at};
        return status;
    }
    *ret_bytes = (uint8_t *)parser.out.at;
    *ret_len = parser.out.len;
    return DRAY_OK;
}
