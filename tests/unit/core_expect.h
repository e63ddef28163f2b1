/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_CORE_EXPECT_H
#define DRAY_CORE_EXPECT_H

/* core_expect.h - what a core said, taken from the front and compared. */

#include "core_fixture.h"

static inline const struct said *expect(struct fixture *fx, enum dri_core_action_type type)
{
    if (fx->head == fx->tail) {
        fail_msg("wants action %d, and nothing was said", (int)type);
    }
    const struct said *said = &fx->said[fx->head++];
    if (said->action.type != type) {
        fail_msg("wants action %d, got %d (offset %llu)", (int)type, (int)said->action.type,
                 (unsigned long long)said->offset);
    }
    return said;
}

static inline void expect_nothing(struct fixture *fx)
{
    if (fx->head != fx->tail) {
        fail_msg("got action %d (offset %llu), and wants nothing",
                 (int)fx->said[fx->head].action.type,
                 (unsigned long long)fx->said[fx->head].offset);
    }
}

/* A chain of one. */
static inline struct dri_flight *expect_start(struct fixture *fx, uint64_t offset)
{
    const struct said *said = expect(fx, DRI_CA_START);
    assert_int_equal(said->chain, 1);
    assert_int_equal(said->offset, offset);
    return said->action.as.run.flight;
}

static inline struct dri_flight *expect_publish(struct fixture *fx, uint64_t offset,
                                                enum dri_outcome outcome)
{
    const struct said *said = expect(fx, DRI_CA_PUBLISH);
    assert_int_equal(said->offset, offset);
    assert_int_equal(said->action.as.run.outcome, outcome);
    return said->action.as.run.flight;
}

static inline void expect_release(struct fixture *fx, uint64_t offset)
{
    assert_int_equal(expect(fx, DRI_CA_RELEASE)->offset, offset);
}

static inline void expect_flight(struct fixture *fx, enum dri_core_action_type type,
                                 uint64_t offset)
{
    assert_int_equal(expect(fx, type)->offset, offset);
}

static inline void expect_settle(struct fixture *fx, uint32_t slot, uint64_t position,
                                 bool is_final)
{
    const struct said *said = expect(fx, DRI_CA_SETTLE);
    assert_true(said->action.as.settle.is_watermark);
    assert_int_equal(said->action.slot, slot);
    assert_int_equal(said->action.as.settle.position, position);
    assert_int_equal(said->action.as.settle.is_final, is_final);
}

static inline void expect_ack(struct fixture *fx, uint64_t delivery)
{
    const struct said *said = expect(fx, DRI_CA_SETTLE);
    assert_false(said->action.as.settle.is_watermark);
    assert_int_equal(said->action.as.settle.delivery, delivery);
}

static inline void expect_unassign(struct fixture *fx, uint32_t slot, uint32_t epoch)
{
    const struct said *said = expect(fx, DRI_CA_UNASSIGN);
    assert_int_equal(said->action.slot, slot);
    assert_int_equal(said->action.epoch, epoch);
}

static inline void expect_drained(struct fixture *fx, bool is_clean)
{
    assert_int_equal(expect(fx, DRI_CA_DRAINED)->action.as.is_clean, is_clean);
}

static inline struct dri_core_stats stats_of(const struct fixture *fx)
{
    struct dri_core_stats stats;
    dri_core_stats(fx->core, &stats);
    return stats;
}

/* Whatever was not expected is forgotten: for the part of a test that only leads up to its point.
 */
static inline void forget_said(struct fixture *fx)
{
    fx->head = fx->tail;
}

/* ok, result stored. */
static inline void succeed(struct fixture *fx, struct dri_flight *flight)
{
    done_ok(fx, flight);
    stored(fx, flight);
}

#endif
