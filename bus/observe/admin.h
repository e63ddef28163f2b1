/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ADMIN_H
#define DRI_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "metrics.h"

/* admin.h - /metrics /livez /readyz /healthz over HTTP, on loopback unless told otherwise.
 *
 * GET and HEAD only, fixed paths, no body read, connections and time bounded, own thread
 * (libmicrohttpd). Threads: start and stop from one thread; the probes are asked on the server's.
 */

struct dri_admin;

struct dri_admin_config {
    const char *listen;          /* "127.0.0.1:9464", "[::1]:0" */
    struct dri_metrics *metrics; /* borrowed */
    /** Fill text with one line that says why (also when fine). Threads: the server's. */
    bool (*is_alive)(void *arg, char *ret_text, size_t text_bytes);
    bool (*is_ready)(void *arg, char *ret_text, size_t text_bytes);
    void *arg;
};

/** Errors: EINVALID (listen), EEXISTS (address in use), EIO; ret_text says what to do. */
DRAY_MUST_CHECK enum dray_status dri_admin_start(const struct dri_admin_config *config,
                                                 struct dri_admin **ret_admin, char *ret_text,
                                                 size_t text_bytes);
/** "host:port" as bound. */
const char *dri_admin_address(const struct dri_admin *admin);
/** NULL is a no-op. */
void dri_admin_stop(struct dri_admin *admin);

#endif
