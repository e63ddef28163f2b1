/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "mem.h"
#include "run/replayed.h"
#include "support/test.h"
#include "wire/headers.h"

#define SCOPE UINT64_C(0x100000003)

static struct dri_replay_name name_of(uint64_t letter, uint64_t replays)
{
    char text[64];
    snprintf(text, sizeof(text), "dlq.shop.commands/3/%llu", (unsigned long long)letter);
    return dri_replay_name_make(dray_slice_text(text), replays);
}

static bool is_duplicate(struct dri_replayed *replayed, uint64_t scope, uint64_t letter,
                         uint64_t replays, uint64_t offset)
{
    struct dri_replay_name name = name_of(letter, replays);
    return dri_replayed_is_duplicate(replayed, scope, &name, offset);
}

static void a_second_copy_of_one_generation_is_a_duplicate(void **state)
{
    (void)state;
    struct dri_replayed *replayed = NULL;
    test_ok(dri_replayed_create(16, &replayed));
    assert_false(is_duplicate(replayed, SCOPE, 17, 1, 100));
    assert_true(is_duplicate(replayed, SCOPE, 17, 1, 101));
    assert_true(is_duplicate(replayed, SCOPE, 17, 1, 250));
    assert_false(is_duplicate(replayed, SCOPE, 17, 2, 102));
    assert_false(is_duplicate(replayed, SCOPE, 18, 1, 103));
    dri_replayed_destroy(replayed);
}

static void a_redelivered_copy_is_no_duplicate_of_itself(void **state)
{
    (void)state;
    struct dri_replayed *replayed = NULL;
    test_ok(dri_replayed_create(16, &replayed));
    assert_false(is_duplicate(replayed, SCOPE, 17, 1, 100));
    assert_false(is_duplicate(replayed, SCOPE, 17, 1, 100));
    dri_replayed_destroy(replayed);
}

static void an_earlier_copy_that_comes_late_runs_and_is_the_first_from_then_on(void **state)
{
    (void)state;
    struct dri_replayed *replayed = NULL;
    test_ok(dri_replayed_create(16, &replayed));
    assert_false(is_duplicate(replayed, SCOPE, 17, 1, 100));
    assert_false(is_duplicate(replayed, SCOPE, 17, 1, 90));
    assert_true(is_duplicate(replayed, SCOPE, 17, 1, 100));
    dri_replayed_destroy(replayed);
}

static void another_assignment_knows_nothing_of_the_last_one(void **state)
{
    (void)state;
    struct dri_replayed *replayed = NULL;
    struct dri_replay_name name = name_of(17, 1);
    test_ok(dri_replayed_create(16, &replayed));
    assert_false(is_duplicate(replayed, SCOPE, 17, 1, 100));
    assert_false(is_duplicate(replayed, SCOPE + (UINT64_C(1) << 32), 17, 1, 101));
    assert_true(dri_replayed_has(replayed, SCOPE, &name));
    assert_false(dri_replayed_has(replayed, SCOPE + 1, &name));
    dri_replayed_destroy(replayed);
}

static void only_the_oldest_names_are_forgotten(void **state)
{
    (void)state;
    enum {
        MAX = 100,
        COUNT = 1000
    };
    struct dri_replayed *replayed = NULL;
    test_ok(dri_replayed_create(MAX, &replayed));
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_false(is_duplicate(replayed, SCOPE, i, 1, i));
        for (uint64_t j = 0; j <= i; j++) {
            struct dri_replay_name name = name_of(j, 1);
            assert_int_equal(i - j < MAX, dri_replayed_has(replayed, SCOPE, &name));
        }
    }
    dri_replayed_destroy(replayed);
}

static void add(uint8_t *buffer, size_t bytes, size_t *len, const char *name, const char *value)
{
    test_ok(dri_headers_append(buffer, bytes, len, dray_slice_text(name), dray_slice_text(value)));
}

static void a_name_comes_from_both_headers_or_not_at_all(void **state)
{
    (void)state;
    uint8_t buffer[256];
    size_t len = 0;
    struct dri_replay_name name;
    struct dri_replay_name wanted = name_of(17, 2);
    assert_false(dri_replay_name_of(dray_slice_of("", 0), &name));
    add(buffer, sizeof(buffer), &len, "dray-replay-of", "dlq.shop.commands/3/17");
    assert_false(dri_replay_name_of(dray_slice_of(buffer, len), &name));
    add(buffer, sizeof(buffer), &len, "dray-replays", "two");
    assert_false(dri_replay_name_of(dray_slice_of(buffer, len), &name));
    add(buffer, sizeof(buffer), &len, "Dray-Replays", "02");
    assert_true(dri_replay_name_of(dray_slice_of(buffer, len), &name));
    assert_memory_equal(&wanted, &name, sizeof(name));
}

static void no_memory_is_reported(void **state)
{
    (void)state;
    struct dri_replayed *replayed = NULL;
    size_t live = dri_mem_live();
    dri_mem_fail_at(1);
    test_status(DRAY_ENOMEM, dri_replayed_create(16, &replayed));
    dri_mem_fail_at(0);
    assert_null(replayed);
    assert_int_equal(live, dri_mem_live());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_copy_of_one_generation_is_a_duplicate),
        cmocka_unit_test(a_redelivered_copy_is_no_duplicate_of_itself),
        cmocka_unit_test(an_earlier_copy_that_comes_late_runs_and_is_the_first_from_then_on),
        cmocka_unit_test(another_assignment_knows_nothing_of_the_last_one),
        cmocka_unit_test(only_the_oldest_names_are_forgotten),
        cmocka_unit_test(a_name_comes_from_both_headers_or_not_at_all),
        cmocka_unit_test(no_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
