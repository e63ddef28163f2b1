/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* spy.c - a good module that counts its opens and closes, and can be told to fail its open. */

#include <stdlib.h>
#include <string.h>

#include <dray/handler.h>
#include <dray/writer.h>

static struct {
    unsigned opens;
    unsigned closes;
} counts;

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    const char *failure = getenv("DRAY_TEST_SPY_OPEN"); /* NOLINT(concurrency-mt-unsafe): alone */

    if (failure != NULL && strcmp(failure, "permanent") == 0) {
        env->log(2, "told to fail");
        return DRAY_EUNSUPPORTED;
    }
    if (failure != NULL && strcmp(failure, "transient") == 0) {
        return DRAY_ETIMEOUT;
    }
    if (strcmp(env->worker, "worker-1") != 0 || strncmp(env->module, "spy", 3) != 0) {
        return DRAY_EFATAL;
    }
    counts.opens++;
    *ret_user = &counts;
    return DRAY_OK;
}

static void end(void *user)
{
    (void)user;
    counts.closes++;
}

static enum dray_error_kind count(struct dray_call *call)
{
    dray_write_array(&call->result, 3);
    dray_write_uint(&call->result, counts.opens);
    dray_write_uint(&call->result, counts.closes);
    dray_write_bool(&call->result, call->user == &counts);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind nothing(struct dray_call *call)
{
    (void)call;
    return DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {.command = "spy.count", .version = "1.0.0", .signature = "", .name = "count", .fn = count},
    {.command = "spy.count",
     .version = "2.0.0-rc.1",
     .signature = "",
     .name = "other",
     .fn = nothing},
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,    .name = "spy", .handlers = handlers,
    .handlers_count = 2, .open = begin, .close = end,
};
