/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cli.c - one invocation: find the command, parse its options by the table, load the settings, run.
 *
 * Not getopt: a command has a name of one or two words, common options may stand before it, and an
 * option that is not known is answered with the nearest one that is. Options and arguments mix
 * freely; "--" ends the options; an option's argument is the next word whatever it begins with, so
 * that a payload may be -5.
 */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config.h"
#include "help.h"
#include "log.h"
#include "mem.h"
#include "nearest.h"
#include "version.h"

#define TEXT_BYTES 1024u
#define NAME_BYTES 64u

const struct dri_cli_option dri_cli_common_options[] = {
    {.name = "bus",
     .argument = "URL",
     .help = "The broker: nats://host:port or kafka://host:port,host:port. Also DRAY_BUS."},
    {.name = "topic",
     .argument = "NAME",
     .help = "The commands topic or subject; dead letters and replays are named after it."},
    {.name = "group", .argument = "NAME", .help = "The workers' group."},
    {.name = "config",
     .letter = 'c',
     .argument = "FILE",
     .help = "The configuration, YAML. Also DRAY_CONFIG."},
    {.name = "set",
     .argument = "KEY=VALUE",
     .help = "Set one key of the configuration, as worker.lanes=4 or kafka.security.protocol=ssl.",
     .is_repeatable = true},
    {.name = "json", .help = "One JSON object a line; listings do so when they are piped."},
    {.name = "help", .letter = 'h', .help = "Show how the command is used."},
    {.name = NULL},
};

volatile int dri_cli_interrupted;
int dri_cli_interrupt_fd = -1;

enum dri_exit dri_exit_for(enum dray_status status)
{
    switch (status) {
    case DRAY_OK:
        return DRI_EXIT_OK;
    case DRAY_ETIMEOUT:
        return DRI_EXIT_TIMEOUT;
    case DRAY_EBROKER:
        return DRI_EXIT_UNREACHABLE;
    case DRAY_EAUTH:
        return DRI_EXIT_DENIED;
    case DRAY_ENOTFOUND:
        return DRI_EXIT_NO_MATCH;
    default:
        return DRI_EXIT_FAILED;
    }
}

enum dri_exit dri_exit_for_open(enum dray_status status)
{
    switch (status) {
    case DRAY_ETIMEOUT:
        return DRI_EXIT_UNREACHABLE;
    case DRAY_ENOTFOUND: /* a topic that must not be made */
    case DRAY_EINVALID:
    case DRAY_EUNSUPPORTED:
        return DRI_EXIT_CONFIG;
    default:
        return dri_exit_for(status);
    }
}

/* ---- signals ---- */

static void on_signal(int number)
{
    uint64_t one = 1;
    int error = errno;
    (void)number;
    dri_cli_interrupted = 1;
    if (write(dri_cli_interrupt_fd, &one, sizeof(one)) < 0) {
        dri_cli_interrupted = 1; /* a full eventfd is readable too */
    }
    errno = error;
}

void dri_cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    /* No SA_RESTART: reading standard input ends too. The second signal finds the default. */
    action.sa_flags = (int)SA_RESETHAND;
    dri_cli_interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (dri_cli_interrupt_fd >= 0) {
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
    }
}

/* ---- options ---- */

struct parser {
    struct dri_cli *cli;
    const char *const *words;
    size_t count;
    size_t at;
    struct dri_cli_given *given; /* owned by the invocation */
    const char **arguments;      /* likewise */
};

static const struct dri_cli_option *find_in(const struct dri_cli_option *options, const char *name,
                                            char letter)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (name == NULL ? options->letter == letter : strcmp(options->name, name) == 0) {
            return options;
        }
    }
    return NULL;
}

/* By name, or by letter when name is NULL. */
static const struct dri_cli_option *find_option(const struct dri_cli_command *command,
                                                const char *name, char letter)
{
    const struct dri_cli_option *option =
        find_in(command == NULL ? NULL : command->options, name, letter);
    return option != NULL ? option : find_in(dri_cli_common_options, name, letter);
}

static int unknown_option(const struct dri_cli *cli, const char *name)
{
    struct dri_nearest nearest;
    const struct dri_cli_option *lists[] = {cli->command == NULL ? NULL : cli->command->options,
                                            dri_cli_common_options};
    dri_nearest_init(&nearest, name);
    for (size_t i = 0; i < 2; i++) {
        for (const struct dri_cli_option *at = lists[i]; at != NULL && at->name != NULL; at++) {
            dri_nearest_show(&nearest, at->name);
        }
    }
    return dri_nearest_is_near(&nearest)
               ? dri_cli_usage(cli, "unknown option --%s; did you mean --%s?", name, nearest.word)
               : dri_cli_usage(cli, "unknown option --%s", name);
}

static bool is_optional(const struct dri_cli_option *option)
{
    return option->argument != NULL && option->argument[0] == '[';
}

static void keep(struct parser *parser, const struct dri_cli_option *option, const char *value)
{
    parser->given[parser->cli->given_count++] =
        (struct dri_cli_given){.name = option->name, .value = value};
}

/* The argument of an option: what stands behind it, or the next word. */
static int take_value(struct parser *parser, const struct dri_cli_option *option,
                      const char *attached)
{
    if (option->argument == NULL) {
        if (attached != NULL) {
            return dri_cli_usage(parser->cli, "--%s takes no value", option->name);
        }
        keep(parser, option, "");
        return DRI_EXIT_OK;
    }
    if (attached != NULL || is_optional(option)) {
        keep(parser, option, attached == NULL ? "" : attached);
        return DRI_EXIT_OK;
    }
    if (parser->at == parser->count) {
        return dri_cli_usage(parser->cli, "--%s wants %s", option->name, option->argument);
    }
    keep(parser, option, parser->words[parser->at++]);
    return DRI_EXIT_OK;
}

static int take_long(struct parser *parser, const char *word)
{
    char name[NAME_BYTES];
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);
    snprintf(name, sizeof(name), "%.*s", (int)len, word);
    const struct dri_cli_option *option = find_option(parser->cli->command, name, 0);
    if (option == NULL) {
        return unknown_option(parser->cli, name);
    }
    return take_value(parser, option, equals == NULL ? NULL : equals + 1);
}

static int take_letters(struct parser *parser, const char *word)
{
    int code = DRI_EXIT_OK;
    for (; code == DRI_EXIT_OK && *word != '\0'; word++) {
        const struct dri_cli_option *option = find_option(parser->cli->command, NULL, *word);
        if (option == NULL) {
            return dri_cli_usage(parser->cli, "unknown option -%c", *word);
        }
        if (option->argument != NULL) {
            return take_value(parser, option, word[1] == '\0' ? NULL : word + 1);
        }
        code = take_value(parser, option, NULL);
    }
    return code;
}

static int parse(struct parser *parser)
{
    int code = DRI_EXIT_OK;
    bool is_over = false;
    while (code == DRI_EXIT_OK && parser->at < parser->count) {
        const char *word = parser->words[parser->at++];
        if (!is_over && strcmp(word, "--") == 0) {
            is_over = true;
        } else if (!is_over && strncmp(word, "--", 2) == 0) {
            code = take_long(parser, word + 2);
        } else if (!is_over && word[0] == '-' && word[1] != '\0') {
            code = take_letters(parser, word + 1);
        } else {
            parser->arguments[parser->cli->arguments_count++] = word;
        }
    }
    return code;
}

const char *dri_cli_value(const struct dri_cli *cli, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < cli->given_count; i++) {
        value = strcmp(cli->given[i].name, name) == 0 ? cli->given[i].value : value;
    }
    return value;
}

const char *dri_cli_value_at(const struct dri_cli *cli, const char *name, size_t n)
{
    for (size_t i = 0; i < cli->given_count; i++) {
        if (strcmp(cli->given[i].name, name) == 0 && n-- == 0) {
            return cli->given[i].value;
        }
    }
    return NULL;
}

bool dri_cli_has(const struct dri_cli *cli, const char *name)
{
    return dri_cli_value(cli, name) != NULL;
}

bool dri_cli_uint(const struct dri_cli *cli, const char *name, uint64_t min, uint64_t max,
                  uint64_t *ret_value)
{
    const char *text = dri_cli_value(cli, name);
    char *end = NULL;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < min ||
        number > max) {
        (void)dri_cli_usage(cli, "--%s has to be a number from %llu to %llu, not \"%s\"", name,
                            (unsigned long long)min, (unsigned long long)max, text);
        return false;
    }
    *ret_value = number;
    return true;
}

/* Thousandths of "12.345"; UINT64_MAX: no number. *ret_end: what stands behind it. */
static uint64_t thousandths(const char *text, const char **ret_end)
{
    uint64_t whole = 0;
    uint64_t part = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12) {
        return UINT64_MAX;
    }
    for (; digits > 0; digits--, text++) {
        whole = whole * 10 + (uint64_t)(*text - '0');
    }
    if (*text == '.') {
        text++;
        for (uint64_t place = 100; *text >= '0' && *text <= '9'; text++, place /= 10) {
            part += place * (uint64_t)(*text - '0');
        }
    }
    *ret_end = text;
    return whole * 1000 + part;
}

bool dri_cli_duration(const struct dri_cli *cli, const char *name, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const char *text = dri_cli_value(cli, name);
    const char *end = NULL;
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    uint64_t number = thousandths(text, &end);
    for (size_t i = 0; number != UINT64_MAX && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0 && number <= UINT64_MAX / units[i].ms) {
            *ret_ms = number * units[i].ms / 1000;
            return true;
        }
    }
    (void)dri_cli_usage(cli, "--%s has to be a time as 30, 1.5, 500ms, 30s, 5m or 2h, not \"%s\"",
                        name, text);
    return false;
}

bool dri_cli_patience(const struct dri_cli *cli, const char *name, uint64_t *ret_ms)
{
    uint64_t ms = *ret_ms;
    if (!dri_cli_duration(cli, name, &ms)) {
        return false;
    }
    if (ms == 0) {
        (void)dri_cli_usage(cli, "--%s has to be more than nothing, not \"%s\"", name,
                            dri_cli_value(cli, name));
        return false;
    }
    *ret_ms = ms;
    return true;
}

int dri_cli_no_arguments(const struct dri_cli *cli)
{
    return cli->arguments_count == 0
               ? DRI_EXIT_OK
               : dri_cli_usage(cli, "dray %s takes no argument, but there is \"%s\"",
                               cli->command->name, cli->arguments[0]);
}

/* ---- finding the command ---- */

/* Words of the command's name at the begin of words; 0 when they are another's. */
static size_t name_words(const struct dri_cli_command *command, const char *const *words,
                         size_t count)
{
    const char *space = strchr(command->name, ' ');
    if (space == NULL) {
        return count >= 1 && strcmp(words[0], command->name) == 0 ? 1 : 0;
    }
    size_t len = (size_t)(space - command->name);
    bool is_same = count >= 2 && strlen(words[0]) == len &&
                   strncmp(words[0], command->name, len) == 0 && strcmp(words[1], space + 1) == 0;
    return is_same ? 2 : 0;
}

const struct dri_cli_command *dri_cli_find(const char *const *words, size_t count,
                                           size_t *ret_words)
{
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        size_t used = name_words(dri_cli_commands[i], words, count);
        if (used > 0) {
            *ret_words = used;
            return dri_cli_commands[i];
        }
    }
    return NULL;
}

/* Whether the word begins commands of two words; lists them when told to. */
static bool is_family(const char *word, FILE *list)
{
    size_t len = strlen(word);
    bool is_one = false;
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        const char *name = dri_cli_commands[i]->name;
        if (strncmp(name, word, len) == 0 && name[len] == ' ') {
            is_one = true;
            if (list != NULL) {
                fprintf(list, "      dray %-18s %s\n", name, dri_cli_commands[i]->summary);
            }
        }
    }
    return is_one;
}

/* "dray registry --help", "dray help registry", "dray registry help": an answer, no fault. */
static bool is_asking_for_family(const char *const *words, size_t count)
{
    return count >= 1 && is_family(words[0], NULL) &&
           (count < 2 || strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0 ||
            strcmp(words[1], "help") == 0);
}

bool dri_cli_explain_family(const char *const *words, size_t count)
{
    if (!is_asking_for_family(words, count)) {
        return false;
    }
    printf("dray %s has these commands; dray help %s ... explains one:\n", words[0], words[0]);
    (void)is_family(words[0], stdout);
    return true;
}

int dri_cli_unknown(const char *const *words, size_t count)
{
    char wanted[2 * NAME_BYTES];
    struct dri_nearest nearest;
    bool is_family_name = is_family(words[0], NULL);
    if (is_family_name && (count < 2 || words[1][0] == '-')) {
        (void)dri_cli_fail(NULL, DRI_EXIT_USAGE, "dray %s what?", words[0]);
        (void)is_family(words[0], stderr);
        return DRI_EXIT_USAGE;
    }
    snprintf(wanted, sizeof(wanted), "%s%s%s", words[0], is_family_name ? " " : "",
             is_family_name ? words[1] : "");
    /* Within a family its name says nothing about the second word. */
    size_t skip = is_family_name ? strlen(words[0]) + 1 : 0;
    dri_nearest_init(&nearest, wanted + skip);
    for (size_t i = 0; dri_cli_commands[i] != NULL; i++) {
        const char *name = dri_cli_commands[i]->name;
        if (strncmp(name, wanted, skip) == 0) {
            dri_nearest_show(&nearest, name + skip);
        }
    }
    if (dri_nearest_is_near(&nearest)) {
        return dri_cli_usage(NULL, "unknown command \"%s\"; did you mean \"%.*s%s\"?", wanted,
                             (int)skip, wanted, nearest.word);
    }
    if (is_family_name) {
        (void)dri_cli_fail(NULL, DRI_EXIT_USAGE, "unknown command \"%s\"; there are", wanted);
        (void)is_family(words[0], stderr);
        return DRI_EXIT_USAGE;
    }
    return dri_cli_usage(NULL, "unknown command \"%s\"", wanted);
}

/* Options that stand before the command: only common ones can. */
static int parse_before(struct parser *parser)
{
    int code = DRI_EXIT_OK;
    while (code == DRI_EXIT_OK && parser->at < parser->count &&
           parser->words[parser->at][0] == '-') {
        const char *word = parser->words[parser->at++];
        if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
            printf("dray %s\n", DRAY_VERSION);
            parser->at = parser->count;
            return -1;
        }
        code = strncmp(word, "--", 2) == 0 ? take_long(parser, word + 2)
                                           : take_letters(parser, word + 1);
    }
    return code;
}

/* ---- running ---- */

static const char *variable(const char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, len) == 0 && environment[i][len] == '=') {
            return environment[i][len + 1] == '\0' ? NULL : environment[i] + len + 1;
        }
    }
    return NULL;
}

enum dray_status dri_cli_load(const struct dri_cli *cli, bool needs_bus,
                              struct dri_config **ret_config, struct dri_settings *ret_settings,
                              char *ret_text, size_t text_bytes)
{
    size_t count = 0;
    while (dri_cli_value_at(cli, "set", count) != NULL) {
        count++;
    }
    const char **sets = dri_zalloc_array(count + 1, sizeof(*sets));
    if (sets == NULL) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        sets[i] = dri_cli_value_at(cli, "set", i);
    }
    struct dri_config_request request = {
        .file = cli->file,
        .environment = cli->environment,
        .sets = sets,
        .sets_count = count,
        .bus = dri_cli_value(cli, "bus"),
        .topic = dri_cli_value(cli, "topic"),
        .group = dri_cli_value(cli, "group"),
        .needs_bus = needs_bus,
    };
    enum dray_status status =
        dri_config_load(&request, ret_config, ret_settings, ret_text, text_bytes);
    dri_free(sets);
    return status;
}

static bool is_default_level(const struct dri_config *config)
{
    struct dri_config_value value;
    for (size_t i = 0; dri_config_value(config, i, &value); i++) {
        if (strcmp(value.key, "log.level") == 0) {
            return value.is_default;
        }
    }
    return true;
}

/* What is wrong in the command line itself is told before what is wrong around it. */
static int check_form(const struct dri_cli *cli)
{
    const char *set = NULL;
    for (size_t i = 0; (set = dri_cli_value_at(cli, "set", i)) != NULL; i++) {
        if (strchr(set, '=') == NULL || set[0] == '=') {
            return dri_cli_usage(cli, "--set has to be KEY=VALUE, as worker.lanes=4, not \"%s\"",
                                 set);
        }
    }
    return cli->command->check == NULL ? DRI_EXIT_OK : cli->command->check(cli);
}

static int run(struct dri_cli *cli)
{
    char text[TEXT_BYTES] = "";
    if (!cli->command->needs_settings) {
        return cli->command->run(cli);
    }
    enum dray_status status =
        dri_cli_load(cli, true, &cli->config, &cli->settings, text, sizeof(text));
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, status == DRAY_ENOMEM ? DRI_EXIT_FAILED : DRI_EXIT_CONFIG, "%s",
                            text);
    }
    if (!cli->command->has_own_log) {
        /* A tool says itself what went wrong; the client library's warnings would say it before. */
        dri_log_setup(cli->settings.log.format,
                      is_default_level(cli->config) ? DRI_LOG_ERROR : cli->settings.log.level, NULL,
                      NULL);
        for (size_t i = 0; dri_config_warning(cli->config, i) != NULL; i++) {
            (void)dri_cli_fail(cli, 0, "warning: %s", dri_config_warning(cli->config, i));
        }
    }
    return cli->command->run(cli);
}

static void look_around(struct dri_cli *cli)
{
    const char *no_colour = variable(cli->environment, "NO_COLOR");
    const char *term = variable(cli->environment, "TERM");
    cli->is_tty = isatty(STDOUT_FILENO) == 1;
    cli->has_colour =
        cli->is_tty && no_colour == NULL && (term == NULL || strcmp(term, "dumb") != 0);
    cli->is_progress = isatty(STDERR_FILENO) == 1;
    cli->is_json = dri_cli_has(cli, "json") || (cli->command->is_listing && !cli->is_tty);
    cli->file = dri_cli_value(cli, "config");
    if (cli->file == NULL) {
        cli->file = variable(cli->environment, "DRAY_CONFIG");
    }
}

static int dispatch(struct parser *parser)
{
    struct dri_cli *cli = parser->cli;
    size_t used = 0;
    int code = parse_before(parser);
    if (code != DRI_EXIT_OK) {
        return code < 0 ? DRI_EXIT_OK : code;
    }
    if (parser->at == parser->count) {
        dri_help_overview(dri_cli_has(cli, "help") ? stdout : stderr);
        return dri_cli_has(cli, "help") ? DRI_EXIT_OK : DRI_EXIT_USAGE;
    }
    const char *const *words = parser->words + parser->at;
    size_t count = parser->count - parser->at;
    cli->command = dri_cli_find(words, count, &used);
    if (cli->command == NULL && strcmp(words[0], "version") == 0) {
        printf("dray %s\n", DRAY_VERSION);
        return DRI_EXIT_OK;
    }
    if (cli->command == NULL && count > 1 && dri_cli_explain_family(words, count)) {
        return DRI_EXIT_OK;
    }
    if (cli->command == NULL) {
        return dri_cli_unknown(words, count);
    }
    parser->at += used;
    code = parse(parser);
    if (code != DRI_EXIT_OK) {
        return code;
    }
    if (dri_cli_has(cli, "help")) {
        dri_help_command_print(cli->command, stdout);
        return DRI_EXIT_OK;
    }
    look_around(cli);
    code = check_form(cli);
    return code == DRI_EXIT_OK ? run(cli) : code;
}

int dri_cli_main(int argc, const char *const *argv, const char *const *environment)
{
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    struct dri_cli cli = {.environment = environment};
    struct parser parser = {
        .cli = &cli,
        .words = argv + 1,
        .count = count,
        .given = dri_zalloc_array(count + 1, sizeof(*parser.given)),
        .arguments = dri_zalloc_array(count + 1, sizeof(*parser.arguments)),
    };
    int code = DRI_EXIT_FAILED;
    if (parser.given != NULL && parser.arguments != NULL) {
        cli.given = parser.given;
        cli.arguments = parser.arguments;
        code = dispatch(&parser);
    } else {
        (void)dri_cli_fail(NULL, code, "%s", dray_status_text(DRAY_ENOMEM));
    }
    dri_log_flush();
    dri_config_destroy(cli.config);
    dri_free(parser.given);
    dri_free(parser.arguments);
    /* A reader that went away (head) is no failure worth a word, but the code says so. */
    if (fflush(stdout) != 0 && code == DRI_EXIT_OK) {
        code = DRI_EXIT_FAILED;
    }
    return code;
}
