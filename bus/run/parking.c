/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* parking.c - between park logs and the core.
 *
 * The core knows of a record where it stands, whose copy it is, what it is ordered by, and when it
 * is due. What a command is ordered by stands in its bytes and in the policy of its route, so each
 * record is made a flight once, of which only that is kept; that costs what an intake costs, once
 * for each record and each assignment. A record without a command (HELD, RELEASE) has what its key
 * is ordered by as its message key.
 *
 * A record that is none of ours is finished as a release of nothing: it must not hold up the log.
 */
#include "parking.h"

#include <string.h>

#include "assert.h"
#include "hash.h"
#include "log.h"
#include "mem.h"
#include "park.h"
#include "spool.h"

struct dri_parking {
    struct dri_intake *intake;     /* borrowed */
    struct dri_grouping *grouping; /* borrowed */
    struct dri_spool *spool;       /* owned */
    struct dri_flight scratch;     /* only between fill and release of one record */
};

enum dray_status dri_parking_create(const struct dri_engine_config *config,
                                    struct dri_intake *intake, struct dri_grouping *grouping,
                                    struct dri_parking **ret_parking)
{
    struct dri_parking *parking = dri_zalloc(sizeof(*parking));
    if (parking == NULL) {
        return DRAY_ENOMEM;
    }
    parking->intake = intake;
    parking->grouping = grouping;
    enum dray_status status = dri_spool_create(config->spool_folder, 0, &parking->spool);
    if (status != DRAY_OK) {
        dri_free(parking);
        return status;
    }
    dri_spool_set_full(parking->spool, config->is_spool_full, config->spool_arg);
    *ret_parking = parking;
    return DRAY_OK;
}

void dri_parking_destroy(struct dri_parking *parking)
{
    if (parking != NULL) {
        dri_spool_destroy(parking->spool);
        dri_free(parking);
    }
}

static bool keep(struct dri_parking *parking, const struct dri_message *message,
                 uint64_t *ret_place)
{
    const struct dri_spooled spooled = {
        .key = message->key,
        .value = message->value,
        .headers = message->headers,
        .subject = message->subject,
        .timestamp_ms = message->timestamp_ms,
    };
    enum dray_status status = dri_spool_put(parking->spool, &spooled, ret_place);
    if (status != DRAY_OK) {
        DRI_LOG(DRI_LOG_ERROR, "ENG-MEMORY", "a parked command cannot be kept",
                DRI_TEXT("status", dray_status_name(status)));
    }
    return status == DRAY_OK;
}

/* What a command is ordered by. */
static bool find_key(struct dri_parking *parking, struct dri_now now,
                     const struct dri_transport_event *event, struct dri_core_parked *parked)
{
    struct dri_flight *flight = &parking->scratch;
    memset(flight, 0, sizeof(*flight));
    if (!dri_intake_fill(parking->intake, now, event, flight)) {
        return false;
    }
    dri_grouping_place(parking->grouping, flight);
    parked->has_key = flight->has_key;
    parked->key_hash = flight->key_hash;
    dri_intake_release(parking->intake, flight);
    return true;
}

bool dri_parking_read(struct dri_parking *parking, struct dri_now now,
                      const struct dri_transport_event *event, struct dri_core_parked *ret_parked)
{
    const struct dri_message *message = &event->as.message;
    struct dri_park park;
    *ret_parked = (struct dri_core_parked){
        .offset = message->offset, .order = message->offset, .kind = DRI_PARK_RELEASE};
    if (dri_park_read(message->headers, &park) != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "ENG-NOT-PARKED",
                "a record of a park log is none, and is passed over",
                DRI_TEXT("source", dri_intake_origin(parking->intake, event->slot)),
                DRI_UINT("offset", message->offset));
        return true;
    }
    ret_parked->kind = park.kind;
    ret_parked->attempts = park.attempts;
    ret_parked->due_ms = park.due_ms;
    if (park.has_order && park.order < message->offset) {
        ret_parked->order = park.order;
    }
    if (park.kind == DRI_PARK_HELD || park.kind == DRI_PARK_RELEASE) {
        ret_parked->has_key = message->key.at != NULL;
        ret_parked->key_hash = ret_parked->has_key ? dri_hash64(message->key) : 0;
    } else if (!find_key(parking, now, event, ret_parked)) {
        return false;
    }
    if (park.kind == DRI_PARK_RELEASE) {
        return true;
    }
    ret_parked->is_of_release = park.kind == DRI_PARK_COMMAND && park.unit.at != NULL;
    ret_parked->source_hash = dri_park_source_hash_of(park.source);
    ret_parked->source_offset = dri_park_source_offset_of(park.source);
    return keep(parking, message, &ret_parked->place);
}

bool dri_parking_fill(struct dri_parking *parking, struct dri_now now, uint64_t place,
                      struct dri_flight *flight)
{
    struct dri_spooled spooled;
    if (dri_spool_get(parking->spool, place, &spooled) != DRAY_OK) {
        return false;
    }
    const struct dri_transport_event event = {
        .type = DRI_TE_MESSAGE,
        .slot = flight->slot,
        .epoch = flight->epoch,
        .as.message = {.offset = flight->offset,
                       .deliveries = 1,
                       .timestamp_ms = spooled.timestamp_ms,
                       .subject = spooled.subject,
                       .key = spooled.key,
                       .value = spooled.value,
                       .headers = spooled.headers},
    };
    if (!dri_intake_fill(parking->intake, now, &event, flight)) {
        return false;
    }
    dri_grouping_place(parking->grouping, flight);
    return true;
}

void dri_parking_forget(struct dri_parking *parking, uint64_t place)
{
    dri_spool_drop(parking->spool, place);
}

bool dri_parking_is_late(const struct dri_parking *parking)
{
    return dri_spool_is_late(parking->spool);
}

bool dri_parking_catch_up(struct dri_parking *parking)
{
    return dri_spool_catch_up(parking->spool);
}

void dri_parking_stats(const struct dri_parking *parking, uint64_t *ret_kept, uint64_t *ret_file)
{
    dri_spool_stats(parking->spool, ret_kept, ret_file);
}

struct dray_slice dri_parking_unit(struct dri_parking *parking, uint64_t place)
{
    struct dri_spooled spooled;
    struct dri_park park;
    if (place == 0 || dri_spool_get(parking->spool, place, &spooled) != DRAY_OK ||
        dri_park_read(spooled.headers, &park) != DRAY_OK) {
        return (struct dray_slice){NULL, 0};
    }
    return park.unit;
}
