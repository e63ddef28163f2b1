/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_GAUGES_H
#define DRI_GAUGES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "executor.h"
#include "metrics.h"
#include "module.h"
#include "transport.h"

/* gauges.h - what the parts of a worker count, as metrics.
 *
 * Threads: the one that owns the page.
 */

/** Everything borrowed for the call. */
struct dri_gauges {
    const struct dri_engine_stats *engine;
    const struct dri_core_stats *core;
    const struct dri_transport_stats *transport;
    const struct dri_lanes_stats *lanes;
    const struct dri_modules_stats *modules;
    uint32_t in_flight_limit; /* of now: setting, ramp, quiet */
    uint32_t replicas;        /* that share rates */
    uint64_t revision;        /* of the registry */
    bool is_ready;
};

void dri_gauges_show(struct dri_metrics_page *page, const struct dri_gauges *gauges);

/** What there is by route. Threads: the engine's, which owns the page. */
void dri_gauges_show_routes(struct dri_metrics_page *page, const struct dri_engine *engine);

#endif
