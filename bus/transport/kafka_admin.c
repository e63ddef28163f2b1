/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_admin.c - the questions that are asked before the worker starts, and by `dray doctor`.
 *
 * A handle of its own, a consumer without a group, that lives only that long: it needs no
 * permission to write, its metadata requests never make a broker create a topic, and what it learns
 * (the smallest max.message.bytes) shapes the producer that is opened after it. Everything in here
 * blocks, up to one deadline.
 *
 * Metadata is asked for in slices, because librdkafka tells of a refused password only through its
 * error callback: between two slices we look, and give up at once instead of at the deadline.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"
#include "mem.h"

#define DELAY_RETENTION_MS "2592000000" /* 30 days */
#define SLICE_MS           500
#define ERROR_BYTES        256

static int left_ms(const struct dri_kafka_admin *admin)
{
    uint64_t now = dri_kafka_now_ns();
    return now >= admin->deadline_ns ? 0 : (int)((admin->deadline_ns - now) / 1000000u);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct dri_kafka_admin *admin = opaque;
    (void)rk;
    /* "all brokers are down" hides why: keep the reason that came before it. */
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || admin->trouble == 0) {
        admin->trouble = (rd_kafka_resp_err_t)err;
        (void)snprintf(admin->trouble_text, sizeof(admin->trouble_text), "%s", reason);
    }
}

/* Logs of this handle are served by rd_kafka_poll, on our own thread: the last one that says why a
 * connection failed is a better reason than "all brokers are down". */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct dri_kafka_admin *admin = rd_kafka_opaque(rk);
    if (strcmp(facility, "FAIL") == 0) {
        (void)snprintf(admin->failure_text, sizeof(admin->failure_text), "%s", text);
    }
    dri_kafka_log_line(rk, level, facility, text);
}

enum dray_status dri_kafka_admin_init(struct dri_kafka_admin *admin,
                                      const struct dri_transport_config *config, char *ret_text,
                                      size_t text_bytes)
{
    *admin = (struct dri_kafka_admin){0};
    admin->deadline_ns = dri_kafka_now_ns() + (uint64_t)config->timeout_ms * 1000000u;
    rd_kafka_conf_t *conf = NULL;
    enum dray_status status =
        dri_kafka_conf_create(config, DRI_KAFKA_ADMIN, NULL, &conf, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    char reason[ERROR_BYTES];
    rd_kafka_conf_set_opaque(conf, admin);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (rd_kafka_conf_set(conf, "log.queue", "true", reason, sizeof(reason)) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return DRAY_EUNSUPPORTED;
    }
    admin->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    if (admin->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        (void)snprintf(ret_text, text_bytes, "librdkafka refuses the configuration: %s", reason);
        return DRAY_EINVALID;
    }
    (void)rd_kafka_set_log_queue(admin->rk, NULL);
    admin->queue = rd_kafka_queue_new(admin->rk);
    return DRAY_OK;
}

void dri_kafka_admin_fini(struct dri_kafka_admin *admin)
{
    if (admin->queue != NULL) {
        rd_kafka_queue_destroy(admin->queue);
    }
    if (admin->rk != NULL) {
        (void)rd_kafka_poll(admin->rk, 0);
        rd_kafka_destroy_flags(admin->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    *admin = (struct dri_kafka_admin){0};
}

static bool is_refused(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

/* Whether it makes sense to ask again. */
static bool is_worth_waiting(struct dri_kafka_admin *admin)
{
    (void)rd_kafka_poll(admin->rk, 0);
    return left_ms(admin) > 0 && !is_refused(admin->trouble);
}

bool dri_kafka_admin_wait(struct dri_kafka_admin *admin)
{
    (void)rd_kafka_poll(admin->rk, 100);
    return is_worth_waiting(admin);
}

static enum dray_status unreachable(struct dri_kafka_admin *admin, rd_kafka_resp_err_t err,
                                    char *ret_text, size_t text_bytes)
{
    if (admin->trouble != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bool is_vague = admin->trouble == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
        bool has_better = is_vague && admin->failure_text[0] != '\0';
        bool is_scram = strstr(admin->trouble_text, "SCRAM-") != NULL &&
                        is_refused(admin->trouble) && rd_kafka_version() < DRI_KAFKA_SCRAM_VERSION;
        (void)snprintf(
            ret_text, text_bytes, "%s%s%s%s", is_scram ? "before 2.6.1 librdkafka (this is " : "",
            is_scram ? rd_kafka_version_str() : "",
            is_scram ? ") cannot do SCRAM with Kafka 4 (if it is one, use PLAIN over TLS "
                       "or a newer librdkafka): "
                     : "",
            has_better ? admin->failure_text : admin->trouble_text);
        return is_refused(admin->trouble) ? DRAY_EAUTH : DRAY_EBROKER;
    }
    (void)snprintf(ret_text, text_bytes, "the brokers did not answer in time: %s",
                   rd_kafka_err2str(err));
    return err == RD_KAFKA_RESP_ERR__TIMED_OUT ? DRAY_ETIMEOUT : DRAY_EBROKER;
}

/* Metadata of one topic, or of none. Owns: *ret_metadata returned owned. */
static enum dray_status ask_metadata(struct dri_kafka_admin *admin, rd_kafka_topic_t *topic,
                                     const rd_kafka_metadata_t **ret_metadata, char *ret_text,
                                     size_t text_bytes)
{
    int slice_ms = SLICE_MS;
    for (;;) {
        int left = left_ms(admin);
        int wait_ms = slice_ms < left ? slice_ms : left;
        rd_kafka_resp_err_t err =
            rd_kafka_metadata(admin->rk, 0, topic, ret_metadata, wait_ms > 0 ? wait_ms : 1);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return DRAY_OK;
        }
        if (!is_worth_waiting(admin)) {
            return unreachable(admin, err, ret_text, text_bytes);
        }
        slice_ms *= 2;
    }
}

/* -1 and a status when there is no such topic for us. */
static enum dray_status count_partitions(struct dri_kafka_admin *admin, const char *name,
                                         int32_t *ret_count, char *ret_text, size_t text_bytes)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(admin->rk, name, NULL);
    if (topic == NULL) {
        (void)snprintf(ret_text, text_bytes, "cannot be looked at: %s",
                       rd_kafka_err2str(rd_kafka_last_error()));
        return DRAY_EINVALID;
    }
    const rd_kafka_metadata_t *metadata = NULL;
    enum dray_status status = ask_metadata(admin, topic, &metadata, ret_text, text_bytes);
    if (status == DRAY_OK) {
        rd_kafka_resp_err_t err = metadata->topic_cnt == 1
                                      ? metadata->topics[0].err
                                      : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topics[0].partition_cnt == 0) {
            err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        }
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *ret_count = metadata->topics[0].partition_cnt;
        } else {
            status = dri_kafka_fail(ret_text, text_bytes, err, "cannot be looked at");
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    return status;
}

enum dray_status dri_kafka_admin_partitions(struct dri_kafka_admin *admin, const char *topic,
                                            int32_t *ret_count, char *ret_text, size_t text_bytes)
{
    enum dray_status status;
    do {
        status = count_partitions(admin, topic, ret_count, ret_text, text_bytes);
        /* A topic that was made a moment ago may have no leader yet. */
    } while (status == DRAY_EBROKER && is_worth_waiting(admin));
    return status;
}

/* ---- creating ---- */

static rd_kafka_event_t *await(struct dri_kafka_admin *admin, rd_kafka_event_type_t type)
{
    for (;;) {
        int left = left_ms(admin);
        rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, left > 0 ? left : 1);
        if (event == NULL || rd_kafka_event_type(event) == type) {
            return event;
        }
        rd_kafka_event_destroy(event);
    }
}

static rd_kafka_AdminOptions_t *admin_options(struct dri_kafka_admin *admin, rd_kafka_admin_op_t op,
                                              bool is_creating)
{
    char reason[ERROR_BYTES];
    int left = left_ms(admin);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, op);
    if (options != NULL) {
        int timeout_ms = left > 1 ? left : 1;
        (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, reason,
                                                        sizeof(reason));
        if (is_creating) {
            /* Until the controller has told all brokers; else the next question finds nothing. */
            (void)rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, reason,
                                                              sizeof(reason));
        }
    }
    return options;
}

/* A segment goes when its last record is old enough: small ones, or a window is much longer. */
static void set_window_config(rd_kafka_NewTopic_t *topic, uint64_t window_ms)
{
    char text[24];
    (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
    if (window_ms == 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%" PRIu64, window_ms);
    (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", text);
    (void)rd_kafka_NewTopic_set_config(topic, "retention.bytes", "-1");
    uint64_t segment_ms = window_ms / 4 < 60000 ? 60000 : window_ms / 4;
    (void)snprintf(text, sizeof(text), "%" PRIu64, segment_ms);
    (void)rd_kafka_NewTopic_set_config(topic, "segment.ms", text);
}

static void set_topic_config(rd_kafka_NewTopic_t *topic, enum dri_topic_use use, uint64_t window_ms)
{
    if (use == DRI_USE_WINDOW) {
        set_window_config(topic, window_ms);
    } else if (use == DRI_USE_CONTROL || use == DRI_USE_PARK) {
        (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
        (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", "-1");
        (void)rd_kafka_NewTopic_set_config(topic, "retention.bytes", "-1");
        if (use == DRI_USE_CONTROL) { /* whether a signed change came in time is for nobody else to
                                         say */
            (void)rd_kafka_NewTopic_set_config(topic, "message.timestamp.type", "LogAppendTime");
        }
    } else if (use == DRI_USE_DELAY) {
        /* A group may be away for weeks, and what was scheduled for later must be there still. */
        (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
        (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", DELAY_RETENTION_MS);
        (void)rd_kafka_NewTopic_set_config(topic, "retention.bytes", "-1");
    } else if (use == DRI_USE_STATUS) {
        (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
        /* A record a second from each replica: closed segments are what can be compacted. */
        (void)rd_kafka_NewTopic_set_config(topic, "segment.ms", "600000");
        (void)rd_kafka_NewTopic_set_config(topic, "min.cleanable.dirty.ratio", "0.05");
    }
}

/* What the broker says of the one topic that was asked for, or why it says nothing. */
static rd_kafka_resp_err_t answer_of(rd_kafka_event_t *event,
                                     const rd_kafka_topic_result_t **topics, size_t count,
                                     const char **ret_reason)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    const char *reason = NULL;
    if (count == 1) {
        err = rd_kafka_topic_result_error(topics[0]);
        reason = rd_kafka_topic_result_error_string(topics[0]);
    } else if (event != NULL) {
        err = rd_kafka_event_error(event);
        reason = rd_kafka_event_error_string(event);
    }
    *ret_reason = reason != NULL ? reason : rd_kafka_err2str(err);
    return err;
}

/* The answer for one topic. Somebody else who was faster is as good as ourselves. */
static enum dray_status read_creation(rd_kafka_event_t *event, struct dri_topic_report *report)
{
    size_t count = 0;
    const rd_kafka_CreateTopics_result_t *result =
        event == NULL ? NULL : rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_topic_result_t **topics =
        result == NULL ? NULL : rd_kafka_CreateTopics_result_topics(result, &count);
    const char *reason = NULL;
    rd_kafka_resp_err_t err = answer_of(event, topics, count, &reason);
    if (err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return DRAY_OK;
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1) {
        report->was_created = true;
        return DRAY_OK;
    }
    (void)snprintf(report->text, sizeof(report->text), "could not be created: %s", reason);
    return dri_kafka_status_of(err);
}

static enum dray_status create_topic(struct dri_kafka_admin *admin, const struct dri_topic *topic,
                                     int partitions, uint64_t window_ms,
                                     struct dri_topic_report *report)
{
    char reason[ERROR_BYTES];
    rd_kafka_NewTopic_t *wanted =
        rd_kafka_NewTopic_new(topic->topic, partitions, -1, reason, sizeof(reason));
    if (wanted == NULL) {
        (void)snprintf(report->text, sizeof(report->text), "could not be created: %.120s", reason);
        return DRAY_EINVALID;
    }
    set_topic_config(wanted, topic->use, window_ms);
    if (!admin->has_controller) {
        rd_kafka_NewTopic_destroy(wanted);
        (void)snprintf(report->text, sizeof(report->text),
                       "could not be created: the cluster has no controller");
        return DRAY_EBROKER;
    }
    rd_kafka_AdminOptions_t *options = admin_options(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS, true);
    rd_kafka_CreateTopics(admin->rk, &wanted, 1, options, admin->queue);
    rd_kafka_event_t *event = await(admin, RD_KAFKA_EVENT_CREATETOPICS_RESULT);
    enum dray_status status = read_creation(event, report);
    rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(wanted);
    return status;
}

/* The answer for one topic; a text when it is none. */
static bool read_growth(rd_kafka_event_t *event, char *ret_text, size_t text_bytes)
{
    size_t count = 0;
    const rd_kafka_CreatePartitions_result_t *result =
        event == NULL ? NULL : rd_kafka_event_CreatePartitions_result(event);
    const rd_kafka_topic_result_t **topics =
        result == NULL ? NULL : rd_kafka_CreatePartitions_result_topics(result, &count);
    const char *reason = NULL;
    rd_kafka_resp_err_t err = answer_of(event, topics, count, &reason);
    (void)snprintf(ret_text, text_bytes, "%s", reason);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1;
}

/* Partition n of these goes with partition n of the commands: as many as there are now. Whoever was
 * faster did the same; what could not be done is told by judge. */
static void grow_topic(struct dri_kafka_admin *admin, const char *topic, int32_t wanted,
                       int32_t *count)
{
    char reason[ERROR_BYTES] = "the cluster has no controller";
    int32_t had = *count;
    bool has_grown = false;
    rd_kafka_NewPartitions_t *more =
        admin->has_controller
            ? rd_kafka_NewPartitions_new(topic, (size_t)wanted, reason, sizeof(reason))
            : NULL;
    if (more != NULL) {
        rd_kafka_AdminOptions_t *options =
            admin_options(admin, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, true);
        rd_kafka_CreatePartitions(admin->rk, &more, 1, options, admin->queue);
        rd_kafka_event_t *event = await(admin, RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT);
        has_grown = read_growth(event, reason, sizeof(reason));
        rd_kafka_event_destroy(event);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_NewPartitions_destroy(more);
    }
    enum dray_status status;
    do {
        char text[ERROR_BYTES];
        status = dri_kafka_admin_partitions(admin, topic, count, text, sizeof(text));
    } while (has_grown && (status != DRAY_OK || *count < wanted) && is_worth_waiting(admin));
    DRI_LOG(*count < wanted ? DRI_LOG_WARN : DRI_LOG_INFO, "KAFKA-PARTITIONS",
            *count < wanted ? "a topic could not get the partitions of the commands topic"
                            : "a topic has got the partitions of the commands topic",
            DRI_TEXT("topic", topic), DRI_INT("had", had), DRI_INT("wanted", wanted),
            DRI_TEXT("answer", reason));
}

/* After creation the brokers may need a moment until they all know. */
static enum dray_status await_topic(struct dri_kafka_admin *admin, const char *topic,
                                    int32_t *ret_count, char *ret_text, size_t text_bytes)
{
    enum dray_status status;
    do {
        status = dri_kafka_admin_partitions(admin, topic, ret_count, ret_text, text_bytes);
    } while (status == DRAY_ENOTFOUND && is_worth_waiting(admin));
    return status;
}

/* ---- describing ---- */

struct topic_config {
    bool is_known;
    bool is_compacted;
    bool is_stamped_by_writers;
    int64_t retention_ms, retention_bytes;
    uint64_t message_bytes_max;
};

static void read_entries(const rd_kafka_ConfigResource_t *resource, struct topic_config *ret)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    ret->is_known = count > 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (name == NULL || value == NULL) {
            continue;
        }
        if (strcmp(name, "cleanup.policy") == 0) {
            ret->is_compacted = strstr(value, "compact") != NULL;
        } else if (strcmp(name, "message.timestamp.type") == 0) {
            ret->is_stamped_by_writers = strcmp(value, "LogAppendTime") != 0;
        } else if (strcmp(name, "retention.ms") == 0) {
            ret->retention_ms = strtoll(value, NULL, 10);
        } else if (strcmp(name, "retention.bytes") == 0) {
            ret->retention_bytes = strtoll(value, NULL, 10);
        } else if (strcmp(name, "max.message.bytes") == 0) {
            ret->message_bytes_max = strtoull(value, NULL, 10);
        }
    }
}

static void read_resources(rd_kafka_event_t *event, const struct dri_topic_report *reports,
                           size_t reports_count, struct topic_config *found)
{
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_ConfigResource_error(resources[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            continue;
        }
        const char *name = rd_kafka_ConfigResource_name(resources[i]);
        for (size_t j = 0; j < reports_count; j++) {
            if (strcmp(reports[j].topic, name) == 0) {
                read_entries(resources[i], &found[j]);
            }
        }
    }
}

/* The broker refuses a request that names a topic twice. */
static bool is_first(const struct dri_topic_report *reports, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(reports[i].topic, reports[at].topic) == 0) {
            return false;
        }
    }
    return true;
}

/* One request for every topic that is there. What the broker does not tell (no permission, the mock
 * cluster) stays unknown: that is no error. found has reports_count zeroed elements. */
static void describe(struct dri_kafka_admin *admin, const struct dri_topic_report *reports,
                     size_t reports_count, struct topic_config *found)
{
    rd_kafka_ConfigResource_t **wanted = dri_zalloc_array(reports_count, sizeof(*wanted));
    size_t wanted_count = 0;
    for (size_t i = 0; wanted != NULL && i < reports_count; i++) {
        if (reports[i].status == DRAY_OK && is_first(reports, i)) {
            wanted[wanted_count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, reports[i].topic);
        }
    }
    /* Without a controller librdkafka would wait for one until the deadline. */
    if (wanted_count > 0 && admin->has_controller) {
        rd_kafka_AdminOptions_t *options =
            admin_options(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, false);
        rd_kafka_DescribeConfigs(admin->rk, wanted, wanted_count, options, admin->queue);
        rd_kafka_event_t *event = await(admin, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT);
        if (event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            read_resources(event, reports, reports_count, found);
        }
        rd_kafka_event_destroy(event);
        rd_kafka_AdminOptions_destroy(options);
    }
    rd_kafka_ConfigResource_destroy_array(wanted, wanted_count);
    dri_free(wanted);
}

static enum dray_status judge_control(const struct topic_config *found, int32_t partitions,
                                      bool wants_stamps, struct dri_topic_report *report)
{
    if (partitions != 1) {
        (void)snprintf(report->text, sizeof(report->text),
                       "has %" PRId32 " partitions; changes are ordered only in one: make it anew "
                       "with one",
                       partitions);
        return DRAY_EINVALID;
    }
    if (found->is_known &&
        (found->is_compacted || found->retention_ms >= 0 || found->retention_bytes >= 0)) {
        (void)snprintf(report->text, sizeof(report->text),
                       "would forget changes: set cleanup.policy=delete, retention.ms=-1, "
                       "retention.bytes=-1 (kafka-configs.sh --alter)");
        return DRAY_EINVALID;
    }
    if (wants_stamps && found->is_stamped_by_writers) {
        (void)snprintf(report->text, sizeof(report->text),
                       "has records that writers stamp, so nothing signed counts: set "
                       "message.timestamp.type=LogAppendTime (kafka-configs.sh --alter)");
    }
    return DRAY_OK;
}

/* Park logs keep everything, windows as long as the worker looks back. */
static enum dray_status judge_kept(enum dri_topic_use use, const struct topic_config *found,
                                   uint64_t window_ms, struct dri_topic_report *report)
{
    bool is_park = use == DRI_USE_PARK;
    bool is_short =
        found->retention_ms >= 0 && (is_park || (uint64_t)found->retention_ms < window_ms);
    if (!found->is_compacted && !is_short && found->retention_bytes < 0) {
        return DRAY_OK;
    }
    char wanted[24] = "-1";
    if (!is_park) {
        (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, window_ms);
    }
    (void)snprintf(report->text, sizeof(report->text),
                   "would forget %s: set cleanup.policy=delete, retention.ms=%s, "
                   "retention.bytes=-1 (kafka-configs.sh --alter)",
                   is_park ? "parked commands" : "ids of commands", wanted);
    return DRAY_EINVALID;
}

/* Whether an existing topic can do its work. commands: partitions of the commands topic; 0:
 * unknown. */
static enum dray_status judge(enum dri_topic_use use, const struct topic_config *found,
                              int32_t partitions, int32_t commands,
                              const struct dri_transport_config *config,
                              struct dri_topic_report *report)
{
    if (use == DRI_USE_CONTROL) {
        return judge_control(found, partitions, config->wants_stamps, report);
    }
    bool follows = use == DRI_USE_PARK || use == DRI_USE_WINDOW;
    if ((use == DRI_USE_REPLAY || follows) && partitions < commands) {
        (void)snprintf(report->text, sizeof(report->text),
                       "has %" PRId32 " partitions, the commands topic %" PRId32
                       ": add some (kafka-topics.sh --alter --partitions %" PRId32 ")",
                       partitions, commands, commands);
        return DRAY_EINVALID;
    }
    if (follows && found->is_known) {
        return judge_kept(use, found, config->window_ms, report);
    }
    if (use == DRI_USE_STATUS && found->is_known && !found->is_compacted) {
        (void)snprintf(report->text, sizeof(report->text),
                       "is not compacted and will grow: set cleanup.policy=compact");
    }
    return DRAY_OK;
}

/* ---- all topics ---- */

static int partitions_wanted(enum dri_topic_use use, const struct dri_transport_config *config,
                             int32_t commands)
{
    if (use == DRI_USE_CONTROL || use == DRI_USE_STATUS) {
        return 1;
    }
    bool follows_commands = use == DRI_USE_DEAD_LETTERS || use == DRI_USE_REPLAY ||
                            use == DRI_USE_PARK || use == DRI_USE_WINDOW || use == DRI_USE_DELAY;
    if (follows_commands && commands > 0) {
        return commands;
    }
    return config->partitions == 0 ? 1 : (int)config->partitions;
}

static bool is_name(const char *topic)
{
    size_t len = strlen(topic);
    return len > 0 && len <= 249 && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0 &&
           strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               len;
}

static bool is_unreachable(enum dray_status status)
{
    return status == DRAY_EBROKER || status == DRAY_ETIMEOUT;
}

/* One topic: there, created, or a report that says why not. */
static enum dray_status look_at(struct dri_kafka_admin *admin,
                                const struct dri_transport_config *config,
                                const struct dri_topic *topic, int32_t *commands,
                                struct dri_topic_report *report)
{
    if (!is_name(topic->topic)) {
        (void)snprintf(report->text, sizeof(report->text),
                       "is no name for a Kafka topic: 1 to 249 of A-Z a-z 0-9 . _ -");
        return DRAY_EINVALID;
    }
    int32_t partitions = 0;
    enum dray_status status = dri_kafka_admin_partitions(admin, topic->topic, &partitions,
                                                         report->text, sizeof(report->text));
    if (status == DRAY_ENOTFOUND) {
        if (!config->can_create) {
            (void)snprintf(report->text, sizeof(report->text),
                           "does not exist: run `dray doctor --fix`, or set "
                           "worker.create_topics: true");
            return status;
        }
        status = create_topic(admin, topic, partitions_wanted(topic->use, config, *commands),
                              config->window_ms, report);
        if (status == DRAY_OK) {
            status =
                await_topic(admin, topic->topic, &partitions, report->text, sizeof(report->text));
        }
    }
    if (status != DRAY_OK) {
        return status;
    }
    bool follows =
        topic->use == DRI_USE_PARK || topic->use == DRI_USE_WINDOW || topic->use == DRI_USE_REPLAY;
    if (config->can_create && follows && partitions < *commands) {
        grow_topic(admin, topic->topic, *commands, &partitions);
    }
    report->text[0] = '\0';
    report->partitions = (uint32_t)partitions;
    if (topic->use == DRI_USE_COMMANDS && partitions > *commands) {
        *commands = partitions;
    }
    return DRAY_OK;
}

static void look_at_cluster(struct dri_kafka_admin *admin, const rd_kafka_metadata_t *metadata,
                            struct dri_kafka_facts *ret_facts)
{
    char *cluster = rd_kafka_clusterid(admin->rk, 0);
    (void)snprintf(ret_facts->server, sizeof(ret_facts->server), "Kafka cluster %.40s, %d broker%s",
                   cluster == NULL ? "?" : cluster, metadata->broker_cnt,
                   metadata->broker_cnt == 1 ? "" : "s");
    if (cluster != NULL) {
        rd_kafka_mem_free(admin->rk, cluster);
    }
    int32_t controller = rd_kafka_controllerid(admin->rk, 0);
    for (int i = 0; i < metadata->broker_cnt; i++) {
        admin->has_controller = admin->has_controller || metadata->brokers[i].id == controller;
    }
}

/* Second look, once all that can be there is there: whether each topic is fit, and the limits. */
static enum dray_status look_inside(struct dri_kafka_admin *admin,
                                    const struct dri_transport_config *config, int32_t commands,
                                    struct dri_topic_report *reports, struct dri_kafka_facts *facts)
{
    if (config->topics_count == 0) {
        return DRAY_OK;
    }
    struct topic_config *found = dri_zalloc_array(config->topics_count, sizeof(*found));
    if (found == NULL) {
        return DRAY_ENOMEM;
    }
    describe(admin, reports, config->topics_count, found);
    for (size_t i = 0; i < config->topics_count; i++) {
        uint64_t bytes_max = found[i].message_bytes_max;
        if (reports[i].status == DRAY_OK) {
            reports[i].status =
                judge(config->topics[i].use, &found[i], (int32_t)reports[i].partitions, commands,
                      config, &reports[i]);
        }
        if (bytes_max > 0 &&
            (facts->message_bytes_max == 0 || bytes_max < facts->message_bytes_max)) {
            facts->message_bytes_max = bytes_max;
        }
    }
    dri_free(found);
    return DRAY_OK;
}

enum dray_status dri_kafka_admin_topics(struct dri_kafka_admin *admin,
                                        const struct dri_transport_config *config,
                                        struct dri_topic_report *reports,
                                        struct dri_kafka_facts *ret_facts, char *ret_text,
                                        size_t text_bytes)
{
    *ret_facts = (struct dri_kafka_facts){0};
    const rd_kafka_metadata_t *metadata = NULL;
    enum dray_status status = ask_metadata(admin, NULL, &metadata, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    look_at_cluster(admin, metadata, ret_facts);
    rd_kafka_metadata_destroy(metadata);
    int32_t commands = 0;
    /* The commands topic first: the others follow its partition count. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < config->topics_count; i++) {
            const struct dri_topic *topic = &config->topics[i];
            if ((topic->use == DRI_USE_COMMANDS) != (pass == 0)) {
                continue;
            }
            reports[i] = (struct dri_topic_report){.topic = topic->topic};
            reports[i].status = look_at(admin, config, topic, &commands, &reports[i]);
            if (is_unreachable(reports[i].status)) {
                (void)snprintf(ret_text, text_bytes, "topic \"%s\" %s", topic->topic,
                               reports[i].text);
                return reports[i].status;
            }
        }
    }
    return look_inside(admin, config, commands, reports, ret_facts);
}

/* ---- begins and ends ---- */

/* OffsetsForTimes with the protocol's special times: it keeps its time-out, query_watermark_offsets
 * does not (K13). */
static enum dray_status ask_offsets(struct dri_kafka_admin *admin, int64_t time,
                                    rd_kafka_topic_partition_list_t *list, char *ret_text,
                                    size_t text_bytes)
{
    int slice_ms = SLICE_MS * 2;
    for (;;) {
        for (int i = 0; i < list->cnt; i++) {
            list->elems[i].offset = time;
            list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        int left = left_ms(admin);
        rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(admin->rk, list,
                                                             slice_ms < left ? slice_ms
                                                             : left > 0      ? left
                                                                             : 1);
        const char *topic = list->elems[0].topic;
        for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
            err = list->elems[i].err;
            topic = list->elems[i].topic;
        }
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return DRAY_OK;
        }
        enum dray_status status = dri_kafka_status_of(err);
        if (!is_unreachable(status) || !is_worth_waiting(admin)) {
            return dri_kafka_fail(ret_text, text_bytes, err, "begin and end of topic \"%s\"",
                                  topic);
        }
        slice_ms *= 2;
    }
}

enum dray_status dri_kafka_admin_bounds(struct dri_kafka_admin *admin,
                                        const rd_kafka_topic_partition_list_t *partitions,
                                        rd_kafka_topic_partition_list_t **ret_begins,
                                        rd_kafka_topic_partition_list_t **ret_ends, char *ret_text,
                                        size_t text_bytes)
{
    rd_kafka_topic_partition_list_t *begins = rd_kafka_topic_partition_list_copy(partitions);
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_copy(partitions);
    enum dray_status status =
        ask_offsets(admin, RD_KAFKA_OFFSET_BEGINNING, begins, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = ask_offsets(admin, RD_KAFKA_OFFSET_END, ends, ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        rd_kafka_topic_partition_list_destroy(begins);
        rd_kafka_topic_partition_list_destroy(ends);
        return status;
    }
    *ret_begins = begins;
    *ret_ends = ends;
    return DRAY_OK;
}
