/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_group.c - the group gives partitions and takes them away.
 *
 * Giving: the rebalance callback only notes the partitions and asks the coordinator for their
 * committed positions and metadata (ListConsumerGroupOffsets, which answers through a queue;
 * rd_kafka_committed would block the owner). With the answer each partition becomes a slot in a new
 * epoch, is told, and is then assigned at an explicit position: no message can come before its
 * ASSIGNED event, and nothing is left to auto.offset.reset.
 *
 * Taking: the callback tells REVOKED and returns; librdkafka has paused the partitions by then. It
 * waits for rd_kafka_assign(NULL), which we call when the owner has let go of every slot: meanwhile
 * the owner finishes, publishes and settles. An assignment that is lost already is unassigned at
 * once (K8).
 *
 * Partitions of followers are not the group's to give: they are added to each list of it, and taken
 * with their commands (kafka_follow.c).
 *
 * Eager rebalancing by default. The cooperative kind hands over parts of the assignment; the code
 * is the same but for the call at the end (K7, K24).
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"
#include "mem.h"

static void report_assign(struct dri_kafka *kafka, const char *what, rd_kafka_error_t *error)
{
    if (error != NULL) {
        dri_kafka_notice(kafka, DRAY_EBROKER, "group %s: %s: %s", kafka->group_id, what,
                         rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

static void assign(struct dri_kafka *kafka, const rd_kafka_topic_partition_list_t *partitions)
{
    if (kafka->is_cooperative) {
        report_assign(kafka, "assign", rd_kafka_incremental_assign(kafka->group, partitions));
        return;
    }
    rd_kafka_resp_err_t err = rd_kafka_assign(kafka->group, partitions);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        dri_kafka_notice(kafka, DRAY_EBROKER, "group %s: assign: %s", kafka->group_id,
                         rd_kafka_err2str(err));
    }
}

/* With what follows them, as far as it is assigned: the library refuses what is not. */
static void unassign_some(struct dri_kafka *kafka, rd_kafka_t *rk,
                          const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_copy(partitions);
    rd_kafka_topic_partition_list_t *present = NULL;
    dri_kafka_follow_add(kafka, all);
    (void)rd_kafka_assignment(rk, &present);
    for (int i = all->cnt - 1; i >= partitions->cnt; i--) {
        if (present == NULL || rd_kafka_topic_partition_list_find(
                                   present, all->elems[i].topic, all->elems[i].partition) == NULL) {
            (void)rd_kafka_topic_partition_list_del_by_idx(all, i);
        }
    }
    report_assign(kafka, "unassign", rd_kafka_incremental_unassign(rk, all));
    if (present != NULL) {
        rd_kafka_topic_partition_list_destroy(present);
    }
    rd_kafka_topic_partition_list_destroy(all);
}

static void unassign_of(struct dri_kafka *kafka, rd_kafka_t *rk,
                        const rd_kafka_topic_partition_list_t *partitions)
{
    if (kafka->is_cooperative && partitions != NULL) {
        unassign_some(kafka, rk, partitions);
        return;
    }
    rd_kafka_resp_err_t err = rd_kafka_assign(rk, NULL);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        dri_kafka_notice(kafka, DRAY_EBROKER, "group %s: unassign: %s", kafka->group_id,
                         rd_kafka_err2str(err));
    }
}

static void unassign(struct dri_kafka *kafka, const rd_kafka_topic_partition_list_t *partitions)
{
    unassign_of(kafka, kafka->group, partitions);
}

/* ---- committed positions ---- */

static void lookup_forget(struct dri_kafka *kafka)
{
    if (kafka->lookup.partitions != NULL) {
        rd_kafka_topic_partition_list_destroy(kafka->lookup.partitions);
    }
    kafka->lookup.partitions = NULL;
    kafka->lookup.retry_ns = 0;
    kafka->lookup.tries = 0;
    kafka->lookup.id++; /* an answer that is under way is of no interest */
}

static void lookup_send(struct dri_kafka *kafka)
{
    char reason[128];
    kafka->lookup.retry_ns = 0;
    kafka->lookup.id++;
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(kafka->group, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    DRI_ASSERT(options != NULL);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, DRI_KAFKA_LOOKUP_MS, reason,
                                                    sizeof(reason));
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1));
    rd_kafka_AdminOptions_set_opaque(options, (void *)(uintptr_t)kafka->lookup.id);
    rd_kafka_ListConsumerGroupOffsets_t *question =
        rd_kafka_ListConsumerGroupOffsets_new(kafka->group_id, kafka->lookup.partitions);
    rd_kafka_ListConsumerGroupOffsets(kafka->group, &question, 1, options, kafka->replies);
    kafka->replies_due++;
    rd_kafka_ListConsumerGroupOffsets_destroy(question);
    rd_kafka_AdminOptions_destroy(options);
}

static void lookup_retry(struct dri_kafka *kafka, rd_kafka_resp_err_t err, const char *reason)
{
    unsigned doubled = kafka->lookup.tries < 5 ? kafka->lookup.tries : 5;
    kafka->lookup.tries++;
    kafka->lookup.retry_ns = kafka->now_ns + ((uint64_t)DRI_KAFKA_LOOKUP_WAIT_NS << doubled);
    dri_kafka_notice(kafka, dri_kafka_status_of(err),
                     "group %s: committed positions cannot be read, will try again: %s",
                     kafka->group_id, reason == NULL ? rd_kafka_err2str(err) : reason);
}

static const struct dri_kafka_source *source_of(const struct dri_kafka *kafka, const char *topic)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        if (kafka->sources[i].role != DRI_ROLE_LOG && strcmp(kafka->sources[i].topic, topic) == 0) {
            return &kafka->sources[i];
        }
    }
    return NULL;
}

/* Where a group begins that has no position: false when it is not to be read at all. ends has the
 * partition when it begins at its end. */
static bool choose_start(struct dri_kafka *kafka, const struct dri_kafka_source *source,
                         const rd_kafka_topic_partition_t *found,
                         rd_kafka_topic_partition_list_t *ends, int64_t *ret_offset)
{
    if (found->offset >= 0) {
        *ret_offset = found->offset;
        return true;
    }
    if (source->start == DRI_START_FAIL) {
        dri_kafka_notice(kafka, DRAY_EFATAL,
                         "group %s has no position in %s/%" PRId32
                         " and worker.start is fail: set one (kafka-consumer-groups.sh "
                         "--reset-offsets) or choose earliest or latest",
                         kafka->group_id, source->topic, found->partition);
        return false;
    }
    const rd_kafka_topic_partition_t *end =
        rd_kafka_topic_partition_list_find(ends, found->topic, found->partition);
    *ret_offset = end == NULL ? RD_KAFKA_OFFSET_BEGINNING : end->offset;
    return true;
}

/* Metadata was written by anybody who may commit: bytes without meaning here, only bounded. */
static void keep_metadata(struct dri_kafka_slot *slot, const rd_kafka_topic_partition_t *from)
{
    if (from->metadata == NULL || from->metadata_size == 0 || from->metadata_size > 32768) {
        return;
    }
    slot->metadata = dri_strndup(from->metadata, from->metadata_size);
    slot->metadata_len = slot->metadata == NULL ? 0 : from->metadata_size;
}

static bool give_slot(struct dri_kafka *kafka, const rd_kafka_topic_partition_t *found,
                      rd_kafka_topic_partition_list_t *ends,
                      rd_kafka_topic_partition_list_t *ret_assign)
{
    const struct dri_kafka_source *source = source_of(kafka, found->topic);
    int64_t offset = 0;
    if (source != NULL && source->role == DRI_ROLE_WINDOW) {
        offset = RD_KAFKA_OFFSET_BEGINNING; /* whatever somebody committed */
    } else if (source == NULL || !choose_start(kafka, source, found, ends, &offset)) {
        return true;
    }
    struct dri_kafka_slot *slot =
        dri_kafka_slot_add(kafka, (uint32_t)(source - kafka->sources), found->partition);
    if (slot == NULL) {
        return false;
    }
    if (source->role != DRI_ROLE_WINDOW) {
        slot->committed = found->offset >= 0 ? found->offset : -1;
        slot->settled = slot->committed;
        keep_metadata(slot, found);
    }
    if (source->role == DRI_ROLE_PARK && slot->committed >= 0) {
        dri_kafka_commit_remember(slot);
        dri_kafka_commit_refresh(kafka, slot);
    }
    rd_kafka_topic_partition_list_add(ret_assign, found->topic, found->partition)->offset = offset;
    dri_kafka_slot_tell(kafka, slot, DRI_KAFKA_TELL_ASSIGNED);
    return true;
}

/* What the coordinator knows goes into the list that was asked about; the order stays. A broker may
 * leave out what has no position. */
static void take_positions(rd_kafka_topic_partition_list_t *wanted,
                           const rd_kafka_topic_partition_list_t *found)
{
    for (int i = 0; i < found->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &found->elems[i];
        rd_kafka_topic_partition_t *to =
            rd_kafka_topic_partition_list_find(wanted, from->topic, from->partition);
        if (to == NULL) {
            continue;
        }
        to->offset = from->offset;
        if (to->metadata != NULL) {
            rd_kafka_mem_free(NULL, to->metadata); /* of an earlier answer */
            to->metadata = NULL;
            to->metadata_size = 0;
        }
        if (from->metadata != NULL && from->metadata_size > 0) {
            to->metadata = rd_kafka_mem_malloc(NULL, from->metadata_size);
            memcpy(to->metadata, from->metadata, from->metadata_size);
            to->metadata_size = from->metadata_size;
        }
    }
}

/* The ends of partitions that begin there. Whatever is published after ASSIGNED was told has to be
 * read, so the end is made a number now; left to the library it would be resolved some time later.
 * This blocks, bounded, and only at the first start of a group: 2.0.2 has no call that does not. */
static rd_kafka_resp_err_t find_ends(struct dri_kafka *kafka, rd_kafka_topic_partition_list_t *ends)
{
    for (int i = 0; i < kafka->lookup.partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *wanted = &kafka->lookup.partitions->elems[i];
        const struct dri_kafka_source *source = source_of(kafka, wanted->topic);
        if (wanted->offset < 0 && source != NULL && source->start == DRI_START_LATEST) {
            rd_kafka_topic_partition_list_add(ends, wanted->topic, wanted->partition)->offset =
                RD_KAFKA_OFFSET_END;
        }
    }
    if (ends->cnt == 0) {
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(kafka->group, ends, DRI_KAFKA_ENDS_MS);
    for (int i = 0; i < ends->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        err = ends->elems[i].err;
    }
    return err;
}

/* Followers are told before the commands that name them, and those before replays. */
static unsigned turn_of(const struct dri_kafka *kafka, const char *topic)
{
    const struct dri_kafka_source *source = source_of(kafka, topic);
    enum dri_source_role role = source == NULL ? DRI_ROLE_REPLAY : source->role;
    return dri_kafka_role_follows(role) ? 0 : role == DRI_ROLE_COMMANDS ? 1 : 2;
}

/* Every partition of the lookup has an answer without an error. */
static void lookup_apply(struct dri_kafka *kafka, const rd_kafka_topic_partition_list_t *found)
{
    rd_kafka_topic_partition_list_t *wanted = kafka->lookup.partitions;
    take_positions(wanted, found);
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(4);
    rd_kafka_resp_err_t err = find_ends(kafka, ends);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_topic_partition_list_destroy(ends);
        lookup_retry(kafka, err, NULL);
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(wanted->cnt);
    for (unsigned turn = 0; turn < 3; turn++) {
        for (int i = 0; i < wanted->cnt; i++) {
            if (turn_of(kafka, wanted->elems[i].topic) == turn &&
                !give_slot(kafka, &wanted->elems[i], ends, list)) {
                dri_kafka_notice(kafka, DRAY_ENOMEM, "%s/%" PRId32 " is not read: out of memory",
                                 wanted->elems[i].topic, wanted->elems[i].partition);
            }
        }
    }
    for (int i = 0; i < list->cnt; i++) {
        dri_kafka_follow_regate(kafka, list->elems[i].partition);
    }
    lookup_forget(kafka);
    assign(kafka, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_partition_list_destroy(ends);
}

void dri_kafka_lookup_answer(struct dri_kafka *kafka, rd_kafka_event_t *event)
{
    bool is_stale = (uintptr_t)rd_kafka_event_opaque(event) != (uintptr_t)kafka->lookup.id;
    if (is_stale || kafka->lookup.partitions == NULL) {
        return;
    }
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        lookup_retry(kafka, err, rd_kafka_event_error_string(event));
        return;
    }
    size_t count = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    DRI_ASSERT(count == 1);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error != NULL) {
        lookup_retry(kafka, rd_kafka_error_code(error), rd_kafka_error_string(error));
        return;
    }
    const rd_kafka_topic_partition_list_t *found = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; i < found->cnt; i++) {
        if (found->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            lookup_retry(kafka, found->elems[i].err, NULL);
            return;
        }
    }
    lookup_apply(kafka, found);
}

/* ---- rebalancing ---- */

static void on_assign(struct dri_kafka *kafka, const rd_kafka_topic_partition_list_t *partitions)
{
    DRI_LOG(DRI_LOG_INFO, "KAFKA-ASSIGNED", "the group assigned partitions",
            DRI_TEXT("group", kafka->group_id), DRI_INT("partitions", partitions->cnt));
    lookup_forget(kafka);
    if (partitions->cnt == 0) {
        assign(kafka, partitions);
        return;
    }
    kafka->lookup.partitions = rd_kafka_topic_partition_list_copy(partitions);
    dri_kafka_follow_add(kafka, kafka->lookup.partitions);
    for (int i = 0; i < kafka->lookup.partitions->cnt; i++) {
        kafka->lookup.partitions->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
    }
    lookup_send(kafka);
}

/* Nothing of this slot may be settled any more; whether the owner hears of it depends on whether it
 * ever heard of the slot. */
static void lose_slot(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if ((slot->tell & DRI_KAFKA_TELL_ASSIGNED) != 0) {
        dri_kafka_slot_free(kafka, slot);
        return;
    }
    dri_kafka_slot_detach(kafka, slot);
    slot->state = DRI_KAFKA_SLOT_LOST;
    slot->tell = DRI_KAFKA_TELL_LOST;
    dri_kafka_slot_tell_last(kafka, slot);
}

static void revoke_slot(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if ((slot->tell & DRI_KAFKA_TELL_ASSIGNED) != 0) {
        dri_kafka_slot_free(kafka, slot);
        return;
    }
    dri_kafka_stash_drop(kafka, slot);
    slot->state = DRI_KAFKA_SLOT_REVOKED;
    slot->tell &= ~(unsigned)DRI_KAFKA_TELL_CAUGHT_UP;
    slot->tell |= DRI_KAFKA_TELL_REVOKED;
    dri_kafka_slot_tell_last(kafka, slot);
    kafka->revoking_slots++;
}

static void finish_revoke(struct dri_kafka *kafka)
{
    rd_kafka_topic_partition_list_t *partitions = kafka->revoking;
    kafka->revoking = NULL;
    kafka->revoking_slots = 0;
    unassign(kafka, partitions);
    rd_kafka_topic_partition_list_destroy(partitions);
}

static void on_revoke(struct dri_kafka *kafka, const rd_kafka_topic_partition_list_t *partitions)
{
    bool is_lost = rd_kafka_assignment_lost(kafka->group) != 0 || kafka->is_closing;
    DRI_LOG(DRI_LOG_INFO, is_lost ? "KAFKA-LOST" : "KAFKA-REVOKED",
            is_lost ? "the assignment is lost" : "the group takes partitions back",
            DRI_TEXT("group", kafka->group_id), DRI_INT("partitions", partitions->cnt));
    if (kafka->lookup.partitions != NULL) {
        if (kafka->is_cooperative) {
            assign(kafka, kafka->lookup.partitions); /* it waits for this answer first */
        }
        lookup_forget(kafka);
    }
    DRI_ASSERT(kafka->revoking == NULL);
    kafka->revoking = rd_kafka_topic_partition_list_copy(partitions);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_copy(partitions);
    dri_kafka_follow_add(kafka, all); /* behind the commands */
    for (int i = 0; i < all->cnt; i++) {
        const rd_kafka_topic_partition_t *taken = &all->elems[i];
        struct dri_kafka_slot *slot =
            dri_kafka_slot_at(kafka, taken->topic, taken->partition, false);
        if (slot == NULL) {
            continue;
        }
        if (is_lost) {
            lose_slot(kafka, slot);
        } else {
            revoke_slot(kafka, slot);
        }
        dri_kafka_follow_regate(kafka, taken->partition);
    }
    rd_kafka_topic_partition_list_destroy(all);
    if (kafka->revoking_slots == 0) {
        finish_revoke(kafka);
    }
}

/* Followers behind their commands. */
static void lose_held(struct dri_kafka *kafka, bool is_assigned_too)
{
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < kafka->slots_count; i++) {
            struct dri_kafka_slot *slot = kafka->slots[i];
            bool is_held = slot->state == DRI_KAFKA_SLOT_REVOKED ||
                           (is_assigned_too && slot->state == DRI_KAFKA_SLOT_ASSIGNED);
            if (is_held && !dri_kafka_is_log_slot(kafka, slot) &&
                dri_kafka_is_follower(kafka, slot) == (turn == 1)) {
                lose_slot(kafka, slot);
            }
        }
    }
}

static void lose_all(struct dri_kafka *kafka)
{
    lose_held(kafka, true);
}

void dri_kafka_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct dri_kafka *kafka = opaque;
    if (rk != kafka->group) { /* it was put off, and says good-bye */
        DRI_ASSERT(rk == kafka->progress.old);
        unassign_of(kafka, rk,
                    kafka->is_cooperative && err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
                        ? partitions
                        : NULL);
        return;
    }
    kafka->stats.rebalances++;
    if (kafka->is_closing) {
        unassign(kafka, kafka->is_cooperative && err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
                            ? partitions
                            : NULL);
    } else if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(kafka, partitions);
    } else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        on_revoke(kafka, partitions);
    } else {
        dri_kafka_notice(kafka, DRAY_EBROKER, "group %s: rebalance failed: %s", kafka->group_id,
                         rd_kafka_err2str(err));
        lookup_forget(kafka);
        lose_all(kafka);
        unassign(kafka, NULL);
    }
}

void dri_kafka_group_unassign(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if (slot->state != DRI_KAFKA_SLOT_REVOKED) {
        return; /* lost meanwhile: LOST tells it, and frees it */
    }
    dri_kafka_slot_free(kafka, slot);
    DRI_ASSERT(kafka->revoking != NULL && kafka->revoking_slots > 0);
    if (--kafka->revoking_slots == 0) {
        finish_revoke(kafka);
    }
}

/* While the owner finishes, the group may give up on us: then there is nothing left to wait for. */
static void check_lost(struct dri_kafka *kafka)
{
    if (kafka->revoking == NULL || rd_kafka_assignment_lost(kafka->group) == 0) {
        return;
    }
    lose_held(kafka, false);
    finish_revoke(kafka);
}

void dri_kafka_group_tick(struct dri_kafka *kafka)
{
    if (kafka->lookup.partitions != NULL && kafka->lookup.retry_ns != 0 &&
        kafka->now_ns >= kafka->lookup.retry_ns) {
        lookup_send(kafka);
    }
    check_lost(kafka);
}

uint64_t dri_kafka_group_deadline(const struct dri_kafka *kafka)
{
    uint64_t deadline = UINT64_MAX;
    if (kafka->lookup.partitions != NULL && kafka->lookup.retry_ns != 0) {
        deadline = kafka->lookup.retry_ns;
    }
    if (kafka->revoking != NULL) {
        /* Losing the assignment while we revoke wakes nobody. */
        uint64_t look = kafka->now_ns + DRI_KAFKA_HOLD_NS;
        deadline = look < deadline ? look : deadline;
    }
    return deadline;
}

void dri_kafka_group_abandon(struct dri_kafka *kafka)
{
    bool is_owed = kafka->lookup.partitions != NULL;
    lookup_forget(kafka);
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        if (kafka->slots[i]->state != DRI_KAFKA_SLOT_FREE) {
            dri_kafka_slot_free(kafka, kafka->slots[i]);
        }
    }
    if (kafka->revoking != NULL) {
        finish_revoke(kafka);
    } else if (is_owed) {
        unassign(kafka, NULL);
    }
}

void dri_kafka_group_lose(struct dri_kafka *kafka)
{
    bool is_owed = kafka->lookup.partitions != NULL;
    lookup_forget(kafka);
    lose_all(kafka);
    if (kafka->revoking != NULL) {
        finish_revoke(kafka);
    } else if (is_owed) {
        unassign(kafka, NULL);
    }
}
