/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "tracker.h"

#include "assert.h"
#include "planted.h"

/* A doubly linked list of what is unfinished, in the order received.
 *
 * The usual shape is a ring (or bitmap) of everything between the watermark and the last offset
 * received, with a mark for what is finished. It was rejected because its size follows the slowest
 * message: one command that retries for 13 s, on a partition that brings 500,000 a second, needs
 * 6.5 million marks; a dead letter that the broker refuses for hours needs them without bound. A
 * ring that is full has to stop the partition, and then a retrying key holds up every other key.
 * The list holds only what is in flight, which is bounded anyway; finishing is O(1) in any order;
 * the watermark is its head. It costs four stores into neighbouring nodes of 24 bytes where a ring
 * costs one; both are far below the cost of the flight itself.
 *
 * What is finished beyond the watermark is not lost by this: it is the complement. The commit
 * metadata is written from this list (claims.c: what was received between two unfinished ones is
 * finished), which is also its shortest form, because there are fewer unfinished offsets than
 * finished ones.
 *
 * Offsets are not dense (transaction markers, compaction): the watermark is the head's own offset,
 * or the last received plus one when nothing is unfinished, and never an offset plus one across
 * others.
 */

void dri_tracker_init(struct dri_tracker *tracker, struct dri_tracker_node *nodes, bool is_ordered,
                      int64_t committed)
{
    *tracker = (struct dri_tracker){.nodes = nodes, .is_ordered = is_ordered};
    if (committed >= 0) {
        tracker->has_next = true;
        tracker->next_offset = (uint64_t)committed;
        tracker->first_offset = (uint64_t)committed;
    }
}

static void receive(struct dri_tracker *tracker, uint64_t offset)
{
    if (tracker->received++ == 0) {
        tracker->first_offset = offset;
    }
    tracker->has_next = true;
    tracker->next_offset = offset + 1;
}

void dri_tracker_append(struct dri_tracker *tracker, uint32_t number, uint64_t offset)
{
    struct dri_tracker_node *node = &tracker->nodes[number];
    DRI_ASSERT(!dri_tracker_is_duplicate(tracker, offset));
    *node = (struct dri_tracker_node){
        .offset = offset, .sequence = tracker->received, .next = 0, .prev = tracker->tail};
    if (tracker->tail != 0) {
        tracker->nodes[tracker->tail - 1].next = number + 1;
    } else {
        tracker->head = number + 1;
    }
    tracker->tail = number + 1;
    tracker->count++;
    receive(tracker, offset);
}

bool dri_tracker_skip(struct dri_tracker *tracker, uint64_t offset)
{
    DRI_ASSERT(!dri_tracker_is_duplicate(tracker, offset));
    receive(tracker, offset);
    return tracker->head == 0;
}

static void unlink_node(struct dri_tracker *tracker, uint32_t number)
{
    struct dri_tracker_node *node = &tracker->nodes[number];
    DRI_ASSERT(tracker->count > 0);
    if (node->prev != 0) {
        tracker->nodes[node->prev - 1].next = node->next;
    } else {
        DRI_ASSERT(tracker->head == number + 1);
        tracker->head = node->next;
    }
    if (node->next != 0) {
        tracker->nodes[node->next - 1].prev = node->prev;
    } else {
        DRI_ASSERT(tracker->tail == number + 1);
        tracker->tail = node->prev;
    }
    node->next = 0;
    node->prev = 0;
    tracker->count--;
}

bool dri_tracker_finish(struct dri_tracker *tracker, uint32_t number)
{
    bool was_head = tracker->head == number + 1;
    unlink_node(tracker, number);
    return was_head || DRI_IS_PLANTED(HIGHEST_SEEN);
}

void dri_tracker_give_up(struct dri_tracker *tracker, uint32_t number)
{
    uint64_t offset = tracker->nodes[number].offset;
    if (!tracker->has_barrier || offset < tracker->barrier) {
        tracker->has_barrier = true;
        tracker->barrier = offset;
    }
    unlink_node(tracker, number);
}

/* With nothing given up: the first unfinished offset, or the one after the last received. */
static uint64_t front(const struct dri_tracker *tracker)
{
    const struct dri_tracker_node *head =
        tracker->head != 0 ? &tracker->nodes[tracker->head - 1] : NULL;
    if (DRI_IS_PLANTED(DENSE_OFFSETS)) {
        return tracker->first_offset + (head != NULL ? head->sequence : tracker->received);
    }
    if (head == NULL || DRI_IS_PLANTED(HIGHEST_SEEN)) {
        return tracker->next_offset;
    }
    return head->offset;
}

bool dri_tracker_watermark(const struct dri_tracker *tracker, uint64_t *ret_position)
{
    if (!tracker->has_next) {
        return false;
    }
    uint64_t position = front(tracker);
    if (tracker->has_barrier && tracker->barrier < position) {
        position = tracker->barrier;
    }
    *ret_position = position;
    return true;
}

uint64_t dri_tracker_gap(const struct dri_tracker *tracker)
{
    if (tracker->head == 0) {
        return 0;
    }
    uint64_t since_head = tracker->received - tracker->nodes[tracker->head - 1].sequence;
    return since_head - tracker->count;
}

uint32_t dri_tracker_first(const struct dri_tracker *tracker)
{
    return tracker->head != 0 ? tracker->head - 1 : UINT32_MAX;
}

uint32_t dri_tracker_next(const struct dri_tracker *tracker, uint32_t number)
{
    uint32_t next = tracker->nodes[number].next;
    return next != 0 ? next - 1 : UINT32_MAX;
}
