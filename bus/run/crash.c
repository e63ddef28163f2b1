/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "crash.h"

#include <stddef.h>

#ifdef DRI_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_it(const char *variable, const char *name, _Atomic(long) *passed)
{
    const char *wanted = getenv(variable);
    size_t len = wanted != NULL ? strcspn(wanted, ":") : 0;
    if (wanted == NULL || strlen(name) != len || memcmp(name, wanted, len) != 0) {
        return false;
    }
    long at = wanted[len] == ':' ? strtol(wanted + len + 1, NULL, 10) : 1;
    return atomic_fetch_add(passed, 1) + 1 == at;
}

static void at_point(const char *name)
{
    static _Atomic(long) crashes, stops, hangs;
    if (is_it("DRAY_CRASH_AT", name, &crashes)) {
        (void)kill(getpid(), SIGKILL);
    }
    if (is_it("DRAY_STOP_AT", name, &stops)) {
        (void)raise(SIGSTOP); /* of this thread: kill lets it go on for a while */
    }
    if (is_it("DRAY_HANG_AT", name, &hangs)) {
        for (;;) {
            (void)pause();
        }
    }
}

dri_crash_point_fn *dri_crash_point_hook(void)
{
    bool is_wanted = getenv("DRAY_CRASH_AT") != NULL || getenv("DRAY_STOP_AT") != NULL ||
                     getenv("DRAY_HANG_AT") != NULL;
    return is_wanted ? at_point : NULL;
}

#else

dri_crash_point_fn *dri_crash_point_hook(void)
{
    return NULL;
}

#endif
