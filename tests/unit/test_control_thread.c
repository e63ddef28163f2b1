/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry_fixture.h"
#include "run/control_log.h"
#include "run/control_thread.h"
#include "run/signing.h"
#include "run/snapshot.h"
#include "run/state.h"
#include "support/test.h"
#include "transport/sim.h"
#include "wire/sha256.h"

/* The control thread on the simulated broker, which can lose what the real ones lose seldom. */

#define BROKER   "control"
#define TOPIC    "dray.control"
#define STATUS   "dray.status"
#define REPLICAS 2
#define JUNK     50
#define AGE_MS   60000u

struct replica {
    struct dri_settings settings;
    struct dray_slice route;
    uint8_t bytes[ROUTE_BYTES];
    char folder[64];
    char name[8];
    struct fixture base;
    struct dri_metrics *metrics;
    struct dri_control_thread *control;
    enum dray_status status;
    char text[512];
};

static struct dri_sim_broker *broker;

static void open_broker(enum dri_settle_mode mode, enum dri_sim_fault fault, uint16_t rate)
{
    struct dri_sim_config config = {.seed = 7, .mode = mode};
    config.rates[fault] = rate;
    test_ok(dri_sim_shared(BROKER, &config, &broker));
}

static void replica_init(struct replica *replica, unsigned number)
{
    struct spec spec = order;
    *replica = (struct replica){.status = DRAY_OK};
    fixture_open(&replica->base);
    (void)snprintf(replica->name, sizeof(replica->name), "w%u", number);
    (void)snprintf(replica->folder, sizeof(replica->folder), "/tmp/dray-control-XXXXXX");
    assert_non_null(mkdtemp(replica->folder));
    replica->route = route_of(&spec, replica->bytes);
    replica->settings = (struct dri_settings){
        .bus = "sim://" BROKER,
        .group = "g",
        .state = replica->folder,
        .cluster = "default",
        .topics = {.control = TOPIC, .status = STATUS},
        .worker = {.create_topics = true, .partitions = 1, .hot_window_ms = 1000},
        .routes = &replica->route,
        .routes_count = 1,
    };
    test_ok(dri_metrics_create("g", replica->name, "0", &replica->metrics));
}

static void *replica_start(void *arg)
{
    struct replica *replica = arg;
    const struct dri_control_config config = {
        .settings = &replica->settings,
        .ops = &dri_sim_ops,
        .registry = replica->base.registry,
        .metrics = replica->metrics,
        .worker = replica->name,
        .version = "0",
        .admin = "",
    };
    replica->status =
        dri_control_start(&config, &replica->control, replica->text, sizeof(replica->text));
    return NULL;
}

/* After it the registry may be looked at: its writer is gone. */
static void replica_stop(struct replica *replica)
{
    dri_control_stop(replica->control);
    replica->control = NULL;
}

static void replica_leave(struct replica *replica)
{
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/%s", replica->folder, DRI_SNAPSHOT_FILE);
    (void)unlink(file);
    assert_int_equal(rmdir(replica->folder), 0);
    dri_metrics_destroy(replica->metrics);
}

static void replica_fini(struct replica *replica)
{
    replica_leave(replica);
    fixture_close(&replica->base);
}

static size_t records_of(const char *topic)
{
    size_t count = 0;
    while (dri_sim_record_at(broker, topic, 0, count) != NULL) {
        count++;
    }
    return count;
}

static void an_empty_registry_is_seeded_and_the_replica_says_so(void **state)
{
    static const enum dri_settle_mode modes[] = {DRI_SETTLE_WATERMARK, DRI_SETTLE_EACH};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct replica one;
        replica_init(&one, 1);
        open_broker(modes[i], DRI_SIM_ACK_LATE, 0);
        (void)replica_start(&one);
        test_ok(one.status);
        replica_stop(&one);
        assert_int_equal(records_of(TOPIC), 1);
        assert_true(records_of(STATUS) >= 2); /* ready, and goodbye */
        assert_true(dri_registry_revision(one.base.registry) == 1);
        assert_int_equal(dri_registry_count(one.base.registry), 1);
        const struct dri_snapshot_place place = {one.folder, "sim://" BROKER, "default", TOPIC,
                                                 NULL};
        assert_true(dri_snapshot_revision(&place) == 1);
        dri_sim_forget(BROKER);
        replica_fini(&one);
    }
}

/* A key in a file, and the signers' line that trusts it. */
struct signer {
    char folder[64], file[128], line[160];
};

static void signer_init(struct signer *signer)
{
    struct dri_signing_key key;
    char hex[65];
    char text[256];
    (void)snprintf(signer->folder, sizeof(signer->folder), "/tmp/dray-signer-XXXXXX");
    assert_non_null(mkdtemp(signer->folder));
    (void)snprintf(signer->file, sizeof(signer->file), "%s/a.key", signer->folder);
    test_ok(dri_signing_key_make("ann", &key));
    test_ok(dri_signing_key_save(&key, signer->file, text, sizeof(text)));
    dri_hex(key.public_key, sizeof(key.public_key), hex);
    (void)snprintf(signer->line, sizeof(signer->line), "ann/%s/*", hex);
}

static void signer_fini(const struct signer *signer)
{
    (void)unlink(signer->file);
    assert_int_equal(rmdir(signer->folder), 0);
}

static void replica_trust(struct replica *replica, const struct signer *signer, bool has_key)
{
    replica->settings.control.signers = signer->line;
    replica->settings.control.signed_from = 1;
    replica->settings.control.max_age_ms = AGE_MS;
    replica->settings.control.key_file = has_key ? signer->file : NULL;
}

/* A worker starts with an empty registry, and puts nothing into it. */
static void check_no_seed(const struct signer *signer, bool has_key)
{
    struct replica one;
    replica_init(&one, 1);
    replica_trust(&one, signer, has_key);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_FETCH_LATE, 0);
    (void)replica_start(&one);
    test_ok(one.status);
    replica_stop(&one);
    assert_int_equal(records_of(TOPIC), 0);
    assert_int_equal(dri_registry_count(one.base.registry), 0);
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

/* signer NULL: nobody signs. */
static void seed_at_once(const struct signer *signer)
{
    struct replica replicas[REPLICAS];
    pthread_t threads[REPLICAS];
    char digests[REPLICAS][65];
    for (unsigned i = 0; i < REPLICAS; i++) {
        replica_init(&replicas[i], i);
        if (signer != NULL) {
            replica_trust(&replicas[i], signer, true);
        }
    }
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_FETCH_LATE, 500);
    for (unsigned i = 0; i < REPLICAS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, replica_start, &replicas[i]), 0);
    }
    for (unsigned i = 0; i < REPLICAS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < REPLICAS; i++) {
        test_ok(replicas[i].status);
        replica_stop(&replicas[i]);
        dri_registry_digest(replicas[i].base.registry, digests[i]);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_int_equal(dri_registry_count(replicas[0].base.registry), 1);
    dri_sim_forget(BROKER);
    for (unsigned i = REPLICAS - 1; i > 0; i--) {
        replica_leave(&replicas[i]);
        dri_reader_unregister(replicas[i].base.reader);
        dri_registry_destroy(replicas[i].base.registry);
    }
    replica_fini(&replicas[0]); /* made first, so it counts what all of them leak */
}

static void replicas_that_seed_at_once_come_to_one_registry(void **state)
{
    (void)state;
    seed_at_once(NULL);
}

static void so_do_those_that_sign_with_one_key(void **state)
{
    struct signer signer;
    (void)state;
    signer_init(&signer);
    seed_at_once(&signer);
    signer_fini(&signer);
}

static void a_replica_that_may_not_seed_serves_what_there_is(void **state)
{
    struct signer signer;
    (void)state;
    signer_init(&signer);
    assert_int_equal(0, chmod(signer.file, 0644)); /* others could have taken it */
    check_no_seed(&signer, false);
    check_no_seed(&signer, true);
    signer_fini(&signer);
}

/* Its key may not put these routes: that is known before, and nothing is written. */
static void a_seed_that_would_be_refused_is_not_written(void **state)
{
    struct signer signer;
    (void)state;
    signer_init(&signer);
    (void)snprintf(strrchr(signer.line, '/'), 8, "/acme");
    check_no_seed(&signer, true);
    signer_fini(&signer);
}

/* Each try would have expired when it is stored, and stays in the log for ever. */
static void a_seed_by_a_clock_that_is_behind_is_given_up(void **state)
{
    const struct dri_sim_config config = {
        .seed = 7, .mode = DRI_SETTLE_WATERMARK, .ahead_ms = AGE_MS + 1};
    struct signer signer;
    struct replica one;
    (void)state;
    signer_init(&signer);
    replica_init(&one, 1);
    replica_trust(&one, &signer, true);
    test_ok(dri_sim_shared(BROKER, &config, &broker));
    (void)replica_start(&one);
    test_status(DRAY_EINVALID, one.status);
    assert_non_null(strstr(one.text, "compare the clock"));
    assert_true(records_of(TOPIC) >= 1 && records_of(TOPIC) <= 3);
    dri_sim_forget(BROKER);
    replica_fini(&one);
    signer_fini(&signer);
}

static void a_seed_whose_acknowledgement_is_lost_is_applied_once(void **state)
{
    struct replica one;
    (void)state;
    replica_init(&one, 1);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_PUBLISH_STORED_UNKNOWN, 1000);
    (void)replica_start(&one);
    test_ok(one.status);
    replica_stop(&one);
    const struct dri_route *route =
        dri_registry_find_key(one.base.registry, dray_slice_text("default/order.create@1.0.0"));
    assert_non_null(route);
    assert_true(route->revision == 1);
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

static void a_seed_that_was_lost_is_sent_again(void **state)
{
    struct replica one;
    uint64_t counts[DRI_SIM_FAULT_COUNT];
    (void)state;
    replica_init(&one, 1);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_PUBLISH_LOST_UNKNOWN, 600);
    (void)replica_start(&one);
    test_ok(one.status);
    replica_stop(&one);
    dri_sim_counts(broker, counts);
    assert_true(counts[DRI_SIM_PUBLISH_LOST_UNKNOWN] > 0);
    assert_int_equal(dri_registry_count(one.base.registry), 1);
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

/* More refused records than one status record lists, and a status topic that takes nothing for a
 * while: in the end it has said all of them. */
static void refusals_that_the_status_topic_did_not_take_are_said_later(void **state)
{
    struct replica one;
    const struct dri_publish junk = {.topic = dray_slice_text(TOPIC),
                                     .value = dray_slice_text("\xc1"),
                                     .headers = dray_slice_text("")};
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    bool is_said[JUNK + 1] = {false};
    size_t said = 0;

    (void)state;
    replica_init(&one, 1);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_ACK_LATE, 0);
    test_ok(dri_sim_topic_create(broker, TOPIC, 1));
    test_ok(dri_sim_topic_create(broker, STATUS, 1));
    for (size_t i = 0; i < JUNK; i++) {
        int32_t partition;
        uint64_t offset;
        test_ok(dri_sim_append(broker, dri_clock_now(), &junk, &partition, &offset));
    }
    dri_sim_topic_refuse(broker, STATUS, DRAY_EAGAIN);
    (void)replica_start(&one);
    test_ok(one.status);
    dri_sim_topic_refuse(broker, STATUS, DRAY_OK);
    replica_stop(&one);
    for (size_t i = 0; i < records_of(STATUS); i++) {
        const struct dri_sim_record *record = dri_sim_record_at(broker, STATUS, 0, i);
        struct dri_status_record status;
        struct dri_status_refusal refusal;
        struct dri_wire_error error;
        size_t at = 0;
        if (record->value.at != NULL) {
            test_ok(dri_status_decode(record->value, &limits, &status, &error));
            while (dri_status_next_refusal(&status, &at, &refusal)) {
                assert_true(refusal.revision <= JUNK);
                said += !is_said[refusal.revision];
                is_said[refusal.revision] = true;
            }
        }
    }
    assert_int_equal(said, JUNK);
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

static void a_control_topic_that_takes_nothing_stops_the_start(void **state)
{
    struct replica one;
    (void)state;
    replica_init(&one, 1);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_ACK_LATE, 0);
    test_ok(dri_sim_topic_create(broker, TOPIC, 1));
    dri_sim_topic_refuse(broker, TOPIC, DRAY_EAUTH);
    (void)replica_start(&one);
    test_status(DRAY_EAUTH, one.status);
    assert_non_null(strstr(one.text, TOPIC));
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

static void a_log_that_ends_before_the_snapshot_stops_the_start(void **state)
{
    struct replica one;
    struct fixture old;
    (void)state;
    replica_init(&one, 1);
    fixture_open(&old);
    dri_registry_see(old.registry, 12);
    const struct dri_snapshot_place place = {one.folder, "sim://" BROKER, "default", TOPIC, NULL};
    test_ok(dri_snapshot_save(&place, old.registry, one.text, sizeof(one.text)));
    fixture_close(&old);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_ACK_LATE, 0);
    (void)replica_start(&one);
    test_status(DRAY_EINVALID, one.status);
    assert_non_null(strstr(one.text, "made anew"));
    assert_int_equal(records_of(TOPIC), 0); /* and it is not seeded */
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

static void a_topic_that_is_away_is_replaced_by_the_snapshot(void **state)
{
    struct replica one;
    struct fixture old;
    (void)state;
    replica_init(&one, 1);
    fixture_open(&old);
    test_ok(fixture_put(&old, 0, &order));
    const struct dri_snapshot_place place = {one.folder, "sim://" BROKER, "default", TOPIC, NULL};
    test_ok(dri_snapshot_save(&place, old.registry, one.text, sizeof(one.text)));
    fixture_close(&old);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_ACK_LATE, 0);
    one.settings.worker.create_topics = false; /* and nobody has made it */
    (void)replica_start(&one);
    test_ok(one.status);
    replica_stop(&one);
    assert_int_equal(dri_registry_count(one.base.registry), 1);
    assert_true(dri_registry_revision(one.base.registry) == 1);
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

/* The same folder, the bus changed in the configuration: other routes than those would be right. */
static void the_snapshot_of_another_bus_is_not_started_with(void **state)
{
    struct replica one;
    struct fixture old;
    (void)state;
    replica_init(&one, 1);
    fixture_open(&old);
    test_ok(fixture_put(&old, 0, &order));
    const struct dri_snapshot_place place = {one.folder, "sim://another", "default", TOPIC, NULL};
    test_ok(dri_snapshot_save(&place, old.registry, one.text, sizeof(one.text)));
    fixture_close(&old);
    open_broker(DRI_SETTLE_WATERMARK, DRI_SIM_ACK_LATE, 0);
    one.settings.worker.create_topics = false;
    (void)replica_start(&one);
    test_status(DRAY_ENOTFOUND, one.status);
    assert_int_equal(dri_registry_count(one.base.registry), 0);
    dri_sim_forget(BROKER);
    replica_fini(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_registry_is_seeded_and_the_replica_says_so),
        cmocka_unit_test(replicas_that_seed_at_once_come_to_one_registry),
        cmocka_unit_test(so_do_those_that_sign_with_one_key),
        cmocka_unit_test(a_replica_that_may_not_seed_serves_what_there_is),
        cmocka_unit_test(a_seed_that_would_be_refused_is_not_written),
        cmocka_unit_test(a_seed_by_a_clock_that_is_behind_is_given_up),
        cmocka_unit_test(a_seed_whose_acknowledgement_is_lost_is_applied_once),
        cmocka_unit_test(a_seed_that_was_lost_is_sent_again),
        cmocka_unit_test(refusals_that_the_status_topic_did_not_take_are_said_later),
        cmocka_unit_test(a_control_topic_that_takes_nothing_stops_the_start),
        cmocka_unit_test(a_log_that_ends_before_the_snapshot_stops_the_start),
        cmocka_unit_test(a_topic_that_is_away_is_replaced_by_the_snapshot),
        cmocka_unit_test(the_snapshot_of_another_bus_is_not_started_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
