/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* Chains around real handlers of a real module, in real lanes. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dray/handler.h>

#include "base/mem.h"
#include "base/queue.h"
#include "run/binding.h"
#include "run/executor.h"
#include "run/interceptor.h"
#include "run/module.h"
#include "run/registry.h"
#include "support/test.h"

#define LOG_BYTES 8192

struct fixture {
    char log[64], audit[64];
    struct dri_modules *modules;
    struct dri_registry *registry;
    struct dri_wake wake;
    struct dri_executor *executor;
    const struct dri_executor_ops *ops;
    struct dri_flight flight;
    uint64_t revision;
    char said[LOG_BYTES];
};

/* ---- routes ---- */

/* Puts the route of a handler with a list of interceptors, as JSON-like words split by blanks. */
static enum dray_status put(struct fixture *f, const char *handler, const char *interceptors)
{
    uint8_t list[1024];
    uint8_t bytes[2048];
    size_t list_len = 1, len = 0;
    char words[512];
    char key[64];
    char text[256] = "";
    char *rest = NULL;
    struct dri_registry_conflict conflict;

    (void)snprintf(words, sizeof(words), "%s", interceptors);
    list[0] = 0x90;
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        size_t word_len = strlen(word);
        list[0]++;
        list[list_len++] = 0xd9;
        list[list_len++] = (uint8_t)word_len;
        for (size_t i = 0; i < word_len; i++) {
            list[list_len++] = (uint8_t)word[i];
        }
    }
    const struct dri_route_view view = {
        .ns = dray_slice_text("default"),
        .name = dray_slice_text(handler),
        .version = dray_slice_text("1.0.0"),
        .runtime = dray_slice_text("native"),
        .module = dray_slice_text("gates.so"),
        .handler = dray_slice_text(handler),
        .policy = {.interceptors = dray_slice_of(list, list_len)},
        .has_version = true,
    };
    test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
    (void)snprintf(key, sizeof(key), "default/%s@1.0.0", handler);
    const struct dri_route *present = dri_registry_find_key(f->registry, dray_slice_text(key));
    return dri_registry_put(f->registry, present == NULL ? 0 : present->revision, ++f->revision,
                            dray_slice_of(bytes, len), &conflict, text, sizeof(text));
}

static const char *failure_of(const struct fixture *f, const char *handler)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "default/%s@1.0.0", handler);
    const struct dri_route *route = dri_registry_find_key(f->registry, dray_slice_text(key));
    assert_non_null(route);
    assert_null(route->handler);
    return route->failure;
}

/* ---- lanes ---- */

static void set_path(char *ret_path, size_t bytes, const char *name)
{
    (void)snprintf(ret_path, bytes, "/tmp/dray-gates-XXXXXX");
    int fd = mkstemp(ret_path);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)setenv(name, ret_path, 1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static struct fixture *fixture;

static int set_up(void **state)
{
    struct fixture *f = fixture; /* one for all: a module that was opened keeps its log */
    struct dri_registry_config registry = {.bind = dri_binding_bind,
                                           .unbind = dri_binding_unbind,
                                           .arg = f->modules,
                                           .readers_max = 4};
    f->revision = 0;
    test_ok(dri_registry_create(&registry, &f->registry));
    test_ok(dri_wake_init(&f->wake));
    const struct dri_lanes_config lanes = {
        .lanes = 1,
        .lane_depth = 8,
        .chain_max = 8,
        .result_bytes_max = 4096,
        .worker = "w-1",
        .registry = f->registry,
        .wake = &f->wake,
    };
    test_ok(dri_lanes_create(&lanes, &f->executor));
    f->ops = ((struct dri_executor_base *)(void *)f->executor)->ops;
    f->flight = (struct dri_flight){.generation = 1};
    assert_int_equal(0, truncate(f->log, 0));
    assert_int_equal(0, truncate(f->audit, 0));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    test_ok(dri_lanes_stop(f->executor, 30000));
    f->ops->release(f->executor, &f->flight);
    dri_lanes_destroy(f->executor);
    dri_wake_fini(&f->wake);
    dri_registry_destroy(f->registry);
    return 0;
}

static int set_up_all(void **state)
{
    (void)state;
    fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    set_path(fixture->log, sizeof(fixture->log), "DRAY_TEST_GATES_LOG");
    set_path(fixture->audit, sizeof(fixture->audit), "DRAY_AUDIT_LOG");
    test_ok(dri_modules_create(DRAY_TEST_BUILD_DIR "/tests/modules", "w-1", &fixture->modules));
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    dri_modules_destroy(fixture->modules);
    (void)unlink(fixture->log);
    (void)unlink(fixture->audit);
    free(fixture);
    return dri_mem_live() == 0 ? 0 : -1;
}

static struct dri_flight *run(struct fixture *f, const char *command)
{
    struct dri_flight *flight = &f->flight;
    struct dri_flight *back = NULL;
    flight->envelope.id = dray_slice_text("c-1");
    flight->envelope.command = dray_slice_text(command);
    flight->envelope.namespace_ = dray_slice_text("default");
    flight->attempt = 1;
    f->ops->submit(f->executor, 0, flight);
    f->ops->flush(f->executor);
    while (f->ops->take(f->executor, &back, 1) == 0) {
        dri_wake_prepare(&f->wake);
        if (f->ops->take(f->executor, &back, 1) == 1) {
            dri_wake_cancel(&f->wake);
            break;
        }
        dri_wake_wait(&f->wake, UINT64_C(60000000000));
    }
    assert_ptr_equal(back, flight);
    return flight;
}

static const char *read_log(struct fixture *f, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, f->said, sizeof(f->said) - 1);
    (void)close(fd);
    f->said[len < 0 ? 0 : len] = '\0';
    return f->said;
}

/* ---- the cases ---- */

static void a_chain_runs_around_its_handler(void **state)
{
    struct fixture *f = *state;
    test_ok(put(f, "ok", "gates.so:a1 gates.so:empty gates.so:b1"));
    const struct dri_flight *flight = run(f, "ok");
    assert_int_equal(flight->kind, DRAY_KIND_NONE);
    assert_true(flight->result.len == 1 && flight->result.at[0] == 7);
    assert_string_equal("c-1 a1 before\nc-1 b1 before\nc-1 b1 after\nc-1 a1 after\n",
                        read_log(f, f->log));
}

static void a_failure_is_told_with_its_words(void **state)
{
    struct fixture *f = *state;
    test_ok(put(f, "fail", "gates.so:a1"));
    const struct dri_flight *flight = run(f, "fail");
    char wanted[128];
    assert_int_equal(flight->kind, DRAY_KIND_REJECTED);
    test_slice("told to", flight->error_message);
    (void)snprintf(wanted, sizeof(wanted), "c-1 a1 before\nc-1 a1 error %d why\n",
                   (int)DRAY_KIND_REJECTED);
    assert_string_equal(wanted, read_log(f, f->log));
}

/* What the worker makes of a result is what the interceptors are told, too. */
static void a_result_that_is_no_value_is_told_as_a_failure(void **state)
{
    struct fixture *f = *state;
    test_ok(put(f, "two", "gates.so:a1"));
    assert_int_equal(run(f, "two")->kind, DRAY_KIND_INTERNAL);
    assert_non_null(strstr(read_log(f, f->log), "a1 error "));
}

static void one_that_refuses_ends_it_before_the_handler(void **state)
{
    struct fixture *f = *state;
    char wanted[128];
    test_ok(put(f, "ok", "gates.so:a1 gates.so:deny gates.so:b1"));
    const struct dri_flight *flight = run(f, "ok");
    assert_int_equal(flight->kind, DRAY_KIND_REJECTED);
    assert_false(flight->verdict.is_retry);
    test_slice("denied", flight->error_code);
    assert_int_equal(flight->result.len, 0);
    (void)snprintf(wanted, sizeof(wanted), "c-1 a1 before\nc-1 a1 error %d denied refused\n",
                   (int)DRAY_KIND_REJECTED);
    assert_string_equal(wanted, read_log(f, f->log));
}

static void a_change_of_the_route_changes_its_chain(void **state)
{
    struct fixture *f = *state;
    test_ok(put(f, "ok", "gates.so:a1"));
    (void)run(f, "ok");
    test_ok(put(f, "ok", "gates.so:b2"));
    (void)run(f, "ok");
    test_ok(put(f, "ok", ""));
    assert_int_equal(run(f, "ok")->kind, DRAY_KIND_NONE);
    assert_string_equal("c-1 a1 before\nc-1 a1 after\nc-1 b2 before\nc-1 b2 after\n",
                        read_log(f, f->log));
}

/* A route whose guard is missing does not run unguarded. */
static void a_route_whose_interceptor_is_not_there_does_not_run(void **state)
{
    struct fixture *f = *state;
    test_ok(put(f, "ok", "gates.so:a1 gates.so:nobody"));
    assert_non_null(strstr(failure_of(f, "ok"), "gates.so has no interceptor \"nobody\""));
    assert_int_equal(run(f, "ok")->kind, DRAY_KIND_UNAVAILABLE);
    test_ok(put(f, "ok", "none.so:log"));
    assert_non_null(strstr(failure_of(f, "ok"), "none.so: is not in the module folder"));
    test_ok(put(f, "ok", "wide.so:log"));
    assert_non_null(strstr(failure_of(f, "ok"), "wide.so has no interceptor"));
    test_ok(put(f, "ok",
                "gates.so:a1@"
                "0000000000000000000000000000000000000000000000000000000000000000"));
    assert_non_null(strstr(failure_of(f, "ok"), "not the one that the route names"));
    test_ok(put(f, "ok", "gates.so:a1"));
    assert_int_equal(run(f, "ok")->kind, DRAY_KIND_NONE);
}

static void a_list_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char nine[] = "a.so:1 a.so:2 a.so:3 a.so:4 a.so:5 a.so:6 a.so:7 a.so:8 a.so:9";
    static const char *const bad[] = {
        "gates.so",       "gates.so:",    ":a1",         "../gates.so:a1",
        "gates.so:a1@12", "gates.so:a1@", "gates.so:-a", nine};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (put(f, "ok", bad[i]) != DRAY_EINVALID) {
            print_error("%s\n", bad[i]);
            fail();
        }
    }
    assert_int_equal(dri_registry_count(f->registry), 0);
}

/* ---- descriptors of other SDKs ---- */

static void a_descriptor_of_the_first_sdk_has_none(void **state)
{
    struct dray_module old = {.bytes = offsetof(struct dray_module, interceptors)};
    (void)state;
    old.interceptors_count = 77; /* what stands behind it is not its own */
    assert_int_equal(dri_interceptors_count(&old), 0);
    assert_null(dri_interceptors_check(&old));
}

static void a_descriptor_with_bad_interceptors_is_refused(void **state)
{
    static const struct dray_interceptor twice[] = {{.name = "x"}, {.name = "x"}};
    static const struct dray_interceptor nameless[] = {{.name = "a b"}};
    struct dray_module module = {DRAY_MODULE_HEAD, .interceptors = twice, .interceptors_count = 2};
    (void)state;
    assert_string_equal("two interceptors have one name", dri_interceptors_check(&module));
    module.interceptors_count = 1;
    assert_null(dri_interceptors_check(&module));
    module.interceptor_bytes = 8;
    assert_non_null(strstr(dri_interceptors_check(&module), "impossible sizes"));
    module.interceptor_bytes = sizeof(struct dray_interceptor);
    module.interceptors = nameless;
    assert_non_null(strstr(dri_interceptors_check(&module), "not of the form"));
    module.interceptors = NULL;
    assert_non_null(dri_interceptors_check(&module));
}

/* ---- the sample ---- */

static void the_audit_log_has_a_line_for_each_run(void **state)
{
    struct fixture *f = *state;
    struct dri_modules *modules = NULL;
    struct dri_chain *chain = NULL;
    char text[256] = "";
    static const uint8_t list[] = "\x91\xac"
                                  "audit.so:log";
    const struct dri_policy policy = {.interceptors = dray_slice_of(list, sizeof(list) - 1)};
    test_ok(dri_modules_create(DRAY_TEST_MODULE_DIR, "w-1", &modules));
    test_ok(dri_chain_load(modules, &policy, &chain, text, sizeof(text)));
    struct dray_call call = {.bytes = sizeof(call),
                             .attempt = 2,
                             .id = dray_slice_text("c\"1"),
                             .command = dray_slice_text("order.create"),
                             .version = dray_slice_text("1.0.0"),
                             .worker = dray_slice_text("w-1")};
    size_t entered = 0;
    assert_int_equal(dri_chain_before(chain, &call, &entered), DRAY_KIND_NONE);
    assert_int_equal(entered, 1);
    struct dray_end end = {.bytes = sizeof(end), .duration_ns = 12345678};
    dri_chain_after(chain, entered, &call, &end);
    end.kind = DRAY_KIND_AUTH;
    end.code = dray_slice_text("denied");
    end.is_refused = true;
    dri_chain_after(chain, entered, &call, &end);
    const char *said = read_log(f, f->audit);
    assert_non_null(strstr(said, ",\"worker\":\"w-1\",\"command\":\"order.create\","
                                 "\"version\":\"1.0.0\",\"id\":\"c\\u00221\",\"key\":\"\","
                                 "\"attempt\":2,\"outcome\":\"ok\",\"ms\":12}\n{\"ts\":"));
    assert_non_null(strstr(said, "\"outcome\":\"auth\",\"code\":\"denied\",\"refused\":true,"
                                 "\"ms\":12}\n"));
    dri_chain_release(chain);
    dri_modules_destroy(modules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_chain_runs_around_its_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_is_told_with_its_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_result_that_is_no_value_is_told_as_a_failure, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_refuses_ends_it_before_the_handler, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_the_route_changes_its_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_route_whose_interceptor_is_not_there_does_not_run, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_list_that_is_none_is_refused, set_up, tear_down),
        cmocka_unit_test(a_descriptor_of_the_first_sdk_has_none),
        cmocka_unit_test(a_descriptor_with_bad_interceptors_is_refused),
        cmocka_unit_test_setup_teardown(the_audit_log_has_a_line_for_each_run, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
