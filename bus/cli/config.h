/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_CONFIG_H
#define DRI_CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "run/settings.h"

/* config.h - settings from defaults, file, environment and command line, in this order.
 *
 * Threads: one.
 */

struct dri_config;

/** Where to look. NULL and 0 mean: not given. */
struct dri_config_request {
    const char *file;               /* YAML */
    const char *const *environment; /* "NAME=value", ends with NULL */
    const char *const *sets;        /* "key=value" of --set, in order */
    size_t sets_count;
    const char *bus, *topic, *group; /* --bus, --topic, --group */
    bool needs_bus;                  /* no bus: an error */
};

/** Load, merge, check. *ret_settings borrows from *ret_config until destroy.
 *  Errors: EINVALID (what the user wrote: ret_text says where and what to do), ENOTFOUND, EIO,
 * EAUTH (the file), EUNSUPPORTED, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_config_load(const struct dri_config_request *request,
                                                 struct dri_config **ret_config,
                                                 struct dri_settings *ret_settings, char *ret_text,
                                                 size_t text_bytes);
/** NULL is a no-op. */
void dri_config_destroy(struct dri_config *config);

/** What is odd and no error, one sentence each: unknown DRAY_ variables, unknown keys of a route.
 * NULL past the end. */
const char *dri_config_warning(const struct dri_config *config, size_t n);

/** One effective value. */
struct dri_config_value {
    const char *key;
    const char *text; /* NULL: not set; secrets are "***" */
    const char
        *source; /* "default", "worker.yaml:12", "environment DRAY_BUS", "--set", "derived" */
    bool is_default;
};
/** The n-th key of the table, then the options of the client library; false past the end. Borrows
 * from config. */
bool dri_config_value(const struct dri_config *config, size_t n,
                      struct dri_config_value *ret_value);

/** Called for each key whose value differs. is_applied: a worker that was started with start and is
 * told to reload has what after says, either because SIGHUP applies the key, or because it is again
 * what it was started with; else it needs a restart. */
typedef void dri_config_difference_fn(void *arg, const char *key, bool is_applied);
void dri_config_differences(const struct dri_config *start, const struct dri_config *before,
                            const struct dri_config *after, dri_config_difference_fn *on_difference,
                            void *arg);

/** A row of the table, for the reference. Strings are static. */
struct dri_config_key {
    const char *key;
    const char *type; /* "number from 1 to 1024", "size, as 64MiB", "one of key, partition, none" */
    const char *standard; /* default, or NULL */
    const char *help;
    const char *reload; /* what SIGHUP does: "applied", "restart", "up to the start's" */
};
/** false past the end. ret_type_text keeps the text of type. */
bool dri_config_key(size_t n, struct dri_config_key *ret_key, char *ret_type_text,
                    size_t type_text_bytes);

/** Routes of a YAML file that holds one route or a list of them, or a configuration with `routes:`.
 *  Life: load, fini. */
struct dri_routes {
    struct dray_slice *items; /* owned; msgpack bytes of a route map each, owned and checked */
    size_t count;
    char **warnings; /* owned, each owned */
    size_t warnings_count;
};
/** Errors: as dri_config_load. */
DRAY_MUST_CHECK enum dray_status dri_routes_load(const char *file, struct dri_routes *ret_routes,
                                                 char *ret_text, size_t text_bytes);
/** What is odd in the bytes of a route and no error: keys that this build does not know, one
 * sentence each. */
typedef void dri_route_odd_fn(void *arg, const char *text);
void dri_route_look(struct dray_slice route, dri_route_odd_fn *on_odd, void *arg);
/** Of a zeroed struct a no-op. */
void dri_routes_fini(struct dri_routes *routes);

/** "64MiB", "10kB", "512" to bytes. Errors: EINVALID. */
DRAY_MUST_CHECK enum dray_status dri_size_parse(const char *text, uint64_t *ret_bytes);

#endif
