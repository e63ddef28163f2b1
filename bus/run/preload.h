/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PRELOAD_H
#define DRI_PRELOAD_H

#include <stddef.h>

/* preload.h - have an image's pages there before they are needed.
 *
 * The loader maps a module and leaves its pages to the first touch: each costs a page fault then,
 * and a read of the disk when it was swapped out. Here they are all mapped for reading at once. A
 * page of data that is written still costs one fault, for its copy. Nothing is locked: under want
 * of memory the kernel may take pages away again, which is why it is done again from time to time.
 *
 * Threads: any. May block on the disk.
 */

/** Map all readable pages of the image that this address is in. Returns the bytes that are mapped;
 *  0: the kernel cannot (before 5.14), and was only told that they will be needed. */
size_t dri_preload(const void *address);

#endif
