/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "checker.h"
#include "options.h"

/* world.h - plays one seed: producer, workers, nemesis, healing. */

#define SIM_FAILURE_TEXT_BYTES 400u

struct sim_outcome {
    char failure[SIM_FAILURE_TEXT_BYTES]; /* "": all is well */
    uint64_t hash;
    uint64_t virtual_ms;
    uint64_t turns;
    uint64_t faults[DRI_SIM_FAULT_COUNT];
    uint64_t nemesis[SIM_NEMESIS_COUNT]; /* how often */
    struct sim_tally tally;
};

void sim_world_play(const struct sim_options *options, bool is_tracing,
                    struct sim_outcome *ret_outcome);

#endif
