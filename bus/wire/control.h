/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_CONTROL_H
#define DRI_WIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/kind.h>
#include <dray/slice.h>
#include <dray/status.h>

#include "scanner.h"
#include "wire_limits.h"

/* control.h - records of the control topic and of the status topic, and the route map in them.
 *
 * Decoding is by cursor and copies nothing; a route is kept as its bytes (unknown keys survive) and
 * read into struct dri_route_view when it is applied. Pure; any thread.
 */

/** Of a name, a namespace, a version, a module. */
#define DRI_NAME_BYTES_MAX    64u
#define DRI_HANDLER_BYTES_MAX 128u
/** Of "ns/name@version". */
#define DRI_ROUTE_KEY_BYTES_MAX (3u * DRI_NAME_BYTES_MAX + 2u)

struct dri_control_record {
    struct dray_slice change; /* the signed bytes */
    struct dray_slice kid;    /* absent when unsigned */
    struct dray_slice sig;    /* 64 bytes, or absent */
};

struct dri_change {
    struct dray_slice kind; /* "routes" */
    struct dray_slice cluster;
    struct dray_slice topic;
    struct dray_slice author;
    struct dray_slice note;
    struct dray_slice issuer;
    uint64_t ts_ms;
    uint64_t seq;
    uint64_t expires_ms;
    struct dray_slice items; /* msgpack bytes of the array, checked */
    uint32_t items_count;
};

struct dri_change_item {
    struct dray_slice key;   /* "ns/name@version" */
    uint64_t base;           /* revision that the writer saw; 0: must not exist */
    struct dray_slice route; /* msgpack bytes of the map; absent: removal */
};

DRAY_MUST_CHECK enum dray_status dri_control_decode(struct dray_slice message,
                                                    const struct dri_wire_limits *limits,
                                                    struct dri_control_record *ret_record,
                                                    struct dri_wire_error *ret_error);
DRAY_MUST_CHECK enum dray_status dri_control_encode(const struct dri_control_record *record,
                                                    void *buffer, size_t buffer_bytes,
                                                    size_t *ret_len);
/** limits->elements covers all routes of the change: a few dozen each.
 *  A kind other than "routes" decodes, its items unchecked and not counted. */
DRAY_MUST_CHECK enum dray_status dri_change_decode(struct dray_slice change,
                                                   const struct dri_wire_limits *limits,
                                                   struct dri_change *ret_change,
                                                   struct dri_wire_error *ret_error);
DRAY_MUST_CHECK enum dray_status dri_change_encode(const struct dri_change *change,
                                                   const struct dri_change_item *items,
                                                   size_t items_count, void *buffer,
                                                   size_t buffer_bytes, size_t *ret_len);
/** Walk the items of a decoded change: set *at to 0 first; false at the end. */
bool dri_change_next(const struct dri_change *change, size_t *at, struct dri_change_item *ret_item);

#define DRI_BACKOFF_MAX 8u

/** What `breaker: {}` stands for. */
#define DRI_BREAKER_FAILURES 20u
#define DRI_BREAKER_OPEN_MS  60000u

/** What `idempotency: {}` stands for. */
#define DRI_WINDOW_MS 3600000u

enum dri_route_state {
    DRI_ROUTE_ACTIVE,
    DRI_ROUTE_PAUSED,
    DRI_ROUTE_DRAINING
};
enum dri_order {
    DRI_ORDER_KEY,
    DRI_ORDER_PARTITION,
    DRI_ORDER_NONE
};
enum dri_run_mode {
    DRI_RUN_LANE,
    DRI_RUN_INLINE,
    DRI_RUN_POOL
};
enum dri_isolation {
    DRI_ISOLATION_THREAD,
    DRI_ISOLATION_PROCESS
};

/** Waits that grow: base_ms, base_ms * factor, base_ms * factor * factor, ... */
struct dri_backoff {
    uint32_t base_ms; /* 0: none of this, the list counts */
    uint32_t factor;  /* 1 to 100 */
    uint32_t max_ms;  /* no wait is longer; 0: no bound */
    uint32_t jitter;  /* percent that is added by chance, at most; 0 to 100 */
};

/** What becomes of a command that is not run again. */
enum dri_exhausted {
    DRI_EXHAUSTED_DEAD_LETTER,   /* this one */
    DRI_EXHAUSTED_PARK_SEQUENCE, /* this one and what follows of its key, as one unit */
    DRI_EXHAUSTED_STOP_KEY,      /* no letter: its key stands still until it is released */
};

/** How commands of a route are run. Zero fields mean: the worker's default. */
/** Of a route's `depends`. */
#define DRI_DEPENDS_MAX          4u
#define DRI_DEPENDENCY_BYTES_MAX 63u
#define DRI_FALLBACK_BYTES_MAX   16384u
/** Of a route's `interceptors`. */
#define DRI_INTERCEPTORS_MAX 8u

/** Of `canary`: calls before it is promoted, and by how many points it may be worse. */
#define DRI_CANARY_PROMOTE_AFTER 300u
#define DRI_CANARY_TOLERANCE     2u

struct dri_policy {
    uint32_t timeout_ms;
    uint32_t attempts;
    uint32_t backoff_ms[DRI_BACKOFF_MAX];
    uint32_t backoff_count;
    struct dri_backoff backoff;
    uint32_t budget_ms;                      /* no run begins later after the first failure */
    uint32_t kind_attempts[DRAY_KIND_COUNT]; /* by kind of failure, in place of attempts */
    struct dri_backoff kind_backoff[DRAY_KIND_COUNT]; /* likewise, in place of both backoffs */
    uint32_t concurrency;
    uint32_t concurrency_min;  /* 0: not adaptive; else at most concurrency */
    uint32_t key_concurrency;  /* of one key at once; only with DRI_ORDER_NONE */
    uint32_t rate;             /* per second */
    uint32_t burst;            /* of these, how many at once */
    uint32_t breaker_failures; /* in a row that open the breaker; 0: none */
    uint32_t breaker_open_ms;
    struct dray_slice depends[DRI_DEPENDS_MAX]; /* names; borrow from the route's bytes */
    uint32_t depends_count;
    struct dray_slice interceptors; /* msgpack bytes of an array of text, checked; absent: none */
    struct dray_slice fallback;     /* msgpack bytes of a value; absent: none */
    uint32_t window_ms; /* idempotency: how long a command's id is not run again; 0: no window */
    enum dri_exhausted exhausted; /* what becomes of a command that is not run again */
    enum dri_order order;
    enum dri_run_mode run;
    enum dri_isolation isolation;
    bool has_order, has_run, is_preload;
    bool is_rate_shared; /* by all replicas of the group */
    bool has_canary;     /* a canary is judged, and ended by itself */
    uint32_t canary_promote_after;
    uint32_t canary_tolerance;
};

/** A route map, read. A view. */
struct dri_route_view {
    struct dray_slice ns, name, version, runtime, module, handler, sha256, signature;
    struct dray_slice tags; /* msgpack bytes of a map, checked; absent: none */
    uint32_t weight;        /* percent; 0: not a canary */
    enum dri_route_state state;
    struct dri_policy policy;
    bool has_version; /* false: "0.0.0" was put in, and a warning is due */
};

/** Read and check a route map. Errors: EINVALID, ELIMIT with *ret_error (field names as on the
 * wire). */
DRAY_MUST_CHECK enum dray_status dri_route_decode(struct dray_slice route,
                                                  const struct dri_wire_limits *limits,
                                                  struct dri_route_view *ret_view,
                                                  struct dri_wire_error *ret_error);
DRAY_MUST_CHECK enum dray_status dri_route_encode(const struct dri_route_view *view, void *buffer,
                                                  size_t buffer_bytes, size_t *ret_len);
/** The same route in another state, whatever else is in its bytes.
 *  Errors: ELIMIT; EINVALID: it is no route. */
DRAY_MUST_CHECK enum dray_status dri_route_with_state(struct dray_slice route,
                                                      enum dri_route_state state, void *buffer,
                                                      size_t buffer_bytes, size_t *ret_len);
/** The same route without a weight. Errors: likewise. */
DRAY_MUST_CHECK enum dray_status dri_route_without_weight(struct dray_slice route, void *buffer,
                                                          size_t buffer_bytes, size_t *ret_len);
/** "ns/name@version" of a view, with a NUL. Errors: ELIMIT (DRI_ROUTE_KEY_BYTES_MAX + 1 suffice).
 */
DRAY_MUST_CHECK enum dray_status dri_route_key_format(const struct dri_route_view *view,
                                                      char *buffer, size_t buffer_bytes);

/** Whether the engine has to know a command's route before it runs: it has a limit, a breaker, an
 * order of its own, a window, or a state other than active. */
bool dri_route_is_special(const struct dri_route_view *view);
/** The interceptors that a policy names: set *at to 0 first; false at the end. */
bool dri_policy_next_interceptor(const struct dri_policy *policy, size_t *at,
                                 struct dray_slice *ret_text);
/** "module.so:name", or "module.so:name@" and 64 hex digits. False: it is neither. *ret_sha256 is
 * absent without these. */
bool dri_interceptor_parse(struct dray_slice text, struct dray_slice *ret_module,
                           struct dray_slice *ret_name, struct dray_slice *ret_sha256);
/** Whether it may name a dependency: [A-Za-z0-9][A-Za-z0-9._-]{0,62}. */
bool dri_dependency_name_is_valid(struct dray_slice name);

/** 1..64 bytes of UTF-8 without '/', '@' and control characters, no blank at an edge, no empty part
 * between dots: names and namespaces. */
bool dri_route_name_is_valid(struct dray_slice name);
/** "ns/name@version" of three valid parts. */
bool dri_route_key_is_valid(struct dray_slice key);
/** A semantic version 2.0.0 of at most 64 bytes. Source: https://semver.org */
bool dri_version_is_semver(struct dray_slice text);
/** [a-z0-9][a-z0-9._-]{0,63}: a file name, never a path. */
bool dri_module_name_is_valid(struct dray_slice name);

struct dri_status_failure {
    struct dray_slice key;
    uint64_t revision;
    struct dray_slice reason;
};

/** A route that can run there and that no command has called since it was put or the replica began.
 */
struct dri_status_idle {
    struct dray_slice key;
    uint64_t revision;
};

/** One of its busiest routes: calls in the window, and in each part of it, as msgpack bytes of an
 *  array of numbers, the oldest first. */
struct dri_status_heat {
    struct dray_slice key;
    uint64_t revision, calls;
    struct dray_slice parts;
    bool is_hot;
};

/** A module that routes of the replica run in. */
struct dri_status_module {
    struct dray_slice name, sha256;
    uint64_t routes;
};

/** A record of the control topic that changed nothing. */
struct dri_status_refusal {
    uint64_t revision;
    struct dray_slice verdict; /* "conflict" or "refused" */
    struct dray_slice author;
    struct dray_slice key; /* of a conflict, as base and present are */
    uint64_t base, present;
    struct dray_slice reason; /* of a refused one */
};

/** A replica's word about itself on the status topic. */
struct dri_status_record {
    struct dray_slice worker, group, host, version, state, digest, admin;
    struct dray_slice signers; /* hash of whom it trusts; absent: nobody signs */
    uint64_t pid, revision, ts_ms;
    uint64_t conflicts, refused; /* records of the log that it has read */
    uint64_t idle_all;           /* routes that were never called; idle lists the first of them */
    uint64_t failed_all; /* that cannot run there; failed lists the latest. 0: it is not said */
    uint64_t hot_all;    /* routes that are hot */
    uint64_t heat_all;   /* that were called in the window; heat lists the busiest */
    uint64_t heat_window_ms;
    /* decode: msgpack bytes of the arrays, checked */
    struct dray_slice failed, modules, refusals, idle, heat;
    uint32_t failed_count, modules_count, refusals_count, idle_count, heat_count;
};

/** The arrays of a record that is written. */
struct dri_status_lists {
    const struct dri_status_failure *failed;
    const struct dri_status_module *modules;
    const struct dri_status_refusal *refusals; /* the latest last */
    const struct dri_status_idle *idle;        /* NULL: it is not said; none is another thing */
    const struct dri_status_heat *heat;        /* the busiest first; NULL: it is not said */
    size_t failed_count, modules_count, refusals_count, idle_count, heat_count;
};

DRAY_MUST_CHECK enum dray_status dri_status_encode(const struct dri_status_record *record,
                                                   const struct dri_status_lists *lists,
                                                   void *buffer, size_t buffer_bytes,
                                                   size_t *ret_len);
DRAY_MUST_CHECK enum dray_status dri_status_decode(struct dray_slice message,
                                                   const struct dri_wire_limits *limits,
                                                   struct dri_status_record *ret_record,
                                                   struct dri_wire_error *ret_error);
/** Walk the arrays of a decoded record: set *at to 0 first; false at the end. */
bool dri_status_next_failure(const struct dri_status_record *record, size_t *at,
                             struct dri_status_failure *ret_failure);
bool dri_status_next_module(const struct dri_status_record *record, size_t *at,
                            struct dri_status_module *ret_module);
bool dri_status_next_idle(const struct dri_status_record *record, size_t *at,
                          struct dri_status_idle *ret_idle);
bool dri_status_next_heat(const struct dri_status_record *record, size_t *at,
                          struct dri_status_heat *ret_heat);
/** The calls in a part of it; 0 when there is none such. */
uint64_t dri_status_heat_part(const struct dri_status_heat *heat, uint32_t i);
bool dri_status_next_refusal(const struct dri_status_record *record, size_t *at,
                             struct dri_status_refusal *ret_refusal);

/** fid of design: first 8 bytes, big-endian, of SHA-256 over ns "." name "@" version ":" signature.
 *  signature: 64 hex digits or empty. */
uint64_t dri_fid(struct dray_slice ns, struct dray_slice name, struct dray_slice version,
                 struct dray_slice signature);

#endif
