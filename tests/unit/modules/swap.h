/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SWAP_H
#define SWAP_H

#include <stdatomic.h>
#include <stdint.h>

/* swap.h - what the modules of swap.c tell the test that loads them: the name of its worker is the
 * address of its tally, in hex. */

struct swap_tally {
    _Atomic(uint64_t) opens, closes;
    _Atomic(uint64_t) calls[3]; /* by version: 1 and 2 */
    _Atomic(uint64_t) wrong;    /* before open, after close, or with something of another version */
};

#endif
