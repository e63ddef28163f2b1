/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_text.c - text.digest by the test kit.
 *
 * Hashes are compared with known ones, counts with counting one by one.
 */

#include <stdio.h>
#include <stdlib.h>

#include <dray/reader.h>

#include "support/handler.h"

#define MODULE DRAY_TEST_MODULE_DIR "/text.so"

static int setup(void **state)
{
    struct dray_test_host *host = NULL;

    if (dray_test_host_load(MODULE, &host) != DRAY_OK) {
        return -1;
    }
    *state = host;
    return 0;
}

static int teardown(void **state)
{
    dray_test_host_close(*state);
    return 0;
}

static void words_are_counted_without_regard_to_case(void **state)
{
    check_gives(*state, "{\"text\":\"The cat, the DOG; the end.\",\"top\":2,\"rounds\":0}",
                "{\"bytes\":26,\"words\":6,\"distinct\":4,\"top\":[{\"word\":\"the\",\"count\":3},"
                "{\"word\":\"cat\",\"count\":1}],\"sha256\":"
                "\"e6ab273de51de95c6be2aaa331ec641877ec4899e9541f717ee4dae8f15a01df\"}");
}

static void an_empty_text_has_no_words(void **state)
{
    check_gives(*state, "{\"text\":\"\",\"rounds\":0}",
                "{\"bytes\":0,\"words\":0,\"distinct\":0,\"top\":[],\"sha256\":"
                "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}");
    check_gives(*state, "{\"text\":\" ,; \",\"rounds\":0,\"top\":0}",
                "{\"bytes\":4,\"words\":0,\"distinct\":0,\"top\":[],\"sha256\":"
                "\"866493c43fad5c4485c768874a989fdafca02da5cf604434b14a6a6988f12b96\"}");
}

static void the_digest_is_hashed_again_in_each_round(void **state)
{
    /* Source: FIPS 180-4 example "abc"; its hash hashed again as in double SHA-256. */
    check_gives(*state, "{\"text\":\"abc\",\"top\":0,\"rounds\":0}",
                "{\"bytes\":3,\"words\":1,\"distinct\":1,\"top\":[],\"sha256\":"
                "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}");
    check_gives(*state, "{\"text\":\"abc\",\"top\":0,\"rounds\":1}",
                "{\"bytes\":3,\"words\":1,\"distinct\":1,\"top\":[],\"sha256\":"
                "\"4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358\"}");
}

static void equal_counts_stand_in_the_order_of_their_bytes(void **state)
{
    const struct dray_test_call call = {.payload =
                                            "{\"text\":\"b a c b a c d \xc3\xa9\",\"top\":4}"};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_non_null(strstr(outcome->json,
                           "[{\"word\":\"a\",\"count\":2},{\"word\":\"b\",\"count\":2},"
                           "{\"word\":\"c\",\"count\":2},{\"word\":\"d\",\"count\":1}]"));
    dray_test_outcome_destroy(outcome);
}

/* The same by the slow way: for each word of a letter or two, how often it is there. */
static void counts_agree_with_counting_one_by_one(void **state)
{
    uint64_t seed = 9;

    for (unsigned round = 0; round < 100; round++) {
        char text[512];
        char json[600];
        unsigned counts[26] = {0};
        unsigned most = 0;
        unsigned distinct = 0;
        size_t len = 0;
        char want[128];
        const struct dray_test_call call = {.payload = json};
        struct dray_test_outcome *outcome;

        for (unsigned i = 0; i < 100; i++) {
            unsigned letter;

            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            letter = (unsigned)(seed >> 40) % (1 + round % 26);
            counts[letter]++;
            text[len++] = (char)((i % 2 == 0 ? 'a' : 'A') + (int)letter);
            text[len++] = ' ';
        }
        text[len] = '\0';
        for (unsigned i = 0; i < 26; i++) {
            distinct += counts[i] > 0;
            most = counts[i] > counts[most] ? i : most;
        }
        (void)snprintf(json, sizeof(json), "{\"text\":\"%s\",\"top\":1,\"rounds\":0}", text);
        (void)snprintf(want, sizeof(want),
                       "\"words\":100,\"distinct\":%u,\"top\":[{\"word\":\"%c\",\"count\":%u}]",
                       distinct, 'a' + (int)most, counts[most]);
        outcome = check_run(*state, &call);
        assert_non_null(strstr(outcome->json, want));
        dray_test_outcome_destroy(outcome);
    }
}

static void a_long_job_ends_soon_after_its_deadline(void **state)
{
    struct dray_test_call call = {.payload = "{\"text\":\"x\",\"rounds\":100000000}",
                                  .timeout_ms = 30};

    check_outcome(check_run(*state, &call), DRAY_KIND_TIMEOUT, "", "stopped", __FILE__, __LINE__);
}

static void what_does_not_fit_the_schema_is_invalid(void **state)
{
    check_fails(*state, "{}", DRAY_KIND_INVALID, "payload", "the key \"text\", which is missing");
    check_fails(*state, "{\"text\":\"x\",\"top\":101}", DRAY_KIND_INVALID, "payload",
                "payload.top");
    check_fails(*state, "{\"text\":{\"$bin\":\"AA==\"}}", DRAY_KIND_INVALID, "payload",
                "payload.text: expected text, found bytes");
}

static void a_text_of_the_largest_size_is_counted(void **state)
{
    static const char begin[] = "{\"rounds\":0,\"top\":2,\"text\":\"";
    const size_t text_len = 1000000;
    char *json = malloc(sizeof(begin) + text_len + 4);
    char *text;
    struct dray_test_call call = {.payload = json};
    struct dray_test_outcome *outcome;

    assert_non_null(json);
    memcpy(json, begin, sizeof(begin));
    text = json + sizeof(begin) - 1;
    for (size_t i = 0; i < text_len; i++) { /* "a b a c a d ..." */
        text[i] = i % 2 == 1 ? ' ' : i % 4 == 0 ? 'a' : (char)('b' + i / 4 % 25);
    }
    memcpy(text + text_len, "\"}", 3);
    outcome = check_run(*state, &call);
    assert_non_null(strstr(outcome->json, "{\"bytes\":1000000,\"words\":500000,\"distinct\":26,"
                                          "\"top\":[{\"word\":\"a\",\"count\":250000},"
                                          "{\"word\":\"b\",\"count\":10000}]"));
    dray_test_outcome_destroy(outcome);
    text[text_len] = 'x';
    memcpy(text + text_len + 1, "\"}", 3); /* one byte more; the block has room for it */
    check_fails(*state, json, DRAY_KIND_INVALID, "payload", "payload.text: expected text of 0 to");
    free(json);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(words_are_counted_without_regard_to_case),
        CASE(an_empty_text_has_no_words),
        CASE(the_digest_is_hashed_again_in_each_round),
        CASE(equal_counts_stand_in_the_order_of_their_bytes),
        CASE(counts_agree_with_counting_one_by_one),
        CASE(a_long_job_ends_soon_after_its_deadline),
        CASE(what_does_not_fit_the_schema_is_invalid),
        CASE(a_text_of_the_largest_size_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
