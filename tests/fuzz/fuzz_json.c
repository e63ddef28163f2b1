/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_json - any bytes as JSON text and as msgpack: what is accepted comes back equal, and no
 * allocation that fails is overlooked.
 */

#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "wire/json.h"
#include "wire/payload.h"

static const struct dri_wire_limits g_limits = DRI_WIRE_LIMITS_INIT;
/* What was written may be a little larger than what was read. */
static const struct dri_wire_limits g_large = {UINT32_MAX, 16, 4096};

/* Each of the first few allocations fails once. */
#define FAILURES 6

static void text_failures_try(struct dray_slice json)
{
    for (unsigned n = 1; n <= FAILURES; n++) {
        struct dri_wire_error error;
        uint8_t *bytes;
        size_t len;
        size_t live = dri_mem_live();

        dri_mem_fail_at(n);
        if (dri_json_to_msgpack(json, &g_limits, &bytes, &len, &error) == DRAY_OK) {
            FUZZ_CHECK(!dri_mem_failed());
            dri_free(bytes);
        }
        dri_mem_fail_at(0);
        FUZZ_CHECK(dri_mem_live() == live);
    }
}

static void bytes_failures_try(struct dray_slice bytes)
{
    for (unsigned n = 1; n <= FAILURES; n++) {
        struct dri_text text;
        size_t live = dri_mem_live();

        dri_text_init(&text);
        dri_mem_fail_at(n);
        if (dri_msgpack_to_json(bytes, &g_limits, true, &text) == DRAY_OK) {
            FUZZ_CHECK(!dri_mem_failed());
        }
        dri_mem_fail_at(0);
        dri_text_fini(&text);
        FUZZ_CHECK(dri_mem_live() == live);
    }
}

static void text_try(struct dray_slice json)
{
    struct dri_wire_error error = {NULL, NULL, 0};
    struct dri_text text;
    uint8_t *first;
    uint8_t *second;
    size_t first_len;
    size_t second_len;

    if (dri_json_to_msgpack(json, &g_limits, &first, &first_len, &error) != DRAY_OK) {
        FUZZ_CHECK(error.field != NULL && error.text != NULL && error.offset <= json.len);
        return;
    }
    dri_text_init(&text);
    FUZZ_CHECK(dri_msgpack_to_json(dray_slice_of(first, first_len), &g_large, json.len % 2 == 0,
                                   &text) == DRAY_OK);
    FUZZ_CHECK(dri_json_to_msgpack(dray_slice_of(text.at, text.len), &g_large, &second, &second_len,
                                   &error) == DRAY_OK);
    FUZZ_CHECK(first_len == second_len && memcmp(first, second, first_len) == 0);
    dri_text_fini(&text);
    dri_free(first);
    dri_free(second);
}

static void bytes_try(struct dray_slice value)
{
    struct dri_wire_error error;
    struct dri_text first;
    struct dri_text second;
    uint8_t *bytes;
    size_t len;

    dri_text_init(&first);
    dri_text_init(&second);
    if (dri_msgpack_to_json(value, &g_limits, false, &first) == DRAY_OK) {
        FUZZ_CHECK(dri_json_to_msgpack(dray_slice_of(first.at, first.len), &g_large, &bytes, &len,
                                       &error) == DRAY_OK);
        FUZZ_CHECK(dri_msgpack_to_json(dray_slice_of(bytes, len), &g_large, false, &second) ==
                   DRAY_OK);
        FUZZ_CHECK(strcmp(first.at, second.at) == 0);
        dri_free(bytes);
    }
    dri_text_fini(&first);
    dri_text_fini(&second);
}

static void payload_try(struct dray_slice value)
{
    static const size_t bounds[] = {48, 65536};

    for (size_t i = 0; i < 2; i++) {
        const struct dray_slice one = dray_slice_text("\x91\1");
        struct dri_payload_arena *arena = NULL;
        const void *object;
        enum dray_status status;

        dri_mem_fail_at(1);
        FUZZ_CHECK(dri_payload_arena_create(bounds[i], &arena) == DRAY_ENOMEM && arena == NULL);
        dri_mem_fail_at(0);
        dri_payload_arena_destroy(arena);
        FUZZ_CHECK(dri_payload_arena_create(bounds[i], &arena) == DRAY_OK);
        dri_payload_arena_destroy(arena);
        FUZZ_CHECK(dri_payload_arena_create(bounds[i], &arena) == DRAY_OK);
        FUZZ_CHECK(dri_payload_unpack(arena, dray_slice_of(NULL, 0), &object) == DRAY_OK);
        FUZZ_CHECK(dri_payload_unpack(arena, one, &object) == DRAY_OK);
        status = dri_payload_unpack(arena, value, &object);
        FUZZ_CHECK(status == DRAY_OK || status == DRAY_EINVALID || status == DRAY_ELIMIT);
        FUZZ_CHECK(dri_payload_unpack(arena, one, &object) == DRAY_OK);
        dri_payload_arena_destroy(arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dri_wire_limits tiny = {24, 3, 4};
    struct dray_slice input = dray_slice_of(data, size);
    struct dri_wire_error error;
    uint8_t *bytes;
    size_t len;

    text_try(input);
    bytes_try(input);
    text_failures_try(input);
    bytes_failures_try(input);
    payload_try(input);
    if (dri_json_to_msgpack(input, &tiny, &bytes, &len, &error) == DRAY_OK) {
        FUZZ_CHECK(len <= tiny.message_bytes);
        dri_free(bytes);
    }
    return 0;
}
