/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <stdlib.h>

#include "base/mem.h"
#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/json.h"

static const struct dri_wire_limits limits = DRI_WIRE_LIMITS_INIT;

static int bytes_free(void **state)
{
    (void)state;
    dri_mem_fail_at(0);
    wire_bytes_free();
    return 0;
}

#define BYTES(literal) dray_slice_of((literal), sizeof(literal) - 1)

/* The JSON of the bytes, in a buffer that all tests share. */
static const char *printed(struct dray_slice bytes, bool is_pretty)
{
    static char buffer[4096];
    struct dri_text text;

    dri_text_init(&text);
    test_ok(dri_msgpack_to_json(bytes, &limits, is_pretty, &text));
    assert_true(text.len < sizeof(buffer));
    memcpy(buffer, text.at, text.len + 1);
    dri_text_fini(&text);
    return buffer;
}

static void back_and_forth(const char *json)
{
    assert_string_equal(printed(wire_json(json), false), json);
}

static void refused(const char *json, size_t len, enum dray_status status, const char *text,
                    unsigned offset)
{
    struct dri_wire_error error = {"?", "?", 0};
    uint8_t *bytes;
    size_t bytes_len;

    test_status(status,
                dri_json_to_msgpack(dray_slice_of(json, len), &limits, &bytes, &bytes_len, &error));
    if (strstr(error.text, text) == NULL || error.offset != offset) {
        fail_msg("%s: \"%s\" at %u is not \"%s\" at %u", json, error.text, (unsigned)error.offset,
                 text, offset);
    }
}

#define REFUSED(json, text, offset)                                                                \
    refused((json), sizeof(json) - 1, DRAY_EINVALID, (text), (offset))

static void what_is_printed_is_read_back(void **state)
{
    (void)state;
    back_and_forth("null");
    back_and_forth("[true,false,null,0,-1,18446744073709551615,-9223372036854775808]");
    back_and_forth("{\"a\":{\"b\":[]},\"\":{},\"c\":[[],[{}]]}");
    back_and_forth(
        "[1.5,-0.0,1e+300,4.94065645841247e-324,0.1,1.0,1.2345678901234568e+17,3.141592653589793]");
    back_and_forth("\"a\\\"b\\\\c\\n\\r\\t\\u0000\\u001f\\u007f\xc3\xa9\xf0\x9f\x98\x80\"");
    back_and_forth("{\"$bin\":\"AAEC/w==\"}");
    back_and_forth("{\"$bin\":\"\"}");
    back_and_forth("{\"$ext\":[5,\"AQ==\"]}");
    back_and_forth("{\"$ext\":[-1,\"\"]}");
    back_and_forth("[{\"$float\":\"nan\"},{\"$float\":\"inf\"},{\"$float\":\"-inf\"}]");
    back_and_forth("{\"$map\":[[1,2],[null,[3]],[{\"a\":1},{}]]}");
    back_and_forth("{\"$map\":[[\"$bin\",\"x\"]]}");
    back_and_forth("{\"$map\":[[\"$map\",[]]]}");
    back_and_forth("{\"$map\":[[\"a\",1],[\"a\",2]]}");
    back_and_forth("{\"$bin\":1,\"b\":2}");
    back_and_forth("{\"$other\":1}");
}

static void integers_are_packed_in_their_shortest_form(void **state)
{
    struct dray_slice bytes =
        wire_json("[127,128,256,65536,4294967296,-32,-33,-129,-32769,-2147483649]");

    (void)state;
    assert_memory_equal(bytes.at,
                        "\x9a\x7f\xcc\x80\xcd\x01\x00\xce\x00\x01\x00\x00\xcf\x00\x00\x00\x01\x00"
                        "\x00\x00\x00\xe0\xd0\xdf\xd1\xff\x7f\xd2\xff\xff\x7f\xff\xd3\xff\xff\xff"
                        "\xff\x7f\xff\xff\xff",
                        bytes.len);
    assert_int_equal(bytes.len, 41);
}

static void integers_beyond_64_bits_are_refused_and_reals_of_that_size_are_not(void **state)
{
    static const char *const beyond[] = {"18446744073709551616", "-9223372036854775809",
                                         "[1,99999999999999999999999999999999]"};

    (void)state;
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        struct dri_wire_error error = {NULL, "", 0};
        uint8_t *bytes = NULL;
        size_t len = 0;

        test_status(DRAY_EINVALID,
                    dri_json_to_msgpack(dray_slice_text(beyond[i]), &limits, &bytes, &len, &error));
        assert_int_equal(error.offset, i == 2 ? 3 : 0);
        assert_non_null(strstr(error.text, "is an integer beyond 64 bits"));
    }
    assert_string_equal(printed(wire_json("18446744073709551616.0"), false),
                        "1.8446744073709552e+19");
    assert_string_equal(printed(wire_json("-9223372036854775809e0"), false),
                        "-9.223372036854776e+18");
    assert_string_equal(printed(wire_json("-0"), false), "0");
}

static void a_real_of_32_bits_is_printed_with_its_value(void **state)
{
    (void)state;
    assert_string_equal(printed(BYTES("\xca\x3f\xc0\x00\x00"), false), "1.5");
}

static void long_strings_and_containers_have_long_headers(void **state)
{
    static const size_t sizes[] = {15, 16, 31, 32, 255, 256, 65535, 65536, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        char *json = malloc(2 * size + 16);
        struct dri_text text;

        assert_non_null(json);
        json[0] = '"';
        memset(json + 1, 'x', size);
        memcpy(json + 1 + size, "\"", 2);
        dri_text_init(&text);
        test_ok(dri_msgpack_to_json(wire_json(json), &limits, false, &text));
        assert_string_equal(text.at, json);
        json[0] = '[';
        for (size_t j = 0; j < size; j++) {
            json[1 + 2 * j] = '7';
            json[2 + 2 * j] = j + 1 < size ? ',' : ']';
        }
        json[2 * size + 1] = '\0';
        dri_text_fini(&text);
        test_ok(dri_msgpack_to_json(wire_json(json), &limits, false, &text));
        assert_string_equal(text.at, json);
        dri_text_fini(&text);
        free(json);
    }
}

static void an_object_of_many_keys_keeps_them_all(void **state)
{
    struct dri_text json;
    struct dri_text back;

    (void)state;
    dri_text_init(&json);
    dri_text_init(&back);
    for (int i = 0; i < 5000; i++) {
        dri_text_addf(&json, "%c\"k%d\":%d", i == 0 ? '{' : ',', i * 7 % 5000, i);
    }
    dri_text_add(&json, "}", 1);
    test_ok(json.status);
    test_ok(dri_msgpack_to_json(wire_json(json.at), &limits, false, &back));
    assert_string_equal(back.at, json.at);
    json.len--;
    dri_text_addf(&json, ",\"k77\":1}");
    refused(json.at, json.len, DRAY_EINVALID, "twice", 0);
    dri_text_fini(&json);
    dri_text_fini(&back);
}

static void escapes_of_every_kind_are_read(void **state)
{
    (void)state;
    assert_string_equal(
        printed(wire_json("\"\\/\\b\\f\\u00e9\\u20ac\\ud83d\\ude00\\u0041\""), false),
        "\"/\\u0008\\u000c\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
        "A\"");
}

static void blanks_are_allowed_where_json_allows_them(void **state)
{
    (void)state;
    assert_string_equal(printed(wire_json(" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n"), false),
                        "{\"a\":[1,2],\"b\":{}}");
}

static void what_is_no_json_is_refused_where_it_is_wrong(void **state)
{
    (void)state;
    REFUSED("", "ends before a value", 0);
    REFUSED("  ", "ends before a value", 2);
    REFUSED("nul", "not a JSON value", 0);
    REFUSED("[1,]", "not a JSON value", 3);
    REFUSED("[1 2]", "neither a comma", 3);
    REFUSED("[1", "neither a comma", 2);
    REFUSED("{\"a\":1,}", "not a key", 7);
    REFUSED("{a:1}", "not a key", 1);
    REFUSED("{\"a\" 1}", "colon", 5);
    REFUSED("{\"a\":1]", "neither a comma", 6);
    REFUSED("{", "not a key", 1);
    REFUSED("1 2", "more text", 2);
    REFUSED("1\0", "more text", 1);
    REFUSED("01", "leading zero", 0);
    REFUSED("-", "not a JSON value", 0);
    REFUSED("1.", "after its point", 0);
    REFUSED("1e", "exponent", 0);
    REFUSED("1e+", "exponent", 0);
    REFUSED("+1", "not a JSON value", 0);
    REFUSED("1e400", "larger than any number", 0);
    REFUSED("\"abc", "inside a string", 4);
    REFUSED("\"a\nb\"", "control character", 2);
    REFUSED("\"\\x\"", "escape", 2);
    REFUSED("\"\\", "escape", 2);
    REFUSED("\"\\u12g4\"", "hex digits", 1);
    REFUSED("\"\\u12", "hex digits", 1);
    REFUSED("\"\\ud800\"", "surrogate", 1);
    REFUSED("\"\\ud800\\u0041\"", "surrogate", 1);
    REFUSED("\"\\ud800\\n12345\"", "surrogate", 1);
    REFUSED("\"\\udc00\"", "surrogate", 1);
    REFUSED("\"\xff\"", "UTF-8", 1);
    REFUSED("{\"a\":1,\"a\":2}", "twice", 0);
    REFUSED("[{\"$bin\":\"?\"}]", "$bin", 1);
    REFUSED("{\"$bin\":5}", "$bin", 0);
    REFUSED("{\"$ext\":5}", "$ext", 0);
    REFUSED("{\"$ext\":[128,\"AA==\"]}", "$ext", 0);
    REFUSED("{\"$ext\":[-129,\"AA==\"]}", "$ext", 0);
    REFUSED("{\"$ext\":[1,2]}", "$ext", 0);
    REFUSED("{\"$ext\":[\"a\",\"AA==\"]}", "$ext", 0);
    REFUSED("{\"$map\":[[1]]}", "$map", 0);
    REFUSED("{\"$map\":{}}", "$map", 0);
    REFUSED("{\"$float\":\"1\"}", "$float", 0);
    REFUSED("{\"$float\":1}", "$float", 0);
}

static void a_number_of_many_digits_is_still_a_number(void **state)
{
    char json[200];

    (void)state;
    memset(json, '1', sizeof(json));
    json[1] = '.';
    json[sizeof(json) - 1] = '\0';
    assert_string_equal(printed(wire_json(json), false), "1.1111111111111112");
}

static void nesting_and_size_are_bounded(void **state)
{
    const struct dri_wire_limits small = {64, 4, 4};
    struct dri_wire_error error;
    struct dri_text text;
    uint8_t *bytes;
    size_t len;
    char deep[2000];

    (void)state;
    memset(deep, '[', sizeof(deep));
    test_status(DRAY_ELIMIT, dri_json_to_msgpack(dray_slice_of(deep, sizeof(deep)), &limits, &bytes,
                                                 &len, &error));
    assert_int_equal(error.offset, 50);
    test_status(DRAY_ELIMIT,
                dri_json_to_msgpack(BYTES("[[[[[]]]]]"), &small, &bytes, &len, &error));
    test_ok(dri_json_to_msgpack(BYTES("[[[[1,2,3,4,5]]]]"), &small, &bytes, &len, &error));
    dri_free(bytes);
    test_status(DRAY_ELIMIT,
                dri_json_to_msgpack(
                    BYTES("\"0123456789012345678901234567890123456789012345678901234567890123\""),
                    &small, &bytes, &len, &error));
    dri_text_init(&text);
    test_status(DRAY_ELIMIT,
                dri_msgpack_to_json(BYTES("\x91\x91\x91\x91\x90"), &small, false, &text));
    test_status(DRAY_EINVALID, dri_msgpack_to_json(BYTES("\x01\x01"), &small, false, &text));
    test_status(DRAY_EINVALID, dri_msgpack_to_json(BYTES("\xc1"), &small, false, &text));
    dri_text_fini(&text);
}

static void pretty_text_is_indented_by_two(void **state)
{
    (void)state;
    assert_string_equal(
        printed(wire_json("{\"a\":[1,{}],\"b\":{\"$map\":[[1,2]]}}"), true),
        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\"$map\":[\n    [1, 2]\n  ]}\n}");
}

static void a_string_that_is_no_utf8_is_shown_as_bytes(void **state)
{
    struct dri_text text;

    (void)state;
    assert_string_equal(printed(BYTES("\xa1\xff"), false), "{\"$bin\":\"/w==\"}");
    assert_string_equal(printed(BYTES("\x81\xa1\xff\x01"), false),
                        "{\"$map\":[[{\"$bin\":\"/w==\"},1]]}");
    dri_text_init(&text);
    dri_text_add_json_string(&text, dray_slice_of(NULL, 0));
    assert_string_equal(text.at, "\"\"");
    dri_text_fini(&text);
}

/* C1 controls are two bytes in UTF-8, and a terminal obeys them. */
static void what_a_terminal_obeys_is_escaped_and_reads_back(void **state)
{
    struct dri_text text;

    (void)state;
    dri_text_init(&text);
    dri_text_add_json_string(&text, BYTES("a\x1b[2J\x7f\xc2\x9bm\xc2\xa0\xc3\x9b"));
    assert_string_equal(text.at, "\"a\\u001b[2J\\u007f\\u009bm\xc2\xa0\xc3\x9b\"");
    assert_string_equal(printed(wire_json(text.at), false), text.at);
    dri_text_fini(&text);
}

static void base64_is_strict(void **state)
{
    static const char *const bad[] = {
        "A", "AA", "AAA", "AA=", "A===", "AA==A", "A-==", "AAB=", "AA ="};
    uint8_t *bytes;
    size_t len;
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test_status(DRAY_EINVALID, dri_base64_decode(dray_slice_text(bad[i]), &bytes, &len));
    }
    test_ok(dri_base64_decode(dray_slice_text("AAEC"), &bytes, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "\0\1\2", 3);
    dri_free(bytes);
    text = dri_base64_encode(dray_slice_of("\xff\xfe", 2));
    assert_string_equal(text, "//4=");
    dri_free(text);
}

static void every_allocation_may_fail(void **state)
{
    static const char json[] =
        "{\"a\":[{\"$bin\":\"AAEC\"},{\"$ext\":[1,\"AA==\"]},{\"$float\":\"nan\"},"
        "0.12345678901234567890123456789012345678901234567890123456789012345678901234567890],"
        "\"k1\":0,\"k2\":0,\"k3\":0,\"k4\":0,\"k5\":0,\"k6\":0,\"k7\":0,\"k8\":0,\"k9\":0,"
        "\"k10\":0,\"k11\":0,\"k12\":0,\"k13\":0,\"k14\":0,\"k15\":0,\"k16\":0,\"k17\":0,"
        "\"k18\":0,\"k19\":0,\"k20\":0,\"k21\":0,\"k22\":0,\"k23\":0,\"k24\":0,\"k25\":0,"
        "\"k26\":0,\"k27\":0,\"k28\":0,\"k29\":0,\"k30\":0,\"k31\":0,\"k32\":0,\"k33\":0,"
        "\"text\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678"
        "90123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
        "8901234567890123456789012345678901234567890123456789012345678901234567890123456789\"}";
    struct dray_slice bytes = wire_json(json);
    size_t live = dri_mem_live();
    bool is_done = false;

    (void)state;
    for (unsigned n = 1; !is_done; n++) {
        struct dri_wire_error error;
        uint8_t *out;
        size_t len;
        enum dray_status status;

        dri_mem_fail_at(n);
        status = dri_json_to_msgpack(BYTES(json), &limits, &out, &len, &error);
        is_done = dri_mem_failed() == 0;
        dri_mem_fail_at(0);
        if (is_done) {
            test_ok(status);
            dri_free(out);
        } else {
            test_status(DRAY_ENOMEM, status);
        }
        assert_int_equal(dri_mem_live(), live);
    }
    is_done = false;
    for (unsigned n = 1; !is_done; n++) {
        struct dri_text text;
        enum dray_status status;

        dri_text_init(&text);
        dri_mem_fail_at(n);
        status = dri_msgpack_to_json(bytes, &limits, true, &text);
        is_done = dri_mem_failed() == 0;
        dri_mem_fail_at(0);
        test_status(is_done ? DRAY_OK : DRAY_ENOMEM, status);
        dri_text_fini(&text);
        assert_int_equal(dri_mem_live(), live);
    }
}

static void damage_try(struct dray_slice damaged)
{
    struct dri_text text;

    dri_text_init(&text);
    if (dri_msgpack_to_json(damaged, &limits, true, &text) == DRAY_OK) {
        struct dri_wire_error error;
        uint8_t *bytes;
        size_t len;

        test_ok(
            dri_json_to_msgpack(dray_slice_of(text.at, text.len), &limits, &bytes, &len, &error));
        dri_free(bytes);
    }
    dri_text_fini(&text);
}

static void damage_json_try(struct dray_slice damaged)
{
    struct dri_wire_error error;
    uint8_t *bytes;
    size_t len;

    if (dri_json_to_msgpack(damaged, &limits, &bytes, &len, &error) == DRAY_OK) {
        dri_free(bytes);
    } else {
        assert_non_null(error.text);
        assert_true(error.offset <= damaged.len);
    }
}

static void no_damage_to_any_sample_crashes(void **state)
{
    (void)state;
    wire_damage(wire_golden("envelope.msgpack"), damage_try);
    wire_damage(wire_golden("envelope.json"), damage_json_try);
    wire_damage(dray_slice_text("[{\"$map\":[[1,-2.5e3],[\"a\\u00e9\\ud83d\\ude00\",{\"$ext\":[5,"
                                "\"AQ==\"]}]]},{\"$float\":\"nan\"},{\"$bin\":\"\"}]"),
                damage_json_try);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, bytes_free)
    const struct CMUnitTest tests[] = {
        CASE(what_is_printed_is_read_back),
        CASE(integers_are_packed_in_their_shortest_form),
        CASE(integers_beyond_64_bits_are_refused_and_reals_of_that_size_are_not),
        CASE(a_real_of_32_bits_is_printed_with_its_value),
        CASE(long_strings_and_containers_have_long_headers),
        CASE(an_object_of_many_keys_keeps_them_all),
        CASE(escapes_of_every_kind_are_read),
        CASE(blanks_are_allowed_where_json_allows_them),
        CASE(what_is_no_json_is_refused_where_it_is_wrong),
        CASE(a_number_of_many_digits_is_still_a_number),
        CASE(nesting_and_size_are_bounded),
        CASE(pretty_text_is_indented_by_two),
        CASE(a_string_that_is_no_utf8_is_shown_as_bytes),
        CASE(what_a_terminal_obeys_is_escaped_and_reads_back),
        CASE(base64_is_strict),
        CASE(every_allocation_may_fail),
        CASE(no_damage_to_any_sample_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
