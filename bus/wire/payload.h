/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_PAYLOAD_H
#define DRI_WIRE_PAYLOAD_H

#include <stddef.h>

#include <dray/slice.h>
#include <dray/status.h>

/* payload.h - a payload as msgpack-c objects, in a bounded arena, for handlers that want a tree.
 *
 * Only bytes that the scanner has passed reach msgpack-c: it believes declared sizes. Each arena
 * belongs to one thread.
 */

struct dri_payload_arena;

/** bytes_max bounds the objects of one payload. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_payload_arena_create(size_t bytes_max,
                                                          struct dri_payload_arena **ret_arena);
void dri_payload_arena_destroy(struct dri_payload_arena *arena);

/** Unpack into the arena; *ret_object is a `const msgpack_object *` that borrows until the next
 * call. An absent payload is nil. Errors: ELIMIT (over bytes_max, or nested deeper than 32),
 * EINVALID, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_payload_unpack(struct dri_payload_arena *arena,
                                                    struct dray_slice payload,
                                                    const void **ret_object);

#endif
