/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "assert.h"
#include "core/core.h"
#include "mem.h"

/* What the core itself costs a command on the sunny path: take, fill, RECORD, START, DONE, PUBLISH,
 * PUBLISHED, RELEASE and its share of a settle every 100 ms of virtual time. Nothing is run or
 * sent.
 *
 * `window` is how many commands are out between RECORD and PUBLISHED: 256 stays in the caches,
 * 65536 does not, and is what a producer that lingers makes of it. Prints one JSON object a line:
 * the median and the best of the rounds. Run it alone and compare ratios: on a shared machine the
 * numbers drift.
 */

#define BATCH  256u
#define SLOTS  8u
#define ROUNDS 9u

struct bench {
    struct dri_core *core;
    struct dri_now now;
    uint64_t offsets[SLOTS];
    uint64_t seed;
    uint32_t keys; /* 0: keyless */
    struct dri_core_event records[BATCH];
    struct dri_core_event *dones;
    struct dri_core_event *acks;
    size_t dones_count, acks_head, acks_count, acks_max;
    uint64_t core_ns; /* spent inside the core's calls */
};

static struct dri_core_config config_of(void)
{
    return (struct dri_core_config){
        .in_flight_max = 10000,
        .unacked_max = 400000,
        .bytes_max = UINT64_C(1) << 40,
        .slots_max = SLOTS,
        .lanes = 2,
        .lane_depth = 256,
        .chain_max = 16,
        .settle_ms = 100,
        .revoke_ms = 5000,
        .drain_ms = 5000,
        .republish_ms = 100,
    };
}

static uint64_t cpu_ns(void)
{
    struct timespec at;
    DRI_ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at) == 0);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

static uint64_t random_next(struct bench *bench)
{
    bench->seed ^= bench->seed << 13;
    bench->seed ^= bench->seed >> 7;
    bench->seed ^= bench->seed << 17;
    return bench->seed;
}

static void on_action(struct bench *bench, const struct dri_core_action *action)
{
    struct dri_core_event *event;
    switch (action->type) {
    case DRI_CA_START:
        for (struct dri_flight *f = action->as.run.flight; f != NULL; f = f->next) {
            f->was_run = true;
            event = &bench->dones[bench->dones_count++];
            event->type = DRI_CE_DONE;
            event->as.flight = f;
        }
        return;
    case DRI_CA_PUBLISH:
        event = &bench->acks[(bench->acks_head + bench->acks_count++) % bench->acks_max];
        event->type = DRI_CE_PUBLISHED;
        event->as.published.token = dri_flight_token(action->as.run.flight);
        event->as.published.ack = DRI_CORE_STORED;
        return;
    default:
        return;
    }
}

static void step(struct bench *bench, const struct dri_core_event *events, size_t count)
{
    struct dri_core_action actions[BATCH];
    size_t got;
    uint64_t begin_ns = cpu_ns();
    dri_core_step(bench->core, bench->now, events, count);
    while ((got = dri_core_actions(bench->core, actions, BATCH)) > 0) {
        bench->core_ns += cpu_ns() - begin_ns;
        for (size_t i = 0; i < got; i++) {
            on_action(bench, &actions[i]);
        }
        begin_ns = cpu_ns();
    }
    bench->core_ns += cpu_ns() - begin_ns;
}

static void records(struct bench *bench, uint32_t slot)
{
    uint64_t begin_ns = cpu_ns();
    for (size_t i = 0; i < BATCH; i++) {
        bench->records[i].as.flight = dri_core_take(bench->core);
    }
    bench->core_ns += cpu_ns() - begin_ns;
    for (size_t i = 0; i < BATCH; i++) {
        struct dri_flight *flight = bench->records[i].as.flight;
        DRI_ASSERT(flight != NULL);
        flight->slot = slot;
        flight->epoch = 1;
        flight->offset = bench->offsets[slot]++;
        flight->received_ns = bench->now.mono_ns;
        flight->has_id = true;
        flight->wants_result = true;
        flight->bytes = 300;
        flight->has_key = bench->keys != 0;
        if (flight->has_key) {
            flight->key_hash = (random_next(bench) % bench->keys) * 0x9e3779b97f4a7c15u;
        }
        bench->records[i].type = DRI_CE_RECORD;
    }
    step(bench, bench->records, BATCH);
}

static void acks(struct bench *bench, size_t keep)
{
    while (bench->acks_count > keep) {
        size_t count = bench->acks_count - keep < BATCH ? bench->acks_count - keep : BATCH;
        if (count > bench->acks_max - bench->acks_head) {
            count = bench->acks_max - bench->acks_head;
        }
        const struct dri_core_event *first = &bench->acks[bench->acks_head];
        bench->acks_head = (bench->acks_head + count) % bench->acks_max;
        bench->acks_count -= count;
        step(bench, first, count);
    }
}

static void dones(struct bench *bench)
{
    static struct dri_core_event now_done[BATCH * 8];
    while (bench->dones_count > 0) {
        size_t count = bench->dones_count;
        DRI_ASSERT(count <= DRI_ARRAY_LEN(now_done));
        for (size_t i = 0; i < count; i++) {
            now_done[i] = bench->dones[i];
        }
        bench->dones_count = 0;
        step(bench, now_done, count);
    }
}

static uint64_t round_of(struct bench *bench, uint64_t commands, size_t window)
{
    uint64_t begin_ns = cpu_ns();
    for (uint64_t i = 0; i < commands / BATCH; i++) {
        bench->now.mono_ns += BATCH * UINT64_C(1000); /* as if a million a second came */
        bench->now.wall_ms = bench->now.mono_ns / 1000000;
        records(bench, (uint32_t)(i % SLOTS));
        dones(bench);
        acks(bench, window > BATCH ? window - BATCH : 0);
    }
    return cpu_ns() - begin_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void open_bench(struct bench *bench, uint32_t keys)
{
    struct dri_core_config config = config_of();
    *bench = (struct bench){.seed = 88172645463325252u, .keys = keys, .acks_max = 1u << 19};
    void *memory = dri_zalloc(dri_core_bytes(&config));
    bench->dones = dri_zalloc_array(BATCH * 8, sizeof(*bench->dones));
    bench->acks = dri_zalloc_array(bench->acks_max, sizeof(*bench->acks));
    DRI_ASSERT(memory != NULL && bench->dones != NULL && bench->acks != NULL);
    bench->core = dri_core_init(memory, &config);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = slot, .epoch = 1};
        event.as.assigned.is_watermark = true;
        step(bench, &event, 1);
    }
}

static void measure(uint64_t commands, uint32_t keys, size_t window)
{
    static struct bench bench;
    uint64_t core_ns[ROUNDS];
    uint64_t all_ns[ROUNDS];
    open_bench(&bench, keys);
    (void)round_of(&bench, commands / 4, window); /* warm */
    for (size_t i = 0; i < ROUNDS; i++) {
        bench.core_ns = 0;
        all_ns[i] = round_of(&bench, commands, window);
        core_ns[i] = bench.core_ns;
    }
    acks(&bench, 0);
    qsort(core_ns, ROUNDS, sizeof(core_ns[0]), compare);
    qsort(all_ns, ROUNDS, sizeof(all_ns[0]), compare);
    const size_t middle = ROUNDS / 2;
    double per = 1.0 / (double)commands;
    printf("{\"bench\":\"core\",\"keys\":%" PRIu32 ",\"window\":%zu,\"commands\":%" PRIu64
           ",\"core_ns_per_command\":%.1f,\"best_core_ns_per_command\":%.1f"
           ",\"all_ns_per_command\":%.1f,\"note\":\"shared machine\"}\n",
           keys, window, commands, (double)core_ns[middle] * per, (double)core_ns[0] * per,
           (double)all_ns[middle] * per);
    dri_free(bench.core);
    dri_free(bench.dones);
    dri_free(bench.acks);
}

int main(int argc, char **argv)
{
    static const size_t windows[] = {256, 4096, 65536};
    uint64_t commands = argc > 1 ? strtoull(argv[1], NULL, 10) : 1u << 20;
    if (commands < BATCH * 4) {
        fprintf(stderr, "usage: bench_core [COMMANDS, at least %u]\n", BATCH * 4);
        return 2;
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(windows); i++) {
        measure(commands, 0, windows[i]);
        measure(commands, 10000, windows[i]);
    }
    return 0;
}
