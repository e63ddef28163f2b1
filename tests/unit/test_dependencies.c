/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "groups.h"

/* Breakers that several routes share: slot 0 in epoch 1; routes READ and MAIL depend on DB, MAIL
 * on SMTP as well, and FREE on nothing. */

enum {
    READ = 1,
    MAIL = 2,
    FREE = 3,
    DB = 4,
    SMTP = 5,
};

#define OPEN_MS  500u
#define FAILURES 3u

static void set_group(struct fixture *fx, uint32_t number, struct dri_group_limits limits)
{
    dri_core_group_set(fx->core, number, &limits);
    feed_all(fx, NULL, 0);
}

static int begin(void **state)
{
    fixture_setup(state);
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 5;
    config.lane_depth = 8;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    const struct dri_group_limits breaker = {.failures = FAILURES, .open_ms = OPEN_MS};
    set_group(fx, DB, breaker);
    set_group(fx, SMTP, breaker);
    set_group(fx, READ, (struct dri_group_limits){.depends = {DB}});
    set_group(fx, MAIL, (struct dri_group_limits){.depends = {DB, SMTP}});
    return 0;
}

/* A keyless command that runs and fails, of what is blamed; 0: it does not say. */
static struct dri_flight *fail_one(struct fixture *fx, uint64_t offset, uint32_t group,
                                   uint32_t blamed)
{
    forget_said(fx);
    struct dri_flight *flight = come_of(fx, offset, 0, group);
    expect_start(fx, offset);
    flight->blamed = blamed;
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    return flight;
}

static enum dri_breaker breaker_of(const struct fixture *fx, uint32_t number)
{
    return dri_core_group_breaker(fx->core, number);
}

static void open_db(struct fixture *fx)
{
    for (uint64_t i = 0; i < FAILURES; i++) {
        fail_one(fx, i, i % 2 == 0 ? READ : MAIL, DB);
    }
    assert_int_equal(DRI_BREAKER_OPEN, breaker_of(fx, DB));
    forget_said(fx);
}

static void failures_of_all_routes_count_and_all_of_them_wait(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    assert_int_equal(DRI_BREAKER_CLOSED, breaker_of(fx, SMTP));
    assert_int_equal(1, stats_of(fx).open_groups);
    come_of(fx, 10, 0, READ);
    come_of(fx, 11, 7, MAIL);
    expect_nothing(fx);
    come_of(fx, 12, 0, FREE);
    expect_start(fx, 12);
}

static void one_success_of_any_route_counts_from_nothing(void **state)
{
    struct fixture *fx = *state;
    fail_one(fx, 0, READ, 0);
    fail_one(fx, 1, MAIL, DB);
    struct dri_flight *flight = come_of(fx, 2, 0, MAIL);
    done_ok(fx, flight);
    fail_one(fx, 3, READ, 0);
    fail_one(fx, 4, READ, 0);
    assert_int_equal(DRI_BREAKER_CLOSED, breaker_of(fx, DB));
    fail_one(fx, 5, READ, 0);
    assert_int_equal(DRI_BREAKER_OPEN, breaker_of(fx, DB));
}

static void a_failure_that_names_one_says_nothing_of_the_others(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < FAILURES; i++) {
        fail_one(fx, i, MAIL, SMTP);
    }
    assert_int_equal(DRI_BREAKER_OPEN, breaker_of(fx, SMTP));
    assert_int_equal(DRI_BREAKER_CLOSED, breaker_of(fx, DB));
    forget_said(fx);
    come_of(fx, 10, 0, MAIL);
    expect_nothing(fx);
    come_of(fx, 11, 0, READ);
    expect_start(fx, 11);
}

static void a_failure_that_names_none_of_its_own_counts_for_all(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < FAILURES; i++) {
        fail_one(fx, i, MAIL, i % 2 == 0 ? 0 : FREE);
    }
    assert_int_equal(DRI_BREAKER_OPEN, breaker_of(fx, SMTP));
    assert_int_equal(DRI_BREAKER_OPEN, breaker_of(fx, DB));
}

static void one_probe_for_all_routes_and_its_failure_is_no_attempt(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    struct dri_flight *first = come_of(fx, 10, 0, READ);
    come_of(fx, 11, 0, MAIL);
    expect_nothing(fx);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 10);
    expect_nothing(fx);
    come_of(fx, 12, 0, READ);
    expect_nothing(fx);
    done_failed(fx, first, DRAY_KIND_TIMEOUT);
    expect_nothing(fx);
    assert_int_equal(0, first->attempt);
    tick_ms(fx, OPEN_MS + 1);
    struct dri_flight *second = expect(fx, DRI_CA_START)->action.as.run.flight;
    assert_int_not_equal(10, second->offset); /* another one */
    expect_nothing(fx);
    done_ok(fx, second);
    expect(fx, DRI_CA_PUBLISH);
    assert_int_equal(DRI_BREAKER_CLOSED, breaker_of(fx, DB));
    expect(fx, DRI_CA_START);
    expect(fx, DRI_CA_START);
    expect_nothing(fx);
    assert_int_equal(0, stats_of(fx).open_groups);
}

static void a_probe_that_fails_for_something_else_decides_nothing(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    struct dri_flight *flight = come_of(fx, 10, 0, MAIL);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 10);
    come_of(fx, 11, 0, READ);
    expect_nothing(fx);
    flight->blamed = SMTP;
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_publish(fx, 10, DRI_OUTCOME_LETTER); /* as its policy says */
    expect_start(fx, 11);                       /* the next probe, at once */
    assert_int_equal(DRI_BREAKER_HALF_OPEN, breaker_of(fx, DB));
}

static void one_flight_may_be_the_probe_of_two(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < FAILURES; i++) {
        fail_one(fx, i, MAIL, 0);
    }
    assert_int_equal(2, stats_of(fx).open_groups);
    forget_said(fx);
    struct dri_flight *flight = come_of(fx, 10, 0, MAIL);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 10);
    flight->blamed = SMTP;
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_nothing(fx);
    assert_int_equal(DRI_BREAKER_OPEN, breaker_of(fx, SMTP));
    assert_int_equal(DRI_BREAKER_HALF_OPEN, breaker_of(fx, DB));
    come_of(fx, 11, 0, READ);
    expect_start(fx, 11);
}

static void a_probe_whose_assignment_is_lost_still_decides(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    struct dri_flight *flight = come_of(fx, 10, 0, READ);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 10);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    forget_said(fx);
    flight->was_run = true;
    flight->kind = DRAY_KIND_NONE;
    done_event(fx, flight);
    assert_int_equal(DRI_BREAKER_CLOSED, breaker_of(fx, DB));
}

static void a_probe_that_was_not_run_lets_another_one_go(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    struct dri_flight *flight = come_of(fx, 10, 0, READ);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 10);
    done_unrun(fx, flight);
    expect_start(fx, 10);
    assert_int_equal(DRI_BREAKER_HALF_OPEN, breaker_of(fx, DB));
}

static void a_probe_that_goes_to_another_route_lets_another_one_go(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    struct dri_flight *flight = come_of(fx, 10, 0, READ);
    come_of(fx, 11, 0, READ);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 10);
    dri_core_regroup(fx->core, flight, FREE);
    feed_all(fx, NULL, 0);
    expect_start(fx, 11);
    done_failed(fx, flight, DRAY_KIND_NETWORK); /* says nothing any more */
    assert_int_equal(DRI_BREAKER_HALF_OPEN, breaker_of(fx, DB));
}

static void the_order_of_a_key_holds(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    come_of(fx, 10, 7, READ);
    come_of(fx, 11, 7, FREE);
    come_of(fx, 12, 7, MAIL);
    expect_nothing(fx);
    for (uint64_t i = 10; i < 13; i++) {
        tick_ms(fx, OPEN_MS + 1);
        struct dri_flight *flight = expect_start(fx, i);
        expect_nothing(fx);
        done_ok(fx, flight);
        expect_publish(fx, i, DRI_OUTCOME_RESULT);
    }
}

static void a_drain_gives_up_what_waits_for_a_dependency(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    come_of(fx, 10, 7, READ);
    come_of(fx, 11, 0, MAIL);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    assert_int_equal(2, stats_of(fx).dropped_on_drain);
}

static void a_dependency_that_is_set_anew_is_closed(void **state)
{
    struct fixture *fx = *state;
    open_db(fx);
    come_of(fx, 10, 0, READ);
    come_of(fx, 11, 0, MAIL);
    set_group(fx, DB, (struct dri_group_limits){.failures = 1, .open_ms = OPEN_MS});
    expect_start(fx, 10);
    expect_start(fx, 11);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(failures_of_all_routes_count_and_all_of_them_wait),
        CASE(one_success_of_any_route_counts_from_nothing),
        CASE(a_failure_that_names_one_says_nothing_of_the_others),
        CASE(a_failure_that_names_none_of_its_own_counts_for_all),
        CASE(one_probe_for_all_routes_and_its_failure_is_no_attempt),
        CASE(a_probe_that_fails_for_something_else_decides_nothing),
        CASE(one_flight_may_be_the_probe_of_two),
        CASE(a_probe_whose_assignment_is_lost_still_decides),
        CASE(a_probe_that_was_not_run_lets_another_one_go),
        CASE(a_probe_that_goes_to_another_route_lets_another_one_go),
        CASE(the_order_of_a_key_holds),
        CASE(a_drain_gives_up_what_waits_for_a_dependency),
        CASE(a_dependency_that_is_set_anew_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
