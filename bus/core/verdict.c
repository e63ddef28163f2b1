/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "verdict.h"

#include <stddef.h>

#include "assert.h"

#define ATTEMPTS_DEFAULT 4u
#define JITTER_DEFAULT   10u /* percent */

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

/* Up to so many percent more, so that what failed together does not come back together. */
static uint32_t with_jitter(uint32_t delay_ms, uint32_t percent, const struct dri_failure *failure)
{
    uint64_t most = (uint64_t)percent * 1024u / 10u;
    uint64_t share = mix(failure->seed ^ mix(failure->attempt)) % (most + 1u); /* of 10240 */
    uint64_t longer = delay_ms + (uint64_t)delay_ms * share / 10240u;
    return longer > UINT32_MAX ? UINT32_MAX : (uint32_t)longer;
}

static uint32_t attempts_of(const struct dri_policy *policy, enum dray_error_kind kind)
{
    if (policy->kind_attempts[kind] != 0) {
        return policy->kind_attempts[kind];
    }
    if (!dray_kind_is_retried(kind)) {
        return 1;
    }
    return policy->attempts != 0 ? policy->attempts : ATTEMPTS_DEFAULT;
}

/* base_ms * factor ^ (attempt - 1), as far as max_ms. */
static uint32_t growing(const struct dri_backoff *backoff, uint32_t attempt)
{
    uint64_t most = backoff->max_ms != 0 ? backoff->max_ms : UINT32_MAX;
    uint64_t delay_ms = backoff->base_ms;
    for (uint32_t i = 1; i < attempt && backoff->factor > 1 && delay_ms < most; i++) {
        delay_ms *= backoff->factor;
    }
    return (uint32_t)(delay_ms < most ? delay_ms : most);
}

static uint32_t listed(const struct dri_policy *policy, uint32_t attempt)
{
    const uint32_t *backoff_ms = backoff_default_ms;
    uint32_t count = DRI_ARRAY_LEN(backoff_default_ms);
    if (policy->backoff_count != 0) {
        DRI_ASSERT(policy->backoff_count <= DRI_BACKOFF_MAX);
        backoff_ms = policy->backoff_ms;
        count = policy->backoff_count;
    }
    return backoff_ms[attempt - 1 < count ? attempt - 1 : count - 1];
}

struct dri_verdict dri_verdict_make(const struct dri_policy *policy,
                                    const struct dri_failure *failure)
{
    struct dri_verdict final = {.is_retry = false, .exhausted = policy->exhausted};
    DRI_ASSERT(failure->attempt >= 1 && failure->kind < DRAY_KIND_COUNT);
    const struct dri_backoff *of_kind = &policy->kind_backoff[failure->kind];
    const struct dri_backoff *backoff = of_kind->base_ms != 0 ? of_kind : &policy->backoff;
    bool is_growing = backoff->base_ms != 0;
    if (failure->attempt >= attempts_of(policy, failure->kind)) {
        return final;
    }
    uint32_t delay_ms = failure->retry_after_ms;
    if (delay_ms == 0) {
        delay_ms =
            is_growing ? growing(backoff, failure->attempt) : listed(policy, failure->attempt);
    }
    delay_ms = with_jitter(delay_ms, is_growing ? backoff->jitter : JITTER_DEFAULT, failure);
    if (policy->budget_ms != 0 && (failure->since_first_ms > policy->budget_ms ||
                                   delay_ms > policy->budget_ms - failure->since_first_ms)) {
        return final;
    }
    return (struct dri_verdict){.is_retry = true, .delay_ms = delay_ms};
}
