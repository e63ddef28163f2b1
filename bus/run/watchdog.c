/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* watchdog.c - the keeper: calls what handlers left for their deadline, and notices handlers that
 * ignore it.
 *
 * A thread cannot be stopped from outside: pthread_cancel and a jump out of a signal leave locks
 * held and memory half written, in our process. So a handler that is deaf costs its thread, and
 * nothing else: worker.stuck_ms after its time limit (or after it was told to stop) its lane is
 * taken away, its stack goes to the log and the dead letter, its command ends as `timeout`, effect
 * unknown, for good: run again it would run beside itself. What stood behind it comes back unrun,
 * and a new runner serves the lane. The key stays held in the core until the old handler returns
 * or the process ends, because a follower must not overlap it; and the message's bytes stay where
 * they are, because the handler still reads them. When it returns, its answer is dropped.
 *
 * Who has the run? `current` decides: the keeper sets TAKEN_BIT by compare and exchange, the runner
 * ends its run by an exchange and sees whether the bit was there. If it was, it waits for the
 * keeper's decision before it touches anything that the keeper reads meanwhile. The decision may be
 * that it keeps its lane: a flight that is run again has the same token, so a run can end and the
 * next begin between the look and the exchange; therefore the keeper looks again after it.
 *
 * Nobody wakes the keeper for a new run. It never sleeps longer than stuck_ms, and no run that
 * begins meanwhile can be overdue before that, since its limit is not before its beginning. If it
 * slept much longer than it wanted to, the whole process stood still (SIGSTOP, a suspended
 * machine), the handlers with it: then they get stuck_ms anew before anybody is called deaf.
 *
 * How many may be out, and for how long, is the worker's to judge: see dri_lanes_stats.
 */
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "executor_inside.h"
#include "log.h"
#include "module.h"

#define NS_PER_MS UINT64_C(1000000)

static uint64_t stuck_after_ns(const struct lanes *lanes)
{
    return lanes->config.stuck_ms * NS_PER_MS;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When a run with this token is overdue; NEVER: nothing runs, or it was taken already. Requires:
 * calls is held. */
static uint64_t overdue_ns(const struct runner *runner, uint64_t current)
{
    if (current == NOTHING_RUNS || (current & TAKEN_BIT) != 0 ||
        runner->lanes->config.stuck_ms == 0) {
        return NEVER;
    }
    uint64_t overdue = atomic_load_explicit(&runner->overdue_ns, memory_order_relaxed);
    bool is_cancelled =
        (current & CANCELLED_BIT) != 0 && runner->cancelled_token == (current & ~CANCELLED_BIT);
    return is_cancelled ? least(overdue, runner->cancelled_ns + stuck_after_ns(runner->lanes))
                        : overdue;
}

/* --- who has the run --- */

bool dri_watchdog_is_spared(struct runner *runner)
{
    struct lanes *lanes = runner->lanes;
    dri_lock_take(&lanes->calls);
    while (runner->fate == FATE_OPEN) {
        dri_cond_wait_until(&lanes->changed, &lanes->calls, NEVER);
    }
    bool is_spared = runner->fate == FATE_KEEPS;
    dri_lock_drop(&lanes->calls);
    return is_spared;
}

/* Take the lane away from a runner whose run is overdue. False: it is not, or has just ended.
 * Requires: calls is held. */
static bool take_away(struct runner *runner, uint64_t now)
{
    uint64_t current = atomic_load(&runner->current);
    if (overdue_ns(runner, current) > now) {
        return false;
    }
    uint64_t taken = current | TAKEN_BIT | CANCELLED_BIT;
    uint64_t expected = current;
    runner->fate = FATE_OPEN;
    if (!atomic_compare_exchange_strong(&runner->current, &expected, taken)) {
        return false; /* the runner saw no bit, so it does not look at its fate */
    }
    if (overdue_ns(runner, current) > now) { /* it is the next run, under the same token */
        runner->fate = FATE_KEEPS;
        (void)atomic_compare_exchange_strong(&runner->current, &taken, current);
        dri_cond_broadcast(&runner->lanes->changed);
        return false;
    }
    return true;
}

/* Requires: calls is held. NULL: nobody is overdue. */
static struct runner *take_overdue(struct lanes *lanes, uint64_t now, uint64_t grace_ns)
{
    if (now < grace_ns || atomic_load(&lanes->is_stopping)) {
        return NULL;
    }
    for (struct runner *runner = lanes->runners; runner != NULL; runner = runner->next) {
        if (take_away(runner, now)) {
            return runner;
        }
    }
    return NULL;
}

/* --- what becomes of it; the runner waits for its fate, the keeper holds the lane --- */

static void describe(const struct runner *runner, uint64_t now, char *ret_text, size_t bytes)
{
    bool was_told = runner->cancelled_token == dri_flight_token(runner->flight) &&
                    runner->cancelled_ns != 0 &&
                    (runner->deadline_ns == 0 || runner->cancelled_ns < runner->deadline_ns);
    uint64_t since_ns = was_told ? runner->cancelled_ns : runner->deadline_ns;
    snprintf(ret_text, bytes,
             "the handler had not returned %llu ms after %s; whether it had its effect is unknown",
             (unsigned long long)((now - least(since_ns, now)) / NS_PER_MS),
             was_told ? "it was told to stop" : "its time limit");
}

static void log_stuck(const struct runner *runner, const char *text, const char *stack)
{
    const struct dray_call *call = &runner->call;
    const struct dri_route *route = runner->route;
    char id[129] = "";
    dri_id_format(call->id, call->is_id_binary, id);
    DRI_LOG(DRI_LOG_ERROR, "LANE-STUCK", text, DRI_SLICE("command", call->command),
            DRI_TEXT("command_id", id), DRI_SLICE("source", call->source),
            DRI_UINT("attempt", call->attempt),
            DRI_SLICE("handler",
                      route->view.handler.at != NULL ? route->view.handler : route->view.name),
            DRI_UINT("lane", runner->lane->index), DRI_TEXT("stack", stack));
}

/* The end of its command: by policy of every command whose handler is deaf, never run again. */
static void complete(const struct runner *runner, struct dri_flight *flight, const char *text,
                     const char *stack)
{
    struct lane *lane = runner->lane;
    const struct outcome_texts texts = {
        .text = dray_slice_text(text),
        .backtrace = stack[0] != '\0' ? dray_slice_text(stack) : (struct dray_slice){NULL, 0},
    };
    flight->ended_ns = dri_clock_mono_ns();
    flight->kind = DRAY_KIND_TIMEOUT;
    flight->verdict = (struct dri_verdict){.is_retry = false};
    flight->is_stuck = true;
    dri_call_stamp_failure(flight);
    if (!dri_block_keep(lane, flight, &texts, runner->route)) {
        flight->error_message = (struct dray_slice){NULL, 0}; /* no memory: the kind says it */
    }
    dri_call_note_canary(runner, flight, runner->route);
    if (lane->page != NULL) {
        dri_metrics_call(lane->page, runner->route->name_text, DRAY_KIND_TIMEOUT,
                         flight->ended_ns - flight->started_ns);
    }
}

/* The flight, and unrun what stood behind it in its chain: other chains stay with the lane. */
static void hand_back(struct lane *lane, struct dri_flight *flight)
{
    struct dri_flight *rest = lane->rest;
    lane->rest = NULL;
    dri_lane_put(lane, flight);
    while (rest != NULL) {
        struct dri_flight *next = rest->next;
        rest->was_run = false;
        dri_lane_put(lane, rest);
        rest = next;
    }
    dri_wake_notify(lane->lanes->config.wake);
}

static void let_die(struct runner *runner, bool has_key)
{
    struct lanes *lanes = runner->lanes;
    dri_lock_take(&lanes->calls);
    runner->has_key = has_key;
    runner->stuck_ns = dri_clock_mono_ns();
    runner->fate = FATE_LOST;
    lanes->stats.stuck++;
    lanes->stats.stuck_total++;
    dri_cond_broadcast(&lanes->changed);
    dri_lock_drop(&lanes->calls);
}

static void replace(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    enum dray_status status = dri_runner_start(lane);
    if (status == DRAY_OK) {
        return;
    }
    DRI_LOG(DRI_LOG_ERROR, "LANE-GONE", "a lane has lost its thread, and there is no other for it",
            DRI_UINT("lane", lane->index), DRI_TEXT("reason", dray_status_text(status)));
    dri_lock_take(&lanes->calls);
    lanes->stats.has_lost_lane = true;
    dri_lock_drop(&lanes->calls);
    dri_wake_notify(lanes->config.wake);
}

static void give_up(struct runner *runner, uint64_t now)
{
    struct lane *lane = runner->lane;
    struct dri_flight *flight = runner->flight;
    const struct dri_module *module = runner->route->module;
    char stack[STACK_BYTES] = "";
    char text[200];
    if (dri_stack_capture(&runner->stack, runner->thread)) {
        dri_stack_format(&runner->stack, module != NULL ? dri_module_name(module) : "?", stack);
    }
    describe(runner, now, text, sizeof(text));
    log_stuck(runner, text, stack[0] != '\0' ? stack : "none: the thread does not answer a signal");
    complete(runner, flight, text, stack);
    bool has_key = flight->has_key;
    hand_back(lane, flight);
    let_die(runner, has_key);
    replace(lane);
}

/* --- those that have returned at last --- */

/* Requires: calls is held. */
static struct runner *unlink_ended(struct lanes *lanes)
{
    for (struct runner **at = &lanes->runners; *at != NULL; at = &(*at)->next) {
        struct runner *runner = *at;
        if (runner->stuck_ns != 0 && runner->has_ended) {
            *at = runner->next;
            return runner;
        }
    }
    return NULL;
}

static void bring_back(struct lanes *lanes, struct runner *runner)
{
    uint64_t out_ms = (dri_clock_mono_ns() - runner->stuck_ns) / NS_PER_MS;
    (void)pthread_join(runner->thread, NULL);
    DRI_LOG(DRI_LOG_WARN, "LANE-LATE",
            "a handler has returned after its command was given up; its answer is dropped",
            DRI_SLICE("source", runner->call.source), DRI_UINT("late_ms", out_ms));
    dri_lock_take(&lanes->calls);
    lanes->stats.stuck--;
    lanes->stats.late_total++;
    runner->next = lanes->back;
    lanes->back = runner;
    dri_lock_drop(&lanes->calls);
    atomic_fetch_add(&lanes->returned, 1);
    dri_wake_notify(lanes->config.wake);
}

/* --- the keeper --- */

/* Call what is due, and say when to look again. Requires: calls is held. */
static uint64_t look(struct lanes *lanes, uint64_t now, uint64_t grace_ns)
{
    bool is_watching = lanes->config.stuck_ms != 0 && !atomic_load(&lanes->is_stopping);
    uint64_t next = is_watching ? now + stuck_after_ns(lanes) : NEVER;
    for (struct runner *runner = lanes->runners; runner != NULL; runner = runner->next) {
        if (runner->cancel != NULL && runner->cancel_ns <= now) {
            dri_runner_call_cancel(runner);
        } else if (runner->cancel != NULL) {
            next = least(next, runner->cancel_ns);
        }
        uint64_t overdue = overdue_ns(runner, atomic_load(&runner->current));
        if (is_watching && overdue != NEVER) {
            next = least(next, overdue > grace_ns ? overdue : grace_ns);
        }
    }
    return next;
}

void *dri_watchdog_run(void *arg)
{
    struct lanes *lanes = arg;
    uint64_t stuck_ns = stuck_after_ns(lanes);
    uint64_t wanted_ns = lanes->keeper_ns; /* when it meant to be here again */
    uint64_t grace_ns = 0;                 /* nobody is overdue before */
    dri_lock_take(&lanes->calls);
    while (!lanes->is_keeper_stopping) {
        uint64_t now = dri_clock_mono_ns();
        if (now > wanted_ns && now - wanted_ns > stuck_ns / 2) {
            grace_ns = now + stuck_ns;
        }
        wanted_ns = now;
        struct runner *ended = unlink_ended(lanes);
        struct runner *deaf = ended == NULL ? take_overdue(lanes, now, grace_ns) : NULL;
        if (ended != NULL || deaf != NULL) {
            dri_lock_drop(&lanes->calls);
            if (ended != NULL) {
                bring_back(lanes, ended);
            } else {
                give_up(deaf, now);
            }
            dri_lock_take(&lanes->calls);
            continue;
        }
        wanted_ns = look(lanes, now, grace_ns);
        dri_cond_wait_until(&lanes->changed, &lanes->calls, wanted_ns);
    }
    dri_lock_drop(&lanes->calls);
    return NULL;
}
