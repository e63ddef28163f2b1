/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_EXIT_ALARM_H
#define DRI_EXIT_ALARM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <dray/status.h>

/* exit_alarm.h - a time after which the process ends, whatever it hangs in.
 *
 * Closing calls into client libraries that have hung, and no call into them can be taken back. What
 * matters was done before: so the end of the process waits for them for a bounded time only.
 * Threads: arm and disarm from one.
 */

struct dri_exit_alarm {
    pthread_t thread;
    int end_fd; /* written when it is disarmed */
    uint64_t until_ns;
    int code;
    bool is_armed;
};

/** In ms the process says one last line and ends by _exit(code), unless it is disarmed before.
 *  Errors: EIO: no thread or no descriptor is to be had; then nothing bounds the end. */
DRAY_MUST_CHECK enum dray_status dri_exit_alarm_arm(struct dri_exit_alarm *alarm, uint32_t ms,
                                                    int code);
/** Of a zeroed or disarmed one a no-op. */
void dri_exit_alarm_disarm(struct dri_exit_alarm *alarm);

#endif
