/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"
#include "support/test.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HAS_ASAN 1
#endif

/* Who sees a block that is given twice: the pool, or AddressSanitizer. */
#if defined(DRI_POOL_MALLOC) && !defined(HAS_ASAN)
#define HAS_JUDGE false
#else
#define HAS_JUDGE true
#endif

static void blocks_of_every_size_hold_their_bytes(void **state)
{
    (void)state;
    size_t before = dri_mem_live();
    struct dri_pool *pool = NULL;
    uint8_t *blocks[700];
    size_t sizes[700];
    size_t count = 0;
    test_ok(dri_pool_create(SIZE_MAX, &pool));
    for (size_t bytes = 0; bytes < (4u << 20) && count < 700; bytes += 1 + bytes / 37) {
        uint8_t *block = (uint8_t *)dri_pool_take(pool, bytes);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, (int)(count & 0xff), bytes);
        blocks[count] = block;
        sizes[count] = bytes;
        count++;
    }
    assert_true(count > 200);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizes[i]; k += 61) {
            assert_int_equal(blocks[i][k], i & 0xff);
        }
        dri_pool_give(pool, blocks[i]);
    }
    assert_int_equal(dri_pool_bytes_out(pool), 0);
    dri_pool_destroy(pool);
    assert_int_equal(dri_mem_live(), before);
}

static void what_is_charged_is_at_most_half_more_than_asked_for(void **state)
{
    (void)state;
    struct dri_pool *pool = NULL;
    test_ok(dri_pool_create(SIZE_MAX, &pool));
    for (size_t bytes = 48; bytes < (3u << 20); bytes += 1 + bytes / 19) {
        void *block = dri_pool_take(pool, bytes);
        size_t charged = dri_pool_bytes_out(pool);
        assert_true(charged >= bytes + 16);
        assert_true(charged <= (bytes + 16) + (bytes + 16) / 2 + 1);
        dri_pool_give(pool, block);
    }
    dri_pool_destroy(pool);
}

static void the_bound_counts_what_is_out_and_not_what_is_cached(void **state)
{
    (void)state;
    struct dri_pool *pool = NULL;
    void *blocks[16];
    test_ok(dri_pool_create(16 * 1024, &pool));
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 16; i++) {
            blocks[i] = dri_pool_take(pool, 1000);
            assert_non_null(blocks[i]);
        }
        assert_null(dri_pool_take(pool, 1));
        assert_null(dri_pool_take(pool, SIZE_MAX));
        assert_int_equal(dri_pool_bytes_out(pool), 16 * 1024);
        for (int i = 0; i < 16; i++) {
            dri_pool_give(pool, blocks[i]);
        }
    }
    dri_pool_give(pool, NULL);
    dri_pool_destroy(pool);
    dri_pool_destroy(NULL);
}

static void a_block_that_comes_back_is_the_next_one_taken(void **state)
{
    (void)state;
#ifdef DRI_POOL_MALLOC
    test_skip("every take is a malloc in this build");
#else
    struct dri_pool *pool = NULL;
    test_ok(dri_pool_create(SIZE_MAX, &pool));
    void *a = dri_pool_take(pool, 200);
    void *b = dri_pool_take(pool, 200);
    size_t live = dri_mem_live();
    dri_pool_give(pool, b);
    dri_pool_give(pool, a);
    assert_ptr_equal(dri_pool_take(pool, 180), a);
    assert_ptr_equal(dri_pool_take(pool, 230), b);
    assert_int_equal(dri_mem_live(), live);
    dri_pool_give(pool, a);
    dri_pool_give(pool, b);
    dri_pool_destroy(pool);
#endif
}

static void large_blocks_are_not_kept_without_bound(void **state)
{
    (void)state;
    struct dri_pool *pool = NULL;
    void *blocks[32];
    test_ok(dri_pool_create(SIZE_MAX, &pool));
    size_t before = dri_mem_live();
    for (int i = 0; i < 32; i++) {
        blocks[i] = dri_pool_take(pool, 1u << 20);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(dri_mem_live(), before + 32);
    for (int i = 0; i < 32; i++) {
        dri_pool_give(pool, blocks[i]);
    }
    assert_true(dri_mem_live() <= before + 8);
    dri_pool_destroy(pool);
}

static void without_memory_nothing_is_taken_and_the_pool_stays_sound(void **state)
{
    (void)state;
    size_t before = dri_mem_live();
    struct dri_pool *pool = NULL;
    static const size_t sizes[] = {10, 5000, 200000, 3u << 20};
    dri_mem_fail_at(1);
    test_status(DRAY_ENOMEM, dri_pool_create(SIZE_MAX, &pool));
    dri_mem_fail_at(0);
    assert_null(pool);
    test_ok(dri_pool_create(SIZE_MAX, &pool));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint64_t n = 1;; n++) {
            dri_mem_fail_at(n);
            void *block = dri_pool_take(pool, sizes[i]);
            bool has_failed = dri_mem_failed() != 0;
            dri_mem_fail_at(0);
            assert_int_equal(block == NULL, has_failed);
            dri_pool_give(pool, block);
            if (!has_failed) {
                break;
            }
            assert_int_equal(dri_pool_bytes_out(pool), 0);
        }
    }
    dri_pool_destroy(pool);
    assert_int_equal(dri_mem_live(), before);
}

static void give_twice(void)
{
    struct dri_pool *pool = NULL;
    if (dri_pool_create(SIZE_MAX, &pool) == DRAY_OK) {
        void *volatile block = dri_pool_take(pool, 100);
        dri_pool_give(pool, block);
        dri_pool_give(pool, block);
    }
}

static void destroy_with_a_block_out(void)
{
    struct dri_pool *pool = NULL;
    if (dri_pool_create(SIZE_MAX, &pool) == DRAY_OK && dri_pool_take(pool, 100) != NULL) {
        dri_pool_destroy(pool);
    }
}

/** Whether fn ends its process other than by returning. */
static bool is_fatal(void (*fn)(void))
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
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_block_given_twice_or_kept_past_the_end_ends_the_process(void **state)
{
    (void)state;
    assert_true(is_fatal(destroy_with_a_block_out));
    if (HAS_JUDGE) {
        assert_true(is_fatal(give_twice));
    } else {
        test_skip("every take is a malloc in this build, and nobody watches the heap");
    }
}

static void a_block_on_the_free_list_is_poisoned(void **state)
{
    (void)state;
#if defined(HAS_ASAN)
    struct dri_pool *pool = NULL;
    test_ok(dri_pool_create(SIZE_MAX, &pool));
    uint8_t *block = (uint8_t *)dri_pool_take(pool, 100);
    assert_int_equal(__asan_address_is_poisoned(block + 99), 0);
    assert_int_equal(__asan_address_is_poisoned(block + 100), 1);
    dri_pool_give(pool, block);
    assert_int_equal(__asan_address_is_poisoned(block), 1);
    assert_int_equal(__asan_address_is_poisoned(block + 99), 1);
    dri_pool_destroy(pool);
#else
    test_skip("needs AddressSanitizer");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_every_size_hold_their_bytes),
        cmocka_unit_test(what_is_charged_is_at_most_half_more_than_asked_for),
        cmocka_unit_test(the_bound_counts_what_is_out_and_not_what_is_cached),
        cmocka_unit_test(a_block_that_comes_back_is_the_next_one_taken),
        cmocka_unit_test(large_blocks_are_not_kept_without_bound),
        cmocka_unit_test(without_memory_nothing_is_taken_and_the_pool_stays_sound),
        cmocka_unit_test(a_block_given_twice_or_kept_past_the_end_ends_the_process),
        cmocka_unit_test(a_block_on_the_free_list_is_poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
