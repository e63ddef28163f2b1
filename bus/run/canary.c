/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* canary.c - trials under one lock, which only calls of routes on trial take.
 *
 * A lane looks first, without the lock, whether the route is one of those on trial: nearly all
 * calls are of others. What it reads may be a moment old; a call more or less at an end of a trial
 * changes nothing that the test promises. A verdict is told once: its slot is closed when the
 * control thread takes it, and stays so until the routes are others.
 */
#include "canary.h"

#include <stdatomic.h>
#include <string.h>

#include "assert.h"
#include "lock.h"
#include "mem.h"

struct slot {
    struct dri_canary_pair pair;
    struct dri_trial trial;
    bool is_taken; /* its verdict */
};

struct dri_canary {
    struct dri_wake wake;
    _Atomic(size_t) count;    /* of slots; guard: lock, but read without it */
    _Atomic(size_t) verdicts; /* that wait; likewise */
    /* Of the slots' pairs, guarded and read likewise, so that other routes' calls take no lock. */
    _Atomic(uint64_t) ids[2 * DRI_CANARY_TRIALS_MAX];
    struct dri_lock lock;
    struct slot slots[DRI_CANARY_TRIALS_MAX]; /* guard: lock */
};

enum dray_status dri_canary_create(struct dri_canary **ret_canary)
{
    struct dri_canary *canary = dri_zalloc(sizeof(*canary));
    if (canary == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = dri_wake_init(&canary->wake);
    if (status != DRAY_OK) {
        dri_free(canary);
        return status;
    }
    dri_lock_init(&canary->lock, DRI_LOCK_CANARY);
    *ret_canary = canary;
    return DRAY_OK;
}

void dri_canary_destroy(struct dri_canary *canary)
{
    if (canary != NULL) {
        dri_lock_fini(&canary->lock);
        dri_wake_fini(&canary->wake);
        dri_free(canary);
    }
}

struct dri_wake *dri_canary_wake(struct dri_canary *canary)
{
    return &canary->wake;
}

bool dri_canary_has_verdict(const struct dri_canary *canary)
{
    return atomic_load(&canary->verdicts) > 0;
}

/* Relaxed: a call more or less at the beginning of a trial is no matter. */
static bool is_on_trial(const struct dri_canary *canary, uint64_t id)
{
    size_t count = atomic_load_explicit(&canary->count, memory_order_relaxed);
    for (size_t i = 0; i < 2 * count; i++) {
        if (atomic_load_explicit(&canary->ids[i], memory_order_relaxed) == id) {
            return true;
        }
    }
    return false;
}

void dri_canary_note(struct dri_canary *canary, uint64_t id, bool is_error, uint64_t took_ns)
{
    bool is_news = false;
    if (canary == NULL || !is_on_trial(canary, id)) {
        return;
    }
    dri_lock_take(&canary->lock);
    for (size_t i = 0; i < atomic_load(&canary->count); i++) {
        struct slot *slot = &canary->slots[i];
        bool is_canary = slot->pair.canary == id;
        if ((!is_canary && slot->pair.stable != id) || slot->trial.verdict != DRI_TRIAL_OPEN) {
            continue;
        }
        if (dri_trial_add(&slot->trial, is_canary, is_error, took_ns) != DRI_TRIAL_OPEN) {
            atomic_fetch_add(&canary->verdicts, 1);
            is_news = true;
        }
    }
    dri_lock_drop(&canary->lock);
    if (is_news) {
        dri_wake_notify(&canary->wake);
    }
}

static bool is_same(const struct dri_canary_pair *one, const struct dri_canary_pair *other)
{
    return one->canary == other->canary && one->stable == other->stable;
}

/* Requires: lock is held. */
static void fill(const struct dri_canary *canary, const struct dri_canary_pair *pair,
                 struct slot *ret_slot)
{
    ret_slot->pair = *pair;
    dri_trial_init(&ret_slot->trial, &pair->rules);
    ret_slot->is_taken = false;
    for (size_t i = 0; i < atomic_load(&canary->count); i++) {
        if (is_same(&canary->slots[i].pair, pair)) {
            *ret_slot = canary->slots[i];
        }
    }
}

void dri_canary_set(struct dri_canary *canary, const struct dri_canary_pair *pairs, size_t count)
{
    struct slot slots[DRI_CANARY_TRIALS_MAX];
    size_t verdicts = 0;
    DRI_ASSERT(count <= DRI_CANARY_TRIALS_MAX);
    dri_lock_take(&canary->lock);
    for (size_t i = 0; i < count; i++) {
        fill(canary, &pairs[i], &slots[i]);
        atomic_store(&canary->ids[2 * i], pairs[i].canary);
        atomic_store(&canary->ids[2 * i + 1], pairs[i].stable);
        verdicts += slots[i].trial.verdict != DRI_TRIAL_OPEN && !slots[i].is_taken;
    }
    memcpy(canary->slots, slots, count * sizeof(slots[0]));
    atomic_store(&canary->count, count);
    atomic_store(&canary->verdicts, verdicts);
    dri_lock_drop(&canary->lock);
}

bool dri_canary_take(struct dri_canary *canary, struct dri_canary_pair *ret_pair,
                     struct dri_trial *ret_trial)
{
    bool is_found = false;
    if (!dri_canary_has_verdict(canary)) {
        return false;
    }
    dri_lock_take(&canary->lock);
    for (size_t i = 0; i < atomic_load(&canary->count) && !is_found; i++) {
        struct slot *slot = &canary->slots[i];
        if (slot->trial.verdict != DRI_TRIAL_OPEN && !slot->is_taken) {
            slot->is_taken = true;
            *ret_pair = slot->pair;
            *ret_trial = slot->trial;
            atomic_fetch_sub(&canary->verdicts, 1);
            is_found = true;
        }
    }
    dri_lock_drop(&canary->lock);
    return is_found;
}
