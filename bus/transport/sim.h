/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SIM_H
#define DRI_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "clock.h"
#include "transport.h"

/* sim.h - the simulated broker as tests see it: logs, groups and leases in memory, with seeded
 * faults.
 *
 * With all rates at 0 and no latency it is a correct broker: the contract suite runs on it. With
 * faults it does what the real ones were seen to do: it takes commits from members that do not own
 * the partition, fences a zombie only until it polls again, stores what it reports as failed, takes
 * the acknowledgement of an expired delivery, and redelivers in any order.
 *
 * A transport reaches it by dri_transport_config.sim, or, within one process, by a URL: sim://name
 * shares one broker by name (options "mode": watermark, each or partitioned, and "lease_ms"). It
 * lives until dri_sim_forget.
 *
 * Time is what the calls are told. Everything follows from the seed and the order of calls.
 *
 * Threads: any; one lock a broker. What a test reads (records, sights) is not locked.
 */

struct dri_sim_broker;

/** X(name, has a rate, what happened): things that go wrong, and oddities that real brokers allow.
 */
#define DRI_SIM_FAULT_TABLE(X)                                                                     \
    X(PUBLISH_STORED_UNKNOWN, true, "publishes stored but reported unknown")                       \
    X(PUBLISH_LOST_UNKNOWN, true, "publishes not stored and reported unknown")                     \
    X(PUBLISH_LATE_UNKNOWN, true, "publishes reported unknown and stored afterwards")              \
    X(PUBLISH_FULL, true, "publish calls that took fewer messages than given")                     \
    X(ACK_LATE, true, "acknowledgements late, and so out of order between topics")                 \
    X(OFFSET_GAP, true, "offsets left out between two messages")                                   \
    X(FETCH_LATE, true, "messages that became visible late")                                       \
    X(POLL_SHORT, true, "polls that gave fewer messages than there were")                          \
    X(SETTLE_LOST, true, "settles that never reached the broker")                                  \
    X(SETTLE_LATE, true, "settles that reached the broker late")                                   \
    X(SETTLE_REFUSED, true, "settles that the broker refused")                                     \
    X(ANSWER_LOST, true, "settles that were done and reported as timed out")                       \
    X(ANSWER_NEVER, true, "settles that were never answered, done or not")                         \
    X(METADATA_LOST, true, "assignments without the metadata that was committed")                  \
    X(METADATA_DAMAGED, true, "assignments with damaged metadata")                                 \
    X(METADATA_FOREIGN, true, "assignments with the metadata of another position")                 \
    X(DELIVERY_LOST, true, "deliveries that left the server and never arrived")                    \
    X(REDELIVERY_SHUFFLED, true, "redeliveries out of order")                                      \
    X(EXTEND_LOST, true, "lease renewals that never reached the broker")                           \
    X(PUBLISH_TIMED_OUT, false, "publishes reported unknown because the broker took too long")     \
    X(PAUSE, false, "pauses of the broker")                                                        \
    X(STORM_REVOKED, false, "assignments revoked for no reason")                                   \
    X(STORM_LOST, false, "assignments lost for no reason")                                         \
    X(SESSION_EXPIRED, false, "members thrown out because they were silent")                       \
    X(REVOKE_EXPIRED, false, "assignments lost because the member took too long to let go")        \
    X(LEASE_EXPIRED, false, "deliveries whose lease ended unsettled")                              \
    X(REFUSED_LIMIT, false, "publishes refused because they are too large")                        \
    X(REFUSED_TARGET, false, "publishes refused because of their target")                          \
    X(DUPLICATE_DROPPED, false, "publishes recognised by their deduplication id")                  \
    X(ZOMBIE_FENCED, false, "commits refused because the member was thrown out")                   \
    X(FOREIGN_COMMIT, false, "commits taken from a member that does not own the partition")        \
    X(REWIND, false, "commits that moved a position backwards")                                    \
    X(LATE_ACK_TAKEN, false, "acknowledgements of expired deliveries that were taken")             \
    X(CAME_BACK, false, "assignments that came back to the same member with a new epoch")          \
    X(TRANSACTION_BROKEN, false, "transactions thrown away")                                       \
    X(KILLED, false, "clients that died")

enum dri_sim_fault {
#define DRI_SIM_FAULT_ENUM(name, has_rate, text) DRI_SIM_##name,
    DRI_SIM_FAULT_TABLE(DRI_SIM_FAULT_ENUM)
#undef DRI_SIM_FAULT_ENUM
    DRI_SIM_FAULT_COUNT
};

const char *dri_sim_fault_text(enum dri_sim_fault fault);

/** Zero fields take the value in brackets. */
struct dri_sim_config {
    uint64_t seed;
    enum dri_settle_mode mode;
    bool is_virtual;     /* nobody polls but a driver that asks for deadlines */
    bool is_cooperative; /* a rebalance revokes only what moves; else everything */
    bool
        is_partitioned; /* EACH: partitions of commands have one owner each, as with nats.partitions
                         */
    bool is_observed;   /* collect sights */
    uint32_t message_bytes_max;          /* key, value and headers together [1 MiB] */
    uint32_t latency_us;                 /* one way, half to one and a half of it [none] */
    uint32_t late_ms;                    /* at most, for faults that delay [2,000] */
    uint32_t lease_ms;                   /* [30,000] */
    uint32_t session_ms;                 /* [10,000] */
    uint32_t rebalance_ms;               /* to let go of what was revoked [10,000] */
    uint32_t publish_ms;                 /* then a publish is unknown [30,000] */
    uint32_t dedup_ms;                   /* EACH [600,000] */
    uint32_t ahead_ms;                   /* the broker's clock before everybody else's [none] */
    uint16_t rates[DRI_SIM_FAULT_COUNT]; /* per mille; only those that have a rate */
};

/** Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_sim_create(const struct dri_sim_config *config,
                                                struct dri_sim_broker **ret_broker);
/** Requires: every transport was destroyed. NULL is a no-op. */
void dri_sim_destroy(struct dri_sim_broker *broker);

/** The broker behind sim://name in this process, made if need be (then config counts).
 *  Owns: shared; lives until dri_sim_forget. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_sim_shared(const char *name,
                                                const struct dri_sim_config *config,
                                                struct dri_sim_broker **ret_broker);
/** Destroy the broker behind sim://name. Requires: as dri_sim_destroy. */
void dri_sim_forget(const char *name);

/* --- what a test does to it
 * ----------------------------------------------------------------------- */

/** Errors: EEXISTS, ENOMEM. In EACH mode a topic is one stream; partitions count only when the
 * broker is partitioned: then "<topic>.p.<n>" is partition n of it. */
DRAY_MUST_CHECK enum dray_status dri_sim_topic_create(struct dri_sim_broker *broker,
                                                      const char *topic, uint32_t partitions);
/** From now on publishes to topic are refused with this status; DRAY_OK: not any more. */
void dri_sim_topic_refuse(struct dri_sim_broker *broker, const char *topic,
                          enum dray_status status);

/** Put a message into a log, past every fault but gaps and late visibility. partition -1: by key.
 *  Errors: ENOTFOUND, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_sim_append(struct dri_sim_broker *broker, struct dri_now now,
                                                const struct dri_publish *message,
                                                int32_t *ret_partition, uint64_t *ret_offset);

/** Replace all rates (NULL: all 0). */
void dri_sim_rates(struct dri_sim_broker *broker, const uint16_t rates[DRI_SIM_FAULT_COUNT]);
/** From now on members have at least so long to let go of what is revoked. */
void dri_sim_let_go_in(struct dri_sim_broker *broker, uint32_t rebalance_ms);
/** The broker does nothing until then; clients only see their time-outs. Replaces an earlier pause.
 */
void dri_sim_pause(struct dri_sim_broker *broker, struct dri_now now, uint64_t until_ns);
/** Take assignments away for no reason: of each group's sources every `one_in`-th, by chance. */
void dri_sim_storm(struct dri_sim_broker *broker, struct dri_now now, bool is_lost,
                   uint32_t one_in);
/** The group coordinator does not hear this client until then, and it does not hear the
 * coordinator; messages and publishes go on: a zombie that works. */
void dri_sim_isolate(struct dri_transport *client, struct dri_now now, uint64_t until_ns);
/** The client's process dies now, or within the calls to come: after `operations` more messages,
 * publishes and settles. What is on its way may arrive or not; nothing comes back. Call close and
 * destroy as ever. */
void dri_sim_kill(struct dri_transport *client, uint64_t operations);
bool dri_sim_is_dead(const struct dri_transport *client);

/** Do what is due. Calls of transports do the same. */
void dri_sim_advance(struct dri_sim_broker *broker, struct dri_now now);
/** When something happens inside without a call; UINT64_MAX: never. */
uint64_t dri_sim_next_deadline(struct dri_sim_broker *broker);

/* --- what a test reads
 * ---------------------------------------------------------------------------- */

struct dri_sim_record {
    uint64_t offset;
    uint64_t stored_ns;
    int64_t timestamp_ms;
    struct dray_slice subject, key, value, headers, dedup_id;
};

/** Records of one partition, in order of offset; they stay until the broker is destroyed.
 *  NULL past the end or when there is no such log. */
const struct dri_sim_record *dri_sim_record_at(struct dri_sim_broker *broker, const char *topic,
                                               int32_t partition, size_t index);
/** 0: no such topic. */
uint32_t dri_sim_partitions(struct dri_sim_broker *broker, const char *topic);
/** Position of a group; -1: none. */
int64_t dri_sim_committed(struct dri_sim_broker *broker, const char *group, const char *topic,
                          int32_t partition);
/** EACH: messages of a topic that a group has not acknowledged; of a park log, all that were not
 * deleted. */
size_t dri_sim_unacked(struct dri_sim_broker *broker, const char *group, const char *topic);
void dri_sim_counts(struct dri_sim_broker *broker, uint64_t ret_counts[DRI_SIM_FAULT_COUNT]);
/** Unique among the clients of a broker, from 1, in the order of opening. */
uint32_t dri_sim_client_number(const struct dri_transport *client);
/** Calls of settle, extend and unassign that carried an old epoch. */
uint64_t dri_sim_stale(const struct dri_transport *client);

enum dri_sim_sight_type {
    DRI_SIM_APPENDED,  /* record */
    DRI_SIM_ASSIGNED,  /* client, slot, epoch; offset: position read next, UINT64_MAX: none
                          committed; metadata as it was handed out */
    DRI_SIM_ENDED,     /* client, slot, epoch: revoked or lost, as the client was told */
    DRI_SIM_LET_GO,    /* client, slot, epoch: unassigned by the client */
    DRI_SIM_DELIVERED, /* client, slot, epoch, offset, deliveries */
    DRI_SIM_SETTLING,  /* client, slot, epoch, offset, metadata: a position leaves the client
                          (WATERMARK) */
    DRI_SIM_COMMITTED, /* client, offset: position as it stands now; metadata */
    DRI_SIM_ACKED,     /* client, offset; of a park log: the message was deleted */
    DRI_SIM_TAKEN,     /* client; metadata: headers of a record in its open transaction */
};

/** One thing that happened inside, in order. */
struct dri_sim_sight {
    enum dri_sim_sight_type type;
    uint64_t at_ns;
    const char *topic;
    int32_t partition;
    uint32_t client, slot, epoch, deliveries;
    uint64_t offset;
    struct dray_slice metadata; /* absent: none; lives as long as the broker */
    const struct dri_sim_record *record;
};

/** What happened since the last call; borrows until the next call of anything. */
size_t dri_sim_sights(struct dri_sim_broker *broker, const struct dri_sim_sight **ret_sights);

#endif
