/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "base/hash.h"
#include "nats_fixture.h"

/* Partitions of a commands subject: who reads which, and in which order, when replicas come, go,
 * stand still and lose their connection. */

#define PARTITIONS 4u
#define KEYS       7u
#define LEASE_MS   "2000"

/* Of partitions 1, 0, 2, 3, 1, 2, 3. */
static const char *const keys[KEYS] = {"k0", "k3", "k8", "k14", "k1", "k10", "k18"};

static int begin_case(void **state)
{
    (void)state;
    subject.options_count = 0;
    subject.options[subject.options_count++] = (struct dri_option){"partitions", "4"};
    subject.options[subject.options_count++] = (struct dri_option){"lease_ms", LEASE_MS};
    subject.options[subject.options_count++] = (struct dri_option){"ping_interval_ms", "5000"};
    return 0;
}

static void open_replica(struct contract_client *client, const char *id, const char *topic)
{
    contract_init(client, "g");
    client->config.client_id = id;
    contract_source(client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(client, topic, DRI_USE_COMMANDS);
    contract_open(client);
}

static bool is_partition(const struct dri_transport_event *event)
{
    char text[200];
    (void)snprintf(text, sizeof(text), "%.*s", (int)event->as.assigned.topic.len,
                   (const char *)event->as.assigned.topic.at);
    return strstr(text, ".p.") != NULL;
}

/** Partitions that this client has now. */
static size_t held_by(const struct contract_client *client)
{
    size_t held = 0;
    for (size_t i = 0; i < client->seen_count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        held += event->type == DRI_TE_ASSIGNED && is_partition(event) ? 1 : 0;
        held -= event->type == DRI_TE_REVOKED || event->type == DRI_TE_LOST ? 1 : 0;
    }
    return held;
}

struct split {
    const struct contract_client *one, *two;
    size_t wanted_one, wanted_two;
};

static bool is_split(void *arg)
{
    const struct split *split = arg;
    return held_by(split->one) == split->wanted_one &&
           (split->two == NULL || held_by(split->two) == split->wanted_two);
}

static void await_split(struct contract_client *one, size_t wanted_one, struct contract_client *two,
                        size_t wanted_two)
{
    struct split split = {one, two, wanted_one, wanted_two};
    contract_await_that(one, two, is_split, &split, "the partitions to be shared");
}

/** Publishes numbers from `from` on, by keys in turn. */
static void fill_from(struct contract_client *client, const char *topic, size_t from, size_t count)
{
    char texts[64][8];
    size_t before = contract_count(client, DRI_TE_PUBLISHED);
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "%zu", from + i);
        struct dri_publish message = {.token = from + i,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .key = dray_slice_text(keys[(from + i) % KEYS]),
                                      .value = dray_slice_text(texts[i])};
        contract_publish(client, &message);
    }
    contract_await(client, DRI_TE_PUBLISHED, before + count, NULL);
}

/** From the first event on: each key's numbers come in order; repeated ones do not count. Returns
 * how many different numbers there are. */
static size_t assert_ordered(const struct contract_client *client, size_t first_event)
{
    size_t next[KEYS] = {0}, different = 0;
    for (size_t i = first_event; i < client->seen_count; i++) {
        if (client->seen[i].event.type != DRI_TE_MESSAGE) {
            continue;
        }
        size_t number = contract_number(&client->seen[i].event), key = number % KEYS;
        if (next[key] == 0 || number >= next[key]) {
            assert_true(next[key] == 0 || number == next[key]);
            next[key] = number + KEYS;
            different++;
        }
    }
    return different;
}

static void settle_all(struct contract_client *client, size_t first_event)
{
    for (size_t i = first_event; i < client->seen_count; i++) {
        if (client->seen[i].event.type == DRI_TE_MESSAGE) {
            contract_settle(client, &client->seen[i].event);
        }
    }
}

static void a_key_goes_to_the_partition_that_other_clients_would_choose(void **state)
{
    struct contract_client client, producer;
    struct admin admin;
    const char *topic = contract_name("parts");
    (void)state;
    assert_int_equal(dri_murmur2(dray_slice_text("21")), 1173551340); /* Kafka's own test */
    open_replica(&client, "one", topic);
    await_split(&client, PARTITIONS, NULL, 0);
    contract_open_producer(&producer, topic);
    fill_from(&producer, topic, 0, 60);
    contract_await(&client, DRI_TE_MESSAGE, 60, NULL);
    for (size_t i = 0; i < 60; i++) {
        const struct dri_transport_event *event = contract_event(&client, DRI_TE_MESSAGE, i);
        char wanted[100];
        (void)snprintf(wanted, sizeof(wanted), "%s.p.%u", topic,
                       dri_murmur2(event->as.message.key) % PARTITIONS);
        test_slice(wanted, event->as.message.subject);
    }
    assert_int_equal(assert_ordered(&client, 0), 60);
    admin_open(&admin); /* somebody who knows nothing of partitions */
    assert_int_equal(js_Publish(NULL, admin.js, topic, "60", 2, NULL, NULL), NATS_OK);
    admin_close(&admin);
    contract_await(&client, DRI_TE_MESSAGE, 61, NULL);
    settle_all(&client, 0);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 61);
    contract_fini(&producer);
    contract_fini(&client);
}

static void keyless_messages_are_spread(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("keyless");
    size_t of_slot[16] = {0}, used = 0;
    (void)state;
    open_replica(&client, "one", topic);
    contract_open_producer(&producer, topic);
    for (uint64_t i = 0; i < 16; i++) {
        put_text(&producer, topic, "0", i);
    }
    contract_await(&producer, DRI_TE_PUBLISHED, 16, NULL);
    contract_await(&client, DRI_TE_MESSAGE, 16, NULL);
    for (size_t i = 0; i < 16; i++) {
        of_slot[contract_event(&client, DRI_TE_MESSAGE, i)->slot]++;
    }
    for (size_t i = 0; i < 16; i++) {
        used += of_slot[i] == 4 ? 1 : 0;
    }
    assert_int_equal(used, PARTITIONS);
    contract_fini(&producer);
    contract_fini(&client);
}

static void replicas_share_the_partitions_and_one_that_closes_gives_its_own_away(void **state)
{
    struct contract_client one, two, producer;
    const char *topic = contract_name("share");
    (void)state;
    contract_open_producer(&producer, topic);
    open_replica(&one, "one", topic);
    await_split(&one, PARTITIONS, NULL, 0);
    open_replica(&two, "two", topic);
    await_split(&one, PARTITIONS / 2, &two, PARTITIONS / 2);
    assert_int_equal(contract_count(&one, DRI_TE_REVOKED), 2);
    assert_int_equal(contract_count(&one, DRI_TE_LOST) + contract_count(&two, DRI_TE_LOST), 0);
    fill_from(&producer, topic, 0, 60);
    for (size_t i = 0;
         contract_count(&one, DRI_TE_MESSAGE) + contract_count(&two, DRI_TE_MESSAGE) < 60 &&
         i < 600;
         i++) {
        contract_watch(&one, &two);
    }
    assert_true(contract_count(&one, DRI_TE_MESSAGE) > 0);
    assert_true(contract_count(&two, DRI_TE_MESSAGE) > 0);
    assert_int_equal(contract_count(&one, DRI_TE_MESSAGE) + contract_count(&two, DRI_TE_MESSAGE),
                     60);
    settle_all(&one, 0);
    settle_all(&two, 0);
    contract_watch(&one, &two);
    uint64_t start_ns = dri_clock_mono_ns();
    contract_close(&two);
    await_split(&one, PARTITIONS, NULL, 0);
    assert_true(dri_clock_mono_ns() - start_ns < UINT64_C(60000000000));
    size_t before = contract_count(&one, DRI_TE_MESSAGE), first = one.seen_count;
    fill_from(&producer, topic, 60, 60);
    contract_await(&one, DRI_TE_MESSAGE, before + 60, NULL);
    assert_int_equal(assert_ordered(&one, first), 60);
    contract_fini(&two);
    contract_fini(&one);
    contract_fini(&producer);
}

static void what_a_replica_that_stands_still_had_been_given_comes_first_elsewhere(void **state)
{
    struct contract_client still, other, producer;
    const char *topic = contract_name("still");
    (void)state;
    contract_open_producer(&producer, topic);
    open_replica(&still, "still", topic);
    await_split(&still, PARTITIONS, NULL, 0);
    fill_from(&producer, topic, 0, 60);
    contract_await(&still, DRI_TE_MESSAGE, 60, NULL);
    open_replica(&other, "other", topic); /* from here on nobody polls the one before */
    await_split(&other, PARTITIONS, NULL, 0);
    fill_from(&producer, topic, 60, 60);
    contract_await(&other, DRI_TE_MESSAGE, 120, NULL);
    assert_int_equal(assert_ordered(&other, 0), 120);
    contract_await(&still, DRI_TE_LOST, PARTITIONS, NULL);
    size_t before = still.seen_count;
    settle_all(&still, 0); /* stale, all of them */
    await_split(&still, PARTITIONS / 2, &other, PARTITIONS / 2);
    contract_await(&still, DRI_TE_MESSAGE, 61, &other); /* nobody has settled anything yet */
    assert_true(assert_ordered(&still, before) > 0);
    contract_fini(&other);
    contract_fini(&still);
    contract_fini(&producer);
}

static void what_was_on_its_way_when_the_connection_broke_comes_first(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("broke");
    (void)state;
    subject.options[1].value = "60000"; /* a server may take its time to start */
    open_replica(&client, "one", topic);
    await_split(&client, PARTITIONS, NULL, 0);
    contract_open_producer(&producer, topic);
    fill_from(&producer, topic, 0, 60);
    contract_await(&client, DRI_TE_MESSAGE, 60, NULL);
    nats_server_kill(&server);
    contract_await(&client, DRI_TE_ERROR, 1, &producer);
    settle_all(&client, 0); /* the server will not hear of it from the old consumer */
    size_t first = client.seen_count;
    nats_server_start(&server);
    fill_from(&producer, topic, 60, 60);
    contract_await(&client, DRI_TE_MESSAGE, 120, &producer);
    contract_watch(&client, &producer);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 120); /* those settled: not again */
    assert_int_equal(assert_ordered(&client, first), 60);
    assert_int_equal(contract_count(&client, DRI_TE_LOST), 0);
    contract_fini(&producer);
    contract_fini(&client);
}

static void a_stream_made_anew_is_read_from_its_first_message_also_by_a_new_replica(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("panew");
    (void)state;
    open_replica(&client, "one", topic);
    await_split(&client, PARTITIONS, NULL, 0);
    contract_open_producer(&producer, topic);
    fill_from(&producer, topic, 0, 60);
    contract_await(&client, DRI_TE_MESSAGE, 60, NULL);
    settle_all(&client, 0);
    contract_watch(&client, NULL);
    contract_fini(&client);
    contract_fini(&producer);
    delete_stream(stream_of(topic));
    contract_open_producer(&producer, topic);
    fill_from(&producer, topic, 0, 30);
    contract_init(&client, "g");
    client.config.client_id = "two";
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_LATEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    contract_await(&client, DRI_TE_MESSAGE, 30, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(assert_ordered(&client, 0), 30);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 30);
    contract_fini(&client);
    contract_fini(&producer);
}

static void a_replica_without_the_server_for_longer_than_its_lease_has_lost_it(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("away");
    (void)state;
    open_replica(&client, "one", topic);
    await_split(&client, PARTITIONS, NULL, 0);
    nats_server_kill(&server);
    contract_await(&client, DRI_TE_LOST, PARTITIONS, NULL);
    nats_server_start(&server);
    await_split(&client, PARTITIONS, NULL, 0);
    contract_fini(&client);
}

static void a_consumer_that_would_read_the_partitions_too_is_refused(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("nofilter");
    (void)state;
    subject.options[0].value = "1";
    contract_open_group(&maker, "g", topic);
    contract_fini(&maker);
    subject.options[0].value = "4";
    contract_init(&client, "g");
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    test_status(DRAY_EINVALID, subject.ops->open(&client.config, &client.transport, client.text,
                                                 sizeof(client.text)));
    assert_non_null(strstr(client.text, "nats.partitions"));
    contract_fini(&client);
}

#define CASE(function) cmocka_unit_test_setup((function), begin_case)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_key_goes_to_the_partition_that_other_clients_would_choose),
        CASE(keyless_messages_are_spread),
        CASE(replicas_share_the_partitions_and_one_that_closes_gives_its_own_away),
        CASE(what_a_replica_that_stands_still_had_been_given_comes_first_elsewhere),
        CASE(what_was_on_its_way_when_the_connection_broke_comes_first),
        CASE(a_stream_made_anew_is_read_from_its_first_message_also_by_a_new_replica),
        CASE(a_replica_without_the_server_for_longer_than_its_lease_has_lost_it),
        CASE(a_consumer_that_would_read_the_partitions_too_is_refused),
    };
    int skipped = nats_server_begin(argc, argv);
    return skipped != 0 ? skipped
                        : cmocka_run_group_tests(tests, nats_fixture_start, nats_fixture_end);
}
