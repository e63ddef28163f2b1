/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <msgpack.h>
#include <stdio.h>

#include "base/mem.h"
#include "support/test.h"
#include "support/wire_bytes.h"
#include "wire/payload.h"

static int arena_open(void **state)
{
    struct dri_payload_arena *arena;

    test_ok(dri_payload_arena_create(65536, &arena));
    *state = arena;
    return 0;
}

static int arena_close(void **state)
{
    dri_payload_arena_destroy(*state);
    wire_bytes_free();
    return 0;
}

static const msgpack_object *unpacked(struct dri_payload_arena *arena, struct dray_slice payload)
{
    const void *object;

    test_ok(dri_payload_unpack(arena, payload, &object));
    return (const msgpack_object *)object;
}

static void a_payload_becomes_a_tree(void **state)
{
    const msgpack_object *object =
        unpacked(*state, wire_json("{\"a\":[1,-2,{\"b\":\"c\"}],\"d\":{\"$bin\":\"AAE=\"}}"));
    const msgpack_object *list;

    assert_int_equal(object->type, MSGPACK_OBJECT_MAP);
    assert_int_equal(object->via.map.size, 2);
    list = &object->via.map.ptr[0].val;
    assert_int_equal(list->via.array.size, 3);
    assert_true(list->via.array.ptr[1].via.i64 == -2);
    assert_int_equal(list->via.array.ptr[2].via.map.ptr[0].val.via.str.ptr[0], 'c');
    assert_int_equal(object->via.map.ptr[1].val.via.bin.size, 2);
}

static void an_absent_payload_is_nil(void **state)
{
    assert_int_equal(unpacked(*state, dray_slice_of(NULL, 0))->type, MSGPACK_OBJECT_NIL);
}

static void the_arena_is_used_again_and_grows(void **state)
{
    char json[4096] = "[1";
    size_t len = 2;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(unpacked(*state, wire_json("[1,2,3]"))->via.array.size, 3);
    }
    for (int i = 1; i < 1000; i++) {
        len += (size_t)snprintf(json + len, sizeof(json) - len, ",1");
    }
    json[len] = ']';
    assert_int_equal(unpacked(*state, wire_json(json))->via.array.size, 1000);
    assert_int_equal(unpacked(*state, wire_json("[1,2,3]"))->via.array.size, 3);
    assert_int_equal(unpacked(*state, wire_json(json))->via.array.ptr[999].via.u64, 1);
}

static void a_payload_beyond_the_bound_is_refused_exactly(void **state)
{
    struct dri_payload_arena *arena;
    const void *object;

    (void)state;
    test_ok(
        dri_payload_arena_create(3 * sizeof(msgpack_object) + sizeof(msgpack_object_kv), &arena));
    test_ok(dri_payload_unpack(arena, wire_json("[1,2,{\"a\":1}]"), &object));
    test_status(DRAY_ELIMIT, dri_payload_unpack(arena, wire_json("[1,2,{\"a\":[1]}]"), &object));
    test_ok(dri_payload_unpack(arena, wire_json("[1,2,{\"a\":1}]"), &object));
    dri_payload_arena_destroy(arena);
}

static void bytes_that_lie_never_reach_msgpack(void **state)
{
    const void *object;

    test_status(DRAY_EINVALID,
                dri_payload_unpack(*state, dray_slice_text("\xdd\xff\xff\xff\xff\x01"), &object));
    test_status(DRAY_EINVALID, dri_payload_unpack(*state, dray_slice_text("\x01\x01"), &object));
    test_status(DRAY_EINVALID, dri_payload_unpack(*state, dray_slice_text("\xc1"), &object));
    test_status(DRAY_EINVALID, dri_payload_unpack(*state, dray_slice_text(""), &object));
}

static void nesting_is_a_limit_and_not_a_shortage_of_memory(void **state)
{
    uint8_t bytes[33];
    const void *object;

    memset(bytes, 0x91, sizeof(bytes));
    bytes[31] = 0x90;
    test_ok(dri_payload_unpack(*state, dray_slice_of(bytes, 32), &object));
    bytes[31] = 0x91;
    bytes[32] = 0x01;
    test_ok(dri_payload_unpack(*state, dray_slice_of(bytes, 33), &object));
    bytes[32] = 0x90;
    test_status(DRAY_ELIMIT, dri_payload_unpack(*state, dray_slice_of(bytes, 33), &object));
}

static void the_arenas_memory_may_be_missing(void **state)
{
    struct dri_payload_arena *arena = NULL;

    (void)state;
    dri_mem_fail_at(1);
    test_status(DRAY_ENOMEM, dri_payload_arena_create(100, &arena));
    dri_mem_fail_at(0);
    assert_null(arena);
    dri_payload_arena_destroy(NULL);
}

static struct dri_payload_arena *g_arena;

static void damage_try(struct dray_slice damaged)
{
    const void *object;
    enum dray_status status = dri_payload_unpack(g_arena, damaged, &object);

    assert_true(status == DRAY_OK || status == DRAY_EINVALID || status == DRAY_ELIMIT);
}

static void no_damage_to_any_sample_crashes(void **state)
{
    g_arena = *state;
    wire_damage(wire_golden("envelope.msgpack"), damage_try);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, arena_open, arena_close)
    const struct CMUnitTest tests[] = {
        CASE(a_payload_becomes_a_tree),
        CASE(an_absent_payload_is_nil),
        CASE(the_arena_is_used_again_and_grows),
        CASE(a_payload_beyond_the_bound_is_refused_exactly),
        CASE(bytes_that_lie_never_reach_msgpack),
        CASE(nesting_is_a_limit_and_not_a_shortage_of_memory),
        CASE(the_arenas_memory_may_be_missing),
        CASE(no_damage_to_any_sample_crashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
