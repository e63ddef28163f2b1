/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "assert.h"
#include "engine.h"
#include "envelope.h"
#include "mem.h"

/* What dray's own part of the engine's thread costs a command: taken in, decoded, through the core,
 * its result encoded, settled. The transport has its messages in memory and stores whatever is
 * published; the executor says at once that a command has run. So no broker, no client library and
 * no handler is in the figure, and it repeats: tests/bench/instructions.py counts by it.
 *
 * `window` is how many results wait for their acknowledgement. As Kafka it takes no deduplication
 * ids. Prints one JSON object a line: the median and the best of the rounds.
 */

#define SLOTS      8u
#define KEYS       10000u
#define MESSAGES   16384u /* that repeat: 200 bytes each */
#define BYTES      200u
#define OUT_MAX    (1u << 17)
#define STARTS_MAX 16384u
#define ROUNDS     7u

struct bench {
    struct dri_transport_base base; /* first: the bench is the transport */
    struct dri_executor_base run;   /* and, from here on, the executor */
    struct dri_engine *engine;
    struct dri_now now;
    bool is_assigned;
    uint64_t left;   /* messages of this round */
    uint64_t stored; /* results, in all */
    uint64_t sent;   /* messages, in all */
    uint64_t offsets[SLOTS];
    size_t window;
    uint64_t *out; /* tokens without their acknowledgement: a ring */
    size_t out_head, out_count;
    struct dri_flight *started[STARTS_MAX];
    size_t started_count;
    uint8_t (*messages)[BYTES];
    char keys[MESSAGES][16];
};

static uint64_t cpu_ns(void)
{
    struct timespec at;
    DRI_ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at) == 0);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

/* --- the transport -------------------------------------------------------------------------- */

static size_t assign(struct bench *bench, struct dri_transport_event *ret_events)
{
    static char origins[SLOTS][16];
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        snprintf(origins[slot], sizeof(origins[slot]), "commands/%u", slot);
        ret_events[slot] =
            (struct dri_transport_event){.type = DRI_TE_ASSIGNED,
                                         .slot = slot,
                                         .epoch = 1,
                                         .as.assigned = {.role = DRI_ROLE_COMMANDS,
                                                         .mode = DRI_SETTLE_WATERMARK,
                                                         .partition = (int32_t)slot,
                                                         .committed = -1,
                                                         .origin = dray_slice_text(origins[slot]),
                                                         .topic = dray_slice_text("commands"),
                                                         .park = DRI_SLOT_NONE,
                                                         .window = DRI_SLOT_NONE}};
    }
    bench->is_assigned = true;
    return SLOTS;
}

static void message(struct bench *bench, struct dri_transport_event *ret_event)
{
    uint64_t number = bench->sent++;
    uint32_t slot = (uint32_t)(number % SLOTS);
    bench->left--;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->type = DRI_TE_MESSAGE;
    ret_event->slot = slot;
    ret_event->epoch = 1;
    ret_event->as.message = (struct dri_message){
        .offset = bench->offsets[slot]++,
        .timestamp_ms = (int64_t)bench->now.wall_ms,
        .subject = dray_slice_text("commands"),
        .key = dray_slice_of(bench->keys[number % MESSAGES], 9),
        .value = dray_slice_of(bench->messages[number % MESSAGES], BYTES),
    };
}

static size_t bench_poll(struct dri_transport *self, struct dri_now now, size_t messages_max,
                         struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    struct bench *bench = (struct bench *)(void *)self;
    size_t count = 0;
    (void)now;
    if (!bench->is_assigned) {
        count = assign(bench, ret_events);
    }
    size_t keep = bench->left > 0 ? bench->window : 0;
    for (; bench->out_count > keep && count < max / 2; count++) {
        ret_events[count] = (struct dri_transport_event){
            .type = DRI_TE_PUBLISHED,
            .as.published = {.token = bench->out[bench->out_head], .ack = DRI_ACK_STORED}};
        bench->out_head = (bench->out_head + 1) % OUT_MAX;
        bench->out_count--;
        bench->stored++;
    }
    for (size_t i = 0; i < messages_max && bench->left > 0 && count < max; i++) {
        message(bench, &ret_events[count++]);
    }
    *ret_more = false;
    return count;
}

static size_t bench_publish(struct dri_transport *self, struct dri_now now,
                            const struct dri_publish *messages, size_t count)
{
    struct bench *bench = (struct bench *)(void *)self;
    (void)now;
    for (size_t i = 0; i < count; i++) {
        DRI_ASSERT(bench->out_count < OUT_MAX);
        bench->out[(bench->out_head + bench->out_count++) % OUT_MAX] = messages[i].token;
    }
    return count;
}

static void bench_settle(struct dri_transport *self, struct dri_now now,
                         const struct dri_settle *settles, size_t count)
{
    (void)self;
    (void)now;
    (void)settles;
    (void)count;
}

static uint64_t bench_deadline(struct dri_transport *self)
{
    (void)self;
    return UINT64_MAX;
}

static void bench_slot(struct dri_transport *self, uint32_t slot, uint32_t epoch)
{
    (void)self;
    (void)slot;
    (void)epoch;
}

static const struct dri_transport_ops transport = {
    .scheme = "bench",
    .poll = bench_poll,
    .publish = bench_publish,
    .settle = bench_settle,
    .next_deadline = bench_deadline,
    .unassign = bench_slot,
    .pause = bench_slot,
    .resume = bench_slot,
};

/* --- the executor --------------------------------------------------------------------------- */

static struct bench *bench_of(struct dri_executor *self)
{
    return (struct bench *)(void *)((char *)self - offsetof(struct bench, run));
}

static void bench_submit(struct dri_executor *self, uint32_t lane, struct dri_flight *chain)
{
    struct bench *bench = bench_of(self);
    (void)lane;
    for (; chain != NULL; chain = chain->next) {
        DRI_ASSERT(bench->started_count < STARTS_MAX);
        bench->started[bench->started_count++] = chain;
    }
}

static size_t bench_take(struct dri_executor *self, struct dri_flight **ret_flights, size_t max)
{
    struct bench *bench = bench_of(self);
    size_t count = bench->started_count < max ? bench->started_count : max;
    for (size_t i = 0; i < count; i++) {
        struct dri_flight *flight = bench->started[i];
        flight->was_run = true;
        flight->kind = DRAY_KIND_NONE;
        flight->version = dray_slice_text("1.0.0");
        flight->result = dray_slice_text("\xc3");
        ret_flights[i] = flight;
    }
    bench->started_count -= count;
    memmove(bench->started, bench->started + count, bench->started_count * sizeof(void *));
    return count;
}

static size_t bench_take_returned(struct dri_executor *self, struct dri_flight **ret_flights,
                                  size_t max)
{
    (void)self;
    (void)ret_flights;
    (void)max;
    return 0;
}

static void bench_flush(struct dri_executor *self)
{
    (void)self;
}

static void bench_flight(struct dri_executor *self, struct dri_flight *flight)
{
    (void)self;
    (void)flight;
}

static const struct dri_executor_ops executor = {
    .submit = bench_submit,
    .take = bench_take,
    .take_returned = bench_take_returned,
    .flush = bench_flush,
    .cancel = bench_flight,
    .release = bench_flight,
};

/* --- the rounds ----------------------------------------------------------------------------- */

static void make_messages(struct bench *bench)
{
    bench->messages = dri_zalloc_array(MESSAGES, sizeof(*bench->messages));
    DRI_ASSERT(bench->messages != NULL);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        uint8_t id[16] = {0};
        uint8_t payload[BYTES] = {0x81, 0xa3, 'p', 'a', 'd', 0xd9, 0};
        memcpy(id, &i, sizeof(i));
        snprintf(bench->keys[i], sizeof(bench->keys[i]), "key-%05u", i * 7919u % KEYS);
        struct dri_envelope envelope = {
            .id = dray_slice_of(id, sizeof(id)),
            .is_id_binary = true,
            .command = dray_slice_text("order.create"),
            .key = dray_slice_of(bench->keys[i], 9),
            .created_ms = 1700000000000u + i,
        };
        size_t len = 0;
        for (uint8_t pad = 0; len < BYTES; pad++) { /* until the whole has its 200 bytes */
            payload[6] = pad;
            envelope.payload = dray_slice_of(payload, 7 + (size_t)pad);
            DRI_ASSERT(dri_envelope_encode(&envelope, bench->messages[i], BYTES, &len) == DRAY_OK);
        }
    }
}

static void open_bench(struct bench *bench, size_t window)
{
    struct dri_engine_config config = {
        .core = {.in_flight_max = 10000,
                 .unacked_max = OUT_MAX,
                 .bytes_max = UINT64_C(1) << 32,
                 .slots_max = 4096,
                 .groups_max = 255,
                 .lanes = 2,
                 .lane_depth = 256,
                 .chain_max = 16,
                 .settle_ms = 100,
                 .revoke_ms = 5000,
                 .drain_ms = 5000,
                 .republish_ms = 100},
        .transport_ops = &transport,
        .transport = (struct dri_transport *)(void *)bench,
        .executor = (struct dri_executor *)(void *)&bench->run,
        .worker = "bench-1a2b3c4d",
        .namespace_ = "default",
        .results_topic = "results",
        .dead_letters_topic = "dlq.bench.commands",
        .limits = DRI_WIRE_LIMITS_DEFAULT,
    };
    bench->run.ops = &executor;
    bench->window = window;
    bench->now = (struct dri_now){.mono_ns = 1000000000, .wall_ms = 1700000000000u};
    bench->out = dri_zalloc_array(OUT_MAX, sizeof(*bench->out));
    DRI_ASSERT(bench->out != NULL);
    make_messages(bench);
    enum dray_status status = dri_engine_create(&config, &bench->engine);
    DRI_ASSERT(status == DRAY_OK);
}

static uint64_t round_of(struct bench *bench, uint64_t commands)
{
    uint64_t begin_ns = cpu_ns();
    uint64_t until = bench->stored + commands + bench->out_count;
    bench->left = commands;
    while (bench->stored < until) {
        bool is_idle = false;
        bench->now.mono_ns += 1000000; /* as if a turn took a millisecond */
        bench->now.wall_ms++;
        enum dray_status status = dri_engine_turn(bench->engine, bench->now, &is_idle);
        DRI_ASSERT(status == DRAY_OK);
    }
    return cpu_ns() - begin_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void measure(uint64_t commands, size_t window, size_t rounds)
{
    struct bench *bench = dri_zalloc(sizeof(*bench));
    uint64_t ns[ROUNDS];
    DRI_ASSERT(bench != NULL && rounds > 0 && rounds <= ROUNDS);
    open_bench(bench, window);
    for (size_t i = 0; i < rounds; i++) {
        ns[i] = round_of(bench, commands);
    }
    qsort(ns, rounds, sizeof(ns[0]), compare);
    uint64_t median = ns[rounds / 2];
    printf("{\"bench\":\"engine\",\"window\":%zu,\"commands\":%" PRIu64
           ",\"ns_per_command\":%.1f,\"best_ns_per_command\":%.1f,\"note\":\"shared machine\"}\n",
           window, commands, (double)median / (double)commands, (double)ns[0] / (double)commands);
    dri_engine_destroy(bench->engine);
    dri_free(bench->messages);
    dri_free(bench->out);
    dri_free(bench);
}

int main(int argc, char **argv)
{
    static const size_t windows[] = {256, 4096, 65536};
    uint64_t commands = argc > 1 ? strtoull(argv[1], NULL, 10) : 1u << 18;
    if (commands == 0) {
        fprintf(stderr, "usage: bench_engine [COMMANDS [WINDOW, one round of it]]\n");
        return 2;
    }
    if (argc > 2) {
        measure(commands, strtoul(argv[2], NULL, 10) % OUT_MAX, 1);
        return 0;
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(windows); i++) {
        measure(commands, windows[i], ROUNDS);
    }
    return 0;
}
