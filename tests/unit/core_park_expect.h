/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_CORE_PARK_EXPECT_H
#define DRAY_CORE_PARK_EXPECT_H

/* core_park_expect.h - a core with a park log: slot 0 is the source, slot 1 its park log, both in
 * epoch 1 and settled by watermark; what waits longer than 1 s is parked. */

#include "assert.h"
#include "core_expect.h"
#include "groups.h"

#define LONG_MS 5000u
#define ORIGIN  UINT64_C(77)

static inline struct dri_core_config park_config(void)
{
    struct dri_core_config config = fixture_config();
    config.park_max = 16;
    config.park_after_ms = 1000;
    return config;
}

static inline void assign_park(struct fixture *fx, uint32_t epoch)
{
    struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = 1, .epoch = epoch};
    event.as.assigned.is_watermark = true;
    event.as.assigned.is_park = true;
    event.as.assigned.park = UINT32_MAX;
    feed(fx, event);
}

static inline void assign_source(struct fixture *fx, uint32_t epoch)
{
    struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = 0, .epoch = epoch};
    event.as.assigned.is_watermark = true;
    event.as.assigned.park = 1;
    event.as.assigned.origin_hash = ORIGIN;
    feed(fx, event);
}

/* What was committed says that everything was parked, or has ended. */
static inline void all_settled(struct fixture *fx)
{
    settled(fx, 0, 1, 100, DRAY_OK);
}

static inline void caught_up(struct fixture *fx)
{
    about_slot(fx, DRI_CE_CAUGHT_UP, 1, 1);
}

static inline int begin(void **state)
{
    struct fixture *fx;
    fixture_setup(state);
    fx = *state;
    fixture_reopen(fx, park_config());
    assign_park(fx, 1);
    assign_source(fx, 1);
    caught_up(fx);
    return 0;
}

static inline void stored_at(struct fixture *fx, struct dri_flight *flight, uint64_t offset)
{
    struct dri_core_event event = {.type = DRI_CE_PUBLISHED};
    event.as.published.token = dri_flight_token(flight);
    event.as.published.ack = DRI_CORE_STORED;
    event.as.published.offset = offset;
    feed(fx, event);
}

/* A record of the park log as it was first written for the message at `source`. */
static inline struct dri_core_parked parked_of(uint64_t offset, uint64_t source, uint64_t key)
{
    return (struct dri_core_parked){.offset = offset,
                                    .order = offset,
                                    .source_hash = dri_park_source_mix(ORIGIN, source),
                                    .source_offset = source,
                                    .key_hash = key,
                                    .has_key = key != 0,
                                    .place = 1000 + offset};
}

static inline void read_back(struct fixture *fx, struct dri_core_parked parked)
{
    struct dri_core_event event = {.type = DRI_CE_PARKED, .slot = 1, .epoch = 1};
    event.as.parked = &parked;
    feed(fx, event);
}

/* Settles, releases and what is forgotten are said in between; a test looks for them only where
 * they are its point. */
static inline bool is_housekeeping(const struct said *said)
{
    enum dri_core_action_type type = said->action.type;
    return type == DRI_CA_SETTLE || type == DRI_CA_RELEASE || type == DRI_CA_FORGET;
}

static inline const struct said *want(struct fixture *fx, enum dri_core_action_type type)
{
    while (fx->head < fx->tail && is_housekeeping(&fx->said[fx->head]) &&
           fx->said[fx->head].action.type != type) {
        fx->head++;
    }
    return expect(fx, type);
}

static inline struct dri_flight *want_publish(struct fixture *fx, uint64_t offset,
                                              enum dri_outcome outcome)
{
    const struct said *said = want(fx, DRI_CA_PUBLISH);
    assert_int_equal(said->offset, offset);
    assert_int_equal(said->action.as.run.outcome, outcome);
    return said->action.as.run.flight;
}

static inline struct dri_flight *want_start(struct fixture *fx, uint64_t offset)
{
    const struct said *said = want(fx, DRI_CA_START);
    assert_int_equal(said->chain, 1);
    assert_int_equal(said->offset, offset);
    return said->action.as.run.flight;
}

static inline void want_settle(struct fixture *fx, uint32_t slot, uint64_t position)
{
    const struct said *said = want(fx, DRI_CA_SETTLE);
    assert_int_equal(said->action.slot, slot);
    assert_int_equal(said->action.as.settle.position, position);
}

static inline void want_forgotten(struct fixture *fx, uint64_t place)
{
    assert_int_equal(want(fx, DRI_CA_FORGET)->action.as.parked.place, place);
}

static inline void want_nothing(struct fixture *fx)
{
    while (fx->head < fx->tail && is_housekeeping(&fx->said[fx->head])) {
        fx->head++;
    }
    expect_nothing(fx);
}

/* What the log has of a copy that was published. */
static inline struct dri_core_parked copy_of(const struct dri_flight *flight, uint64_t offset,
                                             uint64_t source)
{
    struct dri_core_parked parked = parked_of(offset, source, flight->key_hash);
    parked.order = flight->has_park_order ? flight->park_order : offset;
    parked.due_ms = flight->park_due_ms;
    parked.attempts = flight->attempt;
    parked.kind = flight->park_kind;
    return parked;
}

static inline struct dri_flight *take_out(struct fixture *fx, uint64_t offset)
{
    const struct said *said = want(fx, DRI_CA_UNPARK);
    assert_int_equal(said->action.as.parked.offset, offset);
    assert_int_equal(said->action.as.parked.place, 1000 + offset);
    struct dri_flight *flight = dri_core_take_parked(fx->core, said->action.as.parked.entry);
    assert_int_equal(flight->offset, offset);
    flight->received_ns = fx->now.mono_ns;
    flight->has_id = true;
    flight->wants_result = true;
    flight->bytes = 100;
    return flight;
}

/* It comes out and runs. */
static inline struct dri_flight *come_out(struct fixture *fx, uint64_t offset, uint64_t key)
{
    struct dri_flight *flight = take_out(fx, offset);
    flight->has_key = key != 0;
    flight->key_hash = key;
    record(fx, flight);
    assert_ptr_equal(want_start(fx, offset), flight);
    return flight;
}

/* A command of key 7 that fails and has to wait long is parked at 0, read back, settled. */
static inline void park_first(struct fixture *fx)
{
    struct dri_flight *flight = come(fx, 0, 7);
    want_start(fx, 0);
    done_retry(fx, flight, LONG_MS);
    want_publish(fx, 0, DRI_OUTCOME_PARK);
    struct dri_core_parked copy = copy_of(flight, 0, 0);
    stored_at(fx, flight, 0);
    read_back(fx, copy);
    tick_ms(fx, 100);
    want_settle(fx, 0, 1);
    settled(fx, 0, 1, 1, DRAY_OK);
}

static inline void done_exhausted(struct fixture *fx, struct dri_flight *flight,
                                  enum dri_exhausted exhausted)
{
    flight->was_run = true;
    flight->kind = DRAY_KIND_REJECTED;
    flight->verdict = (struct dri_verdict){.is_retry = false, .exhausted = exhausted};
    done_event(fx, flight);
}

static inline struct dri_core_parked release_at(uint64_t offset, uint64_t key)
{
    struct dri_core_parked release = parked_of(offset, 0, key);
    release.kind = DRI_PARK_RELEASE;
    release.place = 0;
    return release;
}

#endif
