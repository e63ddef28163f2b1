/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* payload.c - a payload as a tree of msgpack-c objects.
 *
 * msgpack-c allocates from its zone what a container declares, and a zone only grows. So the
 * scanner counts first, exactly, what the objects will take; above the arena's bound nothing is
 * unpacked. The zone has one chunk that is at least as large as any payload before it, so clearing
 * it keeps the memory and unpacking does not touch the heap once the largest payload was seen.
 * Rejected: unpacking with msgpack_unpack_next, which destroys its zone at each call (three heap
 * calls a payload).
 *
 * Nesting beyond 32 is answered here: msgpack-c would call it out of memory, which is retried.
 */

#include "payload.h"

#include <msgpack.h>

#include "base/mem.h"
#include "scanner.h"
#include "wire_limits.h"

#define CHUNK_BYTES_MIN   4096u
#define MSGPACK_DEPTH     32u
#define CHUNK_SLACK_BYTES 64u /* the chunk's own header and alignment */

struct dri_payload_arena {
    size_t bytes_max;
    size_t chunk_bytes; /* 0: there is no zone yet */
    msgpack_zone zone;
    msgpack_object object;
};

enum dray_status dri_payload_arena_create(size_t bytes_max, struct dri_payload_arena **ret_arena)
{
    struct dri_payload_arena *arena = dri_zalloc(sizeof(*arena));

    if (arena == NULL) {
        return DRAY_ENOMEM;
    }
    arena->bytes_max = bytes_max;
    *ret_arena = arena;
    return DRAY_OK;
}

void dri_payload_arena_destroy(struct dri_payload_arena *arena)
{
    if (arena != NULL && arena->chunk_bytes > 0) {
        msgpack_zone_destroy(&arena->zone);
    }
    dri_free(arena);
}

/* Bytes of the objects below the root. Errors: EINVALID, ELIMIT. */
static enum dray_status objects_bytes(struct dray_slice payload, uint64_t *ret_bytes)
{
    const struct dri_wire_limits limits = {UINT32_MAX, MSGPACK_DEPTH, UINT32_MAX};
    struct dri_scanner scanner;
    struct dray_slice value;
    enum dray_status status;

    dri_scanner_init(&scanner, payload, &limits);
    status = dri_scanner_skip(&scanner, &value);
    if (status != DRAY_OK) {
        return status;
    }
    if (dri_scanner_left(&scanner) > 0) {
        return DRAY_EINVALID;
    }
    *ret_bytes = scanner.items * sizeof(msgpack_object) + scanner.pairs * sizeof(msgpack_object_kv);
    return DRAY_OK;
}

/* A clear zone whose first chunk holds `bytes`. */
static enum dray_status zone_prepare(struct dri_payload_arena *arena, size_t bytes)
{
    size_t chunk_bytes = CHUNK_BYTES_MIN;

    if (arena->chunk_bytes >= bytes + CHUNK_SLACK_BYTES) {
        msgpack_zone_clear(&arena->zone);
        return DRAY_OK;
    }
    while (chunk_bytes < bytes + CHUNK_SLACK_BYTES) {
        chunk_bytes *= 2;
    }
    if (arena->chunk_bytes > 0) {
        msgpack_zone_destroy(&arena->zone);
        arena->chunk_bytes = 0;
    }
    if (!msgpack_zone_init(&arena->zone, chunk_bytes)) {
        return DRAY_ENOMEM;
    }
    arena->chunk_bytes = chunk_bytes;
    return DRAY_OK;
}

enum dray_status dri_payload_unpack(struct dri_payload_arena *arena, struct dray_slice payload,
                                    const void **ret_object)
{
    size_t offset = 0;
    uint64_t bytes = 0;
    enum dray_status status;
    msgpack_unpack_return answer;

    if (dray_slice_is_absent(payload)) {
        arena->object.type = MSGPACK_OBJECT_NIL;
        *ret_object = &arena->object;
        return DRAY_OK;
    }
    status = objects_bytes(payload, &bytes);
    if (status != DRAY_OK) {
        return status;
    }
    if (bytes > arena->bytes_max) {
        return DRAY_ELIMIT;
    }
    status = zone_prepare(arena, (size_t)bytes);
    if (status != DRAY_OK) {
        return status;
    }
    answer = msgpack_unpack((const char *)payload.at, payload.len, &offset, &arena->zone,
                            &arena->object);
    if (answer != MSGPACK_UNPACK_SUCCESS) {
        return answer == MSGPACK_UNPACK_NOMEM_ERROR ? DRAY_ENOMEM : DRAY_EINVALID;
    }
    *ret_object = &arena->object;
    return DRAY_OK;
}
