/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "nearest.h"

#include <stdint.h>
#include <string.h>

#define LEN_MAX 63u

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t dri_edits(const char *a, const char *b)
{
    size_t rows[3][LEN_MAX + 1];
    size_t a_len = least(strlen(a), LEN_MAX);
    size_t b_len = least(strlen(b), LEN_MAX);
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], above_that[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void dri_nearest_init(struct dri_nearest *nearest, const char *wanted)
{
    *nearest = (struct dri_nearest){.wanted = wanted, .word = NULL, .edits = SIZE_MAX};
}

void dri_nearest_show(struct dri_nearest *nearest, const char *word)
{
    size_t edits = dri_edits(nearest->wanted, word);
    if (edits < nearest->edits) {
        nearest->edits = edits;
        nearest->word = word;
    }
}

bool dri_is_slip(const char *wanted, size_t edits)
{
    return edits <= (strlen(wanted) + 2) / 3;
}

bool dri_nearest_is_near(const struct dri_nearest *nearest)
{
    return nearest->word != NULL && dri_is_slip(nearest->wanted, nearest->edits);
}
