/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdlib.h>

#include "assert.h"
#include "core/progress.h"
#include "support/test.h"

/* The text beside a committed position: written and read again, and everything else that may stand
 * there. */

#define RUNS_MAX 30000u

static char text[DRI_PROGRESS_BYTES_MAX];
static struct dri_progress_run runs[RUNS_MAX];

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct dray_slice write_runs(uint64_t position, size_t count)
{
    struct dri_progress_writer writer;
    dri_progress_write(&writer, text, position);
    for (size_t i = 0; i < count; i++) {
        if (!dri_progress_add(&writer, runs[i].begin, runs[i].end)) {
            break;
        }
    }
    return dri_progress_close(&writer);
}

/* How many of the first of runs[] the text says, in order and unchanged. */
static size_t read_runs(struct dray_slice bytes, uint64_t position)
{
    struct dri_progress_reader reader;
    struct dri_progress_run run;
    size_t count = 0;
    assert_true(dri_progress_read(&reader, bytes, position));
    while (dri_progress_next(&reader, &run)) {
        assert_true(count < RUNS_MAX);
        assert_int_equal(runs[count].begin, run.begin);
        assert_int_equal(runs[count].end, run.end);
        count++;
    }
    return count;
}

static bool is_read(struct dray_slice bytes, uint64_t position)
{
    struct dri_progress_reader reader;
    return dri_progress_read(&reader, bytes, position);
}

/* Runs that do not touch; how long they and the gaps are is drawn up to most. */
static void draw_runs(uint64_t *seed, uint64_t position, size_t count, uint64_t most)
{
    uint64_t at = position + next_random(seed) % 2;
    for (size_t i = 0; i < count; i++) {
        runs[i].begin = at;
        runs[i].end = at + 1 + next_random(seed) % most;
        at = runs[i].end + 1 + next_random(seed) % most;
    }
}

/* --- round trip --- */

static void nothing_finished_is_no_text(void **state)
{
    (void)state;
    assert_true(dray_slice_is_absent(write_runs(100, 0)));
    assert_int_equal(0, dri_progress_sum(dray_slice_of(NULL, 0)));
}

static void a_text_is_what_the_format_says(void **state)
{
    (void)state;
    runs[0] = (struct dri_progress_run){.begin = 101, .end = 103};
    struct dray_slice bytes = write_runs(100, 1);
    /* 1+1: 010, 2: 010; the checksum as Python's zlib.crc32 has it */
    test_slice("1APucuAS", bytes);
    assert_int_equal(1, read_runs(bytes, 100));
}

static void runs_come_back_as_they_were_written(void **state)
{
    uint64_t seed = 42;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        uint64_t position = next_random(&seed) >> (next_random(&seed) % 40 + 24);
        size_t count = 1 + next_random(&seed) % 60;
        draw_runs(&seed, position, count, UINT64_C(1) << (next_random(&seed) % 30));
        struct dray_slice bytes = write_runs(position, count);
        assert_int_equal(count, read_runs(bytes, position));
    }
}

static void runs_that_touch_become_one(void **state)
{
    struct dri_progress_writer writer;
    (void)state;
    dri_progress_write(&writer, text, 5);
    assert_true(dri_progress_add(&writer, 5, 6));
    assert_true(dri_progress_add(&writer, 6, 9));
    assert_true(dri_progress_add(&writer, 10, 11));
    runs[0] = (struct dri_progress_run){.begin = 5, .end = 9};
    runs[1] = (struct dri_progress_run){.begin = 10, .end = 11};
    assert_int_equal(2, read_runs(dri_progress_close(&writer), 5));
}

static void a_text_is_printable_and_never_longer_than_it_may_be(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (unsigned most = 1; most <= 4096; most *= 2) {
        draw_runs(&seed, 9, RUNS_MAX, most);
        struct dray_slice bytes = write_runs(9, RUNS_MAX);
        assert_in_range(bytes.len, DRI_PROGRESS_BYTES_MAX - 8, DRI_PROGRESS_BYTES_MAX);
        for (size_t i = 0; i < bytes.len; i++) {
            assert_in_range(bytes.at[i], '-', 'z');
        }
        /* The near end stays, and is true. */
        assert_in_range(read_runs(bytes, 9), 500, RUNS_MAX - 1);
    }
}

static void what_is_beyond_reach_is_left_out(void **state)
{
    (void)state;
    runs[0] = (struct dri_progress_run){.begin = 1, .end = UINT64_C(1) << 40};
    runs[1] =
        (struct dri_progress_run){.begin = (UINT64_C(1) << 40) + 1, .end = (UINT64_C(1) << 40) + 2};
    assert_int_equal(1, read_runs(write_runs(0, 2), 0));
    struct dri_progress_writer writer;
    dri_progress_write(&writer, text, 0);
    assert_true(dri_progress_add(&writer, UINT64_C(1) << 50, UINT64_C(1) << 51)); /* it waits */
    assert_false(dri_progress_add(&writer, (UINT64_C(1) << 51) + 1, UINT64_MAX));
    assert_true(dray_slice_is_absent(dri_progress_close(&writer)));
}

static void ten_thousand_offsets_with_a_tenth_unfinished_take_about_a_thousand_bytes(void **state)
{
    uint64_t seed = 99;
    size_t count = 0;
    uint64_t begin = 1;
    (void)state;
    for (uint64_t offset = 1; offset < 10000; offset++) {
        if (next_random(&seed) % 10 == 0) {
            if (offset > begin) {
                runs[count++] = (struct dri_progress_run){.begin = begin, .end = offset};
            }
            begin = offset + 1;
        }
    }
    struct dray_slice bytes = write_runs(0, count);
    assert_in_range(bytes.len, 900, 1100);
    assert_int_equal(count, read_runs(bytes, 0));
}

/* --- hostile --- */

static void of_another_position_it_says_nothing(void **state)
{
    (void)state;
    runs[0] = (struct dri_progress_run){.begin = 11, .end = 12};
    struct dray_slice bytes = write_runs(10, 1);
    assert_true(is_read(bytes, 10));
    assert_false(is_read(bytes, 9));
    assert_false(is_read(bytes, 11));
    assert_false(is_read(bytes, 10 + (UINT64_C(1) << 32)));
    assert_false(is_read(bytes, UINT64_MAX));
}

static void one_changed_bit_is_noticed_wherever_it_is(void **state)
{
    uint64_t seed = 3;
    (void)state;
    draw_runs(&seed, 1000, 40, 100);
    struct dray_slice bytes = write_runs(1000, 40);
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (char)(1u << bit));
            assert_false(is_read(bytes, 1000));
            text[i] = (char)(text[i] ^ (char)(1u << bit));
        }
    }
    assert_true(is_read(bytes, 1000));
}

static void a_text_that_was_cut_or_went_on_is_refused(void **state)
{
    static char longer[DRI_PROGRESS_BYTES_MAX + 10];
    uint64_t seed = 4;
    (void)state;
    draw_runs(&seed, 0, 20, 10);
    struct dray_slice bytes = write_runs(0, 20);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_false(is_read(dray_slice_of(bytes.at, len), 0));
    }
    memcpy(longer, bytes.at, bytes.len);
    longer[bytes.len] = 'A';
    assert_false(is_read(dray_slice_of(longer, bytes.len + 1), 0));
    memset(longer, 'A', sizeof(longer));
    longer[0] = '1';
    assert_false(is_read(dray_slice_of(longer, sizeof(longer)), 0));
    assert_false(is_read(dray_slice_of(NULL, 0), 0));
}

/* A text that says anything, with a checksum that fits: found by trying. */
static bool seal(char *at, size_t len, uint64_t position)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < 8 + len; i++) {
        if (i > 8 && i < 15) {
            continue;
        }
        crc ^= (uint32_t)(i < 8 ? (uint8_t)(position >> (8 * i)) : (uint8_t)at[i - 8]);
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1u) != 0 ? (crc >> 1) ^ 0xedb88320u : crc >> 1;
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        at[1 + i] = digits[(uint64_t)~crc >> (6 * (5 - i)) & 63u];
    }
    return is_read(dray_slice_of(at, len), position);
}

static void what_is_sealed_and_breaks_the_format_is_refused(void **state)
{
    char good[] = "1......SA";
    char half_a_pair[] = "1......Q";
    char only_zeros[] = "1......A";
    char a_char_too_many[] = "1......SAA";
    char far_number[] = "1......AAAAAAAB_____________";
    char other_version[] = "2......SA";
    (void)state;
    assert_true(seal(good, sizeof(good) - 2, 77)); /* "S": 010 010 */
    assert_false(seal(half_a_pair, sizeof(half_a_pair) - 1, 77));
    assert_false(seal(only_zeros, sizeof(only_zeros) - 1, 77));
    assert_false(seal(a_char_too_many, sizeof(a_char_too_many) - 1, 77));
    assert_false(seal(far_number, sizeof(far_number) - 1, 77));
    assert_false(seal(other_version, sizeof(other_version) - 1, 77));
    assert_false(seal(good, sizeof(good) - 2, (uint64_t)INT64_MAX));
}

static void many_far_lengths_do_not_add_up_to_an_offset_beyond_reach(void **state)
{
    char sum_too_far[] = "1......AAAAAAC____________AAAAAAC____________";
    (void)state;
    assert_false(seal(sum_too_far, sizeof(sum_too_far) - 1, 0));
}

static void any_sealed_text_is_refused_or_says_increasing_runs(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t seed = 11;
    unsigned taken = 0;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char at[64] = "1";
        size_t len = 8 + next_random(&seed) % 50;
        uint64_t position = next_random(&seed) >> 2;
        for (size_t i = 7; i < len; i++) {
            at[i] = digits[next_random(&seed) >> (next_random(&seed) % 6) & 63u];
        }
        if (!seal(at, len, position)) {
            continue;
        }
        struct dri_progress_reader reader;
        struct dri_progress_run run;
        uint64_t end = position;
        assert_true(dri_progress_read(&reader, dray_slice_of(at, len), position));
        while (dri_progress_next(&reader, &run)) {
            assert_true(run.begin >= end && run.end > run.begin);
            end = run.end;
        }
        assert_true(end > position && end - position <= UINT64_C(1) << 40);
        taken++;
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_finished_is_no_text),
        cmocka_unit_test(a_text_is_what_the_format_says),
        cmocka_unit_test(runs_come_back_as_they_were_written),
        cmocka_unit_test(runs_that_touch_become_one),
        cmocka_unit_test(a_text_is_printable_and_never_longer_than_it_may_be),
        cmocka_unit_test(what_is_beyond_reach_is_left_out),
        cmocka_unit_test(ten_thousand_offsets_with_a_tenth_unfinished_take_about_a_thousand_bytes),
        cmocka_unit_test(of_another_position_it_says_nothing),
        cmocka_unit_test(one_changed_bit_is_noticed_wherever_it_is),
        cmocka_unit_test(a_text_that_was_cut_or_went_on_is_refused),
        cmocka_unit_test(what_is_sealed_and_breaks_the_format_is_refused),
        cmocka_unit_test(many_far_lengths_do_not_add_up_to_an_offset_beyond_reach),
        cmocka_unit_test(any_sealed_text_is_refused_or_says_increasing_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
