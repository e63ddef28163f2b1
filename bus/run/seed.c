/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* seed.c - the routes of the configuration file, for a registry that has none.
 *
 * They are said once: as one control change in which every base is 0, so that of two workers that
 * say them at once the log takes one. From then on the topic counts, and the file, where it says
 * something else, is only told of.
 */
#include "seed.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mem.h"

#define KEY_BYTES 400u

static enum dray_status fill_items(const struct dri_settings *settings, char (*keys)[KEY_BYTES],
                                   struct dri_change_item *items, size_t *ret_bytes, char *ret_text,
                                   size_t text_bytes)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    for (size_t i = 0; i < settings->routes_count; i++) {
        struct dri_route_view view;
        struct dri_wire_error error = {"", "", 0};
        enum dray_status status = dri_route_decode(settings->routes[i], &limits, &view, &error);
        if (status != DRAY_OK) {
            snprintf(ret_text, text_bytes, "route %zu: %s %s", i + 1, error.field, error.text);
            return DRAY_EINVALID;
        }
        if (!view.has_version) {
            DRI_LOG(DRI_LOG_WARN, "SEED-VERSION", "a route without a version counts as 0.0.0",
                    DRI_SLICE("name", view.name));
        }
        if (dri_route_key_format(&view, keys[i], KEY_BYTES) != DRAY_OK) {
            snprintf(ret_text, text_bytes, "route %zu: its name is too long", i + 1);
            return DRAY_EINVALID;
        }
        items[i] = (struct dri_change_item){
            .key = dray_slice_text(keys[i]), .base = 0, .route = settings->routes[i]};
        *ret_bytes += strlen(keys[i]) + settings->routes[i].len + 64;
    }
    return DRAY_OK;
}

/* head: who says it, and how it is signed. */
static enum dray_status make_change(const void *arg, const struct dri_change *head,
                                    uint8_t **ret_bytes, size_t *ret_len, char *ret_text,
                                    size_t text_bytes)
{
    const struct dri_settings *settings = arg;
    size_t count = settings->routes_count;
    if (count == 0) {
        return DRAY_ENOTFOUND;
    }
    char(*keys)[KEY_BYTES] = dri_zalloc_array(count, sizeof(*keys));
    struct dri_change_item *items = dri_zalloc_array(count, sizeof(*items));
    uint8_t *bytes = NULL;
    size_t bytes_max =
        1024 + head->author.len + strlen(settings->cluster) + strlen(settings->topics.control);
    enum dray_status status = keys == NULL || items == NULL ? DRAY_ENOMEM : DRAY_OK;
    if (status == DRAY_OK) {
        status = fill_items(settings, keys, items, &bytes_max, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        bytes = dri_zalloc(bytes_max);
        status = bytes == NULL ? DRAY_ENOMEM : DRAY_OK;
    }
    if (status == DRAY_OK) {
        struct dri_change change = *head;
        change.kind = dray_slice_text("routes");
        change.cluster = dray_slice_text(settings->cluster);
        change.topic = dray_slice_text(settings->topics.control);
        change.note = dray_slice_text("routes of the configuration file");
        status = dri_change_encode(&change, items, count, bytes, bytes_max, ret_len);
    }
    dri_free(keys);
    dri_free(items);
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

/* EAUTH: what is not signed would be refused. */
static enum dray_status check_unsigned(const struct dri_control_log *log, char *ret_text,
                                       size_t text_bytes)
{
    if (log->signers == NULL || !dri_signers_wants_signature(log->signers, log->end + 1)) {
        return DRAY_OK;
    }
    snprintf(ret_text, text_bytes,
             "changes have to be signed and control.key_file names no key here; put them from "
             "where there is one: dray registry apply");
    return DRAY_EAUTH;
}

/* EAUTH: so would be what is signed so. Consumes *bytes on failure. */
static enum dray_status check_signed(const struct dri_control_log *log, uint8_t **bytes, size_t len,
                                     char *ret_text, size_t text_bytes)
{
    if (dri_control_log_foresee(log, dray_slice_of(*bytes, len), ret_text, text_bytes) ==
        DRI_TRUSTED) {
        return DRAY_OK;
    }
    dri_free(*bytes);
    *bytes = NULL;
    return DRAY_EAUTH;
}

/* NOLINTNEXTLINE(readability-function-size): a result in two parts and a text in two parts */
enum dray_status dri_seed_own(const struct dri_settings *settings,
                              const struct dri_control_log *log, const char *author,
                              const struct dri_seed_maker *maker, uint8_t **ret_bytes,
                              size_t *ret_len, char *ret_text, size_t text_bytes)
{
    struct dri_change head = {.author = dray_slice_text(author), .ts_ms = dri_clock_wall_ms()};
    struct dri_signing_key key;
    uint8_t *change = NULL;
    size_t len = 0;
    bool is_signed = settings->control.key_file != NULL;
    enum dray_status status =
        is_signed ? dri_signing_key_load(settings->control.key_file, &key, ret_text, text_bytes)
                  : check_unsigned(log, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    if (is_signed) {
        uint64_t last = log->signers == NULL
                            ? 0
                            : dri_signers_seq(log->signers, &log->seen, dray_slice_text(key.kid));
        dri_signing_fill(&key, last, settings->control.max_age_ms, &head);
    }
    status = maker->make(maker->arg, &head, &change, &len, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = dri_control_log_wrap(dray_slice_of(change, len), is_signed ? &key : NULL,
                                      ret_bytes, ret_len);
        dri_free(change);
    }
    if (is_signed) {
        dri_signing_key_wipe(&key);
    }
    return status == DRAY_OK ? check_signed(log, ret_bytes, *ret_len, ret_text, text_bytes)
                             : status;
}

/* NOLINTNEXTLINE(readability-function-size): a result in two parts and a text in two parts */
enum dray_status dri_seed_record(const struct dri_settings *settings,
                                 const struct dri_control_log *log, const char *author,
                                 uint8_t **ret_bytes, size_t *ret_len, char *ret_text,
                                 size_t text_bytes)
{
    const struct dri_seed_maker maker = {make_change, settings};
    return dri_seed_own(settings, log, author, &maker, ret_bytes, ret_len, ret_text, text_bytes);
}

static void log_failure(void *arg, const struct dri_route *route)
{
    (void)arg;
    if (route->handler == NULL) {
        DRI_LOG(DRI_LOG_WARN, "REG-UNFIT", "a route cannot run here", DRI_TEXT("route", route->key),
                DRI_TEXT("reason", route->failure));
    }
}

enum dray_status dri_seed_apply(const struct dri_settings *settings, struct dri_registry *registry,
                                char *ret_text, size_t text_bytes)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    const struct dri_change head = {.author = dray_slice_text("configuration"),
                                    .ts_ms = dri_clock_wall_ms()};
    enum dray_status status = make_change(settings, &head, &bytes, &len, ret_text, text_bytes);
    if (status == DRAY_ENOTFOUND) {
        return DRAY_OK;
    }
    if (status != DRAY_OK) {
        return status;
    }
    struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    limits.message_bytes = UINT32_MAX;
    limits.elements = UINT32_MAX;
    struct dri_change change;
    struct dri_wire_error error = {"", "", 0};
    struct dri_registry_conflict conflict = {.key = ""};
    status = dri_change_decode(dray_slice_of(bytes, len), &limits, &change, &error);
    if (status == DRAY_OK) {
        status = dri_registry_apply(registry, 1, &change, &conflict, ret_text, text_bytes);
    }
    if (status == DRAY_ECONFLICT) {
        snprintf(ret_text, text_bytes, "routes: %s stands there twice", conflict.key);
        status = DRAY_EINVALID;
    }
    dri_free(bytes);
    dri_registry_each(registry, log_failure, NULL);
    return status;
}

/* The configuration's routes are said once and never again: what the topic says goes. */
void dri_seed_tell_unused(const struct dri_settings *settings, const struct dri_registry *registry)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    uint64_t different = 0;
    for (size_t i = 0; i < settings->routes_count; i++) {
        struct dri_route_view view;
        struct dri_wire_error error;
        char key[DRI_ROUTE_KEY_BYTES_MAX + 1];
        const struct dri_route *route = NULL;
        if (dri_route_decode(settings->routes[i], &limits, &view, &error) == DRAY_OK &&
            dri_route_key_format(&view, key, sizeof(key)) == DRAY_OK) {
            route = dri_registry_find_key(registry, dray_slice_text(key));
        }
        different +=
            route == NULL ||
            !dray_slice_equal(settings->routes[i], dray_slice_of(route->bytes, route->bytes_len));
    }
    if (different > 0) {
        DRI_LOG(DRI_LOG_INFO, "CTL-SEED-UNUSED",
                "routes of the configuration differ from the registry's, which count; change them "
                "with: dray registry put",
                DRI_UINT("different", different), DRI_UINT("configured", settings->routes_count),
                DRI_UINT("routes", dri_registry_count(registry)));
    }
}
