/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "base/hash.h"
#include "registry_fixture.h"
#include "run/registry_inside.h"
#include "support/test.h"

/* What cannot be seen from outside: the shape of tables and tree, and names whose hashes are equal.
 */

static struct table *shard_for(struct fixture *f, size_t i)
{
    return table_of(&f->registry->shards[i]);
}

static void tables_do_not_grow_by_names_that_come_and_go(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 3000; i++) {
        char name[32], key[64];
        (void)snprintf(name, sizeof(name), "name%d", i);
        (void)snprintf(key, sizeof(key), "default/name%d@1.0.0", i);
        struct spec spec = version_spec(name, "1.0.0");
        test_ok(fixture_put(&f, 0, &spec));
        test_ok(fixture_remove(&f, key, f.revision));
        dri_reader_quiescent(f.reader);
    }
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        assert_true(shard_for(&f, i)->mask < 32);
        assert_int_equal(shard_for(&f, i)->live, 0);
    }
    assert_true(table_of(&f.registry->fids)->mask < 32);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    fixture_close(&f);
}

static void names_are_spread_over_the_shards(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 1600; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "name%d", i);
        struct spec spec = version_spec(name, "1.0.0");
        test_ok(fixture_put(&f, 0, &spec));
    }
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        const struct table *table = shard_for(&f, i);
        assert_in_range(table->live, 60, 140);
        assert_true(table->used * 4 <= (table->mask + 1) * 3);
    }
    fixture_close(&f);
}

static void twice_the_shards_move_names_to_the_halves_of_their_own(void **state)
{
    (void)state;
    static struct dri_registry few, more; /* AddressSanitizer's stack is not aligned enough */
    for (uint32_t shards = 1; shards < SHARD_COUNT; shards *= 2) {
        unsigned moved = 0;
        few.shard_skip = shard_skip_of(shards);
        more.shard_skip = shard_skip_of(2 * shards);
        for (unsigned i = 0; i < 20000; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "name%u", i);
            uint64_t hash = dri_hash64(dray_slice_text(name));
            size_t before = shard_of(&few, hash), after = shard_of(&more, hash);
            assert_true(before < shards && after / 2 == before);
            assert_int_equal(after, shard_of(&more, hash));
            moved += after % 2;
        }
        assert_in_range(moved, 9500, 10500);
    }
}

static unsigned depth_of(const struct entry *entry)
{
    if (entry == NULL) {
        return 0;
    }
    unsigned left = depth_of(entry->left);
    unsigned right = depth_of(entry->right);
    return 1 + (left > right ? left : right);
}

static void the_tree_stays_flat_when_keys_come_in_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < 4000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "name%06d", i);
        struct spec spec = version_spec(name, "1.0.0");
        test_ok(fixture_put(&f, 0, &spec));
    }
    assert_true(depth_of(f.registry->writer->tree) < 45);
    fixture_close(&f);
}

static bool is_named(const struct named *named, const char *ns, const char *name)
{
    return named_is(named, dray_slice_text(ns), dray_slice_text(name));
}

static void names_of_one_hash_are_told_apart_by_all_their_bytes(void **state)
{
    (void)state;
    struct named named;
    const char *near = "ab/cd@1.0.0";
    named_init(&named, dray_slice_text(near), 2, 2);
    assert_true(is_named(&named, "ab", "cd"));
    assert_false(is_named(&named, "a", "cd"));
    assert_false(is_named(&named, "abc", "cd"));
    assert_false(is_named(&named, "ab", "c"));
    assert_false(is_named(&named, "ab", "cde"));
    assert_false(is_named(&named, "ab", "ce"));
    assert_false(is_named(&named, "aa", "cd"));
    assert_false(is_named(&named, "", "abcd"));
    const char *far = "a-namespace/and-quite-a-long-name@1.0.0";
    named_init(&named, dray_slice_text(far), 11, 21);
    assert_true(is_named(&named, "a-namespace", "and-quite-a-long-name"));
    assert_false(is_named(&named, "a-namespacf", "and-quite-a-long-name"));
    assert_false(is_named(&named, "a-namespace", "and-quite-a-long-namf"));
    assert_false(is_named(&named, "a-namespac", "and-quite-a-long-name"));
}

static void items_of_one_hash_live_beside_each_other(void **state)
{
    (void)state;
    struct table *table = NULL;
    int items[6];
    size_t at = 0;
    test_ok(table_create(6, &table));
    for (size_t i = 0; i < 6; i++) {
        table_put(table, 15 + (i % 2) * 16, NULL, &items[i]); /* one place, two hashes */
    }
    table_put(table, 15, &items[2], NULL);
    assert_ptr_equal(table_first(table, 15, &at), &items[0]);
    assert_ptr_equal(table_next(table, 15, &at), &items[4]);
    assert_null(table_next(table, 15, &at));
    table_put(table, 31, &items[3], &items[2]);
    assert_ptr_equal(table_first(table, 31, &at), &items[1]);
    assert_ptr_equal(table_next(table, 31, &at), &items[2]);
    assert_ptr_equal(table_next(table, 31, &at), &items[5]);
    assert_null(table_next(table, 31, &at));
    size_t used = table->used;
    table_put(table, 15, NULL, &items[3]); /* in the place of the one that was removed */
    assert_int_equal(table->used, used);
    assert_int_equal(table->live, 6);
    dri_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_do_not_grow_by_names_that_come_and_go),
        cmocka_unit_test(names_are_spread_over_the_shards),
        cmocka_unit_test(twice_the_shards_move_names_to_the_halves_of_their_own),
        cmocka_unit_test(the_tree_stays_flat_when_keys_come_in_order),
        cmocka_unit_test(names_of_one_hash_are_told_apart_by_all_their_bytes),
        cmocka_unit_test(items_of_one_hash_live_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
