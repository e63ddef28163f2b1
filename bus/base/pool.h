/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_POOL_H
#define DRI_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

/* pool.h - blocks of bytes for messages, by size class, bounded by bytes.
 *
 * Life:    create -> { take, give } -> destroy.
 * Threads: take and give from the one thread that created the pool (the engine's thread).
 * Blocks on the free list are poisoned under ASan; built with DRI_POOL_MALLOC every take is a
 * malloc.
 */

struct dri_pool;

/** bytes_max bounds what is out at once, not what is cached. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_pool_create(size_t bytes_max, struct dri_pool **ret_pool);

/** A block of at least bytes, or NULL when the bound is reached or there is no memory.
 *  Owns: returns owned; give it back with dri_pool_give. */
void *dri_pool_take(struct dri_pool *pool, size_t bytes);

/** NULL is a no-op. */
void dri_pool_give(struct dri_pool *pool, void *block);

/** Bytes out now, by size class (what counts against the bound). */
size_t dri_pool_bytes_out(const struct dri_pool *pool);

/** Requires: nothing is out. NULL is a no-op. */
void dri_pool_destroy(struct dri_pool *pool);

#endif
