/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* send_message.c - from options and a payload to the bytes of a command.
 *
 * What is built is decoded once with the limits of a worker before it leaves: what every worker
 * would refuse is refused here, where somebody reads the reason.
 */
#include "send_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "mem.h"
#include "wire/envelope.h"
#include "wire/json.h"
#include "wire/scanner.h"

/* "region=eu" pairs of an option as one JSON object. */
static bool pairs_to_json(const struct dri_cli *cli, const char *option, struct dri_text *json)
{
    dri_text_add(json, "{", 1);
    for (size_t i = 0; dri_cli_value_at(cli, option, i) != NULL; i++) {
        const char *pair = dri_cli_value_at(cli, option, i);
        const char *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair) {
            (void)dri_cli_usage(cli, "--%s has to be KEY=VALUE, not \"%s\"", option, pair);
            return false;
        }
        dri_text_add(json, ",", i == 0 ? 0 : 1);
        dri_text_add_json_string(json, dray_slice_of(pair, (size_t)(equals - pair)));
        dri_text_add(json, ":", 1);
        dri_text_add_json_string(json, dray_slice_text(equals + 1));
    }
    dri_text_add(json, "}", 1);
    return true;
}

static int pairs_read(const struct dri_cli *cli, const char *option, uint8_t **ret_bytes,
                      size_t *ret_len)
{
    struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error = {.field = "", .text = "", .offset = 0};
    struct dri_text json;
    int code = DRI_EXIT_OK;
    if (!dri_cli_has(cli, option)) {
        return DRI_EXIT_OK;
    }
    dri_text_init(&json);
    if (!pairs_to_json(cli, option, &json)) {
        code = DRI_EXIT_USAGE;
    } else if (json.status != DRAY_OK ||
               dri_json_to_msgpack(dray_slice_of(json.at, json.len), &limits, ret_bytes, ret_len,
                                   &error) != DRAY_OK) {
        code = dri_cli_usage(cli, "--%s: %s", option,
                             error.text[0] == '\0' ? dray_status_text(DRAY_ENOMEM) : error.text);
    }
    dri_text_fini(&json);
    return code;
}

int dri_send_form_init(struct dri_send_form *form, const struct dri_cli *cli)
{
    *form = (struct dri_send_form){
        .command = cli->arguments_count > 0 ? cli->arguments[0] : NULL,
        .key = dri_cli_value(cli, "key"),
        .namespace_ = dri_cli_value(cli, "ns"),
        .version = dri_cli_value(cli, "cmd-version"),
        .id = dri_cli_value(cli, "id"),
        .reply_to = dri_cli_value(cli, "reply-to"),
        .bytes_max = cli->settings.worker.message_bytes,
    };
    if ((dri_cli_has(cli, "deadline") && !dri_cli_patience(cli, "deadline", &form->deadline_ms)) ||
        !dri_cli_duration(cli, "delay", &form->delay_ms)) {
        return DRI_EXIT_USAGE;
    }
    const char *at = dri_cli_value(cli, "at");
    form->at_ms = at == NULL ? 0 : dri_clock_parse(at, strlen(at));
    if (at != NULL && form->at_ms == 0) {
        return dri_cli_usage(cli, "--at: \"%s\" is no time, as in 2026-12-24T18:00:00Z", at);
    }
    if (dri_cli_has(cli, "at") + dri_cli_has(cli, "delay") + dri_cli_has(cli, "cron") > 1) {
        return dri_cli_usage(cli, "--at, --delay and --cron exclude each other");
    }
    if (dri_cli_has(cli, "cron")) {
        struct dri_cron_error error;
        const char *text = dri_cli_value(cli, "cron");
        if (dri_cron_parse(text, strlen(text), &form->cron, &error) != DRAY_OK) {
            return dri_cli_usage(cli, "--cron: byte %zu of \"%.80s\": %s", error.at + 1, text,
                                 error.text);
        }
        form->tick_ms = dri_clock_wall_ms();
    }
    if (form->id != NULL && (form->id[0] == '\0' || strlen(form->id) > DRI_ID_BYTES_MAX)) {
        return dri_cli_usage(cli, "--id has to be 1 to %u bytes", DRI_ID_BYTES_MAX);
    }
    int code = pairs_read(cli, "tag", &form->tags, &form->tags_len);
    return code != DRI_EXIT_OK ? code : pairs_read(cli, "meta", &form->meta, &form->meta_len);
}

void dri_send_form_fini(struct dri_send_form *form)
{
    dri_free(form->tags);
    dri_free(form->meta);
    *form = (struct dri_send_form){.command = NULL};
}

static enum dray_status id_make(const struct dri_send_form *form, uint64_t wall_ms,
                                struct dri_send_message *message)
{
    uint8_t random[10];
    if (form->id != NULL) {
        message->id_len = strlen(form->id);
        memcpy(message->id, form->id, message->id_len);
        return DRAY_OK;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return DRAY_EIO;
    }
    dri_uuid7(wall_ms, random, message->id);
    message->id_len = 16;
    message->is_id_binary = true;
    return DRAY_OK;
}

static enum dray_status size_check(const struct dri_send_form *form, size_t len, char *ret_text,
                                   size_t text_bytes)
{
    if (len <= form->bytes_max) {
        return DRAY_OK;
    }
    snprintf(
        ret_text, text_bytes,
        "the command has %zu bytes, and %llu is the most: the broker's limit less 16 KiB for the "
        "headers of a dead letter, or worker.message_bytes",
        len, (unsigned long long)form->bytes_max);
    return DRAY_ELIMIT;
}

/* Whatever a worker would find wrong is said before it travels. */
static enum dray_status self_check(const struct dri_send_form *form,
                                   const struct dri_send_message *message, char *ret_text,
                                   size_t text_bytes)
{
    struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_envelope envelope;
    struct dri_wire_error error = {.field = "", .text = "", .offset = 0};
    enum dray_status status = size_check(form, message->len, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    limits.message_bytes = UINT32_MAX;
    status = dri_envelope_decode(dray_slice_of(message->bytes, message->len), &limits, &envelope,
                                 &error);
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "every worker would refuse the command: %s %s",
                 error.field[0] == '\0' ? "it" : error.field, error.text);
    }
    return status;
}

/* When it may begin; 0: at once. */
static uint64_t not_before(const struct dri_send_form *form, uint64_t wall_ms)
{
    return form->tick_ms != 0    ? form->tick_ms
           : form->delay_ms != 0 ? wall_ms + form->delay_ms
                                 : form->at_ms;
}

static uint64_t deadline(const struct dri_send_form *form, uint64_t wall_ms)
{
    uint64_t from_ms = form->tick_ms != 0 ? form->tick_ms : wall_ms;
    return form->deadline_ms == 0 ? 0 : from_ms + form->deadline_ms;
}

static enum dray_status envelope_make(const struct dri_send_form *form, struct dray_slice payload,
                                      struct dri_send_message *message, char *ret_text,
                                      size_t text_bytes)
{
    uint64_t wall_ms = dri_clock_wall_ms();
    enum dray_status status = id_make(form, wall_ms, message);
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "no random bytes for an id: %s", strerrordesc_np(errno));
        return status;
    }
    message->key = dray_slice_text(form->key);
    struct dri_envelope envelope = {
        .id = dray_slice_of(message->id, message->id_len),
        .is_id_binary = message->is_id_binary,
        .command = dray_slice_text(form->command),
        .namespace_ = dray_slice_text(form->namespace_),
        .version = dray_slice_text(form->version),
        .key = message->key,
        .is_key_binary = form->key != NULL && !dri_utf8_is_valid(message->key),
        .reply_to = dray_slice_text(form->reply_to),
        .payload = payload,
        .tags = dray_slice_of(form->tags, form->tags_len),
        .meta = dray_slice_of(form->meta, form->meta_len),
        .created_ms = wall_ms,
        .deadline_ms = deadline(form, wall_ms),
        .not_before_ms = not_before(form, wall_ms),
    };
    size_t bytes_max = dri_envelope_encoded_max(&envelope);
    message->bytes = dri_zalloc(bytes_max);
    if (message->bytes == NULL) {
        return DRAY_ENOMEM;
    }
    status = dri_envelope_encode(&envelope, message->bytes, bytes_max, &message->len);
    return status != DRAY_OK ? status : self_check(form, message, ret_text, text_bytes);
}

enum dray_status dri_send_message_make(struct dri_send_form *form, struct dray_slice payload_json,
                                       struct dri_send_message *ret_message, char *ret_text,
                                       size_t text_bytes)
{
    const struct dri_wire_limits limits = {
        .message_bytes = UINT32_MAX, .depth = 15, .elements = UINT32_MAX}; /* the envelope is 1 */
    struct dri_wire_error error = {.field = "", .text = "", .offset = 0};
    struct dri_send_message message = {.bytes = NULL};
    uint8_t *payload = NULL;
    size_t payload_len = 0;
    enum dray_status status = DRAY_OK;
    snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
    if (!dray_slice_is_absent(payload_json)) {
        status = dri_json_to_msgpack(payload_json, &limits, &payload, &payload_len, &error);
        if (status == DRAY_EINVALID || status == DRAY_ELIMIT) {
            snprintf(ret_text, text_bytes,
                     "the payload is no JSON of ours: what stands at byte %u %s", error.offset,
                     error.text);
            status = DRAY_EINVALID;
        }
    }
    if (status == DRAY_OK && form->tick_ms != 0) {
        form->tick_ms = dri_cron_next(&form->cron, form->tick_ms);
        if (form->tick_ms == 0) {
            snprintf(ret_text, text_bytes, "--cron: no more ticks before the year 10000");
            status = DRAY_EINVALID;
        }
    }
    if (status == DRAY_OK) {
        status = envelope_make(form, dray_slice_of(payload, payload_len), &message, ret_text,
                               text_bytes);
    }
    dri_free(payload);
    if (status != DRAY_OK) {
        dri_send_message_fini(&message);
        return status;
    }
    *ret_message = message;
    return DRAY_OK;
}

enum dray_status dri_send_message_raw(const struct dri_send_form *form, struct dray_slice bytes,
                                      struct dri_send_message *ret_message, char *ret_text,
                                      size_t text_bytes)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_send_message message = {.bytes = NULL};
    struct dri_envelope envelope = {.has_fid = false};
    struct dri_wire_error error;
    enum dray_status status = size_check(form, bytes.len, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    message.bytes = dri_zalloc(bytes.len + 1);
    if (message.bytes == NULL) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
        return DRAY_ENOMEM;
    }
    memcpy(message.bytes, bytes.at, bytes.len);
    message.len = bytes.len;
    bool is_sound = dri_envelope_decode(dray_slice_of(message.bytes, message.len), &limits,
                                        &envelope, &error) == DRAY_OK;
    if (envelope.id.len > 0 && envelope.id.len <= sizeof(message.id)) {
        memcpy(message.id, envelope.id.at, envelope.id.len);
        message.id_len = envelope.id.len;
        message.is_id_binary = envelope.is_id_binary;
    }
    message.key = form->key != NULL ? dray_slice_text(form->key)
                  : is_sound        ? envelope.key
                                    : dray_slice_of(NULL, 0);
    *ret_message = message;
    return DRAY_OK;
}

void dri_send_message_fini(struct dri_send_message *message)
{
    dri_free(message->bytes);
    message->bytes = NULL;
}
