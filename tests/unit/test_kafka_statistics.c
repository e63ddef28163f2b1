/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "support/test.h"

/* As librdkafka 2.0.2 writes it, but for what nobody reads. */
static const char sample[] =
    "{ \"name\": \"rdkafka#consumer-3\", \"type\":\"consumer\", \"ts\":2105370689, \"brokers\":{ "
    "\"127.0.0.1:46663/1\": { \"name\":\"127.0.0.1:46663/1\", \"nodeid\":1, \"state\":\"UP\", "
    "\"rxidle\":497444, \"rtt\": { \"min\":500609, \"rxidle\":1 }, \"toppars\":{ \"a.b-0\": { "
    "\"topic\":\"a.b\", \"partition\":0} } } , \"GroupCoordinator\": { \"rxidle\":1998997 }, "
    "\"gone/2\": { \"rxidle\":-1 } }, \"topics\":{ \"a.b\": { \"topic\":\"a.b\", \"batchsize\": { "
    "\"min\":0 }, \"partitions\":{ \"0\": { \"partition\":0, \"fetchq_cnt\":3, "
    "\"fetch_state\":\"active\", \"next_offset\":10, \"hi_offset\":21, \"ls_offset\":20, "
    "\"msgs\": 10} , \"-1\": { \"partition\":-1, \"fetchq_cnt\":0, \"next_offset\":0, "
    "\"ls_offset\":-1001} } } , \"c\\\"d\": { \"partitions\":{ \"7\": { \"partition\":7, "
    "\"ls_offset\":9223372036854775807} } } } , \"cgrp\": { \"state\": \"up\" }, \"tx\":12}";

static struct dri_kafka_seen_partition seen[4];
static size_t seen_count;

static void remember(void *arg, const struct dri_kafka_seen_partition *partition)
{
    assert_ptr_equal(arg, seen);
    assert_true(seen_count < DRI_ARRAY_LEN(seen));
    seen[seen_count++] = *partition;
}

/* In a block of its own, so that a byte too far is seen. */
static int64_t read_bytes(const char *json, size_t len)
{
    struct dri_kafka_sight sight = {.on_partition = remember, .arg = seen};
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy + 1, json, len);
    seen_count = 0;
    dri_kafka_statistics_read(copy + 1, len, &sight);
    for (size_t i = 0; i < seen_count; i++) {
        assert_true((const char *)seen[i].topic.at > copy);
        seen[i].topic.at = (const uint8_t *)json + ((const char *)seen[i].topic.at - copy - 1);
    }
    free(copy);
    return sight.heard_us;
}

static void partitions_and_the_last_word_of_a_broker_are_found(void **state)
{
    (void)state;
    assert_int_equal(read_bytes(sample, sizeof(sample) - 1), 497444);
    assert_int_equal(seen_count, 2);
    test_slice("a.b", seen[0].topic);
    assert_int_equal(seen[0].partition, 0);
    assert_int_equal(seen[0].queued, 3);
    assert_int_equal(seen[0].fetched, 10);
    assert_int_equal(seen[0].end, 20);
    test_slice("c\\\"d", seen[1].topic);
    assert_int_equal(seen[1].partition, 7);
    assert_int_equal(seen[1].queued, -1);
    assert_int_equal(seen[1].fetched, -1);
    assert_int_equal(seen[1].end, INT64_MAX);
}

static void what_is_missing_is_not_seen(void **state)
{
    (void)state;
    assert_int_equal(read_bytes("", 0), -1);
    assert_int_equal(read_bytes("{}", 2), -1);
    static const char silent[] = "{\"brokers\":{\"b\":{\"rxidle\":-1}},\"topics\":{\"t\":{}}}";
    assert_int_equal(read_bytes(silent, sizeof(silent) - 1), -1);
    assert_int_equal(seen_count, 0);
}

static void text_that_ends_anywhere_or_nests_for_ever_is_no_harm(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(sample); len++) {
        (void)read_bytes(sample, len);
        assert_true(seen_count <= 2);
    }
    static char deep[4096];
    memset(deep, '{', sizeof(deep));
    assert_int_equal(read_bytes(deep, sizeof(deep)), -1);
    memset(deep, '}', sizeof(deep));
    assert_int_equal(read_bytes(deep, sizeof(deep)), -1);
    memset(deep, '9', sizeof(deep));
    assert_int_equal(read_bytes(deep, sizeof(deep)), -1);
    memset(deep, '\\', sizeof(deep));
    deep[0] = '"';
    assert_int_equal(read_bytes(deep, sizeof(deep)), -1);
    assert_int_equal(seen_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_and_the_last_word_of_a_broker_are_found),
        cmocka_unit_test(what_is_missing_is_not_seen),
        cmocka_unit_test(text_that_ends_anywhere_or_nests_for_ever_is_no_harm),
    };
    return cmocka_run_group_tests_name("kafka statistics", tests, NULL, NULL);
}
