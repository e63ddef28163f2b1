/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_rules_progress.c - K17: a partition that has messages and gives none is found, and nothing
 * else is taken for it.
 *
 * The mock cluster makes one: it answers each fetch with an error, but says where the log ends. The
 * opposite cases wait for several times the limit; they are what must not happen. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "clock.h"
#include "kafka_rules.h"

#define FETCH 1

/* Nothing can be fetched any more. */
static void break_fetches(void)
{
    static rd_kafka_resp_err_t errors[5000];
    for (size_t i = 0; i < DRI_ARRAY_LEN(errors); i++) {
        errors[i] = RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR;
    }
    rd_kafka_mock_push_request_errors_array(rules_mock.cluster, FETCH, DRI_ARRAY_LEN(errors),
                                            errors);
}

static void mend_fetches(void)
{
    rd_kafka_mock_clear_request_errors(rules_mock.cluster, FETCH);
}

static void watched_open(struct peer *peer, const char *group, const char *topic,
                         uint32_t progress_ms)
{
    member_init(peer, group, topic);
    peer->config.progress_ms = progress_ms;
    peer_option(peer, "fetch.error.backoff.ms", "50");
    peer_open(peer);
}

static bool is_fatal(const struct peer *peer)
{
    for (size_t i = 0; i < peer_count(peer, DRI_TE_ERROR); i++) {
        if (peer_event(peer, DRI_TE_ERROR, i)->status == DRAY_EFATAL) {
            return true;
        }
    }
    return false;
}

/* Polls until somebody looked and found that the slot has not moved although it should. */
static void await_stall(struct peer *peer, const struct dri_transport_event *slot)
{
    uint64_t deadline = dri_clock_mono_ns() + 60000000000u;
    while (peer_kafka(peer)->slots[slot->slot]->stalled_ns == 0) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(peer, 20, NULL);
    }
}

static void await_renewals(struct peer *peer, uint64_t count)
{
    uint64_t deadline = dri_clock_mono_ns() + 60000000000u;
    while (peer_kafka(peer)->stats.renewals < count) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(peer, 20, NULL);
    }
}

static void a_stuck_partition_makes_the_consumer_anew(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("stuck", 1);
    struct peer peer;
    watched_open(&peer, fresh_name("g"), topic, 1600);
    peer_fill(&peer, topic, 0, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    struct dri_transport_event first = assigned(&peer, 0);
    peer_settle(&peer, &first, 3, NULL, false);
    peer_await(&peer, DRI_TE_SETTLED, 1, NULL);
    break_fetches();
    peer_fill(&peer, topic, 0, 5);
    /* What it had is lost before there is anything new, and settles nothing. */
    peer_await(&peer, DRI_TE_LOST, 1, NULL);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 1);
    assert_int_equal(peer_count(&peer, DRI_TE_ASSIGNED), 1);
    peer_settle(&peer, &first, 5, NULL, false);
    assert_int_equal(peer_kafka(&peer)->stats.stale_settles, 1);
    mend_fetches();
    peer_await(&peer, DRI_TE_MESSAGE, 5 + 7, NULL);
    assert_int_equal(assigned(&peer, 1).as.assigned.committed, 3);
    assert_true(assigned(&peer, 1).epoch > first.epoch);
    assert_int_equal(offset_of(&peer, 5), 3);
    assert_false(is_fatal(&peer));
    /* It moved since: another time is a first time again. */
    while (peer_kafka(&peer)->progress.has_suspect) {
        peer_watch(&peer, 20, NULL);
    }
    break_fetches();
    peer_fill(&peer, topic, 0, 1);
    await_renewals(&peer, 2);
    assert_false(is_fatal(&peer));
    mend_fetches();
    peer_fini(&peer);
}

static void a_partition_that_stays_stuck_ends_the_worker(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("stays", 1);
    struct peer peer;
    watched_open(&peer, fresh_name("g"), topic, 1600);
    peer_fill(&peer, topic, 0, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    break_fetches();
    peer_fill(&peer, topic, 0, 5);
    uint64_t deadline = dri_clock_mono_ns() + 60000000000u;
    while (!is_fatal(&peer)) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(&peer, 20, NULL);
    }
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 1);
    const struct dri_transport_event *last =
        peer_event(&peer, DRI_TE_ERROR, peer_count(&peer, DRI_TE_ERROR) - 1);
    assert_non_null(strstr((const char *)last->as.text.at, "the worker ends"));
    assert_non_null(strstr((const char *)last->as.text.at, topic));
    mend_fetches();
    peer_fini(&peer);
}

static void without_a_limit_nobody_looks(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("off", 1);
    struct peer peer;
    watched_open(&peer, fresh_name("g"), topic, 0);
    peer_fill(&peer, topic, 0, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    break_fetches();
    peer_fill(&peer, topic, 0, 5);
    peer_watch(&peer, 3000, NULL);
    assert_int_equal(peer_kafka(&peer)->progress.looked_ns, 0);
    mend_fetches();
    peer_await(&peer, DRI_TE_MESSAGE, 10, NULL);
    peer_fini(&peer);
}

static void back_pressure_and_pauses_are_not_stuck(void **state)
{
    (void)state;
    const char *topic = make_topic("pressed", 1);
    struct peer peer;
    watched_open(&peer, fresh_name("g"), topic, 1000);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    peer.messages_max = 0;
    peer_fill(&peer, topic, 0, 20);
    peer_watch(&peer, 3500, NULL);
    assert_true(peer_kafka(&peer)->progress.looked_ns > 0);
    peer.messages_max = 100;
    peer_await(&peer, DRI_TE_MESSAGE, 20, NULL);
    dri_kafka_ops.pause(peer.transport, slot.slot, slot.epoch);
    peer_fill(&peer, topic, 0, 20);
    peer_watch(&peer, 3500, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), 20);
    dri_kafka_ops.resume(peer.transport, slot.slot, slot.epoch);
    peer_await(&peer, DRI_TE_MESSAGE, 40, NULL);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 0);
    assert_int_equal(peer_count(&peer, DRI_TE_LOST), 0);
    peer_fini(&peer);
}

static void brokers_that_are_down_are_waited_for(void **state)
{
    (void)state;
    NEEDS_MOCK();
    const char *topic = make_topic("down", 1);
    struct peer peer;
    member_init(&peer, fresh_name("g"), topic);
    peer.config.progress_ms = 4000;
    peer_option(&peer, "fetch.error.backoff.ms", "50");
    peer_option(&peer, "reconnect.backoff.max.ms", "300");
    peer_open(&peer);
    peer_fill(&peer, topic, 0, 5);
    peer_await(&peer, DRI_TE_MESSAGE, 5, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    break_fetches();
    peer_fill(&peer, topic, 0, 5);
    await_stall(&peer, &slot);
    rd_kafka_mock_broker_set_down(rules_mock.cluster, -1);
    peer_watch(&peer, 10000, NULL);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 0);
    assert_false(is_fatal(&peer));
    mend_fetches();
    rd_kafka_mock_broker_set_up(rules_mock.cluster, -1);
    peer_await(&peer, DRI_TE_MESSAGE, 10, NULL);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 0);
    peer_fini(&peer);
}

/* A broker of our own, run by tests/e2e/test_kafka_broker_dies.py. */
static void a_silent_broker_is_waited_for(void **state)
{
    (void)state;
    if (!broker_is_ours()) {
        test_skip("runs with a broker of its own (tests/e2e/test_kafka_broker_dies.py)");
    }
    const char *topic = make_topic("silent", 1);
    char value[200];
    (void)snprintf(value, sizeof(value), "%0199d", 7);
    struct peer peer;
    member_init(&peer, fresh_name("g"), topic);
    peer.config.progress_ms = 4000;
    /* Few messages a fetch and none ahead: so more are known of than were fetched. */
    peer_option(&peer, "fetch.message.max.bytes", "1000");
    peer_option(&peer, "queued.min.messages", "1");
    peer_open(&peer);
    for (size_t i = 0; i < 2000; i++) {
        peer_publish(&peer, i, topic, 0, NULL, value);
        if (i % 100 == 99) {
            peer.messages_max = 0;
            peer_await(&peer, DRI_TE_PUBLISHED, i + 1, NULL);
        }
    }
    peer.messages_max = 1;
    peer_await(&peer, DRI_TE_MESSAGE, 20, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    broker_signal(SIGSTOP);
    peer.messages_max = 100;
    await_stall(&peer, &slot);
    size_t had;
    do { /* what was on its way when the broker was stopped */
        had = peer_count(&peer, DRI_TE_MESSAGE);
        peer_watch(&peer, 2000, NULL);
    } while (peer_count(&peer, DRI_TE_MESSAGE) != had);
    assert_true(had < 2000);
    peer_watch(&peer, 12000, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), had);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 0);
    assert_false(is_fatal(&peer));
    broker_signal(SIGCONT);
    peer_await(&peer, DRI_TE_MESSAGE, 2000, NULL);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 0);
    peer_fini(&peer);
}

static rd_kafka_t *transactions_open(const char *topic)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", rules_url + strlen("kafka://"),
                                       reason, sizeof(reason)),
                     RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "transactional.id", topic, reason, sizeof(reason)),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(rk);
    assert_null(rd_kafka_init_transactions(rk, 30000));
    return rk;
}

static void transaction_begin(rd_kafka_t *rk, const char *topic)
{
    assert_null(rd_kafka_begin_transaction(rk));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            rd_kafka_producev(rk, RD_KAFKA_VTYPE_TOPIC, topic, RD_KAFKA_VTYPE_PARTITION, (int32_t)0,
                              RD_KAFKA_VTYPE_VALUE, "v", (size_t)1, RD_KAFKA_VTYPE_MSGFLAGS,
                              (int)RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_END),
            0);
    }
    assert_int_equal(rd_kafka_flush(rk, 30000), 0);
}

/* K3: behind the last message there may be offsets for ever that hold none. */
static void a_tail_without_messages_is_not_stuck(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("tail", 1);
    rd_kafka_t *rk = transactions_open(topic);
    struct peer peer;
    watched_open(&peer, fresh_name("g"), topic, 1000);
    peer_await(&peer, DRI_TE_ASSIGNED, 1, NULL);
    struct dri_transport_event slot = assigned(&peer, 0);
    transaction_begin(rk, topic);
    assert_null(rd_kafka_commit_transaction(rk, 30000));
    peer_await(&peer, DRI_TE_MESSAGE, 3, NULL);
    transaction_begin(rk, topic);
    assert_null(rd_kafka_abort_transaction(rk, 30000));
    /* Three that were aborted and two markers: the end is known to be five past the last message.
     */
    uint64_t end = 0;
    uint64_t deadline = dri_clock_mono_ns() + 60000000000u;
    while (end != 8) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(&peer, 20, NULL);
        (void)dri_kafka_ops.lag(peer.transport, slot.slot, slot.epoch, &end);
    }
    peer_watch(&peer, 3500, NULL);
    assert_int_equal(peer_kafka(&peer)->slots[slot.slot]->next_offset, 3);
    /* And one that is open: what stands behind its beginning may not be read yet. */
    transaction_begin(rk, topic);
    while (end != 11) {
        assert_true(dri_clock_mono_ns() < deadline);
        peer_watch(&peer, 20, NULL);
        (void)dri_kafka_ops.lag(peer.transport, slot.slot, slot.epoch, &end);
    }
    peer_watch(&peer, 3500, NULL);
    assert_int_equal(peer_count(&peer, DRI_TE_MESSAGE), 3);
    assert_null(rd_kafka_commit_transaction(rk, 30000));
    peer_await(&peer, DRI_TE_MESSAGE, 6, NULL);
    assert_true(peer_kafka(&peer)->progress.looked_ns > 0);
    assert_int_equal(peer_kafka(&peer)->stats.renewals, 0);
    assert_int_equal(peer_count(&peer, DRI_TE_LOST), 0);
    rd_kafka_destroy(rk);
    peer_fini(&peer);
}

/* The old one leaves the group by itself: nobody waits until its session is over. */
static void a_consumer_made_anew_is_back_at_once(void **state)
{
    (void)state;
    NEEDS_BROKER();
    const char *topic = make_topic("back", 2);
    const char *group = fresh_name("g");
    struct peer members[2];
    for (size_t i = 0; i < 2; i++) {
        member_init(&members[i], group, topic);
        members[i].config.options_count = 1;
        peer_option(&members[i], "session.timeout.ms", "120000");
        peer_option(&members[i], "heartbeat.interval.ms", "200");
        members[i].config.progress_ms = 60000;
        peer_open(&members[i]);
    }
    struct peer *peer = &members[0];
    struct peer *other = &members[1];
    peer_await(other, DRI_TE_ASSIGNED, 1, peer);
    peer_await(peer, DRI_TE_ASSIGNED, 1, other);
    for (int32_t p = 0; p < 2; p++) {
        peer_fill(peer, topic, p, 10);
    }
    while (peer_count(peer, DRI_TE_MESSAGE) + peer_count(other, DRI_TE_MESSAGE) < 20) {
        peer_watch(peer, 20, other);
    }
    /* A commit is out and messages are lent: as if a look had found it now. */
    size_t before = peer_count(peer, DRI_TE_ASSIGNED);
    struct dri_transport_event slot = assigned(peer, before - 1);
    peer_settle(peer, &slot, 4, NULL, false);
    peer_kafka(peer)->progress.stuck_slot = slot.slot;
    peer_kafka(peer)->progress.stuck_epoch = slot.epoch;
    uint64_t begin = dri_clock_mono_ns();
    peer_await(peer, DRI_TE_LOST, 1, other);
    peer_await(peer, DRI_TE_ASSIGNED, before + 1, other);
    assert_true(dri_clock_mono_ns() - begin < 60000000000u);
    assert_int_equal(peer_kafka(peer)->stats.renewals, 1);
    assert_false(is_fatal(peer));
    /* It commits as before. */
    struct dri_transport_event now = assigned(peer, before);
    peer_settle(peer, &now, 10, NULL, true);
    size_t settled = peer_count(peer, DRI_TE_SETTLED);
    peer_await(peer, DRI_TE_SETTLED, settled + 1, other);
    assert_int_equal(peer_event(peer, DRI_TE_SETTLED, settled)->status, DRAY_OK);
    peer_fini(peer);
    peer_fini(other);
}

const struct CMUnitTest rules_progress[] = {
    RULE(a_stuck_partition_makes_the_consumer_anew),
    RULE(a_partition_that_stays_stuck_ends_the_worker),
    RULE(without_a_limit_nobody_looks),
    RULE(back_pressure_and_pauses_are_not_stuck),
    RULE(brokers_that_are_down_are_waited_for),
    RULE(a_silent_broker_is_waited_for),
    RULE(a_tail_without_messages_is_not_stuck),
    RULE(a_consumer_made_anew_is_back_at_once),
};
const size_t rules_progress_count = sizeof(rules_progress) / sizeof(rules_progress[0]);
