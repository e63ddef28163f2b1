/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "crash.h"

#include <stddef.h>

#ifdef DRI_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void crash_if_named(const char *name)
{
    static _Atomic(long) passed;
    const char *wanted = getenv("DRAY_CRASH_AT");
    size_t len = wanted != NULL ? strcspn(wanted, ":") : 0;
    if (wanted == NULL || strlen(name) != len || memcmp(name, wanted, len) != 0) {
        return;
    }
    long at = wanted[len] == ':' ? strtol(wanted + len + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == at) {
        (void)kill(getpid(), SIGKILL);
    }
}

dri_crash_point_fn *dri_crash_point_hook(void)
{
    return getenv("DRAY_CRASH_AT") != NULL ? crash_if_named : NULL;
}

#else

dri_crash_point_fn *dri_crash_point_hook(void)
{
    return NULL;
}

#endif
