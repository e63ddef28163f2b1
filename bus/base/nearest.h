/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_NEAREST_H
#define DRI_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* nearest.h - which known word somebody may have meant. Pure; any thread. */

/** Edits (insert, drop, change, swap of neighbours) from a to b; only the first 63 bytes count. */
size_t dri_edits(const char *a, const char *b);

/** Keeps the nearest of the words shown to it. */
struct dri_nearest {
    const char *wanted;
    const char *word; /* the nearest so far, or NULL; borrows */
    size_t edits;
};

void dri_nearest_init(struct dri_nearest *nearest, const char *wanted);
/** The first of equally near words stays. */
void dri_nearest_show(struct dri_nearest *nearest, const char *word);

/** Whether so many edits of a word can be a slip: at most a third of its letters, rounded up. */
bool dri_is_slip(const char *wanted, size_t edits);
/** Whether the nearest word is so near that it may have been meant. */
bool dri_nearest_is_near(const struct dri_nearest *nearest);

#endif
