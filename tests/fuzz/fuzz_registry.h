/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#ifndef DRAY_FUZZ_REGISTRY_H
#define DRAY_FUZZ_REGISTRY_H

#include <stdint.h>

/* fuzz_registry.h - the form of an input, and what came of all inputs so far.
 *
 * An input is a list of steps: what to do (see below), the length of the namespace, of the name
 * (two bytes, the low one first) and of the version, then their bytes. What the input has no bytes
 * for is shorter.
 */

enum fuzz_step {
    FUZZ_STEP_PUT,
    FUZZ_STEP_REPLACE,
    FUZZ_STEP_REMOVE,
    FUZZ_STEP_FIND,
    FUZZ_STEPS
};

#define FUZZ_STEP_HEAD 5u
#define FUZZ_NAME_MAX  1100u

struct fuzz_registry_seen {
    uint64_t put, refused, conflicts, removed, found, missed;
};

extern struct fuzz_registry_seen fuzz_registry_seen;

#endif
