/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TEST_NATS_SERVER_H
#define DRAY_TEST_NATS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

/* nats_server.h - a nats-server of a test's own: on a free port, in a temporary folder, killed with
 * the test. For cases that kill the broker or need it set up in a special way.
 */

struct nats_server {
    char folder[64];
    char url[64];
    char config[12288]; /* more lines of its configuration; set before start */
    bool has_no_jetstream;
    int port, http_port;
    pid_t pid;
};

/** False: there is no nats-server on this machine (or $DRAY_NATS_SERVER is wrong). */
bool nats_server_is_there(void);
/** For main: only the cases that argv names, when it names some. Returns 77 and says why when there
 * is no nats-server, else 0. */
int nats_server_begin(int argc, char **argv);
/** A folder and a port; nothing runs yet. */
void nats_server_init(struct nats_server *server);
/** Runs it and waits until it greets. */
void nats_server_start(struct nats_server *server);
/** Takes over what config says now; returns when it is in effect. */
void nats_server_reload(struct nats_server *server);
/** SIGKILL; data and port stay. */
void nats_server_kill(struct nats_server *server);
void nats_server_pause(struct nats_server *server);
void nats_server_resume(struct nats_server *server);
/** Kills it and removes the folder. */
void nats_server_fini(struct nats_server *server);

#endif
