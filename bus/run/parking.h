/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PARKING_H
#define DRI_PARKING_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/status.h>

#include "core.h"
#include "engine.h"
#include "grouping.h"
#include "intake.h"
#include "transport.h"

/* parking.h - the engine's side of what waits in park logs: records to what the core knows of them,
 * their bytes to the spool, and back.
 *
 * Threads: the engine's.
 */

struct dri_parking;

/** intake and grouping are borrowed. Errors: ENOMEM, EIO (the spool's folder). */
DRAY_MUST_CHECK enum dray_status dri_parking_create(const struct dri_engine_config *config,
                                                    struct dri_intake *intake,
                                                    struct dri_grouping *grouping,
                                                    struct dri_parking **ret_parking);
/** NULL is a no-op. */
void dri_parking_destroy(struct dri_parking *parking);

/** A record of a park log was read. False: there is no memory; the cause is in the log. Between
 * begin and end of the grouping. */
bool dri_parking_read(struct dri_parking *parking, struct dri_now now,
                      const struct dri_transport_event *event, struct dri_core_parked *ret_parked);

/** Fill the flight of an UNPARK. False: its bytes cannot be had. */
bool dri_parking_fill(struct dri_parking *parking, struct dri_now now, uint64_t place,
                      struct dri_flight *flight);
void dri_parking_forget(struct dri_parking *parking, uint64_t place);

/** Whether bytes are in memory because the disk has no room for them: bring no more. */
bool dri_parking_is_late(const struct dri_parking *parking);
/** Try to write them. False: there is still no room. */
bool dri_parking_catch_up(struct dri_parking *parking);
/** Bytes that are kept, and that they take on the disk. */
void dri_parking_stats(const struct dri_parking *parking, uint64_t *ret_kept, uint64_t *ret_file);

/** The unit that the HELD record at a place is of; absent: it says nothing. Borrows until the next
 * call. */
struct dray_slice dri_parking_unit(struct dri_parking *parking, uint64_t place);

#endif
