/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MEM_ALIGNMENT 64u

static _Atomic(size_t) live;
static _Atomic(uint64_t) fail_countdown; /* 0: off; 1: the next allocation fails */
static _Atomic(int) has_failed;

static bool is_failing_now(void)
{
    /* Relaxed: a test sets it before it starts the threads that are to meet it. */
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left != 0) {
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            if (left == 1) {
                atomic_store_explicit(&has_failed, 1, memory_order_relaxed);
            }
            return left == 1;
        }
    }
    return false;
}

void *dri_zalloc(size_t bytes)
{
    void *block = NULL;
    if (is_failing_now()) {
        return NULL;
    }
    if (posix_memalign(&block, MEM_ALIGNMENT, bytes == 0 ? 1 : bytes) != 0) {
        return NULL;
    }
    memset(block, 0, bytes);
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

void *dri_zalloc_array(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    return dri_zalloc(bytes);
}

char *dri_strdup(const char *text)
{
    return dri_strndup(text, strlen(text));
}

char *dri_strndup(const void *at, size_t len)
{
    if (len == SIZE_MAX) {
        return NULL;
    }
    char *copy = (char *)dri_zalloc(len + 1);
    if (copy != NULL && len != 0) {
        memcpy(copy, at, len);
    }
    return copy;
}

void dri_free(void *block)
{
    if (block == NULL) {
        return;
    }
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(block);
}

void *dri_map(size_t bytes)
{
    if (is_failing_now()) {
        return NULL;
    }
    void *pages = mmap(NULL, bytes == 0 ? 1 : bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return pages;
}

void dri_unmap(void *pages, size_t bytes)
{
    if (pages != NULL) {
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
        (void)munmap(pages, bytes == 0 ? 1 : bytes);
    }
}

size_t dri_mem_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

void dri_mem_fail_at(uint64_t n)
{
    atomic_store_explicit(&has_failed, 0, memory_order_relaxed);
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
}

int dri_mem_failed(void)
{
    return atomic_load_explicit(&has_failed, memory_order_relaxed);
}
