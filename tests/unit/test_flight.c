/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "core/flight.h"
#include "support/test.h"

static void a_state_has_the_name_that_stands_in_the_table(void **state)
{
    (void)state;
    assert_string_equal("FREE", dri_flight_state_text(DRI_FLIGHT_FREE));
    assert_string_equal("DROPPED", dri_flight_state_text(DRI_FLIGHT_DROPPED));
    assert_string_equal("?", dri_flight_state_text(DRI_FLIGHT_STATE_COUNT));
}

static void the_sunny_path_is_drawn(void **state)
{
    static const enum dri_flight_state path[] = {
        DRI_FLIGHT_FREE,   DRI_FLIGHT_TAKEN, DRI_FLIGHT_QUEUED, DRI_FLIGHT_RUNNING,
        DRI_FLIGHT_RESULT, DRI_FLIGHT_DONE,  DRI_FLIGHT_FREE,
    };
    (void)state;
    for (size_t i = 1; i < sizeof(path) / sizeof(path[0]); i++) {
        assert_true(dri_flight_may_go(path[i - 1], path[i]));
    }
}

static void nothing_is_done_without_a_run_a_letter_or_a_copy_in_another_log(void **state)
{
    (void)state;
    for (int from = 0; from < DRI_FLIGHT_STATE_COUNT; from++) {
        bool may = from == DRI_FLIGHT_RUNNING || from == DRI_FLIGHT_LETTER ||
                   from == DRI_FLIGHT_RESULT || from == DRI_FLIGHT_PARKING;
        /* A message that stands there already, and a second copy of a replay. */
        may = may || from == DRI_FLIGHT_TAKEN || from == DRI_FLIGHT_QUEUED;
        assert_int_equal(may, dri_flight_may_go((enum dri_flight_state)from, DRI_FLIGHT_DONE));
    }
}

static void only_what_is_queued_starts_to_run(void **state)
{
    (void)state;
    for (int from = 0; from < DRI_FLIGHT_STATE_COUNT; from++) {
        assert_int_equal(from == DRI_FLIGHT_QUEUED,
                         dri_flight_may_go((enum dri_flight_state)from, DRI_FLIGHT_RUNNING));
    }
}

static void a_dropped_flight_never_comes_back_to_life(void **state)
{
    (void)state;
    for (int to = 0; to < DRI_FLIGHT_STATE_COUNT; to++) {
        assert_int_equal(to == DRI_FLIGHT_FREE,
                         dri_flight_may_go(DRI_FLIGHT_DROPPED, (enum dri_flight_state)to));
    }
}

static void a_token_changes_with_the_generation(void **state)
{
    struct dri_flight flight = {.index = 7, .generation = 1};
    (void)state;
    uint64_t first = dri_flight_token(&flight);
    flight.generation++;
    assert_true(first != dri_flight_token(&flight));
    assert_int_equal(7, (uint32_t)first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_has_the_name_that_stands_in_the_table),
        cmocka_unit_test(the_sunny_path_is_drawn),
        cmocka_unit_test(nothing_is_done_without_a_run_a_letter_or_a_copy_in_another_log),
        cmocka_unit_test(only_what_is_queued_starts_to_run),
        cmocka_unit_test(a_dropped_flight_never_comes_back_to_life),
        cmocka_unit_test(a_token_changes_with_the_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
