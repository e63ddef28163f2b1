/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/headers.h"
#include "wire/park.h"

#define TEXT(text) dray_slice_text(text)
#define NONE       dray_slice_of(NULL, 0)

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

static struct dri_park sample(void)
{
    return (struct dri_park){.kind = DRI_PARK_STOPPED,
                             .source = TEXT("commands/3/1234"),
                             .attempts = 4,
                             .due_ms = UINT64_C(1767229200500),
                             .first_failed_ms = UINT64_C(1767225600000),
                             .has_order = true,
                             .order = 17,
                             .unit = TEXT("commands/3/1200")};
}

/* The record's headers in a buffer that all tests share. */
static struct dray_slice headers_of(const struct dri_park *park, struct dray_slice original)
{
    static uint8_t buffer[65536];
    size_t len = 0;

    test_ok(dri_park_headers(park, original, buffer, sizeof(buffer), &len));
    assert_true(len <= dri_park_headers_max(park, original));
    return dray_slice_of(buffer, len);
}

/* One header, or two with the same name. */
static struct dray_slice header_of(const char *name, struct dray_slice value)
{
    static uint8_t buffer[65536];
    size_t len = 0;

    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT("dray-park-source"),
                               TEXT("commands/3/1234")));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT(name), value));
    return dray_slice_of(buffer, len);
}

static void a_record_has_the_headers_of_the_golden_sample(void **state)
{
    struct dri_park park = sample();
    struct dray_slice golden = wire_golden("park.headers");
    struct dray_slice headers = headers_of(&park, wire_golden("park_original.headers"));

    (void)state;
    assert_int_equal(headers.len, golden.len);
    assert_memory_equal(headers.at, golden.at, golden.len);
}

static void a_record_is_read_back(void **state)
{
    struct dri_park park;

    (void)state;
    test_ok(dri_park_read(wire_golden("park.headers"), &park));
    assert_int_equal(park.kind, DRI_PARK_STOPPED);
    test_slice("commands/3/1234", park.source);
    assert_int_equal(park.attempts, 4);
    assert_true(park.due_ms == UINT64_C(1767229200500));
    assert_true(park.first_failed_ms == UINT64_C(1767225600000));
    assert_true(park.has_order && park.order == 17);
    test_slice("commands/3/1200", park.unit);
}

static void every_kind_comes_back(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < DRI_PARK_KIND_COUNT; kind++) {
        struct dri_park park = sample();
        struct dri_park back;

        park.kind = (enum dri_park_kind)kind;
        test_ok(dri_park_read(headers_of(&park, NONE), &back));
        assert_int_equal(back.kind, kind);
    }
}

static void what_is_not_known_is_left_out(void **state)
{
    struct dri_park park = {.source = TEXT("PARK/9")};
    struct dray_slice headers = headers_of(&park, NONE);
    struct dri_header header;
    struct dri_park back;
    size_t at = 0;
    int count = 0;

    (void)state;
    while (dri_headers_next(headers, &at, &header)) {
        count++;
    }
    assert_int_equal(count, 2); /* source and attempts */
    test_ok(dri_park_read(headers, &back));
    assert_int_equal(back.kind, DRI_PARK_COMMAND);
    assert_true(back.due_ms == 0 && back.first_failed_ms == 0 && !back.has_order);
    assert_true(dray_slice_is_absent(back.unit));
}

static void a_record_that_is_written_again_says_only_the_new(void **state)
{
    struct dri_park first = sample();
    struct dri_park second = {
        .source = TEXT("commands/3/1234"), .attempts = 5, .has_order = true, .order = 0};
    uint8_t kept[4096];
    struct dray_slice headers = headers_of(&first, wire_golden("park_original.headers"));
    struct dri_park back;

    (void)state;
    assert_true(headers.len <= sizeof(kept));
    memcpy(kept, headers.at, headers.len);
    headers = headers_of(&second, dray_slice_of(kept, headers.len));
    test_ok(dri_park_read(headers, &back));
    assert_int_equal(back.kind, DRI_PARK_COMMAND);
    assert_int_equal(back.attempts, 5);
    assert_true(back.due_ms == 0 && back.has_order && back.order == 0);
    assert_true(dray_slice_is_absent(back.unit));
    test_slice("application/msgpack", dri_headers_find(headers, "content-type"));
}

static void the_original_has_its_own_headers_only(void **state)
{
    struct dray_slice original = wire_golden("park_original.headers");
    uint8_t buffer[4096];
    struct dri_park park = sample();
    struct dri_header header;
    size_t len = 0;
    size_t at = 0;
    size_t none = 0;

    (void)state;
    test_ok(dri_park_original(headers_of(&park, original), buffer, sizeof(buffer), &len));
    while (dri_headers_next(dray_slice_of(buffer, len), &at, &header)) {
        assert_false(dri_header_name_begins(header.name, "dray-park-"));
        none += dray_slice_is_absent(header.value);
    }
    test_slice("2", dri_headers_find(dray_slice_of(buffer, len), "dray-replays"));
    assert_int_equal(none, 1); /* null stays null */
    test_ok(dri_park_original(dray_slice_of(buffer, len), buffer, len, &at));
    assert_int_equal(at, len);
}

static void a_buffer_that_is_too_small_is_said(void **state)
{
    struct dri_park park = sample();
    struct dray_slice original = wire_golden("park_original.headers");
    size_t whole = headers_of(&park, original).len;
    static uint8_t buffer[4096];
    uint8_t copy[4096];
    size_t len = 7;

    (void)state;
    for (size_t size = 0; size < whole; size++) {
        test_status(DRAY_ELIMIT, dri_park_headers(&park, original, buffer, size, &len));
        assert_int_equal(len, 7);
    }
    memcpy(copy, headers_of(&park, original).at, whole);
    test_ok(dri_park_original(dray_slice_of(copy, whole), buffer, sizeof(buffer), &len));
    whole = len;
    for (size_t size = 0; size < whole; size++) {
        test_status(DRAY_ELIMIT, dri_park_original(dray_slice_of(buffer, whole), copy, size, &len));
        assert_int_equal(len, whole);
    }
}

static void a_message_without_a_source_is_no_record_unless_it_releases(void **state)
{
    struct dri_park release = {.kind = DRI_PARK_RELEASE};
    struct dri_park park = {.kind = DRI_PARK_HELD};
    struct dri_park back;

    (void)state;
    test_status(DRAY_ENOTFOUND, dri_park_read(NONE, &back));
    test_status(DRAY_ENOTFOUND, dri_park_read(headers_of(&park, NONE), &back));
    park.source = TEXT("");
    test_status(DRAY_ENOTFOUND, dri_park_read(headers_of(&park, NONE), &back));
    test_ok(dri_park_read(headers_of(&release, NONE), &back));
    assert_int_equal(back.kind, DRI_PARK_RELEASE);
}

static void hostile_values_are_read_as_nothing(void **state)
{
    static const char *const values[] = {"",   "-1",         "1x",  "18446744073709551616",
                                         " 1", "4294967296", "yes", "99999-01-01T00:00:00Z"};
    struct dri_park park;

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        test_ok(dri_park_read(header_of("dray-park-attempts", TEXT(values[i])), &park));
        assert_int_equal(park.attempts, 0);
        test_ok(dri_park_read(header_of("dray-park-due", TEXT(values[i])), &park));
        assert_true(park.due_ms == 0);
        test_ok(dri_park_read(header_of("dray-park-first-failed-at", TEXT(values[i])), &park));
        assert_true(park.first_failed_ms == 0);
        test_ok(dri_park_read(header_of("dray-park-state", TEXT(values[i])), &park));
        assert_int_equal(park.kind, DRI_PARK_COMMAND);
        test_ok(dri_park_read(header_of("dray-park-order", TEXT(values[i])), &park));
        assert_true(park.has_order == (park.order == UINT64_C(4294967296)));
    }
    test_ok(dri_park_read(header_of("dray-park-state", NONE), &park));
    test_ok(dri_park_read(header_of("Dray-Park-State", TEXT("held")), &park));
    assert_int_equal(park.kind, DRI_PARK_HELD);
    test_ok(dri_park_read(header_of("dray-park-something", TEXT("new")), &park));
}

static void damage_does_no_harm(struct dray_slice damaged)
{
    uint8_t buffer[4096];
    struct dri_park park;
    size_t len = 0;

    if (dri_park_read(damaged, &park) == DRAY_OK) {
        assert_true(park.kind < DRI_PARK_KIND_COUNT);
        (void)dri_park_source_hash_of(park.source);
    }
    test_ok(dri_park_original(damaged, buffer, damaged.len, &len));
    assert_true(len <= damaged.len);
}

static void damaged_headers_are_read_as_far_as_they_go(void **state)
{
    (void)state;
    wire_damage(wire_golden("park.headers"), damage_does_no_harm);
}

static void a_source_has_one_name_in_both_forms(void **state)
{
    uint64_t one = dri_park_source_hash(TEXT("commands/3"), 1234);

    (void)state;
    assert_true(one != 0);
    assert_true(dri_park_source_hash_of(TEXT("commands/3/1234")) == one);
    assert_int_equal(dri_park_source_offset_of(TEXT("commands/3/1234")), 1234);
    assert_true(dri_park_source_hash_of(TEXT("commands/3/1235")) != one);
    assert_true(dri_park_source_hash_of(TEXT("commands/4/1234")) != one);
    assert_true(dri_park_source_hash_of(TEXT("COMMANDS/1234")) ==
                dri_park_source_hash(TEXT("COMMANDS"), 1234));
    assert_true(dri_park_source_hash_of(TEXT("c/18446744073709551615")) ==
                dri_park_source_hash(TEXT("c"), UINT64_MAX));
}

static void a_text_of_another_form_names_nothing(void **state)
{
    static const char *const texts[] = {
        "",           "/", "/1",  "commands", "commands/",
        "commands/x", "1", "c/-", "c/1 ",     "c/18446744073709551616"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(dri_park_source_hash_of(TEXT(texts[i])) == 0);
        assert_int_equal(dri_park_source_offset_of(TEXT(texts[i])), 0);
    }
    assert_true(dri_park_source_hash_of(NONE) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_record_has_the_headers_of_the_golden_sample, bytes_free),
        cmocka_unit_test_teardown(a_record_is_read_back, bytes_free),
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test_teardown(a_record_that_is_written_again_says_only_the_new, bytes_free),
        cmocka_unit_test_teardown(the_original_has_its_own_headers_only, bytes_free),
        cmocka_unit_test_teardown(a_buffer_that_is_too_small_is_said, bytes_free),
        cmocka_unit_test(a_message_without_a_source_is_no_record_unless_it_releases),
        cmocka_unit_test(hostile_values_are_read_as_nothing),
        cmocka_unit_test_teardown(damaged_headers_are_read_as_far_as_they_go, bytes_free),
        cmocka_unit_test(a_source_has_one_name_in_both_forms),
        cmocka_unit_test(a_text_of_another_form_names_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
