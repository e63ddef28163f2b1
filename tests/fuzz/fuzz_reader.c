/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_reader - the SDK's reader on hostile payloads: what a script of calls reads stays inside the
 * payload, the first refusal stays the only one, and what the reader takes whole msgpack-c takes
 * too.
 *
 * The input is a byte that says how long the script is, the script, and the payload. Each byte of
 * the script is one call. After it the payload is walked by what dray_reader_peek says.
 */

#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

#include <dray/reader.h>

#include "fuzz.h"

#define CALLS 12u

static bool is_inside(struct dray_slice payload, struct dray_slice part)
{
    return part.len == 0 || (part.at >= payload.at && part.len <= payload.len &&
                             (size_t)(part.at - payload.at) <= payload.len - part.len);
}

/* Texts and bytes are where they were, and whole values are read again alone. */
static void part_try(const struct dray_reader *reader, struct dray_slice payload, uint8_t call,
                     struct dray_slice part)
{
    struct dray_reader again;
    struct dray_slice same;

    FUZZ_CHECK(is_inside(payload, part));
    if (call == 7) {
        dray_reader_init_inside(&again, reader, "part", part);
        FUZZ_CHECK(dray_read_value(&again, &same) == DRAY_OK);
        FUZZ_CHECK(dray_slice_equal(part, same));
        FUZZ_CHECK(dray_reader_finish(&again) == DRAY_OK);
    }
}

static void call_try(struct dray_reader *reader, struct dray_slice payload, uint8_t call)
{
    const enum dray_status before = dray_reader_status(reader);
    enum dray_status status = DRAY_OK;
    struct dray_slice part = {NULL, 0};
    uint32_t count = 0;
    uint64_t number = 0;
    int64_t integer = 0;
    double real = 0;
    bool flag = false;

    switch (call) {
    case 0:
        status = dray_read_nil(reader);
        break;
    case 1:
        status = dray_read_bool(reader, &flag);
        break;
    case 2:
        status = dray_read_uint(reader, &number);
        break;
    case 3:
        status = dray_read_int(reader, &integer);
        break;
    case 4:
        status = dray_read_double(reader, &real);
        break;
    case 5:
        status = dray_read_text(reader, &part);
        break;
    case 6:
        status = dray_read_bin(reader, &part);
        break;
    case 7:
        status = dray_read_value(reader, &part);
        break;
    case 8:
        status = dray_read_array(reader, &count);
        break;
    case 9:
        status = dray_read_map(reader, &count);
        break;
    case 10:
        status = dray_read_skip(reader);
        break;
    default:
        status = dray_reader_refuse(reader, "refused by the script");
        break;
    }
    FUZZ_CHECK(before == DRAY_OK || status == before);
    FUZZ_CHECK(status == dray_reader_status(reader));
    FUZZ_CHECK((status == DRAY_OK) == (dray_reader_error(reader)[0] == '\0'));
    FUZZ_CHECK(count <= payload.len);
    if (status == DRAY_OK) {
        part_try(reader, payload, call, part);
    }
}

static void finish_try(struct dray_reader *reader)
{
    enum dray_status status = dray_reader_finish(reader);

    FUZZ_CHECK(status == dray_reader_status(reader));
}

static void script_try(struct dray_slice script, struct dray_slice payload)
{
    struct dray_reader reader;
    char error[sizeof(reader.error)];

    dray_reader_init(&reader, payload);
    for (size_t i = 0; i < script.len; i++) {
        memcpy(error, reader.error, sizeof(error));
        call_try(&reader, payload, script.at[i] % CALLS);
        FUZZ_CHECK(error[0] == '\0' || strcmp(error, reader.error) == 0);
    }
    (void)dray_reader_peek(&reader);
    finish_try(&reader);
}

/* The call that fits what comes next. */
static uint8_t call_of(enum dray_type type, size_t at)
{
    switch (type) {
    case DRAY_TYPE_NIL:
        return 0;
    case DRAY_TYPE_BOOL:
        return 1;
    case DRAY_TYPE_INTEGER:
        return at % 3 == 0 ? 2 : at % 3 == 1 ? 3 : 4;
    case DRAY_TYPE_DOUBLE:
        return 4;
    case DRAY_TYPE_TEXT:
        return 5;
    case DRAY_TYPE_BIN:
        return 6;
    case DRAY_TYPE_ARRAY:
        return 8;
    case DRAY_TYPE_MAP:
        return 9;
    case DRAY_TYPE_EXT:
    case DRAY_TYPE_NONE:
    default:
        return 10;
    }
}

/* Each step takes a byte at least, or it is the last. */
static void walk_try(struct dray_slice payload)
{
    struct dray_reader reader;

    dray_reader_init(&reader, payload);
    for (size_t i = 0; i <= payload.len; i++) {
        enum dray_type type = dray_reader_peek(&reader);

        if (type == DRAY_TYPE_NONE) {
            break;
        }
        call_try(&reader, payload, call_of(type, i));
    }
    FUZZ_CHECK(dray_reader_peek(&reader) == DRAY_TYPE_NONE);
    finish_try(&reader);
}

static void whole_try(struct dray_slice payload)
{
    struct dray_reader reader;
    struct dray_slice whole;
    msgpack_unpacked theirs;

    dray_reader_init(&reader, payload);
    if (dray_slice_is_absent(payload) || dray_read_value(&reader, &whole) != DRAY_OK ||
        dray_reader_finish(&reader) != DRAY_OK) {
        return;
    }
    FUZZ_CHECK(dray_slice_equal(whole, payload));
    msgpack_unpacked_init(&theirs);
    /* msgpack-c gives up on depth, as if memory were short */
    msgpack_unpack_return taken =
        msgpack_unpack_next(&theirs, (const char *)payload.at, payload.len, NULL);
    FUZZ_CHECK(taken == MSGPACK_UNPACK_SUCCESS || taken == MSGPACK_UNPACK_NOMEM_ERROR);
    msgpack_unpacked_destroy(&theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dray_slice script = {NULL, 0};
    struct dray_slice payload = {NULL, 0};

    if (size > 0) {
        size_t len = data[0] < size - 1 ? data[0] : size - 1;

        script = dray_slice_of(data + 1, len);
        payload = dray_slice_of(data + 1 + len, size - 1 - len);
    }
    script_try(script, payload);
    walk_try(payload);
    whole_try(payload);
    return 0;
}
