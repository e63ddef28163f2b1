/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <time.h>

#include "base/clock.h"
#include "support/test.h"

static void assert_both_ways(uint64_t wall_ms, const char *text)
{
    char formatted[DRI_CLOCK_TEXT_BYTES];
    dri_clock_format(wall_ms, formatted);
    assert_string_equal(formatted, text);
    assert_true(dri_clock_parse(text, strlen(text)) == wall_ms);
}

static void known_times_are_formatted_and_parsed(void **state)
{
    (void)state;
    assert_both_ways(1, "1970-01-01T00:00:00.001Z");
    assert_both_ways(951782400000u, "2000-02-29T00:00:00.000Z");
    assert_both_ways(1769860800000u, "2026-01-31T12:00:00.000Z");
    assert_both_ways(4107542399999u, "2100-02-28T23:59:59.999Z");
    assert_both_ways(4107542400000u, "2100-03-01T00:00:00.000Z");
    assert_both_ways(253402300799999u, "9999-12-31T23:59:59.999Z");
}

static void every_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (time_t day = 0; day < 366 * 450; day++) {
        time_t seconds = day * 86400 + 86399;
        struct tm tm;
        char want[64];
        char got[DRI_CLOCK_TEXT_BYTES];
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_true(strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000Z", &tm) > 0);
        dri_clock_format((uint64_t)seconds * 1000, got);
        assert_string_equal(got, want);
        assert_true(dri_clock_parse(got, strlen(got)) == (uint64_t)seconds * 1000);
    }
}

static void a_time_beyond_four_digit_years_stays_a_time(void **state)
{
    (void)state;
    char text[DRI_CLOCK_TEXT_BYTES];
    dri_clock_format(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void zones_and_fractions_of_rfc_3339_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {
        {"2026-01-31T12:00:00Z", 1769860800000u},
        {"2026-01-31t12:00:00z", 1769860800000u},
        {"2026-01-31 12:00:00Z", 1769860800000u},
        {"2026-01-31T14:00:00+02:00", 1769860800000u},
        {"2026-01-31T06:30:00-05:30", 1769860800000u},
        {"2026-01-31T12:00:00.5Z", 1769860800500u},
        {"2026-01-31T12:00:00.123456789Z", 1769860800123u},
        {"2016-12-31T23:59:60Z", 1483228799999u},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(dri_clock_parse(rows[i].text, strlen(rows[i].text)) == rows[i].ms);
    }
}

static void a_text_that_is_no_time_gives_zero(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00Zx",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+0200",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "-026-01-31T12:00:00Z",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(dri_clock_parse(rows[i], strlen(rows[i])), 0);
    }
}

static void a_text_is_read_no_further_than_its_length(void **state)
{
    (void)state;
    const char *text = "2026-01-31T12:00:00Z";
    char *exact = NULL;
    for (size_t len = 0; len < strlen(text); len++) {
        exact = (char *)test_malloc(len + 1); /* the byte behind is a fence that cmocka checks */
        memcpy(exact, text, len);
        assert_int_equal(dri_clock_parse(exact, len), 0);
        test_free(exact);
    }
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
    (void)state;
    uint64_t last = dri_clock_mono_ns();
    for (int i = 0; i < 10000; i++) {
        struct dri_now now = dri_clock_now();
        assert_true(now.mono_ns >= last);
        assert_true(now.wall_ms > 1700000000000u);
        last = now.mono_ns;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_are_formatted_and_parsed),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(a_time_beyond_four_digit_years_stays_a_time),
        cmocka_unit_test(zones_and_fractions_of_rfc_3339_are_read),
        cmocka_unit_test(a_text_that_is_no_time_gives_zero),
        cmocka_unit_test(a_text_is_read_no_further_than_its_length),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
