/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_BINDING_H
#define DRI_BINDING_H

#include "module.h"
#include "registry.h"

/* binding.h - makes a route of the registry able to run: loads its module and finds the handler.
 *
 * A route that cannot run here keeps its place in the registry (every replica holds the same
 * routes) and says why in route->failure. Both are the registry's bind and unbind, with a struct
 * dri_modules as arg.
 */

/** What this build cannot run at all, as a sentence; NULL: it can. */
const char *dri_binding_unsupported(const struct dri_route_view *view);

void dri_binding_bind(void *modules, struct dri_route *route);
/** The same of a worker that has no windows. */
void dri_binding_bind_without_window(void *modules, struct dri_route *route);
void dri_binding_unbind(void *modules, struct dri_route *route);

#endif
