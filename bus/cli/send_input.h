/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_SEND_INPUT_H
#define DRI_CLI_SEND_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* send_input.h - a file or standard input, line by line or whole, without blocking. Private to cli.
 *
 * Threads: one.
 */

struct dri_send_input {
    int fd; /* owned unless it is standard input */
    bool is_whole;
    bool is_over;
    char *bytes; /* owned */
    size_t len, capacity, at;
    size_t line; /* number of the line given last */
    const char *name;
};

/** name: a path, or "-". Errors: ENOTFOUND, EAUTH, EIO. */
DRAY_MUST_CHECK enum dray_status dri_send_input_open(struct dri_send_input *input, const char *name,
                                                     bool is_whole);
void dri_send_input_close(struct dri_send_input *input);

/** The next line that is not blank, or the whole. Borrows until the next call.
 *  Errors: EAGAIN: nothing there yet; ECLOSED: the end; ELIMIT: larger than 64 MiB; EIO, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_send_input_next(struct dri_send_input *input,
                                                     struct dray_slice *ret_bytes);

/** Whether next may give more than EAGAIN now. */
bool dri_send_input_is_ready(const struct dri_send_input *input);

#endif
