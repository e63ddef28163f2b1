/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "transport_contract.h"

/* Delay sources: each message comes when it has been in its log for long enough, not before; and
 * meanwhile it holds up nothing else. */

#define DELAY_MS 1600u
#define LONG_MS  600000u
#define MANY     200u /* more than may wait in memory */

static uint64_t wall_ms(void)
{
    return contract_it->now != NULL ? contract_it->now(contract_it).wall_ms : dri_clock_wall_ms();
}

static void delay_source(struct contract_client *client, const char *topic, uint64_t delay_ms)
{
    contract_source(client, topic, DRI_ROLE_DELAY, DRI_START_EARLIEST, 0);
    client->sources[client->config.sources_count - 1].delay_ms = delay_ms;
}

static void open_producer(struct contract_client *client, const char *topic)
{
    contract_init(client, NULL);
    contract_topic(client, topic, DRI_USE_DELAY);
    contract_open(client);
}

/* Each message, as it is handed up, is old enough; the clocks of a broker and ours may differ by a
 * little. */
static void assert_old_enough(const struct contract_client *client, size_t from, size_t to)
{
    uint64_t now_ms = wall_ms();
    for (size_t i = from; i < to; i++) {
        const struct dri_message *message = &contract_event(client, DRI_TE_MESSAGE, i)->as.message;
        assert_true(message->timestamp_ms > 0);
        assert_true(now_ms + 20 >= (uint64_t)message->timestamp_ms + DELAY_MS - DELAY_MS / 8);
    }
}

static void a_message_of_a_delay_source_comes_when_it_is_old_enough(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("delay");
    (void)state;
    open_producer(&producer, topic);
    contract_init(&client, contract_name("group"));
    delay_source(&client, topic, DELAY_MS);
    contract_open(&client);
    contract_await(&client, DRI_TE_ASSIGNED, 1, NULL);
    contract_fill(&producer, topic, MANY);
    for (size_t seen = 0; seen < MANY;) {
        contract_await(&client, DRI_TE_MESSAGE, seen + 1, NULL);
        size_t count = contract_count(&client, DRI_TE_MESSAGE);
        assert_old_enough(&client, seen, count);
        seen = count;
    }
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), MANY);
    bool has_come[MANY] = {false};
    for (size_t i = 0; i < MANY; i++) {
        size_t number = contract_number(contract_event(&client, DRI_TE_MESSAGE, i));
        assert_in_range(number, 0, MANY - 1);
        assert_false(has_come[number]);
        has_come[number] = true;
    }
    contract_fini(&client);
    contract_fini(&producer);
}

static void what_waits_holds_up_no_other_source(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("delay");
    char commands[96];
    (void)state;
    (void)snprintf(commands, sizeof(commands), "c_%s", topic);
    contract_init(&producer, NULL);
    contract_topic(&producer, commands, DRI_USE_COMMANDS);
    contract_topic(&producer, topic, DRI_USE_DELAY);
    contract_open(&producer);
    contract_fill(&producer, topic, MANY);
    contract_init(&client, contract_name("group"));
    contract_source(&client, commands, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    delay_source(&client, topic, LONG_MS);
    contract_open(&client);
    for (size_t round = 1; round <= 3; round++) {
        contract_fill(&producer, commands, 20);
        contract_await(&client, DRI_TE_MESSAGE, 20 * round, NULL);
        contract_watch(&client, NULL);
        assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 20 * round);
    }
    for (size_t i = 0; i < 60; i++) {
        const struct dri_transport_event *event = contract_event(&client, DRI_TE_MESSAGE, i);
        assert_true(dray_slice_equal_text(event->as.message.subject, commands));
    }
    contract_fini(&client);
    contract_fini(&producer);
}

static void what_waited_with_one_that_left_comes_to_the_next(void **state)
{
    struct contract_client first, second, producer;
    const char *topic = contract_name("delay");
    const char *group = contract_name("group");
    (void)state;
    open_producer(&producer, topic);
    contract_init(&first, group);
    delay_source(&first, topic, LONG_MS);
    contract_open(&first);
    contract_await(&first, DRI_TE_ASSIGNED, 1, NULL);
    contract_fill(&producer, topic, 10);
    contract_watch(&first, NULL);
    assert_int_equal(contract_count(&first, DRI_TE_MESSAGE), 0);
    contract_fini(&first);
    contract_init(&second, group);
    delay_source(&second, topic, DELAY_MS);
    contract_open(&second);
    contract_await(&second, DRI_TE_MESSAGE, 10, NULL);
    assert_old_enough(&second, 0, 10);
    contract_fini(&second);
    contract_fini(&producer);
}

static void a_paused_delay_source_gives_nothing_until_it_is_resumed(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("delay");
    (void)state;
    open_producer(&producer, topic);
    contract_init(&client, contract_name("group"));
    delay_source(&client, topic, 80);
    contract_open(&client);
    contract_await(&client, DRI_TE_ASSIGNED, contract_it->partitions, NULL);
    for (size_t i = 0; i < contract_count(&client, DRI_TE_ASSIGNED); i++) {
        const struct dri_transport_event *slot = contract_event(&client, DRI_TE_ASSIGNED, i);
        contract_it->ops->pause(client.transport, slot->slot, slot->epoch);
    }
    contract_fill(&producer, topic, 10);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    for (size_t i = 0; i < contract_count(&client, DRI_TE_ASSIGNED); i++) {
        const struct dri_transport_event *slot = contract_event(&client, DRI_TE_ASSIGNED, i);
        contract_it->ops->resume(client.transport, slot->slot, slot->epoch);
    }
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    contract_fini(&client);
    contract_fini(&producer);
}

const struct CMUnitTest contract_delay_cases[] = {
    cmocka_unit_test(a_message_of_a_delay_source_comes_when_it_is_old_enough),
    cmocka_unit_test(what_waits_holds_up_no_other_source),
    cmocka_unit_test(what_waited_with_one_that_left_comes_to_the_next),
    cmocka_unit_test(a_paused_delay_source_gives_nothing_until_it_is_resumed),
};
const size_t contract_delay_count = sizeof(contract_delay_cases) / sizeof(contract_delay_cases[0]);
