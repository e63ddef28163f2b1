/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "transport_contract.h"

/* Open, check, close, and a broker that dies. */

static struct dri_now now(void)
{
    return contract_it->now != NULL ? contract_it->now(contract_it) : dri_clock_now();
}

static enum dray_status try_open(struct contract_client *client)
{
    return contract_it->ops->open(&client->config, &client->transport, client->text,
                                  sizeof(client->text));
}

static void a_missing_topic_is_named_and_the_way_out_too(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("missing");
    (void)state;
    if (contract_it->makes_any_topic) {
        test_skip("there is no topic that is not there");
    }
    contract_init(&client, contract_name("group"));
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    client.config.can_create = false;
    test_status(DRAY_ENOTFOUND, try_open(&client));
    assert_null(client.transport);
    assert_non_null(strstr(client.text, topic));
    assert_non_null(strstr(client.text, "create_topics"));
    assert_non_null(strstr(client.text, "doctor"));
    contract_fini(&client);
}

static void a_topic_that_is_there_needs_no_right_to_create(void **state)
{
    struct contract_client first, second;
    const char *topic = contract_name("there");
    (void)state;
    contract_open_producer(&first, topic);
    contract_init(&second, contract_name("group"));
    contract_source(&second, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&second, topic, DRI_USE_COMMANDS);
    second.config.can_create = false;
    contract_open(&second);
    contract_fill(&first, topic, 2);
    contract_await(&second, DRI_TE_MESSAGE, 2, &first);
    contract_fini(&second);
    contract_fini(&first);
}

struct opener {
    struct contract_client client;
    enum dray_status status;
};

static void *open_one(void *arg)
{
    struct opener *opener = arg;
    opener->status = try_open(&opener->client);
    return NULL;
}

static void two_that_create_at_once_both_open(void **state)
{
    const char *topics[3] = {contract_name("race"), contract_name("race"), contract_name("race")};
    struct opener openers[2];
    pthread_t threads[2];
    const char *group = contract_name("group");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        contract_init(&openers[i].client, group);
        contract_source(&openers[i].client, topics[0], DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
        contract_topic(&openers[i].client, topics[0], DRI_USE_COMMANDS);
        contract_topic(&openers[i].client, topics[1], DRI_USE_RESULTS);
        contract_topic(&openers[i].client, topics[2], DRI_USE_CONTROL);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_one, &openers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        if (openers[i].status != DRAY_OK) {
            fail_msg("open %zu: %s", i, openers[i].client.text);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        contract_fini(&openers[i].client);
    }
}

static void check_reports_what_is_missing_and_mends_it(void **state)
{
    struct contract_client client;
    struct dri_topic_report reports[2];
    struct dri_transport_info info = {0};
    const char *commands = contract_name("check"), *control = contract_name("check");
    (void)state;
    if (contract_it->makes_any_topic) {
        test_skip("there is no topic that is not there");
    }
    contract_init(&client, NULL);
    contract_topic(&client, commands, DRI_USE_COMMANDS);
    contract_topic(&client, control, DRI_USE_CONTROL);
    for (int round = 0; round < 3; round++) {
        memset(reports, 0, sizeof(reports));
        client.config.can_create = round == 1;
        test_ok(contract_it->ops->check(&client.config, &info, reports, client.text,
                                        sizeof(client.text)));
        for (size_t i = 0; i < 2; i++) {
            assert_string_equal(reports[i].topic, i == 0 ? commands : control);
            assert_int_equal(reports[i].status, round == 0 ? DRAY_ENOTFOUND : DRAY_OK);
            assert_int_equal(reports[i].was_created, round == 1);
            assert_true(round > 0 || strlen(reports[i].text) > 0);
            assert_true(round == 0 || reports[i].partitions >= 1);
        }
    }
    assert_non_null(info.kind);
    assert_true(strlen(info.kind) > 0);
    assert_non_null(info.library);
    assert_non_null(info.server);
    contract_fini(&client);
}

static void info_tells_the_two_sides(void **state)
{
    struct contract_client client;
    struct dri_transport_info info = {0};
    (void)state;
    contract_open_producer(&client, contract_name("info"));
    contract_it->ops->info(client.transport, &info);
    assert_string_equal(info.kind, contract_it->ops->scheme);
    assert_true(strlen(info.library) > 0);
    assert_non_null(info.server);
    assert_true(info.message_bytes_max > 0);
    contract_fini(&client);
}

static void close_twice_is_like_once_and_nothing_goes_on_after_it(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("close");
    struct dri_transport_event event;
    bool more = true;
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    contract_fill(&client, topic, 3);
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    contract_it->ops->close(client.transport, 2000);
    contract_it->ops->close(client.transport, 2000);
    struct dri_publish message = {
        .topic = dray_slice_text(topic), .partition = -1, .value = dray_slice_text("x")};
    assert_int_equal(contract_it->ops->publish(client.transport, now(), &message, 1), 0);
    assert_int_equal(contract_it->ops->poll(client.transport, now(), 1, &event, 1, &more), 0);
    assert_false(more);
    contract_settle_first(&client, contract_it->mode == DRI_SETTLE_EACH ? 3 : 0);
    contract_it->ops->destroy(client.transport);
    client.transport = NULL;
    contract_it->ops->destroy(NULL);
    contract_fini(&client);
}

static void a_transport_that_was_never_polled_closes(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("unused");
    (void)state;
    contract_open_group(&client, contract_name("group"), topic);
    contract_fini(&client);
    contract_open_producer(&client, topic);
    contract_fini(&client);
}

static void a_publish_just_before_close_is_flushed(void **state)
{
    struct contract_client client, reader;
    const char *topic = contract_name("flush");
    (void)state;
    contract_open_producer(&client, topic);
    for (uint64_t i = 0; i < 100; i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .value = dray_slice_text("0")};
        contract_publish(&client, &message);
    }
    contract_fini(&client);
    contract_open_group(&reader, contract_name("group"), topic);
    contract_await(&reader, DRI_TE_MESSAGE, 100, NULL);
    contract_fini(&reader);
}

static void an_unknown_option_is_refused_with_its_name(void **state)
{
    struct contract_client client;
    (void)state;
    if (!contract_it->has_options) {
        test_skip("this transport has no options");
    }
    contract_init(&client, NULL);
    contract_option(&client, "no.such_option", "1");
    test_status(DRAY_EINVALID, try_open(&client));
    assert_non_null(strstr(client.text, "no.such_option"));
    assert_null(client.transport);
    contract_fini(&client);
}

static void a_broker_that_is_not_there_is_told_in_time(void **state)
{
    struct contract_client client;
    char url[64];
    (void)state;
    if (!contract_it->has_fd) {
        test_skip("there is no network to miss it in");
    }
    (void)snprintf(url, sizeof(url), "%s://127.0.0.1:1", contract_it->ops->scheme);
    contract_init(&client, NULL);
    client.config.url = url;
    client.config.timeout_ms = 700;
    contract_topic(&client, contract_name("nobody"), DRI_USE_COMMANDS);
    uint64_t start_ns = dri_clock_mono_ns();
    enum dray_status status = try_open(&client);
    assert_true(status == DRAY_EBROKER || status == DRAY_ETIMEOUT);
    assert_true(dri_clock_mono_ns() - start_ns < UINT64_C(10000000000));
    assert_non_null(strstr(client.text, "127.0.0.1"));
    contract_fini(&client);
}

static void an_idle_owner_is_woken_by_a_message(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("wake");
    (void)state;
    if (!contract_it->has_fd) {
        test_skip("polled by time only");
    }
    contract_open_group(&client, contract_name("group"), topic);
    contract_open_producer(&producer, topic);
    contract_await(&client, DRI_TE_ASSIGNED, contract_it->partitions, NULL);
    contract_watch(&client, NULL);
    for (size_t round = 1; round <= 3; round++) {
        contract_fill(&producer, topic, 1);
        /* Only the descriptor wakes us: no deadline is looked at. */
        for (int wakes = 0; contract_count(&client, DRI_TE_MESSAGE) < round; wakes++) {
            struct pollfd fd = {contract_it->ops->fd(client.transport), POLLIN, 0};
            assert_true(fd.fd >= 0);
            assert_in_range(wakes, 0, 1000);
            assert_int_equal(poll(&fd, 1, 10000), 1);
            (void)contract_poll(&client);
        }
    }
    contract_fini(&producer);
    contract_fini(&client);
}

/* --- ten thousand --------------------------------------------------------------------------- */

#define MANY 10000u

struct stream {
    struct contract_client *client;
    const char *topic;
    size_t sent, scanned;
    unsigned char acked[MANY], got[MANY];
    size_t acked_count, got_count;
};

static void stream_send(struct stream *stream)
{
    while (stream->sent < MANY) {
        char value[24], key[24];
        (void)snprintf(value, sizeof(value), "%zu", stream->sent);
        (void)snprintf(key, sizeof(key), "k%zu", stream->sent % 97);
        struct dri_publish message = {.token = stream->sent,
                                      .topic = dray_slice_text(stream->topic),
                                      .partition = -1,
                                      .key = dray_slice_text(key),
                                      .value = dray_slice_text(value)};
        if (contract_it->ops->publish(stream->client->transport, now(), &message, 1) == 0) {
            return;
        }
        stream->sent++;
    }
}

/** Sends what there is room for, counts and settles what came. */
static bool stream_done(void *arg)
{
    struct stream *stream = arg;
    struct contract_client *client = stream->client;
    stream_send(stream);
    for (; stream->scanned < client->seen_count; stream->scanned++) {
        struct dri_transport_event event = client->seen[stream->scanned].event;
        if (event.type == DRI_TE_PUBLISHED) {
            assert_int_equal(event.as.published.ack, DRI_ACK_STORED);
            assert_in_range(event.as.published.token, 0, MANY - 1);
            stream->acked_count += stream->acked[event.as.published.token]++ == 0 ? 1 : 0;
        } else if (event.type == DRI_TE_MESSAGE) {
            stream->got_count += stream->got[contract_number(&event)]++ == 0 ? 1 : 0;
            contract_settle(client, &event);
        }
    }
    return stream->acked_count == MANY && stream->got_count == MANY;
}

static void ten_thousand_messages_flow_through(void **state)
{
    static struct stream stream;
    struct contract_client client;
    const char *topic = contract_name("many"), *group = contract_name("group");
    (void)state;
    memset(&stream, 0, sizeof(stream));
    stream.client = &client;
    stream.topic = topic;
    contract_init(&client, group);
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    client.config.unacked_max = 1000;
    contract_open(&client);
    contract_await_that(&client, NULL, stream_done, &stream, "ten thousand messages");
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(stream.acked[i], 1);
        assert_int_equal(stream.got[i], 1);
    }
    contract_watch(&client, NULL);
    contract_fini(&client);
    contract_open_group(&client, group, topic);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

/* --- a broker that dies --------------------------------------------------------------------- */

#define RESTART_COUNT 300u

struct survivor {
    struct contract_client *client;
    const char *topic;
    bool stored[RESTART_COUNT], got[RESTART_COUNT], is_out[RESTART_COUNT];
    size_t next, scanned, stored_count, got_count;
};

static void survivor_send(struct survivor *survivor)
{
    for (size_t i = 0; i < survivor->next; i++) {
        char value[24], id[32];
        if (survivor->stored[i] || survivor->is_out[i]) {
            continue;
        }
        (void)snprintf(value, sizeof(value), "%zu", i);
        (void)snprintf(id, sizeof(id), "%s:%zu", survivor->topic, i);
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(survivor->topic),
                                      .partition = -1,
                                      .value = dray_slice_text(value),
                                      .dedup_id = dray_slice_text(id)};
        if (contract_it->ops->publish(survivor->client->transport, now(), &message, 1) == 0) {
            return;
        }
        survivor->is_out[i] = true;
    }
}

static void survivor_look(struct survivor *survivor)
{
    struct contract_client *client = survivor->client;
    for (; survivor->scanned < client->seen_count; survivor->scanned++) {
        struct dri_transport_event event = client->seen[survivor->scanned].event;
        if (event.type == DRI_TE_PUBLISHED) {
            size_t i = (size_t)event.as.published.token;
            assert_int_not_equal(event.as.published.ack, DRI_ACK_NOT_STORED);
            survivor->is_out[i] = false;
            if (event.as.published.ack == DRI_ACK_STORED && !survivor->stored[i]) {
                survivor->stored[i] = true;
                survivor->stored_count++;
            }
        } else if (event.type == DRI_TE_MESSAGE) {
            size_t i = contract_number(&event);
            survivor->got_count += survivor->got[i] ? 0 : 1;
            survivor->got[i] = true;
            contract_settle(client, &event);
        }
    }
}

static bool all_survived(void *arg)
{
    struct survivor *survivor = arg;
    survivor_look(survivor);
    survivor_send(survivor);
    return survivor->stored_count == survivor->next && survivor->got_count == survivor->next;
}

static void a_broker_that_dies_loses_nothing_that_it_acknowledged(void **state)
{
    static struct survivor survivor;
    struct contract_client client;
    const char *topic = contract_name("restart");
    (void)state;
    if (contract_it->broker_kill == NULL) {
        test_skip("this instance cannot kill its broker");
    }
    memset(&survivor, 0, sizeof(survivor));
    contract_open_group(&client, contract_name("group"), topic);
    survivor.client = &client;
    survivor.topic = topic;
    for (size_t round = 0; round < 3; round++) {
        survivor.next = (round + 1) * RESTART_COUNT / 3 - 20;
        contract_await_that(&client, NULL, all_survived, &survivor, "messages before a death");
        survivor.next += 20;
        survivor_send(&survivor); /* on the way when it dies */
        contract_it->broker_kill(contract_it);
        contract_watch(&client, NULL);
        survivor_send(&survivor); /* and while it is away */
        contract_it->broker_start(contract_it);
        contract_await_that(&client, NULL, all_survived, &survivor, "messages after a death");
    }
    contract_fini(&client);
}

static void a_log_goes_on_where_it_was_when_the_broker_comes_back(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("comeback");
    (void)state;
    if (contract_it->broker_kill == NULL) {
        test_skip("this instance cannot kill its broker");
    }
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    contract_it->broker_kill(contract_it);
    contract_watch(&client, NULL);
    contract_it->broker_start(contract_it);
    struct contract_client producer;
    contract_init(&producer, NULL);
    contract_topic(&producer, topic, DRI_USE_CONTROL);
    contract_open(&producer);
    contract_fill(&producer, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 20);
    uint64_t last = 0;
    for (size_t i = 0; i < 20; i++) {
        const struct dri_transport_event *event = contract_event(&client, DRI_TE_MESSAGE, i);
        assert_int_equal(contract_number(event), i % 10);
        assert_true(i == 0 || event->as.message.offset > last);
        last = event->as.message.offset;
    }
    contract_fini(&producer);
    contract_fini(&client);
}

const struct CMUnitTest contract_life_cases[] = {
    cmocka_unit_test(a_missing_topic_is_named_and_the_way_out_too),
    cmocka_unit_test(a_topic_that_is_there_needs_no_right_to_create),
    cmocka_unit_test(two_that_create_at_once_both_open),
    cmocka_unit_test(check_reports_what_is_missing_and_mends_it),
    cmocka_unit_test(info_tells_the_two_sides),
    cmocka_unit_test(close_twice_is_like_once_and_nothing_goes_on_after_it),
    cmocka_unit_test(a_transport_that_was_never_polled_closes),
    cmocka_unit_test(a_publish_just_before_close_is_flushed),
    cmocka_unit_test(an_unknown_option_is_refused_with_its_name),
    cmocka_unit_test(a_broker_that_is_not_there_is_told_in_time),
    cmocka_unit_test(an_idle_owner_is_woken_by_a_message),
    cmocka_unit_test(ten_thousand_messages_flow_through),
    cmocka_unit_test(a_broker_that_dies_loses_nothing_that_it_acknowledged),
    cmocka_unit_test(a_log_goes_on_where_it_was_when_the_broker_comes_back),
};
const size_t contract_life_count = sizeof(contract_life_cases) / sizeof(contract_life_cases[0]);
