/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* json_print.c - msgpack bytes to JSON text, so that json.c reads them back equal.
 *
 * The value is checked as a whole before the first character; then one loop walks its tokens with a
 * stack of open containers. A map whose keys JSON cannot hold becomes {"$map":[[key,value],...]}.
 * Reals have the first of 15 to 17 digits that bring them back, and always a point or an exponent.
 * A str that is no UTF-8 becomes {"$bin":...}: the one case that comes back as another type.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cursor.h"
#include "json.h"
#include "json_forms.h"
#include "keys.h"
#include "scanner.h"

/* A $map takes two: itself and the pair that is open. */
#define FRAMES_MAX (2u * DRI_DEPTH_CEILING)

enum frame_kind {
    FRAME_ARRAY,
    FRAME_MAP,
    FRAME_PAIRS,
    FRAME_PAIR
};

struct frame {
    enum frame_kind kind;
    uint32_t count;
    uint32_t left;
};

struct printer {
    struct dri_scanner scanner;
    struct dri_text *text;
    struct frame frames[FRAMES_MAX];
    size_t depth;
    bool is_pretty;
};

static void literal_add(struct dri_text *text, const char *literal)
{
    dri_text_add(text, literal, strlen(literal));
}

static void real_add(struct dri_text *text, double real)
{
    char digits[40];

    if (isnan(real)) {
        literal_add(text, "{\"$float\":\"nan\"}");
        return;
    }
    if (isinf(real)) {
        literal_add(text, real > 0 ? "{\"$float\":\"inf\"}" : "{\"$float\":\"-inf\"}");
        return;
    }
    for (int precision = 15;; precision++) {
        (void)snprintf(digits, sizeof(digits), "%.*g", precision, real);
        if (precision == 17 || strtod(digits, NULL) == real) {
            break;
        }
    }
    literal_add(text, digits);
    if (strpbrk(digits, ".e") == NULL) {
        literal_add(text, ".0");
    }
}

static void base64_add(struct dri_text *text, struct dray_slice bytes)
{
    char *base64 = dri_base64_encode(bytes);

    if (base64 == NULL) {
        text->status = DRAY_ENOMEM;
        return;
    }
    literal_add(text, base64);
    dri_free(base64);
}

static void scalar_add(struct dri_text *text, const struct dri_token *token)
{
    switch (token->type) {
    case DRI_TOKEN_BOOL:
        literal_add(text, token->value.boolean ? "true" : "false");
        return;
    case DRI_TOKEN_UINT:
        dri_text_addf(text, "%llu", (unsigned long long)token->value.u);
        return;
    case DRI_TOKEN_INT:
        dri_text_addf(text, "%lld", (long long)token->value.i);
        return;
    case DRI_TOKEN_FLOAT:
        real_add(text, token->value.real);
        return;
    case DRI_TOKEN_STR:
        dri_text_add_json_string(text, token->bytes);
        return;
    case DRI_TOKEN_BIN:
        literal_add(text, "{\"$bin\":\"");
        base64_add(text, token->bytes);
        literal_add(text, "\"}");
        return;
    case DRI_TOKEN_EXT:
        dri_text_addf(text, "{\"$ext\":[%d,\"", token->ext_type);
        base64_add(text, token->bytes);
        literal_add(text, "\"]}");
        return;
    default:
        literal_add(text, "null");
        return;
    }
}

/* Whether the keys of the map at the scanner are texts that differ and mean nothing else. The map
 * was checked. Errors: ENOMEM. */
static enum dray_status map_is_plain(struct dri_scanner scanner, uint32_t pairs, bool *ret_is_plain)
{
    struct dri_key few[DRI_KEYS_FEW];
    struct dri_key *keys = few;
    bool is_plain = true;

    if (pairs > DRI_KEYS_FEW) {
        keys = dri_zalloc_array(pairs, sizeof(*keys));
        if (keys == NULL) {
            return DRAY_ENOMEM;
        }
    }
    for (uint32_t i = 0; is_plain && i < pairs; i++) {
        struct dray_slice key;
        struct dray_slice value;

        is_plain = dri_cursor_text(&scanner, &key) == DRAY_OK &&
                   dri_scanner_skip(&scanner, &value) == DRAY_OK &&
                   !(pairs == 1 && dri_json_form_is_reserved(key));
        if (is_plain) {
            keys[i].at = (uint32_t)(key.at - scanner.begin);
            keys[i].len = (uint32_t)key.len;
        }
    }
    *ret_is_plain = is_plain && dri_keys_duplicate(scanner.begin, keys, pairs) == NULL;
    if (keys != few) {
        dri_free(keys);
    }
    return DRAY_OK;
}

static void frame_push(struct printer *printer, enum frame_kind kind, uint32_t count)
{
    static const char *const opening[] = {
        [FRAME_ARRAY] = "[", [FRAME_MAP] = "{", [FRAME_PAIRS] = "{\"$map\":[", [FRAME_PAIR] = "["};

    literal_add(printer->text, opening[kind]);
    printer->frames[printer->depth++] = (struct frame){.kind = kind, .count = count, .left = count};
}

static void line_add(struct printer *printer, size_t indent)
{
    if (printer->is_pretty) {
        dri_text_addf(printer->text, "\n%*s", (int)(2 * indent), "");
    }
}

static void frame_pop(struct printer *printer)
{
    static const char *const closing[] = {
        [FRAME_ARRAY] = "]", [FRAME_MAP] = "}", [FRAME_PAIRS] = "]}", [FRAME_PAIR] = "]"};
    struct frame *frame = &printer->frames[--printer->depth];

    if (frame->count > 0 && frame->kind != FRAME_PAIR) {
        line_add(printer, printer->depth);
    }
    literal_add(printer->text, closing[frame->kind]);
}

/* What stands before the next value of the innermost container; false when that is a pair to open.
 */
static enum dray_status element_begin(struct printer *printer, bool *ret_is_value)
{
    struct frame *frame = &printer->frames[printer->depth - 1];
    struct dray_slice key;
    enum dray_status status;

    if (frame->left < frame->count) {
        literal_add(printer->text, frame->kind == FRAME_PAIR && printer->is_pretty ? ", " : ",");
    }
    if (frame->kind != FRAME_PAIR) {
        line_add(printer, printer->depth);
    }
    frame->left--;
    *ret_is_value = frame->kind != FRAME_PAIRS;
    if (frame->kind == FRAME_PAIRS) {
        frame_push(printer, FRAME_PAIR, 2);
    }
    if (frame->kind != FRAME_MAP) {
        return DRAY_OK;
    }
    status = dri_cursor_bytes(&printer->scanner, &key);
    if (status == DRAY_OK) {
        dri_text_add_json_string(printer->text, key);
        literal_add(printer->text, printer->is_pretty ? ": " : ":");
    }
    return status;
}

static enum dray_status value_print(struct printer *printer)
{
    struct dri_token token;
    bool is_plain = true;
    enum dray_status status = dri_scanner_next(&printer->scanner, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type == DRI_TOKEN_ARRAY) {
        frame_push(printer, FRAME_ARRAY, token.count);
        return DRAY_OK;
    }
    if (token.type != DRI_TOKEN_MAP) {
        scalar_add(printer->text, &token);
        return DRAY_OK;
    }
    status = map_is_plain(printer->scanner, token.count, &is_plain);
    if (status == DRAY_OK) {
        frame_push(printer, is_plain ? FRAME_MAP : FRAME_PAIRS, token.count);
    }
    return status;
}

enum dray_status dri_msgpack_to_json(struct dray_slice value, const struct dri_wire_limits *limits,
                                     bool is_pretty, struct dri_text *text)
{
    struct printer printer = {.text = text, .is_pretty = is_pretty};
    struct dri_wire_limits inside = *limits;
    struct dray_slice whole;
    enum dray_status status;

    inside.elements = UINT32_MAX;
    dri_scanner_init(&printer.scanner, value, &inside);
    status = value.len > UINT32_MAX ? DRAY_ELIMIT : dri_scanner_skip(&printer.scanner, &whole);
    if (status != DRAY_OK) {
        return status;
    }
    if (dri_scanner_left(&printer.scanner) > 0) {
        return DRAY_EINVALID;
    }
    dri_scanner_init(&printer.scanner, value, &inside);
    status = value_print(&printer);
    while (status == DRAY_OK && text->status == DRAY_OK && printer.depth > 0) {
        bool is_value;

        if (printer.frames[printer.depth - 1].left == 0) {
            frame_pop(&printer);
            continue;
        }
        status = element_begin(&printer, &is_value);
        if (status == DRAY_OK && is_value) {
            status = value_print(&printer);
        }
    }
    return status != DRAY_OK ? status : text->status;
}
