/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_JSON_H
#define DRI_WIRE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "wire_limits.h"

/* json.h - JSON text to msgpack bytes and back, as people and pipes see payloads.
 *
 * Integers stay integers (int64 and uint64); bytes are {"$bin":"base64"}; ext is
 * {"$ext":[type,"base64"]}; numbers that JSON lacks are {"$float":"nan"|"inf"|"-inf"}; maps with
 * keys that are no text, are there twice, or are one of these words alone, are
 * {"$map":[[key,value],...]}. What is printed reads back equal, but for a str that is no UTF-8: it
 * comes back as bytes. Requires: LC_NUMERIC is "C". Any thread.
 */

/** A growing text buffer. */
struct dri_text {
    char *at; /* owned; NUL-terminated */
    size_t len;
    size_t capacity;
    enum dray_status status; /* the first failure sticks: ENOMEM */
};

void dri_text_init(struct dri_text *text);
void dri_text_fini(struct dri_text *text);
void dri_text_add(struct dri_text *text, const char *bytes, size_t len);
void dri_text_addf(struct dri_text *text, const char *format, ...) DRAY_FORMAT(2, 3);
/** A JSON string with quotes and escapes; bytes that are no UTF-8 as {"$bin":...}. */
void dri_text_add_json_string(struct dri_text *text, struct dray_slice value);

/** One JSON value to msgpack. Owns: *ret_bytes returned owned (dri_free).
 *  Errors: EINVALID with *ret_error (offset into the text), ELIMIT, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_json_to_msgpack(struct dray_slice json,
                                                     const struct dri_wire_limits *limits,
                                                     uint8_t **ret_bytes, size_t *ret_len,
                                                     struct dri_wire_error *ret_error);

/** One msgpack value appended as JSON. is_pretty: indented by two blanks.
 *  Errors: EINVALID, ELIMIT, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_msgpack_to_json(struct dray_slice value,
                                                     const struct dri_wire_limits *limits,
                                                     bool is_pretty, struct dri_text *text);

/** base64, standard alphabet with padding. Owns: returns owned, NULL when there is no memory. */
char *dri_base64_encode(struct dray_slice bytes);
/** Errors: EINVALID, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_base64_decode(struct dray_slice text, uint8_t **ret_bytes,
                                                   size_t *ret_len);

#endif
