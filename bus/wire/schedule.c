/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* schedule.c - what is written about recurring schedules: changes, the map, the last tick.
 *
 * A schedule is a template of an envelope (2.1) and an expression. Its map is checked as far as
 * every replica comes to the same verdict, whatever its settings: the expression ticks, the words
 * are known, the numbers in their bounds. Whether a worker's limits take the command is seen by who
 * puts it.
 *
 * The id of a tick's command is a hash of what names the tick, so it needs no memory of what was
 * sent: who fires it again makes the same command, and who cancels it needs not have seen it.
 */
#include "schedule.h"

#include <stdio.h>
#include <string.h>

#include "cron.h"
#include "fields.h"
#include "packer.h"
#include "sha256.h"
#include "words.h"

#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))
#define KIND              "schedule"
#define CRON_BYTES_MAX    256u
#define COMMAND_BYTES_MAX 256u
#define TEXT_BYTES_MAX    256u
#define KEY_BYTES_MAX     4096u
#define ROOM_BYTES        256u /* keys, headers and numbers of a map */
#define WORKER_BYTES_MAX  256u

static const char *const g_missed[] = {"one", "skip", "all"};

/* What the map says in words of its own. */
struct raw {
    struct dri_schedule_view view;
    struct dray_slice missed;
};

static const struct dri_field g_item_fields[] = {
    {.name = "key",
     .label = "items.key",
     .at = offsetof(struct dri_schedule_item, key),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = DRI_SCHEDULE_KEY_BYTES_MAX},
    {.name = "base",
     .label = "items.base",
     .at = offsetof(struct dri_schedule_item, base),
     .type = DRI_FIELD_U64,
     .is_required = true},
    {.name = "schedule",
     .label = "items.schedule",
     .at = offsetof(struct dri_schedule_item, schedule),
     .type = DRI_FIELD_MAP_OR_NIL,
     .is_required = true},
};

#define VIEW_TEXT(text, member, max)                                                               \
    {                                                                                              \
        .name = (text), .at = offsetof(struct raw, view.member), .type = DRI_FIELD_TEXT,           \
        .bytes_max = (max)                                                                         \
    }

static const struct dri_field g_fields[] = {
    {.name = "cron",
     .at = offsetof(struct raw, view.cron),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = CRON_BYTES_MAX},
    {.name = "cmd",
     .at = offsetof(struct raw, view.command),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_min = 1,
     .bytes_max = COMMAND_BYTES_MAX},
    VIEW_TEXT("ns", namespace_, TEXT_BYTES_MAX),
    VIEW_TEXT("ver", version, TEXT_BYTES_MAX),
    VIEW_TEXT("key", key, KEY_BYTES_MAX),
    VIEW_TEXT("reply_to", reply_to, TEXT_BYTES_MAX),
    {.name = "payload", .at = offsetof(struct raw, view.payload), .type = DRI_FIELD_PAYLOAD},
    {.name = "tags", .at = offsetof(struct raw, view.tags), .type = DRI_FIELD_STRMAP},
    {.name = "meta", .at = offsetof(struct raw, view.meta), .type = DRI_FIELD_STRMAP},
    {.name = "deadline_ms", .at = offsetof(struct raw, view.deadline_ms), .type = DRI_FIELD_U64},
    {.name = "missed", .at = offsetof(struct raw, missed), .type = DRI_FIELD_TEXT},
    {.name = "catch_up", .at = offsetof(struct raw, view.catch_up), .type = DRI_FIELD_U32},
};

static const struct dri_field g_tick_fields[] = {
    {.name = "v", .type = DRI_FIELD_VERSION, .is_required = true},
    {.name = "key",
     .at = offsetof(struct dri_tick, key),
     .type = DRI_FIELD_TEXT,
     .is_required = true,
     .bytes_max = DRI_SCHEDULE_KEY_BYTES_MAX},
    {.name = "revision",
     .at = offsetof(struct dri_tick, revision),
     .type = DRI_FIELD_U64,
     .is_required = true},
    {.name = "tick",
     .at = offsetof(struct dri_tick, tick_ms),
     .type = DRI_FIELD_U64,
     .is_required = true},
    {.name = "ts", .at = offsetof(struct dri_tick, ts_ms), .type = DRI_FIELD_U64},
    {.name = "worker",
     .at = offsetof(struct dri_tick, worker),
     .type = DRI_FIELD_TEXT,
     .bytes_max = WORKER_BYTES_MAX},
};

/* ---- names ---- */

bool dri_schedule_name_is_valid(struct dray_slice name)
{
    if (name.len == 0 || name.len > DRI_SCHEDULE_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.at[i];
        bool is_letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
        bool is_digit = byte >= '0' && byte <= '9';
        if (!is_letter && !is_digit && byte != '_' && byte != '-') {
            return false;
        }
    }
    return true;
}

struct dray_slice dri_schedule_key_name(struct dray_slice key)
{
    const uint8_t *slash = key.len == 0 ? NULL : memchr(key.at, '/', key.len);
    if (slash == NULL) {
        return dray_slice_of("", 0);
    }
    return dray_slice_of(slash + 1, key.len - (size_t)(slash + 1 - key.at));
}

static struct dray_slice key_group(struct dray_slice key)
{
    const uint8_t *slash = key.len == 0 ? NULL : memchr(key.at, '/', key.len);
    return dray_slice_of(key.at, slash == NULL ? 0 : (size_t)(slash - key.at));
}

bool dri_schedule_key_is_valid(struct dray_slice key)
{
    return dri_schedule_name_is_valid(key_group(key)) &&
           dri_schedule_name_is_valid(dri_schedule_key_name(key));
}

bool dri_schedule_key_is_of(struct dray_slice key, const char *group)
{
    return dray_slice_equal_text(key_group(key), group);
}

const char *dri_missed_text(enum dri_missed missed)
{
    return g_missed[missed];
}

void dri_schedule_id(struct dray_slice key, uint64_t revision, uint64_t tick_ms, uint8_t ret_id[16])
{
    struct dri_sha256 sha;
    uint8_t digest[32];
    char numbers[64];
    int len = snprintf(numbers, sizeof(numbers), "@%llu#%llu", (unsigned long long)revision,
                       (unsigned long long)tick_ms);
    dri_sha256_init(&sha);
    dri_sha256_add(&sha, dray_slice_text("dray-schedule:"));
    dri_sha256_add(&sha, key);
    dri_sha256_add(&sha, dray_slice_of(numbers, (size_t)len));
    dri_sha256_end(&sha, digest);
    memcpy(ret_id, digest, 16);
    ret_id[6] = (uint8_t)((ret_id[6] & 0x0f) | 0x80);
    ret_id[8] = (uint8_t)((ret_id[8] & 0x3f) | 0x80);
}

/* ---- changes ---- */

bool dri_change_is_schedule(const struct dri_change *change)
{
    return dray_slice_equal_text(change->kind, KIND);
}

static enum dray_status item_read(struct dri_scanner *scanner, struct dri_schedule_item *ret_item,
                                  struct dri_wire_error *ret_error)
{
    struct dri_schedule_item item;

    memset(&item, 0, sizeof(item));
    enum dray_status status =
        dri_fields_read(scanner, g_item_fields, COUNT(g_item_fields), &item, ret_error);
    if (status != DRAY_OK) {
        ret_error->field = ret_error->field[0] == '\0' ? "items" : ret_error->field;
        return status;
    }
    if (!dri_schedule_key_is_valid(item.key)) {
        scanner->at = item.key.at;
        return dri_fields_fail(ret_error, DRAY_EINVALID, scanner, "items.key", "is not group/name");
    }
    *ret_item = item;
    return DRAY_OK;
}

static enum dray_status item_check(struct dri_scanner *scanner, struct dri_wire_error *ret_error)
{
    struct dri_schedule_item item;
    return item_read(scanner, &item, ret_error);
}

enum dray_status dri_schedule_change_decode(struct dray_slice change,
                                            const struct dri_wire_limits *limits,
                                            struct dri_change *ret_change,
                                            struct dri_wire_error *ret_error)
{
    struct dri_change decoded;
    enum dray_status status = dri_change_decode(change, limits, &decoded, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    bool is_ours = dri_change_is_schedule(&decoded);
    if (!is_ours || dray_slice_is_absent(decoded.items)) {
        *ret_error = (struct dri_wire_error){.field = is_ours ? "items" : "kind",
                                             .text = is_ours ? "is missing" : "is not schedule"};
        return DRAY_EINVALID;
    }
    status = dri_change_check_items(change, limits, item_check, &decoded, ret_error);
    if (status == DRAY_OK) {
        *ret_change = decoded;
    }
    return status;
}

enum dray_status dri_schedule_change_encode(const struct dri_change *change,
                                            const struct dri_schedule_item *items,
                                            size_t items_count, void *buffer, size_t buffer_bytes,
                                            size_t *ret_len)
{
    struct dri_packer packer;
    dri_packer_init(&packer, buffer, buffer_bytes);
    dri_change_add_head(&packer, change, dray_slice_text(KIND));
    (void)msgpack_pack_array(&packer.pack, items_count);
    for (const struct dri_schedule_item *item = items; item < items + items_count; item++) {
        (void)msgpack_pack_map(&packer.pack, COUNT(g_item_fields));
        dri_packer_key(&packer, "schedule");
        if (dray_slice_is_absent(item->schedule)) {
            (void)msgpack_pack_nil(&packer.pack);
        } else {
            dri_packer_raw(&packer, item->schedule);
        }
        dri_packer_add_str(&packer, "key", item->key);
        dri_packer_add_uint(&packer, "base", item->base);
    }
    return dri_packer_end(&packer, ret_len);
}

bool dri_schedule_next(const struct dri_change *change, size_t *at,
                       struct dri_schedule_item *ret_item)
{
    struct dri_scanner scanner;
    struct dri_wire_error error;
    bool has_one =
        !dray_slice_is_absent(change->items) && dri_array_element(change->items, at, &scanner);
    if (!has_one || item_read(&scanner, ret_item, &error) != DRAY_OK) {
        return false;
    }
    *at = dri_scanner_offset(&scanner);
    return true;
}

/* ---- the map ---- */

static enum dray_status fail_at(struct dray_slice map, struct dray_slice value, const char *field,
                                const char *text, struct dri_wire_error *ret_error)
{
    *ret_error = (struct dri_wire_error){
        .field = field,
        .text = text,
        .offset = value.at == NULL ? 0 : (uint32_t)(value.at - map.at),
    };
    return DRAY_EINVALID;
}

enum dray_status dri_schedule_decode(struct dray_slice schedule,
                                     const struct dri_wire_limits *limits,
                                     struct dri_schedule_view *ret_view,
                                     struct dri_wire_error *ret_error)
{
    struct raw raw;
    struct dri_cron cron;
    struct dri_cron_error cron_error;

    memset(&raw, 0, sizeof(raw));
    raw.view.catch_up = DRI_SCHEDULE_CATCH_UP;
    enum dray_status status =
        dri_fields_decode(schedule, limits, g_fields, COUNT(g_fields), &raw, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    if (dri_cron_parse((const char *)raw.view.cron.at, raw.view.cron.len, &cron, &cron_error) !=
        DRAY_OK) {
        return fail_at(schedule, raw.view.cron, "cron", "is no cron expression of ours", ret_error);
    }
    if (memchr(raw.view.command.at, '\0', raw.view.command.len) != NULL) {
        return fail_at(schedule, raw.view.command, "cmd", "has a NUL", ret_error);
    }
    if (raw.view.catch_up == 0 || raw.view.catch_up > DRI_SCHEDULE_CATCH_UP_MAX) {
        return fail_at(schedule, dray_slice_of(NULL, 0), "catch_up", "is not 1 to 1000", ret_error);
    }
    if (raw.view.deadline_ms > DRI_SCHEDULE_DEADLINE_MAX_MS) {
        return fail_at(schedule, dray_slice_of(NULL, 0), "deadline_ms", "is more than 3650 days",
                       ret_error);
    }
    if (!dray_slice_is_absent(raw.missed)) {
        size_t word = dri_word_find(raw.missed, g_missed, COUNT(g_missed));
        if (word == WORD_NONE) {
            return fail_at(schedule, raw.missed, "missed", "is none of skip, one, all", ret_error);
        }
        raw.view.missed = (enum dri_missed)word;
    }
    *ret_view = raw.view;
    return DRAY_OK;
}

size_t dri_schedule_encoded_max(const struct dri_schedule_view *view)
{
    return ROOM_BYTES + view->cron.len + view->command.len + view->namespace_.len +
           view->version.len + view->key.len + view->reply_to.len + view->payload.len +
           view->tags.len + view->meta.len;
}

enum dray_status dri_schedule_encode(const struct dri_schedule_view *view, void *buffer,
                                     size_t buffer_bytes, size_t *ret_len)
{
    const struct {
        const char *key;
        struct dray_slice text;
    } texts[] = {
        {"cron", view->cron},   {"cmd", view->command}, {"ns", view->namespace_},
        {"ver", view->version}, {"key", view->key},     {"reply_to", view->reply_to},
    };
    const struct {
        const char *key;
        struct dray_slice value;
    } raws[] = {{"payload", view->payload}, {"tags", view->tags}, {"meta", view->meta}};
    struct dri_packer packer;
    size_t pairs = 2u + (view->deadline_ms != 0);
    for (size_t i = 0; i < COUNT(texts); i++) {
        pairs += !dray_slice_is_absent(texts[i].text);
    }
    for (size_t i = 0; i < COUNT(raws); i++) {
        pairs += !dray_slice_is_absent(raws[i].value);
    }
    dri_packer_init(&packer, buffer, buffer_bytes);
    (void)msgpack_pack_map(&packer.pack, pairs);
    for (size_t i = 0; i < COUNT(texts); i++) {
        dri_packer_add_str(&packer, texts[i].key, texts[i].text);
    }
    for (size_t i = 0; i < COUNT(raws); i++) {
        dri_packer_add_raw(&packer, raws[i].key, raws[i].value);
    }
    if (view->deadline_ms != 0) {
        dri_packer_add_uint(&packer, "deadline_ms", view->deadline_ms);
    }
    dri_packer_add_str(&packer, "missed", dray_slice_text(g_missed[view->missed]));
    dri_packer_add_uint(&packer, "catch_up", view->catch_up);
    return dri_packer_end(&packer, ret_len);
}

/* ---- the last tick ---- */

enum dray_status dri_tick_decode(struct dray_slice message, const struct dri_wire_limits *limits,
                                 struct dri_tick *ret_tick, struct dri_wire_error *ret_error)
{
    struct dri_tick tick;

    memset(&tick, 0, sizeof(tick));
    enum dray_status status =
        dri_fields_decode(message, limits, g_tick_fields, COUNT(g_tick_fields), &tick, ret_error);
    if (status == DRAY_OK && !dri_schedule_key_is_valid(tick.key)) {
        status = fail_at(message, tick.key, "key", "is not group/name", ret_error);
    }
    if (status == DRAY_OK) {
        *ret_tick = tick;
    }
    return status;
}

enum dray_status dri_tick_encode(const struct dri_tick *tick, void *buffer, size_t buffer_bytes,
                                 size_t *ret_len)
{
    struct dri_packer packer;
    dri_packer_init(&packer, buffer, buffer_bytes);
    (void)msgpack_pack_map(&packer.pack,
                           4u + (tick->ts_ms != 0) + !dray_slice_is_absent(tick->worker));
    dri_packer_add_uint(&packer, "v", 1);
    dri_packer_add_str(&packer, "key", tick->key);
    dri_packer_add_uint(&packer, "revision", tick->revision);
    dri_packer_add_uint(&packer, "tick", tick->tick_ms);
    if (tick->ts_ms != 0) {
        dri_packer_add_uint(&packer, "ts", tick->ts_ms);
    }
    dri_packer_add_str(&packer, "worker", tick->worker);
    return dri_packer_end(&packer, ret_len);
}
