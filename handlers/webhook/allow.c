/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* allow.c - the list, and which addresses are public.
 *
 * An address is public when it is not in a block that IANA sets apart; all addresses are compared
 * as 16 bytes, IPv4 in its mapped form ::ffff:a.b.c.d, so that no other way of writing an IPv4
 * address (mapped, compatible, NAT64) gets around the table.
 */

#include "allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ENTRIES_MAX 256u
#define HOST_BYTES  256u
#define ADDRESS     16u

struct network {
    uint8_t at[ADDRESS];
    unsigned bits;
};

struct entry {
    char host[HOST_BYTES]; /* "": a network */
    uint16_t port;         /* 0: 80 and 443 */
    bool is_suffix;        /* host is ".example.com" */
    struct network network;
};

struct allow {
    struct entry entries[ENTRIES_MAX];
    size_t entries_count;
};

/* Source: IANA special-purpose address registries (RFC 6890 and its updates). */
static const char *const special[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "2001::/23",     "2001:db8::/32",   "2002::/16",      "3fff::/20",
};
static const char unicast[] = "2000::/3"; /* of IPv6, the only block that is given out */
static const char nat64[] = "64:ff9b::/96";

/* ---- addresses as 16 bytes ---- */

static void map4(const void *four, uint8_t ret_at[ADDRESS])
{
    memset(ret_at, 0, 10);
    ret_at[10] = 0xff;
    ret_at[11] = 0xff;
    memcpy(ret_at + 12, four, 4);
}

static bool is_mapped4(const uint8_t at[ADDRESS])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(at, prefix, sizeof(prefix)) == 0;
}

static bool parse_address(const char *text, uint8_t ret_at[ADDRESS])
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, text, &four) == 1) {
        map4(&four, ret_at);
        return true;
    }
    if (inet_pton(AF_INET6, text, &six) == 1) {
        memcpy(ret_at, &six, ADDRESS);
        return true;
    }
    return false;
}

static bool parse_network(const char *text, struct network *ret_network)
{
    char address[HOST_BYTES];
    const char *slash = strchr(text, '/');
    struct network network;
    unsigned long bits;
    char *rest = NULL;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(address) || slash[1] < '0' ||
        slash[1] > '9') {
        return false;
    }
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    bits = strtoul(slash + 1, &rest, 10);
    if (*rest != '\0' || !parse_address(address, network.at)) {
        return false;
    }
    if (strchr(address, ':') == NULL) {
        bits = bits > 32 ? 129 : bits + 96;
    }
    network.bits = (unsigned)bits;
    if (bits > 128) {
        return false;
    }
    *ret_network = network;
    return true;
}

static bool is_in(const struct network *network, const uint8_t at[ADDRESS])
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (memcmp(network->at, at, whole) != 0) {
        return false;
    }
    return rest == 0 || ((network->at[whole] ^ at[whole]) >> (8 - rest)) == 0;
}

static bool is_in_text(const char *text, const uint8_t at[ADDRESS])
{
    struct network network;

    return parse_network(text, &network) && is_in(&network, at);
}

static bool is_public(const uint8_t address[ADDRESS])
{
    uint8_t at[ADDRESS];

    memcpy(at, address, ADDRESS);
    if (is_in_text(nat64, address)) {
        map4(address + 12, at);
    }
    if (!is_mapped4(at) && !is_in_text(unicast, at)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (is_in_text(special[i], at)) {
            return false;
        }
    }
    return true;
}

/* ---- the list ---- */

static bool parse_port(const char *text, uint16_t *ret_port)
{
    char *rest = NULL;
    unsigned long port = strtoul(text, &rest, 10);

    if (text[0] < '0' || text[0] > '9' || *rest != '\0' || port == 0 || port > 65535) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

/* host, host:port, [v6], [v6]:port, v6, *.suffix. Cuts text. */
static bool parse_host(char *text, struct entry *entry)
{
    char *host = text;
    char *port = NULL;
    size_t len;

    if (text[0] == '[') {
        char *close = strchr(text, ']');

        if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
            return false;
        }
        *close = '\0';
        host = text + 1;
        port = close[1] == ':' ? close + 2 : NULL;
    } else if (strchr(text, ':') != NULL && strchr(text, ':') == strrchr(text, ':')) {
        port = strchr(text, ':') + 1;
        port[-1] = '\0';
    }
    if (port != NULL && !parse_port(port, &entry->port)) {
        return false;
    }
    if (strncmp(host, "*.", 2) == 0) {
        entry->is_suffix = true;
        host++;
    }
    len = strlen(host);
    if (len == 0 || len >= sizeof(entry->host) || (entry->is_suffix && len < 3) ||
        strpbrk(host, "*/ @?#") != NULL) {
        return false;
    }
    memcpy(entry->host, host, len + 1);
    return true;
}

static bool parse_entry(const char *at, size_t len, struct entry *ret_entry)
{
    struct entry entry = {.port = 0};
    char text[HOST_BYTES + 16];

    if (len >= sizeof(text)) {
        return false;
    }
    memcpy(text, at, len);
    text[len] = '\0';
    if (strchr(text, '/') != NULL ? !parse_network(text, &entry.network)
                                  : !parse_host(text, &entry)) {
        return false;
    }
    *ret_entry = entry;
    return true;
}

enum dray_status allow_create(const char *list, struct allow **ret_allow, const char **ret_entry)
{
    struct allow *allow = calloc(1, sizeof(*allow));
    const char *at = list;

    if (allow == NULL) {
        return DRAY_ENOMEM;
    }
    while (*at != '\0') {
        size_t len;

        at += strspn(at, ", \t");
        len = strcspn(at, ", \t");
        if (len > 0 && (allow->entries_count == ENTRIES_MAX ||
                        !parse_entry(at, len, &allow->entries[allow->entries_count++]))) {
            allow_destroy(allow);
            *ret_entry = at;
            return DRAY_EINVALID;
        }
        at += len;
    }
    *ret_allow = allow;
    return DRAY_OK;
}

void allow_destroy(struct allow *allow)
{
    free(allow);
}

/* ---- the checks ---- */

static bool is_same_host(const struct entry *entry, const char *host)
{
    size_t host_len = strlen(host);
    size_t len = strlen(entry->host);
    uint8_t a[ADDRESS];
    uint8_t b[ADDRESS];

    if (len == 0) {
        return false;
    }
    if (entry->is_suffix) {
        return host_len > len && strcasecmp(host + host_len - len, entry->host) == 0;
    }
    if (strcasecmp(host, entry->host) == 0) {
        return true;
    }
    return parse_address(host, a) && parse_address(entry->host, b) && memcmp(a, b, ADDRESS) == 0;
}

bool allow_host(const struct allow *allow, const char *host, uint16_t port)
{
    for (size_t i = 0; i < allow->entries_count; i++) {
        const struct entry *entry = &allow->entries[i];

        if (is_same_host(entry, host) &&
            (entry->port == port || (entry->port == 0 && (port == 80 || port == 443)))) {
            return true;
        }
    }
    return false;
}

bool allow_address(const struct allow *allow, const char *host, const struct sockaddr *address)
{
    uint8_t at[ADDRESS];
    uint8_t literal[ADDRESS];

    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;

        memcpy(&four, address, sizeof(four));
        map4(&four.sin_addr, at);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;

        memcpy(&six, address, sizeof(six));
        memcpy(at, &six.sin6_addr, ADDRESS);
    } else {
        return false;
    }
    if (is_public(at)) {
        return true;
    }
    for (size_t i = 0; i < allow->entries_count; i++) {
        const struct entry *entry = &allow->entries[i];

        if (entry->host[0] == '\0' ? is_in(&entry->network, at)
                                   : is_same_host(entry, host) && parse_address(host, literal) &&
                                         memcmp(literal, at, ADDRESS) == 0) {
            return true;
        }
    }
    return false;
}
