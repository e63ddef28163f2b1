/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_RETRY_H
#define DRI_WIRE_RETRY_H

#include "control.h"
#include "packer.h"
#include "scanner.h"

/* retry.h - the maps `backoff` and `retry` of a route's policy. Private to wire. Pure; any thread.
 */

/** Read policy.backoff: bytes of a map that stand inside the route. Errors: EINVALID, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_backoff_read(struct dray_slice route, struct dray_slice map,
                                                  const struct dri_wire_limits *limits,
                                                  struct dri_backoff *ret_backoff,
                                                  struct dri_wire_error *ret_error);
/** Read policy.retry, likewise, into kind_attempts and kind_backoff. */
DRAY_MUST_CHECK enum dray_status dri_retry_read(struct dray_slice route, struct dray_slice map,
                                                const struct dri_wire_limits *limits,
                                                struct dri_policy *policy,
                                                struct dri_wire_error *ret_error);

/** How many of the two a policy has. */
uint32_t dri_retry_pairs(const struct dri_policy *policy);
/** Write those that it has. */
void dri_retry_add(struct dri_packer *packer, const struct dri_policy *policy);

#endif
