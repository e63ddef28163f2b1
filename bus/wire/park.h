/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PARK_WIRE_H
#define DRI_PARK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "hash.h"

/* park.h - a record of a park log: the original message, and how it waits in headers.
 *
 * Names on the wire are `dray-park-<field>`, lower case, text, decimal numbers, RFC 3339 UTC times
 * with milliseconds. docs/adr/0013-parking.md has what they are for. Pure; any thread.
 *
 * A COMMAND with a unit was written by `dray dlq release`: a letter of that unit as a command
 * again, which waits behind its held key for the RELEASE that follows it and never becomes a letter
 * by the hold. Its source is the position of its letter, so that it is no copy of HELD (which has
 * the source of the command that the unit began with), and a release that was begun twice has
 * copies. What was overlooked at first has the order of the first one. RELEASE has the key as
 * message key and the unit, if there is one.
 */

/** X(name, text on the wire in dray-park-state) */
#define DRI_PARK_KIND_TABLE(X)                                                                     \
    X(COMMAND, "")        /* no header: waits until it is due */                                   \
    X(STOPPED, "stopped") /* waits until its key is released */                                    \
    X(HELD, "held")       /* no command: its key's commands become letters of one unit */          \
    X(RELEASE, "release") /* no command: lets its key go */

enum dri_park_kind {
#define DRI_PARK_ENUM(name, text) DRI_PARK_##name,
    DRI_PARK_KIND_TABLE(DRI_PARK_ENUM)
#undef DRI_PARK_ENUM
    DRI_PARK_KIND_COUNT
};

struct dri_park {
    enum dri_park_kind kind;
    struct dray_slice source; /* dray-park-source: "topic/partition/offset" or "stream/sequence" */
    uint32_t attempts;        /* dray-park-attempts: runs so far */
    uint64_t due_ms;          /* dray-park-due; absent, 0: when its key's turn comes */
    uint64_t first_failed_ms; /* dray-park-first-failed-at; 0: has not failed */
    bool has_order;
    uint64_t order; /* dray-park-order: offset at which it first stood in this log */
    struct dray_slice
        unit; /* dray-park-unit: HELD, RELEASE, and what a release wrote; else absent */
};

/** Headers of a park record: the original ones without earlier dray-park-*, then ours.
 *  Errors: ELIMIT when buffer is too small. */
DRAY_MUST_CHECK enum dray_status dri_park_headers(const struct dri_park *park,
                                                  struct dray_slice original, void *buffer,
                                                  size_t buffer_bytes, size_t *ret_len);
size_t dri_park_headers_max(const struct dri_park *park, struct dray_slice original);

/** Read a park record's headers. A view. Hostile input is tolerated: a number or time that is none
 * reads as 0, an unknown state as COMMAND. Errors: ENOTFOUND when there is no dray-park-source and
 * it is no RELEASE. */
DRAY_MUST_CHECK enum dray_status dri_park_read(struct dray_slice headers,
                                               struct dri_park *ret_park);

/** The original's headers: without dray-park-*. Errors: ELIMIT when buffer is too small
 *  (headers.len suffices). */
DRAY_MUST_CHECK enum dray_status dri_park_original(struct dray_slice headers, void *buffer,
                                                   size_t buffer_bytes, size_t *ret_len);

/** Names one message in all of a group's sources: the same for (origin, offset) and for the text
 * "<origin>/<offset>" of dray-park-source; 0 for a text that is not of this form. Never 0 for
 * a message. */
uint64_t dri_park_source_hash(struct dray_slice origin, uint64_t offset);
/** The same, of an origin whose dri_hash64 is known. */
static inline uint64_t dri_park_source_mix(uint64_t origin_hash, uint64_t offset)
{
    uint64_t parts[2] = {origin_hash, offset};
    uint64_t hash = dri_hash64(dray_slice_of(parts, sizeof(parts)));
    return hash != 0 ? hash : 1;
}
uint64_t dri_park_source_hash_of(struct dray_slice source);
/** The offset in such a text; 0 where the hash is 0. */
uint64_t dri_park_source_offset_of(struct dray_slice source);

#endif
