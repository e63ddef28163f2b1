/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PLANTED_H
#define DRI_PLANTED_H

/* planted.h - bugs that can be compiled in, one at a time, to prove that the simulation catches
 * them.
 *
 * A build sets DRI_PLANTED to one of the numbers; every product build leaves it 0. Each test
 * `if (DRI_IS_PLANTED(NAME))` stands where the real mistake would be made.
 */

#ifndef DRI_PLANTED
#define DRI_PLANTED 0
#endif

/** X(name, number, what the bug is) */
#define DRI_PLANTED_TABLE(X)                                                                       \
    X(SETTLE_BEFORE_PUBLISH, 1, "settles when the handler returns, before the outcome is stored")  \
    X(IGNORE_EPOCH, 2, "lets a completion of an old assignment reach the tracker")                 \
    X(DROP_ON_REVOKE, 3, "settles what was only running when its slot was revoked")                \
    X(UNKNOWN_IS_STORED, 4, "takes an unknown acknowledgement for a stored one")                   \
    X(HIGHEST_SEEN, 5, "settles the highest offset seen, not the highest finished")                \
    X(KEY_OVERLAP, 6, "starts a follower while its key still runs")                                \
    X(RETRY_OVERTAKEN, 7, "lets followers run while a retry of their key waits")                   \
    X(LOSE_LETTER, 8, "settles a failed command without a dead letter")                            \
    X(LOSE_ONE, 9, "forgets one flight in a thousand")                                             \
    X(ACK_AFTER_LEASE, 10, "never renews a lease")                                                 \
    X(DENSE_OFFSETS, 11, "believes that the next offset is the last one plus one")                 \
    X(DRAIN_DROPS, 12, "settles what is queued when a drain begins")                               \
    X(METADATA_CLAIMS_UNFINISHED, 13, "says of a command that runs that it is finished")           \
    X(IGNORE_LIMIT, 14, "starts more of a route than may run at once")                             \
    X(DEAF_OVERLAP, 16, "lets followers run while a deaf handler of their key still runs")         \
    X(PARK_FOLLOWER_OVERTAKES, 17, "lets followers run while their key is parked")                 \
    X(PARK_SETTLE_EARLY, 18, "settles a command before its copy in the park log is stored")        \
    X(PARK_REWRITE_LOSES_ORDER, 19, "puts what is parked again behind the others of its key")      \
    X(TORN_IS_FORGOTTEN, 20, "does not count commands given up between their outcomes")            \
    X(SYSTEMIC_FLOOD, 21, "dead-letters on although most commands fail")                           \
    X(DEPENDENCY_ALONE, 22, "runs what depends on something that is down")                         \
    X(FALLBACK_ALWAYS, 23, "answers with the fallback of a route that is only busy")               \
    X(HALF_TOLD_IS_TOLD, 24, "takes a command for told when only its letter is stored")            \
    X(NO_WINDOW_RECORD, 25, "forgets to store one end in four in the window")                      \
    X(ADAPTIVE_BEYOND, 26, "lets an adaptive limit grow beyond its maximum")                       \
    X(PARK_BEFORE_SETTLED, 27, "parks a command before those of its key before it are settled")    \
    X(OUT_BEFORE_SETTLED, 34, "brings what is parked before its source is settled")                \
    X(LOSE_DELAYED, 30, "settles what is due far away before a delay log has it")                  \
    X(RUN_EARLY, 31, "runs a scheduled command up to a second before its time")                    \
    X(DRAIN_LOSES_RELEASE, 33, "settles a release whose commands a drain gives up")

enum dri_planted {
    DRI_PLANTED_NONE,
#define DRI_PLANTED_ENUM(name, number, text) DRI_PLANTED_##name = (number),
    DRI_PLANTED_TABLE(DRI_PLANTED_ENUM)
#undef DRI_PLANTED_ENUM
};

#define DRI_IS_PLANTED(name) (DRI_PLANTED == DRI_PLANTED_##name)

#endif
