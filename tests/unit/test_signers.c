/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry_fixture.h"
#include "run/control_log.h"
#include "run/signing.h"
#include "support/test.h"
#include "wire/cancel.h"
#include "wire/schedule.h"
#include "wire/sha256.h"

#define TOPIC        "dray.control"
#define NOW          UINT64_C(1800000000000)
#define AGE          UINT64_C(300000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum who {
    ANN, /* may change anything */
    BEN, /* only acme and beta */
    OLD, /* revisions up to 2 */
    EVE, /* nobody knows her */
    PEOPLE
};

struct signed_log {
    struct fixture base;
    struct dri_signing_key keys[PEOPLE];
    char text[DRI_SIGNERS_TEXT_MAX];
    struct dri_signers signers;
    struct dri_control_log log;
    struct dri_control_outcome outcome;
    uint8_t bytes[CHANGE_BYTES]; /* of the change, then of the record */
    size_t len;
    uint64_t next;
};

static void begin_log(struct signed_log *f)
{
    static const char *const kids[PEOPLE] = {"ann", "ben", "old", "eve"};
    static const char *const may[PEOPLE] = {"*", "acme/beta", "*", "*"};
    uint8_t seed[DRI_SIGN_KEY_BYTES] = {0};
    char hex[2 * DRI_SIGN_KEY_BYTES + 1];
    char text[160];
    size_t len = 0;
    fixture_open(&f->base);
    for (int i = 0; i < PEOPLE; i++) {
        seed[0] = (uint8_t)(i + 1);
        test_ok(dri_signing_key_of_seed(kids[i], seed, &f->keys[i]));
        if (i != EVE) {
            dri_hex(f->keys[i].public_key, DRI_SIGN_KEY_BYTES, hex);
            len +=
                (size_t)snprintf(f->text + len, sizeof(f->text) - len, "%s%s%s/%s/%s",
                                 i == 0 ? "" : ",", kids[i], i == OLD ? "@1-2" : "", hex, may[i]);
        }
    }
    f->signers = (struct dri_signers){.is_required = true, .signed_from = 1, .age_max_ms = AGE};
    test_ok(dri_signers_parse(f->text, &f->signers, text, sizeof(text)));
    dri_control_log_init(&f->log, f->base.registry, "blue", TOPIC);
    f->log.signers = &f->signers;
    dri_control_log_begin(&f->log, 0);
    f->next = 0;
}

static struct signed_log *open_log(void)
{
    struct signed_log *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    begin_log(f);
    return f;
}

static void close_log(struct signed_log *f)
{
    fixture_close(&f->base);
    free(f);
}

/** What is different from a good record of ann. */
struct twist {
    enum who who;
    const char *cluster, *topic, *issuer; /* NULL: as it should be; "": left out */
    const char *ns;
    uint64_t seq, base;
    int64_t ts, expires, stamp; /* from NOW on */
    bool is_unsigned, is_forged, is_producer_stamp, has_no_times;
    size_t cut; /* bytes of the signature that are missing */
};

static struct dray_slice said(const char *text, const char *standard)
{
    return text == NULL ? dray_slice_text(standard)
                        : dray_slice_text(text[0] == '\0' ? NULL : text);
}

static struct dray_slice record_of(struct signed_log *f, const struct twist *twist)
{
    uint8_t route[ROUTE_BYTES];
    char key[64];
    struct spec spec = order;
    uint8_t signature[DRI_SIGNATURE_BYTES];
    static uint8_t record_bytes[CHANGE_BYTES];
    const struct dri_signing_key *signer = &f->keys[twist->who];
    spec.ns = twist->ns == NULL ? "default" : twist->ns;
    (void)snprintf(key, sizeof(key), "%s/order.create@1.0.0", spec.ns);
    const struct dri_change_item item = {
        .key = dray_slice_text(key), .base = twist->base, .route = route_of(&spec, route)};
    const struct dri_change change = {
        .kind = dray_slice_text("routes"),
        .cluster = said(twist->cluster, "blue"),
        .topic = said(twist->topic, TOPIC),
        .issuer = said(twist->issuer, signer->kid),
        .seq = twist->seq,
        .ts_ms = twist->has_no_times ? 0 : NOW + (uint64_t)twist->ts,
        .expires_ms =
            twist->has_no_times ? 0 : NOW + (twist->expires == 0 ? AGE : (uint64_t)twist->expires),
    };
    test_ok(dri_change_encode(&change, &item, 1, f->bytes, sizeof(f->bytes), &f->len));
    struct dri_control_record record = {.change = dray_slice_of(f->bytes, f->len)};
    if (!twist->is_unsigned) {
        dri_signing_key_sign(twist->is_forged ? &f->keys[EVE] : signer, record.change, signature);
        record.kid = dray_slice_text(signer->kid);
        record.sig = dray_slice_of(signature, sizeof(signature) - twist->cut);
    }
    size_t len = 0;
    test_ok(dri_control_encode(&record, record_bytes, sizeof(record_bytes), &len));
    return dray_slice_of(record_bytes, len);
}

static void take(struct signed_log *f, struct dray_slice record, const struct twist *twist)
{
    const struct dri_message message = {.offset = f->next++,
                                        .value = record,
                                        .timestamp_ms = (int64_t)NOW + twist->stamp,
                                        .is_broker_stamp = !twist->is_producer_stamp};
    test_ok(dri_control_log_take(&f->log, &message, &f->outcome));
}

static void put(struct signed_log *f, struct twist twist)
{
    take(f, record_of(f, &twist), &twist);
}

static void a_signed_record_counts_and_uses_up_its_number(void **state)
{
    struct signed_log *f = open_log();
    (void)state;
    put(f, (struct twist){.seq = 7});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    assert_int_equal(7, dri_signers_seq(&f->signers, &f->log.seen, dray_slice_text("ann")));
    put(f, (struct twist){.who = BEN, .seq = 1, .ns = "acme"}); /* numbers are each signer's own */
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    put(f,
        (struct twist){.seq = 8, .base = 1, .stamp = (int64_t)AGE}); /* in the last millisecond */
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    assert_int_equal(0, f->log.untrusted);
    close_log(f);
}

static void what_is_not_trusted_is_refused_with_its_reason(void **state)
{
    static const struct {
        struct twist twist;
        enum dri_distrust why;
        const char *text;
    } rows[] = {
        {{.is_unsigned = true}, DRI_DISTRUST_UNSIGNED, "not signed"},
        {{.who = EVE, .seq = 9}, DRI_DISTRUST_UNKNOWN, "eve"},
        {{.seq = 9, .is_forged = true}, DRI_DISTRUST_FORGED, "does not fit kid ann"},
        {{.who = OLD, .seq = 9}, DRI_DISTRUST_NOT_IN_FORCE, "from 1 to 2"},
        {{.seq = 9, .cluster = "green"}, DRI_DISTRUST_ELSEWHERE, "another one's"},
        {{.seq = 9, .cluster = ""}, DRI_DISTRUST_ELSEWHERE, "does not say"},
        {{.seq = 9, .topic = "copy"}, DRI_DISTRUST_ELSEWHERE, "copied here"},
        {{.seq = 9, .topic = ""}, DRI_DISTRUST_ELSEWHERE, "does not say"},
        {{.seq = 9, .issuer = "ben"}, DRI_DISTRUST_ISSUER, "issuer"},
        {{.seq = 9, .issuer = ""}, DRI_DISTRUST_ISSUER, "issuer"},
        {{.seq = 9, .has_no_times = true}, DRI_DISTRUST_TIMES, "when"},
        {{.seq = 9, .expires = (int64_t)AGE + 1}, DRI_DISTRUST_TIMES, "too long"},
        {{.seq = 9, .ts = 5, .expires = 4}, DRI_DISTRUST_TIMES, "when"},
        {{.seq = 9, .is_producer_stamp = true}, DRI_DISTRUST_STAMP, "LogAppendTime"},
        {{.seq = 9, .stamp = (int64_t)AGE + 1}, DRI_DISTRUST_EXPIRED, "expired"},
        {{.seq = 9, .stamp = -(int64_t)AGE - 1}, DRI_DISTRUST_EARLY, "clock"},
        {{.seq = 3}, DRI_DISTRUST_REPLAYED, "3 is not above 3"},
        {{.seq = 2}, DRI_DISTRUST_REPLAYED, "2 is not above 3"},
        {{.seq = 0}, DRI_DISTRUST_REPLAYED, "0 is not above 3"},
        {{.who = BEN, .seq = 9}, DRI_DISTRUST_FOREIGN, "ben may not change namespace default"},
        {{.who = BEN, .seq = 9, .ns = "acm"}, DRI_DISTRUST_FOREIGN, "acm"},
        {{.who = BEN, .seq = 9, .ns = "acme2"}, DRI_DISTRUST_FOREIGN, "acme2"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct signed_log *f = open_log();
        char before[65];
        char after[65];
        put(f, (struct twist){.seq = 1});
        put(f, (struct twist){.seq = 2, .ns = "other"});
        put(f, (struct twist){.seq = 3, .ns = "third"});
        assert_int_equal(3, f->log.counts[DRI_CONTROL_APPLIED]);
        dri_registry_digest(f->base.registry, before);
        struct twist twist = rows[i].twist;
        twist.base = twist.ns == NULL ? 1 : 0; /* nothing but its signature is against it */
        put(f, twist);
        dri_registry_digest(f->base.registry, after);
        print_message("%zu: %s\n", i, f->outcome.text);
        assert_int_equal(DRI_CONTROL_REFUSED, f->outcome.verdict);
        assert_int_equal(rows[i].why, f->outcome.distrust);
        assert_non_null(strstr(f->outcome.text, rows[i].text));
        assert_string_equal(before, after);
        assert_int_equal(1, f->log.untrusted);
        assert_int_equal(4, dri_registry_revision(f->base.registry));
        close_log(f);
    }
}

static void a_signature_that_is_cut_off_is_no_record(void **state)
{
    struct signed_log *f = open_log();
    (void)state;
    put(f, (struct twist){.seq = 1, .cut = 1});
    assert_int_equal(DRI_CONTROL_REFUSED, f->outcome.verdict);
    assert_non_null(strstr(f->outcome.text, "sig"));
    close_log(f);
}

/* Whatever bit is wrong, and where: the routes stay as they are, and no number is used up but by
 * the record itself. */
static void no_bit_of_a_signed_record_can_be_changed(void **state)
{
    struct signed_log *f = open_log();
    const struct twist twist = {.seq = 9};
    uint8_t copy[2048];
    (void)state;
    struct dray_slice record = record_of(f, &twist);
    assert_true(record.len < sizeof(copy));
    memcpy(copy, record.at, record.len);
    for (size_t bit = 0; bit < 8 * record.len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        take(f, dray_slice_of(copy, record.len), &twist);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (f->outcome.verdict != DRI_CONTROL_REFUSED) {
            fail_msg("bit %zu of byte %zu: %s", bit % 8, bit / 8, f->outcome.text);
        }
    }
    assert_int_equal(0, dri_registry_count(f->base.registry));
    take(f, dray_slice_of(copy, record.len), &twist);
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    close_log(f);
}

static void a_record_that_lost_a_race_does_not_come_back(void **state)
{
    struct signed_log *f = open_log();
    const struct twist late = {.seq = 5, .base = 0};
    uint8_t copy[2048];
    (void)state;
    put(f, (struct twist){.seq = 4});
    struct dray_slice record = record_of(f, &late);
    size_t len = record.len;
    memcpy(copy, record.at, len);
    take(f, record, &late);
    assert_int_equal(DRI_CONTROL_CONFLICT, f->outcome.verdict);
    f->next++; /* somebody removes the route: what had lost would win now */
    test_ok(dri_registry_remove(f->base.registry, dray_slice_text("default/order.create@1.0.0"), 1,
                                3, &f->base.conflict));
    take(f, dray_slice_of(copy, len), &late);
    assert_int_equal(DRI_DISTRUST_REPLAYED, f->outcome.distrust);
    assert_int_equal(0, dri_registry_count(f->base.registry));
    close_log(f);
}

static uint64_t last_of(const struct signed_log *f, int who)
{
    return dri_signers_seq(&f->signers, &f->log.seen, dray_slice_text(f->keys[who].kid));
}

/* A record of these items, by ben, who may change acme and beta. */
static void ben_changes(struct signed_log *f, const struct dri_change_item *items, size_t count)
{
    uint8_t *record = NULL;
    size_t len = 0;
    struct dri_change change = {.kind = dray_slice_text("routes"),
                                .cluster = dray_slice_text("blue"),
                                .topic = dray_slice_text(TOPIC),
                                .ts_ms = NOW};
    dri_signing_fill(&f->keys[BEN], last_of(f, BEN), AGE, &change);
    test_ok(dri_change_encode(&change, items, count, f->bytes, sizeof(f->bytes), &len));
    test_ok(dri_control_log_wrap(dray_slice_of(f->bytes, len), &f->keys[BEN], &record, &len));
    take(f, dray_slice_of(record, len), &(struct twist){.stamp = 0});
    dri_free(record);
}

static void every_item_of_a_change_has_to_be_the_signers(void **state)
{
    struct signed_log *f = open_log();
    uint8_t bytes[2][ROUTE_BYTES];
    struct spec mine = order;
    struct spec foreign = order;
    (void)state;
    mine.ns = "acme";
    foreign.ns = "default";
    const struct dri_change_item items[] = {
        {.key = dray_slice_text("acme/order.create@1.0.0"), .route = route_of(&mine, bytes[0])},
        {.key = dray_slice_text("default/order.create@1.0.0"),
         .route = route_of(&foreign, bytes[1])}};
    ben_changes(f, items, 2);
    assert_int_equal(DRI_DISTRUST_FOREIGN, f->outcome.distrust);
    assert_int_equal(0, dri_registry_count(f->base.registry)); /* not the first one either */
    put(f, (struct twist){.seq = 1});
    ben_changes(f, items, 1);
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);

    /* Removals have no route, and are judged by their key. */
    const struct dri_change_item removals[] = {
        {.key = items[0].key, .base = 3, .route = dray_slice_of(NULL, 0)},
        {.key = items[1].key, .base = 2, .route = dray_slice_of(NULL, 0)}};
    ben_changes(f, &removals[1], 1);
    assert_int_equal(DRI_DISTRUST_FOREIGN, f->outcome.distrust);
    assert_int_equal(2, dri_registry_count(f->base.registry));
    ben_changes(f, &removals[0], 1);
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    assert_int_equal(1, dri_registry_count(f->base.registry));
    close_log(f);
}

static void a_key_is_in_force_from_its_first_revision_to_its_last(void **state)
{
    (void)state;
    for (uint64_t revision = 1; revision <= 6; revision++) {
        struct signed_log *f = open_log();
        f->signers.items[ANN].from = 3;
        f->signers.items[ANN].until = 5;
        f->next = revision - 1;
        f->log.end = revision - 1;
        put(f, (struct twist){.seq = 1});
        bool is_in_force = revision >= 3 && revision <= 5;
        assert_int_equal(is_in_force ? DRI_TRUSTED : DRI_DISTRUST_NOT_IN_FORCE,
                         f->outcome.distrust);
        assert_int_equal(is_in_force ? DRI_CONTROL_APPLIED : DRI_CONTROL_REFUSED,
                         f->outcome.verdict);
        close_log(f);
    }
}

/* A session reads the log again from its start, and has to come to the same numbers. */
static void reading_again_comes_to_the_same_numbers(void **state)
{
    struct signed_log *f = open_log();
    char before[65];
    char after[65];
    (void)state;
    for (int round = 0; round < 2; round++) {
        put(f, (struct twist){.seq = 3});
        put(f, (struct twist){.is_unsigned = true, .ns = "eve"});
        put(f, (struct twist){.who = BEN, .seq = 6}); /* foreign: its number is used up */
        put(f, (struct twist){.seq = 9, .stamp = (int64_t)AGE + 1}); /* expired: it is not */
        assert_int_equal(3, dri_signers_seq(&f->signers, &f->log.seen, dray_slice_text("ann")));
        assert_int_equal(6, dri_signers_seq(&f->signers, &f->log.seen, dray_slice_text("ben")));
        dri_registry_digest(f->base.registry, round == 0 ? before : after);
        dri_control_log_begin(&f->log, 0);
        assert_int_equal(0, dri_signers_seq(&f->signers, &f->log.seen, dray_slice_text("ann")));
        f->next = 0;
    }
    assert_string_equal(before, after);
    assert_int_equal(3, f->log.untrusted); /* each was counted once */
    close_log(f);
}

static void before_signing_began_and_in_the_transition_unsigned_records_are_taken(void **state)
{
    struct signed_log *f = open_log();
    (void)state;
    f->signers.signed_from = 2;
    put(f, (struct twist){.is_unsigned = true});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    assert_true(f->outcome.is_unsigned);
    put(f, (struct twist){.is_unsigned = true, .base = 1});
    assert_int_equal(DRI_DISTRUST_UNSIGNED, f->outcome.distrust);
    f->signers.is_required = false;
    put(f, (struct twist){.is_unsigned = true, .base = 1});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    put(f, (struct twist){.who = EVE, .seq = 1, .base = 3}); /* a wrong signature never is */
    assert_int_equal(DRI_DISTRUST_UNKNOWN, f->outcome.distrust);
    close_log(f);
}

/* A log begun without a `cluster` says "default" all over; the cluster gets its name with signing.
 */
static void history_counts_whatever_cluster_it_names(void **state)
{
    struct signed_log *f = open_log();
    (void)state;
    f->signers.signed_from = 4;
    put(f, (struct twist){.is_unsigned = true, .cluster = "default"});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    put(f, (struct twist){.is_unsigned = true, .cluster = "default", .topic = "copy", .base = 1});
    assert_int_equal(DRI_DISTRUST_ELSEWHERE, f->outcome.distrust);
    put(f,
        (struct twist){.seq = 1, .cluster = "default", .base = 1}); /* what is signed is for us */
    assert_int_equal(DRI_DISTRUST_ELSEWHERE, f->outcome.distrust);
    put(f, (struct twist){.is_unsigned = true, .cluster = "default", .base = 1}); /* and so later */
    assert_int_equal(DRI_DISTRUST_ELSEWHERE, f->outcome.distrust);
    put(f, (struct twist){.seq = 1, .base = 1});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    f->signers.is_required = false; /* in the transition history ends likewise */
    put(f, (struct twist){.is_unsigned = true, .cluster = "default", .base = 5});
    assert_int_equal(DRI_DISTRUST_ELSEWHERE, f->outcome.distrust);
    close_log(f);
}

/* What is foreseen is what the log then says, and no number is used up by looking. */
static void what_the_log_will_say_is_foreseen(void **state)
{
    struct signed_log *f = open_log();
    char text[256];
    const struct twist trusted = {.seq = UINT64_MAX};
    const struct twist refused[] = {{.is_unsigned = true},
                                    {.who = EVE, .seq = 1},
                                    {.who = BEN, .seq = 1},
                                    {.who = OLD, .seq = 1, .base = 1}};
    const struct twist last = {.seq = UINT64_MAX, .base = 1};
    struct dri_change change = {.ts_ms = NOW};
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(DRI_TRUSTED, dri_control_log_foresee(&f->log, record_of(f, &trusted), text,
                                                              sizeof(text)));
    }
    put(f, trusted);
    put(f, (struct twist){.is_unsigned = true});
    for (size_t i = 0; i < COUNT(refused); i++) {
        enum dri_distrust distrust =
            dri_control_log_foresee(&f->log, record_of(f, &refused[i]), text, sizeof(text));
        put(f, refused[i]);
        assert_int_equal(distrust, f->outcome.distrust);
        assert_string_equal(text, f->outcome.text);
        assert_int_not_equal(DRI_TRUSTED, distrust);
    }
    /* There is no number any more. */
    dri_signing_fill(&f->keys[ANN], UINT64_MAX, AGE, &change);
    assert_true(change.seq == UINT64_MAX);
    assert_int_equal(DRI_DISTRUST_REPLAYED,
                     dri_control_log_foresee(&f->log, record_of(f, &last), text, sizeof(text)));
    assert_non_null(strstr(text, "used up"));
    f->log.signers = NULL;
    assert_int_equal(DRI_TRUSTED, dri_control_log_foresee(&f->log, record_of(f, &refused[1]), text,
                                                          sizeof(text)));
    close_log(f);
}

static void without_signers_signatures_are_not_looked_at(void **state)
{
    struct signed_log *f = open_log();
    (void)state;
    f->signers.count = 0;
    put(f, (struct twist){.who = EVE, .seq = 1, .is_producer_stamp = true});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    put(f, (struct twist){.is_unsigned = true, .base = 1});
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    assert_false(f->outcome.is_unsigned);
    close_log(f);
}

static struct dray_slice schedule_of(uint8_t *bytes, size_t bytes_max)
{
    const struct dri_schedule_view view = {.command = dray_slice_text("order.create"),
                                           .cron = dray_slice_text("@daily")};
    size_t len = 0;
    test_ok(dri_schedule_encode(&view, bytes, bytes_max, &len));
    return dray_slice_of(bytes, len);
}

/* By who may change all, and by who may change some namespaces only. */
static void only_who_may_change_all_may_put_and_remove_schedules(void **state)
{
    (void)state;
    for (int who = ANN; who <= BEN; who++) {
        struct signed_log *f = open_log();
        uint8_t schedule[512];
        for (int is_removal = 0; is_removal < 2; is_removal++) {
            uint8_t *record = NULL;
            size_t len = 0;
            const struct dri_schedule_item item = {
                .key = dray_slice_text("g/daily"),
                .base = who == ANN && is_removal ? 1 : 0,
                .schedule =
                    is_removal ? dray_slice_of(NULL, 0) : schedule_of(schedule, sizeof(schedule))};
            struct dri_change change = {
                .cluster = dray_slice_text("blue"), .topic = dray_slice_text(TOPIC), .ts_ms = NOW};
            dri_signing_fill(&f->keys[who], last_of(f, who), AGE, &change);
            test_ok(
                dri_schedule_change_encode(&change, &item, 1, f->bytes, sizeof(f->bytes), &len));
            test_ok(
                dri_control_log_wrap(dray_slice_of(f->bytes, len), &f->keys[who], &record, &len));
            take(f, dray_slice_of(record, len), &(struct twist){.stamp = 0});
            assert_int_equal(who == ANN ? DRI_CONTROL_SCHEDULES : DRI_CONTROL_REFUSED,
                             f->outcome.verdict);
            assert_int_equal(who == ANN ? DRI_TRUSTED : DRI_DISTRUST_FOREIGN, f->outcome.distrust);
            dri_free(record);
        }
        close_log(f);
    }
}

static void only_who_may_change_all_may_cancel(void **state)
{
    (void)state;
    for (int who = ANN; who <= BEN; who++) {
        struct signed_log *f = open_log();
        uint8_t *record = NULL;
        size_t len = 0;
        struct dri_change change = {
            .cluster = dray_slice_text("blue"), .topic = dray_slice_text(TOPIC), .ts_ms = NOW};
        const struct dri_cancel_item item = {.id = dray_slice_text("a"), .until_ms = NOW};
        dri_signing_fill(&f->keys[who], 0, AGE, &change);
        test_ok(dri_cancel_encode(&change, &item, 1, f->bytes, sizeof(f->bytes), &len));
        test_ok(dri_control_log_wrap(dray_slice_of(f->bytes, len), &f->keys[who], &record, &len));
        take(f, dray_slice_of(record, len), &(struct twist){.stamp = 0});
        assert_int_equal(who == ANN ? DRI_CONTROL_CANCELS : DRI_CONTROL_REFUSED,
                         f->outcome.verdict);
        assert_int_equal(who == ANN ? DRI_TRUSTED : DRI_DISTRUST_FOREIGN, f->outcome.distrust);
        dri_free(record);
        close_log(f);
    }
}

static void without_memory_no_number_is_used_up(void **state)
{
    struct signed_log *f = open_log();
    const struct twist twist = {.seq = 9};
    unsigned failures = 0;
    (void)state;
    struct dray_slice record = record_of(f, &twist);
    const struct dri_message message = {
        .value = record, .timestamp_ms = (int64_t)NOW, .is_broker_stamp = true};
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        enum dray_status status = dri_control_log_take(&f->log, &message, &f->outcome);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        if (!has_failed) {
            test_ok(status);
            break;
        }
        test_status(DRAY_ENOMEM, status);
        assert_int_equal(0, dri_signers_seq(&f->signers, &f->log.seen, dray_slice_text("ann")));
        failures++;
    }
    assert_true(failures > 0);
    assert_int_equal(DRI_CONTROL_APPLIED, f->outcome.verdict);
    close_log(f);
}

/* ---- the text of the signers ---- */

#define KEY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static void a_signer_that_is_none_is_named(void **state)
{
    static const struct {
        const char *text, *what;
    } rows[] = {
        {"/" KEY "/*", "kid"},
        {"a b/" KEY "/*", "kid"},
        {"ann", "public key"},
        {"ann/" KEY "0/*", "public key"},
        {"ann/xy5a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a/*", "public key"},
        {"ann/" KEY, "names no namespace"},
        {"ann/" KEY "/", "names no namespace"},
        {"ann/" KEY "/acme//beta", "no name"},
        {"ann/" KEY "/*/acme", "beside others"},
        {"ann@/" KEY "/*", "range"},
        {"ann@0-3/" KEY "/*", "range"},
        {"ann@9-3/" KEY "/*", "range"},
        {"ann@x-3/" KEY "/*", "range"},
        {"ann@3-99999999999999999999/" KEY "/*", "range"},
        {"ann@3-3/" KEY "/*", NULL},
        {"ann@3-/" KEY "/*", NULL},
        {"ann/" KEY "/*,ann/" KEY "/acme", "kid of another"},
        {"ann/" KEY "/*,", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dri_signers signers;
        char text[160] = "";
        enum dray_status status = dri_signers_parse(rows[i].text, &signers, text, sizeof(text));
        print_message("%s: %s\n", rows[i].text, text);
        test_status(rows[i].what == NULL ? DRAY_OK : DRAY_EINVALID, status);
        assert_true(rows[i].what == NULL || strstr(text, rows[i].what) != NULL);
    }
}

static void the_fingerprint_is_of_the_rule_and_not_of_its_order(void **state)
{
    struct dri_signers signers = {.is_required = true, .signed_from = 1, .age_max_ms = AGE};
    char first[DRI_FINGERPRINT_HEX];
    char second[DRI_FINGERPRINT_HEX];
    char third[DRI_FINGERPRINT_HEX];
    char text[160];
    (void)state;
    dri_signers_fingerprint(&signers, first);
    assert_string_equal("", first);
    test_ok(dri_signers_parse("a/" KEY "/*,b/" KEY "/acme", &signers, text, sizeof(text)));
    dri_signers_fingerprint(&signers, first);
    assert_int_equal(64, strlen(first));
    test_ok(dri_signers_parse("b/" KEY "/acme,a/" KEY "/*", &signers, text, sizeof(text)));
    dri_signers_fingerprint(&signers, second);
    assert_string_equal(first, second);
    test_ok(dri_signers_parse("b/" KEY "/acme/a/beta", &signers, text, sizeof(text)));
    dri_signers_fingerprint(&signers, third);
    test_ok(dri_signers_parse("b/" KEY "/beta/acme/a/beta", &signers, text, sizeof(text)));
    dri_signers_fingerprint(&signers, second);
    assert_string_equal(third, second);
    test_ok(dri_signers_parse("b/" KEY "/acme/beta", &signers, text, sizeof(text)));
    dri_signers_fingerprint(&signers, second);
    assert_string_not_equal(third, second);
    test_ok(dri_signers_parse("b/" KEY "/acme,a@1-9/" KEY "/*", &signers, text, sizeof(text)));
    dri_signers_fingerprint(&signers, second);
    assert_string_not_equal(first, second);
    test_ok(dri_signers_parse("b/" KEY "/acme,a/" KEY "/*", &signers, text, sizeof(text)));
    signers.signed_from = 2;
    dri_signers_fingerprint(&signers, second);
    assert_string_not_equal(first, second);
}

/* ---- keys ---- */

static void read_hex(const char *hex, uint8_t *bytes, size_t count)
{
    size_t got = 0;
    assert_int_equal(0, sodium_hex2bin(bytes, count, hex, strlen(hex), NULL, &got, NULL));
    assert_int_equal(count, got);
}

/* Source: RFC 8032, 7.1, TEST 1 to 3. */
static void keys_and_signatures_are_those_of_rfc_8032(void **state)
{
    static const struct {
        const char *seed, *key, *message, *signature;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", KEY, "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9"
         "b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f1"
         "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "84d"
         "c6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dri_signing_key key;
        uint8_t seed[32];
        uint8_t public_key[32];
        uint8_t message[2];
        uint8_t want[64];
        uint8_t got[64];
        size_t len = strlen(rows[i].message) / 2;
        read_hex(rows[i].seed, seed, sizeof(seed));
        read_hex(rows[i].key, public_key, sizeof(public_key));
        read_hex(rows[i].message, message, len);
        read_hex(rows[i].signature, want, sizeof(want));
        test_ok(dri_signing_key_of_seed(NULL, seed, &key));
        assert_memory_equal(public_key, key.public_key, 32);
        dri_signing_key_sign(&key, dray_slice_of(message, len), got);
        assert_memory_equal(want, got, 64);
    }
}

struct folder {
    char path[64];
    char file[128];
    char text[512];
};

static void open_folder(struct folder *folder)
{
    (void)snprintf(folder->path, sizeof(folder->path), "/tmp/dray-keys-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    (void)snprintf(folder->file, sizeof(folder->file), "%s/a.key", folder->path);
}

static void close_folder(const struct folder *folder)
{
    (void)unlink(folder->file);
    assert_int_equal(0, rmdir(folder->path));
}

/* As fsGroup of Kubernetes and LoadCredential of systemd do. */
static void root_gives_it_to_a_group(struct folder *folder)
{
    static const struct {
        mode_t mode;
        bool is_ours;
    } rows[] = {{0440, true},  {0640, true},  {0600, false}, {0444, false},
                {0660, false}, {0460, false}, {0450, false}, {0642, false}};
    struct dri_signing_key key;
    assert_int_equal(0, chmod(folder->path, 0755));
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(0, chmod(folder->file, rows[i].mode));
        assert_int_equal(0, chown(folder->file, 0, getegid()));
        assert_int_equal(0, seteuid(65534));
        enum dray_status status =
            dri_signing_key_load(folder->file, &key, folder->text, sizeof(folder->text));
        assert_int_equal(0, seteuid(0));
        print_message("%03o: %s\n", (unsigned)rows[i].mode, status == DRAY_OK ? "" : folder->text);
        test_status(rows[i].is_ours ? DRAY_OK : DRAY_EAUTH, status);
    }
}

static void a_key_comes_back_from_its_file_which_only_its_owner_may_read(void **state)
{
    struct folder folder;
    struct dri_signing_key key;
    struct dri_signing_key again;
    struct stat facts;
    (void)state;
    open_folder(&folder);
    test_ok(dri_signing_key_make(NULL, &key));
    assert_int_equal(16, strlen(key.kid));
    mode_t before = umask(0);
    test_ok(dri_signing_key_save(&key, folder.file, folder.text, sizeof(folder.text)));
    (void)umask(before);
    assert_int_equal(0, stat(folder.file, &facts));
    assert_int_equal(0600, facts.st_mode & 0777);
    test_status(DRAY_EEXISTS,
                dri_signing_key_save(&key, folder.file, folder.text, sizeof(folder.text)));
    test_ok(dri_signing_key_load(folder.file, &again, folder.text, sizeof(folder.text)));
    assert_memory_equal(&key, &again, sizeof(key));
    static const mode_t open_to_others[] = {0640, 0604, 0620, 0602, 0610, 0601};
    for (size_t i = 0; i < COUNT(open_to_others); i++) {
        assert_int_equal(0, chmod(folder.file, open_to_others[i]));
        test_status(DRAY_EAUTH,
                    dri_signing_key_load(folder.file, &again, folder.text, sizeof(folder.text)));
        assert_non_null(strstr(folder.text, "chmod 600"));
    }
    if (geteuid() == 0) { /* else nobody could give us a file of root's */
        root_gives_it_to_a_group(&folder);
    }
    dri_signing_key_wipe(&key);
    for (size_t i = 0; i < sizeof(key); i++) {
        assert_int_equal(0, ((const uint8_t *)&key)[i]);
    }
    close_folder(&folder);
    test_status(DRAY_ENOTFOUND,
                dri_signing_key_load(folder.file, &again, folder.text, sizeof(folder.text)));
}

static void a_file_that_is_no_key_is_refused_and_its_text_not_told(void **state)
{
    static const char *const texts[] = {
        "",
        "kid: ann\n",
        "secret: " KEY "\n",
        "kid: a b\nsecret: " KEY "\n",
        "kid: ann\nsecret: " KEY "00\n",
        "kid: ann\nsecret: d75a980182\n",
        "kid: ann\npublic: " KEY "\nsecret: " KEY "\n",
        "xkid: ann\nxsecret: " KEY "\n",
    };
    struct folder folder;
    struct dri_signing_key key;
    (void)state;
    open_folder(&folder);
    for (size_t i = 0; i < COUNT(texts); i++) {
        int fd = open(folder.file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(strlen(texts[i]), write(fd, texts[i], strlen(texts[i])));
        (void)close(fd);
        test_status(DRAY_EINVALID,
                    dri_signing_key_load(folder.file, &key, folder.text, sizeof(folder.text)));
        assert_null(strstr(folder.text, "d75a"));
    }
    (void)unlink(folder.file);
    assert_int_equal(0, mkfifo(folder.file, 0600)); /* nobody waits for its writer */
    test_status(DRAY_EINVALID,
                dri_signing_key_load(folder.file, &key, folder.text, sizeof(folder.text)));
    close_folder(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_record_counts_and_uses_up_its_number),
        cmocka_unit_test(what_is_not_trusted_is_refused_with_its_reason),
        cmocka_unit_test(a_signature_that_is_cut_off_is_no_record),
        cmocka_unit_test(no_bit_of_a_signed_record_can_be_changed),
        cmocka_unit_test(a_record_that_lost_a_race_does_not_come_back),
        cmocka_unit_test(reading_again_comes_to_the_same_numbers),
        cmocka_unit_test(before_signing_began_and_in_the_transition_unsigned_records_are_taken),
        cmocka_unit_test(history_counts_whatever_cluster_it_names),
        cmocka_unit_test(what_the_log_will_say_is_foreseen),
        cmocka_unit_test(without_signers_signatures_are_not_looked_at),
        cmocka_unit_test(every_item_of_a_change_has_to_be_the_signers),
        cmocka_unit_test(a_key_is_in_force_from_its_first_revision_to_its_last),
        cmocka_unit_test(only_who_may_change_all_may_put_and_remove_schedules),
        cmocka_unit_test(only_who_may_change_all_may_cancel),
        cmocka_unit_test(without_memory_no_number_is_used_up),
        cmocka_unit_test(a_signer_that_is_none_is_named),
        cmocka_unit_test(the_fingerprint_is_of_the_rule_and_not_of_its_order),
        cmocka_unit_test(keys_and_signatures_are_those_of_rfc_8032),
        cmocka_unit_test(a_key_comes_back_from_its_file_which_only_its_owner_may_read),
        cmocka_unit_test(a_file_that_is_no_key_is_refused_and_its_text_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
