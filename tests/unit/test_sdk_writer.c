/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* The SDK's writer against msgpack-c's packer: the same bytes for the same values. */

#include <float.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

#include <dray/reader.h>
#include <dray/writer.h>

#include "support/test.h"

#define BUFFER_BYTES (1u << 20)

struct pair {
    struct dray_writer ours;
    msgpack_sbuffer buffer;
    msgpack_packer theirs;
    uint8_t *bytes;
};

static void pair_init(struct pair *pair)
{
    pair->bytes = malloc(BUFFER_BYTES);
    assert_non_null(pair->bytes);
    dray_writer_init(&pair->ours, pair->bytes, BUFFER_BYTES);
    msgpack_sbuffer_init(&pair->buffer);
    msgpack_packer_init(&pair->theirs, &pair->buffer, msgpack_sbuffer_write);
}

/* Both wrote the same; both begin anew. */
static void pair_agrees(struct pair *pair)
{
    struct dray_slice ours = dray_writer_bytes(&pair->ours);

    test_status(DRAY_OK, dray_writer_status(&pair->ours));
    assert_int_equal(pair->buffer.size, ours.len);
    assert_memory_equal(pair->buffer.data, ours.at, ours.len);
    dray_writer_init(&pair->ours, pair->bytes, BUFFER_BYTES);
    msgpack_sbuffer_clear(&pair->buffer);
}

static void pair_fini(struct pair *pair)
{
    msgpack_sbuffer_destroy(&pair->buffer);
    free(pair->bytes);
}

static void integers_take_the_bytes_that_msgpack_c_gives_them(void **state)
{
    struct pair pair;

    (void)state;
    pair_init(&pair);
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int delta = -2; delta <= 2; delta++) {
            uint64_t u = (UINT64_C(1) << shift) + (uint64_t)(int64_t)delta;
            int64_t i = (int64_t)u;

            dray_write_uint(&pair.ours, u);
            (void)msgpack_pack_uint64(&pair.theirs, u);
            pair_agrees(&pair);
            dray_write_int(&pair.ours, i);
            (void)msgpack_pack_int64(&pair.theirs, i);
            pair_agrees(&pair);
            dray_write_int(&pair.ours, i == INT64_MIN ? INT64_MIN : -i);
            (void)msgpack_pack_int64(&pair.theirs, i == INT64_MIN ? INT64_MIN : -i);
            pair_agrees(&pair);
        }
    }
    pair_fini(&pair);
}

static void doubles_nil_and_booleans_too(void **state)
{
    static const double values[] = {0.0, -0.0, 1.5, -1e300, DBL_MIN, DBL_MAX, HUGE_VAL, -HUGE_VAL};
    struct pair pair;

    (void)state;
    pair_init(&pair);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        dray_write_double(&pair.ours, values[i]);
        (void)msgpack_pack_double(&pair.theirs, values[i]);
        pair_agrees(&pair);
    }
    dray_write_nil(&pair.ours);
    dray_write_bool(&pair.ours, true);
    dray_write_bool(&pair.ours, false);
    (void)msgpack_pack_nil(&pair.theirs);
    (void)msgpack_pack_true(&pair.theirs);
    (void)msgpack_pack_false(&pair.theirs);
    pair_agrees(&pair);
    pair_fini(&pair);
}

static void text_and_bytes_of_every_head_size_too(void **state)
{
    static const size_t lens[] = {0, 1, 31, 32, 33, 255, 256, 65535, 65536};
    struct pair pair;
    char *text = malloc(65536);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 65536);
    pair_init(&pair);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        dray_write_slice(&pair.ours, dray_slice_of(text, lens[i]));
        (void)msgpack_pack_str(&pair.theirs, lens[i]);
        (void)msgpack_pack_str_body(&pair.theirs, text, lens[i]);
        pair_agrees(&pair);
        dray_write_bin(&pair.ours, dray_slice_of(text, lens[i]));
        (void)msgpack_pack_bin(&pair.theirs, lens[i]);
        (void)msgpack_pack_bin_body(&pair.theirs, text, lens[i]);
        pair_agrees(&pair);
    }
    pair_fini(&pair);
    free(text);
}

static void heads_of_arrays_and_maps_too(void **state)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 17, 65535, 65536, UINT32_MAX};
    struct pair pair;

    (void)state;
    pair_init(&pair);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        dray_write_array(&pair.ours, counts[i]);
        (void)msgpack_pack_array(&pair.theirs, counts[i]);
        pair_agrees(&pair);
        dray_write_map(&pair.ours, counts[i]);
        (void)msgpack_pack_map(&pair.theirs, counts[i]);
        pair_agrees(&pair);
    }
    pair_fini(&pair);
}

static void write_one_of_each(struct dray_writer *writer)
{
    static const uint8_t raw[] = {0x92, 0x01, 0xc0};

    dray_write_map(writer, 3);
    dray_write_text(writer, "text");
    dray_write_text(writer, "caf\xc3\xa9 and more than thirty-two bytes of it");
    dray_write_text(writer, "list");
    dray_write_array(writer, 6);
    dray_write_uint(writer, 70000);
    dray_write_int(writer, -70000);
    dray_write_double(writer, 0.5);
    dray_write_bool(writer, true);
    dray_write_nil(writer);
    dray_write_bin(writer, dray_slice_of(raw, sizeof(raw)));
    dray_write_text(writer, "raw");
    dray_write_raw(writer, dray_slice_of(raw, sizeof(raw)));
}

static void what_is_written_is_one_value_for_msgpack_c(void **state)
{
    uint8_t bytes[256];
    struct dray_writer writer;
    struct dray_slice written;
    msgpack_unpacked unpacked;
    size_t offset = 0;

    (void)state;
    dray_writer_init(&writer, bytes, sizeof(bytes));
    write_one_of_each(&writer);
    test_status(DRAY_OK, dray_writer_status(&writer));
    written = dray_writer_bytes(&writer);
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(
        MSGPACK_UNPACK_SUCCESS,
        msgpack_unpack_next(&unpacked, (const char *)written.at, written.len, &offset));
    assert_int_equal(written.len, offset);
    assert_int_equal(MSGPACK_OBJECT_MAP, unpacked.data.type);
    assert_int_equal(3, unpacked.data.via.map.size);
    assert_int_equal(MSGPACK_OBJECT_ARRAY, unpacked.data.via.map.ptr[2].val.type);
    msgpack_unpacked_destroy(&unpacked);
}

static void a_result_that_does_not_fit_sticks_and_leaves_whole_values(void **state)
{
    uint8_t room[256];
    struct dray_writer writer;
    size_t whole;

    (void)state;
    dray_writer_init(&writer, room, sizeof(room));
    write_one_of_each(&writer);
    whole = dray_writer_bytes(&writer).len;
    for (size_t len = 0; len < whole; len++) {
        uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that ASan sees one byte too many */

        assert_non_null(exact);
        dray_writer_init(&writer, exact, len);
        write_one_of_each(&writer);
        test_status(DRAY_ELIMIT, dray_writer_status(&writer));
        assert_true(dray_writer_bytes(&writer).len <= len);
        assert_memory_equal(exact, room, dray_writer_bytes(&writer).len);
        dray_write_nil(&writer);
        test_status(DRAY_ELIMIT, dray_writer_status(&writer));
        free(exact);
    }
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    uint8_t bytes[64];
    struct dray_writer writer;

    (void)state;
    dray_writer_init(&writer, bytes, sizeof(bytes));
    dray_write_slice(&writer, dray_slice_of("\xff", 1));
    dray_write_nil(&writer);
    test_status(DRAY_EINVALID, dray_writer_status(&writer));
    assert_int_equal(0, dray_writer_bytes(&writer).len);
}

static void absent_text_bytes_and_values_are_nil(void **state)
{
    static const uint8_t four_nils[] = {0xc0, 0xc0, 0xc0, 0xc0};
    static const struct dray_slice absent = {NULL, 0};
    uint8_t bytes[8];
    struct dray_writer writer;

    (void)state;
    dray_writer_init(&writer, bytes, sizeof(bytes));
    dray_write_text(&writer, NULL);
    dray_write_slice(&writer, absent);
    dray_write_bin(&writer, absent);
    dray_write_raw(&writer, absent);
    assert_int_equal(4, dray_writer_bytes(&writer).len);
    assert_memory_equal(four_nils, bytes, 4);
}

static void an_over_long_text_is_a_limit_and_not_a_wrong_head(void **state)
{
    uint8_t bytes[8];
    struct dray_writer writer;

    (void)state;
    dray_writer_init(&writer, bytes, sizeof(bytes));
    /* Bytes that are never looked at: the length alone refuses them. */
    dray_write_bin(&writer, dray_slice_of(bytes, (size_t)UINT32_MAX + 1));
    test_status(DRAY_ELIMIT, dray_writer_status(&writer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_the_bytes_that_msgpack_c_gives_them),
        cmocka_unit_test(doubles_nil_and_booleans_too),
        cmocka_unit_test(text_and_bytes_of_every_head_size_too),
        cmocka_unit_test(heads_of_arrays_and_maps_too),
        cmocka_unit_test(what_is_written_is_one_value_for_msgpack_c),
        cmocka_unit_test(a_result_that_does_not_fit_sticks_and_leaves_whole_values),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(absent_text_bytes_and_values_are_nil),
        cmocka_unit_test(an_over_long_text_is_a_limit_and_not_a_wrong_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
