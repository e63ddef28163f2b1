/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "groups.h"

/* What may run of a route: one source, slot 0 in epoch 1, two lanes of two chains each; group 1 has
 * the limits, group 2 is another route, group 0 has none. */

static int begin(void **state)
{
    fixture_setup(state);
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 3;
    config.lane_depth = 4;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    return 0;
}

static void set_group(struct fixture *fx, uint32_t number, struct dri_group_limits limits)
{
    dri_core_group_set(fx->core, number, &limits);
    feed_all(fx, NULL, 0);
}

/* --- concurrency --- */

static void no_more_of_a_route_run_than_it_may(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[4];
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 2});
    for (uint64_t i = 0; i < 4; i++) {
        flights[i] = come_of(fx, i, i < 2 ? 10 + i : 0, 1); /* keyed and keyless */
    }
    expect_start(fx, 0);
    expect_start(fx, 1);
    expect_nothing(fx);
    succeed(fx, flights[1]);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    expect_start(fx, 2);
    expect_release(fx, 1);
    expect_settle(fx, 0, 0, false); /* what is finished behind the first */
    expect_nothing(fx);
}

static void a_route_at_its_limit_does_not_hold_another(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    come_of(fx, 0, 10, 1);
    come_of(fx, 1, 11, 1);
    come_of(fx, 2, 0, 1);
    come_of(fx, 3, 12, 2);
    come_of(fx, 4, 0, 0);
    expect_start(fx, 0);
    expect_start(fx, 3);
    expect_start(fx, 4);
    expect_nothing(fx);
}

static void what_waits_for_its_route_holds_its_own_followers(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    struct dri_flight *first = come_of(fx, 0, 10, 1);
    come_of(fx, 1, 11, 1);
    come_of(fx, 2, 11, 0); /* of another route, but the key's order holds */
    expect_start(fx, 0);
    expect_nothing(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    struct dri_flight *second = expect_start(fx, 1);
    expect_nothing(fx);
    done_ok(fx, second);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    expect_start(fx, 2);
}

static void a_limit_breaks_a_chain(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[4];
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 3});
    for (uint64_t i = 0; i < 4; i++) {
        flights[i] = come_of(fx, i, 7, i == 2 ? 1 : 0);
    }
    expect_start(fx, 0);
    done_ok(fx, flights[0]);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_start(fx, 1);
    done_ok(fx, flights[1]);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    expect_start(fx, 2);
    done_ok(fx, flights[2]);
    expect_publish(fx, 2, DRI_OUTCOME_RESULT);
    expect_start(fx, 3);
}

static void a_failed_run_gives_its_place_to_the_next(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    struct dri_flight *first = come_of(fx, 0, 0, 1);
    come_of(fx, 1, 0, 1);
    expect_start(fx, 0);
    done_retry(fx, first, 50);
    expect_start(fx, 1);
    tick_ms(fx, 60);
    expect_nothing(fx); /* the retry is due, and the other one runs */
}

static void a_limit_that_is_raised_starts_what_waits(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    for (uint64_t i = 0; i < 3; i++) {
        come_of(fx, i, 0, 1);
    }
    expect_start(fx, 0);
    expect_nothing(fx);
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 2});
    expect_start(fx, 1);
    expect_nothing(fx);
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 0});
    expect_start(fx, 2);
}

static void a_run_of_a_lost_assignment_counts_until_it_is_back(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    struct dri_flight *old = come_of(fx, 0, 0, 1);
    expect_start(fx, 0);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_unassign(fx, 0, 1);
    assign(fx, 0, 2);
    struct dri_flight *again = fill(fx, 0, 2, 0, 0);
    again->group = 1;
    record(fx, again);
    expect_nothing(fx);
    done_ok(fx, old);
    expect_release(fx, 0);
    expect_start(fx, 0);
}

/* --- turns --- */

static void routes_take_turns_however_long_one_has_queued(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 3;
    config.lanes = 1;
    config.lane_depth = 1;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 20; i++) {
        come_of(fx, i, 0, 1); /* keyless */
    }
    come_of(fx, 20, 0, 2);
    come_of(fx, 21, 0, 2);
    uint64_t order[6];
    struct dri_flight *flight = expect(fx, DRI_CA_START)->action.as.run.flight;
    for (size_t i = 0; i < DRI_ARRAY_LEN(order); i++) {
        order[i] = flight->offset;
        done_ok(fx, flight);
        expect(fx, DRI_CA_PUBLISH);
        flight = expect(fx, DRI_CA_START)->action.as.run.flight;
    }
    const uint64_t wanted[] = {0, 1, 20, 2, 21, 3};
    for (size_t i = 0; i < DRI_ARRAY_LEN(order); i++) {
        assert_int_equal(wanted[i], order[i]);
    }
}

static void keys_of_two_routes_take_turns_at_a_lane(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 3;
    config.lanes = 1;
    config.lane_depth = 1;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 10; i++) {
        come_of(fx, i, 100 + i, 1);
    }
    come_of(fx, 10, 200, 2);
    struct dri_flight *flight = expect_start(fx, 0);
    done_ok(fx, flight);
    expect(fx, DRI_CA_PUBLISH);
    flight = expect_start(fx, 1);
    done_ok(fx, flight);
    expect(fx, DRI_CA_PUBLISH);
    expect_start(fx, 10);
}

static void a_place_that_is_free_goes_round_between_lanes_and_the_keyless(void **state)
{
    struct fixture *fx = *state;
    uint64_t served[3] = {0, 0, 0}; /* lane 0, lane 1, keyless */
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    for (uint64_t i = 0; i < 12; i++) {
        come_of(fx, 3 * i, 100 + 2 * i, 1);     /* lane 0 */
        come_of(fx, 3 * i + 1, 101 + 2 * i, 1); /* lane 1 */
        come_of(fx, 3 * i + 2, 0, 1);
    }
    struct dri_flight *flight = expect_start(fx, 0);
    for (unsigned i = 0; i < 16; i++) {
        served[flight->offset % 3]++;
        done_ok(fx, flight);
        expect(fx, DRI_CA_PUBLISH);
        flight = expect(fx, DRI_CA_START)->action.as.run.flight;
        expect_nothing(fx);
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(served); i++) {
        assert_true(served[i] >= 3);
    }
}

/* --- rate --- */

static void a_share_of_a_rate_spaces_starts_as_far_apart(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.rate = 10, .burst = 4, .share = 2});
    for (uint64_t i = 0; i < 8; i++) {
        come_of(fx, i, 0, 1);
    }
    expect_start(fx, 0);
    expect_start(fx, 1);
    expect_nothing(fx);
    tick_ms(fx, 199);
    expect_nothing(fx);
    tick_ms(fx, 2);
    expect_start(fx, 2);
    dri_core_group_share(fx->core, 1, 4); /* others came */
    tick_ms(fx, 150);
    expect_nothing(fx);
    dri_core_group_share(fx->core, 1, 1); /* they are gone */
    tick_ms(fx, 51);
    expect(fx, DRI_CA_START);
}

static void a_rate_spaces_starts_and_a_burst_goes_at_once(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.rate = 10, .burst = 2});
    for (uint64_t i = 0; i < 5; i++) {
        come_of(fx, i, 0, 1);
    }
    expect_start(fx, 0);
    expect_start(fx, 1);
    expect_nothing(fx);
    assert_int_equal(fx->now.mono_ns + UINT64_C(100000000), dri_core_next_deadline(fx->core));
    tick_ms(fx, 99);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_start(fx, 2);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_start(fx, 3);
    tick_ms(fx, 50);
    expect_nothing(fx);
    tick_ms(fx, 50);
    expect_start(fx, 4);
    tick_ms(fx, 1000);
    expect_nothing(fx);
    for (uint64_t i = 5; i < 9; i++) {
        come_of(fx, i, 0, 1); /* it was quiet: the burst is there again, and no more than it */
    }
    expect_start(fx, 5);
    expect_start(fx, 6);
    expect_nothing(fx);
}

static void a_quiet_time_saves_up_no_more_than_the_burst(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.rate = 1000, .burst = 3});
    tick_ms(fx, 60000);
    for (uint64_t i = 0; i < 5; i++) {
        come_of(fx, i, 0, 1);
    }
    for (uint64_t i = 0; i < 3; i++) {
        expect_start(fx, i);
    }
    expect_nothing(fx);
}

static void a_run_that_did_not_happen_costs_no_token(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.rate = 1});
    struct dri_flight *flight = come_of(fx, 0, 0, 1);
    expect_start(fx, 0);
    done_unrun(fx, flight);
    expect_start(fx, 0);
    assert_int_equal(1, flight->attempt);
    come_of(fx, 1, 0, 1);
    expect_nothing(fx);
    tick_ms(fx, 1000);
    expect_start(fx, 1);
}

static void a_group_that_is_given_anew_begins_without_tokens(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.rate = 10, .burst = 2});
    come_of(fx, 0, 0, 1);
    expect_start(fx, 0);
    set_group(fx, 1, (struct dri_group_limits){.rate = 0});
    set_group(fx, 1, (struct dri_group_limits){.rate = 10, .burst = 2});
    come_of(fx, 1, 0, 1);
    come_of(fx, 2, 0, 1);
    tick_ms(fx, 99);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_start(fx, 1);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_start(fx, 2);
}

/* --- paused --- */

static void nothing_of_a_paused_route_starts_until_it_resumes(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    come_of(fx, 0, 7, 1);
    come_of(fx, 1, 7, 0); /* a follower */
    come_of(fx, 2, 0, 1);
    come_of(fx, 3, 8, 0);
    expect_start(fx, 3);
    expect_nothing(fx);
    assert_int_equal(3, stats_of(fx).waiting_paused);
    tick_ms(fx, 3600000);
    expect_nothing(fx);
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 0});
    uint64_t started = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct said *said = expect(fx, DRI_CA_START);
        for (uint32_t at = 0; at < said->chain; at++) {
            assert_true(at == 0 || said->offsets[at - 1] < said->offsets[at]);
            started |= UINT64_C(1) << said->offsets[at];
        }
    }
    assert_int_equal(7, started);
    assert_int_equal(0, stats_of(fx).waiting_paused);
}

static void what_a_lane_hands_back_of_a_paused_route_waits(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_of(fx, 0, 7, 1);
    expect_start(fx, 0);
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    done_unrun(fx, flight);
    expect_nothing(fx);
    set_group(fx, 1, (struct dri_group_limits){.is_paused = false});
    expect_start(fx, 0);
    assert_int_equal(1, flight->attempt);
}

static void beyond_a_quarter_of_the_budget_what_comes_is_held(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    for (uint64_t i = 0; i < 16; i++) {
        come_of(fx, i, 0, 1);
    }
    expect_nothing(fx);
    assert_int_equal(16, stats_of(fx).waiting_paused);
    struct dri_flight *next = come_of(fx, 16, 0, 1);
    expect_publish(fx, 16, DRI_OUTCOME_LETTER);
    assert_int_equal(DRAY_KIND_HELD, next->kind);
    assert_int_equal(1, stats_of(fx).held);
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 0});
    for (uint64_t i = 0; i < 8; i++) {
        expect_start(fx, i);
    }
    expect_nothing(fx); /* the lanes are full */
}

static void after_a_held_letter_whatever_comes_is_held_until_it_resumes(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    set_group(fx, 2, (struct dri_group_limits){.is_paused = true});
    for (uint64_t i = 0; i < 17; i++) {
        come_of(fx, i, 0, 1);
    }
    expect_publish(fx, 16, DRI_OUTCOME_LETTER);
    about_slot(fx, DRI_CE_REVOKED, 0, 1); /* all that waited is gone */
    assign(fx, 0, 2);
    forget_said(fx);
    struct dri_flight *flight = fill(fx, 0, 2, 20, 7);
    flight->group = 1;
    record(fx, flight);
    expect_publish(fx, 20, DRI_OUTCOME_LETTER);
    flight = fill(fx, 0, 2, 21, 8);
    flight->group = 2; /* this one has held nothing */
    record(fx, flight);
    expect_nothing(fx);
    set_group(fx, 1, (struct dri_group_limits){.is_paused = false});
    flight = fill(fx, 0, 2, 22, 7);
    flight->group = 1;
    record(fx, flight);
    expect_start(fx, 22);
}

static void followers_of_other_routes_do_not_fill_the_budget(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    come_of(fx, 0, 7, 1);
    for (uint64_t i = 1; i < 16; i++) {
        come_of(fx, i, 7, 0);
    }
    expect_nothing(fx);
    come_of(fx, 16, 7, 0); /* the seventeenth of 64: the one that holds them all becomes a letter */
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(4, said->chain);
    assert_int_equal(1, said->offsets[0]);
    expect_nothing(fx);
}

static void of_a_key_the_last_ones_are_held_in_order_and_the_first_ones_wait(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_event events[20];
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    for (uint64_t i = 0; i < 20; i++) {
        events[i] = (struct dri_core_event){.type = DRI_CE_RECORD};
        events[i].as.flight = fill(fx, 0, 1, i, 7);
        events[i].as.flight->group = 1;
    }
    feed_all(fx, events, 20);
    for (uint64_t i = 16; i < 20; i++) {
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
    }
    expect_nothing(fx);
    assert_int_equal(16, stats_of(fx).waiting_paused);
}

static void letters_of_a_key_are_in_order_however_they_came_to_be(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 30; i++) {
        come_of(fx, i, 7, 1);
    }
    struct dri_flight *first = expect_start(fx, 0);
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    expect_nothing(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    for (uint64_t i = 1; i < 30; i++) {
        expect_publish(fx, i, DRI_OUTCOME_LETTER);
    }
    expect_nothing(fx);
}

static void a_route_that_is_paused_with_much_in_flight_keeps_the_oldest(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    for (uint64_t i = 0; i < 40; i++) {
        come_of(fx, i, i % 2 == 0 ? 0 : 100 + i, 1);
    }
    expect_start(fx, 0);
    expect_nothing(fx);
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    assert_int_equal(16, stats_of(fx).waiting_paused);
    assert_int_equal(23, stats_of(fx).held);
}

static void a_drain_gives_up_what_waits_for_a_paused_route(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.is_paused = true});
    come_of(fx, 0, 7, 1);
    come_of(fx, 1, 7, 0);
    come_of(fx, 2, 0, 1);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    expect_release(fx, 0);
    expect_release(fx, 1);
    expect_release(fx, 2);
    assert_int_equal(3, stats_of(fx).dropped_on_drain);
    expect_drained(fx, true);
}

static void a_drain_waits_for_a_limit_and_not_for_a_token(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    set_group(fx, 2, (struct dri_group_limits){.rate = 1});
    struct dri_flight *first = come_of(fx, 0, 0, 1);
    come_of(fx, 1, 0, 1);
    come_of(fx, 2, 0, 2);
    come_of(fx, 3, 0, 2);
    expect_start(fx, 0);
    expect_start(fx, 2);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    expect_release(fx, 3);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_start(fx, 1);
}

/* --- a key that sends too much --- */

static void a_key_does_not_take_the_whole_budget(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.in_flight_max = 16;
    config.key_max = 4;
    config.chain_max = 1;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 20; i++) {
        come(fx, i, 7);
    }
    assert_int_equal(11, dri_core_room(fx->core)); /* one runs and four wait; the rest is apart */
    for (uint64_t i = 20; i < 31; i++) {
        come(fx, i, 100 + i);
    }
    assert_int_equal(0, dri_core_room(fx->core));
}

static void what_a_key_has_too_much_is_bounded_too(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.in_flight_max = 16;
    config.key_max = 4;
    config.chain_max = 1;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    uint64_t taken = 0;
    while (dri_core_room(fx->core) > 0) {
        come(fx, taken++, 7);
        assert_true(taken <= 32);
    }
    assert_int_equal(32, taken);
}

/* --- breaker --- */

static void failed(struct fixture *fx, struct dri_flight *flight, enum dray_error_kind kind)
{
    flight->was_run = true;
    flight->kind = kind;
    flight->verdict = (struct dri_verdict){.is_retry = dray_kind_is_retried(kind), .delay_ms = 5};
    done_event(fx, flight);
}

/* Opens the breaker of group 1 with two failures of flight 0, which then waits. */
static struct dri_flight *open_it(struct fixture *fx)
{
    set_group(fx, 1, (struct dri_group_limits){.failures = 2, .open_ms = 1000});
    struct dri_flight *flight = come_of(fx, 0, 7, 1);
    expect_start(fx, 0);
    failed(fx, flight, DRAY_KIND_NETWORK);
    tick_ms(fx, 5);
    expect_start(fx, 0);
    failed(fx, flight, DRAY_KIND_TIMEOUT);
    tick_ms(fx, 5);
    expect_nothing(fx);
    assert_int_equal(DRI_BREAKER_OPEN, dri_core_group_breaker(fx->core, 1));
    assert_int_equal(1, stats_of(fx).breaker_opens);
    assert_int_equal(1, stats_of(fx).open_groups);
    return flight;
}

static void failures_in_a_row_open_the_breaker_and_a_probe_closes_it(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *probe = open_it(fx);
    come_of(fx, 1, 0, 1);
    come_of(fx, 2, 8, 1);
    tick_ms(fx, 989);
    expect_nothing(fx);
    tick_ms(fx, 6);
    const struct said *said = expect(fx, DRI_CA_START); /* one, alone */
    expect_nothing(fx);
    struct dri_flight *first = said->action.as.run.flight;
    done_ok(fx, first);
    expect_publish(fx, first->offset, DRI_OUTCOME_RESULT);
    expect(fx, DRI_CA_START);
    expect(fx, DRI_CA_START);
    assert_int_equal(DRI_BREAKER_CLOSED, dri_core_group_breaker(fx->core, 1));
    assert_int_equal(0, stats_of(fx).open_groups);
    assert_int_equal(3, probe->attempt);
}

static void a_probe_that_fails_is_no_attempt_and_opens_it_again(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = open_it(fx);
    come_of(fx, 1, 8, 1);
    come_of(fx, 2, 9, 1);
    uint64_t seen = 0;
    for (unsigned i = 0; i < 6; i++) {
        tick_ms(fx, 1000);
        struct dri_flight *probe = expect(fx, DRI_CA_START)->action.as.run.flight;
        seen |= UINT64_C(1) << probe->offset;
        expect_nothing(fx);
        uint32_t attempt = probe->attempt;
        failed(fx, probe, DRAY_KIND_UNAVAILABLE);
        assert_int_equal(attempt - 1, probe->attempt);
        expect_nothing(fx);
    }
    assert_int_equal(7, seen); /* each had its turn as the probe */
    assert_int_equal(2, flight->attempt);
    assert_int_equal(1, stats_of(fx).breaker_opens);
}

static void a_command_that_fails_as_the_probe_for_ever_is_judged_in_the_end(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = open_it(fx);
    for (unsigned i = 0; i < 60; i++) {
        tick_ms(fx, 1000);
        expect_start(fx, 0);
        failed(fx, flight, DRAY_KIND_NETWORK);
        expect_nothing(fx);
    }
    tick_ms(fx, 1000);
    expect_start(fx, 0);
    assert_int_equal(3, flight->attempt);
    done_failed(fx, flight, DRAY_KIND_NETWORK);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
}

static void any_other_end_sets_the_count_to_nothing(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.failures = 2, .open_ms = 1000});
    const enum dray_error_kind kinds[] = {
        DRAY_KIND_NETWORK,  DRAY_KIND_REJECTED, DRAY_KIND_NETWORK,    DRAY_KIND_CONFLICT,
        DRAY_KIND_INTERNAL, DRAY_KIND_NONE,     DRAY_KIND_UNAVAILABLE};
    for (uint64_t i = 0; i < DRI_ARRAY_LEN(kinds); i++) {
        failed(fx, come_of(fx, i, 0, 1), kinds[i]);
        assert_int_equal(DRI_BREAKER_CLOSED, dri_core_group_breaker(fx->core, 1));
    }
    failed(fx, come_of(fx, 7, 0, 1), DRAY_KIND_TIMEOUT);
    assert_int_equal(DRI_BREAKER_OPEN, dri_core_group_breaker(fx->core, 1));
}

static void a_probe_that_comes_back_unrun_is_followed_by_another(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = open_it(fx);
    tick_ms(fx, 1000);
    expect_start(fx, 0);
    done_unrun(fx, flight);
    expect_start(fx, 0);
    done_ok(fx, flight);
    assert_int_equal(DRI_BREAKER_CLOSED, dri_core_group_breaker(fx->core, 1));
}

static void a_failure_of_kind_auth_pauses_its_route_until_a_probe_succeeds(void **state)
{
    struct fixture *fx = *state;
    set_group(fx, 1, (struct dri_group_limits){.auth_ms = 60000});
    struct dri_flight *first = come_of(fx, 0, 7, 1);
    come_of(fx, 1, 8, 2);
    expect_start(fx, 0);
    expect_start(fx, 1);
    done_failed(fx, first, DRAY_KIND_AUTH);
    come_of(fx, 2, 0, 1);
    tick_ms(fx, 59999);
    expect_nothing(fx); /* no letter, no run */
    tick_ms(fx, 1);
    struct dri_flight *probe = expect(fx, DRI_CA_START)->action.as.run.flight;
    expect_nothing(fx);
    done_failed(fx, probe, DRAY_KIND_AUTH);
    expect_nothing(fx);
    tick_ms(fx, 60000);
    probe = expect(fx, DRI_CA_START)->action.as.run.flight;
    assert_int_equal(1, probe->attempt);
    done_ok(fx, probe);
    expect(fx, DRI_CA_PUBLISH);
    expect(fx, DRI_CA_START);
}

static void a_route_without_auth_pause_dead_letters_it(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_of(fx, 0, 7, 0);
    expect_start(fx, 0);
    done_failed(fx, flight, DRAY_KIND_AUTH);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
}

static void a_new_configuration_closes_the_breaker(void **state)
{
    struct fixture *fx = *state;
    (void)open_it(fx);
    set_group(fx, 1, (struct dri_group_limits){.failures = 2, .open_ms = 1000});
    expect_start(fx, 0);
}

static void a_drain_gives_up_what_waits_for_a_breaker(void **state)
{
    struct fixture *fx = *state;
    (void)open_it(fx);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    expect_release(fx, 0);
    expect_drained(fx, true);
}

/* --- moving --- */

static void flights_that_wait_and_run_move_to_another_group(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *running = come_of(fx, 0, 7, 0);
    struct dri_flight *behind = come_of(fx, 1, 7, 0);
    struct dri_flight *retried = come_of(fx, 2, 0, 0);
    expect_start(fx, 0);
    expect_start(fx, 2);
    done_retry(fx, retried, 10);
    dri_core_regroup(fx->core, running, 1);
    dri_core_regroup(fx->core, behind, 1);
    dri_core_regroup(fx->core, retried, 1);
    set_group(fx, 1, (struct dri_group_limits){.concurrency = 1});
    tick_ms(fx, 10);
    expect_nothing(fx); /* the running one counts in its new group */
    done_ok(fx, running);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect(fx, DRI_CA_START);
    expect_nothing(fx);
    dri_core_regroup(fx->core, behind, 0);
    dri_core_regroup(fx->core, retried, 2);
    feed_all(fx, NULL, 0);
    expect(fx, DRI_CA_START); /* whichever had waited */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(no_more_of_a_route_run_than_it_may),
        CASE(a_route_at_its_limit_does_not_hold_another),
        CASE(what_waits_for_its_route_holds_its_own_followers),
        CASE(a_limit_breaks_a_chain),
        CASE(a_failed_run_gives_its_place_to_the_next),
        CASE(a_limit_that_is_raised_starts_what_waits),
        CASE(a_run_of_a_lost_assignment_counts_until_it_is_back),
        CASE(routes_take_turns_however_long_one_has_queued),
        CASE(keys_of_two_routes_take_turns_at_a_lane),
        CASE(a_place_that_is_free_goes_round_between_lanes_and_the_keyless),
        CASE(a_share_of_a_rate_spaces_starts_as_far_apart),
        CASE(a_rate_spaces_starts_and_a_burst_goes_at_once),
        CASE(a_quiet_time_saves_up_no_more_than_the_burst),
        CASE(a_run_that_did_not_happen_costs_no_token),
        CASE(a_group_that_is_given_anew_begins_without_tokens),
        CASE(nothing_of_a_paused_route_starts_until_it_resumes),
        CASE(what_a_lane_hands_back_of_a_paused_route_waits),
        CASE(beyond_a_quarter_of_the_budget_what_comes_is_held),
        CASE(after_a_held_letter_whatever_comes_is_held_until_it_resumes),
        CASE(followers_of_other_routes_do_not_fill_the_budget),
        CASE(of_a_key_the_last_ones_are_held_in_order_and_the_first_ones_wait),
        CASE(letters_of_a_key_are_in_order_however_they_came_to_be),
        CASE(a_route_that_is_paused_with_much_in_flight_keeps_the_oldest),
        CASE(a_drain_gives_up_what_waits_for_a_paused_route),
        CASE(a_drain_waits_for_a_limit_and_not_for_a_token),
        CASE(a_key_does_not_take_the_whole_budget),
        CASE(what_a_key_has_too_much_is_bounded_too),
        CASE(failures_in_a_row_open_the_breaker_and_a_probe_closes_it),
        CASE(a_probe_that_fails_is_no_attempt_and_opens_it_again),
        CASE(a_command_that_fails_as_the_probe_for_ever_is_judged_in_the_end),
        CASE(any_other_end_sets_the_count_to_nothing),
        CASE(a_probe_that_comes_back_unrun_is_followed_by_another),
        CASE(a_failure_of_kind_auth_pauses_its_route_until_a_probe_succeeds),
        CASE(a_route_without_auth_pause_dead_letters_it),
        CASE(a_new_configuration_closes_the_breaker),
        CASE(a_drain_gives_up_what_waits_for_a_breaker),
        CASE(flights_that_wait_and_run_move_to_another_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
