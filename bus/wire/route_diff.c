/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* route_diff.c - differences of routes, and their three-way merge.
 *
 * All of it works on the bytes: a route keeps the keys that this build does not know. Maps of
 * routes have a few dozen keys, so a key is looked for by walking. Values come from decoded routes,
 * whose depth the scanner has bounded; the recursion goes no deeper.
 */

#include "route_diff.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "packer.h"
#include "scanner.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct dri_wire_limits g_any = {
    .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};
static const struct dray_slice g_absent = {NULL, 0};

/* The pairs of a map, one after the other. */
struct pairs {
    struct dri_scanner scanner;
    uint32_t left;
};

struct pair {
    struct dri_token key;
    struct dray_slice value;
};

/* Whether it is a map, or absent, which has no pairs. */
static bool pairs_begin(struct pairs *pairs, struct dray_slice map)
{
    struct dri_token token = {.type = DRI_TOKEN_NIL};

    pairs->left = 0;
    if (dray_slice_is_absent(map)) {
        return true;
    }
    dri_scanner_init(&pairs->scanner, map, &g_any);
    if (dri_scanner_next(&pairs->scanner, &token) != DRAY_OK || token.type != DRI_TOKEN_MAP) {
        return false;
    }
    pairs->left = token.count;
    return true;
}

static bool pairs_next(struct pairs *pairs, struct pair *ret_pair)
{
    if (pairs->left == 0 || dri_scanner_next(&pairs->scanner, &ret_pair->key) != DRAY_OK ||
        ret_pair->key.type != DRI_TOKEN_STR ||
        dri_scanner_skip(&pairs->scanner, &ret_pair->value) != DRAY_OK) {
        return false;
    }
    pairs->left--;
    return true;
}

static struct dray_slice find(struct dray_slice map, struct dray_slice key)
{
    struct pairs pairs;
    struct pair pair;

    if (pairs_begin(&pairs, map)) {
        while (pairs_next(&pairs, &pair)) {
            if (dray_slice_equal(pair.key.bytes, key)) {
                return pair.value;
            }
        }
    }
    return g_absent;
}

struct dray_slice dri_route_field(struct dray_slice map, const char *key)
{
    return find(map, dray_slice_text(key));
}

/* A map with keys of text: one whose pairs can be looked at by themselves. */
static bool is_map(struct dray_slice value)
{
    struct pairs pairs;
    struct pair pair;

    if (dray_slice_is_absent(value) || !pairs_begin(&pairs, value)) {
        return false;
    }
    while (pairs_next(&pairs, &pair)) {
    }
    return pairs.left == 0;
}

/* ---- the same ---- */

static uint64_t bits_of(double real)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    return bits;
}

static bool is_same_scalar(const struct dri_token *a, const struct dri_token *b)
{
    switch (a->type) {
    case DRI_TOKEN_NIL:
        return true;
    case DRI_TOKEN_BOOL:
        return a->value.boolean == b->value.boolean;
    case DRI_TOKEN_UINT:
        return a->value.u == b->value.u;
    case DRI_TOKEN_INT:
        return a->value.i == b->value.i;
    case DRI_TOKEN_FLOAT:
        return bits_of(a->value.real) == bits_of(b->value.real);
    case DRI_TOKEN_EXT:
        return a->ext_type == b->ext_type && dray_slice_equal(a->bytes, b->bytes);
    case DRI_TOKEN_STR:
    case DRI_TOKEN_BIN:
    default:
        return dray_slice_equal(a->bytes, b->bytes);
    }
}

static bool is_same_array(struct dri_scanner *a, struct dri_scanner *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct dray_slice left;
        struct dray_slice right;

        if (dri_scanner_skip(a, &left) != DRAY_OK || dri_scanner_skip(b, &right) != DRAY_OK ||
            !dri_value_is_same(left, right)) {
            return false;
        }
    }
    return true;
}

/* Whether the value under each key is the one that is found there. Requires: is_map. */
static bool has_unique_keys(struct dray_slice map)
{
    struct pairs pairs;
    struct pair pair;

    (void)pairs_begin(&pairs, map);
    while (pairs_next(&pairs, &pair)) {
        if (find(map, pair.key.bytes).at != pair.value.at) {
            return false;
        }
    }
    return true;
}

/* Requires: they have equally many pairs. So all keys of a in b are all keys of b, too, when those
 * of a differ. */
static bool is_same_map(struct dray_slice a, struct dray_slice b)
{
    struct pairs pairs;
    struct pair pair;

    /* with other keys than text, or with one twice: by their bytes */
    if (!is_map(a) || !is_map(b) || !has_unique_keys(a)) {
        return dray_slice_equal(a, b);
    }
    (void)pairs_begin(&pairs, a);
    while (pairs_next(&pairs, &pair)) {
        if (!dri_value_is_same(pair.value, find(b, pair.key.bytes))) {
            return false;
        }
    }
    return true;
}

bool dri_value_is_same(struct dray_slice a, struct dray_slice b)
{
    struct dri_scanner left;
    struct dri_scanner right;
    struct dri_token head = {.type = DRI_TOKEN_NIL};
    struct dri_token other = {.type = DRI_TOKEN_NIL};

    if (dray_slice_is_absent(a) || dray_slice_is_absent(b)) {
        return dray_slice_is_absent(a) && dray_slice_is_absent(b);
    }
    dri_scanner_init(&left, a, &g_any);
    dri_scanner_init(&right, b, &g_any);
    if (dri_scanner_next(&left, &head) != DRAY_OK || dri_scanner_next(&right, &other) != DRAY_OK ||
        head.type != other.type) {
        return false;
    }
    if (head.type == DRI_TOKEN_ARRAY) {
        return head.count == other.count && is_same_array(&left, &right, head.count);
    }
    if (head.type == DRI_TOKEN_MAP) {
        return head.count == other.count && is_same_map(a, b);
    }
    return is_same_scalar(&head, &other);
}

/* ---- differences ---- */

/* Keys joined by dots; what does not fit is cut. */
struct path {
    char text[DRI_ROUTE_PATH_BYTES];
    size_t len;
};

static void path_add(const struct path *path, struct dray_slice key, struct path *ret_path)
{
    int added = snprintf(ret_path->text, sizeof(ret_path->text), "%.*s%s%.*s", (int)path->len,
                         path->text, path->len == 0 ? "" : ".",
                         (int)(key.len < 200 ? key.len : 200), (const char *)key.at);

    ret_path->len = added < 0 ? 0 : strlen(ret_path->text);
}

struct differences {
    dri_route_difference_fn *fn;
    void *arg;
};

static void differences_at(const struct differences *to, const struct path *path,
                           struct dray_slice before, struct dray_slice after)
{
    struct pairs pairs;
    struct pair pair;
    struct path below;

    (void)pairs_begin(&pairs, before);
    while (pairs_next(&pairs, &pair)) {
        struct dray_slice now = find(after, pair.key.bytes);

        path_add(path, pair.key.bytes, &below);
        if (is_map(pair.value) && is_map(now)) {
            differences_at(to, &below, pair.value, now);
        } else if (!dri_value_is_same(pair.value, now)) {
            to->fn(to->arg, below.text, pair.value, now);
        }
    }
    (void)pairs_begin(&pairs, after);
    while (pairs_next(&pairs, &pair)) {
        if (dray_slice_is_absent(find(before, pair.key.bytes))) {
            path_add(path, pair.key.bytes, &below);
            to->fn(to->arg, below.text, g_absent, pair.value);
        }
    }
}

void dri_route_differences(struct dray_slice before, struct dray_slice after,
                           dri_route_difference_fn *on_difference, void *arg)
{
    const struct differences to = {on_difference, arg};
    const struct path root = {.text = "", .len = 0};

    differences_at(&to, &root, before, after);
}

/* ---- the merge ---- */

static const char *const g_program[] = {"module", "handler", "sha256", "signature", "runtime"};

static bool has_same_program(struct dray_slice a, struct dray_slice b)
{
    for (size_t i = 0; i < COUNT(g_program); i++) {
        struct dray_slice key = dray_slice_text(g_program[i]);

        if (!dri_value_is_same(find(a, key), find(b, key))) {
            return false;
        }
    }
    return true;
}

/* What becomes of one key. */
enum choice {
    CHOICE_NONE, /* it is in neither, or was removed */
    CHOICE_OURS,
    CHOICE_THEIRS,
    CHOICE_BOTH, /* maps: key by key */
    CHOICE_CONFLICT
};

static enum choice choose(const struct dri_route_sides *values, const struct path *path)
{
    struct dray_slice ours = values->ours;
    struct dray_slice theirs = values->theirs;
    bool is_map_there = dray_slice_is_absent(values->ancestor) || is_map(values->ancestor);

    if (dri_value_is_same(ours, theirs) || dri_value_is_same(ours, values->ancestor)) {
        return dray_slice_is_absent(theirs) ? CHOICE_NONE : CHOICE_THEIRS;
    }
    if (dri_value_is_same(theirs, values->ancestor)) {
        return dray_slice_is_absent(ours) ? CHOICE_NONE : CHOICE_OURS;
    }
    if (is_map_there && is_map(ours) && is_map(theirs) &&
        strcmp(path->text, "policy.fallback") != 0) {
        return CHOICE_BOTH;
    }
    return CHOICE_CONFLICT;
}

struct merge {
    struct dri_packer packer;
    struct path conflict;
};

static enum dray_status merge_maps(struct merge *merge, const struct dri_route_sides *sides,
                                   const struct path *path);

/* One key: counted when is_counting, else packed. */
static enum dray_status merge_key(struct merge *merge, const struct dri_route_sides *sides,
                                  const struct path *path, struct dray_slice key,
                                  uint32_t *counting)
{
    struct path below;
    struct dri_route_sides values = {.ancestor = find(sides->ancestor, key),
                                     .ours = find(sides->ours, key),
                                     .theirs = find(sides->theirs, key)};

    path_add(path, key, &below);
    enum choice choice = choose(&values, &below);
    if (choice == CHOICE_CONFLICT) {
        merge->conflict = below;
        return DRAY_ECONFLICT;
    }
    if (choice == CHOICE_NONE) {
        return DRAY_OK;
    }
    if (counting != NULL) {
        (*counting)++;
        return DRAY_OK;
    }
    dri_packer_str(&merge->packer, key);
    if (choice == CHOICE_BOTH) {
        return merge_maps(merge, &values, &below);
    }
    dri_packer_raw(&merge->packer, choice == CHOICE_OURS ? values.ours : values.theirs);
    return DRAY_OK;
}

/* Theirs in their order, then what only ours has. */
static enum dray_status merge_keys(struct merge *merge, const struct dri_route_sides *sides,
                                   const struct path *path, uint32_t *counting)
{
    struct pairs pairs;
    struct pair pair;
    enum dray_status status = DRAY_OK;

    (void)pairs_begin(&pairs, sides->theirs);
    while (status == DRAY_OK && pairs_next(&pairs, &pair)) {
        status = merge_key(merge, sides, path, pair.key.bytes, counting);
    }
    (void)pairs_begin(&pairs, sides->ours);
    while (status == DRAY_OK && pairs_next(&pairs, &pair)) {
        if (dray_slice_is_absent(find(sides->theirs, pair.key.bytes))) {
            status = merge_key(merge, sides, path, pair.key.bytes, counting);
        }
    }
    return status;
}

static enum dray_status merge_maps(struct merge *merge, const struct dri_route_sides *sides,
                                   const struct path *path)
{
    uint32_t count = 0;
    enum dray_status status = merge_keys(merge, sides, path, &count);

    if (status == DRAY_OK) {
        (void)msgpack_pack_map(&merge->packer.pack, count);
        status = merge_keys(merge, sides, path, NULL);
    }
    return status;
}

enum dray_status dri_route_merge(const struct dri_route_sides *sides, void *buffer,
                                 size_t buffer_bytes, size_t *ret_len, char *ret_path)
{
    const struct path root = {.text = "", .len = 0};
    struct merge merge = {.conflict = {.text = "", .len = 0}};

    if (!is_map(sides->ours) || !is_map(sides->theirs) ||
        !(dray_slice_is_absent(sides->ancestor) || is_map(sides->ancestor))) {
        return DRAY_EINVALID;
    }
    if (!has_same_program(sides->ours, sides->theirs) &&
        !has_same_program(sides->ours, sides->ancestor) &&
        !has_same_program(sides->theirs, sides->ancestor)) {
        (void)snprintf(ret_path, DRI_ROUTE_PATH_BYTES, "%s", g_program[0]);
        return DRAY_ECONFLICT;
    }
    dri_packer_init(&merge.packer, buffer, buffer_bytes);
    enum dray_status status = merge_maps(&merge, sides, &root);
    if (status == DRAY_ECONFLICT) {
        (void)snprintf(ret_path, DRI_ROUTE_PATH_BYTES, "%s", merge.conflict.text);
    }
    return status == DRAY_OK ? dri_packer_end(&merge.packer, ret_len) : status;
}
