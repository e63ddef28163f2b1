/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* checker_outcome.c - judges what was stored: results and dead letters, against the plan.
 *
 * A plan says in advance what a command must come to, so nearly everything in a record can be
 * compared with what it ought to be. What time decides (whether a deadline passed) may go either
 * way.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "checker_inside.h"
#include "wire/headers.h"
#include "wire/letter.h"
#include "wire/result.h"
#include "wire/sha256.h"

static bool is_malformed(const struct sim_plan *plan)
{
    return plan->shape != SIM_SHAPE_SOUND && plan->shape != SIM_SHAPE_DENIED;
}

static bool has_too_large_result(const struct sim_checker *checker, const struct sim_plan *plan)
{
    return plan->is_limited || plan->result_bytes >= checker->options.broker.message_bytes_max;
}

/* --- completion
 * ----------------------------------------------------------------------------------- */

static bool is_complete(struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_plan *plan = &command->plan;
    const struct sim_command *head = sim_head_of(checker, command);
    if (plan->reply == SIM_REPLY_NONE && sim_has_window(checker, command) && head->records > 0) {
        return true; /* nobody is told */
    }
    if (command->results > 0 || command->answers > 0) {
        return true;
    }
    if (command->letters > 0) {
        return command->errors > 0 || plan->reply == SIM_REPLY_NONE || is_malformed(plan);
    }
    return plan->reply == SIM_REPLY_NONE && command->ok_runs > 0;
}

void sim_judge_completion(struct sim_checker *checker, struct sim_command *command)
{
    if (command->is_complete || !is_complete(checker, command)) {
        return;
    }
    command->is_complete = true;
    checker->complete_count++;
}

/* A source's name and a slash; streams are named after the topic in capitals. */
static bool begins_with_source(const char *text, const char *name, bool is_stream)
{
    for (; *name != '\0'; name++, text++) {
        char sign = *name == '.' ? '_' : (char)toupper((unsigned char)*name);
        if (*text != (is_stream ? sign : *name)) {
            return false;
        }
    }
    return *text == '/';
}

/* "topic/partition/offset", or "STREAM/sequence". */
struct sim_command *sim_command_of_source(struct sim_checker *checker, struct dray_slice source)
{
    bool is_stream = checker->options.mode == DRI_SETTLE_EACH;
    char text[128];
    if (source.len == 0 || source.len >= sizeof(text)) {
        return NULL;
    }
    memcpy(text, source.at, source.len);
    text[source.len] = '\0';
    for (int topic = 0; topic < SIM_TOPIC_SOURCES; topic++) {
        const char *name = sim_source_names[topic];
        char *rest = text + strlen(name);
        unsigned long partition = 0;
        if (!begins_with_source(text, name, is_stream)) {
            continue;
        }
        rest++;
        if (!is_stream) {
            partition = strtoul(rest, &rest, 10);
            if (*rest++ != '/' || partition >= checker->options.partitions) {
                return NULL;
            }
        }
        uint64_t offset = strtoull(rest, &rest, 10);
        return *rest == '\0' ? sim_command_at(checker, topic, (int32_t)partition, offset) : NULL;
    }
    return NULL;
}

/* "r:<origin>:<offset>", and ":<ms>" when that was taken. */
static struct sim_command *command_of_dedup_id(struct sim_checker *checker, struct dray_slice id)
{
    uint8_t source[128];
    size_t colons = 0;
    size_t len = 0;
    for (size_t i = 2; i < id.len && len < sizeof(source); i++) {
        colons += id.at[i] == ':';
        if (colons > 1) {
            break;
        }
        source[len++] = id.at[i] == ':' ? '/' : id.at[i];
    }
    return sim_command_of_source(checker, dray_slice_of(source, len));
}

/* --- the window
 * ----------------------------------------------------------------------------------- */

struct sim_command *sim_head_of(struct sim_checker *checker, const struct sim_command *command)
{
    return &checker->commands[command->plan.of];
}

bool sim_has_window(const struct sim_checker *checker, const struct sim_command *command)
{
    return checker->options.twins != 0 && command->topic == SIM_TOPIC_COMMANDS &&
           command->plan.shape == SIM_SHAPE_SOUND &&
           sim_route_of(&checker->options, command->plan.index) != NULL;
}

static bool is_recorded(enum dray_error_kind kind)
{
    return kind == DRAY_KIND_NONE || kind == DRAY_KIND_INVALID || kind == DRAY_KIND_NOT_FOUND ||
           kind == DRAY_KIND_REJECTED;
}

bool sim_enters_window(const struct sim_plan *plan)
{
    return is_recorded(plan->kind);
}

/* The end of a run that is recorded is told only when the record stands, and as it stands there. */
static void check_recorded(struct sim_checker *checker, const struct sim_command *command,
                           const struct dri_result *result)
{
    const struct sim_command *head = sim_head_of(checker, command);
    bool is_known = false;
    if (!sim_has_window(checker, command) || command->is_member ||
        (!result->is_ok && result->is_dead_letter && !is_recorded(result->kind))) {
        if (result->is_duplicate) {
            sim_checker_fail(checker, "window", "command %u is no duplicate", command->plan.index);
        }
        return;
    }
    for (uint32_t i = 0; i < SIM_RECORDS_MAX && i < head->records; i++) {
        is_known = is_known || head->record_ts[i] == result->ts_ms;
    }
    if (!is_known && head->records <= SIM_RECORDS_MAX) {
        sim_checker_fail(checker, "window", "the result of command %u is not that of a record (%u)",
                         command->plan.index, head->records);
    } else if (result->is_duplicate && head->family_runs == 0) {
        sim_checker_fail(checker, "window", "command %u is a duplicate of nothing that ran",
                         command->plan.index);
    }
}

void sim_judge_window(struct sim_checker *checker, const struct dri_sim_record *record)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error;
    struct dri_result result;
    if (dri_result_decode(record->value, &limits, &result, &error) != DRAY_OK) {
        sim_checker_fail(checker, "window", "a record cannot be read: %s %s", error.field,
                         error.text);
        return;
    }
    struct sim_command *command = sim_command_of_source(checker, result.source);
    /* For want of a place in the park log, a run that would stop its key ends with a letter. */
    bool has_ended = command != NULL &&
                     (command->final_runs > 0 || (command->stop_runs > 0 && command->letters > 0));
    if (!has_ended || sim_plan_of_id(result.id) != command->plan.of ||
        !dray_slice_equal_text(result.ns, "default")) {
        sim_checker_fail(checker, "window", "a record of a command that did not end");
        return;
    }
    struct sim_command *head = sim_head_of(checker, command);
    head->record_ts[head->records % SIM_RECORDS_MAX] = result.ts_ms;
    head->record_at = head->records == 0 ? checker->tally.events : head->record_at;
    head->record_epoch = command->final_epoch;
    head->records++;
    checker->tally.windows++;
    for (size_t i = 0; i < checker->commands_count; i++) {
        if (checker->commands[i].plan.of == command->plan.of) {
            sim_judge_completion(checker, &checker->commands[i]);
        }
    }
}

/* --- results
 * -------------------------------------------------------------------------------------- */

static void check_target(struct sim_checker *checker, const struct sim_command *command,
                         const struct dri_sim_record *record, const struct dri_result *result)
{
    const struct sim_plan *plan = &command->plan;
    const char *wanted = sim_reply_topic(plan->reply);
    bool is_stream = checker->options.mode == DRI_SETTLE_EACH;
    bool is_refused = plan->reply == SIM_REPLY_FORBIDDEN || plan->reply == SIM_REPLY_ELSEWHERE ||
                      (plan->reply == SIM_REPLY_MISSING && !is_stream);
    bool has_failed = !dray_slice_is_absent(result->reply_failed);
    if (is_malformed(plan)) {
        return; /* who knows how far it was read */
    }
    if (plan->reply == SIM_REPLY_NONE) {
        sim_checker_fail(checker, "outcome", "command %u wants no result and got one", plan->index);
    } else if (has_failed || plan->reply == SIM_REPLY_DEFAULT || plan->reply == SIM_REPLY_INBOX) {
        wanted = "results";
    }
    if (is_refused && !has_failed) {
        sim_checker_fail(checker, "outcome", "command %u: reply_failed is missing", plan->index);
    } else if (has_failed && (plan->reply == SIM_REPLY_DEFAULT || plan->reply == SIM_REPLY_SIDE)) {
        sim_checker_fail(checker, "outcome", "command %u: reply_failed for no reason", plan->index);
    } else if (!dray_slice_equal_text(record->subject, wanted)) {
        sim_checker_fail(checker, "outcome", "the result of command %u is in %.*s, not in %s",
                         plan->index, (int)record->subject.len, (const char *)record->subject.at,
                         wanted);
    }
}

static void check_ok(struct sim_checker *checker, const struct sim_command *command,
                     const struct dri_result *result)
{
    const struct sim_plan *plan = &command->plan;
    struct sim_bytes wanted;
    sim_plan_result(plan, &wanted);
    if (plan->shape != SIM_SHAPE_SOUND || plan->kind != DRAY_KIND_NONE ||
        (result->is_duplicate ? checker->commands[plan->of].family_ok_runs : command->ok_runs) ==
            0) {
        sim_checker_fail(checker, "outcome", "command %u has result ok without a run that was",
                         plan->index);
    } else if (has_too_large_result(checker, plan)) {
        sim_checker_fail(checker, "outcome", "command %u: its result cannot have fitted",
                         plan->index);
    } else if (!dray_slice_equal(result->result, dray_slice_of(wanted.at, wanted.len))) {
        sim_checker_fail(checker, "bytes", "command %u: not the handler's answer", plan->index);
    } else if (result->attempt != plan->runs) {
        sim_checker_fail(checker, "attempts", "command %u: ok in attempt %u, planned %u",
                         plan->index, result->attempt, plan->runs);
    }
}

/* The kinds that this command may end with, in a letter and the error result behind it. */
static bool may_die_of(const struct sim_checker *checker, const struct sim_command *command,
                       enum dray_error_kind kind)
{
    const struct sim_plan *plan = &command->plan;
    if (command->is_member && kind == DRAY_KIND_REJECTED) {
        return true;
    }
    const struct sim_route *route = sim_route_of(&checker->options, plan->index);
    if (kind == DRAY_KIND_HELD) {
        return route != NULL && plan->shape == SIM_SHAPE_SOUND &&
               checker->was_paused[route - checker->options.routes];
    }
    switch (plan->shape) {
    case SIM_SHAPE_DENIED:
        return kind == DRAY_KIND_AUTH;
    case SIM_SHAPE_SOUND:
        return kind != DRAY_KIND_NONE &&
               (kind == plan->kind || (kind == DRAY_KIND_EXPIRED && plan->deadline_ms != 0));
    default:
        return kind == DRAY_KIND_INVALID;
    }
}

static void check_error(struct sim_checker *checker, struct sim_command *command,
                        const struct dri_result *result)
{
    const struct sim_plan *plan = &command->plan;
    bool is_answer = result->is_duplicate;
    const struct sim_command *head = &checker->commands[plan->of];
    if (result->is_dead_letter && (is_answer ? head->family_letters : command->letters) == 0) {
        sim_checker_fail(checker, "outcome", "command %u: error result before its dead letter",
                         plan->index);
    } else if (result->is_dead_letter && !may_die_of(checker, command, result->kind)) {
        sim_checker_fail(checker, "outcome", "command %u ended as %s, planned \"%s\"", plan->index,
                         dray_kind_text(result->kind), dray_kind_text(plan->kind));
    } else if (!result->is_dead_letter &&
               (result->kind != DRAY_KIND_LIMIT ||
                (is_answer ? head->family_ok_runs : command->ok_runs) == 0 ||
                !has_too_large_result(checker, plan))) {
        sim_checker_fail(checker, "outcome", "command %u: error %s without a dead letter",
                         plan->index, dray_kind_text(result->kind));
    }
}

static struct dray_slice planned_key(const struct sim_command *command, char *text)
{
    return is_malformed(&command->plan) ? command->record->key : sim_plan_key(&command->plan, text);
}

void sim_judge_result(struct sim_checker *checker, const struct dri_sim_record *record)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error;
    struct dri_result result;
    char key[SIM_KEY_BYTES];
    if (dri_result_decode(record->value, &limits, &result, &error) != DRAY_OK) {
        sim_checker_fail(checker, "bytes", "a result cannot be read: %s %s", error.field,
                         error.text);
        return;
    }
    struct sim_command *command = command_of_dedup_id(checker, record->dedup_id);
    if (command == NULL ||
        (sim_plan_of_id(result.id) != command->plan.of && !is_malformed(&command->plan))) {
        sim_checker_fail(checker, "outcome", "a result of a command that was never sent");
        return;
    }
    uint32_t index = command->plan.index;
    check_recorded(checker, command, &result);
    check_target(checker, command, record, &result);
    if (!dray_slice_equal(record->key, planned_key(command, key))) {
        sim_checker_fail(checker, "bytes", "the result of command %u has another key", index);
    }
    if (result.is_fallback) {
        sim_judge_fallback(checker, command, &result);
    } else if (result.is_ok) {
        check_ok(checker, command, &result);
    } else {
        check_error(checker, command, &result);
    }
    command->answers += result.is_duplicate;
    checker->tally.answers += result.is_duplicate;
    if (result.is_ok || !result.is_dead_letter) {
        command->results++;
        checker->tally.results++;
        checker->tally.limits += !result.is_ok;
    } else {
        command->errors++;
        checker->tally.errors++;
    }
    checker->tally.fallbacks += !dray_slice_is_absent(result.reply_failed);
    sim_judge_completion(checker, command);
}

/* --- dead letters
 * --------------------------------------------------------------------------------- */

static bool is_letter_header(struct dray_slice name)
{
    static const char *const prefixes[] = {"dray-dlq-", "dray-delay-"};
    for (size_t i = 0; i < DRI_ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i]);
        if (name.len >= len && memcmp(name.at, prefixes[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static bool next_kept(struct dray_slice headers, size_t *at, struct dri_header *ret_header)
{
    bool is_found = false;
    do {
        is_found = dri_headers_next(headers, at, ret_header);
    } while (is_found && is_letter_header(ret_header->name));
    return is_found;
}

/* The original headers, in order, and nothing else beside the letter's own, which replace earlier
 * ones. */
static bool has_original_headers(struct dray_slice letter, struct dray_slice original)
{
    struct dri_header ours;
    struct dri_header theirs;
    size_t at = 0;
    size_t original_at = 0;
    while (next_kept(letter, &at, &ours)) {
        if (!next_kept(original, &original_at, &theirs) ||
            !dray_slice_equal(ours.name, theirs.name) ||
            !dray_slice_equal(ours.value, theirs.value)) {
            return false;
        }
    }
    return !next_kept(original, &original_at, &theirs);
}

static bool has_original_value(const struct dri_sim_record *record, const struct dri_letter *letter,
                               const struct dri_sim_record *original)
{
    char sha256[65];
    if (!letter->is_pointer) {
        return dray_slice_equal(record->value, original->value);
    }
    dri_sha256_hex(original->value, sha256);
    return record->value.len == 0 && letter->pointer_bytes == original->value.len &&
           dray_slice_equal_text(letter->pointer_sha256, sha256);
}

static void check_letter(struct sim_checker *checker, const struct sim_command *command,
                         const struct dri_sim_record *record, const struct dri_letter *letter)
{
    const struct sim_plan *plan = &command->plan;
    bool has_died_running = plan->shape == SIM_SHAPE_SOUND && !command->is_member &&
                            letter->reason != DRAY_KIND_EXPIRED && letter->reason != DRAY_KIND_HELD;
    if (!may_die_of(checker, command, letter->reason)) {
        sim_checker_fail(checker, "outcome", "command %u died of %s, planned \"%s\"", plan->index,
                         dray_kind_text(letter->reason), dray_kind_text(plan->kind));
    } else if (command->must_wait && command->deliveries == 1 && sim_is_unwell(letter->reason)) {
        sim_checker_fail(checker, "flood", "command %u has a dead letter, and most had failed",
                         plan->index);
    } else if (has_died_running && command->final_runs + command->spared_runs +
                                           command->vague_runs + command->stop_runs ==
                                       0) {
        sim_checker_fail(checker, "outcome", "command %u has a dead letter before its last run",
                         plan->index);
    } else if (has_died_running && letter->attempts != plan->runs) {
        sim_checker_fail(checker, "attempts", "command %u died after %" PRIu64 " runs, planned %u",
                         plan->index, letter->attempts, plan->runs);
    } else if (!has_original_value(record, letter, command->record) ||
               !dray_slice_equal(record->key, command->record->key) ||
               !has_original_headers(record->headers, command->record->headers)) {
        sim_checker_fail(checker, "bytes", "the dead letter of command %u is not the original",
                         plan->index);
    } else if (letter->is_pointer && command->record->value.len < 4096) {
        sim_checker_fail(checker, "bytes", "the dead letter of command %u left its bytes out",
                         plan->index);
    }
}

void sim_judge_letter(struct sim_checker *checker, const struct dri_sim_record *record)
{
    struct dri_letter letter;
    if (dri_letter_read(record->headers, &letter) != DRAY_OK) {
        sim_checker_fail(checker, "bytes", "a dead letter without a reason");
        return;
    }
    struct sim_command *command = sim_command_of_source(checker, letter.source);
    if (command == NULL) {
        sim_checker_fail(checker, "outcome", "a dead letter of a command that was never sent: %.*s",
                         (int)letter.source.len, (const char *)letter.source.at);
        return;
    }
    sim_checker_trace(checker, "letter   command %u: %s, unit %.*s", command->plan.index,
                      dray_kind_text(letter.reason), (int)letter.sequence.len,
                      (const char *)letter.sequence.at);
    if (sim_park_is_member(checker, command, &letter)) {
        command->is_member = true;
        sim_park_member(checker, command, &letter);
    }
    check_letter(checker, command, record, &letter);
    command->letters++;
    sim_head_of(checker, command)->family_letters++;
    checker->tally.letters++;
    checker->tally.pointers += letter.is_pointer;
    if (letter.reason == DRAY_KIND_HELD) {
        sim_note_held(checker, command);
    }
    checker->tally.held += letter.reason == DRAY_KIND_HELD;
    checker->tally.expired += letter.reason == DRAY_KIND_EXPIRED;
    sim_judge_completion(checker, command);
}

/* What ended as a member of a unit ended when the worker was told so, also if the transaction is
 * thrown away afterwards: then it comes again, and behind its followers when the unit was released.
 */
void sim_judge_taken_letter(struct sim_checker *checker, struct dray_slice headers)
{
    struct dri_letter letter;
    if (dri_letter_read(headers, &letter) != DRAY_OK) {
        return; /* judged when it is stored */
    }
    struct sim_command *command = sim_command_of_source(checker, letter.source);
    if (command != NULL && sim_park_is_member(checker, command, &letter)) {
        sim_checker_trace(checker, "taken    letter of command %u, unit %.*s", command->plan.index,
                          (int)letter.sequence.len, (const char *)letter.sequence.at);
        command->is_member_taken = true;
    }
}

/* --- delay logs
 * ---------------------------------------------------------------------------------- */

/* The original ones, in order, and then our own. */
static bool has_kept_headers(struct dray_slice copy, struct dray_slice original)
{
    struct dri_header header;
    size_t at = original.len;
    if (copy.len < original.len ||
        (original.len > 0 && memcmp(copy.at, original.at, original.len) != 0)) {
        return false;
    }
    while (dri_headers_next(copy, &at, &header)) {
        if (!dri_header_name_begins(header.name, "dray-delay-")) {
            return false;
        }
    }
    return true;
}

struct sim_command *sim_judge_copy(struct sim_checker *checker, const struct dri_sim_record *record)
{
    struct dray_slice source = dri_headers_find(record->headers, "dray-delay-source");
    struct sim_command *command = sim_command_of_source(checker, source);
    if (command == NULL) {
        sim_checker_fail(checker, "outcome", "a delayed command that was never sent: %.*s",
                         (int)source.len, (const char *)source.at);
        return NULL;
    }
    if (command->plan.not_before_ms == 0) {
        sim_checker_fail(checker, "outcome", "command %u is delayed and may run at once",
                         command->plan.index);
    } else if (!dray_slice_equal(record->value, command->record->value) ||
               !dray_slice_equal(record->key, command->record->key) ||
               !has_kept_headers(record->headers, command->record->headers)) {
        sim_checker_fail(checker, "bytes", "the delayed copy of command %u is not the original",
                         command->plan.index);
    }
    return command;
}
