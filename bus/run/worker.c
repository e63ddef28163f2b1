/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* worker.c - drives the engine of one replica, and tears down what worker_build.c made, in reverse.
 *
 * Threads: the caller's drives the engine (polls the broker, decides, publishes, settles); one a
 * lane runs handlers; one serves the admin port; one keeps deadlines; the client library brings its
 * own.
 *
 * The loop never waits for time: it sleeps on the transport's descriptor and on the wake that lanes
 * and signals write to, at most until the core's next deadline.
 *
 * Whether the loop lives is said by the loop alone: each turn notes its time, from which /livez is
 * answered, and pulses the service manager's watchdog. A turn that does not end (a call into a
 * client library that hangs) stops both, though every other thread goes on; and a client library's
 * own idea of being polled (librdkafka 2.0 counts any queue) plays no part.
 *
 * The end is crash-only: drain, every outcome stored, settled, the mark of a clean end, then close,
 * under an alarm. What comes after the mark is politeness: when it hangs or crashes, the process
 * ends all the same, nothing is lost, and nothing is run again but what the broker was not told. A
 * handler that does not return within the grace is left behind: the process ends by _exit. Its
 * command comes again, but when it was noticed before (watchdog.c): then it has its outcome. When
 * such handlers are too many or hold a key for too long, the worker drains by itself, to be started
 * afresh.
 */
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "assert.h"
#include "control_thread.h"
#include "crash.h"
#include "engine.h"
#include "firing_thread.h"
#include "gauges.h"
#include "hash.h"
#include "journal.h"
#include "live.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "module.h"
#include "ramp.h"
#include "registry.h"
#include "routing.h"
#include "supervise.h"
#include "worker_inside.h"

#define SLEEP_MAX_NS UINT64_C(1000000000)
#define METRICS_NS   UINT64_C(200000000)
#define RAMP_STEP_NS UINT64_C(50000000)
#define RAMP_UNCLEAN 4u /* times as long after a run that did not end cleanly */
#define STOP_MS      5000u

enum request {
    REQUEST_NONE,
    REQUEST_DRAIN,
    REQUEST_STOP
};

const char *dri_worker_id(const struct dri_worker *worker)
{
    return worker->id;
}

enum dray_status dri_worker_create(const struct dri_settings *settings,
                                   struct dri_worker **ret_worker, char *ret_text,
                                   size_t text_bytes)
{
    struct dri_worker *worker = dri_zalloc(sizeof(*worker));
    if (worker == NULL) {
        return DRAY_ENOMEM;
    }
    worker->settings = settings;
    worker->pulse_every_ns = dri_supervise_interval_ns();
    atomic_store(&worker->stall_ms, settings->worker.stall_ms);
    ret_text[0] = '\0';
    enum dray_status status = dri_worker_build(worker, ret_text, text_bytes);
    if (status != DRAY_OK) {
        if (ret_text[0] == '\0') {
            snprintf(ret_text, text_bytes, "%s", dray_status_text(status));
        }
        dri_worker_destroy(worker);
        return status;
    }
    *ret_worker = worker;
    return DRAY_OK;
}

/* --- ending
 * ----------------------------------------------------------------------------------------- */

static void crash_point(const char *name)
{
    dri_crash_point_fn *hook = dri_crash_point_hook();
    if (hook != NULL) {
        hook(name);
    }
}

/* From here the end comes, whatever hangs. The client gets half of the time to say goodbye, so that
 * the rest (freeing it, the goodbye on the status topic) has its share. */
static uint32_t set_alarm(struct dri_worker *worker)
{
    uint32_t close_ms =
        worker->live != NULL ? worker->live->close_ms : worker->settings->worker.close_ms;
    if (worker->has_run &&
        dri_exit_alarm_arm(&worker->alarm, close_ms,
                           worker->is_clean ? EXIT_SUCCESS : EXIT_FAILURE) != DRAY_OK) {
        dri_log_write(DRI_LOG_WARN, "WRK-ALARM", "nothing bounds the time that leaving takes", NULL,
                      0);
    }
    return close_ms / 2;
}

static void stop_lanes(struct dri_worker *worker, uint32_t grace_ms)
{
    if (worker->executor != NULL && dri_lanes_stop(worker->executor, grace_ms) == DRAY_ETIMEOUT) {
        DRI_LOG(DRI_LOG_ERROR, "WRK-STUCK",
                "a handler does not return; ending the process without it",
                DRI_TEXT("worker", worker->id));
        if (worker->transport != NULL) { /* leave the group: others need not wait for our end */
            worker->is_clean = false;
            worker->ops->close(worker->transport, set_alarm(worker));
        }
        dri_log_flush();
        _exit(EXIT_FAILURE);
    }
}

/* The thread that fires, with a client of its own, ends its session beside what is closed here: the
 * group does not wait for it. What it uses (settings, schedules, metrics) goes after it. */
void dri_worker_destroy(struct dri_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    dri_firing_leave(worker->firing);
    stop_lanes(worker, STOP_MS);
    uint32_t close_ms = set_alarm(worker);
    crash_point("before_close");
    if (worker->transport != NULL) {
        worker->ops->close(worker->transport, close_ms);
    }
    dri_engine_destroy(worker->engine);
    if (worker->transport != NULL) {
        worker->ops->destroy(worker->transport);
    }
    dri_lanes_destroy(worker->executor);
    dri_journal_close(worker->journal);
    dri_admin_stop(worker->admin); /* asks the control thread when it is asked */
    dri_control_stop(atomic_load(&worker->control));
    dri_firing_stop(worker->firing);
    dri_router_destroy(worker->router);
    dri_registry_destroy(worker->registry);
    dri_schedules_destroy(worker->schedules);
    dri_canary_destroy(worker->canary);
    dri_cancelled_destroy(worker->cancelled);
    dri_modules_destroy(worker->modules);
    dri_metrics_destroy(worker->metrics);
    if (worker->has_wake) {
        dri_wake_fini(&worker->wake);
    }
    dri_live_destroy(worker->live);
    dri_live_destroy(atomic_load(&worker->next));
    dri_exit_alarm_disarm(&worker->alarm);
    dri_free(worker);
}

/* Async-signal-safe: an atomic and a write to an eventfd. */
static void ask(struct dri_worker *worker, enum request request)
{
    int now = atomic_load(&worker->request);
    if (now < (int)request) {
        atomic_store(&worker->request, (int)request);
    }
    dri_wake_notify(&worker->wake);
}

void dri_worker_drain(struct dri_worker *worker)
{
    ask(worker, REQUEST_DRAIN);
}

void dri_worker_stop(struct dri_worker *worker)
{
    ask(worker, REQUEST_STOP);
}

void dri_worker_quiet(struct dri_worker *worker, bool is_quiet)
{
    atomic_store(&worker->wants_quiet, is_quiet);
    dri_wake_notify(&worker->wake);
}

enum dray_status dri_worker_reload(struct dri_worker *worker, const struct dri_settings *settings)
{
    struct dri_live *live = NULL;
    enum dray_status status =
        dri_live_create(worker->settings, settings, dri_worker_has_inboxes(worker), &live);
    if (status == DRAY_OK) {
        dri_live_destroy(atomic_exchange(&worker->next, live));
        dri_wake_notify(&worker->wake);
    }
    return status;
}

/* --- the loop
 * --------------------------------------------------------------------------------------- */

static void set_state(struct dri_worker *worker, enum dri_worker_state state)
{
    atomic_store(&worker->state, (int)state);
    dri_control_set_state(worker->control, state);
}

/* What the core may take in follows from three things: the setting, the ramp, and being quiet. */
static void set_limits(struct dri_worker *worker, struct dri_now now)
{
    const struct dri_live *live = worker->live;
    uint64_t elapsed_ns = now.mono_ns - worker->ramp_begun_ns;
    uint32_t ramped = dri_ramp_limit(elapsed_ns, worker->ramp_ns, worker->settings->worker.lanes,
                                     live->max_in_flight);
    worker->ramp_due_ns = elapsed_ns < worker->ramp_ns ? now.mono_ns + RAMP_STEP_NS : UINT64_MAX;
    worker->in_flight_limit = worker->is_quiet ? 0 : ramped;
    const struct dri_core_limits limits = {
        .in_flight_max = worker->in_flight_limit,
        .unacked_max = live->max_unacked,
        .bytes_max = live->max_bytes,
        .settle_ms = live->settle_ms,
        .revoke_ms = live->revoke_ms,
        .drain_ms = live->drain_ms,
    };
    dri_engine_set_limits(worker->engine, &limits);
}

/* Settings that were read again: all of them at once, between two turns. */
static void take_up(struct dri_worker *worker, struct dri_live *live)
{
    dri_engine_set_names(worker->engine, live->namespaces, live->reply_patterns,
                         live->reply_patterns_count);
    dri_lanes_set_timeout(worker->executor, live->timeout_ms);
    atomic_store(&worker->stall_ms, live->stall_ms);
    dri_live_destroy(worker->live);
    worker->live = live;
}

/* Quiet is not a drain: the assignments stay, heartbeats and acknowledgements go on. */
static void change_quiet(struct dri_worker *worker)
{
    worker->is_quiet = !worker->is_quiet;
    dri_engine_set_quiet(worker->engine, worker->is_quiet);
    dri_log_write(DRI_LOG_INFO, worker->is_quiet ? "WRK-QUIET" : "WRK-RESUME",
                  worker->is_quiet ? "quiet: finishes what it has, takes nothing new"
                                   : "takes commands again",
                  NULL, 0);
    if (worker->obeyed == REQUEST_NONE) {
        set_state(worker, worker->is_quiet ? DRI_WORKER_PAUSED : DRI_WORKER_READY);
        dri_supervise_tell(worker->is_quiet ? "STATUS=quiet" : "STATUS=takes commands");
    }
}

static void adapt(struct dri_worker *worker, struct dri_now now)
{
    struct dri_live *live = atomic_exchange(&worker->next, NULL);
    bool has_changed = live != NULL || now.mono_ns >= worker->ramp_due_ns;
    if (live != NULL) {
        take_up(worker, live);
    }
    if (atomic_load(&worker->wants_quiet) != worker->is_quiet) {
        change_quiet(worker);
        has_changed = true;
    }
    if (has_changed) {
        set_limits(worker, now);
    }
    const struct dri_control_thread *control = atomic_load(&worker->control);
    uint32_t replicas = control != NULL ? dri_control_replicas(control) : 0;
    if (replicas != worker->replicas) {
        worker->replicas = replicas;
        dri_engine_set_replicas(worker->engine, replicas);
    }
    dri_firing_own(worker->firing,
                   worker->obeyed == REQUEST_NONE && dri_engine_has_first(worker->engine));
}

static void obey(struct dri_worker *worker, struct dri_now now)
{
    int wanted = atomic_load(&worker->request);
    if (wanted <= worker->obeyed) {
        return;
    }
    worker->obeyed = wanted;
    set_state(worker, DRI_WORKER_DRAINING);
    if (wanted == REQUEST_STOP) {
        dri_log_write(DRI_LOG_WARN, "WRK-STOP", "stopping at once", NULL, 0);
        dri_engine_stop(worker->engine, now);
    } else {
        dri_log_write(DRI_LOG_INFO, "WRK-DRAIN", "draining: finish, settle, leave", NULL, 0);
        dri_engine_drain(worker->engine, now);
    }
}

/* A thread that a handler keeps cannot be had back but by a new process. */
static void begin_anew_if_stuck(struct dri_worker *worker, const struct dri_lanes_stats *lanes)
{
    const struct dri_settings *settings = worker->settings;
    uint64_t held_ms = lanes->held_ns / 1000000u;
    bool are_too_many = lanes->stuck > settings->worker.stuck_max;
    bool is_too_long = lanes->held_ns != 0 && held_ms > settings->worker.stuck_exit_ms;
    if (worker->obeyed != REQUEST_NONE || !(are_too_many || is_too_long || lanes->has_lost_lane)) {
        return;
    }
    worker->is_beginning_anew = true;
    worker->has_deaf = true;
    DRI_LOG(DRI_LOG_ERROR, "WRK-DEAF",
            are_too_many ? "too many handlers do not return; draining, to be started afresh"
            : is_too_long
                ? "a handler has held its key for too long; draining, to be started afresh"
                : "a lane has no thread; draining, to be started afresh",
            DRI_UINT("stuck", lanes->stuck), DRI_UINT("held_ms", held_ms));
    dri_worker_drain(worker);
}

/* Replicas take up the same changes: those with one limit would all leave at once. */
static uint32_t retired_max(const struct dri_worker *worker)
{
    uint32_t max = worker->settings->worker.retired_max;
    uint64_t spread = max / 4u + 1u;
    return max + (uint32_t)(dri_hash64(dray_slice_text(worker->id)) % spread);
}

/* What stays in memory of modules that were replaced goes with the process only. */
static void begin_anew_if_full(struct dri_worker *worker, const struct dri_modules_stats *modules)
{
    if (worker->obeyed != REQUEST_NONE || worker->is_beginning_anew ||
        worker->settings->worker.retired_max == 0 || modules->retired <= retired_max(worker)) {
        return;
    }
    worker->is_beginning_anew = true;
    DRI_LOG(DRI_LOG_WARN, "WRK-RETIRED",
            "too many replaced modules stay in memory; draining, to be started afresh",
            DRI_UINT("retired", modules->retired));
    dri_worker_drain(worker);
}

static void show_metrics(struct dri_worker *worker, struct dri_now now)
{
    if (now.mono_ns < worker->metrics_due_ns) {
        return;
    }
    worker->metrics_due_ns = now.mono_ns + METRICS_NS;
    struct dri_engine_stats engine;
    struct dri_core_stats core;
    struct dri_transport_stats transport;
    struct dri_lanes_stats lanes;
    dri_engine_stats(worker->engine, &engine, &core);
    worker->ops->stats(worker->transport, &transport);
    dri_lanes_stats(worker->executor, &lanes);
    begin_anew_if_stuck(worker, &lanes);
    struct dri_modules_stats modules;
    dri_modules_stats(worker->modules, &modules);
    begin_anew_if_full(worker, &modules);
    atomic_store(&worker->is_systemic, core.is_systemic);
    atomic_store(&worker->is_waiting, engine.parks_held > 0 || transport.held_back > 0);
    const struct dri_gauges gauges = {
        .engine = &engine,
        .core = &core,
        .transport = &transport,
        .lanes = &lanes,
        .modules = &modules,
        .in_flight_limit = worker->in_flight_limit,
        .replicas = worker->replicas,
        .revision = dri_registry_revision(worker->registry),
        .is_ready = atomic_load(&worker->state) == DRI_WORKER_READY,
    };
    dri_gauges_show(worker->page, &gauges);
    dri_gauges_show_routes(worker->page, worker->engine);
}

/* Only from the loop, and in each of its turns: that is what the pulse says. */
static void pulse(struct dri_worker *worker, struct dri_now now)
{
    if (worker->pulse_every_ns != 0 && now.mono_ns >= worker->pulse_due_ns) {
        worker->pulse_due_ns = now.mono_ns + worker->pulse_every_ns;
        dri_supervise_tell("WATCHDOG=1");
    }
}

static void sleep_until(struct dri_worker *worker, uint64_t deadline_ns)
{
    uint64_t now = dri_clock_mono_ns();
    if (worker->pulse_every_ns != 0 && worker->pulse_due_ns < deadline_ns) {
        deadline_ns = worker->pulse_due_ns;
    }
    deadline_ns = worker->ramp_due_ns < deadline_ns ? worker->ramp_due_ns : deadline_ns;
    uint64_t wait_ns = deadline_ns > now ? deadline_ns - now : 0;
    wait_ns = wait_ns < SLEEP_MAX_NS ? wait_ns : SLEEP_MAX_NS;
    struct pollfd fds[] = {
        {.fd = worker->wake.fd, .events = POLLIN},
        {.fd = worker->ops->fd(worker->transport), .events = POLLIN},
    };
    struct timespec timeout = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
    (void)ppoll(fds, DRI_ARRAY_LEN(fds), &timeout, NULL); /* EINTR is as good as a wake */
}

static enum dray_status turn(struct dri_worker *worker, bool *ret_idle)
{
    struct dri_now now = dri_clock_now();
    atomic_store_explicit(&worker->turned_ns, now.mono_ns, memory_order_relaxed);
    pulse(worker, now);
    adapt(worker, now);
    obey(worker, now);
    enum dray_status status = dri_engine_turn(worker->engine, now, ret_idle);
    show_metrics(worker, now);
    return status;
}

/* A run that did not end cleanly may have been ended by its load: the next one comes to it later.
 */
static void begin_ramp(struct dri_worker *worker, struct dri_now now)
{
    uint64_t ramp_ms = worker->settings->worker.ramp_ms;
    ramp_ms *= worker->last_run == DRI_LAST_RUN_UNCLEAN ? RAMP_UNCLEAN : 1;
    worker->ramp_ns = ramp_ms * 1000000u;
    worker->ramp_begun_ns = now.mono_ns;
    set_limits(worker, now);
    if (ramp_ms > 0) {
        DRI_LOG(DRI_LOG_INFO, "WRK-RAMP", "takes in more from step to step",
                DRI_UINT("ramp_ms", ramp_ms), DRI_UINT("from", worker->in_flight_limit),
                DRI_UINT("to", worker->live->max_in_flight));
    }
}

enum dray_status dri_worker_run(struct dri_worker *worker, bool *ret_clean)
{
    enum dray_status status = DRAY_OK;
    bool is_clean = false;
    bool is_idle = false;
    worker->has_run = true;
    if (!worker->settings->is_state_shared) {
        dri_last_run_begin(worker->settings->state);
    }
    begin_ramp(worker, dri_clock_now());
    set_state(worker, DRI_WORKER_READY);
    while (status == DRAY_OK && !dri_engine_is_drained(worker->engine, &is_clean)) {
        status = turn(worker, &is_idle);
        if (!is_idle || status != DRAY_OK) {
            continue;
        }
        /* Look once more after saying that we may sleep: no wake-up is lost. */
        dri_wake_prepare(&worker->wake);
        status = turn(worker, &is_idle);
        if (is_idle && status == DRAY_OK && !dri_engine_is_drained(worker->engine, &is_clean)) {
            sleep_until(worker, dri_engine_next_deadline(worker->engine));
        }
        dri_wake_cancel(&worker->wake);
    }
    atomic_store(&worker->state, (int)DRI_WORKER_DRAINING);
    worker->metrics_due_ns = 0;
    show_metrics(worker, dri_clock_now());
    worker->is_clean = status == DRAY_OK && is_clean && !worker->has_deaf;
    if (worker->is_clean && !worker->settings->is_state_shared) {
        dri_last_run_end(worker->settings->state);
    }
    *ret_clean = worker->is_clean && !worker->is_beginning_anew;
    return status;
}
