/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "core/verdict.h"
#include "support/test.h"

static const struct dri_policy defaults;

static struct dri_verdict verdict_of(const struct dri_policy *policy, enum dray_error_kind kind,
                                     uint32_t attempt, uint64_t seed)
{
    const struct dri_failure failure = {.kind = kind, .attempt = attempt, .seed = seed};
    return dri_verdict_make(policy, &failure);
}

static void a_kind_that_is_not_retried_is_final_at_once(void **state)
{
    (void)state;
    struct dri_verdict verdict = verdict_of(&defaults, DRAY_KIND_REJECTED, 1, 1);
    assert_false(verdict.is_retry);
    assert_int_equal(0, verdict.delay_ms);
}

static void every_kind_is_retried_as_its_table_says(void **state)
{
    (void)state;
    for (int kind = DRAY_KIND_NONE + 1; kind < DRAY_KIND_COUNT; kind++) {
        enum dray_error_kind k = (enum dray_error_kind)kind;
        assert_int_equal(dray_kind_is_retried(k), verdict_of(&defaults, k, 1, 1).is_retry);
    }
}

static void the_default_is_four_attempts_after_1_3_and_9_seconds(void **state)
{
    static const uint32_t want_ms[] = {1000, 3000, 9000};
    (void)state;
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        struct dri_verdict verdict = verdict_of(&defaults, DRAY_KIND_NETWORK, attempt, 42);
        assert_true(verdict.is_retry);
        assert_in_range(verdict.delay_ms, want_ms[attempt - 1], want_ms[attempt - 1] * 11 / 10);
    }
    assert_false(verdict_of(&defaults, DRAY_KIND_NETWORK, 4, 42).is_retry);
}

static void the_last_backoff_of_a_policy_repeats(void **state)
{
    struct dri_policy policy = {.attempts = 6, .backoff_ms = {100, 200}, .backoff_count = 2};
    (void)state;
    assert_in_range(verdict_of(&policy, DRAY_KIND_TIMEOUT, 2, 3).delay_ms, 200, 220);
    assert_in_range(verdict_of(&policy, DRAY_KIND_TIMEOUT, 5, 3).delay_ms, 200, 220);
    assert_false(verdict_of(&policy, DRAY_KIND_TIMEOUT, 6, 3).is_retry);
}

static void one_attempt_means_no_retry(void **state)
{
    struct dri_policy policy = {.attempts = 1};
    const struct dri_failure failure = {
        .kind = DRAY_KIND_NETWORK, .attempt = 1, .retry_after_ms = 5000};
    (void)state;
    assert_false(dri_verdict_make(&policy, &failure).is_retry);
}

static void the_handlers_wish_replaces_the_backoff(void **state)
{
    const struct dri_failure failure = {
        .kind = DRAY_KIND_UNAVAILABLE, .attempt = 1, .retry_after_ms = 50, .seed = 9};
    (void)state;
    assert_in_range(dri_verdict_make(&defaults, &failure).delay_ms, 50, 55);
}

static void jitter_is_the_same_for_the_same_seed_and_differs_between_seeds(void **state)
{
    bool has_differed = false;
    (void)state;
    uint32_t first = verdict_of(&defaults, DRAY_KIND_NETWORK, 3, 0).delay_ms;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint32_t a = verdict_of(&defaults, DRAY_KIND_NETWORK, 3, seed).delay_ms;
        uint32_t b = verdict_of(&defaults, DRAY_KIND_NETWORK, 3, seed).delay_ms;
        assert_int_equal(a, b);
        assert_in_range(a, 9000, 9900);
        has_differed = has_differed || a != first;
    }
    assert_true(has_differed);
}

static void the_longest_wish_does_not_wrap(void **state)
{
    struct dri_failure failure = {
        .kind = DRAY_KIND_NETWORK, .attempt = 1, .retry_after_ms = UINT32_MAX};
    (void)state;
    for (failure.seed = 0; failure.seed < 100; failure.seed++) {
        assert_int_equal(UINT32_MAX, dri_verdict_make(&defaults, &failure).delay_ms);
    }
}

/* --- what a policy says of a kind --- */

static void a_kind_has_attempts_of_its_own(void **state)
{
    struct dri_policy policy = {
        .attempts = 3,
        .kind_attempts = {
            [DRAY_KIND_TIMEOUT] = 6, [DRAY_KIND_REJECTED] = 2, [DRAY_KIND_INTERNAL] = 1}};
    (void)state;
    assert_true(verdict_of(&policy, DRAY_KIND_TIMEOUT, 5, 0).is_retry);
    assert_false(verdict_of(&policy, DRAY_KIND_TIMEOUT, 6, 0).is_retry);
    assert_true(verdict_of(&policy, DRAY_KIND_REJECTED, 1, 0).is_retry); /* by default never */
    assert_false(verdict_of(&policy, DRAY_KIND_REJECTED, 2, 0).is_retry);
    assert_false(verdict_of(&policy, DRAY_KIND_INTERNAL, 1, 0).is_retry); /* by default always */
    assert_true(verdict_of(&policy, DRAY_KIND_NETWORK, 2, 0).is_retry);
    assert_false(verdict_of(&policy, DRAY_KIND_NETWORK, 3, 0).is_retry);
    assert_false(verdict_of(&policy, DRAY_KIND_NOT_FOUND, 1, 0).is_retry);
}

/* --- waits that grow --- */

static void a_wait_grows_by_its_factor_up_to_its_bound(void **state)
{
    static const uint32_t want_ms[] = {200, 600, 1800, 5000, 5000};
    struct dri_policy policy = {
        .attempts = UINT32_MAX,
        .backoff = {.base_ms = 200, .factor = 3, .max_ms = 5000, .jitter = 0}};
    (void)state;
    for (uint32_t attempt = 1; attempt <= 5; attempt++) {
        assert_int_equal(want_ms[attempt - 1],
                         verdict_of(&policy, DRAY_KIND_NETWORK, attempt, attempt).delay_ms);
    }
    assert_int_equal(5000, verdict_of(&policy, DRAY_KIND_NETWORK, UINT32_MAX - 1, 0).delay_ms);
    policy.backoff.max_ms = 0;
    assert_int_equal(UINT32_MAX, verdict_of(&policy, DRAY_KIND_NETWORK, 4000000, 0).delay_ms);
    policy.backoff.factor = 1;
    assert_int_equal(200, verdict_of(&policy, DRAY_KIND_NETWORK, 4000000, 0).delay_ms);
}

static void a_kind_has_waits_of_its_own(void **state)
{
    struct dri_policy policy = {
        .attempts = 9,
        .backoff_ms = {7000},
        .backoff_count = 1,
        .kind_backoff = {[DRAY_KIND_NETWORK] = {.base_ms = 50, .factor = 2, .max_ms = 120}}};
    (void)state;
    assert_int_equal(50, verdict_of(&policy, DRAY_KIND_NETWORK, 1, 5).delay_ms);
    assert_int_equal(100, verdict_of(&policy, DRAY_KIND_NETWORK, 2, 5).delay_ms);
    assert_int_equal(120, verdict_of(&policy, DRAY_KIND_NETWORK, 3, 5).delay_ms);
    assert_false(verdict_of(&policy, DRAY_KIND_NETWORK, 9, 5).is_retry); /* attempts of all */
    assert_in_range(verdict_of(&policy, DRAY_KIND_TIMEOUT, 1, 5).delay_ms, 7000, 7700);
    policy.backoff = (struct dri_backoff){.base_ms = 300, .factor = 1};
    assert_int_equal(50, verdict_of(&policy, DRAY_KIND_NETWORK, 1, 5).delay_ms);
    assert_int_equal(300, verdict_of(&policy, DRAY_KIND_TIMEOUT, 1, 5).delay_ms);
}

static void jitter_is_as_wide_as_the_policy_says(void **state)
{
    struct dri_policy policy = {.backoff = {.base_ms = 1000, .factor = 1, .jitter = 100}};
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        uint32_t delay_ms = verdict_of(&policy, DRAY_KIND_NETWORK, 1, seed).delay_ms;
        least = delay_ms < least ? delay_ms : least;
        most = delay_ms > most ? delay_ms : most;
    }
    assert_in_range(least, 1000, 1020);
    assert_in_range(most, 1980, 2000);
}

/* --- the budget --- */

static void what_would_begin_after_the_budget_is_final(void **state)
{
    struct dri_policy policy = {
        .attempts = 100,
        .budget_ms = 10000,
        .backoff = {.base_ms = 1000, .factor = 1, .max_ms = 0, .jitter = 0}};
    struct dri_failure failure = {.kind = DRAY_KIND_NETWORK, .attempt = 5};
    (void)state;
    failure.since_first_ms = 9000;
    assert_true(dri_verdict_make(&policy, &failure).is_retry);
    failure.since_first_ms = 9001;
    assert_false(dri_verdict_make(&policy, &failure).is_retry);
    failure.since_first_ms = UINT64_MAX;
    assert_false(dri_verdict_make(&policy, &failure).is_retry);
    failure.since_first_ms = 0;
    failure.retry_after_ms = 10001; /* the handler's wish, too */
    assert_false(dri_verdict_make(&policy, &failure).is_retry);
    policy.budget_ms = 0;
    failure.since_first_ms = UINT64_MAX;
    assert_true(dri_verdict_make(&policy, &failure).is_retry);
}

static void a_final_verdict_says_what_the_policy_does_then(void **state)
{
    const struct dri_policy policy = {.attempts = 2, .exhausted = DRI_EXHAUSTED_STOP_KEY};
    struct dri_failure failure = {.kind = DRAY_KIND_NETWORK, .attempt = 1};
    (void)state;
    assert_true(dri_verdict_make(&policy, &failure).is_retry);
    failure.attempt = 2;
    assert_int_equal(dri_verdict_make(&policy, &failure).exhausted, DRI_EXHAUSTED_STOP_KEY);
    failure = (struct dri_failure){.kind = DRAY_KIND_REJECTED, .attempt = 1};
    assert_int_equal(dri_verdict_make(&policy, &failure).exhausted, DRI_EXHAUSTED_STOP_KEY);
    assert_int_equal(dri_verdict_make(&defaults, &failure).exhausted, DRI_EXHAUSTED_DEAD_LETTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_that_is_not_retried_is_final_at_once),
        cmocka_unit_test(every_kind_is_retried_as_its_table_says),
        cmocka_unit_test(the_default_is_four_attempts_after_1_3_and_9_seconds),
        cmocka_unit_test(the_last_backoff_of_a_policy_repeats),
        cmocka_unit_test(one_attempt_means_no_retry),
        cmocka_unit_test(the_handlers_wish_replaces_the_backoff),
        cmocka_unit_test(jitter_is_the_same_for_the_same_seed_and_differs_between_seeds),
        cmocka_unit_test(the_longest_wish_does_not_wrap),
        cmocka_unit_test(a_kind_has_attempts_of_its_own),
        cmocka_unit_test(a_wait_grows_by_its_factor_up_to_its_bound),
        cmocka_unit_test(a_kind_has_waits_of_its_own),
        cmocka_unit_test(jitter_is_as_wide_as_the_policy_says),
        cmocka_unit_test(what_would_begin_after_the_budget_is_final),
        cmocka_unit_test(a_final_verdict_says_what_the_policy_does_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
