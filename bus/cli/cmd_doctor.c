/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_doctor.c - dray doctor: looks at all that a worker needs, and says what to do about each
 * fault.
 *
 * Every look is the worker's own code (the configuration's loader, the transport's check, the
 * binding of routes to modules), so what the doctor finds well, a worker on this machine finds well
 * too. Nothing is changed without --fix, which makes missing topics and the state folder, and
 * nothing else.
 */
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dray/handler.h>

#include "assert.h"
#include "cli.h"
#include "config.h"
#include "exposure.h"
#include "log.h"
#include "mem.h"
#include "registry_tool.h"
#include "run/binding.h"
#include "run/module.h"
#include "run/module_probe.h"
#include "run/registry.h"
#include "run/seed.h"
#include "run/signing.h"
#include "run/state.h"
#include "url.h"
#include "version.h"
#include "wire/json.h"

#define TOPICS_MAX  (9u + DRI_DELAY_LEVELS)
#define TEXT_BYTES  1024u
#define CHECK_MS    10000u
#define MODULES_MAX 256u
#define NAMES_BYTES 512u

enum mark {
    MARK_OK,
    MARK_WARN,
    MARK_FAIL
};

struct doctor {
    struct dri_cli *cli;
    bool can_fix;
    bool has_registry; /* its topics are there */
    unsigned counts[3];
    int code;
};

static void print_json(const char *check, const char *mark, const char *text)
{
    struct dri_text json;
    dri_text_init(&json);
    dri_text_addf(&json, "{\"check\":");
    dri_text_add_json_string(&json, dray_slice_text(check));
    dri_text_addf(&json, ",\"status\":\"%s\",\"text\":", mark);
    dri_text_add_json_string(&json, dray_slice_text(text));
    dri_text_addf(&json, "}");
    printf("%s\n", json.status == DRAY_OK ? json.at : "{}");
    dri_text_fini(&json);
}

static void find(struct doctor *doctor, enum mark mark, const char *check, const char *format, ...)
    DRAY_FORMAT(4, 5);

/* One finding; a text says what is so and, when something is wrong, what to do. */
static void find(struct doctor *doctor, enum mark mark, const char *check, const char *format, ...)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    doctor->counts[mark]++;
    if (doctor->cli->is_json) {
        print_json(check, words[mark], text);
        return;
    }
    for (char *at = text; *at != '\0'; at++) {
        *at = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at;
    }
    bool has_colour = doctor->cli->has_colour;
    printf("%s%-4s%s  %-8s  %s\n", has_colour ? colours[mark] : "", words[mark],
           has_colour ? "\033[0m" : "", check, text);
}

/* The gravest word wins: a configuration that is wrong explains everything behind it. */
static void fail_with(struct doctor *doctor, int code)
{
    static const int ranks[] = {DRI_EXIT_OK, DRI_EXIT_FAILED, DRI_EXIT_DENIED, DRI_EXIT_UNREACHABLE,
                                DRI_EXIT_CONFIG};
    size_t now = 0;
    size_t then = 1;
    for (size_t i = 0; i < DRI_ARRAY_LEN(ranks); i++) {
        now = ranks[i] == doctor->code ? i : now;
        then = ranks[i] == code ? i : then;
    }
    doctor->code = then > now ? ranks[then] : doctor->code;
}

/* ---- configuration ---- */

static bool look_at_configuration(struct doctor *doctor)
{
    struct dri_cli *cli = doctor->cli;
    char text[TEXT_BYTES] = "";
    enum dray_status status =
        dri_cli_load(cli, true, &cli->config, &cli->settings, text, sizeof(text));
    if (status != DRAY_OK) {
        find(doctor, MARK_FAIL, "config", "%s", text);
        fail_with(doctor, DRI_EXIT_CONFIG);
        return false;
    }
    find(doctor, MARK_OK, "config", "%s: every key is known and in its bounds",
         cli->file == NULL ? "no file, defaults and options" : cli->file);
    for (size_t i = 0; dri_config_warning(cli->config, i) != NULL; i++) {
        find(doctor, MARK_WARN, "config", "%s", dri_config_warning(cli->config, i));
    }
    return true;
}

static void show_settings(struct doctor *doctor)
{
    static const char *const columns[] = {"KEY", "VALUE", "FROM"};
    struct dri_table *table = dri_table_create(columns, DRI_ARRAY_LEN(columns));
    struct dri_config_value value;
    for (size_t i = 0; dri_config_value(doctor->cli->config, i, &value); i++) {
        char bus[TEXT_BYTES];
        const char *text = value.text == NULL ? "" : value.text;
        if (strcmp(value.key, "bus") == 0) {
            dri_url_redact(text, bus, sizeof(bus));
            text = bus;
        }
        if (doctor->cli->is_json) {
            struct dri_text json;
            dri_text_init(&json);
            dri_text_addf(&json, "{\"setting\":");
            dri_text_add_json_string(&json, dray_slice_text(value.key));
            dri_text_addf(&json, ",\"value\":");
            if (value.text == NULL) {
                dri_text_addf(&json, "null");
            } else {
                dri_text_add_json_string(&json, dray_slice_text(text));
            }
            dri_text_addf(&json, ",\"from\":");
            dri_text_add_json_string(&json, dray_slice_text(value.source));
            dri_text_addf(&json, "}");
            printf("%s\n", json.status == DRAY_OK ? json.at : "{}");
            dri_text_fini(&json);
        } else {
            const char *const cells[] = {value.key, text, value.source};
            dri_table_row(table, cells);
        }
    }
    if (!doctor->cli->is_json) {
        printf("\n");
        (void)dri_table_print(table, stdout, doctor->cli->has_colour);
    }
    dri_table_destroy(table);
}

/* ---- broker and topics ---- */

static void tell_topic(struct doctor *doctor, const struct dri_topic_report *report,
                       const char *what)
{
    bool has_partitions = strncmp(doctor->cli->settings.bus, "kafka:", 6) == 0;
    bool will_be_made =
        report->status == DRAY_ENOTFOUND && doctor->cli->settings.worker.create_topics;
    if (report->was_created) {
        find(doctor, MARK_OK, "topic", "%s \"%s\": created", what, report->topic);
    } else if (report->status == DRAY_OK && report->text[0] != '\0') {
        find(doctor, MARK_WARN, "topic", "%s \"%s\": %s", what, report->topic, report->text);
    } else if (report->status == DRAY_OK && (has_partitions || report->partitions > 1)) {
        find(doctor, MARK_OK, "topic", "%s \"%s\": there, %u partition%s", what, report->topic,
             report->partitions, report->partitions == 1 ? "" : "s");
    } else if (report->status == DRAY_OK) {
        find(doctor, MARK_OK, "topic", "%s \"%s\": there", what, report->topic);
    } else if (will_be_made) {
        find(doctor, MARK_WARN, "topic", "%s \"%s\": missing; a worker will create it, or --fix",
             what, report->topic);
    } else {
        find(doctor, MARK_FAIL, "topic", "%s \"%s\": %s", what, report->topic,
             report->text[0] != '\0' ? report->text : dray_status_text(report->status));
        fail_with(doctor, report->status == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_FAILED);
    }
}

static void look_at_exposure(struct doctor *doctor)
{
    char text[TEXT_BYTES];
    if (dri_exposure_find(&doctor->cli->settings, text, sizeof(text))) {
        find(doctor, MARK_WARN, "network", "%s", text);
    }
}

/* All that a worker with these settings uses, each with what a user calls it; returns how many. */
static size_t list_topics(const struct dri_settings *settings, bool can_fix,
                          struct dri_topic ret_topics[TOPICS_MAX],
                          const char *ret_names[TOPICS_MAX])
{
    const struct {
        const char *name;
        const char *topic;
        enum dri_topic_use use;
        bool is_used;
    } named[] = {
        {"commands", settings->topics.commands, DRI_USE_COMMANDS, true},
        {"results", settings->topics.results, DRI_USE_RESULTS, true},
        {"dead letters", settings->topics.dead_letters, DRI_USE_DEAD_LETTERS, true},
        {"replay", settings->topics.replay, DRI_USE_REPLAY, true},
        {"control", settings->topics.control, DRI_USE_CONTROL, true},
        {"status", settings->topics.status, DRI_USE_STATUS, true},
        {"parked", settings->topics.park, DRI_USE_PARK, dri_settings_has_park_log(settings)},
        {"window", settings->topics.window, DRI_USE_WINDOW, settings->worker.window_ms != 0},
        /* the first schedule makes it, too: it is no fault that it is not there */
        {"last ticks", settings->topics.ticks, DRI_USE_STATUS, can_fix},
    };
    uint32_t levels = settings->worker.delay_after_ms != 0 ? DRI_DELAY_LEVELS : 0;
    size_t count = 0;
    for (size_t i = 0; i < DRI_ARRAY_LEN(named); i++) {
        if (named[i].is_used) {
            ret_names[count] = named[i].name;
            ret_topics[count++] = (struct dri_topic){named[i].topic, named[i].use};
        }
    }
    for (uint32_t i = 0; i < levels; i++) {
        ret_names[count] = "delay";
        ret_topics[count++] = (struct dri_topic){settings->topics.delay[i], DRI_USE_DELAY};
    }
    return count;
}

static void look_at_broker(struct doctor *doctor)
{
    const struct dri_settings *settings = &doctor->cli->settings;
    struct dri_topic topics[TOPICS_MAX];
    const char *names[TOPICS_MAX];
    size_t topics_count = list_topics(settings, doctor->can_fix, topics, names);
    struct dri_topic_report reports[DRI_ARRAY_LEN(topics)];
    struct dri_transport_info info = {.kind = "", .library = "", .server = ""};
    struct dri_transport_config config = {
        .url = settings->bus,
        .group = settings->group,
        .client_id = "dray-doctor",
        .topics = topics,
        .topics_count = topics_count,
        .window_ms = settings->worker.window_ms,
        .wants_stamps = settings->control.signers != NULL,
        .can_create = doctor->can_fix,
        .partitions = settings->worker.partitions,
        .timeout_ms = CHECK_MS,
        .unacked_max = 1000,
        .in_flight_max = settings->worker.max_in_flight,
        .memory_bytes = settings->worker.memory,
        .options = settings->options,
        .options_count = settings->options_count,
    };
    const struct dri_transport_ops *ops = NULL;
    char text[TEXT_BYTES] = "";
    char bus[TEXT_BYTES];
    for (size_t i = 0; i < DRI_ARRAY_LEN(reports); i++) {
        reports[i] = (struct dri_topic_report){.topic = NULL, .status = DRAY_EAGAIN};
    }
    dri_url_redact(settings->bus, bus, sizeof(bus));
    enum dray_status status = dri_transport_for(settings->bus, &ops, text, sizeof(text));
    if (status == DRAY_OK) {
        status = ops->check(&config, &info, reports, text, sizeof(text));
    }
    if (status != DRAY_OK) {
        bool is_silent = status == DRAY_EBROKER || status == DRAY_ETIMEOUT;
        find(doctor, MARK_FAIL, "broker", "%s: %s%s", bus,
             text[0] != '\0' ? text : dray_status_text(status),
             is_silent ? "; does it run, and is `bus` (or --bus) its address?" : "");
        fail_with(doctor, (int)dri_exit_for_open(status));
    } else {
        find(doctor, MARK_OK, "broker", "%s: reached%s%s, with %s; messages up to %llu bytes", bus,
             info.server[0] == '\0' ? "" : ", ", info.server, info.library,
             (unsigned long long)info.message_bytes_max);
    }
    doctor->has_registry = status == DRAY_OK;
    for (size_t i = 0; i < DRI_ARRAY_LEN(reports); i++) {
        if (reports[i].status != DRAY_OK && i < topics_count) {
            doctor->has_registry = doctor->has_registry && strcmp(names[i], "control") != 0 &&
                                   strcmp(names[i], "status") != 0;
        }
        if (reports[i].topic != NULL) {
            tell_topic(doctor, &reports[i], names[i]);
        }
    }
}

/* ---- modules and routes ---- */

static void tell_route(void *arg, const struct dri_route *route)
{
    struct doctor *doctor = arg;
    if (route->handler != NULL) {
        find(doctor, MARK_OK, "route", "%s: handler %s of %s", route->key, route->handler->name,
             dri_module_name(route->module));
    } else {
        find(doctor, MARK_FAIL, "route", "%s: %s", route->key, route->failure);
        fail_with(doctor, DRI_EXIT_FAILED);
    }
    if (!route->view.has_version) {
        find(doctor, MARK_WARN, "route", "%s: has no version, so it counts as 0.0.0; give it one",
             route->key);
    }
}

static void look_at_routes(struct doctor *doctor, struct dri_modules *modules)
{
    const struct dri_settings *settings = &doctor->cli->settings;
    struct dri_registry_config config = {.bind = settings->worker.window_ms != 0
                                                     ? dri_binding_bind
                                                     : dri_binding_bind_without_window,
                                         .unbind = dri_binding_unbind,
                                         .arg = modules,
                                         .readers_max = 1,
                                         .shards = 1};
    struct dri_registry *registry = NULL;
    char text[TEXT_BYTES] = "";
    enum dray_status status = dri_registry_create(&config, &registry);
    if (status == DRAY_OK) {
        status = dri_seed_apply(settings, registry, text, sizeof(text));
    }
    if (status != DRAY_OK) {
        find(doctor, MARK_FAIL, "route", "%s", text[0] != '\0' ? text : dray_status_text(status));
        fail_with(doctor, DRI_EXIT_CONFIG);
    } else if (settings->routes_count == 0) {
        find(doctor, MARK_OK, "route",
             "the configuration has none: the registry decides (dray registry ls)");
    } else {
        dri_registry_each(registry, tell_route, doctor);
    }
    dri_registry_destroy(registry);
}

static void tell_module(struct doctor *doctor, const struct dri_module *module)
{
    const struct dray_module *descriptor = dri_module_descriptor(module);
    char names[NAMES_BYTES] = "";
    size_t len = 0;
    for (size_t i = 0; i < descriptor->handlers_count && len < sizeof(names); i++) {
        /* A later SDK's handlers may be larger than ours. */
        const struct dray_handler *handler =
            (const void *)((const char *)descriptor->handlers + i * descriptor->handler_bytes);
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ",
                                handler->name);
    }
    find(doctor, MARK_OK, "module", "%s: loads; handlers: %s; sha256 %.12s...",
         dri_module_name(module), names, dri_module_sha256(module));
}

static bool is_module_file(const char *name)
{
    size_t len = strlen(name);
    return len > 3 && strcmp(name + len - 3, ".so") == 0;
}

static void look_at_folder(struct doctor *doctor, struct dri_modules *modules)
{
    const char *folder = doctor->cli->settings.modules;
    DIR *files = opendir(folder);
    size_t count = 0;
    if (files == NULL) {
        find(doctor, MARK_FAIL, "module",
             "the modules folder %s cannot be read: %s; set `modules:` to the folder of the .so "
             "files",
             folder, strerrordesc_np(errno));
        fail_with(doctor, DRI_EXIT_FAILED);
        return;
    }
    for (const struct dirent *file = readdir(files); /* NOLINT(concurrency-mt-unsafe): our stream */
         file != NULL && count < MODULES_MAX;
         file = readdir(files)) { /* NOLINT(concurrency-mt-unsafe): our stream */
        struct dri_module *module = NULL;
        char text[TEXT_BYTES] = "";
        if (!is_module_file(file->d_name)) {
            continue;
        }
        count++;
        if (dri_module_load(modules, dray_slice_text(file->d_name), dray_slice_of(NULL, 0), &module,
                            text, sizeof(text)) == DRAY_OK) {
            tell_module(doctor, module);
            dri_module_release(module);
        } else {
            find(doctor, MARK_WARN, "module", "%s", text);
        }
    }
    (void)closedir(files);
    if (count == 0) {
        find(doctor, MARK_WARN, "module", "the modules folder %s holds no .so file", folder);
    }
}

static void look_at_modules(struct doctor *doctor)
{
    struct dri_modules *modules = NULL;
    enum dray_status status = dri_modules_create(doctor->cli->settings.modules, "doctor", &modules);
    uint32_t trial_ms = doctor->cli->settings.worker.trial_ms;
    if (status == DRAY_OK && dri_probe_program() != NULL && trial_ms != 0) {
        status = dri_modules_try_first(modules, dri_probe_program(), trial_ms);
    }
    if (status != DRAY_OK) {
        dri_modules_destroy(modules);
        find(doctor, MARK_FAIL, "module", "%s", dray_status_text(status));
        fail_with(doctor, DRI_EXIT_FAILED);
        return;
    }
    look_at_folder(doctor, modules);
    look_at_routes(doctor, modules);
    dri_modules_destroy(modules);
}

/* ---- who signs ---- */

static void look_at_key(struct doctor *doctor, const struct dri_signers *signers, const char *path)
{
    struct dri_signing_key key;
    char text[TEXT_BYTES] = "";
    enum dray_status status = dri_signing_key_load(path, &key, text, sizeof(text));
    if (status != DRAY_OK) {
        find(doctor, MARK_FAIL, "signing", "%s", text);
        fail_with(doctor, status == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_CONFIG);
        return;
    }
    if (signers->count > 0 && dri_signers_find(signers, dray_slice_text(key.kid)) == NULL) {
        find(doctor, MARK_FAIL, "signing",
             "%s: its kid %s is none of control.signers: put what dray keys show prints there",
             path, key.kid);
        fail_with(doctor, DRI_EXIT_CONFIG);
    } else {
        find(doctor, MARK_OK, "signing", "%s: key of %s", path, key.kid);
    }
    dri_signing_key_wipe(&key);
}

/* signed_from is meant to be the revision after those that were there; above it, it is a door. */
static void look_at_signed_from(struct doctor *doctor, const struct dri_signers *signers)
{
    struct dri_registry_tool tool;
    if (signers->count == 0 || !signers->is_required || signers->signed_from <= 1 ||
        !doctor->has_registry) {
        return;
    }
    int code = dri_registry_tool_open(&tool, doctor->cli, true, false);
    if (code != DRI_EXIT_OK) {
        find(doctor, MARK_FAIL, "signing", "the control topic cannot be read to its end");
        fail_with(doctor, code);
    } else if (!dri_signers_wants_signature(signers, tool.log.end + 1)) {
        find(doctor, MARK_WARN, "signing",
             "the log ends at revision %llu and control.signed_from is %llu: anything unsigned is "
             "taken until revision %llu; set it to %llu",
             (unsigned long long)tool.log.end, (unsigned long long)signers->signed_from,
             (unsigned long long)signers->signed_from - 1, (unsigned long long)tool.log.end + 1);
    }
    dri_registry_tool_close(&tool);
}

static void look_at_signing(struct doctor *doctor)
{
    const struct dri_settings *settings = &doctor->cli->settings;
    struct dri_signers signers;
    dri_signers_init(&signers, settings);
    if (signers.count > 0) {
        find(doctor, MARK_OK, "signing", "%zu keys may sign control records, unsigned ones are %s",
             signers.count, signers.is_required ? "refused" : "taken");
    }
    if (signers.count > 0 && strcmp(settings->cluster, "default") == 0) {
        find(doctor, MARK_WARN, "signing",
             "`cluster` is \"default\": with a name of its own a signed record of another cluster "
             "cannot be written here again. On a log that has records keep what they carry: dray "
             "keys verify -c new.yaml shows what would be refused");
    }
    look_at_signed_from(doctor, &signers);
    if (settings->control.key_file != NULL) {
        look_at_key(doctor, &signers, settings->control.key_file);
    }
}

/* ---- this machine ---- */

static void look_at_state(struct doctor *doctor)
{
    const char *folder = doctor->cli->settings.state;
    char text[TEXT_BYTES] = "";
    bool is_there = access(folder, F_OK) == 0;
    if (!is_there && !doctor->can_fix) {
        find(doctor, MARK_WARN, "state", "%s: not there yet; a worker will make it, or --fix",
             folder);
        return;
    }
    enum dray_status status = dri_state_open(folder, text, sizeof(text));
    if (status == DRAY_OK) {
        find(doctor, MARK_OK, "state", "%s: %s", folder, is_there ? "may be written" : "made");
    } else {
        find(doctor, MARK_FAIL, "state", "%s", text);
        fail_with(doctor, status == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_FAILED);
    }
}

/* "127.0.0.1:9464" or "[::1]:9464" to a list of addresses; NULL: it is none. */
static struct addrinfo *resolve(const char *listen_at)
{
    char host[256];
    const char *colon = strrchr(listen_at, ':');
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (colon == NULL) {
        return NULL;
    }
    size_t len = (size_t)(colon - listen_at);
    bool is_v6 = len >= 2 && listen_at[0] == '[' && listen_at[len - 1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(is_v6 ? len - 2 : len), listen_at + (is_v6 ? 1 : 0));
    return getaddrinfo(host[0] == '\0' ? NULL : host, colon + 1, &hints, &found) == 0 ? found
                                                                                      : NULL;
}

static void look_at_admin(struct doctor *doctor)
{
    const char *listen_at = doctor->cli->settings.admin.listen;
    if (listen_at[0] == '\0') {
        find(doctor, MARK_OK, "admin", "off: no metrics and no health are served");
        return;
    }
    struct addrinfo *at = resolve(listen_at);
    if (at == NULL) {
        find(doctor, MARK_FAIL, "admin", "admin.listen \"%s\" is no address; as in 127.0.0.1:9464",
             listen_at);
        fail_with(doctor, DRI_EXIT_CONFIG);
        return;
    }
    int one = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
                   bind(fd, at->ai_addr, at->ai_addrlen) == 0;
    int error = errno;
    if (is_free) {
        find(doctor, MARK_OK, "admin", "%s: free", listen_at);
    } else if (error == EADDRINUSE) {
        find(doctor, MARK_WARN, "admin",
             "%s: in use; fine when a worker runs there, else set admin.listen to another port",
             listen_at);
    } else {
        find(doctor, MARK_FAIL, "admin", "%s: %s; set admin.listen to an address of this machine",
             listen_at, strerrordesc_np(error));
        fail_with(doctor, error == EACCES ? DRI_EXIT_DENIED : DRI_EXIT_FAILED);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    freeaddrinfo(at);
}

static int doctor_run(struct dri_cli *cli)
{
    struct doctor doctor = {.cli = cli, .can_fix = dri_cli_has(cli, "fix")};
    /* Its findings are the output; what the code below logs on the way would say them twice. */
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_ERROR, NULL, NULL);
    if (look_at_configuration(&doctor)) {
        look_at_exposure(&doctor);
        look_at_broker(&doctor);
        look_at_modules(&doctor);
        look_at_signing(&doctor);
        look_at_state(&doctor);
        look_at_admin(&doctor);
        if (dri_cli_has(cli, "settings")) {
            show_settings(&doctor);
        }
    }
    if (!cli->is_json) {
        printf("\n%u ok, %u to look at, %u to mend\n", doctor.counts[MARK_OK],
               doctor.counts[MARK_WARN], doctor.counts[MARK_FAIL]);
    }
    return doctor.code;
}

static const struct dri_cli_option options[] = {
    {.name = "fix", .help = "Create missing topics and streams, and the state folder."},
    {.name = "settings", .help = "Show every effective value, and where it came from."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"Is everything there?", "dray doctor -c worker.yaml"},
    {"Create what is missing", "dray doctor -c worker.yaml --fix"},
    {"Where does this value come from?", "dray doctor -c worker.yaml --settings"},
    {"Only what is wrong", "dray doctor -c worker.yaml --json | grep '\"fail\"'"},
    {NULL, NULL},
};

const struct dri_cli_command dri_doctor_command = {
    .name = "doctor",
    .summary = "check everything that a worker needs",
    .usage = "[-c FILE] [--fix] [--settings]",
    .about = "Checks the configuration, the broker and the versions of both sides, the topics, the "
             "modules and "
             "the routes that use them, the state folder and the admin port. Each line is ok, warn "
             "or fail, and "
             "says what to do. Without --fix nothing is changed.\n\n"
             "Exit code 0: nothing is wrong. 1: something is. 69: the broker cannot be reached. "
             "77: something is "
             "not permitted. 78: the configuration is wrong.",
    .options = options,
    .examples = examples,
    .takes_configuration = true,
    .check = dri_cli_no_arguments,
    .run = doctor_run,
};
