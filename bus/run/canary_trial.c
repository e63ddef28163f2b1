/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* canary_trial.c - is the new version worse, or can it be said that it is not?
 *
 * Two tests of two proportions: errors, and calls that are slow (longer than twice the old
 * version's 95th percentile so far, and than 5 ms). Each looks after every call, so a test for a
 * fixed number of calls would be wrong far more often than it says. These are e-processes: products
 * of factors whose expected value is at most 1 while the null hypothesis holds, so that by Ville's
 * inequality one ever reaches 1/alpha with a chance of at most alpha, however often it is looked
 * at. A factor compares how likely a block of calls (at least one of each version) is under an
 * alternative that is fixed before the block, and under the null's nearest point:
 * Source: Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests" (2021).
 *
 * Worse: the null is "the same rate". The alternatives put the canary above the rate seen so far by
 * three lifts at once, as nobody knows how bad a bad version is; their mean is an e-process again.
 * Fine: the null is "higher by the tolerance or more", the alternative the rate seen so far.
 *
 * Rejected: Wald's SPRT with given rates (nobody knows them, and the old version's moves with the
 * day); a rank test of times (it finds a difference of microseconds, which nobody wants undone).
 */
#include "canary_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOW_FLOOR_NS UINT64_C(5000000)
#define SLOW_FACTOR   2u
#define RENEW_EVERY   64u
#define EDGE          1e-9
#define HALVINGS      40

static const double g_lifts[DRI_TRIAL_LIFTS] = {0.03, 0.15, 0.6};

/* ---- one pair of proportions ---- */

static double log_likely(const struct dri_trial_arm *arm, double rate)
{
    double hits = (double)arm->hits;
    return hits * log(rate) + ((double)arm->calls - hits) * log(1 - rate);
}

/* The rate of both together before this block; never 0 or 1. */
static double rate_so_far(const struct dri_trial_arm *one, const struct dri_trial_arm *other)
{
    double hits = (double)one->hits + (double)other->hits;
    return (hits + 0.1) / ((double)one->calls + (double)other->calls + 2);
}

static void look_for_worse(struct dri_trial_pair *pair)
{
    const struct dri_trial_arm none = {0, 0};
    double calls_canary = (double)pair->block_canary.calls;
    double calls_stable = (double)pair->block_stable.calls;
    double stable = rate_so_far(&pair->stable, &none);
    for (size_t i = 0; i < DRI_TRIAL_LIFTS; i++) {
        double canary = stable + (1 - stable) * g_lifts[i];
        double same =
            (calls_canary * canary + calls_stable * stable) / (calls_canary + calls_stable);
        pair->log_worse[i] +=
            log_likely(&pair->block_canary, canary) - log_likely(&pair->block_canary, same) +
            log_likely(&pair->block_stable, stable) - log_likely(&pair->block_stable, same);
    }
}

/* The null's point that is nearest to (rate, rate): the old version's rate there. */
static double nearest(double calls_canary, double calls_stable, double rate, double tolerance)
{
    double low = fmax(EDGE, rate - tolerance);
    double high = fmin(rate, 1 - tolerance - EDGE);
    for (int i = 0; i < HALVINGS; i++) {
        double at = (low + high) / 2;
        double up = at + tolerance;
        double slope = calls_canary * (up - rate) / (up * (1 - up)) +
                       calls_stable * (at - rate) / (at * (1 - at));
        if (slope < 0) {
            low = at;
        } else {
            high = at;
        }
    }
    return (low + high) / 2;
}

static void look_for_fine(struct dri_trial_pair *pair, double tolerance)
{
    double rate = rate_so_far(&pair->stable, &pair->canary);
    double null = nearest((double)pair->block_canary.calls, (double)pair->block_stable.calls, rate,
                          tolerance);
    pair->log_fine += log_likely(&pair->block_canary, rate) -
                      log_likely(&pair->block_canary, null + tolerance) +
                      log_likely(&pair->block_stable, rate) - log_likely(&pair->block_stable, null);
}

static void arm_add(struct dri_trial_arm *arm, const struct dri_trial_arm *more)
{
    arm->calls += more->calls;
    arm->hits += more->hits;
}

/* A block ends by which calls came, never by how they ended. */
static void pair_add(struct dri_trial_pair *pair, bool is_canary, bool is_hit, double tolerance)
{
    const struct dri_trial_arm one = {1, is_hit};
    const struct dri_trial_arm none = {0, 0};
    arm_add(is_canary ? &pair->block_canary : &pair->block_stable, &one);
    if (pair->block_canary.calls == 0 || pair->block_stable.calls == 0) {
        return;
    }
    look_for_worse(pair);
    look_for_fine(pair, tolerance);
    arm_add(&pair->stable, &pair->block_stable);
    arm_add(&pair->canary, &pair->block_canary);
    pair->block_stable = none;
    pair->block_canary = none;
}

/* The logarithm of the mean of the three. */
static double worse_of(const struct dri_trial_pair *pair)
{
    double most = fmax(pair->log_worse[0], fmax(pair->log_worse[1], pair->log_worse[2]));
    double sum = 0;
    for (size_t i = 0; i < DRI_TRIAL_LIFTS; i++) {
        sum += exp(pair->log_worse[i] - most);
    }
    return most + log(sum / DRI_TRIAL_LIFTS);
}

/* ---- what is slow ---- */

static int compare_times(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* From what the old version took before, so that it is fixed before the call that is judged. */
static void ring_add(struct dri_trial *trial, uint64_t took_ns)
{
    uint64_t sorted[DRI_TRIAL_RING];
    trial->ring[trial->ring_count++ % DRI_TRIAL_RING] = took_ns;
    if (trial->ring_count % RENEW_EVERY != 0) {
        return;
    }
    size_t count = trial->ring_count < DRI_TRIAL_RING ? (size_t)trial->ring_count : DRI_TRIAL_RING;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = trial->ring[i];
    }
    qsort(sorted, count, sizeof(sorted[0]), compare_times);
    uint64_t high = sorted[count * 95 / 100];
    uint64_t slow = high < UINT64_MAX / SLOW_FACTOR ? high * SLOW_FACTOR : UINT64_MAX;
    trial->slow_ns = slow > SLOW_FLOOR_NS ? slow : SLOW_FLOOR_NS;
}

/* ---- both ---- */

void dri_trial_init(struct dri_trial *trial, const struct dri_trial_rules *rules)
{
    *trial = (struct dri_trial){.rules = *rules};
}

static enum dri_trial_verdict judge(const struct dri_trial *trial)
{
    double worse = log(2 / DRI_TRIAL_ALPHA); /* two tests share it */
    double fine = log(1 / DRI_TRIAL_BETA);
    if (worse_of(&trial->errors) >= worse || worse_of(&trial->slow) >= worse) {
        return DRI_TRIAL_WORSE;
    }
    bool is_enough = trial->errors.canary.calls >= trial->rules.promote_after;
    return is_enough && trial->errors.log_fine >= fine && trial->slow.log_fine >= fine
               ? DRI_TRIAL_FINE
               : DRI_TRIAL_OPEN;
}

enum dri_trial_verdict dri_trial_add(struct dri_trial *trial, bool is_canary, bool is_error,
                                     uint64_t took_ns)
{
    double tolerance = trial->rules.tolerance_percent / 100.0;
    if (trial->verdict != DRI_TRIAL_OPEN) {
        return trial->verdict;
    }
    pair_add(&trial->errors, is_canary, is_error, tolerance);
    if (trial->slow_ns != 0) {
        pair_add(&trial->slow, is_canary, took_ns > trial->slow_ns, tolerance);
    }
    if (!is_canary) {
        ring_add(trial, took_ns);
    }
    trial->verdict = judge(trial);
    return trial->verdict;
}

static unsigned long long number(uint64_t value)
{
    return (unsigned long long)value;
}

void dri_trial_format(const struct dri_trial *trial, char *ret_text, size_t text_bytes)
{
    const struct dri_trial_pair *errors = &trial->errors;
    const struct dri_trial_pair *slow = &trial->slow;
    snprintf(ret_text, text_bytes,
             "errors %llu of %llu calls against %llu of %llu, slow (over %.1f ms) %llu of %llu "
             "against %llu of %llu",
             number(errors->canary.hits), number(errors->canary.calls), number(errors->stable.hits),
             number(errors->stable.calls), (double)trial->slow_ns / 1e6, number(slow->canary.hits),
             number(slow->canary.calls), number(slow->stable.hits), number(slow->stable.calls));
}
