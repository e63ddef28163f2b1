/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WINDOW_H
#define DRI_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "flight.h"
#include "result.h"
#include "transport.h"

/* window.h - the ids of commands that have ended or are in flight, by partition, and their ends.
 *
 * What has ended is read from the window log that follows the commands' partition, and put in when
 * a record of our own was stored. docs/adr/0014-idempotency-window.md says what it is for.
 *
 * Threads: the engine's.
 */

struct dri_window;

struct dri_window_config {
    uint32_t slots_max;
    uint32_t entries_max;          /* ends that are remembered */
    uint64_t bytes_max;            /* of their records */
    uint64_t longest_ms;           /* what is older is not read */
    struct dri_wire_limits limits; /* of records */
};

enum dri_window_gate {
    DRI_WINDOW_RUN, /* its id is its own now; flight->has_window says whether its end is kept */
    DRI_WINDOW_ANSWERED, /* dri_window_answer has the end that it shares */
    DRI_WINDOW_HELD,     /* another flight has the id, or its window is not here any more */
    DRI_WINDOW_NO_MEMORY
};

struct dri_window_stats {
    uint64_t entries, bytes; /* ends that are remembered now */
    uint64_t evicted;        /* that were forgotten before their time */
    uint64_t refused;        /* records that could not be read */
    uint64_t held;           /* duplicates that had to wait */
};

/** Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_window_create(const struct dri_window_config *config,
                                                   struct dri_window **ret_window);
/** Flights may still have tickets; they are not touched. NULL is a no-op. */
void dri_window_destroy(struct dri_window *window);

/** Any slot was assigned: a window log begins empty; others say which log is theirs. */
void dri_window_assigned(struct dri_window *window, const struct dri_transport_event *event);
/** Whether this is a window log: its messages and its end are for dri_window_read and _ended. */
bool dri_window_is_log(const struct dri_window *window, uint32_t slot);
/** A window log was revoked or lost: what it knew is forgotten, who waits goes on waiting. */
void dri_window_ended(struct dri_window *window, uint32_t slot, uint32_t epoch);
/** A message of a window log. False: no memory. */
bool dri_window_read(struct dri_window *window, struct dri_now now, uint32_t slot, uint32_t epoch,
                     const struct dri_message *message);

/** A flight with window_ms was handed to a lane; source: "<origin>/<offset>" of it. */
enum dri_window_gate dri_window_enter(struct dri_window *window, struct dri_now now,
                                      struct dri_flight *flight, struct dray_slice source);
/** Where the record of its end goes. Requires: has_window. */
int32_t dri_window_partition(const struct dri_flight *flight);
/** The time of its end: now when asked first, then the same. Requires: has_window. */
uint64_t dri_window_ended_ms(const struct dri_flight *flight, struct dri_now now);
/** Its record was stored. False: no memory; then it is found when it is read back. */
bool dri_window_stored(struct dri_window *window, struct dri_now now, struct dri_flight *flight,
                       struct dray_slice record);
/** The end of the earlier command. Borrows until dri_window_leave. False: there is none. */
bool dri_window_answer(const struct dri_window *window, const struct dri_flight *flight,
                       struct dri_result *ret_result);
/** The flight is released. */
void dri_window_leave(struct dri_window *window, struct dri_flight *flight);

/** The next flight that may be handed over again; NULL: none. */
struct dri_flight *dri_window_take_woken(struct dri_window *window);

/** Namespace and name as dri_flight.window_scope has them; 0: longer than a route's can be. */
uint64_t dri_window_scope(struct dray_slice ns, struct dray_slice name);

void dri_window_stats(const struct dri_window *window, struct dri_window_stats *ret_stats);

#endif
