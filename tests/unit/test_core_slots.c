/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"

/* Assignments: what is let in and settled, leases, revocation, loss, drain. */

/* --- admission --- */

static void a_record_of_an_assignment_that_is_gone_is_released(void **state)
{
    struct fixture *fx = *state;
    record(fx, fill(fx, 0, 1, 0, 0)); /* never assigned */
    expect_release(fx, 0);
    assign(fx, 0, 2);
    record(fx, fill(fx, 0, 1, 1, 0)); /* an older epoch */
    expect_release(fx, 1);
    expect_nothing(fx);
    assert_int_equal(2, stats_of(fx).stale_records);
    assert_int_equal(0, stats_of(fx).admitted);
}

static void an_offset_that_came_already_is_released(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    come(fx, 5, 0);
    forget_said(fx);
    come(fx, 5, 0);
    expect_release(fx, 5);
    come(fx, 3, 0);
    expect_release(fx, 3);
    assert_int_equal(2, stats_of(fx).duplicates_in_flight);
}

static void an_assignment_over_an_assignment_loses_the_first(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = come(fx, 0, 0);
    forget_said(fx);
    assign(fx, 0, 2);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_unassign(fx, 0, 1);
    done_ok(fx, flight);
    expect_release(fx, 0);
    expect_nothing(fx);
}

/* --- a barrier --- */

static void a_barrier_settles_what_is_finished_before_its_time(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *first = come(fx, 0, 1);
    struct dri_flight *second = come(fx, 1, 2);
    succeed(fx, first);
    tick_ms(fx, fixture_config().settle_ms);
    forget_said(fx);
    succeed(fx, second);
    forget_said(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_BARRIER});
    expect_settle(fx, 0, 2, false);
    expect_nothing(fx);
    assert_true(dri_core_is_whole(fx->core));
    feed(fx, (struct dri_core_event){.type = DRI_CE_BARRIER});
    expect_settle(fx, 0, 2, false); /* nothing has confirmed it */
    settled(fx, 0, 1, 2, DRAY_OK);
    feed(fx, (struct dri_core_event){.type = DRI_CE_BARRIER});
    expect_nothing(fx);
}

static void between_its_outcomes_a_command_is_half_told_and_torn_when_given_up(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *told = come(fx, 0, 1);
    struct dri_flight *torn = come(fx, 1, 2);
    struct dri_flight *late = come(fx, 2, 3);
    done_failed(fx, told, DRAY_KIND_REJECTED);
    done_failed(fx, torn, DRAY_KIND_REJECTED);
    done_ok(fx, late);
    assert_int_equal(0, dri_core_half_told(fx->core));
    stored(fx, told);
    stored(fx, torn);
    assert_int_equal(2, dri_core_half_told(fx->core));
    stored(fx, told);
    assert_int_equal(1, dri_core_half_told(fx->core));
    assert_int_equal(0, dri_core_torn(fx->core));
    about_slot(fx, DRI_CE_LOST, 0, 1);
    assert_int_equal(0, dri_core_half_told(fx->core));
    assert_int_equal(1, dri_core_torn(fx->core));
    stored(fx, late); /* it was on its way when the slot was lost */
    assert_int_equal(2, dri_core_torn(fx->core));
    answer(fx, torn, DRI_CORE_UNKNOWN, DRAY_EBROKER);
    assert_int_equal(2, dri_core_torn(fx->core));
}

/* --- settling a watermark --- */

static void a_settle_names_the_first_unfinished_offset(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *first = come(fx, 10, 1);
    struct dri_flight *second = come(fx, 25, 2);
    struct dri_flight *third = come(fx, 26, 3);
    succeed(fx, third);
    forget_said(fx);
    tick_ms(fx, 1000);
    expect_nothing(fx); /* what is finished beyond was said when it was finished */
    succeed(fx, first);
    expect_publish(fx, 10, DRI_OUTCOME_RESULT);
    expect_release(fx, 10);
    expect_settle(fx, 0, 25, false);
    succeed(fx, second);
    expect_publish(fx, 25, DRI_OUTCOME_RESULT);
    expect_release(fx, 25);
    tick_ms(fx, 100);
    expect_settle(fx, 0, 27, false);
}

static void settles_are_at_least_settle_ms_apart(void **state)
{
    struct fixture *fx = *state;
    uint32_t settles = 0;
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 100; i++) {
        succeed(fx, come(fx, i, 0));
        tick_ms(fx, 10);
    }
    tick_ms(fx, 100);
    uint64_t position = 0;
    for (size_t i = 0; i < fx->tail; i++) {
        if (fx->said[i].action.type == DRI_CA_SETTLE) {
            settles++;
            assert_true(fx->said[i].action.as.settle.position > position);
            position = fx->said[i].action.as.settle.position;
        }
    }
    assert_int_equal(100, position);
    assert_in_range(settles, 10, 12);
}

static void without_progress_nothing_is_settled(void **state)
{
    struct fixture *fx = *state;
    assign_at(fx, 0, 1, 5);
    come(fx, 5, 0);
    forget_said(fx);
    tick_ms(fx, 1000);
    expect_nothing(fx);
}

static void the_first_position_of_a_group_without_one_is_settled_at_once(void **state)
{
    struct fixture *fx = *state;
    assign_at(fx, 0, 1, -1);
    come(fx, 42, 0);
    expect_settle(fx, 0, 42, false);
    expect_start(fx, 42);
    expect_nothing(fx);
}

static void a_log_that_begins_anew_below_the_commit_is_followed(void **state)
{
    struct fixture *fx = *state;
    assign_at(fx, 0, 1, 1000);
    struct dri_flight *flight = come(fx, 0, 0);
    expect_settle(fx, 0, 0, false);
    expect_start(fx, 0);
    succeed(fx, flight);
    forget_said(fx);
    tick_ms(fx, 100);
    expect_settle(fx, 0, 1, false);
}

static void a_settle_that_failed_is_sent_again_at_the_next_tick(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 0));
    forget_said(fx);
    settled(fx, 0, 1, 1, DRAY_EBROKER);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_settle(fx, 0, 1, false);
    settled(fx, 0, 1, 1, DRAY_OK);
    tick_ms(fx, 1000);
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).settles_failed);
}

static void an_answer_to_a_settle_of_another_epoch_says_nothing(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 2);
    settled(fx, 0, 1, 99, DRAY_OK);
    assert_int_equal(1, stats_of(fx).stale_completions);
    about_slot(fx, DRI_CE_REVOKED, 0, 2);
    expect_unassign(fx, 0, 2);
}

static void a_settle_that_was_not_read_yet_tells_the_latest(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_event events[2] = {{.type = DRI_CE_DONE}, {.type = DRI_CE_DONE}};
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 2; i++) {
        events[i].as.flight = fill(fx, 0, 1, i, 0);
        events[i].as.flight->wants_result = false;
        record(fx, events[i].as.flight);
        events[i].as.flight->was_run = true;
    }
    forget_said(fx);
    dri_core_step(fx->core, fx->now, &events[0], 1); /* queues a settle of 1 */
    fx->now.mono_ns += UINT64_C(200000000);
    dri_core_step(fx->core, fx->now, &events[1], 1);
    fixture_read(fx);
    expect_release(fx, 0);
    expect_settle(fx, 0, 2, false);
    expect_release(fx, 1);
    expect_nothing(fx);
}

/* --- revoked --- */

static void revoke_drops_what_waits_and_waits_for_what_runs(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *first = come(fx, 0, 7);
    come(fx, 1, 7);
    struct dri_flight *third = come(fx, 2, 9);
    done_retry(fx, third, 5000);
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_release(fx, 1);
    expect_release(fx, 2);
    expect_nothing(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    stored(fx, first);
    expect_settle(fx, 0, 1, true); /* not beyond 1, which was dropped */
    expect_release(fx, 0);
    expect_nothing(fx);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_unassign(fx, 0, 1);
    assert_int_equal(2, stats_of(fx).dropped_on_revoke);
}

static void a_slot_without_anything_to_settle_is_let_go_at_once(void **state)
{
    struct fixture *fx = *state;
    assign_at(fx, 0, 1, 17);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_unassign(fx, 0, 1);
    assign_at(fx, 0, 2, -1);
    about_slot(fx, DRI_CE_REVOKED, 0, 2);
    expect_unassign(fx, 0, 2);
    expect_nothing(fx);
}

static void what_was_settled_and_confirmed_is_not_settled_again(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 0));
    settled(fx, 0, 1, 1, DRAY_OK);
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_unassign(fx, 0, 1);
}

static void what_was_settled_without_an_answer_is_settled_again_finally(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 0));
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_settle(fx, 0, 1, true);
    expect_nothing(fx);
    tick_ms(fx, 1000); /* no answer */
    expect_unassign(fx, 0, 1);
}

static void a_record_after_revoke_is_stale(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    come(fx, 0, 0);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    come(fx, 1, 0);
    expect_release(fx, 1);
    assert_int_equal(1, stats_of(fx).stale_records);
}

static void a_run_that_revoke_cancelled_leaves_no_dead_letter(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = come(fx, 0, 0);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    done_failed(fx, flight, DRAY_KIND_TIMEOUT); /* its last attempt, but it was us */
    expect_release(fx, 0);
    expect_unassign(fx, 0, 1);
}

static void a_verdict_of_the_handler_stands_in_a_revoke_too(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = come(fx, 0, 0);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    done_failed(fx, flight, DRAY_KIND_REJECTED);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, flight);
    expect_settle(fx, 0, 1, true);
}

static void the_unrun_rest_of_a_chain_is_dropped_in_a_revoke(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[3];
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 3; i++) {
        flights[i] = come(fx, i, 7);
    }
    done_ok(fx, flights[0]);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    done_retry(fx, flights[1], 1);
    expect_release(fx, 1);
    done_unrun(fx, flights[2]);
    expect_release(fx, 2);
    stored(fx, flights[0]);
    expect_settle(fx, 0, 1, true);
}

static void after_revoke_ms_what_is_out_is_dropped_and_never_settled(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 1));
    struct dri_flight *running = come(fx, 1, 2);
    struct dri_flight *publishing = come(fx, 2, 3);
    done_ok(fx, publishing);
    settled(fx, 0, 1, 1, DRAY_OK);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    tick_ms(fx, 999);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_unassign(fx, 0, 1); /* 1 is confirmed already, and nothing beyond may be settled */
    expect_nothing(fx);
    done_ok(fx, running);
    expect_release(fx, 1);
    stored(fx, publishing);
    expect_release(fx, 2);
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).settled);
}

static void after_revoke_ms_what_waits_to_be_published_again_is_released(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = come(fx, 0, 0);
    done_ok(fx, flight);
    for (int i = 0; i < 6; i++) {
        answer(fx, flight, DRI_CORE_UNKNOWN, DRAY_ETIMEOUT);
        tick_ms(fx, UINT64_C(100) << i);
    }
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    answer(fx, flight, DRI_CORE_UNKNOWN, DRAY_ETIMEOUT); /* again after 6.4 s */
    forget_said(fx);
    tick_ms(fx, 1000);
    expect_release(fx, 0);
    expect_unassign(fx, 0, 1);
}

static void a_final_settle_that_failed_is_sent_again_within_the_grace(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 0));
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    settled(fx, 0, 1, 1, DRAY_EBROKER);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_settle(fx, 0, 1, true);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_unassign(fx, 0, 1);
}

static void a_final_settle_that_is_stale_lets_go(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 0));
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    settled(fx, 0, 1, 1, DRAY_ESTALE);
    expect_unassign(fx, 0, 1);
    expect_nothing(fx);
}

static void another_slot_goes_on_while_one_is_revoked(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    assign(fx, 1, 5);
    come(fx, 0, 7);
    come(fx, 1, 7);
    struct dri_flight *other = record(fx, fill(fx, 1, 5, 0, 7)); /* behind them, same key */
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_release(fx, 1);
    expect_nothing(fx);
    about_slot(fx, DRI_CE_REVOKED, 1, 4); /* not its epoch */
    assert_int_equal(DRI_FLIGHT_QUEUED, other->state);
}

/* --- lost --- */

static void loss_drops_all_and_settles_nothing(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *running = come(fx, 0, 7);
    come(fx, 1, 7);
    struct dri_flight *publishing = come(fx, 2, 8);
    done_ok(fx, publishing);
    forget_said(fx);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_release(fx, 1);
    expect_unassign(fx, 0, 1);
    expect_nothing(fx);
    done_ok(fx, running);
    expect_release(fx, 0);
    stored(fx, publishing);
    expect_release(fx, 2);
    tick_ms(fx, 60000);
    expect_nothing(fx);
    assert_int_equal(0, stats_of(fx).settled);
    assert_int_equal(2, stats_of(fx).stale_completions);
}

static void a_late_completion_does_not_reach_the_next_assignment(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *old = come(fx, 0, 0);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    assign(fx, 0, 2);
    struct dri_flight *again = record(fx, fill(fx, 0, 2, 0, 0));
    forget_said(fx);
    done_ok(fx, old);
    expect_release(fx, 0);
    tick_ms(fx, 1000);
    expect_nothing(fx);
    succeed(fx, again);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
}

static void a_key_stays_held_until_its_dropped_flight_is_back(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *old = come(fx, 0, 7);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    assign(fx, 0, 2);
    record(fx, fill(fx, 0, 2, 0, 7));
    forget_said(fx);
    tick_ms(fx, 10000);
    expect_nothing(fx); /* the handler of the old one still runs */
    done_ok(fx, old);
    expect_release(fx, 0);
    expect_start(fx, 0);
}

static void a_settle_that_was_queued_before_the_loss_is_not_handed_out(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_event events[2] = {{.type = DRI_CE_DONE},
                                       {.type = DRI_CE_LOST, .slot = 0, .epoch = 1}};
    assign(fx, 0, 1);
    struct dri_flight *flight = fill(fx, 0, 1, 0, 0);
    flight->wants_result = false;
    record(fx, flight);
    forget_said(fx);
    flight->was_run = true;
    events[0].as.flight = flight;
    dri_core_step(fx->core, fx->now, events, 1);
    dri_core_step(fx->core, fx->now, events + 1, 1);
    fixture_read(fx);
    expect_release(fx, 0);
    expect_unassign(fx, 0, 1);
    expect_nothing(fx);
}

static void assignments_that_come_and_go_in_one_batch_cannot_fill_the_queue(void **state)
{
    static struct dri_core_event events[20000];
    struct fixture *fx = *state;
    for (uint32_t i = 0; i < DRI_ARRAY_LEN(events); i++) {
        events[i] = (struct dri_core_event){
            .type = i % 2 == 0 ? DRI_CE_ASSIGNED : DRI_CE_LOST, .slot = 0, .epoch = i / 2 + 1};
    }
    feed_all(fx, events, DRI_ARRAY_LEN(events));
    expect_unassign(fx, 0, DRI_ARRAY_LEN(events) / 2);
    expect_nothing(fx);
}

/* --- one by one, under a lease --- */

static void each_delivery_is_settled_right_when_its_outcome_is_stored(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    struct dri_flight *first = come(fx, 8, 0);
    struct dri_flight *second = come(fx, 5, 0); /* out of order is in order */
    forget_said(fx);
    succeed(fx, second);
    expect_publish(fx, 5, DRI_OUTCOME_RESULT);
    expect_ack(fx, 51);
    expect_release(fx, 5);
    succeed(fx, first);
    expect_publish(fx, 8, DRI_OUTCOME_RESULT);
    expect_ack(fx, 81);
    expect_release(fx, 8);
    expect_nothing(fx);
}

static void a_lease_is_renewed_at_each_third_until_the_settle(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    struct dri_flight *flight = come(fx, 0, 7);
    come(fx, 1, 7); /* what waits needs its lease too */
    expect_start(fx, 0);
    tick_ms(fx, 9999);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_flight(fx, DRI_CA_EXTEND, 0);
    expect_flight(fx, DRI_CA_EXTEND, 1);
    done_ok(fx, flight);
    forget_said(fx);
    tick_ms(fx, 10000); /* while it is being published */
    expect_flight(fx, DRI_CA_EXTEND, 0);
    expect_flight(fx, DRI_CA_EXTEND, 1);
    stored(fx, flight);
    forget_said(fx);
    tick_ms(fx, 10000);
    expect_flight(fx, DRI_CA_EXTEND, 1);
    expect_nothing(fx);
}

static void past_its_lease_a_delivery_is_only_settled(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    struct dri_flight *flight = come(fx, 0, 0);
    forget_said(fx);
    tick_ms(fx, 30000); /* nobody called for a whole lease */
    expect_nothing(fx);
    tick_ms(fx, 30000);
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).leases_lost);
    succeed(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_ack(fx, 1);
    expect_release(fx, 0);
}

static void a_redelivery_takes_over_the_delivery_and_renews_the_lease(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    struct dri_flight *flight = come(fx, 3, 0);
    tick_ms(fx, 40000);
    forget_said(fx);
    struct dri_flight *again = fill(fx, 0, 1, 3, 0);
    again->delivery = 999;
    again->deliveries = 2;
    record(fx, again);
    expect_release(fx, 3);
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).duplicates_in_flight);
    tick_ms(fx, 10000);
    expect_flight(fx, DRI_CA_EXTEND, 3);
    succeed(fx, flight);
    expect_publish(fx, 3, DRI_OUTCOME_RESULT);
    expect_ack(fx, 999);
    expect_release(fx, 3);
}

static void a_redelivery_of_what_was_just_settled_is_settled_without_a_run(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    succeed(fx, come(fx, 3, 0));
    forget_said(fx);
    struct dri_flight *again = fill(fx, 0, 1, 3, 0);
    again->delivery = 999;
    again->deliveries = 2;
    record(fx, again);
    expect_ack(fx, 999);
    expect_release(fx, 3);
    expect_nothing(fx);
}

static void a_first_delivery_always_runs(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    succeed(fx, come(fx, 3, 0));
    forget_said(fx);
    come(fx, 3, 0); /* the stream was made anew: the same number, another message */
    expect_start(fx, 3);
}

static void revoke_of_single_deliveries_needs_no_final_settle(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    struct dri_flight *flight = come(fx, 0, 7);
    come(fx, 1, 7);
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_flight(fx, DRI_CA_CANCEL, 0);
    expect_release(fx, 1);
    succeed(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_ack(fx, 1);
    expect_unassign(fx, 0, 1);
    expect_release(fx, 0);
    expect_nothing(fx);
}

static void slots_with_different_leases_are_renewed_each_in_its_time(void **state)
{
    struct fixture *fx = *state;
    assign_each(fx, 0, 1, 30000);
    assign_each(fx, 1, 1, 3000);
    come(fx, 0, 1);
    record(fx, fill(fx, 1, 1, 1, 2));
    forget_said(fx);
    for (int i = 0; i < 9; i++) {
        tick_ms(fx, 1000);
        expect_flight(fx, DRI_CA_EXTEND, 1);
        expect_nothing(fx);
    }
    tick_ms(fx, 1000);
    expect_flight(fx, DRI_CA_EXTEND, 0);
    expect_flight(fx, DRI_CA_EXTEND, 1);
}

/* --- drain and stop --- */

static void an_empty_core_is_drained_at_once(void **state)
{
    struct fixture *fx = *state;
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    expect_drained(fx, true);
    assert_int_equal(0, dri_core_room(fx->core));
}

static void a_drain_finishes_what_is_queued_and_settles_finally(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *first = come(fx, 0, 7);
    struct dri_flight *second = come(fx, 1, 7);
    forget_said(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    expect_nothing(fx);
    done_ok(fx, first);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_start(fx, 1);
    stored(fx, first);
    expect_release(fx, 0);
    succeed(fx, second);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    expect_release(fx, 1);
    expect_settle(fx, 0, 2, true);
    expect_nothing(fx);
    settled(fx, 0, 1, 2, DRAY_OK);
    expect_drained(fx, true);
}

static void a_drain_drops_a_retry_and_its_followers(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    done_retry(fx, come(fx, 0, 7), 60000);
    come(fx, 1, 7);
    struct dri_flight *other = come(fx, 2, 8);
    forget_said(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    expect_release(fx, 0);
    expect_release(fx, 1);
    expect_nothing(fx);
    succeed(fx, other);
    expect_publish(fx, 2, DRI_OUTCOME_RESULT);
    expect_release(fx, 2);
    expect_settle(fx, 0, 0, true); /* 0 was dropped: only that 2 is finished is new */
    settled(fx, 0, 1, 0, DRAY_OK);
    expect_drained(fx, true);
    assert_int_equal(2, stats_of(fx).dropped_on_drain);
}

static void a_run_that_fails_in_a_drain_drops_its_followers_too(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flights[4];
    assign(fx, 0, 1);
    for (uint64_t i = 0; i < 4; i++) {
        flights[i] = come(fx, i, 7);
    }
    succeed(fx, flights[0]);
    come(fx, 4, 7);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    done_retry(fx, flights[1], 100);
    expect_release(fx, 1);
    expect_release(fx, 4);
    done_unrun(fx, flights[2]);
    expect_release(fx, 2);
    done_unrun(fx, flights[3]);
    expect_release(fx, 3);
    expect_settle(fx, 0, 1, true);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_drained(fx, true);
}

static void a_record_that_comes_in_a_drain_is_released(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = fill(fx, 0, 1, 0, 0);
    come(fx, 1, 0);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    flight->offset = 2;
    record(fx, flight);
    expect_release(fx, 2);
}

static void drain_ms_bounds_a_drain(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *first = come(fx, 0, 1);
    struct dri_flight *second = come(fx, 1, 2);
    succeed(fx, first);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    tick_ms(fx, 4999);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_settle(fx, 0, 1, true);
    expect_drained(fx, false);
    done_ok(fx, second);
    expect_release(fx, 1);
    expect_nothing(fx);
}

static void a_drain_waits_for_a_dropped_flight_that_is_still_with_its_lane(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = come(fx, 0, 0);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    tick_ms(fx, 100);
    expect_nothing(fx);
    done_ok(fx, flight);
    expect_release(fx, 0);
    expect_drained(fx, true);
}

static void a_final_settle_of_a_drain_that_failed_is_sent_again(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 0));
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    settled(fx, 0, 1, 1, DRAY_EBROKER);
    expect_nothing(fx);
    tick_ms(fx, 100);
    expect_settle(fx, 0, 1, true);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_drained(fx, true);
}

static void a_revoke_in_a_drain_is_answered(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    struct dri_flight *flight = come(fx, 0, 0);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    succeed(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_RESULT);
    expect_settle(fx, 0, 1, true);
    expect_release(fx, 0);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_unassign(fx, 0, 1);
    expect_drained(fx, true);
}

static void after_the_drain_a_revoke_is_still_answered(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    expect_drained(fx, true);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_unassign(fx, 0, 1);
    expect_nothing(fx);
}

static void stop_is_drained_at_once_and_not_clean(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    succeed(fx, come(fx, 0, 1));
    struct dri_flight *running = come(fx, 1, 2);
    come(fx, 2, 2);
    struct dri_flight *publishing = come(fx, 3, 3);
    done_ok(fx, publishing);
    forget_said(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_STOP});
    expect_release(fx, 2);
    expect_settle(fx, 0, 1, true);
    expect_drained(fx, false);
    done_ok(fx, running);
    expect_release(fx, 1);
    stored(fx, publishing);
    expect_release(fx, 3);
    feed(fx, (struct dri_core_event){.type = DRI_CE_STOP});
    expect_nothing(fx);
}

static void a_stop_ends_a_drain(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    come(fx, 0, 1);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    forget_said(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_STOP});
    expect_drained(fx, false);
    tick_ms(fx, 10000);
    expect_nothing(fx);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_record_of_an_assignment_that_is_gone_is_released),
        CASE(a_barrier_settles_what_is_finished_before_its_time),
        CASE(between_its_outcomes_a_command_is_half_told_and_torn_when_given_up),
        CASE(an_offset_that_came_already_is_released),
        CASE(an_assignment_over_an_assignment_loses_the_first),
        CASE(a_settle_names_the_first_unfinished_offset),
        CASE(settles_are_at_least_settle_ms_apart),
        CASE(without_progress_nothing_is_settled),
        CASE(the_first_position_of_a_group_without_one_is_settled_at_once),
        CASE(a_log_that_begins_anew_below_the_commit_is_followed),
        CASE(a_settle_that_failed_is_sent_again_at_the_next_tick),
        CASE(an_answer_to_a_settle_of_another_epoch_says_nothing),
        CASE(a_settle_that_was_not_read_yet_tells_the_latest),
        CASE(revoke_drops_what_waits_and_waits_for_what_runs),
        CASE(a_slot_without_anything_to_settle_is_let_go_at_once),
        CASE(what_was_settled_and_confirmed_is_not_settled_again),
        CASE(what_was_settled_without_an_answer_is_settled_again_finally),
        CASE(a_record_after_revoke_is_stale),
        CASE(a_run_that_revoke_cancelled_leaves_no_dead_letter),
        CASE(a_verdict_of_the_handler_stands_in_a_revoke_too),
        CASE(the_unrun_rest_of_a_chain_is_dropped_in_a_revoke),
        CASE(after_revoke_ms_what_is_out_is_dropped_and_never_settled),
        CASE(after_revoke_ms_what_waits_to_be_published_again_is_released),
        CASE(a_final_settle_that_failed_is_sent_again_within_the_grace),
        CASE(a_final_settle_that_is_stale_lets_go),
        CASE(another_slot_goes_on_while_one_is_revoked),
        CASE(loss_drops_all_and_settles_nothing),
        CASE(a_late_completion_does_not_reach_the_next_assignment),
        CASE(a_key_stays_held_until_its_dropped_flight_is_back),
        CASE(a_settle_that_was_queued_before_the_loss_is_not_handed_out),
        CASE(assignments_that_come_and_go_in_one_batch_cannot_fill_the_queue),
        CASE(each_delivery_is_settled_right_when_its_outcome_is_stored),
        CASE(a_lease_is_renewed_at_each_third_until_the_settle),
        CASE(past_its_lease_a_delivery_is_only_settled),
        CASE(a_redelivery_takes_over_the_delivery_and_renews_the_lease),
        CASE(a_redelivery_of_what_was_just_settled_is_settled_without_a_run),
        CASE(a_first_delivery_always_runs),
        CASE(revoke_of_single_deliveries_needs_no_final_settle),
        CASE(slots_with_different_leases_are_renewed_each_in_its_time),
        CASE(an_empty_core_is_drained_at_once),
        CASE(a_drain_finishes_what_is_queued_and_settles_finally),
        CASE(a_drain_drops_a_retry_and_its_followers),
        CASE(a_run_that_fails_in_a_drain_drops_its_followers_too),
        CASE(a_record_that_comes_in_a_drain_is_released),
        CASE(drain_ms_bounds_a_drain),
        CASE(a_drain_waits_for_a_dropped_flight_that_is_still_with_its_lane),
        CASE(a_final_settle_of_a_drain_that_failed_is_sent_again),
        CASE(a_revoke_in_a_drain_is_answered),
        CASE(after_the_drain_a_revoke_is_still_answered),
        CASE(stop_is_drained_at_once_and_not_clean),
        CASE(a_stop_ends_a_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
