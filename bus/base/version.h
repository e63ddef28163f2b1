/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_VERSION_H
#define DRI_VERSION_H

/* version.h - what this build calls itself. The build sets it from the project's version. */

#ifndef DRAY_VERSION
#define DRAY_VERSION "0.0.0"
#endif

#endif
