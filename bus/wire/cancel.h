/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CANCEL_H
#define DRI_CANCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "control.h"
#include "wire_limits.h"

/* cancel.h - control changes of kind "cancel": ids of scheduled commands that are not to run.
 *
 * items: array of {id: str 1..64 or bin 16, until: uint ms since the epoch; absent: as long as is
 * remembered}. Pure; any thread.
 */

struct dri_cancel_item {
    struct dray_slice id;
    bool is_id_binary;
    uint64_t until_ms; /* after this it may be forgotten; 0: not said */
};

bool dri_change_is_cancel(const struct dri_change *change);

/** A change of this kind, whole: as dri_change_decode, and its items are checked and counted.
 *  Errors: EINVALID (also of another kind), ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_cancel_decode(struct dray_slice change,
                                                   const struct dri_wire_limits *limits,
                                                   struct dri_change *ret_change,
                                                   struct dri_wire_error *ret_error);
/** change's kind and items are not looked at. Errors: ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_cancel_encode(const struct dri_change *change,
                                                   const struct dri_cancel_item *items,
                                                   size_t items_count, void *buffer,
                                                   size_t buffer_bytes, size_t *ret_len);
/** Walk the items of a decoded change: set *at to 0 first; false at the end. */
bool dri_cancel_next(const struct dri_change *change, size_t *at, struct dri_cancel_item *ret_item);

#endif
