/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_SLICE_H
#define DRAY_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <dray/api.h>

/* slice.h - a borrowed view of bytes. It never owns, and it need not end in a NUL.
 *
 * at == NULL means absent; an empty slice that is present has at != NULL and len == 0.
 */

DRAY_BEGIN

struct dray_slice {
    const uint8_t *at;
    size_t len;
};

static inline struct dray_slice dray_slice_of(const void *at, size_t len)
{
    struct dray_slice slice = {(const uint8_t *)at, len};
    return slice;
}

/** Borrows the text without its NUL; NULL gives an absent slice. */
static inline struct dray_slice dray_slice_text(const char *text)
{
    return dray_slice_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool dray_slice_is_absent(struct dray_slice slice)
{
    return slice.at == NULL;
}

/** Same bytes; an absent slice equals only another absent one. */
static inline bool dray_slice_equal(struct dray_slice a, struct dray_slice b)
{
    if (a.at == NULL || b.at == NULL) {
        return a.at == b.at;
    }
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool dray_slice_equal_text(struct dray_slice a, const char *text)
{
    return dray_slice_equal(a, dray_slice_text(text));
}

DRAY_END

#endif
