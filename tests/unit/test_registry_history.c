/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "cli/registry_diff.h"
#include "cli/registry_history.h"
#include "registry_fixture.h"
#include "support/test.h"

#define KEY "default/order.create@1.0.0"

/* A log that is read, and kept. */
struct kept {
    struct dri_registry *registry;
    struct dri_control_log log;
    struct dri_history history;
    uint64_t next;
};

static void open_kept(struct kept *k)
{
    const struct dri_registry_config config = {.readers_max = 1};
    *k = (struct kept){.next = 0};
    test_ok(dri_registry_create(&config, &k->registry));
    dri_control_log_init(&k->log, k->registry, "", "dray.control");
    dri_control_log_begin(&k->log, 0);
}

static void close_kept(struct kept *k)
{
    dri_history_fini(&k->history);
    dri_registry_destroy(k->registry);
}

/* One record into both; returns what the rule said. */
static enum dri_control_verdict take(struct kept *k, struct dray_slice value)
{
    struct dri_control_outcome outcome;
    const struct dri_message message = {.offset = k->next++, .value = value};
    test_ok(dri_control_log_take(&k->log, &message, &outcome));
    test_ok(dri_history_add(&k->history, value, &outcome));
    return outcome.verdict;
}

/* A put of the one route, or its removal when spec is NULL. */
static enum dri_control_verdict change(struct kept *k, uint64_t base, const struct spec *spec)
{
    uint8_t route[ROUTE_BYTES];
    uint8_t bytes[CHANGE_BYTES];
    uint8_t *record = NULL;
    size_t len = 0;
    const struct dri_change said = {.kind = dray_slice_text("routes"),
                                    .author = dray_slice_text("ann@host#0001"),
                                    .note = dray_slice_text("why")};
    const struct dri_change_item item = {.key = dray_slice_text(KEY),
                                         .base = base,
                                         .route = spec == NULL ? dray_slice_of(NULL, 0)
                                                               : route_of(spec, route)};
    test_ok(dri_change_encode(&said, &item, 1, bytes, sizeof(bytes), &len));
    test_ok(dri_control_log_wrap(dray_slice_of(bytes, len), NULL, &record, &len));
    enum dri_control_verdict verdict = take(k, dray_slice_of(record, len));
    dri_free(record);
    return verdict;
}

static const struct spec spec_one = {.name = "order.create", .version = "1.0.0", .weight = 1};
static const struct spec spec_two = {.name = "order.create", .version = "1.0.0", .weight = 2};

/* 1 puts, 2 changes, 3 is too late, 4 is nothing, 5 removes, 6 puts again. */
static void fill(struct kept *k)
{
    assert_int_equal(change(k, 0, &spec_one), DRI_CONTROL_APPLIED);
    assert_int_equal(change(k, 1, &spec_two), DRI_CONTROL_APPLIED);
    assert_int_equal(change(k, 1, NULL), DRI_CONTROL_CONFLICT);
    assert_int_equal(take(k, dray_slice_text("no record")), DRI_CONTROL_REFUSED);
    assert_int_equal(change(k, 2, NULL), DRI_CONTROL_APPLIED);
    assert_int_equal(change(k, 0, &spec_one), DRI_CONTROL_APPLIED);
}

static void the_registry_is_there_as_it_was_at_each_revision(void **state)
{
    static const uint64_t there[] = {0, 1, 2, 2, 2, 0, 6, 6};
    struct kept k;
    size_t live_before = dri_mem_live();

    (void)state;
    open_kept(&k);
    fill(&k);
    for (uint64_t revision = 0; revision < sizeof(there) / sizeof(there[0]); revision++) {
        struct dri_registry *then = NULL;
        test_ok(dri_history_registry(&k.history, revision, &then));
        const struct dri_route *route = dri_registry_find_key(then, dray_slice_text(KEY));
        assert_int_equal(route == NULL ? 0 : route->revision, there[revision]);
        assert_true(route == NULL || route->view.weight == (there[revision] == 2 ? 2 : 1));
        dri_registry_destroy(then);
    }
    close_kept(&k);
    assert_int_equal(dri_mem_live(), live_before);
}

static void a_route_is_found_under_the_revision_that_put_it_only(void **state)
{
    static const bool is_put[] = {false, true, true, false, false, false, true, false};
    struct kept k;

    (void)state;
    open_kept(&k);
    fill(&k);
    for (uint64_t revision = 0; revision < sizeof(is_put) / sizeof(is_put[0]); revision++) {
        struct dray_slice route = dri_history_route(&k.history, dray_slice_text(KEY), revision);
        assert_int_equal(!dray_slice_is_absent(route), is_put[revision]);
        assert_true(dray_slice_is_absent(
            dri_history_route(&k.history, dray_slice_text("default/x@1.0.0"), revision)));
    }
    close_kept(&k);
}

static void every_record_says_who_and_what_became_of_it(void **state)
{
    static const char *const verdicts[] = {"accepted", "accepted", "conflict",
                                           "refused",  "accepted", "accepted"};
    struct kept k;

    (void)state;
    open_kept(&k);
    fill(&k);
    assert_int_equal(k.history.count, 6);
    for (size_t i = 0; i < k.history.count; i++) {
        const struct dri_history_record *record = &k.history.records[i];
        assert_int_equal(record->revision, i + 1);
        assert_string_equal(dri_history_verdict(record), verdicts[i]);
        assert_int_equal(record->has_change, i != 3);
        if (record->has_change) {
            test_slice("ann@host", dri_history_author(record->change.author));
            test_slice("why", record->change.note);
        }
    }
    assert_string_equal(k.history.records[2].conflict.key, KEY);
    assert_int_equal(k.history.records[2].conflict.present, 2);
    assert_non_null(k.history.records[3].text);
    close_kept(&k);
}

static void count_word(void *arg, const struct dri_difference *difference)
{
    size_t *counts = arg;
    const char *word = dri_difference_word(difference);
    counts[word[0] == 'a' ? 0 : word[0] == 'u' ? 1 : 2]++;
}

static void two_registries_differ_by_what_was_added_updated_and_removed(void **state)
{
    static const size_t wanted[7][3] = {{1, 0, 0}, {0, 0, 0}, {0, 1, 0}, {0, 1, 0},
                                        {0, 1, 0}, {1, 0, 0}, {0, 0, 0}};
    struct kept k;

    (void)state;
    open_kept(&k);
    fill(&k);
    for (uint64_t revision = 0; revision < 7; revision++) { /* against the present one */
        struct dri_registry *then = NULL;
        size_t counts[3] = {0, 0, 0};
        test_ok(dri_history_registry(&k.history, revision, &then));
        dri_differences_each(then, k.registry, count_word, counts);
        assert_memory_equal(counts, wanted[revision], sizeof(counts));
        counts[0] = counts[1] = counts[2] = 0;
        dri_differences_each(k.registry, then, count_word, counts); /* and the other way */
        assert_true(counts[0] == wanted[revision][2] && counts[1] == wanted[revision][1] &&
                    counts[2] == wanted[revision][0]);
        dri_registry_destroy(then);
    }
    close_kept(&k);
}

static void without_memory_it_is_said_and_nothing_is_lost(void **state)
{
    struct kept k;
    size_t live_before = dri_mem_live();
    bool has_failed = true;

    (void)state;
    for (uint64_t n = 1; has_failed; n++) {
        struct dri_registry *then = NULL;
        open_kept(&k);
        fill(&k);
        dri_mem_fail_at(n);
        enum dray_status status = dri_history_registry(&k.history, 6, &then);
        has_failed = dri_mem_failed();
        dri_mem_fail_at(0);
        test_status(has_failed ? DRAY_ENOMEM : DRAY_OK, status);
        assert_int_equal(then != NULL, !has_failed);
        dri_registry_destroy(then);
        close_kept(&k);
        assert_int_equal(dri_mem_live(), live_before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_registry_is_there_as_it_was_at_each_revision),
        cmocka_unit_test(a_route_is_found_under_the_revision_that_put_it_only),
        cmocka_unit_test(every_record_says_who_and_what_became_of_it),
        cmocka_unit_test(two_registries_differ_by_what_was_added_updated_and_removed),
        cmocka_unit_test(without_memory_it_is_said_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
