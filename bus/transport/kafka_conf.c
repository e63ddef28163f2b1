/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_conf.c - the properties of our librdkafka handles.
 *
 * Three layers: what we set for speed and the user may change; what the user passes through; and
 * what our guarantees stand on. The last layer cannot be changed: a property of it is refused with
 * the reason, unless it says what we would have set anyway (configurations are copied from other
 * programs).
 *
 * Queue sizes come from the memory budget. The fetcher of librdkafka before 2.2 sleeps for up to a
 * second whenever it has reached queued.min.messages or queued.max.messages.kbytes; with the
 * library's own defaults that was a quarter of the possible throughput. So on those versions the
 * count is as good as unlimited and only bytes bound the queue, a quarter of the budget (each small
 * message costs about as much again beside its bytes). From 2.2 on fetch.queue.backoff.ms cures the
 * cause: 5 ms, and small queues do.
 *
 * message.timeout.ms is 0: a message waits for its broker for as long as that takes. With a short
 * time-out librdkafka reports messages as failed that are in the log (2,350 of 125,780 in a test).
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "assert.h"
#include "kafka_private.h"
#include "mem.h"
#include "nearest.h"

#define MEMORY_BYTES_DEFAULT (256u << 20)
#define NAME_MAX_BYTES       64

/* What we set and nobody changes. uses: bits of enum dri_kafka_use. */
struct fixed {
    const char *name;
    const char *value; /* NULL: no value of the user's is acceptable */
    unsigned uses;
    const char *reason;
};

#define ADMIN    (1u << DRI_KAFKA_ADMIN)
#define GROUP    (1u << DRI_KAFKA_GROUP)
#define LOG      (1u << DRI_KAFKA_LOG)
#define PRODUCER (1u << DRI_KAFKA_PRODUCER)
#define CONSUMER (GROUP | LOG)
#define NOBODY   0u

static const struct fixed fixed_table[] = {
    {"bootstrap.servers", NULL, NOBODY, "the brokers stand in `bus`"},
    {"metadata.broker.list", NULL, NOBODY, "the brokers stand in `bus`"},
    {"group.id", NULL, NOBODY, "the group stands in `group`"},
    {"enable.auto.commit", "false", CONSUMER,
     "a position is committed only after the outcome of its command is stored"},
    {"auto.commit.enable", "false", NOBODY,
     "a position is committed only after the outcome of its command is stored"},
    {"enable.auto.offset.store", "false", CONSUMER,
     "a position is committed only after the outcome of its command is stored"},
    {"auto.offset.reset", "error", CONSUMER,
     "a position out of range is never reset silently; `worker.start` says where a new group "
     "begins"},
    {"enable.partition.eof", "true", LOG, "dray sets it where it reads a log"},
    {"isolation.level", "read_committed", CONSUMER | ADMIN,
     "commands of aborted transactions would be run"},
    {"acks", "all", PRODUCER, "an outcome counts as stored only when all replicas in sync have it"},
    {"request.required.acks", "all", NOBODY,
     "an outcome counts as stored only when all replicas in sync have it"},
    {"enable.idempotence", "true", PRODUCER, "retries would store outcomes twice and out of order"},
    {"enable.gapless.guarantee", "false", NOBODY,
     "one message that is too large would end the producer"},
    {"queuing.strategy", "fifo", NOBODY, "order per key would be lost"},
    {"partitioner", "murmur2_random", PRODUCER,
     "dray and Java clients have to agree on a key's partition"},
    {"partitioner_cb", NULL, NOBODY, "dray and Java clients have to agree on a key's partition"},
    {"delivery.report.only.error", "false", PRODUCER, "dray settles on delivery reports"},
    {"transactional.id", NULL, NOBODY, "transactions are not in this build"},
    {"enabled_events", NULL, NOBODY, "dray serves the events itself"},
    {"log.queue", "false", NOBODY, "dray writes the library's log itself"},
    {"test.mock.num.brokers", NULL, NOBODY, "each handle would get a cluster of its own"},
};

/* What we set and the user may change. */
static const struct fixed default_table[] = {
    {"check.crcs", "true", CONSUMER, NULL},
    {"socket.nagle.disable", "true", ADMIN | CONSUMER | PRODUCER, NULL},
    {"socket.keepalive.enable", "true", ADMIN | CONSUMER | PRODUCER, NULL},
    {"log.connection.close", "false", CONSUMER | PRODUCER, NULL},
    {"log.thread.name", "false", ADMIN | CONSUMER | PRODUCER, NULL},
    {"ssl.endpoint.identification.algorithm", "https", ADMIN | CONSUMER | PRODUCER, NULL},
    {"linger.ms", "5", PRODUCER, NULL},
    {"message.timeout.ms", "0", PRODUCER, NULL},
    {"allow.auto.create.topics", "false", PRODUCER, NULL},
    {"topic.metadata.propagation.max.ms", "10000", PRODUCER, NULL},
    {"partition.assignment.strategy", "roundrobin,range", GROUP, NULL},
};

static bool is_kip848(const struct dri_transport_config *config)
{
    for (size_t i = 0; i < config->options_count; i++) {
        if (strcmp(config->options[i].name, "group.protocol") == 0 &&
            strcasecmp(config->options[i].value, "consumer") == 0) {
            return true;
        }
    }
    return false;
}

bool dri_kafka_conf_is_cooperative(const struct dri_transport_config *config)
{
    for (size_t i = 0; i < config->options_count; i++) {
        const struct dri_option *option = &config->options[i];
        if (strcmp(option->name, "partition.assignment.strategy") == 0 &&
            strstr(option->value, "cooperative") != NULL) {
            return true;
        }
    }
    return is_kip848(config);
}

enum dray_status dri_kafka_parse_url(const char *url, char **ret_bootstrap, char *ret_text,
                                     size_t text_bytes)
{
    static const char scheme[] = "kafka://";
    if (url == NULL || strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        (void)snprintf(ret_text, text_bytes, "\"%s\" is not kafka://host:port,host:port",
                       url == NULL ? "" : url);
        return DRAY_EINVALID;
    }
    const char *at = url + sizeof(scheme) - 1;
    size_t len = strlen(at);
    while (len > 0 && at[len - 1] == '/') {
        len--;
    }
    bool is_host_empty = true;
    bool is_bad = len == 0;
    for (size_t i = 0; i <= len && !is_bad; i++) {
        if (i == len || at[i] == ',') {
            is_bad = is_host_empty;
            is_host_empty = true;
        } else if (at[i] == '/' || at[i] == '@' || at[i] <= ' ' ||
                   (at[i] == ':' && is_host_empty)) {
            is_bad = true;
        } else {
            is_host_empty = false;
        }
    }
    if (is_bad) {
        (void)snprintf(ret_text, text_bytes,
                       "\"%s\" is not kafka://host:port,host:port (a user and a password go into "
                       "kafka.sasl.username and kafka.sasl.password)",
                       url);
        return DRAY_EINVALID;
    }
    char *bootstrap = dri_strndup(at, len);
    if (bootstrap == NULL) {
        return DRAY_ENOMEM;
    }
    *ret_bootstrap = bootstrap;
    return DRAY_OK;
}

/* ---- the library's own table of properties ---- */

struct property {
    char name[NAME_MAX_BYTES];
    char scope; /* 'C', 'P', '*' */
};

struct properties {
    struct property *items;
    size_t count;
};

static void properties_fini(struct properties *properties)
{
    dri_free(properties->items);
    *properties = (struct properties){0};
}

/* A line is "name | scope | range | ..."; everything else is prose. */
static bool property_parse(const char *line, struct property *ret)
{
    const char *bar = strchr(line, '|');
    if (bar == NULL || line[0] == '-' || strncmp(line, "Property ", 9) == 0) {
        return false;
    }
    size_t len = (size_t)(bar - line);
    while (len > 0 && line[len - 1] == ' ') {
        len--;
    }
    const char *scope = bar + 1;
    while (*scope == ' ') {
        scope++;
    }
    if (len == 0 || len >= sizeof(ret->name) || strchr("CP*", *scope) == NULL || *scope == '\0') {
        return false;
    }
    memcpy(ret->name, line, len);
    ret->name[len] = '\0';
    ret->scope = *scope;
    return true;
}

static enum dray_status properties_init(struct properties *properties)
{
    *properties = (struct properties){0};
    char *text = NULL;
    size_t text_len = 0;
    FILE *stream = open_memstream(&text, &text_len);
    if (stream == NULL) {
        return DRAY_ENOMEM;
    }
    rd_kafka_conf_properties_show(stream);
    if (fclose(stream) != 0 || text == NULL) {
        free(text);
        return DRAY_ENOMEM;
    }
    size_t lines = 1;
    for (size_t i = 0; i < text_len; i++) {
        lines += text[i] == '\n';
    }
    properties->items = dri_zalloc_array(lines, sizeof(*properties->items));
    if (properties->items == NULL) {
        free(text);
        return DRAY_ENOMEM;
    }
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (property_parse(line, &properties->items[properties->count])) {
            properties->count++;
        }
    }
    free(text);
    return DRAY_OK;
}

static const struct property *properties_find(const struct properties *properties, const char *name)
{
    for (size_t i = 0; i < properties->count; i++) {
        if (strcmp(properties->items[i].name, name) == 0) {
            return &properties->items[i];
        }
    }
    return NULL;
}

/* ---- what may be set ---- */

static bool values_agree(const char *ours, const char *theirs)
{
    if (strcmp(ours, "all") == 0) {
        return strcasecmp(theirs, "all") == 0 || strcmp(theirs, "-1") == 0;
    }
    return strcasecmp(ours, theirs) == 0;
}

static enum dray_status check_numbers(const struct dri_option *option, char *ret_text,
                                      size_t text_bytes)
{
    long value = strtol(option->value, NULL, 10);
    const char *reason = NULL;
    if (strcmp(option->name, "message.timeout.ms") == 0 ||
        strcmp(option->name, "delivery.timeout.ms") == 0) {
        reason =
            value != 0 && value < 300000
                ? "a message that is given up early may be stored all the same, and then comes "
                  "twice and out of order; 0 (no limit) or at least 300000"
                : NULL;
    } else if (strcmp(option->name, "max.in.flight") == 0 ||
               strcmp(option->name, "max.in.flight.requests.per.connection") == 0) {
        reason = value > 5 ? "an idempotent producer keeps order with at most 5" : NULL;
    } else if (strcmp(option->name, "retries") == 0 ||
               strcmp(option->name, "message.send.max.retries") == 0) {
        reason = value < 1 ? "an idempotent producer has to retry" : NULL;
    }
    if (reason == NULL) {
        return DRAY_OK;
    }
    (void)snprintf(ret_text, text_bytes, "kafka.%s: \"%s\" is refused: %s", option->name,
                   option->value, reason);
    return DRAY_EINVALID;
}

static enum dray_status check_versions(const struct dri_option *option, int version, char *ret_text,
                                       size_t text_bytes)
{
    bool is_strategy = strcmp(option->name, "partition.assignment.strategy") == 0;
    if (is_strategy && strstr(option->value, "cooperative") != NULL) {
        if (strcmp(option->value, "cooperative-sticky") != 0) {
            (void)snprintf(ret_text, text_bytes,
                           "kafka.%s: \"%s\": cooperative-sticky cannot be mixed with others",
                           option->name, option->value);
            return DRAY_EINVALID;
        }
        if (version < DRI_KAFKA_COOPERATIVE_VERSION) {
            (void)snprintf(
                ret_text, text_bytes,
                "kafka.%s: cooperative-sticky needs librdkafka 2.10.1, this is %s: older "
                "ones lose assignments and fetch from old positions; use "
                "roundrobin,range",
                option->name, rd_kafka_version_str());
            return DRAY_EUNSUPPORTED;
        }
    }
    if (strcmp(option->name, "group.protocol") == 0 && strcasecmp(option->value, "classic") != 0 &&
        version < DRI_KAFKA_KIP848_VERSION) {
        (void)snprintf(ret_text, text_bytes,
                       "kafka.%s: \"%s\" needs librdkafka 2.12, this is %s; leave it at classic",
                       option->name, option->value, rd_kafka_version_str());
        return DRAY_EUNSUPPORTED;
    }
    return DRAY_OK;
}

enum dray_status dri_kafka_option_check(const struct dri_option *option, int version,
                                        char *ret_text, size_t text_bytes)
{
    for (size_t i = 0; i < DRI_ARRAY_LEN(fixed_table); i++) {
        const struct fixed *fixed = &fixed_table[i];
        if (strcmp(fixed->name, option->name) == 0 &&
            (fixed->value == NULL || !values_agree(fixed->value, option->value))) {
            (void)snprintf(ret_text, text_bytes, "kafka.%s: \"%s\" is refused: %s", option->name,
                           option->value, fixed->reason);
            return DRAY_EINVALID;
        }
    }
    enum dray_status status = check_versions(option, version, ret_text, text_bytes);
    return status != DRAY_OK ? status : check_numbers(option, ret_text, text_bytes);
}

static bool is_fixed(const char *name)
{
    for (size_t i = 0; i < DRI_ARRAY_LEN(fixed_table); i++) {
        if (strcmp(fixed_table[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- building ---- */

/* One set of properties in the making. */
struct build {
    rd_kafka_conf_t *conf;
    const struct dri_transport_config *config;
    const struct dri_kafka_facts *facts; /* NULL: nothing is known of the brokers */
    struct properties properties;
    enum dri_kafka_use use;
    char *text; /* what went wrong */
    size_t text_bytes;
};

/* Ours: the library must know it, whatever its version, or it is not in the tables. */
static enum dray_status set_ours(struct build *build, const char *name, const char *value)
{
    char reason[256];
    if (rd_kafka_conf_set(build->conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK) {
        (void)snprintf(build->text, build->text_bytes, "librdkafka %s does not take %s=%s: %s",
                       rd_kafka_version_str(), name, value, reason);
        return DRAY_EUNSUPPORTED;
    }
    return DRAY_OK;
}

static enum dray_status set_number(struct build *build, const char *name, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return set_ours(build, name, text);
}

/* except may be NULL. */
static enum dray_status set_table(struct build *build, const struct fixed *table, size_t count,
                                  const char *except)
{
    for (size_t i = 0; i < count; i++) {
        if ((table[i].uses & (1u << build->use)) == 0 ||
            (except != NULL && strcmp(table[i].name, except) == 0)) {
            continue;
        }
        enum dray_status status = set_ours(build, table[i].name, table[i].value);
        if (status != DRAY_OK) {
            return status;
        }
    }
    return DRAY_OK;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static uint64_t memory_of(const struct dri_transport_config *config)
{
    return config->memory_bytes == 0 ? MEMORY_BYTES_DEFAULT : config->memory_bytes;
}

static enum dray_status set_fetch_sizes(struct build *build)
{
    bool has_backoff = properties_find(&build->properties, "fetch.queue.backoff.ms") != NULL;
    bool is_log = build->use == DRI_KAFKA_LOG;
    uint64_t share = is_log ? 16 : has_backoff ? 8 : 4;
    uint64_t kbytes = memory_of(build->config) / share >> 10;
    kbytes = clamp(kbytes, 1024, has_backoff || is_log ? 65536 : 2097151);
    enum dray_status status = set_number(build, "queued.max.messages.kbytes", kbytes);
    if (status == DRAY_OK) {
        status = set_number(build, "queued.min.messages", has_backoff ? 100000 : 10000000);
    }
    if (status == DRAY_OK && has_backoff) {
        status = set_number(build, "fetch.queue.backoff.ms", 5);
    }
    return status;
}

/* What kafka_progress.c looks at. */
static enum dray_status set_statistics(struct build *build)
{
    uint32_t progress_ms = build->config->progress_ms;
    uint32_t look_ms = progress_ms == 0 ? 0 : dri_kafka_progress_look_ms(progress_ms);
    return set_number(build, "statistics.interval.ms", look_ms);
}

static enum dray_status set_producer_sizes(struct build *build)
{
    uint64_t broker_max = build->facts == NULL ? 0 : build->facts->message_bytes_max;
    /* Where its limit is known, the broker decides what is too large; but a batch over that limit
     * would be refused whole, with every small message in it. */
    uint64_t message_max = broker_max == 0 ? 1000000 : clamp(broker_max, 16u << 20, 1000000000);
    uint64_t batch = broker_max == 0 ? 1000000 : clamp(broker_max - broker_max / 16, 1, 1000000);
    uint64_t kbytes =
        clamp(memory_of(build->config) / 4, message_max * 2, (uint64_t)INT32_MAX << 10) >> 10;
    uint64_t messages = clamp(build->config->unacked_max, 1000, 10000000);
    enum dray_status status = set_number(build, "message.max.bytes", message_max);
    if (status == DRAY_OK) {
        status = set_number(build, "batch.size", batch);
    }
    if (status == DRAY_OK) {
        status = set_number(build, "queue.buffering.max.kbytes", kbytes);
    }
    if (status == DRAY_OK) {
        status = set_number(build, "queue.buffering.max.messages", messages);
    }
    return status;
}

/* A producer would warn about each consumer property, and the other way round. */
static bool is_for(const struct property *property, enum dri_kafka_use use)
{
    char mine = use == DRI_KAFKA_PRODUCER ? 'P' : 'C';
    bool is_group_only = strcmp(property->name, "group.instance.id") == 0 ||
                         strcmp(property->name, "group.protocol") == 0;
    if (is_group_only && use != DRI_KAFKA_GROUP) {
        return false;
    }
    return property->scope == '*' || (use != DRI_KAFKA_ADMIN && property->scope == mine);
}

static enum dray_status unknown_option(struct build *build, const struct dri_option *option)
{
    struct dri_nearest nearest;
    dri_nearest_init(&nearest, option->name);
    for (size_t i = 0; i < build->properties.count; i++) {
        const char *name = build->properties.items[i].name;
        size_t len = strlen(name);
        if (len < 3 || strcmp(name + len - 3, "_cb") != 0) { /* what only a program can set */
            dri_nearest_show(&nearest, name);
        }
    }
    (void)snprintf(build->text, build->text_bytes,
                   dri_nearest_is_near(&nearest)
                       ? "kafka.%s: librdkafka %s has no such property; did you mean \"%s\"?"
                       : "kafka.%s: librdkafka %s has no such property; the nearest known one is "
                         "\"%s\"",
                   option->name, rd_kafka_version_str(), nearest.word);
    return DRAY_EINVALID;
}

static enum dray_status set_value(struct build *build, const struct dri_option *option)
{
    char reason[256];
    if (rd_kafka_conf_set(build->conf, option->name, option->value, reason, sizeof(reason)) !=
        RD_KAFKA_CONF_OK) {
        (void)snprintf(build->text, build->text_bytes, "kafka.%s: %s", option->name, reason);
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

static enum dray_status set_option(struct build *build, const struct dri_option *option)
{
    enum dray_status status =
        dri_kafka_option_check(option, rd_kafka_version(), build->text, build->text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    const struct property *property = properties_find(&build->properties, option->name);
    if (property == NULL) {
        return unknown_option(build, option);
    }
    if (is_fixed(option->name) || !is_for(property, build->use)) {
        return DRAY_OK;
    }
    return set_value(build, option);
}

static enum dray_status set_options(struct build *build)
{
    for (size_t i = 0; i < build->config->options_count; i++) {
        enum dray_status status = set_option(build, &build->config->options[i]);
        if (status != DRAY_OK) {
            return status;
        }
    }
    return DRAY_OK;
}

static enum dray_status set_identity(struct build *build)
{
    const struct dri_transport_config *config = build->config;
    const char *client = config->client_id == NULL ? "dray" : config->client_id;
    char *bootstrap = NULL;
    enum dray_status status =
        dri_kafka_parse_url(config->url, &bootstrap, build->text, build->text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    status = set_ours(build, "bootstrap.servers", bootstrap);
    dri_free(bootstrap);
    if (status == DRAY_OK) {
        status = set_ours(build, "client.id", client);
    }
    if (status == DRAY_OK && build->use == DRI_KAFKA_GROUP) {
        status = set_ours(build, "group.id", config->group);
    }
    if (status == DRAY_OK && build->use == DRI_KAFKA_LOG) {
        /* Never joined and never committed to: the library's consumer wants one all the same. */
        char group[256];
        (void)snprintf(group, sizeof(group), "dray-log-%s", client);
        status = set_ours(build, "group.id", group);
    }
    return status;
}

/* Where a follower ends is told by the library, where a log ends too. */
static bool has_followers(const struct dri_transport_config *config)
{
    bool has_one = false;
    for (size_t i = 0; i < config->sources_count; i++) {
        has_one = has_one || dri_kafka_role_follows(config->sources[i].role);
    }
    return has_one;
}

static enum dray_status set_all(struct build *build)
{
    enum dray_status status = set_identity(build);
    if (status == DRAY_OK) {
        /* The broker assigns there, and the library refuses a client-side strategy. */
        status = set_table(build, default_table, DRI_ARRAY_LEN(default_table),
                           is_kip848(build->config) ? "partition.assignment.strategy" : NULL);
    }
    if (status == DRAY_OK && (build->use == DRI_KAFKA_GROUP || build->use == DRI_KAFKA_LOG)) {
        status = set_fetch_sizes(build);
    }
    if (status == DRAY_OK && build->use == DRI_KAFKA_GROUP) {
        status = set_statistics(build);
    }
    if (status == DRAY_OK && build->use == DRI_KAFKA_PRODUCER) {
        status = set_producer_sizes(build);
    }
    if (status == DRAY_OK) {
        status = set_options(build);
    }
    if (status == DRAY_OK) {
        status = set_table(build, fixed_table, DRI_ARRAY_LEN(fixed_table), NULL);
    }
    if (status == DRAY_OK && build->use == DRI_KAFKA_GROUP && has_followers(build->config)) {
        status = set_ours(build, "enable.partition.eof", "true");
    }
    return status;
}

enum dray_status dri_kafka_conf_create(const struct dri_transport_config *config,
                                       enum dri_kafka_use use, const struct dri_kafka_facts *facts,
                                       rd_kafka_conf_t **ret_conf, char *ret_text,
                                       size_t text_bytes)
{
    struct build build = {
        .config = config, .facts = facts, .use = use, .text = ret_text, .text_bytes = text_bytes};
    enum dray_status status = properties_init(&build.properties);
    if (status != DRAY_OK) {
        return status;
    }
    build.conf = rd_kafka_conf_new();
    status = set_all(&build);
    properties_fini(&build.properties);
    if (status != DRAY_OK) {
        rd_kafka_conf_destroy(build.conf);
        return status;
    }
    rd_kafka_conf_set_log_cb(build.conf, dri_kafka_log_line);
    *ret_conf = build.conf;
    return DRAY_OK;
}

/* Known names, and values that the library takes, whatever the handle. */
static enum dray_status judge_option(struct build *build, const struct dri_option *option)
{
    enum dray_status status =
        dri_kafka_option_check(option, rd_kafka_version(), build->text, build->text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    if (properties_find(&build->properties, option->name) == NULL) {
        (void)unknown_option(build, option);
        return DRAY_ENOTFOUND;
    }
    /* Setting this one loads the plugins: too much for a look. */
    bool acts = strcmp(option->name, "plugin.library.paths") == 0;
    return is_fixed(option->name) || acts ? DRAY_OK : set_value(build, option);
}

enum dray_status dri_kafka_check_option(const struct dri_option *option, char *ret_text,
                                        size_t text_bytes)
{
    struct build build = {.text = ret_text, .text_bytes = text_bytes};
    enum dray_status status = properties_init(&build.properties);
    if (status != DRAY_OK) {
        return status;
    }
    build.conf = rd_kafka_conf_new();
    status = judge_option(&build, option);
    rd_kafka_conf_destroy(build.conf);
    properties_fini(&build.properties);
    return status;
}

enum dray_status dri_kafka_check_config(const struct dri_transport_config *config, char *ret_text,
                                        size_t text_bytes)
{
    enum dray_status status = DRAY_OK;
    for (int use = DRI_KAFKA_ADMIN; status == DRAY_OK && use <= DRI_KAFKA_PRODUCER; use++) {
        rd_kafka_conf_t *conf = NULL;
        if (use == DRI_KAFKA_GROUP && config->group == NULL) {
            continue;
        }
        status = dri_kafka_conf_create(config, (enum dri_kafka_use)use, NULL, &conf, ret_text,
                                       text_bytes);
        if (status == DRAY_OK) {
            rd_kafka_conf_destroy(conf);
        }
    }
    return status;
}
