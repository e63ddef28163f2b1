/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REPLAY_CURSOR_H
#define DRI_CLI_REPLAY_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

/* replay_cursor.h - how far a replay has come: for each partition the first letter that is not
 * copied.
 *
 * A small text file, replaced whole and synced. It belongs to one question (broker, topic, filter,
 * target), which stands in it as a hash; another question has another file. One process at a time
 * has it open. Threads: one.
 */

#define DRI_CURSOR_PATH_BYTES 4096u

struct dri_replay_cursor {
    char folder[DRI_CURSOR_PATH_BYTES];
    char name[256];
    char question[65]; /* hex */
    uint64_t *next;    /* owned; by partition */
    uint32_t count;
    bool is_dirty;
    int lock_fd; /* -1: none */
};

/** Which cursor. */
struct dri_replay_question {
    const char *hash;   /* 64 hex digits */
    const char *folder; /* where the question's own file is, named after the hash */
    const char *file;   /* a path instead; NULL: none */
    bool is_fresh;      /* as if there were none */
};

/** Read the cursor of a question. Errors: EIO, EAUTH, EINVALID (another question's, or damaged),
 *  EEXISTS (in use), ENOMEM; ret_text says what to do. Owns: fini in every case. */
DRAY_MUST_CHECK enum dray_status dri_replay_cursor_open(struct dri_replay_cursor *cursor,
                                                        const struct dri_replay_question *question,
                                                        char *ret_text, size_t text_bytes);
void dri_replay_cursor_fini(struct dri_replay_cursor *cursor);

/** The first offset of a partition that is not behind the cursor. */
uint64_t dri_replay_cursor_next(const struct dri_replay_cursor *cursor, uint32_t partition);

/** Everything below next is copied. Only forwards. Errors: ENOMEM, ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_replay_cursor_move(struct dri_replay_cursor *cursor,
                                                        uint32_t partition, uint64_t next);

/** Write it when it has moved: on disk when this returns. Errors: EIO, EAUTH, ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_replay_cursor_save(struct dri_replay_cursor *cursor,
                                                        char *ret_text, size_t text_bytes);

#endif
