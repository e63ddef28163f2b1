/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_JOURNAL_H
#define DRI_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* journal.h - which command each thread runs, in a mapped file: after a crash the next start knows
 * the suspects.
 *
 * Threads: open and close from one; a line belongs to one thread at a time.
 */

#define DRI_JOURNAL_FILE "journal"

struct dri_journal;
struct dri_journal_line;

/** A command whose handler had not returned when the process ended. Texts borrow until the callback
 *  returns; they may be cut: id and names at the end, source at the beginning. */
struct dri_suspect {
    struct dray_slice id;
    struct dray_slice command;
    struct dray_slice handler;
    struct dray_slice source; /* "topic/partition/offset" or "stream/sequence" */
    struct dray_slice worker; /* that ran it */
    uint64_t started_ms;      /* wall */
    uint32_t attempt;
    uint32_t epoch;
    uint32_t pid;
    bool is_id_binary;
    bool
        has_rebooted; /* the machine was restarted since: it may have been that, and not the command
                       */
};

typedef void dri_suspect_fn(void *arg, const struct dri_suspect *suspect);

struct dri_journal_config {
    const char *folder; /* of the state */
    const char *worker; /* id */
    uint32_t lines;     /* threads that run handlers at once */
    dri_suspect_fn *on_suspect;
    void *arg;
};

struct dri_journal_report {
    uint64_t suspects;
    uint64_t torn;   /* lines that were being written: their handlers had not begun */
    bool is_foreign; /* there was a file, and it was none of ours: nothing was read of it */
};

/** Report what an earlier process left behind, then begin the file anew. Blocks on the disk.
 *  Owns: returns owned. Errors: EEXISTS: another process has it; EIO, EAUTH: the file cannot be
 *  made, with a text that says why; ENOMEM. After an error the worker goes on without. */
DRAY_MUST_CHECK enum dray_status dri_journal_open(const struct dri_journal_config *config,
                                                  struct dri_journal **ret_journal,
                                                  struct dri_journal_report *ret_report,
                                                  char *ret_text, size_t text_bytes);
/** NULL is a no-op. Requires: no thread has a line. */
void dri_journal_close(struct dri_journal *journal);

/** The number-th line; NULL when journal is NULL or there are not so many. */
struct dri_journal_line *dri_journal_line(struct dri_journal *journal, uint32_t number);

struct dri_journal_entry {
    struct dray_slice id;
    struct dray_slice command;
    struct dray_slice handler;
    struct dray_slice source;
    uint64_t started_ns; /* monotonic */
    uint32_t attempt;
    uint32_t epoch;
    bool is_id_binary;
};

/** Right before a handler is called. Stores only: no system call, no allocation, no lock. */
void dri_journal_begin(struct dri_journal_line *line, const struct dri_journal_entry *entry);
/** Right after it has returned: one store. */
void dri_journal_end(struct dri_journal_line *line);

#endif
