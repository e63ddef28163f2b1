/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/cli.h"
#include "support/test.h"

#define OUTPUT_BYTES 65536u
#define WORDS_MAX    16u

/* What one invocation said. */
struct said {
    int code;
    char out[OUTPUT_BYTES];
    char err[OUTPUT_BYTES];
};

static int catch_fd(int fd, int *ret_saved)
{
    int memory = memfd_create("said", 0);
    assert_true(memory >= 0);
    *ret_saved = dup(fd);
    assert_true(dup2(memory, fd) >= 0);
    return memory;
}

static void release_fd(int fd, int saved, int memory, char ret_text[OUTPUT_BYTES])
{
    assert_true(dup2(saved, fd) >= 0);
    assert_int_equal(close(saved), 0);
    ssize_t len = pread(memory, ret_text, OUTPUT_BYTES - 1, 0);
    assert_true(len >= 0);
    ret_text[len] = '\0';
    assert_int_equal(close(memory), 0);
}

/* Runs "dray <line>", its words separated by single blanks. */
static void dray(struct said *said, const char *line)
{
    static const char *const environment[] = {"TERM=dumb", NULL};
    const char *words[WORDS_MAX] = {"dray"};
    char copy[512];
    int count = 1;
    int saved_out, saved_err;
    snprintf(copy, sizeof(copy), "%s", line);
    char *rest = copy[0] == '\0' ? NULL : copy;
    while (rest != NULL) {
        assert_true(count < (int)WORDS_MAX);
        words[count++] = strsep(&rest, " ");
    }
    assert_int_equal(fflush(stdout), 0);
    int out = catch_fd(STDOUT_FILENO, &saved_out);
    int err = catch_fd(STDERR_FILENO, &saved_err);
    said->code = dri_cli_main(count, words, environment);
    assert_int_equal(fflush(stdout), 0);
    release_fd(STDERR_FILENO, saved_err, err, said->err);
    release_fd(STDOUT_FILENO, saved_out, out, said->out);
}

static struct said g_said; /* too large for a stack */

static void refuses(const char *line, int code, const char *text)
{
    dray(&g_said, line);
    assert_int_equal(g_said.code, code);
    assert_string_equal(g_said.out, "");
    if (strstr(g_said.err, text) == NULL) {
        print_error("dray %s\n  said   %s  wants  %s\n", line, g_said.err, text);
        fail();
    }
}

static void the_next_ticks_are_listed(void **state)
{
    (void)state;
    dray(&g_said, "schedule next 0\t0\t29\tfeb\t* --count 2 --from 2026-01-01T00:00:00Z");
    assert_int_equal(g_said.code, DRI_EXIT_OK);
    assert_string_equal(g_said.out, "{\"at\":\"2028-02-29T00:00:00.000Z\"}\n"
                                    "{\"at\":\"2032-02-29T00:00:00.000Z\"}\n");
    dray(&g_said, "schedule next @yearly --from 9998-06-01T00:00:00Z");
    assert_int_equal(g_said.code, DRI_EXIT_OK);
    assert_string_equal(g_said.out, "{\"at\":\"9999-01-01T00:00:00.000Z\"}\n");
}

static void without_a_command_the_commands_are_listed_and_it_is_a_usage_error(void **state)
{
    (void)state;
    dray(&g_said, "");
    assert_int_equal(g_said.code, DRI_EXIT_USAGE);
    assert_string_equal(g_said.out, "");
    assert_non_null(strstr(g_said.err, "Usage: dray COMMAND"));
}

static void help_that_was_asked_for_goes_to_standard_output(void **state)
{
    (void)state;
    static const char *const lines[] = {"--help", "-h", "help"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        dray(&g_said, lines[i]);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        assert_string_equal(g_said.err, "");
        for (size_t c = 0; dri_cli_commands[c] != NULL; c++) {
            assert_non_null(strstr(g_said.out, dri_cli_commands[c]->summary));
        }
    }
}

static void a_command_explains_itself_the_same_both_ways(void **state)
{
    (void)state;
    static char first[OUTPUT_BYTES];
    for (size_t c = 0; dri_cli_commands[c] != NULL; c++) {
        const struct dri_cli_command *command = dri_cli_commands[c];
        char line[128];
        snprintf(line, sizeof(line), "help %s", command->name);
        dray(&g_said, line);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        memcpy(first, g_said.out, sizeof(first));
        snprintf(line, sizeof(line), "%s --help", command->name);
        dray(&g_said, line);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        assert_string_equal(g_said.out, first);
        assert_non_null(strstr(first, "Examples:\n"));
        for (const struct dri_cli_option *at = command->options; at != NULL && at->name != NULL;
             at++) {
            assert_non_null(strstr(first, at->name));
        }
    }
}

/* As roff writes it: every hyphen is escaped. */
static void roff_of(const char *name, char ret_text[128])
{
    size_t len = (size_t)snprintf(ret_text, 128, "\\fB\\-\\-");
    for (; *name != '\0'; name++) {
        len += (size_t)snprintf(ret_text + len, 128 - len, *name == '-' ? "\\%c" : "%c", *name);
    }
    snprintf(ret_text + len, 128 - len, "\\fR");
}

/* Of one list of options: in the page that was said last, and in the line of choices. */
static void expect_known(const char *command, const struct dri_cli_option *options,
                         const char *choices, size_t choices_len)
{
    char text[128];
    for (const struct dri_cli_option *at = options; at != NULL && at->name != NULL; at++) {
        roff_of(at->name, text);
        if (strstr(g_said.out, text) == NULL) {
            fail_msg("the man page of %s lacks --%s", command, at->name);
        }
        snprintf(text, sizeof(text), " --%s", at->name);
        if (memmem(choices, choices_len, text, strlen(text)) == NULL) {
            fail_msg("the completion of %s lacks --%s", command, at->name);
        }
    }
}

static void man_pages_and_completion_know_every_option_of_every_command(void **state)
{
    (void)state;
    static char completion[OUTPUT_BYTES];
    dray(&g_said, "help --completion");
    memcpy(completion, g_said.out, sizeof(completion));
    for (size_t c = 0; dri_cli_commands[c] != NULL; c++) {
        const struct dri_cli_command *command = dri_cli_commands[c];
        char text[128];
        snprintf(text, sizeof(text), "help --man %s", command->name);
        dray(&g_said, text);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        snprintf(text, sizeof(text), "\"%s\"*) choices=\"", command->name);
        const char *choices = strstr(completion, text);
        assert_non_null(choices);
        size_t len = strcspn(choices, "\n");
        expect_known(command->name, command->options, choices, len);
        if (command->needs_settings || command->takes_configuration) {
            expect_known(command->name, dri_cli_common_options, choices, len);
        }
    }
}

static void a_family_of_commands_is_listed_for_who_asks(void **state)
{
    (void)state;
    static const char *const lines[] = {"help registry", "registry --help", "registry -h",
                                        "registry help"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        dray(&g_said, lines[i]);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        assert_string_equal(g_said.err, "");
        assert_non_null(strstr(g_said.out, "dray registry status"));
        assert_null(strstr(g_said.out, "dray dlq"));
    }
    refuses("registry", DRI_EXIT_USAGE, "dray registry what?");
    refuses("dlq frobnicate", DRI_EXIT_USAGE, "there are\n      dray dlq ls");
}

static void the_version_is_told(void **state)
{
    (void)state;
    static const char *const lines[] = {"--version", "-V", "version"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        dray(&g_said, lines[i]);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        assert_string_equal(g_said.out, "dray " DRAY_VERSION "\n");
    }
}

static void an_unknown_command_or_option_is_answered_with_the_nearest(void **state)
{
    (void)state;
    refuses("wroker", DRI_EXIT_USAGE, "unknown command \"wroker\"; did you mean \"worker\"?");
    refuses("help sned", DRI_EXIT_USAGE, "unknown command \"sned\"; did you mean \"send\"?");
    refuses("send x --paylaod 1", DRI_EXIT_USAGE,
            "unknown option --paylaod; did you mean --payload?");
    refuses("worker -z", DRI_EXIT_USAGE, "unknown option -z");
    refuses("--confg x worker", DRI_EXIT_USAGE, "unknown option --confg; did you mean --config?");
}

static void a_word_that_is_far_from_every_other_is_not_what_was_meant(void **state)
{
    (void)state;
    static const char *const lines[] = {"bogus", "dev", "registry frobnicate", "send x --something",
                                        "help nothing"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        refuses(lines[i], DRI_EXIT_USAGE, "unknown ");
        assert_null(strstr(g_said.err, "did you mean"));
    }
    refuses("registry statsu", DRI_EXIT_USAGE, "did you mean \"registry status\"?");
    refuses("dlq lst", DRI_EXIT_USAGE, "did you mean \"dlq ls\"?");
    refuses("dlq", DRI_EXIT_USAGE, "dray dlq what?");
    refuses("dlq ls --where bogus=1", DRI_EXIT_USAGE, "unknown field \"bogus\"\n");
    refuses("dlq ls --where comand=1", DRI_EXIT_USAGE, "did you mean \"command\"?");
}

/* No bus is given anywhere here: what is wrong in the line itself comes first. */
static void the_form_of_a_line_is_judged_before_any_configuration(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        {"send", "which command?"},
        {"send a b", "only one command"},
        {"send a --payload {", "the payload is no JSON of ours: what stands at byte 1 "},
        {"send a --payload 18446744073709551616", "is an integer beyond 64 bits"},
        {"send a --payload [-9223372036854775809]", "at byte 1 is an integer beyond 64 bits"},
        {"send a --wait=0", "--wait has to be more than nothing, not \"0\""},
        {"send a --timeout 0s", "--timeout has to be more than nothing, not \"0s\""},
        {"send a --deadline 0", "--deadline has to be more than nothing, not \"0\""},
        {"send a --count many", "--count has to be a number"},
        {"send a --tag =x", "--tag has to be KEY=VALUE"},
        {"send a --set foo", "--set has to be KEY=VALUE, as worker.lanes=4, not \"foo\""},
        {"worker --set =4", "--set has to be KEY=VALUE"},
        {"worker now", "dray worker takes no argument, but there is \"now\""},
        {"doctor now", "dray doctor takes no argument, but there is \"now\""},
        {"doctor --set worker.lanes", "--set has to be KEY=VALUE"},
        {"dlq ls here", "dray dlq ls takes no arguments"},
        {"dlq groups here", "dray dlq groups takes no arguments"},
        {"dlq ls --limit 0", "--limit has to be a number from 1"},
        {"dlq ls --since lately", "--since has to be a time"},
        {"dlq ls --reason whim", "there is no reason \"whim\""},
        {"dlq show", "which letter?"},
        {"dlq replay all", "dray dlq replay takes no arguments"},
        {"dlq replay --rate 0", "--rate has to be a number from 1"},
        {"dlq replay --where reason", "--where, column"},
        {"registry show", "which route?"},
        {"registry rm", "which route?"},
        {"registry rm a..b@1.0.0", "is no key: [namespace/]name[@version]"},
        {"registry rm a@one", "is no key"},
        {"registry rm a@1.0.0 b --base 7", "--base is for one route; there are 2"},
        {"registry rm a@1.0.0 --base 7 --force", "exclude each other"},
        {"registry rm a@1.0.0 --wait=0", "--wait has to be more than nothing"},
        {"registry status now", "dray registry status takes no argument"},
        {"registry put", "which route?"},
        {"registry put a@1.0.0 --handler h", "--module is missing"},
        {"registry put n/a@1.0.0 --module m.so --handler h --ns n", "stands there twice"},
        {"registry put a@1.0.0 --module m.so --handler h --weight 101", "--weight has to be"},
        {"registry put a@1.0.0 --module m.so --handler h --tag eu", "--tag has to be KEY=VALUE"},
        {"registry put a@1.0.0 --module m.so --handler h --policy {", "--policy is no JSON"},
        {"registry put a@1.0.0 --module m.so --handler h --policy 5", "--policy is a JSON map"},
        {"registry put a@1.0.0 -f routes.yaml", "exclude each other"},
        {"registry put -f routes.yaml --weight 5", "--weight does not go with -f"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        refuses(lines[i][0], DRI_EXIT_USAGE, lines[i][1]);
    }
}

static void options_are_checked_before_anything_is_done(void **state)
{
    (void)state;
    refuses("worker --bus", DRI_EXIT_USAGE, "--bus wants URL");
    refuses("worker --json=1", DRI_EXIT_USAGE, "--json takes no value");
    refuses("worker -c", DRI_EXIT_USAGE, "--config wants FILE");
    refuses("worker --bus nats://h:1 more", DRI_EXIT_USAGE, "takes no argument");
    refuses("send --bus nats://h:1", DRI_EXIT_USAGE, "which command?");
    refuses("send a b --bus nats://h:1", DRI_EXIT_USAGE, "only one command at a time");
    refuses("send a --bus nats://h:1 --count 0", DRI_EXIT_USAGE, "--count has to be a number");
    refuses("send a --bus nats://h:1 --rate fast", DRI_EXIT_USAGE, "--rate has to be a number");
    refuses("send a --bus nats://h:1 --wait=soon", DRI_EXIT_USAGE, "--wait has to be a time");
    refuses("send a --bus nats://h:1 --deadline 5x", DRI_EXIT_USAGE, "--deadline has to be a time");
    refuses("send a --bus nats://h:1 --tag region", DRI_EXIT_USAGE, "--tag has to be KEY=VALUE");
    refuses("send a --raw --bus nats://h:1 -", DRI_EXIT_USAGE, "leave out the command");
    refuses("send --raw --bus nats://h:1", DRI_EXIT_USAGE, "--raw wants -f FILE or -");
    refuses("send a - -f x --bus nats://h:1", DRI_EXIT_USAGE, "exclude each other");
    refuses("send a - --payload 1 --bus nats://h:1", DRI_EXIT_USAGE, "do not go with");
    refuses("send a --id x --count 2 --bus nats://h:1", DRI_EXIT_USAGE, "--id is for one command");
    refuses("send a --cron @daily --delay 1 --bus nats://h:1", DRI_EXIT_USAGE,
            "exclude each other");
    refuses("send a --cron @daily -f x --bus nats://h:1", DRI_EXIT_USAGE,
            "--cron does not go with -f and -");
    refuses("send a --cron 0\t25\t*\t*\t* --bus nats://h:1", DRI_EXIT_USAGE,
            "--cron: byte 3 of \"0?25?*?*?*\": the hour has to be 0 to 23, not 25");
    refuses("schedule next", DRI_EXIT_USAGE, "which expression?");
    refuses("schedule next * * * * *", DRI_EXIT_USAGE, "one expression at a time, quoted");
    refuses("schedule next *\t*", DRI_EXIT_USAGE, "has 2 fields; there are five");
    refuses("schedule next @daily --from noon", DRI_EXIT_USAGE, "--from: \"noon\" is no time");
    refuses("schedule next @daily --count 0", DRI_EXIT_USAGE, "--count has to be a number");
    refuses("schedule next @daily --from 9999-12-31T12:00:00Z", DRI_EXIT_NO_MATCH, "no tick");
    refuses("send a --wait --reply-to= --bus nats://h:1", DRI_EXIT_USAGE, "nothing to wait for");
    refuses("send a -f /nowhere/x --bus nats://h:1", DRI_EXIT_FAILED, "cannot read /nowhere/x");
}

static void a_wrong_configuration_is_exit_code_78(void **state)
{
    (void)state;
    refuses("worker", DRI_EXIT_CONFIG, "no bus is given");
    refuses("send a", DRI_EXIT_CONFIG, "no bus is given");
    refuses("worker -c /nowhere/w.yaml", DRI_EXIT_CONFIG, "cannot read /nowhere/w.yaml");
    refuses("worker --bus nats://h:1 --set worker.lane=1", DRI_EXIT_CONFIG,
            "did you mean \"worker.lanes\"?");
    refuses("send a --bus pigeon://h:1", DRI_EXIT_CONFIG, "kafka:// or nats://");
    assert_null(strstr(g_said.err, "sim"));
    refuses("send a --bus nats://h:1 --set kafka.linger.msx=1", DRI_EXIT_CONFIG,
            "did you mean \"linger.ms\"?");
    refuses("send a --bus kafka://h:1 --set nats.bogus=1", DRI_EXIT_CONFIG, "\"bogus\"");
    refuses("registry rm a", DRI_EXIT_CONFIG, "no bus is given");
    refuses("send a --bus nats://h:1 --set kafka=5", DRI_EXIT_CONFIG, "\"kafka\" is a section");
    refuses("send a --bus nats://h:1 -f /tmp", DRI_EXIT_FAILED, "cannot read /tmp: it is a folder");
    refuses("--bus nats://h:1 --set group=a/b worker", DRI_EXIT_CONFIG, "group has to be a name");
}

static void statuses_have_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(dri_exit_for(DRAY_OK), 0);
    assert_int_equal(dri_exit_for(DRAY_EIO), 1);
    assert_int_equal(dri_exit_for(DRAY_ENOTFOUND), 3);
    assert_int_equal(dri_exit_for(DRAY_EBROKER), 69);
    assert_int_equal(dri_exit_for(DRAY_ETIMEOUT), 75);
    assert_int_equal(dri_exit_for(DRAY_EAUTH), 77);
    assert_int_equal(dri_exit_for_open(DRAY_ETIMEOUT), 69);
    assert_int_equal(dri_exit_for_open(DRAY_EBROKER), 69);
    assert_int_equal(dri_exit_for_open(DRAY_EAUTH), 77);
    assert_int_equal(dri_exit_for_open(DRAY_ENOTFOUND), 78);
    assert_int_equal(dri_exit_for_open(DRAY_EINVALID), 78);
    assert_int_equal(dri_exit_for_open(DRAY_ENOMEM), 1);
}

static void times_have_units_and_are_seconds_without(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"30", 30000},  {"1.5", 1500},   {"0.0019", 1}, {"500ms", 500}, {"2s", 2000},
                {"5m", 300000}, {"2h", 7200000}, {"0", 0},      {"1.5ms", 1},   {"", 7}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct dri_cli_given given = {"wait", good[i].text};
        const struct dri_cli cli = {.given = &given, .given_count = 1};
        uint64_t ms = 7;
        assert_true(dri_cli_duration(&cli, "wait", &ms));
        assert_true(ms == good[i].ms);
    }
}

static void tables_are_fitted_and_cells_are_harmless(void **state)
{
    (void)state;
    static const char *const columns[] = {"KEY", "TEXT"};
    static const char *const rows[][2] = {
        {"a", "x\033[31my"}, {"\xc3\xa4\xc3\xb6\xc3\xbc", NULL}, {"bbbbb", "\xc2\x9b z\xff"}};
    struct dri_table *table = dri_table_create(columns, 2);
    for (size_t i = 0; i < 3; i++) {
        dri_table_row(table, rows[i]);
    }
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    assert_non_null(stream);
    assert_true(dri_table_print(table, stream, false));
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, "KEY    TEXT\n"
                              "a      x?[31my\n"
                              "\xc3\xa4\xc3\xb6\xc3\xbc    \n"
                              "bbbbb  ?? z?\n");
    free(text);
    dri_table_destroy(table);
}

static bool has_option(const struct dri_cli_option *options, const char *name)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strcmp(options->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void the_table_of_commands_is_whole(void **state)
{
    (void)state;
    for (size_t c = 0; dri_cli_commands[c] != NULL; c++) {
        const struct dri_cli_command *command = dri_cli_commands[c];
        assert_non_null(command->run);
        assert_true(strlen(command->summary) > 5 && strlen(command->about) > 30);
        assert_non_null(command->usage);
        assert_non_null(command->examples);
        assert_non_null(command->examples[0].text);
        for (const struct dri_cli_example *at = command->examples; at->text != NULL; at++) {
            assert_non_null(strstr(at->command, "dray"));
        }
        for (const struct dri_cli_option *at = command->options; at != NULL && at->name != NULL;
             at++) {
            assert_false(has_option(dri_cli_common_options, at->name));
            assert_false(has_option(at + 1, at->name));
            assert_true(strlen(at->help) > 5);
        }
    }
}

static void the_reference_is_what_the_tables_say(void **state)
{
    (void)state;
    static const char *const topics[] = {"commands", "configuration", "metrics", "errors"};
    static char page[OUTPUT_BYTES];
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), "help --reference %s", topics[i]);
        dray(&g_said, text);
        assert_int_equal(g_said.code, DRI_EXIT_OK);
        snprintf(text, sizeof(text), "%s/../docs/reference/%s.md", DRAY_TEST_SOURCE_DIR, topics[i]);
        FILE *file = fopen(text, "re");
        size_t len = file == NULL ? 0 : fread(page, 1, sizeof(page) - 1, file);
        page[len] = '\0';
        if (file != NULL) {
            assert_int_equal(fclose(file), 0);
        }
        if (strcmp(page, g_said.out) != 0) {
            print_error("docs/reference/%s.md is old: cmake --build --preset dev --target "
                        "dray_reference\n",
                        topics[i]);
            fail();
        }
    }
    refuses("help --reference nothing", DRI_EXIT_USAGE,
            "commands, configuration, metrics or errors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_ticks_are_listed),
        cmocka_unit_test(without_a_command_the_commands_are_listed_and_it_is_a_usage_error),
        cmocka_unit_test(help_that_was_asked_for_goes_to_standard_output),
        cmocka_unit_test(a_command_explains_itself_the_same_both_ways),
        cmocka_unit_test(man_pages_and_completion_know_every_option_of_every_command),
        cmocka_unit_test(a_family_of_commands_is_listed_for_who_asks),
        cmocka_unit_test(the_version_is_told),
        cmocka_unit_test(an_unknown_command_or_option_is_answered_with_the_nearest),
        cmocka_unit_test(a_word_that_is_far_from_every_other_is_not_what_was_meant),
        cmocka_unit_test(the_form_of_a_line_is_judged_before_any_configuration),
        cmocka_unit_test(options_are_checked_before_anything_is_done),
        cmocka_unit_test(a_wrong_configuration_is_exit_code_78),
        cmocka_unit_test(statuses_have_exit_codes),
        cmocka_unit_test(times_have_units_and_are_seconds_without),
        cmocka_unit_test(tables_are_fitted_and_cells_are_harmless),
        cmocka_unit_test(the_table_of_commands_is_whole),
        cmocka_unit_test(the_reference_is_what_the_tables_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
