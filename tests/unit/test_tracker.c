/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core/tracker.h"
#include "support/test.h"

#define NODES 64u

static struct dri_tracker_node nodes[NODES];
static struct dri_tracker tracker;

static int begin(void **state)
{
    (void)state;
    dri_tracker_init(&tracker, nodes, true, 10);
    return 0;
}

static void append(uint32_t number, uint64_t offset)
{
    dri_tracker_append(&tracker, number, offset);
}

static uint64_t watermark(void)
{
    uint64_t position = 0;
    assert_true(dri_tracker_watermark(&tracker, &position));
    return position;
}

static void without_a_commit_and_a_record_there_is_no_watermark(void **state)
{
    uint64_t position = 77;
    (void)state;
    dri_tracker_init(&tracker, nodes, true, -1);
    assert_false(dri_tracker_watermark(&tracker, &position));
    assert_int_equal(77, position);
}

static void the_watermark_begins_at_what_was_committed(void **state)
{
    (void)state;
    assert_int_equal(10, watermark());
}

static void the_watermark_is_the_first_unfinished_offset(void **state)
{
    (void)state;
    append(0, 10);
    append(1, 11);
    append(2, 12);
    assert_true(dri_tracker_finish(&tracker, 0));
    assert_int_equal(11, watermark());
}

static void a_late_completion_does_not_move_the_watermark(void **state)
{
    (void)state;
    append(0, 10);
    append(1, 11);
    append(2, 12);
    assert_false(dri_tracker_finish(&tracker, 2));
    assert_false(dri_tracker_finish(&tracker, 1));
    assert_int_equal(10, watermark());
    assert_int_equal(2, dri_tracker_gap(&tracker));
    assert_true(dri_tracker_finish(&tracker, 0));
    assert_int_equal(13, watermark());
    assert_int_equal(0, dri_tracker_gap(&tracker));
}

static void when_all_is_finished_the_watermark_is_the_last_received_plus_one(void **state)
{
    (void)state;
    append(0, 100);
    append(1, 150);
    dri_tracker_finish(&tracker, 0);
    dri_tracker_finish(&tracker, 1);
    assert_int_equal(151, watermark());
}

static void the_watermark_stands_on_received_offsets_and_never_between_them(void **state)
{
    (void)state;
    append(0, 20);
    append(1, 35);
    dri_tracker_finish(&tracker, 0);
    assert_int_equal(35, watermark());
}

static void an_offset_that_was_received_already_is_a_duplicate(void **state)
{
    (void)state;
    append(0, 20);
    append(1, 30);
    assert_true(dri_tracker_is_duplicate(&tracker, 20));
    assert_true(dri_tracker_is_duplicate(&tracker, 25));
    assert_true(dri_tracker_is_duplicate(&tracker, 30));
    assert_false(dri_tracker_is_duplicate(&tracker, 31));
    dri_tracker_finish(&tracker, 0);
    assert_true(dri_tracker_is_duplicate(&tracker, 20));
}

static void a_first_offset_below_the_commit_is_not_a_duplicate(void **state)
{
    (void)state;
    assert_false(dri_tracker_is_duplicate(&tracker, 3));
    append(0, 3);
    assert_int_equal(3, watermark());
}

static void what_is_given_up_holds_the_watermark_for_good(void **state)
{
    (void)state;
    append(0, 10);
    append(1, 11);
    append(2, 12);
    dri_tracker_give_up(&tracker, 1);
    dri_tracker_finish(&tracker, 0);
    dri_tracker_finish(&tracker, 2);
    assert_int_equal(11, watermark());
    assert_int_equal(0, tracker.count);
}

static void the_lowest_of_those_given_up_counts(void **state)
{
    (void)state;
    append(0, 10);
    append(1, 11);
    append(2, 12);
    dri_tracker_give_up(&tracker, 2);
    dri_tracker_give_up(&tracker, 0);
    dri_tracker_finish(&tracker, 1);
    assert_int_equal(10, watermark());
}

static void the_unfinished_are_listed_in_the_order_received(void **state)
{
    (void)state;
    append(5, 10);
    append(3, 11);
    append(9, 12);
    dri_tracker_finish(&tracker, 3);
    assert_int_equal(5, dri_tracker_first(&tracker));
    assert_int_equal(9, dri_tracker_next(&tracker, 5));
    assert_int_equal(UINT32_MAX, dri_tracker_next(&tracker, 9));
}

static void deliveries_that_come_out_of_order_are_no_duplicates(void **state)
{
    (void)state;
    dri_tracker_init(&tracker, nodes, false, -1);
    append(0, 12);
    assert_false(dri_tracker_is_duplicate(&tracker, 5));
    append(1, 5);
    assert_int_equal(2, tracker.count);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The model: every offset ever received, with a mark. */
struct model {
    struct {
        uint64_t offset;
        uint32_t number;
        enum {
            OUT,
            FINISHED,
            GIVEN_UP
        } fate;
    } all[4096];
    size_t count;
};

static uint64_t model_watermark(const struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->all[i].fate != FINISHED) {
            return model->all[i].offset;
        }
    }
    return model->count != 0 ? model->all[model->count - 1].offset + 1 : 10;
}

static uint64_t model_gap(const struct model *model)
{
    uint64_t gap = 0;
    bool has_out = false;
    for (size_t i = 0; i < model->count; i++) {
        has_out = has_out || model->all[i].fate == OUT;
        gap += has_out && model->all[i].fate == FINISHED;
    }
    return gap;
}

static void walk(uint64_t seed, bool can_give_up)
{
    static struct model model;
    bool is_used[NODES] = {false};
    uint64_t offset = 10;
    memset(&model, 0, sizeof(model));
    dri_tracker_init(&tracker, nodes, true, 10);
    while (model.count < DRI_ARRAY_LEN(model.all)) {
        uint32_t number = (uint32_t)(random_next(&seed) % NODES);
        if (!is_used[number]) {
            offset += random_next(&seed) % 3;
            append(number, offset);
            model.all[model.count].offset = offset++;
            model.all[model.count].number = number;
            model.all[model.count++].fate = OUT;
            is_used[number] = true;
        } else {
            size_t at = model.count;
            while (model.all[--at].number != number) {
            }
            is_used[number] = false;
            if (can_give_up && random_next(&seed) % 500 == 0) {
                model.all[at].fate = GIVEN_UP;
                dri_tracker_give_up(&tracker, number);
            } else {
                model.all[at].fate = FINISHED;
                dri_tracker_finish(&tracker, number);
            }
        }
        assert_int_equal(model_watermark(&model), watermark());
        if (!can_give_up) {
            assert_int_equal(model_gap(&model), dri_tracker_gap(&tracker));
        }
    }
}

static void a_random_walk_agrees_with_a_list_of_everything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        walk(seed * 7919, seed % 2 == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_commit_and_a_record_there_is_no_watermark, begin),
        cmocka_unit_test_setup(the_watermark_begins_at_what_was_committed, begin),
        cmocka_unit_test_setup(the_watermark_is_the_first_unfinished_offset, begin),
        cmocka_unit_test_setup(a_late_completion_does_not_move_the_watermark, begin),
        cmocka_unit_test_setup(when_all_is_finished_the_watermark_is_the_last_received_plus_one,
                               begin),
        cmocka_unit_test_setup(the_watermark_stands_on_received_offsets_and_never_between_them,
                               begin),
        cmocka_unit_test_setup(an_offset_that_was_received_already_is_a_duplicate, begin),
        cmocka_unit_test_setup(a_first_offset_below_the_commit_is_not_a_duplicate, begin),
        cmocka_unit_test_setup(what_is_given_up_holds_the_watermark_for_good, begin),
        cmocka_unit_test_setup(the_lowest_of_those_given_up_counts, begin),
        cmocka_unit_test_setup(the_unfinished_are_listed_in_the_order_received, begin),
        cmocka_unit_test_setup(deliveries_that_come_out_of_order_are_no_duplicates, begin),
        cmocka_unit_test(a_random_walk_agrees_with_a_list_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
