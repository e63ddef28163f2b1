/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <stdio.h>

#include "support/test.h"
#include "support/wire_bytes.h"
#include "support/wire_recode.h"
#include "wire/cancel.h"
#include "wire/control.h"
#include "wire/envelope.h"

#define TEXT(text) dray_slice_text(text)

static const struct dri_wire_limits limits = DRI_WIRE_LIMITS_INIT;

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

/* The format refuses the message; the error names `field` and its text holds `text`. */
static void refused(const char *format, const char *json, enum dray_status status,
                    const char *field, const char *text)
{
    struct dri_wire_error error = {"?", "?", 0};
    uint8_t buffer[4096];
    size_t len;

    test_status(status,
                wire_recode_find(format)(wire_json(json), buffer, sizeof(buffer), &len, &error));
    assert_string_equal(error.field, field);
    if (strstr(error.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

static void a_signed_record_is_read_and_its_change_in_it(void **state)
{
    struct dri_control_record record;
    struct dri_change change;
    struct dri_change_item item;
    struct dri_wire_error error;
    size_t at = 0;

    (void)state;
    test_ok(dri_control_decode(wire_golden("control.msgpack"), &limits, &record, &error));
    test_slice("ops-2026", record.kid);
    assert_int_equal(record.sig.len, 64);
    assert_int_equal(record.sig.at[63], 63);
    test_ok(dri_change_decode(record.change, &limits, &change, &error));
    test_slice("routes", change.kind);
    test_slice("prod-eu", change.cluster);
    test_slice("dray.control", change.topic);
    test_slice("alice@example.org", change.author);
    test_slice("first", change.note);
    test_slice("ops", change.issuer);
    assert_true(change.ts_ms == UINT64_C(1767225600000) && change.seq == 7);
    assert_true(change.expires_ms == UINT64_C(1767229200000));
    assert_int_equal(change.items_count, 2);
    assert_true(dri_change_next(&change, &at, &item));
    test_slice("default/order.create@1.0.0", item.key);
    assert_int_equal(item.base, 0);
    assert_int_equal(item.route.at[0], 0x87);
    assert_true(dri_change_next(&change, &at, &item));
    test_slice("default/order.cancel@2.0.0-rc.1+5", item.key);
    assert_int_equal(item.base, 41);
    assert_true(dray_slice_is_absent(item.route));
    assert_false(dri_change_next(&change, &at, &item));
    assert_false(dri_change_next(&change, &at, &item));
}

static void unknown_keys_of_a_route_survive_in_its_bytes(void **state)
{
    struct dri_change change;
    struct dri_change_item item;
    struct dri_route_view view;
    struct dri_wire_error error;
    uint8_t buffer[1024];
    size_t len;
    size_t at = 0;

    (void)state;
    test_ok(dri_change_decode(wire_golden("change.msgpack"), &limits, &change, &error));
    assert_true(dri_change_next(&change, &at, &item));
    test_ok(dri_route_decode(item.route, &limits, &view, &error));
    test_slice("orders.so", view.module);
    test_ok(dri_change_encode(&change, &item, 1, buffer, sizeof(buffer), &len));
    at = 0;
    test_ok(dri_change_decode(dray_slice_of(buffer, len), &limits, &change, &error));
    assert_true(dri_change_next(&change, &at, &item));
    assert_non_null(memmem(item.route.at, item.route.len, "later", 5));
}

static void what_is_wrong_with_a_record_is_named(void **state)
{
    (void)state;
    refused("control", "{\"v\":1}", DRAY_EINVALID, "change", "missing");
    refused("control", "{\"v\":1,\"change\":{}}", DRAY_EINVALID, "change", "not binary");
    refused("control", "{\"v\":1,\"change\":{\"$bin\":\"\"}}", DRAY_EINVALID, "change", "empty");
    refused("control", "{\"v\":2}", DRAY_EINVALID, "v", "unsupported");
    refused("control", "{\"v\":1,\"change\":{\"$bin\":\"gA==\"},\"kid\":\"k\"}", DRAY_EINVALID,
            "sig", "together");
    refused("control",
            "{\"v\":1,\"change\":{\"$bin\":\"gA==\"},\"kid\":\"k\",\"sig\":{\"$bin\":\"AA==\"}}",
            DRAY_EINVALID, "sig", "too short");
}

static void what_is_wrong_with_a_change_is_named(void **state)
{
    (void)state;
    refused("change", "{}", DRAY_EINVALID, "kind", "missing");
    refused("change", "{\"kind\":\"routes\"}", DRAY_EINVALID, "items", "missing");
    refused("change", "{\"kind\":\"routes\",\"items\":{}}", DRAY_EINVALID, "items", "not an array");
    refused("change", "{\"kind\":\"routes\",\"items\":[1]}", DRAY_EINVALID, "items", "not a map");
    refused("change", "{\"kind\":\"routes\",\"items\":[{}]}", DRAY_EINVALID, "items.key",
            "missing");
    refused("change", "{\"kind\":\"routes\",\"items\":[{\"key\":\"a/b@1.0.0\"}]}", DRAY_EINVALID,
            "items.base", "missing");
    refused("change", "{\"kind\":\"routes\",\"items\":[{\"key\":\"a/b@1.0.0\",\"base\":0}]}",
            DRAY_EINVALID, "items.route", "missing");
    refused("change",
            "{\"kind\":\"routes\",\"items\":[{\"key\":\"a/b@1.0.0\",\"base\":0,\"route\":[]}]}",
            DRAY_EINVALID, "items.route", "neither a map nor nil");
    refused("change",
            "{\"kind\":\"routes\",\"items\":[{\"key\":\"ab@1.0.0\",\"base\":0,\"route\":null}]}",
            DRAY_EINVALID, "items.key", "not ns/name@version");
}

static void a_change_of_a_later_kind_can_be_told_and_skipped(void **state)
{
    struct dri_change change;
    struct dri_change_item item;
    struct dri_wire_error error;
    size_t at = 0;

    (void)state;
    test_ok(dri_change_decode(wire_json("{\"kind\":\"signer\",\"items\":[5]}"), &limits, &change,
                              &error));
    test_slice("signer", change.kind);
    assert_int_equal(change.items_count, 0);
    assert_false(dri_change_next(&change, &at, &item));
    at = 0;
    test_ok(dri_change_decode(wire_json("{\"kind\":\"cancel\"}"), &limits, &change, &error));
    assert_false(dri_change_next(&change, &at, &item));
}

static void a_cancel_names_ids_of_both_kinds(void **state)
{
    const struct dri_change head = {.cluster = dray_slice_text("blue"), .ts_ms = 7};
    const uint8_t binary[16] = {0x01, 0x9b, 0xff};
    const struct dri_cancel_item items[] = {
        {.id = dray_slice_text("order-17"), .until_ms = 1767225600000},
        {.id = dray_slice_of(binary, sizeof(binary)), .is_id_binary = true},
    };
    struct dri_change change;
    struct dri_cancel_item item;
    struct dri_wire_error error;
    uint8_t buffer[256];
    size_t len = 0, at = 0;

    (void)state;
    test_ok(dri_cancel_encode(&head, items, 2, buffer, sizeof(buffer), &len));
    test_ok(dri_cancel_decode(dray_slice_of(buffer, len), &limits, &change, &error));
    assert_true(dri_change_is_cancel(&change));
    test_slice("blue", change.cluster);
    assert_int_equal(change.items_count, 2);
    assert_true(dri_cancel_next(&change, &at, &item));
    test_slice("order-17", item.id);
    assert_false(item.is_id_binary);
    assert_true(item.until_ms == UINT64_C(1767225600000));
    assert_true(dri_cancel_next(&change, &at, &item));
    assert_true(item.is_id_binary && dray_slice_equal(item.id, items[1].id) && item.until_ms == 0);
    assert_false(dri_cancel_next(&change, &at, &item));
    for (size_t bytes = 0; bytes < len; bytes++) {
        size_t ignored = 0;
        assert_int_equal(DRAY_ELIMIT, dri_cancel_encode(&head, items, 2, buffer, bytes, &ignored));
    }
}

static void what_is_wrong_with_a_cancel_is_named(void **state)
{
    (void)state;
    refused("cancel", "{\"kind\":\"routes\",\"items\":[]}", DRAY_EINVALID, "kind", "not cancel");
    refused("cancel", "{\"kind\":\"cancel\"}", DRAY_EINVALID, "items", "missing");
    refused("cancel", "{\"kind\":\"cancel\",\"items\":[1]}", DRAY_EINVALID, "items", "not a map");
    refused("cancel", "{\"kind\":\"cancel\",\"items\":[{}]}", DRAY_EINVALID, "items.id", "missing");
    refused("cancel", "{\"kind\":\"cancel\",\"items\":[{\"id\":\"\"}]}", DRAY_EINVALID, "items.id",
            "neither text");
    refused("cancel", "{\"kind\":\"cancel\",\"items\":[{\"id\":\"a\",\"until\":-1}]}",
            DRAY_EINVALID, "items.until", "unsigned");
}

static void a_route_is_read_field_by_field(void **state)
{
    struct dri_route_view view;
    struct dri_wire_error error;
    char key[DRI_ROUTE_KEY_BYTES_MAX + 1];

    (void)state;
    test_ok(dri_route_decode(wire_golden("route.msgpack"), &limits, &view, &error));
    test_slice("order.create", view.name);
    test_slice("native", view.runtime);
    test_slice("order_create", view.handler);
    assert_int_equal(view.sha256.len, 64);
    assert_int_equal(view.weight, 10);
    assert_int_equal(view.state, DRI_ROUTE_PAUSED);
    assert_true(view.has_version);
    test_slice("eu", dri_strmap_find(view.tags, "region"));
    assert_int_equal(view.policy.timeout_ms, 3000);
    assert_int_equal(view.policy.attempts, 4);
    assert_int_equal(view.policy.backoff_count, 3);
    assert_int_equal(view.policy.backoff_ms[2], 9000);
    assert_int_equal(view.policy.concurrency, 10);
    assert_int_equal(view.policy.rate, 100);
    assert_true(view.policy.has_order && view.policy.order == DRI_ORDER_PARTITION);
    assert_true(view.policy.has_run && view.policy.run == DRI_RUN_POOL);
    assert_int_equal(view.policy.isolation, DRI_ISOLATION_PROCESS);
    assert_true(view.policy.is_preload);
    test_ok(dri_route_key_format(&view, key, sizeof(key)));
    assert_string_equal(key, "default/order.create@1.0.0");
    test_status(DRAY_ELIMIT, dri_route_key_format(&view, key, strlen(key)));
}

static void a_policy_says_when_which_failure_runs_again(void **state)
{
    struct dri_route_view view;
    struct dri_wire_error error;

    (void)state;
    test_ok(dri_route_decode(wire_golden("route_retry.msgpack"), &limits, &view, &error));
    assert_int_equal(view.policy.attempts, 4);
    assert_int_equal(view.policy.backoff_count, 0);
    assert_int_equal(view.policy.backoff.base_ms, 200);
    assert_int_equal(view.policy.backoff.factor, 3);
    assert_int_equal(view.policy.backoff.max_ms, 60000);
    assert_int_equal(view.policy.backoff.jitter, 20);
    assert_int_equal(view.policy.budget_ms, 120000);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_TIMEOUT], 6);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_NETWORK], 9);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_INTERNAL], 1);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_REJECTED], 2);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_CONFLICT], 0);
    assert_int_equal(view.policy.kind_backoff[DRAY_KIND_NETWORK].base_ms, 50);
    assert_int_equal(view.policy.kind_backoff[DRAY_KIND_NETWORK].max_ms, 1000);
    assert_int_equal(view.policy.kind_backoff[DRAY_KIND_CONFLICT].factor, 1);
    assert_int_equal(view.policy.kind_backoff[DRAY_KIND_CONFLICT].jitter, 100);
    assert_int_equal(view.policy.kind_backoff[DRAY_KIND_TIMEOUT].base_ms, 0);
    /* what is not said has its default, and what is not known is passed over */
    test_ok(dri_route_decode(
        wire_json("{\"name\":\"a\",\"module\":\"m.so\",\"handler\":\"h\",\"policy\":"
                  "{\"backoff\":{\"base_ms\":5,\"curve\":1},"
                  "\"retry\":{\"expired\":3,\"limit\":{\"attempts\":2,\"x\":[]},\"auth\":{}}}}"),
        &limits, &view, &error));
    assert_int_equal(view.policy.backoff.factor, 2);
    assert_int_equal(view.policy.backoff.max_ms, 0);
    assert_int_equal(view.policy.backoff.jitter, 10);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_LIMIT], 2);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_AUTH], 0);
    assert_int_equal(view.policy.kind_attempts[DRAY_KIND_EXPIRED], 0);
}

static void a_route_with_limits_is_special(void **state)
{
    const struct {
        const char *more;
        bool is_special;
    } rows[] = {
        {"", false},
        {",\"policy\":{\"timeout_ms\":5,\"attempts\":2,\"run\":\"lane\"}", false},
        {",\"policy\":{\"breaker\":{\"failures\":0}}", false},
        {",\"state\":\"active\"", false},
        {",\"state\":\"paused\"", true},
        {",\"state\":\"draining\"", true},
        {",\"policy\":{\"concurrency\":1}", true},
        {",\"policy\":{\"rate\":10,\"burst\":3}", true},
        {",\"policy\":{\"order\":\"none\"}", true},
        {",\"policy\":{\"breaker\":{\"failures\":5,\"open_ms\":100}}", true},
        {",\"policy\":{\"depends\":[]}", false},
        {",\"policy\":{\"rate\":10,\"rate_shared\":true}", true},
        {",\"policy\":{\"key_concurrency\":3}", true},
        {",\"policy\":{\"concurrency\":8,\"concurrency_min\":2}", true},
        {",\"policy\":{\"key_concurrency\":3,\"order\":\"none\"}", true},
        {",\"policy\":{\"fallback\":{\"prices\":[]}}", true},
        {",\"policy\":{\"fallback\":null}", true},
        {",\"policy\":{\"depends\":[\"billing-db\",\"smtp\"]}", true},
        {",\"policy\":{\"idempotency\":{\"window_ms\":5000}}", true},
        {",\"policy\":{\"idempotency\":{\"window_ms\":0}}", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dri_route_view view;
        struct dri_wire_error error;
        char json[256];
        uint8_t bytes[256];
        size_t len = 0;

        (void)snprintf(json, sizeof(json),
                       "{\"name\":\"a\",\"module\":\"m.so\",\"handler\":\"h\"%s}", rows[i].more);
        test_ok(dri_route_decode(wire_json(json), &limits, &view, &error));
        assert_int_equal(dri_route_is_special(&view), rows[i].is_special);
        struct dri_policy policy = view.policy;
        test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
        test_ok(dri_route_decode(dray_slice_of(bytes, len), &limits, &view, &error));
        assert_int_equal(view.policy.burst, policy.burst);
        assert_int_equal(view.policy.breaker_failures, policy.breaker_failures);
        assert_int_equal(view.policy.breaker_open_ms, policy.breaker_open_ms);
        assert_int_equal(view.policy.depends_count, policy.depends_count);
        assert_true(dray_slice_equal(view.policy.fallback, policy.fallback));
        assert_int_equal(view.policy.concurrency_min, policy.concurrency_min);
        assert_int_equal(view.policy.key_concurrency, policy.key_concurrency);
        assert_int_equal(view.policy.is_rate_shared, policy.is_rate_shared);
        assert_true(policy.key_concurrency == 0 || view.policy.order == DRI_ORDER_NONE);
        for (uint32_t j = 0; j < policy.depends_count; j++) {
            assert_true(dray_slice_equal(view.policy.depends[j], policy.depends[j]));
        }
        assert_int_equal(view.policy.window_ms, policy.window_ms);
        assert_int_equal(dri_route_is_special(&view), rows[i].is_special);
    }
}

static void a_state_is_replaced_and_what_nobody_knows_is_kept(void **state)
{
    struct dray_slice route = wire_json(
        "{\"name\":\"a\",\"state\":\"active\",\"module\":\"m.so\",\"later\":{\"x\":[1,2]},"
        "\"handler\":\"h\"}");
    struct dri_route_view view;
    struct dri_wire_error error;
    uint8_t bytes[256];
    uint8_t again[256];
    size_t len = 0;
    size_t again_len = 0;

    (void)state;
    test_ok(dri_route_with_state(route, DRI_ROUTE_PAUSED, bytes, sizeof(bytes), &len));
    test_ok(dri_route_decode(dray_slice_of(bytes, len), &limits, &view, &error));
    assert_int_equal(view.state, DRI_ROUTE_PAUSED);
    test_slice("h", view.handler);
    assert_non_null(memmem(bytes, len, "later", 5));
    test_ok(dri_route_with_state(dray_slice_of(bytes, len), DRI_ROUTE_ACTIVE, again, sizeof(again),
                                 &again_len));
    assert_int_equal(again_len, route.len);
    route = wire_json("{\"name\":\"a\",\"module\":\"m.so\",\"handler\":\"h\"}");
    test_ok(dri_route_with_state(route, DRI_ROUTE_DRAINING, bytes, sizeof(bytes), &len));
    test_ok(dri_route_decode(dray_slice_of(bytes, len), &limits, &view, &error));
    assert_int_equal(view.state, DRI_ROUTE_DRAINING);
    test_status(DRAY_ELIMIT, dri_route_with_state(route, DRI_ROUTE_PAUSED, bytes, 20, &len));
    test_status(DRAY_EINVALID,
                dri_route_with_state(wire_json("[1]"), DRI_ROUTE_PAUSED, bytes, 20, &len));
}

/* A route with this policy is refused for this field. */
static void refuses_policy(const char *policy, const char *field)
{
    struct dri_route_view view;
    struct dri_wire_error error = {"", "", 0};
    char json[256];

    (void)snprintf(json, sizeof(json),
                   "{\"name\":\"a\",\"module\":\"m.so\",\"handler\":\"h\",\"policy\":%s}", policy);
    test_status(DRAY_EINVALID, dri_route_decode(wire_json(json), &limits, &view, &error));
    assert_string_equal(field, error.field);
}

static void a_bound_for_a_key_needs_no_order(void **state)
{
    (void)state;
    refuses_policy("{\"concurrency_min\":2}", "policy.concurrency_min");
    refuses_policy("{\"concurrency_min\":3,\"concurrency\":2}", "policy.concurrency_min");
    refuses_policy("{\"key_concurrency\":2,\"order\":\"key\"}", "policy.key_concurrency");
}

static void only_a_rate_can_be_shared(void **state)
{
    (void)state;
    refuses_policy("{\"rate_shared\":true}", "policy.rate_shared");
}

static void a_fallback_has_a_bound(void **state)
{
    static uint8_t bytes[20000];
    const uint8_t head[] = {0x84, 0xa4, 'n',  'a',  'm',  'e', 0xa1, 'a', 0xa6, 'm', 'o', 'd',
                            'u',  'l',  'e',  0xa4, 'm',  '.', 's',  'o', 0xa7, 'h', 'a', 'n',
                            'd',  'l',  'e',  'r',  0xa1, 'h', 0xa6, 'p', 'o',  'l', 'i', 'c',
                            'y',  0x81, 0xa8, 'f',  'a',  'l', 'l',  'b', 'a',  'c', 'k', 0xc5};
    struct dri_route_view view;
    struct dri_wire_error error = {"", "", 0};

    (void)state;
    for (size_t len = DRI_FALLBACK_BYTES_MAX - 3; len <= DRI_FALLBACK_BYTES_MAX - 2; len++) {
        memcpy(bytes, head, sizeof(head));
        bytes[sizeof(head)] = (uint8_t)(len >> 8);
        bytes[sizeof(head) + 1] = (uint8_t)len;
        enum dray_status status =
            dri_route_decode(dray_slice_of(bytes, sizeof(head) + 2 + len), &limits, &view, &error);
        test_status(len + 3 <= DRI_FALLBACK_BYTES_MAX ? DRAY_OK : DRAY_EINVALID, status);
    }
    assert_string_equal("policy.fallback", error.field);
}

static void dependencies_that_cannot_be_meant_are_refused(void **state)
{
    const char *const rows[] = {"\"smtp\"",
                                "{}",
                                "[1]",
                                "[\"\"]",
                                "[\"a/b\"]",
                                "[\"-a\"]",
                                "[\"a\",\"a\"]",
                                "[\"a\",\"b\",\"c\",\"d\",\"e\"]",
                                "[[\"a\"]]",
                                "[\"a b\"]",
                                "[\"a\",\"b\u00e4\"]"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char policy[128];
        (void)snprintf(policy, sizeof(policy), "{\"depends\":%s}", rows[i]);
        refuses_policy(policy, "policy.depends");
    }
    assert_true(dri_dependency_name_is_valid(dray_slice_text("9.Billing_db-2")));
    assert_false(dri_dependency_name_is_valid(
        dray_slice_text("a234567890123456789012345678901234567890123456789012345678901234")));
}

static void what_becomes_of_a_command_that_is_not_run_again_is_said(void **state)
{
    static const struct {
        const char *policy;
        enum dri_exhausted exhausted;
    } rows[] = {
        {"{}", DRI_EXHAUSTED_DEAD_LETTER},
        {"{\"exhausted\":\"dead_letter\"}", DRI_EXHAUSTED_DEAD_LETTER},
        {"{\"exhausted\":\"park_sequence\"}", DRI_EXHAUSTED_PARK_SEQUENCE},
        {"{\"exhausted\":\"stop_key\",\"order\":\"key\"}", DRI_EXHAUSTED_STOP_KEY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dri_route_view view;
        struct dri_wire_error error;
        char json[256];
        uint8_t bytes[256];
        size_t len = 0;

        (void)snprintf(json, sizeof(json),
                       "{\"name\":\"a\",\"module\":\"m.so\",\"handler\":\"h\",\"policy\":%s}",
                       rows[i].policy);
        test_ok(dri_route_decode(wire_json(json), &limits, &view, &error));
        assert_int_equal(view.policy.exhausted, rows[i].exhausted);
        test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
        test_ok(dri_route_decode(dray_slice_of(bytes, len), &limits, &view, &error));
        assert_int_equal(view.policy.exhausted, rows[i].exhausted);
    }
}

static void a_breaker_or_window_that_cannot_be_meant_is_refused(void **state)
{
    const char *const rows[][2] = {
        {"\"breaker\":{\"failures\":-1}", "policy.breaker.failures"},
        {"\"breaker\":{\"open_ms\":\"1s\"}", "policy.breaker.open_ms"},
        {"\"breaker\":{\"open_ms\":0}", "policy.breaker.open_ms"},
        {"\"breaker\":5", "policy.breaker"},
        {"\"idempotency\":{\"window_ms\":\"1h\"}", "policy.idempotency.window_ms"},
        {"\"idempotency\":{\"window_ms\":4294967296}", "policy.idempotency.window_ms"},
        {"\"idempotency\":true", "policy.idempotency"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char policy[128];
        (void)snprintf(policy, sizeof(policy), "{%s}", rows[i][0]);
        refuses_policy(policy, rows[i][1]);
    }
}

static void a_small_route_gets_its_defaults(void **state)
{
    struct dri_route_view view;
    struct dri_wire_error error;
    char key[DRI_ROUTE_KEY_BYTES_MAX + 1];

    (void)state;
    test_ok(dri_route_decode(
        wire_json("{\"name\":\"a\",\"module\":\"m.so\",\"handler\":\"h\",\"policy\":"
                  "{\"backoff_ms\":500,\"breaker\":{\"x\":1},\"idempotency\":{}}}"),
        &limits, &view, &error));
    assert_false(view.has_version);
    test_ok(dri_route_key_format(&view, key, sizeof(key)));
    assert_string_equal(key, "default/a@0.0.0");
    test_slice("native", view.runtime);
    assert_int_equal(view.state, DRI_ROUTE_ACTIVE);
    assert_int_equal(view.policy.backoff_count, 1);
    assert_int_equal(view.policy.backoff_ms[0], 500);
    assert_false(view.policy.has_order);
    assert_int_equal(view.policy.breaker_failures, DRI_BREAKER_FAILURES);
    assert_int_equal(view.policy.breaker_open_ms, DRI_BREAKER_OPEN_MS);
    assert_int_equal(view.policy.window_ms, DRI_WINDOW_MS);
    view = (struct dri_route_view){.name = TEXT("a")};
    test_ok(dri_route_key_format(&view, key, sizeof(key)));
    assert_string_equal(key, "default/a@0.0.0");
    view = (struct dri_route_view){.ns = TEXT("a")};
    test_status(DRAY_ELIMIT, dri_route_key_format(&view, key, sizeof(key)));
}

/* After module and handler: what is wrong, and how it is told. */
static const struct {
    const char *json;
    enum dray_status status;
    const char *field;
    const char *text;
} g_wrong_routes[] = {
    {"\"name\":\"\"", DRAY_EINVALID, "name", "empty"},
    {"\"name\":\"a/b\"", DRAY_EINVALID, "name", "holds"},
    {"\"name\":\"a@b\"", DRAY_EINVALID, "name", "holds"},
    {"\"name\":\"a\\u0000\"", DRAY_EINVALID, "name", "holds"},
    {"\"name\":\"a\\u007f\"", DRAY_EINVALID, "name", "holds"},
    {"\"name\":\"12345678901234567890123456789012345678901234567890123456789012345\"",
     DRAY_EINVALID, "name", "too long"},
    {"\"name\":\"a\",\"ns\":\"\"", DRAY_EINVALID, "ns", "empty"},
    {"\"name\":\"a\",\"version\":\"1.0\"", DRAY_EINVALID, "version", "semantic"},
    {"\"name\":\"a\",\"runtime\":\"jvm\"", DRAY_EINVALID, "runtime", "none of"},
    {"\"name\":\"a\",\"sha256\":\"00\"", DRAY_EINVALID, "sha256", "hex"},
    {"\"name\":\"a\",\"signature\":"
     "\"9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
     DRAY_EINVALID, "signature", "hex"},
    {"\"name\":\"a\",\"tags\":{\"a\":1}", DRAY_EINVALID, "tags", "not a string"},
    {"\"name\":\"a\",\"weight\":101", DRAY_EINVALID, "weight", "100"},
    {"\"name\":\"a\",\"state\":\"gone\"", DRAY_EINVALID, "state", "none of"},
    {"\"name\":\"a\",\"policy\":1", DRAY_EINVALID, "policy", "not a map"},
    {"\"name\":\"a\",\"policy\":{\"$map\":[[1,2]]}", DRAY_EINVALID, "policy", "not a string"},
    {"\"name\":\"a\",\"policy\":{\"rate\":-1}", DRAY_EINVALID, "policy.rate", "unsigned"},
    {"\"name\":\"a\",\"policy\":{\"backoff_ms\":[1,\"2\"]}", DRAY_EINVALID, "policy.backoff_ms",
     "unsigned"},
    {"\"name\":\"a\",\"policy\":{\"backoff_ms\":[1,2,3,4,5,6,7,8,9]}", DRAY_ELIMIT,
     "policy.backoff_ms", "more than 8"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":5}", DRAY_EINVALID, "policy.backoff", "not a map"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{}}", DRAY_EINVALID, "policy.backoff.base_ms",
     "missing"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{\"base_ms\":1,\"factor\":0}}", DRAY_EINVALID,
     "policy.backoff.factor", "1 to 100"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{\"base_ms\":1,\"factor\":101}}", DRAY_EINVALID,
     "policy.backoff.factor", "1 to 100"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{\"base_ms\":9,\"max_ms\":8}}", DRAY_EINVALID,
     "policy.backoff.max_ms", "less than base_ms"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{\"base_ms\":1,\"jitter\":101}}", DRAY_EINVALID,
     "policy.backoff.jitter", "100"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{\"base_ms\":1},\"backoff_ms\":1}", DRAY_EINVALID,
     "policy.backoff", "beside backoff_ms"},
    {"\"name\":\"a\",\"policy\":{\"backoff\":{\"$map\":[[1,2]]}}", DRAY_EINVALID, "policy.backoff",
     "not a string"},
    {"\"name\":\"a\",\"policy\":{\"retry\":{\"limit\":{\"backoff\":{\"factor\":3}}}}",
     DRAY_EINVALID, "policy.retry.limit.backoff.base_ms", "missing or 0"},
    {"\"name\":\"a\",\"policy\":{\"retry\":{\"auth\":{\"backoff\":5}}}", DRAY_EINVALID,
     "policy.retry.auth", "not a map"},
    {"\"name\":\"a\",\"policy\":{\"retry\":[]}", DRAY_EINVALID, "policy.retry", "not a map"},
    {"\"name\":\"a\",\"policy\":{\"retry\":{\"timeout\":3}}", DRAY_EINVALID, "policy.retry.timeout",
     "not a map"},
    {"\"name\":\"a\",\"policy\":{\"retry\":{\"timeout\":{\"attempts\":-1}}}", DRAY_EINVALID,
     "policy.retry.timeout", "unsigned"},
    {"\"name\":\"a\",\"policy\":{\"budget_ms\":\"x\"}", DRAY_EINVALID, "policy.budget_ms",
     "unsigned"},
    {"\"name\":\"a\",\"policy\":{\"exhausted\":\"stop\"}", DRAY_EINVALID, "policy.exhausted",
     "none of dead_letter, park_sequence, stop_key"},
    {"\"name\":\"a\",\"policy\":{\"exhausted\":2}", DRAY_EINVALID, "policy.exhausted", "string"},
    {"\"name\":\"a\",\"policy\":{\"order\":\"x\"}", DRAY_EINVALID, "policy.order", "none of"},
    {"\"name\":\"a\",\"policy\":{\"run\":\"x\"}", DRAY_EINVALID, "policy.run", "none of"},
    {"\"name\":\"a\",\"policy\":{\"isolation\":\"x\"}", DRAY_EINVALID, "policy.isolation",
     "neither"},
    {"\"name\":\"a\",\"policy\":{\"preload\":1}", DRAY_EINVALID, "policy.preload", "boolean"},
};

static void what_is_wrong_with_a_route_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_wrong_routes) / sizeof(g_wrong_routes[0]); i++) {
        char json[512];

        (void)snprintf(json, sizeof(json), "{\"module\":\"m.so\",\"handler\":\"h\",%s}",
                       g_wrong_routes[i].json);
        refused("route", json, g_wrong_routes[i].status, g_wrong_routes[i].field,
                g_wrong_routes[i].text);
    }
    refused("route", "{\"name\":\"a\",\"handler\":\"h\"}", DRAY_EINVALID, "module", "missing");
    refused("route", "{\"name\":\"a\",\"module\":\"m.so\"}", DRAY_EINVALID, "handler", "missing");
    refused("route", "{\"name\":\"a\",\"module\":\"m\",\"handler\":\"a\\nb\"}", DRAY_EINVALID,
            "handler", "control character");
    refused("route", "{\"name\":\"a\",\"module\":\"../m.so\",\"handler\":\"h\"}", DRAY_EINVALID,
            "module", "file name");
}

static void a_module_is_a_file_name_and_never_a_path(void **state)
{
    static const char *const good[] = {"a", "0.so", "orders-1.2_x.so"};
    static const char *const bad[] = {
        "",
        ".so",
        "-a",
        "A.so",
        "a/b",
        "../a",
        "a b",
        "a\n",
        "a\\b",
        "_a",
        "01234567890123456789012345678901234567890123456789012345678901.so"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(dri_module_name_is_valid(TEXT(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(dri_module_name_is_valid(TEXT(bad[i])));
    }
}

static void semantic_versions_are_told_from_others(void **state)
{
    static const char *const good[] = {"0.0.0",      "1.2.3",        "10.20.30",   "1.0.0-a",
                                       "1.0.0-rc.1", "1.0.0-0a.b-c", "1.0.0+5",    "1.0.0-rc.1+001",
                                       "1.0.0--",    "1.0.0-0",      "1.0.0+a.b.0"};
    static const char *const bad[] = {
        "",          "1",      "1.2",       "1.2.3.4",  "01.2.3",     "1.02.3",
        "1.2.x",     "v1.2.3", "1.2.3-",    "1.2.3-01", "1.2.3-a..b", "1.2.3+",
        "1.2.3+a+b", "1.2.3 ", "1.2.3-a_b", "1..3",     "1.2.3-.a",   "-1.2.3",
        "1.2.3+a.",  "1.2.",   "1.2.3/4",   "1.2.3@"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!dri_version_is_semver(TEXT(good[i]))) {
            fail_msg("%s is one", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (dri_version_is_semver(TEXT(bad[i]))) {
            fail_msg("%s is none", bad[i]);
        }
    }
}

static void a_key_can_be_taken_apart_in_one_way_only(void **state)
{
    (void)state;
    assert_true(dri_route_key_is_valid(TEXT("ns/name@1.0.0")));
    assert_false(dri_route_key_is_valid(TEXT("ns/a/b@1.0.0")));
    assert_false(dri_route_key_is_valid(TEXT("ns/a@b@1.0.0")));
    assert_false(dri_route_key_is_valid(TEXT("ns@1.0.0/a")));
    assert_false(dri_route_key_is_valid(TEXT("/a@1.0.0")));
    assert_false(dri_route_key_is_valid(TEXT("ns/@1.0.0")));
    assert_false(dri_route_key_is_valid(TEXT("ns/a@")));
    assert_false(dri_route_key_is_valid(TEXT("ns/a")));
    assert_false(dri_route_key_is_valid(TEXT("")));
    assert_false(dri_route_name_is_valid(TEXT("\xff")));
}

static void a_name_has_no_blank_edges_and_no_empty_parts(void **state)
{
    static const char *const good[] = {"a", "a.b.c", "a b", "k\xc3\xa4se", "a-b_c", "*"};
    static const char *const bad[] = {" ",  "  ",   " a",  "a ",  ".",     "..", ".a",
                                      "a.", "a..b", "a. ", " .a", "a...b", "\t", "a\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(dri_route_name_is_valid(TEXT(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (dri_route_name_is_valid(TEXT(bad[i]))) {
            fail_msg("\"%s\" is none", bad[i]);
        }
    }
}

static void a_status_record_is_read_field_by_field(void **state)
{
    struct dri_status_record record;
    struct dri_status_failure failure;
    struct dri_wire_error error;
    size_t at = 0;

    (void)state;
    test_ok(dri_status_decode(wire_golden("status.msgpack"), &limits, &record, &error));
    test_slice("host-1a2b3c4d", record.worker);
    test_slice("orders", record.group);
    test_slice("host.example.org", record.host);
    test_slice("0.1.0", record.version);
    test_slice("ready", record.state);
    test_slice("127.0.0.1:9464", record.admin);
    assert_true(record.pid == 4711 && record.revision == 42);
    assert_int_equal(record.digest.len, 64);
    assert_int_equal(record.failed_count, 1);
    assert_true(dri_status_next_failure(&record, &at, &failure));
    test_slice("default/x@1.0.0", failure.key);
    assert_int_equal(failure.revision, 41);
    test_slice("module x.so is missing", failure.reason);
    assert_false(dri_status_next_failure(&record, &at, &failure));
}

#define STATUS_LISTS                                                                               \
    "{\"v\":1,\"worker\":\"w\",\"pid\":1,\"state\":\"ready\",\"revision\":19,\"ts\":1,"            \
    "\"conflicts\":1,\"refused\":1,\"failed\":[],\"failed_all\":70,"                               \
    "\"modules\":[{\"name\":\"a.so\",\"sha256\":\"00\",\"routes\":2},{\"name\":\"b.so\","          \
    "\"routes\":1}],"                                                                              \
    "\"refusals\":[{\"revision\":18,\"verdict\":\"conflict\",\"author\":\"ann\",\"key\":\"d/"      \
    "x@1.0.0\","                                                                                   \
    "\"base\":4,\"present\":17},{\"revision\":19,\"verdict\":\"refused\",\"reason\":\"is "         \
    "empty\"}],"                                                                                   \
    "\"idle\":[{\"key\":\"d/y@1.0.0\",\"revision\":3}],\"idle_all\":1,"                            \
    "\"heat\":[{\"key\":\"d/"                                                                      \
    "x@1.0.0\",\"revision\":5,\"calls\":260,\"hot\":true,\"parts\":[3,257]},"                      \
    "{\"key\":\"d/z@1.0.0\",\"revision\":6,\"calls\":1,\"hot\":false}],\"heat_all\":40,"           \
    "\"heat_window_ms\":300000,\"hot_all\":1}"

static void a_status_record_names_modules_and_refusals(void **state)
{
    struct dri_status_record record;
    struct dri_status_module module;
    struct dri_status_refusal refusal;
    struct dri_status_idle idle;
    struct dri_status_heat heat;
    struct dri_wire_error error;
    struct dray_slice message = wire_json(STATUS_LISTS);
    uint8_t buffer[1024];
    size_t len = 0;
    size_t at = 0;

    (void)state;
    test_ok(dri_status_decode(message, &limits, &record, &error));
    assert_true(record.conflicts == 1 && record.refused == 1 && record.failed_all == 70);
    assert_true(record.modules_count == 2 && record.refusals_count == 2);
    assert_true(dri_status_next_module(&record, &at, &module));
    test_slice("a.so", module.name);
    test_slice("00", module.sha256);
    assert_int_equal(module.routes, 2);
    assert_true(dri_status_next_module(&record, &at, &module));
    assert_true(dray_slice_is_absent(module.sha256));
    assert_false(dri_status_next_module(&record, &at, &module));
    at = 0;
    assert_true(dri_status_next_refusal(&record, &at, &refusal));
    test_slice("conflict", refusal.verdict);
    test_slice("ann", refusal.author);
    test_slice("d/x@1.0.0", refusal.key);
    assert_true(refusal.revision == 18 && refusal.base == 4 && refusal.present == 17);
    assert_true(dri_status_next_refusal(&record, &at, &refusal));
    test_slice("is empty", refusal.reason);
    assert_true(dray_slice_is_absent(refusal.key));
    assert_false(dri_status_next_refusal(&record, &at, &refusal));
    at = 0;
    assert_true(record.idle_all == 1 && record.idle_count == 1);
    assert_true(dri_status_next_idle(&record, &at, &idle));
    test_slice("d/y@1.0.0", idle.key);
    assert_int_equal(idle.revision, 3);
    assert_false(dri_status_next_idle(&record, &at, &idle));
    at = 0;
    assert_true(record.heat_all == 40 && record.hot_all == 1 && record.heat_count == 2);
    assert_true(dri_status_next_heat(&record, &at, &heat));
    test_slice("d/x@1.0.0", heat.key);
    assert_true(heat.calls == 260 && heat.is_hot);
    assert_true(dri_status_heat_part(&heat, 0) == 3 && dri_status_heat_part(&heat, 1) == 257);
    assert_true(dri_status_heat_part(&heat, 2) == 0);
    assert_true(dri_status_next_heat(&record, &at, &heat));
    assert_true(heat.calls == 1 && !heat.is_hot && dri_status_heat_part(&heat, 0) == 0);
    assert_false(dri_status_next_heat(&record, &at, &heat));

    /* what is written is what was read, in our own order of keys */
    test_ok(wire_recode_find("status")(message, buffer, sizeof(buffer), &len, &error));
    assert_int_equal(len, message.len);
    assert_memory_equal(buffer, message.at, len);
    for (size_t bytes = 0; bytes < message.len; bytes++) {
        test_status(DRAY_ELIMIT, wire_recode_find("status")(message, buffer, bytes, &len, &error));
    }
}

static void a_status_of_a_later_release_is_still_read(void **state)
{
    struct dri_status_record record;
    struct dri_status_failure failure;
    struct dri_wire_error error;
    size_t at = 0;

    (void)state;
    test_ok(dri_status_decode(
        wire_json("{\"v\":1,\"worker\":\"w\",\"state\":\"quarantined\",\"load\":[1]}"), &limits,
        &record, &error));
    test_slice("quarantined", record.state);
    assert_false(dri_status_next_failure(&record, &at, &failure));
}

static void what_is_wrong_with_a_status_is_named(void **state)
{
    (void)state;
    refused("status", "{\"v\":1}", DRAY_EINVALID, "worker", "missing");
    refused("status", "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"pid\":-1}", DRAY_EINVALID,
            "pid", "unsigned");
    refused("status", "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"failed\":[1]}",
            DRAY_EINVALID, "failed", "not a map");
    refused("status", "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"failed\":[{}]}",
            DRAY_EINVALID, "failed.key", "missing");
    refused("status", "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"modules\":[{}]}",
            DRAY_EINVALID, "modules.name", "missing");
    refused("status", "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"modules\":7}", DRAY_EINVALID,
            "modules", "array");
    refused("status", "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"idle\":[{\"revision\":1}]}",
            DRAY_EINVALID, "idle.key", "missing");
    refused("status",
            "{\"v\":1,\"worker\":\"w\",\"state\":\"ready\",\"refusals\":[{\"revision\":\"x\"}]}",
            DRAY_EINVALID, "refusals.revision", "unsigned");
}

static void keys_that_are_there_twice_are_refused_everywhere(void **state)
{
    (void)state;
    refused("route",
            "{\"$map\":[[\"name\",\"a\"],[\"name\",\"a\"],[\"module\",\"m\"],[\"handler\",\"h\"]]}",
            DRAY_EINVALID, "", "twice");
    refused("change", "{\"$map\":[[\"kind\",\"x\"],[\"y\",1],[\"y\",2]]}", DRAY_EINVALID, "",
            "twice");
}

static void a_record_over_a_limit_is_refused(void **state)
{
    const struct dri_wire_limits small = {10, 16, 4096};
    const struct dri_wire_limits few = {4096, 16, 30};
    const struct dri_wire_limits flat = {4096, 3, 4096};
    struct dri_change change;
    struct dri_wire_error error;
    struct dray_slice golden = wire_golden("change.msgpack");

    (void)state;
    test_status(DRAY_ELIMIT, dri_change_decode(golden, &small, &change, &error));
    test_status(DRAY_ELIMIT, dri_change_decode(golden, &few, &change, &error));
    test_status(DRAY_ELIMIT, dri_change_decode(golden, &flat, &change, &error));
}

static void the_function_id_is_the_one_of_the_specification(void **state)
{
    (void)state;
    assert_true(dri_fid(TEXT("default"), TEXT("order.create"), TEXT("1.0.0"), TEXT("")) ==
                UINT64_C(0x5308dd95f8546fde));
    assert_true(dri_fid(TEXT("default"), TEXT("order.create"), TEXT("1.0.0"),
                        dray_slice_of(NULL, 0)) == UINT64_C(0x5308dd95f8546fde));
}

static void nothing_is_encoded_into_a_buffer_that_is_too_small(void **state)
{
    static const char *const samples[][2] = {
        {"control", "control.msgpack"},   {"control", "control_unsigned.msgpack"},
        {"change", "change.msgpack"},     {"route", "route.msgpack"},
        {"route", "route_retry.msgpack"}, {"status", "status.msgpack"}};

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        wire_recode_fn *recode = wire_recode_find(samples[i][0]);
        struct dray_slice golden = wire_golden(samples[i][1]);
        struct dri_wire_error error;
        uint8_t buffer[2048];
        size_t len = 7;

        for (size_t size = 0; size < golden.len; size++) {
            test_status(DRAY_ELIMIT, recode(golden, buffer, size, &len, &error));
            assert_int_equal(len, 7);
        }
        test_ok(recode(golden, buffer, golden.len, &len, &error));
        assert_int_equal(len, golden.len);
        assert_memory_equal(buffer, golden.at, len);
    }
}

static const char *g_format;

static void damage_try(struct dray_slice damaged)
{
    struct dri_wire_error error = {NULL, NULL, 0};
    uint8_t buffer[4096];
    size_t len;

    if (wire_recode_find(g_format)(damaged, buffer, sizeof(buffer), &len, &error) != DRAY_OK) {
        assert_non_null(error.field);
        assert_non_null(error.text);
        assert_true(error.offset <= damaged.len);
    }
}

static void no_damage_to_any_sample_crashes(void **state)
{
    (void)state;
    g_format = "control";
    wire_damage(wire_golden("control.msgpack"), damage_try);
    g_format = "change";
    wire_damage(wire_golden("change.msgpack"), damage_try);
    g_format = "route";
    wire_damage(wire_golden("route.msgpack"), damage_try);
    g_format = "status";
    wire_damage(wire_golden("status.msgpack"), damage_try);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, bytes_free)
    const struct CMUnitTest tests[] = {
        CASE(a_signed_record_is_read_and_its_change_in_it),
        CASE(unknown_keys_of_a_route_survive_in_its_bytes),
        CASE(what_is_wrong_with_a_record_is_named),
        CASE(what_is_wrong_with_a_change_is_named),
        CASE(a_change_of_a_later_kind_can_be_told_and_skipped),
        CASE(a_cancel_names_ids_of_both_kinds),
        CASE(what_is_wrong_with_a_cancel_is_named),
        CASE(a_route_is_read_field_by_field),
        CASE(a_policy_says_when_which_failure_runs_again),
        CASE(a_small_route_gets_its_defaults),
        CASE(a_route_with_limits_is_special),
        CASE(a_state_is_replaced_and_what_nobody_knows_is_kept),
        CASE(what_becomes_of_a_command_that_is_not_run_again_is_said),
        CASE(a_breaker_or_window_that_cannot_be_meant_is_refused),
        CASE(dependencies_that_cannot_be_meant_are_refused),
        CASE(a_bound_for_a_key_needs_no_order),
        CASE(only_a_rate_can_be_shared),
        CASE(a_fallback_has_a_bound),
        CASE(what_is_wrong_with_a_route_is_named),
        CASE(a_module_is_a_file_name_and_never_a_path),
        CASE(semantic_versions_are_told_from_others),
        CASE(a_key_can_be_taken_apart_in_one_way_only),
        CASE(a_name_has_no_blank_edges_and_no_empty_parts),
        CASE(a_status_record_is_read_field_by_field),
        CASE(a_status_record_names_modules_and_refusals),
        CASE(a_status_of_a_later_release_is_still_read),
        CASE(what_is_wrong_with_a_status_is_named),
        CASE(keys_that_are_there_twice_are_refused_everywhere),
        CASE(a_record_over_a_limit_is_refused),
        CASE(the_function_id_is_the_one_of_the_specification),
        CASE(nothing_is_encoded_into_a_buffer_that_is_too_small),
        CASE(no_damage_to_any_sample_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
