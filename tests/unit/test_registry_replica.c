/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "cli/registry_replica.h"
#include "run/status_beat.h"
#include "support/test.h"

static uint8_t g_buffer[DRI_BEAT_BYTES_MAX];

/* A replica at revision 1000 where `failed` routes fail that the changes from 101 on put, and that
 * has called all but those in idle. */
static void record_of(size_t failed, uint64_t failed_all, const struct dri_status_lists *idle,
                      struct dri_status_record *ret_record)
{
    static struct dri_status_failure failures[DRI_BEAT_FAILED_MAX];
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    const struct dri_status_record record = {.worker = dray_slice_text("w"),
                                             .state = dray_slice_text("ready"),
                                             .revision = 1000,
                                             .failed_all = failed_all,
                                             .idle_all = idle == NULL ? 0 : 70};
    struct dri_status_lists lists = {.failed = failures, .failed_count = failed};
    struct dri_wire_error error;
    size_t len = 0;

    for (size_t i = 0; i < failed; i++) {
        failures[i] = (struct dri_status_failure){.key = dray_slice_text("d/bad@1.0.0"),
                                                  .revision = 101 + i,
                                                  .reason = dray_slice_text("is away")};
    }
    if (idle != NULL) {
        lists.idle = idle->idle;
        lists.idle_count = idle->idle_count;
    }
    test_ok(dri_status_encode(&record, &lists, g_buffer, sizeof(g_buffer), &len));
    test_ok(dri_status_decode(dray_slice_of(g_buffer, len), &limits, ret_record, &error));
}

static enum dri_ability ability(const struct dri_status_record *record, const char *key,
                                uint64_t revision)
{
    struct dray_slice reason;
    return dri_replica_ability(record, dray_slice_text(key), revision, &reason);
}

static void a_route_that_is_listed_or_to_come_cannot_run(void **state)
{
    struct dri_status_record record;
    struct dray_slice reason;

    (void)state;
    record_of(2, 2, NULL, &record);
    assert_int_equal(dri_replica_ability(&record, dray_slice_text("d/bad@1.0.0"), 102, &reason),
                     DRI_ABILITY_NONE);
    test_slice("is away", reason);
    assert_int_equal(ability(&record, "d/new@1.0.0", 1001), DRI_ABILITY_NONE);
    /* another revision of the key, and another key of the revision, are other routes */
    assert_int_equal(ability(&record, "d/bad@1.0.0", 1000), DRI_ABILITY_RUNS);
    assert_int_equal(ability(&record, "d/good@1.0.0", 102), DRI_ABILITY_RUNS);
    assert_true(dri_replica_failed_all(&record) == 2);
}

static void of_a_list_that_is_cut_what_is_older_is_not_known(void **state)
{
    struct dri_status_record record;
    /* counted; not counted, of a release that cut its list, too; not counted and not cut */
    static const struct {
        size_t failed;
        uint64_t failed_all;
        bool is_cut;
    } cases[] = {{DRI_BEAT_FAILED_MAX, DRI_BEAT_FAILED_MAX + 1, true},
                 {DRI_BEAT_FAILED_MAX, 0, true},
                 {DRI_BEAT_FAILED_MAX, DRI_BEAT_FAILED_MAX, false},
                 {DRI_BEAT_FAILED_MAX - 1, 0, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum dri_ability older = cases[i].is_cut ? DRI_ABILITY_UNKNOWN : DRI_ABILITY_RUNS;
        record_of(cases[i].failed, cases[i].failed_all, NULL, &record);
        assert_int_equal(ability(&record, "d/good@1.0.0", 1), older);
        assert_int_equal(ability(&record, "d/good@1.0.0", 101), older);
        assert_int_equal(ability(&record, "d/good@1.0.0", 102), DRI_ABILITY_RUNS);
        assert_true(dri_replica_failed_all(&record) ==
                    (cases[i].failed_all == 0 ? cases[i].failed : cases[i].failed_all));
    }
}

static void who_does_not_say_what_is_idle_leaves_it_open(void **state)
{
    struct dri_status_record record;
    const struct dri_status_idle some[] = {{dray_slice_text("d/idle@1.0.0"), 7}};
    const struct dri_status_lists cut = {.idle = some, .idle_count = 1};

    (void)state;
    record_of(0, 0, NULL, &record); /* an older release */
    assert_int_equal(dri_replica_called(&record, dray_slice_text("d/a@1.0.0"), 7),
                     DRI_CALLED_UNKNOWN);
    record_of(0, 0, &cut, &record); /* 70, of which one is listed */
    assert_int_equal(dri_replica_called(&record, dray_slice_text("d/a@1.0.0"), 7),
                     DRI_CALLED_UNKNOWN);
    assert_int_equal(dri_replica_called(&record, dray_slice_text("d/idle@1.0.0"), 7),
                     DRI_CALLED_NEVER);
    record.idle_all = 1;
    assert_int_equal(dri_replica_called(&record, dray_slice_text("d/a@1.0.0"), 7), DRI_CALLED_YES);
    assert_int_equal(dri_replica_called(&record, dray_slice_text("d/idle@1.0.0"), 8),
                     DRI_CALLED_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_that_is_listed_or_to_come_cannot_run),
        cmocka_unit_test(of_a_list_that_is_cut_what_is_older_is_not_known),
        cmocka_unit_test(who_does_not_say_what_is_idle_leaves_it_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
