/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "transport_contract.h"

/* Followers of the commands: a park log and a window for each partition of them. */

static struct dri_now now(void)
{
    return contract_it->now != NULL ? contract_it->now(contract_it) : dri_clock_now();
}

/* --- a group with followers ----------------------------------------------------------------- */

struct scene {
    const char *group, *commands, *park, *window, *replay;
    struct contract_client producer;
};

/* What every case but the one about shared slots needs. */
static bool has_pairs(void)
{
    return contract_it->mode == DRI_SETTLE_WATERMARK || contract_it->is_partitioned;
}

static void need_pairs(void)
{
    if (!has_pairs()) {
        test_skip("there are no partitions that somebody owns");
    }
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
    *scene = (struct scene){.group = contract_name("group"),
                            .commands = contract_name("follow"),
                            .park = contract_name("park"),
                            .window = contract_name("window"),
                            .replay = contract_name("replay")};
    contract_init(&scene->producer, NULL);
    declare(&scene->producer, scene);
    contract_open(&scene->producer);
}

static void prepare(struct contract_client *client, const struct scene *scene)
{
    contract_init(client, scene->group);
    client->config.client_id = contract_name("member");
    contract_source(client, scene->commands, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_source(client, scene->park, DRI_ROLE_PARK, DRI_START_EARLIEST, 0);
    contract_source(client, scene->window, DRI_ROLE_WINDOW, DRI_START_EARLIEST, 0);
    declare(client, scene);
}

static void open_member(struct contract_client *client, const struct scene *scene)
{
    prepare(client, scene);
    contract_open(client);
}

/** Texts from..to-1 into one partition of a topic. */
static void put(struct contract_client *client, const char *topic, int32_t partition, size_t from,
                size_t to)
{
    char name[96], value[24];
    bool is_subject = contract_it->mode == DRI_SETTLE_EACH && contract_it->is_partitioned;
    (void)snprintf(name, sizeof(name), is_subject ? "%s.p.%d" : "%s", topic, (int)partition);
    size_t before = contract_count(client, DRI_TE_PUBLISHED);
    for (size_t i = from; i < to; i++) {
        (void)snprintf(value, sizeof(value), "%zu", i);
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(name),
                                      .partition = is_subject ? -1 : partition,
                                      .key = dray_slice_text("key"),
                                      .value = dray_slice_text(value)};
        contract_publish(client, &message);
    }
    contract_await(client, DRI_TE_PUBLISHED, before + to - from, NULL);
    for (size_t i = before; i < before + to - from; i++) {
        assert_int_equal(contract_event(client, DRI_TE_PUBLISHED, i)->as.published.ack,
                         DRI_ACK_STORED);
    }
}

static void put_all(struct scene *scene, const char *topic, size_t from, size_t to)
{
    for (uint32_t p = 0; p < contract_it->partitions; p++) {
        put(&scene->producer, topic, (int32_t)p, from, to);
    }
}

/* --- what was told --------------------------------------------------------------------------- */

/** Index of the first event from `at` on of a type for a slot of this epoch; SIZE_MAX: none. */
static size_t find(const struct contract_client *client, enum dri_transport_event_type type,
                   uint32_t slot, uint32_t epoch, size_t at)
{
    for (; at < client->seen_count; at++) {
        const struct dri_transport_event *event = &client->seen[at].event;
        if (event->type == type && event->slot == slot && event->epoch == epoch) {
            return at;
        }
    }
    return SIZE_MAX;
}

/** The last assignment of a slot before the event at `before`. */
static const struct dri_transport_event *assigned_before(const struct contract_client *client,
                                                         uint32_t slot, size_t before)
{
    while (before-- > 0) {
        const struct dri_transport_event *event = &client->seen[before].event;
        if (event->type == DRI_TE_ASSIGNED && event->slot == slot) {
            return event;
        }
    }
    fail_msg("slot %u was not assigned before what names it", slot);
    return NULL;
}

/** Commands that have no partition, which every replica reads: where partitions have owners and are
 *  subjects, the commands subject itself is there, too. */
static bool is_shared(const struct dri_transport_event *assigned)
{
    char topic[128];
    (void)snprintf(topic, sizeof(topic), "%.*s", (int)assigned->as.assigned.topic.len,
                   (const char *)assigned->as.assigned.topic.at);
    return contract_it->mode == DRI_SETTLE_EACH && contract_it->is_partitioned &&
           strstr(topic, ".p.") == NULL;
}

struct roles {
    const struct contract_client *client;
    enum dri_transport_event_type type;
    enum dri_source_role role;
    size_t count, from;
};

static size_t count_role(const struct contract_client *client, enum dri_transport_event_type type,
                         enum dri_source_role role, size_t from)
{
    size_t count = 0;
    for (size_t i = from; i < client->seen_count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type != type) {
            continue;
        }
        const struct dri_transport_event *slot =
            type == DRI_TE_ASSIGNED ? event : assigned_before(client, event->slot, i);
        count += slot->as.assigned.role == role && !is_shared(slot);
    }
    return count;
}

static bool has_role(void *arg)
{
    const struct roles *roles = arg;
    return count_role(roles->client, roles->type, roles->role, roles->from) >= roles->count;
}

static void await_role(struct contract_client *client, struct contract_client *other,
                       enum dri_transport_event_type type, enum dri_source_role role, size_t count)
{
    struct roles roles = {client, type, role, count, 0};
    char what[64];
    (void)snprintf(what, sizeof(what), "%zu events %d of role %d", count, (int)type, (int)role);
    contract_await_that(client, other, has_role, &roles, what);
}

/** A follower that is named is one: of this role, this partition, assigned before, without a
 *  partner of its own. */
static void check_follower(const struct contract_client *client, size_t at,
                           enum dri_source_role role, uint32_t slot)
{
    const struct dri_transport_event *commands = &client->seen[at].event;
    const struct dri_transport_event *follower = assigned_before(client, slot, at);
    assert_int_equal(follower->as.assigned.role, role);
    assert_int_equal(follower->as.assigned.partition, commands->as.assigned.partition);
    assert_int_equal(follower->as.assigned.mode, contract_it->mode);
    assert_int_equal(follower->as.assigned.lease_ns, 0);
    assert_int_equal(follower->as.assigned.park, DRI_SLOT_NONE);
    assert_int_equal(follower->as.assigned.window, DRI_SLOT_NONE);
    assert_true(follower->as.assigned.origin.len > 0);
    assert_true(follower->epoch > 0);
}

/** Every assignment of commands named its followers, and waited for them. Returns how many. */
static size_t check_pairs(const struct contract_client *client)
{
    size_t count = 0;
    for (size_t i = 0; i < client->seen_count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type != DRI_TE_ASSIGNED || event->as.assigned.role != DRI_ROLE_COMMANDS ||
            is_shared(event)) {
            continue;
        }
        count++;
        check_follower(client, i, DRI_ROLE_PARK, event->as.assigned.park);
        check_follower(client, i, DRI_ROLE_WINDOW, event->as.assigned.window);
        size_t first = find(client, DRI_TE_MESSAGE, event->slot, event->epoch, i);
        if (first == SIZE_MAX) {
            continue;
        }
        const uint32_t followers[2] = {event->as.assigned.park, event->as.assigned.window};
        for (size_t f = 0; f < 2; f++) {
            const struct dri_transport_event *follower = assigned_before(client, followers[f], i);
            size_t caught_up = find(client, DRI_TE_CAUGHT_UP, follower->slot, follower->epoch, 0);
            assert_true(caught_up < first);
        }
    }
    return count;
}

/** The messages of a slot before the event at `end`: texts from..to-1 in order. */
static void check_texts(const struct contract_client *client, uint32_t slot, uint32_t epoch,
                        size_t end, size_t from, size_t to)
{
    size_t wanted = from;
    for (size_t i = 0; i < end; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type == DRI_TE_MESSAGE && event->slot == slot && event->epoch == epoch) {
            assert_int_equal(contract_number(event), wanted++);
        }
    }
    assert_int_equal(wanted, to);
}

/** Every slot of a role, in its present epoch, gave the texts from..to-1 and no other. */
static void check_all_texts(const struct contract_client *client, enum dri_source_role role,
                            size_t from, size_t to)
{
    for (size_t i = 0; i < client->seen_count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type == DRI_TE_ASSIGNED && event->as.assigned.role == role &&
            !is_shared(event)) {
            check_texts(client, event->slot, event->epoch, client->seen_count, from, to);
        }
    }
}

/* --- the cases ------------------------------------------------------------------------------- */

static void followers_are_assigned_before_the_commands_that_name_them(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    open_member(&client, &scene);
    await_role(&client, NULL, DRI_TE_ASSIGNED, DRI_ROLE_COMMANDS, contract_it->partitions);
    contract_watch(&client, NULL);
    assert_int_equal(count_role(&client, DRI_TE_ASSIGNED, DRI_ROLE_COMMANDS, 0) +
                         count_role(&client, DRI_TE_ASSIGNED, DRI_ROLE_PARK, 0) +
                         count_role(&client, DRI_TE_ASSIGNED, DRI_ROLE_WINDOW, 0),
                     3 * contract_it->partitions);
    assert_int_equal(check_pairs(&client), contract_it->partitions);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void empty_followers_hold_up_nothing(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.commands, 0, 5);
    open_member(&client, &scene);
    await_role(&client, NULL, DRI_TE_MESSAGE, DRI_ROLE_COMMANDS,
               5 * (size_t)contract_it->partitions);
    assert_int_equal(contract_count(&client, DRI_TE_CAUGHT_UP), 2 * contract_it->partitions);
    assert_int_equal(check_pairs(&client), contract_it->partitions);
    check_all_texts(&client, DRI_ROLE_COMMANDS, 0, 5);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void commands_wait_until_their_followers_are_read(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.commands, 0, 8);
    put_all(&scene, scene.park, 0, 30);
    put_all(&scene, scene.window, 0, 20);
    prepare(&client, &scene);
    client.messages_max = 3;
    contract_open(&client);
    contract_await(&client, DRI_TE_MESSAGE, 58 * (size_t)contract_it->partitions, NULL);
    contract_watch(&client, NULL);
    assert_int_equal(check_pairs(&client), contract_it->partitions);
    check_all_texts(&client, DRI_ROLE_COMMANDS, 0, 8);
    check_all_texts(&client, DRI_ROLE_PARK, 0, 30);
    check_all_texts(&client, DRI_ROLE_WINDOW, 0, 20);
    size_t ends = 0;
    for (size_t i = 0; i < client.seen_count;
         i++) { /* the end is told behind what it is the end of */
        const struct dri_transport_event *event = &client.seen[i].event;
        if (event->type == DRI_TE_CAUGHT_UP) {
            bool is_park =
                assigned_before(&client, event->slot, i)->as.assigned.role == DRI_ROLE_PARK;
            check_texts(&client, event->slot, event->epoch, i, 0, is_park ? 30 : 20);
            ends++;
        }
    }
    assert_int_equal(ends, 2 * contract_it->partitions);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void switch_role(struct contract_client *client, enum dri_source_role role, bool is_pause)
{
    size_t count = client->seen_count;
    for (size_t i = 0; i < count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type == DRI_TE_ASSIGNED && event->as.assigned.role == role) {
            (is_pause ? contract_it->ops->pause
                      : contract_it->ops->resume)(client->transport, event->slot, event->epoch);
        }
    }
}

static void
a_paused_follower_holds_up_its_commands_and_a_paused_commands_slot_no_follower(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.commands, 0, 4);
    put_all(&scene, scene.park, 0, 6);
    put_all(&scene, scene.window, 0, 5);
    prepare(&client, &scene);
    client.messages_max = 0;
    contract_open(&client);
    await_role(&client, NULL, DRI_TE_ASSIGNED, DRI_ROLE_COMMANDS, contract_it->partitions);
    switch_role(&client, DRI_ROLE_PARK, true);
    client.messages_max = 100;
    await_role(&client, NULL, DRI_TE_CAUGHT_UP, DRI_ROLE_WINDOW, contract_it->partitions);
    contract_watch(&client, NULL);
    assert_int_equal(count_role(&client, DRI_TE_MESSAGE, DRI_ROLE_COMMANDS, 0), 0);
    assert_int_equal(count_role(&client, DRI_TE_MESSAGE, DRI_ROLE_PARK, 0), 0);
    switch_role(&client, DRI_ROLE_COMMANDS, true);
    switch_role(&client, DRI_ROLE_PARK, false);
    await_role(&client, NULL, DRI_TE_CAUGHT_UP, DRI_ROLE_PARK, contract_it->partitions);
    contract_watch(&client, NULL);
    assert_int_equal(count_role(&client, DRI_TE_MESSAGE, DRI_ROLE_COMMANDS, 0), 0);
    switch_role(&client, DRI_ROLE_COMMANDS, false);
    contract_await(&client, DRI_TE_MESSAGE, 15 * (size_t)contract_it->partitions, NULL);
    contract_watch(&client, NULL);
    check_all_texts(&client, DRI_ROLE_COMMANDS, 0, 4);
    check_all_texts(&client, DRI_ROLE_PARK, 0, 6);
    check_all_texts(&client, DRI_ROLE_WINDOW, 0, 5);
    assert_int_equal(check_pairs(&client), contract_it->partitions);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

/* By the client's own hand, and by number of the partition, as a worker does it. */
static void a_follower_goes_on_as_a_tail(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.park, 0, 3);
    open_member(&client, &scene);
    contract_await(&client, DRI_TE_CAUGHT_UP, 2 * (size_t)contract_it->partitions, NULL);
    const char *topics[2] = {scene.park, scene.window};
    for (uint32_t i = 0; i < 4 * contract_it->partitions; i++) {
        char value[24];
        uint32_t number = i / (2 * contract_it->partitions) + (i % 2 == 0 ? 3 : 0);
        (void)snprintf(value, sizeof(value), "%u", number);
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(topics[i % 2]),
                                      .partition = (int32_t)(i / 2 % contract_it->partitions),
                                      .key = dray_slice_text("key"),
                                      .value = dray_slice_text(value)};
        contract_publish(&client, &message);
    }
    contract_await(&client, DRI_TE_MESSAGE, 7 * (size_t)contract_it->partitions, NULL);
    contract_watch(&client, NULL);
    check_all_texts(&client, DRI_ROLE_PARK, 0, 5);
    check_all_texts(&client, DRI_ROLE_WINDOW, 0, 2);
    assert_int_equal(contract_count(&client, DRI_TE_CAUGHT_UP), 2 * contract_it->partitions);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

struct settled {
    const struct contract_client *client;
    size_t count;
};

static bool has_settled(void *arg)
{
    const struct settled *settled = arg;
    size_t count = 0;
    for (size_t i = 0; i < settled->client->seen_count; i++) {
        const struct dri_transport_event *event = &settled->client->seen[i].event;
        count += event->type == DRI_TE_SETTLED && event->status == DRAY_OK;
    }
    return count >= settled->count;
}

/** The first `count` messages of each park slot. */
static void settle_park(struct contract_client *client, size_t count)
{
    size_t seen_count = client->seen_count, answers = 0;
    for (size_t i = 0; i < seen_count; i++) {
        struct dri_transport_event event = client->seen[i].event;
        if (event.type != DRI_TE_MESSAGE ||
            assigned_before(client, event.slot, i)->as.assigned.role != DRI_ROLE_PARK ||
            contract_number(&client->seen[i].event) >= count) {
            continue;
        }
        bool is_last = contract_number(&client->seen[i].event) + 1 == count;
        if (contract_it->mode == DRI_SETTLE_WATERMARK && !is_last) {
            continue;
        }
        struct dri_settle settle = {.slot = event.slot,
                                    .epoch = event.epoch,
                                    .position = event.as.message.offset + 1,
                                    .delivery = event.as.message.delivery};
        if (contract_it->mode == DRI_SETTLE_WATERMARK) {
            settle.metadata = dray_slice_text("1:parked");
            answers++;
        } else {
            assert_int_equal(event.as.message.delivery, event.as.message.offset);
        }
        contract_it->ops->settle(client->transport, now(), &settle, 1);
    }
    struct settled settled = {client, answers};
    contract_await_that(client, NULL, has_settled, &settled, "the answers of the park log");
    if (contract_it->mode == DRI_SETTLE_EACH) { /* nobody says that it is deleted */
        contract_watch(client, NULL);
    }
}

static void what_was_settled_of_a_park_log_is_not_read_again_and_a_window_is(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.park, 0, 9);
    put_all(&scene, scene.window, 0, 7);
    open_member(&client, &scene);
    contract_await(&client, DRI_TE_MESSAGE, 16 * (size_t)contract_it->partitions, NULL);
    settle_park(&client, 4);
    contract_fini(&client);
    open_member(&client, &scene);
    contract_await(&client, DRI_TE_CAUGHT_UP, 2 * (size_t)contract_it->partitions, NULL);
    contract_watch(&client, NULL);
    check_all_texts(&client, DRI_ROLE_PARK, 4, 9);
    check_all_texts(&client, DRI_ROLE_WINDOW, 0, 7);
    for (size_t i = 0; i < contract_count(&client, DRI_TE_ASSIGNED); i++) {
        const struct dri_transport_event *event = contract_event(&client, DRI_TE_ASSIGNED, i);
        bool is_park =
            event->as.assigned.role == DRI_ROLE_PARK && contract_it->mode == DRI_SETTLE_WATERMARK;
        if (event->as.assigned.role == DRI_ROLE_COMMANDS && contract_it->mode == DRI_SETTLE_EACH) {
            continue; /* has no position of its own that would say what is finished */
        }
        assert_int_equal(event->as.assigned.committed >= 0, is_park);
        assert_int_equal(event->as.assigned.metadata.len, is_park ? strlen("1:parked") : 0);
        if (is_park) {
            test_slice("1:parked", event->as.assigned.metadata);
        }
    }
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void a_park_log_that_is_settled_to_its_end_has_caught_up(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.park, 0, 3);
    open_member(&client, &scene);
    contract_await(&client, DRI_TE_MESSAGE, 3 * (size_t)contract_it->partitions, NULL);
    settle_park(&client, 3);
    contract_fini(&client);
    put_all(&scene, scene.commands, 0, 2);
    open_member(&client, &scene);
    contract_await(&client, DRI_TE_MESSAGE, 2 * (size_t)contract_it->partitions, NULL);
    check_all_texts(&client, DRI_ROLE_COMMANDS, 0, 2);
    check_all_texts(&client, DRI_ROLE_PARK, 0, 0);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

/** Commands are revoked first, their followers with them. Returns how many commands slots were. */
static size_t check_revokes(const struct contract_client *client)
{
    size_t count = 0;
    for (size_t i = 0; i < client->seen_count; i++) {
        const struct dri_transport_event *event = &client->seen[i].event;
        if (event->type != DRI_TE_REVOKED) {
            continue;
        }
        const struct dri_transport_event *slot = assigned_before(client, event->slot, i);
        if (slot->as.assigned.role != DRI_ROLE_COMMANDS || is_shared(slot)) {
            continue;
        }
        count++;
        const uint32_t followers[2] = {slot->as.assigned.park, slot->as.assigned.window};
        for (size_t f = 0; f < 2; f++) {
            uint32_t epoch = assigned_before(client, followers[f], i)->epoch;
            size_t revoked = find(client, DRI_TE_REVOKED, followers[f], epoch, 0);
            assert_true(revoked > i && revoked < client->seen_count);
        }
    }
    return count;
}

struct shares {
    const struct contract_client *one, *other;
};

static size_t held_commands(const struct contract_client *client)
{
    size_t assigned = count_role(client, DRI_TE_ASSIGNED, DRI_ROLE_COMMANDS, 0);
    size_t gone = count_role(client, DRI_TE_REVOKED, DRI_ROLE_COMMANDS, 0) +
                  count_role(client, DRI_TE_LOST, DRI_ROLE_COMMANDS, 0);
    return assigned - gone;
}

static bool is_shared_out(void *arg)
{
    const struct shares *shares = arg;
    size_t one = held_commands(shares->one), other = held_commands(shares->other);
    return one > 0 && other > 0 && one + other == contract_it->partitions;
}

static bool has_all(void *arg)
{
    const struct contract_client *client = arg;
    return held_commands(client) == contract_it->partitions;
}

static void another_member_takes_over_both(void **state)
{
    struct scene scene;
    struct contract_client one, other;
    struct shares shares = {&one, &other};
    (void)state;
    need_pairs();
    begin(&scene);
    put_all(&scene, scene.park, 0, 6);
    put_all(&scene, scene.window, 0, 5);
    open_member(&one, &scene);
    contract_await(&one, DRI_TE_MESSAGE, 11 * (size_t)contract_it->partitions, NULL);
    settle_park(&one, 2);
    open_member(&other, &scene);
    contract_await_that(&one, &other, is_shared_out, &shares, "a share for both");
    assert_true(check_revokes(&one) > 0);
    contract_close(&one);
    contract_await_that(&other, NULL, has_all, &other, "all partitions");
    put_all(&scene, scene.commands, 0, 3);
    await_role(&other, NULL, DRI_TE_MESSAGE, DRI_ROLE_COMMANDS,
               3 * (size_t)contract_it->partitions);
    assert_true(check_pairs(&other) >= contract_it->partitions);
    for (size_t i = 0; i < other.seen_count; i++) { /* as far as it got in this epoch */
        const struct dri_transport_event *event = &other.seen[i].event;
        if (event->type != DRI_TE_CAUGHT_UP) {
            continue;
        }
        bool is_park = assigned_before(&other, event->slot, i)->as.assigned.role == DRI_ROLE_PARK;
        check_texts(&other, event->slot, event->epoch, i, is_park ? 2 : 0, is_park ? 6 : 5);
    }
    contract_fini(&other);
    contract_fini(&one);
    contract_fini(&scene.producer);
}

static void a_replay_slot_names_the_followers_of_its_partition_and_waits_for_them(void **state)
{
    struct scene scene;
    struct contract_client client;
    (void)state;
    need_pairs();
    if (contract_it->mode != DRI_SETTLE_WATERMARK) {
        test_skip("replays are not partitioned");
    }
    begin(&scene);
    put_all(&scene, scene.park, 0, 12);
    contract_init(&client, NULL);
    contract_topic(&client, scene.replay, DRI_USE_REPLAY);
    contract_open(&client);
    for (uint32_t p = 0; p < contract_it->partitions; p++) {
        put(&client, scene.replay, (int32_t)p, 0, 3);
    }
    contract_fini(&client);
    prepare(&client, &scene);
    contract_source(&client, scene.replay, DRI_ROLE_REPLAY, DRI_START_EARLIEST, 0);
    client.messages_max = 2;
    contract_open(&client);
    contract_await(&client, DRI_TE_MESSAGE, 15 * (size_t)contract_it->partitions, NULL);
    size_t named = 0;
    for (size_t i = 0; i < client.seen_count; i++) {
        const struct dri_transport_event *event = &client.seen[i].event;
        if (event->type != DRI_TE_ASSIGNED || event->as.assigned.role != DRI_ROLE_REPLAY) {
            continue;
        }
        check_follower(&client, i, DRI_ROLE_PARK, event->as.assigned.park);
        check_follower(&client, i, DRI_ROLE_WINDOW, event->as.assigned.window);
        const struct dri_transport_event *park =
            assigned_before(&client, event->as.assigned.park, i);
        size_t first = find(&client, DRI_TE_MESSAGE, event->slot, event->epoch, 0);
        assert_true(find(&client, DRI_TE_CAUGHT_UP, park->slot, park->epoch, 0) < first);
        named++;
    }
    assert_int_equal(named, contract_it->partitions);
    check_all_texts(&client, DRI_ROLE_REPLAY, 0, 3);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

static void a_follower_that_does_not_fit_is_an_error(void **state)
{
    struct scene scene;
    struct contract_client client;
    const char *missing = contract_name("missing"), *narrow = contract_name("narrow");
    (void)state;
    need_pairs();
    if (contract_it->makes_any_topic) {
        test_skip("the broker makes what is named, as it likes");
    }
    begin(&scene);
    prepare(&client, &scene);
    client.sources[1].topic = client.topics[1].topic = missing;
    client.config.can_create = false;
    assert_int_equal(
        contract_it->ops->open(&client.config, &client.transport, client.text, sizeof(client.text)),
        DRAY_ENOTFOUND);
    assert_non_null(strstr(client.text, missing));
    contract_fini(&client);
    if (contract_it->mode == DRI_SETTLE_WATERMARK) {
        contract_init(&client, NULL); /* as if it were a topic with one partition for its own */
        contract_topic(&client, narrow, DRI_USE_CONTROL);
        contract_open(&client);
        contract_fini(&client);
        prepare(&client, &scene);
        client.sources[1].topic = client.topics[1].topic = narrow;
        client.config.can_create = false; /* who may add partitions does */
        assert_int_equal(contract_it->ops->open(&client.config, &client.transport, client.text,
                                                sizeof(client.text)),
                         DRAY_EINVALID);
        assert_non_null(strstr(client.text, narrow));
        contract_fini(&client);
    }
    contract_fini(&scene.producer);
}

static void without_owners_there_is_no_park_log_and_everybody_reads_the_window(void **state)
{
    struct scene scene;
    struct contract_client client, other;
    (void)state;
    if (has_pairs()) {
        test_skip("each partition has an owner");
    }
    begin(&scene);
    put(&scene.producer, scene.commands, -1, 0, 4);
    put(&scene.producer, scene.park, -1, 0, 3);
    put(&scene.producer, scene.window, -1, 0, 5);
    prepare(&client, &scene);
    client.messages_max = 2;
    contract_open(&client);
    contract_await(&client, DRI_TE_MESSAGE, 9, NULL);
    assert_int_equal(contract_count(&client, DRI_TE_ASSIGNED), 2);
    const struct dri_transport_event *window = contract_event(&client, DRI_TE_ASSIGNED, 0);
    const struct dri_transport_event *commands = contract_event(&client, DRI_TE_ASSIGNED, 1);
    assert_int_equal(window->as.assigned.role, DRI_ROLE_WINDOW);
    assert_int_equal(window->as.assigned.lease_ns, 0);
    assert_int_equal(commands->as.assigned.role, DRI_ROLE_COMMANDS);
    assert_int_equal(commands->as.assigned.park, DRI_SLOT_NONE);
    assert_int_equal(commands->as.assigned.window, window->slot);
    size_t end = find(&client, DRI_TE_CAUGHT_UP, window->slot, window->epoch, 0);
    check_texts(&client, window->slot, window->epoch, end, 0, 5);
    assert_true(end < find(&client, DRI_TE_MESSAGE, commands->slot, commands->epoch, 0));
    contract_settle_first(&client, 0);
    open_member(&other, &scene);
    contract_await(&other, DRI_TE_CAUGHT_UP, 1, &client);
    put(&scene.producer, scene.window, -1, 5, 7);
    struct roles both[2] = {{&client, DRI_TE_MESSAGE, DRI_ROLE_WINDOW, 7, 0},
                            {&other, DRI_TE_MESSAGE, DRI_ROLE_WINDOW, 7, 0}};
    contract_await_that(&client, &other, has_role, &both[0], "the tail of the window");
    contract_await_that(&other, &client, has_role, &both[1], "the tail of the window");
    check_all_texts(&client, DRI_ROLE_WINDOW, 0, 7);
    check_all_texts(&other, DRI_ROLE_WINDOW, 0, 7);
    contract_fini(&other);
    contract_fini(&client);
    contract_fini(&scene.producer);
}

const struct CMUnitTest contract_follow_cases[] = {
    cmocka_unit_test(followers_are_assigned_before_the_commands_that_name_them),
    cmocka_unit_test(empty_followers_hold_up_nothing),
    cmocka_unit_test(commands_wait_until_their_followers_are_read),
    cmocka_unit_test(
        a_paused_follower_holds_up_its_commands_and_a_paused_commands_slot_no_follower),
    cmocka_unit_test(a_follower_goes_on_as_a_tail),
    cmocka_unit_test(what_was_settled_of_a_park_log_is_not_read_again_and_a_window_is),
    cmocka_unit_test(a_park_log_that_is_settled_to_its_end_has_caught_up),
    cmocka_unit_test(another_member_takes_over_both),
    cmocka_unit_test(a_replay_slot_names_the_followers_of_its_partition_and_waits_for_them),
    cmocka_unit_test(a_follower_that_does_not_fit_is_an_error),
    cmocka_unit_test(without_owners_there_is_no_park_log_and_everybody_reads_the_window),
};
const size_t contract_follow_count =
    sizeof(contract_follow_cases) / sizeof(contract_follow_cases[0]);
