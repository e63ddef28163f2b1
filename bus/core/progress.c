/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "progress.h"

#include "assert.h"

/* The metadata of a commit: text, because that is what Kafka stores, in the 64 characters of
 * base64url.
 *
 *   1        version
 *   cccccc   CRC-32 of the position (8 bytes, little-endian), the version and all that follows
 *   ...      bits, six a character, high bit first: lengths in Elias' gamma code, turn by turn of
 *            what is not finished and of what is, from the position on; the first, which may be
 *            none, is written plus one. Zeros fill up the last character.
 *
 * The gamma code of n is as many zeros as n has bits after its first, then n: one bit for 1, three
 * for 2 and 3. Of ten thousand offsets of which every tenth is unfinished, at random, the runs take
 * 985 characters; as decimal numbers with commas 3,720, as varints in base64 2,251, as a bitmap in
 * base64 1,667; for every hundredth of a hundred thousand it is 2,118, 5,299, 3,039 and 16,667. So
 * the text reaches 39,000 offsets far with a tenth unfinished, where decimal numbers reach 10,000.
 * The bitmap is shorter where more than a quarter is unfinished, which is when there is least to
 * remember.
 *
 * What does not fit is left out from the far end: what is written is as true without it, and what
 * is near is settled sooner.
 *
 * A position and its metadata are one statement. Tools move positions (a reset, a mirror of the
 * cluster that translates them) and some carry the metadata along as it is; beside another position
 * it would name other commands, which would then never run. Hence the position is in the checksum.
 * A CRC and not a hash, because it finds every damage of up to four characters in a row; the rest
 * at 1 in 2^32. It is no protection against somebody who may commit in the group's name: he can
 * skip commands by the position already.
 *
 * Read, every rule of the format is checked before the first run is believed: a text that breaks
 * one says nothing at all, which costs runs and never a command.
 */

#define VERSION    '1'
#define HEAD_BYTES 7u /* version and checksum */
#define CHAR_BITS  6u
#define BITS_MAX   ((DRI_PROGRESS_BYTES_MAX - HEAD_BYTES) * (size_t)CHAR_BITS)
#define SUM_CHARS  6u
/* How far from its position a text may speak: a year of a partition with 30,000 messages a second.
 */
#define REACH_BITS 40u
#define REACH_MAX  (UINT64_C(1) << REACH_BITS)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Its six bits; 64: not in the alphabet. */
static unsigned value_of(uint8_t character)
{
    if (character >= 'A' && character <= 'Z') {
        return character - 'A';
    }
    if (character >= 'a' && character <= 'z') {
        return character - 'a' + 26u;
    }
    if (character >= '0' && character <= '9') {
        return character - '0' + 52u;
    }
    return character == '-' ? 62u : character == '_' ? 63u : 64u;
}

/* --- checksum --- */

/* CRC-32 (IEEE 802.3), four bits at a time: a table of 64 bytes and some 10 us for a full text. */
static uint32_t crc_byte(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
        0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
    };
    crc ^= byte;
    crc = (crc >> 4) ^ table[crc & 15u];
    return (crc >> 4) ^ table[crc & 15u];
}

static uint32_t sum_of(const uint8_t *text, size_t len, uint64_t position)
{
    uint32_t crc = UINT32_MAX;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        crc = crc_byte(crc, (uint8_t)(position >> shift));
    }
    crc = crc_byte(crc, text[0]);
    for (size_t i = HEAD_BYTES; i < len; i++) {
        crc = crc_byte(crc, text[i]);
    }
    return ~crc;
}

static void put_sum(char *text, uint32_t sum)
{
    for (unsigned i = 0; i < SUM_CHARS; i++) {
        text[1 + i] = alphabet[(uint64_t)sum >> (CHAR_BITS * (SUM_CHARS - 1 - i)) & 63u];
    }
}

/* Of characters of the alphabet. More than 32 bits: no sum. */
static uint64_t get_sum(const uint8_t *text)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SUM_CHARS; i++) {
        sum = sum << CHAR_BITS | value_of(text[1 + i]);
    }
    return sum;
}

uint32_t dri_progress_sum(struct dray_slice text)
{
    return dray_slice_is_absent(text) ? 0 : (uint32_t)get_sum(text.at);
}

/* --- writing --- */

void dri_progress_write(struct dri_progress_writer *writer, char *text, uint64_t position)
{
    *writer = (struct dri_progress_writer){
        .text = text,
        .position = position,
        .end = position,
        .pending = {.begin = position, .end = position},
    };
}

static unsigned bits_of(uint64_t number)
{
    unsigned bits = 0;
    while (number > 1) {
        number >>= 1;
        bits++;
    }
    return bits;
}

static void put_bit(struct dri_progress_writer *writer, unsigned bit)
{
    char *at = &writer->text[HEAD_BYTES + writer->bits / CHAR_BITS];
    unsigned place = (unsigned)(CHAR_BITS - 1 - writer->bits % CHAR_BITS);
    /* The six bits themselves until the text is closed. */
    *at = (char)((place == CHAR_BITS - 1 ? 0u : (unsigned)*at) | bit << place);
    writer->bits++;
}

static void put_gamma(struct dri_progress_writer *writer, uint64_t number)
{
    unsigned more = bits_of(number);
    for (unsigned i = 0; i < more; i++) {
        put_bit(writer, 0);
    }
    for (unsigned i = more + 1; i > 0; i--) {
        put_bit(writer, (unsigned)(number >> (i - 1) & 1u));
    }
}

/* Write the run that waits, if it fits. */
static bool flush(struct dri_progress_writer *writer)
{
    const struct dri_progress_run *run = &writer->pending;
    if (run->begin == run->end) {
        return true;
    }
    uint64_t unfinished = run->begin - writer->end + (writer->bits == 0 ? 1 : 0);
    uint64_t finished = run->end - run->begin;
    size_t wanted = 2u * ((size_t)bits_of(unfinished) + bits_of(finished)) + 2u;
    if (run->end - writer->position > REACH_MAX || writer->bits + wanted > BITS_MAX) {
        writer->is_full = true;
        return false;
    }
    put_gamma(writer, unfinished);
    put_gamma(writer, finished);
    writer->end = run->end;
    return true;
}

bool dri_progress_add(struct dri_progress_writer *writer, uint64_t begin, uint64_t end)
{
    DRI_ASSERT(begin < end && begin >= writer->pending.end);
    if (writer->is_full) {
        return false;
    }
    if (begin == writer->pending.end) {
        writer->pending.end = end;
        return true;
    }
    if (!flush(writer)) {
        return false;
    }
    writer->pending = (struct dri_progress_run){.begin = begin, .end = end};
    return true;
}

struct dray_slice dri_progress_close(struct dri_progress_writer *writer)
{
    if (!writer->is_full) {
        (void)flush(writer);
    }
    if (writer->bits == 0) {
        return dray_slice_of(NULL, 0);
    }
    size_t len = HEAD_BYTES + (writer->bits + CHAR_BITS - 1) / CHAR_BITS;
    DRI_ASSERT(len <= DRI_PROGRESS_BYTES_MAX);
    writer->text[0] = VERSION;
    for (size_t i = HEAD_BYTES; i < len; i++) {
        writer->text[i] = alphabet[(unsigned)writer->text[i]];
    }
    put_sum(writer->text, sum_of((const uint8_t *)writer->text, len, writer->position));
    return dray_slice_of(writer->text, len);
}

/* --- reading --- */

static unsigned get_bit(struct dri_progress_reader *reader)
{
    unsigned value = value_of(reader->text[HEAD_BYTES + reader->bits / CHAR_BITS]);
    unsigned place = (unsigned)(CHAR_BITS - 1 - reader->bits % CHAR_BITS);
    reader->bits++;
    return value >> place & 1u;
}

/* 0: there is none, or none that is possible. */
static uint64_t get_gamma(struct dri_progress_reader *reader)
{
    unsigned more = 0;
    uint64_t number = 1;
    do {
        if (reader->bits == reader->bits_max || more > REACH_BITS) {
            return 0;
        }
        more++;
    } while (get_bit(reader) == 0);
    more--;
    if (reader->bits_max - reader->bits < more) {
        return 0;
    }
    for (; more > 0; more--) {
        number = number << 1 | get_bit(reader);
    }
    return number;
}

static bool is_filling(struct dri_progress_reader reader)
{
    bool is_zero = reader.bits_max - reader.bits < CHAR_BITS;
    while (is_zero && reader.bits < reader.bits_max) {
        is_zero = get_bit(&reader) == 0;
    }
    return is_zero;
}

bool dri_progress_next(struct dri_progress_reader *reader, struct dri_progress_run *ret_run)
{
    if (is_filling(*reader)) {
        return false;
    }
    bool is_first = reader->bits == 0;
    uint64_t unfinished = get_gamma(reader);
    uint64_t finished = get_gamma(reader);
    if (unfinished == 0 || finished == 0) {
        reader->bits = reader->bits_max;
        return false;
    }
    ret_run->begin = reader->at + unfinished - (is_first ? 1 : 0);
    ret_run->end = ret_run->begin + finished;
    reader->at = ret_run->end;
    return true;
}

/* Whether every length can be read, none is beyond reach, and nothing follows. */
static bool is_sound(struct dri_progress_reader reader, uint64_t position)
{
    struct dri_progress_run run;
    while (!is_filling(reader)) {
        if (!dri_progress_next(&reader, &run) || run.end - position > REACH_MAX) {
            return false;
        }
    }
    return reader.bits > 0;
}

bool dri_progress_read(struct dri_progress_reader *reader, struct dray_slice text,
                       uint64_t position)
{
    if (text.at == NULL || text.len <= HEAD_BYTES || text.len > DRI_PROGRESS_BYTES_MAX ||
        text.at[0] != VERSION || position > (uint64_t)INT64_MAX - REACH_MAX) {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        if (value_of(text.at[i]) > 63) {
            return false;
        }
    }
    struct dri_progress_reader begin = {
        .text = text.at, .bits_max = (text.len - HEAD_BYTES) * CHAR_BITS, .at = position};
    if (get_sum(text.at) != sum_of(text.at, text.len, position) || !is_sound(begin, position)) {
        return false;
    }
    *reader = begin;
    return true;
}
