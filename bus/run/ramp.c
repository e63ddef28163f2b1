/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "ramp.h"

/* From low at 0 to high at length; 1,024 steps keep the product within 64 bits. */
static uint32_t line(uint64_t at, uint64_t length, uint32_t low, uint32_t high)
{
    const uint64_t steps = 1024;
    uint64_t step_ns = length / steps + 1;
    uint64_t step = at / step_ns < steps ? at / step_ns : steps;
    return low + (uint32_t)((uint64_t)(high - low) * step / steps);
}

uint32_t dri_ramp_limit(uint64_t elapsed_ns, uint64_t ramp_ns, uint32_t lanes,
                        uint32_t in_flight_max)
{
    uint64_t half_ns = ramp_ns / 2;
    uint32_t middle = lanes < in_flight_max ? lanes : in_flight_max;
    if (elapsed_ns >= ramp_ns) {
        return in_flight_max;
    }
    if (elapsed_ns < half_ns) {
        return line(elapsed_ns, half_ns, 1, middle);
    }
    return line(elapsed_ns - half_ns, ramp_ns - half_ns, middle, in_flight_max);
}
