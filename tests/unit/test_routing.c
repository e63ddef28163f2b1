/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "registry_fixture.h"
#include "wire/control.h"

/* test_routing.c - what a look-up in the registry finds, against docs/guide/routing.md.
 *
 * The model below knows nothing of the registry: it walks a list of routes and does what each row
 * of the guide's table says, one after the other. Sets of routes and commands are generated; every
 * command is asked of both. DRAY_ROUTING_SETS says how many sets; 500 commands each.
 */

#define COUNT(rows)  (sizeof(rows) / sizeof((rows)[0]))
#define SET_MAX      24u
#define COMMANDS     500u
#define SETS_DEFAULT 4000u
#define TAGS         3u
#define NOT_FOUND    (-1)
#define MISMATCH     (-2)

/* A namespace and a name that together are the text of another namespace and name, too. */
static const char *const namespaces[] = {"default", "eu", "default.a"};
static const char *const names[] = {"b", "a.b", "a"};
static const char *const values[] = {NULL, "1", "2", "*"};
static const char *const signatures[] = {
    NULL,
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

struct number {
    unsigned major, minor, patch;
    unsigned pre; /* 0: a release, else "-N" */
};

struct model_route {
    unsigned ns, name;
    struct number version;
    unsigned tags[TAGS]; /* in values */
    unsigned weight;
    enum dri_route_state state;
    unsigned signature;
    char key[128];
    uint64_t fid;
};

enum wanted_kind {
    ANY,
    EXACT,
    CARET,
    TILDE,
    AT_LEAST,
    BELOW,
    KINDS
};

struct model_command {
    unsigned ns, name;
    bool has_ns, has_name;
    enum wanted_kind kind;
    struct number version;
    unsigned tags[TAGS];
    bool has_fid;
    uint64_t fid;
    uint64_t key_hash;
};

/* ---- the model ---- */

static int compare_numbers(const struct number *a, const struct number *b)
{
    const unsigned x[] = {a->major, a->minor, a->patch, a->pre == 0 ? 1000 : a->pre};
    const unsigned y[] = {b->major, b->minor, b->patch, b->pre == 0 ? 1000 : b->pre};
    for (size_t i = 0; i < COUNT(x); i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

static bool is_same_triple(const struct number *a, const struct number *b)
{
    return a->major == b->major && a->minor == b->minor && a->patch == b->patch;
}

/** Rows "exact" and "range": what is asked for is never 0.x. */
static bool model_version_fits(const struct model_command *command, const struct number *version)
{
    const struct number *wanted = &command->version;
    int place = compare_numbers(version, wanted);
    switch (command->kind) {
    case ANY:
        return true;
    case EXACT:
        return place == 0;
    case BELOW:
        return place < 0 &&
               (version->pre == 0 || (wanted->pre != 0 && is_same_triple(version, wanted)));
    default:
        break;
    }
    if (place < 0 ||
        (version->pre != 0 && (wanted->pre == 0 || !is_same_triple(version, wanted)))) {
        return false;
    }
    if (command->kind == CARET) {
        return version->major == wanted->major;
    }
    return command->kind != TILDE ||
           (version->major == wanted->major && version->minor == wanted->minor);
}

/** Row "tags": -1: does not fit, else how well; an equal value is more than any number of "*". */
static int model_tags_fit(const struct model_command *command, const struct model_route *route)
{
    int points = 0;
    for (size_t i = 0; i < TAGS; i++) {
        const char *wanted = values[route->tags[i]];
        const char *has = values[command->tags[i]];
        if (wanted == NULL) {
            continue;
        }
        if (has == NULL || (strcmp(wanted, "*") != 0 && strcmp(wanted, has) != 0)) {
            return -1;
        }
        points += strcmp(wanted, "*") == 0 ? 1 : 100;
    }
    return points;
}

/** 0..99, as the guide gives it. */
static unsigned model_place(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(13787848793156543929);
    x ^= x >> 27;
    x *= UINT64_C(10723151780598845931);
    x ^= x >> 31;
    return (unsigned)(x % 100);
}

/** Whether a comes before b by the rows "stable", "release", "state" and "highest". */
static bool model_is_before(const struct model_command *command, const struct model_route *a,
                            const struct model_route *b)
{
    if ((a->weight == 0) != (b->weight == 0)) {
        return a->weight == 0;
    }
    if (command->kind == ANY && (a->version.pre == 0) != (b->version.pre == 0)) {
        return a->version.pre == 0;
    }
    if (a->state != b->state) {
        return a->state == DRI_ROUTE_ACTIVE ||
               (a->state == DRI_ROUTE_PAUSED && b->state == DRI_ROUTE_DRAINING);
    }
    return compare_numbers(&a->version, &b->version) > 0;
}

static int model_choose(const struct model_command *command, const struct model_route *routes,
                        size_t count)
{
    int best = -1, found = MISMATCH;
    unsigned taken = 0, place = model_place(command->key_hash);
    for (size_t i = 0; i < count; i++) {
        int points = routes[i].ns == command->ns && routes[i].name == command->name &&
                             model_version_fits(command, &routes[i].version)
                         ? model_tags_fit(command, &routes[i])
                         : -1;
        best = points > best ? points : best;
    }
    for (size_t i = 0; i < count; i++) { /* the highest version is first */
        const struct model_route *route = &routes[i];
        if (route->ns != command->ns || route->name != command->name ||
            !model_version_fits(command, &route->version) || best < 0 ||
            model_tags_fit(command, route) != best) {
            continue;
        }
        if (route->weight != 0 && route->state == DRI_ROUTE_ACTIVE) {
            taken += route->weight;
            if (place < taken) {
                return (int)i;
            }
        }
        if (found < 0 || model_is_before(command, route, &routes[found])) {
            found = (int)i;
        }
    }
    return found;
}

static int model_find(const struct model_command *command, const struct model_route *routes,
                      size_t count)
{
    bool is_known = false;
    for (size_t i = 0; i < count; i++) {
        const struct model_route *route = &routes[i];
        is_known = is_known ||
                   (command->has_name && route->ns == command->ns && route->name == command->name);
        if (command->has_fid && route->ns == command->ns && route->fid == command->fid) {
            bool fits = (!command->has_name || route->name == command->name) &&
                        model_version_fits(command, &route->version);
            return fits ? (int)i : MISMATCH;
        }
    }
    if (!is_known) {
        return NOT_FOUND;
    }
    return command->has_fid ? MISMATCH : model_choose(command, routes, count);
}

/* ---- what is generated ---- */

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random_state >> 33) % n);
}

static struct number random_number(void)
{
    return (struct number){.major = 1 + random_below(2),
                           .minor = random_below(3),
                           .patch = random_below(2),
                           .pre = random_below(4) == 0 ? 1 + random_below(11) : 0};
}

static void number_text(const struct number *number, char text[64])
{
    int len = snprintf(text, 64, "%u.%u.%u", number->major, number->minor, number->patch);
    if (number->pre != 0) {
        (void)snprintf(text + len, 64 - (size_t)len, "-%u", number->pre);
    }
}

static struct dray_slice tags_of(const unsigned tags[TAGS], uint8_t buffer[64])
{
    size_t at = 1;
    buffer[0] = 0x80;
    for (unsigned i = 0; i < TAGS; i++) {
        if (tags[i] != 0) {
            buffer[0]++;
            buffer[at++] = 0xa1;
            buffer[at++] = (uint8_t)('a' + i);
            buffer[at++] = 0xa1;
            buffer[at++] = (uint8_t)values[tags[i]][0];
        }
    }
    return dray_slice_of(buffer, at);
}

static struct model_route random_route(void)
{
    struct model_route route = {
        .ns = random_below(COUNT(namespaces)),
        .name = random_below(COUNT(names)),
        .version = random_number(),
        .weight = random_below(4) == 0 ? 1 + random_below(60) : 0,
        .state = random_below(3) == 0 ? (enum dri_route_state)random_below(3) : DRI_ROUTE_ACTIVE,
        .signature = random_below(2) * random_below(COUNT(signatures)),
    };
    for (size_t i = 0; i < TAGS; i++) {
        route.tags[i] = random_below(3) == 0 ? random_below(COUNT(values)) : 0;
    }
    char version[64];
    number_text(&route.version, version);
    (void)snprintf(route.key, sizeof(route.key), "%s/%s@%s", namespaces[route.ns],
                   names[route.name], version);
    return route;
}

static int compare_routes(const void *a, const void *b)
{
    return compare_numbers(&((const struct model_route *)b)->version,
                           &((const struct model_route *)a)->version);
}

/** Keys that are not told apart by a function id: the second one is refused. */
static bool model_has_fid(const struct model_route *routes, size_t count, uint64_t fid)
{
    for (size_t i = 0; i < count; i++) {
        if (routes[i].fid == fid) {
            return true;
        }
    }
    return false;
}

/** Puts a set into an empty registry; the list for the model is in falling order of versions. */
static size_t put_routes(struct fixture *f, struct model_route routes[SET_MAX])
{
    size_t want = 1 + random_below(SET_MAX), count = 0;
    for (size_t i = 0; i < want; i++) {
        struct model_route route = random_route();
        char version[64];
        uint8_t bytes[ROUTE_BYTES], tags[64];
        size_t len = 0;
        if (dri_registry_find_key(f->registry, dray_slice_text(route.key)) != NULL) {
            continue;
        }
        number_text(&route.version, version);
        const struct dri_route_view view = {
            .ns = dray_slice_text(namespaces[route.ns]),
            .name = dray_slice_text(names[route.name]),
            .version = dray_slice_text(version),
            .module = dray_slice_text("m.so"),
            .handler = dray_slice_text("h"),
            .signature = dray_slice_text(signatures[route.signature]),
            .tags = tags_of(route.tags, tags),
            .weight = route.weight,
            .state = route.state,
        };
        test_ok(dri_route_encode(&view, bytes, sizeof(bytes), &len));
        route.fid =
            dri_fid(view.ns, view.name, view.version,
                    dray_slice_text(route.signature == 0 ? "" : signatures[route.signature]));
        enum dray_status want_status =
            model_has_fid(routes, count, route.fid) ? DRAY_EINVALID : DRAY_OK;
        test_status(want_status,
                    dri_registry_put(f->registry, 0, ++f->revision, dray_slice_of(bytes, len), NULL,
                                     f->text, sizeof(f->text)));
        if (want_status != DRAY_OK) {
            continue;
        }
        routes[count++] = route;
    }
    qsort(routes, count, sizeof(routes[0]), compare_routes);
    return count;
}

static struct model_command random_command(const struct model_route *routes, size_t count)
{
    const struct model_route *near = &routes[random_below((unsigned)count)];
    struct model_command command = {
        .ns = random_below(4) == 0 ? random_below(COUNT(namespaces)) : near->ns,
        .name = random_below(4) == 0 ? random_below(COUNT(names)) : near->name,
        .has_name = true,
        .kind = (enum wanted_kind)(random_below(2) * random_below(KINDS)),
        .version = random_below(2) == 0 ? near->version : random_number(),
        .key_hash = (uint64_t)random_below(1u << 30) << 32 | random_below(1u << 30),
        .has_fid = random_below(3) == 0,
        .fid = random_below(8) == 0 ? near->fid + 1 : near->fid,
    };
    for (size_t i = 0; i < TAGS; i++) {
        command.tags[i] = random_below(2) == 0 ? near->tags[i] : random_below(COUNT(values));
    }
    command.has_ns = command.ns != 0 || random_below(2) == 0; /* absent: "default" */
    command.has_name = !command.has_fid || random_below(2) == 0;
    return command;
}

static const char *asked(struct fixture *f, const struct model_command *command)
{
    static const char *const forms[KINDS] = {"", "%s", "^%s", "~%s", ">=%s", "<%s"};
    char version[64], wanted[80];
    uint8_t tags[64];
    struct dri_query query = {
        .ns = dray_slice_text(command->has_ns ? namespaces[command->ns] : NULL),
        .name = dray_slice_text(command->has_name ? names[command->name] : NULL),
        .tags = tags_of(command->tags, tags),
        .fid = command->fid,
        .has_fid = command->has_fid,
        .key_hash = command->key_hash,
    };
    if (command->kind != ANY) {
        const char *form = forms[command->kind];
        size_t before = strcspn(form, "%");
        number_text(&command->version, version);
        (void)snprintf(wanted, sizeof(wanted), "%.*s%s", (int)before, form, version);
        query.version = dray_slice_text(wanted);
    }
    const struct dri_route *route = NULL;
    enum dray_status status = dri_registry_pin(f->reader, &query, &route);
    if (status != DRAY_OK) {
        return dray_status_name(status);
    }
    dri_registry_unpin(f->reader, route);
    return route->key;
}

static void fail_with(const struct model_route *routes, size_t count,
                      const struct model_command *command, const char *want, const char *got)
{
    char version[64];
    number_text(&command->version, version);
    for (size_t i = 0; i < count; i++) {
        print_message("%s tags %u%u%u weight %u state %u\n", routes[i].key, routes[i].tags[0],
                      routes[i].tags[1], routes[i].tags[2], routes[i].weight, routes[i].state);
    }
    fail_msg("%s/%s kind %u %s tags %u%u%u fid %d: %s, and the table says %s",
             namespaces[command->ns], command->has_name ? names[command->name] : "(none)",
             command->kind, version, command->tags[0], command->tags[1], command->tags[2],
             command->has_fid, got, want);
}

static void every_command_goes_where_the_table_says(void **state)
{
    (void)state;
    const char *text = getenv("DRAY_ROUTING_SETS");
    unsigned sets = text == NULL ? SETS_DEFAULT : (unsigned)strtoul(text, NULL, 10);
    unsigned found = 0, missed = 0, refused = 0, by_fid = 0;
    random_state = 5;
    for (unsigned set = 0; set < sets; set++) {
        static struct model_route routes[SET_MAX];
        struct fixture f;
        fixture_open(&f);
        size_t count = put_routes(&f, routes);
        DRI_ASSERT(count != 0);
        for (unsigned i = 0; i < COMMANDS; i++) {
            struct model_command command = random_command(routes, count);
            int want = model_find(&command, routes, count);
            const char *want_key = want >= 0           ? routes[want].key
                                   : want == NOT_FOUND ? "ENOTFOUND"
                                                       : "ECONFLICT";
            const char *got = asked(&f, &command);
            if (strcmp(got, want_key) != 0) {
                fail_with(routes, count, &command, want_key, got);
            }
            found += want >= 0;
            missed += want == NOT_FOUND;
            refused += want == MISMATCH;
            by_fid += want >= 0 && command.has_fid;
        }
        fixture_close(&f);
    }
    print_message("%u commands found a route (%u by function id), %u none, %u were refused\n",
                  found, by_fid, missed, refused);
    assert_true(found > sets * 150 && by_fid > sets * 30 && missed > sets * 5 &&
                refused > sets * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_goes_where_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
