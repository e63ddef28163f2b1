/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "entries.h"
#include "planted.h"

/* The gate before a park log: a command goes there only when what came before it in its key is
 * settled.
 *
 * A command whose outcome is stored and whose source is not settled comes again after a crash. If
 * a later one of its key stood in the park log by then, it would run a second time behind that one.
 * So the first copy of a key waits, PARKING and not published yet, in two stages: for the outcomes
 * of its key that are on the way, and then for the answer to a settle that says of everything that
 * had ended by then that it did. Its followers need not: from the time that a key is parked on,
 * nothing of it ends but what is parked itself. The first of a unit and its members do end, so
 * after these there is a gate again. The first would be known by its HELD record when it comes
 * again; but not after a release, and then it would run behind what was parked before its source
 * was settled.
 *
 * Whose outcomes are on the way is counted by a hash of the key, in a table without keys: of two
 * keys with one place the one waits for the other's outcomes, too, and nothing else happens. A
 * count in the key was rejected, because a key would have to be kept, and found, until the last
 * outcome is stored; and so was dropping, after a restart, what comes again from before a parked
 * command: that loses one which did not have its outcome and has another order by then, because its
 * route was changed.
 *
 * A settle can stay without an answer. Then it is said once more.
 *
 * The same the other way: what is parked does not come out before its own source is settled. It
 * could end, its record be settled, and after a crash the source come again, behind followers that
 * have run. After a restart the source of what stands in the log may come again, too; it is
 * settled as a copy, and what is parked waits for that. It is on its way when the assignment
 * begins, so that a source which has not come within a minute is not waited for any longer: its log
 * was cut, or made anew.
 *
 * Who settles each delivery by itself has no answers to wait for, and no gate.
 */

#define ANSWER_MS 2000u  /* until a settle is said once more */
#define SOURCE_MS 60000u /* of an assignment, until the source of what is parked has come */

static uint32_t *telling_of(struct dri_core *core, const struct dri_flight *flight)
{
    return &core->telling[flight->key_hash & core->telling_mask];
}

void dri_gate_tell(struct dri_core *core, struct dri_flight *flight)
{
    if (core->config.park_max != 0 && flight->has_key && flight->entry == 0 &&
        !flight->is_telling) {
        flight->is_telling = true;
        (*telling_of(core, flight))++;
    }
}

void dri_gate_told(struct dri_core *core, struct dri_flight *flight)
{
    if (!flight->is_telling) {
        return;
    }
    uint32_t *telling = telling_of(core, flight);
    DRI_ASSERT(*telling > 0);
    flight->is_telling = false;
    (*telling)--;
    core->is_gate_due = core->is_gate_due || core->gates_telling > 0;
}

static void wait_for_answer(struct dri_core *core, struct dri_flight *flight)
{
    flight->due_ns = dri_after_ms(core->now.mono_ns, core->config.settle_ms + ANSWER_MS);
    dri_timers_set(&core->timers, flight->index, flight->due_ns);
}

bool dri_gate_takes(struct dri_core *core, struct dri_flight *flight)
{
    const struct dri_slot *slot = &core->slots[flight->slot];
    const struct dri_key *key =
        flight->has_key ? dri_keys_find(&core->keys, flight->key_hash) : NULL;
    const struct dri_parked_key *parked = key != NULL ? dri_parked_at(core, key->parked) : NULL;
    if (parked == NULL || !parked->has_gate || flight->entry != 0 || !slot->is_watermark ||
        slot->is_revoking || core->is_draining || core->is_stopped ||
        DRI_IS_PLANTED(PARK_BEFORE_SETTLED)) {
        return false;
    }
    flight->is_gated = true;
    flight->gate = UINT64_MAX;
    flight->prev = NULL;
    flight->next = core->gated;
    if (core->gated != NULL) {
        core->gated->prev = flight;
    }
    core->gated = flight;
    core->gates_telling++;
    core->is_gate_due = true;
    wait_for_answer(core, flight);
    return true;
}

void dri_gate_leave(struct dri_core *core, struct dri_flight *flight)
{
    if (!flight->is_gated) {
        return;
    }
    if (flight->prev != NULL) {
        flight->prev->next = flight->next;
    } else {
        core->gated = flight->next;
    }
    if (flight->next != NULL) {
        flight->next->prev = flight->prev;
    }
    flight->next = NULL;
    flight->prev = NULL;
    flight->is_gated = false;
    core->gates_telling -= flight->gate == UINT64_MAX ? 1 : 0;
    dri_timers_cancel(&core->timers, flight->index);
}

static void let_through(struct dri_core *core, struct dri_flight *flight)
{
    struct dri_key *key = dri_keys_find(&core->keys, flight->key_hash);
    struct dri_parked_key *parked = key != NULL ? dri_parked_at(core, key->parked) : NULL;
    dri_gate_leave(core, flight);
    if (parked != NULL) {
        parked->has_gate = flight->park_kind == DRI_PARK_HELD;
    }
    dri_outcome_park(core, flight);
}

/* Whether what came before it in its key is settled. */
static bool is_open(struct dri_core *core, struct dri_flight *flight)
{
    const struct dri_slot *slot = &core->slots[flight->slot];
    if (flight->gate == UINT64_MAX) {
        if (*telling_of(core, flight) > 0) {
            return false;
        }
        flight->gate = slot->finished;
        core->gates_telling--;
    }
    return flight->gate == 0 || (slot->kept >= flight->gate && flight->offset <= slot->kept_to);
}

static void open_gates(struct dri_core *core)
{
    core->is_gate_due = false;
    for (struct dri_flight *flight = core->gated, *next; flight != NULL; flight = next) {
        next = flight->next;
        if (is_open(core, flight)) {
            let_through(core, flight);
        }
    }
}

/* --- out --- */

/* The source of what is parked. NULL: none of ours, or settled each by itself. */
static struct dri_slot *source_slot_of(struct dri_core *core, struct dri_entry *entry)
{
    for (uint32_t i = 0; entry->source_slot == 0 && i < core->slots_end; i++) {
        const struct dri_slot *slot = &core->slots[i];
        if (slot->is_assigned && !slot->is_park && slot->park == entry->slot &&
            dri_park_source_mix(slot->origin_hash, entry->source_offset) == entry->source_hash) {
            entry->source_slot = i + 1;
        }
    }
    struct dri_slot *slot = entry->source_slot != 0 ? &core->slots[entry->source_slot - 1] : NULL;
    return slot != NULL && slot->is_watermark ? slot : NULL;
}

/* Whether the live copy of it has no end yet: its copy was read before anybody said that it was
 * stored. */
static bool is_being_parked(const struct dri_core *core, const struct dri_entry *entry,
                            uint32_t slot)
{
    const struct dri_parked_key *parked = dri_parked_at(core, entry->key);
    const struct dri_flight *flight =
        parked != NULL && parked->parking != 0 ? &core->flights[parked->parking - 1] : NULL;
    return flight != NULL && flight->slot == slot && flight->offset == entry->source_offset;
}

/* Whether nobody is given its source again. */
static bool is_source_settled(const struct dri_core *core, struct dri_entry *entry,
                              const struct dri_slot *slot)
{
    uint64_t at = entry->source_offset;
    if (!slot->is_assigned || slot->is_revoking) {
        return false;
    }
    if (slot->has_settled && at < slot->settled) {
        return true;
    }
    if (slot->tracker.received == 0 || at >= slot->tracker.next_offset) {
        return dri_claims_tell(slot->claims, at) ||
               core->now.mono_ns >= dri_after_ms(slot->assigned_ns, SOURCE_MS);
    }
    if (entry->gate == UINT64_MAX) {
        if (is_being_parked(core, entry, dri_slot_number(core, slot))) {
            return false;
        }
        entry->gate = slot->finished;
    }
    return slot->kept >= entry->gate && at < slot->kept_to;
}

static void wait_for_source(struct dri_core *core, const struct dri_entry *entry)
{
    dri_timers_set(&core->timers, dri_entry_timer_id(core, dri_entry_number(core, entry)),
                   dri_after_ms(core->now.mono_ns, core->config.settle_ms + ANSWER_MS));
}

bool dri_gate_keeps(struct dri_core *core, struct dri_entry *entry)
{
    struct dri_slot *slot = source_slot_of(core, entry);
    if (slot == NULL || DRI_IS_PLANTED(OUT_BEFORE_SETTLED) ||
        is_source_settled(core, entry, slot)) {
        return false;
    }
    dri_entry_list(core, entry, DRI_ENTRY_GATED);
    if (slot->is_assigned && !slot->is_revoking) {
        dri_slot_arm_soon(core, slot);
    }
    wait_for_source(core, entry);
    return true;
}

void dri_gate_entry_due(struct dri_core *core, struct dri_entry *entry)
{
    struct dri_slot *slot = source_slot_of(core, entry);
    if (slot != NULL && slot->is_assigned && !slot->is_revoking) {
        dri_slot_say_again(core, slot);
    }
    core->is_exit_due = true; /* it may have waited long enough for one that does not come */
    wait_for_source(core, entry);
}

void dri_gate_came_again(struct dri_core *core, const struct dri_flight *flight)
{
    uint64_t hash = dri_park_source_mix(core->slots[flight->slot].origin_hash, flight->offset);
    uint32_t number = dri_map_find(&core->sources, 0, hash);
    if (number != UINT32_MAX) {
        core->entries[number].gate = UINT64_MAX;
    }
}

static void open_exits(struct dri_core *core)
{
    core->is_exit_due = false;
    for (uint32_t at = core->entries_gated.head, next; at != 0; at = next) {
        struct dri_entry *entry = dri_entry_at(core, at);
        const struct dri_slot *slot = source_slot_of(core, entry);
        next = entry->list_next;
        if (slot != NULL && !is_source_settled(core, entry, slot)) {
            continue;
        }
        dri_entry_unlist(core, entry);
        dri_timers_cancel(&core->timers, dri_entry_timer_id(core, dri_entry_number(core, entry)));
        entry->state = DRI_ENTRY_WAITING; /* whether it is still its turn is decided there */
        dri_park_touch(core, dri_parked_key_of(core, dri_parked_at(core, entry->key)));
    }
}

/* --- both --- */

void dri_gate_work(struct dri_core *core)
{
    if (core->is_gate_due) {
        open_gates(core);
    }
    if (core->is_exit_due) {
        open_exits(core);
    }
}

void dri_gate_due(struct dri_core *core, struct dri_flight *flight)
{
    dri_slot_say_again(core, &core->slots[flight->slot]);
    wait_for_answer(core, flight);
}

/* A letter that is stored already wants its record. */
void dri_gate_end(struct dri_core *core, struct dri_flight *flight, uint64_t *counter)
{
    if (flight->park_kind == DRI_PARK_HELD) {
        let_through(core, flight);
    } else {
        dri_slot_give_up(core, flight, counter);
    }
}
