/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* faulty - a program with one fault, for test_reports.py: `address` reads past the end of a block,
 * `undefined` adds beyond an int, `thread` writes from two threads, `leak` forgets a block, `none`
 * is sound.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int g_shared;
static char *volatile g_block;

static void *writer(void *argument)
{
    (void)argument;
    for (int i = 0; i < 100000; i++) {
        g_shared = i;
    }
    return NULL;
}

static int race(void)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, writer, NULL) != 0) {
            return 0;
        }
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return g_shared;
}

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "none";
    volatile int number = 0x7fffffff;
    volatile size_t past = 8;

    if (strcmp(fault, "address") == 0) {
        g_block = calloc(1, 8);
        number = g_block == NULL ? 0 : g_block[past];
        free(g_block);
    } else if (strcmp(fault, "undefined") == 0) {
        number = number + argc;
    } else if (strcmp(fault, "leak") == 0) {
        g_block = calloc(1, 8);
        g_block = NULL;
    } else if (strcmp(fault, "thread") == 0) {
        number = race();
    }
    (void)printf("%d\n", number);
    return 0;
}
