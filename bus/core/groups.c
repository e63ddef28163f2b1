/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "groups.h"

#include "assert.h"
#include "machine.h"
#include "planted.h"

/* Groups: what the flights of one route have in common while they wait and run.
 *
 * What stands ready is kept in lines: one for each group and lane, of keys, and one for each group,
 * of keyless flights, at a lane of its own behind the others. The lines of a lane that may be
 * served form a ring, and each start takes the next line of the ring: routes take turns, however
 * long one of them has queued. A key stands in the line of the group of its head, so what waits for
 * a route holds its own followers and nothing else.
 *
 * A group that may start nothing now (paused, breaker open, as many running as it may, no token) is
 * blocked: its lines leave the rings until it changes, and come back whole. That costs a step for
 * each lane and none for what waits; nothing is scanned. The reasons are looked at in one place,
 * why_blocked, whenever one of them can have changed: a start, a return, the group's timer, a new
 * configuration. Moving single flights between a list of the blocked and one of the ready was
 * rejected: what was set free could find its place taken by a newcomer, and would go to the back.
 *
 * Numbers that count against a limit are counted when a flight is handed to its lane and when it is
 * back, so what waits at a lane counts as running: the limit is never passed, and may be reached a
 * little early. Of a limited group a chain has one flight. The rate is a bucket of tokens kept as
 * one time (GCRA): a flight may start when it is not before `free_ns` less the burst. A flight that
 * comes back unrun gives its token back.
 *
 * A paused group's flights wait, up to a quarter of in_flight_max over all paused groups and with
 * them what stands behind them in their keys. What is more becomes dead letters of kind held: the
 * one that comes; or, when it is only a follower, or when a group was paused with much in flight,
 * all of a key at once, because letters have to be in the order of their key. From then on every
 * later flight of such a group is held, until it is configured anew, so that no key's later command
 * waits while an earlier one became a letter.
 *
 * A group may have a fallback: while a breaker keeps it blocked, what stands in its lines and wants
 * a result is answered at once, in the order of its key, because only the head of a key stands in a
 * line. Who wants none wants the effect, and waits. When a line was looked through and nothing was
 * taken out or came since, it is not looked at again.
 *
 * A drain waits for no time: what a group cannot start because it is paused, its breaker is open or
 * it has no token is given up, as a retry is.
 */

#define HELD_SHARE 4u /* of in_flight_max: a quarter */

enum why {
    WHY_NOT,
    WHY_PAUSED,
    WHY_OPEN,
    WHY_PROBE, /* one is out */
    WHY_LIMIT,
    WHY_RATE,
};

static struct dri_group *group_of(const struct dri_core *core, const struct dri_flight *flight)
{
    return &core->groups[flight->group];
}

static uint32_t number_of(const struct dri_core *core, const struct dri_group *group)
{
    return (uint32_t)(group - core->groups);
}

struct dri_line *dri_line_at(const struct dri_core *core, uint32_t group, uint32_t lane)
{
    return &core->lines[(size_t)group * (core->config.lanes + 1) + lane];
}

uint32_t dri_group_timer_id(const struct dri_core *core, uint32_t number)
{
    return dri_drain_timer_id(core) + 1 + number;
}

/* --- rings --- */

/* Last in the ring: everybody who is there has his turn first. */
static void ring_add(struct dri_core *core, uint32_t group, uint32_t lane_number)
{
    struct dri_lane *lane = &core->lanes[lane_number];
    struct dri_line *line = dri_line_at(core, group, lane_number);
    if (lane->ring == 0) {
        line->ring_next = line->ring_prev = group + 1;
        lane->ring = group + 1;
        return;
    }
    struct dri_line *first = dri_line_at(core, lane->ring - 1, lane_number);
    struct dri_line *last = dri_line_at(core, first->ring_prev - 1, lane_number);
    line->ring_next = lane->ring;
    line->ring_prev = first->ring_prev;
    last->ring_next = group + 1;
    first->ring_prev = group + 1;
}

static void ring_remove(struct dri_core *core, uint32_t group, uint32_t lane_number)
{
    struct dri_lane *lane = &core->lanes[lane_number];
    struct dri_line *line = dri_line_at(core, group, lane_number);
    if (line->ring_next == group + 1) {
        lane->ring = 0;
    } else {
        dri_line_at(core, line->ring_prev - 1, lane_number)->ring_next = line->ring_next;
        dri_line_at(core, line->ring_next - 1, lane_number)->ring_prev = line->ring_prev;
        lane->ring = lane->ring == group + 1 ? line->ring_next : lane->ring;
    }
    line->ring_next = line->ring_prev = 0;
}

/* What of a lane may be served now. */
static void count_ready(struct dri_core *core, uint32_t lane_number, uint32_t more, uint32_t less)
{
    struct dri_lane *lane = &core->lanes[lane_number];
    uint32_t *total = lane_number < core->config.lanes ? &core->ready : &core->loose;
    lane->ready = lane->ready + more - less;
    *total = *total + more - less;
}

static void line_grows(struct dri_core *core, uint32_t group, uint32_t lane)
{
    struct dri_line *line = dri_line_at(core, group, lane);
    line->count++;
    if (!core->groups[group].is_blocked) {
        count_ready(core, lane, 1, 0);
        if (line->count == 1) {
            ring_add(core, group, lane);
        }
    }
}

static void line_shrinks(struct dri_core *core, uint32_t group, uint32_t lane)
{
    struct dri_line *line = dri_line_at(core, group, lane);
    core->groups[group].unanswered = UINT32_MAX;
    line->count--;
    if (!core->groups[group].is_blocked) {
        count_ready(core, lane, 0, 1);
        if (line->count == 0) {
            ring_remove(core, group, lane);
        }
    }
}

/* --- lines --- */

void dri_line_push_key(struct dri_core *core, struct dri_key *key)
{
    uint32_t number = dri_keys_number(&core->keys, key);
    key->is_ready = true;
    key->group = key->head->group;
    struct dri_line *line = dri_line_at(core, key->group, key->lane);
    key->next = 0;
    key->prev = line->tail;
    if (line->tail != 0) {
        dri_keys_at(&core->keys, line->tail - 1)->next = number + 1;
    } else {
        line->head = number + 1;
    }
    line->tail = number + 1;
    dri_key_hold(&core->keys, key, core->groups[key->group].limits.is_paused);
    line_grows(core, key->group, key->lane);
}

void dri_line_unlink_key(struct dri_core *core, struct dri_key *key)
{
    struct dri_line *line = dri_line_at(core, key->group, key->lane);
    if (key->prev != 0) {
        dri_keys_at(&core->keys, key->prev - 1)->next = key->next;
    } else {
        line->head = key->next;
    }
    if (key->next != 0) {
        dri_keys_at(&core->keys, key->next - 1)->prev = key->prev;
    } else {
        line->tail = key->prev;
    }
    key->next = 0;
    key->prev = 0;
    key->is_ready = false;
    dri_key_hold(&core->keys, key, false);
    line_shrinks(core, key->group, key->lane);
}

void dri_line_push_flight(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_line *line = dri_line_at(core, flight->group, core->config.lanes);
    flight->next = NULL;
    flight->prev = line->tail != 0 ? &core->flights[line->tail - 1] : NULL;
    if (flight->prev != NULL) {
        flight->prev->next = flight;
    } else {
        line->head = flight->index + 1;
    }
    line->tail = flight->index + 1;
    core->held_loose += group_of(core, flight)->limits.is_paused ? 1 : 0;
    line_grows(core, flight->group, core->config.lanes);
}

void dri_line_unlink_flight(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_line *line = dri_line_at(core, flight->group, core->config.lanes);
    if (flight->prev != NULL) {
        flight->prev->next = flight->next;
    } else {
        DRI_ASSERT(line->head == flight->index + 1);
        line->head = flight->next != NULL ? flight->next->index + 1 : 0;
    }
    if (flight->next != NULL) {
        flight->next->prev = flight->prev;
    } else {
        line->tail = flight->prev != NULL ? flight->prev->index + 1 : 0;
    }
    flight->next = NULL;
    flight->prev = NULL;
    core->held_loose -= group_of(core, flight)->limits.is_paused ? 1 : 0;
    line_shrinks(core, flight->group, core->config.lanes);
}

static struct dri_line *take_turn(struct dri_core *core, uint32_t lane_number)
{
    struct dri_lane *lane = &core->lanes[lane_number];
    DRI_ASSERT(lane->ring != 0);
    struct dri_line *line = dri_line_at(core, lane->ring - 1, lane_number);
    lane->ring = line->ring_next;
    return line;
}

struct dri_key *dri_line_next_key(struct dri_core *core, uint32_t lane)
{
    return dri_keys_at(&core->keys, take_turn(core, lane)->head - 1);
}

struct dri_flight *dri_line_next_flight(struct dri_core *core)
{
    return &core->flights[take_turn(core, core->config.lanes)->head - 1];
}

/* --- blocked or not --- */

static uint64_t interval_ns(const struct dri_group *group)
{
    const uint64_t ns_per_s = 1000000000;
    uint64_t ns = ns_per_s * (group->limits.share > 1 ? group->limits.share : 1);
    return (ns + group->limits.rate - 1) / group->limits.rate;
}

/* How many may start at once; 0 and 1 are one. */
static uint64_t burst_of(const struct dri_group *group)
{
    return group->limits.share > 1 ? group->limits.burst / group->limits.share
                                   : group->limits.burst;
}

/* When the bucket has a token. */
static uint64_t token_ns(const struct dri_group *group)
{
    uint64_t burst = burst_of(group) > 1 ? burst_of(group) - 1 : 0;
    uint64_t ahead_ns = burst * interval_ns(group);
    return group->free_ns > ahead_ns ? group->free_ns - ahead_ns : 0;
}

static enum why why_dependency(const struct dri_core *core, const struct dri_group *group)
{
    enum why why = WHY_NOT;
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX && !DRI_IS_PLANTED(DEPENDENCY_ALONE); i++) {
        uint32_t number = group->limits.depends[i];
        if (number != 0 && core->groups[number].breaker == DRI_BREAKER_OPEN) {
            return WHY_OPEN;
        }
        if (number != 0 && core->groups[number].breaker == DRI_BREAKER_HALF_OPEN &&
            core->groups[number].is_probing) {
            why = WHY_PROBE;
        }
    }
    return why;
}

/* How many may run at once now; 0: no limit. */
static uint32_t concurrency_of(const struct dri_group *group)
{
    return group->limits.concurrency_min != 0 ? dri_adaptive_limit(&group->adaptive)
                                              : group->limits.concurrency;
}

uint32_t dri_core_group_concurrency(const struct dri_core *core, uint32_t number)
{
    DRI_ASSERT(number <= core->config.groups_max);
    return concurrency_of(&core->groups[number]);
}

static enum why why_blocked(const struct dri_core *core, const struct dri_group *group)
{
    const struct dri_group_limits *limits = &group->limits;
    if (!group->is_limited) {
        return WHY_NOT;
    }
    if (limits->is_paused) {
        return WHY_PAUSED;
    }
    if (group->breaker == DRI_BREAKER_OPEN) {
        return WHY_OPEN;
    }
    if (group->breaker == DRI_BREAKER_HALF_OPEN && group->is_probing) {
        return WHY_PROBE;
    }
    enum why why = why_dependency(core, group);
    if (why != WHY_NOT) {
        return why;
    }
    if (limits->concurrency != 0 && group->running >= concurrency_of(group) &&
        !DRI_IS_PLANTED(IGNORE_LIMIT)) {
        return WHY_LIMIT;
    }
    if (limits->rate != 0 && token_ns(group) > core->now.mono_ns) {
        return WHY_RATE;
    }
    return WHY_NOT;
}

/* Its lines leave the rings, or come back. */
static void block(struct dri_core *core, struct dri_group *group, bool is_blocked)
{
    uint32_t number = number_of(core, group);
    if (group->is_blocked == is_blocked) {
        return;
    }
    group->is_blocked = is_blocked;
    for (uint32_t lane = 0; lane <= core->config.lanes; lane++) {
        uint32_t count = dri_line_at(core, number, lane)->count;
        if (count == 0) {
            continue;
        }
        if (is_blocked) {
            ring_remove(core, number, lane);
            count_ready(core, lane, 0, count);
        } else {
            ring_add(core, number, lane);
            count_ready(core, lane, count, 0);
        }
    }
}

void dri_group_refresh(struct dri_core *core, struct dri_group *group)
{
    uint32_t timer = dri_group_timer_id(core, number_of(core, group));
    enum why why = why_blocked(core, group);
    block(core, group, why != WHY_NOT);
    if (why == WHY_RATE) {
        dri_timers_set(&core->timers, timer, token_ns(group));
    } else if (group->breaker == DRI_BREAKER_OPEN && why == WHY_OPEN) {
        dri_timers_set(&core->timers, timer, group->open_until_ns);
    } else {
        dri_timers_cancel(&core->timers, timer);
    }
}

bool dri_group_is_blocked(const struct dri_core *core, const struct dri_flight *flight)
{
    return group_of(core, flight)->is_blocked;
}

bool dri_group_is_shut(const struct dri_core *core, const struct dri_flight *flight)
{
    const struct dri_group *group = group_of(core, flight);
    return group->limits.is_paused || group->breaker == DRI_BREAKER_OPEN;
}

bool dri_group_is_limited(const struct dri_core *core, const struct dri_flight *flight)
{
    return group_of(core, flight)->is_limited;
}

void dri_group_count_limits(struct dri_group *group)
{
    const struct dri_group_limits *limits = &group->limits;
    group->is_limited = limits->is_paused || limits->concurrency != 0 || limits->rate != 0 ||
                        limits->failures != 0 || limits->auth_ms != 0 || limits->depends[0] != 0 ||
                        group->breaker != DRI_BREAKER_CLOSED;
}

/* --- running --- */

void dri_group_begin(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_group *group = group_of(core, flight);
    group->running++;
    if (!group->is_limited) {
        return;
    }
    if (group->limits.rate != 0) {
        uint64_t from_ns = group->free_ns > core->now.mono_ns ? group->free_ns : core->now.mono_ns;
        group->free_ns = from_ns + interval_ns(group);
        flight->has_token = true;
    }
    dri_breaker_begin(core, group, flight);
    dri_group_refresh(core, group);
}

/* What a run says of how many more there may be. Requires: it was run. */
static void adapt(struct dri_core *core, struct dri_group *group, const struct dri_flight *flight,
                  uint32_t running)
{
    bool has_shrunk = false;
    if (group->limits.concurrency_min == 0 || flight->is_cancelled) {
        return;
    }
    if (flight->kind == DRAY_KIND_TIMEOUT || flight->kind == DRAY_KIND_UNAVAILABLE) {
        has_shrunk = dri_adaptive_overload(&group->adaptive, running);
    } else if (flight->kind == DRAY_KIND_NONE && flight->ended_ns > flight->started_ns) {
        has_shrunk =
            dri_adaptive_took(&group->adaptive, running, flight->ended_ns - flight->started_ns);
    }
    core->stats.adaptive_shrinks += has_shrunk ? 1 : 0;
}

bool dri_group_back(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_group *group = group_of(core, flight);
    bool is_waiting_on = false;
    bool was_limited = group->is_limited;
    uint32_t running = group->running; /* with this one */
    DRI_ASSERT(group->running > 0);
    group->running -= flight->is_deaf ? 0 : 1; /* else it runs on */
    if (!was_limited && !dri_systemic_counts(core)) {
        dri_breaker_back(core, group, flight);
        flight->has_token = false;
        return false;
    }
    if (flight->was_run) {
        adapt(core, group, flight, running);
        is_waiting_on = dri_breaker_judge(core, group, flight) && !flight->is_stuck;
    } else if (flight->has_token && group->limits.rate != 0 &&
               group->free_ns >= interval_ns(group)) {
        group->free_ns -= interval_ns(group);
    }
    dri_breaker_back(core, group, flight);
    flight->has_token = false;
    if (was_limited || group->is_limited) {
        dri_group_refresh(core, group);
    }
    return is_waiting_on;
}

void dri_group_returned(struct dri_core *core, const struct dri_flight *flight)
{
    struct dri_group *group = group_of(core, flight);
    DRI_ASSERT(group->running > 0);
    group->running--;
    if (group->is_limited) {
        dri_group_refresh(core, group);
    }
}

void dri_group_due(struct dri_core *core, uint32_t number)
{
    struct dri_group *group = &core->groups[number];
    if (group->breaker == DRI_BREAKER_OPEN && group->open_until_ns <= core->now.mono_ns) {
        group->breaker = DRI_BREAKER_HALF_OPEN;
        dri_breaker_refresh(core, number);
        return;
    }
    dri_group_refresh(core, group);
}

/* --- configuration --- */

static void hold_all(struct dri_core *core, uint32_t number, bool is_held)
{
    uint32_t loose = dri_line_at(core, number, core->config.lanes)->count;
    core->held_loose = is_held ? core->held_loose + loose : core->held_loose - loose;
    for (uint32_t lane = 0; lane < core->config.lanes; lane++) {
        uint32_t at = dri_line_at(core, number, lane)->head;
        while (at != 0) {
            struct dri_key *key = dri_keys_at(&core->keys, at - 1);
            dri_key_hold(&core->keys, key, is_held);
            at = key->next;
        }
    }
}

/* Nobody knows what its route has started under another number: the bucket is empty. */
static void begin_rate(const struct dri_core *core, struct dri_group *group)
{
    uint64_t burst = burst_of(group) > 1 ? burst_of(group) : 1;
    uint64_t empty_ns = core->now.mono_ns + burst * interval_ns(group);
    group->free_ns = empty_ns > group->free_ns ? empty_ns : group->free_ns;
}

void dri_core_group_set(struct dri_core *core, uint32_t number,
                        const struct dri_group_limits *limits)
{
    DRI_ASSERT(number > 0 && number <= core->config.groups_max);
    struct dri_group *group = &core->groups[number];
    if (group->limits.is_paused != limits->is_paused) {
        hold_all(core, number, limits->is_paused);
    }
    bool had_rate = group->limits.rate != 0;
    core->fallbacks -= group->limits.has_fallback ? 1 : 0;
    core->fallbacks += limits->has_fallback ? 1 : 0;
    group->unanswered = UINT32_MAX;
    group->limits = *limits;
    if (group->was_set && !had_rate && limits->rate != 0) {
        begin_rate(core, group);
    }
    group->was_set = true;
    group->is_spilling = false;
    group->is_probing = false;
    if (limits->concurrency_min != 0) {
        dri_adaptive_reset(&group->adaptive, limits->concurrency_min, limits->concurrency);
    }
    dri_breaker_reset(core, group);
    core->groups_used = number >= core->groups_used ? number + 1 : core->groups_used;
    dri_breaker_refresh(core, number);
}

void dri_core_group_share(struct dri_core *core, uint32_t number, uint32_t share)
{
    DRI_ASSERT(number > 0 && number <= core->config.groups_max);
    core->groups[number].limits.share = share;
    dri_group_refresh(core, &core->groups[number]);
}

void dri_core_regroup(struct dri_core *core, struct dri_flight *flight, uint32_t number)
{
    DRI_ASSERT(number <= core->config.groups_max);
    struct dri_group *from = group_of(core, flight);
    struct dri_group *to = &core->groups[number];
    bool is_loose = flight->state == DRI_FLIGHT_QUEUED && flight->key_number == 0;
    if (from == to) {
        return;
    }
    if (is_loose) {
        dri_line_unlink_flight(core, flight);
    }
    flight->group = number;
    if (flight->is_with_lane || flight->is_deaf) {
        from->running--;
        to->running++;
        dri_breaker_back(core, from, flight);
        flight->has_token = false;
        dri_group_refresh(core, from);
        dri_group_refresh(core, to);
    } else if (is_loose) {
        dri_line_push_flight(core, flight);
    } else {
        dri_lanes_update(core, flight);
    }
}

enum dri_breaker dri_core_group_breaker(const struct dri_core *core, uint32_t number)
{
    DRI_ASSERT(number <= core->config.groups_max);
    return core->groups[number].breaker;
}

uint64_t dri_core_breaker_changes(const struct dri_core *core)
{
    return core->breaker_changes;
}

/* --- held --- */

uint32_t dri_groups_held(const struct dri_core *core)
{
    return core->keys.held + core->held_loose;
}

bool dri_group_takes(struct dri_core *core, const struct dri_flight *flight)
{
    return !group_of(core, flight)->is_spilling;
}

void dri_group_spill(struct dri_core *core, struct dri_flight *flight)
{
    group_of(core, flight)->is_spilling = true;
    core->stats.held++;
    flight->was_run = false;
    dri_outcome_letter(core, flight, DRAY_KIND_HELD);
}

/* Whatever of the key belongs to paused groups, in order. What follows may run then. */
static void spill_key(struct dri_core *core, struct dri_key *key)
{
    for (struct dri_flight *flight = key->head, *next; flight != NULL; flight = next) {
        next = flight->next;
        if (group_of(core, flight)->limits.is_paused) {
            dri_key_unlink(&core->keys, key, flight);
            dri_group_spill(core, flight);
        }
    }
    dri_lanes_update_key(core, key);
}

static uint32_t held_max(const struct dri_core *core)
{
    return core->config.in_flight_max / HELD_SHARE;
}

void dri_group_came(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key =
        flight->key_number != 0 ? dri_keys_at(&core->keys, flight->key_number - 1) : NULL;
    bool is_paused = group_of(core, flight)->limits.is_paused;
    if (dri_groups_held(core) <= held_max(core) || flight->state != DRI_FLIGHT_QUEUED) {
        return;
    }
    if (key == NULL && is_paused) {
        dri_line_unlink_flight(core, flight);
        dri_group_spill(core, flight);
    } else if (key != NULL && key->is_held && is_paused) {
        dri_key_unlink(&core->keys, key, flight);
        dri_group_spill(core, flight);
        dri_lanes_update_key(core, key);
    } else if (key != NULL && key->is_held) {
        spill_key(core, key);
    }
}

static void spill_last(struct dri_core *core, uint32_t number, uint32_t lane)
{
    struct dri_line *line = dri_line_at(core, number, lane);
    if (lane < core->config.lanes) {
        spill_key(core, dri_keys_at(&core->keys, line->tail - 1));
    } else {
        struct dri_flight *flight = &core->flights[line->tail - 1];
        dri_line_unlink_flight(core, flight);
        dri_group_spill(core, flight);
    }
}

void dri_groups_bound(struct dri_core *core)
{
    uint32_t most = held_max(core);
    for (uint32_t i = 1; i < core->groups_used && dri_groups_held(core) > most; i++) {
        for (uint32_t lane = 0; lane <= core->config.lanes; lane++) {
            while (core->groups[i].limits.is_paused && dri_line_at(core, i, lane)->count > 0 &&
                   dri_groups_held(core) > most) {
                spill_last(core, i, lane);
            }
        }
    }
}

/* --- fallback --- */

/* What stands there: a key by its head, or one without a key. */
static struct dri_flight *at_of_line(const struct dri_core *core, uint32_t lane, uint32_t at)
{
    return lane < core->config.lanes ? dri_keys_at(&core->keys, at - 1)->head
                                     : &core->flights[at - 1];
}

static uint32_t next_of_line(const struct dri_core *core, uint32_t lane, uint32_t at)
{
    if (lane < core->config.lanes) {
        return dri_keys_at(&core->keys, at - 1)->next;
    }
    const struct dri_flight *next = core->flights[at - 1].next;
    return next != NULL ? next->index + 1 : 0;
}

static uint32_t count_of_lines(const struct dri_core *core, uint32_t number)
{
    uint32_t count = 0;
    for (uint32_t lane = 0; lane <= core->config.lanes; lane++) {
        count += dri_line_at(core, number, lane)->count;
    }
    return count;
}

static bool fall_back_line(struct dri_core *core, uint32_t number, uint32_t lane)
{
    bool did_some = false;
    for (uint32_t at = dri_line_at(core, number, lane)->head, next; at != 0; at = next) {
        struct dri_flight *flight = at_of_line(core, lane, at);
        next = next_of_line(core, lane, at);
        if (flight->wants_result && dri_lanes_fall_back(core, flight)) {
            did_some = true;
        }
    }
    return did_some;
}

/* A follower of a key may have come to the end of the line: once more, until there is none. */
static bool fall_back_group(struct dri_core *core, uint32_t number)
{
    bool did_some = false;
    if (count_of_lines(core, number) == core->groups[number].unanswered) {
        return false;
    }
    for (uint32_t lane = 0; lane <= core->config.lanes; lane++) {
        while (fall_back_line(core, number, lane)) {
            did_some = true;
        }
    }
    core->groups[number].unanswered = count_of_lines(core, number);
    return did_some;
}

bool dri_groups_fall_back(struct dri_core *core)
{
    bool did_some = false;
    bool is_planted = DRI_IS_PLANTED(FALLBACK_ALWAYS);
    if (core->fallbacks == 0 || core->is_stopped || (core->open_groups == 0 && !is_planted)) {
        return false;
    }
    for (uint32_t i = 1; i < core->groups_used; i++) {
        const struct dri_group *group = &core->groups[i];
        enum why why = group->limits.has_fallback ? why_blocked(core, group) : WHY_NOT;
        if (why == WHY_OPEN || why == WHY_PROBE || (is_planted && why == WHY_LIMIT)) {
            did_some = fall_back_group(core, i) || did_some;
        }
    }
    return did_some;
}

/* --- drain --- */

static void give_up_line(struct dri_core *core, uint32_t number, uint32_t lane)
{
    struct dri_line *line = dri_line_at(core, number, lane);
    while (line->head != 0) {
        struct dri_flight *flight = lane < core->config.lanes
                                        ? dri_keys_at(&core->keys, line->head - 1)->head
                                        : &core->flights[line->head - 1];
        dri_lanes_give_up_key(core, flight);
    }
}

void dri_groups_drain(struct dri_core *core)
{
    for (uint32_t i = 0; i < core->groups_used; i++) {
        enum why why = why_blocked(core, &core->groups[i]);
        if (why == WHY_PAUSED || why == WHY_OPEN || why == WHY_RATE) {
            for (uint32_t lane = 0; lane <= core->config.lanes; lane++) {
                give_up_line(core, i, lane);
            }
        }
    }
}
