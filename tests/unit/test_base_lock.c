/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "support/test.h"

static void locks_of_rising_rank_are_taken_and_dropped_in_any_order(void **state)
{
    (void)state;
    struct dri_lock low, middle, high;
    dri_lock_init(&low, DRI_LOCK_WORKER);
    dri_lock_init(&middle, DRI_LOCK_REGISTRY);
    dri_lock_init(&high, DRI_LOCK_TEST);
    dri_lock_take(&low);
    dri_lock_take(&middle);
    dri_lock_drop(&low);
    dri_lock_take(&high);
    dri_lock_assert_held(&middle);
    dri_lock_assert_held(&high);
    dri_lock_drop(&high);
    dri_lock_drop(&middle);
    dri_lock_take(&low); /* nothing is held any more: any rank will do */
    dri_lock_drop(&low);
    dri_lock_fini(&low);
    dri_lock_fini(&middle);
    dri_lock_fini(&high);
}

/** Whether fn ends its process by abort. */
static bool is_aborting(void (*fn)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void take_downwards(void)
{
    struct dri_lock low, high;
    dri_lock_init(&low, DRI_LOCK_REGISTRY);
    dri_lock_init(&high, DRI_LOCK_METRICS);
    dri_lock_take(&high);
    dri_lock_take(&low);
}

static void take_same_rank(void)
{
    struct dri_lock a, b;
    dri_lock_init(&a, DRI_LOCK_ROUTE);
    dri_lock_init(&b, DRI_LOCK_ROUTE);
    dri_lock_take(&a);
    dri_lock_take(&b);
}

static void take_twice(void)
{
    struct dri_lock lock;
    dri_lock_init(&lock, DRI_LOCK_ROUTE);
    dri_lock_take(&lock);
    dri_lock_take(&lock);
}

static void drop_unheld(void)
{
    struct dri_lock lock;
    dri_lock_init(&lock, DRI_LOCK_ROUTE);
    dri_lock_drop(&lock);
}

static void assert_unheld(void)
{
    struct dri_lock lock;
    dri_lock_init(&lock, DRI_LOCK_ROUTE);
    dri_lock_assert_held(&lock);
}

static void take_upwards(void)
{
    struct dri_lock low, high;
    dri_lock_init(&low, DRI_LOCK_REGISTRY);
    dri_lock_init(&high, DRI_LOCK_METRICS);
    dri_lock_take(&low);
    dri_lock_take(&high);
}

static void a_mistake_with_ranks_ends_the_process(void **state)
{
    (void)state;
    assert_true(is_aborting(take_downwards));
    assert_true(is_aborting(take_same_rank));
    assert_true(is_aborting(take_twice));
    assert_true(is_aborting(drop_unheld));
    assert_true(is_aborting(assert_unheld));
    assert_false(is_aborting(take_upwards));
}

struct shared {
    struct dri_lock lock;
    struct dri_cond cond;
    int turn;  /* guard: lock */
    int moves; /* guard: lock */
};

static void *take_turns(void *arg)
{
    struct shared *shared = (struct shared *)arg;
    for (int i = 0; i < 1000; i++) {
        dri_lock_take(&shared->lock);
        while (shared->turn != 1) {
            dri_cond_wait_until(&shared->cond, &shared->lock, UINT64_MAX);
        }
        shared->turn = 0;
        shared->moves++;
        dri_cond_signal(&shared->cond);
        dri_lock_drop(&shared->lock);
    }
    return NULL;
}

static void two_threads_take_turns_by_a_condition(void **state)
{
    (void)state;
    struct shared shared = {.turn = 0};
    pthread_t thread;
    dri_lock_init(&shared.lock, DRI_LOCK_TEST);
    dri_cond_init(&shared.cond);
    assert_int_equal(pthread_create(&thread, NULL, take_turns, &shared), 0);
    for (int i = 0; i < 1000; i++) {
        dri_lock_take(&shared.lock);
        shared.turn = 1;
        dri_cond_broadcast(&shared.cond);
        while (shared.turn != 0) {
            dri_cond_wait_until(&shared.cond, &shared.lock, dri_clock_mono_ns() + 1000000000u);
        }
        dri_lock_drop(&shared.lock);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(shared.moves, 1000);
    dri_cond_fini(&shared.cond);
    dri_lock_fini(&shared.lock);
}

static void a_wait_ends_at_its_time(void **state)
{
    (void)state;
    struct dri_lock lock;
    struct dri_cond cond;
    dri_lock_init(&lock, DRI_LOCK_TEST);
    dri_cond_init(&cond);
    dri_lock_take(&lock);
    uint64_t until_ns = dri_clock_mono_ns() + 3000000u;
    while (dri_clock_mono_ns() < until_ns) {
        dri_cond_wait_until(&cond, &lock, until_ns);
    }
    dri_lock_assert_held(&lock);
    assert_true(dri_clock_mono_ns() >= until_ns);
    dri_lock_drop(&lock);
    dri_cond_fini(&cond);
    dri_lock_fini(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_of_rising_rank_are_taken_and_dropped_in_any_order),
        cmocka_unit_test(a_mistake_with_ranks_ends_the_process),
        cmocka_unit_test(two_threads_take_turns_by_a_condition),
        cmocka_unit_test(a_wait_ends_at_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
