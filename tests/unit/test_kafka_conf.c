/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "support/test.h"
#include "transport/kafka_private.h"

/* The properties of each handle, as librdkafka itself shows them; and what a user may not set. */

static struct dri_transport_config config_of(const struct dri_option *options, size_t count)
{
    return (struct dri_transport_config){
        .url = "kafka://127.0.0.1:1,127.0.0.1:2",
        .group = "orders",
        .client_id = "host-1",
        .unacked_max = 400000,
        .memory_bytes = 512u << 20,
        .options = options,
        .options_count = count,
    };
}

/* Fails when the property has another value, or is unknown to the library. */
static void wants(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    size_t count = 0;
    /* The dump, not rd_kafka_conf_get: it also shows what belongs to topics. */
    rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
    char found[512] = "(not in the dump)";
    size_t found_bytes = sizeof(found);
    const char **dump = rd_kafka_conf_dump(copy, &count);
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (strcmp(dump[i], name) == 0) {
            (void)snprintf(found, sizeof(found), "%s", dump[i + 1]);
        }
    }
    rd_kafka_conf_dump_free(dump, count);
    if (strcmp(found, "(not in the dump)") == 0) {
        (void)rd_kafka_conf_get(conf, name, found, &found_bytes);
    }
    rd_kafka_conf_destroy(copy);
    if (strcmp(found, value) != 0) {
        fail_msg("%s is \"%s\", not \"%s\"", name, found, value);
    }
}

static uint64_t number(const rd_kafka_conf_t *conf, const char *name)
{
    char text[64] = "";
    size_t bytes = sizeof(text);
    assert_int_equal(rd_kafka_conf_get(conf, name, text, &bytes), RD_KAFKA_CONF_OK);
    return strtoull(text, NULL, 10);
}

static rd_kafka_conf_t *conf_of(const struct dri_transport_config *config, enum dri_kafka_use use)
{
    char text[400] = "";
    rd_kafka_conf_t *conf = NULL;
    enum dray_status status = dri_kafka_conf_create(config, use, NULL, &conf, text, sizeof(text));
    if (status != DRAY_OK) {
        fail_msg("%s: %s", dray_status_name(status), text);
    }
    return conf;
}

static bool has_property(const char *name)
{
    char text[64];
    size_t bytes = sizeof(text);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool has = rd_kafka_conf_get(conf, name, text, &bytes) == RD_KAFKA_CONF_OK;
    rd_kafka_conf_destroy(conf);
    return has;
}

/* K4 */
static void the_group_consumer_commits_and_resets_nothing_by_itself(void **state)
{
    (void)state;
    struct dri_transport_config config = config_of(NULL, 0);
    rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_GROUP);
    wants(conf, "bootstrap.servers", "127.0.0.1:1,127.0.0.1:2");
    wants(conf, "group.id", "orders");
    wants(conf, "client.id", "host-1");
    wants(conf, "enable.auto.commit", "false");
    wants(conf, "enable.auto.offset.store", "false");
    wants(conf, "auto.offset.reset", "error");
    wants(conf, "isolation.level", "read_committed");
    wants(conf, "check.crcs", "true");
    wants(conf, "socket.nagle.disable", "true");
    wants(conf, "enable.partition.eof", "false");
    wants(conf, "ssl.endpoint.identification.algorithm", "https");    /* K20 */
    wants(conf, "partition.assignment.strategy", "roundrobin,range"); /* K7 */
    rd_kafka_conf_destroy(conf);
}

/* K17 */
static void the_library_tells_of_itself_when_somebody_looks(void **state)
{
    (void)state;
    static const struct {
        uint32_t progress_ms;
        const char *interval;
    } cases[] = {{0, "0"}, {1, "100"}, {8000, "1000"}, {60000, "5000"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dri_transport_config config = config_of(NULL, 0);
        config.progress_ms = cases[i].progress_ms;
        rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_GROUP);
        wants(conf, "statistics.interval.ms", cases[i].interval);
        rd_kafka_conf_destroy(conf);
        conf = conf_of(&config, DRI_KAFKA_LOG);
        wants(conf, "statistics.interval.ms", "0");
        rd_kafka_conf_destroy(conf);
    }
}

static void the_log_consumer_joins_no_group_and_sees_the_end(void **state)
{
    (void)state;
    struct dri_transport_config config = config_of(NULL, 0);
    rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_LOG);
    wants(conf, "group.id", "dray-log-host-1");
    wants(conf, "enable.partition.eof", "true");
    wants(conf, "enable.auto.commit", "false");
    wants(conf, "auto.offset.reset", "error");
    rd_kafka_conf_destroy(conf);
}

/* K4, K11 */
static void the_producer_is_idempotent_and_patient(void **state)
{
    (void)state;
    struct dri_transport_config config = config_of(NULL, 0);
    rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_PRODUCER);
    wants(conf, "enable.idempotence", "true");
    wants(conf, "acks", "-1");
    wants(conf, "message.timeout.ms", "0");
    wants(conf, "partitioner", "murmur2_random");
    wants(conf, "queuing.strategy", "fifo");
    wants(conf, "linger.ms", "5");
    wants(conf, "delivery.report.only.error", "false");
    wants(conf, "allow.auto.create.topics", "false");
    wants(conf, "queue.buffering.max.messages", "400000");
    wants(conf, "socket.nagle.disable", "true");
    /* What librdkafka makes of it all when it opens. */
    char reason[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(rk);
    assert_true(number(rd_kafka_conf(rk), "max.in.flight") <= 5);
    assert_true(number(rd_kafka_conf(rk), "retries") > 1000);
    rd_kafka_destroy(rk);
}

/* K18 */
static void queues_follow_the_memory_and_the_version(void **state)
{
    (void)state;
    struct dri_transport_config config = config_of(NULL, 0);
    rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_GROUP);
    bool has_backoff = has_property("fetch.queue.backoff.ms");
    assert_int_equal(number(conf, "queued.max.messages.kbytes"), has_backoff ? 65536 : 128 * 1024);
    assert_int_equal(number(conf, "queued.min.messages"), has_backoff ? 100000 : 10000000);
    if (has_backoff) {
        assert_int_equal(number(conf, "fetch.queue.backoff.ms"), 5);
    }
    rd_kafka_conf_destroy(conf);
    config.memory_bytes = 16u << 20;
    conf = conf_of(&config, DRI_KAFKA_GROUP);
    assert_true(number(conf, "queued.max.messages.kbytes") <= 4096);
    rd_kafka_conf_destroy(conf);
    conf = conf_of(&config, DRI_KAFKA_PRODUCER);
    assert_true(number(conf, "queue.buffering.max.kbytes") <= 8192);
    rd_kafka_conf_destroy(conf);
    config.memory_bytes = UINT64_MAX;
    conf = conf_of(&config, DRI_KAFKA_GROUP);
    rd_kafka_conf_destroy(conf);
    conf = conf_of(&config, DRI_KAFKA_PRODUCER);
    rd_kafka_conf_destroy(conf);
}

static void a_batch_stays_below_the_smallest_limit_of_the_brokers(void **state)
{
    (void)state;
    struct dri_transport_config config = config_of(NULL, 0);
    static const struct {
        uint64_t broker_max, message_max, batch_max;
    } cases[] = {
        {0, 1000000, 1000000},      {1048588, 16u << 20, 1000000},
        {100000, 16u << 20, 95000}, {64u << 20, 64u << 20, 1000000},
        {1, 16u << 20, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dri_kafka_facts facts = {.message_bytes_max = cases[i].broker_max};
        char text[400] = "";
        rd_kafka_conf_t *conf = NULL;
        test_ok(
            dri_kafka_conf_create(&config, DRI_KAFKA_PRODUCER, &facts, &conf, text, sizeof(text)));
        assert_int_equal(number(conf, "message.max.bytes"), cases[i].message_max);
        assert_true(number(conf, "batch.size") <= cases[i].batch_max);
        char reason[256];
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
        if (rk == NULL) {
            fail_msg("%s", reason);
        }
        rd_kafka_destroy(rk);
    }
}

static void what_the_user_sets_reaches_the_handles_that_it_is_for(void **state)
{
    (void)state;
    static const struct dri_option options[] = {{"linger.ms", "50"},
                                                {"compression.type", "lz4"},
                                                {"session.timeout.ms", "9000"},
                                                {"fetch.max.bytes", "2000000"},
                                                {"client.rack", "r1"},
                                                {"client.id", "mine"},
                                                {"message.timeout.ms", "300000"},
                                                {"group.instance.id", "w1"}};
    struct dri_transport_config config = config_of(options, sizeof(options) / sizeof(options[0]));
    rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_PRODUCER);
    wants(conf, "linger.ms", "50");
    wants(conf, "compression.type", "lz4");
    wants(conf, "client.id", "mine");
    wants(conf, "message.timeout.ms", "300000");
    wants(conf, "session.timeout.ms", "45000");
    rd_kafka_conf_destroy(conf);
    conf = conf_of(&config, DRI_KAFKA_GROUP);
    wants(conf, "session.timeout.ms", "9000");
    wants(conf, "fetch.max.bytes", "2000000");
    wants(conf, "client.rack", "r1");
    wants(conf, "group.instance.id", "w1");
    wants(conf, "linger.ms", "5");
    rd_kafka_conf_destroy(conf);
    /* A second member of the group under the same name would fence the first. */
    conf = conf_of(&config, DRI_KAFKA_LOG);
    wants(conf, "group.instance.id", "(not in the dump)");
    rd_kafka_conf_destroy(conf);
    conf = conf_of(&config, DRI_KAFKA_ADMIN);
    wants(conf, "client.id", "mine");
    rd_kafka_conf_destroy(conf);
}

static void refused(const char *name, const char *value, enum dray_status want_status,
                    const char *want_text)
{
    struct dri_option option = {name, value};
    struct dri_transport_config config = config_of(&option, 1);
    for (int use = DRI_KAFKA_ADMIN; use <= DRI_KAFKA_PRODUCER; use++) {
        char text[400] = "";
        rd_kafka_conf_t *conf = NULL;
        enum dray_status status = dri_kafka_conf_create(&config, (enum dri_kafka_use)use, NULL,
                                                        &conf, text, sizeof(text));
        if (status != want_status || strstr(text, want_text) == NULL) {
            fail_msg("%s=%s gives %s: %s", name, value, dray_status_name(status), text);
        }
        assert_null(conf);
    }
}

static void what_would_break_a_guarantee_is_refused_with_the_reason(void **state)
{
    (void)state;
    refused("enable.auto.commit", "true", DRAY_EINVALID, "after the outcome");
    refused("auto.commit.enable", "true", DRAY_EINVALID, "after the outcome");
    refused("enable.auto.offset.store", "true", DRAY_EINVALID, "after the outcome");
    refused("auto.offset.reset", "earliest", DRAY_EINVALID, "never reset silently");
    refused("isolation.level", "read_uncommitted", DRAY_EINVALID, "aborted");
    refused("acks", "1", DRAY_EINVALID, "replicas");
    refused("request.required.acks", "0", DRAY_EINVALID, "replicas");
    refused("enable.idempotence", "false", DRAY_EINVALID, "twice");
    refused("enable.gapless.guarantee", "true", DRAY_EINVALID, "too large");
    refused("queuing.strategy", "lifo", DRAY_EINVALID, "order");
    refused("partitioner", "consistent", DRAY_EINVALID, "Java");
    refused("delivery.report.only.error", "true", DRAY_EINVALID, "delivery reports");
    refused("max.in.flight", "6", DRAY_EINVALID, "at most 5");
    refused("max.in.flight.requests.per.connection", "100", DRAY_EINVALID, "at most 5");
    refused("retries", "0", DRAY_EINVALID, "retry");
    refused("message.timeout.ms", "30000", DRAY_EINVALID, "300000");
    refused("delivery.timeout.ms", "1", DRAY_EINVALID, "300000");
    refused("transactional.id", "x", DRAY_EINVALID, "exactly_once");
    refused("group.id", "x", DRAY_EINVALID, "`group`");
    refused("bootstrap.servers", "x:1", DRAY_EINVALID, "`bus`");
    refused("metadata.broker.list", "x:1", DRAY_EINVALID, "`bus`");
    refused("enable.partition.eof", "false", DRAY_EINVALID, "log");
    refused("enabled_events", "1", DRAY_EINVALID, "events");
    refused("log.queue", "true", DRAY_EINVALID, "log");
    refused("test.mock.num.brokers", "3", DRAY_EINVALID, "cluster");
}

static void a_transactional_producer_has_its_id_and_the_time_of_its_transaction(void **state)
{
    (void)state;
    struct dri_option options[] = {{"transaction.timeout.ms", "12000"}};
    struct dri_transport_config config = config_of(options, 0);
    config.transactional_id = "g-w";
    rd_kafka_conf_t *conf = conf_of(&config, DRI_KAFKA_PRODUCER);
    wants(conf, "transactional.id", "g-w");
    wants(conf, "transaction.timeout.ms", "30000");
    rd_kafka_conf_destroy(conf);
    config.options_count = 1;
    conf = conf_of(&config, DRI_KAFKA_PRODUCER);
    wants(conf, "transaction.timeout.ms", "12000");
    /* The library accepts the times together. */
    char text[400] = "";
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_string_equal(text, "");
    assert_non_null(rk);
    rd_kafka_destroy(rk);
    conf = conf_of(&config, DRI_KAFKA_GROUP);
    wants(conf, "isolation.level", "read_committed");
    rd_kafka_conf_destroy(conf);
}

static void what_does_not_go_with_transactions_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct dri_option option;
        const char *text;
    } wrong[] = {
        {{"message.timeout.ms", "300000"}, "kafka.transaction.timeout.ms"},
        {{"delivery.timeout.ms", "0"}, "kafka.transaction.timeout.ms"},
        {{"partition.assignment.strategy", "cooperative-sticky"}, "eager"},
        {{"group.protocol", "consumer"}, "eager"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dri_transport_config config = config_of(&wrong[i].option, 1);
        config.transactional_id = "g-w";
        char text[400] = "";
        rd_kafka_conf_t *conf = NULL;
        test_status(DRAY_EINVALID, dri_kafka_conf_create(&config, DRI_KAFKA_PRODUCER, NULL, &conf,
                                                         text, sizeof(text)));
        if (strstr(text, wrong[i].text) == NULL) {
            fail_msg("%s: %s", wrong[i].option.name, text);
        }
    }
}

static void saying_what_is_so_anyway_is_fine(void **state)
{
    (void)state;
    static const struct dri_option options[] = {{"enable.auto.commit", "false"},
                                                {"acks", "-1"},
                                                {"acks", "ALL"},
                                                {"enable.idempotence", "TRUE"},
                                                {"auto.offset.reset", "error"},
                                                {"partitioner", "murmur2_random"},
                                                {"max.in.flight", "5"},
                                                {"message.timeout.ms", "0"}};
    struct dri_transport_config config = config_of(options, sizeof(options) / sizeof(options[0]));
    for (int use = DRI_KAFKA_ADMIN; use <= DRI_KAFKA_PRODUCER; use++) {
        rd_kafka_conf_destroy(conf_of(&config, (enum dri_kafka_use)use));
    }
}

static void an_unknown_property_is_named_with_the_nearest(void **state)
{
    (void)state;
    refused("linger.msx", "5", DRAY_EINVALID, "did you mean \"linger.ms\"?");
    refused("sesion.timeout.ms", "5", DRAY_EINVALID, "did you mean \"session.timeout.ms\"?");
    refused("nothing.like.it.at.all", "5", DRAY_EINVALID, "has no such property");
    static const char name[] = "a.name.that.is.longer.than.any.property.that.there.is.in.the."
                               "whole.library.and.then.some";
    refused(name, "5", DRAY_EINVALID, "has no such property");
}

static void what_is_wrong_in_itself_is_found_without_a_broker(void **state)
{
    (void)state;
    static const struct dri_option of_consumers = {"session.timeout.ms", "soon"};
    static const struct dri_option of_topics = {"compression.codec", "rar"};
    /* To set this one would load it. */
    static const struct dri_option plugin = {"plugin.library.paths", "/nowhere/plugin"};
    const struct dri_option *const wrong[] = {&of_consumers, &of_topics};
    char text[400] = "";
    for (size_t i = 0; i < 2; i++) {
        struct dri_transport_config config = config_of(wrong[i], 1);
        test_status(DRAY_EINVALID, dri_kafka_ops.check_config(&config, text, sizeof(text)));
        assert_non_null(strstr(text, wrong[i]->name));
        test_status(DRAY_EINVALID, dri_kafka_ops.check_option(wrong[i], text, sizeof(text)));
    }
    test_ok(dri_kafka_ops.check_option(&plugin, text, sizeof(text)));
    struct dri_transport_config config = config_of(NULL, 0);
    test_ok(dri_kafka_ops.check_config(&config, text, sizeof(text)));
    config.group = NULL;
    test_ok(dri_kafka_ops.check_config(&config, text, sizeof(text)));
    config.url = "kafka://";
    test_status(DRAY_EINVALID, dri_kafka_ops.check_config(&config, text, sizeof(text)));
}

static void a_value_out_of_range_is_refused_in_the_librarys_words(void **state)
{
    (void)state;
    struct dri_option option = {"session.timeout.ms", "soon"};
    struct dri_transport_config config = config_of(&option, 1);
    char text[400] = "";
    rd_kafka_conf_t *conf = NULL;
    test_status(DRAY_EINVALID,
                dri_kafka_conf_create(&config, DRI_KAFKA_GROUP, NULL, &conf, text, sizeof(text)));
    assert_non_null(strstr(text, "kafka.session.timeout.ms"));
}

/* K7, K24 */
static void what_this_version_does_badly_is_refused_with_a_sentence(void **state)
{
    (void)state;
    char text[400] = "";
    struct dri_option sticky = {"partition.assignment.strategy", "cooperative-sticky"};
    test_status(DRAY_EUNSUPPORTED, dri_kafka_option_check(&sticky, 0x020002ff, text, sizeof(text)));
    assert_non_null(strstr(text, "2.10.1"));
    test_status(DRAY_EUNSUPPORTED, dri_kafka_option_check(&sticky, 0x020a00ff, text, sizeof(text)));
    test_ok(dri_kafka_option_check(&sticky, 0x020a01ff, text, sizeof(text)));
    struct dri_option mixed = {"partition.assignment.strategy", "range,cooperative-sticky"};
    test_status(DRAY_EINVALID, dri_kafka_option_check(&mixed, 0x020f00ff, text, sizeof(text)));
    struct dri_option eager = {"partition.assignment.strategy", "range"};
    test_ok(dri_kafka_option_check(&eager, 0x020002ff, text, sizeof(text)));
    struct dri_option protocol = {"group.protocol", "consumer"};
    test_status(DRAY_EUNSUPPORTED,
                dri_kafka_option_check(&protocol, 0x020b01ff, text, sizeof(text)));
    assert_non_null(strstr(text, "2.12"));
    test_ok(dri_kafka_option_check(&protocol, 0x020c00ff, text, sizeof(text)));
    struct dri_option classic = {"group.protocol", "classic"};
    test_ok(dri_kafka_option_check(&classic, 0x020002ff, text, sizeof(text)));
}

static void an_address_is_hosts_and_ports(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"kafka://a:1", "a:1"},
        {"kafka://a:1,b:2/", "a:1,b:2"},
        {"kafka://a", "a"},
        {"kafka://[::1]:9092", "[::1]:9092"},
    };
    static const char *const bad[] = {"",          "kafka:",       "kafka://",        "kafka:///",
                                      "nats://a",  "kafka://a,,b", "kafka://u:p@a:1", "kafka://a b",
                                      "kafka://,", "kafka://a/b",  "kafka://:9092"};
    char text[400];
    char *bootstrap = NULL;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        test_ok(dri_kafka_parse_url(good[i][0], &bootstrap, text, sizeof(text)));
        assert_string_equal(bootstrap, good[i][1]);
        dri_free(bootstrap);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test_status(DRAY_EINVALID, dri_kafka_parse_url(bad[i], &bootstrap, text, sizeof(text)));
    }
    test_status(DRAY_EINVALID, dri_kafka_parse_url(NULL, &bootstrap, text, sizeof(text)));
}

/* K11: failed is not the same as not stored. */
static void only_what_is_certain_counts_as_not_stored(void **state)
{
    (void)state;
    static const struct {
        rd_kafka_resp_err_t err;
        rd_kafka_msg_status_t status;
        enum dri_ack ack;
        enum dray_status reason;
    } cases[] = {
        {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_MSG_STATUS_PERSISTED, DRI_ACK_STORED, DRAY_OK},
        {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_PERSISTED, DRI_ACK_STORED, DRAY_OK},
        {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_NOT_PERSISTED, DRI_ACK_UNKNOWN,
         DRAY_EBROKER},
        {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED, DRI_ACK_UNKNOWN,
         DRAY_EBROKER},
        {RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_MSG_STATUS_NOT_PERSISTED, DRI_ACK_UNKNOWN,
         DRAY_EBROKER},
        {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED, DRI_ACK_UNKNOWN,
         DRAY_EBROKER},
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
         DRI_ACK_NOT_STORED, DRAY_ELIMIT},
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED,
         DRI_ACK_UNKNOWN, DRAY_EBROKER},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
         DRI_ACK_NOT_STORED, DRAY_EAUTH},
        {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_MSG_STATUS_NOT_PERSISTED, DRI_ACK_NOT_STORED,
         DRAY_ENOTFOUND},
        {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
         DRI_ACK_NOT_STORED, DRAY_ENOTFOUND},
        {RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_MSG_STATUS_NOT_PERSISTED, DRI_ACK_NOT_STORED,
         DRAY_EINVALID},
        {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_MSG_STATUS_NOT_PERSISTED, DRI_ACK_UNKNOWN,
         DRAY_EBROKER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum dray_status reason = DRAY_EFATAL;
        assert_int_equal(dri_kafka_ack_of(cases[i].err, cases[i].status, &reason), cases[i].ack);
        assert_int_equal(reason, cases[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_group_consumer_commits_and_resets_nothing_by_itself),
        cmocka_unit_test(the_library_tells_of_itself_when_somebody_looks),
        cmocka_unit_test(the_log_consumer_joins_no_group_and_sees_the_end),
        cmocka_unit_test(the_producer_is_idempotent_and_patient),
        cmocka_unit_test(queues_follow_the_memory_and_the_version),
        cmocka_unit_test(a_batch_stays_below_the_smallest_limit_of_the_brokers),
        cmocka_unit_test(what_the_user_sets_reaches_the_handles_that_it_is_for),
        cmocka_unit_test(what_would_break_a_guarantee_is_refused_with_the_reason),
        cmocka_unit_test(a_transactional_producer_has_its_id_and_the_time_of_its_transaction),
        cmocka_unit_test(what_does_not_go_with_transactions_is_refused),
        cmocka_unit_test(saying_what_is_so_anyway_is_fine),
        cmocka_unit_test(an_unknown_property_is_named_with_the_nearest),
        cmocka_unit_test(what_is_wrong_in_itself_is_found_without_a_broker),
        cmocka_unit_test(a_value_out_of_range_is_refused_in_the_librarys_words),
        cmocka_unit_test(what_this_version_does_badly_is_refused_with_a_sentence),
        cmocka_unit_test(an_address_is_hosts_and_ports),
        cmocka_unit_test(only_what_is_certain_counts_as_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
