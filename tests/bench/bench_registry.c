/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* bench_registry.c - what a look-up costs, by who protects the reader.
 *
 *   bench_registry [--rounds N] [--ms N] [--threads N] [--json FILE] [--markdown FILE] [--smoke]
 *
 * A look-up is: find by name (or function id), pin, touch the route, unpin. The rows:
 *
 *   registry  dri_registry_pin and dri_registry_unpin, as lanes use them
 *   epoch     a bare map with our epochs (base/epoch.h) and pins by thread: the scheme without the
 *             rest
 *   qsbr      the same map and pins with liburcu's QSBR flavour
 *   memb      the same with liburcu's membarrier flavour (no thread has to say when it is
 * quiescent) lfht      liburcu's cds_lfht under QSBR, the same pins: one table by name, one by id
 *   rwlock    the bare map behind a pthread_rwlock, a counter in each route
 *   mutex     the same behind a pthread_mutex
 *   hash      the key's hash alone
 *
 * Meanwhile one thread replaces routes at a fixed rate, for 1 to N readers (all processors when it
 * is not said). Rows of one cell run in turn, several rounds; medians of the rounds are printed:
 * CPU time of a look-up, that relative to "epoch", and, in the files, percentiles by the clock (of
 * a look-up as the mean of 64: more would be the clock's own time). Only ratios mean anything
 * elsewhere. --smoke is one short round, which judges that there is a figure in each cell.
 */
#define _LGPL_SOURCE /* liburcu inlines its read side, as a user who wants speed would have it */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <urcu/rculfhash.h>
#include <urcu/urcu-memb.h>
#include <urcu/urcu-qsbr.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/epoch.h"
#include "base/hash.h"
#include "base/mem.h"
#include "bench_registry_maps.h"
#include "bench_report.h"
#include "run/registry.h"

#define BATCH      64u /* look-ups between two quiescent states */
#define ROUNDS_MAX 15u

enum scheme {
    REGISTRY,
    EPOCH,
    QSBR,
    MEMB,
    LFHT,
    RWLOCK,
    MUTEX,
    SCHEMES
};
static const char *const scheme_names[SCHEMES] = {"registry", "epoch",  "qsbr", "memb",
                                                  "lfht",     "rwlock", "mutex"};

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
    struct times times; /* of a look-up, as the mean of a batch */
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
    if (scheme == LFHT) {
        item = lfht_find(by_fid, question);
    } else {
        item = by_fid ? map_find_fid(question) : map_find_name(question);
    }
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
    case LFHT:
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
    case LFHT:
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
    uint64_t begin_ns = dri_clock_mono_ns();
    do { /* one batch at least, however late the thread begins */
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
        } else if (scheme == QSBR || scheme == LFHT) {
            urcu_qsbr_quiescent_state();
        }
        self->looks += BATCH;
        uint64_t now_ns = dri_clock_mono_ns();
        times_add(&self->times, now_ns - begin_ns);
        begin_ns = now_ns;
    } while (atomic_load_explicit(self->is_stopping, memory_order_relaxed) == 0);
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
        LOOP_OF(LFHT);
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
    case LFHT:
        urcu_qsbr_call_rcu(&lfht_put(number)->head, free_by_head);
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
    bool is_qsbr = self->scheme == QSBR || self->scheme == LFHT;
    if (is_qsbr) {
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
        if (is_qsbr) {
            urcu_qsbr_thread_offline();
        }
        const struct timespec pace = {.tv_nsec = 1000000}; /* a rate, not a way to synchronise */
        (void)nanosleep(&pace, NULL);
        if (is_qsbr) {
            urcu_qsbr_thread_online();
        }
    }
    if (self->scheme == EPOCH) {
        epoch_reclaim();
    } else if (is_qsbr) {
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

struct plan {
    unsigned rounds, ms, threads;
    size_t sizes; /* of the three */
    struct report report;
};

struct figures {
    double ns;       /* a look-up */
    double to_epoch; /* that, relative */
    double p50, p99, p999;
    double update_us; /* an update, with its pauses for reclaiming; 0: none */
};

static struct figures run_once(enum scheme scheme, const struct cell *cell, unsigned ms)
{
    _Atomic(int) is_stopping = 0;
    static struct reader readers[THREADS_MAX];
    static struct times times;
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
    times = (struct times){.count = 0};
    for (unsigned i = 0; i < cell->threads; i++) {
        (void)pthread_join(readers[i].thread, NULL);
        looks += readers[i].looks;
        ns += readers[i].ns;
        times_merge(&times, &readers[i].times);
    }
    if (cell->rate != 0) {
        (void)pthread_join(updater.thread, NULL);
    }
    if (scheme == EPOCH) {
        epoch_reclaim();
    } else if (scheme == REGISTRY) {
        (void)dri_registry_reclaim(registry);
    } else if ((scheme == QSBR || scheme == LFHT) && cell->rate != 0) {
        urcu_qsbr_barrier();
    } else if (scheme == MEMB && cell->rate != 0) {
        urcu_memb_barrier();
    }
    return (struct figures){
        .ns = (double)ns / (double)looks,
        .p50 = times_at(&times, 500) / BATCH,
        .p99 = times_at(&times, 990) / BATCH,
        .p999 = times_at(&times, 999) / BATCH,
        .update_us =
            updater.updates == 0 ? 0 : (double)updater.busy_ns / (double)updater.updates / 1000,
    };
}

static double of_rounds(const struct figures *figures, unsigned rounds, size_t member_at)
{
    double values[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(&values[i], (const uint8_t *)&figures[i] + member_at, sizeof(values[i]));
    }
    return median(values, rounds);
}

#define OF_ROUNDS(all, rounds, member) of_rounds(all, rounds, offsetof(struct figures, member))

static void run_cell(const struct cell *cell, const struct plan *plan)
{
    static struct figures figures[SCHEMES][ROUNDS_MAX];
    for (unsigned round = 0; round < plan->rounds; round++) {
        for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
            figures[scheme][round] = run_once((enum scheme)scheme, cell, plan->ms);
        }
        for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
            figures[scheme][round].to_epoch = figures[scheme][round].ns / figures[EPOCH][round].ns;
        }
    }
    (void)printf("%7zu %-4s %2u %6u |", cell->routes, cell->by_fid ? "fid" : "name", cell->threads,
                 cell->rate);
    for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
        const struct figures *of = figures[scheme];
        const struct report_row row = {
            .scheme = scheme_names[scheme],
            .by = cell->by_fid ? "fid" : "name",
            .routes = cell->routes,
            .threads = cell->threads,
            .rate = cell->rate,
            .ns = OF_ROUNDS(of, plan->rounds, ns),
            .to_epoch = OF_ROUNDS(of, plan->rounds, to_epoch),
            .p50 = OF_ROUNDS(of, plan->rounds, p50),
            .p99 = OF_ROUNDS(of, plan->rounds, p99),
            .p999 = OF_ROUNDS(of, plan->rounds, p999),
            .update_us = OF_ROUNDS(of, plan->rounds, update_us),
        };
        (void)printf(" %7.1f %5.2f", row.ns, row.to_epoch);
        report_row(&plan->report, &row);
        DRI_ASSERT(row.ns > 0 && row.p50 > 0 && row.p50 <= row.p99 && row.p99 <= row.p999);
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

/** A name's hash alone, one thread. */
static void run_hash(const struct plan *plan)
{
    double ns[ROUNDS_MAX];
    volatile uint64_t sink = 0;
    for (unsigned round = 0; round < plan->rounds; round++) {
        uint64_t sum = 0, hashes = 0, begin_ns = cpu_ns();
        while (cpu_ns() - begin_ns < (uint64_t)plan->ms * 1000000u) {
            for (size_t i = 0; i < routes_count; i++) {
                sum += dri_hash64(dray_slice_of(questions[i].name, questions[i].name_len));
            }
            hashes += routes_count;
        }
        ns[round] = (double)(cpu_ns() - begin_ns) / (double)hashes;
        sink = sink + sum;
    }
    struct report_row row = {.scheme = "hash", .by = "name", .routes = routes_count, .threads = 1};
    row.ns = median(ns, plan->rounds);
    (void)printf("%7zu hash of a name: %.1f ns\n", routes_count, row.ns);
    report_row(&plan->report, &row);
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
    lfht_make(count);
}

static void free_routes(void)
{
    lfht_free();
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

static FILE *file_of(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static struct plan plan_read(int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct plan plan = {.rounds = 5, .ms = 60, .threads = 1, .sizes = 3};
    if (processors > 1) {
        plan.threads = processors < (long)THREADS_MAX ? (unsigned)processors : THREADS_MAX;
    }
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--smoke") == 0) {
            plan = (struct plan){.rounds = 1, .ms = 4, .threads = 2, .sizes = 1};
            continue;
        }
        if (strcmp(argv[i], "--rounds") == 0) {
            plan.rounds = number_of(value, ROUNDS_MAX);
        } else if (strcmp(argv[i], "--ms") == 0) {
            plan.ms = number_of(value, 900);
        } else if (strcmp(argv[i], "--threads") == 0) {
            plan.threads = number_of(value, THREADS_MAX);
        } else if (strcmp(argv[i], "--json") == 0) {
            plan.report.json = file_of(value);
        } else if (strcmp(argv[i], "--markdown") == 0) {
            plan.report.markdown = file_of(value);
        } else {
            (void)fprintf(stderr, "bench_registry: what is \"%s\"?\n", argv[i]);
            exit(2);
        }
        i++;
    }
    return plan;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1000, 10000, 100000};
    static const unsigned rates[] = {0, 100, 10000};
    const struct plan plan = plan_read(argc, argv);
    (void)printf("routes  by  threads updates/s | ns a look-up, and relative to epoch\n%23s |", "");
    for (unsigned scheme = 0; scheme < SCHEMES; scheme++) {
        (void)printf(" %13s", scheme_names[scheme]);
    }
    (void)printf("\n");
    report_begin(&plan.report);
    for (size_t size = 0; size < plan.sizes; size++) {
        make_routes(sizes[size]);
        run_hash(&plan);
        for (unsigned i = 0; i < 2 * plan.threads * DRI_ARRAY_LEN(rates); i++) {
            const struct cell cell = {
                .routes = sizes[size],
                .by_fid = i / (plan.threads * DRI_ARRAY_LEN(rates)) != 0,
                .threads = 1 + i / (unsigned)DRI_ARRAY_LEN(rates) % plan.threads,
                .rate = rates[i % DRI_ARRAY_LEN(rates)],
            };
            run_cell(&cell, &plan);
        }
        free_routes();
    }
    return report_end(&plan.report) ? 0 : 1;
}
