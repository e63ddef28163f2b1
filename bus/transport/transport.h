/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_TRANSPORT_H
#define DRI_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "clock.h"
#include "transport_config.h"

/* transport.h - what a broker must do for the bus.
 *
 * A transport moves opaque bytes. It never looks inside an envelope, never retries a command, never
 * decides that a message is dead. kafka, nats and sim implement this file; tests/contract is this
 * file as executable code, and a transport is finished when that suite passes.
 *
 * Life:    open -> { poll, publish, settle, extend, pause, resume, unassign } -> close -> destroy.
 * Threads: every call from one thread, the owner's, except wake (any thread). Threads that a client
 *          library brings stay inside the transport.
 * Blocks:  open (bounded by timeout_ms), close (bounded by its argument); nothing else does.
 * Bytes:   slices in an event borrow until the next poll. publish and settle borrow for the call.
 * Order:   events of one partition come in the broker's order within one epoch.
 * Transactions: with config->transactional_id STORED means "stored in the open transaction", a
 *          settle is kept for it, and commit makes both true at once. Without, each stands alone.
 *
 * A *slot* is a small number by which a transport names one assigned source: a Kafka partition, a
 * JetStream consumer. Each assignment of a slot has its own *epoch*; whatever carries another epoch
 * is stale and is dropped by whoever notices (status ESTALE), never passed on.
 */

struct dri_transport; /* starts with a struct dri_transport_base */

/** How a slot's messages are settled. */
enum dri_settle_mode {
    DRI_SETTLE_WATERMARK, /* one position: everything below it is done (Kafka) */
    DRI_SETTLE_EACH,      /* every delivery by itself, under a lease (JetStream) */
};

enum dri_transport_event_type {
    DRI_TE_ASSIGNED,    /* slot, epoch, origin, mode, role, committed, metadata, lease_ns */
    DRI_TE_REVOKED,     /* slot, epoch: finish or cancel, settle, then call unassign */
    DRI_TE_LOST,        /* slot, epoch: gone already; nothing of it may be settled any more */
    DRI_TE_MESSAGE,     /* slot, epoch, message */
    DRI_TE_CAUGHT_UP,   /* slot, epoch: a log source or a follower has reached what was its end when
                           it was opened or assigned */
    DRI_TE_PUBLISHED,   /* ack */
    DRI_TE_SETTLED,     /* slot, epoch, position, status: a watermark settle was answered */
    DRI_TE_TRANSACTION, /* status: OK: all that was in it is stored; else it never was, every slot
                           is LOST, and what was not acknowledged is UNKNOWN */
    DRI_TE_ERROR,       /* status, text: fatal ones mean close and open again or exit */
};

struct dri_message {
    uint64_t offset;           /* Kafka offset, stream sequence */
    uint64_t delivery;         /* names this delivery in settle and extend; 0 for watermark slots */
    uint32_t deliveries;       /* how often the broker has delivered it, from 1; 0: not known */
    bool is_last;              /* the broker will soon give up delivering it, or has: end it now */
    int64_t timestamp_ms;      /* of the broker or producer; -1: none */
    bool is_broker_stamp;      /* the broker says so, and will say the same for ever */
    struct dray_slice subject; /* concrete topic or subject */
    struct dray_slice key;
    struct dray_slice value;   /* absent: tombstone */
    struct dray_slice headers; /* flat form of wire/headers.h; empty: none */
};

/** What became of a publish. */
enum dri_ack {
    DRI_ACK_STORED,
    DRI_ACK_NOT_STORED, /* certain, and it will not help to send the same again: reason says why */
    DRI_ACK_UNKNOWN, /* may be stored or not: publish again with the same dedup_id; reason EEXISTS:
                        that id is taken by the record of another message, use another */
};

struct dri_published {
    uint64_t token;
    enum dri_ack ack;
    enum dray_status
        reason;        /* NOT_STORED: ELIMIT too large, EAUTH, ENOTFOUND no such target, ... */
    bool is_duplicate; /* the server had it already under this dedup_id */
    int32_t partition; /* -1: not known */
    uint64_t offset;   /* Kafka offset or stream sequence; UINT64_MAX: not known */
};

struct dri_transport_event {
    enum dri_transport_event_type type;
    enum dray_status status;
    uint32_t slot;
    uint32_t epoch;
    union {
        struct {
            enum dri_source_role role;
            enum dri_settle_mode mode;
            int32_t partition; /* number within the topic; NATS partition or 0 */
            int64_t committed; /* position read next, or -1 when the group has none */
            uint64_t lease_ns; /* EACH: how long a delivery stays ours without extend; else 0 */
            struct dray_slice metadata; /* that was committed with the position; hostile */
            struct dray_slice
                origin; /* "topic/partition" or "stream": first part of a source name */
            struct dray_slice topic;
            /* slots of its followers, or DRI_SLOT_NONE */
            uint32_t park, window;
        } assigned;
        struct dri_message message;
        struct dri_published published;
        uint64_t position;
        struct dray_slice text;
    } as;
};

struct dri_publish {
    uint64_t token; /* comes back in the ack */
    struct dray_slice topic;
    int32_t partition;          /* -1: by key (murmur2_random); NATS: only of a follower's topic */
    struct dray_slice key;      /* absent: none */
    struct dray_slice value;    /* absent: tombstone */
    struct dray_slice headers;  /* flat form */
    struct dray_slice dedup_id; /* of the broker's deduplication, where it has one */
    /* What the broker has under dedup_id already counts as ours when it was stored at this time
     * (wall, ms) or later and has dedup_mark, a part of value, at the same place; else the ack is
     * UNKNOWN with EEXISTS. 0: whatever it has is ours. Absent mark: the time alone decides. */
    uint64_t dedup_from_ms;
    struct dray_slice dedup_mark;
    bool is_courtesy; /* fire and forget, no ack event: an inbox; others ignore it */
};

struct dri_settle {
    uint32_t slot;
    uint32_t epoch;
    uint64_t position;          /* WATERMARK: the next offset to read */
    uint64_t delivery;          /* EACH */
    struct dray_slice metadata; /* WATERMARK: text, at most 3,900 bytes; absent: none */
    bool is_final; /* before unassign: wait for the answer (bounded), then report SETTLED */
};

/** Facts about the other side, for doctor and for messages. */
struct dri_transport_info {
    const char *kind;           /* "kafka", "nats", "sim" */
    const char *library;        /* "librdkafka 2.0.2" */
    const char *server;         /* "nats-server 2.9.10" or "" */
    uint64_t message_bytes_max; /* largest message that the broker takes, headers included; 0: not
                                   known */
    uint64_t first_offset;      /* dri_message.offset of the very first message of a log: 0 or 1 */
};

/** X(field, help): counts since open; what a broker does not have stays 0. */
#define DRI_TRANSPORT_COUNTER_TABLE(X)                                                             \
    X(stale_settles, "settles of an assignment that was gone")                                     \
    X(stale_messages, "fetched messages of an assignment that was gone")                           \
    X(positions_back, "times that a log or our position in it went back")                          \
    X(metadata_dropped, "commits that had to leave their metadata out")                            \
    X(leases_missed, "deliveries whose lease had ended before they were handed up or renewed")     \
    X(arrivals_dropped, "messages that came in and could not be kept; the broker delivers again")  \
    X(clients_made, "client handles made after the first, because one failed or stood still")      \
    X(messages_given_up, "messages that a consumer had given up, handed up to be dead-lettered")

struct dri_transport_stats {
#define DRI_TRANSPORT_COUNTER(field, help) uint64_t field;
    DRI_TRANSPORT_COUNTER_TABLE(DRI_TRANSPORT_COUNTER)
    uint64_t
        held_back; /* gauge: sources that wait for their followers for longer than progress_ms */
#undef DRI_TRANSPORT_COUNTER
};

struct dri_topic_report {
    const char *topic;       /* borrows from the config */
    enum dray_status status; /* OK (with a text: a warning), ENOTFOUND, EAUTH, EINVALID (exists,
                                but not fit: text) */
    uint32_t partitions;
    bool was_created;
    char text[160];
};

struct dri_transport_ops {
    const char *scheme; /* "kafka" */

    /** Whether its broker knows deduplication ids; else nobody looks at dri_publish.dedup_id. */
    bool has_dedup;

    /** Connect, check or create the topics, subscribe. Blocks up to config->timeout_ms.
     *  Owns:   *ret_transport returned owned; config borrows for the call only.
     *  Errors: EBROKER, ETIMEOUT, ENOTFOUND (missing topic), EAUTH, EINVALID (option or topic that
     * does not fit), EUNSUPPORTED (guarded library version); ret_text (size bytes) then says what
     *          happened, where, and what to do. */
    enum dray_status (*open)(const struct dri_transport_config *config,
                             struct dri_transport **ret_transport, char *ret_text,
                             size_t text_bytes);

    /** Up to max events, of which at most messages_max are messages. Never blocks. With
     * messages_max 0 everything else goes on (heartbeats, acks, rebalances): that is back-pressure.
     *  *ret_more: true when another poll at once would bring more; false: wait for the fd. */
    size_t (*poll)(struct dri_transport *self, struct dri_now now, size_t messages_max,
                   struct dri_transport_event *ret_events, size_t max, bool *ret_more);

    /** A descriptor that becomes readable when poll may have news; -1: poll by time only (sim). */
    int (*fd)(struct dri_transport *self);

    /** Hand over messages, in order; returns how many were taken (fewer: full, try the rest after
     * the next acks). Every one that was taken and is no courtesy gets exactly one PUBLISHED event.
     */
    size_t (*publish)(struct dri_transport *self, struct dri_now now,
                      const struct dri_publish *messages, size_t count);

    /** Ask the broker to forget. Stale ones are dropped and counted. A lost answer is no error: the
     *  message comes again. */
    void (*settle)(struct dri_transport *self, struct dri_now now, const struct dri_settle *settles,
                   size_t count);

    /** End the transaction: everything that was published and settled since the last end is stored
     *  in one step, or, with is_void, none of it. Answered by TRANSACTION; until then publish takes
     *  nothing; settles that come meanwhile belong to the next. NULL: there are none.
     *  Requires: opened with a transactional_id; every publish was acknowledged, or is_void. */
    void (*commit)(struct dri_transport *self, struct dri_now now, bool is_void);

    /** Keep deliveries ours for another lease. EACH only; stale or expired ones are dropped. */
    void (*extend)(struct dri_transport *self, struct dri_now now, uint32_t slot, uint32_t epoch,
                   const uint64_t *deliveries, size_t count);

    /** Stop and go on with fetching one slot. Idempotent. */
    void (*pause)(struct dri_transport *self, uint32_t slot, uint32_t epoch);
    void (*resume)(struct dri_transport *self, uint32_t slot, uint32_t epoch);

    /** Let go of a slot after REVOKED: nothing of it is out any more. */
    void (*unassign)(struct dri_transport *self, uint32_t slot, uint32_t epoch);

    /** Next monotonic time at which poll wants to be called without the fd; UINT64_MAX: none. */
    uint64_t (*next_deadline)(struct dri_transport *self);

    /** Current end (next offset) and begin of a topic's partition, for lag; may lag itself.
     *  Errors: EAGAIN when not known. Never blocks. */
    enum dray_status (*lag)(struct dri_transport *self, uint32_t slot, uint32_t epoch,
                            uint64_t *ret_end);

    void (*info)(struct dri_transport *self, struct dri_transport_info *ret_info);

    /** Counts for metrics. */
    void (*stats)(struct dri_transport *self, struct dri_transport_stats *ret_stats);

    /** Leave the group, flush acks and publishes for up to timeout_ms, refuse everything after.
     *  Idempotent. Publishes that were not acknowledged are forgotten: drain first. */
    void (*close)(struct dri_transport *self, uint32_t timeout_ms);

    /** Free all; NULL is a no-op. Requires: closed. */
    void (*destroy)(struct dri_transport *self);

    /** Report on topics, and create the missing ones when config->can_create: what doctor shows.
     *  Blocks up to config->timeout_ms. reports has config->topics_count elements. */
    enum dray_status (*check)(const struct dri_transport_config *config,
                              struct dri_transport_info *ret_info, struct dri_topic_report *reports,
                              char *ret_text, size_t text_bytes);

    /** Judge one option by itself, without a broker.
     *  Errors: ENOTFOUND (there is none of this name; ret_text names the nearest), EINVALID (value
     *          that does not fit, or one that a guarantee forbids), EUNSUPPORTED (not with this
     *          version of the library), ENOMEM. */
    enum dray_status (*check_option)(const struct dri_option *option, char *ret_text,
                                     size_t text_bytes);

    /** Judge the URL and all options together, without a broker: what open would find wrong before
     *  it connects.
     *  Errors: EINVALID, EUNSUPPORTED, ENOMEM. */
    enum dray_status (*check_config)(const struct dri_transport_config *config, char *ret_text,
                                     size_t text_bytes);
};

struct dri_transport_base {
    const struct dri_transport_ops *ops;
};

extern const struct dri_transport_ops dri_kafka_ops, dri_nats_ops, dri_sim_ops;

/** The transport for a URL. Errors: EINVALID, with ret_text naming the schemes that there are. */
DRAY_MUST_CHECK enum dray_status dri_transport_for(const char *url,
                                                   const struct dri_transport_ops **ret_ops,
                                                   char *ret_text, size_t text_bytes);

/** Judge one option of a transport that need not be the one in use; scheme is "kafka" or "nats".
 *  Errors: as check_option. Requires: there is such a scheme. */
DRAY_MUST_CHECK enum dray_status dri_transport_check_option(const char *scheme,
                                                            const struct dri_option *option,
                                                            char *ret_text, size_t text_bytes);

/** The ops of an open transport. */
static inline const struct dri_transport_ops *dri_transport_ops_of(struct dri_transport *self)
{
    return ((struct dri_transport_base *)(void *)self)->ops;
}

#endif
