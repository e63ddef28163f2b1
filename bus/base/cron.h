/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CRON_H
#define DRI_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

/* cron.h - cron expressions: which seconds they name. Pure; UTC; any thread. */

struct dri_cron {
    uint64_t seconds, minutes; /* bit n: n is named */
    uint32_t hours, days, months;
    uint32_t weekdays; /* 0 is Sunday */
    bool any_day;      /* the field begins with *: it does not choose, it narrows */
    bool any_weekday;
};

#define DRI_CRON_ERROR_BYTES 160u
struct dri_cron_error {
    size_t at; /* byte of the text */
    char text[DRI_CRON_ERROR_BYTES];
};

/** "minute hour day month weekday", a field of seconds before them when there are six, or @hourly
 * and the like. What never ticks is refused. Errors: EINVALID, ret_error says what to write.
 * Source: crontab(5). */
DRAY_MUST_CHECK enum dray_status dri_cron_parse(const char *text, size_t len,
                                                struct dri_cron *ret_cron,
                                                struct dri_cron_error *ret_error);

/** The first tick later than after_ms, in ms since the epoch; 0: none before the year 10000. */
uint64_t dri_cron_next(const struct dri_cron *cron, uint64_t after_ms);

/** The last tick later than after_ms and not later than until_ms; 0: none. */
uint64_t dri_cron_last(const struct dri_cron *cron, uint64_t after_ms, uint64_t until_ms);

#endif
