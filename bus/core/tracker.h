/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_TRACKER_H
#define DRI_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* tracker.h - which messages of one assignment are not finished yet, in the order received, and so
 * how far the assignment may be settled.
 *
 * Every message is a node whose number is its flight's index; the nodes of all trackers stand in
 * one array. See tracker.c for why this is a list and not a ring or a bitmap.
 *
 * Threads: one owner. Pure; all memory is the caller's.
 */

struct dri_tracker_node {
    uint64_t offset;
    uint64_t sequence;   /* as how many-th the tracker received it, from 0 */
    uint32_t next, prev; /* number + 1; 0: none */
};

struct dri_tracker {
    struct dri_tracker_node *nodes; /* shared by all trackers, borrowed */
    uint32_t head, tail;            /* number + 1; 0: none */
    uint32_t count;                 /* unfinished */
    bool is_ordered; /* offsets increase; else (EACH) it is only a list of what is out */
    bool has_next;
    bool has_barrier;
    uint64_t next_offset; /* last received + 1; with nothing received: committed */
    uint64_t barrier;     /* lowest offset that was given up: the watermark stays at or below it */
    uint64_t first_offset, received; /* of this epoch */
};

/** committed: position that the group holds, or -1. */
void dri_tracker_init(struct dri_tracker *tracker, struct dri_tracker_node *nodes, bool is_ordered,
                      int64_t committed);

/** Whether this offset was received in this epoch already. Offsets increase, but are not dense.
 * Before the first record next_offset is what the group had committed; a log that was cut and grows
 * again begins below that, and those are new messages, not duplicates. */
static inline bool dri_tracker_is_duplicate(const struct dri_tracker *tracker, uint64_t offset)
{
    return tracker->is_ordered && tracker->received != 0 && offset < tracker->next_offset;
}

/** Requires: not a duplicate; the node is in no tracker. */
void dri_tracker_append(struct dri_tracker *tracker, uint32_t number, uint64_t offset);

/** A message that was finished in an earlier assignment: it counts as received and finished.
 * Returns whether the watermark may have moved. Requires: not a duplicate. */
bool dri_tracker_skip(struct dri_tracker *tracker, uint64_t offset);

/** The message is finished. Returns whether the watermark may have moved. */
bool dri_tracker_finish(struct dri_tracker *tracker, uint32_t number);

/** The message is given up unfinished: the watermark will never pass it in this epoch. */
void dri_tracker_give_up(struct dri_tracker *tracker, uint32_t number);

/** The next position to read: everything below is finished. False when nothing is known yet. */
bool dri_tracker_watermark(const struct dri_tracker *tracker, uint64_t *ret_position);

/** Messages that are finished although an earlier one is not. */
uint64_t dri_tracker_gap(const struct dri_tracker *tracker);

/** First and next unfinished message in the order received; UINT32_MAX at the end. */
uint32_t dri_tracker_first(const struct dri_tracker *tracker);
uint32_t dri_tracker_next(const struct dri_tracker *tracker, uint32_t number);

#endif
