/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TEST_WIRE_BYTES_H
#define DRAY_TEST_WIRE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

/* wire_bytes.h - messages for tests: from JSON, from golden files, and damaged ones. */

/** msgpack bytes of a JSON text; they live until wire_bytes_free. Ends the process when it is none.
 */
struct dray_slice wire_json(const char *json);

/** The bytes of tests/unit/golden/<name>; they live until wire_bytes_free. */
struct dray_slice wire_golden(const char *name);

/** Frees all that the two above made. */
void wire_bytes_free(void);

/** Calls `try_one` with every beginning of `bytes` that is shorter, and with every byte replaced in
 *  nine ways (each bit, and all bits). Each is an exact heap copy, so that a sanitizer sees one
 * byte too far. */
void wire_damage(struct dray_slice bytes, void (*try_one)(struct dray_slice damaged));

#endif
