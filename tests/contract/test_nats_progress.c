/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "nats_fixture.h"

/* A consumer that has messages and gives none, and what must not be taken for it. The fault is a
 * server that does not let us subscribe to what our pull requests are answered on: everything else
 * works, and nothing comes. */

#define PROGRESS_MS 1000u
#define DEAF                                                                                       \
    "authorization { users: [ { user: a, password: b, permissions: "                               \
    "{ subscribe: { deny: [\"_INBOX_p.*.S0.*\"] } } } ] }"
#define WELL "authorization { users: [ { user: a, password: b } ] }"

static void start_server(const char *config)
{
    (void)snprintf(server.config, sizeof(server.config), "%s", config);
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://a:b@127.0.0.1:%d", server.port);
}

static int begin_case(void **state)
{
    (void)state;
    nats_server_init(&server);
    subject = (struct contract_subject){
        .ops = &dri_nats_ops,
        .mode = DRI_SETTLE_EACH,
        .partitions = 1,
        .options = {{"inbox_prefix", "_INBOX_p"}, {"ping_interval_ms", "500"}},
        .options_count = 1, /* pings are for the case in which one is not answered */
    };
    contract_it = &subject;
    return 0;
}

static int end_case(void **state)
{
    (void)state;
    nats_server_fini(&server);
    return 0;
}

/** One group source with a watch of so long, and messages in its stream. */
static void open_watched(struct contract_client *client, const char *topic, uint32_t progress_ms,
                         size_t count)
{
    contract_init(client, "g");
    client->config.progress_ms = progress_ms;
    contract_source(client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(client, topic, DRI_USE_COMMANDS);
    contract_open(client);
    contract_fill(client, topic, count);
}

static bool is_told(const struct contract_client *client, size_t n, enum dray_status status,
                    const char *word)
{
    char text[300];
    const struct dri_transport_event *event = contract_event(client, DRI_TE_ERROR, n);
    (void)snprintf(text, sizeof(text), "%.*s", (int)event->as.text.len,
                   (const char *)event->as.text.at);
    return event->status == status && strstr(text, word) != NULL;
}

static void
a_consumer_that_gives_nothing_costs_the_connection_once_and_then_the_transport(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("stuck");
    (void)state;
    start_server(DEAF);
    uint64_t start_ns = dri_clock_mono_ns();
    open_watched(&client, topic, PROGRESS_MS, 3);
    contract_await(&client, DRI_TE_ERROR, 1, NULL);
    assert_true(is_told(&client, 0, DRAY_EBROKER, "no progress"));
    assert_true(dri_clock_mono_ns() - start_ns >= PROGRESS_MS * UINT64_C(1000000));
    contract_fill(&client, topic, 3); /* it is up again */
    contract_await(&client, DRI_TE_ERROR, 2, NULL);
    assert_true(dri_clock_mono_ns() - start_ns >= 2 * PROGRESS_MS * UINT64_C(1000000));
    assert_true(is_told(&client, 1, DRAY_EFATAL, "consumer g of stream STUCK_"));
    assert_true(is_told(&client, 1, DRAY_EFATAL, "gave none for 1000 ms"));
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

static void a_consumer_that_moves_again_is_forgiven(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("moves");
    (void)state;
    start_server(DEAF);
    open_watched(&client, topic, 3 * PROGRESS_MS, 3);
    contract_await(&client, DRI_TE_ERROR, 1, NULL);
    assert_true(is_told(&client, 0, DRAY_EBROKER, "no progress"));
    /* Nobody polls, so nothing is asked for and no time counts, until this is in effect. */
    (void)snprintf(server.config, sizeof(server.config), "%s", WELL);
    nats_server_reload(&server);
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    contract_settle_first(&client, 3);
    (void)snprintf(server.config, sizeof(server.config), "%s", DEAF);
    nats_server_reload(&server); /* what it had open for us is taken away */
    size_t before = contract_count(&client, DRI_TE_ERROR);
    contract_fill(&client, topic, 3);
    contract_await(&client, DRI_TE_ERROR, before + 1, NULL);
    assert_true(is_told(&client, before, DRAY_EBROKER, "no progress"));
    contract_fini(&client);
}

static void nobody_looks_when_it_is_switched_off(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("off");
    (void)state;
    start_server(DEAF);
    open_watched(&client, topic, 0, 3);
    watch_for(4 * PROGRESS_MS, &client);
    assert_int_equal(contract_count(&client, DRI_TE_ERROR), 0);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

static void a_consumer_with_nothing_to_give_is_well(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("idle");
    (void)state;
    start_server(WELL);
    open_watched(&client, topic, PROGRESS_MS, 3);
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    watch_for(4 * PROGRESS_MS, &client); /* unsettled, and held longer than the watch is patient */
    assert_int_equal(contract_count(&client, DRI_TE_ERROR), 0);
    contract_fini(&client);
}

static void an_owner_that_takes_nothing_is_no_fault_of_the_consumer(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("noroom");
    (void)state;
    start_server(WELL);
    contract_init(&client, "g");
    client.config.progress_ms = PROGRESS_MS;
    client.messages_max = 0;
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    contract_fill(&client, topic, 3);
    watch_for(4 * PROGRESS_MS, &client);
    client.messages_max = 512;
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    struct dri_transport_event assigned = *contract_event(&client, DRI_TE_ASSIGNED, 0);
    contract_settle_first(&client, 3);
    subject.ops->pause(client.transport, assigned.slot, assigned.epoch);
    contract_fill(&client, topic, 3);
    watch_for(4 * PROGRESS_MS, &client);
    assert_int_equal(contract_count(&client, DRI_TE_ERROR), 0);
    contract_fini(&client);
}

static void a_consumer_with_all_that_may_be_unacknowledged_is_well(void **state)
{
    enum {
        BOUND = 1000
    };
    struct contract_client client;
    const char *topic = contract_name("full");
    (void)state;
    start_server(WELL);
    contract_init(&client, "g");
    client.config.progress_ms = PROGRESS_MS;
    client.config.in_flight_max = client.config.unacked_max = BOUND / 2;
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    for (int i = 0; i < 4; i++) {
        contract_fill(&client, topic, BOUND / 3);
    }
    contract_await(&client, DRI_TE_MESSAGE, BOUND, NULL);
    watch_for(4 * PROGRESS_MS, &client);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), BOUND);
    assert_int_equal(contract_count(&client, DRI_TE_ERROR), 0);
    contract_settle_first(&client, BOUND);
    contract_await(&client, DRI_TE_MESSAGE, BOUND / 3 * 4, NULL);
    contract_fini(&client);
}

static void a_server_that_stands_still_is_waited_for(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("stopped");
    (void)state;
    subject.options_count = 2;
    start_server(WELL);
    open_watched(&client, topic, PROGRESS_MS, 3);
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    contract_settle_first(&client, 3);
    nats_server_pause(&server);
    contract_await(&client, DRI_TE_ERROR, 1, NULL); /* the connection is lost */
    watch_for(4 * PROGRESS_MS, &client);
    nats_server_resume(&server);
    contract_fill(&client, topic, 3);
    contract_await(&client, DRI_TE_MESSAGE, 6, NULL);
    for (size_t i = 0; i < contract_count(&client, DRI_TE_ERROR); i++) {
        assert_true(is_told(&client, i, DRAY_EBROKER, "lost"));
        assert_false(is_told(&client, i, DRAY_EBROKER, "no progress"));
    }
    contract_fini(&client);
}

#define CASE(function) cmocka_unit_test_setup_teardown((function), begin_case, end_case)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_consumer_that_gives_nothing_costs_the_connection_once_and_then_the_transport),
        CASE(a_consumer_that_moves_again_is_forgiven),
        CASE(nobody_looks_when_it_is_switched_off),
        CASE(a_consumer_with_nothing_to_give_is_well),
        CASE(an_owner_that_takes_nothing_is_no_fault_of_the_consumer),
        CASE(a_consumer_with_all_that_may_be_unacknowledged_is_well),
        CASE(a_server_that_stands_still_is_waited_for),
    };
    int skipped = nats_server_begin(argc, argv);
    return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
