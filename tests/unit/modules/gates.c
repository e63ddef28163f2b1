/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* gates.c - interceptors that say in the file of DRAY_TEST_GATES_LOG that they were called, one
 * that refuses, one that crashes, and three that do nothing. A line is one write:
 * "<id> <name> before", "<id> <name> after" or "<id> <name> error <kind> <code>". */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dray/handler.h>
#include <dray/writer.h>

static int log_fd = -1;

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    const char *path = getenv("DRAY_TEST_GATES_LOG"); /* NOLINT(concurrency-mt-unsafe): read only */

    (void)env;
    if (path != NULL && log_fd < 0) {
        log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    *ret_user = &log_fd;
    return DRAY_OK;
}

static void say(const struct dray_call *call, const void *user, const char *what)
{
    char line[256];
    int len = snprintf(line, sizeof(line), "%.*s %s\n", (int)call->id.len,
                       (const char *)call->id.at, what);

    if (user != &log_fd || write(log_fd, line, (size_t)len) != len) {
        abort(); /* NOLINT: a log with gaps would prove things that did not happen */
    }
}

static void say_end(const struct dray_call *call, const void *user, const char *name,
                    const struct dray_end *end)
{
    char what[128];

    (void)snprintf(what, sizeof(what), "%s error %d %.*s%s", name, (int)end->kind,
                   (int)end->code.len, (const char *)end->code.at,
                   end->is_refused ? " refused" : "");
    say(call, user, what);
}

#define GATE(name)                                                                                 \
    static enum dray_error_kind before_##name(struct dray_call *call, void *user)                  \
    {                                                                                              \
        say(call, user, #name " before");                                                          \
        dray_write_text(&call->result, "no result of an interceptor's");                           \
        return DRAY_KIND_NONE;                                                                     \
    }                                                                                              \
    static void after_##name(const struct dray_call *call, void *user, const struct dray_end *end) \
    {                                                                                              \
        say(call, user, end->result.len < 16 ? #name " after" : #name " after what");              \
    }                                                                                              \
    static void error_##name(const struct dray_call *call, void *user, const struct dray_end *end) \
    {                                                                                              \
        say_end(call, user, #name, end);                                                           \
    }

GATE(a1)
GATE(b1)
GATE(a2)
GATE(b2)

static enum dray_error_kind deny(struct dray_call *call, void *user)
{
    (void)user;
    return dray_call_fail(call, DRAY_KIND_REJECTED, "denied", "not with this gate");
}

static enum dray_error_kind crash(struct dray_call *call, void *user)
{
    (void)call;
    (void)user;
    abort(); /* NOLINT: on purpose */
}

static enum dray_error_kind nothing(struct dray_call *call, void *user)
{
    (void)call;
    (void)user;
    return DRAY_KIND_NONE;
}

static void nothing_more(const struct dray_call *call, void *user, const struct dray_end *end)
{
    (void)call;
    (void)user;
    (void)end;
}

static enum dray_error_kind work(struct dray_call *call)
{
    dray_write_uint(&call->result, 7);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind fail(struct dray_call *call)
{
    return dray_call_fail(call, DRAY_KIND_REJECTED, "why", "told to");
}

static enum dray_error_kind two(struct dray_call *call)
{
    dray_write_nil(&call->result);
    dray_write_nil(&call->result);
    return DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {.command = "gates.ok", .version = "1.0.0", .signature = "", .name = "ok", .fn = work},
    {.command = "gates.fail", .version = "1.0.0", .signature = "", .name = "fail", .fn = fail},
    {.command = "gates.two", .version = "1.0.0", .signature = "", .name = "two", .fn = two},
};

#define ROW(name)                                                                                  \
    {                                                                                              \
#name, before_##name, after_##name, error_##name                                           \
    }

static const struct dray_interceptor interceptors[] = {
    ROW(a1),
    ROW(b1),
    ROW(a2),
    ROW(b2),
    {.name = "deny", .before = deny},
    {.name = "crash", .before = crash},
    {.name = "nothing", .before = nothing, .after = nothing_more, .on_error = nothing_more},
    {.name = "empty"},
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,
    .name = "gates",
    .build = "test",
    .handlers = handlers,
    .handlers_count = sizeof(handlers) / sizeof(handlers[0]),
    .open = begin,
    .interceptors = interceptors,
    .interceptors_count = sizeof(interceptors) / sizeof(interceptors[0]),
};
