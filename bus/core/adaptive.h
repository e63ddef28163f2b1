/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ADAPTIVE_H
#define DRI_ADAPTIVE_H

#include <stdbool.h>
#include <stdint.h>

/* adaptive.h - how many runs of a route something behind it stands, found out from how long they
 * take.
 *
 * Threads: one owner. Pure arithmetic on its own state; adaptive.c has the rule.
 */

/** Zeroed, then dri_adaptive_reset. */
struct dri_adaptive {
    uint32_t min, max;
    uint64_t limit_q;  /* in 1/256 */
    uint64_t base_ns;  /* of a run when it does not wait for others of its route; 0: not known */
    uint64_t sum_ns;   /* of the runs of this window */
    uint32_t count;    /* of these */
    uint32_t peak;     /* that ran at once in this window */
    uint32_t windows;  /* since base was looked at */
    uint64_t resume_q; /* the limit after the look at base; 0: none is on */
    uint32_t old_runs; /* that began before the limit shrank, and say nothing more */
};

/** Begin at min, knowing nothing. Requires: 1 <= min <= max. */
void dri_adaptive_reset(struct dri_adaptive *adaptive, uint32_t min, uint32_t max);

/** How many may run now; from min to max. */
uint32_t dri_adaptive_limit(const struct dri_adaptive *adaptive);

/** A run came back, as one of `running`: it took run_ns. Whether the limit shrank. */
bool dri_adaptive_took(struct dri_adaptive *adaptive, uint32_t running, uint64_t run_ns);

/** A run came back, as one of `running`, and says that there is too much. Whether the limit
 * shrank. */
bool dri_adaptive_overload(struct dri_adaptive *adaptive, uint32_t running);

#endif
