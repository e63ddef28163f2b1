/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* json_forms.c - objects with one reserved key, turned into what they stand for once they close.
 *
 * The parser has already packed the object as a map of one pair; here those bytes are replaced in
 * place by a bin, an ext, a real or a map of any keys, each of which is shorter. So the parser
 * knows nothing of these words, and they may be nested at will.
 */

#include "json_forms.h"

#include <math.h>
#include <msgpack.h>
#include <string.h>

#include "base/mem.h"
#include "scanner.h"
#include "wire_limits.h"

static const struct dri_wire_limits g_any = {
    .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};

static const char *const g_bin_text = "is a $bin that is not base64";
static const char *const g_ext_text = "is a $ext that is not [type, base64]";
static const char *const g_map_text = "is a $map that is not an array of pairs";
static const char *const g_float_text = "is a $float that is none of nan, inf, -inf";

static int out_write(void *data, const char *bytes, size_t len)
{
    struct dri_text *out = (struct dri_text *)data;

    dri_text_add(out, bytes, len);
    return out->status == DRAY_OK ? 0 : -1;
}

bool dri_json_form_is_reserved(struct dray_slice key)
{
    return dray_slice_equal_text(key, "$bin") || dray_slice_equal_text(key, "$ext") ||
           dray_slice_equal_text(key, "$map") || dray_slice_equal_text(key, "$float");
}

/* The next token of a value that was written here, and so is whole. */
static bool token_is(struct dri_scanner *value, enum dri_token_type type,
                     struct dri_token *ret_token)
{
    return dri_scanner_next(value, ret_token) == DRAY_OK && ret_token->type == type;
}

/* Bytes of `base64` in place of what begins at `at`: a bin, or an ext of *ext_type. */
static enum dray_status bytes_place(struct dri_text *out, size_t at, struct dray_slice base64,
                                    const int8_t *ext_type)
{
    uint8_t *bytes;
    size_t len;
    msgpack_packer pack;
    enum dray_status status = dri_base64_decode(base64, &bytes, &len);

    if (status != DRAY_OK) {
        return status;
    }
    out->len = at;
    msgpack_packer_init(&pack, out, out_write);
    if (ext_type == NULL) {
        (void)msgpack_pack_bin(&pack, len);
        (void)msgpack_pack_bin_body(&pack, bytes, len);
    } else {
        (void)msgpack_pack_ext(&pack, len, *ext_type);
        (void)msgpack_pack_ext_body(&pack, bytes, len);
    }
    dri_free(bytes);
    return out->status;
}

static enum dray_status ext_place(struct dri_text *out, size_t at, struct dri_scanner *value)
{
    struct dri_token array;
    struct dri_token type;
    struct dri_token text;
    int8_t ext_type;
    bool is_negative;

    if (!token_is(value, DRI_TOKEN_ARRAY, &array) || array.count != 2) {
        return DRAY_EINVALID;
    }
    is_negative = !token_is(value, DRI_TOKEN_UINT, &type);
    if (is_negative ? type.type != DRI_TOKEN_INT || type.value.i < INT8_MIN
                    : type.value.u > INT8_MAX) {
        return DRAY_EINVALID;
    }
    ext_type = (int8_t)(is_negative ? type.value.i : (int64_t)type.value.u);
    if (!token_is(value, DRI_TOKEN_STR, &text)) {
        return DRAY_EINVALID;
    }
    return bytes_place(out, at, text.bytes, &ext_type);
}

/* An array of n pairs becomes a map of n: its header has the same size, the pairs lose theirs. */
static enum dray_status map_place(struct dri_text *out, size_t at, struct dri_scanner *value)
{
    struct dri_token array;
    struct dri_writer writer;

    if (!token_is(value, DRI_TOKEN_ARRAY, &array)) {
        return DRAY_EINVALID;
    }
    writer = dri_writer_of((uint8_t *)out->at + at, out->len - at);
    dri_writer_container(&writer, true, array.count);
    for (uint32_t i = 0; i < array.count; i++) {
        struct dray_slice pair;

        if (dri_scanner_skip(value, &pair) != DRAY_OK || pair.at[0] != 0x92) {
            return DRAY_EINVALID;
        }
        /* always to the left: the map of one pair around them and its key are gone */
        memmove(writer.at, pair.at + 1, pair.len - 1);
        writer.at += pair.len - 1;
    }
    out->len = (size_t)(writer.at - (uint8_t *)out->at);
    return DRAY_OK;
}

static enum dray_status float_place(struct dri_text *out, size_t at, struct dri_scanner *value)
{
    msgpack_packer pack;
    struct dri_token text;
    double real;

    if (!token_is(value, DRI_TOKEN_STR, &text)) {
        return DRAY_EINVALID;
    }
    if (dray_slice_equal_text(text.bytes, "nan")) {
        real = (double)NAN;
    } else if (dray_slice_equal_text(text.bytes, "inf")) {
        real = (double)INFINITY;
    } else if (dray_slice_equal_text(text.bytes, "-inf")) {
        real = -(double)INFINITY;
    } else {
        return DRAY_EINVALID;
    }
    out->len = at;
    msgpack_packer_init(&pack, out, out_write);
    (void)msgpack_pack_double(&pack, real);
    return out->status;
}

enum dray_status dri_json_form_resolve(struct dri_text *out, size_t at, const char **ret_text)
{
    struct dri_scanner scanner;
    struct dri_token map;
    struct dri_token key;
    struct dri_token text;

    dri_scanner_init(&scanner, dray_slice_of(out->at + at, out->len - at), &g_any);
    if (!token_is(&scanner, DRI_TOKEN_MAP, &map) || !token_is(&scanner, DRI_TOKEN_STR, &key) ||
        !dri_json_form_is_reserved(key.bytes)) {
        return DRAY_OK;
    }
    if (dray_slice_equal_text(key.bytes, "$ext")) {
        *ret_text = g_ext_text;
        return ext_place(out, at, &scanner);
    }
    if (dray_slice_equal_text(key.bytes, "$map")) {
        *ret_text = g_map_text;
        return map_place(out, at, &scanner);
    }
    if (dray_slice_equal_text(key.bytes, "$float")) {
        *ret_text = g_float_text;
        return float_place(out, at, &scanner);
    }
    *ret_text = g_bin_text;
    if (!token_is(&scanner, DRI_TOKEN_STR, &text)) {
        return DRAY_EINVALID;
    }
    return bytes_place(out, at, text.bytes, NULL);
}
