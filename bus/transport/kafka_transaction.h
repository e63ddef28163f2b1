/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_KAFKA_TRANSACTION_H
#define DRI_KAFKA_TRANSACTION_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <dray/status.h>

/* kafka_transaction.h - the state of a producer's transactions; the functions stand in
 * kafka_parts.h. See kafka_transaction.c.
 *
 * Threads: the owner, but for what the other thread has while a call is out. */

enum dri_kafka_transaction_phase {
    DRI_KAFKA_TRANSACTION_STARTING, /* no transaction is open; the producer is made ready for one */
    DRI_KAFKA_TRANSACTION_OPEN,
    DRI_KAFKA_TRANSACTION_COMMITTING,
};

enum dri_kafka_request {
    DRI_KAFKA_REQUEST_INIT,
    DRI_KAFKA_REQUEST_COMMIT,
    DRI_KAFKA_REQUEST_ABORT,
    DRI_KAFKA_REQUEST_QUIT,
};

struct dri_kafka_transaction {
    bool is_on; /* all else means nothing when it is not */
    char id[256];
    enum dri_kafka_transaction_phase phase;
    uint64_t published; /* outcomes in it */
    bool is_broken;     /* partitions are still to be lost, and the owner to be told */
    bool has_news;      /* how the last one ended is still to be told */
    enum dray_status news;
    uint32_t epoch; /* last one when the commit was asked for */
    void (*on_crash_point)(const char *name);

    pthread_t thread;
    bool has_thread;
    bool is_call_out; /* the thread has what follows, from the request until is_done */
    int request_fd;
    _Atomic(int) request; /* enum dri_kafka_request */
    _Atomic(bool) is_done;
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *offsets;           /* NULL: none */
    rd_kafka_consumer_group_metadata_t *group_metadata; /* NULL: no group */
    int abort_ms;
    bool is_ended;           /* committed, or aborted */
    rd_kafka_resp_err_t err; /* of the first call that failed */
    char text[256];
};

#endif
