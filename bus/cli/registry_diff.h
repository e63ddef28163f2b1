/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_DIFF_H
#define DRI_CLI_REGISTRY_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/slice.h>

#include "run/registry.h"
#include "wire/json.h"

/* registry_diff.h - what is different between two routes, and between two registries.
 *
 * Threads: one.
 */

/** A key with both of its sides; absent: not there. */
struct dri_difference {
    struct dray_slice key;
    struct dray_slice before, after;
    uint64_t revision; /* of before; 0: it was not there */
    const char *noun;  /* of what they are; NULL: "route" */
};

/** "add", "update", "remove", or "same": the maps mean the same. */
const char *dri_difference_word(const struct dri_difference *difference);

/** Members of a JSON object, without braces: "key","change", and "route" (the noun) of an addition,
 * "was" of a removal, "diff":[{"path","from","to"}] of an update. */
void dri_difference_add_json(const struct dri_difference *difference, struct dri_text *text);
/** Lines for people: "+ key", "- key" or "~ key", then what. Each begins with indent. */
void dri_difference_add_lines(const struct dri_difference *difference, const char *indent,
                              struct dri_text *text);

/** To standard output, for people or as one line of JSON. */
void dri_difference_print(const struct dri_difference *difference, bool is_json);

/** Called for each key that the two registries do not have alike, in the order of keys: those of
 *  before first, then those that only after has. */
typedef void dri_difference_fn(void *arg, const struct dri_difference *difference);
void dri_differences_each(const struct dri_registry *before, const struct dri_registry *after,
                          dri_difference_fn *on_difference, void *arg);

/** A route's bytes; absent for NULL. */
struct dray_slice dri_difference_side(const struct dri_route *route);

#endif
