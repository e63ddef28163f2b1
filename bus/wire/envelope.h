/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ENVELOPE_H
#define DRI_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "wire_limits.h"

/* envelope.h - a command as it travels: a msgpack map, decoded without a copy.
 *
 * Threads: all functions are pure; any thread.
 */

/** A view: every slice borrows from the message bytes. Absent fields are absent slices / zero. */
struct dri_envelope {
    struct dray_slice id;      /* text 1..64 bytes, or 16 bytes binary */
    struct dray_slice command; /* absent when only fid is given */
    struct dray_slice namespace_;
    struct dray_slice version;
    struct dray_slice key;
    struct dray_slice reply_to; /* present and empty: no result is wanted */
    struct dray_slice trace;
    struct dray_slice tracestate;
    struct dray_slice payload; /* msgpack bytes of one value; absent = nil */
    struct dray_slice tags;    /* msgpack bytes of a map of str to str, checked */
    struct dray_slice meta;    /* msgpack bytes of a map of str to str, checked */
    uint64_t fid;
    uint64_t created_ms;
    uint64_t deadline_ms;   /* 0: none */
    uint64_t not_before_ms; /* 0: at once */
    bool is_id_binary;
    bool has_fid;
    bool is_key_binary;
};

/** Decode one whole message. Allocates nothing, copies nothing.
 *
 *  On failure *ret_envelope holds what could be read before the fault (at least id and reply_to
 * when they came first and were sound), so that an error result can still be sent. Errors: EINVALID
 * with *ret_error set (the offset and field); ELIMIT likewise, for a bound. */
DRAY_MUST_CHECK enum dray_status dri_envelope_decode(struct dray_slice message,
                                                     const struct dri_wire_limits *limits,
                                                     struct dri_envelope *ret_envelope,
                                                     struct dri_wire_error *ret_error);

/** Encode into buffer. Absent fields are left out; v is 1.
 *  Errors: ELIMIT when it does not fit; *ret_len untouched. */
DRAY_MUST_CHECK enum dray_status dri_envelope_encode(const struct dri_envelope *envelope,
                                                     void *buffer, size_t buffer_bytes,
                                                     size_t *ret_len);

/** Upper bound of what dri_envelope_encode needs. */
size_t dri_envelope_encoded_max(const struct dri_envelope *envelope);

/** 16 bytes of a UUIDv7 (RFC 9562) from the time and 10 random bytes of the caller. */
void dri_uuid7(uint64_t wall_ms, const uint8_t random[10], uint8_t ret_id[16]);

/** Text of an id for people: as it is, or hex when binary. ret_text takes 129 bytes. */
void dri_id_format(struct dray_slice id, bool is_binary, char ret_text[129]);

/** Value of one key of a str-to-str map (tags, meta) or absent. Requires: map was checked by
 * decode. */
struct dray_slice dri_strmap_find(struct dray_slice map, const char *key);

#endif
