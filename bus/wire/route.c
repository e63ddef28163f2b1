/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* route.c - route maps of control records, and the names and keys in them.
 *
 * A route's identity is the text "ns/name@version", and its fid hashes "ns.name@version:signature".
 * So that two routes can never share one key, ns and name hold neither '/' nor '@', nor a control
 * character (keys are printed and logged); versions are semver, whose letters exclude all three. A
 * blank at an edge or nothing between two dots is a slip that nobody would see in a listing. A
 * module is a file name in one folder: no slash, no leading dot, so never a path.
 *
 * Absent `ns` reads as "default", absent `runtime` as "native", absent `version` as "0.0.0" with
 * has_version false.
 */

#include <stdio.h>
#include <string.h>

#include "canary_rules.h"
#include "control.h"
#include "fields.h"
#include "interceptors.h"
#include "packer.h"
#include "retry.h"
#include "sha256.h"
#include "words.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define SHA256_HEX_LEN 64u

static const char *const g_states[] = {[DRI_ROUTE_ACTIVE] = "active",
                                       [DRI_ROUTE_PAUSED] = "paused",
                                       [DRI_ROUTE_DRAINING] = "draining"};
static const char *const g_orders[] = {
    [DRI_ORDER_KEY] = "key", [DRI_ORDER_PARTITION] = "partition", [DRI_ORDER_NONE] = "none"};
static const char *const g_runs[] = {
    [DRI_RUN_LANE] = "lane", [DRI_RUN_INLINE] = "inline", [DRI_RUN_POOL] = "pool"};
static const char *const g_isolations[] = {
    [DRI_ISOLATION_THREAD] = "thread", [DRI_ISOLATION_PROCESS] = "process"};
static const char *const g_exhausteds[] = {[DRI_EXHAUSTED_DEAD_LETTER] = "dead_letter",
                                           [DRI_EXHAUSTED_PARK_SEQUENCE] = "park_sequence",
                                           [DRI_EXHAUSTED_STOP_KEY] = "stop_key"};
static const char *const g_runtimes[] = {"native", "exec", "wasm"};

/* A route map as its fields come off the wire, before words and numbers are understood. */
struct raw {
    struct dri_route_view view;
    struct dray_slice state;
    struct dray_slice policy;
    struct dray_slice exhausted;
    struct dray_slice order;
    struct dray_slice run;
    struct dray_slice isolation;
    struct dray_slice backoff_ms;
    struct dray_slice backoff;
    struct dray_slice retry;
    struct dray_slice breaker;
    struct dray_slice depends;
    struct dray_slice idempotency;
    struct dray_slice canary;
    uint32_t breaker_failures;
    uint32_t breaker_open_ms;
    uint32_t window_ms;
};

#define TEXT(name_, member, max_)                                                                  \
    {                                                                                              \
        .name = (name_), .at = offsetof(struct raw, member), .type = DRI_FIELD_TEXT,               \
        .bytes_max = (max_)                                                                        \
    }
#define NEEDED_TEXT(name_, member, max_)                                                           \
    {                                                                                              \
        .name = (name_), .at = offsetof(struct raw, member), .type = DRI_FIELD_TEXT,               \
        .bytes_min = 1, .bytes_max = (max_), .is_required = true                                   \
    }

static const struct dri_field g_fields[] = {
    TEXT("ns", view.ns, DRI_NAME_BYTES_MAX),
    NEEDED_TEXT("name", view.name, DRI_NAME_BYTES_MAX),
    TEXT("version", view.version, DRI_NAME_BYTES_MAX),
    TEXT("runtime", view.runtime, DRI_NAME_BYTES_MAX),
    NEEDED_TEXT("module", view.module, DRI_NAME_BYTES_MAX),
    TEXT("handler", view.handler, DRI_HANDLER_BYTES_MAX),
    TEXT("sha256", view.sha256, SHA256_HEX_LEN),
    TEXT("signature", view.signature, SHA256_HEX_LEN),
    {.name = "tags", .at = offsetof(struct raw, view.tags), .type = DRI_FIELD_STRMAP},
    {.name = "weight", .at = offsetof(struct raw, view.weight), .type = DRI_FIELD_U32},
    TEXT("state", state, DRI_NAME_BYTES_MAX),
    {.name = "policy", .at = offsetof(struct raw, policy), .type = DRI_FIELD_MAP},
};

#define POLICY(name_, member, type_)                                                               \
    {                                                                                              \
        .name = (name_), .label = "policy." name_, .at = offsetof(struct raw, member),             \
        .type = (type_)                                                                            \
    }

static const struct dri_field g_policy_fields[] = {
    POLICY("timeout_ms", view.policy.timeout_ms, DRI_FIELD_U32),
    POLICY("attempts", view.policy.attempts, DRI_FIELD_U32),
    POLICY("backoff_ms", backoff_ms, DRI_FIELD_U32S),
    POLICY("backoff", backoff, DRI_FIELD_MAP),
    POLICY("retry", retry, DRI_FIELD_MAP),
    POLICY("budget_ms", view.policy.budget_ms, DRI_FIELD_U32),
    POLICY("concurrency", view.policy.concurrency, DRI_FIELD_U32),
    POLICY("concurrency_min", view.policy.concurrency_min, DRI_FIELD_U32),
    POLICY("key_concurrency", view.policy.key_concurrency, DRI_FIELD_U32),
    POLICY("rate", view.policy.rate, DRI_FIELD_U32),
    POLICY("rate_shared", view.policy.is_rate_shared, DRI_FIELD_BOOL),
    POLICY("burst", view.policy.burst, DRI_FIELD_U32),
    POLICY("breaker", breaker, DRI_FIELD_MAP),
    POLICY("depends", depends, DRI_FIELD_ARRAY),
    POLICY("interceptors", view.policy.interceptors, DRI_FIELD_ARRAY),
    POLICY("fallback", view.policy.fallback, DRI_FIELD_PAYLOAD),
    POLICY("exhausted", exhausted, DRI_FIELD_TEXT),
    POLICY("idempotency", idempotency, DRI_FIELD_MAP),
    POLICY("canary", canary, DRI_FIELD_MAP),
    POLICY("order", order, DRI_FIELD_TEXT),
    POLICY("run", run, DRI_FIELD_TEXT),
    POLICY("isolation", isolation, DRI_FIELD_TEXT),
    POLICY("preload", view.policy.is_preload, DRI_FIELD_BOOL),
};

static const struct dri_field g_breaker_fields[] = {
    {.name = "failures",
     .label = "policy.breaker.failures",
     .at = offsetof(struct raw, breaker_failures),
     .type = DRI_FIELD_U32},
    {.name = "open_ms",
     .label = "policy.breaker.open_ms",
     .at = offsetof(struct raw, breaker_open_ms),
     .type = DRI_FIELD_U32},
};

static const struct dri_field g_idempotency_fields[] = {
    {.name = "window_ms",
     .label = "policy.idempotency.window_ms",
     .at = offsetof(struct raw, window_ms),
     .type = DRI_FIELD_U32},
};

size_t dri_word_find(struct dray_slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (dray_slice_equal_text(text, words[i])) {
            return i;
        }
    }
    return WORD_NONE;
}

bool dri_route_name_is_valid(struct dray_slice name)
{
    uint8_t before = '.'; /* an edge ends a token as a dot does */

    if (name.len == 0 || name.len > DRI_NAME_BYTES_MAX || !dri_utf8_is_valid(name)) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.at[i];
        bool is_control = byte < 0x20 || byte == 0x7f;
        bool is_edge = i == 0 || i + 1 == name.len;

        if (is_control || byte == '/' || byte == '@' || (byte == ' ' && is_edge) ||
            (byte == '.' && before == '.')) {
            return false;
        }
        before = byte;
    }
    return before != '.';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Length of a number without leading zeros at `at`, 0 when there is none. */
static size_t number_len(struct dray_slice text, size_t at)
{
    size_t len = 0;

    while (at + len < text.len && is_digit(text.at[at + len])) {
        len++;
    }
    return len > 1 && text.at[at] == '0' ? 0 : len;
}

/* Dot-separated identifiers of [0-9A-Za-z-] from `at`, up to `stop` or the end. Returns where they
 * end, 0 when they are malformed. */
static size_t identifiers_end(struct dray_slice text, size_t at, uint8_t stop, bool may_lead_zero)
{
    size_t begin = at;

    for (;; at++) {
        bool is_end = at == text.len || text.at[at] == stop;

        if (is_end || text.at[at] == '.') {
            struct dray_slice part = dray_slice_of(text.at + begin, at - begin);
            size_t digits = 0;

            while (digits < part.len && is_digit(part.at[digits])) {
                digits++;
            }
            if (part.len == 0 ||
                (!may_lead_zero && digits == part.len && number_len(part, 0) == 0)) {
                return 0;
            }
            if (is_end) {
                return at;
            }
            begin = at + 1;
        } else if (!is_digit(text.at[at]) && text.at[at] != '-' &&
                   !((text.at[at] | 0x20) >= 'a' && (text.at[at] | 0x20) <= 'z')) {
            return 0;
        }
    }
}

bool dri_version_is_semver(struct dray_slice text)
{
    size_t at = 0;

    if (text.len == 0 || text.len > DRI_NAME_BYTES_MAX) {
        return false;
    }
    for (int part = 0; part < 3; part++) {
        size_t len = number_len(text, at);

        if (len == 0) {
            return false;
        }
        at += len;
        if (part < 2) {
            if (at == text.len || text.at[at] != '.') {
                return false;
            }
            at++;
        }
    }
    if (at < text.len && text.at[at] == '-') {
        at = identifiers_end(text, at + 1, '+', false);
    }
    if (at != 0 && at < text.len && text.at[at] == '+') {
        at = identifiers_end(text, at + 1, '\0', true);
    }
    return at == text.len;
}

bool dri_route_key_is_valid(struct dray_slice key)
{
    const uint8_t *slash = key.len == 0 ? NULL : memchr(key.at, '/', key.len);
    const uint8_t *at_sign = key.len == 0 ? NULL : memchr(key.at, '@', key.len);
    const uint8_t *end = key.at + key.len;

    if (slash == NULL || at_sign == NULL || at_sign < slash) {
        return false;
    }
    return dri_route_name_is_valid(dray_slice_of(key.at, (size_t)(slash - key.at))) &&
           dri_route_name_is_valid(dray_slice_of(slash + 1, (size_t)(at_sign - slash - 1))) &&
           dri_version_is_semver(dray_slice_of(at_sign + 1, (size_t)(end - at_sign - 1)));
}

bool dri_module_name_is_valid(struct dray_slice name)
{
    if (name.len == 0 || name.len > DRI_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.at[i];
        bool is_word = is_digit(byte) || (byte >= 'a' && byte <= 'z');

        if (!is_word && (i == 0 || (byte != '.' && byte != '_' && byte != '-'))) {
            return false;
        }
    }
    return true;
}

static bool is_hash(struct dray_slice hex)
{
    return hex.len == 0 || dri_sha256_is_hex(hex);
}

static bool is_plain(struct dray_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < 0x20 || text.at[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* An error about a value: the offset is where its text stands, or the route when it is absent. */
static enum dray_status view_fail(struct dray_slice route, struct dray_slice value,
                                  const char *field, const char *text,
                                  struct dri_wire_error *ret_error)
{
    size_t offset = dray_slice_is_absent(value) ? 0 : (size_t)(value.at - route.at);

    *ret_error = (struct dri_wire_error){.field = field, .text = text, .offset = (uint32_t)offset};
    return DRAY_EINVALID;
}

static void defaults_set(struct dri_route_view *view)
{
    view->has_version = !dray_slice_is_absent(view->version);
    if (!view->has_version) {
        view->version = dray_slice_text("0.0.0");
    }
    if (dray_slice_is_absent(view->ns)) {
        view->ns = dray_slice_text("default");
    }
    if (dray_slice_is_absent(view->runtime)) {
        view->runtime = dray_slice_text("native");
    }
}

static enum dray_status view_check(struct dray_slice route, const struct dri_route_view *view,
                                   struct dri_wire_error *ret_error)
{
    if (!dri_route_name_is_valid(view->ns)) {
        return view_fail(
            route, view->ns, "ns",
            "is empty or holds '/', '@', a control character, a blank at an edge or an empty part",
            ret_error);
    }
    if (!dri_route_name_is_valid(view->name)) {
        return view_fail(route, view->name, "name",
                         "holds '/', '@', a control character, a blank at an edge or an empty part",
                         ret_error);
    }
    if (!dri_version_is_semver(view->version)) {
        return view_fail(route, view->version, "version", "is not a semantic version (1.2.3)",
                         ret_error);
    }
    if (dri_word_find(view->runtime, g_runtimes, COUNT(g_runtimes)) == WORD_NONE) {
        return view_fail(route, view->runtime, "runtime", "is none of native, exec, wasm",
                         ret_error);
    }
    if (!dri_module_name_is_valid(view->module)) {
        return view_fail(route, view->module, "module",
                         "is not a file name of [a-z0-9][a-z0-9._-]{0,63}", ret_error);
    }
    if (!is_plain(view->handler)) {
        return view_fail(route, view->handler, "handler", "holds a control character", ret_error);
    }
    if (view->handler.len == 0 && dray_slice_equal_text(view->runtime, "native")) {
        return view_fail(route, view->handler, "handler", "is missing", ret_error);
    }
    if (!is_hash(view->sha256)) {
        return view_fail(route, view->sha256, "sha256", "is not 64 lower-case hex digits",
                         ret_error);
    }
    if (!is_hash(view->signature)) {
        return view_fail(route, view->signature, "signature", "is not 64 lower-case hex digits",
                         ret_error);
    }
    if (view->weight > 100) {
        return view_fail(route, dray_slice_of(NULL, 0), "weight", "is more than 100 percent",
                         ret_error);
    }
    return DRAY_OK;
}

static enum dray_status backoff_ms_read(struct dray_slice route, struct dray_slice backoff,
                                        struct dri_policy *policy, struct dri_wire_error *ret_error)
{
    const struct dri_wire_limits any = {UINT32_MAX, DRI_DEPTH_CEILING, UINT32_MAX};
    struct dri_scanner scanner;
    struct dri_token token = {.type = DRI_TOKEN_NIL};
    uint32_t count = 1;

    dri_scanner_init(&scanner, backoff, &any);
    if (dri_scanner_next(&scanner, &token) == DRAY_OK && token.type == DRI_TOKEN_ARRAY) {
        count = token.count;
        token.type = DRI_TOKEN_NIL;
    }
    if (count > DRI_BACKOFF_MAX) {
        (void)view_fail(route, backoff, "policy.backoff_ms", "has more than 8 entries", ret_error);
        return DRAY_ELIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        /* the field table has checked them */
        if (token.type == DRI_TOKEN_NIL && dri_scanner_next(&scanner, &token) != DRAY_OK) {
            break;
        }
        policy->backoff_ms[i] = (uint32_t)token.value.u;
        token.type = DRI_TOKEN_NIL;
    }
    policy->backoff_count = count;
    return DRAY_OK;
}

bool dri_dependency_name_is_valid(struct dray_slice name)
{
    if (name.len == 0 || name.len > DRI_DEPENDENCY_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.at[i];
        bool is_word = is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');

        if (!is_word && (i == 0 || (byte != '.' && byte != '_' && byte != '-'))) {
            return false;
        }
    }
    return true;
}

static enum dray_status depends_read(struct dray_slice route, const struct dri_wire_limits *limits,
                                     struct raw *raw, struct dri_wire_error *ret_error)
{
    struct dri_policy *policy = &raw->view.policy;
    struct dri_scanner scanner;
    struct dri_token token = {.type = DRI_TOKEN_NIL};

    if (dray_slice_is_absent(raw->depends)) {
        return DRAY_OK;
    }
    dri_scanner_init_inside(&scanner, route, raw->depends, 2, limits);
    if (dri_scanner_next(&scanner, &token) != DRAY_OK || token.count > DRI_DEPENDS_MAX) {
        return view_fail(route, raw->depends, "policy.depends", "has more than 4 names", ret_error);
    }
    for (uint32_t i = token.count; i > 0; i--) {
        struct dray_slice *name = &policy->depends[policy->depends_count];

        if (dri_scanner_next(&scanner, &token) != DRAY_OK || token.type != DRI_TOKEN_STR ||
            !dri_dependency_name_is_valid(token.bytes)) {
            return view_fail(route, raw->depends, "policy.depends",
                             "is no list of names of [A-Za-z0-9][A-Za-z0-9._-]{0,62}", ret_error);
        }
        *name = token.bytes;
        for (uint32_t j = 0; j < policy->depends_count; j++) {
            if (dray_slice_equal(policy->depends[j], *name)) {
                return view_fail(route, raw->depends, "policy.depends", "has a name twice",
                                 ret_error);
            }
        }
        policy->depends_count++;
    }
    return DRAY_OK;
}

static enum dray_status policy_words_read(struct dray_slice route, struct raw *raw,
                                          struct dri_wire_error *ret_error)
{
    struct dri_policy *policy = &raw->view.policy;
    size_t word;

    if (!dray_slice_is_absent(raw->exhausted)) {
        word = dri_word_find(raw->exhausted, g_exhausteds, COUNT(g_exhausteds));
        if (word == WORD_NONE) {
            return view_fail(route, raw->exhausted, "policy.exhausted",
                             "is none of dead_letter, park_sequence, stop_key", ret_error);
        }
        policy->exhausted = (enum dri_exhausted)word;
    }
    if (!dray_slice_is_absent(raw->order)) {
        word = dri_word_find(raw->order, g_orders, COUNT(g_orders));
        if (word == WORD_NONE) {
            return view_fail(route, raw->order, "policy.order", "is none of key, partition, none",
                             ret_error);
        }
        policy->order = (enum dri_order)word;
        policy->has_order = true;
    }
    if (policy->concurrency_min > policy->concurrency) {
        return view_fail(route, raw->order, "policy.concurrency_min",
                         "is more than policy.concurrency, or stands without it", ret_error);
    }
    if (policy->key_concurrency != 0) {
        if (policy->has_order && policy->order != DRI_ORDER_NONE) {
            return view_fail(route, raw->order, "policy.key_concurrency",
                             "stands beside an order, which lets one of a key run at once",
                             ret_error);
        }
        policy->order = DRI_ORDER_NONE;
        policy->has_order = true;
    }
    if (!dray_slice_is_absent(raw->run)) {
        word = dri_word_find(raw->run, g_runs, COUNT(g_runs));
        if (word == WORD_NONE) {
            return view_fail(route, raw->run, "policy.run", "is none of lane, inline, pool",
                             ret_error);
        }
        policy->run = (enum dri_run_mode)word;
        policy->has_run = true;
    }
    if (!dray_slice_is_absent(raw->isolation)) {
        word = dri_word_find(raw->isolation, g_isolations, COUNT(g_isolations));
        if (word == WORD_NONE) {
            return view_fail(route, raw->isolation, "policy.isolation",
                             "is neither thread nor process", ret_error);
        }
        policy->isolation = (enum dri_isolation)word;
    }
    return DRAY_OK;
}

static enum dray_status policy_retry_read(struct dray_slice route,
                                          const struct dri_wire_limits *limits, struct raw *raw,
                                          struct dri_wire_error *ret_error)
{
    struct dri_policy *policy = &raw->view.policy;
    enum dray_status status = DRAY_OK;

    if (!dray_slice_is_absent(raw->backoff) && !dray_slice_is_absent(raw->backoff_ms)) {
        return view_fail(route, raw->backoff, "policy.backoff", "stands beside backoff_ms",
                         ret_error);
    }
    if (!dray_slice_is_absent(raw->backoff_ms)) {
        status = backoff_ms_read(route, raw->backoff_ms, policy, ret_error);
    } else if (!dray_slice_is_absent(raw->backoff)) {
        status = dri_backoff_read(route, raw->backoff, limits, &policy->backoff, ret_error);
    }
    if (status == DRAY_OK && !dray_slice_is_absent(raw->retry)) {
        status = dri_retry_read(route, raw->retry, limits, policy, ret_error);
    }
    return status;
}

static enum dray_status breaker_read(struct dray_slice route, const struct dri_wire_limits *limits,
                                     struct raw *raw, struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;

    if (dray_slice_is_absent(raw->breaker)) {
        return DRAY_OK;
    }
    raw->breaker_failures = DRI_BREAKER_FAILURES;
    raw->breaker_open_ms = DRI_BREAKER_OPEN_MS;
    dri_scanner_init_inside(&scanner, route, raw->breaker, 2, limits);
    enum dray_status status =
        dri_fields_read(&scanner, g_breaker_fields, COUNT(g_breaker_fields), raw, ret_error);
    if (status != DRAY_OK) {
        ret_error->field = ret_error->field[0] == '\0' ? "policy.breaker" : ret_error->field;
        return status;
    }
    if (raw->breaker_open_ms == 0) {
        return view_fail(route, raw->breaker, "policy.breaker.open_ms", "is 0", ret_error);
    }
    raw->view.policy.breaker_failures = raw->breaker_failures;
    raw->view.policy.breaker_open_ms = raw->breaker_failures != 0 ? raw->breaker_open_ms : 0;
    return DRAY_OK;
}

static enum dray_status idempotency_read(struct dray_slice route,
                                         const struct dri_wire_limits *limits, struct raw *raw,
                                         struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;

    if (dray_slice_is_absent(raw->idempotency)) {
        return DRAY_OK;
    }
    raw->window_ms = DRI_WINDOW_MS;
    dri_scanner_init_inside(&scanner, route, raw->idempotency, 2, limits);
    enum dray_status status = dri_fields_read(&scanner, g_idempotency_fields,
                                              COUNT(g_idempotency_fields), raw, ret_error);
    if (status != DRAY_OK) {
        ret_error->field = ret_error->field[0] == '\0' ? "policy.idempotency" : ret_error->field;
        return status;
    }
    raw->view.policy.window_ms = raw->window_ms;
    return DRAY_OK;
}

static enum dray_status policy_read(struct dray_slice route, const struct dri_wire_limits *limits,
                                    struct raw *raw, struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;
    enum dray_status status;

    if (dray_slice_is_absent(raw->policy)) {
        return DRAY_OK;
    }
    dri_scanner_init_inside(&scanner, route, raw->policy, 1, limits);
    status = dri_fields_read(&scanner, g_policy_fields, COUNT(g_policy_fields), raw, ret_error);
    if (status != DRAY_OK) {
        if (ret_error->field[0] == '\0') {
            ret_error->field = "policy";
        }
        return status;
    }
    if (raw->view.policy.fallback.len > DRI_FALLBACK_BYTES_MAX) {
        return view_fail(route, raw->view.policy.fallback, "policy.fallback",
                         "is larger than 16384 bytes", ret_error);
    }
    if (raw->view.policy.is_rate_shared && raw->view.policy.rate == 0) {
        return view_fail(route, raw->policy, "policy.rate_shared", "stands without a rate",
                         ret_error);
    }
    status = policy_retry_read(route, limits, raw, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    status = breaker_read(route, limits, raw, ret_error);
    if (status == DRAY_OK) {
        status = depends_read(route, limits, raw, ret_error);
    }
    if (status == DRAY_OK) {
        status = dri_interceptors_read(route, &raw->view.policy, ret_error);
    }
    if (status == DRAY_OK) {
        status = idempotency_read(route, limits, raw, ret_error);
    }
    if (status == DRAY_OK) {
        status = dri_canary_rules_read(route, raw->canary, limits, &raw->view.policy, ret_error);
    }
    return status == DRAY_OK ? policy_words_read(route, raw, ret_error) : status;
}

enum dray_status dri_route_decode(struct dray_slice route, const struct dri_wire_limits *limits,
                                  struct dri_route_view *ret_view, struct dri_wire_error *ret_error)
{
    struct raw raw;
    enum dray_status status;

    memset(&raw, 0, sizeof(raw));
    status = dri_fields_decode(route, limits, g_fields, COUNT(g_fields), &raw, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    defaults_set(&raw.view);
    status = view_check(route, &raw.view, ret_error);
    if (status != DRAY_OK) {
        return status;
    }
    if (!dray_slice_is_absent(raw.state)) {
        size_t word = dri_word_find(raw.state, g_states, COUNT(g_states));

        if (word == WORD_NONE) {
            return view_fail(route, raw.state, "state", "is none of active, paused, draining",
                             ret_error);
        }
        raw.view.state = (enum dri_route_state)word;
    }
    status = policy_read(route, limits, &raw, ret_error);
    if (status == DRAY_OK) {
        *ret_view = raw.view;
    }
    return status;
}

static void policy_uint_add(struct dri_packer *packer, const char *key, uint32_t number)
{
    if (number != 0) {
        dri_packer_add_uint(packer, key, number);
    }
}

static uint32_t policy_pairs(const struct dri_policy *policy)
{
    return 0u + (policy->timeout_ms != 0) + (policy->attempts != 0) + (policy->backoff_count != 0) +
           dri_retry_pairs(policy) + (policy->budget_ms != 0) + (policy->concurrency != 0) +
           (policy->concurrency_min != 0) + (policy->key_concurrency != 0) + (policy->rate != 0) +
           policy->is_rate_shared + (policy->exhausted != DRI_EXHAUSTED_DEAD_LETTER) +
           (policy->window_ms != 0) + (policy->burst != 0) + (policy->breaker_failures != 0) +
           (policy->depends_count != 0) + !dray_slice_is_absent(policy->interceptors) +
           !dray_slice_is_absent(policy->fallback) + policy->has_order + policy->has_run +
           (policy->isolation != DRI_ISOLATION_THREAD) + policy->is_preload + policy->has_canary;
}

static void policy_add(struct dri_packer *packer, const struct dri_policy *policy)
{
    uint32_t count =
        policy->backoff_count < DRI_BACKOFF_MAX ? policy->backoff_count : DRI_BACKOFF_MAX;

    dri_packer_key(packer, "policy");
    (void)msgpack_pack_map(&packer->pack, policy_pairs(policy));
    policy_uint_add(packer, "timeout_ms", policy->timeout_ms);
    policy_uint_add(packer, "attempts", policy->attempts);
    if (count > 0) {
        dri_packer_key(packer, "backoff_ms");
        (void)msgpack_pack_array(&packer->pack, count);
        for (uint32_t i = 0; i < count; i++) {
            (void)msgpack_pack_uint32(&packer->pack, policy->backoff_ms[i]);
        }
    }
    dri_retry_add(packer, policy);
    policy_uint_add(packer, "budget_ms", policy->budget_ms);
    policy_uint_add(packer, "concurrency", policy->concurrency);
    policy_uint_add(packer, "concurrency_min", policy->concurrency_min);
    policy_uint_add(packer, "key_concurrency", policy->key_concurrency);
    policy_uint_add(packer, "rate", policy->rate);
    if (policy->is_rate_shared) {
        dri_packer_key(packer, "rate_shared");
        (void)msgpack_pack_true(&packer->pack);
    }
    policy_uint_add(packer, "burst", policy->burst);
    if (policy->breaker_failures != 0) {
        dri_packer_key(packer, "breaker");
        (void)msgpack_pack_map(&packer->pack, policy->breaker_open_ms != 0 ? 2 : 1);
        policy_uint_add(packer, "failures", policy->breaker_failures);
        policy_uint_add(packer, "open_ms", policy->breaker_open_ms);
    }
    if (policy->depends_count != 0) {
        dri_packer_key(packer, "depends");
        (void)msgpack_pack_array(&packer->pack, policy->depends_count);
        for (uint32_t i = 0; i < policy->depends_count; i++) {
            dri_packer_str(packer, policy->depends[i]);
        }
    }
    dri_packer_add_raw(packer, "interceptors", policy->interceptors);
    dri_packer_add_raw(packer, "fallback", policy->fallback);
    if (policy->exhausted != DRI_EXHAUSTED_DEAD_LETTER) {
        dri_packer_add_str(packer, "exhausted", dray_slice_text(g_exhausteds[policy->exhausted]));
    }
    if (policy->window_ms != 0) {
        dri_packer_key(packer, "idempotency");
        (void)msgpack_pack_map(&packer->pack, 1);
        policy_uint_add(packer, "window_ms", policy->window_ms);
    }
    dri_canary_rules_add(packer, policy);
    if (policy->has_order) {
        dri_packer_add_str(packer, "order", dray_slice_text(g_orders[policy->order]));
    }
    if (policy->has_run) {
        dri_packer_add_str(packer, "run", dray_slice_text(g_runs[policy->run]));
    }
    if (policy->isolation != DRI_ISOLATION_THREAD) {
        dri_packer_add_str(packer, "isolation", dray_slice_text(g_isolations[policy->isolation]));
    }
    if (policy->is_preload) {
        dri_packer_key(packer, "preload");
        (void)msgpack_pack_true(&packer->pack);
    }
}

enum dray_status dri_route_encode(const struct dri_route_view *view, void *buffer,
                                  size_t buffer_bytes, size_t *ret_len)
{
    const struct {
        const char *key;
        struct dray_slice text;
    } texts[] = {{"ns", view->ns},           {"name", view->name},
                 {"version", view->version}, {"runtime", view->runtime},
                 {"module", view->module},   {"handler", view->handler},
                 {"sha256", view->sha256},   {"signature", view->signature}};
    bool has_policy = policy_pairs(&view->policy) > 0;
    size_t pairs =
        1u + !dray_slice_is_absent(view->tags) + (view->weight != 0) + (has_policy ? 1u : 0u);
    struct dri_packer packer;

    for (size_t i = 0; i < COUNT(texts); i++) {
        pairs += !dray_slice_is_absent(texts[i].text);
    }
    dri_packer_init(&packer, buffer, buffer_bytes);
    (void)msgpack_pack_map(&packer.pack, pairs);
    for (size_t i = 0; i < COUNT(texts); i++) {
        dri_packer_add_str(&packer, texts[i].key, texts[i].text);
    }
    dri_packer_add_raw(&packer, "tags", view->tags);
    if (view->weight != 0) {
        dri_packer_add_uint(&packer, "weight", view->weight);
    }
    dri_packer_add_str(&packer, "state", dray_slice_text(g_states[view->state]));
    if (has_policy) {
        policy_add(&packer, &view->policy);
    }
    return dri_packer_end(&packer, ret_len);
}

/* The map of a route but for one key, begun with room for `more` pairs. */
static enum dray_status copy_without(struct dray_slice route, const char *left_out, size_t more,
                                     struct dri_packer *packer)
{
    const struct dri_wire_limits any = {UINT32_MAX, DRI_DEPTH_CEILING, UINT32_MAX};
    struct dri_scanner scanner;
    struct dri_token map = {.type = DRI_TOKEN_NIL};
    size_t others = 0;

    for (int round = 0; round < 2; round++) { /* count, then copy */
        dri_scanner_init(&scanner, route, &any);
        if (dri_scanner_next(&scanner, &map) != DRAY_OK || map.type != DRI_TOKEN_MAP) {
            return DRAY_EINVALID;
        }
        if (round == 1) {
            (void)msgpack_pack_map(&packer->pack, others + more);
        }
        for (uint32_t i = 0; i < map.count; i++) {
            struct dri_token key = {.type = DRI_TOKEN_NIL};
            struct dray_slice value;

            if (dri_scanner_next(&scanner, &key) != DRAY_OK ||
                dri_scanner_skip(&scanner, &value) != DRAY_OK) {
                return DRAY_EINVALID;
            }
            bool is_left_out = dray_slice_equal_text(key.bytes, left_out);
            others += round == 0 && !is_left_out ? 1 : 0;
            if (round == 1 && !is_left_out) {
                dri_packer_str(packer, key.bytes);
                dri_packer_raw(packer, value);
            }
        }
    }
    return DRAY_OK;
}

enum dray_status dri_route_with_state(struct dray_slice route, enum dri_route_state state,
                                      void *buffer, size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;

    dri_packer_init(&packer, buffer, buffer_bytes);
    enum dray_status status = copy_without(route, "state", 1, &packer);
    if (status != DRAY_OK) {
        return status;
    }
    dri_packer_add_str(&packer, "state", dray_slice_text(g_states[state]));
    return dri_packer_end(&packer, ret_len);
}

enum dray_status dri_route_without_weight(struct dray_slice route, void *buffer,
                                          size_t buffer_bytes, size_t *ret_len)
{
    struct dri_packer packer;

    dri_packer_init(&packer, buffer, buffer_bytes);
    enum dray_status status = copy_without(route, "weight", 0, &packer);
    return status == DRAY_OK ? dri_packer_end(&packer, ret_len) : status;
}

enum dray_status dri_route_key_format(const struct dri_route_view *view, char *buffer,
                                      size_t buffer_bytes)
{
    struct dray_slice ns = view->ns;
    struct dray_slice version = view->version;
    int len;

    if (dray_slice_is_absent(ns)) {
        ns = dray_slice_text("default");
    }
    if (dray_slice_is_absent(version)) {
        version = dray_slice_text("0.0.0");
    }
    if (ns.len > DRI_NAME_BYTES_MAX || view->name.len > DRI_NAME_BYTES_MAX ||
        version.len > DRI_NAME_BYTES_MAX || dray_slice_is_absent(view->name)) {
        return DRAY_ELIMIT;
    }
    len = snprintf(buffer, buffer_bytes, "%.*s/%.*s@%.*s", (int)ns.len, (const char *)ns.at,
                   (int)view->name.len, (const char *)view->name.at, (int)version.len,
                   (const char *)version.at);
    return len >= 0 && (size_t)len < buffer_bytes ? DRAY_OK : DRAY_ELIMIT;
}

bool dri_route_is_special(const struct dri_route_view *view)
{
    const struct dri_policy *policy = &view->policy;

    return view->state != DRI_ROUTE_ACTIVE || policy->concurrency != 0 || policy->rate != 0 ||
           policy->breaker_failures != 0 || policy->depends_count != 0 || policy->window_ms != 0 ||
           !dray_slice_is_absent(policy->fallback) || policy->has_order;
}

uint64_t dri_fid(struct dray_slice ns, struct dray_slice name, struct dray_slice version,
                 struct dray_slice signature)
{
    const struct dray_slice parts[] = {
        ns,      dray_slice_text("."), name,     dray_slice_text("@"),
        version, dray_slice_text(":"), signature};
    struct dri_sha256 sha;
    uint8_t digest[32];
    uint64_t fid = 0;

    dri_sha256_init(&sha);
    for (size_t i = 0; i < COUNT(parts); i++) {
        dri_sha256_add(&sha, parts[i]);
    }
    dri_sha256_end(&sha, digest);
    for (unsigned i = 0; i < 8; i++) {
        fid = fid << 8 | digest[i];
    }
    return fid;
}
