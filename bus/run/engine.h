/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ENGINE_H
#define DRI_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "core.h"
#include "executor.h"
#include "transport.h"

/* engine.h - one transport, one core, one executor, driven by one thread: the shell around the
 * core.
 *
 * A turn polls the transport, decodes what came (intake), feeds the core, and carries out its
 * actions: hands chains to the executor, encodes and publishes outcomes, settles. It reads no clock
 * and never blocks, so the simulator drives the same object code in virtual time.
 *
 * Threads: one owner.
 */

struct dri_engine;
struct dri_router; /* routing.h */
struct dri_cancelled;

/** Counters beside the core's; the owner reads them between turns. */
#define DRI_ENGINE_COUNTER_TABLE(X)                                                                \
    X(messages, "messages received")                                                               \
    X(invalid, "messages that could not be decoded")                                               \
    X(cancelled, "scheduled commands that were cancelled before their time")                       \
    X(bytes_in, "bytes of messages received")                                                      \
    X(publishes, "messages handed to the broker")                                                  \
    X(publish_unknown, "publishes whose fate is not known")                                        \
    X(publish_refused, "publishes that the broker refused")                                        \
    X(pointer_letters, "dead letters that had to leave their bytes out")                           \
    X(assignments, "sources assigned")                                                             \
    X(revocations, "sources revoked")                                                              \
    X(losses, "sources lost")                                                                      \
    X(unassignments, "sources let go")                                                             \
    X(transactions, "transactions committed")                                                      \
    X(transactions_void, "transactions thrown away; their commands run again")                     \
    X(metadata_pauses, "times that a source was paused because its commit had no room for more")   \
    X(park_holds, "times that a park log was not read on, for want of place or of disk space")     \
    X(window_held, "duplicates that waited for the first command of their id")                     \
    X(window_evicted, "ends that were forgotten before their time, because the window was full")   \
    X(window_refused, "records of the window that could not be read")

struct dri_engine_stats {
#define DRI_ENGINE_COUNTER(field, help) uint64_t field;
    DRI_ENGINE_COUNTER_TABLE(DRI_ENGINE_COUNTER)
#undef DRI_ENGINE_COUNTER
    uint64_t window_entries, window_bytes; /* gauges */
    uint64_t parks_held;                   /* gauge: park logs that are not read on */
    uint64_t spool_kept, spool_bytes;      /* gauges: of what is parked, and on disk for it */
};

/** Points at which a test may kill, stop or hang the process (environment DRAY_CRASH_AT,
 * DRAY_STOP_AT, DRAY_HANG_AT: <point>[:<n>], test hooks built in only with DRI_CRASH_POINTS). */
#define DRI_CRASH_POINT_TABLE(X)                                                                   \
    X(after_receive)                                                                               \
    X(before_handler)                                                                              \
    X(after_handler)                                                                               \
    X(before_publish) X(after_publish) X(before_settle) X(after_settle) X(before_close)

/** And those of a transaction: only with worker.delivery exactly_once, the inner ones passed on the
 * transport's thread. */
#define DRI_TRANSACTION_CRASH_POINT_TABLE(X)                                                       \
    X(before_commit) X(before_offsets) X(after_offsets) X(after_end) X(after_commit)

struct dri_engine_config {
    struct dri_core_config core;
    const struct dri_transport_ops *transport_ops;
    struct dri_transport *transport; /* borrowed; open */
    struct dri_executor *executor;   /* borrowed */
    struct dri_cancelled *cancelled; /* borrowed; NULL: nothing ever is */
    struct dri_router *router;       /* borrowed; NULL: no route has limits or an order */
    const char *worker;              /* id */
    const char *namespace_;          /* default of commands without one */
    const char *namespaces;          /* comma list that is allowed; NULL: all */
    const char *results_topic;
    const char *dead_letters_topic;
    const char *const *delay_topics; /* by level (delay.h); NULL: none, and core.delay_after_ms 0 */
    const char *park_topic;          /* NULL: nothing is parked; core.park_max is 0 then */
    const char *spool_folder;        /* for what is parked; NULL: memory */
    bool (*is_spool_full)(void *arg); /* a test's: the disk is full; NULL in products */
    void *spool_arg;
    const char *window_topic;          /* NULL: no route has a window here */
    uint32_t window_entries;           /* ends that are remembered */
    uint64_t window_bytes;             /* of their records */
    uint64_t window_ms;                /* what is older is not read */
    const char *const *reply_patterns; /* worker.reply_to; * within a token, > for the rest */
    size_t reply_patterns_count;
    uint32_t dependency_failures; /* in a row that open the breaker of a dependency; 0: none do */
    uint32_t dependency_open_ms;
    enum dri_order order; /* key; partition: one lane a slot; none */
    struct dri_wire_limits limits;
    uint32_t transaction_ms; /* a transaction is closed after this; 0: the transport has none */
    void (*on_crash_point)(const char *name); /* NULL in products */
};

/** Errors: ENOMEM. Strings are borrowed for life. */
DRAY_MUST_CHECK enum dray_status dri_engine_create(const struct dri_engine_config *config,
                                                   struct dri_engine **ret_engine);
/** Requires: no lane runs a handler any more; the executor is still there (its release is called).
 * May be called without a drain: what is out comes again from the broker. NULL is a no-op. */
void dri_engine_destroy(struct dri_engine *engine);

/** One turn. *ret_idle: nothing was done, and nothing will be before the transport's fd, the
 * executor's wake or dri_engine_next_deadline. Errors: EFATAL: the transport cannot go on (it
 * logged why). */
DRAY_MUST_CHECK enum dray_status dri_engine_turn(struct dri_engine *engine, struct dri_now now,
                                                 bool *ret_idle);

uint64_t dri_engine_next_deadline(const struct dri_engine *engine);

/** As dri_core_set_limits. */
void dri_engine_set_limits(struct dri_engine *engine, const struct dri_core_limits *limits);
/** Pause every slot that is assigned, now and later; false: resume them. What the transport has
 * fetched already goes back where the broker lets it. */
void dri_engine_set_quiet(struct dri_engine *engine, bool is_quiet);
/** Replace namespaces and reply_patterns of the configuration; borrowed until they are replaced or
 * the engine ends. */
void dri_engine_set_names(struct dri_engine *engine, const char *namespaces,
                          const char *const *reply_patterns, size_t count);

/** How many replicas share the rates that are shared, this one among them; 0: not known. */
void dri_engine_set_replicas(struct dri_engine *engine, uint32_t replicas);

/** Finish what was taken in, then report drained. */
void dri_engine_drain(struct dri_engine *engine, struct dri_now now);
void dri_engine_stop(struct dri_engine *engine, struct dri_now now);
/** *ret_clean: everything was finished and settled. */
bool dri_engine_is_drained(const struct dri_engine *engine, bool *ret_clean);

/** "topic/partition" or "stream" of a slot; "" when it was never assigned. Threads: any while a
 * flight of the slot is out (an origin changes only when its slot is assigned anew). */
const char *dri_engine_origin(const struct dri_engine *engine, uint32_t slot);

typedef void dri_route_limit_fn(void *arg, const char *key, uint32_t limit);

/** Tell each route whose limit finds itself, and how many of it may run at once now. */
void dri_engine_each_limit(const struct dri_engine *engine, dri_route_limit_fn *fn, void *arg);

/** Whether partition 0 of the commands topic is ours. */
bool dri_engine_has_first(const struct dri_engine *engine);

void dri_engine_stats(const struct dri_engine *engine, struct dri_engine_stats *ret_stats,
                      struct dri_core_stats *ret_core);

#endif
