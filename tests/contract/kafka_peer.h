/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_KAFKA_PEER_H
#define DRAY_KAFKA_PEER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "kafka_private.h"
#include "support/test.h"

/* kafka_peer.h - a mock cluster, and an owner of a Kafka transport that remembers every event.
 *
 * Everything runs on the test's thread. Waiting means: poll, sleep on the transport's fd until its
 * next deadline, look whether the condition holds, give up loudly after 20 seconds.
 */

#define PEER_OPTIONS_MAX 24u
#define PEER_SOURCES_MAX 4u

struct mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    char url[160];
};

void mock_start(struct mock *mock, int brokers);
void mock_topic(struct mock *mock, const char *topic, int partitions);
void mock_stop(struct mock *mock);

/** An event whose bytes are the peer's own. */
struct seen {
    struct dri_transport_event event;
    char *bytes;
};

struct peer {
    struct dri_transport *transport;
    struct dri_transport_config config;
    struct dri_source sources[PEER_SOURCES_MAX];
    struct dri_topic topics[PEER_SOURCES_MAX * 2];
    struct dri_option options[PEER_OPTIONS_MAX];
    char text[400];
    struct seen *seen;
    size_t seen_count, seen_max;
    size_t messages_max; /* of each poll */
    bool lets_go;        /* unassigns whatever is revoked, at once */
};

/** Defaults that make a test quick. group may be NULL. */
void peer_init(struct peer *peer, const char *url, const char *group);
void peer_source(struct peer *peer, const char *topic, enum dri_source_role role,
                 enum dri_start start);
void peer_topic(struct peer *peer, const char *topic, enum dri_topic_use use);
void peer_option(struct peer *peer, const char *name, const char *value);
void peer_open(struct peer *peer);
/** Closes (when open) and frees. */
void peer_fini(struct peer *peer);
struct dri_kafka *peer_kafka(struct peer *peer);

/** One poll; returns how many events came. */
size_t peer_poll(struct peer *peer);
size_t peer_count(const struct peer *peer, enum dri_transport_event_type type);
/** The n-th event of a type, from 0; fails the test when there is none. */
const struct dri_transport_event *peer_event(const struct peer *peer,
                                             enum dri_transport_event_type type, size_t n);
/** Polls until there are count events of a type. others (may be NULL) is polled too. */
void peer_await(struct peer *peer, enum dri_transport_event_type type, size_t count,
                struct peer *other);
/** Polls for a while; for what must not happen. */
void peer_watch(struct peer *peer, uint32_t ms, struct peer *other);
void peer_forget(struct peer *peer);

/** Publishes one message with a text value; key and headers may be absent. */
void peer_publish(struct peer *peer, uint64_t token, const char *topic, int32_t partition,
                  const char *key, const char *value);
/** Publishes values "0" .. "count - 1" to one partition and waits for the acks. */
void peer_fill(struct peer *peer, const char *topic, int32_t partition, size_t count);
void peer_settle(struct peer *peer, const struct dri_transport_event *assigned, uint64_t position,
                 const char *metadata, bool is_final);
void peer_unassign(struct peer *peer, const struct dri_transport_event *event);

/** Runs the parts of a suite side by side, each in a process of its own, and prints what they said
 * one after the other: they wait more than they work. Returns 0 when all gave 0. Requires: no
 * threads. */
typedef int part_fn(unsigned part, unsigned parts, void *arg);
int run_parts(unsigned parts, part_fn *run, void *arg);

/** The broker of this test alone, run by tests/e2e/test_kafka_broker_dies.py, which starts it again
 * when it is gone and writes its pid into the file named by DRAY_TEST_BROKER_PIDFILE. */
bool broker_is_ours(void);
/** SIGKILL, SIGSTOP, SIGCONT. */
void broker_signal(int number);
/** Waits until there is another one, that is ready. Requires: it was killed. */
void broker_await(void);

/** A name that no other test run has used: topics and groups of real brokers are shared. */
const char *fresh_name(const char *prefix);

#endif
