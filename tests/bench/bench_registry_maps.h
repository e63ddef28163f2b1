/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef BENCH_REGISTRY_MAPS_H
#define BENCH_REGISTRY_MAPS_H

/* bench_registry_maps.h - what bench_registry.c looks things up in beside the registry: a bare map,
 * and liburcu's cds_lfht with the same items. Only its to include.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/rculfhash.h>
#include <urcu/urcu-qsbr.h>

#include "base/assert.h"
#include "base/epoch.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/registry.h"

#define THREADS_MAX 16u
#define NAME_BYTES  28u

/* The headers of call_rcu and cds_lfht declare the first flavour's only. */
extern void urcu_qsbr_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
extern void urcu_qsbr_barrier(void);
extern const struct rcu_flavor_struct urcu_qsbr_flavor;

/* ---- the bare map ---- */

struct item {
    uint64_t fid;
    uint32_t number;
    uint32_t name_len;
    char name[NAME_BYTES];
    uint32_t ns_len;
    char ns[8];
    _Atomic(uint32_t) counter; /* rwlock, mutex: pins, and one of the map */
    struct item *next;         /* epoch: limbo */
    uint64_t epoch;
    struct rcu_head head;           /* qsbr, memb, lfht */
    struct cds_lfht_node name_node; /* lfht */
    struct cds_lfht_node fid_node;
};

struct map_slot {
    uint64_t hash;
    _Atomic(struct item *) item;
};

struct map {
    size_t mask;
    struct map_slot *by_name;
    struct map_slot *by_fid;
    struct dri_epoch epoch;
    pthread_mutex_t epoch_lock; /* of readers that come and go */
    struct item *limbo;
    struct item **limbo_end;
    pthread_rwlock_t rwlock;
    pthread_mutex_t mutex;
};

struct question {
    uint64_t fid;
    uint32_t name_len;
    char name[NAME_BYTES];
};

static struct map *map;               /* of the size that runs */
static struct cds_lfht *lfht_by_name; /* of the size that runs, as the next one */
static struct cds_lfht *lfht_by_fid;
static struct dri_registry *registry; /* of the size that runs */
static struct question *questions;    /* all routes in random order */
static struct question *by_number;    /* all routes */
static uint64_t *revisions;           /* of each route in the registry; the updater's */
static size_t routes_count;
static uint64_t last_revision;
struct pin_count {
    _Atomic(uint32_t) count;
};
static struct pin_count *pins[THREADS_MAX]; /* by thread and route */

/* Every row has to look at the namespace; volatile, so that none knows it beforehand. */
static const char *volatile namespace_text = "default";
static volatile size_t namespace_len = 7;

static struct dray_slice asked_namespace(void)
{
    return dray_slice_of(namespace_text, namespace_len);
}

static uint64_t name_hash(struct dray_slice ns, const char *name, size_t len)
{
    return dri_hash64(dray_slice_of(name, len)) ^ dri_hash64(ns) * 0x9e3779b97f4a7c15u;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "no memory\n");
        exit(1);
    }
    return memory;
}

static struct item *item_make(size_t number)
{
    struct item *item = (struct item *)must(dri_zalloc(sizeof(*item)));
    item->fid = by_number[number].fid;
    item->number = (uint32_t)number;
    item->name_len = by_number[number].name_len;
    memcpy(item->name, by_number[number].name, NAME_BYTES);
    item->ns_len = (uint32_t)namespace_len;
    memcpy(item->ns, namespace_text, item->ns_len);
    atomic_init(&item->counter, 1);
    return item;
}

static struct map_slot *map_place(struct map_slot *slots, uint64_t hash, uint32_t number)
{
    for (size_t i = (size_t)hash;; i++) {
        struct map_slot *slot = &slots[i & map->mask];
        struct item *item = atomic_load_explicit(&slot->item, memory_order_relaxed);
        if (item == NULL) {
            slot->hash = hash;
            return slot;
        }
        if (slot->hash == hash && item->number == number) {
            return slot;
        }
    }
}

/** Puts a fresh item for a route; returns the one before. */
static struct item *map_put(size_t number)
{
    struct item *item = item_make(number);
    struct map_slot *by_name = map_place(
        map->by_name, name_hash(asked_namespace(), item->name, item->name_len), item->number);
    struct map_slot *by_fid = map_place(map->by_fid, item->fid, item->number);
    struct item *old = atomic_load_explicit(&by_name->item, memory_order_relaxed);
    atomic_store_explicit(&by_fid->item, item, memory_order_release);
    atomic_store_explicit(&by_name->item, item, memory_order_release);
    return old;
}

static void map_make(size_t count)
{
    size_t slots = 16;
    while (slots / 2 < count) {
        slots *= 2;
    }
    map = (struct map *)must(dri_zalloc(sizeof(*map)));
    map->mask = slots - 1;
    map->by_name = (struct map_slot *)must(dri_zalloc_array(slots, sizeof(struct map_slot)));
    map->by_fid = (struct map_slot *)must(dri_zalloc_array(slots, sizeof(struct map_slot)));
    dri_epoch_init(&map->epoch);
    map->limbo_end = &map->limbo;
    (void)pthread_mutex_init(&map->epoch_lock, NULL);
    (void)pthread_rwlock_init(&map->rwlock, NULL);
    (void)pthread_mutex_init(&map->mutex, NULL);
    for (size_t i = 0; i < count; i++) {
        DRI_ASSERT(map_put(i) == NULL);
    }
}

static void map_free(void)
{
    for (size_t i = 0; i <= map->mask; i++) {
        dri_free(atomic_load(&map->by_name[i].item));
    }
    dri_free(map->by_name);
    dri_free(map->by_fid);
    (void)pthread_mutex_destroy(&map->epoch_lock);
    (void)pthread_rwlock_destroy(&map->rwlock);
    (void)pthread_mutex_destroy(&map->mutex);
    dri_free(map);
}

static inline struct item *map_find_name(const struct question *question)
{
    struct dray_slice ns = asked_namespace();
    uint64_t hash = name_hash(ns, question->name, question->name_len);
    for (size_t i = (size_t)hash;; i++) {
        const struct map_slot *slot = &map->by_name[i & map->mask];
        struct item *item = atomic_load_explicit(&slot->item, memory_order_acquire);
        if (item == NULL || (slot->hash == hash && item->name_len == question->name_len &&
                             item->ns_len == ns.len && memcmp(item->ns, ns.at, ns.len) == 0 &&
                             memcmp(item->name, question->name, question->name_len) == 0)) {
            return item;
        }
    }
}

static inline struct item *map_find_fid(const struct question *question)
{
    struct dray_slice ns = asked_namespace();
    for (size_t i = (size_t)question->fid;; i++) {
        const struct map_slot *slot = &map->by_fid[i & map->mask];
        struct item *item = atomic_load_explicit(&slot->item, memory_order_acquire);
        if (item == NULL || (slot->hash == question->fid && item->ns_len == ns.len &&
                             memcmp(item->ns, ns.at, ns.len) == 0)) {
            return item;
        }
    }
}

/* ---- liburcu's table ---- */

static void free_by_head(struct rcu_head *head)
{
    dri_free((uint8_t *)head - offsetof(struct item, head));
}

#define ITEM_OF(node, member)                                                                      \
    ((struct item *)(void *)((uint8_t *)(node)-offsetof(struct item, member)))

static int lfht_has_name(struct cds_lfht_node *node, const void *key)
{
    const struct item *item = ITEM_OF(node, name_node);
    const struct question *question = (const struct question *)key;
    struct dray_slice ns = asked_namespace();
    return item->name_len == question->name_len && item->ns_len == ns.len &&
           memcmp(item->ns, ns.at, ns.len) == 0 &&
           memcmp(item->name, question->name, question->name_len) == 0;
}

static int lfht_has_fid(struct cds_lfht_node *node, const void *key)
{
    const struct item *item = ITEM_OF(node, fid_node);
    struct dray_slice ns = asked_namespace();
    return item->fid == ((const struct question *)key)->fid && item->ns_len == ns.len &&
           memcmp(item->ns, ns.at, ns.len) == 0;
}

static inline struct item *lfht_find(bool by_fid, const struct question *question)
{
    struct cds_lfht_iter iter;
    if (by_fid) {
        cds_lfht_lookup(lfht_by_fid, question->fid, lfht_has_fid, question, &iter);
        return ITEM_OF(cds_lfht_iter_get_node(&iter), fid_node);
    }
    uint64_t hash = name_hash(asked_namespace(), question->name, question->name_len);
    cds_lfht_lookup(lfht_by_name, hash, lfht_has_name, question, &iter);
    return ITEM_OF(cds_lfht_iter_get_node(&iter), name_node);
}

/** Puts a fresh item for a route; returns the one before. Requires: the thread is registered. */
static struct item *lfht_put(size_t number)
{
    struct item *item = item_make(number);
    const struct question *question = &by_number[number];
    uint64_t hash = name_hash(asked_namespace(), item->name, item->name_len);
    cds_lfht_node_init(&item->name_node);
    cds_lfht_node_init(&item->fid_node);
    (void)cds_lfht_add_replace(lfht_by_fid, item->fid, lfht_has_fid, question, &item->fid_node);
    struct cds_lfht_node *old =
        cds_lfht_add_replace(lfht_by_name, hash, lfht_has_name, question, &item->name_node);
    return old == NULL ? NULL : ITEM_OF(old, name_node);
}

static struct cds_lfht *lfht_make_one(size_t slots)
{
    return (struct cds_lfht *)must(
        cds_lfht_new_flavor(slots, slots, slots, 0, &urcu_qsbr_flavor, NULL));
}

static void lfht_make(size_t count)
{
    size_t slots = map->mask + 1; /* as many as the bare map has: it need not grow */
    urcu_qsbr_register_thread();
    lfht_by_name = lfht_make_one(slots);
    lfht_by_fid = lfht_make_one(slots);
    for (size_t i = 0; i < count; i++) {
        DRI_ASSERT(lfht_put(i) == NULL);
    }
    urcu_qsbr_unregister_thread();
}

static void lfht_free(void)
{
    struct cds_lfht_iter iter;
    urcu_qsbr_register_thread();
    for (cds_lfht_first(lfht_by_name, &iter); cds_lfht_iter_get_node(&iter) != NULL;) {
        struct item *item = ITEM_OF(cds_lfht_iter_get_node(&iter), name_node);
        cds_lfht_next(lfht_by_name, &iter);
        DRI_ASSERT(cds_lfht_del(lfht_by_name, &item->name_node) == 0);
        DRI_ASSERT(cds_lfht_del(lfht_by_fid, &item->fid_node) == 0);
        urcu_qsbr_call_rcu(&item->head, free_by_head);
    }
    urcu_qsbr_unregister_thread();
    urcu_qsbr_barrier();
    DRI_ASSERT(cds_lfht_destroy(lfht_by_name, NULL) == 0);
    DRI_ASSERT(cds_lfht_destroy(lfht_by_fid, NULL) == 0);
}

#endif
