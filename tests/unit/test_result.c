/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <stdio.h>

#include "support/test.h"
#include "support/wire_bytes.h"
#include "support/wire_recode.h"
#include "wire/result.h"

static const struct dri_wire_limits limits = DRI_WIRE_LIMITS_INIT;

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

static struct dri_result decoded(struct dray_slice message)
{
    struct dri_result result;
    struct dri_wire_error error = {"?", "?", 0};
    enum dray_status status = dri_result_decode(message, &limits, &result, &error);

    if (status != DRAY_OK) {
        fail_msg("\"%s\" %s at %u", error.field, error.text, (unsigned)error.offset);
    }
    return result;
}

static void refused(const char *json, enum dray_status status, const char *field, const char *text)
{
    struct dri_result result;
    struct dri_wire_error error = {"?", "?", 0};

    test_status(status, dri_result_decode(wire_json(json), &limits, &result, &error));
    assert_string_equal(error.field, field);
    if (strstr(error.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

static void a_success_is_read_field_by_field(void **state)
{
    struct dri_result result = decoded(wire_golden("result_ok.msgpack"));

    (void)state;
    assert_true(result.is_ok);
    assert_true(result.is_id_binary);
    test_slice("order.create", result.command);
    test_slice("1.2.0", result.version);
    assert_int_equal(result.result.at[0], 0x82);
    assert_int_equal(result.attempt, 2);
    test_slice("host-1a2b3c4d", result.worker);
    assert_true(result.ts_ms == UINT64_C(1767225600123));
    assert_int_equal(result.us, 4200);
    assert_false(dray_slice_is_absent(result.trace));
}

static void an_error_is_read_field_by_field(void **state)
{
    struct dri_result result = decoded(wire_golden("result_error.msgpack"));

    (void)state;
    assert_false(result.is_ok);
    assert_false(result.is_id_binary);
    assert_int_equal(result.kind, DRAY_KIND_REJECTED);
    test_slice("E_STOCK", result.code);
    test_slice("nothing left of A-1", result.message);
    assert_true(result.is_dead_letter);
    test_slice("not allowed", result.reply_failed);
    assert_true(dray_slice_is_absent(result.version));
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    refused("[]", DRAY_EINVALID, "", "not a map");
    refused("{\"v\":2,\"id\":5}", DRAY_EINVALID, "v", "unsupported");
    refused("{\"id\":\"a\",\"status\":\"ok\"}", DRAY_EINVALID, "v", "missing");
    refused("{\"v\":1,\"status\":\"ok\"}", DRAY_EINVALID, "id", "missing");
    refused("{\"v\":1,\"id\":\"\",\"status\":\"ok\"}", DRAY_EINVALID, "id", "neither");
    refused("{\"v\":1,\"id\":\"a\"}", DRAY_EINVALID, "status", "missing");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"fine\"}", DRAY_EINVALID, "status", "neither");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"error\"}", DRAY_EINVALID, "error", "missing");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"error\",\"error\":[]}", DRAY_EINVALID, "error",
            "not a map");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"error\",\"error\":{}}", DRAY_EINVALID, "error.kind",
            "missing");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"error\",\"error\":{\"kind\":\"bad luck\"}}",
            DRAY_EINVALID, "error.kind", "not a known");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"error\",\"error\":{\"kind\":\"crash\","
            "\"dead_letter\":1}}",
            DRAY_EINVALID, "error.dead_letter", "boolean");
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"ok\",\"attempt\":4294967296}", DRAY_EINVALID,
            "attempt", "too large");
}

static void unknown_keys_are_ignored(void **state)
{
    (void)state;
    assert_true(
        decoded(wire_json("{\"v\":1,\"x\":[{}],\"id\":\"a\",\"status\":\"ok\",\"later\":null}"))
            .is_ok);
}

static void a_result_without_a_value_is_nil(void **state)
{
    const struct dri_result result = {.id = dray_slice_text("a"), .is_ok = true, .attempt = 1};
    uint8_t buffer[128];
    size_t len;

    (void)state;
    test_ok(dri_result_encode(&result, buffer, sizeof(buffer), &len));
    assert_int_equal(decoded(dray_slice_of(buffer, len)).result.at[0], 0xc0);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    struct dri_result result = {
        .id = dray_slice_text("a"), .kind = DRAY_KIND_INTERNAL, .attempt = 1};
    char message[2048];
    uint8_t buffer[2048];
    size_t len;

    (void)state;
    memset(message, 'x', sizeof(message));
    message[1023] = (char)0xc3;
    message[1024] = (char)0xa9;
    result.message = dray_slice_of(message, sizeof(message));
    test_ok(dri_result_encode(&result, buffer, sizeof(buffer), &len));
    assert_true(len <= dri_result_encoded_max(&result));
    assert_int_equal(decoded(dray_slice_of(buffer, len)).message.len, 1023);
}

static void a_handlers_broken_text_does_not_break_the_result(void **state)
{
    const struct dri_result result = {.id = dray_slice_text("a"),
                                      .kind = DRAY_KIND_REJECTED,
                                      .code = dray_slice_text("\xff"),
                                      .message = dray_slice_text("caf\xe9")};
    uint8_t buffer[256];
    struct dri_result back;
    size_t len;

    (void)state;
    test_ok(dri_result_encode(&result, buffer, sizeof(buffer), &len));
    back = decoded(dray_slice_of(buffer, len));
    test_slice("?", back.code);
    test_slice("caf?", back.message);
}

static void what_is_encoded_is_decoded_and_fits_the_bound(void **state)
{
    static const char *const samples[] = {"result_ok.msgpack", "result_error.msgpack"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct dray_slice golden = wire_golden(samples[i]);
        struct dri_result result = decoded(golden);
        uint8_t buffer[1024];
        size_t len = 7;

        assert_true(golden.len <= dri_result_encoded_max(&result));
        for (size_t size = 0; size < golden.len; size++) {
            test_status(DRAY_ELIMIT, dri_result_encode(&result, buffer, size, &len));
            assert_int_equal(len, 7);
        }
        test_ok(dri_result_encode(&result, buffer, golden.len, &len));
        assert_int_equal(len, golden.len);
        assert_memory_equal(buffer, golden.at, len);
    }
}

static void the_bound_holds_for_every_kind(void **state)
{
    (void)state;
    for (int kind = DRAY_KIND_TIMEOUT; kind < DRAY_KIND_COUNT; kind++) {
        const struct dri_result result = {.id = dray_slice_text("a"),
                                          .command = dray_slice_text("c"),
                                          .version = dray_slice_text("1"),
                                          .kind = (enum dray_error_kind)kind,
                                          .code = dray_slice_text("E"),
                                          .message = dray_slice_text("m"),
                                          .is_fallback = true,
                                          .reply_failed = dray_slice_text("r"),
                                          .attempt = UINT32_MAX,
                                          .worker = dray_slice_text("w"),
                                          .ts_ms = UINT64_MAX,
                                          .us = UINT64_MAX,
                                          .trace = dray_slice_text("t"),
                                          .is_duplicate = true,
                                          .ns = dray_slice_text("n"),
                                          .source = dray_slice_text("s")};
        uint8_t buffer[512];
        size_t len;

        test_ok(dri_result_encode(&result, buffer, sizeof(buffer), &len));
        assert_true(len <= dri_result_encoded_max(&result));
        assert_int_equal(decoded(dray_slice_of(buffer, len)).kind, kind);
    }
}

/* The bytes, written out: {"v":1,"id":"a","cmd":"c","status":"ok","result":null,"attempt":1,"ts":2,
 * "us":3,"duplicate":true,"ns":"n","source":"s/0/9"}. */
static void a_window_record_is_a_result_with_its_namespace_and_source(void **state)
{
    const struct dri_result result = {.id = dray_slice_text("a"),
                                      .command = dray_slice_text("c"),
                                      .is_ok = true,
                                      .attempt = 1,
                                      .ts_ms = 2,
                                      .us = 3,
                                      .is_duplicate = true,
                                      .ns = dray_slice_text("n"),
                                      .source = dray_slice_text("s/0/9")};
    static const char wanted[] = "\x8b\xa1v\x01\xa2id\xa1"
                                 "a\xa3"
                                 "cmd\xa1"
                                 "c\xa6status\xa2ok\xa6result\xc0\xa7"
                                 "attempt\x01\xa2ts\x02\xa2us\x03\xa9"
                                 "duplicate\xc3\xa2ns\xa1n\xa6source\xa5s/0/9";
    uint8_t buffer[256];
    size_t len = 0;

    (void)state;
    test_ok(dri_result_encode(&result, buffer, sizeof(buffer), &len));
    assert_int_equal(len, sizeof(wanted) - 1);
    assert_memory_equal(buffer, wanted, len);
    struct dri_result back = decoded(dray_slice_of(buffer, len));
    assert_true(back.is_duplicate);
    test_slice("n", back.ns);
    test_slice("s/0/9", back.source);
    assert_false(decoded(wire_golden("result_ok.msgpack")).is_duplicate);
    assert_true(dray_slice_is_absent(decoded(wire_golden("result_ok.msgpack")).ns));
    refused("{\"v\":1,\"id\":\"a\",\"status\":\"ok\",\"duplicate\":1}", DRAY_EINVALID, "duplicate",
            "");
}

static void damage_try(struct dray_slice damaged)
{
    struct dri_result result;
    struct dri_wire_error error;

    if (dri_result_decode(damaged, &limits, &result, &error) != DRAY_OK) {
        assert_non_null(error.field);
        assert_non_null(error.text);
        assert_true(error.offset <= damaged.len);
    }
}

static void no_damage_to_any_sample_crashes(void **state)
{
    (void)state;
    wire_damage(wire_golden("result_ok.msgpack"), damage_try);
    wire_damage(wire_golden("result_error.msgpack"), damage_try);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, bytes_free)
    const struct CMUnitTest tests[] = {
        CASE(a_success_is_read_field_by_field),
        CASE(an_error_is_read_field_by_field),
        CASE(what_is_wrong_is_named),
        CASE(unknown_keys_are_ignored),
        CASE(a_result_without_a_value_is_nil),
        CASE(a_long_message_is_cut_between_characters),
        CASE(a_handlers_broken_text_does_not_break_the_result),
        CASE(what_is_encoded_is_decoded_and_fits_the_bound),
        CASE(the_bound_holds_for_every_kind),
        CASE(a_window_record_is_a_result_with_its_namespace_and_source),
        CASE(no_damage_to_any_sample_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
