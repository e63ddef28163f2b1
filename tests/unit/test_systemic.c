/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "groups.h"

/* When most of what ends, ends badly: slot 0 in epoch 1, groups 1 to 3 are routes without limits of
 * their own, half of at least four within a second count. */

#define WINDOW_MS 1000u
#define PROBE_MS  500u
#define MIN       4u

static int begin(void **state)
{
    fixture_setup(state);
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 3;
    config.lane_depth = 4;
    config.systemic_share = 50;
    config.systemic_min = MIN;
    config.systemic_window_ms = WINDOW_MS;
    config.systemic_probe_ms = PROBE_MS;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    return 0;
}

/* A keyless command that runs, and how it ends; time goes on. */
static struct dri_flight *run_one(struct fixture *fx, uint64_t offset, uint32_t group,
                                  enum dray_error_kind kind)
{
    forget_said(fx);
    struct dri_flight *flight = come_of(fx, offset, 0, group);
    expect_start(fx, offset);
    tick_ms(fx, 1);
    forget_said(fx);
    if (kind == DRAY_KIND_NONE) {
        done_ok(fx, flight);
    } else {
        done_failed(fx, flight, kind);
    }
    return flight;
}

/* Four commands of group 1 that fail, and the first has waited and failed once more. */
static struct dri_flight *let_it_begin(struct fixture *fx)
{
    struct dri_flight *last = NULL;
    for (uint64_t i = 0; i < MIN; i++) {
        last = run_one(fx, i, 1, DRAY_KIND_NETWORK);
    }
    assert_true(dri_core_is_systemic(fx->core));
    expect_start(fx, MIN - 1); /* once more in that moment */
    tick_ms(fx, 1);
    done_failed(fx, last, DRAY_KIND_NETWORK);
    expect_nothing(fx);
    return last;
}

static void when_most_commands_fail_no_more_of_them_become_letters(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < MIN - 1; i++) {
        run_one(fx, i, 1, DRAY_KIND_UNAVAILABLE);
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
        assert_false(dri_core_is_systemic(fx->core));
    }
    struct dri_flight *flight = run_one(fx, 3, 1, DRAY_KIND_UNAVAILABLE);
    expect_start(fx, 3);
    tick_ms(fx, 1);
    done_failed(fx, flight, DRAY_KIND_UNAVAILABLE);
    expect_nothing(fx);
    assert_int_equal(0, flight->attempt); /* no attempt was burnt */
    come_of(fx, 4, 7, 1);                 /* what comes of its route waits, too */
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).open_groups);
    assert_true(stats_of(fx).is_systemic);
    assert_int_equal(1, stats_of(fx).systemic_pauses);
    assert_int_equal(2, stats_of(fx).systemic_spared);
}

static void a_share_below_the_bound_is_a_matter_of_the_commands(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 40; i++) {
        run_one(fx, i, 1, i % 5 < 3 ? DRAY_KIND_NONE : DRAY_KIND_INTERNAL);
    }
    assert_false(dri_core_is_systemic(fx->core));
    assert_int_equal(0, stats_of(fx).systemic_spared);
}

static void failures_that_say_nothing_of_what_is_behind_do_not_count(void **state)
{
    struct fixture *fx = *state;
    static const enum dray_error_kind kinds[] = {DRAY_KIND_REJECTED, DRAY_KIND_NOT_FOUND,
                                                 DRAY_KIND_UNKNOWN_COMMAND, DRAY_KIND_CONFLICT,
                                                 DRAY_KIND_LIMIT};
    for (uint64_t i = 0; i < 20; i++) {
        run_one(fx, i, 1, kinds[i % DRI_ARRAY_LEN(kinds)]);
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
    }
    assert_false(dri_core_is_systemic(fx->core));
}

static void a_run_that_is_to_be_repeated_is_no_end(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 10; i++) {
        struct dri_flight *flight = come_of(fx, i, 0, 1);
        expect_start(fx, i);
        done_retry(fx, flight, 100000);
        forget_said(fx);
    }
    assert_false(dri_core_is_systemic(fx->core));
}

static void failures_of_long_ago_do_not_count(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 30; i++) {
        run_one(fx, i, 1, DRAY_KIND_NETWORK);
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
        tick_ms(fx, WINDOW_MS / 3 + 20); /* never four in one window */
    }
    assert_false(dri_core_is_systemic(fx->core));
}

static void a_route_that_works_goes_on(void **state)
{
    struct fixture *fx = *state;
    let_it_begin(fx);
    for (uint64_t i = 10; i < 30; i++) {
        run_one(fx, i, 2, DRAY_KIND_NONE);
        expect_publish(fx, i, DRI_OUTCOME_RESULT);
    }
    assert_true(dri_core_is_systemic(fx->core)); /* that says nothing of the other one */
    run_one(fx, 30, 2, DRAY_KIND_REJECTED);
    expect_publish(fx, 30, DRI_OUTCOME_LETTER);
    run_one(fx, 31, 0, DRAY_KIND_UNKNOWN_COMMAND);
    expect_publish(fx, 31, DRI_OUTCOME_LETTER);
}

static void each_route_that_fails_is_stopped_by_its_first_failure(void **state)
{
    struct fixture *fx = *state;
    let_it_begin(fx);
    struct dri_flight *flight = come_of(fx, 10, 0, 2);
    expect_start(fx, 10);
    done_retry(fx, flight, 50); /* its verdict does not matter */
    expect_nothing(fx);
    tick_ms(fx, 60);
    expect_nothing(fx);
    assert_int_equal(0, flight->attempt);
    assert_int_equal(2, stats_of(fx).open_groups);
}

static void a_probe_that_succeeds_ends_it_and_the_rest_follows(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = let_it_begin(fx);
    come_of(fx, 10, 0, 1);
    come_of(fx, 11, 0, 1);
    expect_nothing(fx);
    tick_ms(fx, PROBE_MS + 1);
    expect_start(fx, 3); /* alone */
    expect_nothing(fx);
    done_failed(fx, first, DRAY_KIND_TIMEOUT);
    expect_nothing(fx);
    tick_ms(fx, PROBE_MS + 1);
    struct dri_flight *second = expect_start(fx, 10); /* another one */
    expect_nothing(fx);
    done_ok(fx, second);
    expect_publish(fx, 10, DRI_OUTCOME_RESULT);
    expect_start(fx, 11);
    expect_start(fx, 3);
    assert_int_equal(1, first->attempt);
    assert_false(dri_core_is_systemic(fx->core));
    assert_int_equal(0, stats_of(fx).open_groups);
    done_failed(fx, first, DRAY_KIND_TIMEOUT); /* the window began anew */
    expect_publish(fx, 3, DRI_OUTCOME_LETTER);
}

static void other_routes_wait_for_their_own_probe(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = let_it_begin(fx);
    struct dri_flight *other = run_one(fx, 10, 2, DRAY_KIND_NETWORK);
    expect_nothing(fx);
    tick_ms(fx, PROBE_MS + 1);
    expect_start(fx, 3);
    expect_start(fx, 10);
    done_ok(fx, first);
    expect_publish(fx, 3, DRI_OUTCOME_RESULT);
    assert_false(dri_core_is_systemic(fx->core));
    done_failed(fx, other, DRAY_KIND_NETWORK); /* its breaker is as any other */
    expect_nothing(fx);
    tick_ms(fx, PROBE_MS + 1);
    expect_start(fx, 10);
    assert_int_equal(1, other->attempt);
}

static void the_order_of_a_key_holds(void **state)
{
    struct fixture *fx = *state;
    let_it_begin(fx);
    tick_ms(fx, PROBE_MS + 1);
    struct dri_flight *probe = expect_start(fx, 3);
    for (uint64_t i = 20; i < 23; i++) {
        come_of(fx, i, 7, 1);
    }
    done_failed(fx, probe, DRAY_KIND_NETWORK);
    tick_ms(fx, PROBE_MS + 1);
    struct dri_flight *head = expect_start(fx, 20);
    done_failed(fx, head, DRAY_KIND_NETWORK);
    expect_nothing(fx);
    tick_ms(fx, PROBE_MS + 1);
    expect_start(fx, 3);
    done_ok(fx, probe);
    expect_publish(fx, 3, DRI_OUTCOME_RESULT);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(3, said->chain);
    assert_int_equal(20, said->offsets[0]); /* before its followers */
    assert_int_equal(22, said->offsets[2]);
    expect_nothing(fx);
}

static void one_command_cannot_spoil_probes_for_ever(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *bad = let_it_begin(fx);
    for (uint32_t i = 0; i < DRI_PROBES_MAX; i++) {
        tick_ms(fx, PROBE_MS + 1);
        expect_start(fx, 3);
        done_failed(fx, bad, DRAY_KIND_NETWORK);
        expect_nothing(fx);
    }
    tick_ms(fx, PROBE_MS + 1);
    expect_start(fx, 3);
    done_failed(fx, bad, DRAY_KIND_NETWORK);
    expect_publish(fx, 3, DRI_OUTCOME_LETTER);
}

static void a_deaf_handler_counts_and_its_command_is_final_all_the_same(void **state)
{
    struct fixture *fx = *state;
    let_it_begin(fx);
    struct dri_flight *deaf = come_of(fx, 10, 0, 2);
    expect_start(fx, 10);
    deaf->is_stuck = true;
    done_failed(fx, deaf, DRAY_KIND_TIMEOUT);
    expect_publish(fx, 10, DRI_OUTCOME_LETTER);
}

static void a_change_of_the_route_lets_it_try_again_and_it_ends_a_window_later(void **state)
{
    struct fixture *fx = *state;
    struct dri_group_limits none = {.concurrency = 0};
    struct dri_flight *flight = let_it_begin(fx);
    dri_core_group_set(fx->core, 1, &none);
    feed_all(fx, NULL, 0);
    expect_start(fx, 3);
    done_failed(fx, flight, DRAY_KIND_NETWORK); /* still: it waits */
    expect_nothing(fx);
    dri_core_group_set(fx->core, 1, &none);
    feed_all(fx, NULL, 0);
    expect_start(fx, 3);
    assert_true(dri_core_is_systemic(fx->core));
    tick_ms(fx, WINDOW_MS + 1);
    assert_false(dri_core_is_systemic(fx->core));
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_publish(fx, 3, DRI_OUTCOME_LETTER);
}

static void a_drain_gives_up_what_waits(void **state)
{
    struct fixture *fx = *state;
    let_it_begin(fx);
    come_of(fx, 10, 7, 1);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    assert_int_equal(2, stats_of(fx).dropped_on_drain);
    expect_release(fx, 10);
    expect_release(fx, 3);
}

static void what_needs_no_group_is_stopped_as_one(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < MIN; i++) {
        run_one(fx, i, 0, DRAY_KIND_NETWORK);
    }
    struct dri_flight *last = expect_start(fx, MIN - 1);
    tick_ms(fx, 1);
    done_failed(fx, last, DRAY_KIND_NETWORK);
    come(fx, 10, 7);
    expect_nothing(fx);
    tick_ms(fx, PROBE_MS + 1);
    done_ok(fx, expect(fx, DRI_CA_START)->action.as.run.flight);
    expect(fx, DRI_CA_PUBLISH);
    expect(fx, DRI_CA_START);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
}

static void nobody_looks_when_it_is_off(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fx->config;
    config.systemic_share = 0;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 20; i++) {
        run_one(fx, i, 1, DRAY_KIND_NETWORK);
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
    }
    assert_false(dri_core_is_systemic(fx->core));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(when_most_commands_fail_no_more_of_them_become_letters),
        CASE(a_share_below_the_bound_is_a_matter_of_the_commands),
        CASE(failures_that_say_nothing_of_what_is_behind_do_not_count),
        CASE(a_run_that_is_to_be_repeated_is_no_end),
        CASE(failures_of_long_ago_do_not_count),
        CASE(a_route_that_works_goes_on),
        CASE(each_route_that_fails_is_stopped_by_its_first_failure),
        CASE(a_probe_that_succeeds_ends_it_and_the_rest_follows),
        CASE(other_routes_wait_for_their_own_probe),
        CASE(the_order_of_a_key_holds),
        CASE(one_command_cannot_spoil_probes_for_ever),
        CASE(a_deaf_handler_counts_and_its_command_is_final_all_the_same),
        CASE(a_change_of_the_route_lets_it_try_again_and_it_ends_a_window_later),
        CASE(a_drain_gives_up_what_waits),
        CASE(what_needs_no_group_is_stopped_as_one),
        CASE(nobody_looks_when_it_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
