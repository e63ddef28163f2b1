/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_REPLICA_H
#define DRI_CLI_REGISTRY_REPLICA_H

#include <stdint.h>

#include <dray/slice.h>

#include "wire/control.h"

/* registry_replica.h - what a replica's last record says of one route.
 *
 * A replica lists some of its routes and counts all: what is not listed may be "no", or "not said".
 * Pure; any thread.
 */

enum dri_ability {
    DRI_ABILITY_NONE,    /* it cannot run the route, or is not so far */
    DRI_ABILITY_UNKNOWN, /* more routes fail there than it lists, and this may be one of them */
    DRI_ABILITY_RUNS
};

/** Whether it can run the route that this revision put. *ret_reason: why not; borrows. */
enum dri_ability dri_replica_ability(const struct dri_status_record *record, struct dray_slice key,
                                     uint64_t revision, struct dray_slice *ret_reason);

/** How many routes cannot run there, listed or not. */
uint64_t dri_replica_failed_all(const struct dri_status_record *record);

enum dri_called {
    DRI_CALLED_NEVER,
    DRI_CALLED_UNKNOWN, /* more are idle there than it lists, or it does not say which are */
    DRI_CALLED_YES
};

/** Whether it has called the route's handler since this revision. Requires: it can run the route.
 */
enum dri_called dri_replica_called(const struct dri_status_record *record, struct dray_slice key,
                                   uint64_t revision);

#endif
