/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* letter.c - dead letters: the message as it was, and beside it what happened.
 *
 * What it promises: a letter can always be published. So our headers have a budget of 16 KiB, of
 * which the message is served before the backtrace and no other text takes more than 512 bytes; and
 * values are text that every broker carries: control characters, which would end a NATS header
 * line, become blanks (line ends '|'), bytes that are no UTF-8 become '?'. Nothing is lost by that,
 * the message itself stays as it is.
 *
 * The first failure's time outlives a replay: replays carry no dray-dlq-* headers, so the replay
 * takes it along as dray-first-failed-at, and the next letter finds it there.
 *
 * Fingerprints stand on the wire and people save searches with them, so they are of SHA-256, which
 * no release changes. Digits and hex runs of the message are folded: "order 17 is gone" and "order
 * 18 is gone" are one failure.
 */

#include "letter.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "headers.h"
#include "scanner.h"
#include "sha256.h"
#include "wire_limits.h"

#define OURS            "dray-dlq-"
#define OURS_BYTES_MAX  16384u
#define TEXT_BYTES_MAX  512u
#define HEADER_OVERHEAD 40u /* lengths, prefix and the longest suffix, rounded up */
#define REPLAYS         "dray-replays"
#define REPLAY_OF       "dray-replay-of"
#define FIRST_FAILED    "dray-first-failed-at"

static void text_clean(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] == '\n') {
            at[i] = '|';
        } else if (at[i] < 0x20 || at[i] == 0x7f) {
            at[i] = ' ';
        }
    }
    dri_utf8_mend(at, len);
}

/* dray-dlq-<suffix>: at most bytes_max bytes of value, cleaned. An absent value adds nothing. */
static void field_add(struct dri_header_sheet *sheet, const char *suffix, struct dray_slice value,
                      size_t bytes_max)
{
    char name[HEADER_OVERHEAD];
    size_t len = dri_utf8_cut(value, bytes_max);

    if (dray_slice_is_absent(value)) {
        return;
    }
    (void)snprintf(name, sizeof(name), OURS "%s", suffix);
    dri_sheet_add(sheet, dray_slice_text(name), dray_slice_of(value.at, len));
    if (sheet->status == DRAY_OK) {
        text_clean(sheet->at + sheet->len - len, len);
    }
}

static void text_add(struct dri_header_sheet *sheet, const char *suffix, const char *text)
{
    field_add(sheet, suffix, dray_slice_text(text), TEXT_BYTES_MAX);
}

static uint64_t time_find(struct dray_slice headers, const char *name)
{
    struct dray_slice value = dri_headers_find(headers, name);

    return dray_slice_is_absent(value) ? 0 : dri_clock_parse((const char *)value.at, value.len);
}

/* When this command failed for the first time, as far back as its headers know; 0 when they do not.
 */
static uint64_t first_failed_find(struct dray_slice headers)
{
    uint64_t wall_ms = time_find(headers, OURS "first-failed-at");

    return wall_ms != 0 ? wall_ms : time_find(headers, FIRST_FAILED);
}

static size_t budget_left(const struct dri_header_sheet *sheet, size_t reserve)
{
    size_t used = sheet->len - sheet->begin + HEADER_OVERHEAD + reserve;

    return used < OURS_BYTES_MAX ? OURS_BYTES_MAX - used : 0;
}

/* The texts that appear when known; message, then backtrace, last, in what is left. */
static void texts_add(struct dri_header_sheet *sheet, const struct dri_letter *letter)
{
    struct dri_letter others = *letter;

    others.message = dray_slice_of(NULL, 0);
    others.backtrace = dray_slice_of(NULL, 0);
#define ADD_TEXT(field, suffix) field_add(sheet, suffix, others.field, TEXT_BYTES_MAX);
    DRI_LETTER_TEXT_TABLE(ADD_TEXT)
#undef ADD_TEXT
    field_add(sheet, "message", letter->message, budget_left(sheet, HEADER_OVERHEAD));
    field_add(sheet, "backtrace", letter->backtrace, budget_left(sheet, 0));
}

static void pointer_add(struct dri_header_sheet *sheet, const struct dri_letter *letter)
{
    if (letter->is_pointer) {
        dri_sheet_add_number(sheet, OURS "pointer", 1);
        dri_sheet_add_number(sheet, OURS "size", letter->pointer_bytes);
        field_add(sheet, "sha256", letter->pointer_sha256, TEXT_BYTES_MAX);
    }
}

enum dray_status dri_letter_headers(const struct dri_letter *letter, struct dray_slice original,
                                    void *buffer, size_t buffer_bytes, size_t *ret_len)
{
    struct dri_header_sheet sheet = {
        .at = (uint8_t *)buffer, .bytes = buffer_bytes, .status = DRAY_OK};
    uint64_t first_failed_ms = first_failed_find(original);

    dri_sheet_add_others(&sheet, original, OURS);
    sheet.begin = sheet.len;
    text_add(&sheet, "reason", dray_kind_text(letter->reason));
    field_add(&sheet, "source", letter->source, TEXT_BYTES_MAX);
    field_add(&sheet, "worker", letter->worker, TEXT_BYTES_MAX);
    dri_sheet_add_number(&sheet, OURS "attempts", letter->attempts);
    dri_sheet_add_time(&sheet, OURS "first-failed-at",
                       first_failed_ms != 0 ? first_failed_ms : letter->first_failed_ms);
    dri_sheet_add_time(&sheet, OURS "last-failed-at", letter->last_failed_ms);
    pointer_add(&sheet, letter);
    texts_add(&sheet, letter);
    if (sheet.status == DRAY_OK) {
        *ret_len = sheet.len;
    }
    return sheet.status;
}

size_t dri_letter_headers_max(const struct dri_letter *letter, struct dray_slice original)
{
    (void)letter;
    return original.len + OURS_BYTES_MAX;
}

static uint64_t number_or_0(struct dray_slice text)
{
    uint64_t number = 0;

    return dri_header_number(text, &number) ? number : 0;
}

/* One header of ours, its name without the prefix. */
static void field_read(struct dray_slice suffix, struct dray_slice value, struct dri_letter *letter)
{
    struct {
        const char *suffix;
        struct dray_slice *field;
    } texts[] = {{"source", &letter->source},
                 {"worker", &letter->worker},
                 {"reason", &letter->reason_text},
                 {"sha256", &letter->pointer_sha256},
#define TEXT_ENTRY(field, suffix) {suffix, &letter->field},
                 DRI_LETTER_TEXT_TABLE(TEXT_ENTRY)
#undef TEXT_ENTRY
    };
    struct {
        const char *suffix;
        uint64_t *field;
    } numbers[] = {{"attempts", &letter->attempts}, {"size", &letter->pointer_bytes}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (dri_header_name_is(suffix, texts[i].suffix)) {
            *texts[i].field = value;
            return;
        }
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (dri_header_name_is(suffix, numbers[i].suffix)) {
            *numbers[i].field = number_or_0(value);
            return;
        }
    }
    if (dri_header_name_is(suffix, "pointer")) {
        letter->is_pointer = dray_slice_equal_text(value, "1");
    } else if (dri_header_name_is(suffix, "first-failed-at")) {
        letter->first_failed_ms = dri_clock_parse((const char *)value.at, value.len);
    } else if (dri_header_name_is(suffix, "last-failed-at")) {
        letter->last_failed_ms = dri_clock_parse((const char *)value.at, value.len);
    }
}

enum dray_status dri_letter_read(struct dray_slice headers, struct dri_letter *ret_letter)
{
    struct dri_letter letter;
    struct dri_header header;
    size_t at = 0;

    memset(&letter, 0, sizeof(letter));
    while (dri_headers_next(headers, &at, &header)) {
        if (dray_slice_is_absent(header.value)) {
            continue;
        }
        if (dri_header_name_begins(header.name, OURS)) {
            size_t prefix = sizeof(OURS) - 1;

            field_read(dray_slice_of(header.name.at + prefix, header.name.len - prefix),
                       header.value, &letter);
        } else if (dri_header_name_is(header.name, REPLAYS)) {
            letter.replays = number_or_0(header.value);
        }
    }
    if (dray_slice_is_absent(letter.reason_text)) {
        return DRAY_ENOTFOUND;
    }
    letter.reason = dray_kind_parse((const char *)letter.reason_text.at, letter.reason_text.len);
    *ret_letter = letter;
    return DRAY_OK;
}

enum dray_status dri_letter_replay_headers(struct dray_slice headers, uint64_t replays,
                                           struct dray_slice replay_of, void *buffer,
                                           size_t buffer_bytes, size_t *ret_len)
{
    struct dri_header_sheet sheet = {
        .at = (uint8_t *)buffer, .bytes = buffer_bytes, .status = DRAY_OK};
    uint64_t first_failed_ms = first_failed_find(headers);
    struct dri_header header;
    size_t at = 0;

    while (dri_headers_next(headers, &at, &header)) {
        if (!dri_header_name_begins(header.name, OURS) &&
            !dri_header_name_is(header.name, REPLAYS) &&
            !dri_header_name_is(header.name, REPLAY_OF) &&
            !dri_header_name_is(header.name, FIRST_FAILED)) {
            dri_sheet_add(&sheet, header.name, header.value);
        }
    }
    dri_sheet_add_number(&sheet, REPLAYS, replays);
    dri_sheet_add(&sheet, dray_slice_text(REPLAY_OF), replay_of);
    if (first_failed_ms != 0) {
        dri_sheet_add_time(&sheet, FIRST_FAILED, first_failed_ms);
    }
    if (sheet.status == DRAY_OK) {
        *ret_len = sheet.len;
    }
    return sheet.status;
}

size_t dri_letter_replay_headers_max(struct dray_slice headers, struct dray_slice replay_of)
{
    return headers.len + replay_of.len + 3 * (HEADER_OVERHEAD + DRI_CLOCK_TEXT_BYTES);
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool is_word(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '_' || byte >= 0x80;
}

/* Bytes of text from `at` on that are a number or stand for one: a run of digits, or of at least
 * four hex digits with a digit among them that does not end inside a word. 0: none. */
static size_t number_run(struct dray_slice text, size_t at)
{
    size_t digits = 0;
    size_t end = at;

    while (end < text.len && is_hex(text.at[end])) {
        digits += is_digit(text.at[end]);
        end++;
    }
    if (digits > 0 && end - at >= 4 && (end == text.len || !is_word(text.at[end]))) {
        return end - at;
    }
    for (end = at; end < text.len && is_digit(text.at[end]); end++) {
    }
    return end - at;
}

static void folded_add(struct dri_sha256 *sha, struct dray_slice text)
{
    static const uint8_t number[1] = {'#'};
    size_t from = 0;

    for (size_t at = 0; at < text.len;) {
        bool is_begin = at == 0 || !is_word(text.at[at - 1]) || is_digit(text.at[at]);
        size_t run = is_begin ? number_run(text, at) : 0;

        if (run == 0) {
            at++;
            continue;
        }
        dri_sha256_add(sha, dray_slice_of(text.at + from, at - from));
        dri_sha256_add(sha, dray_slice_of(number, 1));
        at += run;
        from = at;
    }
    dri_sha256_add(sha, dray_slice_of(text.at + from, text.len - from));
}

void dri_letter_fingerprint(enum dray_error_kind kind, struct dray_slice command,
                            struct dray_slice handler, struct dray_slice code,
                            struct dray_slice message, char ret_text[17])
{
    static const uint8_t end[1] = {0};
    struct dray_slice parts[] = {dray_slice_text(dray_kind_text(kind)), command, handler, code};
    struct dri_sha256 sha;
    uint8_t digest[32];

    dri_sha256_init(&sha);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        dri_sha256_add(&sha, parts[i]);
        dri_sha256_add(&sha, dray_slice_of(end, 1));
    }
    if (message.len > 0) {
        folded_add(&sha, dray_slice_of(message.at, dri_utf8_cut(message, DRI_ERROR_TEXT_MAX)));
    }
    dri_sha256_end(&sha, digest);
    dri_hex(digest, 8, ret_text);
}
