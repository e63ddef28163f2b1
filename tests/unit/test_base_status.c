/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <dray/kind.h>

#include "support/test.h"

static void every_status_has_a_name_a_text_and_a_class(void **state)
{
    (void)state;
    for (int i = 0; i < DRAY_STATUS_COUNT; i++) {
        enum dray_status status = (enum dray_status)i;
        assert_true(strlen(dray_status_name(status)) >= 2);
        assert_true(strlen(dray_status_text(status)) >= 2);
        assert_int_equal(dray_status_class(status) == DRAY_CLASS_NONE, status == DRAY_OK);
    }
    assert_string_equal(dray_status_name(DRAY_ECONFLICT), "ECONFLICT");
    assert_string_equal(dray_status_text(DRAY_ENOMEM), "out of memory");
    assert_int_equal(dray_status_class(DRAY_EBROKER), DRAY_CLASS_TRANSIENT);
    assert_int_equal(dray_status_class(DRAY_EAUTH), DRAY_CLASS_PERMANENT);
    assert_int_equal(dray_status_class(DRAY_EFATAL), DRAY_CLASS_FATAL);
}

static void a_status_outside_the_table_is_fatal_and_has_a_text(void **state)
{
    (void)state;
    enum dray_status outside = (enum dray_status)(DRAY_STATUS_COUNT + 3);
    assert_int_equal(dray_status_class(outside), DRAY_CLASS_FATAL);
    assert_string_equal(dray_status_name(outside), "EUNKNOWN");
    assert_string_equal(dray_status_text(outside), "unknown status");
}

static void every_kind_is_found_by_its_word(void **state)
{
    (void)state;
    for (int i = 0; i < DRAY_KIND_COUNT; i++) {
        const char *text = dray_kind_text((enum dray_error_kind)i);
        assert_int_equal(dray_kind_parse(text, strlen(text)), i);
    }
}

static void words_that_are_no_kind_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(dray_kind_parse("timeout!", 8), DRAY_KIND_COUNT);
    assert_int_equal(dray_kind_parse("timeou", 6), DRAY_KIND_COUNT);
    assert_int_equal(dray_kind_parse("TIMEOUT", 7), DRAY_KIND_COUNT);
    assert_string_equal(dray_kind_text(DRAY_KIND_COUNT), "");
    assert_false(dray_kind_is_retried(DRAY_KIND_COUNT));
}

static void the_kinds_that_are_retried_are_those_of_the_contract(void **state)
{
    (void)state;
    const char *const retried[] = {"timeout", "network", "unavailable", "conflict", "internal"};
    int count = 0;
    for (size_t i = 0; i < sizeof(retried) / sizeof(retried[0]); i++) {
        assert_true(dray_kind_is_retried(dray_kind_parse(retried[i], strlen(retried[i]))));
    }
    for (int i = 0; i < DRAY_KIND_COUNT; i++) {
        count += dray_kind_is_retried((enum dray_error_kind)i) ? 1 : 0;
    }
    assert_int_equal(count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_a_text_and_a_class),
        cmocka_unit_test(a_status_outside_the_table_is_fatal_and_has_a_text),
        cmocka_unit_test(every_kind_is_found_by_its_word),
        cmocka_unit_test(words_that_are_no_kind_are_told_apart),
        cmocka_unit_test(the_kinds_that_are_retried_are_those_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
