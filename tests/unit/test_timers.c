/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core/timers.h"
#include "support/test.h"

#define IDS 64u

static struct dri_timer heap[IDS];
static uint32_t places[IDS];
static struct dri_timers timers;

static int begin(void **state)
{
    (void)state;
    memset(places, 0, sizeof(places));
    dri_timers_init(&timers, heap, places, IDS);
    return 0;
}

static void without_a_timer_there_is_no_next_time(void **state)
{
    (void)state;
    assert_int_equal(UINT64_MAX, dri_timers_next(&timers));
    assert_int_equal(UINT32_MAX, dri_timers_pop(&timers, UINT64_MAX - 1));
}

static void a_timer_is_due_at_its_time_and_not_before(void **state)
{
    (void)state;
    dri_timers_set(&timers, 3, 100);
    assert_int_equal(100, dri_timers_next(&timers));
    assert_int_equal(UINT32_MAX, dri_timers_pop(&timers, 99));
    assert_int_equal(3, dri_timers_pop(&timers, 100));
    assert_false(dri_timers_is_set(&timers, 3));
}

static void equal_times_come_in_the_order_of_ids(void **state)
{
    static const uint32_t ids[] = {9, 2, 33, 4, 0};
    static const uint32_t want[] = {0, 2, 4, 9, 33};
    (void)state;
    for (size_t i = 0; i < DRI_ARRAY_LEN(ids); i++) {
        dri_timers_set(&timers, ids[i], 50);
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(want); i++) {
        assert_int_equal(want[i], dri_timers_pop(&timers, 50));
    }
}

static void a_timer_can_be_moved_both_ways(void **state)
{
    (void)state;
    dri_timers_set(&timers, 1, 100);
    dri_timers_set(&timers, 2, 200);
    dri_timers_set(&timers, 2, 50);
    assert_int_equal(50, dri_timers_next(&timers));
    dri_timers_set(&timers, 2, 300);
    assert_int_equal(1, dri_timers_pop(&timers, 1000));
    assert_int_equal(2, dri_timers_pop(&timers, 1000));
}

static void cancelling_what_is_not_set_changes_nothing(void **state)
{
    (void)state;
    dri_timers_set(&timers, 1, 100);
    dri_timers_cancel(&timers, 2);
    assert_int_equal(100, dri_timers_next(&timers));
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The model: an array of times, searched. */
static uint32_t model_pop(uint64_t *model, uint64_t now)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t id = 0; id < IDS; id++) {
        if (model[id] <= now && (best == UINT32_MAX || model[id] < model[best])) {
            best = id;
        }
    }
    if (best != UINT32_MAX) {
        model[best] = UINT64_MAX;
    }
    return best;
}

static void a_random_walk_agrees_with_an_array_that_is_searched(void **state)
{
    uint64_t model[IDS];
    uint64_t seed = 88172645463325252u;
    uint64_t now = 0;
    (void)state;
    memset(model, 0xff, sizeof(model));
    for (int step = 0; step < 200000; step++) {
        uint32_t id = (uint32_t)(random_next(&seed) % IDS);
        switch (random_next(&seed) % 4) {
        case 0:
        case 1:
            model[id] = now + random_next(&seed) % 50;
            dri_timers_set(&timers, id, model[id]);
            break;
        case 2:
            model[id] = UINT64_MAX;
            dri_timers_cancel(&timers, id);
            break;
        default:
            now += random_next(&seed) % 10;
            assert_int_equal(model_pop(model, now), dri_timers_pop(&timers, now));
            break;
        }
        assert_int_equal(model[id] != UINT64_MAX, dri_timers_is_set(&timers, id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_timer_there_is_no_next_time, begin),
        cmocka_unit_test_setup(a_timer_is_due_at_its_time_and_not_before, begin),
        cmocka_unit_test_setup(equal_times_come_in_the_order_of_ids, begin),
        cmocka_unit_test_setup(a_timer_can_be_moved_both_ways, begin),
        cmocka_unit_test_setup(cancelling_what_is_not_set_changes_nothing, begin),
        cmocka_unit_test_setup(a_random_walk_agrees_with_an_array_that_is_searched, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
