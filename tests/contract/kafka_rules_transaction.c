/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_rules_transaction.c - what is published and settled in transactions (K23). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka_rules.h"

/* A member whose outcomes go to another topic, in transactions. */
struct scene {
    struct peer peer;
    const char *topic, *results, *group, *id;
    struct dri_transport_event slot;
};

static void scene_open(struct scene *scene)
{
    peer_init(&scene->peer, rules_url, scene->group);
    peer_source(&scene->peer, scene->topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST);
    peer_topic(&scene->peer, scene->topic, DRI_USE_COMMANDS);
    peer_topic(&scene->peer, scene->results, DRI_USE_RESULTS);
    peer_option(&scene->peer, "topic.metadata.propagation.max.ms", "1000");
    scene->peer.config.transactional_id = scene->id;
    peer_open(&scene->peer);
}

/* count messages wait in partition 0, and were handed over. */
static void scene_start(struct scene *scene, size_t count)
{
    *scene = (struct scene){.topic = make_topic("txn", 1),
                            .results = make_topic("txn-results", 1),
                            .group = fresh_name("g"),
                            .id = fresh_name("id")};
    struct peer producer;
    producer_open(&producer, scene->topic);
    peer_fill(&producer, scene->topic, 0, count);
    peer_fini(&producer);
    scene_open(scene);
    peer_await(&scene->peer, DRI_TE_ASSIGNED, 1, NULL);
    scene->slot = assigned(&scene->peer, 0);
    peer_await(&scene->peer, DRI_TE_MESSAGE, count, NULL);
}

static void commit(struct peer *peer, bool is_void)
{
    dri_kafka_ops.commit(peer->transport, dri_clock_now(), is_void);
}

static enum dray_status ended(struct peer *peer, size_t n)
{
    peer_await(peer, DRI_TE_TRANSACTION, n + 1, NULL);
    return peer_event(peer, DRI_TE_TRANSACTION, n)->status;
}

static const struct dri_published *answer(struct peer *peer, size_t n)
{
    peer_await(peer, DRI_TE_PUBLISHED, n + 1, NULL);
    return &peer_event(peer, DRI_TE_PUBLISHED, n)->as.published;
}

/* Publishes as soon as the transport takes it. */
static void publish_when_open(struct peer *peer, uint64_t token, const char *topic,
                              const char *value)
{
    uint64_t deadline = dri_clock_mono_ns() + 20000000000u;
    struct dri_publish message = {.token = token,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text(value)};
    while (dri_kafka_ops.publish(peer->transport, dri_clock_now(), &message, 1) == 0) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(peer, 10, NULL);
    }
}

/* What a reader of committed transactions finds: the values, one after the other. */
static void read_values(const char *topic, char *ret_values, size_t bytes)
{
    struct peer peer;
    log_open(&peer, topic, DRI_START_EARLIEST, 0);
    peer_await(&peer, DRI_TE_CAUGHT_UP, 1, NULL);
    size_t len = 0;
    ret_values[0] = '\0';
    for (size_t i = 0; i < peer_count(&peer, DRI_TE_MESSAGE); i++) {
        struct dray_slice value = peer_event(&peer, DRI_TE_MESSAGE, i)->as.message.value;
        len += (size_t)snprintf(ret_values + len, bytes - len, "%.*s", (int)value.len,
                                (const char *)value.at);
        assert_true(len < bytes);
    }
    peer_fini(&peer);
}

/* The coordinator answers a commit before the partitions have heard of it. */
static void await_values(const char *topic, const char *wanted)
{
    char values[64];
    uint64_t deadline = dri_clock_mono_ns() + 20000000000u;
    do {
        read_values(topic, values, sizeof(values));
    } while (strcmp(values, wanted) != 0 && dri_clock_mono_ns() < deadline);
    assert_string_equal(values, wanted);
}

static void outcome_and_position_appear_together_at_the_commit(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene scene;
    char values[64];
    char metadata[64];
    scene_start(&scene, 3);
    peer_publish(&scene.peer, 1, scene.results, -1, NULL, "a");
    assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_STORED);
    peer_settle(&scene.peer, &scene.slot, 2, "beyond", false);
    peer_watch(&scene.peer, 300, NULL);
    assert_int_equal(peer_count(&scene.peer, DRI_TE_SETTLED), 0);
    read_values(scene.results, values, sizeof(values));
    assert_string_equal(values, "");
    commit(&scene.peer, false);
    struct dri_publish early = {.token = 2, .topic = dray_slice_text(scene.results)};
    assert_int_equal(dri_kafka_ops.publish(scene.peer.transport, dri_clock_now(), &early, 1), 0);
    assert_int_equal(ended(&scene.peer, 0), DRAY_OK);
    peer_await(&scene.peer, DRI_TE_SETTLED, 1, NULL);
    assert_int_equal(peer_event(&scene.peer, DRI_TE_SETTLED, 0)->as.position, 2);
    await_values(scene.results, "a");
    peer_fini(&scene.peer);
    assert_int_equal(committed_now(scene.group, scene.topic, metadata, sizeof(metadata)), 2);
    assert_string_equal(metadata, "beyond");
}

static void a_void_transaction_leaves_nothing_and_its_messages_come_again(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene scene;
    scene_start(&scene, 2);
    peer_publish(&scene.peer, 1, scene.results, -1, NULL, "a");
    assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_STORED);
    peer_settle(&scene.peer, &scene.slot, 1, NULL, false);
    commit(&scene.peer, true);
    assert_int_not_equal(ended(&scene.peer, 0), DRAY_OK);
    peer_await(&scene.peer, DRI_TE_LOST, 1, NULL);
    peer_await(&scene.peer, DRI_TE_ASSIGNED, 2, NULL);
    struct dri_transport_event anew = assigned(&scene.peer, 1);
    assert_int_not_equal(anew.epoch, scene.slot.epoch);
    assert_int_equal(anew.as.assigned.committed, -1);
    peer_await(&scene.peer, DRI_TE_MESSAGE, 4, NULL);
    assert_int_equal(offset_of(&scene.peer, 2), 0);
    assert_int_equal(peer_count(&scene.peer, DRI_TE_SETTLED), 0);
    publish_when_open(&scene.peer, 2, scene.results, "b");
    assert_int_equal(answer(&scene.peer, 1)->ack, DRI_ACK_STORED);
    peer_settle(&scene.peer, &anew, 2, NULL, false);
    commit(&scene.peer, false);
    assert_int_equal(ended(&scene.peer, 1), DRAY_OK);
    await_values(scene.results, "b");
    peer_fini(&scene.peer);
    assert_int_equal(committed_now(scene.group, scene.topic, NULL, 0), 2);
}

static void a_new_producer_of_the_same_id_ends_what_the_old_one_had_open(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene old;
    char values[64];
    scene_start(&old, 1);
    peer_publish(&old.peer, 1, old.results, -1, NULL, "a");
    assert_int_equal(answer(&old.peer, 0)->ack, DRI_ACK_STORED);
    peer_settle(&old.peer, &old.slot, 1, NULL, false);
    struct scene heir = {.topic = make_topic("txn", 1),
                         .results = old.results,
                         .group = fresh_name("g"),
                         .id = old.id};
    scene_open(&heir); /* returns when the old transaction is over */
    read_values(old.results, values, sizeof(values));
    assert_string_equal(values, "");
    commit(&old.peer, false);
    assert_int_not_equal(ended(&old.peer, 0), DRAY_OK);
    peer_await(&old.peer, DRI_TE_LOST, 1, NULL);
    read_values(old.results, values, sizeof(values));
    assert_string_equal(values, "");
    peer_fini(&heir.peer);
    peer_fini(&old.peer);
}

static void an_outcome_without_a_position_is_not_committed(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene scene;
    char values[64];
    scene_start(&scene, 1);
    peer_publish(&scene.peer, 1, scene.results, -1, NULL, "a");
    assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_STORED);
    commit(&scene.peer, false);
    assert_int_not_equal(ended(&scene.peer, 0), DRAY_OK);
    peer_await(&scene.peer, DRI_TE_ASSIGNED, 2, NULL);
    read_values(scene.results, values, sizeof(values));
    assert_string_equal(values, "");
    peer_fini(&scene.peer);
}

static void what_is_too_large_does_not_break_the_transaction(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene scene;
    scene_start(&scene, 1);
    struct dri_transport_info info;
    dri_kafka_ops.info(scene.peer.transport, &info);
    size_t bytes = (size_t)info.message_bytes_max + 1;
    char *large = calloc(1, bytes);
    assert_non_null(large);
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(scene.results),
                                  .partition = -1,
                                  .value = dray_slice_of(large, bytes)};
    assert_int_equal(dri_kafka_ops.publish(scene.peer.transport, dri_clock_now(), &message, 1), 1);
    assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_NOT_STORED);
    assert_int_equal(answer(&scene.peer, 0)->reason, DRAY_ELIMIT);
    /* The largest that is taken is stored, so nothing between is left to the broker. */
    size_t refused = 1;
    while (answer(&scene.peer, refused - 1)->ack == DRI_ACK_NOT_STORED && refused < 64) {
        message.token++;
        message.value.len -= 16;
        assert_int_equal(dri_kafka_ops.publish(scene.peer.transport, dri_clock_now(), &message, 1),
                         1);
        refused++;
    }
    assert_int_equal(answer(&scene.peer, refused - 1)->ack, DRI_ACK_STORED);
    assert_int_equal(peer_count(&scene.peer, DRI_TE_TRANSACTION), 0);
    peer_settle(&scene.peer, &scene.slot, 1, NULL, false);
    commit(&scene.peer, false);
    assert_int_equal(ended(&scene.peer, 0), DRAY_OK);
    peer_publish(&scene.peer, 100, scene.results, -1, NULL, "small");
    assert_int_equal(answer(&scene.peer, refused)->ack, DRI_ACK_STORED);
    free(large);
    peer_fini(&scene.peer);
}

static void a_topic_that_refuses_breaks_one_transaction_and_not_the_next(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene scene;
    scene_start(&scene, 1);
    const char *nowhere = fresh_name("nowhere");
    peer_publish(&scene.peer, 1, nowhere, -1, NULL, "a");
    assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_UNKNOWN);
    assert_int_not_equal(ended(&scene.peer, 0), DRAY_OK);
    peer_await(&scene.peer, DRI_TE_ASSIGNED, 2, NULL);
    struct dri_transport_event anew = assigned(&scene.peer, 1);
    publish_when_open(&scene.peer, 2, nowhere, "a");
    assert_int_equal(answer(&scene.peer, 1)->ack, DRI_ACK_NOT_STORED);
    assert_int_equal(answer(&scene.peer, 1)->reason, DRAY_ENOTFOUND);
    peer_publish(&scene.peer, 3, scene.results, -1, NULL, "b");
    assert_int_equal(answer(&scene.peer, 2)->ack, DRI_ACK_STORED);
    peer_settle(&scene.peer, &anew, 1, NULL, false);
    commit(&scene.peer, false);
    assert_int_equal(ended(&scene.peer, 1), DRAY_OK);
    await_values(scene.results, "b");
    peer_fini(&scene.peer);
}

static void a_partition_let_go_within_a_transaction_breaks_it(void **state)
{
    (void)state;
    NEEDS_BROKER();
    struct scene scene;
    struct peer other;
    char values[64];
    scene_start(&scene, 1);
    peer_publish(&scene.peer, 1, scene.results, -1, NULL, "a");
    assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_STORED);
    peer_settle(&scene.peer, &scene.slot, 1, NULL, false);
    member_open(&other, scene.group, scene.topic);
    other.lets_go = true;
    peer_await(&scene.peer, DRI_TE_REVOKED, 1, &other);
    scene.peer.lets_go = true;
    peer_unassign(&scene.peer, peer_event(&scene.peer, DRI_TE_REVOKED, 0));
    peer_await(&scene.peer, DRI_TE_TRANSACTION, 1, &other);
    assert_int_not_equal(peer_event(&scene.peer, DRI_TE_TRANSACTION, 0)->status, DRAY_OK);
    peer_fini(&scene.peer);
    peer_fini(&other);
    read_values(scene.results, values, sizeof(values));
    assert_string_equal(values, "");
    assert_int_equal(committed_now(scene.group, scene.topic, NULL, 0), -1);
}

/* Each call that may fail, on the mock: it does not isolate, but it can be made to refuse. */
static void any_call_that_fails_makes_a_new_producer(void **state)
{
    (void)state;
    NEEDS_MOCK();
    static const struct {
        int16_t api;
        rd_kafka_resp_err_t err;
    } failures[] = {
        {25 /* AddOffsetsToTxn */, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE},
        {28 /* TxnOffsetCommit */, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION},
        {26 /* EndTxn */, RD_KAFKA_RESP_ERR_PRODUCER_FENCED},
        {26 /* EndTxn */, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH},
    };
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct scene scene;
        scene_start(&scene, 1);
        peer_publish(&scene.peer, 1, scene.results, -1, NULL, "a");
        assert_int_equal(answer(&scene.peer, 0)->ack, DRI_ACK_STORED);
        peer_settle(&scene.peer, &scene.slot, 1, NULL, false);
        rd_kafka_mock_push_request_errors(rules_mock.cluster, failures[i].api, 1, failures[i].err);
        commit(&scene.peer, false);
        assert_int_not_equal(ended(&scene.peer, 0), DRAY_OK);
        peer_await(&scene.peer, DRI_TE_ASSIGNED, 2, NULL);
        assert_int_equal(peer_count(&scene.peer, DRI_TE_LOST), 1);
        assert_int_equal(peer_count(&scene.peer, DRI_TE_SETTLED), 0);
        assert_int_equal(peer_kafka(&scene.peer)->stats.producers, 2);
        peer_fini(&scene.peer);
    }
}

const struct CMUnitTest rules_transaction[] = {
    RULE(outcome_and_position_appear_together_at_the_commit),
    RULE(a_void_transaction_leaves_nothing_and_its_messages_come_again),
    RULE(a_new_producer_of_the_same_id_ends_what_the_old_one_had_open),
    RULE(an_outcome_without_a_position_is_not_committed),
    RULE(what_is_too_large_does_not_break_the_transaction),
    RULE(a_topic_that_refuses_breaks_one_transaction_and_not_the_next),
    RULE(a_partition_let_go_within_a_transaction_breaks_it),
    RULE(any_call_that_fails_makes_a_new_producer),
};
const size_t rules_transaction_count = sizeof(rules_transaction) / sizeof(rules_transaction[0]);
