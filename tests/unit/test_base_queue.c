/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <poll.h>
#include <pthread.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/queue.h"
#include "support/test.h"

static int items[64];

static void items_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    struct dri_spsc *queue = NULL;
    void *in[5], *out[8];
    test_ok(dri_spsc_create(8, &queue));
    for (int i = 0; i < 5; i++) {
        in[i] = &items[i];
    }
    for (int turn = 0; turn < 100; turn++) {
        assert_int_equal(dri_spsc_put(queue, in, 5), 5);
        assert_int_equal(dri_spsc_count(queue), 5);
        assert_int_equal(dri_spsc_take(queue, out, 2), 2);
        assert_int_equal(dri_spsc_take(queue, out + 2, 8 - 2), 3);
        assert_memory_equal(in, out, sizeof(in));
    }
    assert_int_equal(dri_spsc_take(queue, out, 8), 0);
    dri_spsc_destroy(queue);
}

static void a_full_queue_takes_what_fits(void **state)
{
    (void)state;
    struct dri_spsc *queue = NULL;
    void *in[11], *out[11];
    test_ok(dri_spsc_create(5, &queue)); /* eight */
    for (int i = 0; i < 11; i++) {
        in[i] = &items[i];
    }
    assert_int_equal(dri_spsc_put(queue, in, 11), 8);
    assert_int_equal(dri_spsc_put(queue, in + 8, 3), 0);
    assert_int_equal(dri_spsc_take(queue, out, 2), 2);
    assert_int_equal(dri_spsc_put(queue, in + 8, 3), 2);
    assert_int_equal(dri_spsc_take(queue, out + 2, 9), 8);
    assert_memory_equal(in, out, 10 * sizeof(in[0]));
    dri_spsc_destroy(queue);
    dri_spsc_destroy(NULL);
}

static void a_queue_that_finds_no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    size_t before = dri_mem_live();
    struct dri_spsc *queue = NULL;
    for (uint64_t n = 1; n <= 2; n++) {
        dri_mem_fail_at(n);
        test_status(DRAY_ENOMEM, dri_spsc_create(8, &queue));
        dri_mem_fail_at(0);
        assert_null(queue);
        assert_int_equal(dri_mem_live(), before);
    }
    test_status(DRAY_ENOMEM, dri_spsc_create(SIZE_MAX, &queue));
}

#define HANDED 200000u

struct pair {
    struct dri_spsc *there;
    struct dri_spsc *back;
    struct dri_wake wake_taker;
    struct dri_wake wake_putter;
};

static size_t take_or_sleep(struct dri_spsc *queue, struct dri_wake *wake, void **out, size_t max)
{
    size_t n = dri_spsc_take(queue, out, max);
    if (n != 0) {
        return n;
    }
    dri_wake_prepare(wake);
    n = dri_spsc_take(queue, out, max);
    if (n != 0) {
        dri_wake_cancel(wake);
        return n;
    }
    dri_wake_wait(wake, UINT64_MAX);
    return 0;
}

/** Gives everything back, each number one higher. */
static void *echo(void *arg)
{
    struct pair *pair = (struct pair *)arg;
    void *batch[17];
    for (uint32_t done = 0; done < HANDED;) {
        size_t n = take_or_sleep(pair->there, &pair->wake_taker, batch, 17);
        for (size_t i = 0; i < n; i++) {
            *(uint32_t *)batch[i] += 1;
        }
        DRI_ASSERT(dri_spsc_put(pair->back, batch, n) == n);
        if (n != 0) {
            dri_wake_notify(&pair->wake_putter);
        }
        done += (uint32_t)n;
    }
    return NULL;
}

static void nothing_is_lost_or_reordered_between_two_sleeping_threads(void **state)
{
    (void)state;
    static uint32_t numbers[64];
    struct pair pair;
    pthread_t thread;
    uint32_t sent = 0, back = 0, wrong = 0;
    test_ok(dri_spsc_create(64, &pair.there));
    test_ok(dri_spsc_create(64, &pair.back));
    test_ok(dri_wake_init(&pair.wake_taker));
    test_ok(dri_wake_init(&pair.wake_putter));
    assert_int_equal(pthread_create(&thread, NULL, echo, &pair), 0);
    while (back < HANDED) {
        while (sent < HANDED && sent - back < 64) {
            numbers[sent % 64] = sent;
            void *item = &numbers[sent % 64];
            assert_int_equal(dri_spsc_put(pair.there, &item, 1), 1);
            sent++;
        }
        dri_wake_notify(&pair.wake_taker);
        void *batch[5];
        size_t n = take_or_sleep(pair.back, &pair.wake_putter, batch, 5);
        for (size_t i = 0; i < n; i++) {
            wrong += *(uint32_t *)batch[i] != back + 1;
            back++;
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wrong, 0);
    dri_spsc_destroy(pair.there);
    dri_spsc_destroy(pair.back);
    dri_wake_fini(&pair.wake_taker);
    dri_wake_fini(&pair.wake_putter);
}

static bool is_readable(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) == 1;
}

static void notify_writes_only_when_the_sleeper_has_prepared(void **state)
{
    (void)state;
    struct dri_wake wake;
    test_ok(dri_wake_init(&wake));
    dri_wake_notify(&wake);
    assert_false(is_readable(wake.fd));
    dri_wake_prepare(&wake);
    dri_wake_notify(&wake);
    dri_wake_notify(&wake);
    assert_true(is_readable(wake.fd));
    dri_wake_wait(&wake, UINT64_MAX);
    assert_false(is_readable(wake.fd));
    dri_wake_prepare(&wake);
    dri_wake_notify(&wake);
    dri_wake_cancel(&wake);
    assert_false(is_readable(wake.fd));
    dri_wake_notify(&wake);
    assert_false(is_readable(wake.fd));
    dri_wake_fini(&wake);
}

static void a_sleeper_that_nobody_wakes_wakes_by_time(void **state)
{
    (void)state;
    struct dri_wake wake;
    test_ok(dri_wake_init(&wake));
    uint64_t begin_ns = dri_clock_mono_ns();
    dri_wake_prepare(&wake);
    dri_wake_wait(&wake, 2000000);
    assert_true(dri_clock_mono_ns() - begin_ns >= 2000000);
    dri_wake_fini(&wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_full_queue_takes_what_fits),
        cmocka_unit_test(a_queue_that_finds_no_memory_leaves_nothing_behind),
        cmocka_unit_test(nothing_is_lost_or_reordered_between_two_sleeping_threads),
        cmocka_unit_test(notify_writes_only_when_the_sleeper_has_prepared),
        cmocka_unit_test(a_sleeper_that_nobody_wakes_wakes_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
