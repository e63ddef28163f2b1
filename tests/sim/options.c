/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* options.c - draws the options of a seed.
 *
 * Swarm testing: a fault that is always on hides the ones behind it, so each is on in about every
 * third seed, with a rate of its own. One seed in eight is quiet: nothing in it explains a second
 * run, so the checker asks for exactly one outcome and one delivery of everything. Sizes are drawn
 * from small to large by their exponent, because most mistakes show at 1 or 2.
 */
#include "options.h"

#include <string.h>

#include "base/assert.h"
#include "chance.h"
#include "wire/delay.h"

#define SLOTS_MAX 128u

const char *sim_nemesis_text(enum sim_nemesis nemesis)
{
    static const char *const texts[] = {
#define NEMESIS_TEXT(name, text) [SIM_NEMESIS_##name] = (text),
        SIM_NEMESIS_TABLE(NEMESIS_TEXT)
#undef NEMESIS_TEXT
    };
    DRI_ASSERT(nemesis < SIM_NEMESIS_COUNT);
    return texts[nemesis];
}

/* On in every third seed; rare or frequent, not only rare. */
static uint16_t rate(struct chance *chance, uint16_t most)
{
    uint16_t rates[] = {10, 50, (uint16_t)(most / 3), (uint16_t)(most / 2), most};
    uint64_t drawn = chance_next(chance);
    return chance_one_in(chance, 3) ? rates[drawn % DRI_ARRAY_LEN(rates)] : 0;
}

/* Faults that make nothing run again. */
static void draw_mild_rates(struct chance *chance, uint16_t *rates)
{
    rates[DRI_SIM_PUBLISH_FULL] = rate(chance, 300);
    rates[DRI_SIM_ACK_LATE] = rate(chance, 300);
    rates[DRI_SIM_OFFSET_GAP] = rate(chance, 400);
    rates[DRI_SIM_FETCH_LATE] = rate(chance, 100);
    rates[DRI_SIM_POLL_SHORT] = rate(chance, 500);
}

static void draw_rates(struct chance *chance, uint16_t *rates)
{
    rates[DRI_SIM_PUBLISH_STORED_UNKNOWN] = rate(chance, 300);
    rates[DRI_SIM_PUBLISH_LOST_UNKNOWN] = rate(chance, 300);
    rates[DRI_SIM_PUBLISH_LATE_UNKNOWN] = rate(chance, 200);
    rates[DRI_SIM_SETTLE_LOST] = rate(chance, 400);
    rates[DRI_SIM_SETTLE_LATE] = rate(chance, 300);
    rates[DRI_SIM_SETTLE_REFUSED] = rate(chance, 400);
    rates[DRI_SIM_ANSWER_LOST] = rate(chance, 400);
    rates[DRI_SIM_ANSWER_NEVER] = rate(chance, 400);
    rates[DRI_SIM_METADATA_LOST] = rate(chance, 500);
    rates[DRI_SIM_METADATA_DAMAGED] = rate(chance, 500);
    rates[DRI_SIM_METADATA_FOREIGN] = rate(chance, 500);
    rates[DRI_SIM_DELIVERY_LOST] = rate(chance, 100);
    rates[DRI_SIM_REDELIVERY_SHUFFLED] = rate(chance, 1000);
    rates[DRI_SIM_EXTEND_LOST] = rate(chance, 500);
}

static void draw_nemesis(struct chance *chance, struct sim_options *options)
{
    for (int i = 0; i < SIM_NEMESIS_COUNT; i++) {
        if (chance_one_in(chance, 3)) {
            options->mean_ms[i] = (uint32_t)chance_skewed(chance, 300, options->safety_ms);
        }
    }
    if (options->timed != 0) {
        options->mean_ms[SIM_NEMESIS_JUMP] = 0; /* times of commands are judged by the wall clock */
    }
}

/* One statement a draw: the order within an initializer is the compiler's. */
static void draw_broker(struct chance *chance, struct sim_options *options)
{
    struct dri_sim_config *broker = &options->broker;
    *broker = (struct dri_sim_config){
        .mode = options->mode, .is_virtual = true, .is_observed = true, .message_bytes_max = 8192};
    broker->seed = chance_next(chance);
    broker->is_cooperative = chance_one_in(chance, 2);
    broker->latency_us = (uint32_t)chance_skewed(chance, 0, 20000);
    broker->late_ms = (uint32_t)chance_skewed(chance, 10, 3000);
    broker->lease_ms = chance_between32(chance, 2000, 6000);
    broker->session_ms = chance_between32(chance, 2000, 6000);
    broker->rebalance_ms = chance_between32(chance, 2000, 6000);
    broker->publish_ms = options->is_quiet ? 30000 : chance_between32(chance, 500, 8000);
    draw_mild_rates(chance, broker->rates);
    if (!options->is_quiet) {
        draw_rates(chance, broker->rates);
    }
}

static void draw_core(struct chance *chance, struct sim_options *options)
{
    struct dri_core_config *core = &options->core;
    *core = (struct dri_core_config){.slots_max = SLOTS_MAX, .drain_ms = 120000};
    core->in_flight_max = (uint32_t)chance_skewed(chance, 1, 128);
    core->unacked_max = (uint32_t)chance_skewed(chance, 1, 128);
    core->bytes_max = chance_one_in(chance, 4) ? chance_between(chance, 500, 20000) : 1u << 20;
    core->lanes = chance_between32(chance, 1, 4);
    core->lane_depth = chance_between32(chance, 1, 4);
    core->chain_max = chance_between32(chance, 1, 8);
    core->settle_ms = (uint32_t)chance_skewed(chance, 0, 1000);
    core->revoke_ms = (uint32_t)chance_skewed(chance, 200, 4000); /* a few round trips */
    core->republish_ms = (uint32_t)chance_skewed(chance, 5, 500);
}

static uint32_t one_in(struct chance *chance, uint32_t least, uint32_t most)
{
    return chance_one_in(chance, 3) ? 0 : chance_between32(chance, least, most);
}

static void draw_commands(struct chance *chance, struct sim_options *options)
{
    options->commands = chance_one_in(chance, 48) ? chance_between32(chance, 1000, 2500)
                                                  : (uint32_t)chance_skewed(chance, 8, 160);
    options->keys = chance_between32(chance, 1, SIM_KEYS_MAX);
    options->attempts_max = chance_between32(chance, 1, 4);
    options->backoff_ms = (uint32_t)chance_skewed(chance, 1, 2000);
    options->handler_us = (uint32_t)chance_skewed(chance, 0, 30000);
    options->slow_ms = chance_between32(chance, 50, 15000);
    options->malformed = one_in(chance, 8, 30);
    options->failing = one_in(chance, 3, 20);
    options->slow = one_in(chance, 10, 60);
    options->large = one_in(chance, 10, 60);
    options->keyless = one_in(chance, 2, 10);
    options->timed = one_in(chance, 5, 30);
    options->replied = one_in(chance, 3, 15);
    options->denied = one_in(chance, 15, 40);
    options->replayed = one_in(chance, 3, 10);
    options->deaf = one_in(chance, 5, 40);
}

/* From a stream of their own: the rest of a seed is what it was without them. */
static void draw_routes(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x726f75746573))};
    options->core.key_max =
        chance_one_in(&chance, 2) ? (uint32_t)chance_skewed(&chance, 1, 128) : 0;
    options->core.groups_max = 8; /* some by name, and some that have to be given anew */
    if (chance_one_in(&chance, 3)) {
        return;
    }
    options->routes_count = chance_between32(&chance, 1, SIM_ROUTES_MAX);
    for (uint32_t i = 0; i < options->routes_count; i++) {
        struct sim_route *route = &options->routes[i];
        struct dri_group_limits *limits = &route->limits;
        limits->concurrency = chance_one_in(&chance, 2) ? chance_between32(&chance, 1, 3) : 0;
        if (chance_one_in(&chance, 3)) {
            limits->rate = chance_between32(&chance, 5, 200);
            limits->burst = chance_between32(&chance, 1, SIM_BURST_MAX);
        }
        if (chance_one_in(&chance, 3)) {
            limits->failures = chance_between32(&chance, 1, 3);
            limits->open_ms = chance_between32(&chance, 5, 30);
        }
        route->has_order = chance_one_in(&chance, 3);
        route->order = (enum dri_order)chance_between(&chance, DRI_ORDER_KEY, DRI_ORDER_NONE);
    }
}

static void draw_key_concurrency(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x6b657973))};
    for (uint32_t i = 0; i < options->routes_count; i++) {
        struct sim_route *route = &options->routes[i];
        if (route->has_order && route->order == DRI_ORDER_NONE && chance_one_in(&chance, 2)) {
            route->key_concurrency = chance_between32(&chance, 1, 3);
        }
    }
}

static void draw_adaptive(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x6164617074))};
    for (uint32_t i = 0; i < options->routes_count; i++) {
        struct dri_group_limits *limits = &options->routes[i].limits;
        if (limits->concurrency != 0 && chance_one_in(&chance, 2)) {
            limits->concurrency_min = chance_between32(&chance, 1, limits->concurrency);
        }
    }
}

/* And from one more. There are enough groups then that none has to go without. */
static void draw_dependencies(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x646570656e6473))};
    if (options->routes_count == 0 || !chance_one_in(&chance, 3)) {
        return;
    }
    options->core.groups_max = 64;
    options->dependency_failures = chance_between32(&chance, 1, 3);
    options->dependency_open_ms = chance_between32(&chance, 5, 30);
    for (uint32_t i = 0; i < options->routes_count; i++) {
        options->routes[i].has_fallback = chance_one_in(&chance, 3);
        options->routes[i].depends = chance_between32(&chance, 0, (1u << SIM_DEPENDS_MAX) - 1);
    }
}

/* From a stream of their own, too. An outage is as long as so many commands. */
static void draw_outage(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x73797374656d6963))};
    if (!chance_one_in(&chance, 4)) {
        return;
    }
    options->core.systemic_share = 50;
    options->core.systemic_min = chance_between32(&chance, 2, 8);
    options->core.systemic_window_ms = chance_between32(&chance, 20000, 120000);
    options->core.systemic_probe_ms = chance_between32(&chance, 5, 30);
    options->outage_from = chance_between32(&chance, 0, options->commands / 2);
    options->outage_to = options->outage_from + chance_between32(&chance, 8, 64);
}

/* From a stream of their own, too. The metadata is part of a transaction: it is not damaged there.
 */
static void draw_transactions(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x74786e73))};
    if (options->mode == DRI_SETTLE_EACH || options->is_quiet || !chance_one_in(&chance, 4)) {
        return;
    }
    options->transaction_ms = (uint32_t)chance_skewed(&chance, 1, 400);
    options->broker.rates[DRI_SIM_METADATA_LOST] = 0;
    options->broker.rates[DRI_SIM_METADATA_DAMAGED] = 0;
    options->broker.rates[DRI_SIM_METADATA_FOREIGN] = 0;
}

/* From a stream of their own, too. A wait in a park log is judged by the wall clock. */
static void draw_parking(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x7061726b))};
    if (options->mode == DRI_SETTLE_EACH || chance_one_in(&chance, 3)) {
        return;
    }
    options->core.park_max =
        (uint32_t)chance_skewed(&chance, 1, chance_one_in(&chance, 2) ? 8 : 256);
    options->core.park_after_ms = (uint32_t)chance_skewed(&chance, 0, 3 * options->backoff_ms);
    options->mean_ms[SIM_NEMESIS_JUMP] = 0;
    options->exhausted = (enum dri_exhausted)chance_between(&chance, DRI_EXHAUSTED_DEAD_LETTER,
                                                            DRI_EXHAUSTED_STOP_KEY);
    options->disk_full = chance_one_in(&chance, 3) ? (uint32_t)chance_between(&chance, 5, 95) : 0;
}

/* Windows go by the wall clock, and by what a second run comes to. */
static void draw_windows(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x77696e646f77))};
    bool is_plain = options->timed == 0 && options->transaction_ms == 0 &&
                    options->dependency_failures == 0 && options->core.systemic_share == 0;
    if (options->routes_count > 0 && is_plain && chance_one_in(&chance, 3)) {
        options->twins = chance_between32(&chance, 2, 6);
        options->mean_ms[SIM_NEMESIS_JUMP] = 0;
    }
}

const struct sim_route *sim_route_of(const struct sim_options *options, uint32_t index)
{
    uint64_t drawn = chance_mix(options->seed ^ chance_mix(index)) % (options->routes_count + 1);
    return drawn == 0 ? NULL : &options->routes[drawn - 1];
}

/* From a stream of their own, too. */
static void draw_delays(struct sim_options *options)
{
    struct chance chance = {chance_mix(options->seed ^ UINT64_C(0x64656c6179))};
    options->core.delay_after_ms =
        chance_one_in(&chance, 4) ? 0 : chance_between32(&chance, DRI_DELAY_LEAST_MS, 40000);
}

void sim_options_draw(uint64_t seed, enum dri_settle_mode mode, struct sim_options *ret_options)
{
    struct chance chance = {chance_mix(seed * 2 + (mode == DRI_SETTLE_EACH))};
    struct sim_options *options = ret_options;
    *options = (struct sim_options){.seed = seed, .mode = mode};
    options->is_quiet = chance_one_in(&chance, 8);
    options->order = chance_one_in(&chance, 8)    ? DRI_ORDER_PARTITION
                     : chance_one_in(&chance, 16) ? DRI_ORDER_NONE
                                                  : DRI_ORDER_KEY;
    options->workers = chance_between32(&chance, 1, SIM_WORKERS_MAX);
    options->partitions = mode == DRI_SETTLE_EACH ? 1 : chance_between32(&chance, 1, 6);
    options->safety_ms = (uint32_t)chance_skewed(&chance, 2000, 60000);
    options->turn_delay_us = (uint32_t)chance_skewed(&chance, 0, 50000);
    draw_commands(&chance, options);
    draw_core(&chance, options);
    draw_broker(&chance, options);
    if (!options->is_quiet) {
        draw_nemesis(&chance, options);
    }
    draw_routes(options);
    draw_key_concurrency(options);
    draw_adaptive(options);
    draw_dependencies(options);
    draw_outage(options);
    draw_transactions(options);
    draw_delays(options);
    draw_parking(options);
    draw_windows(options);
    if (options->routes_count == 0) {
        options->mean_ms[SIM_NEMESIS_HOLD] = 0;
    }
}
