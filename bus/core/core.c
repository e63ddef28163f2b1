/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "core.h"

#include <string.h>

#include "assert.h"
#include "machine.h"
#include "planted.h"
#include "prefetch.h"

/* The door of the machine: memory, events in, actions out.
 *
 * Memory is one block, carved once. All arrays are empty when zero, and free lists give back what
 * was freed last, so a core that is configured for 400,000 flights touches the pages of those that
 * it really has out.
 *
 * Actions wait in one queue that cannot overflow, by construction: an entry only names a flight or
 * a slot, and each can have each kind of action in the queue once. flight: START or PUBLISH (the
 * next needs an answer to the first), CANCEL (once a run), EXTEND (a flag), SETTLE and RELEASE
 * (once a life, and the next life begins after RELEASE was read) slot:   SETTLE, the final SETTLE,
 * UNASSIGN (a bit each; a newer one takes the place in the queue) core:   DRAINED What is variable
 * in an action (position, delivery, epoch) is read from its flight or slot when the action is taken
 * out. So a settle is never older than need be, and a settle of an assignment that was lost in
 * between is not handed out at all. The other way, producing actions when they are asked for, was
 * rejected: it scatters each decision over two places.
 *
 * The bytes of a settle's metadata stand with its slot, and a slot has one settle that still means
 * something in the queue at a time: so each of those that are handed out between two steps has
 * bytes of its own, however many the shell collects before it sends them.
 *
 * The bounds are soft: dri_core_set_limits may lower them below what is in flight, and raise them
 * to what was carved. A limit of 0 is how a worker goes quiet: room is 0 then, and no count is ever
 * low enough to end it.
 *
 * A key that sends much more than it can run would fill the whole budget with what waits for
 * itself, and stop the others. To pause its partition would stop the others there as well, so what
 * one key has queued beyond key_max is counted apart: it takes from a second budget of the same
 * size, and only when that is full, too, it is as if there were no such bound. Nothing short of
 * moving it back to the broker does better in bounded memory; bytes_max holds as ever.
 *
 * Room has hysteresis, from full until everything is below three quarters: each change of mind
 * pauses or resumes the client, and a paused Kafka partition throws away what it had fetched. A
 * quarter is 2,500 commands at the default bound: some milliseconds of work, which hides the fetch.
 */

#define ACTIONS_PER_FLIGHT 5u
#define ACTIONS_PER_SLOT   3u
#define ACTIONS_PER_ENTRY  3u
#define UNPARKED_MAX       256u
#define LATE_MAX           64u
#define ENTRIES_SPARE      4096u /* of these, half for logs that were caught up with */
#define PARK_LOGS_MAX      8u /* full ones that may come together when replicas go; untouched pages */
#define RECENT_MAX         (UINT32_C(1) << 17)
#define TELLING_MAX        (UINT32_C(1) << 17) /* counts; two keys with one place only wait longer */
#define CACHE_LINE         64u

struct carver {
    uint8_t *memory; /* NULL: only count */
    size_t at;
};

static void *carve(struct carver *carver, size_t count, size_t size)
{
    size_t at = carver->at;
    carver->at += (count * size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return carver->memory != NULL ? carver->memory + at : NULL;
}

static void assert_sane(const struct dri_core_config *config)
{
    DRI_ASSERT(config->in_flight_max > 0 && config->unacked_max > 0);
    DRI_ASSERT((uint64_t)config->in_flight_max + config->unacked_max <= UINT64_C(1) << 26);
    DRI_ASSERT(config->bytes_max > 0);
    DRI_ASSERT(config->slots_max > 0 && config->slots_max <= UINT32_C(1) << 20);
    DRI_ASSERT(config->lanes > 0 && config->lanes < UINT16_MAX);
    DRI_ASSERT(config->lane_depth > 0 && config->chain_max > 0);
    DRI_ASSERT(config->groups_max < UINT32_C(1) << 20);
    DRI_ASSERT(config->republish_ms > 0);
    DRI_ASSERT(config->systemic_share == 0 || config->systemic_window_ms >= 10);
    DRI_ASSERT(config->park_max <= UINT32_C(1) << 24);
}

/* One list of what a core is made of, for counting and for building. */
static void build(struct dri_core *core, const struct dri_core_config *config,
                  struct carver *carver)
{
    bool parks = config->park_max > 0;
    uint32_t unparked = config->park_max < UNPARKED_MAX ? config->park_max : UNPARKED_MAX;
    uint32_t late = parks ? LATE_MAX : 0;
    uint32_t flights = config->in_flight_max + config->unacked_max + late + unparked;
    uint32_t parked = parks ? PARK_LOGS_MAX * config->park_max + ENTRIES_SPARE : 0;
    uint32_t parked_keys = parks ? parked + config->park_max + flights : 0;
    uint32_t keys_max = flights + (parks ? parked + config->park_max : 0);
    uint32_t entries = dri_map_entries(flights);
    uint32_t keys_entries = dri_map_entries(keys_max);
    uint32_t recent = entries < RECENT_MAX ? entries : RECENT_MAX;
    uint32_t groups = config->groups_max + 1;
    uint32_t timers = flights + config->slots_max * DRI_TIMER_SLOT_COUNT + 1 + groups + parked;
    core->config = *config;
    core->unparked_max = unparked;
    core->late_max = late;
    core->entries_max = parked;
    core->parked_keys_max = parked_keys;
    core->flights_max = flights;
    core->in_flight_carved = config->in_flight_max;
    core->flight_bytes = sizeof(struct dri_flight);
    core->slots = carve(carver, config->slots_max, sizeof(*core->slots));
    core->lanes = carve(carver, (size_t)config->lanes + 1, sizeof(*core->lanes));
    core->groups = carve(carver, groups, sizeof(*core->groups));
    core->lines = carve(carver, (size_t)groups * (config->lanes + 1), sizeof(*core->lines));
    core->flights = carve(carver, flights, sizeof(*core->flights));
    core->claims = carve(carver, config->slots_max, sizeof(*core->claims));
    core->nodes = carve(carver, (size_t)flights + parked, sizeof(*core->nodes));
    core->recent = carve(carver, recent, sizeof(*core->recent));
    core->recent_mask = recent - 1;
    core->actions_max = flights * ACTIONS_PER_FLIGHT + config->slots_max * ACTIONS_PER_SLOT +
                        parked * ACTIONS_PER_ENTRY + 1;
    core->actions = carve(carver, core->actions_max, sizeof(*core->actions));
    dri_map_init(&core->deliveries, carve(carver, entries, sizeof(struct dri_map_entry)), entries);
    struct dri_key *keys = carve(carver, keys_max, sizeof(*keys));
    struct dri_map_entry *table = carve(carver, keys_entries, sizeof(*table));
    dri_keys_init(&core->keys, keys, keys_max, table, keys_entries);
    core->keys.queue_max = config->key_max;
    struct dri_timer *heap = carve(carver, timers, sizeof(*heap));
    uint32_t *places = carve(carver, timers, sizeof(*places));
    dri_timers_init(&core->timers, heap, places, timers);
    uint32_t sources = parks ? dri_map_entries(parked) : 0;
    core->entries = carve(carver, parked, sizeof(*core->entries));
    core->parked_keys = carve(carver, parked_keys, sizeof(*core->parked_keys));
    struct dri_map_entry *source_table = carve(carver, sources, sizeof(*source_table));
    uint32_t telling = dri_map_entries(flights);
    telling = !parks ? 0 : telling < TELLING_MAX ? telling : TELLING_MAX;
    core->telling = carve(carver, telling, sizeof(*core->telling));
    core->telling_mask = telling - 1;
    if (parks) {
        dri_map_init(&core->sources, source_table, sources);
    }
}

size_t dri_core_bytes(const struct dri_core_config *config)
{
    struct dri_core scratch = {0};
    struct carver carver = {.memory = NULL, .at = 0};
    assert_sane(config);
    (void)carve(&carver, 1, sizeof(struct dri_core));
    build(&scratch, config, &carver);
    return carver.at;
}

size_t dri_core_flights_max(const struct dri_core_config *config)
{
    struct dri_core scratch = {0};
    struct carver carver = {.memory = NULL, .at = 0};
    assert_sane(config);
    build(&scratch, config, &carver);
    return scratch.flights_max;
}

struct dri_core *dri_core_init(void *memory, const struct dri_core_config *config)
{
    struct carver carver = {.memory = memory, .at = 0};
    assert_sane(config);
    DRI_ASSERT(memory != NULL && (uintptr_t)memory % CACHE_LINE == 0);
    struct dri_core *core = carve(&carver, 1, sizeof(*core));
    build(core, config, &carver);
    core->states[DRI_FLIGHT_FREE] = core->flights_max;
    core->lanes_with_room = config->lanes;
    for (uint32_t i = 0; i < config->lanes; i++) {
        core->lanes[i].limit = config->lane_depth;
        core->lanes[i].chain = config->chain_max;
    }
    return core;
}

/* --- small things that every file uses --- */

void dri_release(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(!flight->is_with_lane && !flight->is_publishing && !flight->is_tracked);
    if (flight->is_deaf) {
        flight->is_release_due = true; /* when its handler has returned */
        core->releases_due++;
        return;
    }
    core->releasing++;
    dri_push(core, DRI_CA_RELEASE, flight->index, 0, 0);
}

void dri_refuse(struct dri_core *core, struct dri_flight *flight)
{
    dri_move(core, flight, DRI_FLIGHT_DROPPED);
    dri_release(core, flight);
}

uint32_t dri_flights_out(const struct dri_core *core)
{
    return core->used - core->states[DRI_FLIGHT_TAKEN] - core->releasing - core->releases_due;
}

uint32_t dri_slot_number(const struct dri_core *core, const struct dri_slot *slot)
{
    return (uint32_t)(slot - core->slots);
}

uint32_t dri_slot_timer_id(const struct dri_core *core, const struct dri_slot *slot,
                           enum dri_slot_timer kind)
{
    return core->flights_max + dri_slot_number(core, slot) * DRI_TIMER_SLOT_COUNT + (uint32_t)kind;
}

uint32_t dri_drain_timer_id(const struct dri_core *core)
{
    return core->flights_max + core->config.slots_max * DRI_TIMER_SLOT_COUNT;
}

uint64_t dri_after_ms(uint64_t from_ns, uint64_t ms)
{
    const uint64_t ns_per_ms = 1000000;
    return ms < (UINT64_MAX - from_ns) / ns_per_ms ? from_ns + ms * ns_per_ms : UINT64_MAX - 1;
}

/* --- room --- */

static uint32_t waiting_count(const struct dri_core *core)
{
    uint32_t excess = core->keys.excess;
    uint32_t most = core->config.in_flight_max;
    return core->states[DRI_FLIGHT_TAKEN] + core->states[DRI_FLIGHT_QUEUED] +
           core->states[DRI_FLIGHT_RUNNING] + core->states[DRI_FLIGHT_WAITING] -
           (excess < most ? excess : most);
}

static uint32_t unacked_count(const struct dri_core *core)
{
    return core->states[DRI_FLIGHT_LETTER] + core->states[DRI_FLIGHT_RESULT] +
           core->states[DRI_FLIGHT_PARKING];
}

/* What of the slab is left for what comes in; some of it is set aside for what is unparked. */
static uint32_t slab_left(const struct dri_core *core)
{
    uint32_t unparked = core->unparked_taken;
    uint32_t most = core->flights_max - core->unparked_max - core->late_max;
    uint32_t used = core->used - unparked;
    return used < most ? most - used : 0;
}

static bool is_low(uint64_t count, uint64_t max)
{
    return count < max && count <= max - max / 4;
}

static void update_room(struct dri_core *core)
{
    const struct dri_core_config *config = &core->config;
    uint32_t waiting = waiting_count(core);
    uint32_t unacked = unacked_count(core);
    if (!core->is_full) {
        core->is_full = waiting >= config->in_flight_max || unacked >= config->unacked_max ||
                        core->bytes >= config->bytes_max || slab_left(core) == 0;
        return;
    }
    core->is_full =
        !(is_low(waiting, config->in_flight_max) && is_low(unacked, config->unacked_max) &&
          is_low(core->bytes, config->bytes_max) && slab_left(core) > 0);
}

static uint32_t takeable(const struct dri_core *core)
{
    uint32_t waiting = waiting_count(core);
    uint32_t in_flight =
        waiting < core->config.in_flight_max ? core->config.in_flight_max - waiting : 0;
    uint32_t slab = slab_left(core);
    return in_flight < slab ? in_flight : slab;
}

void dri_core_set_limits(struct dri_core *core, const struct dri_core_limits *limits)
{
    DRI_ASSERT(limits->in_flight_max <= core->in_flight_carved);
    DRI_ASSERT(limits->unacked_max <=
               core->flights_max - core->unparked_max - core->late_max - core->in_flight_carved);
    DRI_ASSERT(limits->unacked_max > 0 && limits->bytes_max > 0);
    core->config.in_flight_max = limits->in_flight_max;
    core->config.unacked_max = limits->unacked_max;
    core->config.bytes_max = limits->bytes_max;
    core->config.settle_ms = limits->settle_ms;
    core->config.revoke_ms = limits->revoke_ms;
    core->config.drain_ms = limits->drain_ms;
    update_room(core);
}

size_t dri_core_room(const struct dri_core *core)
{
    return core->is_full || core->is_draining || core->is_stopped ? 0 : takeable(core);
}

static struct dri_flight *take(struct dri_core *core)
{
    struct dri_flight *flight = core->free;
    uint32_t index = core->fresh;
    if (flight != NULL) {
        core->free = flight->next;
        index = flight->index;
    } else {
        flight = &core->flights[core->fresh++];
    }
    uint32_t generation = flight->generation + 1;
    /* Not sizeof: for a constant gcc 12 makes it a rep stos, 16 ns; the library's is 4. */
    memset(flight, 0, core->flight_bytes);
    flight->index = index;
    flight->generation = generation;
    flight->lane_hint = UINT16_MAX;
    core->used++;
    dri_move(core, flight, DRI_FLIGHT_TAKEN);
    return flight;
}

struct dri_flight *dri_core_take(struct dri_core *core)
{
    uint32_t left = takeable(core);
    if (left == 0) {
        return NULL;
    }
    core->is_full = core->is_full || left == 1;
    return take(core);
}

struct dri_flight *dri_core_take_late(struct dri_core *core)
{
    uint32_t most = core->flights_max - core->unparked_max;
    return core->used - core->unparked_taken < most ? take(core) : NULL;
}

struct dri_flight *dri_core_take_parked(struct dri_core *core, uint32_t number)
{
    DRI_ASSERT(number < core->entries_fresh);
    struct dri_entry *entry = &core->entries[number];
    DRI_ASSERT(entry->state == DRI_ENTRY_ASKED && entry->flight == 0);
    struct dri_flight *flight = take(core);
    core->unparked_taken++;
    flight->entry = number + 1;
    flight->attempt = entry->attempts;
    flight->slot = entry->slot;
    flight->epoch = entry->epoch;
    flight->offset = entry->offset;
    entry->flight = flight->index + 1;
    return flight;
}

static void put_free(struct dri_core *core, struct dri_flight *flight)
{
    if (flight->entry != 0) {
        core->unparked_taken--;
    }
    if (flight->entry != 0 || flight->unit_entry != 0) {
        dri_park_detach(core, flight);
    }
    dri_move(core, flight, DRI_FLIGHT_FREE);
    flight->next = core->free;
    core->free = flight;
    core->used--;
}

void dri_core_untake(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(flight->state == DRI_FLIGHT_TAKEN);
    put_free(core, flight);
    update_room(core);
}

/* --- events in --- */

void dri_flight_enter(struct dri_core *core, struct dri_flight *flight)
{
    if (!dri_group_takes(core, flight)) {
        dri_group_spill(core, flight);
        return;
    }
    dri_move(core, flight, DRI_FLIGHT_QUEUED);
    dri_lanes_enqueue(core, flight);
    if (core->groups_used > 0) {
        dri_group_came(core, flight);
    }
}

static void on_record(struct dri_core *core, struct dri_flight *flight)
{
    DRI_ASSERT(flight->state == DRI_FLIGHT_TAKEN);
    core->bytes += flight->bytes;
    if (flight->entry != 0 ? !dri_park_admit(core, flight) : !dri_slot_admit(core, flight)) {
        return;
    }
    if (core->entries_used > 0 && flight->entry == 0 && dri_park_has(core, flight)) {
        core->stats.copies_dropped++;
        dri_outcome_none(core, flight);
        dri_gate_came_again(core, flight);
        return;
    }
    if (DRI_IS_PLANTED(LOSE_ONE) && core->stats.admitted % 1000 == 0) {
        dri_slot_finish(core, flight);
        dri_refuse(core, flight);
        return;
    }
    if (flight->invalid != DRAY_KIND_NONE) {
        dri_outcome_letter(core, flight, flight->invalid);
        return;
    }
    if (!dri_early_takes(core, flight)) {
        dri_flight_enter(core, flight);
    }
}

static void on_event(struct dri_core *core, const struct dri_core_event *event)
{
    switch (event->type) {
    case DRI_CE_RECORD:
        on_record(core, event->as.flight);
        return;
    case DRI_CE_DONE:
        dri_lanes_done(core, event->as.flight);
        return;
    case DRI_CE_WAKE:
        dri_lanes_wake(core, event->as.flight);
        return;
    case DRI_CE_RETURNED:
        dri_lanes_returned(core, event->as.flight);
        return;
    case DRI_CE_PUBLISHED:
        dri_outcome_published(core, event);
        return;
    case DRI_CE_SETTLED:
        dri_slot_settled(core, event);
        return;
    case DRI_CE_ASSIGNED:
        dri_slot_assigned(core, event);
        return;
    case DRI_CE_REVOKED:
        dri_slot_revoked(core, event->slot, event->epoch);
        return;
    case DRI_CE_LOST:
        dri_slot_lost(core, event->slot, event->epoch);
        return;
    case DRI_CE_BARRIER:
        dri_slots_barrier(core);
        return;
    case DRI_CE_PARKED:
        dri_park_take_in(core, event);
        return;
    case DRI_CE_CAUGHT_UP:
        dri_park_caught_up(core, event->slot, event->epoch);
        return;
    case DRI_CE_DRAIN:
        dri_drain_begin(core);
        return;
    case DRI_CE_STOP:
        dri_drain_end_now(core);
        return;
    }
    DRI_UNREACHABLE();
}

/* The flight that an event will touch, by its address alone; NULL: none, or it was touched just
 * now. */
static const struct dri_flight *far_flight(const struct dri_core *core,
                                           const struct dri_core_event *event)
{
    if (event->type == DRI_CE_PUBLISHED) {
        uint32_t index = (uint32_t)event->as.published.token;
        return index < core->flights_max ? &core->flights[index] : NULL;
    }
    return event->type == DRI_CE_DONE ? event->as.flight : NULL;
}

/* The same when it may be read: one that a lane has by now is not. */
static const struct dri_flight *near_flight(struct dri_core *core,
                                            const struct dri_core_event *event)
{
    switch (event->type) {
    case DRI_CE_RECORD:
    case DRI_CE_DONE:
        return event->as.flight;
    case DRI_CE_PUBLISHED:
        return dri_core_publishing(core, event->as.published.token);
    default:
        return NULL;
    }
}

/* Ask for what the events after this one need: prefetch.h. */
static void look_ahead(struct dri_core *core, const struct dri_core_event *events, size_t count)
{
    if (count > DRI_PREFETCH_FAR) {
        const struct dri_core_event *far = &events[DRI_PREFETCH_FAR];
        dri_prefetch(far_flight(core, far),
                     far->type == DRI_CE_DONE ? DRI_FLIGHT_RUN_BYTES : DRI_FLIGHT_CORE_BYTES);
    }
    const struct dri_flight *flight =
        count > DRI_PREFETCH_NEAR ? near_flight(core, &events[DRI_PREFETCH_NEAR]) : NULL;
    if (flight == NULL) {
        return;
    }
    if (flight->has_key) {
        dri_map_prefetch(&core->keys.map, 0, flight->key_hash);
        if (core->config.park_max != 0) {
            dri_prefetch(&core->telling[flight->key_hash & core->telling_mask], 1);
        }
    }
    if (flight->key_number != 0) {
        dri_prefetch(&core->keys.keys[flight->key_number - 1], sizeof(struct dri_key));
    }
    if (events[DRI_PREFETCH_NEAR].type == DRI_CE_PUBLISHED) { /* the shell frees them */
        dri_prefetch(flight->block, DRI_PREFETCH_LINE);
        dri_prefetch(flight->outcome_block, DRI_PREFETCH_LINE);
    }
}

static void on_timer(struct dri_core *core, uint32_t id)
{
    if (id < core->flights_max) {
        struct dri_flight *flight = &core->flights[id];
        if (dri_core_is_early(flight)) {
            dri_early_due(core, flight);
        } else if (flight->state == DRI_FLIGHT_WAITING) {
            dri_lanes_due(core, flight);
        } else {
            dri_outcome_due(core, flight);
        }
        return;
    }
    if (id == dri_drain_timer_id(core)) {
        dri_drain_end_now(core);
        return;
    }
    if (id >= dri_entry_timer_id(core, 0)) {
        dri_park_due(core, id - dri_entry_timer_id(core, 0));
        return;
    }
    if (id > dri_drain_timer_id(core)) {
        dri_group_due(core, id - dri_group_timer_id(core, 0));
        return;
    }
    uint32_t of_slots = id - core->flights_max;
    dri_slot_due(core, &core->slots[of_slots / DRI_TIMER_SLOT_COUNT],
                 (enum dri_slot_timer)(of_slots % DRI_TIMER_SLOT_COUNT));
}

void dri_core_step(struct dri_core *core, struct dri_now now, const struct dri_core_event *events,
                   size_t count)
{
    core->steps++;
    core->now.wall_ms = now.wall_ms;
    if (now.mono_ns > core->now.mono_ns) {
        core->now.mono_ns = now.mono_ns;
    }
    for (size_t i = 0; i < count; i++) {
        look_ahead(core, &events[i], count - i);
        on_event(core, &events[i]);
    }
    /* After the events: what came just in time is in time. */
    for (uint32_t id; (id = dri_timers_pop(&core->timers, core->now.mono_ns)) != UINT32_MAX;) {
        on_timer(core, id);
    }
    dri_groups_bound(core);
    do {
        do {
            dri_park_work(core);
            dri_lanes_dispatch(core);
        } while (dri_park_is_due(core));
    } while (dri_groups_fall_back(core) || dri_park_is_due(core));
    if (core->is_draining) {
        dri_groups_drain(core);
    }
    dri_drain_check(core);
    update_room(core);
}

uint32_t dri_core_half_told(const struct dri_core *core)
{
    return DRI_IS_PLANTED(HALF_TOLD_IS_TOLD) ? 0 : core->half_told;
}

uint64_t dri_core_torn(const struct dri_core *core)
{
    return DRI_IS_PLANTED(TORN_IS_FORGOTTEN) ? 0 : core->stats.torn;
}

bool dri_core_is_whole(const struct dri_core *core)
{
    return core->is_whole;
}

uint32_t dri_core_park_room(const struct dri_core *core)
{
    return core->entries_max - core->entries_taken;
}

static uint32_t park_bound(const struct dri_core *core)
{
    return core->entries_max - ENTRIES_SPARE;
}

bool dri_core_is_park_tight(const struct dri_core *core, size_t more)
{
    return core->entries_taken + more >= park_bound(core);
}

void dri_core_hold_park(struct dri_core *core, uint32_t slot, bool is_held)
{
    core->slots[slot].is_held = is_held;
}

/* What frees entries is what comes out, and that comes only out of logs that were caught up with:
 * these are read on, for what was stored there anew, when the others have to stop. */
bool dri_core_has_park_room(const struct dri_core *core, uint32_t slot, bool was_stopped)
{
    uint32_t max = park_bound(core);
    uint32_t less = max / 16 < ENTRIES_SPARE / 8 ? max / 16 : ENTRIES_SPARE / 8;
    max += core->slots[slot].is_caught_up ? ENTRIES_SPARE / 2 : 0;
    return core->entries_taken < max - (was_stopped ? less : 0);
}

uint64_t dri_core_next_deadline(const struct dri_core *core)
{
    return dri_timers_next(&core->timers);
}

/* --- actions out --- */

static void read_settle(const struct dri_flight *flight, struct dri_core_action *ret_action)
{
    ret_action->as.settle.position = flight->offset;
    ret_action->as.settle.delivery = flight->delivery;
    ret_action->as.settle.metadata = dray_slice_of(NULL, 0);
    ret_action->as.settle.is_watermark = false;
    ret_action->as.settle.is_final = false;
}

/* Fill in what a queued action stands for; false: it means nothing any more. */
static bool read_action(struct dri_core *core, const struct dri_queued_action *queued,
                        struct dri_core_action *ret_action)
{
    enum dri_core_action_type type = (enum dri_core_action_type)queued->type;
    ret_action->type = type;
    if (type == DRI_CA_DRAINED) {
        ret_action->slot = 0;
        ret_action->epoch = 0;
        ret_action->as.is_clean = core->is_clean;
        return true;
    }
    if (type == DRI_CA_UNASSIGN ||
        (type == DRI_CA_SETTLE && queued->detail != 0 && queued->lane == 0)) {
        ret_action->slot = queued->ref;
        return dri_slot_read(&core->slots[queued->ref], queued->detail, ret_action);
    }
    if (type == DRI_CA_UNPARK || type == DRI_CA_FORGET ||
        (type == DRI_CA_SETTLE && queued->lane != 0)) {
        return dri_entry_read(core, queued->ref, queued->detail, ret_action);
    }
    struct dri_flight *flight = &core->flights[queued->ref];
    ret_action->slot = flight->slot;
    ret_action->epoch = flight->epoch;
    if (type == DRI_CA_SETTLE) {
        read_settle(flight, ret_action);
        return true;
    }
    ret_action->as.run.flight = flight;
    ret_action->as.run.lane = queued->lane;
    ret_action->as.run.outcome = (enum dri_outcome)queued->detail;
    if (type == DRI_CA_RELEASE) {
        core->releasing--;
        core->bytes -= flight->bytes;
        put_free(core, flight);
    } else if (type == DRI_CA_EXTEND) {
        flight->is_extend_queued = false;
    }
    return true;
}

size_t dri_core_actions(struct dri_core *core, struct dri_core_action *ret_actions, size_t max)
{
    size_t count = 0;
    while (count < max && core->actions_count > 0) {
        const struct dri_queued_action *queued = &core->actions[core->actions_head];
        core->actions_head =
            core->actions_head + 1 < core->actions_max ? core->actions_head + 1 : 0;
        core->actions_count--;
        if (read_action(core, queued, &ret_actions[count])) {
            count++;
            if (queued->type == DRI_CA_UNPARK) {
                break; /* it takes a flight, which no RELEASE that is read already may give back */
            }
        }
    }
    if (core->actions_count == 0) {
        core->actions_head = 0; /* begin anew: the queue touches no more memory than it needs */
    }
    update_room(core);
    return count;
}

void dri_core_stats(const struct dri_core *core, struct dri_core_stats *ret_stats)
{
    struct dri_core_stats stats = core->stats;
    stats.in_flight = core->states[DRI_FLIGHT_QUEUED] + core->states[DRI_FLIGHT_RUNNING] +
                      core->states[DRI_FLIGHT_WAITING];
    stats.running = core->states[DRI_FLIGHT_RUNNING];
    stats.waiting = core->states[DRI_FLIGHT_WAITING];
    stats.unacked = unacked_count(core);
    stats.waiting_paused = dri_groups_held(core);
    stats.open_groups = core->open_groups;
    stats.is_systemic = dri_core_is_systemic(core);
    stats.parked_entries = core->entries_used;
    stats.parked_keys = core->parked_keys_used;
    stats.stopped_keys = core->entries_stopped;
    stats.bytes = core->bytes;
    stats.settle_gap = 0;
    for (uint32_t i = 0; i < core->slots_end; i++) {
        const struct dri_slot *slot = &core->slots[i];
        if (slot->is_assigned && slot->is_watermark) {
            stats.settle_gap += dri_tracker_gap(&slot->tracker);
        }
    }
    *ret_stats = stats;
}
