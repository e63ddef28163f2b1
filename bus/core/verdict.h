/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_VERDICT_H
#define DRI_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/kind.h>

#include "control.h"

/* verdict.h - what to do about a failed run: a pure function. */

struct dri_verdict {
    bool is_retry;                /* else it is final */
    uint32_t delay_ms;            /* before the next run */
    enum dri_exhausted exhausted; /* when it is final: the policy's */
};

/** A run that failed. */
struct dri_failure {
    enum dray_error_kind kind;
    uint32_t attempt;        /* from 1 */
    uint64_t since_first_ms; /* the first failure of this command */
    uint32_t retry_after_ms; /* the handler's wish; 0: none */
    uint64_t seed;           /* makes the jitter: the same for the same command and attempt */
};

/** Default policy: 4 attempts after 1 s, 3 s, 9 s, with 0 to 10 % added; the last wait repeats.
 *  The policy's attempts for a kind count in place of its attempts and of the kind's default, its
 *  backoff for a kind in place of its others. What would begin after the policy's budget is final.
 */
struct dri_verdict dri_verdict_make(const struct dri_policy *policy,
                                    const struct dri_failure *failure);

#endif
