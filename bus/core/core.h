/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CORE_H
#define DRI_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "clock.h"
#include "flight.h"
#include "park.h"

/* core.h - the machine that decides, without input or output: events and now go in, actions come
 * out.
 *
 * It never locks, blocks, allocates after init, reads a clock, or asks for a random number. The
 * same object code runs in the worker and in the simulator.
 *
 * Threads: one owner. There may be several cores in a process; they share nothing.
 *
 * The way of a flight: the shell takes one (dri_core_take), fills it, and gives it back in a RECORD
 * event. The core answers with START (run this chain), PUBLISH (this outcome), SETTLE, EXTEND, and
 * in the end RELEASE (free what the shell put in). Nothing is settled before the outcome is stored.
 */

struct dri_core;

struct dri_core_config {
    uint32_t in_flight_max;  /* flights that wait or run */
    uint32_t key_max;        /* of these, that one key may have queued; 0: all of them */
    uint32_t unacked_max;    /* flights whose outcome is on its way */
    uint64_t bytes_max;      /* sum of flight.bytes */
    uint32_t slots_max;      /* sources assigned at once */
    uint32_t lanes;          /* run slots; a chain goes to the lane of its key */
    uint32_t lane_depth;     /* chains handed to one lane at once */
    uint32_t chain_max;      /* flights of one key in one chain */
    uint32_t groups_max;     /* groups that can be configured: 1 to this; group 0 has no limits */
    uint32_t settle_ms;      /* between two watermark settles of a slot */
    uint32_t revoke_ms;      /* grace for flights of a revoked slot */
    uint32_t drain_ms;       /* grace of a drain */
    uint32_t delay_after_ms; /* what is due later waits in a delay log; 0: all waits here */
    uint32_t park_max;       /* entries of parked commands; 0: nothing is parked */
    uint32_t park_after_ms;  /* what waits longer is parked */
    uint32_t republish_ms;   /* first wait after an unknown or refused publish; doubles to 30 s */

    /* When most commands fail: systemic.c */
    uint32_t systemic_share;     /* percent of what ends; 0: nobody looks */
    uint32_t systemic_min;       /* commands that must have ended in the window */
    uint32_t systemic_window_ms; /* at least 10 when systemic_share is not 0 */
    uint32_t systemic_probe_ms;  /* from the stop of a route to its probe */
};

/** What of the configuration can change while it runs. */
struct dri_core_limits {
    uint32_t in_flight_max; /* 0: nothing more is taken in; what is in goes on */
    uint32_t unacked_max;
    uint64_t bytes_max;
    uint32_t settle_ms, revoke_ms, drain_ms;
};

enum dri_core_event_type {
    DRI_CE_ASSIGNED,  /* slot, epoch, mode, is_park, park, lease_ns, committed, metadata,
                         origin_hash */
    DRI_CE_REVOKED,   /* slot, epoch */
    DRI_CE_LOST,      /* slot, epoch */
    DRI_CE_RECORD,    /* flight: filled; the core has it now */
    DRI_CE_DONE,      /* flight: back from its lane, alone (each of a chain by itself, in order) */
    DRI_CE_WAKE,      /* flight: of a DONE with is_held; it may be handed over again */
    DRI_CE_RETURNED,  /* flight: of a DONE with is_stuck; its handler has returned now */
    DRI_CE_PARKED,    /* slot, epoch, parked: a record of a park log was read; the shell keeps its
                         bytes at parked.place until FORGET. No more than dri_core_park_room */
    DRI_CE_CAUGHT_UP, /* slot, epoch: a park log was read to the end that it had */
    DRI_CE_PUBLISHED, /* token, ack, reason, offset */
    DRI_CE_SETTLED,   /* slot, epoch, position, status */
    DRI_CE_BARRIER,   /* settle what is finished now, whatever settle_ms says */
    DRI_CE_DRAIN,     /* finish, settle, then DRAINED */
    DRI_CE_STOP,      /* DRAINED at once */
};

/** Three-valued, as transport.h has it; repeated here because the core names no transport. */
enum dri_core_ack {
    DRI_CORE_STORED,
    DRI_CORE_NOT_STORED,
    DRI_CORE_UNKNOWN
};

/** A record of a park log (docs/adr/0013-parking.md). */
struct dri_core_parked {
    uint64_t offset;
    uint64_t order;       /* at which it first stood in this log: offset, unless it was rewritten */
    uint64_t source_hash; /* of the message that it is: dri_park_source_hash */
    uint64_t source_offset; /* of the same */
    uint64_t key_hash;      /* only with has_key; else it waits alone */
    uint64_t due_ms;        /* wall; 0: when its turn comes */
    uint64_t place;         /* the shell's name for its bytes; 0: it has none (HELD, RELEASE) */
    uint32_t attempts;
    enum dri_park_kind kind;
    bool has_key;
    bool is_of_release; /* a COMMAND that was written by a release: it belongs to no held unit */
};

struct dri_core_event {
    enum dri_core_event_type type;
    uint32_t slot, epoch;
    union {
        struct {
            bool is_watermark; /* else each delivery by itself */
            uint64_t lease_ns;
            int64_t committed;
            struct dray_slice metadata; /* that was committed with it; hostile; copied */
            bool is_park;               /* a park log */
            uint32_t park;              /* slot of the park log of this source; UINT32_MAX: none */
            uint64_t origin_hash;       /* with an offset names a message: dri_park_source_hash */
        } assigned;
        struct dri_flight *flight;
        const struct dri_core_parked *parked; /* borrowed for the step */
        struct {
            uint64_t token;
            enum dri_core_ack ack;
            enum dray_status reason;
            uint64_t offset; /* at which it was stored; UINT64_MAX: not known */
        } published;
        struct {
            uint64_t position;
            enum dray_status status;
        } settled;
    } as;
};

enum dri_core_action_type {
    DRI_CA_START,   /* flight: head of a chain of one key (by next), to be run in order on lane; the
                       lane stops at the first that is not ok and hands the rest back unrun. One
                       with window_ms is alone, and may come back is_answered or is_held instead */
    DRI_CA_PUBLISH, /* flight, outcome */
    DRI_CA_SETTLE,  /* slot, epoch and position+metadata+is_final, or delivery */
    DRI_CA_EXTEND,  /* flight: renew its lease */
    DRI_CA_CANCEL,  /* flight: running for a slot that is being revoked or lost; cooperative */
    DRI_CA_UNASSIGN, /* slot, epoch: the shell may let go */
    DRI_CA_UNPARK,   /* slot, epoch, parked: take a flight (dri_core_take_parked), fill it from
                        place, give it as RECORD of that slot and offset */
    DRI_CA_FORGET,   /* place: its bytes are not needed any more */
    DRI_CA_RELEASE,  /* flight: free what hangs on it; it is free when the action was read */
    DRI_CA_DRAINED,  /* nothing is out any more, or the time is over (is_clean tells) */
};

struct dri_core_action {
    enum dri_core_action_type type;
    uint32_t slot, epoch;
    union {
        struct {
            struct dri_flight *flight;
            uint32_t lane;
            enum dri_outcome outcome;
        } run;
        struct {
            uint64_t position;
            uint64_t delivery;
            struct dray_slice metadata; /* text, or absent; borrows until the next step */
            bool is_watermark;
            bool is_final;
        } settle;
        struct {
            uint64_t offset;
            uint64_t place;
            uint32_t entry; /* for dri_core_take_parked */
        } parked;
        bool is_clean;
    } as;
};

/** Bytes that dri_core_init needs for this configuration. */
size_t dri_core_bytes(const struct dri_core_config *config);

/** Flights of its slab: as many can be out at once. */
size_t dri_core_flights_max(const struct dri_core_config *config);

/** Build a core in memory (64-byte aligned, zeroed, dri_core_bytes long), which it borrows for
 * life. Requires: a sane configuration (asserted). */
struct dri_core *dri_core_init(void *memory, const struct dri_core_config *config);

/** From now on. What is in flight stays, also beyond a limit that shrank; timers that run keep
 * their time. Requires: in_flight_max and unacked_max at most those of dri_core_init, the latter
 * and bytes_max not 0 (asserted). */
void dri_core_set_limits(struct dri_core *core, const struct dri_core_limits *limits);

/** What one key has queued beyond key_max does not count against in_flight_max, up to as much
 * again. How many messages may come in now: what is left of in_flight_max and of the slab; 0 from
 * when in_flight_max, unacked_max or bytes_max is reached until all are below three quarters; 0
 * while draining. unacked can pass unacked_max by what was in flight already; both together never
 * pass the sum of the two bounds. */
size_t dri_core_room(const struct dri_core *core);

/** A flight to fill, zeroed but for lane_hint (none); NULL only when dri_core_room is 0. As many as
 * dri_core_room said can be taken, whatever is fed between. Give it back with RECORD (its slot and
 * epoch count, not the event's) or dri_core_untake. */

struct dri_flight *dri_core_take(struct dri_core *core);
/** For a message that came although there is no room: of a source that was assigned while records
 * of park logs were asked for. NULL: too many did. */
struct dri_flight *dri_core_take_late(struct dri_core *core);

/** The flight for an UNPARK, never NULL: some of the slab are set aside for it. Its attempt and
 * entry are set; take it before anything else is fed. Give it back with RECORD or, when its bytes
 * cannot be had, with dri_core_untake: then it is asked for again later. */
struct dri_flight *dri_core_take_parked(struct dri_core *core, uint32_t number);
void dri_core_untake(struct dri_core *core, struct dri_flight *flight);

/** Feed events, in order. Actions queue up inside; read them with dri_core_actions until it gives
 * 0. */
void dri_core_step(struct dri_core *core, struct dri_now now, const struct dri_core_event *events,
                   size_t count);

/** Take up to max actions, in order. Everything must be read before flights can come round: the
 * queue holds whatever was not read, and cannot overflow. A RELEASEd flight is free as soon as it
 * was returned here: the caller frees its blocks before it calls the core again. An UNPARK is the
 * last of its array, since for it the core is called. */
size_t dri_core_actions(struct dri_core *core, struct dri_core_action *ret_actions, size_t max);

/** The flight that waits for the acknowledgement of this publish; NULL: none does any more. */
struct dri_flight *dri_core_publishing(struct dri_core *core, uint64_t token);

/** Flights of which one outcome is stored and the next is not: a dead letter without its error
 * result. */
uint32_t dri_core_half_told(const struct dri_core *core);

/** Commands given up so far although an outcome of theirs is stored. */
uint64_t dri_core_torn(const struct dri_core *core);

/** Whether what the slots said at the last BARRIER, together with what they said before, names
 * everything that is finished. */
bool dri_core_is_whole(const struct dri_core *core);

/** Whether records of park logs are waited for (copies, what a log has, releases): they want to be
 * polled although there is no room. */
bool dri_core_wants_parked(const struct dri_core *core);

/** How many records of park logs can be taken in, whatever they are. */
uint32_t dri_core_park_room(const struct dri_core *core);

/** A park log is not read on, or is again. Until then only what has to go there is stored in it: it
 * would outgrow what can be read. */
void dri_core_hold_park(struct dri_core *core, uint32_t slot, bool is_held);

/** Whether, with so many records more, there is a park log that dri_core_has_park_room might
 * refuse.
 */
bool dri_core_is_park_tight(const struct dri_core *core, size_t more);
/** Whether this park log is to be read on: else it takes the place of what comes out of others. A
 * log that was stopped goes on with a little more. */
bool dri_core_has_park_room(const struct dri_core *core, uint32_t slot, bool was_stopped);

/** When dri_core_step wants to be called without an event; UINT64_MAX: never. The only timer. */
uint64_t dri_core_next_deadline(const struct dri_core *core);

/** X(field, help): counters, summed by the shell into metrics. */
#define DRI_CORE_COUNTER_TABLE(X)                                                                  \
    X(admitted, "commands taken in")                                                               \
    X(duplicates_in_flight, "deliveries of a message that was in flight already")                  \
    X(stale_completions, "completions of an assignment that was gone")                             \
    X(stale_records, "messages of an assignment that was gone")                                    \
    X(retries, "runs that were put back to run again")                                             \
    X(republished, "outcomes published again after an unknown or refused acknowledgement")         \
    X(results_stored, "results acknowledged by the broker")                                        \
    X(letters_stored, "dead letters acknowledged by the broker")                                   \
    X(windows_stored, "records of finished commands in the window, acknowledged by the broker")    \
    X(answered, "duplicates that got an earlier command's result, and were not run")               \
    X(settled, "commands settled")                                                                 \
    X(dropped_on_revoke, "flights given up because their assignment ended")                        \
    X(torn, "commands given up although an outcome of theirs is stored; they run again")           \
    X(dropped_on_drain, "flights given up because the worker drains; they come again")             \
    X(expired, "commands that were not run because their deadline had passed")                     \
    X(held, "commands of a paused route that were dead-lettered, to be replayed when it resumes")  \
    X(delayed, "scheduled commands put into a delay log, or from one into the next")               \
    X(breaker_opens, "times that a route's breaker opened")                                        \
    X(adaptive_shrinks, "times that a route's adaptive limit shrank")                              \
    X(systemic_pauses, "times that dead-lettering paused because most commands failed")            \
    X(systemic_spared, "failed runs that were no attempt because most commands failed")            \
    X(fallbacks, "commands that were answered with their route's fallback result")                 \
    X(leases_lost, "deliveries whose lease ended before it was renewed")                           \
    X(settles_failed, "settles that the broker refused")                                           \
    X(parked, "copies of commands that were stored in a park log")                                 \
    X(unparked, "commands that came back from a park log")                                         \
    X(rewritten, "commands of a park log that were stored there again, to wait on")                \
    X(copies_dropped, "messages settled without a run because a park log has the same one")        \
    X(skipped_finished, "messages not run again: the commit said that they are finished")          \
    X(metadata_refused, "commits whose metadata says nothing: damaged, foreign, or of elsewhere")

struct dri_core_stats {
#define DRI_CORE_COUNTER(field, help) uint64_t field;
    DRI_CORE_COUNTER_TABLE(DRI_CORE_COUNTER)
#undef DRI_CORE_COUNTER
    uint32_t in_flight; /* wait or run */
    uint32_t running;
    uint32_t waiting; /* for a time */
    uint32_t unacked;
    uint32_t waiting_paused; /* for a paused route, or behind one that does */
    uint32_t open_groups;    /* whose breaker is not closed */
    bool is_systemic;        /* dead-lettering is paused */
    uint32_t parked_entries;
    uint32_t parked_keys;
    uint32_t stopped_keys; /* of these, that wait until they are released */
    uint64_t bytes;
    uint64_t settle_gap; /* completions beyond the watermark */
};

void dri_core_stats(const struct dri_core *core, struct dri_core_stats *ret_stats);

#endif
