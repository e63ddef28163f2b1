/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "base/mem.h"
#include "run/schedules.h"
#include "support/test.h"

/* The schedules that the control topic holds: compare and set, and what a change cancels. */

#define T UINT64_C(1798761600000) /* a whole minute */

struct world {
    struct dri_schedules *schedules;
    struct dri_cancelled *cancelled;
    struct dri_schedules_fault fault;
    uint8_t map[512], bytes[2048];
};

static void open_world(struct world *w)
{
    *w = (struct world){.schedules = NULL};
    test_ok(dri_cancelled_create(4096, &w->cancelled));
    test_ok(dri_schedules_create("g", w->cancelled, &w->schedules));
}

static void close_world(struct world *w)
{
    dri_schedules_destroy(w->schedules);
    dri_cancelled_destroy(w->cancelled);
}

static struct dri_schedule_item item_of(struct world *w, const char *key, uint64_t base,
                                        const char *cron)
{
    const struct dri_schedule_view view = {
        .cron = dray_slice_text(cron), .command = dray_slice_text("probe.run"), .catch_up = 1};
    size_t len = 0;
    if (cron != NULL) {
        test_ok(dri_schedule_encode(&view, w->map, sizeof(w->map), &len));
    }
    return (struct dri_schedule_item){.key = dray_slice_text(key),
                                      .base = base,
                                      .schedule = dray_slice_of(cron == NULL ? NULL : w->map, len)};
}

static enum dray_status apply(struct world *w, uint64_t revision, uint64_t ts_ms,
                              const struct dri_schedule_item *items, size_t count)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    const struct dri_change head = {.ts_ms = ts_ms};
    struct dri_change change;
    struct dri_wire_error error;
    size_t len = 0;
    test_ok(dri_schedule_change_encode(&head, items, count, w->bytes, sizeof(w->bytes), &len));
    test_ok(dri_schedule_change_decode(dray_slice_of(w->bytes, len), &limits, &change, &error));
    return dri_schedules_apply(w->schedules, revision, &change, T, &w->fault);
}

static enum dray_status put(struct world *w, uint64_t revision, const char *key, uint64_t base,
                            const char *cron)
{
    const struct dri_schedule_item item = item_of(w, key, base, cron);
    return apply(w, revision, T, &item, 1);
}

/* "g/a@1 g/b@2": what is there, of a group or (NULL) of all. */
static void there(struct world *w, const char *group, const char *want)
{
    struct dri_schedule **list = NULL;
    size_t count = 0, len = 0;
    char text[512] = "";
    test_ok(dri_schedules_hold(w->schedules, group, &list, &count));
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s@%llu", i == 0 ? "" : " ",
                                list[i]->key, (unsigned long long)list[i]->revision);
    }
    dri_schedules_let_go(list, count);
    assert_string_equal(want, text);
}

static bool is_cancelled(struct world *w, const char *key, uint64_t revision, uint64_t tick_ms)
{
    uint8_t id[16];
    dri_schedule_id(dray_slice_text(key), revision, tick_ms, id);
    return dri_cancelled_has(w->cancelled, dray_slice_of(id, sizeof(id)), true, T);
}

static void a_change_is_accepted_only_when_its_base_is_what_is_there(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    test_ok(put(&w, 1, "g/b", 0, "* * * * *"));
    test_ok(put(&w, 2, "g/a", 0, "* * * * *"));
    test_ok(put(&w, 3, "h/a", 0, "* * * * *"));
    there(&w, "g", "g/a@2 g/b@1");
    there(&w, NULL, "g/a@2 g/b@1 h/a@3");
    test_status(DRAY_ECONFLICT, put(&w, 4, "g/a", 0, "0 * * * *"));
    assert_string_equal("g/a", w.fault.conflict.key);
    assert_true(w.fault.conflict.base == 0 && w.fault.conflict.present == 2);
    test_status(DRAY_ECONFLICT, put(&w, 5, "g/c", 2, "0 * * * *"));
    test_status(DRAY_ECONFLICT, put(&w, 6, "g/a", 1, NULL));
    there(&w, "g", "g/a@2 g/b@1");
    test_ok(put(&w, 7, "g/a", 2, "0 * * * *"));
    test_ok(put(&w, 8, "g/b", 1, NULL));
    there(&w, "g", "g/a@7");
    test_ok(put(&w, 9, "g/b", 0, "0 * * * *")); /* removed: as if it had never been */
    there(&w, NULL, "g/a@7 g/b@9 h/a@3");
    assert_int_equal(6, dri_schedules_version(w.schedules));
    close_world(&w);
}

static void a_change_of_many_is_taken_whole_or_not_at_all(void **state)
{
    struct world w;
    struct dri_schedule_item items[2];
    (void)state;
    open_world(&w);
    test_ok(put(&w, 1, "g/a", 0, "* * * * *"));
    items[0] = item_of(&w, "g/b", 0, "* * * * *");
    items[1] = item_of(&w, "g/a", 0, "* * * * *");
    test_status(DRAY_ECONFLICT, apply(&w, 2, T, items, 2));
    items[1] = item_of(&w, "g/b", 0, "* * * * *");
    test_status(DRAY_EINVALID, apply(&w, 3, T, items, 2));
    assert_string_equal("items has a key twice", w.fault.text);
    items[1] = item_of(&w, "g/c", 0, "* * * * *");
    items[1].schedule = dray_slice_of("\x80", 1);
    test_status(DRAY_EINVALID, apply(&w, 4, T, items, 2));
    assert_string_equal("cron is missing", w.fault.text);
    there(&w, "g", "g/a@1");
    items[1] = item_of(&w, "g/a", 1, NULL);
    items[0] = item_of(&w, "g/b", 0, "* * * * *");
    test_ok(apply(&w, 5, T, items, 2));
    there(&w, "g", "g/b@5");
    /* also when the first of the two is a removal, of something or of nothing */
    for (uint64_t base = 5; base != UINT64_MAX; base = base == 5 ? 0 : UINT64_MAX) {
        const char *key = base == 5 ? "g/b" : "g/new";
        items[0] = item_of(&w, key, base, NULL);
        items[1] = item_of(&w, key, 0, "* * * * *");
        test_status(DRAY_EINVALID, apply(&w, 6 + (base == 0), T, items, 2));
        assert_string_equal("items has a key twice", w.fault.text);
    }
    there(&w, "g", "g/b@5");
    items[0] = item_of(&w, "g/b", 5, "* * * * *");
    test_status(DRAY_EINVALID, apply(&w, 8, 0, items, 1)); /* nobody knows from when on */
    assert_string_equal("ts is missing", w.fault.text);
    close_world(&w);
}

static void the_log_may_be_read_again_from_its_start(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    for (int reads = 0; reads < 3; reads++) {
        test_ok(put(&w, 1, "g/a", 0, "* * * * *"));
        test_ok(put(&w, 2, "g/a", 1, "0 * * * *"));
        there(&w, "g", "g/a@2");
    }
    assert_int_equal(2, dri_schedules_version(w.schedules));
    close_world(&w);
}

static void what_a_schedule_may_have_sent_ahead_is_cancelled_when_it_changes(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    test_ok(put(&w, 1, "g/a", 0, "*/10 * * * * *"));
    test_ok(put(&w, 2, "h/a", 0, "*/10 * * * * *"));
    assert_int_equal(0, dri_cancelled_version(w.cancelled));
    test_ok(put(&w, 3, "g/a", 1, "*/10 * * * * *"));
    assert_false(is_cancelled(&w, "g/a", 1, T)); /* its time has come: it may be running */
    assert_true(is_cancelled(&w, "g/a", 1, T + 10000));
    assert_true(is_cancelled(&w, "g/a", 1, T + DRI_FIRE_AHEAD_MAX_MS));
    assert_false(is_cancelled(&w, "g/a", 3, T + 10000));
    test_ok(put(&w, 4, "h/a", 2, NULL)); /* another group's: not ours to cancel */
    assert_false(is_cancelled(&w, "h/a", 2, T + 10000));
    test_ok(put(&w, 5, "g/a", 3, NULL));
    assert_true(is_cancelled(&w, "g/a", 3, T + 10000));
    close_world(&w);
}

static void what_was_cancelled_long_ago_takes_no_room(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    test_ok(put(&w, 1, "g/a", 0, "* * * * * *"));
    const struct dri_schedule_item item = item_of(&w, "g/a", 1, NULL);
    test_ok(apply(&w, 2, T - UINT64_C(2) * 86400000, &item, 1));
    there(&w, "g", "");
    assert_int_equal(0, dri_cancelled_version(w.cancelled));
    close_world(&w);
}

static void what_is_held_outlives_its_removal(void **state)
{
    struct world w;
    struct dri_schedule **list = NULL;
    size_t count = 0;
    (void)state;
    open_world(&w);
    test_ok(put(&w, 1, "g/a", 0, "0 * * * *"));
    test_ok(dri_schedules_hold(w.schedules, "g", &list, &count));
    test_ok(put(&w, 2, "g/a", 1, NULL));
    assert_int_equal(1, count);
    test_slice("0 * * * *", list[0]->view.cron);
    dri_schedules_let_go(list, count);
    close_world(&w);
}

static void without_memory_a_change_does_not_count_as_seen(void **state)
{
    size_t before = dri_mem_live();
    (void)state;
    for (uint64_t n = 1; n < 8; n++) {
        struct world w;
        open_world(&w);
        test_ok(put(&w, 1, "g/a", 0, "* * * * *"));
        const struct dri_schedule_item item = item_of(&w, "g/b", 0, "* * * * *");
        dri_mem_fail_at(n);
        enum dray_status status = apply(&w, 2, T, &item, 1);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        test_status(has_failed ? DRAY_ENOMEM : DRAY_OK, status);
        there(&w, "g", has_failed ? "g/a@1" : "g/a@1 g/b@2");
        test_ok(put(&w, 2, "g/b", 0, "* * * * *"));
        there(&w, "g", "g/a@1 g/b@2");
        close_world(&w);
        assert_int_equal(before, dri_mem_live());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_accepted_only_when_its_base_is_what_is_there),
        cmocka_unit_test(a_change_of_many_is_taken_whole_or_not_at_all),
        cmocka_unit_test(the_log_may_be_read_again_from_its_start),
        cmocka_unit_test(what_a_schedule_may_have_sent_ahead_is_cancelled_when_it_changes),
        cmocka_unit_test(what_was_cancelled_long_ago_takes_no_room),
        cmocka_unit_test(what_is_held_outlives_its_removal),
        cmocka_unit_test(without_memory_a_change_does_not_count_as_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
