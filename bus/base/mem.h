/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_MEM_H
#define DRI_MEM_H

#include <stddef.h>
#include <stdint.h>

#include <dray/api.h>

/* mem.h - the only door to the heap. Zeroed, 64-byte aligned, counted, made to fail on demand.
 *
 * Threads: all calls from any thread.
 */

/** Zeroed bytes, aligned to 64; NULL when there are none. Owns: returns owned. */
DRAY_MUST_CHECK void *dri_zalloc(size_t bytes);

/** Like dri_zalloc for count * size with an overflow check. */
DRAY_MUST_CHECK void *dri_zalloc_array(size_t count, size_t size);

/** A NUL-terminated copy. Owns: returns owned. */
DRAY_MUST_CHECK char *dri_strdup(const char *text);
DRAY_MUST_CHECK char *dri_strndup(const void *at, size_t len);

/** NULL is a no-op. */
void dri_free(void *block);

/** Zeroed pages that take memory only where they are touched: for tables sized by a limit that is
 *  seldom reached. NULL when there are none. Owns: returns owned; end it with dri_unmap. */
DRAY_MUST_CHECK void *dri_map(size_t bytes);

/** bytes as given to dri_map. NULL is a no-op. */
void dri_unmap(void *pages, size_t bytes);

/** Blocks that are allocated now. For the leak check of the tests. */
size_t dri_mem_live(void);

/** Makes the n-th allocation from now fail (1 = the next); 0 switches it off. For tests. */
void dri_mem_fail_at(uint64_t n);

/** Whether the failure asked for by dri_mem_fail_at has happened. */
int dri_mem_failed(void);

#endif
