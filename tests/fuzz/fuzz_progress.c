/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_progress - what stands beside a committed position.
 *
 * An input is a byte of flags, eight of position, and the text. Chance finds no checksum, so with
 * the first flag the text is sealed before it is read: what is refused then is refused for its own
 * sake. What is taken says increasing runs within reach, and is the one text that says them. With
 * the third flag the text is taken for runs instead, which are written and read again.
 */

#include <stdbool.h>
#include <string.h>

#include "core/claims.h"
#include "fuzz.h"

#define HEAD_BYTES 9u
#define REACH_MAX  (UINT64_C(1) << 40)
#define TEXT_MAX   4000u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Every byte becomes one of the alphabet, and the checksum the one that belongs to it. */
static void text_seal(uint8_t *text, size_t len, uint64_t position)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 1; i < len; i++) {
        text[i] = (uint8_t)digits[text[i] & 63u];
    }
    for (size_t i = 0; i < 8 + len; i++) {
        if (i > 8 && i < 15) {
            continue;
        }
        crc ^= (uint32_t)(i < 8 ? (uint8_t)(position >> (8 * i)) : text[i - 8]);
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1u) != 0 ? (crc >> 1) ^ UINT32_C(0xedb88320) : crc >> 1;
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        text[1 + i] = (uint8_t)digits[(uint64_t)~crc >> (6 * (5 - i)) & 63u];
    }
}

static void text_try(struct dray_slice text, uint64_t position)
{
    static struct dri_claims claims;
    static char again[DRI_PROGRESS_BYTES_MAX];
    struct dri_progress_writer writer;
    struct dri_progress_reader reader;
    struct dri_progress_run run;
    uint64_t end = position;

    dri_claims_init(&claims);
    bool is_taken = dri_claims_restore(&claims, text, position);
    FUZZ_CHECK(dri_progress_read(&reader, text, position) == is_taken);
    if (!is_taken) {
        FUZZ_CHECK(!dri_claims_has(&claims, position));
        return;
    }
    dri_progress_write(&writer, again, position);
    while (dri_progress_next(&reader, &run)) {
        FUZZ_CHECK(run.begin >= end && run.begin < run.end);
        FUZZ_CHECK(run.end - position <= REACH_MAX);
        FUZZ_CHECK(run.begin == end || !dri_claims_has(&claims, run.begin - 1));
        FUZZ_CHECK(dri_claims_has(&claims, run.begin));
        FUZZ_CHECK(dri_claims_has(&claims, run.end - 1));
        FUZZ_CHECK(dri_progress_add(&writer, run.begin, run.end));
        end = run.end;
    }
    FUZZ_CHECK(end > position && !dri_claims_has(&claims, end));
    FUZZ_CHECK(dray_slice_equal(dri_progress_close(&writer), text));
    FUZZ_CHECK(dri_progress_sum(text) == dri_progress_sum(dray_slice_of(again, text.len)));
}

/* A gap or a length: the low bits of a byte, shifted by the high ones. */
static uint64_t number_of(uint8_t byte)
{
    return ((uint64_t)(byte & 15u) + 1) << ((byte >> 4) * 3);
}

static void runs_try(const uint8_t *data, size_t size, uint64_t position)
{
    static char text[DRI_PROGRESS_BYTES_MAX];
    struct dri_progress_writer writer;
    struct dri_progress_reader reader;
    struct dri_progress_run run;
    struct dray_slice written;
    uint64_t at = position;
    size_t taken = 0;

    dri_progress_write(&writer, text, position);
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint64_t begin = at + number_of(data[i]) - (i == 0 ? 1 : 0);

        at = begin + number_of(data[i + 1]);
        taken += dri_progress_add(&writer, begin, at);
    }
    written = dri_progress_close(&writer);
    FUZZ_CHECK(written.len <= DRI_PROGRESS_BYTES_MAX);
    if (dray_slice_is_absent(written)) {
        FUZZ_CHECK(taken <= 1 && dri_progress_sum(written) == 0);
        FUZZ_CHECK(!dri_progress_read(&reader, written, position));
        return;
    }
    at = position;
    FUZZ_CHECK(dri_progress_read(&reader, written, position));
    for (size_t i = 0; dri_progress_next(&reader, &run); i += 2) {
        FUZZ_CHECK(run.begin == at + number_of(data[i]) - (i == 0 ? 1 : 0));
        at = run.begin + number_of(data[i + 1]);
        FUZZ_CHECK(run.end == at);
    }
    FUZZ_CHECK(taken > 0);
    text_try(written, position);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[TEXT_MAX];
    uint64_t position = 0;

    if (size < HEAD_BYTES || size - HEAD_BYTES > sizeof(text)) {
        text_try(dray_slice_of(data, size), 0);
        return 0;
    }
    memcpy(text, data + HEAD_BYTES, size - HEAD_BYTES);
    for (size_t i = 0; i < 8; i++) {
        position = position << 8 | data[1 + i];
    }
    if ((data[0] & 4u) != 0) {
        runs_try(text, size - HEAD_BYTES, position >> 2); /* within what may be read */
        return 0;
    }
    if ((data[0] & 1u) != 0 && size - HEAD_BYTES > 7) {
        text[0] = (data[0] & 2u) != 0 ? text[0] : '1';
        text_seal(text, size - HEAD_BYTES, position);
    }
    text_try(dray_slice_of(text, size - HEAD_BYTES), position);
    return 0;
}
