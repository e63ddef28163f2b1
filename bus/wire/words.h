/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_WORDS_H
#define DRI_WIRE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/slice.h>
#include <dray/status.h>

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
struct dri_wire_error;
struct dri_wire_limits;

/** Reads one item, or says in *ret_error what is wrong with it. */
typedef enum dray_status dri_change_item_fn(struct dri_scanner *scanner,
                                            struct dri_wire_error *ret_error);

/** Read the items of a change through, and count them in decoded. Requires: it has items. */
DRAY_MUST_CHECK enum dray_status dri_change_check_items(struct dray_slice change,
                                                        const struct dri_wire_limits *limits,
                                                        dri_change_item_fn *read,
                                                        struct dri_change *decoded,
                                                        struct dri_wire_error *ret_error);

/** Everything of a change but the array of its items, which is to come next. */
void dri_change_add_head(struct dri_packer *packer, const struct dri_change *change,
                         struct dray_slice kind);

#endif
