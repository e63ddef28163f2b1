/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_OUTCOME_H
#define DRI_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "engine.h"
#include "flight.h"
#include "intake.h"
#include "transport.h"
#include "window.h"

/* outcome.h - encodes results, dead letters and delayed copies of flights into batches of
 * publishes.
 *
 * One batch at a time: begin, add flights until it says no, take the batch, publish it. The same
 * flight and outcome always give the same record but for its time. Threads: the engine's.
 */

struct dri_outcomes;
struct dri_parking;

DRAY_MUST_CHECK enum dray_status dri_outcomes_create(const struct dri_engine_config *config,
                                                     const struct dri_intake *intake,
                                                     struct dri_parking *parking,
                                                     const struct dri_window *window,
                                                     struct dri_outcomes **ret_outcomes);
/** NULL is a no-op. */
void dri_outcomes_destroy(struct dri_outcomes *outcomes);

/** Replace the patterns of reply_to. Borrowed. */
void dri_outcomes_set_patterns(struct dri_outcomes *outcomes, const char *const *patterns,
                               size_t count);

void dri_outcomes_begin(struct dri_outcomes *outcomes);
/** False: this batch is full; the first add after begin fits unless there is no memory. */
bool dri_outcomes_add(struct dri_outcomes *outcomes, struct dri_now now, struct dri_flight *flight,
                      enum dri_outcome outcome);
/** The window record of a flight, as its WINDOW outcome has it; absent: no memory. Ends the batch;
 * borrows until begin. */
struct dray_slice dri_outcomes_window_record(struct dri_outcomes *outcomes, struct dri_now now,
                                             struct dri_flight *flight);
/** The batch; borrows until begin. */
size_t dri_outcomes_batch(struct dri_outcomes *outcomes, struct dri_publish **ret_batch);
/** How many adds are whole when the first `taken` publishes of the batch were taken. */
size_t dri_outcomes_jobs_of(const struct dri_outcomes *outcomes, size_t taken);
/** Dead letters in pointer form so far. */
uint64_t dri_outcomes_pointers(const struct dri_outcomes *outcomes);

#endif
