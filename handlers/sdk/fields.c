/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fields.c - maps into structs by a table of fields.
 *
 * The table says in one place what a command takes: name, type, bounds, whether it must be there.
 * What the schema says in JSON the handler says here in C, and the error is the same sentence for
 * every handler. Names are compared one by one: for the handful of fields that a command has, that
 * is faster than any hash.
 */

#include <stdio.h>
#include <string.h>

#include <dray/reader.h>

static bool has_bounds(const struct dray_field *field)
{
    return field->min != 0 || field->max != 0;
}

static enum dray_status refuse_number(struct dray_reader *reader, const struct dray_field *field,
                                      const char *found)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "expected an integer from %lld to %lld, found %s",
                   (long long)field->min, (long long)field->max, found);
    return dray_reader_refuse(reader, text);
}

static enum dray_status read_uint(struct dray_reader *reader, const struct dray_field *field,
                                  void *into)
{
    uint64_t value;
    enum dray_status status = dray_read_uint(reader, &value);

    if (status != DRAY_OK) {
        return status;
    }
    if (has_bounds(field) &&
        (value > (uint64_t)field->max || (field->min > 0 && value < (uint64_t)field->min))) {
        char found[32];

        (void)snprintf(found, sizeof(found), "%llu", (unsigned long long)value);
        return refuse_number(reader, field, found);
    }
    memcpy(into, &value, sizeof(value));
    return DRAY_OK;
}

static enum dray_status read_int(struct dray_reader *reader, const struct dray_field *field,
                                 void *into)
{
    int64_t value;
    enum dray_status status = dray_read_int(reader, &value);

    if (status != DRAY_OK) {
        return status;
    }
    if (has_bounds(field) && (value < field->min || value > field->max)) {
        char found[32];

        (void)snprintf(found, sizeof(found), "%lld", (long long)value);
        return refuse_number(reader, field, found);
    }
    memcpy(into, &value, sizeof(value));
    return DRAY_OK;
}

/* Text, bytes, or a value as its bytes; the bounds are of the length. */
static enum dray_status read_slice(struct dray_reader *reader, const struct dray_field *field,
                                   void *into)
{
    struct dray_slice slice;
    enum dray_status status;

    if (field->type == DRAY_FIELD_VALUE) {
        status = dray_read_value(reader, &slice);
    } else if (field->type == DRAY_FIELD_BIN) {
        status = dray_read_bin(reader, &slice);
    } else {
        status = dray_read_text(reader, &slice);
    }
    if (status != DRAY_OK) {
        return status;
    }
    if (has_bounds(field) && (slice.len > (uint64_t)field->max ||
                              (field->min > 0 && slice.len < (uint64_t)field->min))) {
        char text[128];

        (void)snprintf(text, sizeof(text), "expected %s of %lld to %lld bytes, found %zu",
                       field->type == DRAY_FIELD_TEXT  ? "text"
                       : field->type == DRAY_FIELD_BIN ? "bytes, a string"
                                                       : "a value",
                       (long long)field->min, (long long)field->max, slice.len);
        return dray_reader_refuse(reader, text);
    }
    memcpy(into, &slice, sizeof(slice));
    return DRAY_OK;
}

static enum dray_status read_field(struct dray_reader *reader, const struct dray_field *field,
                                   void *into)
{
    switch (field->type) {
    case DRAY_FIELD_BOOL:
        return dray_read_bool(reader, into);
    case DRAY_FIELD_UINT:
        return read_uint(reader, field, into);
    case DRAY_FIELD_INT:
        return read_int(reader, field, into);
    case DRAY_FIELD_DOUBLE:
        return dray_read_double(reader, into);
    case DRAY_FIELD_TEXT:
    case DRAY_FIELD_BIN:
    case DRAY_FIELD_VALUE:
    default:
        return read_slice(reader, field, into);
    }
}

/* The number of the field with this name, or count. */
static size_t find_field(const struct dray_field *fields, size_t count, struct dray_slice name)
{
    size_t i = 0;

    while (i < count && !dray_slice_equal_text(name, fields[i].name)) {
        i++;
    }
    return i;
}

/* One pair. Bits of seen: fields whose key was there; of set: those with a value. */
static enum dray_status read_pair(struct dray_reader *reader, const struct dray_field *fields,
                                  size_t count, void *into, uint64_t *seen, uint64_t *set)
{
    const struct dray_field *field;
    struct dray_slice key;
    size_t number;
    enum dray_status status;

    if (dray_reader_peek(reader) != DRAY_TYPE_TEXT) { /* a key of another type is not ours */
        status = dray_read_skip(reader);
        return status == DRAY_OK ? dray_read_skip(reader) : status;
    }
    status = dray_read_text(reader, &key);
    if (status != DRAY_OK) {
        return status;
    }
    number = find_field(fields, count, key);
    if (number == count) {
        return dray_read_skip(reader);
    }
    field = &fields[number];
    if (*seen & UINT64_C(1) << number) {
        status = dray_read_skip(reader);
        return status == DRAY_OK ? dray_reader_refuse(reader, "the key is there twice") : status;
    }
    *seen |= UINT64_C(1) << number;
    if (!field->is_required && dray_reader_peek(reader) == DRAY_TYPE_NIL) {
        return dray_read_nil(reader);
    }
    *set |= UINT64_C(1) << number;
    return read_field(reader, field, (uint8_t *)into + field->offset);
}

enum dray_status dray_read_fields(struct dray_reader *reader, const struct dray_field *fields,
                                  size_t count, void *into)
{
    uint64_t seen = 0;
    uint64_t set = 0;
    uint32_t pairs;
    enum dray_status status;

    if (count > DRAY_FIELDS_MAX) {
        return dray_reader_refuse(reader, "the handler's table has too many fields");
    }
    status = dray_read_map(reader, &pairs);
    for (uint32_t i = 0; status == DRAY_OK && i < pairs; i++) {
        status = read_pair(reader, fields, count, into, &seen, &set);
    }
    for (size_t i = 0; status == DRAY_OK && i < count; i++) {
        if (fields[i].is_required && !(set & UINT64_C(1) << i)) {
            char text[128];

            /* The place is the map, not the value that happened to be read last. */
            reader->levels[reader->depth - 1].key = dray_slice_of(NULL, 0);
            (void)snprintf(text, sizeof(text), "expected the key \"%s\", which is missing",
                           fields[i].name);
            status = dray_reader_refuse(reader, text);
        }
    }
    return status;
}

struct dray_slice dray_find_text(struct dray_slice map, const char *key)
{
    static const struct dray_slice absent = {NULL, 0};
    struct dray_reader reader;
    uint32_t pairs;

    dray_reader_init(&reader, map);
    if (dray_read_map(&reader, &pairs) != DRAY_OK) {
        return absent;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        struct dray_slice name;
        struct dray_slice value;

        if (dray_read_text(&reader, &name) != DRAY_OK) {
            return absent;
        }
        if (dray_slice_equal_text(name, key)) {
            return dray_read_text(&reader, &value) == DRAY_OK ? value : absent;
        }
        if (dray_read_skip(&reader) != DRAY_OK) {
            return absent;
        }
    }
    return absent;
}
