/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "exposure.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_BYTES 256u

/* "user:password@host:port", "[::1]:4222" or "host" without what surrounds the host. */
static void host_of(const char *at, size_t len, char ret_host[HOST_BYTES])
{
    for (size_t i = len; i > 0; i--) {
        if (at[i - 1] == '@') {
            len -= i;
            at += i;
            break;
        }
    }
    bool is_bracketed = len > 0 && *at == '[';
    at += is_bracketed ? 1 : 0;
    len -= is_bracketed ? 1 : 0;
    size_t host_len = 0;
    while (host_len < len && at[host_len] != (is_bracketed ? ']' : ':')) {
        host_len++;
    }
    (void)snprintf(ret_host, HOST_BYTES, "%.*s", (int)host_len, at);
}

static bool is_this_machine(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

/* The first host of a comma list that is another machine; false: none. */
static bool find_far_host(const char *list, char ret_host[HOST_BYTES])
{
    while (*list != '\0') {
        size_t len = strcspn(list, ",/");
        host_of(list, len, ret_host);
        if (ret_host[0] != '\0' && !is_this_machine(ret_host)) {
            return true;
        }
        if (list[len] != ',') {
            return false;
        }
        list += len + 1;
    }
    return false;
}

static const char *option_of(const struct dri_settings *settings, const char *name)
{
    const char *value = "";
    for (size_t i = 0; i < settings->options_count; i++) {
        if (strcmp(settings->options[i].name, name) == 0) {
            value = settings->options[i].value;
        }
    }
    return value;
}

static bool is_encrypted_kafka(const struct dri_settings *settings)
{
    const char *protocol = option_of(settings, "security.protocol");
    return strcasecmp(protocol, "ssl") == 0 || strcasecmp(protocol, "sasl_ssl") == 0;
}

/* Any file of TLS switches it on, too. */
static bool is_encrypted_nats(const struct dri_settings *settings)
{
    return strcmp(option_of(settings, "tls"), "true") == 0 ||
           option_of(settings, "tls_ca")[0] != '\0' || option_of(settings, "tls_cert")[0] != '\0' ||
           option_of(settings, "tls_key")[0] != '\0';
}

bool dri_exposure_find(const struct dri_settings *settings, char *ret_text, size_t text_bytes)
{
    char host[HOST_BYTES];
    const char *hosts = strstr(settings->bus, "://");
    bool is_kafka = strncasecmp(settings->bus, "kafka://", 8) == 0;
    if (hosts == NULL || !find_far_host(hosts + 3, host) ||
        (is_kafka ? is_encrypted_kafka(settings) : is_encrypted_nats(settings))) {
        return false;
    }
    (void)snprintf(
        ret_text, text_bytes,
        "commands go to %s unencrypted: whoever can listen on the way reads them, and can "
        "change them; set %s",
        host,
        is_kafka ? "kafka.security.protocol to ssl or sasl_ssl"
                 : "nats.tls to true (nats.tls_ca names the authorities)");
    return true;
}
