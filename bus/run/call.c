/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* call.c - one run of one command: its route, its handler, what came out.
 *
 * The runner is a QSBR reader of the registry: online for the look-up, offline while the handler
 * runs, so that a slow handler never delays the end of a grace period; the route itself is held by
 * a pin.
 *
 * While the handler runs, `current` has the flight's token. The watchdog takes a run away by
 * setting a bit there, and the runner finds out by the very exchange that ends the run: exactly one
 * of the two goes on with the flight, without a lock on the sunny path.
 */
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "canary.h"
#include "decimal.h"
#include "executor_inside.h"
#include "hash.h"
#include "interceptor.h"
#include "module.h"
#include "routing.h"
#include "scanner.h"

static void crash_point(const struct lanes *lanes, const char *name)
{
    if (lanes->config.on_crash_point != NULL) {
        lanes->config.on_crash_point(name);
    }
}

static enum dray_error_kind find_route(struct runner *runner, struct dri_flight *flight,
                                       const struct dri_route **ret_route)
{
    struct dri_query query;
    dri_router_query(flight, &query);
    enum dray_status status = dri_registry_pin(runner->reader, &query, ret_route);
    if (status != DRAY_OK) {
        dri_router_explain(&query, status, runner->text, sizeof(runner->text));
        return status == DRAY_ECONFLICT ? DRAY_KIND_VERSION_MISMATCH : DRAY_KIND_UNKNOWN_COMMAND;
    }
    const struct dri_route *route = *ret_route;
    flight->revision = route->revision;
    if (route->view.state == DRI_ROUTE_PAUSED) {
        return DRAY_KIND_HELD;
    }
    if (route->handler == NULL) {
        snprintf(runner->text, sizeof(runner->text), "the route cannot run here: %s",
                 route->failure);
        return DRAY_KIND_UNAVAILABLE;
    }
    return DRAY_KIND_NONE;
}

static void set_deadline(struct runner *runner, const struct dri_flight *flight,
                         const struct dri_route *route)
{
    uint32_t timeout_ms = route->view.policy.timeout_ms;
    if (timeout_ms == 0) {
        timeout_ms = atomic_load_explicit(&runner->lanes->timeout_ms, memory_order_relaxed);
    }
    uint64_t left_ns = timeout_ms != 0 ? (uint64_t)timeout_ms * 1000000u : UINT64_MAX;
    if (flight->deadline_ms != 0) {
        uint64_t now_ms = dri_clock_wall_ms();
        uint64_t until_ms = flight->deadline_ms > now_ms ? flight->deadline_ms - now_ms : 0;
        uint64_t until_ns = until_ms < UINT64_MAX / 2000000u ? until_ms * 1000000u : UINT64_MAX;
        left_ns = until_ns < left_ns ? until_ns : left_ns;
    }
    runner->deadline_ns = left_ns == UINT64_MAX ? 0 : flight->started_ns + left_ns;
}

static void fill_call(struct runner *runner, const struct dri_flight *flight,
                      const struct dri_route *route)
{
    struct lanes *lanes = runner->lanes;
    const struct dri_envelope *envelope = &flight->envelope;
    const char *origin = lanes->config.origin != NULL
                             ? lanes->config.origin(lanes->config.origin_arg, flight->slot)
                             : "";
    size_t len =
        dri_decimal_after(runner->source, sizeof(runner->source), origin, '/', flight->offset);
    runner->call = (struct dray_call){
        .bytes = sizeof(runner->call),
        .attempt = flight->attempt,
        .host = &dri_call_host,
        .user = route->module != NULL ? dri_module_user(route->module) : NULL,
        .id = envelope->id,
        .command = envelope->command.at != NULL ? envelope->command : route->view.name,
        .namespace_ = envelope->namespace_,
        .version = route->view.version,
        .key = envelope->key.at != NULL ? envelope->key : flight->key,
        .payload = envelope->payload,
        .meta = envelope->meta,
        .trace = envelope->trace,
        .tracestate = envelope->tracestate,
        .source = dray_slice_of(runner->source, len),
        .worker = dray_slice_text(lanes->config.worker),
        .created_ms = envelope->created_ms,
        .deadline_ms = flight->deadline_ms,
        .is_id_binary = envelope->is_id_binary,
        .is_replay = flight->is_replay,
        .result = {.begin = runner->result_buffer,
                   .at = runner->result_buffer,
                   .end = runner->result_buffer + lanes->config.result_bytes_max,
                   .status = DRAY_OK},
    };
}

/* For whoever starts after a crash; see journal.c. */
static void note_in_journal(struct runner *runner)
{
    const struct dray_call *call = &runner->call;
    const struct dri_route *route = runner->route;
    const struct dri_journal_entry entry = {
        .id = call->id,
        .command = call->command,
        .handler = route->view.handler.at != NULL ? route->view.handler : route->view.name,
        .source = call->source,
        .started_ns = runner->flight->started_ns,
        .attempt = runner->flight->attempt,
        .epoch = runner->flight->epoch,
        .is_id_binary = call->is_id_binary,
    };
    if (runner->line != NULL) {
        dri_journal_begin(runner->line, &entry);
    }
}

/* When the watchdog takes the lane away. Late enough that it need not be told of a new run: see
 * watchdog.c. */
static uint64_t overdue_of(const struct lanes *lanes, uint64_t deadline_ns)
{
    return lanes->config.stuck_ms != 0 && deadline_ns != 0
               ? deadline_ns + (uint64_t)lanes->config.stuck_ms * 1000000u
               : NEVER;
}

/* The bytes that the handler wrote, when they are one value. */
static enum dray_error_kind check_result(struct runner *runner, bool *ret_too_large,
                                         struct dray_slice *ret_result)
{
    const struct dray_writer *writer = &runner->call.result;
    if (writer->status == DRAY_EINVALID) {
        snprintf(runner->text, sizeof(runner->text), "the handler wrote a text that is not UTF-8");
        return DRAY_KIND_INTERNAL;
    }
    if (writer->status != DRAY_OK) {
        *ret_too_large = true;
        return DRAY_KIND_NONE;
    }
    size_t len = (size_t)(writer->at - writer->begin);
    if (len == 0) {
        return DRAY_KIND_NONE;
    }
    struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    limits.message_bytes = UINT32_MAX;
    limits.elements = UINT32_MAX;
    struct dri_scanner scanner;
    dri_scanner_init(&scanner, dray_slice_of(writer->begin, len), &limits);
    if (dri_scanner_skip(&scanner, ret_result) != DRAY_OK || dri_scanner_left(&scanner) != 0) {
        *ret_result = (struct dray_slice){NULL, 0};
        snprintf(runner->text, sizeof(runner->text), "the handler did not write exactly one value");
        return DRAY_KIND_INTERNAL;
    }
    return DRAY_KIND_NONE;
}

static enum dray_error_kind known_kind(enum dray_error_kind kind)
{
    return kind >= DRAY_KIND_NONE && kind < DRAY_KIND_COUNT ? kind : DRAY_KIND_INTERNAL;
}

/* The handler with what stands around it. The flight is not looked at here: the watchdog may have
 * given it away by now. */
static enum dray_error_kind call_chain(struct runner *runner, const struct dri_route *route)
{
    struct dray_call *call = &runner->call;
    struct dray_end end = {.bytes = sizeof(end), .result = {NULL, 0}};
    uint64_t begun_ns = dri_clock_mono_ns();
    size_t entered = 0;
    end.kind = known_kind(dri_chain_before(route->chain, call, &entered));
    end.is_refused = end.kind != DRAY_KIND_NONE;
    call->result.at = call->result.begin; /* what they wrote is no result */
    call->result.status = DRAY_OK;
    enum dray_error_kind kind = end.kind;
    if (kind == DRAY_KIND_NONE) {
        bool is_too_large = false; /* the command succeeded all the same */
        kind = known_kind(route->handler->fn(call));
        end.kind = kind == DRAY_KIND_NONE ? check_result(runner, &is_too_large, &end.result) : kind;
    }
    end.duration_ns = dri_clock_mono_ns() - begun_ns;
    end.code = dray_slice_text(runner->code);
    end.message = dray_slice_text(runner->text);
    dri_chain_after(route->chain, entered, call, &end);
    runner->is_refused = end.is_refused;
    return kind;
}

/* False: the lane was taken away meanwhile, and the flight with it. */
static bool call_handler(struct runner *runner, struct dri_flight *flight,
                         const struct dri_route *route)
{
    struct lanes *lanes = runner->lanes;
    fill_call(runner, flight, route);
    set_deadline(runner, flight, route);
    runner->flight = flight;
    runner->route = route;
    atomic_store_explicit(&runner->overdue_ns, overdue_of(lanes, runner->deadline_ns),
                          memory_order_relaxed);              /* released by the next store */
    atomic_store(&runner->current, dri_flight_token(flight)); /* pairs with dri_runner_cancel */
    dri_registry_note_call(runner->reader, route);
    dri_reader_offline(runner->reader);
    note_in_journal(runner);
    crash_point(lanes, "before_handler");
    enum dray_error_kind kind =
        route->chain == NULL ? route->handler->fn(&runner->call) : call_chain(runner, route);
    crash_point(lanes, "after_handler");
    uint64_t current = atomic_exchange(&runner->current, NOTHING_RUNS); /* pairs with take_away */
    if ((current & TAKEN_BIT) != 0 && !dri_watchdog_is_spared(runner)) {
        return false;
    }
    if (runner->line != NULL) {
        dri_journal_end(runner->line);
    }
    dri_reader_online(runner->reader);
    if (runner->has_cancel) {
        dri_lock_take(&lanes->calls); /* waits for a function that is being called */
        runner->cancel = NULL;
        dri_lock_drop(&lanes->calls);
        runner->has_cancel = false;
    }
    flight->kind = known_kind(kind);
    if (runner->is_refused && runner->lane->page != NULL) {
        dri_metrics_add(runner->lane->page, DRI_METRIC_INTERCEPTED, 1);
    }
    return true;
}

void dri_call_stamp_failure(struct dri_flight *flight)
{
    flight->last_failed_ms = dri_clock_wall_ms();
    if (flight->first_failed_ms == 0) {
        flight->first_failed_ms = flight->last_failed_ms;
    }
}

/* First tries only: a bad command that comes again and again says nothing of the version. */
void dri_call_note_canary(const struct runner *runner, const struct dri_flight *flight,
                          const struct dri_route *route)
{
    if (flight->attempt <= 1) {
        dri_canary_note(runner->lanes->config.canary, dri_canary_id(route),
                        flight->kind != DRAY_KIND_NONE, flight->ended_ns - flight->started_ns);
    }
}

static void judge(struct runner *runner, struct dri_flight *flight, const struct dri_route *route)
{
    dri_call_stamp_failure(flight);
    static const struct dri_policy none;
    const struct dri_policy *policy = route != NULL ? &route->view.policy : &none;
    uint64_t first_ms = flight->first_failed_ms;
    uint64_t last_ms = flight->last_failed_ms;
    const struct dri_failure failure = {
        .kind = flight->kind,
        .attempt = flight->attempt,
        .since_first_ms = last_ms > first_ms ? last_ms - first_ms : 0, /* the clock may step back */
        .retry_after_ms = runner->retry_after_ms,
        .seed = dri_hash64(flight->envelope.id),
    };
    flight->verdict = dri_verdict_make(policy, &failure);
}

static void begin_run(struct runner *runner, struct dri_flight *flight)
{
    runner->code[0] = '\0';
    runner->text[0] = '\0';
    runner->retry_after_ms = 0;
    runner->is_refused = false;
    dri_block_drop(runner->lane, flight);
    flight->was_run = true;
    flight->is_stuck = false;
    flight->is_result_too_large = false;
    flight->started_ns = dri_clock_mono_ns();
}

static void end_run(struct runner *runner, struct dri_flight *flight, const struct dri_route *route,
                    struct dray_slice result)
{
    struct lane *lane = runner->lane;
    const struct outcome_texts texts = {
        .result = result,
        .code = dray_slice_text(runner->code),
        .text = dray_slice_text(runner->text),
    };
    flight->ended_ns = dri_clock_mono_ns();
    if (!dri_block_keep(lane, flight, &texts, route)) {
        /* It ran, but there is no memory to say what came out: let it come again. */
        flight->kind = DRAY_KIND_INTERNAL;
    }
    if (flight->kind != DRAY_KIND_NONE) {
        judge(runner, flight, route);
    }
    if (lane->page != NULL) {
        dri_metrics_call(lane->page, route != NULL ? route->name_text : NULL,
                         (unsigned)flight->kind, flight->ended_ns - flight->started_ns);
    }
    if (route != NULL) {
        dri_call_note_canary(runner, flight, route);
        dri_registry_unpin(runner->reader, route);
    }
}

bool dri_call_run(struct runner *runner, struct dri_flight *flight)
{
    const struct dri_route *route = NULL;
    struct dray_slice result = {NULL, 0};
    begin_run(runner, flight);
    if (flight->is_duplicate) {
        flight->kind = DRAY_KIND_NONE;
        flight->ended_ns = flight->started_ns;
        return true; /* its first copy runs, or has run, in its place */
    }
    flight->kind = find_route(runner, flight, &route);
    if (flight->kind == DRAY_KIND_HELD) {
        flight->was_run = false; /* it was paused meanwhile; the core lets it wait */
        dri_registry_unpin(runner->reader, route);
        return true;
    }
    if (flight->kind == DRAY_KIND_NONE) {
        if (!call_handler(runner, flight, route)) {
            return false;
        }
        if (flight->kind == DRAY_KIND_NONE) {
            flight->kind = check_result(runner, &flight->is_result_too_large, &result);
        }
    }
    end_run(runner, flight, route, result);
    return true;
}
