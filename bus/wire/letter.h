/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_LETTER_H
#define DRI_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/kind.h>
#include <dray/slice.h>
#include <dray/status.h>

/* letter.h - a dead letter: the original message unchanged, and what happened in headers.
 *
 * Names on the wire are `dray-dlq-<field>`, lower case, text, decimal numbers, RFC 3339 UTC times.
 * Pure; any thread.
 */

/** X(field, header suffix) for text fields that appear when known. */
#define DRI_LETTER_TEXT_TABLE(X)                                                                   \
    X(message, "message")                                                                          \
    X(command, "command")                                                                          \
    X(id, "id")                                                                                    \
    X(namespace_, "namespace")                                                                     \
    X(version, "version")                                                                          \
    X(handler, "handler")                                                                          \
    X(trace, "trace")                                                                              \
    X(fingerprint, "fingerprint")                                                                  \
    X(signal, "signal")                                                                            \
    X(backtrace, "backtrace")                                                                      \
    X(build_id, "build-id")                                                                        \
    X(revision, "revision")                                                                        \
    X(edit_of, "edit-of")                                                                          \
    X(sequence, "sequence") /* the unit that the letter is of: letters of one key, in order */

struct dri_letter {
    enum dray_error_kind reason; /* decode: DRAY_KIND_COUNT when unknown */
    struct dray_slice source;    /* "topic/partition/offset" or "stream/sequence" */
    struct dray_slice worker;
    uint64_t attempts;
    uint64_t first_failed_ms;
    uint64_t last_failed_ms;
#define DRI_LETTER_FIELD(field, suffix) struct dray_slice field;
    DRI_LETTER_TEXT_TABLE(DRI_LETTER_FIELD)
#undef DRI_LETTER_FIELD
    uint64_t replays; /* decode only: dray-replays; 0: not there */
    bool is_pointer;
    uint64_t pointer_bytes;
    struct dray_slice pointer_sha256; /* 64 hex digits */
    struct dray_slice reason_text;    /* decode only: the reason as it stands, also when unknown */
};

/** Headers of the dead letter: the original ones without earlier dray-dlq-*, then ours. An earlier
 *  first-failed-at in original wins over letter->first_failed_ms. Our headers together take at most
 *  16 KiB: backtrace, then message are cut; each other text is cut at 512 bytes. Texts are made fit
 * to travel: control characters become blanks (line ends '|'), what is no UTF-8 '?'. Errors: ELIMIT
 * when buffer is too small. */
DRAY_MUST_CHECK enum dray_status dri_letter_headers(const struct dri_letter *letter,
                                                    struct dray_slice original, void *buffer,
                                                    size_t buffer_bytes, size_t *ret_len);
size_t dri_letter_headers_max(const struct dri_letter *letter, struct dray_slice original);

/** Read a dead letter's headers. A view into headers. Numbers that are none read as 0; hostile
 * input is tolerated. Errors: ENOTFOUND when there is no dray-dlq-reason. */
DRAY_MUST_CHECK enum dray_status dri_letter_read(struct dray_slice headers,
                                                 struct dri_letter *ret_letter);

/** Headers of a replay: without dray-dlq-*, with dray-replays: N and dray-replay-of, and with
 *  dray-first-failed-at, so that the time of the first failure outlives the replay.
 *  Errors: ELIMIT when buffer is too small. */
DRAY_MUST_CHECK enum dray_status
dri_letter_replay_headers(struct dray_slice headers, uint64_t replays, struct dray_slice replay_of,
                          void *buffer, size_t buffer_bytes, size_t *ret_len);

size_t dri_letter_replay_headers_max(struct dray_slice headers, struct dray_slice replay_of);

/** Groups equal failures: 16 hex digits over kind, command, handler, code and the message with its
 *  numbers and hex runs folded. ret_text takes 17 bytes. */
void dri_letter_fingerprint(enum dray_error_kind kind, struct dray_slice command,
                            struct dray_slice handler, struct dray_slice code,
                            struct dray_slice message, char ret_text[17]);

#endif
