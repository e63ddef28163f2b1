/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "support/test.h"
#include "support/wire_bytes.h"
#include "support/wire_recode.h"
#include "wire/schedule.h"

/* Schedules on the wire: the change, the map in it, and the record of the last tick. */

static const struct dri_wire_limits limits = DRI_WIRE_LIMITS_INIT;

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

/* The format refuses the message; the error names `field` and its text holds `text`. */
static void refused(const char *format, const char *json, const char *field, const char *text)
{
    struct dri_wire_error error = {"?", "?", 0};
    uint8_t buffer[4096];
    size_t len;
    struct dray_slice message = wire_json(json);

    test_status(DRAY_EINVALID,
                wire_recode_find(format)(message, buffer, sizeof(buffer), &len, &error));
    assert_string_equal(error.field, field);
    assert_true(error.offset <= message.len);
    if (strstr(error.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

static const struct dri_schedule_view full = {
    .cron = {(const uint8_t *)"0 6 * * mon-fri", 15},
    .command = {(const uint8_t *)"report.daily", 12},
    .namespace_ = {(const uint8_t *)"acme", 4},
    .version = {(const uint8_t *)"^1.2", 4},
    .key = {(const uint8_t *)"reports", 7},
    .reply_to = {(const uint8_t *)"", 0},
    .payload = {(const uint8_t *)"\x81\xa1"
                                 "a\x01",
                4},
    .tags = {(const uint8_t *)"\x81\xa1"
                              "r\xa2"
                              "eu",
             6},
    .meta = {(const uint8_t *)"\x80", 1},
    .deadline_ms = 3600000,
    .missed = DRI_MISSED_ALL,
    .catch_up = 48,
};

static void a_schedule_comes_back_as_it_was_written(void **state)
{
    struct dri_schedule_view view;
    struct dri_wire_error error;
    uint8_t buffer[512];
    size_t len = 0, ignored = 0;

    (void)state;
    test_ok(dri_schedule_encode(&full, buffer, sizeof(buffer), &len));
    assert_true(len <= dri_schedule_encoded_max(&full));
    test_ok(dri_schedule_decode(dray_slice_of(buffer, len), &limits, &view, &error));
    test_slice("0 6 * * mon-fri", view.cron);
    test_slice("report.daily", view.command);
    test_slice("acme", view.namespace_);
    test_slice("^1.2", view.version);
    test_slice("reports", view.key);
    assert_true(!dray_slice_is_absent(view.reply_to) && view.reply_to.len == 0);
    assert_true(dray_slice_equal(full.payload, view.payload));
    assert_true(dray_slice_equal(full.tags, view.tags) && dray_slice_equal(full.meta, view.meta));
    assert_true(view.deadline_ms == 3600000 && view.missed == DRI_MISSED_ALL);
    assert_int_equal(48, view.catch_up);
    for (size_t bytes = 0; bytes < len; bytes++) {
        test_status(DRAY_ELIMIT, dri_schedule_encode(&full, buffer, bytes, &ignored));
    }
}

static void what_a_schedule_leaves_out_has_its_default(void **state)
{
    struct dri_schedule_view view;
    struct dri_wire_error error;

    (void)state;
    test_ok(dri_schedule_decode(wire_json("{\"cron\":\"@daily\",\"cmd\":\"a\",\"later\":[1]}"),
                                &limits, &view, &error));
    assert_true(dray_slice_is_absent(view.payload) && dray_slice_is_absent(view.reply_to));
    assert_true(view.deadline_ms == 0 && view.missed == DRI_MISSED_ONE);
    assert_int_equal(DRI_SCHEDULE_CATCH_UP, view.catch_up);
    assert_string_equal("one", dri_missed_text(view.missed));
}

static void what_is_wrong_with_a_schedule_is_named(void **state)
{
    (void)state;
    refused("schedule", "{}", "cron", "missing");
    refused("schedule", "{\"cron\":\"* * * * *\"}", "cmd", "missing");
    refused("schedule", "{\"cron\":\"61 * * * *\",\"cmd\":\"a\"}", "cron", "no cron expression");
    refused("schedule", "{\"cron\":\"0 0 30 2 *\",\"cmd\":\"a\"}", "cron", "no cron expression");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\\u0000\"}", "cmd", "NUL");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\",\"missed\":\"some\"}", "missed",
            "none of");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\",\"catch_up\":0}", "catch_up", "1000");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\",\"catch_up\":1001}", "catch_up",
            "1000");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\",\"deadline_ms\":315360000001}",
            "deadline_ms", "3650 days");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\",\"deadline_ms\":18446744073709551615}",
            "deadline_ms", "3650 days");
    refused("schedule", "{\"cron\":\"@daily\",\"cmd\":\"a\",\"tags\":{\"a\":1}}", "tags", "");
}

static void a_change_names_schedules_and_removals(void **state)
{
    const struct dri_change head = {.cluster = dray_slice_text("blue"), .ts_ms = 7};
    const struct dray_slice map = wire_json("{\"cron\":\"@daily\",\"cmd\":\"a\",\"later\":[1]}");
    const struct dri_schedule_item items[] = {
        {.key = dray_slice_text("g/nightly"), .base = 9, .schedule = map},
        {.key = dray_slice_text("g/gone"), .base = 3},
    };
    struct dri_change change;
    struct dri_schedule_item item;
    struct dri_wire_error error;
    uint8_t buffer[256];
    size_t len = 0, at = 0, ignored = 0;

    (void)state;
    test_ok(dri_schedule_change_encode(&head, items, 2, buffer, sizeof(buffer), &len));
    test_ok(dri_schedule_change_decode(dray_slice_of(buffer, len), &limits, &change, &error));
    assert_true(dri_change_is_schedule(&change) && change.ts_ms == 7);
    assert_int_equal(2, change.items_count);
    assert_true(dri_schedule_next(&change, &at, &item));
    test_slice("g/nightly", item.key);
    assert_true(item.base == 9 && dray_slice_equal(map, item.schedule)); /* with what is unknown */
    assert_true(dri_schedule_next(&change, &at, &item));
    assert_true(item.base == 3 && dray_slice_is_absent(item.schedule));
    assert_false(dri_schedule_next(&change, &at, &item));
    for (size_t bytes = 0; bytes < len; bytes++) {
        test_status(DRAY_ELIMIT,
                    dri_schedule_change_encode(&head, items, 2, buffer, bytes, &ignored));
    }
}

static void what_is_wrong_with_a_change_of_schedules_is_named(void **state)
{
    (void)state;
    refused("schedules", "{\"kind\":\"routes\",\"items\":[]}", "kind", "not schedule");
    refused("schedules", "{\"kind\":\"schedule\"}", "items", "missing");
    refused("schedules", "{\"kind\":\"schedule\",\"items\":[1]}", "items", "not a map");
    refused("schedules", "{\"kind\":\"schedule\",\"items\":[{}]}", "items.key", "missing");
    refused("schedules", "{\"kind\":\"schedule\",\"items\":[{\"key\":\"g/a\"}]}", "items.base",
            "missing");
    refused("schedules", "{\"kind\":\"schedule\",\"items\":[{\"key\":\"g/a\",\"base\":0}]}",
            "items.schedule", "missing");
    refused("schedules",
            "{\"kind\":\"schedule\",\"items\":[{\"key\":\"a\",\"base\":0,\"schedule\":null}]}",
            "items.key", "group/name");
    refused("schedules",
            "{\"kind\":\"schedule\",\"items\":[{\"key\":\"g/a.b\",\"base\":0,\"schedule\":null}]}",
            "items.key", "group/name");
}

static void keys_are_a_group_and_a_name(void **state)
{
    static const char *const good[] = {"g/a", "A-1_/b_2-", "0/0"};
    static const char *const bad[] = {"",      "g",     "/",     "g/",   "/a",
                                      "g/a/b", "g/a b", "g/a.b", "g@/a", "g/\xc3\xa4"};
    uint8_t long_name[70];

    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    assert_true(dri_schedule_name_is_valid(dray_slice_of(long_name, 64)));
    assert_false(dri_schedule_name_is_valid(dray_slice_of(long_name, 65)));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(dri_schedule_key_is_valid(dray_slice_text(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(dri_schedule_key_is_valid(dray_slice_text(bad[i])));
    }
    test_slice("b", dri_schedule_key_name(dray_slice_text("gg/b")));
    assert_true(dri_schedule_key_is_of(dray_slice_text("gg/b"), "gg"));
    assert_false(dri_schedule_key_is_of(dray_slice_text("gg/b"), "g"));
}

static void the_last_tick_comes_back_and_damage_is_refused(void **state)
{
    const struct dri_tick tick = {.key = dray_slice_text("g/a"),
                                  .revision = 7,
                                  .tick_ms = 1798761602000,
                                  .ts_ms = 1798761600000,
                                  .worker = dray_slice_text("w0")};
    struct dri_tick back;
    struct dri_wire_error error;
    uint8_t buffer[256];
    size_t len = 0, ignored = 0;

    (void)state;
    test_ok(dri_tick_encode(&tick, buffer, sizeof(buffer), &len));
    test_ok(dri_tick_decode(dray_slice_of(buffer, len), &limits, &back, &error));
    test_slice("g/a", back.key);
    test_slice("w0", back.worker);
    assert_true(back.revision == 7 && back.tick_ms == tick.tick_ms && back.ts_ms == tick.ts_ms);
    for (size_t bytes = 0; bytes < len; bytes++) {
        test_status(DRAY_ELIMIT, dri_tick_encode(&tick, buffer, bytes, &ignored));
    }
    refused("tick", "{}", "v", "missing");
    refused("tick", "{\"v\":2,\"key\":\"g/a\",\"revision\":1,\"tick\":1}", "v", "unsupported");
    refused("tick", "{\"v\":1,\"revision\":1,\"tick\":1}", "key", "missing");
    refused("tick", "{\"v\":1,\"key\":\"a\",\"revision\":1,\"tick\":1}", "key", "group/name");
    refused("tick", "{\"v\":1,\"key\":\"g/a\",\"tick\":1}", "revision", "missing");
}

static void map_try(struct dray_slice damaged)
{
    struct dri_schedule_view view;
    struct dri_tick tick;
    struct dri_change change;
    struct dri_wire_error error;
    if (dri_schedule_decode(damaged, &limits, &view, &error) == DRAY_OK) {
        assert_true(view.catch_up >= 1 && view.catch_up <= DRI_SCHEDULE_CATCH_UP_MAX);
    }
    (void)(dri_tick_decode(damaged, &limits, &tick, &error) == DRAY_OK);
    (void)(dri_schedule_change_decode(damaged, &limits, &change, &error) == DRAY_OK);
}

static void damaged_bytes_do_no_harm(void **state)
{
    uint8_t buffer[512];
    size_t len = 0;

    (void)state;
    test_ok(dri_schedule_encode(&full, buffer, sizeof(buffer), &len));
    wire_damage(dray_slice_of(buffer, len), map_try);
    wire_damage(wire_json("{\"v\":1,\"key\":\"g/a\",\"revision\":1,\"tick\":1}"), map_try);
    wire_damage(
        wire_json(
            "{\"kind\":\"schedule\",\"items\":[{\"key\":\"g/a\",\"base\":0,\"schedule\":{}}]}"),
        map_try);
}

/* An independent client works these out from the words of the guide. */
static void ids_follow_from_group_name_revision_and_tick(void **state)
{
    uint8_t id[16], other[16];

    (void)state;
    dri_schedule_id(dray_slice_text("g/a"), 7, 1798761602000, id);
    assert_int_equal(0x80, id[6] & 0xf0);
    assert_int_equal(0x80, id[8] & 0xc0);
    dri_schedule_id(dray_slice_text("g/a"), 7, 1798761602000, other);
    assert_memory_equal(id, other, 16);
    dri_schedule_id(dray_slice_text("g/a"), 8, 1798761602000, other);
    assert_memory_not_equal(id, other, 16);
    dri_schedule_id(dray_slice_text("g/a"), 7, 1798761603000, other);
    assert_memory_not_equal(id, other, 16);
    dri_schedule_id(dray_slice_text("g/b"), 7, 1798761602000, other);
    assert_memory_not_equal(id, other, 16);
}

#define CASE(name) cmocka_unit_test_teardown(name, bytes_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_schedule_comes_back_as_it_was_written),
        CASE(what_a_schedule_leaves_out_has_its_default),
        CASE(what_is_wrong_with_a_schedule_is_named),
        CASE(a_change_names_schedules_and_removals),
        CASE(what_is_wrong_with_a_change_of_schedules_is_named),
        CASE(keys_are_a_group_and_a_name),
        CASE(the_last_tick_comes_back_and_damage_is_refused),
        CASE(damaged_bytes_do_no_harm),
        CASE(ids_follow_from_group_name_revision_and_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
