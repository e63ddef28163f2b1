/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* result.c - what a command came to.
 *
 * Written once a command, so straight into the buffer (writer.h): measured at a quarter of the time
 * of msgpack-c's packer, which calls back for every header and every text. Read by people's tools
 * only, so by the table of fields.c.
 */

#include "result.h"

#include <string.h>

#include "fields.h"
#include "scanner.h"
#include "writer.h"

/* The part of a result on the wire that struct dri_result holds in another form. */
struct raw {
    struct dri_result result;
    struct dray_slice status;
    struct dray_slice error;
    struct dray_slice kind;
};

#define FIELD(name_, member, type_, is_required_)                                                  \
    {                                                                                              \
        .name = (name_), .at = offsetof(struct raw, member), .type = (type_),                      \
        .is_required = (is_required_)                                                              \
    }

static const struct dri_field g_fields[] = {
    FIELD("v", result, DRI_FIELD_VERSION, true),
    {.name = "id",
     .at = offsetof(struct raw, result.id),
     .flag_at = offsetof(struct raw, result.is_id_binary),
     .type = DRI_FIELD_ID,
     .is_required = true},
    FIELD("status", status, DRI_FIELD_TEXT, true),
    FIELD("cmd", result.command, DRI_FIELD_TEXT, false),
    FIELD("ver", result.version, DRI_FIELD_TEXT, false),
    FIELD("result", result.result, DRI_FIELD_PAYLOAD, false),
    FIELD("error", error, DRI_FIELD_MAP, false),
    FIELD("fallback", result.is_fallback, DRI_FIELD_BOOL, false),
    FIELD("reply_failed", result.reply_failed, DRI_FIELD_TEXT, false),
    FIELD("attempt", result.attempt, DRI_FIELD_U32, false),
    FIELD("worker", result.worker, DRI_FIELD_TEXT, false),
    FIELD("ts", result.ts_ms, DRI_FIELD_U64, false),
    FIELD("us", result.us, DRI_FIELD_U64, false),
    FIELD("trace", result.trace, DRI_FIELD_TEXT, false),
    FIELD("duplicate", result.is_duplicate, DRI_FIELD_BOOL, false),
    FIELD("ns", result.ns, DRI_FIELD_TEXT, false),
    FIELD("source", result.source, DRI_FIELD_TEXT, false),
};

static const struct dri_field g_error_fields[] = {
    {.name = "kind",
     .label = "error.kind",
     .at = offsetof(struct raw, kind),
     .type = DRI_FIELD_TEXT,
     .is_required = true},
    {.name = "code",
     .label = "error.code",
     .at = offsetof(struct raw, result.code),
     .type = DRI_FIELD_TEXT},
    {.name = "message",
     .label = "error.message",
     .at = offsetof(struct raw, result.message),
     .type = DRI_FIELD_TEXT},
    {.name = "dead_letter",
     .label = "error.dead_letter",
     .at = offsetof(struct raw, result.is_dead_letter),
     .type = DRI_FIELD_BOOL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define WRITE_TEXT(writer, literal, slice)                                                         \
    do {                                                                                           \
        if (!dray_slice_is_absent(slice)) {                                                        \
            DRI_WRITER_KEY(writer, literal);                                                       \
            dri_writer_str(writer, slice);                                                         \
        }                                                                                          \
    } while (0)

/* A text of a handler: what is no UTF-8 in it must not make the whole result unreadable. */
static void foreign_text_write(struct dri_writer *writer, struct dray_slice text, size_t bytes_max)
{
    size_t len = dri_utf8_cut(text, bytes_max);

    dri_writer_str(writer, dray_slice_of(text.at, len));
    if (!writer->is_full) {
        dri_utf8_mend(writer->at - len, len);
    }
}

static void error_write(struct dri_writer *writer, const struct dri_result *result)
{
    const char *kind = dray_kind_text(result->kind);

    DRI_WRITER_KEY(writer, "error");
    dri_writer_map(writer, 4);
    DRI_WRITER_KEY(writer, "kind");
    dri_writer_str(writer, dray_slice_text(kind));
    DRI_WRITER_KEY(writer, "code");
    foreign_text_write(writer, result->code, DRI_ERROR_TEXT_MAX);
    DRI_WRITER_KEY(writer, "message");
    foreign_text_write(writer, result->message, DRI_ERROR_TEXT_MAX);
    DRI_WRITER_KEY(writer, "dead_letter");
    dri_writer_bool(writer, result->is_dead_letter);
}

static void outcome_write(struct dri_writer *writer, const struct dri_result *result)
{
    DRI_WRITER_KEY(writer, "status");
    if (!result->is_ok) {
        DRI_WRITER_KEY(writer, "error"); /* the value, which has a key's form */
        error_write(writer, result);
        return;
    }
    DRI_WRITER_KEY(writer, "ok");
    DRI_WRITER_KEY(writer, "result");
    if (dray_slice_is_absent(result->result)) {
        dri_writer_nil(writer);
    } else {
        dri_writer_raw(writer, result->result.at, result->result.len);
    }
}

enum dray_status dri_result_encode(const struct dri_result *result, void *buffer,
                                   size_t buffer_bytes, size_t *ret_len)
{
    struct dri_writer writer = dri_writer_of(buffer, buffer_bytes);
    const uint8_t *begin = writer.at;

    dri_writer_map(&writer, 7u + result->is_fallback + !dray_slice_is_absent(result->command) +
                                !dray_slice_is_absent(result->version) +
                                !dray_slice_is_absent(result->reply_failed) +
                                !dray_slice_is_absent(result->worker) +
                                !dray_slice_is_absent(result->trace) + result->is_duplicate +
                                !dray_slice_is_absent(result->ns) +
                                !dray_slice_is_absent(result->source));
    DRI_WRITER_KEY(&writer, "v");
    dri_writer_uint(&writer, 1);
    DRI_WRITER_KEY(&writer, "id");
    if (result->is_id_binary) {
        dri_writer_bin(&writer, result->id);
    } else {
        dri_writer_str(&writer, result->id);
    }
    WRITE_TEXT(&writer, "cmd", result->command);
    WRITE_TEXT(&writer, "ver", result->version);
    outcome_write(&writer, result);
    if (result->is_fallback) {
        DRI_WRITER_KEY(&writer, "fallback");
        dri_writer_bool(&writer, true);
    }
    WRITE_TEXT(&writer, "reply_failed", result->reply_failed);
    DRI_WRITER_KEY(&writer, "attempt");
    dri_writer_uint(&writer, result->attempt);
    WRITE_TEXT(&writer, "worker", result->worker);
    DRI_WRITER_KEY(&writer, "ts");
    dri_writer_uint(&writer, result->ts_ms);
    DRI_WRITER_KEY(&writer, "us");
    dri_writer_uint(&writer, result->us);
    WRITE_TEXT(&writer, "trace", result->trace);
    if (result->is_duplicate) {
        DRI_WRITER_KEY(&writer, "duplicate");
        dri_writer_bool(&writer, true);
    }
    WRITE_TEXT(&writer, "ns", result->ns);
    WRITE_TEXT(&writer, "source", result->source);
    if (writer.is_full) {
        return DRAY_ELIMIT;
    }
    *ret_len = (size_t)(writer.at - begin);
    return DRAY_OK;
}

size_t dri_result_encoded_max(const struct dri_result *result)
{
    size_t message =
        result->message.len < DRI_ERROR_TEXT_MAX ? result->message.len : DRI_ERROR_TEXT_MAX;

    /* 6 for two maps, 10 for the mark of a fallback, 124 for all other keys and the flag, 5 for the
     * status, 16 for the longest kind, at most 9 for each of 21 value headers and numbers */
    return 6 + 10 + 124 + 5 + 16 + 21 * 9 + result->id.len + result->command.len +
           result->version.len + result->result.len + result->code.len + message +
           result->reply_failed.len + result->worker.len + result->trace.len + result->ns.len +
           result->source.len;
}

static enum dray_status error_read(struct dray_slice message, const struct dri_wire_limits *limits,
                                   struct raw *raw, struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    enum dray_status status;

    dri_scanner_init_inside(&scanner, message, raw->error, 1, limits);
    status = dri_fields_read(&scanner, g_error_fields, COUNT(g_error_fields), raw, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    raw->result.kind = dray_kind_parse((const char *)raw->kind.at, raw->kind.len);
    if (raw->result.kind == DRAY_KIND_COUNT || raw->result.kind == DRAY_KIND_NONE) {
        scanner.at = raw->kind.at;
        return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "error.kind",
                               "is not a known kind");
    }
    return DRAY_OK;
}

enum dray_status dri_result_decode(struct dray_slice message, const struct dri_wire_limits *limits,
                                   struct dri_result *ret_result, struct dri_wire_error *ret_error)
{
    struct raw raw;
    struct dri_scanner scanner;
    enum dray_status status;

    memset(&raw, 0, sizeof(raw));
    status = dri_fields_decode(message, limits, g_fields, COUNT(g_fields), &raw, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    dri_scanner_init(&scanner, message, limits);
    raw.result.is_ok = dray_slice_equal_text(raw.status, "ok");
    if (!raw.result.is_ok && !dray_slice_equal_text(raw.status, "error")) {
        scanner.at = raw.status.at;
        return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "status",
                               "is neither \"ok\" nor \"error\"");
    }
    if (!raw.result.is_ok) {
        if (dray_slice_is_absent(raw.error)) {
            return dri_fields_fail(ret_error, DRAY_EINVALID, &scanner, "error", "is missing");
        }
        status = error_read(message, limits, &raw, ret_error);
        if (status != DRAY_OK) {
            return status;
        }
    }
    *ret_result = raw.result;
    return DRAY_OK;
}
