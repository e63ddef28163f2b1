/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/last_run.h"
#include "run/state.h"
#include "support/test.h"

static void make_folder(char ret_folder[64])
{
    (void)snprintf(ret_folder, 64, "/tmp/dray-last-run-XXXXXX");
    assert_non_null(mkdtemp(ret_folder));
}

static void remove_folder(const char *folder)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/last-run", folder);
    (void)unlink(path);
    (void)rmdir(path);
    assert_int_equal(rmdir(folder), 0);
}

static void write_mark(const char *folder, const char *bytes)
{
    char text[200];
    test_ok(dri_state_write(folder, "last-run", bytes, strlen(bytes), text, sizeof(text)));
}

static void a_folder_that_was_never_served_from_says_so(void **state)
{
    (void)state;
    char folder[64];
    make_folder(folder);
    assert_int_equal(dri_last_run_read(folder), DRI_LAST_RUN_NONE);
    remove_folder(folder);
}

static void only_a_run_that_ended_is_clean(void **state)
{
    (void)state;
    char folder[64];
    make_folder(folder);
    dri_last_run_begin(folder);
    assert_int_equal(dri_last_run_read(folder), DRI_LAST_RUN_UNCLEAN);
    dri_last_run_end(folder);
    assert_int_equal(dri_last_run_read(folder), DRI_LAST_RUN_CLEAN);
    dri_last_run_begin(folder);
    assert_int_equal(dri_last_run_read(folder), DRI_LAST_RUN_UNCLEAN);
    remove_folder(folder);
}

static void a_mark_that_makes_no_sense_is_unclean(void **state)
{
    (void)state;
    static const char *const marks[] = {
        "",
        "clean",
        "clean\n\n",
        "Clean\n",
        "cleanly\n",
        "a line that is longer than any mark has reason to be, and longer than is read of it\n"};
    char folder[64];
    char path[128];
    make_folder(folder);
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        write_mark(folder, marks[i]);
        assert_int_equal(dri_last_run_read(folder), DRI_LAST_RUN_UNCLEAN);
    }
    (void)snprintf(path, sizeof(path), "%s/last-run", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(dri_last_run_read(folder), DRI_LAST_RUN_UNCLEAN);
    dri_last_run_begin(folder); /* cannot be written: logged, and no more */
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_that_was_never_served_from_says_so),
        cmocka_unit_test(only_a_run_that_ended_is_clean),
        cmocka_unit_test(a_mark_that_makes_no_sense_is_unclean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
