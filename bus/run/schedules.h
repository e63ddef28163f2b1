/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SCHEDULES_H
#define DRI_SCHEDULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "cancelled.h"
#include "control.h"
#include "cron.h"
#include "registry.h"
#include "schedule.h"

/* schedules.h - the recurring schedules that the control topic holds.
 *
 * All of them, of every group: whether a change is accepted must not depend on who reads it.
 * Threads: any; one applies (control), others hold and read.
 */

/** How far ahead of its tick a command may be sent, whatever worker.fire_ahead_ms says. */
#define DRI_FIRE_AHEAD_MAX_MS 300000u

struct dri_schedules;

/** Why a change was not accepted. */
struct dri_schedules_fault {
    struct dri_registry_conflict conflict; /* ECONFLICT */
    char text[128];                        /* EINVALID, ELIMIT */
};

/** One schedule in one revision. Nobody writes to it; held by reference. */
struct dri_schedule {
    char key[DRI_SCHEDULE_KEY_BYTES_MAX + 1]; /* "group/name" */
    uint64_t revision;
    uint64_t since_ms; /* wall, of its author: ticks later than that are its */
    size_t bytes_len;
    const uint8_t *bytes;          /* of the map, unknown keys included */
    struct dri_schedule_view view; /* borrows from bytes */
    struct dri_cron cron;
};

/** cancelled: what was sent ahead for a schedule of this group that is changed or removed is put
 *  there; NULL: nobody sends. group: borrowed. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_schedules_create(const char *group,
                                                      struct dri_cancelled *cancelled,
                                                      struct dri_schedules **ret_schedules);
/** Requires: nothing is held any more. NULL is a no-op. */
void dri_schedules_destroy(struct dri_schedules *schedules);

/** Apply a decoded change of kind schedule: all items or none. A revision that was seen is passed
 *  over (OK), because the log is read from its start again and again. now_ms: what would be
 *  cancelled and is long over is left out.
 *  Errors: ECONFLICT, EINVALID, ELIMIT with *ret_fault; ENOMEM: the revision does not count as
 *          seen. */
DRAY_MUST_CHECK enum dray_status dri_schedules_apply(struct dri_schedules *schedules,
                                                     uint64_t revision,
                                                     const struct dri_change *change,
                                                     uint64_t now_ms,
                                                     struct dri_schedules_fault *ret_fault);

/** Grows with each accepted change. */
uint64_t dri_schedules_version(const struct dri_schedules *schedules);

/** Those of one group (NULL: of all), by key, each held. Owns: *ret_list returned owned (its
 *  elements too: dri_schedules_let_go). Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_schedules_hold(struct dri_schedules *schedules,
                                                    const char *group,
                                                    struct dri_schedule ***ret_list,
                                                    size_t *ret_count);
/** NULL is a no-op. */
void dri_schedules_let_go(struct dri_schedule **list, size_t count);

#endif
