/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "base/mem.h"
#include "run/live.h"
#include "support/test.h"

static const struct dri_settings start = {
    .topics = {.results = "results"},
    .worker = {.max_in_flight = 100,
               .max_unacked = 200,
               .max_bytes = 1000,
               .timeout_ms = 1,
               .settle_ms = 2,
               .revoke_ms = 3,
               .drain_ms = 4,
               .close_ms = 5,
               .stall_ms = 6},
};

static struct dri_live *make(const struct dri_settings *now, bool has_inboxes)
{
    struct dri_live *live = NULL;
    test_ok(dri_live_create(&start, now, has_inboxes, &live));
    return live;
}

static void what_was_laid_out_bounds_what_is_read_later(void **state)
{
    (void)state;
    struct dri_settings now = start;
    now.worker.max_in_flight = 50;
    now.worker.max_unacked = 300;
    now.worker.max_bytes = 5000;
    struct dri_live *live = make(&now, false);
    assert_int_equal(live->max_in_flight, 50);
    assert_int_equal(live->max_unacked, 200);
    assert_int_equal(live->max_bytes, 5000);
    dri_live_destroy(live);
}

static void times_are_taken_as_they_are(void **state)
{
    (void)state;
    struct dri_settings now = start;
    now.worker.timeout_ms = 10;
    now.worker.settle_ms = 20;
    now.worker.revoke_ms = 30;
    now.worker.drain_ms = 40;
    now.worker.close_ms = 50;
    now.worker.stall_ms = 60;
    struct dri_live *live = make(&now, false);
    assert_int_equal(live->timeout_ms, 10);
    assert_int_equal(live->settle_ms, 20);
    assert_int_equal(live->revoke_ms, 30);
    assert_int_equal(live->drain_ms, 40);
    assert_int_equal(live->close_ms, 50);
    assert_int_equal(live->stall_ms, 60);
    dri_live_destroy(live);
}

static void replies_go_by_default_to_the_results_topic_of_the_start(void **state)
{
    (void)state;
    struct dri_settings now = start;
    now.topics.results = "elsewhere";
    struct dri_live *live = make(&now, true);
    assert_int_equal(live->reply_patterns_count, 3);
    assert_string_equal(live->reply_patterns[0], "results");
    assert_string_equal(live->reply_patterns[1], "results.*");
    assert_string_equal(live->reply_patterns[2], "_INBOX.>");
    dri_live_destroy(live);
    live = make(&now, false);
    assert_int_equal(live->reply_patterns_count, 2);
    dri_live_destroy(live);
}

static void lists_are_copied_and_cut_up(void **state)
{
    (void)state;
    char reply_to[] = "a.*,,b.>";
    char namespaces[] = "one,two";
    struct dri_settings now = start;
    now.worker.reply_to = reply_to;
    now.worker.namespaces = namespaces;
    struct dri_live *live = make(&now, true);
    reply_to[0] = 'x';
    namespaces[0] = 'x';
    assert_int_equal(live->reply_patterns_count, 2);
    assert_string_equal(live->reply_patterns[0], "a.*");
    assert_string_equal(live->reply_patterns[1], "b.>");
    assert_string_equal(live->namespaces, "one,two");
    dri_live_destroy(live);
    live = make(&start, true);
    assert_null(live->namespaces);
    dri_live_destroy(live);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    struct dri_settings now = start;
    now.worker.reply_to = "a";
    now.worker.namespaces = "b";
    uint64_t failures = 0;
    for (uint64_t n = 1;; n++) {
        struct dri_live *live = NULL;
        dri_mem_fail_at(n);
        enum dray_status status = dri_live_create(&start, &now, true, &live);
        dri_mem_fail_at(0);
        if (status == DRAY_OK) {
            dri_live_destroy(live);
            break;
        }
        test_status(DRAY_ENOMEM, status);
        assert_null(live);
        failures++;
    }
    assert_int_equal(failures, 4);
    assert_int_equal(dri_mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_laid_out_bounds_what_is_read_later),
        cmocka_unit_test(times_are_taken_as_they_are),
        cmocka_unit_test(replies_go_by_default_to_the_results_topic_of_the_start),
        cmocka_unit_test(lists_are_copied_and_cut_up),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
