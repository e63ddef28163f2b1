/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "registry_fixture.h"
#include "run/control_log.h"
#include "support/test.h"
#include "wire/cancel.h"
#include "wire/schedule.h"

#define TOPIC "dray.control"

struct log_fixture {
    struct fixture base;
    struct dri_control_log log;
    struct dri_control_outcome outcome;
    uint8_t change[CHANGE_BYTES];
    uint8_t *record;
    size_t record_len;
};

static void open_log(struct log_fixture *f, uint64_t first_offset)
{
    fixture_open(&f->base);
    f->record = NULL;
    dri_control_log_init(&f->log, f->base.registry, "blue", TOPIC);
    dri_control_log_begin(&f->log, first_offset);
}

static void close_log(struct log_fixture *f)
{
    dri_free(f->record);
    fixture_close(&f->base);
}

/** The record of a change; NULL fields are left out. */
static struct dray_slice record_of(struct log_fixture *f, const char *cluster, const char *topic,
                                   const struct dri_change_item *items, size_t count)
{
    const struct dri_change change = {
        .kind = dray_slice_text("routes"),
        .cluster = dray_slice_text(cluster),
        .topic = dray_slice_text(topic),
        .author = dray_slice_text("test"),
    };
    size_t len = 0;
    test_ok(dri_change_encode(&change, items, count, f->change, sizeof(f->change), &len));
    dri_free(f->record);
    test_ok(dri_control_log_wrap(dray_slice_of(f->change, len), NULL, &f->record, &f->record_len));
    return dray_slice_of(f->record, f->record_len);
}

/** The next record of the log, as the broker has stamped it. */
static enum dray_status take_at(struct log_fixture *f, uint64_t offset, struct dray_slice value)
{
    const struct dri_message message = {
        .offset = offset, .value = value, .timestamp_ms = 1000, .is_broker_stamp = true};
    return dri_control_log_take(&f->log, &message, &f->outcome);
}

static enum dray_status take_put(struct log_fixture *f, uint64_t offset, uint64_t base,
                                 const struct spec *spec)
{
    uint8_t bytes[ROUTE_BYTES];
    const struct dri_change_item item = {.key = dray_slice_text("default/order.create@1.0.0"),
                                         .base = base,
                                         .route = route_of(spec, bytes)};
    return take_at(f, offset, record_of(f, "blue", TOPIC, &item, 1));
}

/** The record of a cancel. */
static struct dray_slice cancel_of(struct log_fixture *f, const char *cluster, const char *id,
                                   uint64_t until_ms)
{
    const struct dri_change change = {.cluster = dray_slice_text(cluster), .ts_ms = 1000};
    const struct dri_cancel_item item = {.id = dray_slice_text(id), .until_ms = until_ms};
    size_t len = 0;
    test_ok(dri_cancel_encode(&change, &item, 1, f->change, sizeof(f->change), &len));
    dri_free(f->record);
    test_ok(dri_control_log_wrap(dray_slice_of(f->change, len), NULL, &f->record, &f->record_len));
    return dray_slice_of(f->record, f->record_len);
}

static bool is_cancelled(const struct log_fixture *f, const char *id, uint64_t now_ms)
{
    return dri_cancelled_has(f->log.cancelled, dray_slice_text(id), false, now_ms);
}

static void a_cancel_is_taken_up_and_leaves_the_registry_as_it_is(void **state)
{
    struct log_fixture f;
    (void)state;
    open_log(&f, 0);
    test_ok(dri_cancelled_create(16, &f.log.cancelled));
    test_ok(take_at(&f, 0, cancel_of(&f, "blue", "a", 5000)));
    assert_int_equal(DRI_CONTROL_CANCELS, f.outcome.verdict);
    assert_int_equal(1, f.outcome.revision);
    assert_int_equal(1, dri_registry_revision(f.base.registry));
    assert_int_equal(0, dri_registry_count(f.base.registry));
    assert_int_equal(0,
                     f.log.counts[DRI_CONTROL_APPLIED]); /* it was never put: the seed may come */
    assert_true(is_cancelled(&f, "a", 4999));
    assert_false(is_cancelled(&f, "a", 5000));
    test_ok(take_at(&f, 1, cancel_of(&f, "blue", "b", 0)));
    assert_true(is_cancelled(&f, "b", DRI_CANCEL_KEPT_MS)); /* for so long after it was said */
    assert_false(is_cancelled(&f, "b", 1000 + DRI_CANCEL_KEPT_MS));
    test_ok(take_at(&f, 2, cancel_of(&f, "green", "c", 5000)));
    assert_int_equal(DRI_CONTROL_REFUSED, f.outcome.verdict);
    assert_false(is_cancelled(&f, "c", 1));
    dri_cancelled_destroy(f.log.cancelled);
    close_log(&f);
}

/** The record of a schedule of one name. */
static struct dray_slice schedule_of(struct log_fixture *f, uint64_t base, const char *cron)
{
    const struct dri_change change = {.cluster = dray_slice_text("blue"), .ts_ms = 1000};
    const struct dri_schedule_view view = {
        .cron = dray_slice_text(cron), .command = dray_slice_text("a"), .catch_up = 1};
    uint8_t map[256];
    size_t len = 0;
    test_ok(dri_schedule_encode(&view, map, sizeof(map), &len));
    const struct dri_schedule_item item = {
        .key = dray_slice_text("g/a"), .base = base, .schedule = dray_slice_of(map, len)};
    test_ok(dri_schedule_change_encode(&change, &item, 1, f->change, sizeof(f->change), &len));
    dri_free(f->record);
    test_ok(dri_control_log_wrap(dray_slice_of(f->change, len), NULL, &f->record, &f->record_len));
    return dray_slice_of(f->record, f->record_len);
}

static void schedules_are_kept_by_compare_and_set_beside_the_registry(void **state)
{
    struct log_fixture f;
    (void)state;
    open_log(&f, 0);
    dri_registry_see(f.base.registry, 2); /* as from a snapshot, which has no schedules */
    test_ok(dri_schedules_create("g", NULL, &f.log.schedules));
    test_ok(take_at(&f, 0, schedule_of(&f, 0, "@daily")));
    assert_int_equal(DRI_CONTROL_SEEN, f.outcome.verdict);
    assert_int_equal(1, dri_schedules_version(f.log.schedules));
    test_ok(take_at(&f, 1, schedule_of(&f, 1, "@hourly")));
    test_ok(take_at(&f, 2, schedule_of(&f, 1, "@weekly")));
    assert_int_equal(DRI_CONTROL_CONFLICT, f.outcome.verdict);
    assert_string_equal("g/a", f.outcome.conflict.key);
    assert_int_equal(2, f.outcome.conflict.present);
    test_ok(take_at(&f, 3, schedule_of(&f, 2, "never")));
    assert_int_equal(DRI_CONTROL_REFUSED, f.outcome.verdict);
    test_ok(take_at(&f, 4, schedule_of(&f, 2, "@weekly")));
    assert_int_equal(DRI_CONTROL_SCHEDULES, f.outcome.verdict);
    assert_int_equal(5, dri_registry_revision(f.base.registry));
    assert_int_equal(0, f.log.counts[DRI_CONTROL_APPLIED]); /* the seed may still come */
    assert_int_equal(3, dri_schedules_version(f.log.schedules));
    dri_control_log_begin(&f.log, 0); /* read again from its start */
    test_ok(take_at(&f, 0, schedule_of(&f, 0, "@daily")));
    assert_int_equal(DRI_CONTROL_SEEN, f.outcome.verdict);
    assert_int_equal(3, dri_schedules_version(f.log.schedules));
    dri_schedules_destroy(f.log.schedules);
    close_log(&f);
}

static void a_cancel_counts_also_when_the_registry_has_seen_it(void **state)
{
    struct log_fixture f;
    (void)state;
    open_log(&f, 0);
    dri_registry_see(f.base.registry, 7); /* as from a snapshot */
    test_ok(dri_cancelled_create(16, &f.log.cancelled));
    test_ok(take_at(&f, 0, cancel_of(&f, "blue", "a", 5000)));
    assert_int_equal(DRI_CONTROL_SEEN, f.outcome.verdict);
    assert_true(is_cancelled(&f, "a", 1));
    dri_cancelled_destroy(f.log.cancelled);
    close_log(&f);
}

static void the_first_record_is_revision_1_on_every_broker(void **state)
{
    (void)state;
    for (uint64_t first = 0; first <= 1; first++) {
        struct log_fixture f;
        open_log(&f, first);
        test_ok(take_put(&f, first, 0, &order));
        assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED);
        assert_true(f.outcome.revision == 1);
        test_ok(take_put(&f, first + 7, 1, &order)); /* increasing, not dense */
        assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED);
        assert_true(dri_registry_revision(f.base.registry) == 8);
        close_log(&f);
    }
}

static void of_two_writers_with_one_base_the_log_takes_the_first(void **state)
{
    (void)state;
    struct log_fixture f;
    open_log(&f, 0);
    test_ok(take_put(&f, 0, 0, &order));
    test_ok(take_put(&f, 1, 1, &order));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED);
    test_ok(take_put(&f, 2, 1, &order));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_CONFLICT);
    assert_string_equal(f.outcome.conflict.key, "default/order.create@1.0.0");
    assert_true(f.outcome.conflict.base == 1 && f.outcome.conflict.present == 2);
    assert_true(f.log.counts[DRI_CONTROL_APPLIED] == 2);
    assert_true(f.log.counts[DRI_CONTROL_CONFLICT] == 1);
    assert_true(dri_registry_revision(f.base.registry) == 3); /* it counts as seen */
    close_log(&f);
}

static void one_item_that_does_not_match_takes_the_whole_change_with_it(void **state)
{
    (void)state;
    struct log_fixture f;
    uint8_t bytes[2][ROUTE_BYTES];
    struct spec other = order;
    other.name = "order.cancel";
    open_log(&f, 1);
    test_ok(take_put(&f, 1, 0, &order));
    const struct dri_change_item items[] = {
        {dray_slice_text("default/order.cancel@1.0.0"), 0, route_of(&other, bytes[0])},
        {dray_slice_text("default/order.create@1.0.0"), 0, route_of(&order, bytes[1])},
    };
    test_ok(take_at(&f, 2, record_of(&f, "blue", TOPIC, items, 2)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_CONFLICT);
    assert_int_equal(dri_registry_count(f.base.registry), 1);
    close_log(&f);
}

static void a_record_of_another_cluster_or_topic_is_refused(void **state)
{
    (void)state;
    struct log_fixture f;
    uint8_t bytes[ROUTE_BYTES];
    const struct dri_change_item item = {dray_slice_text("default/order.create@1.0.0"), 0,
                                         route_of(&order, bytes)};
    open_log(&f, 0);
    test_ok(take_at(&f, 0, record_of(&f, "green", TOPIC, &item, 1)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_REFUSED);
    assert_non_null(strstr(f.outcome.text, "cluster"));
    test_ok(take_at(&f, 1, record_of(&f, "blue", "copy", &item, 1)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_REFUSED);
    assert_non_null(strstr(f.outcome.text, "topic"));
    test_ok(take_at(&f, 2, record_of(&f, NULL, NULL, &item, 1)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED); /* it names none */
    assert_true(f.outcome.revision == 3);
    close_log(&f);
}

static void what_cannot_be_read_is_refused_and_counts_as_seen(void **state)
{
    (void)state;
    struct log_fixture f;
    open_log(&f, 0);
    test_ok(take_at(&f, 0, dray_slice_text("\xc1")));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_REFUSED);
    test_ok(take_at(&f, 1, dray_slice_of(NULL, 0)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_REFUSED);
    assert_true(dri_registry_revision(f.base.registry) == 2);
    assert_true(f.log.counts[DRI_CONTROL_REFUSED] == 2);
    test_ok(take_put(&f, 2, 0, &order));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED);
    close_log(&f);
}

static void two_routes_that_would_have_one_function_id_are_refused(void **state)
{
    (void)state;
    /* "a" "." "b.c" and "a.b" "." "c" make one text. */
    const struct spec left = {.ns = "a", .name = "b.c", .version = "1.0.0"};
    const struct spec right = {.ns = "a.b", .name = "c", .version = "1.0.0"};
    struct log_fixture f;
    uint8_t bytes[2][ROUTE_BYTES];
    const struct dri_change_item items[] = {
        {dray_slice_text("a/b.c@1.0.0"), 0, route_of(&left, bytes[0])},
        {dray_slice_text("a.b/c@1.0.0"), 0, route_of(&right, bytes[1])},
    };
    open_log(&f, 0);
    test_ok(take_at(&f, 0, record_of(&f, "blue", TOPIC, items, 2)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_REFUSED); /* in one change */
    test_ok(take_at(&f, 1, record_of(&f, "blue", TOPIC, items, 1)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED);
    test_ok(take_at(&f, 2, record_of(&f, "blue", TOPIC, &items[1], 1)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_REFUSED); /* against what is there */
    assert_non_null(strstr(f.outcome.text, "function id"));
    assert_int_equal(dri_registry_count(f.base.registry), 1);
    close_log(&f);
}

static void a_kind_that_is_not_known_here_is_passed_over(void **state)
{
    (void)state;
    static const char change[] = "\x81\xa4kind\xa6signer";
    struct log_fixture f;
    open_log(&f, 0);
    test_ok(dri_control_log_wrap(dray_slice_text(change), NULL, &f.record, &f.record_len));
    test_ok(take_at(&f, 0, dray_slice_of(f.record, f.record_len)));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_IGNORED);
    assert_true(dri_registry_revision(f.base.registry) == 1);
    close_log(&f);
}

static void reading_again_from_the_start_changes_nothing(void **state)
{
    (void)state;
    struct log_fixture f;
    char before[65];
    char after[65];
    open_log(&f, 1);
    test_ok(take_put(&f, 1, 0, &order));
    test_ok(take_put(&f, 2, 1, &order));
    dri_registry_digest(f.base.registry, before);
    dri_control_log_begin(&f.log, 1);
    test_ok(take_put(&f, 1, 0, &order));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_SEEN);
    test_ok(take_put(&f, 2, 1, &order));
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_SEEN);
    test_ok(dri_control_log_check_end(&f.log, 3, f.base.text, sizeof(f.base.text)));
    dri_registry_digest(f.base.registry, after);
    assert_string_equal(before, after);
    assert_true(f.log.counts[DRI_CONTROL_APPLIED] == 2);
    close_log(&f);
}

static void a_log_without_its_first_records_is_refused(void **state)
{
    (void)state;
    struct log_fixture f;
    open_log(&f, 1);
    test_status(DRAY_EFATAL, take_put(&f, 2, 0, &order));
    assert_non_null(strstr(f.outcome.text, "first records are gone"));
    assert_int_equal(dri_registry_count(f.base.registry), 0);
    close_log(&f);
}

static void a_log_whose_records_are_all_gone_is_refused(void **state)
{
    (void)state;
    struct log_fixture f;
    open_log(&f, 0);
    test_ok(dri_control_log_check_end(&f.log, UINT64_MAX, f.base.text, sizeof(f.base.text)));
    test_ok(dri_control_log_check_end(&f.log, 0, f.base.text, sizeof(f.base.text)));
    test_status(DRAY_EFATAL,
                dri_control_log_check_end(&f.log, 4, f.base.text, sizeof(f.base.text)));
    close_log(&f);
}

static void a_log_that_ends_before_what_was_seen_is_refused(void **state)
{
    (void)state;
    struct log_fixture f;
    open_log(&f, 0);
    test_ok(take_put(&f, 0, 0, &order));
    test_ok(take_put(&f, 1, 1, &order));
    dri_control_log_begin(&f.log, 0);
    test_ok(take_put(&f, 0, 0, &order));
    test_status(DRAY_EFATAL,
                dri_control_log_check_end(&f.log, 1, f.base.text, sizeof(f.base.text)));
    assert_non_null(strstr(f.base.text, "made anew"));
    close_log(&f);
}

static void without_memory_a_record_is_not_seen_and_can_be_taken_again(void **state)
{
    (void)state;
    struct log_fixture f;
    uint8_t bytes[ROUTE_BYTES];
    const struct dri_change_item item = {dray_slice_text("default/order.create@1.0.0"), 0,
                                         route_of(&order, bytes)};
    unsigned failures = 0;
    open_log(&f, 0);
    struct dray_slice record = record_of(&f, "blue", TOPIC, &item, 1);
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        enum dray_status status = take_at(&f, 0, record);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        if (!has_failed) {
            test_ok(status);
            break;
        }
        test_status(DRAY_ENOMEM, status);
        assert_true(dri_registry_revision(f.base.registry) == 0);
        failures++;
    }
    assert_true(failures > 2);
    assert_int_equal(f.outcome.verdict, DRI_CONTROL_APPLIED);
    close_log(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_record_is_revision_1_on_every_broker),
        cmocka_unit_test(a_cancel_is_taken_up_and_leaves_the_registry_as_it_is),
        cmocka_unit_test(schedules_are_kept_by_compare_and_set_beside_the_registry),
        cmocka_unit_test(a_cancel_counts_also_when_the_registry_has_seen_it),
        cmocka_unit_test(of_two_writers_with_one_base_the_log_takes_the_first),
        cmocka_unit_test(one_item_that_does_not_match_takes_the_whole_change_with_it),
        cmocka_unit_test(a_record_of_another_cluster_or_topic_is_refused),
        cmocka_unit_test(what_cannot_be_read_is_refused_and_counts_as_seen),
        cmocka_unit_test(two_routes_that_would_have_one_function_id_are_refused),
        cmocka_unit_test(a_kind_that_is_not_known_here_is_passed_over),
        cmocka_unit_test(reading_again_from_the_start_changes_nothing),
        cmocka_unit_test(a_log_without_its_first_records_is_refused),
        cmocka_unit_test(a_log_whose_records_are_all_gone_is_refused),
        cmocka_unit_test(a_log_that_ends_before_what_was_seen_is_refused),
        cmocka_unit_test(without_memory_a_record_is_not_seen_and_can_be_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
