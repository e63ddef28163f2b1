/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* orders.c - order.create: validates an order and prices it, in whole cents.
 *
 * All arithmetic is on integers, with the bounds of the schema chosen so that nothing can overflow:
 * 100 items of 10,000 pieces at 100,000,000 cents are 10^14. Discount and tax round half up, once,
 * on the sum. What the customer got wrong is `invalid` (the payload does not fit the schema) or
 * `rejected` (it does, and the answer is no), with a code to act on; neither is retried.
 *
 * The order's number is the command's id: a command that comes twice makes the same order.
 * A sample for: the field tables of the reader, nested arrays, codes, a limit read in open.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dray/handler.h>
#include <dray/reader.h>
#include <dray/writer.h>

#include "signatures.h"

#define ITEMS_MAX      100
#define QUANTITY_MAX   10000
#define UNIT_CENTS_MAX 100000000
#define TOTAL_CENTS_MAX                                                                            \
    100000000000 /* a thousand million of the currency, unless the environment says less */
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

struct shop {
    uint64_t total_cents_max;
};

struct item {
    struct dray_slice sku;
    uint64_t quantity;
    uint64_t unit_price_cents;
};

struct order {
    struct dray_slice customer;
    struct dray_slice currency;
    struct dray_slice items;
    uint64_t discount_percent;
    uint64_t tax_basis_points;
    uint64_t expected_total_cents;
};

struct price {
    uint64_t subtotal;
    uint64_t discount;
    uint64_t tax;
    uint64_t total;
};

#define NOT_EXPECTED UINT64_MAX

static const struct dray_field item_fields[] = {
    DRAY_REQUIRED(struct item, sku, TEXT, 1, 32),
    DRAY_REQUIRED(struct item, quantity, UINT, 1, QUANTITY_MAX),
    DRAY_REQUIRED(struct item, unit_price_cents, UINT, 0, UNIT_CENTS_MAX),
};

static const struct dray_field order_fields[] = {
    DRAY_REQUIRED(struct order, customer, TEXT, 1, 64),
    DRAY_REQUIRED(struct order, currency, TEXT, 1, 16),
    DRAY_REQUIRED(struct order, items, VALUE, 0, 0),
    DRAY_OPTIONAL(struct order, discount_percent, UINT, 0, 100),
    DRAY_OPTIONAL(struct order, tax_basis_points, UINT, 0, 10000),
    DRAY_OPTIONAL(struct order, expected_total_cents, UINT, 0, INT64_MAX),
};

static bool is_currency(struct dray_slice currency)
{
    static const char *const known[] = {"CHF", "EUR", "GBP", "JPY", "USD"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (dray_slice_equal_text(currency, known[i])) {
            return true;
        }
    }
    return false;
}

/* Adds an item to the line of its sku and price, or begins one. */
static void add_item(struct item *lines, uint32_t *lines_count, const struct item *item)
{
    for (uint32_t i = 0; i < *lines_count; i++) {
        if (dray_slice_equal(lines[i].sku, item->sku) &&
            lines[i].unit_price_cents == item->unit_price_cents) {
            lines[i].quantity += item->quantity;
            return;
        }
    }
    lines[(*lines_count)++] = *item;
}

static enum dray_status read_items(struct dray_reader *reader, uint32_t count, struct item *lines,
                                   uint32_t *ret_lines_count)
{
    uint32_t lines_count = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct item item = {.quantity = 0};
        enum dray_status status =
            dray_read_fields(reader, item_fields, ARRAY_LEN(item_fields), &item);

        if (status != DRAY_OK) {
            return status;
        }
        add_item(lines, &lines_count, &item);
    }
    *ret_lines_count = lines_count;
    return DRAY_OK;
}

static struct price price_of(const struct order *order, const struct item *lines,
                             uint32_t lines_count)
{
    struct price price = {.subtotal = 0};
    uint64_t discounted;

    for (uint32_t i = 0; i < lines_count; i++) {
        price.subtotal += lines[i].quantity * lines[i].unit_price_cents;
    }
    price.discount = (price.subtotal * order->discount_percent + 50) / 100;
    discounted = price.subtotal - price.discount;
    price.tax = (discounted * order->tax_basis_points + 5000) / 10000;
    price.total = discounted + price.tax;
    return price;
}

static void write_id(struct dray_call *call)
{
    static const char digits[] = "0123456789abcdef";
    char hex[32];

    if (!call->is_id_binary || call->id.len != 16) {
        dray_write_slice(&call->result, call->id);
        return;
    }
    for (size_t i = 0; i < 16; i++) {
        hex[2 * i] = digits[call->id.at[i] >> 4];
        hex[2 * i + 1] = digits[call->id.at[i] & 0x0f];
    }
    dray_write_slice(&call->result, dray_slice_of(hex, sizeof(hex)));
}

static void write_cents(struct dray_writer *result, const char *name, uint64_t cents)
{
    dray_write_text(result, name);
    dray_write_uint(result, cents);
}

static void write_result(struct dray_call *call, const struct order *order,
                         const struct price *price, const struct item *lines, uint32_t lines_count)
{
    struct dray_writer *result = &call->result;

    dray_write_map(result, 8);
    dray_write_text(result, "order");
    write_id(call);
    dray_write_text(result, "customer");
    dray_write_slice(result, order->customer);
    dray_write_text(result, "currency");
    dray_write_slice(result, order->currency);
    dray_write_text(result, "lines");
    dray_write_array(result, lines_count);
    for (uint32_t i = 0; i < lines_count; i++) {
        dray_write_map(result, 3);
        dray_write_text(result, "sku");
        dray_write_slice(result, lines[i].sku);
        dray_write_text(result, "quantity");
        dray_write_uint(result, lines[i].quantity);
        write_cents(result, "total_cents", lines[i].quantity * lines[i].unit_price_cents);
    }
    write_cents(result, "subtotal_cents", price->subtotal);
    write_cents(result, "discount_cents", price->discount);
    write_cents(result, "tax_cents", price->tax);
    write_cents(result, "total_cents", price->total);
}

static enum dray_error_kind reject(struct dray_call *call, const char *code, const char *message)
{
    return dray_call_fail(call, DRAY_KIND_REJECTED, code, message);
}

static enum dray_error_kind judge(struct dray_call *call, const struct order *order,
                                  const struct price *price)
{
    const struct shop *shop = call->user;
    char text[160];

    if (price->total > shop->total_cents_max) {
        (void)snprintf(text, sizeof(text), "the total of %llu cents is over the limit of %llu",
                       (unsigned long long)price->total, (unsigned long long)shop->total_cents_max);
        return reject(call, "total_over_limit", text);
    }
    if (order->expected_total_cents != NOT_EXPECTED &&
        order->expected_total_cents != price->total) {
        (void)snprintf(text, sizeof(text), "the total is %llu cents, the customer was shown %llu",
                       (unsigned long long)price->total,
                       (unsigned long long)order->expected_total_cents);
        return reject(call, "total_changed", text);
    }
    return DRAY_KIND_NONE;
}

static enum dray_error_kind create(struct dray_call *call)
{
    struct order order = {.expected_total_cents = NOT_EXPECTED};
    struct item lines[ITEMS_MAX];
    uint32_t lines_count = 0;
    uint32_t count = 0;
    struct dray_reader reader;
    struct dray_reader items;
    struct price price;
    enum dray_error_kind kind;

    dray_reader_init(&reader, call->payload);
    if (dray_read_fields(&reader, order_fields, ARRAY_LEN(order_fields), &order) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&reader));
    }
    if (!is_currency(order.currency)) {
        return reject(call, "unknown_currency", "the shop takes CHF, EUR, GBP, JPY and USD");
    }
    dray_reader_init_inside(&items, &reader, "items", order.items);
    if (dray_read_array(&items, &count) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&items));
    }
    if (count == 0) {
        return reject(call, "empty_order", "an order has at least one item");
    }
    if (count > ITEMS_MAX) {
        return reject(call, "too_many_items", "an order has at most 100 items");
    }
    if (read_items(&items, count, lines, &lines_count) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&items));
    }
    price = price_of(&order, lines, lines_count);
    kind = judge(call, &order, &price);
    if (kind == DRAY_KIND_NONE) {
        write_result(call, &order, &price, lines, lines_count);
    }
    return kind;
}

/* ---- the module ---- */

static void end(void *user)
{
    free(user);
}

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): open runs alone, and nobody may change the environment
     */
    const char *limit = getenv("DRAY_ORDERS_TOTAL_CENTS_MAX");
    struct shop *shop = calloc(1, sizeof(*shop));

    if (shop == NULL) {
        return DRAY_ENOMEM;
    }
    shop->total_cents_max = TOTAL_CENTS_MAX;
    if (limit != NULL) {
        char *rest = NULL;

        shop->total_cents_max = strtoull(limit, &rest, 10);
        if (limit[0] < '0' || limit[0] > '9' || *rest != '\0') {
            env->log(3, "DRAY_ORDERS_TOTAL_CENTS_MAX is not a number");
            end(shop);
            return DRAY_EINVALID;
        }
    }
    *ret_user = shop;
    return DRAY_OK;
}

static const struct dray_handler handlers[] = {
    {
        .command = "order.create",
        .version = "1.0.0",
        .signature = DRAY_SIGNATURE_ORDER_CREATE_1_0_0,
        .name = "order_create",
        .fn = create,
        .run = DRAY_RUN_INLINE,
    },
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,    .name = "orders", .build = "1.0.0", .handlers = handlers,
    .handlers_count = 1, .open = begin,    .close = end,
};
