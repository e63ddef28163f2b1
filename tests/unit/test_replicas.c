/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "control.h"
#include "replicas.h"
#include "support/test.h"

#define MS UINT64_C(1000000)

struct fixture {
    struct dri_replicas replicas;
    uint64_t now_ns;
};

static int set_up(void **state)
{
    static struct fixture fx;
    dri_replicas_init(&fx.replicas, "me", "orders");
    dri_replicas_begin(&fx.replicas);
    fx.now_ns = UINT64_C(1000000000);
    *state = &fx;
    return 0;
}

static void say(struct fixture *fx, const char *worker, const char *group, const char *is)
{
    uint8_t bytes[512];
    size_t len = 0;
    const struct dri_status_record record = {.worker = dray_slice_text(worker),
                                             .group = dray_slice_text(group),
                                             .host = dray_slice_text("h"),
                                             .version = dray_slice_text("0"),
                                             .state = dray_slice_text(is),
                                             .digest = dray_slice_text(""),
                                             .admin = dray_slice_text(""),
                                             .ts_ms = 1};
    const struct dri_status_lists none = {.failed = NULL};
    test_ok(dri_status_encode(&record, &none, bytes, sizeof(bytes), &len));
    dri_replicas_take(&fx->replicas, dray_slice_text(worker), dray_slice_of(bytes, len),
                      fx->now_ns);
}

/* Seconds go by, and these are heard in each. */
static void hear(struct fixture *fx, unsigned seconds, const char *one, const char *two)
{
    for (unsigned i = 0; i < 10 * seconds; i++) {
        fx->now_ns += 100 * MS;
        if (i % 10 == 0 && one != NULL) {
            say(fx, one, "orders", "ready");
        }
        if (i % 10 == 5 && two != NULL) {
            say(fx, two, "orders", "ready");
        }
        (void)dri_replicas_count(&fx->replicas, fx->now_ns);
    }
}

static uint32_t count(struct fixture *fx)
{
    return dri_replicas_count(&fx->replicas, fx->now_ns);
}

static void nobody_is_known_before_everybody_could_speak(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(count(fx), 0);
    say(fx, "me", "orders", "ready");
    say(fx, "other", "orders", "ready");
    fx->now_ns += 1000 * MS;
    assert_int_equal(count(fx), 0);
    fx->now_ns += 600 * MS;
    assert_int_equal(count(fx), 2);
}

static void only_who_takes_commands_of_our_group_counts(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", "other");
    say(fx, "third", "mails", "ready");
    say(fx, "fourth", "orders", "starting");
    assert_int_equal(count(fx), 2);
    say(fx, "other", "orders", "draining");
    assert_int_equal(count(fx), 1);
    say(fx, "other", "orders", "paused");
    assert_int_equal(count(fx), 1);
}

static void who_says_goodbye_is_gone_at_once(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", "other");
    dri_replicas_take(&fx->replicas, dray_slice_text("other"), (struct dray_slice){NULL, 0},
                      fx->now_ns);
    assert_int_equal(count(fx), 1);
    say(fx, "other", "orders", "ready");
    assert_int_equal(count(fx), 2);
    say(fx, "other", "orders", "gone");
    assert_int_equal(count(fx), 1);
}

static void who_is_silent_is_gone_after_five_seconds(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", "other");
    hear(fx, 4, "me", NULL);
    assert_int_equal(count(fx), 2);
    hear(fx, 2, "me", NULL);
    assert_int_equal(count(fx), 1);
}

static void who_does_not_hear_himself_keeps_to_what_he_knew(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", "other");
    hear(fx, 60, NULL, NULL);
    assert_int_equal(count(fx), 2);
    dri_replicas_begin(&fx->replicas); /* another session */
    assert_int_equal(count(fx), 2);
    hear(fx, 1, "me", NULL);
    assert_int_equal(count(fx), 2); /* not everybody has had the time */
    hear(fx, 2, "me", NULL);
    assert_int_equal(count(fx), 1);
}

static void a_record_may_be_newer_than_the_turn_that_asks(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", "other");
    uint64_t begun_ns = fx->now_ns;
    fx->now_ns += 1;
    say(fx, "me", "orders", "ready");
    say(fx, "other", "orders", "ready");
    assert_int_equal(dri_replicas_count(&fx->replicas, begun_ns), 2);
}

static void this_one_counts_when_it_takes_nothing_itself(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", NULL);
    say(fx, "me", "orders", "paused");
    assert_int_equal(count(fx), 1);
}

static void what_is_no_record_is_passed_over(void **state)
{
    struct fixture *fx = *state;
    hear(fx, 3, "me", "other");
    dri_replicas_take(&fx->replicas, dray_slice_text("x"), dray_slice_text("\x93nonsense"),
                      fx->now_ns);
    dri_replicas_take(&fx->replicas, dray_slice_text("x"), dray_slice_of("", 0), fx->now_ns);
    assert_int_equal(count(fx), 2);
}

static void more_than_are_told_apart_count_as_so_many(void **state)
{
    struct fixture *fx = *state;
    char name[16];
    hear(fx, 3, "me", NULL);
    for (unsigned i = 0; i < DRI_REPLICAS_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "w%u", i);
        say(fx, name, "orders", "ready");
    }
    assert_int_equal(count(fx), DRI_REPLICAS_MAX);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        CASE(nobody_is_known_before_everybody_could_speak),
        CASE(only_who_takes_commands_of_our_group_counts),
        CASE(who_says_goodbye_is_gone_at_once),
        CASE(who_is_silent_is_gone_after_five_seconds),
        CASE(who_does_not_hear_himself_keeps_to_what_he_knew),
        CASE(a_record_may_be_newer_than_the_turn_that_asks),
        CASE(this_one_counts_when_it_takes_nothing_itself),
        CASE(what_is_no_record_is_passed_over),
        CASE(more_than_are_told_apart_count_as_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
