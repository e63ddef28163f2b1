/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "registry_fixture.h"
#include "support/test.h"
#include "wire/sha256.h"

/* ---- the rule of one key ---- */

static void a_route_is_put_when_it_is_absent_and_then_found(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_string_equal(found(&f, "default", "order.create", NULL), "ENOTFOUND");
    test_ok(fixture_put(&f, 0, &order));
    assert_string_equal(found(&f, "default", "order.create", NULL), "default/order.create@1.0.0");
    const struct dri_route *route =
        dri_registry_find_key(f.registry, dray_slice_text("default/order.create@1.0.0"));
    assert_non_null(route);
    assert_true(route->revision == 1);
    assert_string_equal(route->name_text, "order.create");
    assert_ptr_equal(route->handler, &fixture_handler);
    assert_true(route->fid == 0x5308dd95f8546fdeu); /* the example of the format */
    test_slice("m.so", route->view.module);
    assert_true(route->view.module.at > route->bytes &&
                route->view.module.at < route->bytes + route->bytes_len);
    fixture_close(&f);
}

static void putting_what_is_there_is_a_conflict_that_shows_both_sides(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_status(DRAY_ECONFLICT, fixture_put(&f, 0, &order));
    assert_string_equal(f.conflict.key, "default/order.create@1.0.0");
    assert_true(f.conflict.base == 0);
    assert_true(f.conflict.present == 1);
    assert_non_null(strstr(f.text, "order.create"));
    assert_true(dri_registry_revision(f.registry) == 2); /* it counts as seen */
    fixture_close(&f);
}

static void a_route_is_replaced_by_its_revision_only(void **state)
{
    (void)state;
    struct fixture f;
    struct spec next = order;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    next.handler = "h2";
    test_status(DRAY_ECONFLICT, fixture_put(&f, 7, &next));
    assert_true(f.conflict.base == 7 && f.conflict.present == 1);
    test_ok(fixture_put(&f, 1, &next));
    test_status(DRAY_ECONFLICT, fixture_put(&f, 1, &next)); /* it is 3 now */
    assert_true(f.conflict.present == 3);
    const struct dri_route *route =
        dri_registry_find_key(f.registry, dray_slice_text("default/order.create@1.0.0"));
    test_slice("h2", route->view.handler);
    assert_true(route->revision == 3);
    assert_int_equal(dri_registry_count(f.registry), 1);
    fixture_close(&f);
}

static void a_route_is_removed_by_its_revision_only(void **state)
{
    (void)state;
    struct fixture f;
    const char *key = "default/order.create@1.0.0";
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_status(DRAY_ECONFLICT, fixture_remove(&f, key, 0));
    test_status(DRAY_ECONFLICT, fixture_remove(&f, key, 2));
    test_ok(fixture_remove(&f, key, 1));
    assert_null(dri_registry_find_key(f.registry, dray_slice_text(key)));
    assert_string_equal(found(&f, "default", "order.create", NULL), "ENOTFOUND");
    test_status(DRAY_ECONFLICT, fixture_remove(&f, key, 1));
    assert_true(f.conflict.base == 1 && f.conflict.present == 0);
    test_ok(fixture_put(&f, 0, &order)); /* and may come again */
    assert_string_equal(found(&f, "default", "order.create", NULL), key);
    fixture_close(&f);
}

static void removing_what_must_not_exist_and_does_not_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    test_ok(fixture_remove(&f, "default/nobody@1.0.0", 0));
    assert_int_equal(dri_registry_count(f.registry), 0);
    assert_true(dri_registry_revision(f.registry) == 1);
    fixture_close(&f);
}

static void a_revision_that_was_seen_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bytes[ROUTE_BYTES];
    fixture_open(&f);
    f.revision = 41;
    test_ok(fixture_put(&f, 0, &order));
    for (uint64_t revision = 41; revision <= 42; revision++) {
        test_status(DRAY_EINVALID,
                    dri_registry_remove(f.registry, dray_slice_text("default/order.create@1.0.0"),
                                        42, revision, NULL));
    }
    test_status(DRAY_EINVALID, dri_registry_put(f.registry, 42, 42, route_of(&order, bytes), NULL,
                                                f.text, sizeof(f.text)));
    assert_non_null(strstr(f.text, "42"));
    assert_int_equal(dri_registry_count(f.registry), 1);
    assert_true(dri_registry_revision(f.registry) == 42);
    fixture_close(&f);
}

static void null_and_bad_names_are_refused(void **state)
{
    (void)state;
    static const struct spec bad[] = {
        {"default", "", "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", NULL, "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"", "order", "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "a/b", "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "a@b", "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "a\nb", "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"a/b", "order", "1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "order", "1.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "order", "v1", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "order", "^1.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "order", "99999999999999999999.0.0", NULL, NULL, 0, DRI_ROUTE_ACTIVE},
        {"default", "order", "1.0.0", NULL, "abc", 0, DRI_ROUTE_ACTIVE},
        {"default", "order", "1.0.0", NULL, NULL, 101, DRI_ROUTE_ACTIVE},
    };
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        f.text[0] = '\0';
        enum dray_status status = fixture_put(&f, 0, &bad[i]);
        if (status != DRAY_EINVALID && status != DRAY_ELIMIT) {
            fail_msg("put number %zu gave %s", i, dray_status_name(status));
        }
        assert_true(strlen(f.text) > 10);
        assert_true(dri_registry_revision(f.registry) == f.revision); /* it counts as seen */
    }
    char long_name[66];
    memset(long_name, 'n', 65);
    long_name[65] = '\0';
    struct spec spec = {.ns = "default", .name = long_name, .version = "1.0.0"};
    assert_true(fixture_put(&f, 0, &spec) != DRAY_OK);
    long_name[64] = '\0';
    test_ok(fixture_put(&f, 0, &spec));
    test_status(DRAY_EINVALID,
                dri_registry_put(f.registry, 0, 100, dray_slice_of(NULL, 0), NULL, NULL, 0));
    test_status(DRAY_EINVALID,
                dri_registry_put(f.registry, 0, 101, dray_slice_text("\xc1"), NULL, NULL, 0));
    f.revision = 101;
    static const char *const bad_keys[] = {"",
                                           "order",
                                           "default/order",
                                           "order@1.0.0",
                                           "/order@1.0.0",
                                           "default/@1.0.0",
                                           "default/order@",
                                           "default/order@1"};
    for (size_t i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
        test_status(DRAY_EINVALID, fixture_remove(&f, bad_keys[i], 0));
    }
    test_status(DRAY_EINVALID,
                dri_registry_remove(f.registry, dray_slice_of(NULL, 0), 0, 200, NULL));
    assert_null(dri_registry_find_key(f.registry, dray_slice_of(NULL, 0)));
    assert_int_equal(dri_registry_count(f.registry), 1);
    fixture_close(&f);
}

static void a_route_without_a_version_is_0_0_0(void **state)
{
    (void)state;
    struct fixture f;
    struct spec spec = order;
    fixture_open(&f);
    spec.version = NULL;
    spec.ns = NULL;
    test_ok(fixture_put(&f, 0, &spec));
    assert_string_equal(found(&f, NULL, "order.create", NULL), "default/order.create@0.0.0");
    fixture_close(&f);
}

/* ---- changes of several keys ---- */

static void a_change_is_applied_whole_or_not_at_all(void **state)
{
    (void)state;
    static struct items items;
    struct fixture f;
    struct spec a = version_spec("a", "1.0.0"), b = version_spec("b", "1.0.0");
    struct spec c = version_spec("c", "1.0.0");
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &a));
    test_ok(fixture_put(&f, 0, &b));
    items.count = 0;
    add_put(&items, &c, 0);
    add_removal(&items, "default/a@1.0.0", 1);
    add_put(&items, &b, 1); /* it is 2 */
    test_status(DRAY_ECONFLICT, fixture_apply(&f, 3, items.item, items.count));
    assert_string_equal(f.conflict.key, "default/b@1.0.0");
    assert_true(f.conflict.base == 1 && f.conflict.present == 2);
    assert_string_equal(found(&f, "default", "a", NULL), "default/a@1.0.0");
    assert_string_equal(found(&f, "default", "c", NULL), "ENOTFOUND");
    assert_int_equal(dri_registry_count(f.registry), 2);
    items.item[2].base = 2;
    test_ok(fixture_apply(&f, 4, items.item, items.count));
    assert_string_equal(found(&f, "default", "a", NULL), "ENOTFOUND");
    assert_string_equal(found(&f, "default", "b", NULL), "default/b@1.0.0");
    assert_string_equal(found(&f, "default", "c", NULL), "default/c@1.0.0");
    assert_true(dri_registry_find_key(f.registry, dray_slice_text("default/b@1.0.0"))->revision ==
                4);
    fixture_close(&f);
}

static void versions_of_one_name_change_together(void **state)
{
    (void)state;
    static struct items items;
    struct fixture f;
    struct spec one = version_spec("a", "1.0.0"), two = version_spec("a", "2.0.0");
    struct spec three = version_spec("a", "3.0.0");
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &one));
    test_ok(fixture_put(&f, 0, &two));
    assert_string_equal(found(&f, "default", "a", NULL), "default/a@2.0.0");
    assert_string_equal(found(&f, "default", "a", "^1"), "default/a@1.0.0");
    items.count = 0;
    add_removal(&items, "default/a@2.0.0", 2);
    add_put(&items, &three, 0);
    add_put(&items, &one, 1);
    test_ok(fixture_apply(&f, 3, items.item, items.count));
    assert_string_equal(found(&f, "default", "a", NULL), "default/a@3.0.0");
    assert_string_equal(found(&f, "default", "a", "2.0.0"), "ECONFLICT");
    assert_string_equal(found(&f, "default", "a", "1.x"), "default/a@1.0.0");
    items.count = 0;
    add_removal(&items, "default/a@3.0.0", 3);
    add_removal(&items, "default/a@1.0.0", 3);
    test_ok(fixture_apply(&f, 4, items.item, items.count));
    assert_string_equal(found(&f, "default", "a", "2.0.0"), "ENOTFOUND");
    fixture_close(&f);
}

static void a_bad_item_refuses_the_whole_change_and_says_which(void **state)
{
    (void)state;
    static struct items items;
    struct fixture f;
    struct spec a = version_spec("a", "1.0.0"), b = version_spec("b", "1.0.0");
    fixture_open(&f);
    items.count = 0;
    add_put(&items, &a, 0);
    add_put(&items, &b, 0);
    items.item[1].key = dray_slice_text("default/other@1.0.0");
    test_status(DRAY_EINVALID, fixture_apply(&f, 1, items.item, items.count));
    assert_non_null(strstr(f.text, "default/b@1.0.0"));
    items.count = 0;
    add_put(&items, &a, 0);
    add_removal(&items, "default/a@1.0.0", 0);
    test_status(DRAY_EINVALID, fixture_apply(&f, 2, items.item, items.count));
    assert_non_null(strstr(f.text, "twice"));
    assert_int_equal(dri_registry_count(f.registry), 0);
    assert_true(dri_registry_revision(f.registry) == 2);
    const struct dri_change other = {.kind = dray_slice_text("schedule")};
    test_status(DRAY_EINVALID,
                dri_registry_apply(f.registry, 3, &other, &f.conflict, f.text, sizeof(f.text)));
    assert_true(dri_registry_revision(f.registry) == 3);
    test_ok(fixture_apply(&f, 4, items.item, 0)); /* no item, no harm */
    assert_true(dri_registry_revision(f.registry) == 4);
    fixture_close(&f);
}

/* ---- look-ups ---- */

static void a_namespace_never_falls_back_to_another(void **state)
{
    (void)state;
    struct fixture f;
    struct spec spec = order;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    spec.ns = "acme";
    spec.version = "2.0.0";
    assert_string_equal(found(&f, "acme", "order.create", NULL), "ENOTFOUND");
    test_ok(fixture_put(&f, 0, &spec));
    assert_string_equal(found(&f, "acme", "order.create", NULL), "acme/order.create@2.0.0");
    assert_string_equal(found(&f, "acme", "order.create", "1.0.0"), "ECONFLICT");
    assert_string_equal(found(&f, "default", "order.create", NULL), "default/order.create@1.0.0");
    assert_string_equal(found(&f, NULL, "order.create", NULL), "default/order.create@1.0.0");
    assert_string_equal(found(&f, "", "order.create", NULL), "ENOTFOUND");
    struct dri_query query = query_of("acme", NULL, NULL);
    query.has_fid = true;
    query.fid = 0x5308dd95f8546fdeu; /* in "default" */
    const struct dri_route *route = NULL;
    test_status(DRAY_ENOTFOUND, dri_registry_pin(f.reader, &query, &route));
    fixture_close(&f);
}

static void bytes_are_not_moved_between_namespace_and_name(void **state)
{
    (void)state;
    struct fixture f;
    struct spec spec = {.ns = "ab", .name = "c", .version = "1.0.0"};
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &spec));
    assert_string_equal(found(&f, "a", "bc", NULL), "ENOTFOUND");
    assert_string_equal(found(&f, "ab", "c", NULL), "ab/c@1.0.0");
    fixture_close(&f);
}

static void what_no_version_fits_is_told_from_what_is_not_there(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    assert_string_equal(found(&f, "default", "order.create", "^2"), "ECONFLICT");
    assert_string_equal(found(&f, "default", "order.create", "no version"), "ECONFLICT");
    assert_string_equal(found(&f, "default", "order.create", ""), "ECONFLICT");
    assert_string_equal(found(&f, "default", "order.create", "^1"), "default/order.create@1.0.0");
    assert_string_equal(found(&f, "default", "order.cancel", "^2"), "ENOTFOUND");
    fixture_close(&f);
}

static const char *found_fid(struct fixture *f, uint64_t fid, const char *name, const char *version)
{
    struct dri_query query = query_of("default", name, version);
    const struct dri_route *route = NULL;
    query.has_fid = true;
    query.fid = fid;
    enum dray_status status = dri_registry_pin(f->reader, &query, &route);
    if (status != DRAY_OK) {
        return dray_status_name(status);
    }
    dri_registry_unpin(f->reader, route);
    return route->key;
}

static void a_function_id_leads_to_its_version(void **state)
{
    (void)state;
    struct fixture f;
    struct spec two = order;
    two.version = "2.0.0";
    const uint64_t fid = 0x5308dd95f8546fdeu;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(fixture_put(&f, 0, &two));
    assert_string_equal(found_fid(&f, fid, NULL, NULL), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, fid, "order.create", NULL), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, fid, "order.create", "^1"), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, fid + 1, NULL, NULL), "ENOTFOUND");
    /* What contradicts the id is refused: the payload may be of another signature. */
    assert_string_equal(found_fid(&f, fid + 1, "order.create", NULL), "ECONFLICT");
    assert_string_equal(found_fid(&f, fid, "order.create", "^2"), "ECONFLICT");
    assert_string_equal(found_fid(&f, fid, "order.cancel", NULL), "ECONFLICT");
    assert_string_equal(found_fid(&f, fid + 1, "order.cancel", NULL), "ENOTFOUND");
    fixture_close(&f);
}

static void a_function_id_goes_with_its_signature(void **state)
{
    (void)state;
    struct fixture f;
    struct spec signed_ = order;
    signed_.signature = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(fixture_put(&f, 1, &signed_));
    uint64_t fid =
        dri_registry_find_key(f.registry, dray_slice_text("default/order.create@1.0.0"))->fid;
    assert_true(fid != 0x5308dd95f8546fdeu);
    assert_string_equal(found_fid(&f, fid, NULL, NULL), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, 0x5308dd95f8546fdeu, NULL, NULL), "ENOTFOUND");
    test_ok(fixture_remove(&f, "default/order.create@1.0.0", 2));
    assert_string_equal(found_fid(&f, fid, NULL, NULL), "ENOTFOUND");
    fixture_close(&f);
}

#define SIGNATURE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_route_without_a_signature_is_found_by_that_of_its_handler(void **state)
{
    (void)state;
    struct fixture f;
    static const struct dray_handler built = {.command = "any", .signature = SIGNATURE};
    struct spec two = order;
    two.version = "2.0.0";
    const uint64_t fid = dri_fid(dray_slice_text(order.ns), dray_slice_text(order.name),
                                 dray_slice_text(order.version), dray_slice_text(built.signature));
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    assert_string_equal(found_fid(&f, fid, "order.create", NULL), "ECONFLICT");
    test_ok(fixture_remove(&f, "default/order.create@1.0.0", f.revision));
    f.loader.handler = &built;
    test_ok(fixture_put(&f, 0, &order));
    assert_string_equal(found_fid(&f, fid, "order.create", NULL), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, fid + 1, "order.create", NULL), "ECONFLICT");
    test_ok(fixture_put(&f, 0, &two));
    assert_string_equal(found_fid(&f, fid, "order.create", NULL), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, fid, "order.create", "^1"), "default/order.create@1.0.0");
    assert_string_equal(found_fid(&f, fid, "order.create", "^2"), "ECONFLICT");
    assert_string_equal(found_fid(&f, fid, NULL, NULL), "ENOTFOUND"); /* no name to look under */
    fixture_close(&f);
}

/* The text that an id is made from does not say where the namespace ends. */
static void of_two_keys_with_one_function_id_the_second_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    const struct spec one = {.ns = "default", .name = "eu.pay", .version = "1.0.0"};
    const struct spec two = {.ns = "default.eu", .name = "pay", .version = "1.0.0"};
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &two));
    test_status(DRAY_EINVALID, fixture_put(&f, 0, &one));
    assert_string_equal(f.text, "\"default.eu/pay@1.0.0\" and \"default/eu.pay@1.0.0\" have the "
                                "same function id");
    const struct dri_route *theirs =
        dri_registry_find_key(f.registry, dray_slice_text("default.eu/pay@1.0.0"));
    assert_string_equal(found_fid(&f, theirs->fid, NULL, NULL), "ENOTFOUND");
    assert_string_equal(found_fid(&f, theirs->fid, "eu.pay", NULL), "ENOTFOUND");
    fixture_close(&f);
}

static void names_of_every_length_are_found_alone_and_in_sets(void **state)
{
    (void)state;
    struct fixture f;
    char ns[65], name[65];
    fixture_open(&f);
    for (size_t len = 1; len <= 64; len += 3) {
        memset(ns, 'n', len);
        memset(name, 'm', 65 - len);
        ns[len] = '\0';
        name[65 - len] = '\0';
        struct spec spec = {.ns = ns, .name = name, .version = "1.0.0"};
        test_ok(fixture_put(&f, 0, &spec));
        char key[256];
        (void)snprintf(key, sizeof(key), "%s/%s@1.0.0", ns, name);
        assert_string_equal(found(&f, ns, name, NULL), key);
        name[64 - len] = 'x'; /* its last byte */
        assert_string_equal(found(&f, ns, name, NULL), "ENOTFOUND");
        name[64 - len] = 'm';
        spec.version = "1.1.0";
        test_ok(fixture_put(&f, 0, &spec));
        assert_string_equal(found(&f, ns, name, "1.0.0"), key);
        test_ok(
            fixture_remove(&f, key, f.revision - 1)); /* whose key the set's name may stand in */
        dri_reader_quiescent(f.reader);
        (void)dri_registry_reclaim(f.registry);
        (void)snprintf(key, sizeof(key), "%s/%s@1.1.0", ns, name);
        assert_string_equal(found(&f, ns, name, NULL), key);
        assert_string_equal(
            found_fid(&f, dri_registry_find_key(f.registry, dray_slice_text(key))->fid, NULL, NULL),
            "ENOTFOUND"); /* in "default" */
    }
    fixture_close(&f);
}

static void it_is_known_whether_any_route_is_special(void **state)
{
    struct fixture f;
    struct spec paused = order;
    struct spec other = version_spec("other", "1.0.0");
    (void)state;
    fixture_open(&f);
    paused.state = DRI_ROUTE_PAUSED;
    other.state = DRI_ROUTE_DRAINING;
    assert_false(dri_registry_has_special(f.registry));
    test_ok(fixture_put(&f, 0, &order));
    assert_false(dri_registry_has_special(f.registry));
    test_ok(fixture_put(&f, 1, &paused));
    test_ok(fixture_put(&f, 0, &other));
    assert_true(dri_registry_has_special(f.registry));
    test_status(DRAY_ECONFLICT, fixture_put(&f, 1, &order));
    test_ok(fixture_put(&f, 2, &order));
    assert_true(dri_registry_has_special(f.registry));
    test_ok(fixture_remove(&f, "default/other@1.0.0", 3));
    assert_false(dri_registry_has_special(f.registry));
    fixture_close(&f);
}

static void a_paused_route_is_found_and_says_so(void **state)
{
    (void)state;
    struct fixture f;
    struct spec paused = order;
    paused.state = DRI_ROUTE_PAUSED;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &paused));
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    test_ok(dri_registry_pin(f.reader, &query, &route));
    assert_int_equal(route->view.state, DRI_ROUTE_PAUSED);
    dri_registry_unpin(f.reader, route);
    fixture_close(&f);
}

static void canaries_go_by_the_hash_of_the_key(void **state)
{
    (void)state;
    struct fixture f;
    struct spec canary = order;
    unsigned hits = 0;
    canary.version = "1.1.0";
    canary.weight = 30;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_ok(fixture_put(&f, 0, &canary));
    for (uint64_t key = 0; key < 2000; key++) {
        struct dri_query query = query_of("default", "order.create", NULL);
        const struct dri_route *route = NULL;
        query.key_hash = key;
        test_ok(dri_registry_pin(f.reader, &query, &route));
        hits += strcmp(route->key, "default/order.create@1.1.0") == 0;
        dri_registry_unpin(f.reader, route);
    }
    assert_in_range(hits, 500, 700);
    fixture_close(&f);
}

/* ---- binding ---- */

static void a_route_whose_module_is_missing_is_there_and_says_why(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    atomic_store(&f.loader.is_absent, 1);
    test_ok(fixture_put(&f, 0, &order));
    const struct dri_query query = query_of("default", "order.create", NULL);
    const struct dri_route *route = NULL;
    test_ok(dri_registry_pin(f.reader, &query, &route));
    assert_null(route->handler);
    assert_string_equal(route->failure, "module is not there");
    dri_registry_unpin(f.reader, route);
    char before[65], after[65];
    dri_registry_digest(f.registry, before);
    dri_registry_rebind(f.registry); /* still missing: nothing changes */
    assert_ptr_equal(dri_registry_find_key(f.registry, dray_slice_text(route->key)), route);
    atomic_store(&f.loader.is_absent, 0);
    dri_registry_rebind(f.registry);
    test_ok(dri_registry_pin(f.reader, &query, &route));
    assert_ptr_equal(route->handler, &fixture_handler);
    assert_string_equal(route->failure, "");
    assert_true(route->revision == 1);
    dri_registry_unpin(f.reader, route);
    dri_registry_digest(f.registry, after);
    assert_string_equal(before, after);
    int bound = atomic_load(&f.loader.bound);
    dri_registry_rebind(f.registry); /* nothing is left to bind */
    assert_int_equal(atomic_load(&f.loader.bound), bound);
    fixture_close(&f);
}

static void a_change_that_conflicts_loads_no_module(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f);
    test_ok(fixture_put(&f, 0, &order));
    test_status(DRAY_ECONFLICT, fixture_put(&f, 0, &order));
    assert_int_equal(atomic_load(&f.loader.bound), 1);
    fixture_close(&f);
}

/* ---- digest and order ---- */

struct digest_row {
    const char *key;
    const char *revision;
    struct spec spec;
};

/** As the header says it, by hand. */
static void digest_by_hand(const struct digest_row *rows, size_t count, char ret_hex[65])
{
    struct dri_sha256 sha;
    uint8_t digest[32], bytes[ROUTE_BYTES];
    dri_sha256_init(&sha);
    for (size_t i = 0; i < count; i++) {
        char len_text[16];
        struct dray_slice route = route_of(&rows[i].spec, bytes);
        (void)snprintf(len_text, sizeof(len_text), "%zu", route.len);
        dri_sha256_add(&sha, dray_slice_of(rows[i].key, strlen(rows[i].key) + 1));
        dri_sha256_add(&sha, dray_slice_of(rows[i].revision, strlen(rows[i].revision) + 1));
        dri_sha256_add(&sha, dray_slice_of(len_text, strlen(len_text) + 1));
        dri_sha256_add(&sha, route);
    }
    dri_sha256_end(&sha, digest);
    dri_hex(digest, sizeof(digest), ret_hex);
}

static void the_digest_is_that_of_the_contract(void **state)
{
    (void)state;
    struct fixture f;
    char got[65], want[65], again[65];
    struct digest_row rows[] = {
        {"acme/a@1.0.0", "3", {.ns = "acme", .name = "a", .version = "1.0.0"}},
        {"default/a@1.0.0", "1", version_spec("a", "1.0.0")},
        {"default/b@1.0.0", "2", version_spec("b", "1.0.0")},
    };
    fixture_open(&f);
    dri_registry_digest(f.registry, got);
    digest_by_hand(rows, 0, want);
    assert_string_equal(got, want); /* of nothing */
    test_ok(fixture_put(&f, 0, &rows[1].spec));
    test_ok(fixture_put(&f, 0, &rows[2].spec));
    test_ok(fixture_put(&f, 0, &rows[0].spec));
    dri_registry_digest(f.registry, got);
    digest_by_hand(rows, 3, want);
    assert_string_equal(got, want);
    test_status(DRAY_ECONFLICT, fixture_put(&f, 0, &rows[1].spec));
    dri_registry_digest(f.registry, again);
    assert_string_equal(got, again); /* a skipped change leaves it */
    test_ok(fixture_put(&f, 1, &rows[1].spec));
    dri_registry_digest(f.registry, again);
    rows[1].revision = "5";
    digest_by_hand(rows, 3, want);
    assert_string_equal(again, want); /* the same bytes by another revision are another state */
    test_ok(fixture_remove(&f, "acme/a@1.0.0", 3));
    dri_registry_digest(f.registry, again);
    digest_by_hand(rows + 1, 2, want);
    assert_string_equal(again, want);
    fixture_close(&f);
}

struct walk {
    char last[256];
    size_t count;
    bool is_sorted;
};

static void check_order(void *arg, const struct dri_route *route)
{
    struct walk *walk = (struct walk *)arg;
    walk->is_sorted = walk->is_sorted && strcmp(walk->last, route->key) < 0;
    (void)snprintf(walk->last, sizeof(walk->last), "%s", route->key);
    walk->count++;
}

/* ---- against a model ---- */

#define MODEL_NAMES    40
#define MODEL_VERSIONS 4

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

static void model_key(size_t i, struct spec *spec, char texts[3][32], char *key, size_t key_bytes)
{
    (void)snprintf(texts[0], 32, "ns%zu", i % 3);
    (void)snprintf(texts[1], 32, "name%zu", i / MODEL_VERSIONS);
    (void)snprintf(texts[2], 32, "%zu.0.0", i % MODEL_VERSIONS);
    *spec = (struct spec){.ns = texts[0], .name = texts[1], .version = texts[2]};
    (void)snprintf(key, key_bytes, "%s/%s@%s", texts[0], texts[1], texts[2]);
}

static void check_model(struct fixture *f, const uint64_t *revisions, size_t count)
{
    size_t there = 0;
    struct walk walk = {.last = "", .count = 0, .is_sorted = true};
    for (size_t i = 0; i < count; i++) {
        struct spec spec;
        char texts[3][32], key[128];
        model_key(i, &spec, texts, key, sizeof(key));
        const struct dri_route *route = dri_registry_find_key(f->registry, dray_slice_text(key));
        assert_int_equal(route != NULL, revisions[i] != 0);
        const char *got = found(f, spec.ns, spec.name, spec.version);
        if (route != NULL) {
            there++;
            assert_true(route->revision == revisions[i]);
            assert_string_equal(got, key);
            struct dri_query query = query_of(spec.ns, NULL, NULL);
            const struct dri_route *by_fid = NULL;
            query.has_fid = true;
            query.fid = route->fid;
            test_ok(dri_registry_pin(f->reader, &query, &by_fid));
            assert_ptr_equal(by_fid, route);
            dri_registry_unpin(f->reader, by_fid);
        } else {
            assert_true(strcmp(got, "ENOTFOUND") == 0 || strcmp(got, "ECONFLICT") == 0);
        }
    }
    dri_registry_each(f->registry, check_order, &walk);
    assert_true(walk.is_sorted);
    assert_int_equal(walk.count, there);
    assert_int_equal(dri_registry_count(f->registry), there);
}

static void random_changes_leave_what_a_naive_model_has(void **state)
{
    (void)state;
    enum {
        KEYS = MODEL_NAMES * MODEL_VERSIONS
    };
    static uint64_t revisions[KEYS];
    struct fixture f;
    uint64_t random = 42;
    unsigned conflicts = 0;
    fixture_open(&f);
    memset(revisions, 0, sizeof(revisions));
    for (int turn = 0; turn < 6000; turn++) {
        size_t i = next_random(&random) % KEYS;
        struct spec spec;
        char texts[3][32], key[128];
        model_key(i, &spec, texts, key, sizeof(key));
        uint64_t base = next_random(&random) % 4 == 0 ? f.revision : revisions[i];
        bool is_removal = next_random(&random) % 2 == 0;
        enum dray_status status =
            is_removal ? fixture_remove(&f, key, base) : fixture_put(&f, base, &spec);
        test_status(base == revisions[i] ? DRAY_OK : DRAY_ECONFLICT, status);
        conflicts += status != DRAY_OK;
        if (status == DRAY_OK) {
            revisions[i] = is_removal ? 0 : f.revision;
        }
        if (turn % 3 == 0) {
            dri_reader_quiescent(f.reader);
        }
        if (turn % 500 == 0) {
            check_model(&f, revisions, KEYS);
        }
    }
    check_model(&f, revisions, KEYS);
    assert_true(conflicts > 500);
    fixture_close(&f);
}

static void many_routes_are_all_found(void **state)
{
    (void)state;
    enum {
        MANY = 5000
    };
    struct fixture f;
    char name[32], key[64];
    fixture_open(&f);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "command.%d", i);
        struct spec spec = version_spec(name, "1.0.0");
        test_ok(fixture_put(&f, 0, &spec));
    }
    dri_reader_quiescent(f.reader);
    for (int i = 0; i < MANY; i += 2) {
        (void)snprintf(key, sizeof(key), "default/command.%d@1.0.0", i);
        test_ok(fixture_remove(&f, key, (uint64_t)i + 1));
    }
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "command.%d", i);
        (void)snprintf(key, sizeof(key), "default/command.%d@1.0.0", i);
        assert_string_equal(found(&f, "default", name, NULL), i % 2 == 0 ? "ENOTFOUND" : key);
    }
    dri_reader_quiescent(f.reader);
    assert_int_equal(dri_registry_reclaim(f.registry), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_is_put_when_it_is_absent_and_then_found),
        cmocka_unit_test(putting_what_is_there_is_a_conflict_that_shows_both_sides),
        cmocka_unit_test(a_route_is_replaced_by_its_revision_only),
        cmocka_unit_test(a_route_is_removed_by_its_revision_only),
        cmocka_unit_test(removing_what_must_not_exist_and_does_not_changes_nothing),
        cmocka_unit_test(a_revision_that_was_seen_is_refused),
        cmocka_unit_test(null_and_bad_names_are_refused),
        cmocka_unit_test(a_route_without_a_version_is_0_0_0),
        cmocka_unit_test(a_change_is_applied_whole_or_not_at_all),
        cmocka_unit_test(versions_of_one_name_change_together),
        cmocka_unit_test(a_bad_item_refuses_the_whole_change_and_says_which),
        cmocka_unit_test(a_namespace_never_falls_back_to_another),
        cmocka_unit_test(bytes_are_not_moved_between_namespace_and_name),
        cmocka_unit_test(what_no_version_fits_is_told_from_what_is_not_there),
        cmocka_unit_test(a_function_id_leads_to_its_version),
        cmocka_unit_test(a_function_id_goes_with_its_signature),
        cmocka_unit_test(a_route_without_a_signature_is_found_by_that_of_its_handler),
        cmocka_unit_test(of_two_keys_with_one_function_id_the_second_is_refused),
        cmocka_unit_test(names_of_every_length_are_found_alone_and_in_sets),
        cmocka_unit_test(a_paused_route_is_found_and_says_so),
        cmocka_unit_test(it_is_known_whether_any_route_is_special),
        cmocka_unit_test(canaries_go_by_the_hash_of_the_key),
        cmocka_unit_test(a_route_whose_module_is_missing_is_there_and_says_why),
        cmocka_unit_test(a_change_that_conflicts_loads_no_module),
        cmocka_unit_test(the_digest_is_that_of_the_contract),
        cmocka_unit_test(random_changes_leave_what_a_naive_model_has),
        cmocka_unit_test(many_routes_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
