/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "heat.h"

#include <string.h>

/* The parts that have passed since are empty. */
static void move_on(struct dri_heat *heat, uint64_t part)
{
    if (part >= heat->part + DRI_HEAT_PARTS) {
        memset(heat->parts, 0, sizeof(heat->parts));
    } else {
        for (uint64_t i = heat->part + 1; i <= part; i++) {
            heat->parts[i % DRI_HEAT_PARTS] = 0;
        }
    }
    heat->part = part;
}

void dri_heat_take(struct dri_heat *heat, uint64_t part, uint32_t counter)
{
    uint32_t fresh = counter - heat->seen;
    if (part > heat->part) {
        move_on(heat, part);
    }
    uint32_t *now = &heat->parts[heat->part % DRI_HEAT_PARTS];
    *now = fresh < UINT32_MAX - *now ? *now + fresh : UINT32_MAX;
    heat->total += fresh;
    heat->seen = counter;
}

void dri_heat_inherit(struct dri_heat *heat, const struct dri_heat *other)
{
    heat->part = other->part;
    memcpy(heat->parts, other->parts, sizeof(heat->parts));
}

uint64_t dri_heat_window(const struct dri_heat *heat)
{
    uint64_t calls = 0;
    for (uint32_t i = 0; i < DRI_HEAT_PARTS; i++) {
        calls += heat->parts[i];
    }
    return calls;
}

uint32_t dri_heat_part(const struct dri_heat *heat, uint32_t i)
{
    return heat->parts[(heat->part + 1 + i) % DRI_HEAT_PARTS];
}
