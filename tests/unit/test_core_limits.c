/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "core_fixture.h"

/* Limits that change while a core runs. */

static struct dri_core_limits limits_of(const struct fixture *fx)
{
    return (struct dri_core_limits){
        .in_flight_max = fx->config.in_flight_max,
        .unacked_max = fx->config.unacked_max,
        .bytes_max = fx->config.bytes_max,
        .settle_ms = fx->config.settle_ms,
        .revoke_ms = fx->config.revoke_ms,
        .drain_ms = fx->config.drain_ms,
    };
}

static void set_in_flight(struct fixture *fx, uint32_t in_flight_max)
{
    struct dri_core_limits limits = limits_of(fx);
    limits.in_flight_max = in_flight_max;
    dri_core_set_limits(fx->core, &limits);
    fixture_check(fx);
}

static int set_up(void **state)
{
    int code = fixture_setup(state);
    assign(*state, 0, 1);
    return code;
}

static void a_smaller_limit_is_a_smaller_room(void **state)
{
    struct fixture *fx = *state;
    set_in_flight(fx, 10);
    assert_int_equal(10, dri_core_room(fx->core));
    come(fx, 0, 1);
    assert_int_equal(9, dri_core_room(fx->core));
    set_in_flight(fx, 64);
    assert_int_equal(63, dri_core_room(fx->core));
}

static void what_is_in_flight_stays_beyond_a_limit_that_shrank(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[20];
    for (uint64_t i = 0; i < 20; i++) {
        flights[i] = come(fx, i, i + 1);
    }
    set_in_flight(fx, 4);
    assert_int_equal(0, dri_core_room(fx->core));
    assert_null(dri_core_take(fx->core));
    for (size_t i = 0; i < 16; i++) {
        succeed(fx, flights[i]);
        assert_int_equal(0, dri_core_room(fx->core));
    }
    succeed(fx, flights[16]);
    assert_int_equal(1, dri_core_room(fx->core)); /* three of four, as ever */
    for (size_t i = 17; i < 20; i++) {
        succeed(fx, flights[i]);
    }
    assert_int_equal(20, stats_of(fx).results_stored);
    assert_int_equal(4, dri_core_room(fx->core));
}

static void a_limit_of_nothing_lets_all_go_on_and_nothing_in(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 1);
    struct dri_flight *retried = come(fx, 1, 2);
    set_in_flight(fx, 0);
    assert_int_equal(0, dri_core_room(fx->core));
    succeed(fx, first);
    done_retry(fx, retried, 50);
    forget_said(fx);
    tick_ms(fx, 60);
    (void)expect_start(fx, 1); /* a retry is no new command */
    succeed(fx, retried);
    forget_said(fx);
    tick_ms(fx, 200);
    expect_settle(fx, 0, 2, false);
    settled(fx, 0, 1, 2, DRAY_OK);
    assert_int_equal(0, dri_core_room(fx->core)); /* empty, and still quiet */
    set_in_flight(fx, 64);
    assert_int_equal(64, dri_core_room(fx->core));
}

static void a_quiet_core_answers_a_revocation_and_drains(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 1);
    set_in_flight(fx, 0);
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    succeed(fx, flight);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_settle(fx, 0, 1, true);
    expect_release(fx, 0);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_unassign(fx, 0, 1);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    expect_drained(fx, true);
}

static void the_other_limits_hold_too(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_limits limits = limits_of(fx);
    limits.bytes_max = 200;
    dri_core_set_limits(fx->core, &limits);
    struct dri_flight *one = come(fx, 0, 1);
    struct dri_flight *two = come(fx, 1, 2);
    assert_int_equal(0, dri_core_room(fx->core));
    limits.bytes_max = UINT64_C(1) << 30; /* more than at the start: only counted, not carved */
    limits.unacked_max = 2;
    dri_core_set_limits(fx->core, &limits);
    assert_int_equal(62, dri_core_room(fx->core));
    done_ok(fx, one);
    done_ok(fx, two);
    assert_int_equal(0, dri_core_room(fx->core));
    stored(fx, one);
    assert_int_equal(64, dri_core_room(fx->core));
    fixture_check(fx);
}

static void a_new_time_counts_from_the_next_timer_on(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_limits limits = limits_of(fx);
    tick_ms(fx, 1000);
    succeed(fx, come(fx, 0, 1));
    forget_said(fx);
    tick_ms(fx, 200); /* whatever the first one waited for */
    settled(fx, 0, 1, 1, DRAY_OK);
    limits.settle_ms = 500;
    limits.drain_ms = 70;
    dri_core_set_limits(fx->core, &limits);
    succeed(fx, come(fx, 1, 1));
    forget_said(fx);
    tick_ms(fx, 250);
    expect_nothing(fx); /* 100 ms are over */
    tick_ms(fx, 250);
    expect_settle(fx, 0, 2, false);
    settled(fx, 0, 1, 2, DRAY_OK);
    (void)come(fx, 2, 1);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    forget_said(fx);
    tick_ms(fx, 60);
    expect_nothing(fx);
    tick_ms(fx, 20);
    expect_drained(fx, false);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_smaller_limit_is_a_smaller_room),
        CASE(what_is_in_flight_stays_beyond_a_limit_that_shrank),
        CASE(a_limit_of_nothing_lets_all_go_on_and_nothing_in),
        CASE(a_quiet_core_answers_a_revocation_and_drains),
        CASE(the_other_limits_hold_too),
        CASE(a_new_time_counts_from_the_next_timer_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
