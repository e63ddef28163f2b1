/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_SEND_MESSAGE_H
#define DRI_CLI_SEND_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "cli.h"
#include "cron.h"
#include "wire/wire_limits.h"

/* send_message.h - commands of `dray send`: from options and a payload to the bytes that travel.
 *
 * Private to cli. Threads: one.
 */

/** What all commands of one invocation have in common. */
struct dri_send_form {
    const char *command;
    const char *key, *namespace_, *version, *id; /* NULL: none */
    const char *reply_to;                        /* NULL: the worker's choice; "": none */
    uint64_t deadline_ms, delay_ms;              /* from now; 0: none */
    uint64_t at_ms;                              /* wall; 0: none */
    struct dri_cron cron;                        /* counts when tick_ms is not 0 */
    uint64_t tick_ms;                            /* the last one that a command was made for */
    uint8_t *tags, *meta;                        /* owned; msgpack maps, NULL: none */
    size_t tags_len, meta_len;
    uint64_t bytes_max; /* of a message */
};

/** A command ready to travel. */
struct dri_send_message {
    uint8_t id[DRI_ID_BYTES_MAX];
    size_t id_len; /* 0: raw bytes without a readable id */
    bool is_id_binary;
    uint8_t *bytes; /* owned */
    size_t len;
    struct dray_slice key; /* borrows from the form or from bytes; absent: none */
};

/** From the options. Returns an exit code; anything but 0 was said. */
int dri_send_form_init(struct dri_send_form *form, const struct dri_cli *cli);
void dri_send_form_fini(struct dri_send_form *form);

/** payload_json absent: no payload. With a cron expression it is for the next tick. Errors:
 * EINVALID, ELIMIT with ret_text; ENOMEM, EIO. */
DRAY_MUST_CHECK enum dray_status dri_send_message_make(struct dri_send_form *form,
                                                       struct dray_slice payload_json,
                                                       struct dri_send_message *ret_message,
                                                       char *ret_text, size_t text_bytes);
/** Bytes as they are. What can be read of them gives id and key. Errors: ELIMIT with ret_text,
 * ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_send_message_raw(const struct dri_send_form *form,
                                                      struct dray_slice bytes,
                                                      struct dri_send_message *ret_message,
                                                      char *ret_text, size_t text_bytes);
void dri_send_message_fini(struct dri_send_message *message);

#endif
