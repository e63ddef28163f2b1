/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_INTAKE_H
#define DRI_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "engine.h"
#include "flight.h"
#include "transport.h"

/* intake.h - makes a flight of a message: copies its bytes, decodes the envelope, finds the key.
 *
 * Also remembers what the assigned slots are called. Threads: the engine's.
 */

struct dri_intake;

/** config's strings are borrowed for life. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_intake_create(const struct dri_engine_config *config,
                                                   struct dri_intake **ret_intake);
/** Frees what is still out, too, and lets the executor free its part. NULL is a no-op. */
void dri_intake_destroy(struct dri_intake *intake);

/** Replace the list of namespaces that are served; NULL: all. Borrowed. */
void dri_intake_set_namespaces(struct dri_intake *intake, const char *namespaces);

/** Remember a slot's origin. Requires: event is ASSIGNED. */
void dri_intake_assigned(struct dri_intake *intake, const struct dri_transport_event *event);

/** "topic/partition" or "stream" of a slot, "" when it was never assigned. Borrows until the next
 *  assignment of the slot. */
const char *dri_intake_origin(const struct dri_intake *intake, uint32_t slot);

/** What a slot is for. Requires: it was assigned. */
enum dri_source_role dri_intake_role(const struct dri_intake *intake, uint32_t slot);

/** Fill a flight that the core handed out. False: no memory for the bytes; the flight is untouched.
 *  What is wrong with the message itself stands in flight->invalid and flight->wire_error. */
bool dri_intake_fill(struct dri_intake *intake, struct dri_now now,
                     const struct dri_transport_event *event, struct dri_flight *flight);

/** Another order than the worker's: what the flight is ordered by from now on. key_concurrency:
 * with DRI_ORDER_NONE, how many of one key run at once; 0: any number. Requires: filled, not with
 * the core yet. */
void dri_intake_order(const struct dri_intake *intake, struct dri_flight *flight,
                      enum dri_order order, uint32_t key_concurrency);

/** Whether a scheduled command was cancelled; then flight->invalid and its error say so. What was
 * replayed is meant to run. Requires: filled, not cancelled yet. */
bool dri_intake_cancel(const struct dri_intake *intake, struct dri_now now,
                       struct dri_flight *flight);

/** Called for each flight that is out, in the order of their coming. */
typedef void dri_intake_visit_fn(void *arg, struct dri_flight *flight);
void dri_intake_each(struct dri_intake *intake, dri_intake_visit_fn *visit, void *arg);

/** Free the bytes of a flight. */
void dri_intake_release(struct dri_intake *intake, struct dri_flight *flight);

#endif
