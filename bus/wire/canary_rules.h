/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_CANARY_RULES_H
#define DRI_WIRE_CANARY_RULES_H

#include "control.h"
#include "packer.h"
#include "scanner.h"

/* canary_rules.h - the map `canary` of a route's policy. Private to wire. Pure; any thread. */

/** Read policy.canary: bytes of a map that stand inside the route; absent: no rules.
 *  Errors: EINVALID, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_canary_rules_read(struct dray_slice route,
                                                       struct dray_slice map,
                                                       const struct dri_wire_limits *limits,
                                                       struct dri_policy *policy,
                                                       struct dri_wire_error *ret_error);
/** Write it, when the policy has one. */
void dri_canary_rules_add(struct dri_packer *packer, const struct dri_policy *policy);

#endif
