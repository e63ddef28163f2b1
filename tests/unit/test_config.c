/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/url.h"
#include "cli/config.h"
#include "support/test.h"
#include "wire/control.h"
#include "wire/json.h"

struct loaded {
    char file[64]; /* "" when there is none */
    struct dri_config *config;
    struct dri_settings settings;
    char text[1024];
};

static void write_file(char path[64], const char *yaml)
{
    snprintf(path, 64, "/tmp/dray-test-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    assert_int_equal(close(fd), 0);
}

static enum dray_status load(struct loaded *loaded, const char *yaml,
                             struct dri_config_request request)
{
    *loaded = (struct loaded){.file = ""};
    if (yaml != NULL) {
        write_file(loaded->file, yaml);
        request.file = loaded->file;
    }
    enum dray_status status = dri_config_load(&request, &loaded->config, &loaded->settings,
                                              loaded->text, sizeof(loaded->text));
    if (yaml != NULL) {
        assert_int_equal(unlink(loaded->file), 0);
    }
    return status;
}

static enum dray_status load_yaml(struct loaded *loaded, const char *yaml)
{
    return load(loaded, yaml, (struct dri_config_request){.file = NULL});
}

/* The file is refused with a text that begins "<file>" and goes on so. */
static void refuses(const char *yaml, const char *text)
{
    struct loaded loaded;
    char want[1200];
    test_status(DRAY_EINVALID, load_yaml(&loaded, yaml));
    snprintf(want, sizeof(want), "%s%s", loaded.file, text);
    assert_string_equal(loaded.text, want);
}

static void unload(struct loaded *loaded)
{
    dri_config_destroy(loaded->config);
}

static void without_a_file_every_key_but_the_bus_has_its_default(void **state)
{
    (void)state;
    struct loaded loaded;
    test_ok(load(&loaded, NULL, (struct dri_config_request){.bus = "nats://h:1"}));
    const struct dri_settings *got = &loaded.settings;
    assert_string_equal(got->bus, "nats://h:1");
    assert_string_equal(got->group, "dray");
    assert_string_equal(got->namespace_, "default");
    assert_string_equal(got->topics.commands, "commands");
    assert_string_equal(got->topics.results, "results");
    assert_string_equal(got->topics.dead_letters, "dlq.dray.commands");
    assert_string_equal(got->topics.replay, "replay.dray.commands");
    assert_string_equal(got->topics.park, "park.dray.commands");
    assert_string_equal(got->topics.window, "window.dray.commands");
    assert_int_equal(got->worker.window_ms, 0);
    assert_string_equal(got->topics.control, "dray.control");
    assert_string_equal(got->topics.status, "dray.status");
    assert_string_equal(got->modules, "./modules");
    assert_string_equal(got->state, "./state");
    assert_null(got->worker.id);
    assert_int_equal(got->worker.lanes, 2);
    assert_int_equal(got->worker.max_in_flight, 10000);
    assert_int_equal(got->worker.max_unacked, 400000);
    assert_int_equal(got->worker.key_max, 0);
    assert_true(got->worker.max_bytes == 64u << 20);
    assert_true(got->worker.memory == 512u << 20);
    assert_int_equal(got->worker.order, DRI_ORDER_KEY);
    assert_string_equal(got->worker.delivery, "at_least_once");
    assert_int_equal(got->worker.start, DRI_START_EARLIEST);
    assert_true(got->worker.create_topics);
    assert_int_equal(got->worker.partitions, 8);
    assert_null(got->worker.namespaces);
    assert_null(got->worker.reply_to);
    assert_string_equal(got->admin.listen, "127.0.0.1:9464");
    assert_int_equal(got->log.format, DRI_LOG_LOGFMT);
    assert_int_equal(got->log.level, DRI_LOG_INFO);
    assert_int_equal(got->options_count, 0);
    assert_int_equal(got->routes_count, 0);
    unload(&loaded);
}

static void a_missing_bus_is_an_error_that_says_where_to_give_one(void **state)
{
    (void)state;
    struct loaded loaded;
    test_status(DRAY_EINVALID, load(&loaded, NULL, (struct dri_config_request){.needs_bus = true}));
    assert_non_null(strstr(loaded.text, "--bus"));
    assert_non_null(strstr(loaded.text, "DRAY_BUS"));
}

static void every_kind_of_value_is_read_from_a_file(void **state)
{
    (void)state;
    struct loaded loaded;
    test_ok(load_yaml(&loaded, "bus: kafka://a:1,b:2\n"
                               "group: no\n"
                               "topics: {commands: orders, results: done}\n"
                               "worker:\n"
                               "  lanes: 8\n"
                               "  max_bytes: 1GiB\n"
                               "  memory: 100MB\n"
                               "  message_bytes: 2048\n"
                               "  order: partition\n"
                               "  start: fail\n"
                               "  create_topics: False\n"
                               "  namespaces: [a, b]\n"
                               "  reply_to: results.*,x\n"
                               "replay: {allow_to: [orders]}\n"
                               "admin: {listen: \"\"}\n"
                               "log: {format: json, level: debug}\n"));
    const struct dri_settings *got = &loaded.settings;
    assert_string_equal(got->group, "no");
    assert_string_equal(got->topics.commands, "orders");
    assert_string_equal(got->topics.results, "done");
    assert_string_equal(got->topics.dead_letters, "dlq.no.orders");
    assert_int_equal(got->worker.lanes, 8);
    assert_true(got->worker.max_bytes == 1u << 30);
    assert_true(got->worker.memory == 100000000);
    assert_int_equal(got->worker.message_bytes, 2048);
    assert_int_equal(got->worker.order, DRI_ORDER_PARTITION);
    assert_int_equal(got->worker.start, DRI_START_FAIL);
    assert_false(got->worker.create_topics);
    assert_string_equal(got->worker.namespaces, "a,b");
    assert_string_equal(got->worker.reply_to, "results.*,x");
    assert_string_equal(got->replay.allow_to, "orders");
    assert_string_equal(got->admin.listen, "");
    assert_int_equal(got->log.format, DRI_LOG_JSON);
    assert_int_equal(got->log.level, DRI_LOG_DEBUG);
    unload(&loaded);
}

static void json_is_yaml_too(void **state)
{
    (void)state;
    struct loaded loaded;
    test_ok(load_yaml(&loaded, "{\"bus\": \"nats://h:1\", \"worker\": {\"lanes\": 3,\n"
                               " \"create_topics\": true}, \"nats\": {\"ack_wait_ms\": 5000}}"));
    assert_int_equal(loaded.settings.worker.lanes, 3);
    assert_int_equal(loaded.settings.options_count, 1);
    assert_string_equal(loaded.settings.options[0].name, "ack_wait_ms");
    assert_string_equal(loaded.settings.options[0].value, "5000");
    unload(&loaded);
}

static void empty_files_sections_and_values_change_nothing(void **state)
{
    (void)state;
    static const char *const files[] = {"",         "# nothing\n",   "worker:\n",
                                        "group:\n", "kafka: null\n", "routes:\n"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct loaded loaded;
        test_ok(load_yaml(&loaded, files[i]));
        assert_string_equal(loaded.settings.group, "dray");
        assert_int_equal(loaded.settings.worker.lanes, 2);
        unload(&loaded);
    }
}

static void an_unknown_key_names_its_line_and_the_nearest_known_one(void **state)
{
    (void)state;
    refuses("bus: nats://h:1\nworker:\n  lane: 2\n",
            ":3: unknown key \"lane\"; did you mean \"lanes\"?");
    refuses("topic: {}\n", ":1: unknown key \"topic\"; did you mean \"topics\"?");
    refuses("lanes: 2\n", ":1: unknown key \"lanes\"; did you mean \"worker.lanes\"?");
    refuses("worker:\n  listen: x\n", ":2: unknown key \"listen\"; did you mean \"admin.listen\"?");
    refuses("\n\nroute: []\n", ":3: unknown key \"route\"; did you mean \"routes\"?");
    refuses("worker: {create_topcis: true}\n",
            ":1: unknown key \"create_topcis\"; did you mean \"create_topics\"?");
}

static void a_group_must_wait_for_longer_than_a_revocation_takes(void **state)
{
    struct loaded loaded;
    (void)state;
    test_status(DRAY_EINVALID, load_yaml(&loaded, "bus: kafka://a:1\nworker: {revoke_ms: 5000}\n"
                                                  "kafka: {max.poll.interval.ms: 10999}\n"));
    assert_non_null(strstr(loaded.text, "twice worker.revoke_ms (5000)"));
    test_ok(load_yaml(&loaded, "bus: kafka://a:1\nworker: {revoke_ms: 5000}\n"
                               "kafka: {max.poll.interval.ms: 11000}\n"));
    unload(&loaded);
}

static void a_word_that_is_far_from_every_key_is_not_what_was_meant(void **state)
{
    (void)state;
    refuses("something: 1\n", ":1: unknown key \"something\"; the nearest known one is \"admin\"");
}

/* The file is refused with a text that begins "<file>:<line>: " and holds the rest. */
static void refuses_option(const char *yaml, const char *line, const char *rest)
{
    struct loaded loaded;
    char want[128];
    test_status(DRAY_EINVALID, load_yaml(&loaded, yaml));
    snprintf(want, sizeof(want), "%s:%s: ", loaded.file, line);
    assert_memory_equal(loaded.text, want, strlen(want));
    if (strstr(loaded.text, rest) == NULL) {
        fail_msg("\"%s\" does not say %s", loaded.text, rest);
    }
}

static void unknown_options_of_either_client_library_are_refused_whichever_the_bus(void **state)
{
    (void)state;
    static const char *const buses[] = {"nats://h:1", "kafka://h:1"};
    static const struct {
        const char *section, *line, *rest;
    } bad[] = {
        {"kafka: {bogus.prop: 1}", "2", "kafka.bogus.prop: librdkafka "},
        {"kafka:\n  linger.msx: 1", "3", "did you mean \"linger.ms\"?"},
        {"kafka:\n  sesion: {timeout.ms: 1}", "3", "did you mean \"session.timeout.ms\"?"},
        {"kafka: {acks: 1}", "2", "kafka.acks: \"1\" is refused: an outcome counts as stored only"},
        {"kafka:\n\n  enable.auto.commit: true", "4", "is refused: a position is committed only"},
        {"kafka: {session.timeout.ms: soon}", "2", "kafka.session.timeout.ms: "},
        {"kafka: {request.timeout.ms: soon}", "2", "kafka.request.timeout.ms: "},
        {"nats: {bogus: 1}", "2", "nats: unknown option \"bogus\"; the nearest known one is"},
        {"nats:\n  ping_intervall_ms: 1", "3", "did you mean \"ping_interval_ms\"?"},
        {"nats: {tls: perhaps}", "2", "nats: tls is true or false, not \"perhaps\""},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (size_t bus = 0; bus < 2; bus++) {
            char yaml[256];
            snprintf(yaml, sizeof(yaml), "bus: %s\n%s\n", buses[bus], bad[i].section);
            refuses_option(yaml, bad[i].line, bad[i].rest);
        }
    }
}

static void options_of_set_are_judged_and_unknown_ones_of_the_environment_ignored(void **state)
{
    (void)state;
    static const char *const set[] = {"kafka.acks=0"};
    static const char *const environment[] = {"DRAY_NATS_SERVICE_HOST=10.0.0.1",
                                              "DRAY_KAFKA_VERSION=3.9.1", NULL};
    static const char *const wrong[] = {"DRAY_NATS_PULL_BATCH=none", NULL};
    struct loaded loaded;
    test_status(DRAY_EINVALID,
                load(&loaded, NULL, (struct dri_config_request){.sets = set, .sets_count = 1}));
    assert_memory_equal(loaded.text, "--set: kafka.acks: \"0\" is refused", 33);
    test_ok(load(&loaded, NULL, (struct dri_config_request){.environment = environment}));
    for (size_t i = 0; i < 2; i++) {
        char want[128];
        snprintf(want, sizeof(want), "environment %.*s: ", (int)strcspn(environment[i], "="),
                 environment[i]);
        assert_memory_equal(dri_config_warning(loaded.config, i), want, strlen(want));
        assert_non_null(strstr(dri_config_warning(loaded.config, i), "(ignored)"));
    }
    assert_null(dri_config_warning(loaded.config, 2));
    assert_int_equal(loaded.settings.options_count, 0);
    unload(&loaded);
    test_status(DRAY_EINVALID,
                load(&loaded, NULL, (struct dri_config_request){.environment = wrong}));
    assert_non_null(strstr(loaded.text, "DRAY_NATS_PULL_BATCH: nats: pull_batch is a number"));
}

static void a_wrong_value_says_what_it_has_to_be(void **state)
{
    (void)state;
    refuses("worker:\n  lanes: many\n",
            ":2: worker.lanes has to be a number from 1 to 1024, not \"many\"");
    refuses("worker: {lanes: 0}\n",
            ":1: worker.lanes has to be a number from 1 to 1024, not \"0\"");
    refuses("worker: {lanes: -1}\n",
            ":1: worker.lanes has to be a number from 1 to 1024, not \"-1\"");
    refuses("worker: {lanes: 99999999999999999999999}\n",
            ":1: worker.lanes has to be a number from 1 to 1024, not \"99999999999999999999999\"");
    refuses("worker: {max_bytes: 64MB/s}\n",
            ":1: worker.max_bytes has to be a size from 4KiB to 1TiB, as 64MiB, not \"64MB/s\"");
    refuses("worker: {create_topics: 1}\n",
            ":1: worker.create_topics has to be true or false, not \"1\"");
    refuses("worker: {order: none at all}\n", ":1: worker.order has to be one of key, partition or "
                                              "none, not \"none at all\"");
    refuses("group: a b\n",
            ":1: group has to be a name of 1 to 64 letters, digits, _ and -, not \"a b\"");
    refuses("topics: {commands: \"\"}\n", ":1: topics.commands must not be empty");
}

static void exactly_once_is_for_kafka_and_bounds_what_is_on_its_way(void **state)
{
    (void)state;
    struct loaded loaded;
    test_status(DRAY_EINVALID, load_yaml(&loaded, "bus: nats://127.0.0.1:4222\n"
                                                  "worker: {delivery: exactly_once}\n"));
    assert_non_null(strstr(loaded.text, "worker.delivery exactly_once is not possible on NATS"));
    test_status(DRAY_OK, load_yaml(&loaded, "bus: kafka://127.0.0.1:9092\n"
                                            "worker: {delivery: exactly_once}\n"));
    assert_true(dri_settings_is_exactly_once(&loaded.settings));
    assert_int_equal(DRI_EXACTLY_ONCE_UNACKED_MAX, loaded.settings.worker.max_unacked);
    assert_int_equal(100, loaded.settings.worker.transaction_ms);
    unload(&loaded);
    test_status(DRAY_EINVALID,
                load_yaml(&loaded, "bus: kafka://127.0.0.1:9092\n"
                                   "worker: {delivery: exactly_once, window_ms: 1000}\n"));
    assert_non_null(strstr(loaded.text, "worker.window_ms is not possible with worker.delivery"));
}

static void values_and_sections_are_not_mixed_up(void **state)
{
    (void)state;
    refuses("worker: 5\n", ":1: \"worker\" is a section: its keys stand below it");
    refuses("group: {a: 1}\n", ":1: \"group\" is a value, not a section");
    refuses("group: [a]\n", ":1: \"group\" takes no list");
    refuses("worker: [1]\n", ":1: \"worker\" takes no list");
    refuses("worker: {namespaces: [[a]]}\n",
            ":1: \"worker.namespaces\" has to be a list of plain values");
    refuses("just text\n", ":1: a configuration is a map of keys, as `bus: nats://...`");
}

static void a_key_that_stands_there_twice_is_refused(void **state)
{
    (void)state;
    struct loaded loaded;
    refuses("group: a\ngroup: b\n", ":2: key \"group\" stands there twice, first in line 1");
    test_status(DRAY_EINVALID, load_yaml(&loaded, "worker: {lanes: 1}\nworker.lanes: 2\n"));
    assert_non_null(strstr(loaded.text, ":2: \"worker.lanes\" stands there twice, first at"));
}

static void yaml_that_cannot_be_parsed_names_its_line(void **state)
{
    (void)state;
    struct loaded loaded;
    char want[80];
    test_status(DRAY_EINVALID, load_yaml(&loaded, "bus: nats://h:1\nworker: {lanes: 2\n"));
    snprintf(want, sizeof(want), "%s:3:", loaded.file);
    assert_memory_equal(loaded.text, want, strlen(want));
    test_status(DRAY_EINVALID, load_yaml(&loaded, "a: \xff\xfe\n"));
    assert_memory_equal(loaded.text, loaded.file, strlen(loaded.file));
    refuses("group: a\n---\ngroup: b\n", ":3: a second document begins; one is all that is read");
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct loaded loaded;
    struct dri_config_request request = {.file = "/nowhere/worker.yaml"};
    test_status(DRAY_ENOTFOUND, load(&loaded, NULL, request));
    assert_string_equal(loaded.text, "cannot read /nowhere/worker.yaml: No such file or directory");
}

static void the_later_of_default_file_environment_and_set_counts(void **state)
{
    (void)state;
    static const char *const environment[] = {"DRAY_WORKER_LANES=5", "DRAY_WORKER_PARTITIONS=6",
                                              "DRAY_BUS=nats://env:1", "OTHER=1", NULL};
    static const char *const sets[] = {"worker.partitions=7", "bus=nats://set:1",
                                       "worker.partitions=9"};
    const char *yaml = "worker: {lanes: 3, partitions: 4, max_in_flight: 55}\ngroup: from-file\n";
    struct loaded loaded;
    test_ok(load(&loaded, yaml,
                 (struct dri_config_request){.environment = environment,
                                             .sets = sets,
                                             .sets_count = 3,
                                             .topic = "orders",
                                             .bus = "nats://shortcut:1"}));
    assert_int_equal(loaded.settings.worker.max_in_flight, 55);
    assert_int_equal(loaded.settings.worker.lanes, 5);
    assert_int_equal(loaded.settings.worker.partitions, 9);
    assert_string_equal(loaded.settings.bus, "nats://shortcut:1");
    assert_string_equal(loaded.settings.topics.commands, "orders");
    assert_string_equal(loaded.settings.topics.dead_letters, "dlq.from-file.orders");
    unload(&loaded);
}

static void every_value_knows_where_it_came_from(void **state)
{
    (void)state;
    static const char *const environment[] = {"DRAY_WORKER_LANES=5", NULL};
    static const char *const sets[] = {"worker.partitions=7", "kafka.sasl.password=hush"};
    struct loaded loaded;
    struct dri_config_value value;
    char want[80];
    unsigned seen = 0;
    test_ok(load(
        &loaded, "group: a\n",
        (struct dri_config_request){.environment = environment, .sets = sets, .sets_count = 2}));
    snprintf(want, sizeof(want), "%s:1", loaded.file);
    const char *const expected[][3] = {
        {"group", "a", want},
        {"worker.lanes", "5", "environment DRAY_WORKER_LANES"},
        {"worker.partitions", "7", "--set"},
        {"worker.order", "key", "default"},
        {"topics.dead_letters", "dlq.a.commands", "derived"},
        {"kafka.sasl.password", "***", "--set"},
    };
    for (size_t n = 0; dri_config_value(loaded.config, n, &value); n++) {
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
            if (strcmp(value.key, expected[i][0]) == 0) {
                assert_string_equal(value.text, expected[i][1]);
                assert_string_equal(value.source, expected[i][2]);
                seen++;
            }
        }
    }
    assert_int_equal(seen, 6);
    unload(&loaded);
}

static void wrong_values_of_environment_and_set_name_their_source(void **state)
{
    (void)state;
    static const char *const environment[] = {"DRAY_WORKER_LANES=x", NULL};
    static const char *const unknown[] = {"worker.lane=1"};
    static const char *const shapeless[] = {"worker.lanes"};
    struct loaded loaded;
    test_status(DRAY_EINVALID,
                load(&loaded, NULL, (struct dri_config_request){.environment = environment}));
    assert_string_equal(loaded.text, "environment DRAY_WORKER_LANES: worker.lanes has to be a "
                                     "number from 1 to 1024, not \"x\"");
    test_status(DRAY_EINVALID,
                load(&loaded, NULL, (struct dri_config_request){.sets = unknown, .sets_count = 1}));
    assert_string_equal(loaded.text,
                        "--set: unknown key \"worker.lane\"; did you mean \"worker.lanes\"?");
    test_status(
        DRAY_EINVALID,
        load(&loaded, NULL, (struct dri_config_request){.sets = shapeless, .sets_count = 1}));
    assert_non_null(strstr(loaded.text, "has to be key=value"));
}

static void a_wrong_value_in_the_file_is_refused_though_another_source_overrides_it(void **state)
{
    (void)state;
    static const char *const sets[] = {"worker.lanes=3"};
    struct loaded loaded;
    test_status(DRAY_EINVALID, load(&loaded, "worker: {lanes: x}\n",
                                    (struct dri_config_request){.sets = sets, .sets_count = 1}));
}

static void an_unknown_dray_variable_is_a_warning_and_helpers_are_none(void **state)
{
    (void)state;
    static const char *const environment[] = {"DRAY_LANES=3",
                                              "DRAY_WORKER_LANE=3",
                                              "DRAY_PROBE_LOG=/tmp/x",
                                              "DRAY_CRASH_AT=p:1",
                                              "DRAY_STOP_AT=p:1",
                                              "DRAY_HANG_AT=p:1",
                                              "DRAY_TEST_NATS=",
                                              "DRAY_CONFIG=/nope",
                                              "DRAY_NATS_SERVER=/x",
                                              "DRAYED=1",
                                              "DRAY_GROUP=",
                                              "DRAY_TEST_KAFKA=k:1",
                                              NULL};
    struct loaded loaded;
    test_ok(load(&loaded, NULL, (struct dri_config_request){.environment = environment}));
    assert_string_equal(dri_config_warning(loaded.config, 0),
                        "environment: DRAY_LANES is no setting and ignored; did you mean "
                        "DRAY_WORKER_LANES?");
    assert_string_equal(dri_config_warning(loaded.config, 1),
                        "environment: DRAY_WORKER_LANE is no setting and ignored; did you mean "
                        "DRAY_WORKER_LANES?");
    assert_null(dri_config_warning(loaded.config, 2));
    assert_string_equal(loaded.settings.group, "dray");
    unload(&loaded);
}

static void options_of_the_client_library_pass_through_under_their_own_names(void **state)
{
    (void)state;
    static const char *const environment[] = {"DRAY_KAFKA_SASL_MECHANISM=PLAIN",
                                              "DRAY_NATS_ACK_WAIT_MS=700", NULL};
    static const char *const sets[] = {"kafka.security.protocol=ssl"};
    const char *yaml =
        "bus: kafka://h:1\nkafka:\n  session.timeout.ms: 6000\n  ssl: {ca: {location: "
        "/ca}}\n  security.protocol: plaintext\nnats: {user: u}\n";
    static const char *const want[][2] = {{"session.timeout.ms", "6000"},
                                          {"ssl.ca.location", "/ca"},
                                          {"security.protocol", "ssl"},
                                          {"sasl.mechanism", "PLAIN"}};
    struct loaded loaded;
    struct dri_config_request request = {.environment = environment, .sets = sets, .sets_count = 1};
    test_ok(load(&loaded, yaml, request));
    assert_int_equal(loaded.settings.options_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(loaded.settings.options[i].name, want[i][0]);
        assert_string_equal(loaded.settings.options[i].value, want[i][1]);
    }
    unload(&loaded);
    request.bus = "nats://h:1";
    test_ok(load(&loaded, yaml, request));
    assert_int_equal(loaded.settings.options_count, 2);
    assert_string_equal(loaded.settings.options[0].name, "user");
    assert_string_equal(loaded.settings.options[1].name, "ack_wait_ms");
    unload(&loaded);
}

static void routes_become_the_bytes_of_their_maps(void **state)
{
    (void)state;
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct loaded loaded;
    struct dri_route_view view;
    struct dri_wire_error error;
    test_ok(load_yaml(&loaded,
                      "routes:\n"
                      "  - {name: order.create, version: 1.0.0, module: orders.so,\n"
                      "     handler: order_create, tags: {region: 1, on: true}, weight: 5,\n"
                      "     policy: {timeout_ms: 3000, attempts: 4, backoff_ms: [1000, 3000],\n"
                      "              concurrency: 10, isolation: thread, preload: true}}\n"
                      "  - name: b\n    module: m.so\n    handler: h\n"));
    assert_int_equal(loaded.settings.routes_count, 2);
    test_ok(dri_route_decode(loaded.settings.routes[0], &limits, &view, &error));
    test_slice("order.create", view.name);
    test_slice("1.0.0", view.version);
    assert_int_equal(view.weight, 5);
    assert_int_equal(view.policy.timeout_ms, 3000);
    assert_int_equal(view.policy.attempts, 4);
    assert_int_equal(view.policy.backoff_count, 2);
    assert_int_equal(view.policy.backoff_ms[1], 3000);
    assert_true(view.policy.is_preload);
    test_ok(dri_route_decode(loaded.settings.routes[1], &limits, &view, &error));
    test_slice("b", view.name);
    assert_false(view.has_version);
    assert_null(dri_config_warning(loaded.config, 0));
    unload(&loaded);
}

static void a_bad_route_names_the_line_of_the_field(void **state)
{
    (void)state;
    refuses("routes:\n  - name: a\n    module: m.so\n    handler: h\n    version: 1.0\n",
            ":5: route: version is not a semantic version (1.2.3)");
    refuses("routes:\n  - name: a\n    handler: h\n", ":2: route: module is missing");
    refuses(
        "routes:\n  - name: a\n    module: m.so\n    handler: h\n    policy:\n      attempts: x\n",
        ":6: route: policy.attempts is not an unsigned integer");
    refuses("routes: 5\n", ":1: routes are a list of at most 10000 maps");
    refuses("routes:\n  - 5\n",
            ":2: a route is a map: {name: ..., version: ..., module: ..., handler: ...}");
}

static void unknown_keys_of_a_route_are_kept_with_a_warning(void **state)
{
    (void)state;
    struct loaded loaded;
    char want[200];
    test_ok(load_yaml(&loaded, "routes:\n  - name: a\n    module: m.so\n    handler: h\n"
                               "    versoin: 1.0.0\n    policy: {atempts: 3}\n"));
    snprintf(want, sizeof(want),
             "%s:5: a route's key \"versoin\" is unknown here and kept; did you mean \"version\"?",
             loaded.file);
    assert_string_equal(dri_config_warning(loaded.config, 0), want);
    assert_non_null(strstr(dri_config_warning(loaded.config, 1), "\"attempts\""));
    assert_null(dri_config_warning(loaded.config, 2));
    struct dray_slice route = loaded.settings.routes[0];
    assert_non_null(memmem(route.at, route.len, "versoin", 7));
    unload(&loaded);
}

static void keys_within_a_policy_are_looked_at_too(void **state)
{
    static const char *const wants[] = {"\"bas_ms\"",  "\"base_ms\"", "\"timout\"",
                                        "\"timeout\"", "\"attemps\"", "\"attempts\""};
    (void)state;
    struct loaded loaded;
    test_ok(load_yaml(&loaded, "routes:\n  - name: a\n    module: m.so\n    handler: h\n"
                               "    policy:\n"
                               "      backoff: {base_ms: 5, bas_ms: 6}\n"
                               "      retry: {timout: {attempts: 1}, network: {attemps: 2}}\n"
                               "      budget_ms: 60000\n"));
    for (size_t i = 0; i < 3; i++) {
        const char *warning = dri_config_warning(loaded.config, i);
        assert_non_null(warning);
        assert_non_null(strstr(warning, wants[2 * i]));
        assert_non_null(strstr(warning, wants[2 * i + 1]));
    }
    assert_null(dri_config_warning(loaded.config, 3));
    unload(&loaded);
    refuses("routes:\n  - name: a\n    module: m.so\n    handler: h\n"
            "    policy:\n      retry:\n        timeout: {attempts: many}\n",
            ":7: route: policy.retry.timeout is not an unsigned integer");
}

static void note_odd(void *arg, const char *text)
{
    struct dri_text *all = arg;
    dri_text_addf(all, "%s\n", text);
}

static void the_bytes_of_a_route_are_looked_at_as_those_of_a_file(void **state)
{
    (void)state;
    struct loaded loaded;
    struct dri_text said;
    test_ok(load_yaml(&loaded,
                      "routes: [{name: a, module: m.so, handler: h, versoin: 1.0.0,\n"
                      "  policy: {timeout_msx: 3, attempts: 1, something: {else: 1}}}]\n"));
    dri_text_init(&said);
    dri_route_look(loaded.settings.routes[0], note_odd, &said);
    assert_string_equal(
        said.at, "a route's key \"versoin\" is unknown here and kept; did you mean \"version\"?\n"
                 "a route's key \"timeout_msx\" is unknown here and kept; did you mean "
                 "\"timeout_ms\"?\n"
                 "a route's key \"something\" is unknown here and kept\n");
    dri_text_fini(&said);
    dri_text_init(&said);
    dri_route_look(dray_slice_text("\x82\xa1x\x01\x05"), note_odd, &said); /* no route at all */
    dri_text_fini(&said);
    unload(&loaded);
}

static void an_anchor_that_grows_without_end_is_refused(void **state)
{
    (void)state;
    struct loaded loaded;
    test_status(DRAY_ELIMIT, load_yaml(&loaded, "routes:\n  - &a\n    name: [*a]\n"));
    char yaml[2000] = "routes:\n  - name: &a0 [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\n";
    for (int i = 1; i < 9; i++) {
        size_t len = strlen(yaml);
        int p = i - 1;
        snprintf(yaml + len, sizeof(yaml) - len,
                 "    k%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, p, p, p,
                 p, p, p, p, p);
    }
    test_status(DRAY_ELIMIT, load_yaml(&loaded, yaml));
}

static void a_file_of_routes_is_a_route_a_list_or_a_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        size_t count;
    } files[] = {
        {"name: a\nmodule: m.so\nhandler: h\n", 1},
        {"- {name: a, module: m.so, handler: h}\n- {name: b, module: m.so, handler: h}\n", 2},
        {"bus: nats://h:1\nroutes: [{name: a, module: m.so, handler: h}]\n", 1},
    };
    char text[512];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[64];
        struct dri_routes routes;
        write_file(path, files[i].yaml);
        test_ok(dri_routes_load(path, &routes, text, sizeof(text)));
        assert_int_equal(routes.count, files[i].count);
        dri_routes_fini(&routes);
        assert_int_equal(unlink(path), 0);
    }
    char path[64];
    struct dri_routes routes;
    write_file(path, "[]\n");
    test_status(DRAY_EINVALID, dri_routes_load(path, &routes, text, sizeof(text)));
    assert_int_equal(unlink(path), 0);
}

struct seen {
    char keys[200];
    unsigned live;
};

static void note_difference(void *arg, const char *key, bool is_live)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->keys);
    snprintf(seen->keys + len, sizeof(seen->keys) - len, "%s ", key);
    seen->live += is_live ? 1 : 0;
}

static void differences_are_listed_and_live_ones_marked(void **state)
{
    (void)state;
    struct loaded before;
    struct loaded after;
    struct seen seen = {.keys = "", .live = 0};
    test_ok(load_yaml(&before, "bus: nats://h:1\nkafka: {linger.ms: 1, debug: cgrp}\n"
                               "routes: [{name: a, module: m.so, handler: h}]\n"));
    test_ok(load_yaml(&after,
                      "bus: nats://h:1\nworker: {lanes: 4}\nlog: {level: debug}\n"
                      "kafka: {linger.ms: 2}\nroutes: [{name: b, module: m.so, handler: h}]\n"));
    dri_config_differences(before.config, before.config, after.config, note_difference, &seen);
    assert_string_equal(seen.keys, "worker.lanes log.level kafka.linger.ms kafka.debug routes ");
    assert_int_equal(seen.live, 1);
    seen = (struct seen){.keys = "", .live = 0};
    dri_config_differences(after.config, after.config, after.config, note_difference, &seen);
    assert_string_equal(seen.keys, "");
    unload(&before);
    unload(&after);
}

/* Each row: what the worker was started with, read before, and read now. */
static void a_change_is_in_effect_or_needs_a_restart(void **state)
{
    (void)state;
    static const struct {
        const char *start, *before, *after, *keys;
        unsigned applied;
    } rows[] = {
        {"worker: {timeout_ms: 5}", "worker: {timeout_ms: 5}",
         "log: {format: json}\nworker: {drain_ms: 9, namespaces: a}",
         "worker.namespaces worker.drain_ms worker.timeout_ms log.format ", 4},
        {"worker: {max_in_flight: 100}", "worker: {max_in_flight: 100}",
         "worker: {max_in_flight: 50}", "worker.max_in_flight ", 1},
        {"worker: {max_in_flight: 100}", "worker: {max_in_flight: 100}",
         "worker: {max_in_flight: 101}", "worker.max_in_flight ", 0},
        {"worker: {max_in_flight: 100}", "worker: {max_in_flight: 50}",
         "worker: {max_in_flight: 100}", "worker.max_in_flight ", 1},
        {"worker: {max_in_flight: 100}", "worker: {max_in_flight: 50}",
         "worker: {max_in_flight: 99}", "worker.max_in_flight ", 1},
        {"worker: {max_unacked: 400000}", "", "worker: {max_unacked: 400001}",
         "worker.max_unacked ", 0},
        /* Told once, not again. */
        {"worker: {lanes: 2}", "worker: {lanes: 3}", "worker: {lanes: 3}", "", 0},
        /* Back to what it runs with: no restart is needed any more. */
        {"worker: {lanes: 2}", "worker: {lanes: 3}", "worker: {lanes: 2}", "worker.lanes ", 1},
        {"kafka: {linger.ms: 1}", "kafka: {linger.ms: 2}", "kafka: {linger.ms: 1}",
         "kafka.linger.ms ", 1},
        {"kafka: {linger.ms: 1}", "kafka: {linger.ms: 1}", "", "kafka.linger.ms ", 0},
        {"", "kafka: {linger.ms: 1}", "", "kafka.linger.ms ", 1},
        {"routes: [{name: a, module: m.so, handler: h}]",
         "routes: [{name: b, module: m.so, handler: h}]",
         "routes: [{name: a, module: m.so, handler: h}]", "routes ", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded loaded[3];
        struct seen seen = {.keys = "", .live = 0};
        const char *const texts[] = {rows[i].start, rows[i].before, rows[i].after};
        for (size_t j = 0; j < 3; j++) {
            char yaml[300];
            snprintf(yaml, sizeof(yaml), "bus: nats://h:1\n%s\n", texts[j]);
            test_ok(load_yaml(&loaded[j], yaml));
        }
        dri_config_differences(loaded[0].config, loaded[1].config, loaded[2].config,
                               note_difference, &seen);
        assert_string_equal(seen.keys, rows[i].keys);
        assert_int_equal(seen.live, rows[i].applied);
        for (size_t j = 0; j < 3; j++) {
            unload(&loaded[j]);
        }
    }
}

static void a_url_loses_its_passwords(void **state)
{
    (void)state;
    static const char *const urls[][2] = {
        {"nats://host:1", "nats://host:1"},
        {"nats://user:p@ss@host:1,nats://u:p@other:2", "nats://host:1,nats://other:2"},
        {"nats://token@host", "nats://host"},
        {"kafka://a:1,b:2", "kafka://a:1,b:2"},
        {"", ""},
    };
    char text[128];
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        dri_url_redact(urls[i][0], text, sizeof(text));
        assert_string_equal(text, urls[i][1]);
    }
    dri_url_redact("nats://a-long-host-name:4222", text, 10);
    assert_string_equal(text, "nats://a-");
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"512", 512},
                {"64MiB", 64u << 20},
                {"1 GiB", 1u << 30},
                {"10kB", 10000},
                {"10KB", 10000},
                {"3GB", 3000000000u},
                {"7B", 7},
                {"2TiB", UINT64_C(2) << 40},
                {"5KiB", 5120}};
    static const char *const bad[] = {"",      "MiB",   "-1",  "1.5GiB",
                                      "64mib", "1 000", "1e3", "9999999999999999999GiB"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 0;
        test_ok(dri_size_parse(good[i].text, &bytes));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 42;
        test_status(DRAY_EINVALID, dri_size_parse(bad[i], &bytes));
        assert_true(bytes == 42);
    }
}

static void a_swap_of_neighbours_is_one_edit(void **state)
{
    (void)state;
    assert_int_equal(dri_edits("lanes", "lanes"), 0);
    assert_int_equal(dri_edits("lane", "lanes"), 1);
    assert_int_equal(dri_edits("laens", "lanes"), 1);
    assert_int_equal(dri_edits("", "abc"), 3);
    assert_int_equal(dri_edits("kitten", "sitting"), 3);
}

static void every_row_of_the_table_takes_its_own_default_and_has_help(void **state)
{
    (void)state;
    struct dri_config_key key;
    char type[160];
    size_t n = 0;
    for (; dri_config_key(n, &key, type, sizeof(type)); n++) {
        assert_true(strlen(key.help) > 10);
        assert_true(strlen(type) > 3);
    }
    assert_true(n > 25);
}

static void running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    static const char *const environment[] = {"DRAY_LANES=3", "DRAY_WORKER_LANES=5",
                                              "DRAY_NATS_SERVICE_HOST=10.0.0.1", NULL};
    static const char *const sets[] = {"worker.partitions=7", "kafka.linger.ms=1"};
    char path[64];
    write_file(path, "bus: kafka://h:1\nkafka: {debug: cgrp}\n"
                     "routes: [{name: a, module: m.so, handler: h, unknown: 1}]\n");
    const struct dri_config_request request = {
        .file = path, .environment = environment, .sets = sets, .sets_count = 2};
    size_t live = dri_mem_live();
    enum dray_status status = DRAY_ENOMEM;
    for (uint64_t n = 1; status != DRAY_OK; n++) {
        struct dri_config *config = NULL;
        struct dri_settings settings;
        char text[512] = "";
        dri_mem_fail_at(n);
        status = dri_config_load(&request, &config, &settings, text, sizeof(text));
        int has_failed = dri_mem_failed();
        dri_mem_fail_at(0);
        if (has_failed) {
            assert_int_equal(status, DRAY_ENOMEM);
            assert_true(text[0] != '\0');
        } else {
            test_ok(status);
            assert_true(n > 50);
            dri_config_destroy(config);
        }
        assert_int_equal(dri_mem_live(), live);
    }
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_every_key_but_the_bus_has_its_default),
        cmocka_unit_test(a_missing_bus_is_an_error_that_says_where_to_give_one),
        cmocka_unit_test(every_kind_of_value_is_read_from_a_file),
        cmocka_unit_test(json_is_yaml_too),
        cmocka_unit_test(a_group_must_wait_for_longer_than_a_revocation_takes),
        cmocka_unit_test(empty_files_sections_and_values_change_nothing),
        cmocka_unit_test(an_unknown_key_names_its_line_and_the_nearest_known_one),
        cmocka_unit_test(a_word_that_is_far_from_every_key_is_not_what_was_meant),
        cmocka_unit_test(unknown_options_of_either_client_library_are_refused_whichever_the_bus),
        cmocka_unit_test(options_of_set_are_judged_and_unknown_ones_of_the_environment_ignored),
        cmocka_unit_test(a_wrong_value_says_what_it_has_to_be),
        cmocka_unit_test(exactly_once_is_for_kafka_and_bounds_what_is_on_its_way),
        cmocka_unit_test(values_and_sections_are_not_mixed_up),
        cmocka_unit_test(a_key_that_stands_there_twice_is_refused),
        cmocka_unit_test(yaml_that_cannot_be_parsed_names_its_line),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(the_later_of_default_file_environment_and_set_counts),
        cmocka_unit_test(every_value_knows_where_it_came_from),
        cmocka_unit_test(wrong_values_of_environment_and_set_name_their_source),
        cmocka_unit_test(a_wrong_value_in_the_file_is_refused_though_another_source_overrides_it),
        cmocka_unit_test(an_unknown_dray_variable_is_a_warning_and_helpers_are_none),
        cmocka_unit_test(options_of_the_client_library_pass_through_under_their_own_names),
        cmocka_unit_test(routes_become_the_bytes_of_their_maps),
        cmocka_unit_test(a_bad_route_names_the_line_of_the_field),
        cmocka_unit_test(unknown_keys_of_a_route_are_kept_with_a_warning),
        cmocka_unit_test(keys_within_a_policy_are_looked_at_too),
        cmocka_unit_test(the_bytes_of_a_route_are_looked_at_as_those_of_a_file),
        cmocka_unit_test(an_anchor_that_grows_without_end_is_refused),
        cmocka_unit_test(a_file_of_routes_is_a_route_a_list_or_a_configuration),
        cmocka_unit_test(differences_are_listed_and_live_ones_marked),
        cmocka_unit_test(a_change_is_in_effect_or_needs_a_restart),
        cmocka_unit_test(a_url_loses_its_passwords),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(a_swap_of_neighbours_is_one_edit),
        cmocka_unit_test(every_row_of_the_table_takes_its_own_default_and_has_help),
        cmocka_unit_test(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
