/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_recode - one of the other formats, by FUZZ_FORMAT: bytes that are accepted are written by
 * our encoder, and those bytes are accepted and written the same. msgpack-c sees what was accepted.
 */

#include <msgpack.h>
#include <string.h>

#include "fuzz.h"
#include "support/wire_recode.h"
#include "wire/cancel.h"
#include "wire/control.h"
#include "wire/headers.h"
#include "wire/letter.h"
#include "wire/park.h"
#include "wire/schedule.h"

static void replay_try(struct dray_slice message, uint8_t *buffer, size_t size)
{
    const struct dray_slice of = dray_slice_text("dlq/3/99");
    struct dri_letter letter;
    struct dray_slice replay;
    size_t again;
    size_t len;

    FUZZ_CHECK(dri_letter_replay_headers(message, 3, of, buffer, size, &len) == DRAY_OK);
    FUZZ_CHECK(len <= dri_letter_replay_headers_max(message, of));
    replay = dray_slice_of(buffer, len);
    FUZZ_CHECK(dri_letter_read(replay, &letter) == DRAY_ENOTFOUND);
    FUZZ_CHECK(dri_letter_replay_headers(message, 3, of, buffer, len - 1, &again) == DRAY_ELIMIT);
}

static void letter_try(struct dray_slice message)
{
    struct dri_letter letter;
    char fingerprint[17];

    size_t len = 9;

    FUZZ_CHECK(dri_headers_append(fingerprint, 8, &len, message, message) == DRAY_ELIMIT);
    if (dri_letter_read(message, &letter) == DRAY_OK) {
        dri_letter_fingerprint(DRAY_KIND_INVALID, letter.command, letter.handler, letter.id,
                               letter.message, fingerprint);
        FUZZ_CHECK(strlen(fingerprint) == 16);
    }
}

/* What is taken off a record leaves no record, and the original's headers otherwise as they are. */
static void park_try(struct dray_slice message, uint8_t *buffer, size_t size)
{
    struct dri_park park;
    size_t again;
    size_t len;

    FUZZ_CHECK(dri_park_original(message, buffer, size, &len) == DRAY_OK);
    FUZZ_CHECK(len <= message.len);
    FUZZ_CHECK(dri_park_read(dray_slice_of(buffer, len), &park) == DRAY_ENOTFOUND);
    FUZZ_CHECK(len == 0 || dri_park_original(message, buffer, len - 1, &again) == DRAY_ELIMIT);
    if (dri_park_read(message, &park) == DRAY_OK) {
        FUZZ_CHECK(park.kind < DRI_PARK_KIND_COUNT);
        FUZZ_CHECK(dri_park_headers(&park, message, buffer, size, &len) == DRAY_OK);
        FUZZ_CHECK(len <= dri_park_headers_max(&park, message));
        FUZZ_CHECK(dri_park_source_hash(message, park.order) != 0);
        (void)dri_park_source_hash_of(park.source);
    }
    (void)dri_park_source_hash_of(message);
}

/* Another state changes nothing else, and a map that is no route is refused. */
static void state_try(struct dray_slice message)
{
    static uint8_t buffer[65536];
    struct dri_route_view before;
    struct dri_route_view after;
    struct dri_wire_error error;
    size_t len = 0;
    enum dray_status status =
        dri_route_with_state(message, DRI_ROUTE_PAUSED, buffer, sizeof(buffer), &len);

    if (dri_route_decode(message, &wire_limits, &before, &error) != DRAY_OK ||
        message.len > sizeof(buffer) / 2) {
        return;
    }
    FUZZ_CHECK(status == DRAY_OK);
    FUZZ_CHECK(dri_route_decode(dray_slice_of(buffer, len), &wire_limits, &after, &error) ==
               DRAY_OK);
    FUZZ_CHECK(after.state == DRI_ROUTE_PAUSED && dri_route_is_special(&after));
    FUZZ_CHECK(dray_slice_equal(before.name, after.name));
    FUZZ_CHECK(dri_route_with_state(message, DRI_ROUTE_PAUSED, buffer, len - 1, &len) ==
               DRAY_ELIMIT);
    (void)dri_route_is_special(&before);
}

static void route_try(struct dray_slice message)
{
    struct dri_route_view view;
    struct dri_wire_error error;
    char key[DRI_ROUTE_KEY_BYTES_MAX + 1];

    memset(&view, 0, sizeof(view));
    FUZZ_CHECK(dri_route_key_format(&view, key, sizeof(key)) == DRAY_ELIMIT);
    view.name = message;
    FUZZ_CHECK((dri_route_key_format(&view, key, sizeof(key)) == DRAY_OK) ==
               (message.len <= DRI_NAME_BYTES_MAX));
    state_try(message);
    (void)dri_route_name_is_valid(message);
    (void)dri_route_key_is_valid(message);
    (void)dri_version_is_semver(message);
    (void)dri_module_name_is_valid(message);
    if (dri_route_decode(message, &wire_limits, &view, &error) == DRAY_OK) {
        FUZZ_CHECK(dri_route_key_format(&view, key, sizeof(key)) == DRAY_OK);
        FUZZ_CHECK(dri_route_key_is_valid(dray_slice_text(key)));
        FUZZ_CHECK(dri_route_key_format(&view, key, 4) == DRAY_ELIMIT);
        (void)dri_fid(view.ns, view.name, view.version, view.signature);
    }
}

static void schedule_try(struct dray_slice message)
{
    struct dri_schedule_view view;
    struct dri_wire_error error;
    uint8_t id[16];

    if (dri_schedule_key_is_valid(message)) {
        FUZZ_CHECK(dri_schedule_name_is_valid(dri_schedule_key_name(message)));
    }
    FUZZ_CHECK(!dri_schedule_key_is_of(message, "a/b"));
    dri_schedule_id(message, message.len, 7, id);
    FUZZ_CHECK((id[6] & 0xf0) == 0x80 && (id[8] & 0xc0) == 0x80);
    if (dri_schedule_decode(message, &wire_limits, &view, &error) == DRAY_OK) {
        uint8_t buffer[4096];
        size_t len = 0;
        FUZZ_CHECK(dri_schedule_encoded_max(&view) > sizeof(buffer) ||
                   dri_schedule_encode(&view, buffer, dri_schedule_encoded_max(&view), &len) ==
                       DRAY_OK);
        FUZZ_CHECK(dri_missed_text(view.missed)[0] != '\0');
    }
}

/* The walkers end on bytes that no decoder has checked, too. */
static void walkers_try(struct dray_slice message)
{
    const struct dri_change change = {.items = message};
    const struct dri_status_record record = {.failed = message};
    const struct dri_change no_change = {.items_count = 0};
    const struct dri_status_record no_record = {.failed_count = 0};
    struct dri_change_item item;
    struct dri_cancel_item cancel;
    struct dri_schedule_item schedule;
    struct dri_status_failure failure;
    uint8_t buffer[64];
    size_t at = 0;
    size_t len;

    FUZZ_CHECK(!dri_change_next(&no_change, &at, &item));
    FUZZ_CHECK(!dri_cancel_next(&no_change, &at, &cancel));
    FUZZ_CHECK(!dri_schedule_next(&no_change, &at, &schedule));
    FUZZ_CHECK(dri_change_encode(&no_change, NULL, 0, buffer, sizeof(buffer), &len) == DRAY_OK);
    FUZZ_CHECK(!dri_status_next_failure(&no_record, &at, &failure));
    while (dri_change_next(&change, &at, &item)) {
        FUZZ_CHECK(at <= message.len);
    }
    at = 0;
    while (dri_cancel_next(&change, &at, &cancel)) {
        FUZZ_CHECK(at <= message.len);
    }
    at = 0;
    while (dri_schedule_next(&change, &at, &schedule)) {
        FUZZ_CHECK(at <= message.len);
    }
    at = 0;
    while (dri_status_next_failure(&record, &at, &failure)) {
        FUZZ_CHECK(at <= message.len);
    }
    const struct dri_status_heat heat = {.parts = message};
    (void)dri_status_heat_part(&heat, 3);
}

/* The parts of its heat can be read one by one, as far as there are some. */
static void heat_try(struct dray_slice message)
{
    struct dri_status_record record;
    struct dri_status_heat heat;
    struct dri_wire_error error;
    size_t at = 0;

    if (dri_status_decode(message, &wire_limits, &record, &error) != DRAY_OK) {
        return;
    }
    while (dri_status_next_heat(&record, &at, &heat)) {
        (void)dri_status_heat_part(&heat, 0);
        (void)dri_status_heat_part(&heat, 9);
        FUZZ_CHECK(dri_status_heat_part(&heat, UINT32_MAX) == 0);
    }
}

static void msgpack_try(const uint8_t *data, size_t size)
{
    msgpack_unpacked theirs;

    msgpack_unpacked_init(&theirs);
    FUZZ_CHECK(msgpack_unpack_next(&theirs, (const char *)data, size, NULL) ==
               MSGPACK_UNPACK_SUCCESS);
    FUZZ_CHECK(theirs.data.type == MSGPACK_OBJECT_MAP);
    msgpack_unpacked_destroy(&theirs);
}

static void recode_try(wire_recode_fn *recode, struct dray_slice message, uint8_t *first,
                       uint8_t *second, size_t size)
{
    struct dri_wire_error error = {NULL, NULL, 0};
    size_t first_len;
    size_t second_len;
    enum dray_status status = recode(message, first, size, &first_len, &error);

    if (status != DRAY_OK) {
        FUZZ_CHECK(error.field != NULL && error.text != NULL && error.offset <= message.len);
        return;
    }
    FUZZ_CHECK(recode(dray_slice_of(first, first_len), second, size, &second_len, &error) ==
               DRAY_OK);
    FUZZ_CHECK(first_len == second_len && memcmp(first, second, first_len) == 0);
    if (strcmp(FUZZ_FORMAT, "letter") != 0 && strcmp(FUZZ_FORMAT, "park") != 0) {
        msgpack_try(message.at, message.len);
        msgpack_try(first, first_len);
    }
    FUZZ_CHECK(recode(message, second, first_len - 1, &second_len, &error) == DRAY_ELIMIT);
    FUZZ_CHECK(recode(message, second, first_len / 2, &second_len, &error) == DRAY_ELIMIT);
    FUZZ_CHECK(recode(message, second, 0, &second_len, &error) == DRAY_ELIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dray_slice message = dray_slice_of(data, size);
    size_t room = 2 * size + 2 * WIRE_RECODE_GROWTH;
    uint8_t *first = malloc(room);
    uint8_t *second = malloc(room);

    FUZZ_CHECK(first != NULL && second != NULL);
    recode_try(wire_recode_find(FUZZ_FORMAT), message, first, second, room);
    if (strcmp(FUZZ_FORMAT, "letter") == 0) {
        letter_try(message);
        replay_try(message, first, room);
    }
    if (strcmp(FUZZ_FORMAT, "park") == 0) {
        park_try(message, first, room);
    }
    walkers_try(message);
    if (strcmp(FUZZ_FORMAT, "status") == 0) {
        heat_try(message);
    }
    if (strcmp(FUZZ_FORMAT, "route") == 0) {
        route_try(message);
    }
    if (strcmp(FUZZ_FORMAT, "schedule") == 0) {
        schedule_try(message);
    }
    free(first);
    free(second);
    return 0;
}
