/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_rules_rebalance.c - Partitions that come, go and are lost; and closing. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "kafka_rules.h"

/* ---- rebalancing ---- */

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
    if (rules_real_url != NULL) { /* the mock may refuse commits while it rebalances */
        assert_int_equal(peer_event(&first, DRI_TE_SETTLED, 0)->status, DRAY_OK);
        assert_int_equal(peer_event(&first, DRI_TE_SETTLED, 1)->status, DRAY_OK);
    }
    peer_unassign(&first, &slots[0]);
    peer_watch(&first, 300, &second);
    assert_int_equal(peer_count(&second, DRI_TE_ASSIGNED), 0);
    peer_unassign(&first, &slots[1]);
    peer_await(&first, DRI_TE_ASSIGNED, 3, &second);
    peer_await(&second, DRI_TE_ASSIGNED, 1, &first);
    struct dri_transport_event given = assigned(&second, 0);
    if (rules_real_url != NULL) {
        assert_int_equal(given.as.assigned.committed, 10);
        test_slice("1:last", given.as.assigned.metadata);
    }
    struct dri_transport_event kept = assigned(&first, 2);
    assert_true(kept.epoch > slots[0].epoch && kept.epoch > slots[1].epoch);
    if (rules_real_url != NULL) { /* the mock assigns in rounds of its own when it is slow */
        assert_int_not_equal(kept.as.assigned.partition, given.as.assigned.partition);
    }
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
    if (!rules_are_kafka4) {
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
        rules_mock.cluster, 9 /* OffsetFetch */, 3, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    member_open(&peer, fresh_name("g"), topic);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    assert_int_equal(peer_event(&peer, DRI_TE_ERROR, 0)->status, DRAY_EAUTH);
    peer_fini(&peer);
}

/* ---- a storm ---- */

#define STORM_MEMBERS  3u
#define STORM_MESSAGES 600u

struct storm {
    const char *topic;
    const char *group;
    struct peer producer;
    struct peer members[STORM_MEMBERS];
    size_t looked[STORM_MEMBERS];
    bool is_open[STORM_MEMBERS];
    unsigned seen[STORM_MESSAGES];
    size_t seen_count;
    uint64_t sent;
};

static void storm_open(struct storm *storm, size_t member)
{
    struct peer *peer = &storm->members[member];
    member_init(peer, storm->group, storm->topic);
    peer->lets_go = false;
    peer->messages_max = 10;
    peer_open(peer);
    storm->looked[member] = 0;
    storm->is_open[member] = true;
}

/* As an owner does it: each message is settled when it is done, a revoked slot is let go at once.
 */
static void storm_look(struct storm *storm, size_t member)
{
    struct peer *peer = &storm->members[member];
    for (; storm->looked[member] < peer->seen_count; storm->looked[member]++) {
        struct dri_transport_event event = peer->seen[storm->looked[member]].event;
        if (event.type == DRI_TE_MESSAGE) {
            uint64_t number = strtoull((const char *)event.as.message.value.at, NULL, 10);
            assert_true(number < STORM_MESSAGES);
            storm->seen_count += storm->seen[number]++ == 0;
            peer_settle(peer, &event, event.as.message.offset + 1, NULL, false);
        } else if (event.type == DRI_TE_REVOKED) {
            peer_unassign(peer, &event);
        }
        assert_true(event.type != DRI_TE_ERROR || event.status != DRAY_EFATAL);
    }
}

static void storm_turn(struct storm *storm)
{
    for (size_t i = 0; i < STORM_MEMBERS; i++) {
        if (storm->is_open[i]) {
            (void)peer_poll(&storm->members[i]);
            storm_look(storm, i);
        }
    }
    peer_watch(&storm->producer, 3, NULL);
}

static void storm_send(struct storm *storm)
{
    char value[24];
    (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)storm->sent);
    peer_publish(&storm->producer, storm->sent++, storm->topic, -1, value, value);
}

/* K8: members come and go faster than the group settles. */
static void a_storm_of_members_loses_no_message(void **state)
{
    (void)state;
    static struct storm storm;
    NEEDS_BROKER(); /* the mock takes three seconds for each rebalance */
    storm = (struct storm){.topic = make_topic("storm", 4), .group = fresh_name("g")};
    producer_open(&storm.producer, storm.topic);
    storm_open(&storm, 0);
    unsigned seed = 7;
    while (storm.sent < STORM_MESSAGES) {
        storm_send(&storm);
        storm_turn(&storm);
        seed = seed * 1103515245u + 12345u;
        size_t member = 1 + (seed >> 20) % (STORM_MEMBERS - 1);
        if ((seed >> 24) % 60 != 0) {
            continue;
        }
        if (storm.is_open[member]) {
            peer_fini(&storm.members[member]);
            storm.is_open[member] = false;
        } else {
            storm_open(&storm, member);
        }
    }
    uint64_t deadline = dri_clock_mono_ns() + 60000000000u;
    while (storm.seen_count < STORM_MESSAGES && dri_clock_mono_ns() < deadline) {
        storm_turn(&storm);
    }
    assert_int_equal(storm.seen_count, STORM_MESSAGES);
    for (size_t i = 0; i < STORM_MEMBERS; i++) {
        if (storm.is_open[i]) {
            peer_fini(&storm.members[i]);
        }
    }
    peer_fini(&storm.producer);
    /* What was settled last is committed: nobody gets anything of it again. */
    struct peer last;
    member_open(&last, storm.group, storm.topic);
    peer_await(&last, DRI_TE_ASSIGNED, 4, NULL);
    peer_watch(&last, 500, NULL);
    int64_t committed = 0;
    for (size_t i = 0; i < 4; i++) {
        committed += assigned(&last, i).as.assigned.committed;
    }
    assert_int_equal(committed, STORM_MESSAGES);
    assert_int_equal(peer_count(&last, DRI_TE_MESSAGE), 0);
    peer_fini(&last);
}

/* ---- closing ---- */

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
    rd_kafka_mock_broker_set_down(rules_mock.cluster, -1);
    peer_publish(&peer, 99, topic, 0, NULL, "never");
    peer_watch(&peer, 300, NULL);
    uint64_t begin = dri_clock_mono_ns();
    dri_kafka_ops.close(peer.transport, 1000);
    assert_true(dri_clock_mono_ns() - begin < 2000000000u);
    peer_fini(&peer);
    rd_kafka_mock_broker_set_up(rules_mock.cluster, -1);
}

/* K10: the library's LeaveGroup has crashed without a coordinator. The other brokers live. */
static void closing_while_only_the_coordinator_is_gone_ends(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = fresh_name("gone");
    const char *group = fresh_name("g");
    struct mock three;
    mock_start(&three, 3);
    mock_topic(&three, topic, 1);
    assert_int_equal(rd_kafka_mock_partition_set_leader(three.cluster, topic, 0, 2), 0);
    assert_int_equal(rd_kafka_mock_coordinator_set(three.cluster, "group", group, 1), 0);
    struct peer peer;
    peer_init(&peer, three.url, group);
    peer_source(&peer, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST);
    peer_topic(&peer, topic, DRI_USE_COMMANDS);
    peer_open(&peer);
    peer_fill(&peer, topic, 0, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    rd_kafka_mock_broker_set_down(three.cluster, 1);
    peer_watch(&peer, 500, NULL);
    assert_false(peer_kafka(&peer)->are_brokers_down);
    peer_settle(&peer, &slot, 5, NULL, false);
    uint64_t begin = dri_clock_mono_ns();
    dri_kafka_ops.close(peer.transport, 2000);
    assert_true(dri_clock_mono_ns() - begin < 5000000000u);
    /* The library gives up its farewell after five seconds. */
    dri_kafka_ops.destroy(peer.transport);
    peer.transport = NULL;
    assert_true(dri_clock_mono_ns() - begin < 20000000000u);
    peer_fini(&peer);
    mock_stop(&three);
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

const struct CMUnitTest rules_rebalance[] = {
    RULE(a_revoke_waits_until_every_slot_was_let_go),
    RULE(partitions_of_a_member_that_leaves_go_to_the_other),
    RULE(a_lost_assignment_is_told_as_lost_and_nothing_of_it_settles),
    RULE(closing_in_the_middle_of_a_rebalance_ends),
    RULE(cooperative_members_keep_what_does_not_move),
    RULE(the_new_group_protocol_works_where_it_is_finished),
    RULE(committed_positions_are_asked_for_until_they_come),
    RULE(a_storm_of_members_loses_no_message),
    RULE(close_and_destroy_are_quick_while_messages_are_lent_out),
    RULE(close_keeps_its_time_when_no_broker_answers),
    RULE(closing_while_only_the_coordinator_is_gone_ends),
    RULE(after_close_everything_is_refused),
};
const size_t rules_rebalance_count = sizeof(rules_rebalance) / sizeof(rules_rebalance[0]);
