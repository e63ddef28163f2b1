/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "nats_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "assert.h"
#include "mem.h"

/* One connection of nats.c, and how it is driven.
 *
 * nats.c can leave its socket to an event loop of the application. That mode is used here, with the
 * owner's poll as the loop, because the other one (a reading thread, a flushing thread, a ping
 * timer) breaks what transport.h promises: a publish blocks when the server does not read, the
 * flusher adds a millisecond to each, and before 3.11 two threads use one SSL object without a
 * lock. Here nothing reads or writes but the owner's thread; writes are buffered and never block.
 * What is left of nats.c's threads is the one that hands messages to callbacks; it puts them into
 * the mailbox.
 *
 * Nothing of nats.c's own persistence is used: no reconnect (it replays old acks and publishes,
 * gives up after the same authorization error twice, and spins on a read error in 3.4.1), no ping
 * timer, no drain. A connection that ends is thrown away as a whole, with its subscriptions, and
 * nats_link.c dials a new one.
 *
 * Before a connection is made, a plain socket reads the server's INFO line: nats.c tells neither
 * the server's version nor whether it is about to switch to TLS by the server's wish, which has to
 * be refused for the versions whose TLS is not safe.
 *
 * TLS and blocking: inside SSL_read nats.c waits for the rest of a record of which a part is there.
 * Keep-alive and TCP_USER_TIMEOUT bound that wait when the network is cut in the middle of one. */

#define IO_BUFFER_BYTES      (128 * 1024)
#define OLD_TLS_BELOW        0x030b00u /* 3.11.0 locks its SSL object */
#define KEEPALIVE_IDLE_S     10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT      3
#define USER_TIMEOUT_MS      30000u
#define RELEASE_WAIT_NS      UINT64_C(2000000000)

/* --- mailbox -------------------------------------------------------------------------------- */

struct channel {
    struct dri_nats_mailbox *mailbox;
    uint32_t number;
};

enum dray_status dri_nats_mailbox_create(struct dri_nats_mailbox **ret_mailbox)
{
    struct dri_nats_mailbox *mailbox = dri_zalloc(sizeof(*mailbox));
    if (mailbox == NULL) {
        return DRAY_ENOMEM;
    }
    mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->event_fd < 0) {
        dri_free(mailbox);
        return DRAY_EIO;
    }
    dri_lock_init(&mailbox->lock, DRI_LOCK_TRANSPORT);
    dri_cond_init(&mailbox->released);
    mailbox->is_open = true;
    mailbox->holders = 1;
    *ret_mailbox = mailbox;
    return DRAY_OK;
}

static void mailbox_destroy(struct dri_nats_mailbox *mailbox)
{
    DRI_ASSERT(mailbox->count == 0);
    dri_cond_fini(&mailbox->released);
    dri_lock_fini(&mailbox->lock);
    (void)close(mailbox->event_fd);
    dri_free(mailbox->arrivals);
    dri_free(mailbox);
}

/** For subscriptions, by nats.c's delivery thread. */
static void mailbox_release(struct dri_nats_mailbox *mailbox)
{
    dri_lock_take(&mailbox->lock);
    bool is_last = --mailbox->holders == 0;
    dri_cond_signal(&mailbox->released);
    dri_lock_drop(&mailbox->lock);
    if (is_last) {
        mailbox_destroy(mailbox);
    }
}

void dri_nats_mailbox_destroy(struct dri_nats_mailbox *mailbox)
{
    if (mailbox == NULL) {
        return;
    }
    uint64_t until_ns = dri_clock_mono_ns() + RELEASE_WAIT_NS;
    dri_lock_take(&mailbox->lock);
    while (mailbox->holders > 1 && dri_clock_mono_ns() < until_ns) {
        dri_cond_wait_until(&mailbox->released, &mailbox->lock, until_ns);
    }
    bool is_last = --mailbox->holders == 0;
    dri_lock_drop(&mailbox->lock);
    if (is_last) {
        mailbox_destroy(mailbox);
    }
}

void dri_nats_event_signal(int event_fd)
{
    const uint64_t one = 1;
    ssize_t put = write(event_fd, &one, sizeof(one));
    (void)put; /* full: it is readable anyway */
}

static bool mailbox_grow(struct dri_nats_mailbox *mailbox)
{
    size_t capacity = mailbox->capacity == 0 ? 256 : 2 * mailbox->capacity;
    struct dri_nats_arrival *arrivals = dri_zalloc_array(capacity, sizeof(*arrivals));
    if (arrivals == NULL) {
        return false;
    }
    if (mailbox->count > 0) {
        memcpy(arrivals, mailbox->arrivals, mailbox->count * sizeof(*arrivals));
    }
    dri_free(mailbox->arrivals);
    mailbox->arrivals = arrivals;
    mailbox->capacity = capacity;
    return true;
}

/** Called by nats.c's delivery thread. */
static void on_message(natsConnection *nc, natsSubscription *subscription, natsMsg *message,
                       void *closure)
{
    struct channel *channel = closure;
    struct dri_nats_mailbox *mailbox = channel->mailbox;
    uint64_t drained_ns = atomic_load_explicit(&mailbox->drained_ns, memory_order_relaxed);
    bool is_put = false, was_empty = false;
    (void)nc;
    (void)subscription;
    if (message == NULL) {
        return;
    }
    dri_lock_take(&mailbox->lock);
    if (mailbox->is_open && (mailbox->count < mailbox->capacity || mailbox_grow(mailbox))) {
        was_empty = mailbox->count == 0;
        mailbox->arrivals[mailbox->count++] =
            (struct dri_nats_arrival){message, channel->number, drained_ns};
        is_put = true;
    }
    dri_lock_drop(&mailbox->lock);
    if (!is_put) {
        atomic_fetch_add(&mailbox->dropped, 1);
        natsMsg_Destroy(message);
    } else if (was_empty) {
        dri_nats_event_signal(mailbox->event_fd);
    }
}

/** nats.c calls no more for this subscription. */
static void on_complete(void *closure)
{
    struct channel *channel = closure;
    struct dri_nats_mailbox *mailbox = channel->mailbox;
    dri_free(channel);
    mailbox_release(mailbox);
}

size_t dri_nats_mailbox_take(struct dri_nats_mailbox *mailbox, struct dri_nats_arrival **arrivals,
                             size_t *capacity)
{
    uint64_t ignored = 0;
    ssize_t got = read(mailbox->event_fd, &ignored, sizeof(ignored));
    (void)got; /* empty: nothing was signalled */
    dri_lock_take(&mailbox->lock);
    struct dri_nats_arrival *full = mailbox->arrivals;
    size_t full_capacity = mailbox->capacity, count = mailbox->count;
    if (count > 0) {
        mailbox->arrivals = *arrivals;
        mailbox->capacity = *capacity;
        mailbox->count = 0;
        *arrivals = full;
        *capacity = full_capacity;
    }
    dri_lock_drop(&mailbox->lock);
    return count;
}

void dri_nats_mailbox_shut(struct dri_nats_mailbox *mailbox)
{
    struct dri_nats_arrival *arrivals = NULL;
    size_t capacity = 0;
    dri_lock_take(&mailbox->lock);
    mailbox->is_open = false;
    dri_lock_drop(&mailbox->lock);
    size_t count = dri_nats_mailbox_take(mailbox, &arrivals, &capacity);
    for (size_t i = 0; i < count; i++) {
        natsMsg_Destroy(arrivals[i].message);
    }
    dri_free(arrivals);
}

/* --- event loop callbacks ------------------------------------------------------------------- */

static void set_socket(int fd)
{
    const int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S;
    const int count = KEEPALIVE_COUNT;
    const unsigned int user = USER_TIMEOUT_MS;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* nats.c sets it nowhere */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, sizeof(user));
}

static natsStatus on_attach(void **user, void *loop, natsConnection *nc, natsSock fd)
{
    struct dri_nats_wire *wire = loop;
    wire->fd = (int)fd;
    wire->nc = nc;
    set_socket((int)fd);
    *user = wire;
    return NATS_OK;
}

static void poll_for(struct dri_nats_wire *wire, bool is_write)
{
    struct epoll_event event = {.events = EPOLLIN | (is_write ? (uint32_t)EPOLLOUT : 0u),
                                .data.ptr = wire};
    if (wire->fd >= 0 && wire->is_polled_for_write != is_write) {
        (void)epoll_ctl(wire->epoll_fd, EPOLL_CTL_MOD, wire->fd, &event);
        wire->is_polled_for_write = is_write;
    }
}

static natsStatus on_read_wanted(void *user, bool is_wanted)
{
    struct dri_nats_wire *wire = user;
    if (!is_wanted && wire->fd >= 0) {
        natsSock fd = wire->fd;
        (void)epoll_ctl(wire->epoll_fd, EPOLL_CTL_DEL, wire->fd, NULL);
        wire->fd = -1;
#if NATS_VERSION_NUMBER >= 0x030902
        natsConnection_ProcessCloseEvent(&fd); /* since then the loop has to close it */
#else
        (void)fd;
#endif
    }
    return NATS_OK;
}

static natsStatus on_write_wanted(void *user, bool is_wanted)
{
    struct dri_nats_wire *wire = user;
    wire->wants_write = is_wanted;
    return NATS_OK;
}

static natsStatus on_detach(void *user)
{
    struct dri_nats_wire *wire = user;
    (void)wire;
#if NATS_VERSION_NUMBER >= 0x030b00
    natsConnection_ProcessDetachedEvent(wire->nc);
#endif
    return NATS_OK;
}

void dri_nats_wire_adopt(struct dri_nats_wire *wire)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = wire};
    if (wire->fd >= 0) {
        (void)epoll_ctl(wire->epoll_fd, EPOLL_CTL_ADD, wire->fd, &event);
        wire->is_polled_for_write = false;
    }
}

void dri_nats_wire_push(struct dri_nats_wire *wire)
{
    /* With an empty buffer nats.c would take the answer of send(), 0, for the end of the
     * connection. */
    if (wire->wants_write && wire->fd >= 0) {
        natsConnection_ProcessWriteEvent(wire->nc);
    }
    poll_for(wire, wire->wants_write);
}

bool dri_nats_wire_is_dead(const struct dri_nats_wire *wire)
{
    return wire->fd < 0 || natsConnection_IsClosed(wire->nc);
}

enum dray_status dri_nats_wire_subscribe(struct dri_nats_wire *wire,
                                         struct dri_nats_mailbox *mailbox, uint32_t channel_number,
                                         const char *subject)
{
    natsSubscription *subscription = NULL;
    struct channel *channel = NULL;
    if (wire->subscriptions_count == wire->subscriptions_max || wire->nc == NULL ||
        (channel = dri_zalloc(sizeof(*channel))) == NULL) {
        return DRAY_ENOMEM;
    }
    channel->mailbox = mailbox;
    channel->number = channel_number;
    natsStatus status =
        natsConnection_Subscribe(&subscription, wire->nc, subject, on_message, channel);
    if (status != NATS_OK) {
        dri_free(channel);
        return status == NATS_NO_MEMORY ? DRAY_ENOMEM : DRAY_EBROKER;
    }
    dri_lock_take(&mailbox->lock);
    mailbox->holders++;
    dri_lock_drop(&mailbox->lock);
    (void)natsSubscription_SetOnCompleteCB(subscription, on_complete, channel);
    (void)natsSubscription_SetPendingLimits(subscription, -1, -1); /* ours are the pull windows */
    wire->subscriptions[wire->subscriptions_count++] = subscription;
    return DRAY_OK;
}

void dri_nats_wire_unsubscribe(struct dri_nats_wire *wire, uint32_t channel)
{
    DRI_ASSERT(channel < wire->subscriptions_count);
    (void)natsSubscription_Unsubscribe(wire->subscriptions[channel]);
}

/* --- the INFO line -------------------------------------------------------------------------- */

static int remaining_ms(uint64_t deadline_ns)
{
    uint64_t now = dri_clock_mono_ns();
    return now >= deadline_ns ? 0 : (int)((deadline_ns - now) / 1000000u) + 1;
}

static bool wait_ready(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd wanted = {fd, events, 0};
    int got = 0;
    do {
        got = poll(&wanted, 1, remaining_ms(deadline_ns));
    } while (got < 0 && errno == EINTR);
    return got > 0;
}

static int connect_to(const struct addrinfo *address, uint64_t deadline_ns)
{
    int error = 0;
    socklen_t error_bytes = sizeof(error);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
        return fd;
    }
    if (errno == EINPROGRESS && wait_ready(fd, POLLOUT, deadline_ns) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0 && error == 0) {
        return fd;
    }
    error = error != 0 ? error : errno == EINPROGRESS ? ETIMEDOUT : errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/** Reads up to the end of the first line. */
static size_t read_line(int fd, char *line, size_t bytes, uint64_t deadline_ns)
{
    size_t len = 0;
    while (len + 1 < bytes && wait_ready(fd, POLLIN, deadline_ns)) {
        ssize_t got = recv(fd, line + len, bytes - 1 - len, 0);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        if (memchr(line, '\n', len) != NULL) {
            break;
        }
    }
    line[len] = '\0';
    return len;
}

static void read_info(const char *line, size_t len, struct dri_nats_server_info *ret_info)
{
    struct dray_slice json = dray_slice_of(line + 5, len - 5);
    (void)dri_nats_json_text(json, "version", ret_info->version, sizeof(ret_info->version));
    ret_info->payload_bytes_max = dri_nats_json_uint(json, "max_payload", 1024u * 1024u);
    ret_info->is_tls_required = dri_nats_json_bool(json, "tls_required");
}

static enum dray_status probe(const struct dri_nats_settings *settings,
                              const struct dri_nats_server *server,
                              struct dri_nats_server_info *ret_info,
                              char ret_text[DRI_NATS_TEXT_BYTES])
{
    enum {
        LINE_BYTES = 16 * 1024
    };
    uint64_t deadline_ns = dri_clock_mono_ns() + settings->connect_timeout_ms * UINT64_C(1000000);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char port[8];
    int fd = -1;
    (void)snprintf(port, sizeof(port), "%u", (unsigned int)server->port);
    int failed = getaddrinfo(server->host, port, &hints, &addresses);
    if (failed != 0) {
        dri_nats_say(ret_text, "nats: cannot resolve %s: %s", server->host, gai_strerror(failed));
        return DRAY_EBROKER;
    }
    for (struct addrinfo *at = addresses; at != NULL && fd < 0; at = at->ai_next) {
        fd = connect_to(at, deadline_ns);
    }
    int error = errno;
    freeaddrinfo(addresses);
    if (fd < 0) {
        dri_nats_say(ret_text, "nats: no server at %s:%u: %s", server->host,
                     (unsigned int)server->port, strerrordesc_np(error));
        return DRAY_EBROKER;
    }
    enum dray_status status = DRAY_OK;
    char *line = dri_zalloc(LINE_BYTES);
    size_t len = line == NULL ? 0 : read_line(fd, line, LINE_BYTES, deadline_ns);
    if (len > 5 && memcmp(line, "INFO ", 5) == 0) {
        read_info(line, len, ret_info);
    } else {
        dri_nats_say(ret_text, "nats: %s:%u does not greet like a NATS server", server->host,
                     (unsigned int)server->port);
        status = DRAY_EBROKER;
    }
    dri_free(line);
    (void)close(fd);
    return status;
}

/* --- dialling ------------------------------------------------------------------------------- */

static natsStatus set_login(natsOptions *options, const struct dri_nats_settings *settings,
                            char ret_text[DRI_NATS_TEXT_BYTES], enum dray_status *ret_status)
{
    if (settings->user != NULL) {
        return natsOptions_SetUserInfo(options, settings->user,
                                       settings->password == NULL ? "" : settings->password);
    }
    if (settings->token != NULL) {
        return natsOptions_SetToken(options, settings->token);
    }
    if (settings->creds != NULL) {
        if (access(settings->creds, R_OK) != 0) {
            dri_nats_say(ret_text, "creds: cannot read %s: %s", settings->creds,
                         strerrordesc_np(errno));
            *ret_status = DRAY_EIO;
            return NATS_OK;
        }
        return natsOptions_SetUserCredentialsFromFiles(options, settings->creds, NULL);
    }
    if (settings->nkey != NULL) {
        char key[64];
        *ret_status = dri_nats_seed_public(settings->nkey, key, ret_text);
        return *ret_status != DRAY_OK ? NATS_OK
                                      : natsOptions_SetNKeyFromSeed(options, key, settings->nkey);
    }
    return NATS_OK;
}

static natsStatus set_tls(natsOptions *options, const struct dri_nats_settings *settings,
                          const struct dri_nats_server *server)
{
    natsStatus status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && settings->tls_ca != NULL) {
        status = natsOptions_LoadCATrustedCertificates(options, settings->tls_ca);
    }
    if (status == NATS_OK && settings->tls_cert != NULL) {
        status = natsOptions_LoadCertificatesChain(options, settings->tls_cert, settings->tls_key);
    }
    if (status == NATS_OK && settings->tls_ciphers != NULL) {
        status = natsOptions_SetCiphers(options, settings->tls_ciphers);
    }
    if (status == NATS_OK && settings->tls_ciphersuites != NULL) {
        status = natsOptions_SetCipherSuites(options, settings->tls_ciphersuites);
    }
    if (status == NATS_OK) {
        status = natsOptions_SetExpectedHostname(
            options, settings->tls_hostname != NULL ? settings->tls_hostname : server->host);
    }
    return status;
}

static natsStatus set_behaviour(natsOptions *options, const struct dri_nats_settings *settings,
                                const struct dri_nats_server *server, struct dri_nats_wire *wire)
{
    char url[256];
    bool is_v6 = strchr(server->host, ':') != NULL;
    (void)snprintf(url, sizeof(url), is_v6 ? "nats://[%s]:%u" : "nats://%s:%u", server->host,
                   (unsigned int)server->port);
    natsStatus status = natsOptions_SetURL(options, url);
    if (status == NATS_OK) {
        status = natsOptions_SetEventLoop(options, wire, on_attach, on_read_wanted, on_write_wanted,
                                          on_detach);
    }
    status = status != NATS_OK ? status : natsOptions_SetAllowReconnect(options, false);
    status = status != NATS_OK ? status : natsOptions_SetMaxReconnect(options, 0);
    status = status != NATS_OK ? status : natsOptions_SetPingInterval(options, 0);
    status = status != NATS_OK ? status : natsOptions_SetSendAsap(options, true);
    status = status != NATS_OK ? status : natsOptions_UseGlobalMessageDelivery(options, true);
    status = status != NATS_OK ? status : natsOptions_SetIOBufSize(options, IO_BUFFER_BYTES);
    status = status != NATS_OK ? status : natsOptions_SetIgnoreDiscoveredServers(options, true);
    status = status != NATS_OK
                 ? status
                 : natsOptions_SetTimeout(options, (int64_t)settings->connect_timeout_ms);
    if (status == NATS_OK && settings->name != NULL) {
        status = natsOptions_SetName(options, settings->name);
    }
    return status;
}

static enum dray_status status_of(natsStatus status)
{
    switch (status) {
    case NATS_OK:
        return DRAY_OK;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        return DRAY_EAUTH;
    case NATS_TIMEOUT:
        return DRAY_ETIMEOUT;
    case NATS_NO_MEMORY:
        return DRAY_ENOMEM;
    case NATS_SSL_ERROR:
    case NATS_INVALID_ARG:
    case NATS_SECURE_CONNECTION_WANTED:
        return DRAY_EINVALID;
    default:
        return DRAY_EBROKER;
    }
}

static enum dray_status refuse_old_tls(const struct dri_nats_settings *settings,
                                       const struct dri_nats_wire *wire,
                                       char ret_text[DRI_NATS_TEXT_BYTES])
{
    bool wants_tls = settings->is_tls || wire->server.is_tls_required;
    if (!wants_tls || settings->is_tls_risk_accepted || nats_GetVersionNumber() >= OLD_TLS_BELOW) {
        return DRAY_OK;
    }
    dri_nats_say(ret_text,
                 "nats: TLS with nats.c %s is not safe (fixed in 3.11.0); use a newer nats.c or a "
                 "local TLS proxy, or take the risk with nats.tls_on_old_client: accept-risk",
                 nats_GetVersion());
    return DRAY_EUNSUPPORTED;
}

/** Why nats.c failed, in a person's words. */
static void explain(const struct dri_nats_wire *wire, natsStatus status,
                    char ret_text[DRI_NATS_TEXT_BYTES])
{
    natsStatus last = NATS_OK;
    const char *detail = nats_GetLastError(&last);
    if (status == NATS_CONNECTION_AUTH_FAILED) {
        dri_nats_say(ret_text, "nats: %s refused the login; check user, token, nkey or creds",
                     wire->url);
        return;
    }
    dri_nats_say(ret_text, "nats: cannot connect to %s: %s", wire->url,
                 detail != NULL && detail[0] != '\0' ? detail : natsStatus_GetText(status));
}

static enum dray_status dial(const struct dri_nats_settings *settings,
                             const struct dri_nats_server *server, struct dri_nats_wire *wire,
                             char ret_text[DRI_NATS_TEXT_BYTES])
{
    natsOptions *options = NULL;
    enum dray_status ours = DRAY_OK;
    enum dray_status probed = probe(settings, server, &wire->server, ret_text);
    if (probed != DRAY_OK) {
        return probed;
    }
    probed = refuse_old_tls(settings, wire, ret_text);
    if (probed != DRAY_OK) {
        return probed;
    }
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK) {
        status = set_behaviour(options, settings, server, wire);
    }
    if (status == NATS_OK && (settings->is_tls || wire->server.is_tls_required)) {
        status = set_tls(options, settings, server);
    }
    if (status == NATS_OK) {
        status = set_login(options, settings, ret_text, &ours);
    }
    if (status == NATS_OK && ours == DRAY_OK) {
        natsConnection *nc = NULL;
        status = natsConnection_Connect(&nc, options);
        wire->nc = status == NATS_OK ? nc : NULL;
    }
    if (status != NATS_OK) {
        explain(wire, status, ret_text);
    }
    natsOptions_Destroy(options);
    return ours != DRAY_OK ? ours : status_of(status);
}

enum dray_status dri_nats_wire_dial(const struct dri_nats_settings *settings, uint32_t server_index,
                                    uint32_t subscriptions_max, int epoll_fd,
                                    struct dri_nats_wire **ret_wire,
                                    char ret_text[DRI_NATS_TEXT_BYTES])
{
    const struct dri_nats_server *server = &settings->servers[server_index];
    struct dri_nats_wire *wire =
        dri_zalloc(sizeof(*wire) + subscriptions_max * sizeof(wire->subscriptions[0]));
    if (wire == NULL) {
        dri_nats_say(ret_text, "nats: out of memory");
        return DRAY_ENOMEM;
    }
    wire->fd = -1;
    wire->epoll_fd = epoll_fd;
    wire->subscriptions_max = subscriptions_max;
    (void)snprintf(wire->url, sizeof(wire->url), "%s:%u", server->host, (unsigned int)server->port);
    enum dray_status status = dial(settings, server, wire, ret_text);
    if (status != DRAY_OK) {
        dri_free(wire);
        return status;
    }
    *ret_wire = wire;
    return DRAY_OK;
}

void dri_nats_wire_destroy(struct dri_nats_wire *wire)
{
    if (wire == NULL) {
        return;
    }
    natsConnection_Destroy(wire->nc);
    for (uint32_t i = 0; i < wire->subscriptions_count; i++) {
        natsSubscription_Destroy(wire->subscriptions[i]);
    }
    dri_free(wire);
}
