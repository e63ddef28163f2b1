/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_rules_positions.c - Bytes there and back, and what becomes of a position. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "clock.h"
#include "headers.h"
#include "kafka_rules.h"

/* ---- the plain way ---- */

static void what_is_published_comes_back_and_is_settled(void **state)
{
    (void)state;
    const char *topic = make_topic("plain", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    assert_int_equal(slot.as.assigned.committed, -1);
    assert_int_equal(slot.as.assigned.mode, DRI_SETTLE_WATERMARK);
    assert_true(dray_slice_is_absent(slot.as.assigned.metadata));
    peer_publish(&peer, 7, topic, -1, "key", "value");
    peer_await(&peer, DRI_TE_PUBLISHED, 1, NULL);
    const struct dri_transport_event *ack = peer_event(&peer, DRI_TE_PUBLISHED, 0);
    assert_int_equal(ack->as.published.token, 7);
    assert_int_equal(ack->as.published.ack, DRI_ACK_STORED);
    assert_int_equal(ack->as.published.partition, 0);
    assert_int_equal(ack->as.published.offset, 0);
    peer_await(&peer, DRI_TE_MESSAGE, 1, NULL);
    const struct dri_transport_event *event = peer_event(&peer, DRI_TE_MESSAGE, 0);
    test_slice("key", event->as.message.key);
    test_slice("value", event->as.message.value);
    test_slice(topic, event->as.message.subject);
    assert_true(event->as.message.timestamp_ms > 1600000000000);
    peer_settle(&peer, &slot, 1, NULL, false);
    peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 0)->status, DRAY_OK);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 0)->as.position, 1);
    peer_fini(&peer);
}

static void absent_and_empty_keys_and_values_stay_what_they_are(void **state)
{
    (void)state;
    const char *topic = make_topic("empty", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    static const char *const pairs[][2] = {{NULL, NULL}, {"", ""}, {NULL, ""}, {"", NULL}};
    /* Two at a time go as a batch, one goes alone. */
    for (size_t i = 0; i < DRI_ARRAY_LEN(pairs); i++) {
        peer_publish(&peer, i, topic, i == 0 ? 0 : -1, pairs[i][0], pairs[i][1]);
    }
    peer_await(&peer, DRI_TE_MESSAGE, DRI_ARRAY_LEN(pairs), NULL);
    for (size_t i = 0; i < DRI_ARRAY_LEN(pairs); i++) {
        const struct dri_message *message = &peer_event(&peer, DRI_TE_MESSAGE, i)->as.message;
        assert_int_equal(pairs[i][0] == NULL, dray_slice_is_absent(message->key));
        assert_int_equal(pairs[i][1] == NULL, dray_slice_is_absent(message->value));
        assert_int_equal(message->key.len + message->value.len, 0);
        assert_int_equal(message->headers.len, 0);
    }
    peer_fini(&peer);
}

static void headers_keep_order_repeats_and_nulls(void **state)
{
    (void)state;
    const char *topic = make_topic("headers", 1);
    uint8_t flat[256];
    size_t len = 0;
    struct dray_slice none = {0};
    test_ok(
        dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("a"), dray_slice_text("1")));
    test_ok(dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("b"), none));
    test_ok(
        dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("a"), dray_slice_text("")));
    test_ok(dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("a"),
                               dray_slice_of("\0\xff", 2)));
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text("v"),
                                  .headers = dray_slice_of(flat, len)};
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1), 1);
    peer_await(&peer, DRI_TE_MESSAGE, 1, NULL);
    struct dray_slice back = peer_event(&peer, DRI_TE_MESSAGE, 0)->as.message.headers;
    assert_int_equal(back.len, len);
    assert_memory_equal(back.at, flat, len);
    peer_fini(&peer);
}

static void broken_flat_headers_are_refused_not_sent(void **state)
{
    (void)state;
    const char *topic = make_topic("broken", 1);
    struct peer peer;
    producer_open(&peer, topic);
    static const uint8_t broken[][7] = {
        {5}, {1, 0, 'a', 1}, {1, 0, 'a', 9, 0, 0, 0}, {0xff, 0xff, 'a', 0, 0, 0, 0}};
    static const size_t lens[] = {1, 4, 7, 7};
    for (size_t i = 0; i < DRI_ARRAY_LEN(broken); i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .headers = dray_slice_of(broken[i], lens[i])};
        assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1), 1);
    }
    peer_await(&peer, DRI_TE_PUBLISHED, DRI_ARRAY_LEN(broken), NULL);
    for (size_t i = 0; i < DRI_ARRAY_LEN(broken); i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->token, i);
        assert_int_equal(ack->ack, DRI_ACK_NOT_STORED);
        assert_int_equal(ack->reason, DRAY_EINVALID);
    }
    peer_fini(&peer);
}

/* ---- positions ---- */

/* K1 */
static void a_position_is_never_committed_backwards(void **state)
{
    (void)state;
    const char *topic = make_topic("back", 1);
    const char *group = fresh_name("g");
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 10);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    peer_settle(&peer, &slot, 8, NULL, false);
    peer_settle(&peer, &slot, 3, NULL, false);
    peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
    peer_settle(&peer, &slot, 5, NULL, true);
    peer_await(&peer, DRI_TE_SETTLED, 2, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 0)->as.position, 8);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 0)->status, DRAY_OK);
    /* A final settle is answered in any case. */
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 1)->status, DRAY_ESTALE);
    assert_int_equal(peer_kafka(&peer)->stats.stale_settles, 2);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, NULL, 0), 8);
}

/* K1 */
static void a_settle_of_another_epoch_reaches_nobody(void **state)
{
    (void)state;
    const char *topic = make_topic("epoch", 1);
    const char *group = fresh_name("g");
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 3);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event stale = assigned(&peer, 0);
    stale.epoch += 1;
    peer_settle(&peer, &stale, 3, NULL, true);
    stale.slot += 1;
    peer_settle(&peer, &stale, 3, NULL, true);
    peer_watch(&peer, 300, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_SETTLED), 0);
    assert_int_equal(peer_kafka(&peer)->stats.stale_settles, 2);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, NULL, 0), -1);
}

/* K1 */
static void settles_that_come_while_a_commit_is_out_go_with_the_next(void **state)
{
    (void)state;
    const char *topic = make_topic("merge", 1);
    const char *group = fresh_name("g");
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 200);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    for (uint64_t i = 1; i <= 200; i++) {
        peer_settle(&peer, &slot, i, NULL, i == 200);
    }
    size_t n = 0;
    do {
        peer_await(&peer, DRI_TE_SETTLED, ++n, NULL);
    } while (peer_event(&peer, DRI_TE_SETTLED, n - 1)->as.position < 200);
    assert_true(peer_kafka(&peer)->stats.commits < 10);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, NULL, 0), 200);
}

/* K2 */
static void metadata_comes_back_with_the_position(void **state)
{
    (void)state;
    const char *topic = make_topic("meta", 1);
    const char *group = fresh_name("g");
    char metadata[4096];
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 9);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    peer_settle(&peer, &slot, 4, "1:first", false);
    peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
    /* The watermark stands still, what is done beyond it has changed. */
    peer_settle(&peer, &slot, 4, "1:second", false);
    peer_await(&peer, DRI_TE_SETTLED, 2, NULL);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, metadata, sizeof(metadata)), 4);
    assert_string_equal(metadata, "1:second");
}

/* K2 */
static void a_commit_never_fails_because_of_its_metadata(void **state)
{
    (void)state;
    const char *topic = make_topic("badmeta", 1);
    const char *group = fresh_name("g");
    static char big[DRI_KAFKA_METADATA_MAX + 2];
    char metadata[4096];
    memset(big, 'x', sizeof(big) - 1);
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 9);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    struct dray_slice bad[] = {dray_slice_of(big, DRI_KAFKA_METADATA_MAX + 1),
                               dray_slice_of("a\0b", 3), dray_slice_of("a\nb", 3),
                               dray_slice_of("\xff\xfe", 2)};
    for (size_t i = 0; i < DRI_ARRAY_LEN(bad); i++) {
        struct dri_settle settle = {
            .slot = slot.slot, .epoch = slot.epoch, .position = i + 1, .metadata = bad[i]};
        dri_kafka_ops.settle(peer.transport, dri_clock_now(), &settle, 1);
        peer_await(&peer, DRI_TE_SETTLED, i + 1, NULL);
        assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, i)->status, DRAY_OK);
    }
    assert_int_equal(peer_kafka(&peer)->stats.metadata_dropped, DRI_ARRAY_LEN(bad));
    big[DRI_KAFKA_METADATA_MAX] = '\0';
    peer_settle(&peer, &slot, 6, big, false);
    peer_await(&peer, DRI_TE_SETTLED, DRI_ARRAY_LEN(bad) + 1, NULL);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, metadata, sizeof(metadata)), 6);
    assert_int_equal(strlen(metadata), DRI_KAFKA_METADATA_MAX);
}

/* K2 */
static void metadata_that_the_broker_refuses_is_left_out(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("refused", 1);
    const char *group = fresh_name("g");
    char metadata[64];
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 9);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    rd_kafka_mock_push_request_errors(rules_mock.cluster, 8 /* OffsetCommit */, 1,
                                      RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
    peer_settle(&peer, &slot, 5, "1:abc", false);
    peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 0)->status, DRAY_OK);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, metadata, sizeof(metadata)), 5);
    assert_string_equal(metadata, "");
}

static void a_refused_commit_is_reported_and_can_be_tried_again(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("again", 1);
    const char *group = fresh_name("g");
    struct peer peer;
    member_open(&peer, group, topic);
    peer_fill(&peer, topic, 0, 9);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    rd_kafka_mock_push_request_errors(rules_mock.cluster, 8, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    peer_settle(&peer, &slot, 5, NULL, false);
    peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 0)->status, DRAY_EAUTH);
    peer_settle(&peer, &slot, 5, NULL, false);
    peer_await(&peer, DRI_TE_SETTLED, 2, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_SETTLED, 1)->status, DRAY_OK);
    peer_fini(&peer);
    assert_int_equal(committed_now(group, topic, NULL, 0), 5);
}

static void reading_goes_on_at_the_committed_position(void **state)
{
    (void)state;
    const char *topic = make_topic("goon", 1);
    const char *group = fresh_name("g");
    struct peer first;
    member_open(&first, group, topic);
    peer_fill(&first, topic, 0, 10);
    peer_await(&first, DRI_TE_MESSAGE, 10, NULL);
    struct dri_transport_event slot = assigned(&first, 0);
    peer_settle(&first, &slot, 6, NULL, true);
    peer_await(&first, DRI_TE_SETTLED, 1, NULL);
    peer_fini(&first);
    struct peer second;
    member_open(&second, group, topic);
    peer_await(&second, DRI_TE_MESSAGE, 4, NULL);
    assert_int_equal(assigned(&second, 0).as.assigned.committed, 6);
    assert_int_equal(offset_of(&second, 0), 6);
    peer_fini(&second);
}

static void a_new_group_starts_where_it_is_told(void **state)
{
    (void)state;
    const char *topic = make_topic("start", 1);
    struct peer producer;
    producer_open(&producer, topic);
    peer_fill(&producer, topic, 0, 5);
    struct peer latest;
    member_init(&latest, fresh_name("g"), topic);
    latest.sources[0].start = DRI_START_LATEST;
    peer_open(&latest);
    peer_await(&latest, DRI_TE_ASSIGNED, 1, NULL);
    peer_watch(&latest, 500, NULL);
    assert_int_equal(peer_count(&latest, DRI_TE_MESSAGE), 0);
    peer_publish(&producer, 1, topic, 0, NULL, "new");
    peer_await(&latest, DRI_TE_MESSAGE, 1, &producer);
    assert_int_equal(offset_of(&latest, 0), 5);
    peer_fini(&latest);
    struct peer fails;
    member_init(&fails, fresh_name("g"), topic);
    fails.sources[0].start = DRI_START_FAIL;
    peer_open(&fails);
    peer_await(&fails, DRI_TE_ERROR, 1, NULL);
    assert_int_equal(peer_event(&fails, DRI_TE_ERROR, 0)->status, DRAY_EFATAL);
    assert_int_equal(peer_count(&fails, DRI_TE_ASSIGNED), 0);
    peer_fini(&fails);
    peer_fini(&producer);
}

/* K4 */
static void a_position_out_of_range_is_an_error_and_no_reset(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("range", 1);
    const char *group = fresh_name("g");
    struct peer first;
    member_open(&first, group, topic);
    peer_fill(&first, topic, 0, 5);
    peer_await(&first, DRI_TE_MESSAGE, 5, NULL);
    struct dri_transport_event slot = assigned(&first, 0);
    peer_settle(&first, &slot, 50, NULL, true);
    peer_await(&first, DRI_TE_SETTLED, 1, NULL);
    peer_fini(&first);
    struct peer second;
    member_open(&second, group, topic);
    peer_await(&second, DRI_TE_ERROR, 1, NULL);
    const struct dri_transport_event *error = peer_event(&second, DRI_TE_ERROR, 0);
    assert_int_equal(error->status, DRAY_EFATAL);
    assert_non_null(strstr((const char *)error->as.text.at, "out of range"));
    assert_non_null(strstr((const char *)error->as.text.at, "50"));
    peer_watch(&second, 1000, NULL);
    assert_int_equal(peer_count(&second, DRI_TE_MESSAGE), 0);
    peer_fini(&second);
}

/* ---- topics that the group does not subscribe to ---- */

/** An hour later what is due goes. */
static void let_an_hour_pass(struct peer *peer)
{
    struct dri_transport_event events[8];
    bool more = false;
    struct dri_now later = dri_clock_now();
    uint64_t commits = peer_kafka(peer)->stats.commits;
    later.mono_ns += DRI_KAFKA_REFRESH_NS + 1;
    assert_int_equal(dri_kafka_ops.poll(peer->transport, later, 0, events, 8, &more), 0);
    assert_int_equal(peer_kafka(peer)->stats.commits, commits + 1);
}

static void a_position_of_a_park_log_goes_again_before_the_broker_forgets_it(void **state)
{
    (void)state;
    const char *topic = make_topic("refresh", 1), *park = make_topic("refresh_park", 1);
    const char *group = fresh_name("g");
    char metadata[64];
    for (int turn = 0; turn < 2; turn++) { /* of its own, and as it was found */
        struct peer peer;
        member_init(&peer, group, topic);
        peer_source(&peer, park, DRI_ROLE_PARK, DRI_START_EARLIEST);
        peer_open(&peer);
        peer_await(&peer, DRI_TE_CAUGHT_UP, 1, NULL);
        struct dri_transport_event slot = assigned(&peer, 0);
        assert_int_equal(slot.as.assigned.role, DRI_ROLE_PARK);
        if (turn == 0) {
            peer_fill(&peer, park, 0, 3);
            peer_settle(&peer, &slot, 2, "1:waits", false);
            peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
        } else {
            assert_int_equal(slot.as.assigned.committed, 2);
        }
        let_an_hour_pass(&peer);
        peer_await(&peer, DRI_TE_SETTLED, turn == 0 ? 2 : 1, NULL);
        const struct dri_transport_event *settled =
            peer_event(&peer, DRI_TE_SETTLED, turn == 0 ? 1 : 0);
        assert_int_equal(settled->status, DRAY_OK);
        assert_int_equal(settled->as.position, 2);
        peer_fini(&peer);
    }
    assert_int_equal(committed_now(group, park, metadata, sizeof(metadata)), 2);
    assert_string_equal(metadata, "1:waits");
}

const struct CMUnitTest rules_positions[] = {
    RULE(what_is_published_comes_back_and_is_settled),
    RULE(absent_and_empty_keys_and_values_stay_what_they_are),
    RULE(headers_keep_order_repeats_and_nulls),
    RULE(broken_flat_headers_are_refused_not_sent),
    RULE(a_position_is_never_committed_backwards),
    RULE(a_settle_of_another_epoch_reaches_nobody),
    RULE(settles_that_come_while_a_commit_is_out_go_with_the_next),
    RULE(metadata_comes_back_with_the_position),
    RULE(a_commit_never_fails_because_of_its_metadata),
    RULE(metadata_that_the_broker_refuses_is_left_out),
    RULE(a_refused_commit_is_reported_and_can_be_tried_again),
    RULE(reading_goes_on_at_the_committed_position),
    RULE(a_new_group_starts_where_it_is_told),
    RULE(a_position_out_of_range_is_an_error_and_no_reset),
    RULE(a_position_of_a_park_log_goes_again_before_the_broker_forgets_it),
};
const size_t rules_positions_count = sizeof(rules_positions) / sizeof(rules_positions[0]);
