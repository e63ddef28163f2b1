/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "flight.h"

/* The state machine of a flight, whole: from each state, where it may go. dri_move (machine.h) is
 * the only place that changes a state, and asserts that the way is drawn here.
 *
 *   FREE -> TAKEN -> QUEUED -> RUNNING -> RESULT -> DONE -> FREE        the sunny path
 *                      ^  ^------'|'-> WAITING (retry, not_before)
 *                      '----------+-------'
 *                                 '----> LETTER -> RESULT               a failure
 *            TAKEN -> WAITING -> QUEUED     not_before is near
 *            TAKEN -> PARKING -> DONE       ... far away: it waits in a delay log
 *   any of them that the core holds -> DROPPED -> FREE                  its assignment ended
 */

#define TO(name) (1u << DRI_FLIGHT_##name)

const uint16_t dri_flight_transitions[DRI_FLIGHT_STATE_COUNT] = {
    [DRI_FLIGHT_FREE] = TO(TAKEN),
    /* untaken | admitted | not_before, near or far | cannot run | parked already | stale or a
     * duplicate */
    [DRI_FLIGHT_TAKEN] =
        TO(FREE) | TO(QUEUED) | TO(WAITING) | TO(PARKING) | TO(LETTER) | TO(DONE) | TO(DROPPED),
    /* started | expired | answered with a fallback | behind what is parked | a second copy | given
     * up */
    [DRI_FLIGHT_QUEUED] =
        TO(RUNNING) | TO(WAITING) | TO(LETTER) | TO(RESULT) | TO(PARKING) | TO(DONE) | TO(DROPPED),
    /* its chain stopped before it | retry | failed | ok | a long retry | ok and nothing to publish
     * | given up */
    [DRI_FLIGHT_RUNNING] =
        TO(QUEUED) | TO(WAITING) | TO(LETTER) | TO(RESULT) | TO(PARKING) | TO(DONE) | TO(DROPPED),
    /* due | its time was over before it came | makes room | given up */
    [DRI_FLIGHT_WAITING] = TO(QUEUED) | TO(LETTER) | TO(PARKING) | TO(DROPPED),
    /* the error result follows | nobody waits for one | ... and its key is held | given up */
    [DRI_FLIGHT_LETTER] = TO(RESULT) | TO(PARKING) | TO(DONE) | TO(DROPPED),
    /* stored | ... and its key is to be held | given up */
    [DRI_FLIGHT_RESULT] = TO(PARKING) | TO(DONE) | TO(DROPPED),
    /* stored | too large, it waits here: for its time, or in its key's queue | too large, and
     * stopped | given up */
    [DRI_FLIGHT_PARKING] = TO(DONE) | TO(WAITING) | TO(QUEUED) | TO(LETTER) | TO(DROPPED),
    [DRI_FLIGHT_DONE] = TO(FREE),
    [DRI_FLIGHT_DROPPED] = TO(FREE),
};

const char *dri_flight_state_text(enum dri_flight_state state)
{
    static const char *const texts[DRI_FLIGHT_STATE_COUNT] = {
#define STATE_TEXT(name) [DRI_FLIGHT_##name] = #name,
        DRI_FLIGHT_STATE_TABLE(STATE_TEXT)
#undef STATE_TEXT
    };
    return state < DRI_FLIGHT_STATE_COUNT ? texts[state] : "?";
}
