/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_NEAREST_H
#define DRI_CLI_NEAREST_H

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

#endif
