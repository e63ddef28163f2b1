/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* swap.c - one module in two versions (VERSION is 1 or 2), which define the same global symbols and
 * use them as any program does, so that a loader that mixes them up is found out. */

#include "swap.h"

#include <stdlib.h>

#include <dray/handler.h>

/* Visible outside, and bound at load: what -Bsymbolic or a hidden symbol would avoid. */
DRAY_API int swap_number(void);
extern DRAY_API int swap_value;
extern DRAY_API struct swap_tally *swap_shared;

int swap_value = VERSION;
struct swap_tally *swap_shared;

int swap_number(void)
{
    return VERSION;
}

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    if (env->is_trial) {
        return DRAY_OK; /* there is no tally in that process */
    }
    swap_shared = (struct swap_tally *)(uintptr_t)strtoull(env->worker, NULL, 16);
    atomic_fetch_add(&swap_shared->opens, 1);
    *ret_user = swap_shared;
    return DRAY_OK;
}

static void end(void *user)
{
    if (user != NULL) {
        atomic_fetch_add(&((struct swap_tally *)user)->closes, 1);
    }
    swap_shared = NULL;
}

static enum dray_error_kind run(struct dray_call *call)
{
    struct swap_tally *tally = call->user;

    atomic_fetch_add(&tally->calls[VERSION], 1);
    if (swap_shared != tally || swap_value != VERSION || swap_number() != VERSION) {
        atomic_fetch_add(&tally->wrong, 1);
    }
    return DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {.command = "swap.run", .version = "1.0.0", .signature = "", .name = "swap", .fn = run},
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,
    .name = "swap",
    .handlers = handlers,
    .handlers_count = 1,
    .open = begin,
    .close = end,
    .flags = DRAY_MODULE_UNLOADABLE,
};
