/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_LOG_WALK_H
#define DRI_CLI_LOG_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "bus.h"
#include "cli.h"

/* log_walk.h - a topic from where reading begins to what was its end then: no group is joined,
 * nothing is settled, nothing deleted.
 *
 * What arrives meanwhile is not shown. Threads: one.
 */

#define DRI_POSITION_BYTES 320u

/** Where a message stands. Borrowed for the call. */
struct dri_log_place {
    uint32_t slot;
    bool has_partition; /* Kafka */
    int32_t partition;  /* 0 without */
    const char *origin; /* "topic/partition" or "stream" */
};

struct dri_log_walk_config {
    const struct dri_cli *cli;
    struct dri_source source; /* DRI_ROLE_LOG */
    const char *group;        /* with DRI_START_GROUP */
    /** Slices borrow for the call. A status other than OK ends the walk with it. */
    enum dray_status (*on_message)(void *arg, const struct dri_log_place *place,
                                   const struct dri_message *message);
    /** A part of the log begins, from position on. NULL: nobody asks. */
    enum dray_status (*on_begin)(void *arg, const struct dri_log_place *place, int64_t position,
                                 struct dray_slice metadata);
    void *arg;
};

struct dri_log_walk;

/** Owns: *ret_walk returned owned; config is copied. Errors: as dri_bus_open. */
DRAY_MUST_CHECK enum dray_status dri_log_walk_open(const struct dri_log_walk_config *config,
                                                   struct dri_log_walk **ret_walk, char *ret_text,
                                                   size_t text_bytes);
/** One step on. Errors: ENOTFOUND at the end; as dri_bus_run; what a callback gave. */
DRAY_MUST_CHECK enum dray_status dri_log_walk_step(struct dri_log_walk *walk);
/** Why a step gave EBROKER or EFATAL, or "". */
const char *dri_log_walk_fault(const struct dri_log_walk *walk);
/** NULL is a no-op. */
void dri_log_walk_close(struct dri_log_walk *walk);

/** "topic/partition/offset" or "stream/sequence". */
void dri_log_position(const struct dri_log_place *place, uint64_t offset,
                      char ret_text[DRI_POSITION_BYTES]);

/** The exit code for the status that ended a walk (OK, ENOTFOUND: 0); says what is wrong. */
int dri_log_walk_end(const struct dri_cli *cli, const struct dri_log_walk *walk, const char *topic,
                     enum dray_status status);

#endif
