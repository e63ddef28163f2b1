/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_HEADERS_H
#define DRI_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* headers.h - message headers as one flat run of bytes, the form in which they travel inside dray.
 *
 * Each header: name length (u16, little-endian), name, value length (u32, little-endian; UINT32_MAX
 * for a null value), value. Order and repeated names are kept. Pure; any thread.
 */

struct dri_header {
    struct dray_slice name;
    struct dray_slice value; /* absent: null */
};

/** Walk: set *at to 0 first; false at the end. Ends at the first header that
 *  is not whole, so that bytes from outside do no harm. */
bool dri_headers_next(struct dray_slice headers, size_t *at, struct dri_header *ret_header);

/** The last header with this name (ASCII case folded), or absent. */
struct dray_slice dri_headers_find(struct dray_slice headers, const char *name);

/** Whether a name is, or begins with, this text (ASCII case folded). */
bool dri_header_name_is(struct dray_slice name, const char *text);
bool dri_header_name_begins(struct dray_slice name, const char *prefix);

/** A decimal number, as our headers have them: digits only. False: it is none, or has more than 64
 *  bits. */
bool dri_header_number(struct dray_slice value, uint64_t *ret_number);

/** Bytes that one header takes. */
size_t dri_headers_bytes(struct dray_slice name, struct dray_slice value);

/** Append to buffer at *len. Errors: ELIMIT when it does not fit; *len untouched. */
DRAY_MUST_CHECK enum dray_status dri_headers_append(void *buffer, size_t buffer_bytes, size_t *len,
                                                    struct dray_slice name,
                                                    struct dray_slice value);

/** Headers being written into a buffer; the first failure sticks. Set at, bytes; the rest 0. */
struct dri_header_sheet {
    uint8_t *at;
    size_t bytes;
    size_t len;
    size_t begin;            /* the caller's: where its own begin */
    enum dray_status status; /* ELIMIT: it did not fit */
};

void dri_sheet_add(struct dri_header_sheet *sheet, struct dray_slice name, struct dray_slice value);
void dri_sheet_add_number(struct dri_header_sheet *sheet, const char *name, uint64_t number);
/** RFC 3339 in UTC; at most DRI_CLOCK_TEXT_BYTES. */
void dri_sheet_add_time(struct dri_header_sheet *sheet, const char *name, uint64_t wall_ms);
/** All headers whose names do not begin with this. */
void dri_sheet_add_others(struct dri_header_sheet *sheet, struct dray_slice headers,
                          const char *prefix);

#endif
