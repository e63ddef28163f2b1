/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_contract_kafka.c - the contract on Kafka.
 *
 * usage: test_contract_kafka mock | kafka | kafka4 | kip848 [CASE]
 * `mock` is librdkafka's mock cluster, whose broker can be taken down and brought back; it creates
 * no topics over the protocol, so that is done for the transport before it opens. `kafka` and
 * `kafka4` are the brokers in DRAY_TEST_KAFKA and DRAY_TEST_KAFKA4; without one the program exits
 * with 77. `kip848` is kafka4 with the group protocol in which the broker assigns and keeps the
 * times.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka_peer.h"
#include "transport_contract.h"

static struct mock mock;

/* ---- the mock cluster ---- */

static void create(const struct dri_transport_config *config, const struct dri_topic *topic)
{
    bool is_single = topic->use == DRI_USE_CONTROL || topic->use == DRI_USE_STATUS;
    int partitions = is_single ? 1 : (int)config->partitions;
    /* It may be there already. */
    (void)rd_kafka_mock_topic_create(mock.cluster, topic->topic, partitions, 1);
}

static enum dray_status open_on_mock(const struct dri_transport_config *config,
                                     struct dri_transport **ret_transport, char *ret_text,
                                     size_t text_bytes)
{
    for (size_t i = 0; i < config->topics_count && config->can_create; i++) {
        create(config, &config->topics[i]);
    }
    return dri_kafka_ops.open(config, ret_transport, ret_text, text_bytes);
}

static void take_down(struct contract_subject *self)
{
    (void)self;
    assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster, -1), 0);
}

static void bring_back(struct contract_subject *self)
{
    (void)self;
    assert_int_equal(rd_kafka_mock_broker_set_up(mock.cluster, -1), 0);
}

/* -- a real broker that dies
 * ----------------------------------------------------------------------- */

static void kill_broker(struct contract_subject *self)
{
    (void)self;
    broker_signal(SIGKILL);
}

static void await_broker(struct contract_subject *self)
{
    (void)self;
    broker_await();
}

/* ---- another producer ---- */

/** By librdkafka as anybody uses it. */
static void produce(struct contract_subject *self, const struct dri_publish *message)
{
    char reason[256], topic[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", self->url + strlen("kafka://"),
                                       reason, sizeof(reason)),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(rk);
    (void)snprintf(topic, sizeof(topic), "%.*s", (int)message->topic.len,
                   (const char *)message->topic.at);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    static const char *const names[] = {"Nats-Whatever", "plain", "Status"};
    for (size_t i = 0; i < 3; i++) {
        struct dray_slice value = contract_find_header(message->headers, names[i], 0);
        assert_int_equal(rd_kafka_header_add(headers, names[i], -1, value.at, (ssize_t)value.len),
                         0);
    }
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_VTYPE_TOPIC, topic, RD_KAFKA_VTYPE_MSGFLAGS,
                                       (int)RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_VALUE,
                                       message->value.at, message->value.len,
                                       RD_KAFKA_VTYPE_HEADERS, headers, RD_KAFKA_VTYPE_END),
                     0);
    assert_int_equal(rd_kafka_flush(rk, 10000), 0);
    rd_kafka_destroy(rk);
}

/* One part of the suite; the mock cluster is each part's own. */
static int run_part(unsigned part, unsigned parts, void *arg)
{
    static struct dri_transport_ops mock_ops;
    struct contract_subject *subject = arg;
    bool is_mock = subject->url[0] == '\0';
    subject->part = part;
    subject->parts = parts;
    if (is_mock) {
        mock_start(&mock, 1);
        mock_ops = dri_kafka_ops;
        mock_ops.open = open_on_mock;
        subject->ops = &mock_ops;
        subject->makes_any_topic = true;
        subject->broker_kill = take_down;
        subject->broker_start = bring_back;
        (void)snprintf(subject->url, sizeof(subject->url), "%s", mock.url);
    }
    int failed = contract_main(subject, subject->state);
    if (is_mock) {
        mock_stop(&mock);
    }
    return failed;
}

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "mock";
    bool is_new = strcmp(which, "kip848") == 0;
    struct contract_subject subject = {
        .name = which,
        .ops = &dri_kafka_ops,
        .options = {{"topic.metadata.propagation.max.ms", "1000"},
                    {"session.timeout.ms", "6000"},
                    {"heartbeat.interval.ms", "300"},
                    {"fetch.wait.max.ms", "50"},
                    {"reconnect.backoff.max.ms", "500"}},
        .options_count = 5,
        .mode = DRI_SETTLE_WATERMARK,
        .partitions = 3,
        .has_null = true,
        .has_fd = true,
        .has_options = true,
        .produce = produce,
        .state = argc > 2 ? argv[2] : NULL,
    };
    if (is_new) {
        subject.options[1] = (struct dri_option){"group.protocol", "consumer"};
        subject.options[2] = subject.options[--subject.options_count];
    }
    if (strcmp(which, "mock") != 0) {
        const char *url =
            getenv(is_new || strcmp(which, "kafka4") == 0 ? "DRAY_TEST_KAFKA4" : "DRAY_TEST_KAFKA");
        if (url == NULL || url[0] == '\0') {
            (void)fprintf(stderr, "skipped: there is no broker\n");
            return 77;
        }
        (void)snprintf(subject.url, sizeof(subject.url), "%s", url);
        if (broker_is_ours()) {
            subject.broker_kill = kill_broker;
            subject.broker_start = await_broker;
            subject.patience_ms = 90000;
        }
    }
    if (argc > 2) {
        return run_part(0, 1, &subject);
    }
    return run_parts(6, run_part, &subject);
}
