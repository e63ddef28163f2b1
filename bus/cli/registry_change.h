/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_CHANGE_H
#define DRI_CLI_REGISTRY_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "wire/control.h"

/* registry_change.h - what put and rm share: one change, by compare and set.
 *
 * Threads: one.
 */

struct dri_registry_tool;

struct dri_registry_edit {
    const struct dri_cli *cli;
    struct dri_change_item *items; /* bases are filled in by run; route absent: removal */
    size_t count;
    bool has_base, is_create, is_force, is_waiting;
    uint64_t base, wait_ms;
    const char *note;
    /** After the log was read, before anything is changed: may set the keys of items. Returns an
     * exit code. NULL: they are set. */
    int (*resolve)(struct dri_registry_edit *edit, const struct dri_registry_tool *tool);
    void *arg; /* resolve's */
};

extern const struct dri_cli_option dri_registry_rm_options[];

/** Read --base, --create, --force, --wait and --note. Returns an exit code. */
int dri_registry_edit_options(struct dri_registry_edit *edit);

/** Read the log, publish, print what became of it, wait for the replicas. Returns an exit code. */
int dri_registry_edit_run(struct dri_registry_edit *edit);

#endif
