/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_HASH_H
#define DRI_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

/* hash.h - the two hashes: a fast one for our own tables, and the one that Kafka clients partition
 * by. */

/** XXH3, 64 bits. Not stable across releases of dray: never on a wire or in a file. */
uint64_t dri_hash64(struct dray_slice bytes);

/** murmur2 as Kafka's Java client computes it, with the sign bit cleared.
 *  Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive. */
uint32_t dri_murmur2(struct dray_slice bytes);

#endif
