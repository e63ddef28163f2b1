/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TESTING_JSON_H
#define DRAY_TESTING_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* json.h - payloads as people write them, for the test kit: JSON text to msgpack and back.
 *
 * Integers stay integers; bytes are {"$bin":"base64"}. The worker has a converter of its own (it
 * takes bytes from strangers); this one keeps the kit free of the worker. Any thread.
 */

/** A growing buffer. Requires: zeroed before the first use. */
struct dray_test_buffer {
    char *at; /* owned */
    size_t len;
    size_t capacity;
};

void dray_test_buffer_fini(struct dray_test_buffer *buffer);

/** Append one value as msgpack. Errors: EINVALID (*ret_offset: where in the text), ENOMEM. */
DRAY_MUST_CHECK enum dray_status
dray_test_json_decode(const char *json, struct dray_test_buffer *buffer, size_t *ret_offset);

/** Append one msgpack value as JSON, and a NUL behind it that len does not count. Keys keep their
 *  order. Errors: EINVALID (not exactly one value), ELIMIT, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dray_test_json_encode(struct dray_slice value,
                                                       struct dray_test_buffer *buffer);

#endif
