/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "packer.h"

#include <string.h>

static int packer_write(void *data, const char *bytes, size_t len)
{
    struct dri_writer *writer = (struct dri_writer *)data;

    dri_writer_raw(writer, bytes, len);
    return writer->is_full ? -1 : 0;
}

void dri_packer_init(struct dri_packer *packer, void *buffer, size_t buffer_bytes)
{
    packer->writer = dri_writer_of(buffer, buffer_bytes);
    packer->begin = packer->writer.at;
    msgpack_packer_init(&packer->pack, &packer->writer, packer_write);
}

enum dray_status dri_packer_end(const struct dri_packer *packer, size_t *ret_len)
{
    if (packer->writer.is_full) {
        return DRAY_ELIMIT;
    }
    *ret_len = (size_t)(packer->writer.at - packer->begin);
    return DRAY_OK;
}

void dri_packer_str(struct dri_packer *packer, struct dray_slice text)
{
    if (text.len > UINT32_MAX) {
        packer->writer.is_full = true;
        return;
    }
    (void)msgpack_pack_str(&packer->pack, text.len);
    (void)msgpack_pack_str_body(&packer->pack, text.at, text.len);
}

void dri_packer_bin(struct dri_packer *packer, struct dray_slice bytes)
{
    if (bytes.len > UINT32_MAX) {
        packer->writer.is_full = true;
        return;
    }
    (void)msgpack_pack_bin(&packer->pack, bytes.len);
    (void)msgpack_pack_bin_body(&packer->pack, bytes.at, bytes.len);
}

void dri_packer_key(struct dri_packer *packer, const char *key)
{
    dri_packer_str(packer, dray_slice_text(key));
}

void dri_packer_add_str(struct dri_packer *packer, const char *key, struct dray_slice text)
{
    if (!dray_slice_is_absent(text)) {
        dri_packer_key(packer, key);
        dri_packer_str(packer, text);
    }
}

void dri_packer_add_raw(struct dri_packer *packer, const char *key, struct dray_slice value)
{
    if (!dray_slice_is_absent(value)) {
        dri_packer_key(packer, key);
        dri_writer_raw(&packer->writer, value.at, value.len);
    }
}

void dri_packer_raw(struct dri_packer *packer, struct dray_slice value)
{
    dri_writer_raw(&packer->writer, value.at, value.len);
}

void dri_packer_add_uint(struct dri_packer *packer, const char *key, uint64_t number)
{
    dri_packer_key(packer, key);
    (void)msgpack_pack_uint64(&packer->pack, number);
}
