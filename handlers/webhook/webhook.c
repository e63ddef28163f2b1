/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* webhook.c - webhook.post: one HTTP POST by libcurl, to where the operator allows.
 *
 * DRAY_WEBHOOK_ALLOW lists the hosts (allow.h); without it every call is refused. No redirect is
 * followed, no proxy and no .netrc of the process is used, and the address is checked where the
 * socket is made: a URL comes from whoever may send commands, and must not become a way into the
 * inner network.
 *
 * What comes back:
 *   2xx                  result {status, body, truncated, us}
 *   429, 5xx             unavailable, with the server's Retry-After (seconds or date), code
 * "http_503" 408                  timeout other 4xx, 3xx       rejected, code "http_404" no
 * connection, reset network, code after curl's word too slow             timeout: of timeout_ms, or
 * of the command's deadline if that is earlier not allowed          rejected, code "not_allowed"
 * The command's id goes along as Idempotency-Key, because a command can come twice.
 *
 * A transfer needs an easy handle and a multi handle, which keeps connections and can be woken from
 * another thread when the call is cancelled. They are kept in a list, as many as calls ever ran at
 * once, and end with the module's close. Rejected: a pair for each thread, in thread data; its
 * destructor would run in a thread that outlives the module's close.
 */

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dray/handler.h>
#include <dray/reader.h>
#include <dray/writer.h>

#include "allow.h"
#include "signatures.h"

#define BODY_KEPT        (64u * 1024u)
#define BODY_READ_MAX    (1024u * 1024u) /* then the server is cut off */
#define POLL_MS          60000 /* curl has its own timers, and a cancelled call wakes it */
#define RETRY_AFTER_MAX  86400
#define HEADERS_MAX      4u
#define HEADER_BYTES     192u
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* A line to the outside: used by one call at a time. */
struct line {
    struct line *next;
    CURLM *multi;
    CURL *easy;
    char error[CURL_ERROR_SIZE];
    uint8_t body[BODY_KEPT];
};

struct client {
    struct allow *allow; /* immutable */
    pthread_mutex_t lock;
    struct line *idle; /* guarded by lock */
};

struct post {
    struct dray_slice url;
    struct dray_slice body;
    struct dray_slice content_type;
    uint64_t timeout_ms;
};

static const struct dray_field post_fields[] = {
    DRAY_REQUIRED(struct post, url, TEXT, 1, 2048),
    DRAY_OPTIONAL(struct post, body, VALUE, 0, 0),
    DRAY_OPTIONAL(struct post, content_type, TEXT, 1, 128),
    DRAY_OPTIONAL(struct post, timeout_ms, UINT, 1, 300000),
};

/* One exchange. */
struct exchange {
    const struct client *client;
    struct line *line;
    char host[256];
    size_t kept;
    size_t received;
    bool is_address_refused;
    char headers_text[HEADERS_MAX][HEADER_BYTES];
    struct curl_slist headers[HEADERS_MAX]; /* linked here: curl only reads the list */
    unsigned headers_count;
};

/* ---- lines ---- */

static void line_destroy(struct line *line)
{
    if (line->easy != NULL) {
        curl_easy_cleanup(line->easy);
    }
    if (line->multi != NULL) {
        (void)curl_multi_cleanup(line->multi);
    }
    free(line);
}

static struct line *line_take(struct client *client)
{
    struct line *line;

    (void)pthread_mutex_lock(&client->lock);
    line = client->idle;
    if (line != NULL) {
        client->idle = line->next;
    }
    (void)pthread_mutex_unlock(&client->lock);
    if (line != NULL) {
        return line;
    }
    line = calloc(1, sizeof(*line));
    if (line == NULL) {
        return NULL;
    }
    line->easy = curl_easy_init();
    line->multi = curl_multi_init();
    if (line->easy == NULL || line->multi == NULL) {
        line_destroy(line);
        return NULL;
    }
    return line;
}

static void line_put(struct client *client, struct line *line)
{
    curl_easy_reset(line->easy); /* the multi handle keeps its connections */
    (void)pthread_mutex_lock(&client->lock);
    line->next = client->idle;
    client->idle = line;
    (void)pthread_mutex_unlock(&client->lock);
}

/* ---- what curl calls ---- */

static size_t on_body(char *at, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    size_t len = size * count;
    size_t room = BODY_KEPT - exchange->kept;
    size_t take = len < room ? len : room;

    memcpy(exchange->line->body + exchange->kept, at, take);
    exchange->kept += take;
    exchange->received += len;
    return exchange->received > BODY_READ_MAX ? 0 : len;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = arg;

    (void)purpose;
    if (!allow_address(exchange->client->allow, exchange->host, &address->addr)) {
        exchange->is_address_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void on_cancel(void *arg)
{
    (void)curl_multi_wakeup(arg);
}

/* ---- the request ---- */

/* Nothing that could end a header line, or begin another. */
static bool is_plain(struct dray_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < ' ' || text.at[i] > '~') {
            return false;
        }
    }
    return !dray_slice_is_absent(text) && text.len > 0;
}

static void add_header(struct exchange *exchange, const char *name, struct dray_slice value)
{
    unsigned i = exchange->headers_count;
    int len = snprintf(exchange->headers_text[i], HEADER_BYTES, "%s: %.*s", name, (int)value.len,
                       (const char *)value.at);

    if (len < 0 || (size_t)len >= HEADER_BYTES) {
        return;
    }
    exchange->headers[i].data = exchange->headers_text[i];
    exchange->headers[i].next = NULL;
    if (i > 0) {
        exchange->headers[i - 1].next = &exchange->headers[i];
    }
    exchange->headers_count++;
}

static void add_headers(struct exchange *exchange, const struct dray_call *call,
                        const struct post *post)
{
    static const char digits[] = "0123456789abcdef";
    char hex[128];
    size_t len = call->id.len < 64 ? call->id.len : 64;

    add_header(exchange, "Content-Type", post->content_type);
    add_header(exchange, "Expect", dray_slice_text("")); /* no 100-continue: one round trip less */
    if (!call->is_id_binary && is_plain(call->id)) {
        add_header(exchange, "Idempotency-Key", call->id);
    } else {
        for (size_t i = 0; i < len; i++) {
            hex[2 * i] = digits[call->id.at[i] >> 4];
            hex[2 * i + 1] = digits[call->id.at[i] & 0x0f];
        }
        add_header(exchange, "Idempotency-Key", dray_slice_of(hex, 2 * len));
    }
    if (is_plain(call->trace)) {
        add_header(exchange, "traceparent", call->trace);
    }
}

/* The part of a URL, or "" when it is not there. */
static bool get_part(CURLU *url, CURLUPart part, char *ret_text, size_t text_bytes)
{
    char *text = NULL;
    bool fits = true;

    ret_text[0] = '\0';
    if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && text != NULL) {
        fits = snprintf(ret_text, text_bytes, "%s", text) < (int)text_bytes;
    }
    curl_free(text);
    return fits;
}

static enum dray_error_kind refuse(struct dray_call *call, const char *host, const char *why)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "%s: %s", host, why);
    return dray_call_fail(call, DRAY_KIND_REJECTED, "not_allowed", text);
}

/* Parses and judges the URL, which curl is then given parsed: nobody reads it differently later. */
static enum dray_error_kind check_url(struct dray_call *call, const struct post *post, CURLU *url,
                                      struct exchange *exchange)
{
    char text[2049];
    char part[256];
    char port[16];
    size_t len;

    if (memchr(post->url.at, '\0', post->url.len) != NULL) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "url", "payload.url: holds a NUL");
    }
    memcpy(text, post->url.at, post->url.len);
    text[post->url.len] = '\0';
    if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
        !get_part(url, CURLUPART_SCHEME, part, sizeof(part)) ||
        (strcmp(part, "http") != 0 && strcmp(part, "https") != 0)) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "url",
                              "payload.url: expected a URL with http:// or https://");
    }
    if (!get_part(url, CURLUPART_USER, part, sizeof(part)) || part[0] != '\0') {
        return dray_call_fail(call, DRAY_KIND_INVALID, "url",
                              "payload.url: a user and a password do not belong into a command");
    }
    if (!get_part(url, CURLUPART_HOST, exchange->host, sizeof(exchange->host)) ||
        !get_part(url, CURLUPART_PORT, port, sizeof(port))) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "url", "payload.url: the host is too long");
    }
    len = strlen(exchange->host);
    if (exchange->host[0] == '[') { /* IPv6 */
        memmove(exchange->host, exchange->host + 1, len - 1);
        exchange->host[len - 2] = '\0';
    }
    if (!allow_host(exchange->client->allow, exchange->host, (uint16_t)strtoul(port, NULL, 10))) {
        return refuse(call, exchange->host, "the host and port are not in DRAY_WEBHOOK_ALLOW");
    }
    return DRAY_KIND_NONE;
}

/* The first failure stays. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK) {                                                                    \
            code = curl_easy_setopt(easy, (option), (value));                                      \
        }                                                                                          \
    } while (false)

static CURLcode set_options(struct exchange *exchange, CURLU *url, const struct post *post,
                            uint64_t timeout_ms)
{
    CURL *easy = exchange->line->easy;
    CURLcode code = CURLE_OK;

    exchange->line->error[0] = '\0';
    SET(CURLOPT_ERRORBUFFER, exchange->line->error);
    SET(CURLOPT_CURLU, url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "dray-webhook/1.0");
    SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for a resolver that is overdue */
#endif
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, post->body.at == NULL ? "" : (const char *)post->body.at);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
    SET(CURLOPT_HTTPHEADER, &exchange->headers[0]);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SET(CURLOPT_OPENSOCKETDATA, exchange);
    return code;
}

#undef SET

/* ---- the exchange ---- */

/* False: cancelled. */
static bool perform(struct dray_call *call, struct line *line, CURLcode *ret_code)
{
    CURLcode code = CURLE_OK;
    bool is_done = false;
    int running = 1;

    if (curl_multi_add_handle(line->multi, line->easy) != CURLM_OK) {
        *ret_code = CURLE_OUT_OF_MEMORY;
        return true;
    }
    while (!is_done && !dray_call_is_cancelled(call)) {
        const CURLMsg *message;
        int left = 0;

        if (curl_multi_perform(line->multi, &running) != CURLM_OK) {
            code = CURLE_OUT_OF_MEMORY;
            break;
        }
        while ((message = curl_multi_info_read(line->multi, &left)) != NULL) {
            if (message->msg == CURLMSG_DONE) {
                code = message->data.result;
                is_done = true;
            }
        }
        if (!is_done) {
            (void)curl_multi_poll(line->multi, NULL, 0, POLL_MS, NULL);
        }
    }
    (void)curl_multi_remove_handle(line->multi, line->easy);
    *ret_code = code;
    return is_done || code != CURLE_OK;
}

static enum dray_error_kind judge_failure(struct dray_call *call, const struct exchange *exchange,
                                          CURLcode code)
{
    const char *text =
        exchange->line->error[0] != '\0' ? exchange->line->error : curl_easy_strerror(code);

    if (exchange->is_address_refused && code == CURLE_COULDNT_CONNECT) {
        return refuse(
            call, exchange->host,
            "its address is not public: list its network in DRAY_WEBHOOK_ALLOW if it is meant");
    }
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return dray_call_fail(call, DRAY_KIND_TIMEOUT, "timeout", text);
    case CURLE_COULDNT_RESOLVE_HOST:
        return dray_call_fail(call, DRAY_KIND_NETWORK, "resolve", text);
    case CURLE_COULDNT_CONNECT:
        return dray_call_fail(call, DRAY_KIND_NETWORK, "connect", text);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return dray_call_fail(call, DRAY_KIND_NETWORK, "tls", text);
    case CURLE_OUT_OF_MEMORY:
        return dray_call_fail(call, DRAY_KIND_UNAVAILABLE, "memory", text);
    default:
        return dray_call_fail(call, DRAY_KIND_NETWORK, "exchange", text);
    }
}

static enum dray_error_kind judge_status(struct dray_call *call, CURL *easy, long status)
{
    enum dray_error_kind kind = DRAY_KIND_REJECTED;
    curl_off_t seconds = 0;
    char code[32];
    char text[96];

    (void)snprintf(code, sizeof(code), "http_%ld", status);
    (void)snprintf(text, sizeof(text), "the server answered %ld%s", status,
                   status >= 300 && status < 400 ? "; redirects are not followed" : "");
    if (status == 408) {
        kind = DRAY_KIND_TIMEOUT;
    } else if (status == 429 || status >= 500) {
        kind = DRAY_KIND_UNAVAILABLE;
    }
    if (kind == DRAY_KIND_REJECTED ||
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0) {
        seconds = 0;
    }
    if (seconds > RETRY_AFTER_MAX) {
        seconds = RETRY_AFTER_MAX;
    }
    return dray_call_fail_after(call, kind, code, text, (uint32_t)seconds * 1000);
}

static void write_result(struct dray_call *call, const struct exchange *exchange, long status)
{
    struct dray_slice body = dray_slice_of(exchange->line->body, exchange->kept);
    bool is_truncated = exchange->received > exchange->kept;
    curl_off_t us = 0;

    (void)curl_easy_getinfo(exchange->line->easy, CURLINFO_TOTAL_TIME_T, &us);
    dray_write_map(&call->result, 4);
    dray_write_text(&call->result, "status");
    dray_write_int(&call->result, status);
    dray_write_text(&call->result, "body");
    if (dray_text_is_valid(body)) {
        dray_write_slice(&call->result, body);
    } else {
        dray_write_bin(&call->result, body);
    }
    dray_write_text(&call->result, "truncated");
    dray_write_bool(&call->result, is_truncated);
    dray_write_text(&call->result, "us");
    dray_write_int(&call->result, us);
}

static enum dray_error_kind exchange_on(struct dray_call *call, const struct post *post, CURLU *url,
                                        struct exchange *exchange)
{
    uint64_t timeout_ms = dray_call_remaining_ms(call);
    CURLcode code;
    long status = 0;
    bool is_ended;

    timeout_ms = post->timeout_ms < timeout_ms ? post->timeout_ms : timeout_ms;
    if (timeout_ms == 0) {
        return dray_call_fail(call, DRAY_KIND_TIMEOUT, "deadline", "the deadline is over");
    }
    add_headers(exchange, call, post);
    code = set_options(exchange, url, post, timeout_ms);
    if (code != CURLE_OK) {
        return dray_call_fail(call, DRAY_KIND_INTERNAL, "curl", curl_easy_strerror(code));
    }
    if (dray_call_on_cancel(call, on_cancel, exchange->line->multi) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_TIMEOUT, "cancelled", "cancelled before it was sent");
    }
    is_ended = perform(call, exchange->line, &code);
    dray_call_off_cancel(call);
    if (!is_ended) {
        return dray_call_fail(call, DRAY_KIND_TIMEOUT, "cancelled",
                              "cancelled before the answer was there; it may have been sent");
    }
    (void)curl_easy_getinfo(exchange->line->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR && exchange->received > BODY_READ_MAX) {
        code = CURLE_OK; /* we were the ones who hung up */
    }
    if (code != CURLE_OK) {
        return judge_failure(call, exchange, code);
    }
    if (status < 200 || status > 299) {
        return judge_status(call, exchange->line->easy, status);
    }
    write_result(call, exchange, status);
    return DRAY_KIND_NONE;
}

/* The body is text or bytes; it came as msgpack. */
static enum dray_status read_body(struct dray_reader *parent, struct post *post,
                                  struct dray_reader *body)
{
    if (dray_slice_is_absent(post->body)) {
        return DRAY_OK;
    }
    dray_reader_init_inside(body, parent, "body", post->body);
    if (dray_reader_peek(body) == DRAY_TYPE_BIN) {
        return dray_read_bin(body, &post->body);
    }
    return dray_read_text(body, &post->body);
}

static enum dray_error_kind post_webhook(struct dray_call *call)
{
    struct client *client = call->user;
    struct post post = {.content_type = dray_slice_text("application/json"), .timeout_ms = 10000};
    struct exchange exchange = {.client = client};
    struct dray_reader reader;
    struct dray_reader body;
    enum dray_error_kind kind;
    CURLU *url;

    dray_reader_init(&reader, call->payload);
    if (dray_read_fields(&reader, post_fields, ARRAY_LEN(post_fields), &post) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&reader));
    }
    if (read_body(&reader, &post, &body) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&body));
    }
    if (!is_plain(post.content_type)) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload",
                              "payload.content_type: expected plain ASCII");
    }
    url = curl_url();
    exchange.line = url == NULL ? NULL : line_take(client);
    if (exchange.line == NULL) {
        curl_url_cleanup(url);
        return dray_call_fail(call, DRAY_KIND_UNAVAILABLE, "memory", "out of memory");
    }
    kind = check_url(call, &post, url, &exchange);
    if (kind == DRAY_KIND_NONE) {
        kind = exchange_on(call, &post, url, &exchange);
    }
    line_put(client, exchange.line);
    curl_url_cleanup(url);
    return kind;
}

/* ---- the module ---- */

static void end(void *user)
{
    struct client *client = user;

    while (client->idle != NULL) {
        struct line *line = client->idle;

        client->idle = line->next;
        line_destroy(line);
    }
    (void)pthread_mutex_destroy(&client->lock);
    allow_destroy(client->allow);
    free(client);
    curl_global_cleanup();
}

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): open runs alone, and nobody may change the environment
     */
    const char *list = getenv("DRAY_WEBHOOK_ALLOW");
    struct client *client = calloc(1, sizeof(*client));
    const char *entry = "";
    enum dray_status status;
    char text[256];

    if (client == NULL) {
        return DRAY_ENOMEM;
    }
    status = allow_create(list == NULL ? "" : list, &client->allow, &entry);
    if (status == DRAY_EINVALID) {
        (void)snprintf(text, sizeof(text),
                       "DRAY_WEBHOOK_ALLOW: expected host, host:port, *.domain or network/bits at "
                       "\"%.100s\"",
                       entry);
        env->log(3, text);
    }
    if (status == DRAY_OK && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        env->log(3, "libcurl cannot be used here");
        allow_destroy(client->allow);
        status = DRAY_EUNSUPPORTED;
    }
    if (status != DRAY_OK) {
        free(client);
        return status;
    }
    if (list == NULL) {
        env->log(2, "DRAY_WEBHOOK_ALLOW is not set: every webhook will be refused");
    }
    (void)pthread_mutex_init(&client->lock, NULL);
    *ret_user = client;
    return DRAY_OK;
}

static const struct dray_handler handlers[] = {
    {
        .command = "webhook.post",
        .version = "1.0.0",
        .signature = DRAY_SIGNATURE_WEBHOOK_POST_1_0_0,
        .name = "webhook_post",
        .fn = post_webhook,
        .run = DRAY_RUN_POOL,
    },
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,    .name = "webhook", .build = "1.0.0", .handlers = handlers,
    .handlers_count = 1, .open = begin,     .close = end,
};
