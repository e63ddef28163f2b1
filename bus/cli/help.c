/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* help.c - the table of commands as text for a person, and as a completion for bash.
 *
 * The completion is one function without the bash-completion package: it has to work where only
 * bash is. Bash cuts words at '=', so "--wait=5" comes as three.
 */
#include "help.h"

#include <string.h>

#include "config.h"
#include "version.h"

#define WIDTH        92u
#define OPTION_BYTES 64u

/* Paragraphs (separated by an empty line) wrapped at WIDTH, each line indented. */
static void print_wrapped(const char *text, size_t indent, FILE *to)
{
    size_t at = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        if (at > 0 && at + 1 + len > WIDTH) {
            fprintf(to, "\n");
            at = 0;
        }
        if (at == 0) {
            fprintf(to, "%*s", (int)indent, "");
            at = indent;
        } else {
            fprintf(to, " ");
            at++;
        }
        fprintf(to, "%.*s", (int)len, text);
        at += len;
        text += len;
        if (text[0] == '\n') {
            fprintf(to, text[1] == '\n' ? "\n\n" : "\n");
            at = 0;
            text += text[1] == '\n' ? 2 : 1;
        } else if (text[0] == ' ') {
            text++;
        }
    }
    fprintf(to, "\n");
}

static void option_format(const struct dri_cli_option *option, char *ret_text, size_t text_bytes)
{
    char letter[8] = "    ";
    const char *argument = option->argument == NULL ? "" : option->argument;
    if (option->letter != 0) {
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    }
    if (argument[0] == '[') {
        snprintf(ret_text, text_bytes, "%s--%s[=%s", letter, option->name, argument + 1);
    } else {
        snprintf(ret_text, text_bytes, "%s--%s%s%s", letter, option->name,
                 argument[0] == '\0' ? "" : " ", argument);
    }
}

static void print_options(const struct dri_cli_option *options, FILE *to)
{
    for (; options != NULL && options->name != NULL; options++) {
        char text[OPTION_BYTES];
        option_format(options, text, sizeof(text));
        fprintf(to, "  %s\n", text);
        print_wrapped(options->help, 10, to);
    }
}

void dri_help_overview(FILE *to)
{
    fprintf(to, "dray %s: a command bus worker for Kafka and NATS JetStream\n\n", DRAY_VERSION);
    fprintf(to, "Usage: dray COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        fprintf(to, "  %-18s %s\n", dri_cli_commands[i]->name, dri_cli_commands[i]->summary);
    }
    fprintf(
        to,
        "\nWhich broker, which topics: --bus, --topic and --group, or a configuration with -c.\n"
        "`dray help COMMAND` explains one with examples.\n");
}

void dri_help_command_print(const struct dri_cli_command *command, FILE *to)
{
    fprintf(to, "dray %s: %s\n\nUsage: dray %s %s\n\n", command->name, command->summary,
            command->name, command->usage);
    print_wrapped(command->about, 0, to);
    if (command->options != NULL && command->options[0].name != NULL) {
        fprintf(to, "\nOptions:\n");
        print_options(command->options, to);
    }
    if (command->needs_settings || command->takes_configuration) {
        fprintf(to, "\nCommon options:\n");
        print_options(dri_cli_common_options, to);
    }
    fprintf(to, "\nExamples:\n");
    for (const struct dri_cli_example *at = command->examples; at != NULL && at->text != NULL;
         at++) {
        fprintf(to, "  # %s\n  %s\n", at->text, at->command);
    }
}

/* ---- completion ---- */

/* An option is named once although several commands have it. */
static bool is_first(const struct dri_cli_option *wanted)
{
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        const struct dri_cli_option *at = dri_cli_commands[i]->options;
        for (; at != NULL && at->name != NULL; at++) {
            if (strcmp(at->name, wanted->name) == 0) {
                return at == wanted;
            }
        }
    }
    return true;
}

static bool has_argument(const struct dri_cli_option *option)
{
    return option->argument != NULL && option->argument[0] != '[';
}

static void print_argument_options(const struct dri_cli_option *options, bool is_common, FILE *to)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (has_argument(options) && (is_common || is_first(options))) {
            fprintf(to, " | --%s", options->name);
            if (options->letter != 0) {
                fprintf(to, " | -%c", options->letter);
            }
        }
    }
}

static void print_names(const struct dri_cli_option *options, FILE *to)
{
    for (; options != NULL && options->name != NULL; options++) {
        fprintf(to, " --%s", options->name);
    }
}

static void print_keys(FILE *to)
{
    struct dri_config_key key;
    char type[160];
    for (size_t i = 0; dri_config_key(i, &key, type, sizeof(type)); i++) {
        fprintf(to, "%s%s=", i == 0 ? "" : " ", key.key);
    }
    fprintf(to, " kafka. nats.");
}

/* The words that may come second after a first one, and first ones once each. */
static void print_first_words(FILE *to)
{
    const char *before = "";
    size_t before_len = 0;
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        const char *name = dri_cli_commands[i]->name;
        size_t len = strcspn(name, " ");
        if (len != before_len || strncmp(name, before, len) != 0) {
            fprintf(to, " %.*s", (int)len, name);
        }
        before = name;
        before_len = len;
    }
}

static void print_families(FILE *to)
{
    for (size_t i = 0; dri_cli_commands[i] != NULL;) {
        const char *name = dri_cli_commands[i]->name;
        size_t len = strcspn(name, " ");
        if (name[len] == '\0') {
            i++;
            continue;
        }
        fprintf(to, "    %.*s) choices=\"", (int)len, name);
        for (; dri_cli_commands[i] != NULL && strncmp(dri_cli_commands[i]->name, name, len) == 0 &&
               dri_cli_commands[i]->name[len] == ' ';
             i++) {
            fprintf(to, "%s ", dri_cli_commands[i]->name + len + 1);
        }
        fprintf(to, "\" ;;\n");
    }
}

void dri_help_completion(FILE *to)
{
    fprintf(to, "# SPDX-License-Identifier: Apache-2.0\n# Copyright 2026 The dray authors\n"
                "# bash completion for dray; generated by `dray help --completion`.\n\n"
                "_dray() {\n"
                "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    local said='' choices='' at\n"
                "    COMPREPLY=()\n"
                "    for ((at = 1; at < COMP_CWORD; at++)); do\n"
                "        case ${COMP_WORDS[at]} in\n"
                "        = | :) ((at++)) ;;\n        --nothing");
    print_argument_options(dri_cli_common_options, true, to);
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        print_argument_options(dri_cli_commands[i]->options, false, to);
    }
    fprintf(to, ")\n            ((at++))\n            [[ ${COMP_WORDS[at]} == = ]] && ((at++)) ;;\n"
                "        -*) ;;\n"
                "        *) said+=${said:+ }${COMP_WORDS[at]} ;;\n        esac\n    done\n"
                "    case $before in\n"
                "    -c | -f | --config | --file)\n"
                "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
                "        compopt -o filenames 2>/dev/null\n        return ;;\n"
                "    --set)\n"
                "        mapfile -t COMPREPLY < <(compgen -W \"");
    print_keys(to);
    fprintf(to, "\" -- \"$current\")\n        compopt -o nospace 2>/dev/null\n        return ;;\n"
                "    esac\n    case $said in\n    '' | help) choices=\"");
    print_first_words(to);
    fprintf(to, "\" ;;\n");
    print_families(to);
    fprintf(to, "    esac\n    if [[ $current == -* ]]; then\n        case $said in\n");
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        fprintf(to, "        \"%s\"*) choices=\"", dri_cli_commands[i]->name);
        print_names(dri_cli_commands[i]->options, to);
        print_names(dri_cli_common_options, to);
        fprintf(to, "\" ;;\n");
    }
    fprintf(to, "        *) choices=\" --version");
    print_names(dri_cli_common_options, to);
    fprintf(to, "\" ;;\n        esac\n    fi\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$current\")\n}\n"
                "complete -F _dray dray\n");
}
