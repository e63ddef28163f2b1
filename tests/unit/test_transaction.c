/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "support/test.h"
#include "transaction.h"

#define INTERVAL_MS 100u
#define SLOTS       4u

struct fixture {
    struct dri_transaction *transaction;
    struct dri_now now;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.now = {.mono_ns = 1000000000}};
    test_ok(dri_transaction_create(INTERVAL_MS, SLOTS, &fixture.transaction));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    dri_transaction_destroy(fx->transaction);
    return 0;
}

static void pass_ms(struct fixture *fx, uint64_t ms)
{
    fx->now.mono_ns += ms * 1000000u;
}

static enum dri_strain settle(struct fixture *fx, uint64_t position, size_t text, bool is_final)
{
    static const uint8_t bytes[3900];
    struct dri_settle settle = {.slot = 1,
                                .epoch = 1,
                                .position = position,
                                .metadata = dray_slice_of(bytes, text),
                                .is_final = is_final};
    return dri_transaction_settled(fx->transaction, fx->now, &settle, 0);
}

static enum dri_transaction_step due(struct fixture *fx, uint32_t half_told)
{
    return dri_transaction_due(fx->transaction, fx->now, half_told);
}

/* One outcome, answered, and the time for it over. */
static void fill(struct fixture *fx)
{
    dri_transaction_handed(fx->transaction, fx->now, 1, 0);
    dri_transaction_answered(fx->transaction);
    pass_ms(fx, INTERVAL_MS);
}

static void an_empty_one_is_never_closed(void **state)
{
    struct fixture *fx = *state;
    assert_true(dri_transaction_deadline(fx->transaction) == UINT64_MAX);
    pass_ms(fx, 3600000);
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 0));
    assert_true(dri_transaction_takes_first(fx->transaction));
}

static void it_is_closed_a_time_after_its_first_outcome(void **state)
{
    struct fixture *fx = *state;
    dri_transaction_handed(fx->transaction, fx->now, 3, 0);
    for (int i = 0; i < 3; i++) {
        dri_transaction_answered(fx->transaction);
    }
    assert_true(dri_transaction_deadline(fx->transaction) ==
                fx->now.mono_ns + INTERVAL_MS * 1000000u);
    pass_ms(fx, INTERVAL_MS - 1);
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 0));
    pass_ms(fx, 1);
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
    assert_true(dri_transaction_close(fx->transaction, true, 0));
    assert_false(dri_transaction_takes_first(fx->transaction));
    assert_false(dri_transaction_takes_next(fx->transaction));
    dri_transaction_ended(fx->transaction, fx->now, 0);
    assert_true(dri_transaction_takes_first(fx->transaction));
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 0));
}

static void while_it_closes_only_what_continues_a_command_is_taken(void **state)
{
    struct fixture *fx = *state;
    fill(fx);
    dri_transaction_handed(fx->transaction, fx->now, 1, 0);
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 0)); /* one is out */
    assert_false(dri_transaction_takes_first(fx->transaction));
    assert_true(dri_transaction_takes_next(fx->transaction));
    dri_transaction_answered(fx->transaction);
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 1)); /* its second outcome is to come */
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
}

static void one_that_cannot_be_closed_is_thrown_away(void **state)
{
    struct fixture *fx = *state;
    fill(fx);
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 1));
    pass_ms(fx, 9999);
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 1));
    pass_ms(fx, 1);
    assert_int_equal(DRI_TRANSACTION_GIVE_UP, due(fx, 1));
    assert_false(dri_transaction_takes_next(fx->transaction));
}

static void one_with_an_outcome_of_a_command_given_up_is_not_committed(void **state)
{
    struct fixture *fx = *state;
    dri_transaction_handed(fx->transaction, fx->now, 1, 7); /* seven before it */
    dri_transaction_answered(fx->transaction);
    pass_ms(fx, INTERVAL_MS);
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
    assert_false(dri_transaction_close(fx->transaction, true, 8));
    dri_transaction_ended(fx->transaction, fx->now, 8);
    fill(fx);
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
}

static void one_whose_text_is_cut_is_not_committed(void **state)
{
    struct fixture *fx = *state;
    fill(fx);
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
    assert_false(dri_transaction_close(fx->transaction, false, 0));
}

static void a_last_settle_closes_it_at_once(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 10, 0, false));
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 0));
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 10, 0, true));
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
}

static void a_settle_while_it_is_committed_belongs_to_the_next(void **state)
{
    struct fixture *fx = *state;
    fill(fx);
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
    assert_true(dri_transaction_close(fx->transaction, true, 0));
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 10, 0, true));
    assert_int_equal(DRI_TRANSACTION_GO_ON, due(fx, 0));
    dri_transaction_ended(fx->transaction, fx->now, 0);
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
}

static void many_outcomes_close_it_before_its_time(void **state)
{
    struct fixture *fx = *state;
    dri_transaction_handed(fx->transaction, fx->now, 4999, 0);
    assert_true(dri_transaction_takes_first(fx->transaction));
    dri_transaction_handed(fx->transaction, fx->now, 1, 0);
    assert_false(dri_transaction_takes_first(fx->transaction));
    for (int i = 0; i < 5000; i++) {
        dri_transaction_answered(fx->transaction);
    }
    assert_int_equal(DRI_TRANSACTION_BARRIER, due(fx, 0));
}

static void a_slot_is_paused_while_its_text_is_long_and_something_of_it_is_in_flight(void **state)
{
    struct fixture *fx = *state;
    dri_transaction_assigned(fx->transaction, 1);
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 5, 3000, false)); /* restored; nothing came yet */
    dri_transaction_received(fx->transaction, 1, 99);
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 5, 1300, false));
    assert_int_equal(DRI_STRAIN_PAUSE, settle(fx, 5, 1301, false));
    assert_true(dri_transaction_is_strained(fx->transaction, 1));
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 6, 900, false));
    assert_int_equal(DRI_STRAIN_RESUME, settle(fx, 7, 899, false));
    assert_int_equal(DRI_STRAIN_PAUSE, settle(fx, 8, 2000, false));
    assert_int_equal(DRI_STRAIN_RESUME, settle(fx, 100, 2000, false)); /* all of it is finished */
    assert_int_equal(DRI_STRAIN_SAME, settle(fx, 100, 2000, false));
    dri_transaction_received(fx->transaction, 1, 100);
    assert_int_equal(DRI_STRAIN_PAUSE, settle(fx, 100, 2000, false));
    dri_transaction_assigned(fx->transaction, 1);
    assert_false(dri_transaction_is_strained(fx->transaction, 1));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_one_is_never_closed),
        CASE(it_is_closed_a_time_after_its_first_outcome),
        CASE(while_it_closes_only_what_continues_a_command_is_taken),
        CASE(one_that_cannot_be_closed_is_thrown_away),
        CASE(one_with_an_outcome_of_a_command_given_up_is_not_committed),
        CASE(one_whose_text_is_cut_is_not_committed),
        CASE(a_last_settle_closes_it_at_once),
        CASE(a_settle_while_it_is_committed_belongs_to_the_next),
        CASE(many_outcomes_close_it_before_its_time),
        CASE(a_slot_is_paused_while_its_text_is_long_and_something_of_it_is_in_flight),
    };
    return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
