/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "base/clock.h"
#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/headers.h"
#include "wire/letter.h"

#define TEXT(text) dray_slice_text(text)

static int bytes_free(void **state)
{
    (void)state;
    wire_bytes_free();
    return 0;
}

static struct dri_letter sample(void)
{
    return (struct dri_letter){.reason = DRAY_KIND_REJECTED,
                               .source = TEXT("commands/3/1234"),
                               .worker = TEXT("host-1a2b3c4d"),
                               .attempts = 4,
                               .first_failed_ms = UINT64_C(1767225650000),
                               .last_failed_ms = UINT64_C(1767225660250),
                               .message = TEXT("no stock for A-1"),
                               .command = TEXT("order.create"),
                               .id = TEXT("019b7640600070010283040506070809"),
                               .namespace_ = TEXT("default"),
                               .handler = TEXT("default/order.create@1.0.0"),
                               .fingerprint = TEXT("0123456789abcdef"),
                               .revision = TEXT("42")};
}

/* The letter's headers in a buffer that all tests share. */
static struct dray_slice headers_of(const struct dri_letter *letter, struct dray_slice original)
{
    static uint8_t buffer[65536];
    size_t len;

    test_ok(dri_letter_headers(letter, original, buffer, sizeof(buffer), &len));
    assert_true(len <= dri_letter_headers_max(letter, original));
    return dray_slice_of(buffer, len);
}

static void a_letter_has_the_headers_of_the_golden_sample(void **state)
{
    struct dri_letter letter = sample();
    struct dray_slice golden = wire_golden("letter.headers");
    struct dray_slice headers = headers_of(&letter, wire_golden("letter_original.headers"));

    (void)state;
    assert_int_equal(headers.len, golden.len);
    assert_memory_equal(headers.at, golden.at, golden.len);
}

static void a_letter_is_read_back(void **state)
{
    struct dri_letter letter;

    (void)state;
    test_ok(dri_letter_read(wire_golden("letter.headers"), &letter));
    assert_int_equal(letter.reason, DRAY_KIND_REJECTED);
    test_slice("rejected", letter.reason_text);
    test_slice("commands/3/1234", letter.source);
    assert_int_equal(letter.attempts, 4);
    assert_true(letter.first_failed_ms == UINT64_C(1767225600000));
    assert_true(letter.last_failed_ms == UINT64_C(1767225660250));
    test_slice("order.create", letter.command);
    assert_int_equal(letter.replays, 2);
    assert_false(letter.is_pointer);
    assert_true(dray_slice_is_absent(letter.backtrace));
}

static void an_earlier_first_failure_is_kept_and_the_rest_replaced(void **state)
{
    struct dri_letter first = sample();
    struct dri_letter second = sample();
    struct dri_letter back;
    uint8_t kept[4096];
    struct dray_slice headers;
    size_t at = 0;
    int reasons = 0;
    struct dri_header header;

    (void)state;
    first.backtrace = TEXT("old");
    headers = headers_of(&first, dray_slice_of(NULL, 0));
    memcpy(kept, headers.at, headers.len);
    second.reason = DRAY_KIND_TIMEOUT;
    second.first_failed_ms += 60000;
    headers = headers_of(&second, dray_slice_of(kept, headers.len));
    test_ok(dri_letter_read(headers, &back));
    assert_int_equal(back.reason, DRAY_KIND_TIMEOUT);
    assert_true(back.first_failed_ms == first.first_failed_ms);
    assert_true(dray_slice_is_absent(back.backtrace));
    while (dri_headers_next(headers, &at, &header)) {
        reasons += dri_header_name_is(header.name, "dray-dlq-reason");
    }
    assert_int_equal(reasons, 1);
}

static void a_replay_has_none_of_our_headers_but_remembers(void **state)
{
    struct dray_slice golden = wire_golden("letter.headers");
    struct dri_letter next = sample();
    struct dri_letter back;
    static uint8_t replay[4096];
    size_t len;
    struct dri_header header;
    size_t at = 0;

    (void)state;
    test_ok(dri_letter_replay_headers(golden, 3, TEXT("dlq/3/99"), replay, sizeof(replay), &len));
    assert_true(len <= dri_letter_replay_headers_max(golden, TEXT("dlq/3/99")));
    while (dri_headers_next(dray_slice_of(replay, len), &at, &header)) {
        assert_false(dri_header_name_begins(header.name, "dray-dlq-"));
    }
    test_slice("3", dri_headers_find(dray_slice_of(replay, len), "dray-replays"));
    test_slice("dlq/3/99", dri_headers_find(dray_slice_of(replay, len), "dray-replay-of"));
    test_slice("application/msgpack", dri_headers_find(dray_slice_of(replay, len), "content-type"));
    /* and when it fails again, its first failure is still the first one */
    test_ok(dri_letter_read(headers_of(&next, dray_slice_of(replay, len)), &back));
    assert_true(back.first_failed_ms == UINT64_C(1767225600000));
    assert_int_equal(back.replays, 3);
    for (size_t size = 0; size < len; size++) {
        size_t cut = 7;

        test_status(DRAY_ELIMIT,
                    dri_letter_replay_headers(golden, 3, TEXT("dlq/3/99"), replay, size, &cut));
        assert_int_equal(cut, 7);
    }
}

static void the_budget_cuts_the_backtrace_first_and_then_the_message(void **state)
{
    static char large[100000];
    struct dri_letter letter = sample();
    struct dri_letter back;
    struct dray_slice headers;

    (void)state;
    memset(large, 'x', sizeof(large));
    letter.backtrace = dray_slice_of(large, sizeof(large));
    letter.message = dray_slice_of(large, 1000);
    headers = headers_of(&letter, dray_slice_of(NULL, 0));
    assert_true(headers.len <= 16384);
    test_ok(dri_letter_read(headers, &back));
    assert_int_equal(back.message.len, 1000);
    assert_true(back.backtrace.len > 12000);
    letter.message = dray_slice_of(large, sizeof(large));
#define LARGE(field, suffix)                                                                       \
    if (dray_slice_is_absent(letter.field)) {                                                      \
        letter.field = dray_slice_of(large, sizeof(large));                                        \
    }
    DRI_LETTER_TEXT_TABLE(LARGE)
#undef LARGE
    letter.source = letter.worker = letter.message;
    headers = headers_of(&letter, dray_slice_of(NULL, 0));
    assert_true(headers.len <= 16384);
    test_ok(dri_letter_read(headers, &back));
    assert_true(back.backtrace.len < 40);
    assert_int_equal(back.source.len, 512);
    assert_true(back.message.len > 4000);
}

static void values_cannot_break_out_of_their_header(void **state)
{
    struct dri_letter letter = sample();
    struct dri_letter back;

    (void)state;
    letter.message = TEXT("a\r\nNats-Expected-Stream: x\x7f");
    letter.backtrace = TEXT("f at 1\n\tg at 2\n");
    letter.command = TEXT("caf\xe9");
    test_ok(dri_letter_read(headers_of(&letter, dray_slice_of(NULL, 0)), &back));
    test_slice("a |Nats-Expected-Stream: x ", back.message);
    test_slice("f at 1| g at 2|", back.backtrace);
    test_slice("caf?", back.command);
}

static void a_pointer_says_what_is_missing(void **state)
{
    struct dri_letter letter = sample();
    struct dri_letter back;

    (void)state;
    letter.is_pointer = true;
    letter.pointer_bytes = 2000000;
    letter.pointer_sha256 =
        TEXT("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    test_ok(dri_letter_read(headers_of(&letter, dray_slice_of(NULL, 0)), &back));
    assert_true(back.is_pointer);
    assert_int_equal(back.pointer_bytes, 2000000);
    assert_int_equal(back.pointer_sha256.len, 64);
}

static void a_message_without_a_reason_is_no_letter(void **state)
{
    struct dri_letter letter;
    uint8_t buffer[256];
    size_t len = 0;

    (void)state;
    test_status(DRAY_ENOTFOUND, dri_letter_read(dray_slice_of(NULL, 0), &letter));
    test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT("dray-dlq-reason"),
                               dray_slice_of(NULL, 0)));
    test_status(DRAY_ENOTFOUND, dri_letter_read(dray_slice_of(buffer, len), &letter));
}

static void hostile_values_are_read_as_nothing(void **state)
{
    static const char *const attempts[] = {
        "", "-1", "1x", "18446744073709551616", " 1", "999999999999999999999"};
    struct dri_letter letter;

    (void)state;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        uint8_t buffer[512];
        size_t len = 0;

        test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT("Dray-Dlq-Reason"),
                                   TEXT("made up")));
        test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT("dray-dlq-attempts"),
                                   TEXT(attempts[i])));
        test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT("dray-dlq-last-failed-at"),
                                   TEXT("yesterday")));
        test_ok(dri_headers_append(buffer, sizeof(buffer), &len, TEXT("dray-dlq-size"),
                                   TEXT("18446744073709551615")));
        test_ok(
            dri_headers_append(buffer, sizeof(buffer), &len, TEXT("dray-dlq-later"), TEXT("x")));
        test_ok(dri_letter_read(dray_slice_of(buffer, len), &letter));
        assert_int_equal(letter.reason, DRAY_KIND_COUNT);
        test_slice("made up", letter.reason_text);
        assert_int_equal(letter.attempts, 0);
        assert_true(letter.pointer_bytes == UINT64_MAX);
        assert_int_equal(letter.last_failed_ms, 0);
    }
}

static void a_buffer_that_is_too_small_is_refused(void **state)
{
    struct dri_letter letter = sample();
    size_t whole = headers_of(&letter, dray_slice_of(NULL, 0)).len;
    uint8_t buffer[4096];

    (void)state;
    for (size_t size = 0; size < whole; size++) {
        size_t len = 7;

        test_status(DRAY_ELIMIT,
                    dri_letter_headers(&letter, dray_slice_of(NULL, 0), buffer, size, &len));
        assert_int_equal(len, 7);
    }
}

static bool is_same_failure(const char *a, const char *b)
{
    char fingerprint_a[17];
    char fingerprint_b[17];

    dri_letter_fingerprint(DRAY_KIND_TIMEOUT, TEXT("c"), TEXT("h"), TEXT("E"), TEXT(a),
                           fingerprint_a);
    dri_letter_fingerprint(DRAY_KIND_TIMEOUT, TEXT("c"), TEXT("h"), TEXT("E"), TEXT(b),
                           fingerprint_b);
    assert_int_equal(strlen(fingerprint_a), 16);
    return strcmp(fingerprint_a, fingerprint_b) == 0;
}

static void failures_that_differ_in_numbers_are_one_group(void **state)
{
    (void)state;
    assert_true(is_same_failure("order 17 is gone", "order 100000 is gone"));
    assert_true(is_same_failure("id 4bf92f35-77b3 failed", "id 00f067aa-1234 failed"));
    assert_true(is_same_failure("at 0x7fff1234", "at 0x7ffe0000"));
    assert_false(is_same_failure("order is gone", "order is late"));
    assert_false(is_same_failure("beef is out", "cafe is out"));
    assert_false(is_same_failure("deed1st", "deed1nd"));
    assert_true(is_same_failure("", ""));
}

static void the_fingerprint_tells_its_parts_apart_and_never_changes(void **state)
{
    char a[17];
    char b[17];

    (void)state;
    dri_letter_fingerprint(DRAY_KIND_TIMEOUT, TEXT("ab"), TEXT(""), TEXT(""), TEXT("m"), a);
    dri_letter_fingerprint(DRAY_KIND_TIMEOUT, TEXT("a"), TEXT("b"), TEXT(""), TEXT("m"), b);
    assert_string_not_equal(a, b);
    dri_letter_fingerprint(DRAY_KIND_REJECTED, TEXT("order.create"), dray_slice_of(NULL, 0),
                           TEXT("E_STOCK"), TEXT("nothing left of A-17"), a);
    /* sha256 of "rejected" NUL "order.create" NUL NUL "E_STOCK" NUL "nothing left of A-#" */
    assert_string_equal(a, "f5c0a609d9a8d8fd");
}

static void damage_try(struct dray_slice damaged)
{
    struct dri_letter letter;
    static uint8_t buffer[65536];
    size_t len;

    if (dri_letter_read(damaged, &letter) == DRAY_OK) {
        letter.reason = DRAY_KIND_INVALID;
        test_ok(dri_letter_headers(&letter, damaged, buffer, sizeof(buffer), &len));
    }
    test_ok(dri_letter_replay_headers(damaged, 1, TEXT("x"), buffer, sizeof(buffer), &len));
}

static void no_damage_to_the_sample_crashes(void **state)
{
    (void)state;
    wire_damage(wire_golden("letter.headers"), damage_try);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, bytes_free)
    const struct CMUnitTest tests[] = {
        CASE(a_letter_has_the_headers_of_the_golden_sample),
        CASE(a_letter_is_read_back),
        CASE(an_earlier_first_failure_is_kept_and_the_rest_replaced),
        CASE(a_replay_has_none_of_our_headers_but_remembers),
        CASE(the_budget_cuts_the_backtrace_first_and_then_the_message),
        CASE(values_cannot_break_out_of_their_header),
        CASE(a_pointer_says_what_is_missing),
        CASE(a_message_without_a_reason_is_no_letter),
        CASE(hostile_values_are_read_as_nothing),
        CASE(a_buffer_that_is_too_small_is_refused),
        CASE(failures_that_differ_in_numbers_are_one_group),
        CASE(the_fingerprint_tells_its_parts_apart_and_never_changes),
        CASE(no_damage_to_the_sample_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
