/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_kafka_rules.c - a case for each trap of librdkafka that the Kafka transport walks around.
 *
 * usage: test_kafka_rules mock | kafka | kafka4 [CASE]
 * The K numbers are those of the rules in bus/transport/kafka*.c. `mock` is librdkafka's mock
 * cluster, `kafka` and `kafka4` are the brokers in DRAY_TEST_KAFKA and DRAY_TEST_KAFKA4; without
 * one the program exits with 77. A case that needs what its cluster cannot do is skipped there: the
 * mock creates no topics, a real broker cannot be made to answer with an error.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "clock.h"
#include "headers.h"
#include "kafka_peer.h"
#include "mem.h"

static const char *real_url; /* NULL: the mock cluster */
static bool is_kafka4;
static struct mock mock;
static const char *url;

static int start(void **state)
{
    (void)state;
    url = real_url;
    if (real_url == NULL) {
        mock_start(&mock, 1);
        url = mock.url;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (real_url == NULL) {
        mock_stop(&mock);
    }
    return 0;
}

#define NEEDS_BROKER()                                                                             \
    do {                                                                                           \
        if (real_url == NULL) {                                                                    \
            test_skip("the mock cluster cannot do this");                                          \
        }                                                                                          \
    } while (false)
#define NEEDS_MOCK()                                                                               \
    do {                                                                                           \
        if (real_url != NULL) {                                                                    \
            test_skip("needs the mock cluster's error injection");                                 \
        }                                                                                          \
    } while (false)

/* Topics come into being by the transport on a broker, and by hand on the mock. */
static const char *make_topic(const char *prefix, int partitions)
{
    const char *topic = fresh_name(prefix);
    if (real_url == NULL) {
        mock_topic(&mock, topic, partitions);
        return topic;
    }
    struct peer peer;
    peer_init(&peer, url, NULL);
    peer_topic(&peer, topic, DRI_USE_COMMANDS);
    peer.config.partitions = (uint32_t)partitions;
    peer.config.can_create = true;
    peer.config.unacked_max = 0;
    peer_open(&peer);
    peer_fini(&peer);
    return topic;
}

static void member_init(struct peer *peer, const char *group, const char *topic)
{
    peer_init(peer, url, group);
    peer_source(peer, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST);
    peer_topic(peer, topic, DRI_USE_COMMANDS);
}

static void member_open(struct peer *peer, const char *group, const char *topic)
{
    member_init(peer, group, topic);
    peer_open(peer);
}

static void producer_open(struct peer *peer, const char *topic)
{
    peer_init(peer, url, NULL);
    peer_topic(peer, topic, DRI_USE_RESULTS);
    peer_open(peer);
}

static struct dri_transport_event assigned(const struct peer *peer, size_t n)
{
    return *peer_event(peer, DRI_TE_ASSIGNED, n);
}

static uint64_t offset_of(const struct peer *peer, size_t n)
{
    return peer_event(peer, DRI_TE_MESSAGE, n)->as.message.offset;
}

/* The committed position and metadata of partition 0, as the next member sees them. */
static int64_t committed_now(const char *group, const char *topic, char *ret_metadata,
                             size_t metadata_bytes)
{
    struct peer peer;
    member_open(&peer, group, topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event event = assigned(&peer, 0);
    if (ret_metadata != NULL) {
        (void)snprintf(ret_metadata, metadata_bytes, "%.*s", (int)event.as.assigned.metadata.len,
                       event.as.assigned.metadata.at == NULL
                           ? ""
                           : (const char *)event.as.assigned.metadata.at);
    }
    peer_fini(&peer);
    return event.as.assigned.committed;
}

/* -- the plain way -------------------------------------------------------------------------------
 */

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

/* -- positions -----------------------------------------------------------------------------------
 */

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
    rd_kafka_mock_push_request_errors(mock.cluster, 8 /* OffsetCommit */, 1,
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
    rd_kafka_mock_push_request_errors(mock.cluster, 8, 1,
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

/* -- pausing -------------------------------------------------------------------------------------
 */

/* K5, K6: whatever is paused, resumed and held, every offset comes once and in order. */
static void pausing_skips_and_repeats_nothing(void **state)
{
    (void)state;
    const char *topic = make_topic("pause", 2);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_fill(&peer, topic, 0, 400);
    peer_fill(&peer, topic, 1, 400);
    peer_await(&peer, DRI_TE_ASSIGNED, 2, NULL);
    unsigned seed = 12345;
    uint64_t deadline = dri_clock_mono_ns() + 20000000000u;
    while (peer_count(&peer, DRI_TE_MESSAGE) < 800 && dri_clock_mono_ns() < deadline) {
        seed = seed * 1103515245u + 12345u;
        struct dri_transport_event slot = assigned(&peer, seed >> 20 & 1);
        peer.messages_max = seed >> 16 & 7;
        switch (seed >> 24 & 7) {
        case 0:
            dri_kafka_ops.pause(peer.transport, slot.slot, slot.epoch);
            break;
        case 1:
        case 2:
        case 3:
            dri_kafka_ops.resume(peer.transport, slot.slot, slot.epoch);
            break;
        default:
            break;
        }
        peer_watch(&peer, 5, NULL);
    }
    uint64_t next[2] = {0, 0};
    for (size_t i = 0; i < peer_count(&peer, DRI_TE_MESSAGE); i++) {
        const struct dri_transport_event *event = peer_event(&peer, DRI_TE_MESSAGE, i);
        unsigned at = event->slot == assigned(&peer, 0).slot ? 0 : 1;
        assert_int_equal(event->as.message.offset, next[at]);
        next[at]++;
    }
    assert_int_equal(next[0] + next[1], 800);
    assert_int_equal(peer_kafka(&peer)->stats.jumps_back, 0);
    peer_fini(&peer);
}

/* K6 */
static void resuming_what_is_not_paused_goes_nowhere(void **state)
{
    (void)state;
    const char *topic = make_topic("resume", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_fill(&peer, topic, 0, 100);
    peer.messages_max = 3;
    peer_await(&peer, DRI_TE_MESSAGE, 20, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    for (int i = 0; i < 10; i++) {
        dri_kafka_ops.resume(peer.transport, slot.slot, slot.epoch);
        peer_watch(&peer, 10, NULL);
    }
    peer_await(&peer, DRI_TE_MESSAGE, 100, NULL);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(offset_of(&peer, i), i);
    }
    peer_fini(&peer);
}

static void a_paused_slot_is_silent_until_it_is_resumed(void **state)
{
    (void)state;
    const char *topic = make_topic("silent", 2);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 2, NULL);
    struct dri_transport_event quiet = assigned(&peer, 0);
    dri_kafka_ops.pause(peer.transport, quiet.slot, quiet.epoch);
    dri_kafka_ops.pause(peer.transport, quiet.slot, quiet.epoch);
    peer_fill(&peer, topic, 0, 5);
    peer_fill(&peer, topic, 1, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    peer_watch(&peer, 500, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_not_equal(peer_event(&peer, DRI_TE_MESSAGE, i)->slot, quiet.slot);
    }
    dri_kafka_ops.resume(peer.transport, quiet.slot, quiet.epoch);
    peer_await(&peer, DRI_TE_MESSAGE, 10, NULL);
    peer_fini(&peer);
}

static void an_owner_without_room_loses_nothing_and_pauses_the_source(void **state)
{
    (void)state;
    const char *topic = make_topic("room", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    peer.messages_max = 0;
    peer_fill(&peer, topic, 0, 50);
    peer_watch(&peer, 1500, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), 0);
    assert_int_equal(peer_kafka(&peer)->stats.holds, 1);
    assert_true(peer_kafka(&peer)->is_held);
    peer.messages_max = 7;
    peer_await(&peer, DRI_TE_MESSAGE, 50, NULL);
    peer_watch(&peer, 200, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), 50);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(offset_of(&peer, i), i);
    }
    peer_fini(&peer);
}

/* -- rebalancing ---------------------------------------------------------------------------------
 */

/* K8 */
static void a_revoke_waits_until_every_slot_was_let_go(void **state)
{
    (void)state;
    const char *topic = make_topic("revoke", 2);
    const char *group = fresh_name("g");
    struct peer first;
    struct peer second;
    member_open(&first, group, topic);
    first.lets_go = false;
    peer_fill(&first, topic, 0, 10);
    peer_fill(&first, topic, 1, 10);
    peer_await(&first, DRI_TE_MESSAGE, 20, NULL);
    struct dri_transport_event slots[2] = {assigned(&first, 0), assigned(&first, 1)};
    member_open(&second, group, topic);
    peer_await(&first, DRI_TE_REVOKED, 2, &second);
    peer_watch(&first, 1500, &second);
    assert_int_equal(peer_count(&second, DRI_TE_ASSIGNED), 0);
    assert_int_equal(peer_count(&first, DRI_TE_LOST), 0);
    /* Work is finished, its outcome stored: settle for the last time, then let go. */
    for (size_t i = 0; i < 2; i++) {
        peer_settle(&first, &slots[i], 10, "1:last", true);
    }
    peer_await(&first, DRI_TE_SETTLED, 2, &second);
    /* The mock refuses commits while it rebalances; brokers take them. */
    enum dray_status settled = real_url == NULL ? DRAY_EAGAIN : DRAY_OK;
    assert_int_equal(peer_event(&first, DRI_TE_SETTLED, 0)->status, settled);
    assert_int_equal(peer_event(&first, DRI_TE_SETTLED, 1)->status, settled);
    peer_unassign(&first, &slots[0]);
    peer_watch(&first, 300, &second);
    assert_int_equal(peer_count(&second, DRI_TE_ASSIGNED), 0);
    peer_unassign(&first, &slots[1]);
    peer_await(&first, DRI_TE_ASSIGNED, 3, &second);
    peer_await(&second, DRI_TE_ASSIGNED, 1, &first);
    struct dri_transport_event given = assigned(&second, 0);
    if (real_url != NULL) {
        assert_int_equal(given.as.assigned.committed, 10);
        test_slice("1:last", given.as.assigned.metadata);
    }
    struct dri_transport_event kept = assigned(&first, 2);
    assert_true(kept.epoch > slots[0].epoch && kept.epoch > slots[1].epoch);
    assert_int_not_equal(kept.as.assigned.partition, given.as.assigned.partition);
    /* A completion of the old assignment comes late. */
    peer_settle(&first, &slots[0], 11, NULL, false);
    assert_int_equal(peer_kafka(&first)->stats.stale_settles, 1);
    peer_fini(&first);
    peer_fini(&second);
}

static void partitions_of_a_member_that_leaves_go_to_the_other(void **state)
{
    (void)state;
    const char *topic = make_topic("leave", 4);
    const char *group = fresh_name("g");
    struct peer first;
    struct peer second;
    member_open(&first, group, topic);
    member_open(&second, group, topic);
    peer_await(&second, DRI_TE_ASSIGNED, 2, &first);
    peer_await(&first, DRI_TE_ASSIGNED, 2, &second);
    peer_watch(&first, 500, &second);
    size_t before = peer_count(&second, DRI_TE_ASSIGNED);
    peer_fini(&first);
    peer_await(&second, DRI_TE_ASSIGNED, before + 4, NULL);
    assert_int_equal(peer_count(&second, DRI_TE_LOST), 0);
    peer_fini(&second);
}

/* K8 */
static void a_lost_assignment_is_told_as_lost_and_nothing_of_it_settles(void **state)
{
    (void)state;
    const char *topic = make_topic("lost", 1);
    const char *group = fresh_name("g");
    struct peer peer;
    member_init(&peer, group, topic);
    peer_option(&peer, "max.poll.interval.ms", "6000");
    peer_open(&peer);
    peer_fill(&peer, topic, 0, 10);
    peer_await(&peer, DRI_TE_MESSAGE, 10, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    struct timespec pause = {.tv_sec = 8}; /* what is tested is an owner that is stuck */
    (void)nanosleep(&pause, NULL);
    peer_await(&peer, DRI_TE_LOST, 1, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_REVOKED), 0);
    peer_settle(&peer, &slot, 10, NULL, false);
    assert_int_equal(peer_kafka(&peer)->stats.stale_settles, 1);
    peer_await(&peer, DRI_TE_ASSIGNED, 2, NULL);
    assert_int_equal(assigned(&peer, 1).as.assigned.committed, -1);
    assert_true(assigned(&peer, 1).epoch > slot.epoch);
    peer_await(&peer, DRI_TE_MESSAGE, 20, NULL);
    peer_fini(&peer);
}

/* K8: the library waits in its close for an answer to the rebalance. */
static void closing_in_the_middle_of_a_rebalance_ends(void **state)
{
    (void)state;
    const char *topic = make_topic("midst", 2);
    const char *group = fresh_name("g");
    struct peer first;
    struct peer second;
    member_open(&first, group, topic);
    first.lets_go = false;
    peer_await(&first, DRI_TE_ASSIGNED, 2, NULL);
    member_open(&second, group, topic);
    peer_await(&first, DRI_TE_REVOKED, 2, &second);
    uint64_t begin = dri_clock_mono_ns();
    dri_kafka_ops.close(first.transport, 5000);
    assert_true(dri_clock_mono_ns() - begin < 4000000000u);
    peer_fini(&first);
    peer_await(&second, DRI_TE_ASSIGNED, 2, NULL);
    peer_fini(&second);
    /* And before there ever was an assignment. */
    struct peer third;
    member_open(&third, fresh_name("g"), topic);
    (void)peer_poll(&third);
    begin = dri_clock_mono_ns();
    dri_kafka_ops.close(third.transport, 5000);
    assert_true(dri_clock_mono_ns() - begin < 5500000000u);
    peer_fini(&third);
}

/* K7, K24: what moves is taken, what stays is not touched. */
static void cooperate(const char *name, const char *value)
{
    const char *topic = make_topic("coop", 4);
    const char *group = fresh_name("g");
    struct peer members[2];
    for (size_t i = 0; i < 2; i++) {
        member_init(&members[i], group, topic);
        /* These two belong to the classic protocol only. */
        members[i].config.options_count = 1;
        peer_option(&members[i], "fetch.wait.max.ms", "50");
        peer_option(&members[i], name, value);
    }
    struct peer *first = &members[0];
    struct peer *second = &members[1];
    peer_open(first);
    first->lets_go = false;
    for (int32_t p = 0; p < 4; p++) {
        peer_fill(first, topic, p, 5);
    }
    peer_await(first, DRI_TE_MESSAGE, 20, NULL);
    assert_int_equal(peer_count(first, DRI_TE_ASSIGNED), 4);
    peer_open(second);
    peer_await(first, DRI_TE_REVOKED, 2, second);
    peer_watch(first, 1000, second);
    assert_int_equal(peer_count(first, DRI_TE_REVOKED), 2);
    assert_int_equal(peer_count(second, DRI_TE_MESSAGE), 0);
    for (size_t i = 0; i < 2; i++) {
        struct dri_transport_event revoked = *peer_event(first, DRI_TE_REVOKED, i);
        peer_settle(first, &revoked, 5, NULL, true);
        peer_await(first, DRI_TE_SETTLED, i + 1, second);
        assert_int_equal(peer_event(first, DRI_TE_SETTLED, i)->status, DRAY_OK);
        peer_unassign(first, &revoked);
    }
    peer_await(second, DRI_TE_ASSIGNED, 2, first);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(assigned(second, i).as.assigned.committed, 5);
    }
    /* The others went on under their epochs. */
    peer_fill(second, topic, -1, 40);
    size_t sum = 0;
    uint64_t deadline = dri_clock_mono_ns() + 20000000000u;
    while (sum < 60 && dri_clock_mono_ns() < deadline) {
        peer_watch(first, 20, second);
        sum = peer_count(first, DRI_TE_MESSAGE) + peer_count(second, DRI_TE_MESSAGE);
    }
    assert_int_equal(sum, 60);
    assert_int_equal(peer_count(first, DRI_TE_ASSIGNED), 4);
    first->lets_go = true;
    peer_fini(second);
    peer_await(first, DRI_TE_ASSIGNED, 6, NULL);
    assert_int_equal(peer_count(first, DRI_TE_REVOKED), 2);
    assert_int_equal(peer_count(first, DRI_TE_LOST), 0);
    peer_fini(first);
}

static void cooperative_members_keep_what_does_not_move(void **state)
{
    (void)state;
    if (rd_kafka_version() < DRI_KAFKA_COOPERATIVE_VERSION) {
        test_skip("this librdkafka is too old for cooperative rebalancing");
    }
    NEEDS_BROKER();
    cooperate("partition.assignment.strategy", "cooperative-sticky");
}

static void the_new_group_protocol_works_where_it_is_finished(void **state)
{
    (void)state;
    if (rd_kafka_version() < DRI_KAFKA_KIP848_VERSION) {
        test_skip("this librdkafka is too old for the group protocol of KIP-848");
    }
    if (!is_kafka4) {
        test_skip("the broker is too old for the group protocol of KIP-848");
    }
    cooperate("group.protocol", "consumer");
}

static void committed_positions_are_asked_for_until_they_come(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("asked", 1);
    struct peer peer;
    rd_kafka_mock_push_request_errors(
        mock.cluster, 9 /* OffsetFetch */, 3, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_ERROR, 0)->status, DRAY_EAUTH);
    peer_fini(&peer);
}

/* -- closing -------------------------------------------------------------------------------------
 */

/* K10 */
static void close_and_destroy_are_quick_while_messages_are_lent_out(void **state)
{
    (void)state;
    const char *topic = make_topic("lent", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_fill(&peer, topic, 0, 20);
    peer.messages_max = 5;
    while (peer_count(&peer, DRI_TE_MESSAGE) < 5) {
        (void)peer_poll(&peer);
    }
    uint64_t begin = dri_clock_mono_ns();
    dri_kafka_ops.close(peer.transport, 5000);
    dri_kafka_ops.destroy(peer.transport);
    peer.transport = NULL;
    assert_true(dri_clock_mono_ns() - begin < 4000000000u);
    peer_fini(&peer);
}

/* K10 */
static void close_keeps_its_time_when_no_broker_answers(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("gone", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_fill(&peer, topic, 0, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    rd_kafka_mock_broker_set_down(mock.cluster, -1);
    peer_publish(&peer, 99, topic, 0, NULL, "never");
    peer_watch(&peer, 300, NULL);
    uint64_t begin = dri_clock_mono_ns();
    dri_kafka_ops.close(peer.transport, 1000);
    assert_true(dri_clock_mono_ns() - begin < 2000000000u);
    peer_fini(&peer);
    rd_kafka_mock_broker_set_up(mock.cluster, -1);
}

static void after_close_everything_is_refused(void **state)
{
    (void)state;
    const char *topic = make_topic("closed", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    dri_kafka_ops.close(peer.transport, 3000);
    dri_kafka_ops.close(peer.transport, 3000);
    struct dri_publish message = {.token = 1, .topic = dray_slice_text(topic), .partition = -1};
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1), 0);
    assert_int_equal(peer_poll(&peer), 0);
    peer_settle(&peer, &slot, 1, NULL, true);
    peer_unassign(&peer, &slot);
    dri_kafka_ops.pause(peer.transport, slot.slot, slot.epoch);
    dri_kafka_ops.resume(peer.transport, slot.slot, slot.epoch);
    uint64_t end;
    assert_int_not_equal(dri_kafka_ops.lag(peer.transport, slot.slot, slot.epoch, &end), DRAY_OK);
    assert_true(dri_kafka_ops.next_deadline(peer.transport) == UINT64_MAX);
    peer_fini(&peer);
}

/* -- publishing ----------------------------------------------------------------------------------
 */

/* K11 */
static void every_token_is_answered_once_when_the_producer_fails_for_good(void **state)
{
    (void)state;
    const char *topic = make_topic("fatal", 2);
    struct peer peer;
    producer_open(&peer, topic);
    for (uint64_t i = 0; i < 300; i++) {
        peer_publish(&peer, i, topic, -1, i % 3 == 0 ? "k" : NULL, "v");
        if (i == 150) {
            assert_int_equal(
                rd_kafka_test_fatal_error(peer_kafka(&peer)->producer.rk,
                                          RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test"),
                0);
            break;
        }
    }
    peer_await(&peer, DRI_TE_PUBLISHED, 151, NULL);
    bool is_answered[151] = {false};
    for (size_t i = 0; i < 151; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_true(ack->token < 151 && !is_answered[ack->token]);
        assert_int_not_equal(ack->ack, DRI_ACK_NOT_STORED);
        is_answered[ack->token] = true;
    }
    /* Full for a while, then there is a new one. */
    uint64_t deadline = dri_clock_mono_ns() + 10000000000u;
    struct dri_publish message = {
        .token = 500, .topic = dray_slice_text(topic), .value = dray_slice_text("v")};
    while (dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1) == 0) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(&peer, 10, NULL);
    }
    peer_await(&peer, DRI_TE_PUBLISHED, 152, NULL);
    const struct dri_published *last = &peer_event(&peer, DRI_TE_PUBLISHED, 151)->as.published;
    assert_int_equal(last->token, 500);
    assert_int_equal(last->ack, DRI_ACK_STORED);
    assert_int_equal(peer_kafka(&peer)->stats.producers, 2);
    peer_fini(&peer);
}

/* K11 */
static void a_full_queue_takes_fewer_and_drops_none(void **state)
{
    (void)state;
    const char *topic = make_topic("full", 1);
    static const char value[1000] = {'x'};
    struct peer peer;
    peer_init(&peer, url, NULL);
    peer_topic(&peer, topic, DRI_USE_RESULTS);
    peer.config.unacked_max = 64;
    peer_open(&peer);
    struct dri_publish messages[1000];
    for (size_t i = 0; i < DRI_ARRAY_LEN(messages); i++) {
        messages[i] = (struct dri_publish){.token = i,
                                           .topic = dray_slice_text(topic),
                                           .partition = -1,
                                           .value = dray_slice_of(value, sizeof(value))};
    }
    size_t taken = 0;
    bool was_full = false;
    while (taken < DRI_ARRAY_LEN(messages)) {
        size_t wanted = DRI_ARRAY_LEN(messages) - taken;
        size_t now =
            dri_kafka_ops.publish(peer.transport, dri_clock_now(), messages + taken, wanted);
        was_full = was_full || now < wanted;
        taken += now;
        peer_watch(&peer, 1, NULL);
    }
    assert_true(was_full);
    peer_await(&peer, DRI_TE_PUBLISHED, 1000, NULL);
    for (size_t i = 0; i < 1000; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->ack, DRI_ACK_STORED);
        assert_int_equal(ack->token, i);
        assert_int_equal(ack->offset, i);
    }
    peer_fini(&peer);
}

/* K12 */
static void a_target_that_does_not_exist_is_refused_for_good(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("target", 2);
    uint8_t flat[64];
    size_t len = 0;
    test_ok(
        dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("a"), dray_slice_text("1")));
    struct peer peer;
    peer_init(&peer, url, NULL);
    peer_topic(&peer, topic, DRI_USE_RESULTS);
    peer_option(&peer, "topic.metadata.propagation.max.ms", "1000");
    peer_open(&peer);
    struct dri_publish messages[] = {
        {.token = 0, .topic = dray_slice_text(topic), .partition = 7},
        {.token = 1,
         .topic = dray_slice_text(topic),
         .partition = 7,
         .headers = dray_slice_of(flat, len)},
        {.token = 2, .topic = dray_slice_text(topic), .partition = 1},
        {.token = 3,
         .topic = dray_slice_text("no-such-topic"),
         .partition = -1,
         .headers = dray_slice_of(flat, len)},
        {.token = 4, .topic = dray_slice_text("no-such-topic"), .partition = -1},
        {.token = 5, .topic = dray_slice_text("no such topic!"), .partition = -1},
        {.token = 6, .topic = dray_slice_text(""), .partition = -1},
    };
    size_t count = DRI_ARRAY_LEN(messages);
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), messages, count),
                     count);
    peer_await(&peer, DRI_TE_PUBLISHED, count, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        bool is_good = ack->token == 2;
        assert_int_equal(ack->ack, is_good ? DRI_ACK_STORED : DRI_ACK_NOT_STORED);
        assert_int_equal(ack->reason, is_good ? DRAY_OK : DRAY_ENOTFOUND);
    }
    peer_fini(&peer);
}

static void what_is_too_large_is_refused_alone(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("large", 1);
    size_t big_bytes = 3u << 20;
    uint8_t *big = calloc(1, big_bytes);
    assert_non_null(big);
    struct peer peer;
    producer_open(&peer, topic);
    struct dri_transport_info info;
    dri_kafka_ops.info(peer.transport, &info);
    assert_true(info.message_bytes_max > 500000 && info.message_bytes_max < 2000000);
    struct dri_publish messages[21];
    for (size_t i = 0; i < 21; i++) {
        messages[i] = (struct dri_publish){.token = i,
                                           .topic = dray_slice_text(topic),
                                           .partition = -1,
                                           .value = dray_slice_of(big, i == 10 ? big_bytes : 100)};
    }
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), messages, 21), 21);
    peer_await(&peer, DRI_TE_PUBLISHED, 21, NULL);
    for (size_t i = 0; i < 21; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        bool is_large = ack->token == 10;
        assert_int_equal(ack->ack, is_large ? DRI_ACK_NOT_STORED : DRI_ACK_STORED);
        assert_int_equal(ack->reason, is_large ? DRAY_ELIMIT : DRAY_OK);
    }
    /* And over the client's own limit. */
    free(big);
    big = calloc(1, 20u << 20);
    assert_non_null(big);
    messages[0].value = dray_slice_of(big, 20u << 20);
    messages[1].value = dray_slice_of(big, 1);
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), messages, 2), 2);
    peer_await(&peer, DRI_TE_PUBLISHED, 23, NULL);
    bool was_refused = false;
    for (size_t i = 21; i < 23; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        was_refused = was_refused || (ack->ack == DRI_ACK_NOT_STORED && ack->reason == DRAY_ELIMIT);
    }
    assert_true(was_refused);
    free(big);
    peer_fini(&peer);
}

static void one_key_stays_in_one_partition_and_in_order_with_and_without_headers(void **state)
{
    (void)state;
    const char *topic = make_topic("keys", 4);
    uint8_t flat[64];
    size_t len = 0;
    test_ok(
        dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("a"), dray_slice_text("1")));
    struct peer peer;
    producer_open(&peer, topic);
    struct dri_publish messages[100];
    for (size_t i = 0; i < 100; i++) {
        messages[i] = (struct dri_publish){
            .token = i,
            .topic = dray_slice_text(topic),
            .partition = -1,
            .key = dray_slice_text("order-42"),
            .value = dray_slice_text("v"),
            .headers = i % 7 == 0 ? dray_slice_of(flat, len) : (struct dray_slice){0},
        };
    }
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), messages, 100), 100);
    peer_await(&peer, DRI_TE_PUBLISHED, 100, NULL);
    /* murmur2("order-42") as the Java client computes it; partition = (hash & 0x7fffffff) % 4. */
    uint32_t partition = 0;
    (void)partition;
    int32_t seen = peer_event(&peer, DRI_TE_PUBLISHED, 0)->as.published.partition;
    for (size_t i = 0; i < 100; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->partition, seen);
        assert_int_equal(ack->offset, ack->token);
    }
    peer_fini(&peer);
}

/* K11: the broker stored it, but its answer was lost: the library finds out by its sequence. */
static void a_lost_answer_stores_nothing_twice(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("answer", 1);
    struct peer peer;
    producer_open(&peer, topic);
    rd_kafka_mock_push_request_errors(mock.cluster, 0 /* Produce */, 2,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR__TRANSPORT);
    for (uint64_t i = 0; i < 20; i++) {
        peer_publish(&peer, i, topic, 0, NULL, "v");
    }
    peer_await(&peer, DRI_TE_PUBLISHED, 20, NULL);
    for (size_t i = 0; i < 20; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->ack, DRI_ACK_STORED);
        assert_int_equal(ack->offset, i);
    }
    peer_fini(&peer);
}

static void a_topic_without_permission_is_an_answer_not_a_wait(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("denied", 1);
    struct peer peer;
    producer_open(&peer, topic);
    rd_kafka_mock_push_request_errors(mock.cluster, 0, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    peer_publish(&peer, 1, topic, 0, NULL, "v");
    peer_await(&peer, DRI_TE_PUBLISHED, 1, NULL);
    const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, 0)->as.published;
    assert_int_equal(ack->ack, DRI_ACK_NOT_STORED);
    assert_int_equal(ack->reason, DRAY_EAUTH);
    peer_fini(&peer);
}

/* K11, and fact: a broker that says nothing for long must cost time, but no message and no order.
 * With a short message.timeout.ms this is where messages failed that were stored. */
static void a_broker_that_is_silent_for_long_costs_nothing_but_time(void **state)
{
    (void)state;
    if (!broker_is_ours()) {
        test_skip("this broker is not ours to stop");
    }
    enum {
        ROUNDS = 4,
        EACH = 300
    };
    const char *topic = make_topic("silent", 1);
    struct peer peer;
    member_init(&peer, fresh_name("g"), topic);
    peer.options[1].value = "60000"; /* the group stays */
    peer_option(&peer, "socket.timeout.ms", "3000");
    peer_open(&peer);
    uint64_t token = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            char value[24];
            (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)token);
            peer_publish(&peer, token++, topic, 0, NULL, value);
            if (i == EACH / 2) {
                (void)peer_poll(&peer); /* some are on their way when it falls silent */
                broker_signal(SIGSTOP);
            }
        }
        peer_watch(&peer, 5000, NULL);
        broker_signal(SIGCONT);
        peer_watch(&peer, 1000, NULL);
    }
    uint64_t deadline = dri_clock_mono_ns() + 120000000000u;
    while ((peer_count(&peer, DRI_TE_PUBLISHED) < token ||
            peer_count(&peer, DRI_TE_MESSAGE) < token) &&
           dri_clock_mono_ns() < deadline) {
        peer_watch(&peer, 100, NULL);
    }
    peer_watch(&peer, 2000, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_PUBLISHED), token);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), token);
    for (size_t i = 0; i < token; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->ack, DRI_ACK_STORED);
        struct dray_slice value = peer_event(&peer, DRI_TE_MESSAGE, i)->as.message.value;
        assert_int_equal(strtoull((const char *)value.at, NULL, 10), i);
    }
    peer_fini(&peer);
}

static void a_courtesy_is_never_answered(void **state)
{
    (void)state;
    const char *topic = make_topic("courtesy", 1);
    struct peer peer;
    producer_open(&peer, topic);
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text("v"),
                                  .is_courtesy = true};
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1), 1);
    message.token = 2;
    message.is_courtesy = false;
    assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1), 1);
    peer_await(&peer, DRI_TE_PUBLISHED, 1, NULL);
    peer_watch(&peer, 200, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_PUBLISHED), 1);
    assert_int_equal(peer_event(&peer, DRI_TE_PUBLISHED, 0)->as.published.token, 2);
    assert_int_equal(peer_kafka(&peer)->producer.out, 0);
    peer_fini(&peer);
}

/* -- logs ----------------------------------------------------------------------------------------
 */

static void log_open(struct peer *peer, const char *topic, enum dri_start from, uint64_t offset)
{
    peer_init(peer, url, NULL);
    peer_source(peer, topic, DRI_ROLE_LOG, from);
    peer->sources[0].start_offset = offset;
    peer_topic(peer, topic, DRI_USE_RESULTS);
    peer->config.unacked_max = 0;
    peer_open(peer);
}

static void a_log_is_read_from_where_it_is_told_to_its_end(void **state)
{
    (void)state;
    const char *topic = make_topic("log", 2);
    struct peer producer;
    producer_open(&producer, topic);
    peer_fill(&producer, topic, 0, 30);
    static const struct {
        enum dri_start start;
        uint64_t offset;
        size_t messages;
    } cases[] = {{DRI_START_EARLIEST, 0, 30}, {DRI_START_LATEST, 0, 0}, {DRI_START_OFFSET, 0, 30}};
    for (size_t i = 0; i < DRI_ARRAY_LEN(cases); i++) {
        struct peer reader;
        log_open(&reader, topic, cases[i].start, cases[i].offset);
        reader.messages_max = 7;
        peer_await(&reader, DRI_TE_CAUGHT_UP, 2, NULL);
        assert_int_equal(peer_count(&reader, DRI_TE_ASSIGNED), 2);
        assert_int_equal(peer_count(&reader, DRI_TE_MESSAGE), cases[i].messages);
        /* What comes after open is read too, and nobody catches up twice. */
        peer_publish(&producer, 1, topic, 0, NULL, "new");
        peer_await(&reader, DRI_TE_MESSAGE, cases[i].messages + 1, &producer);
        peer_watch(&reader, 200, &producer);
        assert_int_equal(peer_count(&reader, DRI_TE_CAUGHT_UP), 2);
        assert_int_equal(peer_count(&reader, DRI_TE_MESSAGE), cases[i].messages + 1);
        peer_fini(&reader);
        if (i == 0) {
            peer_fini(&producer);
            topic = make_topic("log", 2);
            producer_open(&producer, topic);
            peer_fill(&producer, topic, 0, 30);
        } else if (i == 1) {
            peer_fini(&producer);
            topic = make_topic("log", 2);
            producer_open(&producer, topic);
            peer_fill(&producer, topic, 0, 30);
        }
    }
    peer_fini(&producer);
}

static void what_was_stored_before_open_returned_is_not_latest(void **state)
{
    (void)state;
    const char *topic = make_topic("latest", 1);
    struct peer producer;
    struct peer reader;
    producer_open(&producer, topic);
    peer_fill(&producer, topic, 0, 3);
    log_open(&reader, topic, DRI_START_LATEST, 0);
    /* Not polled yet: the position is fixed all the same. */
    peer_fill(&producer, topic, 0, 2);
    peer_await(&reader, DRI_TE_MESSAGE, 2, NULL);
    assert_int_equal(offset_of(&reader, 0), 3);
    assert_int_equal(assigned(&reader, 0).as.assigned.committed, 3);
    peer_fini(&reader);
    peer_fini(&producer);
}

static void a_log_that_does_not_reach_to_the_position_is_an_error(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("short", 1);
    struct peer producer;
    struct peer reader;
    producer_open(&producer, topic);
    peer_fill(&producer, topic, 0, 3);
    log_open(&reader, topic, DRI_START_OFFSET, 10);
    peer_await(&reader, DRI_TE_ERROR, 1, NULL);
    assert_int_equal(peer_event(&reader, DRI_TE_ERROR, 0)->status, DRAY_ENOTFOUND);
    peer_fini(&reader);
    peer_fini(&producer);
}

/* K3: the last offset of a log may hold no message. */
static void a_log_that_ends_in_a_transaction_marker_is_caught_up_with(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("marker", 1);
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", url + strlen("kafka://"), reason,
                                       sizeof(reason)),
                     RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "transactional.id", topic, reason, sizeof(reason)),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(rk);
    assert_null(rd_kafka_init_transactions(rk, 10000));
    for (int i = 0; i < 2; i++) {
        assert_null(rd_kafka_begin_transaction(rk));
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_VTYPE_TOPIC, topic, RD_KAFKA_VTYPE_VALUE,
                                           "v", (size_t)1, RD_KAFKA_VTYPE_MSGFLAGS,
                                           (int)RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_END),
                         0);
        assert_int_equal(rd_kafka_flush(rk, 10000), 0);
        /* Committed, then aborted: one message, three offsets that hold none. */
        assert_null(i == 0 ? rd_kafka_commit_transaction(rk, 10000)
                           : rd_kafka_abort_transaction(rk, 10000));
    }
    rd_kafka_destroy(rk);
    /* The markers are written after the calls have returned. */
    uint64_t deadline = dri_clock_mono_ns() + 10000000000u;
    struct peer reader;
    do {
        assert_true(dri_clock_mono_ns() < deadline);
        log_open(&reader, topic, DRI_START_LATEST, 0);
        (void)peer_poll(&reader);
        int64_t end = assigned(&reader, 0).as.assigned.committed;
        peer_fini(&reader);
        if (end == 4) {
            break;
        }
    } while (true);
    log_open(&reader, topic, DRI_START_EARLIEST, 0);
    peer_await(&reader, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(peer_count(&reader, DRI_TE_MESSAGE), 1);
    peer_fini(&reader);
}

/* -- asking about the other side -----------------------------------------------------------------
 */

/* K13 */
static void lag_is_known_and_never_waits(void **state)
{
    (void)state;
    const char *topic = make_topic("lag", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    peer_fill(&peer, topic, 0, 12);
    peer_await(&peer, DRI_TE_MESSAGE, 12, NULL);
    uint64_t end = 0;
    uint64_t deadline = dri_clock_mono_ns() + 5000000000u;
    while (end != 12 && dri_clock_mono_ns() < deadline) {
        peer_watch(&peer, 20, NULL);
        enum dray_status status = dri_kafka_ops.lag(peer.transport, slot.slot, slot.epoch, &end);
        assert_true(status == DRAY_OK || status == DRAY_EAGAIN);
    }
    assert_int_equal(end, 12);
    assert_int_equal(dri_kafka_ops.lag(peer.transport, slot.slot, slot.epoch + 1, &end),
                     DRAY_ESTALE);
    if (real_url == NULL) {
        rd_kafka_mock_broker_set_down(mock.cluster, -1);
        uint64_t begin = dri_clock_mono_ns();
        (void)dri_kafka_ops.lag(peer.transport, slot.slot, slot.epoch, &end);
        assert_true(dri_clock_mono_ns() - begin < 500000000u);
        rd_kafka_mock_broker_set_up(mock.cluster, -1);
    }
    peer_fini(&peer);
}

static void topics_are_created_as_their_use_wants(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct peer peer;
    peer_init(&peer, url, NULL);
    peer.config.can_create = true;
    peer.config.partitions = 5;
    peer.config.unacked_max = 0;
    static const enum dri_topic_use uses[] = {DRI_USE_DEAD_LETTERS, DRI_USE_CONTROL,
                                              DRI_USE_STATUS,       DRI_USE_RESULTS,
                                              DRI_USE_REPLAY,       DRI_USE_COMMANDS};
    static const uint32_t partitions[] = {5, 1, 1, 5, 5, 5};
    for (size_t i = 0; i < DRI_ARRAY_LEN(uses); i++) {
        peer_topic(&peer, fresh_name("use"), uses[i]);
    }
    struct dri_topic_report reports[8];
    struct dri_transport_info info;
    for (int pass = 0; pass < 2; pass++) {
        test_ok(dri_kafka_ops.check(&peer.config, &info, reports, peer.text, sizeof(peer.text)));
        for (size_t i = 0; i < DRI_ARRAY_LEN(uses); i++) {
            assert_int_equal(reports[i].status, DRAY_OK);
            assert_int_equal(reports[i].partitions, partitions[i]);
            assert_int_equal(reports[i].was_created, pass == 0);
            assert_string_equal(reports[i].text, "");
        }
    }
    assert_string_equal(info.kind, "kafka");
    assert_non_null(strstr(info.server, "1 broker"));
    peer_fini(&peer);
}

static void a_topic_that_does_not_fit_is_named_with_the_cure(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *wide = make_topic("wide", 3);
    const char *narrow = make_topic("narrow", 1);
    const char *missing = fresh_name("missing");
    static const struct {
        const char *want;
        enum dray_status status;
    } wants[] = {{NULL, DRAY_OK},
                 {"has 3 partitions", DRAY_EINVALID},
                 {"would forget", DRAY_EINVALID},
                 {"--partitions 3", DRAY_EINVALID},
                 {"dray doctor --fix", DRAY_ENOTFOUND},
                 {"is no name", DRAY_EINVALID}};
    struct peer peer;
    peer_init(&peer, url, NULL);
    peer_topic(&peer, wide, DRI_USE_COMMANDS);
    peer_topic(&peer, wide, DRI_USE_CONTROL);
    peer_topic(&peer, narrow, DRI_USE_CONTROL);
    peer_topic(&peer, narrow, DRI_USE_REPLAY);
    peer_topic(&peer, missing, DRI_USE_RESULTS);
    peer_topic(&peer, "no good/name", DRI_USE_RESULTS);
    struct dri_topic_report reports[8];
    struct dri_transport_info info;
    test_ok(dri_kafka_ops.check(&peer.config, &info, reports, peer.text, sizeof(peer.text)));
    for (size_t i = 0; i < DRI_ARRAY_LEN(wants); i++) {
        assert_int_equal(reports[i].status, wants[i].status);
        if (wants[i].want != NULL) {
            assert_non_null(strstr(reports[i].text, wants[i].want));
        }
    }
    assert_int_equal(
        dri_kafka_ops.open(&peer.config, &peer.transport, peer.text, sizeof(peer.text)),
        DRAY_EINVALID);
    assert_non_null(strstr(peer.text, wide));
    peer_fini(&peer);
}

static void a_missing_topic_is_named_when_it_may_not_be_created(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct peer peer;
    peer_init(&peer, url, NULL);
    peer_topic(&peer, "there-is-no-such-topic", DRI_USE_RESULTS);
    test_status(DRAY_ENOTFOUND,
                dri_kafka_ops.open(&peer.config, &peer.transport, peer.text, sizeof(peer.text)));
    assert_non_null(strstr(peer.text, "there-is-no-such-topic"));
    assert_non_null(strstr(peer.text, "worker.create_topics: true"));
    peer_fini(&peer);
}

static void a_broker_that_is_not_there_is_said_within_the_time(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, "kafka://127.0.0.1:1", NULL);
    peer.config.timeout_ms = 1500;
    uint64_t begin = dri_clock_mono_ns();
    enum dray_status status =
        dri_kafka_ops.open(&peer.config, &peer.transport, peer.text, sizeof(peer.text));
    assert_int_equal(dray_status_class(status), DRAY_CLASS_TRANSIENT);
    assert_true(dri_clock_mono_ns() - begin < 4000000000u);
    assert_non_null(strstr(peer.text, "127.0.0.1:1"));
    peer_fini(&peer);
}

/* K16 */
static void a_log_that_jumps_back_is_told_and_still_read(void **state)
{
    (void)state;
    const char *topic = make_topic("jump", 1);
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    /* As if more had been read before the log was cut. */
    peer_kafka(&peer)->slots[assigned(&peer, 0).slot]->next_offset = 50;
    peer_fill(&peer, topic, 0, 2);
    peer_await(&peer, DRI_TE_MESSAGE, 2, NULL);
    assert_int_equal(peer_kafka(&peer)->stats.jumps_back, 1);
    peer_fini(&peer);
}

static void open_gives_back_everything_when_memory_ends_anywhere(void **state)
{
    (void)state;
    const char *topic = make_topic("memory", 2);
    size_t live = dri_mem_live();
    bool has_failed = true;
    for (uint64_t n = 1; has_failed; n++) {
        assert_true(n < 500);
        struct peer peer;
        member_init(&peer, fresh_name("g"), topic);
        peer_source(&peer, topic, DRI_ROLE_LOG, DRI_START_EARLIEST);
        dri_mem_fail_at(n);
        enum dray_status status =
            dri_kafka_ops.open(&peer.config, &peer.transport, peer.text, sizeof(peer.text));
        has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        /* What is only a nicety may be left out: then it opened all the same. */
        assert_true(status == DRAY_OK || (has_failed && status == DRAY_ENOMEM));
        peer_fini(&peer);
        assert_int_equal(dri_mem_live(), live);
    }
}

static void running_short_of_memory_loses_no_message(void **state)
{
    (void)state;
    const char *topic = make_topic("short", 1);
    uint8_t flat[64];
    size_t len = 0;
    test_ok(
        dri_headers_append(flat, sizeof(flat), &len, dray_slice_text("a"), dray_slice_text("1")));
    struct peer peer;
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_publish message = {.topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text("v"),
                                  .headers = dray_slice_of(flat, len)};
    for (uint64_t i = 0; i < 40; i++) {
        message.token = i;
        dri_mem_fail_at(i % 3 + 1);
        size_t taken = dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1);
        (void)peer_poll(&peer);
        dri_mem_fail_at(0);
        if (taken == 0) {
            assert_int_equal(dri_kafka_ops.publish(peer.transport, dri_clock_now(), &message, 1),
                             1);
        }
        peer_await(&peer, DRI_TE_MESSAGE, i + 1, NULL);
        assert_int_equal(offset_of(&peer, i), i);
        assert_int_equal(peer_event(&peer, DRI_TE_MESSAGE, i)->as.message.headers.len, len);
    }
    peer_fini(&peer);
}

static void an_outage_is_survived(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("outage", 1);
    struct peer peer;
    member_init(&peer, fresh_name("g"), topic);
    peer_option(&peer, "reconnect.backoff.max.ms", "300");
    peer_open(&peer);
    peer_fill(&peer, topic, 0, 3);
    peer_await(&peer, DRI_TE_MESSAGE, 3, NULL);
    rd_kafka_mock_broker_set_down(mock.cluster, -1);
    peer_publish(&peer, 100, topic, 0, NULL, "while down");
    peer_await(&peer, DRI_TE_ERROR, 1, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_ERROR, 0)->status, DRAY_EBROKER);
    peer_watch(&peer, 500, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_PUBLISHED), 3);
    rd_kafka_mock_broker_set_up(mock.cluster, -1);
    peer_await(&peer, DRI_TE_PUBLISHED, 4, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_PUBLISHED, 3)->as.published.ack, DRI_ACK_STORED);
    peer_await(&peer, DRI_TE_MESSAGE, 4, NULL);
    peer_fini(&peer);
}

/* K15 */
static void a_second_member_with_the_same_instance_id_ends_the_first(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("static", 1);
    const char *group = fresh_name("g");
    struct peer first;
    struct peer second;
    member_init(&first, group, topic);
    peer_option(&first, "group.instance.id", "the-one");
    peer_open(&first);
    peer_await(&first, DRI_TE_ASSIGNED, 1, NULL);
    member_init(&second, group, topic);
    peer_option(&second, "group.instance.id", "the-one");
    peer_open(&second);
    bool is_fatal = false;
    uint64_t deadline = dri_clock_mono_ns() + 20000000000u;
    while (!is_fatal && dri_clock_mono_ns() < deadline) {
        peer_watch(&first, 50, &second);
        for (size_t i = 0; i < peer_count(&first, DRI_TE_ERROR); i++) {
            is_fatal = is_fatal || peer_event(&first, DRI_TE_ERROR, i)->status == DRAY_EFATAL;
        }
    }
    assert_true(is_fatal);
    peer_fini(&first);
    peer_fini(&second);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

static const struct CMUnitTest cases[] = {
    CASE(what_is_published_comes_back_and_is_settled),
    CASE(absent_and_empty_keys_and_values_stay_what_they_are),
    CASE(headers_keep_order_repeats_and_nulls),
    CASE(broken_flat_headers_are_refused_not_sent),
    CASE(a_position_is_never_committed_backwards),
    CASE(a_settle_of_another_epoch_reaches_nobody),
    CASE(settles_that_come_while_a_commit_is_out_go_with_the_next),
    CASE(metadata_comes_back_with_the_position),
    CASE(a_commit_never_fails_because_of_its_metadata),
    CASE(metadata_that_the_broker_refuses_is_left_out),
    CASE(a_refused_commit_is_reported_and_can_be_tried_again),
    CASE(reading_goes_on_at_the_committed_position),
    CASE(a_new_group_starts_where_it_is_told),
    CASE(a_position_out_of_range_is_an_error_and_no_reset),
    CASE(pausing_skips_and_repeats_nothing),
    CASE(resuming_what_is_not_paused_goes_nowhere),
    CASE(a_paused_slot_is_silent_until_it_is_resumed),
    CASE(an_owner_without_room_loses_nothing_and_pauses_the_source),
    CASE(a_revoke_waits_until_every_slot_was_let_go),
    CASE(partitions_of_a_member_that_leaves_go_to_the_other),
    CASE(a_lost_assignment_is_told_as_lost_and_nothing_of_it_settles),
    CASE(closing_in_the_middle_of_a_rebalance_ends),
    CASE(cooperative_members_keep_what_does_not_move),
    CASE(the_new_group_protocol_works_where_it_is_finished),
    CASE(committed_positions_are_asked_for_until_they_come),
    CASE(close_and_destroy_are_quick_while_messages_are_lent_out),
    CASE(close_keeps_its_time_when_no_broker_answers),
    CASE(after_close_everything_is_refused),
    CASE(every_token_is_answered_once_when_the_producer_fails_for_good),
    CASE(a_full_queue_takes_fewer_and_drops_none),
    CASE(a_target_that_does_not_exist_is_refused_for_good),
    CASE(what_is_too_large_is_refused_alone),
    CASE(one_key_stays_in_one_partition_and_in_order_with_and_without_headers),
    CASE(a_lost_answer_stores_nothing_twice),
    CASE(a_topic_without_permission_is_an_answer_not_a_wait),
    CASE(a_broker_that_is_silent_for_long_costs_nothing_but_time),
    CASE(a_courtesy_is_never_answered),
    CASE(a_log_is_read_from_where_it_is_told_to_its_end),
    CASE(what_was_stored_before_open_returned_is_not_latest),
    CASE(a_log_that_does_not_reach_to_the_position_is_an_error),
    CASE(a_log_that_ends_in_a_transaction_marker_is_caught_up_with),
    CASE(lag_is_known_and_never_waits),
    CASE(topics_are_created_as_their_use_wants),
    CASE(a_topic_that_does_not_fit_is_named_with_the_cure),
    CASE(a_missing_topic_is_named_when_it_may_not_be_created),
    CASE(a_broker_that_is_not_there_is_said_within_the_time),
    CASE(a_log_that_jumps_back_is_told_and_still_read),
    CASE(open_gives_back_everything_when_memory_ends_anywhere),
    CASE(running_short_of_memory_loses_no_message),
    CASE(an_outage_is_survived),
    CASE(a_second_member_with_the_same_instance_id_ends_the_first),
};

/* Every parts-th case. */
static int run_part(unsigned part, unsigned parts, void *arg)
{
    (void)arg;
    static struct CMUnitTest mine[DRI_ARRAY_LEN(cases)];
    size_t count = 0;
    for (size_t i = part; i < DRI_ARRAY_LEN(cases); i += parts) {
        mine[count++] = cases[i];
    }
    return _cmocka_run_group_tests("kafka rules", mine, count, NULL, NULL);
}

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "mock";
    if (strcmp(which, "mock") != 0) {
        is_kafka4 = strcmp(which, "kafka4") == 0;
        real_url = getenv(is_kafka4 ? "DRAY_TEST_KAFKA4" : "DRAY_TEST_KAFKA");
        if (real_url == NULL) {
            (void)printf("skipped: no broker (tests/support/brokers.py run --kafka ... -- ...)\n");
            return 77;
        }
    }
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
        return run_part(0, 1, NULL);
    }
    return run_parts(6, run_part, NULL);
}
