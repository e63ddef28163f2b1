/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>

#include "transport_contract.h"

/* Each publish gets exactly one acknowledgement, and it is true. */

#define PARTITIONS_MAX 64

static void each_publish_gets_one_acknowledgement_in_order_of_its_partition(void **state)
{
    enum {
        COUNT = 500
    };
    struct contract_client client;
    static unsigned int seen[COUNT];
    static uint64_t last_token[PARTITIONS_MAX], last_offset[PARTITIONS_MAX];
    static bool is_begun[PARTITIONS_MAX];
    const char *topic = contract_name("acks");
    (void)state;
    memset(seen, 0, sizeof(seen));
    memset(is_begun, 0, sizeof(is_begun));
    contract_open_producer(&client, topic);
    contract_fill(&client, topic, COUNT);
    contract_watch(&client, NULL);
    for (size_t i = 0; i < client.seen_count; i++) {
        const struct dri_transport_event *event = &client.seen[i].event;
        if (event->type != DRI_TE_PUBLISHED) {
            continue;
        }
        const struct dri_published *ack = &event->as.published;
        assert_in_range(ack->token, 0, COUNT - 1);
        seen[ack->token]++;
        assert_int_equal(ack->ack, DRI_ACK_STORED);
        assert_false(ack->is_duplicate);
        assert_true(ack->offset != UINT64_MAX);
        size_t partition = ack->partition < 0 ? 0 : (size_t)ack->partition;
        assert_in_range(partition, 0, PARTITIONS_MAX - 1);
        if (is_begun[partition]) {
            assert_true(ack->token > last_token[partition]);
            assert_true(ack->offset > last_offset[partition]);
        }
        is_begun[partition] = true;
        last_token[partition] = ack->token;
        last_offset[partition] = ack->offset;
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(seen[i], 1);
    }
    contract_fini(&client);
}

static void a_message_too_large_is_refused_for_good(void **state)
{
    struct contract_client client;
    struct dri_transport_info info = {0};
    const char *topic = contract_name("large");
    (void)state;
    contract_open_producer(&client, topic);
    contract_it->ops->info(client.transport, &info);
    size_t len = (size_t)info.message_bytes_max + 1;
    uint8_t *bytes = calloc(1, len);
    assert_non_null(bytes);
    struct dri_publish message = {.token = 7,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_of(bytes, len)};
    contract_publish(&client, &message);
    free(bytes);
    contract_await(&client, DRI_TE_PUBLISHED, 1, NULL);
    const struct dri_published *ack = &contract_event(&client, DRI_TE_PUBLISHED, 0)->as.published;
    assert_int_equal(ack->token, 7);
    assert_int_equal(ack->ack, DRI_ACK_NOT_STORED);
    assert_int_equal(ack->reason, DRAY_ELIMIT);
    contract_forget(&client);
    contract_fill(&client, topic, 3); /* and it did no harm to the next */
    contract_fini(&client);
}

static void a_target_that_is_not_there_is_refused_for_good(void **state)
{
    struct contract_client client;
    char nowhere[96];
    (void)state;
    if (contract_it->makes_any_topic) {
        test_skip("there is no topic that is not there");
    }
    contract_open_producer(&client, contract_name("there"));
    (void)snprintf(nowhere, sizeof(nowhere), "nowhere.%s", contract_name("x"));
    for (uint64_t i = 0; i < 3; i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(nowhere),
                                      .partition = -1,
                                      .value = dray_slice_text("x")};
        contract_publish(&client, &message);
    }
    contract_await(&client, DRI_TE_PUBLISHED, 3, NULL);
    for (size_t i = 0; i < 3; i++) {
        const struct dri_published *ack =
            &contract_event(&client, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->ack, DRI_ACK_NOT_STORED);
        assert_int_equal(ack->reason, DRAY_ENOTFOUND);
    }
    contract_fini(&client);
}

static void a_target_that_is_no_name_is_refused_for_good(void **state)
{
    static const char *const names[] = {"", "a b", "x\r\nPUB y 0\r\n\r\n", "a\tb"};
    struct contract_client client;
    (void)state;
    if (contract_it->makes_any_topic) {
        test_skip("there is no topic that is not there");
    }
    contract_open_producer(&client, contract_name("names"));
    for (uint64_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(names[i]),
                                      .partition = -1,
                                      .value = dray_slice_text("x")};
        contract_publish(&client, &message);
        contract_await(&client, DRI_TE_PUBLISHED, i + 1, NULL);
        const struct dri_published *ack =
            &contract_event(&client, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->ack, DRI_ACK_NOT_STORED);
        assert_int_equal(ack->token, i);
    }
    contract_fini(&client);
}

static void a_second_publish_with_the_same_id_is_stored_once(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("dedup");
    (void)state;
    if (!contract_it->has_dedup) {
        test_skip("the broker knows no deduplication by id");
    }
    contract_open_group(&client, contract_name("group"), topic);
    for (uint64_t i = 0; i < 3; i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .value = dray_slice_text(i < 2 ? "once" : "twice"),
                                      .dedup_id = dray_slice_text(i < 2 ? "r:S:1" : "r:S:2")};
        contract_publish(&client, &message);
    }
    contract_await(&client, DRI_TE_PUBLISHED, 3, NULL);
    contract_await(&client, DRI_TE_MESSAGE, 2, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 2);
    bool duplicate[3];
    uint64_t offset[3];
    for (size_t i = 0; i < 3; i++) {
        const struct dri_published *ack =
            &contract_event(&client, DRI_TE_PUBLISHED, i)->as.published;
        assert_int_equal(ack->ack, DRI_ACK_STORED);
        duplicate[ack->token] = ack->is_duplicate;
        offset[ack->token] = ack->offset;
    }
    assert_false(duplicate[0]);
    assert_true(duplicate[1]);
    assert_false(duplicate[2]);
    assert_int_equal(offset[0], offset[1]);
    contract_fini(&client);
}

static void a_courtesy_is_not_acknowledged(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("courtesy");
    (void)state;
    contract_open_producer(&client, topic);
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text("_INBOX.nobody.listens"),
                                  .partition = -1,
                                  .value = dray_slice_text("x"),
                                  .is_courtesy = true};
    contract_publish(&client, &message);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_PUBLISHED), 0);
    contract_fill(&client, topic, 1);
    contract_fini(&client);
}

static void no_more_is_taken_than_may_be_out(void **state)
{
    enum {
        COUNT = 400,
        BOUND = 50
    };
    struct contract_client client;
    const char *topic = contract_name("bound");
    struct dri_publish messages[COUNT];
    size_t taken = 0;
    (void)state;
    contract_init(&client, NULL);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    client.config.unacked_max = BOUND;
    contract_open(&client);
    for (size_t i = 0; i < COUNT; i++) {
        messages[i] = (struct dri_publish){.token = i,
                                           .topic = dray_slice_text(topic),
                                           .partition = -1,
                                           .value = dray_slice_text("x")};
    }
    struct dri_now now = contract_it->now != NULL ? contract_it->now(contract_it) : dri_clock_now();
    taken = contract_it->ops->publish(client.transport, now, messages, COUNT);
    assert_in_range(taken, 1, BOUND);
    while (taken < COUNT) {
        contract_publish(&client, &messages[taken]);
        taken++;
    }
    contract_await(&client, DRI_TE_PUBLISHED, COUNT, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_PUBLISHED), COUNT);
    contract_fini(&client);
}

const struct CMUnitTest contract_publish_cases[] = {
    cmocka_unit_test(each_publish_gets_one_acknowledgement_in_order_of_its_partition),
    cmocka_unit_test(a_message_too_large_is_refused_for_good),
    cmocka_unit_test(a_target_that_is_not_there_is_refused_for_good),
    cmocka_unit_test(a_target_that_is_no_name_is_refused_for_good),
    cmocka_unit_test(a_second_publish_with_the_same_id_is_stored_once),
    cmocka_unit_test(a_courtesy_is_not_acknowledged),
    cmocka_unit_test(no_more_is_taken_than_may_be_out),
};
const size_t contract_publish_count =
    sizeof(contract_publish_cases) / sizeof(contract_publish_cases[0]);
