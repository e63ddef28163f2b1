/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "registry_fixture.h"
#include "run/status_beat.h"
#include "support/test.h"

static uint8_t g_buffer[DRI_BEAT_BYTES_MAX];

static void beat_of(struct dri_beat *beat, const struct dri_registry *registry)
{
    *beat = (struct dri_beat){
        .worker = "w", .group = "g", .version = "0", .admin = "", .registry = registry};
    dri_beat_init(beat);
}

static void read_beat(struct dri_beat *beat, struct dri_status_record *ret_record)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error;
    size_t len = 0;

    test_ok(dri_beat_encode(beat, "ready", 1, g_buffer, &len));
    test_ok(dri_status_decode(dray_slice_of(g_buffer, len), &limits, ret_record, &error));
}

static void a_record_that_was_refused_is_in_the_next_beat(void **state)
{
    struct fixture f;
    struct dri_beat beat;
    struct dri_status_record record;
    struct dri_status_refusal refusal;
    size_t at = 0;
    const struct dri_control_outcome conflict = {
        .verdict = DRI_CONTROL_CONFLICT,
        .revision = 18,
        .has_change = true,
        .change = {.author = dray_slice_text("ann@host")},
        .conflict = {.key = "default/x@1.0.0", .base = 4, .present = 17}};
    const struct dri_control_outcome refused = {
        .verdict = DRI_CONTROL_REFUSED, .revision = 19, .text = "the record is empty"};
    const struct dri_control_outcome applied = {.verdict = DRI_CONTROL_APPLIED, .revision = 20};

    (void)state;
    fixture_open(&f);
    beat_of(&beat, f.registry);
    dri_beat_note(&beat, &conflict);
    dri_beat_note(&beat, &refused);
    dri_beat_note(&beat, &applied);
    read_beat(&beat, &record);
    assert_true(record.conflicts == 1 && record.refused == 1);
    assert_int_equal(record.refusals_count, 2);
    assert_true(dri_status_next_refusal(&record, &at, &refusal));
    test_slice("conflict", refusal.verdict);
    test_slice("ann@host", refusal.author);
    test_slice("default/x@1.0.0", refusal.key);
    assert_true(refusal.revision == 18 && refusal.base == 4 && refusal.present == 17);
    assert_true(dri_status_next_refusal(&record, &at, &refusal));
    test_slice("refused", refusal.verdict);
    test_slice("the record is empty", refusal.reason);
    assert_true(dray_slice_is_absent(refusal.key) && refusal.revision == 19);
    fixture_close(&f);
}

/* Said whenever it is full, each of many is in some beat; what is kept is the latest. */
static void of_many_refusals_none_goes_by_unsaid(void **state)
{
    struct fixture f;
    struct dri_beat beat;
    struct dri_status_record record;
    struct dri_status_refusal refusal;
    uint64_t seen = 0;

    (void)state;
    fixture_open(&f);
    beat_of(&beat, f.registry);
    for (uint64_t revision = 1; revision <= 100; revision++) {
        const struct dri_control_outcome outcome = {.verdict = DRI_CONTROL_CONFLICT,
                                                    .revision = revision};
        dri_beat_note(&beat, &outcome);
        if (dri_beat_is_full(&beat) || revision == 100) {
            size_t at = 0;
            read_beat(&beat, &record);
            (void)dri_beat_handed(&beat);
            while (dri_status_next_refusal(&record, &at, &refusal)) {
                assert_true(refusal.revision <= seen + 1);
                seen = refusal.revision > seen ? refusal.revision : seen;
            }
            assert_true(seen == revision);
        }
    }
    assert_true(record.conflicts == 100 && record.refusals_count == DRI_BEAT_REFUSALS_MAX);
    fixture_close(&f);
}

/* What a lost beat had new comes again, the oldest first, in as many beats as it needs. */
static void refusals_of_a_lost_beat_come_again(void **state)
{
    struct fixture f;
    struct dri_beat beat;
    struct dri_status_record record;
    struct dri_status_refusal refusal;
    uint64_t seen = 0;
    size_t beats = 0;

    (void)state;
    fixture_open(&f);
    beat_of(&beat, f.registry);
    for (uint64_t revision = 1; revision <= 100; revision++) {
        const struct dri_control_outcome outcome = {.verdict = DRI_CONTROL_CONFLICT,
                                                    .revision = revision};
        dri_beat_note(&beat, &outcome);
        if (dri_beat_is_full(&beat)) {
            read_beat(&beat, &record);
            dri_beat_lost(&beat, dri_beat_handed(&beat)); /* the broker is away */
        }
    }
    assert_true(dri_beat_has_more(&beat));
    for (; dri_beat_has_more(&beat); beats++) {
        size_t at = 0;
        read_beat(&beat, &record);
        (void)dri_beat_handed(&beat);
        while (dri_status_next_refusal(&record, &at, &refusal)) {
            assert_true(refusal.revision == seen + 1);
            seen = refusal.revision;
        }
        seen = beats == 5 ? 84 : seen; /* the last one goes back to fill itself */
    }
    assert_true(seen == 100 && beats == 7);

    /* of two that are out the first is lost: also what the second one had comes again */
    for (uint64_t revision = 101; revision <= 132; revision++) {
        const struct dri_control_outcome outcome = {.verdict = DRI_CONTROL_CONFLICT,
                                                    .revision = revision};
        dri_beat_note(&beat, &outcome);
    }
    uint64_t first = dri_beat_handed(&beat);
    uint64_t second = dri_beat_handed(&beat);
    assert_false(dri_beat_has_more(&beat));
    dri_beat_lost(&beat, first);
    dri_beat_lost(&beat, second);
    assert_true(first == 100 && second == 116 && beat.said == 100);

    /* more than are kept: the oldest are in the log only */
    for (uint64_t revision = 133; revision <= 500; revision++) {
        const struct dri_control_outcome outcome = {.verdict = DRI_CONTROL_CONFLICT,
                                                    .revision = revision};
        dri_beat_note(&beat, &outcome);
    }
    size_t at = 0;
    read_beat(&beat, &record);
    assert_true(dri_status_next_refusal(&record, &at, &refusal));
    assert_true(refusal.revision == 500 - DRI_BEAT_REFUSALS_KEPT + 1);
    fixture_close(&f);
}

static void no_module(void *arg, struct dri_route *route)
{
    (void)arg;
    (void)snprintf(route->failure, sizeof(route->failure), "it is not there");
}

/* A writer that waits looks for the routes of his change: they have to be listed. */
static void of_many_routes_that_fail_the_latest_are_listed(void **state)
{
    const struct dri_registry_config config = {.bind = no_module, .readers_max = 1};
    struct dri_registry *registry = NULL;
    struct dri_beat beat;
    struct dri_status_record record;
    struct dri_status_failure failure;
    size_t at = 0;

    (void)state;
    test_ok(dri_registry_create(&config, &registry));
    for (uint64_t revision = 1; revision <= 100; revision++) {
        struct dri_registry_conflict conflict;
        uint8_t bytes[256];
        char name[32];
        char text[256];
        size_t len = 0;
        /* the latest is the first by key */
        (void)snprintf(name, sizeof(name), "n%03u", (unsigned)(200 - revision));
        const struct dri_route_view view = {.name = dray_slice_text(name),
                                            .version = dray_slice_text("1.0.0"),
                                            .module = dray_slice_text("m.so"),
                                            .handler = dray_slice_text("h")};
        test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
        test_ok(dri_registry_put(registry, 0, revision, dray_slice_of(bytes, len), &conflict, text,
                                 sizeof(text)));
    }
    beat_of(&beat, registry);
    read_beat(&beat, &record);
    assert_int_equal(record.failed_count, DRI_BEAT_FAILED_MAX);
    while (dri_status_next_failure(&record, &at, &failure)) {
        assert_true(failure.revision > 100 - DRI_BEAT_FAILED_MAX);
        test_slice("it is not there", failure.reason);
    }
    assert_true(record.failed_all == 100 && beat.failed == 100 && beat.routes == 100);
    dri_registry_destroy(registry);
}

/* The most that a record may hold has room in it, and the heat is what was called. */
static void the_busiest_routes_are_in_the_beat(void **state)
{
    struct fixture f;
    struct dri_beat beat;
    struct dri_status_record record;
    struct dri_status_heat heat;
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    size_t at = 0;

    (void)state;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(dri_registry_pin(f.reader, &query, &route));
    for (unsigned i = 0; i < 300; i++) {
        dri_registry_note_call(f.reader, route);
        if (i == 42) {
            dri_registry_take_calls(f.registry, 7);
        }
    }
    dri_registry_take_calls(f.registry, 8);
    beat_of(&beat, f.registry);
    beat.hot_calls = 300;
    read_beat(&beat, &record);
    assert_true(record.heat_count == 1 && record.heat_all == 1 && record.hot_all == 1);
    assert_true(dri_status_next_heat(&record, &at, &heat));
    test_slice("default/order.create@1.0.0", heat.key);
    assert_true(heat.calls == 300 && heat.is_hot && heat.revision == 1);
    assert_int_equal(dri_status_heat_part(&heat, DRI_HEAT_PARTS - 2), 43);
    assert_int_equal(dri_status_heat_part(&heat, DRI_HEAT_PARTS - 1), 257);
    beat.hot_calls = 301;
    read_beat(&beat, &record);
    assert_int_equal(record.hot_all, 0);
    dri_registry_unpin(f.reader, route);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_was_refused_is_in_the_next_beat),
        cmocka_unit_test(of_many_refusals_none_goes_by_unsaid),
        cmocka_unit_test(refusals_of_a_lost_beat_come_again),
        cmocka_unit_test(of_many_routes_that_fail_the_latest_are_listed),
        cmocka_unit_test(the_busiest_routes_are_in_the_beat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
