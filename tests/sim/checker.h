/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_CHECKER_H
#define SIM_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/api.h>

#include "core/flight.h"
#include "options.h"
#include "plan.h"
#include "transport/sim.h"
#include "wire/delay.h"

/* checker.h - decides whether what happened was right. It shares no code with the engine and the
 * core.
 *
 * It sees the broker's logs (what was stored, delivered, committed, acknowledged, in that order),
 * the journal of handler calls, and the plans. The first thing that is wrong is kept, as
 * "invariant: text".
 *
 *   outcome     every command has an outcome, the right one, after its runs; none is made up
 *   progress    what is committed beside a position is true, and stays said; what a client was told
 * is finished neither runs there nor is published again
 *   parked      a command without an outcome stands in its source or in a park log; nothing of its
 *               key that comes after it runs meanwhile
 *   window      a result of a route with a window stands behind its record; what was recorded
 *               before an assignment began, or in it, does not run in it; twins get the recorded
 *               end
 *   bytes       a dead letter carries the original bytes, key and headers; a result the handler's
 *               answer
 *   settled     nothing is settled (committed, acknowledged) whose outcome is not stored
 *   order       first runs of a key in the order produced; a retry is never overtaken in its epoch
 *   overlap     no two runs of a key at once in one worker
 *   attempts    counted from 1, one by one, never above the policy
 *   limits      no more of a route run in one worker than may, none starts while it is paused, and
 *               starts are as far apart as its rate says
 *   flood       while most of what a worker runs fails for what is behind it, that makes no dead
 *               letters
 *   duplicates  as many runs and outcomes as deliveries and unknown publishes explain, not more;
 *               with nothing that explains a redelivery, none
 *   liveness    healed, the backlog empties and everything is settled
 *   drain       a drained worker has finished and settled what it had
 *   bounds      of lanes, chains, turns, time
 *   leak        nothing is left on the heap (tested by the world)
 */

struct sim_checker;

enum {
    SIM_TOPIC_COMMANDS,
    SIM_TOPIC_REPLAY,
    SIM_TOPIC_DELAY, /* the first of DRI_DELAY_LEVELS */
    SIM_TOPIC_SOURCES = SIM_TOPIC_DELAY + DRI_DELAY_LEVELS
};

/** The topics, by SIM_TOPIC_. */
extern const char *const sim_source_names[SIM_TOPIC_SOURCES];

struct sim_checker *sim_checker_create(const struct sim_options *options,
                                       struct dri_sim_broker *broker, bool is_tracing);
void sim_checker_destroy(struct sim_checker *checker);

/** A command was produced (before its sight is read). Owns: plan is copied. */
void sim_checker_produced(struct sim_checker *checker, const struct sim_plan *plan, int topic,
                          int32_t partition, uint64_t offset);

/** Read what the broker saw. Call it whenever the broker may have done something. */
void sim_checker_watch(struct sim_checker *checker);

/* The journal of handler calls. */
const struct sim_plan *sim_checker_plan(struct sim_checker *checker,
                                        const struct dri_flight *flight);
void sim_checker_submitted(struct sim_checker *checker, uint32_t client,
                           const struct dri_flight *chain, const struct dri_flight *flight);
/** A route is paused from now on, or resumes. */
void sim_checker_paused(struct sim_checker *checker, uint32_t route, bool is_paused);
void sim_checker_run_begins(struct sim_checker *checker, uint32_t client,
                            const struct dri_flight *flight, uint64_t at_ns);
void sim_checker_run_ends(struct sim_checker *checker, uint32_t client,
                          const struct dri_flight *flight, uint64_t at_ns);
/** The same, but the handler is deaf and runs on until it returns. */
void sim_checker_run_is_given_up(struct sim_checker *checker, uint32_t client,
                                 const struct dri_flight *flight, uint64_t at_ns);
void sim_checker_run_returns(struct sim_checker *checker, uint32_t client,
                             const struct dri_flight *flight, uint64_t at_ns);
/** It is handed back to the core. */
void sim_checker_taken(struct sim_checker *checker, uint32_t client,
                       const struct dri_flight *flight);
void sim_checker_client_dies(struct sim_checker *checker, uint32_t client);
/** A worker says that it is drained. */
void sim_checker_drained(struct sim_checker *checker, uint32_t client, bool is_clean);

/** The world's time, for judging and for tracing. */
void sim_checker_now(struct sim_checker *checker, struct dri_now now);
void sim_checker_trace(struct sim_checker *checker, const char *format, ...) DRAY_FORMAT(2, 3);

/** The next key that stands still and was not released since, and where: false: none does. Borrows
 * until the next watch. */
bool sim_checker_stopped(struct sim_checker *checker, int32_t *ret_partition,
                         struct dray_slice *ret_key);

/** From now on everybody drains. */
void sim_checker_ends(struct sim_checker *checker);

/** How many commands have their outcome. */
size_t sim_checker_complete(const struct sim_checker *checker);
/** Whether every command has its outcome and everything is settled. */
bool sim_checker_is_done(struct sim_checker *checker);
/** Not that, but no more can be asked before the drain. */
bool sim_checker_may_drain(struct sim_checker *checker);
/** They are not, although there was time enough: say what is missing. */
void sim_checker_fail_liveness(struct sim_checker *checker);
/** The end: what holds of the whole run. */
void sim_checker_finish(struct sim_checker *checker);

void sim_checker_fail(struct sim_checker *checker, const char *invariant, const char *format, ...)
    DRAY_FORMAT(3, 4);
/** NULL while all is well. */
const char *sim_checker_failure(const struct sim_checker *checker);

/** Of everything that was seen: two runs of a seed give the same. */
uint64_t sim_checker_hash(const struct sim_checker *checker);

struct sim_tally {
    uint64_t commands, events, runs, retries, results, errors, letters, pointers, limits, fallbacks;
    uint64_t expired, deaf, deliveries, redeliveries, reruns, duplicates, metadata, told, skips;
    uint64_t delayed;                          /* copies in delay logs */
    uint64_t parks, unparks, rewrites, copies; /* records; as the workers count them */
    uint64_t disk_holds;                       /* park logs that were not read on */
    uint64_t stops, holds, members, releases;
    uint64_t forgotten; /* ran behind what was parked: the broker lost that they were finished */
    uint64_t twins, answers, windows;
    uint64_t held, probes,
        at_limit; /* letters; probes that failed; runs that took the last place */
    uint64_t at_key_limit;
    uint64_t answered;    /* with a fallback */
    uint64_t downs;       /* dependencies that failed often enough */
    uint64_t outage_runs; /* that failed when most had */
};

void sim_checker_tally(const struct sim_checker *checker, struct sim_tally *ret_tally);

#endif
