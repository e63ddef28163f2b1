/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/firing_thread.h"
#include "support/test.h"
#include "wire/headers.h"

/* Replicas that all believe that it is theirs to fire, on a real broker: what no scenario can bring
 * about at will. Each tick has one command all the same. The reader is a transport without a group,
 * which on Kafka sees committed transactions only.
 *
 * test_firing_brokers kafka|nats
 */

#define REPLICAS  3
#define TICKS     12u
#define TICKS_MAX 400u
#define WAIT_NS   (UINT64_C(120) * 1000000000)
#define NAP_NS    20000000

static const char *bus_url;
static atomic_size_t fenced; /* producers that a newer one has put out */

static void count_fenced(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)fwrite(line, 1, len, stderr);
    if (memmem(line, len, "id=RDKAFKA-FATAL", 16) != NULL &&
        memmem(line, len, "fenced", 6) != NULL) {
        atomic_fetch_add(&fenced, 1);
    }
}

struct replica {
    struct dri_settings settings;
    struct dri_metrics *metrics;
    struct dri_firing_thread *thread;
    char name[16];
};

struct world {
    const struct dri_transport_ops *ops;
    struct dri_schedules *schedules;
    struct replica replicas[REPLICAS];
    char group[32], commands[32], ticks[96];
    uint64_t since_ms, revision;
    struct dri_transport *reader;
    unsigned fired[TICKS_MAX]; /* by seconds since since_ms */
    size_t read, caught_up, assigned;
};

static void put_each_second(struct world *w, const char *name, const char *message_key)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    const struct dri_schedule_view view = {.cron = dray_slice_text("* * * * * *"),
                                           .command = dray_slice_text("a"),
                                           .key = dray_slice_text(message_key),
                                           .missed = DRI_MISSED_ALL,
                                           .catch_up = 1000};
    uint8_t map[128], bytes[256];
    char key[64];
    size_t map_len = 0, len = 0;
    struct dri_change change;
    struct dri_wire_error error;
    struct dri_schedules_fault fault;
    const struct dri_change head = {.ts_ms = w->since_ms};
    test_ok(dri_schedule_encode(&view, map, sizeof(map), &map_len));
    snprintf(key, sizeof(key), "%s/%s", w->group, name);
    const struct dri_schedule_item item = {.key = dray_slice_text(key),
                                           .schedule = dray_slice_of(map, map_len)};
    test_ok(dri_schedule_change_encode(&head, &item, 1, bytes, sizeof(bytes), &len));
    test_ok(dri_schedule_change_decode(dray_slice_of(bytes, len), &limits, &change, &error));
    test_ok(dri_schedules_apply(w->schedules, ++w->revision, &change, w->since_ms, &fault));
}

static void start_replica(struct world *w, size_t at)
{
    struct replica *replica = &w->replicas[at];
    snprintf(replica->name, sizeof(replica->name), "r%zu", at);
    replica->settings.bus = bus_url;
    replica->settings.group = w->group;
    replica->settings.topics.commands = w->commands;
    replica->settings.topics.ticks = w->ticks;
    replica->settings.worker.create_topics = true;
    replica->settings.worker.partitions = 3;
    replica->settings.worker.fire_ahead_ms = 1000;
    test_ok(dri_metrics_create("test", replica->name, "0", &replica->metrics));
    const struct dri_firing_config config = {.settings = &replica->settings,
                                             .ops = w->ops,
                                             .schedules = w->schedules,
                                             .metrics = replica->metrics,
                                             .worker = replica->name};
    test_ok(dri_firing_start(&config, &replica->thread));
}

static void open_world(struct world *w, const char *name)
{
    char text[256];
    *w = (struct world){.since_ms = dri_clock_wall_ms() / 1000 * 1000};
    test_ok(dri_transport_for(bus_url, &w->ops, text, sizeof(text)));
    snprintf(w->group, sizeof(w->group), "%s%u", name, (unsigned)getpid());
    snprintf(w->commands, sizeof(w->commands), "cmd%s%u", name, (unsigned)getpid());
    snprintf(w->ticks, sizeof(w->ticks), "ticks.%s.%s", w->group, w->commands);
    test_ok(dri_schedules_create(w->group, NULL, &w->schedules));
    put_each_second(w, "a", NULL);
    for (size_t i = 0; i < REPLICAS; i++) {
        start_replica(w, i);
    }
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < REPLICAS; i++) {
        dri_firing_stop(w->replicas[i].thread);
        dri_metrics_destroy(w->replicas[i].metrics);
    }
    dri_schedules_destroy(w->schedules);
}

static void nap(void)
{
    const struct timespec time = {.tv_nsec = NAP_NS};
    (void)nanosleep(&time, NULL);
}

/* ---- the commands topic ---- */

static void make_compacted(struct world *w)
{
    const struct dri_topic topic = {w->commands, DRI_USE_STATUS};
    const struct dri_transport_config config = {.url = bus_url,
                                                .client_id = "maker",
                                                .topics = &topic,
                                                .topics_count = 1,
                                                .can_create = true,
                                                .partitions = 3,
                                                .timeout_ms = 20000,
                                                .unacked_max = 10,
                                                .in_flight_max = 10,
                                                .memory_bytes = UINT64_C(1) << 20};
    struct dri_transport *maker = NULL;
    char text[256];
    test_ok(w->ops->open(&config, &maker, text, sizeof(text)));
    w->ops->close(maker, 1000);
    w->ops->destroy(maker);
}

static void take(struct world *w, const struct dri_message *message)
{
    struct dray_slice header = dri_headers_find(message->headers, "dray-schedule");
    char text[256];
    snprintf(text, sizeof(text), "%.*s", (int)header.len, (const char *)header.at);
    const char *tick = strchr(text, '#');
    assert_non_null(tick);
    uint64_t second = (strtoull(tick + 1, NULL, 10) - w->since_ms) / 1000;
    assert_true(second > 0 && second < TICKS_MAX);
    w->fired[second]++;
    w->read++;
}

/* All that is there now, from the start. */
static void read_all(struct world *w)
{
    const struct dri_source source = {w->commands, DRI_ROLE_LOG, DRI_START_EARLIEST, 0, 0};
    const struct dri_transport_config config = {.url = bus_url,
                                                .client_id = "reader",
                                                .sources = &source,
                                                .sources_count = 1,
                                                .timeout_ms = 20000,
                                                .in_flight_max = 100,
                                                .memory_bytes = UINT64_C(16) << 20};
    char text[256];
    uint64_t end_ns = dri_clock_mono_ns() + WAIT_NS;
    memset(w->fired, 0, sizeof(w->fired));
    w->read = w->assigned = w->caught_up = 0;
    test_ok(w->ops->open(&config, &w->reader, text, sizeof(text)));
    while (w->assigned == 0 || w->caught_up < w->assigned) {
        struct dri_transport_event events[64];
        bool more = false;
        assert_true(dri_clock_mono_ns() < end_ns);
        size_t count = w->ops->poll(w->reader, dri_clock_now(), 64, events, 64, &more);
        for (size_t i = 0; i < count; i++) {
            w->assigned += events[i].type == DRI_TE_ASSIGNED;
            w->caught_up += events[i].type == DRI_TE_CAUGHT_UP;
            if (events[i].type == DRI_TE_MESSAGE) {
                take(w, &events[i].as.message);
            }
        }
        if (!more) {
            nap();
        }
    }
    w->ops->close(w->reader, 1000);
    w->ops->destroy(w->reader);
}

/* Ticks without a gap from the first one on; each has one command. */
static unsigned ticks_in_a_row(const struct world *w)
{
    unsigned count = 0;
    for (size_t second = 1; second < TICKS_MAX; second++) {
        if (w->fired[second] > 1) {
            fail_msg("tick %zu has %u commands", second, w->fired[second]);
        }
        if (w->fired[second] == 0 && count + 1 == second) {
            return count;
        }
        count += w->fired[second];
    }
    return count;
}

static void wait_for_ticks(struct world *w, unsigned count)
{
    uint64_t end_ns = dri_clock_mono_ns() + WAIT_NS;
    for (;;) {
        nap();
        if (dri_clock_wall_ms() < w->since_ms + count * UINT64_C(1000)) {
            continue;
        }
        read_all(w);
        if (ticks_in_a_row(w) >= count) {
            return;
        }
        assert_true(dri_clock_mono_ns() < end_ns);
    }
}

static bool metric_is_positive(const struct replica *replica, const char *name)
{
    size_t len = 0;
    char line[64];
    char *text = dri_metrics_text(replica->metrics, &len);
    assert_non_null(text);
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    bool is_positive = at != NULL && strtod(at + strlen(line), NULL) > 0;
    dri_free(text);
    return is_positive;
}

static void own(struct world *w, size_t at, bool is_ours)
{
    dri_firing_own(w->replicas[at].thread, is_ours);
}

static void replicas_that_all_believe_it_is_theirs_fire_each_tick_once(void **state)
{
    struct world w;
    size_t have_fired = 0, came_second = 0;
    (void)state;
    atomic_store(&fenced, 0);
    open_world(&w, "all");
    own(&w, 0, true); /* makes the topics */
    wait_for_ticks(&w, 2);
    own(&w, 1, true);
    own(&w, 2, true);
    wait_for_ticks(&w, TICKS);
    for (size_t i = 0; i < REPLICAS; i++) {
        bool was_second = metric_is_positive(&w.replicas[i], "dray_schedule_fired_before_total");
        came_second += was_second;
        have_fired += was_second || metric_is_positive(&w.replicas[i], "dray_schedule_fired_total");
        own(&w, i, false);
    }
    /* They were at it together, and were kept apart: there by the transactions' one id, here by the
     * commands' ids. */
    assert_true(have_fired >= 2);
    assert_true((strncmp(bus_url, "kafka", 5) == 0 ? atomic_load(&fenced) : came_second) > 0);
    close_world(&w);
}

static void a_replica_goes_on_where_another_one_stopped(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "turns");
    for (unsigned turn = 0; turn < 4; turn++) {
        own(&w, turn % REPLICAS, true);
        wait_for_ticks(&w, 2 + 3 * turn);
        own(&w, turn % REPLICAS, false);
    }
    close_world(&w);
}

/* A compacted topic takes nothing without a key: one schedule is at fault, the other is not. */
static void one_that_the_broker_refuses_holds_up_no_other(void **state)
{
    struct world w;
    (void)state;
    if (strncmp(bus_url, "kafka", 5) != 0) {
        skip();
    }
    open_world(&w, "refused");
    put_each_second(&w, "b", "key");
    make_compacted(&w);
    own(&w, 0, true);
    wait_for_ticks(&w, 4);
    assert_true(metric_is_positive(&w.replicas[0], "dray_schedule_refused_total"));
    own(&w, 0, false);
    close_world(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_that_all_believe_it_is_theirs_fire_each_tick_once),
        cmocka_unit_test(a_replica_goes_on_where_another_one_stopped),
        cmocka_unit_test(one_that_the_broker_refuses_holds_up_no_other),
    };
    bool is_kafka = argc > 1 && strcmp(argv[1], "kafka") == 0;
    bus_url = getenv(is_kafka ? "DRAY_TEST_KAFKA" : "DRAY_TEST_NATS");
    if (bus_url == NULL) {
        printf("skipped: no broker in %s\n", is_kafka ? "DRAY_TEST_KAFKA" : "DRAY_TEST_NATS");
        return 77;
    }
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, count_fenced, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
