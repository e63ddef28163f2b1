/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* chance.h - seeded numbers for the simulator (splitmix64). */

struct chance {
    uint64_t state;
};

static inline uint64_t chance_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t mixed = chance_mix(chance->state);
    chance->state += UINT64_C(0x9e3779b97f4a7c15);
    return mixed;
}

/** From low to high, both included. */
static inline uint64_t chance_between(struct chance *chance, uint64_t low, uint64_t high)
{
    return low + chance_next(chance) % (high - low + 1);
}

static inline uint32_t chance_between32(struct chance *chance, uint32_t low, uint32_t high)
{
    return (uint32_t)chance_between(chance, low, high);
}

static inline bool chance_one_in(struct chance *chance, uint64_t n)
{
    return chance_next(chance) % n == 0;
}

/** Small numbers are as likely as large ones: the exponent is drawn first. */
static inline uint64_t chance_skewed(struct chance *chance, uint64_t low, uint64_t high)
{
    uint64_t span = high - low;
    unsigned bits = 0;
    while (bits < 63 && (span >> bits) != 0) {
        bits++;
    }
    uint64_t mask = (UINT64_C(1) << chance_between(chance, 0, bits)) - 1;
    uint64_t drawn = chance_next(chance) & mask;
    return low + (drawn > span ? span : drawn);
}

#endif
