/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* try.c - dray-try: runs one handler of a module on a payload, without a worker and without a
 * broker.
 *
 * Prints what the caller of the command would get; exit code 0 for a result, 1 for a failure, 2 for
 * wrong usage.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static const char usage[] =
    "usage: dray-try MODULE.so [HANDLER] [JSON]\n"
    "  runs a handler once (the module's first when none is named) and prints its outcome:\n"
    "  dray-try build/dev/modules/probe.so probe '{\"do\": \"ok\", \"echo\": [1, 2]}'\n";

static int print_outcome(const struct dray_test_outcome *outcome)
{
    if (outcome->kind == DRAY_KIND_NONE) {
        (void)printf("ok %s\n", outcome->json == NULL ? "null" : outcome->json);
        return 0;
    }
    (void)printf("error %s", dray_kind_text(outcome->kind));
    if (outcome->code[0] != '\0') {
        (void)printf(" (%s)", outcome->code);
    }
    (void)printf(": %s\n", outcome->message);
    return 1;
}

int main(int argc, char **argv)
{
    struct dray_test_host *host = NULL;
    struct dray_test_outcome *outcome = NULL;
    struct dray_test_call call = {.timeout_ms = 30000};
    enum dray_status status;
    char path[4096];
    int exit_code;

    if (argc < 2 || argc > 4 || argv[1][0] == '-') {
        (void)fputs(usage, stderr);
        return 2;
    }
    /* A bare name would be looked for where libraries are. */
    (void)snprintf(path, sizeof(path), "%s%s", strchr(argv[1], '/') == NULL ? "./" : "", argv[1]);
    call.handler = argc > 2 ? argv[2] : NULL;
    call.payload = argc > 3 ? argv[3] : NULL;
    status = dray_test_host_load(path, &host);
    if (status != DRAY_OK) {
        (void)fprintf(stderr, "dray-try: %s cannot be loaded: %s\n", argv[1],
                      dray_status_text(status));
        return 2;
    }
    status = dray_test_host_run(host, &call, &outcome);
    if (status == DRAY_OK) {
        exit_code = print_outcome(outcome);
    } else {
        (void)fprintf(stderr, "dray-try: %s\n",
                      status == DRAY_ENOTFOUND ? "the module has no handler of this name"
                                               : dray_status_text(status));
        exit_code = 2;
    }
    dray_test_outcome_destroy(outcome);
    dray_test_host_close(host);
    return exit_code;
}
