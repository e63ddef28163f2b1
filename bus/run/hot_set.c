/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "hot_set.h"

#include "interceptor.h"
#include "module.h"
#include "preload.h"

#define TURN_NS     UINT64_C(1000000000)
#define MODULES_MAX 64u /* that are kept mapped */

void dri_hottest_add(struct dri_hottest *hottest, const struct dri_route *route)
{
    uint64_t calls = dri_heat_window(&route->heat);
    if (calls == 0) {
        return;
    }
    hottest->called++;
    hottest->hot += calls >= hottest->calls_min;
    size_t at = hottest->count;
    while (at > 0 && dri_heat_window(&hottest->routes[at - 1]->heat) < calls) {
        at--;
    }
    if (at == DRI_HOT_LISTED_MAX) {
        return;
    }
    hottest->count += hottest->count < DRI_HOT_LISTED_MAX;
    for (size_t i = hottest->count - 1; i > at; i--) {
        hottest->routes[i] = hottest->routes[i - 1];
    }
    hottest->routes[at] = route;
}

void dri_hot_set_init(struct dri_hot_set *set, struct dri_registry *registry,
                      struct dri_metrics_page *page, uint32_t calls_min, uint32_t window_ms)
{
    *set = (struct dri_hot_set){
        .registry = registry,
        .page = page,
        .calls_min = calls_min,
        .part_ns = (uint64_t)window_ms * 1000000u / DRI_HEAT_PARTS,
    };
}

/* Parts begin at one, so that a route without heat is older than all of them. */
static uint64_t part_of(const struct dri_hot_set *set, uint64_t mono_ns)
{
    return mono_ns / set->part_ns + 1;
}

void dri_hot_set_take(struct dri_hot_set *set, uint64_t mono_ns)
{
    dri_registry_take_calls(set->registry, part_of(set, mono_ns));
}

struct look {
    struct dri_hottest hottest;
    size_t idle;
    const struct dri_module *modules[MODULES_MAX]; /* to be kept mapped */
    size_t modules_count;
};

static void want(struct look *look, const struct dri_module *module)
{
    size_t i = 0;
    while (i < look->modules_count && look->modules[i] != module) {
        i++;
    }
    if (i == look->modules_count && i < MODULES_MAX) {
        look->modules[look->modules_count++] = module;
    }
}

static void look_at(void *arg, const struct dri_route *route)
{
    struct look *look = arg;
    dri_hottest_add(&look->hottest, route);
    look->idle += route->handler != NULL && route->heat.total == 0;
    bool is_wanted =
        route->view.policy.is_preload || dri_heat_window(&route->heat) >= look->hottest.calls_min;
    if (is_wanted && route->module != NULL) {
        want(look, route->module);
    }
    for (size_t i = 0; is_wanted && i < dri_chain_count(route->chain); i++) {
        want(look, dri_chain_module(route->chain, i));
    }
}

static void show(const struct dri_hot_set *set, const struct look *look)
{
    struct dri_metrics_route rows[DRI_HOT_LISTED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < look->hottest.count; i++) {
        const struct dri_route *route = look->hottest.routes[i];
        uint64_t calls = dri_heat_window(&route->heat);
        if (calls >= set->calls_min) {
            rows[count++] = (struct dri_metrics_route){route->key, calls};
        }
    }
    dri_metrics_set_routes(set->page, DRI_BY_ROUTE_HOT, rows, count);
    dri_metrics_set(set->page, DRI_METRIC_ROUTES_HOT, look->hottest.hot);
    dri_metrics_set(set->page, DRI_METRIC_ROUTES_IDLE, look->idle);
    dri_metrics_set(set->page, DRI_METRIC_PRELOADED, set->preloaded_bytes);
}

void dri_hot_set_turn(struct dri_hot_set *set, uint64_t mono_ns)
{
    if (mono_ns < set->due_ns) {
        return;
    }
    struct look look = {.hottest.calls_min = set->calls_min};
    uint64_t part = part_of(set, mono_ns);
    set->due_ns = mono_ns + TURN_NS;
    dri_hot_set_take(set, mono_ns);
    dri_registry_each(set->registry, look_at, &look);
    if (look.hottest.hot != set->hot || part != set->preloaded_part) {
        set->preloaded_bytes = 0;
        for (size_t i = 0; i < look.modules_count; i++) {
            set->preloaded_bytes += dri_preload(dri_module_descriptor(look.modules[i]));
        }
        set->preloaded_part = part;
        set->hot = look.hottest.hot;
    }
    if (set->page != NULL) {
        show(set, &look);
    }
}
