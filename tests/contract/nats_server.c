/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

#define START_MS 20000u

static const char *binary(void)
{
    const char *name = getenv("DRAY_NATS_SERVER");
    return name != NULL && name[0] != '\0' ? name : "nats-server";
}

bool nats_server_is_there(void)
{
    char command[512];
    (void)snprintf(command, sizeof(command),
                   "PATH=\"$PATH:/usr/sbin:/usr/local/sbin\" command -v '%s' >/dev/null", binary());
    return system(command) == 0; /* NOLINT(cert-env33-c): a test, and our own words */
}

int nats_server_begin(int argc, char **argv)
{
    if (!nats_server_is_there()) {
        (void)fprintf(stderr, "skipped: there is no nats-server\n");
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return 0;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

void nats_server_init(struct nats_server *server)
{
    memset(server, 0, sizeof(*server));
    (void)snprintf(server->folder, sizeof(server->folder), "/tmp/dray-nats-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    server->port = free_port();
    server->http_port = free_port();
    (void)snprintf(server->url, sizeof(server->url), "nats://127.0.0.1:%d", server->port);
}

static void write_config(const struct nats_server *server)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/nats.conf", server->folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file, "listen: \"127.0.0.1:%d\"\nhttp: \"127.0.0.1:%d\"\n", server->port,
                  server->http_port);
    (void)fprintf(file, "server_name: dray-contract-%d\n", server->port);
    if (!server->has_no_jetstream) {
        (void)fprintf(file,
                      "jetstream { store_dir: \"%s/store\", max_mem: 256MB, max_file: 8GB }\n",
                      server->folder);
    }
    (void)fprintf(file, "%s\n", server->config);
    assert_int_equal(fclose(file), 0);
}

/** Whether it greets with INFO. */
static bool greets(const struct nats_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char line[8] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = fd >= 0 &&
                    connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0 &&
                    recv(fd, line, 4, MSG_WAITALL) == 4 && memcmp(line, "INFO", 4) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_there;
}

static void run(const struct nats_server *server)
{
    char config[128], log[128];
    (void)snprintf(config, sizeof(config), "%s/nats.conf", server->folder);
    (void)snprintf(log, sizeof(log), "%s/log", server->folder);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(fd, 1);
    (void)dup2(fd, 2);
    (void)setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/usr/local/sbin", 1);
    (void)execlp(binary(), binary(), "-c", config, (char *)NULL);
    _exit(127);
}

/** How many lines of its log have this word; NULL: all, and shows them. */
static size_t read_log(const struct nats_server *server, const char *word)
{
    char path[128], line[512];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "%s/log", server->folder);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        count += word == NULL || strstr(line, word) != NULL ? 1 : 0;
        if (word == NULL) {
            print_error("%s", line);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

void nats_server_start(struct nats_server *server)
{
    uint64_t until_ns = dri_clock_mono_ns() + START_MS * UINT64_C(1000000);
    write_config(server);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        run(server);
    }
    while (!greets(server)) {
        int status = 0;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid ||
            dri_clock_mono_ns() > until_ns) {
            (void)read_log(server, NULL);
            fail_msg("nats-server does not come up");
        }
        (void)poll(NULL, 0, 10); /* between two tries to connect */
    }
}

void nats_server_reload(struct nats_server *server)
{
    static const char done[] = "Reloaded server configuration";
    uint64_t until_ns = dri_clock_mono_ns() + START_MS * UINT64_C(1000000);
    size_t before = read_log(server, done);
    write_config(server);
    assert_int_equal(kill(server->pid, SIGHUP), 0);
    while (read_log(server, done) == before) {
        if (dri_clock_mono_ns() > until_ns) {
            (void)read_log(server, NULL);
            fail_msg("nats-server does not take its configuration over");
        }
        (void)poll(NULL, 0, 10); /* between two looks */
    }
}

void nats_server_kill(struct nats_server *server)
{
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

void nats_server_pause(struct nats_server *server)
{
    assert_int_equal(kill(server->pid, SIGSTOP), 0);
}

void nats_server_resume(struct nats_server *server)
{
    assert_int_equal(kill(server->pid, SIGCONT), 0);
}

void nats_server_fini(struct nats_server *server)
{
    char command[160];
    nats_server_kill(server);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", server->folder);
    if (strncmp(server->folder, "/tmp/dray-nats-", 15) == 0 &&
        system(command) != 0) { /* NOLINT(cert-env33-c): a folder of our own making */
        print_error("%s stays behind\n", server->folder);
    }
}
