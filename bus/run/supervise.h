/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SUPERVISE_H
#define DRI_SUPERVISE_H

#include <stdint.h>

/* supervise.h - what a service manager is told, by systemd's notification protocol.
 *
 * All of it is a courtesy: without NOTIFY_SOCKET nothing happens, and nothing depends on it.
 * Threads: any. Blocks: never.
 */

/** One datagram to NOTIFY_SOCKET: assignments, one a line ("READY=1\nSTATUS=serving"). What cannot
 * be delivered is dropped, with a line in the log. */
void dri_supervise_tell(const char *state);

/** RELOADING=1 with the time that systemd wants beside it. READY=1 ends it. */
void dri_supervise_tell_reloading(void);

/** How often WATCHDOG=1 is wanted: half of WATCHDOG_USEC. 0: nobody watches this process. */
uint64_t dri_supervise_interval_ns(void);

#endif
