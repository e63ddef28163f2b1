/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SIGNERS_H
#define DRI_SIGNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "control.h"

/* signers.h - who may change what: the keys that control records may be signed with, and the rule
 * by which every reader judges a record.
 *
 * The rule looks at the record, at its place in the log and at the broker's stamp on it, never at a
 * clock, so that replicas which read the log at different times agree. Threads: one.
 */

#define DRI_SIGNERS_MAX      32u
#define DRI_KID_BYTES_MAX    64u
#define DRI_SIGN_KEY_BYTES   32u /* of a public key, and of a seed */
#define DRI_SIGNATURE_BYTES  64u
#define DRI_FINGERPRINT_HEX  65u
#define DRI_SIGNERS_TEXT_MAX 8192u

struct dri_signer {
    char kid[DRI_KID_BYTES_MAX + 1];
    uint8_t key[DRI_SIGN_KEY_BYTES];
    struct dray_slice namespaces; /* "acme/default", or "*"; borrows from the text */
    uint64_t from, until;         /* revisions that it may be the signer of */
};

enum dri_require {
    DRI_REQUIRE_AUTO, /* when there are signers */
    DRI_REQUIRE_TRUE,
    DRI_REQUIRE_FALSE,
};

struct dri_signers {
    struct dri_signer items[DRI_SIGNERS_MAX];
    size_t count;         /* 0: nobody signs, and nothing is judged */
    bool is_required;     /* unsigned records are refused, from signed_from on */
    uint64_t signed_from; /* revision */
    uint64_t age_max_ms;  /* from issue to expiry */
};

/** The last sequence number of each signer: part of what the log says, from its first record on. */
struct dri_signers_seen {
    uint64_t seqs[DRI_SIGNERS_MAX];
};

/** Why a record is not trusted. The text is what its writer and the log are told. */
#define DRI_DISTRUST_TABLE(X)                                                                      \
    X(UNSIGNED, "it is not signed")                                                                \
    X(UNKNOWN, "its kid is none of control.signers")                                               \
    X(NOT_IN_FORCE, "its key was not in force at this revision")                                   \
    X(FORGED, "its signature does not fit")                                                        \
    X(ELSEWHERE, "it is of another cluster or topic, or does not say of which")                    \
    X(ISSUER, "its issuer is not its kid")                                                         \
    X(TIMES, "it does not say when it was issued and when it expires, or is valid for too long")   \
    X(STAMP, "the topic does not stamp its records itself: set message.timestamp.type="            \
             "LogAppendTime")                                                                      \
    X(EXPIRED, "it was stored after it had expired")                                               \
    X(EARLY, "it was stored long before it was issued")                                            \
    X(REPLAYED, "its sequence number was there before")                                            \
    X(FOREIGN, "its key may not change this namespace")

enum dri_distrust {
    DRI_TRUSTED,
#define DRI_DISTRUST_ENUM(name, text) DRI_DISTRUST_##name,
    DRI_DISTRUST_TABLE(DRI_DISTRUST_ENUM)
#undef DRI_DISTRUST_ENUM
    DRI_DISTRUST_COUNT
};

/** A record of the log, as far as it could be read. Borrows. */
struct dri_signed {
    const struct dri_control_record *record;
    const struct dri_change *change;
    uint64_t revision;
    int64_t stamp_ms;     /* when it was stored */
    bool is_broker_stamp; /* the broker says so, not its writer */
};

/** Signers of their one-line form: "kid[@FROM-[UNTIL]]/64 hex digits/ns/ns,..."; "*" for any
 *  namespace. ret_signers borrows text; its other members stay as they are.
 *  Errors: EINVALID; ret_text is the half sentence behind "control.signers". */
DRAY_MUST_CHECK enum dray_status dri_signers_parse(const char *text,
                                                   struct dri_signers *ret_signers, char *ret_text,
                                                   size_t text_bytes);

struct dri_settings;
/** The rule of a configuration. ret_signers borrows from settings, whose text was checked. */
void dri_signers_init(struct dri_signers *ret_signers, const struct dri_settings *settings);

/** Whether the record counts, and when it does its sequence number is used up. Without signers
 *  everything is trusted. ret_text: why not, with names and numbers.
 *  Requires: its cluster and topic are ours or not said, unless it is unsigned. */
enum dri_distrust dri_signers_judge(const struct dri_signers *signers,
                                    struct dri_signers_seen *seen, const struct dri_signed *what,
                                    char *ret_text, size_t text_bytes);

/** Whether a record of this revision needs a signature. */
bool dri_signers_wants_signature(const struct dri_signers *signers, uint64_t revision);

/** NULL: none has this kid. */
const struct dri_signer *dri_signers_find(const struct dri_signers *signers, struct dray_slice kid);
/** The signer's last sequence number, 0 when there was none or there is no such signer. */
uint64_t dri_signers_seq(const struct dri_signers *signers, const struct dri_signers_seen *seen,
                         struct dray_slice kid);

/** The same for the same rule, whatever the order of signers and namespaces: 64 hex digits; ""
 * without any. */
void dri_signers_fingerprint(const struct dri_signers *signers, char ret_hex[DRI_FINGERPRINT_HEX]);

/** [A-Za-z0-9_.-]{1,64} */
bool dri_kid_is_valid(struct dray_slice kid);
/** "it is not signed"; "" of DRI_TRUSTED. */
const char *dri_distrust_text(enum dri_distrust distrust);

#endif
