/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_STATUS_BEAT_H
#define DRI_STATUS_BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "control_log.h"
#include "registry.h"

/* status_beat.h - what a replica says of itself on the status topic: once a second, and at once
 * when it changes.
 *
 * Threads: the registry's writer.
 */

/** How many routes that cannot run here are listed, those of the latest changes; all are counted.
 */
#define DRI_BEAT_FAILED_MAX  64u
#define DRI_BEAT_MODULES_MAX 64u
/** How many routes that were never called are listed, by key; all are counted. */
#define DRI_BEAT_IDLE_MAX 64u
/** How many of the routes that were called lately are listed, the busiest; all are counted. */
#define DRI_BEAT_HEAT_MAX 32u
/** The last records of the log that were refused or a conflict: each is in one beat at least. */
#define DRI_BEAT_REFUSALS_MAX 16u
/** So many are remembered while beats are not stored; what is older then is in the log only. */
#define DRI_BEAT_REFUSALS_KEPT 128u
#define DRI_BEAT_BYTES_MAX     (96u << 10)

struct dri_beat_refusal {
    uint64_t revision, base, present;
    bool is_conflict;
    char author[64], key[200], reason[160]; /* cut */
};

struct dri_beat {
    const char *worker, *group, *version, *admin; /* borrowed; admin "": none */
    const char *signers; /* borrowed; dri_signers_fingerprint; NULL and "": nobody signs */
    const struct dri_registry *registry; /* borrowed */
    uint32_t hot_calls, hot_window_ms;   /* of a hot route; see hot_set.h */
    char host[65];
    uint64_t due_ns;
    bool is_changed;       /* say it at once */
    size_t routes, failed; /* as of the last dri_beat_encode */

    struct dri_beat_refusal refusals[DRI_BEAT_REFUSALS_KEPT]; /* a ring */
    uint64_t refusals_count;                                  /* all that ever were */
    uint64_t conflicts, refused;                              /* of these */
    uint64_t said; /* the first so many are in beats that were not lost, as far as is known */
};

/** Fills in the host's name. */
void dri_beat_init(struct dri_beat *beat);
/** What became of a record of the log, read for the first time. */
void dri_beat_note(struct dri_beat *beat, const struct dri_control_outcome *outcome);
/** Whether the next beat could not list one more refusal than wait for it: say it now. */
bool dri_beat_is_full(const struct dri_beat *beat);
/** The beat that was encoded last was handed over. Returns what to say if it is lost. */
uint64_t dri_beat_handed(struct dri_beat *beat);
/** It was not stored, or nobody knows; said: of dri_beat_handed. What it had new will be in the
 *  next ones. */
void dri_beat_lost(struct dri_beat *beat, uint64_t said);
/** Whether refusals are left that no beat has. */
bool dri_beat_has_more(const struct dri_beat *beat);
/** The record of now, with the refusals that are to be said next. Errors: ELIMIT. buffer:
 * DRI_BEAT_BYTES_MAX bytes. */
DRAY_MUST_CHECK enum dray_status dri_beat_encode(struct dri_beat *beat, const char *state,
                                                 uint64_t wall_ms, uint8_t *buffer,
                                                 size_t *ret_len);

#endif
