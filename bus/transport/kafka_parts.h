/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_KAFKA_PARTS_H
#define DRI_KAFKA_PARTS_H

#include "kafka_private.h"

/* kafka_parts.h - the functions by which the files of the Kafka transport call each other. */

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

/** check_option and check_config of the transport. */
DRAY_MUST_CHECK enum dray_status dri_kafka_check_option(const struct dri_option *option,
                                                        char *ret_text, size_t text_bytes);
DRAY_MUST_CHECK enum dray_status dri_kafka_check_config(const struct dri_transport_config *config,
                                                        char *ret_text, size_t text_bytes);

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
/** A moment, before something is asked again. False: it makes no sense any more. */
bool dri_kafka_admin_wait(struct dri_kafka_admin *admin);

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
/** A consumer of the group of this configuration, which it consumes; it subscribes. */
DRAY_MUST_CHECK enum dray_status dri_kafka_group_join(struct dri_kafka *kafka,
                                                      rd_kafka_conf_t *conf, char *ret_text,
                                                      size_t text_bytes);
/** Forgets the group's handle without closing or destroying it, and what waits for its answers. */
void dri_kafka_group_put_down(struct dri_kafka *kafka);
/** The log_cb of every handle. Threads: librdkafka's. */
void dri_kafka_log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text);
/** An error that a handle reports. */
/** Errors that come and go without anybody's doing: librdkafka logs them and tries again. */
bool dri_kafka_is_noise(rd_kafka_resp_err_t err);
void dri_kafka_trouble(struct dri_kafka *kafka, rd_kafka_resp_err_t err, const char *reason);

/* kafka_follow.c */

bool dri_kafka_role_follows(enum dri_source_role role);
bool dri_kafka_is_follower(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot);
/** Whether the followers' topics have the partitions that they need. */
DRAY_MUST_CHECK enum dray_status dri_kafka_follow_open(const struct dri_kafka *kafka,
                                                       struct dri_kafka_admin *admin,
                                                       char *ret_text, size_t text_bytes);
/** Tell of what waits for its followers for too long. */
void dri_kafka_follow_look(struct dri_kafka *kafka);
/** How many sources do. */
uint64_t dri_kafka_follow_late(const struct dri_kafka *kafka);
/** Properties of their own for the topics of a new handle, and the end of that. */
void dri_kafka_follow_join(struct dri_kafka *kafka);
void dri_kafka_follow_put_down(struct dri_kafka *kafka);
/** Adds what follows the partitions of the commands that stand in the list. */
void dri_kafka_follow_add(const struct dri_kafka *kafka, rd_kafka_topic_partition_list_t *list);
/** What the ASSIGNED event of this slot names. */
void dri_kafka_follow_name(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot,
                           uint32_t *ret_park, uint32_t *ret_window);
/** Something of this partition was given, told or taken: hold its messages back, or not any more.
 */
void dri_kafka_follow_regate(struct dri_kafka *kafka, int32_t partition);
/** Tell that the end was reached, when it was and nothing before it waits here. */
void dri_kafka_follow_check(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
/** Its CAUGHT_UP was told. */
void dri_kafka_follow_told(struct dri_kafka *kafka, struct dri_kafka_slot *slot);

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
/** What was committed with a position, to be told with ASSIGNED. Anybody may have written it: bytes
 * without meaning here, only bounded. */
void dri_kafka_slot_keep_metadata(struct dri_kafka_slot *slot,
                                  const rd_kafka_topic_partition_t *from);
/** It tells behind all others. */
void dri_kafka_slot_tell_last(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
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
/** The same, but the owner goes on: it is told that everything is lost. */
void dri_kafka_group_lose(struct dri_kafka *kafka);
/** Every partition is lost, and assigned again where its position is then. */
void dri_kafka_group_reset(struct dri_kafka *kafka);
/** What waited for the transactions to be ready is asked now. */
void dri_kafka_lookup_release(struct dri_kafka *kafka);

/* kafka_progress.c */

/** Time between two statistics. */
uint32_t dri_kafka_progress_look_ms(uint32_t progress_ms);
/** The stats_cb of the group's handle. */
int dri_kafka_progress_look(rd_kafka_t *rk, char *json, size_t len, void *opaque);
void dri_kafka_progress_tick(struct dri_kafka *kafka);
uint64_t dri_kafka_progress_deadline(const struct dri_kafka *kafka);
/** Ends a client that was put off; waits for it. */
void dri_kafka_progress_fini(struct dri_kafka *kafka);

/* kafka_statistics.c */

/** Reads what librdkafka says of itself. Hostile text is no harm: what is not understood is not
 *  seen. */
void dri_kafka_statistics_read(const char *json, size_t len, struct dri_kafka_sight *sight);

/* kafka_commit.c */

void dri_kafka_settle(struct dri_kafka *kafka, const struct dri_settle *settle);
/** A position was just found or taken: that of a park log goes again in an hour. */
void dri_kafka_commit_refresh(const struct dri_kafka *kafka, struct dri_kafka_slot *slot);
/** As if it had been settled with this metadata before. */
void dri_kafka_commit_remember(struct dri_kafka_slot *slot);
void dri_kafka_commit_flush(struct dri_kafka *kafka);
/** The positions that wait, which count as sent now; NULL: none. Returned owned. */
rd_kafka_topic_partition_list_t *dri_kafka_commit_collect(struct dri_kafka *kafka);
/** They are committed, or not: with the transaction of the time when epoch was the last one. */
void dri_kafka_commit_answered(struct dri_kafka *kafka, const rd_kafka_topic_partition_list_t *list,
                               uint32_t epoch, bool is_committed);
void dri_kafka_commit_answer(struct dri_kafka *kafka, rd_kafka_event_t *event);
void dri_kafka_commit_tick(struct dri_kafka *kafka);
uint64_t dri_kafka_commit_deadline(const struct dri_kafka *kafka);

/* kafka_fetch.c */

/** Gives back what the last poll lent out. */
void dri_kafka_release(struct dri_kafka *kafka);
/** Up to messages_max messages; *ret_more: there may be more of them. */
size_t dri_kafka_fetch(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                       size_t messages_max, bool *ret_more);
/** When the next message that waits for its time may go up; UINT64_MAX: none. */
uint64_t dri_kafka_fetch_deadline(const struct dri_kafka *kafka);
void dri_kafka_slot_pause(struct dri_kafka *kafka, struct dri_kafka_slot *slot, bool is_paused);
/** It is about to be let go: librdkafka would remember the pause for the next time. */
void dri_kafka_slot_unpause(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
/** What librdkafka was told about pausing is made what it should be. */
void dri_kafka_slot_apply_pause(struct dri_kafka *kafka, struct dri_kafka_slot *slot);
/** Stashed messages but those that are held back for a follower. */
size_t dri_kafka_stash_open(const struct dri_kafka *kafka);
bool dri_kafka_stash_has(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot);
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
/** The producer is purged, destroyed and made anew, for this reason; its transaction is broken. */
void dri_kafka_producer_renew(struct dri_kafka *kafka, enum dray_status status, const char *reason);
void dri_kafka_producer_tick(struct dri_kafka *kafka);
uint64_t dri_kafka_producer_deadline(const struct dri_kafka *kafka);
void dri_kafka_producer_close(struct dri_kafka *kafka, uint64_t deadline_ns);
void dri_kafka_producer_fini(struct dri_kafka *kafka);
/** What a delivery report means. */
enum dri_ack dri_kafka_ack_of(rd_kafka_resp_err_t err, rd_kafka_msg_status_t status,
                              enum dray_status *ret_reason);

/* kafka_transaction.c */

DRAY_MUST_CHECK enum dray_status
dri_kafka_transaction_init(struct dri_kafka *kafka, const struct dri_transport_config *config);
/** There is a new producer: make it ready. */
void dri_kafka_transaction_begin(struct dri_kafka *kafka);
/** Waits until the first one is ready. Errors: ETIMEOUT, EAUTH, EBROKER, ...; ret_text says why. */
DRAY_MUST_CHECK enum dray_status dri_kafka_transaction_open(struct dri_kafka *kafka,
                                                            uint64_t deadline_ns, char *ret_text,
                                                            size_t text_bytes);
/** Whether a publish may be taken now. */
bool dri_kafka_transaction_takes(const struct dri_kafka *kafka);
/** Whether committed positions say what became of earlier transactions of ours. */
bool dri_kafka_transaction_is_ready(const struct dri_kafka *kafka);
void dri_kafka_transaction_commit(struct dri_kafka *kafka, bool is_void);
/** What is open is void, and so is the producer. */
void dri_kafka_transaction_break(struct dri_kafka *kafka, const char *format, ...)
    DRAY_FORMAT(2, 3);
/** The producer is given up. */
void dri_kafka_transaction_broken(struct dri_kafka *kafka);
/** A slot is about to be let go of, or is lost. */
void dri_kafka_transaction_slot_gone(struct dri_kafka *kafka, const struct dri_kafka_slot *slot,
                                     bool is_lost);
void dri_kafka_transaction_tick(struct dri_kafka *kafka);
size_t dri_kafka_transaction_poll(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                                  size_t max);
void dri_kafka_transaction_close(struct dri_kafka *kafka, uint64_t deadline_ns);
void dri_kafka_transaction_fini(struct dri_kafka *kafka);

/* kafka_headers.c */

/** Errors: EINVALID: not the flat form; ENOMEM. Owns: *ret_headers returned owned; NULL: none. */
DRAY_MUST_CHECK enum dray_status dri_kafka_headers_make(struct dray_slice flat,
                                                        rd_kafka_headers_t **ret_headers);
/** Bytes that these headers take in the flat form. */
size_t dri_kafka_headers_bytes(const rd_kafka_headers_t *headers);
/** Writes them; Requires: room for dri_kafka_headers_bytes. */
void dri_kafka_headers_flatten(const rd_kafka_headers_t *headers, uint8_t *at);

#endif
