/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* test_engine_park.c - park logs that there is no place for: they are not read on, and nothing is
 * lost, overtaken or ended by it.
 *
 * Slots 1 and 3 are the park logs of the commands in slots 0 and 2.
 */
#include "engine_fakes.h"
#include "envelope.h"
#include "log.h"
#include "park.h"

#define EPOCH 7u

static bool is_disk_full;
static char log_text[8192];

static void log_take(void *arg, const char *line, size_t len)
{
    size_t at = strlen(log_text);
    (void)arg;
    snprintf(log_text + at, sizeof(log_text) - at, "%.*s\n", (int)len, line);
}

static bool says_full(void *arg)
{
    return *(const bool *)arg;
}

static size_t said(const char *code)
{
    size_t count = 0;
    for (const char *at = log_text; (at = strstr(at, code)) != NULL; at++) {
        count++;
    }
    return count;
}

static void event(struct fixture *fixture, struct dri_transport_event given)
{
    assert_true(fixture->events_count < EVENTS);
    given.epoch = EPOCH;
    fixture->events[fixture->events_count++] = given;
}

static void assign(struct fixture *fixture, uint32_t slot, enum dri_source_role role)
{
    struct dri_transport_event given = {.type = DRI_TE_ASSIGNED, .slot = slot};
    given.as.assigned.role = role;
    given.as.assigned.mode = DRI_SETTLE_WATERMARK;
    /* Whatever is parked is settled where it came from. */
    given.as.assigned.committed = role == DRI_ROLE_COMMANDS ? 1000 : -1;
    given.as.assigned.partition = (int32_t)slot / 2;
    given.as.assigned.park = role == DRI_ROLE_COMMANDS ? slot + 1 : DRI_SLOT_NONE;
    given.as.assigned.window = DRI_SLOT_NONE;
    given.as.assigned.origin =
        dray_slice_text(role == DRI_ROLE_PARK ? "park.g.commands/0" : "commands/0");
    given.as.assigned.topic = dray_slice_text("commands");
    event(fixture, given);
}

static void turn(struct fixture *fixture, uint64_t ms)
{
    bool is_idle = false;
    fixture->now.mono_ns += ms * 1000000;
    fixture->now.wall_ms += ms;
    test_ok(dri_engine_turn(fixture->engine, fixture->now, &is_idle));
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->base.ops = &fake_ops;
    fixture->run.ops = &fake_run;
    fixture->route.ops = &fake_router;
    fixture->take_max = EVENTS;
    fixture->now = (struct dri_now){1000000000, 1700000000000};
    is_disk_full = false;
    log_text[0] = '\0';
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, log_take, NULL);
    const struct dri_engine_config config = {
        .core = {.in_flight_max = 32,
                 .unacked_max = 32,
                 .bytes_max = 1u << 20,
                 .slots_max = 4,
                 .lanes = 1,
                 .lane_depth = 32,
                 .chain_max = 1,
                 .settle_ms = 100,
                 .revoke_ms = 1000,
                 .drain_ms = 1000,
                 .republish_ms = 10,
                 .park_max = 16,
                 .park_after_ms = 1000},
        .transport_ops = &fake_ops,
        .transport = (struct dri_transport *)(void *)fixture,
        .executor = (struct dri_executor *)(void *)&fixture->run,
        .router = (struct dri_router *)(void *)&fixture->route,
        .worker = "w-1",
        .namespace_ = "default",
        .results_topic = "results",
        .dead_letters_topic = "dlq",
        .park_topic = "park.g.commands",
        .is_spool_full = says_full,
        .spool_arg = &is_disk_full,
        .order = DRI_ORDER_KEY,
        .limits = DRI_WIRE_LIMITS_DEFAULT,
    };
    test_ok(dri_engine_create(&config, &fixture->engine));
    assign(fixture, 1, DRI_ROLE_PARK);
    assign(fixture, 0, DRI_ROLE_COMMANDS);
    assign(fixture, 3, DRI_ROLE_PARK);
    assign(fixture, 2, DRI_ROLE_COMMANDS);
    turn(fixture, 1);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dri_engine_destroy(fixture->engine);
    assert_int_equal(dri_mem_live(), 0);
    free(fixture);
    return 0;
}

/* A command in a park log: with the bytes of their own until the test ends. */
static void park(struct fixture *fixture, uint32_t slot, uint64_t offset, const char *key)
{
    static uint8_t values[256][256], heads[256][256];
    static char sources[256][32], keys[256][16];
    static size_t used;
    uint8_t *value = values[used % 256], *head = heads[used % 256];
    char *source = sources[used % 256], *name = keys[used++ % 256];
    size_t value_len = 0, head_len = 0;
    struct dri_envelope envelope = {.created_ms = 1};
    snprintf(name, 16, "%s", key);
    envelope.id = dray_slice_text(name);
    envelope.command = dray_slice_text("do.it");
    envelope.reply_to = dray_slice_of("", 0);
    snprintf(source, 32, "commands/0/%u", (unsigned)(slot * 100 + offset));
    const struct dri_park park = {.source = dray_slice_text(source), .attempts = 1};
    test_ok(dri_envelope_encode(&envelope, value, 256, &value_len));
    test_ok(dri_park_headers(&park, (struct dray_slice){NULL, 0}, head, 256, &head_len));
    struct dri_transport_event given = {.type = DRI_TE_MESSAGE, .slot = slot};
    given.as.message = (struct dri_message){.offset = offset,
                                            .deliveries = 1,
                                            .timestamp_ms = SOURCE_MS,
                                            .subject = dray_slice_text("park.g.commands"),
                                            .key = dray_slice_text(name),
                                            .value = dray_slice_of(value, value_len),
                                            .headers = dray_slice_of(head, head_len)};
    event(fixture, given);
}

static void caught_up(struct fixture *fixture, uint32_t slot)
{
    event(fixture, (struct dri_transport_event){.type = DRI_TE_CAUGHT_UP, .slot = slot});
}

static void finish_all(struct fixture *fixture)
{
    while (fixture->started_count > 0) {
        struct dri_flight *flight = fixture->started[0];
        memmove(&fixture->started[0], &fixture->started[1],
                --fixture->started_count * sizeof(fixture->started[0]));
        flight->was_run = true;
        flight->kind = DRAY_KIND_NONE;
        flight->version = dray_slice_text("1.0.0");
        fixture->done[fixture->done_count++] = flight;
        turn(fixture, 1);
    }
}

static struct dri_engine_stats stats_of(const struct fixture *fixture)
{
    struct dri_engine_stats stats;
    struct dri_core_stats core;
    dri_engine_stats(fixture->engine, &stats, &core);
    return stats;
}

static void a_full_disk_stops_the_reading_and_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    is_disk_full = true;
    park(fixture, 1, 10, "a");
    park(fixture, 1, 11, "a");
    park(fixture, 1, 12, "b");
    turn(fixture, 1);
    assert_string_equal(fixture->pauses, "+1/7 "); /* the other log has given nothing */
    assert_int_equal(stats_of(fixture).parks_held, 1);
    assert_int_equal(stats_of(fixture).park_holds, 1);
    assert_int_equal(said("ENG-SPOOL"), 1);
    park(fixture, 3, 10, "c");
    turn(fixture, 1);
    assert_string_equal(fixture->pauses, "+1/7 +3/7 ");
    assert_int_equal(said("ENG-SPOOL"), 1);
    turn(fixture, 1000); /* looked at again, and still full */
    assert_string_equal(fixture->pauses, "+1/7 +3/7 ");
    assert_true(dri_engine_next_deadline(fixture->engine) <= fixture->now.mono_ns + 1000000000);
    is_disk_full = false;
    turn(fixture, 500);
    assert_string_equal(fixture->pauses, "+1/7 +3/7 ");
    turn(fixture, 600);
    assert_string_equal(fixture->pauses, "+1/7 +3/7 -1/7 -3/7 ");
    assert_int_equal(stats_of(fixture).parks_held, 0);
    assert_int_equal(said("ENG-PARK-ON"), 2);
    assert_int_equal(fixture->started_count, 0); /* no log was caught up with */
    park(fixture, 1, 13, "b");
    caught_up(fixture, 1);
    turn(fixture, 1);
    assert_int_equal(fixture->started_count, 2);
    assert_int_equal(fixture->started[0]->offset, 10);
    assert_int_equal(fixture->started[1]->offset, 12);
    finish_all(fixture);
    turn(fixture, 200);
    assert_int_equal(fixture->settles[fixture->settles_count - 1].slot, 1);
    assert_int_equal(fixture->settles[fixture->settles_count - 1].position, 14);
}

static void what_is_in_memory_for_want_of_disk_comes_out_like_the_rest(void **state)
{
    struct fixture *fixture = *state;
    is_disk_full = true;
    park(fixture, 1, 10, "a");
    park(fixture, 1, 11, "a");
    caught_up(fixture, 1);
    turn(fixture, 1);
    assert_int_equal(fixture->started_count, 1);
    assert_int_equal(fixture->started[0]->offset, 10);
    finish_all(fixture);
    assert_int_equal(stats_of(fixture).spool_kept, 0);
    turn(fixture, 1); /* nothing is late any more */
    assert_string_equal(fixture->pauses, "+1/7 -1/7 ");
}

static void fill(struct fixture *fixture, uint32_t slot, uint64_t from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%u-%u", slot, (unsigned)(from + i));
        park(fixture, slot, from + i, key);
        if (fixture->events_count == 32) {
            turn(fixture, 1);
        }
    }
    turn(fixture, 1);
}

static void more_than_there_is_place_for_waits_in_its_log(void **state)
{
    struct fixture *fixture = *state;
    caught_up(fixture, 3);
    fill(fixture, 1, 0, 127); /* eight times park_max, but one */
    assert_string_equal(fixture->pauses, "");
    fill(fixture, 3, 0, 1); /* runs; and is read on, because it was caught up with */
    assert_string_equal(fixture->pauses, "+1/7 ");
    assert_int_equal(said("ENG-PARK-FULL"), 1);
    assert_int_equal(stats_of(fixture).parks_held, 1);
    turn(fixture, 5000);
    assert_string_equal(fixture->pauses, "+1/7 ");
    assert_int_equal(fixture->started_count, 1);
    event(fixture, (struct dri_transport_event){.type = DRI_TE_LOST, .slot = 1});
    turn(fixture, 1);
    assert_int_equal(stats_of(fixture).parks_held, 0);
    assert_int_equal(said("ENG-PARK-FULL"), 1);
}

static void a_log_goes_on_when_what_came_out_of_others_has_left_room(void **state)
{
    struct fixture *fixture = *state;
    caught_up(fixture, 3);
    fill(fixture, 3, 0, 20);
    fill(fixture, 1, 0, 108);
    assert_string_equal(fixture->pauses, "+1/7 ");
    finish_all(fixture);
    assert_string_equal(fixture->pauses, "+1/7 -1/7 ");
    assert_int_equal(said("ENG-PARK-FULL"), 1);
    fill(fixture, 1, 108, 19);
    caught_up(fixture, 1);
    turn(fixture, 1);
    for (int i = 0; i < 200 && fixture->started_count > 0; i++) {
        finish_all(fixture);
        turn(fixture, 1);
    }
    turn(fixture, 200);
    assert_int_equal(fixture->settles[fixture->settles_count - 1].position, 127);
}

static void what_is_quiet_is_not_read_on_because_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    is_disk_full = true;
    park(fixture, 1, 10, "a");
    turn(fixture, 1);
    dri_engine_set_quiet(fixture->engine, true);
    fixture->pauses[0] = '\0';
    dri_engine_set_quiet(fixture->engine, false);
    assert_null(strstr(fixture->pauses, "-1/7"));
    dri_engine_set_quiet(fixture->engine, true);
    is_disk_full = false;
    fixture->pauses[0] = '\0';
    turn(fixture, 1100);
    assert_string_equal(fixture->pauses, "");
    dri_engine_set_quiet(fixture->engine, false);
    assert_non_null(strstr(fixture->pauses, "-1/7"));
}

/* A command of a key that is parked: it stays in memory until its copy was stored. */
static void command(struct fixture *fixture, uint32_t slot, uint64_t offset)
{
    static uint8_t value[256];
    size_t value_len = 0;
    const struct dri_envelope envelope = {
        .id = dray_slice_text("c"), .command = dray_slice_text("do.it"), .created_ms = 1};
    test_ok(dri_envelope_encode(&envelope, value, sizeof(value), &value_len));
    struct dri_transport_event given = {.type = DRI_TE_MESSAGE, .slot = slot};
    given.as.message = (struct dri_message){.offset = offset,
                                            .deliveries = 1,
                                            .timestamp_ms = SOURCE_MS,
                                            .subject = dray_slice_text("commands"),
                                            .key = dray_slice_text("a"),
                                            .value = dray_slice_of(value, value_len)};
    event(fixture, given);
}

static void without_room_what_is_assigned_is_paused_before_a_message_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 0; i < 32; i++) {
        command(fixture, 0, i);
    }
    turn(fixture, 1); /* full; and the park logs were not read to their ends */
    fixture->pauses[0] = '\0';
    turn(fixture, 1);
    assert_string_equal(fixture->pauses, "+0/7 +2/7 ");
    assert_int_equal(fixture->messages_max, 32); /* of the park logs */
    event(fixture, (struct dri_transport_event){.type = DRI_TE_LOST, .slot = 2});
    turn(fixture, 1);
    assign(fixture, 2, DRI_ROLE_COMMANDS);
    fixture->pauses[0] = '\0';
    turn(fixture, 1);
    assert_string_equal(fixture->pauses, "+2/7 ");
    assert_int_equal(fixture->messages_max, 0);
    turn(fixture, 1);
    assert_int_equal(fixture->messages_max, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(a_full_disk_stops_the_reading_and_loses_nothing),
        CASE(what_is_in_memory_for_want_of_disk_comes_out_like_the_rest),
        CASE(more_than_there_is_place_for_waits_in_its_log),
        CASE(a_log_goes_on_when_what_came_out_of_others_has_left_room),
        CASE(what_is_quiet_is_not_read_on_because_there_is_room),
        CASE(without_room_what_is_assigned_is_paused_before_a_message_is_asked_for),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
