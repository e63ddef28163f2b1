/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* replicas.c - who takes commands, and who is gone.
 *
 * Each replica says every second what it is. One that was heard within five seconds, and said that
 * it is ready, takes its share of what the group has together. The topic is read from its end, so
 * only what is said now counts, and no clock of another machine. Who has just begun to listen knows
 * nothing before everybody had the time to speak; who does not hear himself does not hear the
 * others either, and keeps to what he knew. So a share is too small for a moment, and not too
 * large; but for a replica that is cut off from the status topic alone: after five seconds the
 * others take its share, and it keeps it.
 */
#include "replicas.h"

#include <string.h>

#include "control.h"
#include "hash.h"

#define NS_PER_MS UINT64_C(1000000)
#define LIVE_NS   (5000u * NS_PER_MS)
#define OWN_NS    (2500u * NS_PER_MS) /* our own was heard */
#define LISTEN_NS (1500u * NS_PER_MS) /* everybody has spoken */

void dri_replicas_init(struct dri_replicas *replicas, const char *worker, const char *group)
{
    memset(replicas, 0, sizeof(*replicas));
    replicas->worker = worker;
    replicas->group = group;
}

void dri_replicas_begin(struct dri_replicas *replicas)
{
    replicas->begun_ns = 0;
    replicas->own_ns = 0;
    replicas->used = 0;
}

static void forget(struct dri_replicas *replicas, uint64_t hash)
{
    for (uint32_t i = 0; i < replicas->used; i++) {
        if (replicas->seen[i].hash == hash) {
            replicas->seen[i] = replicas->seen[--replicas->used];
            return;
        }
    }
}

static void note(struct dri_replicas *replicas, uint64_t hash, uint64_t now_ns)
{
    forget(replicas, hash);
    if (replicas->used < DRI_REPLICAS_MAX) {
        replicas->seen[replicas->used++] =
            (struct dri_replica_seen){.hash = hash, .seen_ns = now_ns};
    }
}

void dri_replicas_take(struct dri_replicas *replicas, struct dray_slice key,
                       struct dray_slice value, uint64_t now_ns)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_status_record record;
    struct dri_wire_error error;
    if (value.at == NULL) {
        forget(replicas, dri_hash64(key));
        return;
    }
    if (dri_status_decode(value, &limits, &record, &error) != DRAY_OK ||
        !dray_slice_equal_text(record.group, replicas->group)) {
        return;
    }
    if (dray_slice_equal_text(record.worker, replicas->worker)) {
        replicas->begun_ns = replicas->begun_ns != 0 ? replicas->begun_ns : now_ns;
        replicas->own_ns = now_ns;
    }
    if (dray_slice_equal_text(record.state, "ready")) {
        note(replicas, dri_hash64(record.worker), now_ns);
    } else {
        forget(replicas, dri_hash64(record.worker));
    }
}

/* Records are stamped while a turn goes on, so one may be newer than its now. */
static uint64_t age_ns(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

uint32_t dri_replicas_count(struct dri_replicas *replicas, uint64_t now_ns)
{
    if (replicas->begun_ns == 0 || age_ns(now_ns, replicas->begun_ns) < LISTEN_NS ||
        age_ns(now_ns, replicas->own_ns) > OWN_NS) {
        return replicas->known;
    }
    for (uint32_t i = replicas->used; i > 0; i--) {
        if (age_ns(now_ns, replicas->seen[i - 1].seen_ns) > LIVE_NS) {
            replicas->seen[i - 1] = replicas->seen[--replicas->used];
        }
    }
    replicas->known = replicas->used > 0 ? replicas->used : 1;
    return replicas->known;
}
