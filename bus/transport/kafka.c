/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka.c - the Kafka transport over librdkafka: life, poll, errors.
 *
 * Up to three handles: a consumer in the group, a consumer without one for logs, an idempotent
 * producer. All are served by the owner without blocking. librdkafka's queues write to one eventfd
 * when they become non-empty; poll clears it first and then drains, so no wake is lost.
 *
 * Errors that a handle reports are told once per kind and half minute, as events and as log lines:
 * a cluster that is down would otherwise say so a hundred times a second. Only what cannot end by
 * itself is fatal: a fenced or broken consumer. A broken producer is replaced (kafka_publish.c).
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"
#include "mem.h"

uint64_t dri_kafka_now_ns(void)
{
    return dri_clock_mono_ns();
}

static struct dri_kafka *from_base(struct dri_transport *self)
{
    return (struct dri_kafka *)(void *)self;
}

/* ---- errors ---- */

enum dray_status dri_kafka_status_of(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return DRAY_OK;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return DRAY_ETIMEOUT;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return DRAY_ENOTFOUND;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return DRAY_EAUTH;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
        return DRAY_EINVALID;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return DRAY_EUNSUPPORTED;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return DRAY_EFATAL;
    default:
        return DRAY_EBROKER;
    }
}

enum dray_status dri_kafka_fail(char *ret_text, size_t text_bytes, rd_kafka_resp_err_t err,
                                const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    (void)snprintf(ret_text, text_bytes, "%s: %s", what, rd_kafka_err2str(err));
    return dri_kafka_status_of(err);
}

void dri_kafka_wake(struct dri_kafka *kafka)
{
    static const uint64_t one = 1;
    if (write(kafka->efd, &one, sizeof(one)) < 0) {
        DRI_ASSERT(errno == EAGAIN || errno == EINTR); /* it is readable then */
    }
}

void dri_kafka_notice(struct dri_kafka *kafka, enum dray_status status, const char *format, ...)
{
    struct dri_kafka_notice notice = {.status = status};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(notice.text, sizeof(notice.text), format, args);
    va_end(args);
    uint64_t *noticed = &kafka->noticed_ns[status];
    bool is_due = *noticed == 0 || kafka->now_ns - *noticed >= DRI_KAFKA_NOTICE_NS ||
                  status == DRAY_EFATAL || status == DRAY_ENOTFOUND;
    DRI_LOG(!is_due                 ? DRI_LOG_DEBUG
            : status == DRAY_EFATAL ? DRI_LOG_ERROR
                                    : DRI_LOG_WARN,
            "KAFKA-TROUBLE", notice.text, DRI_TEXT("status", dray_status_name(status)));
    if (!is_due || kafka->notices_count == DRI_KAFKA_NOTICES) {
        return;
    }
    *noticed = kafka->now_ns;
    kafka->notices[(kafka->notices_first + kafka->notices_count++) % DRI_KAFKA_NOTICES] = notice;
    dri_kafka_wake(kafka);
}

bool dri_kafka_is_noise(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        return true;
    default:
        return false;
    }
}

void dri_kafka_trouble(struct dri_kafka *kafka, rd_kafka_resp_err_t err, const char *reason)
{
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        kafka->are_brokers_down = true;
        dri_kafka_notice(kafka, DRAY_EBROKER, "no broker can be reached: %s",
                         reason == NULL ? "" : reason);
        return;
    }
    if (dri_kafka_is_noise(err)) {
        DRI_LOG(DRI_LOG_DEBUG, "KAFKA-NOISE", "librdkafka reports a passing error",
                DRI_TEXT("error", rd_kafka_err2name(err)), DRI_TEXT("reason", reason));
        return;
    }
    if (err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        dri_kafka_notice(kafka, DRAY_ETIMEOUT,
                         "the group gave up on us: nothing was polled for max.poll.interval.ms");
        return;
    }
    enum dray_status status = dri_kafka_status_of(err);
    if (status == DRAY_ENOTFOUND || status == DRAY_EINVALID) {
        status = DRAY_EBROKER; /* a topic that vanished may come back */
    }
    dri_kafka_notice(kafka, status, "%s: %s", rd_kafka_err2name(err),
                     reason == NULL ? rd_kafka_err2str(err) : reason);
}

static void on_consumer_handle_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct dri_kafka *kafka = opaque;
    if (rk == kafka->progress.old && rk != NULL) {
        return; /* it was put off: what it has to say does not matter any more */
    }
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        char text[256];
        (void)rd_kafka_fatal_error(rk, text, sizeof(text));
        dri_kafka_notice(kafka, DRAY_EFATAL, "the consumer failed for good: %s", text);
        return;
    }
    dri_kafka_trouble(kafka, (rd_kafka_resp_err_t)err, reason);
}

/* One id a facility: the log drops what comes too often by its id. */
void dri_kafka_log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char id[48];
    enum dri_log_level ours = level <= 4 ? DRI_LOG_WARN : level <= 6 ? DRI_LOG_INFO : DRI_LOG_DEBUG;
    (void)snprintf(id, sizeof(id), "RDKAFKA-%s", facility);
    DRI_LOG(ours, id, text, DRI_TEXT("handle", rk == NULL ? NULL : rd_kafka_name(rk)));
}

/* ---- opening ---- */

static bool has_role(const struct dri_transport_config *config, bool is_log)
{
    for (size_t i = 0; i < config->sources_count; i++) {
        if ((config->sources[i].role == DRI_ROLE_LOG) == is_log) {
            return true;
        }
    }
    return false;
}

static enum dray_status check_config(const struct dri_transport_config *config, char *ret_text,
                                     size_t text_bytes)
{
    bool has_group_source = has_role(config, false);
    if (has_group_source && (config->group == NULL || config->group[0] == '\0')) {
        (void)snprintf(ret_text, text_bytes, "commands are read by a group: set `group`");
        return DRAY_EINVALID;
    }
    bool has_commands = false;
    for (size_t i = 0; i < config->sources_count; i++) {
        has_commands = has_commands || config->sources[i].role == DRI_ROLE_COMMANDS;
    }
    for (size_t i = 0; i < config->sources_count; i++) {
        const struct dri_source *source = &config->sources[i];
        if (dri_kafka_role_follows(source->role) && !has_commands) {
            (void)snprintf(ret_text, text_bytes, "topic \"%s\": there are no commands to follow",
                           source->topic);
            return DRAY_EINVALID;
        }
        if ((source->start == DRI_START_OFFSET || source->start == DRI_START_GROUP) &&
            source->role != DRI_ROLE_LOG) {
            (void)snprintf(ret_text, text_bytes, "topic \"%s\": a group starts at its own position",
                           source->topic);
            return DRAY_EINVALID;
        }
        if (source->topic == NULL || source->topic[0] == '\0' || source->topic[0] == '^') {
            (void)snprintf(ret_text, text_bytes, "\"%s\" is no name for a Kafka topic",
                           source->topic == NULL ? "" : source->topic);
            return DRAY_EINVALID;
        }
    }
    return DRAY_OK;
}

static enum dray_status copy_sources(struct dri_kafka *kafka,
                                     const struct dri_transport_config *config)
{
    if (config->sources_count == 0) {
        return DRAY_OK;
    }
    kafka->sources = dri_zalloc_array(config->sources_count, sizeof(*kafka->sources));
    if (kafka->sources == NULL) {
        return DRAY_ENOMEM;
    }
    kafka->sources_count = config->sources_count;
    kafka->stash = dri_zalloc_array(DRI_KAFKA_STASH, sizeof(*kafka->stash));
    if (kafka->stash == NULL) {
        return DRAY_ENOMEM;
    }
    kafka->stash_max = DRI_KAFKA_STASH;
    for (size_t i = 0; i < config->sources_count; i++) {
        struct dri_kafka_source *source = &kafka->sources[i];
        source->role = config->sources[i].role;
        source->start =
            dri_kafka_role_follows(source->role) ? DRI_START_EARLIEST : config->sources[i].start;
        source->start_offset = config->sources[i].start_offset;
        source->delay_ms = source->role == DRI_ROLE_DELAY ? config->sources[i].delay_ms : 0;
        source->topic = dri_strdup(config->sources[i].topic);
        if (source->topic == NULL) {
            return DRAY_ENOMEM;
        }
    }
    return DRAY_OK;
}

/* What the worker cannot do without: the first topic that is not fit, as one sentence. */
static enum dray_status judge_reports(const struct dri_topic_report *reports, size_t count,
                                      char *ret_text, size_t text_bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (reports[i].status != DRAY_OK) {
            (void)snprintf(ret_text, text_bytes, "topic \"%s\" %s", reports[i].topic,
                           reports[i].text);
            return reports[i].status;
        }
        if (reports[i].was_created) {
            DRI_LOG(DRI_LOG_INFO, "KAFKA-CREATED", "a topic was created",
                    DRI_TEXT("topic", reports[i].topic),
                    DRI_UINT("partitions", reports[i].partitions));
        } else if (reports[i].text[0] != '\0') {
            DRI_LOG(DRI_LOG_WARN, "KAFKA-TOPIC", reports[i].text,
                    DRI_TEXT("topic", reports[i].topic));
        }
    }
    return DRAY_OK;
}

static enum dray_status look_at_topics(struct dri_kafka *kafka, struct dri_kafka_admin *admin,
                                       const struct dri_transport_config *config, char *ret_text,
                                       size_t text_bytes)
{
    struct dri_topic_report *reports = dri_zalloc_array(config->topics_count + 1, sizeof(*reports));
    if (reports == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status =
        dri_kafka_admin_topics(admin, config, reports, &kafka->facts, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = judge_reports(reports, config->topics_count, ret_text, text_bytes);
    }
    dri_free(reports);
    return status;
}

/* A consumer whose events wake the owner. Consumes conf. */
static enum dray_status consumer_start(struct dri_kafka *kafka, rd_kafka_conf_t *conf,
                                       enum dri_kafka_use use, char *ret_text, size_t text_bytes)
{
    static const uint64_t one = 1;
    char reason[256];
    rd_kafka_conf_set_opaque(conf, kafka);
    rd_kafka_conf_set_error_cb(conf, on_consumer_handle_error);
    if (use == DRI_KAFKA_GROUP) {
        rd_kafka_conf_set_rebalance_cb(conf, dri_kafka_rebalance);
        rd_kafka_conf_set_stats_cb(conf, dri_kafka_progress_look);
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        (void)snprintf(ret_text, text_bytes, "librdkafka refuses the configuration: %s", reason);
        return DRAY_EINVALID;
    }
    (void)rd_kafka_poll_set_consumer(rk);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_queue_io_event_enable(queue, kafka->efd, &one, sizeof(one));
    if (use == DRI_KAFKA_GROUP) {
        kafka->group = rk;
        kafka->group_queue = queue;
    } else {
        kafka->log = rk;
        kafka->log_queue = queue;
    }
    return DRAY_OK;
}

enum dray_status dri_kafka_group_join(struct dri_kafka *kafka, rd_kafka_conf_t *conf,
                                      char *ret_text, size_t text_bytes)
{
    static const uint64_t one = 1;
    enum dray_status status = consumer_start(kafka, conf, DRI_KAFKA_GROUP, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    kafka->replies = rd_kafka_queue_new(kafka->group);
    rd_kafka_queue_io_event_enable(kafka->replies, kafka->efd, &one, sizeof(one));
    dri_kafka_follow_join(kafka);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    for (size_t i = 0; i < kafka->sources_count; i++) {
        if (kafka->sources[i].role != DRI_ROLE_LOG &&
            !dri_kafka_role_follows(kafka->sources[i].role)) {
            rd_kafka_topic_partition_list_add(topics, kafka->sources[i].topic,
                                              RD_KAFKA_PARTITION_UA);
        }
    }
    rd_kafka_resp_err_t err = rd_kafka_subscribe(kafka->group, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return dri_kafka_fail(ret_text, text_bytes, err, "group \"%s\"", kafka->group_id);
    }
    return DRAY_OK;
}

void dri_kafka_group_put_down(struct dri_kafka *kafka)
{
    dri_kafka_follow_put_down(kafka);
    rd_kafka_queue_io_event_enable(kafka->replies, -1, NULL, 0);
    rd_kafka_queue_destroy(kafka->replies);
    rd_kafka_queue_io_event_enable(kafka->group_queue, -1, NULL, 0);
    rd_kafka_queue_destroy(kafka->group_queue);
    kafka->replies = NULL;
    kafka->replies_due = 0;
    kafka->is_commit_out = false;
    kafka->group_queue = NULL;
    kafka->group = NULL;
}

static enum dray_status group_start(struct dri_kafka *kafka,
                                    const struct dri_transport_config *config, char *ret_text,
                                    size_t text_bytes)
{
    kafka->group_id = dri_strdup(config->group);
    if (kafka->group_id == NULL) {
        return DRAY_ENOMEM;
    }
    kafka->is_cooperative = dri_kafka_conf_is_cooperative(config);
    kafka->progress.limit_ns = (uint64_t)config->progress_ms * 1000000u;
    kafka->progress.look_ns = (uint64_t)dri_kafka_progress_look_ms(config->progress_ms) * 1000000u;
    rd_kafka_conf_t *conf = NULL;
    enum dray_status status =
        dri_kafka_conf_create(config, DRI_KAFKA_GROUP, &kafka->facts, &conf, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    kafka->progress.conf = rd_kafka_conf_dup(conf);
    return dri_kafka_group_join(kafka, conf, ret_text, text_bytes);
}

static enum dray_status log_start(struct dri_kafka *kafka,
                                  const struct dri_transport_config *config,
                                  struct dri_kafka_admin *admin, char *ret_text, size_t text_bytes)
{
    rd_kafka_conf_t *conf = NULL;
    enum dray_status status =
        dri_kafka_conf_create(config, DRI_KAFKA_LOG, &kafka->facts, &conf, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = consumer_start(kafka, conf, DRI_KAFKA_LOG, ret_text, text_bytes);
    }
    return status == DRAY_OK ? dri_kafka_log_open(kafka, admin, ret_text, text_bytes) : status;
}

/* The largest message: the smaller of the broker's limit and our own. */
static enum dray_status learn_limit(struct dri_kafka *kafka,
                                    const struct dri_transport_config *config, char *ret_text,
                                    size_t text_bytes)
{
    char value[32] = "";
    size_t value_bytes = sizeof(value);
    enum dray_status status = dri_kafka_conf_create(config, DRI_KAFKA_PRODUCER, &kafka->facts,
                                                    &kafka->producer_conf, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    rd_kafka_conf_res_t res =
        rd_kafka_conf_get(kafka->producer_conf, "message.max.bytes", value, &value_bytes);
    DRI_ASSERT(res == RD_KAFKA_CONF_OK);
    uint64_t ours = strtoull(value, NULL, 10);
    uint64_t brokers = kafka->facts.message_bytes_max;
    kafka->message_bytes_max = brokers == 0 || ours < brokers ? ours : brokers;
    return DRAY_OK;
}

static enum dray_status open_parts(struct dri_kafka *kafka, struct dri_kafka_admin *admin,
                                   const struct dri_transport_config *config, char *ret_text,
                                   size_t text_bytes)
{
    enum dray_status status = look_at_topics(kafka, admin, config, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = learn_limit(kafka, config, ret_text, text_bytes);
    }
    if (status == DRAY_OK && config->unacked_max > 0) {
        status = dri_kafka_producer_open(kafka, config, admin->deadline_ns, ret_text, text_bytes);
    }
    if (status == DRAY_OK && has_role(config, true)) {
        status = log_start(kafka, config, admin, ret_text, text_bytes);
    }
    if (status == DRAY_OK && has_role(config, false)) {
        status = dri_kafka_follow_open(kafka, admin, ret_text, text_bytes);
    }
    if (status == DRAY_OK && has_role(config, false)) {
        status = group_start(kafka, config, ret_text, text_bytes);
    }
    return status;
}

static void kafka_close(struct dri_transport *self, uint32_t timeout_ms);
static void kafka_destroy(struct dri_transport *self);

static enum dray_status kafka_open(const struct dri_transport_config *config,
                                   struct dri_transport **ret_transport, char *ret_text,
                                   size_t text_bytes)
{
    struct dri_kafka_admin admin;
    if (text_bytes > 0) {
        ret_text[0] = '\0';
    }
    enum dray_status status = check_config(config, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    struct dri_kafka *kafka = dri_zalloc(sizeof(*kafka));
    if (kafka == NULL) {
        return DRAY_ENOMEM;
    }
    kafka->base.ops = &dri_kafka_ops;
    kafka->now_ns = dri_kafka_now_ns();
    (void)snprintf(kafka->library, sizeof(kafka->library), "librdkafka %s", rd_kafka_version_str());
    kafka->efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    status = kafka->efd < 0 ? DRAY_EIO : copy_sources(kafka, config);
    if (status == DRAY_OK) {
        status = dri_kafka_admin_init(&admin, config, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = open_parts(kafka, &admin, config, ret_text, text_bytes);
        dri_kafka_admin_fini(&admin);
    }
    if (status != DRAY_OK) {
        kafka_close((struct dri_transport *)(void *)kafka, 0);
        kafka_destroy((struct dri_transport *)(void *)kafka);
        return status;
    }
    dri_kafka_wake(kafka); /* the first poll has ASSIGNED events of logs */
    *ret_transport = (struct dri_transport *)(void *)kafka;
    return DRAY_OK;
}

/* ---- polling ---- */

static void serve_reply(struct dri_kafka *kafka, rd_kafka_event_t *event)
{
    kafka->replies_due--;
    kafka->are_brokers_down = false;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
        dri_kafka_commit_answer(kafka, event);
    } else {
        dri_kafka_lookup_answer(kafka, event);
    }
    rd_kafka_event_destroy(event);
}

static void serve_replies(struct dri_kafka *kafka)
{
    while (kafka->replies_due > 0) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->replies, 0);
        if (event == NULL) {
            return;
        }
        serve_reply(kafka, event);
    }
}

static size_t tell_notices(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                           size_t max)
{
    if (max == 0 || kafka->notices_count == 0) {
        return 0;
    }
    struct dri_kafka_notice *notice = &kafka->notices[kafka->notices_first];
    memcpy(kafka->told_text, notice->text, sizeof(kafka->told_text));
    ret_events[0] = (struct dri_transport_event){.type = DRI_TE_ERROR,
                                                 .status = notice->status,
                                                 .as.text = dray_slice_text(kafka->told_text)};
    kafka->notices_first = (kafka->notices_first + 1) % DRI_KAFKA_NOTICES;
    kafka->notices_count--;
    return 1;
}

static void disarm(struct dri_kafka *kafka)
{
    if (kafka->is_armed) {
        uint64_t drained;
        ssize_t got = read(kafka->efd, &drained, sizeof(drained));
        DRI_ASSERT(got == (ssize_t)sizeof(drained) || errno == EAGAIN || errno == EINTR);
        kafka->is_armed = false;
    }
}

static size_t kafka_poll(struct dri_transport *self, struct dri_now now, size_t messages_max,
                         struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    struct dri_kafka *kafka = from_base(self);
    *ret_more = false;
    if (kafka->is_closed || max == 0) {
        return 0;
    }
    kafka->now_ns = now.mono_ns;
    kafka->wall_ms = now.wall_ms;
    disarm(kafka);
    dri_kafka_release(kafka);
    serve_replies(kafka);
    dri_kafka_group_tick(kafka);
    dri_kafka_progress_tick(kafka);
    dri_kafka_commit_tick(kafka);
    dri_kafka_transaction_tick(kafka);
    dri_kafka_producer_tick(kafka);
    size_t count = tell_notices(kafka, ret_events, max);
    count += dri_kafka_transaction_poll(kafka, ret_events + count, max - count);
    count += dri_kafka_slots_poll(kafka, ret_events + count, max - count);
    /* Acknowledgements make room; but they must not keep messages out for ever. */
    size_t room = max - count;
    size_t reserved = messages_max < room / 2 ? messages_max : room / 2;
    bool has_more_acks = false;
    bool has_more_messages = false;
    count += dri_kafka_producer_poll(kafka, ret_events + count, room - reserved, &has_more_acks);
    /* While something is untold, no message may come: it could belong to an untold slot. */
    room = kafka->tell_first == NULL ? max - count : 0;
    size_t wanted = messages_max < room ? messages_max : room;
    if (kafka->tell_first == NULL) {
        count += dri_kafka_fetch(kafka, ret_events + count, wanted, &has_more_messages);
    }
    count += dri_kafka_slots_poll(kafka, ret_events + count, max - count);
    *ret_more = has_more_acks || (has_more_messages && wanted > 0) || kafka->tell_first != NULL ||
                kafka->notices_count > 0 || kafka->transaction.has_news ||
                (messages_max > 0 && wanted == 0);
    kafka->is_armed = !*ret_more;
    return count;
}

static int kafka_fd(struct dri_transport *self)
{
    return from_base(self)->efd;
}

static uint64_t sooner(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t kafka_next_deadline(struct dri_transport *self)
{
    const struct dri_kafka *kafka = from_base(self);
    uint64_t deadline = sooner(dri_kafka_group_deadline(kafka), dri_kafka_commit_deadline(kafka));
    deadline = sooner(deadline, dri_kafka_producer_deadline(kafka));
    deadline = sooner(deadline, dri_kafka_progress_deadline(kafka));
    return kafka->is_closed ? UINT64_MAX : sooner(deadline, dri_kafka_fetch_deadline(kafka));
}

/* ---- the other calls ---- */

static size_t kafka_publish(struct dri_transport *self, struct dri_now now,
                            const struct dri_publish *messages, size_t count)
{
    struct dri_kafka *kafka = from_base(self);
    if (kafka->is_closed || kafka->producer.state == DRI_KAFKA_PRODUCER_NONE) {
        return 0;
    }
    kafka->now_ns = now.mono_ns;
    return dri_kafka_publish(kafka, messages, count);
}

static void kafka_settle(struct dri_transport *self, struct dri_now now,
                         const struct dri_settle *settles, size_t count)
{
    struct dri_kafka *kafka = from_base(self);
    if (kafka->is_closed) {
        return;
    }
    kafka->now_ns = now.mono_ns;
    for (size_t i = 0; i < count; i++) {
        dri_kafka_settle(kafka, &settles[i]);
    }
    dri_kafka_commit_flush(kafka);
}

static void kafka_commit(struct dri_transport *self, struct dri_now now, bool is_void)
{
    struct dri_kafka *kafka = from_base(self);
    if (!kafka->is_closed) {
        kafka->now_ns = now.mono_ns;
        dri_kafka_transaction_commit(kafka, is_void);
    }
}

/* Kafka has no lease of a single message. */
static void kafka_extend(struct dri_transport *self, struct dri_now now, uint32_t slot,
                         uint32_t epoch, const uint64_t *deliveries, size_t count)
{
    (void)self;
    (void)now;
    (void)slot;
    (void)epoch;
    (void)deliveries;
    (void)count;
}

static void kafka_pause(struct dri_transport *self, uint32_t index, uint32_t epoch)
{
    struct dri_kafka *kafka = from_base(self);
    struct dri_kafka_slot *slot = dri_kafka_slot_find(kafka, index, epoch);
    if (slot != NULL && !kafka->is_closed) {
        dri_kafka_slot_pause(kafka, slot, true);
    }
}

static void kafka_resume(struct dri_transport *self, uint32_t index, uint32_t epoch)
{
    struct dri_kafka *kafka = from_base(self);
    struct dri_kafka_slot *slot = dri_kafka_slot_find(kafka, index, epoch);
    if (slot != NULL && !kafka->is_closed) {
        dri_kafka_slot_pause(kafka, slot, false);
        if (kafka->stash_count > 0) {
            dri_kafka_wake(kafka);
        }
    }
}

static void kafka_unassign(struct dri_transport *self, uint32_t index, uint32_t epoch)
{
    struct dri_kafka *kafka = from_base(self);
    struct dri_kafka_slot *slot = dri_kafka_slot_find(kafka, index, epoch);
    if (slot != NULL && !kafka->is_closed) {
        dri_kafka_group_unassign(kafka, slot);
    }
}

static enum dray_status kafka_lag(struct dri_transport *self, uint32_t index, uint32_t epoch,
                                  uint64_t *ret_end)
{
    struct dri_kafka *kafka = from_base(self);
    struct dri_kafka_slot *slot = dri_kafka_slot_find(kafka, index, epoch);
    if (slot == NULL || kafka->is_closed) {
        return slot == NULL ? DRAY_ESTALE : DRAY_ECLOSED;
    }
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_t *rk = dri_kafka_is_log_slot(kafka, slot) ? kafka->log : kafka->group;
    rd_kafka_resp_err_t err = rd_kafka_get_watermark_offsets(rk, kafka->sources[slot->source].topic,
                                                             slot->partition, &low, &high);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0) {
        return DRAY_EAGAIN;
    }
    *ret_end = (uint64_t)high;
    return DRAY_OK;
}

static void fill_info(const struct dri_kafka *kafka, struct dri_transport_info *ret_info)
{
    *ret_info = (struct dri_transport_info){.kind = "kafka",
                                            .library = kafka->library,
                                            .server = kafka->facts.server,
                                            .message_bytes_max = kafka->message_bytes_max};
}

static void kafka_info(struct dri_transport *self, struct dri_transport_info *ret_info)
{
    fill_info(from_base(self), ret_info);
}

static void kafka_stats(struct dri_transport *self, struct dri_transport_stats *ret_stats)
{
    const struct dri_kafka_stats *stats = &from_base(self)->stats;
    *ret_stats = (struct dri_transport_stats){
        .stale_settles = stats->stale_settles,
        .stale_messages = stats->stale_messages,
        .positions_back = stats->jumps_back,
        .metadata_dropped = stats->metadata_dropped,
        .held_back = dri_kafka_follow_late(from_base(self)),
        .clients_made = stats->renewals + (stats->producers > 1 ? stats->producers - 1 : 0),
    };
}

/* ---- closing ---- */

/* Positions that were asked for are committed before we leave: what they stand for is done. */
static void commits_close(struct dri_kafka *kafka, uint64_t deadline_ns)
{
    while (kafka->is_commit_out && !kafka->are_brokers_down && dri_kafka_now_ns() < deadline_ns) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->replies, 20);
        if (event != NULL) {
            serve_reply(kafka, event);
        }
    }
}

/* Leave the group. Not rd_kafka_consumer_close, which has no time limit: its queue form, polled.
 * With no broker to be reached there is nobody to say goodbye to, and trying has crashed the
 * library (K10). */
static void group_close(struct dri_kafka *kafka, uint64_t deadline_ns)
{
    dri_kafka_stash_drop(kafka, NULL);
    if (kafka->are_brokers_down || deadline_ns <= dri_kafka_now_ns()) {
        dri_kafka_group_abandon(kafka);
        return;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->group);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(kafka->group, queue);
    /* Only now: an unassign before the close would join again at once, and the LeaveGroup request
     * would wait behind the JoinGroup until the whole group has rebalanced. */
    dri_kafka_group_abandon(kafka);
    if (error != NULL) {
        DRI_LOG(DRI_LOG_WARN, "KAFKA-CLOSE", "the group could not be left",
                DRI_TEXT("error", rd_kafka_error_string(error)));
        rd_kafka_error_destroy(error);
    } else {
        while (rd_kafka_consumer_closed(kafka->group) == 0 && dri_kafka_now_ns() < deadline_ns) {
            /* Prefetched messages come here too: rd_kafka_queue_poll_callback would abort on one.
             */
            rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 20);
            if (message != NULL) {
                rd_kafka_message_destroy(message);
            }
        }
        if (rd_kafka_consumer_closed(kafka->group) == 0) {
            (void)rd_kafka_assign(kafka->group, NULL); /* or destroying it may wait for that */
        }
    }
    rd_kafka_queue_destroy(queue);
}

static void kafka_close(struct dri_transport *self, uint32_t timeout_ms)
{
    struct dri_kafka *kafka = from_base(self);
    if (kafka->is_closed) {
        return;
    }
    uint64_t begin = dri_kafka_now_ns();
    uint64_t deadline = begin + (uint64_t)timeout_ms * 1000000u;
    kafka->now_ns = begin;
    kafka->is_closing = true;
    dri_kafka_release(kafka);
    /* First the outcomes, then the group: half of the time for what may hang. */
    dri_kafka_producer_close(kafka, begin + (deadline - begin) / 2);
    dri_kafka_transaction_close(kafka, begin + (deadline - begin) / 2);
    if (kafka->group != NULL) {
        commits_close(kafka, begin + (deadline - begin) / 2);
        group_close(kafka, deadline);
    }
    dri_kafka_stash_drop(kafka, NULL);
    kafka->is_closed = true;
}

static void consumer_fini(rd_kafka_t *rk, rd_kafka_queue_t *queue)
{
    if (rk == NULL) {
        return;
    }
    if (queue != NULL) {
        rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void kafka_destroy(struct dri_transport *self)
{
    if (self == NULL) {
        return;
    }
    struct dri_kafka *kafka = from_base(self);
    DRI_ASSERT(kafka->is_closed);
    dri_kafka_transaction_fini(kafka);
    dri_kafka_producer_fini(kafka);
    if (kafka->replies != NULL) {
        rd_kafka_queue_io_event_enable(kafka->replies, -1, NULL, 0);
        rd_kafka_queue_destroy(kafka->replies);
    }
    dri_kafka_follow_put_down(kafka);
    dri_kafka_progress_fini(kafka);
    if (kafka->progress.conf != NULL) {
        rd_kafka_conf_destroy(kafka->progress.conf);
    }
    consumer_fini(kafka->group, kafka->group_queue);
    consumer_fini(kafka->log, kafka->log_queue);
    dri_kafka_slots_fini(kafka);
    for (size_t i = 0; i < kafka->sources_count; i++) {
        dri_free(kafka->sources[i].topic);
        dri_free(kafka->sources[i].slots);
    }
    dri_free(kafka->sources);
    dri_free(kafka->held);
    while (kafka->chunks != NULL) {
        struct dri_kafka_chunk *next = kafka->chunks->next;
        dri_free(kafka->chunks);
        kafka->chunks = next;
    }
    dri_free(kafka->group_id);
    if (kafka->efd >= 0) {
        (void)close(kafka->efd);
    }
    dri_free(kafka);
}

/* ---- doctor ---- */

static enum dray_status kafka_check(const struct dri_transport_config *config,
                                    struct dri_transport_info *ret_info,
                                    struct dri_topic_report *reports, char *ret_text,
                                    size_t text_bytes)
{
    /* info lends texts that outlive the call. Threads: doctor's one. */
    static struct dri_kafka found;
    struct dri_kafka_admin admin;
    enum dray_status status = check_config(config, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = dri_kafka_admin_init(&admin, config, ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        return status;
    }
    (void)snprintf(found.library, sizeof(found.library), "librdkafka %s", rd_kafka_version_str());
    status = dri_kafka_admin_topics(&admin, config, reports, &found.facts, ret_text, text_bytes);
    found.message_bytes_max = found.facts.message_bytes_max;
    fill_info(&found, ret_info);
    dri_kafka_admin_fini(&admin);
    return status;
}

const struct dri_transport_ops dri_kafka_ops = {
    .scheme = "kafka",
    .open = kafka_open,
    .poll = kafka_poll,
    .fd = kafka_fd,
    .publish = kafka_publish,
    .settle = kafka_settle,
    .commit = kafka_commit,
    .extend = kafka_extend,
    .pause = kafka_pause,
    .resume = kafka_resume,
    .unassign = kafka_unassign,
    .next_deadline = kafka_next_deadline,
    .lag = kafka_lag,
    .info = kafka_info,
    .stats = kafka_stats,
    .close = kafka_close,
    .destroy = kafka_destroy,
    .check = kafka_check,
    .check_option = dri_kafka_check_option,
    .check_config = dri_kafka_check_config,
};
