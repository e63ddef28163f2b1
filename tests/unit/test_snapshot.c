/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <unistd.h>

#include "registry_fixture.h"
#include "run/snapshot.h"
#include "run/state.h"
#include "support/test.h"
#include "wire/sha256.h"

struct place {
    struct dri_snapshot_place at;
    char folder[64];
    char file[128];
    char text[256];
};

static void open_place(struct place *place)
{
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/dray-snapshot-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->file, sizeof(place->file), "%s/%s", place->folder, DRI_SNAPSHOT_FILE);
    place->at = (struct dri_snapshot_place){place->folder, "nats://me:secret@a:1,b:2", "blue",
                                            "dray.control", NULL};
}

static void close_place(struct place *place)
{
    (void)unlink(place->file);
    assert_int_equal(rmdir(place->folder), 0);
}

static enum dray_status save(struct place *place, const struct fixture *f)
{
    return dri_snapshot_save(&place->at, f->registry, place->text, sizeof(place->text));
}

static enum dray_status load(struct place *place, const struct fixture *f)
{
    return dri_snapshot_load(&place->at, f->registry, place->text, sizeof(place->text));
}

/** Two routes of one change, one of a later one, and a revision that changed nothing. */
static void fill(struct fixture *f)
{
    uint8_t bytes[2][ROUTE_BYTES];
    struct spec second = order;
    struct spec third = order;
    second.name = "order.cancel";
    third.ns = "acme";
    const struct dri_change_item items[] = {
        {dray_slice_text("default/order.create@1.0.0"), 0, route_of(&order, bytes[0])},
        {dray_slice_text("default/order.cancel@1.0.0"), 0, route_of(&second, bytes[1])},
    };
    test_ok(fixture_apply(f, 3, items, 2));
    f->revision = 6;
    test_ok(fixture_put(f, 0, &third)); /* 7 */
    dri_registry_see(f->registry, 9);
}

static void what_was_saved_comes_back_with_its_revisions_and_its_digest(void **state)
{
    (void)state;
    struct place place;
    struct fixture before;
    struct fixture after;
    char digests[2][65];
    open_place(&place);
    fixture_open(&before);
    fill(&before);
    test_ok(save(&place, &before));
    dri_registry_digest(before.registry, digests[0]);
    fixture_close(&before);

    fixture_open(&after);
    assert_true(dri_snapshot_revision(&place.at) == 9);
    test_ok(load(&place, &after));
    dri_registry_digest(after.registry, digests[1]);
    assert_string_equal(digests[0], digests[1]);
    assert_true(dri_registry_revision(after.registry) == 9);
    assert_int_equal(dri_registry_count(after.registry), 3);
    const struct dri_route *route =
        dri_registry_find_key(after.registry, dray_slice_text("default/order.cancel@1.0.0"));
    assert_non_null(route);
    assert_true(route->revision == 3);
    assert_ptr_equal(route->handler, &fixture_handler);
    fixture_close(&after);
    close_place(&place);
}

static void an_empty_registry_has_a_snapshot_too(void **state)
{
    (void)state;
    struct place place;
    struct fixture f;
    open_place(&place);
    fixture_open(&f);
    assert_true(dri_snapshot_revision(&place.at) == 0);
    test_status(DRAY_ENOTFOUND, load(&place, &f));
    dri_registry_see(f.registry, 4);
    test_ok(save(&place, &f));
    fixture_close(&f);
    fixture_open(&f);
    test_ok(load(&place, &f));
    assert_true(dri_registry_revision(f.registry) == 4);
    assert_int_equal(dri_registry_count(f.registry), 0);
    fixture_close(&f);
    close_place(&place);
}

static void a_snapshot_of_another_bus_cluster_or_topic_is_not_ours(void **state)
{
    (void)state;
    struct place place;
    struct fixture f;
    open_place(&place);
    fixture_open(&f);
    fill(&f);
    test_ok(save(&place, &f));
    fixture_close(&f);
    fixture_open(&f);
    place.at.cluster = "green";
    test_status(DRAY_EINVALID, load(&place, &f));
    place.at.cluster = "blue";
    place.at.topic = "other";
    test_status(DRAY_EINVALID, load(&place, &f));
    assert_non_null(strstr(place.text, "another bus, cluster or control topic"));
    place.at.topic = "dray.control";
    place.at.bus = "nats://a:1,c:3";
    test_status(DRAY_EINVALID, load(&place, &f));
    assert_true(dri_snapshot_revision(&place.at) == 0);
    assert_true(dri_registry_revision(f.registry) == 0);
    place.at.bus = "nats://other:password@a:1,b:2"; /* who we are there does not matter */
    test_ok(load(&place, &f));
    fixture_close(&f);
    close_place(&place);
}

static void a_snapshot_made_under_other_signers_is_not_used_but_its_revision_counts(void **state)
{
    static const char *const of_file[] = {NULL, "ab12", "ab12", ""};
    static const char *const of_now[] = {"ab12", NULL, "cd34", NULL};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct place place;
        struct fixture f;
        bool is_same = i == 3; /* "" and NULL both: nobody signs */
        open_place(&place);
        fixture_open(&f);
        fill(&f);
        place.at.signers = of_file[i];
        test_ok(save(&place, &f));
        fixture_close(&f);
        fixture_open(&f);
        place.at.signers = of_now[i];
        test_status(is_same ? DRAY_OK : DRAY_EINVALID, load(&place, &f));
        assert_int_equal(is_same ? 3 : 0, dri_registry_count(f.registry));
        assert_true(is_same || strstr(place.text, "control.signers") != NULL);
        assert_int_equal(9, dri_snapshot_revision(&place.at)); /* a log below it has lost its end */
        fixture_close(&f);
        close_place(&place);
    }
}

static void the_bus_of_a_snapshot_is_hashed_without_its_password(void **state)
{
    (void)state;
    char with[65], without[65], longer[65];
    static char url[4000] = "nats://";
    test_ok(dri_snapshot_bus("nats://u:p@h:1", with));
    test_ok(dri_snapshot_bus("nats://h:1", without));
    assert_string_equal(with, without);
    memset(url + 7, 'h', sizeof(url) - 8);
    test_ok(dri_snapshot_bus(url, longer));
    assert_string_not_equal(longer, without);
}

static void a_damaged_file_is_refused_whatever_byte_is_wrong(void **state)
{
    (void)state;
    struct place place;
    struct fixture f;
    void *bytes = NULL;
    size_t len = 0;
    open_place(&place);
    fixture_open(&f);
    fill(&f);
    test_ok(save(&place, &f));
    fixture_close(&f);
    test_ok(dri_state_read(place.folder, DRI_SNAPSHOT_FILE, 1 << 20, &bytes, &len));
    fixture_open(&f);
    for (size_t i = 0; i < len; i += 7) {
        uint8_t *at = bytes;
        at[i] ^= 0x10;
        test_ok(dri_state_write(place.folder, DRI_SNAPSHOT_FILE, bytes, len, place.text,
                                sizeof(place.text)));
        at[i] ^= 0x10;
        test_status(DRAY_EINVALID, load(&place, &f));
        assert_true(dri_snapshot_revision(&place.at) == 0);
    }
    for (size_t cut = 0; cut < len; cut += 11) {
        test_ok(dri_state_write(place.folder, DRI_SNAPSHOT_FILE, bytes, cut, place.text,
                                sizeof(place.text)));
        test_status(DRAY_EINVALID, load(&place, &f));
    }
    assert_true(dri_registry_revision(f.registry) == 0);
    fixture_close(&f);
    dri_free(bytes);
    close_place(&place);
}

/** A file with a good checksum over anything. */
static void forge(struct place *place, const struct dri_change *map,
                  const struct dri_change_item *items, size_t count)
{
    uint8_t bytes[4096];
    struct dri_sha256 sha;
    size_t len = 0;
    test_ok(dri_change_encode(map, items, count, bytes, sizeof(bytes) - 32, &len));
    dri_sha256_init(&sha);
    dri_sha256_add(&sha, dray_slice_of(bytes, len));
    dri_sha256_end(&sha, bytes + len);
    test_ok(dri_state_write(place->folder, DRI_SNAPSHOT_FILE, bytes, len + 32, place->text,
                            sizeof(place->text)));
}

/* As versions before this one wrote them: nothing says of which bus it is. */
static void a_snapshot_that_names_no_bus_is_not_ours(void **state)
{
    (void)state;
    struct place place;
    struct fixture f;
    const struct dri_change map = {
        .cluster = dray_slice_text("blue"), .topic = dray_slice_text("dray.control"), .seq = 5};
    open_place(&place);
    forge(&place, &map, NULL, 0);
    fixture_open(&f);
    test_status(DRAY_EINVALID, load(&place, &f));
    assert_non_null(strstr(place.text, "another bus, cluster or control topic"));
    assert_true(dri_snapshot_revision(&place.at) == 0);
    fixture_close(&f);
    close_place(&place);
}

static void a_forged_file_is_refused_where_it_contradicts_itself(void **state)
{
    (void)state;
    struct place place;
    struct fixture f;
    uint8_t bytes[ROUTE_BYTES];
    const struct dray_slice key = dray_slice_text("default/order.create@1.0.0");
    const struct dray_slice route = route_of(&order, bytes);
    char bus[65];
    test_ok(dri_snapshot_bus("nats://a:1,b:2", bus));
    const struct dri_change map = {.cluster = dray_slice_text("blue"),
                                   .topic = dray_slice_text("dray.control"),
                                   .author = dray_slice_text(bus),
                                   .note = dray_slice_text("no digest"),
                                   .seq = 5};
    const struct {
        struct dri_change_item items[2];
        size_t count;
    } cases[] = {
        {{{key, 6, route}}, 1},                  /* newer than what was seen */
        {{{key, 0, route}}, 1},                  /* of no revision */
        {{{key, 3, {NULL, 0}}}, 1},              /* a removal */
        {{{key, 3, route}, {key, 3, route}}, 2}, /* twice in one change */
        {{{key, 3, route}, {key, 4, route}}, 2}, /* twice in two */
        {{{key, 3, route}}, 1},                  /* the digest is another one */
    };
    open_place(&place);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_open(&f);
        forge(&place, &map, cases[i].items, cases[i].count);
        test_status(DRAY_EINVALID, load(&place, &f));
        assert_null(strstr(place.text, "another bus"));
        fixture_close(&f);
    }
    close_place(&place);
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    struct place place;
    struct fixture f;
    open_place(&place);
    fixture_open(&f);
    fill(&f);
    test_ok(save(&place, &f));
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        enum dray_status status = save(&place, &f);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        if (!has_failed) {
            test_ok(status);
            break;
        }
        test_status(DRAY_ENOMEM, status);
    }
    fixture_close(&f);
    for (uint64_t n = 1;; n++) {
        fixture_open(&f);
        dri_mem_fail_at(n);
        enum dray_status status = load(&place, &f);
        bool has_failed = dri_mem_failed() != 0;
        dri_mem_fail_at(0);
        fixture_close(&f);
        if (!has_failed) {
            test_ok(status);
            break;
        }
        assert_true(status == DRAY_ENOMEM || status == DRAY_EINVALID || status == DRAY_OK);
    }
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_comes_back_with_its_revisions_and_its_digest),
        cmocka_unit_test(an_empty_registry_has_a_snapshot_too),
        cmocka_unit_test(a_snapshot_of_another_bus_cluster_or_topic_is_not_ours),
        cmocka_unit_test(a_snapshot_made_under_other_signers_is_not_used_but_its_revision_counts),
        cmocka_unit_test(the_bus_of_a_snapshot_is_hashed_without_its_password),
        cmocka_unit_test(a_snapshot_that_names_no_bus_is_not_ours),
        cmocka_unit_test(a_damaged_file_is_refused_whatever_byte_is_wrong),
        cmocka_unit_test(a_forged_file_is_refused_where_it_contradicts_itself),
        cmocka_unit_test(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
