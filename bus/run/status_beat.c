/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "status_beat.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"

void dri_beat_init(struct dri_beat *beat)
{
    if (gethostname(beat->host, sizeof(beat->host) - 1) != 0) {
        snprintf(beat->host, sizeof(beat->host), "unknown");
    }
    beat->is_changed = true;
}

struct failures {
    struct dri_status_failure items[DRI_BEAT_FAILED_MAX];
    size_t count, routes;
};

static void gather_failure(void *arg, const struct dri_route *route)
{
    struct failures *failures = arg;
    failures->routes++;
    if (route->failure[0] == '\0') {
        return;
    }
    if (failures->count < DRI_BEAT_FAILED_MAX) {
        failures->items[failures->count] =
            (struct dri_status_failure){.key = dray_slice_text(route->key),
                                        .revision = route->revision,
                                        .reason = dray_slice_text(route->failure)};
    }
    failures->count++;
}

enum dray_status dri_beat_encode(struct dri_beat *beat, const char *state, uint64_t wall_ms,
                                 uint8_t *buffer, size_t *ret_len)
{
    struct failures failures = {.count = 0};
    char digest[65];
    char more[64];
    dri_registry_each(beat->registry, gather_failure, &failures);
    dri_registry_digest(beat->registry, digest);
    beat->routes = failures.routes;
    beat->failed = failures.count;
    size_t listed = failures.count;
    if (listed > DRI_BEAT_FAILED_MAX) {
        listed = DRI_BEAT_FAILED_MAX;
        snprintf(more, sizeof(more), "this one and %zu more cannot run",
                 failures.count - DRI_BEAT_FAILED_MAX);
        failures.items[listed - 1].reason = dray_slice_text(more);
    }
    const struct dri_status_record record = {
        .worker = dray_slice_text(beat->worker),
        .group = dray_slice_text(beat->group),
        .host = dray_slice_text(beat->host),
        .version = dray_slice_text(beat->version),
        .state = dray_slice_text(state),
        .digest = dray_slice_text(digest),
        .admin = dray_slice_text(beat->admin),
        .pid = (uint64_t)getpid(),
        .revision = dri_registry_revision(beat->registry),
        .ts_ms = wall_ms,
    };
    return dri_status_encode(&record, failures.items, listed, buffer, DRI_BEAT_BYTES_MAX, ret_len);
}
