/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_API_H
#define DRAY_API_H

/* api.h - marks that every public header uses: export, must-check, C++ brackets. */

#ifdef __cplusplus
#define DRAY_BEGIN extern "C" {
#define DRAY_END   }
#else
#define DRAY_BEGIN
#define DRAY_END
#endif

#if defined(__GNUC__)
#define DRAY_API                         __attribute__((visibility("default")))
#define DRAY_MUST_CHECK                  __attribute__((warn_unused_result))
#define DRAY_FORMAT(string_at, first_at) __attribute__((format(printf, string_at, first_at)))
#else
#define DRAY_API
#define DRAY_MUST_CHECK
#define DRAY_FORMAT(string_at, first_at)
#endif

#endif
