/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "nats_fixture.h"

#include <stdio.h>

struct nats_server server;
struct contract_subject subject;

int nats_fixture_start(void **state)
{
    (void)state;
    nats_server_init(&server);
    nats_server_start(&server);
    subject = (struct contract_subject){
        .ops = &dri_nats_ops,
        .mode = DRI_SETTLE_EACH,
        .partitions = 1,
        .options = {{"ack_wait_ms", "1500"}, {"ping_interval_ms", "500"}},
        .options_count = 2,
    };
    (void)snprintf(subject.url, sizeof(subject.url), "%s", server.url);
    contract_it = &subject;
    return 0;
}

int nats_fixture_end(void **state)
{
    (void)state;
    nats_server_fini(&server);
    return 0;
}

void admin_open(struct admin *admin)
{
    assert_int_equal(natsConnection_ConnectTo(&admin->nc, server.url), NATS_OK);
    assert_int_equal(natsConnection_JetStream(&admin->js, admin->nc, NULL), NATS_OK);
}

void admin_close(struct admin *admin)
{
    jsCtx_Destroy(admin->js);
    natsConnection_Destroy(admin->nc);
}

/** "shop_1_2" -> "SHOP_1_2" */
const char *stream_of(const char *topic)
{
    static char name[96];
    size_t i = 0;
    for (; topic[i] != '\0' && i < sizeof(name) - 1; i++) {
        name[i] = topic[i] >= 'a' && topic[i] <= 'z' ? (char)(topic[i] - 32) : topic[i];
    }
    name[i] = '\0';
    return name;
}

void make_stream(const char *name, const char **subjects, int count)
{
    struct admin admin;
    jsStreamConfig config;
    admin_open(&admin);
    assert_int_equal(jsStreamConfig_Init(&config), NATS_OK);
    config.Name = name;
    config.Subjects = subjects;
    config.SubjectsLen = count;
    assert_int_equal(js_AddStream(NULL, admin.js, &config, NULL, NULL), NATS_OK);
    admin_close(&admin);
}

void make_consumer(const char *stream, jsConsumerConfig *config)
{
    struct admin admin;
    admin_open(&admin);
    assert_int_equal(js_AddConsumer(NULL, admin.js, stream, config, NULL, NULL), NATS_OK);
    admin_close(&admin);
}

void delete_consumer(const char *stream, const char *name)
{
    struct admin admin;
    admin_open(&admin);
    assert_int_equal(js_DeleteConsumer(admin.js, stream, name, NULL, NULL), NATS_OK);
    admin_close(&admin);
}

void delete_stream(const char *stream)
{
    struct admin admin;
    admin_open(&admin);
    assert_int_equal(js_DeleteStream(admin.js, stream, NULL, NULL), NATS_OK);
    admin_close(&admin);
}

int64_t ack_pending_of(const char *stream, const char *consumer)
{
    struct admin admin;
    jsConsumerInfo *info = NULL;
    admin_open(&admin);
    assert_int_equal(js_GetConsumerInfo(&info, admin.js, stream, consumer, NULL, NULL), NATS_OK);
    int64_t pending = info->NumAckPending;
    jsConsumerInfo_Destroy(info);
    admin_close(&admin);
    return pending;
}

void put_text(struct contract_client *client, const char *topic, const char *value, uint64_t token)
{
    struct dri_publish message = {.token = token,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text(value)};
    contract_publish(client, &message);
}

void watch_for(uint32_t ms, struct contract_client *client)
{
    subject.quiet_ms = ms;
    contract_watch(client, NULL);
    subject.quiet_ms = 0;
}

void deliver_often(const char *stream, const char *consumer, int times)
{
    struct admin admin;
    char subject_name[256];
    admin_open(&admin);
    (void)snprintf(subject_name, sizeof(subject_name), "$JS.API.CONSUMER.MSG.NEXT.%s.%s", stream,
                   consumer);
    for (int i = 0; i < times; i++) {
        natsMsg *message = NULL;
        assert_int_equal(natsConnection_RequestString(&message, admin.nc, subject_name, "1", 10000),
                         NATS_OK);
        assert_non_null(natsMsg_GetReply(message));
        natsMsg *answer = NULL; /* or the next request may overtake it */
        assert_int_equal(natsConnection_RequestString(&answer, admin.nc, natsMsg_GetReply(message),
                                                      "-NAK", 10000),
                         NATS_OK);
        natsMsg_Destroy(answer);
        natsMsg_Destroy(message);
    }
    admin_close(&admin);
}
