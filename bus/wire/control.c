/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* control.c - records of the control topic, and the changes in them.
 *
 * A signature is over exactly the bytes of a change, so changes and the routes in them are kept as
 * bytes: nothing here ever needs a canonical form, and keys that a later release adds survive. The
 * whole change is checked when it is decoded; dri_change_next then only walks.
 */

#include "control.h"

#include <string.h>

#include "fields.h"
#include "packer.h"
#include "words.h"

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define SIGNATURE_BYTES 64u
#define TEXT_BYTES_MAX  256u
#define NOTE_BYTES_MAX  4096u
/* Containers around a route inside a change: the change, its items, the item. */
#define ITEM_DEPTH 2u /* the change and its items around an item */

static const struct dri_wire_limits g_any = {
    .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};

static const struct dri_field g_record_fields[] = {
    {.name = "v", .type = DRI_FIELD_VERSION, .is_required = true},
    {.name = "change",
     .at = offsetof(struct dri_control_record, change),
     .type = DRI_FIELD_BIN,
     .is_required = true,
     .bytes_min = 1},
    {.name = "kid",
     .at = offsetof(struct dri_control_record, kid),
     .type = DRI_FIELD_TEXT,
     .bytes_min = 1,
     .bytes_max = TEXT_BYTES_MAX},
    {.name = "sig",
     .at = offsetof(struct dri_control_record, sig),
     .type = DRI_FIELD_BIN,
     .bytes_min = SIGNATURE_BYTES,
     .bytes_max = SIGNATURE_BYTES},
};

#define CHANGE_TEXT(name_, member, max_)                                                           \
    {                                                                                              \
        .name = (name_), .at = offsetof(struct dri_change, member), .type = DRI_FIELD_TEXT,        \
        .bytes_max = (max_)                                                                        \
    }

static const struct dri_field g_change_fields[] = {
    {.name = "kind",
     .at = offsetof(struct dri_change, kind),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = TEXT_BYTES_MAX},
    CHANGE_TEXT("cluster", cluster, TEXT_BYTES_MAX),
    CHANGE_TEXT("topic", topic, TEXT_BYTES_MAX),
    CHANGE_TEXT("author", author, TEXT_BYTES_MAX),
    CHANGE_TEXT("note", note, NOTE_BYTES_MAX),
    CHANGE_TEXT("issuer", issuer, TEXT_BYTES_MAX),
    {.name = "ts", .at = offsetof(struct dri_change, ts_ms), .type = DRI_FIELD_U64},
    {.name = "seq", .at = offsetof(struct dri_change, seq), .type = DRI_FIELD_U64},
    {.name = "expires", .at = offsetof(struct dri_change, expires_ms), .type = DRI_FIELD_U64},
    {.name = "items", .at = offsetof(struct dri_change, items), .type = DRI_FIELD_ARRAY},
};

static const struct dri_field g_item_fields[] = {
    {.name = "key",
     .label = "items.key",
     .at = offsetof(struct dri_change_item, key),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = DRI_ROUTE_KEY_BYTES_MAX},
    {.name = "base",
     .label = "items.base",
     .at = offsetof(struct dri_change_item, base),
     .type = DRI_FIELD_U64,
     .is_required = true},
    {.name = "route",
     .label = "items.route",
     .at = offsetof(struct dri_change_item, route),
     .type = DRI_FIELD_MAP_OR_NIL,
     .is_required = true},
};

enum dray_status dri_control_decode(struct dray_slice message, const struct dri_wire_limits *limits,
                                    struct dri_control_record *ret_record,
                                    struct dri_wire_error *ret_error)
{
    struct dri_control_record record;
    struct dri_scanner scanner;
    enum dray_status status;

    memset(&record, 0, sizeof(record));
    status = dri_fields_decode(message, limits, g_record_fields, COUNT(g_record_fields), &record,
                               ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    if (dray_slice_is_absent(record.kid) != dray_slice_is_absent(record.sig)) {
        dri_scanner_init(&scanner, message, limits);
        return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner,
                               dray_slice_is_absent(record.kid) ? "kid" : "sig",
                               "is missing; kid and sig come together");
    }
    *ret_record = record;
    return DRAY_OK;
}

enum dray_status dri_control_encode(const struct dri_control_record *record, void *buffer,
                                    size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;
    bool is_signed = !dray_slice_is_absent(record->sig);

    dri_packer_init(&packer, buffer, buffer_bytes);
    (void)msgpack_pack_map(&packer.pack, is_signed ? 4 : 2);
    dri_packer_add_uint(&packer, "v", 1);
    dri_packer_key(&packer, "change");
    dri_packer_bin(&packer, record->change);
    if (is_signed) {
        dri_packer_key(&packer, "kid");
        dri_packer_str(&packer, record->kid);
        dri_packer_key(&packer, "sig");
        dri_packer_bin(&packer, record->sig);
    }
    return dri_packer_end(&packer, ret_len);
}

/* One item at the scanner. */
static enum dray_status item_read(struct dri_scanner *scanner, struct dri_change_item *ret_item,
                                  struct dri_wire_error *ret_error)
{
    struct dri_change_item item;
    enum dray_status status;

    memset(&item, 0, sizeof(item));
    status = dri_fields_read(scanner, g_item_fields, COUNT(g_item_fields), &item, ret_error);
    if (status != DRAY_OK) {
        if (ret_error->field[0] == '\0') {
            ret_error->field = "items";
        }
        return status;
    }
    if (!dri_route_key_is_valid(item.key)) {
        scanner->at = item.key.at;
        return dri_fields_fail(ret_error, DRAY_EINVALID, scanner, "items.key",
                               "is not ns/name@version");
    }
    *ret_item = item;
    return DRAY_OK;
}

static enum dray_status item_check(struct dri_scanner *scanner, struct dri_wire_error *ret_error)
{
    struct dri_change_item item;
    return item_read(scanner, &item, ret_error);
}

enum dray_status dri_change_check_items(struct dray_slice change,
                                        const struct dri_wire_limits *limits,
                                        dri_change_item_fn *read, struct dri_change *decoded,
                                        struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    struct dri_token array;

    dri_scanner_init_inside(&scanner, change, decoded->items, 1, limits);
    enum dray_status status = dri_scanner_next(&scanner, &array);
    if (status != DRAY_OK) {
        return dri_fields_fail(ret_error, status, &scanner, "items", NULL);
    }
    scanner.depth = ITEM_DEPTH;
    for (uint32_t i = 0; i < array.count; i++) {
        status = read(&scanner, ret_error);
        if (status != DRAY_OK) {
            return status;
        }
    }
    decoded->items_count = array.count;
    return DRAY_OK;
}

enum dray_status dri_change_decode(struct dray_slice change, const struct dri_wire_limits *limits,
                                   struct dri_change *ret_change, struct dri_wire_error *ret_error)
{
    struct dri_change decoded;
    struct dri_scanner scanner;
    enum dray_status status;

    memset(&decoded, 0, sizeof(decoded));
    status = dri_fields_decode(change, limits, g_change_fields, COUNT(g_change_fields), &decoded,
                               ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    /* kinds of later releases are read, so that they can be skipped by name */
    if (dray_slice_equal_text(decoded.kind, "routes")) {
        if (dray_slice_is_absent(decoded.items)) {
            dri_scanner_init(&scanner, change, limits);
            return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "items", "is missing");
        }
        status = dri_change_check_items(change, limits, item_check, &decoded, ret_error);
        if (status != DRAY_OK) {
            return status;
        }
    }
    *ret_change = decoded;
    return DRAY_OK;
}

static void uint_add(struct dri_packer *packer, const char *key, uint64_t number)
{
    if (number != 0) {
        dri_packer_add_uint(packer, key, number);
    }
}

static void items_add(struct dri_packer *packer, const struct dri_change_item *items, size_t count)
{
    (void)msgpack_pack_array(&packer->pack, count);
    for (size_t i = 0; i < count; i++) {
        (void)msgpack_pack_map(&packer->pack, 3);
        dri_packer_key(packer, "key");
        dri_packer_str(packer, items[i].key);
        dri_packer_add_uint(packer, "base", items[i].base);
        if (dray_slice_is_absent(items[i].route)) {
            dri_packer_key(packer, "route");
            (void)msgpack_pack_nil(&packer->pack);
        } else {
            dri_packer_add_raw(packer, "route", items[i].route);
        }
    }
}

void dri_change_add_head(struct dri_packer *packer, const struct dri_change *change,
                         struct dray_slice kind)
{
    size_t pairs = 2u + !dray_slice_is_absent(change->cluster) +
                   !dray_slice_is_absent(change->topic) + !dray_slice_is_absent(change->author) +
                   !dray_slice_is_absent(change->note) + !dray_slice_is_absent(change->issuer) +
                   (change->ts_ms != 0) + (change->seq != 0) + (change->expires_ms != 0);

    (void)msgpack_pack_map(&packer->pack, pairs);
    dri_packer_key(packer, "kind");
    dri_packer_str(packer, kind);
    dri_packer_add_str(packer, "cluster", change->cluster);
    dri_packer_add_str(packer, "topic", change->topic);
    dri_packer_add_str(packer, "author", change->author);
    uint_add(packer, "ts", change->ts_ms);
    dri_packer_add_str(packer, "note", change->note);
    dri_packer_add_str(packer, "issuer", change->issuer);
    uint_add(packer, "seq", change->seq);
    uint_add(packer, "expires", change->expires_ms);
    dri_packer_key(packer, "items");
}

enum dray_status dri_change_encode(const struct dri_change *change,
                                   const struct dri_change_item *items, size_t items_count,
                                   void *buffer, size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;

    dri_packer_init(&packer, buffer, buffer_bytes);
    dri_change_add_head(&packer, change,
                        dray_slice_is_absent(change->kind) ? dray_slice_text("routes")
                                                           : change->kind);
    items_add(&packer, items, items_count);
    return dri_packer_end(&packer, ret_len);
}

bool dri_array_element(struct dray_slice array, size_t *at, struct dri_scanner *ret_scanner)
{
    struct dray_slice rest;

    if (*at == 0) {
        struct dri_token token;

        dri_scanner_init(ret_scanner, array, &g_any);
        if (dri_scanner_next(ret_scanner, &token) != DRAY_OK) {
            return false;
        }
        *at = dri_scanner_offset(ret_scanner);
    }
    if (*at >= array.len) {
        return false;
    }
    rest = dray_slice_of(array.at + *at, array.len - *at);
    dri_scanner_init_inside(ret_scanner, array, rest, 1, &g_any);
    return true;
}

bool dri_change_next(const struct dri_change *change, size_t *at, struct dri_change_item *ret_item)
{
    struct dri_scanner scanner;
    struct dri_wire_error error;

    if (dray_slice_is_absent(change->items) || !dri_array_element(change->items, at, &scanner) ||
        item_read(&scanner, ret_item, &error) != DRAY_OK) {
        return false;
    }
    *at = dri_scanner_offset(&scanner);
    return true;
}
