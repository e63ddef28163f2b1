/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/cron.h"
#include "support/test.h"

/* Cron expressions against a model that reads them with the C library's help only and asks each
 * minute (or second) whether it is meant.
 */

static struct dri_cron parse(const char *text)
{
    struct dri_cron cron;
    struct dri_cron_error error = {.text = ""};
    if (dri_cron_parse(text, strlen(text), &cron, &error) != DRAY_OK) {
        print_error("%s: %zu: %s\n", text, error.at, error.text);
        fail();
    }
    return cron;
}

static void next_is(const char *expression, const char *after, const char *want)
{
    struct dri_cron cron = parse(expression);
    char got[DRI_CLOCK_TEXT_BYTES] = "never";
    uint64_t tick = dri_cron_next(&cron, dri_clock_parse(after, strlen(after)));
    if (tick != 0) {
        dri_clock_format(tick, got);
    }
    if (strcmp(got, want) != 0) {
        print_error("%s after %s: %s, wants %s\n", expression, after, got, want);
        fail();
    }
}

static void known_ticks_are_found(void **state)
{
    static const char *const rows[][3] = {
        {"* * * * *", "2026-01-31T12:00:00Z", "2026-01-31T12:01:00.000Z"},
        {"* * * * *", "2026-01-31T11:59:59.999Z", "2026-01-31T12:00:00.000Z"},
        {"* * * * * *", "2026-01-31T12:00:00.999Z", "2026-01-31T12:00:01.000Z"},
        {"*/2 * * * * *", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00.000Z"},
        {"*/5 * * * *", "2026-01-31T12:56:00Z", "2026-01-31T13:00:00.000Z"},
        {"0 0 31 * *", "2026-01-31T12:00:00Z", "2026-03-31T00:00:00.000Z"},
        {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"},
        {"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00.000Z"},
        {"0 0 29 2 */7", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00.000Z"},
        {"0 0 13 * fri", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00.000Z"},
        {"0 0 13 * fri", "2026-02-06T00:00:00Z", "2026-02-13T00:00:00.000Z"},
        {"0 0 13 * fri", "2026-04-11T00:00:00Z", "2026-04-13T00:00:00.000Z"},
        {"0 0 */2 * fri", "2026-02-02T00:00:00Z", "2026-02-13T00:00:00.000Z"},
        {"0 6 * * 1-5", "2026-02-06T06:00:00Z", "2026-02-09T06:00:00.000Z"},
        {"30 6,18 * JAN-mar,Dec Sat", "2026-03-28T18:30:00Z", "2026-12-05T06:30:00.000Z"},
        {"0 0 * * 7", "2026-02-02T00:00:00Z", "2026-02-08T00:00:00.000Z"},
        {"0 0 * * 5-7", "2026-02-07T00:00:00Z", "2026-02-08T00:00:00.000Z"},
        {"10-20/5,59 23 * * *", "2026-02-07T23:20:00Z", "2026-02-07T23:59:00.000Z"},
        {"59 59 23 31 12 *", "2026-01-01T00:00:00Z", "2026-12-31T23:59:59.000Z"},
        {"  0\t0 1  1 * ", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00.000Z"},
        {"@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00.000Z"},
        {"@annually", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00.000Z"},
        {"@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00.000Z"},
        {"@weekly", "2026-02-02T00:00:00Z", "2026-02-08T00:00:00.000Z"},
        {"@Daily", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00.000Z"},
        {"@midnight", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00.000Z"},
        {" @hourly", "2026-02-28T23:00:00Z", "2026-03-01T00:00:00.000Z"},
        {"* * * * * *", "9999-12-31T23:59:59Z", "never"},
        {"0 0 29 2 *", "9996-02-29T00:00:00Z", "never"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        next_is(rows[i][0], rows[i][1], rows[i][2]);
    }
}

static void what_is_no_expression_is_refused_where_it_is_wrong(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *says;
    } rows[] = {
        {"", 0, "has 0 fields"},
        {" \t ", 0, "has 0 fields"},
        {"* * * *", 0, "has 4 fields"},
        {"* * * * * * *", 0, "has 7 fields"},
        {"@reboot", 0, "has 1 fields"},
        {"@dail", 0, "has 1 fields"},
        {"@dailyx", 0, "has 1 fields"},
        {"60 * * * *", 0, "the minute has to be 0 to 59, not 60"},
        {"* 24 * * *", 2, "the hour has to be 0 to 23, not 24"},
        {"* * 0 * *", 4, "the day of the month has to be 1 to 31, not 0"},
        {"* * * 13 *", 6, "the month has to be 1 to 12, not 13"},
        {"* * * * 8", 8, "the day of the week has to be 0 to 7, not 8"},
        {"99999 * * * *", 0, "not 9999"},
        {"60 * * * * *", 0, "the second has to be"},
        {"x * * * *", 0, "a list, a range or *"},
        {"* * * foo *", 6, "a name of three letters"},
        {"* * * ja *", 6, "a name of three letters"},
        {"* * * january *", 9, "has something after its value"},
        {"1, * * * *", 2, "the minute has to be"},
        {"1- * * * *", 2, "the minute has to be"},
        {"-1 * * * *", 0, "the minute has to be"},
        {"5/15 * * * *", 2, "write 5-59/..."},
        {"*/0 * * * *", 2, "a number from 1"},
        {"*/ * * * *", 2, "a number from 1"},
        {"*/90 * * * *", 1, "a step of 90 is wider than the minute"},
        {"20-10 * * * *", 0, "write 20-59,0-10"},
        {"* * * * fri-mon", 8, "write 5-7,0-1"},
        {"1;2 * * * *", 1, "has something after its value"},
        {"** * * * *", 1, "has something after its value"},
        {"0 0 30 2 *", 4, "no such day in any year"},
        {"0 0 31 4,6,9,11 *", 4, "no such day in any year"},
        {"0 0 0 30 feb *", 6, "no such day in any year"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dri_cron cron;
        struct dri_cron_error error = {.text = ""};
        enum dray_status status = dri_cron_parse(rows[i].text, strlen(rows[i].text), &cron, &error);
        if (status != DRAY_EINVALID || error.at != rows[i].at ||
            strstr(error.text, rows[i].says) == NULL) {
            print_error("\"%s\": %zu: %s\n", rows[i].text, error.at, error.text);
            fail();
        }
    }
}

static void a_text_ends_where_its_length_says(void **state)
{
    struct dri_cron cron;
    struct dri_cron_error error;
    const char *text = "0 0 * * 1-5";
    (void)state;
    test_ok(dri_cron_parse(text, strlen(text) - 2, &cron, &error));
    assert_int_equal(1u << 1, cron.weekdays);
    text = "@dailyxyz";
    test_ok(dri_cron_parse(text, strlen("@daily"), &cron, &error));
    assert_int_equal(DRAY_EINVALID, dri_cron_parse("a\0b", 3, &cron, &error));
}

/* The model: fields as lists of booleans, made from the same random choice as the text. */
#define MODEL_FIELDS 5u
struct model {
    bool has[MODEL_FIELDS][60];
    bool is_star[MODEL_FIELDS];
};

static uint64_t g_random = 88172645463325252u;

static uint32_t random_below(uint32_t bound)
{
    g_random ^= g_random << 13;
    g_random ^= g_random >> 7;
    g_random ^= g_random << 17;
    return (uint32_t)(g_random % bound);
}

static size_t element_add(bool *has, int min, int max, char *text, size_t bytes)
{
    int first = min + (int)random_below((uint32_t)(max - min + 1));
    int last = first + (int)random_below((uint32_t)(max - first + 1));
    int step = 1 + (int)random_below(5);
    if (step > max) {
        step = max;
    }
    if (random_below(2) == 0) {
        has[first] = true;
        return (size_t)snprintf(text, bytes, "%d", first);
    }
    for (int i = first; i <= last; i++) {
        has[i] = has[i] || (i - first) % step == 0;
    }
    return (size_t)snprintf(text, bytes, "%d-%d/%d", first, last, step);
}

static void model_make(struct model *model, char *text, size_t bytes)
{
    static const int mins[] = {0, 0, 1, 1, 0};
    static const int maxs[] = {59, 23, 28, 12, 6}; /* a day that each month has */
    size_t len = 0;
    memset(model, 0, sizeof(*model));
    for (size_t field = 0; field < MODEL_FIELDS; field++) {
        if (field != 0) {
            text[len++] = ' ';
        }
        if (random_below(2) == 0) {
            int step = 1 + (int)random_below(6);
            model->is_star[field] = true;
            for (int i = mins[field]; i <= maxs[field]; i++) {
                model->has[field][i] = (i - mins[field]) % step == 0;
            }
            for (int i = 29; field == 2 && i <= 31; i++) {
                model->has[field][i] = (i - 1) % step == 0;
            }
            len += (size_t)snprintf(text + len, bytes - len, "*/%d", step);
            continue;
        }
        len += element_add(model->has[field], mins[field], maxs[field], text + len, bytes - len);
        if (random_below(3) == 0) {
            text[len++] = ',';
            len +=
                element_add(model->has[field], mins[field], maxs[field], text + len, bytes - len);
        }
    }
    text[len] = '\0';
}

static bool model_ticks(const struct model *model, time_t seconds)
{
    struct tm tm;
    assert_non_null(gmtime_r(&seconds, &tm));
    bool day = model->has[2][tm.tm_mday];
    bool weekday = model->has[4][tm.tm_wday];
    return model->has[0][tm.tm_min] && model->has[1][tm.tm_hour] && model->has[3][tm.tm_mon + 1] &&
           (model->is_star[2] || model->is_star[4] ? day && weekday : day || weekday);
}

static void a_walk_by_minutes_finds_the_same_ticks(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        struct model model;
        char text[256];
        model_make(&model, text, sizeof(text));
        struct dri_cron cron = parse(text);
        /* from somewhere in 2000 to 2107, with both kinds of centuries in it */
        time_t at = 946684800 + (time_t)random_below(107u * 365u * 1440u) * 60;
        time_t end = at + 40 * 86400;
        uint64_t want = dri_cron_next(&cron, (uint64_t)at * 1000);
        for (time_t minute = at + 60; minute <= end; minute += 60) {
            bool is_tick = want == (uint64_t)minute * 1000;
            if (model_ticks(&model, minute) != is_tick) {
                print_error("\"%s\" at %lld: %s\n", text, (long long)minute,
                            is_tick ? "no tick" : "a tick is missing");
                fail();
            }
            if (is_tick) {
                want = dri_cron_next(&cron, want);
            }
        }
        assert_true(want > (uint64_t)end * 1000);
    }
}

static void seconds_tick_as_a_walk_by_seconds_says(void **state)
{
    struct dri_cron cron = parse("5,10-50/20,59 58-59,0 */11 * * *");
    (void)state;
    uint64_t want = dri_cron_next(&cron, 0);
    unsigned ticks = 0;
    for (uint64_t second = 1; second < 2 * 86400; second++) {
        uint64_t hour = second / 3600 % 24, minute = second / 60 % 60, of_minute = second % 60;
        bool is_tick = hour % 11 == 0 && (minute >= 58 || minute == 0) &&
                       (of_minute == 5 || of_minute == 10 || of_minute == 30 || of_minute == 50 ||
                        of_minute == 59);
        assert_int_equal(is_tick, want == second * 1000);
        if (is_tick) {
            ticks++;
            want = dri_cron_next(&cron, want);
        }
    }
    assert_int_equal(2 * 3 * 3 * 5, ticks);
}

static void the_last_tick_is_that_before_the_next_one(void **state)
{
    static const char *const expressions[] = {"* * * * * *",  "*/7 * * * * *", "30 6 * * *",
                                              "0 0 29 feb *", "@monthly",      "0 0 13 * fri"};
    const uint64_t from_ms = UINT64_C(1767225600000); /* 2026-01-01 */
    (void)state;
    for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
        struct dri_cron cron = parse(expressions[i]);
        uint64_t tick_ms = dri_cron_next(&cron, from_ms);
        assert_true(dri_cron_last(&cron, from_ms, tick_ms - 1) == 0);
        for (int n = 0; n < 30; n++) {
            uint64_t next_ms = dri_cron_next(&cron, tick_ms);
            assert_true(dri_cron_last(&cron, from_ms, tick_ms) == tick_ms);
            assert_true(dri_cron_last(&cron, from_ms, next_ms - 1) == tick_ms);
            assert_true(dri_cron_last(&cron, tick_ms, next_ms - 1) == 0);
            assert_true(dri_cron_last(&cron, tick_ms - 1, tick_ms) == tick_ms);
            tick_ms = next_ms;
        }
        assert_true(dri_cron_last(&cron, tick_ms, from_ms) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_ticks_are_found),
        cmocka_unit_test(the_last_tick_is_that_before_the_next_one),
        cmocka_unit_test(what_is_no_expression_is_refused_where_it_is_wrong),
        cmocka_unit_test(a_text_ends_where_its_length_says),
        cmocka_unit_test(a_walk_by_minutes_finds_the_same_ticks),
        cmocka_unit_test(seconds_tick_as_a_walk_by_seconds_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
