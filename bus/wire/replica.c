/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* replica.c - the status record: what a replica says of itself once a second.
 *
 * A reader takes any word as state: a later release may have more of them, and a listing that fails
 * while replicas are being upgraded fails when it is needed. Likewise a list that is absent is not
 * one that is empty: an older release did not write it.
 */

#include <string.h>

#include "control.h"
#include "fields.h"
#include "packer.h"
#include "words.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_BYTES_MAX 256u
/* Containers around an item: the record, the array. */
#define ITEM_DEPTH 2u

#define FIELD(name_, member, type_, max_)                                                          \
    {                                                                                              \
        .name = (name_), .at = offsetof(struct dri_status_record, member), .type = (type_),        \
        .bytes_max = (max_)                                                                        \
    }

static const struct dri_field g_fields[] = {
    {.name = "v", .type = DRI_FIELD_VERSION, .is_required = true},
    {.name = "worker",
     .at = offsetof(struct dri_status_record, worker),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = TEXT_BYTES_MAX},
    {.name = "state",
     .at = offsetof(struct dri_status_record, state),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = TEXT_BYTES_MAX},
    FIELD("group", group, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("host", host, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("version", version, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("digest", digest, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("signers", signers, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("admin", admin, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("pid", pid, DRI_FIELD_U64, 0),
    FIELD("revision", revision, DRI_FIELD_U64, 0),
    FIELD("ts", ts_ms, DRI_FIELD_U64, 0),
    FIELD("conflicts", conflicts, DRI_FIELD_U64, 0),
    FIELD("refused", refused, DRI_FIELD_U64, 0),
    FIELD("failed", failed, DRI_FIELD_ARRAY, 0),
    FIELD("modules", modules, DRI_FIELD_ARRAY, 0),
    FIELD("refusals", refusals, DRI_FIELD_ARRAY, 0),
    FIELD("idle", idle, DRI_FIELD_ARRAY, 0),
    FIELD("idle_all", idle_all, DRI_FIELD_U64, 0),
    FIELD("failed_all", failed_all, DRI_FIELD_U64, 0),
    FIELD("heat", heat, DRI_FIELD_ARRAY, 0),
    FIELD("heat_all", heat_all, DRI_FIELD_U64, 0),
    FIELD("heat_window_ms", heat_window_ms, DRI_FIELD_U64, 0),
    FIELD("hot_all", hot_all, DRI_FIELD_U64, 0),
};

static const struct dri_field g_failure_fields[] = {
    {.name = "key",
     .label = "failed.key",
     .at = offsetof(struct dri_status_failure, key),
     .type = DRI_FIELD_TEXT,
     .is_required = true},
    {.name = "revision",
     .label = "failed.revision",
     .at = offsetof(struct dri_status_failure, revision),
     .type = DRI_FIELD_U64},
    {.name = "reason",
     .label = "failed.reason",
     .at = offsetof(struct dri_status_failure, reason),
     .type = DRI_FIELD_TEXT},
};

static const struct dri_field g_module_fields[] = {
    {.name = "name",
     .label = "modules.name",
     .at = offsetof(struct dri_status_module, name),
     .type = DRI_FIELD_TEXT,
     .is_required = true},
    {.name = "sha256",
     .label = "modules.sha256",
     .at = offsetof(struct dri_status_module, sha256),
     .type = DRI_FIELD_TEXT},
    {.name = "routes",
     .label = "modules.routes",
     .at = offsetof(struct dri_status_module, routes),
     .type = DRI_FIELD_U64},
};

#define REFUSAL(name_, member, type_)                                                              \
    {                                                                                              \
        .name = (name_), .label = "refusals." name_,                                               \
        .at = offsetof(struct dri_status_refusal, member), .type = (type_)                         \
    }

static const struct dri_field g_refusal_fields[] = {
    {.name = "revision",
     .label = "refusals.revision",
     .at = offsetof(struct dri_status_refusal, revision),
     .type = DRI_FIELD_U64,
     .is_required = true},
    REFUSAL("verdict", verdict, DRI_FIELD_TEXT),
    REFUSAL("author", author, DRI_FIELD_TEXT),
    REFUSAL("key", key, DRI_FIELD_TEXT),
    REFUSAL("base", base, DRI_FIELD_U64),
    REFUSAL("present", present, DRI_FIELD_U64),
    REFUSAL("reason", reason, DRI_FIELD_TEXT),
};

static const struct dri_field g_idle_fields[] = {
    {.name = "key",
     .label = "idle.key",
     .at = offsetof(struct dri_status_idle, key),
     .type = DRI_FIELD_TEXT,
     .is_required = true},
    {.name = "revision",
     .label = "idle.revision",
     .at = offsetof(struct dri_status_idle, revision),
     .type = DRI_FIELD_U64},
};

#define HEAT(name_, member, type_)                                                                 \
    {                                                                                              \
        .name = (name_), .label = "heat." name_, .at = offsetof(struct dri_status_heat, member),   \
        .type = (type_)                                                                            \
    }

static const struct dri_field g_heat_fields[] = {
    {.name = "key",
     .label = "heat.key",
     .at = offsetof(struct dri_status_heat, key),
     .type = DRI_FIELD_TEXT,
     .is_required = true},
    HEAT("revision", revision, DRI_FIELD_U64),
    HEAT("calls", calls, DRI_FIELD_U64),
    HEAT("hot", is_hot, DRI_FIELD_BOOL),
    HEAT("parts", parts, DRI_FIELD_ARRAY),
};

/* The arrays of a record: what their items are, and where they go. */
static const struct list {
    const char *name;
    const struct dri_field *fields;
    size_t fields_count;
    size_t at, count_at; /* in the record */
} g_lists[] = {
    {"failed", g_failure_fields, COUNT(g_failure_fields),
     offsetof(struct dri_status_record, failed), offsetof(struct dri_status_record, failed_count)},
    {"modules", g_module_fields, COUNT(g_module_fields),
     offsetof(struct dri_status_record, modules),
     offsetof(struct dri_status_record, modules_count)},
    {"refusals", g_refusal_fields, COUNT(g_refusal_fields),
     offsetof(struct dri_status_record, refusals),
     offsetof(struct dri_status_record, refusals_count)},
    {"idle", g_idle_fields, COUNT(g_idle_fields), offsetof(struct dri_status_record, idle),
     offsetof(struct dri_status_record, idle_count)},
    {"heat", g_heat_fields, COUNT(g_heat_fields), offsetof(struct dri_status_record, heat),
     offsetof(struct dri_status_record, heat_count)},
};

enum {
    LIST_FAILED,
    LIST_MODULES,
    LIST_REFUSALS,
    LIST_IDLE,
    LIST_HEAT
};

union item {
    struct dri_status_failure failure;
    struct dri_status_module module;
    struct dri_status_refusal refusal;
    struct dri_status_idle idle;
    struct dri_status_heat heat;
};

/* ---- encode ---- */

static void failures_add(struct dri_packer *packer, const struct dri_status_lists *lists)
{
    dri_packer_key(packer, "failed");
    (void)msgpack_pack_array(&packer->pack, lists->failed_count);
    for (size_t i = 0; i < lists->failed_count; i++) {
        (void)msgpack_pack_map(&packer->pack, 3);
        dri_packer_key(packer, "key");
        dri_packer_str(packer, lists->failed[i].key);
        dri_packer_add_uint(packer, "revision", lists->failed[i].revision);
        dri_packer_key(packer, "reason");
        dri_packer_str(packer, lists->failed[i].reason);
    }
}

static void modules_add(struct dri_packer *packer, const struct dri_status_lists *lists)
{
    dri_packer_key(packer, "modules");
    (void)msgpack_pack_array(&packer->pack, lists->modules_count);
    for (size_t i = 0; i < lists->modules_count; i++) {
        const struct dri_status_module *module = &lists->modules[i];
        (void)msgpack_pack_map(&packer->pack, 2u + !dray_slice_is_absent(module->sha256));
        dri_packer_key(packer, "name");
        dri_packer_str(packer, module->name);
        dri_packer_add_str(packer, "sha256", module->sha256);
        dri_packer_add_uint(packer, "routes", module->routes);
    }
}

static void refusals_add(struct dri_packer *packer, const struct dri_status_lists *lists)
{
    dri_packer_key(packer, "refusals");
    (void)msgpack_pack_array(&packer->pack, lists->refusals_count);
    for (size_t i = 0; i < lists->refusals_count; i++) {
        const struct dri_status_refusal *refusal = &lists->refusals[i];
        bool has_key = !dray_slice_is_absent(refusal->key);
        (void)msgpack_pack_map(&packer->pack, 1u + !dray_slice_is_absent(refusal->verdict) +
                                                  !dray_slice_is_absent(refusal->author) +
                                                  (has_key ? 3u : 0u) +
                                                  !dray_slice_is_absent(refusal->reason));
        dri_packer_add_uint(packer, "revision", refusal->revision);
        dri_packer_add_str(packer, "verdict", refusal->verdict);
        dri_packer_add_str(packer, "author", refusal->author);
        if (has_key) {
            dri_packer_add_str(packer, "key", refusal->key);
            dri_packer_add_uint(packer, "base", refusal->base);
            dri_packer_add_uint(packer, "present", refusal->present);
        }
        dri_packer_add_str(packer, "reason", refusal->reason);
    }
}

static void idle_add(struct dri_packer *packer, const struct dri_status_record *record,
                     const struct dri_status_lists *lists)
{
    dri_packer_key(packer, "idle");
    (void)msgpack_pack_array(&packer->pack, lists->idle_count);
    for (size_t i = 0; i < lists->idle_count; i++) {
        (void)msgpack_pack_map(&packer->pack, 2);
        dri_packer_key(packer, "key");
        dri_packer_str(packer, lists->idle[i].key);
        dri_packer_add_uint(packer, "revision", lists->idle[i].revision);
    }
    dri_packer_add_uint(packer, "idle_all", record->idle_all);
}

static void heat_add(struct dri_packer *packer, const struct dri_status_record *record,
                     const struct dri_status_lists *lists)
{
    dri_packer_key(packer, "heat");
    (void)msgpack_pack_array(&packer->pack, lists->heat_count);
    for (size_t i = 0; i < lists->heat_count; i++) {
        const struct dri_status_heat *heat = &lists->heat[i];
        bool has_parts = !dray_slice_is_absent(heat->parts);
        (void)msgpack_pack_map(&packer->pack, 4u + has_parts);
        dri_packer_key(packer, "key");
        dri_packer_str(packer, heat->key);
        dri_packer_add_uint(packer, "revision", heat->revision);
        dri_packer_add_uint(packer, "calls", heat->calls);
        dri_packer_key(packer, "hot");
        if (heat->is_hot) {
            (void)msgpack_pack_true(&packer->pack);
        } else {
            (void)msgpack_pack_false(&packer->pack);
        }
        if (has_parts) {
            dri_packer_key(packer, "parts");
            dri_packer_raw(packer, heat->parts);
        }
    }
    dri_packer_add_uint(packer, "heat_all", record->heat_all);
    dri_packer_add_uint(packer, "heat_window_ms", record->heat_window_ms);
    dri_packer_add_uint(packer, "hot_all", record->hot_all);
}

static size_t pairs_of(const struct dri_status_record *record, const struct dri_status_lists *lists)
{
    return 7u + !dray_slice_is_absent(record->group) + !dray_slice_is_absent(record->host) +
           !dray_slice_is_absent(record->version) + !dray_slice_is_absent(record->digest) +
           !dray_slice_is_absent(record->signers) + !dray_slice_is_absent(record->admin) +
           (record->conflicts != 0) + (record->refused != 0) + (lists->modules_count != 0) +
           (lists->refusals_count != 0) + (lists->idle != NULL ? 2u : 0u) +
           (record->failed_all != 0) + (lists->heat != NULL ? 4u : 0u);
}

enum dray_status dri_status_encode(const struct dri_status_record *record,
                                   const struct dri_status_lists *lists, void *buffer,
                                   size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;

    dri_packer_init(&packer, buffer, buffer_bytes);
    (void)msgpack_pack_map(&packer.pack, pairs_of(record, lists));
    dri_packer_add_uint(&packer, "v", 1);
    dri_packer_key(&packer, "worker");
    dri_packer_str(&packer, record->worker);
    dri_packer_add_str(&packer, "group", record->group);
    dri_packer_add_str(&packer, "host", record->host);
    dri_packer_add_uint(&packer, "pid", record->pid);
    dri_packer_add_str(&packer, "version", record->version);
    dri_packer_key(&packer, "state");
    dri_packer_str(&packer, record->state);
    dri_packer_add_uint(&packer, "revision", record->revision);
    dri_packer_add_str(&packer, "digest", record->digest);
    dri_packer_add_str(&packer, "signers", record->signers);
    dri_packer_add_uint(&packer, "ts", record->ts_ms);
    dri_packer_add_str(&packer, "admin", record->admin);
    if (record->conflicts != 0) {
        dri_packer_add_uint(&packer, "conflicts", record->conflicts);
    }
    if (record->refused != 0) {
        dri_packer_add_uint(&packer, "refused", record->refused);
    }
    failures_add(&packer, lists);
    if (record->failed_all != 0) {
        dri_packer_add_uint(&packer, "failed_all", record->failed_all);
    }
    if (lists->modules_count != 0) {
        modules_add(&packer, lists);
    }
    if (lists->refusals_count != 0) {
        refusals_add(&packer, lists);
    }
    if (lists->idle != NULL) {
        idle_add(&packer, record, lists);
    }
    if (lists->heat != NULL) {
        heat_add(&packer, record, lists);
    }
    return dri_packer_end(&packer, ret_len);
}

/* ---- decode ---- */

static enum dray_status item_read(const struct list *list, struct dri_scanner *scanner,
                                  void *ret_item, struct dri_wire_error *ret_error)
{
    return dri_fields_read(scanner, list->fields, list->fields_count, ret_item, ret_error);
}

static struct dray_slice array_of(const struct list *list, const struct dri_status_record *record)
{
    struct dray_slice array;

    memcpy(&array, (const char *)record + list->at, sizeof(array));
    return array;
}

static enum dray_status list_check(const struct list *list, struct dray_slice message,
                                   const struct dri_wire_limits *limits,
                                   struct dri_status_record *record,
                                   struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    struct dri_token array;
    enum dray_status status;

    dri_scanner_init_inside(&scanner, message, array_of(list, record), 1, limits);
    status = dri_scanner_next(&scanner, &array);
    if (status != DRAY_OK) {
        return dri_fields_fail(ret_error, status, &scanner, list->name, NULL);
    }
    scanner.depth = ITEM_DEPTH;
    for (uint32_t i = 0; i < array.count; i++) {
        union item item;

        memset(&item, 0, sizeof(item));
        status = item_read(list, &scanner, &item, ret_error);
        if (status != DRAY_OK) {
            if (ret_error->field[0] == '\0') {
                ret_error->field = list->name;
            }
            return status;
        }
    }
    memcpy((char *)record + list->count_at, &array.count, sizeof(array.count));
    return DRAY_OK;
}

enum dray_status dri_status_decode(struct dray_slice message, const struct dri_wire_limits *limits,
                                   struct dri_status_record *ret_record,
                                   struct dri_wire_error *ret_error)
{
    struct dri_status_record record;
    enum dray_status status;

    memset(&record, 0, sizeof(record));
    status = dri_fields_decode(message, limits, g_fields, COUNT(g_fields), &record, ret_error);
    for (size_t i = 0; status == DRAY_OK && i < COUNT(g_lists); i++) {
        if (!dray_slice_is_absent(array_of(&g_lists[i], &record))) {
            status = list_check(&g_lists[i], message, limits, &record, ret_error);
        }
    }
    if (status == DRAY_OK) {
        *ret_record = record;
    }
    return status;
}

/* The next item of a list into ret_item, which is zeroed. */
static bool list_next(const struct list *list, const struct dri_status_record *record, size_t *at,
                      void *ret_item)
{
    struct dri_scanner scanner;
    struct dri_wire_error error;
    struct dray_slice array = array_of(list, record);

    if (dray_slice_is_absent(array) || !dri_array_element(array, at, &scanner) ||
        item_read(list, &scanner, ret_item, &error) != DRAY_OK) {
        return false;
    }
    *at = dri_scanner_offset(&scanner);
    return true;
}

bool dri_status_next_failure(const struct dri_status_record *record, size_t *at,
                             struct dri_status_failure *ret_failure)
{
    memset(ret_failure, 0, sizeof(*ret_failure));
    return list_next(&g_lists[LIST_FAILED], record, at, ret_failure);
}

bool dri_status_next_module(const struct dri_status_record *record, size_t *at,
                            struct dri_status_module *ret_module)
{
    memset(ret_module, 0, sizeof(*ret_module));
    return list_next(&g_lists[LIST_MODULES], record, at, ret_module);
}

bool dri_status_next_idle(const struct dri_status_record *record, size_t *at,
                          struct dri_status_idle *ret_idle)
{
    memset(ret_idle, 0, sizeof(*ret_idle));
    return list_next(&g_lists[LIST_IDLE], record, at, ret_idle);
}

bool dri_status_next_heat(const struct dri_status_record *record, size_t *at,
                          struct dri_status_heat *ret_heat)
{
    memset(ret_heat, 0, sizeof(*ret_heat));
    return list_next(&g_lists[LIST_HEAT], record, at, ret_heat);
}

uint64_t dri_status_heat_part(const struct dri_status_heat *heat, uint32_t i)
{
    struct dri_scanner scanner;
    struct dri_token token = {.value.u = 0};
    size_t at = 0;

    for (uint32_t n = 0; heat->parts.at != NULL && n <= i; n++) {
        if (!dri_array_element(heat->parts, &at, &scanner) ||
            dri_scanner_next(&scanner, &token) != DRAY_OK || token.type != DRI_TOKEN_UINT) {
            return 0;
        }
        at = dri_scanner_offset(&scanner);
    }
    return token.value.u;
}

bool dri_status_next_refusal(const struct dri_status_record *record, size_t *at,
                             struct dri_status_refusal *ret_refusal)
{
    memset(ret_refusal, 0, sizeof(*ret_refusal));
    return list_next(&g_lists[LIST_REFUSALS], record, at, ret_refusal);
}
