/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "claims.h"

#include <string.h>

#include "assert.h"
#include "planted.h"

/* What may be said: that an offset was received in this assignment and is finished (its outcome is
 * stored), or that somebody said so in the metadata that this assignment began with. Of an offset
 * that was received there are three fates: it is in the tracker's list, it was given up, or it is
 * finished. So the finished ones are the complement of the other two, up to the last that was
 * received; from there on what was restored is said again, or a restart right after a restart would
 * forget it.
 *
 * The tracker remembers only the lowest offset that was given up, because that is all the watermark
 * needs. Here all of them are needed, or a command that was dropped in a revocation would be taken
 * for finished, and lost. They are kept as runs in a small sorted array: what is dropped is mostly
 * what waited at the end of the queue, in one piece. When the array is full, what is highest is
 * forgotten and nothing is said from there on (ceiling): that costs runs, never a command.
 *
 * What was restored is kept as the text that it was, and read along with the records, which come in
 * the order of offsets: 3,900 bytes a slot, where the runs in a form for searching would take
 * 187,000.
 *
 * The list is walked once for each text, at most VISITS_MAX nodes of it: with more than that
 * unfinished what is behind them is left out, as with a text that is full. Nodes that were received
 * one after the other have nothing finished between them, whatever their offsets: on a topic with
 * transactions every gap of a marker would be a run else.
 */

#define VISITS_MAX 16384u

void dri_claims_init(struct dri_claims *claims)
{
    claims->given_up_count = 0;
    claims->ceiling = UINT64_MAX;
    claims->has_run = false;
    claims->is_cut = false;
    claims->said_to = 0;
    claims->restored_len = 0;
}

/* --- what was restored --- */

bool dri_claims_restore(struct dri_claims *claims, struct dray_slice metadata, uint64_t position)
{
    struct dri_progress_reader reader;
    if (!dri_progress_read(&reader, metadata, position)) {
        return false;
    }
    DRI_ASSERT(metadata.len <= sizeof(claims->restored));
    memcpy(claims->restored, metadata.at, metadata.len);
    claims->restored_len = metadata.len;
    claims->reader = reader;
    claims->reader.text = (const uint8_t *)claims->restored;
    claims->has_run = dri_progress_next(&claims->reader, &claims->run);
    return true;
}

void dri_claims_forget(struct dri_claims *claims)
{
    claims->has_run = false;
}

bool dri_claims_has(struct dri_claims *claims, uint64_t offset)
{
    while (claims->has_run && claims->run.end <= offset) {
        claims->has_run = dri_progress_next(&claims->reader, &claims->run);
    }
    return claims->has_run && claims->run.begin <= offset;
}

bool dri_claims_tell(const struct dri_claims *claims, uint64_t offset)
{
    struct dri_progress_reader reader = claims->reader;
    struct dri_progress_run run = claims->run;
    for (bool has_run = claims->has_run; has_run && run.begin <= offset;
         has_run = dri_progress_next(&reader, &run)) {
        if (offset < run.end) {
            return true;
        }
    }
    return false;
}

/* --- what was given up --- */

static void insert_run(struct dri_claims *claims, uint32_t at, uint64_t offset)
{
    struct dri_progress_run *runs = claims->given_up;
    if (claims->given_up_count == DRI_CLAIMS_GIVEN_UP_MAX) {
        if (at == DRI_CLAIMS_GIVEN_UP_MAX) {
            claims->ceiling = offset;
            return;
        }
        claims->ceiling = runs[--claims->given_up_count].begin;
    }
    memmove(&runs[at + 1], &runs[at], (claims->given_up_count - at) * sizeof(*runs));
    runs[at] = (struct dri_progress_run){.begin = offset, .end = offset + 1};
    claims->given_up_count++;
}

void dri_claims_give_up(struct dri_claims *claims, uint64_t offset)
{
    struct dri_progress_run *runs = claims->given_up;
    uint32_t at = claims->given_up_count; /* the first run above; mostly at the end */
    if (offset >= claims->ceiling) {
        return;
    }
    while (at > 0 && runs[at - 1].begin > offset) {
        at--;
    }
    bool joins_lower = at > 0 && runs[at - 1].end == offset;
    bool joins_upper = at < claims->given_up_count && runs[at].begin == offset + 1;
    DRI_ASSERT(at == 0 || runs[at - 1].end <= offset);
    if (joins_lower && joins_upper) {
        runs[at - 1].end = runs[at].end;
        claims->given_up_count--;
        memmove(&runs[at], &runs[at + 1], (claims->given_up_count - at) * sizeof(*runs));
    } else if (joins_lower) {
        runs[at - 1].end++;
    } else if (joins_upper) {
        runs[at].begin--;
    } else {
        insert_run(claims, at, offset);
    }
}

/* --- the text --- */

/* A walk over what is not finished, in the order of offsets. */
struct walk {
    const struct dri_claims *claims;
    const struct dri_tracker *tracker;
    uint32_t number;     /* of the node at hand; UINT32_MAX: none */
    uint32_t given_up;   /* of the run at hand */
    uint32_t visits;     /* left */
    bool follows_node;   /* the last one was a node ... */
    uint64_t sequence;   /* ... received as this one */
    bool is_consecutive; /* nothing was received between the last one and this one */
};

/* The next unfinished run; false: there is none. */
static bool next_unfinished(struct walk *walk, struct dri_progress_run *ret_run)
{
    const struct dri_claims *claims = walk->claims;
    const struct dri_tracker_node *node =
        walk->number != UINT32_MAX ? &walk->tracker->nodes[walk->number] : NULL;
    const struct dri_progress_run *given_up =
        walk->given_up < claims->given_up_count ? &claims->given_up[walk->given_up] : NULL;
    if (node == NULL && given_up == NULL) {
        return false;
    }
    if (node == NULL || (given_up != NULL && given_up->begin < node->offset)) {
        *ret_run = *given_up;
        walk->given_up++;
        walk->follows_node = false;
        walk->is_consecutive = false;
        return true;
    }
    *ret_run = (struct dri_progress_run){.begin = node->offset, .end = node->offset + 1};
    walk->is_consecutive = walk->follows_node && node->sequence == walk->sequence + 1;
    walk->follows_node = true;
    walk->sequence = node->sequence;
    walk->number = dri_tracker_next(walk->tracker, walk->number);
    walk->visits--;
    return true;
}

/* What was received and is not in the walk. False: that is as far as it may be said. */
static bool add_received(struct dri_progress_writer *writer, struct walk *walk, uint64_t position,
                         uint64_t *ret_said_to)
{
    uint64_t at = position; /* all below is said or settled */
    uint64_t ceiling = walk->claims->ceiling;
    uint64_t end = walk->tracker->next_offset < ceiling ? walk->tracker->next_offset : ceiling;
    struct dri_progress_run unfinished;
    while (next_unfinished(walk, &unfinished)) {
        if (DRI_IS_PLANTED(METADATA_CLAIMS_UNFINISHED) && walk->sequence % 8 == 7) {
            continue;
        }
        uint64_t to = unfinished.begin < ceiling ? unfinished.begin : ceiling;
        *ret_said_to = at;
        if (at < to && !walk->is_consecutive && !dri_progress_add(writer, at, to)) {
            return false;
        }
        *ret_said_to = to;
        if (walk->visits == 0 || unfinished.begin >= ceiling) {
            return false;
        }
        at = unfinished.end > at ? unfinished.end : at;
    }
    *ret_said_to = at;
    if (at < end && !dri_progress_add(writer, at, end)) {
        return false;
    }
    *ret_said_to = at < end ? end : at;
    return true;
}

/* What was restored and not reached yet. False: not all of it has room. */
static bool add_restored(struct dri_progress_writer *writer, const struct dri_claims *claims,
                         uint64_t from)
{
    struct dri_progress_reader reader = claims->reader;
    struct dri_progress_run run = claims->run;
    for (bool has_run = claims->has_run; has_run; has_run = dri_progress_next(&reader, &run)) {
        uint64_t begin = run.begin > from ? run.begin : from;
        if (begin < run.end && !dri_progress_add(writer, begin, run.end)) {
            return false;
        }
    }
    return true;
}

struct dray_slice dri_claims_text(struct dri_claims *claims, const struct dri_tracker *tracker,
                                  uint64_t position)
{
    struct dri_progress_writer writer;
    struct walk walk = {
        .claims = claims,
        .tracker = tracker,
        .number = dri_tracker_first(tracker),
        .visits = VISITS_MAX,
    };
    uint64_t from = tracker->next_offset > position ? tracker->next_offset : position;
    dri_progress_write(&writer, claims->text, position);
    bool is_whole = add_received(&writer, &walk, position, &claims->said_to);
    claims->is_cut = !is_whole && claims->ceiling == UINT64_MAX;
    bool has_room =
        is_whole && claims->ceiling == UINT64_MAX && add_restored(&writer, claims, from);
    struct dray_slice text = dri_progress_close(&writer);
    claims->is_whole = has_room && !writer.is_full;
    return text;
}
