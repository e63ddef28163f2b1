/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* scanner.c - raw msgpack, read without believing it.
 *
 * What for: msgpack-c 4.0.0 allocates a container from its declared count before it has seen one
 * element (six bytes reserve 8 GiB), reports nesting beyond 32 as out of memory, and accepts
 * duplicate keys and trailing bytes. So bytes from outside meet this file first, and msgpack-c only
 * sees what it has passed.
 *
 * What it promises: no allocation, no recursion, no read outside [begin, end), time linear in the
 * bytes. `pending` is the sum of all values that open containers still owe; as each takes at least
 * one byte, a header that lifts it above the bytes that are left is refused at once, so nested lies
 * are caught at the header, not at the end of the data.
 *
 * Shape: skip is a loop over one table of 256 bytes. Entries below CODE_LEN8 are the whole size of
 * a value; others need a look at the header. Rejected: a switch over all 256 first bytes (twice the
 * time on payloads of short strings and small integers), and a stack of end addresses (msgpack
 * knows no byte length of containers). The stack of counts is DRI_DEPTH_CEILING words on the C
 * stack.
 */

#include "scanner.h"

#include <string.h>

#include "cursor.h"

#define CODE_LEN8    0x40 /* bin 8, str 8 */
#define CODE_LEN16   0x41
#define CODE_LEN32   0x42
#define CODE_EXT8    0x43
#define CODE_EXT16   0x44
#define CODE_EXT32   0x45
#define CODE_ARRAY   0x46 /* fixarray */
#define CODE_MAP     0x47 /* fixmap */
#define CODE_ARRAY16 0x48
#define CODE_ARRAY32 0x49
#define CODE_MAP16   0x4a
#define CODE_MAP32   0x4b
#define CODE_BAD     0x4c

#define ROW16(a) a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a

static const uint8_t g_size[256] = {ROW16(1),
                                    ROW16(1),
                                    ROW16(1),
                                    ROW16(1),
                                    ROW16(1),
                                    ROW16(1),
                                    ROW16(1),
                                    ROW16(1),
                                    /* 80 */ ROW16(CODE_MAP),
                                    /* 90 */ ROW16(CODE_ARRAY),
                                    /* a0 */ 1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    6,
                                    7,
                                    8,
                                    9,
                                    10,
                                    11,
                                    12,
                                    13,
                                    14,
                                    15,
                                    16,
                                    /* b0 */ 17,
                                    18,
                                    19,
                                    20,
                                    21,
                                    22,
                                    23,
                                    24,
                                    25,
                                    26,
                                    27,
                                    28,
                                    29,
                                    30,
                                    31,
                                    32,
                                    /* c0 */ 1,
                                    CODE_BAD,
                                    1,
                                    1,
                                    CODE_LEN8,
                                    CODE_LEN16,
                                    CODE_LEN32,
                                    CODE_EXT8,
                                    /* c8 */ CODE_EXT16,
                                    CODE_EXT32,
                                    5,
                                    9,
                                    2,
                                    3,
                                    5,
                                    9,
                                    /* d0 */ 2,
                                    3,
                                    5,
                                    9,
                                    3,
                                    4,
                                    6,
                                    10,
                                    /* d8 */ 18,
                                    CODE_LEN8,
                                    CODE_LEN16,
                                    CODE_LEN32,
                                    CODE_ARRAY16,
                                    CODE_ARRAY32,
                                    CODE_MAP16,
                                    /* df */ CODE_MAP32,
                                    /* e0 */ ROW16(1),
                                    ROW16(1)};

static const char *const g_truncated = "ends inside a value";
static const char *const g_too_many = "declares more elements than bytes are left";

/* A header: what the first bytes of a value say. */
struct head {
    uint64_t size;  /* of header and content; of the header alone for containers */
    uint32_t count; /* of values in a container: pairs count twice */
    bool is_container;
    bool is_map;
};

void dri_scanner_init(struct dri_scanner *scanner, struct dray_slice bytes,
                      const struct dri_wire_limits *limits)
{
    dri_scanner_init_inside(scanner, bytes, bytes, 0, limits);
}

void dri_scanner_init_inside(struct dri_scanner *scanner, struct dray_slice message,
                             struct dray_slice value, uint32_t depth,
                             const struct dri_wire_limits *limits)
{
    static const uint8_t nothing[1];

    scanner->begin = message.at == NULL ? nothing : message.at;
    scanner->at = value.at == NULL ? nothing : value.at;
    scanner->end = scanner->at + value.len;
    scanner->pending = 1;
    scanner->items = 0;
    scanner->pairs = 0;
    scanner->depth_max = limits->depth < DRI_DEPTH_CEILING ? limits->depth : DRI_DEPTH_CEILING;
    scanner->depth = depth;
    scanner->elements_left = limits->elements;
    scanner->error_text = NULL;
}

static enum dray_status fail(struct dri_scanner *scanner, const uint8_t *at,
                             enum dray_status status, const char *text)
{
    scanner->at = at;
    scanner->error_text = text;
    return status;
}

/* Bytes of the length field behind the first byte, for codes from CODE_LEN8 on. */
static size_t length_bytes(uint8_t code)
{
    switch (code) {
    case CODE_LEN8:
    case CODE_EXT8:
        return 1;
    case CODE_LEN16:
    case CODE_EXT16:
    case CODE_ARRAY16:
    case CODE_MAP16:
        return 2;
    case CODE_LEN32:
    case CODE_EXT32:
    case CODE_ARRAY32:
    case CODE_MAP32:
        return 4;
    default:
        return 0;
    }
}

static uint32_t length_read(const uint8_t *at, size_t bytes)
{
    switch (bytes) {
    case 1:
        return at[0];
    case 2:
        return dri_be16(at);
    default:
        return dri_be32(at);
    }
}

/* The header at `at`, whose table code is `code`. Returns NULL, or what is wrong. */
static const char *head_read(const uint8_t *at, const uint8_t *end, uint8_t code,
                             struct head *ret_head)
{
    size_t bytes = length_bytes(code);
    uint32_t n;

    if (code == CODE_BAD) {
        return "has the byte 0xc1, which msgpack never uses";
    }
    if ((size_t)(end - at) < 1 + bytes) {
        return g_truncated;
    }
    n = bytes == 0 ? (uint32_t)(at[0] & 0x0f) : length_read(at + 1, bytes);
    *ret_head = (struct head){.size = 1 + bytes};
    switch (code) {
    case CODE_LEN8:
    case CODE_LEN16:
    case CODE_LEN32:
        ret_head->size += n;
        break;
    case CODE_EXT8:
    case CODE_EXT16:
    case CODE_EXT32:
        ret_head->size += 1 + (uint64_t)n;
        break;
    case CODE_MAP:
    case CODE_MAP16:
    case CODE_MAP32:
        if (n > UINT32_MAX / 2) {
            return g_too_many;
        }
        ret_head->is_container = true;
        ret_head->is_map = true;
        ret_head->count = 2 * n;
        break;
    default:
        ret_head->is_container = true;
        ret_head->count = n;
        break;
    }
    return (uint64_t)(end - at) < ret_head->size ? g_truncated : NULL;
}

/* Charge a container of `count` values that was announced at `at`; depth counts it. */
static enum dray_status container_open(struct dri_scanner *scanner, const uint8_t *at,
                                       const struct head *head, uint32_t depth)
{
    if (depth > scanner->depth_max) {
        return fail(scanner, at, DRAY_ELIMIT, "is nested too deeply");
    }
    if (scanner->pending + head->count > (uint64_t)(scanner->end - at) - head->size) {
        return fail(scanner, at, DRAY_EINVALID, g_too_many);
    }
    if (head->count > scanner->elements_left) {
        return fail(scanner, at, DRAY_ELIMIT, "has too many elements");
    }
    scanner->pending += head->count;
    if (head->is_map) {
        scanner->pairs += head->count / 2;
    } else {
        scanner->items += head->count;
    }
    scanner->elements_left -= head->count;
    return DRAY_OK;
}

/* The header at `at`; a container's is charged. */
static enum dray_status head_enter(struct dri_scanner *scanner, const uint8_t *at, uint32_t open,
                                   struct head *ret_head)
{
    const char *wrong = head_read(at, scanner->end, g_size[*at], ret_head);

    if (wrong != NULL) {
        return fail(scanner, at, DRAY_EINVALID, wrong);
    }
    return ret_head->is_container ? container_open(scanner, at, ret_head, scanner->depth + open + 1)
                                  : DRAY_OK;
}

/* `rest` (values left in the innermost container) and `pending` live in registers: in memory, each
 * value would wait for the store of the one before it (measured: a third of the time). */
enum dray_status dri_scanner_skip(struct dri_scanner *scanner, struct dray_slice *ret_value)
{
    uint32_t left[DRI_DEPTH_CEILING];
    const uint8_t *begin = scanner->at;
    const uint8_t *at = begin;
    const uint8_t *end = scanner->end;
    uint64_t pending = scanner->pending;
    uint32_t open = 0;
    uint32_t rest = 1;

    for (;;) {
        uint8_t code;

        while (rest == 0) {
            if (open == 0) {
                scanner->at = at;
                scanner->pending = pending;
                *ret_value = dray_slice_of(begin, (size_t)(at - begin));
                return DRAY_OK;
            }
            rest = left[--open];
        }
        if (at == end) {
            return fail(scanner, at, DRAY_EINVALID, g_truncated);
        }
        rest--;
        pending--;
        code = g_size[*at];
        if (code < CODE_LEN8) {
            if ((size_t)(end - at) < code) {
                return fail(scanner, at, DRAY_EINVALID, g_truncated);
            }
            at += code;
        } else {
            struct head head;
            enum dray_status status;

            scanner->pending = pending;
            status = head_enter(scanner, at, open, &head);
            if (status != DRAY_OK) {
                return status;
            }
            pending = scanner->pending;
            if (head.is_container) {
                left[open++] = rest;
                rest = head.count;
            }
            at += head.size;
        }
    }
}

enum dray_status dri_scanner_skip_payload(struct dri_scanner *scanner, struct dray_slice *ret_value)
{
    uint32_t elements_left = scanner->elements_left;
    enum dray_status status;

    scanner->elements_left = UINT32_MAX;
    status = dri_scanner_skip(scanner, ret_value);
    scanner->elements_left = elements_left;
    return status;
}

static void signed_set(struct dri_token *token, int64_t value)
{
    if (value >= 0) {
        token->type = DRI_TOKEN_UINT;
        token->value.u = (uint64_t)value;
    } else {
        token->type = DRI_TOKEN_INT;
        token->value.i = value;
    }
}

static void unsigned_set(struct dri_token *token, uint64_t value)
{
    token->type = DRI_TOKEN_UINT;
    token->value.u = value;
}

static void float_set(struct dri_token *token, const uint8_t *at)
{
    token->type = DRI_TOKEN_FLOAT;
    if (at[0] == 0xca) {
        uint32_t bits = dri_be32(at + 1);
        float real;

        memcpy(&real, &bits, sizeof(real));
        token->value.real = (double)real;
    } else {
        uint64_t bits = dri_be64(at + 1);

        memcpy(&token->value.real, &bits, sizeof(token->value.real));
    }
}

/* A value of fixed size; all its bytes are there. */
static void fixed_set(struct dri_token *token, const uint8_t *at)
{
    uint8_t first = at[0];

    switch (first) {
    case 0xc0:
        token->type = DRI_TOKEN_NIL;
        return;
    case 0xc2:
    case 0xc3:
        token->type = DRI_TOKEN_BOOL;
        token->value.boolean = first == 0xc3;
        return;
    case 0xca:
    case 0xcb:
        float_set(token, at);
        return;
    case 0xcc:
        unsigned_set(token, at[1]);
        return;
    case 0xcd:
        unsigned_set(token, dri_be16(at + 1));
        return;
    case 0xce:
        unsigned_set(token, dri_be32(at + 1));
        return;
    case 0xcf:
        unsigned_set(token, dri_be64(at + 1));
        return;
    case 0xd0:
        signed_set(token, (int8_t)at[1]);
        return;
    case 0xd1:
        signed_set(token, (int16_t)dri_be16(at + 1));
        return;
    case 0xd2:
        signed_set(token, (int32_t)dri_be32(at + 1));
        return;
    case 0xd3:
        signed_set(token, (int64_t)dri_be64(at + 1));
        return;
    default:
        break;
    }
    if (first >= 0xd4 && first <= 0xd8) {
        token->type = DRI_TOKEN_EXT;
        token->ext_type = (int8_t)at[1];
        token->bytes = dray_slice_of(at + 2, (size_t)1 << (first - 0xd4));
    } else if (first >= 0xa0 && first <= 0xbf) {
        token->type = DRI_TOKEN_STR;
        token->bytes = dray_slice_of(at + 1, first & 0x1f);
    } else {
        signed_set(token, (int8_t)first);
    }
}

/* A value with a length field. */
static void sized_set(struct dri_token *token, const uint8_t *at, uint8_t code,
                      const struct head *head)
{
    size_t skip = 1 + length_bytes(code);

    switch (code) {
    case CODE_LEN8:
    case CODE_LEN16:
    case CODE_LEN32:
        token->type = at[0] >= 0xd9 ? DRI_TOKEN_STR : DRI_TOKEN_BIN;
        token->bytes = dray_slice_of(at + skip, (size_t)head->size - skip);
        break;
    case CODE_EXT8:
    case CODE_EXT16:
    case CODE_EXT32:
        token->type = DRI_TOKEN_EXT;
        token->ext_type = (int8_t)at[skip];
        token->bytes = dray_slice_of(at + skip + 1, (size_t)head->size - skip - 1);
        break;
    case CODE_MAP:
    case CODE_MAP16:
    case CODE_MAP32:
        token->type = DRI_TOKEN_MAP;
        token->count = head->count / 2;
        break;
    default:
        token->type = DRI_TOKEN_ARRAY;
        token->count = head->count;
        break;
    }
}

enum dray_status dri_scanner_next(struct dri_scanner *scanner, struct dri_token *ret_token)
{
    const uint8_t *at = scanner->at;
    uint8_t code;

    if (at == scanner->end) {
        return fail(scanner, at, DRAY_EINVALID, g_truncated);
    }
    scanner->pending--;
    code = g_size[*at];
    if (code < CODE_LEN8) {
        if ((size_t)(scanner->end - at) < code) {
            return fail(scanner, at, DRAY_EINVALID, g_truncated);
        }
        *ret_token = (struct dri_token){.type = DRI_TOKEN_NIL};
        fixed_set(ret_token, at);
        scanner->at = at + code;
    } else {
        struct head head;
        const char *wrong = head_read(at, scanner->end, code, &head);

        if (wrong != NULL) {
            return fail(scanner, at, DRAY_EINVALID, wrong);
        }
        if (head.is_container) {
            enum dray_status status = container_open(scanner, at, &head, scanner->depth + 1);

            if (status != DRAY_OK) {
                return status;
            }
        }
        *ret_token = (struct dri_token){.type = DRI_TOKEN_NIL};
        sized_set(ret_token, at, code, &head);
        scanner->at = at + head.size;
    }
    return DRAY_OK;
}

size_t dri_scanner_offset(const struct dri_scanner *scanner)
{
    return (size_t)(scanner->at - scanner->begin);
}

size_t dri_scanner_left(const struct dri_scanner *scanner)
{
    return (size_t)(scanner->end - scanner->at);
}

/* Length of the well-formed sequence at `at` (first byte >= 0x80), 0 when it is none. */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;

    if (first < 0xc2 || first > 0xf4 || left < len) {
        return 0;
    }
    if (first == 0xe0) {
        low = 0xa0;
    } else if (first == 0xed) {
        high = 0x9f;
    } else if (first == 0xf0) {
        low = 0x90;
    } else if (first == 0xf4) {
        high = 0x8f;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool dri_utf8_is_valid(struct dray_slice bytes)
{
    size_t i = 0;

    while (i < bytes.len) {
        size_t len = 1;

        if (bytes.len - i >= 8 && dri_is_ascii8(bytes.at + i)) {
            i += 8;
            continue;
        }
        if (bytes.at[i] >= 0x80) {
            len = utf8_sequence(bytes.at + i, bytes.len - i);
            if (len == 0) {
                return false;
            }
        }
        i += len;
    }
    return true;
}

void dri_utf8_mend(uint8_t *at, size_t len)
{
    if (dri_utf8_is_valid(dray_slice_of(at, len))) {
        return;
    }
    for (size_t i = 0; i < len;) {
        size_t sequence = at[i] < 0x80 ? 1 : utf8_sequence(at + i, len - i);

        if (sequence == 0) {
            at[i] = '?';
            sequence = 1;
        }
        i += sequence;
    }
}

size_t dri_utf8_cut(struct dray_slice bytes, size_t bytes_max)
{
    size_t cut = bytes_max;

    if (bytes.len <= bytes_max) {
        return bytes.len;
    }
    /* bytes.at[cut] is the first byte that goes; a sequence is at most 4 bytes long */
    for (int back = 0; back < 3 && cut > 0 && (bytes.at[cut] & 0xc0) == 0x80; back++) {
        cut--;
    }
    return (bytes.at[cut] & 0xc0) == 0x80 ? bytes_max : cut;
}

enum dray_status dri_cursor_text_rare(struct dri_scanner *scanner, struct dray_slice *ret_text)
{
    const uint8_t *begin = scanner->at;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(scanner, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type != DRI_TOKEN_STR) {
        return fail(scanner, begin, DRAY_EINVALID, "is not a string");
    }
    *ret_text = token.bytes;
    return DRAY_OK;
}

enum dray_status dri_cursor_uint_rare(struct dri_scanner *scanner, uint64_t *ret_value)
{
    const uint8_t *begin = scanner->at;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(scanner, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type != DRI_TOKEN_UINT) {
        return fail(scanner, begin, DRAY_EINVALID, "is not an unsigned integer");
    }
    *ret_value = token.value.u;
    return DRAY_OK;
}
