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

#include "transport.h"

/* kafka_private.h - what the files of the Kafka transport share. Nobody else includes it, except
 * tests.
 *
 * kafka.c          life, poll, errors
 * kafka_conf.c     properties: ours, the user's, the refused ones
 * kafka_admin.c    topics: look, create, describe; begins and ends
 * kafka_group.c    the group's assignments
 * kafka_slots.c    slots and the events that they owe the owner
 * kafka_commit.c   positions
 * kafka_fetch.c    messages, back-pressure, the log reader
 * kafka_publish.c  the producer
 * kafka_headers.c  headers, flat form to librdkafka's and back
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
#define DRI_KAFKA_LOOKUP_WAIT_NS 200000000u  /* between two of them */
#define DRI_KAFKA_ENDS_MS        2000        /* one question for the ends of partitions; blocks */
#define DRI_KAFKA_PURGE_NS       5000000000u /* for the reports of a producer that is given up */
#define DRI_KAFKA_REVIVE_NS      1000000000u /* first wait between two producers; doubles */
#define DRI_KAFKA_REVIVE_MAX_NS  30000000000u
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
    int64_t told_position; /* with TELL_SETTLED */
    enum dray_status told_status;

    int64_t log_end; /* log sources: what was the end at open */
    bool is_caught_up;
};

struct dri_kafka_source {
    char *topic;
    enum dri_source_role role;
    enum dri_start start;
    uint64_t start_offset;
    int32_t partitions;
    struct dri_kafka_slot **slots; /* by partition; NULL where not assigned */
    int32_t slots_count;
    const rd_kafka_topic_t *rkt; /* as seen in messages of this assignment; NULL: not yet */
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
    char text[256];
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
};

struct dri_kafka {
    struct dri_transport_base base;
    int efd;       /* librdkafka writes to it; written by its threads */
    bool is_armed; /* the owner may wait for efd */
    bool is_closed;
    bool is_closing;
    uint64_t now_ns; /* of the call that runs */

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
    struct dri_kafka_lookup lookup;
    rd_kafka_topic_partition_list_t *revoking; /* waits for the owner; NULL: no revoke under way */
    uint32_t revoking_slots;
    bool is_commit_out;
    uint32_t replies_due;

    rd_kafka_t *log;
    rd_kafka_queue_t *log_queue;

    rd_kafka_message_t **held; /* lent to the owner until the next poll */
    size_t held_count, held_max;
    struct dri_kafka_stashed stash[DRI_KAFKA_STASH];
    size_t stash_count;
    uint64_t hold_since_ns;         /* 0: the owner takes messages */
    bool is_held;                   /* partitions are paused because it does not */
    struct dri_kafka_chunk *chunks; /* headers lent to the owner; the first one is kept */

    struct dri_kafka_producer producer;
    rd_kafka_conf_t *producer_conf; /* for the next producer */

    struct dri_kafka_notice notices[DRI_KAFKA_NOTICES];
    size_t notices_first, notices_count;
    char told_text[256]; /* lent out by the last poll */
    uint64_t noticed_ns[DRAY_STATUS_COUNT];
    bool are_brokers_down;

    struct dri_kafka_facts facts;
    uint64_t message_bytes_max;
    char library[48];
    struct dri_kafka_stats stats;
};

/* kafka_conf.c */

/** "host:port,host:port" of a kafka:// URL. Owns: *ret_bootstrap returned owned.
 *  Errors: EINVALID, ENOMEM; ret_text says why. */
DRAY_MUST_CHECK enum dray_status dri_kafka_parse_url(const char *url, char **ret_bootstrap,
                                                     char *ret_text, size_t text_bytes);

/** The properties of one handle: our defaults, the user's options, what must not be changed.
 *  facts may be NULL. Owns: *ret_conf returned owned.
 *  Errors: EINVALID (unknown, refused, out of range), EUNSUPPORTED (guarded version), ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_kafka_conf_create(const struct dri_transport_config *config,
                                                       enum dri_kafka_use use,
                                                       const struct dri_kafka_facts *facts,
                                                       rd_kafka_conf_t **ret_conf, char *ret_text,
                                                       size_t text_bytes);

/** Whether these options ask for cooperative rebalancing. */
bool dri_kafka_conf_is_cooperative(const struct dri_transport_config *config);

/** Whether an option may be used with this version of the library; the sentence if not.
 *  Split from the rest so that tests can ask about other versions. */
DRAY_MUST_CHECK enum dray_status dri_kafka_option_check(const struct dri_option *option,
                                                        int version, char *ret_text,
                                                        size_t text_bytes);

/* kafka_admin.c */

struct dri_kafka_admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    uint64_t deadline_ns;
    bool has_controller;         /* one of the brokers that there are; the mock cluster has none */
    rd_kafka_resp_err_t trouble; /* last error that librdkafka told */
    char trouble_text[256];
    char failure_text[256]; /* of the last connection that failed */
};

DRAY_MUST_CHECK enum dray_status dri_kafka_admin_init(struct dri_kafka_admin *admin,
                                                      const struct dri_transport_config *config,
                                                      char *ret_text, size_t text_bytes);
void dri_kafka_admin_fini(struct dri_kafka_admin *admin);

/** Looks at config->topics, creates the missing ones if it may, and describes them.
 *  reports has config->topics_count elements. Errors: EBROKER, ETIMEOUT, EAUTH: the cluster could
 * not be asked at all. What is wrong with one topic stands in its report only. */
DRAY_MUST_CHECK enum dray_status dri_kafka_admin_topics(struct dri_kafka_admin *admin,
                                                        const struct dri_transport_config *config,
                                                        struct dri_topic_report *reports,
                                                        struct dri_kafka_facts *ret_facts,
                                                        char *ret_text, size_t text_bytes);

/** How many partitions a topic has. ret_text: what is said of the topic, without its name. Errors:
 * ENOTFOUND, EAUTH, EBROKER, ETIMEOUT. */
DRAY_MUST_CHECK enum dray_status dri_kafka_admin_partitions(struct dri_kafka_admin *admin,
                                                            const char *topic, int32_t *ret_count,
                                                            char *ret_text, size_t text_bytes);

/** Begin and end of each partition of the list: the offsets of two lists of the same order.
 *  Owns: both returned owned. */
DRAY_MUST_CHECK enum dray_status dri_kafka_admin_bounds(
    struct dri_kafka_admin *admin, const rd_kafka_topic_partition_list_t *partitions,
    rd_kafka_topic_partition_list_t **ret_begins, rd_kafka_topic_partition_list_t **ret_ends,
    char *ret_text, size_t text_bytes);

/* kafka.c */

uint64_t dri_kafka_now_ns(void);
/** Writes "what: reason" and gives the status for an error of librdkafka. */
enum dray_status dri_kafka_fail(char *ret_text, size_t text_bytes, rd_kafka_resp_err_t err,
                                const char *format, ...) DRAY_FORMAT(4, 5);
enum dray_status dri_kafka_status_of(rd_kafka_resp_err_t err);
/** Queue an ERROR event; the same status is not told again for a while unless it is fatal. */
void dri_kafka_notice(struct dri_kafka *kafka, enum dray_status status, const char *format, ...)
    DRAY_FORMAT(3, 4);
/** Make the fd readable: there is something for the next poll that librdkafka does not know of. */
void dri_kafka_wake(struct dri_kafka *kafka);
/** The log_cb of every handle. Threads: librdkafka's. */
void dri_kafka_log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text);
/** An error that a handle reports. */
void dri_kafka_trouble(struct dri_kafka *kafka, rd_kafka_resp_err_t err, const char *reason);

/* kafka_slots.c */

/** A new slot in a new epoch, with nothing to tell yet; NULL: no memory. */
struct dri_kafka_slot *dri_kafka_slot_add(struct dri_kafka *kafka, uint32_t source,
                                          int32_t partition);
/** The slot with this number and epoch that is not free, or NULL: stale. */
struct dri_kafka_slot *dri_kafka_slot_find(const struct dri_kafka *kafka, uint32_t index,
                                           uint32_t epoch);
struct dri_kafka_slot *dri_kafka_slot_at(const struct dri_kafka *kafka, const char *topic,
                                         int32_t partition, bool is_log);
void dri_kafka_slot_tell(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                         enum dri_kafka_tell what);
/** Takes it out of its source: no message finds it any more. */
void dri_kafka_slot_detach(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
void dri_kafka_slot_free(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
void dri_kafka_slots_fini(struct dri_kafka *kafka);
/** Writes what slots have to tell; returns how many events. */
size_t dri_kafka_slots_poll(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                            size_t max);
/** Frees what told slots lent out. */
void dri_kafka_slots_release(struct dri_kafka *kafka);
bool dri_kafka_is_log_slot(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot);

/* kafka_group.c */

void dri_kafka_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque);
/** An answer to a lookup. */
void dri_kafka_lookup_answer(struct dri_kafka *kafka, rd_kafka_event_t *event);
/** Timers of lookup and revoke; *deadline_ns is lowered to the next one. */
void dri_kafka_group_tick(struct dri_kafka *kafka);
uint64_t dri_kafka_group_deadline(const struct dri_kafka *kafka);
void dri_kafka_group_unassign(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
/** Let go of everything at once: the handle is about to be closed. */
void dri_kafka_group_abandon(struct dri_kafka *kafka);

/* kafka_commit.c */

void dri_kafka_settle(struct dri_kafka *kafka, const struct dri_settle *settle);
void dri_kafka_commit_flush(struct dri_kafka *kafka);
void dri_kafka_commit_answer(struct dri_kafka *kafka, rd_kafka_event_t *event);
void dri_kafka_commit_tick(struct dri_kafka *kafka);
uint64_t dri_kafka_commit_deadline(const struct dri_kafka *kafka);

/* kafka_fetch.c */

/** Gives back what the last poll lent out. */
void dri_kafka_release(struct dri_kafka *kafka);
/** Up to messages_max messages; *ret_more: there may be more of them. */
size_t dri_kafka_fetch(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                       size_t messages_max, bool *ret_more);
void dri_kafka_slot_pause(struct dri_kafka *kafka, struct dri_kafka_slot *slot, bool is_paused);
/** Forget stashed messages of slots that are gone (all: every one). */
void dri_kafka_stash_drop(struct dri_kafka *kafka, const struct dri_kafka_slot *slot);
/** Assign the log sources where they start. */
DRAY_MUST_CHECK enum dray_status dri_kafka_log_open(struct dri_kafka *kafka,
                                                    struct dri_kafka_admin *admin, char *ret_text,
                                                    size_t text_bytes);

/* kafka_publish.c */

DRAY_MUST_CHECK enum dray_status dri_kafka_producer_open(struct dri_kafka *kafka,
                                                         const struct dri_transport_config *config,
                                                         uint64_t deadline_ns, char *ret_text,
                                                         size_t text_bytes);
size_t dri_kafka_publish(struct dri_kafka *kafka, const struct dri_publish *messages, size_t count);
size_t dri_kafka_producer_poll(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                               size_t max, bool *ret_more);
/** The producer reported an error from which it does not recover (K11). */
void dri_kafka_producer_fatal(struct dri_kafka *kafka);
void dri_kafka_producer_tick(struct dri_kafka *kafka);
uint64_t dri_kafka_producer_deadline(const struct dri_kafka *kafka);
void dri_kafka_producer_close(struct dri_kafka *kafka, uint64_t deadline_ns);
void dri_kafka_producer_fini(struct dri_kafka *kafka);
/** What a delivery report means. */
enum dri_ack dri_kafka_ack_of(rd_kafka_resp_err_t err, rd_kafka_msg_status_t status,
                              enum dray_status *ret_reason);

/* kafka_headers.c */

/** Errors: EINVALID: not the flat form; ENOMEM. Owns: *ret_headers returned owned; NULL: none. */
DRAY_MUST_CHECK enum dray_status dri_kafka_headers_make(struct dray_slice flat,
                                                        rd_kafka_headers_t **ret_headers);
/** Bytes that these headers take in the flat form. */
size_t dri_kafka_headers_bytes(const rd_kafka_headers_t *headers);
/** Writes them; Requires: room for dri_kafka_headers_bytes. */
void dri_kafka_headers_flatten(const rd_kafka_headers_t *headers, uint8_t *at);

#endif
