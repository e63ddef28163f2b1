/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core/adaptive.h"
#include "core_expect.h"
#include "core_fixture.h"
#include "groups.h"

/* A limit that finds itself: against a modelled dependency, and in a core. */

#define MS UINT64_C(1000000)

/* It serves `knee` runs at once; what is more takes turns. */
struct model {
    uint64_t run_ns;
    uint32_t knee;
};

/* Rounds in which as many run as may, or as there are. Never beyond its ends. Where it stood in the
 * second half, on average, rounded. */
static uint32_t play(struct dri_adaptive *adaptive, struct model model, uint32_t wanted, int rounds)
{
    uint64_t sum = 0;
    int counted = 0;
    for (int round = 0; round < rounds; round++) {
        uint32_t limit = dri_adaptive_limit(adaptive);
        uint32_t running = wanted < limit ? wanted : limit;
        uint64_t more = running > model.knee ? running : model.knee;
        for (uint32_t i = 0; i < running; i++) {
            (void)dri_adaptive_took(adaptive, running - i, model.run_ns * more / model.knee);
        }
        assert_in_range(dri_adaptive_limit(adaptive), adaptive->min, adaptive->max);
        if (round >= rounds / 2) {
            sum += dri_adaptive_limit(adaptive);
            counted++;
        }
    }
    return (uint32_t)((sum + (uint64_t)counted / 2) / (uint64_t)counted);
}

static struct dri_adaptive begin(uint32_t min, uint32_t max)
{
    struct dri_adaptive adaptive;
    dri_adaptive_reset(&adaptive, min, max);
    assert_int_equal(min, dri_adaptive_limit(&adaptive));
    return adaptive;
}

static void it_grows_to_a_little_more_than_the_knee(void **state)
{
    (void)state;
    for (uint32_t knee = 2; knee <= 64; knee *= 2) {
        struct dri_adaptive adaptive = begin(1, 1000);
        uint32_t limit = play(&adaptive, (struct model){10 * MS, knee}, UINT32_MAX, 500);
        assert_in_range(limit, knee, 2 * knee + 2);
        limit = play(&adaptive, (struct model){10 * MS, knee}, UINT32_MAX, 5000); /* no drift */
        assert_in_range(limit, knee, 2 * knee + 2);
    }
}

static void it_comes_down_to_a_knee_that_moved_and_goes_up_again(void **state)
{
    (void)state;
    struct dri_adaptive adaptive = begin(1, 1000);
    uint32_t high = play(&adaptive, (struct model){10 * MS, 64}, UINT32_MAX, 500);
    uint32_t low = play(&adaptive, (struct model){10 * MS, 8}, UINT32_MAX, 500);
    assert_in_range(high, 64, 130);
    assert_in_range(low, 8, 18);
    assert_in_range(play(&adaptive, (struct model){10 * MS, 64}, UINT32_MAX, 500), 64, 130);
}

static void without_a_knee_it_is_the_maximum(void **state)
{
    (void)state;
    struct dri_adaptive adaptive = begin(2, 12);
    assert_int_equal(12, play(&adaptive, (struct model){10 * MS, 1000}, UINT32_MAX, 200));
}

static void what_became_slower_for_good_is_learned_at_the_minimum(void **state)
{
    (void)state;
    struct dri_adaptive adaptive = begin(2, 12);
    assert_int_equal(12, play(&adaptive, (struct model){10 * MS, 1000}, UINT32_MAX, 200));
    assert_true(play(&adaptive, (struct model){500 * MS, 1000}, UINT32_MAX, 3) < 12);
    assert_int_equal(12, play(&adaptive, (struct model){500 * MS, 1000}, UINT32_MAX, 300));
    assert_int_equal(12, play(&adaptive, (struct model){800 * MS, 1000}, UINT32_MAX, 2000));
}

static void who_is_idle_does_not_grow(void **state)
{
    (void)state;
    struct dri_adaptive adaptive = begin(2, 100);
    uint32_t limit = play(&adaptive, (struct model){10 * MS, 1000}, 3, 1000);
    assert_in_range(limit, 3, 7);
}

static void one_overload_is_one_step_and_never_below_the_minimum(void **state)
{
    (void)state;
    struct dri_adaptive adaptive = begin(2, 16);
    assert_int_equal(16, play(&adaptive, (struct model){10 * MS, 1000}, UINT32_MAX, 200));
    assert_true(dri_adaptive_overload(&adaptive, 16));
    assert_int_equal(12, dri_adaptive_limit(&adaptive));
    for (uint32_t i = 0; i < 15; i++) {
        assert_false(dri_adaptive_overload(&adaptive, 15 - i));
    }
    assert_int_equal(12, dri_adaptive_limit(&adaptive));
    assert_true(dri_adaptive_overload(&adaptive, 12));
    for (uint32_t i = 0; i < 1000; i++) {
        (void)dri_adaptive_overload(&adaptive, 1);
        assert_true(dri_adaptive_limit(&adaptive) >= 2);
    }
    assert_int_equal(2, dri_adaptive_limit(&adaptive));
    assert_false(dri_adaptive_overload(&adaptive, 1));
    assert_int_equal(16, play(&adaptive, (struct model){10 * MS, 1000}, UINT32_MAX, 200));
}

static void times_of_any_size_fit(void **state)
{
    (void)state;
    const uint64_t times[] = {1, 2, UINT64_MAX, 1, UINT64_MAX / 2, 255, 256};
    struct dri_adaptive adaptive = begin(1, UINT32_MAX);
    for (uint32_t i = 0; i < 100000; i++) {
        (void)dri_adaptive_took(&adaptive, UINT32_MAX, times[i % DRI_ARRAY_LEN(times)]);
        assert_true(dri_adaptive_limit(&adaptive) >= 1);
    }
}

/* --- in a core --- */

static int set_up(void **state)
{
    fixture_setup(state);
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 1;
    config.lanes = 4;
    config.lane_depth = 4;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    return 0;
}

static void set_group(struct fixture *fx)
{
    const struct dri_group_limits limits = {.concurrency = 4, .concurrency_min = 1};
    dri_core_group_set(fx->core, 1, &limits);
    feed_all(fx, NULL, 0);
}

static void a_route_grows_shrinks_and_begins_anew_with_a_new_configuration(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[40];
    set_group(fx);
    for (uint64_t i = 0; i < 40; i++) {
        flights[i] = come_of(fx, i, 0, 1);
    }
    expect_start(fx, 0);
    expect_nothing(fx);
    for (size_t i = 0; i < 36; i++) {
        flights[i]->started_ns = fx->now.mono_ns;
        fx->now.mono_ns += 10 * MS;
        flights[i]->ended_ns = fx->now.mono_ns;
        succeed(fx, flights[i]);
    }
    assert_int_equal(4, dri_core_group_concurrency(fx->core, 1));
    assert_int_equal(4, stats_of(fx).running); /* the last ones */
    assert_int_equal(0, stats_of(fx).adaptive_shrinks);
    done_failed(fx, flights[36], DRAY_KIND_TIMEOUT);
    assert_int_equal(3, dri_core_group_concurrency(fx->core, 1));
    done_failed(fx, flights[37], DRAY_KIND_TIMEOUT);
    done_failed(fx, flights[38], DRAY_KIND_INVALID);
    assert_int_equal(3, dri_core_group_concurrency(fx->core, 1));
    assert_int_equal(1, stats_of(fx).adaptive_shrinks);
    set_group(fx);
    assert_int_equal(1, dri_core_group_concurrency(fx->core, 1));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_to_a_little_more_than_the_knee),
        cmocka_unit_test(it_comes_down_to_a_knee_that_moved_and_goes_up_again),
        cmocka_unit_test(without_a_knee_it_is_the_maximum),
        cmocka_unit_test(what_became_slower_for_good_is_learned_at_the_minimum),
        cmocka_unit_test(who_is_idle_does_not_grow),
        cmocka_unit_test(one_overload_is_one_step_and_never_below_the_minimum),
        cmocka_unit_test(times_of_any_size_fit),
        CASE(a_route_grows_shrinks_and_begins_anew_with_a_new_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
