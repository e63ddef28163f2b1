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
        sim_checker_fail(checker, "bytes", "what is parked is not command %u",
                         command->plan.index);
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
    struct sim_command *command = sim_command_of_source(checker, park.source);
    if (command == NULL || command->partition != sight->partition) {
        sim_checker_fail(checker, "bytes", "what is parked is no command of its partition: %.*s",
                         (int)park.source.len, (const char *)park.source.at);
        return;
    }
    check_bytes(checker, command, sight->record);
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
    log->records[log->count++] = (struct sim_park_record){
        .command = command->plan.index, .offset = sight->offset, .attempts = park.attempts};
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
    struct sim_command *command = &checker->commands[record->command];
    record->deliveries++;
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
static bool stays(const struct sim_park_log *log, uint32_t command, uint64_t position,
                  const struct sim_runs *said)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct sim_park_record *record = &log->records[i];
        if (record->command == command && record->offset >= position &&
            !sim_progress_has(said, record->offset)) {
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
        bool is_settled =
            record->offset < sight->offset || sim_progress_has(&said, record->offset);
        if (is_settled && !checker->commands[record->command].is_complete &&
            !stays(log, record->command, sight->offset, &said)) {
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
    return log->count == 0 || log->committed_max > (int64_t)log->records[log->count - 1].offset;
}

void sim_park_check_order(struct sim_checker *checker, const struct sim_command *command,
                          int32_t key)
{
    const struct sim_log *log = &checker->logs[command->topic][command->partition];
    for (size_t i = log->incomplete; i < log->count && key >= 0; i++) {
        const struct sim_command *earlier = &checker->commands[log->commands[i]];
        if (earlier->offset >= command->offset) {
            return;
        }
        if (earlier->parks > 0 && !earlier->is_complete && earlier->final_runs == 0 &&
            sim_order_key(checker, earlier) == key && !sim_may_have_been_held(checker, earlier)) {
            sim_checker_fail(checker, "order",
                             "command %u runs, and command %u of its key is parked before it",
                             command->plan.index, earlier->plan.index);
        }
    }
}
