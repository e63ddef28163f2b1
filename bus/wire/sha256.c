/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "sha256.h"

#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(((struct dri_sha256 *)0)->state),
               "struct dri_sha256 is too small for libsodium's state");
_Static_assert(_Alignof(crypto_hash_sha256_state) <= 16, "state is aligned to 16");

static crypto_hash_sha256_state *state_of(struct dri_sha256 *sha)
{
    return (crypto_hash_sha256_state *)(void *)sha->state;
}

void dri_sha256_init(struct dri_sha256 *sha)
{
    (void)crypto_hash_sha256_init(state_of(sha));
}

void dri_sha256_add(struct dri_sha256 *sha, struct dray_slice bytes)
{
    if (bytes.len > 0) {
        (void)crypto_hash_sha256_update(state_of(sha), bytes.at, bytes.len);
    }
}

void dri_sha256_end(struct dri_sha256 *sha, uint8_t ret_digest[32])
{
    (void)crypto_hash_sha256_final(state_of(sha), ret_digest);
}

void dri_sha256_hex(struct dray_slice bytes, char ret_hex[65])
{
    struct dri_sha256 sha;
    uint8_t digest[32];

    dri_sha256_init(&sha);
    dri_sha256_add(&sha, bytes);
    dri_sha256_end(&sha, digest);
    dri_hex(digest, sizeof(digest), ret_hex);
}

bool dri_sha256_is_hex(struct dray_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        if ((byte < '0' || byte > '9') && (byte < 'a' || byte > 'f')) {
            return false;
        }
    }
    return text.len == 64;
}

void dri_hex(const void *at, size_t len, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = (const uint8_t *)at;

    for (size_t i = 0; i < len; i++) {
        ret_hex[2 * i] = digits[bytes[i] >> 4];
        ret_hex[2 * i + 1] = digits[bytes[i] & 0x0f];
    }
    ret_hex[2 * len] = '\0';
}
