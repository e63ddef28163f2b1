/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* host.c - the worker's side of handler.h, small enough to be read in one go.
 *
 * Calls that run form a list; one thread of the host, the keeper, cancels those whose time is over,
 * so that a handler sees cancellation as it comes in a worker: from elsewhere, at any moment. The
 * cancel function is called under the lock, which is what makes dray_call_off_cancel wait for it.
 */

#include "host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dray/reader.h>
#include <dray/writer.h>

#include "json.h"

#define RESULT_BYTES_MAX (1024u * 1024u)
#define NS_A_MS          UINT64_C(1000000)

struct run {
    struct dray_call call; /* first: the host functions get a pointer to it */
    struct dray_test_host *host;
    struct run *next;     /* guarded by lock, as all below */
    uint64_t deadline_ns; /* 0: none */
    bool is_cancelled;
    dray_cancel_fn *cancel;
    void *cancel_arg;
    struct dray_test_outcome *outcome; /* the handler's thread */
};

struct dray_test_host {
    const struct dray_module *module;
    struct dray_module_env env;
    void *user;
    void *image; /* NULL: the module is part of this program */
    pthread_t keeper;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct run *runs; /* guarded by lock */
    bool is_closing;  /* guarded by lock */
};

/* The outcome and the memory behind it. */
struct kept {
    struct dray_test_outcome outcome; /* first */
    uint8_t *result;
    struct dray_test_buffer json;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_A_MS + (uint64_t)now.tv_nsec;
}

static const struct run *run_of(const struct dray_call *call)
{
    return (const struct run *)(const void *)call;
}

/* ---- what a handler may ask ---- */

static bool host_is_cancelled(const struct dray_call *call)
{
    const struct run *run = run_of(call);
    bool is_cancelled;

    (void)pthread_mutex_lock(&run->host->lock);
    is_cancelled = run->is_cancelled;
    (void)pthread_mutex_unlock(&run->host->lock);
    return is_cancelled;
}

static uint64_t host_remaining_ms(const struct dray_call *call)
{
    const struct run *run = run_of(call);
    uint64_t now = now_ns();

    if (run->deadline_ns == 0) {
        return UINT64_MAX;
    }
    return now >= run->deadline_ns ? 0 : (run->deadline_ns - now) / NS_A_MS;
}

static enum dray_status host_on_cancel(struct dray_call *call, dray_cancel_fn *fn, void *arg)
{
    struct run *run = (struct run *)(void *)call;
    enum dray_status status = DRAY_OK;

    (void)pthread_mutex_lock(&run->host->lock);
    if (fn != NULL && run->is_cancelled) {
        status = DRAY_ECLOSED;
    } else if (fn != NULL && run->cancel != NULL) {
        status = DRAY_EEXISTS;
    } else {
        run->cancel = fn;
        run->cancel_arg = arg;
    }
    (void)pthread_mutex_unlock(&run->host->lock);
    return status;
}

static enum dray_error_kind host_fail(struct dray_call *call, enum dray_error_kind kind,
                                      const char *code, const char *message,
                                      uint32_t retry_after_ms)
{
    struct dray_test_outcome *outcome = run_of(call)->outcome;

    (void)snprintf(outcome->code, sizeof(outcome->code), "%s", code == NULL ? "" : code);
    (void)snprintf(outcome->message, sizeof(outcome->message), "%s",
                   message == NULL ? "" : message);
    outcome->retry_after_ms = retry_after_ms;
    return kind;
}

static void host_log(struct dray_call *call, int level, const char *text)
{
    struct dray_test_outcome *outcome = run_of(call)->outcome;

    (void)snprintf(outcome->log, sizeof(outcome->log), "%d %s", level, text);
}

static const void *host_payload_object(struct dray_call *call)
{
    (void)call;
    return NULL;
}

static const struct dray_host host_functions = {
    .bytes = sizeof(struct dray_host),
    .is_cancelled = host_is_cancelled,
    .remaining_ms = host_remaining_ms,
    .on_cancel = host_on_cancel,
    .note_failure = host_fail,
    .log = host_log,
    .payload_object = host_payload_object,
};

/* ---- cancelling ---- */

/* Requires: lock is held. */
static void cancel_run(struct run *run)
{
    dray_cancel_fn *cancel = run->cancel;

    if (run->is_cancelled) {
        return;
    }
    run->is_cancelled = true;
    run->cancel = NULL;
    if (cancel != NULL) {
        cancel(run->cancel_arg);
    }
}

unsigned dray_test_host_cancel(struct dray_test_host *host)
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&host->lock);
    for (struct run *run = host->runs; run != NULL; run = run->next) {
        cancel_run(run);
        count++;
    }
    (void)pthread_mutex_unlock(&host->lock);
    return count;
}

unsigned dray_test_host_running(struct dray_test_host *host)
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&host->lock);
    for (const struct run *run = host->runs; run != NULL; run = run->next) {
        count++;
    }
    (void)pthread_mutex_unlock(&host->lock);
    return count;
}

/* Cancels what is overdue; returns when the next one will be. Requires: lock is held. */
static uint64_t cancel_overdue(struct dray_test_host *host)
{
    uint64_t next_ns = UINT64_MAX;
    uint64_t now = now_ns();

    for (struct run *run = host->runs; run != NULL; run = run->next) {
        if (run->deadline_ns != 0 && run->deadline_ns <= now) {
            cancel_run(run);
        } else if (run->deadline_ns != 0 && run->deadline_ns < next_ns) {
            next_ns = run->deadline_ns;
        }
    }
    return next_ns;
}

static void *keep(void *arg)
{
    struct dray_test_host *host = arg;

    (void)pthread_mutex_lock(&host->lock);
    while (!host->is_closing) {
        uint64_t next_ns = cancel_overdue(host);

        if (next_ns == UINT64_MAX) {
            (void)pthread_cond_wait(&host->changed, &host->lock);
        } else {
            struct timespec until = {(time_t)(next_ns / (1000 * NS_A_MS)),
                                     (long)(next_ns % (1000 * NS_A_MS))};

            (void)pthread_cond_timedwait(&host->changed, &host->lock, &until);
        }
    }
    (void)pthread_mutex_unlock(&host->lock);
    return NULL;
}

/* ---- life ---- */

static void log_for_module(int level, const char *text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    (void)fprintf(stderr, "%s: %s\n", names[level < 0 ? 0 : level > 3 ? 3 : level], text);
}

static enum dray_status create_host(struct dray_test_host **ret_host)
{
    struct dray_test_host *host = calloc(1, sizeof(*host));
    pthread_condattr_t attributes;

    if (host == NULL) {
        return DRAY_ENOMEM;
    }
    host->env.bytes = sizeof(host->env);
    host->env.worker = "test";
    host->env.module = "test.so";
    host->env.log = log_for_module;
    (void)pthread_mutex_init(&host->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&host->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (pthread_create(&host->keeper, NULL, keep, host) != 0) {
        (void)pthread_cond_destroy(&host->changed);
        (void)pthread_mutex_destroy(&host->lock);
        free(host);
        return DRAY_ENOMEM;
    }
    *ret_host = host;
    return DRAY_OK;
}

static void destroy_host(struct dray_test_host *host)
{
    (void)pthread_mutex_lock(&host->lock);
    host->is_closing = true;
    (void)pthread_cond_signal(&host->changed);
    (void)pthread_mutex_unlock(&host->lock);
    (void)pthread_join(host->keeper, NULL);
    (void)pthread_cond_destroy(&host->changed);
    (void)pthread_mutex_destroy(&host->lock);
    free(host); /* the image stays: a worker does not unmap one either */
}

enum dray_status dray_test_host_open(const struct dray_module *module,
                                     struct dray_test_host **ret_host)
{
    struct dray_test_host *host = NULL;
    enum dray_status status;

    if (module->abi != DRAY_ABI_VERSION || module->bytes < sizeof(*module) ||
        module->handler_bytes < sizeof(struct dray_handler) || module->handlers_count == 0) {
        (void)fprintf(stderr,
                      "the descriptor is not of this SDK: begin it with DRAY_MODULE_HEAD\n");
        return DRAY_EINVALID;
    }
    status = create_host(&host);
    if (status != DRAY_OK) {
        return status;
    }
    host->module = module;
    if (module->open != NULL) {
        status = module->open(&host->env, &host->user);
    }
    if (status != DRAY_OK) {
        destroy_host(host);
        return status;
    }
    *ret_host = host;
    return DRAY_OK;
}

enum dray_status dray_test_host_load(const char *path, struct dray_test_host **ret_host)
{
    void *image = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct dray_module *module = image == NULL ? NULL : dlsym(image, "dray_module");

    if (module == NULL) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps it by thread */
        const char *why = dlerror();

        (void)fprintf(stderr, "%s\n", why == NULL ? path : why);
        return DRAY_EINVALID;
    }
    return dray_test_host_open(module, ret_host);
}

void dray_test_host_close(struct dray_test_host *host)
{
    if (host == NULL) {
        return;
    }
    if (host->module->close != NULL) {
        host->module->close(host->user);
    }
    destroy_host(host);
}

/* ---- one run ---- */

static const struct dray_handler *find_handler(const struct dray_module *module, const char *name)
{
    for (size_t i = 0; i < module->handlers_count; i++) {
        const void *at = (const char *)module->handlers + i * module->handler_bytes;
        const struct dray_handler *handler = at;

        if (name == NULL || strcmp(handler->name, name) == 0) {
            return handler;
        }
    }
    return NULL;
}

static void add_run(struct run *run, const struct dray_test_call *what)
{
    struct dray_test_host *host = run->host;

    (void)pthread_mutex_lock(&host->lock);
    run->deadline_ns = what->timeout_ms == 0 ? 0 : now_ns() + what->timeout_ms * NS_A_MS;
    run->is_cancelled = what->is_cancelled;
    run->next = host->runs;
    host->runs = run;
    (void)pthread_cond_signal(&host->changed);
    (void)pthread_mutex_unlock(&host->lock);
}

static void remove_run(struct run *run)
{
    struct dray_test_host *host = run->host;
    struct run **at = &host->runs;

    (void)pthread_mutex_lock(&host->lock);
    while (*at != run) {
        at = &(*at)->next;
    }
    *at = run->next;
    run->outcome->is_cancel_left = run->cancel != NULL;
    (void)pthread_mutex_unlock(&host->lock);
}

static void fill_call(struct run *run, const struct dray_test_call *what,
                      const struct dray_handler *handler)
{
    static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct dray_call *call = &run->call;

    call->bytes = sizeof(*call);
    call->attempt = what->attempt == 0 ? 1 : what->attempt;
    call->host = &host_functions;
    call->user = run->host->user;
    call->is_id_binary = what->id == NULL;
    call->id = what->id == NULL ? dray_slice_of(id, sizeof(id)) : dray_slice_text(what->id);
    call->command = dray_slice_text(handler->command);
    call->namespace_ = dray_slice_text("default");
    call->version = dray_slice_text(handler->version);
    call->key = dray_slice_text(what->key);
    call->trace = dray_slice_text(what->trace);
    call->source = dray_slice_text("test/0/0");
    call->worker = dray_slice_text(run->host->env.worker);
}

/* The result as the worker would take it. */
static enum dray_status keep_result(struct run *run, struct kept *kept)
{
    struct dray_test_outcome *outcome = &kept->outcome;
    struct dray_slice result = dray_writer_bytes(&run->call.result);
    enum dray_status status;

    if (outcome->kind < DRAY_KIND_NONE || outcome->kind >= DRAY_KIND_COUNT) {
        outcome->kind = DRAY_KIND_INTERNAL;
    }
    if (outcome->kind != DRAY_KIND_NONE) {
        return DRAY_OK;
    }
    if (dray_writer_status(&run->call.result) != DRAY_OK) {
        outcome->kind = dray_writer_status(&run->call.result) == DRAY_ELIMIT ? DRAY_KIND_LIMIT
                                                                             : DRAY_KIND_INTERNAL;
        return DRAY_OK;
    }
    if (result.len == 0) {
        return DRAY_OK;
    }
    status = dray_test_json_encode(result, &kept->json);
    if (status == DRAY_ENOMEM) {
        return status;
    }
    if (status != DRAY_OK) {
        outcome->kind = DRAY_KIND_INTERNAL;
        (void)snprintf(outcome->message, sizeof(outcome->message),
                       "the handler did not write exactly one value");
        return DRAY_OK;
    }
    outcome->result = result;
    outcome->json = kept->json.at;
    return DRAY_OK;
}

static enum dray_status decode_input(const char *json, struct dray_test_buffer *buffer,
                                     struct dray_slice *ret_bytes)
{
    enum dray_status status = DRAY_OK;
    size_t offset = 0;

    if (json != NULL) {
        status = dray_test_json_decode(json, buffer, &offset);
        if (status == DRAY_EINVALID) {
            (void)fprintf(stderr, "not JSON at byte %zu: %.40s\n", offset, json + offset);
        }
        *ret_bytes = dray_slice_of(buffer->at, buffer->len);
    }
    return status;
}

enum dray_status dray_test_host_run(struct dray_test_host *host, const struct dray_test_call *what,
                                    struct dray_test_outcome **ret_outcome)
{
    const struct dray_handler *handler = find_handler(host->module, what->handler);
    size_t result_bytes = what->result_bytes_max == 0 ? RESULT_BYTES_MAX : what->result_bytes_max;
    struct dray_test_buffer payload = {NULL, 0, 0};
    struct dray_test_buffer meta = {NULL, 0, 0};
    struct run run = {.host = host};
    struct kept *kept;
    enum dray_status status;

    if (handler == NULL) {
        return DRAY_ENOTFOUND;
    }
    kept = calloc(1, sizeof(*kept));
    if (kept == NULL || (kept->result = malloc(result_bytes)) == NULL) {
        free(kept);
        return DRAY_ENOMEM;
    }
    run.call.payload = what->payload_bytes;
    run.outcome = &kept->outcome;
    dray_writer_init(&run.call.result, kept->result, result_bytes);
    status = decode_input(what->payload, &payload, &run.call.payload);
    if (status == DRAY_OK) {
        status = decode_input(what->meta, &meta, &run.call.meta);
    }
    if (status == DRAY_OK) {
        fill_call(&run, what, handler);
        add_run(&run, what);
        kept->outcome.kind = handler->fn(&run.call);
        remove_run(&run);
        status = keep_result(&run, kept);
    }
    dray_test_buffer_fini(&payload);
    dray_test_buffer_fini(&meta);
    if (status == DRAY_OK) {
        *ret_outcome = &kept->outcome;
    } else {
        dray_test_outcome_destroy(&kept->outcome);
    }
    return status;
}

void dray_test_outcome_destroy(struct dray_test_outcome *outcome)
{
    struct kept *kept = (struct kept *)(void *)outcome;

    if (kept != NULL) {
        free(kept->result);
        dray_test_buffer_fini(&kept->json);
        free(kept);
    }
}
