/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "assert.h"
#include "core/progress.h"
#include "core_expect.h"

/* What goes along with a settle, and what comes of it in the next assignment. */

static char kept[DRI_PROGRESS_BYTES_MAX];

/* Runs, "12-14 17" for [12, 15) and [17, 18). */
static void says(struct dray_slice metadata, uint64_t position, const char *wanted)
{
    char line[200] = "";
    size_t len = 0;
    struct dri_progress_reader reader;
    struct dri_progress_run run;
    if (!dray_slice_is_absent(metadata)) {
        assert_true(dri_progress_read(&reader, metadata, position));
        while (dri_progress_next(&reader, &run) && len < 150) {
            len += (size_t)snprintf(line + len, sizeof(line) - len,
                                    run.end - run.begin > 1 ? "%s%llu-%llu" : "%s%llu",
                                    len == 0 ? "" : " ", (unsigned long long)run.begin,
                                    (unsigned long long)(run.end - 1));
        }
    }
    assert_string_equal(wanted, line);
}

/* A settle that was just said: its metadata lives until the next step. Keeps a copy. */
static struct dray_slice expect_says(struct fixture *fx, uint64_t position, bool is_final,
                                     const char *wanted)
{
    const struct said *said = expect(fx, DRI_CA_SETTLE);
    struct dray_slice metadata = said->action.as.settle.metadata;
    assert_int_equal(position, said->action.as.settle.position);
    assert_int_equal(is_final, said->action.as.settle.is_final);
    says(metadata, position, wanted);
    memcpy(kept, metadata.at == NULL ? (const uint8_t *)"" : metadata.at, metadata.len);
    return dray_slice_of(metadata.len > 0 ? kept : NULL, metadata.len);
}

static void assign_with(struct fixture *fx, uint32_t slot, uint32_t epoch, int64_t committed,
                        struct dray_slice metadata)
{
    struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = slot, .epoch = epoch};
    event.as.assigned.is_watermark = true;
    event.as.assigned.committed = committed;
    event.as.assigned.metadata = metadata;
    feed(fx, event);
}

/* 0 retries for long; of 1 to 9 the even ones are finished, the others wait behind a retry. */
static void half_done(struct fixture *fx)
{
    assign(fx, 0, 1);
    done_retry(fx, come(fx, 0, 7), 3600000);
    for (uint64_t i = 1; i < 10; i++) {
        struct dri_flight *flight = come(fx, i, i % 2 == 0 ? 0 : 7);
        if (i % 2 == 0) {
            succeed(fx, flight);
        }
    }
    forget_said(fx);
}

/* --- while it lives --- */

static void behind_a_slow_command_the_rest_is_settled_by_metadata_alone(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    come(fx, 0, 7);
    struct dri_flight *second = come(fx, 1, 8);
    forget_said(fx);
    succeed(fx, second);
    fx->head = fx->tail - 2;
    expect_release(fx, 1);
    expect_says(fx, 0, false, "1"); /* the first one at once */
    succeed(fx, come(fx, 2, 8));
    succeed(fx, come(fx, 3, 8));
    forget_said(fx);
    tick_ms(fx, 99);
    expect_nothing(fx);
    tick_ms(fx, 1);
    expect_says(fx, 0, false, "1-3");
    expect_nothing(fx);
    settled(fx, 0, 1, 0, DRAY_OK);
    tick_ms(fx, 10000);
    expect_nothing(fx); /* nothing new */
}

static void settles_for_metadata_are_at_least_settle_ms_apart(void **state)
{
    struct fixture *fx = *state;
    uint32_t settles = 0;
    assign(fx, 0, 1);
    come(fx, 0, 7);
    for (uint64_t i = 1; i <= 100; i++) {
        succeed(fx, come(fx, i, 8));
        tick_ms(fx, 10);
    }
    for (size_t i = 0; i < fx->tail; i++) {
        settles += fx->said[i].action.type == DRI_CA_SETTLE;
    }
    assert_in_range(settles, 9, 12);
}

static void metadata_that_was_refused_with_its_settle_is_sent_again(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    tick_ms(fx, 100);
    expect_says(fx, 0, false, "2 4 6 8");
    settled(fx, 0, 1, 0, DRAY_EBROKER);
    tick_ms(fx, 100);
    expect_says(fx, 0, false, "2 4 6 8");
    settled(fx, 0, 1, 0, DRAY_OK);
    tick_ms(fx, 1000);
    expect_nothing(fx);
}

static void settles_of_several_slots_in_one_batch_keep_their_bytes_apart(void **state)
{
    struct fixture *fx = *state;
    struct dri_core_action actions[64];
    for (uint32_t slot = 0; slot < 3; slot++) {
        assign(fx, slot, 1);
        struct dri_flight *flights[6];
        for (uint64_t i = 0; i < 6; i++) {
            flights[i] = record(fx, fill(fx, slot, 1, i, 0));
            if (i < 5 && i != slot + 1) {
                done_retry(fx, flights[i], 3600000);
            }
        }
        succeed(fx, flights[5]); /* settled at once */
        succeed(fx, flights[slot + 1]);
    }
    fx->now.mono_ns += UINT64_C(1000000000);
    dri_core_step(fx->core, fx->now, NULL, 0);
    size_t count = dri_core_actions(fx->core, actions, DRI_ARRAY_LEN(actions));
    uint32_t settles = 0;
    for (size_t i = 0; i < count; i++) {
        const char *const wanted[] = {"1 5", "2 5", "3 5"};
        if (actions[i].type == DRI_CA_SETTLE) {
            settles++;
            says(actions[i].as.settle.metadata, actions[i].as.settle.position,
                 wanted[actions[i].slot]);
        }
    }
    assert_int_equal(3, settles);
}

/* --- at the end of an assignment --- */

static void a_revoke_says_what_is_finished_beyond_what_it_drops(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    for (uint64_t i = 0; i < 10; i++) {
        if (i == 0 || i % 2 == 1) {
            expect_release(fx, i);
        }
    }
    expect_says(fx, 0, true, "2 4 6 8");
    expect_nothing(fx);
    settled(fx, 0, 1, 0, DRAY_OK);
    expect_unassign(fx, 0, 1);
    expect_nothing(fx);
}

static void a_run_that_outlives_the_revoke_is_said_to_be_unfinished(void **state)
{
    struct fixture *fx = *state;
    assign(fx, 0, 1);
    come(fx, 0, 7);
    succeed(fx, come(fx, 1, 8));
    come(fx, 2, 7);
    succeed(fx, come(fx, 3, 8));
    forget_said(fx);
    about_slot(fx, DRI_CE_REVOKED, 0, 1);
    forget_said(fx);
    tick_ms(fx, 1000);
    expect_says(fx, 0, true, "1 3");
}

static void a_drain_and_a_stop_say_it_too(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_DRAIN});
    fx->head = fx->tail - 1;
    expect_says(fx, 0, true, "2 4 6 8");
    settled(fx, 0, 1, 0, DRAY_OK);
    expect_drained(fx, true);
    fixture_reopen(fx, fixture_config());
    half_done(fx);
    feed(fx, (struct dri_core_event){.type = DRI_CE_STOP});
    fx->head = fx->tail - 2;
    expect_says(fx, 0, true, "2 4 6 8");
    expect_drained(fx, false);
}

/* --- in the next one --- */

static void what_was_finished_is_not_run_again_and_the_watermark_passes_over_it(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    tick_ms(fx, 100);
    struct dray_slice metadata = expect_says(fx, 0, false, "2 4 6 8");
    fixture_reopen(fx, fixture_config());
    assign_with(fx, 0, 5, 0, metadata);
    for (uint64_t i = 0; i < 10; i++) {
        struct dri_flight *flight = record(fx, fill(fx, 0, 5, i, 0));
        if (i > 0 && i % 2 == 0) {
            expect_release(fx, i);
            continue;
        }
        expect_start(fx, i);
        succeed(fx, flight);
        expect_publish(fx, i, DRI_OUTCOME_RESULT);
        forget_said(fx);
    }
    assert_int_equal(4, stats_of(fx).skipped_finished);
    assert_int_equal(6, stats_of(fx).admitted);
    tick_ms(fx, 100);
    expect_says(fx, 10, false, "");
}

static void when_all_that_comes_is_finished_the_watermark_moves_still(void **state)
{
    struct fixture *fx = *state;
    struct dri_progress_writer writer;
    assign(fx, 0, 1);
    dri_progress_write(&writer, kept, 5);
    assert_true(dri_progress_add(&writer, 5, 8));
    assign_with(fx, 0, 2, 5, dri_progress_close(&writer));
    forget_said(fx);
    for (uint64_t i = 5; i < 8; i++) {
        record(fx, fill(fx, 0, 2, i, 0));
    }
    tick_ms(fx, 100);
    expect_release(fx, 5);
    fx->head = fx->tail - 1;
    expect_says(fx, 8, false, "");
}

static void a_restart_right_after_a_restart_forgets_nothing(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    tick_ms(fx, 100);
    struct dray_slice metadata = expect_says(fx, 0, false, "2 4 6 8");
    fixture_reopen(fx, fixture_config());
    assign_with(fx, 0, 5, 0, metadata);
    tick_ms(fx, 1000);
    expect_nothing(fx); /* the broker knows all that */
    succeed(fx, record(fx, fill(fx, 0, 5, 0, 0)));
    fx->head = fx->tail - 2;
    expect_release(fx, 0);
    metadata = expect_says(fx, 1, false, "2 4 6 8");
    about_slot(fx, DRI_CE_REVOKED, 0, 5);
    expect_says(fx, 1, true, "2 4 6 8"); /* the one before has no answer */
    fixture_reopen(fx, fixture_config());
    assign_with(fx, 0, 9, 1, metadata);
    about_slot(fx, DRI_CE_REVOKED, 0, 9);
    expect_unassign(fx, 0, 9);
    expect_nothing(fx);
}

static void metadata_that_says_nothing_is_counted_and_everything_runs(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    tick_ms(fx, 100);
    struct dray_slice metadata = expect_says(fx, 0, false, "2 4 6 8");
    fixture_reopen(fx, fixture_config());
    assign_with(fx, 0, 1, 1, metadata);                            /* of another position */
    assign_with(fx, 1, 1, -1, metadata);                           /* of none */
    assign_with(fx, 2, 1, 0, dray_slice_text("consumer-1 on h7")); /* of somebody else */
    kept[metadata.len - 1] ^= 1;
    assign_with(fx, 3, 1, 0, metadata);
    assert_int_equal(4, stats_of(fx).metadata_refused);
    for (uint32_t slot = 0; slot < 4; slot++) {
        forget_said(fx);
        record(fx, fill(fx, slot, 1, 2, 0));
        fx->head = fx->tail - 1;
        done_ok(fx, expect_start(fx, 2));
    }
    assert_int_equal(0, stats_of(fx).skipped_finished);
}

static void a_log_that_was_cut_has_finished_nothing(void **state)
{
    struct fixture *fx = *state;
    struct dri_progress_writer writer;
    dri_progress_write(&writer, kept, 100);
    assert_true(dri_progress_add(&writer, 101, 200));
    assign_with(fx, 0, 1, 100, dri_progress_close(&writer));
    come(fx, 0, 0);
    forget_said(fx);
    struct dri_flight *flight = come(fx, 150, 0);
    expect_start(fx, 150);
    succeed(fx, flight);
    forget_said(fx);
    tick_ms(fx, 100);
    expect_says(fx, 0, false, "1-150");
}

static void a_new_assignment_begins_with_its_own_metadata(void **state)
{
    struct fixture *fx = *state;
    half_done(fx);
    about_slot(fx, DRI_CE_LOST, 0, 1);
    forget_said(fx);
    assign(fx, 0, 2);
    for (uint64_t i = 0; i < 3; i++) {
        record(fx, fill(fx, 0, 2, i, 0));
        fx->head = fx->tail - 1;
        done_retry(fx, expect_start(fx, i), 3600000);
    }
    tick_ms(fx, 1000);
    expect_nothing(fx);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(behind_a_slow_command_the_rest_is_settled_by_metadata_alone),
        CASE(settles_for_metadata_are_at_least_settle_ms_apart),
        CASE(metadata_that_was_refused_with_its_settle_is_sent_again),
        CASE(settles_of_several_slots_in_one_batch_keep_their_bytes_apart),
        CASE(a_revoke_says_what_is_finished_beyond_what_it_drops),
        CASE(a_run_that_outlives_the_revoke_is_said_to_be_unfinished),
        CASE(a_drain_and_a_stop_say_it_too),
        CASE(what_was_finished_is_not_run_again_and_the_watermark_passes_over_it),
        CASE(when_all_that_comes_is_finished_the_watermark_moves_still),
        CASE(a_restart_right_after_a_restart_forgets_nothing),
        CASE(metadata_that_says_nothing_is_counted_and_everything_runs),
        CASE(a_log_that_was_cut_has_finished_nothing),
        CASE(a_new_assignment_begins_with_its_own_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
