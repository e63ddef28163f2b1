/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* config.c - settings from defaults, file, environment and command line.
 *
 * Every source goes through dri_config_put, which checks the value at once: a wrong value is an
 * error also where a later source overrides it. The winner is kept as text with its source, for
 * `dray doctor` and for what SIGHUP compares; the settings are made of the winners at the end.
 *
 * An environment variable is found by writing each known key as a name, never by guessing back:
 * that would not tell the dots of a path from its underscores. Below `kafka` the table is
 * librdkafka's, so there "_" means "."; it has no property with an underscore. The names below
 * `nats` have no dots.
 *
 * Both sections are judged whichever bus is in use, by the transports themselves: a typing error
 * must not wait for the day on which the bus is changed. Only in the environment a name that nobody
 * knows is a warning, as it is for all of DRAY_: Kubernetes puts DRAY_NATS_SERVICE_HOST there by
 * itself when a service is called so.
 */
#include "config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "config_private.h"
#include "mem.h"
#include "nearest.h"
#include "transport/transport.h"

#define REVOKE_SLACK_MS 1000u
#define NAME_BYTES      256u
#define TOPIC_BYTES     512u

/* ---- values ---- */

static void entry_fini(struct dri_config_entry *entry)
{
    dri_free(entry->key);
    dri_free(entry->text);
    dri_free(entry->source);
    *entry = (struct dri_config_entry){.key = NULL};
}

/* Replaces what the entry holds; source NULL: default. */
static enum dray_status entry_set(struct dri_config_entry *entry, const char *text,
                                  enum dri_origin origin, const char *source)
{
    DRI_ASSERT(entry != NULL);
    char *text_copy = dri_strdup(text);
    char *source_copy = source == NULL ? NULL : dri_strdup(source);
    if (text_copy == NULL || (source != NULL && source_copy == NULL)) {
        dri_free(text_copy);
        dri_free(source_copy);
        return DRAY_ENOMEM;
    }
    dri_free(entry->text);
    dri_free(entry->source);
    entry->text = text_copy;
    entry->source = source_copy;
    entry->origin = origin;
    return DRAY_OK;
}

static enum dray_status option_entry(struct dri_config *config, const char *key,
                                     struct dri_config_entry **ret_entry)
{
    for (size_t i = 0; i < config->options_count; i++) {
        if (strcmp(config->options[i].key, key) == 0) {
            *ret_entry = &config->options[i];
            return DRAY_OK;
        }
    }
    if (config->options_count == config->options_capacity) {
        size_t capacity = config->options_capacity == 0 ? 16 : 2 * config->options_capacity;
        struct dri_config_entry *more = dri_zalloc_array(capacity, sizeof(*more));
        if (more == NULL) {
            return DRAY_ENOMEM;
        }
        for (size_t i = 0; i < config->options_count; i++) {
            more[i] = config->options[i];
        }
        dri_free(config->options);
        config->options = more;
        config->options_capacity = capacity;
    }
    struct dri_config_entry *entry = &config->options[config->options_count];
    entry->key = dri_strdup(key);
    if (entry->key == NULL) {
        return DRAY_ENOMEM;
    }
    config->options_count++;
    *ret_entry = entry;
    return DRAY_OK;
}

static bool is_option(const char *key)
{
    return (strncmp(key, "kafka.", 6) == 0 && key[6] != '\0') ||
           (strncmp(key, "nats.", 5) == 0 && key[5] != '\0');
}

static enum dray_status row_check(const struct dri_config_row *row,
                                  const struct dri_config_input *input, char *ret_text,
                                  size_t text_bytes)
{
    struct dri_settings scratch;
    char what[320] = "";
    enum dray_status status = dri_config_store(row, input->text, &scratch, what, sizeof(what));
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s: %s %s", input->source, row->key, what);
    }
    return status;
}

/* ENOTFOUND: the client library has none of this name. */
static enum dray_status option_check(const struct dri_config_input *input, char *ret_text,
                                     size_t text_bytes)
{
    char scheme[NAME_BYTES];
    char what[512] = "";
    const char *dot = strchr(input->key, '.');
    snprintf(scheme, sizeof(scheme), "%.*s", (int)(dot - input->key), input->key);
    const struct dri_option option = {.name = dot + 1, .value = input->text};
    enum dray_status status = dri_transport_check_option(scheme, &option, what, sizeof(what));
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s: %s", input->source,
                 what[0] == '\0' ? dray_status_text(status) : what);
    }
    return status;
}

enum dray_status dri_config_put(struct dri_config *config, const struct dri_config_input *input,
                                char *ret_text, size_t text_bytes)
{
    size_t row = dri_config_find(input->key);
    struct dri_config_entry *entry = NULL;
    enum dray_status status = DRAY_OK;
    if (row < dri_config_rows_count) {
        entry = &config->rows[row];
        status = row_check(&dri_config_rows[row], input, ret_text, text_bytes);
    } else if (is_option(input->key)) {
        status = option_check(input, ret_text, text_bytes);
        status = status == DRAY_ENOTFOUND ? DRAY_EINVALID : status;
        if (status == DRAY_OK) {
            status = option_entry(config, input->key, &entry);
        }
    } else if (dri_config_is_section(input->key)) {
        snprintf(ret_text, text_bytes, "%s: \"%s\" is a section: give a key below it, as %s",
                 input->source, input->key,
                 strcmp(input->key, "kafka") == 0 ? "kafka.linger.ms=5" : "worker.lanes=4");
        status = DRAY_EINVALID;
    } else {
        status = dri_config_unknown(input->source, input->key, false, ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        return status;
    }
    if (input->origin == DRI_ORIGIN_FILE && entry->origin == DRI_ORIGIN_FILE) {
        snprintf(ret_text, text_bytes, "%s: \"%s\" stands there twice, first at %s", input->source,
                 input->key, entry->source);
        return DRAY_EINVALID;
    }
    return entry_set(entry, input->text, input->origin, input->source);
}

enum dray_status dri_config_warn(struct dri_config *config, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char **more = dri_zalloc_array(config->warnings_count + 1, sizeof(*more));
    char *copy = dri_strdup(text);
    if (more == NULL || copy == NULL) {
        dri_free(more);
        dri_free(copy);
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < config->warnings_count; i++) {
        more[i] = config->warnings[i];
    }
    more[config->warnings_count] = copy;
    dri_free(config->warnings);
    config->warnings = more;
    config->warnings_count++;
    return DRAY_OK;
}

/* ---- environment ---- */

/* "worker.max_in_flight" becomes "DRAY_WORKER_MAX_IN_FLIGHT". */
static void environment_name(const char *key, char *ret_name, size_t name_bytes)
{
    size_t len = (size_t)snprintf(ret_name, name_bytes, "DRAY_%s", key);
    for (size_t i = 0; i < len && i < name_bytes; i++) {
        ret_name[i] = ret_name[i] == '.' ? '_' : (char)toupper((unsigned char)ret_name[i]);
    }
}

/* Of our own tools and tests, no settings. */
static bool is_helper(const char *name)
{
    static const char *const helpers[] = {"DRAY_CONFIG",     "DRAY_PROBE_LOG", "DRAY_AUDIT_LOG",
                                          "DRAY_CRASH_AT",   "DRAY_STOP_AT",   "DRAY_HANG_AT",
                                          "DRAY_NATS_SERVER"};
    for (size_t i = 0; i < DRI_ARRAY_LEN(helpers); i++) {
        if (strcmp(name, helpers[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "DRAY_TEST_", 10) == 0 || strncmp(name, "DRAY_RUN_", 9) == 0;
}

/* The key that a variable means, or false. */
static bool key_of(const char *name, char *ret_key, size_t key_bytes)
{
    for (size_t i = 0; i < dri_config_rows_count; i++) {
        char known[NAME_BYTES];
        environment_name(dri_config_rows[i].key, known, sizeof(known));
        if (strcmp(known, name) == 0) {
            snprintf(ret_key, key_bytes, "%s", dri_config_rows[i].key);
            return true;
        }
    }
    bool is_kafka = strncmp(name, "DRAY_KAFKA_", 11) == 0;
    if (!is_kafka && strncmp(name, "DRAY_NATS_", 10) != 0) {
        return false;
    }
    const char *rest = name + (is_kafka ? 11 : 10);
    snprintf(ret_key, key_bytes, "%s%s", is_kafka ? "kafka." : "nats.", rest);
    for (char *at = ret_key; *at != '\0'; at++) {
        *at = is_kafka && *at == '_' ? '.' : (char)tolower((unsigned char)*at);
    }
    return rest[0] != '\0';
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static enum dray_status warn_variable(struct dri_config *config, const char *name)
{
    struct dri_nearest nearest;
    char best[NAME_BYTES] = "";
    bool is_tail = false;
    dri_nearest_init(&nearest, name);
    for (size_t i = 0; !is_tail && i < dri_config_rows_count; i++) {
        char known[NAME_BYTES];
        environment_name(dri_config_rows[i].key, known, sizeof(known));
        size_t before = nearest.edits;
        dri_nearest_show(&nearest, known);
        /* DRAY_LANES: only the section is missing. */
        is_tail = ends_with(known, name + 4);
        if (nearest.edits < before || is_tail) {
            snprintf(best, sizeof(best), "%s", known);
        }
    }
    bool is_near = is_tail || dri_is_slip(name + 5, nearest.edits);
    return dri_config_warn(config, "environment: %s is no setting and ignored%s%s%s", name,
                           is_near ? "; did you mean " : "", is_near ? best : "",
                           is_near ? "?" : "");
}

static enum dray_status read_variable(struct dri_config *config, const char *variable,
                                      char *ret_text, size_t text_bytes)
{
    const char *equals = strchr(variable, '=');
    char name[NAME_BYTES];
    char key[NAME_BYTES];
    char source[NAME_BYTES + 16];
    if (equals == NULL || strncmp(variable, "DRAY_", 5) != 0 || equals[1] == '\0' ||
        (size_t)(equals - variable) >= sizeof(name)) {
        return DRAY_OK; /* empty means not set */
    }
    memcpy(name, variable, (size_t)(equals - variable));
    name[equals - variable] = '\0';
    if (is_helper(name)) {
        return DRAY_OK;
    }
    if (!key_of(name, key, sizeof(key))) {
        return warn_variable(config, name);
    }
    snprintf(source, sizeof(source), "environment %s", name);
    struct dri_config_input input = {
        .key = key, .text = equals + 1, .source = source, .origin = DRI_ORIGIN_ENVIRONMENT};
    if (is_option(key) && option_check(&input, ret_text, text_bytes) == DRAY_ENOTFOUND) {
        return dri_config_warn(config, "%s (ignored)", ret_text);
    }
    return dri_config_put(config, &input, ret_text, text_bytes);
}

/* ---- command line ---- */

static enum dray_status read_set(struct dri_config *config, const char *set, char *ret_text,
                                 size_t text_bytes)
{
    const char *equals = strchr(set, '=');
    char key[NAME_BYTES];
    if (equals == NULL || equals == set || (size_t)(equals - set) >= sizeof(key)) {
        snprintf(ret_text, text_bytes, "--set %s: has to be key=value, as worker.lanes=4", set);
        return DRAY_EINVALID;
    }
    memcpy(key, set, (size_t)(equals - set));
    key[equals - set] = '\0';
    struct dri_config_input input = {
        .key = key, .text = equals + 1, .source = "--set", .origin = DRI_ORIGIN_OPTION};
    return dri_config_put(config, &input, ret_text, text_bytes);
}

static enum dray_status read_shortcuts(struct dri_config *config,
                                       const struct dri_config_request *request, char *ret_text,
                                       size_t text_bytes)
{
    const struct dri_config_input inputs[] = {
        {"bus", request->bus, "--bus", DRI_ORIGIN_OPTION},
        {"topics.commands", request->topic, "--topic", DRI_ORIGIN_OPTION},
        {"group", request->group, "--group", DRI_ORIGIN_OPTION},
    };
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < DRI_ARRAY_LEN(inputs); i++) {
        if (inputs[i].text != NULL) {
            status = dri_config_put(config, &inputs[i], ret_text, text_bytes);
        }
    }
    return status;
}

/* ---- all together ---- */

static enum dray_status put_defaults(struct dri_config *config)
{
    config->rows = dri_zalloc_array(dri_config_rows_count, sizeof(*config->rows));
    enum dray_status status = config->rows == NULL ? DRAY_ENOMEM : DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < dri_config_rows_count; i++) {
        if (dri_config_rows[i].standard != NULL) {
            status =
                entry_set(&config->rows[i], dri_config_rows[i].standard, DRI_ORIGIN_DEFAULT, NULL);
        }
    }
    return status;
}

static enum dray_status read_all(struct dri_config *config,
                                 const struct dri_config_request *request, char *ret_text,
                                 size_t text_bytes)
{
    enum dray_status status = put_defaults(config);
    if (status == DRAY_OK && request->file != NULL) {
        status = dri_config_read_file(config, request->file, ret_text, text_bytes);
    }
    for (size_t i = 0;
         status == DRAY_OK && request->environment != NULL && request->environment[i] != NULL;
         i++) {
        status = read_variable(config, request->environment[i], ret_text, text_bytes);
    }
    for (size_t i = 0; status == DRAY_OK && i < request->sets_count; i++) {
        status = read_set(config, request->sets[i], ret_text, text_bytes);
    }
    return status == DRAY_OK ? read_shortcuts(config, request, ret_text, text_bytes) : status;
}

static enum dray_status derive_topics(struct dri_config *config, struct dri_settings *settings)
{
    struct dri_config_entry *entry = &config->rows[dri_config_find("topics.dead_letters")];
    char topic[TOPIC_BYTES];
    enum dray_status status = DRAY_OK;
    if (entry->text == NULL) {
        snprintf(topic, sizeof(topic), "dlq.%s.%s", settings->group, settings->topics.commands);
        status = entry_set(entry, topic, DRI_ORIGIN_DERIVED, "derived");
        settings->topics.dead_letters = entry->text;
    }
    const char *const families[] = {"replay", "park", "window", "ticks"};
    char **const owners[] = {&config->replay, &config->park, &config->window, &config->ticks};
    for (size_t i = 0; status == DRAY_OK && i < DRI_ARRAY_LEN(families); i++) {
        snprintf(topic, sizeof(topic), "%s.%s.%s", families[i], settings->group,
                 settings->topics.commands);
        *owners[i] = dri_strdup(topic);
        status = *owners[i] == NULL ? DRAY_ENOMEM : DRAY_OK;
    }
    for (uint32_t i = 0; status == DRAY_OK && i < DRI_DELAY_LEVELS; i++) {
        snprintf(topic, sizeof(topic), "delay.%s.%s.%s", dri_delay_level_name(i), settings->group,
                 settings->topics.commands);
        config->delay[i] = dri_strdup(topic);
        settings->topics.delay[i] = config->delay[i];
        status = config->delay[i] == NULL ? DRAY_ENOMEM : DRAY_OK;
    }
    settings->topics.replay = config->replay;
    settings->topics.park = config->park;
    settings->topics.window = config->window;
    settings->topics.ticks = config->ticks;
    return status;
}

/* Only what is for the bus in use goes to its client library. */
static enum dray_status pass_options(struct dri_config *config, struct dri_settings *settings)
{
    bool is_kafka = settings->bus != NULL && strncmp(settings->bus, "kafka:", 6) == 0;
    const char *prefix = is_kafka ? "kafka." : "nats.";
    if (config->options_count == 0) {
        return DRAY_OK;
    }
    config->passed = dri_zalloc_array(config->options_count, sizeof(*config->passed));
    if (config->passed == NULL) {
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < config->options_count; i++) {
        const struct dri_config_entry *entry = &config->options[i];
        if (strncmp(entry->key, prefix, strlen(prefix)) == 0) {
            config->passed[config->passed_count++] =
                (struct dri_option){.name = entry->key + strlen(prefix), .value = entry->text};
        }
    }
    settings->options = config->passed;
    settings->options_count = config->passed_count;
    return DRAY_OK;
}

static enum dray_status check_delivery(const struct dri_settings *settings, char *ret_text,
                                       size_t text_bytes)
{
    if (dri_settings_is_exactly_once(settings) && settings->worker.window_ms != 0) {
        snprintf(ret_text, text_bytes,
                 "worker.window_ms is not possible with worker.delivery exactly_once: a duplicate "
                 "would be answered with an end that its transaction may still throw away. Set "
                 "worker.window_ms: 0, or at_least_once");
        return DRAY_EINVALID;
    }
    if (!dri_settings_is_exactly_once(settings) || settings->bus == NULL ||
        strncmp(settings->bus, "kafka:", 6) == 0) {
        return DRAY_OK;
    }
    snprintf(
        ret_text, text_bytes,
        "worker.delivery exactly_once is not possible on NATS: JetStream cannot store a result "
        "and acknowledge its command in one step. Use at_least_once: there a repeated result "
        "within the stream's duplicate window is swallowed");
    return DRAY_EINVALID;
}

/* A revocation waits for what runs and then for its last settle, revoke_ms each. Whoever takes
 * longer than the group's patience is thrown out and comes again, which takes the others'
 * partitions away: a command that runs for long enough would never come to its end. */
static bool has_patience_to_revoke(const struct dri_settings *settings)
{
    for (size_t i = 0; i < settings->options_count; i++) {
        if (strcmp(settings->options[i].name, "max.poll.interval.ms") == 0 &&
            strtoull(settings->options[i].value, NULL, 10) <
                2 * (uint64_t)settings->worker.revoke_ms + REVOKE_SLACK_MS) {
            return false;
        }
    }
    return true;
}

static enum dray_status check_together(const struct dri_settings *settings, bool needs_bus,
                                       char *ret_text, size_t text_bytes)
{
    if (needs_bus && settings->bus == NULL) {
        snprintf(ret_text, text_bytes,
                 "no bus is given: use --bus nats://host:port (or kafka://host:port), DRAY_BUS, or "
                 "`bus:` in a file given with -c");
        return DRAY_EINVALID;
    }
    if (settings->worker.max_bytes < settings->worker.message_bytes) {
        snprintf(ret_text, text_bytes,
                 "worker.max_bytes is less than worker.message_bytes: one large command would not "
                 "fit");
        return DRAY_EINVALID;
    }
    if (!has_patience_to_revoke(settings)) {
        snprintf(
            ret_text, text_bytes,
            "kafka.max.poll.interval.ms is less than twice worker.revoke_ms (%u) and a second: "
            "the group would give up on a worker that lets go of a partition",
            settings->worker.revoke_ms);
        return DRAY_EINVALID;
    }
    if (settings->worker.delay_after_ms != 0 &&
        settings->worker.delay_after_ms < DRI_DELAY_LEAST_MS) {
        snprintf(ret_text, text_bytes,
                 "worker.delay_after_ms is less than %u: no delay log brings a command back sooner",
                 DRI_DELAY_LEAST_MS);
        return DRAY_EINVALID;
    }
    if (settings->control.require_signature == DRI_REQUIRE_TRUE &&
        settings->control.signers == NULL) {
        snprintf(ret_text, text_bytes,
                 "control.require_signature is true and there are no control.signers: no change "
                 "could ever be accepted. Name them (dray keys new makes a key)");
        return DRAY_EINVALID;
    }
    return check_delivery(settings, ret_text, text_bytes);
}

/* What is said of signing where nobody has to sign: something was forgotten. */
static enum dray_status tell_idle(struct dri_config *config, const struct dri_settings *settings)
{
    const struct {
        const char *key;
        bool is_idle;
    } rows[] = {
        {"control.key_file", settings->control.key_file != NULL},
        {"control.signed_from", settings->control.signed_from > 1},
        {"control.require_signature", settings->control.require_signature == DRI_REQUIRE_FALSE},
    };
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; i < DRI_ARRAY_LEN(rows) && settings->control.signers == NULL; i++) {
        if (status == DRAY_OK && rows[i].is_idle) {
            status = dri_config_warn(config,
                                     "%s is set and there are no control.signers: no signature is "
                                     "looked at here",
                                     rows[i].key);
        }
    }
    return status;
}

static enum dray_status fill(struct dri_config *config, bool needs_bus,
                             struct dri_settings *settings, char *ret_text, size_t text_bytes)
{
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < dri_config_rows_count; i++) {
        if (config->rows[i].text != NULL) {
            status = dri_config_store(&dri_config_rows[i], config->rows[i].text, settings, ret_text,
                                      text_bytes);
        }
    }
    if (status == DRAY_OK) {
        status = derive_topics(config, settings);
    }
    if (status == DRAY_OK) {
        status = pass_options(config, settings);
    }
    if (dri_settings_is_exactly_once(settings) &&
        settings->worker.max_unacked > DRI_EXACTLY_ONCE_UNACKED_MAX) {
        settings->worker.max_unacked = DRI_EXACTLY_ONCE_UNACKED_MAX;
    }
    settings->routes = config->routes.items;
    settings->routes_count = config->routes.count;
    if (status == DRAY_OK) {
        status = tell_idle(config, settings);
    }
    return status == DRAY_OK ? check_together(settings, needs_bus, ret_text, text_bytes) : status;
}

enum dray_status dri_config_load(const struct dri_config_request *request,
                                 struct dri_config **ret_config, struct dri_settings *ret_settings,
                                 char *ret_text, size_t text_bytes)
{
    struct dri_settings settings = {.bus = NULL};
    struct dri_config *config = dri_zalloc(sizeof(*config));
    enum dray_status status =
        config == NULL ? DRAY_ENOMEM : read_all(config, request, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = fill(config, request->needs_bus, &settings, ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        if (status == DRAY_ENOMEM) {
            snprintf(ret_text, text_bytes, "%s", dray_status_text(status));
        }
        dri_config_destroy(config);
        return status;
    }
    *ret_config = config;
    *ret_settings = settings;
    return DRAY_OK;
}

void dri_config_destroy(struct dri_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; config->rows != NULL && i < dri_config_rows_count; i++) {
        entry_fini(&config->rows[i]);
    }
    for (size_t i = 0; i < config->options_count; i++) {
        entry_fini(&config->options[i]);
    }
    for (size_t i = 0; i < config->warnings_count; i++) {
        dri_free(config->warnings[i]);
    }
    dri_routes_fini(&config->routes);
    dri_free(config->rows);
    dri_free(config->options);
    dri_free(config->passed);
    dri_free(config->warnings);
    dri_free(config->replay);
    dri_free(config->park);
    dri_free(config->ticks);
    for (uint32_t i = 0; i < DRI_DELAY_LEVELS; i++) {
        dri_free(config->delay[i]);
    }
    dri_free(config->window);
    dri_free(config);
}

/* ---- what others ask ---- */

const char *dri_config_warning(const struct dri_config *config, size_t n)
{
    if (n < config->warnings_count) {
        return config->warnings[n];
    }
    n -= config->warnings_count;
    return n < config->routes.warnings_count ? config->routes.warnings[n] : NULL;
}

static bool is_secret(const char *key)
{
    static const char *const words[] = {"password", "secret", "token", "passphrase", "key.pem"};
    for (size_t i = 0; i < DRI_ARRAY_LEN(words); i++) {
        if (strstr(key, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

bool dri_config_value(const struct dri_config *config, size_t n, struct dri_config_value *ret_value)
{
    bool is_row = n < dri_config_rows_count;
    if (!is_row && n - dri_config_rows_count >= config->options_count) {
        return false;
    }
    const struct dri_config_entry *entry =
        is_row ? &config->rows[n] : &config->options[n - dri_config_rows_count];
    const char *key = is_row ? dri_config_rows[n].key : entry->key;
    *ret_value = (struct dri_config_value){
        .key = key,
        .text = entry->text != NULL && is_secret(key) ? "***" : entry->text,
        .source = entry->source == NULL ? "default" : entry->source,
        .is_default = entry->origin == DRI_ORIGIN_DEFAULT || entry->origin == DRI_ORIGIN_DERIVED,
    };
    return true;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const char *option_of(const struct dri_config *config, const char *key)
{
    for (size_t i = 0; i < config->options_count; i++) {
        if (strcmp(config->options[i].key, key) == 0) {
            return config->options[i].text;
        }
    }
    return NULL;
}

static bool are_routes_same(const struct dri_routes *a, const struct dri_routes *b)
{
    bool is_equal = a->count == b->count;
    for (size_t i = 0; is_equal && i < a->count; i++) {
        is_equal = dray_slice_equal(a->items[i], b->items[i]);
    }
    return is_equal;
}

/* Both texts passed the check when they were read. */
static bool is_at_most(const struct dri_config_row *row, const char *text, const char *bound)
{
    struct dri_settings settings;
    char ret_text[160];
    uint32_t numbers[2] = {0, 0};
    const char *const texts[] = {text, bound};
    for (size_t i = 0; i < DRI_ARRAY_LEN(numbers); i++) {
        if (dri_config_store(row, texts[i], &settings, ret_text, sizeof(ret_text)) != DRAY_OK) {
            return false;
        }
        numbers[i] = *(const uint32_t *)(const void *)((const char *)&settings + row->at);
    }
    return numbers[0] <= numbers[1];
}

static bool is_row_applied(size_t n, const struct dri_config *start, const struct dri_config *after)
{
    const struct dri_config_row *row = &dri_config_rows[n];
    const char *text = after->rows[n].text;
    const char *bound = start->rows[n].text;
    DRI_ASSERT(row->reload != DRI_CONFIG_UP_TO_START || row->type == DRI_CONFIG_U32);
    return row->reload == DRI_CONFIG_APPLIED || is_same(bound, text) ||
           (row->reload == DRI_CONFIG_UP_TO_START && is_at_most(row, text, bound));
}

static void tell_option(const struct dri_config *start, const struct dri_config *after,
                        const char *key, dri_config_difference_fn *on_difference, void *arg)
{
    on_difference(arg, key, is_same(option_of(start, key), option_of(after, key)));
}

void dri_config_differences(const struct dri_config *start, const struct dri_config *before,
                            const struct dri_config *after, dri_config_difference_fn *on_difference,
                            void *arg)
{
    for (size_t i = 0; i < dri_config_rows_count; i++) {
        if (!is_same(before->rows[i].text, after->rows[i].text)) {
            on_difference(arg, dri_config_rows[i].key, is_row_applied(i, start, after));
        }
    }
    for (size_t i = 0; i < after->options_count; i++) {
        const char *key = after->options[i].key;
        if (!is_same(option_of(before, key), after->options[i].text)) {
            tell_option(start, after, key, on_difference, arg);
        }
    }
    for (size_t i = 0; i < before->options_count; i++) {
        if (option_of(after, before->options[i].key) == NULL) {
            tell_option(start, after, before->options[i].key, on_difference, arg);
        }
    }
    if (!are_routes_same(&before->routes, &after->routes)) {
        on_difference(arg, "routes", are_routes_same(&start->routes, &after->routes));
    }
}
