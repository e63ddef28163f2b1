/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TEST_WIRE_RECODE_H
#define DRAY_TEST_WIRE_RECODE_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "wire/wire_limits.h"

/* wire_recode.h - every wire format by its name: decode bytes and encode what was understood. */

/** Takes one message of a format, and writes it again with our encoder. */
typedef enum dray_status wire_recode_fn(struct dray_slice message, uint8_t *buffer,
                                        size_t buffer_bytes, size_t *ret_len,
                                        struct dri_wire_error *ret_error);

/** envelope, result, letter, control, change, route, status, park; NULL for others. */
wire_recode_fn *wire_recode_find(const char *format);

/** Encoded forms are at most so much larger than what was decoded. */
#define WIRE_RECODE_GROWTH 20000u

/** Decode with defaults except for the element limit, which fits whole changes. */
extern const struct dri_wire_limits wire_limits;

#endif
