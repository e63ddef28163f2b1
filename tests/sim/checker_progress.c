/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* checker_progress.c - judges what is committed beside a position: which commands beyond it are
 * finished.
 *
 * The text is read here by a second reader, written from the format's description and sharing
 * nothing with the first. What leaves a client must be readable, must be true at that moment, and
 * must still say what the client itself was told when its assignment began. What a client was told
 * in a sound text must not run there again, and must not be published again; a text that was lost
 * or damaged on its way tells nothing, and then nothing is asked.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "checker_inside.h"

#define HEAD      7u
#define NEARLY    3800u /* a text of this length may have left something out */
#define BIT_LIMIT 41u

static int digit(uint8_t character)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *found = character == '\0' ? NULL : strchr(digits, character);
    return found == NULL ? -1 : (int)(found - digits);
}

/* Bit by bit, of the position and of all but the six characters that hold it. */
static uint32_t checksum(struct dray_slice text, uint64_t position)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < 8 + text.len; i++) {
        if (i >= 9 && i < 9 + HEAD - 1) {
            continue;
        }
        crc ^= (uint32_t)(i < 8 ? (uint8_t)(position >> (8 * i)) : text.at[i - 8]);
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ UINT32_C(0xedb88320) : crc >> 1;
        }
    }
    return ~crc;
}

static bool is_sealed(struct dray_slice text, uint64_t position)
{
    uint64_t sum = 0;
    if (text.len <= HEAD || text.at[0] != '1') {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        if (digit(text.at[i]) < 0) {
            return false;
        }
        sum = i < HEAD ? sum * 64 + (uint64_t)digit(text.at[i]) : sum;
    }
    return sum == checksum(text, position);
}

static unsigned bit_at(struct dray_slice text, size_t at)
{
    return (unsigned)digit(text.at[HEAD + at / 6]) >> (5 - at % 6) & 1u;
}

/* 0: no number begins here. */
static uint64_t number_at(struct dray_slice text, size_t *at)
{
    size_t end = (text.len - HEAD) * 6;
    size_t zeros = 0;
    uint64_t number = 0;
    while (*at + zeros < end && bit_at(text, *at + zeros) == 0) {
        zeros++;
    }
    if (zeros >= BIT_LIMIT || *at + 2 * zeros + 1 > end) {
        return 0;
    }
    for (size_t i = 0; i <= zeros; i++) {
        number = number * 2 + bit_at(text, *at + zeros + i);
    }
    *at += 2 * zeros + 1;
    return number;
}

bool sim_progress_read(struct dray_slice text, uint64_t position, struct sim_runs *ret_runs)
{
    size_t at = 0;
    uint64_t offset = position;
    ret_runs->count = 0;
    if (!is_sealed(text, position)) {
        return false;
    }
    for (;;) {
        uint64_t unfinished = number_at(text, &at);
        uint64_t finished = unfinished != 0 ? number_at(text, &at) : 0;
        if (finished == 0) {
            return unfinished == 0 && ret_runs->count > 0;
        }
        struct sim_run *run = sim_runs_put(ret_runs);
        run->begin = offset + unfinished - (ret_runs->count == 1 ? 1 : 0);
        run->end = run->begin + finished;
        offset = run->end;
    }
}

bool sim_progress_has(const struct sim_runs *runs, uint64_t offset)
{
    size_t low = 0;
    size_t high = runs->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (runs->runs[middle].end <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < runs->count && runs->runs[low].begin <= offset;
}

/* --- judging
 * -------------------------------------------------------------------------------------- */

static void check_true(struct sim_checker *checker, const struct dri_sim_sight *sight,
                       const struct sim_log *log, const struct sim_runs *said)
{
    for (size_t i = log->incomplete; i < log->count && said->count > 0; i++) {
        const struct sim_place *place = &log->places[i];
        bool is_parked = checker->commands[place->command].parks > 0;
        if (!sim_place_is_done(checker, place) && !is_parked &&
            sim_progress_has(said, place->offset)) {
            sim_checker_fail(checker, "progress",
                             "client %u says beside %s/%d at %" PRIu64
                             " that command %u at %" PRIu64 " is finished, and it has no outcome",
                             sight->client, sight->topic, (int)sight->partition, sight->offset,
                             place->command, place->offset);
        }
    }
    uint64_t end = log->count == 0 ? 0 : log->places[log->count - 1].offset + 1;
    if (said->count > 0 && said->runs[said->count - 1].end > end) {
        sim_checker_fail(checker, "progress", "client %u says that more is finished than there is",
                         sight->client);
    }
}

static void check_kept(struct sim_checker *checker, const struct dri_sim_sight *sight,
                       const struct sim_log *log, const struct sim_runs *said)
{
    const struct sim_epoch *epoch = &checker->epochs[sight->epoch];
    if (epoch->told.count == 0 || sight->metadata.len >= NEARLY) {
        return;
    }
    for (size_t i = 0; i < log->count; i++) {
        const struct sim_place *place = &log->places[i];
        if (place->offset >= sight->offset && sim_progress_has(&epoch->told, place->offset) &&
            !sim_progress_has(said, place->offset)) {
            sim_checker_fail(checker, "progress",
                             "client %u was told that command %u is finished, and says so no more",
                             sight->client, place->command);
        }
    }
}

/* What is parked is finished there, too, and has no outcome yet. */
static void note_said(struct sim_checker *checker, const struct dri_sim_sight *sight,
                      struct sim_log *log, const struct sim_runs *said)
{
    for (size_t i = 0; i < log->count; i++) {
        struct sim_place *place = &log->places[i];
        bool is_said = place->offset < sight->offset || sim_progress_has(said, place->offset);
        place->is_said = is_said;
        if (!is_said) {
            place->said_at = 0;
        } else if (place->said_at == 0 && checker->commands[place->command].parks == 0) {
            place->said_at = checker->tally.events;
        }
    }
}

/* The metadata was lost or damaged on its way, or was that of another position: what it says is
 * finished runs again, behind what was parked since it says so. A worker can do nothing about it.
 */
void sim_progress_assigned(struct sim_checker *checker, const struct dri_sim_sight *sight,
                           struct sim_epoch *epoch)
{
    const struct sim_log *log = &checker->logs[epoch->topic][epoch->partition];
    for (size_t i = 0; i < log->count; i++) {
        const struct sim_place *place = &log->places[i];
        struct sim_command *command = &checker->commands[place->command];
        bool is_read = sight->offset == UINT64_MAX || place->offset >= sight->offset;
        if (is_read && place->said_at != 0 && !sim_progress_has(&epoch->told, place->offset)) {
            if (command->forgotten_from == 0) {
                command->forgotten_from = place->said_at;
            }
            command->forgotten_to = checker->tally.events;
        }
    }
}

void sim_judge_progress(struct sim_checker *checker, const struct dri_sim_sight *sight, int topic)
{
    struct sim_log *log = &checker->logs[topic][sight->partition];
    struct sim_runs said = {0};
    if (sight->metadata.len > 0 && !sim_progress_read(sight->metadata, sight->offset, &said)) {
        sim_checker_fail(checker, "progress", "client %u commits metadata that cannot be read",
                         sight->client);
    }
    check_true(checker, sight, log, &said);
    if (sight->type == DRI_SIM_SETTLING) {
        check_kept(checker, sight, log, &said);
    } else {
        note_said(checker, sight, log, &said);
    }
    dri_free(said.runs);
}
