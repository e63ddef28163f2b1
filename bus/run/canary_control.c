/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* canary_control.c - new versions on trial, and the changes that end a trial.
 *
 * Every replica judges by its own calls, and any of them may end the trial: its change has the
 * canary's revision as its base, so of several the log takes one. Rejected: one replica that judges
 * for all by sums in the status records. These are a second old, so that a bad version would run
 * longer, and who judges would have to be agreed on.
 *
 * A change whose fate is unknown is sent again for as long as the route is what it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "canary.h"
#include "control_inside.h"
#include "log.h"
#include "mem.h"
#include "seed.h"
#include "semver.h"

#define AGAIN_NS   (500u * NS_PER_MS)
#define RESEND_NS  (5000u * NS_PER_MS)
#define NOTE_BYTES 320u

/* ---- which trials there are ---- */

struct gathered {
    const struct dri_route *canaries[DRI_CANARY_TRIALS_MAX];
    const struct dri_route *stables[DRI_CANARY_TRIALS_MAX]; /* NULL: none */
    size_t count;
};

static bool runs(const struct dri_route *route)
{
    return route->handler != NULL && route->view.state == DRI_ROUTE_ACTIVE;
}

static void gather_canary(void *arg, const struct dri_route *route)
{
    struct gathered *gathered = arg;
    if (runs(route) && route->view.weight != 0 && route->view.policy.has_canary &&
        gathered->count < DRI_CANARY_TRIALS_MAX) {
        gathered->canaries[gathered->count++] = route;
    }
}

static int compare_versions(const struct dri_route *one, const struct dri_route *other)
{
    struct dri_semver a, b;
    if (dri_semver_parse(one->view.version, &a) != DRAY_OK ||
        dri_semver_parse(other->view.version, &b) != DRAY_OK) {
        return 0;
    }
    return dri_semver_compare(&a, &b);
}

/* The route that has the other share: of this name and these tags, the highest. */
static void gather_stable(void *arg, const struct dri_route *route)
{
    struct gathered *gathered = arg;
    for (size_t i = 0; i < gathered->count; i++) {
        const struct dri_route_view *canary = &gathered->canaries[i]->view;
        if (runs(route) && route->view.weight == 0 &&
            dray_slice_equal(route->view.ns, canary->ns) &&
            dray_slice_equal(route->view.name, canary->name) &&
            dray_slice_equal(route->view.tags, canary->tags) &&
            (gathered->stables[i] == NULL || compare_versions(route, gathered->stables[i]) > 0)) {
            gathered->stables[i] = route;
        }
    }
}

static void look_at_routes(struct dri_control_thread *control)
{
    struct gathered gathered = {.count = 0};
    struct dri_canary_pair pairs[DRI_CANARY_TRIALS_MAX];
    size_t count = 0;
    dri_registry_each(control->registry, gather_canary, &gathered);
    if (gathered.count > 0) {
        dri_registry_each(control->registry, gather_stable, &gathered);
    }
    for (size_t i = 0; i < gathered.count; i++) {
        const struct dri_route *canary = gathered.canaries[i];
        const struct dri_route *stable = gathered.stables[i];
        if (stable == NULL || compare_versions(canary, stable) <= 0) {
            DRI_LOG(DRI_LOG_WARN, "CANARY-ALONE",
                    "a canary is not judged: there is no older version beside it",
                    DRI_TEXT("route", canary->key));
            continue;
        }
        const struct dri_policy *policy = &canary->view.policy;
        pairs[count++] = (struct dri_canary_pair){
            .canary = dri_canary_id(canary),
            .stable = dri_canary_id(stable),
            .rules = {policy->canary_promote_after, policy->canary_tolerance}};
    }
    dri_canary_set(control->canary, pairs, count);
}

/* ---- the change ---- */

struct ending {
    const struct dri_control_thread *control;
    const struct dri_route *canary;
    bool is_promoted;
    const char *note;
};

static enum dray_status make_change(const void *arg, const struct dri_change *head,
                                    uint8_t **ret_bytes, size_t *ret_len, char *ret_text,
                                    size_t text_bytes)
{
    const struct ending *ending = arg;
    const struct dri_settings *settings = ending->control->settings;
    struct dray_slice was = dray_slice_of(ending->canary->bytes, ending->canary->bytes_len);
    size_t route_max = was.len + 32, len = 0;
    size_t bytes_max = route_max + 2048 + head->author.len + strlen(settings->cluster) +
                       strlen(settings->topics.control);
    uint8_t *route = dri_zalloc(route_max);
    uint8_t *bytes = dri_zalloc(bytes_max);
    enum dray_status status = route == NULL || bytes == NULL ? DRAY_ENOMEM : DRAY_OK;
    if (status == DRAY_OK) {
        status = ending->is_promoted
                     ? dri_route_without_weight(was, route, route_max, &len)
                     : dri_route_with_state(was, DRI_ROUTE_PAUSED, route, route_max, &len);
    }
    if (status == DRAY_OK) {
        const struct dri_change_item item = {.key = dray_slice_text(ending->canary->key),
                                             .base = ending->canary->revision,
                                             .route = dray_slice_of(route, len)};
        struct dri_change change = *head;
        change.kind = dray_slice_text("routes");
        change.cluster = dray_slice_text(settings->cluster);
        change.topic = dray_slice_text(settings->topics.control);
        change.note = dray_slice_text(ending->note);
        status = dri_change_encode(&change, &item, 1, bytes, bytes_max, ret_len);
    }
    dri_free(route);
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(status));
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

struct search {
    uint64_t id;
    const struct dri_route *found;
};

static void look_for(void *arg, const struct dri_route *route)
{
    struct search *search = arg;
    if (dri_canary_id(route) == search->id && route->view.weight != 0 &&
        route->view.policy.has_canary && runs(route)) {
        search->found = route;
    }
}

static const struct dri_route *find_canary(const struct dri_control_thread *control, uint64_t id)
{
    struct search search = {id, NULL};
    dri_registry_each(control->registry, look_for, &search);
    return search.found;
}

static void end_trial(struct dri_control_thread *control, const struct dri_canary_pair *pair,
                      const struct dri_trial *trial)
{
    struct verdict *verdict = &control->verdict;
    const struct dri_route *canary = find_canary(control, pair->canary);
    bool is_promoted = trial->verdict == DRI_TRIAL_FINE;
    char numbers[NOTE_BYTES], note[NOTE_BYTES + 32], author[200], text[TEXT_BYTES] = "";
    if (canary == NULL) {
        return;
    }
    dri_trial_format(trial, numbers, sizeof(numbers));
    snprintf(note, sizeof(note), "%s: %s", is_promoted ? "promoted" : "rolled back", numbers);
    snprintf(author, sizeof(author), "canary@%s", control->worker);
    const struct ending ending = {control, canary, is_promoted, note};
    const struct dri_seed_maker maker = {make_change, &ending};
    dri_metrics_add(control->page,
                    is_promoted ? DRI_METRIC_CANARY_PROMOTED : DRI_METRIC_CANARY_ROLLED_BACK, 1);
    DRI_LOG(is_promoted ? DRI_LOG_INFO : DRI_LOG_WARN, is_promoted ? "CANARY-FINE" : "CANARY-WORSE",
            is_promoted ? "a new version is as good as the old one, and takes all commands"
                        : "a new version is worse than the old one, and is paused",
            DRI_TEXT("route", canary->key), DRI_TEXT("evidence", numbers));
    if (dri_seed_own(control->settings, &control->log, author, &maker, &verdict->bytes,
                     &verdict->len, text, sizeof(text)) != DRAY_OK) {
        DRI_LOG(DRI_LOG_ERROR, "CANARY-UNSAID",
                "a trial has ended, but this worker cannot make the change; make it by hand with: "
                "dray registry pause, or dray registry put",
                DRI_TEXT("route", canary->key), DRI_TEXT("reason", text));
        return;
    }
    verdict->canary = pair->canary;
    verdict->due_ns = 0;
    snprintf(verdict->dedup_id, sizeof(verdict->dedup_id), "canary:%.24s:%016" PRIx64,
             control->worker, dri_clock_mono_ns());
}

static void publish(struct dri_control_thread *control, struct dri_now now)
{
    struct verdict *verdict = &control->verdict;
    bool is_taken =
        dri_control_write(control, now, TOKEN_VERDICT, dray_slice_of(verdict->bytes, verdict->len),
                          verdict->dedup_id);
    verdict->due_ns = now.mono_ns + (is_taken ? RESEND_NS : AGAIN_NS);
}

/* ---- */

bool dri_control_has_verdict(const struct dri_control_thread *control)
{
    return control->canary != NULL && control->is_checked && control->verdict.bytes == NULL &&
           dri_canary_has_verdict(control->canary);
}

void dri_control_canary(struct dri_control_thread *control, struct dri_now now)
{
    struct verdict *verdict = &control->verdict;
    struct dri_canary_pair pair;
    struct dri_trial trial;
    if (control->canary == NULL || !control->is_checked) {
        return;
    }
    if (control->is_asking_canaries) {
        control->is_asking_canaries = false;
        look_at_routes(control);
        if (verdict->bytes != NULL && find_canary(control, verdict->canary) == NULL) {
            dri_free(verdict->bytes);
            verdict->bytes = NULL;
        }
    }
    if (verdict->bytes == NULL && dri_canary_take(control->canary, &pair, &trial)) {
        end_trial(control, &pair, &trial);
    }
    if (verdict->bytes != NULL && now.mono_ns >= verdict->due_ns) {
        publish(control, now);
    }
}
