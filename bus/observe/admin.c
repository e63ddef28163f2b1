/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* admin.c - the admin port, on libmicrohttpd.
 *
 * A monitoring port is attack surface, so it does little: two methods, four fixed paths, no body,
 * small bounds on connections, time and memory, and a thread of its own that shares nothing with
 * the work but counters. The address is not shared (no SO_REUSEPORT): a second worker must be told
 * that it is taken.
 */
#include "admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "mem.h"

#define CONNECTIONS_MAX  32u
#define TIMEOUT_S        10u
#define CONNECTION_BYTES 16384u
#define HOST_BYTES       64u

struct dri_admin {
    struct dri_admin_config config; /* immutable */
    struct MHD_Daemon *daemon;      /* owned */
    char address[HOST_BYTES + 16];
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
                              const char *text, size_t len)
{
    /* libmicrohttpd takes a plain pointer but copies (RESPMEM_MUST_COPY). */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code,
                                   const char *text)
{
    return answer(connection, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result answer_metrics(const struct dri_admin *admin,
                                      struct MHD_Connection *connection)
{
    size_t len = 0;
    char *text = dri_metrics_text(admin->config.metrics, &len);
    if (text == NULL) {
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    }
    enum MHD_Result result =
        answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, len);
    dri_free(text);
    return result;
}

/* /livez and /readyz ask one probe each, /healthz asks both. */
static enum MHD_Result answer_probes(const struct dri_admin *admin,
                                     struct MHD_Connection *connection, bool asks_alive,
                                     bool asks_ready)
{
    const struct dri_admin_config *config = &admin->config;
    char alive[160] = "";
    char ready[160] = "";
    char text[400];
    bool is_fine = true;
    if (asks_alive) {
        is_fine = config->is_alive(config->arg, alive, sizeof(alive));
    }
    if (asks_ready) {
        is_fine = config->is_ready(config->arg, ready, sizeof(ready)) && is_fine;
    }
    snprintf(text, sizeof(text), "%s%s%s%s%s\n", is_fine ? "ok: " : "not ok: ", alive,
             asks_alive && asks_ready ? "; " : "", ready, "");
    return answer_text(connection, is_fine ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd calls it with these eight */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **state)
{
    (void)version;
    (void)upload;
    (void)state;
    const struct dri_admin *admin = arg;
    if (*upload_len != 0) {
        return MHD_NO; /* nobody has business sending a body */
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD only\n");
    }
    if (strcmp(url, "/metrics") == 0) {
        return answer_metrics(admin, connection);
    }
    if (strcmp(url, "/livez") == 0) {
        return answer_probes(admin, connection, true, false);
    }
    if (strcmp(url, "/readyz") == 0) {
        return answer_probes(admin, connection, false, true);
    }
    if (strcmp(url, "/healthz") == 0) {
        return answer_probes(admin, connection, true, true);
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "try /metrics /healthz /livez /readyz\n");
}

/* "host:port", "[v6]:port", ":port". */
static enum dray_status resolve(const char *listen, struct addrinfo **ret_info, char *ret_text,
                                size_t text_bytes)
{
    char host[HOST_BYTES] = "127.0.0.1";
    const char *colon = strrchr(listen, ':');
    const char *begin = listen;
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    if (len >= 2 && begin[0] == '[' && begin[len - 1] == ']') {
        begin++;
        len -= 2;
    }
    if (len > 0 && len < sizeof(host)) {
        memcpy(host, begin, len);
        host[len] = '\0';
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    if (colon == NULL || len >= sizeof(host) ||
        getaddrinfo(host, colon + 1, &hints, ret_info) != 0) {
        snprintf(ret_text, text_bytes,
                 "admin.listen \"%s\" is no address; write it as 127.0.0.1:9464 or [::1]:9464",
                 listen);
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

static void note_address(struct dri_admin *admin)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    struct sockaddr_storage bound;
    socklen_t bound_len = sizeof(bound);
    char host[HOST_BYTES] = "?";
    char port[8] = "?";
    if (info != NULL && getsockname(info->listen_fd, (struct sockaddr *)&bound, &bound_len) == 0) {
        (void)getnameinfo((struct sockaddr *)&bound, bound_len, host, sizeof(host), port,
                          sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    }
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(admin->address, sizeof(admin->address), "%s%s%s:%s", is_v6 ? "[" : "", host,
             is_v6 ? "]" : "", port);
}

enum dray_status dri_admin_start(const struct dri_admin_config *config,
                                 struct dri_admin **ret_admin, char *ret_text, size_t text_bytes)
{
    struct addrinfo *address = NULL;
    enum dray_status status = resolve(config->listen, &address, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    struct dri_admin *admin = dri_zalloc(sizeof(*admin));
    if (admin == NULL) {
        freeaddrinfo(address);
        return DRAY_ENOMEM;
    }
    admin->config = *config;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO;
    flags |= address->ai_family == AF_INET6 ? (unsigned)MHD_USE_IPv6 : 0u;
    errno = 0;
    admin->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_SOCK_ADDR, address->ai_addr,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    int error = errno;
    freeaddrinfo(address);
    if (admin->daemon == NULL) {
        snprintf(ret_text, text_bytes,
                 "cannot listen on admin.listen %s: %s; another worker may hold it: choose another "
                 "port, port 0 for any free one, or \"\" for none",
                 config->listen, error != 0 ? strerrordesc_np(error) : "no reason given");
        dri_free(admin);
        return error == EADDRINUSE ? DRAY_EEXISTS : DRAY_EIO;
    }
    note_address(admin);
    *ret_admin = admin;
    return DRAY_OK;
}

const char *dri_admin_address(const struct dri_admin *admin)
{
    return admin->address;
}

void dri_admin_stop(struct dri_admin *admin)
{
    if (admin != NULL) {
        MHD_stop_daemon(admin->daemon);
        dri_free(admin);
    }
}
