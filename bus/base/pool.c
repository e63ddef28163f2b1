/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* pool.c - size classes with LIFO free lists over slabs.
 *
 * A message's bytes live from milliseconds to hours, come in every size up to the broker's limit,
 * and are taken and given by one thread: no lock, no atomic. Classes are powers of two and their
 * halves (64, 96, 128, 192, ... 2 MiB), so at most a third of a block is slack. Small classes carve
 * slabs of 256 KiB; a block above 128 KiB is an allocation of its own, and of these at most 8 MiB
 * are kept when they come back, so that one burst of large messages does not stay with us for ever.
 *
 * A block carries 16 bytes before it: the class, what it is charged, and a mark that tells a block
 * that is out from one that is not (given twice: assertion). Blocks are aligned to 16.
 *
 * Rejected: finding the class by the address (slabs aligned to their size): saves the 16 bytes,
 * costs a slab header line that is cold when a block comes back late.
 */
#include "pool.h"

#include <string.h>

#include "assert.h"
#include "mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#define CLASS_COUNT     31u /* 64 B .. 2 MiB */
#define CLASS_NONE      UINT32_MAX
#define CLASS_BYTES_MAX ((size_t)2 << 20)
#define SLAB_BYTES      ((size_t)256 << 10)
#define SLAB_BLOCK_MAX  ((size_t)128 << 10)
#define KEPT_BYTES_MAX  ((size_t)8 << 20) /* of blocks that are their own allocation */
#define MARK_OUT        0x0b10c0a7u
#define MARK_IN         0x0b10cf4eu

struct block {
    uint32_t mark;
    uint32_t class_;
    uint64_t charged;
};

/** What a block on a free list holds instead of bytes. */
struct free_block {
    struct block block;
    struct free_block *next;
};

struct slab {
    struct slab *next;
    uint8_t *bytes;
};

struct class_list {
    struct free_block *free;
    uint8_t *carve_at; /* rest of the newest slab */
    uint8_t *carve_end;
};

struct pool_size {
    uint32_t class_;
    size_t bytes;
};

struct dri_pool {
    struct class_list classes[CLASS_COUNT];
    struct slab *slabs;
    size_t bytes_max;
    size_t bytes_out;
    size_t blocks_out;
    size_t bytes_kept; /* on free lists, of blocks above SLAB_BLOCK_MAX */
};

/** The class of a block with its 16 bytes; CLASS_NONE above the largest. */
static struct pool_size size_of(size_t need)
{
    if (need <= 64) {
        return (struct pool_size){0, 64};
    }
    if (need > CLASS_BYTES_MAX) {
        return (struct pool_size){CLASS_NONE, need};
    }
    uint32_t log2 = 63u - (uint32_t)__builtin_clzll((unsigned long long)need - 1);
    size_t below = (size_t)1 << log2; /* below < need <= 2 * below */
    bool is_half = need <= below + below / 2;
    return (struct pool_size){
        .class_ = 2 * (log2 - 6) + (is_half ? 1 : 2),
        .bytes = is_half ? below + below / 2 : 2 * below,
    };
}

enum dray_status dri_pool_create(size_t bytes_max, struct dri_pool **ret_pool)
{
    struct dri_pool *pool = (struct dri_pool *)dri_zalloc(sizeof(*pool));
    if (pool == NULL) {
        return DRAY_ENOMEM;
    }
    pool->bytes_max = bytes_max;
    *ret_pool = pool;
    return DRAY_OK;
}

#ifdef DRI_POOL_MALLOC

static struct block *block_new(struct dri_pool *pool, struct pool_size size, size_t need)
{
    (void)pool;
    (void)size;
    struct block *block = (struct block *)dri_zalloc(need);
    if (block != NULL) {
        memset(block + 1, 0xa5, need - sizeof(*block)); /* nobody may count on zeroes */
    }
    return block;
}

static void block_end(struct dri_pool *pool, struct block *block)
{
    (void)pool;
    dri_free(block);
}

static void blocks_free(struct dri_pool *pool)
{
    (void)pool;
}

#else

static struct block *carve(struct dri_pool *pool, struct class_list *list, size_t bytes)
{
    if ((size_t)(list->carve_end - list->carve_at) < bytes) {
        struct slab *slab = (struct slab *)dri_zalloc(sizeof(*slab));
        uint8_t *at = (uint8_t *)dri_zalloc(SLAB_BYTES);
        if (slab == NULL || at == NULL) {
            dri_free(slab);
            dri_free(at);
            return NULL;
        }
        slab->bytes = at;
        slab->next = pool->slabs;
        pool->slabs = slab;
        list->carve_at = at;
        list->carve_end = at + SLAB_BYTES;
        ASAN_POISON_MEMORY_REGION(at, SLAB_BYTES);
    }
    struct block *block = (struct block *)(void *)list->carve_at;
    list->carve_at += bytes;
    return block;
}

static struct block *block_new(struct dri_pool *pool, struct pool_size size, size_t need)
{
    if (size.class_ == CLASS_NONE) {
        return (struct block *)dri_zalloc(need);
    }
    struct class_list *list = &pool->classes[size.class_];
    struct block *block = NULL;
    if (list->free != NULL) {
        struct free_block *first = list->free;
        ASAN_UNPOISON_MEMORY_REGION(first, sizeof(*first));
        DRI_ASSERT(first->block.mark == MARK_IN);
        list->free = first->next;
        pool->bytes_kept -= size.bytes > SLAB_BLOCK_MAX ? size.bytes : 0;
        block = &first->block;
    } else if (size.bytes > SLAB_BLOCK_MAX) {
        block = (struct block *)dri_zalloc(size.bytes);
    } else {
        block = carve(pool, list, size.bytes);
    }
    if (block != NULL) {
        ASAN_POISON_MEMORY_REGION(block, size.bytes);
        ASAN_UNPOISON_MEMORY_REGION(block, need);
    }
    return block;
}

static void block_end(struct dri_pool *pool, struct block *block)
{
    uint32_t class_ = block->class_;
    size_t bytes = (size_t)block->charged;
    bool is_own = bytes > SLAB_BLOCK_MAX;
    if (is_own && (class_ == CLASS_NONE || pool->bytes_kept + bytes > KEPT_BYTES_MAX)) {
        ASAN_UNPOISON_MEMORY_REGION(block, bytes);
        dri_free(block);
        return;
    }
    struct free_block *entry = (struct free_block *)(void *)block;
    ASAN_UNPOISON_MEMORY_REGION(entry, sizeof(*entry));
    entry->next = pool->classes[class_].free;
    pool->classes[class_].free = entry;
    pool->bytes_kept += is_own ? bytes : 0;
    ASAN_POISON_MEMORY_REGION(block + 1, bytes - sizeof(*block));
}

static void blocks_free(struct dri_pool *pool)
{
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        size_t bytes = i % 2 == 0 ? (size_t)64 << (i / 2) : (size_t)96 << (i / 2);
        while (bytes > SLAB_BLOCK_MAX && pool->classes[i].free != NULL) {
            struct free_block *first = pool->classes[i].free;
            ASAN_UNPOISON_MEMORY_REGION(first, bytes);
            pool->classes[i].free = first->next;
            dri_free(first);
        }
    }
    while (pool->slabs != NULL) {
        struct slab *slab = pool->slabs;
        pool->slabs = slab->next;
        ASAN_UNPOISON_MEMORY_REGION(slab->bytes, SLAB_BYTES);
        dri_free(slab->bytes);
        dri_free(slab);
    }
}

#endif

void *dri_pool_take(struct dri_pool *pool, size_t bytes)
{
    if (bytes > SIZE_MAX - sizeof(struct block)) {
        return NULL;
    }
    size_t need = bytes + sizeof(struct block);
    struct pool_size size = size_of(need);
    if (size.bytes > pool->bytes_max - pool->bytes_out) {
        return NULL;
    }
    struct block *block = block_new(pool, size, need);
    if (block == NULL) {
        return NULL;
    }
    block->mark = MARK_OUT;
    block->class_ = size.class_;
    block->charged = size.bytes;
    pool->bytes_out += size.bytes;
    pool->blocks_out++;
    return block + 1;
}

void dri_pool_give(struct dri_pool *pool, void *block)
{
    if (block == NULL) {
        return;
    }
    struct block *head = (struct block *)block - 1;
    DRI_ASSERT(head->mark == MARK_OUT);
    head->mark = MARK_IN;
    pool->bytes_out -= (size_t)head->charged;
    pool->blocks_out--;
    block_end(pool, head);
}

size_t dri_pool_bytes_out(const struct dri_pool *pool)
{
    return pool->bytes_out;
}

void dri_pool_destroy(struct dri_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    DRI_ASSERT(pool->blocks_out == 0);
    blocks_free(pool);
    dri_free(pool);
}
