/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_ENGINE_FIXTURE_H
#define DRAY_ENGINE_FIXTURE_H

/* engine_fixture.h - the shell around the core, with a transport, an executor and a router that
 * only record. The case puts events in, looks at what was
 * published and settled, and answers. */
#include "engine_fakes.h"

static inline void make_engine(struct fixture *fixture)
{
    static const char *const patterns[] = {"results", "results.*", "_INBOX.>"};
    struct dri_engine_config config = {
        .core = {.in_flight_max = 32,
                 .unacked_max = 32,
                 .bytes_max = 1u << 20,
                 .slots_max = 4,
                 .lanes = 1,
                 .lane_depth = 32,
                 .chain_max = 8,
                 .settle_ms = 100,
                 .revoke_ms = 1000,
                 .drain_ms = 1000,
                 .republish_ms = 10},
        .transport_ops = &fake_ops,
        .transport = (struct dri_transport *)(void *)fixture,
        .executor = (struct dri_executor *)(void *)&fixture->run,
        .router = (struct dri_router *)(void *)&fixture->route,
        .worker = "w-1",
        .namespace_ = "default",
        .namespaces = "default,other",
        .results_topic = "results",
        .dead_letters_topic = "dlq",
        .window_topic = "window.g.commands",
        .window_entries = 10,
        .window_bytes = 100000,
        .window_ms = 3600000,
        .reply_patterns = patterns,
        .reply_patterns_count = 3,
        .order = DRI_ORDER_KEY,
        .limits = DRI_WIRE_LIMITS_DEFAULT,
    };
    test_ok(dri_engine_create(&config, &fixture->engine));
    fixture->events[0] = (struct dri_transport_event){
        .type = DRI_TE_ASSIGNED,
        .slot = 2,
        .epoch = 6,
        .as.assigned = {.role = DRI_ROLE_WINDOW, .committed = -1, .partition = 3}};
    fixture->events[1] =
        (struct dri_transport_event){.type = DRI_TE_ASSIGNED,
                                     .slot = 1,
                                     .epoch = 7,
                                     .as.assigned = {.role = DRI_ROLE_COMMANDS,
                                                     .mode = DRI_SETTLE_EACH,
                                                     .window = 2,
                                                     .committed = -1,
                                                     .lease_ns = 30000000000,
                                                     .origin = dray_slice_text("COMMANDS"),
                                                     .topic = dray_slice_text("commands")}};
    fixture->events_count = 2;
}

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->base.ops = &fake_ops;
    fixture->run.ops = &fake_run;
    fixture->route.ops = &fake_router;
    fixture->take_max = EVENTS;
    fixture->now = (struct dri_now){1000000000, 1700000000000};
    make_engine(fixture);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dri_engine_destroy(fixture->engine);
    assert_int_equal(dri_mem_live(), 0);
    free(fixture);
    return 0;
}

static inline void turn(struct fixture *fixture)
{
    bool is_idle = false;
    fixture->now.mono_ns += 1000000;
    fixture->now.wall_ms += 1;
    test_ok(dri_engine_turn(fixture->engine, fixture->now, &is_idle));
}

static uint8_t bytes_of_message[EVENTS][BYTES];

static inline void receive_bytes(struct fixture *fixture, uint64_t offset, const void *value,
                                 size_t len, struct dray_slice headers)
{
    memcpy(bytes_of_message[offset], value, len);
    fixture->events[fixture->events_count++] = (struct dri_transport_event){
        .type = DRI_TE_MESSAGE,
        .slot = 1,
        .epoch = 7,
        .as.message = {.offset = offset,
                       .delivery = 100 + offset,
                       .deliveries = 1,
                       .is_last = offset == 50,
                       .timestamp_ms = offset == 40 ? -1 : SOURCE_MS,
                       .subject = dray_slice_text("commands"),
                       .key = dray_slice_text("k"),
                       .value = dray_slice_of(bytes_of_message[offset], len),
                       .headers = headers}};
    turn(fixture);
}

static inline void receive(struct fixture *fixture, uint64_t offset, struct dri_envelope envelope)
{
    uint8_t value[BYTES];
    size_t len = 0;
    envelope.id = dray_slice_text("id-1");
    envelope.command = dray_slice_text("do.it");
    test_ok(dri_envelope_encode(&envelope, value, sizeof(value), &len));
    receive_bytes(fixture, offset, value, len, (struct dray_slice){NULL, 0});
}

static inline void finish(struct fixture *fixture, enum dray_error_kind kind)
{
    struct dri_flight *flight = fixture->started[--fixture->started_count];
    flight->was_run = true;
    flight->kind = kind;
    flight->started_ns = 1000;
    flight->ended_ns = 8000;
    flight->version = dray_slice_text("1.0.0");
    flight->verdict = (struct dri_verdict){.is_retry = false};
    fixture->done[fixture->done_count++] = flight;
    turn(fixture);
}

static inline void acknowledge(struct fixture *fixture, uint64_t token, enum dri_ack ack,
                               enum dray_status reason)
{
    fixture->events[fixture->events_count++] = (struct dri_transport_event){
        .type = DRI_TE_PUBLISHED, .as.published = {.token = token, .ack = ack, .reason = reason}};
    turn(fixture);
}

static inline struct dri_result result_of(const struct published *published)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_result result;
    struct dri_wire_error error = {"", "", 0};
    test_ok(dri_result_decode(dray_slice_of(published->value, published->value_len), &limits,
                              &result, &error));
    return result;
}

#endif
