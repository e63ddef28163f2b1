/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_executor.c - lanes with real threads, a real registry, and handlers that stand in this file.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dray/handler.h>
#include <dray/writer.h>

#include "executor.h"
#include "lock.h"
#include "mem.h"
#include "queue.h"
#include "registry.h"
#include "support/test.h"

#define LANES   2
#define FLIGHTS 16

static _Atomic(int) calls;
static _Atomic(int) cancels;
static _Atomic(bool) may_go;

static enum dray_error_kind echo_attempt(struct dray_call *call)
{
    atomic_fetch_add(&calls, 1);
    dray_write_uint(&call->result, call->attempt);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind fail_for_now(struct dray_call *call)
{
    atomic_fetch_add(&calls, 1);
    return dray_call_fail_after(call, DRAY_KIND_UNAVAILABLE, "E42", "the other side sleeps", 70);
}

static enum dray_error_kind write_too_much(struct dray_call *call)
{
    static char big[8192];
    dray_write_slice(&call->result, dray_slice_of(big, sizeof(big)));
    return DRAY_KIND_NONE;
}

static enum dray_error_kind write_two_values(struct dray_call *call)
{
    dray_write_nil(&call->result);
    dray_write_nil(&call->result);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind answer_nonsense(struct dray_call *call)
{
    (void)call;
    return (enum dray_error_kind)4711;
}

static void note_cancel(void *arg)
{
    (void)arg;
    atomic_fetch_add(&cancels, 1);
}

static enum dray_error_kind wait_until_cancelled(struct dray_call *call)
{
    if (dray_call_on_cancel(call, note_cancel, NULL) != DRAY_OK) {
        return DRAY_KIND_INTERNAL;
    }
    atomic_store(&may_go, true);
    while (!dray_call_is_cancelled(call)) {
    }
    while (atomic_load(&cancels) == 0) {
    }
    return dray_call_fail(call, DRAY_KIND_TIMEOUT, "", "cancelled");
}

static enum dray_error_kind write_no_text(struct dray_call *call)
{
    dray_write_slice(&call->result, dray_slice_of("\xff\xfe", 2));
    return DRAY_KIND_NONE;
}

static enum dray_error_kind take_cancel_back(struct dray_call *call)
{
    if (dray_call_on_cancel(call, note_cancel, NULL) != DRAY_OK) {
        return DRAY_KIND_INTERNAL;
    }
    dray_call_off_cancel(call);
    atomic_store(&may_go, true);
    while (!dray_call_is_cancelled(call)) {
    }
    return DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {"echo", "1.0.0", "", "echo", echo_attempt, DRAY_RUN_LANE},
    {"busy", "1.0.0", "", "busy", fail_for_now, DRAY_RUN_LANE},
    {"big", "1.0.0", "", "big", write_too_much, DRAY_RUN_LANE},
    {"two", "1.0.0", "", "two", write_two_values, DRAY_RUN_LANE},
    {"odd", "1.0.0", "", "odd", answer_nonsense, DRAY_RUN_LANE},
    {"wait", "1.0.0", "", "wait", wait_until_cancelled, DRAY_RUN_LANE},
    {"bytes", "1.0.0", "", "bytes", write_no_text, DRAY_RUN_LANE},
    {"back", "1.0.0", "", "back", take_cancel_back, DRAY_RUN_LANE},
};

static void bind_static(void *arg, struct dri_route *route)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (dray_slice_equal_text(route->view.name, handlers[i].name)) {
            route->handler = &handlers[i];
        }
    }
    if (route->handler == NULL) {
        snprintf(route->failure, sizeof(route->failure), "its module is missing");
    }
}

static void unbind_static(void *arg, struct dri_route *route)
{
    (void)arg;
    route->handler = NULL;
}

struct fixture {
    struct dri_registry *registry;
    struct dri_wake wake;
    struct dri_executor *executor;
    const struct dri_executor_ops *ops;
    struct dri_flight flights[FLIGHTS];
};

static void put_route(struct fixture *fixture, const char *name, struct dri_policy policy,
                      enum dri_route_state state, uint64_t revision)
{
    struct dri_route_view view = {
        .ns = dray_slice_text("default"),
        .name = dray_slice_text(name),
        .version = dray_slice_text("1.0.0"),
        .runtime = dray_slice_text("native"),
        .module = dray_slice_text("m.so"),
        .handler = dray_slice_text(name),
        .state = state,
        .policy = policy,
        .has_version = true,
    };
    uint8_t bytes[512];
    size_t len = 0;
    char text[200] = "";
    struct dri_registry_conflict conflict;
    test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
    test_ok(dri_registry_put(fixture->registry, 0, revision, dray_slice_of(bytes, len), &conflict,
                             text, sizeof(text)));
}

static int set_up(void **state)
{
    struct fixture *fixture = dri_zalloc(sizeof(*fixture));
    struct dri_registry_config registry = {
        .bind = bind_static, .unbind = unbind_static, .readers_max = LANES};
    test_ok(dri_registry_create(&registry, &fixture->registry));
    put_route(fixture, "echo", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 1);
    put_route(fixture, "busy", (struct dri_policy){.attempts = 3, .budget_ms = 3600000},
              DRI_ROUTE_ACTIVE, 2);
    put_route(fixture, "big", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 3);
    put_route(fixture, "two", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 4);
    put_route(fixture, "odd", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 5);
    put_route(fixture, "wait", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 6);
    put_route(fixture, "held", (struct dri_policy){0}, DRI_ROUTE_PAUSED, 7);
    put_route(fixture, "gone", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 8);
    put_route(fixture, "bytes", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 9);
    put_route(fixture, "back", (struct dri_policy){0}, DRI_ROUTE_ACTIVE, 10);
    test_ok(dri_wake_init(&fixture->wake));
    struct dri_lanes_config lanes = {
        .lanes = LANES,
        .lane_depth = 8,
        .chain_max = 8,
        .result_bytes_max = 4096,
        .worker = "w-1",
        .registry = fixture->registry,
        .wake = &fixture->wake,
    };
    test_ok(dri_lanes_create(&lanes, &fixture->executor));
    fixture->ops = ((struct dri_executor_base *)(void *)fixture->executor)->ops;
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        fixture->flights[i].index = i;
        fixture->flights[i].generation = 1;
    }
    atomic_store(&calls, 0);
    atomic_store(&cancels, 0);
    atomic_store(&may_go, false);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    test_ok(dri_lanes_stop(fixture->executor, 30000));
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        fixture->ops->release(fixture->executor, &fixture->flights[i]);
    }
    dri_lanes_destroy(fixture->executor);
    dri_wake_fini(&fixture->wake);
    dri_registry_destroy(fixture->registry);
    dri_free(fixture);
    assert_int_equal(dri_mem_live(), 0);
    return 0;
}

static struct dri_flight *flight_of(struct fixture *fixture, uint32_t index, const char *command)
{
    struct dri_flight *flight = &fixture->flights[index];
    flight->envelope.id = dray_slice_text("id");
    flight->envelope.command = dray_slice_text(command);
    flight->envelope.namespace_ = dray_slice_text("default");
    flight->attempt = 1;
    return flight;
}

/* Waits for count flights to come back, in the order in which they do. */
static void take_back(struct fixture *fixture, struct dri_flight **ret_flights, size_t count)
{
    size_t got = 0;
    while (got < count) {
        size_t more = fixture->ops->take(fixture->executor, ret_flights + got, count - got);
        got += more;
        if (more == 0) {
            dri_wake_prepare(&fixture->wake);
            more = fixture->ops->take(fixture->executor, ret_flights + got, count - got);
            got += more;
            if (more == 0) {
                dri_wake_wait(&fixture->wake, UINT64_C(60000000000));
            } else {
                dri_wake_cancel(&fixture->wake);
            }
        }
    }
}

static struct dri_flight *run_one(struct fixture *fixture, const char *command)
{
    struct dri_flight *flight = flight_of(fixture, 0, command);
    struct dri_flight *back = NULL;
    fixture->ops->submit(fixture->executor, 0, flight);
    fixture->ops->flush(fixture->executor);
    take_back(fixture, &back, 1);
    assert_ptr_equal(back, flight);
    assert_true(flight->was_run);
    return flight;
}

static void a_handler_runs_and_its_result_comes_back(void **state)
{
    struct dri_flight *flight = run_one(*state, "echo");
    assert_int_equal(flight->kind, DRAY_KIND_NONE);
    assert_int_equal(flight->result.len, 1);
    assert_int_equal(flight->result.at[0], 1);
    test_slice("1.0.0", flight->version);
    assert_int_equal(flight->revision, 1);
    assert_true(flight->ended_ns >= flight->started_ns);
}

static void a_failure_carries_its_words_and_the_handlers_wish_when_to_retry(void **state)
{
    struct dri_flight *flight = run_one(*state, "busy");
    assert_int_equal(flight->kind, DRAY_KIND_UNAVAILABLE);
    test_slice("E42", flight->error_code);
    test_slice("the other side sleeps", flight->error_message);
    assert_true(flight->verdict.is_retry);
    assert_in_range(flight->verdict.delay_ms, 70, 77);
    flight->attempt = 3;
    struct fixture *fixture = *state;
    fixture->ops->submit(fixture->executor, 0, flight);
    fixture->ops->flush(fixture->executor);
    take_back(fixture, &flight, 1);
    assert_false(flight->verdict.is_retry); /* the route allows three */
}

static void past_the_routes_budget_a_failure_is_final(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight *flight = run_one(fixture, "busy");
    assert_true(flight->verdict.is_retry);
    flight->first_failed_ms -= 3600000;
    fixture->ops->submit(fixture->executor, 0, flight);
    fixture->ops->flush(fixture->executor);
    take_back(fixture, &flight, 1);
    assert_int_equal(flight->kind, DRAY_KIND_UNAVAILABLE);
    assert_false(flight->verdict.is_retry);
}

static void what_cannot_be_found_is_told_apart(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_one(fixture, "none.such")->kind, DRAY_KIND_UNKNOWN_COMMAND);
    struct dri_flight *flight = run_one(fixture, "gone");
    assert_int_equal(flight->kind, DRAY_KIND_UNAVAILABLE);
    assert_non_null(strstr((const char *)flight->error_message.at, "its module is missing"));
    flight->envelope.version = dray_slice_text("2.0.0");
    assert_int_equal(run_one(fixture, "echo")->kind, DRAY_KIND_VERSION_MISMATCH);
    assert_non_null(strstr((const char *)flight->error_message.at, "\"2.0.0\""));
    flight->envelope.version = (struct dray_slice){NULL, 0};
    flight->envelope.namespace_ = dray_slice_text("default");
}

static void a_function_id_runs_what_it_was_made_from_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight *flight = run_one(fixture, "echo");
    flight->envelope.has_fid = true;
    flight->envelope.fid = dri_fid(dray_slice_text("default"), dray_slice_text("echo"),
                                   dray_slice_text("1.0.0"), dray_slice_text(""));
    assert_int_equal(run_one(fixture, "echo")->kind, DRAY_KIND_NONE);
    assert_int_equal(run_one(fixture, "busy")->kind, DRAY_KIND_VERSION_MISMATCH);
    flight->envelope.fid++;
    assert_int_equal(run_one(fixture, "echo")->kind, DRAY_KIND_VERSION_MISMATCH);
    assert_non_null(strstr((const char *)flight->error_message.at, "make it anew"));
    flight->envelope.has_fid = false;
}

static void a_command_of_a_paused_route_comes_back_unrun_with_what_is_behind_it(void **state)
{
    struct fixture *fixture = *state;
    static const char *const commands[] = {"echo", "held", "echo"};
    struct dri_flight *back[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct dri_flight *flight = flight_of(fixture, i, commands[i]);
        flight->next = i < 2 ? &fixture->flights[i + 1] : NULL;
    }
    fixture->ops->submit(fixture->executor, 1, &fixture->flights[0]);
    fixture->ops->flush(fixture->executor);
    take_back(fixture, back, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(back[i]->was_run, i < 1);
    }
    assert_int_equal(atomic_load(&calls), 1);
}

static void a_result_that_cannot_travel_is_no_failure_of_the_command(void **state)
{
    struct dri_flight *flight = run_one(*state, "big");
    assert_int_equal(flight->kind, DRAY_KIND_NONE);
    assert_true(flight->is_result_too_large);
}

static void a_handler_that_breaks_the_contract_counts_as_internal(void **state)
{
    assert_int_equal(run_one(*state, "two")->kind, DRAY_KIND_INTERNAL);
    assert_int_equal(run_one(*state, "odd")->kind, DRAY_KIND_INTERNAL);
    assert_int_equal(run_one(*state, "bytes")->kind, DRAY_KIND_INTERNAL);
}

static void a_chain_stops_at_the_first_failure_and_hands_the_rest_back_unrun(void **state)
{
    struct fixture *fixture = *state;
    static const char *const commands[] = {"echo", "busy", "echo", "echo"};
    struct dri_flight *back[4];
    for (uint32_t i = 0; i < 4; i++) {
        struct dri_flight *flight = flight_of(fixture, i, commands[i]);
        flight->next = i < 3 ? &fixture->flights[i + 1] : NULL;
    }
    fixture->ops->submit(fixture->executor, 1, &fixture->flights[0]);
    fixture->ops->flush(fixture->executor);
    take_back(fixture, back, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_ptr_equal(back[i], &fixture->flights[i]);
        assert_int_equal(back[i]->was_run, i < 2);
    }
    assert_int_equal(atomic_load(&calls), 2);
}

static void a_cancelled_handler_is_told_and_may_end(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight *flight = flight_of(fixture, 3, "wait");
    fixture->ops->submit(fixture->executor, 0, flight);
    fixture->ops->flush(fixture->executor);
    while (!atomic_load(&may_go)) {
    }
    fixture->ops->cancel(fixture->executor, &fixture->flights[4]); /* another: ignored */
    assert_int_equal(atomic_load(&cancels), 0);
    fixture->ops->cancel(fixture->executor, flight);
    take_back(fixture, &flight, 1);
    assert_int_equal(flight->kind, DRAY_KIND_TIMEOUT);
    assert_int_equal(atomic_load(&cancels), 1);
}

static void a_cancel_function_that_was_taken_back_is_not_called(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight *flight = flight_of(fixture, 7, "back");
    fixture->ops->submit(fixture->executor, 0, flight);
    fixture->ops->flush(fixture->executor);
    while (!atomic_load(&may_go)) {
    }
    fixture->ops->cancel(fixture->executor, flight);
    take_back(fixture, &flight, 1);
    assert_int_equal(flight->kind, DRAY_KIND_NONE);
    assert_int_equal(atomic_load(&cancels), 0);
}

static void a_deadline_cancels_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight *flight = flight_of(fixture, 5, "wait");
    flight->deadline_ms = dri_clock_wall_ms() + 60;
    fixture->ops->submit(fixture->executor, 0, flight);
    fixture->ops->flush(fixture->executor);
    take_back(fixture, &flight, 1);
    assert_int_equal(flight->kind, DRAY_KIND_TIMEOUT);
    assert_int_equal(atomic_load(&cancels), 1);
}

static void what_is_recalled_or_late_by_then_comes_back_unrun_with_all_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight *back[4];
    struct dri_flight *slow = flight_of(fixture, 8, "wait");
    struct dri_flight *recalled = flight_of(fixture, 9, "echo");
    struct dri_flight *late = flight_of(fixture, 10, "echo");
    struct dri_flight *behind = flight_of(fixture, 11, "echo");
    late->next = behind;
    fixture->ops->submit(fixture->executor, 0, slow);
    fixture->ops->submit(fixture->executor, 0, recalled);
    fixture->ops->flush(fixture->executor);
    while (!atomic_load(&may_go)) {
    }
    late->deadline_ms = 1;
    fixture->ops->submit(fixture->executor, 0, late);
    fixture->ops->flush(fixture->executor);
    fixture->ops->cancel(fixture->executor, recalled);
    assert_int_equal(atomic_load(&cancels), 0); /* another one runs */
    fixture->ops->cancel(fixture->executor, slow);
    take_back(fixture, back, 4);
    assert_ptr_equal(back[0], slow);
    assert_true(slow->was_run);
    assert_false(recalled->was_run);
    assert_false(late->was_run);
    assert_false(behind->was_run);
    assert_int_equal(atomic_load(&calls), 0);
    recalled->is_recalled = false;
}

static void retries_on_several_lanes_share_no_blocks(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned round = 0; round < 500; round++) {
        struct dri_flight *back[8];
        for (uint32_t i = 0; i < 8; i++) {
            struct dri_flight *flight = flight_of(fixture, i, round % 2 == 0 ? "busy" : "echo");
            flight->next = NULL; /* its outcome block of the last round is still on it */
            fixture->ops->submit(fixture->executor, (i + round) % LANES, flight);
        }
        fixture->ops->flush(fixture->executor);
        take_back(fixture, back, 8);
        for (uint32_t i = 0; i < 8; i++) {
            assert_true(back[i]->was_run);
            if (round % 2 == 0) {
                test_slice("E42", back[i]->error_code);
            } else {
                assert_int_equal(back[i]->result.at[0], 1);
            }
        }
    }
}

static void stopping_cancels_what_runs_and_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->ops->submit(fixture->executor, 1, flight_of(fixture, 6, "wait"));
    fixture->ops->flush(fixture->executor);
    while (!atomic_load(&may_go)) {
    }
    /* tear_down stops; it fails when the handler was not told */
}

static void thousands_of_runs_use_the_same_few_blocks(void **state)
{
    struct fixture *fixture = *state;
    size_t live = 0;
    for (unsigned round = 0; round < 2000; round++) {
        struct dri_flight *back[FLIGHTS];
        for (uint32_t i = 0; i < FLIGHTS / 2; i++) {
            struct dri_flight *flight = flight_of(fixture, i, "echo");
            flight->next = NULL;
            fixture->ops->submit(fixture->executor, i % LANES, flight);
        }
        fixture->ops->flush(fixture->executor);
        take_back(fixture, back, FLIGHTS / 2);
        for (uint32_t i = 0; i < FLIGHTS / 2; i++) {
            assert_int_equal(back[i]->kind, DRAY_KIND_NONE);
            fixture->ops->release(fixture->executor, back[i]);
        }
        if (round == 100) {
            live = dri_mem_live();
        }
    }
    assert_true(dri_mem_live() <= live + FLIGHTS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_handler_runs_and_its_result_comes_back),
        CASE(a_failure_carries_its_words_and_the_handlers_wish_when_to_retry),
        CASE(past_the_routes_budget_a_failure_is_final),
        CASE(what_cannot_be_found_is_told_apart),
        CASE(a_function_id_runs_what_it_was_made_from_and_nothing_else),
        CASE(a_command_of_a_paused_route_comes_back_unrun_with_what_is_behind_it),
        CASE(a_result_that_cannot_travel_is_no_failure_of_the_command),
        CASE(a_handler_that_breaks_the_contract_counts_as_internal),
        CASE(a_chain_stops_at_the_first_failure_and_hands_the_rest_back_unrun),
        CASE(a_cancelled_handler_is_told_and_may_end),
        CASE(a_cancel_function_that_was_taken_back_is_not_called),
        CASE(a_deadline_cancels_by_itself),
        CASE(what_is_recalled_or_late_by_then_comes_back_unrun_with_all_behind_it),
        CASE(retries_on_several_lanes_share_no_blocks),
        CASE(stopping_cancels_what_runs_and_waits_for_it),
        CASE(thousands_of_runs_use_the_same_few_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
