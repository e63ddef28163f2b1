/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "nats_tools.h"
#include "nearest.h"

/* The URL and the table of options: what may stand below `nats:` in the configuration. nats.c has
 * no properties by name as librdkafka has, so the names are ours, and what would break a guarantee
 * (reconnect buffers, ping timers of the library, verbose mode) simply is not among them. */

void dri_nats_say(char ret_text[DRI_NATS_TEXT_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_text, DRI_NATS_TEXT_BYTES, format, arguments);
    va_end(arguments);
}

enum option_type {
    TYPE_TEXT,
    TYPE_BOOL,
    TYPE_UINT,
    TYPE_RISK
};

struct option {
    const char *name;
    enum option_type type;
    size_t at;          /* in struct dri_nats_settings */
    uint32_t low, high; /* TYPE_UINT */
    uint32_t otherwise;
    const char *help; /* a line of docs/reference/nats-options.md, which a test compares */
};

#define FIELD(field) offsetof(struct dri_nats_settings, field)
#define TEXT(name, field, help)                                                                    \
    {                                                                                              \
        (name), TYPE_TEXT, FIELD(field), 0, 0, 0, (help)                                           \
    }
#define UINT(name, field, low, high, otherwise, help)                                              \
    {                                                                                              \
        (name), TYPE_UINT, FIELD(field), (low), (high), (otherwise), (help)                        \
    }

static const struct option options[] = {
    TEXT("user", user, "User name; better here than in the URL."),
    TEXT("password", password, "Its password."),
    TEXT("token", token, "A token instead of user and password."),
    TEXT("creds", creds, "File with JWT and seed, as `nsc` writes it."),
    TEXT("nkey", nkey, "File with an NKey seed (`SU...`); the public key is made from it."),
    {"tls", TYPE_BOOL, FIELD(is_tls), 0, 0, 0,
     "Encrypt, and verify the server. Any `tls_` file below switches it on too."},
    TEXT("tls_ca", tls_ca, "File with the certificates of the authorities; default: the system's."),
    TEXT("tls_cert", tls_cert, "File with our certificate chain, for servers that ask for one."),
    TEXT("tls_key", tls_key, "File with its key."),
    TEXT("tls_hostname", tls_hostname,
         "Name that the server's certificate must have; default: the "
         "host of the URL."),
    TEXT("tls_ciphers", tls_ciphers,
         "Ciphers of TLS 1.2, as OpenSSL lists them; default: its own."),
    TEXT("tls_ciphersuites", tls_ciphersuites,
         "Cipher suites of TLS 1.3, as OpenSSL lists them; default: its own."),
    {"tls_on_old_client", TYPE_RISK, FIELD(is_tls_risk_accepted), 0, 0, 0,
     "TLS with a nats.c before 3.11 is refused unless this is `accept-risk`."},
    TEXT("name", name, "Name of the connection, for the server's lists; default: the worker id."),
    TEXT("inbox_prefix", inbox_prefix, "Prefix of our own reply subjects; default: `_INBOX`."),
    TEXT("domain", domain, "JetStream domain, for leaf nodes."),
    UINT("connect_timeout_ms", connect_timeout_ms, 100, 60000, 2000, "For one try to connect."),
    UINT("ping_interval_ms", ping_interval_ms, 500, 600000, 10000,
         "A server that is silent for this long is asked; silent for twice as long, it is lost."),
    UINT("publish_timeout_ms", publish_timeout_ms, 100, 600000, 5000,
         "A publish that is not acknowledged by then is sent again, under the same `Nats-Msg-Id`."),
    UINT("api_timeout_ms", api_timeout_ms, 100, 60000, 5000,
         "For one request to the JetStream API."),
    UINT("ack_wait_ms", ack_wait_ms, 100, 3600000, 30000,
         "Of a consumer that is created: when a delivery that nobody renews goes to another."),
    UINT("pull_batch", pull_batch, 1, 10000, 1000,
         "Messages asked for ahead; never more than `worker.max_in_flight`."),
    UINT("pull_expires_ms", pull_expires_ms, 1000, 60000, 5000, "How long one such request waits."),
    UINT("replicas", replicas, 1, 5, 1, "Of a stream that is created."),
    UINT("partitions", partitions, 0, 64, 0,
         "Above 1: commands go to `<commands>.p.<n>` by key, and one replica at a time reads each, "
         "so that a key's order holds across replicas. The same for producers and workers."),
    UINT("lease_ms", lease_ms, 1000, 600000, 15000,
         "After this time the partitions of a replica that died go to the others."),
};

#define OPTIONS_COUNT (sizeof(options) / sizeof(options[0]))

bool dri_nats_option_next(size_t *at, struct dri_nats_option_info *ret_info)
{
    if (*at >= OPTIONS_COUNT) {
        return false;
    }
    const struct option *option = &options[(*at)++];
    *ret_info = (struct dri_nats_option_info){option->name, "text", "", option->help};
    switch (option->type) {
    case TYPE_TEXT:
        break;
    case TYPE_BOOL:
        ret_info->type = "`true` or `false`";
        (void)snprintf(ret_info->otherwise, sizeof(ret_info->otherwise), "`false`");
        break;
    case TYPE_RISK:
        ret_info->type = "`accept-risk` or `refuse`";
        (void)snprintf(ret_info->otherwise, sizeof(ret_info->otherwise), "`refuse`");
        break;
    case TYPE_UINT:
        ret_info->type = "number";
        (void)snprintf(ret_info->otherwise, sizeof(ret_info->otherwise), "`%u`", option->otherwise);
        break;
    }
    return true;
}

static void *field_of(struct dri_nats_settings *settings, const struct option *option)
{
    return (char *)settings + option->at;
}

static enum dray_status unknown_option(const char *name, char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nearest nearest;
    dri_nearest_init(&nearest, name);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        dri_nearest_show(&nearest, options[i].name);
    }
    dri_nats_say(ret_text,
                 dri_nearest_is_near(&nearest)
                     ? "nats: unknown option \"%s\"; did you mean \"%s\"?"
                     : "nats: unknown option \"%s\"; the nearest known one is \"%s\"",
                 name, nearest.word);
    return DRAY_EINVALID;
}

static enum dray_status set_number(uint32_t *field, const struct option *option, const char *value,
                                   char ret_text[DRI_NATS_TEXT_BYTES])
{
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || number < option->low ||
        number > option->high) {
        dri_nats_say(ret_text, "nats: %s is a number from %u to %u, not \"%s\"", option->name,
                     option->low, option->high, value);
        return DRAY_EINVALID;
    }
    *field = (uint32_t)number;
    return DRAY_OK;
}

static enum dray_status set_flag(bool *field, const struct option *option, const char *value,
                                 char ret_text[DRI_NATS_TEXT_BYTES])
{
    const char *yes = option->type == TYPE_RISK ? "accept-risk" : "true";
    const char *no = option->type == TYPE_RISK ? "refuse" : "false";
    if (strcmp(value, yes) != 0 && strcmp(value, no) != 0) {
        dri_nats_say(ret_text, "nats: %s is %s or %s, not \"%s\"", option->name, yes, no, value);
        return DRAY_EINVALID;
    }
    *field = strcmp(value, yes) == 0;
    return DRAY_OK;
}

static enum dray_status set_text(char **field, const char *value)
{
    char *copy = dri_strdup(value);
    if (copy == NULL) {
        return DRAY_ENOMEM;
    }
    dri_free(*field);
    *field = copy;
    return DRAY_OK;
}

static enum dray_status set_option(struct dri_nats_settings *settings, const char *name,
                                   const char *value, char ret_text[DRI_NATS_TEXT_BYTES])
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options[i];
        if (strcmp(option->name, name) != 0) {
            continue;
        }
        void *field = field_of(settings, option);
        switch (option->type) {
        case TYPE_TEXT:
            return set_text(field, value);
        case TYPE_UINT:
            return set_number(field, option, value, ret_text);
        case TYPE_BOOL:
        case TYPE_RISK:
            return set_flag(field, option, value, ret_text);
        }
    }
    return unknown_option(name, ret_text);
}

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    letter = (char)(letter | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/** Percent-decodes in place. */
static void decode_percent(char *text)
{
    char *put = text;
    for (; *text != '\0'; text++) {
        int high = text[0] == '%' ? hex_digit(text[1]) : -1;
        int low = high >= 0 ? hex_digit(text[2]) : -1;
        if (low > 0 || (low == 0 && high > 0)) {
            *put++ = (char)(high << 4 | low);
            text += 2;
        } else {
            *put++ = *text;
        }
    }
    *put = '\0';
}

/** "user:password" or "token", in place. */
static enum dray_status take_userinfo(struct dri_nats_settings *settings, char *info)
{
    char *colon = strchr(info, ':');
    if (colon == NULL) {
        decode_percent(info);
        return set_text(&settings->token, info);
    }
    *colon = '\0';
    decode_percent(info);
    decode_percent(colon + 1);
    enum dray_status status = set_text(&settings->user, info);
    return status != DRAY_OK ? status : set_text(&settings->password, colon + 1);
}

/** "host", "host:port", "[v6]:port", in place. */
static bool take_host(struct dri_nats_settings *settings, char *text)
{
    struct dri_nats_server *server = &settings->servers[settings->servers_count];
    char *port = NULL;
    if (text[0] == '[') {
        char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
            return false;
        }
        port = close[1] == ':' ? close + 2 : NULL;
        *close = '\0';
        text++;
    } else {
        char *colon = strchr(text, ':');
        if (colon != NULL) {
            *colon = '\0';
            port = colon + 1;
        }
    }
    unsigned long number = 4222;
    if (port != NULL) {
        char *end = NULL;
        number = strtoul(port, &end, 10);
        if (end == port || *end != '\0') {
            return false;
        }
    }
    if (text[0] == '\0' || strlen(text) >= sizeof(server->host) || number == 0 || number > 65535) {
        return false;
    }
    memcpy(server->host, text, strlen(text) + 1);
    server->port = (uint16_t)number;
    settings->servers_count++;
    return true;
}

static enum dray_status take_server(struct dri_nats_settings *settings, char *text, const char *url,
                                    char ret_text[DRI_NATS_TEXT_BYTES])
{
    if (strncmp(text, "nats://", 7) == 0) {
        text += 7;
    }
    char *at = strrchr(text, '@');
    if (at != NULL) {
        *at = '\0';
        enum dray_status status = take_userinfo(settings, text);
        if (status != DRAY_OK) {
            return status;
        }
        text = at + 1;
    }
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '/') {
        text[len - 1] = '\0';
    }
    if (settings->servers_count == DRI_NATS_SERVERS_MAX || !take_host(settings, text)) {
        /* The URL may hold a password: say only where it ends. */
        const char *host = strrchr(url, '@');
        dri_nats_say(ret_text,
                     "bus: \"%s\" is no NATS address; it is nats://[user:password@]host:port"
                     "[,host:port], at most %u servers",
                     host == NULL ? url : host + 1, DRI_NATS_SERVERS_MAX);
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

static enum dray_status take_url(struct dri_nats_settings *settings, const char *url,
                                 char ret_text[DRI_NATS_TEXT_BYTES])
{
    char *copy = dri_strdup(url);
    if (copy == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = DRAY_OK;
    char *rest = copy;
    while (status == DRAY_OK && rest != NULL) {
        char *comma = strchr(rest, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        status = take_server(settings, rest, url, ret_text);
        rest = comma == NULL ? NULL : comma + 1;
    }
    dri_free(copy);
    return status;
}

static enum dray_status check_together(const struct dri_nats_settings *settings,
                                       char ret_text[DRI_NATS_TEXT_BYTES])
{
    int ways = (settings->user != NULL) + (settings->token != NULL) + (settings->creds != NULL) +
               (settings->nkey != NULL);
    const char *fault = NULL;
    if (ways > 1) {
        fault = "nats: give one of user, token, creds and nkey";
    } else if ((settings->tls_cert == NULL) != (settings->tls_key == NULL)) {
        fault = "nats: tls_cert and tls_key belong together";
    }
    if (fault == NULL) {
        return DRAY_OK;
    }
    dri_nats_say(ret_text, "%s", fault);
    return DRAY_EINVALID;
}

enum dray_status dri_nats_settings_init(struct dri_nats_settings *settings,
                                        const struct dri_transport_config *config,
                                        char ret_text[DRI_NATS_TEXT_BYTES])
{
    memset(settings, 0, sizeof(*settings));
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (options[i].type == TYPE_UINT) {
            *(uint32_t *)field_of(settings, &options[i]) = options[i].otherwise;
        }
    }
    enum dray_status status = take_url(settings, config->url, ret_text);
    for (size_t i = 0; status == DRAY_OK && i < config->options_count; i++) {
        status = set_option(settings, config->options[i].name, config->options[i].value, ret_text);
    }
    if (status == DRAY_OK && settings->name == NULL && config->client_id != NULL) {
        status = set_text(&settings->name, config->client_id);
    }
    if (settings->tls_ca != NULL || settings->tls_cert != NULL || settings->tls_hostname != NULL) {
        settings->is_tls = true;
    }
    if (status == DRAY_OK) {
        status = check_together(settings, ret_text);
    } else if (status == DRAY_ENOMEM) {
        dri_nats_say(ret_text, "nats: out of memory");
    }
    if (status != DRAY_OK) {
        dri_nats_settings_fini(settings);
    }
    return status;
}

void dri_nats_settings_fini(struct dri_nats_settings *settings)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (options[i].type == TYPE_TEXT) {
            char **field = field_of(settings, &options[i]);
            dri_free(*field);
            *field = NULL;
        }
    }
}

static bool is_known(const char *name)
{
    size_t i = 0;
    while (i < OPTIONS_COUNT && strcmp(options[i].name, name) != 0) {
        i++;
    }
    return i < OPTIONS_COUNT;
}

enum dray_status dri_nats_check_option(const struct dri_option *option, char *ret_text,
                                       size_t text_bytes)
{
    struct dri_nats_settings settings;
    char text[DRI_NATS_TEXT_BYTES] = "nats: out of memory";
    memset(&settings, 0, sizeof(settings));
    enum dray_status status = set_option(&settings, option->name, option->value, text);
    dri_nats_settings_fini(&settings);
    if (status != DRAY_OK) {
        (void)snprintf(ret_text, text_bytes, "%s", text);
    }
    return status == DRAY_OK || is_known(option->name) ? status : DRAY_ENOTFOUND;
}

enum dray_status dri_nats_check_config(const struct dri_transport_config *config, char *ret_text,
                                       size_t text_bytes)
{
    struct dri_nats_settings settings;
    char text[DRI_NATS_TEXT_BYTES] = "";
    enum dray_status status = dri_nats_settings_init(&settings, config, text);
    if (status != DRAY_OK) {
        (void)snprintf(ret_text, text_bytes, "%s", text);
        return status;
    }
    dri_nats_settings_fini(&settings);
    return DRAY_OK;
}
