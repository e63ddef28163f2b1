/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_rules_publish.c - What is published, and how it is answered. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "clock.h"
#include "hash.h"
#include "headers.h"
#include "kafka_rules.h"

/* ---- publishing ---- */

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
    peer_init(&peer, rules_url, NULL);
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
    peer_init(&peer, rules_url, NULL);
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
    /* As the Java client would choose. */
    int32_t partition = (int32_t)(dri_murmur2(dray_slice_text("order-42")) % 4);
    for (size_t i = 0; i < 100; i++) {
        const struct dri_published *ack = &peer_event(&peer, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->partition, partition);
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
    rd_kafka_mock_push_request_errors(rules_mock.cluster, 0 /* Produce */, 2,
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
    rd_kafka_mock_push_request_errors(rules_mock.cluster, 0, 1,
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

const struct CMUnitTest rules_publish[] = {
    RULE(every_token_is_answered_once_when_the_producer_fails_for_good),
    RULE(a_full_queue_takes_fewer_and_drops_none),
    RULE(a_target_that_does_not_exist_is_refused_for_good),
    RULE(what_is_too_large_is_refused_alone),
    RULE(one_key_stays_in_one_partition_and_in_order_with_and_without_headers),
    RULE(a_lost_answer_stores_nothing_twice),
    RULE(a_topic_without_permission_is_an_answer_not_a_wait),
    RULE(a_broker_that_is_silent_for_long_costs_nothing_but_time),
    RULE(a_courtesy_is_never_answered),
};
const size_t rules_publish_count = sizeof(rules_publish) / sizeof(rules_publish[0]);
