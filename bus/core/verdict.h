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
    bool is_retry;     /* else it is final */
    uint32_t delay_ms; /* before the next run */
};

/** attempt: the run that just failed, from 1. retry_after_ms: the handler's wish, 0: none.
 *  seed: makes the jitter (0 to 10 % added), the same for the same command and attempt.
 *  Default policy: 4 attempts after 1 s, 3 s, 9 s. The last backoff repeats. */
struct dri_verdict dri_verdict_make(const struct dri_policy *policy, enum dray_error_kind kind,
                                    uint32_t attempt, uint32_t retry_after_ms, uint64_t seed);

#endif
