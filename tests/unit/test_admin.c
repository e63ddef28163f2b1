/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin.h"
#include "metrics.h"
#include "support/test.h"

struct fixture {
    struct dri_metrics *metrics;
    struct dri_admin *admin;
    bool is_alive, is_ready;
};

static bool say_alive(void *arg, char *ret_text, size_t text_bytes)
{
    snprintf(ret_text, text_bytes, "the loop");
    return ((struct fixture *)arg)->is_alive;
}

static bool say_ready(void *arg, char *ret_text, size_t text_bytes)
{
    snprintf(ret_text, text_bytes, "the work");
    return ((struct fixture *)arg)->is_ready;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char text[200] = "";
    test_ok(dri_metrics_create("s", "w", "v", &fixture->metrics));
    struct dri_admin_config config = {"127.0.0.1:0", fixture->metrics, say_alive, say_ready,
                                      fixture};
    test_ok(dri_admin_start(&config, &fixture->admin, text, sizeof(text)));
    fixture->is_alive = fixture->is_ready = true;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dri_admin_stop(fixture->admin);
    dri_metrics_destroy(fixture->metrics);
    free(fixture);
    return 0;
}

/* One request with a bare socket; the whole answer. */
static void ask(const struct fixture *fixture, const char *request, char *ret_answer, size_t bytes)
{
    const char *address = dri_admin_address(fixture->admin);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port =
                                 htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    size_t len = 0;
    ssize_t got = 0;
    while (len + 1 < bytes && (got = recv(fd, ret_answer + len, bytes - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    ret_answer[len] = '\0';
    close(fd);
}

static void assert_answer(const struct fixture *fixture, const char *first_line, const char *status,
                          const char *part)
{
    char request[200];
    static char answer[65536];
    snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             first_line);
    ask(fixture, request, answer, sizeof(answer));
    if (strstr(answer, status) == NULL || strstr(answer, part) == NULL) {
        fail_msg("%s: wanted %s and \"%s\", got:\n%s", first_line, status, part, answer);
    }
}

static void metrics_are_served_as_prometheus_text(void **state)
{
    assert_answer(*state, "GET /metrics", "200 OK", "dray_build_info{version=\"v\",worker=\"w\"}");
    assert_answer(*state, "GET /metrics", "200 OK", "text/plain; version=0.0.4");
}

static void each_probe_answers_for_itself(void **state)
{
    struct fixture *fixture = *state;
    assert_answer(fixture, "GET /livez", "200 OK", "ok: the loop");
    assert_answer(fixture, "GET /readyz", "200 OK", "ok: the work");
    fixture->is_ready = false;
    assert_answer(fixture, "GET /livez", "200 OK", "ok: the loop");
    assert_answer(fixture, "GET /readyz", "503", "not ok: the work");
    assert_answer(fixture, "GET /healthz", "503", "not ok: the loop; the work");
    fixture->is_ready = true;
    fixture->is_alive = false;
    assert_answer(fixture, "GET /livez", "503", "not ok: the loop");
    assert_answer(fixture, "HEAD /healthz", "503", "Content-Length");
}

static void what_is_not_served_is_refused_with_a_hint(void **state)
{
    assert_answer(*state, "GET /etc/passwd", "404", "try /metrics");
    assert_answer(*state, "POST /metrics", "405", "Allow: GET, HEAD");
    assert_answer(*state, "DELETE /metrics", "405", "GET or HEAD only");
}

static void garbage_and_huge_headers_do_not_hurt(void **state)
{
    static char answer[65536];
    static char huge[60000];
    ask(*state, "\x16\x03\x01 this is no HTTP\r\n\r\n", answer, sizeof(answer));
    int len = snprintf(huge, sizeof(huge), "GET /");
    memset(huge + len, 'a', sizeof(huge) - 64);
    (void)snprintf(huge + sizeof(huge) - 40, 40, " HTTP/1.1\r\n\r\n");
    ask(*state, huge, answer, sizeof(answer));
    assert_answer(*state, "GET /livez", "200 OK", "ok");
}

static void an_address_that_is_taken_is_an_error_that_says_what_to_do(void **state)
{
    struct fixture *fixture = *state;
    struct dri_admin_config config = {dri_admin_address(fixture->admin), fixture->metrics,
                                      say_alive, say_ready, fixture};
    struct dri_admin *second = NULL;
    char text[200] = "";
    assert_int_equal(dri_admin_start(&config, &second, text, sizeof(text)), DRAY_EEXISTS);
    assert_null(second);
    assert_non_null(strstr(text, "choose another port"));
    config.listen = "nonsense";
    assert_int_equal(dri_admin_start(&config, &second, text, sizeof(text)), DRAY_EINVALID);
    assert_non_null(strstr(text, "127.0.0.1:9464"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metrics_are_served_as_prometheus_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_probe_answers_for_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_served_is_refused_with_a_hint, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(garbage_and_huge_headers_do_not_hurt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_taken_is_an_error_that_says_what_to_do,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
