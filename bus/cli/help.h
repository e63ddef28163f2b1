/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_HELP_H
#define DRI_CLI_HELP_H

#include <stdio.h>

#include "cli.h"

/* help.h - the table of commands as text, man page, completion and reference. Private to cli. */

/** What dray is and which commands there are. */
void dri_help_overview(FILE *to);
/** One command with its options and examples. */
void dri_help_command_print(const struct dri_cli_command *command, FILE *to);

/** The man page of a command, or dray(1) for NULL. */
void dri_help_man(const struct dri_cli_command *command, FILE *to);
/** "dray-dlq-ls" for "dlq ls". */
void dri_help_man_name(const struct dri_cli_command *command, char *ret_name, size_t name_bytes);
void dri_help_completion(FILE *to);
/** topic: commands, configuration, metrics, errors; false: another. */
bool dri_help_reference(const char *topic, FILE *to);

/** The command whose name the words begin with. *ret_words: how many of them it is. */
const struct dri_cli_command *dri_cli_find(const char *const *words, size_t count,
                                           size_t *ret_words);
/** The commands of a family ("registry") on standard output; false: these words do not ask for it.
 */
bool dri_cli_explain_family(const char *const *words, size_t count);
/** Says that there is none, and the nearest. Returns DRI_EXIT_USAGE. */
int dri_cli_unknown(const char *const *words, size_t count);

#endif
