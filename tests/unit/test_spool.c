/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"
#include "run/spool.h"
#include "support/test.h"

#define SEGMENT_BYTES 65536u
#define BYTES         16000u /* four of them fit a segment, with what stands before each */

static char folder[] = "/tmp/dray-spool-XXXXXX";
static char log_text[4096];

static void log_take(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)snprintf(log_text, sizeof(log_text), "%.*s", (int)len, line);
}

static int folder_make(void **state)
{
    (void)state;
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, log_take, NULL);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when a file was left in it */
}

/* Both forms, with a file and without: every case runs on each. */
static const char *const folders[] = {folder, NULL};
#define EACH_FORM(spool)                                                                           \
    for (size_t form_ = 0; form_ < 2 && ((spool) = spool_make(folders[form_])) != NULL; form_++)

static struct dri_spool *spool_make(const char *where)
{
    struct dri_spool *spool = NULL;
    test_ok(dri_spool_create(where, SEGMENT_BYTES, &spool));
    return spool;
}

static struct dri_spooled message_of(uint8_t byte, size_t bytes)
{
    static uint8_t value[4 * SEGMENT_BYTES];
    assert_true(bytes <= sizeof(value));
    memset(value, byte, bytes);
    return (struct dri_spooled){.value = dray_slice_of(value, bytes), .timestamp_ms = byte};
}

static uint64_t put(struct dri_spool *spool, uint8_t byte, size_t bytes)
{
    struct dri_spooled message = message_of(byte, bytes);
    uint64_t place = 0;
    test_ok(dri_spool_put(spool, &message, &place));
    assert_true(place != 0);
    return place;
}

static void is_there(struct dri_spool *spool, uint64_t place, uint8_t byte, size_t bytes)
{
    struct dri_spooled back;
    test_ok(dri_spool_get(spool, place, &back));
    assert_true(back.timestamp_ms == byte);
    assert_int_equal(back.value.len, bytes);
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(back.value.at[i], byte);
    }
    assert_true(dray_slice_is_absent(back.key));
}

static uint64_t kept_of(const struct dri_spool *spool)
{
    uint64_t kept = 0, file = 0;
    dri_spool_stats(spool, &kept, &file);
    return kept;
}

static uint64_t file_of(const struct dri_spool *spool)
{
    uint64_t kept = 0, file = 0;
    dri_spool_stats(spool, &kept, &file);
    return file;
}

static void a_message_comes_back_part_by_part(void **state)
{
    const struct dri_spooled message = {.key = dray_slice_text("k"),
                                        .value = dray_slice_text("the bytes"),
                                        .headers = dray_slice_text(""),
                                        .timestamp_ms = -7};
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        struct dri_spooled back;
        uint64_t place = 0;
        test_ok(dri_spool_put(spool, &message, &place));
        test_ok(dri_spool_get(spool, place, &back));
        test_slice("k", back.key);
        test_slice("the bytes", back.value);
        test_slice("", back.headers);
        assert_true(dray_slice_is_absent(back.subject));
        assert_true(back.timestamp_ms == -7);
        dri_spool_destroy(spool);
    }
}

static void a_message_without_any_part_comes_back(void **state)
{
    const struct dri_spooled message = {.timestamp_ms = 1};
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        struct dri_spooled back;
        uint64_t place = 0;
        test_ok(dri_spool_put(spool, &message, &place));
        test_ok(dri_spool_get(spool, place, &back));
        assert_true(dray_slice_is_absent(back.key) && dray_slice_is_absent(back.value));
        assert_true(dray_slice_is_absent(back.headers) && dray_slice_is_absent(back.subject));
        dri_spool_destroy(spool);
    }
}

static void many_messages_stand_beside_each_other(void **state)
{
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        uint64_t places[200];
        for (size_t i = 0; i < 200; i++) {
            places[i] = put(spool, (uint8_t)i, i * 50);
        }
        for (size_t i = 200; i-- > 0;) {
            is_there(spool, places[i], (uint8_t)i, i * 50);
        }
        for (size_t i = 0; i < 200; i += 2) {
            dri_spool_drop(spool, places[i]);
        }
        for (size_t i = 1; i < 200; i += 2) {
            is_there(spool, places[i], (uint8_t)i, i * 50);
        }
        dri_spool_destroy(spool);
    }
}

static void space_of_an_empty_segment_is_given_back_and_filled_again(void **state)
{
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        uint64_t places[8];
        for (size_t i = 0; i < 8; i++) {
            places[i] = put(spool, (uint8_t)i, BYTES);
        }
        uint64_t full = file_of(spool);
        assert_true(kept_of(spool) >= 8 * BYTES && full >= 8 * BYTES);
        for (size_t i = 0; i < 3; i++) {
            dri_spool_drop(spool, places[i]);
            assert_true(file_of(spool) == full); /* a neighbour is still there */
        }
        dri_spool_drop(spool, places[3]);
        assert_true(file_of(spool) < full);
        for (size_t i = 0; i < 4; i++) {
            places[i] = put(spool, (uint8_t)(100 + i), BYTES);
        }
        assert_true(file_of(spool) == full); /* no third segment */
        for (size_t i = 0; i < 8; i++) {
            is_there(spool, places[i], (uint8_t)(i < 4 ? 100 + i : i), BYTES);
            dri_spool_drop(spool, places[i]);
        }
        assert_true(kept_of(spool) == 0 && file_of(spool) == 0);
        dri_spool_destroy(spool);
    }
}

static void the_segment_that_is_being_filled_can_become_empty(void **state)
{
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        for (unsigned i = 0; i < 100; i++) {
            uint64_t place = put(spool, (uint8_t)i, BYTES);
            is_there(spool, place, (uint8_t)i, BYTES);
            dri_spool_drop(spool, place);
        }
        assert_true(kept_of(spool) == 0 && file_of(spool) == 0);
        dri_spool_destroy(spool);
    }
}

static void a_message_larger_than_a_segment_has_one_of_its_own(void **state)
{
    const size_t large = 3 * SEGMENT_BYTES;
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        uint64_t before = put(spool, 1, BYTES);
        uint64_t place = put(spool, 2, large);
        uint64_t after = put(spool, 3, BYTES);
        is_there(spool, before, 1, BYTES);
        is_there(spool, place, 2, large);
        is_there(spool, after, 3, BYTES);
        dri_spool_drop(spool, place);
        place = put(spool, 4, large);
        is_there(spool, before, 1, BYTES);
        is_there(spool, place, 4, large);
        is_there(spool, after, 3, BYTES);
        dri_spool_destroy(spool);
    }
}

static void kept_is_what_was_put_and_not_dropped(void **state)
{
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        uint64_t first = put(spool, 1, 1000);
        uint64_t one = kept_of(spool);
        uint64_t second = put(spool, 2, 2000);
        assert_true(one > 1000 && one < 1100);
        assert_true(kept_of(spool) == 2 * one + 1000);
        dri_spool_drop(spool, first);
        assert_true(kept_of(spool) == one + 1000);
        dri_spool_drop(spool, second);
        assert_true(kept_of(spool) == 0);
        dri_spool_destroy(spool);
    }
}

static bool says_full(void *arg)
{
    return *(const bool *)arg;
}

#define SMALL  1000u
#define A_PART 50u /* of them is less than a segment */
#define MANY   (40u * A_PART)

/* All but one in so many go, and what they leave nearly empty. */
static void thin_out(struct dri_spool *spool, uint64_t places[MANY])
{
    for (size_t i = 0; i < MANY; i++) {
        places[i] = put(spool, (uint8_t)i, SMALL);
    }
    for (size_t i = 0; i < MANY; i++) {
        if (i % A_PART != 7) {
            dri_spool_drop(spool, places[i]);
        }
    }
}

static void check_thinned(struct dri_spool *spool, const uint64_t places[MANY])
{
    for (size_t i = 7; i < MANY; i += A_PART) {
        is_there(spool, places[i], (uint8_t)i, SMALL);
    }
}

static void what_stays_alone_in_its_segment_moves_and_gives_the_space_back(void **state)
{
    static uint64_t places[MANY];
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        thin_out(spool, places);
        assert_true(kept_of(spool) > 40 * SMALL && kept_of(spool) < 45 * SMALL);
        assert_true(file_of(spool) <= (uint64_t)3 * SEGMENT_BYTES);
        check_thinned(spool, places);
        for (size_t i = 7; i < MANY; i += A_PART) {
            dri_spool_drop(spool, places[i]);
        }
        assert_true(kept_of(spool) == 0 && file_of(spool) == 0);
        is_there(spool, put(spool, 9, SMALL), 9, SMALL);
        dri_spool_destroy(spool);
    }
}

/* Too little room for the copies: they stay where they are. */
static void what_cannot_move_stays_and_moves_later(void **state)
{
    static uint64_t places[MANY];
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        bool is_full = false;
        for (size_t i = 0; i < MANY; i++) {
            places[i] = put(spool, (uint8_t)i, SMALL);
        }
        dri_spool_set_full(spool, says_full, &is_full);
        is_full = true;
        for (size_t i = 0; i < MANY; i++) {
            if (i % A_PART != 7 && i % A_PART != 8) {
                dri_spool_drop(spool, places[i]);
            }
        }
        assert_false(dri_spool_is_late(spool));
        check_thinned(spool, places);
        uint64_t before = file_of(spool);
        is_full = false;
        for (size_t i = 8; i < MANY; i += A_PART) {
            dri_spool_drop(spool, places[i]);
        }
        assert_true(file_of(spool) < before / 4);
        check_thinned(spool, places);
        dri_spool_destroy(spool);
    }
}

/* A file of at most so many bytes; SIZE_MAX: of any size again. */
static void disk_set(size_t bytes)
{
    struct rlimit limit;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == SIZE_MAX ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_a_full_disk_has_no_room_for_stays_in_memory_until_it_has(void **state)
{
    uint64_t places[16];
    struct dri_spool *spool = spool_make(folder);

    (void)state;
    disk_set(100000);
    for (size_t i = 0; i < 16; i++) {
        places[i] = put(spool, (uint8_t)i, BYTES);
        assert_int_equal(dri_spool_is_late(spool), i >= 6);
    }
    assert_non_null(strstr(log_text, "SPOOL-FILE"));
    assert_non_null(strstr(log_text, "File too large"));
    assert_false(dri_spool_catch_up(spool));
    assert_true(dri_spool_is_late(spool));
    for (size_t i = 0; i < 16; i++) {
        is_there(spool, places[i], (uint8_t)i, BYTES);
    }
    uint64_t before = file_of(spool);
    disk_set(SIZE_MAX);
    assert_true(dri_spool_catch_up(spool));
    assert_false(dri_spool_is_late(spool));
    assert_true(file_of(spool) >= before + 10 * BYTES);
    for (size_t i = 0; i < 16; i++) {
        is_there(spool, places[i], (uint8_t)i, BYTES);
    }
    uint64_t place = put(spool, 99, BYTES);
    is_there(spool, place, 99, BYTES);
    assert_false(dri_spool_is_late(spool));
    dri_spool_destroy(spool);
}

static void a_spool_is_not_late_any_more_when_what_was_late_is_gone(void **state)
{
    uint64_t places[8];
    struct dri_spool *spool = spool_make(folder);

    (void)state;
    disk_set(10000);
    for (size_t i = 0; i < 8; i++) {
        places[i] = put(spool, (uint8_t)i, BYTES);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_true(dri_spool_is_late(spool));
        dri_spool_drop(spool, places[i]);
    }
    assert_false(dri_spool_is_late(spool));
    assert_true(kept_of(spool) == 0);
    disk_set(SIZE_MAX);
    is_there(spool, put(spool, 9, BYTES), 9, BYTES);
    dri_spool_destroy(spool);
}

static void a_test_can_say_that_the_disk_is_full(void **state)
{
    struct dri_spool *spool;
    (void)state;
    EACH_FORM(spool)
    {
        bool is_full = true;
        dri_spool_set_full(spool, says_full, &is_full);
        uint64_t place = put(spool, 7, BYTES);
        assert_true(dri_spool_is_late(spool) && !dri_spool_catch_up(spool));
        is_full = false;
        assert_true(dri_spool_catch_up(spool) && !dri_spool_is_late(spool));
        is_there(spool, place, 7, BYTES);
        dri_spool_destroy(spool);
    }
}

static void a_folder_that_is_not_there_is_said(void **state)
{
    struct dri_spool *spool = NULL;
    (void)state;
    test_status(DRAY_EIO, dri_spool_create("/nowhere/at/all", 0, &spool));
    assert_null(spool);
    assert_non_null(strstr(log_text, "/nowhere/at/all"));
    assert_non_null(strstr(log_text, "No such file"));
}

static size_t files_in(const char *where)
{
    DIR *listing = opendir(where);
    size_t count = 0;
    assert_non_null(listing);
    while (readdir(listing) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread */
        count++;
    }
    (void)closedir(listing);
    return count - 2;
}

static void the_file_has_no_name(void **state)
{
    struct dri_spool *spool = spool_make(folder);
    (void)state;
    (void)put(spool, 1, BYTES);
    assert_int_equal(files_in(folder), 0);
    dri_spool_destroy(spool);
}

static bool life_with_failure_at(const char *where, uint64_t nth)
{
    const struct dri_spooled message = message_of(5, BYTES);
    size_t live = dri_mem_live();
    struct dri_spool *spool = NULL;
    struct dri_spooled back;
    uint64_t place = 0;

    dri_mem_fail_at(nth);
    enum dray_status status = dri_spool_create(where, SEGMENT_BYTES, &spool);
    if (status == DRAY_OK) {
        status = dri_spool_put(spool, &message, &place);
    }
    if (status == DRAY_OK) {
        status = dri_spool_get(spool, place, &back);
    }
    bool has_failed = dri_mem_failed() != 0;
    dri_mem_fail_at(0);
    test_status(has_failed ? DRAY_ENOMEM : DRAY_OK, status);
    if (spool != NULL && place != 0) { /* and it goes on */
        is_there(spool, place, 5, BYTES);
    } else if (spool != NULL) {
        place = put(spool, 6, BYTES);
        is_there(spool, place, 6, BYTES);
    }
    dri_spool_destroy(spool);
    assert_int_equal(dri_mem_live(), live);
    return has_failed;
}

static void every_allocation_that_fails_is_said(void **state)
{
    (void)state;
    for (size_t form = 0; form < 2; form++) {
        uint64_t nth = 1;
        while (life_with_failure_at(folders[form], nth)) {
            nth++;
        }
        assert_true(nth > 3);
    }
}

static void destroy_takes_nothing_too(void **state)
{
    (void)state;
    dri_spool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back_part_by_part),
        cmocka_unit_test(a_message_without_any_part_comes_back),
        cmocka_unit_test(many_messages_stand_beside_each_other),
        cmocka_unit_test(space_of_an_empty_segment_is_given_back_and_filled_again),
        cmocka_unit_test(the_segment_that_is_being_filled_can_become_empty),
        cmocka_unit_test(a_message_larger_than_a_segment_has_one_of_its_own),
        cmocka_unit_test(kept_is_what_was_put_and_not_dropped),
        cmocka_unit_test(what_stays_alone_in_its_segment_moves_and_gives_the_space_back),
        cmocka_unit_test(what_cannot_move_stays_and_moves_later),
        cmocka_unit_test(what_a_full_disk_has_no_room_for_stays_in_memory_until_it_has),
        cmocka_unit_test(a_spool_is_not_late_any_more_when_what_was_late_is_gone),
        cmocka_unit_test(a_test_can_say_that_the_disk_is_full),
        cmocka_unit_test(a_folder_that_is_not_there_is_said),
        cmocka_unit_test(the_file_has_no_name),
        cmocka_unit_test(every_allocation_that_fails_is_said),
        cmocka_unit_test(destroy_takes_nothing_too),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
