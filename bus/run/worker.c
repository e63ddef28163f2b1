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
 * The end is crash-only: drain, every outcome stored, settled, then close. A handler that does not
 * return within the grace is left behind: the process ends by _exit, and its command comes again.
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
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "module.h"
#include "queue.h"
#include "registry.h"
#include "routing.h"
#include "state.h"
#include "version.h"

#define SLOTS_MAX      4096u
#define GROUPS_MAX     4096u /* routes with limits at a time, and some more */
#define CHAIN_MAX      64u
#define SLEEP_MAX_NS   UINT64_C(1000000000)
#define METRICS_NS     UINT64_C(200000000)
#define STOP_MS        5000u
#define CLOSE_MS       10000u
#define CONNECT_MS     30000u
#define PATTERNS_MAX   16u
#define TOPIC_BYTES    260u
#define MODULES_FOLDER "./modules"

enum request {
    REQUEST_NONE,
    REQUEST_DRAIN,
    REQUEST_STOP
};

struct dri_worker {
    const struct dri_settings *settings; /* borrowed */
    char id[DRI_WORKER_ID_BYTES];
    char results_pattern[TOPIC_BYTES];
    const char *patterns[PATTERNS_MAX];
    size_t patterns_count;
    char *patterns_text; /* owned: the comma list, cut up */

    struct dri_metrics *metrics;   /* owned */
    struct dri_metrics_page *page; /* the loop's */
    struct dri_admin *admin;       /* owned */
    struct dri_modules *modules;   /* owned */
    struct dri_registry *registry; /* owned */
    const struct dri_transport_ops *ops;
    struct dri_transport *transport;            /* owned */
    struct dri_executor *executor;              /* owned */
    struct dri_router *router;                  /* owned */
    struct dri_engine *engine;                  /* owned */
    struct dri_control_thread *_Atomic control; /* owned; writes the registry from start to stop */
    struct dri_wake wake;
    bool has_wake;

    _Atomic(int) request; /* enum request; only grows */
    int obeyed;           /* the loop's */
    uint64_t metrics_due_ns;
    _Atomic(uint64_t) turned_ns; /* the loop's last turn, for /livez */
    _Atomic(bool) is_ready;
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
    uint64_t age_ms = (dri_clock_mono_ns() - turned) / 1000000u;
    bool is_fine = turned == 0 || age_ms < 30000;
    snprintf(ret_text, text_bytes, "last turn %llu ms ago", (unsigned long long)age_ms);
    return is_fine;
}

static bool is_ready(void *arg, char *ret_text, size_t text_bytes)
{
    const struct dri_worker *worker = arg;
    bool is_fine = atomic_load(&worker->is_ready);
    struct dri_control_thread *control = atomic_load(&worker->control);
    snprintf(ret_text, text_bytes, "%s", is_fine ? "takes commands" : "starting or draining");
    return is_fine && control != NULL && dri_control_is_fit(control, ret_text, text_bytes);
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
        .bind = dri_binding_bind,
        .unbind = dri_binding_unbind,
        .arg = worker->modules,
        .readers_max = settings->worker.lanes + 2, /* the router, and one to spare */
    };
    return dri_registry_create(&config, &worker->registry);
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
        .served = &worker->wake,
    };
    struct dri_control_thread *control = NULL;
    enum dray_status status = dri_control_start(&config, &control, ret_text, text_bytes);
    atomic_store(&worker->control, control);
    return status;
}

static void split_patterns(struct dri_worker *worker)
{
    const struct dri_settings *settings = worker->settings;
    if (settings->worker.reply_to == NULL) {
        snprintf(worker->results_pattern, sizeof(worker->results_pattern), "%s.*",
                 settings->topics.results);
        worker->patterns[0] = settings->topics.results;
        worker->patterns[1] = worker->results_pattern;
        worker->patterns_count = 2;
        if (strcmp(worker->ops->scheme, "kafka") != 0) {
            worker->patterns[worker->patterns_count++] = "_INBOX.>";
        }
        return;
    }
    worker->patterns_text = dri_strdup(settings->worker.reply_to);
    char *rest = worker->patterns_text;
    while (rest != NULL && worker->patterns_count < PATTERNS_MAX) {
        char *pattern = strsep(&rest, ",");
        if (*pattern != '\0') {
            worker->patterns[worker->patterns_count++] = pattern;
        }
    }
}

static enum dray_status open_transport(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    const struct dri_settings *settings = worker->settings;
    const struct dri_source sources[] = {
        {settings->topics.commands, DRI_ROLE_COMMANDS, settings->worker.start, 0},
        {settings->topics.replay, DRI_ROLE_REPLAY, DRI_START_EARLIEST, 0},
    };
    const struct dri_topic topics[] = {
        {settings->topics.commands, DRI_USE_COMMANDS},
        {settings->topics.results, DRI_USE_RESULTS},
        {settings->topics.dead_letters, DRI_USE_DEAD_LETTERS},
        {settings->topics.replay, DRI_USE_REPLAY},
    };
    struct dri_transport_config config = {
        .url = settings->bus,
        .group = settings->group,
        .client_id = worker->id,
        .sources = sources,
        .sources_count = DRI_ARRAY_LEN(sources),
        .topics = topics,
        .topics_count = DRI_ARRAY_LEN(topics),
        .can_create = settings->worker.create_topics,
        .partitions = settings->worker.partitions,
        .timeout_ms = CONNECT_MS,
        .unacked_max = settings->worker.max_unacked,
        .in_flight_max = settings->worker.max_in_flight,
        .memory_bytes = settings->worker.memory,
        .options = settings->options,
        .options_count = settings->options_count,
    };
    return worker->ops->open(&config, &worker->transport, ret_text, text_bytes);
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

static enum dray_status make_engine(struct dri_worker *worker)
{
    const struct dri_settings *settings = worker->settings;
    struct dri_lanes_config lanes = {
        .lanes = settings->worker.lanes,
        .lane_depth = lane_depth(settings),
        .chain_max = CHAIN_MAX,
        .result_bytes_max = settings->worker.message_bytes,
        .timeout_ms = settings->worker.timeout_ms,
        .worker = worker->id,
        .registry = worker->registry,
        .metrics = worker->metrics,
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
        .core = {.in_flight_max = settings->worker.max_in_flight,
                 .key_max = key_max(settings),
                 .unacked_max = settings->worker.max_unacked,
                 .bytes_max = settings->worker.max_bytes,
                 .slots_max = SLOTS_MAX,
                 .lanes = lanes.lanes,
                 .lane_depth = lanes.lane_depth,
                 .chain_max = CHAIN_MAX,
                 .groups_max = GROUPS_MAX,
                 .settle_ms = settings->worker.settle_ms,
                 .revoke_ms = settings->worker.revoke_ms,
                 .drain_ms = settings->worker.drain_ms,
                 .republish_ms = 100},
        .transport_ops = worker->ops,
        .transport = worker->transport,
        .executor = worker->executor,
        .router = worker->router,
        .worker = worker->id,
        .namespace_ = settings->namespace_,
        .namespaces = settings->worker.namespaces,
        .results_topic = settings->topics.results,
        .dead_letters_topic = settings->topics.dead_letters,
        .reply_patterns = worker->patterns,
        .reply_patterns_count = worker->patterns_count,
        .order = settings->worker.order,
        .limits = limits,
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

static enum dray_status build(struct dri_worker *worker, char *ret_text, size_t text_bytes)
{
    const struct dri_settings *settings = worker->settings;
    enum dray_status status = dri_transport_for(settings->bus, &worker->ops, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = dri_state_open(settings->state, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = dri_state_worker_id(settings->state, settings->worker.id, worker->id, ret_text,
                                     text_bytes);
    }
    if (status == DRAY_OK) {
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
        status = start_admin(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = make_registry(worker);
    }
    if (status == DRAY_OK) {
        status = start_control(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        split_patterns(worker);
        status = open_transport(worker, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = make_engine(worker);
    }
    return status;
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

void dri_worker_destroy(struct dri_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    if (worker->executor != NULL && dri_lanes_stop(worker->executor, STOP_MS) == DRAY_ETIMEOUT) {
        DRI_LOG(DRI_LOG_ERROR, "WRK-STUCK",
                "a handler does not return; ending the process, its command will come again",
                DRI_TEXT("worker", worker->id));
        _exit(EXIT_FAILURE);
    }
    if (worker->transport != NULL) {
        worker->ops->close(worker->transport, CLOSE_MS);
    }
    dri_engine_destroy(worker->engine);
    if (worker->transport != NULL) {
        worker->ops->destroy(worker->transport);
    }
    dri_lanes_destroy(worker->executor);
    dri_admin_stop(worker->admin); /* asks the control thread when it is asked */
    dri_control_stop(atomic_load(&worker->control));
    dri_router_destroy(worker->router);
    dri_registry_destroy(worker->registry);
    dri_modules_destroy(worker->modules);
    dri_metrics_destroy(worker->metrics);
    if (worker->has_wake) {
        dri_wake_fini(&worker->wake);
    }
    dri_free(worker->patterns_text);
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

/* --- the loop
 * --------------------------------------------------------------------------------------- */

static void obey(struct dri_worker *worker, struct dri_now now)
{
    int wanted = atomic_load(&worker->request);
    if (wanted <= worker->obeyed) {
        return;
    }
    worker->obeyed = wanted;
    atomic_store(&worker->is_ready, false);
    dri_control_set_state(worker->control, DRI_WORKER_DRAINING);
    if (wanted == REQUEST_STOP) {
        dri_log_write(DRI_LOG_WARN, "WRK-STOP", "stopping at once", NULL, 0);
        dri_engine_stop(worker->engine, now);
    } else {
        dri_log_write(DRI_LOG_INFO, "WRK-DRAIN", "draining: finish, settle, leave", NULL, 0);
        dri_engine_drain(worker->engine, now);
    }
}

static void show_metrics(struct dri_worker *worker, struct dri_now now)
{
    if (now.mono_ns < worker->metrics_due_ns) {
        return;
    }
    worker->metrics_due_ns = now.mono_ns + METRICS_NS;
    struct dri_engine_stats engine;
    struct dri_core_stats core;
    dri_engine_stats(worker->engine, &engine, &core);
    const struct {
        enum dri_metric metric;
        uint64_t value;
    } values[] = {
        {DRI_METRIC_MESSAGES, engine.messages},
        {DRI_METRIC_BYTES_IN, engine.bytes_in},
        {DRI_METRIC_INVALID, engine.invalid},
        {DRI_METRIC_ADMITTED, core.admitted},
        {DRI_METRIC_DUPLICATES, core.duplicates_in_flight},
        {DRI_METRIC_STALE_COMPLETIONS, core.stale_completions},
        {DRI_METRIC_STALE_RECORDS, core.stale_records},
        {DRI_METRIC_RETRIES, core.retries},
        {DRI_METRIC_REPUBLISHED, core.republished},
        {DRI_METRIC_RESULTS, core.results_stored},
        {DRI_METRIC_LETTERS, core.letters_stored},
        {DRI_METRIC_HELD, core.held},
        {DRI_METRIC_BREAKER_OPENS, core.breaker_opens},
        {DRI_METRIC_POINTER_LETTERS, engine.pointer_letters},
        {DRI_METRIC_SETTLED, core.settled},
        {DRI_METRIC_DROPPED, core.dropped_on_revoke},
        {DRI_METRIC_SETTLES_FAILED, core.settles_failed},
        {DRI_METRIC_PUBLISHES, engine.publishes},
        {DRI_METRIC_PUBLISH_UNKNOWN, engine.publish_unknown},
        {DRI_METRIC_PUBLISH_REFUSED, engine.publish_refused},
        {DRI_METRIC_ASSIGNMENTS, engine.assignments},
        {DRI_METRIC_REVOCATIONS, engine.revocations},
        {DRI_METRIC_LOSSES, engine.losses},
        {DRI_METRIC_IN_FLIGHT, core.in_flight},
        {DRI_METRIC_RUNNING, core.running},
        {DRI_METRIC_WAITING, core.waiting},
        {DRI_METRIC_WAITING_PAUSED, core.waiting_paused},
        {DRI_METRIC_BREAKERS_OPEN, core.open_groups},
        {DRI_METRIC_UNACKED, core.unacked},
        {DRI_METRIC_IN_FLIGHT_BYTES, core.bytes},
        {DRI_METRIC_SETTLE_GAP, core.settle_gap},
        {DRI_METRIC_SLOTS, engine.assignments - engine.unassignments},
        {DRI_METRIC_REVISION, dri_registry_revision(worker->registry)},
        {DRI_METRIC_READY, atomic_load(&worker->is_ready) ? 1 : 0},
    };
    for (size_t i = 0; i < DRI_ARRAY_LEN(values); i++) {
        dri_metrics_set(worker->page, values[i].metric, values[i].value);
    }
}

static void sleep_until(struct dri_worker *worker, uint64_t deadline_ns)
{
    uint64_t now = dri_clock_mono_ns();
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
    obey(worker, now);
    enum dray_status status = dri_engine_turn(worker->engine, now, ret_idle);
    show_metrics(worker, now);
    return status;
}

enum dray_status dri_worker_run(struct dri_worker *worker, bool *ret_clean)
{
    enum dray_status status = DRAY_OK;
    bool is_clean = false;
    bool is_idle = false;
    atomic_store(&worker->is_ready, true);
    dri_control_set_state(worker->control, DRI_WORKER_READY);
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
    atomic_store(&worker->is_ready, false);
    worker->metrics_due_ns = 0;
    show_metrics(worker, dri_clock_now());
    *ret_clean = status == DRAY_OK && is_clean;
    return status;
}
