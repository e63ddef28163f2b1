/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_GROUPING_H
#define DRI_GROUPING_H

#include "core.h"
#include "engine.h"
#include "intake.h"

/* grouping.h - which of the core's groups a flight belongs to: one a route that has limits, and a
 * few by name for all others.
 *
 * Threads: the engine's.
 */

struct dri_grouping;

/** core, intake and config's router are borrowed. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_grouping_create(const struct dri_engine_config *config,
                                                     struct dri_core *core,
                                                     struct dri_intake *intake,
                                                     struct dri_grouping **ret_grouping);
/** NULL is a no-op. */
void dri_grouping_destroy(struct dri_grouping *grouping);

/** Around a turn. Begin looks whether the routes have changed; then everything in flight is placed
 *  anew, and the core wants a step. Returns whether it does. */
bool dri_grouping_begin(struct dri_grouping *grouping);
void dri_grouping_end(struct dri_grouping *grouping);

/** Give a flight that was filled its group, and the order of its route. Between begin and end. */
void dri_grouping_place(struct dri_grouping *grouping, struct dri_flight *flight);

/** A flight is back from its lane, before the core is told: a failure of kind auth makes a group of
 *  its route. Between begin and end. */
void dri_grouping_done(struct dri_grouping *grouping, struct dri_flight *flight);
/** So many replicas share the rates that are shared, this one among them; 0: not known. */
void dri_grouping_set_replicas(struct dri_grouping *grouping, uint32_t replicas);

/** As dri_engine_each_limit. */
void dri_grouping_each_limit(const struct dri_grouping *grouping, dri_route_limit_fn *fn,
                             void *arg);

/** It is to be published: a fallback's result takes a share of its route's card. In the turn in
 * which the core said so. */
void dri_grouping_answer(struct dri_grouping *grouping, struct dri_flight *flight);
/** It is released. */
void dri_grouping_released(struct dri_grouping *grouping, struct dri_flight *flight);

#endif
