/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* metrics.c - one page a thread, summed by whoever reads.
 *
 * A thread writes its own page with relaxed stores, so counting costs a load and a store and no
 * cache line is written by two threads. The reader walks the list of pages, which only grows, and
 * adds up with relaxed loads: a scrape may see one counter a moment older than another, as any
 * scrape may.
 *
 * Calls by function live in cells that a page makes the first time it meets a name. A name is found
 * by its text, behind a small cache by pointer: a route's label may be freed and its address used
 * again, so the pointer alone proves nothing.
 *
 * What is shown by route goes as routes go, so it is not counted in cells: a page has one block of
 * it, and its thread puts another one in the place. A reader takes the block out while it writes it
 * down and puts it back unless there is a newer one; nobody waits, and a block has one owner at a
 * time. At worst an old one is shown once more.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <dray/kind.h>

#include "assert.h"
#include "clock.h"
#include "hash.h"
#include "lock.h"
#include "mem.h"

#define FUNCTIONS_MAX 1024u /* and one more, "other" */
#define SLOTS         4096u /* of a page's hash table; a power of two */
#define NAME_BYTES    260u
#define KEY_BYTES     1600u /* of a route's key with its escapes */
#define UNKNOWN       "unknown"
#define OTHER         "other"

/* Upper bounds of the buckets, in ns. */
static const uint64_t buckets[] = {
    10000,     25000,      50000,      100000,     250000,      500000,    1000000,
    2500000,   5000000,    10000000,   25000000,   50000000,    100000000, 250000000,
    500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};
#define BUCKETS DRI_ARRAY_LEN(buckets)

struct cell {
    char name[NAME_BYTES]; /* immutable */
    _Atomic(uint64_t) by_kind[DRAY_KIND_COUNT];
    _Atomic(uint64_t) by_bucket[BUCKETS + 1]; /* the last: above all */
    _Atomic(uint64_t) sum_ns;
};

struct routes {
    size_t count;
    enum dri_metric_by_route metric;
    struct dri_metrics_route of[]; /* their keys stand behind */
};

struct dri_metrics_page {
    struct dri_metrics_page *next; /* immutable once listed */
    _Atomic(uint64_t) values[DRI_METRIC_COUNT];
    _Atomic(struct cell *) cells[FUNCTIONS_MAX + 1]; /* owned; written by the page's thread */
    _Atomic(uint32_t) cells_count;
    _Atomic(struct routes *) routes; /* owned; NULL: none, or a reader has it */
    struct cell *slots[SLOTS];       /* the page's thread only */
    const char *last_name;           /* the page's thread only */
    struct cell *last_cell;
};

struct dri_metrics {
    char service[128], worker[128], version[64]; /* immutable */
    uint64_t started_ms;
    struct dri_lock lock;
    struct dri_metrics_page *pages; /* owned; guarded by lock */
};

static uint64_t load(_Atomic(uint64_t) *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* One writer: no read-modify-write is needed. */
static void bump(_Atomic(uint64_t) *value, uint64_t n)
{
    atomic_store_explicit(value, load(value) + n, memory_order_relaxed);
}

enum dray_status dri_metrics_create(const char *service, const char *worker, const char *version,
                                    struct dri_metrics **ret_metrics)
{
    struct dri_metrics *metrics = dri_zalloc(sizeof(*metrics));
    if (metrics == NULL) {
        return DRAY_ENOMEM;
    }
    snprintf(metrics->service, sizeof(metrics->service), "%s", service);
    snprintf(metrics->worker, sizeof(metrics->worker), "%s", worker);
    snprintf(metrics->version, sizeof(metrics->version), "%s", version);
    metrics->started_ms = dri_clock_wall_ms();
    dri_lock_init(&metrics->lock, DRI_LOCK_METRICS);
    *ret_metrics = metrics;
    return DRAY_OK;
}

void dri_metrics_destroy(struct dri_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    while (metrics->pages != NULL) {
        struct dri_metrics_page *page = metrics->pages;
        metrics->pages = page->next;
        for (size_t i = 0; i < atomic_load(&page->cells_count); i++) {
            dri_free(atomic_load(&page->cells[i]));
        }
        dri_free(atomic_load(&page->routes));
        dri_free(page);
    }
    dri_lock_fini(&metrics->lock);
    dri_free(metrics);
}

enum dray_status dri_metrics_page(struct dri_metrics *metrics, struct dri_metrics_page **ret_page)
{
    struct dri_metrics_page *page = dri_zalloc(sizeof(*page));
    if (page == NULL) {
        return DRAY_ENOMEM;
    }
    dri_lock_take(&metrics->lock);
    page->next = metrics->pages;
    metrics->pages = page;
    dri_lock_drop(&metrics->lock);
    *ret_page = page;
    return DRAY_OK;
}

void dri_metrics_add(struct dri_metrics_page *page, enum dri_metric metric, uint64_t n)
{
    bump(&page->values[metric], n);
}

void dri_metrics_set(struct dri_metrics_page *page, enum dri_metric metric, uint64_t value)
{
    atomic_store_explicit(&page->values[metric], value, memory_order_relaxed);
}

static struct routes *copy_routes(const struct dri_metrics_route *routes, size_t count)
{
    size_t bytes = sizeof(struct routes) + count * sizeof(routes[0]);
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(routes[i].key) + 1;
    }
    struct routes *copy = dri_zalloc(bytes);
    if (copy == NULL) {
        return NULL;
    }
    char *key = (char *)&copy->of[count];
    copy->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(routes[i].key) + 1;
        memcpy(key, routes[i].key, len);
        copy->of[i] = (struct dri_metrics_route){key, routes[i].value};
        key += len;
    }
    return copy;
}

void dri_metrics_set_routes(struct dri_metrics_page *page, enum dri_metric_by_route metric,
                            const struct dri_metrics_route *routes, size_t count)
{
    struct routes *copy = count != 0 ? copy_routes(routes, count) : NULL;
    if (copy != NULL) {
        copy->metric = metric;
    }
    dri_free(atomic_exchange(&page->routes, copy));
}

/* --- calls
 * ------------------------------------------------------------------------------------------ */

static struct cell *make_cell(struct dri_metrics_page *page, const char *name)
{
    uint32_t count = atomic_load_explicit(&page->cells_count, memory_order_relaxed);
    struct cell *cell = dri_zalloc(sizeof(*cell));
    if (cell == NULL) {
        return NULL;
    }
    snprintf(cell->name, sizeof(cell->name), "%s", name);
    atomic_store_explicit(&page->cells[count], cell, memory_order_relaxed);
    /* release: pairs with the acquire in merge, which then sees the cell and its name */
    atomic_store_explicit(&page->cells_count, count + 1, memory_order_release);
    return cell;
}

static struct cell *find_cell(struct dri_metrics_page *page, const char *name)
{
    if (name == page->last_name && strcmp(name, page->last_cell->name) == 0) {
        return page->last_cell;
    }
    size_t at = (size_t)dri_hash64(dray_slice_text(name)) & (SLOTS - 1);
    while (page->slots[at] != NULL && strcmp(page->slots[at]->name, name) != 0) {
        at = (at + 1) & (SLOTS - 1);
    }
    struct cell *cell = page->slots[at];
    if (cell == NULL) {
        uint32_t count = atomic_load_explicit(&page->cells_count, memory_order_relaxed);
        if (count >= FUNCTIONS_MAX && strcmp(name, OTHER) != 0) {
            return find_cell(page, OTHER);
        }
        cell = make_cell(page, name);
        page->slots[at] = cell;
    }
    if (cell != NULL) {
        page->last_name = name;
        page->last_cell = cell;
    }
    return cell;
}

void dri_metrics_call(struct dri_metrics_page *page, const char *function, unsigned kind,
                      uint64_t duration_ns)
{
    struct cell *cell = find_cell(page, function != NULL ? function : UNKNOWN);
    if (cell == NULL) {
        return; /* no memory: the call itself went through */
    }
    size_t bucket = 0;
    while (bucket < BUCKETS && duration_ns > buckets[bucket]) {
        bucket++;
    }
    bump(&cell->by_kind[kind < DRAY_KIND_COUNT ? kind : DRAY_KIND_INTERNAL], 1);
    bump(&cell->by_bucket[bucket], 1);
    bump(&cell->sum_ns, duration_ns);
}

/* --- the exposition
 * --------------------------------------------------------------------------------- */

struct text {
    char *at; /* owned */
    size_t len, capacity;
    bool has_failed;
};

static void add(struct text *text, const char *format, ...) DRAY_FORMAT(2, 3);

static void add(struct text *text, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t len = written < 0 ? 0 : (size_t)written;
    len = len < sizeof(line) ? len : sizeof(line) - 1;
    if (text->len + len + 1 > text->capacity) {
        size_t capacity = (text->capacity + len + 1) * 2;
        char *larger = dri_zalloc(capacity);
        if (larger == NULL) {
            text->has_failed = true;
            return;
        }
        if (text->len > 0) {
            memcpy(larger, text->at, text->len);
        }
        dri_free(text->at);
        text->at = larger;
        text->capacity = capacity;
    }
    memcpy(text->at + text->len, line, len + 1);
    text->len += len;
}

/* A label value with its escapes. */
static const char *label(const char *value, char *ret_label, size_t bytes)
{
    size_t at = 0;
    for (; *value != '\0' && at + 3 < bytes; value++) {
        if (*value == '"' || *value == '\\' || *value == '\n') {
            ret_label[at++] = '\\';
        }
        ret_label[at++] = *value == '\n' ? 'n' : *value;
    }
    ret_label[at] = '\0';
    return ret_label;
}

static void add_values(struct dri_metrics *metrics, struct text *text)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
#define ROW(name, exported, type, help) {exported, #type, help},
        DRI_METRIC_TABLE(ROW)
#undef ROW
    };
    for (size_t i = 0; i < DRI_METRIC_COUNT; i++) {
        uint64_t sum = 0;
        for (struct dri_metrics_page *page = metrics->pages; page != NULL; page = page->next) {
            sum += load(&page->values[i]);
        }
        add(text, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", rows[i].name, rows[i].help,
            rows[i].name, rows[i].type, rows[i].name, sum);
    }
}

/* Requires: the lock, so that there is one reader. */
static void add_by_route(struct dri_metrics *metrics, enum dri_metric_by_route metric,
                         struct text *text)
{
    static const char *const names[] = {DRI_METRIC_ADAPTIVE_LIMIT, DRI_METRIC_HOT_CALLS};
    static const char *const helps[] = {DRI_METRIC_ADAPTIVE_LIMIT_HELP, DRI_METRIC_HOT_CALLS_HELP};
    const char *name = names[metric];
    add(text, "# HELP %s %s\n# TYPE %s gauge\n", name, helps[metric], name);
    for (struct dri_metrics_page *page = metrics->pages; page != NULL; page = page->next) {
        struct routes *routes = atomic_exchange(&page->routes, NULL);
        struct routes *none = NULL;
        bool is_of_metric = routes != NULL && routes->metric == metric;
        for (size_t i = 0; is_of_metric && i < routes->count; i++) {
            char key[KEY_BYTES];
            add(text, "%s{route=\"%s\"} %" PRIu64 "\n", name,
                label(routes->of[i].key, key, sizeof(key)), routes->of[i].value);
        }
        if (routes != NULL && !atomic_compare_exchange_strong(&page->routes, &none, routes)) {
            dri_free(routes);
        }
    }
}

/* Adds every page's cells up by name. Owns: returns owned; *ret_count cells. */
static struct cell *merge(struct dri_metrics *metrics, size_t *ret_count)
{
    size_t most = 0;
    for (struct dri_metrics_page *page = metrics->pages; page != NULL; page = page->next) {
        most += atomic_load_explicit(&page->cells_count, memory_order_acquire);
    }
    struct cell *merged = dri_zalloc_array(most + 1, sizeof(*merged));
    size_t count = 0;
    for (struct dri_metrics_page *page = metrics->pages; merged != NULL && page != NULL;
         page = page->next) {
        size_t cells = atomic_load_explicit(&page->cells_count, memory_order_acquire);
        for (size_t i = 0; i < cells && count < most; i++) {
            struct cell *cell = atomic_load_explicit(&page->cells[i], memory_order_relaxed);
            size_t at = 0;
            while (at < count && strcmp(merged[at].name, cell->name) != 0) {
                at++;
            }
            if (at == count) {
                memcpy(merged[at].name, cell->name, NAME_BYTES);
                count++;
            }
            for (size_t k = 0; k < DRAY_KIND_COUNT; k++) {
                bump(&merged[at].by_kind[k], load(&cell->by_kind[k]));
            }
            for (size_t b = 0; b <= BUCKETS; b++) {
                bump(&merged[at].by_bucket[b], load(&cell->by_bucket[b]));
            }
            bump(&merged[at].sum_ns, load(&cell->sum_ns));
        }
    }
    *ret_count = count;
    return merged;
}

static void add_calls(const struct dri_metrics *metrics, struct cell *cells, size_t count,
                      struct text *text)
{
    char service[260];
    char function[540];
    (void)label(metrics->service, service, sizeof(service));
    add(text, "# HELP function_calls_total finished calls of handlers\n"
              "# TYPE function_calls_total counter\n");
    for (size_t i = 0; i < count; i++) {
        (void)label(cells[i].name, function, sizeof(function));
        for (size_t k = 0; k < DRAY_KIND_COUNT; k++) {
            uint64_t calls = load(&cells[i].by_kind[k]);
            if (calls > 0) {
                const char *status =
                    k == DRAY_KIND_NONE ? "ok" : dray_kind_text((enum dray_error_kind)k);
                add(text,
                    "function_calls_total{service=\"%s\",function=\"%s\",status=\"%s\"} %" PRIu64
                    "\n",
                    service, function, status, calls);
            }
        }
    }
    add(text, "# HELP function_duration_seconds time that calls of handlers took\n"
              "# TYPE function_duration_seconds histogram\n");
    for (size_t i = 0; i < count; i++) {
        uint64_t sum = 0;
        (void)label(cells[i].name, function, sizeof(function));
        for (size_t b = 0; b < BUCKETS; b++) {
            sum += load(&cells[i].by_bucket[b]);
            add(text, "function_duration_seconds_bucket{function=\"%s\",le=\"%g\"} %" PRIu64 "\n",
                function, (double)buckets[b] / 1e9, sum);
        }
        sum += load(&cells[i].by_bucket[BUCKETS]);
        add(text, "function_duration_seconds_bucket{function=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
            function, sum);
        add(text, "function_duration_seconds_sum{function=\"%s\"} %.9f\n", function,
            (double)load(&cells[i].sum_ns) / 1e9);
        add(text, "function_duration_seconds_count{function=\"%s\"} %" PRIu64 "\n", function, sum);
    }
}

char *dri_metrics_text(struct dri_metrics *metrics, size_t *ret_len)
{
    struct text text = {NULL, 0, 0, false};
    char worker[260];
    char version[140];
    add(&text,
        "# HELP dray_build_info which dray this is\n# TYPE dray_build_info gauge\n"
        "dray_build_info{version=\"%s\",worker=\"%s\"} 1\n"
        "# HELP dray_start_timestamp_seconds when the worker started\n"
        "# TYPE dray_start_timestamp_seconds gauge\ndray_start_timestamp_seconds %.3f\n",
        label(metrics->version, version, sizeof(version)),
        label(metrics->worker, worker, sizeof(worker)), (double)metrics->started_ms / 1e3);

    dri_lock_take(&metrics->lock);
    size_t count = 0;
    struct cell *cells = merge(metrics, &count);
    add_values(metrics, &text);
    for (unsigned i = 0; i < DRI_BY_ROUTE_COUNT; i++) {
        add_by_route(metrics, (enum dri_metric_by_route)i, &text);
    }
    dri_lock_drop(&metrics->lock);

    if (cells != NULL) {
        add_calls(metrics, cells, count, &text);
    }
    dri_free(cells);
    if (cells == NULL || text.has_failed) {
        dri_free(text.at);
        return NULL;
    }
    *ret_len = text.len;
    return text.at;
}
