/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "nats_fixture.h"
#include "transport/nats_private.h"

/* What servers, networks and senders do to the NATS transport, and the rules that it keeps against
 * the traps of nats.c and nats-server. */

/* --- servers that are silent, die, and come back --------------------------------------------- */

static uint64_t longest_ns;

static void timed_poll(struct contract_client *client)
{
    uint64_t start_ns = dri_clock_mono_ns();
    (void)contract_poll(client);
    uint64_t took_ns = dri_clock_mono_ns() - start_ns;
    longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
}

static void a_silent_server_blocks_nothing_and_is_noticed(void **state)
{
    enum {
        BYTES = 60000
    };
    struct contract_client client;
    const char *topic = contract_name("silent");
    uint64_t token = 100;
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 5);
    uint8_t *bytes = calloc(1, BYTES);
    assert_non_null(bytes);
    nats_server_pause(&server);
    longest_ns = 0;
    uint64_t until_ns = dri_clock_mono_ns() + UINT64_C(3000000000);
    while (dri_clock_mono_ns() < until_ns && contract_count(&client, DRI_TE_ERROR) == 0) {
        struct dri_publish message = {.token = token,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .value = dray_slice_of(bytes, BYTES)};
        uint64_t start_ns = dri_clock_mono_ns();
        token += subject.ops->publish(client.transport, dri_clock_now(), &message, 1);
        uint64_t took_ns = dri_clock_mono_ns() - start_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        timed_poll(&client);
    }
    free(bytes);
    nats_server_resume(&server);
    assert_true(token > 110); /* there was more to send than the socket takes */
    assert_true(contract_count(&client, DRI_TE_ERROR) > 0);
    assert_true(longest_ns < UINT64_C(1000000000)); /* far from for ever; machines are busy */
    contract_await(&client, DRI_TE_PUBLISHED, (size_t)(token - 100) + 5, NULL);
    contract_forget(&client);
    contract_fill(&client, topic, 5);
    contract_fini(&client);
}

static void what_was_settled_is_not_run_again_when_its_acknowledgement_is_lost(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("lostack");
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    nats_server_pause(&server);
    contract_settle_first(&client, 10); /* into the socket, and no further */
    nats_server_kill(&server);
    nats_server_start(&server);
    watch_for(4000, &client);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 10);
    assert_int_equal(ack_pending_of(stream_of(topic), "g"), 0);
    contract_fini(&client);
}

static void a_settle_while_the_server_is_away_reaches_it_later(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("latersettle");
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    nats_server_kill(&server);
    contract_await(&client, DRI_TE_ERROR, 1, NULL);
    contract_settle_first(&client, 10);
    nats_server_start(&server);
    contract_fill(&client, topic, 1);
    contract_await(&client, DRI_TE_MESSAGE, 11, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(ack_pending_of(stream_of(topic), "g"), 1);
    contract_fini(&client);
}

/* --- leases ---------------------------------------------------------------------------------- */

/** Messages in the ring of the transport, some handed up. Returns how many were handed up. */
static size_t fill_ring(struct contract_client *client, const char *topic, size_t count)
{
    contract_open_group(client, "g", topic);
    contract_await(client, DRI_TE_ASSIGNED, 1, NULL);
    client->messages_max = 1;
    contract_fill(client, topic, count);
    contract_await(client, DRI_TE_MESSAGE, 1, NULL);
    return contract_count(client, DRI_TE_MESSAGE);
}

static void assert_all_once(const struct contract_client *client, size_t count)
{
    unsigned char seen[256] = {0};
    for (size_t i = 0; i < client->seen_count; i++) {
        if (client->seen[i].event.type == DRI_TE_MESSAGE) {
            seen[contract_number(&client->seen[i].event)]++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void what_waits_for_room_stays_ours(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("wait");
    (void)state;
    size_t first = fill_ring(&client, topic, 200);
    contract_settle_first(&client, first);
    client.messages_max = 0;
    watch_for(4000, &client); /* almost three leases */
    client.messages_max = 512;
    contract_await(&client, DRI_TE_MESSAGE, 200, NULL);
    assert_all_once(&client, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, i)->as.message.deliveries, 1);
    }
    contract_fini(&client);
}

static void what_waits_in_a_paused_slot_is_given_back(void **state)
{
    struct contract_client client, other;
    const char *topic = contract_name("giveback");
    (void)state;
    subject.options[subject.options_count++] = (struct dri_option){"pull_expires_ms", "1000"};
    size_t first = fill_ring(&client, topic, 200);
    contract_settle_first(&client, first);
    struct dri_transport_event assigned = *contract_event(&client, DRI_TE_ASSIGNED, 0);
    subject.ops->pause(client.transport, assigned.slot, assigned.epoch);
    watch_for(3500, &client); /* its last request ends after one second, the leases behind it */
    contract_open_group(&other, "g", topic);
    contract_await(&other, DRI_TE_MESSAGE, 200 - first, &client);
    contract_settle_first(&other, 200 - first);
    contract_watch(&other, &client);
    assert_int_equal(contract_count(&other, DRI_TE_MESSAGE), 200 - first);
    client.messages_max = 512;
    subject.ops->resume(client.transport, assigned.slot, assigned.epoch);
    watch_for(2000, &client); /* nothing that is past its lease is handed up */
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), first);
    subject.options_count--;
    contract_fini(&other);
    contract_fini(&client);
}

static void a_consumer_that_an_operator_set_back_runs_everything_again(void **state)
{
    struct contract_client client;
    struct admin admin;
    const char *topic = contract_name("setback");
    jsConsumerConfig config;
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    contract_settle_first(&client, 10);
    watch_for(6000, &client);
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.Durable = "g";
    config.AckPolicy = js_AckExplicit;
    config.MaxAckPending = 50000;
    admin_open(&admin);
    assert_int_equal(js_DeleteConsumer(admin.js, stream_of(topic), "g", NULL, NULL), NATS_OK);
    assert_int_equal(js_AddConsumer(NULL, admin.js, stream_of(topic), &config, NULL, NULL),
                     NATS_OK);
    admin_close(&admin);
    contract_await(&client, DRI_TE_LOST, 1, NULL);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    contract_fini(&client);
}

static void what_was_not_handed_up_goes_to_the_others_at_close(void **state)
{
    struct contract_client client, other;
    const char *topic = contract_name("handback");
    (void)state;
    subject.options[0].value = "12000";
    size_t first = fill_ring(&client, topic, 200);
    contract_settle_first(&client, first);
    uint64_t start_ns = dri_clock_mono_ns();
    contract_close(&client);
    contract_open_group(&other, "g", topic);
    contract_await(&other, DRI_TE_MESSAGE, 200 - first, NULL);
    assert_true(dri_clock_mono_ns() - start_ns < UINT64_C(9000000000)); /* less than a lease */
    subject.options[0].value = "1500";
    contract_fini(&other);
    contract_fini(&client);
}

static void past_its_lease_a_delivery_is_not_extended(void **state)
{
    struct contract_client client, other;
    const char *topic = contract_name("past");
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 1);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, 0);
    subject.ops->unassign(client.transport, 99, 1);
    contract_open_group(&other, "g", topic);
    contract_await(&other, DRI_TE_MESSAGE, 1, NULL); /* the lease has ended */
    subject.ops->extend(client.transport, dri_clock_now(), event.slot, event.epoch,
                        &event.as.message.delivery, 1);
    contract_await(&other, DRI_TE_MESSAGE, 2, NULL); /* it would be later if that had counted */
    contract_fini(&other);
    contract_fini(&client);
}

static void large_messages_come_within_the_memory_that_was_given(void **state)
{
    enum {
        COUNT = 40,
        BYTES = 600000
    };
    struct contract_client client, producer;
    const char *topic = contract_name("large");
    (void)state;
    uint8_t *bytes = calloc(1, BYTES);
    assert_non_null(bytes);
    contract_open_producer(&producer, topic);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .value = dray_slice_of(bytes, BYTES)};
        contract_publish(&producer, &message);
    }
    contract_await(&producer, DRI_TE_PUBLISHED, COUNT, NULL);
    free(bytes);
    for (uint64_t memory = 0; memory <= (32u << 20); memory += 16u << 20) {
        contract_init(&client, contract_name("g"));
        contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
        contract_topic(&client, topic, DRI_USE_COMMANDS);
        client.config.memory_bytes = memory;
        contract_option(&client, "pull_expires_ms", "60000"); /* two that run out: it fails */
        contract_open(&client);
        contract_await(&client, DRI_TE_MESSAGE, COUNT, NULL);
        contract_settle_first(&client, COUNT);
        contract_fini(&client);
    }
    contract_fini(&producer);
}

static void a_message_delivered_again_and_again_keeps_one_place(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("again");
    (void)state;
    subject.options[0].value = "300";
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 50);
    contract_await(&client, DRI_TE_MESSAGE, 200, NULL);
    const struct dri_nats *inside = (const struct dri_nats *)(void *)client.transport;
    assert_int_equal(inside->deliveries.out, 50);
    size_t count = contract_count(&client, DRI_TE_MESSAGE);
    for (size_t i = 0; i < count; i++) {
        struct dri_transport_event event = *contract_event(&client, DRI_TE_MESSAGE, i);
        contract_settle(&client, &event); /* only the newest of each counts */
    }
    assert_int_equal(inside->deliveries.out, 0);
    watch_for(700, &client);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), count);
    assert_int_equal(ack_pending_of(stream_of(topic), "g"), 0);
    subject.options[0].value = "1500";
    contract_fini(&client);
}

/* --- hostile and odd messages ---------------------------------------------------------------- */

/** Bytes to the server, as they are, and its PONG. */
static void send_raw(const char *bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[4096];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    size_t len = 0;
    while (len < sizeof(answer) - 1) {
        ssize_t got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        assert_true(got > 0);
        len += (size_t)got;
        answer[len] = '\0';
        if (strstr(answer, "PONG\r\n") != NULL) {
            break;
        }
    }
    (void)close(fd);
}

/** A message with this header block, as it is, and a body. */
static void send_block(const char *topic, const char *block, const char *body)
{
    char raw[1024];
    (void)snprintf(raw, sizeof(raw),
                   "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n"
                   "HPUB %s %zu %zu\r\n%s%s\r\nPING\r\n",
                   topic, strlen(block), strlen(block) + strlen(body), block, body);
    send_raw(raw);
}

static void a_message_that_looks_like_a_status_is_a_message(void **state)
{
    static const char *const blocks[] = {
        "NATS/1.0 503 None\r\n\r\n",
        "NATS/1.0 404 No Messages\r\n\r\n",
        "NATS/1.0 409 Consumer Deleted\r\n\r\n",
        "NATS/1.0 100 Idle Heartbeat\r\nNats-Consumer-Stalled: x\r\n\r\n",
        "NATS/1.0\r\nStatus: 503\r\n\r\n",
        "NATS/1.0\r\nno colon here\r\n:nameless\r\nok: 1\r\n\r\n",
        "NATS/1.0\r\n folded: 2\r\nempty:\r\nok: 1\r\n\r\n",
        "NATS/1.0\r\n\r\n",
    };
    struct contract_client client;
    const char *topic = contract_name("looks");
    const size_t count = sizeof(blocks) / sizeof(blocks[0]);
    (void)state;
    contract_open_group(&client, "g", topic);
    for (size_t i = 0; i < count; i++) {
        send_block(topic, blocks[i], "");
    }
    contract_await(&client, DRI_TE_MESSAGE, count, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct dri_transport_event *event = contract_event(&client, DRI_TE_MESSAGE, i);
        assert_int_equal(event->as.message.offset, i + 1);
        assert_int_equal(event->as.message.value.len, 0);
    }
    test_slice("503",
               contract_find_header(contract_event(&client, DRI_TE_MESSAGE, 4)->as.message.headers,
                                    "Status", 0));
    test_slice("1", contract_find_header(
                        contract_event(&client, DRI_TE_MESSAGE, 5)->as.message.headers, "ok", 0));
    test_slice("1", contract_find_header(
                        contract_event(&client, DRI_TE_MESSAGE, 6)->as.message.headers, "ok", 0));
    contract_settle_first(&client, count);
    contract_watch(&client, NULL);
    assert_int_equal(ack_pending_of(stream_of(topic), "g"), 0);
    contract_fini(&client);
}

static void a_key_header_of_others_is_the_key(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("keys");
    (void)state;
    contract_open_group(&client, "g", topic);
    send_block(topic, "NATS/1.0\r\nDray-Key:order-1\r\n\r\n", "x");
    send_block(topic, "NATS/1.0\r\ndray-key: !!\r\ndray-key-encoding: base64\r\n\r\n", "x");
    contract_await(&client, DRI_TE_MESSAGE, 2, NULL);
    test_slice("order-1", contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.key);
    /* said to be base64, and it is not: as it is */
    test_slice("!!", contract_event(&client, DRI_TE_MESSAGE, 1)->as.message.key);
    contract_fini(&client);
}

/* --- inbox and status ------------------------------------------------------------------------ */

static void an_inbox_gets_courtesies_also_after_an_outage(void **state)
{
    struct contract_client reader, writer;
    char inbox[96];
    (void)state;
    (void)snprintf(inbox, sizeof(inbox), "_INBOX.%s.1", contract_name("wait"));
    contract_init(&reader, NULL);
    contract_source(&reader, inbox, DRI_ROLE_LOG, DRI_START_LATEST, 0);
    contract_topic(&reader, inbox, DRI_USE_RESULTS); /* no stream is asked for it */
    reader.config.can_create = false;
    contract_open(&reader);
    contract_await(&reader, DRI_TE_CAUGHT_UP, 1, NULL);
    contract_init(&writer, NULL);
    contract_open(&writer);
    for (size_t round = 1; round <= 2; round++) {
        struct dri_publish message = {.topic = dray_slice_text(inbox),
                                      .partition = -1,
                                      .key = dray_slice_text("k"),
                                      .value = dray_slice_text("42"),
                                      .is_courtesy = true};
        contract_publish(&writer, &message);
        contract_await(&reader, DRI_TE_MESSAGE, round, &writer);
        const struct dri_transport_event *event =
            contract_event(&reader, DRI_TE_MESSAGE, round - 1);
        test_slice("42", event->as.message.value);
        test_slice("k", event->as.message.key);
        assert_int_equal(event->as.message.delivery, 0);
        nats_server_kill(&server);
        nats_server_start(&server);
        contract_await(&reader, DRI_TE_ERROR, round, &writer);
        contract_await(&writer, DRI_TE_ERROR, round, &reader);
        watch_for(1000, &reader);
        watch_for(200, &writer);
    }
    assert_int_equal(contract_count(&reader, DRI_TE_CAUGHT_UP), 1);
    contract_fini(&writer);
    contract_fini(&reader);
}

static void status_keeps_the_last_of_each_worker(void **state)
{
    struct contract_client writer, reader;
    const char *topic = contract_name("status");
    char want[96];
    (void)state;
    contract_init(&writer, NULL);
    contract_topic(&writer, topic, DRI_USE_STATUS);
    contract_open(&writer);
    contract_fill(&writer, topic, 21); /* three of each of seven keys */
    contract_init(&reader, NULL);
    contract_source(&reader, topic, DRI_ROLE_LOG, DRI_START_EARLIEST, 0);
    contract_topic(&reader, topic, DRI_USE_STATUS);
    contract_open(&reader);
    contract_await(&reader, DRI_TE_CAUGHT_UP, 1, NULL);
    assert_int_equal(contract_count(&reader, DRI_TE_MESSAGE), 7);
    for (size_t i = 0; i < 7; i++) {
        const struct dri_transport_event *event = contract_event(&reader, DRI_TE_MESSAGE, i);
        assert_int_equal(contract_number(event), 14 + i);
        (void)snprintf(want, sizeof(want), "%s.k%zu", topic, i);
        test_slice(want, event->as.message.subject);
    }
    contract_fini(&reader);
    contract_fini(&writer);
}

/* --- nothing is left behind ------------------------------------------------------------------ */

static size_t entries_of(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(folder);
    return count;
}

static void assert_close_on_exec(void)
{
    for (int fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        char path[64], target[128] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t len = flags < 0 ? -1 : readlink(path, target, sizeof(target) - 1);
        if (len > 0 && (strncmp(target, "socket:", 7) == 0 || strstr(target, "event") != NULL)) {
            assert_int_equal(flags & FD_CLOEXEC, FD_CLOEXEC);
        }
    }
}

static void every_descriptor_is_closed_on_exec(void **state)
{
    struct contract_client client;
    (void)state;
    contract_open_group(&client, "g", contract_name("exec"));
    contract_watch(&client, NULL);
    assert_close_on_exec();
    contract_fini(&client);
}

static void many_deaths_leave_no_descriptor_and_no_thread(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("deaths");
    size_t fds = 0, threads = 0;
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 3);
    for (int round = 0; round < 8; round++) {
        nats_server_kill(&server);
        contract_await(&client, DRI_TE_ERROR, (size_t)round + 1, NULL);
        nats_server_start(&server);
        struct dri_publish message = {.token = 1,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .value = dray_slice_text("1")};
        contract_publish(&client, &message);
        contract_watch(&client, NULL);
        if (round == 1) {
            fds = entries_of("/proc/self/fd");
            threads = entries_of("/proc/self/task");
        }
    }
    assert_int_equal(entries_of("/proc/self/fd"), fds);
    assert_int_equal(entries_of("/proc/self/task"), threads);
    contract_fini(&client);
}

static void opening_without_memory_fails_cleanly(void **state)
{
    const char *topic = contract_name("memory");
    bool is_done = false;
    (void)state;
    struct contract_client first;
    contract_open_group(&first, "g", topic);
    contract_fini(&first);
    size_t live = dri_mem_live();
    for (uint64_t n = 1; !is_done; n++) {
        struct contract_client client;
        contract_init(&client, "g");
        contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
        contract_topic(&client, topic, DRI_USE_COMMANDS);
        client.config.timeout_ms = 800;
        contract_option(&client, "api_timeout_ms", "300");
        dri_mem_fail_at(n);
        enum dray_status status =
            subject.ops->open(&client.config, &client.transport, client.text, sizeof(client.text));
        is_done = dri_mem_failed() == 0;
        dri_mem_fail_at(0);
        assert_true(status == DRAY_OK || status == DRAY_ENOMEM || status == DRAY_EBROKER ||
                    status == DRAY_ETIMEOUT);
        assert_true(status == DRAY_OK || strlen(client.text) > 0);
        contract_fini(&client);
        assert_int_equal(dri_mem_live(), live);
        assert_in_range(n, 1, 200);
    }
}

static void working_without_memory_loses_nothing(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("hungry");
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        const char *group = contract_name("g");
        contract_init(&client, group);
        contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_LATEST, 0);
        contract_topic(&client, topic, DRI_USE_COMMANDS);
        contract_option(&client, "publish_timeout_ms", "300");
        contract_option(&client, "ack_wait_ms", "400");
        contract_open(&client);
        dri_mem_fail_at(n);
        size_t stored = 0;
        for (int tries = 0; stored == 0 && tries < 20; tries++) {
            struct dri_publish message = {.token = (uint64_t)tries,
                                          .topic = dray_slice_text(topic),
                                          .partition = -1,
                                          .key = dray_slice_text("k"),
                                          .value = dray_slice_text("1"),
                                          .dedup_id = dray_slice_text(group)};
            contract_publish(&client, &message);
            contract_await(&client, DRI_TE_PUBLISHED, (size_t)tries + 1, NULL);
            const struct dri_published *ack =
                &contract_event(&client, DRI_TE_PUBLISHED, (size_t)tries)->as.published;
            assert_int_not_equal(ack->ack, DRI_ACK_NOT_STORED);
            stored = ack->ack == DRI_ACK_STORED ? 1 : 0;
        }
        contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
        contract_settle_first(&client, 1);
        dri_mem_fail_at(0);
        contract_fini(&client);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_server_blocks_nothing_and_is_noticed),
        cmocka_unit_test(what_was_settled_is_not_run_again_when_its_acknowledgement_is_lost),
        cmocka_unit_test(a_settle_while_the_server_is_away_reaches_it_later),
        cmocka_unit_test(what_waits_for_room_stays_ours),
        cmocka_unit_test(what_waits_in_a_paused_slot_is_given_back),
        cmocka_unit_test(a_consumer_that_an_operator_set_back_runs_everything_again),
        cmocka_unit_test(what_was_not_handed_up_goes_to_the_others_at_close),
        cmocka_unit_test(past_its_lease_a_delivery_is_not_extended),
        cmocka_unit_test(large_messages_come_within_the_memory_that_was_given),
        cmocka_unit_test(a_message_delivered_again_and_again_keeps_one_place),
        cmocka_unit_test(a_message_that_looks_like_a_status_is_a_message),
        cmocka_unit_test(a_key_header_of_others_is_the_key),
        cmocka_unit_test(an_inbox_gets_courtesies_also_after_an_outage),
        cmocka_unit_test(status_keeps_the_last_of_each_worker),
        cmocka_unit_test(every_descriptor_is_closed_on_exec),
        cmocka_unit_test(many_deaths_leave_no_descriptor_and_no_thread),
        cmocka_unit_test(opening_without_memory_fails_cleanly),
        cmocka_unit_test(working_without_memory_loses_nothing),
    };
    int skipped = nats_server_begin(argc, argv);
    return skipped != 0 ? skipped
                        : cmocka_run_group_tests(tests, nats_fixture_start, nats_fixture_end);
}
