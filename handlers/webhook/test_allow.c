/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_allow.c - the allow-list: what it lists, what it does not, and the ways around it that are
 * known.
 *
 * Look-alike hosts, other spellings of an address, and the addresses that an attacker would like to
 * reach.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "allow.h"
#include "support/test.h"

static struct allow *made(const char *list)
{
    struct allow *allow = NULL;
    const char *entry = NULL;

    test_ok(allow_create(list, &allow, &entry));
    return allow;
}

static bool is_address_allowed(const struct allow *allow, const char *host, const char *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, address, &four.sin_addr) == 1) {
        return allow_address(allow, host, (const struct sockaddr *)(const void *)&four);
    }
    assert_int_equal(1, inet_pton(AF_INET6, address, &six.sin6_addr));
    return allow_address(allow, host, (const struct sockaddr *)(const void *)&six);
}

static void an_empty_list_allows_no_host(void **state)
{
    static const char *const lists[] = {"", " ", ",", ", ,\t"};

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct allow *allow = made(lists[i]);

        assert_false(allow_host(allow, "example.com", 443));
        assert_false(allow_host(allow, "", 443));
        allow_destroy(allow);
    }
}

static void a_host_is_listed_with_its_port(void **state)
{
    struct allow *allow = made("hooks.example.com, other.example.com:8443,[::1]:8080,127.0.0.1:9");

    (void)state;
    assert_true(allow_host(allow, "hooks.example.com", 443));
    assert_true(allow_host(allow, "HOOKS.example.COM", 80));
    assert_false(allow_host(allow, "hooks.example.com", 8443));
    assert_true(allow_host(allow, "other.example.com", 8443));
    assert_false(allow_host(allow, "other.example.com", 443));
    assert_true(allow_host(allow, "::1", 8080));
    assert_true(allow_host(allow, "0:0:0:0:0:0:0:1", 8080));
    assert_false(allow_host(allow, "::1", 443));
    assert_true(allow_host(allow, "127.0.0.1", 9));
    assert_false(allow_host(allow, "127.0.0.2", 9));
    assert_false(allow_host(allow, "example.com", 443));
    assert_false(allow_host(allow, "hooks.example.com.evil.net", 443));
    assert_false(allow_host(allow, "xhooks.example.com", 443));
    allow_destroy(allow);
}

static void a_star_stands_for_what_is_below_a_domain(void **state)
{
    struct allow *allow = made("*.example.com");

    (void)state;
    assert_true(allow_host(allow, "a.example.com", 443));
    assert_true(allow_host(allow, "a.b.Example.com", 443));
    assert_false(allow_host(allow, "example.com", 443));
    assert_false(allow_host(allow, ".example.com", 443));
    assert_false(allow_host(allow, "evilexample.com", 443));
    allow_destroy(allow);
}

static void a_network_does_not_list_a_host(void **state)
{
    struct allow *allow = made("10.0.0.0/8");

    (void)state;
    assert_false(allow_host(allow, "10.0.0.1", 443));
    assert_false(allow_host(allow, "", 443));
    allow_destroy(allow);
}

static void entries_that_make_no_sense_are_named(void **state)
{
    static const char *const bad[] = {
        "host:0",      "host:65536",  "host:x",    "*.",         "*",           "a*b.com",
        "10.0.0.0/33", "10.0.0/8",    "::/129",    "10.0.0.0/x", "10.0.0.0/",   "[::1",
        "[::1]x",      "http://host", "user@host", "host/path",  "10.0.0.0/8/", "[]:80",
    };
    struct allow *allow = NULL;
    const char *entry = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char list[64];

        (void)snprintf(list, sizeof(list), "good.example.com, %s", bad[i]);
        entry = NULL;
        test_status(DRAY_EINVALID, allow_create(list, &allow, &entry));
        assert_non_null(entry);
        assert_string_equal(bad[i], entry);
        assert_null(allow);
    }
}

static void a_list_has_an_end(void **state)
{
    const size_t entries = 300;
    char *list = malloc(entries * 3 + 1);
    struct allow *allow = NULL;
    const char *entry = NULL;

    (void)state;
    assert_non_null(list);
    for (size_t i = 0; i < entries; i++) {
        memcpy(list + 3 * i, "ab,", 4);
    }
    test_status(DRAY_EINVALID, allow_create(list, &allow, &entry));
    free(list);
}

static void only_public_addresses_are_allowed_by_themselves(void **state)
{
    static const char *const is_public[] = {"8.8.8.8",        "1.1.1.1",         "172.15.0.1",
                                            "172.32.0.1",     "100.63.0.1",      "2606:4700::1111",
                                            "::ffff:8.8.8.8", "64:ff9b::808:808"};
    static const char *const is_not[] = {
        "127.0.0.1",
        "127.255.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2001::1",
    };
    struct allow *allow = made("host.example.com");

    (void)state;
    for (size_t i = 0; i < sizeof(is_public) / sizeof(is_public[0]); i++) {
        assert_true(is_address_allowed(allow, "host.example.com", is_public[i]));
    }
    for (size_t i = 0; i < sizeof(is_not) / sizeof(is_not[0]); i++) {
        if (is_address_allowed(allow, "host.example.com", is_not[i])) {
            print_error("%s was allowed\n", is_not[i]);
            fail();
        }
    }
    allow_destroy(allow);
}

static void a_private_address_is_allowed_by_its_network_or_by_itself(void **state)
{
    struct allow *allow = made("in.example.com,10.1.0.0/16,fd00:1::/32,127.0.0.1:80,0.0.0.0/31");

    (void)state;
    assert_true(is_address_allowed(allow, "in.example.com", "10.1.255.1"));
    assert_true(is_address_allowed(allow, "in.example.com", "::ffff:10.1.0.1"));
    assert_false(is_address_allowed(allow, "in.example.com", "10.2.0.1"));
    assert_true(is_address_allowed(allow, "in.example.com", "fd00:1::7"));
    assert_false(is_address_allowed(allow, "in.example.com", "fd00:2::7"));
    assert_true(is_address_allowed(allow, "in.example.com", "0.0.0.1"));
    assert_false(is_address_allowed(allow, "in.example.com", "0.0.0.2"));
    /* A name that resolves to an address which is listed as a host is not that host. */
    assert_true(is_address_allowed(allow, "127.0.0.1", "127.0.0.1"));
    assert_false(is_address_allowed(allow, "in.example.com", "127.0.0.1"));
    assert_false(is_address_allowed(allow, "127.0.0.1", "127.0.0.2"));
    allow_destroy(allow);
}

static void other_families_are_not_allowed(void **state)
{
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    struct allow *allow = made("host.example.com,0.0.0.0/0,::/0");

    (void)state;
    assert_false(
        allow_address(allow, "host.example.com", (const struct sockaddr *)(const void *)&local));
    assert_true(is_address_allowed(allow, "host.example.com", "127.0.0.1"));
    allow_destroy(allow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_allows_no_host),
        cmocka_unit_test(a_host_is_listed_with_its_port),
        cmocka_unit_test(a_star_stands_for_what_is_below_a_domain),
        cmocka_unit_test(a_network_does_not_list_a_host),
        cmocka_unit_test(entries_that_make_no_sense_are_named),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(only_public_addresses_are_allowed_by_themselves),
        cmocka_unit_test(a_private_address_is_allowed_by_its_network_or_by_itself),
        cmocka_unit_test(other_families_are_not_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
