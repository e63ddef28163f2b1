/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CHECK_H
#define DRI_CHECK_H

#include "core.h"

/** Whether a core is consistent with itself: every list, counter, table and timer against the
 * flights. Slow (walks everything): for tests and the simulator, between two steps. NULL when it
 * is; else one sentence that says what is wrong. */
const char *dri_core_check(const struct dri_core *core);

#endif
