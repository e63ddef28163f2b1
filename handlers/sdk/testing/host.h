/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TESTING_HOST_H
#define DRAY_TESTING_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/handler.h>
#include <dray/slice.h>
#include <dray/status.h>

/* host.h - runs the handlers of a module without a worker and without a broker: for their tests,
 * and for trying them out.
 *
 *     struct dray_test_host *host = NULL;
 *     struct dray_test_outcome *outcome = NULL;
 *     const struct dray_test_call call = {.payload = "{\"name\": \"Ada\"}"};
 *
 *     dray_test_host_load("build/dev/modules/greet.so", &host);
 *     dray_test_host_run(host, &call, &outcome);
 *     assert_int_equal(DRAY_KIND_NONE, outcome->kind);
 *     assert_string_equal("{\"text\":\"Hello, Ada\"}", outcome->json);
 *
 * It keeps the contract of handler.h: deadline, cancellation from another thread, a bounded result,
 * and the check that the result is one value. What it has not: dray_call_payload_object gives NULL.
 *
 * Life:    load or open -> run ... -> close.
 * Threads: run and cancel from any thread, several runs at once; the others from one.
 */

struct dray_test_host;

/** What to run. Zero fields mean what is said. */
struct dray_test_call {
    const char *handler;             /* by name; NULL: the module's first */
    const char *payload;             /* JSON; NULL: see payload_bytes */
    struct dray_slice payload_bytes; /* msgpack; absent: nil */
    const char *meta;                /* JSON, a map of text; NULL: none */
    const char *id;                  /* text; NULL: 16 bytes 00 01 .. 0f */
    const char *key;                 /* NULL: none */
    const char *trace;               /* NULL: none */
    uint32_t attempt;                /* 0: 1 */
    uint32_t timeout_ms;             /* until the call is cancelled; 0: never */
    size_t result_bytes_max;         /* 0: 1 MiB */
    bool is_cancelled;               /* before it begins */
};

struct dray_test_outcome {
    enum dray_error_kind kind;
    uint32_t retry_after_ms;
    bool is_cancel_left;      /* a function of dray_call_on_cancel was not taken back */
    struct dray_slice result; /* msgpack; absent: nothing was written */
    const char *json;         /* the same as JSON; NULL: nothing was written */
    char code[64];
    char message[1024];
    char log[256]; /* the last line that the handler logged */
};

/** Load a built module and open it. Errors: EINVALID (*ret_host untouched; why is on standard
 * error), ENOMEM, what the module's open gave. */
DRAY_MUST_CHECK enum dray_status dray_test_host_load(const char *path,
                                                     struct dray_test_host **ret_host);

/** The same for a descriptor that is in this program. */
DRAY_MUST_CHECK enum dray_status dray_test_host_open(const struct dray_module *module,
                                                     struct dray_test_host **ret_host);

/** Run a handler to its end. Owns: *ret_outcome returned owned.
 *  Errors: ENOTFOUND (handler), EINVALID (JSON), ENOMEM. */
DRAY_MUST_CHECK enum dray_status dray_test_host_run(struct dray_test_host *host,
                                                    const struct dray_test_call *call,
                                                    struct dray_test_outcome **ret_outcome);

/** NULL is a no-op. */
void dray_test_outcome_destroy(struct dray_test_outcome *outcome);

/** Cancel every call that runs now. Returns how many those were. */
unsigned dray_test_host_cancel(struct dray_test_host *host);

/** Calls that run now. */
unsigned dray_test_host_running(struct dray_test_host *host);

/** Runs the module's close. Requires: no call runs. NULL is a no-op. */
void dray_test_host_close(struct dray_test_host *host);

#endif
