/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "preload.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; Debian 12 headers have it, others may not */
#endif

#define SEGMENTS_MAX 16u

struct image {
    uintptr_t address; /* in the image that is looked for */
    size_t count;
    struct {
        uintptr_t begin, end;
    } segments[SEGMENTS_MAX];
};

static bool has_address(const struct dl_phdr_info *info, const ElfW(Phdr) * header,
                        uintptr_t address)
{
    uintptr_t begin = info->dlpi_addr + header->p_vaddr;
    return header->p_type == PT_LOAD && address >= begin && address - begin < header->p_memsz;
}

/* The loader's lock is held here, so that only addresses are taken. */
static int take_segments(struct dl_phdr_info *info, size_t bytes, void *arg)
{
    struct image *image = arg;
    bool is_it = false;
    (void)bytes;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        is_it = is_it || has_address(info, &info->dlpi_phdr[i], image->address);
    }
    for (size_t i = 0; is_it && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_R) != 0 &&
            image->count < SEGMENTS_MAX) {
            uintptr_t begin = info->dlpi_addr + header->p_vaddr;
            image->segments[image->count].begin = begin;
            image->segments[image->count].end = begin + header->p_memsz;
            image->count++;
        }
    }
    return is_it ? 1 : 0;
}

size_t dri_preload(const void *address)
{
    struct image image = {.address = (uintptr_t)address};
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t mapped = 0;
    (void)dl_iterate_phdr(take_segments, &image);
    for (size_t i = 0; i < image.count; i++) {
        uintptr_t begin = image.segments[i].begin / page * page;
        size_t len = (image.segments[i].end - begin + page - 1) / page * page;
        void *at = (void *)begin; /* NOLINT(performance-no-int-to-ptr): the loader's numbers */
        if (madvise(at, len, MADV_POPULATE_READ) == 0) {
            mapped += len;
        } else {
            (void)madvise(at, len, MADV_WILLNEED);
        }
    }
    return mapped;
}
