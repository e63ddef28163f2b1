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

/* --- logs */

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

/* --- groups */

struct sim_subscription {
    struct sim_topic *topic;
    enum dri_source_role role;
    enum dri_start start;
    uint64_t delay_ms;
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
    uint64_t delay_ms;        /* DRI_ROLE_DELAY; 0: none */
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

/* --- the wire */

enum sim_op_type {
    SIM_OP_STORE,       /* a publish reaches the broker */
    SIM_OP_ACK,         /* its acknowledgement reaches the client */
    SIM_OP_SETTLE,      /* a settle reaches the broker */
    SIM_OP_ANSWER,      /* its answer reaches the client */
    SIM_OP_EXTEND,      /* a lease renewal reaches the broker */
    SIM_OP_TRANSACTION, /* a commit of a transaction reaches the broker, in parts */
    SIM_OP_ENDED,       /* how that ended reaches the client */
    SIM_OP_VOID,        /* it got lost */
};

struct sim_parts {         /* of a transaction: STORE and SETTLE */
    struct sim_op **items; /* owned */
    size_t count, capacity;
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
    struct sim_parts parts; /* TRANSACTION; its number stands in delivery */
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

/* --- the transport */

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
    bool is_transactional;
    bool is_committing, is_broken;
    bool is_break_untold; /* what broke stands in the queue still */
    uint64_t transaction; /* counts */
    uint64_t ready_ns;    /* after a break: when it takes something again */
    struct sim_parts open;
};

#include "sim_parts.h"

#endif
