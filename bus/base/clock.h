/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLOCK_H
#define DRI_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* clock.h - the two clocks, read in one place. Whoever decides gets a struct dri_now as a value. */

struct dri_now {
    uint64_t mono_ns; /* monotonic; timers and leases */
    uint64_t wall_ms; /* ms since the epoch, UTC; deadlines and records */
};

struct dri_now dri_clock_now(void);
uint64_t dri_clock_mono_ns(void);
uint64_t dri_clock_wall_ms(void);

/** A day of the Gregorian calendar; months and days count from 1. */
struct dri_date {
    uint32_t year, month, day;
};
struct dri_date dri_clock_date(uint64_t days_since_epoch);

#define DRI_CLOCK_TEXT_BYTES 32u
/** RFC 3339 in UTC with milliseconds, "2026-01-31T12:00:00.000Z". */
void dri_clock_format(uint64_t wall_ms, char ret_text[DRI_CLOCK_TEXT_BYTES]);
/** Ms since the epoch of an RFC 3339 text; 0 when it is none. */
uint64_t dri_clock_parse(const char *text, size_t len);

#endif
