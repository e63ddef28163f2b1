/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "registry_fixture.h"
#include "support/test.h"

/* Readers beside a writer. Threads count what they saw; the test's own thread asserts. Run it with
 * ThreadSanitizer and AddressSanitizer: they judge what counters cannot. */

#define READERS 2
#define RUN_NS  700000000u

struct reader_thread {
    struct dri_registry *registry;
    const _Atomic(int) *is_stopping;
    pthread_t thread;
    unsigned id;
    uint64_t looks, hits, misses;
    uint64_t torn;      /* routes whose parts are of different changes */
    uint64_t backwards; /* an older route after a newer one */
    uint64_t closed;    /* a pinned route whose module was closed */
};

/** Every route of a change has the change's number in its handler and in its revision. */
static void look_at(struct reader_thread *self, const struct dri_route *route, uint64_t *newest)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "h%llu", (unsigned long long)route->revision);
    bool is_whole = dray_slice_equal_text(route->view.handler, text) &&
                    route->handler == &fixture_handler && route->failure[0] == '\0';
    const struct image *image = (const struct image *)(const void *)route->module;
    self->torn += !is_whole;
    self->backwards += route->revision < *newest;
    self->closed += atomic_load(&image->is_closed) != 0;
    *newest = route->revision;
}

static void *read_all_the_time(void *arg)
{
    struct reader_thread *self = (struct reader_thread *)arg;
    static const char *const names[] = {"a", "b", "comes-and-goes"};
    uint64_t newest[3] = {0};
    struct dri_reader *reader = NULL;
    enum dray_status status = dri_reader_register(self->registry, &reader);
    DRI_ASSERT(status == DRAY_OK);
    const struct dri_route *held = NULL;
    for (uint64_t turn = self->id; atomic_load(self->is_stopping) == 0; turn++) {
        size_t i = turn % 3;
        const struct dri_query query = query_of("default", names[i], turn % 7 == 0 ? "^2" : NULL);
        const struct dri_route *route = NULL;
        self->looks++;
        if (dri_registry_pin(reader, &query, &route) == DRAY_OK) {
            self->hits++;
            look_at(self, route, &newest[i]);
            if (turn % 31 == 0) { /* hold it as a handler does, over other look-ups */
                if (held != NULL) {
                    dri_registry_unpin(reader, held);
                }
                held = route;
            } else {
                dri_registry_unpin(reader, route);
            }
        } else {
            self->misses++;
        }
        if (turn % 16 == 0) {
            dri_reader_quiescent(reader);
        }
        if (turn % 257 == 0) {
            dri_reader_offline(reader);
            uint64_t ignored = held == NULL ? 0 : held->revision;
            if (held != NULL) {
                look_at(self, held, &ignored);
            }
            dri_reader_online(reader);
        }
    }
    if (held != NULL) {
        dri_registry_unpin(reader, held);
    }
    dri_reader_unregister(reader);
    return NULL;
}

static void mark_closed(void *arg, struct dri_route *route)
{
    struct image *image = (struct image *)(void *)route->module;
    if (image != NULL) {
        atomic_store(&image->is_closed, 1);
    }
    fixture_unbind(arg, route);
}

struct change {
    struct dri_change_item item[8];
    uint8_t bytes[8][ROUTE_BYTES];
    char keys[8][64];
    size_t count;
};

static void put_at(struct change *change, const char *name, const char *version, uint64_t revision,
                   uint64_t base)
{
    size_t i = change->count++;
    char handler[32];
    (void)snprintf(handler, sizeof(handler), "h%llu", (unsigned long long)revision);
    const struct spec spec = {
        .ns = "default", .name = name, .version = version, .handler = handler};
    (void)snprintf(change->keys[i], sizeof(change->keys[i]), "default/%s@%s", name, version);
    change->item[i] = (struct dri_change_item){.key = dray_slice_text(change->keys[i]),
                                               .base = base,
                                               .route = route_of(&spec, change->bytes[i])};
}

/** a and b in two versions, always; one name that is there in every other revision. */
static void make_change(struct change *change, uint64_t revision)
{
    uint64_t base = revision - 1;
    change->count = 0;
    put_at(change, "a", "1.0.0", revision, base);
    put_at(change, "a", "2.0.0", revision, base);
    put_at(change, "b", "2.1.0", revision, base);
    if (revision % 2 == 1) {
        put_at(change, "comes-and-goes", "2.0.0", revision, 0);
    } else {
        change->item[change->count++] = (struct dri_change_item){
            .key = dray_slice_text("default/comes-and-goes@2.0.0"), .base = base};
    }
    if (revision % 64 == 0) { /* tables grow too */
        char name[32];
        (void)snprintf(name, sizeof(name), "more%llu", (unsigned long long)revision);
        put_at(change, name, "1.0.0", revision, 0);
    }
}

static void racing_readers_never_see_a_half_made_route(void **state)
{
    (void)state;
    static struct change change;
    struct fixture f = {.live_before = dri_mem_live()};
    _Atomic(int) is_stopping = 0;
    struct reader_thread readers[READERS];
    const struct dri_registry_config config = {
        .bind = fixture_bind, .unbind = mark_closed, .arg = &f.loader, .readers_max = READERS + 1};
    test_ok(dri_registry_create(&config, &f.registry));
    test_ok(dri_reader_register(f.registry, &f.reader));
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] =
            (struct reader_thread){.registry = f.registry, .is_stopping = &is_stopping, .id = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all_the_time, &readers[i]),
                         0);
    }
    uint64_t until_ns = dri_clock_mono_ns() + RUN_NS;
    uint64_t revision = 0;
    unsigned failed = 0;
    while (dri_clock_mono_ns() < until_ns || revision < 200) {
        revision++;
        make_change(&change, revision);
        failed += fixture_apply(&f, revision, change.item, change.count) != DRAY_OK;
        dri_reader_quiescent(f.reader);
    }
    atomic_store(&is_stopping, 1);
    uint64_t looks = 0;
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_true(readers[i].torn == 0);
        assert_true(readers[i].backwards == 0);
        assert_true(readers[i].closed == 0);
        looks += readers[i].hits;
    }
    assert_int_equal(failed, 0);
    assert_true(looks > 1000);
    assert_string_equal(found(&f, "default", "more64", NULL), "default/more64@1.0.0");
    fixture_close(&f);
}

/* ---- two writers ---- */

#define CAS_KEYS 200

struct cas_writer {
    struct dri_registry *registry;
    _Atomic(uint64_t) *next_revision;
    pthread_barrier_t *barrier;
    pthread_t thread;
    const char *handler;
    bool has_won[CAS_KEYS];
    unsigned other; /* answers that are neither OK nor CONFLICT */
};

static void *put_all(void *arg)
{
    struct cas_writer *self = (struct cas_writer *)arg;
    for (unsigned i = 0; i < CAS_KEYS; i++) {
        char name[32];
        uint8_t bytes[ROUTE_BYTES];
        (void)snprintf(name, sizeof(name), "name%u", i);
        const struct spec spec = {
            .ns = "default", .name = name, .version = "1.0.0", .handler = self->handler};
        struct dray_slice route = route_of(&spec, bytes);
        (void)pthread_barrier_wait(self->barrier);
        enum dray_status status = DRAY_EINVALID;
        while (status == DRAY_EINVALID) { /* the other one was there with a later revision: again */
            status = dri_registry_put(self->registry, 0, atomic_fetch_add(self->next_revision, 1),
                                      route, NULL, NULL, 0);
        }
        self->has_won[i] = status == DRAY_OK;
        self->other += status != DRAY_OK && status != DRAY_ECONFLICT;
    }
    return NULL;
}

static void of_two_modules_with_one_key_exactly_one_wins(void **state)
{
    (void)state;
    static struct cas_writer writers[2];
    struct fixture f;
    _Atomic(uint64_t) next_revision = 1;
    pthread_barrier_t barrier;
    fixture_open(&f);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        writers[i] = (struct cas_writer){.registry = f.registry,
                                         .next_revision = &next_revision,
                                         .barrier = &barrier,
                                         .handler = i == 0 ? "first" : "second"};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, put_all, &writers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_int_equal(writers[i].other, 0);
    }
    for (unsigned i = 0; i < CAS_KEYS; i++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "default/name%u@1.0.0", i);
        const struct dri_route *route = dri_registry_find_key(f.registry, dray_slice_text(key));
        assert_non_null(route);
        assert_int_equal(writers[0].has_won[i] + writers[1].has_won[i], 1);
        test_slice(writers[0].has_won[i] ? "first" : "second", route->view.handler);
    }
    assert_int_equal(dri_registry_count(f.registry), CAS_KEYS);
    assert_int_equal(pthread_barrier_destroy(&barrier), 0);
    fixture_close(&f);
}

/* ---- fifty threads and one name ---- */

#define FIGHTERS       50
#define FIGHTS         150
#define FIGHT_READERS  4
#define FIGHT_VERSIONS 3

static const char *const fight_versions[FIGHT_VERSIONS] = {"2.0.0", "2.1.0", "3.0.0"};

struct fight {
    struct dri_registry *registry;
    _Atomic(uint64_t) next_revision;
    _Atomic(int) is_stopping;
};

struct fighter {
    struct fight *fight;
    pthread_t thread;
    unsigned adds, removes, other;
};

/** One change with all versions of the name: there with this base, or gone. */
static enum dray_status fight_apply(struct fight *fight, bool is_add, uint64_t base,
                                    struct dri_registry_conflict *conflict)
{
    enum dray_status status = DRAY_EINVALID;
    while (status == DRAY_EINVALID) { /* a later revision was there first: again, with a new one */
        uint64_t revision = atomic_fetch_add(&fight->next_revision, 1);
        uint8_t routes[FIGHT_VERSIONS][ROUTE_BYTES], bytes[4 * ROUTE_BYTES];
        char keys[FIGHT_VERSIONS][64], handler[32];
        struct dri_change_item items[FIGHT_VERSIONS];
        const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
        const struct dri_change change = {.kind = dray_slice_text("routes")};
        struct dri_wire_error error;
        struct dri_change decoded;
        size_t len = 0;
        (void)snprintf(handler, sizeof(handler), "h%llu", (unsigned long long)revision);
        for (size_t i = 0; i < FIGHT_VERSIONS; i++) {
            const struct spec spec = {
                .ns = "default", .name = "one", .version = fight_versions[i], .handler = handler};
            (void)snprintf(keys[i], sizeof(keys[i]), "default/one@%s", fight_versions[i]);
            items[i] = (struct dri_change_item){.key = dray_slice_text(keys[i]), .base = base};
            if (is_add) {
                items[i].route = route_of(&spec, routes[i]);
            }
        }
        status = dri_change_encode(&change, items, FIGHT_VERSIONS, bytes, sizeof(bytes), &len);
        DRI_ASSERT(status == DRAY_OK);
        status = dri_change_decode(dray_slice_of(bytes, len), &limits, &decoded, &error);
        DRI_ASSERT(status == DRAY_OK);
        status = dri_registry_apply(fight->registry, revision, &decoded, conflict, NULL, 0);
    }
    return status;
}

static void *add_and_remove(void *arg)
{
    struct fighter *self = (struct fighter *)arg;
    for (unsigned i = 0; i < FIGHTS; i++) {
        struct dri_registry_conflict conflict = {.present = 0};
        enum dray_status status = fight_apply(self->fight, true, 0, &conflict);
        self->adds += status == DRAY_OK;
        self->other += status != DRAY_OK && status != DRAY_ECONFLICT;
        if (status == DRAY_ECONFLICT && conflict.present != 0) {
            status = fight_apply(self->fight, false, conflict.present, &conflict);
            self->removes += status == DRAY_OK;
            self->other += status != DRAY_OK && status != DRAY_ECONFLICT;
        }
    }
    return NULL;
}

struct onlooker {
    struct fight *fight;
    pthread_t thread;
    uint64_t hits, misses;
    uint64_t halves; /* the name without one of its versions, or a lower version than the highest */
    uint64_t torn, closed;
};

/** What is asked for has one answer while the name is there, and one while it is not. */
static void look_once(struct onlooker *self, struct dri_reader *reader, unsigned turn)
{
    static const struct {
        const char *version, *key;
    } asks[] = {{NULL, "default/one@3.0.0"},
                {"^2", "default/one@2.1.0"},
                {"2.0.0", "default/one@2.0.0"},
                {">=2", "default/one@3.0.0"},
                {"3.0.0", "default/one@3.0.0"}};
    size_t i = turn % (sizeof(asks) / sizeof(asks[0]));
    const struct dri_query query = query_of("default", "one", asks[i].version);
    const struct dri_route *route = NULL;
    char handler[32];
    enum dray_status status = dri_registry_pin(reader, &query, &route);
    if (status != DRAY_OK) {
        self->misses++;
        self->halves += status != DRAY_ENOTFOUND;
        return;
    }
    (void)snprintf(handler, sizeof(handler), "h%llu", (unsigned long long)route->revision);
    self->hits++;
    self->halves += strcmp(route->key, asks[i].key) != 0;
    self->torn +=
        !dray_slice_equal_text(route->view.handler, handler) || route->handler != &fixture_handler;
    self->closed +=
        atomic_load(&((const struct image *)(const void *)route->module)->is_closed) != 0;
    dri_registry_unpin(reader, route);
}

static void *look_on(void *arg)
{
    struct onlooker *self = (struct onlooker *)arg;
    struct dri_reader *reader = NULL;
    enum dray_status status = dri_reader_register(self->fight->registry, &reader);
    DRI_ASSERT(status == DRAY_OK);
    for (unsigned turn = 0; atomic_load(&self->fight->is_stopping) == 0; turn++) {
        look_once(self, reader, turn);
        if (turn % 8 == 0) {
            dri_reader_quiescent(reader);
        }
    }
    dri_reader_unregister(reader);
    return NULL;
}

static void of_a_name_that_fifty_threads_add_and_remove_no_half_is_seen(void **state)
{
    (void)state;
    static struct fighter fighters[FIGHTERS];
    struct onlooker onlookers[FIGHT_READERS];
    struct fixture f = {.live_before = dri_mem_live()};
    struct fight fight = {.next_revision = 1};
    const struct dri_registry_config config = {.bind = fixture_bind,
                                               .unbind = mark_closed,
                                               .arg = &f.loader,
                                               .readers_max = FIGHT_READERS + 1};
    unsigned adds = 0, removes = 0;
    uint64_t hits = 0;
    test_ok(dri_registry_create(&config, &f.registry));
    test_ok(dri_reader_register(f.registry, &f.reader));
    dri_reader_offline(f.reader);
    fight.registry = f.registry;
    for (unsigned i = 0; i < FIGHT_READERS; i++) {
        onlookers[i] = (struct onlooker){.fight = &fight};
        assert_int_equal(pthread_create(&onlookers[i].thread, NULL, look_on, &onlookers[i]), 0);
    }
    for (unsigned i = 0; i < FIGHTERS; i++) {
        fighters[i] = (struct fighter){.fight = &fight};
        assert_int_equal(pthread_create(&fighters[i].thread, NULL, add_and_remove, &fighters[i]),
                         0);
    }
    for (unsigned i = 0; i < FIGHTERS; i++) {
        assert_int_equal(pthread_join(fighters[i].thread, NULL), 0);
        assert_int_equal(fighters[i].other, 0);
        adds += fighters[i].adds;
        removes += fighters[i].removes;
    }
    atomic_store(&fight.is_stopping, 1);
    for (unsigned i = 0; i < FIGHT_READERS; i++) {
        assert_int_equal(pthread_join(onlookers[i].thread, NULL), 0);
        assert_true(onlookers[i].halves == 0);
        assert_true(onlookers[i].torn == 0);
        assert_true(onlookers[i].closed == 0);
        hits += onlookers[i].hits;
    }
    print_message("%u adds, %u removals, %llu hits\n", adds, removes, (unsigned long long)hits);
    assert_true(adds == removes || adds == removes + 1);
    assert_int_equal(dri_registry_count(f.registry), (adds - removes) * FIGHT_VERSIONS);
    assert_true(adds > 20 && hits > 100);
    dri_reader_online(f.reader);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(racing_readers_never_see_a_half_made_route),
        cmocka_unit_test(of_two_modules_with_one_key_exactly_one_wins),
        cmocka_unit_test(of_a_name_that_fifty_threads_add_and_remove_no_half_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
