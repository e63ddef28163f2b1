/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* raw_kafka.c - the limit: a loop that consumes and produces with librdkafka and does nothing else.
 *
 * raw_kafka SERVERS GROUP TOPIC RESULTS COUNT: consumes COUNT messages in batches, produces one
 * 100-byte result for each with rd_kafka_produce_batch, commits what was acknowledged every second,
 * ends when all are acknowledged and committed. Settings are those that were measured to be best in
 * bulk (docs performance.md). It decodes nothing, looks nothing up, keeps no order but the
 * partition's.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH        1000
#define RESULT_BYTES 100
#define SECOND       1000000000ull

static size_t acked;
static size_t failed;

static unsigned long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * SECOND + (unsigned long long)now.tv_nsec;
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *arg)
{
    (void)producer;
    (void)arg;
    *(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? &acked : &failed) += 1;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "raw_kafka: %s\n", text);
        exit(1);
    }
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[256];
    rd_kafka_t *handle = rd_kafka_new(type, conf, text, sizeof(text));
    if (handle == NULL) {
        fprintf(stderr, "raw_kafka: %s\n", text);
        exit(1);
    }
    return handle;
}

static rd_kafka_t *make_consumer(const char *servers, const char *group, const char *topic)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", servers);
    set(conf, "group.id", group);
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.auto.offset.store", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "queued.min.messages", "1000000");
    set(conf, "queued.max.messages.kbytes", "262144");
    set(conf, "check.crcs", "true");
    rd_kafka_t *consumer = make(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(consumer, topics) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "raw_kafka: cannot subscribe to %s\n", topic);
        exit(1);
    }
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
}

static rd_kafka_t *make_producer(const char *servers)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", servers);
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "50");
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return make(RD_KAFKA_PRODUCER, conf);
}

static void produce_all(rd_kafka_t *producer, rd_kafka_topic_t *results,
                        rd_kafka_message_t *messages, size_t count)
{
    size_t left = count;
    while (left > 0) {
        left -= (size_t)rd_kafka_produce_batch(results, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                               messages + (count - left), (int)left);
        rd_kafka_poll(producer, left > 0 ? 1 : 0);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: raw_kafka SERVERS GROUP TOPIC RESULTS COUNT\n");
        return 2;
    }
    size_t count = strtoul(argv[5], NULL, 10);
    rd_kafka_t *consumer = make_consumer(argv[1], argv[2], argv[3]);
    rd_kafka_t *producer = make_producer(argv[1]);
    rd_kafka_topic_t *results = rd_kafka_topic_new(producer, argv[4], NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    static rd_kafka_message_t *in[BATCH];
    static rd_kafka_message_t out[BATCH];
    static char result[RESULT_BYTES];
    size_t consumed = 0;
    unsigned long long first = 0;
    unsigned long long commit_due = 0;

    while (acked + failed < count) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, consumed == 0 ? 100 : 0, in, BATCH);
        size_t good = 0;
        for (ssize_t i = 0; i < got; i++) {
            if (in[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                memset(&out[good], 0, sizeof(out[good]));
                out[good].payload = result;
                out[good].len = sizeof(result);
                out[good].key = in[i]->key;
                out[good].key_len = in[i]->key_len;
                good++;
                (void)rd_kafka_offset_store(in[i]->rkt, in[i]->partition, in[i]->offset);
            }
        }
        if (good > 0 && first == 0) {
            first = now_ns();
        }
        produce_all(producer, results, out, good);
        consumed += good;
        for (ssize_t i = 0; i < got; i++) {
            rd_kafka_message_destroy(in[i]);
        }
        rd_kafka_poll(producer, got > 0 ? 0 : 1);
        if (now_ns() >= commit_due) {
            commit_due = now_ns() + SECOND;
            (void)rd_kafka_commit(consumer, NULL, 1);
        }
    }
    double seconds = (double)(now_ns() - first) / 1e9;
    (void)rd_kafka_commit(consumer, NULL, 0);
    printf("{\"loop\":\"raw_kafka\",\"commands\":%zu,\"failed\":%zu,\"seconds\":%.3f,"
           "\"per_second\":%.0f}\n",
           acked, failed, seconds, (double)acked / seconds);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(results);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return failed == 0 ? 0 : 1;
}
