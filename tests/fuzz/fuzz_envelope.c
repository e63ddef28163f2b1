/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_envelope - the envelope's cursor against the specification written over msgpack-c's objects.
 *
 * Both must accept the same messages and read the same from them. Our extra refusals are part of
 * the oracle: duplicate keys, trailing bytes, depth, elements outside the payload, UTF-8.
 */

#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "wire/envelope.h"
#include "wire/scanner.h"

static const struct dri_wire_limits g_limits = DRI_WIRE_LIMITS_INIT;

static bool is_key(const msgpack_object *object, const char *text)
{
    return object->type == MSGPACK_OBJECT_STR && object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, strlen(text)) == 0;
}

static const msgpack_object *find(const msgpack_object *map, const char *key)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        if (is_key(&map->via.map.ptr[i].key, key)) {
            return &map->via.map.ptr[i].val;
        }
    }
    return NULL;
}

static bool is_text(const msgpack_object *object)
{
    return object->type == MSGPACK_OBJECT_STR &&
           dri_utf8_is_valid(dray_slice_of(object->via.str.ptr, object->via.str.size));
}

static bool has_distinct_string_keys(const msgpack_object *map)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object *key = &map->via.map.ptr[i].key;

        if (key->type != MSGPACK_OBJECT_STR) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            const msgpack_object *other = &map->via.map.ptr[j].key;

            if (other->via.str.size == key->via.str.size &&
                (key->via.str.size == 0 ||
                 memcmp(other->via.str.ptr, key->via.str.ptr, key->via.str.size) == 0)) {
                return false;
            }
        }
    }
    return true;
}

static bool is_strmap(const msgpack_object *object)
{
    if (object->type != MSGPACK_OBJECT_MAP || !has_distinct_string_keys(object)) {
        return false;
    }
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        if (!is_text(&object->via.map.ptr[i].key) || !is_text(&object->via.map.ptr[i].val)) {
            return false;
        }
    }
    return true;
}

/* Elements in all containers below and with `object`; *ret_depth: levels. */
static uint64_t elements_count(const msgpack_object *object, unsigned depth, unsigned *ret_depth)
{
    uint64_t count = 0;

    if (object->type == MSGPACK_OBJECT_ARRAY) {
        *ret_depth = depth > *ret_depth ? depth : *ret_depth;
        count = object->via.array.size;
        for (uint32_t i = 0; i < object->via.array.size; i++) {
            count += elements_count(&object->via.array.ptr[i], depth + 1, ret_depth);
        }
    } else if (object->type == MSGPACK_OBJECT_MAP) {
        *ret_depth = depth > *ret_depth ? depth : *ret_depth;
        count = 2 * (uint64_t)object->via.map.size;
        for (uint32_t i = 0; i < object->via.map.size; i++) {
            count += elements_count(&object->via.map.ptr[i].key, depth + 1, ret_depth);
            count += elements_count(&object->via.map.ptr[i].val, depth + 1, ret_depth);
        }
    }
    return count;
}

static bool is_id(const msgpack_object *id)
{
    return (is_text(id) && id->via.str.size >= 1 && id->via.str.size <= 64) ||
           (id->type == MSGPACK_OBJECT_BIN && id->via.bin.size == 16);
}

static bool is_command(const msgpack_object *command)
{
    return is_text(command) && command->via.str.size >= 1 && command->via.str.size <= 256 &&
           memchr(command->via.str.ptr, 0, command->via.str.size) == NULL;
}

static bool is_limited(const msgpack_object *map)
{
    const msgpack_object *payload = find(map, "payload");
    unsigned depth = 0;
    unsigned ignored = 0;
    uint64_t count = elements_count(map, 1, &depth);

    if (payload != NULL) {
        count -= elements_count(payload, 2, &ignored);
    }
    return depth <= g_limits.depth && count <= g_limits.elements;
}

/* Design, section 2.1. */
static bool oracle_accepts(const msgpack_object *map)
{
    static const char *const texts[] = {"ns", "ver", "reply_to", "trace", "tracestate"};
    static const char *const numbers[] = {"v", "fid", "ts", "deadline", "not_before"};
    static const char *const maps[] = {"tags", "meta"};
    const msgpack_object *field;

    if (map->type != MSGPACK_OBJECT_MAP || !has_distinct_string_keys(map) || !is_limited(map)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        field = find(map, texts[i]);
        if (field != NULL && !is_text(field)) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        field = find(map, numbers[i]);
        if (field != NULL && field->type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        field = find(map, maps[i]);
        if (field != NULL && !is_strmap(field)) {
            return false;
        }
    }
    field = find(map, "key");
    if (field != NULL && !is_text(field) && field->type != MSGPACK_OBJECT_BIN) {
        return false;
    }
    field = find(map, "cmd");
    if (field == NULL ? find(map, "fid") == NULL : !is_command(field)) {
        return false;
    }
    field = find(map, "id");
    if (field == NULL || !is_id(field)) {
        return false;
    }
    field = find(map, "v");
    return field != NULL && field->via.u64 == 1;
}

static void text_compare(const msgpack_object *map, const char *key, struct dray_slice ours)
{
    const msgpack_object *theirs = find(map, key);

    FUZZ_CHECK(dray_slice_is_absent(ours) == (theirs == NULL));
    if (theirs != NULL) {
        /* str and bin have the same shape in msgpack_object; an empty one points nowhere */
        FUZZ_CHECK(ours.len == theirs->via.str.size &&
                   (ours.len == 0 || (const char *)ours.at == theirs->via.str.ptr));
    }
}

static void number_compare(const msgpack_object *map, const char *key, uint64_t ours)
{
    const msgpack_object *theirs = find(map, key);

    FUZZ_CHECK(ours == (theirs == NULL ? 0 : theirs->via.u64));
}

static void strmap_compare(const msgpack_object *map, const char *key, struct dray_slice ours)
{
    const msgpack_object *theirs = find(map, key);

    FUZZ_CHECK(dray_slice_is_absent(ours) == (theirs == NULL));
    for (uint32_t i = 0; theirs != NULL && i < theirs->via.map.size; i++) {
        const msgpack_object_str *name = &theirs->via.map.ptr[i].key.via.str;
        const msgpack_object_str *value = &theirs->via.map.ptr[i].val.via.str;
        char text[64];
        struct dray_slice found;

        if (name->size == 0 || name->size >= sizeof(text) ||
            memchr(name->ptr, 0, name->size) != NULL) {
            continue;
        }
        memcpy(text, name->ptr, name->size);
        text[name->size] = '\0';
        found = dri_strmap_find(ours, text);
        FUZZ_CHECK(found.len == value->size &&
                   (found.len == 0 || (const char *)found.at == value->ptr));
    }
    FUZZ_CHECK(dray_slice_is_absent(dri_strmap_find(ours, "a key that no input has")));
}

static void envelope_compare(const msgpack_object *map, const struct dri_envelope *envelope)
{
    text_compare(map, "id", envelope->id);
    text_compare(map, "cmd", envelope->command);
    text_compare(map, "ns", envelope->namespace_);
    text_compare(map, "ver", envelope->version);
    text_compare(map, "key", envelope->key);
    text_compare(map, "reply_to", envelope->reply_to);
    text_compare(map, "trace", envelope->trace);
    text_compare(map, "tracestate", envelope->tracestate);
    number_compare(map, "fid", envelope->fid);
    number_compare(map, "ts", envelope->created_ms);
    number_compare(map, "deadline", envelope->deadline_ms);
    number_compare(map, "not_before", envelope->not_before_ms);
    strmap_compare(map, "tags", envelope->tags);
    strmap_compare(map, "meta", envelope->meta);
    FUZZ_CHECK(envelope->has_fid == (find(map, "fid") != NULL));
    FUZZ_CHECK(envelope->is_id_binary == (find(map, "id")->type == MSGPACK_OBJECT_BIN));
    FUZZ_CHECK(dray_slice_is_absent(envelope->payload) == (find(map, "payload") == NULL));
}

/* What was understood is written and understood again. */
static void encode_try(const struct dri_envelope *envelope)
{
    size_t size = dri_envelope_encoded_max(envelope);
    uint8_t *buffer = malloc(size);
    struct dri_envelope back;
    struct dri_wire_error error;
    char text[129];
    size_t len;

    FUZZ_CHECK(buffer != NULL);
    FUZZ_CHECK(dri_envelope_encode(envelope, buffer, size, &len) == DRAY_OK);
    FUZZ_CHECK(dri_envelope_decode(dray_slice_of(buffer, len), &g_limits, &back, &error) ==
               DRAY_OK);
    FUZZ_CHECK(dray_slice_equal(envelope->id, back.id));
    FUZZ_CHECK(dray_slice_equal(envelope->payload, back.payload));
    FUZZ_CHECK(dray_slice_equal(envelope->meta, back.meta));
    FUZZ_CHECK(dri_envelope_encode(envelope, buffer, len / 2, &len) == DRAY_ELIMIT);
    FUZZ_CHECK(dri_envelope_encode(envelope, buffer, 0, &len) == DRAY_ELIMIT);
    dri_id_format(envelope->id, envelope->is_id_binary, text);
    FUZZ_CHECK(strlen(text) <= 128);
    free(buffer);
}

/* What does not depend on the input, and what must stand any input. */
static void helpers_try(struct dray_slice message)
{
    static const uint8_t random[10];
    const struct dri_envelope no_id = {.command = dray_slice_text("c")};
    uint8_t buffer[64];
    char text[129];
    size_t len;

    dri_uuid7(message.len, random, buffer);
    FUZZ_CHECK((buffer[6] & 0xf0) == 0x70);
    dri_id_format(message, message.len % 2 == 0, text);
    FUZZ_CHECK(strlen(text) <= 128);
    FUZZ_CHECK(dri_envelope_encode(&no_id, buffer, sizeof(buffer), &len) == DRAY_OK);
    (void)dri_strmap_find(message, "k1");
}

static void slice_inside(struct dray_slice message, struct dray_slice slice)
{
    FUZZ_CHECK(dray_slice_is_absent(slice) ||
               (slice.at >= message.at && slice.at + slice.len <= message.at + message.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dri_wire_limits scan = {UINT32_MAX, 32, UINT32_MAX};
    const struct dri_wire_limits small = {16, 16, 4096};
    struct dray_slice message = dray_slice_of(data, size);
    struct dri_envelope envelope;
    struct dri_wire_error error = {NULL, NULL, 0};
    struct dri_scanner scanner;
    struct dray_slice value;
    msgpack_unpacked theirs;
    enum dray_status status;

    helpers_try(message);
    status = dri_envelope_decode(message, &small, &envelope, &error);
    FUZZ_CHECK(status != DRAY_OK || size <= small.message_bytes);
    status = dri_envelope_decode(message, &g_limits, &envelope, &error);
    slice_inside(message, envelope.id);
    slice_inside(message, envelope.reply_to);
    slice_inside(message, envelope.payload);
    if (status == DRAY_OK) {
        encode_try(&envelope);
    } else {
        FUZZ_CHECK(error.field != NULL && error.text != NULL && error.offset <= size);
    }
    dri_scanner_init(&scanner, message, &scan);
    if (dri_scanner_skip(&scanner, &value) != DRAY_OK || dri_scanner_left(&scanner) > 0) {
        FUZZ_CHECK(status != DRAY_OK);
        return 0;
    }
    msgpack_unpacked_init(&theirs);
    FUZZ_CHECK(msgpack_unpack_next(&theirs, (const char *)data, size, NULL) ==
               MSGPACK_UNPACK_SUCCESS);
    FUZZ_CHECK(oracle_accepts(&theirs.data) == (status == DRAY_OK));
    if (status == DRAY_OK) {
        envelope_compare(&theirs.data, &envelope);
    }
    msgpack_unpacked_destroy(&theirs);
    return 0;
}
