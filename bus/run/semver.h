/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SEMVER_H
#define DRI_SEMVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* semver.h - versions and ranges of versions: "1.2.3-rc.1", "^1.2", "~1.2", ">=1.2 <2", "1.x".
 *
 * Both are views: they borrow from their text and allocate nothing. Pure; any thread.
 *
 * Source: https://semver.org (2.0.0) for versions and their order; for ranges the words that
 * package managers agree on. A comparator with missing parts means all versions that begin so:
 * "1.2" is "1.2.x", ">1.2" begins at 1.3.0. Comparators separated by spaces or commas must all
 * hold. There is no
 * "||" and no "a - b".
 */

struct dri_semver {
    uint64_t major, minor, patch;
    struct dray_slice pre;   /* absent: a release */
    struct dray_slice build; /* absent: none; never part of the order */
};

/** Errors: EINVALID: not a version, or a number that 64 bits do not hold. */
DRAY_MUST_CHECK enum dray_status dri_semver_parse(struct dray_slice text,
                                                  struct dri_semver *ret_version);

/** Negative, zero or positive by precedence; versions that differ in build only are equal. */
int dri_semver_compare(const struct dri_semver *a, const struct dri_semver *b);

#define DRI_SEMVER_COMPARATORS_MAX 8u

enum dri_semver_op {
    DRI_SEMVER_EQ,
    DRI_SEMVER_GE,
    DRI_SEMVER_GT,
    DRI_SEMVER_LT,
    DRI_SEMVER_LE
};

struct dri_semver_comparator {
    enum dri_semver_op op;
    struct dri_semver version;
};

/** Versions that satisfy every comparator; none: all versions. */
struct dri_semver_range {
    struct dri_semver_comparator comparators[DRI_SEMVER_COMPARATORS_MAX];
    size_t count;
};

/** A single version is a range too. Errors: EINVALID; ELIMIT: too many comparators. */
DRAY_MUST_CHECK enum dray_status dri_semver_range_parse(struct dray_slice text,
                                                        struct dri_semver_range *ret_range);

/** Whether a version is in the range. A pre-release is only when the range names a pre-release of
 * the same major.minor.patch: nobody gets one by accident. A range that is one exact version with a
 * build holds that build only. */
bool dri_semver_range_has(const struct dri_semver_range *range, const struct dri_semver *version);

#endif
