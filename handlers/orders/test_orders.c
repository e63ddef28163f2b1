/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_orders.c - order.create by the test kit: sums against the schoolbook, and every answer that
 * is no.
 *
 * The prices are checked twice: a few by hand, and some hundred orders against sums that the test
 * makes for itself.
 */

#include <stdio.h>
#include <stdlib.h>

#include "support/handler.h"

#define MODULE DRAY_TEST_MODULE_DIR "/orders.so"

static int setup(void **state)
{
    struct dray_test_host *host = NULL;

    check_env("DRAY_ORDERS_TOTAL_CENTS_MAX", NULL);
    if (dray_test_host_load(MODULE, &host) != DRAY_OK) {
        return -1;
    }
    *state = host;
    return 0;
}

static int teardown(void **state)
{
    dray_test_host_close(*state);
    return 0;
}

#define ITEM(sku, quantity, cents)                                                                 \
    "{\"sku\":\"" sku "\",\"quantity\":" #quantity ",\"unit_price_cents\":" #cents "}"
#define ORDER(items, rest)                                                                         \
    "{\"customer\":\"ada\",\"currency\":\"EUR\",\"items\":[" items "]" rest "}"

static void an_order_is_priced_in_whole_cents(void **state)
{
    check_gives(*state,
                ORDER(ITEM("tea", 3, 250) "," ITEM("cup", 1, 999),
                      ",\"discount_percent\":10,\"tax_basis_points\":1900"),
                "{\"order\":\"000102030405060708090a0b0c0d0e0f\",\"customer\":\"ada\","
                "\"currency\":\"EUR\",\"lines\":["
                "{\"sku\":\"tea\",\"quantity\":3,\"total_cents\":750},"
                "{\"sku\":\"cup\",\"quantity\":1,\"total_cents\":999}],"
                "\"subtotal_cents\":1749,\"discount_cents\":175,\"tax_cents\":299,"
                "\"total_cents\":1873}");
}

static void items_of_one_sku_and_price_become_one_line(void **state)
{
    const struct dray_test_call call = {
        .id = "order-7",
        .payload = ORDER(
            ITEM("b", 1, 10) "," ITEM("a", 2, 5) "," ITEM("b", 4, 10) "," ITEM("b", 1, 11), "")};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    assert_string_equal(
        "{\"order\":\"order-7\",\"customer\":\"ada\",\"currency\":\"EUR\",\"lines\":["
        "{\"sku\":\"b\",\"quantity\":5,\"total_cents\":50},"
        "{\"sku\":\"a\",\"quantity\":2,\"total_cents\":10},"
        "{\"sku\":\"b\",\"quantity\":1,\"total_cents\":11}],"
        "\"subtotal_cents\":71,\"discount_cents\":0,\"tax_cents\":0,"
        "\"total_cents\":71}",
        outcome->json);
    dray_test_outcome_destroy(outcome);
}

static uint64_t number_of(const char *json, const char *name)
{
    char quoted[64];
    const char *at;

    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    at = strstr(json, quoted);
    assert_non_null(at);
    return strtoull(at + strlen(quoted), NULL, 10);
}

/* Half up, by the schoolbook: the nearest whole number, found without a division. */
static uint64_t rounded(uint64_t amount, uint64_t share, uint64_t whole)
{
    uint64_t exact = amount * share;
    uint64_t result = exact / whole;

    return 2 * (exact - result * whole) >= whole ? result + 1 : result;
}

static void sums_hold_for_orders_of_all_kinds(void **state)
{
    uint64_t seed = 1;

    for (unsigned round = 0; round < 300; round++) {
        char items[4096] = "";
        char json[4500];
        size_t len = 0;
        uint64_t subtotal = 0;
        uint64_t percent = round % 101;
        uint64_t tax = round * 7 % 10001;
        uint64_t discount;
        struct dray_test_call call = {.payload = json};
        struct dray_test_outcome *outcome;

        for (unsigned i = 0; i <= round % 40; i++) {
            uint64_t quantity;
            uint64_t cents;

            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            quantity = 1 + (seed >> 33) % 100;
            cents = (seed >> 43) % 100000;
            subtotal += quantity * cents;
            len += (size_t)snprintf(
                items + len, sizeof(items) - len,
                "%s{\"sku\":\"s%u\",\"quantity\":%llu,\"unit_price_cents\":%llu}",
                i == 0 ? "" : ",", i, (unsigned long long)quantity, (unsigned long long)cents);
        }
        (void)snprintf(json, sizeof(json),
                       "{\"customer\":\"c\",\"currency\":\"USD\",\"items\":[%s],"
                       "\"discount_percent\":%llu,\"tax_basis_points\":%llu}",
                       items, (unsigned long long)percent, (unsigned long long)tax);
        outcome = check_run(*state, &call);
        assert_int_equal(DRAY_KIND_NONE, outcome->kind);
        discount = rounded(subtotal, percent, 100);
        assert_int_equal(subtotal, number_of(outcome->json, "subtotal_cents"));
        assert_int_equal(discount, number_of(outcome->json, "discount_cents"));
        assert_int_equal(rounded(subtotal - discount, tax, 10000),
                         number_of(outcome->json, "tax_cents"));
        assert_int_equal(subtotal - discount + rounded(subtotal - discount, tax, 10000),
                         number_of(strstr(outcome->json, "subtotal"), "total_cents"));
        dray_test_outcome_destroy(outcome);
    }
}

static void what_does_not_fit_the_schema_is_invalid_and_says_where(void **state)
{
    check_fails(*state, "null", DRAY_KIND_INVALID, "payload", "payload: expected a map, found nil");
    check_fails(*state, "{\"customer\":\"a\",\"currency\":\"EUR\"}", DRAY_KIND_INVALID, "payload",
                "expected the key \"items\", which is missing");
    check_fails(*state, "{\"customer\":\"\",\"currency\":\"EUR\",\"items\":[]}", DRAY_KIND_INVALID,
                "payload", "payload.customer: expected text of 1 to 64 bytes");
    check_fails(*state, "{\"customer\":\"a\",\"currency\":\"EUR\",\"items\":{}}", DRAY_KIND_INVALID,
                "payload", "payload.items: expected an array, found a map");
    check_fails(*state, ORDER(ITEM("a", 1, 1) "," ITEM("b", 0, 1), ""), DRAY_KIND_INVALID,
                "payload",
                "payload.items[1].quantity: expected an integer from 1 to 10000, found 0");
    check_fails(*state, ORDER(ITEM("a", 1, 1.5), ""), DRAY_KIND_INVALID, "payload",
                "payload.items[0].unit_price_cents: expected an integer, found a fraction");
    check_fails(*state, ORDER(ITEM("a", 1, 1), ",\"discount_percent\":101"), DRAY_KIND_INVALID,
                "payload", "payload.discount_percent");
}

static void what_the_shop_does_not_take_is_rejected_with_a_code(void **state)
{
    char many[8192] = "";
    char json[9000];
    size_t len = 0;

    check_fails(*state, "{\"customer\":\"a\",\"currency\":\"XXX\",\"items\":[]}",
                DRAY_KIND_REJECTED, "unknown_currency", "");
    check_fails(*state, ORDER("", ""), DRAY_KIND_REJECTED, "empty_order", "");
    check_fails(*state, ORDER(ITEM("a", 1, 100), ",\"expected_total_cents\":99"),
                DRAY_KIND_REJECTED, "total_changed",
                "the total is 100 cents, the customer was shown 99");
    for (unsigned i = 0; i < 101; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "%s%s", i == 0 ? "" : ",",
                                ITEM("a", 1, 1));
    }
    (void)snprintf(json, sizeof(json), ORDER("%s", ""), many);
    check_fails(*state, json, DRAY_KIND_REJECTED, "too_many_items", "");
}

static void the_total_the_customer_was_shown_is_taken(void **state)
{
    const struct dray_test_call call = {
        .payload = ORDER(ITEM("a", 1, 100), ",\"expected_total_cents\":100")};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    dray_test_outcome_destroy(outcome);
}

static void the_largest_order_is_over_the_limit_and_not_over_a_number(void **state)
{
    char many[8192] = "";
    char json[9000];
    size_t len = 0;

    for (unsigned i = 0; i < 100; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "%s%s", i == 0 ? "" : ",",
                                ITEM("a", 10000, 100000000));
    }
    (void)snprintf(json, sizeof(json), ORDER("%s", ",\"tax_basis_points\":10000"), many);
    check_fails(*state, json, DRAY_KIND_REJECTED, "total_over_limit",
                "the total of 200000000000000 cents is over the limit of 100000000000");
}

static void the_operator_sets_the_limit(void **state)
{
    struct dray_test_host *host = NULL;

    (void)state;
    check_env("DRAY_ORDERS_TOTAL_CENTS_MAX", "100");
    test_ok(dray_test_host_load(MODULE, &host));
    check_fails(host, ORDER(ITEM("a", 1, 101), ""), DRAY_KIND_REJECTED, "total_over_limit", "101");
    dray_test_host_close(host);
    check_env("DRAY_ORDERS_TOTAL_CENTS_MAX", "much");
    test_status(DRAY_EINVALID, dray_test_host_load(MODULE, &host));
    check_env("DRAY_ORDERS_TOTAL_CENTS_MAX", "");
    test_status(DRAY_EINVALID, dray_test_host_load(MODULE, &host));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_order_is_priced_in_whole_cents),
        CASE(items_of_one_sku_and_price_become_one_line),
        CASE(sums_hold_for_orders_of_all_kinds),
        CASE(what_does_not_fit_the_schema_is_invalid_and_says_where),
        CASE(what_the_shop_does_not_take_is_rejected_with_a_code),
        CASE(the_total_the_customer_was_shown_is_taken),
        CASE(the_largest_order_is_over_the_limit_and_not_over_a_number),
        CASE(the_operator_sets_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
