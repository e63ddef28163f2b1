/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "base/mem.h"
#include "support/test.h"

static void blocks_are_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 300; bytes += 7) {
        uint8_t *block = (uint8_t *)dri_zalloc(bytes);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(block[i], 0);
            block[i] = 0xff; /* so that a block that comes back dirty would show */
        }
        dri_free(block);
    }
}

static void live_blocks_are_counted(void **state)
{
    (void)state;
    size_t before = dri_mem_live();
    void *a = dri_zalloc(1);
    char *b = dri_strdup("text");
    assert_int_equal(dri_mem_live(), before + 2);
    assert_string_equal(b, "text");
    dri_free(a);
    dri_free(b);
    dri_free(NULL);
    assert_int_equal(dri_mem_live(), before);
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
    (void)state;
    volatile size_t many = SIZE_MAX / 2;
    assert_null(dri_zalloc_array(many, 3));
    void *sound = dri_zalloc_array(3, 5);
    assert_non_null(sound);
    dri_free(sound);
}

static void a_copy_of_bytes_ends_in_a_nul(void **state)
{
    (void)state;
    char *copy = dri_strndup("abcdef", 3);
    char *empty = dri_strndup(NULL, 0);
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    dri_free(copy);
    dri_free(empty);
}

static void exactly_the_nth_allocation_fails(void **state)
{
    (void)state;
    size_t before = dri_mem_live();
    dri_mem_fail_at(3);
    void *first = dri_zalloc(8);
    void *second = dri_zalloc(8);
    assert_int_equal(dri_mem_failed(), 0);
    void *third = dri_zalloc(8);
    assert_int_equal(dri_mem_failed(), 1);
    void *fourth = dri_zalloc(8);
    dri_mem_fail_at(0);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(third);
    assert_non_null(fourth);
    assert_int_equal(dri_mem_live(), before + 3);
    assert_int_equal(dri_mem_failed(), 0);
    dri_free(first);
    dri_free(second);
    dri_free(fourth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_and_aligned),
        cmocka_unit_test(live_blocks_are_counted),
        cmocka_unit_test(an_array_whose_size_overflows_is_refused),
        cmocka_unit_test(a_copy_of_bytes_ends_in_a_nul),
        cmocka_unit_test(exactly_the_nth_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
