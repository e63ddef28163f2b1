/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* sim_open.c - opening a transport to the simulated broker, its topics, and brokers by URL.
 *
 * A URL names a broker of this process, so that the parts of a worker that only have a URL meet
 * each other. It is correct, runs on real time, and is made by the first who comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "sim_inside.h"

/* --- brokers by name
 * ------------------------------------------------------------------------------ */

struct shared {
    struct shared *next;
    char *name;
    struct dri_sim_broker *broker;
};

static struct dri_lock shared_lock = {PTHREAD_MUTEX_INITIALIZER, DRI_LOCK_TRANSPORT};
static struct shared *shared_list; /* guarded by shared_lock */

static struct shared **find_shared(const char *name)
{
    struct shared **at = &shared_list;
    while (*at != NULL && strcmp((*at)->name, name) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static struct shared *make_shared(const char *name, const struct dri_sim_config *config)
{
    struct shared *shared = dri_zalloc(sizeof(*shared));
    if (shared == NULL) {
        return NULL;
    }
    shared->name = dri_strdup(name);
    if (shared->name == NULL || dri_sim_create(config, &shared->broker) != DRAY_OK) {
        dri_free(shared->name);
        dri_free(shared);
        return NULL;
    }
    return shared;
}

enum dray_status dri_sim_shared(const char *name, const struct dri_sim_config *config,
                                struct dri_sim_broker **ret_broker)
{
    enum dray_status status = DRAY_OK;
    dri_lock_take(&shared_lock);
    struct shared **at = find_shared(name);
    if (*at == NULL) {
        *at = make_shared(name, config);
    }
    if (*at != NULL) {
        *ret_broker = (*at)->broker;
    } else {
        status = DRAY_ENOMEM;
    }
    dri_lock_drop(&shared_lock);
    return status;
}

void dri_sim_forget(const char *name)
{
    dri_lock_take(&shared_lock);
    struct shared **at = find_shared(name);
    struct shared *found = *at;
    if (found != NULL) {
        *at = found->next;
    }
    dri_lock_drop(&shared_lock);
    if (found != NULL) {
        dri_sim_destroy(found->broker);
        dri_free(found->name);
        dri_free(found);
    }
}

/* --- options
 * -------------------------------------------------------------------------------------- */

static bool read_option(const struct dri_option *option, struct dri_sim_config *config)
{
    if (strcmp(option->name, "mode") == 0) {
        config->is_partitioned = strcmp(option->value, "partitioned") == 0;
        bool is_each = config->is_partitioned || strcmp(option->value, "each") == 0;
        config->mode = is_each ? DRI_SETTLE_EACH : DRI_SETTLE_WATERMARK;
        return is_each || strcmp(option->value, "watermark") == 0;
    }
    if (strcmp(option->name, "lease_ms") == 0) {
        char *end = NULL;
        unsigned long value = strtoul(option->value, &end, 10);
        config->lease_ms = (uint32_t)value;
        return *end == '\0' && value > 0 && value <= 3600000;
    }
    return false;
}

static enum dray_status read_options(const struct dri_transport_config *config,
                                     struct dri_sim_config *ret_config, char *ret_text,
                                     size_t text_bytes)
{
    *ret_config = (struct dri_sim_config){.seed = 1};
    for (size_t i = 0; i < config->options_count; i++) {
        const struct dri_option *option = &config->options[i];
        if (!read_option(option, ret_config)) {
            (void)snprintf(ret_text, text_bytes,
                           "sim: %s=%s is no option; there is mode=watermark|each|partitioned and "
                           "lease_ms=N",
                           option->name, option->value);
            return DRAY_EINVALID;
        }
    }
    return DRAY_OK;
}

enum dray_status sim_check_config(const struct dri_transport_config *config, char *ret_text,
                                  size_t text_bytes)
{
    struct dri_sim_config options;
    return read_options(config, &options, ret_text, text_bytes);
}

enum dray_status sim_check_option(const struct dri_option *option, char *ret_text,
                                  size_t text_bytes)
{
    const struct dri_transport_config config = {.options = option, .options_count = 1};
    return sim_check_config(&config, ret_text, text_bytes);
}

static enum dray_status find_broker(const struct dri_transport_config *config,
                                    struct dri_sim_broker **ret_broker, char *ret_text,
                                    size_t text_bytes)
{
    static const char prefix[] = "sim://";
    struct dri_sim_config options;
    enum dray_status status = read_options(config, &options, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    if (config->sim != NULL) {
        *ret_broker = config->sim;
        return DRAY_OK;
    }
    if (config->url == NULL || strncmp(config->url, prefix, strlen(prefix)) != 0) {
        (void)snprintf(ret_text, text_bytes, "sim: \"%s\" is no URL of mine; say sim://name",
                       config->url == NULL ? "" : config->url);
        return DRAY_EINVALID;
    }
    status = dri_sim_shared(config->url + strlen(prefix), &options, ret_broker);
    if (status != DRAY_OK) {
        (void)snprintf(ret_text, text_bytes, "sim: out of memory");
    }
    return status;
}

/* --- topics
 * --------------------------------------------------------------------------------------- */

/* A follower has those of its commands, which stand before it in the list or are there already. */
static uint32_t commands_partitions(struct dri_sim_broker *broker,
                                    const struct dri_transport_config *config)
{
    for (size_t i = 0; i < config->topics_count; i++) {
        struct dray_slice name = dray_slice_text(config->topics[i].topic);
        const struct sim_topic *found =
            config->topics[i].use == DRI_USE_COMMANDS ? sim_topic_find(broker, name) : NULL;
        if (found != NULL) {
            return found->partitions_count;
        }
    }
    return config->partitions;
}

static uint32_t wanted_partitions(struct dri_sim_broker *broker,
                                  const struct dri_transport_config *config,
                                  const struct dri_topic *topic)
{
    switch (topic->use) {
    case DRI_USE_PARK:
    case DRI_USE_WINDOW:
        return commands_partitions(broker, config);
    case DRI_USE_COMMANDS:
    case DRI_USE_DEAD_LETTERS:
    case DRI_USE_REPLAY:
    case DRI_USE_RESULTS:
        return config->partitions == 0 ? 1 : config->partitions;
    case DRI_USE_CONTROL:
    case DRI_USE_STATUS:
        break;
    }
    return 1;
}

static void report_topic(struct dri_sim_broker *broker, const struct dri_transport_config *config,
                         const struct dri_topic *topic, struct dri_topic_report *ret_report)
{
    struct sim_topic *found = sim_topic_find(broker, dray_slice_text(topic->topic));
    *ret_report = (struct dri_topic_report){.topic = topic->topic};
    if (found == NULL && config->can_create) {
        uint32_t partitions = wanted_partitions(broker, config, topic);
        found = sim_topic_make(broker, topic->topic, partitions);
        ret_report->was_created = found != NULL;
        ret_report->status = found == NULL ? DRAY_ENOMEM : DRAY_OK;
    } else if (found == NULL) {
        ret_report->status = DRAY_ENOTFOUND;
        (void)snprintf(ret_report->text, sizeof(ret_report->text),
                       "topic \"%s\" does not exist; set create_topics, or run dray doctor --fix",
                       topic->topic);
    } else if (found->refusal == DRAY_EAUTH) {
        ret_report->status = DRAY_EAUTH;
        (void)snprintf(ret_report->text, sizeof(ret_report->text), "topic \"%s\": not permitted",
                       topic->topic);
    }
    ret_report->partitions = found == NULL ? 0 : found->partitions_count;
}

static enum dray_status check_locked(struct dri_sim_broker *broker,
                                     const struct dri_transport_config *config,
                                     struct dri_topic_report *reports)
{
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; i < config->topics_count; i++) {
        report_topic(broker, config, &config->topics[i], &reports[i]);
        status = status == DRAY_OK ? reports[i].status : status;
    }
    return status;
}

enum dray_status sim_check(const struct dri_transport_config *config,
                           struct dri_transport_info *ret_info, struct dri_topic_report *reports,
                           char *ret_text, size_t text_bytes)
{
    struct dri_sim_broker *broker = NULL;
    enum dray_status status = find_broker(config, &broker, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    dri_lock_take(&broker->lock);
    sim_fill_info(broker, ret_info);
    (void)check_locked(broker, config, reports); /* each report says it for itself */
    dri_lock_drop(&broker->lock);
    return DRAY_OK;
}

/* --- open
 * ----------------------------------------------------------------------------------------- */

static enum dray_status check_topics(struct dri_sim_broker *broker,
                                     const struct dri_transport_config *config, char *ret_text,
                                     size_t text_bytes)
{
    for (size_t i = 0; i < config->topics_count; i++) {
        struct dri_topic_report report;
        report_topic(broker, config, &config->topics[i], &report);
        if (report.status != DRAY_OK && report.status != DRAY_EAUTH) {
            (void)snprintf(ret_text, text_bytes, "sim: %s", report.text);
            return report.status;
        }
    }
    return DRAY_OK;
}

static bool has_position(struct dri_sim_broker *broker, const char *group,
                         const struct sim_topic *topic)
{
    struct sim_group *found = group == NULL ? NULL : sim_group_get(broker, group);
    for (uint32_t i = 0; found != NULL && i < topic->partitions_count; i++) {
        const struct sim_claim *claim = sim_claim_find(found, &topic->partitions[i]);
        if (claim == NULL || (claim->committed < 0 && claim->fresh == 0)) {
            return false;
        }
    }
    return found != NULL;
}

static enum dray_status check_sources(struct dri_sim_broker *broker,
                                      const struct dri_transport_config *config, char *ret_text,
                                      size_t text_bytes)
{
    for (size_t i = 0; i < config->sources_count; i++) {
        const struct dri_source *source = &config->sources[i];
        const struct sim_topic *topic = sim_topic_find(broker, dray_slice_text(source->topic));
        if (topic == NULL) {
            (void)snprintf(
                ret_text, text_bytes,
                "sim: topic \"%s\" does not exist; set create_topics, or run dray doctor --fix",
                source->topic);
            return DRAY_ENOTFOUND;
        }
        if (source->role != DRI_ROLE_LOG && config->group == NULL) {
            (void)snprintf(ret_text, text_bytes, "sim: \"%s\" needs a group", source->topic);
            return DRAY_EINVALID;
        }
        if (source->start == DRI_START_FAIL && source->role != DRI_ROLE_LOG &&
            !sim_is_follower(source->role) && !has_position(broker, config->group, topic)) {
            (void)snprintf(ret_text, text_bytes,
                           "sim: group \"%s\" has no position in \"%s\", and start is fail",
                           config->group, source->topic);
            return DRAY_ENOTFOUND;
        }
    }
    return DRAY_OK;
}

/* Each partition of the commands has one of each follower. */
static enum dray_status check_followers(struct dri_sim_broker *broker,
                                        const struct dri_transport_config *config, char *ret_text,
                                        size_t text_bytes)
{
    const struct sim_topic *commands = NULL;
    for (size_t i = 0; i < config->sources_count && commands == NULL; i++) {
        if (config->sources[i].role == DRI_ROLE_COMMANDS) {
            commands = sim_topic_find(broker, dray_slice_text(config->sources[i].topic));
        }
    }
    for (size_t i = 0; i < config->sources_count; i++) {
        const struct dri_source *source = &config->sources[i];
        if (!sim_is_follower(source->role)) {
            continue;
        }
        const struct sim_topic *topic = sim_topic_find(broker, dray_slice_text(source->topic));
        if (commands == NULL) {
            (void)snprintf(ret_text, text_bytes, "sim: \"%s\" has no commands to follow",
                           source->topic);
            return DRAY_EINVALID;
        }
        if (!sim_is_shared(broker, source->role) &&
            topic->partitions_count < commands->partitions_count) {
            (void)snprintf(ret_text, text_bytes,
                           "sim: topic \"%s\" has %u partitions and \"%s\" has %u; give it as many",
                           source->topic, topic->partitions_count, commands->name,
                           commands->partitions_count);
            return DRAY_EINVALID;
        }
    }
    return DRAY_OK;
}

static bool open_logs(struct dri_transport *client, const struct dri_transport_config *config)
{
    for (size_t i = 0; i < config->sources_count; i++) {
        const struct dri_source *source = &config->sources[i];
        struct sim_topic *topic = sim_topic_find(client->broker, dray_slice_text(source->topic));
        for (uint32_t p = 0; source->role == DRI_ROLE_LOG && p < topic->partitions_count; p++) {
            uint32_t slot = sim_slot_get(client, &topic->partitions[p], NULL, source->role);
            if (slot == UINT32_MAX) {
                return false;
            }
            sim_slot_open_log(client, slot, source);
        }
    }
    return true;
}

static struct dri_transport *make_client(struct dri_sim_broker *broker,
                                         const struct dri_transport_config *config)
{
    struct dri_transport *client = dri_zalloc(sizeof(*client));
    if (client == NULL) {
        return NULL;
    }
    client->base.ops = &dri_sim_ops;
    client->broker = broker;
    client->number = ++broker->clients_count;
    client->operations_left = UINT64_MAX;
    client->unacked_max = config->unacked_max;
    client->last_messages_max = 1; /* until the first poll says otherwise */
    client->last_poll_ns = broker->now.mono_ns;
    struct dri_transport **last = &broker->clients;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = client;
    return client;
}

enum dray_status sim_open(const struct dri_transport_config *config,
                          struct dri_transport **ret_transport, char *ret_text, size_t text_bytes)
{
    struct dri_sim_broker *broker = NULL;
    struct dri_transport *client = NULL;
    enum dray_status status = find_broker(config, &broker, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    dri_lock_take(&broker->lock);
    status = check_topics(broker, config, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = check_sources(broker, config, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = check_followers(broker, config, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        client = make_client(broker, config);
        bool is_open = client != NULL && (config->group == NULL || sim_join(client, config)) &&
                       open_logs(client, config);
        status = is_open ? DRAY_OK : DRAY_ENOMEM;
        sim_groups_tick(broker);
    }
    dri_lock_drop(&broker->lock);
    if (status != DRAY_OK && client != NULL) {
        (void)snprintf(ret_text, text_bytes, "sim: out of memory");
        dri_sim_ops.close(client, 0);
        dri_sim_ops.destroy(client);
        client = NULL;
    }
    if (status == DRAY_OK) {
        *ret_transport = client;
    }
    return status;
}
