/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SCANNER_H
#define DRI_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "wire_limits.h"

/* scanner.h - the only thing that meets raw msgpack: bounded, allocates nothing, never recurses.
 *
 * A cursor over one message. Every length is checked against the bytes that are left before it is
 * believed; the sum of declared elements is bounded, by the bytes that are left and by the limit;
 * UTF-8 of text is checked where the caller asks.
 *
 * Life: init over one value; next or skip until it is read. After a failure `at` stands on the
 * first byte of the token that is wrong and error_text says why; the scanner may not be used on.
 * Pure; any thread, one object per thread.
 */

enum dri_token_type {
    DRI_TOKEN_NIL,
    DRI_TOKEN_BOOL,
    DRI_TOKEN_UINT, /* also a positive signed integer */
    DRI_TOKEN_INT,  /* negative */
    DRI_TOKEN_FLOAT,
    DRI_TOKEN_STR,
    DRI_TOKEN_BIN,
    DRI_TOKEN_ARRAY,
    DRI_TOKEN_MAP,
    DRI_TOKEN_EXT,
};

struct dri_token {
    enum dri_token_type type;
    int8_t ext_type;
    uint32_t count;          /* elements of an array, pairs of a map */
    struct dray_slice bytes; /* STR, BIN, EXT: the content */
    union {
        bool boolean;
        uint64_t u;
        int64_t i;
        double real;
    } value;
};

/** Limits may ask for less nesting than this, never for more. */
#define DRI_DEPTH_CEILING 64u

struct dri_scanner {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    uint64_t pending; /* values that were declared and not yet read */
    uint64_t items;   /* elements of all arrays so far */
    uint64_t pairs;   /* of all maps so far */
    uint32_t depth_max;
    uint32_t depth; /* containers that the caller has open; kept by the caller */
    uint32_t elements_left;
    const char *error_text; /* NULL while sound */
};

void dri_scanner_init(struct dri_scanner *scanner, struct dray_slice bytes,
                      const struct dri_wire_limits *limits);

/** Like init, over one value that stands inside a message: offsets count from the message's begin.
 *  depth: containers around the value. */
void dri_scanner_init_inside(struct dri_scanner *scanner, struct dray_slice message,
                             struct dray_slice value, uint32_t depth,
                             const struct dri_wire_limits *limits);

/** One token; containers only announce their count. Errors: EINVALID, ELIMIT (error_text says why).
 */
DRAY_MUST_CHECK enum dray_status dri_scanner_next(struct dri_scanner *scanner,
                                                  struct dri_token *ret_token);

/** Skip one whole value and check its shape: lengths, depth, counts. Not checked here: UTF-8 of
 *  strings, duplicate keys of maps, types of keys. *ret_value borrows its bytes. */
DRAY_MUST_CHECK enum dray_status dri_scanner_skip(struct dri_scanner *scanner,
                                                  struct dray_slice *ret_value);

/** Skip like dri_scanner_skip without charging the element limit: for payloads, whose elements are
 *  bounded by their bytes. */
DRAY_MUST_CHECK enum dray_status dri_scanner_skip_payload(struct dri_scanner *scanner,
                                                          struct dray_slice *ret_value);

size_t dri_scanner_offset(const struct dri_scanner *scanner);
size_t dri_scanner_left(const struct dri_scanner *scanner);

/** Whether bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool dri_utf8_is_valid(struct dray_slice bytes);

/** Put a '?' in place of each byte that belongs to no well-formed sequence. */
void dri_utf8_mend(uint8_t *at, size_t len);

/** The longest beginning of at most bytes_max bytes that does not end inside a UTF-8 sequence. */
size_t dri_utf8_cut(struct dray_slice bytes, size_t bytes_max);

#endif
