/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_CHECKER_INSIDE_H
#define SIM_CHECKER_INSIDE_H

#include "checker.h"

/* checker_inside.h - what the checker remembers. checker.c judges settling, runs and the whole;
 * checker_outcome.c judges results and dead letters, checker_progress.c what is committed beside a
 * position. */

#define SIM_FAILURE_BYTES    400u
#define SIM_PARTITIONS_MAX   8u
#define SIM_OPEN_RUNS_MAX    1024u
#define SIM_CLIENT_COUNT_MAX 4096u
#define SIM_ORDERS_MAX       (SIM_KEYS_MAX + SIM_TOPIC_SOURCES * SIM_PARTITIONS_MAX)
#define SIM_STARTS_MAX       16u /* clients whose starts are remembered: more than live at once */

#define SIM_RECORDS_MAX 8u

struct sim_command {
    struct sim_plan plan;
    int topic;
    int32_t partition;
    uint64_t offset;
    const struct dri_sim_record *record; /* as the broker has it */
    uint32_t deliveries, runs, ok_runs, final_runs;
    uint32_t skips;       /* deliveries to somebody who was told that it is finished */
    uint32_t spared_runs; /* failed as the probe: no attempt */
    uint32_t results, errors, letters, answers;
    bool is_complete;
    uint32_t final_epoch; /* of the latest run that came to its end */
    /* of the first with this id, for all of them */
    uint32_t family_runs, family_ok_runs, family_letters, records;
    uint32_t record_epoch;               /* in which the latest record was made */
    uint64_t record_at;                  /* count of events when the first was stored */
    uint64_t record_ts[SIM_RECORDS_MAX]; /* of the latest ones, a ring */
};

struct sim_log {        /* one source partition */
    uint32_t *commands; /* owned: indexes, in the order of offsets */
    size_t count, capacity;
    size_t incomplete;                   /* all before are complete */
    uint64_t first_runs[SIM_ORDERS_MAX]; /* highest offset + 1 of a key that has run */
    int64_t committed, committed_max;
};

struct sim_arrival { /* a message that was delivered in an epoch */
    uint32_t command;
    uint32_t attempt; /* of the latest run */
    bool is_closed;   /* it came to its end in this epoch */
    bool is_repeated; /* it had come to its end in this epoch before */
    bool is_held;     /* its held letter was stored: what comes again has another place */
    bool is_vague;    /* nobody can tell from outside which delivery a run belongs to */
};

struct sim_run { /* of offsets, the end not with it */
    uint64_t begin, end;
};

struct sim_runs {
    struct sim_run *runs; /* owned */
    size_t count, capacity;
};

struct sim_epoch {
    uint32_t client;
    int topic; /* -1: none of the sources */
    int32_t partition;
    uint64_t began_at;            /* count of events then */
    bool is_over;                 /* the client was told, or let go */
    uint64_t settled;             /* highest position that left the client */
    struct sim_arrival *arrivals; /* owned */
    size_t count, capacity;
    size_t started[SIM_ORDERS_MAX]; /* highest arrival + 1 of a key that has run */
    struct sim_runs told;           /* finished, as it was told when it began */
};

struct sim_open_run {
    uint32_t client, command, epoch;
    int32_t key;
    uint64_t since_ns;
};

struct sim_starts { /* of a client, by route: the latest ones */
    uint32_t client;
    uint64_t at_ns[SIM_ROUTES_MAX][SIM_BURST_MAX];
    uint64_t count[SIM_ROUTES_MAX];
};

struct sim_checker {
    struct sim_options options;
    struct dri_sim_broker *broker;
    bool is_tracing, has_redelivery_reason;
    struct dri_now now;
    struct sim_command *commands; /* owned; by index */
    size_t commands_count, commands_capacity;
    size_t complete_count;
    struct sim_log logs[SIM_TOPIC_SOURCES][SIM_PARTITIONS_MAX];
    struct sim_epoch *epochs; /* owned; by epoch */
    size_t epochs_count, epochs_capacity;
    struct sim_open_run open_runs[SIM_OPEN_RUNS_MAX];
    size_t open_runs_count;
    bool is_drained[SIM_CLIENT_COUNT_MAX]; /* by client */
    struct sim_starts starts[SIM_STARTS_MAX];
    bool is_paused[SIM_ROUTES_MAX], was_paused[SIM_ROUTES_MAX];
    uint64_t hash;
    struct sim_tally tally;
    char failure[SIM_FAILURE_BYTES];
};

/** A result or a dead letter was stored. */
void sim_judge_result(struct sim_checker *checker, const struct dri_sim_record *record);
void sim_judge_window(struct sim_checker *checker, const struct dri_sim_record *record);
/** The first with its id. */
struct sim_command *sim_head_of(struct sim_checker *checker, const struct sim_command *command);
/** Whether its id is looked at, and whether the end that it is planned to have is recorded. */
bool sim_has_window(const struct sim_checker *checker, const struct sim_command *command);
bool sim_enters_window(const struct sim_plan *plan);
void sim_judge_letter(struct sim_checker *checker, const struct dri_sim_record *record);
/** Something happened to a command: has it all that it needs now? */
void sim_judge_completion(struct sim_checker *checker, struct sim_command *command);
/** What a client says beside a position, when it leaves the client and when it is committed. */
void sim_judge_progress(struct sim_checker *checker, const struct dri_sim_sight *sight, int topic);
/** Read metadata of a position. False: it says nothing. */
bool sim_progress_read(struct dray_slice text, uint64_t position, struct sim_runs *ret_runs);
bool sim_progress_has(const struct sim_runs *runs, uint64_t offset);
struct sim_run *sim_runs_put(struct sim_runs *runs);
/** Its held letter was stored. */
void sim_note_held(struct sim_checker *checker, const struct sim_command *command);
struct sim_command *sim_command_at(struct sim_checker *checker, int topic, int32_t partition,
                                   uint64_t offset);

#endif
