/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_RAMP_H
#define DRI_RAMP_H

#include <stdint.h>

/* ramp.h - how many commands may be in flight while a worker warms up. A pure function: no state.
 *
 * In the first half of the ramp the limit grows from 1 to the number of lanes, so that what grows
 * is how many commands run at once; in the second half from there to in_flight_max, so that what
 * grows is what this replica takes from the others. Both in straight lines: something that ran cold
 * (a cache, a pool of connections, a database behind it) sees no step.
 */

/** After elapsed_ns of a ramp of ramp_ns: from 1 to in_flight_max, and never less than before.
 *  ramp_ns 0: no ramp. */
uint32_t dri_ramp_limit(uint64_t elapsed_ns, uint64_t ramp_ns, uint32_t lanes,
                        uint32_t in_flight_max);

#endif
