/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "binding.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "interceptor.h"
#include "log.h"
#include "preload.h"

const char *dri_binding_unsupported(const struct dri_route_view *view)
{
    if (dray_slice_equal_text(view->runtime, "exec")) {
        return "runtime exec is not in this build";
    }
    if (dray_slice_equal_text(view->runtime, "wasm")) {
        return "runtime wasm is not in this build";
    }
    if (view->policy.isolation == DRI_ISOLATION_PROCESS) {
        return "isolation process is not in this build";
    }
    return NULL;
}

/* A policy that this build reads but does not act on is said aloud, once for each route. */
static void warn_of_policy(const struct dri_route *route)
{
    const struct dri_policy *policy = &route->view.policy;
    const struct {
        const char *name;
        bool is_set;
    } rows[] = {
        {"policy.run", policy->has_run && policy->run != DRI_RUN_LANE},
    };
    for (size_t i = 0; i < DRI_ARRAY_LEN(rows); i++) {
        if (rows[i].is_set) {
            DRI_LOG(DRI_LOG_WARN, "REG-POLICY", "this build does not act on a policy of the route",
                    DRI_TEXT("route", route->key), DRI_TEXT("policy", rows[i].name));
        }
    }
}

static void refuse(struct dri_route *route, const char *text)
{
    snprintf(route->failure, sizeof(route->failure), "%s", text);
    route->handler = NULL;
}

/* Why a handler of the module does not fit the route; false: it fits. */
static bool misfits(const struct dri_route *route, const struct dray_handler *handler)
{
    struct dray_slice wanted = route->view.signature;
    return wanted.at != NULL && wanted.len > 0 &&
           !dray_slice_equal_text(wanted, handler->signature);
}

void dri_binding_bind(void *modules, struct dri_route *route)
{
    const struct dri_route_view *view = &route->view;
    const char *reason = dri_binding_unsupported(view);
    if (reason != NULL) {
        refuse(route, reason);
        return;
    }
    char text[sizeof(route->failure)] = "";
    if (dri_module_load(modules, view->module, view->sha256, &route->module, text, sizeof(text)) !=
        DRAY_OK) {
        refuse(route, text);
        return;
    }
    struct dray_slice name = view->handler.at != NULL ? view->handler : view->name;
    const struct dray_handler *handler = dri_module_find(route->module, name);
    if (handler == NULL) {
        snprintf(text, sizeof(text), "module %s has no handler \"%.*s\"",
                 dri_module_name(route->module), (int)(name.len < 64 ? name.len : 64),
                 (const char *)name.at);
        refuse(route, text);
    } else if (misfits(route, handler)) {
        snprintf(text, sizeof(text),
                 "module %s was built for another signature than the route has: put a route with "
                 "the module's signature, or install the module that fits",
                 dri_module_name(route->module));
        refuse(route, text);
    } else if (dri_chain_load(modules, &view->policy, &route->chain, text, sizeof(text)) !=
               DRAY_OK) {
        refuse(route, text);
    } else {
        route->failure[0] = '\0';
        route->handler = handler;
        if (view->policy.is_preload) {
            (void)dri_preload(dri_module_descriptor(route->module));
        }
        warn_of_policy(route);
    }
    if (route->handler == NULL) {
        dri_module_release(route->module);
        route->module = NULL;
    }
}

void dri_binding_bind_without_window(void *modules, struct dri_route *route)
{
    if (route->view.policy.window_ms != 0) {
        refuse(route, "policy.idempotency wants a window, and worker.window_ms is 0 here");
        return;
    }
    dri_binding_bind(modules, route);
}

void dri_binding_unbind(void *modules, struct dri_route *route)
{
    (void)modules;
    dri_chain_release(route->chain);
    route->chain = NULL;
    dri_module_release(route->module);
    route->module = NULL;
    route->handler = NULL;
}
