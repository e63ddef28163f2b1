/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_EXECUTOR_H
#define DRI_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "clock.h"
#include "flight.h"

/* executor.h - runs chains of flights: what the engine needs of it.
 *
 * executor.c has lanes of threads and real handlers; the simulator has its own, in virtual time.
 * A chain is a list of flights of one key (by next). They run in order; after the first that does
 * not succeed the rest come back with was_run false. Every flight comes back exactly once.
 *
 * A handler that ignores its deadline does not keep its flight: that comes back with is_stuck, as a
 * final failure, while the handler still runs and reads the message. Nothing of the flight may be
 * freed, and nothing of its key may run, until take_returned has named it.
 *
 * Threads: every call from the engine's thread, except those said otherwise.
 */

struct dri_executor; /* starts with a struct dri_executor_base */

struct dri_executor_ops {
    /** Hand over a chain. Requires: the core respects lane_depth, so there is room. */
    void (*submit)(struct dri_executor *self, uint32_t lane, struct dri_flight *chain);
    /** Finished flights, in order within a chain; returns how many. */
    size_t (*take)(struct dri_executor *self, struct dri_flight **ret_flights, size_t max);
    /** Flights of an earlier take with is_stuck whose handlers have returned since: each once,
     * maybe in the same turn as that take, and before it. Returns how many. */
    size_t (*take_returned)(struct dri_executor *self, struct dri_flight **ret_flights, size_t max);
    /** After a batch of submits: wake the lanes. */
    void (*flush)(struct dri_executor *self);
    /** Ask a running flight to stop. Cooperative; a flight that is not running is ignored. */
    void (*cancel)(struct dri_executor *self, struct dri_flight *flight);
    /** Free flight->outcome_block. */
    void (*release)(struct dri_executor *self, struct dri_flight *flight);
};

struct dri_executor_base {
    const struct dri_executor_ops *ops;
};

struct dri_canary;
struct dri_journal;
struct dri_registry;
struct dri_metrics;
struct dri_wake;

/** The threads that run real handlers. */
struct dri_lanes_config {
    uint32_t lanes;
    uint32_t lane_depth;                             /* chains out at one lane */
    uint32_t chain_max;                              /* flights of a chain */
    uint32_t result_bytes_max;                       /* larger results fail with kind limit */
    uint32_t timeout_ms;                             /* of a route that says nothing; 0: none */
    uint32_t stuck_ms;                               /* after which a handler is deaf; 0: never */
    const char *worker;                              /* id; borrowed for life */
    struct dri_registry *registry;                   /* borrowed */
    struct dri_metrics *metrics;                     /* borrowed; NULL: none */
    struct dri_journal *journal;                     /* borrowed; NULL: none */
    struct dri_canary *canary;                       /* borrowed; NULL: none */
    struct dri_wake *wake;                           /* the engine's; borrowed */
    const char *(*origin)(void *arg, uint32_t slot); /* names a source; NULL: "" */
    void *origin_arg;
    void (*on_crash_point)(const char *name); /* NULL in products */
};

/** Handlers that ignore their deadline, for the owner to judge. */
struct dri_lanes_stats {
    uint32_t stuck;       /* threads that are with such handlers now */
    uint64_t stuck_total; /* that there were */
    uint64_t late_total;  /* that returned after all; their answers were dropped */
    uint64_t held_ns;     /* for how long a key has been held by one, at most; 0: none is */
    bool has_lost_lane;   /* there was no thread to replace one: the lane stands still */
};

/** Start the lanes. Owns: returns owned. Errors: ENOMEM, EIO (a thread could not be started). */
DRAY_MUST_CHECK enum dray_status dri_lanes_create(const struct dri_lanes_config *config,
                                                  struct dri_executor **ret_executor);

/** Time limit of routes that say nothing, for calls that begin from now on. Threads: any. */
void dri_lanes_set_timeout(struct dri_executor *executor, uint32_t timeout_ms);

/** Cancel what runs, wait for up to timeout_ms until every lane stands still. ETIMEOUT: a handler
 * does not return; the process must end by _exit. After OK only take and release are called. */
DRAY_MUST_CHECK enum dray_status dri_lanes_stop(struct dri_executor *executor, uint32_t timeout_ms);

/** Threads: any. */
void dri_lanes_stats(struct dri_executor *executor, struct dri_lanes_stats *ret_stats);

/** Requires: stopped, nothing of it is held by an engine. NULL is a no-op. */
void dri_lanes_destroy(struct dri_executor *executor);

#endif
