/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* checker_park.c - judges park logs: what was parked, where it is now, and what may be settled.
 *
 * A command that has no outcome has to be somewhere: in its source, as long as that is not settled,
 * or in a record of a park log that is not. So a record may be settled only when its command has
 * its outcome or another record that stays; and a source only when its command is parked. While a
 * command is parked and was not run for the last time, nothing that stands behind it in its key
 * runs, whoever runs it: this is what parking promises, and it is judged from the sources' order
 * alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "checker_inside.h"
#include "wire/park.h"

static struct sim_park_log *log_of(struct sim_checker *checker, int32_t partition)
{
    DRI_ASSERT(partition >= 0 && partition < (int32_t)SIM_PARTITIONS_MAX);
    return &checker->parks[partition];
}

struct sim_park_record *sim_park_at(struct sim_checker *checker, int32_t partition, uint64_t offset)
{
    struct sim_park_log *log = log_of(checker, partition);
    for (size_t i = log->count; i > 0; i--) {
        if (log->records[i - 1].offset == offset) {
            return &log->records[i - 1];
        }
    }
    return NULL;
}

/* A copy of the command, as it was. */
static void check_bytes(struct sim_checker *checker, const struct sim_command *command,
                        const struct dri_sim_record *record)
{
    if (!dray_slice_equal(record->value, command->record->value) ||
        !dray_slice_equal(record->key, command->record->key)) {
        sim_checker_fail(checker, "bytes", "what is parked is not command %u", command->plan.index);
    }
}

/* An unknown acknowledgement makes two of one; so may two workers. */
static bool is_new(const struct sim_park_log *log, uint32_t command, uint32_t attempts)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->records[i].command == command && log->records[i].attempts == attempts) {
            return false;
        }
    }
    return true;
}

static void add_record(struct sim_checker *checker, struct sim_park_log *log,
                       const struct dri_sim_sight *sight, uint32_t command,
                       const struct dri_park *park)
{
    static const char *const kinds[] = {"", "stopped", "held", "release"};
    sim_checker_trace(checker, "parked   command %d at %" PRIu64 ": %s, %u runs, order %" PRId64,
                      (int)command, sight->offset, kinds[park->kind], park->attempts,
                      park->has_order ? (int64_t)park->order : -1);
    if (log->count == log->capacity) {
        size_t capacity = log->capacity * 2 + 16;
        struct sim_park_record *records = dri_zalloc_array(capacity, sizeof(*records));
        DRI_ASSERT(records != NULL);
        for (size_t i = 0; i < log->count; i++) {
            records[i] = log->records[i];
        }
        dri_free(log->records);
        log->records = records;
        log->capacity = capacity;
    }
    log->records[log->count++] = (struct sim_park_record){.command = command,
                                                          .offset = sight->offset,
                                                          .attempts = park->attempts,
                                                          .kind = park->kind,
                                                          .is_late = checker->is_ending,
                                                          .record = sight->record};
}

/* What a command of this log is ordered by, as text. */
static struct dray_slice order_text(const struct sim_checker *checker,
                                    const struct sim_command *command, struct dray_slice key,
                                    char buffer[64])
{
    if (sim_order_key(checker, command) < (int32_t)SIM_KEYS_MAX) {
        return key;
    }
    int len = snprintf(buffer, 64, "%s/%d",
                       command->topic == SIM_TOPIC_COMMANDS ? "commands" : "replay.g.commands",
                       (int)command->partition);
    return dray_slice_of(buffer, (size_t)len);
}

static bool stands_still(const struct sim_checker *checker, const struct sim_park_record *record)
{
    const struct sim_command *command =
        record->command < checker->commands_count ? &checker->commands[record->command] : NULL;
    return command != NULL && !record->is_released &&
           (record->kind == DRI_PARK_HELD || record->kind == DRI_PARK_STOPPED);
}

/* What stands before it and has its key. */
static void release(struct sim_checker *checker, struct sim_park_log *log,
                    const struct dri_sim_sight *sight)
{
    const struct dri_park park = {.kind = DRI_PARK_RELEASE};
    char buffer[64];
    for (size_t i = 0; i < log->count; i++) {
        struct sim_park_record *record = &log->records[i];
        if (!stands_still(checker, record)) {
            continue;
        }
        struct sim_command *command = &checker->commands[record->command];
        if (dray_slice_equal(order_text(checker, command, record->record->key, buffer),
                             sight->record->key)) {
            record->is_released = true;
            command->is_held = false;
        }
    }
    add_record(checker, log, sight, UINT32_MAX, &park);
    checker->tally.releases++;
}

bool sim_checker_stopped(struct sim_checker *checker, int32_t *ret_partition,
                         struct dray_slice *ret_key)
{
    for (int32_t partition = 0; partition < (int32_t)SIM_PARTITIONS_MAX; partition++) {
        struct sim_park_log *log = log_of(checker, partition);
        for (size_t i = 0; i < log->count; i++) {
            const struct sim_park_record *record = &log->records[i];
            if (stands_still(checker, record)) {
                *ret_partition = partition;
                *ret_key = order_text(checker, &checker->commands[record->command],
                                      record->record->key, checker->key_text);
                return true;
            }
        }
    }
    return false;
}

bool sim_park_is_member(struct sim_checker *checker, const struct sim_command *command,
                        const struct dri_letter *letter)
{
    const struct sim_command *first = sim_command_of_source(checker, letter->sequence);
    return first != NULL && first != command;
}

/* The letters of a unit stand in the order of their key, but for what came twice. */
void sim_park_member(struct sim_checker *checker, const struct sim_command *command,
                     const struct dri_letter *letter)
{
    struct sim_command *first = sim_command_of_source(checker, letter->sequence);
    /* One that ran before, or had a letter, came again: nobody remembers that it was earlier. */
    bool is_first = command->letters == 0 && command->runs == 0 && sim_has_place(command);
    checker->tally.members++;
    if (first->letters == 0 || sim_order_key(checker, first) != sim_order_key(checker, command) ||
        (first->topic == command->topic && first->offset > command->offset && is_first)) {
        sim_checker_fail(checker, "order", "command %u is a letter in the unit of command %u",
                         command->plan.index, first->plan.index);
    }
    if (first->topic == command->topic && is_first && command->offset < first->last_member) {
        sim_checker_fail(checker, "order", "the letter of command %u comes too late in its unit",
                         command->plan.index);
    }
    if (first->topic == command->topic && command->offset + 1 > first->last_member) {
        first->last_member = command->offset + 1;
    }
}

void sim_park_check_run(struct sim_checker *checker, const struct sim_park_record *record)
{
    if (record->kind == DRI_PARK_STOPPED && !record->is_released) {
        sim_checker_fail(checker, "order", "command %u runs, and its key is stopped at it",
                         record->command);
    }
}

void sim_park_appended(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_park_log *log = log_of(checker, sight->partition);
    struct dri_park park;
    if (dri_park_read(sight->record->headers, &park) != DRAY_OK) {
        sim_checker_fail(checker, "bytes", "a record of a park log cannot be read");
        return;
    }
    if (park.kind == DRI_PARK_RELEASE) {
        release(checker, log, sight);
        return;
    }
    struct sim_command *command = sim_command_of_source(checker, park.source);
    if (command == NULL || command->partition != sight->partition) {
        sim_checker_fail(checker, "bytes", "what is parked is no command of its partition: %.*s",
                         (int)park.source.len, (const char *)park.source.at);
        return;
    }
    if (park.kind == DRI_PARK_HELD) {
        add_record(checker, log, sight, command->plan.index, &park);
        command->is_held = true;
        checker->tally.holds++;
        if (!command->is_complete || !dray_slice_equal(park.unit, park.source)) {
            sim_checker_fail(checker, "outcome", "command %u holds its key and has no letter",
                             command->plan.index);
        }
        return;
    }
    check_bytes(checker, command, sight->record);
    command->stops += park.kind == DRI_PARK_STOPPED;
    checker->tally.stops += park.kind == DRI_PARK_STOPPED;
    command->moves += is_new(log, command->plan.index, park.attempts) ? 1 : 0;
    add_record(checker, log, sight, command->plan.index, &park);
    command->parked_at = command->parks == 0 ? checker->tally.events : command->parked_at;
    command->parks++;
    checker->tally.parks++;
    if (park.attempts > command->runs) {
        sim_checker_fail(checker, "attempts", "command %u is parked after %u runs, and had %u",
                         command->plan.index, park.attempts, command->runs);
    }
}

struct sim_command *sim_park_delivered(struct sim_checker *checker,
                                       const struct dri_sim_sight *sight, uint32_t *ret_attempts)
{
    struct sim_park_record *record = sim_park_at(checker, sight->partition, sight->offset);
    DRI_ASSERT(record != NULL);
    record->deliveries++;
    if (record->kind == DRI_PARK_HELD || record->kind == DRI_PARK_RELEASE) {
        return NULL;
    }
    struct sim_command *command = &checker->commands[record->command];
    if (record->deliveries > 1 && !checker->has_redelivery_reason) {
        sim_checker_fail(checker, "duplicates",
                         "the parked command %u was delivered again and nothing explains it",
                         record->command);
    }
    *ret_attempts = record->attempts;
    return command;
}

/* Whether a command without an outcome still stands in this log, when all below the position and
 * what is said beside it is settled. */
static bool stays(const struct sim_park_log *log, uint32_t command, bool is_held, uint64_t position,
                  const struct sim_runs *said)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct sim_park_record *record = &log->records[i];
        if (record->command == command && (record->kind == DRI_PARK_HELD) == is_held &&
            record->offset >= position && !sim_progress_has(said, record->offset)) {
            return true;
        }
    }
    return false;
}

void sim_park_settled(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_park_log *log = log_of(checker, sight->partition);
    struct sim_runs said = {0};
    if (sight->metadata.len > 0 && !sim_progress_read(sight->metadata, sight->offset, &said)) {
        sim_checker_fail(checker, "progress", "client %u commits metadata that cannot be read",
                         sight->client);
    }
    for (size_t i = 0; i < log->count; i++) {
        const struct sim_park_record *record = &log->records[i];
        bool is_settled = record->offset < sight->offset || sim_progress_has(&said, record->offset);
        bool is_held = record->kind == DRI_PARK_HELD;
        bool is_needed = is_held ? !record->is_released
                                 : record->kind != DRI_PARK_RELEASE &&
                                       !checker->commands[record->command].is_complete;
        /* After an unknown answer the HELD record of a worker before can come late, and then the
         * command is out here; or a copy of the command comes behind its HELD record. Either way
         * the command stands there as a command, ends once more, and holds its key again. */
        bool is_kept = stays(log, record->command, is_held, sight->offset, &said) ||
                       (is_held && stays(log, record->command, false, sight->offset, &said));
        if (is_settled && is_needed && !is_kept) {
            sim_checker_fail(checker, "settled",
                             "client %u settles the parked command %u at %" PRIu64
                             ", which has no outcome and no other copy",
                             sight->client, record->command, record->offset);
        }
    }
    if (sight->type == DRI_SIM_COMMITTED && (int64_t)sight->offset > log->committed_max) {
        log->committed_max = (int64_t)sight->offset;
    }
    dri_free(said.runs);
}

bool sim_park_is_settled(struct sim_checker *checker, int32_t partition)
{
    const struct sim_park_log *log = log_of(checker, partition);
    size_t count = log->count;
    while (count > 0 && log->records[count - 1].is_late) {
        count--;
    }
    return count == 0 || log->committed_max > (int64_t)log->records[count - 1].offset;
}

/* It was committed as finished when the later one was parked, as the gate asks for, and an
 * assignment after that did not tell: the known hole of ADR 13. */
static bool was_forgotten(const struct sim_command *command, const struct sim_command *later)
{
    return command->forgotten_from != 0 && command->forgotten_from < later->parked_at &&
           command->forgotten_to > later->parked_at;
}

/* A later one of its key stood in the park log when this assignment began: then this one is
 * settled, or was parked before it. A commit that came late may have unsaid it. */
static void check_behind(struct sim_checker *checker, const struct sim_command *command,
                         int32_t key, uint64_t began_at)
{
    const struct sim_log *log = &checker->logs[command->topic][command->partition];
    bool is_forgotten = false;
    if (checker->options.mode == DRI_SETTLE_EACH || key < 0 || log->went_back ||
        !sim_has_place(command) || sim_may_be_overtaken(checker, command)) {
        return;
    }
    for (size_t i = log->count; i > 0 && log->places[i - 1].offset > command->offset; i--) {
        const struct sim_command *later = &checker->commands[log->places[i - 1].command];
        bool is_first = later->parks > 0 && later->parked_at < began_at &&
                        (command->parks == 0 || later->parked_at < command->parked_at);
        if (!is_first || !sim_has_place(later) || sim_order_key(checker, later) != key) {
            continue;
        }
        if (was_forgotten(command, later)) {
            is_forgotten = true;
        } else {
            sim_checker_fail(checker, "order",
                             "command %u runs, and command %u, which comes after it in its key, "
                             "was parked before this worker began",
                             command->plan.index, later->plan.index);
        }
    }
    checker->tally.forgotten += is_forgotten;
}

/* Once it has run out of a log its record may be gone, and what stands behind it in its key may
 * have run. So its source may not come again and run, unless the commits said by then that it would
 * not: what these lose a worker can do nothing about. */
void sim_park_check_again(struct sim_checker *checker, struct sim_command *command, int32_t key,
                          const struct sim_epoch *epoch)
{
    const struct sim_log *log = &checker->logs[command->topic][command->partition];
    const struct sim_place *place =
        sim_place_at(checker, command->topic, command->partition, command->offset);
    if (epoch->is_park) {
        command->was_out_settled = command->out_at == 0 ? place->is_said : command->was_out_settled;
        command->out_at = command->out_at == 0 ? checker->tally.events : command->out_at;
        return;
    }
    if (checker->options.mode == DRI_SETTLE_EACH || key < 0 || command->out_at == 0 ||
        epoch->began_at < command->parked_at || command->was_out_settled || log->went_back ||
        command->copies > 0 || !sim_has_place(command) || sim_may_be_overtaken(checker, command)) {
        return;
    }
    sim_checker_fail(checker, "order",
                     "command %u came out of the park log before its source was settled, and comes "
                     "again from there",
                     command->plan.index);
}

void sim_park_check_order(struct sim_checker *checker, const struct sim_command *command,
                          int32_t key, uint64_t began_at)
{
    const struct sim_log *log = &checker->logs[command->topic][command->partition];
    if (command->copies > 0) {
        return; /* a delay log has an order of its own */
    }
    check_behind(checker, command, key, began_at);
    for (size_t i = 0; i < log->count && key >= 0; i++) {
        const struct sim_place *place = &log->places[i];
        const struct sim_command *earlier = &checker->commands[place->command];
        if (place->offset >= command->offset) {
            return;
        }
        bool is_expired =
            earlier->plan.deadline_ms != 0 && checker->now.wall_ms > earlier->plan.deadline_ms;
        if (!sim_has_place(earlier) || is_expired) {
            continue; /* it may have become due behind this one, or have its letter on the way */
        }
        if (earlier->is_held && sim_order_key(checker, earlier) == key) {
            sim_checker_fail(checker, "order", "command %u runs, and its key is held by command %u",
                             command->plan.index, earlier->plan.index);
        }
        if (earlier->parks > 0 && !earlier->is_complete &&
            earlier->final_runs + earlier->vague_runs == 0 &&
            sim_order_key(checker, earlier) == key && !sim_may_be_overtaken(checker, earlier)) {
            sim_checker_fail(checker, "order",
                             "command %u runs, and command %u of its key is parked before it",
                             command->plan.index, earlier->plan.index);
        }
    }
}
