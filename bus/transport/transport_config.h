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
    DRI_ROLE_PARK,   /* follows the commands: see below */
    DRI_ROLE_WINDOW, /* follows the commands: see below */
    DRI_ROLE_DELAY,  /* a message is handed up when it has been there for source.delay_ms, or up to
                        an eighth of it earlier; at most a few wait in memory until then */
    DRI_ROLE_LOG, /* read from a position, without a group: control, status, dead letters, results
                   */
};

/* A source with role PARK or WINDOW *follows* the commands source. The group is not asked about it:
 * whoever is given partition n of the commands gets partition n of each follower with it, whatever
 * the assignor says, and loses it with it. (NATS: subject "<topic>.p.<n>" beside
 * "<commands>.p.<n>"; without nats.partitions a PARK source is left out, and a WINDOW source is one
 * slot, "<topic>", that every replica reads.)
 *
 * ASSIGNED of the followers comes before that of their commands slot, and names no partner; the
 * commands slot (and, on Kafka, the replay slot of the same partition) names them. MESSAGE events
 * of the commands slot come only after CAUGHT_UP of every follower of it: the end that the follower
 * had when it was assigned was reached. Then it goes on as a tail.
 *
 * PARK     starts at the group's committed position, at the beginning when there is none, and is
 *          settled: by WATERMARK with metadata on Kafka (committed for the group like any other
 *          position); on NATS by EACH with lease_ns 0: settling deletes the message from its
 *          stream, again until the server has answered, and delivery is its sequence.
 * WINDOW   starts at the beginning of its log, and is never settled.
 *
 * pause and resume work on followers as on any slot; a paused commands slot does not pause them.
 * REVOKED and LOST of the commands slot come first, then those of its followers; the partition goes
 * to others when all of them were let go. A replay slot names followers when the commands of its
 * partition were there before it; those may go, and come back with another epoch, while it stays.
 * Its messages are held back whenever a follower of its partition is here and has not caught up. A
 * publish to a follower's topic names its partition (NATS, with partitions: it goes to
 * "<topic>.p.<n>"). */

#define DRI_SLOT_NONE UINT32_MAX

/** Where reading starts. For a group: when it has no committed position. */
enum dri_start {
    DRI_START_EARLIEST,
    DRI_START_LATEST,
    DRI_START_FAIL,   /* a group without a position is an error */
    DRI_START_GROUP,  /* DRI_ROLE_LOG only: where config.group stands, without joining it; ASSIGNED
                         has its position and metadata. At the begin when the broker has none */
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
    DRI_USE_PARK,    /* as dead letters, but kept for ever */
    DRI_USE_WINDOW,  /* partition count of the commands topic; old records go after window_ms */
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
    uint64_t window_ms;           /* how long a created WINDOW topic keeps a record */
    bool wants_stamps;            /* warn when writers stamp the records of the CONTROL topic */
    const char *transactional_id; /* publishes and settles go into transactions; NULL: not */
    void (*on_crash_point)(const char *name); /* for tests; any thread; NULL: none */
    const struct dri_option *options;         /* passed through to the client library, checked */
    size_t options_count;
    void *sim; /* the simulated broker; NULL else */
};

#endif
