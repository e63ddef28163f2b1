/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t dri_hash64(struct dray_slice bytes)
{
    return XXH3_64bits(bytes.at, bytes.len);
}

static uint32_t read_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t dri_murmur2(struct dray_slice bytes)
{
    const uint32_t m = 0x5bd1e995u;
    const uint8_t *at = bytes.at;
    size_t left = bytes.len;
    uint32_t h = 0x9747b28cu ^ (uint32_t)bytes.len;
    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k = read_le32(at) * m;
        k = (k ^ k >> 24) * m;
        h = h * m ^ k;
    }
    if (left != 0) {
        uint32_t tail = 0;
        for (size_t i = 0; i < left; i++) {
            tail |= (uint32_t)at[i] << (8 * i);
        }
        h = (h ^ tail) * m;
    }
    h = (h ^ h >> 13) * m;
    return (h ^ h >> 15) & 0x7fffffffu;
}
