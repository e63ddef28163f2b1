/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/scanner.h"

static const struct dri_wire_limits limits = DRI_WIRE_LIMITS_INIT;

/* The scanner's answer to skipping one value, and where it stands. */
static enum dray_status skip_value(struct dray_slice bytes, const struct dri_wire_limits *with,
                                   size_t *ret_offset)
{
    struct dri_scanner scanner;
    struct dray_slice value;
    enum dray_status status;

    dri_scanner_init(&scanner, bytes, with);
    status = dri_scanner_skip(&scanner, &value);
    *ret_offset = dri_scanner_offset(&scanner);
    if (status == DRAY_OK) {
        assert_null(scanner.error_text);
        assert_int_equal(value.len, *ret_offset);
    } else {
        assert_non_null(scanner.error_text);
    }
    return status;
}

#define BYTES(literal) dray_slice_of((literal), sizeof(literal) - 1)

static struct dri_token token_of(struct dray_slice bytes)
{
    struct dri_scanner scanner;
    struct dri_token token;

    dri_scanner_init(&scanner, bytes, &limits);
    test_ok(dri_scanner_next(&scanner, &token));
    return token;
}

static void every_integer_form_is_read_as_its_number(void **state)
{
    (void)state;
    assert_true(token_of(BYTES("\x7f")).value.u == 127);
    assert_true(token_of(BYTES("\xcc\xff")).value.u == 255);
    assert_true(token_of(BYTES("\xcd\x01\x00")).value.u == 256);
    assert_true(token_of(BYTES("\xce\xff\xff\xff\xff")).value.u == UINT32_MAX);
    assert_true(token_of(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")).value.u == UINT64_MAX);
    assert_true(token_of(BYTES("\xff")).value.i == -1);
    assert_true(token_of(BYTES("\xe0")).value.i == -32);
    assert_true(token_of(BYTES("\xd0\x80")).value.i == -128);
    assert_true(token_of(BYTES("\xd1\x80\x00")).value.i == INT16_MIN);
    assert_true(token_of(BYTES("\xd2\x80\x00\x00\x00")).value.i == INT32_MIN);
    assert_true(token_of(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00")).value.i == INT64_MIN);
}

static void a_positive_number_packed_as_signed_is_unsigned(void **state)
{
    (void)state;
    assert_int_equal(token_of(BYTES("\xd0\x05")).type, DRI_TOKEN_UINT);
    assert_int_equal(token_of(BYTES("\xd3\0\0\0\0\0\0\0\x05")).type, DRI_TOKEN_UINT);
    assert_int_equal(token_of(BYTES("\xd0\xfb")).type, DRI_TOKEN_INT);
}

static void every_other_form_is_read_as_its_type(void **state)
{
    struct dri_token token;

    (void)state;
    assert_int_equal(token_of(BYTES("\xc0")).type, DRI_TOKEN_NIL);
    assert_true(token_of(BYTES("\xc3")).value.boolean);
    assert_false(token_of(BYTES("\xc2")).value.boolean);
    assert_true(token_of(BYTES("\xca\x3f\xc0\x00\x00")).value.real == 1.5);
    assert_true(token_of(BYTES("\xcb\x3f\xf8\0\0\0\0\0\0")).value.real == 1.5);
    test_slice("ab", token_of(BYTES("\xa2"
                                    "ab"))
                         .bytes);
    test_slice("ab", token_of(BYTES("\xd9\x02"
                                    "ab"))
                         .bytes);
    test_slice("ab", token_of(BYTES("\xda\0\x02"
                                    "ab"))
                         .bytes);
    test_slice("ab", token_of(BYTES("\xdb\0\0\0\x02"
                                    "ab"))
                         .bytes);
    token = token_of(BYTES("\xc4\x02"
                           "ab"));
    assert_int_equal(token.type, DRI_TOKEN_BIN);
    test_slice("ab", token.bytes);
    assert_int_equal(token_of(BYTES("\xc5\0\x01"
                                    "a"))
                         .type,
                     DRI_TOKEN_BIN);
    assert_int_equal(token_of(BYTES("\xc6\0\0\0\x01"
                                    "a"))
                         .type,
                     DRI_TOKEN_BIN);
    assert_int_equal(token_of(BYTES("\x92\1\2")).count, 2);
    assert_int_equal(token_of(BYTES("\xdc\0\1\1")).count, 1);
    assert_int_equal(token_of(BYTES("\xdd\0\0\0\1\1")).count, 1);
    assert_int_equal(token_of(BYTES("\x81\1\2")).count, 1);
    assert_int_equal(token_of(BYTES("\xde\0\1\1\1")).count, 1);
    assert_int_equal(token_of(BYTES("\xdf\0\0\0\1\1\1")).type, DRI_TOKEN_MAP);
}

static void every_ext_form_is_read_with_its_type(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t content;
    } forms[] = {{"\xd4\x05"
                  "a",
                  3, 1},
                 {"\xd5\x05"
                  "ab",
                  4, 2},
                 {"\xd6\x05"
                  "abcd",
                  6, 4},
                 {"\xd7\x05"
                  "abcdefgh",
                  10, 8},
                 {"\xd8\x05"
                  "abcdefghabcdefgh",
                  18, 16},
                 {"\xc7\0\x05", 3, 0},
                 {"\xc8\0\1\x05"
                  "a",
                  5, 1},
                 {"\xc9\0\0\0\1\x05"
                  "a",
                  7, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct dri_token token = token_of(dray_slice_of(forms[i].bytes, forms[i].len));
        size_t offset;

        assert_int_equal(token.type, DRI_TOKEN_EXT);
        assert_int_equal(token.ext_type, 5);
        assert_int_equal(token.bytes.len, forms[i].content);
        test_ok(skip_value(dray_slice_of(forms[i].bytes, forms[i].len), &limits, &offset));
        assert_int_equal(offset, forms[i].len);
    }
}

static void skip_measures_exactly_one_value(void **state)
{
    struct dray_slice value = wire_json("[1,{\"a\":[\"x\",null,{}]},-5,1.5,[]]");
    uint8_t bytes[128];
    size_t offset;

    (void)state;
    memcpy(bytes, value.at, value.len);
    bytes[value.len] = 0x01;
    test_ok(skip_value(dray_slice_of(bytes, value.len + 1), &limits, &offset));
    assert_int_equal(offset, value.len);
    wire_bytes_free();
}

static void every_shorter_message_ends_inside_a_value(void **state)
{
    struct dray_slice value = wire_json(
        "[1,300,70000,5000000000,-200,1.5,{\"a\":{\"$bin\":\"AAEC\"}},{\"$ext\":[1,\"AAE=\"]}]");

    (void)state;
    for (size_t len = 0; len < value.len; len++) {
        size_t offset;

        test_status(DRAY_EINVALID, skip_value(dray_slice_of(value.at, len), &limits, &offset));
        assert_true(offset <= len);
    }
    wire_bytes_free();
}

static void a_lie_about_the_count_is_refused_at_the_header(void **state)
{
    size_t offset;

    (void)state;
    test_status(DRAY_EINVALID, skip_value(BYTES("\xdd\xff\xff\xff\xff\x01"), &limits, &offset));
    assert_int_equal(offset, 0);
    test_status(DRAY_EINVALID, skip_value(BYTES("\xdf\xff\xff\xff\xff\x01\x01"), &limits, &offset));
    assert_int_equal(offset, 0);
    /* each header alone would do, their sum does not: 2 + 2 values from 3 bytes */
    test_status(DRAY_EINVALID, skip_value(BYTES("\x93\x01\x92\x01\x01"), &limits, &offset));
    assert_int_equal(offset, 2);
}

static void a_string_longer_than_the_message_is_refused(void **state)
{
    size_t offset;

    (void)state;
    test_status(DRAY_EINVALID, skip_value(BYTES("\xdb\xff\xff\xff\xff"
                                                "a"),
                                          &limits, &offset));
    test_status(DRAY_EINVALID, skip_value(BYTES("\xc9\xff\xff\xff\xff\x01"), &limits, &offset));
}

static void the_byte_c1_is_refused(void **state)
{
    struct dri_scanner scanner;
    struct dri_token token;
    size_t offset;

    (void)state;
    test_status(DRAY_EINVALID, skip_value(BYTES("\x92\x01\xc1"), &limits, &offset));
    assert_int_equal(offset, 2);
    dri_scanner_init(&scanner, BYTES("\xc1"), &limits);
    test_status(DRAY_EINVALID, dri_scanner_next(&scanner, &token));
}

static void nesting_is_bounded_and_the_bound_itself_is_allowed(void **state)
{
    uint8_t bytes[128];
    size_t offset;

    (void)state;
    memset(bytes, 0x91, sizeof(bytes));
    bytes[15] = 0x90;
    test_ok(skip_value(dray_slice_of(bytes, 16), &limits, &offset));
    bytes[15] = 0x91;
    bytes[16] = 0x90;
    test_status(DRAY_ELIMIT, skip_value(dray_slice_of(bytes, 17), &limits, &offset));
    assert_int_equal(offset, 16);
}

static void no_limit_lifts_nesting_above_the_ceiling(void **state)
{
    const struct dri_wire_limits any = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    static uint8_t bytes[100000];
    size_t offset;

    (void)state;
    memset(bytes, 0x91, sizeof(bytes));
    test_status(DRAY_ELIMIT, skip_value(dray_slice_of(bytes, sizeof(bytes)), &any, &offset));
    assert_int_equal(offset, DRI_DEPTH_CEILING);
}

static void elements_are_bounded_in_sum(void **state)
{
    const struct dri_wire_limits four = {100, 16, 4};
    struct dri_scanner scanner;
    struct dray_slice value;
    size_t offset;

    (void)state;
    test_ok(skip_value(BYTES("\x92\x91\x01\x91\x01"), &four, &offset));
    test_status(DRAY_ELIMIT, skip_value(BYTES("\x92\x91\x01\x92\x01\x01"), &four, &offset));
    assert_int_equal(offset, 3);
    test_status(DRAY_ELIMIT, skip_value(BYTES("\x83\1\1\1\1\1\1"), &four, &offset));
    dri_scanner_init(&scanner, BYTES("\x95\1\1\1\1\1"), &four);
    test_ok(dri_scanner_skip_payload(&scanner, &value));
    assert_int_equal(scanner.elements_left, 4);
}

static void next_counts_what_containers_announce(void **state)
{
    struct dri_scanner scanner;
    struct dri_token token;

    (void)state;
    dri_scanner_init(&scanner, BYTES("\x82\1\2\3\x91\5"), &limits);
    for (int i = 0; i < 6; i++) {
        test_ok(dri_scanner_next(&scanner, &token));
    }
    assert_true(scanner.pending == 0);
    assert_true(scanner.pairs == 2 && scanner.items == 1);
    assert_int_equal(dri_scanner_left(&scanner), 0);
    test_status(DRAY_EINVALID, dri_scanner_next(&scanner, &token));
    scanner.depth = 16;
    scanner.at = scanner.begin;
    test_status(DRAY_ELIMIT, dri_scanner_next(&scanner, &token));
}

static void an_absent_message_is_an_empty_one(void **state)
{
    size_t offset;

    (void)state;
    test_status(DRAY_EINVALID, skip_value(dray_slice_of(NULL, 0), &limits, &offset));
    assert_int_equal(offset, 0);
}

static void utf8_is_told_from_what_looks_like_it(void **state)
{
    static const char *const good[] = {"",
                                       "plain ascii, longer than eight bytes",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "12345678\xc3\xa9"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xf0\x9f\x98",
                                      "\xe2\x28\xa1",
                                      "\xe2\x82\x28",
                                      "\xf0\x9f\x98\x41",
                                      "12345678\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(dri_utf8_is_valid(dray_slice_text(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(dri_utf8_is_valid(dray_slice_text(bad[i])));
    }
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(dri_utf8_cut(dray_slice_text("abc"), 3), 3);
    assert_int_equal(dri_utf8_cut(dray_slice_text("abc"), 2), 2);
    assert_int_equal(dri_utf8_cut(dray_slice_text("a\xc3\xa9"), 2), 1);
    assert_int_equal(dri_utf8_cut(dray_slice_text("\xf0\x9f\x98\x80"), 3), 0);
    assert_int_equal(dri_utf8_cut(dray_slice_text("\x80\x80\x80\x80\x80\x80"), 5), 5);
}

static void what_is_no_utf8_is_mended_byte_by_byte(void **state)
{
    uint8_t text[] = "a\xff\xc3\xa9\xe2\x82!";

    (void)state;
    dri_utf8_mend(text, sizeof(text) - 1);
    assert_memory_equal(text, "a?\xc3\xa9?\?!", sizeof(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_integer_form_is_read_as_its_number),
        cmocka_unit_test(a_positive_number_packed_as_signed_is_unsigned),
        cmocka_unit_test(every_other_form_is_read_as_its_type),
        cmocka_unit_test(every_ext_form_is_read_with_its_type),
        cmocka_unit_test(skip_measures_exactly_one_value),
        cmocka_unit_test(every_shorter_message_ends_inside_a_value),
        cmocka_unit_test(a_lie_about_the_count_is_refused_at_the_header),
        cmocka_unit_test(a_string_longer_than_the_message_is_refused),
        cmocka_unit_test(the_byte_c1_is_refused),
        cmocka_unit_test(nesting_is_bounded_and_the_bound_itself_is_allowed),
        cmocka_unit_test(no_limit_lifts_nesting_above_the_ceiling),
        cmocka_unit_test(elements_are_bounded_in_sum),
        cmocka_unit_test(next_counts_what_containers_announce),
        cmocka_unit_test(an_absent_message_is_an_empty_one),
        cmocka_unit_test(utf8_is_told_from_what_looks_like_it),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(what_is_no_utf8_is_mended_byte_by_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
