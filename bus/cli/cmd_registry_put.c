/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_registry_put.c - dray registry put: routes of a file or of the command line into the
 * registry.
 *
 * A route of the command line goes by JSON to msgpack as one of a file does, so both are read and
 * checked by the same code. What no worker of this build can run is refused here, before it is in
 * the log.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "mem.h"
#include "registry_change.h"
#include "registry_files.h"
#include "wire/json.h"

#define TEXT_BYTES 1024u

struct put {
    const struct dri_cli *cli;
    struct dri_routes routes;      /* owned */
    struct dri_registry_key *keys; /* owned */
};

/* ---- a route of the command line ---- */

static void add_text(struct dri_text *json, const char *name, const char *value, size_t len)
{
    dri_text_addf(json, ",\"%s\":", name);
    dri_text_add_json_string(json, dray_slice_of(value, len));
}

static void add_tags(const struct dri_cli *cli, struct dri_text *json)
{
    const char *tag = NULL;
    for (size_t i = 0; (tag = dri_cli_value_at(cli, "tag", i)) != NULL; i++) {
        const char *sign = strchr(tag, '='); /* put_check has seen it */
        dri_text_addf(json, i == 0 ? ",\"tags\":{" : ",");
        dri_text_add_json_string(json, dray_slice_of(tag, (size_t)(sign - tag)));
        dri_text_addf(json, ":");
        dri_text_add_json_string(json, dray_slice_text(sign + 1));
    }
    if (dri_cli_has(cli, "tag")) {
        dri_text_addf(json, "}");
    }
}

/* "5" or "5%" as a number; 0: it is none of 1 to 99. */
static uint64_t parse_share(const char *text)
{
    uint64_t share = 0;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && digits <= 2; i++) {
        share = share * 10 + (uint64_t)(text[i] - '0');
    }
    return text[digits] == '\0' || strcmp(text + digits, "%") == 0 ? share : 0;
}

/* Of --weight or --canary; put_check has seen them. 0: neither. */
static uint64_t share_of(const struct dri_cli *cli)
{
    uint64_t weight = 0;
    const char *canary = dri_cli_value(cli, "canary");
    if (canary != NULL) {
        return parse_share(canary);
    }
    return dri_cli_uint(cli, "weight", 1, 100, &weight) ? weight : 0;
}

static void add_policy(const struct dri_cli *cli, bool with_rules, struct dri_text *json)
{
    const char *policy = dri_cli_value(cli, "policy");
    if (with_rules && policy != NULL) {
        const char *inside = strchr(policy, '{') + 1; /* put_check has seen that it is a map */
        bool is_empty = inside[strspn(inside, " \t\r\n")] == '}';
        dri_text_addf(json, ",\"policy\":{\"canary\":{}%s%s", is_empty ? "" : ",", inside);
    } else if (with_rules) {
        dri_text_addf(json, ",\"policy\":{\"canary\":{}}");
    } else if (policy != NULL) {
        dri_text_addf(json, ",\"policy\":%s", policy);
    }
}

/* with_rules: the policy says nothing of how a canary is judged, and is to have the defaults. */
static void make_json(const struct dri_cli *cli, bool with_rules, struct dri_text *json)
{
    const char *target = cli->arguments[0];
    const char *slash = strchr(target, '/');
    const char *name = slash == NULL ? target : slash + 1;
    const char *sign = strchr(name, '@');
    const char *ns = dri_cli_value(cli, "ns");
    const char *handler = dri_cli_value(cli, "handler");
    const char *module = dri_cli_value(cli, "module");
    uint64_t weight = share_of(cli);
    dri_text_addf(json, "{\"runtime\":\"native\"");
    if (slash != NULL) {
        add_text(json, "ns", target, (size_t)(slash - target));
    } else {
        ns = ns == NULL ? cli->settings.namespace_ : ns;
        add_text(json, "ns", ns, strlen(ns));
    }
    add_text(json, "name", name, sign == NULL ? strlen(name) : (size_t)(sign - name));
    if (sign != NULL) {
        add_text(json, "version", sign + 1, strlen(sign + 1));
    }
    add_text(json, "module", module, strlen(module));
    add_text(json, "handler", handler, strlen(handler));
    add_tags(cli, json);
    if (weight != 0) {
        dri_text_addf(json, ",\"weight\":%u", (unsigned)weight);
    }
    add_policy(cli, with_rules, json);
    dri_text_addf(json, "}");
}

static void warn(void *arg, const char *text)
{
    (void)arg;
    dri_cli_warn("%s", text);
}

/* Owns: *ret_bytes is owned. */
static int pack(const struct dri_cli *cli, bool with_rules, uint8_t **ret_bytes, size_t *ret_len)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    struct dri_text json;
    dri_text_init(&json);
    make_json(cli, with_rules, &json);
    int code = json.status == DRAY_OK
                   ? DRI_EXIT_OK
                   : dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", dray_status_text(json.status));
    if (code == DRI_EXIT_OK && dri_json_to_msgpack(dray_slice_of(json.at, json.len), &limits,
                                                   ret_bytes, ret_len, &error) != DRAY_OK) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "the route cannot be packed: %s", error.text);
    }
    dri_text_fini(&json);
    return code;
}

static bool lacks_rules(const struct dri_cli *cli, struct dray_slice route)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_route_view view;
    struct dri_wire_error error;
    return dri_cli_has(cli, "canary") &&
           dri_route_decode(route, &limits, &view, &error) == DRAY_OK && !view.policy.has_canary;
}

static int route_of_arguments(struct put *put)
{
    const struct dri_cli *cli = put->cli;
    uint8_t *bytes = NULL;
    size_t len = 0;
    int code = pack(cli, false, &bytes, &len);
    if (code == DRI_EXIT_OK && lacks_rules(cli, dray_slice_of(bytes, len))) {
        dri_free(bytes);
        bytes = NULL;
        code = pack(cli, true, &bytes, &len);
    }
    if (code == DRI_EXIT_OK) {
        put->routes.items = dri_zalloc_array(1, sizeof(*put->routes.items));
        if (put->routes.items == NULL) {
            dri_free(bytes);
            return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
        }
        put->routes.items[0] = dray_slice_of(bytes, len);
        put->routes.count = 1;
        dri_route_look(put->routes.items[0], warn, NULL);
    }
    return code;
}

/* ---- all routes ---- */

static int check_policy(const struct dri_cli *cli)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_wire_error error = {.field = "", .text = "is too large", .offset = 0};
    const char *policy = dri_cli_value(cli, "policy");
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (policy == NULL) {
        return DRI_EXIT_OK;
    }
    enum dray_status status =
        dri_json_to_msgpack(dray_slice_text(policy), &limits, &bytes, &len, &error);
    dri_free(bytes);
    if (status != DRAY_OK) {
        return dri_cli_usage(cli, "--policy is no JSON: what stands at byte %u %s", error.offset,
                             error.text);
    }
    return policy[strspn(policy, " \t\r\n")] == '{'
               ? DRI_EXIT_OK
               : dri_cli_usage(cli, "--policy is a JSON map, as {\"timeout_ms\":3000}, not %s",
                               policy);
}

/* Of a route of the command line. */
static int check_route(const struct dri_cli *cli)
{
    const char *module = dri_cli_value(cli, "module");
    const char *handler = dri_cli_value(cli, "handler");
    const char *ns = dri_cli_value(cli, "ns");
    const char *tag = NULL;
    uint64_t weight = 0;
    if (cli->arguments_count != 1) {
        return dri_cli_usage(cli, "which route? NAME@VERSION --module M --handler H, or -f FILE");
    }
    if (ns != NULL && strchr(cli->arguments[0], '/') != NULL) {
        return dri_cli_usage(cli, "the namespace stands there twice: %s and --ns %s",
                             cli->arguments[0], ns);
    }
    if (module == NULL || handler == NULL) {
        return dri_cli_usage(cli, "--%s is missing", module == NULL ? "module" : "handler");
    }
    for (size_t i = 0; (tag = dri_cli_value_at(cli, "tag", i)) != NULL; i++) {
        if (strchr(tag, '=') == NULL || tag[0] == '=') {
            return dri_cli_usage(cli, "--tag has to be KEY=VALUE, as region=eu, not \"%s\"", tag);
        }
    }
    const char *canary = dri_cli_value(cli, "canary");
    if (canary != NULL && parse_share(canary) == 0) {
        return dri_cli_usage(cli, "--canary is a share of 1 to 99 per cent, as 5%%, not \"%s\"",
                             canary);
    }
    if (canary != NULL && dri_cli_has(cli, "weight")) {
        return dri_cli_usage(cli, "--canary and --weight exclude each other");
    }
    return dri_cli_uint(cli, "weight", 1, 100, &weight) ? check_policy(cli) : DRI_EXIT_USAGE;
}

static int put_check(const struct dri_cli *cli)
{
    static const char *const others[] = {"module", "handler", "ns",    "tag",
                                         "weight", "canary",  "policy"};
    struct dri_registry_edit edit = {.cli = cli};
    int code = dri_registry_edit_options(&edit);
    if (code != DRI_EXIT_OK || !dri_cli_has(cli, "file")) {
        return code == DRI_EXIT_OK ? check_route(cli) : code;
    }
    if (cli->arguments_count > 0) {
        return dri_cli_usage(cli, "-f and \"%s\" exclude each other", cli->arguments[0]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (dri_cli_has(cli, others[i])) {
            return dri_cli_usage(cli, "--%s does not go with -f", others[i]);
        }
    }
    return DRI_EXIT_OK;
}

static int load(struct put *put)
{
    const struct dri_cli *cli = put->cli;
    const char *file = dri_cli_value(cli, "file");
    char text[TEXT_BYTES] = "";
    if (file == NULL) {
        return route_of_arguments(put);
    }
    if (dri_routes_load(file, &put->routes, text, sizeof(text)) != DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", text);
    }
    for (size_t i = 0; i < put->routes.warnings_count; i++) {
        warn(NULL, put->routes.warnings[i]);
    }
    return DRI_EXIT_OK;
}

static int check(struct put *put, struct dri_change_item *items)
{
    const char *file = dri_cli_value(put->cli, "file");
    for (size_t i = 0; i < put->routes.count; i++) {
        int code = dri_registry_route_check(put->cli, file, put->routes.items[i], &put->keys[i]);
        if (code != DRI_EXIT_OK) {
            return code;
        }
        items[i] = (struct dri_change_item){.key = dray_slice_text(put->keys[i].text),
                                            .route = put->routes.items[i]};
        for (size_t k = 0; k < i; k++) {
            if (strcmp(put->keys[k].text, put->keys[i].text) == 0) {
                return dri_cli_fail(put->cli, DRI_EXIT_FAILED, "%s stands there twice",
                                    put->keys[i].text);
            }
        }
    }
    return DRI_EXIT_OK;
}

static int put_run(struct dri_cli *cli)
{
    struct put put = {.cli = cli};
    struct dri_registry_edit edit = {.cli = cli};
    int code = dri_registry_edit_options(&edit);
    if (code == DRI_EXIT_OK) {
        code = load(&put);
    }
    if (code == DRI_EXIT_OK) {
        edit.count = put.routes.count;
        edit.items = dri_zalloc_array(edit.count, sizeof(*edit.items));
        put.keys = dri_zalloc_array(edit.count, sizeof(*put.keys));
        code = edit.items == NULL || put.keys == NULL
                   ? dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory")
                   : check(&put, edit.items);
    }
    if (code == DRI_EXIT_OK) {
        code = dri_registry_edit_run(&edit);
    }
    dri_free(edit.items);
    dri_free(put.keys);
    dri_routes_fini(&put.routes);
    return code;
}

static const struct dri_cli_option options[] = {
    {.name = "file",
     .letter = 'f',
     .argument = "FILE",
     .help = "YAML with one route or a list of routes, as `routes:` of a configuration."},
    {.name = "module", .argument = "M", .help = "File in the module folder, as orders.so."},
    {.name = "handler", .argument = "H", .help = "Handler within the module."},
    {.name = "ns", .argument = "N", .help = "Namespace; default: that of the configuration."},
    {.name = "tag",
     .argument = "K=V",
     .help = "Only commands with this tag, as region=eu.",
     .is_repeatable = true},
    {.name = "weight", .argument = "N", .help = "Canary: its share in per cent, 1 to 100."},
    {.name = "canary",
     .argument = "SHARE",
     .help = "A share likewise, and the new version is judged by its calls: promoted or paused by "
             "itself."},
    {.name = "policy",
     .argument = "JSON",
     .help = "How it is run: {\"timeout_ms\":3000,\"attempts\":4}."},
    {.name = "base",
     .argument = "REV",
     .help = "Only if this is still the revision of the route; default: the present one."},
    {.name = "create", .help = "Only if the route is not there."},
    DRI_REGISTRY_ON_CONFLICT_OPTION,
    DRI_REGISTRY_FORCE_OPTION,
    DRI_REGISTRY_WAIT_OPTION,
    DRI_REGISTRY_NOTE_OPTION,
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"A new version, and wait until all replicas run it",
     "dray registry put order.create@1.1.0 --module orders.so --handler order_create -c "
     "worker.yaml --wait"},
    {"All routes of a file, or none of them", "dray registry put -f routes.yaml -c worker.yaml"},
    {"A tenth of the commands to the new version",
     "dray registry put order.create@2.0.0 --module orders.so --handler order_create --weight 10 "
     "-c worker.yaml"},
    {"A new version on trial: it takes all, or it is paused, by itself",
     "dray registry put order.create@2.0.0 --module orders.so --handler order_create --canary 5% "
     "-c worker.yaml"},
    {"Only if nobody has changed it since we looked",
     "dray registry put -f route.yaml --base 17 --note 'longer time-out' -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_put_command = {
    .name = "registry put",
    .summary = "put routes into the registry, on all replicas",
    .usage = "(-f FILE | NAME@VERSION --module M --handler H) [--base REV | --create | --force] "
             "[--on-conflict RULE] [--wait[=SECONDS]] [--note TEXT]",
    .about =
        "Writes one change to the control topic: all of its routes, or none. Every replica applies "
        "it live, in the same order. Without --base the present revision is read first, so a "
        "change that somebody else makes meanwhile is a conflict. Then --on-conflict says what to "
        "do: "
        "`refuse`; `override_warn`: write over it, and say whom; or `merge`: put both changes into "
        "the route, unless both have changed the same key.\n\n"
        "Prints {\"key\",\"revision\"} for each route, with \"over\" or \"merged\", the other's "
        "revision, after a conflict. When it gives up it prints both sides.\n\n"
        "Exit code 1: a conflict, a refused route, or with --wait a replica that cannot run it. "
        "75: no answer in time, or with --wait a replica that has not applied it yet.",
    .options = options,
    .examples = examples,
    .needs_settings = true,
    .check = put_check,
    .run = put_run,
};
