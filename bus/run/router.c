/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* router.c - what the registry says about a command's route, for the engine.
 *
 * The engine's thread is a reader of the registry only while it asks: it is offline while it sleeps
 * and while no route is special, so that it never delays a grace period and costs nothing then.
 */
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "groups.h"
#include "mem.h"
#include "registry.h"
#include "routing.h"

#define AUTH_MS     60000u /* from a failure of kind auth to the probe */
#define BURST_SHARE 10u    /* of the rate that goes at once when the route does not say: 100 ms */

struct router {
    struct dri_router_base base; /* first */
    const struct dri_registry *registry;
    struct dri_reader *reader; /* owned */
};

static struct router *router_of(struct dri_router *self)
{
    return (struct router *)(void *)self;
}

static uint64_t revision(const struct dri_router *self)
{
    return dri_registry_revision(((const struct router *)(const void *)self)->registry);
}

static bool has_special(const struct dri_router *self)
{
    return dri_registry_has_special(((const struct router *)(const void *)self)->registry);
}

static void enter(struct dri_router *self)
{
    dri_reader_online(router_of(self)->reader);
}

static void leave(struct dri_router *self)
{
    dri_reader_offline(router_of(self)->reader);
}

void dri_router_query(const struct dri_flight *flight, struct dri_query *ret_query)
{
    const struct dri_envelope *envelope = &flight->envelope;
    *ret_query = (struct dri_query){
        .ns = envelope->namespace_,
        .name = envelope->command,
        .version = envelope->version,
        .tags = envelope->tags,
        .fid = envelope->fid,
        .has_fid = envelope->has_fid,
        .key_hash = flight->choice_hash,
    };
}

void dri_router_explain(const struct dri_query *query, enum dray_status status, char *ret_text,
                        size_t text_bytes)
{
    unsigned long long fid = query->fid;
    int version_len = (int)(query->version.len < 64 ? query->version.len : 64);
    if (status != DRAY_ECONFLICT && query->has_fid && query->name.at == NULL) {
        (void)snprintf(ret_text, text_bytes,
                       "no route has function id %016llx: put the route with the signature that it "
                       "was made from, or send cmd, too",
                       fid);
    } else if (status != DRAY_ECONFLICT) {
        (void)snprintf(
            ret_text, text_bytes,
            "no route for this command in its namespace: put one, or send the right name");
    } else if (query->has_fid) {
        (void)snprintf(
            ret_text, text_bytes,
            "function id %016llx is of another name, version or signature than a route "
            "that is here: make it anew from that route, leave fid out, or put the route "
            "that it means",
            fid);
    } else if (query->version.at != NULL) {
        (void)snprintf(ret_text, text_bytes,
                       "no route in a version that fits \"%.*s\" has only tags that the command "
                       "has: ask for a version that is there, or put that one",
                       version_len, (const char *)query->version.at);
    } else {
        (void)snprintf(ret_text, text_bytes,
                       "each route of this command has a tag that the command has not: send it, or "
                       "put a route without tags");
    }
}

static void limits_of(const struct dri_route_view *view, struct dri_group_limits *ret_limits)
{
    const struct dri_policy *policy = &view->policy;
    uint32_t burst = policy->burst != 0 ? policy->burst : policy->rate / BURST_SHARE;
    *ret_limits = (struct dri_group_limits){
        .concurrency = policy->concurrency,
        .concurrency_min = policy->concurrency_min,
        .rate = policy->rate,
        .burst = burst,
        .failures = policy->breaker_failures,
        .open_ms = policy->breaker_open_ms,
        .auth_ms = AUTH_MS,
        .is_paused = view->state != DRI_ROUTE_ACTIVE,
    };
}

static void resolve(struct dri_router *self, const struct dri_flight *flight,
                    struct dri_routing *ret_routing)
{
    struct router *router = router_of(self);
    const struct dri_route *route = NULL;
    struct dri_query query;
    dri_router_query(flight, &query);
    *ret_routing = (struct dri_routing){.revision = 0};
    if (dri_registry_pin(router->reader, &query, &route) != DRAY_OK) {
        return;
    }
    dri_registry_unpin(router->reader, route); /* we are online: it stays until leave */
    ret_routing->key = dray_slice_text(route->key);
    ret_routing->revision = route->revision;
    ret_routing->is_special = dri_route_is_special(&route->view);
    ret_routing->has_order = route->view.policy.has_order;
    ret_routing->order = route->view.policy.order;
    ret_routing->is_rate_shared = route->view.policy.is_rate_shared;
    ret_routing->key_concurrency = route->view.policy.key_concurrency;
    ret_routing->window_ms = route->view.policy.window_ms;
    limits_of(&route->view, &ret_routing->limits);
    ret_routing->version = route->view.version;
    ret_routing->fallback = route->view.policy.fallback;
    ret_routing->depends_count = route->view.policy.depends_count;
    memcpy(ret_routing->depends, route->view.policy.depends, sizeof(ret_routing->depends));
}

enum dray_status dri_router_create(struct dri_registry *registry, struct dri_router **ret_router)
{
    static const struct dri_router_ops ops = {
        .revision = revision,
        .has_special = has_special,
        .enter = enter,
        .leave = leave,
        .resolve = resolve,
    };
    struct router *router = dri_zalloc(sizeof(*router));
    if (router == NULL) {
        return DRAY_ENOMEM;
    }
    router->base.ops = &ops;
    router->registry = registry;
    enum dray_status status = dri_reader_register(registry, &router->reader);
    if (status != DRAY_OK) {
        dri_free(router);
        return status;
    }
    dri_reader_offline(router->reader);
    *ret_router = (struct dri_router *)(void *)router;
    return DRAY_OK;
}

void dri_router_destroy(struct dri_router *self)
{
    if (self != NULL) {
        dri_reader_unregister(router_of(self)->reader);
        dri_free(self);
    }
}
