/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "base/hash.h"
#include "registry_fixture.h"
#include "support/test.h"

/* What a look-up does not do. The linker leads every hash and every allocation of ours through
 * here (--wrap). */

#define NAMES 500u

static uint64_t allocations, hashes;

/* NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the linker's names */
int __real_posix_memalign(void **ret_block, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **ret_block, size_t alignment, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
uint64_t __real_dri_hash64(struct dray_slice bytes);
uint64_t __wrap_dri_hash64(struct dray_slice bytes);

int __wrap_posix_memalign(void **ret_block, size_t alignment, size_t bytes)
{
    allocations++;
    return __real_posix_memalign(ret_block, alignment, bytes);
}

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

uint64_t __wrap_dri_hash64(struct dray_slice bytes)
{
    hashes++;
    return __real_dri_hash64(bytes);
}
/* NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier) */

struct names {
    char text[NAMES][32];
    uint64_t fids[NAMES];
};

/** Every third name has three versions. */
static void fill(struct fixture *f, struct names *names)
{
    static const char *const versions[] = {"1.0.0", "1.1.0", "2.0.0"};
    for (unsigned i = 0; i < NAMES; i++) {
        (void)snprintf(names->text[i], sizeof(names->text[i]), "order.action%u", i);
        for (unsigned v = 0; v < (i % 3 == 0 ? 3 : 1); v++) {
            struct spec spec = {.ns = "default", .name = names->text[i], .version = versions[v]};
            test_ok(fixture_put(f, 0, &spec));
        }
        names->fids[i] = dri_fid(dray_slice_text("default"), dray_slice_text(names->text[i]),
                                 dray_slice_text("1.0.0"), dray_slice_text(""));
    }
}

struct way {
    bool has_name, has_fid;
    const char *version;
};

static unsigned look_at_all(struct fixture *f, const struct names *names, const struct way *way)
{
    unsigned found_count = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        const struct dri_route *route = NULL;
        struct dri_query query =
            query_of("default", way->has_name ? names->text[i] : NULL, way->version);
        query.has_fid = way->has_fid;
        query.fid = names->fids[i];
        if (dri_registry_pin(f->reader, &query, &route) == DRAY_OK) {
            dri_registry_unpin(f->reader, route);
            found_count++;
        }
    }
    dri_reader_quiescent(f->reader);
    return found_count;
}

static void a_look_up_allocates_nothing(void **state)
{
    static const struct way ways[] = {{true, false, NULL},  {true, false, "^1"},
                                      {true, false, "9.9"}, {false, true, NULL},
                                      {true, true, NULL},   {true, true, ">=1 <2"}};
    static struct names names;
    struct fixture f;
    (void)state;
    allocations = 0;
    fixture_open(&f);
    fill(&f, &names);
    assert_true(allocations > NAMES); /* they are counted */
    allocations = 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        unsigned want = i == 2 ? 0 : NAMES;
        unsigned got = look_at_all(&f, &names, &ways[i]);
        assert_int_equal(allocations, 0);
        assert_int_equal(got, want);
    }
    fixture_close(&f);
}

static void a_function_id_is_found_without_hashing_a_text(void **state)
{
    static const struct way by_name = {true, false, NULL};
    static const struct way by_fid[] = {
        {false, true, NULL}, {true, true, NULL}, {true, true, "^1"}};
    static struct names names;
    struct fixture f;
    (void)state;
    fixture_open(&f);
    fill(&f, &names);
    for (size_t i = 0; i < sizeof(by_fid) / sizeof(by_fid[0]); i++) {
        hashes = 0;
        assert_int_equal(look_at_all(&f, &names, &by_fid[i]), NAMES);
        assert_int_equal(hashes, 0);
    }
    assert_int_equal(look_at_all(&f, &names, &by_name), NAMES);
    assert_int_equal(hashes, 2 * NAMES); /* namespace and name */
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_up_allocates_nothing),
        cmocka_unit_test(a_function_id_is_found_without_hashing_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
