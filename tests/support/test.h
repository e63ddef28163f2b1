/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TEST_H
#define DRAY_TEST_H

/* test.h - the only way to cmocka: its four headers have to come first, in this order.
 *
 * cmocka's assertions longjmp: use them on the test's own thread only, and gather what other
 * threads saw before asserting.
 */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>
#include <string.h>

#include <dray/slice.h>
#include <dray/status.h>

/** Fails the test with the status's text unless the call gives `want`. */
#define test_status(want, call) test_status_at((want), (call), #call, __FILE__, __LINE__)

/** Fails the test with the status's text unless the call is DRAY_OK. */
#define test_ok(call) test_status_at(DRAY_OK, (call), #call, __FILE__, __LINE__)

/** Fails the test unless the slice holds exactly this text. */
#define test_slice(want_text, slice) test_slice_at((want_text), (slice), #slice, __FILE__, __LINE__)

/** Skips the test: the case needs something that this machine does not offer. */
#define test_skip(why)                                                                             \
    do {                                                                                           \
        print_message("skipped: %s\n", (why));                                                     \
        skip();                                                                                    \
    } while (false)

static inline void test_status_at(enum dray_status want, enum dray_status got, const char *call,
                                  const char *file, int line)
{
    if (want != got) {
        print_error("%s\n  gave  %s\n  wants %s\n", call, dray_status_text(got),
                    dray_status_text(want));
        _fail(file, line);
    }
}

static inline void test_slice_at(const char *want, struct dray_slice got, const char *what,
                                 const char *file, int line)
{
    size_t want_len = strlen(want);
    if (got.at == NULL || got.len != want_len || memcmp(got.at, want, want_len) != 0) {
        print_error("%s\n  is    \"%.*s\" (%zu bytes)\n  wants \"%s\" (%zu bytes)\n", what,
                    got.at == NULL ? 0 : (int)got.len, got.at == NULL ? "" : (const char *)got.at,
                    got.len, want, want_len);
        _fail(file, line);
    }
}

#endif
