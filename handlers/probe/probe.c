/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* probe.c - probe.run: does as the payload says, and keeps a log by which anybody can check from
 * outside in which order, how often and where commands ran.
 *
 * Payload: {do, kind, ms, echo, deaf}, all optional; nil is "ok". Result: {"echo": what came}.
 *   ok     succeeds
 *   fail   fails with kind (default internal), code "probe"
 *   gate   fails like fail until there is a file with the log's name and ".gate", then succeeds
 *   sleep  blocks for ms, spin burns processor time for ms; both end early with kind timeout when
 * the call is cancelled, unless deaf is true crash  a real SIGSEGV, by a write to a page that may
 * not be written
 *
 * When DRAY_PROBE_LOG names a file, each call appends one line to it by one write:
 *   <id in hex> <key in hex, or -> <attempt> <worker> <start> <end>
 * with both times in ns of the monotonic clock, written after the call did its work and before the
 * handler returns. So a line means "it ran to its end"; a call that was killed half-way leaves
 * none, and crash writes its line as the last thing it does. A line that cannot be written fails
 * the call: a log with gaps would prove things that did not happen.
 *
 * When DRAY_PROBE_DOWN names a file, that is what stands behind the commands: while it is there, a
 * call whose command stands in it, on a line `<command> <kind> <code>`, does nothing and fails so.
 *
 * When DRAY_PROBE_ROOM names a file with a number, so many calls have room behind the commands: a
 * call that falls asleep as one of more takes longer, as many times as they are more. Without the
 * file, or with 0, there is room for all.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <dray/handler.h>
#include <dray/reader.h>
#include <dray/writer.h>

#include "signatures.h"

#define HEX_BYTES_MAX 512 /* of an id or a key in a line; a longer key is cut */

struct probe {
    /* Immutable after open */
    int log_fd;           /* -1: no log */
    char gate_path[4096]; /* "": no log */
    const char *down;     /* DRAY_PROBE_DOWN; NULL: none */
    const char *room;     /* DRAY_PROBE_ROOM; NULL: none */

    atomic_uint asleep;
};

struct task {
    struct dray_slice action;
    struct dray_slice kind;
    struct dray_slice echo;
    uint64_t ms;
    bool deaf;
};

static const struct dray_field task_fields[] = {
    DRAY_FIELD_AS("do", false, struct task, action, TEXT, 0, 0),
    DRAY_OPTIONAL(struct task, kind, TEXT, 0, 0),
    DRAY_OPTIONAL(struct task, echo, VALUE, 0, 0),
    DRAY_OPTIONAL(struct task, ms, UINT, 0, 3600000),
    DRAY_OPTIONAL(struct task, deaf, BOOL, 0, 0),
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the log ---- */

static size_t put_hex(char *at, struct dray_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = bytes.len < HEX_BYTES_MAX ? bytes.len : HEX_BYTES_MAX;

    if (len == 0) {
        *at = '-';
        return 1;
    }
    for (size_t i = 0; i < len; i++) {
        at[2 * i] = digits[bytes.at[i] >> 4];
        at[2 * i + 1] = digits[bytes.at[i] & 0x0f];
    }
    return 2 * len;
}

static bool log_call(const struct probe *probe, const struct dray_call *call, uint64_t start_ns)
{
    char line[4 * HEX_BYTES_MAX + 512];
    size_t at;
    int len;

    if (probe->log_fd < 0) {
        return true;
    }
    at = put_hex(line, call->id);
    line[at++] = ' ';
    at += put_hex(line + at, call->key);
    len =
        snprintf(line + at, sizeof(line) - at, " %" PRIu32 " %.*s %" PRIu64 " %" PRIu64 "\n",
                 call->attempt, call->worker.len > 256 ? 256 : (int)call->worker.len,
                 call->worker.at == NULL ? "-" : (const char *)call->worker.at, start_ns, now_ns());
    if (len < 0) {
        return false;
    }
    at += (size_t)len;
    return write(probe->log_fd, line, at) == (ssize_t)at;
}

/* ---- what it can do ---- */

/* Where a sleeper waits, and what wakes it. */
struct bed {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_cancelled; /* guarded by mutex */
};

static void wake(void *arg)
{
    struct bed *bed = arg;

    (void)pthread_mutex_lock(&bed->mutex);
    bed->is_cancelled = true;
    (void)pthread_cond_signal(&bed->cond);
    (void)pthread_mutex_unlock(&bed->mutex);
}

static void bed_init(struct bed *bed)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&bed->mutex, NULL);
    (void)pthread_cond_init(&bed->cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    bed->is_cancelled = false;
}

static void bed_fini(struct bed *bed)
{
    (void)pthread_cond_destroy(&bed->cond);
    (void)pthread_mutex_destroy(&bed->mutex);
}

/* Whether it slept to the end. */
static bool sleep_until(struct dray_call *call, uint64_t end_ns, bool is_deaf)
{
    struct timespec end = {(time_t)(end_ns / 1000000000u), (long)(end_ns % 1000000000u)};
    struct bed bed;
    bool is_cancelled = false;

    bed_init(&bed);
    if (!is_deaf && dray_call_on_cancel(call, wake, &bed) != DRAY_OK) {
        is_cancelled = true;
    }
    (void)pthread_mutex_lock(&bed.mutex);
    while (!is_cancelled && now_ns() < end_ns) {
        (void)pthread_cond_timedwait(&bed.cond, &bed.mutex, &end);
        is_cancelled = bed.is_cancelled;
    }
    (void)pthread_mutex_unlock(&bed.mutex);
    if (!is_deaf) {
        dray_call_off_cancel(call);
    }
    bed_fini(&bed);
    return !is_cancelled;
}

static bool spin_until(struct dray_call *call, uint64_t end_ns, bool is_deaf)
{
    volatile uint32_t work = 1;

    while (now_ns() < end_ns) {
        if (!is_deaf && dray_call_is_cancelled(call)) {
            return false;
        }
        for (unsigned i = 0; i < 1000; i++) {
            work = work * 1664525u + 1013904223u;
        }
    }
    return true;
}

static void crash(void)
{
    volatile char *page =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* a fault for certain */

    *page = 1;
}

static enum dray_error_kind fail(struct dray_call *call, const struct task *task)
{
    enum dray_error_kind kind = DRAY_KIND_INTERNAL;

    if (!dray_slice_is_absent(task->kind)) {
        kind = dray_kind_parse((const char *)task->kind.at, task->kind.len);
        if (kind == DRAY_KIND_COUNT || kind == DRAY_KIND_NONE) {
            return dray_call_fail(call, DRAY_KIND_INVALID, "probe",
                                  "payload.kind: there is no such error kind");
        }
    }
    return dray_call_fail(call, kind, "probe", "the payload asked for this failure");
}

/* Whether what it needs is down; then it has failed with *ret_kind. */
static bool is_down(const struct probe *probe, struct dray_call *call,
                    enum dray_error_kind *ret_kind)
{
    char command[128];
    char kind[32];
    char code[64];
    bool is_named = false;
    FILE *file = probe->down != NULL ? fopen(probe->down, "re") : NULL;

    while (file != NULL && !is_named && fscanf(file, "%127s %31s %63s", command, kind, code) == 3) {
        is_named = dray_slice_equal_text(call->command, command);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (is_named) {
        *ret_kind = dray_call_fail(call, dray_kind_parse(kind, strlen(kind)), code,
                                   "what is behind it is down");
    }
    return is_named;
}

/* How many have room behind; 0: all. */
static unsigned long room_of(const struct probe *probe)
{
    char line[24] = "";
    FILE *file = probe->room != NULL ? fopen(probe->room, "re") : NULL;

    if (file != NULL) {
        if (fgets(line, sizeof(line), file) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(file);
    }
    return strtoul(line, NULL, 10);
}

/* Sleeps longer when others sleep and there is no room for all. Whether it slept to the end. */
static bool sleep_among(struct probe *probe, struct dray_call *call, const struct task *task,
                        uint64_t start_ns)
{
    uint64_t time_ns = task->ms * 1000000u;
    unsigned asleep = atomic_fetch_add(&probe->asleep, 1) + 1;
    unsigned long room = room_of(probe);
    bool is_done;

    if (room != 0 && asleep > room) {
        time_ns = time_ns / room * asleep;
    }
    is_done = sleep_until(call, start_ns + time_ns, task->deaf);
    atomic_fetch_sub(&probe->asleep, 1);
    return is_done;
}

static enum dray_error_kind act(struct probe *probe, struct dray_call *call,
                                const struct task *task, uint64_t start_ns)
{
    uint64_t end_ns = start_ns + task->ms * 1000000u;
    bool is_gate = dray_slice_equal_text(task->action, "gate");
    bool is_done = true;

    if (dray_slice_equal_text(task->action, "fail") ||
        (is_gate && access(probe->gate_path, F_OK) != 0)) {
        return fail(call, task);
    }
    if (dray_slice_equal_text(task->action, "sleep")) {
        is_done = sleep_among(probe, call, task, start_ns);
    } else if (dray_slice_equal_text(task->action, "spin")) {
        is_done = spin_until(call, end_ns, task->deaf);
    } else if (!is_gate && !dray_slice_equal_text(task->action, "ok")) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "probe",
                              "payload.do: expected ok, fail, gate, sleep, spin or crash");
    }
    if (!is_done) {
        return dray_call_fail(call, DRAY_KIND_TIMEOUT, "probe",
                              "cancelled before its time was over");
    }
    dray_write_map(&call->result, 1);
    dray_write_text(&call->result, "echo");
    dray_write_raw(&call->result, task->echo);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind run(struct dray_call *call)
{
    struct probe *probe = call->user;
    struct task task = {.action = dray_slice_text("ok")};
    uint64_t start_ns = now_ns();
    struct dray_reader reader;
    enum dray_error_kind kind;

    dray_reader_init(&reader, call->payload);
    if (dray_reader_peek(&reader) != DRAY_TYPE_NIL &&
        dray_read_fields(&reader, task_fields, sizeof(task_fields) / sizeof(task_fields[0]),
                         &task) != DRAY_OK) {
        kind = dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&reader));
    } else if (dray_slice_equal_text(task.action, "crash")) {
        (void)log_call(probe, call, start_ns);
        crash();
        kind = dray_call_fail(call, DRAY_KIND_INTERNAL, "probe", "survived a crash");
    } else if (!is_down(probe, call, &kind)) {
        kind = act(probe, call, &task, start_ns);
    }
    if (!log_call(probe, call, start_ns)) {
        return dray_call_fail(call, DRAY_KIND_INTERNAL, "probe",
                              "DRAY_PROBE_LOG cannot be written");
    }
    return kind;
}

/* ---- the module ---- */

static void end(void *user)
{
    struct probe *probe = user;

    if (probe->log_fd >= 0) {
        (void)close(probe->log_fd);
    }
    free(probe);
}

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): open runs alone, and nobody may change the environment
     */
    const char *path = getenv("DRAY_PROBE_LOG");
    struct probe *probe = calloc(1, sizeof(*probe));

    if (probe == NULL) {
        return DRAY_ENOMEM;
    }
    probe->log_fd = -1;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): as above */
    probe->down = getenv("DRAY_PROBE_DOWN");
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): as above */
    probe->room = getenv("DRAY_PROBE_ROOM");
    if (path != NULL && path[0] != '\0') {
        probe->log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (probe->log_fd < 0) {
            env->log(3, "DRAY_PROBE_LOG cannot be opened");
            end(probe);
            return DRAY_EIO;
        }
        (void)snprintf(probe->gate_path, sizeof(probe->gate_path), "%s.gate", path);
    }
    *ret_user = probe;
    return DRAY_OK;
}

static const struct dray_handler handlers[] = {
    {
        .command = "probe.run",
        .version = "1.0.0",
        .signature = DRAY_SIGNATURE_PROBE_RUN_1_0_0,
        .name = "probe",
        .fn = run,
        .run = DRAY_RUN_LANE,
    },
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,    .name = "probe", .build = "1.0.0", .handlers = handlers,
    .handlers_count = 1, .open = begin,   .close = end,     .flags = DRAY_MODULE_UNLOADABLE,
};
