/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>

#include "transport_contract.h"

/* Sources with a group: assignment, settling, leases, back-pressure, sharing. */

static struct dri_now now(void)
{
    return contract_it->now != NULL ? contract_it->now(contract_it) : dri_clock_now();
}

static void put(const char *topic, size_t count)
{
    struct contract_client producer;
    contract_open_producer(&producer, topic);
    contract_fill(&producer, topic, count);
    contract_fini(&producer);
}

/** Asserts that the messages seen are exactly the numbers from..to-1, each once, in any order. */
static void assert_exactly(const struct contract_client *client, size_t from, size_t to)
{
    static unsigned char seen[20000];
    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < client->seen_count; i++) {
        if (client->seen[i].event.type == DRI_TE_MESSAGE) {
            size_t number = contract_number(&client->seen[i].event);
            assert_in_range(number, from, to - 1);
            seen[number]++;
        }
    }
    for (size_t i = from; i < to; i++) {
        if (seen[i] != 1) {
            fail_msg("message %zu came %u times", i, (unsigned int)seen[i]);
        }
    }
}

static void an_assignment_says_what_it_is(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("assigned");
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    contract_await(&client, DRI_TE_ASSIGNED, 1, NULL);
    const struct dri_transport_event *event = contract_event(&client, DRI_TE_ASSIGNED, 0);
    assert_int_equal(event->as.assigned.role, DRI_ROLE_COMMANDS);
    assert_int_equal(event->as.assigned.mode, contract_it->mode);
    assert_int_equal(event->as.assigned.committed, -1);
    assert_true(event->epoch > 0);
    assert_true(event->as.assigned.origin.len > 0);
    test_slice(topic, event->as.assigned.topic);
    if (contract_it->mode == DRI_SETTLE_EACH) {
        uint64_t lease_ms = event->as.assigned.lease_ns / 1000000u;
        assert_in_range(lease_ms, contract_it->lease_ms / 2, contract_it->lease_ms);
    } else {
        assert_int_equal(event->as.assigned.lease_ns, 0);
    }
    contract_fini(&client);
}

static void messages_come_in_order_after_their_assignment(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("order");
    uint64_t last[256];
    bool is_assigned[256] = {false}, is_begun[256] = {false};
    (void)state;
    put(topic, 300);
    contract_open_group(&client, contract_name("group"), topic);
    contract_await(&client, DRI_TE_MESSAGE, 300, NULL);
    for (size_t i = 0; i < client.seen_count; i++) {
        const struct dri_transport_event *event = &client.seen[i].event;
        assert_in_range(event->slot, 0, 255);
        if (event->type == DRI_TE_ASSIGNED) {
            is_assigned[event->slot] = true;
        } else if (event->type == DRI_TE_MESSAGE) {
            assert_true(is_assigned[event->slot]);
            assert_true(!is_begun[event->slot] || event->as.message.offset > last[event->slot]);
            is_begun[event->slot] = true;
            last[event->slot] = event->as.message.offset;
        }
    }
    assert_exactly(&client, 0, 300);
    contract_fini(&client);
}

static void what_is_settled_does_not_come_again_and_the_rest_does(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("settle"), *group = contract_name("group");
    bool settled[20] = {false};
    (void)state;
    put(topic, 20);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    contract_settle_first(&client, 8);
    for (size_t i = 0; i < 8; i++) {
        settled[contract_number(contract_event(&client, DRI_TE_MESSAGE, i))] = true;
    }
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 12, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 12);
    for (size_t i = 0; i < 12; i++) {
        assert_false(settled[contract_number(contract_event(&client, DRI_TE_MESSAGE, i))]);
    }
    contract_fini(&client);
}

static void a_settle_out_of_order_counts_for_itself_alone(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("each"), *group = contract_name("group");
    (void)state;
    if (contract_it->mode != DRI_SETTLE_EACH) {
        test_skip("a watermark is one position");
    }
    put(topic, 10);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    for (size_t i = 10; i-- > 5;) {
        struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, i);
        contract_settle(&client, &event);
    }
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 5, NULL);
    contract_watch(&client, NULL);
    assert_exactly(&client, 0, 5);
    contract_fini(&client);
}

static void a_watermark_carries_its_metadata(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("meta"), *group = contract_name("group");
    (void)state;
    if (contract_it->mode != DRI_SETTLE_WATERMARK) {
        test_skip("deliveries are settled by themselves");
    }
    put(topic, 5);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 5, NULL);
    struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, 0);
    struct dri_settle settle = {.slot = event.slot,
                                .epoch = event.epoch,
                                .position = event.as.message.offset + 1,
                                .metadata = dray_slice_text("1:AAAA:text"),
                                .is_final = true};
    contract_it->ops->settle(client.transport, now(), &settle, 1);
    contract_await(&client, DRI_TE_SETTLED, 1, NULL);
    assert_int_equal(contract_event(&client, DRI_TE_SETTLED, 0)->status, DRAY_OK);
    assert_int_equal(contract_event(&client, DRI_TE_SETTLED, 0)->as.position, settle.position);
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 4, NULL);
    bool was_seen = false;
    for (size_t i = 0; i < contract_count(&client, DRI_TE_ASSIGNED); i++) {
        const struct dri_transport_event *assigned = contract_event(&client, DRI_TE_ASSIGNED, i);
        if (assigned->as.assigned.committed >= 0) {
            assert_int_equal(assigned->as.assigned.committed, settle.position);
            test_slice("1:AAAA:text", assigned->as.assigned.metadata);
            was_seen = true;
        }
    }
    assert_true(was_seen);
    contract_fini(&client);
}

static void a_settle_of_another_epoch_is_dropped(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("stale"), *group = contract_name("group");
    (void)state;
    put(topic, 6);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 6, NULL);
    struct dri_transport_stats stats;
    contract_it->ops->stats(client.transport, &stats);
    assert_int_equal(stats.stale_settles, 0);
    for (size_t i = 0; i < 6; i++) {
        struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, i);
        event.epoch += i % 2 == 0 ? 1u : UINT32_MAX;
        contract_settle(&client, &event);
        event.epoch = 0;
        contract_settle(&client, &event);
        contract_it->ops->extend(client.transport, now(), event.slot, event.epoch,
                                 &event.as.message.delivery, 1);
        contract_it->ops->pause(client.transport, event.slot, event.epoch);
        contract_it->ops->unassign(client.transport, event.slot, event.epoch);
    }
    contract_watch(&client, NULL);
    contract_it->ops->stats(client.transport, &stats);
    assert_true(stats.stale_settles >= 12);
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 6, NULL);
    assert_exactly(&client, 0, 6);
    contract_fini(&client);
}

static void a_settle_twice_is_like_once(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("twice"), *group = contract_name("group");
    (void)state;
    put(topic, 4);
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_MESSAGE, 4, NULL);
    contract_settle_first(&client, 4);
    for (size_t i = 0; i < 4; i++) {
        struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, i);
        if (contract_it->mode == DRI_SETTLE_EACH) {
            contract_settle(&client, &event);
        }
    }
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

static void without_room_no_message_comes_but_acknowledgements_do(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("room");
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    client.messages_max = 0;
    contract_fill(&client, topic, 50);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    assert_int_equal(contract_count(&client, DRI_TE_PUBLISHED), 50);
    client.messages_max = 7;
    contract_await(&client, DRI_TE_MESSAGE, 50, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 50);
    assert_exactly(&client, 0, 50);
    contract_fini(&client);
}

/** The slots that are assigned, each paused or resumed. */
static void switch_all(struct contract_client *client, bool is_pause)
{
    for (size_t i = 0; i < client->seen_count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type != DRI_TE_ASSIGNED) {
            continue;
        }
        if (is_pause) {
            contract_it->ops->pause(client->transport, event->slot, event->epoch);
            contract_it->ops->pause(client->transport, event->slot, event->epoch);
        } else {
            contract_it->ops->resume(client->transport, event->slot, event->epoch);
            contract_it->ops->resume(client->transport, event->slot, event->epoch);
        }
    }
}

static void a_pause_and_a_resume_lose_and_repeat_nothing(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("pause");
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    contract_await(&client, DRI_TE_ASSIGNED, contract_it->partitions, NULL);
    contract_fill(&client, topic, 40);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    switch_all(&client, true);
    size_t before = contract_count(&client, DRI_TE_MESSAGE);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), before);
    switch_all(&client, false);
    contract_await(&client, DRI_TE_MESSAGE, 40, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 40);
    assert_exactly(&client, 0, 40);
    contract_fini(&client);
}

static void a_paused_slot_does_not_hold_up_acknowledgements(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("paused");
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    contract_await(&client, DRI_TE_ASSIGNED, contract_it->partitions, NULL);
    switch_all(&client, true);
    contract_fill(&client, topic, 20);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    switch_all(&client, false);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    contract_fini(&client);
}

static void an_expired_delivery_comes_again(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("expire");
    (void)state;
    if (contract_it->mode != DRI_SETTLE_EACH) {
        test_skip("a watermark has no leases");
    }
    contract_open_group(&client, contract_name("group"), topic);
    contract_fill(&client, topic, 2);
    contract_await(&client, DRI_TE_MESSAGE, 4, NULL);
    const struct dri_transport_event *first = contract_event(&client, DRI_TE_MESSAGE, 0);
    const struct dri_transport_event *again = contract_event(&client, DRI_TE_MESSAGE, 2);
    assert_int_equal(first->as.message.deliveries, 1);
    assert_int_equal(again->as.message.deliveries, 2);
    assert_true(first->as.message.delivery != again->as.message.delivery);
    contract_settle_first(&client, 4); /* of the old ones too: their outcome may be stored */
    contract_watch(&client, NULL);
    contract_fini(&client);
}

static void an_extended_delivery_stays_ours(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("extend"), *group = contract_name("group");
    (void)state;
    if (contract_it->mode != DRI_SETTLE_EACH) {
        test_skip("a watermark has no leases");
    }
    contract_open_group(&client, group, topic);
    contract_fill(&client, topic, 3);
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    uint64_t until_ns = now().mono_ns + 3u * contract_it->lease_ms * 1000000u;
    while (now().mono_ns < until_ns) {
        for (size_t i = 0; i < 3; i++) {
            struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, i);
            contract_it->ops->extend(client.transport, now(), event.slot, event.epoch,
                                     &event.as.message.delivery, 1);
        }
        uint64_t wait = contract_it->quiet_ms;
        contract_it->quiet_ms = contract_it->lease_ms / 4;
        contract_watch(&client, NULL);
        contract_it->quiet_ms = (uint32_t)wait;
    }
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 3);
    contract_settle_first(&client, 3);
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

struct sum {
    const struct contract_client *a, *b;
    size_t count;
};

static bool have_together(void *arg)
{
    const struct sum *sum = arg;
    return contract_count(sum->a, DRI_TE_MESSAGE) + contract_count(sum->b, DRI_TE_MESSAGE) >=
           sum->count;
}

/** Settles what came since, in both, and counts each number. */
static void settle_new(struct contract_client *client, size_t *at, unsigned char *seen)
{
    for (; *at < client->seen_count; (*at)++) {
        struct dri_transport_event event = client->seen[*at].event;
        if (event.type == DRI_TE_MESSAGE) {
            seen[contract_number(&event)]++;
            contract_settle(client, &event);
        }
    }
}

static void two_members_share_the_work_and_the_one_that_stays_gets_the_rest(void **state)
{
    enum {
        COUNT = 200
    };
    struct contract_client a, b, producer;
    const char *topic = contract_name("share"), *group = contract_name("group");
    unsigned char seen[COUNT] = {0};
    size_t at_a = 0, at_b = 0, missing = COUNT;
    (void)state;
    contract_open_producer(&producer, topic);
    contract_open_group(&a, group, topic);
    contract_await(&a, DRI_TE_ASSIGNED, contract_it->partitions, NULL);
    contract_open_group(&b, group, topic);
    contract_await(&b, DRI_TE_ASSIGNED, 1, &a);
    contract_fill(&producer, topic, COUNT / 2);
    struct sum sum = {&a, &b, COUNT / 2};
    contract_await_that(&a, &b, have_together, &sum, "both members' messages");
    settle_new(&a, &at_a, seen);
    settle_new(&b, &at_b, seen);
    contract_watch(&a, &b);
    contract_close(&b);
    contract_forget(&producer);
    for (size_t i = COUNT / 2; i < COUNT; i++) {
        char value[24];
        (void)snprintf(value, sizeof(value), "%zu", i);
        struct dri_publish message = {.topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .key = dray_slice_text(value),
                                      .value = dray_slice_text(value)};
        contract_publish(&producer, &message);
    }
    contract_await(&producer, DRI_TE_PUBLISHED, COUNT / 2, NULL);
    for (int turns = 0; missing > 0 && turns < 200; turns++) {
        contract_watch(&a, NULL);
        settle_new(&a, &at_a, seen);
        missing = 0;
        for (size_t i = 0; i < COUNT; i++) {
            missing += seen[i] == 0 ? 1 : 0;
        }
    }
    assert_int_equal(missing, 0);
    contract_fini(&a);
    contract_fini(&b);
    contract_fini(&producer);
}

static void an_unassigned_slot_is_silent(void **state)
{
    struct contract_client client, other;
    const char *topic = contract_name("leave"), *group = contract_name("group");
    (void)state;
    if (contract_it->mode != DRI_SETTLE_EACH) {
        test_skip("a slot of a watermark ends by a rebalance");
    }
    contract_open_group(&client, group, topic);
    contract_await(&client, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event assigned = *contract_event(&client, DRI_TE_ASSIGNED, 0);
    contract_it->ops->unassign(client.transport, assigned.slot, assigned.epoch);
    contract_fill(&client, topic, 10);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_open_group(&other, group, topic);
    contract_await(&other, DRI_TE_MESSAGE, 10, &client);
    contract_settle_first(&other, 10);
    contract_fini(&other);
    contract_fini(&client);
}

static void a_group_can_begin_at_the_end(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("latest");
    (void)state;
    put(topic, 10);
    contract_init(&client, contract_name("group"));
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_LATEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    contract_await(&client, DRI_TE_ASSIGNED, contract_it->partitions, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fill(&client, topic, 7);
    contract_await(&client, DRI_TE_MESSAGE, 7, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 7);
    contract_fini(&client);
}

static bool has_failed(void *arg)
{
    const struct contract_client *client = arg;
    return contract_count(client, DRI_TE_ERROR) > 0;
}

static void a_group_without_a_position_can_be_an_error(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("fail");
    (void)state;
    put(topic, 3);
    contract_init(&client, contract_name("group"));
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_FAIL, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    enum dray_status status =
        contract_it->ops->open(&client.config, &client.transport, client.text, sizeof(client.text));
    if (status == DRAY_OK) { /* known only when partitions are assigned */
        contract_await_that(&client, NULL, has_failed, &client, "an error about the position");
        status = contract_event(&client, DRI_TE_ERROR, 0)->status;
    }
    assert_int_not_equal(status, DRAY_OK);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

static void sources_of_two_roles_have_slots_of_their_own(void **state)
{
    struct contract_client client, producer;
    const char *commands = contract_name("roles");
    char replay[96], letters[96];
    (void)state;
    (void)snprintf(replay, sizeof(replay), "replay.g.%s", commands);
    (void)snprintf(letters, sizeof(letters), "dlq.g.%s", commands);
    contract_init(&producer, NULL);
    contract_topic(&producer, commands, DRI_USE_COMMANDS);
    contract_topic(&producer, replay, DRI_USE_REPLAY);
    contract_topic(&producer, letters, DRI_USE_DEAD_LETTERS);
    contract_open(&producer);
    contract_fill(&producer, commands, 5);
    contract_fill(&producer, replay, 6);
    contract_fill(&producer, letters, 7);
    contract_init(&client, contract_name("group"));
    contract_source(&client, commands, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_source(&client, replay, DRI_ROLE_REPLAY, DRI_START_EARLIEST, 0);
    contract_source(&client, letters, DRI_ROLE_LOG, DRI_START_EARLIEST, 0);
    contract_open(&client);
    contract_await(&client, DRI_TE_MESSAGE, 18, NULL);
    size_t by_role[DRI_ROLE_LOG + 1] = {0};
    for (size_t i = 0; i < 18; i++) {
        const struct dri_transport_event *message = contract_event(&client, DRI_TE_MESSAGE, i);
        for (size_t j = 0; j < contract_count(&client, DRI_TE_ASSIGNED); j++) {
            const struct dri_transport_event *slot = contract_event(&client, DRI_TE_ASSIGNED, j);
            if (slot->slot == message->slot) {
                assert_true(dray_slice_equal(slot->as.assigned.topic, message->as.message.subject));
                by_role[slot->as.assigned.role]++;
                break;
            }
        }
    }
    assert_int_equal(by_role[DRI_ROLE_COMMANDS], 5);
    assert_int_equal(by_role[DRI_ROLE_REPLAY], 6);
    assert_int_equal(by_role[DRI_ROLE_LOG], 7);
    contract_fini(&client);
    contract_fini(&producer);
}

static void the_end_of_a_source_becomes_known(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("lag");
    uint64_t end = 0, last = 0;
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    contract_fill(&client, topic, 12);
    contract_await(&client, DRI_TE_MESSAGE, 12, NULL);
    struct dri_transport_event message = *contract_event(&client, DRI_TE_MESSAGE, 11);
    for (size_t i = 0; i < 12; i++) {
        const struct dri_transport_event *each = contract_event(&client, DRI_TE_MESSAGE, i);
        last = each->slot == message.slot ? each->as.message.offset : last;
    }
    for (int turns = 0; turns < 60 && end != last + 1; turns++) {
        enum dray_status status =
            contract_it->ops->lag(client.transport, message.slot, message.epoch, &end);
        assert_true(status == DRAY_OK || status == DRAY_EAGAIN);
        contract_watch(&client, NULL);
    }
    assert_int_equal(end, last + 1);
    contract_fini(&client);
}

const struct CMUnitTest contract_group_cases[] = {
    cmocka_unit_test(an_assignment_says_what_it_is),
    cmocka_unit_test(messages_come_in_order_after_their_assignment),
    cmocka_unit_test(what_is_settled_does_not_come_again_and_the_rest_does),
    cmocka_unit_test(a_settle_out_of_order_counts_for_itself_alone),
    cmocka_unit_test(a_watermark_carries_its_metadata),
    cmocka_unit_test(a_settle_of_another_epoch_is_dropped),
    cmocka_unit_test(a_settle_twice_is_like_once),
    cmocka_unit_test(without_room_no_message_comes_but_acknowledgements_do),
    cmocka_unit_test(a_pause_and_a_resume_lose_and_repeat_nothing),
    cmocka_unit_test(a_paused_slot_does_not_hold_up_acknowledgements),
    cmocka_unit_test(an_expired_delivery_comes_again),
    cmocka_unit_test(an_extended_delivery_stays_ours),
    cmocka_unit_test(two_members_share_the_work_and_the_one_that_stays_gets_the_rest),
    cmocka_unit_test(an_unassigned_slot_is_silent),
    cmocka_unit_test(a_group_can_begin_at_the_end),
    cmocka_unit_test(a_group_without_a_position_can_be_an_error),
    cmocka_unit_test(sources_of_two_roles_have_slots_of_their_own),
    cmocka_unit_test(the_end_of_a_source_becomes_known),
};
const size_t contract_group_count = sizeof(contract_group_cases) / sizeof(contract_group_cases[0]);
