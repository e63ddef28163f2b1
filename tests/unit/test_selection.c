/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>

#include "run/selection.h"
#include "support/test.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- tags: "k=v,k=v" as the msgpack map of short strings ---- */

#define TAGS_BYTES 128

static struct dray_slice tags_of(const char *text, uint8_t buffer[TAGS_BYTES])
{
    size_t at = 1;
    unsigned pairs = 0;
    if (text == NULL) {
        return dray_slice_of(NULL, 0);
    }
    while (*text != '\0') {
        size_t key = strcspn(text, "=");
        size_t value = strcspn(text + key + 1, ",");
        buffer[at++] = (uint8_t)(0xa0 | key);
        memcpy(buffer + at, text, key);
        at += key;
        buffer[at++] = (uint8_t)(0xa0 | value);
        memcpy(buffer + at, text + key + 1, value);
        at += value;
        text += key + 1 + value;
        text += *text == ',';
        pairs++;
    }
    buffer[0] = (uint8_t)(0x80 | pairs);
    return dray_slice_of(buffer, at);
}

/* ---- cases ---- */

struct row {
    const char *version;
    const char *tags;
    uint32_t weight;
    enum dri_route_state state;
};

#define ACTIVE   DRI_ROUTE_ACTIVE
#define PAUSED   DRI_ROUTE_PAUSED
#define DRAINING DRI_ROUTE_DRAINING

static int compare_candidates(const void *a, const void *b)
{
    return dri_candidate_compare((const struct dri_candidate *)a, (const struct dri_candidate *)b);
}

/** The version (with its build) of the row that is chosen, or "none". */
static const char *chosen(const struct row *rows, size_t count, const char *range_text,
                          const char *tags, uint64_t key_hash)
{
    static char text[64];
    struct dri_candidate candidates[16];
    uint8_t route_tags[16][TAGS_BYTES], command_tags[TAGS_BYTES];
    struct dri_semver_range range;
    for (size_t i = 0; i < count; i++) {
        candidates[i] = (struct dri_candidate){
            .tags = tags_of(rows[i].tags, route_tags[i]),
            .weight = rows[i].weight,
            .state = rows[i].state,
        };
        test_ok(dri_semver_parse(dray_slice_text(rows[i].version), &candidates[i].version));
    }
    qsort(candidates, count, sizeof(candidates[0]), compare_candidates);
    if (range_text != NULL) {
        test_ok(dri_semver_range_parse(dray_slice_text(range_text), &range));
    }
    const struct dri_selection selection = {
        .range = range_text == NULL ? NULL : &range,
        .tags = tags_of(tags, command_tags),
        .key_hash = key_hash,
    };
    size_t index = dri_selection_choose(&selection, candidates, count);
    if (index == count) {
        return "none";
    }
    const struct dri_semver *version = &candidates[index].version;
    (void)snprintf(text, sizeof(text), "%u.%u.%u%s%.*s%s%.*s", (unsigned)version->major,
                   (unsigned)version->minor, (unsigned)version->patch,
                   version->pre.at == NULL ? "" : "-", (int)version->pre.len,
                   version->pre.at == NULL ? "" : (const char *)version->pre.at,
                   version->build.at == NULL ? "" : "+", (int)version->build.len,
                   version->build.at == NULL ? "" : (const char *)version->build.at);
    return text;
}

#define assert_chosen(want, rows, range, tags)                                                     \
    assert_string_equal(want, chosen(rows, COUNT(rows), range, tags, 0))

static void the_highest_active_version_runs_when_none_is_wanted(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1.9.0", NULL, 0, ACTIVE}, {"1.10.0", NULL, 0, ACTIVE},  {"1.2.0", NULL, 0, ACTIVE},
        {"2.0.0", NULL, 0, PAUSED}, {"3.0.0", NULL, 0, DRAINING},
    };
    assert_chosen("1.10.0", rows, NULL, NULL);
    assert_string_equal("none", chosen(rows, 0, NULL, NULL, 0));
}

static void a_wanted_version_excludes_all_others(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1.2.0", NULL, 0, ACTIVE}, {"1.3.0", NULL, 0, ACTIVE}, {"2.0.0", NULL, 0, ACTIVE}};
    assert_chosen("1.2.0", rows, "1.2.0", NULL);
    assert_chosen("1.3.0", rows, "^1.2", NULL);
    assert_chosen("1.2.0", rows, "~1.2", NULL);
    assert_chosen("2.0.0", rows, ">=1.2", NULL);
    assert_chosen("1.3.0", rows, "1.x", NULL);
    assert_chosen("none", rows, "3.0.0", NULL);
    assert_chosen("none", rows, "^1.4", NULL);
}

static void a_paused_or_draining_route_is_still_found(void **state)
{
    (void)state;
    static const struct row paused[] = {{"1.0.0", NULL, 0, PAUSED}, {"1.1.0", NULL, 0, DRAINING}};
    assert_chosen("1.0.0", paused, NULL, NULL);
    assert_chosen("1.1.0", paused, "1.1.0", NULL);
    static const struct row draining[] = {{"1.1.0", NULL, 0, DRAINING}};
    assert_chosen("1.1.0", draining, NULL, NULL);
}

static void equal_tags_come_before_wildcards_and_those_before_none(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"4.0.0", NULL, 0, ACTIVE},
        {"3.0.0", "region=*", 0, ACTIVE},
        {"2.0.0", "region=eu", 0, ACTIVE},
        {"1.0.0", "region=eu,tier=gold", 0, ACTIVE},
    };
    assert_chosen("4.0.0", rows, NULL, NULL);
    assert_chosen("4.0.0", rows, NULL, "");
    assert_chosen("4.0.0", rows, NULL, "tier=gold");
    assert_chosen("3.0.0", rows, NULL, "region=us");
    assert_chosen("2.0.0", rows, NULL, "region=eu");
    assert_chosen("2.0.0", rows, NULL, "tier=lead,region=eu");
    assert_chosen("1.0.0", rows, NULL, "tier=gold,region=eu");
    assert_chosen("1.0.0", rows, NULL, "x=y,tier=gold,region=eu");
    assert_chosen("4.0.0", rows, NULL, "Region=eu");
}

static void more_equal_tags_win_over_more_wildcards(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"3.0.0", "a=*,b=*,c=*", 0, ACTIVE},
        {"2.0.0", "a=1", 0, ACTIVE},
        {"1.0.0", "a=1,b=*", 0, ACTIVE},
    };
    assert_chosen("1.0.0", rows, NULL, "a=1,b=2,c=3");
    assert_chosen("2.0.0", rows, NULL, "a=1,c=3");
    assert_chosen("3.0.0", rows, NULL, "a=2,b=2,c=3");
    assert_chosen("none", rows, NULL, "b=2,c=3");
}

static void a_star_in_a_command_is_only_a_text(void **state)
{
    (void)state;
    static const struct row rows[] = {{"2.0.0", "a=1", 0, ACTIVE}, {"1.0.0", NULL, 0, ACTIVE}};
    assert_chosen("1.0.0", rows, NULL, "a=*");
}

static void a_route_with_tags_that_is_paused_does_not_hand_its_commands_on(void **state)
{
    (void)state;
    static const struct row rows[] = {{"1.0.0", "a=1", 0, PAUSED}, {"2.0.0", NULL, 0, ACTIVE}};
    assert_chosen("1.0.0", rows, NULL, "a=1");
    assert_chosen("2.0.0", rows, "2.0.0", "a=1");
}

static void a_pre_release_runs_only_when_it_is_meant_or_alone(void **state)
{
    (void)state;
    static const struct row both[] = {{"1.0.0", NULL, 0, ACTIVE}, {"2.0.0-rc.1", NULL, 0, ACTIVE}};
    assert_chosen("1.0.0", both, NULL, NULL);
    assert_chosen("2.0.0-rc.1", both, "2.0.0-rc.1", NULL);
    assert_chosen("2.0.0-rc.1", both, ">=1.0.0 <=2.0.0-rc.1", NULL);
    static const struct row held[] = {{"1.0.0", NULL, 0, PAUSED}, {"2.0.0-rc.1", NULL, 0, ACTIVE}};
    assert_chosen("1.0.0", held, NULL, NULL);
    static const struct row alone[] = {{"2.0.0-a", NULL, 0, ACTIVE}, {"2.0.0-b", NULL, 0, ACTIVE}};
    assert_chosen("2.0.0-b", alone, NULL, NULL);
}

static void of_two_builds_of_a_version_the_least_is_taken(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1.0.0+b", NULL, 0, ACTIVE}, {"1.0.0+a", NULL, 0, ACTIVE}, {"1.0.0+aa", NULL, 0, ACTIVE}};
    assert_chosen("1.0.0+a", rows, NULL, NULL);
    assert_chosen("1.0.0+a", rows, "1.0.0", NULL);
    assert_chosen("1.0.0+aa", rows, "1.0.0+aa", NULL);
    static const struct row with_none[] = {{"1.0.0+a", NULL, 0, ACTIVE},
                                           {"1.0.0", NULL, 0, ACTIVE}};
    assert_chosen("1.0.0", with_none, NULL, NULL);
}

/** How many of the keys 0..9999, hashed, go to a version. */
static unsigned share(const struct row *rows, size_t count, const char *version)
{
    unsigned hits = 0;
    for (uint64_t key = 0; key < 10000; key++) {
        uint64_t hash = key * 0x9e3779b97f4a7c15u;
        hits += strcmp(version, chosen(rows, count, NULL, NULL, hash)) == 0;
    }
    return hits;
}

static void a_canary_takes_its_share_of_the_keys(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1.0.0", NULL, 0, ACTIVE}, {"1.1.0", NULL, 10, ACTIVE}, {"1.2.0-rc", NULL, 25, ACTIVE}};
    assert_in_range(share(rows, 3, "1.1.0"), 850, 1150);
    assert_in_range(share(rows, 3, "1.2.0-rc"), 2300, 2700);
    assert_in_range(share(rows, 3, "1.0.0"), 6200, 6800);
}

static void one_percent_is_one_percent(void **state)
{
    (void)state;
    static const struct row rows[] = {{"1.0.0", NULL, 0, ACTIVE}, {"1.1.0", NULL, 1, ACTIVE}};
    assert_in_range(share(rows, 2, "1.1.0"), 60, 140);
}

static void keys_that_a_canary_has_stay_with_it_when_its_share_grows(void **state)
{
    (void)state;
    struct row rows[] = {{"1.0.0", NULL, 0, ACTIVE}, {"1.1.0", NULL, 10, ACTIVE}};
    for (uint64_t key = 0; key < 3000; key++) {
        rows[1].weight = 10;
        bool has_it = strcmp("1.1.0", chosen(rows, 2, NULL, NULL, key)) == 0;
        rows[1].weight = 40;
        bool has_it_still = strcmp("1.1.0", chosen(rows, 2, NULL, NULL, key)) == 0;
        assert_true(!has_it || has_it_still);
    }
    rows[1].weight = 100;
    assert_int_equal(share(rows, 2, "1.1.0"), 10000);
}

static void a_canary_that_is_not_active_gives_its_share_back(void **state)
{
    (void)state;
    static const struct row rows[] = {{"1.0.0", NULL, 0, ACTIVE}, {"1.1.0", NULL, 90, PAUSED}};
    assert_int_equal(share(rows, 2, "1.0.0"), 10000);
}

static void pausing_the_stable_route_does_not_send_everything_to_the_canary(void **state)
{
    (void)state;
    static const struct row rows[] = {{"1.0.0", NULL, 0, PAUSED}, {"1.1.0", NULL, 10, ACTIVE}};
    assert_in_range(share(rows, 2, "1.1.0"), 850, 1150);
}

static void a_canary_without_a_stable_route_takes_all(void **state)
{
    (void)state;
    static const struct row rows[] = {{"1.1.0", NULL, 10, ACTIVE}};
    assert_int_equal(share(rows, 1, "1.1.0"), 10000);
}

static void a_canary_of_other_tags_takes_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {{"1.0.0", NULL, 0, ACTIVE}, {"1.1.0", "a=1", 100, ACTIVE}};
    assert_int_equal(share(rows, 2, "1.0.0"), 10000);
    assert_chosen("1.1.0", rows, NULL, "a=1");
}

/* ---- against a model: the rule, written down step by step over lists ---- */

/* Versions in falling order, and which of the ranges below they are in (bit = range). */
static const struct {
    const char *text;
    unsigned ranges;
    bool is_pre;
} pool[] = {
    {"2.1.0", 1u << 3, false},
    {"2.0.0", 1u << 3 | 1u << 4, false},
    {"2.0.0-rc.1", 1u << 5, true},
    {"1.3.0", 1u << 0 | 1u << 3, false},
    {"1.2.7", 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3, false},
    {"1.2.0", 1u << 0 | 1u << 1 | 1u << 3, false},
    {"1.2.0-beta", 0, true},
    {"1.1.0", 0, false},
};
static const char *const pool_ranges[] = {"^1.2",  "~1.2",  ">1.2.0 <1.3",
                                          ">=1.2", "2.0.0", "2.0.0-rc.1"};
static const char *const tag_keys[] = {"a", "b", "c"};
static const char *const tag_values[] = {NULL, "1", "2", "*"};

struct model_route {
    size_t version;   /* in pool */
    unsigned tags[3]; /* in tag_values */
    uint32_t weight;
    enum dri_route_state state;
    bool is_out;
    int equal, wild;
};

static void tags_text(const unsigned tags[3], char *text, size_t bytes)
{
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        if (tags[i] != 0) {
            len += (size_t)snprintf(text + len, bytes - len, "%s%s=%s", len == 0 ? "" : ",",
                                    tag_keys[i], tag_values[tags[i]]);
        }
    }
}

static bool model_any(const struct model_route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!routes[i].is_out) {
            return true;
        }
    }
    return false;
}

typedef bool keep_fn(const struct model_route *route, int arg);

static bool is_stable(const struct model_route *route, int arg)
{
    (void)arg;
    return route->weight == 0;
}
static bool is_release(const struct model_route *route, int arg)
{
    (void)arg;
    return !pool[route->version].is_pre;
}
static bool has_state(const struct model_route *route, int arg)
{
    return (int)route->state == arg;
}
static bool has_score(const struct model_route *route, int arg)
{
    return route->equal * 10 + route->wild == arg;
}

/** Keeps those that have a property, unless none has. */
static bool model_prefer(struct model_route *routes, size_t count, keep_fn *keep, int arg)
{
    bool has_one = false;
    for (size_t i = 0; i < count; i++) {
        has_one = has_one || (!routes[i].is_out && keep(&routes[i], arg));
    }
    for (size_t i = 0; i < count && has_one; i++) {
        routes[i].is_out = routes[i].is_out || !keep(&routes[i], arg);
    }
    return has_one;
}

static void model_match(struct model_route *route, int range, const unsigned tags[3])
{
    route->is_out = range >= 0 && (pool[route->version].ranges >> range & 1u) == 0;
    route->equal = 0;
    route->wild = 0;
    for (int i = 0; i < 3; i++) {
        if (route->tags[i] == 0) {
            continue;
        }
        bool is_wild = route->tags[i] == 3 && tags[i] != 0;
        bool is_equal = !is_wild && route->tags[i] == tags[i];
        route->wild += is_wild;
        route->equal += is_equal;
        route->is_out = route->is_out || !(is_wild || is_equal);
    }
}

/** Index in pool, or -1. place: 0..99. */
static int model_choose(const struct model_route *all, size_t count, int range,
                        const unsigned tags[3], unsigned place)
{
    struct model_route routes[8];
    memcpy(routes, all, count * sizeof(routes[0]));
    for (size_t i = 0; i < count; i++) {
        model_match(&routes[i], range, tags);
    }
    if (!model_any(routes, count)) {
        return -1;
    }
    int best = 0;
    for (size_t i = 0; i < count; i++) {
        int score = routes[i].equal * 10 + routes[i].wild;
        best = !routes[i].is_out && score > best ? score : best;
    }
    (void)model_prefer(routes, count, has_score, best);
    unsigned taken = 0;
    for (size_t v = 0; v < COUNT(pool); v++) {
        for (size_t i = 0; i < count; i++) {
            if (routes[i].version == v && !routes[i].is_out && routes[i].weight != 0 &&
                routes[i].state == DRI_ROUTE_ACTIVE) {
                taken += routes[i].weight;
                if (place < taken) {
                    return (int)v;
                }
            }
        }
    }
    (void)model_prefer(routes, count, is_stable, 0);
    if (range < 0) {
        (void)model_prefer(routes, count, is_release, 0);
    }
    if (!model_prefer(routes, count, has_state, DRI_ROUTE_ACTIVE)) {
        (void)model_prefer(routes, count, has_state, DRI_ROUTE_PAUSED);
    }
    size_t lowest = COUNT(pool);
    for (size_t i = 0; i < count; i++) {
        lowest = !routes[i].is_out && routes[i].version < lowest ? routes[i].version : lowest;
    }
    return (int)lowest;
}

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

/** The place of a hash among 100, found by asking: the least weight with which a canary has the
 * key. */
static unsigned place_of(uint64_t key_hash)
{
    struct row rows[] = {{"1.0.0", NULL, 0, ACTIVE}, {"1.1.0", NULL, 1, ACTIVE}};
    while (strcmp("1.1.0", chosen(rows, 2, NULL, NULL, key_hash)) != 0) {
        rows[1].weight++;
    }
    return rows[1].weight - 1;
}

static size_t random_routes(uint64_t *random, struct model_route routes[8], struct row rows[8],
                            char texts[8][64])
{
    size_t count = 0;
    for (size_t v = 0; v < COUNT(pool); v++) {
        if (next_random(random) % 2 == 0) {
            continue; /* each version at most once: it is part of the key */
        }
        struct model_route route = {
            .version = v,
            .weight = next_random(random) % 3 == 0 ? (uint32_t)(next_random(random) % 70) : 0,
            .state = (enum dri_route_state)(next_random(random) % 5 % 3),
        };
        for (int i = 0; i < 3; i++) {
            route.tags[i] = next_random(random) % 3 == 0 ? (unsigned)(next_random(random) % 4) : 0;
        }
        tags_text(route.tags, texts[count], sizeof(texts[count]));
        rows[count] = (struct row){pool[v].text, texts[count], route.weight, route.state};
        routes[count] = route;
        count++;
    }
    return count;
}

static void the_choice_is_that_of_a_naive_model(void **state)
{
    (void)state;
    uint64_t random = 1;
    unsigned place[64];
    unsigned some = 0, none = 0;
    for (uint64_t key = 0; key < COUNT(place); key++) {
        place[key] = place_of(key);
    }
    for (int turn = 0; turn < 30000; turn++) {
        struct model_route routes[8];
        struct row rows[8];
        char texts[8][64], command_text[64];
        unsigned tags[3];
        size_t count = random_routes(&random, routes, rows, texts);
        int range =
            (int)(next_random(&random) % (2 * COUNT(pool_ranges))) - (int)COUNT(pool_ranges);
        uint64_t key = next_random(&random) % COUNT(place);
        for (int i = 0; i < 3; i++) {
            tags[i] = (unsigned)(next_random(&random) % 3);
        }
        tags_text(tags, command_text, sizeof(command_text));
        int want = model_choose(routes, count, range, tags, place[key]);
        const char *got =
            chosen(rows, count, range < 0 ? NULL : pool_ranges[range], command_text, key);
        assert_string_equal(got, want < 0 ? "none" : pool[want].text);
        some += want >= 0;
        none += want < 0;
    }
    assert_true(some > 5000 && none > 1000); /* both ends were met often */
}

static void a_plain_set_gives_every_command_the_same_route(void **state)
{
    (void)state;
    uint64_t random = 7;
    unsigned plain = 0;
    for (int turn = 0; turn < 3000; turn++) {
        struct model_route routes[8];
        struct row rows[8];
        char texts[8][64];
        struct dri_candidate candidates[8];
        uint8_t bytes[8][TAGS_BYTES];
        size_t count = random_routes(&random, routes, rows, texts);
        for (size_t i = 0; i < count; i++) {
            candidates[i] = (struct dri_candidate){.tags = tags_of(texts[i], bytes[i]),
                                                   .weight = rows[i].weight,
                                                   .state = rows[i].state};
        }
        if (!dri_selection_is_plain(candidates, count)) {
            continue;
        }
        plain++;
        char first[64];
        (void)snprintf(first, sizeof(first), "%s", chosen(rows, count, NULL, NULL, 0));
        for (uint64_t key = 1; key < 20; key++) {
            assert_string_equal(first,
                                chosen(rows, count, NULL, key % 2 == 0 ? "a=1" : "b=2,c=1", key));
        }
    }
    assert_true(plain > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_active_version_runs_when_none_is_wanted),
        cmocka_unit_test(a_wanted_version_excludes_all_others),
        cmocka_unit_test(a_paused_or_draining_route_is_still_found),
        cmocka_unit_test(equal_tags_come_before_wildcards_and_those_before_none),
        cmocka_unit_test(more_equal_tags_win_over_more_wildcards),
        cmocka_unit_test(a_star_in_a_command_is_only_a_text),
        cmocka_unit_test(a_route_with_tags_that_is_paused_does_not_hand_its_commands_on),
        cmocka_unit_test(a_pre_release_runs_only_when_it_is_meant_or_alone),
        cmocka_unit_test(of_two_builds_of_a_version_the_least_is_taken),
        cmocka_unit_test(a_canary_takes_its_share_of_the_keys),
        cmocka_unit_test(one_percent_is_one_percent),
        cmocka_unit_test(keys_that_a_canary_has_stay_with_it_when_its_share_grows),
        cmocka_unit_test(a_canary_that_is_not_active_gives_its_share_back),
        cmocka_unit_test(pausing_the_stable_route_does_not_send_everything_to_the_canary),
        cmocka_unit_test(a_canary_without_a_stable_route_takes_all),
        cmocka_unit_test(a_canary_of_other_tags_takes_nothing),
        cmocka_unit_test(the_choice_is_that_of_a_naive_model),
        cmocka_unit_test(a_plain_set_gives_every_command_the_same_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
