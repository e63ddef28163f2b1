/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "support/test.h"
#include "wire/headers.h"

#define NAME(text) dray_slice_text(text)

static void headers_come_back_in_order_with_nulls_and_repeats(void **state)
{
    uint8_t buffer[128];
    size_t len = 0;
    size_t at = 0;
    struct dri_header header;

    (void)state;
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME("a"), NAME("1")));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME("b"), dray_slice_of(NULL, 0)));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME("A"), NAME("")));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME(""), NAME("x")));
    assert_int_equal(len, dri_headers_bytes(NAME("a"), NAME("1")) +
                              dri_headers_bytes(NAME("b"), dray_slice_of(NULL, 0)) +
                              dri_headers_bytes(NAME("A"), NAME("")) +
                              dri_headers_bytes(NAME(""), NAME("x")));
    assert_true(dri_headers_next(dray_slice_of(buffer, len), &at, &header));
    test_slice("a", header.name);
    test_slice("1", header.value);
    assert_true(dri_headers_next(dray_slice_of(buffer, len), &at, &header));
    test_slice("b", header.name);
    assert_true(dray_slice_is_absent(header.value));
    assert_true(dri_headers_next(dray_slice_of(buffer, len), &at, &header));
    test_slice("", header.value);
    assert_true(dri_headers_next(dray_slice_of(buffer, len), &at, &header));
    test_slice("", header.name);
    assert_false(dri_headers_next(dray_slice_of(buffer, len), &at, &header));
}

static void find_gives_the_last_one_whatever_its_case(void **state)
{
    uint8_t buffer[128];
    size_t len = 0;

    (void)state;
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME("Dray-Key"), NAME("1")));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME("dray-KEY"), NAME("2")));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, NAME("dray-keys"), NAME("3")));
    test_slice("2", dri_headers_find(dray_slice_of(buffer, len), "dray-key"));
    assert_true(dray_slice_is_absent(dri_headers_find(dray_slice_of(buffer, len), "dray")));
    assert_true(dray_slice_is_absent(dri_headers_find(dray_slice_of(NULL, 0), "dray")));
}

static void what_does_not_fit_leaves_the_length_alone(void **state)
{
    static uint8_t large[70000];
    uint8_t buffer[16];
    size_t len = 0;

    (void)state;
    test_status(DRAY_ELIMIT, dri_headers_append(buffer, 7, &len, NAME("a"), NAME("b")));
    assert_int_equal(len, 0);
    test_ok(dri_headers_append(buffer, 8, &len, NAME("a"), NAME("b")));
    test_status(DRAY_ELIMIT, dri_headers_append(buffer, 8, &len, NAME(""), NAME("")));
    assert_int_equal(len, 8);
    len = 0;
    test_status(DRAY_ELIMIT, dri_headers_append(large, sizeof(large), &len,
                                                dray_slice_of(large, 65536), NAME("b")));
    len = 20;
    test_status(DRAY_ELIMIT, dri_headers_append(buffer, 16, &len, NAME("a"), NAME("b")));
}

static void damaged_headers_end_the_walk(void **state)
{
    uint8_t buffer[64];
    size_t whole = 0;
    struct dri_header header;

    (void)state;
    test_ok(dri_headers_append(buffer, sizeof(buffer), &whole, NAME("name"), NAME("value")));
    for (size_t len = 0; len < whole; len++) {
        size_t at = 0;

        assert_false(dri_headers_next(dray_slice_of(buffer, len), &at, &header));
        assert_int_equal(at, 0);
    }
    for (size_t i = 0; i < whole; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            size_t at = 0;

            buffer[i] ^= (uint8_t)(1u << bit);
            while (dri_headers_next(dray_slice_of(buffer, whole), &at, &header)) {
                assert_true(at <= whole);
            }
            buffer[i] ^= (uint8_t)(1u << bit);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_come_back_in_order_with_nulls_and_repeats),
        cmocka_unit_test(find_gives_the_last_one_whatever_its_case),
        cmocka_unit_test(what_does_not_fit_leaves_the_length_alone),
        cmocka_unit_test(damaged_headers_end_the_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
