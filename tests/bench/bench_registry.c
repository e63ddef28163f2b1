/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* bench_registry.c - what a look-up costs, by who protects the reader.
 *
 *   bench_registry [--rounds N] [--ms N] [--json FILE]
 *
 * A look-up is: find by name (or function id), pin, touch the route, unpin. The rows:
 *
 *   registry  dri_registry_pin and dri_registry_unpin, as lanes use them
 *   epoch     a bare map with our epochs (base/epoch.h) and pins by thread: the scheme without the
 * rest qsbr      the same map and pins with liburcu's QSBR flavour memb      the same with
 * liburcu's membarrier flavour (no thread has to say when it is quiescent) rwlock    the same map
 * behind a pthread_rwlock, a counter in each route mutex     the same behind a pthread_mutex
 *
 * Meanwhile one thread replaces routes at a fixed rate. Rows of one cell run in turn, several
 * rounds; the medians are printed, in ns for a look-up and relative to "epoch". Only ratios mean
 * anything elsewhere.
 */
#define _LGPL_SOURCE /* liburcu inlines its read side, as a user who wants speed would have it */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <urcu/urcu-memb.h>
#include <urcu/urcu-qsbr.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/registry.h"

#define BATCH       64u /* look-ups between two quiescent states */
#define THREADS_MAX 2u
#define ROUNDS_MAX  15u
#define NAME_BYTES  28u

/* The header of call_rcu declares the first flavour's only. */
extern void urcu_qsbr_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
extern void urcu_qsbr_barrier(void);

enum scheme {
    REGISTRY,
    EPOCH,
    QSBR,
    MEMB,
    RWLOCK,
    MUTEX,
    SCHEMES
};
static const char *const scheme_names[SCHEMES] = {"registry", "epoch",  "qsbr",
                                                  "memb",     "rwlock", "mutex"};

/* ---- the bare map ---- */

struct item {
    uint64_t fid;
    uint32_t number;
    uint32_t name_len;
    char name[NAME_BYTES];
    uint32_t ns_len;
    char ns[8];
    _Atomic(uint32_t) counter; /* rwlock, mutex: pins, and one of the map */
    struct item *next;         /* epoch: limbo */
    uint64_t epoch;
    struct rcu_head head; /* qsbr, memb */
};

struct map_slot {
    uint64_t hash;
    _Atomic(struct item *) item;
};

struct map {
    size_t mask;
    struct map_slot *by_name;
    struct map_slot *by_fid;
    struct dri_epoch epoch;
    pthread_mutex_t epoch_lock; /* of readers that come and go */
    struct item *limbo;
    struct item **limbo_end;
    pthread_rwlock_t rwlock;
    pthread_mutex_t mutex;
};

struct question {
    uint64_t fid;
    uint32_t name_len;
    char name[NAME_BYTES];
};

static struct map *map;               /* of the size that runs */
static struct dri_registry *registry; /* of the size that runs */
static struct question *questions;    /* all routes in random order */
static struct question *by_number;    /* all routes */
static uint64_t *revisions;           /* of each route in the registry; the updater's */
static size_t routes_count;
static uint64_t last_revision;
struct pin_count {
    _Atomic(uint32_t) count;
};
static struct pin_count *pins[THREADS_MAX]; /* by thread and route */

/* Every row has to look at the namespace; volatile, so that none knows it beforehand. */
static const char *volatile namespace_text = "default";
static volatile size_t namespace_len = 7;

static struct dray_slice asked_namespace(void)
{
    return dray_slice_of(namespace_text, namespace_len);
}

static uint64_t name_hash(struct dray_slice ns, const char *name, size_t len)
{
    return dri_hash64(dray_slice_of(name, len)) ^ dri_hash64(ns) * 0x9e3779b97f4a7c15u;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "no memory\n");
        exit(1);
    }
    return memory;
}

static struct item *item_make(size_t number)
{
    struct item *item = (struct item *)must(dri_zalloc(sizeof(*item)));
    item->fid = by_number[number].fid;
    item->number = (uint32_t)number;
    item->name_len = by_number[number].name_len;
    memcpy(item->name, by_number[number].name, NAME_BYTES);
    item->ns_len = (uint32_t)namespace_len;
    memcpy(item->ns, namespace_text, item->ns_len);
    atomic_init(&item->counter, 1);
    return item;
}

static struct map_slot *map_place(struct map_slot *slots, uint64_t hash, uint32_t number)
{
    for (size_t i = (size_t)hash;; i++) {
        struct map_slot *slot = &slots[i & map->mask];
        struct item *item = atomic_load_explicit(&slot->item, memory_order_relaxed);
        if (item == NULL) {
            slot->hash = hash;
            return slot;
        }
        if (slot->hash == hash && item->number == number) {
            return slot;
        }
    }
}

/** Puts a fresh item for a route; returns the one before. */
static struct item *map_put(size_t number)
{
    struct item *item = item_make(number);
    struct map_slot *by_name = map_place(
        map->by_name, name_hash(asked_namespace(), item->name, item->name_len), item->number);
    struct map_slot *by_fid = map_place(map->by_fid, item->fid, item->number);
    struct item *old = atomic_load_explicit(&by_name->item, memory_order_relaxed);
    atomic_store_explicit(&by_fid->item, item, memory_order_release);
    atomic_store_explicit(&by_name->item, item, memory_order_release);
    return old;
}

static void map_make(size_t count)
{
    size_t slots = 16;
    while (slots / 2 < count) {
        slots *= 2;
    }
    map = (struct map *)must(dri_zalloc(sizeof(*map)));
    map->mask = slots - 1;
    map->by_name = (struct map_slot *)must(dri_zalloc_array(slots, sizeof(struct map_slot)));
    map->by_fid = (struct map_slot *)must(dri_zalloc_array(slots, sizeof(struct map_slot)));
    dri_epoch_init(&map->epoch);
    map->limbo_end = &map->limbo;
    (void)pthread_mutex_init(&map->epoch_lock, NULL);
    (void)pthread_rwlock_init(&map->rwlock, NULL);
    (void)pthread_mutex_init(&map->mutex, NULL);
    for (size_t i = 0; i < count; i++) {
        DRI_ASSERT(map_put(i) == NULL);
    }
}

static void map_free(void)
{
    for (size_t i = 0; i <= map->mask; i++) {
        dri_free(atomic_load(&map->by_name[i].item));
    }
    dri_free(map->by_name);
    dri_free(map->by_fid);
    (void)pthread_mutex_destroy(&map->epoch_lock);
    (void)pthread_rwlock_destroy(&map->rwlock);
    (void)pthread_mutex_destroy(&map->mutex);
    dri_free(map);
}

static inline struct item *map_find_name(const struct question *question)
{
    struct dray_slice ns = asked_namespace();
    uint64_t hash = name_hash(ns, question->name, question->name_len);
    for (size_t i = (size_t)hash;; i++) {
        const struct map_slot *slot = &map->by_name[i & map->mask];
        struct item *item = atomic_load_explicit(&slot->item, memory_order_acquire);
        if (item == NULL || (slot->hash == hash && item->name_len == question->name_len &&
                             item->ns_len == ns.len && memcmp(item->ns, ns.at, ns.len) == 0 &&
                             memcmp(item->name, question->name, question->name_len) == 0)) {
            return item;
        }
    }
}

static inline struct item *map_find_fid(const struct question *question)
{
    struct dray_slice ns = asked_namespace();
    for (size_t i = (size_t)question->fid;; i++) {
        const struct map_slot *slot = &map->by_fid[i & map->mask];
        struct item *item = atomic_load_explicit(&slot->item, memory_order_acquire);
        if (item == NULL || (slot->hash == question->fid && item->ns_len == ns.len &&
                             memcmp(item->ns, ns.at, ns.len) == 0)) {
            return item;
        }
    }
}

/* ---- readers ---- */

struct reader {
    pthread_t thread;
    enum scheme scheme;
    bool by_fid;
    unsigned index;
    const _Atomic(int) *is_stopping;
    uint64_t looks;
    uint64_t ns;
    uint64_t sink;
};

static inline void pin_add(unsigned thread, uint32_t number, uint32_t n, memory_order order)
{
    _Atomic(uint32_t) *pin = &pins[thread][number].count;
    atomic_store_explicit(pin, atomic_load_explicit(pin, memory_order_relaxed) + n, order);
}

static inline void counter_drop(struct item *item)
{
    if (atomic_fetch_sub_explicit(&item->counter, 1, memory_order_acq_rel) == 1) {
        dri_free(item);
    }
}

/** One look-up in the bare map. The compiler makes one for each scheme. */
static inline __attribute__((always_inline)) uint64_t
look(enum scheme scheme, bool by_fid, unsigned thread, const struct question *question)
{
    struct item *item = NULL;
    uint64_t touched = 0;
    if (scheme == MEMB) {
        urcu_memb_read_lock();
    } else if (scheme == RWLOCK) {
        (void)pthread_rwlock_rdlock(&map->rwlock);
    } else if (scheme == MUTEX) {
        (void)pthread_mutex_lock(&map->mutex);
    }
    item = by_fid ? map_find_fid(question) : map_find_name(question);
    DRI_ASSERT(item != NULL);
    if (scheme == RWLOCK || scheme == MUTEX) {
        atomic_fetch_add_explicit(&item->counter, 1, memory_order_relaxed);
    } else {
        pin_add(thread, item->number, 1, memory_order_relaxed);
    }
    touched = item->fid;
    if (scheme == RWLOCK) {
        (void)pthread_rwlock_unlock(&map->rwlock);
    } else if (scheme == MUTEX) {
        (void)pthread_mutex_unlock(&map->mutex);
    }
    if (scheme == RWLOCK || scheme == MUTEX) {
        counter_drop(item);
    } else {
        pin_add(thread, item->number, (uint32_t)-1, memory_order_release);
    }
    if (scheme == MEMB) {
        urcu_memb_read_unlock();
    }
    return touched;
}

static inline uint64_t look_registry(struct dri_reader *reader, bool by_fid,
                                     const struct question *question)
{
    struct dri_query query = {
        .ns = asked_namespace(),
        .name = by_fid ? dray_slice_of(NULL, 0) : dray_slice_of(question->name, question->name_len),
        .fid = question->fid,
        .has_fid = by_fid,
    };
    const struct dri_route *route = NULL;
    enum dray_status status = dri_registry_pin(reader, &query, &route);
    DRI_ASSERT(status == DRAY_OK);
    uint64_t touched = route->fid;
    dri_registry_unpin(reader, route);
    return touched;
}

struct seat { /* what a thread needs with each scheme */
    struct dri_reader *reader;
    struct dri_epoch_reader epoch;
};

static void sit_down(enum scheme scheme, struct seat *seat)
{
    enum dray_status status = DRAY_OK;
    switch (scheme) {
    case REGISTRY:
        status = dri_reader_register(registry, &seat->reader);
        DRI_ASSERT(status == DRAY_OK);
        break;
    case EPOCH:
        (void)pthread_mutex_lock(&map->epoch_lock);
        dri_epoch_add(&map->epoch, &seat->epoch);
        (void)pthread_mutex_unlock(&map->epoch_lock);
        dri_epoch_online(&map->epoch, &seat->epoch);
        break;
    case QSBR:
        urcu_qsbr_register_thread();
        break;
    case MEMB:
        urcu_memb_register_thread();
        break;
    default:
        break;
    }
}

static void stand_up(enum scheme scheme, struct seat *seat)
{
    switch (scheme) {
    case REGISTRY:
        dri_reader_unregister(seat->reader);
        break;
    case EPOCH:
        dri_epoch_offline(&seat->epoch);
        (void)pthread_mutex_lock(&map->epoch_lock);
        dri_epoch_remove(&map->epoch, &seat->epoch);
        (void)pthread_mutex_unlock(&map->epoch_lock);
        break;
    case QSBR:
        urcu_qsbr_unregister_thread();
        break;
    case MEMB:
        urcu_memb_unregister_thread();
        break;
    default:
        break;
    }
}

static inline __attribute__((always_inline)) uint64_t
read_loop(struct reader *self, enum scheme scheme, bool by_fid, struct seat *seat)
{
    uint64_t sink = 0;
    size_t at = routes_count / THREADS_MAX * self->index;
    while (atomic_load_explicit(self->is_stopping, memory_order_relaxed) == 0) {
        for (unsigned i = 0; i < BATCH; i++) {
            const struct question *question = &questions[at];
            at = at + 1 == routes_count ? 0 : at + 1;
            sink += scheme == REGISTRY ? look_registry(seat->reader, by_fid, question)
                                       : look(scheme, by_fid, self->index, question);
        }
        if (scheme == REGISTRY) {
            dri_reader_quiescent(seat->reader);
        } else if (scheme == EPOCH) {
            dri_epoch_quiescent(&map->epoch, &seat->epoch);
        } else if (scheme == QSBR) {
            urcu_qsbr_quiescent_state();
        }
        self->looks += BATCH;
    }
    return sink;
}

#define LOOP_OF(scheme_)                                                                           \
    case scheme_:                                                                                  \
        self->sink = self->by_fid ? read_loop(self, scheme_, true, &seat)                          \
                                  : read_loop(self, scheme_, false, &seat);                        \
        break

/** CPU time of this thread: what others do on the machine counts less, waiting for a lock not at
 * all. */
static uint64_t cpu_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *reader_main(void *arg)
{
    struct reader *self = (struct reader *)arg;
    struct seat seat = {.reader = NULL};
    sit_down(self->scheme, &seat);
    uint64_t begin_ns = cpu_ns();
    switch (self->scheme) {
        LOOP_OF(REGISTRY);
        LOOP_OF(EPOCH);
        LOOP_OF(QSBR);
        LOOP_OF(MEMB);
        LOOP_OF(RWLOCK);
        LOOP_OF(MUTEX);
    case SCHEMES:
        break;
    }
    self->ns = cpu_ns() - begin_ns;
    stand_up(self->scheme, &seat);
    return NULL;
}

/* ---- the updater ---- */

struct updater {
    pthread_t thread;
    enum scheme scheme;
    unsigned rate;
    const _Atomic(int) *is_stopping;
    uint64_t updates;
    uint64_t busy_ns;
};

static void free_by_head(struct rcu_head *head)
{
    dri_free((uint8_t *)head - offsetof(struct item, head));
}

static void epoch_retire(struct item *item)
{
    item->next = NULL;
    item->epoch = dri_epoch_advance(&map->epoch);
    *map->limbo_end = item;
    map->limbo_end = &item->next;
}

static void epoch_reclaim(void)
{
    (void)pthread_mutex_lock(&map->epoch_lock);
    uint64_t oldest = dri_epoch_oldest(&map->epoch);
    (void)pthread_mutex_unlock(&map->epoch_lock);
    while (map->limbo != NULL && map->limbo->epoch <= oldest) {
        struct item *item = map->limbo;
        map->limbo = item->next;
        dri_free(item);
    }
    if (map->limbo == NULL) {
        map->limbo_end = &map->limbo;
    }
}

static void put_registry(size_t number)
{
    uint8_t bytes[512];
    size_t len = 0;
    const struct dri_route_view view = {
        .ns = dray_slice_text("default"),
        .name = dray_slice_of(by_number[number].name, by_number[number].name_len),
        .version = dray_slice_text("1.0.0"),
        .module = dray_slice_text("m.so"),
        .handler = dray_slice_text("handler"),
    };
    enum dray_status status = dri_route_encode(&view, bytes, sizeof(bytes), &len);
    DRI_ASSERT(status == DRAY_OK);
    last_revision++;
    status = dri_registry_put(registry, revisions[number], last_revision, dray_slice_of(bytes, len),
                              NULL, NULL, 0);
    DRI_ASSERT(status == DRAY_OK);
    revisions[number] = last_revision;
}

static void update(enum scheme scheme, size_t number)
{
    switch (scheme) {
    case REGISTRY:
        put_registry(number);
        break;
    case EPOCH:
        epoch_retire(map_put(number));
        epoch_reclaim();
        break;
    case QSBR:
        urcu_qsbr_call_rcu(&map_put(number)->head, free_by_head);
        break;
    case MEMB:
        urcu_memb_call_rcu(&map_put(number)->head, free_by_head);
        break;
    case RWLOCK:
        (void)pthread_rwlock_wrlock(&map->rwlock);
        counter_drop(map_put(number));
        (void)pthread_rwlock_unlock(&map->rwlock);
        break;
    case MUTEX:
        (void)pthread_mutex_lock(&map->mutex);
        counter_drop(map_put(number));
        (void)pthread_mutex_unlock(&map->mutex);
        break;
    case SCHEMES:
        break;
    }
}

static void *updater_main(void *arg)
{
    struct updater *self = (struct updater *)arg;
    uint64_t begin_ns = dri_clock_mono_ns();
    uint64_t random = 1;
    if (self->scheme == QSBR) {
        urcu_qsbr_register_thread();
    } else if (self->scheme == MEMB) {
        urcu_memb_register_thread();
    }
    while (atomic_load_explicit(self->is_stopping, memory_order_relaxed) == 0) {
        uint64_t now_ns = dri_clock_mono_ns();
        uint64_t due = (now_ns - begin_ns) * self->rate / 1000000000u;
        while (self->updates < due) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            update(self->scheme, (size_t)(random >> 33) % routes_count);
            self->updates++;
        }
        self->busy_ns += dri_clock_mono_ns() - now_ns;
        if (self->scheme == QSBR) {
            urcu_qsbr_thread_offline();
        }
        const struct timespec pace = {.tv_nsec = 1000000}; /* a rate, not a way to synchronise */
        (void)nanosleep(&pace, NULL);
        if (self->scheme == QSBR) {
            urcu_qsbr_thread_online();
        }
    }
    if (self->scheme == EPOCH) {
        epoch_reclaim();
    } else if (self->scheme == QSBR) {
        urcu_qsbr_unregister_thread();
    } else if (self->scheme == MEMB) {
        urcu_memb_unregister_thread();
    }
    return NULL;
}

/* ---- cells ---- */

struct cell {
    size_t routes;
    bool by_fid;
    unsigned threads;
    unsigned rate;
};

struct figures {
    double ns;        /* a look-up */
    double update_us; /* an update, with its pauses for reclaiming; 0: none */
};

static struct figures run_once(enum scheme scheme, const struct cell *cell, unsigned ms)
{
    _Atomic(int) is_stopping = 0;
    struct reader readers[THREADS_MAX];
    struct updater updater = {.scheme = scheme, .rate = cell->rate, .is_stopping = &is_stopping};
    for (unsigned i = 0; i < cell->threads; i++) {
        readers[i] = (struct reader){
            .scheme = scheme, .by_fid = cell->by_fid, .index = i, .is_stopping = &is_stopping};
        DRI_ASSERT(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]) == 0);
    }
    if (cell->rate != 0) {
        DRI_ASSERT(pthread_create(&updater.thread, NULL, updater_main, &updater) == 0);
    }
    const struct timespec time = {.tv_nsec = (long)ms * 1000000};
    (void)nanosleep(&time, NULL);
    atomic_store(&is_stopping, 1);
    uint64_t looks = 0, ns = 0;
    for (unsigned i = 0; i < cell->threads; i++) {
        (void)pthread_join(readers[i].thread, NULL);
        looks += readers[i].looks;
        ns += readers[i].ns;
    }
    if (cell->rate != 0) {
        (void)pthread_join(updater.thread, NULL);
    }
    if (scheme == EPOCH) {
        epoch_reclaim();
    } else if (scheme == REGISTRY) {
        (void)dri_registry_reclaim(registry);
    } else if (scheme == QSBR && cell->rate != 0) {
        urcu_qsbr_barrier();
    } else if (scheme == MEMB && cell->rate != 0) {
        urcu_memb_barrier();
    }
    return (struct figures){
        .ns = (double)ns / (double)looks,
        .update_us =
            updater.updates == 0 ? 0 : (double)updater.busy_ns / (double)updater.updates / 1000,
    };
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(values[0]), compare_doubles);
    return values[count / 2];
}

static void run_cell(const struct cell *cell, unsigned rounds, unsigned ms, FILE *json)
{
    static double ns[SCHEMES][ROUNDS_MAX], us[SCHEMES][ROUNDS_MAX], ratio[SCHEMES][ROUNDS_MAX];
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
            struct figures figures = run_once((enum scheme)scheme, cell, ms);
            ns[scheme][round] = figures.ns;
            us[scheme][round] = figures.update_us;
        }
        for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
            ratio[scheme][round] = ns[scheme][round] / ns[EPOCH][round];
        }
    }
    (void)printf("%7zu %-4s %u %6u |", cell->routes, cell->by_fid ? "fid" : "name", cell->threads,
                 cell->rate);
    for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
        double look_ns = median(ns[scheme], rounds);
        double relative = median(ratio[scheme], rounds);
        double update_us = median(us[scheme], rounds);
        (void)printf(" %7.1f %5.2f", look_ns, relative);
        if (json != NULL) {
            (void)fprintf(json,
                          "{\"bench\":\"registry\",\"scheme\":\"%s\",\"routes\":%zu,\"by\":\"%s\","
                          "\"threads\":%u,\"updates_per_s\":%u,\"ns\":%.2f,\"to_epoch\":%.3f,"
                          "\"update_us\":%.2f}\n",
                          scheme_names[scheme], cell->routes, cell->by_fid ? "fid" : "name",
                          cell->threads, cell->rate, look_ns, relative, update_us);
        }
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

static void make_routes(size_t count)
{
    static const char *const nouns[] = {"order", "invoice", "shipment", "user", "image", "webhook"};
    uint64_t random = 99;
    const struct dri_registry_config config = {.readers_max = THREADS_MAX};
    routes_count = count;
    questions = (struct question *)must(dri_zalloc_array(count, sizeof(struct question)));
    by_number = (struct question *)must(dri_zalloc_array(count, sizeof(struct question)));
    revisions = (uint64_t *)must(dri_zalloc_array(count, sizeof(uint64_t)));
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        pins[i] = (struct pin_count *)must(dri_zalloc_array(count, sizeof(struct pin_count)));
    }
    last_revision = 0;
    for (size_t i = 0; i < count; i++) {
        struct question *question = &by_number[i];
        int len = snprintf(question->name, NAME_BYTES, "%s.action%zu", nouns[i % 6], i);
        question->name_len = (uint32_t)len;
        question->fid =
            dri_fid(dray_slice_text("default"), dray_slice_of(question->name, (size_t)len),
                    dray_slice_text("1.0.0"), dray_slice_text(""));
        size_t other = i == 0 ? 0 : (size_t)(random >> 33) % (i + 1);
        random = random * 6364136223846793005u + 1442695040888963407u;
        questions[i] = questions[other];
        questions[other] = *question;
    }
    DRI_ASSERT(dri_registry_create(&config, &registry) == DRAY_OK);
    uint64_t begin_ns = dri_clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        put_registry(i);
    }
    (void)fprintf(stderr, "%zu routes put in %.2f s\n", count,
                  (double)(dri_clock_mono_ns() - begin_ns) / 1e9);
    map_make(count);
}

static void free_routes(void)
{
    map_free();
    dri_registry_destroy(registry);
    dri_free(questions);
    dri_free(by_number);
    dri_free(revisions);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        dri_free(pins[i]);
    }
}

static unsigned number_of(const char *text, unsigned max)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number == 0 || number > max) {
        (void)fprintf(stderr, "bench_registry: \"%s\" is not a number from 1 to %u\n", text, max);
        exit(2);
    }
    return (unsigned)number;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1000, 10000, 100000};
    static const unsigned rates[] = {0, 100, 10000};
    unsigned rounds = 5, ms = 60;
    FILE *json = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0) {
            rounds = number_of(argv[i + 1], ROUNDS_MAX);
        } else if (strcmp(argv[i], "--ms") == 0) {
            ms = number_of(argv[i + 1], 900);
        } else if (strcmp(argv[i], "--json") == 0) {
            json = fopen(argv[i + 1], "w");
        }
    }
    (void)printf("routes  by  threads updates/s | ns a look-up, and relative to epoch\n%22s |", "");
    for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
        (void)printf(" %13s", scheme_names[scheme]);
    }
    (void)printf("\n");
    for (size_t size = 0; size < DRI_ARRAY_LEN(sizes); size++) {
        make_routes(sizes[size]);
        for (unsigned i = 0; i < 2 * THREADS_MAX * DRI_ARRAY_LEN(rates); i++) {
            const struct cell cell = {
                .routes = sizes[size],
                .by_fid = i / (THREADS_MAX * DRI_ARRAY_LEN(rates)) != 0,
                .threads = 1 + i / DRI_ARRAY_LEN(rates) % THREADS_MAX,
                .rate = rates[i % DRI_ARRAY_LEN(rates)],
            };
            run_cell(&cell, rounds, ms, json);
        }
        free_routes();
    }
    if (json != NULL && fclose(json) != 0) {
        return 1;
    }
    return 0;
}
