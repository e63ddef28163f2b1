/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "gauges.h"

#include "assert.h"
#include "mem.h"

/* The first round counts, the second one has room for what was counted. */
struct limits {
    struct dri_metrics_route *routes;
    size_t count;
};

static void take_limit(void *arg, const char *key, uint32_t limit)
{
    struct limits *limits = arg;
    if (limits->routes != NULL) {
        limits->routes[limits->count] = (struct dri_metrics_route){key, limit};
    }
    limits->count++;
}

void dri_gauges_show_routes(struct dri_metrics_page *page, const struct dri_engine *engine)
{
    struct limits limits = {NULL, 0};
    dri_engine_each_limit(engine, take_limit, &limits);
    if (limits.count > 0) {
        limits.routes = dri_zalloc_array(limits.count, sizeof(limits.routes[0]));
        limits.count = 0;
    }
    if (limits.routes != NULL) {
        dri_engine_each_limit(engine, take_limit, &limits);
    }
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, limits.routes, limits.count);
    dri_free(limits.routes);
}

struct value {
    enum dri_metric metric;
    uint64_t value;
};

static void show(struct dri_metrics_page *page, const struct value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dri_metrics_set(page, values[i].metric, values[i].value);
    }
}

static void show_core(struct dri_metrics_page *page, const struct dri_core_stats *core)
{
    const struct value values[] = {
        {DRI_METRIC_ADMITTED, core->admitted},
        {DRI_METRIC_DUPLICATES, core->duplicates_in_flight},
        {DRI_METRIC_STALE_COMPLETIONS, core->stale_completions},
        {DRI_METRIC_STALE_RECORDS, core->stale_records},
        {DRI_METRIC_RETRIES, core->retries},
        {DRI_METRIC_REPUBLISHED, core->republished},
        {DRI_METRIC_RESULTS, core->results_stored},
        {DRI_METRIC_LETTERS, core->letters_stored},
        {DRI_METRIC_HELD, core->held},
        {DRI_METRIC_DELAYED, core->delayed},
        {DRI_METRIC_PARKED, core->parked},
        {DRI_METRIC_UNPARKED, core->unparked},
        {DRI_METRIC_REWRITTEN, core->rewritten},
        {DRI_METRIC_COPIES_DROPPED, core->copies_dropped},
        {DRI_METRIC_ADAPTIVE_SHRINKS, core->adaptive_shrinks},
        {DRI_METRIC_BREAKER_OPENS, core->breaker_opens},
        {DRI_METRIC_SYSTEMIC_PAUSES, core->systemic_pauses},
        {DRI_METRIC_SYSTEMIC_SPARED, core->systemic_spared},
        {DRI_METRIC_FALLBACKS, core->fallbacks},
        {DRI_METRIC_ANSWERED, core->answered},
        {DRI_METRIC_WINDOW_STORED, core->windows_stored},
        {DRI_METRIC_SETTLED, core->settled},
        {DRI_METRIC_DROPPED, core->dropped_on_revoke},
        {DRI_METRIC_SETTLES_FAILED, core->settles_failed},
        {DRI_METRIC_TORN, core->torn},
        {DRI_METRIC_SKIPPED_FINISHED, core->skipped_finished},
        {DRI_METRIC_METADATA_REFUSED, core->metadata_refused},
        {DRI_METRIC_IN_FLIGHT, core->in_flight},
        {DRI_METRIC_RUNNING, core->running},
        {DRI_METRIC_WAITING, core->waiting},
        {DRI_METRIC_WAITING_PAUSED, core->waiting_paused},
        {DRI_METRIC_PARKED_NOW, core->parked_entries},
        {DRI_METRIC_PARKED_KEYS, core->parked_keys},
        {DRI_METRIC_STOPPED_KEYS, core->stopped_keys},
        {DRI_METRIC_BREAKERS_OPEN, core->open_groups},
        {DRI_METRIC_SYSTEMIC, core->is_systemic ? 1 : 0},
        {DRI_METRIC_UNACKED, core->unacked},
        {DRI_METRIC_IN_FLIGHT_BYTES, core->bytes},
        {DRI_METRIC_SETTLE_GAP, core->settle_gap},
    };
    show(page, values, DRI_ARRAY_LEN(values));
}

void dri_gauges_show(struct dri_metrics_page *page, const struct dri_gauges *gauges)
{
    const struct value values[] = {
        {DRI_METRIC_MESSAGES, gauges->engine->messages},
        {DRI_METRIC_BYTES_IN, gauges->engine->bytes_in},
        {DRI_METRIC_INVALID, gauges->engine->invalid},
        {DRI_METRIC_PARK_OVERFLOWS, gauges->engine->park_holds},
        {DRI_METRIC_PARKS_HELD, gauges->engine->parks_held},
        {DRI_METRIC_SPOOL_KEPT, gauges->engine->spool_kept},
        {DRI_METRIC_SPOOL_BYTES, gauges->engine->spool_bytes},
        {DRI_METRIC_CANCELLED, gauges->engine->cancelled},
        {DRI_METRIC_POINTER_LETTERS, gauges->engine->pointer_letters},
        {DRI_METRIC_WINDOW_HELD, gauges->engine->window_held},
        {DRI_METRIC_WINDOW_EVICTED, gauges->engine->window_evicted},
        {DRI_METRIC_WINDOW_REFUSED, gauges->engine->window_refused},
        {DRI_METRIC_WINDOW_ENTRIES, gauges->engine->window_entries},
        {DRI_METRIC_WINDOW_BYTES, gauges->engine->window_bytes},
        {DRI_METRIC_TRANSACTIONS, gauges->engine->transactions},
        {DRI_METRIC_TRANSACTIONS_VOID, gauges->engine->transactions_void},
        {DRI_METRIC_METADATA_PAUSES, gauges->engine->metadata_pauses},
        {DRI_METRIC_PUBLISHES, gauges->engine->publishes},
        {DRI_METRIC_PUBLISH_UNKNOWN, gauges->engine->publish_unknown},
        {DRI_METRIC_PUBLISH_REFUSED, gauges->engine->publish_refused},
        {DRI_METRIC_ASSIGNMENTS, gauges->engine->assignments},
        {DRI_METRIC_REVOCATIONS, gauges->engine->revocations},
        {DRI_METRIC_LOSSES, gauges->engine->losses},
        {DRI_METRIC_STUCK, gauges->lanes->stuck},
        {DRI_METRIC_STUCK_TOTAL, gauges->lanes->stuck_total},
        {DRI_METRIC_LATE_RESULTS, gauges->lanes->late_total},
        {DRI_METRIC_MODULES, gauges->modules->in_use},
        {DRI_METRIC_MODULES_RETIRED, gauges->modules->retired},
        {DRI_METRIC_MODULES_UNLOADED, gauges->modules->unloaded},
        {DRI_METRIC_TRIALS_FAILED, gauges->modules->trials_failed},
        {DRI_METRIC_IN_FLIGHT_LIMIT, gauges->in_flight_limit},
        {DRI_METRIC_REPLICAS, gauges->replicas},
        {DRI_METRIC_STALE_SETTLES, gauges->transport->stale_settles},
        {DRI_METRIC_STALE_FETCHED, gauges->transport->stale_messages},
        {DRI_METRIC_POSITIONS_BACK, gauges->transport->positions_back},
        {DRI_METRIC_METADATA_DROPPED, gauges->transport->metadata_dropped},
        {DRI_METRIC_LEASES_MISSED, gauges->transport->leases_missed},
        {DRI_METRIC_ARRIVALS_DROPPED, gauges->transport->arrivals_dropped},
        {DRI_METRIC_CLIENTS_MADE, gauges->transport->clients_made},
        {DRI_METRIC_HELD_BACK, gauges->transport->held_back},
        {DRI_METRIC_MESSAGES_GIVEN_UP, gauges->transport->messages_given_up},
        {DRI_METRIC_SLOTS, gauges->engine->assignments - gauges->engine->unassignments},
        {DRI_METRIC_REVISION, gauges->revision},
        {DRI_METRIC_READY, gauges->is_ready ? 1 : 0},
    };
    show_core(page, gauges->core);
    show(page, values, DRI_ARRAY_LEN(values));
}
