/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "support/test.h"

static void what_fits_is_what_printf_writes(void **state)
{
    static const char *const texts[] = {"", "commands-0", "shop.commands/p"};
    static const uint64_t numbers[] = {
        0, 1, 9, 10, 99, 1234567890, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
            char ours[64], theirs[64];
            int wanted = snprintf(theirs, sizeof(theirs), "%s/%" PRIu64, texts[i], numbers[k]);
            assert_int_equal(dri_decimal_after(ours, sizeof(ours), texts[i], '/', numbers[k]),
                             wanted);
            assert_string_equal(ours, theirs);
        }
    }
}

static void a_text_that_is_too_long_is_cut_and_the_number_is_whole(void **state)
{
    char guarded[40];
    (void)state;
    memset(guarded, '#', sizeof(guarded));
    size_t len =
        dri_decimal_after(guarded, 32, "a text that is much longer than this", ':', UINT64_MAX);
    assert_string_equal(guarded, "a text tha:18446744073709551615");
    assert_int_equal(len, 31);
    assert_memory_equal(guarded + 32, "########", 8);
    assert_int_equal(dri_decimal_after(guarded, 22, "text", ':', UINT64_MAX), 21);
    assert_string_equal(guarded, ":18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_what_printf_writes),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_and_the_number_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
