/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <unistd.h>

#include "registry_fixture.h"
#include "run/snapshot.h"
#include "run/state.h"
#include "support/test.h"

/* One contract for the three stores of routes: plain (one table), sharded, and persistent (sharded,
 * with the snapshot behind it). registry.h is the interface of all three; a store says only how it
 * is opened and what is owed after a change. The persistent one is closed and opened again after
 * every change, so that whatever is asked is asked of what came from its file. */

struct store {
    const struct store_kind *kind;
    struct fixture f;
    struct dri_snapshot_place place;
    char folder[64];
};

struct store_kind {
    const char *name;
    uint32_t shards;
    bool is_persistent;
};

static const struct store_kind kinds[] = {
    {"plain", 1, false}, {"sharded", 0, false}, {"persistent", 0, true}};

static void store_open(struct store *store, const struct store_kind *kind)
{
    *store = (struct store){.kind = kind};
    (void)snprintf(store->folder, sizeof(store->folder), "/tmp/dray-store-XXXXXX");
    assert_non_null(mkdtemp(store->folder));
    store->place =
        (struct dri_snapshot_place){store->folder, "nats://a:1", "blue", "dray.control", NULL};
    fixture_open_with(&store->f, kind->shards);
}

static void store_close(struct store *store)
{
    char file[128];
    fixture_close(&store->f);
    (void)snprintf(file, sizeof(file), "%s/%s", store->folder, DRI_SNAPSHOT_FILE);
    (void)unlink(file);
    assert_int_equal(rmdir(store->folder), 0);
}

/** After each change: what is kept elsewhere is all that there is. */
static void store_settle(struct store *store)
{
    uint64_t revision = store->f.revision;
    char text[256] = "";
    if (!store->kind->is_persistent) {
        return;
    }
    test_ok(dri_snapshot_save(&store->place, store->f.registry, text, sizeof(text)));
    fixture_close(&store->f);
    fixture_open_with(&store->f, store->kind->shards);
    test_ok(dri_snapshot_load(&store->place, store->f.registry, text, sizeof(text)));
    store->f.revision = revision;
}

static enum dray_status add(struct store *store, uint64_t base, const struct spec *spec)
{
    enum dray_status status = fixture_put(&store->f, base, spec);
    store_settle(store);
    return status;
}

static enum dray_status remove_key(struct store *store, const char *key, uint64_t base)
{
    enum dray_status status = fixture_remove(&store->f, key, base);
    store_settle(store);
    return status;
}

/* ---- the contract ---- */

static void an_empty_store_has_nothing(struct store *store)
{
    store_settle(store);
    assert_int_equal(dri_registry_count(store->f.registry), 0);
    assert_string_equal(found(&store->f, "default", "order.create", NULL), "ENOTFOUND");
    test_ok(remove_key(store, "default/order.create@1.0.0", 0)); /* nothing was to be there */
    assert_int_equal(dri_registry_count(store->f.registry), 0);
}

static void what_is_added_is_found_until_it_is_removed(struct store *store)
{
    test_ok(add(store, 0, &order));
    assert_string_equal(found(&store->f, "default", "order.create", NULL),
                        "default/order.create@1.0.0");
    assert_string_equal(found(&store->f, "acme", "order.create", NULL), "ENOTFOUND");
    test_ok(remove_key(store, "default/order.create@1.0.0", 1));
    assert_string_equal(found(&store->f, "default", "order.create", NULL), "ENOTFOUND");
    test_ok(add(store, 0, &order));
    assert_string_equal(found(&store->f, "default", "order.create", "^1"),
                        "default/order.create@1.0.0");
}

static void what_is_there_is_changed_only_by_its_revision(struct store *store)
{
    struct spec other = order;
    other.handler = "other";
    test_ok(add(store, 0, &order));
    test_status(DRAY_ECONFLICT, add(store, 0, &other));
    test_status(DRAY_ECONFLICT, add(store, 2, &other));
    test_status(DRAY_ECONFLICT, remove_key(store, "default/order.create@1.0.0", 2));
    test_ok(add(store, 1, &other));
    const struct dri_route *route =
        dri_registry_find_key(store->f.registry, dray_slice_text("default/order.create@1.0.0"));
    assert_non_null(route);
    assert_true(route->revision == store->f.revision);
    test_slice("other", route->view.handler);
}

static void what_is_no_route_is_refused_and_leaves_what_was(struct store *store)
{
    struct spec bad = order;
    test_ok(add(store, 0, &order));
    bad.name = "";
    test_status(DRAY_EINVALID, add(store, 0, &bad));
    bad.name = "a/b";
    test_status(DRAY_EINVALID, add(store, 0, &bad));
    assert_int_equal(dri_registry_count(store->f.registry), 1);
}

struct listing {
    char text[2048];
};

static void note_key(void *arg, const struct dri_route *route)
{
    struct listing *listing = (struct listing *)arg;
    size_t len = strlen(listing->text);
    (void)snprintf(listing->text + len, sizeof(listing->text) - len, "%s %u\n", route->key,
                   (unsigned)route->revision);
}

static void all_are_listed_in_the_order_of_their_keys(struct store *store)
{
    static const char *const names[] = {"b", "a", "c", "a.a"};
    struct listing listing = {.text = ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct spec spec = {
            .ns = i == 2 ? "acme" : "default", .name = names[i], .version = "1.0.0"};
        test_ok(add(store, 0, &spec));
    }
    struct spec again = {.ns = "default", .name = "a", .version = "1.1.0"};
    test_ok(add(store, 0, &again));
    dri_registry_each(store->f.registry, note_key, &listing);
    assert_string_equal(listing.text, "acme/c@1.0.0 3\ndefault/a.a@1.0.0 4\ndefault/a@1.0.0 2\n"
                                      "default/a@1.1.0 5\ndefault/b@1.0.0 1\n");
}

static void many_names_are_found_by_name_and_by_id(struct store *store)
{
    uint64_t settled = store->f.revision;
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "name%u", i);
        struct spec spec = {.ns = "default", .name = name, .version = "1.0.0"};
        test_ok(fixture_put(&store->f, 0, &spec));
    }
    store_settle(store);
    assert_true(settled < store->f.revision);
    for (unsigned i = 0; i < 300; i++) {
        char name[32], key[64];
        const struct dri_route *route = NULL;
        (void)snprintf(name, sizeof(name), "name%u", i);
        (void)snprintf(key, sizeof(key), "default/name%u@1.0.0", i);
        assert_string_equal(found(&store->f, "default", name, NULL), key);
        struct dri_query query = query_of("default", NULL, NULL);
        query.has_fid = true;
        query.fid = dri_fid(dray_slice_text("default"), dray_slice_text(name),
                            dray_slice_text("1.0.0"), dray_slice_text(""));
        test_ok(dri_registry_pin(store->f.reader, &query, &route));
        assert_string_equal(route->key, key);
        dri_registry_unpin(store->f.reader, route);
    }
}

typedef void contract_fn(struct store *store);

static void each_store(contract_fn *check)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct store store;
        print_message("           %s\n", kinds[i].name);
        store_open(&store, &kinds[i]);
        check(&store);
        store_close(&store);
    }
}

static void check_one(void **state)
{
    contract_fn *const *check = (contract_fn *const *)*state;
    each_store(*check);
}

/* The same changes give the same registry, digest and all. */
static void the_three_stores_come_to_one_digest(void **state)
{
    char digests[3][65];
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct store store;
        store_open(&store, &kinds[i]);
        what_is_added_is_found_until_it_is_removed(&store);
        many_names_are_found_by_name_and_by_id(&store);
        dri_registry_digest(store.f.registry, digests[i]);
        store_close(&store);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_equal(digests[0], digests[2]);
}

#define CONTRACT(name)                                                                             \
    {                                                                                              \
#name, check_one, NULL, NULL, &(contract_fn *)                                             \
        {                                                                                          \
            name                                                                                   \
        }                                                                                          \
    }

int main(void)
{
    struct CMUnitTest tests[] = {
        CONTRACT(an_empty_store_has_nothing),
        CONTRACT(what_is_added_is_found_until_it_is_removed),
        CONTRACT(what_is_there_is_changed_only_by_its_revision),
        CONTRACT(what_is_no_route_is_refused_and_leaves_what_was),
        CONTRACT(all_are_listed_in_the_order_of_their_keys),
        CONTRACT(many_names_are_found_by_name_and_by_id),
        cmocka_unit_test(the_three_stores_come_to_one_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
