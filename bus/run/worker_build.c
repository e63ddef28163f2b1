/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* worker_build.c - makes the objects of one replica, in the order in which they need each other.
 *
 * What is wrong in itself (check_bus) is told before anything is opened. The journal and the admin
 * port come before what may take long, so that a probe gets an answer meanwhile; the registry and
 * the control thread come before the transport of the commands, so that the first command finds its
 * route. What was made when something fails is torn down by dri_worker_destroy, in reverse.
 */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "binding.h"
#include "control_thread.h"
#include "crash.h"
#include "engine.h"
#include "envelope.h"
#include "firing_thread.h"
#include "gauges.h"
#include "journal.h"
#include "live.h"
#include "log.h"
#include "metrics.h"
#include "module.h"
#include "module_probe.h"
#include "registry.h"
#include "routing.h"
#include "sources.h"
#include "version.h"
#include "worker_inside.h"

#define SLOTS_MAX     4096u
#define CANCELLED_MAX 65536u /* ids; 32 bytes each, where they are there */
#define GROUPS_MAX    4096u  /* routes with limits at a time, and some more */
#define CHAIN_MAX     64u
#define CONNECT_MS    30000u

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
    if (status == DRAY_OK && dri_probe_program() != NULL && settings->worker.trial_ms != 0) {
        status =
            dri_modules_try_first(worker->modules, dri_probe_program(), settings->worker.trial_ms);
    }
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
    if (status == DRAY_OK) {
        status = dri_canary_create(&worker->canary);
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
        .canary = worker->canary,
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
        .canary = worker->canary,
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

bool dri_worker_has_inboxes(const struct dri_worker *worker)
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

enum dray_status dri_worker_build(struct dri_worker *worker, char *ret_text, size_t text_bytes)
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
        status = dri_live_create(settings, settings, dri_worker_has_inboxes(worker), &worker->live);
    }
    if (status == DRAY_OK) {
        status = open_transport(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = make_engine(worker);
    }
    return status == DRAY_OK ? start_firing(worker) : status;
}
