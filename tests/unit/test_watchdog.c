/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_watchdog.c - handlers that ignore their time limit, with real threads: they wait for the
 * test, so nothing here depends on how fast the machine is but for patience. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dray/handler.h>
#include <dray/writer.h>

#include "executor.h"
#include "mem.h"
#include "queue.h"
#include "registry.h"
#include "support/test.h"

#define LANES     2u
#define FLIGHTS   16u
#define STUCK_MS  40u
#define READERS   12u
#define FOR_EVER  UINT64_C(120000000000)
#define NO_LIMIT  0u
#define LIMIT_MS  20u
#define LONG_TEXT "the answer that nobody waits for any more"

static _Atomic(int) calls;
static _Atomic(int) inside;   /* deaf handlers that are running */
static _Atomic(bool) may_go;  /* deaf handlers may return */
static _Atomic(int) returned; /* they did */
static _Atomic(bool) was_told, was_refused;

static void rest(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static enum dray_error_kind echo(struct dray_call *call)
{
    atomic_fetch_add(&calls, 1);
    dray_write_uint(&call->result, 7);
    return DRAY_KIND_NONE;
}

static void ignore(void *arg)
{
    (void)arg;
}

/* Uses all that a handler may use while it is out, and then answers. */
static enum dray_error_kind deaf(struct dray_call *call)
{
    atomic_fetch_add(&inside, 1);
    while (!atomic_load(&may_go)) {
        rest();
        if (dray_call_is_cancelled(call)) {
            atomic_store(&was_told, true);
            if (dray_call_on_cancel(call, ignore, NULL) == DRAY_ECLOSED) {
                atomic_store(&was_refused, true);
            }
        }
        if (call->payload.len != 3 || memcmp(call->payload.at, "\xa2hi", 3) != 0) {
            abort(); /* its bytes were freed under it */
        }
        dray_write_nil(&call->result);
    }
    (void)dray_call_payload_object(call);
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&returned, 1);
    return dray_call_fail(call, DRAY_KIND_REJECTED, "LATE", LONG_TEXT);
}

static enum dray_error_kind obey(struct dray_call *call)
{
    atomic_fetch_add(&inside, 1);
    while (!dray_call_is_cancelled(call)) {
        rest();
    }
    atomic_fetch_sub(&inside, 1);
    return dray_call_fail(call, DRAY_KIND_TIMEOUT, "OBEYED", "in time");
}

/* Returns some hundreds of microseconds after its limit, each time a little later. */
static enum dray_error_kind dawdle(struct dray_call *call)
{
    uint64_t wait_ns = (uint64_t)atomic_fetch_add(&calls, 1) % 60 * 100000u;
    while (!dray_call_is_cancelled(call)) {
    }
    uint64_t until_ns = dri_clock_mono_ns() + wait_ns;
    while (dri_clock_mono_ns() < until_ns) {
    }
    return dray_call_fail(call, DRAY_KIND_TIMEOUT, "OBEYED", "in time");
}

/* Obeys, and has something to put away first. */
static enum dray_error_kind tidy_up(struct dray_call *call)
{
    atomic_fetch_add(&inside, 1);
    while (!dray_call_is_cancelled(call) || !atomic_load(&may_go)) {
        rest();
    }
    return dray_call_fail(call, DRAY_KIND_TIMEOUT, "OBEYED", "in time");
}

static const struct dray_handler handlers[] = {
    {"echo", "1.0.0", "", "echo", echo, DRAY_RUN_LANE},
    {"deaf", "1.0.0", "", "deaf", deaf, DRAY_RUN_LANE},
    {"obey", "1.0.0", "", "obey", obey, DRAY_RUN_LANE},
    {"tidy", "1.0.0", "", "tidy", tidy_up, DRAY_RUN_LANE},
    {"dawdle", "1.0.0", "", "dawdle", dawdle, DRAY_RUN_LANE},
};

static void bind_static(void *arg, struct dri_route *route)
{
    (void)arg;
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (dray_slice_equal_text(route->view.name, handlers[i].name)) {
            route->handler = &handlers[i];
        }
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

static void put_route(struct fixture *fixture, const char *name, uint64_t revision)
{
    struct dri_route_view view = {
        .ns = dray_slice_text("default"),
        .name = dray_slice_text(name),
        .version = dray_slice_text("1.0.0"),
        .runtime = dray_slice_text("native"),
        .module = dray_slice_text("m.so"),
        .handler = dray_slice_text(name),
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

static struct fixture *open_fixture(uint32_t timeout_ms, uint32_t stuck_ms, uint32_t readers)
{
    struct fixture *fixture = dri_zalloc(sizeof(*fixture));
    struct dri_registry_config registry = {
        .bind = bind_static, .unbind = unbind_static, .readers_max = readers};
    test_ok(dri_registry_create(&registry, &fixture->registry));
    put_route(fixture, "echo", 1);
    put_route(fixture, "deaf", 2);
    put_route(fixture, "obey", 3);
    put_route(fixture, "dawdle", 4);
    put_route(fixture, "tidy", 5);
    test_ok(dri_wake_init(&fixture->wake));
    struct dri_lanes_config lanes = {
        .lanes = LANES,
        .lane_depth = 8,
        .chain_max = 8,
        .result_bytes_max = 4096,
        .timeout_ms = timeout_ms,
        .stuck_ms = stuck_ms,
        .worker = "w-1",
        .registry = fixture->registry,
        .wake = &fixture->wake,
    };
    atomic_store(&calls, 0);
    atomic_store(&inside, 0);
    atomic_store(&returned, 0);
    atomic_store(&may_go, false);
    atomic_store(&was_told, false);
    atomic_store(&was_refused, false);
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        fixture->flights[i].index = i;
        fixture->flights[i].generation = 1;
    }
    test_ok(dri_lanes_create(&lanes, &fixture->executor));
    fixture->ops = ((struct dri_executor_base *)(void *)fixture->executor)->ops;
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    atomic_store(&may_go, true);
    test_ok(dri_lanes_stop(fixture->executor, 120000));
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        fixture->ops->release(fixture->executor, &fixture->flights[i]);
    }
    dri_lanes_destroy(fixture->executor);
    dri_wake_fini(&fixture->wake);
    dri_registry_destroy(fixture->registry);
    dri_free(fixture);
    assert_int_equal(dri_mem_live(), 0);
}

static struct dri_flight *flight_of(struct fixture *fixture, uint32_t index, const char *command)
{
    struct dri_flight *flight = &fixture->flights[index];
    flight->envelope.id = dray_slice_text("id");
    flight->envelope.command = dray_slice_text(command);
    flight->envelope.namespace_ = dray_slice_text("default");
    flight->envelope.payload = dray_slice_text("\xa2hi");
    flight->attempt = 1;
    flight->next = NULL;
    flight->has_key = true;
    flight->is_recalled = false;
    return flight;
}

static void submit(struct fixture *fixture, uint32_t lane, struct dri_flight *chain)
{
    fixture->ops->submit(fixture->executor, lane, chain);
    fixture->ops->flush(fixture->executor);
}

typedef size_t take_fn(struct dri_executor *self, struct dri_flight **ret_flights, size_t max);

/* Waits until count flights have come. */
static void take_all(struct fixture *fixture, take_fn *take, struct dri_flight **ret_flights,
                     size_t count)
{
    size_t got = 0;
    for (;;) {
        got += take(fixture->executor, ret_flights + got, count - got);
        if (got == count) {
            return;
        }
        dri_wake_prepare(&fixture->wake);
        size_t more = take(fixture->executor, ret_flights + got, count - got);
        got += more;
        if (more == 0) {
            dri_wake_wait(&fixture->wake, FOR_EVER);
        }
        dri_wake_cancel(&fixture->wake);
    }
}

static void take_back(struct fixture *fixture, struct dri_flight **ret_flights, size_t count)
{
    take_all(fixture, fixture->ops->take, ret_flights, count);
}

static void take_returned(struct fixture *fixture, struct dri_flight **ret_flights, size_t count)
{
    take_all(fixture, fixture->ops->take_returned, ret_flights, count);
}

static struct dri_lanes_stats stats_of(struct fixture *fixture)
{
    struct dri_lanes_stats stats;
    dri_lanes_stats(fixture->executor, &stats);
    return stats;
}

/* Taken to be seen under the lock: the flight comes back a moment before the count. */
static void wait_for_stuck(struct fixture *fixture, uint64_t total)
{
    while (stats_of(fixture).stuck_total < total) {
        rest();
    }
}

static bool has_text(struct dray_slice slice, const char *text)
{
    size_t len = strlen(text);
    for (size_t at = 0; at + len <= slice.len; at++) {
        if (memcmp(slice.at + at, text, len) == 0) {
            return true;
        }
    }
    return false;
}

static void a_deaf_handler_is_given_up_with_its_stack_and_its_lane_goes_on(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(LIMIT_MS, STUCK_MS, READERS);
    struct dri_flight *back[4];
    struct dri_flight *first = flight_of(fixture, 0, "deaf");
    struct dri_flight *behind = flight_of(fixture, 1, "echo");
    struct dri_flight *other = flight_of(fixture, 2, "echo");
    first->next = behind;
    fixture->ops->submit(fixture->executor, 0, first);
    submit(fixture, 0, other);
    take_back(fixture, back, 3);
    assert_ptr_equal(back[0], first);
    assert_true(first->was_run && first->is_stuck && !first->verdict.is_retry);
    assert_int_equal(first->kind, DRAY_KIND_TIMEOUT);
    assert_true(has_text(first->error_message, "had not returned"));
    assert_true(has_text(first->error_message, "its time limit"));
    assert_true(has_text(first->backtrace, "test_watchdog+0x"));
    test_slice("deaf", first->handler);
    assert_true(first->last_failed_ms > 0 && first->ended_ns > first->started_ns);
    assert_ptr_equal(back[1], behind);
    assert_false(behind->was_run);
    assert_ptr_equal(back[2], other); /* the same lane, another thread */
    assert_int_equal(other->kind, DRAY_KIND_NONE);
    assert_false(other->is_stuck);
    wait_for_stuck(fixture, 1);
    assert_int_equal(atomic_load(&inside), 1);
    assert_int_equal(stats_of(fixture).stuck, 1);
    assert_int_equal(fixture->ops->take_returned(fixture->executor, back, 4), 0);
    close_fixture(fixture);
}

static void what_it_answers_at_last_is_dropped_and_its_bytes_come_back(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(LIMIT_MS, STUCK_MS, READERS);
    struct dri_flight *back[1];
    submit(fixture, 1, flight_of(fixture, 3, "deaf"));
    take_back(fixture, back, 1);
    wait_for_stuck(fixture, 1);
    while (!atomic_load(&was_refused)) {
        rest(); /* it still may ask, and is told */
    }
    assert_true(atomic_load(&was_told));
    while (stats_of(fixture).held_ns == 0) {
        rest();
    }
    atomic_store(&may_go, true);
    take_returned(fixture, back, 1);
    assert_ptr_equal(back[0], &fixture->flights[3]);
    assert_int_equal(atomic_load(&returned), 1);
    assert_int_equal(back[0]->kind, DRAY_KIND_TIMEOUT);
    assert_int_equal(back[0]->error_code.len, 0);
    assert_true(back[0]->result.at == NULL || back[0]->result.len == 0);
    assert_false(has_text(back[0]->error_message, LONG_TEXT));
    struct dri_lanes_stats stats = stats_of(fixture);
    assert_true(stats.stuck == 0 && stats.stuck_total == 1 && stats.late_total == 1);
    assert_true(stats.held_ns == 0 && !stats.has_lost_lane);
    close_fixture(fixture);
}

static void one_that_was_told_to_stop_and_has_no_limit_is_given_up_too(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(NO_LIMIT, STUCK_MS, READERS);
    struct dri_flight *flight = flight_of(fixture, 4, "deaf");
    struct dri_flight *back[1];
    submit(fixture, 0, flight);
    while (atomic_load(&inside) == 0) {
        rest();
    }
    fixture->ops->cancel(fixture->executor, flight);
    take_back(fixture, back, 1);
    assert_true(flight->is_stuck);
    assert_true(has_text(flight->error_message, "told to stop"));
    close_fixture(fixture);
}

static void without_a_limit_and_untold_it_may_take_its_time(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(NO_LIMIT, STUCK_MS, READERS);
    struct dri_flight *back[2];
    submit(fixture, 0, flight_of(fixture, 0, "deaf"));
    while (atomic_load(&inside) == 0) {
        rest();
    }
    /* Another one is noticed meanwhile, so the watchdog has looked at both. */
    struct dri_flight *other = flight_of(fixture, 1, "deaf");
    other->deadline_ms = dri_clock_wall_ms() + 1000;
    submit(fixture, 1, other);
    take_back(fixture, back, 1);
    assert_ptr_equal(back[0], other);
    atomic_store(&may_go, true);
    take_back(fixture, back, 1);
    assert_ptr_equal(back[0], &fixture->flights[0]);
    assert_false(back[0]->is_stuck);
    assert_int_equal(back[0]->kind, DRAY_KIND_REJECTED);
    close_fixture(fixture);
}

static void one_that_obeys_within_the_grace_answers_for_itself(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(LIMIT_MS, 120000, READERS);
    struct dri_flight *back[1];
    for (unsigned i = 0; i < 20; i++) {
        submit(fixture, i % LANES, flight_of(fixture, 5, "obey"));
        take_back(fixture, back, 1);
        assert_false(back[0]->is_stuck);
        test_slice("OBEYED", back[0]->error_code);
    }
    assert_int_equal(stats_of(fixture).stuck_total, 0);
    close_fixture(fixture);
}

static void many_on_one_lane_cost_a_thread_each_and_all_come_back(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(LIMIT_MS, STUCK_MS, READERS);
    struct dri_flight *back[8];
    for (uint32_t i = 0; i < 6; i++) {
        submit(fixture, 0, flight_of(fixture, i, "deaf"));
    }
    take_back(fixture, back, 6);
    submit(fixture, 0, flight_of(fixture, 6, "echo"));
    take_back(fixture, back, 1);
    assert_ptr_equal(back[0], &fixture->flights[6]);
    assert_int_equal(back[0]->kind, DRAY_KIND_NONE);
    assert_int_equal(stats_of(fixture).stuck, 6);
    atomic_store(&may_go, true);
    take_returned(fixture, back, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(back[i]->is_stuck);
        assert_true(back[i] < &fixture->flights[6]);
    }
    assert_int_equal(stats_of(fixture).stuck, 0);
    close_fixture(fixture);
}

/* The handler returns at about the moment at which it would be given up: whoever wins, the flight
 * comes back once, and is named as returned exactly if it was stuck. */
static void a_return_at_the_last_moment_is_one_or_the_other(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(1, 1, READERS);
    struct dri_flight *back[1];
    unsigned stuck = 0;
    for (unsigned i = 0; i < 300; i++) {
        submit(fixture, i % LANES, flight_of(fixture, i % FLIGHTS, "dawdle"));
        take_back(fixture, back, 1);
        if (back[0]->is_stuck) {
            stuck++;
            take_returned(fixture, back, 1);
        } else {
            test_slice("OBEYED", back[0]->error_code);
        }
        assert_ptr_equal(back[0], &fixture->flights[i % FLIGHTS]);
    }
    struct dri_lanes_stats stats = stats_of(fixture);
    assert_true(stats.stuck_total == stuck && stats.late_total == stuck);
    assert_true(stuck > 0);
    close_fixture(fixture);
}

static void a_lane_without_a_new_thread_is_said_to_be_lost(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(LIMIT_MS, STUCK_MS, LANES); /* no reader is left */
    struct dri_flight *back[1];
    submit(fixture, 0, flight_of(fixture, 0, "deaf"));
    take_back(fixture, back, 1);
    assert_true(back[0]->is_stuck);
    while (!stats_of(fixture).has_lost_lane) {
        rest();
    }
    submit(fixture, 1, flight_of(fixture, 1, "echo")); /* the others go on */
    take_back(fixture, back, 1);
    assert_int_equal(back[0]->kind, DRAY_KIND_NONE);
    close_fixture(fixture);
}

static void stopping_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct fixture *fixture = open_fixture(LIMIT_MS, STUCK_MS, READERS);
    struct dri_flight *back[1];
    submit(fixture, 0, flight_of(fixture, 0, "deaf"));
    take_back(fixture, back, 1);
    assert_int_equal(dri_lanes_stop(fixture->executor, 30), DRAY_ETIMEOUT);
    close_fixture(fixture); /* lets it go, and waits */
}

/* The child: a handler that is told to stop just before everything stands still. */
static int stand_still(void)
{
    struct fixture *fixture = open_fixture(NO_LIMIT, 2000, READERS);
    struct dri_flight *flight = flight_of(fixture, 0, "tidy");
    struct dri_flight *back[1];
    submit(fixture, 0, flight);
    while (atomic_load(&inside) == 0) {
        rest();
    }
    uint64_t before_ns = dri_clock_mono_ns();
    fixture->ops->cancel(fixture->executor, flight);
    (void)raise(SIGSTOP);
    if (dri_clock_mono_ns() - before_ns < UINT64_C(3500000000)) {
        return 2;
    }
    for (uint64_t go_on_ns = dri_clock_mono_ns(); dri_clock_mono_ns() - go_on_ns < 100000000u;) {
        rest(); /* long enough for the keeper to make the mistake */
    }
    atomic_store(&may_go, true);
    take_back(fixture, back, 1);
    bool was_stuck = back[0]->is_stuck;
    close_fixture(fixture);
    return was_stuck ? 1 : 0;
}

/* The grace passes while nobody can run: that is no handler's fault. */
static void a_process_that_stood_still_calls_nobody_deaf(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(stand_still());
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    (void)nanosleep(&(struct timespec){.tv_sec = 4}, NULL); /* that time passes is what is tested */
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void every_allocation_may_fail_when_one_is_given_up(void **state)
{
    (void)state;
    bool has_failed = true;
    for (uint64_t n = 1; has_failed; n++) {
        struct fixture *fixture = open_fixture(NO_LIMIT, STUCK_MS, READERS);
        struct dri_flight *flight = flight_of(fixture, 0, "deaf");
        struct dri_flight *back[1];
        submit(fixture, 0, flight);
        while (atomic_load(&inside) == 0) {
            rest();
        }
        dri_mem_fail_at(n);
        fixture->ops->cancel(fixture->executor, flight);
        take_back(fixture, back, 1);
        wait_for_stuck(fixture, 1);
        while (!stats_of(fixture).has_lost_lane && !dri_mem_failed() && n < 4) {
            rest();
        }
        has_failed = dri_mem_failed();
        dri_mem_fail_at(0);
        assert_true(flight->is_stuck);
        assert_int_equal(flight->kind, DRAY_KIND_TIMEOUT);
        assert_true(n < 20);
        close_fixture(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deaf_handler_is_given_up_with_its_stack_and_its_lane_goes_on),
        cmocka_unit_test(what_it_answers_at_last_is_dropped_and_its_bytes_come_back),
        cmocka_unit_test(one_that_was_told_to_stop_and_has_no_limit_is_given_up_too),
        cmocka_unit_test(without_a_limit_and_untold_it_may_take_its_time),
        cmocka_unit_test(one_that_obeys_within_the_grace_answers_for_itself),
        cmocka_unit_test(many_on_one_lane_cost_a_thread_each_and_all_come_back),
        cmocka_unit_test(a_return_at_the_last_moment_is_one_or_the_other),
        cmocka_unit_test(a_lane_without_a_new_thread_is_said_to_be_lost),
        cmocka_unit_test(stopping_does_not_wait_for_ever),
        cmocka_unit_test(a_process_that_stood_still_calls_nobody_deaf),
        cmocka_unit_test(every_allocation_may_fail_when_one_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
