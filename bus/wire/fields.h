/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_FIELDS_H
#define DRI_WIRE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "scanner.h"

/* fields.h - a msgpack map read into a struct by a table. Private to wire.
 *
 * For every format but the envelope, whose decoder is written out for speed. Pure; any thread.
 */

enum dri_field_type {
    DRI_FIELD_VERSION,    /* uint that must be 1; nothing is stored */
    DRI_FIELD_TEXT,       /* str, UTF-8 -> struct dray_slice */
    DRI_FIELD_BIN,        /* bin -> struct dray_slice */
    DRI_FIELD_ID,         /* str 1..64 or bin 16 -> struct dray_slice */
    DRI_FIELD_U64,        /* uint -> uint64_t */
    DRI_FIELD_U32,        /* uint -> uint32_t */
    DRI_FIELD_BOOL,       /* -> bool */
    DRI_FIELD_PAYLOAD,    /* any value -> struct dray_slice of its bytes, elements not counted */
    DRI_FIELD_STRMAP,     /* map of str to str -> struct dray_slice of its bytes */
    DRI_FIELD_MAP,        /* -> struct dray_slice of its bytes */
    DRI_FIELD_MAP_OR_NIL, /* likewise; absent for nil */
    DRI_FIELD_ARRAY,      /* likewise */
    DRI_FIELD_U32S,       /* a uint or an array of them -> struct dray_slice of its bytes */
};

struct dri_field {
    const char *name;
    const char *label; /* as errors name it; NULL: name */
    size_t at;         /* offset in the struct */
    size_t flag_at;    /* of an ID: offset of the bool "it is binary" */
    enum dri_field_type type;
    bool is_required;
    uint32_t bytes_min; /* of a TEXT or BIN */
    uint32_t bytes_max; /* 0: no bound */
};

/** Read the map at the scanner into ret_struct; absent fields stay as they are. *ret_seen: bit i
 * for fields[i]. Unknown keys are skipped, duplicate ones refused. Errors: EINVALID, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_fields_read(struct dri_scanner *scanner,
                                                 const struct dri_field *fields, size_t count,
                                                 void *ret_struct,
                                                 struct dri_wire_error *ret_error);

/** A whole message: size limit, `v` before all else, the map, no trailing bytes. */
DRAY_MUST_CHECK enum dray_status dri_fields_decode(struct dray_slice message,
                                                   const struct dri_wire_limits *limits,
                                                   const struct dri_field *fields, size_t count,
                                                   void *ret_struct,
                                                   struct dri_wire_error *ret_error);

/** Set *ret_error; a scanner's text and offset when text is NULL. Returns status. */
enum dray_status dri_fields_fail(struct dri_wire_error *ret_error, enum dray_status status,
                                 const struct dri_scanner *scanner, const char *field,
                                 const char *text);

/** Check a map of str to str at the scanner and borrow its bytes. */
DRAY_MUST_CHECK enum dray_status dri_strmap_read(struct dri_scanner *scanner,
                                                 struct dray_slice *ret_map);

/** A map header. */
DRAY_MUST_CHECK enum dray_status dri_map_open(struct dri_scanner *scanner, uint32_t *ret_pairs);

/** Look for `v` in a message that was refused, as far as its bytes can be read. Returns NULL when
 * it is 1 or cannot be told, otherwise what is wrong with it; *ret_offset is where. */
const char *dri_version_fault(struct dray_slice message, uint32_t *ret_offset);

#endif
