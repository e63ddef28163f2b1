/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SIGNING_H
#define DRI_SIGNING_H

#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "signers.h"

/* signing.h - the secret side: keys and their files, and signed records.
 *
 * A key is kept for as long as one record is made, and wiped. Threads: any, one a key.
 */

struct dri_signing_key {
    char kid[DRI_KID_BYTES_MAX + 1];
    uint8_t public_key[DRI_SIGN_KEY_BYTES];
    uint8_t secret[64]; /* as libsodium wants it: seed and public key */
};

/** A new key. kid NULL: the first 16 hex digits of SHA-256 over the public key.
 *  Errors: EINVALID (kid). */
DRAY_MUST_CHECK enum dray_status dri_signing_key_make(const char *kid,
                                                      struct dri_signing_key *ret_key);
/** The key of a seed of DRI_SIGN_KEY_BYTES. Errors: EINVALID (kid). */
DRAY_MUST_CHECK enum dray_status dri_signing_key_of_seed(const char *kid, const uint8_t *seed,
                                                         struct dri_signing_key *ret_key);
/** A new file that only its owner can read. Errors: EEXIST, EAUTH, EIO; ret_text says what. */
DRAY_MUST_CHECK enum dray_status dri_signing_key_save(const struct dri_signing_key *key,
                                                      const char *path, char *ret_text,
                                                      size_t text_bytes);
/** Errors: ENOTFOUND, EAUTH (others may read it, too; the group may when the file is root's),
 * EINVALID, EIO; ret_text says what and what to do, and never what is in the file. */
DRAY_MUST_CHECK enum dray_status dri_signing_key_load(const char *path,
                                                      struct dri_signing_key *ret_key,
                                                      char *ret_text, size_t text_bytes);
/** Of a zeroed one a no-op. */
void dri_signing_key_wipe(struct dri_signing_key *key);

void dri_signing_key_sign(const struct dri_signing_key *key, struct dray_slice bytes,
                          uint8_t ret_signature[DRI_SIGNATURE_BYTES]);

/** What a signed change says of itself: issuer, seq and expires. last: the issuer's last number in
 *  the log. The number is a time, so that the order of writers who know nothing of each other is
 *  most often that of the log. There is none above UINT64_MAX: such a record is refused (foresee
 *  it). Requires: change->ts_ms is set. key outlives change. */
void dri_signing_fill(const struct dri_signing_key *key, uint64_t last, uint64_t age_ms,
                      struct dri_change *change);

#endif
