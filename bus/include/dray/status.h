/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_STATUS_H
#define DRAY_STATUS_H

#include <dray/api.h>

/* status.h - what one of our own calls answers: code, class and text from one table.
 *
 * The class steers our own calls: transient means the same call may succeed later, permanent that
 * it will not, fatal that the process must not go on. The outcome of a *command* is another enum,
 * dray_error_kind (kind.h). Codes are append-only: they appear in logs and metrics.
 */

DRAY_BEGIN

/** X(name, class, text) */
#define DRAY_STATUS_TABLE(X)                                                                       \
    X(OK, NONE, "ok")                                                                              \
    X(EAGAIN, TRANSIENT, "nothing there yet")                                                      \
    X(ETIMEOUT, TRANSIENT, "timed out")                                                            \
    X(EBROKER, TRANSIENT, "broker unreachable or not ready")                                       \
    X(EFULL, TRANSIENT, "full; try again after some room was made")                                \
    X(ENOMEM, TRANSIENT, "out of memory")                                                          \
    X(EIO, TRANSIENT, "input/output error")                                                        \
    X(EINVALID, PERMANENT, "invalid")                                                              \
    X(ENOTFOUND, PERMANENT, "not found")                                                           \
    X(EEXISTS, PERMANENT, "exists already")                                                        \
    X(ECONFLICT, PERMANENT, "changed meanwhile by somebody else")                                  \
    X(ELIMIT, PERMANENT, "over a limit")                                                           \
    X(EAUTH, PERMANENT, "not permitted")                                                           \
    X(EUNSUPPORTED, PERMANENT, "not supported here")                                               \
    X(ESTALE, PERMANENT, "belongs to an assignment that is gone")                                  \
    X(ECLOSED, PERMANENT, "closed")                                                                \
    X(EFATAL, FATAL, "cannot go on")

enum dray_status {
#define DRAY_STATUS_ENUM(name, class_, text) DRAY_##name,
    DRAY_STATUS_TABLE(DRAY_STATUS_ENUM)
#undef DRAY_STATUS_ENUM
    DRAY_STATUS_COUNT
};

enum dray_status_class {
    DRAY_CLASS_NONE,
    DRAY_CLASS_TRANSIENT,
    DRAY_CLASS_PERMANENT,
    DRAY_CLASS_FATAL,
};

/** The text of a status, never NULL. Threads: any. */
DRAY_API const char *dray_status_text(enum dray_status status);

/** The name of a status without prefix ("EAGAIN"), never NULL. Threads: any. */
DRAY_API const char *dray_status_name(enum dray_status status);

/** Whether to try again, give up, or stop. Threads: any. */
DRAY_API enum dray_status_class dray_status_class(enum dray_status status);

DRAY_END

#endif
