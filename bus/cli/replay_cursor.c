/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* replay_cursor.c - the file:
 *
 *   dray-replay-cursor 1
 *   question <64 hex>
 *   <partition> <next offset>
 *   ...
 *   end <64 hex: SHA-256 of all lines above>
 *
 * The cursor saves work, it does not prove anything: letters behind a lost or old one are copied
 * again under the same name, which the replay finds in the replay topic, and the worker drops.
 */
#include "replay_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "mem.h"
#include "run/state.h"
#include "wire/json.h"
#include "wire/sha256.h"

#define FILE_BYTES_MAX (1u << 20)
#define PARTITIONS_MAX 16384u
#define HEAD           "dray-replay-cursor 1\nquestion "
#define END            "end "

static enum dray_status grow(struct dri_replay_cursor *cursor, uint32_t partition)
{
    if (partition < cursor->count) {
        return DRAY_OK;
    }
    if (partition >= PARTITIONS_MAX) {
        return DRAY_ELIMIT;
    }
    uint32_t count = partition < 32 ? 64 : 2 * partition;
    uint64_t *larger = dri_zalloc_array(count, sizeof(*larger));
    if (larger == NULL) {
        return DRAY_ENOMEM;
    }
    if (cursor->count > 0) {
        memcpy(larger, cursor->next, cursor->count * sizeof(*larger));
    }
    dri_free(cursor->next);
    cursor->next = larger;
    cursor->count = count;
    return DRAY_OK;
}

uint64_t dri_replay_cursor_next(const struct dri_replay_cursor *cursor, uint32_t partition)
{
    return partition < cursor->count ? cursor->next[partition] : 0;
}

enum dray_status dri_replay_cursor_move(struct dri_replay_cursor *cursor, uint32_t partition,
                                        uint64_t next)
{
    enum dray_status status = grow(cursor, partition);
    if (status == DRAY_OK && cursor->next[partition] < next) {
        cursor->next[partition] = next;
        cursor->is_dirty = true;
    }
    return status;
}

/* ---- reading ---- */

static enum dray_status damaged(const struct dri_replay_cursor *cursor, const char *why,
                                char *ret_text, size_t text_bytes)
{
    snprintf(ret_text, text_bytes, "the cursor %.300s/%s %s; remove it, or say --from-start",
             cursor->folder, cursor->name, why);
    return DRAY_EINVALID;
}

/* text ends in a NUL, which the caller put there. */
static enum dray_status read_lines(struct dri_replay_cursor *cursor, char *text, char *ret_text,
                                   size_t text_bytes)
{
    char sum[65];
    char *end = strstr(text, "\n" END);
    if (strncmp(text, HEAD, strlen(HEAD)) != 0 || end == NULL) {
        return damaged(cursor, "is none", ret_text, text_bytes);
    }
    end++;
    dri_sha256_hex(dray_slice_of(text, (size_t)(end - text)), sum);
    if (strncmp(end + strlen(END), sum, 64) != 0) {
        return damaged(cursor, "is damaged", ret_text, text_bytes);
    }
    char *at = text + strlen(HEAD);
    if (strncmp(at, cursor->question, strlen(cursor->question)) != 0) {
        return damaged(cursor, "belongs to another broker, topic, filter or target", ret_text,
                       text_bytes);
    }
    for (at = strchr(at, '\n') + 1; at < end; at = strchr(at, '\n') + 1) {
        char *rest = NULL;
        unsigned long long partition = strtoull(at, &rest, 10);
        unsigned long long next = strtoull(rest, NULL, 10);
        enum dray_status status = partition >= PARTITIONS_MAX
                                      ? DRAY_ELIMIT
                                      : dri_replay_cursor_move(cursor, (uint32_t)partition, next);
        if (status == DRAY_ELIMIT) {
            return damaged(cursor, "is damaged", ret_text, text_bytes);
        }
        if (status != DRAY_OK) {
            return status;
        }
    }
    cursor->is_dirty = false;
    return DRAY_OK;
}

static enum dray_status read_file(struct dri_replay_cursor *cursor, char *ret_text,
                                  size_t text_bytes)
{
    void *bytes = NULL;
    size_t len = 0;
    enum dray_status status =
        dri_state_read(cursor->folder, cursor->name, FILE_BYTES_MAX, &bytes, &len);
    if (status == DRAY_ENOTFOUND) {
        return DRAY_OK;
    }
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%.300s/%s: %s", cursor->folder, cursor->name,
                 dray_status_text(status));
        return status;
    }
    char *text = dri_strndup(bytes, len);
    dri_free(bytes);
    if (text == NULL) {
        return DRAY_ENOMEM;
    }
    status = read_lines(cursor, text, ret_text, text_bytes);
    dri_free(text);
    return status;
}

/* The lock goes with the process, so a killed replay leaves nothing locked. */
static enum dray_status lock(struct dri_replay_cursor *cursor, char *ret_text, size_t text_bytes)
{
    char path[DRI_CURSOR_PATH_BYTES + 300];
    snprintf(path, sizeof(path), "%s/%s.lock", cursor->folder, cursor->name);
    cursor->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (cursor->lock_fd < 0) {
        int error = errno;
        snprintf(ret_text, text_bytes, "%.300s: %s; --cursor FILE puts the cursor elsewhere", path,
                 strerrordesc_np(error));
        return error == EACCES || error == EROFS ? DRAY_EAUTH : DRAY_EIO;
    }
    if (flock(cursor->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(ret_text, text_bytes,
                 "another replay of the same letters is running (it holds %.300s)", path);
        return DRAY_EEXISTS;
    }
    return DRAY_OK;
}

/* Where the file is: the one that was asked for, or one of the question's own. */
static void place(struct dri_replay_cursor *cursor, const struct dri_replay_question *question)
{
    const char *file = question->file;
    const char *slash = file == NULL ? NULL : strrchr(file, '/');
    if (file == NULL) {
        snprintf(cursor->folder, sizeof(cursor->folder), "%s", question->folder);
        snprintf(cursor->name, sizeof(cursor->name), "replay-%.16s.cursor", question->hash);
    } else if (slash == NULL) {
        snprintf(cursor->folder, sizeof(cursor->folder), ".");
        snprintf(cursor->name, sizeof(cursor->name), "%s", file);
    } else {
        int len = slash == file ? 1 : (int)(slash - file);
        snprintf(cursor->folder, sizeof(cursor->folder), "%.*s", len, file);
        snprintf(cursor->name, sizeof(cursor->name), "%s", slash + 1);
    }
}

enum dray_status dri_replay_cursor_open(struct dri_replay_cursor *cursor,
                                        const struct dri_replay_question *question, char *ret_text,
                                        size_t text_bytes)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->lock_fd = -1;
    snprintf(cursor->question, sizeof(cursor->question), "%s", question->hash);
    place(cursor, question);
    enum dray_status status = dri_state_open(cursor->folder, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = lock(cursor, ret_text, text_bytes);
    }
    if (status == DRAY_OK && !question->is_fresh) {
        status = read_file(cursor, ret_text, text_bytes);
    }
    if (status != DRAY_OK && ret_text[0] == '\0') {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(status));
    }
    return status;
}

void dri_replay_cursor_fini(struct dri_replay_cursor *cursor)
{
    dri_free(cursor->next);
    cursor->next = NULL;
    cursor->count = 0;
    if (cursor->lock_fd >= 0) {
        (void)close(cursor->lock_fd); /* lets go of the lock */
        cursor->lock_fd = -1;
    }
}

/* ---- writing ---- */

enum dray_status dri_replay_cursor_save(struct dri_replay_cursor *cursor, char *ret_text,
                                        size_t text_bytes)
{
    struct dri_text text;
    char sum[65];
    if (!cursor->is_dirty) {
        return DRAY_OK;
    }
    dri_text_init(&text);
    dri_text_addf(&text, HEAD "%s\n", cursor->question);
    for (uint32_t i = 0; i < cursor->count; i++) {
        if (cursor->next[i] > 0) {
            dri_text_addf(&text, "%" PRIu32 " %" PRIu64 "\n", i, cursor->next[i]);
        }
    }
    if (text.status == DRAY_OK) {
        dri_sha256_hex(dray_slice_of(text.at, text.len), sum);
        dri_text_addf(&text, END "%s\n", sum);
    }
    enum dray_status status = text.status;
    if (status == DRAY_OK) {
        status =
            dri_state_write(cursor->folder, cursor->name, text.at, text.len, ret_text, text_bytes);
    } else {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(status));
    }
    dri_text_fini(&text);
    cursor->is_dirty = status != DRAY_OK;
    return status;
}
