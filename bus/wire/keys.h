/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_KEYS_H
#define DRI_WIRE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

#include "scanner.h"

/* keys.h - equal keys of one map, found in bounded time. Private to wire. */

/** A key inside some bytes. */
struct dri_key {
    uint32_t at;
    uint32_t len;
};

/** Up to here a comparison of each with each is cheapest. */
#define DRI_KEYS_FEW 16u
/** Maps outside payloads hold at most so many pairs. */
#define DRI_KEYS_MAX 2048u

/** The later of two equal keys, or NULL. Sorts keys; count * log(count) comparisons, no memory. */
const struct dri_key *dri_keys_duplicate(const uint8_t *base, struct dri_key *keys, size_t count);

/** Check that the keys of the map at the scanner, of `pairs` pairs whose header is read, are
 * strings and differ. The scanner is left where it was, on failure at the wrong key. */
DRAY_MUST_CHECK enum dray_status dri_keys_check_map(struct dri_scanner *scanner, uint32_t pairs);

#endif
