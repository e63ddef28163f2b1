/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* worker.c - builds the objects of one replica, drives the engine, tears down in reverse.
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
#include "worker.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "assert.h"
#include "binding.h"
#include "control_thread.h"
#include "crash.h"
#include "engine.h"
#include "envelope.h"
#include "exit_alarm.h"
#include "firing_thread.h"
#include "gauges.h"
#include "journal.h"
#include "last_run.h"
#include "live.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "module.h"
#include "queue.h"
#include "ramp.h"
#include "registry.h"
#include "routing.h"
#include "sources.h"
#include "state.h"
#include "supervise.h"
#include "version.h"

#define SLOTS_MAX      4096u
#define CANCELLED_MAX  65536u /* ids; 32 bytes each, where they are there */
#define GROUPS_MAX     4096u  /* routes with limits at a time, and some more */
#define CHAIN_MAX      64u
#define SLEEP_MAX_NS   UINT64_C(1000000000)
#define METRICS_NS     UINT64_C(200000000)
#define RAMP_STEP_NS   UINT64_C(50000000)
#define RAMP_UNCLEAN   4u /* times as long after a run that did not end cleanly */
#define STOP_MS        5000u
#define CONNECT_MS     30000u
#define MODULES_FOLDER "./modules"

enum request {
    REQUEST_NONE,
    REQUEST_DRAIN,
    REQUEST_STOP
};

struct dri_worker {
    const struct dri_settings *settings; /* borrowed; of the start */
    char id[DRI_WORKER_ID_BYTES];
    char transactional_id[DRI_WORKER_ID_BYTES + 80]; /* with exactly_once */

    struct dri_live *live;           /* owned; the loop's from run on */
    _Atomic(struct dri_live *) next; /* owned: read again, and not taken up yet; NULL: none */

    struct dri_metrics *metrics;      /* owned */
    struct dri_metrics_page *page;    /* the loop's */
    struct dri_admin *admin;          /* owned */
    struct dri_modules *modules;      /* owned */
    struct dri_registry *registry;    /* owned */
    struct dri_cancelled *cancelled;  /* owned */
    struct dri_schedules *schedules;  /* owned */
    struct dri_firing_thread *firing; /* owned */
    const struct dri_transport_ops *ops;
    struct dri_transport *transport;            /* owned */
    struct dri_journal *journal;                /* owned; NULL: it could not be had */
    struct dri_executor *executor;              /* owned */
    struct dri_router *router;                  /* owned */
    struct dri_engine *engine;                  /* owned */
    struct dri_control_thread *_Atomic control; /* owned; writes the registry from start to stop */
    struct dri_wake wake;
    bool has_wake;

    _Atomic(int) request;   /* enum request; only grows */
    int obeyed;             /* the loop's */
    bool is_beginning_anew; /* the loop's: it drains because of deaf handlers */
    _Atomic(bool) wants_quiet;
    bool is_quiet;     /* the loop's */
    uint32_t replicas; /* the loop's: that share rates; 0: not known */

    uint64_t ramp_begun_ns, ramp_ns; /* the loop's */
    uint64_t ramp_due_ns;            /* next step; UINT64_MAX: it is over */
    uint32_t in_flight_limit;
    uint64_t metrics_due_ns;
    uint64_t pulse_every_ns; /* 0: no service manager watches */
    uint64_t pulse_due_ns;
    _Atomic(uint64_t) turned_ns; /* the loop's last turn, for /livez; 0: there is none yet */
    _Atomic(uint32_t) stall_ms;
    _Atomic(bool) is_systemic;  /* most commands fail: for /readyz */
    _Atomic(bool) is_waiting;   /* a park log or window is not read to its end: the same */
    enum dri_last_run last_run; /* how the one before this ended */
    bool has_run, is_clean;     /* how this one ended */
    struct dri_exit_alarm alarm;
    _Atomic(int) state; /* enum dri_worker_state */
};

const char *dri_worker_id(const struct dri_worker *worker)
{
    return worker->id;
}

/* --- probes
 * ----------------------------------------------------------------------------------------- */

static bool is_alive(void *arg, char *ret_text, size_t text_bytes)
{
    const struct dri_worker *worker = arg;
    uint64_t turned = atomic_load(&worker->turned_ns);
    uint64_t now = dri_clock_mono_ns();
    uint64_t age_ms = now > turned ? (now - turned) / 1000000u : 0;
    if (turned == 0) {
        snprintf(ret_text, text_bytes, "starting");
        return true;
    }
    snprintf(ret_text, text_bytes, "last turn %llu ms ago", (unsigned long long)age_ms);
    return age_ms < atomic_load(&worker->stall_ms);
}

static bool is_ready(void *arg, char *ret_text, size_t text_bytes)
{
    const struct dri_worker *worker = arg;
    static const char *const texts[] = {
        [DRI_WORKER_STARTING] = "starting",
        [DRI_WORKER_READY] = "takes commands",
        [DRI_WORKER_PAUSED] = "paused: finishes what it has, takes nothing new",
        [DRI_WORKER_DRAINING] = "draining",
    };
    int state = atomic_load(&worker->state);
    struct dri_control_thread *control = atomic_load(&worker->control);
    bool is_up = state == DRI_WORKER_READY;
    bool is_failing = is_up && atomic_load(&worker->is_systemic);
    bool is_waiting = is_up && atomic_load(&worker->is_waiting);
    snprintf(ret_text, text_bytes, "%s%s%s", texts[state],
             is_failing ? "; most fail, and dead-lettering is paused" : "",
             is_waiting ? "; commands wait for a park log or a window: see the log" : "");
    return is_up && control != NULL && dri_control_is_fit(control, ret_text, text_bytes);
}

/* Threads that run handlers: the lanes', and those that deaf handlers keep; while the worker drains
 * because they are too many, each lane may lose one more. */
static uint32_t threads_max(const struct dri_settings *settings)
{
    return 2 * settings->worker.lanes + settings->worker.stuck_max + 1;
}

/* --- the journal
 * ------------------------------------------------------------------------------------- */

static void log_suspect(void *arg, const struct dri_suspect *suspect)
{
    (void)arg;
    char id[129] = "";
    char started[DRI_CLOCK_TEXT_BYTES];
    dri_id_format(suspect->id, suspect->is_id_binary, id);
    dri_clock_format(suspect->started_ms, started);
    DRI_LOG(DRI_LOG_WARN, "JNL-SUSPECT",
            suspect->has_rebooted
                ? "this command ran when the machine went down; it comes again"
                : "this command ran when the last process ended; it may be why, and comes again",
            DRI_SLICE("command", suspect->command), DRI_TEXT("command_id", id),
            DRI_SLICE("source", suspect->source), DRI_UINT("attempt", suspect->attempt),
            DRI_SLICE("handler", suspect->handler), DRI_TEXT("started", started),
            DRI_UINT("pid", suspect->pid));
}

/* Without a journal the worker only knows less after a crash: no reason not to start. */
static void open_journal(struct dri_worker *worker)
{
    char text[512];
    struct dri_journal_report report;
    struct dri_journal_config config = {
        .folder = worker->settings->state,
        .worker = worker->id,
        .lines = threads_max(worker->settings),
        .on_suspect = log_suspect,
    };
    enum dray_status status =
        dri_journal_open(&config, &worker->journal, &report, text, sizeof(text));
    if (status != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "JNL-OFF",
                status == DRAY_EEXISTS
                    ? "another process has the journal of this folder; going on without"
                    : "going on without a journal: after a crash nobody will know what ran",
                DRI_TEXT("reason", text));
    }
    if (report.is_foreign) {
        DRI_LOG(DRI_LOG_WARN, "JNL-FOREIGN", "the journal was none of ours; it was not read",
                DRI_TEXT("state", worker->settings->state));
    }
    dri_metrics_add(worker->page, DRI_METRIC_SUSPECTS, report.suspects);
}

/* --- building
 * --------------------------------------------------------------------------------------- */

static enum dray_status make_registry(struct dri_worker *worker)
{
    const struct dri_settings *settings = worker->settings;
    enum dray_status status = dri_modules_create(settings->modules, worker->id, &worker->modules);
    if (status != DRAY_OK) {
        return status;
    }
    struct dri_registry_config config = {
        .bind =
            settings->worker.window_ms != 0 ? dri_binding_bind : dri_binding_bind_without_window,
        .unbind = dri_binding_unbind,
        .arg = worker->modules,
        .readers_max = threads_max(settings) + 1, /* the router */
    };
    status = dri_cancelled_create(CANCELLED_MAX, &worker->cancelled);
    if (status == DRAY_OK) {
        status = dri_schedules_create(settings->group, worker->cancelled, &worker->schedules);
    }
    return status == DRAY_OK ? dri_registry_create(&config, &worker->registry) : status;
}

static enum dray_status start_control(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    struct dri_control_config config = {
        .settings = worker->settings,
        .ops = worker->ops,
        .registry = worker->registry,
        .metrics = worker->metrics,
        .worker = worker->id,
        .version = DRAY_VERSION,
        .admin = worker->admin == NULL ? "" : dri_admin_address(worker->admin),
        .cancelled = worker->cancelled,
        .schedules = worker->schedules,
        .served = &worker->wake,
    };
    struct dri_control_thread *control = NULL;
    enum dray_status status = dri_control_start(&config, &control, ret_text, text_bytes);
    atomic_store(&worker->control, control);
    return status;
}

/* Stable, so that a replica that comes back ends its own open transaction. */
static const char *transactional_id(struct dri_worker *worker)
{
    const struct dri_settings *settings = worker->settings;
    if (!dri_settings_is_exactly_once(settings)) {
        return NULL;
    }
    (void)snprintf(worker->transactional_id, sizeof(worker->transactional_id), "%s-%s",
                   settings->group, worker->id);
    return worker->transactional_id;
}

static enum dray_status open_transport(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    const struct dri_settings *settings = worker->settings;
    struct dri_sources read;
    dri_sources_of(settings, &read);
    struct dri_transport_config config = {
        .url = settings->bus,
        .group = settings->group,
        .client_id = worker->id,
        .sources = read.sources,
        .sources_count = read.sources_count,
        .topics = read.topics,
        .topics_count = read.topics_count,
        .window_ms = settings->worker.window_ms,
        .can_create = settings->worker.create_topics,
        .partitions = settings->worker.partitions,
        .timeout_ms = CONNECT_MS,
        .unacked_max = settings->worker.max_unacked,
        .in_flight_max = settings->worker.max_in_flight,
        .memory_bytes = settings->worker.memory,
        .progress_ms = settings->worker.progress_ms,
        .transactional_id = transactional_id(worker),
        .on_crash_point = dri_crash_point_hook(),
        .options = settings->options,
        .options_count = settings->options_count,
    };
    return worker->ops->open(&config, &worker->transport, ret_text, text_bytes);
}

/* What is wrong in itself is told before anything is opened: no replica starts with an old snapshot
 * because of a typing error. */
static enum dray_status check_bus(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    const struct dri_settings *settings = worker->settings;
    const struct dri_transport_config config = {
        .url = settings->bus,
        .group = settings->group,
        .unacked_max = settings->worker.max_unacked,
        .memory_bytes = settings->worker.memory,
        .transactional_id = transactional_id(worker),
        .options = settings->options,
        .options_count = settings->options_count,
    };
    enum dray_status status = dri_transport_for(settings->bus, &worker->ops, ret_text, text_bytes);
    return status == DRAY_OK ? worker->ops->check_config(&config, ret_text, text_bytes) : status;
}

static const char *origin_of(void *arg, uint32_t slot)
{
    const struct dri_worker *worker = arg;
    return dri_engine_origin(worker->engine, slot);
}

static uint32_t lane_depth(const struct dri_settings *settings)
{
    uint32_t share = settings->worker.max_in_flight / settings->worker.lanes;
    return share < 8 ? 8 : share > 1024 ? 1024 : share;
}

static uint32_t key_max(const struct dri_settings *settings)
{
    uint32_t quarter = settings->worker.max_in_flight / 4;
    return settings->worker.key_max != 0 ? settings->worker.key_max : quarter != 0 ? quarter : 1;
}

static struct dri_core_config core_config(const struct dri_settings *settings,
                                          const struct dri_lanes_config *lanes)
{
    return (struct dri_core_config){
        .in_flight_max = settings->worker.max_in_flight,
        .key_max = key_max(settings),
        .unacked_max = settings->worker.max_unacked,
        .bytes_max = settings->worker.max_bytes,
        .slots_max = SLOTS_MAX,
        .lanes = lanes->lanes,
        .lane_depth = lanes->lane_depth,
        .chain_max = CHAIN_MAX,
        .groups_max = GROUPS_MAX,
        .settle_ms = settings->worker.settle_ms,
        .revoke_ms = settings->worker.revoke_ms,
        .drain_ms = settings->worker.drain_ms,
        .delay_after_ms = settings->worker.delay_after_ms,
        .park_max = dri_settings_has_park_log(settings) ? settings->worker.park_max : 0,
        .park_after_ms = settings->worker.park_after_ms,
        .republish_ms = 100,
        .systemic_share = settings->worker.systemic_share,
        .systemic_min = settings->worker.systemic_min,
        .systemic_window_ms = settings->worker.systemic_window_ms,
        .systemic_probe_ms = settings->worker.systemic_probe_ms,
    };
}

static enum dray_status make_engine(struct dri_worker *worker)
{
    const struct dri_settings *settings = worker->settings;
    const struct dri_live *live = worker->live;
    struct dri_lanes_config lanes = {
        .lanes = settings->worker.lanes,
        .lane_depth = lane_depth(settings),
        .chain_max = CHAIN_MAX,
        .result_bytes_max = settings->worker.message_bytes,
        .timeout_ms = settings->worker.timeout_ms,
        .stuck_ms = settings->worker.stuck_ms,
        .worker = worker->id,
        .registry = worker->registry,
        .metrics = worker->metrics,
        .journal = worker->journal,
        .wake = &worker->wake,
        .origin = origin_of,
        .origin_arg = worker,
        .on_crash_point = dri_crash_point_hook(),
    };
    enum dray_status status = dri_lanes_create(&lanes, &worker->executor);
    if (status != DRAY_OK) {
        return status;
    }
    status = dri_router_create(worker->registry, &worker->router);
    if (status != DRAY_OK) {
        return status;
    }
    struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    limits.message_bytes = settings->worker.message_bytes;
    struct dri_engine_config config = {
        .core = core_config(settings, &lanes),
        .transport_ops = worker->ops,
        .transport = worker->transport,
        .executor = worker->executor,
        .cancelled = worker->cancelled,
        .router = worker->router,
        .worker = worker->id,
        .namespace_ = settings->namespace_,
        .namespaces = live->namespaces,
        .results_topic = settings->topics.results,
        .dead_letters_topic = settings->topics.dead_letters,
        .delay_topics = settings->topics.delay,
        .park_topic = dri_settings_has_park_log(settings) ? settings->topics.park : NULL,
        .spool_folder = settings->state,
        .window_topic = settings->worker.window_ms != 0 ? settings->topics.window : NULL,
        .window_entries = settings->worker.window_entries,
        .window_bytes = settings->worker.window_bytes,
        .window_ms = settings->worker.window_ms,
        .reply_patterns = live->reply_patterns,
        .reply_patterns_count = live->reply_patterns_count,
        .dependency_failures = settings->worker.dependency_failures,
        .dependency_open_ms = settings->worker.dependency_open_ms,
        .order = settings->worker.order,
        .limits = limits,
        .transaction_ms =
            dri_settings_is_exactly_once(settings) ? settings->worker.transaction_ms : 0,
        .on_crash_point = dri_crash_point_hook(),
    };
    return dri_engine_create(&config, &worker->engine);
}

static enum dray_status start_admin(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    if (worker->settings->admin.listen[0] == '\0') {
        return DRAY_OK;
    }
    struct dri_admin_config config = {
        .listen = worker->settings->admin.listen,
        .metrics = worker->metrics,
        .is_alive = is_alive,
        .is_ready = is_ready,
        .arg = worker,
    };
    enum dray_status status = dri_admin_start(&config, &worker->admin, ret_text, text_bytes);
    if (status == DRAY_OK) {
        DRI_LOG(DRI_LOG_INFO, "ADM-LISTEN", "metrics and health",
                DRI_TEXT("address", dri_admin_address(worker->admin)));
    }
    return status;
}

static enum dray_status start_firing(struct dri_worker *worker)
{
    const struct dri_firing_config config = {.settings = worker->settings,
                                             .ops = worker->ops,
                                             .schedules = worker->schedules,
                                             .metrics = worker->metrics,
                                             .worker = worker->id};
    return dri_firing_start(&config, &worker->firing);
}

static bool has_inboxes(const struct dri_worker *worker)
{
    return strcmp(worker->ops->scheme, "kafka") != 0;
}

static void note_last_run(struct dri_worker *worker)
{
    const struct dri_settings *settings = worker->settings;
    worker->last_run =
        settings->is_state_shared ? DRI_LAST_RUN_NONE : dri_last_run_read(settings->state);
    if (worker->last_run == DRI_LAST_RUN_UNCLEAN) {
        DRI_LOG(DRI_LOG_WARN, "WRK-UNCLEAN",
                "the last run did not end cleanly; what it had not settled comes again",
                DRI_TEXT("state", settings->state));
    }
}

static enum dray_status build(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    const struct dri_settings *settings = worker->settings;
    enum dray_status status = check_bus(worker, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = dri_state_open(settings->state, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = dri_state_worker_id(settings->state, settings->worker.id, worker->id, ret_text,
                                     text_bytes);
    }
    if (status == DRAY_OK) {
        note_last_run(worker);
        status = dri_wake_init(&worker->wake);
        worker->has_wake = status == DRAY_OK;
    }
    if (status == DRAY_OK) {
        status = dri_metrics_create(settings->group, worker->id, DRAY_VERSION, &worker->metrics);
    }
    if (status == DRAY_OK) {
        status = dri_metrics_page(worker->metrics, &worker->page);
    }
    if (status == DRAY_OK) {
        open_journal(worker);
        status = start_admin(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = make_registry(worker);
    }
    if (status == DRAY_OK) {
        status = start_control(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = dri_live_create(settings, settings, has_inboxes(worker), &worker->live);
    }
    if (status == DRAY_OK) {
        status = open_transport(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = make_engine(worker);
    }
    return status == DRAY_OK ? start_firing(worker) : status;
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
    enum dray_status status = build(worker, ret_text, text_bytes);
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
        dri_live_create(worker->settings, settings, has_inboxes(worker), &live);
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
    DRI_LOG(DRI_LOG_ERROR, "WRK-DEAF",
            are_too_many ? "too many handlers do not return; draining, to be started afresh"
            : is_too_long
                ? "a handler has held its key for too long; draining, to be started afresh"
                : "a lane has no thread; draining, to be started afresh",
            DRI_UINT("stuck", lanes->stuck), DRI_UINT("held_ms", held_ms));
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
    atomic_store(&worker->is_systemic, core.is_systemic);
    atomic_store(&worker->is_waiting, engine.parks_held > 0 || transport.held_back > 0);
    const struct dri_gauges gauges = {
        .engine = &engine,
        .core = &core,
        .transport = &transport,
        .lanes = &lanes,
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
    worker->is_clean = status == DRAY_OK && is_clean && !worker->is_beginning_anew;
    if (worker->is_clean && !worker->settings->is_state_shared) {
        dri_last_run_end(worker->settings->state);
    }
    *ret_clean = worker->is_clean;
    return status;
}
