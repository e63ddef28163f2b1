/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "entries.h"

#include "assert.h"

/* The nouns of park.c: entries in slabs, queues and lists. What is decided about them is decided
 * there.
 *
 * A dead entry is free again when nothing names it any more: no flight that came out of it, no
 * letter of its unit, no action in the queue; the last of these is the one by which the shell
 * forgets its bytes.
 */

uint32_t dri_entry_timer_id(const struct dri_core *core, uint32_t entry)
{
    return dri_drain_timer_id(core) + 1 + core->config.groups_max + 1 + entry;
}

/* --- keys of which something is parked --- */

void dri_park_touch(struct dri_core *core, const struct dri_key *key)
{
    struct dri_parked_key *parked = dri_parked_at(core, key->parked);
    if (parked != NULL && !parked->is_touched) {
        parked->is_touched = true;
        parked->touched_next = core->touched;
        core->touched = dri_parked_number(core, parked) + 1;
    }
}

/* From now on its live flights do not run. */
struct dri_parked_key *dri_parked_add(struct dri_core *core, uint64_t hash)
{
    struct dri_key *key = dri_lanes_key(core, hash);
    DRI_ASSERT(key != NULL && core->parked_keys != NULL);
    struct dri_parked_key *parked = dri_parked_at(core, key->parked);
    if (parked != NULL) {
        return parked;
    }
    uint32_t number = core->parked_keys_free - 1;
    if (core->parked_keys_free != 0) {
        core->parked_keys_free = core->parked_keys[number].touched_next;
    } else {
        DRI_ASSERT(core->parked_keys_fresh < core->parked_keys_max);
        number = core->parked_keys_fresh++;
    }
    parked = &core->parked_keys[number];
    *parked = (struct dri_parked_key){.key = dri_keys_number(&core->keys, key), .has_gate = true};
    core->parked_keys_used++;
    key->parked = number + 1;
    dri_lanes_update_key(core, key);
    return parked;
}

void dri_parked_remove(struct dri_core *core, struct dri_parked_key *parked)
{
    struct dri_key *key = dri_parked_key_of(core, parked);
    DRI_ASSERT(!parked->is_touched && !parked->is_unread);
    key->parked = 0;
    parked->touched_next = core->parked_keys_free;
    core->parked_keys_free = dri_parked_number(core, parked) + 1;
    core->parked_keys_used--;
    dri_lanes_update_key(core, key);
}

/* --- copies that were not read back yet --- */

void dri_unread_link(struct dri_core *core, struct dri_parked_key *parked)
{
    uint32_t number = dri_parked_number(core, parked) + 1;
    if (parked->is_unread) {
        return;
    }
    parked->is_unread = true;
    core->unread_count++;
    parked->unread_prev = 0;
    parked->unread_next = core->unread;
    if (core->unread != 0) {
        dri_parked_at(core, core->unread)->unread_prev = number;
    }
    core->unread = number;
}

/* Out of the list when nothing of it is waited for any more. */
void dri_unread_update(struct dri_core *core, struct dri_parked_key *parked)
{
    if (!parked->is_unread || parked->live.to != 0 || parked->rewrite.to != 0) {
        return;
    }
    if (parked->unread_prev != 0) {
        dri_parked_at(core, parked->unread_prev)->unread_next = parked->unread_next;
    } else {
        core->unread = parked->unread_next;
    }
    if (parked->unread_next != 0) {
        dri_parked_at(core, parked->unread_next)->unread_prev = parked->unread_prev;
    }
    parked->is_unread = false;
    core->unread_count--;
    dri_park_touch(core, dri_parked_key_of(core, parked));
}

bool dri_unread_was_read(const struct dri_core *core, const struct dri_unread *unread)
{
    const struct dri_tracker *tracker = &core->slots[unread->slot].tracker;
    return unread->to != 0 && unread->to != UINT64_MAX && tracker->received > 0 &&
           tracker->next_offset >= unread->to;
}

void dri_unread_sweep(struct dri_core *core)
{
    for (uint32_t at = core->unread, next; at != 0; at = next) {
        struct dri_parked_key *parked = dri_parked_at(core, at);
        next = parked->unread_next;
        parked->live.to = dri_unread_was_read(core, &parked->live) ? 0 : parked->live.to;
        parked->rewrite.to = dri_unread_was_read(core, &parked->rewrite) ? 0 : parked->rewrite.to;
        dri_unread_update(core, parked);
    }
}

void dri_unread_slot_ends(struct dri_core *core, uint32_t slot)
{
    for (uint32_t at = core->unread, next; at != 0; at = next) {
        struct dri_parked_key *parked = dri_parked_at(core, at);
        next = parked->unread_next;
        parked->live.to = parked->live.slot == slot ? 0 : parked->live.to;
        parked->rewrite.to = parked->rewrite.slot == slot ? 0 : parked->rewrite.to;
        dri_unread_update(core, parked);
    }
}

/* This very record was read: nobody knew where it was. */
void dri_unread_found(struct dri_core *core, struct dri_parked_key *parked, uint64_t source_hash)
{
    struct dri_unread *unreads[] = {&parked->live, &parked->rewrite};
    for (int i = 0; i < 2; i++) {
        if (unreads[i]->to == UINT64_MAX && unreads[i]->source_hash == source_hash) {
            unreads[i]->to = 0;
        }
    }
    dri_unread_update(core, parked);
}

/* --- entries --- */

struct dri_entry *dri_entry_add(struct dri_core *core)
{
    uint32_t number = core->entries_free - 1;
    if (core->entries_free != 0) {
        core->entries_free = core->entries[number].next;
    } else {
        DRI_ASSERT(core->entries_fresh < core->entries_max); /* dri_core_park_room */
        number = core->entries_fresh++;
    }
    struct dri_entry *entry = &core->entries[number];
    core->entries_taken++;
    *entry = (struct dri_entry){.state = DRI_ENTRY_DEAD};
    return entry;
}

void dri_entry_push(struct dri_core *core, struct dri_entry *entry, enum dri_core_action_type type,
                    uint8_t bit)
{
    DRI_ASSERT((entry->queued & bit) == 0);
    entry->queued |= bit;
    dri_push(core, type, dri_entry_number(core, entry), bit, 1);
}

/* When nothing names it any more. */
void dri_entry_try_free(struct dri_core *core, struct dri_entry *entry)
{
    if (entry->state != DRI_ENTRY_DEAD || entry->flight != 0 || entry->users != 0 ||
        entry->queued != 0) {
        return;
    }
    if (entry->place != 0) {
        dri_entry_push(core, entry, DRI_CA_FORGET, DRI_ENTRY_FORGET);
        return;
    }
    entry->state = DRI_ENTRY_FREE;
    core->entries_taken--;
    entry->next = core->entries_free;
    core->entries_free = dri_entry_number(core, entry) + 1;
}

static struct dri_entry_list *list_of(struct dri_core *core, const struct dri_entry *entry)
{
    return entry->state == DRI_ENTRY_READY ? &core->entries_ready : &core->entries_gated;
}

void dri_entry_list(struct dri_core *core, struct dri_entry *entry, enum dri_entry_state state)
{
    uint32_t number = dri_entry_number(core, entry) + 1;
    entry->state = (uint8_t)state;
    struct dri_entry_list *list = list_of(core, entry);
    entry->list_next = 0;
    entry->list_prev = list->tail;
    if (list->tail != 0) {
        dri_entry_at(core, list->tail)->list_next = number;
    } else {
        list->head = number;
    }
    list->tail = number;
}

void dri_entry_unlist(struct dri_core *core, struct dri_entry *entry)
{
    struct dri_entry_list *list = list_of(core, entry);
    if (entry->list_prev != 0) {
        dri_entry_at(core, entry->list_prev)->list_next = entry->list_next;
    } else {
        list->head = entry->list_next;
    }
    if (entry->list_next != 0) {
        dri_entry_at(core, entry->list_next)->list_prev = entry->list_prev;
    } else {
        list->tail = entry->list_prev;
    }
    entry->list_next = 0;
    entry->list_prev = 0;
}

/* Into its key's queue. Orders of different logs say nothing about each other. Nearly always it is
 * the last; what was stored anew is mostly the first. */
void dri_entry_insert(struct dri_core *core, struct dri_parked_key *parked, struct dri_entry *entry)
{
    uint32_t number = dri_entry_number(core, entry) + 1;
    struct dri_entry *after = NULL; /* it comes before this one */
    struct dri_entry *head = dri_entry_at(core, parked->head);
    if (head != NULL && head->slot == entry->slot && head->order > entry->order) {
        after = head;
    } else {
        for (struct dri_entry *at = dri_entry_at(core, parked->tail);
             at != NULL && (at->slot != entry->slot || at->order > entry->order);
             at = dri_entry_at(core, at->prev)) {
            after = at->slot == entry->slot ? at : after;
        }
    }
    entry->key = dri_parked_number(core, parked) + 1;
    entry->next = after != NULL ? dri_entry_number(core, after) + 1 : 0;
    entry->prev = after != NULL ? after->prev : parked->tail;
    if (entry->prev != 0) {
        dri_entry_at(core, entry->prev)->next = number;
    } else {
        parked->head = number;
    }
    if (after != NULL) {
        after->prev = number;
    } else {
        parked->tail = number;
    }
}

static void entry_unlink(struct dri_core *core, struct dri_entry *entry)
{
    struct dri_parked_key *parked = dri_parked_at(core, entry->key);
    if (parked == NULL) {
        return;
    }
    if (entry->prev != 0) {
        dri_entry_at(core, entry->prev)->next = entry->next;
    } else {
        parked->head = entry->next;
    }
    if (entry->next != 0) {
        dri_entry_at(core, entry->next)->prev = entry->prev;
    } else {
        parked->tail = entry->prev;
    }
    entry->key = 0;
    entry->next = 0;
    entry->prev = 0;
    dri_park_touch(core, dri_parked_key_of(core, parked));
}

static void entry_die(struct dri_core *core, struct dri_entry *entry)
{
    uint32_t number = dri_entry_number(core, entry);
    if (entry->state == DRI_ENTRY_READY || entry->state == DRI_ENTRY_GATED) {
        dri_entry_unlist(core, entry);
    }
    if (entry->state == DRI_ENTRY_WAITING || entry->state == DRI_ENTRY_GATED) {
        dri_timers_cancel(&core->timers, dri_entry_timer_id(core, number));
    }
    if (entry->source_hash != 0 && dri_map_find(&core->sources, 0, entry->source_hash) == number) {
        dri_map_remove(&core->sources, 0, entry->source_hash);
    }
    entry_unlink(core, entry);
    core->entries_used--;
    core->entries_stopped -= dri_entry_is_stopper(entry->kind) ? 1 : 0;
    entry->state = DRI_ENTRY_DEAD;
    dri_entry_try_free(core, entry);
}

void dri_entry_finish(struct dri_core *core, struct dri_entry *entry)
{
    struct dri_slot *slot = &core->slots[entry->slot];
    (void)dri_tracker_finish(&slot->tracker, core->flights_max + dri_entry_number(core, entry));
    if (slot->is_watermark) {
        dri_slot_arm(core, slot);
    } else {
        dri_entry_push(core, entry, DRI_CA_SETTLE, DRI_ENTRY_SETTLE);
    }
    entry_die(core, entry);
    dri_slot_try_end(core, slot);
}

void dri_entry_give_up(struct dri_core *core, struct dri_entry *entry)
{
    struct dri_slot *slot = &core->slots[entry->slot];
    dri_tracker_give_up(&slot->tracker, core->flights_max + dri_entry_number(core, entry));
    if (slot->is_watermark) {
        dri_claims_give_up(slot->claims, entry->offset);
    }
    entry_die(core, entry);
}

bool dri_entry_read(struct dri_core *core, uint32_t number, uint8_t bit,
                    struct dri_core_action *ret_action)
{
    struct dri_entry *entry = &core->entries[number];
    bool is_wanted = true;
    entry->queued = (uint8_t)(entry->queued & ~bit);
    ret_action->slot = entry->slot;
    ret_action->epoch = entry->epoch;
    if (bit == DRI_ENTRY_SETTLE) {
        ret_action->as.settle.position = entry->offset;
        ret_action->as.settle.delivery = entry->offset;
        ret_action->as.settle.metadata = dray_slice_of(NULL, 0);
        ret_action->as.settle.is_watermark = false;
        ret_action->as.settle.is_final = false;
    } else {
        ret_action->as.parked.offset = entry->offset;
        ret_action->as.parked.place = entry->place;
        ret_action->as.parked.entry = number;
    }
    if (bit == DRI_ENTRY_FORGET) {
        entry->place = 0;
    } else if (bit == DRI_ENTRY_UNPARK) {
        is_wanted = entry->state == DRI_ENTRY_ASKED;
        core->unparked -= is_wanted ? 0 : 1;
    }
    dri_entry_try_free(core, entry);
    return is_wanted;
}
