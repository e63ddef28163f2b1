/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_CHECKER_INSIDE_H
#define SIM_CHECKER_INSIDE_H

#include "checker.h"
#include "wire/letter.h"
#include "wire/park.h"
#include "wire/result.h"

/* checker_inside.h - what the checker remembers. checker.c judges settling, runs and the whole;
 * checker_outcome.c judges results and dead letters, checker_breakers.c what is done when something
 * is not well, checker_progress.c what is committed beside a position. */

#define SIM_FAILURE_BYTES    400u
#define SIM_PARTITIONS_MAX   8u
#define SIM_OPEN_RUNS_MAX    1024u
#define SIM_CLIENT_COUNT_MAX 4096u
#define SIM_ORDERS_MAX       (SIM_KEYS_MAX + SIM_TOPIC_SOURCES * SIM_PARTITIONS_MAX)
#define SIM_ENDS_MAX         16u /* at least systemic_min and SIM_ENDS_SLACK */
#define SIM_ENDS_SLACK       4u  /* ends that came too late to count */
#define SIM_STARTS_MAX       16u /* clients whose starts are remembered: more than live at once */

#define SIM_RECORDS_MAX 8u

struct sim_command {
    struct sim_plan plan;
    int topic;
    int32_t partition;
    uint64_t offset;
    const struct dri_sim_record *record; /* as the broker has it */
    uint32_t deliveries, runs, ok_runs, final_runs;
    uint32_t parks;     /* records of it in park logs, ... */
    uint64_t parked_at; /* ... count of events when the first was stored */
    uint32_t park_deliveries;
    uint64_t out_at;      /* count of events when it first ran out of a park log, ... */
    bool was_out_settled; /* ... and its source was committed as finished then */
    uint32_t stops;       /* of these, STOPPED */
    uint32_t stop_runs;   /* that failed for the last time, and may have stopped the key */
    bool is_member;       /* its letter stands in the unit of another */
    bool is_member_taken; /* the same, in a transaction that was open then */
    uint64_t forgotten_from, forgotten_to; /* counts of events, as sim_progress_assigned has them */
    bool is_held;                          /* its key is, since it failed */
    uint64_t last_member;                  /* offset + 1 of the latest letter in its unit */
    uint32_t moves;       /* of these records, those that are not the same once more */
    uint32_t skips;       /* deliveries to somebody who was told that it is finished */
    uint32_t spared_runs; /* failed as the probe: no attempt */
    uint32_t vague_runs;  /* failed when most may have: an attempt or none */
    bool was_answered;    /* with the fallback of its route */
    bool must_wait;       /* most had failed when it did last */
    uint32_t results, errors, letters, answers;
    uint32_t copies; /* in delay logs */
    bool is_complete;
    uint32_t final_epoch; /* of the latest run that came to its end */
    /* of the first with this id, for all of them */
    uint32_t family_runs, family_ok_runs, family_letters, records;
    uint32_t record_epoch;               /* in which the latest record was made */
    uint64_t record_at;                  /* count of events when the first was stored */
    uint64_t record_ts[SIM_RECORDS_MAX]; /* of the latest ones, a ring */
};

struct sim_place { /* a message of a source: a command, or its copy in a delay log */
    uint64_t offset;
    uint32_t command; /* index */
    uint32_t deliveries;
    bool is_said;     /* the latest commit says that it is finished, or parked */
    bool is_moved;    /* a later copy of the command was stored: it need not be here any more */
    uint64_t said_at; /* count of events: since then the commits say that it has its outcome */
};

struct sim_log {              /* one source partition */
    struct sim_place *places; /* owned: in the order of offsets */
    size_t count, capacity;
    size_t incomplete;                   /* all before may be settled; sim_log_incomplete */
    uint64_t first_runs[SIM_ORDERS_MAX]; /* highest offset + 1 of a key that has run */
    int64_t committed, committed_max;
    bool went_back; /* a commit came late, and said less than one before it */
};

struct sim_park_record {
    uint64_t offset;
    uint32_t command;
    uint32_t attempts; /* as it says */
    uint32_t deliveries;
    enum dri_park_kind kind;
    bool is_released;
    bool
        is_late; /* it came when all had ended: a publish whose fate was unknown; nobody reads it */
    const struct dri_sim_record *record;
};

struct sim_park_log {                /* one partition */
    struct sim_park_record *records; /* owned: in the order of offsets */
    size_t count, capacity;
    int64_t committed_max;
};

struct sim_arrival { /* a message that was delivered in an epoch */
    uint32_t command;
    uint64_t offset;
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
    bool is_park;
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

struct sim_ends { /* of a client: how runs ended that would be the last ones */
    uint32_t client;
    bool has_good;
    uint64_t good_ns;              /* the latest one that says that something works */
    uint64_t bad_ns[SIM_ENDS_MAX]; /* the latest ones that say that nothing does */
    uint64_t bad_count;
};

struct sim_downs { /* of a client: what its routes depend on */
    uint32_t client;
    struct sim_down {
        uint32_t failures; /* in a row */
        bool is_open;
        uint64_t until_ns;
    } downs[SIM_DEPENDS_MAX];
};

struct sim_checker {
    struct sim_options options;
    struct dri_sim_broker *broker;
    bool is_tracing, has_redelivery_reason, is_ending;
    struct dri_now now;
    struct sim_command *commands; /* owned; by index */
    size_t commands_count, commands_capacity;
    size_t complete_count;
    struct sim_log logs[SIM_TOPIC_SOURCES][SIM_PARTITIONS_MAX];
    struct sim_park_log parks[SIM_PARTITIONS_MAX];
    struct sim_epoch *epochs; /* owned; by epoch */
    size_t epochs_count, epochs_capacity;
    struct sim_open_run open_runs[SIM_OPEN_RUNS_MAX];
    size_t open_runs_count;
    bool is_drained[SIM_CLIENT_COUNT_MAX]; /* by client */
    struct sim_starts starts[SIM_STARTS_MAX];
    struct sim_ends ends[SIM_STARTS_MAX];
    struct sim_downs downs[SIM_STARTS_MAX];
    bool is_paused[SIM_ROUTES_MAX], was_paused[SIM_ROUTES_MAX];
    char key_text[64];
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
/** One stands in an open transaction, where nobody can read it. */
void sim_judge_taken_letter(struct sim_checker *checker, struct dray_slice headers);
/** Something happened to a command: has it all that it needs now? */
void sim_judge_completion(struct sim_checker *checker, struct sim_command *command);
/** What a client says beside a position, when it leaves the client and when it is committed. */
void sim_judge_progress(struct sim_checker *checker, const struct dri_sim_sight *sight, int topic);
/** Its assignment begins: what was committed as finished and is not told comes again. */
void sim_progress_assigned(struct sim_checker *checker, const struct dri_sim_sight *sight,
                           struct sim_epoch *epoch);
/** Read metadata of a position. False: it says nothing. */
bool sim_progress_read(struct dray_slice text, uint64_t position, struct sim_runs *ret_runs);
bool sim_progress_has(const struct sim_runs *runs, uint64_t offset);
struct sim_run *sim_runs_put(struct sim_runs *runs);
/** A run has ended. Whether nobody can tell from outside if that was an attempt: most may fail. */
bool sim_judge_flood(struct sim_checker *checker, uint32_t client, const struct dri_flight *flight,
                     struct sim_command *command, uint64_t at_ns);
/** Its result is the fallback of its route: whether it may be. */
void sim_judge_fallback(struct sim_checker *checker, struct sim_command *command,
                        const struct dri_result *result);
/** A run of it starts. */
void sim_judge_dependencies(struct sim_checker *checker, uint32_t client,
                            const struct sim_plan *plan);
/** Whether it failed as the probe of a dependency, if it was that one that failed. */
bool sim_has_failed_for_dependency(const struct dri_flight *flight);
bool sim_is_unwell(enum dray_error_kind kind);
struct sim_epoch *sim_epoch_at(struct sim_checker *checker, uint32_t number);
/** Its held letter was stored. */
void sim_note_held(struct sim_checker *checker, const struct sim_command *command);
struct sim_place *sim_place_at(struct sim_checker *checker, int topic, int32_t partition,
                               uint64_t offset);
/* checker_park.c */
struct sim_park_record *sim_park_at(struct sim_checker *checker, int32_t partition,
                                    uint64_t offset);
void sim_park_appended(struct sim_checker *checker, const struct dri_sim_sight *sight);
struct sim_command *sim_park_delivered(struct sim_checker *checker,
                                       const struct dri_sim_sight *sight, uint32_t *ret_attempts);
/** A position leaves a client, or arrives. */
void sim_park_settled(struct sim_checker *checker, const struct dri_sim_sight *sight);
bool sim_park_is_settled(struct sim_checker *checker, int32_t partition);
/** A letter of a unit was stored. False: it is none. */
bool sim_park_is_member(struct sim_checker *checker, const struct sim_command *command,
                        const struct dri_letter *letter);
void sim_park_member(struct sim_checker *checker, const struct sim_command *command,
                     const struct dri_letter *letter);
/** A record runs. */
void sim_park_check_run(struct sim_checker *checker, const struct sim_park_record *record);
/** A run begins, of its source or out of a park log. */
void sim_park_check_again(struct sim_checker *checker, struct sim_command *command, int32_t key,
                          const struct sim_epoch *epoch);
/** A command runs: nothing that is parked may come before it. */
void sim_park_check_order(struct sim_checker *checker, const struct sim_command *command,
                          int32_t key, uint64_t began_at);

/** Whether it has a place in the order of its key: a scheduled command has none before its time. */
bool sim_has_place(const struct sim_command *command);
/** Of where it was produced: what must run in order with each other has the same; -1: unordered. */
int32_t sim_order_key(const struct sim_checker *checker, const struct sim_command *command);
bool sim_may_have_been_held(const struct sim_checker *checker, const struct sim_command *command);
/** Or answered with a fallback, which was not stored yet. */
bool sim_may_be_overtaken(const struct sim_checker *checker, const struct sim_command *command);
/** "topic/partition/offset", or "STREAM/sequence"; NULL: none of ours. */
struct sim_command *sim_command_of_source(struct sim_checker *checker, struct dray_slice source);
struct sim_command *sim_command_at(struct sim_checker *checker, int topic, int32_t partition,
                                   uint64_t offset);
/** Whether this message may be settled. */
bool sim_place_is_done(const struct sim_checker *checker, const struct sim_place *place);
/** The first message that may not; log->count: all may. */
size_t sim_log_incomplete(const struct sim_checker *checker, struct sim_log *log);
/** Of which command it is the copy; NULL: of none, and it has failed. */
struct sim_command *sim_judge_copy(struct sim_checker *checker,
                                   const struct dri_sim_record *record);
/** A copy came into a delay log. */
void sim_judge_delayed(struct sim_checker *checker, const struct dri_sim_sight *sight, int topic);

#endif
