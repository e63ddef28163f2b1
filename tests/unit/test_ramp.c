/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "run/ramp.h"
#include "support/test.h"

#define S UINT64_C(1000000000)

static void without_a_ramp_the_limit_is_the_setting(void **state)
{
    (void)state;
    assert_int_equal(dri_ramp_limit(0, 0, 4, 10000), 10000);
    assert_int_equal(dri_ramp_limit(S, 0, 4, 10000), 10000);
}

static void it_begins_with_one_and_ends_with_the_setting(void **state)
{
    (void)state;
    assert_int_equal(dri_ramp_limit(0, 60 * S, 64, 10000), 1);
    assert_int_equal(dri_ramp_limit(60 * S, 60 * S, 64, 10000), 10000);
    assert_int_equal(dri_ramp_limit(UINT64_MAX, 60 * S, 64, 10000), 10000);
    assert_int_equal(dri_ramp_limit(0, 1, 64, 10000), 64); /* too short for a first half */
    assert_int_equal(dri_ramp_limit(1, 1, 64, 10000), 10000);
}

static void the_lanes_are_full_in_the_middle(void **state)
{
    (void)state;
    assert_int_equal(dri_ramp_limit(30 * S, 60 * S, 64, 10000), 64);
    assert_in_range(dri_ramp_limit(15 * S, 60 * S, 64, 10000), 31, 33);
    assert_in_range(dri_ramp_limit(45 * S, 60 * S, 64, 10000), 5000, 5064);
}

static void it_never_goes_down_and_never_beyond(void **state)
{
    (void)state;
    static const struct {
        uint64_t ramp_ns;
        uint32_t lanes, in_flight_max;
    } rows[] = {
        {60 * S, 64, 10000}, {60 * S, 4, 1}, {60 * S, 1024, 10},
        {S, 1, 16777216},    {1000, 8, 100}, {UINT64_C(3600) * 4 * S, 1024, 16777216},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t before = 1;
        for (uint64_t step = 0; step <= 3000; step++) {
            uint32_t limit = dri_ramp_limit(rows[i].ramp_ns / 3000 * step, rows[i].ramp_ns,
                                            rows[i].lanes, rows[i].in_flight_max);
            assert_true(limit >= before && limit <= rows[i].in_flight_max);
            before = limit;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_ramp_the_limit_is_the_setting),
        cmocka_unit_test(it_begins_with_one_and_ends_with_the_setting),
        cmocka_unit_test(the_lanes_are_full_in_the_middle),
        cmocka_unit_test(it_never_goes_down_and_never_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
