/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_DELAY_H
#define DRI_DELAY_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* delay.h - the delay logs, in which scheduled commands wait: their levels, names and headers.
 *
 * docs/adr/0012-schedules.md has what they are for. Pure; any thread.
 */

/** X(name, milliseconds that each message of the log waits there) */
#define DRI_DELAY_LEVEL_TABLE(X)                                                                   \
    X("5s", 5000)                                                                                  \
    X("30s", 30000)                                                                                \
    X("3m", 180000)                                                                                \
    X("20m", 1200000)                                                                              \
    X("2h", 7200000)                                                                               \
    X("1d", 86400000)

#define DRI_DELAY_LEVELS 6u

/** A command comes back so long before its time at least: a fetch, a redelivery and clocks that
 * differ must fit in here. */
#define DRI_DELAY_MARGIN_MS 2000u

/** Nothing that is nearer goes to a delay log. */
#define DRI_DELAY_LEAST_MS (5000u + DRI_DELAY_MARGIN_MS)

/** Requires: level < DRI_DELAY_LEVELS. */
const char *dri_delay_level_name(uint32_t level);
uint64_t dri_delay_level_ms(uint32_t level);

/** The longest level that brings a command back in time that is due after wait_ms; 0 when none
 * does. */
uint32_t dri_delay_level_for(uint64_t wait_ms);

/** Headers of a record of a delay log: the original ones, dray-delay-due (anew), and
 * dray-delay-source, unless an earlier log has put it there already.
 *  Errors: ELIMIT when buffer is too small. */
DRAY_MUST_CHECK enum dray_status dri_delay_headers(struct dray_slice original,
                                                   struct dray_slice source, uint64_t due_ms,
                                                   void *buffer, size_t buffer_bytes,
                                                   size_t *ret_len);
size_t dri_delay_headers_max(struct dray_slice original, struct dray_slice source);

#endif
