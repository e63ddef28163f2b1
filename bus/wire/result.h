/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_RESULT_H
#define DRI_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/kind.h>
#include <dray/slice.h>
#include <dray/status.h>

#include "wire_limits.h"

/* result.h - what a command came to: the record that callers read, and, with `ns` and `source`, the
 * record of a window log (docs/adr/0014-idempotency-window.md). Pure; any thread. */

struct dri_result {
    struct dray_slice id;
    bool is_id_binary;
    struct dray_slice command;
    struct dray_slice version; /* that ran; absent when none did */
    bool is_ok;
    bool is_fallback;          /* nothing ran: it is what the route says to answer meanwhile */
    struct dray_slice result;  /* msgpack bytes of one value, when ok; absent = nil */
    enum dray_error_kind kind; /* when not ok */
    struct dray_slice code;
    struct dray_slice message; /* cut at DRI_ERROR_TEXT_MAX on a UTF-8 boundary */
    bool is_dead_letter;
    struct dray_slice reply_failed; /* reason, when the wanted target refused; else absent */
    uint32_t attempt;               /* from 1 */
    struct dray_slice worker;
    uint64_t ts_ms;
    uint64_t us; /* handler time */
    struct dray_slice trace;
    bool is_duplicate;        /* of an earlier command of this id, whose end this is */
    struct dray_slice ns;     /* in a window record; else absent */
    struct dray_slice source; /* likewise: "topic/partition/offset" or "stream/sequence" */
};

/** Errors: ELIMIT when it does not fit. Does not allocate. */
DRAY_MUST_CHECK enum dray_status dri_result_encode(const struct dri_result *result, void *buffer,
                                                   size_t buffer_bytes, size_t *ret_len);
size_t dri_result_encoded_max(const struct dri_result *result);

/** A view: slices borrow from message. Errors: EINVALID, ELIMIT with *ret_error. */
DRAY_MUST_CHECK enum dray_status dri_result_decode(struct dray_slice message,
                                                   const struct dri_wire_limits *limits,
                                                   struct dri_result *ret_result,
                                                   struct dri_wire_error *ret_error);

#endif
