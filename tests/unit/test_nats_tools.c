/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "support/test.h"
#include "transport/nats_private.h"

/* What the NATS transport does without a server: settings, JSON, headers, subjects, seeds, streams.
 */

/* --- settings -------------------------------------------------------------------------------- */

static enum dray_status parse(const char *url, const struct dri_option *options, size_t count,
                              struct dri_nats_settings *settings, char *text)
{
    struct dri_transport_config config = {.url = url, .options = options, .options_count = count};
    text[0] = '\0';
    return dri_nats_settings_init(settings, &config, text);
}

static void a_url_names_servers_and_a_login(void **state)
{
    struct dri_nats_settings settings;
    char text[DRI_NATS_TEXT_BYTES];
    (void)state;
    test_ok(
        parse("nats://me:p%40ss%3a1@one:4223,two,nats://[::1]:4224/", NULL, 0, &settings, text));
    assert_int_equal(settings.servers_count, 3);
    assert_string_equal(settings.servers[0].host, "one");
    assert_int_equal(settings.servers[0].port, 4223);
    assert_string_equal(settings.servers[1].host, "two");
    assert_int_equal(settings.servers[1].port, 4222);
    assert_string_equal(settings.servers[2].host, "::1");
    assert_int_equal(settings.servers[2].port, 4224);
    assert_string_equal(settings.user, "me");
    assert_string_equal(settings.password, "p@ss:1");
    dri_nats_settings_fini(&settings);
    test_ok(parse("nats://s3cr3t@one", NULL, 0, &settings, text));
    assert_string_equal(settings.token, "s3cr3t");
    assert_null(settings.user);
    dri_nats_settings_fini(&settings);
}

static void a_url_that_is_none_is_refused_without_its_password(void **state)
{
    static const char *const urls[] = {
        "nats://",          "nats://:4222",     "nats://u:hidden@",     "nats://u:hidden@one:x",
        "nats://one:99999", "nats://[::1",      "nats://[::1]x",        "nats://one:0",
        "nats://one,,two",  "nats://one:4222x", "nats://u:hidden@one:",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct dri_nats_settings settings;
        char text[DRI_NATS_TEXT_BYTES];
        test_status(DRAY_EINVALID, parse(urls[i], NULL, 0, &settings, text));
        assert_non_null(strstr(text, "nats://[user:password@]host:port"));
        assert_null(strstr(text, "hidden"));
    }
    assert_int_equal(dri_mem_live(), 0);
}

static void more_servers_than_fit_are_refused(void **state)
{
    struct dri_nats_settings settings;
    char text[DRI_NATS_TEXT_BYTES], url[256] = "nats://a";
    (void)state;
    for (int i = 0; i < 16; i++) {
        (void)strncat(url, ",b", sizeof(url) - strlen(url) - 1);
    }
    test_status(DRAY_EINVALID, parse(url, NULL, 0, &settings, text));
}

static void an_unknown_option_names_the_nearest(void **state)
{
    static const struct {
        const char *name, *nearest;
    } names[] = {{"cred", "creds"},
                 {"tls_on_old_clients", "tls_on_old_client"},
                 {"passwort", "password"},
                 {"ping_interval", "ping_interval_ms"}};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct dri_nats_settings settings;
        char text[DRI_NATS_TEXT_BYTES], want[64];
        struct dri_option option = {names[i].name, "1"};
        test_status(DRAY_EINVALID, parse("nats://x", &option, 1, &settings, text));
        (void)snprintf(want, sizeof(want), "did you mean \"%s\"", names[i].nearest);
        assert_non_null(strstr(text, want));
    }
}

static void a_value_that_does_not_fit_is_refused(void **state)
{
    static const struct dri_option wrong[] = {
        {"ping_interval_ms", "0"},
        {"ping_interval_ms", "-5"},
        {"ping_interval_ms", "1e3"},
        {"pull_batch", "10001"},
        {"tls", "yes"},
        {"tls_on_old_client", "true"},
        {"pull_batch", ""},
        {"replicas", "9"},
        {"tls_cert", "only.pem"},
        {"ack_wait_ms", "99999999"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dri_nats_settings settings;
        char text[DRI_NATS_TEXT_BYTES];
        test_status(DRAY_EINVALID, parse("nats://x", &wrong[i], 1, &settings, text));
        assert_non_null(strstr(text, wrong[i].name));
    }
    assert_int_equal(dri_mem_live(), 0);
}

static void two_ways_to_log_in_are_refused(void **state)
{
    const struct dri_option options[] = {{"creds", "a"}, {"nkey", "b"}};
    struct dri_nats_settings settings;
    char text[DRI_NATS_TEXT_BYTES];
    (void)state;
    test_status(DRAY_EINVALID, parse("nats://x", options, 2, &settings, text));
    test_status(DRAY_EINVALID, parse("nats://u:p@x", options, 1, &settings, text));
    assert_int_equal(dri_mem_live(), 0);
}

static void settings_without_memory_are_refused_and_leave_nothing(void **state)
{
    const struct dri_option options[] = {{"name", "n"}, {"inbox_prefix", "_INBOX_me"}};
    bool was_ok = false;
    (void)state;
    for (uint64_t n = 1; !was_ok; n++) {
        struct dri_nats_settings settings;
        char text[DRI_NATS_TEXT_BYTES];
        dri_mem_fail_at(n);
        enum dray_status status = parse("nats://u:p@x", options, 2, &settings, text);
        dri_mem_fail_at(0);
        was_ok = status == DRAY_OK;
        if (was_ok) {
            dri_nats_settings_fini(&settings);
        } else {
            assert_int_equal(status, DRAY_ENOMEM);
        }
        assert_int_equal(dri_mem_live(), 0);
        assert_in_range(n, 1, 50);
    }
}

/** docs/reference/nats-options.md, from the table. */
static void write_reference(FILE *file)
{
    struct dri_nats_option_info info;
    size_t at = 0;
    (void)fprintf(file,
                  "<!-- Made from bus/transport/nats_settings.c by tests/unit/test_nats_tools: "
                  "DRAY_TEST_WRITE=1. -->\n"
                  "# Options of the NATS connection\n\n"
                  "Below `nats:` in the configuration, or `--set nats.NAME=VALUE`. An unknown "
                  "name is refused.\n\n"
                  "| option | value | default | meaning |\n|---|---|---|---|\n");
    while (dri_nats_option_next(&at, &info)) {
        (void)fprintf(file, "| `%s` | %s | %s | %s |\n", info.name, info.type, info.otherwise,
                      info.help);
    }
    (void)fprintf(
        file,
        "\n## Not offered\n\n"
        "What the client library could do besides, and why it is not here: verification of the "
        "server cannot be switched off; the library's reconnecting, its buffer for what was not "
        "sent, its "
        "discovery of servers and the shuffling of their list are off, because dray "
        "reconnects by itself to the servers of `bus` and must know what was sent; the "
        "bounds on what waits are off, because dray asks for no more than it can keep; "
        "`no_echo` would change nothing, because dray reads no subject it publishes to but its "
        "own records.\n");
}

static void the_reference_lists_every_option(void **state)
{
    static const char path[] = DRAY_TEST_SOURCE_DIR "/../docs/reference/nats-options.md";
    static char want[16384], have[16384];
    size_t want_len = 0;
    char *made = NULL;
    (void)state;
    FILE *memory = open_memstream(&made, &want_len);
    assert_non_null(memory);
    write_reference(memory);
    assert_int_equal(fclose(memory), 0);
    assert_in_range(want_len, 1, sizeof(want) - 1);
    memcpy(want, made, want_len);
    free(made);
    const char *is_written = getenv("DRAY_TEST_WRITE");
    FILE *file = fopen(path, is_written != NULL ? "we" : "re");
    assert_non_null(file);
    if (is_written != NULL) {
        assert_true(fputs(want, file) >= 0);
    } else {
        have[fread(have, 1, sizeof(have) - 1, file)] = '\0';
        assert_string_equal(have, want);
    }
    assert_int_equal(fclose(file), 0);
}

/* --- json ------------------------------------------------------------------------------------ */

static void a_value_is_found_by_its_path(void **state)
{
    struct dray_slice json = dray_slice_text(
        " { \"a\" : 1 , \"s\":\"x\\u003e\\n\\\"y\\\\\", \"o\":{\"a\":-2,\"deep\":{\"list\":[1, "
        "\"two\",{\"a\":3},[4]]}},\"t\":true,\"n\":null,\"big\":18446744073709551615}");
    struct dray_slice item;
    char text[32];
    size_t at = 0;
    (void)state;
    assert_int_equal(dri_nats_json_uint(json, "a", 9), 1);
    assert_int_equal(dri_nats_json_int(json, "o.a", 9), -2);
    assert_int_equal(dri_nats_json_uint(json, "o.a", 9), 9);
    assert_true(dri_nats_json_uint(json, "big", 0) == UINT64_MAX);
    assert_true(dri_nats_json_bool(json, "t"));
    assert_false(dri_nats_json_bool(json, "n"));
    assert_false(dri_nats_json_bool(json, "missing"));
    assert_true(dri_nats_json_text(json, "s", text, sizeof(text)));
    assert_string_equal(text, "x>\n\"y\\");
    assert_false(dri_nats_json_text(json, "s", text, 5));
    assert_false(dri_nats_json_text(json, "a", text, sizeof(text)));
    struct dray_slice list = dri_nats_json_find(json, "o.deep.list");
    assert_true(dri_nats_json_next(list, &at, &item));
    test_slice("1", item);
    assert_true(dri_nats_json_next(list, &at, &item));
    test_slice("\"two\"", item);
    assert_true(dri_nats_json_next(list, &at, &item));
    assert_int_equal(dri_nats_json_uint(item, "a", 0), 3);
    assert_true(dri_nats_json_next(list, &at, &item));
    test_slice("[4]", item);
    assert_false(dri_nats_json_next(list, &at, &item));
    at = 0;
    assert_false(dri_nats_json_next(dray_slice_text("[ ]"), &at, &item));
    assert_false(dri_nats_json_next(dray_slice_text("null"), &at, &item));
}

static void json_that_is_cut_or_damaged_gives_nothing_wrong(void **state)
{
    static const char whole[] =
        "{\"type\":\"x\",\"error\":{\"code\":404,\"err_code\":10014,\"description\":\"consumer "
        "\\u00e9 not found\"},\"list\":[\"a\",{\"b\":[1,2]}],\"seq\":12}";
    size_t len = sizeof(whole) - 1;
    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        for (int damage = -1; damage < 256; damage += cut == len ? 1 : 300) {
            for (size_t spot = 0; spot < (damage < 0 ? 1 : len); spot++) {
                uint8_t *bytes = malloc(cut + 1); /* exact: the sanitizer sees a read past it */
                assert_non_null(bytes);
                memcpy(bytes, whole, cut);
                if (damage >= 0) {
                    bytes[spot] = (uint8_t)damage;
                }
                struct dray_slice json = dray_slice_of(bytes, cut), item;
                char text[64];
                size_t at = 0;
                (void)dri_nats_json_text(json, "error.description", text, sizeof(text));
                assert_true(strlen(text) < sizeof(text));
                (void)dri_nats_json_uint(json, "seq", 0);
                struct dray_slice list = dri_nats_json_find(json, "list");
                for (int i = 0; dri_nats_json_next(list, &at, &item); i++) {
                    assert_in_range(i, 0, 64);
                    assert_true(item.len > 0);
                }
                free(bytes);
            }
        }
    }
}

static void a_text_is_quoted_and_read_back(void **state)
{
    char quoted[64], text[64];
    const char *wild = "a\"b\\c\x01>\n";
    (void)state;
    assert_true(dri_nats_json_quote(wild, quoted, sizeof(quoted)));
    assert_string_equal(quoted, "\"a\\\"b\\\\c\\u0001>\\u000a\"");
    assert_true(dri_nats_json_unescape(dray_slice_text(quoted), text, sizeof(text)));
    assert_string_equal(text, wild);
    assert_false(dri_nats_json_quote("a text that is too long", quoted, 10));
}

/* --- headers --------------------------------------------------------------------------------- */

static size_t flat(uint8_t *put, size_t len, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    put[len] = (uint8_t)name_len;
    put[len + 1] = (uint8_t)(name_len >> 8);
    memcpy(put + len + 2, name, name_len + 1);
    for (size_t i = 0; i < 4; i++) {
        put[len + 2 + name_len + i] = (uint8_t)(value_len >> (8 * i));
    }
    memcpy(put + len + 6 + name_len, value, value_len + 1);
    return len + 6 + name_len + value_len;
}

static void a_header_block_is_clean_and_carries_instructions_renamed(void **state)
{
    struct dri_nats_arena arena = {NULL};
    uint8_t bytes[512];
    struct dray_slice block;
    (void)state;
    size_t len = flat(bytes, 0, "Nats-Expected-Stream", "S");
    len = flat(bytes, len, "x y:z", "one\r\ntwo");
    len = flat(bytes, len, "dray-key", "old");
    len = flat(bytes, len, "empty", "");
    struct dri_publish publish = {.key = dray_slice_of("\x01\x02\x03", 3),
                                  .headers = dray_slice_of(bytes, len),
                                  .dedup_id = dray_slice_text("r:S:7")};
    test_ok(dri_nats_header_encode(&publish, &arena, &block));
    test_slice("Nats-Msg-Id: r:S:7\r\n"
               "dray-key: AQID\r\n"
               "dray-key-encoding: base64\r\n"
               "dray-orig-Nats-Expected-Stream: S\r\n"
               "x_y_z: one  two\r\n"
               "empty: \r\n",
               block);
    dri_nats_arena_fini(&arena);
    assert_int_equal(dri_mem_live(), 0);
}

static void damaged_flat_headers_end_where_they_are_damaged(void **state)
{
    struct dri_nats_arena arena = {NULL};
    uint8_t bytes[128];
    (void)state;
    size_t len = flat(bytes, 0, "first", "1");
    size_t first = len;
    len = flat(bytes, len, "second", "22");
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        struct dray_slice block;
        struct dri_publish publish = {.headers = dray_slice_of(exact, cut)};
        test_ok(dri_nats_header_encode(&publish, &arena, &block));
        if (cut < first) {
            assert_true(dray_slice_is_absent(block));
        } else {
            test_slice("first: 1\r\n", block);
        }
        free(exact);
        dri_nats_arena_reset(&arena);
    }
    dri_nats_arena_fini(&arena);
}

/* --- subjects and streams -------------------------------------------------------------------- */

static void a_pattern_covers_what_it_matches_and_no_more(void **state)
{
    static const struct {
        const char *pattern, *subject;
        bool covers;
    } cases[] = {
        {"a", "a", true},        {"a", "b", false},      {"a.>", "a", false},
        {"a.>", "a.b", true},    {"a.>", "a.b.c", true}, {"a.*", "a.b", true},
        {"a.*", "a.b.c", false}, {"a.*", "a.>", false},  {"a.>", "a.>", true},
        {"a.>", "a.*", true},    {"a.*", "a.*", true},   {"a.b", "a.*", false},
        {">", "a.b", true},      {"*.b", "a.b", true},   {"*", "a.b", false},
        {"ab", "a", false},      {"a", "ab", false},     {"a.b", "a.b.c", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(dri_nats_subject_covers(cases[i].pattern, cases[i].subject),
                         cases[i].covers);
    }
}

static void only_a_concrete_subject_can_be_published_to(void **state)
{
    static const char *const wrong[] = {"",    "a b", "a.",   ".a",   "a..b",  "a.*",
                                        "a.>", "*",   "a\nb", "a\tb", "a\x7f", "a\r\nPUB x 0"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(dri_nats_subject_is_publishable(dray_slice_text(wrong[i])));
    }
    assert_true(dri_nats_subject_is_publishable(dray_slice_text("a.b-c_D.9$")));
    assert_true(dri_nats_subject_is_publishable(dray_slice_text("\xc3\xa9.x")));
    assert_false(dri_nats_subject_is_publishable(dray_slice_of("a\0b", 3)));
}

static void topics_get_the_streams_of_the_documentation(void **state)
{
    static const struct {
        const char *topic;
        enum dri_topic_use use;
        const char *stream, *first, *second;
    } cases[] = {
        {"commands", DRI_USE_COMMANDS, "COMMANDS", "commands", "commands.>"},
        {"results", DRI_USE_RESULTS, "RESULTS", "results", "results.>"},
        {"dlq.orders.commands", DRI_USE_DEAD_LETTERS, "DLQ", "dlq.>", NULL},
        {"replay.orders.commands", DRI_USE_REPLAY, "REPLAY", "replay.>", NULL},
        {"park.orders", DRI_USE_PARK, "PARK", "park.>", NULL},
        {"dray.control", DRI_USE_CONTROL, "DRAY_CONTROL", "dray.control", NULL},
        {"dray.status", DRI_USE_STATUS, "DRAY_STATUS", "dray.status.>", NULL},
        {"orders.eu.new", DRI_USE_COMMANDS, "ORDERS_EU_NEW", "orders.eu.new", "orders.eu.new.>"},
        {"orders.>", DRI_USE_COMMANDS, "ORDERS", "orders.>", NULL},
        {"letters", DRI_USE_DEAD_LETTERS, "LETTERS", "letters", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dri_nats_stream_plan plan;
        char text[DRI_NATS_TEXT_BYTES];
        struct dri_topic topic = {cases[i].topic, cases[i].use};
        test_ok(dri_nats_topic_plan(&topic, &plan, text));
        assert_string_equal(plan.name, cases[i].stream);
        assert_string_equal(plan.subjects[0], cases[i].first);
        assert_int_equal(plan.subjects_count, cases[i].second == NULL ? 1 : 2);
        if (cases[i].second != NULL) {
            assert_string_equal(plan.subjects[1], cases[i].second);
        }
        assert_int_equal(plan.is_last_per_subject, cases[i].use == DRI_USE_STATUS);
    }
    struct dri_nats_stream_plan plan;
    char text[DRI_NATS_TEXT_BYTES];
    struct dri_topic wrong = {"not a subject", DRI_USE_COMMANDS};
    test_status(DRAY_EINVALID, dri_nats_topic_plan(&wrong, &plan, text));
    assert_non_null(strstr(text, "not a subject"));
}

/* --- seeds ----------------------------------------------------------------------------------- */

static enum dray_status public_of(const char *content, char *ret_public, char *text)
{
    char path[] = "/tmp/dray-seed-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
    enum dray_status status = dri_nats_seed_public(path, ret_public, text);
    (void)unlink(path);
    return status;
}

static void a_seed_gives_its_public_key(void **state)
{
    char key[64], text[DRI_NATS_TEXT_BYTES];
    (void)state;
    /* The pair of the documentation of nats-server. */
    test_ok(public_of("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n", key, text));
    assert_string_equal(key, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
    test_ok(public_of("-----BEGIN USER NKEY SEED-----\n"
                      "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n"
                      "------END USER NKEY SEED------\n",
                      key, text));
    assert_string_equal(key, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
}

static void what_is_no_seed_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3WY",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU",
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VYAAAA",
        "Some text",
    };
    char key[64], text[DRI_NATS_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        test_status(DRAY_EINVALID, public_of(wrong[i], key, text));
        assert_non_null(strstr(text, "no NKey seed"));
    }
    test_status(DRAY_EIO, dri_nats_seed_public("/nowhere/at/all", key, text));
    assert_non_null(strstr(text, "/nowhere/at/all"));
}

/* --- claims ----------------------------------------------------------------------------------- */

static bool holds(const char *value, size_t mark_at, size_t mark_len, const char *json)
{
    struct dri_publish publish = {.value = dray_slice_text(value), .dedup_from_ms = 1700000000500};
    publish.dedup_mark = dray_slice_of(publish.value.at + mark_at, mark_len);
    struct dri_nats_claim claim = dri_nats_claim_of(&publish);
    return dri_nats_claim_holds(&claim, dray_slice_text(json));
}

#define SHOWN(time, data)                                                                          \
    "{\"type\":\"x\",\"message\":{\"subject\":\"results\",\"seq\":5,\"data\":\"" data              \
    "\",\"time\":\"" time "\"}}"

static void a_record_is_ours_when_it_is_late_enough_and_has_our_mark(void **state)
{
    /* aGVsbG8gd29ybGQ= is "hello world"; 1700000000500 is 22:13:20.5 */
    (void)state;
    assert_true(holds("hello world", 0, 11, SHOWN("2023-11-14T22:13:20.5Z", "aGVsbG8gd29ybGQ=")));
    assert_true(
        holds("HELLO world", 6, 5, SHOWN("2023-11-14T22:13:20.500000001Z", "aGVsbG8gd29ybGQ=")));
    assert_true(holds("hello", 0, 5, SHOWN("2024-01-01T00:00:00Z", "aGVsbG8gd29ybGQ=")));
    assert_false(
        holds("hello world", 0, 11, SHOWN("2023-11-14T22:13:20.499999999Z", "aGVsbG8gd29ybGQ=")));
    assert_false(holds("hello WORLD", 6, 5, SHOWN("2024-01-01T00:00:00Z", "aGVsbG8gd29ybGQ=")));
    assert_false(holds("hello world", 0, 11, SHOWN("2024-01-01T00:00:00Z", "aGVsbG8=")));
    assert_false(holds("hello", 0, 5, SHOWN("2024-01-01T00:00:00Z", "a*VsbG8=")));
    assert_false(holds("hello", 0, 5, SHOWN("no time", "aGVsbG8=")));
    assert_false(holds("hello", 0, 5, "{}"));
    assert_false(holds("hello", 0, 5, "{\"message\":{\"time\":\"2024-01-01T00:00:00Z\"}}"));
}

static void without_a_mark_the_time_alone_decides(void **state)
{
    struct dri_publish publish = {.value = dray_slice_text(""), .dedup_from_ms = 1700000000500};
    (void)state;
    struct dri_nats_claim claim = dri_nats_claim_of(&publish);
    assert_true(dri_nats_claim_holds(
        &claim, dray_slice_text("{\"message\":{\"time\":\"2023-11-14T22:13:20.5Z\"}}")));
    assert_false(dri_nats_claim_holds(
        &claim, dray_slice_text("{\"message\":{\"time\":\"2023-11-14T22:13:20.4Z\"}}")));
}

static void a_mark_counts_as_far_as_it_is_kept(void **state)
{
    static uint8_t value[1000];
    static char json[2000];
    (void)state;
    memset(value, 'a', sizeof(value));
    struct dri_publish publish = {.value = dray_slice_of(value, sizeof(value)), .dedup_from_ms = 1};
    publish.dedup_mark = publish.value;
    struct dri_nats_claim claim = dri_nats_claim_of(&publish);
    assert_int_equal(claim.mark_at + claim.mark_len, DRI_NATS_MARK_MAX);
    size_t len = (size_t)snprintf(json, sizeof(json), "%s",
                                  "{\"message\":{\"time\":\"2023-11-14T22:13:20Z\",\"data\":\"");
    for (size_t i = 0; i < 333; i++) {
        len += (size_t)snprintf(json + len, sizeof(json) - len, "YWFh");
    }
    (void)snprintf(json + len, sizeof(json) - len, "YQ==\"}}");
    assert_true(dri_nats_claim_holds(&claim, dray_slice_text(json)));
    publish.dedup_mark = dray_slice_of(value + 600, 100); /* beyond what is kept */
    claim = dri_nats_claim_of(&publish);
    assert_int_equal(claim.mark_len, 0);
}

/* --- leases ----------------------------------------------------------------------------------- */

static void a_lease_record_is_written_and_read_back(void **state)
{
    static const char *const wrong[] = {
        "",
        "held",
        "held me~1 15000 1 2 3",
        "held me~1 15000 1 2 3 2026-01-01T00:00:00Z more",
        "hold me~1 15000 1 2 3 -",
        "held me~1 many 1 2 3 -",
    };
    char text[DRI_NATS_RECORD_BYTES];
    struct dri_nats_record record = {.is_held = true,
                                     .owner = "w-1~ABC",
                                     .lease_ms = 15000,
                                     .nonce = 7,
                                     .consumer = 42,
                                     .floor = UINT64_C(1) << 60,
                                     .created = "2026-01-01T00:00:00.123456789Z"},
                           back;
    (void)state;
    dri_nats_record_format(&record, text);
    memset(&back, 0xff, sizeof(back));
    assert_true(dri_nats_record_parse(dray_slice_text(text), &back));
    assert_true(back.is_held);
    assert_string_equal(back.owner, record.owner);
    assert_int_equal(back.lease_ms, 15000);
    assert_int_equal(back.nonce, 7);
    assert_int_equal(back.consumer, 42);
    assert_int_equal(back.floor, record.floor);
    assert_string_equal(back.created, record.created);
    assert_true(dri_nats_record_parse(dray_slice_text("free - 0 0 0 0 -"), &back));
    assert_false(back.is_held);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(dri_nats_record_parse(dray_slice_text(wrong[i]), &back));
    }
}

static void shares_differ_by_one_and_make_up_the_whole(void **state)
{
    (void)state;
    for (uint32_t partitions = 2; partitions <= 64; partitions++) {
        for (uint32_t members = 1; members <= 70; members++) {
            uint32_t sum = 0, least = UINT32_MAX, most = 0;
            for (uint32_t place = 0; place < members; place++) {
                uint32_t share = dri_nats_lease_share(partitions, members, place);
                sum += share;
                least = share < least ? share : least;
                most = share > most ? share : most;
            }
            assert_int_equal(sum, partitions);
            assert_true(most - least <= 1);
        }
    }
}

/* --- the table of transports ------------------------------------------------------------------ */

static void what_is_wrong_in_itself_is_found_without_a_broker(void **state)
{
    static const struct dri_option two_ways[] = {{"creds", "a"}, {"nkey", "b"}};
    struct dri_transport_config config = {
        .url = "nats://h:1", .options = two_ways, .options_count = 2};
    char text[256] = "";
    (void)state;
    test_status(DRAY_EINVALID, dri_nats_ops.check_config(&config, text, sizeof(text)));
    assert_non_null(strstr(text, "give one of user, token, creds and nkey"));
    config.options_count = 1;
    test_ok(dri_nats_ops.check_config(&config, text, sizeof(text)));
    config.url = "nats://";
    test_status(DRAY_EINVALID, dri_nats_ops.check_config(&config, text, sizeof(text)));

    const struct dri_option good = {"pull_batch", "5"};
    const struct dri_option wrong = {"pull_batch", "some"};
    const struct dri_option unknown = {"pull_bach", "5"};
    test_ok(dri_transport_check_option("nats", &good, text, sizeof(text)));
    test_status(DRAY_EINVALID, dri_transport_check_option("nats", &wrong, text, sizeof(text)));
    test_status(DRAY_ENOTFOUND, dri_transport_check_option("nats", &unknown, text, sizeof(text)));
    assert_non_null(strstr(text, "did you mean \"pull_batch\"?"));
    test_status(DRAY_ENOTFOUND, dri_transport_check_option("kafka", &good, text, sizeof(text)));
}

static void a_bus_is_found_by_its_scheme(void **state)
{
    static const char *const wrong[] = {"redis://x", "nats", "nats:x", "", "://", "natsx://a"};
    const struct dri_transport_ops *ops = NULL;
    char text[256];
    (void)state;
    test_ok(dri_transport_for("nats://127.0.0.1", &ops, text, sizeof(text)));
    assert_ptr_equal(ops, &dri_nats_ops);
    test_ok(dri_transport_for("kafka://127.0.0.1", &ops, text, sizeof(text)));
    assert_ptr_equal(ops, &dri_kafka_ops);
    test_ok(dri_transport_for("sim://x", &ops, text, sizeof(text)));
    assert_ptr_equal(ops, &dri_sim_ops);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        test_status(DRAY_EINVALID, dri_transport_for(wrong[i], &ops, text, sizeof(text)));
        assert_non_null(strstr(text, "begins with kafka:// or nats://"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_names_servers_and_a_login),
        cmocka_unit_test(a_url_that_is_none_is_refused_without_its_password),
        cmocka_unit_test(more_servers_than_fit_are_refused),
        cmocka_unit_test(an_unknown_option_names_the_nearest),
        cmocka_unit_test(a_value_that_does_not_fit_is_refused),
        cmocka_unit_test(two_ways_to_log_in_are_refused),
        cmocka_unit_test(settings_without_memory_are_refused_and_leave_nothing),
        cmocka_unit_test(the_reference_lists_every_option),
        cmocka_unit_test(a_value_is_found_by_its_path),
        cmocka_unit_test(json_that_is_cut_or_damaged_gives_nothing_wrong),
        cmocka_unit_test(a_text_is_quoted_and_read_back),
        cmocka_unit_test(a_header_block_is_clean_and_carries_instructions_renamed),
        cmocka_unit_test(damaged_flat_headers_end_where_they_are_damaged),
        cmocka_unit_test(a_pattern_covers_what_it_matches_and_no_more),
        cmocka_unit_test(only_a_concrete_subject_can_be_published_to),
        cmocka_unit_test(topics_get_the_streams_of_the_documentation),
        cmocka_unit_test(a_seed_gives_its_public_key),
        cmocka_unit_test(what_is_no_seed_is_refused),
        cmocka_unit_test(a_record_is_ours_when_it_is_late_enough_and_has_our_mark),
        cmocka_unit_test(without_a_mark_the_time_alone_decides),
        cmocka_unit_test(a_mark_counts_as_far_as_it_is_kept),
        cmocka_unit_test(a_lease_record_is_written_and_read_back),
        cmocka_unit_test(shares_differ_by_one_and_make_up_the_whole),
        cmocka_unit_test(what_is_wrong_in_itself_is_found_without_a_broker),
        cmocka_unit_test(a_bus_is_found_by_its_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
