/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_LAST_RUN_H
#define DRI_LAST_RUN_H

#include <stdbool.h>

/* last_run.h - a mark in the state folder that says how the last run ended.
 *
 * It says "running" from before the first command is taken in until everything that was taken in
 * is settled; then "clean". So a start that finds "running" follows a crash, a kill, or a stop with
 * work unfinished. Threads: one.
 */

enum dri_last_run {
    DRI_LAST_RUN_NONE, /* this folder was never served from */
    DRI_LAST_RUN_CLEAN,
    DRI_LAST_RUN_UNCLEAN
};

/** What the folder says. What cannot be read or understood counts as unclean. */
enum dri_last_run dri_last_run_read(const char *folder);

/** Replace the mark, durably. A failure is logged and costs only the mark: on a full disk a worker
 * still works. */
void dri_last_run_begin(const char *folder);
void dri_last_run_end(const char *folder);

#endif
