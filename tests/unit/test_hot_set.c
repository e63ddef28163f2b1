/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* How often routes are called, which of them are hot, and what that does for their modules. */

#include <stdlib.h>
#include <sys/resource.h>

#include "observe/metrics.h"
#include "registry_fixture.h"
#include "run/heat.h"
#include "run/hot_set.h"
#include "run/module.h"
#include "run/preload.h"

#define SECOND UINT64_C(1000000000)

/* ---- the window ---- */

static void a_window_forgets_part_by_part(void **state)
{
    struct dri_heat heat = {.total = 0};
    uint32_t counter = 0;
    (void)state;
    for (uint64_t part = 100; part < 120; part++) {
        counter += (uint32_t)(part - 99);
        dri_heat_take(&heat, part, counter);
        dri_heat_take(&heat, part, counter); /* nothing new */
    }
    /* the last ten: 11 to 20 */
    assert_int_equal(dri_heat_window(&heat), 155);
    assert_int_equal(dri_heat_part(&heat, 0), 11);
    assert_int_equal(dri_heat_part(&heat, DRI_HEAT_PARTS - 1), 20);
    dri_heat_take(&heat, 122, counter + 5); /* two parts went by */
    assert_int_equal(dri_heat_window(&heat), 155 - 11 - 12 - 13 + 5);
    assert_int_equal(dri_heat_part(&heat, DRI_HEAT_PARTS - 2), 0);
    dri_heat_take(&heat, 131, counter + 5);
    assert_int_equal(dri_heat_window(&heat), 5);
    dri_heat_take(&heat, 132, counter + 5);
    assert_int_equal(dri_heat_window(&heat), 0);
    assert_int_equal(heat.total, 215);
}

static void a_counter_that_wraps_goes_on(void **state)
{
    struct dri_heat heat = {.total = 0};
    (void)state;
    dri_heat_take(&heat, 1, UINT32_MAX - 1);
    dri_heat_take(&heat, 20, 3);
    assert_int_equal(dri_heat_window(&heat), 5);
    assert_true(heat.total == (uint64_t)UINT32_MAX + 4);
}

/* ---- the registry ---- */

static void call(struct dri_reader *reader, const char *name, unsigned times)
{
    const struct dri_query query = query_of("default", name, NULL);
    const struct dri_route *route = NULL;
    for (unsigned i = 0; i < times; i++) {
        test_ok(dri_registry_pin(reader, &query, &route));
        dri_registry_note_call(reader, route);
        dri_registry_unpin(reader, route);
    }
}

static uint64_t window_of(const struct fixture *f, const char *key)
{
    const struct dri_route *route = dri_registry_find_key(f->registry, dray_slice_text(key));
    assert_non_null(route);
    return dri_heat_window(&route->heat);
}

static void calls_of_all_readers_count_of_those_that_are_gone_too(void **state)
{
    struct fixture f;
    struct dri_reader *other = NULL;
    (void)state;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(dri_reader_register(f.registry, &other));
    call(f.reader, "order.create", 3);
    call(other, "order.create", 4);
    dri_reader_unregister(other);
    dri_registry_take_calls(f.registry, 1);
    assert_int_equal(window_of(&f, "default/order.create@1.0.0"), 7);
    dri_registry_take_calls(f.registry, 1);
    assert_int_equal(window_of(&f, "default/order.create@1.0.0"), 7);
    fixture_close(&f);
}

/* A number is given on to another route: what the first one was called is not the second one's. */
static void a_number_that_is_used_again_begins_at_nothing(void **state)
{
    struct fixture f;
    const struct spec other = version_spec("other.run", "1.0.0");
    (void)state;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    call(f.reader, "order.create", 9);
    uint32_t number =
        dri_registry_find_key(f.registry, dray_slice_text("default/order.create@1.0.0"))->number;
    test_ok(fixture_remove(&f, "default/order.create@1.0.0", 1));
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    test_ok(fixture_put(&f, 0, &other));
    const struct dri_route *route =
        dri_registry_find_key(f.registry, dray_slice_text("default/other.run@1.0.0"));
    assert_int_equal(route->number, number);
    dri_registry_take_calls(f.registry, 1);
    assert_true(route->heat.total == 0 && dri_heat_window(&route->heat) == 0);
    fixture_close(&f);
}

static void a_route_that_is_put_again_stays_warm_but_was_not_called(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    call(f.reader, "order.create", 9);
    dri_registry_take_calls(f.registry, 5);
    test_ok(fixture_put(&f, 1, &order));
    dri_registry_take_calls(f.registry, 6);
    const struct dri_route *route =
        dri_registry_find_key(f.registry, dray_slice_text("default/order.create@1.0.0"));
    assert_true(route->heat.total == 0 && dri_heat_window(&route->heat) == 9);
    dri_registry_take_calls(f.registry, 15);
    assert_int_equal(dri_heat_window(&route->heat), 0);
    fixture_close(&f);
}

static void add(void *hottest, const struct dri_route *route)
{
    dri_hottest_add(hottest, route);
}

static void the_busiest_are_listed_and_all_are_counted(void **state)
{
    struct fixture f;
    char name[32];
    struct dri_hottest hottest = {.calls_min = 40};
    (void)state;
    fixture_open(&f);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof(name), "n%02u", i);
        const struct spec spec = version_spec(name, "1.0.0");
        test_ok(fixture_put(&f, 0, &spec));
        call(f.reader, name, i); /* n00 never */
    }
    dri_registry_take_calls(f.registry, 1);
    dri_registry_each(f.registry, add, &hottest);
    assert_true(hottest.called == 49 && hottest.hot == 10);
    assert_int_equal(hottest.count, DRI_HOT_LISTED_MAX);
    for (size_t i = 0; i < hottest.count; i++) {
        assert_int_equal(dri_heat_window(&hottest.routes[i]->heat), 49 - i);
    }
    fixture_close(&f);
}

static void metrics_say(struct dri_metrics *metrics, const char *line, bool is_there)
{
    size_t len = 0;
    char *text = dri_metrics_text(metrics, &len);
    assert_non_null(text);
    if ((strstr(text, line) != NULL) != is_there) {
        print_error("%s\n%s: %s\n", text, is_there ? "wants" : "does not want", line);
        fail();
    }
    dri_free(text);
}

static void a_route_is_hot_from_its_calls_on_until_they_are_past(void **state)
{
    struct fixture f;
    struct dri_hot_set set;
    struct dri_metrics *metrics = NULL;
    struct dri_metrics_page *page = NULL;
    (void)state;
    fixture_open(&f);
    test_ok(dri_metrics_create("s", "w", "0", &metrics));
    test_ok(dri_metrics_page(metrics, &page));
    test_ok(fixture_put(&f, 0, &order));
    dri_hot_set_init(&set, f.registry, page, 200, 300000);
    dri_hot_set_turn(&set, 1000 * SECOND);
    metrics_say(metrics, "\ndray_routes_idle 1\n", true);
    call(f.reader, "order.create", 199);
    dri_hot_set_turn(&set, 1010 * SECOND);
    metrics_say(metrics, "\ndray_routes_hot 0\n", true);
    metrics_say(metrics, "\ndray_routes_idle 0\n", true);
    metrics_say(metrics, "dray_hot_calls{", false);
    call(f.reader, "order.create", 1);
    dri_hot_set_turn(&set, 1010 * SECOND + 1); /* too soon */
    metrics_say(metrics, "\ndray_routes_hot 0\n", true);
    dri_hot_set_turn(&set, 1011 * SECOND);
    metrics_say(metrics, "\ndray_routes_hot 1\n", true);
    metrics_say(metrics, "dray_hot_calls{route=\"default/order.create@1.0.0\"} 200\n", true);
    /* within nine tenths of the window still, after all of it no more */
    dri_hot_set_turn(&set, 1011 * SECOND + 260 * SECOND);
    metrics_say(metrics, "\ndray_routes_hot 1\n", true);
    dri_hot_set_turn(&set, 1011 * SECOND + 300 * SECOND);
    metrics_say(metrics, "\ndray_routes_hot 0\n", true);
    metrics_say(metrics, "dray_hot_calls{", false);
    dri_metrics_destroy(metrics);
    fixture_close(&f);
}

/* ---- preloading ---- */

static long faults(void)
{
    struct rusage usage;
    assert_int_equal(0, getrusage(RUSAGE_SELF, &usage));
    return usage.ru_minflt;
}

/* Faults that reading a byte of each page of the module's large table costs; a sanitizer's own
 * memory would fault along. */
__attribute__((no_sanitize_address, no_sanitize_thread)) static long
faults_of_reading(const volatile unsigned char *table, size_t bytes)
{
    long before = faults();
    for (size_t at = 0; at < bytes; at += 4096) {
        (void)table[at];
    }
    return faults() - before;
}

static void a_module_that_is_preloaded_faults_no_more(void **state)
{
    struct dri_modules *modules = NULL;
    struct dri_module *module = NULL;
    char text[256] = "";
    (void)state;
    test_ok(dri_modules_create(DRAY_TEST_BUILD_DIR "/tests/modules", "w", &modules));
    test_ok(dri_module_load(modules, dray_slice_text("wide.so"), dray_slice_of(NULL, 0), &module,
                            text, sizeof(text)));
    const struct dray_module *descriptor = dri_module_descriptor(module);
    /* the user's data is the table: see wide.c */
    const volatile unsigned char *table = dri_module_user(module);
    long lazily = faults_of_reading(table, 2u << 20); /* the kernel maps some pages around each */
    size_t mapped = dri_preload(descriptor);
    long after = faults_of_reading(table + (2u << 20), 2u << 20);
    if (mapped == 0) {
        dri_module_release(module);
        dri_modules_destroy(modules);
        skip(); /* a kernel before 5.14 */
    }
    assert_true(mapped >= 4u << 20);
    assert_true(lazily >= 16);
    assert_true(after <= 2); /* of this thread's own affairs */
    dri_module_release(module);
    dri_modules_destroy(modules);
}

static void an_address_of_no_image_preloads_nothing(void **state)
{
    int here = 0;
    (void)state;
    assert_int_equal(dri_preload(&here), 0);
    assert_int_equal(dri_preload(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_forgets_part_by_part),
        cmocka_unit_test(a_counter_that_wraps_goes_on),
        cmocka_unit_test(calls_of_all_readers_count_of_those_that_are_gone_too),
        cmocka_unit_test(a_number_that_is_used_again_begins_at_nothing),
        cmocka_unit_test(a_route_that_is_put_again_stays_warm_but_was_not_called),
        cmocka_unit_test(the_busiest_are_listed_and_all_are_counted),
        cmocka_unit_test(a_route_is_hot_from_its_calls_on_until_they_are_past),
        cmocka_unit_test(a_module_that_is_preloaded_faults_no_more),
        cmocka_unit_test(an_address_of_no_image_preloads_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
