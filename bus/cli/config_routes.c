/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* config_routes.c - routes of a YAML file as the msgpack bytes of their maps.
 *
 * A route goes by JSON text to msgpack, so that keys of a later version survive in it; then it is
 * decoded as any replica will decode it, and what is wrong is told with its line. A key that this
 * build does not know is kept, with a warning that names the nearest known one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "config_private.h"
#include "mem.h"
#include "nearest.h"
#include "wire/control.h"
#include "wire/json.h"
#include "wire/scanner.h"

#define ROUTES_MAX 10000u

static const char *const route_keys[] = {"ns",     "name",    "version", "runtime",
                                         "module", "handler", "sha256",  "signature",
                                         "tags",   "weight",  "state",   "policy"};
static const char *const policy_keys[] = {
    "timeout_ms",      "attempts",     "backoff_ms",  "backoff",
    "retry",           "budget_ms",    "concurrency", "rate",
    "burst",           "order",        "run",         "isolation",
    "preload",         "breaker",      "depends",     "fallback",
    "key_concurrency", "rate_shared",  "exhausted",   "idempotency",
    "concurrency_min", "interceptors", "canary"};
static const char *const backoff_keys[] = {"base_ms", "factor", "max_ms", "jitter"};
static const char *const retry_keys[] = {"timeout",  "network", "unavailable", "conflict",
                                         "internal", "invalid", "not_found",   "rejected",
                                         "limit",    "auth"};
static const char *const kind_keys[] = {"attempts", "backoff"};
static const char *const breaker_keys[] = {"failures", "open_ms"};
static const char *const idempotency_keys[] = {"window_ms"};
static const char *const canary_keys[] = {"promote_after", "tolerance"};

/* The keys of a map in a map: under which key of which. NULL: whichever of them. */
static const struct inner {
    const char *const *outer;
    const char *key;
    const char *const *known;
    size_t known_count;
} inners[] = {
    {route_keys, "policy", policy_keys, DRI_ARRAY_LEN(policy_keys)},
    {policy_keys, "backoff", backoff_keys, DRI_ARRAY_LEN(backoff_keys)},
    {policy_keys, "retry", retry_keys, DRI_ARRAY_LEN(retry_keys)},
    {policy_keys, "breaker", breaker_keys, DRI_ARRAY_LEN(breaker_keys)},
    {policy_keys, "idempotency", idempotency_keys, DRI_ARRAY_LEN(idempotency_keys)},
    {policy_keys, "canary", canary_keys, DRI_ARRAY_LEN(canary_keys)},
    {retry_keys, NULL, kind_keys, DRI_ARRAY_LEN(kind_keys)},
    {kind_keys, "backoff", backoff_keys, DRI_ARRAY_LEN(backoff_keys)},
};

/* A version 1.0 or a hash of digits only is text all the same. */
static bool is_text(const char *path)
{
    static const char *const texts[] = {"ns",      "name",   "version",   "runtime", "module",
                                        "handler", "sha256", "signature", "state"};
    for (size_t i = 0; i < DRI_ARRAY_LEN(texts); i++) {
        if (strcmp(path, texts[i]) == 0) {
            return true;
        }
    }
    return strncmp(path, "tags.", 5) == 0;
}

struct loader {
    const struct dri_yaml *yaml;
    struct dri_routes *routes;
    char *text;
    size_t text_bytes;
};

static enum dray_status warn(const struct loader *loader, const char *format, ...)
    DRAY_FORMAT(2, 3);

static enum dray_status warn(const struct loader *loader, const char *format, ...)
{
    struct dri_routes *routes = loader->routes;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char **more = dri_zalloc_array(routes->warnings_count + 1, sizeof(*more));
    char *copy = dri_strdup(text);
    if (more == NULL || copy == NULL) {
        dri_free(more);
        dri_free(copy);
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < routes->warnings_count; i++) {
        more[i] = routes->warnings[i];
    }
    more[routes->warnings_count] = copy;
    dri_free(routes->warnings);
    routes->warnings = more;
    routes->warnings_count++;
    return DRAY_OK;
}

static const struct inner *inner_of(const char *const *outer, const char *key)
{
    for (size_t i = 0; i < DRI_ARRAY_LEN(inners); i++) {
        if (inners[i].outer == outer &&
            (inners[i].key == NULL || strcmp(inners[i].key, key) == 0)) {
            return &inners[i];
        }
    }
    return NULL;
}

/* Whether none of the known keys is this one; then what to say about it. */
static bool is_unknown(const char *key, const char *const *known, size_t known_count,
                       char *ret_text, size_t text_bytes)
{
    struct dri_nearest nearest;
    dri_nearest_init(&nearest, key);
    for (size_t k = 0; k < known_count; k++) {
        dri_nearest_show(&nearest, known[k]);
    }
    bool is_near = dri_nearest_is_near(&nearest);
    snprintf(ret_text, text_bytes, "a route's key \"%s\" is unknown here and kept%s%s%s", key,
             is_near ? "; did you mean \"" : "", is_near ? nearest.word : "", is_near ? "\"?" : "");
    return nearest.edits > 0;
}

/* Recursion ends with the table of inner maps. */
static enum dray_status keys_look(const struct loader *loader, dri_yaml_node map,
                                  const char *const *known, size_t known_count)
{
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < dri_yaml_count(loader->yaml, map); i++) {
        dri_yaml_node value;
        dri_yaml_node key = dri_yaml_pair(loader->yaml, map, i, &value);
        const char *name = dri_yaml_text(loader->yaml, key);
        const struct inner *inner = inner_of(known, name);
        char text[256];
        if (is_unknown(name, known, known_count, text, sizeof(text))) {
            status = warn(loader, "%s:%zu: %s", dri_yaml_file(loader->yaml),
                          dri_yaml_line(loader->yaml, key), text);
        } else if (inner != NULL) {
            status = keys_look(loader, value, inner->known, inner->known_count);
        }
    }
    return status;
}

static void map_look(struct dray_slice map, const char *const *known, size_t known_count,
                     dri_route_odd_fn *on_odd, void *arg)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_scanner scanner;
    struct dri_token token;
    dri_scanner_init(&scanner, map, &limits);
    enum dray_status status = dri_scanner_next(&scanner, &token);
    uint32_t pairs = status == DRAY_OK && token.type == DRI_TOKEN_MAP ? token.count : 0;
    for (uint32_t i = 0; status == DRAY_OK && i < pairs; i++) {
        struct dray_slice value;
        char name[128];
        char text[256];
        status = dri_scanner_next(&scanner, &token);
        snprintf(name, sizeof(name), "%.*s", token.type == DRI_TOKEN_STR ? (int)token.bytes.len : 0,
                 (const char *)token.bytes.at);
        if (status == DRAY_OK) {
            status = dri_scanner_skip_payload(&scanner, &value);
        }
        if (status != DRAY_OK) {
            return;
        }
        if (is_unknown(name, known, known_count, text, sizeof(text))) {
            on_odd(arg, text);
        } else if (known == route_keys && strcmp(name, "policy") == 0) {
            map_look(value, policy_keys, DRI_ARRAY_LEN(policy_keys), on_odd, arg);
        }
    }
}

void dri_route_look(struct dray_slice route, dri_route_odd_fn *on_odd, void *arg)
{
    map_look(route, route_keys, DRI_ARRAY_LEN(route_keys), on_odd, arg);
}

/* The line of a field "policy.attempts", or of the map that should have it. */
static size_t line_of(const struct dri_yaml *yaml, dri_yaml_node map, const char *field)
{
    size_t line = dri_yaml_line(yaml, map);
    while (map != 0 && field[0] != '\0') {
        size_t len = strcspn(field, ".");
        dri_yaml_node next = 0;
        for (size_t i = 0; i < dri_yaml_count(yaml, map); i++) {
            dri_yaml_node value;
            dri_yaml_node key = dri_yaml_pair(yaml, map, i, &value);
            const char *name = dri_yaml_text(yaml, key);
            if (strlen(name) == len && strncmp(name, field, len) == 0) {
                line = dri_yaml_line(yaml, key);
                next = dri_yaml_kind(yaml, value) == DRI_YAML_MAP ? value : 0;
            }
        }
        map = next;
        field += len + (field[len] == '.' ? 1 : 0);
    }
    return line;
}

static enum dray_status route_check(const struct loader *loader, dri_yaml_node node,
                                    struct dray_slice bytes)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_route_view view;
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    enum dray_status status = dri_route_decode(bytes, &limits, &view, &error);
    if (status != DRAY_OK) {
        snprintf(loader->text, loader->text_bytes, "%s:%zu: route: %s%s%s",
                 dri_yaml_file(loader->yaml), line_of(loader->yaml, node, error.field), error.field,
                 error.field[0] == '\0' ? "" : " ", error.text);
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

static enum dray_status route_read(const struct loader *loader, dri_yaml_node node,
                                   struct dray_slice *ret_route)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    if (dri_yaml_kind(loader->yaml, node) != DRI_YAML_MAP) {
        snprintf(loader->text, loader->text_bytes,
                 "%s:%zu: a route is a map: {name: ..., version: ..., module: ..., handler: ...}",
                 dri_yaml_file(loader->yaml), dri_yaml_line(loader->yaml, node));
        return DRAY_EINVALID;
    }
    struct dri_text json;
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    dri_text_init(&json);
    enum dray_status status =
        dri_yaml_to_json(loader->yaml, node, is_text, &json, loader->text, loader->text_bytes);
    if (status == DRAY_OK) {
        status =
            dri_json_to_msgpack(dray_slice_of(json.at, json.len), &limits, &bytes, &len, &error);
        if (status == DRAY_EINVALID || status == DRAY_ELIMIT) {
            snprintf(loader->text, loader->text_bytes, "%s:%zu: route: %s",
                     dri_yaml_file(loader->yaml), dri_yaml_line(loader->yaml, node), error.text);
        }
    }
    dri_text_fini(&json);
    if (status == DRAY_OK) {
        status = route_check(loader, node, dray_slice_of(bytes, len));
    }
    if (status == DRAY_OK) {
        status = keys_look(loader, node, route_keys, DRI_ARRAY_LEN(route_keys));
    }
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_route = dray_slice_of(bytes, len);
    return DRAY_OK;
}

enum dray_status dri_routes_read(const struct dri_yaml *yaml, dri_yaml_node node,
                                 struct dri_routes *routes, char *ret_text, size_t text_bytes)
{
    struct loader loader = {
        .yaml = yaml, .routes = routes, .text = ret_text, .text_bytes = text_bytes};
    enum dri_yaml_kind kind = dri_yaml_kind(yaml, node);
    if (kind == DRI_YAML_NULL) {
        return DRAY_OK;
    }
    bool is_list = kind == DRI_YAML_LIST;
    size_t count = is_list ? dri_yaml_count(yaml, node) : 1;
    if (kind == DRI_YAML_SCALAR || count > ROUTES_MAX) {
        snprintf(ret_text, text_bytes, "%s:%zu: routes are a list of at most %u maps",
                 dri_yaml_file(yaml), dri_yaml_line(yaml, node), ROUTES_MAX);
        return DRAY_EINVALID;
    }
    routes->items = dri_zalloc_array(count == 0 ? 1 : count, sizeof(*routes->items));
    if (routes->items == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < count; i++) {
        status =
            route_read(&loader, is_list ? dri_yaml_item(yaml, node, i) : node, &routes->items[i]);
        routes->count += status == DRAY_OK ? 1 : 0;
    }
    return status;
}

static dri_yaml_node routes_of(const struct dri_yaml *yaml, dri_yaml_node root)
{
    for (size_t i = 0; i < dri_yaml_count(yaml, root); i++) {
        dri_yaml_node value = 0;
        if (dri_yaml_kind(yaml, root) == DRI_YAML_MAP &&
            strcmp(dri_yaml_text(yaml, dri_yaml_pair(yaml, root, i, &value)), "routes") == 0) {
            return value;
        }
    }
    return root;
}

enum dray_status dri_routes_load(const char *file, struct dri_routes *ret_routes, char *ret_text,
                                 size_t text_bytes)
{
    struct dri_yaml *yaml = NULL;
    struct dri_routes routes = {.items = NULL};
    enum dray_status status = dri_yaml_load(file, &yaml, ret_text, text_bytes);
    if (status == DRAY_OK && dri_yaml_root(yaml) != 0) {
        status = dri_routes_read(yaml, routes_of(yaml, dri_yaml_root(yaml)), &routes, ret_text,
                                 text_bytes);
    }
    if (status == DRAY_OK && routes.count == 0) {
        snprintf(ret_text, text_bytes, "%s: there is no route in it", file);
        status = DRAY_EINVALID;
    }
    dri_yaml_destroy(yaml);
    if (status != DRAY_OK) {
        dri_routes_fini(&routes);
        return status;
    }
    *ret_routes = routes;
    return DRAY_OK;
}

void dri_routes_fini(struct dri_routes *routes)
{
    for (size_t i = 0; i < routes->count; i++) {
        dri_free((void *)(uintptr_t)routes->items[i].at); /* made by dri_json_to_msgpack */
    }
    for (size_t i = 0; i < routes->warnings_count; i++) {
        dri_free(routes->warnings[i]);
    }
    dri_free(routes->items);
    dri_free(routes->warnings);
    *routes = (struct dri_routes){.items = NULL};
}
