/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "run/semver.h"
#include "support/test.h"
#include "wire/control.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct dri_semver version_of(const char *text)
{
    struct dri_semver version;
    test_ok(dri_semver_parse(dray_slice_text(text), &version));
    return version;
}

static struct dri_semver_range range_of(const char *text)
{
    struct dri_semver_range range;
    test_ok(dri_semver_range_parse(dray_slice_text(text), &range));
    return range;
}

static void the_parts_of_a_version_are_read(void **state)
{
    (void)state;
    struct dri_semver version = version_of("1.20.18446744073709551615-rc.1+build.007");
    assert_true(version.major == 1 && version.minor == 20 && version.patch == UINT64_MAX);
    test_slice("rc.1", version.pre);
    test_slice("build.007", version.build);
    version = version_of("0.0.0");
    assert_null(version.pre.at);
    assert_null(version.build.at);
}

/* From the list that semver.org links to its regular expression, and some of our own. */
static const char *const sound[] = {
    "0.0.4",
    "1.2.3",
    "10.20.30",
    "1.1.2-prerelease+meta",
    "1.1.2+meta",
    "1.1.2+meta-valid",
    "1.0.0-alpha",
    "1.0.0-alpha.beta.1",
    "1.0.0-alpha0.valid",
    "1.0.0-alpha.0valid",
    "1.0.0-rc.1+build.1",
    "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
    "1.2.3----R-S.12.9.1--.12+meta",
    "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
    "1.0.0-0A.is.legal",
    "1.0.0-0",
};

static const char *const unsound[] = {
    "",
    "1",
    "1.2",
    "1.2.3-0123",
    "1.2.3-0123.0123",
    "1.1.2+.123",
    "+invalid",
    "-invalid",
    "alpha",
    "1.0.0-alpha_beta",
    "1.0.0-alpha..",
    "1.0.0-alpha..1",
    "01.1.1",
    "1.01.1",
    "1.1.01",
    "1.2.3.DEV",
    "1.2-SNAPSHOT",
    "1.2.31.2.3",
    "1.2.3-",
    "1.2.3+",
    "1.2.3-+b",
    "-1.0.3-gamma+b7718",
    "1.1.2+a+b",
    "v1.2.3",
    " 1.2.3",
    "1.2.3 ",
    "1.2.3\n",
    "^1.2.3",
    "1.x.3",
    "1.2.3-\xc3\xa4",
};

static void versions_are_told_from_what_is_none(void **state)
{
    (void)state;
    struct dri_semver version;
    for (size_t i = 0; i < COUNT(sound); i++) {
        test_ok(dri_semver_parse(dray_slice_text(sound[i]), &version));
    }
    for (size_t i = 0; i < COUNT(unsound); i++) {
        test_status(DRAY_EINVALID, dri_semver_parse(dray_slice_text(unsound[i]), &version));
    }
    test_status(DRAY_EINVALID, dri_semver_parse(dray_slice_of(NULL, 0), &version));
}

static void the_wire_and_the_registry_agree_on_what_a_version_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sound); i++) {
        assert_true(dri_version_is_semver(dray_slice_text(sound[i])));
    }
    for (size_t i = 0; i < COUNT(unsound); i++) {
        assert_false(dri_version_is_semver(dray_slice_text(unsound[i])));
    }
}

static void a_number_that_64_bits_do_not_hold_is_refused(void **state)
{
    (void)state;
    struct dri_semver version;
    struct dri_semver_range range;
    struct dray_slice text = dray_slice_text("1.18446744073709551616.0");
    test_status(DRAY_EINVALID, dri_semver_parse(text, &version));
    test_status(DRAY_EINVALID, dri_semver_range_parse(text, &range));
}

static void the_order_is_that_of_the_specification(void **state)
{
    (void)state;
    static const char *const rising[] = {
        "0.0.0-0",       "0.0.0",
        "0.9.0",         "1.0.0-1",
        "1.0.0-2",       "1.0.0-10",
        "1.0.0--",       "1.0.0-alpha",
        "1.0.0-alpha.1", "1.0.0-alpha.beta",
        "1.0.0-alpha-a", "1.0.0-beta",
        "1.0.0-beta.2",  "1.0.0-beta.11",
        "1.0.0-rc.1",    "1.0.0",
        "1.0.1",         "1.1.0",
        "1.2.0",         "1.10.0",
        "2.0.0",         "18446744073709551615.0.0",
    };
    for (size_t i = 0; i < COUNT(rising); i++) {
        for (size_t k = 0; k < COUNT(rising); k++) {
            struct dri_semver a = version_of(rising[i]);
            struct dri_semver b = version_of(rising[k]);
            int order = dri_semver_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

static void build_does_not_count_in_the_order(void **state)
{
    (void)state;
    struct dri_semver a = version_of("1.0.0-rc.1+a");
    struct dri_semver b = version_of("1.0.0-rc.1+b");
    assert_int_equal(dri_semver_compare(&a, &b), 0);
}

static const struct {
    const char *range;
    const char *has[6];
    const char *has_not[6];
} ranges[] = {
    {"1.2.3", {"1.2.3", "1.2.3+b"}, {"1.2.4", "1.2.2", "1.2.3-rc"}},
    {"=1.2.3", {"1.2.3"}, {"1.2.4"}},
    {"1.2.3+b", {"1.2.3+b"}, {"1.2.3", "1.2.3+c"}},
    {"1.2.3-rc.1", {"1.2.3-rc.1"}, {"1.2.3", "1.2.3-rc.2"}},
    {"^1.2.3", {"1.2.3", "1.2.4", "1.9.0"}, {"1.2.2", "2.0.0", "0.9.0", "1.5.0-rc"}},
    {"^1.2", {"1.2.0", "1.99.0"}, {"1.1.9", "2.0.0"}},
    {"^1", {"1.0.0", "1.99.0"}, {"0.9.9", "2.0.0"}},
    {"^1.x", {"1.0.0"}, {"2.0.0"}},
    {"^0.2.3", {"0.2.3", "0.2.9"}, {"0.2.2", "0.3.0", "1.0.0"}},
    {"^0.0.3", {"0.0.3"}, {"0.0.2", "0.0.4", "0.1.0"}},
    {"^0.0", {"0.0.0", "0.0.9"}, {"0.1.0"}},
    {"^0", {"0.0.0", "0.9.0"}, {"1.0.0"}},
    {"^1.2.3-beta.2",
     {"1.2.3-beta.2", "1.2.3-rc", "1.2.3", "1.3.0"},
     {"1.2.3-beta.1", "1.2.4-beta.2"}},
    {"~1.2.3", {"1.2.3", "1.2.9"}, {"1.2.2", "1.3.0"}},
    {"~1.2", {"1.2.0", "1.2.9"}, {"1.1.9", "1.3.0"}},
    {"~1", {"1.0.0", "1.9.0"}, {"0.9.0", "2.0.0"}},
    {"~0.0.3", {"0.0.3", "0.0.9"}, {"0.1.0"}},
    {">=1.2", {"1.2.0", "9.0.0"}, {"1.1.9", "9.0.0-rc"}},
    {">= 1.2.3", {"1.2.3", "9.0.0"}, {"1.2.2"}},
    {">1.2.3", {"1.2.4"}, {"1.2.3"}},
    {">1.2", {"1.3.0"}, {"1.2.0", "1.2.9"}},
    {">1", {"2.0.0"}, {"1.9.9"}},
    {"<1.2.3", {"1.2.2", "0.0.0"}, {"1.2.3", "1.2.3-rc"}},
    {"<1.2", {"1.1.9"}, {"1.2.0"}},
    {"<=1.2.3", {"1.2.3", "0.1.0"}, {"1.2.4"}},
    {"<=1.2", {"1.2.9"}, {"1.3.0"}},
    {"1.x", {"1.0.0", "1.9.9"}, {"2.0.0", "0.9.0", "1.5.0-rc"}},
    {"1.X.x", {"1.0.0", "1.9.9"}, {"2.0.0"}},
    {"1.2.*", {"1.2.0", "1.2.9"}, {"1.3.0", "1.1.9"}},
    {"1.2", {"1.2.0", "1.2.9"}, {"1.3.0", "1.1.9"}},
    {"1", {"1.0.0", "1.9.0"}, {"2.0.0"}},
    {"*", {"0.0.0", "9.9.9"}, {"1.0.0-rc"}},
    {">=*", {"0.0.0", "9.9.9"}, {"1.0.0-rc"}},
    {">=1.2 <2", {"1.2.0", "1.9.0"}, {"1.1.0", "2.0.0"}},
    {">=1.2,<2", {"1.2.0", "1.9.0"}, {"1.1.0", "2.0.0"}},
    {"  >=1.2 ,  < 2.0.0  ", {"1.2.0", "1.9.0"}, {"1.1.0", "2.0.0"}},
    {"^1 ~1.2", {"1.2.5"}, {"1.3.0"}},
    {">=2 <1", {NULL}, {"1.0.0", "2.0.0"}},
    {">=1.0.0-a <=2.0.0-rc.2", {"1.0.0-b", "1.5.0", "2.0.0-rc.1"}, {"2.0.0", "1.5.0-b"}},
};

static void assert_range(const char *range_text, const char *version_text, bool has_it)
{
    if (version_text == NULL) {
        return;
    }
    struct dri_semver_range range = range_of(range_text);
    struct dri_semver version = version_of(version_text);
    if (dri_semver_range_has(&range, &version) != has_it) {
        fail_msg("%s %s %s", range_text, has_it ? "lacks" : "has", version_text);
    }
}

static void ranges_hold_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        for (size_t k = 0; k < 6; k++) {
            assert_range(ranges[i].range, ranges[i].has[k], true);
            assert_range(ranges[i].range, ranges[i].has_not[k], false);
        }
    }
}

static void what_is_no_range_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",        " ",       "^",      "~",        ">=",        "abc",    "1.2.3.4",    "1.x.3",
        "*.1",     ">*",      "<x",     "^v1",      "1.2.",      "1..2",   "01.2",       "1.2-rc",
        "1.2.3^2", "1.2.3>2", "1,",     ",1",       "1,,2",      "1 , ",   "1 || 2",     "1 - 2",
        "==1",     "=>1",     "1.2.3-", "1.2.3+\n", ">=1.2\t<2", "latest", "1.2.3-a..b",
    };
    struct dri_semver_range range;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (dri_semver_range_parse(dray_slice_text(rows[i]), &range) != DRAY_EINVALID) {
            fail_msg("taken as a range: \"%s\"", rows[i]);
        }
    }
    test_status(DRAY_EINVALID, dri_semver_range_parse(dray_slice_of(NULL, 0), &range));
}

static void a_range_with_too_many_comparators_is_refused(void **state)
{
    (void)state;
    struct dri_semver_range range;
    test_ok(dri_semver_range_parse(dray_slice_text("^1 ^1 ^1 ^1"), &range));
    test_status(DRAY_ELIMIT, dri_semver_range_parse(dray_slice_text("^1 ^1 ^1 ^1 <9"), &range));
}

static void texts_are_read_no_further_than_their_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        for (size_t len = 0; len <= strlen(ranges[i].range); len++) {
            char *exact = (char *)test_malloc(len + 1); /* cmocka checks the bytes around it */
            struct dri_semver_range range;
            memcpy(exact, ranges[i].range, len);
            exact[len] = '7'; /* would change what is read */
            enum dray_status status = dri_semver_range_parse(dray_slice_of(exact, len), &range);
            exact[len] = '!'; /* would spoil it */
            test_status(status, dri_semver_range_parse(dray_slice_of(exact, len), &range));
            test_free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_version_are_read),
        cmocka_unit_test(versions_are_told_from_what_is_none),
        cmocka_unit_test(the_wire_and_the_registry_agree_on_what_a_version_is),
        cmocka_unit_test(a_number_that_64_bits_do_not_hold_is_refused),
        cmocka_unit_test(the_order_is_that_of_the_specification),
        cmocka_unit_test(build_does_not_count_in_the_order),
        cmocka_unit_test(ranges_hold_what_they_say),
        cmocka_unit_test(what_is_no_range_is_refused),
        cmocka_unit_test(a_range_with_too_many_comparators_is_refused),
        cmocka_unit_test(texts_are_read_no_further_than_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
