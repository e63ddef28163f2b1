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
 * Who settles each delivery by itself has no answers to wait for, and no gate.
 */

#define ANSWER_MS 2000u /* until a settle is said once more */

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

void dri_gate_work(struct dri_core *core)
{
    if (!core->is_gate_due) {
        return;
    }
    core->is_gate_due = false;
    for (struct dri_flight *flight = core->gated, *next; flight != NULL; flight = next) {
        next = flight->next;
        if (is_open(core, flight)) {
            let_through(core, flight);
        }
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
