/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "groups.h"
#include "machine.h"
#include "planted.h"

/* What the ends of runs say about what is behind a route, and whether it may be asked now.
 *
 * The breaker counts failures in a row that say that something behind the handler is not well
 * (timeout, network, unavailable, internal), and any other end sets it to nothing. Open, the group
 * is blocked; after open_ms one flight goes as a probe, alone: its success closes the breaker, its
 * failure opens it for as long again. A probe that fails was no attempt of its command: the command
 * waits with the others, behind them, so that the next probe is another one. But one that failed as
 * the probe DRI_PROBES_MAX times is judged like any other, or a single bad command could keep its
 * route shut for ever. That count is of a stay in memory: a command that is parked between two
 * attempts spoils as many again for each of them. A failure of kind auth opens the breaker at once
 * and is no attempt either, without a bound, because what is wrong then is wrong with the route. A
 * new configuration closes it.
 *
 * A dependency that several routes share is a group of its own, which has a breaker and never a
 * flight: the runs of all routes that depend on it count there, and while it is open, or its probe
 * is out, all of them are blocked. A failure that names one of them (flight->blamed) says nothing
 * of the others; one that names none counts for all. One flight may be the probe of several at
 * once. Whoever depends on a dependency is found by looking at all groups, which happens when its
 * breaker changes and for each probe, and not for each run.
 *
 * While most commands of the worker fail (systemic.c) one failure opens it, for systemic_probe_ms
 * when the group was given no time of its own, and no failure is an attempt. In the step in which
 * that begins nothing is opened yet: the shell may have put several routes into one group, and
 * gives those that fail from now on groups of their own. What failed in that step runs once more.
 */

bool dri_kind_is_unwell(enum dray_error_kind kind)
{
    return kind == DRAY_KIND_TIMEOUT || kind == DRAY_KIND_NETWORK ||
           kind == DRAY_KIND_UNAVAILABLE || kind == DRAY_KIND_INTERNAL;
}

static void open_breaker(struct dri_core *core, struct dri_group *group, uint32_t open_ms)
{
    uint32_t number = (uint32_t)(group - core->groups);
    if (group->breaker == DRI_BREAKER_CLOSED) {
        core->stats.breaker_opens++;
        core->open_groups++;
        core->breaker_changes++;
    }
    group->breaker = DRI_BREAKER_OPEN;
    group->failures = 0;
    group->open_until_ns = dri_after_ms(core->now.mono_ns, open_ms);
    core->groups_used = number >= core->groups_used ? number + 1 : core->groups_used;
    dri_group_count_limits(group);
}

static void close_breaker(struct dri_core *core, struct dri_group *group, bool is_well)
{
    if (group->breaker != DRI_BREAKER_CLOSED) {
        core->open_groups--;
        core->breaker_changes++;
    }
    dri_systemic_lets_go(core, group, is_well);
    group->breaker = DRI_BREAKER_CLOSED;
    group->failures = 0;
    dri_group_count_limits(group);
}

void dri_breaker_reset(struct dri_core *core, struct dri_group *group)
{
    close_breaker(core, group, false);
}

/* From one probe to the next. */
static uint32_t open_ms_of(const struct dri_core *core, const struct dri_group *group)
{
    if (group->limits.open_ms != 0) {
        return group->limits.open_ms;
    }
    return group->is_systemic ? core->config.systemic_probe_ms : group->limits.auth_ms;
}

/* It failed as a probe. */
static bool spare(struct dri_flight *flight)
{
    bool is_spared = flight->probes < DRI_PROBES_MAX;
    flight->probes = (uint8_t)(flight->probes + (is_spared ? 1 : 0));
    return is_spared;
}

static void count_failures(struct dri_core *core, struct dri_group *group, bool has_failed)
{
    group->failures = has_failed ? group->failures + 1 : 0;
    if (group->failures >= group->limits.failures) {
        open_breaker(core, group, group->limits.open_ms);
    }
}

/* --- dependencies --- */

bool dri_breaker_depends(const struct dri_group *group, uint32_t number)
{
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX; i++) {
        if (number != 0 && group->limits.depends[i] == number) {
            return true;
        }
    }
    return false;
}

void dri_breaker_refresh(struct dri_core *core, uint32_t number)
{
    dri_group_refresh(core, &core->groups[number]);
    for (uint32_t i = 1; i < core->groups_used; i++) {
        if (dri_breaker_depends(&core->groups[i], number)) {
            dri_group_refresh(core, &core->groups[i]);
        }
    }
}

void dri_breaker_begin(struct dri_core *core, struct dri_group *group, struct dri_flight *flight)
{
    if (group->breaker == DRI_BREAKER_HALF_OPEN) {
        group->is_probing = true;
        flight->is_probe = true;
    }
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX; i++) {
        uint32_t number = group->limits.depends[i];
        if (number != 0 && core->groups[number].breaker == DRI_BREAKER_HALF_OPEN) {
            core->groups[number].is_probing = true;
            flight->probe_of[i] = number;
            dri_breaker_refresh(core, number);
        }
    }
}

void dri_breaker_back(struct dri_core *core, struct dri_group *group, struct dri_flight *flight)
{
    group->is_probing = group->is_probing && !flight->is_probe;
    flight->is_probe = false;
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX; i++) {
        uint32_t number = flight->probe_of[i];
        if (number != 0) {
            flight->probe_of[i] = 0;
            core->groups[number].is_probing = false;
            dri_breaker_refresh(core, number);
        }
    }
}

static bool is_probe_of(const struct dri_flight *flight, uint32_t number)
{
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX; i++) {
        if (flight->probe_of[i] == number) {
            return true;
        }
    }
    return false;
}

/* What a run says of one of them. Returns whether it was its probe, and failed. */
static bool judge_dependency(struct dri_core *core, uint32_t number,
                             const struct dri_flight *flight, bool has_failed, bool is_blamed)
{
    struct dri_group *dependency = &core->groups[number];
    enum dri_breaker before = dependency->breaker;
    bool is_probe = is_probe_of(flight, number) && before == DRI_BREAKER_HALF_OPEN;
    if (is_probe && has_failed && is_blamed) {
        open_breaker(core, dependency, dependency->limits.open_ms);
    } else if (is_probe && !has_failed) {
        close_breaker(core, dependency, true);
    } else if (before == DRI_BREAKER_CLOSED && dependency->limits.failures != 0 &&
               (is_blamed || !has_failed)) {
        count_failures(core, dependency, has_failed);
    }
    if (dependency->breaker != before) {
        dri_breaker_refresh(core, number);
    }
    return is_probe && has_failed && is_blamed;
}

static bool judge_dependencies(struct dri_core *core, const struct dri_group *group,
                               const struct dri_flight *flight, bool has_failed)
{
    bool has_probe_failed = false;
    if (group->limits.depends[0] == 0) {
        return false; /* nearly always: once a run */
    }
    bool is_any = !dri_breaker_depends(group, flight->blamed);
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX; i++) {
        uint32_t number = group->limits.depends[i];
        if (number != 0) {
            bool is_blamed = is_any || flight->blamed == number;
            has_probe_failed =
                judge_dependency(core, number, flight, has_failed, is_blamed) || has_probe_failed;
        }
    }
    return has_probe_failed;
}

/* --- the end of a run --- */

/* It failed while most do: nothing more of its group until a probe. */
static bool stop(struct dri_core *core, struct dri_group *group)
{
    if (DRI_IS_PLANTED(SYSTEMIC_FLOOD)) {
        return false;
    }
    if (!dri_systemic_has_just_begun(core)) {
        dri_systemic_stops(core, group);
        if (group->breaker == DRI_BREAKER_CLOSED) {
            open_breaker(core, group, open_ms_of(core, group));
        }
    }
    core->stats.systemic_spared++;
    return true;
}

bool dri_breaker_judge(struct dri_core *core, struct dri_group *group, struct dri_flight *flight)
{
    const struct dri_group_limits *limits = &group->limits;
    bool is_probe = flight->is_probe && group->breaker == DRI_BREAKER_HALF_OPEN;
    bool has_failed = dri_kind_is_unwell(flight->kind);
    bool is_systemic = dri_systemic_sees(core, flight, has_failed);
    if (flight->kind == DRAY_KIND_AUTH && limits->auth_ms != 0) {
        open_breaker(core, group, limits->auth_ms);
        return true;
    }
    if (flight->is_cancelled && has_failed) {
        return false; /* we did that */
    }
    bool has_probe_failed = judge_dependencies(core, group, flight, has_failed);
    if (is_probe && has_failed) {
        open_breaker(core, group, open_ms_of(core, group));
        has_probe_failed = true;
    }
    if (has_probe_failed) {
        return spare(flight);
    }
    if (is_systemic) {
        return stop(core, group);
    }
    if (is_probe) {
        close_breaker(core, group, true);
    } else if (group->breaker == DRI_BREAKER_CLOSED && limits->failures != 0) {
        count_failures(core, group, has_failed);
    }
    return false;
}
