/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "base/hash.h"
#include "support/test.h"
#include "transport/sim.h"

/* The simulated broker misbehaves as the real ones were seen to: each oddity by itself. What it
 * does right is in tests/contract. Time stands still but where a test moves it. */

#define MS         UINT64_C(1000000)
#define EVENTS_MAX 64u

struct scene {
    struct dri_sim_broker *broker;
    struct dri_now now;
    struct dri_transport_event events[EVENTS_MAX]; /* of the last poll */
    size_t events_count;
};

struct place { /* where a client stands */
    uint32_t slot, epoch;
};

static void begin(struct scene *scene, const struct dri_sim_config *config)
{
    *scene = (struct scene){.now = {.mono_ns = MS, .wall_ms = 1767225600000}};
    test_ok(dri_sim_create(config, &scene->broker));
    test_ok(dri_sim_topic_create(scene->broker, "commands", 1));
    test_ok(dri_sim_topic_create(scene->broker, "results", 1));
}

static void wait_ms(struct scene *scene, uint64_t ms)
{
    scene->now.mono_ns += ms * MS;
    scene->now.wall_ms += ms;
}

static struct dri_transport *join(struct scene *scene, uint32_t unacked_max)
{
    const struct dri_source source = {.topic = "commands", .start = DRI_START_EARLIEST};
    const struct dri_transport_config config = {
        .url = "sim://",
        .group = "g",
        .client_id = "c",
        .sources = &source,
        .sources_count = 1,
        .unacked_max = unacked_max,
        .sim = scene->broker,
    };
    struct dri_transport *client = NULL;
    char text[200] = "";
    test_ok(dri_sim_ops.open(&config, &client, text, sizeof(text)));
    return client;
}

static void leave(struct dri_transport *client)
{
    dri_sim_ops.close(client, 0);
    dri_sim_ops.destroy(client);
}

static size_t poll_now(struct scene *scene, struct dri_transport *client)
{
    bool has_more = false;
    scene->events_count =
        dri_sim_ops.poll(client, scene->now, EVENTS_MAX, scene->events, EVENTS_MAX, &has_more);
    return scene->events_count;
}

static const struct dri_transport_event *find(const struct scene *scene,
                                              enum dri_transport_event_type type)
{
    for (size_t i = 0; i < scene->events_count; i++) {
        if (scene->events[i].type == type) {
            return &scene->events[i];
        }
    }
    return NULL;
}

static const struct dri_transport_event *poll_for(struct scene *scene, struct dri_transport *client,
                                                  enum dri_transport_event_type type)
{
    (void)poll_now(scene, client);
    const struct dri_transport_event *event = find(scene, type);
    assert_non_null(event);
    return event;
}

static struct place place_of(const struct dri_transport_event *event)
{
    return (struct place){event->slot, event->epoch};
}

static uint64_t append(struct scene *scene)
{
    const struct dri_publish message = {
        .topic = dray_slice_text("commands"), .partition = -1, .value = dray_slice_text("x")};
    int32_t partition = -1;
    uint64_t offset = 0;
    test_ok(dri_sim_append(scene->broker, scene->now, &message, &partition, &offset));
    return offset;
}

static void settle(struct scene *scene, struct dri_transport *client, struct place place,
                   uint64_t position, const char *metadata)
{
    const struct dri_settle settle = {.slot = place.slot,
                                      .epoch = place.epoch,
                                      .position = position,
                                      .delivery = position,
                                      .metadata = dray_slice_text(metadata)};
    dri_sim_ops.settle(client, scene->now, &settle, 1);
}

static void publish(struct scene *scene, struct dri_transport *client, uint64_t token)
{
    const struct dri_publish message = {.token = token,
                                        .topic = dray_slice_text("results"),
                                        .partition = -1,
                                        .value = dray_slice_text("r")};
    assert_int_equal(dri_sim_ops.publish(client, scene->now, &message, 1), 1);
}

static uint64_t count_of(const struct scene *scene, enum dri_sim_fault fault)
{
    uint64_t counts[DRI_SIM_FAULT_COUNT];
    dri_sim_counts(scene->broker, counts);
    return counts[fault];
}

static size_t results(const struct scene *scene)
{
    size_t count = 0;
    while (dri_sim_record_at(scene->broker, "results", 0, count) != NULL) {
        count++;
    }
    return count;
}

/* --- groups
 * --------------------------------------------------------------------------------------- */

static void a_commit_of_a_member_that_does_not_own_the_partition_is_taken(void **state)
{
    struct dri_sim_config config = {.is_virtual = true, .late_ms = 1000};
    struct scene scene;
    (void)state;
    config.rates[DRI_SIM_SETTLE_LATE] = 1000;
    begin(&scene, &config);
    struct dri_transport *first = join(&scene, 10);
    struct place place = place_of(poll_for(&scene, first, DRI_TE_ASSIGNED));
    settle(&scene, first, place, 7, NULL); /* is still on its way when the partition moves */
    struct dri_transport *second = NULL;
    for (int i = 0; i < 50 && (second == NULL || find(&scene, DRI_TE_ASSIGNED) == NULL); i++) {
        /* Which of the two gets it is drawn anew at each shake. */
        second = second == NULL ? join(&scene, 10) : second;
        dri_sim_storm(scene.broker, scene.now, false, 1);
        (void)poll_now(&scene, first);
        const struct dri_transport_event *revoked = find(&scene, DRI_TE_REVOKED);
        if (revoked != NULL) {
            dri_sim_ops.unassign(first, revoked->slot, revoked->epoch);
        }
        (void)poll_now(&scene, second);
    }
    assert_non_null(find(&scene, DRI_TE_ASSIGNED));
    assert_int_equal(dri_sim_committed(scene.broker, "g", "commands", 0), -1);
    wait_ms(&scene, 1001);
    dri_sim_advance(scene.broker, scene.now);
    assert_int_equal(dri_sim_committed(scene.broker, "g", "commands", 0), 7);
    assert_int_equal(count_of(&scene, DRI_SIM_FOREIGN_COMMIT), 1);
    leave(second);
    leave(first);
    dri_sim_destroy(scene.broker);
}

static void a_zombie_is_fenced_until_it_polls_again(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true, .session_ms = 1000};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    struct dri_transport *zombie = join(&scene, 10);
    struct place place = place_of(poll_for(&scene, zombie, DRI_TE_ASSIGNED));
    dri_sim_isolate(zombie, scene.now, scene.now.mono_ns + 5000 * MS);
    wait_ms(&scene, 2000);
    (void)append(&scene);
    assert_non_null(poll_for(&scene, zombie, DRI_TE_MESSAGE)); /* it works on, and does not know */
    assert_int_equal(count_of(&scene, DRI_SIM_SESSION_EXPIRED), 1);
    settle(&scene, zombie, place, 1, NULL);
    assert_int_equal(poll_for(&scene, zombie, DRI_TE_SETTLED)->status, DRAY_ESTALE);
    assert_int_equal(dri_sim_committed(scene.broker, "g", "commands", 0), -1);
    wait_ms(&scene, 4000);
    assert_non_null(poll_for(&scene, zombie, DRI_TE_LOST));
    assert_non_null(find(&scene, DRI_TE_MESSAGE)); /* and again, under another epoch */
    struct place back = place_of(find(&scene, DRI_TE_MESSAGE));
    assert_true(back.epoch != place.epoch);
    settle(&scene, zombie, place, 1, NULL); /* the transport knows by now that this is stale */
    assert_int_equal(dri_sim_stale(zombie), 1);
    settle(&scene, zombie, back, 1, NULL);
    assert_int_equal(dri_sim_committed(scene.broker, "g", "commands", 0), 1);
    leave(zombie);
    dri_sim_destroy(scene.broker);
}

static void a_commit_may_go_backwards(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    struct place place = place_of(poll_for(&scene, client, DRI_TE_ASSIGNED));
    settle(&scene, client, place, 100, NULL);
    settle(&scene, client, place, 1, NULL);
    assert_int_equal(dri_sim_committed(scene.broker, "g", "commands", 0), 1);
    assert_int_equal(count_of(&scene, DRI_SIM_REWIND), 1);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void metadata_that_is_too_long_fails_the_commit(void **state)
{
    static char metadata[5000];
    const struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    (void)state;
    memset(metadata, 'm', sizeof(metadata) - 1);
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    struct place place = place_of(poll_for(&scene, client, DRI_TE_ASSIGNED));
    settle(&scene, client, place, 3, metadata);
    assert_int_equal(poll_for(&scene, client, DRI_TE_SETTLED)->status, DRAY_ELIMIT);
    assert_int_equal(dri_sim_committed(scene.broker, "g", "commands", 0), -1);
    leave(client);
    dri_sim_destroy(scene.broker);
}

/* What comes back of metadata "new" at 2, after "old" at 1. */
static void metadata_comes_back(enum dri_sim_fault fault, uint64_t struck, struct dray_slice wanted,
                                bool is_equal)
{
    struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    config.rates[fault] = struck > 0 ? 1000 : 0;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    struct place place = place_of(poll_for(&scene, client, DRI_TE_ASSIGNED));
    settle(&scene, client, place, 1, "old");
    settle(&scene, client, place, 2, "new");
    dri_sim_storm(scene.broker, scene.now, true, 1);
    const struct dri_transport_event *assigned = poll_for(&scene, client, DRI_TE_ASSIGNED);
    assert_int_equal(assigned->as.assigned.committed, 2);
    assert_int_equal(dray_slice_equal(assigned->as.assigned.metadata, wanted), is_equal);
    assert_int_equal(count_of(&scene, fault), struck);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void metadata_may_be_lost_damaged_or_of_another_position(void **state)
{
    (void)state;
    metadata_comes_back(DRI_SIM_METADATA_LOST, 0, dray_slice_text("new"), true);
    metadata_comes_back(DRI_SIM_METADATA_LOST, 1, dray_slice_of(NULL, 0), true);
    metadata_comes_back(DRI_SIM_METADATA_DAMAGED, 1, dray_slice_text("new"), false);
    metadata_comes_back(DRI_SIM_METADATA_FOREIGN, 1, dray_slice_text("old"), true);
}

static void what_a_dead_member_held_goes_to_the_others_after_its_session(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true, .session_ms = 1000};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    struct dri_transport *dead = join(&scene, 10);
    assert_non_null(poll_for(&scene, dead, DRI_TE_ASSIGNED));
    dri_sim_kill(dead, 0);
    assert_true(dri_sim_is_dead(dead));
    assert_int_equal(poll_now(&scene, dead), 0);
    leave(dead);
    struct dri_transport *heir = join(&scene, 10);
    assert_int_equal(poll_now(&scene, heir), 0);
    wait_ms(&scene, 999);
    assert_int_equal(poll_now(&scene, heir), 0);
    wait_ms(&scene, 1);
    assert_non_null(poll_for(&scene, heir, DRI_TE_ASSIGNED));
    leave(heir);
    dri_sim_destroy(scene.broker);
}

static void a_member_dies_in_the_middle_of_a_call(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    (void)poll_now(&scene, client);
    dri_sim_kill(client, 2);
    for (uint64_t token = 0; token < 5; token++) {
        publish(&scene, client, token); /* taken, as far as it can tell */
    }
    assert_true(dri_sim_is_dead(client));
    assert_int_equal(results(&scene), 2);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void assignments_that_are_lost_come_back_with_a_new_epoch(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    struct place before = place_of(poll_for(&scene, client, DRI_TE_ASSIGNED));
    dri_sim_storm(scene.broker, scene.now, true, 1);
    assert_int_equal(poll_for(&scene, client, DRI_TE_LOST)->epoch, before.epoch);
    struct place after = place_of(find(&scene, DRI_TE_ASSIGNED));
    assert_int_equal(after.slot, before.slot);
    assert_true(after.epoch != before.epoch);
    leave(client);
    dri_sim_destroy(scene.broker);
}

/* --- publishes
 * ------------------------------------------------------------------------------------ */

static void unknown(enum dri_sim_fault fault, size_t stored_first, size_t stored_later)
{
    struct dri_sim_config config = {.is_virtual = true, .late_ms = 1000};
    struct scene scene;
    config.rates[fault] = 1000;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    publish(&scene, client, 42);
    for (int i = 0; i < 1000 && find(&scene, DRI_TE_PUBLISHED) == NULL; i++) {
        wait_ms(&scene, 1);
        (void)poll_now(&scene, client);
    }
    const struct dri_transport_event *event = find(&scene, DRI_TE_PUBLISHED);
    assert_non_null(event);
    assert_int_equal(event->as.published.token, 42);
    assert_int_equal(event->as.published.ack, DRI_ACK_UNKNOWN);
    assert_int_equal(results(&scene), stored_first);
    wait_ms(&scene, 1001);
    assert_int_equal(poll_now(&scene, client), 0); /* exactly one answer */
    assert_int_equal(results(&scene), stored_later);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void an_unknown_publish_may_be_stored_or_not_or_later(void **state)
{
    (void)state;
    unknown(DRI_SIM_PUBLISH_STORED_UNKNOWN, 1, 1);
    unknown(DRI_SIM_PUBLISH_LOST_UNKNOWN, 0, 0);
    unknown(DRI_SIM_PUBLISH_LATE_UNKNOWN, 0, 1);
}

static void a_broker_that_pauses_lets_publishes_time_out_and_stores_them(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true, .publish_ms = 1000};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 10);
    (void)poll_now(&scene, client);
    dri_sim_pause(scene.broker, scene.now, scene.now.mono_ns + 3000 * MS);
    publish(&scene, client, 1);
    wait_ms(&scene, 999);
    assert_int_equal(poll_now(&scene, client), 0);
    wait_ms(&scene, 1);
    assert_int_equal(poll_for(&scene, client, DRI_TE_PUBLISHED)->as.published.ack, DRI_ACK_UNKNOWN);
    assert_int_equal(results(&scene), 0);
    wait_ms(&scene, 2000);
    assert_int_equal(poll_now(&scene, client), 0);
    assert_int_equal(results(&scene), 1);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void offsets_have_holes(void **state)
{
    struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    (void)state;
    config.rates[DRI_SIM_OFFSET_GAP] = 1000;
    begin(&scene, &config);
    uint64_t first = append(&scene);
    uint64_t second = append(&scene);
    assert_true(second > first + 1);
    struct dri_transport *client = join(&scene, 10);
    assert_int_equal(poll_for(&scene, client, DRI_TE_MESSAGE)->as.message.offset, first);
    leave(client);
    dri_sim_destroy(scene.broker);
}

/* --- leases
 * --------------------------------------------------------------------------------------- */

static void the_acknowledgement_of_an_expired_delivery_is_taken(void **state)
{
    const struct dri_sim_config config = {
        .is_virtual = true, .mode = DRI_SETTLE_EACH, .lease_ms = 1000};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    (void)append(&scene);
    struct dri_transport *client = join(&scene, 10);
    const struct dri_transport_event *event = poll_for(&scene, client, DRI_TE_MESSAGE);
    struct place place = place_of(event);
    uint64_t first = event->as.message.delivery;
    assert_int_equal(event->as.message.deliveries, 1);
    wait_ms(&scene, 1000);
    event = poll_for(&scene, client, DRI_TE_MESSAGE);
    assert_int_equal(event->as.message.deliveries, 2);
    assert_true(event->as.message.delivery != first);
    settle(&scene, client, place, first, NULL);
    assert_int_equal(dri_sim_unacked(scene.broker, "g", "commands"), 0);
    assert_int_equal(count_of(&scene, DRI_SIM_LATE_ACK_TAKEN), 1);
    wait_ms(&scene, 5000);
    assert_int_equal(poll_now(&scene, client), 0);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void a_renewal_that_comes_too_late_is_none(void **state)
{
    const struct dri_sim_config config = {
        .is_virtual = true, .mode = DRI_SETTLE_EACH, .lease_ms = 1000};
    struct scene scene;
    (void)state;
    begin(&scene, &config);
    (void)append(&scene);
    struct dri_transport *client = join(&scene, 10);
    const struct dri_transport_event *event = poll_for(&scene, client, DRI_TE_MESSAGE);
    struct place place = place_of(event);
    uint64_t delivery = event->as.message.delivery;
    wait_ms(&scene, 900);
    dri_sim_ops.extend(client, scene.now, place.slot, place.epoch, &delivery, 1);
    wait_ms(&scene, 900);
    assert_int_equal(poll_now(&scene, client), 0);
    wait_ms(&scene, 100);
    dri_sim_ops.extend(client, scene.now, place.slot, place.epoch, &delivery, 1);
    assert_int_equal(poll_for(&scene, client, DRI_TE_MESSAGE)->as.message.deliveries, 2);
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void redeliveries_come_in_any_order(void **state)
{
    struct dri_sim_config config = {
        .seed = 3, .is_virtual = true, .mode = DRI_SETTLE_EACH, .lease_ms = 1000};
    struct scene scene;
    bool is_shuffled = false;
    (void)state;
    config.rates[DRI_SIM_REDELIVERY_SHUFFLED] = 1000;
    begin(&scene, &config);
    for (int i = 0; i < 20; i++) {
        (void)append(&scene);
    }
    struct dri_transport *client = join(&scene, 10);
    (void)poll_now(&scene, client);
    wait_ms(&scene, 1000);
    assert_int_equal(poll_now(&scene, client), 20);
    for (size_t i = 1; i < 20; i++) {
        is_shuffled |= scene.events[i].as.message.offset < scene.events[i - 1].as.message.offset;
    }
    assert_true(is_shuffled);
    leave(client);
    dri_sim_destroy(scene.broker);
}

/* --- chance
 * --------------------------------------------------------------------------------------- */

static uint64_t play(uint64_t seed)
{
    struct dri_sim_config config = {
        .seed = seed, .is_virtual = true, .is_observed = true, .latency_us = 1000};
    struct scene scene;
    uint64_t hash = 0;
    config.rates[DRI_SIM_ACK_LATE] = 300;
    config.rates[DRI_SIM_OFFSET_GAP] = 300;
    begin(&scene, &config);
    struct dri_transport *client = join(&scene, 100);
    for (uint64_t i = 0; i < 50; i++) {
        (void)append(&scene);
        publish(&scene, client, i);
        wait_ms(&scene, 1);
        (void)poll_now(&scene, client);
        const struct dri_sim_sight *sights = NULL;
        size_t count = dri_sim_sights(scene.broker, &sights);
        for (size_t s = 0; s < count; s++) {
            uint64_t seen[] = {hash, sights[s].at_ns, sights[s].offset, sights[s].type};
            hash = dri_hash64(dray_slice_of(seen, sizeof(seen)));
        }
    }
    leave(client);
    dri_sim_destroy(scene.broker);
    return hash;
}

static void the_seed_decides_everything(void **state)
{
    (void)state;
    assert_true(play(1) == play(1));
    assert_true(play(1) != play(2));
}

/* --- followers
 * ------------------------------------------------------------------------------------- */

static struct dri_transport *join_with_park(struct scene *scene)
{
    const struct dri_source sources[] = {
        {.topic = "commands", .role = DRI_ROLE_COMMANDS, .start = DRI_START_EARLIEST},
        {.topic = "park", .role = DRI_ROLE_PARK, .start = DRI_START_EARLIEST}};
    const struct dri_transport_config config = {
        .url = "sim://",
        .group = "g",
        .client_id = "c",
        .sources = sources,
        .sources_count = 2,
        .sim = scene->broker,
    };
    struct dri_transport *client = NULL;
    char text[200] = "";
    test_ok(dri_sim_ops.open(&config, &client, text, sizeof(text)));
    return client;
}

static void begin_with_park(struct scene *scene, const struct dri_sim_config *config)
{
    const struct dri_publish message = {
        .topic = dray_slice_text("park"), .partition = 0, .value = dray_slice_text("v")};
    int32_t partition = 0;
    uint64_t offset = 0;
    begin(scene, config);
    test_ok(dri_sim_topic_create(scene->broker, "park", 1));
    test_ok(dri_sim_append(scene->broker, scene->now, &message, &partition, &offset));
}

static void what_is_settled_of_a_park_log_is_deleted_also_when_that_was_lost_once(void **state)
{
    const struct dri_sim_config config = {
        .is_virtual = true, .mode = DRI_SETTLE_EACH, .is_partitioned = true, .late_ms = 1000};
    uint16_t rates[DRI_SIM_FAULT_COUNT] = {[DRI_SIM_SETTLE_LOST] = 1000};
    struct scene scene;
    (void)state;
    begin_with_park(&scene, &config);
    struct dri_transport *client = join_with_park(&scene);
    const struct dri_transport_event *event = poll_for(&scene, client, DRI_TE_MESSAGE);
    assert_int_equal(event->as.message.delivery, event->as.message.offset);
    dri_sim_rates(scene.broker, rates);
    settle(&scene, client, place_of(event), event->as.message.delivery, NULL);
    assert_int_equal(dri_sim_unacked(scene.broker, "g", "park"), 1);
    wait_ms(&scene, 1000);
    dri_sim_advance(scene.broker, scene.now);
    assert_int_equal(dri_sim_unacked(scene.broker, "g", "park"), 0);
    assert_int_equal(count_of(&scene, DRI_SIM_SETTLE_LOST), 1);
    leave(client);
    client = join_with_park(&scene);
    (void)poll_for(&scene, client, DRI_TE_CAUGHT_UP);
    assert_null(find(&scene, DRI_TE_MESSAGE));
    leave(client);
    dri_sim_destroy(scene.broker);
}

static void followers_are_lost_behind_their_commands_and_come_back_before_them(void **state)
{
    const struct dri_sim_config config = {.is_virtual = true};
    struct scene scene;
    uint32_t slots[2] = {0}, epochs[2] = {0};
    (void)state;
    begin_with_park(&scene, &config);
    struct dri_transport *client = join_with_park(&scene);
    assert_true(poll_now(&scene, client) >= 4);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(scene.events[i].type, DRI_TE_ASSIGNED);
        slots[i] = scene.events[i].slot;
        epochs[i] = scene.events[i].epoch;
    }
    assert_int_equal(scene.events[0].as.assigned.role, DRI_ROLE_PARK);
    assert_int_equal(scene.events[1].as.assigned.park, slots[0]);
    dri_sim_storm(scene.broker, scene.now, true, 1);
    assert_true(poll_now(&scene, client) >= 4);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(scene.events[i].type, DRI_TE_LOST);
        assert_int_equal(scene.events[i].slot, slots[1 - i]);
        assert_int_equal(scene.events[i].epoch, epochs[1 - i]);
        assert_int_equal(scene.events[2 + i].type, DRI_TE_ASSIGNED);
        assert_int_equal(scene.events[2 + i].slot, slots[i]);
        assert_true(scene.events[2 + i].epoch > epochs[1]);
    }
    leave(client);
    dri_sim_destroy(scene.broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_of_a_member_that_does_not_own_the_partition_is_taken),
        cmocka_unit_test(a_zombie_is_fenced_until_it_polls_again),
        cmocka_unit_test(a_commit_may_go_backwards),
        cmocka_unit_test(metadata_that_is_too_long_fails_the_commit),
        cmocka_unit_test(metadata_may_be_lost_damaged_or_of_another_position),
        cmocka_unit_test(what_a_dead_member_held_goes_to_the_others_after_its_session),
        cmocka_unit_test(a_member_dies_in_the_middle_of_a_call),
        cmocka_unit_test(assignments_that_are_lost_come_back_with_a_new_epoch),
        cmocka_unit_test(an_unknown_publish_may_be_stored_or_not_or_later),
        cmocka_unit_test(a_broker_that_pauses_lets_publishes_time_out_and_stores_them),
        cmocka_unit_test(offsets_have_holes),
        cmocka_unit_test(the_acknowledgement_of_an_expired_delivery_is_taken),
        cmocka_unit_test(a_renewal_that_comes_too_late_is_none),
        cmocka_unit_test(redeliveries_come_in_any_order),
        cmocka_unit_test(the_seed_decides_everything),
        cmocka_unit_test(what_is_settled_of_a_park_log_is_deleted_also_when_that_was_lost_once),
        cmocka_unit_test(followers_are_lost_behind_their_commands_and_come_back_before_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
