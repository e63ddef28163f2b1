/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "keys.h"

#include "assert.h"

void dri_keys_init(struct dri_keys *keys, struct dri_key *memory, uint32_t keys_max,
                   struct dri_map_entry *entries, uint32_t entries_count)
{
    *keys = (struct dri_keys){.keys = memory, .keys_max = keys_max};
    dri_map_init(&keys->map, entries, entries_count);
}

struct dri_key *dri_keys_find(const struct dri_keys *keys, uint64_t hash)
{
    uint32_t number = dri_map_find(&keys->map, 0, hash);
    return number != UINT32_MAX ? &keys->keys[number] : NULL;
}

/* Last freed, first used: the working set stays small, and untouched memory stays untouched. */
struct dri_key *dri_keys_add(struct dri_keys *keys, uint64_t hash)
{
    uint32_t number;
    if (keys->free != 0) {
        number = keys->free - 1;
        keys->free = keys->keys[number].next;
    } else {
        DRI_ASSERT(keys->fresh < keys->keys_max);
        number = keys->fresh++;
    }
    struct dri_key *key = &keys->keys[number];
    *key = (struct dri_key){.hash = hash};
    dri_map_add(&keys->map, 0, hash, number);
    return key;
}

void dri_keys_remove(struct dri_keys *keys, struct dri_key *key)
{
    DRI_ASSERT(key->head == NULL && key->out == 0 && !key->is_ready && !key->is_held &&
               !key->is_deaf && key->parked == 0);
    dri_map_remove(&keys->map, 0, key->hash);
    key->next = keys->free;
    keys->free = dri_keys_number(keys, key) + 1;
}

uint32_t dri_keys_number(const struct dri_keys *keys, const struct dri_key *key)
{
    return (uint32_t)(key - keys->keys);
}

struct dri_key *dri_keys_at(const struct dri_keys *keys, uint32_t number)
{
    DRI_ASSERT(number < keys->fresh);
    return &keys->keys[number];
}

static void insert_after(struct dri_keys *keys, struct dri_key *key, struct dri_flight *before,
                         struct dri_flight *flight)
{
    struct dri_flight *after = before != NULL ? before->next : key->head;
    flight->prev = before;
    flight->next = after;
    if (before != NULL) {
        before->next = flight;
    } else {
        key->head = flight;
    }
    if (after != NULL) {
        after->prev = flight;
    } else {
        key->tail = flight;
    }
    key->count++;
    keys->held += key->is_held ? 1 : 0;
    keys->excess += keys->queue_max != 0 && key->count > keys->queue_max ? 1 : 0;
}

void dri_key_append(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight)
{
    insert_after(keys, key, key->tail, flight);
    flight->key_number = dri_keys_number(keys, key) + 1;
}

void dri_key_prepend(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight)
{
    DRI_ASSERT(key->out == 0);
    bool is_behind = key->head != NULL && key->head->entry != 0;
    insert_after(keys, key, is_behind ? key->head : NULL, flight);
    flight->key_number = dri_keys_number(keys, key) + 1;
}

void dri_key_put_back(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight)
{
    insert_after(keys, key, key->back_tail, flight);
    key->back_tail = flight;
    flight->key_number = dri_keys_number(keys, key) + 1;
}

void dri_key_unlink(struct dri_keys *keys, struct dri_key *key, struct dri_flight *flight)
{
    DRI_ASSERT(key->count > 0 && flight->key_number != 0);
    if (key->back_tail == flight) {
        key->back_tail = flight->prev;
    }
    if (flight->prev != NULL) {
        flight->prev->next = flight->next;
    } else {
        key->head = flight->next;
    }
    if (flight->next != NULL) {
        flight->next->prev = flight->prev;
    } else {
        key->tail = flight->prev;
    }
    flight->next = NULL;
    flight->prev = NULL;
    flight->key_number = 0;
    keys->excess -= keys->queue_max != 0 && key->count > keys->queue_max ? 1 : 0;
    key->count--;
    keys->held -= key->is_held ? 1 : 0;
}

void dri_key_hold(struct dri_keys *keys, struct dri_key *key, bool is_held)
{
    if (key->is_held != is_held) {
        key->is_held = is_held;
        keys->held = is_held ? keys->held + key->count : keys->held - key->count;
    }
}
