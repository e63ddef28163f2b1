/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_PARKED_LIST_H
#define DRI_CLI_PARKED_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "cli.h"
#include "log_walk.h"
#include "wire/park.h"

/* parked_list.h - what waits in a group's park log, as the workers of the group would see it who
 * read the log now.
 *
 * Threads: one.
 */

/** One record that is not finished. Slices borrow from the record itself. */
struct dri_parked_record {
    struct dri_log_place place; /* origin is not kept */
    char position[DRI_POSITION_BYTES];
    uint64_t offset;
    uint64_t order; /* at which it first stood in the log */
    int64_t timestamp_ms;
    struct dray_slice topic, headers;
    struct dray_slice key;     /* by which it is ordered: the envelope's, else the message's */
    struct dray_slice command; /* absent: HELD */
    char id[129];              /* "": not known */
    struct dri_park park;      /* what releases have let go is a COMMAND by now */
    /* Of the first record of a key that is stopped or held: */
    bool is_stopper;
    uint64_t behind; /* commands that wait behind it, or before it for their turn */
};

struct dri_parked_list {
    struct dri_parked_record **at; /* owned, each owned; by key, then in the order of the key */
    size_t count, capacity;
    size_t foreign; /* messages that are no records */
};

/** Read the log. Says what is wrong. Returns an exit code: NO_MATCH when there is no such topic. */
int dri_parked_list_read(const struct dri_cli *cli, struct dri_parked_list *list);
void dri_parked_list_fini(struct dri_parked_list *list);

/** Whether two records are of one key in one part of the log. */
bool dri_parked_is_same_key(const struct dri_parked_record *a, const struct dri_parked_record *b);

/** "stopped", "held" or "waiting". */
const char *dri_parked_state(const struct dri_parked_record *record);

#endif
