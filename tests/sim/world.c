/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* world.c - plays one seed.
 *
 * Everything runs in this one thread: workers are the product's engine and core with the simulated
 * transport and lanes in virtual time. At each moment everybody who has something to do does it,
 * then time jumps to the next thing that will happen.
 *
 * First the faults and the commands (safety), then the faults end, the dead are started again, and
 * the backlog has to empty within a bounded time (liveness); then every worker is drained, which
 * has to be clean. A worker that dies is dropped as it stands: its transport stops answering, what
 * it had sent may arrive or not, and a new one is started later.
 */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "chance.h"
#include "lanes.h"
#include "router.h"
#include "run/engine.h"
#include "wire/headers.h"
#include "wire/park.h"

#define NS_PER_MS       UINT64_C(1000000)
#define WALL_BEGIN_MS   UINT64_C(1767225600000) /* 2026-01-01 */
#define LET_GO_MS       1000u
#define HEAL_MS         UINT64_C(300000)
#define PROBES_MS       UINT64_C(1200000) /* the slowest handler, as often as a probe may fail */
#define PATIENCE_MS     UINT64_C(60000)
#define DRAIN_MS        UINT64_C(300000)
#define TURNS_AT_ONCE   10000u
#define MOMENTS_AT_ONCE 100000u
#define WORKER_BYTES    16u
#define HEADS_MAX       8u
#define DISK_NS         UINT64_C(700000000) /* full or not, for so long */

enum worker_state {
    WORKER_DOWN,
    WORKER_UP,
    WORKER_DRAINING,
    WORKER_GONE
};

struct world;

struct worker {
    const struct world *world;
    enum worker_state state;
    char name[WORKER_BYTES];
    uint32_t number, client;
    struct dri_transport *transport;
    struct dri_executor *lanes;
    struct dri_engine *engine;
    uint64_t start_ns;        /* DOWN: when it is started again */
    uint64_t stopped_from_ns; /* it stands still since then */
    uint64_t stopped_until_ns;
    uint64_t awake_ns; /* the system lets it run again */
    uint64_t drain_until_ns;
    bool is_turn_due;
};

/** A command that may get a twin. */
struct head {
    struct sim_plan plan;
    int32_t partition;
};

struct world {
    struct sim_options options;
    struct chance chance;
    struct dri_now now;
    struct dri_sim_broker *broker;
    struct sim_checker *checker;
    struct dri_router *router;
    struct head heads[HEADS_MAX]; /* the latest ones, a ring */
    size_t heads_count;
    struct worker workers[SIM_WORKERS_MAX];
    uint32_t produced;
    uint64_t produce_ns; /* next */
    uint64_t nemesis_ns[SIM_NEMESIS_COUNT];
    uint64_t refused_until_ns;
    const char *refused_topic;
    uint32_t refusals;
    bool is_healing, is_ending;
    uint64_t turns, stuck;
    uint64_t nemesis_counts[SIM_NEMESIS_COUNT];
    uint64_t unparks, rewrites, copies, disk_holds;
};

static bool has_failed(const struct world *world)
{
    return sim_checker_failure(world->checker) != NULL;
}

static uint64_t ms_from_now(const struct world *world, uint64_t ms)
{
    return world->now.mono_ns + ms * NS_PER_MS;
}

/* --- workers
 * -------------------------------------------------------------------------------------- */

static void open_transport(struct world *world, struct worker *worker)
{
    struct dri_source sources[SIM_TOPIC_SOURCES + 2] = {
        {.role = DRI_ROLE_COMMANDS},
        {.role = DRI_ROLE_REPLAY},
    };
    size_t sources_count =
        world->options.core.delay_after_ms != 0 ? SIM_TOPIC_SOURCES : SIM_TOPIC_DELAY;
    for (uint32_t i = 0; i < sources_count; i++) {
        sources[i].topic = sim_source_names[i];
        sources[i].start = DRI_START_EARLIEST;
        if (i >= SIM_TOPIC_DELAY) {
            sources[i].role = DRI_ROLE_DELAY;
            sources[i].delay_ms = dri_delay_level_ms(i - SIM_TOPIC_DELAY);
        }
    }
    if (world->options.core.park_max > 0) {
        sources[sources_count++] = (struct dri_source){
            .topic = SIM_PARK_TOPIC, .role = DRI_ROLE_PARK, .start = DRI_START_EARLIEST};
    }
    if (world->options.twins != 0) {
        sources[sources_count++] = (struct dri_source){
            .topic = SIM_WINDOW_TOPIC, .role = DRI_ROLE_WINDOW, .start = DRI_START_EARLIEST};
    }
    const struct dri_transport_config config = {
        .url = "sim://",
        .group = "g",
        .client_id = worker->name,
        .sources = sources,
        .sources_count = sources_count,
        .unacked_max = 1 + world->options.core.unacked_max / 2,
        .in_flight_max = world->options.core.in_flight_max,
        .transactional_id = world->options.transaction_ms != 0 ? worker->name : NULL,
        .sim = world->broker,
    };
    char text[200] = "";
    enum dray_status status = dri_sim_ops.open(&config, &worker->transport, text, sizeof(text));
    DRI_ASSERT(status == DRAY_OK);
    worker->client = dri_sim_client_number(worker->transport);
}

/* By the time alone, so that nothing else depends on how often it is asked. */
static bool is_disk_full(void *arg)
{
    const struct worker *worker = arg;
    const struct world *world = worker->world;
    uint64_t moment = world->now.mono_ns / DISK_NS * SIM_WORKERS_MAX + worker->number;
    return !world->is_healing &&
           chance_mix(world->options.seed ^ moment) % 100 < world->options.disk_full;
}

static void start_worker(struct world *world, struct worker *worker)
{
    static const char *const replies[] = {"results.*", "side", "forbidden", "_INBOX.>"};
    open_transport(world, worker);
    const struct sim_lanes_config lanes = {
        .options = &world->options,
        .checker = world->checker,
        .now = &world->now,
        .client = worker->client,
        .seed = chance_next(&world->chance),
    };
    worker->lanes = sim_lanes_create(&lanes);
    const struct dri_engine_config config = {
        .core = world->options.core,
        .transport_ops = &dri_sim_ops,
        .transport = worker->transport,
        .executor = worker->lanes,
        .router = world->router,
        .worker = worker->name,
        .namespace_ = "default",
        .namespaces = "default",
        .results_topic = "results",
        .dead_letters_topic = "dlq",
        .delay_topics = &sim_source_names[SIM_TOPIC_DELAY],
        .park_topic = world->options.core.park_max > 0 ? SIM_PARK_TOPIC : NULL,
        .is_spool_full = world->options.disk_full != 0 ? is_disk_full : NULL,
        .spool_arg = worker,
        .window_topic = world->options.twins != 0 ? SIM_WINDOW_TOPIC : NULL,
        .window_entries = world->options.commands + 1,
        .window_bytes = UINT64_MAX,
        .window_ms = SIM_WINDOW_MS,
        .reply_patterns = replies,
        .reply_patterns_count = DRI_ARRAY_LEN(replies),
        .dependency_failures = world->options.dependency_failures,
        .dependency_open_ms = world->options.dependency_open_ms,
        .order = world->options.order,
        .transaction_ms = world->options.transaction_ms,
        .limits = {.message_bytes = 8192, .depth = 16, .elements = 4096},
    };
    enum dray_status status = dri_engine_create(&config, &worker->engine);
    DRI_ASSERT(status == DRAY_OK);
    worker->world = world;
    worker->state = WORKER_UP;
    worker->stopped_until_ns = 0;
    worker->awake_ns = 0;
    worker->is_turn_due = true;
    sim_checker_trace(world->checker, "start    worker %u as client %u", worker->number,
                      worker->client);
}

/* What only the worker itself can count. */
static void count_parking(struct world *world, const struct worker *worker)
{
    struct dri_engine_stats stats;
    struct dri_core_stats core;
    dri_engine_stats(worker->engine, &stats, &core);
    world->unparks += core.unparked;
    world->rewrites += core.rewritten;
    world->copies += core.copies_dropped;
    world->disk_holds += stats.park_holds;
}

static void take_down(struct world *world, struct worker *worker)
{
    count_parking(world, worker);
    dri_engine_destroy(worker->engine);
    dri_sim_ops.close(worker->transport, 0);
    dri_sim_ops.destroy(worker->transport);
    sim_lanes_destroy(worker->lanes);
    worker->engine = NULL;
    worker->transport = NULL;
    worker->lanes = NULL;
}

static void start_later(struct world *world, struct worker *worker)
{
    worker->state = WORKER_DOWN;
    worker->start_ns = ms_from_now(world, chance_skewed(&world->chance, 0, 8000));
}

/* As SIGKILL: nothing is finished, nothing is said. */
static void bury(struct world *world, struct worker *worker)
{
    sim_checker_trace(world->checker, "died     worker %u, client %u", worker->number,
                      worker->client);
    sim_lanes_die(worker->lanes);
    take_down(world, worker);
    start_later(world, worker);
}

static void begin_drain(struct world *world, struct worker *worker)
{
    sim_checker_trace(world->checker, "drain    worker %u, client %u", worker->number,
                      worker->client);
    worker->state = WORKER_DRAINING;
    worker->drain_until_ns = ms_from_now(world, DRAIN_MS);
    worker->is_turn_due = true;
    dri_engine_drain(worker->engine, world->now);
}

/* It is drained, or should be. */
static void check_drain(struct world *world, struct worker *worker)
{
    bool is_clean = false;
    if (!dri_engine_is_drained(worker->engine, &is_clean)) {
        if (world->now.mono_ns > worker->drain_until_ns) {
            sim_checker_fail(world->checker, "drain", "client %u does not end its drain",
                             worker->client);
        }
        return;
    }
    sim_checker_trace(world->checker, "drained  worker %u: %s", worker->number,
                      is_clean ? "clean" : "not clean");
    sim_checker_drained(world->checker, worker->client, is_clean);
    if (world->is_ending && !is_clean) {
        sim_checker_fail(world->checker, "drain", "client %u had nothing to do and is not clean",
                         worker->client);
    }
    sim_lanes_die(worker->lanes);
    take_down(world, worker);
    if (world->is_ending) {
        worker->state = WORKER_GONE;
    } else {
        start_later(world, worker);
    }
}

static bool is_running(const struct world *world, const struct worker *worker)
{
    return (worker->state == WORKER_UP || worker->state == WORKER_DRAINING) &&
           world->now.mono_ns >= worker->stopped_until_ns;
}

/* Turns until it has nothing to do. */
static void turn(struct world *world, struct worker *worker)
{
    bool is_idle = false;
    for (uint32_t i = 0; !is_idle && !has_failed(world); i++) {
        world->turns++;
        if (dri_engine_turn(worker->engine, world->now, &is_idle) != DRAY_OK) {
            sim_checker_fail(world->checker, "bounds", "client %u cannot go on", worker->client);
        }
        sim_checker_watch(world->checker);
        if (dri_sim_is_dead(worker->transport)) {
            bury(world, worker);
            return;
        }
        if (i == TURNS_AT_ONCE) {
            sim_checker_fail(world->checker, "bounds", "client %u is never idle", worker->client);
        }
    }
    worker->is_turn_due = false;
    if (worker->state == WORKER_DRAINING) {
        check_drain(world, worker);
    }
}

static uint64_t worker_deadline(const struct world *world, const struct worker *worker)
{
    if (worker->state == WORKER_DOWN) {
        return worker->start_ns;
    }
    if (worker->state == WORKER_GONE) {
        return UINT64_MAX;
    }
    if (world->now.mono_ns < worker->stopped_until_ns) {
        return worker->stopped_until_ns;
    }
    uint64_t engine_ns = dri_engine_next_deadline(worker->engine);
    uint64_t lanes_ns = sim_lanes_deadline(worker->lanes);
    uint64_t at_ns = engine_ns < lanes_ns ? engine_ns : lanes_ns;
    if (worker->state == WORKER_DRAINING && worker->drain_until_ns < at_ns) {
        at_ns = worker->drain_until_ns + 1;
    }
    return at_ns < worker->awake_ns ? worker->awake_ns : at_ns;
}

static void delay_turn(struct world *world, struct worker *worker)
{
    if (world->options.turn_delay_us > 0 && !world->is_healing &&
        chance_one_in(&world->chance, 8)) {
        worker->awake_ns =
            world->now.mono_ns +
            chance_between(&world->chance, 1, (uint64_t)world->options.turn_delay_us * 1000);
    }
}

static void run_worker(struct world *world, struct worker *worker)
{
    if (worker->state == WORKER_DOWN && worker->start_ns <= world->now.mono_ns) {
        start_worker(world, worker);
    }
    if (!is_running(world, worker)) {
        return;
    }
    if (dri_sim_is_dead(worker->transport)) {
        bury(world, worker);
        return;
    }
    if (worker->stopped_until_ns != 0) { /* it goes on: its handlers stood still, too */
        sim_lanes_delay(worker->lanes, world->now.mono_ns - worker->stopped_from_ns);
        worker->stopped_until_ns = 0;
        worker->is_turn_due = true;
    }
    if (world->now.mono_ns < worker->awake_ns ||
        (!worker->is_turn_due && worker_deadline(world, worker) > world->now.mono_ns)) {
        return;
    }
    sim_lanes_advance(worker->lanes);
    turn(world, worker);
    if (is_running(world, worker)) {
        delay_turn(world, worker);
    }
}

/* --- the producer
 * --------------------------------------------------------------------------------- */

static size_t make_headers(struct world *world, uint8_t *buffer, size_t buffer_bytes)
{
    static const char *const names[] = {"x-origin", "x-origin", "dray-dlq-reason",
                                        "dray-dlq-first-failed-at"};
    size_t len = 0;
    size_t count = chance_skewed(&world->chance, 0, DRI_ARRAY_LEN(names));
    for (size_t i = 0; i < count; i++) {
        enum dray_status status =
            dri_headers_append(buffer, buffer_bytes, &len, dray_slice_text(names[i]),
                               dray_slice_text(i == 3 ? "2020-01-01T00:00:00.000Z" : "timeout"));
        DRI_ASSERT(status == DRAY_OK);
    }
    return len;
}

/* A command with the id of an earlier one of its route, in the same partition, of the same key or
 * not. False: there is none, or it is not its turn. */
static bool draw_twin(struct world *world, struct sim_plan *ret_plan, int32_t *ret_partition)
{
    size_t count = world->heads_count < HEADS_MAX ? world->heads_count : HEADS_MAX;
    if (count == 0 || world->options.twins == 0 ||
        !chance_one_in(&world->chance, world->options.twins)) {
        return false;
    }
    const struct head *head = &world->heads[chance_between(&world->chance, 0, count - 1)];
    if (sim_route_of(&world->options, world->produced) !=
        sim_route_of(&world->options, head->plan.index)) {
        return false;
    }
    *ret_plan = head->plan;
    ret_plan->index = world->produced;
    if (ret_plan->key >= 0 && chance_one_in(&world->chance, 2)) {
        ret_plan->key = (int32_t)chance_between(&world->chance, 0, world->options.keys - 1);
    }
    *ret_partition = head->partition;
    return true;
}

static void note_head(struct world *world, const struct sim_plan *plan, int32_t partition)
{
    if (world->options.twins != 0 && plan->of == plan->index && !plan->is_replayed &&
        plan->shape == SIM_SHAPE_SOUND && sim_route_of(&world->options, plan->index) != NULL) {
        world->heads[world->heads_count++ % HEADS_MAX] =
            (struct head){.plan = *plan, .partition = partition};
    }
}

static void produce_one(struct world *world)
{
    static const char *const topics[] = {"commands", "replay.g.commands"};
    struct sim_plan plan;
    struct sim_bytes value;
    char key[SIM_KEY_BYTES];
    uint8_t headers[300];
    int32_t wanted = -1;
    if (!draw_twin(world, &plan, &wanted)) {
        sim_plan_draw(&world->options, &world->chance, world->produced, world->now.wall_ms, &plan);
    }
    sim_plan_encode(&plan, &value);
    size_t headers_len = make_headers(world, headers, sizeof(headers));
    const struct dri_publish message = {
        .topic = dray_slice_text(topics[plan.is_replayed]),
        .partition = wanted >= 0 ? wanted
                     : plan.key < 0
                         ? (int32_t)chance_between(&world->chance, 0, world->options.partitions - 1)
                         : -1,
        .key = sim_plan_key(&plan, key),
        .value = dray_slice_of(value.at, value.len),
        .headers = dray_slice_of(headers, headers_len),
    };
    int32_t partition = 0;
    uint64_t offset = 0;
    enum dray_status status =
        dri_sim_append(world->broker, world->now, &message, &partition, &offset);
    DRI_ASSERT(status == DRAY_OK);
    world->produced++;
    note_head(world, &plan, partition);
    sim_checker_produced(world->checker, &plan, plan.is_replayed, partition, offset);
    sim_checker_watch(world->checker);
}

/* Somebody lets every key go that stands still. */
static void release_keys(struct world *world)
{
    uint8_t headers[100];
    size_t headers_len = 0;
    struct dray_slice key;
    int32_t partition = 0;
    uint64_t offset = 0;
    const struct dri_park park = {.kind = DRI_PARK_RELEASE};
    enum dray_status status =
        dri_park_headers(&park, dray_slice_of(NULL, 0), headers, sizeof(headers), &headers_len);
    DRI_ASSERT(status == DRAY_OK);
    sim_checker_watch(world->checker);
    while (!has_failed(world) && sim_checker_stopped(world->checker, &partition, &key)) {
        const struct dri_publish release = {
            .topic = dray_slice_text(SIM_PARK_TOPIC),
            .partition = partition,
            .key = key,
            .value = dray_slice_of("", 0),
            .headers = dray_slice_of(headers, headers_len),
        };
        status = dri_sim_append(world->broker, world->now, &release, &partition, &offset);
        DRI_ASSERT(status == DRAY_OK);
        sim_checker_watch(world->checker);
    }
}

/* In bursts, over the time that there is. */
static void produce(struct world *world)
{
    if (world->produce_ns > world->now.mono_ns || world->produced == world->options.commands) {
        return;
    }
    uint64_t burst = chance_skewed(&world->chance, 1, 1 + world->options.commands / 4);
    while (burst-- > 0 && world->produced < world->options.commands) {
        produce_one(world);
    }
    if (world->options.exhausted != DRI_EXHAUSTED_DEAD_LETTER && chance_one_in(&world->chance, 4)) {
        release_keys(world);
    }
    uint64_t mean_ns = world->options.safety_ms * NS_PER_MS / 10;
    world->produce_ns = world->now.mono_ns + chance_between(&world->chance, 1, mean_ns);
}

/* --- the nemesis
 * ---------------------------------------------------------------------------------- */

static struct worker *any_running(struct world *world)
{
    struct worker *worker =
        &world->workers[chance_between(&world->chance, 0, world->options.workers - 1)];
    return is_running(world, worker) ? worker : NULL;
}

static void wake_all(struct world *world)
{
    for (uint32_t i = 0; i < world->options.workers; i++) {
        world->workers[i].is_turn_due = true;
    }
}

static void refuse(struct world *world)
{
    static const enum dray_status reasons[] = {DRAY_EAUTH, DRAY_ENOTFOUND, DRAY_EBROKER,
                                               DRAY_EFULL};
    world->refused_topic = chance_one_in(&world->chance, 2) ? "dlq" : "results";
    if (++world->refusals % 4 == 0) {
        world->refused_topic = sim_source_names[SIM_TOPIC_DELAY + world->refusals / 4 % 2];
    }
    if (world->options.core.park_max > 0 && chance_one_in(&world->chance, 3)) {
        world->refused_topic = SIM_PARK_TOPIC;
    }
    world->refused_until_ns = ms_from_now(world, chance_skewed(&world->chance, 10, 20000));
    dri_sim_topic_refuse(world->broker, world->refused_topic,
                         reasons[chance_next(&world->chance) % DRI_ARRAY_LEN(reasons)]);
}

static void end_refusal(struct world *world)
{
    if (world->refused_topic != NULL) {
        dri_sim_topic_refuse(world->broker, world->refused_topic, DRAY_OK);
        world->refused_topic = NULL;
    }
}

static void stop(struct world *world, struct worker *worker)
{
    worker->stopped_from_ns = world->now.mono_ns;
    worker->stopped_until_ns = ms_from_now(world, chance_skewed(&world->chance, 100, 20000));
}

static void jump(struct world *world)
{
    uint64_t by_ms = chance_skewed(&world->chance, 1, UINT64_C(31536000000));
    world->now.wall_ms += chance_one_in(&world->chance, 2) ? by_ms : 0;
    world->now.wall_ms -= chance_one_in(&world->chance, 2) ? by_ms : 0;
}

/* Every worker hears of it by a turn. */
static void hold(struct world *world)
{
    uint32_t route = chance_between32(&world->chance, 0, world->options.routes_count - 1);
    sim_router_toggle(world->router, route);
    wake_all(world);
}

/* False: there was nobody to do it to. */
static bool strike(struct world *world, enum sim_nemesis nemesis)
{
    struct worker *worker = any_running(world);
    switch (nemesis) {
    case SIM_NEMESIS_KILL:
        if (worker != NULL) {
            worker->is_turn_due = true;
            dri_sim_kill(worker->transport, chance_skewed(&world->chance, 0, 40));
        }
        return worker != NULL;
    case SIM_NEMESIS_STOP:
        if (worker != NULL) {
            stop(world, worker);
        }
        return worker != NULL;
    case SIM_NEMESIS_ISOLATE:
        if (worker != NULL) {
            dri_sim_isolate(worker->transport, world->now,
                            ms_from_now(world, chance_skewed(&world->chance, 100, 15000)));
        }
        return worker != NULL;
    case SIM_NEMESIS_DRAIN:
        if (worker == NULL || worker->state == WORKER_DRAINING) {
            return false;
        }
        begin_drain(world, worker);
        return true;
    case SIM_NEMESIS_REVOKE:
    case SIM_NEMESIS_LOSE:
        dri_sim_storm(world->broker, world->now, nemesis == SIM_NEMESIS_LOSE,
                      chance_between32(&world->chance, 1, 3));
        return true;
    case SIM_NEMESIS_PAUSE:
        dri_sim_pause(world->broker, world->now,
                      ms_from_now(world, chance_skewed(&world->chance, 10, 20000)));
        return true;
    case SIM_NEMESIS_REFUSE:
        end_refusal(world);
        refuse(world);
        return true;
    case SIM_NEMESIS_JUMP:
        jump(world);
        return true;
    case SIM_NEMESIS_HOLD:
        hold(world);
        return true;
    case SIM_NEMESIS_COUNT:
        break;
    }
    return false;
}

static void plague(struct world *world)
{
    if (world->refused_topic != NULL && world->refused_until_ns <= world->now.mono_ns) {
        end_refusal(world);
    }
    for (int i = 0; i < SIM_NEMESIS_COUNT && !world->is_healing; i++) {
        uint64_t mean_ns = world->options.mean_ms[i] * NS_PER_MS;
        if (mean_ns == 0 || world->nemesis_ns[i] > world->now.mono_ns) {
            continue;
        }
        if (world->nemesis_ns[i] != 0 && strike(world, (enum sim_nemesis)i)) {
            world->nemesis_counts[i]++;
            sim_checker_trace(world->checker, "nemesis  %s", sim_nemesis_text((enum sim_nemesis)i));
            sim_checker_watch(world->checker);
        }
        world->nemesis_ns[i] = world->now.mono_ns + chance_between(&world->chance, 1, 2 * mean_ns);
    }
}

/* --- time
 * ----------------------------------------------------------------------------------------- */

static void earlier(uint64_t *ret_at, uint64_t at)
{
    *ret_at = at < *ret_at ? at : *ret_at;
}

static uint64_t next_moment(const struct world *world)
{
    uint64_t at_ns = dri_sim_next_deadline(world->broker);
    for (uint32_t i = 0; i < world->options.workers; i++) {
        earlier(&at_ns, worker_deadline(world, &world->workers[i]));
    }
    if (world->produced < world->options.commands) {
        earlier(&at_ns, world->produce_ns);
    }
    if (world->refused_topic != NULL) {
        earlier(&at_ns, world->refused_until_ns);
    }
    for (int i = 0; i < SIM_NEMESIS_COUNT && !world->is_healing; i++) {
        if (world->options.mean_ms[i] != 0) {
            earlier(&at_ns, world->nemesis_ns[i]);
        }
    }
    return at_ns;
}

static void move_time(struct world *world, uint64_t to_ns)
{
    uint64_t from_ms = world->now.mono_ns / NS_PER_MS;
    if (to_ns <= world->now.mono_ns) {
        world->stuck++;
        if (world->stuck > MOMENTS_AT_ONCE) {
            sim_checker_fail(world->checker, "bounds", "time stands still");
        }
        return;
    }
    world->stuck = 0;
    world->now.mono_ns = to_ns;
    world->now.wall_ms += to_ns / NS_PER_MS - from_ms;
    sim_checker_now(world->checker, world->now);
}

/* One moment: everybody does what he has to do now, in an order of the day. */
static void live(struct world *world)
{
    uint32_t first = (uint32_t)chance_between(&world->chance, 0, world->options.workers - 1);
    dri_sim_advance(world->broker, world->now);
    sim_checker_watch(world->checker);
    produce(world);
    plague(world);
    for (uint32_t i = 0; i < world->options.workers && !has_failed(world); i++) {
        run_worker(world, &world->workers[(first + i) % world->options.workers]);
    }
    sim_checker_now(world->checker, world->now);
}

static void live_until(struct world *world, uint64_t until_ns)
{
    while (world->now.mono_ns < until_ns && !has_failed(world)) {
        live(world);
        uint64_t next_ns = next_moment(world);
        move_time(world, next_ns < until_ns ? next_ns : until_ns);
    }
}

/* --- the play
 * ------------------------------------------------------------------------------------- */

static void heal(struct world *world)
{
    sim_checker_trace(world->checker, "heal");
    world->is_healing = true;
    dri_sim_rates(world->broker, NULL);
    dri_sim_pause(world->broker, world->now, world->now.mono_ns);
    end_refusal(world);
    /* A worker waits twice for as long as revoke_ms. Thrown out for that it comes again, which
     * takes the others' partitions away, and a handler that is slow enough never comes to its end.
     */
    dri_sim_let_go_in(world->broker, 2 * world->options.core.revoke_ms + LET_GO_MS);
    sim_router_resume_all(world->router);
    world->options.exhausted = DRI_EXHAUSTED_DEAD_LETTER; /* what fails now ends */
    wake_all(world);
    for (uint32_t i = 0; i < world->options.workers; i++) {
        struct worker *worker = &world->workers[i];
        if (worker->state == WORKER_DOWN) {
            worker->start_ns = world->now.mono_ns;
        } else if (worker->stopped_until_ns > world->now.mono_ns) {
            worker->stopped_until_ns = world->now.mono_ns;
        }
        if (worker->transport != NULL) {
            dri_sim_isolate(worker->transport, world->now, world->now.mono_ns);
        }
    }
}

/* A command that is parked between two attempts has its probes counted anew. */
static uint64_t heal_ms(const struct world *world)
{
    const struct sim_options *options = &world->options;
    bool has_probes = options->core.systemic_share != 0 || options->dependency_failures != 0;
    for (uint32_t i = 0; i < options->routes_count; i++) {
        has_probes = has_probes || options->routes[i].limits.failures != 0;
    }
    uint64_t stays = options->core.park_max != 0 ? options->attempts_max : 1;
    return has_probes ? HEAL_MS + stays * PROBES_MS : HEAL_MS;
}

/* Every command that comes to its end buys the next one time: how long all take is a matter of
 * sizes. */
static void become_whole(struct world *world)
{
    uint64_t until_ns = ms_from_now(world, heal_ms(world));
    uint64_t patience_ns = ms_from_now(world, PATIENCE_MS);
    size_t complete = 0;
    heal(world);
    while (!sim_checker_is_done(world->checker) && !has_failed(world)) {
        if (world->now.mono_ns >= patience_ns && sim_checker_may_drain(world->checker)) {
            return;
        }
        if (world->now.mono_ns >= until_ns) {
            sim_checker_fail_liveness(world->checker);
            return;
        }
        release_keys(world);
        live_until(world, ms_from_now(world, 1000));
        if (sim_checker_complete(world->checker) > complete) {
            complete = sim_checker_complete(world->checker);
            until_ns = ms_from_now(world, heal_ms(world));
            patience_ns = ms_from_now(world, PATIENCE_MS);
        }
    }
}

static bool is_anybody_left(const struct world *world)
{
    for (uint32_t i = 0; i < world->options.workers; i++) {
        if (world->workers[i].state != WORKER_GONE) {
            return true;
        }
    }
    return false;
}

static void drain_all(struct world *world)
{
    world->is_ending = true;
    sim_checker_ends(world->checker);
    while (is_anybody_left(world) && !has_failed(world)) {
        for (uint32_t i = 0; i < world->options.workers; i++) {
            if (world->workers[i].state == WORKER_UP) {
                begin_drain(world, &world->workers[i]);
            }
        }
        live(world);
        if (is_anybody_left(world)) {
            move_time(world, next_moment(world));
        }
    }
}

static void create(struct world *world, const struct sim_options *options, bool is_tracing)
{
    static const char *const topics[] = {SIM_PARK_TOPIC, SIM_WINDOW_TOPIC, "results",
                                         "dlq",          "side",           "forbidden"};
    *world = (struct world){.options = *options,
                            .chance = {chance_mix(options->seed + 1)},
                            .now = {.mono_ns = NS_PER_MS, .wall_ms = WALL_BEGIN_MS}};
    enum dray_status status = dri_sim_create(&options->broker, &world->broker);
    DRI_ASSERT(status == DRAY_OK);
    for (size_t i = 0; i < SIM_TOPIC_SOURCES; i++) {
        status = dri_sim_topic_create(world->broker, sim_source_names[i], options->partitions);
        DRI_ASSERT(status == DRAY_OK);
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(topics); i++) {
        status = dri_sim_topic_create(world->broker, topics[i], options->partitions);
        DRI_ASSERT(status == DRAY_OK);
    }
    dri_sim_topic_refuse(world->broker, "forbidden", DRAY_EAUTH);
    dri_sim_advance(world->broker, world->now);
    world->checker = sim_checker_create(options, world->broker, is_tracing);
    sim_checker_now(world->checker, world->now);
    world->router = sim_router_create(&world->options, world->checker);
    for (uint32_t i = 0; i < options->workers; i++) {
        struct worker *worker = &world->workers[i];
        worker->number = i;
        (void)snprintf(worker->name, sizeof(worker->name), "w%u", i);
        start_worker(world, worker);
    }
    world->produce_ns = ms_from_now(world, 100);
}

static void destroy(struct world *world)
{
    for (uint32_t i = 0; i < world->options.workers; i++) {
        if (world->workers[i].engine != NULL) {
            take_down(world, &world->workers[i]);
        }
    }
    sim_router_destroy(world->router);
    sim_checker_destroy(world->checker);
    dri_sim_destroy(world->broker);
}

void sim_world_play(const struct sim_options *options, bool is_tracing,
                    struct sim_outcome *ret_outcome)
{
    size_t blocks = dri_mem_live();
    struct world world;
    create(&world, options, is_tracing);
    live_until(&world, ms_from_now(&world, options->safety_ms));
    while (world.produced < options->commands && !has_failed(&world)) {
        live_until(&world, world.produce_ns + 1);
    }
    become_whole(&world);
    drain_all(&world);
    if (!has_failed(&world)) {
        sim_checker_finish(world.checker);
    }
    *ret_outcome = (struct sim_outcome){.hash = sim_checker_hash(world.checker),
                                        .virtual_ms = world.now.mono_ns / NS_PER_MS,
                                        .turns = world.turns};
    const char *failure = sim_checker_failure(world.checker);
    if (failure != NULL) {
        (void)snprintf(ret_outcome->failure, sizeof(ret_outcome->failure), "%s", failure);
    }
    memcpy(ret_outcome->nemesis, world.nemesis_counts, sizeof(ret_outcome->nemesis));
    dri_sim_counts(world.broker, ret_outcome->faults);
    sim_checker_tally(world.checker, &ret_outcome->tally);
    destroy(&world);
    ret_outcome->tally.unparks = world.unparks;
    ret_outcome->tally.rewrites = world.rewrites;
    ret_outcome->tally.copies = world.copies;
    ret_outcome->tally.disk_holds = world.disk_holds;
    if (dri_mem_live() != blocks && ret_outcome->failure[0] == '\0') {
        (void)snprintf(ret_outcome->failure, sizeof(ret_outcome->failure),
                       "leak: %zu blocks are left on the heap", dri_mem_live() - blocks);
    }
}
