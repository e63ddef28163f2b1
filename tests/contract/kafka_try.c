/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_try.c - one round trip through the Kafka transport, for tests in other languages.
 *
 * usage: kafka_try URL TOPIC GROUP [--create] [property=value...]
 * Opens (8 seconds), publishes one message to TOPIC, reads it in GROUP, settles it, closes, and
 * prints one line of key=value: open=, ack=, reason=, got=, settled=, error=, ms= (of open), and
 * text= (the rest of the line: what open said, or the first error event). `allow USER KIND NAME
 * OPERATION` in place of a property makes an access rule instead, and does nothing else.
 */

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "transport/transport.h"

#define TRY_MS 15000u

struct result {
    const char *ack;
    const char *reason;
    const char *settled;
    const char *error;
    bool has_message;
    char text[400];
};

static const char *const ack_names[] = {"STORED", "NOT_STORED", "UNKNOWN"};

static void settle(struct dri_transport *transport, const struct dri_transport_event *event)
{
    struct dri_settle settle = {.slot = event->slot,
                                .epoch = event->epoch,
                                .position = event->as.message.offset + 1,
                                .is_final = true};
    dri_kafka_ops.settle(transport, dri_clock_now(), &settle, 1);
}

static void look(struct dri_transport *transport, const struct dri_transport_event *event,
                 struct result *result)
{
    switch (event->type) {
    case DRI_TE_PUBLISHED:
        result->ack = ack_names[event->as.published.ack];
        result->reason = dray_status_name(event->as.published.reason);
        break;
    case DRI_TE_MESSAGE:
        result->has_message = true;
        settle(transport, event);
        break;
    case DRI_TE_SETTLED:
        result->settled = dray_status_name(event->status);
        break;
    case DRI_TE_ERROR:
        if (result->error == NULL) {
            result->error = dray_status_name(event->status);
            (void)snprintf(result->text, sizeof(result->text), "%.*s", (int)event->as.text.len,
                           (const char *)event->as.text.at);
        }
        break;
    default:
        break;
    }
}

/* Until there is an answer to everything, or an error that is no passing one. */
static void travel(struct dri_transport *transport, const char *topic, struct result *result)
{
    uint64_t until = dri_clock_mono_ns() + TRY_MS * 1000000ull;
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text("hello")};
    bool is_sent = false;
    while (dri_clock_mono_ns() < until) {
        struct dri_transport_event events[16];
        bool has_more = false;
        is_sent = is_sent || dri_kafka_ops.publish(transport, dri_clock_now(), &message, 1) == 1;
        size_t count = dri_kafka_ops.poll(transport, dri_clock_now(), 8, events, 16, &has_more);
        for (size_t i = 0; i < count; i++) {
            look(transport, &events[i], result);
        }
        bool is_denied = result->error != NULL && strcmp(result->error, "EAUTH") == 0;
        if (result->settled != NULL || (is_denied && result->ack != NULL)) {
            return;
        }
        if (!has_more) {
            struct pollfd fd = {dri_kafka_ops.fd(transport), POLLIN, 0};
            (void)poll(&fd, 1, 50);
        }
    }
}

static const char *or_none(const char *text)
{
    return text == NULL ? "-" : text;
}

static int try(struct dri_transport_config *config, const char *topic)
{
    struct result result = {0};
    struct dri_transport *transport = NULL;
    uint64_t begin = dri_clock_mono_ns();
    enum dray_status status =
        dri_kafka_ops.open(config, &transport, result.text, sizeof(result.text));
    uint64_t ms = (dri_clock_mono_ns() - begin) / 1000000u;
    if (status == DRAY_OK) {
        travel(transport, topic, &result);
        dri_kafka_ops.close(transport, 3000);
        dri_kafka_ops.destroy(transport);
    }
    (void)printf("open=%s ack=%s reason=%s got=%d settled=%s error=%s ms=%llu version=%d "
                 "text=%s\n",
                 dray_status_name(status), or_none(result.ack), or_none(result.reason),
                 result.has_message ? 1 : 0, or_none(result.settled), or_none(result.error),
                 (unsigned long long)ms, rd_kafka_version(), result.text);
    return 0;
}

/* An access rule by the admin client, over a listener on which everything is allowed. */
static int allow(const char *bootstrap, char **words)
{
    char reason[256] = "";
    char user[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, reason, sizeof(reason));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    bool is_group = strcmp(words[1], "group") == 0;
    rd_kafka_AclOperation_t operation = strcmp(words[3], "read") == 0 ? RD_KAFKA_ACL_OPERATION_READ
                                        : strcmp(words[3], "write") == 0
                                            ? RD_KAFKA_ACL_OPERATION_WRITE
                                            : RD_KAFKA_ACL_OPERATION_ALL;
    (void)snprintf(user, sizeof(user), "User:%s", words[0]);
    rd_kafka_AclBinding_t *rule =
        rd_kafka_AclBinding_new(is_group ? RD_KAFKA_RESOURCE_GROUP : RD_KAFKA_RESOURCE_TOPIC,
                                words[2], RD_KAFKA_RESOURCE_PATTERN_LITERAL, user, "*", operation,
                                RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, reason, sizeof(reason));
    int code = 1;
    if (rule != NULL) {
        rd_kafka_CreateAcls(rk, &rule, 1, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
        size_t count = 0;
        if (event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            const rd_kafka_acl_result_t **results =
                rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event), &count);
            code = count == 1 && rd_kafka_acl_result_error(results[0]) == NULL ? 0 : 1;
        }
        rd_kafka_event_destroy(event);
        rd_kafka_AclBinding_destroy(rule);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return code;
}

int main(int argc, char **argv)
{
    struct dri_option options[32];
    size_t options_count = 0;
    bool can_create = false;
    if (argc < 4) {
        (void)fprintf(stderr, "usage: kafka_try URL TOPIC GROUP [--create] [property=value...]\n");
        return 2;
    }
    if (argc == 9 && strcmp(argv[4], "allow") == 0) {
        return allow(argv[1] + strlen("kafka://"), argv + 5);
    }
    for (int i = 4; i < argc && options_count < 32; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals == NULL) {
            can_create = true;
            continue;
        }
        *equals = '\0';
        options[options_count++] = (struct dri_option){argv[i], equals + 1};
        if (strcmp(argv[i], "debug") == 0) {
            dri_log_set_level(DRI_LOG_DEBUG);
        }
    }
    struct dri_source source = {.topic = argv[2], .role = DRI_ROLE_COMMANDS};
    struct dri_topic topic = {.topic = argv[2], .use = DRI_USE_COMMANDS};
    struct dri_transport_config config = {.url = argv[1],
                                          .group = argv[3],
                                          .client_id = "try",
                                          .sources = &source,
                                          .sources_count = 1,
                                          .topics = &topic,
                                          .topics_count = 1,
                                          .can_create = can_create,
                                          .partitions = 1,
                                          .timeout_ms = 8000,
                                          .unacked_max = 10,
                                          .options = options,
                                          .options_count = options_count};
    return try(&config, argv[2]);
}
