/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dray/kind.h>

#include "mem.h"
#include "metrics.h"
#include "support/test.h"

static char *text_of(struct dri_metrics *metrics)
{
    size_t len = 0;
    char *text = dri_metrics_text(metrics, &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    return text;
}

static void assert_has(struct dri_metrics *metrics, const char *line)
{
    char *text = text_of(metrics);
    if (strstr(text, line) == NULL) {
        fail_msg("no line \"%s\" in:\n%s", line, text);
    }
    dri_free(text);
}

static struct dri_metrics *make(void)
{
    struct dri_metrics *metrics = NULL;
    test_ok(dri_metrics_create("orders", "w-1", "1.2.3", &metrics));
    return metrics;
}

static void pages_of_several_threads_are_summed(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *first = NULL;
    struct dri_metrics_page *second = NULL;
    test_ok(dri_metrics_page(metrics, &first));
    test_ok(dri_metrics_page(metrics, &second));
    dri_metrics_add(first, DRI_METRIC_MESSAGES, 3);
    dri_metrics_add(second, DRI_METRIC_MESSAGES, 4);
    dri_metrics_set(second, DRI_METRIC_IN_FLIGHT, 9);
    assert_has(metrics, "\ndray_messages_total 7\n");
    assert_has(metrics, "# TYPE dray_messages_total counter\n");
    assert_has(metrics, "\ndray_in_flight_commands 9\n");
    assert_has(metrics, "dray_build_info{version=\"1.2.3\",worker=\"w-1\"} 1\n");
    dri_metrics_destroy(metrics);
}

static void calls_are_counted_by_function_and_status(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *first = NULL;
    struct dri_metrics_page *second = NULL;
    test_ok(dri_metrics_page(metrics, &first));
    test_ok(dri_metrics_page(metrics, &second));
    dri_metrics_call(first, "order.create", DRAY_KIND_NONE, 20000);
    dri_metrics_call(second, "order.create", DRAY_KIND_NONE, 2000000);
    dri_metrics_call(first, "order.create", DRAY_KIND_REJECTED, 20000);
    dri_metrics_call(first, NULL, DRAY_KIND_UNKNOWN_COMMAND, 0);
    assert_has(metrics, "function_calls_total{service=\"orders\",function=\"order.create\","
                        "status=\"ok\"} 2\n");
    assert_has(metrics, "function_calls_total{service=\"orders\",function=\"order.create\","
                        "status=\"rejected\"} 1\n");
    assert_has(metrics, "function=\"unknown\",status=\"unknown_command\"} 1\n");
    assert_has(metrics,
               "function_duration_seconds_bucket{function=\"order.create\",le=\"2.5e-05\"} 2\n");
    assert_has(metrics,
               "function_duration_seconds_bucket{function=\"order.create\",le=\"+Inf\"} 3\n");
    assert_has(metrics, "function_duration_seconds_count{function=\"order.create\"} 3\n");
    assert_has(metrics, "function_duration_seconds_sum{function=\"order.create\"} 0.002040000\n");
    dri_metrics_destroy(metrics);
}

static void a_label_that_was_freed_and_reused_is_told_apart_by_its_text(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *page = NULL;
    test_ok(dri_metrics_page(metrics, &page));
    char name[16] = "first";
    dri_metrics_call(page, name, DRAY_KIND_NONE, 1);
    snprintf(name, sizeof(name), "second");
    dri_metrics_call(page, name, DRAY_KIND_NONE, 1);
    assert_has(metrics, "function=\"first\",status=\"ok\"} 1\n");
    assert_has(metrics, "function=\"second\",status=\"ok\"} 1\n");
    dri_metrics_destroy(metrics);
}

static void more_functions_than_the_bound_count_as_other(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *page = NULL;
    test_ok(dri_metrics_page(metrics, &page));
    for (unsigned i = 0; i < 1200; i++) {
        char name[32];
        snprintf(name, sizeof(name), "function-%u", i);
        dri_metrics_call(page, name, DRAY_KIND_NONE, 1);
    }
    assert_has(metrics, "function=\"function-1023\",status=\"ok\"} 1\n");
    assert_has(metrics, "function=\"other\",status=\"ok\"} 176\n");
    dri_metrics_destroy(metrics);
}

static void hostile_labels_are_escaped(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *page = NULL;
    test_ok(dri_metrics_page(metrics, &page));
    dri_metrics_call(page, "a\"b\\c\nd", DRAY_KIND_NONE, 1);
    assert_has(metrics, "function=\"a\\\"b\\\\c\\nd\",status=\"ok\"} 1\n");
    dri_metrics_destroy(metrics);
}

static void assert_has_not(struct dri_metrics *metrics, const char *part)
{
    char *text = text_of(metrics);
    if (strstr(text, part) != NULL) {
        fail_msg("there is \"%s\" in:\n%s", part, text);
    }
    dri_free(text);
}

static void what_is_shown_by_route_takes_the_place_of_what_was_before(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *page = NULL;
    char key[16] = "n/a@1.0.0";
    const struct dri_metrics_route both[] = {{key, 3}, {"n/b@1.0.0", 8}};
    test_ok(dri_metrics_page(metrics, &page));
    assert_has(metrics, "\n# TYPE dray_adaptive_limit_commands gauge\n");
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, both, 2);
    snprintf(key, sizeof(key), "other"); /* borrowed for the call only */
    for (unsigned i = 0; i < 2; i++) {
        assert_has(metrics, "\ndray_adaptive_limit_commands{route=\"n/a@1.0.0\"} 3\n");
        assert_has(metrics, "\ndray_adaptive_limit_commands{route=\"n/b@1.0.0\"} 8\n");
    }
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, &(struct dri_metrics_route){"n/b@1.0.0", 9},
                           1);
    assert_has(metrics, "\ndray_adaptive_limit_commands{route=\"n/b@1.0.0\"} 9\n");
    assert_has_not(metrics, "n/a@1.0.0");
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, NULL, 0);
    assert_has_not(metrics, "{route=");
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, both, 1);
    dri_mem_fail_at(1);
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, both, 2);
    dri_mem_fail_at(0);
    assert_has_not(metrics, "{route=");
    dri_metrics_destroy(metrics);
}

static void the_longest_and_oddest_key_of_a_route_fits(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct dri_metrics_page *page = NULL;
    char key[771]; /* three names and what parts them */
    memset(key, '"', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    test_ok(dri_metrics_page(metrics, &page));
    dri_metrics_set_routes(page, DRI_BY_ROUTE_LIMIT, &(struct dri_metrics_route){key, 7}, 1);
    assert_has(metrics, "\\\"\"} 7\n");
    dri_metrics_destroy(metrics);
}

struct showing {
    struct dri_metrics_page *page;
    atomic_bool is_over;
};

static void *show_routes(void *arg)
{
    struct showing *showing = arg;
    for (uint64_t i = 1; !atomic_load(&showing->is_over); i++) {
        const struct dri_metrics_route routes[] = {{"first", i}, {"second", i}};
        dri_metrics_set_routes(showing->page, DRI_BY_ROUTE_LIMIT, routes, 2);
    }
    return NULL;
}

static uint64_t shown_of(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    return at != NULL ? strtoull(at + strlen(line), NULL, 10) : 0;
}

/* A reader sees all of a block or, for a moment, none. */
static void reading_races_with_what_is_shown_by_route(void **state)
{
    (void)state;
    struct dri_metrics *metrics = make();
    struct showing showing = {.page = NULL};
    pthread_t thread;
    uint64_t seen = 0;
    test_ok(dri_metrics_page(metrics, &showing.page));
    assert_int_equal(pthread_create(&thread, NULL, show_routes, &showing), 0);
    while (seen < 200) {
        char *text = text_of(metrics);
        uint64_t first = shown_of(text, "{route=\"first\"} ");
        assert_int_equal(first, shown_of(text, "{route=\"second\"} "));
        seen += first != 0 ? 1 : 0;
        dri_free(text);
    }
    atomic_store(&showing.is_over, true);
    pthread_join(thread, NULL);
    dri_metrics_destroy(metrics);
}

struct counting {
    struct dri_metrics *metrics;
    unsigned failures;
};

static void *count_calls(void *arg)
{
    struct counting *counting = arg;
    struct dri_metrics_page *page = NULL;
    if (dri_metrics_page(counting->metrics, &page) != DRAY_OK) {
        counting->failures++;
        return NULL;
    }
    for (unsigned i = 0; i < 20000; i++) {
        dri_metrics_call(page, i % 2 == 0 ? "even" : "odd", DRAY_KIND_NONE, i);
        dri_metrics_add(page, DRI_METRIC_MESSAGES, 1);
    }
    return NULL;
}

static void reading_races_with_counting_and_loses_nothing(void **state)
{
    (void)state;
    struct counting counting = {make(), 0};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_calls, &counting), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        dri_free(text_of(counting.metrics));
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(counting.failures, 0);
    assert_has(counting.metrics, "\ndray_messages_total 60000\n");
    assert_has(counting.metrics, "function=\"even\",status=\"ok\"} 30000\n");
    dri_metrics_destroy(counting.metrics);
}

static void running_out_of_memory_is_answered_and_leaks_nothing(void **state)
{
    (void)state;
    size_t live = dri_mem_live();
    for (uint64_t n = 1; n < 4; n++) {
        struct dri_metrics *metrics = NULL;
        struct dri_metrics_page *page = NULL;
        dri_mem_fail_at(n);
        if (dri_metrics_create("s", "w", "v", &metrics) == DRAY_OK &&
            dri_metrics_page(metrics, &page) == DRAY_OK) {
            dri_metrics_call(page, "f", DRAY_KIND_NONE, 1); /* not counted, but no harm */
        }
        dri_mem_fail_at(0);
        dri_metrics_destroy(metrics);
        assert_int_equal(dri_mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_several_threads_are_summed),
        cmocka_unit_test(calls_are_counted_by_function_and_status),
        cmocka_unit_test(a_label_that_was_freed_and_reused_is_told_apart_by_its_text),
        cmocka_unit_test(more_functions_than_the_bound_count_as_other),
        cmocka_unit_test(hostile_labels_are_escaped),
        cmocka_unit_test(what_is_shown_by_route_takes_the_place_of_what_was_before),
        cmocka_unit_test(the_longest_and_oddest_key_of_a_route_fits),
        cmocka_unit_test(reading_races_with_what_is_shown_by_route),
        cmocka_unit_test(reading_races_with_counting_and_loses_nothing),
        cmocka_unit_test(running_out_of_memory_is_answered_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
