/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* bench_intake.c - what it costs to copy a message into a pool block at intake, and to give it
 * back.
 *
 * Prints one JSON line: ns for each message of 212 bytes with 1,000 blocks out at a time, as a
 * batch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "pool.h"

#define MESSAGE_BYTES 212u
#define BATCH         1000u
#define ROUNDS        20000u

int main(void)
{
    static void *out[BATCH];
    static char messages[BATCH][MESSAGE_BYTES];
    struct dri_pool *pool = NULL;
    if (dri_pool_create(SIZE_MAX, &pool) != DRAY_OK) {
        return 1;
    }
    uint64_t begin = dri_clock_mono_ns();
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            out[i] = dri_pool_take(pool, MESSAGE_BYTES);
            if (out[i] == NULL) {
                return 1;
            }
            memcpy(out[i], messages[i], MESSAGE_BYTES);
        }
        for (unsigned i = 0; i < BATCH; i++) {
            dri_pool_give(pool, out[i]);
        }
    }
    double ns = (double)(dri_clock_mono_ns() - begin) / ((double)ROUNDS * BATCH);
    printf("{\"bench\":\"intake\",\"message_bytes\":%u,\"copy_and_give_back_ns\":%.1f}\n",
           MESSAGE_BYTES, ns);
    dri_pool_destroy(pool);
    return 0;
}
