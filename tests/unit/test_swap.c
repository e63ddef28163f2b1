/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* Ten thousand replacements of a module under calls: the real registry, the real loader, two
 * versions that define the same symbols. No call is lost, none meets a module that is not open or
 * a part of the other version, and nothing grows. */

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/log.h"
#include "module_fixture.h"
#include "modules/swap.h"
#include "run/binding.h"
#include "run/module_probe.h"
#include "run/registry.h"
#include "wire/sha256.h"

#define CALLERS     2u
#define PATIENCE_MS 20000u
#define NEW_EVERY   100u /* swaps: then bytes that were never there before */
#define SLOW_EVERY  64u  /* calls */
#define GROWTH_KIB  8192u

static uint64_t swaps_max = 10000; /* or the first argument */

struct caller {
    struct dri_registry *registry;
    const _Atomic(bool) *is_over;
    pthread_t thread;
    uint64_t calls;
    uint64_t lost; /* the command had no handler */
};

/* As a lane does it: pinned and offline while the handler runs. */
static void call_once(struct caller *caller, struct dri_reader *reader)
{
    const struct dri_query query = {.ns = dray_slice_text("default"),
                                    .name = dray_slice_text("swap.run")};
    const struct dri_route *route = NULL;
    if (dri_registry_pin(reader, &query, &route) != DRAY_OK) {
        caller->lost++;
        return;
    }
    dri_reader_offline(reader);
    if (route->handler == NULL) {
        caller->lost++;
    } else {
        struct dray_call call = {.bytes = sizeof(call), .user = dri_module_user(route->module)};
        if (caller->calls % SLOW_EVERY == 0) {
            (void)sched_yield(); /* a handler that is there for a while: only its pin is */
        }
        (void)route->handler->fn(&call);
        caller->calls++;
    }
    dri_registry_unpin(reader, route);
    (void)sched_yield(); /* here rather than with the route: the writer waits for it */
    dri_reader_online(reader);
}

static void *call_all_the_time(void *arg)
{
    struct caller *caller = arg;
    struct dri_reader *reader = NULL;
    enum dray_status status = dri_reader_register(caller->registry, &reader);
    DRI_ASSERT(status == DRAY_OK);
    while (!atomic_load(caller->is_over)) {
        call_once(caller, reader);
    }
    dri_reader_unregister(reader);
    return NULL;
}

/* ---- what must not grow ---- */

struct size {
    size_t live; /* bytes of ours */
    unsigned files;
    unsigned mappings;
    unsigned long resident_kib;
};

static unsigned count_files(void)
{
    unsigned count = 0;
    DIR *files = opendir("/proc/self/fd");
    assert_non_null(files);
    while (readdir(files) != NULL) { /* NOLINT(concurrency-mt-unsafe): our stream */
        count++;
    }
    (void)closedir(files);
    return count;
}

static struct size size_now(void)
{
    struct size size = {.live = dri_mem_live(), .files = count_files()};
    unsigned long total = 0;
    char line[512];
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        size.mappings += strstr(line, "memfd:") != NULL;
    }
    (void)fclose(file);
    file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(
        2, fscanf(file, "%lu %lu", &total, &size.resident_kib)); /* NOLINT(cert-err34-c) */
    size.resident_kib *= (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
    (void)fclose(file);
    return size;
}

/* ---- the writer ---- */

struct swap {
    struct fixture *fixture;
    struct swap_tally tally;
    struct dri_registry *registry;
    uint8_t *bytes[2]; /* of the two versions, with room behind for a number */
    size_t len[2];
    char sha256[2][65];
    uint64_t revision;
    char worker[32];
};

/* A number behind the end of a shared object is no part of it, but of its hash. */
static void make_new_bytes(struct swap *swap, unsigned version, uint64_t number)
{
    char path[PATH_BYTES];
    memcpy(swap->bytes[version] + swap->len[version], &number, sizeof(number));
    dri_sha256_hex(dray_slice_of(swap->bytes[version], swap->len[version] + sizeof(number)),
                   swap->sha256[version]);
    path_in(swap->fixture, version == 0 ? "swap-1.so" : "swap-2.so", path);
    write_file(path, swap->bytes[version], swap->len[version] + sizeof(number));
}

static void put_version(struct swap *swap, unsigned version)
{
    uint8_t bytes[1024];
    size_t len = 0;
    struct dri_registry_conflict conflict;
    char text[256] = "";
    const struct dri_route_view view = {
        .ns = dray_slice_text("default"),
        .name = dray_slice_text("swap.run"),
        .version = dray_slice_text("1.0.0"),
        .module = dray_slice_text(version == 0 ? "swap-1.so" : "swap-2.so"),
        .handler = dray_slice_text("swap"),
        .sha256 = dray_slice_text(swap->sha256[version]),
    };
    test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
    test_ok(dri_registry_put(swap->registry, swap->revision, swap->revision + 1,
                             dray_slice_of(bytes, len), &conflict, text, sizeof(text)));
    swap->revision++;
    const struct dri_route *route =
        dri_registry_find_key(swap->registry, dray_slice_text("default/swap.run@1.0.0"));
    assert_non_null(route);
    assert_string_equal("", route->failure);
}

static void begin_swaps(struct swap *swap, struct fixture *fixture)
{
    static const char *const built[] = {TESTED "swap_1.so", TESTED "swap_2.so"};
    swap->fixture = fixture;
    (void)snprintf(swap->worker, sizeof(swap->worker), "%llx",
                   (unsigned long long)(uintptr_t)&swap->tally);
    dri_modules_destroy(fixture->modules);
    test_ok(dri_modules_create(fixture->folder, swap->worker, &fixture->modules));
    test_ok(dri_modules_try_first(fixture->modules, "/proc/self/exe", PATIENCE_MS));
    const struct dri_registry_config config = {
        .bind = dri_binding_bind,
        .unbind = dri_binding_unbind,
        .arg = fixture->modules,
        .readers_max = CALLERS,
    };
    test_ok(dri_registry_create(&config, &swap->registry));
    for (unsigned version = 0; version < 2; version++) {
        uint8_t *file = read_file(built[version], &swap->len[version]);
        swap->bytes[version] = realloc(file, swap->len[version] + sizeof(uint64_t));
        assert_non_null(swap->bytes[version]);
        make_new_bytes(swap, version, 0);
    }
    put_version(swap, 0);
}

static void end_swaps(struct swap *swap)
{
    dri_registry_destroy(swap->registry);
    free(swap->bytes[0]);
    free(swap->bytes[1]);
}

/* Until the callers have let go of the one before. */
static void drain(const struct swap *swap)
{
    while (dri_registry_reclaim(swap->registry) > 0) {
        (void)sched_yield();
    }
}

static void swap_many(struct swap *swap, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        if (i % NEW_EVERY == 0) {
            make_new_bytes(swap, i % 2 == 0, i);
        }
        put_version(swap, i % 2 == 0);
        if (i % 4 != 0) { /* else the next one finds the image that is just being let go */
            drain(swap);
        }
    }
    drain(swap);
}

static void nothing_has_grown(const struct size *before, const struct size *after)
{
    assert_int_equal(before->live, after->live);
    assert_int_equal(before->files, after->files);
    assert_int_equal(before->mappings, after->mappings);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(after->resident_kib < before->resident_kib + GROWTH_KIB);
#endif
}

static void ten_thousand_swaps_lose_no_call_and_leave_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    struct swap swap = {.revision = 0};
    struct caller callers[CALLERS];
    _Atomic(bool) is_over = false;
    struct dri_modules_stats stats;
    uint64_t calls = 0;

    begin_swaps(&swap, fixture);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.registry = swap.registry, .is_over = &is_over};
        assert_int_equal(0,
                         pthread_create(&callers[i].thread, NULL, call_all_the_time, &callers[i]));
    }
    swap_many(&swap, 0, swaps_max / 10);
    const struct size before = size_now();
    swap_many(&swap, swaps_max / 10, swaps_max);
    const struct size after = size_now();
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_int_equal(0, pthread_join(callers[i].thread, NULL));
        assert_int_equal(0, callers[i].lost);
        calls += callers[i].calls;
    }

    dri_modules_stats(fixture->modules, &stats);
    print_message("%llu swaps, %llu calls, %llu unloaded, resident %lu -> %lu KiB\n",
                  (unsigned long long)swaps_max, (unsigned long long)calls,
                  (unsigned long long)stats.unloaded, before.resident_kib, after.resident_kib);
    nothing_has_grown(&before, &after);
    assert_int_equal(1, stats.in_use);
    assert_int_equal(0, stats.retired);
    assert_int_equal(0, stats.trials_failed);
    assert_true(stats.unloaded > swaps_max / 2);
    assert_int_equal(0, atomic_load(&swap.tally.wrong));
    assert_true(atomic_load(&swap.tally.calls[1]) > 0 && atomic_load(&swap.tally.calls[2]) > 0);
    assert_int_equal(calls, atomic_load(&swap.tally.calls[1]) + atomic_load(&swap.tally.calls[2]));
    end_swaps(&swap);
    assert_int_equal(atomic_load(&swap.tally.opens), atomic_load(&swap.tally.closes));
}

/* Both at once, as during every drain. */
static void two_versions_with_the_same_symbols_do_not_see_each_other(void **state)
{
    struct fixture *fixture = *state;
    struct swap swap = {.revision = 0};
    struct dri_module *one = NULL;
    struct dri_module *two = NULL;

    begin_swaps(&swap, fixture);
    test_ok(load(fixture, "swap-1.so", any_hash, &one));
    test_ok(load(fixture, "swap-2.so", any_hash, &two));
    for (unsigned i = 0; i < 4; i++) {
        struct dri_module *module = i % 2 == 0 ? one : two;
        struct dray_call call = {.bytes = sizeof(call), .user = dri_module_user(module)};
        (void)dri_module_find(module, dray_slice_text("swap"))->fn(&call);
    }
    assert_int_equal(2, atomic_load(&swap.tally.calls[1]));
    assert_int_equal(2, atomic_load(&swap.tally.calls[2]));
    assert_int_equal(0, atomic_load(&swap.tally.wrong));
    dri_module_release(one);
    dri_module_release(two);
    end_swaps(&swap);
}

static void a_module_that_cannot_be_loaded_says_why_in_its_route(void **state)
{
    struct fixture *fixture = *state;
    struct swap swap = {.revision = 0};
    struct dri_route route = {
        .view = {.module = dray_slice_text("crash.so"), .name = dray_slice_text("rogue")}};

    begin_swaps(&swap, fixture);
    put(fixture, TESTED "rogue_crash_open.so", "crash.so");
    dri_binding_bind(fixture->modules, &route);
    assert_null(route.handler);
    assert_string_equal(
        "module crash.so: its open ended its process by SIGABRT; it was tried in a child",
        route.failure);
    end_swaps(&swap);
}

static void discard_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(two_versions_with_the_same_symbols_do_not_see_each_other),
        CASE(a_module_that_cannot_be_loaded_says_why_in_its_route),
        CASE(ten_thousand_swaps_lose_no_call_and_leave_nothing_behind),
    };

    dri_probe_main(argc, argv);
    swaps_max = argc > 1 ? strtoull(argv[1], NULL, 10) : swaps_max;
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, discard_line, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
