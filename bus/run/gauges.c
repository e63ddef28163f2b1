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
    dri_metrics_set_routes(page, limits.routes, limits.count);
    dri_free(limits.routes);
}

void dri_gauges_show(struct dri_metrics_page *page, const struct dri_gauges *gauges)
{
    const struct {
        enum dri_metric metric;
        uint64_t value;
    } values[] = {
        {DRI_METRIC_MESSAGES, gauges->engine->messages},
        {DRI_METRIC_BYTES_IN, gauges->engine->bytes_in},
        {DRI_METRIC_INVALID, gauges->engine->invalid},
        {DRI_METRIC_ADMITTED, gauges->core->admitted},
        {DRI_METRIC_DUPLICATES, gauges->core->duplicates_in_flight},
        {DRI_METRIC_STALE_COMPLETIONS, gauges->core->stale_completions},
        {DRI_METRIC_STALE_RECORDS, gauges->core->stale_records},
        {DRI_METRIC_RETRIES, gauges->core->retries},
        {DRI_METRIC_REPUBLISHED, gauges->core->republished},
        {DRI_METRIC_RESULTS, gauges->core->results_stored},
        {DRI_METRIC_LETTERS, gauges->core->letters_stored},
        {DRI_METRIC_HELD, gauges->core->held},
        {DRI_METRIC_DELAYED, gauges->core->delayed},
        {DRI_METRIC_CANCELLED, gauges->engine->cancelled},
        {DRI_METRIC_ADAPTIVE_SHRINKS, gauges->core->adaptive_shrinks},
        {DRI_METRIC_BREAKER_OPENS, gauges->core->breaker_opens},
        {DRI_METRIC_SYSTEMIC_PAUSES, gauges->core->systemic_pauses},
        {DRI_METRIC_SYSTEMIC_SPARED, gauges->core->systemic_spared},
        {DRI_METRIC_FALLBACKS, gauges->core->fallbacks},
        {DRI_METRIC_POINTER_LETTERS, gauges->engine->pointer_letters},
        {DRI_METRIC_SETTLED, gauges->core->settled},
        {DRI_METRIC_DROPPED, gauges->core->dropped_on_revoke},
        {DRI_METRIC_SETTLES_FAILED, gauges->core->settles_failed},
        {DRI_METRIC_TORN, gauges->core->torn},
        {DRI_METRIC_TRANSACTIONS, gauges->engine->transactions},
        {DRI_METRIC_TRANSACTIONS_VOID, gauges->engine->transactions_void},
        {DRI_METRIC_METADATA_PAUSES, gauges->engine->metadata_pauses},
        {DRI_METRIC_SKIPPED_FINISHED, gauges->core->skipped_finished},
        {DRI_METRIC_METADATA_REFUSED, gauges->core->metadata_refused},
        {DRI_METRIC_PUBLISHES, gauges->engine->publishes},
        {DRI_METRIC_PUBLISH_UNKNOWN, gauges->engine->publish_unknown},
        {DRI_METRIC_PUBLISH_REFUSED, gauges->engine->publish_refused},
        {DRI_METRIC_ASSIGNMENTS, gauges->engine->assignments},
        {DRI_METRIC_REVOCATIONS, gauges->engine->revocations},
        {DRI_METRIC_LOSSES, gauges->engine->losses},
        {DRI_METRIC_STUCK, gauges->lanes->stuck},
        {DRI_METRIC_STUCK_TOTAL, gauges->lanes->stuck_total},
        {DRI_METRIC_LATE_RESULTS, gauges->lanes->late_total},
        {DRI_METRIC_IN_FLIGHT, gauges->core->in_flight},
        {DRI_METRIC_IN_FLIGHT_LIMIT, gauges->in_flight_limit},
        {DRI_METRIC_RUNNING, gauges->core->running},
        {DRI_METRIC_WAITING, gauges->core->waiting},
        {DRI_METRIC_WAITING_PAUSED, gauges->core->waiting_paused},
        {DRI_METRIC_BREAKERS_OPEN, gauges->core->open_groups},
        {DRI_METRIC_REPLICAS, gauges->replicas},
        {DRI_METRIC_SYSTEMIC, gauges->core->is_systemic ? 1 : 0},
        {DRI_METRIC_UNACKED, gauges->core->unacked},
        {DRI_METRIC_IN_FLIGHT_BYTES, gauges->core->bytes},
        {DRI_METRIC_SETTLE_GAP, gauges->core->settle_gap},
        {DRI_METRIC_STALE_SETTLES, gauges->transport->stale_settles},
        {DRI_METRIC_STALE_FETCHED, gauges->transport->stale_messages},
        {DRI_METRIC_POSITIONS_BACK, gauges->transport->positions_back},
        {DRI_METRIC_METADATA_DROPPED, gauges->transport->metadata_dropped},
        {DRI_METRIC_LEASES_MISSED, gauges->transport->leases_missed},
        {DRI_METRIC_ARRIVALS_DROPPED, gauges->transport->arrivals_dropped},
        {DRI_METRIC_CLIENTS_MADE, gauges->transport->clients_made},
        {DRI_METRIC_MESSAGES_GIVEN_UP, gauges->transport->messages_given_up},
        {DRI_METRIC_SLOTS, gauges->engine->assignments - gauges->engine->unassignments},
        {DRI_METRIC_REVISION, gauges->revision},
        {DRI_METRIC_READY, gauges->is_ready ? 1 : 0},
    };
    for (size_t i = 0; i < DRI_ARRAY_LEN(values); i++) {
        dri_metrics_set(page, values[i].metric, values[i].value);
    }
}
