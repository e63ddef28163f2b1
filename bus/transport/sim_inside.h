/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SIM_INSIDE_H
#define DRI_SIM_INSIDE_H

#include "lock.h"
#include "sim.h"

/* sim_inside.h - what the files of the simulated broker share. Private to sim*.c.
 *
 * sim.c        the transport: slots, events, the calls of transport.h
 * sim_open.c   opening it, checking topics, brokers by URL
 * sim_log.c    topics, partitions, records, deduplication
 * sim_group.c  members, claims, rebalances, commits, leases
 * sim_follow.c followers of the commands: park logs and windows
 * sim_world.c  the broker object: things on the wire (ops), time, chance, faults, tests' calls
 *
 * Everything is guarded by broker->lock; functions here expect it held.
 */

/* --- logs
 * ----------------------------------------------------------------------------------------- */

struct sim_record {
    struct dri_sim_record view; /* its bytes stand behind this struct */
    uint64_t visible_ns;
    bool is_deleted; /* by the settle of a park log: read no more */
};

struct sim_partition {
    struct sim_topic *topic;
    int32_t number;
    struct sim_record **records; /* owned */
    size_t count, capacity;
    uint64_t next_offset;
    uint64_t last_ack_ns; /* acknowledgements of one log come in its order */
};

struct sim_dedup {
    uint64_t hash;
    const struct sim_record *record; /* NULL: empty */
};

struct sim_topic {
    struct sim_topic *next;
    char *name;
    char *stream;
    enum dray_status refusal;
    struct sim_partition *partitions; /* owned */
    uint32_t partitions_count;
    uint32_t round_robin;
    uint64_t next_sequence;  /* EACH: of the stream, which all its partitions share */
    struct sim_dedup *dedup; /* owned; EACH: open addressing */
    size_t dedup_count, dedup_capacity;
};

/* --- groups
 * --------------------------------------------------------------------------------------- */

struct sim_subscription {
    struct sim_topic *topic;
    enum dri_source_role role;
    enum dri_start start;
};

struct sim_member {
    struct sim_member *next;
    struct dri_transport *client; /* NULL: its memory is gone; the group may not know yet */
    uint32_t number;
    bool is_live;                           /* as the group sees it */
    uint64_t heartbeat_ns;                  /* 0: it has not polled yet */
    struct sim_subscription *subscriptions; /* owned */
    size_t subscriptions_count;
};

struct sim_delivery { /* EACH: what a consumer knows of one message */
    uint64_t lease_until_ns;
    uint32_t count;
    bool is_acked;
};

struct sim_claim { /* one partition as one group sees it */
    struct sim_claim *next;
    struct sim_partition *partition;
    enum dri_source_role role;
    enum dri_start start;
    struct sim_claim *leader; /* of a follower: its commands; NULL: it has an owner of its own */
    /* WATERMARK */
    int64_t committed; /* -1: none */
    char *metadata;    /* owned */
    size_t metadata_len;
    char *old_metadata; /* owned: the last that stood with another position */
    size_t old_metadata_len;
    struct sim_member *owner, *target, *last_owner;
    uint32_t slot, epoch; /* of the owner */
    bool is_revoking;
    uint64_t revoke_until_ns;
    /* EACH */
    struct sim_delivery *deliveries; /* owned */
    size_t deliveries_capacity;
    size_t floor, fresh; /* all before are acknowledged; never delivered */
    uint64_t expiry_ns;  /* no lease ends earlier */
};

struct sim_group {
    struct sim_group *next;
    char *name;
    struct sim_claim *claims;
    struct sim_member *members;
    bool is_barrier; /* eager: nothing is assigned before everything is free */
    uint32_t rotation;
};

/* --- the wire
 * ------------------------------------------------------------------------------------- */

enum sim_op_type {
    SIM_OP_STORE,  /* a publish reaches the broker */
    SIM_OP_ACK,    /* its acknowledgement reaches the client */
    SIM_OP_SETTLE, /* a settle reaches the broker */
    SIM_OP_ANSWER, /* its answer reaches the client */
    SIM_OP_EXTEND, /* a lease renewal reaches the broker */
    SIM_OP_VOID,   /* it got lost */
};

struct sim_op {
    uint64_t at_ns, order;
    enum sim_op_type type;
    struct dri_transport *client; /* NULL: gone */
    struct sim_member *member;
    struct sim_claim *claim;
    uint32_t slot, epoch;
    enum dray_status status;
    uint64_t position; /* of a settle */
    uint64_t delivery;
    uint64_t due_ns;  /* STORE: when the client gives up */
    bool is_silent;   /* no answer */
    bool is_waiting;  /* for the end of a pause */
    bool is_given_up; /* STORE: the client will have given up by then */
    struct dri_published published;
    struct sim_topic *topic;   /* STORE */
    int32_t partition;         /* STORE: wanted; -1: by key */
    struct sim_record *record; /* STORE: owned, offset still open */
    char *metadata;            /* SETTLE: owned */
    size_t metadata_len;
};

struct sim_text { /* of a sight */
    struct sim_text *next;
    uint8_t bytes[];
};

struct dri_sim_broker {
    struct dri_lock lock;
    struct dri_sim_config config; /* immutable but for rates */
    struct dri_now now;           /* latest seen */
    uint64_t random;
    uint64_t paused_until_ns;
    uint64_t order;
    uint32_t epochs, clients_count;
    struct sim_topic *topics;
    struct sim_group *groups;
    struct dri_transport *clients;
    struct sim_op **heap; /* owned */
    size_t heap_count, heap_capacity;
    struct dri_sim_sight *sights; /* owned */
    size_t sights_count, sights_capacity, sights_read;
    struct sim_text *texts; /* owned */
    uint64_t counts[DRI_SIM_FAULT_COUNT];
};

/* --- the transport
 * -------------------------------------------------------------------------------- */

enum sim_slot_state {
    SIM_SLOT_CLOSED,
    SIM_SLOT_OPEN,
    SIM_SLOT_REVOKING
};

struct sim_slot {
    struct sim_partition *partition;
    struct sim_claim *claim; /* NULL: a log source */
    enum dri_source_role role;
    enum sim_slot_state state;
    uint32_t epoch;
    bool is_paused, has_caught_up;
    size_t position;          /* index of the next record */
    uint64_t log_end;         /* LOG, followers: end when it was opened */
    uint32_t leader;          /* follower: slot of its commands; else DRI_SLOT_NONE */
    uint32_t park, window;    /* commands: slots of its followers, or DRI_SLOT_NONE */
    bool is_given_up;         /* commands: let go, though nobody took it away */
    uint64_t comeback_ns;     /* EACH, closed: when it is assigned again; UINT64_MAX: never */
    uint64_t revoke_until_ns; /* EACH */
};

struct sim_event { /* one of a client's queue */
    struct dri_transport_event event;
    char *bytes; /* owned: what the event's slices borrow */
    size_t bytes_len;
};

struct sim_held { /* bytes lent until the next poll */
    char *at;     /* owned */
    size_t bytes;
};

struct dri_transport {
    struct dri_transport_base base;
    struct dri_transport *next;
    struct dri_sim_broker *broker;
    struct sim_group *group;   /* NULL: none */
    struct sim_member *member; /* NULL: none */
    uint32_t number;
    struct sim_slot *slots; /* owned */
    size_t slots_count, slots_capacity, slots_turn;
    struct sim_event *queue; /* owned ring */
    size_t queue_head, queue_count, queue_capacity;
    struct sim_held *held; /* owned */
    size_t held_count, held_capacity;
    uint64_t last_poll_ns, last_store_ns, last_settle_ns, isolated_until_ns;
    size_t last_messages_max;
    uint64_t operations_left; /* before it dies; UINT64_MAX: never */
    uint64_t stale;
    uint32_t unacked, unacked_max;
    bool is_closed, is_dead;
};

/* sim_world.c */
uint64_t sim_random(struct dri_sim_broker *broker);
/** Below max; 0 when max is 0. */
uint64_t sim_below(struct dri_sim_broker *broker, uint64_t max);
/** Whether the fault strikes now (and is counted). */
bool sim_strikes(struct dri_sim_broker *broker, enum dri_sim_fault fault);
void sim_count(struct dri_sim_broker *broker, enum dri_sim_fault fault);
uint64_t sim_latency(struct dri_sim_broker *broker);
/** Up to late_ms, at least 1 ns. */
uint64_t sim_lateness(struct dri_sim_broker *broker);
void sim_see(struct dri_sim_broker *broker, const struct dri_sim_sight *sight);
/** Consumes op on success; NULL op (no memory) is ignored: it was lost on the wire. */
void sim_send(struct dri_sim_broker *broker, uint64_t at_ns, struct sim_op *op);
void sim_op_free(struct sim_op *op);
/** Tell the client at this time that the fate of its publish is not known. */
void sim_report_unknown(struct dri_sim_broker *broker, struct dri_transport *client, uint64_t token,
                        uint64_t at_ns);
void sim_advance(struct dri_sim_broker *broker, struct dri_now now);
uint64_t sim_wire_deadline(const struct dri_sim_broker *broker);
void sim_forget_client(struct dri_transport *client, bool is_killed);
/** array (owned), moved if need be, with room for one more element; NULL, array untouched: no
 * memory. */
void *sim_grown(void *array, size_t *capacity, size_t count, size_t size);

/* sim_log.c */
struct sim_topic *sim_topic_find(struct dri_sim_broker *broker, struct dray_slice name);
struct sim_topic *sim_topic_make(struct dri_sim_broker *broker, const char *name,
                                 uint32_t partitions);
void sim_topic_free(struct sim_topic *topic);
size_t sim_publish_bytes(const struct dri_publish *message);
/** A record with a copy of the message's bytes; NULL: no memory. */
struct sim_record *sim_record_make(const struct dri_publish *message);
/** Consumes record (also when it is a duplicate). False: no memory. */
bool sim_store(struct dri_sim_broker *broker, struct sim_topic *topic, struct sim_record *record,
               int32_t wanted_partition, struct dri_published *ret_published);
/** Index of the first record at or after offset. */
size_t sim_index_of(const struct sim_partition *partition, uint64_t offset);

/* sim_group.c */
struct sim_group *sim_group_get(struct dri_sim_broker *broker, const char *name);
void sim_group_free(struct sim_group *group);
struct sim_claim *sim_claim_find(struct sim_group *group, const struct sim_partition *partition);
/** False: no memory; the client may still be left and destroyed. */
bool sim_join(struct dri_transport *client, const struct dri_transport_config *config);
/** The client says goodbye, or its memory goes away. */
void sim_leave(struct dri_transport *client);
void sim_heartbeat(struct dri_transport *client);
/** is_given_up: the client wants it no more. */
void sim_slot_ended(struct dri_transport *client, struct sim_slot *slot, bool is_given_up);
void sim_storm(struct dri_sim_broker *broker, bool is_lost, uint32_t one_in);
void sim_groups_tick(struct dri_sim_broker *broker);
uint64_t sim_groups_deadline(const struct dri_sim_broker *broker);
enum dray_status sim_commit(struct dri_sim_broker *broker, struct sim_op *op);
void sim_ack(struct dri_sim_broker *broker, const struct sim_op *op);
void sim_extend(struct dri_sim_broker *broker, const struct sim_op *op);
/** EACH: the next message of a consumer for this slot; NULL: none now. */
const struct sim_record *sim_deliver(struct dri_transport *client, uint32_t slot,
                                     struct dri_message *ret_message);
/** EACH: when there may be one. */
uint64_t sim_deliver_deadline(const struct sim_claim *claim);

/* sim.c */
/** The client's slot for a partition, made if need be; UINT32_MAX: no memory. */
uint32_t sim_slot_get(struct dri_transport *client, struct sim_partition *partition,
                      struct sim_claim *claim, enum dri_source_role role);
void sim_slot_open(struct dri_transport *client, uint32_t slot);
void sim_slot_revoke(struct dri_transport *client, uint32_t slot);
void sim_slot_lose(struct dri_transport *client, uint32_t slot);
void sim_die(struct dri_transport *client);
/** Queue an event. Consumes bytes, which its slices may borrow; NULL: none. */
void sim_tell(struct dri_transport *client, const struct dri_transport_event *event, char *bytes,
              size_t bytes_len);
void sim_see_slot(const struct dri_transport *client, uint32_t slot, enum dri_sim_sight_type type,
                  uint64_t offset, uint32_t deliveries);
/** One slot by itself. */
void sim_slot_assign(struct dri_transport *client, uint32_t slot, enum dri_start start,
                     uint64_t start_offset);
void sim_slot_tell_end(struct dri_transport *client, uint32_t slot,
                       enum dri_transport_event_type type);
/** A log source begins at its start. */
void sim_slot_open_log(struct dri_transport *client, uint32_t slot,
                       const struct dri_source *source);
void sim_fill_info(const struct dri_sim_broker *broker, struct dri_transport_info *ret_info);

/* sim_follow.c */
bool sim_is_follower(enum dri_source_role role);
/** Whether all members read the partitions of such a source together, each message going to one
 * (window: to all). */
bool sim_is_shared(const struct dri_sim_broker *broker, enum dri_source_role role);
/** Follower claims of the group get their leaders. */
void sim_follow_link(struct dri_sim_broker *broker, struct sim_group *group,
                     const struct sim_member *member);
/** The slots of the followers of a commands slot, made if need be. False: no memory. */
bool sim_follow_get(struct dri_transport *client, uint32_t slot);
/** What the ASSIGNED event of this slot names. */
void sim_follow_name(const struct dri_transport *client, uint32_t slot, uint32_t *ret_park,
                     uint32_t *ret_window);
/** The followers of a commands slot that are not closed begin, are revoked or lost with it. */
void sim_follow_open(struct dri_transport *client, uint32_t slot);
void sim_follow_revoke(struct dri_transport *client, uint32_t slot);
void sim_follow_lose(struct dri_transport *client, uint32_t slot);
/** The commands slot that is ended when this one is closed; DRI_SLOT_NONE: something of it is open
 * still. */
uint32_t sim_follow_ended(const struct dri_transport *client, uint32_t slot);
/** Whether messages are held back because a follower is not at its end. */
bool sim_follow_holds(const struct dri_transport *client, const struct sim_slot *slot);
/** EACH: what was deleted is not read. */
void sim_follow_skip(struct sim_slot *slot);
/** EACH: a settle of a park log arrives. */
void sim_follow_delete(struct dri_sim_broker *broker, const struct sim_op *op);

/* sim_open.c */
enum dray_status sim_open(const struct dri_transport_config *config,
                          struct dri_transport **ret_transport, char *ret_text, size_t text_bytes);
enum dray_status sim_check(const struct dri_transport_config *config,
                           struct dri_transport_info *ret_info, struct dri_topic_report *reports,
                           char *ret_text, size_t text_bytes);
enum dray_status sim_check_option(const struct dri_option *option, char *ret_text,
                                  size_t text_bytes);
enum dray_status sim_check_config(const struct dri_transport_config *config, char *ret_text,
                                  size_t text_bytes);

#endif
