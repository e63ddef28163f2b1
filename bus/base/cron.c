/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cron.c - cron expressions, and the next second that one names.
 *
 * Each field is a set of bits. The next tick is looked for day by day and then inside the day by
 * the bits, so a search costs a few steps a day; the calendar repeats after 400 years, so one that
 * long tells that an expression never ticks (some milliseconds, and only for such an expression).
 *
 * The dialect is that of crontab(5), in UTC: no hour is left out or comes twice. What other
 * programs read differently is refused and not guessed: 5/15 (Quartz: from 5 on), a range that
 * goes round (fri-mon), a step wider than its field (which would tick once a turn).
 */
#include "cron.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

#define DAY_SECONDS   86400u
#define ERA_DAYS      146097u       /* 400 years, a whole number of weeks */
#define YEAR_9999_END 253402300799u /* seconds */
#define NO_BIT        64u
#define FIELDS        6u
#define NAME_BYTES    3u
#define NUMBER_DIGITS 4u

enum field {
    FIELD_SECOND,
    FIELD_MINUTE,
    FIELD_HOUR,
    FIELD_DAY,
    FIELD_MONTH,
    FIELD_WEEKDAY,
};

struct bounds {
    const char *name;
    uint32_t min, max;
    const char *words; /* names of three letters, the first is min; NULL: there are none */
};

static const struct bounds g_bounds[FIELDS] = {
    [FIELD_SECOND] = {"second", 0, 59, NULL},
    [FIELD_MINUTE] = {"minute", 0, 59, NULL},
    [FIELD_HOUR] = {"hour", 0, 23, NULL},
    [FIELD_DAY] = {"day of the month", 1, 31, NULL},
    [FIELD_MONTH] = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    [FIELD_WEEKDAY] = {"day of the week", 0, 7, "sunmontuewedthufrisat"}, /* 7 is Sunday, too */
};

static const struct {
    const char *name;
    const char *fields;
} g_macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

struct reader {
    const char *text;
    size_t at, end; /* of the field, or of the whole */
    struct dri_cron_error *error;
};

static enum dray_status refuse(struct reader *reader, const char *format, ...) DRAY_FORMAT(2, 3);
static enum dray_status refuse(struct reader *reader, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reader->error->text, sizeof(reader->error->text), format, arguments);
    va_end(arguments);
    reader->error->at = reader->at;
    return DRAY_EINVALID;
}

static bool is_blank(char sign)
{
    return sign == ' ' || sign == '\t';
}

static char lower(char sign)
{
    return sign >= 'A' && sign <= 'Z' ? (char)(sign - 'A' + 'a') : sign;
}

static bool equal_text(const char *text, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++) {
        if (lower(text[i]) != word[i]) { /* word's own end differs, too */
            return false;
        }
    }
    return word[len] == '\0';
}

static bool take(struct reader *reader, char sign)
{
    if (reader->at < reader->end && reader->text[reader->at] == sign) {
        reader->at++;
        return true;
    }
    return false;
}

static bool take_number(struct reader *reader, uint32_t *ret_number)
{
    size_t at = reader->at;
    uint32_t number = 0;
    while (at < reader->end && at - reader->at < NUMBER_DIGITS && reader->text[at] >= '0' &&
           reader->text[at] <= '9') {
        number = number * 10 + (uint32_t)(reader->text[at++] - '0');
    }
    if (at == reader->at) {
        return false;
    }
    reader->at = at;
    *ret_number = number;
    return true;
}

static bool take_word(struct reader *reader, const struct bounds *bounds, uint32_t *ret_number)
{
    char word[NAME_BYTES];
    if (bounds->words == NULL || reader->end - reader->at < NAME_BYTES) {
        return false;
    }
    for (size_t i = 0; i < NAME_BYTES; i++) {
        word[i] = lower(reader->text[reader->at + i]);
    }
    for (uint32_t i = 0; bounds->words[i * NAME_BYTES] != '\0'; i++) {
        if (memcmp(bounds->words + (size_t)i * NAME_BYTES, word, NAME_BYTES) == 0) {
            reader->at += NAME_BYTES;
            *ret_number = bounds->min + i;
            return true;
        }
    }
    return false;
}

static enum dray_status read_value(struct reader *reader, const struct bounds *bounds,
                                   uint32_t *ret_number)
{
    size_t begin = reader->at;
    uint32_t number = 0;
    if (!take_word(reader, bounds, &number) && !take_number(reader, &number)) {
        return refuse(reader, "the %s has to be %u to %u%s", bounds->name, bounds->min, bounds->max,
                      bounds->words == NULL ? ", a list, a range or *"
                                            : ", a name of three letters, a list, a range or *");
    }
    if (number < bounds->min || number > bounds->max) {
        reader->at = begin;
        return refuse(reader, "the %s has to be %u to %u, not %u", bounds->name, bounds->min,
                      bounds->max, number);
    }
    *ret_number = number;
    return DRAY_OK;
}

static enum dray_status read_step(struct reader *reader, const struct bounds *bounds,
                                  uint32_t first, bool is_range, uint32_t *ret_step)
{
    size_t begin = reader->at;
    uint32_t step = 1;
    if (take(reader, '/')) {
        if (!is_range) {
            return refuse(reader, "a step needs a range: write %u-%u/..., or */...", first,
                          bounds->max);
        }
        size_t number_at = reader->at;
        if (!take_number(reader, &step) || step == 0) {
            reader->at = number_at;
            return refuse(reader, "after / has to be a number from 1");
        }
        if (step > bounds->max) {
            reader->at = begin;
            return refuse(reader, "a step of %u is wider than the %s, which ends at %u", step,
                          bounds->name, bounds->max);
        }
    }
    *ret_step = step;
    return DRAY_OK;
}

/* One element of a list: a value, a range or *, with a step. */
static enum dray_status read_element(struct reader *reader, const struct bounds *bounds,
                                     uint64_t *set)
{
    uint32_t first = bounds->min;
    uint32_t last = bounds->max;
    uint32_t step = 1;
    bool is_range = take(reader, '*');
    enum dray_status status = DRAY_OK;
    if (!is_range) {
        size_t begin = reader->at;
        status = read_value(reader, bounds, &first);
        last = first;
        is_range = status == DRAY_OK && take(reader, '-');
        if (is_range) {
            status = read_value(reader, bounds, &last);
        }
        if (status == DRAY_OK && last < first) {
            reader->at = begin;
            return refuse(reader, "a range has to go upwards: write %u-%u,%u-%u", first,
                          bounds->max, bounds->min, last);
        }
    }
    if (status == DRAY_OK) {
        status = read_step(reader, bounds, first, is_range, &step);
    }
    if (status != DRAY_OK) {
        return status;
    }
    for (uint32_t i = first; i <= last; i += step) {
        *set |= UINT64_C(1) << i;
    }
    return DRAY_OK;
}

static enum dray_status read_field(struct reader *reader, const struct bounds *bounds,
                                   uint64_t *ret_set)
{
    uint64_t set = 0;
    do {
        enum dray_status status = read_element(reader, bounds, &set);
        if (status != DRAY_OK) {
            return status;
        }
    } while (take(reader, ','));
    if (reader->at != reader->end) {
        return refuse(reader,
                      "the %s has something after its value; lists have commas, ranges "
                      "a -, steps a /",
                      bounds->name);
    }
    *ret_set = set;
    return DRAY_OK;
}

struct words {
    size_t begin[FIELDS], end[FIELDS];
    size_t count; /* may be more than FIELDS: those are only counted */
};

static void split(const char *text, size_t len, struct words *ret_words)
{
    struct words words = {.count = 0};
    size_t at = 0;
    while (at < len) {
        size_t begin = at;
        while (at < len && !is_blank(text[at])) {
            at++;
        }
        if (at > begin) {
            if (words.count < FIELDS) {
                words.begin[words.count] = begin;
                words.end[words.count] = at;
            }
            words.count++;
        }
        at += at < len ? 1 : 0;
    }
    *ret_words = words;
}

static const char *macro_find(const char *text, const struct words *words)
{
    for (size_t i = 0; words->count == 1 && i < sizeof(g_macros) / sizeof(g_macros[0]); i++) {
        if (equal_text(text + words->begin[0], words->end[0] - words->begin[0], g_macros[i].name)) {
            return g_macros[i].fields;
        }
    }
    return NULL;
}

enum dray_status dri_cron_parse(const char *text, size_t len, struct dri_cron *ret_cron,
                                struct dri_cron_error *ret_error)
{
    struct words words;
    struct reader reader = {.text = text, .error = ret_error};
    uint64_t sets[FIELDS] = {1};
    bool any[FIELDS] = {false};

    split(text, len, &words);
    const char *fields = macro_find(text, &words);
    if (fields != NULL) {
        reader.text = fields;
        split(fields, strlen(fields), &words);
    }
    if (words.count + 1 < FIELDS || words.count > FIELDS) {
        return refuse(&reader,
                      "has %zu fields; there are five (minute hour day month weekday), "
                      "six with seconds first, or one of @hourly @daily @weekly @monthly @yearly",
                      words.count);
    }
    size_t skipped = FIELDS - words.count;
    for (size_t i = 0; i < words.count; i++) {
        reader.at = words.begin[i];
        reader.end = words.end[i];
        any[i + skipped] = reader.text[reader.at] == '*';
        enum dray_status status = read_field(&reader, &g_bounds[i + skipped], &sets[i + skipped]);
        if (status != DRAY_OK) {
            return status;
        }
    }
    struct dri_cron cron = {
        .seconds = sets[FIELD_SECOND],
        .minutes = sets[FIELD_MINUTE],
        .hours = (uint32_t)sets[FIELD_HOUR],
        .days = (uint32_t)sets[FIELD_DAY],
        .months = (uint32_t)sets[FIELD_MONTH],
        .weekdays = (uint32_t)((sets[FIELD_WEEKDAY] | sets[FIELD_WEEKDAY] >> 7) & 0x7f),
        .any_day = any[FIELD_DAY],
        .any_weekday = any[FIELD_WEEKDAY],
    };
    if (dri_cron_next(&cron, 0) == 0) {
        reader.at = words.begin[FIELD_DAY - skipped];
        return refuse(&reader, "there is no such day in any year");
    }
    *ret_cron = cron;
    return DRAY_OK;
}

/** The lowest number from `from` on that is in the set; NO_BIT when there is none. */
static uint32_t bit_from(uint64_t set, uint32_t from)
{
    while (from < NO_BIT && (set >> from & 1) == 0) {
        from++;
    }
    return from;
}

static bool is_day(const struct dri_cron *cron, uint64_t days)
{
    struct dri_date date = dri_clock_date(days);
    bool is_in_month = (cron->days >> date.day & 1) != 0;
    bool is_in_week = (cron->weekdays >> (days + 4) % 7 & 1) != 0; /* 1970 began on a Thursday */
    if ((cron->months >> date.month & 1) == 0) {
        return false;
    }
    return cron->any_day || cron->any_weekday ? is_in_month && is_in_week
                                              : is_in_month || is_in_week;
}

/** The first second of a day, from `from` on; DAY_SECONDS when there is none. */
static uint32_t second_of_day(const struct dri_cron *cron, uint32_t from)
{
    uint32_t hour = bit_from(cron->hours, from / 3600);
    uint32_t minute = hour > from / 3600 ? 0 : from / 60 % 60;
    uint32_t second = hour > from / 3600 ? 0 : from % 60;
    while (hour < NO_BIT) {
        uint32_t found = bit_from(cron->minutes, minute);
        second = bit_from(cron->seconds, found > minute ? 0 : second);
        if (found < NO_BIT && second < NO_BIT) {
            return (hour * 60 + found) * 60 + second;
        }
        minute = found + 1;
        second = 0;
        if (found >= NO_BIT) {
            hour = bit_from(cron->hours, hour + 1);
            minute = 0;
        }
    }
    return DAY_SECONDS;
}

uint64_t dri_cron_next(const struct dri_cron *cron, uint64_t after_ms)
{
    uint64_t from = after_ms / 1000 + 1;
    uint64_t first_day = from / DAY_SECONDS;
    for (uint64_t day = first_day; day <= first_day + ERA_DAYS; day++) {
        if (day * DAY_SECONDS > YEAR_9999_END) {
            return 0;
        }
        if (is_day(cron, day)) {
            uint32_t begin = day == first_day ? (uint32_t)(from % DAY_SECONDS) : 0;
            uint32_t second = second_of_day(cron, begin);
            if (second < DAY_SECONDS) {
                return (day * DAY_SECONDS + second) * 1000;
            }
        }
    }
    return 0;
}

/* By halves: dri_cron_next never falls when its argument rises. */
uint64_t dri_cron_last(const struct dri_cron *cron, uint64_t after_ms, uint64_t until_ms)
{
    uint64_t low = after_ms;  /* the tick after it counts */
    uint64_t high = until_ms; /* the tick after it is too late */
    uint64_t found = dri_cron_next(cron, low);
    if (found == 0 || found > until_ms) {
        return 0;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t tick = dri_cron_next(cron, middle);
        if (tick != 0 && tick <= until_ms) {
            low = middle;
            found = tick;
        } else {
            high = middle;
        }
    }
    return found;
}
