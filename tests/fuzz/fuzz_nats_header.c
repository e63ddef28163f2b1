/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_nats_header - the header block of a NATS message, as any bytes: a server hands on what a
 * producer has put there.
 *
 * What is understood survives being sent and understood again; and what was sent is sent again
 * without a change, so that a letter that is replayed and fails again looks like itself. The first
 * byte says whether the block stands in a stream of ours; without a version line the bytes are the
 * flat form.
 */

#include <string.h>

#include "fuzz.h"
#include "transport/nats_tools.h"

static const struct {
    char text[sizeof(DRI_NATS_VERSION_LINE) + 1]; /* and no NUL */
} begin = {DRI_NATS_VERSION_LINE "\r\n"};

/* What would be sent of a key and headers, as a block. */
static struct dray_slice sent(struct dri_nats_arena *arena, struct dray_slice key,
                              struct dray_slice headers, struct dray_slice id)
{
    struct dri_publish publish = {.key = key, .headers = headers, .dedup_id = id};
    struct dray_slice lines;
    FUZZ_CHECK(dri_nats_header_encode(&publish, arena, &lines) == DRAY_OK);
    uint8_t *block = dri_nats_arena_take(arena, sizeof(begin.text) + lines.len + 2);
    FUZZ_CHECK(block != NULL);
    memcpy(block, begin.text, sizeof(begin.text));
    if (lines.len > 0) {
        memcpy(block + sizeof(begin.text), lines.at, lines.len);
    }
    block[sizeof(begin.text) + lines.len] = '\r';
    block[sizeof(begin.text) + lines.len + 1] = '\n';
    return dray_slice_of(block, sizeof(begin.text) + lines.len + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dri_nats_arena arena = {NULL};
    struct dray_slice key, headers, key_again, headers_again;
    const struct dray_slice absent = {NULL, 0};
    bool is_ours = size > 0 && (data[0] & 1) != 0;
    struct dray_slice block = dray_slice_of(size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0);

    FUZZ_CHECK(dri_nats_header_decode_block(block, is_ours, &arena, &key, &headers) == DRAY_OK);
    if (dri_nats_header_sound(block).at == NULL) {
        FUZZ_CHECK(key.at == NULL && headers.at == NULL);
        headers = block; /* the flat form, damaged somewhere */
        key = size > 0 && (data[0] & 2) != 0 ? block : absent;
    }
    struct dray_slice once =
        sent(&arena, key, headers, is_ours ? absent : dray_slice_text("r:S:1"));
    FUZZ_CHECK(dri_nats_header_sound(once).at != NULL);
    FUZZ_CHECK(dri_nats_header_decode_block(once, true, &arena, &key_again, &headers_again) ==
               DRAY_OK);
    FUZZ_CHECK((key.at == NULL) || key_again.at != NULL);
    FUZZ_CHECK(key.at == NULL || dray_slice_equal(key, key_again));
    struct dray_slice twice = sent(&arena, key_again, headers_again, absent);
    struct dray_slice thrice;
    FUZZ_CHECK(dri_nats_header_decode_block(twice, true, &arena, &key, &headers) == DRAY_OK);
    thrice = sent(&arena, key, headers, absent);
    FUZZ_CHECK(dray_slice_equal(twice, thrice));
    dri_nats_arena_fini(&arena);
    return 0;
}
