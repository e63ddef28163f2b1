/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TEST_HANDLER_H
#define DRAY_TEST_HANDLER_H

#include <stdlib.h>

#include "support/test.h"
#include "testing/host.h"

/* handler.h - the handlers' test kit with cmocka: run a handler and say what must come of it, in
 * one line.
 *
 * Threads: the test's own.
 */

/** Set an environment variable; NULL removes it. Before the module's open, which alone reads it. */
static inline void check_env(const char *name, const char *value)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no module is open, so no thread of a host runs */
    int failed = value == NULL ? unsetenv(name) : setenv(name, value, 1);

    assert_int_equal(0, failed);
}

static inline struct dray_test_outcome *check_run(struct dray_test_host *host,
                                                  const struct dray_test_call *call)
{
    struct dray_test_outcome *outcome = NULL;

    test_ok(dray_test_host_run(host, call, &outcome));
    return outcome;
}

static inline void check_outcome(struct dray_test_outcome *outcome, enum dray_error_kind kind,
                                 const char *code, const char *part, const char *file, int line)
{
    if (outcome->kind != kind || strcmp(outcome->code, code) != 0 ||
        strstr(outcome->message, part) == NULL) {
        print_error("is    %s (%s): %s\nwants %s (%s): ...%s...\n", dray_kind_text(outcome->kind),
                    outcome->code, outcome->message, dray_kind_text(kind), code, part);
        _fail(file, line);
    }
    dray_test_outcome_destroy(outcome);
}

/** A call with this JSON gives exactly this JSON. */
#define check_gives(host, payload_json, want)                                                      \
    do {                                                                                           \
        const struct dray_test_call call_ = {.payload = (payload_json)};                           \
        struct dray_test_outcome *outcome_ = check_run((host), &call_);                            \
        assert_string_equal("", outcome_->message);                                                \
        assert_int_equal(DRAY_KIND_NONE, outcome_->kind);                                          \
        assert_string_equal((want), outcome_->json);                                               \
        dray_test_outcome_destroy(outcome_);                                                       \
    } while (false)

/** A call with this JSON fails with kind, code, and a message that holds part. */
#define check_fails(host, payload_json, kind, code, part)                                          \
    do {                                                                                           \
        const struct dray_test_call call_ = {.payload = (payload_json)};                           \
        check_outcome(check_run((host), &call_), (kind), (code), (part), __FILE__, __LINE__);      \
    } while (false)

#endif
