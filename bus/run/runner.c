/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* runner.c - the thread that serves a lane.
 *
 * It takes chains, runs their flights, and puts each back as soon as it is done. What it has taken
 * and not begun stands in the lane, not in the thread, so that another runner can go on where this
 * one was left behind.
 *
 * A runner whose lane was taken away goes on in its handler for as long as that takes; all that the
 * handler may touch is the runner's own: call, result buffer, arena, the pin on its route, its line
 * in the journal. When the handler returns at last, what it answered is dropped, the thread ends,
 * the keeper joins it and the engine learns that the message's bytes are nobody's any more.
 */

#include "assert.h"
#include "executor_inside.h"
#include "mem.h"
#include "prefetch.h"

void dri_lane_put(struct lane *lane, struct dri_flight *flight)
{
    void *item = flight;
    size_t put = dri_spsc_put(lane->out, &item, 1);
    DRI_ASSERT(put == 1); /* out has room for every flight that can be here */
}

/* Whether a flight must not begin any more: a chain may have stood here behind slow ones. */
static bool is_too_late(const struct lanes *lanes, struct dri_flight *flight)
{
    return atomic_load_explicit(&lanes->is_stopping, memory_order_relaxed) ||
           atomic_load_explicit(&flight->is_recalled, memory_order_relaxed) ||
           (flight->deadline_ms != 0 && dri_clock_wall_ms() > flight->deadline_ms);
}

/* False: the lane was taken away. */
static bool run_chain(struct runner *runner, struct dri_flight *chain)
{
    struct lane *lane = runner->lane;
    bool has_ended = false; /* order: nothing of the chain runs behind one that did not end well */
    while (chain != NULL) {
        struct dri_flight *flight = chain;
        lane->rest = flight->next; /* the flight is the engine's as soon as it was put */
        has_ended = has_ended || is_too_late(runner->lanes, flight);
        if (has_ended) {
            flight->was_run = false;
        } else {
            if (!dri_call_run(runner, flight)) {
                return false;
            }
            has_ended = flight->kind != DRAY_KIND_NONE;
        }
        chain = lane->rest;
        dri_lane_put(lane, flight);
    }
    dri_wake_notify(runner->lanes->config.wake);
    return true;
}

/* What the engine wrote for the runs after this one. */
static void look_ahead(const struct lane *lane)
{
    size_t left = lane->chains_count - lane->chains_at;
    if (left > DRI_PREFETCH_FAR) {
        dri_prefetch(lane->chains[lane->chains_at + DRI_PREFETCH_FAR], sizeof(struct dri_flight));
    }
    if (left > DRI_PREFETCH_NEAR) {
        const struct dri_flight *next = lane->chains[lane->chains_at + DRI_PREFETCH_NEAR];
        dri_prefetch_slice(next->value);
    }
}

/* False: the lane was taken away. */
static bool run_chains(struct runner *runner)
{
    struct lane *lane = runner->lane;
    while (lane->chains_at < lane->chains_count) {
        look_ahead(lane);
        if (!run_chain(runner, lane->chains[lane->chains_at++])) {
            return false;
        }
    }
    return true;
}

static bool take_chains(struct lane *lane)
{
    lane->chains_at = 0;
    lane->chains_count = dri_spsc_take(lane->in, lane->chains, CHAINS_A_BATCH);
    return lane->chains_count > 0;
}

/* Until the executor stops, or the lane is taken away. */
static void serve(struct runner *runner)
{
    struct lanes *lanes = runner->lanes;
    struct lane *lane = runner->lane;
    for (;;) {
        if (!run_chains(runner)) {
            return;
        }
        dri_reader_quiescent(runner->reader);
        if (take_chains(lane)) {
            continue;
        }
        if (atomic_load(&lanes->is_stopping)) {
            return;
        }
        dri_wake_prepare(&lane->wake);
        if (dri_spsc_count(lane->in) > 0 || atomic_load(&lanes->is_stopping)) {
            dri_wake_cancel(&lane->wake);
            continue;
        }
        dri_reader_offline(runner->reader);
        dri_wake_wait(&lane->wake, UINT64_MAX);
        dri_reader_online(runner->reader);
    }
}

/* What a runner needs on its own thread. */
static enum dray_status begin(struct runner *runner)
{
    struct lanes *lanes = runner->lanes;
    struct lane *lane = runner->lane;
    enum dray_status status = dri_reader_register(lanes->config.registry, &runner->reader);
    if (status == DRAY_OK && lanes->config.metrics != NULL && lane->page == NULL) {
        status = dri_metrics_page(lanes->config.metrics, &lane->page);
    }
    dri_stack_register(&runner->stack);
    dri_lock_take(&lanes->calls);
    runner->begin_status = status;
    runner->has_begun = true;
    dri_cond_broadcast(&lanes->changed);
    dri_lock_drop(&lanes->calls);
    return status;
}

/* Let go of what a handler held that returned too late. */
static void let_go(struct runner *runner)
{
    dri_reader_online(runner->reader);
    dri_registry_unpin(runner->reader, runner->route);
    if (runner->line != NULL) {
        dri_journal_end(runner->line);
    }
}

static void *runner_main(void *arg)
{
    struct runner *runner = arg;
    struct lanes *lanes = runner->lanes;
    if (begin(runner) == DRAY_OK) {
        serve(runner);
    }
    dri_stack_register(NULL);
    dri_lock_take(&lanes->calls);
    bool is_stuck = runner->stuck_ns != 0;
    runner->cancel = NULL; /* waits for a function that is being called */
    dri_lock_drop(&lanes->calls);
    if (is_stuck) {
        let_go(runner);
    }
    dri_reader_unregister(runner->reader);
    runner->reader = NULL;
    dri_lock_take(&lanes->calls);
    runner->has_ended = true;
    dri_cond_broadcast(&lanes->changed);
    dri_lock_drop(&lanes->calls);
    atomic_fetch_sub(&lanes->running, 1);
    dri_wake_notify(lanes->config.wake);
    return NULL;
}

/* --- life --- */

void dri_runner_destroy(struct runner *runner)
{
    if (runner != NULL) {
        dri_payload_arena_destroy(runner->arena);
        dri_free(runner->result_buffer);
        (void)sem_destroy(&runner->stack.is_there);
        dri_free(runner);
    }
}

/* The lowest number that no runner has: lines of the journal are few. Requires: calls is held. */
static uint32_t free_number(const struct lanes *lanes)
{
    for (uint32_t number = 0;; number++) {
        bool is_used = false;
        for (const struct runner *other = lanes->runners; other != NULL; other = other->next) {
            is_used = is_used || other->number == number;
        }
        if (!is_used) {
            return number;
        }
    }
}

static struct runner *runner_create(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    struct runner *runner = dri_zalloc(sizeof(*runner));
    if (runner == NULL) {
        return NULL;
    }
    runner->lanes = lanes;
    runner->lane = lane;
    runner->cancel_ns = NEVER;
    atomic_init(&runner->current, NOTHING_RUNS);
    atomic_init(&runner->overdue_ns, NEVER);
    (void)sem_init(&runner->stack.is_there, 0, 0);
    runner->result_buffer = dri_zalloc(lanes->config.result_bytes_max);
    if (runner->result_buffer == NULL) {
        dri_runner_destroy(runner);
        return NULL;
    }
    return runner;
}

static void link_runner(struct lanes *lanes, struct runner *runner)
{
    dri_lock_take(&lanes->calls);
    runner->number = free_number(lanes);
    runner->line = dri_journal_line(lanes->config.journal, runner->number);
    runner->next = lanes->runners;
    lanes->runners = runner;
    atomic_fetch_add(&lanes->running, 1);
    dri_lock_drop(&lanes->calls);
}

static void unlink_runner(struct lanes *lanes, struct runner *runner)
{
    dri_lock_take(&lanes->calls);
    DRI_ASSERT(lanes->runners == runner);
    lanes->runners = runner->next;
    atomic_fetch_sub(&lanes->running, 1);
    dri_lock_drop(&lanes->calls);
}

enum dray_status dri_runner_start(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    struct runner *runner = runner_create(lane);
    if (runner == NULL) {
        return DRAY_ENOMEM;
    }
    link_runner(lanes, runner);
    if (pthread_create(&runner->thread, NULL, runner_main, runner) != 0) {
        unlink_runner(lanes, runner);
        dri_runner_destroy(runner);
        return DRAY_EIO;
    }
    dri_lock_take(&lanes->calls);
    while (!runner->has_begun) {
        dri_cond_wait_until(&lanes->changed, &lanes->calls, UINT64_MAX);
    }
    enum dray_status status = runner->begin_status;
    dri_lock_drop(&lanes->calls);
    return status;
}
