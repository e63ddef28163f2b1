/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "groups.h"

/* Answers without a run: slot 0 in epoch 1; group 1 has a breaker and a fallback, group 2 has
 * neither, group 3 has a breaker and depends on nothing. */

#define OPEN_MS 500u

static const struct dri_group_limits with_fallback = {
    .failures = 1, .open_ms = OPEN_MS, .has_fallback = true};

static void set_group(struct fixture *fx, uint32_t number, struct dri_group_limits limits)
{
    dri_core_group_set(fx->core, number, &limits);
    feed_all(fx, NULL, 0);
}

/* The breaker of group 1 is open. */
static int begin(void **state)
{
    fixture_setup(state);
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 4;
    config.lane_depth = 8;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    set_group(fx, 1, with_fallback);
    struct dri_flight *flight = come_of(fx, 0, 0, 1);
    expect_start(fx, 0);
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    stored(fx, flight);
    forget_said(fx);
    return 0;
}

static void expect_answer(struct fixture *fx, uint64_t offset)
{
    const struct dri_flight *flight = expect_publish(fx, offset, DRI_OUTCOME_RESULT);
    assert_true(flight->is_fallback);
    assert_int_equal(DRAY_KIND_NONE, flight->kind);
}

static void while_the_breaker_is_open_commands_are_answered_at_once(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_of(fx, 1, 0, 1);
    expect_answer(fx, 1);
    come_of(fx, 2, 7, 1);
    expect_answer(fx, 2);
    expect_nothing(fx);
    stored(fx, flight);
    expect_release(fx, 1);
    assert_int_equal(2, stats_of(fx).fallbacks);
}

static void when_nothing_is_open_commands_run(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, with_fallback); /* closes it */
    struct dri_flight *flight = come_of(fx, 1, 0, 1);
    expect_start(fx, 1);
    done_ok(fx, flight);
    assert_false(expect_publish(fx, 1, DRI_OUTCOME_RESULT)->is_fallback);
}

static void who_wants_no_answer_waits_and_holds_its_followers(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *quiet = fill(fx, 0, 1, 1, 7);
    quiet->group = 1;
    quiet->wants_result = false;
    record(fx, quiet);
    struct dri_flight *follower = come_of(fx, 2, 7, 1);
    come_of(fx, 3, 8, 1);
    expect_answer(fx, 3);
    expect_nothing(fx);
    tick_ms(fx, OPEN_MS + 1);
    expect_start(fx, 1); /* the probe */
    expect_nothing(fx);
    come_of(fx, 4, 9, 1);
    expect_answer(fx, 4); /* also while the probe is out */
    done_ok(fx, quiet);
    assert_int_equal(DRI_FLIGHT_RUNNING, follower->state);
    forget_said(fx);
    come_of(fx, 5, 9, 1);
    expect_start(fx, 5);
}

static void the_order_of_a_key_holds(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 2, (struct dri_group_limits){.concurrency = 1});
    struct dri_flight *other = come_of(fx, 1, 7, 2);
    expect_start(fx, 1);
    come_of(fx, 2, 7, 1);
    come_of(fx, 3, 7, 1);
    come_of(fx, 4, 7, 2);
    come_of(fx, 5, 7, 1);
    expect_nothing(fx); /* the one before them runs */
    done_ok(fx, other);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    expect_answer(fx, 2);
    expect_answer(fx, 3);
    struct dri_flight *last = expect_start(fx, 4);
    expect_nothing(fx);
    done_ok(fx, last);
    expect_publish(fx, 4, DRI_OUTCOME_RESULT);
    expect_answer(fx, 5);
}

static void what_was_in_line_when_it_opened_is_answered(void **state)
{
    struct fixture *fx = *state;
    struct dri_group_limits limits = with_fallback;
    limits.concurrency = 1;
    set_group(fx, 1, limits);
    struct dri_flight *first = come_of(fx, 1, 0, 1);
    expect_start(fx, 1);
    for (uint64_t i = 2; i < 5; i++) {
        come_of(fx, i, 7, 1);
    }
    come_of(fx, 5, 0, 1);
    expect_nothing(fx); /* busy is not broken */
    done_failed(fx, first, DRAY_KIND_TIMEOUT);
    expect_publish(fx, 1, DRI_OUTCOME_LETTER);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(expect(fx, DRI_CA_PUBLISH)->action.as.run.flight->is_fallback);
    }
    expect_nothing(fx);
}

static void a_probe_that_fails_is_answered(void **state)
{
    struct fixture *fx = *state;
    tick_ms(fx, OPEN_MS + 1);
    struct dri_flight *probe = come_of(fx, 1, 0, 1);
    expect_start(fx, 1);
    done_failed(fx, probe, DRAY_KIND_TIMEOUT);
    expect_answer(fx, 1);
    expect_nothing(fx);
}

static void what_is_not_due_waits_and_what_is_late_has_expired(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *early = fill(fx, 0, 1, 1, 7);
    early->group = 1;
    early->not_before_ms = fx->now.wall_ms + 100;
    record(fx, early);
    expect_nothing(fx);
    come_of(fx, 2, 7, 1);
    expect_answer(fx, 2); /* the early one holds no key */
    struct dri_flight *late = fill(fx, 0, 1, 3, 8);
    late->group = 1;
    late->deadline_ms = fx->now.wall_ms - 1;
    record(fx, late);
    expect_publish(fx, 3, DRI_OUTCOME_LETTER);
    assert_int_equal(DRAY_KIND_EXPIRED, late->kind);
    tick_ms(fx, 101);
    expect_answer(fx, 1);
}

static void a_dependency_that_is_down_counts(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 4, (struct dri_group_limits){.failures = 1, .open_ms = OPEN_MS});
    set_group(fx, 1, (struct dri_group_limits){.depends = {4}, .has_fallback = true});
    set_group(fx, 2, (struct dri_group_limits){.depends = {4}});
    struct dri_flight *flight = come_of(fx, 1, 0, 2);
    expect_start(fx, 1);
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_publish(fx, 1, DRI_OUTCOME_LETTER);
    come_of(fx, 2, 0, 2);
    expect_nothing(fx);
    come_of(fx, 3, 0, 1);
    expect_answer(fx, 3);
}

static void a_paused_route_answers_nothing(void **state)
{
    struct fixture *fx = *state;
    struct dri_group_limits limits = with_fallback;
    limits.is_paused = true;
    set_group(fx, 1, limits);
    come_of(fx, 1, 0, 1);
    expect_nothing(fx);
}

static void a_drain_gives_up_only_who_wants_no_answer(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *quiet = fill(fx, 0, 1, 1, 0);
    quiet->group = 1;
    quiet->wants_result = false;
    record(fx, quiet);
    expect_nothing(fx);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    assert_int_equal(1, stats_of(fx).dropped_on_drain);
}

static void a_group_that_is_set_anew_without_one_answers_nothing(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.failures = 1, .open_ms = OPEN_MS});
    struct dri_flight *flight = come_of(fx, 1, 0, 1);
    expect_start(fx, 1);
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_publish(fx, 1, DRI_OUTCOME_LETTER);
    come_of(fx, 2, 0, 1);
    expect_nothing(fx);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(while_the_breaker_is_open_commands_are_answered_at_once),
        CASE(when_nothing_is_open_commands_run),
        CASE(who_wants_no_answer_waits_and_holds_its_followers),
        CASE(the_order_of_a_key_holds),
        CASE(what_was_in_line_when_it_opened_is_answered),
        CASE(a_probe_that_fails_is_answered),
        CASE(what_is_not_due_waits_and_what_is_late_has_expired),
        CASE(a_dependency_that_is_down_counts),
        CASE(a_paused_route_answers_nothing),
        CASE(a_drain_gives_up_only_who_wants_no_answer),
        CASE(a_group_that_is_set_anew_without_one_answers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
