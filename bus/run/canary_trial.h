/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CANARY_TRIAL_H
#define DRI_CANARY_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* canary_trial.h - the sequential test of a new version against the old one; pure.
 *
 * Threads: one at a time.
 */

#define DRI_TRIAL_ALPHA 0.001 /* a version that is as good is rolled back, ever */
#define DRI_TRIAL_BETA  0.01  /* one that is worse by more than the tolerance is promoted, ever */
#define DRI_TRIAL_LIFTS 3u
#define DRI_TRIAL_RING  128u

enum dri_trial_verdict {
    DRI_TRIAL_OPEN,
    DRI_TRIAL_WORSE,
    DRI_TRIAL_FINE,
};

struct dri_trial_rules {
    uint32_t promote_after;     /* calls of the new version, at least */
    uint32_t tolerance_percent; /* 1 to 50: so many points worse is not fine any more */
};

/** How often something happens in two streams. */
struct dri_trial_arm {
    uint64_t calls, hits;
};
struct dri_trial_pair {
    struct dri_trial_arm stable, canary;             /* of closed blocks */
    struct dri_trial_arm block_stable, block_canary; /* since */
    double log_worse[DRI_TRIAL_LIFTS];               /* evidence that the canary's is higher */
    double log_fine;                                 /* that it is not higher by the tolerance */
};

struct dri_trial {
    struct dri_trial_rules rules;
    struct dri_trial_pair errors, slow;
    uint64_t ring[DRI_TRIAL_RING]; /* times of the old version, the last ones */
    uint64_t ring_count;
    uint64_t slow_ns; /* a call is slow that takes longer; 0: not known yet */
    enum dri_trial_verdict verdict;
};

void dri_trial_init(struct dri_trial *trial, const struct dri_trial_rules *rules);
/** A call has ended. What comes after the verdict changes nothing. */
enum dri_trial_verdict dri_trial_add(struct dri_trial *trial, bool is_canary, bool is_error,
                                     uint64_t took_ns);
/** The numbers, for people. */
void dri_trial_format(const struct dri_trial *trial, char *ret_text, size_t text_bytes);

#endif
