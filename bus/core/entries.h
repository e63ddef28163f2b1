/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ENTRIES_H
#define DRI_ENTRIES_H

#include "machine.h"

/* entries.h - what park.c decides about: entries, keys of which something is parked, and copies
 * that were not read back yet. Numbers in links are plus 1; 0 is none. */

static inline struct dri_parked_key *dri_parked_at(const struct dri_core *core,
                                                   uint32_t number_plus_1)
{
    return number_plus_1 != 0 ? &core->parked_keys[number_plus_1 - 1] : NULL;
}

static inline struct dri_entry *dri_entry_at(const struct dri_core *core, uint32_t number_plus_1)
{
    return number_plus_1 != 0 ? &core->entries[number_plus_1 - 1] : NULL;
}

static inline uint32_t dri_entry_number(const struct dri_core *core, const struct dri_entry *entry)
{
    return (uint32_t)(entry - core->entries);
}

static inline uint32_t dri_parked_number(const struct dri_core *core,
                                         const struct dri_parked_key *parked)
{
    return (uint32_t)(parked - core->parked_keys);
}

static inline struct dri_key *dri_parked_key_of(const struct dri_core *core,
                                                const struct dri_parked_key *parked)
{
    return dri_keys_at(&core->keys, parked->key);
}

static inline bool dri_park_is_open(const struct dri_slot *slot)
{
    return slot->is_assigned && slot->is_park && !slot->is_revoking;
}

static inline bool dri_entry_is_stopper(uint8_t kind)
{
    return kind == DRI_PARK_STOPPED || kind == DRI_PARK_HELD;
}

/** From now on the live flights of this key do not run. */
struct dri_parked_key *dri_parked_add(struct dri_core *core, uint64_t hash);
/** Requires: nothing of it is parked, waited for or touched. */
void dri_parked_remove(struct dri_core *core, struct dri_parked_key *parked);

/** Into the list of keys with a copy that was not read back. */
void dri_unread_link(struct dri_core *core, struct dri_parked_key *parked);
/** Out of the list when nothing of it is waited for any more. */
void dri_unread_update(struct dri_core *core, struct dri_parked_key *parked);
bool dri_unread_was_read(const struct dri_core *core, const struct dri_unread *unread);
/** Logs were read on. */
void dri_unread_sweep(struct dri_core *core);
void dri_unread_slot_ends(struct dri_core *core, uint32_t slot);
/** This very record was read: nobody knew where it was. */
void dri_unread_found(struct dri_core *core, struct dri_parked_key *parked, uint64_t source_hash);

/** A DEAD one, to be filled. Requires: dri_core_park_room. */
struct dri_entry *dri_entry_add(struct dri_core *core);
void dri_entry_push(struct dri_core *core, struct dri_entry *entry, enum dri_core_action_type type,
                    uint8_t bit);
/** When it is DEAD and nothing names it any more. */
void dri_entry_try_free(struct dri_core *core, struct dri_entry *entry);
/** Into its key's queue. */
void dri_entry_insert(struct dri_core *core, struct dri_parked_key *parked,
                      struct dri_entry *entry);
/** Into the list of its new state, READY or GATED, and out of it. */
void dri_entry_list(struct dri_core *core, struct dri_entry *entry, enum dri_entry_state state);
void dri_entry_unlist(struct dri_core *core, struct dri_entry *entry);

#endif
