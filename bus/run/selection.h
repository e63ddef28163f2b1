/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SELECTION_H
#define DRI_SELECTION_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

#include "control.h"
#include "semver.h"

/* selection.h - which of the routes of one name a command goes to.
 *
 * The rule, from the strongest word to the weakest:
 *   1. Version. A wanted version or range excludes what does not fit. Nothing falls back.
 *   2. Tags. A route's tags must all be in the command: with the same value, or the route's value
 * is
 *      "*". More equal values win, then more "*"; a route without tags fits every command.
 *   3. Canaries. Among what is left, an active route with a weight takes that share (percent) of
 * the keys: which keys is a pure function of the key's hash and the route set.
 *   4. Stable before canary, release before pre-release (when no version was wanted).
 *   5. State. Active, then paused, then draining; the caller looks at the state of what it got.
 *   6. The highest version; of equal precedence the one with the least build text.
 * So a paused canary gives its share back, and pausing the stable route holds its commands instead
 * of sending all of them to a canary.
 *
 * Pure; any thread.
 */

struct dri_candidate {
    struct dri_semver version;
    struct dray_slice tags; /* msgpack map of str to str; absent: none */
    uint32_t weight;        /* percent; 0: not a canary */
    enum dri_route_state state;
};

struct dri_selection {
    const struct dri_semver_range *range; /* NULL: any version */
    struct dray_slice tags;               /* of the command; absent: none */
    uint64_t key_hash;
};

/** Order of candidates: highest version first, then the least build. */
int dri_candidate_compare(const struct dri_candidate *a, const struct dri_candidate *b);

/** Index of the chosen one, or count when none fits. Requires: candidates are in order. */
size_t dri_selection_choose(const struct dri_selection *selection,
                            const struct dri_candidate *candidates, size_t count);

/** Whether every command without a wanted version gets the same route, whatever its tags and key.
 */
bool dri_selection_is_plain(const struct dri_candidate *candidates, size_t count);

#endif
