/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_cron - any bytes as a cron expression: refused with a place and a text, or its ticks go
 * upwards, are whole seconds, are what its sets name, and none of them is stepped over.
 */

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/cron.h"
#include "fuzz.h"

#define TICKS 8

static bool is_named(const struct dri_cron *cron, uint64_t tick_ms)
{
    uint64_t second = tick_ms / 1000;
    uint64_t days = second / 86400;
    struct dri_date date = dri_clock_date(days);
    bool day = (cron->days >> date.day & 1) != 0;
    bool weekday = (cron->weekdays >> (days + 4) % 7 & 1) != 0;
    return tick_ms % 1000 == 0 && (cron->seconds >> second % 60 & 1) != 0 &&
           (cron->minutes >> second / 60 % 60 & 1) != 0 &&
           (cron->hours >> second / 3600 % 24 & 1) != 0 && (cron->months >> date.month & 1) != 0 &&
           (cron->any_day || cron->any_weekday ? day && weekday : day || weekday);
}

static void ticks_try(const struct dri_cron *cron, uint64_t from_ms)
{
    uint64_t last = from_ms;
    for (int i = 0; i < TICKS; i++) {
        uint64_t tick = dri_cron_next(cron, last);
        if (tick == 0) {
            return;
        }
        FUZZ_CHECK(tick > last && is_named(cron, tick));
        FUZZ_CHECK(dri_cron_next(cron, tick - 1) == tick);
        FUZZ_CHECK(dri_cron_next(cron, last + (tick - last) / 2) == tick || (tick - last) / 2 == 0);
        for (uint64_t at = last / 1000 + 1; at * 1000 < tick && at < last / 1000 + 100; at++) {
            FUZZ_CHECK(!is_named(cron, at * 1000));
        }
        FUZZ_CHECK(dri_cron_last(cron, last, tick) == tick);
        FUZZ_CHECK(dri_cron_last(cron, last, tick - 1) == 0);
        uint64_t next = dri_cron_next(cron, tick);
        FUZZ_CHECK(next == 0 || dri_cron_last(cron, last, next - 1) == tick);
        FUZZ_CHECK(next != 0 || dri_cron_last(cron, last, tick + 5000) == tick);
        last = tick;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dri_cron cron;
    struct dri_cron_error error = {.text = ""};
    if (dri_cron_parse((const char *)data, size, &cron, &error) != DRAY_OK) {
        FUZZ_CHECK(error.text[0] != '\0' && strlen(error.text) < DRI_CRON_ERROR_BYTES - 1);
        FUZZ_CHECK(error.at <= size);
        return 0;
    }
    ticks_try(&cron, 0);
    ticks_try(&cron, UINT64_C(951782399999)); /* before a leap day */
    ticks_try(&cron, UINT64_C(253402300000000));
    FUZZ_CHECK(dri_cron_next(&cron, UINT64_MAX) == 0);
    return 0;
}
