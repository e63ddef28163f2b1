/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "nats_tools.h"

/* nats.c wants the public key beside the file with the seed; a user has only the seed. So the
 * public key is made here, as nsc and nk make it. Source: github.com/nats-io/nkeys, strkey.go:
 * base32 without padding of prefix, key, CRC-16. */

#define SEED_RAW_BYTES   36u /* 2 prefix, 32 seed, 2 checksum */
#define PUBLIC_RAW_BYTES 35u /* 1 prefix, 32 key, 2 checksum */
#define PREFIX_SEED      (18u << 3)

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static uint16_t crc16(const uint8_t *at, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ (uint16_t)(at[i] << 8));
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
    }
    return crc;
}

static bool base32_decode(const char *text, size_t len, uint8_t *ret_raw, size_t raw_len)
{
    uint32_t bits = 0, count = 0;
    size_t put = 0;
    for (size_t i = 0; i < len; i++) {
        const char *found = text[i] == '\0' ? NULL : strchr(base32, text[i]);
        if (found == NULL) {
            return false;
        }
        bits = bits << 5 | (uint32_t)(found - base32);
        count += 5;
        if (count >= 8) {
            count -= 8;
            if (put == raw_len) {
                return false;
            }
            ret_raw[put++] = (uint8_t)(bits >> count);
        }
    }
    return put == raw_len;
}

static void base32_encode(const uint8_t *raw, size_t raw_len, char *ret_text)
{
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < raw_len; i++) {
        bits = bits << 8 | raw[i];
        count += 8;
        while (count >= 5) {
            count -= 5;
            *ret_text++ = base32[bits >> count & 31];
        }
    }
    if (count > 0) {
        *ret_text++ = base32[bits << (5 - count) & 31];
    }
    *ret_text = '\0';
}

/** The seed in a text: the first word that begins with S. */
static bool find_seed(const char *text, uint8_t ret_raw[SEED_RAW_BYTES])
{
    const char *at = strstr(text, "\nS");
    at = text[0] == 'S' ? text : at == NULL ? NULL : at + 1;
    if (at == NULL) {
        return false;
    }
    size_t len = strspn(at, base32);
    if (!base32_decode(at, len, ret_raw, SEED_RAW_BYTES)) {
        return false;
    }
    uint16_t sum = (uint16_t)(ret_raw[34] | (uint16_t)(ret_raw[35] << 8));
    return (ret_raw[0] & 0xf8) == PREFIX_SEED && crc16(ret_raw, 34) == sum;
}

enum dray_status dri_nats_seed_public(const char *path, char ret_public[64],
                                      char ret_text[DRI_NATS_TEXT_BYTES])
{
    char text[512];
    uint8_t raw[SEED_RAW_BYTES], public_key[PUBLIC_RAW_BYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        dri_nats_say(ret_text, "nkey: cannot open %s: %s", path, strerrordesc_np(errno));
        return DRAY_EIO;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    bool is_seed = find_seed(text, raw);
    sodium_memzero(text, sizeof(text));
    if (!is_seed) {
        dri_nats_say(ret_text,
                     "nkey: %s holds no NKey seed (a line \"SU...\", as nk -gen user makes it)",
                     path);
        return DRAY_EINVALID;
    }
    public_key[0] = (uint8_t)((raw[0] & 7) << 5 | (raw[1] & 0xf8) >> 3);
    (void)crypto_sign_seed_keypair(public_key + 1, secret, raw + 2);
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(raw, sizeof(raw));
    uint16_t sum = crc16(public_key, 33);
    public_key[33] = (uint8_t)sum;
    public_key[34] = (uint8_t)(sum >> 8);
    base32_encode(public_key, sizeof(public_key), ret_public);
    return DRAY_OK;
}
