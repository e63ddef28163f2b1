/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_FIRING_H
#define DRI_FIRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "schedules.h"

/* firing.h - which tick of which schedule becomes a command next.
 *
 * No clock, no I/O: what was fired before is told (learn), the time is given. Threads: one.
 */

struct dri_firing;

/** A tick that is to be fired. Borrows the schedule until the next set or destroy. */
struct dri_shot {
    const struct dri_schedule *schedule;
    uint64_t tick_ms;
    bool is_late; /* it had been missed */
};

/** Counts since it was made. */
struct dri_firing_stats {
    uint64_t missed;  /* ticks that passed without a command and get none */
    uint64_t resumed; /* times that what was fired last lies too far ahead to be true */
};

/** ahead_ms: how long before its tick a command is due. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_firing_create(uint64_t ahead_ms,
                                                   struct dri_firing **ret_firing);
/** NULL is a no-op. */
void dri_firing_destroy(struct dri_firing *firing);

/** Forget what was fired, and every shot that was given out: it is about to be told anew. */
void dri_firing_reset(struct dri_firing *firing);
/** What was fired last of a schedule, here or elsewhere. An older word changes nothing, however
 * late it comes, unless what is known lies in a future that cannot be. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_firing_learn(struct dri_firing *firing, struct dray_slice key,
                                                  uint64_t revision, uint64_t tick_ms,
                                                  uint64_t now_ms);
/** The schedules that there are now, by key. Consumes list (of dri_schedules_hold).
 *  Errors: ENOMEM, then there are none. */
DRAY_MUST_CHECK enum dray_status dri_firing_set(struct dri_firing *firing,
                                                struct dri_schedule **list, size_t count);

/** The next tick that is due; false: none now. A shot is given out once, until reset. */
bool dri_firing_next(struct dri_firing *firing, uint64_t now_ms, struct dri_shot *ret_shot);
/** When dri_firing_next has something, wall; UINT64_MAX: never. */
uint64_t dri_firing_due_ms(const struct dri_firing *firing);
/** The broker refuses this schedule's commands: none more of this revision. */
void dri_firing_refuse(struct dri_firing *firing, const struct dri_schedule *schedule);

size_t dri_firing_count(const struct dri_firing *firing);
void dri_firing_stats(const struct dri_firing *firing, struct dri_firing_stats *ret_stats);

/** The command of a shot. Owns: *ret_bytes returned owned. Errors: ENOMEM, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_shot_encode(const struct dri_shot *shot, uint64_t now_ms,
                                                 uint8_t **ret_bytes, size_t *ret_len);
/** Its header `dray-schedule`, "group/name@revision#tick", in the flat form. Errors: ELIMIT (256
 *  bytes suffice). */
DRAY_MUST_CHECK enum dray_status dri_shot_headers(const struct dri_shot *shot, void *buffer,
                                                  size_t buffer_bytes, size_t *ret_len);

#endif
