/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_wait.c - until every live replica has applied a revision.
 *
 * A replica counts from its first record that is young enough, and then to the end: one that falls
 * silent meanwhile is not waited for any longer than it takes to be sure, but it is named. It may
 * hang, and run the old routes when it goes on. Who has said goodbye is out.
 */
#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "registry_replica.h"
#include "registry_tool.h"

#define OBSERVE_MS 1500u /* a replica speaks every second */
#define STEP_MS    100u
#define TOLD_MAX   8u /* routes of one replica; more are counted */

struct waiting {
    struct dri_registry_tool *tool;
    const struct dray_slice *keys;
    size_t count;
    uint64_t revision, begun_ns;
};

/* Which revision of a route the replica has: the one that is there, or, when somebody has put
 * another one that is not there yet, ours. 0: the route is removed. */
static uint64_t revision_of(const struct waiting *waiting, const struct dri_replica *replica,
                            struct dray_slice key)
{
    const struct dri_route *route = dri_registry_find_key(waiting->tool->registry, key);
    if (route == NULL) {
        return 0;
    }
    return route->revision <= replica->record.revision ? route->revision : waiting->revision;
}

/* Names the routes that cannot run there. */
static int tell_failures(const struct waiting *waiting, const struct dri_replica *replica)
{
    const struct dri_cli *cli = waiting->tool->cli;
    struct dray_slice worker = replica->record.worker;
    size_t failed = 0;
    for (size_t i = 0; i < waiting->count; i++) {
        struct dray_slice key = waiting->keys[i];
        struct dray_slice reason = dray_slice_text("");
        uint64_t revision = revision_of(waiting, replica, key);
        enum dri_ability ability =
            revision == 0 ? DRI_ABILITY_RUNS
                          : dri_replica_ability(&replica->record, key, revision, &reason);
        if (ability == DRI_ABILITY_RUNS || failed++ >= TOLD_MAX) {
            continue;
        }
        (void)dri_cli_fail(cli, DRI_EXIT_FAILED, "%.*s %s: %.*s: %.*s", (int)worker.len,
                           (const char *)worker.at,
                           ability == DRI_ABILITY_NONE ? "cannot run it" : "may not run it",
                           (int)key.len, (const char *)key.at, (int)reason.len,
                           reason.at == NULL ? "" : (const char *)reason.at);
    }
    if (failed > TOLD_MAX) {
        (void)dri_cli_fail(cli, DRI_EXIT_FAILED, "%.*s: and %zu more routes", (int)worker.len,
                           (const char *)worker.at, failed - TOLD_MAX);
    }
    return failed > 0 ? DRI_EXIT_FAILED : DRI_EXIT_OK;
}

static bool is_there(const struct waiting *waiting, const struct dri_replica *replica)
{
    return replica->record.revision >= waiting->revision;
}

static bool has_everybody(const struct waiting *waiting)
{
    bool is_all = (dri_clock_mono_ns() - waiting->begun_ns) / 1000000u >= OBSERVE_MS;
    for (size_t i = 0; i < waiting->tool->replicas_count; i++) {
        struct dri_replica *replica = &waiting->tool->replicas[i];
        bool is_live = dri_replica_is_live(replica);
        replica->is_awaited = replica->is_awaited || is_live;
        is_all = is_all && (!is_live || is_there(waiting, replica));
    }
    return is_all;
}

/* What one replica has to say; OK: nothing. */
static int tell_replica(const struct waiting *waiting, const struct dri_replica *replica)
{
    const struct dri_cli *cli = waiting->tool->cli;
    struct dray_slice worker = replica->record.worker;
    uint64_t now_ms = dri_clock_wall_ms();
    if (!is_there(waiting, replica) && !dri_replica_is_live(replica)) {
        return dri_cli_fail(cli, DRI_EXIT_TIMEOUT,
                            "%.*s has been silent for %" PRIu64 " s, at revision %" PRIu64
                            ", not yet at %" PRIu64 ": it has stopped, or hangs",
                            (int)worker.len, (const char *)worker.at,
                            now_ms > replica->heard_ms ? (now_ms - replica->heard_ms) / 1000 : 0,
                            replica->record.revision, waiting->revision);
    }
    if (!is_there(waiting, replica)) {
        return dri_cli_fail(cli, DRI_EXIT_TIMEOUT,
                            "%.*s is at revision %" PRIu64 ", not yet at %" PRIu64, (int)worker.len,
                            (const char *)worker.at, replica->record.revision, waiting->revision);
    }
    int code = tell_failures(waiting, replica);
    if (code != DRI_EXIT_OK) {
        return code;
    }
    if (dri_registry_tool_differs(waiting->tool, replica)) {
        return dri_registry_tell_differs(waiting->tool, replica);
    }
    return DRI_EXIT_OK;
}

/* Somebody who is not there yet counts for more than somebody who cannot run it. */
static int tell_replicas(const struct waiting *waiting, bool is_over)
{
    size_t awaited = 0;
    int code = DRI_EXIT_OK;
    for (size_t i = 0; i < waiting->tool->replicas_count; i++) {
        const struct dri_replica *replica = &waiting->tool->replicas[i];
        if (replica->is_awaited && !replica->is_gone) {
            int told = tell_replica(waiting, replica);
            awaited++;
            code = code == DRI_EXIT_OK || told == DRI_EXIT_TIMEOUT ? told : code;
        }
    }
    if (awaited == 0) {
        fprintf(stderr, "dray: no live replica: nobody has applied it yet\n");
    }
    return code == DRI_EXIT_OK && !is_over ? DRI_EXIT_TIMEOUT : code;
}

int dri_registry_tool_wait(struct dri_registry_tool *tool, const struct dray_slice *keys,
                           size_t count, uint64_t revision, uint64_t patience_ms)
{
    struct waiting waiting = {.tool = tool,
                              .keys = keys,
                              .count = count,
                              .revision = revision,
                              .begun_ns = dri_clock_mono_ns()};
    enum dray_status status = DRAY_ETIMEOUT;
    uint64_t end_ns = waiting.begun_ns + patience_ms * UINT64_C(1000000);
    while (status == DRAY_ETIMEOUT && dri_clock_mono_ns() < end_ns) {
        /* In steps: who falls silent stops counting without an event. */
        if (has_everybody(&waiting)) {
            status = DRAY_OK;
            break;
        }
        status = dri_bus_run(tool->bus, STEP_MS, dri_registry_tool_on_event, NULL, tool);
    }
    if (status != DRAY_OK && status != DRAY_ETIMEOUT) {
        return dri_cli_fail(tool->cli, DRI_EXIT_TIMEOUT,
                            "the change is in, but the replicas could not be watched: %s",
                            dray_status_text(status));
    }
    return tell_replicas(&waiting, status == DRAY_OK);
}
