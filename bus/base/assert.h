/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ASSERT_H
#define DRI_ASSERT_H

/* assert.h - a programmer's mistake ends the process, in every build.
 *
 * Never for anything that comes from outside: bytes, files, brokers, handlers' answers.
 */

/** Prints one line to standard error and aborts. Threads: any. */
_Noreturn void dri_assert_failed(const char *condition, const char *file, int line);

#define DRI_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : dri_assert_failed(#condition, __FILE__, __LINE__))

#define DRI_UNREACHABLE() dri_assert_failed("unreachable", __FILE__, __LINE__)

#define DRI_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
