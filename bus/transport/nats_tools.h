/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_NATS_TOOLS_H
#define DRI_NATS_TOOLS_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "transport.h"

/* nats_tools.h - what the NATS transport needs and what knows nothing of its state: settings,
 * seeds, JSON, headers, subjects. Only files nats*.c include it.
 */

#define DRI_NATS_TEXT_BYTES    256u
#define DRI_NATS_NAME_BYTES    160u /* of a stream or consumer */
#define DRI_NATS_SUBJECT_BYTES 512u
#define DRI_NATS_SERVERS_MAX   16u
#define DRI_NATS_NONE          UINT32_MAX

/** A text for a person, cut where it does not fit. */
DRAY_FORMAT(2, 3)
void dri_nats_say(char ret_text[DRI_NATS_TEXT_BYTES], const char *format, ...);

/* --- settings ------------------------------------------------------------------------------- */

struct dri_nats_server {
    char host[200];
    uint16_t port;
};

struct dri_nats_settings {
    struct dri_nats_server servers[DRI_NATS_SERVERS_MAX];
    uint32_t servers_count;
    char *user, *password, *token;
    char *creds, *nkey;                               /* files */
    char *tls_ca, *tls_cert, *tls_key, *tls_hostname; /* files; name */
    char *tls_ciphers, *tls_ciphersuites;             /* OpenSSL's lists */
    char *name, *inbox_prefix, *domain;
    bool is_tls;
    bool is_tls_risk_accepted;
    uint32_t ping_interval_ms;
    uint32_t connect_timeout_ms;
    uint32_t publish_timeout_ms;
    uint32_t api_timeout_ms;
    uint32_t ack_wait_ms;
    uint32_t pull_batch;
    uint32_t pull_expires_ms;
    uint32_t replicas;
    uint32_t partitions;
    uint32_t lease_ms;
};

DRAY_MUST_CHECK enum dray_status dri_nats_settings_init(struct dri_nats_settings *settings,
                                                        const struct dri_transport_config *config,
                                                        char ret_text[DRI_NATS_TEXT_BYTES]);
/** check_option and check_config of the transport. */
DRAY_MUST_CHECK enum dray_status dri_nats_check_option(const struct dri_option *option,
                                                       char *ret_text, size_t text_bytes);
DRAY_MUST_CHECK enum dray_status dri_nats_check_config(const struct dri_transport_config *config,
                                                       char *ret_text, size_t text_bytes);
/** Walk the table of options; set *at to 0 first. */
struct dri_nats_option_info {
    const char *name, *type;
    char otherwise[24];
    const char *help;
};
bool dri_nats_option_next(size_t *at, struct dri_nats_option_info *ret_info);
void dri_nats_settings_fini(struct dri_nats_settings *settings);

/** The public key ("U...") of the seed in the file. Errors: EIO, EINVALID; ret_text says which. */
DRAY_MUST_CHECK enum dray_status dri_nats_seed_public(const char *path, char ret_public[64],
                                                      char ret_text[DRI_NATS_TEXT_BYTES]);

/* --- json ----------------------------------------------------------------------------------- */

/** The raw value at a path of keys ("config.max_deliver"), or absent. Never fails on hostile bytes.
 */
struct dray_slice dri_nats_json_find(struct dray_slice json, const char *path);
uint64_t dri_nats_json_uint(struct dray_slice json, const char *path, uint64_t otherwise);
int64_t dri_nats_json_int(struct dray_slice json, const char *path, int64_t otherwise);
bool dri_nats_json_bool(struct dray_slice json, const char *path);
/** False when it is missing, no string, or too long; ret_text is "" then. */
bool dri_nats_json_text(struct dray_slice json, const char *path, char *ret_text, size_t bytes);
/** A raw string value, unescaped. */
bool dri_nats_json_unescape(struct dray_slice value, char *ret_text, size_t bytes);
/** Walk an array's raw items; set *at to 0 first. */
bool dri_nats_json_next(struct dray_slice array, size_t *at, struct dray_slice *ret_item);
/** text with quotes and escapes. False when it does not fit. */
bool dri_nats_json_quote(const char *text, char *ret_json, size_t bytes);

/* --- headers -------------------------------------------------------------------------------- */

/** Memory of one poll: given back as a whole. */
struct dri_nats_arena {
    struct dri_nats_arena_block *blocks;
};
void *dri_nats_arena_take(struct dri_nats_arena *arena, size_t bytes);
void dri_nats_arena_reset(struct dri_nats_arena *arena);
void dri_nats_arena_fini(struct dri_nats_arena *arena);

struct dri_nats_status_line {
    uint32_t code; /* 0: an ordinary message */
    char text[64];
};
/** The status that the server put into a message without a body. */
struct dri_nats_status_line dri_nats_header_status(natsMsg *message);

/** Key and headers of a received message, in the flat form of wire/headers.h. is_ours: it stands in
 * a stream that dray writes, so its deduplication id is ours and no part of the original: left out.
 *  Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_nats_header_decode(natsMsg *message, bool is_ours,
                                                        struct dri_nats_arena *arena,
                                                        struct dray_slice *ret_key,
                                                        struct dray_slice *ret_headers);

#define DRI_NATS_VERSION_LINE "NATS/1.0"
/** The block, when it begins with the version line and ends with an empty line; else absent. */
struct dray_slice dri_nats_header_sound(struct dray_slice block);
/** The same of a header block by itself, as STREAM.MSG.GET gives it; hostile bytes count as none.
 */
DRAY_MUST_CHECK enum dray_status dri_nats_header_decode_block(struct dray_slice block, bool is_ours,
                                                              struct dri_nats_arena *arena,
                                                              struct dray_slice *ret_key,
                                                              struct dray_slice *ret_headers);

/** Builds the header block of a message to be sent. *ret_block is what goes between the version
 * line and the empty line: "Name: value\r\n...", absent when there is none. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_nats_header_encode(const struct dri_publish *publish,
                                                        struct dri_nats_arena *arena,
                                                        struct dray_slice *ret_block);
/** Puts the block onto a message. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_nats_header_attach(natsMsg *message, struct dray_slice block);

/** Bytes put, or SIZE_MAX when the text is no base64. */
size_t dri_nats_base64_decode(struct dray_slice text, uint8_t *ret_bytes);

/* --- claims --------------------------------------------------------------------------------- */

#define DRI_NATS_MARK_MAX 256u

/** How a record of ours is known again: see dedup_from_ms in transport.h. */
struct dri_nats_claim {
    uint64_t from_ms; /* 0: nothing is asked */
    uint64_t mark_hash;
    uint32_t mark_at, mark_len; /* within the value, below DRI_NATS_MARK_MAX */
};
struct dri_nats_claim dri_nats_claim_of(const struct dri_publish *publish);
/** Whether the answer of STREAM.MSG.GET shows a record that the claim holds for. */
bool dri_nats_claim_holds(const struct dri_nats_claim *claim, struct dray_slice json);

/* --- subjects ------------------------------------------------------------------------------- */

bool dri_nats_subject_is_publishable(struct dray_slice subject);
/** Whether every subject that `subject` matches is matched by `pattern`. */
bool dri_nats_subject_covers(const char *pattern, const char *subject);
bool dri_nats_is_inbox(const char *subject);

#endif
