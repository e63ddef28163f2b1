/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CRASH_H
#define DRI_CRASH_H

/* crash.h - kills, stops or hangs the process at a named point, so that a test can prove what
 * survives it.
 *
 * Built in only with DRI_CRASH_POINTS (the presets dev, asan and tsan; never release).
 * DRAY_CRASH_AT is "<point>[:<n>]": SIGKILL at the n-th time that the point is passed (default 1).
 * DRAY_STOP_AT is the same with SIGSTOP: the process stands still until somebody sends SIGCONT.
 * DRAY_HANG_AT is the same, but the thread that passes never goes on: a call that does not return.
 */

typedef void dri_crash_point_fn(const char *name);

/** What to hand to engine and executor: NULL unless built in and asked for. Threads: any. */
dri_crash_point_fn *dri_crash_point_hook(void);

#endif
