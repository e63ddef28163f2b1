/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "cli.h"
#include "run/module_probe.h"

extern char **environ;

int main(int argc, char **argv)
{
    dri_probe_main(argc, argv);
    return dri_cli_main(argc, (const char *const *)argv, (const char *const *)environ);
}
