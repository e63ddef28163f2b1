/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_EXPOSURE_H
#define DRI_EXPOSURE_H

#include <stdbool.h>
#include <stddef.h>

#include "run/settings.h"

/** Whether commands and passwords would cross a network readable by others: the bus has a host that
 * is not this machine, and no encryption is asked for. ret_text: what is so and what to do.
 * Threads: any. Pure: no name is looked up. */
bool dri_exposure_find(const struct dri_settings *settings, char *ret_text, size_t text_bytes);

#endif
