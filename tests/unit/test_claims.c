/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "assert.h"
#include "core/claims.h"
#include "support/test.h"

/* What is said beside a position, against a list of everything that ever came. */

#define NODES 512u
#define ALL   2000u

static struct dri_tracker_node nodes[NODES];
static struct dri_tracker tracker;
static struct dri_claims claims;

enum fate {
    OUT,
    FINISHED,
    GIVEN_UP
};

static struct message {
    uint64_t offset;
    uint32_t number;
    enum fate fate;
    bool was_finished; /* in an assignment before */
} all[ALL];
static size_t all_count;

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void begin(int64_t committed)
{
    dri_tracker_init(&tracker, nodes, true, committed);
    dri_claims_init(&claims);
}

static int setup(void **state)
{
    (void)state;
    begin(10);
    return 0;
}

static void append(uint32_t number, uint64_t offset)
{
    dri_tracker_append(&tracker, number, offset);
}

static void finish(uint32_t number)
{
    (void)dri_tracker_finish(&tracker, number);
}

static void give_up(uint32_t number)
{
    dri_claims_give_up(&claims, nodes[number].offset);
    dri_tracker_give_up(&tracker, number);
}

static struct dray_slice say(void)
{
    uint64_t position = 0;
    assert_true(dri_tracker_watermark(&tracker, &position));
    return dri_claims_text(&claims, &tracker, position);
}

/* The runs of a text, "12-14 17" for [12, 15) and [17, 18). */
static const char *runs_of(struct dray_slice text, uint64_t position)
{
    static char line[200];
    struct dri_progress_reader reader;
    struct dri_progress_run run;
    size_t len = 0;
    line[0] = '\0';
    if (dray_slice_is_absent(text)) {
        return line;
    }
    assert_true(dri_progress_read(&reader, text, position));
    while (dri_progress_next(&reader, &run) && len < 150) {
        len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%llu", len == 0 ? "" : " ",
                                (unsigned long long)run.begin);
        if (run.end - run.begin > 1) {
            len += (size_t)snprintf(line + len, sizeof(line) - len, "-%llu",
                                    (unsigned long long)(run.end - 1));
        }
    }
    return line;
}

static const char *said(void)
{
    uint64_t position = 0;
    (void)dri_tracker_watermark(&tracker, &position);
    return runs_of(say(), position);
}

/* --- what was received --- */

static void nothing_beyond_the_watermark_is_nothing_to_say(void **state)
{
    (void)state;
    assert_string_equal("", said());
    append(0, 10);
    append(1, 11);
    assert_string_equal("", said());
    finish(0);
    assert_string_equal("", said());
    finish(1);
    assert_string_equal("", said());
}

static void what_is_finished_behind_an_unfinished_one_is_said(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        append(i, 10 + i);
    }
    finish(3);
    finish(4);
    finish(9);
    assert_string_equal("13-14 19", said());
    finish(8);
    finish(0);
    assert_string_equal("13-14 18-19", said());
}

static void what_was_given_up_is_never_said_to_be_finished(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        append(i, 10 + i);
    }
    give_up(0);
    give_up(5);
    give_up(4);
    give_up(7);
    give_up(6);
    for (uint32_t i = 1; i < 4; i++) {
        finish(i);
    }
    finish(8);
    finish(9);
    assert_string_equal("11-13 18-19", said());
}

static void a_gap_of_offsets_between_two_that_are_out_is_not_worth_a_word(void **state)
{
    (void)state;
    append(0, 10);
    append(1, 12);
    append(2, 14);
    append(3, 16);
    assert_string_equal("", said());
    finish(2);
    assert_string_equal("13-15", said()); /* 13 and 15 are no messages */
}

static void of_a_position_that_was_sent_before_the_watermark_moved_all_is_said(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        append(i, 10 + i);
    }
    finish(0);
    finish(1);
    finish(3);
    assert_string_equal("10-11 13", runs_of(dri_claims_text(&claims, &tracker, 10), 10));
}

static void past_what_can_be_remembered_of_the_given_up_nothing_is_said(void **state)
{
    uint64_t position = 0;
    (void)state;
    append(0, 10);
    for (uint32_t i = 0; i < 300; i++) {
        append(1 + i, 1000 + i * 2);
    }
    append(400, 2000);
    finish(400);
    assert_string_equal("1599-2000", said()); /* a gap, and one message */
    for (uint32_t i = 300; i > 0; i--) {      /* from the far end, and none touches another */
        give_up(i);
    }
    assert_int_equal(DRI_CLAIMS_GIVEN_UP_MAX, claims.given_up_count);
    assert_int_equal(1000 + 256 * 2, claims.ceiling);
    assert_true(dri_tracker_watermark(&tracker, &position));
    struct dray_slice text = say();
    struct dri_progress_reader reader;
    struct dri_progress_run run = {0};
    assert_true(dri_progress_read(&reader, text, position));
    while (dri_progress_next(&reader, &run)) {
        assert_true(run.end <= claims.ceiling);
    }
    begin(10);
    append(0, 10);
    for (uint32_t i = 0; i < 300; i++) { /* and from the near end */
        append(1 + i, 1000 + i * 2);
        give_up(1 + i);
    }
    assert_int_equal(1000 + 256 * 2, claims.ceiling);
}

/* --- what was restored --- */

static void what_was_said_is_known_after_a_restart_and_said_again(void **state)
{
    static char kept[DRI_PROGRESS_BYTES_MAX];
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        append(i, 10 + i);
    }
    finish(2);
    finish(3);
    finish(7);
    struct dray_slice text = say();
    memcpy(kept, text.at, text.len);
    text.at = (const uint8_t *)kept;
    begin(10);
    assert_true(dri_claims_restore(&claims, text, 10));
    memset(kept, 'x', sizeof(kept)); /* it was only lent */
    assert_string_equal("12-13 17", said());
    assert_false(dri_claims_has(&claims, 10));
    append(0, 10);
    assert_string_equal("12-13 17", said());
    assert_false(dri_claims_has(&claims, 11));
    append(1, 11);
    finish(1);
    assert_string_equal("11-13 17", said());
    assert_true(dri_claims_has(&claims, 12));
    (void)dri_tracker_skip(&tracker, 12);
    assert_true(dri_claims_has(&claims, 13));
    (void)dri_tracker_skip(&tracker, 13);
    assert_false(dri_claims_has(&claims, 14));
    append(4, 14);
    assert_string_equal("11-13 17", said());
    finish(0);
    assert_string_equal("17", said());
    assert_true(dri_claims_has(&claims, 17)); /* 15 and 16 are gone from the log */
    (void)dri_tracker_skip(&tracker, 17);
    assert_string_equal("15-17", said());
    finish(4);
    assert_string_equal("", said());
}

static void what_says_nothing_restores_nothing(void **state)
{
    (void)state;
    append(0, 10);
    append(1, 11);
    finish(1);
    struct dray_slice text = say();
    struct dri_claims other;
    dri_claims_init(&other);
    assert_false(dri_claims_restore(&other, text, 11));
    assert_false(dri_claims_restore(&other, dray_slice_text("a consumer on host 7"), 10));
    assert_false(dri_claims_restore(&other, dray_slice_of(NULL, 0), 10));
    assert_false(dri_claims_has(&other, 11));
    assert_true(dri_claims_restore(&other, text, 10));
    dri_claims_forget(&other);
    assert_false(dri_claims_has(&other, 11));
}

/* --- at random --- */

/* Of each message, whether the text says it. */
static void mark(struct dray_slice text, uint64_t position, bool *ret_said)
{
    struct dri_progress_reader reader;
    struct dri_progress_run run = {0, 0};
    bool has_run = !dray_slice_is_absent(text) && dri_progress_read(&reader, text, position) &&
                   dri_progress_next(&reader, &run);
    assert_true(has_run || dray_slice_is_absent(text));
    for (size_t i = 0; i < all_count; i++) {
        while (has_run && run.end <= all[i].offset) {
            has_run = dri_progress_next(&reader, &run);
        }
        ret_said[i] = has_run && run.begin <= all[i].offset;
    }
}

/* What is said is what is true. */
static void check_said(void)
{
    uint64_t position = 0;
    bool is_said[ALL];
    assert_true(dri_tracker_watermark(&tracker, &position));
    mark(dri_claims_text(&claims, &tracker, position), position, is_said);
    for (size_t i = 0; i < all_count; i++) {
        bool is_beyond = all[i].offset >= position;
        bool is_finished = all[i].fate == FINISHED || all[i].was_finished;
        assert_int_equal(is_beyond && is_finished, is_said[i]);
    }
}

static void end_one(uint64_t *seed, uint32_t number, bool *is_used, unsigned give_up_one_in)
{
    size_t at = all_count;
    while (all[--at].number != number || all[at].fate != OUT || all[at].was_finished) {
    }
    is_used[number] = false;
    if (give_up_one_in != 0 && next_random(seed) % give_up_one_in == 0) {
        all[at].fate = GIVEN_UP;
        give_up(number);
    } else {
        all[at].fate = FINISHED;
        finish(number);
    }
}

/* One assignment: some messages come, in any order they end; from the position on everything comes
 * again in the next. Returns the position, and the text that is committed with it in kept. */
static uint64_t live(uint64_t *seed, size_t *came, uint64_t position, struct dray_slice *kept,
                     unsigned give_up_one_in)
{
    static char bytes[DRI_PROGRESS_BYTES_MAX];
    bool is_used[NODES] = {false};
    begin((int64_t)position);
    if (!dray_slice_is_absent(*kept)) {
        assert_true(dri_claims_restore(&claims, *kept, position));
    }
    for (unsigned steps = 0; steps < 900; steps++) {
        uint32_t number = (uint32_t)(next_random(seed) % NODES);
        if (is_used[number]) {
            end_one(seed, number, is_used, give_up_one_in);
        } else if (*came < all_count) {
            struct message *message = &all[(*came)++];
            if (message->offset < position) {
                continue;
            }
            assert_int_equal(message->was_finished, dri_claims_has(&claims, message->offset));
            if (message->was_finished) {
                (void)dri_tracker_skip(&tracker, message->offset);
                continue;
            }
            message->number = number;
            message->fate = OUT;
            append(number, message->offset);
            is_used[number] = true;
        }
        if (steps % 50 == 49) {
            check_said();
        }
    }
    (void)dri_tracker_watermark(&tracker, &position);
    struct dray_slice text = dri_claims_text(&claims, &tracker, position);
    memcpy(bytes, text.at == NULL ? "" : (const char *)text.at, text.len);
    *kept = dray_slice_of(text.len > 0 ? bytes : NULL, text.len);
    bool is_said[ALL];
    mark(*kept, position, is_said);
    for (size_t i = 0; i < all_count; i++) {
        all[i].was_finished = is_said[i];
        assert_true(all[i].offset >= position || all[i].fate == FINISHED);
    }
    return position;
}

static void over_many_restarts_nothing_false_is_said_and_nothing_true_is_forgotten(void **state)
{
    uint64_t seed = 5;
    (void)state;
    for (unsigned round = 0; round < 24; round++) {
        uint64_t offset = 10;
        struct dray_slice kept = dray_slice_of(NULL, 0);
        all_count = 1500;
        for (size_t i = 0; i < all_count; i++) {
            all[i] = (struct message){.offset = offset, .number = UINT32_MAX, .fate = OUT};
            offset += 1 + (next_random(&seed) % 5 == 0 ? next_random(&seed) % 4 : 0);
        }
        uint64_t position = 10;
        for (unsigned life = 0; life < 4; life++) {
            size_t came = 0;
            while (all[came].offset < position) {
                came++;
            }
            position = live(&seed, &came, position, &kept, round % 3 == 0 ? 30 : 0);
            for (size_t i = 0; i < all_count; i++) { /* what was out is gone with its holder */
                all[i].fate = all[i].was_finished || all[i].offset < position ? FINISHED : OUT;
                all[i].number = UINT32_MAX;
            }
        }
    }
}

static void more_unfinished_than_are_looked_at_leave_out_what_is_behind_them(void **state)
{
    static struct dri_tracker_node many[20000];
    struct dri_tracker large;
    (void)state;
    dri_tracker_init(&large, many, true, 0);
    dri_claims_init(&claims);
    for (uint32_t i = 0; i < DRI_ARRAY_LEN(many); i++) {
        dri_tracker_append(&large, i, i);
    }
    (void)dri_tracker_finish(&large, 5);
    (void)dri_tracker_finish(&large, 19000);
    assert_string_equal("5", runs_of(dri_claims_text(&claims, &large, 0), 0));
}

static void a_text_says_whether_it_names_all_that_is_finished(void **state)
{
    (void)state;
    const uint32_t passing = NODES - 1;
    uint64_t offset = 10;
    size_t len = 0;
    /* One stays, one far behind it is finished: that takes the most room. */
    for (uint32_t i = 0; i < passing; i++) {
        append(i, offset);
        append(passing, offset + 1);
        finish(passing);
        offset += UINT64_C(1) << 30;
        size_t before = len;
        len = dri_claims_text(&claims, &tracker, 10).len;
        if (!claims.is_whole) {
            assert_true(i > 100 && before > DRI_PROGRESS_BYTES_MAX - 40u);
            return;
        }
        assert_true(len > before);
    }
    fail_msg("a text without an end");
}

static void a_text_that_repeats_what_was_restored_says_whether_that_had_room(void **state)
{
    (void)state;
    static struct dri_progress_writer writer;
    static char text[DRI_PROGRESS_BYTES_MAX];
    dri_progress_write(&writer, text, 1000000);
    uint64_t at = 1000001;
    while (dri_progress_add(&writer, at, at + 1)) {
        at += 40000;
    }
    begin(1000000);
    assert_true(dri_claims_restore(&claims, dri_progress_close(&writer), 1000000));
    (void)dri_claims_text(&claims, &tracker, 1000000);
    assert_true(claims.is_whole);
    /* Some runs before it are too much. */
    for (uint32_t i = 0; i < 100; i++) {
        append(i, 1000000 + i);
        if (i % 2 == 1) {
            finish(i);
        }
    }
    (void)dri_claims_text(&claims, &tracker, 1000000);
    assert_false(claims.is_whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_beyond_the_watermark_is_nothing_to_say, setup),
        cmocka_unit_test_setup(what_is_finished_behind_an_unfinished_one_is_said, setup),
        cmocka_unit_test_setup(what_was_given_up_is_never_said_to_be_finished, setup),
        cmocka_unit_test_setup(a_gap_of_offsets_between_two_that_are_out_is_not_worth_a_word,
                               setup),
        cmocka_unit_test_setup(of_a_position_that_was_sent_before_the_watermark_moved_all_is_said,
                               setup),
        cmocka_unit_test_setup(past_what_can_be_remembered_of_the_given_up_nothing_is_said, setup),
        cmocka_unit_test_setup(what_was_said_is_known_after_a_restart_and_said_again, setup),
        cmocka_unit_test_setup(what_says_nothing_restores_nothing, setup),
        cmocka_unit_test(over_many_restarts_nothing_false_is_said_and_nothing_true_is_forgotten),
        cmocka_unit_test_setup(a_text_says_whether_it_names_all_that_is_finished, setup),
        cmocka_unit_test_setup(a_text_that_repeats_what_was_restored_says_whether_that_had_room,
                               setup),
        cmocka_unit_test_setup(more_unfinished_than_are_looked_at_leave_out_what_is_behind_them,
                               setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
