/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_probe.c - probe.run by the test kit: others trust what it does and what its log says.
 *
 * Its log is a contract (six words a line), so it is read here as a stranger would. The crash runs
 * in a process of its own, by dray-try.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/handler.h"

#define MODULE DRAY_TEST_MODULE_DIR "/probe.so"
#define TRY    DRAY_TEST_BUILD_DIR "/bin/dray-try"

extern char **environ;

static char log_path[64];
static const char *room_path;

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int setup(void **state)
{
    struct dray_test_host *host = NULL;
    int fd;

    (void)snprintf(log_path, sizeof(log_path), "/tmp/dray-probe-XXXXXX");
    fd = mkstemp(log_path);
    if (fd < 0 || close(fd) != 0) {
        return -1;
    }
    check_env("DRAY_PROBE_LOG", log_path);
    if (dray_test_host_load(MODULE, &host) != DRAY_OK) {
        return -1;
    }
    *state = host;
    return 0;
}

static int setup_with_room(void **state)
{
    static char path[] = "/tmp/dray-probe-room-XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, "2\n", 2) != 2 || close(fd) != 0) {
        return -1;
    }
    check_env("DRAY_PROBE_ROOM", path);
    room_path = path;
    return setup(state);
}

static int teardown(void **state)
{
    dray_test_host_close(*state);
    return unlink(log_path);
}

static int teardown_with_room(void **state)
{
    check_env("DRAY_PROBE_ROOM", NULL);
    return teardown(state) | unlink(room_path);
}

/* ---- what it does ---- */

static void ok_gives_back_what_came_as_echo(void **state)
{
    check_gives(*state, "{\"do\":\"ok\",\"echo\":[1,{\"a\":null},{\"$bin\":\"/w==\"}]}",
                "{\"echo\":[1,{\"a\":null},{\"$bin\":\"/w==\"}]}");
    check_gives(*state, "{\"echo\":\"x\",\"other\":7}", "{\"echo\":\"x\"}");
    check_gives(*state, "{}", "{\"echo\":null}");
    check_gives(*state, "null", "{\"echo\":null}");
}

static void an_echo_keeps_its_bytes(void **state)
{
    /* 1 as a uint64, which no packer would choose */
    static const char payload[] = "\x81\xa4"
                                  "echo\xcf\x00\x00\x00\x00\x00\x00\x00\x01";
    const struct dray_test_call call = {.payload_bytes =
                                            dray_slice_of(payload, sizeof(payload) - 1)};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    assert_int_equal(sizeof(payload) - 1, outcome->result.len);
    assert_memory_equal(payload, outcome->result.at, outcome->result.len);
    dray_test_outcome_destroy(outcome);
}

static void fail_fails_with_each_kind(void **state)
{
    for (unsigned kind = DRAY_KIND_NONE + 1; kind < DRAY_KIND_COUNT; kind++) {
        char json[96];

        (void)snprintf(json, sizeof(json), "{\"do\":\"fail\",\"kind\":\"%s\"}",
                       dray_kind_text((enum dray_error_kind)kind));
        check_fails(*state, json, (enum dray_error_kind)kind, "probe", "asked for this failure");
    }
    check_fails(*state, "{\"do\":\"fail\"}", DRAY_KIND_INTERNAL, "probe", "asked for");
    check_fails(*state, "{\"do\":\"fail\",\"kind\":\"odd\"}", DRAY_KIND_INVALID, "probe",
                "no such error kind");
    check_fails(*state, "{\"do\":\"fail\",\"kind\":\"\"}", DRAY_KIND_INVALID, "probe",
                "no such error kind");
}

static void a_gate_fails_until_its_file_is_there(void **state)
{
    char path[sizeof(log_path) + 8];
    int fd;

    (void)snprintf(path, sizeof(path), "%s.gate", log_path);
    check_fails(*state, "{\"do\":\"gate\",\"kind\":\"network\"}", DRAY_KIND_NETWORK, "probe",
                "the payload asked for this failure");
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(0, close(fd));
    check_gives(*state, "{\"do\":\"gate\",\"echo\":1}", "{\"echo\":1}");
    assert_int_equal(0, unlink(path));
}

static void a_payload_that_does_not_fit_is_invalid(void **state)
{
    check_fails(*state, "{\"do\":\"dance\"}", DRAY_KIND_INVALID, "probe",
                "payload.do: expected ok");
    check_fails(*state, "{\"do\":1}", DRAY_KIND_INVALID, "payload", "payload.do: expected text");
    check_fails(*state, "{\"do\":\"sleep\",\"ms\":-1}", DRAY_KIND_INVALID, "payload", "payload.ms");
    check_fails(*state, "[]", DRAY_KIND_INVALID, "payload", "expected a map, found an array");
}

static void sleep_and_spin_take_their_time_and_only_spin_takes_the_processor(void **state)
{
    uint64_t start_ms = clock_ms(CLOCK_MONOTONIC);
    uint64_t start_cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);

    check_gives(*state, "{\"do\":\"sleep\",\"ms\":300,\"echo\":1}", "{\"echo\":1}");
    assert_true(clock_ms(CLOCK_MONOTONIC) - start_ms >= 299);
    assert_true(clock_ms(CLOCK_THREAD_CPUTIME_ID) - start_cpu_ms < 150);
    start_ms = clock_ms(CLOCK_MONOTONIC);
    start_cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
    check_gives(*state, "{\"do\":\"spin\",\"ms\":300,\"echo\":1}", "{\"echo\":1}");
    assert_true(clock_ms(CLOCK_MONOTONIC) - start_ms >= 299);
    /* how much is a matter of who else runs here */
    assert_true(clock_ms(CLOCK_THREAD_CPUTIME_ID) > start_cpu_ms);
}

static void sleep_and_spin_end_early_when_they_are_cancelled(void **state)
{
    static const char *const payloads[] = {"{\"do\":\"sleep\",\"ms\":600000}",
                                           "{\"do\":\"spin\",\"ms\":600000}"};

    for (size_t i = 0; i < 2; i++) {
        struct dray_test_call call = {.payload = payloads[i], .timeout_ms = 30};

        check_outcome(check_run(*state, &call), DRAY_KIND_TIMEOUT, "probe", "cancelled", __FILE__,
                      __LINE__);
        call.timeout_ms = 0;
        call.is_cancelled = true; /* before it began */
        check_outcome(check_run(*state, &call), DRAY_KIND_TIMEOUT, "probe", "cancelled", __FILE__,
                      __LINE__);
    }
}

static void a_sleeper_takes_back_what_would_wake_it(void **state)
{
    const struct dray_test_call call = {.payload = "{\"do\":\"sleep\",\"ms\":1}"};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    assert_false(outcome->is_cancel_left); /* it lay on the stack */
    dray_test_outcome_destroy(outcome);
}

static void who_is_deaf_goes_on(void **state)
{
    const struct dray_test_call call = {
        .payload = "{\"do\":\"sleep\",\"ms\":80,\"deaf\":true,\"echo\":2}", .timeout_ms = 5};
    uint64_t start_ms = clock_ms(CLOCK_MONOTONIC);
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    assert_true(clock_ms(CLOCK_MONOTONIC) - start_ms >= 79);
    dray_test_outcome_destroy(outcome);
}

static void a_result_without_room_is_a_limit(void **state)
{
    const struct dray_test_call call = {.payload = "{\"echo\":\"0123456789\"}",
                                        .result_bytes_max = 12};

    check_outcome(check_run(*state, &call), DRAY_KIND_LIMIT, "", "", __FILE__, __LINE__);
}

/* ---- the log ---- */

struct line {
    char id[64];
    char key[64];
    char worker[64];
    uint64_t attempt;
    uint64_t start_ns;
    uint64_t end_ns;
};

/* The next word of a line, ended by `end`. */
static const char *word(char **at, char end)
{
    char *begin = *at;
    char *stop = strchr(begin, end);

    assert_non_null(stop);
    assert_true(stop > begin);
    *stop = '\0';
    *at = stop + 1;
    return begin;
}

static void text_word(char **at, char ret_text[64])
{
    assert_true(snprintf(ret_text, 64, "%s", word(at, ' ')) < 64);
}

static uint64_t number_word(char **at, char end)
{
    const char *text = word(at, end);
    char *rest = NULL;
    uint64_t number = strtoull(text, &rest, 10);

    assert_string_equal("", rest);
    return number;
}

static size_t read_log(struct line *lines, size_t max)
{
    char text[512];
    size_t count = 0;
    FILE *file = fopen(log_path, "r");

    assert_non_null(file);
    while (fgets(text, sizeof(text), file) != NULL) {
        struct line *line = &lines[count];
        char *at = text;

        assert_true(count < max);
        count++;
        text_word(&at, line->id);
        text_word(&at, line->key);
        line->attempt = number_word(&at, ' ');
        text_word(&at, line->worker);
        line->start_ns = number_word(&at, ' ');
        line->end_ns = number_word(&at, '\n');
        assert_string_equal("", at);
    }
    (void)fclose(file);
    return count;
}

static void each_call_leaves_one_line(void **state)
{
    const struct dray_test_call binary = {.payload = "{\"do\":\"sleep\",\"ms\":20}", .attempt = 3};
    const struct dray_test_call text = {.id = "a-1", .key = "K", .payload = "{\"do\":\"fail\"}"};
    const struct dray_test_call bad = {.id = "a-2", .key = "", .payload = "[]"};
    struct line lines[8] = {{.end_ns = 0}};

    dray_test_outcome_destroy(check_run(*state, &binary));
    dray_test_outcome_destroy(check_run(*state, &text));
    dray_test_outcome_destroy(check_run(*state, &bad));
    assert_int_equal(3, read_log(lines, 8));
    assert_string_equal("000102030405060708090a0b0c0d0e0f", lines[0].id);
    assert_string_equal("-", lines[0].key);
    assert_int_equal(3, lines[0].attempt);
    assert_string_equal("test", lines[0].worker);
    assert_true(lines[0].end_ns - lines[0].start_ns >= 20000000);
    assert_string_equal("612d31", lines[1].id);
    assert_string_equal("4b", lines[1].key);
    assert_int_equal(1, lines[1].attempt);
    assert_true(lines[1].start_ns >= lines[0].end_ns);
    assert_string_equal("-", lines[2].key);
}

static void *run_many(void *arg)
{
    const struct dray_test_call call = {.payload = "{}", .key = "some key of a length"};

    for (unsigned i = 0; i < 200; i++) {
        struct dray_test_outcome *outcome = NULL;

        if (dray_test_host_run(arg, &call, &outcome) == DRAY_OK) {
            dray_test_outcome_destroy(outcome);
        }
    }
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    static struct line lines[1000];
    pthread_t threads[4];

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, run_many, *state));
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
    }
    assert_int_equal(800, read_log(lines, 1000));
}

static void *sleep_once(void *arg)
{
    const struct dray_test_call call = {.payload = "{\"do\":\"sleep\",\"ms\":100}"};
    struct dray_test_outcome *outcome = NULL;

    if (dray_test_host_run(arg, &call, &outcome) == DRAY_OK) {
        dray_test_outcome_destroy(outcome);
    }
    return NULL;
}

static void who_sleeps_as_one_of_more_than_there_is_room_for_sleeps_longer(void **state)
{
    struct line lines[8] = {{.end_ns = 0}};
    uint64_t longest_ns = 0;
    pthread_t threads[6];

    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, sleep_once, *state));
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
    }
    assert_int_equal(6, read_log(lines, 8));
    for (unsigned i = 0; i < 6; i++) {
        uint64_t took_ns = lines[i].end_ns - lines[i].start_ns;

        assert_true(took_ns >= 100000000);
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
    }
    assert_true(longest_ns >= 150000000); /* room for two, and three slept at once */
}

static void crash_is_a_real_one_and_leaves_its_line(void **state)
{
    char *const arguments[] = {(char[]){TRY}, (char[]){MODULE}, (char[]){"probe"},
                               (char[]){"{\"do\":\"crash\"}"}, NULL};
    posix_spawn_file_actions_t actions;
    struct line lines[2] = {{.end_ns = 0}};
    pid_t pid;
    int status = 0;

    (void)state;
    assert_int_equal(0, posix_spawn_file_actions_init(&actions));
    assert_int_equal(
        0, posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0));
    assert_int_equal(0, posix_spawn(&pid, TRY, &actions, NULL, arguments, environ));
    (void)posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(pid, waitpid(pid, &status, 0));
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* A sanitizer catches the signal and exits; neither 0 nor 1, what dray-try would give. */
    assert_true(WIFEXITED(status) ? WEXITSTATUS(status) != 0 : WTERMSIG(status) != 0);
#else
    assert_true(WIFSIGNALED(status));
    assert_int_equal(SIGSEGV, WTERMSIG(status));
#endif
    assert_int_equal(1, read_log(lines, 2));
    assert_true(lines[0].end_ns >= lines[0].start_ns);
}

static void a_log_that_cannot_be_written_is_no_secret(void **state)
{
    struct dray_test_host *host = NULL;

    (void)state;
    check_env("DRAY_PROBE_LOG", "/nonexistent/log");
    test_status(DRAY_EIO, dray_test_host_load(MODULE, &host));
    check_env("DRAY_PROBE_LOG", "/dev/full");
    test_ok(dray_test_host_load(MODULE, &host));
    check_fails(host, "{}", DRAY_KIND_INTERNAL, "probe", "DRAY_PROBE_LOG cannot be written");
    dray_test_host_close(host);
    check_env("DRAY_PROBE_LOG", NULL);
    test_ok(dray_test_host_load(MODULE, &host));
    check_gives(host, "{}", "{\"echo\":null}");
    dray_test_host_close(host);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(ok_gives_back_what_came_as_echo),
        CASE(an_echo_keeps_its_bytes),
        CASE(fail_fails_with_each_kind),
        CASE(a_gate_fails_until_its_file_is_there),
        CASE(a_payload_that_does_not_fit_is_invalid),
        CASE(sleep_and_spin_take_their_time_and_only_spin_takes_the_processor),
        CASE(sleep_and_spin_end_early_when_they_are_cancelled),
        CASE(a_sleeper_takes_back_what_would_wake_it),
        CASE(who_is_deaf_goes_on),
        CASE(a_result_without_room_is_a_limit),
        CASE(each_call_leaves_one_line),
        CASE(lines_of_many_threads_stay_whole),
        cmocka_unit_test_setup_teardown(
            who_sleeps_as_one_of_more_than_there_is_room_for_sleeps_longer, setup_with_room,
            teardown_with_room),
        CASE(crash_is_a_real_one_and_leaves_its_line),
        CASE(a_log_that_cannot_be_written_is_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
