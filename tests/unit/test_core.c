/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"

/* What runs when, and what is published: one source, slot 0 in epoch 1, settled by watermark. */

static int begin(void **state)
{
    fixture_setup(state);
    assign(*state, 0, 1);
    return 0;
}

/* --- the sunny path --- */

static void a_command_runs_is_published_and_only_then_settled(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    assert_ptr_equal(flight, expect_start(fx, 0));
    assert_int_equal(1, flight->attempt);
    expect_nothing(fx);
    done_ok(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_nothing(fx);
    stored(fx, flight);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
    struct dri_core_stats stats = stats_of(fx);
    assert_int_equal(1, stats.admitted);
    assert_int_equal(1, stats.results_stored);
    assert_int_equal(1, stats.settled);
    assert_int_equal(0, stats.in_flight + stats.unacked);
    assert_int_equal(0, stats.bytes);
}

static void a_success_that_nobody_waits_for_settles_at_once(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 0);
    flight->wants_result = false;
    record(fx, flight);
    expect_start(fx, 0);
    done_ok(fx, flight);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
}

static void a_batch_of_events_is_one_call(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_event events[3] = {{.type = DRI_CE_RECORD}};
    for (uint64_t i = 0; i < 3; i++) {
        events[i] = (struct dri_core_event){.type = DRI_CE_RECORD};
        events[i].as.flight = fill(fx, 0, 1, i, 9);
    }
    feed_all(fx, events, 3);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(3, said->chain);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(i, said->offsets[i]);
    }
    expect_nothing(fx);
}

/* --- order by key --- */

static void a_follower_waits_until_its_key_is_back(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    struct dri_flight *second = come(fx, 1, 7);
    expect_start(fx, 0);
    expect_nothing(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    assert_ptr_equal(second, expect_start(fx, 1));
}

static void a_follower_does_not_wait_for_the_outcome_to_be_stored(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    come(fx, 1, 7);
    done_failed(fx, first, DRAY_KIND_REJECTED);
    expect_start(fx, 0);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    expect_start(fx, 1);
}

static void another_key_does_not_wait(void **state)
{
    struct fixture *fx = *state;
    come(fx, 0, 7);
    come(fx, 1, 8);
    expect_start(fx, 0);
    expect_start(fx, 1);
}

static void followers_that_queued_run_as_one_chain_of_bounded_length(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[6];
    for (uint64_t i = 0; i < 6; i++) {
        flights[i] = come(fx, i, 7);
    }
    expect_start(fx, 0);
    done_ok(fx, flights[0]);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(4, said->chain);
    assert_int_equal(4, said->offsets[3]);
    for (size_t i = 1; i <= 3; i++) {
        done_ok(fx, flights[i]);
        expect_publish(fx, i, DRI_OUTCOME_RESULT);
        expect_nothing(fx);
    }
    done_ok(fx, flights[4]);
    expect_publish(fx, 4, DRI_OUTCOME_RESULT);
    expect_start(fx, 5);
}

static void what_a_lane_did_not_run_runs_again_in_order_and_is_not_counted(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[5];
    for (uint64_t i = 0; i < 5; i++) {
        flights[i] = come(fx, i, 7);
    }
    done_ok(fx, flights[0]);
    forget_said(fx);
    done_failed(fx, flights[1], DRAY_KIND_REJECTED);
    expect_publish(fx, 1, DRI_OUTCOME_LETTER);
    done_unrun(fx, flights[2]);
    done_unrun(fx, flights[3]);
    expect_nothing(fx);
    done_unrun(fx, flights[4]);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(3, said->chain);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(2 + i, said->offsets[i]);
        assert_int_equal(1, flights[2 + i]->attempt);
    }
}

static void a_key_stays_on_its_lane(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 8; i++) {
        struct dri_flight *flight = come(fx, i, 5);
        const struct said *said = expect(fx, DRI_CA_START);
        assert_int_equal(5 % 2, said->action.as.run.lane);
        done_ok(fx, flight);
        forget_said(fx);
    }
}

static void a_hint_chooses_the_lane(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 5);
    flight->lane_hint = 0;
    record(fx, flight);
    assert_int_equal(0, expect(fx, DRI_CA_START)->action.as.run.lane);
}

static void a_lane_is_handed_no_more_chains_than_its_depth(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 2);
    come(fx, 1, 4);
    come(fx, 2, 6); /* the third even key: lane 0 has two */
    expect_start(fx, 0);
    expect_start(fx, 1);
    expect_nothing(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_start(fx, 2);
}

static void behind_slow_runs_a_lane_is_handed_little(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.lanes = 1;
    config.lane_depth = 8;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 4; i++) { /* a run of 50 ms, four times: the mean is far above 1 ms */
        struct dri_flight *slow = come(fx, i, 2 * (i + 1));
        slow->started_ns = 0;
        slow->ended_ns = 50000000;
        done_ok(fx, slow);
    }
    forget_said(fx);
    for (uint64_t i = 4; i < 10; i++) {
        come(fx, i, 2 * (i + 1));
    }
    expect_start(fx, 4);
    expect_start(fx, 5);
    expect_nothing(fx); /* one runs, one is ready; the rest another lane could take */
}

static void ready_keys_of_a_lane_run_in_the_order_in_which_they_became_ready(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 2);
    come(fx, 1, 4);
    come(fx, 2, 6);
    come(fx, 3, 2); /* not ready: its key runs */
    come(fx, 4, 8);
    forget_said(fx);
    done_ok(fx, first); /* now the key 2 is ready again, behind 6 and 8 */
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_start(fx, 2);
    expect_nothing(fx);
}

static void keyless_commands_spread_over_the_lanes(void **state)
{
    struct fixture *fx = *state;
    uint32_t on_lane[2] = {0, 0};
    for (uint64_t i = 0; i < 5; i++) {
        come(fx, i, 0);
    }
    for (int i = 0; i < 4; i++) {
        on_lane[expect(fx, DRI_CA_START)->action.as.run.lane]++;
    }
    assert_int_equal(2, on_lane[0]);
    assert_int_equal(2, on_lane[1]);
    expect_nothing(fx);
}

static void a_keyless_command_goes_to_the_lane_that_has_room(void **state)
{
    struct fixture *fx = *state;
    come(fx, 0, 2);
    come(fx, 1, 4); /* lane 0 is full */
    come(fx, 2, 0);
    come(fx, 3, 0);
    forget_said(fx);
    struct dri_core_stats stats = stats_of(fx);
    assert_int_equal(4, stats.running);
}

static void keyed_and_keyless_commands_take_turns_where_they_compete(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.lanes = 1;
    config.lane_depth = 1;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    struct dri_flight *running = come(fx, 0, 1);
    for (uint64_t i = 0; i < 4; i++) {
        come(fx, 10 + i, 100 + i);
    }
    for (uint64_t i = 0; i < 4; i++) {
        come(fx, 20 + i, 0);
    }
    forget_said(fx);
    bool was_keyed = false;
    for (int i = 0; i < 8; i++) {
        done_ok(fx, running);
        expect(fx, DRI_CA_PUBLISH);
        running = expect(fx, DRI_CA_START)->action.as.run.flight;
        assert_true(i == 0 || was_keyed != running->has_key);
        was_keyed = running->has_key;
    }
}

/* --- failure and retry --- */

static void a_failure_gets_a_letter_then_an_error_result_then_settles(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    forget_said(fx);
    done_failed(fx, flight, DRAY_KIND_REJECTED);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    expect_nothing(fx);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    expect_nothing(fx);
    stored(fx, flight);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
    assert_int_equal(1, stats_of(fx).letters_stored);
    assert_int_equal(1, stats_of(fx).results_stored);
}

static void without_an_id_or_a_wish_there_is_only_the_letter(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 2; i++) {
        struct dri_flight *flight = fill(fx, 0, 1, i, 0);
        flight->has_id = i == 0;
        flight->wants_result = i == 1;
        record(fx, flight);
        done_failed(fx, flight, DRAY_KIND_REJECTED);
        forget_said(fx);
        stored(fx, flight);
        expect_release(fx, i);
        forget_said(fx);
    }
}

static void what_cannot_run_gets_its_letter_without_a_run(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 0);
    flight->invalid = DRAY_KIND_INVALID;
    flight->has_id = false;
    record(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    expect_nothing(fx);
    assert_int_equal(DRAY_KIND_INVALID, flight->kind);
    assert_int_equal(fx->now.wall_ms, flight->first_failed_ms);
    assert_int_equal(fx->now.wall_ms, flight->last_failed_ms);
    assert_int_equal(0, flight->attempt);
}

static void a_retry_publishes_nothing_and_runs_when_it_is_due(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    forget_said(fx);
    done_retry(fx, flight, 1000);
    expect_nothing(fx);
    assert_int_equal(fx->now.mono_ns + UINT64_C(1000000000), dri_core_next_deadline(fx->core));
    tick_ms(fx, 999);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_start(fx, 0);
    assert_int_equal(2, flight->attempt);
    assert_int_equal(1, stats_of(fx).retries);
}

static void nobody_overtakes_a_retry_of_its_key(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    done_retry(fx, first, 1000);
    forget_said(fx);
    come(fx, 1, 7);
    tick_ms(fx, 500);
    come(fx, 2, 7);
    expect_nothing(fx);
    tick_ms(fx, 500);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(3, said->chain);
    assert_int_equal(0, said->offsets[0]);
    assert_int_equal(1, said->offsets[1]);
    assert_int_equal(2, said->offsets[2]);
}

static void the_rest_of_a_chain_stays_behind_its_retry(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[4];
    for (uint64_t i = 0; i < 4; i++) {
        flights[i] = come(fx, i, 7);
    }
    done_ok(fx, flights[0]);
    come(fx, 4, 7);
    forget_said(fx);
    done_retry(fx, flights[1], 100);
    done_unrun(fx, flights[2]);
    done_unrun(fx, flights[3]);
    expect_nothing(fx);
    tick_ms(fx, 100);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(4, said->chain);
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(1 + i, said->offsets[i]);
    }
    assert_int_equal(2, flights[1]->attempt);
    assert_int_equal(1, flights[2]->attempt);
}

static void a_retry_does_not_hold_up_another_key_nor_the_watermark_the_others(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    done_retry(fx, first, 60000);
    for (uint64_t i = 1; i < 500; i++) {
        forget_said(fx);
        succeed(fx, come(fx, i, 8));
    }
    assert_int_equal(499, stats_of(fx).settle_gap);
    assert_int_equal(499, stats_of(fx).settled);
}

static void a_keyless_retry_waits_alone(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 0);
    done_retry(fx, first, 1000);
    forget_said(fx);
    come(fx, 1, 0);
    expect_start(fx, 1);
    tick_ms(fx, 1000);
    expect_start(fx, 0);
}

/* --- deadlines and schedules --- */

static void what_expired_is_not_started(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 7);
    flight->deadline_ms = fx->now.wall_ms - 1;
    record(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    expect_nothing(fx);
    assert_int_equal(DRAY_KIND_EXPIRED, flight->kind);
    assert_int_equal(0, flight->attempt);
    assert_int_equal(1, stats_of(fx).expired);
}

static void the_deadline_itself_is_still_in_time(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 0);
    flight->deadline_ms = fx->now.wall_ms;
    record(fx, flight);
    expect_start(fx, 0);
}

static void what_expires_in_the_queue_does_not_stop_those_behind_it(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    struct dri_flight *second = fill(fx, 0, 1, 1, 7);
    second->deadline_ms = fx->now.wall_ms + 10;
    record(fx, second);
    come(fx, 2, 7);
    tick_ms(fx, 20);
    forget_said(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_publish(fx, 1, DRI_OUTCOME_LETTER);
    expect_start(fx, 2);
}

static void a_retry_that_comes_due_after_its_deadline_expires(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 7);
    flight->deadline_ms = fx->now.wall_ms + 500;
    record(fx, flight);
    flight->first_failed_ms = fx->now.wall_ms; /* by the lane */
    done_retry(fx, flight, 1000);
    forget_said(fx);
    tick_ms(fx, 1000);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    assert_int_equal(fx->now.wall_ms - 1000, flight->first_failed_ms);
    assert_int_equal(fx->now.wall_ms, flight->last_failed_ms);
    assert_int_equal(DRAY_KIND_EXPIRED, flight->kind);
    assert_int_equal(1, flight->attempt);
}

/* --- acknowledgements --- */

static void an_unknown_publish_is_repeated_with_doubling_waits(void **state)
{
    static const uint64_t waits_ms[] = {100, 200, 400, 800};
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    forget_said(fx);
    for (size_t i = 0; i < DRI_ARRAY_LEN(waits_ms); i++) {
        answer(fx, flight, DRI_CORE_UNKNOWN, DRAY_ETIMEOUT);
        tick_ms(fx, waits_ms[i] - 1);
        expect_nothing(fx);
        tick_ms(fx, 1);
        expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    }
    assert_int_equal(4, stats_of(fx).republished);
    assert_int_equal(0, stats_of(fx).settled);
    stored(fx, flight);
    expect_release(fx, 0);
}

static void the_wait_for_a_publish_ends_at_30_seconds(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_failed(fx, flight, DRAY_KIND_REJECTED);
    for (int i = 0; i < 40; i++) {
        forget_said(fx);
        answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_EAUTH);
        tick_ms(fx, 30000);
        expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    }
    assert_int_equal(0, stats_of(fx).settled);
}

static void a_result_too_large_becomes_a_limit_result_and_does_not_run_again(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    forget_said(fx);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    expect_publish(fx, 0, DRI_OUTCOME_LIMIT_RESULT);
    assert_true(flight->is_result_limited);
    stored(fx, flight);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
}

static void a_refused_target_falls_back_to_the_results_topic(void **state)
{
    static const enum dray_status reasons[] = {DRAY_EAUTH, DRAY_ENOTFOUND, DRAY_EINVALID};
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < DRI_ARRAY_LEN(reasons); i++) {
        struct dri_flight *flight = come(fx, i, 0);
        done_ok(fx, flight);
        forget_said(fx);
        answer(fx, flight, DRI_CORE_NOT_STORED, reasons[i]);
        expect_publish(fx, i, DRI_OUTCOME_FALLBACK_RESULT);
        assert_false(flight->is_result_limited);
        stored(fx, flight);
        expect_release(fx, i);
    }
}

static void a_result_that_is_too_large_and_has_no_target_ends_too(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    forget_said(fx);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ENOTFOUND);
    expect_publish(fx, 0, DRI_OUTCOME_FALLBACK_RESULT);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    expect_publish(fx, 0, DRI_OUTCOME_FALLBACK_RESULT);
    assert_true(flight->is_result_limited);
    stored(fx, flight);
    expect_release(fx, 0);
    flight = come(fx, 1, 0);
    done_ok(fx, flight);
    forget_said(fx);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    expect_publish(fx, 1, DRI_OUTCOME_LIMIT_RESULT);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ENOTFOUND);
    expect_publish(fx, 1, DRI_OUTCOME_FALLBACK_RESULT);
    assert_true(flight->is_result_limited);
}

static void a_fallback_that_is_refused_waits_and_never_settles(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ENOTFOUND);
    for (int i = 0; i < 20; i++) {
        forget_said(fx);
        answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_EAUTH);
        expect_nothing(fx);
        tick_ms(fx, 30000);
        expect_publish(fx, 0, DRI_OUTCOME_FALLBACK_RESULT);
    }
}

static void a_transient_refusal_waits_and_keeps_its_target(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    forget_said(fx);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_EBROKER);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
}

static void a_letter_too_large_becomes_a_pointer_and_then_waits_for_ever(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_failed(fx, flight, DRAY_KIND_REJECTED);
    forget_said(fx);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER_POINTER);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER_POINTER);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
}

static void an_acknowledgement_that_comes_twice_counts_once(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_failed(fx, flight, DRAY_KIND_REJECTED);
    uint64_t letter = dri_flight_token(flight);
    forget_said(fx);
    answer_token(fx, letter, DRI_CORE_STORED, DRAY_OK);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    answer_token(fx, letter, DRI_CORE_STORED, DRAY_OK);
    expect_nothing(fx); /* it says nothing about the error result */
    assert_int_equal(1, stats_of(fx).stale_completions);
}

static void an_acknowledgement_of_an_earlier_life_is_ignored(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    uint64_t old = dri_flight_token(flight);
    stored(fx, flight);
    struct dri_flight *next = come(fx, 1, 0);
    assert_ptr_equal(flight, next); /* the same memory */
    done_ok(fx, next);
    forget_said(fx);
    answer_token(fx, old, DRI_CORE_STORED, DRAY_OK);
    answer_token(fx, 12345678, DRI_CORE_STORED, DRAY_OK);
    expect_nothing(fx);
    assert_int_equal(2, stats_of(fx).stale_completions);
}

/* --- room --- */

static void room_is_what_is_left_of_in_flight_max(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(64, dri_core_room(fx->core));
    come(fx, 0, 0);
    assert_int_equal(63, dri_core_room(fx->core));
    struct dri_flight *flight = dri_core_take(fx->core);
    assert_int_equal(62, dri_core_room(fx->core));
    dri_core_untake(fx->core, flight);
    assert_int_equal(63, dri_core_room(fx->core));
    fixture_check(fx);
}

static void full_lasts_until_a_quarter_is_free(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[64];
    for (uint64_t i = 0; i < 64; i++) {
        flights[i] = come(fx, i, 7);
    }
    assert_int_equal(0, dri_core_room(fx->core));
    assert_null(dri_core_take(fx->core));
    for (size_t i = 0; i < 15; i++) {
        succeed(fx, flights[i]);
        assert_int_equal(0, dri_core_room(fx->core));
    }
    succeed(fx, flights[15]);
    assert_int_equal(16, dri_core_room(fx->core));
}

static void outcomes_on_their_way_fill_the_room_too(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 64; i++) {
        done_ok(fx, come(fx, i, 0));
    }
    assert_int_equal(64, stats_of(fx).unacked);
    assert_int_equal(0, stats_of(fx).in_flight);
    assert_int_equal(0, dri_core_room(fx->core));
}

static void bytes_fill_the_room_too(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 0);
    flight->bytes = 2u << 20; /* more than the bound: let in, because it has to go somewhere */
    record(fx, flight);
    assert_int_equal(0, dri_core_room(fx->core));
    succeed(fx, flight);
    assert_int_equal(64, dri_core_room(fx->core));
}

static void what_room_promised_can_be_taken_whatever_comes_between(void **state)
{
    struct fixture *fx = *state;
    size_t room = dri_core_room(fx->core);
    for (uint64_t i = 0; i < room; i++) {
        struct dri_flight *flight = fill(fx, 0, 1, i, 7); /* asserts that there is one */
        flight->bytes = 1u << 20;
        record(fx, flight);
    }
    assert_int_equal(0, dri_core_room(fx->core));
}

static void a_core_of_one_flight_works(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.in_flight_max = 1;
    config.unacked_max = 1;
    config.lanes = 1;
    config.lane_depth = 1;
    config.chain_max = 1;
    config.settle_ms = 0;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(1, dri_core_room(fx->core));
        struct dri_flight *flight = come(fx, i, i % 2);
        assert_int_equal(0, dri_core_room(fx->core));
        succeed(fx, flight);
    }
    assert_int_equal(10, stats_of(fx).settled);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_command_runs_is_published_and_only_then_settled),
        CASE(a_success_that_nobody_waits_for_settles_at_once),
        CASE(a_batch_of_events_is_one_call),
        CASE(a_follower_waits_until_its_key_is_back),
        CASE(a_follower_does_not_wait_for_the_outcome_to_be_stored),
        CASE(another_key_does_not_wait),
        CASE(followers_that_queued_run_as_one_chain_of_bounded_length),
        CASE(what_a_lane_did_not_run_runs_again_in_order_and_is_not_counted),
        CASE(a_key_stays_on_its_lane),
        CASE(a_hint_chooses_the_lane),
        CASE(a_lane_is_handed_no_more_chains_than_its_depth),
        CASE(behind_slow_runs_a_lane_is_handed_little),
        CASE(ready_keys_of_a_lane_run_in_the_order_in_which_they_became_ready),
        CASE(keyless_commands_spread_over_the_lanes),
        CASE(a_keyless_command_goes_to_the_lane_that_has_room),
        CASE(keyed_and_keyless_commands_take_turns_where_they_compete),
        CASE(a_failure_gets_a_letter_then_an_error_result_then_settles),
        CASE(without_an_id_or_a_wish_there_is_only_the_letter),
        CASE(what_cannot_run_gets_its_letter_without_a_run),
        CASE(a_retry_publishes_nothing_and_runs_when_it_is_due),
        CASE(nobody_overtakes_a_retry_of_its_key),
        CASE(the_rest_of_a_chain_stays_behind_its_retry),
        CASE(a_retry_does_not_hold_up_another_key_nor_the_watermark_the_others),
        CASE(a_keyless_retry_waits_alone),
        CASE(what_expired_is_not_started),
        CASE(the_deadline_itself_is_still_in_time),
        CASE(what_expires_in_the_queue_does_not_stop_those_behind_it),
        CASE(a_retry_that_comes_due_after_its_deadline_expires),
        CASE(an_unknown_publish_is_repeated_with_doubling_waits),
        CASE(the_wait_for_a_publish_ends_at_30_seconds),
        CASE(a_result_too_large_becomes_a_limit_result_and_does_not_run_again),
        CASE(a_refused_target_falls_back_to_the_results_topic),
        CASE(a_result_that_is_too_large_and_has_no_target_ends_too),
        CASE(a_fallback_that_is_refused_waits_and_never_settles),
        CASE(a_transient_refusal_waits_and_keeps_its_target),
        CASE(a_letter_too_large_becomes_a_pointer_and_then_waits_for_ever),
        CASE(an_acknowledgement_that_comes_twice_counts_once),
        CASE(an_acknowledgement_of_an_earlier_life_is_ignored),
        CASE(room_is_what_is_left_of_in_flight_max),
        CASE(full_lasts_until_a_quarter_is_free),
        CASE(outcomes_on_their_way_fill_the_room_too),
        CASE(bytes_fill_the_room_too),
        CASE(what_room_promised_can_be_taken_whatever_comes_between),
        CASE(a_core_of_one_flight_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
