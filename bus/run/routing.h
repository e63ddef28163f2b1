/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ROUTING_H
#define DRI_ROUTING_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "core.h"
#include "groups.h"

/* routing.h - what the engine asks about the route of a command before a lane runs it.
 *
 * router.c answers from the registry; the simulator has its own.
 *
 * Threads: every call from the engine's thread.
 */

struct dri_router; /* starts with a struct dri_router_base */

struct dri_routing {
    struct dray_slice key;          /* "ns/name@version"; absent: no route. Borrows until leave */
    uint64_t revision;              /* that put the route */
    bool is_special;                /* limits, has_order or window_ms say something */
    struct dri_group_limits limits; /* but for depends */
    struct dray_slice depends[DRI_DEPENDS_MAX]; /* names; borrow until leave */
    uint32_t depends_count;
    struct dray_slice version;
    struct dray_slice fallback; /* absent: none; both borrow until leave */
    bool has_order;
    enum dri_order order;
    bool is_rate_shared;      /* limits.rate is the whole group's */
    uint32_t key_concurrency; /* with DRI_ORDER_NONE; 0: no bound */
    uint32_t window_ms;       /* idempotency; 0: no window */
};

struct dri_router_ops {
    /** Grows whenever an answer may have changed. Cheap: asked each turn. */
    uint64_t (*revision)(const struct dri_router *self);
    /** Whether any route is special, as of the revision asked for before. */
    bool (*has_special)(const struct dri_router *self);
    /** Around resolve. What it borrows is there until leave; the thread must not block between. */
    void (*enter)(struct dri_router *self);
    void (*leave)(struct dri_router *self);
    /** The route that a lane would find for it now. */
    void (*resolve)(struct dri_router *self, const struct dri_flight *flight,
                    struct dri_routing *ret_routing);
};

struct dri_router_base {
    const struct dri_router_ops *ops;
};

struct dri_registry;

/** The router of a registry, which is borrowed. The caller's thread becomes a reader of it.
 *  Owns: returns owned. Errors: ENOMEM, ELIMIT (too many readers). */
DRAY_MUST_CHECK enum dray_status dri_router_create(struct dri_registry *registry,
                                                   struct dri_router **ret_router);
/** NULL is a no-op. */
void dri_router_destroy(struct dri_router *self);

/** How a command is looked up, by the router and by a lane alike. */
struct dri_query;
void dri_router_query(const struct dri_flight *flight, struct dri_query *ret_query);
/** What its sender is told when dri_registry_pin gives that status: what is wrong and what to do.
 */
void dri_router_explain(const struct dri_query *query, enum dray_status status, char *ret_text,
                        size_t text_bytes);

#endif
