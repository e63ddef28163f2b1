/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "verdict.h"

#include <stddef.h>

#include "assert.h"

#define ATTEMPTS_DEFAULT 4u

static const uint32_t backoff_default_ms[] = {1000, 3000, 9000};

/* splitmix64: a fixed function, so that the same command waits the same time in every run of a
 * test. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Up to 10 % more, so that what failed together does not come back together. */
static uint32_t with_jitter(uint32_t delay_ms, uint32_t attempt, uint64_t seed)
{
    uint64_t share = mix(seed ^ mix(attempt)) % 1025u; /* of 10240 */
    uint64_t longer = delay_ms + (uint64_t)delay_ms * share / 10240u;
    return longer > UINT32_MAX ? UINT32_MAX : (uint32_t)longer;
}

struct dri_verdict dri_verdict_make(const struct dri_policy *policy, enum dray_error_kind kind,
                                    uint32_t attempt, uint32_t retry_after_ms, uint64_t seed)
{
    struct dri_verdict verdict = {.is_retry = false, .delay_ms = 0};
    DRI_ASSERT(attempt >= 1);
    uint32_t attempts = policy->attempts != 0 ? policy->attempts : ATTEMPTS_DEFAULT;
    if (!dray_kind_is_retried(kind) || attempt >= attempts) {
        return verdict;
    }
    const uint32_t *backoff_ms = backoff_default_ms;
    uint32_t count = DRI_ARRAY_LEN(backoff_default_ms);
    if (policy->backoff_count != 0) {
        DRI_ASSERT(policy->backoff_count <= DRI_BACKOFF_MAX);
        backoff_ms = policy->backoff_ms;
        count = policy->backoff_count;
    }
    uint32_t delay_ms = backoff_ms[attempt - 1 < count ? attempt - 1 : count - 1];
    verdict.is_retry = true;
    verdict.delay_ms = with_jitter(retry_after_ms != 0 ? retry_after_ms : delay_ms, attempt, seed);
    return verdict;
}
