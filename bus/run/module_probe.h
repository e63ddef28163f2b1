/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_MODULE_PROBE_H
#define DRI_MODULE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/api.h>
#include <dray/status.h>

/* module_probe.h - a trial of a module in a child, so that a bad one never takes a worker down.
 *
 * The child is a program that begins with dri_probe_main: dray itself (/proc/self/exe), or a test.
 */

struct dri_prober;

/** Both texts are copied. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_prober_create(const char *program, const char *worker,
                                                   uint32_t timeout_ms,
                                                   struct dri_prober **ret_prober);
/** NULL is a no-op. */
void dri_prober_destroy(struct dri_prober *prober);

struct dri_prober_copy {
    int fd; /* sealed */
    const char *sha256;
    const char *name;
};

/** Load, open, close and unload the copy in a child. What is known of these bytes is not tried
 *  again: that they were good, and for some minutes that they ended or kept the child. Blocks, up
 * to the time limit. Threads: one at a time. Errors: EINVALID (crash, hang, and what
 * dri_module_load has), EIO (the child could not be made), ENOMEM; ret_text says what and what to
 * do. */
DRAY_MUST_CHECK enum dray_status dri_prober_try(struct dri_prober *prober,
                                                const struct dri_prober_copy *copy,
                                                bool *ret_unloadable, char *ret_text,
                                                size_t text_bytes);

/** Trials that failed, ever. Threads: any. */
uint64_t dri_prober_failed(const struct dri_prober *prober);

/** First of all in main. When the process was started to try a module it does that and does not
 *  come back. */
void dri_probe_main(int argc, char **argv);
/** What to start for a trial: this very program, if it has begun with dri_probe_main; else NULL,
 * and nothing is tried (a worker in a program of somebody else's). */
const char *dri_probe_program(void);

#endif
