/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "registry_fixture.h"
#include "support/test.h"

/* What is alive how long: pins, grace periods, and what happens when memory runs out. */

/* ---- pins and grace ---- */

static int unbound(struct fixture *f)
{
    return atomic_load(&f->loader.unbound);
}

static void a_pinned_route_outlives_its_removal(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    test_ok(dri_registry_pin(f.reader, &query, &route));
    test_ok(fixture_remove(&f, "default/order.create@1.0.0", 1));
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    dri_reader_offline(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    assert_int_equal(unbound(&f), 0);
    assert_string_equal(route->key, "default/order.create@1.0.0"); /* still whole */
    dri_reader_online(f.reader);
    dri_registry_unpin(f.reader, route);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    assert_int_equal(unbound(&f), 1);
    fixture_close(&f);
}

static void a_call_shows_until_the_route_is_put_again(void **state)
{
    struct fixture f;
    const struct dri_query query = {.name = dray_slice_text("order.create")};
    const struct dri_route *route = NULL;
    const struct dri_route *fresh = NULL;
    (void)state;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(dri_registry_pin(f.reader, &query, &route));
    dri_registry_take_calls(f.registry, 1);
    assert_int_equal(route->heat.total, 0);
    dri_registry_note_call(f.reader, route);
    dri_registry_note_call(f.reader, route);
    dri_registry_take_calls(f.registry, 1);
    assert_int_equal(route->heat.total, 2);
    test_ok(fixture_put(&f, 1, &order));
    test_ok(dri_registry_pin(f.reader, &query, &fresh));
    dri_registry_note_call(f.reader, route); /* of what is running still */
    dri_registry_take_calls(f.registry, 1);
    assert_int_equal(fresh->heat.total, 0);
    dri_registry_unpin(f.reader, route);
    dri_registry_unpin(f.reader, fresh);
    fixture_close(&f);
}

static void a_route_stays_until_its_last_pin(void **state)
{
    (void)state;
    struct fixture f;
    struct dri_reader *other = NULL;
    fixture_open(&f);
    test_ok(dri_reader_register(f.registry, &other));
    test_ok(fixture_put(&f, 0, &order));
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    test_ok(dri_registry_pin(f.reader, &query, &route));
    test_ok(dri_registry_pin(f.reader, &query, &route));
    test_ok(dri_registry_pin(other, &query, &route));
    test_ok(fixture_put(&f, 1, &order));
    dri_reader_offline(f.reader);
    dri_reader_offline(other);
    dri_registry_unpin(other, route);
    dri_registry_unpin(other, route); /* one of those of the first reader */
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    dri_registry_unpin(f.reader, route);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    assert_int_equal(unbound(&f), 1);
    dri_reader_unregister(other);
    fixture_close(&f);
}

static void a_pin_outlives_its_reader(void **state)
{
    (void)state;
    struct fixture f;
    struct dri_reader *other = NULL;
    fixture_open(&f);
    test_ok(dri_reader_register(f.registry, &other));
    test_ok(fixture_put(&f, 0, &order));
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    test_ok(dri_registry_pin(other, &query, &route));
    dri_reader_unregister(other);
    test_ok(fixture_remove(&f, "default/order.create@1.0.0", 1));
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    dri_registry_unpin(f.reader, route);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    fixture_close(&f);
}

static void nothing_is_freed_before_each_reader_was_quiescent(void **state)
{
    (void)state;
    struct fixture f;
    struct dri_reader *other = NULL;
    fixture_open(&f);
    test_ok(dri_reader_register(f.registry, &other));
    test_ok(fixture_put(&f, 0, &order));
    dri_reader_quiescent(f.reader);
    dri_reader_quiescent(other);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    test_ok(fixture_put(&f, 1, &order)); /* retires a route */
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    assert_int_equal(unbound(&f), 0);
    dri_reader_offline(other);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    assert_int_equal(unbound(&f), 1);
    dri_reader_online(other);
    test_ok(fixture_put(&f, 2, &order));
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 1);
    dri_reader_unregister(other);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    fixture_close(&f);
}

static void a_set_of_routes_is_freed_like_its_routes(void **state)
{
    (void)state;
    struct fixture f;
    struct spec two = order;
    two.version = "2.0.0";
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(fixture_put(&f, 0, &two)); /* one route becomes a set of two */
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    test_ok(fixture_put(&f, 2, &two));
    assert_int_equal(dri_registry_reclaim(f.registry), 2); /* the route and the set */
    assert_string_equal(found(&f, "default", "order.create", "^1"), "default/order.create@1.0.0");
    test_ok(fixture_remove(&f, "default/order.create@2.0.0", 3));
    assert_int_equal(dri_registry_reclaim(f.registry), 4);
    assert_string_equal(found(&f, "default", "order.create", NULL), "default/order.create@1.0.0");
    assert_string_equal(found(&f, "default", "order.create", "^2"), "ECONFLICT");
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    fixture_close(&f);
}

static void a_slow_handler_holds_its_route_and_no_grace_period(void **state)
{
    (void)state;
    struct fixture f;
    struct dri_reader *lane = NULL;
    struct spec other = version_spec("other", "1.0.0");
    fixture_open(&f);
    test_ok(dri_reader_register(f.registry, &lane));
    test_ok(fixture_put(&f, 0, &order));
    test_ok(fixture_put(&f, 0, &other));
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    test_ok(dri_registry_pin(lane, &query, &route));
    dri_reader_offline(lane); /* the handler runs from here on */
    uint64_t base = 2;
    for (int i = 0; i < 100; i++) {
        test_ok(fixture_put(&f, base, &other));
        base = f.revision;
        dri_reader_quiescent(f.reader);
        assert_int_equal(dri_registry_reclaim(f.registry), 0);
    }
    test_ok(fixture_put(&f, 1, &order));
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 1); /* the pinned one */
    dri_reader_online(lane);
    dri_registry_unpin(lane, route);
    dri_reader_unregister(lane);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    fixture_close(&f);
}

static void route_numbers_are_unique_while_routes_live_and_come_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    uint64_t base = 0;
    bool has_come_back = false;
    uint32_t last = UINT32_MAX, before = UINT32_MAX;
    for (int i = 0; i < 20; i++) {
        test_ok(fixture_put(&f, base, &order));
        base = f.revision;
        uint32_t number =
            dri_registry_find_key(f.registry, dray_slice_text("default/order.create@1.0.0"))
                ->number;
        assert_true(number != last); /* the replaced route still has it */
        has_come_back = has_come_back || number == before;
        before = last;
        last = number;
        assert_true(number < 16);
        dri_reader_quiescent(f.reader);
        assert_int_equal(dri_registry_reclaim(f.registry), 0);
    }
    assert_true(has_come_back);
    fixture_close(&f);
}

static void there_are_no_more_readers_than_configured(void **state)
{
    (void)state;
    struct fixture f;
    struct dri_reader *readers[8] = {NULL};
    fixture_open(&f); /* eight, and one is the fixture's */
    for (int i = 0; i < 7; i++) {
        test_ok(dri_reader_register(f.registry, &readers[i]));
    }
    test_status(DRAY_ELIMIT, dri_reader_register(f.registry, &readers[7]));
    assert_null(readers[7]);
    dri_reader_unregister(readers[0]);
    test_ok(dri_reader_register(f.registry, &readers[0]));
    for (int i = 0; i < 7; i++) {
        dri_reader_unregister(readers[i]);
    }
    dri_reader_unregister(NULL);
    fixture_close(&f);
}

/* ---- memory runs out ---- */

static void a_change_that_finds_no_memory_leaves_everything_as_it_was(void **state)
{
    (void)state;
    static struct items items;
    struct fixture f;
    struct spec a = version_spec("a", "1.0.0"), b = version_spec("b", "1.0.0");
    struct spec a2 = version_spec("a", "2.0.0");
    char before[65], after[65];
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &a));
    test_ok(fixture_put(&f, 0, &b));
    dri_registry_digest(f.registry, before);
    items.count = 0;
    add_put(&items, &a, 1);
    add_put(&items, &a2, 0);
    add_removal(&items, "default/b@1.0.0", 2);
    for (int i = 0; i < 12; i++) {
        static char names[12][16];
        (void)snprintf(names[i], sizeof(names[i]), "new%d", i);
        struct spec spec = version_spec(names[i], "1.0.0");
        add_put(&items, &spec, 0);
    }
    int failures = 0;
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        enum dray_status status = fixture_apply(&f, 3, items.item, items.count);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        dri_reader_quiescent(f.reader);
        (void)dri_registry_reclaim(f.registry);
        if (status == DRAY_OK) {
            assert_false(has_failed);
            break;
        }
        failures++;
        assert_true(has_failed);
        test_status(DRAY_ENOMEM, status);
        dri_registry_digest(f.registry, after);
        assert_string_equal(before, after);
        assert_true(dri_registry_revision(f.registry) == 2);
        assert_int_equal(dri_registry_count(f.registry), 2);
        assert_string_equal(found(&f, "default", "a", NULL), "default/a@1.0.0");
        assert_string_equal(found(&f, "default", "b", NULL), "default/b@1.0.0");
        assert_string_equal(found(&f, "default", "new3", NULL), "ENOTFOUND");
    }
    assert_true(failures > 30); /* each step of it */
    assert_string_equal(found(&f, "default", "a", NULL), "default/a@2.0.0");
    assert_string_equal(found(&f, "default", "b", NULL), "ENOTFOUND");
    assert_string_equal(found(&f, "default", "new11", NULL), "default/new11@1.0.0");
    fixture_close(&f);
}

static int put_without_memory(uint64_t n)
{
    struct fixture f;
    uint8_t bytes[ROUTE_BYTES];
    fixture_open(&f);
    struct dray_slice route = route_of(&order, bytes);
    dri_mem_fail_at(n);
    enum dray_status status = dri_registry_put(f.registry, 0, 1, route, NULL, NULL, 0);
    bool has_failed = dri_mem_failed() != 0;
    dri_mem_fail_at(0);
    if (status == DRAY_ENOMEM) {
        assert_true(has_failed);
        assert_int_equal(dri_registry_count(f.registry), 0);
        test_ok(dri_registry_put(f.registry, 0, 1, route, NULL, NULL, 0)); /* the same revision */
    } else {
        test_ok(status);
    }
    assert_string_equal(found(&f, "default", "order.create", NULL), "default/order.create@1.0.0");
    fixture_close(&f);
    return has_failed;
}

static void a_fresh_registry_survives_every_failed_allocation(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (put_without_memory(n) != 0) {
        n++;
    }
    assert_true(n > 6);
    size_t live = dri_mem_live();
    for (n = 1;; n++) {
        struct dri_registry *registry = NULL;
        struct dri_reader *reader = NULL;
        const struct dri_registry_config config = {.readers_max = 1};
        dri_mem_fail_at(n);
        enum dray_status status = dri_registry_create(&config, &registry);
        if (status == DRAY_OK) {
            status = dri_reader_register(registry, &reader);
        }
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        test_status(has_failed ? DRAY_ENOMEM : DRAY_OK, status);
        dri_reader_unregister(reader);
        dri_registry_destroy(registry);
        assert_int_equal(dri_mem_live(), live);
        if (!has_failed) {
            break;
        }
    }
    assert_true(n > 16); /* a table for each shard */
}

static void a_reader_that_finds_no_memory_is_not_registered(void **state)
{
    (void)state;
    struct fixture f;
    struct dri_reader *reader = NULL;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    for (uint64_t n = 1; n <= 2; n++) { /* itself, its counters */
        dri_mem_fail_at(n);
        test_status(DRAY_ENOMEM, dri_reader_register(f.registry, &reader));
        dri_mem_fail_at(0);
        assert_null(reader);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pinned_route_outlives_its_removal),
        cmocka_unit_test(a_call_shows_until_the_route_is_put_again),
        cmocka_unit_test(a_route_stays_until_its_last_pin),
        cmocka_unit_test(a_pin_outlives_its_reader),
        cmocka_unit_test(nothing_is_freed_before_each_reader_was_quiescent),
        cmocka_unit_test(a_set_of_routes_is_freed_like_its_routes),
        cmocka_unit_test(a_slow_handler_holds_its_route_and_no_grace_period),
        cmocka_unit_test(route_numbers_are_unique_while_routes_live_and_come_back),
        cmocka_unit_test(there_are_no_more_readers_than_configured),
        cmocka_unit_test(a_change_that_finds_no_memory_leaves_everything_as_it_was),
        cmocka_unit_test(a_fresh_registry_survives_every_failed_allocation),
        cmocka_unit_test(a_reader_that_finds_no_memory_is_not_registered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
