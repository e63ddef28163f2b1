/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* executor.c - lanes: how chains get to the threads that run handlers, and back.
 *
 * The engine hands a lane whole chains through a single-producer queue and gets flights back
 * through another, so two lanes share nothing on the way of a command. What a run leaves behind
 * travels with the flight in one block, which comes back to its lane through a third queue.
 *
 * A lane is not its thread: a handler that does not return keeps the thread, and the lane gets
 * another (watchdog.c). A handler that never returns keeps dri_lanes_stop waiting until it times
 * out; the process then ends by _exit, which at-least-once makes safe.
 */
#include "assert.h"
#include "clock.h"
#include "executor_inside.h"
#include "mem.h"

/* --- the engine's side --- */

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

static void lanes_cancel(struct dri_executor *executor, struct dri_flight *flight)
{
    struct lanes *lanes = lanes_of(executor);
    uint64_t token = dri_flight_token(flight);
    atomic_store_explicit(&flight->is_recalled, true,
                          memory_order_relaxed); /* it may not run yet */
    dri_lock_take(&lanes->calls);
    for (struct runner *runner = lanes->runners; runner != NULL; runner = runner->next) {
        dri_runner_cancel(runner, token);
    }
    dri_lock_drop(&lanes->calls);
}

static size_t lanes_take_returned(struct dri_executor *executor, struct dri_flight **ret_flights,
                                  size_t max)
{
    struct lanes *lanes = lanes_of(executor);
    size_t count = 0;
    while (count < max && atomic_load(&lanes->returned) > 0) {
        dri_lock_take(&lanes->calls);
        struct runner *runner = lanes->back;
        lanes->back = runner->next;
        dri_lock_drop(&lanes->calls);
        atomic_fetch_sub(&lanes->returned, 1);
        ret_flights[count++] = runner->flight;
        dri_runner_destroy(runner);
    }
    return count;
}

static const struct dri_executor_ops lanes_ops = {
    .submit = lanes_submit,
    .take = lanes_take,
    .take_returned = lanes_take_returned,
    .flush = lanes_flush,
    .cancel = lanes_cancel,
    .release = dri_block_release,
};

/* --- life --- */

static enum dray_status lane_init(struct lanes *lanes, uint32_t index)
{
    struct lane *lane = &lanes->lane[index];
    size_t flights = (size_t)lanes->config.lane_depth * lanes->config.chain_max;
    lane->lanes = lanes;
    lane->index = index;
    lane->wake.fd = -1;
    enum dray_status status = dri_spsc_create(lanes->config.lane_depth, &lane->in);
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
    dri_block_free_all(lane);
    dri_spsc_destroy(lane->in);
    dri_spsc_destroy(lane->out);
    dri_spsc_destroy(lane->returned);
    if (lane->lanes != NULL && lane->wake.fd >= 0) {
        dri_wake_fini(&lane->wake);
    }
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
    atomic_store(&lanes->timeout_ms, config->timeout_ms);
    dri_stack_setup();
    dri_lock_init(&lanes->calls, DRI_LOCK_LANE);
    dri_cond_init(&lanes->changed);
    lanes->lane = dri_zalloc_array(config->lanes, sizeof(*lanes->lane));
    enum dray_status status = lanes->lane != NULL ? DRAY_OK : DRAY_ENOMEM;
    for (uint32_t i = 0; i < config->lanes && status == DRAY_OK; i++) {
        status = lane_init(lanes, i);
        if (status == DRAY_OK) {
            status = dri_runner_start(&lanes->lane[i]);
        }
    }
    if (status == DRAY_OK) {
        lanes->keeper_ns = dri_clock_mono_ns();
        lanes->has_keeper = pthread_create(&lanes->keeper, NULL, dri_watchdog_run, lanes) == 0;
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
        dri_cond_broadcast(&lanes->changed);
        dri_lock_drop(&lanes->calls);
        pthread_join(lanes->keeper, NULL);
        lanes->has_keeper = false;
    }
}

/* Tell every handler, and wake every lane that sleeps. */
static void cancel_all(struct lanes *lanes)
{
    dri_lock_take(&lanes->calls);
    for (struct runner *runner = lanes->runners; runner != NULL; runner = runner->next) {
        uint64_t current = atomic_load(&runner->current);
        if (current != NOTHING_RUNS && (current & CANCELLED_BIT) == 0) {
            dri_runner_cancel(runner, current);
        }
    }
    dri_cond_broadcast(&lanes->changed);
    dri_lock_drop(&lanes->calls);
    for (uint32_t i = 0; lanes->lane != NULL && i < lanes->config.lanes; i++) {
        if (lanes->lane[i].lanes != NULL) {
            dri_wake_notify(&lanes->lane[i].wake);
        }
    }
}

/* The keeper is gone, and so are the threads. */
static void join_all(struct lanes *lanes)
{
    while (lanes->runners != NULL) {
        struct runner *runner = lanes->runners;
        lanes->runners = runner->next;
        (void)pthread_join(runner->thread, NULL);
        dri_runner_destroy(runner);
    }
}

void dri_lanes_set_timeout(struct dri_executor *executor, uint32_t timeout_ms)
{
    atomic_store(&lanes_of(executor)->timeout_ms, timeout_ms);
}

enum dray_status dri_lanes_stop(struct dri_executor *executor, uint32_t timeout_ms)
{
    struct lanes *lanes = lanes_of(executor);
    uint64_t until_ns = dri_clock_mono_ns() + (uint64_t)timeout_ms * 1000000u;
    atomic_store(&lanes->is_stopping, true);
    cancel_all(lanes);
    while (atomic_load(&lanes->running) > 0) {
        uint64_t now = dri_clock_mono_ns();
        if (now >= until_ns) {
            return DRAY_ETIMEOUT;
        }
        dri_wake_prepare(lanes->config.wake);
        if (atomic_load(&lanes->running) == 0) {
            dri_wake_cancel(lanes->config.wake);
            break;
        }
        dri_wake_wait(lanes->config.wake, until_ns - now);
    }
    stop_keeper(lanes);
    join_all(lanes);
    return DRAY_OK;
}

void dri_lanes_stats(struct dri_executor *executor, struct dri_lanes_stats *ret_stats)
{
    struct lanes *lanes = lanes_of(executor);
    uint64_t now = dri_clock_mono_ns();
    dri_lock_take(&lanes->calls);
    *ret_stats = lanes->stats;
    ret_stats->held_ns = 0;
    for (const struct runner *runner = lanes->runners; runner != NULL; runner = runner->next) {
        if (runner->stuck_ns != 0 && runner->has_key &&
            now > runner->stuck_ns + ret_stats->held_ns) {
            ret_stats->held_ns = now - runner->stuck_ns;
        }
    }
    dri_lock_drop(&lanes->calls);
}

void dri_lanes_destroy(struct dri_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    struct lanes *lanes = lanes_of(executor);
    DRI_ASSERT(lanes->runners == NULL && !lanes->has_keeper);
    while (lanes->back != NULL) {
        struct runner *runner = lanes->back;
        lanes->back = runner->next;
        dri_runner_destroy(runner);
    }
    for (uint32_t i = 0; lanes->lane != NULL && i < lanes->config.lanes; i++) {
        void *item;
        while (lanes->lane[i].out != NULL && dri_spsc_take(lanes->lane[i].out, &item, 1) == 1) {
        }
        lane_fini(&lanes->lane[i]);
    }
    dri_cond_fini(&lanes->changed);
    dri_lock_fini(&lanes->calls);
    dri_free(lanes->lane);
    dri_free(lanes);
}
