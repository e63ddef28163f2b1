/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* executor.c - lanes: threads that look a route up and call its handler.
 *
 * The engine hands a lane whole chains through a single-producer queue and gets flights back
 * through another, so two lanes share nothing on the way of a command. A lane is a QSBR reader of
 * the registry: online for the look-up, offline while it sleeps and while a handler runs, so that a
 * slow handler never delays the end of a grace period; the route itself is held by a pin.
 *
 * What a run leaves behind (result bytes, error text, version) goes into one block that travels
 * with the flight. Blocks of the common size are made once and come back to their lane through a
 * third queue; only larger ones meet the heap.
 *
 * Cancellation is cooperative: one bit beside the token of what runs, and at most one function that
 * the handler left to be called. That function runs under the lock `calls`, the one place where
 * dray calls out under a lock: it may only set flags, and the lock is what keeps its argument alive
 * until it has returned. A handler that never returns holds its lane: dri_lanes_stop then times out
 * and the process ends by _exit, which at-least-once makes safe.
 */
#include "executor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <dray/handler.h>

#include "assert.h"
#include "hash.h"
#include "lock.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "module.h"
#include "payload.h"
#include "queue.h"
#include "registry.h"
#include "routing.h"
#include "scanner.h"

#define BLOCK_BYTES    1024u /* of a recycled block, header included */
#define SPARE_MAX      1024u
#define CODE_BYTES     64u
#define TEXT_BYTES     1024u
#define SOURCE_BYTES   340u
#define TREE_BYTES     (32u * 1024u * 1024u) /* objects of one payload */
#define CHAINS_A_BATCH 64u
#define NOTHING_RUNS   UINT64_MAX
#define CANCELLED_BIT  (UINT64_C(1) << 31) /* of a token's index half, which never needs it */

struct block {
    struct lane *lane; /* where it belongs; NULL: the heap */
    uint64_t padding_;
};

struct lanes;

/* The call that a lane runs now. Only the lane's thread touches it, but for what is guarded. */
struct run {
    struct dray_call call; /* first: the host functions get a pointer to it */
    struct lane *lane;
    uint64_t deadline_ns; /* 0: none */
    uint32_t retry_after_ms;
    bool has_cancel; /* the handler left a function */
    char code[CODE_BYTES];
    char text[TEXT_BYTES + 1];
    char source[SOURCE_BYTES];
};

struct lane {
    _Alignas(64) struct lanes *lanes; /* immutable */
    uint32_t index;                   /* immutable */
    pthread_t thread;
    struct dri_spsc *in;       /* chains from the engine */
    struct dri_spsc *out;      /* flights to the engine */
    struct dri_spsc *returned; /* blocks from the engine */
    struct dri_wake wake;
    bool has_new; /* the engine's: something was put since the last flush */

    /* the lane's thread */
    struct dri_reader *reader;
    struct dri_metrics_page *page;
    struct dri_payload_arena *arena; /* made when a handler first asks for a tree */
    uint8_t *result_buffer;
    struct block *spare[SPARE_MAX];
    size_t spare_count;
    struct run run;

    _Alignas(64) _Atomic(uint64_t)
        current; /* token of the running flight, CANCELLED_BIT, NOTHING_RUNS */
    _Atomic(bool) has_stopped;
    bool has_begun;                /* guarded by calls */
    enum dray_status begin_status; /* guarded by calls */
    dray_cancel_fn *cancel;        /* guarded by calls */
    void *cancel_arg;              /* guarded by calls */
    uint64_t cancel_ns; /* guarded by calls: when the keeper calls it; UINT64_MAX: not by time */
};

struct lanes {
    struct dri_executor_base base; /* first */
    struct dri_lanes_config config;
    struct lane *lane; /* owned array */
    uint32_t started;
    _Atomic(bool) is_stopping;
    struct dri_lock calls;
    struct dri_cond keeper_cond;
    pthread_t keeper;
    bool has_keeper;
    bool is_keeper_stopping; /* guarded by calls */
};

static struct lanes *lanes_of(struct dri_executor *executor)
{
    return (struct lanes *)(void *)executor;
}

static const struct run *run_of(const struct dray_call *call)
{
    return (const struct run *)(const void *)call;
}

/* --- the host: what a handler may ask
 * --------------------------------------------------------------- */

static bool host_is_cancelled(const struct dray_call *call)
{
    const struct run *run = run_of(call);
    uint64_t current = atomic_load_explicit(&run->lane->current, memory_order_relaxed);
    return (current & CANCELLED_BIT) != 0 ||
           (run->deadline_ns != 0 && dri_clock_mono_ns() >= run->deadline_ns);
}

static uint64_t host_remaining_ms(const struct dray_call *call)
{
    const struct run *run = run_of(call);
    if (run->deadline_ns == 0) {
        return UINT64_MAX;
    }
    uint64_t now = dri_clock_mono_ns();
    return now >= run->deadline_ns ? 0 : (run->deadline_ns - now) / 1000000u;
}

static enum dray_status host_on_cancel(struct dray_call *call, dray_cancel_fn *fn, void *arg)
{
    struct run *run = (struct run *)(void *)call;
    struct lane *lane = run->lane;
    struct lanes *lanes = lane->lanes;
    enum dray_status status = DRAY_OK;
    dri_lock_take(&lanes->calls);
    if (fn == NULL) { /* taken back; calls is held, so it does not run */
        lane->cancel = NULL;
        lane->cancel_ns = UINT64_MAX;
    } else if (lane->cancel != NULL) {
        status = DRAY_EEXISTS;
    } else if (host_is_cancelled(call)) {
        status = DRAY_ECLOSED;
    } else {
        run->has_cancel = true;
        lane->cancel = fn;
        lane->cancel_arg = arg;
        lane->cancel_ns = run->deadline_ns != 0 ? run->deadline_ns : UINT64_MAX;
        dri_cond_signal(&lanes->keeper_cond);
    }
    dri_lock_drop(&lanes->calls);
    return status;
}

static enum dray_error_kind host_fail(struct dray_call *call, enum dray_error_kind kind,
                                      const char *code, const char *message,
                                      uint32_t retry_after_ms)
{
    struct run *run = (struct run *)(void *)call;
    snprintf(run->code, sizeof(run->code), "%s", code != NULL ? code : "");
    snprintf(run->text, sizeof(run->text), "%s", message != NULL ? message : "");
    run->retry_after_ms = retry_after_ms;
    return kind;
}

static void host_log(struct dray_call *call, int level, const char *text)
{
    enum dri_log_level levels[] = {DRI_LOG_DEBUG, DRI_LOG_INFO, DRI_LOG_WARN, DRI_LOG_ERROR};
    enum dri_log_level at = levels[level < 0 ? 0 : level > 3 ? 3 : level];
    DRI_LOG(at, "HANDLER", text, DRI_SLICE("command", call->command), DRI_SLICE("id", call->id),
            DRI_UINT("attempt", call->attempt));
}

static const void *host_payload_object(struct dray_call *call)
{
    struct lane *lane = run_of(call)->lane;
    const void *object = NULL;
    if (lane->arena == NULL && dri_payload_arena_create(TREE_BYTES, &lane->arena) != DRAY_OK) {
        return NULL;
    }
    static const uint8_t nil = 0xc0;
    struct dray_slice payload = call->payload.at != NULL ? call->payload : dray_slice_of(&nil, 1);
    return dri_payload_unpack(lane->arena, payload, &object) == DRAY_OK ? object : NULL;
}

static const struct dray_host host = {
    .bytes = sizeof(struct dray_host),
    .is_cancelled = host_is_cancelled,
    .remaining_ms = host_remaining_ms,
    .on_cancel = host_on_cancel,
    .note_failure = host_fail,
    .log = host_log,
    .payload_object = host_payload_object,
};

/* --- cancelling
 * ------------------------------------------------------------------------------------- */

/* Requires: calls is held. */
static void call_cancel(struct lane *lane)
{
    dray_cancel_fn *cancel = lane->cancel;
    if (cancel != NULL) {
        lane->cancel = NULL;
        lane->cancel_ns = UINT64_MAX;
        cancel(lane->cancel_arg);
    }
}

static void cancel_lane(struct lane *lane, uint64_t token)
{
    uint64_t expected = token;
    if (!atomic_compare_exchange_strong(&lane->current, &expected, token | CANCELLED_BIT)) {
        return;
    }
    dri_lock_take(&lane->lanes->calls);
    if (atomic_load(&lane->current) == (token | CANCELLED_BIT)) {
        call_cancel(lane);
    }
    dri_lock_drop(&lane->lanes->calls);
}

static void lanes_cancel(struct dri_executor *executor, struct dri_flight *flight)
{
    struct lanes *lanes = lanes_of(executor);
    uint64_t token = dri_flight_token(flight);
    atomic_store_explicit(&flight->is_recalled, true,
                          memory_order_relaxed); /* it may not run yet */
    for (uint32_t i = 0; i < lanes->started; i++) {
        cancel_lane(&lanes->lane[i], token);
    }
}

/* Calls what handlers left for their deadline. */
static void *keep(void *arg)
{
    struct lanes *lanes = arg;
    dri_lock_take(&lanes->calls);
    while (!lanes->is_keeper_stopping) {
        uint64_t next = UINT64_MAX;
        uint64_t now = dri_clock_mono_ns();
        for (uint32_t i = 0; i < lanes->config.lanes; i++) {
            struct lane *lane = &lanes->lane[i];
            if (lane->cancel != NULL && lane->cancel_ns <= now) {
                call_cancel(lane);
            } else if (lane->cancel != NULL && lane->cancel_ns < next) {
                next = lane->cancel_ns;
            }
        }
        dri_cond_wait_until(&lanes->keeper_cond, &lanes->calls, next);
    }
    dri_lock_drop(&lanes->calls);
    return NULL;
}

/* --- blocks
 * ----------------------------------------------------------------------------------------- */

static struct block *take_block(struct lane *lane, size_t bytes)
{
    if (sizeof(struct block) + bytes > BLOCK_BYTES) {
        return dri_zalloc(sizeof(struct block) + bytes);
    }
    if (lane->spare_count == 0) {
        lane->spare_count = dri_spsc_take(lane->returned, (void **)lane->spare, SPARE_MAX);
    }
    if (lane->spare_count > 0) {
        lane->spare_count--;
        return lane->spare[lane->spare_count];
    }
    struct block *block = dri_zalloc(BLOCK_BYTES);
    if (block != NULL) {
        block->lane = lane;
    }
    return block;
}

static void lanes_release(struct dri_executor *executor, struct dri_flight *flight)
{
    (void)executor;
    struct block *block = flight->outcome_block;
    if (block == NULL) {
        return;
    }
    flight->outcome_block = NULL;
    void *item = block;
    if (block->lane == NULL || dri_spsc_put(block->lane->returned, &item, 1) == 0) {
        dri_free(block);
    }
}

/* The block of an earlier attempt: the engine is the one putter of `returned`, so a lane keeps what
 * is its own, and gives the rest to the heap. */
static void drop_earlier_outcome(struct lane *lane, struct dri_flight *flight)
{
    struct block *block = flight->outcome_block;
    flight->outcome_block = NULL;
    flight->result = flight->error_code = flight->error_message = (struct dray_slice){NULL, 0};
    flight->version = flight->handler = flight->route_name = (struct dray_slice){NULL, 0};
    if (block != NULL && block->lane == lane && lane->spare_count < SPARE_MAX) {
        lane->spare[lane->spare_count++] = block;
    } else {
        dri_free(block);
    }
}

static struct dray_slice keep_bytes(uint8_t **at, struct dray_slice bytes)
{
    if (bytes.at == NULL) {
        return bytes;
    }
    if (bytes.len > 0) {
        memcpy(*at, bytes.at, bytes.len);
    }
    struct dray_slice kept = dray_slice_of(*at, bytes.len);
    *at += bytes.len;
    return kept;
}

/* Copy what the run left behind into a block of the flight. False: no memory. */
static bool keep_outcome(struct run *run, struct dri_flight *flight, struct dray_slice result,
                         const struct dri_route *route)
{
    struct dray_slice version = {NULL, 0};
    struct dray_slice handler = {NULL, 0};
    struct dray_slice name = {NULL, 0};
    if (route != NULL) {
        name = flight->envelope.command.at == NULL ? route->view.name : name;
        version = route->view.version;
        handler = route->view.handler.at != NULL ? route->view.handler : route->view.name;
    }
    struct dray_slice code = dray_slice_text(run->code);
    struct dray_slice text = dray_slice_text(run->text);
    size_t bytes = result.len + version.len + handler.len + name.len + code.len + text.len;
    struct block *block = take_block(run->lane, bytes);
    if (block == NULL) {
        return false;
    }
    uint8_t *at = (uint8_t *)(block + 1);
    flight->outcome_block = block;
    flight->result = keep_bytes(&at, result);
    flight->version = keep_bytes(&at, version);
    flight->handler = keep_bytes(&at, handler);
    flight->route_name = keep_bytes(&at, name);
    flight->error_code = keep_bytes(&at, code);
    flight->error_message = keep_bytes(&at, text);
    return true;
}

/* --- one run
 * ---------------------------------------------------------------------------------------- */

static void crash_point(const struct lanes *lanes, const char *name)
{
    if (lanes->config.on_crash_point != NULL) {
        lanes->config.on_crash_point(name);
    }
}

static enum dray_error_kind find_route(struct lane *lane, struct dri_flight *flight,
                                       const struct dri_route **ret_route)
{
    struct run *run = &lane->run;
    struct dri_query query;
    dri_router_query(flight, &query);
    enum dray_status status = dri_registry_pin(lane->reader, &query, ret_route);
    if (status == DRAY_ECONFLICT) {
        snprintf(run->text, sizeof(run->text), "no route in a version that fits \"%.*s\"",
                 (int)(query.version.len < 64 ? query.version.len : 64),
                 (const char *)query.version.at);
        return DRAY_KIND_VERSION_MISMATCH;
    }
    if (status != DRAY_OK) {
        snprintf(run->text, sizeof(run->text), "no route for this command");
        return DRAY_KIND_UNKNOWN_COMMAND;
    }
    const struct dri_route *route = *ret_route;
    flight->revision = route->revision;
    if (route->view.state == DRI_ROUTE_PAUSED) {
        return DRAY_KIND_HELD;
    }
    if (route->handler == NULL) {
        snprintf(run->text, sizeof(run->text), "the route cannot run here: %s", route->failure);
        return DRAY_KIND_UNAVAILABLE;
    }
    return DRAY_KIND_NONE;
}

static void set_deadline(struct run *run, const struct dri_flight *flight,
                         const struct dri_route *route)
{
    uint32_t timeout_ms = route->view.policy.timeout_ms;
    if (timeout_ms == 0) {
        timeout_ms = run->lane->lanes->config.timeout_ms;
    }
    uint64_t left_ns = timeout_ms != 0 ? (uint64_t)timeout_ms * 1000000u : UINT64_MAX;
    if (flight->deadline_ms != 0) {
        uint64_t now_ms = dri_clock_wall_ms();
        uint64_t until_ms = flight->deadline_ms > now_ms ? flight->deadline_ms - now_ms : 0;
        uint64_t until_ns = until_ms < UINT64_MAX / 2000000u ? until_ms * 1000000u : UINT64_MAX;
        left_ns = until_ns < left_ns ? until_ns : left_ns;
    }
    run->deadline_ns = left_ns == UINT64_MAX ? 0 : flight->started_ns + left_ns;
}

static void fill_call(struct run *run, const struct dri_flight *flight,
                      const struct dri_route *route)
{
    struct lanes *lanes = run->lane->lanes;
    const struct dri_envelope *envelope = &flight->envelope;
    const char *origin = lanes->config.origin != NULL
                             ? lanes->config.origin(lanes->config.origin_arg, flight->slot)
                             : "";
    int len = snprintf(run->source, sizeof(run->source), "%s/%llu", origin,
                       (unsigned long long)flight->offset);
    run->call = (struct dray_call){
        .bytes = sizeof(run->call),
        .attempt = flight->attempt,
        .host = &host,
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
        .source = dray_slice_of(run->source, (size_t)len),
        .worker = dray_slice_text(lanes->config.worker),
        .created_ms = envelope->created_ms,
        .deadline_ms = flight->deadline_ms,
        .is_id_binary = envelope->is_id_binary,
        .is_replay = flight->is_replay,
        .result = {.begin = run->lane->result_buffer,
                   .at = run->lane->result_buffer,
                   .end = run->lane->result_buffer + lanes->config.result_bytes_max,
                   .status = DRAY_OK},
    };
}

static enum dray_error_kind call_handler(struct lane *lane, struct dri_flight *flight,
                                         const struct dri_route *route)
{
    struct run *run = &lane->run;
    fill_call(run, flight, route);
    set_deadline(run, flight, route);
    atomic_store(&lane->current, dri_flight_token(flight)); /* pairs with cancel_lane */
    dri_reader_offline(lane->reader);
    crash_point(lane->lanes, "before_handler");
    enum dray_error_kind kind = route->handler->fn(&run->call);
    crash_point(lane->lanes, "after_handler");
    dri_reader_online(lane->reader);
    atomic_store(&lane->current, NOTHING_RUNS);
    if (run->has_cancel) {
        dri_lock_take(&lane->lanes->calls); /* waits for a function that is being called */
        lane->cancel = NULL;
        dri_lock_drop(&lane->lanes->calls);
        run->has_cancel = false;
    }
    return kind >= DRAY_KIND_NONE && kind < DRAY_KIND_COUNT ? kind : DRAY_KIND_INTERNAL;
}

/* The bytes that the handler wrote, when they are one value. */
static enum dray_error_kind check_result(struct run *run, struct dri_flight *flight,
                                         struct dray_slice *ret_result)
{
    const struct dray_writer *writer = &run->call.result;
    if (writer->status == DRAY_EINVALID) {
        snprintf(run->text, sizeof(run->text), "the handler wrote a text that is not UTF-8");
        return DRAY_KIND_INTERNAL;
    }
    if (writer->status != DRAY_OK) {
        flight->is_result_too_large = true;
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
        snprintf(run->text, sizeof(run->text), "the handler did not write exactly one value");
        return DRAY_KIND_INTERNAL;
    }
    return DRAY_KIND_NONE;
}

static void judge(struct lane *lane, struct dri_flight *flight, const struct dri_route *route)
{
    flight->last_failed_ms = dri_clock_wall_ms();
    if (flight->first_failed_ms == 0) {
        flight->first_failed_ms = flight->last_failed_ms;
    }
    static const struct dri_policy none;
    const struct dri_policy *policy = route != NULL ? &route->view.policy : &none;
    flight->verdict = dri_verdict_make(policy, flight->kind, flight->attempt,
                                       lane->run.retry_after_ms, dri_hash64(flight->envelope.id));
}

static void run_flight(struct lane *lane, struct dri_flight *flight)
{
    struct run *run = &lane->run;
    const struct dri_route *route = NULL;
    struct dray_slice result = {NULL, 0};
    run->code[0] = '\0';
    run->text[0] = '\0';
    run->retry_after_ms = 0;
    drop_earlier_outcome(lane, flight);
    flight->was_run = true;
    flight->is_result_too_large = false;
    flight->started_ns = dri_clock_mono_ns();
    if (flight->is_duplicate) {
        flight->kind = DRAY_KIND_NONE;
        flight->ended_ns = flight->started_ns;
        return; /* its first copy runs, or has run, in its place */
    }
    flight->kind = find_route(lane, flight, &route);
    if (flight->kind == DRAY_KIND_HELD) {
        flight->was_run = false; /* it was paused meanwhile; the core lets it wait */
        dri_registry_unpin(lane->reader, route);
        return;
    }
    if (flight->kind == DRAY_KIND_NONE) {
        flight->kind = call_handler(lane, flight, route);
        if (flight->kind == DRAY_KIND_NONE) {
            flight->kind = check_result(run, flight, &result);
        }
    }
    flight->ended_ns = dri_clock_mono_ns();
    if (!keep_outcome(run, flight, result, route)) {
        /* It ran, but there is no memory to say what came out: let it come again. */
        flight->kind = DRAY_KIND_INTERNAL;
    }
    if (flight->kind != DRAY_KIND_NONE) {
        judge(lane, flight, route);
    }
    if (lane->page != NULL) {
        dri_metrics_call(lane->page, route != NULL ? route->name_text : NULL,
                         (unsigned)flight->kind, flight->ended_ns - flight->started_ns);
    }
    if (route != NULL) {
        dri_registry_unpin(lane->reader, route);
    }
}

/* Whether a flight must not begin any more: a chain may have stood here behind slow ones. */
static bool is_too_late(const struct lane *lane, struct dri_flight *flight)
{
    return atomic_load_explicit(&lane->lanes->is_stopping, memory_order_relaxed) ||
           atomic_load_explicit(&flight->is_recalled, memory_order_relaxed) ||
           (flight->deadline_ms != 0 && dri_clock_wall_ms() > flight->deadline_ms);
}

static void run_chain(struct lane *lane, struct dri_flight *chain)
{
    bool has_ended = false; /* order: nothing of the chain runs behind one that did not end well */
    while (chain != NULL) {
        struct dri_flight *flight = chain;
        chain = flight->next; /* the flight is the engine's as soon as it was put */
        has_ended = has_ended || is_too_late(lane, flight);
        if (has_ended) {
            flight->was_run = false;
        } else {
            run_flight(lane, flight);
            has_ended = flight->kind != DRAY_KIND_NONE;
        }
        void *item = flight;
        size_t put = dri_spsc_put(lane->out, &item, 1);
        DRI_ASSERT(put == 1); /* out has room for every flight that can be here */
    }
    dri_wake_notify(lane->lanes->config.wake);
}

/* What a lane needs on its own thread. */
static enum dray_status lane_begin(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    enum dray_status status = dri_reader_register(lanes->config.registry, &lane->reader);
    if (status == DRAY_OK && lanes->config.metrics != NULL) {
        status = dri_metrics_page(lanes->config.metrics, &lane->page);
    }
    dri_lock_take(&lanes->calls);
    lane->begin_status = status;
    lane->has_begun = true;
    dri_cond_broadcast(&lanes->keeper_cond);
    dri_lock_drop(&lanes->calls);
    return status;
}

static void lane_end(struct lane *lane)
{
    if (lane->reader != NULL) {
        dri_reader_unregister(lane->reader);
        lane->reader = NULL;
    }
    atomic_store(&lane->has_stopped, true);
    dri_wake_notify(lane->lanes->config.wake);
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct lanes *lanes = lane->lanes;
    void *chains[CHAINS_A_BATCH];
    if (lane_begin(lane) != DRAY_OK) {
        lane_end(lane);
        return NULL;
    }
    for (;;) {
        dri_reader_quiescent(lane->reader);
        size_t count = dri_spsc_take(lane->in, chains, CHAINS_A_BATCH);
        for (size_t i = 0; i < count; i++) {
            run_chain(lane, chains[i]);
        }
        if (count > 0) {
            continue;
        }
        if (atomic_load(&lanes->is_stopping)) {
            break;
        }
        dri_wake_prepare(&lane->wake);
        if (dri_spsc_count(lane->in) > 0 || atomic_load(&lanes->is_stopping)) {
            dri_wake_cancel(&lane->wake);
            continue;
        }
        dri_reader_offline(lane->reader);
        dri_wake_wait(&lane->wake, UINT64_MAX);
        dri_reader_online(lane->reader);
    }
    lane_end(lane);
    return NULL;
}

/* --- the engine's side
 * ------------------------------------------------------------------------------ */

static void lanes_submit(struct dri_executor *executor, uint32_t lane_index,
                         struct dri_flight *chain)
{
    struct lane *lane = &lanes_of(executor)->lane[lane_index];
    void *item = chain;
    size_t put = dri_spsc_put(lane->in, &item, 1);
    DRI_ASSERT(put == 1); /* the core respects lane_depth */
    lane->has_new = true;
}

static void lanes_flush(struct dri_executor *executor)
{
    struct lanes *lanes = lanes_of(executor);
    for (uint32_t i = 0; i < lanes->config.lanes; i++) {
        if (lanes->lane[i].has_new) {
            lanes->lane[i].has_new = false;
            dri_wake_notify(&lanes->lane[i].wake);
        }
    }
}

static size_t lanes_take(struct dri_executor *executor, struct dri_flight **ret_flights, size_t max)
{
    struct lanes *lanes = lanes_of(executor);
    size_t count = 0;
    for (uint32_t i = 0; i < lanes->config.lanes && count < max; i++) {
        void *items[256];
        size_t room = max - count < DRI_ARRAY_LEN(items) ? max - count : DRI_ARRAY_LEN(items);
        size_t got = dri_spsc_take(lanes->lane[i].out, items, room);
        for (size_t j = 0; j < got; j++) {
            ret_flights[count++] = items[j];
        }
    }
    return count;
}

static const struct dri_executor_ops lanes_ops = {
    .submit = lanes_submit,
    .take = lanes_take,
    .flush = lanes_flush,
    .cancel = lanes_cancel,
    .release = lanes_release,
};

/* --- life
 * ------------------------------------------------------------------------------------------- */

static enum dray_status lane_init(struct lanes *lanes, uint32_t index)
{
    struct lane *lane = &lanes->lane[index];
    size_t flights = (size_t)lanes->config.lane_depth * lanes->config.chain_max;
    lane->lanes = lanes;
    lane->index = index;
    lane->run.lane = lane;
    lane->wake.fd = -1;
    lane->cancel_ns = UINT64_MAX;
    atomic_init(&lane->current, NOTHING_RUNS);
    lane->result_buffer = dri_zalloc(lanes->config.result_bytes_max);
    enum dray_status status = lane->result_buffer != NULL ? DRAY_OK : DRAY_ENOMEM;
    if (status == DRAY_OK) {
        status = dri_spsc_create(lanes->config.lane_depth, &lane->in);
    }
    if (status == DRAY_OK) {
        status = dri_spsc_create(flights, &lane->out);
    }
    if (status == DRAY_OK) {
        status = dri_spsc_create(SPARE_MAX, &lane->returned);
    }
    if (status == DRAY_OK) {
        status = dri_wake_init(&lane->wake);
    }
    return status;
}

static void lane_fini(struct lane *lane)
{
    void *item;
    while (lane->returned != NULL && dri_spsc_take(lane->returned, &item, 1) == 1) {
        dri_free(item);
    }
    while (lane->spare_count > 0) {
        lane->spare_count--;
        dri_free(lane->spare[lane->spare_count]);
    }
    dri_spsc_destroy(lane->in);
    dri_spsc_destroy(lane->out);
    dri_spsc_destroy(lane->returned);
    dri_payload_arena_destroy(lane->arena);
    dri_free(lane->result_buffer);
    if (lane->lanes != NULL && lane->wake.fd >= 0) {
        dri_wake_fini(&lane->wake);
    }
}

static enum dray_status start_lane(struct lanes *lanes, uint32_t index)
{
    struct lane *lane = &lanes->lane[index];
    enum dray_status status = lane_init(lanes, index);
    if (status != DRAY_OK) {
        return status;
    }
    if (pthread_create(&lane->thread, NULL, lane_main, lane) != 0) {
        return DRAY_EIO;
    }
    lanes->started++;
    dri_lock_take(&lanes->calls);
    while (!lane->has_begun) {
        dri_cond_wait_until(&lanes->keeper_cond, &lanes->calls, UINT64_MAX);
    }
    status = lane->begin_status;
    dri_lock_drop(&lanes->calls);
    return status;
}

enum dray_status dri_lanes_create(const struct dri_lanes_config *config,
                                  struct dri_executor **ret_executor)
{
    DRI_ASSERT(config->lanes > 0 && config->lane_depth > 0 && config->chain_max > 0);
    struct lanes *lanes = dri_zalloc(sizeof(*lanes));
    if (lanes == NULL) {
        return DRAY_ENOMEM;
    }
    lanes->base.ops = &lanes_ops;
    lanes->config = *config;
    dri_lock_init(&lanes->calls, DRI_LOCK_LANE);
    dri_cond_init(&lanes->keeper_cond);
    lanes->lane = dri_zalloc_array(config->lanes, sizeof(*lanes->lane));
    enum dray_status status = lanes->lane != NULL ? DRAY_OK : DRAY_ENOMEM;
    for (uint32_t i = 0; i < config->lanes && status == DRAY_OK; i++) {
        status = start_lane(lanes, i);
    }
    if (status == DRAY_OK) {
        lanes->has_keeper = pthread_create(&lanes->keeper, NULL, keep, lanes) == 0;
        status = lanes->has_keeper ? DRAY_OK : DRAY_EIO;
    }
    if (status != DRAY_OK) {
        enum dray_status stopped = dri_lanes_stop((struct dri_executor *)(void *)lanes, 10000);
        DRI_ASSERT(stopped == DRAY_OK); /* no handler was called yet */
        dri_lanes_destroy((struct dri_executor *)(void *)lanes);
        return status;
    }
    *ret_executor = (struct dri_executor *)(void *)lanes;
    return DRAY_OK;
}

static void stop_keeper(struct lanes *lanes)
{
    if (lanes->has_keeper) {
        dri_lock_take(&lanes->calls);
        lanes->is_keeper_stopping = true;
        dri_cond_broadcast(&lanes->keeper_cond);
        dri_lock_drop(&lanes->calls);
        pthread_join(lanes->keeper, NULL);
        lanes->has_keeper = false;
    }
}

static bool have_stopped(const struct lanes *lanes)
{
    for (uint32_t i = 0; i < lanes->started; i++) {
        if (!atomic_load(&lanes->lane[i].has_stopped)) {
            return false;
        }
    }
    return true;
}

enum dray_status dri_lanes_stop(struct dri_executor *executor, uint32_t timeout_ms)
{
    struct lanes *lanes = lanes_of(executor);
    uint64_t until_ns = dri_clock_mono_ns() + (uint64_t)timeout_ms * 1000000u;
    atomic_store(&lanes->is_stopping, true);
    for (uint32_t i = 0; i < lanes->started; i++) {
        struct lane *lane = &lanes->lane[i];
        uint64_t current = atomic_load(&lane->current);
        if (current != NOTHING_RUNS && (current & CANCELLED_BIT) == 0) {
            cancel_lane(lane, current);
        }
        dri_wake_notify(&lane->wake);
    }
    while (!have_stopped(lanes)) {
        uint64_t now = dri_clock_mono_ns();
        if (now >= until_ns) {
            return DRAY_ETIMEOUT;
        }
        dri_wake_prepare(lanes->config.wake);
        if (have_stopped(lanes)) {
            dri_wake_cancel(lanes->config.wake);
            break;
        }
        dri_wake_wait(lanes->config.wake, until_ns - now);
    }
    for (uint32_t i = 0; i < lanes->started; i++) {
        pthread_join(lanes->lane[i].thread, NULL);
    }
    lanes->started = 0;
    stop_keeper(lanes);
    return DRAY_OK;
}

void dri_lanes_destroy(struct dri_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    struct lanes *lanes = lanes_of(executor);
    DRI_ASSERT(lanes->started == 0);
    for (uint32_t i = 0; lanes->lane != NULL && i < lanes->config.lanes; i++) {
        void *item;
        while (lanes->lane[i].out != NULL && dri_spsc_take(lanes->lane[i].out, &item, 1) == 1) {
        }
        lane_fini(&lanes->lane[i]);
    }
    dri_cond_fini(&lanes->keeper_cond);
    dri_lock_fini(&lanes->calls);
    dri_free(lanes->lane);
    dri_free(lanes);
}
