/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/envelope.h"

static const struct dri_wire_limits limits = DRI_WIRE_LIMITS_INIT;

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

/* Decoding fails with `status`; the error names `field` and its text holds `text`. */
static struct dri_envelope refused(struct dray_slice message, enum dray_status status,
                                   const char *field, const char *text, int offset)
{
    struct dri_envelope envelope;
    struct dri_wire_error error = {"?", "?", 0};

    test_status(status, dri_envelope_decode(message, &limits, &envelope, &error));
    assert_string_equal(error.field, field);
    if (strstr(error.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
    if (offset >= 0) {
        assert_int_equal(error.offset, offset);
    }
    return envelope;
}

static struct dri_envelope decoded(struct dray_slice message)
{
    struct dri_envelope envelope;
    struct dri_wire_error error = {"?", "?", 0};
    enum dray_status status = dri_envelope_decode(message, &limits, &envelope, &error);

    if (status != DRAY_OK) {
        fail_msg("\"%s\" %s at %u", error.field, error.text, (unsigned)error.offset);
    }
    return envelope;
}

static void a_whole_envelope_is_read_field_by_field(void **state)
{
    struct dri_envelope envelope = decoded(wire_golden("envelope.msgpack"));

    (void)state;
    assert_true(envelope.is_id_binary);
    assert_int_equal(envelope.id.len, 16);
    test_slice("order.create", envelope.command);
    assert_true(envelope.has_fid && envelope.fid == UINT64_C(0x53146dae46498ede));
    test_slice("shop", envelope.namespace_);
    test_slice("^1.2", envelope.version);
    test_slice("customer-17", envelope.key);
    assert_false(envelope.is_key_binary);
    assert_true(envelope.created_ms == UINT64_C(1767225600000));
    assert_true(envelope.deadline_ms == UINT64_C(1767225660000));
    assert_true(envelope.not_before_ms == UINT64_C(1767225600500));
    test_slice("results.shop", envelope.reply_to);
    test_slice("vendor=1", envelope.tracestate);
    test_slice("eu", dri_strmap_find(envelope.tags, "region"));
    test_slice("Zo\xc3\xab", dri_strmap_find(envelope.meta, "n\xc3\xa4me"));
    assert_true(dray_slice_is_absent(dri_strmap_find(envelope.meta, "nobody")));
    assert_true(dray_slice_is_absent(dri_strmap_find(dray_slice_of(NULL, 0), "x")));
    assert_int_equal(envelope.payload.at[0], 0x88);
}

static void only_fid_is_enough_and_absent_fields_are_absent(void **state)
{
    struct dri_envelope envelope = decoded(wire_golden("envelope_fid.msgpack"));

    (void)state;
    assert_true(dray_slice_is_absent(envelope.command));
    assert_true(envelope.fid == UINT64_MAX);
    assert_true(envelope.is_key_binary);
    assert_int_equal(envelope.key.len, 3);
    assert_true(dray_slice_is_absent(envelope.reply_to));
    assert_true(dray_slice_is_absent(envelope.tags));
    assert_int_equal(envelope.deadline_ms, 0);
    envelope = decoded(wire_golden("envelope_small.msgpack"));
    assert_false(dray_slice_is_absent(envelope.reply_to));
    assert_int_equal(envelope.reply_to.len, 0);
}

static void unknown_keys_are_ignored(void **state)
{
    (void)state;
    test_slice("b", decoded(wire_json("{\"later\":{\"a\":[1]},\"v\":1,\"id\":\"a\",\"x\":null,"
                                      "\"cmd\":\"b\",\"not_befor\":3,\"deadlin1\":4,\"\":5,\"w\":1,"
                                      "\"xx\":1,\"xxx\":1,\"xxxx\":1,\"xxxxx\":1,\"xxxxxxx\":1,"
                                      "\"xxxxxxxxxx\":1}"))
                        .command);
}

static void every_packing_of_a_number_or_string_is_accepted(void **state)
{
    static const char message[] = "\xde\0\x04\xd9\x01v\xd0\x01\xda\0\x02id\xdb\0\0\0\x01"
                                  "a\xa3"
                                  "cmd\xd9\x01"
                                  "b\xa8"
                                  "deadline\xcd\x01\x00";
    struct dri_envelope envelope = decoded(dray_slice_of(message, sizeof(message) - 1));
    static const char binary[] = "\x84\xa1v\xcf\0\0\0\0\0\0\0\x01\xa2id\xc5\0\x10"
                                 "0123456789abcdef\xa3"
                                 "cmd\xa1x\xa3key\xc5\0\x01k";

    (void)state;
    test_slice("a", envelope.id);
    test_slice("b", envelope.command);
    assert_int_equal(envelope.deadline_ms, 256);
    envelope = decoded(dray_slice_of(binary, sizeof(binary) - 1));
    assert_true(envelope.is_id_binary && envelope.is_key_binary);
    test_slice("0123456789abcdef", envelope.id);
}

static void the_version_is_looked_at_before_anything_else(void **state)
{
    (void)state;
    (void)refused(wire_json("{\"id\":5,\"cmd\":7,\"v\":2}"), DRAY_EINVALID, "v", "unsupported", 12);
    (void)refused(wire_json("{\"v\":\"1\",\"id\":5}"), DRAY_EINVALID, "v", "not an unsigned", 3);
    (void)refused(wire_json("{\"id\":5,\"cmd\":7}"), DRAY_EINVALID, "v", "missing", 0);
    (void)refused(wire_json("{\"id\":\"a\",\"cmd\":\"b\"}"), DRAY_EINVALID, "v", "missing", 0);
    (void)refused(wire_json("{\"v\":1,\"id\":5,\"cmd\":7}"), DRAY_EINVALID, "id", "neither", 7);
}

static void each_wrong_type_names_its_field_and_byte(void **state)
{
    static const struct {
        const char *field;
        const char *json;
        const char *text;
    } cases[] = {{"cmd", "7", "not a string"},
                 {"cmd", "\"\"", "empty"},
                 {"cmd", "\"a\\u0000b\"", "NUL"},
                 {"fid", "-1", "not an unsigned"},
                 {"ns", "{\"$bin\":\"AA==\"}", "not a string"},
                 {"ver", "1", "not a string"},
                 {"tags", "[]", "not a map"},
                 {"tags", "{\"a\":1}", "not a string"},
                 {"tags", "{\"$map\":[[1,\"a\"]]}", "not a string"},
                 {"meta", "{\"$map\":[[\"a\",\"1\"],[\"b\",\"1\"],[\"a\",\"1\"]]}", "twice"},
                 {"key", "5", "neither"},
                 {"key", "[]", "neither"},
                 {"ts", "1.5", "not an unsigned"},
                 {"deadline", "null", "not an unsigned"},
                 {"not_before", "\"1\"", "not an unsigned"},
                 {"reply_to", "false", "not a string"},
                 {"trace", "{}", "not a string"},
                 {"tracestate", "1", "not a string"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[256];
        struct dri_envelope envelope;

        (void)snprintf(json, sizeof(json),
                       "{\"v\":1,\"x\":1,\"%s\":%s,\"id\":\"after\",\"reply_to\":\"there\"}",
                       cases[i].field, cases[i].json);
        if (strcmp(cases[i].field, "reply_to") == 0) {
            (void)snprintf(json, sizeof(json), "{\"v\":1,\"reply_to\":%s,\"id\":\"after\"}",
                           cases[i].json);
        }
        envelope = refused(wire_json(json), DRAY_EINVALID, cases[i].field, cases[i].text, -1);
        test_slice("after", envelope.id);
    }
}

static void what_stands_behind_a_fault_is_found_for_the_error_result(void **state)
{
    struct dri_envelope envelope = refused(
        wire_json("{\"v\":1,\"cmd\":\"c\",\"deadline\":\"x\",\"key\":\"k\",\"ns\":\"n\",\"id\":"
                  "\"late\",\"reply_to\":\"r\",\"fid\":9}"),
        DRAY_EINVALID, "deadline", "not an unsigned", 19);

    (void)state;
    test_slice("c", envelope.command);
    test_slice("k", envelope.key);
    test_slice("n", envelope.namespace_);
    test_slice("late", envelope.id);
    test_slice("r", envelope.reply_to);
    assert_true(envelope.has_fid);
    assert_true(envelope.deadline_ms == 0);
}

static void what_stands_before_a_cut_is_found_too(void **state)
{
    struct dray_slice whole =
        wire_json("{\"v\":1,\"id\":\"a\",\"reply_to\":\"r\",\"cmd\":\"xyz\"}");
    struct dri_envelope envelope =
        refused(dray_slice_of(whole.at, whole.len - 1), DRAY_EINVALID, "cmd", "ends inside", -1);

    (void)state;
    test_slice("a", envelope.id);
    test_slice("r", envelope.reply_to);
    assert_true(dray_slice_is_absent(envelope.command));
}

static void the_first_of_two_ids_is_kept_when_the_message_is_refused(void **state)
{
    struct dri_envelope envelope = refused(
        wire_json("{\"$map\":[[\"v\",1],[\"id\",\"one\"],[\"cmd\",\"c\"],[\"id\",\"two\"]]}"),
        DRAY_EINVALID, "id", "twice", 18);

    (void)state;
    test_slice("one", envelope.id);
}

static void duplicate_unknown_keys_are_refused(void **state)
{
    (void)state;
    (void)refused(
        wire_json("{\"$map\":[[\"v\",1],[\"id\",\"a\"],[\"cmd\",\"c\"],[\"x\",1],[\"x\",2]]}"),
        DRAY_EINVALID, "", "twice", -1);
}

static void keys_that_are_no_strings_are_refused(void **state)
{
    struct dri_envelope envelope =
        refused(wire_json("{\"$map\":[[\"v\",1],[1,2],[\"id\",\"a\"],[\"cmd\",\"c\"]]}"),
                DRAY_EINVALID, "", "not a string", 4);

    (void)state;
    test_slice("a", envelope.id);
}

static void missing_and_trailing_things_are_refused(void **state)
{
    struct dray_slice small = wire_golden("envelope_small.msgpack");
    uint8_t longer[64];
    struct dri_envelope envelope;

    (void)state;
    (void)refused(wire_json("{\"v\":1,\"cmd\":\"c\"}"), DRAY_EINVALID, "id", "missing", 0);
    (void)refused(wire_json("{\"v\":1,\"id\":\"c\"}"), DRAY_EINVALID, "cmd", "missing", 0);
    (void)refused(wire_json("[1]"), DRAY_EINVALID, "", "not a map", 0);
    (void)refused(dray_slice_of(NULL, 0), DRAY_EINVALID, "", "ends inside", 0);
    memcpy(longer, small.at, small.len);
    longer[small.len] = 0xc0;
    envelope = refused(dray_slice_of(longer, small.len + 1), DRAY_EINVALID, "", "followed",
                       (int)small.len);
    test_slice("a", envelope.id);
}

static void lengths_of_id_and_command_are_exact(void **state)
{
    char text[258];
    char json[512];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[257] = '\0';
    (void)snprintf(json, sizeof(json), "{\"v\":1,\"id\":\"a\",\"cmd\":\"%s\"}", text);
    (void)refused(wire_json(json), DRAY_EINVALID, "cmd", "longer", -1);
    (void)snprintf(json, sizeof(json), "{\"v\":1,\"id\":\"a\",\"cmd\":\"%s\"}", text + 1);
    assert_int_equal(decoded(wire_json(json)).command.len, 256);
    (void)snprintf(json, sizeof(json), "{\"v\":1,\"cmd\":\"a\",\"id\":\"%.64s\"}", text);
    assert_int_equal(decoded(wire_json(json)).id.len, 64);
    (void)snprintf(json, sizeof(json), "{\"v\":1,\"cmd\":\"a\",\"id\":\"%.65s\"}", text);
    (void)refused(wire_json(json), DRAY_EINVALID, "id", "neither", -1);
    (void)refused(wire_json("{\"v\":1,\"cmd\":\"a\",\"id\":\"\"}"), DRAY_EINVALID, "id", "neither",
                  -1);
    (void)refused(wire_json("{\"v\":1,\"cmd\":\"a\",\"id\":{\"$bin\":\"AAEC\"}}"), DRAY_EINVALID,
                  "id", "neither", -1);
}

static void text_that_is_no_utf8_is_refused_and_the_payload_is_not_looked_into(void **state)
{
    static const char bad[] = "\x83\xa1v\x01\xa2id\xa1"
                              "a\xa3"
                              "cmd\xa1\xff";
    static const char good[] = "\x84\xa1v\x01\xa2id\xa1"
                               "a\xa3"
                               "cmd\xa1"
                               "b\xa7payload\xa1\xff";

    (void)state;
    (void)refused(dray_slice_of(bad, sizeof(bad) - 1), DRAY_EINVALID, "cmd", "UTF-8", 13);
    assert_int_equal(decoded(dray_slice_of(good, sizeof(good) - 1)).payload.len, 2);
}

static void depth_counts_the_envelope_itself(void **state)
{
    char json[256] = "{\"v\":1,\"id\":\"a\",\"cmd\":\"b\",\"payload\":";
    size_t len = strlen(json);

    (void)state;
    memset(json + len, '[', 15);
    memset(json + len + 15, ']', 15);
    (void)snprintf(json + len + 30, sizeof(json) - len - 30, "%s", "}");
    (void)decoded(wire_json(json));
    memset(json + len, '[', 16);
    memset(json + len + 16, ']', 16);
    (void)snprintf(json + len + 32, sizeof(json) - len - 32, "%s", "}");
    test_slice("a", refused(wire_json(json), DRAY_ELIMIT, "payload", "nested", -1).id);
}

/* An envelope with `count` pairs in meta, or that many elements in its payload. */
static struct dray_slice large(const char *field, unsigned count, bool is_map)
{
    size_t room = 64 + 24 * (size_t)count;
    char *json = malloc(room);
    struct dray_slice message;
    size_t len;

    assert_non_null(json);
    len = (size_t)snprintf(json, room, "{\"v\":1,\"id\":\"a\",\"cmd\":\"b\",\"%s\":%s", field,
                           is_map ? "{" : "[");
    for (unsigned i = 0; i < count; i++) {
        len += (size_t)snprintf(json + len, room - len, is_map ? "%s\"k%u\":\"v\"" : "%s%u",
                                i == 0 ? "" : ",", i);
    }
    (void)snprintf(json + len, room - len, "%s", is_map ? "}}" : "]}");
    message = wire_json(json);
    free(json);
    return message;
}

static void elements_are_bounded_outside_the_payload_only(void **state)
{
    (void)state;
    (void)decoded(large("payload", 100000, false));
    (void)decoded(large("meta", 2000, true));
    test_slice("a", refused(large("meta", 2048, true), DRAY_ELIMIT, "meta", "too many", -1).id);
    (void)refused(large("unknown", 5000, false), DRAY_ELIMIT, "", "too many", -1);
}

static void a_duplicate_among_many_keys_is_found(void **state)
{
    static char json[65536] = "{\"$map\":[[\"v\",1],[\"id\",\"a\"],[\"cmd\",\"b\"]";
    size_t len = strlen(json);

    (void)state;
    for (int i = 0; i < 1500; i++) {
        len += (size_t)snprintf(json + len, sizeof(json) - len, ",[\"key%d\",1]", i * 7919 % 1500);
    }
    (void)snprintf(json + len, sizeof(json) - len, "%s", "]}");
    (void)decoded(wire_json(json));
    (void)snprintf(json + len, sizeof(json) - len, "%s", ",[\"key77\",1]]}");
    (void)refused(wire_json(json), DRAY_EINVALID, "", "twice", -1);
}

static void a_message_over_the_size_limit_still_gives_its_id(void **state)
{
    const struct dri_wire_limits small = {24, 16, 4096};
    struct dri_envelope envelope;
    struct dri_wire_error error;

    (void)state;
    test_status(DRAY_ELIMIT, dri_envelope_decode(wire_golden("envelope_small.msgpack"), &small,
                                                 &envelope, &error));
    test_slice("a", envelope.id);
    assert_string_equal(error.text, "is larger than the limit");
}

static void damage_try(struct dray_slice damaged)
{
    struct dri_envelope envelope;
    struct dri_wire_error error;

    if (dri_envelope_decode(damaged, &limits, &envelope, &error) != DRAY_OK) {
        assert_non_null(error.field);
        assert_non_null(error.text);
        assert_true(error.offset <= damaged.len);
    }
    if (!dray_slice_is_absent(envelope.id)) {
        assert_true(envelope.id.at > damaged.at &&
                    envelope.id.at + envelope.id.len <= damaged.at + damaged.len);
    }
}

static void no_damage_to_any_sample_crashes(void **state)
{
    (void)state;
    wire_damage(wire_golden("envelope.msgpack"), damage_try);
    wire_damage(wire_golden("envelope_small.msgpack"), damage_try);
    wire_damage(wire_golden("envelope_fid.msgpack"), damage_try);
}

static void every_shorter_sample_is_refused(void **state)
{
    struct dray_slice whole = wire_golden("envelope.msgpack");

    (void)state;
    for (size_t len = 0; len < whole.len; len++) {
        struct dri_envelope envelope;
        struct dri_wire_error error;

        test_status(DRAY_EINVALID,
                    dri_envelope_decode(dray_slice_of(whole.at, len), &limits, &envelope, &error));
    }
}

static void what_is_encoded_is_decoded_and_fits_the_bound(void **state)
{
    static const char *const samples[] = {"envelope.msgpack", "envelope_small.msgpack",
                                          "envelope_fid.msgpack"};

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct dray_slice golden = wire_golden(samples[i]);
        struct dri_envelope envelope = decoded(golden);
        uint8_t buffer[1024];
        size_t len = 7;

        assert_true(golden.len <= dri_envelope_encoded_max(&envelope));
        test_ok(dri_envelope_encode(&envelope, buffer, sizeof(buffer), &len));
        assert_int_equal(len, golden.len);
        assert_memory_equal(buffer, golden.at, len);
        for (size_t size = 0; size < golden.len; size++) {
            len = 7;
            test_status(DRAY_ELIMIT, dri_envelope_encode(&envelope, buffer, size, &len));
            assert_int_equal(len, 7);
        }
        test_status(DRAY_ELIMIT, dri_envelope_encode(&envelope, NULL, 0, &len));
    }
}

static void long_fields_are_encoded_with_long_headers(void **state)
{
    static uint8_t bytes[70000];
    static uint8_t buffer[200000];
    static const size_t sizes[] = {31, 32, 255, 256, 65535, 65536};

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int is_binary = 0; is_binary < 2; is_binary++) {
            struct dri_envelope envelope = {.id = dray_slice_text("a"),
                                            .command = dray_slice_text("b"),
                                            .key = dray_slice_of(bytes, sizes[i]),
                                            .is_key_binary = is_binary == 1};
            size_t len;

            test_ok(dri_envelope_encode(&envelope, buffer, sizeof(buffer), &len));
            assert_true(len <= dri_envelope_encoded_max(&envelope));
            assert_int_equal(decoded(dray_slice_of(buffer, len)).key.len, sizes[i]);
        }
    }
}

static void a_uuid_of_version_7_has_its_time_and_its_marks(void **state)
{
    static const uint8_t random[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t want[16] = {0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7f, 0xff,
                                     0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t id[16];

    (void)state;
    dri_uuid7(UINT64_C(0x017f22e279b0), random, id);
    assert_memory_equal(id, want, sizeof(want));
}

static void ids_are_shown_as_text_or_hex(void **state)
{
    char text[129];

    (void)state;
    dri_id_format(dray_slice_text("order-1"), false, text);
    assert_string_equal(text, "order-1");
    dri_id_format(dray_slice_of("\x00\xff\x1a", 3), true, text);
    assert_string_equal(text, "00ff1a");
    dri_id_format(dray_slice_of(NULL, 0), false, text);
    assert_string_equal(text, "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, bytes_free)
    const struct CMUnitTest tests[] = {
        CASE(a_whole_envelope_is_read_field_by_field),
        CASE(only_fid_is_enough_and_absent_fields_are_absent),
        CASE(unknown_keys_are_ignored),
        CASE(every_packing_of_a_number_or_string_is_accepted),
        CASE(the_version_is_looked_at_before_anything_else),
        CASE(each_wrong_type_names_its_field_and_byte),
        CASE(what_stands_behind_a_fault_is_found_for_the_error_result),
        CASE(what_stands_before_a_cut_is_found_too),
        CASE(the_first_of_two_ids_is_kept_when_the_message_is_refused),
        CASE(duplicate_unknown_keys_are_refused),
        CASE(keys_that_are_no_strings_are_refused),
        CASE(missing_and_trailing_things_are_refused),
        CASE(lengths_of_id_and_command_are_exact),
        CASE(text_that_is_no_utf8_is_refused_and_the_payload_is_not_looked_into),
        CASE(depth_counts_the_envelope_itself),
        CASE(elements_are_bounded_outside_the_payload_only),
        CASE(a_duplicate_among_many_keys_is_found),
        CASE(a_message_over_the_size_limit_still_gives_its_id),
        CASE(no_damage_to_any_sample_crashes),
        CASE(every_shorter_sample_is_refused),
        CASE(what_is_encoded_is_decoded_and_fits_the_bound),
        CASE(long_fields_are_encoded_with_long_headers),
        CASE(a_uuid_of_version_7_has_its_time_and_its_marks),
        CASE(ids_are_shown_as_text_or_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
