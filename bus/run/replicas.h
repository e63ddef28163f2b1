/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_REPLICAS_H
#define DRI_REPLICAS_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/slice.h>

/* replicas.h - how many replicas of a group take commands now, by what they say on the status
 * topic.
 *
 * Threads: one.
 */

#define DRI_REPLICAS_MAX 1024u /* that are told apart; more count as so many */

struct dri_replicas {
    const char *worker, *group; /* borrowed */
    uint64_t begun_ns;          /* when our own record was first read back; 0: not yet */
    uint64_t own_ns;            /* ... last */
    uint32_t known;             /* as it was last certain; 0: it never was */
    uint32_t used;
    struct dri_replica_seen {
        uint64_t hash; /* of the worker's id */
        uint64_t seen_ns;
    } seen[DRI_REPLICAS_MAX];
};

void dri_replicas_init(struct dri_replicas *replicas, const char *worker, const char *group);
/** The topic is read anew, from its end. */
void dri_replicas_begin(struct dri_replicas *replicas);
/** A record of the status topic; hostile. An absent value is a goodbye. */
void dri_replicas_take(struct dri_replicas *replicas, struct dray_slice key,
                       struct dray_slice value, uint64_t now_ns);
/** How many, this one among them; 0: not known. As long as our own records do not come back the
 * number stays what it was: it is not the others that are gone. */
uint32_t dri_replicas_count(struct dri_replicas *replicas, uint64_t now_ns);

#endif
