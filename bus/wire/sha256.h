/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SHA256_H
#define DRI_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

/* sha256.h - SHA-256 by libsodium, streaming, and its hex form. Any thread, one object per thread.
 */

struct dri_sha256 {
    _Alignas(
        16) unsigned char state[128]; /* crypto_hash_sha256_state; size asserted in the source */
};

void dri_sha256_init(struct dri_sha256 *sha);
void dri_sha256_add(struct dri_sha256 *sha, struct dray_slice bytes);
void dri_sha256_end(struct dri_sha256 *sha, uint8_t ret_digest[32]);
/** One call: 64 hex digits and a NUL. */
void dri_sha256_hex(struct dray_slice bytes, char ret_hex[65]);
/** Whether it is one in that form: 64 lower-case hex digits. */
bool dri_sha256_is_hex(struct dray_slice text);
/** Lower-case hex of len bytes; ret_hex takes 2 * len + 1. */
void dri_hex(const void *at, size_t len, char *ret_hex);

#endif
