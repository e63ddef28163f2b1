/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "router.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct router {
    struct dri_router_base base; /* first */
    const struct sim_options *options;
    struct sim_checker *checker;
    uint64_t revision; /* of the latest change */
    uint64_t revisions[SIM_ROUTES_MAX];
    bool is_paused[SIM_ROUTES_MAX];
    char keys[SIM_ROUTES_MAX][32];
    bool is_inside;
};

static struct router *router_of(struct dri_router *self)
{
    return (struct router *)(void *)self;
}

static uint64_t revision(const struct dri_router *self)
{
    return ((const struct router *)(const void *)self)->revision;
}

static bool has_special(const struct dri_router *self)
{
    return ((const struct router *)(const void *)self)->options->routes_count > 0;
}

static void enter(struct dri_router *self)
{
    DRI_ASSERT(!router_of(self)->is_inside);
    router_of(self)->is_inside = true;
}

static void leave(struct dri_router *self)
{
    DRI_ASSERT(router_of(self)->is_inside);
    router_of(self)->is_inside = false;
}

static void resolve(struct dri_router *self, const struct dri_flight *flight,
                    struct dri_routing *ret_routing)
{
    struct router *router = router_of(self);
    const struct sim_plan *plan = sim_checker_plan(router->checker, flight);
    const struct sim_route *route = sim_route_of(router->options, plan->index);
    DRI_ASSERT(router->is_inside);
    *ret_routing = (struct dri_routing){.revision = 0};
    if (route == NULL) {
        return;
    }
    size_t number = (size_t)(route - router->options->routes);
    ret_routing->key = dray_slice_text(router->keys[number]);
    ret_routing->revision = router->revisions[number];
    ret_routing->is_special = true;
    ret_routing->limits = route->limits;
    ret_routing->limits.is_paused = router->is_paused[number];
    for (uint32_t i = 0; i < SIM_DEPENDS_MAX; i++) {
        if ((route->depends >> i & 1u) != 0) {
            ret_routing->depends[ret_routing->depends_count++] =
                dray_slice_text(sim_dependency_names[i]);
        }
    }
    ret_routing->version = dray_slice_text("1.0.0");
    if (route->has_fallback) {
        ret_routing->fallback = dray_slice_text(SIM_FALLBACK);
    }
    ret_routing->has_order = route->has_order;
    ret_routing->order = route->order;
    ret_routing->key_concurrency = route->key_concurrency;
    ret_routing->window_ms = router->options->twins != 0 ? SIM_WINDOW_MS : 0;
}

struct dri_router *sim_router_create(const struct sim_options *options, struct sim_checker *checker)
{
    static const struct dri_router_ops ops = {.revision = revision,
                                              .has_special = has_special,
                                              .enter = enter,
                                              .leave = leave,
                                              .resolve = resolve};
    struct router *router = dri_zalloc(sizeof(*router));
    DRI_ASSERT(router != NULL);
    router->base.ops = &ops;
    router->options = options;
    router->checker = checker;
    router->revision = 1;
    for (uint32_t i = 0; i < SIM_ROUTES_MAX; i++) {
        router->revisions[i] = 1;
        (void)snprintf(router->keys[i], sizeof(router->keys[i]), "default/sim.run@%u.0.0", i);
    }
    return (struct dri_router *)(void *)router;
}

void sim_router_destroy(struct dri_router *self)
{
    dri_free(self);
}

void sim_router_toggle(struct dri_router *self, uint32_t route)
{
    struct router *router = router_of(self);
    router->is_paused[route] = !router->is_paused[route];
    router->revisions[route] = ++router->revision;
    sim_checker_paused(router->checker, route, router->is_paused[route]);
}

void sim_router_resume_all(struct dri_router *self)
{
    for (uint32_t i = 0; i < SIM_ROUTES_MAX; i++) {
        if (router_of(self)->is_paused[i]) {
            sim_router_toggle(self, i);
        }
    }
}
