/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SIM_PARTS_H
#define DRI_SIM_PARTS_H

#include "sim_inside.h"

/* sim_parts.h - what each file of the simulated broker has for the others. Part of sim_inside.h,
 * which has the structures and the rules. */

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
/** Origin, topic and the metadata of the last commit, in one block; NULL: no memory. */
char *sim_assigned_bytes(struct dri_transport *client, const struct sim_slot *slot,
                         struct dri_transport_event *event, size_t *ret_len);
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
/** When a reader of the claim (NULL: of a log) may have the record; of a delay source, when it has
 * been there long enough. */
uint64_t sim_ready_ns(const struct sim_claim *claim, const struct sim_record *record);
/** EACH: when there may be one. */
uint64_t sim_deliver_deadline(const struct sim_claim *claim);

/* sim.c */
/** The client's slot for a partition, made if need be; UINT32_MAX: no memory. */
uint32_t sim_slot_get(struct dri_transport *client, struct sim_partition *partition,
                      struct sim_claim *claim, enum dri_source_role role);
void sim_slot_open(struct dri_transport *client, uint32_t slot);
void sim_die(struct dri_transport *client);
/** One more thing that the process does. False: it died before. */
bool sim_spend(struct dri_transport *client);
/** Queue an event. Consumes bytes, which its slices may borrow; NULL: none. */
void sim_tell(struct dri_transport *client, const struct dri_transport_event *event, char *bytes,
              size_t bytes_len);
void sim_see_slot(const struct dri_transport *client, uint32_t slot, enum dri_sim_sight_type type,
                  uint64_t offset, uint32_t deliveries);
/** One slot by itself. */
void sim_slot_assign(struct dri_transport *client, uint32_t number, enum dri_start start,
                     uint64_t start_offset);
void sim_slot_tell_end(struct dri_transport *client, uint32_t slot,
                       enum dri_transport_event_type type);
/** A log source begins at its start. */
void sim_slot_open_log(struct dri_transport *client, uint32_t slot,
                       const struct dri_source *source);
void sim_fill_info(const struct dri_sim_broker *broker, struct dri_transport_info *ret_info);

/* sim_transaction.c */
/** Whether a publish is taken now. */
bool sim_txn_takes(const struct dri_transport *client);
/** Both consume op. */
void sim_txn_store(struct dri_transport *client, struct sim_op *op);
void sim_txn_settle(struct dri_transport *client, struct sim_op *op);
/** The commit of the transport. */
void sim_txn_do_commit(struct dri_transport *client, struct dri_now now, bool is_void);
void sim_txn_slot_gone(struct dri_transport *client, uint32_t slot, bool is_lost);
/** Do what a break asks for. */
void sim_txn_serve(struct dri_transport *client);
/** Both consume op. */
void sim_txn_arrive(struct dri_sim_broker *broker, struct sim_op *op);
void sim_txn_answer(struct sim_op *op);
void sim_txn_op_free(struct sim_op *op);
void sim_txn_free(struct dri_transport *client);

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
/** A slot with its followers. */
void sim_slot_revoke(struct dri_transport *client, uint32_t slot);
void sim_slot_lose(struct dri_transport *client, uint32_t slot);
/** It is closed: the broker hears of it when its followers, or those beside it, are too. */
void sim_slot_end(struct dri_transport *client, uint32_t slot);
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
