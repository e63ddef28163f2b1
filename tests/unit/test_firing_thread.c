/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "run/firing_thread.h"
#include "support/test.h"

/* The thread that fires, on a transport that is silent, or slept, when no broker can be made to. */

#define ANSWER_MS 60u
#define WAIT_NS   (UINT64_C(60) * 1000000000)

enum step {
    STEP_TAKES_ALL,
    STEP_TAKES_ONE, /* of a volley; then it is full */
    STEP_SLEEPS,    /* the process does, for longer than an answer may take */
    STEP_SLEPT
};

/* One transport after the other; what a test sets and reads is atomic, the rest is the thread's. */
static struct {
    _Atomic(unsigned) opened;
    _Atomic(bool) has_leader;
    _Atomic(unsigned) commands;  /* that were taken */
    _Atomic(unsigned) leftovers; /* of these, of a volley that was slept over */
    enum step step;
    unsigned slept_in; /* the session */
    bool is_assigned, is_caught_up;
    uint64_t tokens[256];
    size_t acks;
} fake;

static enum dray_status fake_open(const struct dri_transport_config *config,
                                  struct dri_transport **ret_transport, char *ret_text,
                                  size_t text_bytes)
{
    (void)config;
    (void)ret_text;
    (void)text_bytes;
    *ret_transport = (struct dri_transport *)&fake;
    fake.is_assigned = fake.is_caught_up = false;
    fake.acks = 0;
    atomic_fetch_add(&fake.opened, 1);
    return DRAY_OK;
}

static size_t fake_poll(struct dri_transport *self, struct dri_now now, size_t messages_max,
                        struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    const struct timespec nap = {.tv_nsec = 2 * ANSWER_MS * 1000000};
    size_t count = 0;
    (void)self;
    (void)now;
    (void)messages_max;
    *ret_more = false;
    if (!fake.is_assigned) {
        fake.is_assigned = true;
        ret_events[count++] = (struct dri_transport_event){.type = DRI_TE_ASSIGNED};
    } else if (!fake.is_caught_up && atomic_load(&fake.has_leader)) {
        fake.is_caught_up = true;
        ret_events[count++] = (struct dri_transport_event){.type = DRI_TE_CAUGHT_UP};
    } else {
        /* what a broker says while it has no answer is none */
        ret_events[count++] =
            (struct dri_transport_event){.type = DRI_TE_ERROR, .status = DRAY_EAGAIN};
    }
    while (fake.acks > 0 && count < max) {
        ret_events[count++] = (struct dri_transport_event){
            .type = DRI_TE_PUBLISHED,
            .as.published = {.token = fake.tokens[--fake.acks], .ack = DRI_ACK_STORED}};
    }
    if (fake.step == STEP_SLEEPS) {
        (void)nanosleep(&nap, NULL); /* stopped in its tracks: no time-out runs */
        fake.step = STEP_SLEPT;
        fake.slept_in = atomic_load(&fake.opened);
    }
    return count;
}

static size_t fake_publish(struct dri_transport *self, struct dri_now now,
                           const struct dri_publish *messages, size_t count)
{
    (void)self;
    (void)now;
    assert_int_equal(count, 1);
    if (fake.step == STEP_TAKES_ONE && fake.acks > 0) {
        fake.step = STEP_SLEEPS;
        return 0;
    }
    if (dray_slice_equal_text(messages->topic, "commands")) {
        atomic_fetch_add(&fake.commands, 1);
        if (fake.step == STEP_SLEPT && fake.slept_in == atomic_load(&fake.opened)) {
            atomic_fetch_add(&fake.leftovers, 1);
        }
    }
    fake.tokens[fake.acks++] = messages->token;
    return 1;
}

static int fake_fd(struct dri_transport *self)
{
    (void)self;
    return -1;
}

static uint64_t fake_deadline(struct dri_transport *self)
{
    (void)self;
    return dri_clock_mono_ns() + 5000000;
}

static void fake_info(struct dri_transport *self, struct dri_transport_info *ret_info)
{
    (void)self;
    ret_info->message_bytes_max = 0;
}

static void fake_close(struct dri_transport *self, uint32_t timeout_ms)
{
    (void)self;
    (void)timeout_ms;
}

static void fake_destroy(struct dri_transport *self)
{
    (void)self;
}

static const struct dri_transport_ops fake_ops = {.scheme = "fake",
                                                  .open = fake_open,
                                                  .poll = fake_poll,
                                                  .fd = fake_fd,
                                                  .publish = fake_publish,
                                                  .next_deadline = fake_deadline,
                                                  .info = fake_info,
                                                  .close = fake_close,
                                                  .destroy = fake_destroy};

struct world {
    struct dri_settings settings;
    struct dri_schedules *schedules;
    struct dri_metrics *metrics;
    struct dri_firing_thread *thread;
};

/* A schedule for each second, of which some ticks are past and all are made up for. */
static void put_each_second(struct world *w)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    const struct dri_schedule_view view = {.cron = dray_slice_text("* * * * * *"),
                                           .command = dray_slice_text("a"),
                                           .missed = DRI_MISSED_ALL,
                                           .catch_up = 20};
    const struct dri_change head = {.ts_ms = dri_clock_wall_ms() - 30000};
    uint8_t map[128], bytes[256];
    size_t map_len = 0, len = 0;
    struct dri_change change;
    struct dri_wire_error error;
    struct dri_schedules_fault fault;
    test_ok(dri_schedule_encode(&view, map, sizeof(map), &map_len));
    const struct dri_schedule_item item = {.key = dray_slice_text("g/a"),
                                           .schedule = dray_slice_of(map, map_len)};
    test_ok(dri_schedule_change_encode(&head, &item, 1, bytes, sizeof(bytes), &len));
    test_ok(dri_schedule_change_decode(dray_slice_of(bytes, len), &limits, &change, &error));
    test_ok(dri_schedules_apply(w->schedules, 1, &change, head.ts_ms, &fault));
}

static void open_world(struct world *w, bool has_leader, enum step step)
{
    *w = (struct world){.settings = {.group = "g",
                                     .topics = {.commands = "commands", .ticks = "ticks"},
                                     .worker = {.fire_ahead_ms = 1000}}};
    atomic_store(&fake.opened, 0);
    atomic_store(&fake.commands, 0);
    atomic_store(&fake.leftovers, 0);
    atomic_store(&fake.has_leader, has_leader);
    fake.step = step;
    test_ok(dri_schedules_create("g", NULL, &w->schedules));
    put_each_second(w);
    test_ok(dri_metrics_create("g", "w", "0", &w->metrics));
    const struct dri_firing_config config = {.settings = &w->settings,
                                             .ops = &fake_ops,
                                             .schedules = w->schedules,
                                             .metrics = w->metrics,
                                             .worker = "w",
                                             .answer_ms = ANSWER_MS};
    test_ok(dri_firing_start(&config, &w->thread));
    dri_firing_own(w->thread, true);
}

static void close_world(struct world *w)
{
    dri_firing_stop(w->thread);
    dri_metrics_destroy(w->metrics);
    dri_schedules_destroy(w->schedules);
}

static void wait_for(_Atomic(unsigned) *count, unsigned wanted)
{
    const struct timespec nap = {.tv_nsec = 5000000};
    uint64_t end_ns = dri_clock_mono_ns() + WAIT_NS;
    while (atomic_load(count) < wanted) {
        assert_true(dri_clock_mono_ns() < end_ns);
        (void)nanosleep(&nap, NULL);
    }
}

static void a_topic_that_is_not_read_to_its_end_is_tried_again(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, false, STEP_TAKES_ALL);
    wait_for(&fake.opened, 2);
    assert_int_equal(atomic_load(&fake.commands), 0);
    atomic_store(&fake.has_leader, true);
    wait_for(&fake.commands, 20);
    close_world(&w);
}

static void who_slept_in_the_middle_of_a_volley_does_not_send_its_rest(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, true, STEP_TAKES_ONE);
    wait_for(&fake.opened, 2);
    wait_for(&fake.commands, 20);
    close_world(&w);
    assert_int_equal(fake.step, STEP_SLEPT);
    assert_int_equal(atomic_load(&fake.leftovers), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_that_is_not_read_to_its_end_is_tried_again),
        cmocka_unit_test(who_slept_in_the_middle_of_a_volley_does_not_send_its_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
