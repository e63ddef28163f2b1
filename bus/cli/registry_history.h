/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_HISTORY_H
#define DRI_CLI_REGISTRY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "run/control_log.h"
#include "transport/transport.h"

/* registry_history.h - every record of the control topic as it was read, with what the rule said.
 *
 * The registry as it was at a revision is made by the same rule from the same records, so that it
 * is what every replica had then. Threads: one.
 */

struct dri_history_record {
    uint64_t revision;
    enum dri_control_verdict verdict;
    bool has_change;
    struct dri_change change; /* borrows bytes */
    struct dri_registry_conflict conflict;
    enum dri_distrust distrust;
    bool is_unsigned; /* and taken all the same */
    char *text;       /* owned; CONFLICT, REFUSED, IGNORED: why; NULL: nothing to say */
    uint8_t *bytes;   /* owned: of the record */
    size_t bytes_len;
};

/** A zeroed one is empty. */
struct dri_history {
    struct dri_history_record *records; /* owned; in the order of the log */
    size_t count, capacity;
};

/** Keep a record; outcome: of dri_control_log_take. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_history_add(struct dri_history *history,
                                                 struct dray_slice value,
                                                 const struct dri_control_outcome *outcome);
/** Of a zeroed one a no-op. */
void dri_history_fini(struct dri_history *history);

/** The registry at this revision. Owns: *ret_registry returned owned. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_history_registry(const struct dri_history *history,
                                                      uint64_t revision,
                                                      struct dri_registry **ret_registry);

/** Apply a record of routes that was accepted; any other is passed over. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_history_apply(const struct dri_history_record *record,
                                                   struct dri_registry *registry);

/** The route that this revision put under the key, absent when it put none. Borrows. */
struct dray_slice dri_history_route(const struct dri_history *history, struct dray_slice key,
                                    uint64_t revision);

/** "accepted", "conflict", "refused" or "ignored". */
const char *dri_history_verdict(const struct dri_history_record *record);

/** An author as people know him: without the number that tells his writers apart. */
struct dray_slice dri_history_author(struct dray_slice author);

#endif
