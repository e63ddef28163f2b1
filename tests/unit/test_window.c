/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_window.c - the table of ids, by itself: flights are made here and never run. */
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "support/test.h"
#include "window.h"

#define LOG      1u /* slot of the window log */
#define COMMANDS 2u
#define REPLAYS  3u
#define HOUR     UINT64_C(3600000)

struct fixture {
    struct dri_window *window;
    struct dri_now now;
    uint8_t record[512];
};

static void assign(struct fixture *fixture, uint32_t slot, enum dri_source_role role,
                   uint32_t epoch, uint32_t window)
{
    const struct dri_transport_event event = {
        .type = DRI_TE_ASSIGNED,
        .slot = slot,
        .epoch = epoch,
        .as.assigned = {.role = role, .partition = 7, .park = DRI_SLOT_NONE, .window = window},
    };
    dri_window_assigned(fixture->window, &event);
}

static void make(struct fixture *fixture, uint32_t entries_max, uint64_t bytes_max)
{
    const struct dri_window_config config = {
        .slots_max = 8,
        .entries_max = entries_max,
        .bytes_max = bytes_max,
        .longest_ms = HOUR,
        .limits = DRI_WIRE_LIMITS_INIT,
    };
    dri_window_destroy(fixture->window);
    test_ok(dri_window_create(&config, &fixture->window));
    assign(fixture, LOG, DRI_ROLE_WINDOW, 10, DRI_SLOT_NONE);
    assign(fixture, COMMANDS, DRI_ROLE_COMMANDS, 11, LOG);
    assign(fixture, REPLAYS, DRI_ROLE_REPLAY, 12, LOG);
}

static size_t blocks;

static int set_up(void **state)
{
    static struct fixture fixture;
    blocks = dri_mem_live();
    fixture = (struct fixture){.now = {1000000000, 1700000000000}};
    make(&fixture, 100, 1u << 20);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dri_window_destroy(fixture->window);
    assert_int_equal(dri_mem_live(), blocks);
    return 0;
}

static struct dri_flight command(const char *id, uint32_t slot)
{
    struct dri_flight flight = {
        .slot = slot,
        .epoch = slot == COMMANDS ? 11 : 12,
        .is_replay = slot == REPLAYS,
        .window_ms = (uint32_t)HOUR,
        .window_scope = dri_window_scope(dray_slice_text("acme"), dray_slice_text("pay")),
    };
    flight.envelope.id = dray_slice_text(id);
    return flight;
}

static struct dray_slice record_of(struct fixture *fixture, const char *id, const char *ns,
                                   const char *source, uint64_t ts_ms, bool is_ok)
{
    const struct dri_result result = {
        .id = dray_slice_text(id),
        .command = dray_slice_text("pay"),
        .is_ok = is_ok,
        .kind = is_ok ? DRAY_KIND_NONE : DRAY_KIND_REJECTED,
        .attempt = 1,
        .ts_ms = ts_ms,
        .ns = dray_slice_text(ns),
        .source = dray_slice_text(source),
    };
    size_t len = 0;
    test_ok(dri_result_encode(&result, fixture->record, sizeof(fixture->record), &len));
    return dray_slice_of(fixture->record, len);
}

static enum dri_window_gate enter(struct fixture *fixture, struct dri_flight *flight)
{
    return dri_window_enter(fixture->window, fixture->now, flight, dray_slice_text("c/7/1"));
}

static void end(struct fixture *fixture, struct dri_flight *flight, const char *source)
{
    char id[65] = "";
    memcpy(id, flight->envelope.id.at, flight->envelope.id.len);
    uint64_t ts_ms = dri_window_ended_ms(flight, fixture->now);
    assert_true(dri_window_stored(fixture->window, fixture->now, flight,
                                  record_of(fixture, id, "acme", source, ts_ms, true)));
}

static void read_back(struct fixture *fixture, struct dray_slice value)
{
    const struct dri_message message = {.value = value};
    assert_true(dri_window_read(fixture->window, fixture->now, LOG, 10, &message));
}

static struct dri_window_stats stats_of(const struct fixture *fixture)
{
    struct dri_window_stats stats;
    dri_window_stats(fixture->window, &stats);
    return stats;
}

static void a_duplicate_waits_for_the_first_and_gets_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight first = command("a", COMMANDS);
    struct dri_flight second = command("a", COMMANDS);
    struct dri_flight third = command("a", COMMANDS);
    struct dri_result answer;
    assert_int_equal(enter(fixture, &first), DRI_WINDOW_RUN);
    assert_true(first.has_window);
    assert_int_equal(dri_window_partition(&first), 7);
    assert_int_equal(enter(fixture, &second), DRI_WINDOW_HELD);
    assert_int_equal(enter(fixture, &third), DRI_WINDOW_HELD);
    assert_false(second.has_window);
    assert_null(dri_window_take_woken(fixture->window));
    assert_int_equal(enter(fixture, &first), DRI_WINDOW_RUN); /* a retry: it has its id still */
    end(fixture, &first, "c/7/1");
    assert_ptr_equal(dri_window_take_woken(fixture->window), &second);
    assert_ptr_equal(dri_window_take_woken(fixture->window), &third);
    assert_null(dri_window_take_woken(fixture->window));
    assert_int_equal(enter(fixture, &second), DRI_WINDOW_ANSWERED);
    assert_true(dri_window_answer(fixture->window, &second, &answer));
    assert_true(answer.is_ok && answer.ts_ms == fixture->now.wall_ms);
    test_slice("c/7/1", answer.source);
    assert_false(dri_window_answer(fixture->window, &first, &answer));
    dri_window_leave(fixture->window, &first);
    dri_window_leave(fixture->window, &second);
    dri_window_leave(fixture->window, &third);
    assert_null(third.ticket);
    assert_int_equal(stats_of(fixture).entries, 1);
    assert_int_equal(stats_of(fixture).held, 2);
}

static void who_gives_its_id_up_without_an_end_lets_the_next_run(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight first = command("a", COMMANDS);
    struct dri_flight second = command("a", COMMANDS);
    struct dri_flight gone = command("a", COMMANDS);
    assert_int_equal(enter(fixture, &first), DRI_WINDOW_RUN);
    assert_int_equal(enter(fixture, &gone), DRI_WINDOW_HELD);
    assert_int_equal(enter(fixture, &second), DRI_WINDOW_HELD);
    dri_window_leave(fixture->window, &gone); /* dropped while it waited */
    dri_window_leave(fixture->window, &first);
    assert_ptr_equal(dri_window_take_woken(fixture->window), &second);
    assert_null(dri_window_take_woken(fixture->window));
    assert_int_equal(enter(fixture, &second), DRI_WINDOW_RUN);
    dri_window_leave(fixture->window, &second);
    assert_int_equal(stats_of(fixture).entries, 0);
}

static void a_woken_one_that_is_released_is_not_woken(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight first = command("a", COMMANDS);
    struct dri_flight second = command("a", COMMANDS);
    assert_int_equal(enter(fixture, &first), DRI_WINDOW_RUN);
    assert_int_equal(enter(fixture, &second), DRI_WINDOW_HELD);
    dri_window_leave(fixture->window, &first);
    dri_window_leave(fixture->window, &second);
    assert_null(dri_window_take_woken(fixture->window));
}

static void another_namespace_command_or_form_of_id_is_another_command(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight flights[] = {command("a", COMMANDS), command("a", COMMANDS),
                                   command("a", COMMANDS), command("a", COMMANDS)};
    flights[1].window_scope = dri_window_scope(dray_slice_text("evil"), dray_slice_text("pay"));
    flights[2].window_scope = dri_window_scope(dray_slice_text("acme"), dray_slice_text("refund"));
    flights[3].envelope.is_id_binary = true;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(enter(fixture, &flights[i]), DRI_WINDOW_RUN);
    }
    for (size_t i = 0; i < 4; i++) {
        dri_window_leave(fixture->window, &flights[i]);
    }
}

static void an_end_is_known_from_the_log_until_it_is_old(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight flight = command("a", COMMANDS);
    struct dri_flight later = command("a", COMMANDS);
    uint64_t ts_ms = fixture->now.wall_ms - 1000;
    read_back(fixture, record_of(fixture, "a", "acme", "c/7/0", ts_ms, true));
    read_back(fixture, record_of(fixture, "a", "acme", "c/7/0", ts_ms, true)); /* known */
    assert_int_equal(stats_of(fixture).entries, 1);
    assert_int_equal(enter(fixture, &flight), DRI_WINDOW_ANSWERED);
    dri_window_leave(fixture->window, &flight);
    later.window_ms = 500; /* its route looks back less far */
    assert_int_equal(enter(fixture, &later), DRI_WINDOW_RUN);
    dri_window_leave(fixture->window, &later);
    read_back(fixture, record_of(fixture, "b", "acme", "c/7/0", ts_ms - HOUR, true));
    assert_int_equal(stats_of(fixture).entries, 1); /* too old to be read */
    fixture->now.wall_ms += 2 * HOUR;
    read_back(fixture, record_of(fixture, "c", "acme", "c/7/2", fixture->now.wall_ms, true));
    assert_int_equal(stats_of(fixture).entries, 1);
    assert_int_equal(stats_of(fixture).evicted, 0);
    assert_int_equal(enter(fixture, &flight), DRI_WINDOW_RUN);
    dri_window_leave(fixture->window, &flight);
}

static void what_cannot_be_read_is_counted_and_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    char longer[70];
    memset(longer, 'n', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    read_back(fixture, dray_slice_text("no record"));
    read_back(fixture, record_of(fixture, "a", longer, "c/7/0", 1700000000000, true));
    read_back(fixture, (struct dray_slice){NULL, 0}); /* a tombstone says nothing */
    assert_int_equal(stats_of(fixture).refused, 2);
    assert_int_equal(stats_of(fixture).entries, 0);
}

static void a_replay_runs_though_its_end_is_known_but_not_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight replay = command("a", REPLAYS);
    struct dri_flight twin = command("a", COMMANDS);
    struct dri_result answer;
    read_back(fixture, record_of(fixture, "a", "acme", "c/7/0", fixture->now.wall_ms - 5, false));
    assert_int_equal(enter(fixture, &replay), DRI_WINDOW_RUN);
    assert_true(replay.has_window);
    assert_int_equal(enter(fixture, &twin), DRI_WINDOW_ANSWERED);
    assert_true(dri_window_answer(fixture->window, &twin, &answer));
    assert_false(answer.is_ok);
    end(fixture, &replay, "c/7/1");
    assert_int_equal(stats_of(fixture).entries, 1); /* the newer stands for both */
    assert_true(dri_window_answer(fixture->window, &twin, &answer));
    assert_false(answer.is_ok); /* who was answered keeps what it was answered */
    dri_window_leave(fixture->window, &replay);
    dri_window_leave(fixture->window, &twin);
    assert_int_equal(enter(fixture, &replay), DRI_WINDOW_ANSWERED); /* itself, again */
    dri_window_leave(fixture->window, &replay);
}

static void too_many_ends_push_the_oldest_out(void **state)
{
    struct fixture *fixture = *state;
    char id[8];
    make(fixture, 3, 1u << 20);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "i%u", i);
        read_back(fixture,
                  record_of(fixture, id, "acme", "c/7/0", fixture->now.wall_ms - 50 + i, true));
    }
    struct dri_flight oldest = command("i1", COMMANDS);
    struct dri_flight kept = command("i2", COMMANDS);
    assert_int_equal(stats_of(fixture).entries, 3);
    assert_int_equal(stats_of(fixture).evicted, 2);
    assert_int_equal(enter(fixture, &oldest), DRI_WINDOW_RUN);
    assert_int_equal(enter(fixture, &kept), DRI_WINDOW_ANSWERED);
    dri_window_leave(fixture->window, &oldest);
    dri_window_leave(fixture->window, &kept);
    make(fixture, 100, 150); /* bytes: one record at a time */
    read_back(fixture, record_of(fixture, "x", "acme", "c/7/0", fixture->now.wall_ms, true));
    read_back(fixture, record_of(fixture, "y", "acme", "c/7/0", fixture->now.wall_ms, true));
    assert_int_equal(stats_of(fixture).entries, 1);
}

static void what_a_log_knew_goes_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight holder = command("a", COMMANDS);
    struct dri_flight waiting = command("a", COMMANDS);
    struct dri_flight late = command("b", COMMANDS);
    struct dri_flight replay = command("b", REPLAYS);
    read_back(fixture, record_of(fixture, "b", "acme", "c/7/0", fixture->now.wall_ms, true));
    assert_int_equal(enter(fixture, &holder), DRI_WINDOW_RUN);
    assert_int_equal(enter(fixture, &waiting), DRI_WINDOW_HELD);
    dri_window_ended(fixture->window, LOG, 9); /* of an older assignment */
    assert_int_equal(stats_of(fixture).entries, 1);
    dri_window_ended(fixture->window, LOG, 10);
    assert_int_equal(stats_of(fixture).entries, 0);
    assert_int_equal(stats_of(fixture).bytes, 0);
    assert_null(dri_window_take_woken(fixture->window));
    assert_int_equal(dri_window_partition(&holder), 7); /* its end can still be written */
    assert_int_equal(enter(fixture, &late), DRI_WINDOW_HELD);
    assert_int_equal(enter(fixture, &replay), DRI_WINDOW_RUN);
    assert_false(replay.has_window);
    assert_true(dri_window_stored(fixture->window, fixture->now, &holder,
                                  record_of(fixture, "a", "acme", "c/7/1", 1, true)));
    assert_int_equal(stats_of(fixture).entries, 0);
    dri_window_leave(fixture->window, &holder);
    dri_window_leave(fixture->window, &waiting);
    dri_window_leave(fixture->window, &late);
    dri_window_leave(fixture->window, &replay);
}

static void a_source_without_a_log_runs_without_a_window(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight flight = command("a", COMMANDS);
    assign(fixture, COMMANDS, DRI_ROLE_COMMANDS, 11, DRI_SLOT_NONE);
    assert_int_equal(enter(fixture, &flight), DRI_WINDOW_RUN);
    assert_false(flight.has_window);
    assert_null(flight.ticket);
    assign(fixture, COMMANDS, DRI_ROLE_COMMANDS, 11, 0); /* a slot that is no window */
    assert_int_equal(enter(fixture, &flight), DRI_WINDOW_RUN);
    assert_false(flight.has_window);
    assert_true(dri_window_is_log(fixture->window, LOG));
    assert_false(dri_window_is_log(fixture->window, COMMANDS));
}

static void what_was_parked_has_the_window_of_its_commands(void **state)
{
    struct fixture *fixture = *state;
    struct dri_flight first = command("a", COMMANDS);
    struct dri_flight parked = command("a", COMMANDS);
    const struct dri_transport_event event = {
        .type = DRI_TE_ASSIGNED,
        .slot = COMMANDS,
        .epoch = 11,
        .as.assigned = {.role = DRI_ROLE_COMMANDS, .park = 4, .window = LOG},
    };
    assign(fixture, 4, DRI_ROLE_PARK, 13, DRI_SLOT_NONE);
    dri_window_assigned(fixture->window, &event);
    parked.slot = 4;
    parked.epoch = 13;
    assert_int_equal(enter(fixture, &first), DRI_WINDOW_RUN);
    assert_int_equal(enter(fixture, &parked), DRI_WINDOW_HELD);
    dri_window_leave(fixture->window, &first);
    dri_window_leave(fixture->window, &parked);
}

static void no_memory_is_said_and_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    const struct dri_message message = {
        .value = record_of(fixture, "z", "acme", "c/7/0", fixture->now.wall_ms, true)};
    for (uint64_t n = 1; n <= 2; n++) {
        struct dri_flight flight = command("a", COMMANDS);
        dri_mem_fail_at(n);
        assert_int_equal(enter(fixture, &flight), DRI_WINDOW_NO_MEMORY);
        dri_mem_fail_at(n);
        assert_false(dri_window_read(fixture->window, fixture->now, LOG, 10, &message));
        dri_mem_fail_at(0);
        dri_window_leave(fixture->window, &flight);
    }
    assert_int_equal(stats_of(fixture).entries, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_duplicate_waits_for_the_first_and_gets_its_end),
        CASE(who_gives_its_id_up_without_an_end_lets_the_next_run),
        CASE(a_woken_one_that_is_released_is_not_woken),
        CASE(another_namespace_command_or_form_of_id_is_another_command),
        CASE(an_end_is_known_from_the_log_until_it_is_old),
        CASE(what_cannot_be_read_is_counted_and_changes_nothing),
        CASE(a_replay_runs_though_its_end_is_known_but_not_its_own),
        CASE(too_many_ends_push_the_oldest_out),
        CASE(what_a_log_knew_goes_with_it),
        CASE(a_source_without_a_log_runs_without_a_window),
        CASE(what_was_parked_has_the_window_of_its_commands),
        CASE(no_memory_is_said_and_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
