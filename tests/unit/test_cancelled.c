/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>
#include <stdio.h>

#include "assert.h"
#include "mem.h"
#include "run/cancelled.h"
#include "support/test.h"

/* What is remembered of cancelled commands. */

#define NOW UINT64_C(1767225600000)

static struct dri_cancelled *make(uint32_t max)
{
    struct dri_cancelled *cancelled = NULL;
    test_ok(dri_cancelled_create(max, &cancelled));
    return cancelled;
}

static bool has(struct dri_cancelled *cancelled, const char *id)
{
    return dri_cancelled_has(cancelled, dray_slice_text(id), false, NOW);
}

static void an_id_is_known_from_when_it_is_cancelled(void **state)
{
    struct dri_cancelled *cancelled = make(16);
    (void)state;
    assert_false(has(cancelled, "a"));
    assert_int_equal(0, dri_cancelled_version(cancelled));
    assert_false(dri_cancelled_add(cancelled, dray_slice_text("a"), false, NOW + 1));
    assert_true(has(cancelled, "a"));
    assert_false(has(cancelled, "b"));
    assert_int_equal(1, dri_cancelled_version(cancelled));
    dri_cancelled_destroy(cancelled);
}

static void a_binary_id_is_not_the_text_of_the_same_bytes(void **state)
{
    struct dri_cancelled *cancelled = make(16);
    struct dray_slice id = dray_slice_text("0123456789abcdef");
    (void)state;
    (void)dri_cancelled_add(cancelled, id, true, NOW + 1);
    assert_true(dri_cancelled_has(cancelled, id, true, NOW));
    assert_false(dri_cancelled_has(cancelled, id, false, NOW));
    dri_cancelled_destroy(cancelled);
}

static void an_id_is_forgotten_after_its_time_and_the_later_time_counts(void **state)
{
    struct dri_cancelled *cancelled = make(16);
    struct dray_slice id = dray_slice_text("a");
    (void)state;
    (void)dri_cancelled_add(cancelled, id, false, NOW + 10);
    (void)dri_cancelled_add(cancelled, id, false, NOW + 5);
    assert_int_equal(1, dri_cancelled_version(cancelled));
    assert_true(dri_cancelled_has(cancelled, id, false, NOW + 9));
    assert_false(dri_cancelled_has(cancelled, id, false, NOW + 10));
    (void)dri_cancelled_add(cancelled, id, false, NOW + 20);
    assert_true(dri_cancelled_has(cancelled, id, false, NOW + 10));
    dri_cancelled_destroy(cancelled);
}

static void the_oldest_is_forgotten_for_one_too_many(void **state)
{
    struct dri_cancelled *cancelled = make(100);
    char id[16];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof(id), "id-%d", i);
        assert_int_equal(i >= 100,
                         dri_cancelled_add(cancelled, dray_slice_text(id), false, NOW + 1));
        (void)snprintf(id, sizeof(id), "id-%d", i - 99);
        assert_int_equal(i >= 99, has(cancelled, id));
        (void)snprintf(id, sizeof(id), "id-%d", i - 100);
        assert_false(has(cancelled, id));
    }
    dri_cancelled_destroy(cancelled);
}

static void without_memory_there_is_none(void **state)
{
    struct dri_cancelled *cancelled = NULL;
    size_t live = dri_mem_live();
    (void)state;
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        enum dray_status status = dri_cancelled_create(16, &cancelled);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        if (!has_failed) {
            test_ok(status);
            break;
        }
        assert_int_equal(DRAY_ENOMEM, status);
        assert_int_equal(live, dri_mem_live());
    }
    dri_cancelled_destroy(cancelled);
    dri_cancelled_destroy(NULL);
}

static void *add_many(void *arg)
{
    char id[16];
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof(id), "id-%d", i);
        (void)dri_cancelled_add(arg, dray_slice_text(id), false, NOW + 1);
    }
    return NULL;
}

static void one_thread_adds_while_another_asks(void **state)
{
    struct dri_cancelled *cancelled = make(1000);
    pthread_t thread;
    (void)state;
    assert_int_equal(0, pthread_create(&thread, NULL, add_many, cancelled));
    while (dri_cancelled_version(cancelled) < 5000) {
        assert_false(has(cancelled, "never"));
        (void)has(cancelled, "id-4999");
    }
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_true(has(cancelled, "id-4999"));
    dri_cancelled_destroy(cancelled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_known_from_when_it_is_cancelled),
        cmocka_unit_test(a_binary_id_is_not_the_text_of_the_same_bytes),
        cmocka_unit_test(an_id_is_forgotten_after_its_time_and_the_later_time_counts),
        cmocka_unit_test(the_oldest_is_forgotten_for_one_too_many),
        cmocka_unit_test(without_memory_there_is_none),
        cmocka_unit_test(one_thread_adds_while_another_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
