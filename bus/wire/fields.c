/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fields.c - one reader for all formats that are read rarely, driven by a table for each.
 *
 * What it promises for each of them: keys are strings, none is there twice, known ones have their
 * type and length, required ones are there, unknown ones are skipped, and an error names the field
 * and the byte. Rejected: a function written out for each format, as the envelope has: speed that
 * nobody waits for, in formats that are read once a second or once a screen, and each one its own
 * branches to test.
 */

#include "fields.h"

#include <string.h>

#include "cursor.h"
#include "keys.h"

#define FIELD_UNKNOWN SIZE_MAX

static const struct dri_wire_limits g_any = {
    .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};

enum dray_status dri_fields_fail(struct dri_wire_error *ret_error, enum dray_status status,
                                 const struct dri_scanner *scanner, const char *field,
                                 const char *text)
{
    size_t offset = dri_scanner_offset(scanner);

    ret_error->field = field;
    ret_error->text = text == NULL ? scanner->error_text : text;
    ret_error->offset = offset > UINT32_MAX ? UINT32_MAX : (uint32_t)offset;
    return status;
}

static enum dray_status value_fail(struct dri_scanner *scanner, const uint8_t *at,
                                   enum dray_status status, const char *text)
{
    scanner->at = at;
    scanner->error_text = text;
    return status;
}

enum dray_status dri_map_open(struct dri_scanner *scanner, uint32_t *ret_pairs)
{
    const uint8_t *begin = scanner->at;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(scanner, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type != DRI_TOKEN_MAP) {
        return value_fail(scanner, begin, DRAY_EINVALID, "is not a map");
    }
    *ret_pairs = token.count;
    return DRAY_OK;
}

enum dray_status dri_strmap_read(struct dri_scanner *scanner, struct dray_slice *ret_map)
{
    struct dri_key keys[DRI_KEYS_FEW];
    const uint8_t *begin = scanner->at;
    struct dri_scanner first;
    uint32_t pairs;
    enum dray_status status = dri_map_open(scanner, &pairs);

    if (status != DRAY_OK) {
        return status;
    }
    first = *scanner;
    for (uint32_t i = 0; i < pairs; i++) {
        struct dray_slice key;
        struct dray_slice value;

        status = dri_cursor_text(scanner, &key);
        if (status == DRAY_OK) {
            status = dri_cursor_text(scanner, &value);
        }
        if (status != DRAY_OK) {
            return status;
        }
        if (i < DRI_KEYS_FEW) {
            keys[i].at = (uint32_t)(key.at - scanner->begin);
            keys[i].len = (uint32_t)key.len;
        }
    }
    if (pairs > DRI_KEYS_FEW) {
        status = dri_keys_check_map(&first, pairs);
        if (status != DRAY_OK) {
            return value_fail(scanner, first.at, status, first.error_text);
        }
    } else {
        const struct dri_key *twice = dri_keys_duplicate(scanner->begin, keys, pairs);

        if (twice != NULL) {
            return value_fail(scanner, scanner->begin + twice->at, DRAY_EINVALID,
                              "has a key twice");
        }
    }
    *ret_map = dray_slice_of(begin, (size_t)(scanner->at - begin));
    return DRAY_OK;
}

static enum dray_status bin_read(struct dri_scanner *scanner, struct dray_slice *ret_bytes)
{
    const uint8_t *begin = scanner->at;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(scanner, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type != DRI_TOKEN_BIN) {
        return value_fail(scanner, begin, DRAY_EINVALID, "is not binary");
    }
    *ret_bytes = token.bytes;
    return DRAY_OK;
}

static enum dray_status id_read(struct dri_scanner *scanner, void *ret_id, void *ret_is_binary)
{
    const uint8_t *begin = scanner->at;
    struct dri_token token = {.type = DRI_TOKEN_NIL};
    enum dray_status status = dri_scanner_next(scanner, &token);
    bool is_binary = token.type == DRI_TOKEN_BIN;
    bool is_text = token.type == DRI_TOKEN_STR;

    if (status != DRAY_OK) {
        return status;
    }
    if (is_binary ? token.bytes.len != 16
                  : !is_text || token.bytes.len < 1 || token.bytes.len > DRI_ID_BYTES_MAX ||
                        !dri_utf8_is_valid(token.bytes)) {
        return value_fail(scanner, begin, DRAY_EINVALID,
                          "is neither text of 1 to 64 bytes nor 16 bytes binary");
    }
    memcpy(ret_id, &token.bytes, sizeof(token.bytes));
    memcpy(ret_is_binary, &is_binary, sizeof(is_binary));
    return DRAY_OK;
}

/* A whole value of one of two types (the same twice when there is one). */
static enum dray_status typed_read(struct dri_scanner *scanner, enum dri_token_type wanted,
                                   enum dri_token_type also, const char *text,
                                   struct dray_slice *ret_value)
{
    struct dri_scanner look = *scanner;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(&look, &token);

    if (status != DRAY_OK) {
        return value_fail(scanner, scanner->at, status, look.error_text);
    }
    if (token.type != wanted && token.type != also) {
        return value_fail(scanner, scanner->at, DRAY_EINVALID, text);
    }
    status = dri_scanner_skip(scanner, ret_value);
    if (status == DRAY_OK && token.type == DRI_TOKEN_NIL) {
        *ret_value = dray_slice_of(NULL, 0);
    }
    return status;
}

static enum dray_status number_read(struct dri_scanner *scanner, enum dri_field_type type,
                                    void *ret_field)
{
    const uint8_t *begin = scanner->at;
    uint64_t number;
    enum dray_status status = dri_cursor_uint(scanner, &number);

    if (status != DRAY_OK) {
        return status;
    }
    if (type == DRI_FIELD_VERSION) {
        return number == 1 ? DRAY_OK
                           : value_fail(scanner, begin, DRAY_EINVALID, "is an unsupported version");
    }
    if (type == DRI_FIELD_U64) {
        memcpy(ret_field, &number, sizeof(number));
        return DRAY_OK;
    }
    if (number > UINT32_MAX) {
        return value_fail(scanner, begin, DRAY_EINVALID, "is too large");
    }
    memcpy(ret_field, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
    return DRAY_OK;
}

static enum dray_status bool_read(struct dri_scanner *scanner, void *ret_field)
{
    const uint8_t *begin = scanner->at;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(scanner, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type != DRI_TOKEN_BOOL) {
        return value_fail(scanner, begin, DRAY_EINVALID, "is not a boolean");
    }
    memcpy(ret_field, &token.value.boolean, sizeof(bool));
    return DRAY_OK;
}

/* The uints of a U32S: the elements' bytes are checked, the first one is at the front. */
static enum dray_status u32s_read(struct dri_scanner *scanner, struct dray_slice *ret_value)
{
    const uint8_t *begin = scanner->at;
    struct dri_scanner look = *scanner;
    struct dri_token token;
    enum dray_status status = dri_scanner_next(&look, &token);
    uint32_t count = 1;

    if (status == DRAY_OK && token.type == DRI_TOKEN_ARRAY) {
        *scanner = look;
        count = token.count;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ignored;

        status = number_read(scanner, DRI_FIELD_U32, &ignored);
        if (status != DRAY_OK) {
            return status;
        }
    }
    *ret_value = dray_slice_of(begin, (size_t)(scanner->at - begin));
    return DRAY_OK;
}

static enum dray_status slice_read(struct dri_scanner *scanner, enum dri_field_type type,
                                   struct dray_slice *ret_value)
{
    switch (type) {
    case DRI_FIELD_TEXT:
        return dri_cursor_text(scanner, ret_value);
    case DRI_FIELD_BIN:
        return bin_read(scanner, ret_value);
    case DRI_FIELD_PAYLOAD:
        return dri_scanner_skip_payload(scanner, ret_value);
    case DRI_FIELD_STRMAP:
        return dri_strmap_read(scanner, ret_value);
    case DRI_FIELD_MAP:
        return typed_read(scanner, DRI_TOKEN_MAP, DRI_TOKEN_MAP, "is not a map", ret_value);
    case DRI_FIELD_MAP_OR_NIL:
        return typed_read(scanner, DRI_TOKEN_MAP, DRI_TOKEN_NIL, "is neither a map nor nil",
                          ret_value);
    case DRI_FIELD_ARRAY:
        return typed_read(scanner, DRI_TOKEN_ARRAY, DRI_TOKEN_ARRAY, "is not an array", ret_value);
    default:
        return u32s_read(scanner, ret_value);
    }
}

static enum dray_status field_read(struct dri_scanner *scanner, const struct dri_field *field,
                                   void *ret_struct)
{
    const uint8_t *begin = scanner->at;
    uint8_t *ret_field = (uint8_t *)ret_struct + field->at;
    struct dray_slice value;
    enum dray_status status;

    if (field->type == DRI_FIELD_VERSION || field->type == DRI_FIELD_U64 ||
        field->type == DRI_FIELD_U32) {
        return number_read(scanner, field->type, ret_field);
    }
    if (field->type == DRI_FIELD_BOOL) {
        return bool_read(scanner, ret_field);
    }
    if (field->type == DRI_FIELD_ID) {
        return id_read(scanner, ret_field, (uint8_t *)ret_struct + field->flag_at);
    }
    status = slice_read(scanner, field->type, &value);
    if (status != DRAY_OK) {
        return status;
    }
    if (value.len < field->bytes_min) {
        return value_fail(scanner, begin, DRAY_EINVALID,
                          value.len == 0 ? "is empty" : "is too short");
    }
    if (field->bytes_max > 0 && value.len > field->bytes_max) {
        return value_fail(scanner, begin, DRAY_EINVALID, "is too long");
    }
    memcpy(ret_field, &value, sizeof(value));
    return DRAY_OK;
}

static size_t field_find(const struct dri_field *fields, size_t count, struct dray_slice key)
{
    for (size_t i = 0; i < count; i++) {
        if (dray_slice_equal_text(key, fields[i].name)) {
            return i;
        }
    }
    return FIELD_UNKNOWN;
}

static const char *field_label(const struct dri_field *field)
{
    return field->label == NULL ? field->name : field->label;
}

enum dray_status dri_fields_read(struct dri_scanner *scanner, const struct dri_field *fields,
                                 size_t count, void *ret_struct, struct dri_wire_error *ret_error)
{
    const uint8_t *begin = scanner->at;
    uint32_t seen = 0;
    uint32_t pairs;
    enum dray_status status = dri_map_open(scanner, &pairs);
    struct dri_scanner first = *scanner;

    if (status != DRAY_OK) {
        return dri_fields_fail(ret_error, status, scanner, "", NULL);
    }
    scanner->depth++;
    for (uint32_t i = 0; i < pairs; i++) {
        const char *label = "";
        struct dray_slice key;

        status = dri_cursor_bytes(scanner, &key);
        if (status == DRAY_OK) {
            size_t found = field_find(fields, count, key);

            if (found == FIELD_UNKNOWN) {
                status = dri_scanner_skip(scanner, &key);
            } else {
                label = field_label(&fields[found]);
                status = field_read(scanner, &fields[found], ret_struct);
                seen |= 1u << found;
            }
        }
        if (status != DRAY_OK) {
            return dri_fields_fail(ret_error, status, scanner, label, NULL);
        }
    }
    scanner->depth--;
    status = dri_keys_check_map(&first, pairs);
    if (status != DRAY_OK) {
        return dri_fields_fail(ret_error, status, &first, "", "has a key twice");
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].is_required && (seen & 1u << i) == 0) {
            first.at = begin;
            return dri_fields_fail(ret_error, DRAY_EINVALID, &first, field_label(&fields[i]),
                                   "is missing");
        }
    }
    return DRAY_OK;
}

const char *dri_version_fault(struct dray_slice message, uint32_t *ret_offset)
{
    struct dri_scanner scanner;
    struct dray_slice key;
    uint32_t pairs;

    *ret_offset = 0;
    dri_scanner_init(&scanner, message, &g_any);
    if (dri_map_open(&scanner, &pairs) != DRAY_OK) {
        return NULL;
    }
    scanner.depth = 1;
    for (uint32_t i = 0; i < pairs; i++) {
        bool is_v;

        if (dri_scanner_skip(&scanner, &key) != DRAY_OK) {
            return NULL;
        }
        is_v = key.len == 2 && memcmp(key.at, "\xa1v", 2) == 0;
        if (is_v) {
            uint64_t version;

            *ret_offset = (uint32_t)dri_scanner_offset(&scanner);
            if (dri_cursor_uint(&scanner, &version) != DRAY_OK) {
                return dri_scanner_left(&scanner) == 0 ? NULL : scanner.error_text;
            }
            return version == 1 ? NULL : "is an unsupported version";
        }
        if (dri_scanner_skip(&scanner, &key) != DRAY_OK) {
            return NULL;
        }
    }
    return "is missing";
}

enum dray_status dri_fields_decode(struct dray_slice message, const struct dri_wire_limits *limits,
                                   const struct dri_field *fields, size_t count, void *ret_struct,
                                   struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    enum dray_status status;
    const char *fault;
    uint32_t offset;

    dri_scanner_init(&scanner, message, limits);
    if (message.len > limits->message_bytes) {
        return dri_fields_fail(ret_error, DRAY_ELIMIT, &scanner, "", "is larger than the limit");
    }
    status = dri_fields_read(&scanner, fields, count, ret_struct, ret_error);
    if (status == DRAY_OK && dri_scanner_left(&scanner) > 0) {
        status =
            dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "", "is followed by more bytes");
    }
    if (status == DRAY_OK || fields[0].type != DRI_FIELD_VERSION) {
        return status;
    }
    fault = dri_version_fault(message, &offset);
    if (fault != NULL) {
        *ret_error = (struct dri_wire_error){.field = "v", .text = fault, .offset = offset};
        return DRAY_EINVALID;
    }
    return status;
}
