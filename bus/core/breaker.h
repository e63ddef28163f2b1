/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_BREAKER_H
#define DRI_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* breaker.h - what the ends of runs say: inside of a core, for machine.h and groups.c. */

struct dri_core;
struct dri_flight;
struct dri_group;

#define DRI_SYSTEMIC_PARTS 10u

/** How commands ended lately, in tenths of a window; and whether that stops dead-lettering. */
struct dri_systemic {
    bool is_on;             /* but see dri_core_is_systemic */
    uint32_t stopped;       /* groups with is_systemic */
    uint64_t step;          /* in which it began last */
    uint64_t until_ns;      /* it lasts at least */
    uint64_t number;        /* of the latest part, from the beginning of time */
    uint64_t part_until_ns; /* then the next begins */
    struct dri_systemic_part {
        uint32_t ended, failed;
    } parts[DRI_SYSTEMIC_PARTS];
};

/* breaker.c */
/** What a run says about the route. Returns whether the flight waits on instead of being judged. */
bool dri_breaker_judge(struct dri_core *core, struct dri_group *group, struct dri_flight *flight);
/** It is handed to a lane: perhaps as a probe. */
void dri_breaker_begin(struct dri_core *core, struct dri_group *group, struct dri_flight *flight);
/** It is no probe any more, whatever came of it. */
void dri_breaker_back(struct dri_core *core, struct dri_group *group, struct dri_flight *flight);
/** Whether a group depends on another one; 0: none. */
bool dri_breaker_depends(const struct dri_group *group, uint32_t number);
/** A breaker has changed: look again at its group, and at whoever depends on it. */
void dri_breaker_refresh(struct dri_core *core, uint32_t number);
/** Not because anything went well. */
void dri_breaker_reset(struct dri_core *core, struct dri_group *group);

/* systemic.c */
/** Whether anybody counts. */
bool dri_systemic_counts(const struct dri_core *core);
/** A run has ended. Returns whether it failed while dead-lettering is paused, and may wait. */
bool dri_systemic_sees(struct dri_core *core, const struct dri_flight *flight, bool is_unwell);
/** In this very step. */
bool dri_systemic_has_just_begun(const struct dri_core *core);
/** The breaker of the group opens for it. */
void dri_systemic_stops(struct dri_core *core, struct dri_group *group);
/** The breaker of a group closes; is_well: because its probe ended well. */
void dri_systemic_lets_go(struct dri_core *core, struct dri_group *group, bool is_well);

#endif
