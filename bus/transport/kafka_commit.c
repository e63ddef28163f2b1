/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_commit.c - the one path by which positions are committed.
 *
 * The broker takes any commit of any member, backwards too (K1), so the rules are ours: the epoch
 * must be the slot's, the position must not be below one that was committed or asked for in this
 * epoch. And one commit is out at a time: librdkafka sends a commit again after a broken
 * connection, and two of them could overtake each other. What comes meanwhile waits in its slot, a
 * later position in place of an earlier one, and goes with the next commit; its SETTLED answers for
 * the earlier ones too.
 *
 * Brokers forget positions in topics to which a stable group does not subscribe
 * (offsets.retention.minutes, 7 days): those of park logs are committed again every hour.
 *
 * Metadata is text and bounded, and never a reason for a commit to fail (K2): what does not fit is
 * left out, and when the broker refuses it for its size the position goes again without.
 */

#include <inttypes.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"
#include "mem.h"

/* Whether its positions are still ours to commit. */
static bool is_ours(const struct dri_kafka_slot *slot)
{
    return slot->state == DRI_KAFKA_SLOT_ASSIGNED || slot->state == DRI_KAFKA_SLOT_REVOKED;
}

static void tell_settled(struct dri_kafka *kafka, struct dri_kafka_slot *slot, int64_t position,
                         enum dray_status status)
{
    slot->told_position = position;
    slot->told_status = status;
    if (slot->final_deadline_ns != 0 && (status != DRAY_OK || position >= slot->final_position)) {
        slot->final_deadline_ns = 0;
    }
    dri_kafka_slot_tell(kafka, slot, DRI_KAFKA_TELL_SETTLED);
    dri_kafka_wake(kafka);
}

/* Text of which the broker and librdkafka make no mess: no NUL, no control bytes. */
static bool is_metadata_fit(struct dray_slice metadata)
{
    if (metadata.len > DRI_KAFKA_METADATA_MAX) {
        return false;
    }
    for (size_t i = 0; i < metadata.len; i++) {
        if (metadata.at[i] < 0x20 || metadata.at[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static void keep_wanted(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                        const struct dri_settle *settle)
{
    slot->wanted = (int64_t)settle->position;
    slot->wanted_metadata_len = 0;
    if (settle->metadata.len == 0) {
        return;
    }
    if (slot->wanted_metadata == NULL) {
        slot->wanted_metadata = dri_zalloc(DRI_KAFKA_METADATA_MAX + 1);
    }
    if (slot->wanted_metadata == NULL || !is_metadata_fit(settle->metadata)) {
        kafka->stats.metadata_dropped++;
        return;
    }
    memcpy(slot->wanted_metadata, settle->metadata.at, settle->metadata.len);
    slot->wanted_metadata_len = (uint16_t)settle->metadata.len;
}

static void drop_stale(struct dri_kafka *kafka, const struct dri_settle *settle)
{
    kafka->stats.stale_settles++;
    DRI_LOG(DRI_LOG_DEBUG, "KAFKA-STALE", "a settle of an assignment that is gone was dropped",
            DRI_UINT("slot", settle->slot), DRI_UINT("epoch", settle->epoch),
            DRI_UINT("position", settle->position));
}

void dri_kafka_settle(struct dri_kafka *kafka, const struct dri_settle *settle)
{
    struct dri_kafka_slot *slot = dri_kafka_slot_find(kafka, settle->slot, settle->epoch);
    if (slot == NULL || slot->state == DRI_KAFKA_SLOT_LOST || dri_kafka_is_log_slot(kafka, slot)) {
        drop_stale(kafka, settle);
        return;
    }
    DRI_ASSERT(settle->position <= INT64_MAX);
    DRI_ASSERT(kafka->sources[slot->source].role != DRI_ROLE_WINDOW);
    int64_t position = (int64_t)settle->position;
    if (settle->is_final) {
        slot->final_deadline_ns = kafka->now_ns + DRI_KAFKA_FINAL_NS;
        slot->final_position = position;
    }
    if (position < slot->settled || position < slot->wanted || position < slot->sent) {
        drop_stale(kafka, settle);
        if (settle->is_final) {
            tell_settled(kafka, slot, position, DRAY_ESTALE);
        }
        return;
    }
    bool is_known = position == slot->settled && settle->metadata.len == 0 && slot->sent < 0 &&
                    slot->wanted < 0;
    if (is_known) {
        tell_settled(kafka, slot, position, DRAY_OK);
        return;
    }
    keep_wanted(kafka, slot, settle);
}

void dri_kafka_commit_flush(struct dri_kafka *kafka)
{
    if (kafka->is_commit_out || kafka->group == NULL) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = NULL;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        struct dri_kafka_slot *slot = kafka->slots[i];
        if (slot->wanted < 0 || !is_ours(slot)) {
            continue;
        }
        list = list == NULL ? rd_kafka_topic_partition_list_new(8) : list;
        rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_add(
            list, kafka->sources[slot->source].topic, slot->partition);
        item->offset = slot->wanted;
        if (slot->wanted_metadata_len > 0) {
            item->metadata = rd_kafka_mem_malloc(kafka->group, slot->wanted_metadata_len);
            memcpy(item->metadata, slot->wanted_metadata, slot->wanted_metadata_len);
            item->metadata_size = slot->wanted_metadata_len;
        }
        slot->sent = slot->wanted;
        slot->wanted = -1;
    }
    if (list == NULL) {
        return;
    }
    void *epoch = (void *)(uintptr_t)kafka->epoch;
    rd_kafka_resp_err_t err =
        rd_kafka_commit_queue(kafka->group, list, kafka->replies, NULL, epoch);
    DRI_ASSERT(err == RD_KAFKA_RESP_ERR_NO_ERROR); /* it fails only without a group */
    rd_kafka_topic_partition_list_destroy(list);
    kafka->is_commit_out = true;
    kafka->replies_due++;
    kafka->stats.commits++;
}

static enum dray_status commit_status(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return DRAY_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return DRAY_ESTALE;
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
        return DRAY_EAGAIN;
    default:
        return dri_kafka_status_of(err);
    }
}

static void answer_slot(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                        rd_kafka_resp_err_t err)
{
    int64_t position = slot->sent;
    slot->sent = -1;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        slot->settled = position;
        dri_kafka_commit_refresh(kafka, slot);
    } else if (err == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE) {
        kafka->stats.metadata_dropped++;
        if (slot->wanted < 0) {
            slot->wanted = position;
        }
        slot->wanted_metadata_len = 0;
        return;
    } else {
        DRI_LOG(DRI_LOG_WARN, "KAFKA-COMMIT", "a position could not be committed",
                DRI_TEXT("source", slot->origin), DRI_INT("position", position),
                DRI_TEXT("error", rd_kafka_err2str(err)));
    }
    tell_settled(kafka, slot, position, commit_status(err));
}

void dri_kafka_commit_answer(struct dri_kafka *kafka, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t whole = rd_kafka_event_error(event);
    uint32_t epoch = (uint32_t)(uintptr_t)rd_kafka_event_opaque(event);
    kafka->is_commit_out = false;
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &list->elems[i];
        struct dri_kafka_slot *slot = dri_kafka_slot_at(kafka, item->topic, item->partition, false);
        /* Assigned anew since: this answer is about an epoch that is gone. */
        if (slot == NULL || slot->epoch > epoch || slot->sent < 0) {
            continue;
        }
        rd_kafka_resp_err_t err = item->err != RD_KAFKA_RESP_ERR_NO_ERROR ? item->err : whole;
        answer_slot(kafka, slot, err);
    }
    dri_kafka_commit_flush(kafka);
}

void dri_kafka_commit_refresh(const struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if (kafka->sources[slot->source].role == DRI_ROLE_PARK) {
        slot->refresh_ns = kafka->now_ns + DRI_KAFKA_REFRESH_NS;
    }
}

void dri_kafka_commit_remember(struct dri_kafka_slot *slot)
{
    struct dray_slice metadata = dray_slice_of(slot->metadata, slot->metadata_len);
    if (slot->wanted_metadata == NULL) {
        slot->wanted_metadata = dri_zalloc(DRI_KAFKA_METADATA_MAX + 1);
    }
    if (slot->wanted_metadata != NULL && metadata.len > 0 && is_metadata_fit(metadata)) {
        memcpy(slot->wanted_metadata, metadata.at, metadata.len);
        slot->wanted_metadata_len = (uint16_t)metadata.len;
    }
}

/* The metadata of the last settle is kept in the slot. */
static bool refresh(struct dri_kafka_slot *slot, uint64_t now_ns)
{
    if (slot->refresh_ns == 0 || now_ns < slot->refresh_ns || slot->wanted >= 0 ||
        slot->sent >= 0 || slot->state != DRI_KAFKA_SLOT_ASSIGNED) {
        return false;
    }
    slot->refresh_ns = now_ns + DRI_KAFKA_REFRESH_NS;
    slot->wanted = slot->settled;
    return true;
}

void dri_kafka_commit_tick(struct dri_kafka *kafka)
{
    bool is_refreshing = false;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        struct dri_kafka_slot *slot = kafka->slots[i];
        is_refreshing = refresh(slot, kafka->now_ns) || is_refreshing;
        if (slot->final_deadline_ns != 0 && kafka->now_ns >= slot->final_deadline_ns &&
            is_ours(slot)) {
            tell_settled(kafka, slot, slot->final_position, DRAY_ETIMEOUT);
        }
    }
    if (is_refreshing) {
        dri_kafka_commit_flush(kafka);
    }
}

uint64_t dri_kafka_commit_deadline(const struct dri_kafka *kafka)
{
    uint64_t deadline = UINT64_MAX;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        const struct dri_kafka_slot *slot = kafka->slots[i];
        if (slot->final_deadline_ns != 0 && is_ours(slot) && slot->final_deadline_ns < deadline) {
            deadline = slot->final_deadline_ns;
        }
        if (slot->refresh_ns != 0 && slot->state == DRI_KAFKA_SLOT_ASSIGNED && slot->sent < 0 &&
            slot->wanted < 0 && slot->refresh_ns < deadline) {
            deadline = slot->refresh_ns;
        }
    }
    return deadline;
}
