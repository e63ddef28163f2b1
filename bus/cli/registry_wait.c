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
#include "registry_tool.h"

#define OBSERVE_MS 1500u /* a replica speaks every second */
#define STEP_MS    100u

struct waiting {
    struct dri_registry_tool *tool;
    const struct dri_change_item *items;
    size_t count;
    uint64_t revision, begun_ns;
};

/* Why one of the items cannot run there; absent: it can, or the replica is not so far. */
static struct dray_slice failure_of(const struct waiting *waiting,
                                    const struct dri_replica *replica, struct dray_slice *ret_key)
{
    struct dri_status_failure failure;
    size_t at = 0;
    while (dri_status_next_failure(&replica->record, &at, &failure)) {
        for (size_t i = 0; i < waiting->count; i++) {
            if (failure.revision == waiting->revision &&
                dray_slice_equal(failure.key, waiting->items[i].key)) {
                *ret_key = failure.key;
                return failure.reason;
            }
        }
    }
    return dray_slice_of(NULL, 0);
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
    struct dray_slice key = dray_slice_of(NULL, 0);
    struct dray_slice reason = failure_of(waiting, replica, &key);
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
    if (reason.at != NULL) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "%.*s cannot run it: %.*s: %.*s", (int)worker.len,
                            (const char *)worker.at, (int)key.len, (const char *)key.at,
                            (int)reason.len, (const char *)reason.at);
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

int dri_registry_tool_wait(struct dri_registry_tool *tool, const struct dri_change_item *items,
                           size_t count, uint64_t revision, uint64_t patience_ms)
{
    struct waiting waiting = {.tool = tool,
                              .items = items,
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
