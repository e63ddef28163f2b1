/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "nats_fixture.h"

/* What follows a partition when the server dies, a replica stands still, or its stream is made
 * anew; contract_follow.c has what every transport does. */

#define PARTITIONS 4u
#define EACH       3u /* records of a partition */

struct scene {
    const char *commands, *park, *window;
    struct contract_client producer;
};

static int begin_case(void **state)
{
    (void)state;
    subject.options_count = 0;
    subject.options[subject.options_count++] = (struct dri_option){"partitions", "4"};
    subject.options[subject.options_count++] = (struct dri_option){"lease_ms", "2000"};
    subject.options[subject.options_count++] = (struct dri_option){"ping_interval_ms", "500"};
    return 0;
}

static void declare(struct contract_client *client, const struct scene *scene)
{
    contract_topic(client, scene->commands, DRI_USE_COMMANDS);
    contract_topic(client, scene->park, DRI_USE_PARK);
    contract_topic(client, scene->window, DRI_USE_WINDOW);
    client->config.window_ms = 3600000;
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.commands = contract_name("led"),
                            .park = contract_name("park"),
                            .window = contract_name("window")};
    contract_init(&scene->producer, NULL);
    declare(&scene->producer, scene);
    contract_open(&scene->producer);
}

/** EACH numbers from `from` on into each partition. */
static void fill(struct scene *scene, const char *topic, size_t from)
{
    struct contract_client *client = &scene->producer;
    size_t before = contract_count(client, DRI_TE_PUBLISHED);
    for (uint32_t i = 0; i < EACH * PARTITIONS; i++) {
        char name[96], value[24];
        (void)snprintf(name, sizeof(name), "%s.p.%u", topic, i % PARTITIONS);
        (void)snprintf(value, sizeof(value), "%zu", from + i / PARTITIONS);
        put_text(client, name, value, i);
    }
    if (contract_count(client, DRI_TE_PUBLISHED) < before + EACH * PARTITIONS) {
        contract_await(client, DRI_TE_PUBLISHED, before + EACH * PARTITIONS, NULL);
    }
}

static void open_replica(struct contract_client *client, const struct scene *scene, const char *id)
{
    contract_init(client, "g");
    client->config.client_id = id;
    contract_source(client, scene->commands, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_source(client, scene->park, DRI_ROLE_PARK, DRI_START_EARLIEST, 0);
    contract_source(client, scene->window, DRI_ROLE_WINDOW, DRI_START_EARLIEST, 0);
    declare(client, scene);
    contract_open(client);
}

static const struct dri_transport_event *slot_of(const struct contract_client *client, size_t at)
{
    for (size_t i = at; i-- > 0;) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type == DRI_TE_ASSIGNED && event->slot == client->seen[at].event.slot) {
            return event;
        }
    }
    fail_msg("a slot that was not assigned");
    return NULL;
}

static void settle_park(struct contract_client *client)
{
    size_t count = client->seen_count;
    for (size_t i = 0; i < count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type == DRI_TE_MESSAGE &&
            slot_of(client, i)->as.assigned.role == DRI_ROLE_PARK) {
            contract_settle(client, event);
        }
    }
}

/** Commands end before what follows them. Returns how many commands slots were lost. */
static size_t check_losses(const struct contract_client *client)
{
    size_t commands = 0, followers = 0;
    for (size_t i = 0; i < client->seen_count; i++) {
        if (client->seen[i].event.type != DRI_TE_LOST) {
            continue;
        }
        bool is_leader = slot_of(client, i)->as.assigned.role == DRI_ROLE_COMMANDS;
        commands += is_leader ? 1 : 0;
        followers += is_leader ? 0 : 1;
        assert_true(followers <= 2 * commands);
    }
    assert_int_equal(followers, 2 * commands);
    return commands;
}

static uint64_t messages_of(const char *topic)
{
    struct admin admin;
    jsStreamInfo *info = NULL;
    admin_open(&admin);
    assert_int_equal(js_GetStreamInfo(&info, admin.js, stream_of(topic), NULL, NULL), NATS_OK);
    uint64_t count = info->State.Msgs;
    jsStreamInfo_Destroy(info);
    admin_close(&admin);
    return count;
}

static bool is_empty(void *arg)
{
    return messages_of(arg) == 0;
}

static void what_is_settled_while_the_server_is_away_is_erased_later(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    subject.options[1].value = "60000"; /* a server may take its time to start */
    begin(&scene);
    fill(&scene, scene.park, 0);
    open_replica(&client, &scene, "one");
    contract_await(&client, DRI_TE_MESSAGE, EACH * PARTITIONS, NULL);
    nats_server_kill(&server);
    contract_await(&client, DRI_TE_ERROR, 1, &scene.producer);
    settle_park(&client);
    nats_server_start(&server);
    contract_await_that(&client, &scene.producer, is_empty, (void *)(uintptr_t)scene.park,
                        "an empty park log");
    fill(&scene, scene.commands, 0);
    contract_await(&client, DRI_TE_MESSAGE, 2 * EACH * PARTITIONS, &scene.producer);
    contract_watch(&client, &scene.producer);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 2 * EACH * PARTITIONS);
    assert_int_equal(contract_count(&client, DRI_TE_LOST), 0);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void a_park_log_made_anew_takes_its_partitions_along(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    subject.options[1].value = "60000"; /* lost is what is gone, not what is late */
    begin(&scene);
    fill(&scene, scene.park, 0);
    open_replica(&client, &scene, "one");
    contract_await(&client, DRI_TE_MESSAGE, EACH * PARTITIONS, NULL);
    delete_stream(stream_of(scene.park));
    contract_await(&client, DRI_TE_LOST, 3 * (size_t)PARTITIONS, &scene.producer);
    assert_int_equal(check_losses(&client), PARTITIONS);
    size_t assigned = contract_count(&client, DRI_TE_ASSIGNED);
    settle_park(&client); /* stale: in the new stream these numbers are other messages */
    contract_fini(&scene.producer);
    contract_init(&scene.producer, NULL);
    declare(&scene.producer, &scene);
    contract_open(&scene.producer);
    fill(&scene, scene.park, 10);
    fill(&scene, scene.commands, 20);
    contract_await(&client, DRI_TE_MESSAGE, 3 * (size_t)EACH * PARTITIONS, &scene.producer);
    contract_watch(&client, &scene.producer);
    assert_int_equal(contract_count(&client, DRI_TE_ASSIGNED), assigned + 3 * PARTITIONS);
    assert_int_equal(messages_of(scene.park), EACH * PARTITIONS);
    for (size_t i = EACH * PARTITIONS; i < 2 * (size_t)EACH * PARTITIONS; i++) {
        size_t number = contract_number(contract_event(&client, DRI_TE_MESSAGE, i));
        assert_true((number >= 10 && number < 10 + EACH) || number >= 20);
    }
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void a_replica_that_stood_still_has_lost_both_and_erases_nothing(void **state)
{
    struct scene scene;
    struct contract_client still, other;
    (void)state;
    begin(&scene);
    fill(&scene, scene.park, 0);
    open_replica(&still, &scene, "still");
    contract_await(&still, DRI_TE_MESSAGE, EACH * PARTITIONS, NULL);
    open_replica(&other, &scene, "other"); /* from here on nobody polls the one before */
    contract_await(&other, DRI_TE_MESSAGE, EACH * PARTITIONS, NULL);
    contract_await(&other, DRI_TE_CAUGHT_UP, 2 * (size_t)PARTITIONS, NULL);
    contract_await(&still, DRI_TE_LOST, 3 * (size_t)PARTITIONS, NULL);
    assert_int_equal(check_losses(&still), PARTITIONS);
    settle_park(&still);
    contract_watch(&still, &other);
    assert_int_equal(messages_of(scene.park), EACH * PARTITIONS);
    contract_fini(&still);
    contract_fini(&other);
    contract_fini(&scene.producer);
}

#define CASE(function) cmocka_unit_test_setup((function), begin_case)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_settled_while_the_server_is_away_is_erased_later),
        CASE(a_park_log_made_anew_takes_its_partitions_along),
        CASE(a_replica_that_stood_still_has_lost_both_and_erases_nothing),
    };
    if (!nats_server_is_there()) {
        (void)fprintf(stderr, "skipped: there is no nats-server\n");
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, nats_fixture_start, nats_fixture_end);
}
