/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_engine_window.c - commands of a route with a window, through the engine: what is published
 * where, and what a duplicate gets. */
#include "engine_fixture.h"

static void read_window(struct fixture *fixture, const struct published *record)
{
    fixture->events[fixture->events_count++] = (struct dri_transport_event){
        .type = DRI_TE_MESSAGE,
        .slot = 2,
        .epoch = 6,
        .as.message = {.value = dray_slice_of(record->value, record->value_len)}};
    turn(fixture);
}

static void set_window(struct fixture *fixture, uint32_t window_ms)
{
    fixture->window_ms = window_ms;
    fixture->revision++;
    turn(fixture);
}

static void a_duplicate_gets_the_stored_end_of_the_first_by_its_own_way(void **state)
{
    struct fixture *fixture = *state;
    set_window(fixture, 1000);
    receive(fixture, 5, (struct dri_envelope){.created_ms = 1});
    receive(fixture, 6, (struct dri_envelope){.reply_to = dray_slice_text("results.mine")});
    assert_int_equal(fixture->started_count, 1);
    finish(fixture, DRAY_KIND_NONE);
    assert_int_equal(fixture->started_count, 0); /* the second waits */
    assert_int_equal(fixture->published_count, 1);
    const struct published *record = &fixture->published[0];
    assert_string_equal(record->topic, "window.g.commands");
    assert_string_equal(record->dedup_id, "w:COMMANDS:5");
    assert_string_equal(record->key, "id-1");
    assert_int_equal(record->partition, 3);
    struct dri_result kept = result_of(record);
    test_slice("default", kept.ns);
    test_slice("do.it", kept.command);
    test_slice("COMMANDS/5", kept.source);
    acknowledge(fixture, record->token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->started_count, 0);
    assert_int_equal(fixture->published_count, 3);
    assert_string_equal(fixture->published[1].dedup_id, "r:COMMANDS:5");
    assert_string_equal(fixture->published[2].dedup_id, "r:COMMANDS:6");
    assert_string_equal(fixture->published[2].topic, "results.mine");
    for (int i = 1; i <= 2; i++) {
        struct dri_result result = result_of(&fixture->published[i]);
        assert_true(result.is_ok);
        assert_int_equal(result.is_duplicate, i == 2);
        assert_true(result.ts_ms == kept.ts_ms);
        assert_int_equal(result.us, 7);
        assert_int_equal(result.attempt, 1);
        test_slice("w-1", result.worker);
        assert_null(result.ns.at);
        assert_null(result.source.at);
    }
    acknowledge(fixture, fixture->published[1].token, DRI_ACK_STORED, DRAY_OK);
    acknowledge(fixture, fixture->published[2].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->settles_count, 2);
    struct dri_engine_stats stats;
    struct dri_core_stats core;
    read_window(fixture, record); /* our own, read back */
    dri_engine_stats(fixture->engine, &stats, &core);
    assert_int_equal(stats.window_entries, 1);
    assert_int_equal(stats.window_held, 1);
    assert_int_equal(core.answered, 1);
    fixture->now.wall_ms += 2000; /* the route looks back for 1000 */
    receive(fixture, 7, (struct dri_envelope){.created_ms = 1});
    assert_int_equal(fixture->started_count, 1);
}

static void a_command_that_comes_again_finds_itself_in_the_window(void **state)
{
    struct fixture *fixture = *state;
    set_window(fixture, 1000);
    receive(fixture, 5, (struct dri_envelope){.created_ms = 1});
    finish(fixture, DRAY_KIND_NONE);
    struct published record = fixture->published[0];
    dri_engine_destroy(fixture->engine); /* a crash, before the result was stored */
    fixture->published_count = 0;
    make_engine(fixture);
    turn(fixture);
    read_window(fixture, &record);
    receive(fixture, 5, (struct dri_envelope){.created_ms = 1});
    assert_int_equal(fixture->started_count, 0);
    assert_int_equal(fixture->published_count, 1);
    assert_string_equal(fixture->published[0].dedup_id, "r:COMMANDS:5");
    assert_false(result_of(&fixture->published[0]).is_duplicate);
}

static void a_window_that_was_taken_away_answers_and_runs_nobody(void **state)
{
    struct fixture *fixture = *state;
    set_window(fixture, 1000);
    fixture->events[fixture->events_count++] =
        (struct dri_transport_event){.type = DRI_TE_LOST, .slot = 2, .epoch = 6};
    receive(fixture, 5, (struct dri_envelope){.created_ms = 1});
    assert_int_equal(fixture->started_count, 0);
    assert_int_equal(fixture->published_count, 0);
    fixture->now.mono_ns += UINT64_C(61000000000);
    turn(fixture); /* looked at again */
    assert_int_equal(fixture->started_count, 0);
    fixture->events[fixture->events_count++] =
        (struct dri_transport_event){.type = DRI_TE_LOST, .slot = 1, .epoch = 7};
    turn(fixture);
    struct dri_engine_stats stats;
    struct dri_core_stats core;
    dri_engine_stats(fixture->engine, &stats, &core);
    assert_int_equal(core.in_flight, 0);
    assert_int_equal(core.dropped_on_revoke, 1);
    assert_int_equal(fixture->published_count, 0);
    assert_int_equal(fixture->settles_count, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_duplicate_gets_the_stored_end_of_the_first_by_its_own_way),
        CASE(a_command_that_comes_again_finds_itself_in_the_window),
        CASE(a_window_that_was_taken_away_answers_and_runs_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
