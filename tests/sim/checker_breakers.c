/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* checker_breakers.c - judges what a worker does when what is behind its handlers is not well.
 *
 * It counts for itself, from the ends of runs as they are handed to the core: when nothing has
 * worked for long and enough failed, there are no more letters; when as many runs in a row failed
 * as a dependency may, none that depends on it starts until its time is over. Only what must hold
 * is asked for: where the core may know less or have forgotten, nothing is.
 */
#include "base/assert.h"
#include "checker_inside.h"
#include "groups.h"

bool sim_is_unwell(enum dray_error_kind kind)
{
    return kind == DRAY_KIND_TIMEOUT || kind == DRAY_KIND_NETWORK ||
           kind == DRAY_KIND_UNAVAILABLE || kind == DRAY_KIND_INTERNAL;
}

/* --- most fail --- */

static bool is_probe_of_any(const struct dri_flight *flight)
{
    bool is_probe = false;
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX; i++) {
        is_probe = is_probe || flight->probe_of[i] != 0;
    }
    return is_probe;
}

static struct sim_ends *ends_of(struct sim_checker *checker, uint32_t client)
{
    struct sim_ends *ends = &checker->ends[client % SIM_STARTS_MAX];
    if (ends->client != client) {
        *ends = (struct sim_ends){.client = client};
    }
    return ends;
}

/* Whether this one must not become a letter: the client has seen nothing work for longer than the
 * window, and in half of it enough commands came to a bad end. */
static bool must_wait(struct sim_checker *checker, struct sim_ends *ends, uint64_t at_ns)
{
    const struct dri_core_config *core = &checker->options.core;
    uint64_t window_ns = (uint64_t)core->systemic_window_ms * 1000000u;
    uint32_t needed = core->systemic_min + SIM_ENDS_SLACK;
    ends->bad_ns[ends->bad_count++ % SIM_ENDS_MAX] = at_ns;
    DRI_ASSERT(needed <= SIM_ENDS_MAX);
    return ends->bad_count >= needed &&
           (!ends->has_good || at_ns > ends->good_ns + 2 * window_ns) &&
           at_ns - ends->bad_ns[(ends->bad_count - needed) % SIM_ENDS_MAX] < window_ns / 2;
}

/* While most fail a failure is no attempt, and from outside nobody can tell. Whether it is so of
 * this one. */
bool sim_judge_flood(struct sim_checker *checker, uint32_t client, const struct dri_flight *flight,
                     struct sim_command *command, uint64_t at_ns)
{
    struct sim_ends *ends = ends_of(checker, client);
    if (checker->options.core.systemic_share == 0) {
        return false;
    }
    if (!sim_is_unwell(flight->kind)) {
        ends->has_good = true;
        ends->good_ns = at_ns;
        return false;
    }
    bool is_last = flight->attempt == command->plan.attempts_max;
    bool is_probe = flight->is_probe || is_probe_of_any(flight); /* too often, and it is judged */
    bool counts = is_last && !is_probe && !flight->is_cancelled && !flight->is_stuck &&
                  !sim_epoch_at(checker, flight->epoch)->is_over;
    command->must_wait = counts && must_wait(checker, ends, at_ns);
    checker->tally.outage_runs += command->must_wait;
    command->vague_runs += !flight->is_stuck;
    return !flight->is_stuck;
}

/* --- dependencies --- */

bool sim_has_failed_for_dependency(const struct dri_flight *flight)
{
    return is_probe_of_any(flight) && sim_is_unwell(flight->kind) &&
           flight->probes < DRI_PROBES_MAX;
}

static struct sim_downs *downs_of(struct sim_checker *checker, uint32_t client)
{
    struct sim_downs *downs = &checker->downs[client % SIM_STARTS_MAX];
    if (downs->client != client) {
        *downs = (struct sim_downs){.client = client};
    }
    return downs;
}

/* What is judged: nothing where the core may give groups anew at any time. */
static uint32_t dependencies_of(const struct sim_checker *checker, const struct sim_plan *plan)
{
    const struct sim_route *route = sim_route_of(&checker->options, plan->index);
    bool is_judged = route != NULL && checker->options.core.systemic_share == 0;
    return is_judged ? route->depends : 0;
}

static void take_end(struct sim_checker *checker, struct sim_down *down, bool has_failed,
                     bool is_blamed, bool is_probe)
{
    uint64_t now_ns = checker->now.mono_ns;
    uint64_t open_ns = (uint64_t)checker->options.dependency_open_ms * 1000000u;
    if (down->is_open) {
        if (is_probe && !has_failed) {
            *down = (struct sim_down){.is_open = false};
        } else if (is_probe && is_blamed) {
            down->until_ns = now_ns + open_ns;
        }
        return;
    }
    if (!has_failed) {
        down->failures = 0;
    } else if (is_blamed && ++down->failures >= checker->options.dependency_failures) {
        *down = (struct sim_down){.is_open = true, .until_ns = now_ns + open_ns};
        checker->tally.downs++;
    }
}

void sim_checker_taken(struct sim_checker *checker, uint32_t client,
                       const struct dri_flight *flight)
{
    const struct sim_plan *plan = sim_checker_plan(checker, flight);
    uint32_t depends = dependencies_of(checker, plan);
    bool has_failed = sim_is_unwell(flight->kind);
    int32_t blames = sim_plan_blames(&checker->options, plan);
    bool is_any = blames < 0 || (depends >> blames & 1u) == 0;
    uint32_t place = 0;
    if (!flight->was_run || (has_failed && flight->is_cancelled)) {
        return;
    }
    for (uint32_t i = 0; i < SIM_DEPENDS_MAX; i++) {
        if ((depends >> i & 1u) != 0) {
            take_end(checker, &downs_of(checker, client)->downs[i], has_failed,
                     is_any || blames == (int32_t)i, flight->probe_of[place] != 0);
            place++;
        }
    }
}

void sim_judge_dependencies(struct sim_checker *checker, uint32_t client,
                            const struct sim_plan *plan)
{
    uint32_t depends = dependencies_of(checker, plan);
    for (uint32_t i = 0; i < SIM_DEPENDS_MAX; i++) {
        const struct sim_down *down = &downs_of(checker, client)->downs[i];
        if ((depends >> i & 1u) != 0 && down->is_open && checker->now.mono_ns < down->until_ns) {
            sim_checker_fail(checker, "limits",
                             "command %u was started, and what it depends on is down", plan->index);
        }
    }
}

/* --- fallbacks --- */

/* Only a route that has one, and a breaker, is answered with it, and only who wants an answer. */
void sim_judge_fallback(struct sim_checker *checker, struct sim_command *command,
                        const struct dri_result *result)
{
    const struct sim_plan *plan = &command->plan;
    const struct sim_route *route = sim_route_of(&checker->options, plan->index);
    bool has_breaker = route != NULL && (route->limits.failures != 0 || route->depends != 0 ||
                                         checker->options.core.systemic_share != 0);
    if (!has_breaker || !route->has_fallback || plan->shape != SIM_SHAPE_SOUND ||
        plan->reply == SIM_REPLY_NONE) {
        sim_checker_fail(checker, "outcome", "command %u was answered with a fallback, and why",
                         plan->index);
    } else if (!dray_slice_equal_text(result->result, SIM_FALLBACK) ||
               !dray_slice_equal_text(result->version, "1.0.0") || result->us != 0) {
        sim_checker_fail(checker, "bytes", "command %u: not the fallback of its route",
                         plan->index);
    }
    command->was_answered = true;
    command->vague_runs++; /* what it was does not count any more when it comes again */
    checker->tally.answered++;
}
