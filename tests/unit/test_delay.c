/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "clock.h"
#include "delay.h"
#include "headers.h"
#include "support/test.h"

/* Levels and headers of delay logs. */

static void a_level_brings_a_command_back_before_it_is_due(void **state)
{
    (void)state;
    for (uint64_t wait_ms = DRI_DELAY_LEAST_MS; wait_ms < UINT64_C(40) * 86400000; wait_ms += 977) {
        uint32_t level = dri_delay_level_for(wait_ms);
        assert_true(level < DRI_DELAY_LEVELS);
        assert_true(dri_delay_level_ms(level) + DRI_DELAY_MARGIN_MS <= wait_ms);
        bool is_last = level + 1 == DRI_DELAY_LEVELS;
        assert_true(is_last || dri_delay_level_ms(level + 1) + DRI_DELAY_MARGIN_MS > wait_ms);
    }
    assert_int_equal(0, dri_delay_level_for(0));
    assert_int_equal(DRI_DELAY_LEVELS - 1, dri_delay_level_for(UINT64_MAX));
}

static void a_command_reaches_its_time_in_a_few_hops(void **state)
{
    (void)state;
    const uint64_t waits_ms[] = {31000, 3600000, 86400000, UINT64_C(30) * 86400000};
    const uint32_t most[] = {4, 12, 30, 60};
    for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
        uint64_t left_ms = waits_ms[i];
        uint32_t hops = 0;
        for (; left_ms > 30000; hops++) { /* each as short as a level may be */
            uint64_t level_ms = dri_delay_level_ms(dri_delay_level_for(left_ms));
            left_ms -= level_ms - level_ms / 8;
        }
        assert_true(hops <= most[i]);
    }
}

static void levels_are_named_and_grow(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < DRI_DELAY_LEVELS; i++) {
        assert_true(dri_delay_level_ms(i) > dri_delay_level_ms(i - 1));
        assert_string_not_equal(dri_delay_level_name(i), dri_delay_level_name(i - 1));
    }
    assert_int_equal(DRI_DELAY_LEAST_MS, dri_delay_level_ms(0) + DRI_DELAY_MARGIN_MS);
}

static struct dray_slice original(uint8_t *buffer, size_t bytes)
{
    size_t len = 0;
    assert_int_equal(DRAY_OK, dri_headers_append(buffer, bytes, &len, dray_slice_text("x-a"),
                                                 dray_slice_text("1")));
    assert_int_equal(DRAY_OK, dri_headers_append(buffer, bytes, &len, dray_slice_text("x-null"),
                                                 dray_slice_of(NULL, 0)));
    return dray_slice_of(buffer, len);
}

static void headers_say_where_it_came_from_first_and_when_it_is_due(void **state)
{
    (void)state;
    uint8_t raw[100], once[400], twice[400];
    struct dray_slice first = original(raw, sizeof(raw));
    struct dray_slice source = dray_slice_text("commands/3/17");
    size_t len = 0;
    assert_int_equal(DRAY_OK, dri_delay_headers(first, source, UINT64_C(1767225600123), once,
                                                dri_delay_headers_max(first, source), &len));
    struct dray_slice second = dray_slice_of(once, len);
    assert_memory_equal(once, raw, first.len);
    assert_true(
        dray_slice_equal_text(dri_headers_find(second, "dray-delay-source"), "commands/3/17"));
    assert_true(dray_slice_equal_text(dri_headers_find(second, "dray-delay-due"),
                                      "2026-01-01T00:00:00.123Z"));
    source = dray_slice_text("delay.5s.g.commands/0/1");
    assert_int_equal(DRAY_OK, dri_delay_headers(second, source, UINT64_C(1767225600123), twice,
                                                dri_delay_headers_max(second, source), &len));
    assert_true(dray_slice_equal(second, dray_slice_of(twice, len))); /* it does not grow */
}

static void headers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    uint8_t raw[100], buffer[400];
    struct dray_slice first = original(raw, sizeof(raw));
    struct dray_slice source = dray_slice_text("commands/3/17");
    size_t whole = 0, len = 4711;
    assert_int_equal(DRAY_OK, dri_delay_headers(first, source, 1, buffer, sizeof(buffer), &whole));
    assert_true(whole <= dri_delay_headers_max(first, source));
    for (size_t bytes = 0; bytes < whole; bytes++) {
        assert_int_equal(DRAY_ELIMIT, dri_delay_headers(first, source, 1, buffer, bytes, &len));
    }
    assert_int_equal(4711, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_brings_a_command_back_before_it_is_due),
        cmocka_unit_test(a_command_reaches_its_time_in_a_few_hops),
        cmocka_unit_test(levels_are_named_and_grow),
        cmocka_unit_test(headers_say_where_it_came_from_first_and_when_it_is_due),
        cmocka_unit_test(headers_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
