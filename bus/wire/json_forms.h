/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_JSON_FORMS_H
#define DRI_WIRE_JSON_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "json.h"
#include "writer.h"

/* json_forms.h - the objects with one reserved key that stand for what JSON cannot say. Private. */

/** Whether a key alone in its object means something else than itself. */
bool dri_json_form_is_reserved(struct dray_slice key);

/** The map of one pair that ends `out` and begins at `at`: replaced by what it stands for, when its
 *  key is reserved. Errors: EINVALID with *ret_text, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_json_form_resolve(struct dri_text *out, size_t at,
                                                       const char **ret_text);

/** The header of a str. */
static inline void dri_writer_str_head(struct dri_writer *writer, uint32_t len)
{
    if (len < 32) {
        dri_writer_byte(writer, (uint8_t)(0xa0 | len));
    } else if (len <= UINT8_MAX) {
        dri_writer_head(writer, 0xd9, len, 1);
    } else if (len <= UINT16_MAX) {
        dri_writer_head(writer, 0xda, len, 2);
    } else {
        dri_writer_head(writer, 0xdb, len, 4);
    }
}

/** The header of a map or an array. */
static inline void dri_writer_container(struct dri_writer *writer, bool is_map, uint32_t count)
{
    if (count < 16) {
        dri_writer_byte(writer, (uint8_t)((is_map ? 0x80 : 0x90) | count));
    } else if (count <= UINT16_MAX) {
        dri_writer_head(writer, is_map ? 0xde : 0xdc, count, 2);
    } else {
        dri_writer_head(writer, is_map ? 0xdf : 0xdd, count, 4);
    }
}

#endif
