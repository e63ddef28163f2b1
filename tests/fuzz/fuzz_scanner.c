/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_scanner - the scanner against msgpack-c.
 *
 * What the scanner accepts, msgpack-c accepts with equal meaning and length; what it refuses,
 * msgpack-c refuses too. msgpack-c believes declared counts, so it does not see bytes that were
 * refused for theirs; in all others each container before the fault was seen to fit.
 */

#include <math.h>
#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "wire/payload.h"
#include "wire/scanner.h"

/* msgpack-c knows no more levels, and calls the next one out of memory. */
#define DEPTH 32

static bool is_same_bytes(struct dray_slice ours, const char *theirs, size_t len)
{
    return ours.len == len && (len == 0 || memcmp(ours.at, theirs, len) == 0);
}

static bool is_same_scalar(const struct dri_token *token, const msgpack_object *object)
{
    switch (token->type) {
    case DRI_TOKEN_NIL:
        return object->type == MSGPACK_OBJECT_NIL;
    case DRI_TOKEN_BOOL:
        return object->type == MSGPACK_OBJECT_BOOLEAN &&
               object->via.boolean == token->value.boolean;
    case DRI_TOKEN_UINT:
        return object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 == token->value.u;
    case DRI_TOKEN_INT:
        return object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && object->via.i64 == token->value.i;
    case DRI_TOKEN_FLOAT:
        return (object->type == MSGPACK_OBJECT_FLOAT32 || object->type == MSGPACK_OBJECT_FLOAT64) &&
               (isnan(object->via.f64) ? isnan(token->value.real) != 0
                                       : object->via.f64 == token->value.real);
    case DRI_TOKEN_STR:
        return object->type == MSGPACK_OBJECT_STR &&
               is_same_bytes(token->bytes, object->via.str.ptr, object->via.str.size);
    case DRI_TOKEN_BIN:
        return object->type == MSGPACK_OBJECT_BIN &&
               is_same_bytes(token->bytes, object->via.bin.ptr, object->via.bin.size);
    case DRI_TOKEN_EXT:
        return object->type == MSGPACK_OBJECT_EXT && object->via.ext.type == token->ext_type &&
               is_same_bytes(token->bytes, object->via.ext.ptr, object->via.ext.size);
    default:
        return false;
    }
}

/* Recursion is bounded by DEPTH. */
static void value_compare(struct dri_scanner *scanner, const msgpack_object *object)
{
    struct dri_token token;

    FUZZ_CHECK(dri_scanner_next(scanner, &token) == DRAY_OK);
    if (token.type == DRI_TOKEN_ARRAY) {
        FUZZ_CHECK(object->type == MSGPACK_OBJECT_ARRAY && object->via.array.size == token.count);
        for (uint32_t i = 0; i < token.count; i++) {
            value_compare(scanner, &object->via.array.ptr[i]);
        }
    } else if (token.type == DRI_TOKEN_MAP) {
        FUZZ_CHECK(object->type == MSGPACK_OBJECT_MAP && object->via.map.size == token.count);
        for (uint32_t i = 0; i < token.count; i++) {
            value_compare(scanner, &object->via.map.ptr[i].key);
            value_compare(scanner, &object->via.map.ptr[i].val);
        }
    } else {
        FUZZ_CHECK(is_same_scalar(&token, object));
    }
}

/* Read the whole of it by single tokens; what they say together is what skip says. */
static enum dray_status tokens_walk(struct dray_slice bytes, const struct dri_wire_limits *limits)
{
    struct dri_scanner scanner;

    dri_scanner_init(&scanner, bytes, limits);
    while (scanner.pending > 0) {
        struct dri_token token;
        enum dray_status status = dri_scanner_next(&scanner, &token);

        if (status != DRAY_OK) {
            return status;
        }
    }
    return DRAY_OK;
}

static void utf8_try(struct dray_slice bytes)
{
    uint8_t copy[256];
    size_t len = bytes.len < sizeof(copy) ? bytes.len : sizeof(copy);
    size_t cut = dri_utf8_cut(bytes, bytes.len / 2);

    FUZZ_CHECK(cut <= bytes.len / 2 || bytes.len <= bytes.len / 2);
    if (dri_utf8_is_valid(bytes)) {
        FUZZ_CHECK(dri_utf8_is_valid(dray_slice_of(bytes.at, cut)));
    }
    if (len > 0) {
        memcpy(copy, bytes.at, len);
    }
    dri_utf8_mend(copy, len);
    FUZZ_CHECK(dri_utf8_is_valid(dray_slice_of(copy, len)));
}

static void limits_try(struct dray_slice bytes)
{
    const struct dri_wire_limits few = {UINT32_MAX, 3, 5};
    const struct dri_wire_limits any = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    struct dri_scanner scanner;
    struct dray_slice value;

    dri_scanner_init(&scanner, dray_slice_of(NULL, 0), &any);
    FUZZ_CHECK(dri_scanner_skip(&scanner, &value) == DRAY_EINVALID);
    dri_scanner_init(&scanner, bytes, &few);
    if (dri_scanner_skip(&scanner, &value) == DRAY_OK) {
        FUZZ_CHECK(scanner.items + 2 * scanner.pairs <= 5);
    }
    dri_scanner_init(&scanner, bytes, &few);
    if (dri_scanner_skip_payload(&scanner, &value) == DRAY_OK) {
        FUZZ_CHECK(scanner.elements_left == 5);
    }
    (void)tokens_walk(bytes, &few);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dri_wire_limits limits = {UINT32_MAX, DEPTH, UINT32_MAX};
    struct dray_slice bytes = dray_slice_of(data, size);
    struct dri_scanner scanner;
    struct dray_slice value;
    msgpack_unpacked theirs;
    enum dray_status status;
    size_t offset = 0;

    utf8_try(bytes);
    limits_try(bytes);
    dri_scanner_init(&scanner, bytes, &limits);
    status = dri_scanner_skip(&scanner, &value);
    FUZZ_CHECK(dri_scanner_offset(&scanner) <= size);
    if (status == DRAY_OK) {
        FUZZ_CHECK(tokens_walk(bytes, &limits) == DRAY_OK);
    } else if (strstr(scanner.error_text, "more elements than") != NULL) {
        return 0;
    }
    msgpack_unpacked_init(&theirs);
    if (size > 0 &&
        msgpack_unpack_next(&theirs, (const char *)data, size, &offset) == MSGPACK_UNPACK_SUCCESS) {
        FUZZ_CHECK(status == DRAY_OK && offset == value.len);
        dri_scanner_init(&scanner, bytes, &limits);
        value_compare(&scanner, &theirs.data);
        FUZZ_CHECK(dri_scanner_offset(&scanner) == value.len);
    } else {
        FUZZ_CHECK(status != DRAY_OK);
    }
    msgpack_unpacked_destroy(&theirs);
    return 0;
}
