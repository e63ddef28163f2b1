/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* replica.c - the status record: what a replica says of itself once a second.
 *
 * A reader takes any word as state: a later release may have more of them, and a listing that fails
 * while replicas are being upgraded fails when it is needed.
 */

#include <string.h>

#include "control.h"
#include "fields.h"
#include "packer.h"
#include "words.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_BYTES_MAX 256u
/* Containers around a failure: the record, the array. */
#define FAILURE_DEPTH 2u

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
    FIELD("admin", admin, DRI_FIELD_TEXT, TEXT_BYTES_MAX),
    FIELD("pid", pid, DRI_FIELD_U64, 0),
    FIELD("revision", revision, DRI_FIELD_U64, 0),
    FIELD("ts", ts_ms, DRI_FIELD_U64, 0),
    FIELD("failed", failed, DRI_FIELD_ARRAY, 0),
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

enum dray_status dri_status_encode(const struct dri_status_record *record,
                                   const struct dri_status_failure *failed, size_t failed_count,
                                   void *buffer, size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;
    size_t pairs = 7u + !dray_slice_is_absent(record->group) + !dray_slice_is_absent(record->host) +
                   !dray_slice_is_absent(record->version) + !dray_slice_is_absent(record->digest) +
                   !dray_slice_is_absent(record->admin);

    dri_packer_init(&packer, buffer, buffer_bytes);
    (void)msgpack_pack_map(&packer.pack, pairs);
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
    dri_packer_add_uint(&packer, "ts", record->ts_ms);
    dri_packer_add_str(&packer, "admin", record->admin);
    dri_packer_key(&packer, "failed");
    (void)msgpack_pack_array(&packer.pack, failed_count);
    for (size_t i = 0; i < failed_count; i++) {
        (void)msgpack_pack_map(&packer.pack, 3);
        dri_packer_key(&packer, "key");
        dri_packer_str(&packer, failed[i].key);
        dri_packer_add_uint(&packer, "revision", failed[i].revision);
        dri_packer_key(&packer, "reason");
        dri_packer_str(&packer, failed[i].reason);
    }
    return dri_packer_end(&packer, ret_len);
}

static enum dray_status failure_read(struct dri_scanner *scanner,
                                     struct dri_status_failure *ret_failure,
                                     struct dri_wire_error *ret_error)
{
    memset(ret_failure, 0, sizeof(*ret_failure));
    return dri_fields_read(scanner, g_failure_fields, COUNT(g_failure_fields), ret_failure,
                           ret_error);
}

static enum dray_status failures_check(struct dray_slice message,
                                       const struct dri_wire_limits *limits,
                                       struct dri_status_record *record,
                                       struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    struct dri_token array;
    enum dray_status status;

    dri_scanner_init_inside(&scanner, message, record->failed, 1, limits);
    status = dri_scanner_next(&scanner, &array);
    if (status != DRAY_OK) {
        return dri_fields_fail(ret_error, status, &scanner, "failed", NULL);
    }
    scanner.depth = FAILURE_DEPTH;
    for (uint32_t i = 0; i < array.count; i++) {
        struct dri_status_failure failure;

        status = failure_read(&scanner, &failure, ret_error);
        if (status != DRAY_OK) {
            if (ret_error->field[0] == '\0') {
                ret_error->field = "failed";
            }
            return status;
        }
    }
    record->failed_count = array.count;
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
    if (status != DRAY_OK) {
        return status;
    }
    if (!dray_slice_is_absent(record.failed)) {
        status = failures_check(message, limits, &record, ret_error);
        if (status != DRAY_OK) {
            return status;
        }
    }
    *ret_record = record;
    return DRAY_OK;
}

bool dri_status_next_failure(const struct dri_status_record *record, size_t *at,
                             struct dri_status_failure *ret_failure)
{
    struct dri_scanner scanner;
    struct dri_wire_error error;

    if (dray_slice_is_absent(record->failed) || !dri_array_element(record->failed, at, &scanner) ||
        failure_read(&scanner, ret_failure, &error) != DRAY_OK) {
        return false;
    }
    *at = dri_scanner_offset(&scanner);
    return true;
}
