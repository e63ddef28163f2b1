/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_publish.c - one idempotent producer, and a table of everything that it has not answered
 * yet.
 *
 * The table is ours (K11): each message carries its index, so that whatever happens to the
 * producer, every token that was taken is answered exactly once. After a fatal error the producer
 * is purged, its last reports are read, what is left becomes UNKNOWN, the handle is destroyed by a
 * thread of its own (that may block for seconds), and a new one is made.
 *
 * Messages without headers go in batches of one topic (rd_kafka_produce_batch, up to a quarter
 * faster), but never with an explicit partition: 2.0.2 leaks a message of a batch whose partition
 * does not exist. Those, and all with headers, go one by one through rd_kafka_producev, which copes
 * (K12). Topics are kept as objects; those of the configuration are looked up before open returns,
 * because the first message to an unknown topic is up to a second late.
 *
 * Delivery reports are read as events, so that the owner can stop in the middle of a batch of them.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"
#include "mem.h"

#define NONE UINT32_MAX

/* ---- the table of what is out ---- */

static enum dray_status table_init(struct dri_kafka_producer *producer, uint32_t count)
{
    producer->pending = dri_zalloc_array(count, sizeof(*producer->pending));
    if (producer->pending == NULL) {
        return DRAY_ENOMEM;
    }
    producer->pending_count = count;
    for (uint32_t i = 0; i < count; i++) {
        producer->pending[i].next = i + 1 < count ? i + 1 : NONE;
    }
    producer->free_first = 0;
    producer->answers_first = NONE;
    producer->answers_last = NONE;
    return DRAY_OK;
}

static uint32_t table_take(struct dri_kafka_producer *producer, const struct dri_publish *message)
{
    uint32_t index = producer->free_first;
    if (index == NONE) {
        return NONE;
    }
    struct dri_kafka_pending *pending = &producer->pending[index];
    producer->free_first = pending->next;
    *pending = (struct dri_kafka_pending){.token = message->token,
                                          .next = NONE,
                                          .state = DRI_KAFKA_PENDING_OUT,
                                          .is_courtesy = message->is_courtesy};
    producer->out++;
    return index;
}

static void table_give(struct dri_kafka_producer *producer, uint32_t index)
{
    struct dri_kafka_pending *pending = &producer->pending[index];
    DRI_ASSERT(pending->state != DRI_KAFKA_PENDING_FREE);
    if (pending->state == DRI_KAFKA_PENDING_OUT) {
        producer->out--;
    }
    pending->state = DRI_KAFKA_PENDING_FREE;
    pending->next = producer->free_first;
    producer->free_first = index;
}

/* librdkafka will not answer this one: we do, at the next poll. */
static void answer_here(struct dri_kafka *kafka, uint32_t index, enum dri_ack ack,
                        enum dray_status reason)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    struct dri_kafka_pending *pending = &producer->pending[index];
    DRI_ASSERT(pending->state == DRI_KAFKA_PENDING_OUT);
    producer->out--;
    pending->state = DRI_KAFKA_PENDING_ANSWER;
    pending->ack = (uint8_t)ack;
    pending->reason = (uint8_t)reason;
    pending->next = NONE;
    if (producer->answers_last == NONE) {
        producer->answers_first = index;
    } else {
        producer->pending[producer->answers_last].next = index;
    }
    producer->answers_last = index;
    dri_kafka_wake(kafka);
}

/* ---- opening ---- */

static struct dri_kafka_topic *topic_find(struct dri_kafka_producer *producer,
                                          struct dray_slice name)
{
    for (size_t i = 0; i < producer->topics_count; i++) {
        struct dri_kafka_topic *topic = &producer->topics[i];
        if (topic->name_len == name.len && memcmp(topic->name, name.at, name.len) == 0) {
            return topic;
        }
    }
    return NULL;
}

/* NULL: the table is full, no memory, or a name that librdkafka refuses. */
static struct dri_kafka_topic *topic_get(struct dri_kafka_producer *producer,
                                         struct dray_slice name)
{
    struct dri_kafka_topic *topic = topic_find(producer, name);
    if (topic == NULL) {
        if (producer->topics_count == DRI_KAFKA_TOPICS_MAX) {
            return NULL;
        }
        char *copy = dri_strndup(name.at, name.len);
        if (copy == NULL) {
            return NULL;
        }
        topic = &producer->topics[producer->topics_count++];
        *topic = (struct dri_kafka_topic){.name = copy, .name_len = name.len};
    }
    if (topic->rkt == NULL) {
        topic->rkt = rd_kafka_topic_new(producer->rk, topic->name, NULL);
    }
    return topic->rkt == NULL ? NULL : topic;
}

static enum dray_status producer_start(struct dri_kafka *kafka, char *ret_text, size_t text_bytes)
{
    static const uint64_t one = 1;
    struct dri_kafka_producer *producer = &kafka->producer;
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(kafka->producer_conf);
    rd_kafka_conf_set_opaque(conf, kafka);
    rd_kafka_conf_set_log_cb(conf, dri_kafka_log_line);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (producer->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        (void)snprintf(ret_text, text_bytes, "librdkafka refuses the producer: %s", reason);
        return DRAY_EINVALID;
    }
    producer->queue = rd_kafka_queue_get_main(producer->rk);
    rd_kafka_queue_io_event_enable(producer->queue, kafka->efd, &one, sizeof(one));
    for (size_t i = 0; i < producer->topics_count; i++) {
        producer->topics[i].rkt = rd_kafka_topic_new(producer->rk, producer->topics[i].name, NULL);
    }
    producer->state = DRI_KAFKA_PRODUCER_UP;
    kafka->stats.producers++;
    dri_kafka_transaction_begin(kafka);
    return DRAY_OK;
}

/* K12. What cannot be looked up now will be late or fail on its own: no reason not to start. */
static void warm_up(struct dri_kafka *kafka, const struct dri_transport_config *config,
                    uint64_t deadline_ns)
{
    for (size_t i = 0; i < config->topics_count; i++) {
        struct dri_kafka_topic *topic =
            topic_get(&kafka->producer, dray_slice_text(config->topics[i].topic));
        uint64_t now = dri_kafka_now_ns();
        if (topic == NULL || now >= deadline_ns) {
            continue;
        }
        const rd_kafka_metadata_t *metadata = NULL;
        rd_kafka_resp_err_t err = rd_kafka_metadata(kafka->producer.rk, 0, topic->rkt, &metadata,
                                                    (int)((deadline_ns - now) / 1000000u) + 1);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
        }
    }
}

enum dray_status dri_kafka_producer_open(struct dri_kafka *kafka,
                                         const struct dri_transport_config *config,
                                         uint64_t deadline_ns, char *ret_text, size_t text_bytes)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    producer->topics = dri_zalloc_array(DRI_KAFKA_TOPICS_MAX, sizeof(*producer->topics));
    producer->batch = dri_zalloc_array(DRI_KAFKA_BATCH, sizeof(*producer->batch));
    if (producer->topics == NULL || producer->batch == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = table_init(producer, config->unacked_max);
    if (status == DRAY_OK) {
        status = dri_kafka_transaction_init(kafka, config);
    }
    if (status == DRAY_OK) {
        status = producer_start(kafka, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        warm_up(kafka, config, deadline_ns);
    }
    if (status == DRAY_OK && kafka->transaction.is_on) {
        status = dri_kafka_transaction_open(kafka, deadline_ns, ret_text, text_bytes);
    }
    return status;
}

/* ---- publishing ---- */

/* What a refusal by rd_kafka_produce* itself means; EFULL: not now, take it later. */
static enum dray_status refusal_of(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__STATE:
        return DRAY_EFULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return DRAY_ELIMIT;
    default:
        return dri_kafka_status_of(err);
    }
}

/* librdkafka did not take it: answer, or undo. False: undone, stop here. */
static bool refuse(struct dri_kafka *kafka, uint32_t index, rd_kafka_resp_err_t err)
{
    enum dray_status reason = refusal_of(err);
    kafka->transaction.published--;
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        dri_kafka_producer_fatal(kafka);
    } else if (err == RD_KAFKA_RESP_ERR__STATE) {
        dri_kafka_transaction_break(kafka, "the open transaction takes no more");
    }
    if (reason == DRAY_EFULL) {
        table_give(&kafka->producer, index);
        return false;
    }
    bool is_for_good = dray_status_class(reason) == DRAY_CLASS_PERMANENT;
    answer_here(kafka, index, is_for_good ? DRI_ACK_NOT_STORED : DRI_ACK_UNKNOWN, reason);
    return true;
}

static void *opaque_of(uint32_t index)
{
    return (void *)((uintptr_t)index + 1);
}

/* librdkafka's API takes what it only reads without const. */
static void *unconst(const void *at)
{
    return (void *)(uintptr_t)at;
}

/* rd_kafka_producev by topic object or, when that is NULL, by name. The vtypes are spelled out: the
 * library's macros for them are GNU expressions. */
static rd_kafka_resp_err_t produce_to(struct dri_kafka *kafka, rd_kafka_topic_t *rkt,
                                      const char *name, const struct dri_publish *message,
                                      rd_kafka_headers_t *headers, uint32_t index)
{
    rd_kafka_vtype_t by = rkt != NULL ? RD_KAFKA_VTYPE_RKT : RD_KAFKA_VTYPE_TOPIC;
    const void *to = rkt != NULL ? (const void *)rkt : (const void *)name;
    return rd_kafka_producev(kafka->producer.rk, by, to, RD_KAFKA_VTYPE_PARTITION,
                             message->partition, RD_KAFKA_VTYPE_MSGFLAGS, (int)RD_KAFKA_MSG_F_COPY,
                             RD_KAFKA_VTYPE_KEY, unconst(message->key.at), message->key.len,
                             RD_KAFKA_VTYPE_VALUE, unconst(message->value.at), message->value.len,
                             RD_KAFKA_VTYPE_HEADERS, headers, RD_KAFKA_VTYPE_OPAQUE,
                             opaque_of(index), RD_KAFKA_VTYPE_END);
}

/* A name that is in no table: rare (more than DRI_KAFKA_TOPICS_MAX topics), so a copy is fine. */
static rd_kafka_resp_err_t produce_by_name(struct dri_kafka *kafka,
                                           const struct dri_publish *message,
                                           rd_kafka_headers_t *headers, uint32_t index)
{
    char *name = dri_strndup(message->topic.at, message->topic.len);
    if (name == NULL) {
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    }
    rd_kafka_resp_err_t err = produce_to(kafka, NULL, name, message, headers, index);
    dri_free(name);
    return err;
}

static rd_kafka_resp_err_t produce(struct dri_kafka *kafka, const struct dri_publish *message,
                                   uint32_t index)
{
    if (message->topic.len == 0) {
        return RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    }
    rd_kafka_headers_t *headers = NULL;
    enum dray_status status = dri_kafka_headers_make(message->headers, &headers);
    if (status != DRAY_OK) {
        return status == DRAY_ENOMEM ? RD_KAFKA_RESP_ERR__QUEUE_FULL
                                     : RD_KAFKA_RESP_ERR__INVALID_ARG;
    }
    struct dri_kafka_topic *topic = topic_get(&kafka->producer, message->topic);
    rd_kafka_resp_err_t err = topic == NULL
                                  ? produce_by_name(kafka, message, headers, index)
                                  : produce_to(kafka, topic->rkt, NULL, message, headers, index);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL) {
        rd_kafka_headers_destroy(headers);
    }
    return err;
}

static bool publish_one(struct dri_kafka *kafka, const struct dri_publish *message)
{
    uint32_t index = table_take(&kafka->producer, message);
    if (index == NONE) {
        return false;
    }
    kafka->transaction.published++;
    rd_kafka_resp_err_t err = produce(kafka, message, index);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR || refuse(kafka, index, err);
}

static bool is_plain(const struct dri_publish *message)
{
    return message->headers.len == 0 && message->partition < 0;
}

/* How many messages from here on go into one batch: same topic, no headers, no explicit partition.
 */
static size_t batch_length(const struct dri_publish *messages, size_t count)
{
    size_t length = 0;
    while (length < count && length < DRI_KAFKA_BATCH && is_plain(&messages[length]) &&
           dray_slice_equal(messages[length].topic, messages[0].topic)) {
        length++;
    }
    return length;
}

/* Returns how many were taken; fewer than count: full. */
static size_t publish_batch(struct dri_kafka *kafka, struct dri_kafka_topic *topic,
                            const struct dri_publish *messages, size_t count)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    rd_kafka_message_t *batch = producer->batch;
    size_t filled = 0;
    while (filled < count) {
        uint32_t index = table_take(producer, &messages[filled]);
        if (index == NONE) {
            break;
        }
        kafka->transaction.published++;
        batch[filled] = (rd_kafka_message_t){
            .payload = unconst(messages[filled].value.at),
            .len = messages[filled].value.len,
            .key = unconst(messages[filled].key.at),
            .key_len = messages[filled].key.len,
            ._private = opaque_of(index),
        };
        filled++;
    }
    int good = rd_kafka_produce_batch(topic->rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, batch,
                                      (int)filled);
    if (good == (int)filled) {
        return filled;
    }
    size_t taken = filled;
    for (size_t i = 0; i < filled; i++) {
        uint32_t index = (uint32_t)((uintptr_t)batch[i]._private - 1);
        /* Full is full for the rest too: librdkafka stops there. */
        if (batch[i].err != RD_KAFKA_RESP_ERR_NO_ERROR && !refuse(kafka, index, batch[i].err) &&
            taken == filled) {
            taken = i;
        }
    }
    return taken;
}

/* ---- what would break a transaction ---- */

static size_t bytes_of(const struct dri_publish *message)
{
    return message->key.len + message->value.len + message->headers.len;
}

static bool is_wary(const struct dri_kafka *kafka, const struct dri_kafka_topic *topic)
{
    return topic->refused_bytes != 0 || topic->refused_until_ns > kafka->now_ns;
}

/* Whether it is known that this topic refuses this message. */
static bool is_refused(struct dri_kafka *kafka, const struct dri_publish *message,
                       enum dray_status *ret_reason)
{
    const struct dri_kafka_topic *topic = topic_get(&kafka->producer, message->topic);
    if (topic == NULL) { /* more names than the table has: nothing could be remembered of it */
        *ret_reason = DRAY_ENOTFOUND;
        return true;
    }
    if (topic->refused_until_ns > kafka->now_ns) {
        *ret_reason = topic->refused_reason;
        return true;
    }
    *ret_reason = DRAY_ELIMIT;
    return topic->refused_bytes != 0 && bytes_of(message) >= topic->refused_bytes;
}

/* The broker refused a message: its transaction cannot be committed any more, and the next one must
 * not be broken by the same. */
static void remember_refusal(struct dri_kafka *kafka, const rd_kafka_message_t *message,
                             enum dray_status reason)
{
    const char *name = rd_kafka_topic_name(message->rkt);
    struct dri_kafka_topic *topic = topic_find(&kafka->producer, dray_slice_of(name, strlen(name)));
    if (topic == NULL) {
        return;
    }
    if (reason != DRAY_ELIMIT) {
        topic->refused_until_ns = kafka->now_ns + DRI_KAFKA_REFUSED_NS;
        topic->refused_reason = reason;
        return;
    }
    rd_kafka_headers_t *headers = NULL;
    size_t bytes = message->key_len + message->len;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        bytes += dri_kafka_headers_bytes(headers);
    }
    if (topic->refused_bytes == 0 || bytes < topic->refused_bytes) {
        topic->refused_bytes = bytes;
    }
}

/* Whether this one was refused, and answered, here. */
static bool refuse_known(struct dri_kafka *kafka, const struct dri_publish *message)
{
    enum dray_status reason;
    if (!kafka->transaction.is_on || message->topic.len == 0 ||
        !is_refused(kafka, message, &reason)) {
        return false;
    }
    uint32_t index = table_take(&kafka->producer, message);
    if (index != NONE) {
        answer_here(kafka, index, DRI_ACK_NOT_STORED, reason);
    }
    return index != NONE;
}

/* How many may go into one batch with the first. */
static size_t portion(struct dri_kafka *kafka, const struct dri_publish *messages, size_t count)
{
    if (kafka->transaction.is_on) {
        const struct dri_kafka_topic *topic = topic_find(&kafka->producer, messages[0].topic);
        if (topic == NULL || is_wary(kafka, topic)) {
            return 1;
        }
    }
    return batch_length(messages, count);
}

size_t dri_kafka_publish(struct dri_kafka *kafka, const struct dri_publish *messages, size_t count)
{
    size_t taken = 0;
    while (taken < count && kafka->producer.state == DRI_KAFKA_PRODUCER_UP &&
           dri_kafka_transaction_takes(kafka)) {
        if (refuse_known(kafka, &messages[taken])) {
            taken++;
            continue;
        }
        size_t length = portion(kafka, messages + taken, count - taken);
        struct dri_kafka_topic *topic = length < 2 || messages[taken].topic.len == 0
                                            ? NULL
                                            : topic_get(&kafka->producer, messages[taken].topic);
        if (topic == NULL) {
            if (!publish_one(kafka, &messages[taken])) {
                break;
            }
            taken++;
            continue;
        }
        size_t now = publish_batch(kafka, topic, messages + taken, length);
        taken += now;
        if (now < length) {
            break;
        }
    }
    return taken;
}

/* ---- reports ---- */

/* Errors after which sending the same again to the same place cannot help. */
static bool is_permanent(rd_kafka_resp_err_t err, enum dray_status *ret_reason)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        *ret_reason = DRAY_ELIMIT;
        return true;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        *ret_reason = DRAY_EAUTH;
        return true;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        *ret_reason = DRAY_ENOTFOUND;
        return true;
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        *ret_reason = DRAY_EINVALID;
        return true;
    default:
        return false;
    }
}

enum dri_ack dri_kafka_ack_of(rd_kafka_resp_err_t err, rd_kafka_msg_status_t status,
                              enum dray_status *ret_reason)
{
    *ret_reason = DRAY_OK;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || status == RD_KAFKA_MSG_STATUS_PERSISTED) {
        return DRI_ACK_STORED;
    }
    if (status == RD_KAFKA_MSG_STATUS_NOT_PERSISTED && is_permanent(err, ret_reason)) {
        return DRI_ACK_NOT_STORED;
    }
    *ret_reason = DRAY_EBROKER;
    return DRI_ACK_UNKNOWN;
}

/* False: a courtesy, nobody waits for it. */
static bool write_report(struct dri_kafka *kafka, const rd_kafka_message_t *message,
                         struct dri_transport_event *event)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    uintptr_t opaque = (uintptr_t)message->_private;
    DRI_ASSERT(opaque != 0 && opaque <= producer->pending_count);
    uint32_t index = (uint32_t)(opaque - 1);
    const struct dri_kafka_pending *pending = &producer->pending[index];
    bool is_wanted = !pending->is_courtesy;
    enum dray_status reason;
    enum dri_ack ack = dri_kafka_ack_of(message->err, rd_kafka_message_status(message), &reason);
    if (kafka->transaction.is_on && ack != DRI_ACK_STORED) {
        if (ack == DRI_ACK_NOT_STORED) {
            remember_refusal(kafka, message, reason);
        }
        dri_kafka_transaction_break(kafka, "%s: a message was not stored: %s",
                                    rd_kafka_topic_name(message->rkt),
                                    rd_kafka_err2str(message->err));
        ack = DRI_ACK_UNKNOWN;
    }
    bool has_place = ack == DRI_ACK_STORED && message->offset >= 0;
    *event = (struct dri_transport_event){
        .type = DRI_TE_PUBLISHED,
        .status = reason,
        .as.published = {.token = pending->token,
                         .ack = ack,
                         .reason = reason,
                         .partition = message->partition,
                         .offset = has_place ? (uint64_t)message->offset : UINT64_MAX},
    };
    table_give(producer, index);
    return is_wanted;
}

static size_t poll_answers(struct dri_kafka_producer *producer,
                           struct dri_transport_event *ret_events, size_t max)
{
    size_t count = 0;
    while (count < max && producer->answers_first != NONE) {
        uint32_t index = producer->answers_first;
        struct dri_kafka_pending *pending = &producer->pending[index];
        producer->answers_first = pending->next;
        if (producer->answers_first == NONE) {
            producer->answers_last = NONE;
        }
        if (!pending->is_courtesy) {
            ret_events[count++] = (struct dri_transport_event){
                .type = DRI_TE_PUBLISHED,
                .status = (enum dray_status)pending->reason,
                .as.published = {.token = pending->token,
                                 .ack = (enum dri_ack)pending->ack,
                                 .reason = (enum dray_status)pending->reason,
                                 .partition = -1,
                                 .offset = UINT64_MAX},
            };
        }
        table_give(producer, index);
    }
    return count;
}

/* The next batch of reports into producer->reports; false: none now. */
static bool next_reports(struct dri_kafka *kafka)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    for (;;) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(producer->queue, 0);
        if (event == NULL || rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            producer->reports = event;
            return event != NULL;
        }
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
            if (rd_kafka_event_error_is_fatal(event) != 0) {
                dri_kafka_producer_fatal(kafka);
            } else {
                dri_kafka_trouble(kafka, rd_kafka_event_error(event),
                                  rd_kafka_event_error_string(event));
            }
        }
        rd_kafka_event_destroy(event);
    }
}

size_t dri_kafka_producer_poll(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                               size_t max, bool *ret_more)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    *ret_more = false;
    if (producer->state == DRI_KAFKA_PRODUCER_NONE) {
        return 0;
    }
    size_t count = poll_answers(producer, ret_events, max);
    while (count < max && producer->queue != NULL) {
        if (producer->reports == NULL && !next_reports(kafka)) {
            return count;
        }
        const rd_kafka_message_t *message = rd_kafka_event_message_next(producer->reports);
        if (message == NULL) {
            rd_kafka_event_destroy(producer->reports);
            producer->reports = NULL;
        } else if (write_report(kafka, message, &ret_events[count])) {
            count++;
            kafka->are_brokers_down = false;
        }
    }
    *ret_more = count == max;
    return count;
}

/* ---- fatal errors ---- */

static void *reap(void *arg)
{
    struct dri_kafka_producer *producer = arg;
    rd_kafka_destroy(producer->grave);
    /* Pairs with the acquire in join_reaper's callers. */
    atomic_store_explicit(&producer->is_reaper_done, true, memory_order_release);
    return NULL;
}

static void join_reaper(struct dri_kafka_producer *producer)
{
    if (producer->grave != NULL) {
        (void)pthread_join(producer->reaper, NULL);
        producer->grave = NULL;
    }
}

/* Everything that refers to the handle goes, and the handle goes into its grave. */
static void producer_bury(struct dri_kafka_producer *producer)
{
    if (producer->reports != NULL) {
        rd_kafka_event_destroy(producer->reports);
        producer->reports = NULL;
    }
    for (size_t i = 0; i < producer->topics_count; i++) {
        if (producer->topics[i].rkt != NULL) {
            rd_kafka_topic_destroy(producer->topics[i].rkt);
            producer->topics[i].rkt = NULL;
        }
    }
    rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(producer->queue);
    producer->queue = NULL;
    DRI_ASSERT(producer->grave == NULL);
    producer->grave = producer->rk;
    producer->rk = NULL;
    atomic_store_explicit(&producer->is_reaper_done, false, memory_order_relaxed);
    if (pthread_create(&producer->reaper, NULL, reap, producer) != 0) {
        /* No thread to be had: then it costs the owner the time. */
        rd_kafka_destroy(producer->grave);
        producer->grave = NULL;
    }
}

static void give_up(struct dri_kafka *kafka)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    for (uint32_t i = 0; i < producer->pending_count; i++) {
        if (producer->pending[i].state == DRI_KAFKA_PENDING_OUT) {
            answer_here(kafka, i, DRI_ACK_UNKNOWN, DRAY_EBROKER);
        }
    }
    producer_bury(producer);
    producer->state = DRI_KAFKA_PRODUCER_DOWN;
    producer->revive_ns = kafka->now_ns + producer->revive_wait_ns;
}

static void revive(struct dri_kafka *kafka)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    if (producer->grave != NULL &&
        !atomic_load_explicit(&producer->is_reaper_done, memory_order_acquire)) {
        producer->revive_ns = kafka->now_ns + DRI_KAFKA_REVIVE_NS;
        return;
    }
    join_reaper(producer);
    char text[256];
    if (producer_start(kafka, text, sizeof(text)) != DRAY_OK) {
        producer->revive_ns = kafka->now_ns + DRI_KAFKA_REVIVE_MAX_NS;
        dri_kafka_notice(kafka, DRAY_EBROKER, "no new producer: %s", text);
        return;
    }
    DRI_LOG(DRI_LOG_INFO, "KAFKA-REVIVED", "there is a new producer",
            DRI_UINT("producers", kafka->stats.producers));
}

void dri_kafka_producer_renew(struct dri_kafka *kafka, enum dray_status status, const char *reason)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    if (producer->state != DRI_KAFKA_PRODUCER_UP) {
        return;
    }
    dri_kafka_notice(kafka, status, "the producer is made anew: %s", reason);
    (void)rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                           RD_KAFKA_PURGE_F_NON_BLOCKING);
    producer->state = DRI_KAFKA_PRODUCER_PURGING;
    producer->purge_deadline_ns = kafka->now_ns + DRI_KAFKA_PURGE_NS;
    uint64_t first_ns =
        kafka->transaction.is_on ? DRI_KAFKA_REVIVE_TXN_NS : (uint64_t)DRI_KAFKA_REVIVE_NS;
    uint64_t wait_ns = producer->revive_wait_ns * 2;
    producer->revive_wait_ns = wait_ns < first_ns                  ? first_ns
                               : wait_ns > DRI_KAFKA_REVIVE_MAX_NS ? DRI_KAFKA_REVIVE_MAX_NS
                                                                   : wait_ns;
    dri_kafka_transaction_broken(kafka);
    dri_kafka_wake(kafka);
}

void dri_kafka_producer_fatal(struct dri_kafka *kafka)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    if (producer->state != DRI_KAFKA_PRODUCER_UP) {
        return;
    }
    char reason[256];
    rd_kafka_resp_err_t err = rd_kafka_fatal_error(producer->rk, reason, sizeof(reason));
    bool is_auth = dri_kafka_status_of(err) == DRAY_EAUTH;
    dri_kafka_producer_renew(kafka, is_auth ? DRAY_EAUTH : DRAY_EBROKER, reason);
}

void dri_kafka_producer_tick(struct dri_kafka *kafka)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    if (producer->state == DRI_KAFKA_PRODUCER_PURGING && !kafka->transaction.is_call_out &&
        (producer->out == 0 || kafka->now_ns >= producer->purge_deadline_ns)) {
        give_up(kafka);
    }
    if (producer->state == DRI_KAFKA_PRODUCER_DOWN && kafka->now_ns >= producer->revive_ns) {
        revive(kafka);
    }
}

uint64_t dri_kafka_producer_deadline(const struct dri_kafka *kafka)
{
    switch (kafka->producer.state) {
    case DRI_KAFKA_PRODUCER_PURGING:
        /* A call that is out wakes the owner when it ends. */
        return kafka->transaction.is_call_out ? UINT64_MAX : kafka->producer.purge_deadline_ns;
    case DRI_KAFKA_PRODUCER_DOWN:
        return kafka->producer.revive_ns;
    default:
        return UINT64_MAX;
    }
}

/* ---- closing ---- */

void dri_kafka_producer_close(struct dri_kafka *kafka, uint64_t deadline_ns)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    while (producer->state == DRI_KAFKA_PRODUCER_UP && producer->out > 0) {
        struct dri_transport_event events[64];
        bool has_more = false;
        (void)dri_kafka_producer_poll(kafka, events, DRI_ARRAY_LEN(events), &has_more);
        uint64_t now = dri_kafka_now_ns();
        if (now >= deadline_ns) {
            break;
        }
        if (!has_more && producer->out > 0) {
            struct pollfd wait = {.fd = kafka->efd, .events = POLLIN};
            uint64_t left_ms = (deadline_ns - now) / 1000000u;
            (void)poll(&wait, 1, left_ms > 100 ? 100 : (int)left_ms + 1);
            uint64_t drained;
            (void)!read(kafka->efd, &drained, sizeof(drained));
        }
    }
    if (producer->state == DRI_KAFKA_PRODUCER_UP && producer->out > 0) {
        DRI_LOG(DRI_LOG_WARN, "KAFKA-FORGOTTEN", "closed while messages were not acknowledged",
                DRI_UINT("messages", producer->out));
        (void)rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                               RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
}

void dri_kafka_producer_fini(struct dri_kafka *kafka)
{
    struct dri_kafka_producer *producer = &kafka->producer;
    join_reaper(producer);
    if (producer->rk != NULL) {
        producer_bury(producer);
        join_reaper(producer);
    }
    for (size_t i = 0; i < producer->topics_count; i++) {
        dri_free(producer->topics[i].name);
    }
    dri_free(producer->topics);
    dri_free(producer->batch);
    dri_free(producer->pending);
    if (kafka->producer_conf != NULL) {
        rd_kafka_conf_destroy(kafka->producer_conf);
    }
}
