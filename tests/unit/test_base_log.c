/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "support/test.h"

/* What the sink was given: the last line, and how often. */
static struct {
    char line[8192];
    size_t len;
    int lines;
    unsigned long dropped; /* sum of the fields "dropped" */
} seen;

static void keep(void *arg, const char *line, size_t len)
{
    (void)arg;
    assert_true(len < sizeof(seen.line));
    memcpy(seen.line, line, len);
    seen.line[len] = '\0';
    seen.len = len;
    seen.lines++;
    const char *dropped = strstr(seen.line, "dropped=");
    seen.dropped += dropped == NULL ? 0 : strtoul(dropped + strlen("dropped="), NULL, 10);
}

static int start(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_DEBUG, keep, NULL);
    return 0;
}

/** The line behind its time, which must be one. */
static const char *behind_time(const char *before, const char *after)
{
    assert_true(strncmp(seen.line, before, strlen(before)) == 0);
    const char *time = seen.line + strlen(before);
    assert_true(dri_clock_parse(time, 24) != 0);
    assert_true(strncmp(time + 24, after, strlen(after)) == 0);
    return time + 24 + strlen(after);
}

static void a_line_has_level_id_text_and_fields(void **state)
{
    (void)state;
    DRI_LOG(DRI_LOG_WARN, "TEST-FIELDS", "something happened", DRI_TEXT("who", "me"),
            DRI_UINT("max", UINT64_MAX), DRI_INT("min", INT64_MIN), DRI_TEXT("none", NULL),
            DRI_SLICE("absent", dray_slice_of(NULL, 0)), DRI_TEXT("empty", ""),
            DRI_SLICE("key", dray_slice_text("a=b")),
            DRI_SLICE("bin", dray_slice_of("\x00\xff", 2)));
    assert_string_equal(behind_time("ts=", " "),
                        "level=warn id=TEST-FIELDS msg=\"something happened\" who=me "
                        "max=18446744073709551615 min=-9223372036854775808 empty=\"\" "
                        "key=\"a=b\" bin=00ff\n");
}

static void the_same_line_as_json(void **state)
{
    (void)state;
    dri_log_setup(DRI_LOG_JSON, DRI_LOG_INFO, keep, NULL);
    DRI_LOG(DRI_LOG_ERROR, "TEST-JSON", "say \"no\"", DRI_TEXT("who", "me"), DRI_UINT("n", 7),
            DRI_INT("m", -7), DRI_TEXT("none", NULL),
            DRI_SLICE("bin", dray_slice_of("\x00\xff", 2)));
    assert_string_equal(behind_time("{\"ts\":\"", "\","),
                        "\"level\":\"error\",\"id\":\"TEST-JSON\",\"msg\":\"say \\\"no\\\"\","
                        "\"who\":\"me\",\"n\":7,\"m\":-7,\"bin\":\"00ff\"}\n");
}

static void a_line_below_the_level_is_not_written(void **state)
{
    (void)state;
    dri_log_set_level(DRI_LOG_WARN);
    assert_false(dri_log_is_on(DRI_LOG_INFO));
    assert_true(dri_log_is_on(DRI_LOG_WARN));
    dri_log_write(DRI_LOG_INFO, "TEST-LEVEL", "no", NULL, 0);
    assert_int_equal(seen.lines, 0);
    dri_log_write(DRI_LOG_WARN, "TEST-LEVEL", "yes", NULL, 0);
    assert_int_equal(seen.lines, 1);
}

static void the_format_may_change_between_two_lines(void **state)
{
    (void)state;
    dri_log_write(DRI_LOG_INFO, "TEST-FORMAT", "a", NULL, 0);
    assert_int_equal(seen.line[0], 't');
    dri_log_set_format(DRI_LOG_JSON);
    dri_log_write(DRI_LOG_INFO, "TEST-FORMAT", "b", NULL, 0);
    assert_int_equal(seen.line[0], '{');
}

/* Whoever says it ends the process: the lines before it must not have used up its place. */
static void the_last_word_is_not_limited(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        dri_log_write(DRI_LOG_WARN, "TEST-LAST", "many", NULL, 0);
    }
    assert_true(seen.lines < 100);
    unsigned before = (unsigned)seen.lines;
    dri_log_last_word(DRI_LOG_WARN, "TEST-LAST", "one");
    assert_int_equal(seen.lines, before + 1);
    assert_non_null(strstr(seen.line, "msg=one"));
    dri_log_set_level(DRI_LOG_ERROR);
    dri_log_last_word(DRI_LOG_WARN, "TEST-LAST", "two");
    assert_int_equal(seen.lines, before + 1);
    dri_log_flush();
}

static void control_bytes_do_not_reach_the_terminal(void **state)
{
    (void)state;
    static const char evil[] = "a\nb\tc\x1b[31md\x7f"
                               "e\xc2\x9b"
                               "f\\g\"h\xff\xe2\x82"
                               "i\xc3\xa4";
    DRI_LOG(DRI_LOG_INFO, "TEST-EVIL", evil, DRI_TEXT("e", evil));
    static const char want[] = "\"a\\nb\\tc\\u001b[31md\\u007fe\\u009bf\\\\g\\\"h"
                               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdi\xc3\xa4\"";
    char line[1024];
    (void)snprintf(line, sizeof(line), "level=info id=TEST-EVIL msg=%s e=%s\n", want, want);
    assert_string_equal(behind_time("ts=", " "), line);
    for (size_t i = 0; i + 1 < seen.len; i++) {
        assert_true((unsigned char)seen.line[i] >= ' ' && seen.line[i] != 0x7f);
    }
}

static void every_byte_gives_one_line_that_is_sound_json(void **state)
{
    (void)state;
    char field[257];
    for (int i = 0; i < 256; i++) {
        field[i] = (char)(i + 1);
    }
    field[256] = '\0';
    dri_log_setup(DRI_LOG_JSON, DRI_LOG_INFO, keep, NULL);
    DRI_LOG(DRI_LOG_INFO, "TEST-BYTES", "x", DRI_TEXT("all", field));
    /* Outside of escapes no quote but those that delimit: the count is even, and the end is right.
     */
    int quotes = 0;
    for (size_t i = 0; i < seen.len; i++) {
        if (seen.line[i] == '\\') {
            i++;
        } else {
            quotes += seen.line[i] == '"';
        }
    }
    assert_int_equal(quotes, 2 * 2 * 5);
    assert_string_equal(seen.line + seen.len - 3, "\"}\n");
}

static void a_line_that_is_too_long_is_cut_and_says_so(void **state)
{
    (void)state;
    static char longest[6000];
    memset(longest, 'x', sizeof(longest) - 1);
    for (size_t len = 3800; len < 4200; len++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "TEST-LONG-%zu", len);
        dri_log_setup(len % 2 == 0 ? DRI_LOG_LOGFMT : DRI_LOG_JSON, DRI_LOG_INFO, keep, NULL);
        bool is_json = len % 2 != 0;
        DRI_LOG(DRI_LOG_INFO, id, len % 3 == 0 ? "word" : "two words",
                DRI_SLICE("f", dray_slice_of(longest, len)), DRI_UINT("after", 1),
                DRI_TEXT("end", "of it"));
        assert_true(seen.len <= 4096);
        bool has_end = strstr(seen.line, "of it") != NULL;
        bool is_cut = strstr(seen.line, is_json ? ",\"cut\":true}\n" : " cut=true\n") != NULL;
        assert_int_equal(is_cut, !has_end);
        assert_true(seen.line[seen.len - 1] == '\n');
        assert_true(strchr(seen.line, '\n') == seen.line + seen.len - 1);
    }
}

static void wait_for_the_next_window(uint64_t begin_ns)
{
    while (dri_clock_mono_ns() - begin_ns < 1000000000u) {
        (void)usleep(1000);
    }
}

static void at_most_twenty_lines_a_second_of_one_id_and_the_rest_is_said(void **state)
{
    (void)state;
    uint64_t begin_ns = dri_clock_mono_ns();
    for (int i = 0; i < 100; i++) {
        dri_log_write(DRI_LOG_INFO, "TEST-FLOOD", "again", NULL, 0);
    }
    bool is_slow = dri_clock_mono_ns() - begin_ns >= 900000000u;
    if (is_slow) {
        test_skip("the machine is too busy: a hundred lines took a second");
    }
    assert_int_equal(seen.lines, 20);
    dri_log_write(DRI_LOG_INFO, "TEST-OTHER", "is not held up", NULL, 0);
    assert_int_equal(seen.lines, 21);
    assert_int_equal(seen.dropped, 0);
    wait_for_the_next_window(begin_ns);
    dri_log_write(DRI_LOG_INFO, "TEST-FLOOD", "again", NULL, 0);
    assert_int_equal(seen.lines, 22);
    assert_non_null(strstr(seen.line, "id=TEST-FLOOD"));
    assert_int_equal(seen.dropped, 80);
}

static void what_was_dropped_is_said_at_the_end_too(void **state)
{
    (void)state;
    uint64_t begin_ns = dri_clock_mono_ns();
    for (int i = 0; i < 25; i++) {
        dri_log_write(DRI_LOG_INFO, "TEST-LAST", "again", NULL, 0);
    }
    if (dri_clock_mono_ns() - begin_ns >= 900000000u) {
        test_skip("the machine is too busy: 25 lines took a second");
    }
    dri_log_flush();
    assert_int_equal(seen.lines, 21);
    assert_int_equal(seen.dropped, 5);
    assert_non_null(strstr(seen.line, "id=TEST-LAST"));
    dri_log_flush();
    assert_int_equal(seen.lines, 21);
}

static void the_default_sink_is_standard_error_in_whole_lines(void **state)
{
    (void)state;
    int ends[2];
    char got[512] = {0};
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, NULL, NULL);
    dri_log_write(DRI_LOG_INFO, "TEST-STDERR", "hello", NULL, 0);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_true(read(ends[0], got, sizeof(got) - 1) > 0);
    assert_non_null(strstr(got, " level=info id=TEST-STDERR msg=hello\n"));
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_level_id_text_and_fields, start),
        cmocka_unit_test_setup(the_same_line_as_json, start),
        cmocka_unit_test_setup(a_line_below_the_level_is_not_written, start),
        cmocka_unit_test_setup(the_format_may_change_between_two_lines, start),
        cmocka_unit_test_setup(the_last_word_is_not_limited, start),
        cmocka_unit_test_setup(control_bytes_do_not_reach_the_terminal, start),
        cmocka_unit_test_setup(every_byte_gives_one_line_that_is_sound_json, start),
        cmocka_unit_test_setup(a_line_that_is_too_long_is_cut_and_says_so, start),
        cmocka_unit_test_setup(at_most_twenty_lines_a_second_of_one_id_and_the_rest_is_said, start),
        cmocka_unit_test_setup(what_was_dropped_is_said_at_the_end_too, start),
        cmocka_unit_test_setup(the_default_sink_is_standard_error_in_whole_lines, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
