/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_engine.c - the shell around the core, with a transport and an executor that only record.
 *
 * Faults, many messages and many seeds are the simulator's part.
 */
#include "engine_fixture.h"
#include "headers.h"
#include "letter.h"

static void a_command_is_settled_only_after_its_result_was_stored(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 5, (struct dri_envelope){.created_ms = 1});
    assert_int_equal(fixture->started_count, 1);
    assert_int_equal(fixture->published_count, 0);
    finish(fixture, DRAY_KIND_NONE);
    assert_int_equal(fixture->published_count, 1);
    assert_int_equal(fixture->settles_count, 0);
    assert_string_equal(fixture->published[0].topic, "results");
    assert_string_equal(fixture->published[0].key, "k");
    assert_string_equal(fixture->published[0].dedup_id, "r:COMMANDS:5");
    struct dri_result result = result_of(&fixture->published[0]);
    assert_true(result.is_ok);
    test_slice("id-1", result.id);
    test_slice("1.0.0", result.version);
    test_slice("w-1", result.worker);
    assert_int_equal(result.us, 7);
    assert_int_equal(result.attempt, 1);
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->settles_count, 1);
    assert_int_equal(fixture->settles[0].delivery, 105);
    assert_int_equal(fixture->settles[0].epoch, 7);
}

static void malformed_bytes_become_a_letter_unchanged_with_their_headers(void **state)
{
    struct fixture *fixture = *state;
    uint8_t headers[200];
    size_t headers_len = 0;
    test_ok(dri_headers_append(headers, sizeof(headers), &headers_len, dray_slice_text("mine"),
                               dray_slice_text("kept")));
    receive_bytes(fixture, 6, "garbage", 7, dray_slice_of(headers, headers_len));
    assert_int_equal(fixture->started_count, 0);
    assert_int_equal(fixture->published_count, 1);
    const struct published *letter = &fixture->published[0];
    assert_string_equal(letter->topic, "dlq");
    assert_string_equal(letter->dedup_id, "d:COMMANDS:6");
    assert_int_equal(letter->value_len, 7);
    assert_memory_equal(letter->value, "garbage", 7);
    struct dray_slice sent = dray_slice_of(letter->headers, letter->headers_len);
    test_slice("kept", dri_headers_find(sent, "mine"));
    test_slice("invalid", dri_headers_find(sent, "dray-dlq-reason"));
    test_slice("COMMANDS/6", dri_headers_find(sent, "dray-dlq-source"));
    assert_non_null(dri_headers_find(sent, "dray-dlq-message").at);
    acknowledge(fixture, letter->token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->published_count, 1); /* no id, so nobody to tell */
    assert_int_equal(fixture->settles_count, 1);
}

static void a_failure_publishes_its_letter_first_then_the_error_result(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 7, (struct dri_envelope){.created_ms = 1});
    finish(fixture, DRAY_KIND_REJECTED);
    assert_int_equal(fixture->published_count, 1);
    assert_string_equal(fixture->published[0].topic, "dlq");
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->published_count, 2);
    assert_int_equal(fixture->settles_count, 0);
    struct dri_result result = result_of(&fixture->published[1]);
    assert_false(result.is_ok);
    assert_true(result.is_dead_letter);
    assert_int_equal(result.kind, DRAY_KIND_REJECTED);
    acknowledge(fixture, fixture->published[1].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->settles_count, 1);
}

static void an_empty_reply_to_publishes_nothing_and_settles_at_once(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 8, (struct dri_envelope){.reply_to = dray_slice_of("", 0)});
    finish(fixture, DRAY_KIND_NONE);
    assert_int_equal(fixture->published_count, 0);
    assert_int_equal(fixture->settles_count, 1);
}

static void an_inbox_is_told_beside_the_stored_result(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 9, (struct dri_envelope){.reply_to = dray_slice_text("_INBOX.abc.1")});
    finish(fixture, DRAY_KIND_NONE);
    assert_int_equal(fixture->published_count, 2);
    assert_true(fixture->published[0].is_courtesy);
    assert_string_equal(fixture->published[0].topic, "_INBOX.abc.1");
    assert_false(fixture->published[1].is_courtesy);
    assert_string_equal(fixture->published[1].topic, "results");
    acknowledge(fixture, fixture->published[1].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->settles_count, 1);
}

static void reply_to_goes_only_where_it_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *reply_to, *topic;
        bool has_failed;
    } rows[] = {
        {"results.mine", "results.mine", false},
        {"results", "results", false},
        {"results.a.b", "results", true},
        {"commands", "results", true},
        {"_INBOX", "results", true},
        {"resultsx", "results", true},
        {"results.", "results", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture->published_count = 0;
        receive(fixture, 10 + i,
                (struct dri_envelope){.reply_to = dray_slice_text(rows[i].reply_to)});
        finish(fixture, DRAY_KIND_NONE);
        assert_string_equal(fixture->published[0].topic, rows[i].topic);
        struct dri_result result = result_of(&fixture->published[0]);
        assert_int_equal(result.reply_failed.at != NULL, rows[i].has_failed);
    }
}

static void a_target_that_refuses_gets_its_result_in_the_results_topic(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 20, (struct dri_envelope){.reply_to = dray_slice_text("results.gone")});
    finish(fixture, DRAY_KIND_NONE);
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_NOT_STORED, DRAY_ENOTFOUND);
    assert_int_equal(fixture->published_count, 2);
    assert_string_equal(fixture->published[1].topic, "results");
    assert_non_null(result_of(&fixture->published[1]).reply_failed.at);
    assert_int_equal(fixture->settles_count, 0);
}

static void a_result_that_is_too_large_becomes_a_limit_error_and_runs_no_more(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 21, (struct dri_envelope){.created_ms = 1});
    finish(fixture, DRAY_KIND_NONE);
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_NOT_STORED, DRAY_ELIMIT);
    assert_int_equal(fixture->published_count, 2);
    struct dri_result result = result_of(&fixture->published[1]);
    assert_false(result.is_ok);
    assert_int_equal(result.kind, DRAY_KIND_LIMIT);
    assert_false(result.is_dead_letter);
    assert_int_equal(fixture->started_count, 0);
}

static void a_letter_that_does_not_fit_leaves_its_bytes_out_and_says_so(void **state)
{
    struct fixture *fixture = *state;
    receive_bytes(fixture, 22, "garbage", 7, (struct dray_slice){NULL, 0});
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_NOT_STORED, DRAY_ELIMIT);
    assert_int_equal(fixture->published_count, 2);
    const struct published *letter = &fixture->published[1];
    struct dray_slice headers = dray_slice_of(letter->headers, letter->headers_len);
    assert_int_equal(letter->value_len, 0);
    test_slice("1", dri_headers_find(headers, "dray-dlq-pointer"));
    test_slice("7", dri_headers_find(headers, "dray-dlq-size"));
    assert_int_equal(dri_headers_find(headers, "dray-dlq-sha256").len, 64);
}

static void an_unknown_acknowledgement_publishes_the_same_again(void **state)
{
    struct fixture *fixture = *state;
    receive_bytes(fixture, 23, "garbage", 7, (struct dray_slice){NULL, 0});
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_UNKNOWN, DRAY_OK);
    for (unsigned i = 0; i < 50 && fixture->published_count < 2; i++) {
        turn(fixture);
    }
    assert_int_equal(fixture->published_count, 2);
    assert_int_equal(fixture->settles_count, 0);
    assert_string_equal(fixture->published[1].dedup_id, fixture->published[0].dedup_id);
    assert_int_equal(fixture->published[1].headers_len, fixture->published[0].headers_len);
    assert_memory_equal(fixture->published[1].headers, fixture->published[0].headers,
                        fixture->published[0].headers_len);
}

static void await_published(struct fixture *fixture, size_t count)
{
    for (unsigned i = 0; i < 50 && fixture->published_count < count; i++) {
        turn(fixture);
    }
    assert_int_equal(fixture->published_count, count);
}

static void an_id_that_is_taken_by_another_message_gets_the_time_of_the_source(void **state)
{
    static const uint8_t mark[] = "\xa1v\x01\xa2id\xa4id-1";
    struct fixture *fixture = *state;
    receive(fixture, 41, (struct dri_envelope){.created_ms = 1});
    finish(fixture, DRAY_KIND_REJECTED);
    assert_string_equal(fixture->published[0].dedup_id, "d:COMMANDS:41");
    assert_int_equal(fixture->published[0].dedup_from_ms, SOURCE_MS);
    assert_int_equal(fixture->published[0].mark_at, 0); /* the whole message */
    assert_int_equal(fixture->published[0].mark_len, fixture->published[0].value_len);
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_STORED, DRAY_OK);
    await_published(fixture, 2);
    assert_string_equal(fixture->published[1].dedup_id, "r:COMMANDS:41");
    assert_int_equal(fixture->published[1].dedup_from_ms, SOURCE_MS);
    assert_int_equal(fixture->published[1].mark_len, sizeof(mark) - 1);
    assert_memory_equal(fixture->published[1].value + fixture->published[1].mark_at, mark,
                        sizeof(mark) - 1);
    acknowledge(fixture, fixture->published[1].token, DRI_ACK_UNKNOWN, DRAY_EEXISTS);
    await_published(fixture, 3);
    assert_int_equal(fixture->settles_count, 0);
    assert_string_equal(fixture->published[2].dedup_id, "r:COMMANDS:41:1690000000123");
    assert_int_equal(fixture->published[2].dedup_from_ms, 0); /* nobody else has that one */
    acknowledge(fixture, fixture->published[2].token, DRI_ACK_UNKNOWN, DRAY_EBROKER);
    await_published(fixture, 4);
    assert_string_equal(fixture->published[3].dedup_id, "r:COMMANDS:41:1690000000123");
    acknowledge(fixture, fixture->published[3].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->settles_count, 1);
    receive(fixture, 42, (struct dri_envelope){.created_ms = 1});
    finish(fixture, DRAY_KIND_NONE); /* the same record of the slab */
    await_published(fixture, 5);
    assert_string_equal(fixture->published[4].dedup_id, "r:COMMANDS:42");
}

static void what_the_broker_will_soon_drop_is_dead_lettered_and_not_run(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 50, (struct dri_envelope){.created_ms = 1});
    assert_int_equal(fixture->started_count, 0);
    assert_int_equal(fixture->published_count, 1);
    struct dray_slice headers =
        dray_slice_of(fixture->published[0].headers, fixture->published[0].headers_len);
    test_slice("limit", dri_headers_find(headers, "dray-dlq-reason"));
    assert_non_null(dri_headers_find(headers, "dray-dlq-message").at);
    acknowledge(fixture, fixture->published[0].token, DRI_ACK_STORED, DRAY_OK);
    await_published(fixture, 2); /* the error result */
    acknowledge(fixture, fixture->published[1].token, DRI_ACK_STORED, DRAY_OK);
    assert_int_equal(fixture->settles_count, 1);
}

static void without_a_time_of_the_source_nothing_is_asked_of_the_id(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 40, (struct dri_envelope){.created_ms = 1});
    finish(fixture, DRAY_KIND_NONE);
    assert_int_equal(fixture->published[0].dedup_from_ms, 0);
}

static void what_a_full_transport_does_not_take_goes_out_later_in_order(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 24; i < 30; i++) {
        receive(fixture, i, (struct dri_envelope){.created_ms = 1});
        fixture->take_max = 0;
        for (unsigned tries = 0; fixture->started_count == 0 && tries < 8; tries++) {
            turn(fixture);
        }
        finish(fixture, DRAY_KIND_NONE);
    }
    assert_int_equal(fixture->published_count, 0);
    fixture->take_max = 1;
    for (unsigned i = 0; i < 20; i++) {
        turn(fixture);
    }
    assert_int_equal(fixture->published_count, 6);
    for (size_t i = 0; i < 6; i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "r:COMMANDS:%zu", 24 + i);
        assert_string_equal(fixture->published[i].dedup_id, wanted);
    }
}

static void a_namespace_that_is_not_served_is_dead_lettered_as_auth(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 31, (struct dri_envelope){.namespace_ = dray_slice_text("theirs")});
    assert_int_equal(fixture->started_count, 0);
    struct dray_slice headers =
        dray_slice_of(fixture->published[0].headers, fixture->published[0].headers_len);
    test_slice("auth", dri_headers_find(headers, "dray-dlq-reason"));
    test_slice("theirs", dri_headers_find(headers, "dray-dlq-namespace"));
}

static void names_may_be_replaced_between_two_turns(void **state)
{
    struct fixture *fixture = *state;
    static const char *const patterns[] = {"mine"};
    dri_engine_set_names(fixture->engine, NULL, patterns, 1);
    receive(fixture, 31,
            (struct dri_envelope){.namespace_ = dray_slice_text("theirs"),
                                  .reply_to = dray_slice_text("mine")});
    assert_int_equal(fixture->started_count, 1);
    finish(fixture, DRAY_KIND_NONE);
    assert_string_equal(fixture->published[0].topic, "mine");
    fixture->published_count = 0;
    receive(fixture, 32, (struct dri_envelope){.reply_to = dray_slice_text("results.mine")});
    finish(fixture, DRAY_KIND_NONE);
    assert_non_null(result_of(&fixture->published[0]).reply_failed.at);
}

static void what_is_assigned_is_paused_while_it_is_quiet(void **state)
{
    struct fixture *fixture = *state;
    turn(fixture); /* takes the assignment of slot 1 in epoch 7 */
    dri_engine_set_quiet(fixture->engine, true);
    assert_string_equal(fixture->pauses, "+1/7 ");
    fixture->events[0] =
        (struct dri_transport_event){.type = DRI_TE_ASSIGNED,
                                     .slot = 3,
                                     .epoch = 2,
                                     .as.assigned = {.mode = DRI_SETTLE_EACH,
                                                     .committed = -1,
                                                     .lease_ns = 30000000000,
                                                     .origin = dray_slice_text("OTHER"),
                                                     .topic = dray_slice_text("commands")}};
    fixture->events_count = 1;
    turn(fixture);
    assert_string_equal(fixture->pauses, "+1/7 +3/2 ");
    dri_engine_set_quiet(fixture->engine, false);
    assert_string_equal(fixture->pauses, "+1/7 +3/2 -1/7 -3/2 ");
    turn(fixture);
    assert_string_equal(fixture->pauses, "+1/7 +3/2 -1/7 -3/2 ");
}

static void a_limit_of_nothing_asks_the_broker_for_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct dri_core_limits limits = {.in_flight_max = 0,
                                     .unacked_max = 32,
                                     .bytes_max = 1u << 20,
                                     .settle_ms = 100,
                                     .revoke_ms = 1000,
                                     .drain_ms = 1000};
    dri_engine_set_limits(fixture->engine, &limits);
    turn(fixture);
    assert_int_equal(fixture->messages_max, 0);
    limits.in_flight_max = 5;
    dri_engine_set_limits(fixture->engine, &limits);
    turn(fixture);
    assert_int_equal(fixture->messages_max, 5);
}

static void an_engine_that_is_destroyed_in_flight_leaks_nothing(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, 32, (struct dri_envelope){.created_ms = 1});
    receive_bytes(fixture, 33, "garbage", 7, (struct dray_slice){NULL, 0});
    assert_int_equal(fixture->started_count, 1); /* tear_down destroys and counts blocks */
}

/* A malformed copy of a dead letter on the replay source, slot 2. */
static void receive_copy(struct fixture *fixture, uint64_t offset, const char *replays)
{
    static uint8_t headers[EVENTS][256];
    size_t len = 0;
    test_ok(dri_headers_append(headers[offset], 256, &len, dray_slice_text("dray-replay-of"),
                               dray_slice_text("DLQ/3")));
    test_ok(dri_headers_append(headers[offset], 256, &len, dray_slice_text("dray-replays"),
                               dray_slice_text(replays)));
    fixture->events[fixture->events_count++] = (struct dri_transport_event){
        .type = DRI_TE_MESSAGE,
        .slot = 2,
        .epoch = 9,
        .as.message = {.offset = offset,
                       .delivery = 200 + offset,
                       .deliveries = 1,
                       .subject = dray_slice_text("replay"),
                       .value = dray_slice_text("garbage"),
                       .headers = dray_slice_of(headers[offset], len)}};
    turn(fixture);
}

static void a_second_copy_of_a_replay_is_settled_without_any_outcome(void **state)
{
    struct fixture *fixture = *state;
    fixture->events[fixture->events_count++] =
        (struct dri_transport_event){.type = DRI_TE_ASSIGNED,
                                     .slot = 2,
                                     .epoch = 9,
                                     .as.assigned = {.role = DRI_ROLE_REPLAY,
                                                     .mode = DRI_SETTLE_EACH,
                                                     .committed = -1,
                                                     .lease_ns = 30000000000,
                                                     .origin = dray_slice_text("REPLAY"),
                                                     .topic = dray_slice_text("replay")}};
    receive_copy(fixture, 5, "1");
    assert_int_equal(fixture->published_count, 1); /* the letter of the first copy */
    receive_copy(fixture, 6, "1");
    assert_int_equal(fixture->started_count, 1);
    assert_true(fixture->started[0]->is_duplicate);
    finish(fixture, DRAY_KIND_NONE);
    assert_int_equal(fixture->published_count, 1);
    assert_int_equal(fixture->settles_count, 1);
    assert_int_equal(fixture->settles[0].delivery, 206);
    receive_copy(fixture, 7, "2"); /* the next generation */
    assert_int_equal(fixture->published_count, 2);
    assert_int_equal(fixture->started_count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_command_is_settled_only_after_its_result_was_stored),
        CASE(malformed_bytes_become_a_letter_unchanged_with_their_headers),
        CASE(a_failure_publishes_its_letter_first_then_the_error_result),
        CASE(an_empty_reply_to_publishes_nothing_and_settles_at_once),
        CASE(an_inbox_is_told_beside_the_stored_result),
        CASE(reply_to_goes_only_where_it_is_allowed),
        CASE(a_target_that_refuses_gets_its_result_in_the_results_topic),
        CASE(a_result_that_is_too_large_becomes_a_limit_error_and_runs_no_more),
        CASE(a_letter_that_does_not_fit_leaves_its_bytes_out_and_says_so),
        CASE(an_unknown_acknowledgement_publishes_the_same_again),
        CASE(an_id_that_is_taken_by_another_message_gets_the_time_of_the_source),
        CASE(without_a_time_of_the_source_nothing_is_asked_of_the_id),
        CASE(what_the_broker_will_soon_drop_is_dead_lettered_and_not_run),
        CASE(what_a_full_transport_does_not_take_goes_out_later_in_order),
        CASE(a_namespace_that_is_not_served_is_dead_lettered_as_auth),
        CASE(names_may_be_replaced_between_two_turns),
        CASE(what_is_assigned_is_paused_while_it_is_quiet),
        CASE(a_limit_of_nothing_asks_the_broker_for_nothing),
        CASE(a_second_copy_of_a_replay_is_settled_without_any_outcome),
        CASE(an_engine_that_is_destroyed_in_flight_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
