/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>

#include "transport_contract.h"

/* Log sources: read from a position, without a group, and say when they have caught up. The topics
 * are control topics: one partition, kept for ever. */

static void put(const char *topic, size_t count)
{
    struct contract_client producer;
    contract_init(&producer, NULL);
    contract_topic(&producer, topic, DRI_USE_CONTROL);
    contract_open(&producer);
    contract_fill(&producer, topic, count);
    contract_fini(&producer);
}

/** Messages in front of CAUGHT_UP; fails when there is none. */
static size_t before_caught_up(const struct contract_client *client)
{
    size_t messages = 0;
    for (size_t i = 0; i < client->seen_count; i++) {
        if (client->seen[i].event.type == DRI_TE_CAUGHT_UP) {
            return messages;
        }
        messages += client->seen[i].event.type == DRI_TE_MESSAGE ? 1 : 0;
    }
    fail_msg("no CAUGHT_UP");
    return 0;
}

static void a_log_is_read_from_its_beginning_until_it_is_caught_up(void **state)
{
    struct contract_client client;
    struct dri_transport_info info = {0};
    const char *topic = contract_name("log");
    (void)state;
    put(topic, 30);
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(before_caught_up(&client), 30);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(contract_number(contract_event(&client, DRI_TE_MESSAGE, i)), i);
    }
    const struct dri_transport_event *assigned = contract_event(&client, DRI_TE_ASSIGNED, 0);
    assert_int_equal(assigned->as.assigned.role, DRI_ROLE_LOG);
    contract_it->ops->info(client.transport, &info); /* what revisions are counted from */
    assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.offset,
                     info.first_offset);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_CAUGHT_UP), 1);
    contract_fini(&client);
}

static void an_empty_log_is_caught_up_at_once(void **state)
{
    struct contract_client client;
    (void)state;
    contract_open_log(&client, contract_name("empty"), DRI_START_EARLIEST, 0);
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(before_caught_up(&client), 0);
    contract_fini(&client);
}

static void a_log_goes_on_after_it_is_caught_up(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("follow");
    (void)state;
    put(topic, 3);
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    contract_fill(&client, topic, 5);
    contract_await(&client, DRI_TE_MESSAGE, 8, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 8);
    assert_int_equal(contract_count(&client, DRI_TE_CAUGHT_UP), 1);
    contract_fini(&client);
}

static void a_log_is_read_from_an_offset(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("offset");
    (void)state;
    put(topic, 20);
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    uint64_t twelfth = contract_event(&client, DRI_TE_MESSAGE, 12)->as.message.offset;
    contract_fini(&client);
    contract_open_log(&client, topic, DRI_START_OFFSET, twelfth);
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(before_caught_up(&client), 8);
    assert_int_equal(contract_number(contract_event(&client, DRI_TE_MESSAGE, 0)), 12);
    contract_fini(&client);
}

static void a_log_is_read_from_an_offset_at_its_end(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("end");
    (void)state;
    put(topic, 4);
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_await(&client, DRI_TE_MESSAGE, 4, NULL);
    uint64_t last = contract_event(&client, DRI_TE_MESSAGE, 3)->as.message.offset;
    contract_fini(&client);
    contract_open_log(&client, topic, DRI_START_OFFSET, last + 1);
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(before_caught_up(&client), 0);
    contract_fill(&client, topic, 1);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    assert_true(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.offset > last);
    contract_fini(&client);
}

static void a_log_can_begin_at_the_end(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("tail");
    (void)state;
    put(topic, 9);
    contract_open_log(&client, topic, DRI_START_LATEST, 0);
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fill(&client, topic, 2);
    contract_await(&client, DRI_TE_MESSAGE, 2, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 2);
    contract_fini(&client);
}

static void two_readers_of_a_log_each_get_everything(void **state)
{
    struct contract_client a, b;
    const char *topic = contract_name("both");
    (void)state;
    contract_open_log(&a, topic, DRI_START_EARLIEST, 0);
    contract_open_log(&b, topic, DRI_START_EARLIEST, 0);
    contract_fill(&a, topic, 25);
    contract_await(&a, DRI_TE_MESSAGE, 25, &b);
    contract_await(&b, DRI_TE_MESSAGE, 25, &a);
    for (size_t i = 0; i < 25; i++) {
        assert_int_equal(contract_number(contract_event(&a, DRI_TE_MESSAGE, i)), i);
        assert_int_equal(contract_number(contract_event(&b, DRI_TE_MESSAGE, i)), i);
    }
    contract_fini(&a);
    contract_fini(&b);
}

static void a_log_waits_while_there_is_no_room(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("waits");
    (void)state;
    put(topic, 40);
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    client.messages_max = 0;
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    assert_int_equal(contract_count(&client, DRI_TE_CAUGHT_UP), 0);
    client.messages_max = 3;
    contract_await(&client, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(before_caught_up(&client), 40);
    contract_fini(&client);
}

static void status_is_kept_per_key(void **state)
{
    struct contract_client writer, reader;
    const char *topic = contract_name("status");
    (void)state;
    contract_init(&writer, NULL);
    contract_topic(&writer, topic, DRI_USE_STATUS);
    contract_open(&writer);
    contract_init(&reader, NULL);
    contract_source(&reader, topic, DRI_ROLE_LOG, DRI_START_EARLIEST, 0);
    contract_topic(&reader, topic, DRI_USE_STATUS);
    contract_open(&reader);
    contract_await(&reader, DRI_TE_CAUGHT_UP, 1, NULL);
    contract_fill(&writer, topic, 7); /* one each of the keys k0 .. k6 */
    contract_await(&reader, DRI_TE_MESSAGE, 7, NULL);
    for (size_t i = 0; i < 7; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "k%zu", i);
        test_slice(key, contract_event(&reader, DRI_TE_MESSAGE, i)->as.message.key);
    }
    contract_fini(&reader);
    contract_fini(&writer);
}

const struct CMUnitTest contract_log_cases[] = {
    cmocka_unit_test(a_log_is_read_from_its_beginning_until_it_is_caught_up),
    cmocka_unit_test(an_empty_log_is_caught_up_at_once),
    cmocka_unit_test(a_log_goes_on_after_it_is_caught_up),
    cmocka_unit_test(a_log_is_read_from_an_offset),
    cmocka_unit_test(a_log_is_read_from_an_offset_at_its_end),
    cmocka_unit_test(a_log_can_begin_at_the_end),
    cmocka_unit_test(two_readers_of_a_log_each_get_everything),
    cmocka_unit_test(a_log_waits_while_there_is_no_room),
    cmocka_unit_test(status_is_kept_per_key),
};
const size_t contract_log_count = sizeof(contract_log_cases) / sizeof(contract_log_cases[0]);
