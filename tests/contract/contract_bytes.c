/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>

#include "transport_contract.h"

/* What is sent is what arrives. */

struct trip {
    struct contract_client client;
    const char *topic;
};

/** One client that both sends and reads. */
static void trip_start(struct trip *trip)
{
    trip->topic = contract_name("bytes");
    contract_open_group(&trip->client, contract_name("group"), trip->topic);
}

/** Sends a message and gives the event it came back in. */
static const struct dri_message *trip_send(struct trip *trip, struct dri_publish *message)
{
    contract_forget(&trip->client);
    message->topic = dray_slice_text(trip->topic);
    message->partition = -1;
    contract_publish(&trip->client, message);
    contract_await(&trip->client, DRI_TE_PUBLISHED, 1, NULL);
    assert_int_equal(contract_event(&trip->client, DRI_TE_PUBLISHED, 0)->as.published.ack,
                     DRI_ACK_STORED);
    contract_await(&trip->client, DRI_TE_MESSAGE, 1, NULL);
    const struct dri_transport_event *event = contract_event(&trip->client, DRI_TE_MESSAGE, 0);
    contract_settle(&trip->client, event);
    return &event->as.message;
}

static void assert_bytes(const void *want, size_t want_len, struct dray_slice got)
{
    assert_non_null(got.at);
    assert_int_equal(got.len, want_len);
    assert_memory_equal(got.at, want, want_len);
}

static void a_message_comes_back_as_it_was_sent(void **state)
{
    struct trip trip;
    uint8_t flat[256];
    (void)state;
    trip_start(&trip);
    size_t len = contract_header(flat, 0, "content-type", "application/msgpack", 19);
    len = contract_header(flat, len, "Traceparent", "00-abc-def-01", 13);
    struct dri_publish message = {.key = dray_slice_text("order-17"),
                                  .value = dray_slice_of("\x82\xa1v\x01\x00\xff\r\n", 8),
                                  .headers = dray_slice_of(flat, len)};
    const struct dri_message *got = trip_send(&trip, &message);
    assert_bytes("order-17", 8, got->key);
    assert_bytes("\x82\xa1v\x01\x00\xff\r\n", 8, got->value);
    assert_bytes(flat, len, got->headers);
    test_slice(trip.topic, got->subject);
    assert_true(got->timestamp_ms > INT64_C(1500000000000));
    contract_fini(&trip.client);
}

static void the_position_of_the_acknowledgement_is_that_of_the_message(void **state)
{
    struct trip trip;
    (void)state;
    trip_start(&trip);
    for (int i = 0; i < 3; i++) {
        struct dri_publish message = {.value = dray_slice_text("x")};
        const struct dri_message *got = trip_send(&trip, &message);
        const struct dri_published *ack =
            &contract_event(&trip.client, DRI_TE_PUBLISHED, 0)->as.published;
        assert_int_equal(ack->offset, got->offset);
    }
    contract_fini(&trip.client);
}

static void a_key_of_any_bytes_comes_back(void **state)
{
    static const struct {
        const char *at;
        size_t len;
    } keys[] = {{"\x00\x01\xfe\xff\r\n", 6},
                {"\xc3\xa9t\xc3\xa9", 5},
                {" blank ", 7},
                {"a\nb", 3},
                {"\xff", 1},
                {"aGVsbG8=", 8},
                {"\xed\xa0\x80", 3},
                {"a:b, c", 6}};
    struct trip trip;
    (void)state;
    trip_start(&trip);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct dri_publish message = {.key = dray_slice_of(keys[i].at, keys[i].len),
                                      .value = dray_slice_text("x")};
        const struct dri_message *got = trip_send(&trip, &message);
        assert_bytes(keys[i].at, keys[i].len, got->key);
        assert_true(dray_slice_is_absent(got->headers));
    }
    contract_fini(&trip.client);
}

static void a_message_without_key_and_headers_has_none(void **state)
{
    struct trip trip;
    (void)state;
    trip_start(&trip);
    struct dri_publish message = {.value = dray_slice_text("bare")};
    const struct dri_message *got = trip_send(&trip, &message);
    assert_true(dray_slice_is_absent(got->key));
    assert_true(dray_slice_is_absent(got->headers));
    test_slice("bare", got->value);
    contract_fini(&trip.client);
}

static void an_empty_value_is_there_and_a_missing_one_is_not(void **state)
{
    struct trip trip;
    (void)state;
    trip_start(&trip);
    struct dri_publish message = {.key = dray_slice_text("k"), .value = dray_slice_of("", 0)};
    const struct dri_message *got = trip_send(&trip, &message);
    assert_non_null(got->value.at);
    assert_int_equal(got->value.len, 0);
    message.value = (struct dray_slice){NULL, 0};
    got = trip_send(&trip, &message);
    assert_int_equal(dray_slice_is_absent(got->value), contract_it->has_null);
    assert_int_equal(got->value.len, 0);
    contract_fini(&trip.client);
}

static void headers_keep_their_order_their_repetitions_and_empty_values(void **state)
{
    struct trip trip;
    uint8_t flat[512];
    size_t len = 0;
    (void)state;
    trip_start(&trip);
    len = contract_header(flat, len, "zebra", "1", 1);
    len = contract_header(flat, len, "empty", "", 0);
    len = contract_header(flat, len, "apple", "2", 1);
    len = contract_header(flat, len, "zebra", "3: with: colons", 15);
    len = contract_header(flat, len, "MixedCase", " kept blanks ", 13);
    len = contract_header(flat, len, "last-empty", "", 0);
    /* With a value and without: some libraries read headers differently then. */
    for (int i = 0; i < 2; i++) {
        struct dri_publish message = {.value = dray_slice_of("x", i == 0 ? 1 : 0),
                                      .headers = dray_slice_of(flat, len)};
        assert_bytes(flat, len, trip_send(&trip, &message)->headers);
    }
    contract_fini(&trip.client);
}

static void headers_of_any_bytes_never_make_a_message_unsendable(void **state)
{
    struct trip trip;
    uint8_t flat[512];
    size_t len = 0;
    (void)state;
    trip_start(&trip);
    len = contract_header(flat, len, "line", "a\r\nNats-Msg-Id: x", 17);
    len = contract_header(flat, len, "bin", "\x00\xff\x01", 3);
    len = contract_header(flat, len, "name with: signs", "v", 1);
    struct dri_publish message = {.value = dray_slice_text("x"),
                                  .headers = dray_slice_of(flat, len)};
    const struct dri_message *got = trip_send(&trip, &message);
    struct dray_slice line = contract_find_header(got->headers, "line", 0);
    assert_int_equal(line.len, 17);
    assert_memory_equal(line.at + 3, "Nats-Msg-Id: x", 14);
    assert_true(dray_slice_is_absent(contract_find_header(got->headers, "Nats-Msg-Id", 0)));
    contract_fini(&trip.client);
}

static void headers_that_are_instructions_to_a_server_are_only_carried(void **state)
{
    static const char *const names[] = {
        "Nats-Expected-Stream",
        "Nats-Expected-Last-Sequence",
        "Nats-Expected-Last-Msg-Id",
        "Nats-Expected-Last-Subject-Sequence",
        "Nats-Msg-Id",
        "Nats-Rollup",
        "Nats-TTL",
        "nats-expected-stream",
        "NATS-ROLLUP",
        "Nats-Schedule",
        "Nats-Batch-Id",
        "Nats-Batch-Sequence",
    };
    struct trip trip;
    (void)state;
    trip_start(&trip);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint8_t flat[128];
        char carried[96];
        size_t len = contract_header(flat, 0, names[i], "999", 3);
        struct dri_publish message = {.value = dray_slice_text("x"),
                                      .headers = dray_slice_of(flat, len)};
        const struct dri_message *got = trip_send(&trip, &message);
        (void)snprintf(carried, sizeof(carried), "%s%s",
                       contract_it->has_reserved_headers ? "dray-orig-" : "", names[i]);
        test_slice("999", contract_find_header(got->headers, carried, 0));
    }
    contract_fini(&trip.client);
}

static void a_message_near_the_limit_comes_through(void **state)
{
    struct trip trip;
    struct dri_transport_info info = {0};
    (void)state;
    trip_start(&trip);
    contract_it->ops->info(trip.client.transport, &info);
    assert_true(info.message_bytes_max >= 64 * 1024);
    size_t len = (size_t)info.message_bytes_max - 1024;
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    struct dri_publish message = {.key = dray_slice_text("big"),
                                  .value = dray_slice_of(bytes, len)};
    assert_bytes(bytes, len, trip_send(&trip, &message)->value);
    free(bytes);
    contract_fini(&trip.client);
}

static void what_another_producer_sends_comes_as_it_is(void **state)
{
    struct trip trip;
    uint8_t flat[128];
    (void)state;
    if (contract_it->produce == NULL) {
        test_skip("this instance has no other producer");
    }
    trip_start(&trip);
    size_t len = contract_header(flat, 0, "Nats-Whatever", "raw", 3);
    len = contract_header(flat, len, "plain", "", 0);
    len = contract_header(flat, len, "Status", "503", 3);
    for (size_t value_len = 0; value_len < 2; value_len++) {
        struct dri_publish message = {.topic = dray_slice_text(trip.topic),
                                      .partition = -1,
                                      .value = dray_slice_of("x", value_len),
                                      .headers = dray_slice_of(flat, len)};
        contract_forget(&trip.client);
        contract_it->produce(contract_it, &message);
        contract_await(&trip.client, DRI_TE_MESSAGE, 1, NULL);
        const struct dri_transport_event *event = contract_event(&trip.client, DRI_TE_MESSAGE, 0);
        test_slice("raw", contract_find_header(event->as.message.headers, "Nats-Whatever", 0));
        assert_non_null(contract_find_header(event->as.message.headers, "plain", 0).at);
        assert_int_equal(contract_find_header(event->as.message.headers, "plain", 0).len, 0);
        test_slice("503", contract_find_header(event->as.message.headers, "Status", 0));
        contract_settle(&trip.client, event);
    }
    contract_fini(&trip.client);
}

const struct CMUnitTest contract_bytes_cases[] = {
    cmocka_unit_test(a_message_comes_back_as_it_was_sent),
    cmocka_unit_test(the_position_of_the_acknowledgement_is_that_of_the_message),
    cmocka_unit_test(a_key_of_any_bytes_comes_back),
    cmocka_unit_test(a_message_without_key_and_headers_has_none),
    cmocka_unit_test(an_empty_value_is_there_and_a_missing_one_is_not),
    cmocka_unit_test(headers_keep_their_order_their_repetitions_and_empty_values),
    cmocka_unit_test(headers_of_any_bytes_never_make_a_message_unsendable),
    cmocka_unit_test(headers_that_are_instructions_to_a_server_are_only_carried),
    cmocka_unit_test(a_message_near_the_limit_comes_through),
    cmocka_unit_test(what_another_producer_sends_comes_as_it_is),
};
const size_t contract_bytes_count = sizeof(contract_bytes_cases) / sizeof(contract_bytes_cases[0]);
