/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* selection.c - one pass over the routes of a name, one number for each.
 *
 * The rules of selection.h are weighed as digits of that number, the strongest first, so that there
 * is one comparison and no order of ifs to get wrong; the test holds it against the rules written
 * down step by step. Tags stay msgpack bytes: sets with tags are few and small, and the common set
 * is chosen from once, when it is made (dri_selection_is_plain).
 */
#include "selection.h"

#include "scanner.h"

#define SCORE_NONE 0u /* does not fit */

static const struct dri_wire_limits any_limits = {UINT32_MAX, DRI_DEPTH_CEILING, UINT32_MAX};

/** Pairs of a map of str to str, as far as they are well-formed. */
static bool next_pair(struct dri_scanner *scanner, uint32_t *left, struct dray_slice *ret_key,
                      struct dray_slice *ret_value)
{
    struct dri_token key, value;
    if (*left == 0 || dri_scanner_next(scanner, &key) != DRAY_OK ||
        dri_scanner_next(scanner, &value) != DRAY_OK) {
        return false;
    }
    (*left)--;
    *ret_key = key.bytes;
    *ret_value = value.bytes;
    return key.type == DRI_TOKEN_STR && value.type == DRI_TOKEN_STR;
}

static uint32_t map_begin(struct dri_scanner *scanner, struct dray_slice map)
{
    struct dri_token token;
    if (map.len == 0) {
        return 0;
    }
    dri_scanner_init(scanner, map, &any_limits);
    bool is_map = dri_scanner_next(scanner, &token) == DRAY_OK && token.type == DRI_TOKEN_MAP;
    return is_map ? token.count : 0;
}

static bool find_tag(struct dray_slice tags, struct dray_slice key, struct dray_slice *ret_value)
{
    struct dri_scanner scanner;
    struct dray_slice found_key;
    uint32_t left = map_begin(&scanner, tags);
    while (next_pair(&scanner, &left, &found_key, ret_value)) {
        if (dray_slice_equal(found_key, key)) {
            return true;
        }
    }
    return false;
}

static uint32_t tag_count(struct dray_slice tags)
{
    struct dri_scanner scanner;
    return map_begin(&scanner, tags);
}

/** How closely the tags of a route meet those of a command: 1 for a route without tags; SCORE_NONE
 * when one of its tags is not met. */
static uint32_t score_tags(struct dray_slice route_tags, struct dray_slice command_tags)
{
    struct dri_scanner scanner;
    struct dray_slice key, wanted, value;
    uint32_t equal = 0, wild = 0;
    uint32_t left = map_begin(&scanner, route_tags);
    while (next_pair(&scanner, &left, &key, &wanted)) {
        if (!find_tag(command_tags, key, &value)) {
            return SCORE_NONE;
        }
        if (dray_slice_equal_text(wanted, "*")) {
            wild++;
        } else if (dray_slice_equal(wanted, value)) {
            equal++;
        } else {
            return SCORE_NONE;
        }
    }
    return 1 + (equal << 12) + wild; /* a message has fewer than 4,096 tags */
}

static uint32_t score(const struct dri_selection *selection, const struct dri_candidate *candidate)
{
    if (selection->range != NULL && !dri_semver_range_has(selection->range, &candidate->version)) {
        return SCORE_NONE;
    }
    return score_tags(candidate->tags, selection->tags);
}

static uint64_t state_rank(enum dri_route_state state)
{
    return state == DRI_ROUTE_ACTIVE ? 2 : state == DRI_ROUTE_PAUSED ? 1 : 0;
}

/** Rules 2, 4 and 5 as one number; the order of candidates is rule 6. */
static uint64_t rank(const struct dri_selection *selection, const struct dri_candidate *candidate,
                     uint32_t candidate_score)
{
    bool is_release = selection->range != NULL || candidate->version.pre.at == NULL;
    return (uint64_t)candidate_score << 8 | (uint64_t)(candidate->weight == 0) << 3 |
           (uint64_t)is_release << 2 | state_rank(candidate->state);
}

static bool is_canary(const struct dri_candidate *candidate)
{
    return candidate->weight != 0 && candidate->state == DRI_ROUTE_ACTIVE;
}

/** 0..99, the same on every replica. Mixed, because lanes and partitions use the hash's bits too.
 *  Source: the finalizer of splitmix64. */
static uint32_t percentile(uint64_t hash)
{
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((hash ^ hash >> 31) % 100);
}

/** The canary that takes this key, or count. */
static size_t choose_canary(const struct dri_selection *selection,
                            const struct dri_candidate *candidates, size_t count, uint32_t best)
{
    uint32_t place = percentile(selection->key_hash);
    uint64_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_canary(&candidates[i]) && score(selection, &candidates[i]) == best) {
            taken += candidates[i].weight;
            if (place < taken) {
                return i;
            }
        }
    }
    return count;
}

size_t dri_selection_choose(const struct dri_selection *selection,
                            const struct dri_candidate *candidates, size_t count)
{
    size_t chosen = count;
    uint64_t best_rank = 0;
    uint32_t best_score = SCORE_NONE;
    bool has_canary = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t candidate_score = score(selection, &candidates[i]);
        if (candidate_score == SCORE_NONE) {
            continue;
        }
        uint64_t candidate_rank = rank(selection, &candidates[i], candidate_score);
        if (chosen == count || candidate_rank > best_rank) {
            chosen = i;
            best_rank = candidate_rank;
            best_score = candidate_score;
        }
        has_canary = has_canary || is_canary(&candidates[i]);
    }
    if (!has_canary) {
        return chosen;
    }
    size_t canary = choose_canary(selection, candidates, count, best_score);
    return canary != count ? canary : chosen;
}

static int compare_build(struct dray_slice a, struct dray_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int dri_candidate_compare(const struct dri_candidate *a, const struct dri_candidate *b)
{
    int order = dri_semver_compare(&b->version, &a->version);
    return order != 0 ? order : compare_build(a->version.build, b->version.build);
}

bool dri_selection_is_plain(const struct dri_candidate *candidates, size_t count)
{
    if (count == 1) {
        return tag_count(candidates[0].tags) == 0; /* a canary alone takes all */
    }
    for (size_t i = 0; i < count; i++) {
        if (is_canary(&candidates[i]) || tag_count(candidates[i].tags) != 0) {
            return false;
        }
    }
    return count != 0;
}
