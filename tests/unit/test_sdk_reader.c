/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* The SDK's reader: what it reads is what msgpack-c packed, and no bytes make it read past their
 * end. */

#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include <dray/reader.h>

#include "support/test.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes in a block of exactly their size, so that ASan sees the first one too many. */
static struct dray_slice exact(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return dray_slice_of(copy, len);
}

static void release(struct dray_slice slice)
{
    free((void *)(uintptr_t)slice.at);
}

static void init_text(struct dray_reader *reader, const char *bytes, size_t len)
{
    dray_reader_init(reader, dray_slice_of(bytes, len));
}

#define INIT(reader, literal) init_text((reader), "" literal, sizeof(literal) - 1)

/* ---- against msgpack-c ---- */

static uint64_t random_next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 16;
}

static void pack_random(msgpack_packer *packer, uint64_t *seed, unsigned depth)
{
    static const char filler[70000] = "text";
    static const size_t lens[] = {0, 3, 31, 32, 200, 256, 300, 65536};
    uint64_t what = random_next(seed) % (depth == 0 ? 8 : 10);
    size_t len = lens[random_next(seed) % (depth > 2 ? ARRAY_LEN(lens) : 4)];
    uint64_t number = random_next(seed) << 16 ^ random_next(seed);
    size_t count = random_next(seed) % 20;

    switch (what) {
    case 0:
        (void)msgpack_pack_nil(packer);
        break;
    case 1:
        (void)(number % 2 ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
        break;
    case 2:
        (void)msgpack_pack_uint64(packer, number >> (number % 64));
        break;
    case 3:
        (void)msgpack_pack_int64(packer, -(int64_t)(number >> (1 + number % 63)));
        break;
    case 4:
        (void)msgpack_pack_double(packer, (double)number / 3);
        break;
    case 5:
        (void)msgpack_pack_float(packer, (float)number / 3);
        break;
    case 6:
        (void)msgpack_pack_str(packer, len);
        (void)msgpack_pack_str_body(packer, filler, len);
        break;
    case 7:
        (void)msgpack_pack_bin(packer, len);
        (void)msgpack_pack_bin_body(packer, filler, len);
        break;
    case 8:
        (void)msgpack_pack_array(packer, count);
        for (size_t i = 0; i < count; i++) {
            pack_random(packer, seed, depth - 1);
        }
        break;
    default:
        (void)msgpack_pack_map(packer, count);
        for (size_t i = 0; i < 2 * count; i++) {
            pack_random(packer, seed, depth - 1);
        }
        break;
    }
}

static void agrees(struct dray_reader *reader, const msgpack_object *object);

static void number_agrees(struct dray_reader *reader, const msgpack_object *object)
{
    uint64_t u = 0;
    int64_t i = 0;
    double real = 0;

    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        assert_int_equal(DRAY_TYPE_INTEGER, dray_reader_peek(reader));
        test_ok(dray_read_uint(reader, &u));
        assert_true(u == object->via.u64);
    } else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        test_ok(dray_read_int(reader, &i));
        assert_true(i == object->via.i64);
    } else {
        assert_int_equal(DRAY_TYPE_DOUBLE, dray_reader_peek(reader));
        test_ok(dray_read_double(reader, &real));
        assert_true(real == object->via.f64 || (isnan(real) && isnan(object->via.f64)));
    }
}

static void has_bytes(struct dray_slice slice, const char *at, size_t len)
{
    assert_non_null(slice.at); /* theirs is NULL for an empty one */
    assert_int_equal(len, slice.len);
    assert_memory_equal(len == 0 ? "" : at, slice.at, len);
}

static void scalar_agrees(struct dray_reader *reader, const msgpack_object *object)
{
    struct dray_slice slice = {NULL, 0};
    bool is_true = false;

    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        test_ok(dray_read_nil(reader));
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        test_ok(dray_read_bool(reader, &is_true));
        assert_true(is_true == object->via.boolean);
        break;
    case MSGPACK_OBJECT_STR:
        test_ok(dray_read_text(reader, &slice));
        has_bytes(slice, object->via.str.ptr, object->via.str.size);
        break;
    case MSGPACK_OBJECT_BIN:
        test_ok(dray_read_bin(reader, &slice));
        has_bytes(slice, object->via.bin.ptr, object->via.bin.size);
        break;
    default:
        number_agrees(reader, object);
        break;
    }
}

static void agrees(struct dray_reader *reader, const msgpack_object *object)
{
    uint32_t count = 0;

    if (object->type == MSGPACK_OBJECT_ARRAY) {
        test_ok(dray_read_array(reader, &count));
        assert_int_equal(object->via.array.size, count);
        for (uint32_t i = 0; i < count; i++) {
            agrees(reader, &object->via.array.ptr[i]);
        }
    } else if (object->type == MSGPACK_OBJECT_MAP) {
        test_ok(dray_read_map(reader, &count));
        assert_int_equal(object->via.map.size, count);
        for (uint32_t i = 0; i < count; i++) {
            agrees(reader, &object->via.map.ptr[i].key);
            agrees(reader, &object->via.map.ptr[i].val);
        }
    } else {
        scalar_agrees(reader, object);
    }
}

static void what_msgpack_c_packs_reads_back_the_same(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 400; round++) {
        uint64_t seed = round;
        struct dray_reader reader;
        struct dray_slice bytes;
        struct dray_slice whole;
        msgpack_sbuffer buffer;
        msgpack_packer packer;
        msgpack_unpacked unpacked;
        size_t offset = 0;

        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        pack_random(&packer, &seed, 4);
        msgpack_unpacked_init(&unpacked);
        assert_int_equal(MSGPACK_UNPACK_SUCCESS,
                         msgpack_unpack_next(&unpacked, buffer.data, buffer.size, &offset));
        bytes = exact(buffer.data, buffer.size);
        dray_reader_init(&reader, bytes);
        agrees(&reader, &unpacked.data);
        test_ok(dray_reader_finish(&reader));
        dray_reader_init(&reader, bytes);
        test_ok(dray_read_value(&reader, &whole));
        assert_int_equal(bytes.len, whole.len);
        release(bytes);
        msgpack_unpacked_destroy(&unpacked);
        msgpack_sbuffer_destroy(&buffer);
    }
}

/* Bytes that may be anything: what we accept msgpack-c accepts at the same length, and the other
 * way round, but for containers that announce more than there is, which we refuse before they cost
 * memory. */
static void random_bytes_are_judged_as_by_msgpack_c(void **state)
{
    uint64_t seed = 42;
    unsigned accepted = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[24];
        size_t len = 1 + random_next(&seed) % sizeof(bytes);
        struct dray_reader reader;
        struct dray_slice whole = {NULL, 0};
        struct dray_slice given;
        msgpack_unpacked unpacked;
        size_t offset = 0;
        bool is_ours;
        bool is_theirs;

        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)random_next(&seed);
        }
        if (round % 3 == 0) {
            bytes[0] = (uint8_t)(0xc0 | (bytes[0] & 0x1f)); /* the long forms, more often */
        }
        given = exact(bytes, len);
        dray_reader_init(&reader, given);
        is_ours = dray_read_value(&reader, &whole) == DRAY_OK;
        if (is_ours || strstr(dray_reader_error(&reader), "announces") == NULL) {
            msgpack_unpacked_init(&unpacked);
            is_theirs = msgpack_unpack_next(&unpacked, (const char *)given.at, len, &offset) ==
                        MSGPACK_UNPACK_SUCCESS;
            msgpack_unpacked_destroy(&unpacked);
            assert_int_equal(is_theirs, is_ours);
            accepted += is_ours;
            if (is_ours) {
                assert_int_equal(offset, whole.len);
            }
        }
        release(given);
    }
    assert_true(accepted > 1000);
}

/* ---- every truncation ---- */

static const char one_of_each[] = "\xdf\x00\x00\x00\x0e"
                                  "\xa1"
                                  "a\xc0"
                                  "\xa1"
                                  "b\xc3"
                                  "\xa1"
                                  "c\xcc\xff"
                                  "\xa1"
                                  "d\xcd\xff\xff"
                                  "\xa1"
                                  "e\xce\xff\xff\xff\xff"
                                  "\xa1"
                                  "f\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
                                  "\xa1"
                                  "g\xd0\x80"
                                  "\xa1"
                                  "h\xd3\x80\x00\x00\x00\x00\x00\x00\x00"
                                  "\xa1"
                                  "i\xca\x3f\x00\x00\x00"
                                  "\xd9\x01j\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"
                                  "\xda\x00\x01k\xc4\x03xyz"
                                  "\xdb\x00\x00\x00\x01l\xdc\x00\x02\x01\xe0"
                                  "\xa1m\xc7\x02\x05pq"
                                  "\xa1n\xd4\x05p";
#define ONE_OF_EACH_LEN (sizeof(one_of_each) - 1)

/* Reads the map above in full by the typed calls. */
static enum dray_status read_one_of_each(struct dray_reader *reader)
{
    struct dray_slice slice;
    uint32_t count;
    uint64_t u;
    int64_t i;
    double real;
    bool flag;
    enum dray_status status = dray_read_map(reader, &count);

    for (char key = 'a'; status == DRAY_OK && key <= 'n'; key++) {
        status = dray_read_text(reader, &slice);
        if (status != DRAY_OK) {
            break;
        }
        if (key == 'a') {
            status = dray_read_nil(reader);
        } else if (key == 'b') {
            status = dray_read_bool(reader, &flag);
        } else if (key <= 'f') {
            status = dray_read_uint(reader, &u);
        } else if (key <= 'h') {
            status = dray_read_int(reader, &i);
        } else if (key <= 'j') {
            status = dray_read_double(reader, &real);
        } else if (key == 'k') {
            status = dray_read_bin(reader, &slice);
        } else if (key == 'l') {
            status = dray_read_array(reader, &count);
            status = status == DRAY_OK ? dray_read_uint(reader, &u) : status;
            status = status == DRAY_OK ? dray_read_int(reader, &i) : status;
        } else {
            status = dray_read_value(reader, &slice);
        }
    }
    return status == DRAY_OK ? dray_reader_finish(reader) : status;
}

static void every_truncation_is_refused_and_nothing_is_read_past_the_end(void **state)
{
    struct dray_reader reader;

    (void)state;
    for (size_t len = 0; len < ONE_OF_EACH_LEN; len++) {
        struct dray_slice bytes = exact(one_of_each, len);
        struct dray_slice whole;

        dray_reader_init(&reader, bytes);
        test_status(DRAY_EINVALID, read_one_of_each(&reader));
        assert_non_null(strstr(dray_reader_error(&reader), "expected "));
        dray_reader_init(&reader, bytes);
        test_status(DRAY_EINVALID, dray_read_value(&reader, &whole));
        release(bytes);
    }
    dray_reader_init(&reader, dray_slice_of(one_of_each, ONE_OF_EACH_LEN));
    test_ok(read_one_of_each(&reader));
}

static void a_count_that_cannot_be_is_refused_before_anybody_allocates_by_it(void **state)
{
    struct dray_reader reader;
    uint32_t count = 7;

    (void)state;
    INIT(&reader, "\xdd\xff\xff\xff\xff\x01");
    test_status(DRAY_EINVALID, dray_read_array(&reader, &count));
    assert_int_equal(7, count);
    assert_string_equal(
        "payload: expected an array, found a container that announces more than there is",
        dray_reader_error(&reader));
    INIT(&reader, "\x82\xa1"
                  "a\x01");
    test_status(DRAY_EINVALID, dray_read_map(&reader, &count));
}

/* ---- types ---- */

static void every_error_names_the_place_and_what_was_expected_and_found(void **state)
{
    struct dray_reader reader;
    struct dray_slice text;
    uint64_t u;
    uint32_t count;

    (void)state;
    INIT(&reader, "\x81\xa5items\x92\x01\xa3two");
    test_ok(dray_read_map(&reader, &count));
    test_ok(dray_read_text(&reader, &text));
    test_ok(dray_read_array(&reader, &count));
    test_ok(dray_read_uint(&reader, &u));
    test_status(DRAY_EINVALID, dray_read_uint(&reader, &u));
    assert_string_equal("payload.items[1]: expected an integer, found text",
                        dray_reader_error(&reader));
    /* The first failure stays. */
    test_status(DRAY_EINVALID, dray_read_text(&reader, &text));
    test_status(DRAY_EINVALID, dray_reader_refuse(&reader, "something else"));
    assert_string_equal("payload.items[1]: expected an integer, found text",
                        dray_reader_error(&reader));
}

static void keys_that_are_not_plain_do_not_reach_an_error(void **state)
{
    struct dray_reader reader;
    struct dray_slice text;
    uint32_t count;
    bool flag;

    (void)state;
    INIT(&reader, "\x81\xa6\x1b[2J \n\x01");
    test_ok(dray_read_map(&reader, &count));
    test_ok(dray_read_text(&reader, &text));
    test_status(DRAY_EINVALID, dray_read_bool(&reader, &flag));
    assert_string_equal("payload.?[2J??: expected a boolean, found an integer",
                        dray_reader_error(&reader));
}

static void integers_of_any_encoding_are_read_by_their_value(void **state)
{
    struct dray_reader reader;
    uint64_t u = 0;
    int64_t i = 0;

    (void)state;
    INIT(&reader, "\xd3\x00\x00\x00\x00\x00\x00\x00\x07");
    test_ok(dray_read_uint(&reader, &u));
    assert_int_equal(7, u);
    INIT(&reader, "\xcf\x00\x00\x00\x00\x00\x00\x00\x07");
    test_ok(dray_read_int(&reader, &i));
    assert_int_equal(7, i);
    INIT(&reader, "\xd1\xff\xfe");
    test_ok(dray_read_int(&reader, &i));
    assert_int_equal(-2, i);
    INIT(&reader, "\xff");
    test_status(DRAY_EINVALID, dray_read_uint(&reader, &u));
    assert_string_equal("payload: expected an integer from 0, found -1",
                        dray_reader_error(&reader));
    INIT(&reader, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
    test_status(DRAY_EINVALID, dray_read_int(&reader, &i));
}

static void a_double_may_be_an_integer_as_long_as_nothing_is_lost(void **state)
{
    struct dray_reader reader;
    double real = 0;

    (void)state;
    INIT(&reader, "\xfd");
    test_ok(dray_read_double(&reader, &real));
    assert_true(real == -3.0);
    INIT(&reader, "\xcf\x00\x20\x00\x00\x00\x00\x00\x00"); /* 2^53 */
    test_ok(dray_read_double(&reader, &real));
    assert_true(real == 9007199254740992.0);
    INIT(&reader, "\xcf\x00\x20\x00\x00\x00\x00\x00\x01");
    test_status(DRAY_EINVALID, dray_read_double(&reader, &real));
    INIT(&reader, "\xa1x");
    test_status(DRAY_EINVALID, dray_read_double(&reader, &real));
    assert_string_equal("payload: expected a number, found text", dray_reader_error(&reader));
}

static void text_has_to_be_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "plain ascii of some length",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "12345678\xc3\xa9"};
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xff",
                                      "12345678\xe2\x82",
                                      "\xe2\x28\xa1",
                                      "\xf0\x9f\x98\x28"};
    struct dray_reader reader;
    struct dray_slice text;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(dray_text_is_valid(dray_slice_text(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(dray_text_is_valid(dray_slice_text(bad[i])));
    }
    INIT(&reader, "\xa2\xc3\x28");
    test_status(DRAY_EINVALID, dray_read_text(&reader, &text));
    assert_string_equal("payload: expected text, found text that is not UTF-8",
                        dray_reader_error(&reader));
}

static void nesting_over_the_limit_is_refused_by_the_cursor_and_not_by_a_skip(void **state)
{
    char bytes[DRAY_READER_DEPTH + 2];
    struct dray_reader reader;
    struct dray_slice value;
    uint32_t count;

    (void)state;
    memset(bytes, '\x91', sizeof(bytes));
    bytes[sizeof(bytes) - 1] = '\x01';
    init_text(&reader, bytes, sizeof(bytes));
    for (unsigned i = 0; i < DRAY_READER_DEPTH; i++) {
        test_ok(dray_read_array(&reader, &count));
    }
    test_status(DRAY_ELIMIT, dray_read_array(&reader, &count));
    init_text(&reader, bytes, sizeof(bytes));
    test_ok(dray_read_value(&reader, &value));
    assert_int_equal(sizeof(bytes), value.len);
}

static void an_absent_payload_is_nil(void **state)
{
    struct dray_reader reader;

    (void)state;
    dray_reader_init(&reader, dray_slice_of(NULL, 0));
    assert_int_equal(DRAY_TYPE_NIL, dray_reader_peek(&reader));
    test_ok(dray_read_nil(&reader));
    test_ok(dray_reader_finish(&reader));
}

static void finish_finds_what_was_left_and_what_was_never_read(void **state)
{
    struct dray_reader reader;
    uint64_t u;

    (void)state;
    INIT(&reader, "\x01\x02\x03");
    test_ok(dray_read_uint(&reader, &u));
    test_status(DRAY_EINVALID, dray_reader_finish(&reader));
    assert_string_equal("payload: expected the end, found 2 bytes more",
                        dray_reader_error(&reader));
    INIT(&reader, "\x01\x02");
    test_ok(dray_read_uint(&reader, &u));
    assert_int_equal(DRAY_TYPE_NONE, dray_reader_peek(&reader));
    test_status(DRAY_EINVALID, dray_read_uint(&reader, &u));
    assert_string_equal("payload: expected an integer, found nothing more",
                        dray_reader_error(&reader));
    dray_reader_init(&reader, dray_slice_of("", 0));
    test_status(DRAY_EINVALID, dray_reader_finish(&reader));
}

/* ---- tables of fields ---- */

struct box {
    struct dray_slice text;
    struct dray_slice bytes;
    struct dray_slice any;
    uint64_t count;
    int64_t offset;
    double ratio;
    bool flag;
};

static const struct dray_field box_fields[] = {
    DRAY_REQUIRED(struct box, text, TEXT, 1, 4),   DRAY_OPTIONAL(struct box, bytes, BIN, 2, 2),
    DRAY_OPTIONAL(struct box, any, VALUE, 0, 0),   DRAY_OPTIONAL(struct box, count, UINT, 1, 9),
    DRAY_OPTIONAL(struct box, offset, INT, -5, 5), DRAY_OPTIONAL(struct box, ratio, DOUBLE, 0, 0),
    DRAY_OPTIONAL(struct box, flag, BOOL, 0, 0),
};

static const char *box_error(const char *bytes, size_t len)
{
    static struct dray_reader reader;
    struct box box = {.count = 1};

    init_text(&reader, bytes, len);
    test_status(DRAY_EINVALID, dray_read_fields(&reader, box_fields, ARRAY_LEN(box_fields), &box));
    return dray_reader_error(&reader);
}

#define BOX_ERROR(literal) box_error("" literal, sizeof(literal) - 1)

static void a_table_fills_a_struct_and_leaves_alone_what_is_absent(void **state)
{
    struct box box = {.count = 3, .offset = -4};
    struct dray_reader reader;

    (void)state;
    INIT(&reader, "\x87\xa4text\xa2hi\xa5"
                  "bytes\xc4\x02\x00\x01\xa3"
                  "any\x92\x01\x02\xa5ratio\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00\xa4"
                  "flag\xc3\xa7unknown\x81\x01\x02\x05\xa1x");
    test_ok(dray_read_fields(&reader, box_fields, ARRAY_LEN(box_fields), &box));
    test_ok(dray_reader_finish(&reader));
    test_slice("hi", box.text);
    assert_int_equal(2, box.bytes.len);
    assert_int_equal(3, box.any.len);
    assert_int_equal(3, box.count);
    assert_int_equal(-4, box.offset);
    assert_true(box.ratio == 0.5);
    assert_true(box.flag);
}

static void nil_counts_as_absent_for_an_optional_field_only(void **state)
{
    struct box box = {.count = 3};
    struct dray_reader reader;

    (void)state;
    INIT(&reader, "\x82\xa4text\xa2hi\xa5"
                  "count\xc0");
    test_ok(dray_read_fields(&reader, box_fields, ARRAY_LEN(box_fields), &box));
    assert_int_equal(3, box.count);
    assert_string_equal("payload.text: expected text, found nil", BOX_ERROR("\x81\xa4text\xc0"));
}

static void a_table_refuses_what_does_not_fit_and_says_where(void **state)
{
    (void)state;
    assert_string_equal("payload: expected a map, found an array", BOX_ERROR("\x90"));
    assert_string_equal("payload: expected the key \"text\", which is missing", BOX_ERROR("\x80"));
    assert_string_equal("payload: expected the key \"text\", which is missing",
                        BOX_ERROR("\x81\xa5"
                                  "count\x05"));
    assert_string_equal("payload.text: expected text, found an integer",
                        BOX_ERROR("\x81\xa4text\x05"));
    assert_string_equal("payload.text: expected text of 1 to 4 bytes, found 5",
                        BOX_ERROR("\x81\xa4text\xa5hello"));
    assert_string_equal("payload.text: expected text of 1 to 4 bytes, found 0",
                        BOX_ERROR("\x81\xa4text\xa0"));
    assert_string_equal("payload.count: expected an integer from 1 to 9, found 10",
                        BOX_ERROR("\x81\xa5"
                                  "count\x0a"));
    assert_string_equal("payload.count: expected an integer from 0, found -1",
                        BOX_ERROR("\x81\xa5"
                                  "count\xff"));
    assert_string_equal("payload.offset: expected an integer from -5 to 5, found -6",
                        BOX_ERROR("\x81\xa6offset\xfa"));
    assert_string_equal("payload.text: the key is there twice", BOX_ERROR("\x82\xa4text\xa1"
                                                                          "a\xa4text\xa1"
                                                                          "b"));
}

static void every_truncation_of_a_table_is_refused(void **state)
{
    static const char bytes[] = "\x84\xa4text\xa2hi\xa5"
                                "bytes\xc4\x02\x00\x01\xa3"
                                "any\x92\x01\x02\xa7unknown\x81\x01\x02";

    (void)state;
    for (size_t len = 0; len < sizeof(bytes) - 1; len++) {
        struct dray_slice cut = exact(bytes, len);
        struct box box = {.count = 1};
        struct dray_reader reader;

        dray_reader_init(&reader, cut);
        test_status(DRAY_EINVALID,
                    dray_read_fields(&reader, box_fields, ARRAY_LEN(box_fields), &box));
        release(cut);
    }
}

static void a_value_inside_is_read_by_its_own_reader_and_named_by_its_place(void **state)
{
    struct box box = {.count = 1};
    struct dray_reader reader;
    struct dray_reader inside;
    uint32_t count = 0;
    struct box inner = {.count = 1};

    (void)state;
    INIT(&reader, "\x82\xa4text\xa2hi\xa3"
                  "any\x92\x81\xa4text\xa1x\x81\xa4text\x01");
    test_ok(dray_read_fields(&reader, box_fields, ARRAY_LEN(box_fields), &box));
    dray_reader_init_inside(&inside, &reader, "any", box.any);
    test_ok(dray_read_array(&inside, &count));
    assert_int_equal(2, count);
    test_ok(dray_read_fields(&inside, box_fields, ARRAY_LEN(box_fields), &inner));
    test_slice("x", inner.text);
    test_status(DRAY_EINVALID,
                dray_read_fields(&inside, box_fields, ARRAY_LEN(box_fields), &inner));
    assert_string_equal("payload.any[1].text: expected text, found an integer",
                        dray_reader_error(&inside));
}

static void a_handler_can_refuse_the_value_that_it_read_last(void **state)
{
    struct dray_reader reader;
    struct dray_slice text;
    uint32_t count;

    (void)state;
    INIT(&reader, "\x92\xa3"
                  "EUR\xa3XXX");
    test_ok(dray_read_array(&reader, &count));
    test_ok(dray_read_text(&reader, &text));
    test_ok(dray_read_text(&reader, &text));
    test_status(DRAY_EINVALID, dray_reader_refuse(&reader, "expected a currency"));
    assert_string_equal("payload[1]: expected a currency", dray_reader_error(&reader));
}

static void an_error_never_outgrows_its_place(void **state)
{
    char name[300];
    struct dray_reader reader;
    struct dray_reader inside;
    uint64_t u;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    INIT(&reader, "\xa1x");
    dray_reader_init_inside(&inside, &reader, name, dray_slice_text("\xa1x"));
    test_status(DRAY_EINVALID, dray_read_uint(&inside, &u));
    assert_true(strlen(dray_reader_error(&inside)) < sizeof(inside.error));
    test_status(DRAY_EINVALID, dray_reader_refuse(&reader, name));
    assert_true(strlen(dray_reader_error(&reader)) < sizeof(reader.error));
}

static void texts_of_a_map_are_found_by_their_key(void **state)
{
    static const char meta[] = "\x82\xa4user\xa3"
                               "ada\xa4role\x01";
    struct dray_slice map = dray_slice_of(meta, sizeof(meta) - 1);

    (void)state;
    test_slice("ada", dray_find_text(map, "user"));
    assert_true(dray_slice_is_absent(dray_find_text(map, "role"))); /* no text */
    assert_true(dray_slice_is_absent(dray_find_text(map, "other")));
    assert_true(dray_slice_is_absent(dray_find_text(dray_slice_of(NULL, 0), "user")));
    assert_true(dray_slice_is_absent(dray_find_text(dray_slice_of(meta, 7), "user")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_msgpack_c_packs_reads_back_the_same),
        cmocka_unit_test(random_bytes_are_judged_as_by_msgpack_c),
        cmocka_unit_test(every_truncation_is_refused_and_nothing_is_read_past_the_end),
        cmocka_unit_test(a_count_that_cannot_be_is_refused_before_anybody_allocates_by_it),
        cmocka_unit_test(every_error_names_the_place_and_what_was_expected_and_found),
        cmocka_unit_test(keys_that_are_not_plain_do_not_reach_an_error),
        cmocka_unit_test(integers_of_any_encoding_are_read_by_their_value),
        cmocka_unit_test(a_double_may_be_an_integer_as_long_as_nothing_is_lost),
        cmocka_unit_test(text_has_to_be_utf8),
        cmocka_unit_test(nesting_over_the_limit_is_refused_by_the_cursor_and_not_by_a_skip),
        cmocka_unit_test(an_absent_payload_is_nil),
        cmocka_unit_test(finish_finds_what_was_left_and_what_was_never_read),
        cmocka_unit_test(a_table_fills_a_struct_and_leaves_alone_what_is_absent),
        cmocka_unit_test(nil_counts_as_absent_for_an_optional_field_only),
        cmocka_unit_test(a_table_refuses_what_does_not_fit_and_says_where),
        cmocka_unit_test(every_truncation_of_a_table_is_refused),
        cmocka_unit_test(a_value_inside_is_read_by_its_own_reader_and_named_by_its_place),
        cmocka_unit_test(a_handler_can_refuse_the_value_that_it_read_last),
        cmocka_unit_test(an_error_never_outgrows_its_place),
        cmocka_unit_test(texts_of_a_map_are_found_by_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
