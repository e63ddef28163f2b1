/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* status_beat.c - what a replica says of itself.
 *
 * Each record is whole: a reader that comes late finds the last one only, so it has the last
 * refusals of the log besides the state. Who reads on as they come meets every one of them: the
 * control thread says those that wait before there are more than fit, and those of a beat that was
 * lost come again, the oldest first, in as many beats as they need.
 */
#include "status_beat.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "hot_set.h"
#include "interceptor.h"
#include "mem.h"
#include "module.h"
#include "scanner.h"

void dri_beat_init(struct dri_beat *beat)
{
    if (gethostname(beat->host, sizeof(beat->host) - 1) != 0) {
        snprintf(beat->host, sizeof(beat->host), "unknown");
    }
    beat->is_changed = true;
}

static void cut(char *ret_text, size_t bytes, struct dray_slice text)
{
    size_t len = text.at == NULL ? 0 : dri_utf8_cut(text, bytes - 1);
    snprintf(ret_text, bytes, "%.*s", (int)len, text.at == NULL ? "" : (const char *)text.at);
}

void dri_beat_note(struct dri_beat *beat, const struct dri_control_outcome *outcome)
{
    bool is_conflict = outcome->verdict == DRI_CONTROL_CONFLICT;
    if (!is_conflict && outcome->verdict != DRI_CONTROL_REFUSED) {
        return;
    }
    struct dri_beat_refusal *refusal =
        &beat->refusals[beat->refusals_count++ % DRI_BEAT_REFUSALS_KEPT];
    *refusal = (struct dri_beat_refusal){.revision = outcome->revision,
                                         .base = outcome->conflict.base,
                                         .present = outcome->conflict.present,
                                         .is_conflict = is_conflict};
    beat->conflicts += is_conflict;
    beat->refused += !is_conflict;
    if (outcome->has_change) {
        cut(refusal->author, sizeof(refusal->author), outcome->change.author);
    }
    cut(refusal->key, sizeof(refusal->key), dray_slice_text(outcome->conflict.key));
    cut(refusal->reason, sizeof(refusal->reason), dray_slice_text(outcome->text));
}

/* The refusals that the next beat lists: the last ones up to this. */
static uint64_t refusals_end(const struct dri_beat *beat)
{
    uint64_t kept = beat->refusals_count > DRI_BEAT_REFUSALS_KEPT
                        ? beat->refusals_count - DRI_BEAT_REFUSALS_KEPT
                        : 0;
    uint64_t said = beat->said > kept ? beat->said : kept;
    return beat->refusals_count - said > DRI_BEAT_REFUSALS_MAX ? said + DRI_BEAT_REFUSALS_MAX
                                                               : beat->refusals_count;
}

bool dri_beat_is_full(const struct dri_beat *beat)
{
    return beat->refusals_count - beat->said >= DRI_BEAT_REFUSALS_MAX;
}

uint64_t dri_beat_handed(struct dri_beat *beat)
{
    uint64_t said = beat->said;
    beat->said = refusals_end(beat);
    return said;
}

void dri_beat_lost(struct dri_beat *beat, uint64_t said)
{
    beat->said = said < beat->said ? said : beat->said;
}

bool dri_beat_has_more(const struct dri_beat *beat)
{
    return beat->said < beat->refusals_count;
}

/* ---- the lists ---- */

/* An array of as many numbers as a window has parts, each as four bytes. */
#define PARTS_BYTES (1u + DRI_HEAT_PARTS * 5u)

struct gathered {
    struct dri_status_failure failed[DRI_BEAT_FAILED_MAX];
    struct dri_status_module modules[DRI_BEAT_MODULES_MAX];
    struct dri_status_refusal refusals[DRI_BEAT_REFUSALS_MAX];
    struct dri_status_idle idle[DRI_BEAT_IDLE_MAX];
    struct dri_hottest hottest;
    struct dri_status_heat heat[DRI_BEAT_HEAT_MAX];
    uint8_t parts[DRI_BEAT_HEAT_MAX][PARTS_BYTES];
    const struct dri_module *images[DRI_BEAT_MODULES_MAX];
    size_t failed_count, modules_count, refusals_count, idle_count; /* that are listed */
    size_t failed_all, idle_all, routes;
};

static void gather_module(struct gathered *gathered, const struct dri_module *module)
{
    size_t i = 0;
    while (i < gathered->modules_count && gathered->images[i] != module) {
        i++;
    }
    if (i == DRI_BEAT_MODULES_MAX) {
        return;
    }
    if (i == gathered->modules_count) {
        gathered->images[gathered->modules_count++] = module;
        gathered->modules[i] =
            (struct dri_status_module){.name = dray_slice_text(dri_module_name(module)),
                                       .sha256 = dray_slice_text(dri_module_sha256(module))};
    }
    gathered->modules[i].routes++;
}

/* Where one more goes: behind the others, or in place of the one that was put first. */
static struct dri_status_failure *failure_place(struct gathered *gathered, uint64_t revision)
{
    if (gathered->failed_count < DRI_BEAT_FAILED_MAX) {
        return &gathered->failed[gathered->failed_count];
    }
    struct dri_status_failure *oldest = &gathered->failed[0];
    for (size_t i = 1; i < DRI_BEAT_FAILED_MAX; i++) {
        if (gathered->failed[i].revision < oldest->revision) {
            oldest = &gathered->failed[i];
        }
    }
    return oldest->revision < revision ? oldest : NULL;
}

static void gather_idle(struct gathered *gathered, const struct dri_route *route)
{
    if (route->handler == NULL || route->heat.total != 0) {
        return;
    }
    gathered->idle_all++;
    if (gathered->idle_count < DRI_BEAT_IDLE_MAX) {
        gathered->idle[gathered->idle_count++] = (struct dri_status_idle){
            .key = dray_slice_text(route->key), .revision = route->revision};
    }
}

static void gather_route(void *arg, const struct dri_route *route)
{
    struct gathered *gathered = arg;
    gathered->routes++;
    gather_idle(gathered, route);
    dri_hottest_add(&gathered->hottest, route);
    if (route->module != NULL) {
        gather_module(gathered, route->module);
    }
    for (size_t i = 0; i < dri_chain_count(route->chain); i++) {
        const struct dri_module *module = dri_chain_module(route->chain, i);
        if (module != route->module &&
            (i == 0 || module != dri_chain_module(route->chain, i - 1))) {
            gather_module(gathered, module);
        }
    }
    if (route->failure[0] == '\0') {
        return;
    }
    struct dri_status_failure *place = failure_place(gathered, route->revision);
    if (place != NULL) {
        *place = (struct dri_status_failure){.key = dray_slice_text(route->key),
                                             .revision = route->revision,
                                             .reason = dray_slice_text(route->failure)};
    }
    gathered->failed_count += gathered->failed_count < DRI_BEAT_FAILED_MAX;
    gathered->failed_all++;
}

/* "" stands for: not known. */
static struct dray_slice text_or_absent(const char *text)
{
    return text[0] == '\0' ? dray_slice_of(NULL, 0) : dray_slice_text(text);
}

static void gather_refusals(struct gathered *gathered, const struct dri_beat *beat)
{
    uint64_t end = refusals_end(beat);
    for (uint64_t i = end > DRI_BEAT_REFUSALS_MAX ? end - DRI_BEAT_REFUSALS_MAX : 0; i < end; i++) {
        const struct dri_beat_refusal *refusal = &beat->refusals[i % DRI_BEAT_REFUSALS_KEPT];
        bool is_conflict = refusal->is_conflict;
        gathered->refusals[gathered->refusals_count++] = (struct dri_status_refusal){
            .revision = refusal->revision,
            .verdict = dray_slice_text(is_conflict ? "conflict" : "refused"),
            .author = text_or_absent(refusal->author),
            .key = is_conflict ? dray_slice_text(refusal->key) : dray_slice_of(NULL, 0),
            .base = refusal->base,
            .present = refusal->present,
            .reason = is_conflict ? dray_slice_of(NULL, 0) : dray_slice_text(refusal->reason)};
    }
}

static void encode_parts(uint8_t *ret_bytes, const struct dri_heat *heat)
{
    uint8_t *at = ret_bytes;
    *at++ = (uint8_t)(0x90u | DRI_HEAT_PARTS);
    for (uint32_t i = 0; i < DRI_HEAT_PARTS; i++) {
        uint32_t calls = dri_heat_part(heat, i);
        *at++ = 0xce;
        for (unsigned shift = 32; shift > 0; shift -= 8) {
            *at++ = (uint8_t)(calls >> (shift - 8));
        }
    }
}

static void gather_heat(struct gathered *gathered, const struct dri_beat *beat)
{
    const struct dri_hottest *hottest = &gathered->hottest;
    for (size_t i = 0; i < hottest->count; i++) {
        const struct dri_route *route = hottest->routes[i];
        uint64_t calls = dri_heat_window(&route->heat);
        encode_parts(gathered->parts[i], &route->heat);
        gathered->heat[i] =
            (struct dri_status_heat){.key = dray_slice_text(route->key),
                                     .revision = route->revision,
                                     .calls = calls,
                                     .parts = dray_slice_of(gathered->parts[i], PARTS_BYTES),
                                     .is_hot = calls >= beat->hot_calls};
    }
}

static void gather(struct gathered *gathered, struct dri_beat *beat)
{
    gathered->hottest.calls_min = beat->hot_calls;
    dri_registry_each(beat->registry, gather_route, gathered);
    gather_heat(gathered, beat);
    beat->routes = gathered->routes;
    beat->failed = gathered->failed_all;
    gather_refusals(gathered, beat);
}

enum dray_status dri_beat_encode(struct dri_beat *beat, const char *state, uint64_t wall_ms,
                                 uint8_t *buffer, size_t *ret_len)
{
    struct gathered *gathered = dri_zalloc(sizeof(*gathered)); /* some ten KiB */
    char digest[65];
    if (gathered == NULL) {
        return DRAY_ENOMEM;
    }
    gather(gathered, beat);
    dri_registry_digest(beat->registry, digest);
    const struct dri_status_record record = {
        .worker = dray_slice_text(beat->worker),
        .group = dray_slice_text(beat->group),
        .host = dray_slice_text(beat->host),
        .version = dray_slice_text(beat->version),
        .state = dray_slice_text(state),
        .digest = dray_slice_text(digest),
        .signers = text_or_absent(beat->signers == NULL ? "" : beat->signers),
        .admin = dray_slice_text(beat->admin),
        .pid = (uint64_t)getpid(),
        .revision = dri_registry_revision(beat->registry),
        .ts_ms = wall_ms,
        .conflicts = beat->conflicts,
        .refused = beat->refused,
        .idle_all = gathered->idle_all,
        .failed_all = gathered->failed_all,
        .hot_all = gathered->hottest.hot,
        .heat_all = gathered->hottest.called,
        .heat_window_ms = beat->hot_window_ms,
    };
    const struct dri_status_lists lists = {
        .failed = gathered->failed,
        .modules = gathered->modules,
        .refusals = gathered->refusals,
        .idle = gathered->idle,
        .heat = gathered->heat,
        .heat_count = gathered->hottest.count,
        .failed_count = gathered->failed_count,
        .modules_count = gathered->modules_count,
        .refusals_count = gathered->refusals_count,
        .idle_count = gathered->idle_count,
    };
    enum dray_status status =
        dri_status_encode(&record, &lists, buffer, DRI_BEAT_BYTES_MAX, ret_len);
    dri_free(gathered);
    return status;
}
