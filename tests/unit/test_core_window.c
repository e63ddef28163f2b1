/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_core_window.c - commands of routes with a window: what is published in which order, and what
 * becomes of those that are answered or held. The table of ids is the shell's: test_window. */
#include "assert.h"
#include "core_expect.h"

/* Of a route with a window. */
static struct dri_flight *come_with(struct fixture *fx, uint64_t offset, uint64_t key)
{
    struct dri_flight *flight = fill(fx, 0, 1, offset, key);
    flight->window_ms = 1000;
    return record(fx, flight);
}

/* The shell lets it run. */
static struct dri_flight *run(struct fixture *fx, uint64_t offset)
{
    struct dri_flight *flight = expect_start(fx, offset);
    flight->has_window = true;
    return flight;
}

static void done_held(struct fixture *fx, struct dri_flight *flight)
{
    flight->is_held = true;
    done_unrun(fx, flight);
}

static void wake(struct fixture *fx, struct dri_flight *flight)
{
    feed(fx,
         (struct dri_core_event){.type = DRI_CE_WAKE, .slot = 0, .epoch = 1, .as.flight = flight});
}

static int setup_assigned(void **state)
{
    fixture_setup(state);
    struct dri_core_config config = fixture_config();
    config.lane_depth = 4;
    config.chain_max = 4;
    fixture_reopen(*state, config);
    assign(*state, 0, 1);
    return 0;
}

static void the_record_stands_before_the_result(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 5);
    struct dri_flight *flight = run(fx, 0);
    done_ok(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    answer(fx, flight, DRI_CORE_UNKNOWN, DRAY_EBROKER);
    expect_nothing(fx);
    tick_ms(fx, 1000);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    assert_int_equal(stats_of(fx).windows_stored, 1);
    assert_int_equal(stats_of(fx).results_stored, 0);
    stored(fx, flight);
    expect_release(fx, 0);
    assert_int_equal(stats_of(fx).settled, 1);
}

static void it_is_stored_also_when_nobody_waits(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 5);
    flight->window_ms = 1000;
    flight->wants_result = false;
    record(fx, flight);
    done_ok(fx, run(fx, 0));
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    stored(fx, flight);
    expect_release(fx, 0);
}

static void a_word_of_the_handler_stands_behind_its_letter(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 5);
    struct dri_flight *flight = run(fx, 0);
    done_failed(fx, flight, DRAY_KIND_REJECTED);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, flight);
    expect_release(fx, 0);
}

static void what_says_nothing_of_the_next_try_is_not_stored(void **state)
{
    static const enum dray_error_kind kinds[] = {DRAY_KIND_TIMEOUT, DRAY_KIND_INTERNAL,
                                                 DRAY_KIND_UNAVAILABLE, DRAY_KIND_UNKNOWN_COMMAND};
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < DRI_ARRAY_LEN(kinds); i++) {
        come_with(fx, i, 5);
        struct dri_flight *flight = run(fx, i);
        done_failed(fx, flight, kinds[i]);
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
        stored(fx, flight);
        expect_publish(fx, i, DRI_OUTCOME_ERROR_RESULT);
        stored(fx, flight);
        forget_said(fx);
    }
    come(fx, 9, 5); /* of a route without a window */
    done_ok(fx, expect_start(fx, 9));
    expect_publish(fx, 9, DRI_OUTCOME_RESULT);
    assert_int_equal(stats_of(fx).windows_stored, 0);
}

static void a_record_that_does_not_fit_says_so_and_is_tried_for_ever(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 5);
    struct dri_flight *flight = run(fx, 0);
    done_ok(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    assert_true(flight->is_result_limited);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_EAUTH);
    expect_nothing(fx);
    tick_ms(fx, 60000);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
}

static void one_with_a_window_is_a_chain_of_its_own(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_event events[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct dri_flight *flight = fill(fx, 0, 1, i, 5);
        flight->window_ms = i == 1 ? 1000 : 0;
        events[i] = (struct dri_core_event){.type = DRI_CE_RECORD, .epoch = 1, .as.flight = flight};
    }
    feed_all(fx, events, 3);
    for (uint64_t i = 0; i < 3; i++) {
        done_ok(fx, expect_start(fx, i));
        expect_publish(fx, i, DRI_OUTCOME_RESULT);
    }
}

static void an_answered_one_ends_without_a_run(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 5);
    come_with(fx, 1, 5);
    struct dri_flight *flight = expect_start(fx, 0);
    flight->is_answered = true;
    done_unrun(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_start(fx, 1);
    assert_int_equal(flight->attempt, 0);
    assert_int_equal(stats_of(fx).answered, 1);
    stored(fx, flight);
    expect_release(fx, 0);
}

static void a_held_one_waits_with_its_key_until_it_is_woken(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 5);
    come(fx, 1, 5);
    come(fx, 2, 6);
    struct dri_flight *flight = expect_start(fx, 0);
    struct dri_flight *other = expect_start(fx, 2);
    done_held(fx, flight);
    expect_nothing(fx);
    assert_int_equal(stats_of(fx).waiting, 1);
    wake(fx, other); /* runs: nothing to wake */
    expect_nothing(fx);
    wake(fx, flight);
    assert_ptr_equal(expect_start(fx, 0), flight);
    assert_int_equal(flight->attempt, 1);
    done_held(fx, flight);
    tick_ms(fx, 60000); /* nobody woke it: looked at again */
    assert_ptr_equal(run(fx, 0), flight);
    done_ok(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_WINDOW);
    expect_start(fx, 1);
}

static void a_held_one_without_a_key_holds_nobody(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 0);
    struct dri_flight *flight = expect_start(fx, 0);
    done_held(fx, flight);
    come_with(fx, 1, 0);
    expect_start(fx, 1);
    wake(fx, flight);
    expect_start(fx, 0);
}

static void a_held_one_is_given_up_with_its_assignment_and_in_a_drain(void **state)
{
    struct fixture *fx = *state;
    come_with(fx, 0, 5);
    come_with(fx, 1, 6);
    struct dri_flight *first = expect_start(fx, 0);
    struct dri_flight *second = expect_start(fx, 1);
    done_held(fx, first);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_release(fx, 0);
    expect_flight(fx, DRI_CA_CANCEL, 1);
    wake(fx, first); /* too late */
    done_held(fx, second);
    expect_release(fx, 1);
    expect_unassign(fx, 0, 1);
    assign(fx, 0, 2);
    struct dri_flight *third = record(fx, fill(fx, 0, 2, 0, 5));
    expect_start(fx, 0);
    record(fx, fill(fx, 0, 2, 1, 5));
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    third->window_ms = 1;
    done_held(fx, third);
    expect_release(fx, 0);
    expect_release(fx, 1);
    expect_drained(fx, true);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_assigned, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_record_stands_before_the_result),
        CASE(it_is_stored_also_when_nobody_waits),
        CASE(a_word_of_the_handler_stands_behind_its_letter),
        CASE(what_says_nothing_of_the_next_try_is_not_stored),
        CASE(a_record_that_does_not_fit_says_so_and_is_tried_for_ever),
        CASE(one_with_a_window_is_a_chain_of_its_own),
        CASE(an_answered_one_ends_without_a_run),
        CASE(a_held_one_waits_with_its_key_until_it_is_woken),
        CASE(a_held_one_without_a_key_holds_nobody),
        CASE(a_held_one_is_given_up_with_its_assignment_and_in_a_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
