/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>

#include "nats_server.h"
#include "transport_contract.h"

/* The contract on a real nats-server. The broker that dies is one of our own; everything else runs
 * on the one in DRAY_TEST_NATS when there is one, so that the suite also meets a server that other
 * tests use at the same time. */

static struct nats_server server;

static void kill_broker(struct contract_subject *self)
{
    (void)self;
    nats_server_kill(&server);
}

static void start_broker(struct contract_subject *self)
{
    (void)self;
    nats_server_start(&server);
}

/** By nats.c as anybody uses it. */
static void produce(struct contract_subject *self, const struct dri_publish *message)
{
    natsConnection *nc = NULL;
    natsMsg *out = NULL;
    char subject[128];
    (void)snprintf(subject, sizeof(subject), "%.*s", (int)message->topic.len,
                   (const char *)message->topic.at);
    assert_int_equal(natsConnection_ConnectTo(&nc, self->url), NATS_OK);
    assert_int_equal(natsMsg_Create(&out, subject, NULL, (const char *)message->value.at,
                                    (int)message->value.len),
                     NATS_OK);
    static const char *const names[] = {"Nats-Whatever", "plain", "Status"};
    for (size_t i = 0; i < 3; i++) {
        char value[64] = "";
        struct dray_slice found = contract_find_header(message->headers, names[i], 0);
        (void)snprintf(value, sizeof(value), "%.*s", (int)found.len, (const char *)found.at);
        assert_int_equal(natsMsgHeader_Set(out, names[i], value), NATS_OK);
    }
    assert_int_equal(natsConnection_PublishMsg(nc, out), NATS_OK);
    assert_int_equal(natsConnection_FlushTimeout(nc, 5000), NATS_OK);
    natsMsg_Destroy(out);
    natsConnection_Destroy(nc);
}

int main(int argc, char **argv)
{
    const char *url = getenv("DRAY_TEST_NATS");
    bool is_partitioned = argc > 1 && strcmp(argv[1], "--partitioned") == 0;
    bool is_own = is_partitioned || (argc > 1 && strcmp(argv[1], "--own-server") == 0);
    const char *filter = argc > (is_own ? 2 : 1) ? argv[is_own ? 2 : 1] : NULL;
    struct contract_subject subject = {
        .name = is_partitioned ? "nats, partitions"
                : is_own       ? "nats, a server of its own"
                               : "nats",
        .ops = &dri_nats_ops,
        .options = {{"ack_wait_ms", "3000"}, {"publish_timeout_ms", "3000"}},
        .options_count = 2,
        .mode = DRI_SETTLE_EACH,
        .lease_ms = 3000,
        .partitions = is_partitioned ? 4 : 1,
        .is_partitioned = is_partitioned,
        .has_null = false,
        .has_dedup = true,
        .has_fd = true,
        .has_options = true,
        .has_reserved_headers = true,
        .produce = produce,
    };
    if (is_partitioned) {
        subject.options[subject.options_count++] = (struct dri_option){"partitions", "4"};
        subject.options[subject.options_count++] = (struct dri_option){"lease_ms", "20000"};
    }
    if (is_own) {
        if (!nats_server_is_there()) {
            (void)fprintf(stderr, "skipped: there is no nats-server\n");
            return 77;
        }
        nats_server_init(&server);
        nats_server_start(&server);
        url = server.url;
        subject.broker_kill = kill_broker;
        subject.broker_start = start_broker;
    }
    if (url == NULL || url[0] == '\0') {
        (void)fprintf(stderr, "skipped: DRAY_TEST_NATS is not set\n");
        return 77;
    }
    (void)snprintf(subject.url, sizeof(subject.url), "%s", url);
    int failed = contract_main(&subject, filter);
    if (is_own) {
        nats_server_fini(&server);
    }
    return failed == 0 ? 0 : 1;
}
