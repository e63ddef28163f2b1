/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_replica.c - one route in a replica's record.
 *
 * The failures that a replica lists are those of the latest changes. So a route that is not listed
 * fails only when the list is cut, and only when it is no younger than what is listed. A release
 * that did not count them cut its list at the same length.
 */
#include "registry_replica.h"

#include "run/status_beat.h"

uint64_t dri_replica_failed_all(const struct dri_status_record *record)
{
    return record->failed_all > record->failed_count ? record->failed_all : record->failed_count;
}

static bool lists_all_failures(const struct dri_status_record *record)
{
    return record->failed_all == 0 ? record->failed_count < DRI_BEAT_FAILED_MAX
                                   : record->failed_all <= record->failed_count;
}

enum dri_ability dri_replica_ability(const struct dri_status_record *record, struct dray_slice key,
                                     uint64_t revision, struct dray_slice *ret_reason)
{
    struct dri_status_failure failure;
    uint64_t oldest = UINT64_MAX;
    size_t at = 0;
    while (dri_status_next_failure(record, &at, &failure)) {
        if (failure.revision == revision && dray_slice_equal(failure.key, key)) {
            *ret_reason = failure.reason;
            return DRI_ABILITY_NONE;
        }
        oldest = failure.revision < oldest ? failure.revision : oldest;
    }
    if (record->revision < revision) {
        *ret_reason = dray_slice_text("is not so far");
        return DRI_ABILITY_NONE;
    }
    if (!lists_all_failures(record) && revision <= oldest) {
        *ret_reason = dray_slice_text("it is not known: more routes fail there than it lists");
        return DRI_ABILITY_UNKNOWN;
    }
    return DRI_ABILITY_RUNS;
}

enum dri_called dri_replica_called(const struct dri_status_record *record, struct dray_slice key,
                                   uint64_t revision)
{
    struct dri_status_idle idle;
    size_t at = 0;
    while (dri_status_next_idle(record, &at, &idle)) {
        if (idle.revision == revision && dray_slice_equal(idle.key, key)) {
            return DRI_CALLED_NEVER;
        }
    }
    return dray_slice_is_absent(record->idle) || record->idle_all > record->idle_count
               ? DRI_CALLED_UNKNOWN
               : DRI_CALLED_YES;
}
