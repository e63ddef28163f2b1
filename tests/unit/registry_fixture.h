/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef REGISTRY_FIXTURE_H
#define REGISTRY_FIXTURE_H

/* registry_fixture.h - routes, changes and a registry whose modules are counters. */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "run/registry.h"
#include "support/test.h"

#define ROUTE_BYTES  1024
#define CHANGE_BYTES 65536

struct spec {
    const char *ns, *name, *version, *handler, *signature;
    uint32_t weight;
    enum dri_route_state state;
};

static const struct spec order = {.ns = "default", .name = "order.create", .version = "1.0.0"};

/** The bytes of a route map; module "m.so" and handler "h" when nothing else is said. */
static inline struct dray_slice route_of(const struct spec *spec, uint8_t buffer[ROUTE_BYTES])
{
    size_t len = 0;
    struct dri_route_view view = {
        .ns = dray_slice_text(spec->ns),
        .name = dray_slice_text(spec->name),
        .version = dray_slice_text(spec->version),
        .module = dray_slice_text("m.so"),
        .handler = dray_slice_text(spec->handler == NULL ? "h" : spec->handler),
        .signature = dray_slice_text(spec->signature),
        .weight = spec->weight,
        .state = spec->state,
    };
    enum dray_status status = dri_route_encode(&view, buffer, ROUTE_BYTES, &len);
    DRI_ASSERT(status == DRAY_OK);
    return dray_slice_of(buffer, len);
}

/* ---- modules: what bind gives out and unbind takes back ---- */

/* In the place of a module, of which a status record reads the name: it has none. */
struct image {
    _Atomic(int) is_closed;
    char nothing[4096];
};

struct loader {
    _Atomic(int) bound;                 /* calls of bind */
    _Atomic(int) unbound;               /* calls of unbind */
    _Atomic(int) is_absent;             /* the module is not in the folder */
    const struct dray_handler *handler; /* that bind gives; NULL: fixture_handler */
};

static const struct dray_handler fixture_handler = {.command = "any", .version = "1.0.0"};

static inline void fixture_bind(void *arg, struct dri_route *route)
{
    struct loader *loader = (struct loader *)arg;
    atomic_fetch_add(&loader->bound, 1);
    if (atomic_load(&loader->is_absent)) {
        (void)snprintf(route->failure, sizeof(route->failure), "module is not there");
        return;
    }
    struct image *image = (struct image *)calloc(1, sizeof(*image)); /* never fails here */
    route->module = (struct dri_module *)(void *)image;
    const struct dray_handler *handler =
        loader->handler != NULL ? loader->handler : &fixture_handler;
    route->handler = route->module == NULL ? NULL : handler;
}

static inline void fixture_unbind(void *arg, struct dri_route *route)
{
    struct loader *loader = (struct loader *)arg;
    atomic_fetch_add(&loader->unbound, 1);
    free(route->module);
    route->module = NULL;
}

/* ---- the registry, with what leaks counted ---- */

struct fixture {
    size_t live_before;
    struct loader loader;
    struct dri_registry *registry;
    struct dri_reader *reader;
    uint64_t revision;
    struct dri_registry_conflict conflict;
    char text[256];
};

static inline void fixture_open_with(struct fixture *fixture, uint32_t shards)
{
    *fixture = (struct fixture){.live_before = dri_mem_live()};
    const struct dri_registry_config config = {
        .bind = fixture_bind,
        .unbind = fixture_unbind,
        .arg = &fixture->loader,
        .readers_max = 8,
        .shards = shards,
    };
    test_ok(dri_registry_create(&config, &fixture->registry));
    test_ok(dri_reader_register(fixture->registry, &fixture->reader));
}

static inline void fixture_open(struct fixture *fixture)
{
    fixture_open_with(fixture, 0);
}

static inline void fixture_close(struct fixture *fixture)
{
    dri_reader_unregister(fixture->reader);
    dri_registry_destroy(fixture->registry);
    assert_int_equal(dri_mem_live(), fixture->live_before);
    assert_int_equal(atomic_load(&fixture->loader.bound), atomic_load(&fixture->loader.unbound));
}

/** Puts with the next revision. */
static inline enum dray_status fixture_put(struct fixture *fixture, uint64_t base,
                                           const struct spec *spec)
{
    uint8_t bytes[ROUTE_BYTES];
    fixture->revision++;
    return dri_registry_put(fixture->registry, base, fixture->revision, route_of(spec, bytes),
                            &fixture->conflict, fixture->text, sizeof(fixture->text));
}

static inline enum dray_status fixture_remove(struct fixture *fixture, const char *key,
                                              uint64_t base)
{
    fixture->revision++;
    return dri_registry_remove(fixture->registry, dray_slice_text(key), base, fixture->revision,
                               &fixture->conflict);
}

/** Applies items as one change, through the bytes of a record. */
static inline enum dray_status fixture_apply(struct fixture *fixture, uint64_t revision,
                                             const struct dri_change_item *items, size_t count)
{
    static uint8_t bytes[CHANGE_BYTES];
    size_t len = 0;
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error;
    const struct dri_change change = {.kind = dray_slice_text("routes")};
    struct dri_change decoded;
    test_ok(dri_change_encode(&change, items, count, bytes, sizeof(bytes), &len));
    test_ok(dri_change_decode(dray_slice_of(bytes, len), &limits, &decoded, &error));
    return dri_registry_apply(fixture->registry, revision, &decoded, &fixture->conflict,
                              fixture->text, sizeof(fixture->text));
}

/* ---- changes of several keys ---- */

struct items {
    struct dri_change_item item[16];
    uint8_t bytes[16][ROUTE_BYTES];
    char keys[16][256];
    size_t count;
};

static inline void add_put(struct items *items, const struct spec *spec, uint64_t base)
{
    size_t i = items->count++;
    (void)snprintf(items->keys[i], sizeof(items->keys[i]), "%s/%s@%s", spec->ns, spec->name,
                   spec->version);
    items->item[i] = (struct dri_change_item){.key = dray_slice_text(items->keys[i]),
                                              .base = base,
                                              .route = route_of(spec, items->bytes[i])};
}

static inline void add_removal(struct items *items, const char *key, uint64_t base)
{
    items->item[items->count++] =
        (struct dri_change_item){.key = dray_slice_text(key), .base = base};
}

static inline struct spec version_spec(const char *name, const char *version)
{
    return (struct spec){.ns = "default", .name = name, .version = version};
}

static inline struct dri_query query_of(const char *ns, const char *name, const char *version)
{
    return (struct dri_query){
        .ns = dray_slice_text(ns),
        .name = dray_slice_text(name),
        .version = dray_slice_text(version),
    };
}

/** The key that a query leads to, or the status' name. */
static inline const char *found(struct fixture *fixture, const char *ns, const char *name,
                                const char *version)
{
    static char key[256];
    const struct dri_query query = query_of(ns, name, version);
    const struct dri_route *route = NULL;
    enum dray_status status = dri_registry_pin(fixture->reader, &query, &route);
    if (status != DRAY_OK) {
        return dray_status_name(status);
    }
    (void)snprintf(key, sizeof(key), "%s", route->key);
    dri_registry_unpin(fixture->reader, route);
    return key;
}

#endif
