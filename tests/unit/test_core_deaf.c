/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "groups.h"

/* Handlers that ignore their time limit: their command ends, their key is held until they return.
 * One source, slot 0 in epoch 1, settled by watermark. */

static int begin(void **state)
{
    fixture_setup(state);
    assign(*state, 0, 1);
    return 0;
}

static void done_stuck(struct fixture *fx, struct dri_flight *flight)
{
    flight->is_stuck = true;
    done_failed(fx, flight, DRAY_KIND_TIMEOUT);
}

static void returned(struct fixture *fx, struct dri_flight *flight)
{
    struct dri_core_event event = {.type = DRI_CE_RETURNED};
    event.as.flight = flight;
    feed(fx, event);
}

/* Its letter and its error result are stored. */
static void tell(struct fixture *fx, struct dri_flight *flight)
{
    expect_publish(fx, flight->offset, DRI_OUTCOME_LETTER);
    stored(fx, flight);
    expect_publish(fx, flight->offset, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, flight);
}

static void its_command_ends_and_settles_and_its_bytes_stay_until_it_returns(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    done_stuck(fx, deaf);
    tell(fx, deaf);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx); /* no RELEASE */
    returned(fx, deaf);
    expect_release(fx, 0);
    expect_nothing(fx);
    assert_int_equal(stats_of(fx).bytes, 0);
}

static void a_follower_of_its_key_waits_and_other_keys_do_not(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    come(fx, 1, 7);
    done_stuck(fx, deaf);
    tell(fx, deaf);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
    come(fx, 2, 7); /* also one that comes now */
    come(fx, 3, 9);
    expect_start(fx, 3);
    expect_nothing(fx);
    returned(fx, deaf);
    expect_release(fx, 0);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(said->chain, 2);
    assert_int_equal(said->offsets[0], 1);
    assert_int_equal(said->offsets[1], 2);
    expect_nothing(fx);
}

static void it_counts_against_the_limit_of_its_route_until_it_returns(void **state)
{
    const struct dri_group_limits one = {.concurrency = 1};
    struct fixture *fx = *state;
    struct dri_core_config config = fixture_config();
    config.groups_max = 2;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    dri_core_group_set(fx->core, 1, &one);
    dri_core_group_set(fx->core, 2, &one);
    struct dri_flight *deaf = come_of(fx, 0, 7, 1);
    expect_start(fx, 0);
    done_stuck(fx, deaf);
    tell(fx, deaf);
    expect_settle(fx, 0, 1, false);
    struct dri_flight *other = come_of(fx, 1, 9, 1);
    expect_nothing(fx);
    dri_core_regroup(fx->core, deaf, 2); /* the numbers were given anew */
    dri_core_regroup(fx->core, other, 2);
    tick_ms(fx, 1);
    expect_nothing(fx);
    returned(fx, deaf);
    expect_release(fx, 0);
    expect_start(fx, 1);
    expect_nothing(fx);
}

static void what_stood_behind_it_in_its_chain_runs_after_its_return_in_order(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_event events[3];
    struct dri_flight *flights[3];
    for (uint64_t i = 0; i < 3; i++) {
        events[i] = (struct dri_core_event){.type = DRI_CE_RECORD};
        events[i].as.flight = flights[i] = fill(fx, 0, 1, i, 9);
    }
    feed_all(fx, events, 3);
    assert_int_equal(expect(fx, DRI_CA_START)->chain, 3);
    done_stuck(fx, flights[0]);
    done_unrun(fx, flights[1]);
    done_unrun(fx, flights[2]);
    tell(fx, flights[0]);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
    returned(fx, flights[0]);
    expect_release(fx, 0);
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(said->chain, 2);
    assert_int_equal(said->offsets[0], 1);
    assert_int_equal(flights[1]->attempt, 1);
}

static void it_may_return_before_its_outcome_is_stored(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    come(fx, 1, 7);
    done_stuck(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    returned(fx, deaf);
    expect_start(fx, 1);
    expect_nothing(fx);
    stored(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, deaf);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
}

static void its_return_may_be_seen_before_its_done(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    come(fx, 1, 7);
    returned(fx, deaf);
    expect_nothing(fx);
    done_stuck(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    expect_start(fx, 1);
    stored(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, deaf);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
}

static void a_keyless_one_holds_nobody_up(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 0);
    expect_start(fx, 0);
    done_stuck(fx, deaf);
    tell(fx, deaf);
    expect_settle(fx, 0, 1, false);
    come(fx, 1, 0);
    expect_start(fx, 1);
    expect_nothing(fx);
    returned(fx, deaf);
    expect_release(fx, 0);
}

static void it_ends_although_it_was_cancelled_for_a_revocation(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    come(fx, 1, 7);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_release(fx, 1);
    done_stuck(fx, deaf); /* else the next owner would run it beside itself */
    tell(fx, deaf);
    expect_settle(fx, 0, 1, true);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_unassign(fx, 0, 1);
    expect_nothing(fx);
    returned(fx, deaf);
    expect_release(fx, 0);
    expect_nothing(fx);
}

static void its_key_stays_held_over_the_end_of_its_assignment(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_unassign(fx, 0, 1);
    done_stuck(fx, deaf);
    expect_nothing(fx); /* dropped, but its bytes are read */
    assign(fx, 0, 2);
    record(fx, fill(fx, 0, 2, 0, 7));
    expect_nothing(fx);
    returned(fx, deaf);
    expect_release(fx, 0);
    expect_start(fx, 0);
    expect_nothing(fx);
}

static void a_lost_one_whose_letter_travels_is_released_after_both(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    done_stuck(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    expect_unassign(fx, 0, 1);
    returned(fx, deaf);
    expect_nothing(fx);
    stored(fx, deaf);
    expect_release(fx, 0);
    expect_nothing(fx);
}

static void drain(struct fixture *fx)
{
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
}

static void a_drain_gives_its_followers_up_and_does_not_wait_for_it(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    done_stuck(fx, deaf);
    tell(fx, deaf);
    expect_settle(fx, 0, 1, false);
    settled(fx, 0, 1, 1, DRAY_OK);
    come(fx, 1, 7);
    drain(fx);
    expect_release(fx, 1);
    assert_true(expect(fx, DRI_CA_DRAINED)->action.as.is_clean);
    expect_nothing(fx);
    returned(fx, deaf); /* the lanes were stopped, it came back after all */
    expect_release(fx, 0);
}

static void one_that_is_noticed_in_a_drain_ends_and_gives_its_followers_up(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 7);
    expect_start(fx, 0);
    come(fx, 1, 7);
    drain(fx);
    expect_nothing(fx);
    done_stuck(fx, deaf);
    expect_release(fx, 1);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    stored(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, deaf);
    expect_settle(fx, 0, 1, true);
    settled(fx, 0, 1, 1, DRAY_OK);
    assert_true(expect(fx, DRI_CA_DRAINED)->action.as.is_clean);
    expect_nothing(fx);
}

static void many_held_keys_fit_and_are_all_given_back(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf[60];
    for (uint64_t round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < 60; i++) {
            uint64_t offset = round * 1000 + i;
            deaf[i] = come(fx, offset, 100 + i);
            assert_ptr_equal(deaf[i], expect_start(fx, offset));
            done_stuck(fx, deaf[i]);
            tell(fx, deaf[i]);
            fx->head = fx->tail; /* settles come by time */
        }
        assert_true(dri_core_room(fx->core) > 0);
        for (uint64_t i = 0; i < 60; i++) {
            returned(fx, deaf[i]);
            expect_release(fx, round * 1000 + i);
            expect_nothing(fx);
        }
        fx->head = fx->tail = 0;
    }
    assert_int_equal(stats_of(fx).bytes, 0);
}

static void its_time_says_nothing_about_how_long_runs_take(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *deaf = come(fx, 0, 0);
    expect_start(fx, 0);
    deaf->started_ns = 0;
    deaf->ended_ns = UINT64_C(60000000000);
    done_stuck(fx, deaf);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    for (uint64_t offset = 1; offset <= 4; offset++) { /* 2 lanes, depth 2: all of them at once */
        come(fx, offset, 0);
        expect_start(fx, offset);
    }
    expect_nothing(fx);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(its_command_ends_and_settles_and_its_bytes_stay_until_it_returns),
        CASE(a_follower_of_its_key_waits_and_other_keys_do_not),
        CASE(it_counts_against_the_limit_of_its_route_until_it_returns),
        CASE(what_stood_behind_it_in_its_chain_runs_after_its_return_in_order),
        CASE(it_may_return_before_its_outcome_is_stored),
        CASE(its_return_may_be_seen_before_its_done),
        CASE(a_keyless_one_holds_nobody_up),
        CASE(it_ends_although_it_was_cancelled_for_a_revocation),
        CASE(its_key_stays_held_over_the_end_of_its_assignment),
        CASE(a_lost_one_whose_letter_travels_is_released_after_both),
        CASE(a_drain_gives_its_followers_up_and_does_not_wait_for_it),
        CASE(one_that_is_noticed_in_a_drain_ends_and_gives_its_followers_up),
        CASE(many_held_keys_fit_and_are_all_given_back),
        CASE(its_time_says_nothing_about_how_long_runs_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
