/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "core_park_expect.h"

static void a_long_retry_is_stored_then_settled_and_comes_back_when_it_is_due(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    assert_ptr_equal(want_publish(fx, 0, DRI_OUTCOME_PARK), flight);
    assert_int_equal(flight->park_due_ms, fx->now.wall_ms + LONG_MS);
    assert_int_equal(flight->park_kind, DRI_PARK_COMMAND);
    assert_false(flight->has_park_order);
    tick_ms(fx, 200);
    want_nothing(fx); /* no settle before it is stored */
    struct dri_core_parked copy = copy_of(flight, 0, 0);
    stored_at(fx, flight, 0);
    want_settle(fx, 0, 1);
    settled(fx, 0, 1, 1, DRAY_OK);
    assert_int_equal(stats_of(fx).in_flight, 0);
    read_back(fx, copy);
    tick_ms(fx, LONG_MS - 300);
    want_nothing(fx);
    tick_ms(fx, 200);
    struct dri_flight *out = come_out(fx, 0, 7);
    assert_int_equal(out->attempt, 2);
    succeed(fx, out);
    want_publish(fx, 0, DRI_OUTCOME_RESULT);
    tick_ms(fx, 100);
    want_settle(fx, 1, 1);
    want_forgotten(fx, 1000);
    assert_int_equal(stats_of(fx).parked_entries, 0);
    assert_int_equal(stats_of(fx).parked_keys, 0);
}

static void a_short_retry_waits_in_memory(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, 1000);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).waiting, 1);
    tick_ms(fx, 1000);
    want_start(fx, 0);
}

static void without_a_park_log_a_long_retry_waits_in_memory(void **state)
{
    struct fixture *fx = *state;
    fixture_reopen(fx, park_config());
    assign(fx, 0, 1); /* names slot 0, which is no park log */
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).waiting, 1);
}

static void followers_are_parked_one_by_one_in_their_order(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    want_start(fx, 0);
    struct dri_flight *second = come(fx, 1, 7);
    struct dri_flight *third = come(fx, 2, 7);
    done_retry(fx, first, LONG_MS);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    come(fx, 3, 8); /* another key is not held up */
    want_start(fx, 3);
    stored_at(fx, first, 0);
    assert_ptr_equal(want_publish(fx, 1, DRI_OUTCOME_PARK), second);
    assert_int_equal(second->park_due_ms, 0);
    answer(fx, second, DRI_CORE_UNKNOWN, DRAY_OK);
    tick_ms(fx, 50);
    want_nothing(fx); /* not the third, as long as nobody knows of the second */
    tick_ms(fx, 50);
    want_publish(fx, 1, DRI_OUTCOME_PARK);
    stored_at(fx, second, 2);
    assert_ptr_equal(want_publish(fx, 2, DRI_OUTCOME_PARK), third);
}

static void a_follower_that_comes_later_is_parked_behind_and_runs_behind(void **state)
{
    struct fixture *fx = *state;
    park_first(fx);
    struct dri_flight *follower = come(fx, 1, 7);
    want_publish(fx, 1, DRI_OUTCOME_PARK);
    struct dri_core_parked copy = copy_of(follower, 1, 1);
    stored_at(fx, follower, 1);
    read_back(fx, copy);
    tick_ms(fx, LONG_MS);
    want_settle(fx, 0, 2);
    settled(fx, 0, 1, 2, DRAY_OK);
    struct dri_flight *out = come_out(fx, 0, 7);
    want_nothing(fx); /* one at a time */
    succeed(fx, out);
    want_publish(fx, 0, DRI_OUTCOME_RESULT);
    want_settle(fx, 1, 1);
    struct dri_flight *second = come_out(fx, 1, 7);
    assert_int_equal(second->attempt, 1);
    struct dri_flight *live = come(fx, 2, 7); /* still parked: behind */
    forget_said(fx);
    assert_int_equal(live->state, DRI_FLIGHT_PARKING);
}

static void a_key_is_parked_until_its_copy_was_read_back(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    struct dri_core_parked copy = copy_of(flight, 5, 0);
    stored_at(fx, flight, 5);
    forget_said(fx);
    assert_true(dri_core_wants_parked(fx->core));
    struct dri_flight *next = come(fx, 1, 7);
    want_publish(fx, 1, DRI_OUTCOME_PARK);
    stored_at(fx, next, 6);
    forget_said(fx);
    read_back(fx, parked_of(3, 90, 9)); /* others before it do not count */
    read_back(fx, copy);
    assert_true(dri_core_wants_parked(fx->core));
    read_back(fx, parked_of(6, 1, 7));
    assert_false(dri_core_wants_parked(fx->core));
}

static void a_copy_that_nobody_knows_the_place_of_is_waited_for_by_name(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    struct dri_core_parked copy = copy_of(flight, 5, 0);
    stored(fx, flight);
    forget_said(fx);
    read_back(fx, parked_of(3, 90, 7));
    assert_true(dri_core_wants_parked(fx->core));
    read_back(fx, copy);
    assert_false(dri_core_wants_parked(fx->core));
}

static void a_copy_that_was_read_before_the_answer_is_not_waited_for(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    read_back(fx, copy_of(flight, 5, 0));
    stored(fx, flight);
    assert_false(dri_core_wants_parked(fx->core));
    assert_int_equal(stats_of(fx).parked_entries, 1);
}

static void a_message_whose_copy_is_parked_is_settled_without_a_run(void **state)
{
    struct fixture *fx = *state;
    read_back(fx, parked_of(0, 0, 7));
    forget_said(fx);
    come(fx, 0, 7);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).copies_dropped, 1);
}

static void a_second_record_of_one_message_is_settled_without_a_run(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_parked first = parked_of(0, 0, 0);
    struct dri_core_parked second = parked_of(1, 0, 0);
    first.due_ms = second.due_ms = fx->now.wall_ms + LONG_MS;
    read_back(fx, first);
    read_back(fx, second);
    want_forgotten(fx, 1001);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).parked_entries, 1);
    assert_int_equal(stats_of(fx).copies_dropped, 1);
}

static void nothing_comes_out_before_the_log_was_caught_up_with(void **state)
{
    struct fixture *fx = *state;
    fixture_reopen(fx, park_config());
    assign_park(fx, 1);
    assign_source(fx, 1);
    all_settled(fx);
    read_back(fx, parked_of(0, 0, 7));
    read_back(fx, parked_of(1, 1, 0));
    tick_ms(fx, LONG_MS);
    want_nothing(fx);
    assert_true(dri_core_wants_parked(fx->core));
    caught_up(fx);
    (void)take_out(fx, 1);
    (void)take_out(fx, 0);
    assert_false(dri_core_wants_parked(fx->core));
}

static void what_is_parked_again_keeps_its_place(void **state)
{
    struct fixture *fx = *state;
    all_settled(fx);
    read_back(fx, parked_of(0, 0, 7));
    read_back(fx, parked_of(1, 1, 7));
    struct dri_flight *out = come_out(fx, 0, 7);
    done_retry(fx, out, LONG_MS);
    assert_ptr_equal(want_publish(fx, 0, DRI_OUTCOME_PARK), out);
    assert_true(out->has_park_order);
    assert_int_equal(out->park_order, 0);
    struct dri_core_parked copy = copy_of(out, 2, 0);
    stored_at(fx, out, 2);
    tick_ms(fx, 200);
    want_settle(fx, 1, 1); /* the old one is finished */
    want_nothing(fx);      /* and the second does not come out */
    read_back(fx, copy);
    want_nothing(fx);
    tick_ms(fx, LONG_MS);
    struct dri_flight *again = come_out(fx, 2, 7);
    assert_int_equal(again->attempt, 2);
    done_ok(fx, again);
    want_publish(fx, 2, DRI_OUTCOME_RESULT);
    want_nothing(fx);
    stored(fx, again);
    assert_int_equal(stats_of(fx).rewritten, 1);
    come_out(fx, 1, 7);
}

static void of_copies_read_from_a_log_the_one_written_last_in_its_place_counts(void **state)
{
    struct fixture *fx = *state;
    fixture_reopen(fx, park_config());
    assign_park(fx, 1);
    assign_source(fx, 1);
    all_settled(fx);
    struct dri_core_parked second = parked_of(4, 0, 7);
    second.order = 0;
    second.attempts = 3;
    read_back(fx, parked_of(1, 1, 7));
    read_back(fx, parked_of(3, 0, 7)); /* a copy of what is gone: it has lost its place */
    read_back(fx, second);
    caught_up(fx);
    assert_int_equal(come_out(fx, 4, 7)->attempt, 4);
    want_nothing(fx);
}

static void what_comes_out_waits_on_when_it_cannot_be_had(void **state)
{
    struct fixture *fx = *state;
    all_settled(fx);
    read_back(fx, parked_of(0, 0, 7));
    dri_core_untake(fx->core, take_out(fx, 0));
    fixture_check(fx);
    tick_ms(fx, 500);
    want_nothing(fx);
    tick_ms(fx, 500);
    come_out(fx, 0, 7);
}

static void a_full_worker_lets_what_is_parked_come_out(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 64; i++) {
        come(fx, i, 100 + i);
    }
    assert_int_equal(dri_core_room(fx->core), 0);
    all_settled(fx);
    forget_said(fx);
    read_back(fx, parked_of(0, 90, 7));
    struct dri_flight *out = take_out(fx, 0);
    out->has_key = true;
    out->key_hash = 7;
    record(fx, out);
    assert_int_equal(out->state, DRI_FLIGHT_QUEUED); /* the lanes are full, too */
}

static void a_revoked_log_lets_go_of_its_entries(void **state)
{
    struct fixture *fx = *state;
    park_first(fx);
    struct dri_flight *running = come(fx, 1, 8);
    want_start(fx, 1);
    come(fx, 2, 7);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    about_slot(fx, DRI_CE_REVOKED, 1, 1);
    want_publish(fx, 2, DRI_OUTCOME_PARK);
    assert_int_equal(want(fx, DRI_CA_CANCEL)->offset, 1);
    want_forgotten(fx, 1000);
    assert_int_equal(stats_of(fx).parked_entries, 0);
    assert_int_equal(want(fx, DRI_CA_UNASSIGN)->action.slot, 1);
    done_retry(fx, running, LONG_MS); /* not parked any more: given up */
    want_nothing(fx);
}

static void what_does_not_fit_into_the_log_waits_in_memory(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    come(fx, 1, 7);
    done_retry(fx, flight, LONG_MS);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    want_nothing(fx);
    assert_int_equal(flight->state, DRI_FLIGHT_WAITING);
    tick_ms(fx, LONG_MS);
    assert_int_equal(want(fx, DRI_CA_START)->chain, 2);
    done_ok(fx, flight);
    want_publish(fx, 0, DRI_OUTCOME_RESULT);
}

/* Whether a command without a key that has to wait long is parked. */
static bool is_parked(struct fixture *fx, uint64_t offset)
{
    struct dri_flight *flight = come(fx, offset, 0);
    want_start(fx, offset);
    done_retry(fx, flight, LONG_MS);
    if (flight->state == DRI_FLIGHT_WAITING) {
        want_nothing(fx);
        return false;
    }
    want_publish(fx, offset, DRI_OUTCOME_PARK);
    stored_at(fx, flight, offset);
    return true;
}

static void a_copy_takes_its_place_also_before_it_was_read_back(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 16; i++) {
        assert_true(is_parked(fx, i)); /* as many as park_max */
    }
    assert_false(is_parked(fx, 16));
    struct dri_core_parked copy = parked_of(0, 0, 0);
    copy.due_ms = fx->now.wall_ms + LONG_MS;
    read_back(fx, copy);
    assert_false(is_parked(fx, 17));   /* an entry instead of a copy */
    about_slot(fx, DRI_CE_LOST, 1, 1); /* the fixture looks whether the counts go with it */
    assign_park(fx, 2);
}

static void no_more_goes_into_a_log_that_is_held(void **state)
{
    struct fixture *fx = *state;
    dri_core_hold_park(fx->core, 1, true);
    assert_false(is_parked(fx, 0));
    dri_core_hold_park(fx->core, 1, false);
    assert_true(is_parked(fx, 1));
}

static void a_park_log_of_a_stream_settles_each_record_by_itself(void **state)
{
    struct fixture *fx = *state;
    fixture_reopen(fx, park_config());
    struct dri_core_event park = {.type = DRI_CE_ASSIGNED, .slot = 1, .epoch = 1};
    park.as.assigned.is_park = true;
    park.as.assigned.committed = -1;
    park.as.assigned.park = UINT32_MAX;
    feed(fx, park);
    struct dri_core_event source = {.type = DRI_CE_ASSIGNED, .slot = 0, .epoch = 1};
    source.as.assigned.committed = -1;
    source.as.assigned.park = 1;
    source.as.assigned.origin_hash = ORIGIN;
    feed(fx, source);
    caught_up(fx);
    struct dri_flight *flight = come(fx, 4, 7);
    want_start(fx, 4);
    done_retry(fx, flight, LONG_MS);
    want_publish(fx, 4, DRI_OUTCOME_PARK);
    struct dri_core_parked copy = copy_of(flight, 9, 4);
    stored_at(fx, flight, 9);
    assert_int_equal(want(fx, DRI_CA_SETTLE)->action.as.settle.delivery, 41);
    read_back(fx, copy);
    read_back(fx, parked_of(10, 4, 7)); /* the same once more */
    const struct said *dropped = want(fx, DRI_CA_SETTLE);
    assert_int_equal(dropped->action.slot, 1);
    assert_int_equal(dropped->action.as.settle.delivery, 10);
    want_forgotten(fx, 1010);
    tick_ms(fx, LONG_MS);
    succeed(fx, come_out(fx, 9, 7));
    want_publish(fx, 9, DRI_OUTCOME_RESULT);
    const struct said *settle = want(fx, DRI_CA_SETTLE);
    assert_int_equal(settle->action.slot, 1);
    assert_int_equal(settle->action.as.settle.delivery, 9);
    want_forgotten(fx, 1009);
    assert_int_equal(stats_of(fx).parked_keys, 0);
}

static void a_drain_does_not_wait_for_what_is_parked(void **state)
{
    struct fixture *fx = *state;
    park_first(fx);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    assert_true(want(fx, DRI_CA_DRAINED)->action.as.is_clean);
}

static void a_stopped_key_stands_still_until_it_is_released(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_exhausted(fx, flight, DRI_EXHAUSTED_STOP_KEY);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    assert_int_equal(flight->park_kind, DRI_PARK_STOPPED);
    struct dri_core_parked copy = copy_of(flight, 0, 0);
    stored_at(fx, flight, 0);
    read_back(fx, copy);
    struct dri_flight *follower = come(fx, 1, 7);
    struct dri_core_parked second = copy_of(follower, 1, 1);
    stored_at(fx, follower, 1);
    read_back(fx, second);
    forget_said(fx);
    tick_ms(fx, 1000000);
    want_settle(fx, 0, 2);
    settled(fx, 0, 1, 2, DRAY_OK);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).stopped_keys, 1);
    read_back(fx, release_at(2, 7));
    assert_int_equal(stats_of(fx).stopped_keys, 0);
    struct dri_flight *out = come_out(fx, 0, 7);
    assert_int_equal(out->attempt, 1); /* as if it were new */
    succeed(fx, out);
    forget_said(fx);
    assert_int_equal(stats_of(fx).parked_entries, 2); /* the follower and the release */
}

static void a_release_is_not_over_when_a_drain_gives_up_what_it_let_go(void **state)
{
    struct fixture *fx = *state;
    all_settled(fx);
    struct dri_core_parked stopped = parked_of(0, 0, 7);
    stopped.kind = DRI_PARK_STOPPED;
    read_back(fx, stopped);
    read_back(fx, release_at(1, 7));
    struct dri_flight *out = come_out(fx, 0, 7);
    done_retry(fx, out, 500); /* it waits in memory, and nobody waits for that */
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    /* Whoever reads the log next finds the stopped one, and must find what released it. */
    while (fx->head < fx->tail) {
        const struct dri_core_action *said = &fx->said[fx->head++].action;
        assert_false(said->type == DRI_CA_SETTLE && said->slot == 1);
    }
    assert_int_equal(stats_of(fx).parked_entries, 1);
}

/* Two of key 7 run one after the other; the second fails and has to wait long. */
static struct dri_flight *second_fails(struct fixture *fx, struct dri_flight **ret_first)
{
    *ret_first = come(fx, 0, 7);
    want_start(fx, 0);
    done_ok(fx, *ret_first);
    want_publish(fx, 0, DRI_OUTCOME_RESULT);
    struct dri_flight *second = come(fx, 1, 7);
    want_start(fx, 1);
    done_retry(fx, second, LONG_MS);
    want_nothing(fx);
    assert_int_equal(second->state, DRI_FLIGHT_PARKING);
    return second;
}

/* One of key 7 at 1 that is parked behind the first, whose time has come. */
static struct dri_flight *park_second(struct fixture *fx)
{
    park_first(fx);
    struct dri_flight *second = come(fx, 1, 7);
    want_publish(fx, 1, DRI_OUTCOME_PARK);
    read_back(fx, copy_of(second, 1, 1));
    tick_ms(fx, LONG_MS);
    succeed(fx, come_out(fx, 0, 7));
    want_publish(fx, 0, DRI_OUTCOME_RESULT);
    return second;
}

static void what_is_parked_comes_out_when_its_source_is_settled(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *second = park_second(fx);
    want_nothing(fx); /* nobody knows yet that it is stored, so nothing can be settled */
    stored_at(fx, second, 1);
    want_nothing(fx);
    tick_ms(fx, 100);
    want_nothing(fx); /* a settle that was sent may be lost */
    settled(fx, 0, 1, 2, DRAY_OK);
    come_out(fx, 1, 7);
}

static void its_key_is_parked_meanwhile(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *second = park_second(fx);
    stored_at(fx, second, 1);
    come(fx, 2, 7);
    want_publish(fx, 2, DRI_OUTCOME_PARK); /* it does not overtake */
    come(fx, 3, 8);
    want_start(fx, 3); /* and others do not wait */
}

static void a_settle_that_failed_lets_nothing_out(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *second = park_second(fx);
    stored_at(fx, second, 1);
    tick_ms(fx, 100);
    settled(fx, 0, 1, 2, DRAY_ETIMEOUT);
    want_nothing(fx);
    tick_ms(fx, 100);
    want_settle(fx, 0, 2);
    want_nothing(fx);
    settled(fx, 0, 1, 2, DRAY_OK);
    come_out(fx, 1, 7);
}

static void a_settle_without_an_answer_is_said_again_for_what_would_come_out(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *second = park_second(fx);
    stored_at(fx, second, 1);
    tick_ms(fx, 100);
    forget_said(fx); /* with it the settle, which gets lost */
    tick_ms(fx, 2100);
    want_settle(fx, 0, 2);
    settled(fx, 0, 1, 2, DRAY_OK);
    come_out(fx, 1, 7);
}

/* What was parked and not settled comes again after a crash, and what is parked waits for it. */
static void after_a_restart_the_source_is_waited_for(void **state)
{
    struct fixture *fx = *state;
    come(fx, 0, 8);
    want_start(fx, 0);
    read_back(fx, parked_of(0, 1, 7));
    want_nothing(fx);
    tick_ms(fx, 1000);
    come(fx, 1, 7);
    assert_int_equal(stats_of(fx).copies_dropped, 1);
    want_nothing(fx);
    tick_ms(fx, 100);
    settled(fx, 0, 1, 0, DRAY_OK); /* and the metadata, that it is finished */
    come_out(fx, 0, 7);
}

static void a_source_that_does_not_come_is_not_waited_for_long(void **state)
{
    struct fixture *fx = *state;
    read_back(fx, parked_of(0, 1000, 7));
    for (int i = 0; i < 50; i++) {
        tick_ms(fx, 1000);
        want_nothing(fx);
    }
    for (int i = 0; i < 13; i++) {
        tick_ms(fx, 1000);
    }
    come_out(fx, 0, 7);
}

static void what_a_release_lets_go_waits_for_its_source_too(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_parked stopped = parked_of(0, 0, 7);
    stopped.kind = DRI_PARK_STOPPED;
    read_back(fx, stopped);
    read_back(fx, release_at(1, 7));
    want_nothing(fx);
    come(fx, 0, 7);
    tick_ms(fx, 100);
    settled(fx, 0, 1, 1, DRAY_OK);
    come_out(fx, 0, 7);
}

static void what_came_before_in_its_key_is_settled_before_a_copy_goes(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first;
    struct dri_flight *second = second_fails(fx, &first);
    tick_ms(fx, 200);
    want_nothing(fx); /* the outcome of the first is on the way */
    stored(fx, first);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    want_nothing(fx);
    settled(fx, 0, 1, 1, DRAY_OK);
    assert_ptr_equal(want_publish(fx, 1, DRI_OUTCOME_PARK), second);
    struct dri_core_parked copy = copy_of(second, 0, 1);
    stored_at(fx, second, 0);
    read_back(fx, copy);
    /* Nothing of its key ends now but what is parked: who follows does not wait. */
    come(fx, 2, 7);
    want_publish(fx, 2, DRI_OUTCOME_PARK);
}

static void a_settle_without_an_answer_is_said_again(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first;
    struct dri_flight *second = second_fails(fx, &first);
    stored(fx, first);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    tick_ms(fx, 1000);
    want_nothing(fx);
    tick_ms(fx, 1200);
    want_settle(fx, 0, 1);
    settled(fx, 0, 1, 1, DRAY_OK);
    assert_ptr_equal(want_publish(fx, 1, DRI_OUTCOME_PARK), second);
}

static void a_settle_that_was_refused_lets_no_copy_go(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first;
    struct dri_flight *second = second_fails(fx, &first);
    stored(fx, first);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    settled(fx, 0, 1, 1, DRAY_ETIMEOUT);
    want_nothing(fx);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    settled(fx, 0, 1, 1, DRAY_OK);
    assert_ptr_equal(want_publish(fx, 1, DRI_OUTCOME_PARK), second);
}

static void a_copy_that_waits_is_given_up_when_its_source_is_revoked(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first;
    (void)second_fails(fx, &first);
    stored(fx, first);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    want_settle(fx, 0, 1); /* the final one: it comes again, behind the first */
    assert_int_equal(stats_of(fx).dropped_on_revoke, 1);
    settled(fx, 0, 1, 1, DRAY_OK);
    want(fx, DRI_CA_UNASSIGN);
    want_nothing(fx);
}

static void a_copy_that_waits_is_given_up_in_a_drain(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first;
    (void)second_fails(fx, &first);
    come(fx, 2, 7);
    stored(fx, first);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    assert_int_equal(stats_of(fx).dropped_on_drain, 2);
    want_settle(fx, 0, 1);
    settled(fx, 0, 1, 1, DRAY_OK);
    assert_true(want(fx, DRI_CA_DRAINED)->action.as.is_clean);
}

static void a_copy_of_an_earlier_assignment_that_comes_late_is_not_made_again(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *first = come(fx, 0, 7);
    want_start(fx, 0);
    come(fx, 1, 7);
    done_retry(fx, first, LONG_MS);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    struct dri_core_parked copy = copy_of(first, 1, 0);
    struct dri_core_parked late = parked_of(0, 1, 7); /* of the second one */
    late.due_ms = fx->now.wall_ms + LONG_MS;
    read_back(fx, late);
    stored_at(fx, first, 1);
    read_back(fx, copy);
    tick_ms(fx, 100);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).copies_dropped, 1);
    assert_int_equal(stats_of(fx).settled, 2);
    assert_int_equal(stats_of(fx).in_flight, 0);
}

static void what_stands_behind_a_parked_key_gets_no_fallback(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_config config = park_config();
    config.groups_max = 2;
    fixture_reopen(fx, config);
    assign_park(fx, 1);
    assign_source(fx, 1);
    caught_up(fx);
    const struct dri_group_limits limits = {
        .failures = 1, .open_ms = 3 * LONG_MS, .has_fallback = true};
    dri_core_group_set(fx->core, 1, &limits);
    park_first(fx);
    struct dri_flight *failing = come_of(fx, 1, 9, 1);
    want_start(fx, 1);
    done_retry(fx, failing, 500); /* opens the breaker */
    come_of(fx, 2, 7, 1);
    want_publish(fx, 2, DRI_OUTCOME_PARK);
    come_of(fx, 3, 8, 1);
    assert_true(want_publish(fx, 3, DRI_OUTCOME_RESULT)->is_fallback);
    assert_int_equal(stats_of(fx).fallbacks, 1);
}

static void a_key_that_is_no_order_is_neither_parked_nor_stopped(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 7);
    flight->is_unparkable = true;
    record(fx, flight);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    want_nothing(fx);
    assert_int_equal(stats_of(fx).waiting, 1);
    tick_ms(fx, LONG_MS);
    want_start(fx, 0);
    done_exhausted(fx, flight, DRI_EXHAUSTED_STOP_KEY);
    assert_int_equal(want_publish(fx, 0, DRI_OUTCOME_LETTER)->sequence, DRI_SEQUENCE_NONE);
}

static void the_first_of_a_sequence_is_half_told_until_its_key_is_held(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_exhausted(fx, flight, DRI_EXHAUSTED_PARK_SEQUENCE);
    want_publish(fx, 0, DRI_OUTCOME_LETTER);
    assert_int_equal(dri_core_half_told(fx->core), 0);
    stored(fx, flight);
    assert_int_equal(dri_core_half_told(fx->core), 1);
    want_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, flight);
    assert_int_equal(dri_core_half_told(fx->core), 1);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    stored_at(fx, flight, 0);
    assert_int_equal(dri_core_half_told(fx->core), 0);
}

/* The first of key 7 fails for the last time: its letter and its HELD record are stored, and one
 * waits behind it. */
static struct dri_core_parked hold_first(struct fixture *fx, struct dri_flight **ret_second)
{
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    *ret_second = come(fx, 1, 7);
    done_exhausted(fx, flight, DRI_EXHAUSTED_PARK_SEQUENCE);
    want_publish(fx, 0, DRI_OUTCOME_LETTER);
    assert_int_equal(flight->sequence, DRI_SEQUENCE_FIRST);
    stored(fx, flight);
    want_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, flight);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    assert_int_equal(flight->park_kind, DRI_PARK_HELD);
    struct dri_core_parked held = copy_of(flight, 0, 0);
    stored_at(fx, flight, 0);
    return held;
}

/* Else it comes again when its key was released meanwhile, and runs behind that copy. */
static void the_first_of_a_sequence_is_settled_before_a_copy_goes(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *second;
    struct dri_core_parked held = hold_first(fx, &second);
    assert_int_equal(second->state, DRI_FLIGHT_PARKING);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    read_back(fx, held);
    want_nothing(fx);
    settled(fx, 0, 1, 1, DRAY_OK);
    want_publish(fx, 1, DRI_OUTCOME_PARK);
}

static void a_sequence_is_one_unit_of_letters_until_it_is_released(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *second;
    struct dri_core_parked held = hold_first(fx, &second);
    /* Nobody has read it back yet: the follower is parked. */
    tick_ms(fx, 100);
    settled(fx, 0, 1, 1, DRAY_OK);
    want_publish(fx, 1, DRI_OUTCOME_PARK);
    struct dri_core_parked behind = copy_of(second, 1, 1);
    read_back(fx, held);
    stored_at(fx, second, 1);
    read_back(fx, behind);
    settled(fx, 0, 1, 2, DRAY_OK);
    assert_int_equal(stats_of(fx).stopped_keys, 1);
    /* It comes out, and becomes a letter of the unit without a run. */
    struct dri_flight *member = take_out(fx, 1);
    member->has_key = true;
    member->key_hash = 7;
    record(fx, member);
    want_publish(fx, 1, DRI_OUTCOME_LETTER);
    assert_int_equal(member->sequence, DRI_SEQUENCE_MEMBER);
    assert_int_equal(member->unit_place, 1000);
    struct dri_flight *third = come(fx, 2, 7);
    want_nothing(fx); /* the letters stand in the order of the key */
    stored(fx, member);
    want_publish(fx, 1, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, member);
    want_publish(fx, 2, DRI_OUTCOME_LETTER);
    assert_int_equal(third->sequence, DRI_SEQUENCE_MEMBER);
    /* What a release writes does not become a letter again, and runs when it is let go. */
    struct dri_core_parked again = parked_of(2, 50, 7);
    again.is_of_release = true;
    again.source_hash = 50; /* a letter */
    read_back(fx, again);
    want_nothing(fx);
    stored(fx, third);
    want_publish(fx, 2, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, third);
    want_nothing(fx);
    struct dri_flight *fourth = come(fx, 3, 7);
    want_nothing(fx); /* until the third, which was no entry, is settled */
    tick_ms(fx, 100);
    want_settle(fx, 0, 3);
    settled(fx, 0, 1, 3, DRAY_OK);
    want_publish(fx, 3, DRI_OUTCOME_PARK);
    stored_at(fx, fourth, 3);
    read_back(fx, copy_of(fourth, 3, 3));
    read_back(fx, release_at(4, 7));
    tick_ms(fx, 100);
    settled(fx, 0, 1, 4, DRAY_OK);
    assert_int_equal(stats_of(fx).stopped_keys, 0);
    want_forgotten(fx, 1000);
    succeed(fx, come_out(fx, 2, 7));
    want_publish(fx, 2, DRI_OUTCOME_RESULT);
    succeed(fx, come_out(fx, 3, 7));
    want_publish(fx, 3, DRI_OUTCOME_RESULT);
    tick_ms(fx, 200);
    assert_int_equal(stats_of(fx).parked_keys, 0);
    assert_int_equal(stats_of(fx).parked_entries, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
        CASE(a_long_retry_is_stored_then_settled_and_comes_back_when_it_is_due),
        CASE(a_short_retry_waits_in_memory),
        CASE(without_a_park_log_a_long_retry_waits_in_memory),
        CASE(followers_are_parked_one_by_one_in_their_order),
        CASE(a_follower_that_comes_later_is_parked_behind_and_runs_behind),
        CASE(a_key_is_parked_until_its_copy_was_read_back),
        CASE(a_copy_that_nobody_knows_the_place_of_is_waited_for_by_name),
        CASE(a_copy_that_was_read_before_the_answer_is_not_waited_for),
        CASE(a_message_whose_copy_is_parked_is_settled_without_a_run),
        CASE(a_second_record_of_one_message_is_settled_without_a_run),
        CASE(nothing_comes_out_before_the_log_was_caught_up_with),
        CASE(what_is_parked_again_keeps_its_place),
        CASE(of_copies_read_from_a_log_the_one_written_last_in_its_place_counts),
        CASE(what_comes_out_waits_on_when_it_cannot_be_had),
        CASE(a_full_worker_lets_what_is_parked_come_out),
        CASE(a_revoked_log_lets_go_of_its_entries),
        CASE(what_does_not_fit_into_the_log_waits_in_memory),
        CASE(a_copy_takes_its_place_also_before_it_was_read_back),
        CASE(no_more_goes_into_a_log_that_is_held),
        CASE(a_park_log_of_a_stream_settles_each_record_by_itself),
        CASE(a_release_is_not_over_when_a_drain_gives_up_what_it_let_go),
        CASE(a_drain_does_not_wait_for_what_is_parked),
        CASE(a_stopped_key_stands_still_until_it_is_released),
        CASE(the_first_of_a_sequence_is_settled_before_a_copy_goes),
        CASE(a_sequence_is_one_unit_of_letters_until_it_is_released),
        CASE(what_is_parked_comes_out_when_its_source_is_settled),
        CASE(its_key_is_parked_meanwhile),
        CASE(a_settle_that_failed_lets_nothing_out),
        CASE(a_settle_without_an_answer_is_said_again_for_what_would_come_out),
        CASE(after_a_restart_the_source_is_waited_for),
        CASE(a_source_that_does_not_come_is_not_waited_for_long),
        CASE(what_a_release_lets_go_waits_for_its_source_too),
        CASE(what_came_before_in_its_key_is_settled_before_a_copy_goes),
        CASE(a_settle_without_an_answer_is_said_again),
        CASE(a_settle_that_was_refused_lets_no_copy_go),
        CASE(a_copy_that_waits_is_given_up_when_its_source_is_revoked),
        CASE(a_copy_that_waits_is_given_up_in_a_drain),
        CASE(a_copy_of_an_earlier_assignment_that_comes_late_is_not_made_again),
        CASE(what_stands_behind_a_parked_key_gets_no_fallback),
        CASE(a_key_that_is_no_order_is_neither_parked_nor_stopped),
        CASE(the_first_of_a_sequence_is_half_told_until_its_key_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
