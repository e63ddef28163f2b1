/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* grouping.c - routes to groups.
 *
 * The core knows groups as small numbers. A route gets a number of its own when it has a limit, a
 * breaker or a state other than active, from the first command that is seen of it. The numbers
 * before those are shared by all other commands, by a hash of namespace and name: they have no
 * limits and are there for the turns only, so that a command of which ten thousand wait does not
 * stand before another one. Two names may share a number, and then a turn.
 *
 * No route is looked up while no route is special and none is paused by a failure of kind auth: the
 * common case pays for one comparison a turn and one hash a command. When the registry has changed
 * everything in flight is looked up again, once: 10,000 commands are about two milliseconds. To
 * walk the routes instead, and to tell the core of each, was rejected: routes may be many more than
 * what is in flight, and the walk belongs to the writer's thread.
 *
 * While most commands of the worker fail (core/systemic.c) a route whose command does is given a
 * number as one that failed with auth is, so that it is stopped and not what shares its turns.
 *
 * A route that nobody uses while the registry changes loses what its breaker knew. When three
 * quarters of the numbers are taken a change of the registry gives all of them anew; a rate then
 * begins without a token, because what its route started before is counted under another number.
 */
#include "grouping.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "card.h"
#include "groups.h"
#include "hash.h"
#include "log.h"
#include "mem.h"
#include "routing.h"

#define SHARE_UNKNOWN 100u /* until the other replicas were heard: nobody notices so little */
#define CLASSES       15u /* groups by name; a step of a lane looks at no more lines than it serves */

struct known {
    char key[DRI_ROUTE_KEY_BYTES_MAX + 1];
    uint64_t hash;
    uint64_t revision;        /* whose limits the core has; 0: none */
    bool is_forced;           /* has no limits, but failed with kind auth, or while most do */
    bool is_rate_shared;      /* by all replicas */
    bool is_adaptive;         /* its limit finds itself */
    bool is_seen;             /* in the present walk */
    bool is_dependency;       /* of routes; the key is its name, which has no slash */
    enum dri_breaker breaker; /* as it was last told of */
    struct dri_card *card;    /* a share; NULL: no fallback */
};

struct dri_grouping {
    struct dri_core *core;     /* borrowed */
    struct dri_intake *intake; /* borrowed */
    struct dri_router *router; /* borrowed; NULL: none */
    const struct dri_router_ops *ops;
    const char *namespace_; /* of commands without one */
    uint32_t classes;
    uint32_t rest; /* group of all paused routes that have no number; 0: there are no groups */
    struct dri_cards cards;
    struct known *known; /* owned; group number is its place + 1 + classes */
    uint32_t known_count, known_max;
    uint32_t *table; /* owned; by hash: place + 1 */
    uint32_t mask;
    uint64_t revision;
    uint64_t breaker_changes;
    uint32_t share; /* of a rate that all replicas share */
    uint32_t dependency_failures, dependency_open_ms;
    bool has_dependencies, is_walking;
    uint32_t forced_count, adaptive_count;
    bool has_special, is_inside, is_full_told, has_rest;
    bool is_systemic; /* as it was last told of */
};

enum dray_status dri_grouping_create(const struct dri_engine_config *config, struct dri_core *core,
                                     struct dri_intake *intake, struct dri_grouping **ret_grouping)
{
    struct dri_grouping *grouping = dri_zalloc(sizeof(*grouping));
    if (grouping == NULL) {
        return DRAY_ENOMEM;
    }
    uint32_t groups = config->core.groups_max;
    grouping->core = core;
    grouping->intake = intake;
    grouping->router = config->router;
    grouping->namespace_ = config->namespace_;
    grouping->share = SHARE_UNKNOWN;
    grouping->dependency_failures = config->dependency_failures;
    grouping->dependency_open_ms = config->dependency_open_ms;
    grouping->classes = groups > 2 * CLASSES ? CLASSES : groups / 2;
    grouping->known_max = groups > grouping->classes ? groups - grouping->classes - 1 : 0;
    grouping->rest = groups;
    grouping->mask = 1;
    while (grouping->mask < 2 * grouping->known_max) {
        grouping->mask = grouping->mask * 2;
    }
    grouping->mask--;
    if (config->router != NULL) {
        grouping->ops = ((const struct dri_router_base *)(const void *)config->router)->ops;
    }
    grouping->known = dri_zalloc_array(grouping->known_max + 1, sizeof(*grouping->known));
    grouping->table = dri_zalloc_array((size_t)grouping->mask + 1, sizeof(*grouping->table));
    if (grouping->known == NULL || grouping->table == NULL) {
        dri_grouping_destroy(grouping);
        return DRAY_ENOMEM;
    }
    *ret_grouping = grouping;
    return DRAY_OK;
}

void dri_grouping_destroy(struct dri_grouping *grouping)
{
    if (grouping != NULL) {
        dri_cards_fini(&grouping->cards);
        dri_free(grouping->known);
        dri_free(grouping->table);
        dri_free(grouping);
    }
}

/* --- groups by name --- */

static uint32_t class_of(const struct dri_grouping *grouping, const struct dri_flight *flight)
{
    const struct dri_envelope *envelope = &flight->envelope;
    if (grouping->classes == 0 || flight->is_duplicate || flight->invalid != DRAY_KIND_NONE) {
        return 0;
    }
    uint64_t hash =
        envelope->command.at != NULL ? dri_hash64(envelope->command) : envelope->fid * 31u;
    if ((const char *)envelope->namespace_.at != grouping->namespace_) {
        hash ^= dri_hash64(envelope->namespace_);
    }
    return 1 + (uint32_t)((hash >> 32) % grouping->classes);
}

/* --- groups of routes --- */

static uint32_t number_of(const struct dri_grouping *grouping, const struct known *known)
{
    return (uint32_t)(known - grouping->known) + 1 + grouping->classes;
}

static struct known *find(const struct dri_grouping *grouping, uint64_t hash, struct dray_slice key,
                          uint32_t *ret_at)
{
    for (uint32_t at = (uint32_t)hash & grouping->mask;; at = (at + 1) & grouping->mask) {
        uint32_t place = grouping->table[at];
        *ret_at = at;
        if (place == 0) {
            return NULL;
        }
        struct known *known = &grouping->known[place - 1];
        if (known->hash == hash && dray_slice_equal_text(key, known->key)) {
            return known;
        }
    }
}

static struct known *find_or_add(struct dri_grouping *grouping, struct dray_slice key)
{
    uint64_t hash = dri_hash64(key);
    uint32_t at = 0;
    struct known *known = find(grouping, hash, key, &at);
    if (known != NULL || key.len > DRI_ROUTE_KEY_BYTES_MAX) {
        return known;
    }
    if (grouping->known_count == grouping->known_max) {
        if (!grouping->is_full_told) {
            DRI_LOG(DRI_LOG_ERROR, "ENG-GROUPS", "more routes with limits than there is room for",
                    DRI_SLICE("route", key), DRI_UINT("most", grouping->known_max));
        }
        grouping->is_full_told = true;
        return NULL;
    }
    known = &grouping->known[grouping->known_count++];
    *known = (struct known){.hash = hash};
    memcpy(known->key, key.at, key.len);
    grouping->table[at] = grouping->known_count;
    return known;
}

/* Namespace and name of the key are those of the command, by whatever version and fid it came. */
static void set_window(struct dri_flight *flight, const struct dri_routing *routing)
{
    const uint8_t *end = routing->key.at != NULL && routing->window_ms != 0
                             ? memchr(routing->key.at, '@', routing->key.len)
                             : NULL;
    flight->window_ms = end != NULL ? routing->window_ms : 0;
    if (end != NULL) {
        flight->window_scope =
            dri_hash64(dray_slice_of(routing->key.at, (size_t)(end - routing->key.at)));
    }
}

static bool has_limits(const struct dri_routing *routing)
{
    const struct dri_group_limits *limits = &routing->limits;
    return limits->is_paused || limits->concurrency != 0 || limits->rate != 0 ||
           limits->failures != 0 || routing->depends_count != 0 ||
           !dray_slice_is_absent(routing->fallback);
}

/* The fallback of a route is a new card; who was answered with the one before keeps that. */
static void set_card(struct dri_grouping *grouping, struct known *known,
                     const struct dri_routing *routing)
{
    dri_card_release(&grouping->cards, known->card);
    known->card = NULL;
    if (!dray_slice_is_absent(routing->fallback) &&
        dri_card_create(&grouping->cards, routing->version, routing->fallback, &known->card) !=
            DRAY_OK) {
        DRI_LOG(DRI_LOG_ERROR, "ENG-CARD", "no memory for the fallback of a route: it has none",
                DRI_TEXT("route", known->key));
    }
}

/* The group of a dependency; 0: there is no room, or no breaker. */
static uint32_t dependency_of(struct dri_grouping *grouping, struct dray_slice name)
{
    const struct dri_group_limits limits = {.failures = grouping->dependency_failures,
                                            .open_ms = grouping->dependency_open_ms};
    struct known *known = limits.failures != 0 ? find_or_add(grouping, name) : NULL;
    if (known == NULL) {
        return 0;
    }
    grouping->has_dependencies = true;
    known->is_dependency = true;
    known->is_seen = true;
    if (known->revision == 0) {
        known->revision = 1; /* no route says what holds for it */
        dri_core_group_set(grouping->core, number_of(grouping, known), &limits);
    }
    return number_of(grouping, known);
}

static void set_adaptive(struct dri_grouping *grouping, struct known *known, bool is_adaptive)
{
    grouping->adaptive_count += is_adaptive && !known->is_adaptive ? 1 : 0;
    grouping->adaptive_count -= !is_adaptive && known->is_adaptive ? 1 : 0;
    known->is_adaptive = is_adaptive;
}

static void set_limits(struct dri_grouping *grouping, struct known *known,
                       const struct dri_routing *routing)
{
    struct dri_group_limits limits = routing->limits;
    uint32_t count = 0;
    for (uint32_t i = 0; i < routing->depends_count; i++) {
        limits.depends[count] = dependency_of(grouping, routing->depends[i]);
        count += limits.depends[count] != 0 ? 1 : 0;
    }
    set_card(grouping, known, routing);
    set_adaptive(grouping, known, limits.concurrency_min != 0);
    limits.has_fallback = known->card != NULL;
    known->is_rate_shared = routing->is_rate_shared;
    limits.share = known->is_rate_shared ? grouping->share : 0;
    dri_core_group_set(grouping->core, number_of(grouping, known), &limits);
}

static void see_dependencies(struct dri_grouping *grouping, const struct dri_routing *routing)
{
    for (uint32_t i = 0; i < routing->depends_count && grouping->is_walking; i++) {
        (void)dependency_of(grouping, routing->depends[i]);
    }
}

/* Without a number a route may do without its limits, but not run while it is paused: its lanes
 * would hand it back at once, again and again. */
static uint32_t rest_of(struct dri_grouping *grouping)
{
    static const struct dri_group_limits paused = {.is_paused = true};
    if (!grouping->has_rest && grouping->rest != 0) {
        grouping->has_rest = true;
        dri_core_group_set(grouping->core, grouping->rest, &paused);
    }
    return grouping->rest;
}

/* The group of a route; 0: it needs none. */
static uint32_t group_of(struct dri_grouping *grouping, const struct dri_routing *routing,
                         bool is_forced)
{
    struct known *known = NULL;
    uint32_t at = 0;
    if (routing->key.at == NULL) {
        return 0;
    }
    if (has_limits(routing) || is_forced) {
        known = find_or_add(grouping, routing->key);
    } else if (grouping->forced_count > 0) {
        known = find(grouping, dri_hash64(routing->key), routing->key, &at);
        known = known != NULL && known->is_forced ? known : NULL;
    }
    if (known == NULL) {
        return routing->limits.is_paused ? rest_of(grouping) : 0;
    }
    /* One with limits keeps its number when its breaker closes. */
    bool needs_force = !has_limits(routing) && (is_forced || known->is_forced);
    grouping->forced_count += needs_force && !known->is_forced ? 1 : 0;
    grouping->forced_count -= !needs_force && known->is_forced ? 1 : 0;
    known->is_forced = needs_force;
    if (known->revision != routing->revision) {
        known->revision = routing->revision;
        set_limits(grouping, known, routing);
    } else {
        see_dependencies(grouping, routing);
    }
    known->is_seen = true;
    return number_of(grouping, known);
}

static void forget(struct dri_grouping *grouping, struct known *known)
{
    static const struct dri_group_limits none;
    grouping->forced_count -= known->is_forced ? 1 : 0;
    known->is_forced = false;
    known->is_rate_shared = false;
    set_adaptive(grouping, known, false);
    known->revision = 0;
    dri_card_release(&grouping->cards, known->card);
    known->card = NULL;
    dri_core_group_set(grouping->core, number_of(grouping, known), &none);
}

/* --- everything in flight --- */

static void place_anew(void *arg, struct dri_flight *flight)
{
    struct dri_grouping *grouping = arg;
    struct dri_routing routing = {.revision = 0};
    uint32_t number = 0;
    bool can_matter = flight->is_with_lane || flight->is_deaf ||
                      flight->state == DRI_FLIGHT_QUEUED || flight->state == DRI_FLIGHT_WAITING;
    if (!can_matter || flight->is_duplicate || flight->invalid != DRAY_KIND_NONE) {
        return;
    }
    grouping->ops->resolve(grouping->router, flight, &routing);
    set_window(flight, &routing);
    number = group_of(grouping, &routing, false);
    dri_core_regroup(grouping->core, flight, number != 0 ? number : class_of(grouping, flight));
}

/* When the numbers come to an end all are given anew, to routes that have something in flight. */
static void make_room(struct dri_grouping *grouping)
{
    if (grouping->known_count * 4 <= grouping->known_max * 3) {
        return;
    }
    for (uint32_t i = 0; i < grouping->known_max; i++) {
        forget(grouping, &grouping->known[i]); /* all of them: whoever gets one begins carefully */
    }
    memset(grouping->table, 0, ((size_t)grouping->mask + 1) * sizeof(*grouping->table));
    grouping->known_count = 0;
}

/* Requires: inside. */
static void place_all_anew(struct dri_grouping *grouping)
{
    for (uint32_t i = 0; i < grouping->known_count; i++) {
        grouping->known[i].is_seen = false;
    }
    grouping->has_rest = false; /* set anew when it is needed: it may have held some */
    grouping->is_walking = true;
    dri_intake_each(grouping->intake, place_anew, grouping);
    grouping->is_walking = false;
    for (uint32_t i = 0; i < grouping->known_count; i++) {
        if (!grouping->known[i].is_seen && grouping->known[i].revision != 0) {
            forget(grouping, &grouping->known[i]);
        }
    }
}

void dri_grouping_set_replicas(struct dri_grouping *grouping, uint32_t replicas)
{
    grouping->share = replicas != 0 ? replicas : SHARE_UNKNOWN;
    for (uint32_t i = 0; i < grouping->known_count; i++) {
        if (grouping->known[i].is_rate_shared) {
            dri_core_group_share(grouping->core, number_of(grouping, &grouping->known[i]),
                                 grouping->share);
        }
    }
}

void dri_grouping_each_limit(const struct dri_grouping *grouping, dri_route_limit_fn *fn, void *arg)
{
    uint32_t left = grouping->adaptive_count;
    for (uint32_t i = 0; left > 0; i++) {
        const struct known *known = &grouping->known[i];
        DRI_ASSERT(i < grouping->known_count);
        if (known->is_adaptive) {
            left--;
            fn(arg, known->key,
               dri_core_group_concurrency(grouping->core, number_of(grouping, known)));
        }
    }
}

/* --- breakers --- */

static void tell_of_dependency(const struct known *known, bool has_opened)
{
    if (has_opened) {
        DRI_LOG(DRI_LOG_WARN, "ENG-DEPENDENCY",
                "the breaker of a dependency has opened: the commands of all routes that depend on "
                "it wait, and one is tried from time to time",
                DRI_TEXT("dependency", known->key));
    } else {
        DRI_LOG(DRI_LOG_INFO, "ENG-DEPENDENCY-CLOSED", "the breaker of a dependency has closed",
                DRI_TEXT("dependency", known->key));
    }
}

static void tell_of(struct dri_grouping *grouping, struct known *known)
{
    enum dri_breaker breaker = dri_core_group_breaker(grouping->core, number_of(grouping, known));
    bool was_closed = known->breaker == DRI_BREAKER_CLOSED;
    known->breaker = breaker;
    if (was_closed == (breaker == DRI_BREAKER_CLOSED)) {
        return;
    }
    if (known->is_dependency) {
        tell_of_dependency(known, was_closed);
        return;
    }
    if (was_closed) {
        DRI_LOG(
            DRI_LOG_WARN, "ENG-BREAKER",
            "a route's breaker has opened: its commands wait, and one is tried from time to time",
            DRI_TEXT("route", known->key));
        return;
    }
    DRI_LOG(DRI_LOG_INFO, "ENG-BREAKER-CLOSED", "a route's breaker has closed",
            DRI_TEXT("route", known->key));
    if (known->is_forced) {
        forget(grouping, known);
    }
}

static void look_at_systemic(struct dri_grouping *grouping)
{
    bool is_systemic = dri_core_is_systemic(grouping->core);
    if (is_systemic == grouping->is_systemic) {
        return;
    }
    grouping->is_systemic = is_systemic;
    if (is_systemic) {
        dri_log_write(DRI_LOG_WARN, "ENG-SYSTEMIC",
                      "most commands fail: none is dead-lettered for that, a route that fails "
                      "waits, and one command of it is tried from time to time",
                      NULL, 0);
    } else {
        dri_log_write(DRI_LOG_INFO, "ENG-SYSTEMIC-OVER",
                      "a route that was stopped because most commands failed works again", NULL, 0);
    }
}

static void look_at_breakers(struct dri_grouping *grouping)
{
    uint64_t changes = dri_core_breaker_changes(grouping->core);
    if (changes == grouping->breaker_changes) {
        return;
    }
    for (uint32_t i = 0; i < grouping->known_count; i++) {
        tell_of(grouping, &grouping->known[i]);
    }
    grouping->breaker_changes = dri_core_breaker_changes(grouping->core);
}

/* --- the turn --- */

static void go_inside(struct dri_grouping *grouping)
{
    if (!grouping->is_inside) {
        grouping->is_inside = true;
        grouping->ops->enter(grouping->router);
    }
}

bool dri_grouping_begin(struct dri_grouping *grouping)
{
    if (grouping->router == NULL) {
        return false;
    }
    look_at_systemic(grouping);
    look_at_breakers(grouping);
    uint64_t revision = grouping->ops->revision(grouping->router);
    bool has_changed = revision != grouping->revision;
    if (has_changed) {
        grouping->revision = revision;
        grouping->has_special = grouping->ops->has_special(grouping->router);
        grouping->is_full_told = false;
    }
    bool is_needed = grouping->has_special || grouping->forced_count > 0;
    has_changed = has_changed && (is_needed || grouping->known_count > 0);
    if (is_needed || has_changed) {
        go_inside(grouping);
    }
    if (has_changed) {
        make_room(grouping);
        place_all_anew(grouping);
    }
    return has_changed;
}

void dri_grouping_end(struct dri_grouping *grouping)
{
    if (grouping->is_inside) {
        grouping->is_inside = false;
        grouping->ops->leave(grouping->router);
    }
}

void dri_grouping_place(struct dri_grouping *grouping, struct dri_flight *flight)
{
    struct dri_routing routing;
    flight->group = class_of(grouping, flight);
    if (!grouping->is_inside || flight->is_duplicate || flight->invalid != DRAY_KIND_NONE) {
        return;
    }
    grouping->ops->resolve(grouping->router, flight, &routing);
    set_window(flight, &routing);
    if (routing.has_order) {
        dri_intake_order(grouping->intake, flight, routing.order, routing.key_concurrency);
    }
    uint32_t number = group_of(grouping, &routing, false);
    flight->group = number != 0 ? number : flight->group;
}

/* Whether its group has the limits of a route now. */
static bool is_of_route(const struct dri_grouping *grouping, const struct dri_flight *flight)
{
    return flight->group > grouping->classes &&
           grouping->known[flight->group - 1 - grouping->classes].revision != 0;
}

void dri_grouping_answer(struct dri_grouping *grouping, struct dri_flight *flight)
{
    if (!flight->is_fallback || flight->card != NULL) {
        return;
    }
    DRI_ASSERT(flight->group > grouping->classes);
    struct dri_card *card = grouping->known[flight->group - 1 - grouping->classes].card;
    flight->card = dri_card_retain(card);
}

void dri_grouping_released(struct dri_grouping *grouping, struct dri_flight *flight)
{
    dri_card_release(&grouping->cards, flight->card);
    flight->card = NULL;
}

/* Whether it opens the breaker of its route, though that may have no limits. */
static bool opens_breaker(const struct dri_grouping *grouping, const struct dri_flight *flight)
{
    return flight->was_run && (flight->kind == DRAY_KIND_AUTH ||
                               (dri_kind_is_unwell(flight->kind) && !flight->is_cancelled &&
                                dri_core_is_systemic(grouping->core)));
}

/* A failure may name the dependency that failed: its code is the name, alone or before a colon. */
static uint32_t blamed(const struct dri_grouping *grouping, const struct dri_flight *flight)
{
    struct dray_slice name = flight->error_code;
    uint32_t at = 0;
    if (!grouping->has_dependencies || !flight->was_run || name.len == 0) {
        return 0;
    }
    const uint8_t *colon = memchr(name.at, ':', name.len);
    name.len = colon != NULL ? (size_t)(colon - name.at) : name.len;
    const struct known *known = find(grouping, dri_hash64(name), name, &at);
    return known != NULL && known->is_dependency ? number_of(grouping, known) : 0;
}

void dri_grouping_done(struct dri_grouping *grouping, struct dri_flight *flight)
{
    struct dri_routing routing;
    flight->blamed = blamed(grouping, flight);
    if (grouping->router == NULL || !opens_breaker(grouping, flight) ||
        is_of_route(grouping, flight)) {
        return; /* a route's group opens by itself */
    }
    go_inside(grouping);
    grouping->ops->resolve(grouping->router, flight, &routing);
    if (group_of(grouping, &routing, true) != 0) {
        place_all_anew(grouping);
    }
}
