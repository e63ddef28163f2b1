/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "nats_fixture.h"

/* Consumers and streams: those that go away while they are read, and those of other people. */

/* --- consumers and streams that go away ------------------------------------------------------ */

static void a_deleted_consumer_is_made_again_where_it_was(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("gone");
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 20);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    contract_settle_first(&client, 20);
    watch_for(6000, &client); /* the floor is asked for every five seconds */
    delete_consumer(stream_of(topic), "g");
    contract_await(&client, DRI_TE_LOST, 1, NULL);
    contract_await(&client, DRI_TE_ASSIGNED, 2, NULL);
    assert_true(contract_event(&client, DRI_TE_ASSIGNED, 1)->epoch >
                contract_event(&client, DRI_TE_ASSIGNED, 0)->epoch);
    contract_fill(&client, topic, 5);
    contract_await(&client, DRI_TE_MESSAGE, 25, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 25);
    contract_fini(&client);
}

static void what_was_out_of_a_deleted_consumer_comes_again_and_its_settles_are_stale(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("stale");
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    delete_consumer(stream_of(topic), "g");
    contract_await(&client, DRI_TE_ASSIGNED, 2, NULL);
    contract_settle_first(&client, 10); /* of the old epoch: nobody may believe them */
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    for (size_t i = 10; i < 20; i++) {
        assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, i)->epoch,
                         contract_event(&client, DRI_TE_ASSIGNED, 1)->epoch);
    }
    assert_int_equal(ack_pending_of(stream_of(topic), "g"), 10);
    contract_fini(&client);
}

static void a_stream_made_anew_is_read_from_its_first_message(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("anew");
    (void)state;
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 30);
    contract_await(&client, DRI_TE_MESSAGE, 30, NULL);
    contract_settle_first(&client, 30);
    delete_stream(stream_of(topic));
    contract_await(&client, DRI_TE_LOST, 1, NULL);
    contract_forget(&client);
    put_text(&client, topic, "0", 1);
    contract_await(&client, DRI_TE_PUBLISHED, 1, NULL);
    assert_int_equal(contract_event(&client, DRI_TE_PUBLISHED, 0)->as.published.ack,
                     DRI_ACK_NOT_STORED);
    assert_int_equal(contract_event(&client, DRI_TE_PUBLISHED, 0)->as.published.reason,
                     DRAY_ENOTFOUND);
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 4);
    contract_await(&client, DRI_TE_MESSAGE, 4, &maker);
    assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.offset, 1);
    assert_int_equal(contract_count(&client, DRI_TE_ASSIGNED), 1);
    contract_fini(&maker);
    contract_fini(&client);
}

static void a_log_made_anew_is_lost_and_read_from_its_first_record(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("control");
    (void)state;
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_fill(&client, topic, 12);
    contract_await(&client, DRI_TE_MESSAGE, 12, NULL);
    delete_stream(stream_of(topic));
    contract_init(&maker, NULL);
    contract_topic(&maker, topic, DRI_USE_CONTROL);
    contract_open(&maker);
    contract_fill(&maker, topic, 3);
    contract_await(&client, DRI_TE_LOST, 1, &maker);
    contract_await(&client, DRI_TE_MESSAGE, 15, &maker);
    assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, 12)->as.message.offset, 1);
    assert_true(contract_event(&client, DRI_TE_MESSAGE, 12)->epoch >
                contract_event(&client, DRI_TE_MESSAGE, 0)->epoch);
    contract_fini(&maker);
    contract_fini(&client);
}

static void a_log_whose_consumer_is_deleted_goes_on_without_a_gap(void **state)
{
    struct contract_client client;
    struct admin admin;
    const char *topic = contract_name("hole");
    (void)state;
    contract_open_log(&client, topic, DRI_START_EARLIEST, 0);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 10, NULL);
    admin_open(&admin);
    jsConsumerNamesList *names = NULL;
    assert_int_equal(js_ConsumerNames(&names, admin.js, stream_of(topic), NULL, NULL), NATS_OK);
    assert_int_equal(names->Count, 1);
    assert_int_equal(js_DeleteConsumer(admin.js, stream_of(topic), names->List[0], NULL, NULL),
                     NATS_OK);
    jsConsumerNamesList_Destroy(names);
    admin_close(&admin);
    contract_fill(&client, topic, 10);
    contract_await(&client, DRI_TE_MESSAGE, 20, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 20);
    assert_int_equal(contract_count(&client, DRI_TE_LOST), 0);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, i)->as.message.offset, i + 1);
    }
    contract_fini(&client);
}

/* --- what a position says after that ---------------------------------------------------------- */

struct claimed {
    enum dri_ack ack;
    enum dray_status reason;
    bool is_duplicate;
};

/** Publishes a value under an id, claims what is there from a time on, and says what came. */
static struct claimed claim(struct contract_client *client, const char *topic, const char *id,
                            const char *value, uint64_t from_ms)
{
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text(topic),
                                  .partition = -1,
                                  .value = dray_slice_text(value),
                                  .dedup_id = dray_slice_text(id),
                                  .dedup_from_ms = from_ms};
    message.dedup_mark = dray_slice_of(message.value.at, 4);
    contract_forget(client);
    contract_publish(client, &message);
    contract_await(client, DRI_TE_PUBLISHED, 1, NULL);
    const struct dri_published *out = &contract_event(client, DRI_TE_PUBLISHED, 0)->as.published;
    return (struct claimed){out->ack, out->reason, out->is_duplicate};
}

static void what_another_message_has_stored_under_our_id_is_not_ours(void **state)
{
    struct contract_client client;
    struct admin admin;
    const char *topic = contract_name("taken");
    const uint64_t now_ms = dri_clock_wall_ms();
    (void)state;
    contract_open_producer(&client, topic);
    struct claimed first = claim(&client, topic, "r:X:1", "id-1 first", now_ms);
    assert_int_equal(first.ack, DRI_ACK_STORED);
    assert_false(first.is_duplicate);
    struct claimed again = claim(&client, topic, "r:X:1", "id-1 again", now_ms - 60000);
    assert_int_equal(again.ack, DRI_ACK_STORED);
    assert_true(again.is_duplicate);
    struct claimed later = claim(&client, topic, "r:X:1", "id-1 again", now_ms + 3600000);
    assert_int_equal(later.ack, DRI_ACK_UNKNOWN); /* stored an hour before its source was */
    assert_int_equal(later.reason, DRAY_EEXISTS);
    struct claimed other = claim(&client, topic, "r:X:1", "id-2 other", now_ms - 60000);
    assert_int_equal(other.ack, DRI_ACK_UNKNOWN);
    assert_int_equal(other.reason, DRAY_EEXISTS);
    struct claimed odd = claim(&client, topic, "r:X|1: a  b", "id-1 first", now_ms);
    assert_int_equal(odd.ack, DRI_ACK_STORED); /* signs that an id may have */
    assert_false(odd.is_duplicate);
    odd = claim(&client, topic, "r:X|1: a  b", "id-1 first", now_ms - 60000);
    assert_true(odd.is_duplicate);
    odd = claim(&client, topic, "r:X|1: a b", "id-1 first", now_ms - 60000);
    assert_false(odd.is_duplicate);
    struct claimed unasked = claim(&client, topic, "r:X:1", "id-2 other", 0);
    assert_int_equal(unasked.ack, DRI_ACK_STORED);
    admin_open(&admin);
    assert_int_equal(js_PurgeStream(admin.js, stream_of(topic), NULL, NULL), NATS_OK);
    admin_close(&admin);
    struct claimed purged = claim(&client, topic, "r:X:1", "id-1 again", now_ms - 60000);
    assert_true(purged.ack == DRI_ACK_STORED ? !purged.is_duplicate
                                             : purged.reason == DRAY_EEXISTS);
    contract_fini(&client);
}

static void many_ids_that_are_taken_are_looked_at_one_after_the_other(void **state)
{
    enum {
        COUNT = 500
    };
    struct contract_client client;
    const char *topic = contract_name("manytaken");
    static char ids[COUNT][16];
    (void)state;
    contract_open_producer(&client, topic);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            (void)snprintf(ids[i], sizeof(ids[i]), "r:X:%zu", i);
            struct dri_publish message = {.token = i,
                                          .topic = dray_slice_text(topic),
                                          .partition = -1,
                                          .value = dray_slice_text("same"),
                                          .dedup_id = dray_slice_text(ids[i]),
                                          .dedup_from_ms = i % 2 == 0 ? 1 : UINT64_MAX};
            contract_publish(&client, &message);
        }
        contract_await(&client, DRI_TE_PUBLISHED, (round + 1) * COUNT, NULL);
    }
    size_t taken = 0, duplicates = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const struct dri_published *out =
            &contract_event(&client, DRI_TE_PUBLISHED, COUNT + i)->as.published;
        assert_int_equal(out->ack, out->token % 2 == 0 ? DRI_ACK_STORED : DRI_ACK_UNKNOWN);
        taken += out->reason == DRAY_EEXISTS ? 1 : 0;
        duplicates += out->is_duplicate ? 1 : 0;
    }
    assert_int_equal(taken, COUNT / 2);
    assert_int_equal(duplicates, COUNT);
    contract_fini(&client);
}

static bool is_settled(void *arg)
{
    const char *const *stream = arg;
    return ack_pending_of(*stream, "g") == 0;
}

static void a_settle_for_a_stream_that_is_gone_settles_nothing_of_the_one_made_anew(void **state)
{
    struct contract_client old, maker, new;
    const char *topic = contract_name("latecomer");
    (void)state;
    contract_open_group(&old, "g", topic);
    contract_fill(&old, topic, 10);
    contract_await(&old, DRI_TE_MESSAGE, 10, NULL);
    nats_server_kill(&server);
    contract_await(&old, DRI_TE_ERROR, 1, NULL);
    contract_settle_first(&old, 10); /* kept until the server is there again */
    nats_server_start(&server);
    delete_stream(stream_of(topic)); /* and nobody polls the old client meanwhile */
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 10);
    contract_open_group(&new, "g", topic);
    contract_await(&new, DRI_TE_MESSAGE, 10, NULL);
    contract_await(&old, DRI_TE_ASSIGNED, 2, NULL);
    contract_watch(&old, NULL);
    assert_int_equal(contract_count(&old, DRI_TE_LOST), 1);
    assert_int_equal(ack_pending_of(stream_of(topic), "g"), 10);
    contract_settle_first(&new, 10);
    const char *stream = stream_of(topic);
    contract_await_that(&new, &old, is_settled, &stream, "all of the new ones to be settled");
    contract_fini(&new);
    contract_fini(&maker);
    contract_fini(&old);
}

static void what_was_settled_of_a_stream_that_is_gone_is_not_taken_for_the_new_one(void **state)
{
    struct contract_client old, maker;
    const char *topic = contract_name("sameplace");
    (void)state;
    contract_open_group(&old, "g", topic);
    contract_fill(&old, topic, 10);
    contract_await(&old, DRI_TE_MESSAGE, 10, NULL);
    contract_settle_first(&old, 10);
    delete_stream(stream_of(topic)); /* it learns of that from what its requests bring */
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 10);
    contract_await(&old, DRI_TE_MESSAGE, 20, &maker);
    assert_int_equal(contract_event(&old, DRI_TE_MESSAGE, 10)->as.message.offset, 1);
    assert_int_equal(contract_event(&old, DRI_TE_MESSAGE, 19)->as.message.offset, 10);
    contract_fini(&maker);
    contract_fini(&old);
}

/* --- consumers and streams of others --------------------------------------------------------- */

static void assert_unfit(jsConsumerConfig *config, const char *word)
{
    struct contract_client client, maker;
    const char *topic = contract_name("unfit");
    char below[96];
    (void)snprintf(below, sizeof(below), "%s.only", topic);
    if (config->FilterSubject != NULL) {
        config->FilterSubject = below;
    }
    contract_open_producer(&maker, topic);
    contract_fini(&maker);
    config->Durable = "g";
    make_consumer(stream_of(topic), config);
    contract_init(&client, "g");
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    test_status(DRAY_EINVALID, subject.ops->open(&client.config, &client.transport, client.text,
                                                 sizeof(client.text)));
    assert_non_null(strstr(client.text, word));
    assert_non_null(strstr(client.text, "consumer g of stream"));
    contract_fini(&client);
}

static void a_consumer_that_would_lose_messages_is_refused(void **state)
{
    jsConsumerConfig config;
    (void)state;
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.AckPolicy = js_AckExplicit;
    config.MaxDeliver = 5;
    assert_unfit(&config, "max_deliver");
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.AckPolicy = js_AckAll;
    assert_unfit(&config, "ack policy");
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.AckPolicy = js_AckExplicit;
    config.DeliverSubject = "push.here";
    assert_unfit(&config, "push");
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.AckPolicy = js_AckExplicit;
    config.FilterSubject = "other";
    assert_unfit(&config, "filter");
}

static void a_message_that_the_consumer_will_soon_drop_is_said_to_be_at_its_end(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("last");
    jsConsumerConfig config;
    (void)state;
    contract_open_producer(&maker, topic);
    contract_fill(&maker, topic, 1);
    contract_fini(&maker);
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.Durable = "g";
    config.AckPolicy = js_AckExplicit;
    config.MaxDeliver = 1000;
    make_consumer(stream_of(topic), &config);
    deliver_often(stream_of(topic), "g", 995);
    contract_open_group(&client, "g", topic);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.deliveries, 996);
    assert_false(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.is_last);
    contract_fini(&client);
    contract_open_group(&client, "g", topic); /* it comes again when its lease has ended */
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    assert_int_equal(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.deliveries, 997);
    assert_true(contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.is_last);
    contract_settle_first(&client, 1);
    contract_fini(&client);
}

/** What doctor is told about a commands topic, and about the consumer of a group. */
static struct dri_topic_report checked(const char *topic, const char *group, enum dri_topic_use use)
{
    struct contract_client client;
    struct dri_transport_info info;
    struct dri_topic_report report;
    memset(&report, 0, sizeof(report));
    contract_init(&client, group);
    contract_topic(&client, topic, use);
    test_ok(subject.ops->check(&client.config, &info, &report, client.text, sizeof(client.text)));
    contract_fini(&client);
    return report;
}

static void a_check_looks_at_the_consumer_too(void **state)
{
    const char *topic = contract_name("examined");
    jsConsumerConfig config;
    (void)state;
    struct dri_topic_report report = checked(topic, "g", DRI_USE_COMMANDS);
    test_ok(report.status); /* no consumer yet: a worker makes it */
    assert_true(report.was_created);
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.Durable = "g";
    config.AckPolicy = js_AckExplicit;
    config.MaxDeliver = 5;
    make_consumer(stream_of(topic), &config);
    report = checked(topic, "g", DRI_USE_COMMANDS);
    assert_int_equal(report.status, DRAY_EINVALID);
    assert_non_null(strstr(report.text, "consumer g does not fit"));
    assert_non_null(strstr(report.text, "max_deliver"));
    report = checked(topic, "other", DRI_USE_COMMANDS);
    test_ok(report.status);
    report = checked(topic, NULL, DRI_USE_COMMANDS);
    test_ok(report.status);
}

static void a_short_duplicate_window_is_a_warning(void **state)
{
    struct admin admin;
    jsStreamConfig config;
    const char *topic = contract_name("window");
    (void)state;
    admin_open(&admin);
    assert_int_equal(jsStreamConfig_Init(&config), NATS_OK);
    config.Name = stream_of(topic);
    config.Subjects = &topic;
    config.SubjectsLen = 1;
    config.Duplicates = INT64_C(60000000000);
    assert_int_equal(js_AddStream(NULL, admin.js, &config, NULL, NULL), NATS_OK);
    admin_close(&admin);
    struct dri_topic_report report = checked(topic, NULL, DRI_USE_COMMANDS);
    test_ok(report.status);
    assert_non_null(strstr(report.text, "duplicate window of 60 s: a tick"));
    report = checked(topic, NULL, DRI_USE_RESULTS);
    test_ok(report.status);
    assert_non_null(strstr(report.text, "duplicate window of 60 s"));
    assert_non_null(strstr(report.text, "120 s or more"));
}

static void a_window_is_kept_as_long_as_it_is_wanted(void **state)
{
    struct contract_client client;
    struct admin admin;
    jsStreamInfo *info = NULL;
    const char *topic = contract_name("ids");
    (void)state;
    contract_init(&client, NULL);
    contract_topic(&client, topic, DRI_USE_WINDOW);
    client.config.window_ms = 300000;
    contract_open(&client);
    contract_close(&client);
    admin_open(&admin);
    assert_int_equal(js_GetStreamInfo(&info, admin.js, stream_of(topic), NULL, NULL), NATS_OK);
    assert_int_equal(info->Config->MaxAge, INT64_C(300000000000));
    jsStreamInfo_Destroy(info);
    admin_close(&admin);
    contract_fini(&client);
    contract_init(&client, NULL);
    contract_topic(&client, topic, DRI_USE_WINDOW);
    client.config.window_ms = 300001;
    assert_int_equal(
        subject.ops->open(&client.config, &client.transport, client.text, sizeof(client.text)),
        DRAY_EINVALID);
    assert_non_null(strstr(client.text, "would forget ids of commands"));
    contract_fini(&client);
    contract_init(&client, NULL); /* and a park log for ever */
    contract_topic(&client, topic, DRI_USE_PARK);
    assert_int_equal(
        subject.ops->open(&client.config, &client.transport, client.text, sizeof(client.text)),
        DRAY_EINVALID);
    assert_non_null(strstr(client.text, "would forget parked commands"));
    contract_fini(&client);
}

static void make_kept(const char *topic, const char *const *subjects, int count, bool deny_delete)
{
    struct admin admin;
    jsStreamConfig config;
    admin_open(&admin);
    assert_int_equal(jsStreamConfig_Init(&config), NATS_OK);
    config.Name = stream_of(topic);
    config.Subjects = (const char **)(uintptr_t)subjects;
    config.SubjectsLen = count;
    config.DenyDelete = deny_delete;
    assert_int_equal(js_AddStream(NULL, admin.js, &config, NULL, NULL), NATS_OK);
    admin_close(&admin);
}

static void try_park(const char *topic, const char *wanted)
{
    struct contract_client client;
    contract_init(&client, NULL);
    contract_topic(&client, topic, DRI_USE_PARK);
    contract_option(&client, "partitions", "4");
    assert_int_equal(
        subject.ops->open(&client.config, &client.transport, client.text, sizeof(client.text)),
        wanted == NULL ? DRAY_OK : DRAY_EINVALID);
    if (wanted != NULL) {
        assert_non_null(strstr(client.text, wanted));
    }
    contract_fini(&client);
}

static void with_partitions_a_park_log_holds_them_and_lets_go(void **state)
{
    const char *made = contract_name("made"), *narrow = contract_name("narrow");
    const char *kept = contract_name("kept");
    char below[96];
    (void)state;
    try_park(made, NULL); /* by us */
    try_park(made, NULL); /* and it fits */
    make_kept(narrow, (const char *const[]){narrow}, 1, false);
    try_park(narrow, "nats.partitions");
    (void)snprintf(below, sizeof(below), "%s.>", kept);
    make_kept(kept, (const char *const[]){kept, below}, 2, true);
    try_park(kept, "deny_delete");
}

static void the_lease_of_a_consumer_is_its_first_backoff(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("backoff");
    jsConsumerConfig config;
    int64_t backoff[] = {INT64_C(4000000000), INT64_C(30000000000)};
    (void)state;
    contract_open_producer(&maker, topic);
    contract_fini(&maker);
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.Durable = "g";
    config.AckPolicy = js_AckExplicit;
    config.BackOff = backoff;
    config.BackOffLen = 2;
    config.MaxDeliver = 1000000;
    make_consumer(stream_of(topic), &config);
    contract_open_group(&client, "g", topic);
    contract_await(&client, DRI_TE_ASSIGNED, 1, NULL);
    uint64_t lease_ms =
        contract_event(&client, DRI_TE_ASSIGNED, 0)->as.assigned.lease_ns / 1000000u;
    assert_in_range(lease_ms, 3000, 4000);
    contract_fini(&client);
}

static void a_consumer_with_too_few_acks_pending_is_raised(void **state)
{
    struct contract_client client, maker;
    const char *topic = contract_name("raise");
    jsConsumerConfig config;
    jsConsumerInfo *info = NULL;
    struct admin admin;
    int64_t bound = 0;
    (void)state;
    contract_open_producer(&maker, topic);
    contract_fini(&maker);
    assert_int_equal(jsConsumerConfig_Init(&config), NATS_OK);
    config.Durable = "g";
    config.AckPolicy = js_AckExplicit;
    config.MaxAckPending = 100;
    make_consumer(stream_of(topic), &config);
    contract_open_group(&client, "g", topic);
    contract_watch(&client, NULL);
    admin_open(&admin);
    assert_int_equal(js_GetConsumerInfo(&info, admin.js, stream_of(topic), "g", NULL, NULL),
                     NATS_OK);
    bound = info->Config->MaxAckPending;
    jsConsumerInfo_Destroy(info);
    admin_close(&admin);
    assert_int_equal(bound, 40000); /* in_flight_max + unacked_max */
    contract_fini(&client);
}

static void a_stream_of_somebody_else_is_read_by_its_subject_alone(void **state)
{
    struct contract_client client;
    const char *base = contract_name("shop");
    char orders[96], carts[96];
    (void)state;
    (void)snprintf(orders, sizeof(orders), "%s.orders", base);
    (void)snprintf(carts, sizeof(carts), "%s.carts", base);
    const char *subjects[] = {orders, carts};
    make_stream(stream_of(base), subjects, 2);
    contract_init(&client, "g");
    contract_source(&client, orders, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, orders, DRI_USE_COMMANDS);
    client.config.can_create = false;
    contract_open(&client);
    put_text(&client, carts, "0", 1);
    put_text(&client, orders, "1", 2);
    put_text(&client, carts, "2", 3);
    contract_await(&client, DRI_TE_PUBLISHED, 3, NULL);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 1);
    test_slice(orders, contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.subject);
    test_slice(stream_of(base), contract_event(&client, DRI_TE_ASSIGNED, 0)->as.assigned.origin);
    contract_fini(&client);
}

static void subjects_below_the_commands_are_commands_too(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("below");
    char eu[96];
    (void)state;
    (void)snprintf(eu, sizeof(eu), "%s.eu.west", topic);
    contract_open_group(&client, "g", topic);
    put_text(&client, eu, "7", 1);
    contract_await(&client, DRI_TE_MESSAGE, 1, NULL);
    test_slice(eu, contract_event(&client, DRI_TE_MESSAGE, 0)->as.message.subject);
    contract_fini(&client);
}

static void a_stream_in_the_way_is_named(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("way");
    const char *other = "somewhere.else.entirely";
    (void)state;
    make_stream(stream_of(topic), &other, 1);
    contract_init(&client, NULL);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    enum dray_status status =
        subject.ops->open(&client.config, &client.transport, client.text, sizeof(client.text));
    assert_int_equal(status, DRAY_EINVALID);
    assert_non_null(strstr(client.text, stream_of(topic)));
    contract_fini(&client);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deleted_consumer_is_made_again_where_it_was),
        cmocka_unit_test(what_was_out_of_a_deleted_consumer_comes_again_and_its_settles_are_stale),
        cmocka_unit_test(a_stream_made_anew_is_read_from_its_first_message),
        cmocka_unit_test(a_log_made_anew_is_lost_and_read_from_its_first_record),
        cmocka_unit_test(a_log_whose_consumer_is_deleted_goes_on_without_a_gap),
        cmocka_unit_test(what_another_message_has_stored_under_our_id_is_not_ours),
        cmocka_unit_test(many_ids_that_are_taken_are_looked_at_one_after_the_other),
        cmocka_unit_test(a_settle_for_a_stream_that_is_gone_settles_nothing_of_the_one_made_anew),
        cmocka_unit_test(what_was_settled_of_a_stream_that_is_gone_is_not_taken_for_the_new_one),
        cmocka_unit_test(a_consumer_that_would_lose_messages_is_refused),
        cmocka_unit_test(a_message_that_the_consumer_will_soon_drop_is_said_to_be_at_its_end),
        cmocka_unit_test(a_check_looks_at_the_consumer_too),
        cmocka_unit_test(a_short_duplicate_window_is_a_warning),
        cmocka_unit_test(a_window_is_kept_as_long_as_it_is_wanted),
        cmocka_unit_test(with_partitions_a_park_log_holds_them_and_lets_go),
        cmocka_unit_test(the_lease_of_a_consumer_is_its_first_backoff),
        cmocka_unit_test(a_consumer_with_too_few_acks_pending_is_raised),
        cmocka_unit_test(a_stream_of_somebody_else_is_read_by_its_subject_alone),
        cmocka_unit_test(subjects_below_the_commands_are_commands_too),
        cmocka_unit_test(a_stream_in_the_way_is_named),
    };
    int skipped = nats_server_begin(argc, argv);
    return skipped != 0 ? skipped
                        : cmocka_run_group_tests(tests, nats_fixture_start, nats_fixture_end);
}
