/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_CHANGE_H
#define DRI_CLI_REGISTRY_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "run/registry.h"
#include "wire/control.h"

/* registry_change.h - what put, rm, pause and resume share: one change, by compare and set.
 *
 * Threads: one.
 */

/** Called with the log read, before each try: fills in the routes from what is there (a zero route
 *  removes). Returns an exit code. */
typedef int dri_registry_fill_fn(void *arg, const struct dri_registry *registry,
                                 struct dri_change_item *items, size_t count);

/** Without "@version" it means the one version that there is. */
struct dri_registry_key {
    char text[DRI_ROUTE_KEY_BYTES_MAX + 1];
};

struct dri_registry_edit {
    const struct dri_cli *cli;
    struct dri_change_item *items; /* bases are filled in by run; route absent: removal */
    size_t count;
    bool has_base, is_create, is_force, is_waiting;
    uint64_t base, wait_ms;
    const char *note;
    struct dri_registry_key *keys; /* of items, as they were read; NULL: the items have theirs */
    dri_registry_fill_fn *fill;    /* NULL: the routes are there already */
    void *fill_arg;
};

extern const struct dri_cli_option dri_registry_rm_options[];

/** "[namespace/]name[@version]" as a key. Prints what is wrong; returns an exit code. */
int dri_registry_key_read(const struct dri_cli *cli, const char *wanted,
                          struct dri_registry_key *ret_key);

/** Read --base, --create, --force, --wait and --note. Returns an exit code. */
int dri_registry_edit_options(struct dri_registry_edit *edit);

/** Read the log, publish, print what became of it, wait for the replicas. Returns an exit code. */
int dri_registry_edit_run(struct dri_registry_edit *edit);

#endif
