/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* schedules.c - a sorted array of references, replaced as a whole by each change that is accepted.
 *
 * Schedules are few and change by hand, so nothing here is made for speed: a change copies the
 * array of pointers, works on the copy, and swaps the two when every item was good.
 *
 * A schedule that is changed or removed may have sent commands ahead (firing.c). Nobody needs to
 * know which: their ids follow from group, name, revision and tick, so every replica works out the
 * ids of all ticks that could have been sent and counts them as cancelled. That is at most one id a
 * second for as long as a command may be ahead, and some more for clocks that differ.
 */
#include "schedules.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "lock.h"
#include "log.h"
#include "mem.h"
#include "scanner.h"

#define SKEW_MS      60000u             /* between the clocks of who fires and who changes */
#define REMEMBER_MS  UINT64_C(86400000) /* an id, after its tick */
#define ELEMENTS_MAX 1000000u

static const struct dri_wire_limits map_limits = {
    .message_bytes = UINT32_MAX, .depth = 16, .elements = ELEMENTS_MAX};

struct held {
    struct dri_schedule schedule; /* first: a pointer to it is a pointer to this */
    _Atomic(uint32_t) refs;
    uint8_t bytes[];
};

struct dri_schedules {
    const char *group;
    struct dri_cancelled *cancelled;
    struct dri_lock lock;
    struct held **list; /* owned, each held; by key; guard: lock */
    size_t count;       /* guard: lock */
    uint64_t revision;  /* last one seen; the applying thread's */
    _Atomic(uint64_t) version;
};

/* ---- references ---- */

static void release(struct held *held)
{
    if (held != NULL && atomic_fetch_sub(&held->refs, 1) == 1) {
        dri_free(held);
    }
}

static void release_all(struct held **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        release(list[i]);
    }
    dri_free(list);
}

static enum dray_status held_make(const struct dri_schedule_item *item, uint64_t revision,
                                  uint64_t since_ms, struct held **ret_held,
                                  struct dri_wire_error *ret_error)
{
    struct held *held = dri_zalloc(sizeof(*held) + item->schedule.len);
    if (held == NULL) {
        return DRAY_ENOMEM;
    }
    struct dri_schedule *schedule = &held->schedule;
    struct dri_cron_error error;
    atomic_store(&held->refs, 1);
    memcpy(schedule->key, item->key.at, item->key.len);
    memcpy(held->bytes, item->schedule.at, item->schedule.len);
    schedule->bytes = held->bytes;
    schedule->bytes_len = item->schedule.len;
    schedule->revision = revision;
    schedule->since_ms = since_ms;
    enum dray_status status = dri_schedule_decode(dray_slice_of(held->bytes, item->schedule.len),
                                                  &map_limits, &schedule->view, ret_error);
    if (status == DRAY_OK) {
        status = dri_cron_parse((const char *)schedule->view.cron.at, schedule->view.cron.len,
                                &schedule->cron, &error);
    }
    if (status != DRAY_OK) {
        dri_free(held);
        return status;
    }
    *ret_held = held;
    return DRAY_OK;
}

/* ---- life ---- */

enum dray_status dri_schedules_create(const char *group, struct dri_cancelled *cancelled,
                                      struct dri_schedules **ret_schedules)
{
    struct dri_schedules *schedules = dri_zalloc(sizeof(*schedules));
    if (schedules == NULL) {
        return DRAY_ENOMEM;
    }
    schedules->group = group;
    schedules->cancelled = cancelled;
    dri_lock_init(&schedules->lock, DRI_LOCK_SCHEDULES);
    *ret_schedules = schedules;
    return DRAY_OK;
}

void dri_schedules_destroy(struct dri_schedules *schedules)
{
    if (schedules == NULL) {
        return;
    }
    release_all(schedules->list, schedules->count);
    dri_lock_fini(&schedules->lock);
    dri_free(schedules);
}

/* ---- a change ---- */

/* What a change works on until it is accepted. */
struct draft {
    struct held **list; /* owned; each held */
    size_t count;
    struct held **gone; /* owned, borrows the old list: replaced or removed */
    size_t gone_count;
    struct dray_slice *named; /* owned, borrows the change: the keys of its items so far */
    size_t named_count;
};

/* Whether the change has named the key before; from now on it has. A removal leaves no trace in the
 * list, so that a key that is removed and put again is seen here only. */
static bool is_named(struct draft *draft, struct dray_slice key)
{
    for (size_t i = 0; i < draft->named_count; i++) {
        if (dray_slice_equal(draft->named[i], key)) {
            return true;
        }
    }
    draft->named[draft->named_count++] = key;
    return false;
}

/* Where the key is, or belongs. */
static size_t place_of(const struct draft *draft, struct dray_slice key, bool *ret_found)
{
    size_t at = 0;
    int order = 1;
    while (at < draft->count) {
        const char *there = draft->list[at]->schedule.key;
        size_t len = strlen(there);
        order = memcmp(there, key.at, len < key.len ? len : key.len);
        order = order != 0 ? order : (len > key.len) - (len < key.len);
        if (order >= 0) {
            break;
        }
        at++;
    }
    *ret_found = at < draft->count && order == 0;
    return at;
}

static void draft_put(struct draft *draft, size_t at, bool is_there, struct held *held)
{
    if (is_there) {
        draft->gone[draft->gone_count++] = draft->list[at];
        draft->list[at] = held;
        return;
    }
    memmove(&draft->list[at + 1], &draft->list[at], (draft->count - at) * sizeof(*draft->list));
    draft->list[at] = held;
    draft->count++;
}

static void draft_remove(struct draft *draft, size_t at)
{
    draft->gone[draft->gone_count++] = draft->list[at];
    draft->count--;
    memmove(&draft->list[at], &draft->list[at + 1], (draft->count - at) * sizeof(*draft->list));
}

static enum dray_status draft_item(struct draft *draft, uint64_t revision, uint64_t since_ms,
                                   const struct dri_schedule_item *item,
                                   struct dri_registry_conflict *ret_conflict,
                                   struct dri_wire_error *ret_error)
{
    bool is_there = false;
    struct held *held = NULL;
    size_t at = place_of(draft, item->key, &is_there);
    uint64_t present = is_there ? draft->list[at]->schedule.revision : 0;
    if (is_named(draft, item->key)) {
        *ret_error = (struct dri_wire_error){.field = "items", .text = "has a key twice"};
        return DRAY_EINVALID;
    }
    if (present != item->base) {
        *ret_conflict = (struct dri_registry_conflict){.base = item->base, .present = present};
        snprintf(ret_conflict->key, sizeof(ret_conflict->key), "%.*s", (int)item->key.len,
                 (const char *)item->key.at);
        return DRAY_ECONFLICT;
    }
    if (dray_slice_is_absent(item->schedule)) {
        if (is_there) {
            draft_remove(draft, at);
        }
        return DRAY_OK;
    }
    enum dray_status status = held_make(item, revision, since_ms, &held, ret_error);
    if (status == DRAY_OK) {
        draft_put(draft, at, is_there, held);
    }
    return status;
}

static enum dray_status draft_make(const struct dri_schedules *schedules, size_t items,
                                   struct draft *ret_draft)
{
    struct draft draft = {.count = schedules->count};
    draft.list = dri_zalloc_array(schedules->count + items + 1, sizeof(struct held *));
    draft.gone = dri_zalloc_array(schedules->count + items + 1, sizeof(struct held *));
    draft.named = dri_zalloc_array(items + 1, sizeof(*draft.named));
    if (draft.list == NULL || draft.gone == NULL || draft.named == NULL) {
        dri_free(draft.list);
        dri_free(draft.gone);
        dri_free(draft.named);
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < schedules->count; i++) {
        draft.list[i] = schedules->list[i];
        atomic_fetch_add(&draft.list[i]->refs, 1);
    }
    *ret_draft = draft;
    return DRAY_OK;
}

/* Ticks up to changed_ms have run or are about to; those after it are the change's to decide. */
static void cancel_ahead(const struct dri_schedules *schedules, const struct dri_schedule *gone,
                         uint64_t changed_ms, uint64_t now_ms)
{
    uint64_t end_ms = changed_ms + DRI_FIRE_AHEAD_MAX_MS + SKEW_MS;
    uint64_t until_ms = end_ms + REMEMBER_MS;
    bool is_ours = schedules->cancelled != NULL &&
                   dri_schedule_key_is_of(dray_slice_text(gone->key), schedules->group);
    if (!is_ours || until_ms < now_ms) {
        return;
    }
    uint64_t tick_ms = dri_cron_next(&gone->cron, changed_ms);
    size_t forgotten = 0;
    while (tick_ms != 0 && tick_ms <= end_ms) {
        uint8_t id[16];
        dri_schedule_id(dray_slice_text(gone->key), gone->revision, tick_ms, id);
        forgotten +=
            dri_cancelled_add(schedules->cancelled, dray_slice_of(id, sizeof(id)), true, until_ms);
        tick_ms = dri_cron_next(&gone->cron, tick_ms);
    }
    if (forgotten > 0) {
        DRI_LOG(DRI_LOG_WARN, "SCH-CANCELLED",
                "more commands are cancelled than are remembered; the oldest were forgotten",
                DRI_TEXT("schedule", gone->key), DRI_UINT("forgotten", forgotten));
    }
}

static void accept(struct dri_schedules *schedules, struct draft *draft, uint64_t changed_ms,
                   uint64_t now_ms)
{
    for (size_t i = 0; i < draft->gone_count; i++) {
        cancel_ahead(schedules, &draft->gone[i]->schedule, changed_ms, now_ms);
    }
    dri_lock_take(&schedules->lock);
    struct held **old = schedules->list;
    size_t old_count = schedules->count;
    schedules->list = draft->list;
    schedules->count = draft->count;
    dri_lock_drop(&schedules->lock);
    atomic_fetch_add(&schedules->version, 1);
    release_all(old, old_count);
    release_all(draft->gone, draft->gone_count); /* of the draft's own references */
    dri_free(draft->named);
}

static void draft_drop(struct draft *draft)
{
    release_all(draft->list, draft->count);
    release_all(draft->gone, draft->gone_count);
    dri_free(draft->named);
}

enum dray_status dri_schedules_apply(struct dri_schedules *schedules, uint64_t revision,
                                     const struct dri_change *change, uint64_t now_ms,
                                     struct dri_schedules_fault *ret_fault)
{
    struct draft draft;
    struct dri_schedule_item item;
    struct dri_wire_error error = {.field = "", .text = "is invalid"};
    size_t at = 0;
    if (revision <= schedules->revision) {
        return DRAY_OK;
    }
    if (change->ts_ms == 0) { /* nobody could say which ticks are its */
        schedules->revision = revision;
        snprintf(ret_fault->text, sizeof(ret_fault->text), "ts is missing");
        return DRAY_EINVALID;
    }
    enum dray_status status = draft_make(schedules, change->items_count, &draft);
    if (status != DRAY_OK) {
        return status;
    }
    while (status == DRAY_OK && dri_schedule_next(change, &at, &item)) {
        status = draft_item(&draft, revision, change->ts_ms, &item, &ret_fault->conflict, &error);
    }
    if (status != DRAY_ENOMEM) {
        schedules->revision = revision;
    }
    if (status == DRAY_OK) {
        accept(schedules, &draft, change->ts_ms, now_ms);
        return DRAY_OK;
    }
    if (status == DRAY_EINVALID || status == DRAY_ELIMIT) {
        snprintf(ret_fault->text, sizeof(ret_fault->text), "%s %s", error.field, error.text);
    }
    draft_drop(&draft);
    return status;
}

/* ---- reading ---- */

uint64_t dri_schedules_version(const struct dri_schedules *schedules)
{
    return atomic_load(&schedules->version);
}

enum dray_status dri_schedules_hold(struct dri_schedules *schedules, const char *group,
                                    struct dri_schedule ***ret_list, size_t *ret_count)
{
    size_t count = 0;
    enum dray_status status = DRAY_OK;
    dri_lock_take(&schedules->lock);
    struct dri_schedule **list =
        dri_zalloc_array(schedules->count + 1, sizeof(struct dri_schedule *));
    if (list == NULL) {
        status = DRAY_ENOMEM;
    }
    for (size_t i = 0; status == DRAY_OK && i < schedules->count; i++) {
        struct held *held = schedules->list[i];
        if (group == NULL || dri_schedule_key_is_of(dray_slice_text(held->schedule.key), group)) {
            atomic_fetch_add(&held->refs, 1);
            list[count++] = &held->schedule;
        }
    }
    dri_lock_drop(&schedules->lock);
    if (status == DRAY_OK) {
        *ret_list = list;
        *ret_count = count;
    }
    return status;
}

void dri_schedules_let_go(struct dri_schedule **list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++) {
        release((struct held *)(void *)list[i]);
    }
    dri_free(list);
}
