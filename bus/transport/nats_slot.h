/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_NATS_SLOT_H
#define DRI_NATS_SLOT_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "clock.h"
#include "nats_lease.h"
#include "nats_tools.h"
#include "transport.h"

/* nats_slot.h - sources: their consumers, what is asked for, what has come, what is out.
 *
 * Threads: the owner's.
 */

struct dri_nats;

/* --- slots ---------------------------------------------------------------------------------- */

enum dri_nats_slot_kind {
    DRI_NATS_GROUP, /* durable consumer, explicit ack */
    DRI_NATS_LOG,   /* ephemeral consumer, from a sequence */
    DRI_NATS_CORE,  /* plain subscription: an inbox */
};

enum dri_nats_slot_state {
    DRI_NATS_SETUP_WAIT,   /* until setup_at_ns, then from the start */
    DRI_NATS_SETUP_FIND,   /* which stream holds the subject */
    DRI_NATS_SETUP_STREAM, /* what that stream is */
    DRI_NATS_SETUP_LOOK,   /* is the durable there */
    DRI_NATS_SETUP_CREATE,
    DRI_NATS_SETUP_NOTE,   /* partition: is the new consumer in the record of the lease */
    DRI_NATS_SETUP_FOLLOW, /* partition: are its followers ready */
    DRI_NATS_READY,
    DRI_NATS_GONE, /* unassigned; a partition: not set up, or not now */
};

#define DRI_NATS_PULLS_MAX 4u
struct dri_nats_pull {
    uint64_t number;
    uint32_t left; /* messages that may still come; 0: free */
    uint64_t deadline_ns;
};

/** A message that came and was not handed up yet. */
struct dri_nats_waiting {
    natsMsg *message;
    uint64_t stream_seq, consumer_seq, pending;
    int64_t timestamp_ms;
    uint32_t deliveries;
    uint64_t received_ns;
    uint64_t due_ns;  /* the lease; UINT64_MAX: none */
    bool is_given_up; /* by the consumer; fetched: header block and body are the message's data */
    uint32_t block_bytes; /* of that */
    uint64_t ready_ns;    /* not to be handed up before; 0: at once */
};

#define DRI_NATS_RECENT_MAX 16384u /* power of two */

struct dri_nats_slot {
    enum dri_nats_slot_kind kind;
    enum dri_source_role role;
    enum dri_start start;
    uint32_t number;
    uint32_t epoch; /* 0: never assigned */
    bool is_assigned, is_paused;
    bool is_gated; /* commands: a follower has not told its end yet; a follower: it is leaving.
                      Nothing is asked for */
    uint32_t park, window; /* commands: slots that they wait for, or DRI_SLOT_NONE */
    uint32_t leader;       /* a follower: slot of its partition of the commands, or DRI_SLOT_NONE */
    uint64_t *erase;       /* park: sequences that are finished and still in the stream; ring */
    size_t erase_head, erase_count, erase_capacity;
    uint64_t erase_at_ns; /* not before */
    /* What poll has still to tell, in this order. */
    bool has_lost, has_assigned, has_revoked, has_caught_up;
    uint32_t lost_epoch;
    bool is_fresh;                       /* group: the durable was made by us just now */
    bool is_caught_up;                   /* log, window: said so */
    char topic[DRI_NATS_SUBJECT_BYTES];  /* as the source named it */
    char filter[DRI_NATS_SUBJECT_BYTES]; /* what is read */
    bool has_filter;                     /* the consumer filters */
    char stream[DRI_NATS_NAME_BYTES];
    char stream_created[48]; /* of the stream as first seen */
    char consumer[DRI_NATS_NAME_BYTES];
    char consumer_created[48];
    uint64_t lease_ns; /* reported: the server's time less a margin */
    uint64_t ack_wait_ns;
    uint64_t ack_floor;    /* group: everything up to here is done, as far as we know */
    uint64_t next_seq;     /* log: next wanted */
    uint64_t consumer_seq; /* log: last seen of this consumer */
    uint64_t catch_up_seq; /* log: end as of opening */
    uint64_t end_seq;      /* last known end of the stream (next sequence) */
    uint64_t end_at_ns;    /* when it was asked for; 0: never */
    bool is_end_known, is_end_asked;
    uint64_t floor_at_ns; /* when to ask for the floor next */
    uint64_t looked_ns;   /* when that was answered last */
    uint64_t stuck_ns;    /* how long messages have waited and none has come */
    bool is_starved;      /* since then none has come, though we could take some */
    bool was_made_anew;   /* the connection, for that; until a message comes */
    uint64_t start_offset;
    uint64_t delay_ms; /* 0: none */

    enum dri_nats_slot_state state;
    uint64_t setup_at_ns;
    uint32_t setup_tries;
    enum dray_status setup_status; /* why the last try failed */
    char setup_text[DRI_NATS_TEXT_BYTES];

    struct dri_nats_pull pulls[DRI_NATS_PULLS_MAX]; /* oldest first */
    uint32_t pulls_count;
    uint32_t batch_max;  /* the server's own bound, when it told one */
    uint64_t pull_at_ns; /* not before */
    uint64_t average_bytes;
    bool is_at_end; /* log: a pull came back empty */

    struct dri_nats_waiting *waiting; /* ring */
    size_t waiting_head, waiting_count, waiting_capacity;
    uint64_t renew_at_ns; /* leases of the ring */

    bool is_partition; /* of the commands: read under a lease */
    bool is_internal;  /* the bucket of leases, advisories: nothing of it is handed up */
    bool is_optional;  /* the worker works without it */
    int32_t partition;
    struct dri_nats_lease lease;
    char consumer_base[DRI_NATS_NAME_BYTES]; /* without its number */
    uint64_t consumer_number, consumer_previous;

    uint64_t deliver_max; /* group: deliveries that the consumer allows; 0: any number */

    uint64_t *recent; /* group: messages settled lately, by sequence */
};

DRAY_MUST_CHECK enum dray_status dri_nats_slots_init(struct dri_nats *self,
                                                     const struct dri_transport_config *config,
                                                     char ret_text[DRI_NATS_TEXT_BYTES]);
void dri_nats_slots_fini(struct dri_nats *self);
/** Drives set-up, pulls and renewals of all slots. */
void dri_nats_slots_step(struct dri_nats *self, struct dri_now now);
void dri_nats_slots_link_up(struct dri_nats *self);
void dri_nats_slots_link_down(struct dri_nats *self, struct dri_now now);
uint64_t dri_nats_slots_deadline(const struct dri_nats *self);
struct dri_nats_slot *dri_nats_slot_at(struct dri_nats *self, uint32_t number, uint32_t epoch);
/** Begin again to look for the consumer, after a while. */
void dri_nats_slot_setup_again(struct dri_nats *self, struct dri_nats_slot *slot,
                               struct dri_now now);
/** Unassigned or closing: hand back what waits, and stay away. */
void dri_nats_slot_leave(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
/** Whether the consumer of this slot, if there is one, fits: what doctor asks. Blocks until
 *  deadline_ns. ret_report has the topic's report, which is OK. */
void dri_nats_slot_examine(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t deadline_ns,
                           struct dri_topic_report *ret_report);
/** The steps of the set-up that every kind of source shares; nats_slot.c. */
void dri_nats_slot_fail(struct dri_nats_slot *slot, struct dri_now now, enum dray_status status,
                        const char *what, const char *why);
void dri_nats_slot_ready(struct dri_nats *self, struct dri_nats_slot *slot);
/** Ours from now on, in a new epoch; poll tells. */
void dri_nats_slot_assign(struct dri_nats_slot *slot);
/** A log: its consumer is not needed any more. */
void dri_nats_slot_forget_log(struct dri_nats *self, const struct dri_nats_slot *slot,
                              struct dri_now now);
void dri_nats_slot_set_lease(struct dri_nats_slot *slot, struct dray_slice config);

/** Partitions; nats_partition.c. The stream is known: find where to go on, and make a consumer. */
void dri_nats_partition_setup(struct dri_nats *self, struct dri_nats_slot *slot,
                              struct dri_now now);
/** Our write of its record has come back: it is ours, and the record says what we know. */
void dri_nats_slot_noted(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
/** Others want it. */
void dri_nats_slot_revoke(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
/** It is not ours any more; whoever knows of it is told that it is lost. */
void dri_nats_slot_vacate(struct dri_nats *self, struct dri_nats_slot *slot);
/** The connection is down: set up again when it is known to be ours still. */
void dri_nats_slot_hold(struct dri_nats *self, struct dri_nats_slot *slot);
/** Whether a message of this consumer may be taken. */
bool dri_nats_partition_accepts(const struct dri_nats_slot *slot, struct dray_slice consumer);
/** Appends one token of a subject, of signs that a consumer's name and a bucket's keys may have. */
void dri_nats_append_token(char *text, size_t bytes, const char *token);
/** Slots for the partitions of a commands source, for their followers and for the bucket. */
DRAY_MUST_CHECK enum dray_status dri_nats_partitions_init(struct dri_nats *self,
                                                          const struct dri_transport_config *config,
                                                          const struct dri_source *source,
                                                          char ret_text[DRI_NATS_TEXT_BYTES]);

/** What follows a partition; nats_follow.c. Slots of the followers; before those of the partitions.
 */
DRAY_MUST_CHECK enum dray_status dri_nats_follow_init(struct dri_nats *self,
                                                      const struct dri_transport_config *config,
                                                      char ret_text[DRI_NATS_TEXT_BYTES]);
/** Names the followers of a partition in its slot. */
void dri_nats_follow_name(struct dri_nats *self, struct dri_nats_slot *leader);
/** Whether the slot comes and goes with a lease. */
bool dri_nats_follow_has_owner(const struct dri_nats_slot *slot);
/** The partition is ours: its followers are looked for, from the start. */
void dri_nats_follow_begin(struct dri_nats *self, struct dri_nats_slot *leader);
/** Assigns them all when they are all there. */
void dri_nats_follow_join(struct dri_nats *self, struct dri_nats_slot *leader);
/** The followers of a partition are not ours any more. */
void dri_nats_follow_vacate(struct dri_nats *self, struct dri_nats_slot *leader);
void dri_nats_follow_revoke(struct dri_nats *self, struct dri_nats_slot *leader);
/** The log of a follower is gone: its partition goes with it, and is set up again. False: nobody
 *  had it yet. */
bool dri_nats_follow_lose(struct dri_nats *self, struct dri_nats_slot *slot);
/** The owner let this slot go; the partition is given up with the last one, and not before what is
 *  finished is erased. */
void dri_nats_follow_unassign(struct dri_nats *self, struct dri_nats_slot *slot);
/** A message of a park log is finished. */
void dri_nats_follow_settle(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t seq);
/** Erases what is finished. */
void dri_nats_follow_step(struct dri_nats *self, struct dri_now now);
uint64_t dri_nats_follow_deadline(const struct dri_nats *self);
/** Until all is erased, the connection is down, or it is deadline_ns. */
void dri_nats_follow_flush(struct dri_nats *self, uint64_t deadline_ns);

/** Whether a consumer that was made then is the one that we know. */
bool dri_nats_slot_is_same_consumer(const struct dri_nats_slot *slot, const char *created);
void dri_nats_progress_ask(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
void dri_nats_slot_ask_end(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);

void dri_nats_pull_arrive(struct dri_nats *self, struct dri_nats_slot *slot, natsMsg *message,
                          uint64_t received_ns, struct dri_now now);
void dri_nats_pull_step(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
uint64_t dri_nats_pull_deadline(const struct dri_nats_slot *slot);
/** Next message to hand up; false: none. Requires: now. */
/** When the first message that waits may be handed up; 0: at once; UINT64_MAX: none waits. */
uint64_t dri_nats_pull_ready_ns(const struct dri_nats_slot *slot);
bool dri_nats_pull_next(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                        struct dri_transport_event *ret_event);
/** Puts a message that came another way into the ring (owned on success); false: no memory. */
bool dri_nats_pull_put(struct dri_nats_slot *slot, const struct dri_nats_waiting *waiting);
/** Takes the first of the ring (owned); false: empty. */
bool dri_nats_pull_take(struct dri_nats_slot *slot, struct dri_nats_waiting *ret_waiting);
/** Forget what waits: hand back to the server what is still ours (hand_back), or just drop it. */
void dri_nats_pull_clear(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                         bool hand_back);

/* --- deliveries ----------------------------------------------------------------------------- */

enum dri_nats_delivery_state {
    DRI_NATS_FREE,
    DRI_NATS_OUT,
    DRI_NATS_LATE
};

struct dri_nats_delivery {
    uint64_t stream_seq, consumer_seq;
    int64_t timestamp_ms; /* with the sequence, the message: a stream made anew counts again */
    uint64_t due_ns;      /* end of the lease */
    uint32_t deliveries;
    uint32_t generation;
    uint32_t next; /* free list, late list */
    uint32_t slot, epoch;
    enum dri_nats_delivery_state state;
    bool is_orphan;    /* its consumer is none of ours any more: nothing is said about it */
    char *ack_subject; /* owned; NULL: made from the numbers */
};

#define DRI_NATS_CHUNK 1024u

struct dri_nats_deliveries {
    struct dri_nats_delivery **chunks;
    uint32_t chunks_count, chunks_max;
    uint32_t free;
    uint32_t *places;    /* by slot and stream sequence: index + 1 of what is out; 0: free */
    uint32_t places_max; /* power of two */
    uint32_t late_first, late_last, late_count; /* settled while the connection was down */
    uint32_t out;
};

DRAY_MUST_CHECK enum dray_status dri_nats_deliveries_init(struct dri_nats *self, uint32_t max);
void dri_nats_deliveries_fini(struct dri_nats *self);
/** Names a delivery. Returns 0 when there is no memory. */
uint64_t dri_nats_delivery_take(struct dri_nats *self, const struct dri_nats_slot *slot,
                                const struct dri_nats_waiting *waiting);
void dri_nats_deliveries_settle(struct dri_nats *self, const struct dri_settle *settle);
void dri_nats_deliveries_extend(struct dri_nats *self, struct dri_now now, uint32_t slot_number,
                                uint32_t epoch, const uint64_t *ids, size_t count);
/** The slot's consumer is there, and the one that it was: what was settled meanwhile is sent. */
void dri_nats_deliveries_ready(struct dri_nats *self, uint32_t slot);
/** The slot gets another consumer: what is out of the one before is settled without a word. */
void dri_nats_deliveries_orphan(struct dri_nats *self, uint32_t slot);
/** Everything of this slot is gone. */
void dri_nats_deliveries_drop(struct dri_nats *self, uint32_t slot);
bool dri_nats_delivery_was_settled(const struct dri_nats_slot *slot, uint64_t stream_seq,
                                   int64_t timestamp_ms);
/** Whether another message with this sequence is out: then the stream is another one. */
bool dri_nats_delivery_is_of_another(const struct dri_nats *self, uint32_t slot,
                                     uint64_t stream_seq, int64_t timestamp_ms);

enum dri_nats_verb {
    DRI_NATS_ACK,
    DRI_NATS_NAK,
    DRI_NATS_PROGRESS
};
/** False when it could not be sent. */
bool dri_nats_verb_send(struct dri_nats *self, enum dri_nats_verb verb, const char *ack_subject);

#endif
