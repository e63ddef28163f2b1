/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "core/verdict.h"
#include "support/test.h"

static const struct dri_policy defaults;

static void a_kind_that_is_not_retried_is_final_at_once(void **state)
{
    (void)state;
    struct dri_verdict verdict = dri_verdict_make(&defaults, DRAY_KIND_REJECTED, 1, 0, 1);
    assert_false(verdict.is_retry);
    assert_int_equal(0, verdict.delay_ms);
}

static void every_kind_is_retried_as_its_table_says(void **state)
{
    (void)state;
    for (int kind = DRAY_KIND_NONE + 1; kind < DRAY_KIND_COUNT; kind++) {
        enum dray_error_kind k = (enum dray_error_kind)kind;
        assert_int_equal(dray_kind_is_retried(k), dri_verdict_make(&defaults, k, 1, 0, 1).is_retry);
    }
}

static void the_default_is_four_attempts_after_1_3_and_9_seconds(void **state)
{
    static const uint32_t want_ms[] = {1000, 3000, 9000};
    (void)state;
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        struct dri_verdict verdict = dri_verdict_make(&defaults, DRAY_KIND_NETWORK, attempt, 0, 42);
        assert_true(verdict.is_retry);
        assert_in_range(verdict.delay_ms, want_ms[attempt - 1], want_ms[attempt - 1] * 11 / 10);
    }
    assert_false(dri_verdict_make(&defaults, DRAY_KIND_NETWORK, 4, 0, 42).is_retry);
}

static void the_last_backoff_of_a_policy_repeats(void **state)
{
    struct dri_policy policy = {.attempts = 6, .backoff_ms = {100, 200}, .backoff_count = 2};
    (void)state;
    assert_in_range(dri_verdict_make(&policy, DRAY_KIND_TIMEOUT, 2, 0, 3).delay_ms, 200, 220);
    assert_in_range(dri_verdict_make(&policy, DRAY_KIND_TIMEOUT, 5, 0, 3).delay_ms, 200, 220);
    assert_false(dri_verdict_make(&policy, DRAY_KIND_TIMEOUT, 6, 0, 3).is_retry);
}

static void one_attempt_means_no_retry(void **state)
{
    struct dri_policy policy = {.attempts = 1};
    (void)state;
    assert_false(dri_verdict_make(&policy, DRAY_KIND_NETWORK, 1, 5000, 3).is_retry);
}

static void the_handlers_wish_replaces_the_backoff(void **state)
{
    (void)state;
    assert_in_range(dri_verdict_make(&defaults, DRAY_KIND_UNAVAILABLE, 1, 50, 9).delay_ms, 50, 55);
}

static void jitter_is_the_same_for_the_same_seed_and_differs_between_seeds(void **state)
{
    bool has_differed = false;
    (void)state;
    uint32_t first = dri_verdict_make(&defaults, DRAY_KIND_NETWORK, 3, 0, 0).delay_ms;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint32_t a = dri_verdict_make(&defaults, DRAY_KIND_NETWORK, 3, 0, seed).delay_ms;
        uint32_t b = dri_verdict_make(&defaults, DRAY_KIND_NETWORK, 3, 0, seed).delay_ms;
        assert_int_equal(a, b);
        assert_in_range(a, 9000, 9900);
        has_differed = has_differed || a != first;
    }
    assert_true(has_differed);
}

static void the_longest_wish_does_not_wrap(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        assert_int_equal(
            UINT32_MAX,
            dri_verdict_make(&defaults, DRAY_KIND_NETWORK, 1, UINT32_MAX, seed).delay_ms);
    }
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
