/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core_expect.h"
#include "delay.h"
#include "groups.h"

/* Commands whose time has not come: near ones wait in the core, far ones go to a delay log. */

#define AFTER_MS 30000u

static int begin(void **state)
{
    struct fixture *fx = NULL;
    struct dri_core_config config = fixture_config();
    fixture_setup(state);
    fx = *state;
    config.delay_after_ms = AFTER_MS;
    fixture_reopen(fx, config);
    assign(fx, 0, 1);
    return 0;
}

static struct dri_flight *come_for(struct fixture *fx, uint64_t offset, uint64_t key,
                                   uint64_t in_ms)
{
    struct dri_flight *flight = fill(fx, 0, 1, offset, key);
    flight->not_before_ms = fx->now.wall_ms + in_ms;
    return record(fx, flight);
}

/* To where the core wants to be called, not before. */
static void sleep_until_due(struct fixture *fx)
{
    uint64_t due_ns = dri_core_next_deadline(fx->core);
    assert_true(due_ns != UINT64_MAX && due_ns >= fx->now.mono_ns);
    uint64_t before_ns = fx->now.mono_ns;
    fx->now.mono_ns = due_ns;
    fx->now.wall_ms += (due_ns - before_ns) / UINT64_C(1000000);
    feed_all(fx, NULL, 0);
}

/* --- near --- */

static void a_scheduled_command_starts_in_the_millisecond_in_which_it_is_due(void **state)
{
    struct fixture *fx = *state;
    uint64_t waits_ms[] = {1, 7, 10, 999, 29999, AFTER_MS};
    for (uint64_t i = 0; i < DRI_ARRAY_LEN(waits_ms); i++) {
        uint64_t due_ms = fx->now.wall_ms + waits_ms[i];
        struct dri_flight *flight = come_for(fx, i, 7, waits_ms[i]);
        expect_nothing(fx);
        for (int turns = 0; fx->head == fx->tail; turns++) {
            assert_true(turns < 100);
            sleep_until_due(fx); /* it also asks to be called for settles */
            while (fx->head != fx->tail && fx->said[fx->head].action.type == DRI_CA_SETTLE) {
                fx->head++;
            }
        }
        assert_ptr_equal(flight, expect_start(fx, i));
        assert_int_equal(due_ms, fx->now.wall_ms);
        succeed(fx, flight);
        forget_said(fx);
    }
}

static void it_holds_nothing_of_its_key_before_its_time(void **state)
{
    struct fixture *fx = *state;
    come_for(fx, 0, 7, 2000);
    struct dri_flight *follower = come(fx, 1, 7);
    assert_ptr_equal(follower, expect_start(fx, 1));
    done_ok(fx, follower);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    tick_ms(fx, 1999);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_start(fx, 0);
}

static void it_takes_its_place_behind_its_key_when_it_is_due(void **state)
{
    struct fixture *fx = *state;
    come_for(fx, 0, 7, 1000);
    struct dri_flight *running = come(fx, 1, 7);
    come(fx, 2, 7);
    expect_start(fx, 1);
    tick_ms(fx, 1000);
    expect_nothing(fx); /* its key runs */
    come(fx, 3, 7);
    done_ok(fx, running);
    expect_publish(fx, 1, DRI_OUTCOME_RESULT);
    const struct said *said = expect(fx, DRI_CA_START);
    const uint64_t order[] = {2, 0, 3};
    assert_int_equal(3, said->chain);
    assert_memory_equal(order, said->offsets, sizeof(order));
}

static void it_follows_the_wall_clock_when_that_is_set(void **state)
{
    struct fixture *fx = *state;
    come_for(fx, 0, 0, AFTER_MS);
    fx->now.wall_ms += AFTER_MS; /* somebody sets the clock */
    tick_ms(fx, AFTER_MS);
    expect_start(fx, 0);
}

static void a_clock_that_is_set_back_makes_it_wait_on(void **state)
{
    struct fixture *fx = *state;
    come_for(fx, 0, 7, 1000);
    fx->now.wall_ms -= 120000;
    tick_ms(fx, 1000);
    expect_nothing(fx);
    tick_ms(fx, 60000);
    tick_ms(fx, 59999);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_start(fx, 0);
}

static void after_its_deadline_it_expires_when_that_passes(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 7);
    flight->not_before_ms = fx->now.wall_ms + 20000;
    flight->deadline_ms = fx->now.wall_ms + 1000;
    record(fx, flight);
    tick_ms(fx, 1000);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
    assert_int_equal(DRAY_KIND_EXPIRED, flight->kind);
    assert_int_equal(1, stats_of(fx).expired);
}

static void a_drain_does_not_wait_for_it(void **state)
{
    struct fixture *fx = *state;
    come_for(fx, 0, 7, 20000);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    expect_release(fx, 0);
    expect_drained(fx, true);
    assert_int_equal(1, stats_of(fx).dropped_on_drain);
}

static void it_is_given_up_with_its_assignment(void **state)
{
    struct fixture *fx = *state;
    come_for(fx, 0, 7, 20000);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    expect_release(fx, 0);
    expect_unassign(fx, 0, 1);
    tick_ms(fx, 20000);
    expect_nothing(fx);
}

/* --- far --- */

static void a_far_one_is_settled_when_a_delay_log_has_it(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_for(fx, 0, 7, AFTER_MS + 1);
    assert_ptr_equal(flight, expect_publish(fx, 0, DRI_OUTCOME_DELAY));
    tick_ms(fx, 500);
    expect_nothing(fx); /* not before */
    assert_int_equal(0, stats_of(fx).in_flight);
    assert_int_equal(1, stats_of(fx).unacked);
    stored(fx, flight);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, false);
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).delayed);
}

static void an_unknown_publish_to_a_delay_log_is_repeated(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_for(fx, 0, 7, AFTER_MS + 1);
    expect_publish(fx, 0, DRI_OUTCOME_DELAY);
    answer(fx, flight, DRI_CORE_UNKNOWN, DRAY_ETIMEOUT);
    tick_ms(fx, 99);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_publish(fx, 0, DRI_OUTCOME_DELAY);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_EAUTH);
    tick_ms(fx, 200);
    expect_publish(fx, 0, DRI_OUTCOME_DELAY);
    stored(fx, flight);
    expect_release(fx, 0);
}

static void one_too_large_for_a_delay_log_waits_here(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_for(fx, 0, 7, 200000);
    expect_publish(fx, 0, DRI_OUTCOME_DELAY);
    answer(fx, flight, DRI_CORE_NOT_STORED, DRAY_ELIMIT);
    assert_int_equal(1, stats_of(fx).waiting);
    for (int i = 0; i < 199; i++) {
        tick_ms(fx, 1000);
        expect_nothing(fx);
    }
    tick_ms(fx, 1000);
    expect_start(fx, 0);
}

static void one_whose_place_is_lost_meanwhile_settles_nothing(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_for(fx, 0, 7, 200000);
    expect_publish(fx, 0, DRI_OUTCOME_DELAY);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    expect_unassign(fx, 0, 1);
    stored(fx, flight);
    expect_release(fx, 0);
    expect_nothing(fx);
}

static void a_drain_waits_until_a_delay_log_has_it(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_for(fx, 0, 7, 200000);
    expect_publish(fx, 0, DRI_OUTCOME_DELAY);
    about_slot(fx, DRI_CE_DRAIN, 0, 0);
    expect_nothing(fx);
    stored(fx, flight);
    expect_release(fx, 0);
    expect_settle(fx, 0, 1, true);
    settled(fx, 0, 1, 1, DRAY_OK);
    expect_drained(fx, true);
}

static void where_much_waits_already_what_is_near_goes_to_a_delay_log_too(void **state)
{
    struct fixture *fx = *state;
    for (uint64_t i = 0; i < 16; i++) {
        come_for(fx, i, 0, 20000);
    }
    expect_nothing(fx);
    come_for(fx, 16, 0, DRI_DELAY_LEAST_MS);
    expect_publish(fx, 16, DRI_OUTCOME_DELAY);
    come_for(fx, 17, 0, DRI_DELAY_LEAST_MS - 1);
    expect_nothing(fx); /* no log brings it back in time */
}

static void without_delay_logs_everything_waits_here(void **state)
{
    struct fixture *fx = *state;
    fixture_reopen(fx, fixture_config());
    assign(fx, 0, 1);
    come_for(fx, 0, 0, 10000000);
    expect_nothing(fx);
    assert_int_equal(1, stats_of(fx).waiting);
}

static void what_cannot_run_does_not_wait(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = fill(fx, 0, 1, 0, 7);
    flight->not_before_ms = fx->now.wall_ms + 1000000;
    flight->invalid = DRAY_KIND_AUTH;
    record(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_LETTER);
}

/* --- cancelled --- */

static void one_that_waits_ends_at_once_when_it_is_cancelled(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *flight = come_for(fx, 0, 7, 20000);
    assert_true(dri_core_is_early(flight));
    dri_core_cancel(fx->core, flight, DRAY_KIND_REJECTED);
    tick_ms(fx, 0);
    assert_ptr_equal(flight, expect_publish(fx, 0, DRI_OUTCOME_LETTER));
    assert_int_equal(DRAY_KIND_REJECTED, flight->kind);
    stored(fx, flight);
    expect_publish(fx, 0, DRI_OUTCOME_ERROR_RESULT);
    stored(fx, flight);
    expect_release(fx, 0);
    forget_said(fx);
    tick_ms(fx, 20000);
    assert_int_equal(0, stats_of(fx).retries + stats_of(fx).in_flight);
}

static void what_is_due_has_begun_or_is_on_its_way_is_not_early(void **state)
{
    struct fixture *fx = *state;
    struct dri_flight *running = come_for(fx, 0, 7, 10);
    struct dri_flight *queued = come_for(fx, 1, 7, 10);
    struct dri_flight *far = come_for(fx, 2, 8, 1000000);
    expect_publish(fx, 2, DRI_OUTCOME_DELAY);
    tick_ms(fx, 10);
    assert_false(dri_core_is_early(far));
    if (running->state != DRI_FLIGHT_RUNNING) { /* equal times: in any order */
        struct dri_flight *other = running;
        running = queued;
        queued = other;
    }
    assert_false(dri_core_is_early(running) || dri_core_is_early(queued));
    done_retry(fx, running, 100);
    assert_int_equal(DRI_FLIGHT_WAITING, running->state);
    assert_false(dri_core_is_early(running)); /* it has begun */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_scheduled_command_starts_in_the_millisecond_in_which_it_is_due),
        CASE(it_holds_nothing_of_its_key_before_its_time),
        CASE(it_takes_its_place_behind_its_key_when_it_is_due),
        CASE(it_follows_the_wall_clock_when_that_is_set),
        CASE(a_clock_that_is_set_back_makes_it_wait_on),
        CASE(after_its_deadline_it_expires_when_that_passes),
        CASE(a_drain_does_not_wait_for_it),
        CASE(it_is_given_up_with_its_assignment),
        CASE(a_far_one_is_settled_when_a_delay_log_has_it),
        CASE(an_unknown_publish_to_a_delay_log_is_repeated),
        CASE(one_too_large_for_a_delay_log_waits_here),
        CASE(one_whose_place_is_lost_meanwhile_settles_nothing),
        CASE(a_drain_waits_until_a_delay_log_has_it),
        CASE(where_much_waits_already_what_is_near_goes_to_a_delay_log_too),
        CASE(without_delay_logs_everything_waits_here),
        CASE(what_cannot_run_does_not_wait),
        CASE(one_that_waits_ends_at_once_when_it_is_cancelled),
        CASE(what_is_due_has_begun_or_is_on_its_way_is_not_early),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
