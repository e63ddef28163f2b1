/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* retry.c - when a failed command of a route runs again, beyond `attempts` and `backoff_ms`.
 *
 *   backoff: {base_ms: 200, factor: 2, max_ms: 60000, jitter: 10}      the wait grows
 *   retry: {timeout: {attempts: 6}, rejected: {attempts: 2}}           by kind of failure
 *   retry: {network: {backoff: {base_ms: 50, max_ms: 1000}}}           its waits, too
 *
 * `backoff` is a key of its own and not another form of `backoff_ms`: a reader of an older build
 * refuses a route whose `backoff_ms` is a map, and passes over a key that it does not know. A kind
 * in `retry` is a map for the same reason. It has no list of waits: eight numbers for each kind of
 * each route are a lot of memory, and a factor says as much.
 *
 * Not every kind can be there. `expired`, `held` and `crash` are no answers of a handler; running
 * them again is decided elsewhere. They count as keys that are not known: kept, without effect.
 */

#include "retry.h"

#include "fields.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define FACTOR_DEFAULT 2u
#define FACTOR_MAX     100u
#define JITTER_DEFAULT 10u
#define JITTER_MAX     100u
#define POLICY_DEPTH   1u

/** X(name, word): the kinds that a policy can say something of. */
#define RETRY_KIND_TABLE(X)                                                                        \
    X(TIMEOUT, "timeout")                                                                          \
    X(NETWORK, "network")                                                                          \
    X(UNAVAILABLE, "unavailable")                                                                  \
    X(CONFLICT, "conflict")                                                                        \
    X(INTERNAL, "internal")                                                                        \
    X(INVALID, "invalid")                                                                          \
    X(NOT_FOUND, "not_found")                                                                      \
    X(REJECTED, "rejected")                                                                        \
    X(LIMIT, "limit")                                                                              \
    X(AUTH, "auth")

static const enum dray_error_kind g_kinds[] = {
#define RETRY_KIND(kind, word) DRAY_KIND_##kind,
    RETRY_KIND_TABLE(RETRY_KIND)
#undef RETRY_KIND
};

struct kind_maps {
    struct dray_slice at[DRAY_KIND_COUNT];
};

#define BACKOFF(prefix, name_, member)                                                             \
    {                                                                                              \
        .name = (name_), .label = prefix name_, .at = offsetof(struct dri_backoff, member),        \
        .type = DRI_FIELD_U32                                                                      \
    }

enum {
    BASE,
    FACTOR,
    MAX,
    JITTER,
    BACKOFF_COUNT
};

#define BACKOFF_FIELDS(prefix)                                                                     \
    {                                                                                              \
        [BASE] = BACKOFF(prefix, "base_ms", base_ms),                                              \
        [FACTOR] = BACKOFF(prefix, "factor", factor), [MAX] = BACKOFF(prefix, "max_ms", max_ms),   \
        [JITTER] = BACKOFF(prefix, "jitter", jitter),                                              \
    }

static const struct dri_field g_backoff_fields[BACKOFF_COUNT] = BACKOFF_FIELDS("policy.backoff.");

static const struct dri_field g_kind_backoff_fields[][BACKOFF_COUNT] = {
#define RETRY_KIND_BACKOFF(kind, word) BACKOFF_FIELDS("policy.retry." word ".backoff."),
    RETRY_KIND_TABLE(RETRY_KIND_BACKOFF)
#undef RETRY_KIND_BACKOFF
};

static const struct dri_field g_kind_fields[] = {
#define RETRY_KIND_FIELD(kind, word)                                                               \
    {.name = (word),                                                                               \
     .label = "policy.retry." word,                                                                \
     .at = offsetof(struct kind_maps, at) + DRAY_KIND_##kind * sizeof(struct dray_slice),          \
     .type = DRI_FIELD_MAP},
    RETRY_KIND_TABLE(RETRY_KIND_FIELD)
#undef RETRY_KIND_FIELD
};

struct kind_raw {
    uint32_t attempts;
    struct dray_slice backoff;
};

static const struct dri_field g_retry_fields[] = {
    {.name = "attempts",
     .label = "",
     .at = offsetof(struct kind_raw, attempts),
     .type = DRI_FIELD_U32},
    {.name = "backoff",
     .label = "",
     .at = offsetof(struct kind_raw, backoff),
     .type = DRI_FIELD_MAP},
};

/* A map in a policy: what it may hold, how deep it stands, what to call it in an error. */
struct shape {
    const struct dri_field *fields;
    size_t count;
    uint32_t depth;
    const char *label;
};

static enum dray_status map_read(struct dray_slice route, struct dray_slice map,
                                 const struct shape *shape, const struct dri_wire_limits *limits,
                                 void *ret_struct, struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    enum dray_status status;

    dri_scanner_init_inside(&scanner, route, map, shape->depth, limits);
    status = dri_fields_read(&scanner, shape->fields, shape->count, ret_struct, ret_error);
    if (status != DRAY_OK && ret_error->field[0] == '\0') {
        ret_error->field = shape->label;
    }
    return status;
}

static enum dray_status backoff_read(struct dray_slice route, struct dray_slice map,
                                     const struct shape *shape,
                                     const struct dri_wire_limits *limits,
                                     struct dri_backoff *ret_backoff,
                                     struct dri_wire_error *ret_error)
{
    struct dri_backoff backoff = {.factor = FACTOR_DEFAULT, .jitter = JITTER_DEFAULT};
    enum dray_status status = map_read(route, map, shape, limits, &backoff, ret_error);

    if (status != DRAY_OK) {
        return status;
    }
    *ret_error = (struct dri_wire_error){.offset = (uint32_t)(map.at - route.at)};
    if (backoff.base_ms == 0) {
        ret_error->field = shape->fields[BASE].label;
        ret_error->text = "is missing or 0";
    } else if (backoff.factor < 1 || backoff.factor > FACTOR_MAX) {
        ret_error->field = shape->fields[FACTOR].label;
        ret_error->text = "is not from 1 to 100";
    } else if (backoff.max_ms != 0 && backoff.max_ms < backoff.base_ms) {
        ret_error->field = shape->fields[MAX].label;
        ret_error->text = "is less than base_ms";
    } else if (backoff.jitter > JITTER_MAX) {
        ret_error->field = shape->fields[JITTER].label;
        ret_error->text = "is more than 100 percent";
    } else {
        *ret_backoff = backoff;
        return DRAY_OK;
    }
    return DRAY_EINVALID;
}

enum dray_status dri_backoff_read(struct dray_slice route, struct dray_slice map,
                                  const struct dri_wire_limits *limits,
                                  struct dri_backoff *ret_backoff, struct dri_wire_error *ret_error)
{
    const struct shape shape = {g_backoff_fields, BACKOFF_COUNT, POLICY_DEPTH + 1,
                                "policy.backoff"};

    return backoff_read(route, map, &shape, limits, ret_backoff, ret_error);
}

static enum dray_status kind_read(struct dray_slice route, struct dray_slice map, size_t index,
                                  const struct dri_wire_limits *limits, struct dri_policy *policy,
                                  struct dri_wire_error *ret_error)
{
    struct kind_raw raw = {0};
    const struct shape shape = {g_retry_fields, COUNT(g_retry_fields), POLICY_DEPTH + 2,
                                g_kind_fields[index].label};
    const struct shape inner = {g_kind_backoff_fields[index], BACKOFF_COUNT, POLICY_DEPTH + 3,
                                g_kind_fields[index].label};
    enum dray_status status = map_read(route, map, &shape, limits, &raw, ret_error);

    if (status == DRAY_OK && !dray_slice_is_absent(raw.backoff)) {
        status = backoff_read(route, raw.backoff, &inner, limits,
                              &policy->kind_backoff[g_kinds[index]], ret_error);
    }
    if (status == DRAY_OK) {
        policy->kind_attempts[g_kinds[index]] = raw.attempts;
    }
    return status;
}

enum dray_status dri_retry_read(struct dray_slice route, struct dray_slice map,
                                const struct dri_wire_limits *limits, struct dri_policy *policy,
                                struct dri_wire_error *ret_error)
{
    struct kind_maps kinds = {0};
    const struct shape shape = {g_kind_fields, COUNT(g_kind_fields), POLICY_DEPTH + 1,
                                "policy.retry"};
    enum dray_status status = map_read(route, map, &shape, limits, &kinds, ret_error);

    for (size_t i = 0; status == DRAY_OK && i < COUNT(g_kinds); i++) {
        struct dray_slice kind_map = kinds.at[g_kinds[i]];

        if (!dray_slice_is_absent(kind_map)) {
            status = kind_read(route, kind_map, i, limits, policy, ret_error);
        }
    }
    return status;
}

static bool has_kind(const struct dri_policy *policy, enum dray_error_kind kind)
{
    return policy->kind_attempts[kind] != 0 || policy->kind_backoff[kind].base_ms != 0;
}

static uint32_t kinds_count(const struct dri_policy *policy)
{
    uint32_t count = 0;

    for (size_t i = 0; i < COUNT(g_kinds); i++) {
        count += has_kind(policy, g_kinds[i]);
    }
    return count;
}

uint32_t dri_retry_pairs(const struct dri_policy *policy)
{
    return 0u + (policy->backoff.base_ms != 0) + (kinds_count(policy) != 0);
}

static void backoff_add(struct dri_packer *packer, const struct dri_backoff *backoff)
{
    dri_packer_key(packer, "backoff");
    (void)msgpack_pack_map(&packer->pack, 3u + (backoff->max_ms != 0));
    dri_packer_add_uint(packer, "base_ms", backoff->base_ms);
    dri_packer_add_uint(packer, "factor", backoff->factor);
    if (backoff->max_ms != 0) {
        dri_packer_add_uint(packer, "max_ms", backoff->max_ms);
    }
    dri_packer_add_uint(packer, "jitter", backoff->jitter);
}

static void kind_add(struct dri_packer *packer, uint32_t attempts,
                     const struct dri_backoff *backoff)
{
    (void)msgpack_pack_map(&packer->pack, 0u + (attempts != 0) + (backoff->base_ms != 0));
    if (attempts != 0) {
        dri_packer_add_uint(packer, "attempts", attempts);
    }
    if (backoff->base_ms != 0) {
        backoff_add(packer, backoff);
    }
}

void dri_retry_add(struct dri_packer *packer, const struct dri_policy *policy)
{
    uint32_t count = kinds_count(policy);

    if (policy->backoff.base_ms != 0) {
        backoff_add(packer, &policy->backoff);
    }
    if (count == 0) {
        return;
    }
    dri_packer_key(packer, "retry");
    (void)msgpack_pack_map(&packer->pack, count);
    for (size_t i = 0; i < COUNT(g_kinds); i++) {
        if (has_kind(policy, g_kinds[i])) {
            dri_packer_key(packer, g_kind_fields[i].name);
            kind_add(packer, policy->kind_attempts[g_kinds[i]], &policy->kind_backoff[g_kinds[i]]);
        }
    }
}
