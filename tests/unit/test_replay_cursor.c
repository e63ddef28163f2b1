/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/replay_cursor.h"
#include "support/test.h"

#define QUESTION "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER    "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char folder[64];
static char file[96];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/dray-cursor-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(file, sizeof(file), "%s/my.cursor", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): a path of our own */
}

static enum dray_status open_it(struct dri_replay_cursor *cursor, const char *question,
                                bool is_fresh, char text[512])
{
    text[0] = '\0';
    const struct dri_replay_question which = {
        .hash = question, .folder = "unused", .file = file, .is_fresh = is_fresh};
    return dri_replay_cursor_open(cursor, &which, text, 512);
}

static void write_one(void)
{
    struct dri_replay_cursor cursor;
    char text[512];
    test_ok(open_it(&cursor, QUESTION, false, text));
    test_ok(dri_replay_cursor_move(&cursor, 0, 18));
    test_ok(dri_replay_cursor_move(&cursor, 70, UINT64_C(1) << 40));
    test_ok(dri_replay_cursor_save(&cursor, text, sizeof(text)));
    dri_replay_cursor_fini(&cursor);
}

static void positions_come_back_as_they_were_saved(void **state)
{
    (void)state;
    struct dri_replay_cursor cursor;
    char text[512];
    write_one();
    test_ok(open_it(&cursor, QUESTION, false, text));
    assert_int_equal(18, dri_replay_cursor_next(&cursor, 0));
    assert_int_equal(0, dri_replay_cursor_next(&cursor, 1));
    assert_int_equal(UINT64_C(1) << 40, dri_replay_cursor_next(&cursor, 70));
    assert_int_equal(0, dri_replay_cursor_next(&cursor, 9999));
    dri_replay_cursor_fini(&cursor);
}

static void a_position_never_goes_back(void **state)
{
    (void)state;
    struct dri_replay_cursor cursor;
    char text[512];
    test_ok(open_it(&cursor, QUESTION, false, text));
    test_ok(dri_replay_cursor_move(&cursor, 2, 18));
    test_ok(dri_replay_cursor_move(&cursor, 2, 7));
    assert_int_equal(18, dri_replay_cursor_next(&cursor, 2));
    test_status(DRAY_ELIMIT, dri_replay_cursor_move(&cursor, 1u << 20, 7));
    dri_replay_cursor_fini(&cursor);
}

static void a_fresh_one_forgets_and_another_question_is_refused(void **state)
{
    (void)state;
    struct dri_replay_cursor cursor;
    char text[512];
    write_one();
    test_ok(open_it(&cursor, QUESTION, true, text));
    assert_int_equal(0, dri_replay_cursor_next(&cursor, 0));
    dri_replay_cursor_fini(&cursor);
    test_status(DRAY_EINVALID, open_it(&cursor, OTHER, false, text));
    assert_non_null(strstr(text, "another"));
    dri_replay_cursor_fini(&cursor);
}

static void a_second_replay_at_the_same_time_is_refused(void **state)
{
    (void)state;
    struct dri_replay_cursor first;
    struct dri_replay_cursor second;
    char text[512];
    test_ok(open_it(&first, QUESTION, false, text));
    test_status(DRAY_EEXISTS, open_it(&second, QUESTION, false, text));
    dri_replay_cursor_fini(&second);
    dri_replay_cursor_fini(&first);
    test_ok(open_it(&second, QUESTION, false, text));
    dri_replay_cursor_fini(&second);
}

static void each_changed_byte_and_each_cut_is_noticed(void **state)
{
    (void)state;
    char good[512];
    char text[512];
    struct dri_replay_cursor cursor;
    write_one();
    FILE *in = fopen(file, "rb");
    assert_non_null(in);
    size_t len = fread(good, 1, sizeof(good), in);
    (void)fclose(in);
    assert_true(len > 100);
    for (size_t i = 0; i < 2 * len - 1; i++) {
        FILE *out = fopen(file, "wb");
        assert_non_null(out);
        size_t kept = i < len ? len : i - len; /* bytes changed one by one, then cut ever later */
        for (size_t j = 0; j < kept; j++) {
            (void)fputc(i == j ? good[j] ^ 1 : good[j], out);
        }
        assert_int_equal(0, fclose(out));
        enum dray_status status = open_it(&cursor, QUESTION, false, text);
        dri_replay_cursor_fini(&cursor);
        /* The last line's end may be missing: everything that counts is there. */
        bool is_harmless = i == len - 1;
        assert_int_equal(is_harmless ? DRAY_OK : DRAY_EINVALID, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(positions_come_back_as_they_were_saved, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_position_never_goes_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_fresh_one_forgets_and_another_question_is_refused,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_second_replay_at_the_same_time_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(each_changed_byte_and_each_cut_is_noticed, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
