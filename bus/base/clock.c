/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* clock.c - the two clocks, and RFC 3339 both ways.
 *
 * Dates are computed here and not by gmtime_r and timegm: those read the time zone's files and the
 * environment behind a lock, and strptime takes what RFC 3339 does not allow.
 */
#include "clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "assert.h"

#define DAY_MS        86400000u
#define YEAR_9999_END 253402300799999u /* RFC 3339 has four digits for a year */

static struct timespec read_clock(clockid_t id)
{
    struct timespec ts;
    DRI_ASSERT(clock_gettime(id, &ts) == 0);
    return ts;
}

uint64_t dri_clock_mono_ns(void)
{
    struct timespec ts = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t dri_clock_wall_ms(void)
{
    struct timespec ts = read_clock(CLOCK_REALTIME);
    return ts.tv_sec < 0 ? 0 : (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

struct dri_now dri_clock_now(void)
{
    return (struct dri_now){.mono_ns = dri_clock_mono_ns(), .wall_ms = dri_clock_wall_ms()};
}

/* Both conversions count in years that begin in March, so that the leap day is a year's last, and
 * in eras of 400 years, which all have the same number of days. */
#define ERA_DAYS          146097u
#define EPOCH_SINCE_MARCH 719468u /* days from 0000-03-01 to 1970-01-01 */

struct dri_date dri_clock_date(uint64_t days)
{
    uint64_t from_zero = days + EPOCH_SINCE_MARCH;
    uint32_t era = (uint32_t)(from_zero / ERA_DAYS);
    uint32_t day_of_era = (uint32_t)(from_zero % ERA_DAYS);
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month_from_march = (5 * day_of_year + 2) / 153;
    struct dri_date date = {
        .year = year_of_era + era * 400 + (month_from_march >= 10 ? 1 : 0),
        .month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
    return date;
}

/** Days since the epoch. Requires: year >= 1970. */
static uint64_t days_of_date(struct dri_date date)
{
    uint64_t year = date.month <= 2 ? date.year - 1 : date.year;
    uint64_t month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
    uint64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - EPOCH_SINCE_MARCH;
}

void dri_clock_format(uint64_t wall_ms, char ret_text[DRI_CLOCK_TEXT_BYTES])
{
    uint64_t ms = wall_ms > YEAR_9999_END ? YEAR_9999_END : wall_ms;
    struct dri_date date = dri_clock_date(ms / DAY_MS);
    uint32_t of_day = (uint32_t)(ms % DAY_MS);
    (void)snprintf(ret_text, DRI_CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   date.year % 10000, date.month % 100, date.day % 100, of_day / 3600000,
                   of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
}

struct reader {
    const char *at;
    const char *end;
};

/** A number of exactly `digits` digits. */
static bool read_number(struct reader *reader, size_t digits, uint32_t *ret_number)
{
    uint32_t number = 0;
    if ((size_t)(reader->end - reader->at) < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        char c = reader->at[i];
        if (c < '0' || c > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(c - '0');
    }
    reader->at += digits;
    *ret_number = number;
    return true;
}

static bool read_char(struct reader *reader, const char *any_of)
{
    for (const char *c = any_of; reader->at < reader->end && *c != '\0'; c++) {
        if (*reader->at == *c) {
            reader->at++;
            return true;
        }
    }
    return false;
}

static bool read_date(struct reader *reader, struct dri_date *ret_date)
{
    static const uint8_t month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct dri_date date;
    if (!read_number(reader, 4, &date.year) || !read_char(reader, "-") ||
        !read_number(reader, 2, &date.month) || !read_char(reader, "-") ||
        !read_number(reader, 2, &date.day)) {
        return false;
    }
    bool is_leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > month_days[date.month - 1] || (date.month == 2 && date.day == 29 && !is_leap)) {
        return false;
    }
    *ret_date = date;
    return true;
}

/** Ms within the day. Second 60, the leap second, is the end of second 59. */
static bool read_time(struct reader *reader, uint32_t *ret_ms)
{
    uint32_t hour = 0, minute = 0, second = 0, ms = 0;
    if (!read_number(reader, 2, &hour) || !read_char(reader, ":") ||
        !read_number(reader, 2, &minute) || !read_char(reader, ":") ||
        !read_number(reader, 2, &second) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    if (read_char(reader, ".")) {
        uint32_t digit = 0, weight = 100;
        if (!read_number(reader, 1, &digit)) {
            return false;
        }
        do {
            ms += digit * weight;
            weight /= 10;
        } while (read_number(reader, 1, &digit));
    }
    if (second == 60) {
        second = 59;
        ms = 999;
    }
    *ret_ms = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    return true;
}

static bool read_zone(struct reader *reader, int64_t *ret_ms)
{
    uint32_t hour = 0, minute = 0;
    if (read_char(reader, "Zz")) {
        *ret_ms = 0;
        return true;
    }
    bool is_west = reader->at < reader->end && *reader->at == '-';
    if (!read_char(reader, "+-") || !read_number(reader, 2, &hour) || !read_char(reader, ":") ||
        !read_number(reader, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    int64_t ms = ((int64_t)hour * 60 + minute) * 60000;
    *ret_ms = is_west ? -ms : ms;
    return true;
}

uint64_t dri_clock_parse(const char *text, size_t len)
{
    struct reader reader = {text, text + len};
    struct dri_date date = {0};
    uint32_t ms = 0;
    int64_t zone_ms = 0;
    if (!read_date(&reader, &date) || !read_char(&reader, "Tt ") || !read_time(&reader, &ms) ||
        !read_zone(&reader, &zone_ms) || reader.at != reader.end) {
        return 0;
    }
    int64_t wall_ms = (int64_t)(days_of_date(date) * DAY_MS + ms) - zone_ms;
    return wall_ms < 0 ? 0 : (uint64_t)wall_ms;
}
