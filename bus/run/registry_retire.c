/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "registry_inside.h"

/* registry_retire.c - what was taken out of sight, until nobody can hold it.
 *
 * Two stations. In limbo everything waits until each reader has been quiescent or offline once.
 * Then sets and tables are freed; a route goes on to wait for its pins. Pins are counted by each
 * reader for itself and summed here: once a route's grace period is over nobody can pin it any
 * more, counters only fall, and a sum of zero is final. So a handler that runs for an hour holds
 * its one route, and no grace period.
 */

void retire(struct dri_registry *registry, struct retired *retired, enum retired_kind kind,
            void *object)
{
    struct writer *writer = registry->writer;
    *retired = (struct retired){
        /* The epoch that retire_end makes: only the holder of the lock advances it. */
        .epoch = atomic_load_explicit(&registry->epoch.now, memory_order_relaxed) + 1,
        .kind = kind,
        .object = object,
    };
    *writer->limbo_end = retired;
    writer->limbo_end = &retired->next;
    writer->retired_count++;
}

void retire_end(struct dri_registry *registry)
{
    (void)dri_epoch_advance(&registry->epoch);
}

void entry_destroy(const struct dri_registry_config *config, struct entry *entry)
{
    if (entry == NULL) {
        return;
    }
    if (entry->is_bound && config->unbind != NULL) {
        config->unbind(config->arg, &entry->route);
    }
    dri_free(entry);
}

/* ---- numbers and pins ---- */

enum dray_status reader_make_chunks(struct dri_reader *reader, size_t chunks_count)
{
    for (size_t i = 0; i < chunks_count; i++) {
        if (reader->chunks[i] == NULL) {
            reader->chunks[i] = (struct seats *)dri_zalloc(sizeof(struct seats));
        }
        if (reader->chunks[i] == NULL) {
            return DRAY_ENOMEM;
        }
    }
    return DRAY_OK;
}

void reader_free(struct dri_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (size_t i = 0; i < CHUNK_COUNT; i++) {
        dri_free(reader->chunks[i]);
    }
    dri_free(reader);
}

/** One chunk more, everywhere. What was made before memory ran out stays for the next time. */
static enum dray_status numbers_grow(struct writer *writer)
{
    size_t count = writer->chunks_count + 1;
    if (count > CHUNK_COUNT) {
        return DRAY_ENOMEM;
    }
    for (struct dri_reader *reader = writer->readers; reader != NULL; reader = reader->next) {
        enum dray_status status = reader_make_chunks(reader, count);
        if (status != DRAY_OK) {
            return status;
        }
    }
    struct seats **orphans = &writer->orphans[count - 1];
    if (*orphans == NULL) {
        *orphans = (struct seats *)dri_zalloc(sizeof(struct seats));
    }
    uint32_t *free_numbers = (uint32_t *)dri_zalloc_array(count * CHUNK_NUMBERS, sizeof(uint32_t));
    if (*orphans == NULL || free_numbers == NULL) {
        dri_free(free_numbers);
        return DRAY_ENOMEM;
    }
    if (writer->free_numbers_count != 0) {
        memcpy(free_numbers, writer->free_numbers, writer->free_numbers_count * sizeof(uint32_t));
    }
    dri_free(writer->free_numbers);
    writer->free_numbers = free_numbers;
    for (uint32_t i = CHUNK_NUMBERS; i > 0; i--) { /* the smallest is taken first */
        free_numbers[writer->free_numbers_count] =
            (uint32_t)(writer->chunks_count * CHUNK_NUMBERS) + i - 1;
        writer->free_numbers_count++;
    }
    writer->chunks_count = count;
    return DRAY_OK;
}

enum dray_status numbers_reserve(struct writer *writer, size_t more)
{
    enum dray_status status = DRAY_OK;
    while (status == DRAY_OK && writer->free_numbers_count < more) {
        status = numbers_grow(writer);
    }
    return status;
}

void number_take(struct writer *writer, struct dri_route *route)
{
    DRI_ASSERT(writer->free_numbers_count > 0);
    writer->free_numbers_count--;
    route->number = writer->free_numbers[writer->free_numbers_count];
    /* Who had it before is not pinned any more, so that nobody counts until this one is seen. */
    route->calls_base = calls_of(writer, route->number);
}

uint32_t calls_of(const struct writer *writer, uint32_t number)
{
    size_t chunk = number / CHUNK_NUMBERS;
    size_t i = number % CHUNK_NUMBERS;
    uint32_t calls =
        atomic_load_explicit(&writer->orphans[chunk]->of[i].calls, memory_order_relaxed);
    for (const struct dri_reader *reader = writer->readers; reader != NULL; reader = reader->next) {
        calls += atomic_load_explicit(&reader->chunks[chunk]->of[i].calls, memory_order_relaxed);
    }
    return calls;
}

static bool has_pins(const struct writer *writer, uint32_t number)
{
    size_t chunk = number / CHUNK_NUMBERS;
    size_t i = number % CHUNK_NUMBERS;
    uint32_t pins = atomic_load_explicit(&writer->orphans[chunk]->of[i].pins, memory_order_relaxed);
    for (const struct dri_reader *reader = writer->readers; reader != NULL; reader = reader->next) {
        /* Acquire: pairs with the release in dri_registry_unpin; the route's last use. */
        pins += atomic_load_explicit(&reader->chunks[chunk]->of[i].pins, memory_order_acquire);
    }
    return pins != 0;
}

/* ---- reclaiming ---- */

static void push(struct retired **list, struct retired *retired)
{
    retired->next = *list;
    *list = retired;
}

/** Sets and tables are freed, routes go on to draining. */
static void empty_limbo(struct dri_registry *registry)
{
    struct writer *writer = registry->writer;
    uint64_t oldest = dri_epoch_oldest(&registry->epoch);
    while (writer->limbo != NULL && writer->limbo->epoch <= oldest) {
        struct retired *retired = writer->limbo;
        writer->limbo = retired->next;
        if (retired->kind == RETIRED_MEMORY) {
            writer->retired_count--;
            dri_free(retired->object);
        } else {
            push(&writer->draining, retired);
        }
    }
    if (writer->limbo == NULL) {
        writer->limbo_end = &writer->limbo;
    }
}

/** Takes the routes without pins out of draining. */
static struct retired *take_unpinned(struct writer *writer)
{
    struct retired *dead = NULL;
    struct retired *kept = NULL;
    while (writer->draining != NULL) {
        struct retired *retired = writer->draining;
        const struct entry *entry = (const struct entry *)retired->object;
        writer->draining = retired->next;
        push(has_pins(writer, entry->route.number) ? &kept : &dead, retired);
    }
    writer->draining = kept;
    return dead;
}

size_t dri_registry_reclaim(struct dri_registry *registry)
{
    struct writer *writer = registry->writer;
    dri_lock_take(&writer->lock);
    empty_limbo(registry);
    struct retired *dead = take_unpinned(writer);
    size_t waiting = writer->retired_count;
    dri_lock_drop(&writer->lock);

    while (dead != NULL) {
        struct entry *entry = (struct entry *)dead->object;
        uint32_t number = entry->route.number;
        dead = dead->next;
        entry_destroy(&registry->config, entry); /* may close a module: outside of the lock */
        dri_lock_take(&writer->lock);
        writer->free_numbers[writer->free_numbers_count] = number;
        writer->free_numbers_count++;
        writer->retired_count--;
        waiting = writer->retired_count;
        dri_lock_drop(&writer->lock);
    }
    return waiting;
}
