/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_ENGINE_FAKES_H
#define DRAY_ENGINE_FAKES_H

/* engine_fakes.h - a transport, an executor and a router that only record what an engine asks of
 * them, in one fixture. */
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
    .has_dedup = true,
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

#endif
