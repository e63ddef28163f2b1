/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SHARING_H
#define DRI_SHARING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <dray/status.h>

#include "registry.h"
#include "replicas.h"

/* sharing.h - whether any route shares its rate with other replicas, and with how many.
 *
 * The status topic is read only where a route needs it: not everybody may, and each record goes to
 * each replica. Threads: the control thread's; count is read by any.
 */

struct dri_sharing {
    const struct dri_registry *registry; /* borrowed */
    struct dri_replicas replicas;
    _Atomic(uint32_t) count; /* 0: not known */
    bool is_asking;          /* set when routes have changed: does any share its rate? */
    bool is_wanted;          /* one does */
    bool is_reading;         /* in this session */
    bool is_off;             /* the topic cannot be read */
};

void dri_sharing_init(struct dri_sharing *sharing, const struct dri_registry *registry,
                      const char *worker, const char *group);
/** A session is about to be opened. Whether it is to read the status topic, too. */
bool dri_sharing_begin(struct dri_sharing *sharing);
/** It could not be: rather without the others than without the routes. */
void dri_sharing_failed(struct dri_sharing *sharing, enum dray_status status, const char *topic,
                        const char *text);
/** Whether the session is to be opened again, because it does not read what is needed. */
bool dri_sharing_wants_more(const struct dri_sharing *sharing);
/** Once a turn; is_checked: the routes are read to the end. Whether the count has changed. */
bool dri_sharing_look(struct dri_sharing *sharing, bool is_checked, uint64_t now_ns);

#endif
