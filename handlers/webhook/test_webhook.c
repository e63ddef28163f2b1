/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_webhook.c - webhook.post against a server on loopback that answers as its path says.
 *
 * The server is a thread for each connection, so that a silent or endless answer holds up no other;
 * it counts connections and requests, which is how a test sees that something was *not* connected
 * to.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/handler.h"

#define MODULE          DRAY_TEST_MODULE_DIR "/webhook.so"
#define CONNECTIONS_MAX 64

/* ---- the server ---- */

struct connection {
    struct server *server;
    pthread_t thread;
    int fd;
};

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    struct connection connections[CONNECTIONS_MAX]; /* guarded by lock until the join */
    unsigned connections_count;                     /* guarded by lock */
    char request[8192];                             /* guarded by lock: the last one */
    _Atomic(unsigned) requests;
    _Atomic(size_t) bytes_sent; /* of long answers */
};

static bool send_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool answer(int fd, const char *status, const char *headers, const char *body)
{
    char text[1024];
    int len = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                       strlen(body), headers, body);

    return send_all(fd, text, (size_t)len);
}

/* Sends len bytes of 'x', or for ever when the client does not mind. */
static bool answer_long(struct server *server, int fd, size_t len)
{
    char head[128];
    char block[4096];
    int head_len =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    bool is_sent = send_all(fd, head, (size_t)head_len);

    memset(block, 'x', sizeof(block));
    while (is_sent && len > 0) {
        size_t part = len < sizeof(block) ? len : sizeof(block);

        is_sent = send_all(fd, block, part);
        atomic_fetch_add(&server->bytes_sent, part);
        len -= part;
    }
    return is_sent;
}

/* Nothing, until the client hangs up. */
static bool wait_for_end(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};

    (void)poll(&end, 1, 30000);
    return false;
}

static bool answer_path(struct server *server, int fd, const char *path)
{
    if (strncmp(path, "/ok", 3) == 0) {
        return answer(fd, "200 OK", "", "{\"fine\":true}");
    }
    if (strncmp(path, "/empty", 6) == 0) {
        return answer(fd, "202 Accepted", "", "");
    }
    if (strncmp(path, "/binary", 7) == 0) {
        return answer(fd, "200 OK", "", "\xff\xfe");
    }
    if (strncmp(path, "/busy", 5) == 0) {
        return answer(fd, "503 Service Unavailable", "Retry-After: 7\r\n", "later");
    }
    if (strncmp(path, "/often", 6) == 0) {
        return answer(fd, "429 Too Many Requests", "Retry-After: 99999999\r\n", "");
    }
    if (strncmp(path, "/broken", 7) == 0) {
        return answer(fd, "500 Internal Server Error", "", "");
    }
    if (strncmp(path, "/late", 5) == 0) {
        return answer(fd, "408 Request Timeout", "", "");
    }
    if (strncmp(path, "/moved", 6) == 0) {
        return answer(fd, "302 Found", "Location: /ok\r\n", "");
    }
    if (strncmp(path, "/long", 5) == 0) {
        return answer_long(server, fd, 100000);
    }
    if (strncmp(path, "/flood", 6) == 0) {
        return answer_long(server, fd, 200000000);
    }
    if (strncmp(path, "/silent", 7) == 0) {
        return wait_for_end(fd);
    }
    if (strncmp(path, "/reset", 6) == 0) {
        return false;
    }
    return answer(fd, "404 Not Found", "Retry-After: 5\r\n", "");
}

/* One request into text; false at the end of the connection. */
static bool read_request(int fd, char *text, size_t text_bytes)
{
    size_t len = 0;

    while (len + 1 < text_bytes) {
        ssize_t got = recv(fd, text + len, text_bytes - 1 - len, 0);
        const char *end;
        const char *length;

        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        text[len] = '\0';
        end = strstr(text, "\r\n\r\n");
        length = strstr(text, "Content-Length: ");
        if (end != NULL && (length == NULL || length > end ||
                            (size_t)(text + len - (end + 4)) >= strtoul(length + 16, NULL, 10))) {
            return true;
        }
    }
    return false;
}

static void *serve_connection(void *arg)
{
    struct connection *connection = arg;
    struct server *server = connection->server;
    char text[8192];
    bool goes_on = true;

    while (goes_on && read_request(connection->fd, text, sizeof(text))) {
        (void)pthread_mutex_lock(&server->lock);
        memcpy(server->request, text, strlen(text) + 1);
        (void)pthread_mutex_unlock(&server->lock);
        atomic_fetch_add(&server->requests, 1);
        goes_on = strncmp(text, "POST /", 6) == 0 && answer_path(server, connection->fd, text + 5);
    }
    (void)shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *serve(void *arg)
{
    struct server *server = arg;

    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        struct connection *connection;

        if (fd < 0) {
            return NULL;
        }
        (void)pthread_mutex_lock(&server->lock);
        if (server->connections_count == CONNECTIONS_MAX) {
            (void)pthread_mutex_unlock(&server->lock);
            (void)close(fd);
            continue;
        }
        connection = &server->connections[server->connections_count];
        connection->server = server;
        connection->fd = fd;
        if (pthread_create(&connection->thread, NULL, serve_connection, connection) == 0) {
            server->connections_count++;
        } else {
            (void)close(fd);
        }
        (void)pthread_mutex_unlock(&server->lock);
    }
}

static unsigned server_connections(struct server *server)
{
    unsigned count;

    (void)pthread_mutex_lock(&server->lock);
    count = server->connections_count;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

static bool server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    memset(server, 0, sizeof(*server));
    (void)pthread_mutex_init(&server->lock, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0 ||
        bind(server->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0 ||
        listen(server->fd, 16) != 0 ||
        getsockname(server->fd, (struct sockaddr *)(void *)&address, &len) != 0) {
        return false;
    }
    server->port = ntohs(address.sin_port);
    return pthread_create(&server->thread, NULL, serve, server) == 0;
}

static void server_stop(struct server *server)
{
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
    for (unsigned i = 0; i < server->connections_count; i++) {
        (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        (void)pthread_join(server->connections[i].thread, NULL);
        (void)close(server->connections[i].fd);
    }
    (void)pthread_mutex_destroy(&server->lock);
}

/* ---- cases ---- */

struct fixture {
    struct server server;
    struct dray_test_host *host;
    char json[1024];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char list[256];

    (void)signal(SIGPIPE, SIG_IGN); /* as a worker does */
    if (fixture == NULL || !server_start(&fixture->server)) {
        return -1;
    }
    (void)snprintf(list, sizeof(list), "hooks.example.com,localhost:%u,127.0.0.1:%u,127.0.0.1:1",
                   fixture->server.port, fixture->server.port);
    check_env("DRAY_WEBHOOK_ALLOW", list);
    check_env("http_proxy", "http://127.0.0.1:2");
    if (dray_test_host_load(MODULE, &fixture->host) != DRAY_OK) {
        return -1;
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    dray_test_host_close(fixture->host);
    server_stop(&fixture->server);
    free(fixture);
    return 0;
}

/* {"url": http://127.0.0.1:<port><path>, rest...} */
static const char *post(struct fixture *fixture, const char *path, const char *rest)
{
    (void)snprintf(fixture->json, sizeof(fixture->json), "{\"url\":\"http://127.0.0.1:%u%s\"%s}",
                   fixture->server.port, path, rest);
    return fixture->json;
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_error("\"%s\" is not in\n%s\n", part, text);
        fail();
    }
}

static void a_post_arrives_as_it_was_meant_and_its_answer_comes_back(void **state)
{
    struct fixture *fixture = *state;
    const struct dray_test_call call = {
        .payload = post(fixture, "/ok?a=1", ",\"body\":\"{\\\"n\\\":1}\""),
        .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    struct dray_test_outcome *outcome = check_run(fixture->host, &call);

    assert_string_equal("", outcome->message);
    has(outcome->json,
        "{\"status\":200,\"body\":\"{\\\"fine\\\":true}\",\"truncated\":false,\"us\":");
    has(fixture->server.request, "POST /ok?a=1 HTTP/1.1\r\n");
    has(fixture->server.request, "Content-Type: application/json\r\n");
    has(fixture->server.request, "Idempotency-Key: 000102030405060708090a0b0c0d0e0f\r\n");
    has(fixture->server.request, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b71");
    has(fixture->server.request, "\r\n\r\n{\"n\":1}");
    assert_null(strstr(fixture->server.request, "Expect"));
    assert_false(outcome->is_cancel_left);
    dray_test_outcome_destroy(outcome);
}

static void ids_and_traces_cannot_bring_headers_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    const struct dray_test_call call = {
        .payload = post(fixture, "/ok", ""), .id = "a\r\nX-Evil: 1", .trace = "t\r\nX-Evil: 2"};
    struct dray_test_outcome *outcome = check_run(fixture->host, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    has(fixture->server.request, "Idempotency-Key: 610d0a582d4576696c3a2031\r\n");
    assert_null(strstr(fixture->server.request, "X-Evil"));
    dray_test_outcome_destroy(outcome);
    check_fails(fixture->host, post(fixture, "/ok", ",\"content_type\":\"a\\r\\nX-Evil: 3\""),
                DRAY_KIND_INVALID, "payload", "payload.content_type");
}

static void answers_may_be_empty_binary_or_long(void **state)
{
    struct fixture *fixture = *state;
    struct dray_test_call call = {.payload =
                                      post(fixture, "/empty", ",\"body\":{\"$bin\":\"AAE=\"}")};
    struct dray_test_outcome *outcome = check_run(fixture->host, &call);

    has(outcome->json, "{\"status\":202,\"body\":\"\",\"truncated\":false");
    has(fixture->server.request, "Content-Length: 2\r\n");
    dray_test_outcome_destroy(outcome);
    call.payload = post(fixture, "/binary", "");
    outcome = check_run(fixture->host, &call);
    has(outcome->json, "\"body\":{\"$bin\":\"//4=\"}");
    dray_test_outcome_destroy(outcome);
    call.payload = post(fixture, "/long", "");
    outcome = check_run(fixture->host, &call);
    has(outcome->json, "\"truncated\":true");
    assert_true(outcome->result.len > 65536 && outcome->result.len < 66000);
    dray_test_outcome_destroy(outcome);
    call.payload = post(fixture, "/flood", ""); /* 200 MB: the server is cut off after one */
    outcome = check_run(fixture->host, &call);
    assert_string_equal("", outcome->message);
    has(outcome->json, "\"truncated\":true");
    assert_true(atomic_load(&fixture->server.bytes_sent) < 100000000);
    dray_test_outcome_destroy(outcome);
}

static void refusals_of_the_server_have_their_kinds(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *path;
        enum dray_error_kind kind;
        const char *code;
        uint32_t retry_after_ms;
    } cases[] = {
        {"/busy", DRAY_KIND_UNAVAILABLE, "http_503", 7000},
        {"/often", DRAY_KIND_UNAVAILABLE, "http_429", 86400000},
        {"/broken", DRAY_KIND_UNAVAILABLE, "http_500", 0},
        {"/late", DRAY_KIND_TIMEOUT, "http_408", 0},
        {"/none", DRAY_KIND_REJECTED, "http_404", 0},
        {"/moved", DRAY_KIND_REJECTED, "http_302", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dray_test_call call = {.payload = post(fixture, cases[i].path, "")};
        struct dray_test_outcome *outcome = check_run(fixture->host, &call);

        assert_int_equal(cases[i].retry_after_ms, outcome->retry_after_ms);
        check_outcome(outcome, cases[i].kind, cases[i].code, "the server answered ", __FILE__,
                      __LINE__);
    }
    assert_int_equal(6, atomic_load(&fixture->server.requests)); /* the redirect was not followed */
}

static void no_connection_is_a_network_error(void **state)
{
    struct fixture *fixture = *state;

    check_fails(fixture->host, "{\"url\":\"http://127.0.0.1:1/\"}", DRAY_KIND_NETWORK, "connect",
                "");
    check_fails(fixture->host, post(fixture, "/reset", ""), DRAY_KIND_NETWORK, "exchange", "");
}

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void a_silent_server_is_a_timeout_by_the_payload_or_by_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    uint64_t start_ms = now_ms();
    struct dray_test_call call = {.payload = post(fixture, "/silent", ",\"timeout_ms\":50")};

    check_outcome(check_run(fixture->host, &call), DRAY_KIND_TIMEOUT, "timeout", "timed out",
                  __FILE__, __LINE__);
    call.payload = post(fixture, "/silent", "");
    call.timeout_ms = 50; /* curl or the canceller, whichever comes first */
    {
        struct dray_test_outcome *outcome = check_run(fixture->host, &call);

        assert_int_equal(DRAY_KIND_TIMEOUT, outcome->kind);
        dray_test_outcome_destroy(outcome);
    }
    assert_true(now_ms() - start_ms < 9000);
}

static void *cancel_when_it_waits(void *arg)
{
    struct fixture *fixture = arg;

    while (atomic_load(&fixture->server.requests) == 0) { /* until the server has it */
        (void)poll(NULL, 0, 1);
    }
    (void)dray_test_host_cancel(fixture->host);
    return NULL;
}

static void a_cancelled_call_lets_go_of_its_connection_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct dray_test_call call = {.payload = post(fixture, "/silent", ",\"timeout_ms\":300000")};
    uint64_t start_ms = now_ms();
    pthread_t thread;

    assert_int_equal(0, pthread_create(&thread, NULL, cancel_when_it_waits, fixture));
    check_outcome(check_run(fixture->host, &call), DRAY_KIND_TIMEOUT, "cancelled",
                  "it may have been sent", __FILE__, __LINE__);
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_true(now_ms() - start_ms < 20000);
    call.is_cancelled = true;
    check_outcome(check_run(fixture->host, &call), DRAY_KIND_TIMEOUT, "cancelled",
                  "before it was sent", __FILE__, __LINE__);
    assert_int_equal(1, atomic_load(&fixture->server.requests));
}

static void only_what_is_listed_is_connected_to(void **state)
{
    struct fixture *fixture = *state;
    char json[256];

    check_fails(fixture->host, "{\"url\":\"http://127.0.0.1:3/\"}", DRAY_KIND_REJECTED,
                "not_allowed", "127.0.0.1: the host and port are not in DRAY_WEBHOOK_ALLOW");
    check_fails(fixture->host, "{\"url\":\"https://other.example.com/\"}", DRAY_KIND_REJECTED,
                "not_allowed", "other.example.com");
    check_fails(fixture->host, "{\"url\":\"http://hooks.example.com:22/\"}", DRAY_KIND_REJECTED,
                "not_allowed", "");
    check_fails(fixture->host, "{\"url\":\"http://169.254.169.254/latest\"}", DRAY_KIND_REJECTED,
                "not_allowed", "");
    /* Listed by its name, but the name leads to loopback. */
    (void)snprintf(json, sizeof(json), "{\"url\":\"http://localhost:%u/ok\"}",
                   fixture->server.port);
    check_fails(fixture->host, json, DRAY_KIND_REJECTED, "not_allowed",
                "localhost: its address is not public");
    /* Other ways to write 127.0.0.1 are the same address, and listed or not as such. */
    check_fails(fixture->host, "{\"url\":\"http://2130706433:3/\"}", DRAY_KIND_REJECTED,
                "not_allowed", "127.0.0.1");
    assert_int_equal(0, server_connections(&fixture->server));
}

static void urls_that_are_none_are_invalid(void **state)
{
    static const char *const urls[] = {"ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "nonsense",
                                       "http://",
                                       "http://u:p@127.0.0.1/",
                                       "http://127.0.0.1:99999/",
                                       "gopher://127.0.0.1/",
                                       "http://a b/"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char json[256];

        (void)snprintf(json, sizeof(json), "{\"url\":\"%s\"}", urls[i]);
        check_fails(fixture->host, json, DRAY_KIND_INVALID, "url", "payload.url: ");
    }
    check_fails(fixture->host, "{}", DRAY_KIND_INVALID, "payload", "the key \"url\"");
    check_fails(fixture->host, post(fixture, "/ok", ",\"body\":[1]"), DRAY_KIND_INVALID, "payload",
                "payload.body: expected text, found an array");
    check_fails(fixture->host, "{\"url\":\"http://127.0.0.1/\\u0000\"}", DRAY_KIND_INVALID, "url",
                "holds a NUL");
    assert_int_equal(0, server_connections(&fixture->server));
}

static void calls_in_a_row_share_a_connection(void **state)
{
    struct fixture *fixture = *state;
    const struct dray_test_call call = {.payload = post(fixture, "/ok", "")};

    for (unsigned i = 0; i < 5; i++) {
        struct dray_test_outcome *outcome = check_run(fixture->host, &call);

        assert_int_equal(DRAY_KIND_NONE, outcome->kind);
        dray_test_outcome_destroy(outcome);
    }
    assert_int_equal(5, atomic_load(&fixture->server.requests));
    assert_int_equal(1, server_connections(&fixture->server));
}

struct caller {
    struct dray_test_host *host;
    struct dray_test_call call;
    unsigned good;
};

static void *call_often(void *arg)
{
    struct caller *caller = arg;

    for (unsigned i = 0; i < 20; i++) {
        struct dray_test_outcome *outcome = NULL;

        if (dray_test_host_run(caller->host, &caller->call, &outcome) == DRAY_OK) {
            caller->good += outcome->kind == DRAY_KIND_NONE;
            dray_test_outcome_destroy(outcome);
        }
    }
    return NULL;
}

static void many_threads_call_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct caller callers[4];
    pthread_t threads[4];
    const char *json = post(fixture, "/ok", ",\"body\":\"x\"");

    for (unsigned i = 0; i < 4; i++) {
        callers[i] = (struct caller){fixture->host, {.payload = json}, 0};
        assert_int_equal(0, pthread_create(&threads[i], NULL, call_often, &callers[i]));
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
        assert_int_equal(20, callers[i].good);
    }
    assert_true(server_connections(&fixture->server) <= 4);
}

static void a_list_that_makes_no_sense_is_refused_at_open(void **state)
{
    struct dray_test_host *host = NULL;

    (void)state;
    check_env("DRAY_WEBHOOK_ALLOW", "good.example.com,http://bad");
    test_status(DRAY_EINVALID, dray_test_host_load(MODULE, &host));
    check_env("DRAY_WEBHOOK_ALLOW", NULL);
    test_ok(dray_test_host_load(MODULE, &host));
    check_fails(host, "{\"url\":\"https://hooks.example.com/\"}", DRAY_KIND_REJECTED, "not_allowed",
                "not in DRAY_WEBHOOK_ALLOW");
    dray_test_host_close(host);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_post_arrives_as_it_was_meant_and_its_answer_comes_back),
        CASE(ids_and_traces_cannot_bring_headers_of_their_own),
        CASE(answers_may_be_empty_binary_or_long),
        CASE(refusals_of_the_server_have_their_kinds),
        CASE(no_connection_is_a_network_error),
        CASE(a_silent_server_is_a_timeout_by_the_payload_or_by_the_deadline),
        CASE(a_cancelled_call_lets_go_of_its_connection_at_once),
        CASE(only_what_is_listed_is_connected_to),
        CASE(urls_that_are_none_are_invalid),
        CASE(calls_in_a_row_share_a_connection),
        CASE(many_threads_call_at_once),
        CASE(a_list_that_makes_no_sense_is_refused_at_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
