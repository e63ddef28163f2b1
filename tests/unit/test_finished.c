/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "progress.h"
#include "run/finished.h"
#include "support/test.h"

static void what_is_below_the_position_is_finished(void **state)
{
    struct dri_finished finished;
    (void)state;
    dri_finished_init(&finished, 5, dray_slice_of(NULL, 0));
    assert_true(dri_finished_has(&finished, 0) && dri_finished_has(&finished, 4));
    assert_false(dri_finished_has(&finished, 5));
    assert_false(dri_finished_has(&finished, 1000));
}

static void what_the_metadata_names_is_finished_too(void **state)
{
    char text[DRI_PROGRESS_BYTES_MAX];
    struct dri_progress_writer writer;
    struct dri_finished finished;
    (void)state;
    dri_progress_write(&writer, text, 5);
    assert_true(dri_progress_add(&writer, 6, 8) && dri_progress_add(&writer, 10, 11));
    dri_finished_init(&finished, 5, dri_progress_close(&writer));
    static const bool wanted[] = {true, true,  true,  true, true,  false, true,
                                  true, false, false, true, false, false};
    for (uint64_t offset = 0; offset < sizeof(wanted) / sizeof(wanted[0]); offset++) {
        assert_int_equal(dri_finished_has(&finished, offset), wanted[offset]);
        assert_int_equal(dri_finished_has(&finished, offset), wanted[offset]); /* the same again */
    }
}

static void offsets_may_be_left_out(void **state)
{
    char text[DRI_PROGRESS_BYTES_MAX];
    struct dri_progress_writer writer;
    struct dri_finished finished;
    (void)state;
    dri_progress_write(&writer, text, 0);
    assert_true(dri_progress_add(&writer, 1, 3) && dri_progress_add(&writer, 5, 9));
    dri_finished_init(&finished, 0, dri_progress_close(&writer));
    assert_true(dri_finished_has(&finished, 7));
    assert_false(dri_finished_has(&finished, 20));
}

static void metadata_that_says_nothing_leaves_the_position(void **state)
{
    struct dri_finished finished;
    (void)state;
    dri_finished_init(&finished, 2, dray_slice_text("something else"));
    assert_true(dri_finished_has(&finished, 1));
    assert_false(dri_finished_has(&finished, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_below_the_position_is_finished),
        cmocka_unit_test(what_the_metadata_names_is_finished_too),
        cmocka_unit_test(offsets_may_be_left_out),
        cmocka_unit_test(metadata_that_says_nothing_leaves_the_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
