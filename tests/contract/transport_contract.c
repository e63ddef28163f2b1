/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "transport_contract.h"

#include <stdio.h>

#define CASES_MAX 128u

int contract_main(struct contract_subject *subject, const char *filter)
{
    static struct CMUnitTest cases[CASES_MAX];
    const struct {
        const struct CMUnitTest *cases;
        size_t count;
    } lists[] = {
        {contract_bytes_cases, contract_bytes_count},
        {contract_publish_cases, contract_publish_count},
        {contract_group_cases, contract_group_count},
        {contract_log_cases, contract_log_count},
        {contract_life_cases, contract_life_count},
        {contract_follow_cases, contract_follow_count},
    };
    size_t count = 0;
    size_t number = 0;
    size_t parts = subject->parts == 0 ? 1 : subject->parts;
    /* With partitions that have owners, EACH is the same but for what follows them. */
    size_t first = subject->is_partitioned ? sizeof(lists) / sizeof(lists[0]) - 1 : 0;
    for (size_t i = first; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (size_t j = 0; j < lists[i].count && count < CASES_MAX; j++) {
            if (number++ % parts == subject->part) {
                cases[count++] = lists[i].cases[j];
            }
        }
    }
    contract_it = subject;
    if (filter != NULL) {
        cmocka_set_test_filter(filter);
    }
    return _cmocka_run_group_tests(subject->name, cases, count, NULL, NULL);
}
