/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* firing.c - ticks into commands, each once.
 *
 * Each schedule has a position in time: what is up to it is decided. It begins at the last tick
 * that was fired of this revision, or, when there is none, at the moment the schedule was put.
 * Ticks after it are fired in order, each `ahead` before its time, as commands that are not to run
 * before; so a tick is on its way long before anybody could be late for it, and that it begins in
 * its millisecond is the engine's part (core/early.c).
 *
 * A tick that lies back by more than a moment was missed: nobody fired for longer than `ahead`.
 * What becomes of it is the schedule's rule. The last missed tick is found by halves
 * (dri_cron_last), never by walking: a schedule for each second that was away for a year would have
 * 31 million.
 *
 * Positions advance when a shot is given out, not when it is stored. Whoever cannot store it resets
 * all of them and tells anew what was fired: one way back, for every failure.
 *
 * A position that lies further ahead than any command is ever sent was written by a clock that was
 * wrong. It is not believed, or nothing would be fired until then.
 */
#include "firing.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "envelope.h"
#include "headers.h"
#include "mem.h"

#define LATE_MS    5000u    /* younger ones are not missed: the change itself was on its way */
#define FUTURE_MS  3600000u /* no position is so far ahead */
#define COUNT_MAX  10000u   /* missed ticks are counted so far */
#define TEXT_BYTES 256u

/* What was fired last of a key, whether there is such a schedule or not. */
struct known {
    char *key; /* owned */
    uint64_t revision, tick_ms;
};

struct item {
    struct dri_schedule *schedule;
    uint64_t position_ms;
    uint64_t next_ms;       /* its tick after the position; 0: none */
    uint64_t late_until_ms; /* ticks up to this one are being made up for */
    uint64_t counted_ms;    /* missed ticks up to here are counted, whatever is reset */
    bool is_refused;
};

struct dri_firing {
    uint64_t ahead_ms;
    struct dri_schedule **list; /* owned, held */
    struct item *items;         /* owned; as list */
    size_t count;
    struct known *knowns; /* owned */
    size_t knowns_count, knowns_capacity;
    struct dri_firing_stats stats;
};

enum dray_status dri_firing_create(uint64_t ahead_ms, struct dri_firing **ret_firing)
{
    struct dri_firing *firing = dri_zalloc(sizeof(*firing));
    if (firing == NULL) {
        return DRAY_ENOMEM;
    }
    firing->ahead_ms = ahead_ms < DRI_FIRE_AHEAD_MAX_MS ? ahead_ms : DRI_FIRE_AHEAD_MAX_MS;
    *ret_firing = firing;
    return DRAY_OK;
}

static void forget_items(struct dri_firing *firing)
{
    dri_schedules_let_go(firing->list, firing->count);
    dri_free(firing->items);
    firing->list = NULL;
    firing->items = NULL;
    firing->count = 0;
}

static void forget_knowns(struct dri_firing *firing)
{
    for (size_t i = 0; i < firing->knowns_count; i++) {
        dri_free(firing->knowns[i].key);
    }
    firing->knowns_count = 0;
}

void dri_firing_destroy(struct dri_firing *firing)
{
    if (firing == NULL) {
        return;
    }
    forget_items(firing);
    forget_knowns(firing);
    dri_free(firing->knowns);
    dri_free(firing);
}

/* ---- positions ---- */

static struct known *known_of(const struct dri_firing *firing, struct dray_slice key)
{
    for (size_t i = 0; i < firing->knowns_count; i++) {
        if (dray_slice_equal_text(key, firing->knowns[i].key)) {
            return &firing->knowns[i];
        }
    }
    return NULL;
}

static void item_move(struct item *item, uint64_t position_ms)
{
    item->position_ms = position_ms;
    item->next_ms = dri_cron_next(&item->schedule->cron, position_ms);
}

static void item_begin(const struct dri_firing *firing, struct item *item)
{
    const struct dri_schedule *schedule = item->schedule;
    const struct known *known = known_of(firing, dray_slice_text(schedule->key));
    bool is_fired = known != NULL && known->revision == schedule->revision;
    item->late_until_ms = 0;
    item_move(item, is_fired && known->tick_ms > schedule->since_ms ? known->tick_ms
                                                                    : schedule->since_ms);
}

void dri_firing_reset(struct dri_firing *firing)
{
    forget_knowns(firing);
    for (size_t i = 0; i < firing->count; i++) {
        item_begin(firing, &firing->items[i]);
    }
}

static struct known *known_add(struct dri_firing *firing, struct dray_slice key)
{
    if (firing->knowns_count == firing->knowns_capacity) {
        size_t capacity = firing->knowns_capacity == 0 ? 16 : 2 * firing->knowns_capacity;
        struct known *more = dri_zalloc_array(capacity, sizeof(*more));
        if (more == NULL) {
            return NULL;
        }
        if (firing->knowns_count > 0) {
            memcpy(more, firing->knowns, firing->knowns_count * sizeof(*more));
        }
        dri_free(firing->knowns);
        firing->knowns = more;
        firing->knowns_capacity = capacity;
    }
    char *copy = dri_strndup(key.at, key.len);
    if (copy == NULL) {
        return NULL;
    }
    firing->knowns[firing->knowns_count] = (struct known){.key = copy};
    return &firing->knowns[firing->knowns_count++];
}

enum dray_status dri_firing_learn(struct dri_firing *firing, struct dray_slice key,
                                  uint64_t revision, uint64_t tick_ms, uint64_t now_ms)
{
    struct known *known = known_of(firing, key);
    if (known == NULL) {
        known = known_add(firing, key);
    }
    if (known == NULL) {
        return DRAY_ENOMEM;
    }
    bool is_older =
        revision < known->revision || (revision == known->revision && tick_ms <= known->tick_ms &&
                                       known->tick_ms <= now_ms + FUTURE_MS);
    if (is_older) {
        return DRAY_OK;
    }
    known->revision = revision;
    known->tick_ms = tick_ms;
    for (size_t i = 0; i < firing->count; i++) {
        struct item *item = &firing->items[i];
        bool is_news = tick_ms > item->position_ms || item->position_ms > now_ms + FUTURE_MS;
        if (is_news && revision == item->schedule->revision &&
            dray_slice_equal_text(key, item->schedule->key)) {
            item_move(item, tick_ms);
        }
    }
    return DRAY_OK;
}

/* As it was, when the schedule is the same; refusals hold for their revision. */
static void item_inherit(const struct dri_firing *firing, struct item *item)
{
    for (size_t i = 0; i < firing->count; i++) {
        if (firing->items[i].schedule == item->schedule) {
            *item = firing->items[i];
            return;
        }
    }
    item_begin(firing, item);
}

enum dray_status dri_firing_set(struct dri_firing *firing, struct dri_schedule **list, size_t count)
{
    struct item *items = dri_zalloc_array(count + 1, sizeof(*items));
    if (items == NULL) {
        forget_items(firing);
        dri_schedules_let_go(list, count);
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].schedule = list[i];
        item_inherit(firing, &items[i]);
    }
    forget_items(firing);
    firing->list = list;
    firing->items = items;
    firing->count = count;
    return DRAY_OK;
}

/* ---- missed ticks ---- */

/* How many ticks there are in (after, until], counted up to a bound. */
static uint64_t count_ticks(const struct dri_cron *cron, uint64_t after_ms, uint64_t until_ms)
{
    uint64_t count = 0;
    uint64_t tick_ms = dri_cron_next(cron, after_ms);
    while (tick_ms != 0 && tick_ms <= until_ms && count < COUNT_MAX) {
        count++;
        tick_ms = dri_cron_next(cron, tick_ms);
    }
    return count;
}

/* The tick before the last `keep` of those in (after, until]: from there on they are kept. */
static uint64_t keep_last(const struct dri_cron *cron, uint64_t after_ms, uint64_t until_ms,
                          uint32_t keep)
{
    uint64_t end_ms = until_ms;
    uint64_t tick_ms = dri_cron_last(cron, after_ms, end_ms);
    for (uint32_t i = 0; i < keep && tick_ms != 0; i++) {
        end_ms = tick_ms - 1;
        tick_ms = dri_cron_last(cron, after_ms, end_ms);
    }
    return tick_ms != 0 ? tick_ms : after_ms;
}

/* Decides what is late by the schedule's rule: its position is then before the first tick that is
 * still to be fired. */
static void pass_missed(struct dri_firing *firing, struct item *item, uint64_t late_ms)
{
    static const uint32_t keeps[] = {
        [DRI_MISSED_ONE] = 1, [DRI_MISSED_SKIP] = 0, [DRI_MISSED_ALL] = UINT32_MAX};
    const struct dri_schedule *schedule = item->schedule;
    uint32_t keep = keeps[schedule->view.missed];
    keep = keep < schedule->view.catch_up ? keep : schedule->view.catch_up;
    uint64_t begin_ms = keep_last(&schedule->cron, item->position_ms, late_ms, keep);
    uint64_t from_ms = item->position_ms > item->counted_ms ? item->position_ms : item->counted_ms;
    if (begin_ms > from_ms) {
        firing->stats.missed += count_ticks(&schedule->cron, from_ms, begin_ms);
        item->counted_ms = begin_ms;
    }
    item->late_until_ms = late_ms;
    item_move(item, begin_ms);
}

static void look(struct dri_firing *firing, struct item *item, uint64_t now_ms)
{
    uint64_t late_ms = now_ms > LATE_MS ? now_ms - LATE_MS : 0;
    if (item->position_ms > now_ms + FUTURE_MS) {
        firing->stats.resumed++;
        item_move(item, now_ms);
    }
    if (item->next_ms != 0 && item->next_ms <= late_ms && item->next_ms > item->late_until_ms) {
        pass_missed(firing, item, late_ms);
    }
}

/* ---- shots ---- */

bool dri_firing_next(struct dri_firing *firing, uint64_t now_ms, struct dri_shot *ret_shot)
{
    struct item *first = NULL;
    for (size_t i = 0; i < firing->count; i++) {
        struct item *item = &firing->items[i];
        if (item->is_refused) {
            continue;
        }
        look(firing, item, now_ms);
        if (item->next_ms != 0 && item->next_ms <= now_ms + firing->ahead_ms &&
            (first == NULL || item->next_ms < first->next_ms)) {
            first = item;
        }
    }
    if (first == NULL) {
        return false;
    }
    *ret_shot = (struct dri_shot){.schedule = first->schedule,
                                  .tick_ms = first->next_ms,
                                  .is_late = first->next_ms <= first->late_until_ms};
    item_move(first, first->next_ms);
    return true;
}

uint64_t dri_firing_due_ms(const struct dri_firing *firing)
{
    uint64_t due_ms = UINT64_MAX;
    for (size_t i = 0; i < firing->count; i++) {
        const struct item *item = &firing->items[i];
        if (!item->is_refused && item->next_ms != 0) {
            uint64_t at_ms =
                item->next_ms > firing->ahead_ms ? item->next_ms - firing->ahead_ms : 0;
            due_ms = at_ms < due_ms ? at_ms : due_ms;
        }
    }
    return due_ms;
}

void dri_firing_refuse(struct dri_firing *firing, const struct dri_schedule *schedule)
{
    for (size_t i = 0; i < firing->count; i++) {
        if (firing->items[i].schedule == schedule) {
            firing->items[i].is_refused = true;
        }
    }
}

size_t dri_firing_count(const struct dri_firing *firing)
{
    return firing->count;
}

void dri_firing_stats(const struct dri_firing *firing, struct dri_firing_stats *ret_stats)
{
    *ret_stats = firing->stats;
}

/* ---- what is sent ---- */

enum dray_status dri_shot_encode(const struct dri_shot *shot, uint64_t now_ms, uint8_t **ret_bytes,
                                 size_t *ret_len)
{
    const struct dri_schedule *schedule = shot->schedule;
    const struct dri_schedule_view *view = &schedule->view;
    uint8_t id[16];
    dri_schedule_id(dray_slice_text(schedule->key), schedule->revision, shot->tick_ms, id);
    const struct dri_envelope envelope = {
        .id = dray_slice_of(id, sizeof(id)),
        .is_id_binary = true,
        .command = view->command,
        .namespace_ = view->namespace_,
        .version = view->version,
        .key = view->key,
        .reply_to = view->reply_to,
        .payload = view->payload,
        .tags = view->tags,
        .meta = view->meta,
        .created_ms = now_ms,
        .deadline_ms = view->deadline_ms == 0 ? 0 : shot->tick_ms + view->deadline_ms,
        .not_before_ms = shot->tick_ms,
    };
    size_t bytes_max = dri_envelope_encoded_max(&envelope);
    uint8_t *bytes = dri_zalloc(bytes_max);
    if (bytes == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = dri_envelope_encode(&envelope, bytes, bytes_max, ret_len);
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

enum dray_status dri_shot_headers(const struct dri_shot *shot, void *buffer, size_t buffer_bytes,
                                  size_t *ret_len)
{
    char text[TEXT_BYTES];
    size_t len = 0;
    snprintf(text, sizeof(text), "%s@%llu#%llu", shot->schedule->key,
             (unsigned long long)shot->schedule->revision, (unsigned long long)shot->tick_ms);
    enum dray_status status = dri_headers_append(
        buffer, buffer_bytes, &len, dray_slice_text("dray-schedule"), dray_slice_text(text));
    if (status == DRAY_OK) {
        *ret_len = len;
    }
    return status;
}
