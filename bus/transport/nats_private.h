/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_NATS_PRIVATE_H
#define DRI_NATS_PRIVATE_H

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "clock.h"
#include "nats_lease.h"
#include "nats_slot.h"
#include "nats_tools.h"
#include "nats_wire.h"
#include "transport.h"

/* nats_private.h - what the files nats*.c share; nobody else includes it.
 *
 *   nats.c          the operations of transport.h, and the turn that drives the rest
 *   nats_settings.c URL and options
 *   nats_wire.c     one connection: dialling, the event loop's callbacks, the mailbox
 *   nats_lease.c    which replica reads which partition
 *   nats_link.c     keeps a connection up: dials in a helper thread, notices that it is dead
 *   nats_call.c     requests to the JetStream API and their answers
 *   nats_topic.c    streams: find, check, create
 *   nats_slot.c     sources: consumer set-up and loss
 *   nats_partition.c  the slots of partitions: set-up, hand-over
 *   nats_follow.c   park logs and windows, which go with a partition
 *   nats_progress.c what the consumers say of themselves; one that gives nothing any more
 *   nats_given.c    what a consumer's max_deliver gave up
 *   nats_pull.c     pull requests, and what arrives for them
 *   nats_delivery.c leases: settle, extend, hand back
 *   nats_publish.c  publishes and their acknowledgements
 *   nats_claim.c    whether a record that is stored already is ours
 *   nats_header.c   header blocks and keys, both ways
 *   nats_message.c  headers of messages, memory of a poll
 *   nats_json.c     just enough JSON to read answers
 *   nats_seed.c     the public key of an NKey seed
 *
 * Owner thread: everything, except struct dri_nats_mailbox (its lock) and what a dialling job holds
 * until it says that it is done.
 */

/* --- calls: requests to the JetStream API --------------------------------------------------- */

struct dri_nats;

/** status: OK (reply is a JSON object without "error"), ENOTFOUND, EAUTH, EINVALID, ... (an error
 *  object), ETIMEOUT, EBROKER (connection lost), EUNSUPPORTED (no JetStream there). code is the
 *  server's err_code, description its text. */
struct dri_nats_reply {
    enum dray_status status;
    uint32_t code;
    struct dray_slice json;
    char description[160];
};
typedef void dri_nats_reply_fn(struct dri_nats *self, void *arg,
                               const struct dri_nats_reply *reply);

#define DRI_NATS_CALLS_MAX 64u
struct dri_nats_call {
    bool is_out;
    uint32_t generation;
    uint64_t deadline_ns;
    dri_nats_reply_fn *on_reply;
    void *arg;
    char subject[192]; /* for error texts */
};

/** subject without the prefix "$JS.API."; body NULL: none. Returns false when it could not be sent;
 *  then on_reply is not called. */
bool dri_nats_call(struct dri_nats *self, struct dri_now now, const char *subject, const char *body,
                   dri_nats_reply_fn *on_reply, void *arg);
void dri_nats_calls_arrive(struct dri_nats *self, natsMsg *message);
void dri_nats_calls_fail(struct dri_nats *self, enum dray_status status);
void dri_nats_calls_expire(struct dri_nats *self, struct dri_now now);
uint64_t dri_nats_calls_deadline(const struct dri_nats *self);
/** Forget the answers that this argument waits for. */
void dri_nats_calls_cancel(struct dri_nats *self, const void *arg);
/** A question of open and check, which wait for the answer. */
struct dri_nats_inquiry {
    struct dri_nats *self;
    uint64_t deadline_ns;
    char *buffer; /* for reply.json */
    size_t buffer_bytes;
    struct dri_nats_reply reply;
};
/** Asks, and turns the wheel until inquiry->reply is there. */
void dri_nats_inquire(struct dri_nats_inquiry *inquiry, const char *subject, const char *body);

/* --- publishes ------------------------------------------------------------------------------ */

enum dri_nats_pending_state {
    DRI_NATS_PENDING_FREE,
    DRI_NATS_PENDING_OUT,
    DRI_NATS_PENDING_CHECK, /* stored under our id already: is that ours? */
    DRI_NATS_PENDING_DONE
};

struct dri_nats_pending {
    uint64_t token;
    uint64_t due_ns;
    uint64_t offset;
    uint32_t generation;
    uint32_t next, previous; /* out: by time; the other lists: singly */
    uint32_t index;          /* of itself */
    uint32_t target;         /* place in the table of subjects */
    bool is_unheard;         /* nobody listened; the target is being checked */
    enum dri_nats_pending_state state;
    enum dri_ack ack;
    enum dray_status reason;
    bool is_duplicate;
    struct dri_nats_claim claim;
};

/** A subject that publishes are out for. */
#define DRI_NATS_TARGETS_MAX 256u
struct dri_nats_target {
    uint32_t holders;
    bool is_checked; /* nobody listened, and we have asked whether there is a stream */
    char subject[DRI_NATS_SUBJECT_BYTES];
    char stream[DRI_NATS_NAME_BYTES]; /* that has said "duplicate" for it */
};

struct dri_nats_publishes {
    struct dri_nats_pending **chunks;
    uint32_t chunks_count, chunks_max;
    uint32_t free;
    uint32_t out_first, out_last, out_count, out_max;
    uint32_t check_first, check_last;  /* to be asked about */
    uint32_t checks_count, checks_out; /* to be asked about or asked; asked */
    uint32_t done_first, done_last, done_count;
    struct dri_nats_target targets[DRI_NATS_TARGETS_MAX];
};

DRAY_MUST_CHECK enum dray_status dri_nats_publishes_init(struct dri_nats *self, uint32_t max);
void dri_nats_publishes_fini(struct dri_nats *self);
size_t dri_nats_publishes_send(struct dri_nats *self, struct dri_now now,
                               const struct dri_publish *messages, size_t count);
void dri_nats_publishes_arrive(struct dri_nats *self, struct dri_now now, natsMsg *message);
void dri_nats_publishes_link_down(struct dri_nats *self);
void dri_nats_publishes_expire(struct dri_nats *self, struct dri_now now);
/** Asks for what is stored under the ids that were taken. */
void dri_nats_publishes_check(struct dri_nats *self, struct dri_now now);
uint64_t dri_nats_publishes_deadline(const struct dri_nats *self);
bool dri_nats_publishes_next(struct dri_nats *self, struct dri_transport_event *ret_event);

/* --- streams -------------------------------------------------------------------------------- */

/** How a topic of the configuration looks on JetStream. */
struct dri_nats_stream_plan {
    char subject[DRI_NATS_SUBJECT_BYTES]; /* that has to be held */
    char name[DRI_NATS_NAME_BYTES];       /* of the stream that would be created */
    char subjects[2][DRI_NATS_SUBJECT_BYTES];
    uint32_t subjects_count;
    bool is_last_per_subject;
    uint64_t age_ms; /* then a message goes; 0: never */
};
DRAY_MUST_CHECK enum dray_status dri_nats_topic_plan(const struct dri_topic *topic,
                                                     struct dri_nats_stream_plan *ret_plan,
                                                     char ret_text[DRI_NATS_TEXT_BYTES]);
/** Checks or creates one topic; ret_report may be NULL. ret_text when it is not OK. */
DRAY_MUST_CHECK enum dray_status dri_nats_topic_check(struct dri_nats *self,
                                                      const struct dri_topic *topic,
                                                      bool can_create, uint64_t deadline_ns,
                                                      struct dri_topic_report *ret_report,
                                                      char ret_text[DRI_NATS_TEXT_BYTES]);

/* --- what consumers gave up ----------------------------------------------------------------- */

/** An advisory whose message is being fetched. */
#define DRI_NATS_RESCUES_MAX 16u
struct dri_nats_rescue {
    natsMsg *advisory; /* owned; NULL: free */
    bool is_asked;
    uint32_t slot, epoch; /* of the message */
    uint64_t stream_seq;
    uint64_t given_up_ms;
    uint32_t deliveries;
    uint64_t due_ns; /* lease of the advisory */
};

struct dri_nats_given {
    bool is_on;
    uint32_t slot; /* that reads the advisories */
    uint32_t tries;
    enum dray_status told;
    uint64_t check_at_ns;
    struct dri_nats_rescue rescues[DRI_NATS_RESCUES_MAX];
};

/** Adds its slot. Requires: a group, and room in the table of slots. */
void dri_nats_given_init(struct dri_nats *self, const struct dri_source *commands);
/** Makes the stream of advisories when it is missing; blocks until deadline_ns. */
void dri_nats_given_open(struct dri_nats *self, bool can_create, uint64_t deadline_ns);
/** The same for doctor: what is missing is a warning in the report of the commands. */
void dri_nats_given_examine(struct dri_nats *self, bool can_create, uint64_t deadline_ns,
                            struct dri_topic_report *report);
void dri_nats_given_step(struct dri_nats *self, struct dri_now now);
void dri_nats_given_fini(struct dri_nats *self);

/* --- what goes with a partition ------------------------------------------------------------- */

#define DRI_NATS_ERASING_MAX   16u
#define DRI_NATS_FOLLOWERS_MAX 2u

/** A message of a park log that the server was told to erase. */
struct dri_nats_erasing {
    struct dri_nats_slot *slot; /* NULL: free */
    uint64_t seq;
};

struct dri_nats_follow {
    struct dri_nats_erasing erasing[DRI_NATS_ERASING_MAX];
    /* Topics that follow, whether or not they are read here: publishes name their partition. */
    char topics[DRI_NATS_FOLLOWERS_MAX][DRI_NATS_SUBJECT_BYTES];
    uint32_t topics_count;
    uint32_t slot_first, slots_count;
};

/* --- the transport -------------------------------------------------------------------------- */

struct dri_nats_job; /* dialling, nats_link.c */

struct dri_nats {
    struct dri_transport_base base; /* first */
    struct dri_nats_settings settings;
    char *group;
    char inbox[96];
    char api_prefix[64];  /* "$JS.API." or "$JS.<domain>.API." */
    char **status_topics; /* of DRI_USE_STATUS: the key becomes the last token */
    size_t status_topics_count;
    uint64_t memory_bytes;
    uint64_t max_ack_pending;
    uint64_t window_ms;         /* how long a WINDOW topic keeps a record */
    uint64_t progress_limit_ns; /* 0: nobody looks */
    bool is_closing, is_closed;

    int epoll_fd;
    struct dri_nats_mailbox *mailbox;
    struct dri_nats_arrival *taken; /* swapped with the mailbox */
    size_t taken_capacity;

    struct dri_nats_wire *wire; /* NULL: down */
    struct dri_nats_job *job;   /* dialling; NULL: no */
    uint32_t server_next;
    uint32_t dials_failed; /* in a row */
    uint64_t dial_at_ns;
    bool wants_other_wire; /* this one does not do its work */
    uint64_t heard_ns;     /* when the server was last heard */
    uint64_t pinged_ns;    /* when it was last asked; 0: nothing is out */
    bool was_pinged;
    struct dri_nats_server_info server; /* of the last connection */
    char library_text[32], server_text[48];

    struct dri_nats_call calls[DRI_NATS_CALLS_MAX];
    struct dri_nats_slot *slots;
    uint32_t slots_count, slot_turn;
    struct dri_nats_leases leases;
    struct dri_nats_given given;
    struct dri_nats_follow follow;
    char partitioned[DRI_NATS_SUBJECT_BYTES]; /* publishes to this subject go to its partitions */
    uint32_t keyless_turn;
    uint64_t pull_number;
    size_t room; /* messages_max of the last poll */

    struct dri_nats_deliveries deliveries;
    struct dri_nats_publishes publishes;
    struct dri_nats_arena arena;   /* of events: until the next poll */
    struct dri_nats_arena scratch; /* within one call */
    natsMsg **held;                /* handed up by the last poll */
    size_t held_count, held_capacity;

    enum dray_status error_status;
    char error_text[DRI_NATS_TEXT_BYTES]; /* of the ERROR event to be told; "": none */
    char told_text[DRI_NATS_TEXT_BYTES];  /* of the one handed up last */

    uint64_t stale_settles, expired_extends, expired_waiting; /* counted, logged at close */
    uint64_t made_anew; /* connections, because a consumer gave nothing */
    uint64_t given_up;  /* messages that came by their advisory */
};

/** Reads the socket and hands arrivals out, without producing events. *ret_more: the socket has
 * more. */
void dri_nats_turn(struct dri_nats *self, struct dri_now now, bool *ret_more);

/** Tells the owner by an ERROR event; one that says that we cannot go on is not overwritten. */
DRAY_FORMAT(3, 4)
void dri_nats_tell(struct dri_nats *self, enum dray_status status, const char *format, ...);

/** Connects for the first time; blocks until deadline_ns. */
DRAY_MUST_CHECK enum dray_status dri_nats_link_open(struct dri_nats *self, uint64_t deadline_ns,
                                                    char ret_text[DRI_NATS_TEXT_BYTES]);
/** Notices a dead connection, dials again, adopts a new one, pings. */
void dri_nats_link_step(struct dri_nats *self, struct dri_now now);
uint64_t dri_nats_link_deadline(const struct dri_nats *self);
/** When our own ping comes back, what was written before is at the server, and what the server sent
 *  before was handed out. Blocks until deadline_ns. */
void dri_nats_link_flush(struct dri_nats *self, uint64_t deadline_ns);
void dri_nats_link_close(struct dri_nats *self, uint64_t deadline_ns);
/** Waits for the socket or the mailbox, for up to until_ns. */
void dri_nats_link_wait(struct dri_nats *self, uint64_t until_ns);
/** A publish of ours that nobody acknowledges: requests, acks. False when it could not be taken. */
bool dri_nats_link_send(struct dri_nats *self, const char *subject, const char *reply,
                        const void *body, size_t body_bytes);
/** The server said on the side that we may not publish to a subject that begins so. */
bool dri_nats_link_is_forbidden(const struct dri_nats *self, const char *subject);
/** Whether more may be buffered for the socket. */
bool dri_nats_link_has_room(const struct dri_nats *self);

#endif
