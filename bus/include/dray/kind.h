/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_KIND_H
#define DRAY_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/api.h>

/* kind.h - how a command failed, in the wire's words: a closed set.
 *
 * The text is what stands in results (`error.kind`) and dead letters (`dray-dlq-reason`).
 * `retried` is the default; a route's policy can override each.
 */

DRAY_BEGIN

/** X(name, text, retried by default) */
#define DRAY_KIND_TABLE(X)                                                                         \
    X(NONE, "", false)                                                                             \
    X(TIMEOUT, "timeout", true)                                                                    \
    X(NETWORK, "network", true)                                                                    \
    X(UNAVAILABLE, "unavailable", true)                                                            \
    X(CONFLICT, "conflict", true)                                                                  \
    X(INTERNAL, "internal", true)                                                                  \
    X(INVALID, "invalid", false)                                                                   \
    X(UNKNOWN_COMMAND, "unknown_command", false)                                                   \
    X(VERSION_MISMATCH, "version_mismatch", false)                                                 \
    X(EXPIRED, "expired", false)                                                                   \
    X(NOT_FOUND, "not_found", false)                                                               \
    X(REJECTED, "rejected", false)                                                                 \
    X(LIMIT, "limit", false)                                                                       \
    X(CRASH, "crash", false)                                                                       \
    X(AUTH, "auth", false)                                                                         \
    X(HELD, "held", false)

enum dray_error_kind {
#define DRAY_KIND_ENUM(name, text, retried) DRAY_KIND_##name,
    DRAY_KIND_TABLE(DRAY_KIND_ENUM)
#undef DRAY_KIND_ENUM
    DRAY_KIND_COUNT
};

/** The wire's word, "" for NONE, never NULL. Threads: any. */
DRAY_API const char *dray_kind_text(enum dray_error_kind kind);

/** The kind with this word, or DRAY_KIND_COUNT. Threads: any. */
DRAY_API enum dray_error_kind dray_kind_parse(const char *text, size_t len);

/** Whether a failure of this kind is retried when no policy says otherwise. Threads: any. */
DRAY_API bool dray_kind_is_retried(enum dray_error_kind kind);

DRAY_END

#endif
