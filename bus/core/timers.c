/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "timers.h"

#include "assert.h"

void dri_timers_init(struct dri_timers *timers, struct dri_timer *heap, uint32_t *places,
                     uint32_t ids)
{
    *timers = (struct dri_timers){.heap = heap, .places = places, .ids = ids};
}

static bool is_before(const struct dri_timer *a, const struct dri_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->id < b->id;
}

static void place(struct dri_timers *timers, uint32_t at, struct dri_timer timer)
{
    timers->heap[at] = timer;
    timers->places[timer.id] = at + 1;
}

static void sift_up(struct dri_timers *timers, uint32_t at, struct dri_timer timer)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!is_before(&timer, &timers->heap[parent])) {
            break;
        }
        place(timers, at, timers->heap[parent]);
        at = parent;
    }
    place(timers, at, timer);
}

static void sift_down(struct dri_timers *timers, uint32_t at, struct dri_timer timer)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count &&
            is_before(&timers->heap[child + 1], &timers->heap[child])) {
            child++;
        }
        if (!is_before(&timers->heap[child], &timer)) {
            break;
        }
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, timer);
}

/* Put timer where the heap allows, starting at a place whose old content is gone. */
static void settle_at(struct dri_timers *timers, uint32_t at, struct dri_timer timer)
{
    if (at > 0 && is_before(&timer, &timers->heap[(at - 1) / 2])) {
        sift_up(timers, at, timer);
    } else {
        sift_down(timers, at, timer);
    }
}

void dri_timers_set(struct dri_timers *timers, uint32_t id, uint64_t due_ns)
{
    DRI_ASSERT(id < timers->ids);
    struct dri_timer timer = {.due_ns = due_ns, .id = id};
    if (timers->places[id] != 0) {
        settle_at(timers, timers->places[id] - 1, timer);
    } else {
        sift_up(timers, timers->count++, timer);
    }
}

void dri_timers_cancel(struct dri_timers *timers, uint32_t id)
{
    DRI_ASSERT(id < timers->ids);
    if (timers->places[id] == 0) {
        return;
    }
    uint32_t at = timers->places[id] - 1;
    timers->places[id] = 0;
    struct dri_timer last = timers->heap[--timers->count];
    if (at < timers->count) {
        settle_at(timers, at, last);
    }
}

bool dri_timers_is_set(const struct dri_timers *timers, uint32_t id)
{
    DRI_ASSERT(id < timers->ids);
    return timers->places[id] != 0;
}

uint64_t dri_timers_next(const struct dri_timers *timers)
{
    return timers->count != 0 ? timers->heap[0].due_ns : UINT64_MAX;
}

uint32_t dri_timers_pop(struct dri_timers *timers, uint64_t now_ns)
{
    if (timers->count == 0 || timers->heap[0].due_ns > now_ns) {
        return UINT32_MAX;
    }
    uint32_t id = timers->heap[0].id;
    dri_timers_cancel(timers, id);
    return id;
}
