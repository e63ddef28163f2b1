/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "check.h"

#include "assert.h"
#include "entries.h"
#include "machine.h"
#include "planted.h"

/* Everything that a core believes twice, compared. Each function looks at one noun and returns a
 * sentence or NULL. Where a planted bug breaks what is checked here by its nature, the check stands
 * aside: the bug is for the simulation's independent checker to find. */

#define CHECK(condition, sentence)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return (sentence);                                                                     \
        }                                                                                          \
    } while (false)

static bool is_active(const struct dri_flight *flight)
{
    switch (flight->state) {
    case DRI_FLIGHT_QUEUED:
    case DRI_FLIGHT_RUNNING:
    case DRI_FLIGHT_WAITING:
    case DRI_FLIGHT_LETTER:
    case DRI_FLIGHT_RESULT:
    case DRI_FLIGHT_PARKING:
        return true;
    default:
        return false;
    }
}

static const char *check_outside(const struct dri_core *core, const struct dri_flight *flight)
{
    bool is_timed = dri_timers_is_set(&core->timers, flight->index);
    switch (flight->state) {
    case DRI_FLIGHT_RUNNING:
        CHECK(flight->is_with_lane, "a running flight is not with a lane");
        CHECK(!flight->is_publishing, "a running flight is being published");
        break;
    case DRI_FLIGHT_LETTER:
    case DRI_FLIGHT_RESULT:
    case DRI_FLIGHT_PARKING:
        CHECK(flight->is_publishing != is_timed,
              "an outcome neither travels nor waits to, or both");
        CHECK(!flight->is_with_lane, "a flight is with a lane and has an outcome");
        CHECK(!flight->is_gated || !flight->is_publishing, "a gated flight is published");
        return NULL;
    case DRI_FLIGHT_DROPPED:
        CHECK(!(flight->is_with_lane && flight->is_publishing), "a dropped flight is out twice");
        break;
    case DRI_FLIGHT_WAITING:
        CHECK(is_timed, "a waiting flight has no time");
        CHECK(!flight->is_early || flight->key_number == 0, "a flight is early and has a place");
        CHECK(!flight->is_with_lane && !flight->is_publishing, "a waiting flight is out");
        return NULL;
    default:
        CHECK(!flight->is_with_lane && !flight->is_publishing, "a flight is out that cannot be");
        break;
    }
    CHECK(!is_timed, "a flight has a time and does not wait");
    return NULL;
}

static const char *check_flight(const struct dri_core *core, const struct dri_flight *flight)
{
    if (DRI_PLANTED == DRI_PLANTED_NONE) {
        CHECK(flight->is_tracked == is_active(flight), "tracked and unfinished are not the same");
    }
    if (flight->is_tracked) {
        const struct dri_slot *slot = &core->slots[flight->slot];
        CHECK(slot->is_assigned && slot->epoch == flight->epoch, "a tracked flight is stale");
        CHECK(core->nodes[dri_node_of(core, flight)].offset == flight->offset,
              "a node has another offset");
        CHECK(slot->is_park == (flight->entry != 0), "a flight is of a park log and no entry");
        if (!slot->is_watermark && flight->entry == 0) {
            CHECK(dri_map_find(&core->deliveries, flight->slot, flight->offset) == flight->index,
                  "a delivery is not in the table");
        }
    } else {
        CHECK(!flight->is_leased, "a flight has a lease and no tracker");
    }
    CHECK(flight->key_number == 0 || flight->has_key, "a keyless flight has a key");
    CHECK(!flight->is_deaf || !flight->is_with_lane, "a handler is deaf and still has its lane");
    CHECK(!flight->is_release_due || flight->is_deaf, "a release waits for nobody");
    return check_outside(core, flight);
}

static const char *check_flights(const struct dri_core *core)
{
    uint32_t states[DRI_FLIGHT_STATE_COUNT] = {[DRI_FLIGHT_FREE] = core->flights_max - core->fresh};
    uint32_t free_count = core->flights_max - core->fresh;
    uint32_t releasing = 0;
    uint32_t releases_due = 0;
    uint32_t unparked = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < core->fresh; i++) {
        const struct dri_flight *flight = &core->flights[i];
        const char *fault = check_flight(core, flight);
        CHECK(fault == NULL, fault);
        CHECK(flight->index == i, "a flight has a wrong index");
        states[flight->state]++;
        unparked += flight->state != DRI_FLIGHT_FREE && flight->entry != 0;
        if (flight->state == DRI_FLIGHT_FREE || flight->state == DRI_FLIGHT_TAKEN) {
            continue;
        }
        bytes += flight->bytes;
        releases_due += flight->is_release_due;
        if (!is_active(flight) && !flight->is_with_lane && !flight->is_publishing &&
            !flight->is_release_due) {
            releasing++;
        }
    }
    for (const struct dri_flight *flight = core->free; flight != NULL; flight = flight->next) {
        CHECK(flight->state == DRI_FLIGHT_FREE, "the free list has a flight that is not free");
        CHECK(free_count < core->flights_max, "the free list is a circle");
        free_count++;
    }
    for (int i = 0; i < DRI_FLIGHT_STATE_COUNT; i++) {
        CHECK(states[i] == core->states[i], "a state is counted wrongly");
    }
    CHECK(free_count == states[DRI_FLIGHT_FREE], "a free flight is in no list");
    CHECK(unparked == core->unparked_taken, "flights that came out are counted wrongly");
    CHECK(core->used == core->flights_max - free_count, "used is counted wrongly");
    CHECK(core->releasing == releasing, "a flight is finished and not released");
    CHECK(core->releases_due == releases_due, "releases that are due are counted wrongly");
    CHECK(core->bytes == bytes, "bytes are counted wrongly");
    return NULL;
}

static const char *check_queue(const struct dri_core *core, const struct dri_key *key,
                               uint32_t number)
{
    const struct dri_flight *prev = NULL;
    uint32_t count = 0;
    bool has_back = key->back_tail == NULL;
    for (const struct dri_flight *flight = key->head; flight != NULL; flight = flight->next) {
        CHECK(flight->prev == prev, "a key's queue is torn");
        CHECK(flight->key_number == number + 1 && flight->key_hash == key->hash,
              "a flight is in the queue of another key");
        CHECK(flight->state == DRI_FLIGHT_QUEUED ||
                  (flight->state == DRI_FLIGHT_WAITING && prev == NULL),
              "a flight is in a key's queue that does not wait there");
        has_back = has_back || flight == key->back_tail;
        prev = flight;
        count++;
        CHECK(count <= core->flights_max, "a key's queue is a circle");
    }
    CHECK(key->tail == prev && key->count == count, "a key's queue ends elsewhere");
    CHECK(has_back, "what came back is not in its key's queue");
    CHECK(key->out > 0 || key->back_tail == NULL, "a chain is back and leaves a mark");
    bool can_run = key->out == 0 && !key->is_deaf && key->head != NULL &&
                   key->head->state == DRI_FLIGHT_QUEUED &&
                   (key->parked == 0 || key->head->entry != 0);
    CHECK(key->is_ready == can_run, "a key is ready and cannot run, or the other way round");
    CHECK(key->head != NULL || key->out > 0 || key->is_deaf || key->parked != 0,
          "a key without flights is kept");
    return NULL;
}

/* Flights that are at a key, by the flights themselves: in its queue and out. */
static const char *check_key_members(const struct dri_core *core)
{
    uint32_t keys = 0;
    uint64_t queued = 0;
    uint64_t out = 0;
    uint64_t members_out = 0;
    uint64_t members_queued = 0;
    uint64_t held = 0;
    uint64_t members_deaf = 0;
    for (uint32_t i = 0; i < core->keys.fresh; i++) {
        const struct dri_key *key = &core->keys.keys[i];
        if (dri_map_find(&core->keys.map, 0, key->hash) != i) {
            continue; /* free */
        }
        const char *fault = check_queue(core, key, i);
        CHECK(fault == NULL, fault);
        keys++;
        queued += key->count;
        out += key->out;
        held += key->is_deaf;
    }
    for (uint32_t i = 0; i < core->fresh; i++) {
        const struct dri_flight *flight = &core->flights[i];
        members_out += flight->key_number != 0 && flight->is_with_lane;
        members_queued += flight->key_number != 0 && !flight->is_with_lane && !flight->is_deaf;
        members_deaf += flight->key_number != 0 && flight->is_deaf;
    }
    CHECK(members_queued == queued, "a flight has a key and is not in its queue");
    CHECK(members_deaf == held, "a key is held by nobody, or by two");
    CHECK(members_out == out, "a key waits for a chain that is not out");
    CHECK(keys == core->keys.map.count, "a key is in the table and has no flight");
    return NULL;
}

static const char *check_key_line(const struct dri_core *core, uint32_t group, uint32_t number)
{
    const struct dri_line *line = dri_line_at(core, group, number);
    uint32_t count = 0;
    uint32_t prev = 0;
    for (uint32_t at = line->head; at != 0; at = core->keys.keys[at - 1].next) {
        const struct dri_key *key = &core->keys.keys[at - 1];
        CHECK(key->is_ready && key->lane == number, "a lane lists a key that is not ready for it");
        CHECK(key->group == group && key->head->group == group, "a key is in the line of another");
        CHECK(key->is_held == core->groups[group].limits.is_paused, "a key is held, or is not");
        CHECK(key->prev == prev, "a line is torn");
        prev = at;
        CHECK(++count <= core->keys.map.count, "a line is a circle");
    }
    CHECK(line->tail == prev && line->count == count, "a line ends elsewhere");
    return NULL;
}

static const char *check_loose_line(const struct dri_core *core, uint32_t group)
{
    const struct dri_line *line = dri_line_at(core, group, core->config.lanes);
    const struct dri_flight *prev = NULL;
    uint32_t count = 0;
    for (uint32_t at = line->head; at != 0;) {
        const struct dri_flight *flight = &core->flights[at - 1];
        CHECK(flight->state == DRI_FLIGHT_QUEUED && flight->key_number == 0 && flight->prev == prev,
              "a line of the keyless is torn");
        CHECK(flight->group == group, "a keyless flight is in the line of another group");
        prev = flight;
        at = flight->next != NULL ? flight->next->index + 1 : 0;
        CHECK(++count <= core->flights_max, "a line of the keyless is a circle");
    }
    CHECK(line->tail == (prev != NULL ? prev->index + 1 : 0) && line->count == count,
          "a line of the keyless ends elsewhere");
    return NULL;
}

/* A lane's ring has each line once that has something and is not blocked. */
static const char *check_ring(const struct dri_core *core, uint32_t number)
{
    const struct dri_lane *lane = &core->lanes[number];
    uint32_t ready = 0;
    uint32_t lines = 0;
    uint32_t in_ring = 0;
    for (uint32_t group = 0; group <= core->config.groups_max; group++) {
        const struct dri_line *line = dri_line_at(core, group, number);
        const char *fault = number < core->config.lanes ? check_key_line(core, group, number)
                                                        : check_loose_line(core, group);
        CHECK(fault == NULL, fault);
        bool is_served = line->count > 0 && !core->groups[group].is_blocked;
        CHECK(is_served == (line->ring_next != 0), "a line is not in the ring, or must not be");
        lines += is_served;
        ready += is_served ? line->count : 0;
    }
    for (uint32_t at = lane->ring; at != 0 && in_ring <= lines;) {
        const struct dri_line *line = dri_line_at(core, at - 1, number);
        CHECK(dri_line_at(core, line->ring_next - 1, number)->ring_prev == at, "a ring is torn");
        in_ring++;
        at = line->ring_next != lane->ring ? line->ring_next : 0;
    }
    CHECK(in_ring == lines, "a ring has another number of lines");
    CHECK(lane->ready == ready, "what may be served is counted wrongly");
    return NULL;
}

static const char *check_lane(const struct dri_core *core, uint32_t number)
{
    const struct dri_lane *lane = &core->lanes[number];
    uint32_t out = 0;
    const char *fault = check_ring(core, number);
    CHECK(fault == NULL, fault);
    for (uint32_t i = 0; i < core->keys.fresh; i++) {
        const struct dri_key *key = &core->keys.keys[i];
        out +=
            dri_map_find(&core->keys.map, 0, key->hash) == i && key->out > 0 && key->lane == number;
    }
    for (uint32_t i = 0; i < core->fresh; i++) {
        const struct dri_flight *flight = &core->flights[i];
        out += flight->is_with_lane && flight->key_number == 0 && flight->lane == number;
    }
    CHECK(lane->out == out, "a lane has another number of chains");
    CHECK(lane->out <= core->config.lane_depth, "a lane has too many chains");
    return NULL;
}

static const char *check_lanes(const struct dri_core *core)
{
    uint32_t with_room = 0;
    uint32_t ready = 0;
    bool could_run = false;
    for (uint32_t i = 0; i < core->config.lanes; i++) {
        const char *fault = check_lane(core, i);
        CHECK(fault == NULL, fault);
        bool has_room = core->lanes[i].out < core->lanes[i].limit;
        with_room += has_room;
        ready += core->lanes[i].ready;
        could_run = could_run || (has_room && core->lanes[i].ready > 0);
    }
    const char *fault = check_ring(core, core->config.lanes);
    CHECK(fault == NULL, fault);
    CHECK(with_room == core->lanes_with_room, "lanes with room are counted wrongly");
    CHECK(ready == core->ready, "ready keys are counted wrongly");
    CHECK(core->lanes[core->config.lanes].ready == core->loose, "the keyless are counted wrongly");
    could_run = could_run || (core->loose > 0 && with_room > 0);
    CHECK(core->is_stopped || !could_run, "a flight could run and was not started");
    return NULL;
}

static const char *check_group(const struct dri_core *core, uint32_t number)
{
    const struct dri_group *group = &core->groups[number];
    const struct dri_group_limits *limits = &group->limits;
    uint32_t running = 0;
    uint32_t probes = 0;
    for (uint32_t i = 0; i < core->fresh; i++) {
        const struct dri_flight *flight = &core->flights[i];
        running += (flight->is_with_lane || flight->is_deaf) && flight->group == number;
        probes += flight->is_with_lane && flight->group == number && flight->is_probe;
        for (uint32_t j = 0; j < DRI_DEPENDS_MAX; j++) {
            probes += number != 0 && flight->is_with_lane && flight->probe_of[j] == number;
        }
    }
    CHECK(group->running == running, "a group has another number of running flights");
    CHECK(!group->is_probing || probes > 0, "a probe is lost");
    CHECK(!limits->is_paused || group->is_blocked, "a paused group is not blocked");
    CHECK(group->breaker != DRI_BREAKER_OPEN || limits->is_paused ||
              dri_timers_is_set(&core->timers, dri_group_timer_id(core, number)),
          "a breaker is open and has no time");
    CHECK(group->breaker != DRI_BREAKER_OPEN || group->is_blocked, "a breaker blocks nothing");
    for (uint32_t i = 0; i < DRI_DEPENDS_MAX && DRI_PLANTED == DRI_PLANTED_NONE; i++) {
        CHECK(limits->depends[i] == 0 || group->is_blocked ||
                  core->groups[limits->depends[i]].breaker != DRI_BREAKER_OPEN,
              "a dependency's breaker blocks nothing");
    }
    return NULL;
}

static const char *check_groups(const struct dri_core *core)
{
    uint32_t held = 0;
    uint32_t held_loose = 0;
    uint32_t open = 0;
    uint32_t excess = 0;
    for (uint32_t i = 0; i <= core->config.groups_max; i++) {
        const struct dri_group *group = &core->groups[i];
        const char *fault = check_group(core, i);
        CHECK(fault == NULL, fault);
        held_loose += group->limits.is_paused ? dri_line_at(core, i, core->config.lanes)->count : 0;
        open += group->breaker != DRI_BREAKER_CLOSED;
    }
    for (uint32_t i = 0; i < core->keys.fresh; i++) {
        const struct dri_key *key = &core->keys.keys[i];
        bool is_there = dri_map_find(&core->keys.map, 0, key->hash) == i;
        CHECK(!is_there || !key->is_held || key->is_ready, "a key is held and in no line");
        held += is_there && key->is_held ? key->count : 0;
        excess += is_there && core->config.key_max != 0 && key->count > core->config.key_max
                      ? key->count - core->config.key_max
                      : 0;
    }
    CHECK(excess == core->keys.excess, "what is too much of a key is counted wrongly");
    CHECK(held == core->keys.held, "what paused keys hold is counted wrongly");
    CHECK(held_loose == core->held_loose, "what paused groups hold is counted wrongly");
    CHECK(open == core->open_groups, "open groups are counted wrongly");
    return NULL;
}

static const char *check_leases(const struct dri_core *core, const struct dri_slot *slot,
                                uint32_t number)
{
    const struct dri_flight *prev = NULL;
    for (const struct dri_flight *flight = slot->lease_head; flight != NULL;
         flight = flight->lease_next) {
        CHECK(flight->is_leased && flight->slot == number && flight->epoch == slot->epoch,
              "a lease is in the list of another slot");
        CHECK(flight->lease_prev == prev, "a list of leases is torn");
        CHECK(prev == NULL || prev->lease_due_ns <= flight->lease_due_ns,
              "leases are not in the order of time");
        prev = flight;
    }
    CHECK(slot->lease_tail == prev, "a list of leases ends elsewhere");
    CHECK(prev == NULL ||
              dri_timers_is_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_LEASE)),
          "a slot has leases and no time for them");
    return NULL;
}

static const char *check_tracker(const struct dri_core *core, const struct dri_slot *slot,
                                 uint32_t number, uint32_t *ret_count)
{
    const struct dri_tracker *tracker = &slot->tracker;
    uint32_t prev = 0;
    uint32_t count = 0;
    uint32_t flights = 0;
    uint64_t position;
    for (uint32_t at = tracker->head; at != 0; at = core->nodes[at - 1].next) {
        const struct dri_tracker_node *node = &core->nodes[at - 1];
        CHECK(node->prev == prev, "a tracker's list is torn");
        CHECK(slot->is_park == (at > core->flights_max), "a tracker has what is not its own");
        if (slot->is_park) {
            const struct dri_entry *entry = &core->entries[at - core->flights_max - 1];
            CHECK(entry->state != DRI_ENTRY_FREE && entry->state != DRI_ENTRY_DEAD &&
                      entry->slot == number && entry->epoch == slot->epoch &&
                      entry->offset == node->offset,
                  "a tracker has an entry of another assignment");
            flights += entry->state == DRI_ENTRY_OUT;
        } else {
            const struct dri_flight *flight = &core->flights[at - 1];
            CHECK(flight->is_tracked && flight->slot == number && flight->epoch == slot->epoch,
                  "a tracker has a flight of another assignment");
            flights++;
        }
        CHECK(prev == 0 || core->nodes[prev - 1].sequence < node->sequence,
              "a tracker's list is not in the order received");
        CHECK(prev == 0 || !tracker->is_ordered || core->nodes[prev - 1].offset < node->offset,
              "a tracker's offsets do not increase");
        prev = at;
        CHECK(++count <= core->flights_max + core->entries_max, "a tracker's list is a circle");
    }
    CHECK(tracker->tail == prev && tracker->count == count, "a tracker's list ends elsewhere");
    if (tracker->head != 0 && DRI_PLANTED == DRI_PLANTED_NONE && tracker->is_ordered) {
        CHECK(dri_tracker_watermark(tracker, &position) &&
                  position <= core->nodes[tracker->head - 1].offset,
              "the watermark is beyond what is unfinished");
    }
    *ret_count = flights;
    return NULL;
}

static const char *check_claims(const struct dri_core *core, const struct dri_slot *slot)
{
    const struct dri_claims *claims = slot->claims;
    const struct dri_progress_run *runs = claims->given_up;
    uint32_t at = 0;
    for (uint32_t i = 0; i < claims->given_up_count; i++) {
        CHECK(runs[i].begin < runs[i].end && runs[i].end <= claims->ceiling,
              "a run of what was given up is none");
        CHECK(i == 0 || runs[i - 1].end < runs[i].begin, "runs of what was given up touch");
    }
    for (uint32_t node = slot->tracker.head; node != 0; node = core->nodes[node - 1].next) {
        uint64_t offset = core->nodes[node - 1].offset;
        while (at < claims->given_up_count && runs[at].end <= offset) {
            at++;
        }
        CHECK(at == claims->given_up_count || offset < runs[at].begin,
              "what is unfinished was given up");
    }
    return NULL;
}

static const char *check_slots(const struct dri_core *core)
{
    uint32_t tracked = 0;
    uint32_t in_trackers = 0;
    for (uint32_t i = 0; i < core->config.slots_max; i++) {
        const struct dri_slot *slot = &core->slots[i];
        uint32_t count = 0;
        if (!slot->is_assigned) {
            CHECK(!slot->is_revoking && slot->tracker.count == 0 && slot->lease_head == NULL,
                  "a slot is not assigned and has flights");
            continue;
        }
        const char *fault = check_tracker(core, slot, i, &count);
        CHECK(fault == NULL, fault);
        fault = check_leases(core, slot, i);
        CHECK(fault == NULL, fault);
        fault = slot->is_watermark ? check_claims(core, slot) : NULL;
        CHECK(fault == NULL, fault);
        in_trackers += count;
        CHECK(slot->is_settle_armed ==
                  dri_timers_is_set(&core->timers, dri_slot_timer_id(core, slot, DRI_TIMER_SETTLE)),
              "a slot is armed and has no time, or the other way round");
        CHECK(!slot->is_revoking || slot->tracker.count > 0 || slot->is_final_out ||
                  slot->is_settle_held,
              "a revoked slot is empty and was not let go");
    }
    for (uint32_t i = 0; i < core->fresh; i++) {
        tracked += core->flights[i].is_tracked;
    }
    CHECK(tracked == in_trackers, "a flight is tracked and in no tracker");
    return NULL;
}

/* Of an entry by itself. */
static const char *check_entry(const struct dri_core *core, uint32_t number)
{
    const struct dri_entry *entry = &core->entries[number];
    bool is_live = entry->state != DRI_ENTRY_FREE && entry->state != DRI_ENTRY_DEAD;
    const struct dri_flight *flight = entry->flight != 0 ? &core->flights[entry->flight - 1] : NULL;
    CHECK(flight == NULL || flight->entry == number + 1, "an entry has the flight of another");
    CHECK(entry->state != DRI_ENTRY_OUT || (flight != NULL && flight->is_tracked),
          "an entry is out and no flight");
    CHECK(entry->state != DRI_ENTRY_FREE || (entry->queued == 0 && flight == NULL),
          "an entry is free and somebody has it");
    CHECK(entry->state == DRI_ENTRY_WAITING || entry->state == DRI_ENTRY_GATED ||
              !dri_timers_is_set(&core->timers, dri_entry_timer_id(core, number)),
          "an entry has a time and does not wait");
    if (is_live) {
        const struct dri_slot *slot = &core->slots[entry->slot];
        CHECK(slot->is_assigned && slot->is_park && slot->epoch == entry->epoch,
              "an entry is stale");
        CHECK(core->nodes[core->flights_max + number].offset == entry->offset,
              "an entry's node has another offset");
    }
    return NULL;
}

static const char *check_parked_key(const struct dri_core *core, uint32_t number,
                                    uint32_t *ret_entries)
{
    const struct dri_key *key = &core->keys.keys[number];
    const struct dri_parked_key *parked = &core->parked_keys[key->parked - 1];
    uint32_t prev = 0;
    CHECK(parked->key == number, "what is parked belongs to another key");
    CHECK(!parked->is_touched, "something happened to a parked key and nobody looked");
    for (uint32_t at = parked->head; at != 0; at = core->entries[at - 1].next) {
        const struct dri_entry *entry = &core->entries[at - 1];
        CHECK(entry->prev == prev && entry->key == key->parked, "a queue of entries is torn");
        CHECK(entry->state != DRI_ENTRY_FREE && entry->state != DRI_ENTRY_DEAD,
              "an entry is gone and stands in a queue");
        CHECK(prev == 0 || core->entries[prev - 1].slot != entry->slot ||
                  core->entries[prev - 1].order <= entry->order,
              "the entries of a key are not in order");
        prev = at;
        CHECK(++*ret_entries <= core->entries_max, "a queue of entries is a circle");
    }
    CHECK(parked->tail == prev, "a queue of entries ends elsewhere");
    CHECK(parked->parking == 0 || core->flights[parked->parking - 1].is_parker,
          "a key waits for a flight that is gone");
    CHECK(parked->is_unread == (parked->live.to != 0 || parked->rewrite.to != 0),
          "a copy is waited for by nobody");
    CHECK(prev != 0 || parked->parking != 0 || parked->is_unread, "a key is parked for nothing");
    return NULL;
}

static const char *check_parked(const struct dri_core *core)
{
    uint32_t live = 0;
    uint32_t taken = 0;
    uint32_t stopped = 0;
    uint32_t keyless = 0;
    uint32_t in_queues = 0;
    uint32_t keys = 0;
    uint32_t asked = 0;
    uint32_t unread = 0;
    for (uint32_t i = 0; i < core->entries_fresh; i++) {
        const struct dri_entry *entry = &core->entries[i];
        const char *fault = check_entry(core, i);
        CHECK(fault == NULL, fault);
        taken += entry->state != DRI_ENTRY_FREE;
        asked += entry->flight != 0 || entry->state == DRI_ENTRY_ASKED ||
                 (entry->queued & DRI_ENTRY_UNPARK) != 0;
        if (entry->state != DRI_ENTRY_FREE && entry->state != DRI_ENTRY_DEAD) {
            live++;
            keyless += entry->key == 0;
            stopped += entry->kind == DRI_PARK_STOPPED || entry->kind == DRI_PARK_HELD;
        }
    }
    for (uint32_t i = 0; i < core->keys.fresh; i++) {
        const struct dri_key *key = &core->keys.keys[i];
        if (dri_map_find(&core->keys.map, 0, key->hash) == i && key->parked != 0) {
            const char *fault = check_parked_key(core, i, &in_queues);
            CHECK(fault == NULL, fault);
            keys++;
            unread += core->parked_keys[key->parked - 1].is_unread;
        }
    }
    CHECK(unread == core->unread_count, "copies that are waited for are counted wrongly");
    CHECK(live == core->entries_used && taken == core->entries_taken,
          "entries are counted wrongly");
    CHECK(live == in_queues + keyless, "an entry is in no queue");
    CHECK(stopped == core->entries_stopped, "stopped keys are counted wrongly");
    CHECK(keys == core->parked_keys_used, "parked keys are counted wrongly");
    CHECK(asked == core->unparked, "what was asked for is counted wrongly");
    CHECK(core->touched == 0, "a parked key was not looked at");
    uint64_t copies = 0;
    for (uint32_t i = 0; i < core->config.slots_max; i++) {
        CHECK(core->slots[i].unread == 0 || dri_park_is_open(&core->slots[i]),
              "copies of a log that is gone are waited for");
        copies += core->slots[i].unread;
    }
    CHECK(copies == core->unread_copies, "copies that were not read are counted wrongly");
    return NULL;
}

static const char *check_gates(const struct dri_core *core)
{
    uint32_t gated = 0;
    uint32_t telling = 0;
    for (uint32_t i = 0; i < core->fresh; i++) {
        const struct dri_flight *flight = &core->flights[i];
        gated += flight->is_gated;
        telling += flight->is_gated && flight->gate == UINT64_MAX;
        CHECK(!flight->is_gated || flight->state == DRI_FLIGHT_PARKING,
              "a flight is gated and is not to be parked");
        CHECK(!flight->is_telling || flight->state == DRI_FLIGHT_LETTER ||
                  flight->state == DRI_FLIGHT_RESULT,
              "a flight has no outcome on the way and is counted");
    }
    for (const struct dri_flight *flight = core->gated; flight != NULL; flight = flight->next) {
        CHECK(flight->is_gated && gated-- > 0, "the list of gated flights is torn");
    }
    CHECK(gated == 0, "a gated flight is in no list");
    CHECK(telling == core->gates_telling, "gates are counted wrongly");
    CHECK(!core->is_gate_due || core->gated == NULL, "a gate was not looked at");
    return NULL;
}

static const char *check_timers(const struct dri_core *core)
{
    const struct dri_timers *timers = &core->timers;
    uint32_t set = 0;
    for (uint32_t i = 0; i < timers->count; i++) {
        const struct dri_timer *timer = &timers->heap[i];
        CHECK(timers->places[timer->id] == i + 1, "a timer is lost in the heap");
        CHECK(i == 0 || timers->heap[(i - 1) / 2].due_ns <= timer->due_ns, "the heap is none");
        CHECK(DRI_PLANTED != DRI_PLANTED_NONE || timer->due_ns > core->now.mono_ns,
              "a timer is due and was not taken");
    }
    for (uint32_t i = 0; i < core->fresh; i++) {
        set += dri_timers_is_set(timers, i);
    }
    CHECK(set <= timers->count, "there are more times than timers");
    return NULL;
}

const char *dri_core_check(const struct dri_core *core)
{
    const char *fault = check_flights(core);
    fault = fault != NULL ? fault : check_key_members(core);
    fault = fault != NULL ? fault : check_lanes(core);
    fault = fault != NULL ? fault : check_groups(core);
    fault = fault != NULL ? fault : check_slots(core);
    fault = fault != NULL ? fault : check_parked(core);
    fault = fault != NULL ? fault : check_gates(core);
    fault = fault != NULL ? fault : check_timers(core);
    return fault;
}
