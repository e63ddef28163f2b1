/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_INTERCEPTORS_H
#define DRI_WIRE_INTERCEPTORS_H

#include "control.h"
#include "scanner.h"

/* interceptors.h - the list `interceptors` of a route's policy. Private to wire. Pure; any thread.
 */

/** Check policy->interceptors, which stands inside the route. An empty list becomes an absent one.
 *  Errors: EINVALID. */
DRAY_MUST_CHECK enum dray_status dri_interceptors_read(struct dray_slice route,
                                                       struct dri_policy *policy,
                                                       struct dri_wire_error *ret_error);

#endif
