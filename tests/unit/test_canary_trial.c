/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "run/canary_trial.h"
#include "support/test.h"

/* Monte Carlo against what docs/guide/canary.md states; seeds are fixed, so nothing is by chance.
 */

#define MS UINT64_C(1000000)

static uint64_t seed;

static double uniform(void)
{
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

struct version {
    double errors; /* rate */
    double times;  /* of what an old one takes */
};

struct run {
    double share;
    struct version stable, canary;
    uint64_t calls_max; /* of the new one */
};

/* How many calls of the new version until the verdict. */
static uint64_t run_until(const struct run *run, enum dri_trial_verdict *ret_verdict)
{
    const struct dri_trial_rules rules = {.promote_after = 300, .tolerance_percent = 2};
    struct dri_trial trial;
    uint64_t calls = 0;
    dri_trial_init(&trial, &rules);
    while (trial.verdict == DRI_TRIAL_OPEN && calls < run->calls_max) {
        bool is_canary = uniform() < run->share;
        const struct version *version = is_canary ? &run->canary : &run->stable;
        double took = (10 + 10 * uniform()) * version->times;
        bool is_error = uniform() < version->errors;
        calls += is_canary;
        (void)dri_trial_add(&trial, is_canary, is_error, (uint64_t)(took * (double)MS));
    }
    *ret_verdict = trial.verdict;
    return calls;
}

struct sums {
    unsigned worse, fine;
    uint64_t most;
};

static struct sums run_many(const struct run *run, unsigned times)
{
    struct sums sums = {0, 0, 0};
    seed = 1;
    for (unsigned i = 0; i < times; i++) {
        enum dri_trial_verdict verdict = DRI_TRIAL_OPEN;
        uint64_t calls = run_until(run, &verdict);
        sums.worse += verdict == DRI_TRIAL_WORSE;
        sums.fine += verdict == DRI_TRIAL_FINE;
        sums.most = calls > sums.most ? calls : sums.most;
    }
    printf("share %.2f errors %.2f/%.2f times %.1f: worse %u fine %u of %u, at most %llu calls\n",
           run->share, run->canary.errors, run->stable.errors, run->canary.times, sums.worse,
           sums.fine, times, (unsigned long long)sums.most);
    return sums;
}

static void an_equal_version_is_hardly_ever_rolled_back(void **state)
{
    static const double rates[] = {0, 0.01, 0.2, 0.7};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (int half = 0; half < 2; half++) {
            const struct run run = {half ? 0.5 : 0.05, {rates[i], 1}, {rates[i], 1}, 500};
            struct sums sums = run_many(&run, 200);
            assert_true(sums.worse <= 2); /* alpha 0.001: more has a chance of 0.002 */
        }
    }
}

static void one_that_is_worse_by_the_tolerance_is_hardly_ever_promoted(void **state)
{
    static const double rates[] = {0, 0.01, 0.1};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct run run = {0.05, {rates[i], 1}, {rates[i] + 0.02, 1}, 1000};
        struct sums sums = run_many(&run, 200);
        assert_true(sums.fine <= 6); /* beta 0.01: more has a chance of 0.005 */
    }
}

static void a_bad_one_is_stopped_within_the_stated_calls(void **state)
{
    static const struct {
        double errors, times;
        uint64_t calls;
    } stated[] = {{1, 1, 10}, {0.5, 1, 40}, {0.2, 1, 120}, {0, 4, 20}};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct run run = {
            0.05, {0.001, 1}, {stated[i].errors, stated[i].times}, 10 * stated[i].calls};
        struct sums sums = run_many(&run, 300);
        assert_int_equal(sums.worse, 300);
        assert_true(sums.most <= stated[i].calls);
    }
}

static void a_good_one_is_promoted(void **state)
{
    const struct run run = {0.05, {0.001, 1}, {0.001, 1}, 3000};
    (void)state;
    struct sums sums = run_many(&run, 50);
    assert_true(sums.fine >= 49);
}

static void without_calls_of_the_old_one_nothing_is_decided(void **state)
{
    const struct run run = {1, {0, 1}, {1, 1}, 1000};
    (void)state;
    struct sums sums = run_many(&run, 1);
    assert_int_equal(sums.worse + sums.fine, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_equal_version_is_hardly_ever_rolled_back),
        cmocka_unit_test(one_that_is_worse_by_the_tolerance_is_hardly_ever_promoted),
        cmocka_unit_test(a_bad_one_is_stopped_within_the_stated_calls),
        cmocka_unit_test(a_good_one_is_promoted),
        cmocka_unit_test(without_calls_of_the_old_one_nothing_is_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
