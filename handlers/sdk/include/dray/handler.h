/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_HANDLER_H
#define DRAY_HANDLER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/api.h>
#include <dray/kind.h>
#include <dray/slice.h>
#include <dray/status.h>

/* handler.h - the contract between dray and a handler: complete, and never made looser later.
 *
 * A module is a shared object that exports one descriptor, `dray_module`. It links libdray.a (which
 * holds the reader and the writer) and nothing of the worker.
 *
 * Threads:   a handler runs on any lane thread, concurrently with itself up to its policy's
 *            concurrency, but never twice at once for one key. open and close run alone, before the
 *            first call and after the last one has returned. After close, open may run again: a
 * module that stays in memory keeps what it has outside of user. Deadline:  the handler
 * must return by dray_call_remaining_ms; it can ask dray_call_is_cancelled or have a function
 * called. A thread cannot be stopped from outside: a handler that has not returned some seconds
 * after its limit (worker.stuck_ms) counts as deaf: its command ends as `timeout`, final, its stack
 * goes to the log, what it still answers is dropped, and its key waits until it returns. Everything
 * in the call stays valid until then. To be asked for its stack it gets a SIGURG, so that a
 * blocking call may return EINTR. Ownership: everything in the call is borrowed until the handler
 * returns. user belongs to the module: made by open, ended by close. Result:    at most one value,
 * written with the call's writer (writer.h); nothing written means nil. Failure:   return
 * dray_call_fail(...). A handler must not exit, fork, change signal handlers, the locale, the
 * working directory or the environment of the process. SIGPIPE is ignored in a worker: a write to a
 * closed connection fails instead. Twice:     a command can come more than once (after a crash, a
 * rebalance); id is the same then.
 */

DRAY_BEGIN

#define DRAY_ABI_VERSION 1u

struct dray_call;

/** Runs one command. Returns DRAY_KIND_NONE, or what dray_call_fail returned. Any other value is
 *  taken as it is; one outside the set counts as DRAY_KIND_INTERNAL. */
typedef enum dray_error_kind dray_handler_fn(struct dray_call *call);

/** Called once when the call is cancelled (deadline, drain, lost assignment), on another thread;
 *  must only set flags or wake somebody. Not called any more once the handler has returned. */
typedef void dray_cancel_fn(void *arg);

/** Writes one msgpack value into memory of the worker; allocates nothing. The first failure sticks:
 *  ELIMIT, the result is larger than the worker takes; EINVALID, a text was not UTF-8. A failure
 * that stands when the handler returns DRAY_KIND_NONE ends the command as `limit` or `internal`. */
struct dray_writer {
    uint8_t *begin;
    uint8_t *at;
    uint8_t *end;
    enum dray_status status;
};

/** What the worker does for a running handler. Filled by the worker; use the functions below. */
struct dray_host {
    uint32_t bytes; /* sizeof as the worker knows it */
    bool (*is_cancelled)(const struct dray_call *call);
    uint64_t (*remaining_ms)(const struct dray_call *call); /* UINT64_MAX: no deadline */
    /* fn NULL: take the function back, and wait while it runs */
    enum dray_status (*on_cancel)(struct dray_call *call, dray_cancel_fn *fn, void *arg);
    enum dray_error_kind (*note_failure)(struct dray_call *call, enum dray_error_kind kind,
                                         const char *code, const char *message,
                                         uint32_t retry_after_ms);
    void (*log)(struct dray_call *call, int level, const char *text);
    const void *(*payload_object)(struct dray_call *call);
};

/** One command, as its handler sees it. Fields are only ever added at the end. */
struct dray_call {
    uint32_t bytes;   /* sizeof as the worker knows it */
    uint32_t attempt; /* from 1 */
    const struct dray_host *host;
    void *user;           /* what the module's open made */
    struct dray_slice id; /* text, or 16 bytes when is_id_binary */
    struct dray_slice command;
    struct dray_slice namespace_;
    struct dray_slice version; /* that runs */
    struct dray_slice key;     /* absent: none */
    struct dray_slice payload; /* msgpack bytes of one well-formed value; absent: nil */
    struct dray_slice meta;    /* msgpack bytes of a map of str to str; absent: none */
    struct dray_slice trace;
    struct dray_slice tracestate;
    struct dray_slice source; /* "topic/partition/offset" or "stream/sequence" */
    struct dray_slice worker;
    uint64_t created_ms;  /* ms since the epoch; 0: not said */
    uint64_t deadline_ms; /* ms since the epoch; 0: none */
    bool is_id_binary;
    bool is_replay;
    struct dray_writer result;
};

/** Asks whether to stop. Cheap: may be asked in every turn of a loop. Threads: the handler's. */
static inline bool dray_call_is_cancelled(const struct dray_call *call)
{
    return call->host->is_cancelled(call);
}

/** Ms until the handler must have returned; UINT64_MAX: no limit. Threads: the handler's. */
static inline uint64_t dray_call_remaining_ms(const struct dray_call *call)
{
    return call->host->remaining_ms(call);
}

/** Have fn called on cancellation; at most one a call. Whoever gives an arg that ends before the
 *  handler has returned (anything on its stack) takes fn back first.
 *  Errors: EEXISTS; ECLOSED: cancelled already, fn will not be called. */
DRAY_MUST_CHECK static inline enum dray_status dray_call_on_cancel(struct dray_call *call,
                                                                   dray_cancel_fn *fn, void *arg)
{
    return call->host->on_cancel(call, fn, arg);
}

/** Take back what dray_call_on_cancel was given, if anything: once this has returned it does not
 * run and will not be called. May wait for a call that is under way. Threads: the handler's. */
static inline void dray_call_off_cancel(struct dray_call *call)
{
    (void)call->host->on_cancel(call, NULL, NULL);
}

/** End with a failure. code is the handler's own word ("" is fine), message a sentence for people;
 * both are copied. A code that is the name of something that the route depends on (policy.depends),
 * alone or before a colon ("smtp:421"), says that this failed and not the others. retry_after_ms:
 * when it may be worth trying again; 0: as the route says. */
static inline enum dray_error_kind dray_call_fail_after(struct dray_call *call,
                                                        enum dray_error_kind kind, const char *code,
                                                        const char *message,
                                                        uint32_t retry_after_ms)
{
    return call->host->note_failure(call, kind, code, message, retry_after_ms);
}

static inline enum dray_error_kind dray_call_fail(struct dray_call *call, enum dray_error_kind kind,
                                                  const char *code, const char *message)
{
    return call->host->note_failure(call, kind, code, message, 0);
}

/** A line in the worker's log, with the command's id and name added. level: 0 debug .. 3 error. */
static inline void dray_call_log(struct dray_call *call, int level, const char *text)
{
    call->host->log(call, level, text);
}

/** The payload as a tree: a `const msgpack_object *` of msgpack-c, in a bounded arena; NULL when it
 * is larger than the worker allows. Prefer the reader below: it builds nothing. */
static inline const void *dray_call_payload_object(struct dray_call *call)
{
    return call->host->payload_object(call);
}

/** How a handler wants to be run; a route's policy overrides it. */
enum dray_run {
    DRAY_RUN_LANE,   /* on a lane: order by key, hand-over in batches */
    DRAY_RUN_INLINE, /* short and never blocks: on the polling thread */
    DRAY_RUN_POOL,   /* blocks: on its own bounded threads */
};

struct dray_handler {
    const char *command; /* "order.create"; also the default of a route's name */
    const char *version; /* semver */
    const char
        *signature; /* 64 hex digits over both schemas, made by the build; "" when there are none */
    const char *name; /* what a route's `handler` names */
    dray_handler_fn *fn;
    enum dray_run run;
};

/** What came out of a command, as an interceptor is told. Fields are only ever added at the end. */
struct dray_end {
    uint32_t bytes;            /* sizeof as the worker knows it */
    enum dray_error_kind kind; /* DRAY_KIND_NONE: it succeeded */
    uint64_t duration_ns;      /* of this run, the chain before the handler included */
    struct dray_slice result;  /* msgpack bytes of one value; absent: nil, or it failed */
    struct dray_slice code;    /* of a failure; empty: none */
    struct dray_slice message; /* of a failure */
    bool is_refused;           /* by an interceptor further in; the handler was not called */
};

/** Runs around the handler of each route that names it (policy.interceptors), in the same thread
 * and within the same time limit; user is what its own module's open made. All may be NULL.
 *
 * Before: in the order of the route. DRAY_KIND_NONE goes on; what dray_call_fail returned ends the
 * command so: neither the handler nor what is further in is called. It writes no result and leaves
 * no cancel function behind. After: those whose before went on are told, the innermost first, once:
 * after when the command succeeded, on_error when it failed. They change nothing any more.
 *
 * The same rules hold as for handlers. One that crashes or does not return is taken for the
 * command's handler. */
struct dray_interceptor {
    const char *name; /* what a route names: "module.so:name" */
    enum dray_error_kind (*before)(struct dray_call *call, void *user);
    void (*after)(const struct dray_call *call, void *user, const struct dray_end *end);
    void (*on_error)(const struct dray_call *call, void *user, const struct dray_end *end);
};

struct dray_module_env {
    uint32_t bytes;
    const char *worker;
    const char *module; /* file name */
    void (*log)(int level, const char *text);
    /* In a child that only tries open and close, and makes no call: leave out what must not be done
     * beside a worker that does it. */
    bool is_trial;
};

/** Of a module's flags. After close nothing of it is left: no thread, thread key, signal or exit
 *  handler, and no pointer into it that anybody follows. So it may be taken out of memory. What
 *  does not say so stays there until the worker ends, and is counted (worker.retired_max). */
#define DRAY_MODULE_UNLOADABLE 1u

/** Fields are only ever added at the end, so that a module of an older SDK, whose descriptor is
 * shorter, goes on working. With interceptors it needs no handlers. */
struct dray_module {
    uint32_t abi;   /* DRAY_ABI_VERSION, looked at before anything else */
    uint32_t bytes; /* sizeof(struct dray_module) */
    const char *name;
    const char *build; /* free text: version, commit */
    const struct dray_handler *handlers;
    size_t handlers_count;
    size_t handler_bytes; /* sizeof(struct dray_handler): of a later SDK it may be larger */
    /** May be NULL. Errors: any; the module is then not used and close is not called. */
    enum dray_status (*open)(const struct dray_module_env *env, void **ret_user);
    /** May be NULL. Runs after the last call has returned. */
    void (*close)(void *user);
    /* From here on: read only where bytes says that it is there. */
    const struct dray_interceptor *interceptors;
    size_t interceptors_count;
    size_t interceptor_bytes; /* sizeof(struct dray_interceptor), as handler_bytes */
    uint32_t flags;           /* DRAY_MODULE_...; 0 in a descriptor that ends before */
};

/** The one symbol that a module exports: `DRAY_MODULE = {DRAY_MODULE_HEAD, .name = ...};` */
#define DRAY_MODULE                                                                                \
    extern DRAY_API const struct dray_module dray_module;                                          \
    DRAY_API const struct dray_module dray_module

/** What is the same in every descriptor. */
#define DRAY_MODULE_HEAD                                                                           \
    .abi = DRAY_ABI_VERSION, .bytes = (uint32_t)sizeof(struct dray_module),                        \
    .handler_bytes = sizeof(struct dray_handler),                                                  \
    .interceptor_bytes = sizeof(struct dray_interceptor)

DRAY_END

#endif
