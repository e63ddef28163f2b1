/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_LANES_H
#define SIM_LANES_H

#include <stdint.h>

#include "chance.h"
#include "checker.h"
#include "options.h"
#include "run/executor.h"

/* lanes.h - the executor in virtual time: lanes are queues, handlers are plans. */

struct sim_lanes_config {
    const struct sim_options *options;
    struct sim_checker *checker;
    const struct dri_now *now; /* the world's */
    uint32_t client;           /* number of the transport, for the journal */
    uint64_t seed;
};

/** Owns: returns owned; config's pointers are borrowed for life. */
struct dri_executor *sim_lanes_create(const struct sim_lanes_config *config);
/** Do what is due. */
void sim_lanes_advance(struct dri_executor *executor);
/** When the next run ends; UINT64_MAX: none runs. */
uint64_t sim_lanes_deadline(const struct dri_executor *executor);
/** The process stood still: what runs ends so much later. */
void sim_lanes_delay(struct dri_executor *executor, uint64_t by_ns);
/** The process is dead: nothing runs any more. */
void sim_lanes_die(struct dri_executor *executor);
void sim_lanes_destroy(struct dri_executor *executor);

#endif
