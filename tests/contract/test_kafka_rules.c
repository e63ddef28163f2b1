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

#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "kafka_rules.h"

const char *rules_real_url;
bool rules_are_kafka4;
struct mock rules_mock;
const char *rules_url;

int rules_start(void **state)
{
    (void)state;
    rules_url = rules_real_url;
    if (rules_real_url == NULL) {
        mock_start(&rules_mock, 1);
        rules_url = rules_mock.url;
    }
    return 0;
}

int rules_stop(void **state)
{
    (void)state;
    if (rules_real_url == NULL) {
        mock_stop(&rules_mock);
    }
    return 0;
}

const char *make_topic(const char *prefix, int partitions)
{
    const char *topic = fresh_name(prefix);
    if (rules_real_url == NULL) {
        mock_topic(&rules_mock, topic, partitions);
        return topic;
    }
    struct peer peer;
    peer_init(&peer, rules_url, NULL);
    peer_topic(&peer, topic, DRI_USE_COMMANDS);
    peer.config.partitions = (uint32_t)partitions;
    peer.config.can_create = true;
    peer.config.unacked_max = 0;
    peer_open(&peer);
    peer_fini(&peer);
    return topic;
}

void member_init(struct peer *peer, const char *group, const char *topic)
{
    peer_init(peer, rules_url, group);
    peer_source(peer, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST);
    peer_topic(peer, topic, DRI_USE_COMMANDS);
}

void member_open(struct peer *peer, const char *group, const char *topic)
{
    member_init(peer, group, topic);
    peer_open(peer);
}

void producer_open(struct peer *peer, const char *topic)
{
    peer_init(peer, rules_url, NULL);
    peer_topic(peer, topic, DRI_USE_RESULTS);
    peer_open(peer);
}

struct dri_transport_event assigned(const struct peer *peer, size_t n)
{
    return *peer_event(peer, DRI_TE_ASSIGNED, n);
}

uint64_t offset_of(const struct peer *peer, size_t n)
{
    return peer_event(peer, DRI_TE_MESSAGE, n)->as.message.offset;
}

int64_t committed_now(const char *group, const char *topic, char *ret_metadata,
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

void log_open(struct peer *peer, const char *topic, enum dri_start from, uint64_t offset)
{
    peer_init(peer, rules_url, NULL);
    peer_source(peer, topic, DRI_ROLE_LOG, from);
    peer->sources[0].start_offset = offset;
    peer_topic(peer, topic, DRI_USE_RESULTS);
    peer->config.unacked_max = 0;
    peer_open(peer);
}

/* Every parts-th case. */
static int run_part(unsigned part, unsigned parts, void *arg)
{
    static struct CMUnitTest mine[128];
    const struct {
        const struct CMUnitTest *cases;
        size_t count;
    } lists[] = {
        {rules_positions, rules_positions_count}, {rules_rebalance, rules_rebalance_count},
        {rules_publish, rules_publish_count},     {rules_read, rules_read_count},
        {rules_progress, rules_progress_count},   {rules_transaction, rules_transaction_count},
    };
    size_t count = 0;
    size_t number = 0;
    (void)arg;
    for (size_t i = 0; i < DRI_ARRAY_LEN(lists); i++) {
        for (size_t j = 0; j < lists[i].count; j++) {
            if (number++ % parts == part) {
                assert_true(count < DRI_ARRAY_LEN(mine));
                mine[count++] = lists[i].cases[j];
            }
        }
    }
    return _cmocka_run_group_tests("kafka rules", mine, count, NULL, NULL);
}

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "mock";
    if (strcmp(which, "mock") != 0) {
        rules_are_kafka4 = strcmp(which, "kafka4") == 0;
        rules_real_url = getenv(rules_are_kafka4 ? "DRAY_TEST_KAFKA4" : "DRAY_TEST_KAFKA");
        if (rules_real_url == NULL) {
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
