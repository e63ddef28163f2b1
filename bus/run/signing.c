/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* signing.c - secret keys of Ed25519 and their files.
 *
 * A file is three lines of text, so that one can see what it is and which public key belongs to it;
 * it holds the seed, of which RFC 8032 makes the rest. It is opened once, and what is judged (who
 * may read it) is what was opened. Links are followed: secrets of Kubernetes are links.
 */
#include "signing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sha256.h"

#define FILE_BYTES_MAX 4096u
#define HEX_BYTES      (2u * DRI_SIGN_KEY_BYTES + 1u)
#define KID_DIGITS     16

_Static_assert(sizeof(((struct dri_signing_key *)0)->secret) == crypto_sign_SECRETKEYBYTES,
               "secret keys of Ed25519");
_Static_assert(DRI_SIGN_KEY_BYTES == crypto_sign_SEEDBYTES, "seeds of Ed25519");

enum dray_status dri_signing_key_of_seed(const char *kid, const uint8_t *seed,
                                         struct dri_signing_key *ret_key)
{
    struct dri_signing_key key = {.kid = ""};
    char hex[HEX_BYTES];
    if (kid != NULL && !dri_kid_is_valid(dray_slice_text(kid))) {
        return DRAY_EINVALID;
    }
    (void)crypto_sign_seed_keypair(key.public_key, key.secret, seed);
    if (kid == NULL) {
        dri_sha256_hex(dray_slice_of(key.public_key, sizeof(key.public_key)), hex);
        snprintf(key.kid, sizeof(key.kid), "%.*s", KID_DIGITS, hex);
    } else {
        snprintf(key.kid, sizeof(key.kid), "%s", kid);
    }
    *ret_key = key;
    dri_signing_key_wipe(&key);
    return DRAY_OK;
}

enum dray_status dri_signing_key_make(const char *kid, struct dri_signing_key *ret_key)
{
    uint8_t seed[DRI_SIGN_KEY_BYTES];
    if (sodium_init() < 0) {
        return DRAY_EIO;
    }
    randombytes_buf(seed, sizeof(seed));
    enum dray_status status = dri_signing_key_of_seed(kid, seed, ret_key);
    sodium_memzero(seed, sizeof(seed));
    return status;
}

void dri_signing_key_wipe(struct dri_signing_key *key)
{
    sodium_memzero(key, sizeof(*key));
}

static enum dray_status fail(const char *what, const char *path, char *ret_text, size_t text_bytes)
{
    int error = errno;
    const char *why = strerrordesc_np(error);
    snprintf(ret_text, text_bytes, "%s %s: %s", what, path, why == NULL ? "unknown error" : why);
    return error == ENOENT                                       ? DRAY_ENOTFOUND
           : error == EEXIST                                     ? DRAY_EEXISTS
           : error == EACCES || error == EPERM || error == EROFS ? DRAY_EAUTH
                                                                 : DRAY_EIO;
}

/* ---- out ---- */

static bool write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        at += put < 0 ? 0 : put;
        len -= put < 0 ? 0 : (size_t)put;
    }
    return fsync(fd) == 0;
}

enum dray_status dri_signing_key_save(const struct dri_signing_key *key, const char *path,
                                      char *ret_text, size_t text_bytes)
{
    char public_hex[HEX_BYTES];
    char secret_hex[HEX_BYTES];
    char text[512];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail("cannot make", path, ret_text, text_bytes);
    }
    (void)sodium_bin2hex(public_hex, sizeof(public_hex), key->public_key, DRI_SIGN_KEY_BYTES);
    (void)sodium_bin2hex(secret_hex, sizeof(secret_hex), key->secret, DRI_SIGN_KEY_BYTES);
    int len = snprintf(text, sizeof(text),
                       "# A secret key of dray. Whoever has it may change what its signer may.\n"
                       "kid: %s\npublic: %s\nsecret: %s\n",
                       key->kid, public_hex, secret_hex);
    bool is_written = write_all(fd, text, (size_t)len);
    enum dray_status status = DRAY_OK;
    if (!is_written) {
        status = fail("cannot write", path, ret_text, text_bytes);
        (void)unlink(path);
    }
    (void)close(fd);
    sodium_memzero(text, sizeof(text));
    sodium_memzero(secret_hex, sizeof(secret_hex));
    return status;
}

/* ---- in ---- */

/* Only its owner; or root gives it to a group that we are of, as fsGroup of Kubernetes and
 * LoadCredential of systemd do: who is of the group is root's to say. The rule of PostgreSQL. */
static bool is_open_to_others(const struct stat *facts)
{
    bool is_given = facts->st_uid == 0 && geteuid() != 0;
    mode_t ours = is_given ? S_IRWXU | S_IRGRP : S_IRWXU;
    return (facts->st_mode & (S_IRWXU | S_IRWXG | S_IRWXO) & ~ours) != 0;
}

static enum dray_status read_file(const char *path, char ret_bytes[FILE_BYTES_MAX + 1],
                                  char *ret_text, size_t text_bytes)
{
    struct stat facts;
    size_t len = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        enum dray_status status = fail("the secret key", path, ret_text, text_bytes);
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    enum dray_status status = DRAY_OK;
    if (!S_ISREG(facts.st_mode)) {
        snprintf(ret_text, text_bytes, "the secret key %s: is not a regular file", path);
        status = DRAY_EINVALID;
    } else if (is_open_to_others(&facts)) {
        snprintf(ret_text, text_bytes,
                 "the secret key %s: others than its owner may use the file (mode %03o); chmod 600 "
                 "it (640 when it is root's and only the group reads it), and make a new key if "
                 "they could",
                 path, (unsigned)facts.st_mode & 0777u);
        status = DRAY_EAUTH;
    }
    while (status == DRAY_OK && got != 0 && len < FILE_BYTES_MAX) {
        got = read(fd, ret_bytes + len, FILE_BYTES_MAX - len);
        if (got < 0 && errno != EINTR) {
            status = fail("the secret key", path, ret_text, text_bytes);
        }
        len += got < 0 ? 0 : (size_t)got;
    }
    ret_bytes[len] = '\0';
    (void)close(fd);
    return status;
}

/* The rest of the line that begins with the name. */
static bool find_line(const char *text, const char *name, char *ret_value, size_t value_bytes)
{
    size_t name_len = strlen(name);
    for (const char *line = text; *line != '\0'; line += line[0] == '\n') {
        size_t len = strcspn(line, "\r\n");
        if (len > name_len && strncmp(line, name, name_len) == 0) {
            size_t skipped = name_len + strspn(line + name_len, " ");
            return snprintf(ret_value, value_bytes, "%.*s", (int)(len - skipped), line + skipped) <
                   (int)value_bytes;
        }
        line += strcspn(line, "\n");
    }
    return false;
}

static bool read_hex(const char *hex, uint8_t ret_bytes[DRI_SIGN_KEY_BYTES])
{
    size_t got = 0;
    return sodium_hex2bin(ret_bytes, DRI_SIGN_KEY_BYTES, hex, strlen(hex), NULL, &got, NULL) == 0 &&
           got == DRI_SIGN_KEY_BYTES;
}

/* What is wrong with it, or NULL. */
static const char *read_key(const char *text, struct dri_signing_key *ret_key)
{
    char kid[DRI_KID_BYTES_MAX + 1];
    char hex[HEX_BYTES];
    uint8_t seed[DRI_SIGN_KEY_BYTES];
    uint8_t public_key[DRI_SIGN_KEY_BYTES];
    const char *wrong = NULL;
    if (!find_line(text, "kid:", kid, sizeof(kid)) || !dri_kid_is_valid(dray_slice_text(kid))) {
        return "has no line \"kid: NAME\"";
    }
    if (!find_line(text, "secret:", hex, sizeof(hex)) || !read_hex(hex, seed)) {
        wrong = "has no line \"secret:\" with 64 hex digits";
    } else if (dri_signing_key_of_seed(kid, seed, ret_key) != DRAY_OK) {
        wrong = "has no kid of 1 to 64 letters, digits, _ . -";
    } else if (find_line(text, "public:", hex, sizeof(hex)) &&
               (!read_hex(hex, public_key) ||
                memcmp(public_key, ret_key->public_key, sizeof(public_key)) != 0)) {
        dri_signing_key_wipe(ret_key);
        wrong = "has a public key that is not that of its secret one";
    }
    sodium_memzero(hex, sizeof(hex));
    sodium_memzero(seed, sizeof(seed));
    return wrong;
}

enum dray_status dri_signing_key_load(const char *path, struct dri_signing_key *ret_key,
                                      char *ret_text, size_t text_bytes)
{
    char bytes[FILE_BYTES_MAX + 1];
    enum dray_status status = read_file(path, bytes, ret_text, text_bytes);
    if (status == DRAY_OK) {
        const char *wrong = read_key(bytes, ret_key);
        if (wrong != NULL) {
            snprintf(ret_text, text_bytes, "the secret key %s: %s; dray keys new makes such a file",
                     path, wrong);
            status = DRAY_EINVALID;
        }
    }
    sodium_memzero(bytes, sizeof(bytes));
    return status;
}

/* ---- use ---- */

void dri_signing_key_sign(const struct dri_signing_key *key, struct dray_slice bytes,
                          uint8_t ret_signature[DRI_SIGNATURE_BYTES])
{
    (void)crypto_sign_detached(ret_signature, NULL, bytes.at, bytes.len, key->secret);
}

void dri_signing_fill(const struct dri_signing_key *key, uint64_t last, uint64_t age_ms,
                      struct dri_change *change)
{
    uint64_t by_clock = change->ts_ms * UINT64_C(1000); /* room for those of one millisecond */
    change->issuer = dray_slice_text(key->kid);
    change->seq = last < by_clock ? by_clock : last < UINT64_MAX ? last + 1 : last;
    change->expires_ms = change->ts_ms + age_ms;
}
