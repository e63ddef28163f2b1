/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_TRANSPORT_CONFIG_H
#define DRI_TRANSPORT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* transport_config.h - what a transport is opened with: sources, topics, bounds, options.
 *
 * Part of transport.h, which says what becomes of it.
 */

/** What a source is for. Two roles never share a slot. */
enum dri_source_role {
    DRI_ROLE_COMMANDS,
    DRI_ROLE_REPLAY,
    DRI_ROLE_PARK,
    DRI_ROLE_DELAY, /* a message is handed up when it has been there for source.delay_ms, or up to
                       an eighth of it earlier; at most a few wait in memory until then */
    DRI_ROLE_LOG,   /* read from a position, without a group: control, status, dead letters, results
                     */
};

/** Where reading starts. For a group: when it has no committed position. */
enum dri_start {
    DRI_START_EARLIEST,
    DRI_START_LATEST,
    DRI_START_FAIL,   /* a group without a position is an error */
    DRI_START_OFFSET, /* DRI_ROLE_LOG only: at source.start_offset (and the same on every partition)
                       */
};

struct dri_source {
    const char *topic; /* Kafka topic, NATS subject (wildcards as NATS has them) */
    enum dri_source_role role;
    enum dri_start start;
    uint64_t start_offset;
    uint64_t delay_ms; /* DRI_ROLE_DELAY */
};

/** Whether a message of a DELAY source that was stored at stored_ms may be handed up. */
static inline bool dri_delay_is_over(uint64_t delay_ms, int64_t stored_ms, uint64_t now_ms)
{
    return stored_ms <= 0 || now_ms >= (uint64_t)stored_ms + delay_ms - delay_ms / 8;
}

/** What a topic is for decides how it is created. */
enum dri_topic_use {
    DRI_USE_COMMANDS,
    DRI_USE_RESULTS,
    DRI_USE_DEAD_LETTERS, /* partition count of the commands topic; also replay and park */
    DRI_USE_REPLAY,
    DRI_USE_PARK,
    DRI_USE_DELAY,   /* partition count of the commands topic */
    DRI_USE_CONTROL, /* one partition, kept for ever */
    DRI_USE_STATUS,  /* compacted; NATS: one message per subject */
};

struct dri_topic {
    const char *topic;
    enum dri_topic_use use;
};

struct dri_option {
    const char *name;
    const char *value;
};

struct dri_transport_config {
    const char *url;                  /* kafka://host:port,... | nats://host:port | sim://... */
    const char *group;                /* NULL: no group; then sources must all be DRI_ROLE_LOG */
    const char *client_id;            /* worker id */
    const struct dri_source *sources; /* may be none: publish only */
    size_t sources_count;
    const struct dri_topic *topics; /* that must exist, sources and outputs alike */
    size_t topics_count;
    bool can_create;              /* create what is missing; else ENOTFOUND that names it */
    uint32_t partitions;          /* of a created commands topic */
    uint32_t timeout_ms;          /* of open */
    uint32_t unacked_max;         /* publishes out at once; 0: nothing will be published */
    uint32_t in_flight_max;       /* deliveries out at once, for servers that bound them */
    uint64_t memory_bytes;        /* budget for client queues */
    uint32_t progress_ms;         /* 0: off */
    const char *transactional_id; /* publishes and settles go into transactions; NULL: not */
    void (*on_crash_point)(const char *name); /* for tests; any thread; NULL: none */
    const struct dri_option *options;         /* passed through to the client library, checked */
    size_t options_count;
    void *sim; /* the simulated broker; NULL else */
};

#endif
