/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <string.h>

#include "cli.h"
#include "help.h"

static int help_run(struct dri_cli *cli)
{
    const struct dri_cli_command *command = NULL;
    size_t used = 0;
    if (cli->arguments_count > 0) {
        command = dri_cli_find(cli->arguments, cli->arguments_count, &used);
        if (command == NULL && dri_cli_explain_family(cli->arguments, cli->arguments_count)) {
            return DRI_EXIT_OK;
        }
        if (command == NULL) {
            return dri_cli_unknown(cli->arguments, cli->arguments_count);
        }
    }
    const char *topic = dri_cli_value(cli, "reference");
    if (topic != NULL) {
        return dri_help_reference(topic, stdout)
                   ? DRI_EXIT_OK
                   : dri_cli_usage(cli,
                                   "--reference has to be commands, configuration, metrics or "
                                   "errors, not \"%s\"",
                                   topic);
    }
    if (dri_cli_has(cli, "completion")) {
        dri_help_completion(stdout);
    } else if (dri_cli_has(cli, "man")) {
        dri_help_man(command, stdout);
    } else if (dri_cli_has(cli, "names")) {
        char name[64];
        dri_help_man_name(NULL, name, sizeof(name));
        printf("%s\n", name);
        for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
            dri_help_man_name(dri_cli_commands[i], name, sizeof(name));
            printf("%s\n", name);
        }
    } else if (command != NULL) {
        dri_help_command_print(command, stdout);
    } else {
        dri_help_overview(stdout);
    }
    return DRI_EXIT_OK;
}

static const struct dri_cli_option options[] = {
    {.name = "man", .help = "The man page of COMMAND, or of dray itself, as roff."},
    {.name = "completion", .help = "The completion script for bash."},
    {.name = "reference",
     .argument = "TOPIC",
     .help = "A page of the reference as Markdown: commands, configuration, metrics or errors."},
    {.name = "names", .help = "The names of all man pages, one a line."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"What there is", "dray help"},
    {"One command with its options and examples", "dray help send"},
    {"Completion for this shell", "source <(dray help --completion)"},
    {"A man page without installing it", "dray help --man send | man -l -"},
    {NULL, NULL},
};

const struct dri_cli_command dri_help_command = {
    .name = "help",
    .summary = "explain a command",
    .usage = "[COMMAND] [--man | --completion | --reference TOPIC]",
    .about = "Lists the commands, or explains one. The same table makes the man pages, the shell "
             "completion "
             "and the reference.",
    .options = options,
    .examples = examples,
    .run = help_run,
};
