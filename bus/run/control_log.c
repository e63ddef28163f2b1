/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* control_log.c - the rule of the control topic.
 *
 * No clock is looked at: replicas read the log at different times, and would come to different
 * registries. The time at which a record was stored is in the log, and the same for all of them.
 */
#include "control_log.h"

#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "scanner.h"
#include "schedule.h"

#define ELEMENTS_MAX  1000000u
#define WRAPPER_BYTES 256u

static const struct dri_wire_limits record_limits = {
    .message_bytes = UINT32_MAX, .depth = 16, .elements = ELEMENTS_MAX};

void dri_control_log_init(struct dri_control_log *log, struct dri_registry *registry,
                          const char *cluster, const char *topic)
{
    *log = (struct dri_control_log){.registry = registry, .cluster = cluster, .topic = topic};
}

void dri_control_log_begin(struct dri_control_log *log, uint64_t first_offset)
{
    log->first_offset = first_offset;
    log->end = 0;
    log->seen = (struct dri_signers_seen){.seqs = {0}};
}

static bool is_meant(struct dray_slice said, const char *ours)
{
    return said.at == NULL || said.len == 0 || dray_slice_equal_text(said, ours);
}

static enum dri_control_verdict refuse(struct dri_control_outcome *outcome, const char *what,
                                       const char *why)
{
    snprintf(outcome->text, sizeof(outcome->text), "%s%s%s", what, what[0] == '\0' ? "" : " ", why);
    return DRI_CONTROL_REFUSED;
}

/* It was written before anything was signed. It is taken as it is: most of it says "default", what
 * a configuration has without a `cluster`, and who then gives the cluster a name keeps his routes.
 * Nobody can write there any more, so nobody can copy a record to it. */
static bool is_history(const struct dri_control_log *log, const struct dri_control_record *record,
                       uint64_t revision)
{
    return log->signers != NULL && log->signers->count > 0 &&
           revision < log->signers->signed_from && dray_slice_is_absent(record->sig);
}

/* Whether it is for us and from somebody who may say it. */
static bool judge(struct dri_control_log *log, const struct dri_message *message,
                  const struct dri_control_record *record, struct dri_control_outcome *outcome)
{
    bool has_signers = log->signers != NULL && log->signers->count > 0;
    const struct dri_signed what = {.record = record,
                                    .change = &outcome->change,
                                    .revision = outcome->revision,
                                    .stamp_ms = message->timestamp_ms,
                                    .is_broker_stamp = message->is_broker_stamp};
    if (!is_meant(outcome->change.cluster, log->cluster) &&
        !is_history(log, record, outcome->revision)) {
        (void)refuse(outcome, "cluster", "is another one's");
    } else if (!is_meant(outcome->change.topic, log->topic)) {
        (void)refuse(outcome, "topic", "is another one: the record was copied here");
    } else if (!has_signers) {
        return true;
    } else {
        outcome->is_unsigned = dray_slice_is_absent(record->sig);
        outcome->distrust = dri_signers_judge(log->signers, &log->seen, &what, outcome->text,
                                              sizeof(outcome->text));
        return outcome->distrust == DRI_TRUSTED;
    }
    outcome->distrust = has_signers ? DRI_DISTRUST_ELSEWHERE : DRI_TRUSTED;
    return false;
}

/* Everything that can be said without the registry. APPLIED: as far as can be seen. */
static enum dri_control_verdict read_record(struct dri_control_log *log,
                                            const struct dri_message *message,
                                            struct dri_control_outcome *outcome)
{
    struct dri_control_record record;
    struct dray_slice value = message->value;
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    if (value.at == NULL) {
        return refuse(outcome, "", "the record is empty");
    }
    if (dri_control_decode(value, &record_limits, &record, &error) != DRAY_OK ||
        dri_change_decode(record.change, &record_limits, &outcome->change, &error) != DRAY_OK) {
        return refuse(outcome, error.field, error.text);
    }
    outcome->has_change = true;
    if (!judge(log, message, &record, outcome)) {
        return DRI_CONTROL_REFUSED;
    }
    if (dri_change_is_cancel(&outcome->change)) {
        if (dri_cancel_decode(record.change, &record_limits, &outcome->change, &error) != DRAY_OK) {
            return refuse(outcome, error.field, error.text);
        }
        return DRI_CONTROL_CANCELS;
    }
    if (dri_change_is_schedule(&outcome->change)) {
        if (dri_schedule_change_decode(record.change, &record_limits, &outcome->change, &error) !=
            DRAY_OK) {
            return refuse(outcome, error.field, error.text);
        }
        return DRI_CONTROL_SCHEDULES;
    }
    if (!dray_slice_equal_text(outcome->change.kind, "routes")) {
        snprintf(outcome->text, sizeof(outcome->text), "this build knows no changes of this kind");
        return DRI_CONTROL_IGNORED;
    }
    return DRI_CONTROL_APPLIED;
}

/* The ids are kept until their time, or for a year from when they were cancelled. */
static void cancel(const struct dri_control_log *log, const struct dri_control_outcome *outcome)
{
    struct dri_cancel_item item;
    size_t at = 0;
    uint64_t forgotten = 0;
    while (log->cancelled != NULL && dri_cancel_next(&outcome->change, &at, &item)) {
        uint64_t until_ms =
            item.until_ms != 0 ? item.until_ms : outcome->change.ts_ms + DRI_CANCEL_KEPT_MS;
        forgotten += dri_cancelled_add(log->cancelled, item.id, item.is_id_binary, until_ms);
    }
    if (forgotten > 0) {
        DRI_LOG(DRI_LOG_WARN, "CTL-CANCELLED",
                "more commands are cancelled than are remembered; the oldest were forgotten",
                DRI_UINT("forgotten", forgotten));
    }
}

/* Also when the registry has seen it: no snapshot has schedules. */
static enum dray_status schedule(struct dri_control_log *log, struct dri_control_outcome *outcome)
{
    struct dri_schedules_fault fault = {.text = ""};
    if (log->schedules == NULL) {
        return DRAY_OK;
    }
    /* The clock plays no part in what is accepted: it spares ids that are long over. */
    enum dray_status status = dri_schedules_apply(log->schedules, outcome->revision,
                                                  &outcome->change, dri_clock_wall_ms(), &fault);
    if (status == DRAY_ECONFLICT) {
        outcome->verdict = DRI_CONTROL_CONFLICT;
        outcome->conflict = fault.conflict;
        return DRAY_OK;
    }
    if (status == DRAY_EINVALID || status == DRAY_ELIMIT) {
        outcome->verdict = refuse(outcome, "", fault.text);
        return DRAY_OK;
    }
    return status;
}

static enum dray_status apply(struct dri_control_log *log, struct dri_control_outcome *outcome)
{
    enum dray_status status =
        dri_registry_apply(log->registry, outcome->revision, &outcome->change, &outcome->conflict,
                           outcome->text, sizeof(outcome->text));
    switch (status) {
    case DRAY_OK:
        outcome->verdict = DRI_CONTROL_APPLIED;
        return DRAY_OK;
    case DRAY_ECONFLICT:
        outcome->verdict = DRI_CONTROL_CONFLICT;
        return DRAY_OK;
    case DRAY_EINVALID:
    case DRAY_ELIMIT:
        outcome->verdict = DRI_CONTROL_REFUSED;
        return DRAY_OK;
    default:
        return status;
    }
}

/* What the record does, but for what is remembered of its signer. */
static enum dray_status take(struct dri_control_log *log, const struct dri_message *message,
                             struct dri_control_outcome *outcome)
{
    uint64_t offset = message->offset;
    *outcome = (struct dri_control_outcome){.revision = offset + 1 - log->first_offset};
    if (log->end == 0 && offset != log->first_offset) {
        snprintf(outcome->text, sizeof(outcome->text),
                 "the log begins at %llu instead of %llu: its first records are gone",
                 (unsigned long long)offset, (unsigned long long)log->first_offset);
        outcome->verdict = DRI_CONTROL_REFUSED;
        return DRAY_EFATAL;
    }
    outcome->verdict = read_record(log, message, outcome);
    if (outcome->verdict == DRI_CONTROL_CANCELS) {
        cancel(log, outcome); /* also when it was seen: no snapshot has them */
    } else if (outcome->verdict == DRI_CONTROL_SCHEDULES) {
        enum dray_status status = schedule(log, outcome);
        if (status != DRAY_OK) {
            return status;
        }
    }
    if (outcome->revision <= dri_registry_revision(log->registry)) {
        outcome->verdict = DRI_CONTROL_SEEN;
    } else if (outcome->verdict == DRI_CONTROL_APPLIED) {
        enum dray_status status = apply(log, outcome);
        if (status != DRAY_OK) {
            return status;
        }
    } else {
        dri_registry_see(log->registry, outcome->revision);
    }
    log->end = outcome->revision;
    log->counts[outcome->verdict]++;
    log->untrusted += outcome->verdict == DRI_CONTROL_REFUSED && outcome->distrust != DRI_TRUSTED;
    return DRAY_OK;
}

enum dray_status dri_control_log_take(struct dri_control_log *log,
                                      const struct dri_message *message,
                                      struct dri_control_outcome *ret_outcome)
{
    const struct dri_signers_seen before = log->seen;
    enum dray_status status = take(log, message, ret_outcome);
    if (status != DRAY_OK) {
        log->seen = before;
    }
    return status;
}

enum dray_status dri_control_log_check_end(const struct dri_control_log *log, uint64_t next_offset,
                                           char *ret_text, size_t text_bytes)
{
    uint64_t seen = dri_registry_revision(log->registry);
    if (log->end == 0 && next_offset != UINT64_MAX && next_offset > log->first_offset) {
        snprintf(ret_text, text_bytes,
                 "the log is empty, but its next record is %llu: all are gone",
                 (unsigned long long)next_offset);
        return DRAY_EFATAL;
    }
    if (log->end < seen) {
        snprintf(ret_text, text_bytes,
                 "the log ends at revision %llu, but revision %llu was there before: it was made "
                 "anew or has lost its end",
                 (unsigned long long)log->end, (unsigned long long)seen);
        return DRAY_EFATAL;
    }
    return DRAY_OK;
}

enum dri_distrust dri_control_log_foresee(const struct dri_control_log *log,
                                          struct dray_slice bytes, char *ret_text,
                                          size_t text_bytes)
{
    struct dri_signers_seen seen = log->seen;
    struct dri_control_record record;
    struct dri_change change;
    struct dri_wire_error error;
    if (log->signers == NULL ||
        dri_control_decode(bytes, &record_limits, &record, &error) != DRAY_OK ||
        dri_change_decode(record.change, &record_limits, &change, &error) != DRAY_OK) {
        return DRI_TRUSTED;
    }
    const struct dri_signed what = {.record = &record,
                                    .change = &change,
                                    .revision = log->end + 1,
                                    .stamp_ms = (int64_t)change.ts_ms,
                                    .is_broker_stamp = true};
    return dri_signers_judge(log->signers, &seen, &what, ret_text, text_bytes);
}

enum dray_status dri_control_log_wrap(struct dray_slice change, const struct dri_signing_key *key,
                                      uint8_t **ret_bytes, size_t *ret_len)
{
    uint8_t signature[DRI_SIGNATURE_BYTES];
    struct dri_control_record record = {.change = change};
    if (key != NULL) {
        dri_signing_key_sign(key, change, signature);
        record.kid = dray_slice_text(key->kid);
        record.sig = dray_slice_of(signature, sizeof(signature));
    }
    uint8_t *bytes = dri_zalloc(change.len + WRAPPER_BYTES);
    if (bytes == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status =
        dri_control_encode(&record, bytes, change.len + WRAPPER_BYTES, ret_len);
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

void dri_control_outcome_tell(const struct dri_control_outcome *outcome, bool is_news)
{
    enum dri_log_level level = is_news ? DRI_LOG_INFO : DRI_LOG_DEBUG;
    if (outcome->is_unsigned && outcome->distrust == DRI_TRUSTED) {
        DRI_LOG(is_news ? DRI_LOG_WARN : DRI_LOG_DEBUG, "CTL-UNSIGNED",
                "a record without a signature is taken, as the configuration allows",
                DRI_UINT("revision", outcome->revision),
                DRI_SLICE("author", outcome->change.author));
    }
    struct dray_slice author = outcome->change.author;
    switch (outcome->verdict) {
    case DRI_CONTROL_APPLIED:
        DRI_LOG(level, "CTL-APPLIED", "routes changed", DRI_UINT("revision", outcome->revision),
                DRI_UINT("items", outcome->change.items_count), DRI_SLICE("author", author),
                DRI_SLICE("note", outcome->change.note));
        break;
    case DRI_CONTROL_CONFLICT:
        DRI_LOG(DRI_LOG_WARN, "CTL-CONFLICT", "a change is skipped: somebody else was faster",
                DRI_UINT("revision", outcome->revision), DRI_TEXT("key", outcome->conflict.key),
                DRI_UINT("base", outcome->conflict.base),
                DRI_UINT("present", outcome->conflict.present), DRI_SLICE("author", author));
        break;
    case DRI_CONTROL_REFUSED:
        DRI_LOG(DRI_LOG_WARN, outcome->distrust == DRI_TRUSTED ? "CTL-REFUSED" : "CTL-UNTRUSTED",
                outcome->distrust == DRI_TRUSTED
                    ? "a control record is refused"
                    : "a control record is refused: it is not to be trusted",
                DRI_UINT("revision", outcome->revision), DRI_TEXT("reason", outcome->text),
                DRI_SLICE("author", author));
        break;
    case DRI_CONTROL_CANCELS:
        DRI_LOG(level, "CTL-CANCELS", "scheduled commands were cancelled",
                DRI_UINT("revision", outcome->revision),
                DRI_UINT("items", outcome->change.items_count), DRI_SLICE("author", author),
                DRI_SLICE("note", outcome->change.note));
        break;
    case DRI_CONTROL_SCHEDULES:
        DRI_LOG(level, "CTL-SCHEDULES", "schedules changed",
                DRI_UINT("revision", outcome->revision),
                DRI_UINT("items", outcome->change.items_count), DRI_SLICE("author", author),
                DRI_SLICE("note", outcome->change.note));
        break;
    case DRI_CONTROL_IGNORED:
        DRI_LOG(DRI_LOG_DEBUG, "CTL-IGNORED", outcome->text,
                DRI_UINT("revision", outcome->revision), DRI_SLICE("kind", outcome->change.kind));
        break;
    case DRI_CONTROL_SEEN:
    case DRI_CONTROL_VERDICTS:
    default:
        break;
    }
}
