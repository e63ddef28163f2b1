/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "core/keys.h"
#include "support/test.h"

#define KEYS    48u
#define ENTRIES 128u

static struct dri_map_entry entries[ENTRIES];
static struct dri_key memory[KEYS];
static struct dri_keys keys;

static int begin(void **state)
{
    (void)state;
    memset(entries, 0, sizeof(entries));
    memset(memory, 0, sizeof(memory));
    assert_int_equal(ENTRIES, dri_map_entries(KEYS));
    dri_keys_init(&keys, memory, KEYS, entries, ENTRIES);
    return 0;
}

static void a_key_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct dri_key *key = dri_keys_add(&keys, 77);
    assert_ptr_equal(key, dri_keys_find(&keys, 77));
    assert_null(dri_keys_find(&keys, 78));
    dri_keys_remove(&keys, key);
    assert_null(dri_keys_find(&keys, 77));
}

static void any_hash_is_a_key_zero_too(void **state)
{
    (void)state;
    assert_null(dri_keys_find(&keys, 0));
    struct dri_key *zero = dri_keys_add(&keys, 0);
    struct dri_key *most = dri_keys_add(&keys, UINT64_MAX);
    assert_ptr_equal(zero, dri_keys_find(&keys, 0));
    assert_ptr_equal(most, dri_keys_find(&keys, UINT64_MAX));
}

static void a_table_takes_as_many_keys_as_it_was_made_for(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < KEYS; i++) {
        (void)dri_keys_add(&keys, i << 32); /* alike in their low halves */
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_int_equal(i, dri_keys_number(&keys, dri_keys_find(&keys, i << 32)));
    }
}

static void a_queue_keeps_its_order_and_its_links(void **state)
{
    struct dri_flight flights[3] = {{.index = 0}, {.index = 1}, {.index = 2}};
    (void)state;
    struct dri_key *key = dri_keys_add(&keys, 5);
    for (size_t i = 0; i < 3; i++) {
        dri_key_append(&keys, key, &flights[i]);
    }
    dri_key_unlink(&keys, key, &flights[1]);
    assert_ptr_equal(&flights[0], key->head);
    assert_ptr_equal(&flights[2], key->head->next);
    assert_ptr_equal(&flights[2], key->tail);
    assert_int_equal(2, key->count);
    assert_int_equal(0, flights[1].key_number);
}

static void what_comes_back_stands_in_front_in_its_own_order(void **state)
{
    struct dri_flight waiting = {.index = 0};
    struct dri_flight back[3] = {{.index = 1}, {.index = 2}, {.index = 3}};
    (void)state;
    struct dri_key *key = dri_keys_add(&keys, 5);
    dri_key_append(&keys, key, &waiting);
    for (size_t i = 0; i < 3; i++) {
        dri_key_put_back(&keys, key, &back[i]);
    }
    assert_ptr_equal(&back[0], key->head);
    assert_ptr_equal(&back[1], back[0].next);
    assert_ptr_equal(&back[2], back[1].next);
    assert_ptr_equal(&waiting, back[2].next);
}

static void the_next_one_back_finds_its_place_when_the_last_one_was_dropped(void **state)
{
    struct dri_flight waiting = {.index = 0};
    struct dri_flight back[3] = {{.index = 1}, {.index = 2}, {.index = 3}};
    (void)state;
    struct dri_key *key = dri_keys_add(&keys, 5);
    dri_key_append(&keys, key, &waiting);
    dri_key_put_back(&keys, key, &back[0]);
    dri_key_put_back(&keys, key, &back[1]);
    dri_key_unlink(&keys, key, &back[1]);
    dri_key_put_back(&keys, key, &back[2]);
    assert_ptr_equal(&back[0], key->head);
    assert_ptr_equal(&back[2], back[0].next);
    assert_ptr_equal(&waiting, back[2].next);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The model: an array by name. */
static void a_random_walk_agrees_with_an_array(void **state)
{
    struct dri_key *model[2 * KEYS] = {NULL};
    uint64_t seed = 424242;
    uint32_t count = 0;
    (void)state;
    for (int step = 0; step < 300000; step++) {
        uint64_t name = random_next(&seed) % (2 * KEYS);
        uint64_t hash = name << (name % 5 * 12); /* alike in one part or another */
        assert_ptr_equal(model[name], dri_keys_find(&keys, hash));
        if (model[name] != NULL) {
            dri_keys_remove(&keys, model[name]);
            model[name] = NULL;
            count--;
        } else if (count < KEYS) {
            model[name] = dri_keys_add(&keys, hash);
            assert_int_equal(hash, model[name]->hash);
            count++;
        }
        assert_int_equal(count, keys.map.count);
    }
}

static void a_pair_with_another_tag_is_another_pair(void **state)
{
    (void)state;
    dri_map_add(&keys.map, 1, 500, 11);
    dri_map_add(&keys.map, 2, 500, 22);
    assert_int_equal(11, dri_map_find(&keys.map, 1, 500));
    assert_int_equal(22, dri_map_find(&keys.map, 2, 500));
    dri_map_remove(&keys.map, 1, 500);
    assert_int_equal(UINT32_MAX, dri_map_find(&keys.map, 1, 500));
    assert_int_equal(22, dri_map_find(&keys.map, 2, 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_key_is_found_until_it_is_removed, begin),
        cmocka_unit_test_setup(any_hash_is_a_key_zero_too, begin),
        cmocka_unit_test_setup(a_table_takes_as_many_keys_as_it_was_made_for, begin),
        cmocka_unit_test_setup(a_queue_keeps_its_order_and_its_links, begin),
        cmocka_unit_test_setup(what_comes_back_stands_in_front_in_its_own_order, begin),
        cmocka_unit_test_setup(the_next_one_back_finds_its_place_when_the_last_one_was_dropped,
                               begin),
        cmocka_unit_test_setup(a_random_walk_agrees_with_an_array, begin),
        cmocka_unit_test_setup(a_pair_with_another_tag_is_another_pair, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
