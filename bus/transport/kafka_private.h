/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_KAFKA_PRIVATE_H
#define DRI_KAFKA_PRIVATE_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "kafka_transaction.h"
#include "transport.h"

/* kafka_private.h - what the files of the Kafka transport share: data here, functions in
 * kafka_parts.h, which it brings along. Nobody else includes either, except
 * tests.
 *
 * kafka.c          life, poll, errors
 * kafka_conf.c     properties: ours, the user's, the refused ones
 * kafka_admin.c    topics: look, create, describe; begins and ends
 * kafka_group.c    the group's assignments
 * kafka_follow.c   partitions that go with those of the commands
 * kafka_slots.c    slots and the events that they owe the owner
 * kafka_commit.c   positions
 * kafka_fetch.c    messages, back-pressure, the log reader
 * kafka_publish.c  the producer
 * kafka_transaction.c  the producer's transactions
 * kafka_headers.c  headers, flat form to librdkafka's and back
 * kafka_progress.c    a partition that has messages and gives none
 * kafka_statistics.c  the numbers for that
 *
 * Threads: one owner for everything in here, but for what is marked.
 */

#define DRI_KAFKA_METADATA_MAX   3900u /* of a commit: the broker takes 4096 (K2) */
#define DRI_KAFKA_NOTICES        8u
#define DRI_KAFKA_STASH          64u
#define DRI_KAFKA_BATCH          256u
#define DRI_KAFKA_TOPICS_MAX     256u
#define DRI_KAFKA_HOLD_NS        500000000u  /* back-pressure for so long pauses the partitions */
#define DRI_KAFKA_FINAL_NS       5000000000u /* a final settle is answered by then */
#define DRI_KAFKA_LOOKUP_MS      10000       /* one request for committed positions */
#define DRI_KAFKA_LOOKUP_WAIT_NS 200000000u  /* before the second; doubles five times */
#define DRI_KAFKA_ENDS_MS        2000        /* one question for the ends of partitions; blocks */
#define DRI_KAFKA_PURGE_NS       5000000000u /* for the reports of a producer that is given up */
#define DRI_KAFKA_REVIVE_NS      1000000000u /* first wait between two producers; doubles */
#define DRI_KAFKA_REVIVE_MAX_NS  30000000000u
#define DRI_KAFKA_REFRESH_NS     3600000000000u /* a position that nobody subscribes to goes again */
#define DRI_KAFKA_REVIVE_TXN_NS  100000000u     /* the first wait after a broken transaction */
#define DRI_KAFKA_REFUSED_NS     30000000000u /* a topic that refused is not tried again so long */
#define DRI_KAFKA_NOTICE_NS      30000000000u /* the same trouble is told again after so long */

/** Cooperative rebalancing is trusted from here on (K7). */
#define DRI_KAFKA_COOPERATIVE_VERSION 0x020a01ff
/** The consumer group protocol of KIP-848 is finished from here on (K24). */
#define DRI_KAFKA_KIP848_VERSION 0x020c00ff

/** SCRAM as Kafka 4 wants it: before, the client's nonce was sent twice (K22). */
#define DRI_KAFKA_SCRAM_VERSION 0x020601ff

/** What a handle is for. */
enum dri_kafka_use {
    DRI_KAFKA_ADMIN,
    DRI_KAFKA_GROUP,
    DRI_KAFKA_LOG,
    DRI_KAFKA_PRODUCER
};

enum dri_kafka_slot_state {
    DRI_KAFKA_SLOT_FREE,
    DRI_KAFKA_SLOT_ASSIGNED,
    DRI_KAFKA_SLOT_REVOKED, /* the owner still has to unassign it */
    DRI_KAFKA_SLOT_LOST,    /* free as soon as the owner was told */
};

/** What a slot still has to tell its owner. */
enum dri_kafka_tell {
    DRI_KAFKA_TELL_ASSIGNED = 1u << 0,
    DRI_KAFKA_TELL_SETTLED = 1u << 1,
    DRI_KAFKA_TELL_CAUGHT_UP = 1u << 2,
    DRI_KAFKA_TELL_REVOKED = 1u << 3,
    DRI_KAFKA_TELL_LOST = 1u << 4,
};

struct dri_kafka_slot {
    uint32_t index;
    uint32_t epoch;
    enum dri_kafka_slot_state state;
    uint32_t source; /* index */
    int32_t partition;
    unsigned tell; /* enum dri_kafka_tell */
    bool is_queued_to_tell;
    struct dri_kafka_slot *next_to_tell;

    bool is_paused_by_owner;
    bool is_paused; /* as librdkafka was told (K6) */
    bool is_gated;  /* commands, replay: a follower of this partition is not at its end */
    bool is_end_seen, is_end_told; /* follower */
    uint64_t gated_ns;             /* is_gated: since; UINT64_MAX: it is late, and that was told */

    int64_t next_offset; /* after the last message handed over; -1: none yet */
    int64_t committed;   /* told with ASSIGNED; -1: none */
    char *metadata;      /* told with ASSIGNED; freed at the poll after; NULL: none */
    size_t metadata_len;
    char *origin; /* "topic/partition" */

    int64_t settled; /* last position that the broker took in this epoch, or committed */
    int64_t wanted;  /* to be committed next; -1: nothing */
    int64_t sent;    /* in the commit that is out; -1: none */
    bool is_wanted_final;
    uint64_t final_deadline_ns; /* 0: no final settle waits */
    int64_t final_position;
    uint16_t wanted_metadata_len;
    char *wanted_metadata; /* DRI_KAFKA_METADATA_MAX bytes, made at the first need */
    uint64_t refresh_ns;   /* park: when the position goes again; 0: there is none */
    int64_t told_position; /* with TELL_SETTLED */
    enum dray_status told_status;

    int64_t looked_next;    /* next_offset at the last look of kafka_progress.c */
    int64_t looked_fetched; /* and how far the library had fetched */
    uint64_t stalled_ns;    /* it has not moved for so long although it should */

    rd_kafka_message_t *early; /* owned; of a DELAY source: the next message, whose time has not
                                  come; meanwhile the partition is paused. NULL: none */
    uint64_t early_due_ns;

    int64_t log_end;   /* log sources: what was the end at open */
    bool is_caught_up; /* log sources, followers */
};

struct dri_kafka_source {
    char *topic;
    enum dri_source_role role;
    enum dri_start start;
    uint64_t start_offset;
    uint64_t delay_ms; /* 0: none */
    int32_t partitions;
    struct dri_kafka_slot **slots; /* by partition; NULL where not assigned */
    int32_t slots_count;
    const rd_kafka_topic_t *rkt; /* as seen in messages of this assignment; NULL: not yet */
    rd_kafka_topic_t *own_rkt;   /* window: with properties of its own, of the group's handle */
};

/** A message that a consumer gave us and that the owner had no room for. */
struct dri_kafka_stashed {
    rd_kafka_message_t *message;
    struct dri_kafka_slot *slot;
    uint32_t epoch;
};

/** Bytes that are lent to the owner until the next poll. */
struct dri_kafka_chunk {
    struct dri_kafka_chunk *next;
    size_t len, max;
    uint8_t bytes[];
};

enum dri_kafka_pending_state {
    DRI_KAFKA_PENDING_FREE,
    DRI_KAFKA_PENDING_OUT,    /* librdkafka has it */
    DRI_KAFKA_PENDING_ANSWER, /* in the list of answers made here */
};

/** One publish that was taken; its index + 1 is the message's opaque. */
struct dri_kafka_pending {
    uint64_t token;
    uint32_t next;  /* of the free list or the answers; UINT32_MAX: end */
    uint8_t state;  /* enum dri_kafka_pending_state */
    uint8_t ack;    /* enum dri_ack */
    uint8_t reason; /* enum dray_status */
    bool is_courtesy;
};

struct dri_kafka_topic {
    char *name;
    size_t name_len;
    rd_kafka_topic_t *rkt; /* of the present producer */
    /* With transactions: what it has refused, which must not break the next one. */
    size_t refused_bytes;      /* smallest message that was too large; 0: none was */
    uint64_t refused_until_ns; /* everything, for another reason */
    enum dray_status refused_reason;
};

enum dri_kafka_producer_state {
    DRI_KAFKA_PRODUCER_NONE, /* there is none, and nobody asked for one */
    DRI_KAFKA_PRODUCER_UP,
    DRI_KAFKA_PRODUCER_PURGING, /* had a fatal error: its last reports are awaited */
    DRI_KAFKA_PRODUCER_DOWN,    /* destroyed; a new one is made at revive_ns */
};

struct dri_kafka_producer {
    enum dri_kafka_producer_state state;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *reports; /* that are being handed over; NULL: none */
    struct dri_kafka_topic *topics;
    size_t topics_count;
    struct dri_kafka_pending *pending;
    uint32_t pending_count;
    uint32_t free_first;
    uint32_t out;                         /* messages that librdkafka has */
    uint32_t answers_first, answers_last; /* UINT32_MAX: none */
    rd_kafka_message_t *batch;            /* DRI_KAFKA_BATCH */
    uint64_t purge_deadline_ns;
    uint64_t revive_ns, revive_wait_ns;
    rd_kafka_t *grave; /* being destroyed by the reaper */
    pthread_t reaper;
    _Atomic(bool) is_reaper_done; /* set by the reaper */
};

struct dri_kafka_notice {
    enum dray_status status;
    char text[400];
};

/** Numbers that tests and logs look at. */
struct dri_kafka_stats {
    uint64_t stale_settles;
    uint64_t metadata_dropped;
    uint64_t stale_messages;
    uint64_t jumps_back;
    uint64_t rebalances;
    uint64_t holds;
    uint64_t producers;
    uint64_t commits;
    uint64_t renewals; /* consumers that were made because the one before was stuck */
};

/** One partition as the library's statistics show it; -1: not said. */
struct dri_kafka_seen_partition {
    struct dray_slice topic;
    int32_t partition;
    int64_t queued;  /* messages that wait for the owner */
    int64_t fetched; /* next offset that will be fetched */
    int64_t end;     /* up to where a reader of committed transactions may read */
};

struct dri_kafka_sight {
    void (*on_partition)(void *arg, const struct dri_kafka_seen_partition *seen);
    void *arg;
    int64_t heard_us; /* since any broker said anything; -1: none is connected */
};

/** Whether partitions move (K17). */
struct dri_kafka_progress {
    uint64_t limit_ns; /* 0: nobody looks */
    uint64_t look_ns;  /* between two looks */
    uint64_t looked_ns;
    bool came_up_empty;   /* since the last look the owner asked for more than there was */
    uint32_t stuck_epoch; /* found by the last look; 0: none */
    uint32_t stuck_slot;
    int64_t stuck_end;

    bool has_suspect; /* for which the client was made anew, and which has not moved since */
    uint32_t suspect_source;
    int32_t suspect_partition;
    uint32_t renewed_epoch; /* last one of the client before */

    rd_kafka_conf_t *conf;       /* for the next client */
    rd_kafka_t *old;             /* leaves the group, then is destroyed by the reaper */
    rd_kafka_queue_t *old_queue; /* NULL: it has left */
    uint64_t leave_ns;
    pthread_t reaper;
    bool has_reaper;
    _Atomic(bool) is_reaper_done; /* set by the reaper */
};

/** What the admin handle found out at open. */
struct dri_kafka_facts {
    uint64_t message_bytes_max; /* smallest max.message.bytes of the outputs; 0: not known */
    char server[96];
};

/** A list of answers to one question about committed positions. */
struct dri_kafka_lookup {
    rd_kafka_topic_partition_list_t *partitions; /* to assign; NULL: nothing pending */
    uint64_t id;                                 /* of the request that counts */
    uint64_t retry_ns;                           /* 0: a request is out */
    unsigned tries;                              /* that failed since the assignment */
};

struct dri_kafka {
    struct dri_transport_base base;
    int efd;       /* librdkafka writes to it; written by its threads */
    bool is_armed; /* the owner may wait for efd */
    bool is_closed;
    bool is_closing;
    uint64_t now_ns;  /* of the call that runs */
    uint64_t wall_ms; /* of the poll that runs */

    struct dri_kafka_source *sources;
    size_t sources_count;
    struct dri_kafka_slot **slots;
    uint32_t slots_count;
    uint32_t epoch; /* last one given out */
    struct dri_kafka_slot *tell_first, *tell_last;
    bool is_slot_text_out; /* the last poll lent out origins or metadata */

    rd_kafka_t *group;
    char *group_id;
    rd_kafka_queue_t *group_queue;
    rd_kafka_queue_t *replies; /* of commits and lookups */
    bool is_cooperative;
    struct dri_kafka_progress progress;
    struct dri_kafka_lookup lookup;
    rd_kafka_topic_partition_list_t *revoking; /* waits for the owner; NULL: no revoke under way */
    uint32_t revoking_slots;
    bool is_commit_out;
    uint32_t replies_due;

    rd_kafka_t *log;
    rd_kafka_queue_t *log_queue;

    rd_kafka_message_t **held; /* lent to the owner until the next poll */
    size_t held_count, held_max;
    uint64_t follow_look_ns;         /* gates are looked at again */
    struct dri_kafka_stashed *stash; /* DRI_KAFKA_STASH, and one for each slot */
    size_t stash_count, stash_max;
    uint32_t early_count;           /* slots whose next message waits for its time */
    uint64_t hold_since_ns;         /* 0: the owner takes messages */
    bool is_held;                   /* partitions are paused because it does not */
    struct dri_kafka_chunk *chunks; /* headers lent to the owner; the first one is kept */

    struct dri_kafka_producer producer;
    rd_kafka_conf_t *producer_conf; /* for the next producer */
    struct dri_kafka_transaction transaction;

    struct dri_kafka_notice notices[DRI_KAFKA_NOTICES];
    size_t notices_first, notices_count;
    char told_text[400]; /* lent out by the last poll */
    uint64_t noticed_ns[DRAY_STATUS_COUNT];
    bool are_brokers_down;

    struct dri_kafka_facts facts;
    uint64_t message_bytes_max;
    char library[48];
    struct dri_kafka_stats stats;
};

#include "kafka_parts.h"

#endif
