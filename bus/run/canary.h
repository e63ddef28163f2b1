/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CANARY_H
#define DRI_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "canary_trial.h"
#include "control.h"
#include "queue.h"
#include "registry.h"

/* canary.h - the trials of this replica: lanes tell how calls ended, the control thread gets the
 * verdicts.
 *
 * A trial is of two routes as they are; any change of one of them begins another trial.
 */

#define DRI_CANARY_TRIALS_MAX 8u

struct dri_canary;

struct dri_canary_pair {
    uint64_t canary, stable; /* dri_canary_id */
    struct dri_trial_rules rules;
};

/** Owns: returns owned. Errors: ENOMEM, EIO. */
DRAY_MUST_CHECK enum dray_status dri_canary_create(struct dri_canary **ret_canary);
/** Requires: nobody uses it any more. NULL is a no-op. */
void dri_canary_destroy(struct dri_canary *canary);

/** Names a route as it is. A revision alone may have put several. Threads: any. */
static inline uint64_t dri_canary_id(const struct dri_route *route)
{
    return route->revision ^ (uint64_t)route->number << 40;
}

/** A call of a route has ended. Without a trial it costs one load, and for a route that is not on
 *  trial a few, never the lock. canary NULL: nobody wants to know. Threads: any. */
void dri_canary_note(struct dri_canary *canary, uint64_t id, bool is_error, uint64_t took_ns);

/** These trials there are from now on; one that there was goes on. Threads: the control thread. */
void dri_canary_set(struct dri_canary *canary, const struct dri_canary_pair *pairs, size_t count);
/** A trial that came to a verdict that was not taken yet. Threads: the control thread. */
bool dri_canary_take(struct dri_canary *canary, struct dri_canary_pair *ret_pair,
                     struct dri_trial *ret_trial);
/** Notified when there is a verdict. Threads: the control thread sleeps on it. */
struct dri_wake *dri_canary_wake(struct dri_canary *canary);
bool dri_canary_has_verdict(const struct dri_canary *canary);

#endif
