/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/firing.h"
#include "support/test.h"
#include "wire/envelope.h"
#include "wire/headers.h"

/* Which ticks become commands, in virtual time: T is a whole minute. A tick is written as seconds
 * after T. */

#define T                      UINT64_C(1798761600000)
#define AHEAD                  UINT64_C(4000)
#define SHOTS                  2000
#define RULE(missed, catch_up) ((struct rule){(missed), (catch_up)})

struct rule {
    enum dri_missed missed;
    uint32_t catch_up;
};

struct world {
    struct dri_schedules *schedules;
    struct dri_firing *firing;
    uint64_t revision;
    int64_t got[SHOTS];
    size_t got_count, late_count;
};

static void open_world(struct world *w)
{
    *w = (struct world){.revision = 0};
    test_ok(dri_schedules_create("g", NULL, &w->schedules));
    test_ok(dri_firing_create(AHEAD, &w->firing));
}

static void close_world(struct world *w)
{
    dri_firing_destroy(w->firing);
    dri_schedules_destroy(w->schedules);
}

static void take_schedules(struct world *w)
{
    struct dri_schedule **list = NULL;
    size_t count = 0;
    test_ok(dri_schedules_hold(w->schedules, "g", &list, &count));
    test_ok(dri_firing_set(w->firing, list, count));
}

/* Put it, or remove it when cron is NULL. */
static void put(struct world *w, const char *key, uint64_t base, const char *cron, struct rule rule,
                uint64_t since_ms)
{
    const struct dri_schedule_view view = {.cron = dray_slice_text(cron),
                                           .command = dray_slice_text("probe.run"),
                                           .missed = rule.missed,
                                           .catch_up = rule.catch_up};
    uint8_t map[512], bytes[1024];
    size_t map_len = 0, len = 0;
    struct dri_change change;
    struct dri_wire_error error;
    struct dri_schedules_fault fault;
    if (cron != NULL) {
        test_ok(dri_schedule_encode(&view, map, sizeof(map), &map_len));
    }
    const struct dri_schedule_item item = {.key = dray_slice_text(key),
                                           .base = base,
                                           .schedule =
                                               dray_slice_of(cron == NULL ? NULL : map, map_len)};
    const struct dri_change head = {.ts_ms = since_ms};
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    test_ok(dri_schedule_change_encode(&head, &item, 1, bytes, sizeof(bytes), &len));
    test_ok(dri_schedule_change_decode(dray_slice_of(bytes, len), &limits, &change, &error));
    w->revision++;
    test_ok(dri_schedules_apply(w->schedules, w->revision, &change, since_ms, &fault));
    take_schedules(w);
}

/* All that is due at a time. */
static void fire(struct world *w, uint64_t now_ms)
{
    struct dri_shot shot;
    w->got_count = w->late_count = 0;
    while (dri_firing_next(w->firing, now_ms, &shot)) {
        assert_true(w->got_count < SHOTS);
        w->got[w->got_count++] = ((int64_t)shot.tick_ms - (int64_t)T) / 1000;
        w->late_count += shot.is_late;
    }
}

static void got(const struct world *w, size_t count, const int64_t *wants)
{
    assert_int_equal(count, w->got_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(wants[i], w->got[i]);
    }
}

static uint64_t missed(const struct world *w)
{
    struct dri_firing_stats stats;
    dri_firing_stats(w->firing, &stats);
    return stats.missed;
}

static void ticks_are_given_out_ahead_in_order_and_once(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "*/2 * * * * *", RULE(DRI_MISSED_ONE, 100), T);
    put(&w, "g/b", 0, "*/3 * * * * *", RULE(DRI_MISSED_ONE, 100), T);
    put(&w, "other/c", 0, "* * * * * *", RULE(DRI_MISSED_ONE, 100), T);
    assert_int_equal(2, dri_firing_count(w.firing));
    assert_true(dri_firing_due_ms(w.firing) == T + 2000 - AHEAD);
    fire(&w, T);
    got(&w, 3, (int64_t[]){2, 3, 4});
    fire(&w, T);
    got(&w, 0, NULL);
    assert_true(dri_firing_due_ms(w.firing) == T + 6000 - AHEAD);
    fire(&w, T + 1999);
    got(&w, 0, NULL);
    fire(&w, T + 2000);
    got(&w, 2, (int64_t[]){6, 6});
    assert_int_equal(0, w.late_count);
    assert_int_equal(0, missed(&w));
    close_world(&w);
}

static void what_was_fired_elsewhere_is_not_fired_again(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + 3000, T));
    fire(&w, T);
    got(&w, 1, (int64_t[]){4});
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + 2000, T)); /* an old word */
    test_ok(
        dri_firing_learn(w.firing, dray_slice_text("g/a"), 9, T + 9000, T)); /* not of this one */
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/b"), 1, T + 9000, T));
    fire(&w, T + 1000);
    got(&w, 1, (int64_t[]){5});
    close_world(&w);
}

/* Whoever cannot store what was given out begins anew at what is known to be stored. */
static void after_a_reset_what_is_not_known_to_be_stored_is_given_out_again(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    fire(&w, T);
    got(&w, 4, (int64_t[]){1, 2, 3, 4});
    dri_firing_reset(w.firing);
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + 2000, T));
    fire(&w, T);
    got(&w, 2, (int64_t[]){3, 4});
    close_world(&w);
}

/* 20 s away. A tick counts as missed when it lies back by more than 5 s. */
static void missed_ticks_are_skipped_made_up_for_once_or_all_as_the_schedule_says(void **state)
{
    static const struct {
        enum dri_missed missed;
        uint32_t catch_up;
        int64_t first;
        size_t late;
        uint64_t left_out;
    } rows[] = {
        {DRI_MISSED_SKIP, 100, 16, 0, 15},
        {DRI_MISSED_ONE, 100, 15, 1, 14},
        {DRI_MISSED_ALL, 100, 1, 15, 0},
        {DRI_MISSED_ALL, 4, 12, 4, 11},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;
        open_world(&w);
        put(&w, "g/a", 0, "* * * * * *", RULE(rows[i].missed, rows[i].catch_up), T);
        fire(&w, T + 20000);
        assert_int_equal(24 - rows[i].first + 1, w.got_count);
        assert_int_equal(rows[i].first, w.got[0]);
        assert_int_equal(24, w.got[w.got_count - 1]);
        assert_int_equal(rows[i].late, w.late_count);
        assert_true(missed(&w) == rows[i].left_out);
        fire(&w, T + 20000);
        got(&w, 0, NULL);
        dri_firing_reset(w.firing); /* nothing was stored: fired again, and counted once */
        fire(&w, T + 20000);
        assert_int_equal(rows[i].first, w.got[0]);
        assert_true(missed(&w) == rows[i].left_out);
        if (rows[i].missed == DRI_MISSED_SKIP) { /* later there are more, and only those count */
            dri_firing_reset(w.firing);
            fire(&w, T + 30000);
            assert_true(missed(&w) == 25);
        }
        close_world(&w);
    }
}

static void a_year_away_costs_no_walk_through_the_year(void **state)
{
    struct world w;
    const uint64_t year_ms = UINT64_C(365) * 86400000;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 1000), T - year_ms);
    put(&w, "g/b", 0, "0 0 29 2 *", RULE(DRI_MISSED_ONE, 100),
        T - 8 * year_ms); /* 2024 was the last */
    fire(&w, T);
    assert_int_equal(1000 + 1 + 5 + 4, w.got_count); /* and from the moment that is not missed */
    assert_int_equal(1001, w.late_count);
    assert_true(missed(&w) == 10000 + 1); /* counted so far; and 2020 */
    close_world(&w);
}

static void a_tick_that_was_just_missed_is_as_good_as_any(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_SKIP, 100), T);
    fire(&w, T + 5000);
    assert_int_equal(9, w.got_count);
    assert_int_equal(0, w.late_count);
    assert_int_equal(0, missed(&w));
    close_world(&w);
}

static void a_change_decides_from_its_time_on_and_a_removal_ends_it(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "*/2 * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    fire(&w, T);
    got(&w, 2, (int64_t[]){2, 4});
    put(&w, "g/a", 1, "1-59/2 * * * * *", RULE(DRI_MISSED_ALL, 100), T + 500);
    fire(&w, T + 500);
    got(&w, 2, (int64_t[]){1, 3});
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + 8000, T)); /* a late word */
    fire(&w, T + 1000);
    got(&w, 1, (int64_t[]){5});
    put(&w, "g/a", 2, NULL, RULE(DRI_MISSED_ONE, 0), T + 1500);
    assert_int_equal(0, dri_firing_count(w.firing));
    assert_true(dri_firing_due_ms(w.firing) == UINT64_MAX);
    fire(&w, T + 60000);
    got(&w, 0, NULL);
    close_world(&w);
}

static void other_schedules_keep_their_place_when_one_changes(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    fire(&w, T);
    put(&w, "g/b", 0, "0 * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    fire(&w, T + 1000);
    got(&w, 1, (int64_t[]){5});
    close_world(&w);
}

static void a_schedule_that_the_broker_refuses_holds_up_no_other(void **state)
{
    struct world w;
    struct dri_shot shot;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    put(&w, "g/b", 0, "*/2 * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    assert_true(dri_firing_next(w.firing, T, &shot));
    assert_string_equal("g/a", shot.schedule->key);
    dri_firing_refuse(w.firing, shot.schedule);
    dri_firing_reset(w.firing);
    fire(&w, T);
    got(&w, 2, (int64_t[]){2, 4});
    put(&w, "g/a", 1, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T); /* changed: it may fit now */
    fire(&w, T);
    got(&w, 4, (int64_t[]){1, 2, 3, 4});
    close_world(&w);
}

/* Two volleys of a long absence were sent before the record of the first one was read back. */
static void a_word_that_comes_hours_late_takes_nothing_back(void **state)
{
    struct world w;
    const uint64_t hour_ms = 3600000, now_ms = T + 10 * hour_ms;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, now_ms + AHEAD, now_ms));
    fire(&w, now_ms);
    got(&w, 0, NULL);
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, now_ms - 2 * hour_ms, now_ms));
    fire(&w, now_ms);
    got(&w, 0, NULL);
    close_world(&w);
}

static void a_position_from_a_clock_that_was_wrong_is_not_believed(void **state)
{
    struct world w;
    struct dri_firing_stats stats;
    const uint64_t day_ms = 86400000;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 100), T);
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + day_ms, T));
    fire(&w, T);
    got(&w, 4, (int64_t[]){1, 2, 3, 4});
    dri_firing_stats(w.firing, &stats);
    assert_int_equal(1, stats.resumed);
    dri_firing_reset(w.firing);
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + day_ms, T));
    test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + 4000, T)); /* the true one */
    fire(&w, T + 1000);
    got(&w, 1, (int64_t[]){5});
    close_world(&w);
}

/* A shared log of what was fired, replicas that take over from one another at any moment: before a
 * volley, after it was stored, and with a volley that is thrown away. */
static void replicas_that_take_turns_fire_each_tick_once(void **state)
{
    struct world w;
    int fired[400] = {0};
    uint64_t stored_ms = 0; /* what the log says */
    uint32_t dice = 12345;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ALL, 1000), T);
    for (uint64_t now_ms = T; now_ms < T + 300000;) {
        struct dri_shot shots[64];
        size_t count = 0;
        dice = dice * 1664525u + 1013904223u;
        if (dice >> 28 < 6) { /* another one: it reads what is stored */
            dri_firing_reset(w.firing);
            if (stored_ms != 0) {
                test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, stored_ms, T));
            }
        }
        while (count < 64 && dri_firing_next(w.firing, now_ms, &shots[count])) {
            count++;
        }
        bool is_thrown_away = (dice >> 20 & 7) == 0;
        for (size_t i = 0; i < count && !is_thrown_away; i++) {
            fired[(shots[i].tick_ms - T) / 1000]++;
            stored_ms = shots[i].tick_ms > stored_ms ? shots[i].tick_ms : stored_ms;
        }
        if (is_thrown_away) {
            dri_firing_reset(w.firing);
            if (stored_ms != 0) {
                test_ok(dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, stored_ms, T));
            }
        }
        now_ms += 100 + (dice >> 8 & 4095);
    }
    for (size_t second = 1; second <= 290; second++) {
        if (fired[second] != 1) {
            fail_msg("tick %zu was fired %d times", second, fired[second]);
        }
    }
    close_world(&w);
}

static void a_shot_is_a_scheduled_command_whose_id_says_which_tick_it_is(void **state)
{
    struct world w;
    struct dri_shot shot;
    struct dri_envelope envelope;
    struct dri_wire_error error;
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    uint8_t id[16], headers[256];
    uint8_t *bytes = NULL;
    size_t len = 0;
    (void)state;
    open_world(&w);
    put(&w, "g/a", 0, "*/2 * * * * *", RULE(DRI_MISSED_ONE, 100), T);
    assert_true(dri_firing_next(w.firing, T, &shot));
    test_ok(dri_shot_encode(&shot, T + 5, &bytes, &len));
    test_ok(dri_envelope_decode(dray_slice_of(bytes, len), &limits, &envelope, &error));
    dri_schedule_id(dray_slice_text("g/a"), 1, T + 2000, id);
    assert_true(envelope.is_id_binary);
    assert_memory_equal(id, envelope.id.at, 16);
    test_slice("probe.run", envelope.command);
    assert_true(envelope.not_before_ms == T + 2000 && envelope.created_ms == T + 5);
    assert_true(envelope.deadline_ms == 0);
    test_ok(dri_shot_headers(&shot, headers, sizeof(headers), &len));
    test_slice("g/a@1#1798761602000",
               dri_headers_find(dray_slice_of(headers, len), "dray-schedule"));
    test_status(DRAY_ELIMIT, dri_shot_headers(&shot, headers, len - 1, &len));
    dri_mem_fail_at(1);
    test_status(DRAY_ENOMEM, dri_shot_encode(&shot, T, &bytes, &len));
    dri_mem_fail_at(0);
    dri_free(bytes);
    close_world(&w);
}

static void without_memory_nothing_is_fired_and_nothing_leaks(void **state)
{
    size_t before = dri_mem_live();
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        struct world w;
        struct dri_schedule **list = NULL;
        size_t count = 0;
        open_world(&w);
        put(&w, "g/a", 0, "* * * * * *", RULE(DRI_MISSED_ONE, 100), T);
        dri_mem_fail_at(n);
        enum dray_status status =
            dri_firing_learn(w.firing, dray_slice_text("g/a"), 1, T + 1000, T);
        if (status == DRAY_OK) {
            status = dri_schedules_hold(w.schedules, "g", &list, &count);
        }
        if (status == DRAY_OK) {
            status = dri_firing_set(w.firing, list, count);
        }
        dri_mem_fail_at(0);
        if (status == DRAY_OK) {
            fire(&w, T);
            got(&w, 3, (int64_t[]){2, 3, 4});
        }
        close_world(&w);
        assert_int_equal(before, dri_mem_live());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_given_out_ahead_in_order_and_once),
        cmocka_unit_test(what_was_fired_elsewhere_is_not_fired_again),
        cmocka_unit_test(after_a_reset_what_is_not_known_to_be_stored_is_given_out_again),
        cmocka_unit_test(missed_ticks_are_skipped_made_up_for_once_or_all_as_the_schedule_says),
        cmocka_unit_test(a_year_away_costs_no_walk_through_the_year),
        cmocka_unit_test(a_tick_that_was_just_missed_is_as_good_as_any),
        cmocka_unit_test(a_change_decides_from_its_time_on_and_a_removal_ends_it),
        cmocka_unit_test(other_schedules_keep_their_place_when_one_changes),
        cmocka_unit_test(a_schedule_that_the_broker_refuses_holds_up_no_other),
        cmocka_unit_test(a_word_that_comes_hours_late_takes_nothing_back),
        cmocka_unit_test(a_position_from_a_clock_that_was_wrong_is_not_believed),
        cmocka_unit_test(replicas_that_take_turns_fire_each_tick_once),
        cmocka_unit_test(a_shot_is_a_scheduled_command_whose_id_says_which_tick_it_is),
        cmocka_unit_test(without_memory_nothing_is_fired_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
