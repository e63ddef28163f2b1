/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* outcome.c - what is published for a flight, and to whom.
 *
 * A result goes to the command's reply_to when that is allowed, else to the results topic with
 * reply_failed. An inbox (a subject that nobody stores) is a courtesy: a publish without
 * acknowledgement beside the stored result, and the stored one settles. A dead letter is the
 * message as it came, with headers that say what happened.
 *
 * Deduplication ids are made of the source position, never of the command id: a second, different
 * command with the same id must not be swallowed by the broker. Nor must a command of a log that
 * was deleted and made anew: when the transport says that the id is taken by another message, the
 * time of the source message is put behind it, which is as good a name for this command as the
 * position was, and the same in every run.
 *
 * Records are encoded one behind the other into one arena, and a batch ends when the next might not
 * fit. A record that is larger than the whole arena makes it grow: headers have no bound of ours.
 */
#include "outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "card.h"
#include "decimal.h"
#include "delay.h"
#include "headers.h"
#include "letter.h"
#include "mem.h"
#include "park.h"
#include "parking.h"
#include "result.h"
#include "sha256.h"

#define BATCH_MAX        512u /* publishes; a flight takes at most two */
#define ID_BYTES         400u /* "d:<origin>:<offset>" and two numbers */
#define ORIGIN_BYTES_MAX 300u
#define DECIMAL_BYTES    21u /* a separator and a number */
#define LETTER_BYTES     (64u * 1024u)
#define INBOX_PREFIX     "_INBOX."
#define MESSAGE_BYTES    320u
#define KEY_BYTES_MAX    4096u /* of a record whose key may be left out */
#define HEADERS_MAX      16384u
#define NOT_ALLOWED      "reply_to is not allowed here"
#define TARGET_REFUSED   "the broker refused reply_to"
#define RESULT_TOO_LONG  "the result is larger than the broker takes"

struct dri_outcomes {
    struct dri_engine_config config;         /* immutable but for the patterns */
    const struct dri_intake *intake;         /* borrowed */
    struct dri_parking *parking;             /* borrowed; NULL: nothing is parked */
    const struct dri_window *window;         /* borrowed; NULL: none */
    struct dray_slice results_topic, worker; /* of the config */
    uint8_t *arena;                          /* owned */
    size_t arena_bytes, arena_len;
    struct dri_publish batch[BATCH_MAX];
    size_t batch_count;
    size_t job_ends[BATCH_MAX]; /* publishes up to and with the i-th add */
    size_t jobs_count;
    uint64_t pointers;
};

enum dray_status dri_outcomes_create(const struct dri_engine_config *config,
                                     const struct dri_intake *intake, struct dri_parking *parking,
                                     const struct dri_window *window,
                                     struct dri_outcomes **ret_outcomes)
{
    struct dri_outcomes *outcomes = dri_zalloc(sizeof(*outcomes));
    if (outcomes == NULL) {
        return DRAY_ENOMEM;
    }
    outcomes->config = *config;
    outcomes->intake = intake;
    outcomes->parking = parking;
    outcomes->window = window;
    outcomes->results_topic = dray_slice_text(config->results_topic);
    outcomes->worker = dray_slice_text(config->worker);
    outcomes->arena_bytes = 2 * ((size_t)config->limits.message_bytes + LETTER_BYTES) + 65536u;
    outcomes->arena = dri_zalloc(outcomes->arena_bytes);
    if (outcomes->arena == NULL) {
        dri_outcomes_destroy(outcomes);
        return DRAY_ENOMEM;
    }
    *ret_outcomes = outcomes;
    return DRAY_OK;
}

void dri_outcomes_destroy(struct dri_outcomes *outcomes)
{
    if (outcomes != NULL) {
        dri_free(outcomes->arena);
        dri_free(outcomes);
    }
}

void dri_outcomes_set_patterns(struct dri_outcomes *outcomes, const char *const *patterns,
                               size_t count)
{
    outcomes->config.reply_patterns = patterns;
    outcomes->config.reply_patterns_count = count;
}

void dri_outcomes_begin(struct dri_outcomes *outcomes)
{
    outcomes->arena_len = 0;
    outcomes->batch_count = 0;
    outcomes->jobs_count = 0;
}

size_t dri_outcomes_batch(struct dri_outcomes *outcomes, struct dri_publish **ret_batch)
{
    *ret_batch = outcomes->batch;
    return outcomes->batch_count;
}

size_t dri_outcomes_jobs_of(const struct dri_outcomes *outcomes, size_t taken)
{
    size_t jobs = 0;
    while (jobs < outcomes->jobs_count && outcomes->job_ends[jobs] <= taken) {
        jobs++;
    }
    return jobs;
}

uint64_t dri_outcomes_pointers(const struct dri_outcomes *outcomes)
{
    return outcomes->pointers;
}

/* Room in the arena, or NULL: the batch is full, or there is no memory. commit keeps what was used.
 */
static void *reserve(struct dri_outcomes *outcomes, size_t bytes)
{
    if (outcomes->arena_bytes - outcomes->arena_len >= bytes) {
        return outcomes->arena + outcomes->arena_len;
    }
    if (outcomes->jobs_count > 0) {
        return NULL;
    }
    uint8_t *larger = dri_zalloc(bytes);
    if (larger == NULL) {
        return NULL;
    }
    dri_free(outcomes->arena);
    outcomes->arena = larger;
    outcomes->arena_bytes = bytes;
    return larger;
}

static struct dray_slice commit(struct dri_outcomes *outcomes, size_t len)
{
    struct dray_slice slice = dray_slice_of(outcomes->arena + outcomes->arena_len, len);
    outcomes->arena_len += len;
    return slice;
}

static size_t put(char *text, const uint8_t *at, size_t len)
{
    memcpy(text, at, len);
    return len;
}

/* "<letter>:<origin>:<offset>" of its source, ":<offset>" in the park log when it is a copy that
 * stands for that record, and ":<ms>" when that is taken; the caller has reserved ID_BYTES. Absent
 * where no broker asks for it. */
static struct dray_slice make_id(struct dri_outcomes *outcomes, char letter,
                                 const struct dri_flight *flight)
{
    char buffer[DRI_SOURCE_BYTES];
    char *text = (char *)outcomes->arena + outcomes->arena_len;
    if (!outcomes->config.transport_ops->has_dedup) {
        return (struct dray_slice){NULL, 0};
    }
    struct dray_slice source = dri_intake_source(outcomes->intake, flight, buffer);
    size_t origin = dri_source_origin(source).len;
    size_t rest = source.len - origin;
    size_t len = 0;
    text[len++] = letter;
    text[len++] = ':';
    len += put(text + len, source.at, origin < ORIGIN_BYTES_MAX ? origin : ORIGIN_BYTES_MAX);
    text[len++] = ':';
    if (rest > 0 && rest <= DECIMAL_BYTES) {
        len += put(text + len, source.at + origin + 1, rest - 1);
    }
    if (flight->state == DRI_FLIGHT_PARKING && flight->entry != 0) {
        len += dri_decimal_after(text + len, ID_BYTES - len, "", ':', flight->offset);
    }
    if (flight->is_id_taken) {
        len += dri_decimal_after(text + len, ID_BYTES - len, "", ':', flight->source_ms);
    }
    return commit(outcomes, len);
}

/* From when on a record under our id can be ours; 0: what stands under it is ours for sure. */
static uint64_t id_from_ms(const struct dri_flight *flight)
{
    return flight->is_id_taken ? 0 : flight->source_ms;
}

/* The fields v and id of an encoded result, which come first behind the head of the map. */
static struct dray_slice result_mark(struct dray_slice value, const struct dri_result *result)
{
    const size_t before = 1 + 3 + 3; /* head, "v" 1, "id" */
    bool is_short = !result->is_id_binary && result->id.len < 32;
    return dray_slice_of(value.at + 1, before - 1 + (is_short ? 1 : 2) + result->id.len);
}

static struct dray_slice command_of(const struct dri_flight *flight)
{
    return flight->envelope.command.at != NULL ? flight->envelope.command : flight->route_name;
}

static struct dray_slice key_of(const struct dri_flight *flight)
{
    return flight->envelope.key.at != NULL ? flight->envelope.key : flight->key;
}

/* Each form that follows a refusal for size must be smaller than the one before, down to one that
 * every broker takes, or a single message with a huge key or huge headers would be tried for ever:
 * results carry no key above KEY_BYTES_MAX, the pointer form neither such a key nor headers above
 * HEADERS_MAX. */
static struct dray_slice short_or_none(struct dray_slice bytes, size_t most)
{
    return bytes.len <= most ? bytes : (struct dray_slice){NULL, 0};
}

/* --- where a result goes
 * -------------------------------------------------------------------------- */

/* '*' stands for one token, a last '>' for one or more. */
static bool matches(const char *pattern, struct dray_slice text)
{
    const char *p = pattern;
    const char *t = (const char *)text.at;
    const char *end = t + text.len;
    for (;;) {
        size_t p_len = strcspn(p, ".");
        const char *dot = memchr(t, '.', (size_t)(end - t));
        size_t t_len = (size_t)((dot != NULL ? dot : end) - t);
        if (p_len == 1 && *p == '>') {
            return t_len > 0;
        }
        bool is_any = p_len == 1 && *p == '*' && t_len > 0;
        if (!is_any && (p_len != t_len || memcmp(p, t, p_len) != 0)) {
            return false;
        }
        p += p_len;
        if (*p == '\0' || dot == NULL) {
            return *p == '\0' && dot == NULL;
        }
        p++;
        t = dot + 1;
    }
}

struct target {
    struct dray_slice stored;       /* the topic whose acknowledgement settles */
    struct dray_slice courtesy;     /* absent: none */
    struct dray_slice reply_failed; /* absent: none */
};

static struct target target_of(const struct dri_outcomes *outcomes, const struct dri_flight *flight,
                               enum dri_outcome outcome)
{
    const struct dri_engine_config *config = &outcomes->config;
    struct target target = {.stored = outcomes->results_topic};
    struct dray_slice wanted = flight->envelope.reply_to;
    if (wanted.at == NULL || wanted.len == 0) {
        return target;
    }
    if (outcome == DRI_OUTCOME_FALLBACK_RESULT) {
        target.reply_failed = dray_slice_text(TARGET_REFUSED);
        return target;
    }
    for (size_t i = 0; i < config->reply_patterns_count; i++) {
        if (matches(config->reply_patterns[i], wanted)) {
            bool is_inbox = wanted.len > strlen(INBOX_PREFIX) &&
                            memcmp(wanted.at, INBOX_PREFIX, strlen(INBOX_PREFIX)) == 0;
            *(is_inbox ? &target.courtesy : &target.stored) = wanted;
            return target;
        }
    }
    target.reply_failed = dray_slice_text(NOT_ALLOWED);
    return target;
}

/* --- results
 * -------------------------------------------------------------------------------------- */

/* What a person reads: the handler's message, or what is wrong with the bytes and where. */
static struct dray_slice message_of(const struct dri_flight *flight, char buffer[MESSAGE_BYTES])
{
    if (flight->error_message.at != NULL && flight->error_message.len > 0) {
        return flight->error_message;
    }
    if (flight->invalid != DRAY_KIND_NONE) {
        const struct dri_wire_error *error = &flight->wire_error;
        const char *field =
            error->field != NULL && error->field[0] != '\0' ? error->field : "message";
        int len = snprintf(buffer, MESSAGE_BYTES, "%s %s (at byte %" PRIu32 ")", field, error->text,
                           error->offset);
        size_t kept = (size_t)len < MESSAGE_BYTES ? (size_t)len : MESSAGE_BYTES - 1;
        return dray_slice_of(buffer, kept);
    }
    if (flight->kind == DRAY_KIND_EXPIRED) {
        return dray_slice_text("its deadline had passed before it could run");
    }
    if (flight->kind == DRAY_KIND_HELD) {
        return dray_slice_text("its route is paused");
    }
    return (struct dray_slice){NULL, 0};
}

struct result_texts {
    char message[MESSAGE_BYTES];
    char source[DRI_SOURCE_BYTES];
};

/* An earlier command of its id has ended so. One that came again finds itself: then it is none. */
static void describe_answer(const struct dri_outcomes *outcomes, const struct dri_flight *flight,
                            struct result_texts *texts, struct dri_result *result)
{
    struct dray_slice own = dri_intake_source(outcomes->intake, flight, texts->source);
    result->is_duplicate = !dray_slice_equal(result->source, own);
    result->id = flight->envelope.id;
    result->trace = flight->envelope.trace;
    result->ns = result->source = (struct dray_slice){NULL, 0};
    if (flight->is_result_limited) {
        result->is_ok = false;
        result->kind = DRAY_KIND_LIMIT;
        result->code = (struct dray_slice){NULL, 0};
        result->message = dray_slice_text(RESULT_TOO_LONG);
        result->is_dead_letter = false;
    }
}

static struct dri_result result_of(const struct dri_outcomes *outcomes, struct dri_now now,
                                   const struct dri_flight *flight, enum dri_outcome outcome,
                                   struct result_texts *texts)
{
    struct dri_result answer;
    bool is_limit = outcome == DRI_OUTCOME_LIMIT_RESULT || flight->is_result_too_large ||
                    flight->is_result_limited;
    struct dri_result result = {
        .id = flight->envelope.id,
        .is_id_binary = flight->envelope.is_id_binary,
        .command = command_of(flight),
        .version = flight->version,
        .is_ok = flight->kind == DRAY_KIND_NONE && !is_limit,
        .result = flight->result,
        .kind = is_limit ? DRAY_KIND_LIMIT : flight->kind,
        .code = flight->error_code,
        .is_dead_letter = flight->kind != DRAY_KIND_NONE,
        .attempt = flight->attempt > 0 ? flight->attempt : 1,
        .worker = outcomes->worker,
        .ts_ms = flight->has_window ? dri_window_ended_ms(flight, now) : now.wall_ms,
        .us = (flight->ended_ns - flight->started_ns) / 1000u,
        .trace = flight->envelope.trace,
    };
    if (flight->is_fallback) {
        result.is_fallback = result.is_ok;
        result.result = flight->card->value;
        result.version = flight->card->version;
        result.us = 0;
    }
    result.message =
        is_limit ? dray_slice_text(RESULT_TOO_LONG) : message_of(flight, texts->message);
    if (flight->is_answered && dri_window_answer(outcomes->window, flight, &answer)) {
        describe_answer(outcomes, flight, texts, &answer);
        return answer;
    }
    if (outcome == DRI_OUTCOME_WINDOW) {
        result.ns = flight->envelope.namespace_;
        result.source = dri_intake_source(outcomes->intake, flight, texts->source);
        result.trace = (struct dray_slice){NULL, 0};
    }
    return result;
}

/* Absent: this batch is full, or there is no memory. */
static struct dray_slice encode_result(struct dri_outcomes *outcomes,
                                       const struct dri_result *result)
{
    size_t bytes = dri_result_encoded_max(result);
    void *buffer = reserve(outcomes, bytes + ID_BYTES);
    size_t len = 0;
    if (buffer == NULL) {
        return (struct dray_slice){NULL, 0};
    }
    enum dray_status status = dri_result_encode(result, buffer, bytes, &len);
    DRI_ASSERT(status == DRAY_OK); /* encoded_max is an upper bound */
    return commit(outcomes, len);
}

struct dray_slice dri_outcomes_window_record(struct dri_outcomes *outcomes, struct dri_now now,
                                             struct dri_flight *flight)
{
    struct result_texts texts;
    struct dri_result result = result_of(outcomes, now, flight, DRI_OUTCOME_WINDOW, &texts);
    dri_outcomes_begin(outcomes);
    return encode_result(outcomes, &result);
}

static bool add_window(struct dri_outcomes *outcomes, struct dri_now now, struct dri_flight *flight)
{
    struct result_texts texts;
    struct dri_result result = result_of(outcomes, now, flight, DRI_OUTCOME_WINDOW, &texts);
    struct dray_slice value = encode_result(outcomes, &result);
    if (value.at == NULL) {
        return false;
    }
    outcomes->batch[outcomes->batch_count++] = (struct dri_publish){
        .token = dri_flight_token(flight),
        .topic = dray_slice_text(outcomes->config.window_topic),
        .partition = dri_window_partition(flight),
        .key = flight->envelope.id,
        .value = value,
        .dedup_id = make_id(outcomes, 'w', flight),
        .dedup_from_ms = id_from_ms(flight),
        .dedup_mark = result_mark(value, &result),
    };
    return true;
}

static bool add_result(struct dri_outcomes *outcomes, struct dri_now now, struct dri_flight *flight,
                       enum dri_outcome outcome)
{
    struct target target = target_of(outcomes, flight, outcome);
    struct result_texts texts;
    struct dri_result result = result_of(outcomes, now, flight, outcome, &texts);
    result.reply_failed = target.reply_failed;
    struct dray_slice value = encode_result(outcomes, &result);
    if (value.at == NULL) {
        return false;
    }
    if (target.courtesy.at != NULL) {
        outcomes->batch[outcomes->batch_count++] = (struct dri_publish){
            .topic = target.courtesy, .partition = -1, .value = value, .is_courtesy = true};
    }
    outcomes->batch[outcomes->batch_count++] = (struct dri_publish){
        .token = dri_flight_token(flight),
        .topic = target.stored,
        .partition = -1,
        .key = short_or_none(key_of(flight), KEY_BYTES_MAX),
        .value = value,
        .dedup_id = make_id(outcomes, 'r', flight),
        .dedup_from_ms = id_from_ms(flight),
        .dedup_mark = result_mark(value, &result),
    };
    return true;
}

/* --- dead letters
 * --------------------------------------------------------------------------------- */

struct letter_texts {
    char source[DRI_SOURCE_BYTES];
    char message[MESSAGE_BYTES];
    char id[129];
    char fingerprint[17];
    char sha256[65];
    char revision[24];
};

static void describe(const struct dri_outcomes *outcomes, struct dri_now now,
                     struct dri_flight *flight, enum dri_outcome outcome,
                     struct letter_texts *texts, struct dri_letter *ret_letter)
{
    const struct dri_envelope *envelope = &flight->envelope;
    if (flight->last_failed_ms == 0) {
        flight->last_failed_ms = now.wall_ms;
    }
    if (flight->first_failed_ms == 0) {
        flight->first_failed_ms = flight->last_failed_ms;
    }
    struct dray_slice source = dri_intake_source(outcomes->intake, flight, texts->source);
    *ret_letter = (struct dri_letter){
        .reason = flight->kind,
        .source = source,
        .worker = outcomes->worker,
        .attempts = flight->attempt,
        .first_failed_ms = flight->first_failed_ms,
        .last_failed_ms = flight->last_failed_ms,
        .message = message_of(flight, texts->message),
        .command = command_of(flight),
        .namespace_ = envelope->namespace_,
        .version = flight->version,
        .handler = flight->handler,
        .trace = envelope->trace,
        .backtrace = flight->backtrace,
    };
    if (envelope->id.at != NULL) {
        dri_id_format(envelope->id, envelope->is_id_binary, texts->id);
        ret_letter->id = dray_slice_text(texts->id);
    }
    if (flight->revision != 0) {
        snprintf(texts->revision, sizeof(texts->revision), "%" PRIu64, flight->revision);
        ret_letter->revision = dray_slice_text(texts->revision);
    }
    if (flight->sequence == DRI_SEQUENCE_FIRST) {
        ret_letter->sequence = source;
    } else if (flight->sequence == DRI_SEQUENCE_MEMBER) {
        ret_letter->sequence = dri_parking_unit(outcomes->parking, flight->unit_place);
    }
    dri_letter_fingerprint(flight->kind, command_of(flight), flight->handler, flight->error_code,
                           ret_letter->message, texts->fingerprint);
    ret_letter->fingerprint = dray_slice_text(texts->fingerprint);
    if (outcome == DRI_OUTCOME_LETTER_POINTER) {
        dri_sha256_hex(flight->value, texts->sha256);
        ret_letter->is_pointer = true;
        ret_letter->pointer_bytes = flight->value.len;
        ret_letter->pointer_sha256 = dray_slice_text(texts->sha256);
    }
}

static bool add_letter(struct dri_outcomes *outcomes, struct dri_now now, struct dri_flight *flight,
                       enum dri_outcome outcome)
{
    struct letter_texts texts;
    struct dri_letter letter;
    bool is_pointer = outcome == DRI_OUTCOME_LETTER_POINTER;
    struct dray_slice original =
        is_pointer ? short_or_none(flight->headers, HEADERS_MAX) : flight->headers;
    describe(outcomes, now, flight, outcome, &texts, &letter);
    size_t bytes = dri_letter_headers_max(&letter, original);
    void *buffer = reserve(outcomes, bytes + ID_BYTES);
    if (buffer == NULL) {
        return false;
    }
    size_t len = 0;
    enum dray_status status = dri_letter_headers(&letter, original, buffer, bytes, &len);
    DRI_ASSERT(status == DRAY_OK); /* headers_max is an upper bound */
    struct dray_slice headers = commit(outcomes, len);
    outcomes->pointers += is_pointer ? 1 : 0;
    outcomes->batch[outcomes->batch_count++] = (struct dri_publish){
        .token = dri_flight_token(flight),
        .topic = dray_slice_text(outcomes->config.dead_letters_topic),
        .partition = -1,
        .key = is_pointer ? short_or_none(flight->key, KEY_BYTES_MAX) : flight->key,
        .value = is_pointer ? dray_slice_of("", 0) : flight->value,
        .headers = headers,
        .dedup_id = make_id(outcomes, 'd', flight),
        .dedup_from_ms = id_from_ms(flight),
        .dedup_mark = is_pointer ? (struct dray_slice){NULL, 0} : flight->value,
    };
    return true;
}

/* --- delay logs
 * --------------------------------------------------------------------------------- */

/* The longest level that brings it back before it is due, or too late: then it is to be found out
 * soon. A repetition may choose another level than the first try; both copies are this command. */
static uint32_t level_of(const struct dri_flight *flight, struct dri_now now)
{
    uint64_t until_ms = flight->not_before_ms;
    if (flight->deadline_ms != 0 && flight->deadline_ms < until_ms) {
        until_ms = flight->deadline_ms;
    }
    return dri_delay_level_for(until_ms > now.wall_ms ? until_ms - now.wall_ms : 0);
}

static bool add_delay(struct dri_outcomes *outcomes, struct dri_now now, struct dri_flight *flight)
{
    char source[DRI_SOURCE_BYTES];
    DRI_ASSERT(outcomes->config.delay_topics != NULL);
    struct dray_slice from = dri_intake_source(outcomes->intake, flight, source);
    size_t bytes = dri_delay_headers_max(flight->headers, from);
    void *buffer = reserve(outcomes, bytes + ID_BYTES);
    if (buffer == NULL) {
        return false;
    }
    size_t len = 0;
    enum dray_status status =
        dri_delay_headers(flight->headers, from, flight->not_before_ms, buffer, bytes, &len);
    DRI_ASSERT(status == DRAY_OK); /* headers_max is an upper bound */
    struct dray_slice headers = commit(outcomes, len);
    outcomes->batch[outcomes->batch_count++] = (struct dri_publish){
        .token = dri_flight_token(flight),
        .topic = dray_slice_text(outcomes->config.delay_topics[level_of(flight, now)]),
        .partition = -1,
        .key = flight->key,
        .value = flight->value,
        .headers = headers,
        .dedup_id = make_id(outcomes, 't', flight),
        .dedup_from_ms = id_from_ms(flight),
        .dedup_mark = flight->value,
    };
    return true;
}

/* --- park records
 * --------------------------------------------------------------------------------- */

static char park_letter(enum dri_park_kind kind)
{
    return kind == DRI_PARK_HELD ? 'h' : kind == DRI_PARK_STOPPED ? 's' : 'k';
}

static bool add_park(struct dri_outcomes *outcomes, struct dri_flight *flight)
{
    char buffer[DRI_SOURCE_BYTES];
    bool is_held = flight->park_kind == DRI_PARK_HELD;
    struct dray_slice original = is_held ? (struct dray_slice){NULL, 0} : flight->headers;
    struct dri_park park = {
        .kind = flight->park_kind,
        .source = dri_intake_source(outcomes->intake, flight, buffer),
        .attempts = flight->attempt,
        .due_ms = flight->park_due_ms,
        .first_failed_ms = flight->first_failed_ms,
        .has_order = flight->has_park_order,
        .order = flight->park_order,
    };
    park.unit = is_held ? park.source : flight->park_unit;
    size_t bytes = dri_park_headers_max(&park, original);
    void *memory = reserve(outcomes, bytes + ID_BYTES);
    if (memory == NULL) {
        return false;
    }
    size_t len = 0;
    enum dray_status status = dri_park_headers(&park, original, memory, bytes, &len);
    DRI_ASSERT(status == DRAY_OK); /* headers_max is an upper bound */
    struct dray_slice headers = commit(outcomes, len);
    outcomes->batch[outcomes->batch_count++] = (struct dri_publish){
        .token = dri_flight_token(flight),
        .topic = dray_slice_text(outcomes->config.park_topic),
        .partition = dri_intake_partition(outcomes->intake, flight->slot),
        .key = is_held ? dri_intake_order_bytes(outcomes->intake, flight) : flight->key,
        .value = is_held ? dray_slice_of("", 0) : flight->value,
        .headers = headers,
        .dedup_id = make_id(outcomes, park_letter(flight->park_kind), flight),
        .dedup_from_ms = id_from_ms(flight),
        .dedup_mark = is_held ? (struct dray_slice){NULL, 0} : flight->value,
    };
    return true;
}

bool dri_outcomes_add(struct dri_outcomes *outcomes, struct dri_now now, struct dri_flight *flight,
                      enum dri_outcome outcome)
{
    if (outcomes->batch_count + 2 > BATCH_MAX) {
        return false;
    }
    bool is_letter = outcome == DRI_OUTCOME_LETTER || outcome == DRI_OUTCOME_LETTER_POINTER;
    bool was_added = outcome == DRI_OUTCOME_PARK     ? add_park(outcomes, flight)
                     : is_letter                     ? add_letter(outcomes, now, flight, outcome)
                     : outcome == DRI_OUTCOME_DELAY  ? add_delay(outcomes, now, flight)
                     : outcome == DRI_OUTCOME_WINDOW ? add_window(outcomes, now, flight)
                                                     : add_result(outcomes, now, flight, outcome);
    if (was_added) {
        outcomes->job_ends[outcomes->jobs_count++] = outcomes->batch_count;
    }
    return was_added;
}
