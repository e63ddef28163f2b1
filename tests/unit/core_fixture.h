/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_CORE_FIXTURE_H
#define DRAY_CORE_FIXTURE_H

/* core_fixture.h - a core, a clock that the test moves, and what the core said, in order.
 *
 * Every step is followed by dri_core_check. Expectations take actions from the front; a test ends
 * with nothing left that it did not expect.
 */

#include "core/check.h"
#include "core/core.h"
#include "mem.h"
#include "support/test.h"

#define FIXTURE_ACTIONS 4096u

struct said {
    struct dri_core_action action;
    uint64_t offset;      /* of the flight, as it was */
    uint32_t chain;       /* START: how many */
    uint64_t offsets[16]; /* START: whose */
};

struct fixture {
    struct dri_core *core;
    struct dri_core_config config;
    struct dri_now now;
    struct said said[FIXTURE_ACTIONS];
    size_t head, tail;
};

static inline struct dri_core_config fixture_config(void)
{
    return (struct dri_core_config){
        .in_flight_max = 64,
        .unacked_max = 64,
        .bytes_max = 1u << 20,
        .slots_max = 4,
        .lanes = 2,
        .lane_depth = 2,
        .chain_max = 4,
        .settle_ms = 100,
        .revoke_ms = 1000,
        .drain_ms = 5000,
        .republish_ms = 100,
    };
}

static inline void fixture_open(struct fixture *fx, struct dri_core_config config)
{
    memset(fx, 0, sizeof(*fx));
    fx->config = config;
    fx->now = (struct dri_now){.mono_ns = UINT64_C(1000000000), .wall_ms = UINT64_C(1700000000000)};
    void *memory = dri_zalloc(dri_core_bytes(&config));
    assert_non_null(memory);
    fx->core = dri_core_init(memory, &config);
}

static inline int fixture_setup(void **state)
{
    struct fixture *fx = dri_zalloc(sizeof(*fx));
    assert_non_null(fx);
    fixture_open(fx, fixture_config());
    *state = fx;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fx = *state;
    dri_free(fx->core);
    dri_free(fx);
    return 0;
}

/* Begin anew with another configuration. */
static inline void fixture_reopen(struct fixture *fx, struct dri_core_config config)
{
    dri_free(fx->core);
    fixture_open(fx, config);
}

static inline void fixture_check(const struct fixture *fx)
{
    const char *fault = dri_core_check(fx->core);
    if (fault != NULL) {
        fail_msg("%s", fault);
    }
}

static inline void fixture_read(struct fixture *fx)
{
    struct dri_core_action actions[7];
    size_t count;
    while ((count = dri_core_actions(fx->core, actions, DRI_ARRAY_LEN(actions))) > 0) {
        for (size_t i = 0; i < count; i++) {
            assert_true(fx->tail < FIXTURE_ACTIONS);
            struct said *said = &fx->said[fx->tail++];
            *said = (struct said){.action = actions[i]};
            enum dri_core_action_type type = actions[i].type;
            if (type == DRI_CA_SETTLE || type == DRI_CA_UNASSIGN || type == DRI_CA_DRAINED) {
                continue;
            }
            assert_true(type != DRI_CA_UNPARK || i + 1 == count);
            if (type == DRI_CA_UNPARK || type == DRI_CA_FORGET) {
                said->offset = actions[i].as.parked.offset;
                continue;
            }
            said->offset = actions[i].as.run.flight->offset;
            if (type == DRI_CA_START) {
                for (const struct dri_flight *f = actions[i].as.run.flight; f != NULL;
                     f = f->next) {
                    assert_true(said->chain < DRI_ARRAY_LEN(said->offsets));
                    said->offsets[said->chain++] = f->offset;
                }
            }
        }
    }
}

static inline void feed_all(struct fixture *fx, const struct dri_core_event *events, size_t count)
{
    dri_core_step(fx->core, fx->now, events, count);
    fixture_check(fx);
    fixture_read(fx);
    fixture_check(fx);
}

static inline void feed(struct fixture *fx, struct dri_core_event event)
{
    feed_all(fx, &event, 1);
}

static inline void tick_ms(struct fixture *fx, uint64_t ms)
{
    fx->now.mono_ns += ms * UINT64_C(1000000);
    fx->now.wall_ms += ms;
    feed_all(fx, NULL, 0);
}

/* --- events --- */

static inline void assign_at(struct fixture *fx, uint32_t slot, uint32_t epoch, int64_t committed)
{
    struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = slot, .epoch = epoch};
    event.as.assigned.is_watermark = true;
    event.as.assigned.committed = committed;
    feed(fx, event);
}

static inline void assign(struct fixture *fx, uint32_t slot, uint32_t epoch)
{
    assign_at(fx, slot, epoch, 0);
}

static inline void assign_each(struct fixture *fx, uint32_t slot, uint32_t epoch, uint64_t lease_ms)
{
    struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = slot, .epoch = epoch};
    event.as.assigned.is_watermark = false;
    event.as.assigned.committed = -1;
    event.as.assigned.lease_ns = lease_ms * UINT64_C(1000000);
    feed(fx, event);
}

static inline void about_slot(struct fixture *fx, enum dri_core_event_type type, uint32_t slot,
                              uint32_t epoch)
{
    feed(fx, (struct dri_core_event){.type = type, .slot = slot, .epoch = epoch});
}

/* A flight ready to be fed. key 0: none. */
static inline struct dri_flight *fill(struct fixture *fx, uint32_t slot, uint32_t epoch,
                                      uint64_t offset, uint64_t key)
{
    struct dri_flight *flight = dri_core_take(fx->core);
    assert_non_null(flight);
    flight->slot = slot;
    flight->epoch = epoch;
    flight->offset = offset;
    flight->delivery = offset * 10 + 1;
    flight->deliveries = 1;
    flight->received_ns = fx->now.mono_ns;
    flight->has_key = key != 0;
    flight->key_hash = key;
    flight->has_id = true;
    flight->wants_result = true;
    flight->bytes = 100;
    return flight;
}

static inline struct dri_flight *record(struct fixture *fx, struct dri_flight *flight)
{
    struct dri_core_event event = {
        .type = DRI_CE_RECORD, .slot = flight->slot, .epoch = flight->epoch};
    event.as.flight = flight;
    feed(fx, event);
    return flight;
}

/* One record of slot 0, epoch 1. */
static inline struct dri_flight *come(struct fixture *fx, uint64_t offset, uint64_t key)
{
    return record(fx, fill(fx, 0, 1, offset, key));
}

/** The same, of a group. */
static inline struct dri_flight *come_of(struct fixture *fx, uint64_t offset, uint64_t key,
                                         uint32_t group)
{
    struct dri_flight *flight = fill(fx, 0, 1, offset, key);
    flight->group = group;
    return record(fx, flight);
}

static inline void done_event(struct fixture *fx, struct dri_flight *flight)
{
    struct dri_core_event event = {
        .type = DRI_CE_DONE, .slot = flight->slot, .epoch = flight->epoch};
    event.as.flight = flight;
    feed(fx, event);
}

static inline void done_ok(struct fixture *fx, struct dri_flight *flight)
{
    flight->was_run = true;
    flight->kind = DRAY_KIND_NONE;
    done_event(fx, flight);
}

static inline void done_failed(struct fixture *fx, struct dri_flight *flight,
                               enum dray_error_kind kind)
{
    flight->was_run = true;
    flight->kind = kind;
    flight->verdict = (struct dri_verdict){.is_retry = false};
    done_event(fx, flight);
}

static inline void done_retry(struct fixture *fx, struct dri_flight *flight, uint32_t delay_ms)
{
    flight->was_run = true;
    flight->kind = DRAY_KIND_NETWORK;
    flight->verdict = (struct dri_verdict){.is_retry = true, .delay_ms = delay_ms};
    done_event(fx, flight);
}

static inline void done_unrun(struct fixture *fx, struct dri_flight *flight)
{
    flight->was_run = false;
    done_event(fx, flight);
}

static inline void answer_token(struct fixture *fx, uint64_t token, enum dri_core_ack ack,
                                enum dray_status reason)
{
    struct dri_core_event event = {.type = DRI_CE_PUBLISHED};
    event.as.published.token = token;
    event.as.published.ack = ack;
    event.as.published.reason = reason;
    event.as.published.offset = UINT64_MAX;
    feed(fx, event);
}

static inline void answer(struct fixture *fx, struct dri_flight *flight, enum dri_core_ack ack,
                          enum dray_status reason)
{
    answer_token(fx, dri_flight_token(flight), ack, reason);
}

static inline void stored(struct fixture *fx, struct dri_flight *flight)
{
    answer(fx, flight, DRI_CORE_STORED, DRAY_OK);
}

static inline void settled(struct fixture *fx, uint32_t slot, uint32_t epoch, uint64_t position,
                           enum dray_status status)
{
    struct dri_core_event event = {.type = DRI_CE_SETTLED, .slot = slot, .epoch = epoch};
    event.as.settled.position = position;
    event.as.settled.status = status;
    feed(fx, event);
}

#endif
