/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ENGINE_PRIVATE_H
#define DRI_ENGINE_PRIVATE_H

#include "core.h"
#include "engine.h"
#include "grouping.h"
#include "intake.h"
#include "outcome.h"
#include "parking.h"
#include "transaction.h"
#include "window.h"

/* engine_private.h - the inside of an engine: what engine.c and engine_publish.c share. */

#define EVENTS_MAX  1024u
#define ACTIONS_MAX 512u

struct dri_job {
    struct dri_flight *flight;
    enum dri_outcome outcome;
};

/* Outcomes to publish, in order: a ring. */
struct dri_backlog {
    struct dri_job *jobs; /* owned */
    size_t capacity, head, count;
};

/* Park logs that are not read on (engine_hold.c). */
struct dri_hold {
    uint8_t *slots; /* owned; by slot: bits of engine_hold.c */
    bool has_news;  /* a record of one was read in this turn */
    uint32_t count; /* of those that are held */
    uint64_t look_ns, said_ns;
};

struct dri_engine {
    struct dri_engine_config config; /* immutable */
    struct dri_core *core;           /* owned: pages, touched as far as flights are out */
    size_t core_bytes;
    struct dri_intake *intake;                   /* owned */
    struct dri_grouping *grouping;               /* owned */
    struct dri_parking *parking;                 /* owned; NULL: nothing is parked */
    struct dri_outcomes *outcomes;               /* owned */
    struct dri_window *window;                   /* owned; NULL: none */
    struct dri_flight *gated_first, *gated_last; /* that the window gives back unrun, by next */

    struct dri_transport_event events[EVENTS_MAX];
    struct dri_core_event core_events[EVENTS_MAX];
    struct dri_core_parked parked[EVENTS_MAX]; /* of the core's events */
    size_t core_events_count;
    struct dri_flight *done[EVENTS_MAX];
    struct dri_core_action actions[ACTIONS_MAX];

    struct dri_backlog backlog;
    struct dri_backlog second;           /* with transactions: what continues a half-told command */
    struct dri_transaction *transaction; /* owned; NULL: there are none */

    uint32_t *epochs; /* owned; by slot, of the last assignment; 0: there was none */
    bool has_first;   /* partition 0 of the commands topic, in first_slot */
    uint32_t first_slot;
    bool is_quiet;
    uint64_t cancelled_version; /* of which is looked for in what waits */
    bool is_narrow; /* only park logs are read: there is no room, and they are waited for */
    struct dri_hold hold;

    struct dri_settle settles[ACTIONS_MAX];
    size_t settles_count;

    bool is_drained, is_clean, has_failed;
    struct dri_engine_stats stats;
};

/** Room for all flights of a core. False: no memory. */
bool dri_backlog_init(struct dri_backlog *backlog, const struct dri_core_config *core);
void dri_backlog_fini(struct dri_backlog *backlog);
/** An outcome waits for its turn. */
void dri_engine_backlog_put(struct dri_engine *engine, struct dri_flight *flight,
                            enum dri_outcome outcome);
/** Hand over what waits, in order, until the transport is full. Whether anything was. */
bool dri_engine_publish(struct dri_engine *engine, struct dri_now now);
/** engine_hold.c: a park log begins, or ends. */
void dri_engine_hold_forget(struct dri_engine *engine, uint32_t slot);
/** A record of it was read. */
void dri_engine_hold_note(struct dri_engine *engine, uint32_t slot);
bool dri_engine_is_held(const struct dri_engine *engine, uint32_t slot);
/** At the end of a turn: stop reading what there is no place for, and go on when there is. */
void dri_engine_hold_look(struct dri_engine *engine, struct dri_now now);
/** When to look again without news; UINT64_MAX: never. */
uint64_t dri_engine_hold_deadline(const struct dri_engine *engine);
/** Whether it is paused for its transaction's sake, whatever else is wanted. */
bool dri_engine_is_strained(const struct dri_engine *engine, uint32_t slot);
void dri_engine_crash_point(const struct dri_engine *engine, const char *name);

#endif
