/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_ENGINE_FIXTURE_H
#define DRAY_ENGINE_FIXTURE_H

/* engine_fixture.h - the shell around the core, with a transport, an executor and a router that
 * only record. One turn of the engine at a time: the case puts events in, looks at what was
 * published and settled, and answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "mem.h"
#include "result.h"
#include "routing.h"
#include "support/test.h"

#define EVENTS 64
#define BYTES  4096

#define SOURCE_MS INT64_C(1690000000123)

struct published {
    uint64_t token;
    char topic[64], key[64], dedup_id[64];
    uint64_t dedup_from_ms;
    size_t mark_at, mark_len;
    uint8_t value[BYTES], headers[BYTES];
    size_t value_len, headers_len;
    int32_t partition;
    bool is_courtesy;
};

struct fixture {
    struct dri_transport_base base; /* first: the fixture is the transport */
    struct dri_executor_base run;   /* and, from here on, the executor */
    struct dri_router_base route;   /* and the router */
    uint64_t revision;
    uint32_t window_ms; /* of the one route; 0: it has none */
    struct dri_transport_event events[EVENTS];
    size_t events_count;
    size_t messages_max; /* of the last poll */
    char pauses[200];    /* "+slot/epoch" paused, "-slot/epoch" resumed */
    struct published published[EVENTS];
    size_t published_count;
    size_t take_max; /* publishes that the transport takes at once */
    struct dri_settle settles[EVENTS];
    size_t settles_count;
    struct dri_flight *started[EVENTS];
    size_t started_count;
    struct dri_flight *done[EVENTS];
    size_t done_count;
    struct dri_engine *engine;
    struct dri_now now;
};

static inline size_t fake_poll(struct dri_transport *self, struct dri_now now, size_t messages_max,
                               struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    struct fixture *fixture = (struct fixture *)(void *)self;
    (void)now;
    fixture->messages_max = messages_max;
    assert_true(fixture->events_count <= max);
    memcpy(ret_events, fixture->events, fixture->events_count * sizeof(*ret_events));
    size_t count = fixture->events_count;
    fixture->events_count = 0;
    *ret_more = false;
    return count;
}

static inline void copy_text(char *to, size_t bytes, struct dray_slice from)
{
    snprintf(to, bytes, "%.*s", (int)from.len, from.at != NULL ? (const char *)from.at : "");
}

static inline size_t fake_publish(struct dri_transport *self, struct dri_now now,
                                  const struct dri_publish *messages, size_t count)
{
    struct fixture *fixture = (struct fixture *)(void *)self;
    (void)now;
    size_t taken = count < fixture->take_max ? count : fixture->take_max;
    for (size_t i = 0; i < taken; i++) {
        assert_true(fixture->published_count < EVENTS);
        struct published *published = &fixture->published[fixture->published_count++];
        published->token = messages[i].token;
        published->is_courtesy = messages[i].is_courtesy;
        published->partition = messages[i].partition;
        copy_text(published->topic, sizeof(published->topic), messages[i].topic);
        copy_text(published->key, sizeof(published->key), messages[i].key);
        copy_text(published->dedup_id, sizeof(published->dedup_id), messages[i].dedup_id);
        published->dedup_from_ms = messages[i].dedup_from_ms;
        published->mark_len = messages[i].dedup_mark.len;
        if (messages[i].dedup_mark.at != NULL) {
            published->mark_at = (size_t)(messages[i].dedup_mark.at - messages[i].value.at);
        }
        assert_true(messages[i].value.len <= BYTES && messages[i].headers.len <= BYTES);
        published->value_len = messages[i].value.len;
        published->headers_len = messages[i].headers.len;
        memcpy(published->value, messages[i].value.at, messages[i].value.len);
        if (messages[i].headers.len > 0) {
            memcpy(published->headers, messages[i].headers.at, messages[i].headers.len);
        }
    }
    return taken;
}

static inline void fake_settle(struct dri_transport *self, struct dri_now now,
                               const struct dri_settle *settles, size_t count)
{
    struct fixture *fixture = (struct fixture *)(void *)self;
    (void)now;
    for (size_t i = 0; i < count; i++) {
        fixture->settles[fixture->settles_count++] = settles[i];
    }
}

static inline uint64_t fake_next_deadline(struct dri_transport *self)
{
    (void)self;
    return UINT64_MAX;
}

static inline void note_pause(struct dri_transport *self, char sign, uint32_t slot, uint32_t epoch)
{
    char *pauses = ((struct fixture *)(void *)self)->pauses;
    size_t len = strlen(pauses);
    snprintf(pauses + len, sizeof(((struct fixture *)0)->pauses) - len, "%c%u/%u ", sign, slot,
             epoch);
}

static inline void fake_unassign(struct dri_transport *self, uint32_t slot, uint32_t epoch)
{
    (void)self;
    (void)slot;
    (void)epoch;
}

static inline void fake_pause(struct dri_transport *self, uint32_t slot, uint32_t epoch)
{
    note_pause(self, '+', slot, epoch);
}

static inline void fake_resume(struct dri_transport *self, uint32_t slot, uint32_t epoch)
{
    note_pause(self, '-', slot, epoch);
}

static const struct dri_transport_ops fake_ops = {
    .scheme = "fake",
    .poll = fake_poll,
    .publish = fake_publish,
    .settle = fake_settle,
    .next_deadline = fake_next_deadline,
    .unassign = fake_unassign,
    .pause = fake_pause,
    .resume = fake_resume,
};

static inline struct fixture *fixture_of(struct dri_executor *self)
{
    return (struct fixture *)(void *)((char *)self - offsetof(struct fixture, run));
}

static inline void fake_submit(struct dri_executor *self, uint32_t lane, struct dri_flight *chain)
{
    struct fixture *fixture = fixture_of(self);
    (void)lane;
    for (; chain != NULL; chain = chain->next) {
        fixture->started[fixture->started_count++] = chain;
    }
}

static inline size_t fake_take(struct dri_executor *self, struct dri_flight **ret_flights,
                               size_t max)
{
    struct fixture *fixture = fixture_of(self);
    size_t count = fixture->done_count;
    assert_true(count <= max);
    memcpy(ret_flights, fixture->done, count * sizeof(*ret_flights));
    fixture->done_count = 0;
    return count;
}

static inline void fake_nothing(struct dri_executor *self)
{
    (void)self;
}

static inline void fake_flight(struct dri_executor *self, struct dri_flight *flight)
{
    (void)self;
    (void)flight;
}

static inline size_t fake_take_returned(struct dri_executor *self, struct dri_flight **ret_flights,
                                        size_t max)
{
    (void)self;
    (void)ret_flights;
    (void)max;
    return 0;
}

static const struct dri_executor_ops fake_run = {
    .submit = fake_submit,
    .take = fake_take,
    .take_returned = fake_take_returned,
    .flush = fake_nothing,
    .cancel = fake_flight,
    .release = fake_flight,
};

static inline struct fixture *of_router(const struct dri_router *self)
{
    return (struct fixture *)(uintptr_t)((uintptr_t)self - offsetof(struct fixture, route));
}

static inline uint64_t route_revision(const struct dri_router *self)
{
    return of_router(self)->revision;
}

static inline bool has_special_route(const struct dri_router *self)
{
    return of_router(self)->window_ms != 0;
}

static inline void route_enter_or_leave(struct dri_router *self)
{
    (void)self;
}

static inline void route_resolve(struct dri_router *self, const struct dri_flight *flight,
                                 struct dri_routing *ret_routing)
{
    (void)flight;
    *ret_routing = (struct dri_routing){.key = dray_slice_text("default/do.it@1.0.0"),
                                        .revision = of_router(self)->revision,
                                        .is_special = true,
                                        .window_ms = of_router(self)->window_ms};
}

static const struct dri_router_ops fake_router = {
    .revision = route_revision,
    .has_special = has_special_route,
    .enter = route_enter_or_leave,
    .leave = route_enter_or_leave,
    .resolve = route_resolve,
};

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
