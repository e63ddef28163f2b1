/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_slots.c - assigned partitions, and what each still has to tell the owner.
 *
 * There is no queue of events: a slot carries a bit for each thing that it has to tell, and stands
 * in a list while it has any. So callbacks inside librdkafka can report without limit and without
 * memory, two settles that were answered between two polls become one event, and an assignment that
 * was lost before it was told is never told at all.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "mem.h"

bool dri_kafka_is_log_slot(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot)
{
    return kafka->sources[slot->source].role == DRI_ROLE_LOG;
}

/* A free slot, or a new one at the end of the table. */
static struct dri_kafka_slot *slot_take(struct dri_kafka *kafka)
{
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        if (kafka->slots[i]->state == DRI_KAFKA_SLOT_FREE) {
            return kafka->slots[i];
        }
    }
    struct dri_kafka_slot **slots =
        dri_zalloc_array((size_t)kafka->slots_count + 1, sizeof(struct dri_kafka_slot *));
    size_t stash_max = DRI_KAFKA_STASH + (size_t)kafka->slots_count + 1;
    struct dri_kafka_stashed *stash = dri_zalloc_array(stash_max, sizeof(*stash));
    struct dri_kafka_slot *slot = dri_zalloc(sizeof(*slot));
    if (slots == NULL || slot == NULL || stash == NULL) {
        dri_free(slots);
        dri_free(slot);
        dri_free(stash);
        return NULL;
    }
    if (kafka->stash_count > 0) {
        memcpy(stash, kafka->stash, kafka->stash_count * sizeof(*stash));
    }
    if (kafka->slots_count > 0) {
        memcpy(slots, kafka->slots, kafka->slots_count * sizeof(struct dri_kafka_slot *));
    }
    dri_free(kafka->stash);
    kafka->stash = stash;
    kafka->stash_max = stash_max;
    dri_free(kafka->slots);
    kafka->slots = slots;
    slot->index = kafka->slots_count;
    kafka->slots[kafka->slots_count++] = slot;
    return slot;
}

/* Room for this partition in its source's table. */
static bool source_reserve(struct dri_kafka_source *source, int32_t partition)
{
    if (partition < source->slots_count) {
        return true;
    }
    struct dri_kafka_slot **slots =
        dri_zalloc_array((size_t)partition + 1, sizeof(struct dri_kafka_slot *));
    if (slots == NULL) {
        return false;
    }
    if (source->slots_count > 0) {
        memcpy(slots, source->slots, (size_t)source->slots_count * sizeof(struct dri_kafka_slot *));
    }
    dri_free(source->slots);
    source->slots = slots;
    source->slots_count = partition + 1;
    return true;
}

struct dri_kafka_slot *dri_kafka_slot_add(struct dri_kafka *kafka, uint32_t source,
                                          int32_t partition)
{
    struct dri_kafka_source *from = &kafka->sources[source];
    size_t origin_bytes = strlen(from->topic) + 16;
    struct dri_kafka_slot *slot = slot_take(kafka);
    char *origin = dri_zalloc(origin_bytes);
    if (slot == NULL || origin == NULL || !source_reserve(from, partition)) {
        dri_free(origin);
        return NULL;
    }
    dri_free(slot->metadata);
    dri_free(slot->origin);
    *slot = (struct dri_kafka_slot){
        .index = slot->index,
        .epoch = ++kafka->epoch,
        .state = DRI_KAFKA_SLOT_ASSIGNED,
        .source = source,
        .partition = partition,
        .next_offset = -1,
        .looked_next = -1,
        .looked_fetched = -1,
        .committed = -1,
        .settled = -1,
        .wanted = -1,
        .sent = -1,
        .wanted_metadata = slot->wanted_metadata,
        .origin = origin,
    };
    (void)snprintf(origin, origin_bytes, "%s/%" PRId32, from->topic, partition);
    from->slots[partition] = slot;
    from->rkt = NULL;
    return slot;
}

struct dri_kafka_slot *dri_kafka_slot_find(const struct dri_kafka *kafka, uint32_t index,
                                           uint32_t epoch)
{
    if (index >= kafka->slots_count) {
        return NULL;
    }
    struct dri_kafka_slot *slot = kafka->slots[index];
    return slot->state != DRI_KAFKA_SLOT_FREE && slot->epoch == epoch ? slot : NULL;
}

struct dri_kafka_slot *dri_kafka_slot_at(const struct dri_kafka *kafka, const char *topic,
                                         int32_t partition, bool is_log)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        const struct dri_kafka_source *source = &kafka->sources[i];
        if ((source->role == DRI_ROLE_LOG) == is_log && strcmp(source->topic, topic) == 0) {
            return partition >= 0 && partition < source->slots_count ? source->slots[partition]
                                                                     : NULL;
        }
    }
    return NULL;
}

void dri_kafka_slot_tell(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                         enum dri_kafka_tell what)
{
    slot->tell |= (unsigned)what;
    if (slot->is_queued_to_tell) {
        return;
    }
    slot->is_queued_to_tell = true;
    slot->next_to_tell = NULL;
    if (kafka->tell_last == NULL) {
        kafka->tell_first = slot;
    } else {
        kafka->tell_last->next_to_tell = slot;
    }
    kafka->tell_last = slot;
}

void dri_kafka_slot_detach(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    struct dri_kafka_source *source = &kafka->sources[slot->source];
    source->rkt = NULL;
    if (!kafka->is_closing) {
        dri_kafka_slot_unpause(kafka, slot);
    }
    if (source->slots[slot->partition] == slot) {
        source->slots[slot->partition] = NULL;
    }
    dri_kafka_stash_drop(kafka, slot);
}

/* The list is short and this is rare: walk it. */
static void leave_list(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if (!slot->is_queued_to_tell) {
        return;
    }
    struct dri_kafka_slot *before = NULL;
    struct dri_kafka_slot *at = kafka->tell_first;
    while (at != slot) {
        DRI_ASSERT(at != NULL);
        before = at;
        at = at->next_to_tell;
    }
    if (before == NULL) {
        kafka->tell_first = slot->next_to_tell;
    } else {
        before->next_to_tell = slot->next_to_tell;
    }
    if (kafka->tell_last == slot) {
        kafka->tell_last = before;
    }
    slot->is_queued_to_tell = false;
}

static void tell_cancel(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    slot->tell = 0;
    leave_list(kafka, slot);
}

void dri_kafka_slot_tell_last(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    unsigned what = slot->tell;
    leave_list(kafka, slot);
    slot->tell = 0;
    if (what != 0) {
        dri_kafka_slot_tell(kafka, slot, (enum dri_kafka_tell)what);
    }
}

void dri_kafka_slot_free(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    dri_kafka_slot_detach(kafka, slot);
    tell_cancel(kafka, slot);
    slot->state = DRI_KAFKA_SLOT_FREE;
    kafka->is_slot_text_out = true; /* may still be lent out by the last poll */
}

/* What a free slot still holds. */
static void slot_clean(struct dri_kafka_slot *slot)
{
    dri_free(slot->metadata);
    slot->metadata = NULL;
    if (slot->state == DRI_KAFKA_SLOT_FREE) {
        dri_free(slot->origin);
        slot->origin = NULL;
    }
}

void dri_kafka_slots_fini(struct dri_kafka *kafka)
{
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        struct dri_kafka_slot *slot = kafka->slots[i];
        dri_free(slot->metadata);
        dri_free(slot->origin);
        dri_free(slot->wanted_metadata);
        dri_free(slot);
    }
    dri_free(kafka->slots);
    dri_free(kafka->stash);
    kafka->slots = NULL;
    kafka->stash = NULL;
    kafka->slots_count = 0;
}

static void tell_assigned(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                          struct dri_transport_event *event)
{
    const struct dri_kafka_source *source = &kafka->sources[slot->source];
    event->type = DRI_TE_ASSIGNED;
    event->as.assigned.role = source->role;
    event->as.assigned.mode = DRI_SETTLE_WATERMARK;
    event->as.assigned.partition = slot->partition;
    event->as.assigned.committed = slot->committed;
    event->as.assigned.metadata = dray_slice_of(slot->metadata, slot->metadata_len);
    event->as.assigned.origin = dray_slice_text(slot->origin);
    event->as.assigned.topic = dray_slice_text(source->topic);
    dri_kafka_follow_name(kafka, slot, &event->as.assigned.park, &event->as.assigned.window);
    kafka->is_slot_text_out = true;
}

/* The next thing in the order in which it has to be told. */
static void tell_one(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                     struct dri_transport_event *event)
{
    *event =
        (struct dri_transport_event){.status = DRAY_OK, .slot = slot->index, .epoch = slot->epoch};
    if ((slot->tell & DRI_KAFKA_TELL_ASSIGNED) != 0) {
        slot->tell &= ~(unsigned)DRI_KAFKA_TELL_ASSIGNED;
        tell_assigned(kafka, slot, event);
    } else if ((slot->tell & DRI_KAFKA_TELL_SETTLED) != 0) {
        slot->tell &= ~(unsigned)DRI_KAFKA_TELL_SETTLED;
        event->type = DRI_TE_SETTLED;
        event->status = slot->told_status;
        event->as.position = (uint64_t)slot->told_position;
    } else if ((slot->tell & DRI_KAFKA_TELL_CAUGHT_UP) != 0) {
        slot->tell &= ~(unsigned)DRI_KAFKA_TELL_CAUGHT_UP;
        event->type = DRI_TE_CAUGHT_UP;
        dri_kafka_follow_told(kafka, slot);
    } else if ((slot->tell & DRI_KAFKA_TELL_REVOKED) != 0) {
        slot->tell &= ~(unsigned)DRI_KAFKA_TELL_REVOKED;
        event->type = DRI_TE_REVOKED;
    } else {
        slot->tell &= ~(unsigned)DRI_KAFKA_TELL_LOST;
        event->type = DRI_TE_LOST;
    }
}

size_t dri_kafka_slots_poll(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                            size_t max)
{
    size_t count = 0;
    while (count < max && kafka->tell_first != NULL) {
        struct dri_kafka_slot *slot = kafka->tell_first;
        tell_one(kafka, slot, &ret_events[count++]);
        if (slot->tell != 0) {
            continue;
        }
        kafka->tell_first = slot->next_to_tell;
        if (kafka->tell_first == NULL) {
            kafka->tell_last = NULL;
        }
        slot->is_queued_to_tell = false;
        if (slot->state == DRI_KAFKA_SLOT_LOST) {
            slot->state = DRI_KAFKA_SLOT_FREE;
            kafka->is_slot_text_out = true;
        }
    }
    return count;
}

void dri_kafka_slots_release(struct dri_kafka *kafka)
{
    if (!kafka->is_slot_text_out) {
        return;
    }
    kafka->is_slot_text_out = false;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        struct dri_kafka_slot *slot = kafka->slots[i];
        if ((slot->tell & DRI_KAFKA_TELL_ASSIGNED) == 0) {
            slot_clean(slot);
        }
    }
}
