/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* exit_alarm.c - a thread that ends the process.
 *
 * A thread and no SIGALRM: a client library may block signals or have its own idea of them, and a
 * handler may only do what is async-signal-safe, while a thread of its own may build a line. It
 * takes no lock that others hold (the rate limit's is left out), and writes only when standard
 * error takes it at once: a log that is not read must not hold the end either.
 */
#include "exit_alarm.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "assert.h"
#include "clock.h"
#include "log.h"

static void *wait_and_end(void *arg)
{
    struct dri_exit_alarm *alarm = arg;
    struct pollfd end = {.fd = alarm->end_fd, .events = POLLIN};
    for (uint64_t now = 0; (now = dri_clock_mono_ns()) < alarm->until_ns;) {
        if (poll(&end, 1, (int)((alarm->until_ns - now) / 1000000u) + 1) > 0) {
            return NULL;
        }
    }
    struct pollfd sink = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&sink, 1, 0) > 0) {
        dri_log_last_word(DRI_LOG_WARN, "WRK-LATE",
                          alarm->code == 0
                              ? "leaving takes too long; everything is settled, so it ends here"
                              : "leaving takes too long; what was not settled comes again");
    }
    _exit(alarm->code);
}

enum dray_status dri_exit_alarm_arm(struct dri_exit_alarm *alarm, uint32_t ms, int code)
{
    DRI_ASSERT(!alarm->is_armed);
    alarm->end_fd = eventfd(0, EFD_CLOEXEC);
    alarm->until_ns = dri_clock_mono_ns() + (uint64_t)ms * 1000000u;
    alarm->code = code;
    if (alarm->end_fd < 0) {
        return DRAY_EIO;
    }
    alarm->is_armed = pthread_create(&alarm->thread, NULL, wait_and_end, alarm) == 0;
    if (!alarm->is_armed) {
        (void)close(alarm->end_fd);
        return DRAY_EIO;
    }
    return DRAY_OK;
}

void dri_exit_alarm_disarm(struct dri_exit_alarm *alarm)
{
    uint64_t one = 1;
    if (!alarm->is_armed) {
        return;
    }
    if (write(alarm->end_fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        (void)pthread_join(alarm->thread, NULL);
    }
    (void)close(alarm->end_fd);
    alarm->is_armed = false;
}
