/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "nats_jwt.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"

static void base32(const uint8_t *raw, size_t len, char *ret_text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | raw[i];
        for (count += 8; count >= 5; count -= 5) {
            *ret_text++ = letters[bits >> (count - 5) & 31];
        }
    }
    if (count > 0) {
        *ret_text++ = letters[bits << (5 - count) & 31];
    }
    *ret_text = '\0';
}

static void checksum(uint8_t *raw, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ (uint16_t)(raw[i] << 8));
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
    }
    raw[len] = (uint8_t)crc;
    raw[len + 1] = (uint8_t)(crc >> 8);
}

void nats_nkey_make(struct nats_nkey *nkey, char kind)
{
    uint8_t prefix = (uint8_t)((kind - 'A') << 3);
    uint8_t seed[36], key[35];
    assert_true(sodium_init() >= 0);
    seed[0] = (uint8_t)(18 << 3 | prefix >> 5);
    seed[1] = (uint8_t)((prefix & 31) << 3);
    randombytes_buf(seed + 2, 32);
    checksum(seed, 34);
    key[0] = prefix;
    assert_int_equal(crypto_sign_seed_keypair(key + 1, nkey->secret, seed + 2), 0);
    checksum(key, 33);
    base32(seed, sizeof(seed), nkey->seed);
    base32(key, sizeof(key), nkey->key);
}

static void base64url(const void *raw, size_t len, char *ret_text, size_t bytes)
{
    assert_non_null(
        sodium_bin2base64(ret_text, bytes, raw, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING));
}

/** Claims of one, signed by another. */
static void sign(const struct nats_nkey *issuer, const struct nats_nkey *subject, const char *nats,
                 char ret_jwt[2048])
{
    static const char header[] = "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}";
    char claims[800], first[128], second[1100], third[128], body[1300];
    unsigned char signature[crypto_sign_BYTES];
    (void)snprintf(claims, sizeof(claims),
                   "{\"jti\":\"TEST%.20s\",\"iat\":1700000000,\"iss\":\"%s\",\"name\":\"test\","
                   "\"sub\":\"%s\",\"nats\":{%s,\"version\":2}}",
                   subject->key, issuer->key, subject->key, nats);
    base64url(header, sizeof(header) - 1, first, sizeof(first));
    base64url(claims, strlen(claims), second, sizeof(second));
    (void)snprintf(body, sizeof(body), "%s.%s", first, second);
    assert_int_equal(crypto_sign_detached(signature, NULL, (const unsigned char *)body,
                                          strlen(body), issuer->secret),
                     0);
    base64url(signature, sizeof(signature), third, sizeof(third));
    (void)snprintf(ret_jwt, 2048, "%s.%s", body, third);
}

void nats_operator_make(char *ret_config, size_t config_bytes, char *ret_creds, size_t creds_bytes)
{
    static const char limits[] =
        "\"type\":\"account\",\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,"
        "\"exports\":-1,\"wildcards\":true,\"conn\":-1,\"leaf\":-1%s}";
    static char operator_jwt[2048], account_jwt[2048], system_jwt[2048], user_jwt[2048];
    struct nats_nkey operator_key, account, system, user;
    char text[512];
    nats_nkey_make(&operator_key, 'O');
    nats_nkey_make(&account, 'A');
    nats_nkey_make(&system, 'A');
    nats_nkey_make(&user, 'U');
    sign(&operator_key, &operator_key, "\"type\":\"operator\"", operator_jwt);
    (void)snprintf(text, sizeof(text), limits, /* NOLINT(clang-diagnostic-format-nonliteral) */
                   ",\"mem_storage\":-1,\"disk_storage\":-1,\"streams\":-1,\"consumer\":-1");
    sign(&operator_key, &account, text, account_jwt);
    (void)snprintf(text, sizeof(text), limits, ""); /* NOLINT(clang-diagnostic-format-nonliteral) */
    sign(&operator_key, &system, text, system_jwt);
    sign(&account, &user,
         "\"type\":\"user\",\"pub\":{},\"sub\":{},\"subs\":-1,\"data\":-1,\"payload\":-1",
         user_jwt);
    (void)snprintf(ret_config, config_bytes,
                   "operator: %s\nsystem_account: %s\nresolver: MEMORY\n"
                   "resolver_preload: {\n  %s: %s\n  %s: %s\n}\n",
                   operator_jwt, system.key, account.key, account_jwt, system.key, system_jwt);
    (void)snprintf(ret_creds, creds_bytes,
                   "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"
                   "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n",
                   user_jwt, user.seed);
}
