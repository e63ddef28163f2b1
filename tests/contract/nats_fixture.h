/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_NATS_FIXTURE_H
#define DRAY_NATS_FIXTURE_H

#include <nats/nats.h>

#include "nats_server.h"
#include "transport_contract.h"

/* nats_fixture.h - one nats-server for a whole program of cases, and another client of it, as
 * anybody writes one with nats.c.
 */

extern struct nats_server server;
extern struct contract_subject subject;

struct admin {
    natsConnection *nc;
    jsCtx *js;
};

int nats_fixture_start(void **state);
int nats_fixture_end(void **state);
void admin_open(struct admin *admin);
void admin_close(struct admin *admin);
const char *stream_of(const char *topic);
void make_stream(const char *name, const char **subjects, int count);
void make_consumer(const char *stream, jsConsumerConfig *config);
void delete_consumer(const char *stream, const char *name);
void delete_stream(const char *stream);
int64_t ack_pending_of(const char *stream, const char *consumer);
/** Takes a message of a consumer and gives it back, `times` times. */
void deliver_often(const char *stream, const char *consumer, int times);
void put_text(struct contract_client *client, const char *topic, const char *value, uint64_t token);
void watch_for(uint32_t ms, struct contract_client *client);

#endif
