/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_ROUTER_H
#define SIM_ROUTER_H

#include "checker.h"
#include "options.h"
#include "run/routing.h"

/* router.h - the routes of a world, for its workers' engines: one for all of them. */

/** Owns: returns owned; the pointers are borrowed for life. */
struct dri_router *sim_router_create(const struct sim_options *options,
                                     struct sim_checker *checker);
void sim_router_destroy(struct dri_router *self);

/** Pause a route, or resume it. */
void sim_router_toggle(struct dri_router *self, uint32_t route);
void sim_router_resume_all(struct dri_router *self);

#endif
