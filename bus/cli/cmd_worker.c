/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_worker.c - dray worker: one replica, its signals, and what it tells systemd.
 *
 * Signals are blocked in every thread and taken by one thread of their own with poll on a signalfd,
 * so that reading the configuration anew for HUP is an ordinary call and no signal handler. Before
 * the worker exists there is nothing to drain: TERM and INT then end the process as if they were
 * not caught.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "config.h"
#include "exposure.h"
#include "log.h"
#include "run/state.h"
#include "run/supervise.h"
#include "run/worker.h"
#include "url.h"
#include "version.h"

#define TEXT_BYTES 1024u
#define URL_BYTES  512u

struct watch {
    const struct dri_cli *cli;
    _Atomic(struct dri_worker *) worker; /* set by main before it runs, never cleared */
    struct dri_config *config; /* that was read last; the watching thread's, owned when not cli's */
    _Atomic(int) kept_quiet;   /* SIGUSR1 or SIGUSR2 that came before there was a worker; or 0 */
    _Atomic(bool) has_kept_hup; /* the same for SIGHUP */
    int signal_fd;
    int end_fd; /* main writes: no more signals are wanted */
    pthread_t thread;
};

/* ---- HUP ---- */

struct reload {
    size_t applied, waiting;
};

static void on_difference(void *arg, const char *key, bool is_applied)
{
    struct reload *reload = arg;
    if (is_applied) {
        reload->applied++;
        DRI_LOG(DRI_LOG_INFO, "CFG-APPLIED", "a changed key is in effect", DRI_TEXT("key", key));
    } else {
        reload->waiting++;
        DRI_LOG(DRI_LOG_WARN, "CFG-RESTART", "a changed key needs a restart", DRI_TEXT("key", key));
    }
}

static void refuse(const char *text)
{
    DRI_LOG(DRI_LOG_ERROR, "CFG-REFUSED", "the configuration is not applied; the old one stays",
            DRI_TEXT("reason", text));
}

/* All of it or nothing: what has an error anywhere changes nothing. */
static void apply(struct watch *watch, struct dri_worker *worker, struct dri_config *config,
                  const struct dri_settings *settings)
{
    struct reload seen = {0, 0};
    enum dray_status status = dri_worker_reload(worker, settings);
    if (status != DRAY_OK) {
        refuse(dray_status_text(status));
        dri_config_destroy(config);
        return;
    }
    dri_log_set_level(settings->log.level);
    dri_log_set_format(settings->log.format);
    dri_config_differences(watch->cli->config, watch->config, config, on_difference, &seen);
    DRI_LOG(DRI_LOG_INFO, "CFG-READ", "configuration read again", DRI_UINT("applied", seen.applied),
            DRI_UINT("need_restart", seen.waiting));
    if (watch->config != watch->cli->config) {
        dri_config_destroy(watch->config);
    }
    watch->config = config;
}

static void reload(struct watch *watch, struct dri_worker *worker)
{
    char text[TEXT_BYTES] = "";
    struct dri_settings settings;
    struct dri_config *config = NULL;
    dri_supervise_tell_reloading();
    if (dri_cli_load(watch->cli, true, &config, &settings, text, sizeof(text)) != DRAY_OK) {
        refuse(text);
    } else {
        apply(watch, worker, config, &settings);
    }
    dri_supervise_tell("READY=1");
}

/* ---- signals ---- */

static void watch_repeat(struct watch *watch)
{
    int quiet = atomic_exchange(&watch->kept_quiet, 0);
    if (quiet != 0) {
        (void)kill(getpid(), quiet);
    }
    if (atomic_exchange(&watch->has_kept_hup, false)) {
        (void)kill(getpid(), SIGHUP);
    }
}

/* What comes while the worker starts is done when it is there: the signal is sent once more then.
 */
static void watch_keep(struct watch *watch, int number)
{
    if (number == SIGHUP) {
        atomic_store(&watch->has_kept_hup, true);
    } else {
        atomic_store(&watch->kept_quiet, number);
    }
    if (atomic_load(&watch->worker) != NULL) {
        watch_repeat(watch);
    }
}

static void obey(struct watch *watch, int number, unsigned *stops)
{
    struct dri_worker *worker = atomic_load(&watch->worker);
    if (number == SIGHUP || number == SIGUSR1 || number == SIGUSR2) {
        if (worker == NULL) {
            watch_keep(watch, number);
        } else if (number == SIGHUP) {
            reload(watch, worker);
        } else {
            dri_worker_quiet(worker, number == SIGUSR1);
        }
        return;
    }
    if (worker == NULL) {
        sigset_t only;
        (void)sigemptyset(&only);
        (void)sigaddset(&only, number);
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        (void)pthread_sigmask(SIG_UNBLOCK, &only, NULL);
        return; /* not reached */
    }
    (*stops)++;
    dri_supervise_tell("STOPPING=1\nSTATUS=drains");
    if (*stops == 1) {
        dri_worker_drain(worker);
    } else {
        dri_worker_stop(worker);
    }
}

static void *watch_run(void *arg)
{
    struct watch *watch = arg;
    unsigned stops = 0;
    for (;;) {
        struct pollfd fds[] = {
            {.fd = watch->signal_fd, .events = POLLIN},
            {.fd = watch->end_fd, .events = POLLIN},
        };
        struct signalfd_siginfo info;
        (void)poll(fds, 2, -1);
        if (fds[1].revents != 0) {
            return NULL;
        }
        if (fds[0].revents != 0 &&
            read(watch->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            obey(watch, (int)info.ssi_signo, &stops);
        }
    }
}

static bool watch_start(struct watch *watch)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigaddset(&signals, SIGUSR2);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write that is too far fails */
    watch->signal_fd = -1;
    watch->end_fd = -1;
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0) {
        return false;
    }
    watch->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    watch->end_fd = eventfd(0, EFD_CLOEXEC);
    return watch->signal_fd >= 0 && watch->end_fd >= 0 &&
           pthread_create(&watch->thread, NULL, watch_run, watch) == 0;
}

/* The second signal while we leave: nothing of ours is unfinished, only the goodbye is. */
static void on_leaving(int number)
{
    (void)number;
    _exit(DRI_EXIT_FAILED);
}

/* After it no signal reaches the worker any more. */
static void watch_stop(struct watch *watch)
{
    uint64_t one = 1;
    struct sigaction action = {.sa_handler = on_leaving};
    sigset_t signals;
    if (write(watch->end_fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        (void)pthread_join(watch->thread, NULL);
    }
    if (watch->config != watch->cli->config) {
        dri_config_destroy(watch->config);
    }
    (void)close(watch->signal_fd);
    (void)close(watch->end_fd);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* ---- the state folder ---- */

#define LOCK_FILE "worker.lock"

/* A replica that shares its folder with another would share the id too, and both would count as
 * one. It runs all the same, under an id of its own that is not kept. Returns the lock, held until
 * the end. */
static int take_state(struct dri_settings *settings, char ret_id[DRI_WORKER_ID_BYTES])
{
    char path[4096];
    char text[TEXT_BYTES];
    char host[64] = "";
    uint32_t number = 0;
    if (dri_state_open(settings->state, text, sizeof(text)) != DRAY_OK ||
        snprintf(path, sizeof(path), "%s/" LOCK_FILE, settings->state) >= (int)sizeof(path)) {
        return -1; /* the worker says why */
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        return fd;
    }
    settings->is_state_shared = true;
    if (settings->worker.id == NULL && gethostname(host, sizeof(host) - 1) == 0 &&
        getrandom(&number, sizeof(number), 0) == (ssize_t)sizeof(number)) {
        snprintf(ret_id, DRI_WORKER_ID_BYTES, "%s-%08x", host, number);
        settings->worker.id = ret_id;
    }
    DRI_LOG(DRI_LOG_WARN, "WRK-SHARED",
            "another worker uses this state folder; give each replica one of its own: --set "
            "state=FOLDER",
            DRI_TEXT("state", settings->state), DRI_TEXT("id", settings->worker.id));
    return fd;
}

/* ---- the command ---- */

static void log_begin(const struct dri_cli *cli, const struct dri_worker *worker)
{
    const struct dri_settings *settings = &cli->settings;
    char bus[URL_BYTES];
    dri_url_redact(settings->bus, bus, sizeof(bus));
    DRI_LOG(DRI_LOG_INFO, "WRK-START", "serving", DRI_TEXT("worker", dri_worker_id(worker)),
            DRI_TEXT("version", DRAY_VERSION), DRI_TEXT("bus", bus),
            DRI_TEXT("group", settings->group), DRI_TEXT("commands", settings->topics.commands),
            DRI_TEXT("results", settings->topics.results),
            DRI_TEXT("dead_letters", settings->topics.dead_letters),
            DRI_UINT("configured_routes", settings->routes_count),
            DRI_UINT("lanes", settings->worker.lanes));
    char text[TEXT_BYTES];
    if (dri_exposure_find(settings, text, sizeof(text))) {
        dri_log_write(DRI_LOG_WARN, "WRK-EXPOSED", text, NULL, 0);
    }
}

static int serve(struct watch *watch)
{
    const struct dri_cli *cli = watch->cli;
    char text[TEXT_BYTES] = "";
    struct dri_worker *worker = NULL;
    enum dray_status status = dri_worker_create(&cli->settings, &worker, text, sizeof(text));
    if (status != DRAY_OK) {
        watch_stop(watch);
        DRI_LOG(DRI_LOG_ERROR, "WRK-FAILED", "cannot start", DRI_TEXT("reason", text));
        return (int)dri_exit_for_open(status);
    }
    atomic_store(&watch->worker, worker);
    watch_repeat(watch);
    log_begin(cli, worker);
    dri_supervise_tell("READY=1\nSTATUS=takes commands");
    bool is_clean = false;
    status = dri_worker_run(worker, &is_clean);
    dri_supervise_tell("STOPPING=1\nSTATUS=leaves");
    dri_log_write(is_clean ? DRI_LOG_INFO : DRI_LOG_WARN, "WRK-END",
                  is_clean            ? "everything taken in was finished and settled"
                  : status == DRAY_OK ? "stopped; what was not settled comes again"
                                      : "ended by a failure; what was not settled comes again",
                  NULL, 0);
    watch_stop(watch);
    dri_worker_destroy(worker);
    return status != DRAY_OK ? (int)dri_exit_for(status) : is_clean ? DRI_EXIT_OK : DRI_EXIT_FAILED;
}

static int worker_run(struct dri_cli *cli)
{
    struct watch watch = {.cli = cli, .worker = NULL, .config = cli->config};
    dri_log_setup(cli->settings.log.format, cli->settings.log.level, NULL, NULL);
    for (size_t i = 0; dri_config_warning(cli->config, i) != NULL; i++) {
        DRI_LOG(DRI_LOG_WARN, "CFG-WARNING", dri_config_warning(cli->config, i),
                DRI_TEXT("file", cli->file));
    }
    if (!watch_start(&watch)) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "cannot watch signals: %s",
                            strerrordesc_np(errno));
    }
    char id[DRI_WORKER_ID_BYTES];
    int lock = take_state(&cli->settings, id);
    int code = serve(&watch);
    if (lock >= 0) {
        (void)close(lock);
    }
    return code;
}

static const struct dri_cli_example examples[] = {
    {"Serve what worker.yaml says", "dray worker -c worker.yaml"},
    {"A second replica on the same machine",
     "dray worker -c worker.yaml --set state=./state-2 --set admin.listen=127.0.0.1:9465"},
    {"With four lanes, and every step logged",
     "dray worker -c worker.yaml --set worker.lanes=4 --set log.level=debug"},
    {NULL, NULL},
};

const struct dri_cli_command dri_worker_command = {
    .name = "worker",
    .summary = "run a worker",
    .usage = "-c FILE [--set KEY=VALUE]...",
    .about =
        "Takes commands from the broker, runs their handlers, and publishes a result or a dead "
        "letter "
        "for each. Start as many replicas as you like with the same group: they share the work.\n\n"
        "TERM or INT drains: what was taken in is finished and settled, then the worker leaves; a "
        "second "
        "one stops at once. HUP reads the configuration again, applies log, limits and defaults, "
        "and "
        "names in the log each changed key that needs a restart. USR1 makes the worker quiet: it "
        "finishes what it has and takes nothing new, but stays in the group with its partitions; "
        "USR2 ends that.\n\n"
        "Exit code 0: drained cleanly. 1: stopped with work unfinished; it comes again. 69: the "
        "broker "
        "cannot be reached. 77: it refuses us. 78: the configuration is wrong, or a topic is "
        "missing.",
    .options = NULL,
    .examples = examples,
    .needs_settings = true,
    .has_own_log = true,
    .check = dri_cli_no_arguments,
    .run = worker_run,
};
