/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <string.h>

#include "clock.h"
#include "hash.h"
#include "nats_tools.h"

/* Whether the record that JetStream has under a Nats-Msg-Id is the one that was to be stored.
 *
 * Ids are made of the position of the source message, and a position says nothing of the stream it
 * was in: a stream that was deleted and made anew counts from 1 again, and for the duplicate window
 * the outcomes of its first messages would be taken for those of the old ones and be lost. So a
 * "duplicate" is looked at once. An outcome cannot be older than its command: what was stored
 * before the source message was, is the record of another one. And it names its command: what names
 * another is not ours either, whatever the clocks of two servers say.
 *
 * A mark is kept as a hash: a claim has to live as long as its publish is out, and there may be
 * 400,000 of them.
 *
 * Rejected: the incarnation in every id (ids are read by others), or in a header (40 bytes with
 * every result, for what hardly ever happens). */

#define DECODE_TEXT_MAX ((DRI_NATS_MARK_MAX + 2) / 3 * 4)

struct dri_nats_claim dri_nats_claim_of(const struct dri_publish *publish)
{
    struct dri_nats_claim claim = {.from_ms = publish->dedup_from_ms};
    struct dray_slice mark = publish->dedup_mark;
    size_t at = mark.at == NULL ? DRI_NATS_MARK_MAX : (size_t)(mark.at - publish->value.at);
    if (claim.from_ms == 0 || at >= DRI_NATS_MARK_MAX) {
        return claim;
    }
    mark.len = mark.len > DRI_NATS_MARK_MAX - at ? DRI_NATS_MARK_MAX - at : mark.len;
    claim.mark_at = (uint32_t)at;
    claim.mark_len = (uint32_t)mark.len;
    claim.mark_hash = dri_hash64(mark);
    return claim;
}

bool dri_nats_claim_holds(const struct dri_nats_claim *claim, struct dray_slice json)
{
    char time[64];
    uint8_t bytes[DECODE_TEXT_MAX];
    struct dray_slice data = dri_nats_json_find(json, "message.data");
    size_t need = (claim->mark_at + claim->mark_len + 2) / 3 * 4;
    if (!dri_nats_json_text(json, "message.time", time, sizeof(time)) ||
        dri_clock_parse(time, strlen(time)) < claim->from_ms) {
        return false;
    }
    if (claim->mark_len == 0) {
        return true;
    }
    if (data.at == NULL || data.len < 2 || data.at[0] != '"') {
        return false;
    }
    data = dray_slice_of(data.at + 1, data.len - 2);
    data.len = data.len > need ? need : data.len;
    size_t len = dri_nats_base64_decode(data, bytes);
    return len != SIZE_MAX && len >= claim->mark_at + claim->mark_len &&
           dri_hash64(dray_slice_of(bytes + claim->mark_at, claim->mark_len)) == claim->mark_hash;
}
