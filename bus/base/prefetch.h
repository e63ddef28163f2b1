/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_PREFETCH_H
#define DRI_PREFETCH_H

#include <stddef.h>

#include <dray/slice.h>

/* prefetch.h - have memory on its way to this processor before it is needed.
 *
 * A command crosses from the client library's thread to the engine's, to a lane's and back, and
 * what one of them wrote is in no cache of the next. Who works through a batch therefore asks for
 * what the items a few places ahead need, and waits for several lines at once instead of for one
 * after the other. Only a hint: any address is allowed, nothing is read, and nothing depends on it.
 */

/** How far ahead: an item itself, and what it points to once it is there. */
#define DRI_PREFETCH_FAR  8u
#define DRI_PREFETCH_NEAR 3u

#define DRI_PREFETCH_LINE 64u

/** To be written. NULL: nothing. */
static inline void dri_prefetch(const void *at, size_t bytes)
{
    for (size_t i = 0; at != NULL && i < bytes; i += DRI_PREFETCH_LINE) {
        __builtin_prefetch((const char *)at + i, 1);
    }
}

/** To be read, its beginning: most commands are no larger. */
static inline void dri_prefetch_slice(struct dray_slice slice)
{
    for (size_t i = 0; i < slice.len && i < 8 * (size_t)DRI_PREFETCH_LINE; i += DRI_PREFETCH_LINE) {
        __builtin_prefetch(slice.at + i, 0);
    }
}

#endif
