/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "base/hash.h"
#include "support/test.h"

/* From the tests of Kafka's Java client (UtilsTest.testMurmur2): signed results. */
static const struct {
    const char *text;
    int32_t hash;
} vectors[] = {
    {"21", -973932308},
    {"foobar", -790332482},
    {"a-little-bit-long-string", -985981536},
    {"a-little-bit-longer-string", -1486304829},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    {"abc", 479470107},
};

static void murmur2_agrees_with_the_java_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint32_t want = (uint32_t)vectors[i].hash & 0x7fffffffu;
        assert_int_equal(dri_murmur2(dray_slice_text(vectors[i].text)), want);
    }
}

static void murmur2_takes_bytes_of_every_length_and_alignment(void **state)
{
    (void)state;
    const char *text = vectors[4].text;
    char moved[80];
    for (size_t len = 0; len <= strlen(text); len++) {
        uint32_t want = dri_murmur2(dray_slice_of(text, len));
        assert_true(want <= 0x7fffffffu);
        for (size_t shift = 1; shift < 4; shift++) {
            memcpy(moved + shift, text, len);
            assert_int_equal(dri_murmur2(dray_slice_of(moved + shift, len)), want);
        }
    }
}

static void hash64_depends_on_bytes_and_length_only(void **state)
{
    (void)state;
    char moved[8] = "xorder";
    uint64_t hash = dri_hash64(dray_slice_text("order"));
    assert_true(hash == dri_hash64(dray_slice_of(moved + 1, 5)));
    assert_true(hash != dri_hash64(dray_slice_text("orde")));
    assert_true(hash != dri_hash64(dray_slice_of("order", 6)));
    assert_true(dri_hash64(dray_slice_of(NULL, 0)) == dri_hash64(dray_slice_text("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_agrees_with_the_java_client),
        cmocka_unit_test(murmur2_takes_bytes_of_every_length_and_alignment),
        cmocka_unit_test(hash64_depends_on_bytes_and_length_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
