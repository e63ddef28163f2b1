/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CONTROL_LOG_H
#define DRI_CONTROL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "cancelled.h"
#include "control.h"
#include "registry.h"
#include "schedules.h"
#include "signers.h"
#include "signing.h"
#include "transport.h"

/** How long a cancelled id is remembered whose record does not say: a year and a month. */
#define DRI_CANCEL_KEPT_MS (UINT64_C(395) * 86400000u)

/* control_log.h - the one rule by which every reader of the control topic comes to the same
 * registry: workers, and the tools that write to it.
 *
 * Records are taken in the order of the log, from its first one. A record's revision is its place:
 * 1 for the first, so Kafka offset + 1 or stream sequence. What cannot be read, is for another
 * cluster or topic, or breaks a rule is refused; a change whose bases do not match is a conflict;
 * both leave the registry as it was, on every replica alike: nothing here looks at a clock, at
 * files or at modules. Where there are signers, what they have not signed, and what was signed for
 * another place or time, is refused in the same way (signers.h); what was there before anything was
 * signed is taken whatever cluster it names.
 *
 * Threads: one, the registry's writer.
 */

enum dri_control_verdict {
    DRI_CONTROL_APPLIED,
    DRI_CONTROL_CONFLICT,
    DRI_CONTROL_REFUSED,
    DRI_CONTROL_SCHEDULES, /* likewise: schedules were put or removed */
    DRI_CONTROL_CANCELS,   /* it was no change of the registry: ids were cancelled */
    DRI_CONTROL_IGNORED,   /* of a kind that this build does not know */
    DRI_CONTROL_SEEN,      /* not above what the registry has seen: it was read before */
    DRI_CONTROL_VERDICTS
};

struct dri_control_outcome {
    enum dri_control_verdict verdict;
    uint64_t revision;
    bool has_change;
    struct dri_change change; /* borrows from the record */
    struct dri_registry_conflict conflict;
    enum dri_distrust distrust; /* REFUSED because of its signature */
    bool is_unsigned;           /* there are signers, and it was taken without a signature */
    char text[256];             /* CONFLICT, REFUSED, IGNORED: why */
};

struct dri_control_log {
    struct dri_registry *registry;     /* borrowed */
    const char *cluster;               /* borrowed */
    const char *topic;                 /* borrowed */
    struct dri_cancelled *cancelled;   /* borrowed; NULL: nobody wants to know */
    struct dri_schedules *schedules;   /* likewise */
    const struct dri_signers *signers; /* borrowed; NULL: signatures are not looked at */
    struct dri_signers_seen seen;
    uint64_t first_offset;
    uint64_t end; /* revision of the last record that was read since begin; 0: none */
    uint64_t counts[DRI_CONTROL_VERDICTS];
    uint64_t untrusted; /* of those that were refused: because of their signatures */
};

void dri_control_log_init(struct dri_control_log *log, struct dri_registry *registry,
                          const char *cluster, const char *topic);

/** The log is about to be read from its start, for the first time or again. first_offset: of
 *  dri_transport_info. */
void dri_control_log_begin(struct dri_control_log *log, uint64_t first_offset);

/** Take one record: offset, value and stamp of the message are looked at.
 *  Errors: EFATAL: the log does not begin at its first record, text says so; ENOMEM: nothing was
 *          applied and the record does not count as seen. *ret_outcome is filled in any case. */
DRAY_MUST_CHECK enum dray_status dri_control_log_take(struct dri_control_log *log,
                                                      const struct dri_message *message,
                                                      struct dri_control_outcome *ret_outcome);

/** Log what became of a record. is_news: it was not read in catching up. */
void dri_control_outcome_tell(const struct dri_control_outcome *outcome, bool is_news);

/** Where the log ends was reached. next_offset: what the broker says comes next; UINT64_MAX: not
 *  known. Errors: EFATAL: the log has lost records, ret_text says which. */
DRAY_MUST_CHECK enum dray_status dri_control_log_check_end(const struct dri_control_log *log,
                                                           uint64_t next_offset, char *ret_text,
                                                           size_t text_bytes);

/** What the log would make of the signature of this record, were it the next one and stored when it
 *  was issued. What is refused then is better not written: a log keeps it for ever, and with other
 *  signers it could count some day. Of what cannot be read nothing is said: TRUSTED. ret_text: why
 *  not. */
enum dri_distrust dri_control_log_foresee(const struct dri_control_log *log,
                                          struct dray_slice bytes, char *ret_text,
                                          size_t text_bytes);

/** A change as a control record. key NULL: unsigned. Owns: *ret_bytes returned owned (dri_free).
 *  Errors: ENOMEM, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_control_log_wrap(struct dray_slice change,
                                                      const struct dri_signing_key *key,
                                                      uint8_t **ret_bytes, size_t *ret_len);

#endif
