/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_route_diff - an ancestor and two changes of it, one value after the other.
 *
 * Whatever is in a log is compared and merged, also what no route would be. Of maps that have no
 * key twice a merge is the same from both sides, what both agree on stays as it is, and a change
 * that only one has made is taken whole.
 */

#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "wire/route_diff.h"
#include "wire/scanner.h"

#define SIDES     3u
#define BYTES_MAX 8192u
#define KEYS_MAX  64u

static const struct dri_wire_limits limits = {
    .message_bytes = BYTES_MAX, .depth = 16, .elements = 4096};

/* Whether a map somewhere in the value has a key twice, or more keys than are looked at. */
static bool has_twice(struct dray_slice value)
{
    struct dri_scanner scanner;
    struct dri_token token = {.type = DRI_TOKEN_NIL};
    struct dray_slice keys[KEYS_MAX];
    bool is_twice = false;

    dri_scanner_init(&scanner, value, &limits);
    FUZZ_CHECK(dri_scanner_next(&scanner, &token) == DRAY_OK);
    if (token.type != DRI_TOKEN_MAP && token.type != DRI_TOKEN_ARRAY) {
        return false;
    }
    if (token.count > KEYS_MAX) {
        return true;
    }
    for (uint32_t i = 0; i < token.count && !is_twice; i++) {
        struct dray_slice item;
        struct dri_token key = {.type = DRI_TOKEN_NIL};

        if (token.type == DRI_TOKEN_MAP) {
            struct dri_scanner inner;
            FUZZ_CHECK(dri_scanner_skip(&scanner, &item) == DRAY_OK);
            dri_scanner_init(&inner, item, &limits);
            FUZZ_CHECK(dri_scanner_next(&inner, &key) == DRAY_OK);
            keys[i] = key.type == DRI_TOKEN_STR ? key.bytes : item;
            for (uint32_t k = 0; k < i; k++) {
                is_twice = is_twice || dray_slice_equal(keys[k], keys[i]);
            }
        }
        FUZZ_CHECK(dri_scanner_skip(&scanner, &item) == DRAY_OK);
        is_twice = is_twice || has_twice(item);
    }
    return is_twice;
}

static void count_one(void *arg, const char *path, struct dray_slice before,
                      struct dray_slice after)
{
    size_t *count = arg;

    FUZZ_CHECK(strlen(path) < DRI_ROUTE_PATH_BYTES);
    FUZZ_CHECK(before.at != NULL || after.at != NULL);
    (*count)++;
}

static size_t differences(struct dray_slice a, struct dray_slice b)
{
    size_t count = 0;

    dri_route_differences(a, b, count_one, &count);
    return count;
}

/* Merges; a result is one whole value. */
static enum dray_status merge(struct dray_slice ancestor, struct dray_slice ours,
                              struct dray_slice theirs, struct dray_slice *ret_result)
{
    static uint8_t buffers[2][4 * BYTES_MAX];
    static unsigned turn;
    const struct dri_route_sides sides = {ancestor, ours, theirs};
    char path[DRI_ROUTE_PATH_BYTES] = "";
    size_t len = 0;
    uint8_t *buffer = buffers[turn++ % 2];
    enum dray_status status = dri_route_merge(&sides, buffer, sizeof(buffers[0]), &len, path);

    FUZZ_CHECK(path[0] == '\0' || status == DRAY_ECONFLICT);
    *ret_result = dray_slice_of(NULL, 0);
    if (status == DRAY_OK) {
        struct dri_wire_limits any = limits;
        struct dri_scanner scanner;
        any.message_bytes = sizeof(buffers[0]);
        any.elements = UINT32_MAX;
        dri_scanner_init(&scanner, dray_slice_of(buffer, len), &any);
        FUZZ_CHECK(dri_scanner_skip(&scanner, ret_result) == DRAY_OK);
        FUZZ_CHECK(dri_scanner_left(&scanner) == 0);
    }
    return status;
}

static void check_laws(const struct dray_slice sides[SIDES])
{
    struct dray_slice one;
    struct dray_slice other;

    for (size_t i = 0; i < SIDES; i++) {
        FUZZ_CHECK(dri_value_is_same(sides[i], sides[i]));
        FUZZ_CHECK(differences(sides[i], sides[i]) == 0);
    }
    FUZZ_CHECK(differences(sides[0], sides[1]) == differences(sides[1], sides[0]));
    enum dray_status status = merge(sides[0], sides[1], sides[2], &one);
    FUZZ_CHECK(merge(sides[0], sides[2], sides[1], &other) == status);
    FUZZ_CHECK(dri_value_is_same(one, other));
    if (status == DRAY_EINVALID) {
        return;
    }
    FUZZ_CHECK(merge(sides[0], sides[1], sides[1], &one) == DRAY_OK);
    FUZZ_CHECK(dri_value_is_same(one, sides[1]));
    FUZZ_CHECK(merge(sides[0], sides[1], sides[0], &one) == DRAY_OK);
    FUZZ_CHECK(dri_value_is_same(one, sides[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dray_slice sides[SIDES];
    struct dri_scanner scanner;
    struct dray_slice result;
    bool is_odd = false;

    if (size > BYTES_MAX) {
        return 0;
    }
    /* bytes that nobody has checked */
    (void)dri_value_is_same(dray_slice_of(data, size), dray_slice_of(data, size / 2));
    (void)dri_value_is_same(dray_slice_of(data, size), dray_slice_of(data, size));
    (void)differences(dray_slice_of(data, size), dray_slice_of(data, size));
    for (size_t i = 0; i < SIDES; i++) {
        dri_scanner_init(&scanner, dray_slice_of(data, size), &limits);
        if (dri_scanner_skip(&scanner, &sides[i]) != DRAY_OK) {
            return 0;
        }
        data += sides[i].len;
        size -= sides[i].len;
        is_odd = has_twice(sides[i]) || is_odd;
    }
    FUZZ_CHECK(dri_value_is_same(sides[0], sides[0]));
    FUZZ_CHECK(dri_value_is_same(sides[0], sides[1]) == dri_value_is_same(sides[1], sides[0]));
    if (!is_odd) {
        check_laws(sides);
        return 0;
    }
    (void)differences(sides[0], sides[1]);
    (void)merge(sides[0], sides[1], sides[2], &result);
    return 0;
}
