/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_WHERE_H
#define DRI_CLI_WHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* where.h - filter expressions of `--where`: which dead letters are meant.
 *
 *   or  := and { "or" and }        and := not { "and" not }       not := "not" not | "(" or ")" |
 * test test := FIELD OPERATOR VALUE
 *
 * Operators are = (or ==) != < <= > >= ~ !~; ~ asks whether the text contains the value. A value is
 * a bare word or stands in quotes. Times are RFC 3339, a day ("2026-01-31"), or relative to now
 * ("-2h", "-7d"). What a letter does not have is an empty text or 0. Words of the grammar may be
 * written in capitals.
 *
 * Threads: one. Pure but for the heap.
 */

/** X(name, type) */
#define DRI_WHERE_FIELD_TABLE(X)                                                                   \
    X(command, TEXT)                                                                               \
    X(reason, TEXT)                                                                                \
    X(key, TEXT)                                                                                   \
    X(namespace, TEXT)                                                                             \
    X(id, TEXT)                                                                                    \
    X(message, TEXT)                                                                               \
    X(source, TEXT)                                                                                \
    X(worker, TEXT)                                                                                \
    X(fingerprint, TEXT)                                                                           \
    X(unit, TEXT)                                                                                  \
    X(topic, TEXT)                                                                                 \
    X(version, TEXT)                                                                               \
    X(handler, TEXT)                                                                               \
    X(attempts, NUMBER)                                                                            \
    X(replays, NUMBER)                                                                             \
    X(size, NUMBER)                                                                                \
    X(partition, NUMBER)                                                                           \
    X(offset, NUMBER)                                                                              \
    X(sequence, NUMBER)                                                                            \
    X(first_failed_at, TIME)                                                                       \
    X(last_failed_at, TIME)

enum dri_where_field {
#define DRI_WHERE_ENUM(name, type) DRI_WHERE_##name,
    DRI_WHERE_FIELD_TABLE(DRI_WHERE_ENUM)
#undef DRI_WHERE_ENUM
    DRI_WHERE_FIELDS
};

/** What is known of one letter: text of TEXT fields, number of the others (times in ms). */
struct dri_where_row {
    struct dray_slice text[DRI_WHERE_FIELDS];
    uint64_t number[DRI_WHERE_FIELDS];
};

struct dri_where;

/** What is wrong, and at which byte of the expression. */
struct dri_where_error {
    size_t column; /* from 0 */
    char text[160];
};

/** Owns: *ret_where returned owned. Errors: EINVALID with *ret_error, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_where_parse(const char *text, uint64_t now_ms,
                                                 struct dri_where **ret_where,
                                                 struct dri_where_error *ret_error);
/** NULL is a no-op. */
void dri_where_destroy(struct dri_where *where);

/** NULL matches everything. */
bool dri_where_matches(const struct dri_where *where, const struct dri_where_row *row);

/** One time as --where takes it: RFC 3339, a day, "now", or "-2h". False: it is none. */
bool dri_where_time(const char *text, size_t len, uint64_t now_ms, uint64_t *ret_ms);

#endif
