/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PROGRESS_H
#define DRI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>

/* progress.h - which offsets beyond a committed position are finished, as the text that is
 * committed with the position.
 *
 * The text says something of one position only: read beside another it says nothing. See progress.c
 * for the format and why it is this one.
 *
 * Threads: one owner. Pure; all memory is the caller's.
 */

/** Kafka's offset.metadata.max.bytes is 4,096 by default. */
#define DRI_PROGRESS_BYTES_MAX 3900u

/** Offsets from begin on, below end. */
struct dri_progress_run {
    uint64_t begin, end;
};

struct dri_progress_writer {
    char *text; /* borrowed: DRI_PROGRESS_BYTES_MAX bytes */
    uint64_t position;
    uint64_t end; /* of what is written */
    size_t bits;  /* written behind the head */
    struct dri_progress_run pending;
    bool is_full;
};

/** text: DRI_PROGRESS_BYTES_MAX bytes, borrowed until the writer is closed. */
void dri_progress_write(struct dri_progress_writer *writer, char *text, uint64_t position);

/** One more finished run; runs that touch become one. False: there is no room, or it is too far
 * away; this run and all that come are left out. Requires: begin < end, and begin not below the
 * position or the end of the run before. */
bool dri_progress_add(struct dri_progress_writer *writer, uint64_t begin, uint64_t end);

/** The text, in the writer's memory; absent when there is no run. */
struct dray_slice dri_progress_close(struct dri_progress_writer *writer);

struct dri_progress_reader {
    const uint8_t *text; /* borrowed */
    size_t bits, bits_max;
    uint64_t at; /* end of the run before */
};

/** Begin to read what was committed with position. False: it is damaged, of another version, of
 * another position, or was never ours; then it says nothing. Hostile: text may be anything.
 * text: borrowed while it is read. */
bool dri_progress_read(struct dri_progress_reader *reader, struct dray_slice text,
                       uint64_t position);

/** The next run, above the ones before. False: there is none. */
bool dri_progress_next(struct dri_progress_reader *reader, struct dri_progress_run *ret_run);

/** A text's checksum, of its position too; 0 for an absent one. Requires: dri_progress_close made
 * it, or dri_progress_read took it. */
uint32_t dri_progress_sum(struct dray_slice text);

#endif
