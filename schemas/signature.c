/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* signature.c - dray-signature, a tool of the build: what a command's schemas hash to.
 *
 * The signature of <command>@<version> is SHA-256 over the bytes of its request schema, one NUL,
 * and the bytes of its result schema. A producer that knows the signature (or the function id made
 * of it) asks for exactly this contract; so a version means one pair of schemas for ever.
 * signatures.txt, which is committed, remembers which; a build with other bytes under the same
 * version fails here.
 *
 * Rejected: hashing a canonical form of the JSON. Two tools would have to agree on one, and a
 * change of white space alone is not worth a rule of its own.
 */

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dray/handler.h>

#define HEX_BYTES   (2 * crypto_hash_sha256_BYTES + 1)
#define SCHEMA_MAX  (16u << 20)
#define LOCK_LINE   512
#define COMMAND_MAX 256
#define PATH_BYTES  4096

static const char usage[] =
    "usage: dray-signature <what> --schemas DIR [--lock FILE] [--out FILE] [--on-failure remove]\n"
    "                      <command>@<version>...\n"
    "  show              print each signature\n"
    "  lock              add signatures to the lock file (DIR/signatures.txt) that are not in it\n"
    "  header            check against the lock file and write a C header to --out\n"
    "  module FILE.so    check that a module's descriptor holds exactly these commands; with\n"
    "                    --on-failure remove a file that does not is deleted\n"
    "  fid NAMESPACE     print each function id\n";

struct options {
    const char *what;
    const char *argument; /* of module and fid */
    const char *schemas;
    const char *out;
    const char *on_failure;
    char lock[PATH_BYTES];
    char **commands;
    int commands_count;
};

/* ---- hashing ---- */

static bool hash_file(crypto_hash_sha256_state *state, const char *schemas, const char *command,
                      const char *part)
{
    char path[PATH_BYTES];
    unsigned char block[4096];
    size_t total = 0;
    size_t got;
    bool is_read;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s.%s.json", schemas, command, part);
    file = fopen(path, "rb");
    if (file == NULL) {
        (void)fprintf(stderr,
                      "dray-signature: %s: %s; every command has a request and a result schema\n",
                      path, strerror(errno));
        return false;
    }
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        total += got;
        (void)crypto_hash_sha256_update(state, block, got);
    }
    is_read = ferror(file) == 0 && total > 0 && total <= SCHEMA_MAX;
    if (!is_read) {
        (void)fprintf(stderr, "dray-signature: %s: cannot be read, is empty or over 16 MiB\n",
                      path);
    }
    return fclose(file) == 0 && is_read;
}

static bool hash_command(const char *schemas, const char *command, char ret_hex[HEX_BYTES])
{
    static const unsigned char separator = 0;
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    if (!hash_file(&state, schemas, command, "request")) {
        return false;
    }
    (void)crypto_hash_sha256_update(&state, &separator, 1);
    if (!hash_file(&state, schemas, command, "result")) {
        return false;
    }
    (void)crypto_hash_sha256_final(&state, digest);
    (void)sodium_bin2hex(ret_hex, HEX_BYTES, digest, sizeof(digest));
    return true;
}

/* ---- the lock file: lines "<command>@<version> <64 hex>" ---- */

enum locked {
    LOCKED_SAME,
    LOCKED_OTHER,
    LOCKED_NOT,
    LOCKED_UNREADABLE
};

static enum locked find_locked(const char *lock, const char *command, const char *hex)
{
    enum locked found = LOCKED_NOT;
    char line[LOCK_LINE];
    FILE *file = fopen(lock, "r");

    if (file == NULL) {
        return errno == ENOENT ? LOCKED_NOT : LOCKED_UNREADABLE;
    }
    while (found == LOCKED_NOT && fgets(line, sizeof(line), file) != NULL) {
        size_t len = strlen(command);

        if (strncmp(line, command, len) == 0 && line[len] == ' ') {
            line[strcspn(line, "\r\n")] = '\0';
            found = strcmp(line + len + 1, hex) == 0 ? LOCKED_SAME : LOCKED_OTHER;
        }
    }
    (void)fclose(file);
    return found;
}

static bool check_locked(const struct options *options, const char *command, const char *hex)
{
    switch (find_locked(options->lock, command, hex)) {
    case LOCKED_SAME:
        return true;
    case LOCKED_OTHER:
        (void)fprintf(
            stderr,
            "dray-signature: the schemas of %s changed, but its version did not.\n"
            "  Somebody may hold %s to what it was. Either take the change back, or give it\n"
            "  a new version: rename both files to %.*s@<new version>.*.json, say the new\n"
            "  version in the handler and in dray_module(), and run `dray-signature lock`.\n"
            "  Only if no one ever used it: delete its line in %s and run that too.\n",
            command, command, (int)strcspn(command, "@"), command, options->lock);
        return false;
    case LOCKED_NOT:
        (void)fprintf(stderr,
                      "dray-signature: %s is not in %s yet. Add it, with\n"
                      "  cmake --build <build folder> --target signatures\n"
                      "  or by this line:\n  %s %s\n",
                      command, options->lock, command, hex);
        return false;
    case LOCKED_UNREADABLE:
    default:
        (void)fprintf(stderr, "dray-signature: %s cannot be read\n", options->lock);
        return false;
    }
}

/* ---- what it does ---- */

static bool show(const struct options *options)
{
    for (int i = 0; i < options->commands_count; i++) {
        char hex[HEX_BYTES];

        if (!hash_command(options->schemas, options->commands[i], hex)) {
            return false;
        }
        (void)printf("%s %s\n", options->commands[i], hex);
    }
    return true;
}

/* The one place besides the worker that makes a function id: both follow from the same text. */
static bool fid(const struct options *options)
{
    for (int i = 0; i < options->commands_count; i++) {
        const char *command = options->commands[i];
        unsigned char digest[crypto_hash_sha256_BYTES];
        char hex[HEX_BYTES];
        char text[2 * COMMAND_MAX + HEX_BYTES];
        int len;

        if (!hash_command(options->schemas, command, hex)) {
            return false;
        }
        len = snprintf(text, sizeof(text), "%s.%s:%s", options->argument, command, hex);
        if (len < 0 || (size_t)len >= sizeof(text)) {
            return false;
        }
        (void)crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
        (void)sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
        (void)printf("%s.%s %.16s\n", options->argument, command, hex);
    }
    return true;
}

static bool lock(const struct options *options)
{
    for (int i = 0; i < options->commands_count; i++) {
        char hex[HEX_BYTES];
        enum locked found;
        FILE *file;

        if (!hash_command(options->schemas, options->commands[i], hex)) {
            return false;
        }
        found = find_locked(options->lock, options->commands[i], hex);
        if (found == LOCKED_SAME) {
            continue;
        }
        if (found != LOCKED_NOT) {
            return check_locked(options, options->commands[i], hex);
        }
        file = fopen(options->lock, "a");
        if (file == NULL) {
            (void)fprintf(stderr, "dray-signature: %s: %s\n", options->lock, strerror(errno));
            return false;
        }
        (void)fprintf(file, "%s %s\n", options->commands[i], hex);
        if (fclose(file) != 0) {
            (void)fprintf(stderr, "dray-signature: %s: %s\n", options->lock, strerror(errno));
            return false;
        }
        (void)printf("added to %s: %s %s\n", options->lock, options->commands[i], hex);
    }
    return true;
}

/* "order.create@1.0.0" is ORDER_CREATE_1_0_0 in C. */
static void print_macro_name(FILE *file, const char *command)
{
    for (const char *at = command; *at != '\0'; at++) {
        char c = *at;

        if (c >= 'a' && c <= 'z') {
            c = (char)(c - 'a' + 'A');
        } else if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) {
            c = '_';
        }
        (void)fputc(c, file);
    }
}

static bool header(const struct options *options)
{
    FILE *file;
    bool is_good = true;

    for (int i = 0; i < options->commands_count; i++) {
        char hex[HEX_BYTES];

        is_good = hash_command(options->schemas, options->commands[i], hex) &&
                  check_locked(options, options->commands[i], hex) && is_good;
    }
    if (!is_good) {
        return false;
    }
    file = fopen(options->out, "w");
    if (file == NULL) {
        (void)fprintf(stderr, "dray-signature: %s: %s\n", options->out, strerror(errno));
        return false;
    }
    (void)fprintf(file, "/* Made by dray-signature out of the schemas: do not edit. */\n");
    for (int i = 0; i < options->commands_count && is_good; i++) {
        char hex[HEX_BYTES];

        is_good = hash_command(options->schemas, options->commands[i], hex);
        (void)fprintf(file, "#define DRAY_SIGNATURE_");
        print_macro_name(file, options->commands[i]);
        (void)fprintf(file, " \"%s\"\n", hex);
    }
    if (fclose(file) != 0 || !is_good) {
        (void)remove(options->out);
        return false;
    }
    return true;
}

static const struct dray_handler *handler_at(const struct dray_module *module, size_t i)
{
    const void *at = (const char *)module->handlers + i * module->handler_bytes;

    return at;
}

static bool module_has(const struct dray_module *module, const char *command, const char *hex)
{
    for (size_t i = 0; i < module->handlers_count; i++) {
        const struct dray_handler *handler = handler_at(module, i);
        char name[2 * COMMAND_MAX];

        (void)snprintf(name, sizeof(name), "%s@%s", handler->command, handler->version);
        if (strcmp(name, command) == 0) {
            if (strcmp(handler->signature, hex) == 0) {
                return true;
            }
            (void)fprintf(stderr,
                          "dray-signature: the handler of %s does not carry its signature: "
                          "include \"signatures.h\" and use its DRAY_SIGNATURE_... macro\n",
                          command);
            return false;
        }
    }
    (void)fprintf(stderr,
                  "dray-signature: the module has no handler for %s, which dray_module() lists\n",
                  command);
    return false;
}

static bool check_module(const struct options *options)
{
    const struct dray_module *found;
    void *image = dlopen(options->argument, RTLD_NOW | RTLD_LOCAL);

    if (image == NULL) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
        (void)fprintf(stderr, "dray-signature: %s\n", dlerror());
        return false;
    }
    found = dlsym(image, "dray_module");
    if (found == NULL || found->abi != DRAY_ABI_VERSION ||
        found->handlers_count != (size_t)options->commands_count) {
        (void)fprintf(
            stderr,
            "dray-signature: %s: needs a descriptor (DRAY_MODULE) with one handler for each "
            "command that dray_module() lists\n",
            options->argument);
        return false;
    }
    for (int i = 0; i < options->commands_count; i++) {
        char hex[HEX_BYTES];

        if (!hash_command(options->schemas, options->commands[i], hex) ||
            !module_has(found, options->commands[i], hex)) {
            return false;
        }
    }
    return true;
}

/* So that nobody can get around the other checks by what stands in the descriptor. */
static bool module(const struct options *options)
{
    bool is_good = check_module(options);

    if (!is_good && options->on_failure != NULL && strcmp(options->on_failure, "remove") == 0) {
        (void)remove(options->argument); /* nobody shall load it */
    }
    return is_good;
}

struct verb {
    const char *name;
    bool (*run)(const struct options *options);
    bool has_argument;
    bool needs_out;
};

static const struct verb verbs[] = {
    {"show", show, false, false},    {"lock", lock, false, false}, {"header", header, false, true},
    {"module", module, true, false}, {"fid", fid, true, false},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

/* Leaves the commands at the end of argv. */
static bool parse(int argc, char **argv, const struct verb *verb, struct options *ret_options)
{
    struct options options = {.what = verb->name};
    const char *lock_path = NULL;
    int at = 2;

    if (verb->has_argument && at < argc) {
        options.argument = argv[at++];
    }
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--schemas") == 0) {
            options.schemas = argv[at + 1];
        } else if (strcmp(argv[at], "--out") == 0) {
            options.out = argv[at + 1];
        } else if (strcmp(argv[at], "--on-failure") == 0) {
            options.on_failure = argv[at + 1];
        } else if (strcmp(argv[at], "--lock") == 0) {
            lock_path = argv[at + 1];
        } else {
            return false;
        }
    }
    options.commands = argv + at;
    options.commands_count = argc - at;
    if (options.schemas == NULL || options.commands_count < 1 ||
        (verb->needs_out && options.out == NULL)) {
        return false;
    }
    for (int i = 0; i < options.commands_count; i++) {
        const char *command = options.commands[i];

        if (strlen(command) > COMMAND_MAX || strchr(command, '@') == NULL ||
            strpbrk(command, "/ \t") != NULL) {
            (void)fprintf(stderr, "dray-signature: \"%s\" is not <command>@<version>\n", command);
            return false;
        }
    }
    if (lock_path != NULL) {
        (void)snprintf(options.lock, sizeof(options.lock), "%s", lock_path);
    } else {
        (void)snprintf(options.lock, sizeof(options.lock), "%s/signatures.txt", options.schemas);
    }
    *ret_options = options;
    return true;
}

int main(int argc, char **argv)
{
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    struct options options;

    if (verb == NULL || !parse(argc, argv, verb, &options)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (sodium_init() < 0) {
        (void)fputs("dray-signature: libsodium cannot be used here\n", stderr);
        return 1;
    }
    return verb->run(&options) ? 0 : 1;
}
