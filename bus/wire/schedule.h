/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_SCHEDULE_H
#define DRI_WIRE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "control.h"
#include "wire_limits.h"

/* schedule.h - control changes of kind "schedule", the schedule map in them, and the record of the
 * last tick that was fired.
 *
 * items: array of {key: "group/name", base: uint, schedule: map or nil (removal)}; base as for
 * routes. A schedule is kept as its bytes, so that unknown keys survive. Pure; any thread.
 */

#define DRI_SCHEDULE_NAME_BYTES_MAX 64u
/** Of "group/name". */
#define DRI_SCHEDULE_KEY_BYTES_MAX (2u * DRI_SCHEDULE_NAME_BYTES_MAX + 1u)
#define DRI_SCHEDULE_CATCH_UP      100u /* ticks, when the schedule does not say */
#define DRI_SCHEDULE_CATCH_UP_MAX  1000u
/** Ten years: so that tick and deadline together are a time. */
#define DRI_SCHEDULE_DEADLINE_MAX_MS (UINT64_C(3650) * 86400000)

struct dri_schedule_item {
    struct dray_slice key;
    uint64_t base;              /* revision that the writer saw; 0: must not exist */
    struct dray_slice schedule; /* msgpack bytes of the map; absent: removal */
};

/** What becomes of ticks at which nobody fired. */
enum dri_missed {
    DRI_MISSED_ONE, /* the last of them is made up for */
    DRI_MISSED_SKIP,
    DRI_MISSED_ALL, /* the last catch_up of them */
};

/** A schedule map, read. A view. */
struct dri_schedule_view {
    struct dray_slice cron;    /* an expression that dri_cron_parse takes */
    struct dray_slice command; /* the rest as in an envelope */
    struct dray_slice namespace_, version, key, reply_to;
    struct dray_slice payload, tags, meta; /* msgpack bytes, checked; absent: none */
    uint64_t deadline_ms; /* from the tick on, to DRI_SCHEDULE_DEADLINE_MAX_MS; 0: none */
    enum dri_missed missed;
    uint32_t catch_up; /* 1 to DRI_SCHEDULE_CATCH_UP_MAX */
};

/** What was fired last of a schedule, as its own topic keeps it. */
struct dri_tick {
    struct dray_slice key; /* "group/name" */
    uint64_t revision;     /* of the schedule */
    uint64_t tick_ms;
    uint64_t ts_ms;           /* when it was handed over; 0: not said */
    struct dray_slice worker; /* absent: not said */
};

bool dri_change_is_schedule(const struct dri_change *change);

/** A change of this kind, whole: as dri_change_decode, and its items are checked and counted.
 *  Errors: EINVALID (also of another kind), ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_schedule_change_decode(struct dray_slice change,
                                                            const struct dri_wire_limits *limits,
                                                            struct dri_change *ret_change,
                                                            struct dri_wire_error *ret_error);
/** change's kind and items are not looked at. Errors: ELIMIT. */
DRAY_MUST_CHECK enum dray_status dri_schedule_change_encode(const struct dri_change *change,
                                                            const struct dri_schedule_item *items,
                                                            size_t items_count, void *buffer,
                                                            size_t buffer_bytes, size_t *ret_len);
/** Walk the items of a decoded change: set *at to 0 first; false at the end. */
bool dri_schedule_next(const struct dri_change *change, size_t *at,
                       struct dri_schedule_item *ret_item);

/** Read and check a schedule map. Errors: EINVALID, ELIMIT with *ret_error. */
DRAY_MUST_CHECK enum dray_status dri_schedule_decode(struct dray_slice schedule,
                                                     const struct dri_wire_limits *limits,
                                                     struct dri_schedule_view *ret_view,
                                                     struct dri_wire_error *ret_error);
DRAY_MUST_CHECK enum dray_status dri_schedule_encode(const struct dri_schedule_view *view,
                                                     void *buffer, size_t buffer_bytes,
                                                     size_t *ret_len);
/** Upper bound of what dri_schedule_encode needs. */
size_t dri_schedule_encoded_max(const struct dri_schedule_view *view);

/** [A-Za-z0-9_-]{1,64}: groups, and names of schedules. */
bool dri_schedule_name_is_valid(struct dray_slice name);
/** "group/name" of two valid names. */
bool dri_schedule_key_is_valid(struct dray_slice key);
/** The part after the "/". Requires: a valid key. */
struct dray_slice dri_schedule_key_name(struct dray_slice key);
/** Whether the part before the "/" is this group. Requires: a valid key. */
bool dri_schedule_key_is_of(struct dray_slice key, const char *group);
/** "skip", "one", "all". */
const char *dri_missed_text(enum dri_missed missed);

/** The id of the command that a tick becomes: the same whoever fires it, however often. A UUIDv8
 *  (RFC 9562) of SHA-256 over group/name, revision and tick. */
void dri_schedule_id(struct dray_slice key, uint64_t revision, uint64_t tick_ms,
                     uint8_t ret_id[16]);

DRAY_MUST_CHECK enum dray_status dri_tick_decode(struct dray_slice message,
                                                 const struct dri_wire_limits *limits,
                                                 struct dri_tick *ret_tick,
                                                 struct dri_wire_error *ret_error);
DRAY_MUST_CHECK enum dray_status dri_tick_encode(const struct dri_tick *tick, void *buffer,
                                                 size_t buffer_bytes, size_t *ret_len);

#endif
