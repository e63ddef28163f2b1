/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_FILES_H
#define DRI_CLI_REGISTRY_FILES_H

#include <stddef.h>

#include "cli.h"
#include "config.h"
#include "registry_change.h"

/* registry_files.h - a set of routes from files: one, or a folder with all that is below it.
 *
 * Threads: one.
 */

struct dri_file_route {
    struct dri_registry_key key;
    struct dray_slice route; /* borrows from the set */
    const char *file;        /* borrows from the set */
};

struct dri_route_files {
    struct dri_routes *loaded; /* owned, each owned; one a file */
    char **files;              /* owned, each owned */
    size_t files_count, files_capacity;
    struct dri_file_route *routes; /* owned; no key twice */
    size_t count;
};

/** Every route of a file, or of the *.yaml and *.yml of a folder, by name; names that begin with a
 *  dot are passed over. Warns of what is odd, prints what is wrong; returns an exit code. */
int dri_route_files_load(const struct dri_cli *cli, const char *path,
                         struct dri_route_files *ret_files);
/** Of a zeroed one a no-op. */
void dri_route_files_fini(struct dri_route_files *files);

/** The key of a route that is to be put: decodes it, and refuses what no worker of this build can
 *  run. file: where it stands; NULL: in the arguments, whose faults are of usage. Returns an exit
 *  code. */
int dri_registry_route_check(const struct dri_cli *cli, const char *file, struct dray_slice route,
                             struct dri_registry_key *ret_key);

#endif
