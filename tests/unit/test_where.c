/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "cli/where.h"
#include "clock.h"
#include "mem.h"
#include "support/test.h"

#define NOW_MS UINT64_C(1785499200000)

static struct dri_where_row a_letter(void)
{
    struct dri_where_row row;
    memset(&row, 0, sizeof(row));
    row.text[DRI_WHERE_command] = dray_slice_text("order.create");
    row.text[DRI_WHERE_reason] = dray_slice_text("timeout");
    row.text[DRI_WHERE_message] = dray_slice_text("bank (eu-1) did not answer: 503");
    row.text[DRI_WHERE_topic] = dray_slice_text("dlq.shop.commands");
    row.number[DRI_WHERE_attempts] = 4;
    row.number[DRI_WHERE_size] = 200;
    row.number[DRI_WHERE_last_failed_at] = NOW_MS - 3600 * UINT64_C(1000);
    return row;
}

static bool matches(const char *text)
{
    struct dri_where_row row = a_letter();
    struct dri_where_error error = {0, ""};
    struct dri_where *where = NULL;
    enum dray_status status = dri_where_parse(text, NOW_MS, &where, &error);
    if (status != DRAY_OK) {
        print_error("%s: column %zu: %s\n", text, error.column, error.text);
    }
    assert_int_equal(DRAY_OK, status);
    bool is_match = dri_where_matches(where, &row);
    dri_where_destroy(where);
    return is_match;
}

static void texts_compare_by_each_operator(void **state)
{
    (void)state;
    assert_true(matches("reason = timeout"));
    assert_true(matches("reason == timeout"));
    assert_false(matches("reason = time"));
    assert_false(matches("reason != timeout"));
    assert_true(matches("reason != crash"));
    assert_true(matches("command < orders"));
    assert_true(matches("command >= order.create"));
    assert_false(matches("command > order.create"));
    assert_true(matches("command <= order.create"));
    assert_true(matches("message ~ answer"));
    assert_false(matches("message !~ answer"));
    assert_true(matches("message !~ '504'"));
}

static void a_contained_text_means_itself_and_is_no_pattern(void **state)
{
    (void)state;
    assert_true(matches("message ~ \"(eu-1)\""));
    assert_false(matches("message ~ \"b.nk\""));
    assert_true(matches("message ~ ''"));
}

static void quotes_and_backslashes_write_any_text(void **state)
{
    (void)state;
    assert_true(matches("message = 'bank (eu-1) did not answer: 503'"));
    assert_true(matches("message ~ \"\\(eu\\-1\""));
    assert_false(matches("message ~ 'it\\'s'"));
}

static void what_a_letter_does_not_have_is_empty_or_zero(void **state)
{
    (void)state;
    assert_true(matches("key = ''"));
    assert_true(matches("id != x"));
    assert_true(matches("replays = 0"));
    assert_true(matches("first_failed_at < 1971-01-01"));
}

static void numbers_compare_as_numbers(void **state)
{
    (void)state;
    assert_true(matches("attempts = 4"));
    assert_true(matches("size > 30")); /* as texts 200 would come before 30 */
    assert_true(matches("attempts >= 4 and attempts <= 4"));
    assert_false(matches("attempts < 4"));
}

static void times_are_absolute_or_count_from_now(void **state)
{
    (void)state;
    char absolute[96];
    char text[DRI_CLOCK_TEXT_BYTES];
    assert_true(matches("last_failed_at > -2h"));
    assert_false(matches("last_failed_at > -30m"));
    assert_true(matches("last_failed_at > -1d and last_failed_at < now"));
    assert_true(matches("last_failed_at >= -3600s and last_failed_at <= -60m"));
    assert_true(matches("last_failed_at > 2001-01-31"));
    dri_clock_format(NOW_MS - 3600 * UINT64_C(1000), text);
    snprintf(absolute, sizeof(absolute), "last_failed_at = %s", text);
    assert_true(matches(absolute));
}

static void and_binds_closer_than_or_and_not_closest(void **state)
{
    (void)state;
    assert_true(matches("reason = timeout or reason = crash and attempts = 9"));
    assert_false(matches("(reason = timeout or reason = crash) and attempts = 9"));
    assert_true(matches("not reason = crash and attempts = 4"));
    assert_false(matches("not (reason = timeout and attempts = 4)"));
    assert_true(matches("NOT NOT reason = timeout"));
    assert_true(matches("reason=timeout AND(attempts>3)"));
}

static void no_expression_matches_everything(void **state)
{
    (void)state;
    struct dri_where_row row = a_letter();
    assert_true(dri_where_matches(NULL, &row));
}

static void expect_fault(const char *text, size_t column, const char *word)
{
    struct dri_where_error error = {999, ""};
    struct dri_where *where = NULL;
    test_status(DRAY_EINVALID, dri_where_parse(text, NOW_MS, &where, &error));
    assert_null(where);
    if (error.column != column || strstr(error.text, word) == NULL) {
        print_error("%s\n  is    column %zu: %s\n  wants column %zu: ...%s...\n", text,
                    error.column, error.text, column, word);
    }
    assert_int_equal(column, error.column);
    assert_non_null(strstr(error.text, word));
}

static void a_fault_is_named_with_its_column(void **state)
{
    (void)state;
    expect_fault("", 0, "field is missing");
    expect_fault("comand = x", 0, "did you mean \"command\"");
    expect_fault("reason = x and resaon = y", 15, "did you mean \"reason\"");
    expect_fault("reason timeout", 7, "operator is missing");
    expect_fault("reason =", 8, "value is missing");
    expect_fault("reason = 'x", 9, "never closed");
    expect_fault("attempts = many", 11, "number");
    expect_fault("attempts = 12345678901234567890123", 11, "number");
    expect_fault("last_failed_at > soon", 17, "time");
    expect_fault("last_failed_at > -99999999999999h", 17, "time");
    expect_fault("attempts ~ 4", 9, "for texts");
    expect_fault("(reason = x", 0, "never closed");
    expect_fault("reason = x)", 10, "and or or");
    expect_fault("(reason = x size = 3)", 12, "has to stand here");
    expect_fault("reason = x size = 3", 11, "and or or");
    expect_fault("reason = x and", 14, "field is missing");
}

static void nesting_and_length_are_bounded(void **state)
{
    (void)state;
    char deep[400];
    char wide[8192];
    size_t len = 0;
    memset(deep, '(', 200);
    deep[200] = '\0';
    expect_fault(deep, 32, "nested too deeply");
    for (unsigned i = 0; i < 300; i++) {
        len += (size_t)snprintf(wide + len, sizeof(wide) - len, "%ssize = 1", i == 0 ? "" : " or ");
    }
    struct dri_where_error error = {0, ""};
    struct dri_where *where = NULL;
    test_status(DRAY_EINVALID, dri_where_parse(wide, NOW_MS, &where, &error));
    assert_non_null(strstr(error.text, "too long"));
}

static void no_memory_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    struct dri_where_error error = {0, ""};
    size_t live = dri_mem_live();
    for (uint64_t n = 1;; n++) {
        struct dri_where *where = NULL;
        dri_mem_fail_at(n);
        enum dray_status status =
            dri_where_parse("(reason = a or key = b) and not id = c", NOW_MS, &where, &error);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        dri_where_destroy(where);
        assert_int_equal(live, dri_mem_live());
        if (!has_failed) {
            assert_true(n > 4);
            assert_int_equal(DRAY_OK, status);
            return;
        }
        assert_int_equal(DRAY_ENOMEM, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_compare_by_each_operator),
        cmocka_unit_test(a_contained_text_means_itself_and_is_no_pattern),
        cmocka_unit_test(quotes_and_backslashes_write_any_text),
        cmocka_unit_test(what_a_letter_does_not_have_is_empty_or_zero),
        cmocka_unit_test(numbers_compare_as_numbers),
        cmocka_unit_test(times_are_absolute_or_count_from_now),
        cmocka_unit_test(and_binds_closer_than_or_and_not_closest),
        cmocka_unit_test(no_expression_matches_everything),
        cmocka_unit_test(a_fault_is_named_with_its_column),
        cmocka_unit_test(nesting_and_length_are_bounded),
        cmocka_unit_test(no_memory_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
