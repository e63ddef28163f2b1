/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* keys.c - duplicate keys, also against somebody who wants the search to be slow.
 *
 * Two readers that resolve a duplicate differently see two different commands, so duplicates are
 * refused. Few keys are compared each with each. Many are sorted in place (heap sort: no recursion,
 * no memory, no bad case) and neighbours compared. Rejected: comparing each with each always (2,000
 * keys of 500 bytes cost 50 ms), and a hash table on the stack (a sender can aim at its
 * collisions).
 */

#include "keys.h"

#include <string.h>

#include "cursor.h"

static int key_compare(const uint8_t *base, struct dri_key a, struct dri_key b)
{
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return a.len == 0 ? 0 : memcmp(base + a.at, base + b.at, a.len);
}

static void sift_down(const uint8_t *base, struct dri_key *keys, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        struct dri_key swap;

        if (child >= count) {
            return;
        }
        if (child + 1 < count && key_compare(base, keys[child], keys[child + 1]) < 0) {
            child++;
        }
        if (key_compare(base, keys[root], keys[child]) >= 0) {
            return;
        }
        swap = keys[root];
        keys[root] = keys[child];
        keys[child] = swap;
        root = child;
    }
}

static void keys_sort(const uint8_t *base, struct dri_key *keys, size_t count)
{
    for (size_t root = count / 2; root-- > 0;) {
        sift_down(base, keys, root, count);
    }
    for (size_t last = count; last-- > 1;) {
        struct dri_key swap = keys[0];

        keys[0] = keys[last];
        keys[last] = swap;
        sift_down(base, keys, 0, last);
    }
}

static const struct dri_key *few_duplicate(const uint8_t *base, const struct dri_key *keys,
                                           size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (key_compare(base, keys[i], keys[j]) == 0) {
                return &keys[i];
            }
        }
    }
    return NULL;
}

const struct dri_key *dri_keys_duplicate(const uint8_t *base, struct dri_key *keys, size_t count)
{
    if (count <= DRI_KEYS_FEW) {
        return few_duplicate(base, keys, count);
    }
    keys_sort(base, keys, count);
    for (size_t i = 1; i < count; i++) {
        if (key_compare(base, keys[i - 1], keys[i]) == 0) {
            return keys[i - 1].at > keys[i].at ? &keys[i - 1] : &keys[i];
        }
    }
    return NULL;
}

/* On failure the scanner stays where the fault is. */
static enum dray_status keys_collect(struct dri_scanner *scanner, uint32_t pairs,
                                     struct dri_key *keys)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct dray_slice text;
        enum dray_status status = dri_cursor_bytes(scanner, &text);

        if (status == DRAY_OK) {
            keys[i].at = (uint32_t)(text.at - scanner->begin);
            keys[i].len = (uint32_t)text.len;
            status = dri_scanner_skip_payload(scanner, &text);
        }
        if (status != DRAY_OK) {
            return status;
        }
    }
    return DRAY_OK;
}

enum dray_status dri_keys_check_map(struct dri_scanner *scanner, uint32_t pairs)
{
    struct dri_key keys[DRI_KEYS_MAX];
    struct dri_scanner walk = *scanner;
    const struct dri_key *twice;
    enum dray_status status;

    if (pairs > DRI_KEYS_MAX) {
        scanner->error_text = "has too many keys";
        return DRAY_ELIMIT;
    }
    status = keys_collect(&walk, pairs, keys);
    if (status != DRAY_OK) {
        *scanner = walk;
        return status;
    }
    twice = dri_keys_duplicate(scanner->begin, keys, pairs);
    if (twice != NULL) {
        scanner->at = scanner->begin + twice->at;
        scanner->error_text = "is there twice";
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}
