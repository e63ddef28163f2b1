/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* bench_call.c - runs of a handler that does next to nothing, with so many interceptors around it
 * that do nothing: what a chain costs. Made to be counted by instructions.py, not to be timed. */

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/queue.h"
#include "run/binding.h"
#include "run/executor.h"
#include "run/module.h"
#include "run/registry.h"

static void put_route(struct dri_registry *registry, unsigned interceptors)
{
    static const char one[] = "\xb0gates.so:nothing"; /* a str of 16 bytes */
    uint8_t list[1 + 8 * sizeof(one)];
    size_t list_len = 1;
    uint8_t bytes[1024];
    size_t len = 0;
    char text[256] = "";
    struct dri_registry_conflict conflict;
    DRI_ASSERT(interceptors <= 8);
    list[0] = (uint8_t)(0x90u | interceptors);
    for (unsigned i = 0; i < interceptors; i++) {
        for (size_t at = 0; one[at] != '\0'; at++) {
            list[list_len++] = (uint8_t)one[at];
        }
    }
    const struct dri_route_view view = {
        .ns = dray_slice_text("default"),
        .name = dray_slice_text("ok"),
        .version = dray_slice_text("1.0.0"),
        .runtime = dray_slice_text("native"),
        .module = dray_slice_text("gates.so"),
        .handler = dray_slice_text("ok"),
        .policy = {.interceptors = dray_slice_of(list, list_len)},
        .has_version = true,
    };
    enum dray_status status = dri_route_encode(&view, bytes, sizeof(bytes), &len);
    DRI_ASSERT(status == DRAY_OK);
    status =
        dri_registry_put(registry, 0, 1, dray_slice_of(bytes, len), &conflict, text, sizeof(text));
    const struct dri_route *route =
        dri_registry_find_key(registry, dray_slice_text("default/ok@1.0.0"));
    if (status != DRAY_OK || route == NULL || route->handler == NULL) {
        fprintf(stderr, "bench_call: %s\n", route != NULL ? route->failure : text);
        exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
}

static void run(struct dri_executor *executor, struct dri_wake *wake, struct dri_flight *flight)
{
    const struct dri_executor_ops *ops = ((struct dri_executor_base *)(void *)executor)->ops;
    struct dri_flight *back = NULL;
    ops->submit(executor, 0, flight);
    ops->flush(executor);
    while (ops->take(executor, &back, 1) == 0) {
        dri_wake_prepare(wake);
        if (ops->take(executor, &back, 1) == 1) {
            dri_wake_cancel(wake);
            break;
        }
        dri_wake_wait(wake, UINT64_C(1000000000));
    }
    DRI_ASSERT(back == flight && flight->kind == DRAY_KIND_NONE);
}

int main(int argc, char **argv)
{
    struct dri_modules *modules = NULL;
    struct dri_registry *registry = NULL;
    struct dri_executor *executor = NULL;
    struct dri_wake wake;
    struct dri_flight *flight = dri_zalloc(sizeof(*flight));
    if (argc != 4) {
        fprintf(stderr, "usage: bench_call MODULE_FOLDER COMMANDS INTERCEPTORS\n");
        return 2;
    }
    enum dray_status status = dri_modules_create(argv[1], "w", &modules);
    DRI_ASSERT(status == DRAY_OK && flight != NULL);
    const struct dri_registry_config config = {
        .bind = dri_binding_bind, .unbind = dri_binding_unbind, .arg = modules, .readers_max = 4};
    status = dri_registry_create(&config, &registry);
    DRI_ASSERT(status == DRAY_OK);
    put_route(registry, (unsigned)strtoul(argv[3], NULL, 10));
    status = dri_wake_init(&wake);
    DRI_ASSERT(status == DRAY_OK);
    const struct dri_lanes_config lanes = {
        .lanes = 1,
        .lane_depth = 8,
        .chain_max = 8,
        .result_bytes_max = 4096,
        .worker = "w",
        .registry = registry,
        .wake = &wake,
    };
    status = dri_lanes_create(&lanes, &executor);
    DRI_ASSERT(status == DRAY_OK);
    flight->generation = 1;
    flight->attempt = 1;
    flight->envelope.id = dray_slice_text("c-1");
    flight->envelope.command = dray_slice_text("ok");
    for (unsigned long i = strtoul(argv[2], NULL, 10); i > 0; i--) {
        run(executor, &wake, flight);
    }
    status = dri_lanes_stop(executor, 30000);
    DRI_ASSERT(status == DRAY_OK);
    ((struct dri_executor_base *)(void *)executor)->ops->release(executor, flight);
    dri_lanes_destroy(executor);
    dri_wake_fini(&wake);
    dri_registry_destroy(registry);
    dri_modules_destroy(modules);
    dri_free(flight);
    return 0;
}
