/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* Modules that would take a worker down are tried in a child, which is this program again. */

#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "module_fixture.h"
#include "run/module_probe.h"

#define SELF     "/proc/self/exe"
#define PATIENCE 20000u /* ms: a child that answers does so before, on any machine */
#define HASTE    300u

static void put_rogue(const struct fixture *fixture, const char *rogue, char ret_name[64])
{
    char from[PATH_BYTES];

    (void)snprintf(from, sizeof(from), TESTED "rogue_%s.so", rogue);
    (void)snprintf(ret_name, 64, "%s.so", rogue);
    for (char *at = ret_name; *at != '\0'; at++) {
        *at = *at == '_' ? '-' : *at;
    }
    put(fixture, from, ret_name);
}

static struct dri_modules_stats stats_of(const struct fixture *fixture)
{
    struct dri_modules_stats stats;

    dri_modules_stats(fixture->modules, &stats);
    return stats;
}

static void what_crashes_does_so_in_a_child_and_the_reason_says_where(void **state)
{
    static const struct {
        const char *rogue, *says;
    } rows[] = {
        {"crash_constructor", "crash-constructor.so: a constructor ended its process by SIGABRT"},
        {"exit_constructor", "a constructor ended its process with exit code 3"},
        {"child_constructor", "a constructor ended its process by SIGABRT"},
        {"crash_open", "its open ended its process by SIGABRT"},
        {"crash_close", "its close ended its process by SIGABRT"},
        {"crash_destructor", "a destructor ended its process by SIGABRT"},
    };
    struct fixture *fixture = *state;

    test_ok(dri_modules_try_first(fixture->modules, SELF, PATIENCE));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[64];

        put_rogue(fixture, rows[i].rogue, name);
        refuses(fixture, name, DRAY_EINVALID, rows[i].says);
        assert_int_equal(i + 1, stats_of(fixture).trials_failed);
        refuses(fixture, name, DRAY_EINVALID, rows[i].says); /* known: no child for it */
        assert_int_equal(i + 1, stats_of(fixture).trials_failed);
    }
    assert_int_equal(0, stats_of(fixture).retired);
}

static void what_does_not_return_is_ended_after_its_time(void **state)
{
    struct fixture *fixture = *state;
    char name[64];

    test_ok(dri_modules_try_first(fixture->modules, SELF, HASTE));
    put_rogue(fixture, "hang_constructor", name);
    refuses(fixture, name, DRAY_EINVALID, "did not return within 300 ms (worker.trial_ms)");
    put_rogue(fixture, "hang_open", name);
    refuses(fixture, name, DRAY_EINVALID, "did not return within 300 ms (worker.trial_ms)");
}

static void the_child_has_no_descriptor_but_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;
    char name[64];
    int open_here = open("/dev/null", O_RDONLY); /* NOLINT(android-cloexec-open): that is it */

    assert_true(open_here >= 0);
    test_ok(dri_modules_try_first(fixture->modules, SELF, PATIENCE));
    put_rogue(fixture, "files_open", name);
    test_ok(load(fixture, name, any_hash, &module));
    dri_module_release(module);
    (void)close(open_here);
}

static void the_loaders_and_the_descriptors_reasons_come_from_the_child_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;

    test_ok(dri_modules_try_first(fixture->modules, SELF, PATIENCE));
    put(fixture, TESTED "bad_undefined.so", "u.so");
    refuses(fixture, "u.so", DRAY_EINVALID,
            "module u.so: the loader refuses it: undefined symbol: a_function_that_is_nowhere");
    put(fixture, TESTED "bad_abi.so", "a.so");
    refuses(fixture, "a.so", DRAY_EINVALID, "module a.so: was built for ABI 99 of dray");
    put(fixture, TESTED "bad_symbol.so", "s.so");
    refuses(fixture, "s.so", DRAY_EINVALID, "does not export dray_module");
    assert_int_equal(0, stats_of(fixture).retired); /* nothing of them is in this process */
    put(fixture, SPY, "spy.so");
    (void)setenv("DRAY_TEST_SPY_OPEN", "transient", 1); /* NOLINT(concurrency-mt-unsafe): alone */
    refuses(fixture, "spy.so", DRAY_EIO, "its open failed: timed out");
    (void)unsetenv("DRAY_TEST_SPY_OPEN"); /* NOLINT(concurrency-mt-unsafe): as above */
    test_ok(load(fixture, "spy.so", any_hash, &module)); /* it is not remembered */
    dri_module_release(module);
}

static void a_program_that_cannot_be_started_loads_nothing_untried(void **state)
{
    struct fixture *fixture = *state;

    test_ok(dri_modules_try_first(fixture->modules, "/nonexistent/dray", PATIENCE));
    put(fixture, ORDERS, "orders.so");
    refuses(fixture, "orders.so", DRAY_EIO, "cannot be tried in a child: No such file");
}

static void a_program_that_does_not_know_how_says_so(void **state)
{
    struct fixture *fixture = *state;

    test_ok(dri_modules_try_first(fixture->modules, "/bin/true", PATIENCE));
    put(fixture, ORDERS, "orders.so");
    refuses(fixture, "orders.so", DRAY_EIO, "/bin/true did not begin the trial");
}

/* ---- what may be unloaded ---- */

static void what_may_be_unloaded_is_and_its_memory_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;
    char name[64];

    test_ok(dri_modules_try_first(fixture->modules, SELF, PATIENCE));
    put_rogue(fixture, "files_open", name);
    for (unsigned i = 1; i <= 3; i++) {
        test_ok(load(fixture, name, any_hash, &module));
        assert_int_equal(1, stats_of(fixture).in_use);
        dri_module_release(module);
        assert_int_equal(0, stats_of(fixture).in_use);
        assert_int_equal(0, stats_of(fixture).retired);
        assert_int_equal(i, stats_of(fixture).unloaded);
    }
}

static void what_leaves_something_behind_is_retired_whatever_it_says(void **state)
{
    static const char *const rogues[] = {"left_thread", "left_key", "left_signal", "left_image"};
    struct fixture *fixture = *state;

    test_ok(dri_modules_try_first(fixture->modules, SELF, PATIENCE));
    for (unsigned i = 0; i < sizeof(rogues) / sizeof(rogues[0]); i++) {
        struct dri_module *module = NULL;
        char name[64];

        put_rogue(fixture, rogues[i], name);
        test_ok(load(fixture, name, any_hash, &module));
        dri_module_release(module);
        assert_int_equal(0, stats_of(fixture).unloaded);
        assert_int_equal(i + 1, stats_of(fixture).retired);
    }
    (void)signal(SIGUSR2, SIG_DFL);
}

static void the_loader_has_the_last_word_where_nothing_was_tried(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;
    char name[64];

    put_rogue(fixture, "left_image", name);
    test_ok(load(fixture, name, any_hash, &module));
    dri_module_release(module);
    assert_int_equal(1, stats_of(fixture).retired);
    test_ok(load(fixture, name, any_hash, &module)); /* the same image, taken up again */
    assert_int_equal(0, stats_of(fixture).retired);
    dri_module_release(module);
    assert_int_equal(1, stats_of(fixture).retired);
    assert_int_equal(0, stats_of(fixture).unloaded);
}

static void discard_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(what_crashes_does_so_in_a_child_and_the_reason_says_where),
        CASE(what_does_not_return_is_ended_after_its_time),
        CASE(the_child_has_no_descriptor_but_its_own),
        CASE(the_loaders_and_the_descriptors_reasons_come_from_the_child_as_they_are),
        CASE(a_program_that_cannot_be_started_loads_nothing_untried),
        CASE(a_program_that_does_not_know_how_says_so),
        CASE(what_may_be_unloaded_is_and_its_memory_comes_back),
        CASE(what_leaves_something_behind_is_retired_whatever_it_says),
        CASE(the_loader_has_the_last_word_where_nothing_was_tried),
    };

    dri_probe_main(argc, argv);
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, discard_line, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
