/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_WORDS_H
#define DRI_WIRE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/slice.h>

#include "scanner.h"

/* words.h - small checks that the control formats share. Private to wire. */

#define WORD_NONE SIZE_MAX

/** Index of text among words, or WORD_NONE. */
size_t dri_word_find(struct dray_slice text, const char *const *words, size_t count);

/** The scanner at the element of a checked array that starts at *at (0: the first); false at the
 * end. */
bool dri_array_element(struct dray_slice array, size_t *at, struct dri_scanner *ret_scanner);

struct dri_change;
struct dri_packer;

/** Everything of a change but the array of its items, which is to come next. */
void dri_change_add_head(struct dri_packer *packer, const struct dri_change *change,
                         struct dray_slice kind);

#endif
