/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_READER_H
#define DRAY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/api.h>
#include <dray/slice.h>
#include <dray/status.h>

/* reader.h - typed reading of a msgpack payload, by a cursor: builds nothing, allocates nothing.
 *
 * The short way is a table of fields, which fills a struct and refuses what does not fit:
 *
 *     struct item { struct dray_slice sku; uint64_t quantity; };
 *     static const struct dray_field item_fields[] = {
 *         DRAY_REQUIRED(struct item, sku, TEXT, 1, 64),      (bytes)
 *         DRAY_OPTIONAL(struct item, quantity, UINT, 1, 99), (value; absent: keeps what it was)
 *     };
 *
 *     struct item item = {.quantity = 1};
 *     dray_reader_init(&reader, call->payload);
 *     if (dray_read_fields(&reader, item_fields, 2, &item) != DRAY_OK) {
 *         return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&reader));
 *     }
 *
 * The long way reads value by value: a container announces its count, then its values follow (for a
 * map: key, value, key, value).
 *
 * The first failure sticks: later calls answer the same status and change nothing. Its text names
 * the place, what was expected and what was found: `payload.items[2].sku: expected text of 1 to 64
 * bytes, found an integer`. Every length is checked against the bytes that are there, so that bytes
 * from anywhere may be read. Slices that are given out borrow from the payload.
 *
 * Threads: any; each reader is used by one at a time.
 */

DRAY_BEGIN

#define DRAY_READER_DEPTH 16u

enum dray_type {
    DRAY_TYPE_NONE, /* nothing left, or bytes that are not msgpack */
    DRAY_TYPE_NIL,
    DRAY_TYPE_BOOL,
    DRAY_TYPE_INTEGER,
    DRAY_TYPE_DOUBLE,
    DRAY_TYPE_TEXT,
    DRAY_TYPE_BIN,
    DRAY_TYPE_ARRAY,
    DRAY_TYPE_MAP,
    DRAY_TYPE_EXT,
};

struct dray_reader_level {
    struct dray_slice key; /* in a map: of the value being read */
    uint64_t left;         /* values announced and not begun; the keys of a map count */
    uint64_t begun;
    bool is_map;
};

/** All of it is the reader's own business; it lies on the handler's stack. */
struct dray_reader {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    enum dray_status status;
    uint32_t depth;
    bool is_root_begun;
    struct dray_reader_level levels[DRAY_READER_DEPTH];
    char name[96];
    char error[256];
};

/** Read one value; absent bytes read as nil. Errors name it "payload". */
void dray_reader_init(struct dray_reader *reader, struct dray_slice value);

/** Read a value that dray_read_value gave out of parent. Errors name it after its place there: the
 *  map that parent read last, and name. */
void dray_reader_init_inside(struct dray_reader *reader, const struct dray_reader *parent,
                             const char *name, struct dray_slice value);

/** OK, or the first failure: EINVALID, or ELIMIT for nesting deeper than DRAY_READER_DEPTH. */
enum dray_status dray_reader_status(const struct dray_reader *reader);

/** A sentence about the first failure; "" while there is none. Borrows from the reader. */
const char *dray_reader_error(const struct dray_reader *reader);

/** The type of the next value, without reading it. */
enum dray_type dray_reader_peek(const struct dray_reader *reader);

/** Fail at the value that was read last, with a text of the handler's: "expected a currency". The
 *  first failure stays. Returns the status. */
enum dray_status dray_reader_refuse(struct dray_reader *reader, const char *text);

/** Nothing may be left. */
DRAY_MUST_CHECK enum dray_status dray_reader_finish(struct dray_reader *reader);

/* One value each. Out parameters are untouched on failure. Errors of all: EINVALID, ELIMIT. */

DRAY_MUST_CHECK enum dray_status dray_read_nil(struct dray_reader *reader);
DRAY_MUST_CHECK enum dray_status dray_read_bool(struct dray_reader *reader, bool *ret_value);
/** Any integer that is not negative, however it is encoded. */
DRAY_MUST_CHECK enum dray_status dray_read_uint(struct dray_reader *reader, uint64_t *ret_value);
DRAY_MUST_CHECK enum dray_status dray_read_int(struct dray_reader *reader, int64_t *ret_value);
/** A float of either size; an integer of up to 53 bits too, since JSON does not tell 1 from 1.0. */
DRAY_MUST_CHECK enum dray_status dray_read_double(struct dray_reader *reader, double *ret_value);
/** A str that is UTF-8. */
DRAY_MUST_CHECK enum dray_status dray_read_text(struct dray_reader *reader,
                                                struct dray_slice *ret_text);
DRAY_MUST_CHECK enum dray_status dray_read_bin(struct dray_reader *reader,
                                               struct dray_slice *ret_bytes);
/** The count is at most the bytes that follow: safe to allocate by. */
DRAY_MUST_CHECK enum dray_status dray_read_array(struct dray_reader *reader, uint32_t *ret_count);
DRAY_MUST_CHECK enum dray_status dray_read_map(struct dray_reader *reader, uint32_t *ret_pairs);
/** A whole value of any type, as its bytes; checked to be well-formed. */
DRAY_MUST_CHECK enum dray_status dray_read_value(struct dray_reader *reader,
                                                 struct dray_slice *ret_value);
DRAY_MUST_CHECK enum dray_status dray_read_skip(struct dray_reader *reader);

/** What a field's member is, in C. */
enum dray_field_type {
    DRAY_FIELD_BOOL,   /* bool */
    DRAY_FIELD_UINT,   /* uint64_t */
    DRAY_FIELD_INT,    /* int64_t */
    DRAY_FIELD_DOUBLE, /* double */
    DRAY_FIELD_TEXT,   /* struct dray_slice */
    DRAY_FIELD_BIN,    /* struct dray_slice */
    DRAY_FIELD_VALUE,  /* struct dray_slice: any value, as its bytes */
};

struct dray_field {
    const char *name;
    size_t offset;
    enum dray_field_type type;
    bool is_required;
    int64_t min; /* of the value, or of the length in bytes; min == max == 0: no bound */
    int64_t max;
};

#define DRAY_C_TYPE_BOOL   bool
#define DRAY_C_TYPE_UINT   uint64_t
#define DRAY_C_TYPE_INT    int64_t
#define DRAY_C_TYPE_DOUBLE double
#define DRAY_C_TYPE_TEXT   struct dray_slice
#define DRAY_C_TYPE_BIN    struct dray_slice
#define DRAY_C_TYPE_VALUE  struct dray_slice

/* The offset; does not compile when the member is not of the C type. */
#define DRAY_FIELD_OFFSET(struct_, member, type_)                                                  \
    (offsetof(struct_, member) + _Generic(((struct_ *)NULL)->member, DRAY_C_TYPE_##type_           \
                                          : (size_t)0))

/** A field whose name is no word of C, as "do". */
#define DRAY_FIELD_AS(name_, is_required_, struct_, member, type_, min_, max_)                     \
    {                                                                                              \
        .name = (name_), .offset = DRAY_FIELD_OFFSET(struct_, member, type_),                      \
        .type = DRAY_FIELD_##type_, .is_required = (is_required_), .min = (min_), .max = (max_)    \
    }

#define DRAY_REQUIRED(struct_, member, type_, min_, max_)                                          \
    DRAY_FIELD_AS(#member, true, struct_, member, type_, min_, max_)
#define DRAY_OPTIONAL(struct_, member, type_, min_, max_)                                          \
    DRAY_FIELD_AS(#member, false, struct_, member, type_, min_, max_)

#define DRAY_FIELDS_MAX 64u

/** Read a map into a struct. A key that is not in the table is skipped; one that is there twice is
 *  refused; a required one that is missing is refused; nil for an optional one counts as absent.
 *  Members whose key is absent keep their value; on failure members may have been written.
 *  Requires: count <= DRAY_FIELDS_MAX (else EINVALID). Errors: EINVALID, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dray_read_fields(struct dray_reader *reader,
                                                  const struct dray_field *fields, size_t count,
                                                  void *into);

/** The text of a key in a map of text to text, as call->meta; absent when there is none. */
struct dray_slice dray_find_text(struct dray_slice map, const char *key);

/** Whether bytes are UTF-8: no surrogates, no overlong forms. */
bool dray_text_is_valid(struct dray_slice text);

DRAY_END

#endif
