/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "cancel.h"

#include <string.h>

#include "fields.h"
#include "packer.h"
#include "words.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIND         "cancel"

static const struct dri_field g_fields[] = {
    {.name = "id",
     .label = "items.id",
     .at = offsetof(struct dri_cancel_item, id),
     .flag_at = offsetof(struct dri_cancel_item, is_id_binary),
     .type = DRI_FIELD_ID,
     .is_required = true},
    {.name = "until",
     .label = "items.until",
     .at = offsetof(struct dri_cancel_item, until_ms),
     .type = DRI_FIELD_U64},
};

bool dri_change_is_cancel(const struct dri_change *change)
{
    return dray_slice_equal_text(change->kind, KIND);
}

static enum dray_status item_read(struct dri_scanner *scanner, struct dri_cancel_item *ret_item,
                                  struct dri_wire_error *ret_error)
{
    struct dri_cancel_item item;

    memset(&item, 0, sizeof(item));
    enum dray_status status = dri_fields_read(scanner, g_fields, COUNT(g_fields), &item, ret_error);
    if (status != DRAY_OK) {
        if (ret_error->field[0] == '\0') {
            ret_error->field = "items";
        }
        return status;
    }
    *ret_item = item;
    return DRAY_OK;
}

static enum dray_status item_check(struct dri_scanner *scanner, struct dri_wire_error *ret_error)
{
    struct dri_cancel_item item;
    return item_read(scanner, &item, ret_error);
}

enum dray_status dri_cancel_decode(struct dray_slice change, const struct dri_wire_limits *limits,
                                   struct dri_change *ret_change, struct dri_wire_error *ret_error)
{
    struct dri_change decoded;
    struct dri_scanner scanner;
    enum dray_status status = dri_change_decode(change, limits, &decoded, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    dri_scanner_init(&scanner, change, limits);
    if (!dri_change_is_cancel(&decoded)) {
        return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "kind", "is not cancel");
    }
    if (dray_slice_is_absent(decoded.items)) {
        return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "items", "is missing");
    }
    status = dri_change_check_items(change, limits, item_check, &decoded, ret_error);
    if (status == DRAY_OK) {
        *ret_change = decoded;
    }
    return status;
}

enum dray_status dri_cancel_encode(const struct dri_change *change,
                                   const struct dri_cancel_item *items, size_t items_count,
                                   void *buffer, size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;
    dri_packer_init(&packer, buffer, buffer_bytes);
    dri_change_add_head(&packer, change, dray_slice_text(KIND));
    (void)msgpack_pack_array(&packer.pack, items_count);
    for (size_t i = 0; i < items_count; i++) {
        (void)msgpack_pack_map(&packer.pack, items[i].until_ms != 0 ? 2 : 1);
        dri_packer_key(&packer, "id");
        if (items[i].is_id_binary) {
            dri_packer_bin(&packer, items[i].id);
        } else {
            dri_packer_str(&packer, items[i].id);
        }
        if (items[i].until_ms != 0) {
            dri_packer_add_uint(&packer, "until", items[i].until_ms);
        }
    }
    return dri_packer_end(&packer, ret_len);
}

bool dri_cancel_next(const struct dri_change *change, size_t *at, struct dri_cancel_item *ret_item)
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
