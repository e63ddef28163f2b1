/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* send_input.c - what dray send reads: one payload a line, or all of it as one message.
 *
 * It never blocks: acknowledgements and results go on while a slow pipe has nothing to say. So it
 * is read by descriptor and not by stdio, whose buffer poll cannot see.
 */
#include "send_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define CHUNK_BYTES (64u << 10)
#define BYTES_MAX   (64u << 20)

enum dray_status dri_send_input_open(struct dri_send_input *input, const char *name, bool is_whole)
{
    *input = (struct dri_send_input){.fd = STDIN_FILENO, .is_whole = is_whole, .name = name};
    if (strcmp(name, "-") == 0) {
        input->name = "standard input";
        return DRAY_OK;
    }
    input->fd = open(name, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) {
        return errno == ENOENT ? DRAY_ENOTFOUND : errno == EACCES ? DRAY_EAUTH : DRAY_EIO;
    }
    struct stat kind;
    if (fstat(input->fd, &kind) == 0 && S_ISDIR(kind.st_mode)) {
        dri_send_input_close(input);
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

void dri_send_input_close(struct dri_send_input *input)
{
    if (input->fd > STDIN_FILENO) {
        (void)close(input->fd);
    }
    dri_free(input->bytes);
    *input = (struct dri_send_input){.fd = -1};
}

static bool is_readable(const struct dri_send_input *input)
{
    struct pollfd fd = {.fd = input->fd, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

static enum dray_status make_room(struct dri_send_input *input)
{
    if (input->at > 0) {
        memmove(input->bytes, input->bytes + input->at, input->len - input->at);
        input->len -= input->at;
        input->at = 0;
    }
    if (input->len + CHUNK_BYTES <= input->capacity) {
        return DRAY_OK;
    }
    if (input->len > BYTES_MAX) {
        return DRAY_ELIMIT;
    }
    size_t capacity = 2 * input->capacity + CHUNK_BYTES;
    char *bytes = dri_zalloc(capacity);
    if (bytes == NULL) {
        return DRAY_ENOMEM;
    }
    if (input->len > 0) {
        memcpy(bytes, input->bytes, input->len);
    }
    dri_free(input->bytes);
    input->bytes = bytes;
    input->capacity = capacity;
    return DRAY_OK;
}

/* One read, if it does not block. */
static enum dray_status fill(struct dri_send_input *input)
{
    if (!is_readable(input)) {
        return DRAY_EAGAIN;
    }
    enum dray_status status = make_room(input);
    if (status != DRAY_OK) {
        return status;
    }
    ssize_t got = read(input->fd, input->bytes + input->len, input->capacity - input->len);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? DRAY_EAGAIN : DRAY_EIO;
    }
    input->len += (size_t)got;
    input->is_over = got == 0;
    return DRAY_OK;
}

/* A line that is there, without its end; false: there is none yet. */
static bool take_line(struct dri_send_input *input, struct dray_slice *ret_line)
{
    const char *begin = input->bytes + input->at;
    size_t left = input->len - input->at;
    const char *end = left == 0 ? NULL : memchr(begin, '\n', left);
    if (end == NULL && (!input->is_over || left == 0)) {
        return false;
    }
    size_t len = end == NULL ? left : (size_t)(end - begin);
    input->at += len + (end == NULL ? 0 : 1);
    input->line++;
    len -= len > 0 && begin[len - 1] == '\r' ? 1 : 0;
    *ret_line = dray_slice_of(begin, len);
    return true;
}

static bool is_blank(struct dray_slice line)
{
    size_t i = 0;
    while (i < line.len && (line.at[i] == ' ' || line.at[i] == '\t')) {
        i++;
    }
    return i == line.len;
}

enum dray_status dri_send_input_next(struct dri_send_input *input, struct dray_slice *ret_bytes)
{
    enum dray_status status = DRAY_OK;
    while (status == DRAY_OK) {
        if (!input->is_whole) {
            while (take_line(input, ret_bytes)) {
                if (!is_blank(*ret_bytes)) {
                    return DRAY_OK;
                }
            }
        }
        if (input->is_over) {
            break;
        }
        status = fill(input);
    }
    if (status != DRAY_OK) {
        return status;
    }
    if (!input->is_whole || input->at > 0 || input->len == 0) {
        return DRAY_ECLOSED;
    }
    *ret_bytes = dray_slice_of(input->bytes, input->len);
    input->at = input->len;
    input->line = 1;
    return DRAY_OK;
}

bool dri_send_input_is_ready(const struct dri_send_input *input)
{
    return input->is_over || is_readable(input);
}
