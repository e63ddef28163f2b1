/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <stdio.h>

#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/json.h"
#include "wire/route_diff.h"

#define BYTES(literal) dray_slice_of((literal), sizeof(literal) - 1)

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

static void maps_are_the_same_by_key_and_numbers_by_value(void **state)
{
    static const uint8_t wide_seven[] = {0xcd, 0x00, 0x07};
    static const struct {
        const char *left, *right;
        bool is_same;
    } rows[] = {
        {"{\"a\":1,\"b\":{\"x\":[1,2]}}", "{\"b\":{\"x\":[1,2]},\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":null}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"[1,2]", "[2,1]", false},
        {"1", "1.0", false},
        {"1", "\"1\"", false},
        {"-1", "-1", true},
        {"{\"$bin\":\"YQ==\"}", "\"a\"", false},
        {"[]", "{}", false},
        {"true", "false", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_same = dri_value_is_same(wire_json(rows[i].left), wire_json(rows[i].right));
        if (is_same != rows[i].is_same) {
            fail_msg("%s and %s", rows[i].left, rows[i].right);
        }
    }
    /* a key twice: both ways by the bytes */
    assert_false(
        dri_value_is_same(BYTES("\x82\xa1x\x01\xa1x\x01"), BYTES("\x82\xa1x\x01\xa1y\x02")));
    assert_false(
        dri_value_is_same(BYTES("\x82\xa1x\x01\xa1y\x02"), BYTES("\x82\xa1x\x01\xa1x\x01")));
    assert_true(
        dri_value_is_same(BYTES("\x82\xa1x\x01\xa1x\x02"), BYTES("\x82\xa1x\x01\xa1x\x02")));
    assert_true(dri_value_is_same(dray_slice_of(wide_seven, sizeof(wide_seven)), wire_json("7")));
    assert_false(dri_value_is_same(dray_slice_of(NULL, 0), wire_json("null")));
    assert_true(dri_value_is_same(dray_slice_of(NULL, 0), dray_slice_of(NULL, 0)));
}

static void note(void *arg, const char *path, struct dray_slice before, struct dray_slice after)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_text *text = arg;
    const struct dray_slice sides[] = {before, after};

    dri_text_addf(text, "%s", path);
    for (size_t i = 0; i < 2; i++) {
        dri_text_addf(text, "%s", i == 0 ? ": " : " -> ");
        if (sides[i].at == NULL) {
            dri_text_addf(text, "-");
        } else {
            test_ok(dri_msgpack_to_json(sides[i], &limits, false, text));
        }
    }
    dri_text_addf(text, "\n");
}

static void differences_name_the_path_and_both_values(void **state)
{
    struct dri_text text;

    (void)state;
    dri_text_init(&text);
    dri_route_differences(
        wire_json(
            "{\"name\":\"a\",\"weight\":5,\"policy\":{\"attempts\":4,\"rate\":1},\"tags\":{}}"),
        wire_json("{\"policy\":{\"attempts\":9,\"breaker\":{}},\"name\":\"a\",\"new\":[1]}"), note,
        &text);
    assert_string_equal(text.at, "weight: 5 -> -\n"
                                 "policy.attempts: 4 -> 9\n"
                                 "policy.rate: 1 -> -\n"
                                 "policy.breaker: - -> {}\n"
                                 "tags: {} -> -\n"
                                 "new: - -> [1]\n");
    dri_text_fini(&text);
}

/* The merge as JSON, or "!path". */
static void merged(const struct dri_route_sides *sides, char ret_text[512])
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    uint8_t buffer[512];
    char path[DRI_ROUTE_PATH_BYTES];
    struct dri_text text;
    size_t len = 0;
    enum dray_status status = dri_route_merge(sides, buffer, sizeof(buffer), &len, path);

    if (status == DRAY_ECONFLICT) {
        (void)snprintf(ret_text, 512, "!%s", path);
        return;
    }
    test_ok(status);
    dri_text_init(&text);
    test_ok(dri_msgpack_to_json(dray_slice_of(buffer, len), &limits, false, &text));
    (void)snprintf(ret_text, 512, "%s", text.at);
    dri_text_fini(&text);
}

static void two_changes_of_other_keys_are_one_route(void **state)
{
    static const struct {
        const char *ancestor, *ours, *theirs, *result;
    } rows[] = {
        {"{\"a\":1,\"p\":{\"x\":1,\"y\":1}}", "{\"a\":1,\"p\":{\"x\":2,\"y\":1}}",
         "{\"a\":1,\"p\":{\"x\":1,\"y\":3}}", "{\"a\":1,\"p\":{\"x\":2,\"y\":3}}"},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":3}", "{\"a\":1,\"c\":3,\"b\":2}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", "{\"a\":5,\"b\":2}", "{\"a\":5}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", "{\"a\":1,\"b\":3}", "!b"},
        {"{}", "{\"policy\":{\"rate\":1}}", "{\"policy\":{\"rate\":2}}", "!policy.rate"},
        {NULL, "{\"policy\":{\"rate\":1}}", "{\"policy\":{\"burst\":2}}",
         "{\"policy\":{\"burst\":2,\"rate\":1}}"},
        {"{\"policy\":{\"fallback\":{}}}", "{\"policy\":{\"fallback\":{\"a\":1}}}",
         "{\"policy\":{\"fallback\":{\"b\":1}}}", "!policy.fallback"},
        {"{\"module\":\"a.so\",\"sha256\":\"0\"}", "{\"module\":\"b.so\",\"sha256\":\"0\"}",
         "{\"module\":\"a.so\",\"sha256\":\"1\"}", "!module"},
        {"{\"module\":\"a.so\",\"weight\":1}", "{\"module\":\"b.so\",\"weight\":1}",
         "{\"module\":\"a.so\",\"weight\":2}", "{\"module\":\"b.so\",\"weight\":2}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[512];
        const struct dri_route_sides sides = {.ancestor = rows[i].ancestor == NULL
                                                              ? dray_slice_of(NULL, 0)
                                                              : wire_json(rows[i].ancestor),
                                              .ours = wire_json(rows[i].ours),
                                              .theirs = wire_json(rows[i].theirs)};

        merged(&sides, text);
        assert_string_equal(text, rows[i].result);
    }
}

#define LEAVES 3u
#define CASES  27u

/* {"a":_,"p":{"x":_,"y":_}}: each leaf 1, 2 or not there. */
static void make(unsigned number, unsigned ret_leaves[LEAVES], char ret_json[128])
{
    char leaves[LEAVES][16];
    static const char *const names[LEAVES] = {"a", "x", "y"};

    for (size_t i = 0; i < LEAVES; i++) {
        ret_leaves[i] = number % 3;
        number /= 3;
        leaves[i][0] = '\0';
        if (ret_leaves[i] != 0) {
            (void)snprintf(leaves[i], sizeof(leaves[i]), "\"%s\":%u", names[i], ret_leaves[i]);
        }
    }
    (void)snprintf(ret_json, 128, "{%s%s\"p\":{%s%s%s}}", leaves[0],
                   leaves[0][0] == '\0' ? "" : ",", leaves[1],
                   leaves[1][0] == '\0' || leaves[2][0] == '\0' ? "" : ",", leaves[2]);
}

/* Each leaf by itself, as a person would: what only one has changed is taken. */
static bool model(const unsigned a[LEAVES], const unsigned o[LEAVES], const unsigned t[LEAVES],
                  unsigned ret_leaves[LEAVES])
{
    for (size_t i = 0; i < LEAVES; i++) {
        if (o[i] != t[i] && o[i] != a[i] && t[i] != a[i]) {
            return false;
        }
        ret_leaves[i] = o[i] == a[i] ? t[i] : o[i];
    }
    return true;
}

static void every_merge_of_three_small_routes_is_that_of_a_naive_model(void **state)
{
    struct dray_slice routes[CASES];
    unsigned leaves[CASES][LEAVES];
    size_t conflicts = 0;

    (void)state;
    for (unsigned i = 0; i < CASES; i++) {
        char json[128];
        make(i, leaves[i], json);
        routes[i] = wire_json(json);
    }
    for (unsigned i = 0; i < CASES * CASES * CASES; i++) {
        unsigned a = i % CASES;
        unsigned o = i / CASES % CASES;
        unsigned t = i / CASES / CASES;
        const struct dri_route_sides sides = {routes[a], routes[o], routes[t]};
        uint8_t buffer[256];
        char path[DRI_ROUTE_PATH_BYTES];
        unsigned wanted[LEAVES];
        size_t len = 0;
        enum dray_status status = dri_route_merge(&sides, buffer, sizeof(buffer), &len, path);

        if (!model(leaves[a], leaves[o], leaves[t], wanted)) {
            test_status(DRAY_ECONFLICT, status);
            conflicts++;
            continue;
        }
        test_ok(status);
        assert_true(dri_value_is_same(dray_slice_of(buffer, len),
                                      routes[wanted[0] + 3 * wanted[1] + 9 * wanted[2]]));
    }
    assert_int_equal(conflicts, CASES * CASES * CASES - 21u * 21u * 21u);
}

static void what_is_no_map_or_too_long_is_refused(void **state)
{
    const struct dri_route_sides good = {wire_json("{}"), wire_json("{\"a\":1}"),
                                         wire_json("{\"b\":1}")};
    const struct dri_route_sides bad = {wire_json("{}"), wire_json("[1]"), wire_json("{}")};
    uint8_t buffer[64];
    char path[DRI_ROUTE_PATH_BYTES];
    size_t len = 99;

    (void)state;
    test_status(DRAY_EINVALID, dri_route_merge(&bad, buffer, sizeof(buffer), &len, path));
    for (size_t bytes = 0; bytes < 7; bytes++) {
        test_status(DRAY_ELIMIT, dri_route_merge(&good, buffer, bytes, &len, path));
        assert_int_equal(len, 99);
    }
    test_ok(dri_route_merge(&good, buffer, 7, &len, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_the_same_by_key_and_numbers_by_value),
        cmocka_unit_test(differences_name_the_path_and_both_values),
        cmocka_unit_test(two_changes_of_other_keys_are_one_route),
        cmocka_unit_test(every_merge_of_three_small_routes_is_that_of_a_naive_model),
        cmocka_unit_test(what_is_no_map_or_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, bytes_free);
}
