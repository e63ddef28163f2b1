/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* wide.c - a module of some megabytes, of which the loader touches next to nothing. */

#include <dray/handler.h>
#include <dray/writer.h>

#define WIDE_BYTES (4u << 20)

static const unsigned char wide[WIDE_BYTES] = {[WIDE_BYTES / 2] = 7};

/* For the test, which reads it without a call. */
static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    (void)env;
    *ret_user = (void *)(uintptr_t)wide;
    return DRAY_OK;
}

static enum dray_error_kind middle(struct dray_call *call)
{
    dray_write_uint(&call->result, wide[WIDE_BYTES / 2]);
    return DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {.command = "wide.middle", .version = "1.0.0", .signature = "", .name = "h", .fn = middle},
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,     .name = "wide",      .build = "test",
    .handlers = handlers, .handlers_count = 1, .open = begin,
};
