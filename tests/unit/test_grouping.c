/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_grouping.c - a real registry and its router before an engine whose broker and lanes only
 * record: what a change of the routes does to what comes and to what is in flight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "mem.h"
#include "registry.h"
#include "routing.h"
#include "support/test.h"
#include "wire/result.h"

#define MESSAGES     64u
#define BYTES        256u
#define ROUTES       6u /* groups of the engine: three by name, two of routes, one of the rest */
#define SYSTEMIC_MIN 5u

struct fixture {
    struct dri_transport_base base; /* first: the fixture is the transport */
    struct dri_executor_base run;   /* and, from here on, the executor */
    struct dri_transport_event events[MESSAGES];
    size_t events_count;
    struct dri_flight *running[MESSAGES];
    size_t running_count;
    struct dri_flight *done;
    size_t published;
    uint8_t last[BYTES]; /* that was published */
    size_t last_len;
    uint8_t bytes[MESSAGES][BYTES];
    uint64_t offset;
    struct dri_registry *registry;
    uint64_t revision;
    struct dri_router *router;
    struct dri_engine *engine;
    struct dri_now now;
};

static size_t fake_poll(struct dri_transport *self, struct dri_now now, size_t messages_max,
                        struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    struct fixture *fx = (struct fixture *)(void *)self;
    size_t count = fx->events_count;
    (void)now;
    (void)messages_max;
    (void)max;
    memcpy(ret_events, fx->events, count * sizeof(*ret_events));
    fx->events_count = 0;
    *ret_more = false;
    return count;
}

static size_t fake_publish(struct dri_transport *self, struct dri_now now,
                           const struct dri_publish *messages, size_t count)
{
    struct fixture *fx = (struct fixture *)(void *)self;
    (void)now;
    for (size_t i = 0; i < count && messages[i].value.len <= BYTES; i++) {
        memcpy(fx->last, messages[i].value.at, messages[i].value.len);
        fx->last_len = messages[i].value.len;
    }
    fx->published += count;
    return count;
}

static void fake_settle(struct dri_transport *self, struct dri_now now,
                        const struct dri_settle *settles, size_t count)
{
    (void)self;
    (void)now;
    (void)settles;
    (void)count;
}

static uint64_t fake_next_deadline(struct dri_transport *self)
{
    (void)self;
    return UINT64_MAX;
}

static const struct dri_transport_ops fake_ops = {
    .scheme = "fake",
    .has_dedup = true,
    .poll = fake_poll,
    .publish = fake_publish,
    .settle = fake_settle,
    .next_deadline = fake_next_deadline,
};

static struct fixture *fixture_of(struct dri_executor *self)
{
    return (struct fixture *)(void *)((char *)self - offsetof(struct fixture, run));
}

static void fake_submit(struct dri_executor *self, uint32_t lane, struct dri_flight *chain)
{
    struct fixture *fx = fixture_of(self);
    (void)lane;
    for (; chain != NULL; chain = chain->next) {
        fx->running[fx->running_count++] = chain;
    }
}

static size_t fake_take(struct dri_executor *self, struct dri_flight **ret_flights, size_t max)
{
    struct fixture *fx = fixture_of(self);
    (void)max;
    if (fx->done == NULL) {
        return 0;
    }
    ret_flights[0] = fx->done;
    fx->done = NULL;
    return 1;
}

static void fake_nothing(struct dri_executor *self)
{
    (void)self;
}

static void fake_flight(struct dri_executor *self, struct dri_flight *flight)
{
    (void)self;
    (void)flight;
}

static size_t fake_take_returned(struct dri_executor *self, struct dri_flight **ret_flights,
                                 size_t max)
{
    (void)self;
    (void)ret_flights;
    (void)max;
    return 0; /* none is ever deaf */
}

static const struct dri_executor_ops fake_run = {
    .submit = fake_submit,
    .take = fake_take,
    .take_returned = fake_take_returned,
    .flush = fake_nothing,
    .cancel = fake_flight,
    .release = fake_flight,
};

static bool turn(struct fixture *fx)
{
    bool is_idle = false;
    fx->now.mono_ns += 1000000;
    fx->now.wall_ms += 1;
    test_ok(dri_engine_turn(fx->engine, fx->now, &is_idle));
    return is_idle;
}

static int set_up_with(void **state, uint32_t groups)
{
    struct fixture *fx = calloc(1, sizeof(*fx));
    fx->base.ops = &fake_ops;
    fx->run.ops = &fake_run;
    fx->now = (struct dri_now){1000000000, 1700000000000};
    const struct dri_registry_config registry = {.readers_max = 2};
    test_ok(dri_registry_create(&registry, &fx->registry));
    test_ok(dri_router_create(fx->registry, &fx->router));
    const struct dri_engine_config config = {
        .core = {.in_flight_max = 64,
                 .unacked_max = 64,
                 .bytes_max = 1u << 20,
                 .slots_max = 2,
                 .lanes = 1,
                 .lane_depth = 64,
                 .chain_max = 8,
                 .groups_max = groups,
                 .settle_ms = 100,
                 .revoke_ms = 1000,
                 .drain_ms = 1000,
                 .republish_ms = 10,
                 .systemic_share = 50,
                 .systemic_min = SYSTEMIC_MIN,
                 .systemic_window_ms = 1000,
                 .systemic_probe_ms = 500},
        .transport_ops = &fake_ops,
        .transport = (struct dri_transport *)(void *)fx,
        .executor = (struct dri_executor *)(void *)&fx->run,
        .router = fx->router,
        .worker = "w-1",
        .namespace_ = "default",
        .results_topic = "results",
        .dead_letters_topic = "dlq",
        .dependency_failures = 2,
        .dependency_open_ms = 500,
        .order = DRI_ORDER_KEY,
        .limits = DRI_WIRE_LIMITS_DEFAULT,
    };
    test_ok(dri_engine_create(&config, &fx->engine));
    fx->events[0] =
        (struct dri_transport_event){.type = DRI_TE_ASSIGNED,
                                     .epoch = 1,
                                     .as.assigned = {.role = DRI_ROLE_COMMANDS,
                                                     .mode = DRI_SETTLE_EACH,
                                                     .committed = -1,
                                                     .lease_ns = UINT64_C(3600000000000),
                                                     .origin = dray_slice_text("COMMANDS"),
                                                     .topic = dray_slice_text("commands")}};
    fx->events_count = 1;
    (void)turn(fx);
    *state = fx;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, ROUTES);
}

static int set_up_large(void **state)
{
    return set_up_with(state, 64);
}

static int tear_down(void **state)
{
    struct fixture *fx = *state;
    dri_engine_destroy(fx->engine);
    dri_router_destroy(fx->router);
    dri_registry_destroy(fx->registry);
    assert_int_equal(dri_mem_live(), 0);
    free(fx);
    return 0;
}

/* Puts a route, or in its place. */
static void put(struct fixture *fx, const char *name, const struct dri_policy *policy,
                enum dri_route_state route_state)
{
    const struct dri_route_view view = {
        .name = dray_slice_text(name),
        .version = dray_slice_text("1.0.0"),
        .module = dray_slice_text("m.so"),
        .handler = dray_slice_text("h"),
        .state = route_state,
        .policy = *policy,
    };
    uint8_t bytes[1024];
    char key[256];
    char text[256];
    size_t len = 0;
    struct dri_registry_conflict conflict;
    test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
    (void)snprintf(key, sizeof(key), "default/%s@1.0.0", name);
    const struct dri_route *present = dri_registry_find_key(fx->registry, dray_slice_text(key));
    test_ok(dri_registry_put(fx->registry, present != NULL ? present->revision : 0, ++fx->revision,
                             dray_slice_of(bytes, len), &conflict, text, sizeof(text)));
}

static void send(struct fixture *fx, const char *name, const char *key)
{
    const struct dri_envelope envelope = {
        .id = dray_slice_text("id-1"),
        .command = dray_slice_text(name),
        .key = key != NULL ? dray_slice_text(key) : (struct dray_slice){NULL, 0},
    };
    uint64_t offset = fx->offset++;
    size_t len = 0;
    test_ok(dri_envelope_encode(&envelope, fx->bytes[offset], BYTES, &len));
    fx->events[fx->events_count++] = (struct dri_transport_event){
        .type = DRI_TE_MESSAGE,
        .epoch = 1,
        .as.message = {.offset = offset,
                       .delivery = 100 + offset,
                       .deliveries = 1,
                       .timestamp_ms = -1,
                       .subject = dray_slice_text("commands"),
                       .value = dray_slice_of(fx->bytes[offset], len)}};
    (void)turn(fx);
}

/* The run that was started first comes back. */
static void finish(struct fixture *fx, enum dray_error_kind kind)
{
    assert_true(fx->running_count > 0);
    struct dri_flight *flight = fx->running[0];
    memmove(fx->running, fx->running + 1, --fx->running_count * sizeof(fx->running[0]));
    flight->was_run = true;
    flight->kind = kind;
    flight->started_ns = 1000;
    flight->ended_ns = 8000;
    flight->verdict = (struct dri_verdict){.is_retry = false};
    fx->done = flight;
    (void)turn(fx);
}

static const struct dri_policy none = {.concurrency = 0};

static void commands_of_a_paused_route_wait_and_run_when_it_resumes(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &none, DRI_ROUTE_PAUSED);
    put(fx, "b", &none, DRI_ROUTE_ACTIVE);
    send(fx, "a", "1");
    send(fx, "a", NULL);
    send(fx, "b", NULL);
    assert_int_equal(fx->running_count, 1);
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    assert_false(turn(fx)); /* nothing came from the broker, and there was something to do */
    assert_int_equal(fx->running_count, 3);
    assert_true(turn(fx));
    assert_int_equal(fx->published, 0);
}

static void a_draining_route_takes_nothing_new_and_finishes_what_runs(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 1);
    put(fx, "a", &none, DRI_ROUTE_DRAINING);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 1);
    finish(fx, DRAY_KIND_NONE);
    assert_int_equal(fx->running_count, 0);
    assert_int_equal(fx->published, 1);
}

static void a_limit_holds_for_what_was_in_flight_before_it_came(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    for (unsigned i = 0; i < 2; i++) {
        send(fx, "a", "k");
    }
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 2); /* the second of the key waits */
    put(fx, "a", &(struct dri_policy){.concurrency = 1}, DRI_ROUTE_ACTIVE);
    (void)turn(fx);
    finish(fx, DRAY_KIND_NONE);
    assert_int_equal(fx->running_count, 1);
    finish(fx, DRAY_KIND_NONE);
    assert_int_equal(fx->running_count, 1);
    finish(fx, DRAY_KIND_NONE);
    assert_int_equal(fx->running_count, 0);
}

static void a_route_that_is_removed_leaves_no_limit_behind(void **state)
{
    struct fixture *fx = *state;
    struct dri_registry_conflict conflict;
    put(fx, "a", &none, DRI_ROUTE_PAUSED);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 0);
    test_ok(dri_registry_remove(fx->registry, dray_slice_text("default/a@1.0.0"), 1, ++fx->revision,
                                &conflict));
    (void)turn(fx);
    assert_int_equal(fx->running_count, 1); /* the lane will say that there is no such route */
}

static void a_route_may_have_an_order_of_its_own(void **state)
{
    struct fixture *fx = *state;
    put(fx, "free", &(struct dri_policy){.has_order = true, .order = DRI_ORDER_NONE},
        DRI_ROUTE_ACTIVE);
    put(fx, "strict", &(struct dri_policy){.has_order = true, .order = DRI_ORDER_PARTITION},
        DRI_ROUTE_ACTIVE);
    send(fx, "free", "k");
    send(fx, "free", "k");
    assert_int_equal(fx->running_count, 2);
    send(fx, "strict", NULL);
    send(fx, "strict", "k");
    assert_int_equal(fx->running_count, 3);
    put(fx, "free", &(struct dri_policy){.has_order = true, .order = DRI_ORDER_KEY},
        DRI_ROUTE_ACTIVE);
    send(fx, "free", "m");
    send(fx, "free", "m");
    assert_int_equal(fx->running_count, 4);
}

static void of_one_key_as_many_run_at_once_as_may(void **state)
{
    struct fixture *fx = *state;
    const struct dri_policy policy = {
        .has_order = true, .order = DRI_ORDER_NONE, .key_concurrency = 2};
    put(fx, "a", &policy, DRI_ROUTE_ACTIVE);
    for (unsigned i = 0; i < 12; i++) {
        send(fx, "a", "k");
        assert_true(fx->running_count <= 2);
    }
    assert_int_equal(fx->running_count, 2);
    send(fx, "a", NULL); /* without a key there is no bound */
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 4);
    send(fx, "a", "another");
    assert_int_equal(fx->running_count, 5);
    for (unsigned i = 0; i < 15; i++) {
        finish(fx, DRAY_KIND_NONE);
    }
    assert_int_equal(fx->published, 15);
}

static void a_rate_lets_through_a_tenth_of_a_second_at_once(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &(struct dri_policy){.rate = 50}, DRI_ROUTE_ACTIVE);
    put(fx, "b", &(struct dri_policy){.rate = 50, .burst = 2}, DRI_ROUTE_ACTIVE);
    for (unsigned i = 0; i < 8; i++) {
        send(fx, "b", NULL);
    }
    assert_int_equal(fx->running_count, 2);
    for (unsigned i = 0; i < 8; i++) {
        send(fx, "a", NULL);
    }
    assert_int_equal(fx->running_count, 2 + 5);
}

static void a_rate_that_is_shared_is_divided_by_the_replicas(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &(struct dri_policy){.rate = 40, .burst = 4, .is_rate_shared = true},
        DRI_ROUTE_ACTIVE);
    put(fx, "b", &(struct dri_policy){.rate = 40, .burst = 4}, DRI_ROUTE_ACTIVE);
    for (unsigned i = 0; i < 4; i++) {
        send(fx, "b", NULL);
    }
    assert_int_equal(fx->running_count, 4); /* its own in each replica */
    for (unsigned i = 0; i < 6; i++) {
        send(fx, "a", NULL);
    }
    assert_int_equal(fx->running_count, 4 + 1); /* nobody knows how many there are */
    dri_engine_set_replicas(fx->engine, 2);
    fx->now.mono_ns += UINT64_C(10000000000);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 4 + 1 + 2);
    dri_engine_set_replicas(fx->engine, 0);
    for (unsigned i = 0; i < 10; i++) { /* one that was due already, and then a long time none */
        fx->now.mono_ns += UINT64_C(100000000);
        (void)turn(fx);
    }
    assert_int_equal(fx->running_count, 4 + 1 + 2 + 1);
}

static void a_failure_of_kind_auth_pauses_its_route_without_a_letter(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    put(fx, "b", &none, DRI_ROUTE_ACTIVE);
    send(fx, "a", "k");
    finish(fx, DRAY_KIND_AUTH);
    send(fx, "a", NULL);
    send(fx, "b", NULL);
    assert_int_equal(fx->running_count, 1); /* b */
    assert_int_equal(fx->published, 0);
    finish(fx, DRAY_KIND_NONE);
    fx->now.mono_ns += UINT64_C(60000000000);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 1); /* the probe */
    finish(fx, DRAY_KIND_NONE);
    assert_int_equal(fx->running_count, 1); /* the other one */
    finish(fx, DRAY_KIND_NONE);
    for (unsigned i = 0; i < 3; i++) {
        send(fx, "a", NULL);
    }
    assert_int_equal(fx->running_count, 3);
    assert_int_equal(fx->published, 3);
}

static void a_route_that_failed_with_auth_and_is_paused_then_stays_paused(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    finish(fx, DRAY_KIND_AUTH);
    put(fx, "a", &none, DRI_ROUTE_PAUSED); /* closes its breaker */
    for (unsigned i = 0; i < 3; i++) {
        send(fx, "a", NULL);
    }
    assert_int_equal(fx->running_count, 0);
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 4);
}

static void while_most_commands_fail_a_route_that_does_is_stopped_alone(void **state)
{
    struct fixture *fx = *state;
    put(fx, "a", &none, DRI_ROUTE_ACTIVE);
    put(fx, "b", &none, DRI_ROUTE_ACTIVE); /* both would share one group with everything else */
    for (unsigned i = 0; i < SYSTEMIC_MIN; i++) {
        send(fx, "a", NULL);
        finish(fx, DRAY_KIND_NETWORK);
    }
    assert_int_equal(fx->published, SYSTEMIC_MIN - 1);
    assert_int_equal(fx->running_count, 1); /* the last one, once more */
    finish(fx, DRAY_KIND_NETWORK);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 0);
    send(fx, "b", NULL);
    send(fx, "nobody.knows", NULL);
    assert_int_equal(fx->running_count, 2);
    finish(fx, DRAY_KIND_NONE);
    finish(fx, DRAY_KIND_UNKNOWN_COMMAND);
    assert_int_equal(fx->published, SYSTEMIC_MIN - 1 + 2);
    fx->now.mono_ns += UINT64_C(500000000);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 1); /* the probe */
    finish(fx, DRAY_KIND_NONE);
    assert_int_equal(fx->running_count, 1);
    finish(fx, DRAY_KIND_NONE);
    send(fx, "a", NULL); /* and its group is given back */
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 2);
    assert_int_equal(fx->published, SYSTEMIC_MIN - 1 + 4);
}

/* The run that was started first fails with this code. */
static void fail_with(struct fixture *fx, const char *code)
{
    fx->running[0]->error_code = dray_slice_text(code);
    finish(fx, DRAY_KIND_NETWORK);
}

static void a_dependency_stops_the_routes_that_name_it(void **state)
{
    struct fixture *fx = *state;
    const struct dri_policy policy = {.depends = {{(const uint8_t *)"db", 2}}, .depends_count = 1};
    put(fx, "a", &policy, DRI_ROUTE_ACTIVE);
    put(fx, "c", &none, DRI_ROUTE_ACTIVE);
    for (unsigned i = 0; i < 2; i++) {
        send(fx, "a", NULL);
        fail_with(fx, i == 0 ? "db:57014" : "whatever");
    }
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 0);
    put(fx, "other", &none, DRI_ROUTE_ACTIVE); /* another route's change is none of its own */
    (void)turn(fx);
    assert_int_equal(fx->running_count, 0);
    send(fx, "c", NULL);
    assert_int_equal(fx->running_count, 1);
    finish(fx, DRAY_KIND_NONE);
    fx->now.mono_ns += UINT64_C(500000000);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 1);
    finish(fx, DRAY_KIND_NONE);
    send(fx, "a", NULL);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 2);
}

static void a_code_that_names_a_dependency_blames_it_alone(void **state)
{
    struct fixture *fx = *state;
    const struct dri_policy policy = {.depends = {{(const uint8_t *)"db", 2}}, .depends_count = 1};
    put(fx, "a", &policy, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    struct dri_flight *flight = fx->running[0];
    fail_with(fx, "db");
    assert_true(flight->blamed != 0);
    send(fx, "a", NULL);
    flight = fx->running[0];
    fail_with(fx, "dbx");
    assert_int_equal(flight->blamed, 0);
}

static struct dri_result last_result(const struct fixture *fx)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error;
    struct dri_result result;
    test_ok(dri_result_decode(dray_slice_of(fx->last, fx->last_len), &limits, &result, &error));
    return result;
}

static void a_route_whose_breaker_is_open_answers_with_its_fallback(void **state)
{
    struct fixture *fx = *state;
    const struct dri_policy policy = {.breaker_failures = 1,
                                      .breaker_open_ms = 3600000,
                                      .fallback = {(const uint8_t *)"\xa4soon", 5}};
    const struct dri_policy later = {.breaker_failures = 1,
                                     .breaker_open_ms = 3600000,
                                     .fallback = {(const uint8_t *)"\xa5later", 6}};
    put(fx, "a", &policy, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    finish(fx, DRAY_KIND_NETWORK);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 0);
    assert_int_equal(fx->published, 2);
    struct dri_result result = last_result(fx);
    assert_true(result.is_ok && result.is_fallback);
    test_slice("1.0.0", result.version);
    test_slice("\xa4soon", result.result);
    put(fx, "a", &later, DRI_ROUTE_ACTIVE); /* the one before is still being published */
    send(fx, "a", NULL);
    finish(fx, DRAY_KIND_NETWORK);
    send(fx, "a", NULL);
    test_slice("\xa5later", last_result(fx).result);
    assert_int_equal(fx->published, 4);
}

static void a_breaker_that_is_open_closes_when_its_route_is_changed(void **state)
{
    struct fixture *fx = *state;
    const struct dri_policy policy = {.breaker_failures = 1, .breaker_open_ms = 3600000};
    put(fx, "a", &policy, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    finish(fx, DRAY_KIND_NETWORK); /* its verdict is a letter */
    assert_int_equal(fx->published, 1);
    send(fx, "a", NULL);
    assert_int_equal(fx->running_count, 0);
    put(fx, "b", &none, DRI_ROUTE_ACTIVE);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 0); /* another route's change is none of its own */
    put(fx, "a", &policy, DRI_ROUTE_ACTIVE);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 1);
}

struct told {
    char text[256];
    size_t count;
};

static void tell(void *arg, const char *key, uint32_t limit)
{
    struct told *told = arg;
    told->count++;
    (void)snprintf(told->text, sizeof(told->text), "%s %u", key, limit);
}

static struct told limits_of(const struct fixture *fx)
{
    struct told told = {.count = 0};
    dri_engine_each_limit(fx->engine, tell, &told);
    return told;
}

static void a_limit_that_finds_itself_is_told_from_the_first_command_of_its_route_on(void **state)
{
    struct fixture *fx = *state;
    const struct dri_policy adaptive = {.concurrency = 9, .concurrency_min = 2};
    const struct dri_policy fixed = {.concurrency = 9};
    put(fx, "a", &adaptive, DRI_ROUTE_ACTIVE);
    put(fx, "b", &fixed, DRI_ROUTE_ACTIVE);
    send(fx, "b", NULL);
    assert_int_equal(limits_of(fx).count, 0);
    for (unsigned i = 0; i < 6; i++) {
        send(fx, "a", NULL);
    }
    assert_string_equal(limits_of(fx).text, "default/a@1.0.0 2");
    for (unsigned i = 0; i < 5; i++) {
        finish(fx, DRAY_KIND_NONE); /* that of b, and a window of a */
    }
    assert_string_equal(limits_of(fx).text, "default/a@1.0.0 2");
    for (unsigned i = 0; i < 6; i++) {
        send(fx, "a", NULL);
        finish(fx, DRAY_KIND_NONE);
    }
    assert_string_equal(limits_of(fx).text, "default/a@1.0.0 3");
    assert_int_equal(limits_of(fx).count, 1);
    put(fx, "a", &fixed, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    assert_int_equal(limits_of(fx).count, 0);
    put(fx, "a", &adaptive, DRI_ROUTE_ACTIVE);
    send(fx, "a", NULL);
    assert_string_equal(limits_of(fx).text, "default/a@1.0.0 2");
    struct dri_registry_conflict conflict;
    uint64_t present = fx->revision;
    test_ok(dri_registry_remove(fx->registry, dray_slice_text("default/a@1.0.0"), present,
                                ++fx->revision, &conflict));
    (void)turn(fx);
    assert_int_equal(limits_of(fx).count, 0);
}

static void more_routes_than_groups_run_without_limits_until_there_is_room(void **state)
{
    struct fixture *fx = *state;
    char name[8];
    const struct dri_policy policy = {.concurrency = 1};
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "r%u", i);
        put(fx, name, &policy, DRI_ROUTE_ACTIVE);
        send(fx, name, NULL);
        send(fx, name, NULL);
    }
    assert_int_equal(fx->running_count, 2 + 2); /* the third has no group */
    put(fx, "r4", &none, DRI_ROUTE_PAUSED);
    send(fx, "r4", NULL);
    assert_int_equal(fx->running_count, 2 + 2); /* but paused is paused */
    put(fx, "r4", &none, DRI_ROUTE_ACTIVE);
    (void)turn(fx);
    assert_int_equal(fx->running_count, 2 + 2 + 1);
    while (fx->running_count > 0) {
        finish(fx, DRAY_KIND_NONE);
    }
    put(fx, "other", &none, DRI_ROUTE_ACTIVE); /* any change: what nobody uses is given anew */
    send(fx, "r2", NULL);
    send(fx, "r2", NULL);
    assert_int_equal(fx->running_count, 1);
}

int main(void)
{
#define CASE(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CASE_LARGE(name) cmocka_unit_test_setup_teardown(name, set_up_large, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(commands_of_a_paused_route_wait_and_run_when_it_resumes),
        CASE(a_draining_route_takes_nothing_new_and_finishes_what_runs),
        CASE(a_limit_holds_for_what_was_in_flight_before_it_came),
        CASE(a_route_that_is_removed_leaves_no_limit_behind),
        CASE(a_route_may_have_an_order_of_its_own),
        CASE(of_one_key_as_many_run_at_once_as_may),
        CASE(a_rate_lets_through_a_tenth_of_a_second_at_once),
        CASE(a_rate_that_is_shared_is_divided_by_the_replicas),
        CASE(a_failure_of_kind_auth_pauses_its_route_without_a_letter),
        CASE(a_route_that_failed_with_auth_and_is_paused_then_stays_paused),
        CASE(while_most_commands_fail_a_route_that_does_is_stopped_alone),
        CASE_LARGE(a_dependency_stops_the_routes_that_name_it),
        CASE_LARGE(a_code_that_names_a_dependency_blames_it_alone),
        CASE(a_route_whose_breaker_is_open_answers_with_its_fallback),
        CASE(a_breaker_that_is_open_closes_when_its_route_is_changed),
        CASE(a_limit_that_finds_itself_is_told_from_the_first_command_of_its_route_on),
        CASE(more_routes_than_groups_run_without_limits_until_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
