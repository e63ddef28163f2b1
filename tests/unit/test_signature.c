/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* dray-signature and dray_module(): what a command's schemas hash to, and the builds that have to
 * fail. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"
#include "wire/control.h"
#include "wire/sha256.h"

#define TOOL         DRAY_TEST_BUILD_DIR "/bin/dray-signature"
#define SCHEMAS      DRAY_TEST_SOURCE_DIR "/../schemas"
#define OUTPUT_BYTES 65536
#define PATH_BYTES   512

/* A folder of its own for each case. */
struct fixture {
    char folder[64];
    char output[OUTPUT_BYTES];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL) {
        return -1;
    }
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/dray-signature-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL) {
        return -1;
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    int status;

    (void)snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
    status = system(command); /* NOLINT(concurrency-mt-unsafe): one thread */
    free(fixture);
    return status;
}

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    char path[PATH_BYTES];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(0, fclose(file));
}

/* Runs a command line in the folder; its output, both streams, is in fixture->output. */
static int run(struct fixture *fixture, const char *format, ...) DRAY_FORMAT(2, 3);

static int run(struct fixture *fixture, const char *format, ...)
{
    char line[2048];
    char shell[2200];
    va_list arguments;
    size_t len;
    FILE *pipe;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    (void)snprintf(shell, sizeof(shell), "cd %s && { %s; } 2>&1", fixture->folder, line);
    pipe = popen(shell, "r");
    assert_non_null(pipe);
    len = fread(fixture->output, 1, sizeof(fixture->output) - 1, pipe);
    fixture->output[len] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void says(const struct fixture *fixture, const char *part)
{
    if (strstr(fixture->output, part) == NULL) {
        print_error("wants \"%s\" in\n%s\n", part, fixture->output);
        fail();
    }
}

static void write_schemas(const struct fixture *fixture, const char *command, const char *request)
{
    char name[128];

    (void)snprintf(name, sizeof(name), "%s.request.json", command);
    write_text(fixture, name, request);
    (void)snprintf(name, sizeof(name), "%s.result.json", command);
    write_text(fixture, name, "{}");
}

/* ---- the tool ---- */

static void a_signature_is_the_hash_of_both_schemas_with_a_nul_between(void **state)
{
    struct fixture *fixture = *state;
    char hex[65];
    char want[128];

    write_schemas(fixture, "a.b@1.0.0", "{\"x\":1}\n");
    dri_sha256_hex(dray_slice_of("{\"x\":1}\n\0{}", 11), hex);
    (void)snprintf(want, sizeof(want), "a.b@1.0.0 %s\n", hex);
    assert_int_equal(0, run(fixture, TOOL " show --schemas . a.b@1.0.0"));
    assert_string_equal(want, fixture->output);
}

static void a_function_id_is_what_the_worker_makes_of_it(void **state)
{
    struct fixture *fixture = *state;
    char hex[65];
    char want[128];

    write_schemas(fixture, "a.b@1.0.0", "{}");
    dri_sha256_hex(dray_slice_of("{}\0{}", 5), hex);
    (void)snprintf(want, sizeof(want), "default.a.b@1.0.0 %016llx\n",
                   (unsigned long long)dri_fid(dray_slice_text("default"), dray_slice_text("a.b"),
                                               dray_slice_text("1.0.0"), dray_slice_text(hex)));
    assert_int_equal(0, run(fixture, TOOL " fid default --schemas . a.b@1.0.0"));
    assert_string_equal(want, fixture->output);
}

static void a_new_command_is_locked_once_and_its_header_names_it(void **state)
{
    struct fixture *fixture = *state;
    char hex[65];
    char want[160];

    write_schemas(fixture, "a-b.c@1.0.0-rc.1", "{}");
    dri_sha256_hex(dray_slice_of("{}\0{}", 5), hex);
    assert_int_equal(1, run(fixture, TOOL " header --schemas . --out s.h a-b.c@1.0.0-rc.1"));
    says(fixture, "a-b.c@1.0.0-rc.1 is not in ./signatures.txt yet. Add it");
    says(fixture, "--target signatures");
    says(fixture, hex);
    assert_int_equal(0, run(fixture, TOOL " lock --schemas . a-b.c@1.0.0-rc.1"));
    says(fixture, "added to ./signatures.txt: a-b.c@1.0.0-rc.1 ");
    assert_int_equal(0, run(fixture, TOOL " lock --schemas . a-b.c@1.0.0-rc.1"));
    assert_string_equal("", fixture->output);
    assert_int_equal(
        0, run(fixture, TOOL " header --schemas . --out s.h a-b.c@1.0.0-rc.1 && cat s.h"));
    (void)snprintf(want, sizeof(want), "#define DRAY_SIGNATURE_A_B_C_1_0_0_RC_1 \"%s\"\n", hex);
    says(fixture, want);
}

static void a_changed_schema_with_an_unchanged_version_is_refused_with_what_to_do(void **state)
{
    struct fixture *fixture = *state;

    write_schemas(fixture, "a.b@1.0.0", "{}");
    assert_int_equal(0, run(fixture, TOOL " lock --schemas . a.b@1.0.0"));
    write_schemas(fixture, "a.b@1.0.0", "{ }");
    assert_int_equal(1, run(fixture, TOOL " header --schemas . --out s.h a.b@1.0.0"));
    says(fixture, "the schemas of a.b@1.0.0 changed, but its version did not");
    says(fixture, "rename both files to a.b@<new version>.*.json");
    assert_int_equal(1, run(fixture, TOOL " lock --schemas . a.b@1.0.0"));
    says(fixture, "changed, but its version did not");
    assert_int_equal(1, run(fixture, "test -e s.h"));
    /* The advice works. */
    write_schemas(fixture, "a.b@1.1.0", "{ }");
    assert_int_equal(0, run(fixture, TOOL " lock --schemas . a.b@1.1.0 && " TOOL
                                          " header --schemas . --out s.h a.b@1.1.0"));
    /* And so does taking the change back. */
    write_schemas(fixture, "a.b@1.0.0", "{}");
    assert_int_equal(0, run(fixture, TOOL " header --schemas . --out s.h a.b@1.0.0 a.b@1.1.0"));
}

static void a_version_is_not_taken_for_the_beginning_of_another(void **state)
{
    struct fixture *fixture = *state;

    write_schemas(fixture, "a.b@1.0.10", "{}");
    write_schemas(fixture, "a.b@1.0.1", "{ }");
    assert_int_equal(0, run(fixture, TOOL " lock --schemas . a.b@1.0.10"));
    assert_int_equal(0, run(fixture, TOOL " lock --schemas . a.b@1.0.1"));
    says(fixture, "added to");
}

static void a_missing_or_empty_schema_is_named(void **state)
{
    struct fixture *fixture = *state;

    write_schemas(fixture, "a.b@1.0.0", "");
    assert_int_equal(1, run(fixture, TOOL " show --schemas . a.b@1.0.0"));
    says(fixture, "./a.b@1.0.0.request.json: cannot be read, is empty");
    assert_int_equal(1, run(fixture, TOOL " show --schemas . a.b@2.0.0"));
    says(fixture, "./a.b@2.0.0.request.json: No such file or directory");
}

static void wrong_usage_is_answered_with_the_usage(void **state)
{
    static const char *const lines[] = {
        "",
        "dance",
        "show",
        "show --schemas .",
        "show a.b@1.0.0",
        "header --schemas . a.b@1.0.0",
        "show --wrong x --schemas . a.b@1.0.0",
        "show --schemas . ../a.b@1.0.0",
        "show --schemas . a.b",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(2, run(fixture, TOOL " %s", lines[i]));
        says(fixture, "usage: dray-signature");
    }
}

static void a_module_that_does_not_hold_what_it_should_is_refused_and_removed(void **state)
{
    static const char orders[] = DRAY_TEST_MODULE_DIR "/orders.so";
    struct fixture *fixture = *state;

    assert_int_equal(
        0, run(fixture, TOOL " module %s --schemas " SCHEMAS " order.create@1.0.0", orders));
    assert_int_equal(1,
                     run(fixture, TOOL " module %s --schemas " SCHEMAS " probe.run@1.0.0", orders));
    says(fixture, "has no handler for probe.run@1.0.0");
    assert_int_equal(
        1, run(fixture, TOOL " module %s --schemas " SCHEMAS " order.create@1.0.0 probe.run@1.0.0",
               orders));
    says(fixture, "one handler for each command that dray_module() lists");
    assert_int_equal(0, run(fixture, "test -e %s", orders)); /* nobody asked to remove it */
    write_schemas(fixture, "order.create@1.0.0", "{\"other\":1}");
    assert_int_equal(1, run(fixture,
                            "cp %s o.so && " TOOL
                            " module ./o.so --schemas . --on-failure remove order.create@1.0.0",
                            orders));
    says(fixture, "does not carry its signature");
    assert_int_equal(1, run(fixture, "test -e o.so"));
    write_text(fixture, "text.so", "no module");
    assert_int_equal(1, run(fixture, TOOL " module ./text.so --schemas . order.create@1.0.0"));
    says(fixture, "dray-signature: ");
}

/* ---- what is committed ---- */

static void every_schema_of_the_project_is_locked_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    DIR *folder = opendir(SCHEMAS);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread */
        const char *end = strstr(entry->d_name, ".request.json");

        if (end != NULL) {
            count++;
            if (run(fixture, TOOL " header --schemas " SCHEMAS " --out s.h %.*s",
                    (int)(end - entry->d_name), entry->d_name) != 0) {
                print_error("%s", fixture->output);
                fail();
            }
        }
    }
    (void)closedir(folder);
    assert_true(count >= 4);
}

/* ---- dray_module(), in a project of two modules ---- */

static const char project[] =
    "cmake_minimum_required(VERSION 3.25)\n"
    "project(tiny LANGUAGES C)\n"
    "add_library(dray::dray STATIC IMPORTED)\n"
    "set_target_properties(dray::dray PROPERTIES IMPORTED_LOCATION \"" DRAY_TEST_BUILD_DIR
    "/handlers/sdk/libdray.a\"\n"
    "    INTERFACE_INCLUDE_DIRECTORIES \"" SCHEMAS "/../bus/include;" SCHEMAS
    "/../handlers/sdk/include\")\n"
    "add_executable(dray::signature IMPORTED)\n"
    "set_target_properties(dray::signature PROPERTIES IMPORTED_LOCATION \"" TOOL "\")\n"
    "include(" SCHEMAS "/DrayModule.cmake)\n";

/* A module whose handler says it runs `command` with `signature`. */
static void write_module(const struct fixture *fixture, const char *name, const char *command,
                         const char *signature)
{
    char text[1024];

    (void)snprintf(
        text, sizeof(text),
        "#include <dray/handler.h>\n"
        "#include \"signatures.h\"\n"
        "static enum dray_error_kind f(struct dray_call *c)\n"
        "{ (void)c; return DRAY_KIND_NONE; }\n"
        "static const struct dray_handler handlers[] = {\n"
        "{.command = \"%s\", .version = \"1.0.0\", .signature = %s, .name = \"f\", .fn = f}};\n"
        "DRAY_MODULE = {DRAY_MODULE_HEAD, .name = \"m\", .handlers = handlers,\n"
        ".handlers_count = 1};\n",
        command, signature);
    write_text(fixture, name, text);
}

static void write_project(const struct fixture *fixture, const char *modules)
{
    char text[2048];
    char path[PATH_BYTES];

    (void)snprintf(text, sizeof(text), "%s%s", project, modules);
    write_text(fixture, "CMakeLists.txt", text);
    (void)snprintf(path, sizeof(path), "%s/schemas", fixture->folder);
    assert_int_equal(0, mkdir(path, 0755));
    write_schemas(fixture, "schemas/one.run@1.0.0", "{}");
    write_schemas(fixture, "schemas/two.run@1.0.0", "{}");
    write_module(fixture, "one.c", "one.run", "DRAY_SIGNATURE_ONE_RUN_1_0_0");
    write_module(fixture, "two.c", "two.run", "DRAY_SIGNATURE_TWO_RUN_1_0_0");
}

#define CONFIGURE "cmake -G Ninja -DCMAKE_C_COMPILER=" DRAY_TEST_CC " -S . -B build"
#define BUILD     "cmake --build build"

static void succeeds(struct fixture *fixture, const char *line)
{
    if (run(fixture, "%s", line) != 0) {
        print_error("%s", fixture->output);
        fail();
    }
}

static void fails(struct fixture *fixture, const char *line, const char *part)
{
    assert_int_not_equal(0, run(fixture, "%s", line));
    says(fixture, part);
}

static void a_module_builds_and_exports_its_descriptor_only(void **state)
{
    struct fixture *fixture = *state;

    write_project(fixture, "dray_module(one SOURCES one.c COMMANDS one.run@1.0.0)\n"
                           "dray_module(two SOURCES two.c COMMANDS two.run@1.0.0)\n");
    succeeds(fixture, CONFIGURE);
    fails(fixture, BUILD, "is not in ");
    succeeds(fixture, BUILD " --target signatures");
    says(fixture, "one.run@1.0.0");
    says(fixture, "two.run@1.0.0");
    succeeds(fixture, BUILD);
    succeeds(fixture, "nm -D --defined-only build/modules/one.so | awk '{print $NF}'");
    assert_string_equal("dray_module\n", fixture->output);
}

static void a_changed_schema_fails_the_build_until_the_version_changes(void **state)
{
    struct fixture *fixture = *state;

    write_project(fixture, "dray_module(one SOURCES one.c COMMANDS one.run@1.0.0)\n");
    succeeds(fixture, CONFIGURE);
    succeeds(fixture, BUILD " --target signatures && " BUILD);
    write_schemas(fixture, "schemas/one.run@1.0.0", "{\"type\":\"object\"}");
    fails(fixture, BUILD, "the schemas of one.run@1.0.0 changed, but its version did not");
    write_schemas(fixture, "schemas/one.run@1.0.0", "{}");
    succeeds(fixture, BUILD);
}

static void two_modules_of_one_command_and_version_do_not_configure(void **state)
{
    struct fixture *fixture = *state;

    write_project(fixture, "dray_module(one SOURCES one.c COMMANDS one.run@1.0.0)\n"
                           "dray_module(two SOURCES two.c COMMANDS two.run@1.0.0 one.run@1.0.0)\n");
    fails(fixture, CONFIGURE, "one.run@1.0.0 is exported by two modules, one and two");
}

static void a_descriptor_cannot_claim_what_its_build_does_not_list(void **state)
{
    struct fixture *fixture = *state;

    write_project(fixture, "dray_module(one SOURCES one.c COMMANDS one.run@1.0.0)\n");
    write_module(fixture, "one.c", "two.run", "DRAY_SIGNATURE_ONE_RUN_1_0_0");
    succeeds(fixture, CONFIGURE);
    succeeds(fixture, BUILD " --target signatures");
    fails(fixture, BUILD, "has no handler for one.run@1.0.0");
    assert_int_equal(1, run(fixture, "test -e build/modules/one.so"));
    write_module(fixture, "one.c", "one.run", "\"\"");
    fails(fixture, BUILD, "does not carry its signature");
    write_module(fixture, "one.c", "one.run", "DRAY_SIGNATURE_ONE_RUN_1_0_0");
    succeeds(fixture, BUILD);
}

static void calls_that_make_no_sense_do_not_configure(void **state)
{
    static const struct {
        const char *call;
        const char *says;
    } bad[] = {
        {"dray_module(one SOURCES one.c COMMANDS three.run@1.0.0)", "three.run@1.0.0 needs"},
        {"dray_module(one SOURCES one.c COMMANDS one.run)", "is not <command>@<version>"},
        {"dray_module(One SOURCES one.c COMMANDS one.run@1.0.0)", "a module's name is of a-z"},
        {"dray_module(one SOURCES one.c)", "SOURCES and COMMANDS are needed"},
        {"dray_module(one one.c COMMANDS one.run@1.0.0)", "what is one.c?"},
        {"dray_module(one FEATURES all SOURCES one.c COMMANDS one.run@1.0.0)", "FEATURES are c11"},
    };
    struct fixture *fixture = *state;

    write_project(fixture, "");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[2048];

        (void)snprintf(text, sizeof(text), "%s%s\n", project, bad[i].call);
        write_text(fixture, "CMakeLists.txt", text);
        fails(fixture, CONFIGURE, bad[i].says);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_signature_is_the_hash_of_both_schemas_with_a_nul_between),
        CASE(a_function_id_is_what_the_worker_makes_of_it),
        CASE(a_new_command_is_locked_once_and_its_header_names_it),
        CASE(a_changed_schema_with_an_unchanged_version_is_refused_with_what_to_do),
        CASE(a_version_is_not_taken_for_the_beginning_of_another),
        CASE(a_missing_or_empty_schema_is_named),
        CASE(wrong_usage_is_answered_with_the_usage),
        CASE(a_module_that_does_not_hold_what_it_should_is_refused_and_removed),
        CASE(every_schema_of_the_project_is_locked_as_it_is),
        CASE(a_module_builds_and_exports_its_descriptor_only),
        CASE(a_changed_schema_fails_the_build_until_the_version_changes),
        CASE(two_modules_of_one_command_and_version_do_not_configure),
        CASE(a_descriptor_cannot_claim_what_its_build_does_not_list),
        CASE(calls_that_make_no_sense_do_not_configure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
