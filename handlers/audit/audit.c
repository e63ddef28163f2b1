/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* audit.c - an interceptor that keeps a log of every run of the routes that name it.
 *
 *     "policy": {"interceptors": ["audit.so:log"]}
 *
 * DRAY_AUDIT_LOG names the file; without it the module does not open, so that no route runs
 * unaudited by an oversight. A run is one line of JSON, by one write to a file that is opened for
 * appending, so that the lines of several threads and processes do not mix:
 *
 *     {"ts":1764425582123,"worker":"w1","command":"order.create","version":"1.0.0","id":"c-1",
 *      "key":"customer-7","attempt":1,"outcome":"ok","ms":12}
 *
 * outcome is "ok" or the kind of the failure, with "code" and "refused" where there are. The line
 * is written after the run: one that was killed half-way leaves none, and one that comes again
 * leaves a second. It holds no payload and no result. A line that cannot be written is told in the
 * worker's log; the command's outcome stands already.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <dray/handler.h>
#include <dray/kind.h>

#define LINE_BYTES  12288 /* seven texts of 200 bytes, each as six */
#define VALUE_BYTES 200   /* of a text; longer ones are cut */

struct audit {
    int fd; /* immutable after open */
};

struct line {
    char text[LINE_BYTES];
    size_t len;
};

static void put(struct line *line, const char *text)
{
    size_t len = strlen(text);

    if (line->len + len < sizeof(line->text)) { /* LINE_BYTES is enough for all that comes */
        memcpy(line->text + line->len, text, len);
        line->len += len;
    }
}

/* Everything that is not plain goes as \u00XX, so that a line is ASCII whatever the bytes are. */
static void put_text(struct line *line, const char *name, struct dray_slice value)
{
    size_t len = value.len < VALUE_BYTES ? value.len : VALUE_BYTES;

    put(line, ",\"");
    put(line, name);
    put(line, "\":\"");
    for (size_t i = 0; i < len; i++) {
        char piece[8];
        unsigned byte = value.at[i];
        bool is_plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';

        if (is_plain) {
            (void)snprintf(piece, sizeof(piece), "%c", (char)byte);
        } else {
            (void)snprintf(piece, sizeof(piece), "\\u%04x", byte);
        }
        put(line, piece);
    }
    put(line, "\"");
}

static void put_number(struct line *line, const char *name, uint64_t value)
{
    char piece[64];

    (void)snprintf(piece, sizeof(piece), ",\"%s\":%" PRIu64, name, value);
    put(line, piece);
}

static void note(const struct dray_call *call, void *user, const struct dray_end *end)
{
    const struct audit *audit = user;
    struct line line = {.len = 0};
    struct timespec now;
    char ts[48];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(ts, sizeof(ts), "{\"ts\":%" PRIu64,
                   (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    put(&line, ts);
    put_text(&line, "worker", call->worker);
    put_text(&line, "command", call->command);
    put_text(&line, "version", call->version);
    put_text(&line, "id", call->id);
    put_text(&line, "key", call->key);
    put_number(&line, "attempt", call->attempt);
    put_text(&line, "outcome",
             dray_slice_text(end->kind == DRAY_KIND_NONE ? "ok" : dray_kind_text(end->kind)));
    if (end->code.len > 0) {
        put_text(&line, "code", end->code);
    }
    if (end->is_refused) {
        put(&line, ",\"refused\":true");
    }
    put_number(&line, "ms", end->duration_ns / 1000000);
    put(&line, "}\n");
    if (write(audit->fd, line.text, line.len) != (ssize_t)line.len) {
        dray_call_log((struct dray_call *)(uintptr_t)call, 3, "the audit log takes no line");
    }
}

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    const char *path = getenv("DRAY_AUDIT_LOG"); /* NOLINT(concurrency-mt-unsafe): read only */
    struct audit *audit;

    if (path == NULL) {
        env->log(3, "DRAY_AUDIT_LOG does not name a file");
        return DRAY_EINVALID;
    }
    audit = malloc(sizeof(*audit));
    if (audit == NULL) {
        return DRAY_ENOMEM;
    }
    audit->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (audit->fd < 0) {
        env->log(3, "the file that DRAY_AUDIT_LOG names cannot be opened");
        free(audit);
        return DRAY_EIO;
    }
    *ret_user = audit;
    return DRAY_OK;
}

static void end_module(void *user)
{
    struct audit *audit = user;

    (void)close(audit->fd);
    free(audit);
}

static const struct dray_interceptor interceptors[] = {
    {.name = "log", .after = note, .on_error = note},
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,
    .name = "audit",
    .build = "sample",
    .open = begin,
    .close = end_module,
    .interceptors = interceptors,
    .interceptors_count = sizeof(interceptors) / sizeof(interceptors[0]),
};
