/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SOURCES_H
#define DRI_SOURCES_H

#include <stddef.h>

#include "delay.h"
#include "settings.h"
#include "transport.h"

/* sources.h - what a worker reads, and which topics have to be there for it. */

#define DRI_SOURCES_MAX (4 + DRI_DELAY_LEVELS)
#define DRI_TOPICS_MAX  (6 + DRI_DELAY_LEVELS)

/** Names borrow from the settings. */
struct dri_sources {
    struct dri_source sources[DRI_SOURCES_MAX];
    size_t sources_count;
    struct dri_topic topics[DRI_TOPICS_MAX];
    size_t topics_count;
};

void dri_sources_of(const struct dri_settings *settings, struct dri_sources *ret_sources);

#endif
