/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <time.h>

#include "nats_fixture.h"

/* Messages that a consumer's max_deliver has given up: the server forgets them, and they come all
 * the same. Each case makes the server give up for real, and looks at its advisory. */

#define ADVISORIES  "DRAY_ADVISORIES"
#define LARGE_BYTES 900000u

static uint64_t advisories(void)
{
    struct admin admin;
    jsStreamInfo *info = NULL;
    admin_open(&admin);
    natsStatus status = js_GetStreamInfo(&info, admin.js, ADVISORIES, NULL, NULL);
    uint64_t count = status == NATS_OK ? info->State.Msgs : 0;
    jsStreamInfo_Destroy(info);
    admin_close(&admin);
    return count;
}

static bool has_advisories(void *arg)
{
    const uint64_t *wanted = arg;
    return advisories() >= *wanted;
}

static void set_max_deliver(const char *stream, const char *consumer, int64_t max_deliver)
{
    struct admin admin;
    jsConsumerInfo *info = NULL;
    admin_open(&admin);
    assert_int_equal(js_GetConsumerInfo(&info, admin.js, stream, consumer, NULL, NULL), NATS_OK);
    info->Config->MaxDeliver = max_deliver;
    assert_int_equal(js_UpdateConsumer(NULL, admin.js, stream, info->Config, NULL, NULL), NATS_OK);
    jsConsumerInfo_Destroy(info);
    admin_close(&admin);
}

/** Lets the consumer give up its first `count` messages, of more than these; the next one comes
 * once. */
static void give_up(struct contract_client *client, const char *stream, const char *consumer,
                    uint32_t count)
{
    uint64_t wanted = advisories() + count;
    set_max_deliver(stream, consumer, 2);
    deliver_often(stream, consumer, (int)(2 * count + 1));
    contract_await_that(client, NULL, has_advisories, &wanted, "the advisories");
    set_max_deliver(stream, consumer, -1);
}

/** Whether a message could still go to somebody who asked for one and is gone since. */
static bool is_asked(const char *stream, const char *consumer)
{
    struct admin admin;
    jsConsumerInfo *info = NULL;
    admin_open(&admin);
    assert_int_equal(js_GetConsumerInfo(&info, admin.js, stream, consumer, NULL, NULL), NATS_OK);
    bool is_waiting = info->NumWaiting > 0;
    jsConsumerInfo_Destroy(info);
    admin_close(&admin);
    return is_waiting;
}

/** The stream and the consumer, as a worker makes them; nobody reads any more. The server may hear
 * of the end of a connection later than of what another one sends, so that is waited for. */
static void make_both(const char *topic)
{
    static const struct timespec pause = {.tv_nsec = 20000000};
    struct contract_client client;
    contract_open_group(&client, "g", topic);
    contract_await(&client, DRI_TE_ASSIGNED, 1, NULL);
    contract_fini(&client);
    for (int tries = 0; is_asked(stream_of(topic), "g"); tries++) {
        assert_true(tries < 3000);
        (void)nanosleep(&pause, NULL);
    }
}

struct reader {
    char consumer[200];
    bool is_done;
};

/** Whether each advisory was acknowledged. */
static bool is_settled(void *arg)
{
    const struct reader *reader = arg;
    struct admin admin;
    jsConsumerInfo *info = NULL;
    admin_open(&admin);
    bool is_there =
        js_GetConsumerInfo(&info, admin.js, ADVISORIES, reader->consumer, NULL, NULL) == NATS_OK;
    bool is_empty = is_there && info->NumAckPending == 0 && info->NumPending == 0;
    jsConsumerInfo_Destroy(info);
    admin_close(&admin);
    return is_empty;
}

static void await_settled(struct contract_client *client, const char *topic)
{
    struct reader reader;
    (void)snprintf(reader.consumer, sizeof(reader.consumer), "g-%s-given-up", topic);
    contract_await_that(client, NULL, is_settled, &reader, "the advisories to be settled");
}

static const struct dri_transport_event *of_offset(const struct contract_client *client,
                                                   uint64_t offset)
{
    for (size_t i = 0; i < contract_count(client, DRI_TE_MESSAGE); i++) {
        const struct dri_transport_event *event = contract_event(client, DRI_TE_MESSAGE, i);
        if (event->as.message.offset == offset) {
            return event;
        }
    }
    fail_msg("nothing came of sequence %u", (unsigned)offset);
    return NULL;
}

/* --- cases ------------------------------------------------------------------------------------ */

static void a_message_that_was_given_up_while_nobody_listened_comes_at_its_end(void **state)
{
    static uint8_t large[LARGE_BYTES];
    struct contract_client client, maker;
    const char *topic = contract_name("given");
    uint8_t flat[200];
    size_t len = contract_header(flat, 0, "x-one", "first", 5);
    len = contract_header(flat, len, "x-empty", "", 0);
    (void)state;
    memset(large, 0xa5, sizeof(large));
    make_both(topic);
    contract_open_producer(&maker, topic);
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .key = dray_slice_text("k1"),
                                  .headers = dray_slice_of(flat, len),
                                  .value = dray_slice_text("one")};
    contract_publish(&maker, &message);
    message = (struct dri_publish){.token = 2,
                                   .topic = dray_slice_text(topic),
                                   .partition = -1,
                                   .value = dray_slice_of(large, sizeof(large))};
    contract_publish(&maker, &message);
    put_text(&maker, topic, "three", 3);
    contract_await(&maker, DRI_TE_PUBLISHED, 3, NULL);
    give_up(&maker, stream_of(topic), "g", 2);

    contract_open_group(&client, "g", topic);
    contract_await(&client, DRI_TE_MESSAGE, 3, NULL);
    const struct dri_message *one = &of_offset(&client, 1)->as.message;
    assert_true(one->is_last);
    assert_int_equal(one->deliveries, 2);
    assert_true(one->timestamp_ms > 0);
    test_slice("one", one->value);
    test_slice("k1", one->key);
    test_slice(topic, one->subject);
    test_slice("first", contract_find_header(one->headers, "x-one", 0));
    test_slice("", contract_find_header(one->headers, "x-empty", 0));
    const struct dri_message *two = &of_offset(&client, 2)->as.message;
    assert_true(two->is_last && two->key.at == NULL && two->headers.len == 0);
    assert_true(dray_slice_equal(two->value, dray_slice_of(large, sizeof(large))));
    assert_false(of_offset(&client, 3)->as.message.is_last);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, i)->slot,
                         contract_event(&client, DRI_TE_ASSIGNED, 0)->slot);
    }
    struct dri_transport_stats stats;
    subject.ops->stats(client.transport, &stats);
    assert_int_equal(stats.messages_given_up, 2);
    contract_settle_first(&client, 3);
    await_settled(&client, topic);
    contract_fini(&client);
    contract_fini(&maker);

    contract_open_group(&client, "g", topic); /* settled is settled */
    watch_for(2500, &client);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

struct both {
    const struct contract_client *one, *two;
};

static size_t count_last(const struct contract_client *client)
{
    size_t count = 0;
    for (size_t i = 0; i < contract_count(client, DRI_TE_MESSAGE); i++) {
        count += contract_event(client, DRI_TE_MESSAGE, i)->as.message.is_last ? 1 : 0;
    }
    return count;
}

static bool has_last(void *arg)
{
    const struct both *both = arg;
    return count_last(both->one) + count_last(both->two) > 0;
}

/** Lets a message that is out with one of the two expire until it is given up; it comes to one of
 * them. */
static void await_given_up(struct contract_client *one, struct contract_client *two,
                           const char *topic, const char *consumer)
{
    struct both both = {one, two};
    uint64_t wanted = advisories() + 1;
    set_max_deliver(stream_of(topic), consumer, 2);
    contract_await_that(one, two, has_advisories, &wanted, "the advisory");
    contract_await_that(one, two, has_last, &both, "the message");
    assert_int_equal(ack_pending_of(stream_of(topic), consumer), 0);
    struct contract_client *taker = count_last(one) > 0 ? one : two;
    size_t count = contract_count(taker, DRI_TE_MESSAGE);
    const struct dri_transport_event *event = contract_event(taker, DRI_TE_MESSAGE, count - 1);
    assert_true(event->as.message.is_last);
    assert_int_equal(event->as.message.offset, 1);
    contract_settle(taker, event);
    await_settled(taker, topic);
    contract_watch(one, two);
    assert_int_equal(count_last(one) + count_last(two), 1);
    /* One and a last one; between them one that could have come too late to be handed up. */
    size_t all = contract_count(one, DRI_TE_MESSAGE) + contract_count(two, DRI_TE_MESSAGE);
    assert_in_range(all, 2, 3);
}

static void what_is_given_up_comes_to_one_of_those_who_listen(void **state)
{
    struct contract_client one, two;
    const char *topic = contract_name("heard");
    (void)state;
    contract_open_group(&one, "g", topic);
    contract_open_group(&two, "g", topic);
    put_text(&one, topic, "0", 1);
    await_given_up(&one, &two, topic, "g");
    contract_fini(&one);
    contract_fini(&two);
}

/** The consumer that reads a partition now. */
static void consumer_of(const char *topic, const char *partition, char ret_name[200])
{
    struct admin admin;
    jsConsumerNamesList *names = NULL;
    admin_open(&admin);
    assert_int_equal(js_ConsumerNames(&names, admin.js, stream_of(topic), NULL, NULL), NATS_OK);
    ret_name[0] = '\0';
    for (int i = 0; i < names->Count; i++) {
        if (strstr(names->List[i], partition) != NULL) {
            (void)snprintf(ret_name, 200, "%s", names->List[i]);
        }
    }
    jsConsumerNamesList_Destroy(names);
    admin_close(&admin);
    assert_true(ret_name[0] != '\0');
}

static size_t slots_of(const struct contract_client *client)
{
    return contract_count(client, DRI_TE_ASSIGNED) - contract_count(client, DRI_TE_REVOKED) -
           contract_count(client, DRI_TE_LOST);
}

static bool is_split(void *arg)
{
    const struct both *both = arg;
    return slots_of(both->one) == 3 && slots_of(both->two) == 3; /* two of four, and the rest */
}

static void what_a_partition_gives_up_comes_to_who_holds_it(void **state)
{
    struct contract_client clients[2];
    struct both both = {&clients[0], &clients[1]};
    char consumer[200];
    const char *topic = contract_name("parted");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        contract_init(&clients[i], "g");
        clients[i].config.client_id = i == 0 ? "one" : "two";
        contract_option(&clients[i], "partitions", "4");
        contract_option(&clients[i], "lease_ms", "10000");
        contract_source(&clients[i], topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
        contract_topic(&clients[i], topic, DRI_USE_COMMANDS);
        contract_open(&clients[i]);
    }
    contract_await_that(&clients[0], &clients[1], is_split, &both, "the partitions to be shared");
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .key = dray_slice_text("k3"), /* of partition 0 */
                                  .value = dray_slice_text("0")};
    contract_publish(&clients[0], &message);
    contract_await(&clients[0], DRI_TE_PUBLISHED, 1, &clients[1]);
    consumer_of(topic, "_p_0_", consumer);
    await_given_up(&clients[0], &clients[1], topic, consumer);
    size_t holder = contract_count(&clients[0], DRI_TE_MESSAGE) > 0 ? 0 : 1;
    assert_int_equal(contract_count(&clients[holder], DRI_TE_MESSAGE), 3);
    contract_fini(&clients[0]);
    contract_fini(&clients[1]);
}

static void what_is_not_there_any_more_is_let_go(void **state)
{
    struct contract_client client, maker;
    struct admin admin;
    const char *topic = contract_name("deleted");
    (void)state;
    make_both(topic);
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 3);
    give_up(&maker, stream_of(topic), "g", 1);
    admin_open(&admin);
    assert_int_equal(js_DeleteMsg(admin.js, stream_of(topic), 1, NULL, NULL), NATS_OK);
    admin_close(&admin);
    contract_open_group(&client, "g", topic);
    contract_await(&client, DRI_TE_MESSAGE, 2, NULL);
    await_settled(&client, topic);
    assert_int_equal(count_last(&client), 0);
    contract_fini(&client);
    contract_fini(&maker);
}

static void what_a_stream_that_is_gone_gave_up_is_not_taken_from_the_one_made_anew(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("reborn");
    (void)state;
    make_both(topic);
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 2);
    give_up(&maker, stream_of(topic), "g", 1);
    contract_fini(&maker);
    delete_stream(stream_of(topic));
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 2);
    contract_open_group(&client, "g", topic);
    contract_await(&client, DRI_TE_MESSAGE, 2, NULL);
    await_settled(&client, topic);
    assert_int_equal(count_last(&client), 0);
    contract_fini(&client);
    contract_fini(&maker);
}

static void noise_among_the_advisories_stops_nobody(void **state)
{
    static const char *const noise[] = {
        "",
        "{",
        "[]",
        "{\"stream\":1,\"consumer\":2}",
        "{\"stream\":\"%s\",\"consumer\":\"g\"}",
        "{\"stream\":\"%s\",\"consumer\":\"g\",\"stream_seq\":18446744073709551615}",
        "{\"stream\":\"%s\",\"consumer\":\"g\",\"stream_seq\":1,\"timestamp\":\"yesterday\"}"};
    struct contract_client client;
    struct admin admin;
    const char *topic = contract_name("noise");
    (void)state;
    contract_open_group(&client, "g", topic);
    admin_open(&admin);
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        char text[200];
        const char *at = strstr(noise[i], "%s");
        (void)snprintf(text, sizeof(text), "%.*s%s%s", at == NULL ? 0 : (int)(at - noise[i]),
                       noise[i], at == NULL ? "" : stream_of(topic),
                       at == NULL ? noise[i] : at + 2);
        assert_int_equal(js_Publish(NULL, admin.js,
                                    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.X.g", text,
                                    (int)strlen(text), NULL, NULL),
                         NATS_OK);
    }
    admin_close(&admin);
    put_text(&client, topic, "0", 1);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    await_settled(&client, topic);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 1);
    contract_settle_first(&client, 1);
    contract_fini(&client);
}

static void a_worker_works_without_that_stream_and_a_check_says_so(void **state)
{
    struct contract_client client;
    struct dri_transport_info info;
    struct dri_topic_report report;
    const char *topic = contract_name("without");
    (void)state;
    make_both(topic);
    delete_stream(ADVISORIES);
    contract_init(&client, "g");
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    client.config.can_create = false;
    memset(&report, 0, sizeof(report));
    test_ok(subject.ops->check(&client.config, &info, &report, client.text, sizeof(client.text)));
    test_ok(report.status);
    assert_non_null(strstr(report.text, "max_deliver"));
    contract_open(&client);
    put_text(&client, topic, "0", 1);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    contract_settle_first(&client, 1);
    contract_close(&client);
    client.config.can_create = true;
    memset(&report, 0, sizeof(report));
    test_ok(subject.ops->check(&client.config, &info, &report, client.text, sizeof(client.text)));
    assert_int_equal(strlen(report.text), 0);
    contract_fini(&client);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_was_given_up_while_nobody_listened_comes_at_its_end),
        cmocka_unit_test(what_is_given_up_comes_to_one_of_those_who_listen),
        cmocka_unit_test(what_a_partition_gives_up_comes_to_who_holds_it),
        cmocka_unit_test(what_is_not_there_any_more_is_let_go),
        cmocka_unit_test(what_a_stream_that_is_gone_gave_up_is_not_taken_from_the_one_made_anew),
        cmocka_unit_test(noise_among_the_advisories_stops_nobody),
        cmocka_unit_test(a_worker_works_without_that_stream_and_a_check_says_so),
    };
    int skipped = nats_server_begin(argc, argv);
    return skipped != 0 ? skipped
                        : cmocka_run_group_tests(tests, nats_fixture_start, nats_fixture_end);
}
