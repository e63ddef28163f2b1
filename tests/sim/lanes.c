/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* lanes.c - the executor in virtual time.
 *
 * Each lane runs its chains one behind the other, each flight for as long as its plan says. The
 * rules of executor.h hold: after the first that is not ok the rest of the chain comes back unrun,
 * and every flight comes back exactly once. A deaf handler gives its flight back when its run
 * ends, and returns later. The core promised not to hand over more than lane_depth
 * chains and chain_max flights; that is checked here.
 */
#include "lanes.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "plan.h"

#define LANES_MAX   4u
#define DEPTH_MAX   8u
#define DEAF_MAX    1024u
#define ANSWER_TEXT "the handler says no"

struct lane {
    struct dri_flight *chains[DEPTH_MAX]; /* heads; the first one runs */
    uint32_t count;
    uint64_t ends_ns; /* of the flight that runs; only with count > 0 */
    bool is_cancelled;
};

struct deaf {
    struct dri_flight *flight;
    uint64_t ends_ns;
};

struct lanes {
    struct dri_executor_base base;
    struct sim_lanes_config config;
    struct chance chance;
    struct lane lanes[LANES_MAX];
    struct deaf deaf[DEAF_MAX]; /* handlers that run on */
    size_t deaf_count;
    struct dri_flight **finished; /* owned ring */
    size_t finished_head, finished_count, finished_capacity;
};

static struct lanes *lanes_of(struct dri_executor *executor)
{
    return (struct lanes *)(void *)executor;
}

static void finish(struct lanes *self, struct dri_flight *flight)
{
    DRI_ASSERT(self->finished_count < self->finished_capacity);
    size_t at = (self->finished_head + self->finished_count) % self->finished_capacity;
    flight->next = NULL;
    self->finished[at] = flight;
    self->finished_count++;
}

static void start(struct lanes *self, struct lane *lane, uint64_t now_ns)
{
    struct dri_flight *flight = lane->chains[0];
    const struct sim_plan *plan = sim_checker_plan(self->config.checker, flight);
    flight->started_ns = now_ns;
    lane->is_cancelled = false;
    lane->ends_ns = now_ns + sim_plan_run_ns(self->config.options, plan, flight->attempt);
    sim_checker_run_begins(self->config.checker, self->config.client, flight, now_ns);
}

/* What an executor leaves in a flight. The block has a copy of all texts, as the real one's. */
static void fill_outcome(struct lanes *self, struct dri_flight *flight, enum dray_error_kind kind)
{
    const struct sim_plan *plan = sim_checker_plan(self->config.checker, flight);
    struct sim_bytes *block = dri_zalloc(sizeof(*block));
    DRI_ASSERT(block != NULL);
    dri_free(flight->outcome_block);
    flight->outcome_block = block;
    flight->kind = kind;
    flight->verdict = (struct dri_verdict){.is_retry = false};
    flight->is_result_too_large = false;
    flight->result = (struct dray_slice){NULL, 0};
    flight->error_code = (struct dray_slice){NULL, 0};
    flight->error_message = (struct dray_slice){NULL, 0};
    if (kind == DRAY_KIND_NONE && plan->is_limited) {
        flight->is_result_too_large = true;
    } else if (kind == DRAY_KIND_NONE) {
        sim_plan_result(plan, block);
        flight->result = dray_slice_of(block->at, block->len);
    } else {
        struct dri_policy policy;
        sim_plan_policy(self->config.options, plan, &policy);
        const struct dri_failure failure = {
            .kind = kind, .attempt = flight->attempt, .seed = plan->index};
        flight->verdict = dri_verdict_make(&policy, &failure);
        memcpy(block->at, ANSWER_TEXT, strlen(ANSWER_TEXT));
        flight->error_message = dray_slice_of(block->at, strlen(ANSWER_TEXT));
        int32_t blames = sim_plan_blames(self->config.options, plan);
        flight->error_code = blames < 0 ? (struct dray_slice){NULL, 0}
                                        : dray_slice_text(sim_dependency_names[blames]);
        flight->last_failed_ms = self->config.now->wall_ms;
        if (flight->first_failed_ms == 0) {
            flight->first_failed_ms = self->config.now->wall_ms;
        }
    }
}

static void end_deaf(struct lanes *self, struct dri_flight *flight, const struct sim_plan *plan)
{
    DRI_ASSERT(self->deaf_count < DEAF_MAX);
    flight->is_stuck = true;
    flight->verdict = (struct dri_verdict){.is_retry = false};
    self->deaf[self->deaf_count++] = (struct deaf){
        .flight = flight,
        .ends_ns = flight->ended_ns + sim_plan_deaf_ns(self->config.options, plan),
    };
    sim_checker_run_is_given_up(self->config.checker, self->config.client, flight,
                                flight->ended_ns);
}

static void end(struct lanes *self, struct lane *lane)
{
    struct dri_flight *flight = lane->chains[0];
    struct dri_flight *rest = flight->next;
    const struct sim_plan *plan = sim_checker_plan(self->config.checker, flight);
    uint64_t now_ns = lane->ends_ns;
    enum dray_error_kind kind =
        lane->is_cancelled ? DRAY_KIND_UNAVAILABLE : sim_plan_run(plan, flight->attempt);
    flight->was_run = true;
    flight->ended_ns = now_ns;
    fill_outcome(self, flight, kind);
    if (sim_plan_is_deaf(plan, flight->attempt)) {
        end_deaf(self, flight, plan);
    } else {
        sim_checker_run_ends(self->config.checker, self->config.client, flight, now_ns);
    }
    finish(self, flight);
    while (kind != DRAY_KIND_NONE && rest != NULL) {
        struct dri_flight *next = rest->next;
        rest->was_run = false;
        finish(self, rest);
        rest = next;
    }
    if (rest != NULL) {
        lane->chains[0] = rest;
    } else {
        lane->count--;
        memmove(lane->chains, lane->chains + 1, lane->count * sizeof(lane->chains[0]));
    }
    if (lane->count > 0) {
        start(self, lane, now_ns);
    }
}

/* The lane whose run ends first; LANES_MAX: none runs. */
static size_t next_to_end(const struct lanes *self)
{
    size_t first = LANES_MAX;
    for (size_t i = 0; i < LANES_MAX; i++) {
        if (self->lanes[i].count > 0 &&
            (first == LANES_MAX || self->lanes[i].ends_ns < self->lanes[first].ends_ns)) {
            first = i;
        }
    }
    return first;
}

void sim_lanes_advance(struct dri_executor *executor)
{
    struct lanes *self = lanes_of(executor);
    for (size_t i; (i = next_to_end(self)) != LANES_MAX;) {
        if (self->lanes[i].ends_ns > self->config.now->mono_ns) {
            return;
        }
        end(self, &self->lanes[i]);
    }
}

uint64_t sim_lanes_deadline(const struct dri_executor *executor)
{
    const struct lanes *self = (const struct lanes *)(const void *)executor;
    size_t i = next_to_end(self);
    uint64_t next_ns = i == LANES_MAX ? UINT64_MAX : self->lanes[i].ends_ns;
    for (i = 0; i < self->deaf_count; i++) {
        next_ns = self->deaf[i].ends_ns < next_ns ? self->deaf[i].ends_ns : next_ns;
    }
    return next_ns;
}

void sim_lanes_delay(struct dri_executor *executor, uint64_t by_ns)
{
    struct lanes *self = lanes_of(executor);
    for (size_t i = 0; i < LANES_MAX; i++) {
        self->lanes[i].ends_ns += by_ns;
    }
    for (size_t i = 0; i < self->deaf_count; i++) {
        self->deaf[i].ends_ns += by_ns;
    }
}

void sim_lanes_die(struct dri_executor *executor)
{
    struct lanes *self = lanes_of(executor);
    for (size_t i = 0; i < LANES_MAX; i++) {
        self->lanes[i].count = 0;
    }
    self->finished_count = 0;
    self->deaf_count = 0;
    sim_checker_client_dies(self->config.checker, self->config.client);
}

/* --- the calls of executor.h
 * ---------------------------------------------------------------------- */

static void submit(struct dri_executor *executor, uint32_t number, struct dri_flight *chain)
{
    struct lanes *self = lanes_of(executor);
    const struct dri_core_config *core = &self->config.options->core;
    uint32_t length = 0;
    for (const struct dri_flight *flight = chain; flight != NULL; flight = flight->next) {
        length++;
        sim_checker_submitted(self->config.checker, self->config.client, chain, flight);
    }
    if (number >= core->lanes || self->lanes[number].count >= core->lane_depth ||
        length > core->chain_max) {
        sim_checker_fail(self->config.checker, "bounds",
                         "lane %u was given a chain of %u beside %u others", number, length,
                         number < LANES_MAX ? self->lanes[number].count : 0);
        return;
    }
    struct lane *lane = &self->lanes[number];
    lane->chains[lane->count++] = chain;
    if (lane->count == 1) {
        start(self, lane, self->config.now->mono_ns);
    }
}

static size_t take(struct dri_executor *executor, struct dri_flight **ret_flights, size_t max)
{
    struct lanes *self = lanes_of(executor);
    size_t count = 0;
    sim_lanes_advance(executor);
    while (count < max && self->finished_count > 0) {
        sim_checker_taken(self->config.checker, self->config.client,
                          self->finished[self->finished_head]);
        ret_flights[count++] = self->finished[self->finished_head];
        self->finished_head = (self->finished_head + 1) % self->finished_capacity;
        self->finished_count--;
    }
    return count;
}

static size_t take_returned(struct dri_executor *executor, struct dri_flight **ret_flights,
                            size_t max)
{
    struct lanes *self = lanes_of(executor);
    size_t count = 0;
    for (size_t i = 0; i < self->deaf_count && count < max;) {
        struct deaf deaf = self->deaf[i];
        if (deaf.ends_ns > self->config.now->mono_ns) {
            i++;
            continue;
        }
        self->deaf[i] = self->deaf[--self->deaf_count];
        sim_checker_run_returns(self->config.checker, self->config.client, deaf.flight,
                                deaf.ends_ns);
        ret_flights[count++] = deaf.flight;
    }
    return count;
}

static void flush(struct dri_executor *executor)
{
    (void)executor;
}

/* Every other handler obeys, and no deaf one. */
static void cancel(struct dri_executor *executor, struct dri_flight *flight)
{
    struct lanes *self = lanes_of(executor);
    for (size_t i = 0; i < LANES_MAX; i++) {
        struct lane *lane = &self->lanes[i];
        if (lane->count > 0 && lane->chains[0] == flight && chance_one_in(&self->chance, 2) &&
            !sim_plan_is_deaf(sim_checker_plan(self->config.checker, flight), flight->attempt) &&
            lane->ends_ns > self->config.now->mono_ns) {
            lane->is_cancelled = true;
            lane->ends_ns = self->config.now->mono_ns;
        }
    }
}

static void release(struct dri_executor *executor, struct dri_flight *flight)
{
    (void)executor;
    dri_free(flight->outcome_block);
    flight->outcome_block = NULL;
}

struct dri_executor *sim_lanes_create(const struct sim_lanes_config *config)
{
    static const struct dri_executor_ops ops = {.submit = submit,
                                                .take = take,
                                                .take_returned = take_returned,
                                                .flush = flush,
                                                .cancel = cancel,
                                                .release = release};
    const struct dri_core_config *core = &config->options->core;
    struct lanes *self = dri_zalloc(sizeof(*self));
    DRI_ASSERT(self != NULL && core->lanes <= LANES_MAX && core->lane_depth <= DEPTH_MAX);
    self->base.ops = &ops;
    self->config = *config;
    self->chance = (struct chance){config->seed};
    self->finished_capacity = (size_t)core->lanes * core->lane_depth * core->chain_max + 1;
    self->finished = dri_zalloc_array(self->finished_capacity, sizeof(struct dri_flight *));
    DRI_ASSERT(self->finished != NULL);
    return (struct dri_executor *)(void *)self;
}

void sim_lanes_destroy(struct dri_executor *executor)
{
    if (executor != NULL) {
        dri_free(lanes_of(executor)->finished);
        dri_free(executor);
    }
}
