/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* intake.c - from a message to a flight.
 *
 * One pool block holds all bytes of a message, behind a header that links it with the others that
 * are out; so an engine that is given up in the middle can free everything without asking the core.
 * The key is the envelope's, else the broker's. Namespaces do not split a key: the domain of order
 * is the topic, the partition and the key.
 */
#include "intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "cancelled.h"
#include "decimal.h"
#include "hash.h"
#include "headers.h"
#include "log.h"
#include "mem.h"
#include "park.h"
#include "pool.h"
#include "replayed.h"

#define SPREAD UINT64_C(0x9e3779b97f4a7c15) /* odd: no two places of a key meet */
#define TOO_OFTEN                                                                                  \
    "it was delivered as often as its consumer's max_deliver allows, or nearly, and never "        \
    "settled; "                                                                                    \
    "it was not run again"
#define ORIGIN_BYTES 300u
#define REPLAYED_MAX (UINT32_C(1) << 18) /* copies whose names are remembered; 44 bytes each */

/* Stands in front of the bytes of each message; lets destroy find what is still out. */
struct block {
    struct block *prev, *next;
    struct dri_flight *flight;
};

struct origin {
    char text[ORIGIN_BYTES];
    enum dri_source_role role;
    int32_t partition;
};

struct dri_intake {
    const struct dri_engine_config *config; /* copied below; immutable but for namespaces */
    struct dri_engine_config own;
    struct dri_pool *pool;  /* owned */
    struct block out;       /* head of the ring of blocks that are out */
    struct origin *origins; /* owned; by slot */
    uint32_t origins_count;
    struct dri_replayed *replayed; /* owned */
};

enum dray_status dri_intake_create(const struct dri_engine_config *config,
                                   struct dri_intake **ret_intake)
{
    struct dri_intake *intake = dri_zalloc(sizeof(*intake));
    if (intake == NULL) {
        return DRAY_ENOMEM;
    }
    intake->own = *config;
    intake->config = &intake->own;
    intake->out.prev = intake->out.next = &intake->out;
    intake->origins_count = config->core.slots_max;
    intake->origins = dri_zalloc_array(intake->origins_count, sizeof(*intake->origins));
    /* The core bounds what is out by bytes; the pool must never be the one that refuses. */
    if (intake->origins == NULL || dri_pool_create(SIZE_MAX, &intake->pool) != DRAY_OK ||
        dri_replayed_create(REPLAYED_MAX, &intake->replayed) != DRAY_OK) {
        dri_intake_destroy(intake);
        return DRAY_ENOMEM;
    }
    *ret_intake = intake;
    return DRAY_OK;
}

void dri_intake_set_namespaces(struct dri_intake *intake, const char *namespaces)
{
    intake->own.namespaces = namespaces;
}

void dri_intake_destroy(struct dri_intake *intake)
{
    if (intake == NULL) {
        return;
    }
    struct dri_executor *executor = intake->config->executor;
    while (intake->out.next != NULL && intake->out.next != &intake->out) {
        struct dri_flight *flight = intake->out.next->flight;
        ((struct dri_executor_base *)(void *)executor)->ops->release(executor, flight);
        dri_intake_release(intake, flight);
    }
    dri_replayed_destroy(intake->replayed);
    dri_pool_destroy(intake->pool);
    dri_free(intake->origins);
    dri_free(intake);
}

void dri_intake_assigned(struct dri_intake *intake, const struct dri_transport_event *event)
{
    DRI_ASSERT(event->slot < intake->origins_count);
    struct origin *origin = &intake->origins[event->slot];
    struct dray_slice text = event->as.assigned.origin;
    size_t len = text.len < ORIGIN_BYTES - 1 ? text.len : ORIGIN_BYTES - 1;
    if (len > 0) {
        memcpy(origin->text, text.at, len);
    }
    origin->text[len] = '\0';
    origin->role = event->as.assigned.role;
    origin->partition = event->as.assigned.partition;
}

enum dri_source_role dri_intake_role(const struct dri_intake *intake, uint32_t slot)
{
    DRI_ASSERT(slot < intake->origins_count);
    return intake->origins[slot].role;
}

int32_t dri_intake_partition(const struct dri_intake *intake, uint32_t slot)
{
    DRI_ASSERT(slot < intake->origins_count);
    return intake->origins[slot].partition;
}

struct dray_slice dri_source_origin(struct dray_slice source)
{
    size_t slash = source.len;
    while (slash > 0 && source.at[slash - 1] != '/') {
        slash--;
    }
    return dray_slice_of(source.at, slash > 0 ? slash - 1 : 0);
}

struct dray_slice dri_intake_source(const struct dri_intake *intake,
                                    const struct dri_flight *flight, char buffer[DRI_SOURCE_BYTES])
{
    if (flight->park_source.at != NULL) {
        return flight->park_source;
    }
    return dray_slice_of(buffer, dri_decimal_after(buffer, DRI_SOURCE_BYTES,
                                                   intake->origins[flight->slot].text, '/',
                                                   flight->offset));
}

/* Commands of a park log are ordered with those of the partition that they came from; what a
 * release wrote, with its unit. */
static struct dray_slice origin_bytes(const struct dri_intake *intake,
                                      const struct dri_flight *flight)
{
    if (flight->park_source.at == NULL) {
        return dray_slice_text(intake->origins[flight->slot].text);
    }
    return dri_source_origin(flight->park_unit.at != NULL ? flight->park_unit
                                                          : flight->park_source);
}

static struct dray_slice key_bytes(const struct dri_flight *flight)
{
    return flight->envelope.key.at != NULL ? flight->envelope.key : flight->key;
}

struct dray_slice dri_intake_order_bytes(const struct dri_intake *intake,
                                         const struct dri_flight *flight)
{
    struct dray_slice key = key_bytes(flight);
    bool is_by_key = key.at != NULL && dri_hash64(key) == flight->key_hash;
    return is_by_key ? key : origin_bytes(intake, flight);
}

const char *dri_intake_origin(const struct dri_intake *intake, uint32_t slot)
{
    return slot < intake->origins_count ? intake->origins[slot].text : "";
}

static struct dray_slice copy_part(uint8_t **at, struct dray_slice part)
{
    if (part.at == NULL) {
        return part;
    }
    struct dray_slice copy = dray_slice_of(*at, part.len);
    if (part.len > 0) {
        memcpy(*at, part.at, part.len);
        *at += part.len;
    }
    return copy;
}

/* park is all absent but for what came out of a park log; its headers are not the command's. */
static bool copy_bytes(struct dri_intake *intake, const struct dri_message *message,
                       const struct dri_park *park, struct dri_flight *flight)
{
    size_t bytes = message->value.len + message->key.len + message->headers.len +
                   message->subject.len + park->source.len + park->unit.len;
    struct block *block = dri_pool_take(intake->pool, sizeof(*block) + bytes);
    if (block == NULL) {
        return false;
    }
    block->flight = flight;
    block->next = &intake->out;
    block->prev = intake->out.prev;
    block->prev->next = block;
    intake->out.prev = block;

    uint8_t *at = (uint8_t *)(block + 1);
    flight->block = block;
    flight->value = copy_part(&at, message->value);
    flight->key = copy_part(&at, message->key);
    flight->subject = copy_part(&at, message->subject);
    flight->park_source = copy_part(&at, park->source);
    flight->park_unit = copy_part(&at, park->unit);
    if (park->source.at != NULL) {
        size_t len = 0;
        enum dray_status status =
            dri_park_original(message->headers, at, message->headers.len, &len);
        DRI_ASSERT(status == DRAY_OK); /* it is never longer */
        flight->headers = dray_slice_of(at, len);
    } else {
        flight->headers = copy_part(&at, message->headers);
    }
    flight->bytes = (uint32_t)bytes;
    return true;
}

void dri_intake_release(struct dri_intake *intake, struct dri_flight *flight)
{
    struct block *block = flight->block;
    DRI_ASSERT(block != NULL && block->flight == flight);
    block->prev->next = block->next;
    block->next->prev = block->prev;
    flight->block = NULL;
    dri_pool_give(intake->pool, block);
}

void dri_intake_each(struct dri_intake *intake, dri_intake_visit_fn *visit, void *arg)
{
    for (struct block *block = intake->out.next; block != &intake->out; block = block->next) {
        visit(arg, block->flight);
    }
}

/* Whether ns is one of the comma list. */
static bool is_listed(const char *list, struct dray_slice ns)
{
    const char *at = list;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        if (dray_slice_equal(dray_slice_of(at, len), ns)) {
            return true;
        }
        at += len + (at[len] == ',');
    }
    return false;
}

/* The broker would drop it without a word after a few more deliveries. */
static void end_now(struct dri_flight *flight)
{
    if (flight->invalid == DRAY_KIND_NONE) {
        flight->invalid = DRAY_KIND_LIMIT;
        flight->error_message = dray_slice_text(TOO_OFTEN);
    }
}

/* A key of which several may run at once is so many keys: each command takes one of them by its
 * offset, waits for those that took the same one, and for no others. To count the runs of a key
 * instead, and to start the first that may, would use every place that is free, and needs a second
 * kind of key in the core. */
static void spread_key(struct dri_flight *flight, struct dray_slice key, uint32_t at_once)
{
    uint64_t place = dri_hash64(dray_slice_of(&flight->offset, sizeof(flight->offset))) % at_once;
    flight->has_key = key.at != NULL;
    flight->key_hash = flight->has_key ? dri_hash64(key) + (place + 1) * SPREAD : 0;
    flight->is_unparkable = flight->has_key; /* the place is of this worker and this offset */
}

void dri_intake_order(const struct dri_intake *intake, struct dri_flight *flight,
                      enum dri_order order, uint32_t key_concurrency)
{
    struct dray_slice key = key_bytes(flight);
    switch (order) {
    case DRI_ORDER_KEY:
        flight->has_key = key.at != NULL;
        flight->key_hash = flight->has_key ? dri_hash64(key) : 0;
        break;
    case DRI_ORDER_PARTITION:
        flight->has_key = true;
        flight->key_hash = dri_hash64(origin_bytes(intake, flight));
        break;
    case DRI_ORDER_NONE:
        if (key_concurrency != 0) {
            spread_key(flight, key, key_concurrency);
            break;
        }
        flight->has_key = false;
        flight->key_hash = 0;
        break;
    }
}

static void decode(struct dri_intake *intake, struct dri_flight *flight)
{
    const struct dri_engine_config *config = intake->config;
    struct dri_envelope *envelope = &flight->envelope;
    memset(envelope, 0, sizeof(*envelope));
    flight->wire_error = (struct dri_wire_error){"", "", 0};
    enum dray_status status =
        dri_envelope_decode(flight->value, &config->limits, envelope, &flight->wire_error);
    flight->has_id = envelope->id.at != NULL;
    flight->wants_result = envelope->reply_to.at == NULL || envelope->reply_to.len > 0;
    if (status != DRAY_OK) {
        flight->invalid = DRAY_KIND_INVALID;
        return;
    }
    if (envelope->namespace_.at == NULL) {
        envelope->namespace_ = dray_slice_text(config->namespace_);
    }
    if (config->namespaces != NULL && !is_listed(config->namespaces, envelope->namespace_)) {
        flight->invalid = DRAY_KIND_AUTH;
        flight->wire_error = (struct dri_wire_error){"ns", "is none that this worker serves", 0};
    }
    flight->deadline_ms = envelope->deadline_ms;
    flight->not_before_ms = envelope->not_before_ms;
}

/* A second copy of one replay keeps its place in line and ends without a trace: the first one has
 * the outcome. */
static void find_duplicate(struct dri_intake *intake, struct dri_flight *flight)
{
    uint64_t scope = (uint64_t)flight->epoch << 32 | flight->slot;
    struct dri_replay_name name;
    flight->is_duplicate =
        flight->is_replay && dri_replay_name_of(flight->headers, &name) &&
        dri_replayed_is_duplicate(intake->replayed, scope, &name, flight->offset);
    if (!flight->is_duplicate) {
        return;
    }
    flight->invalid = DRAY_KIND_NONE;
    flight->wants_result = false;
    flight->deadline_ms = 0;
    flight->not_before_ms = 0;
    DRI_LOG(DRI_LOG_INFO, "ENG-REPLAYED", "a second copy of a replayed dead letter is dropped",
            DRI_SLICE("replay_of", dri_headers_find(flight->headers, "dray-replay-of")),
            DRI_TEXT("source", intake->origins[flight->slot].text),
            DRI_UINT("offset", flight->offset));
}

bool dri_intake_cancel(const struct dri_intake *intake, struct dri_now now,
                       struct dri_flight *flight)
{
    struct dri_cancelled *cancelled = intake->config->cancelled;
    const struct dri_envelope *envelope = &flight->envelope;
    if (cancelled == NULL || flight->not_before_ms == 0 || flight->invalid != DRAY_KIND_NONE ||
        !dri_cancelled_has(cancelled, envelope->id, envelope->is_id_binary, now.wall_ms) ||
        dri_headers_find(flight->headers, "dray-replays").at != NULL) {
        return false;
    }
    flight->invalid = DRAY_KIND_REJECTED;
    flight->error_code = dray_slice_text("cancelled");
    flight->error_message = dray_slice_text("it was cancelled before its time");
    return true;
}

/* A command without a key meets the same canary again when it comes out of a park log. */
static uint64_t choice_of(const struct dri_flight *flight)
{
    uint64_t offset = flight->offset;
    size_t begin = dri_source_origin(flight->park_source).len + 1;
    if (flight->park_source.len > begin &&
        !dri_header_number(
            dray_slice_of(flight->park_source.at + begin, flight->park_source.len - begin),
            &offset)) {
        return flight->offset;
    }
    return offset;
}

bool dri_intake_fill(struct dri_intake *intake, struct dri_now now,
                     const struct dri_transport_event *event, struct dri_flight *flight)
{
    const struct dri_message *message = &event->as.message;
    bool is_parked = intake->origins[event->slot].role == DRI_ROLE_PARK;
    struct dri_park park = {.kind = DRI_PARK_COMMAND};
    if (is_parked && dri_park_read(message->headers, &park) != DRAY_OK) {
        park = (struct dri_park){.kind = DRI_PARK_COMMAND};
    }
    if (!copy_bytes(intake, message, &park, flight)) {
        return false;
    }
    flight->slot = event->slot;
    flight->epoch = event->epoch;
    flight->offset = message->offset;
    flight->delivery = message->delivery;
    flight->deliveries = message->deliveries;
    flight->received_ns = now.mono_ns;
    flight->source_ms = message->timestamp_ms > 0 ? (uint64_t)message->timestamp_ms : 0;
    flight->is_id_taken = false;
    flight->lane_hint = UINT16_MAX;
    flight->is_replay = intake->origins[event->slot].role == DRI_ROLE_REPLAY;
    flight->invalid = DRAY_KIND_NONE;
    flight->deadline_ms = 0;
    flight->not_before_ms = 0;
    flight->kind = DRAY_KIND_NONE;
    flight->attempt = park.attempts;
    flight->first_failed_ms = park.first_failed_ms;
    flight->last_failed_ms = 0;
    flight->started_ns = flight->ended_ns = 0;
    flight->is_result_too_large = false;
    flight->outcome_block = NULL;
    flight->result = flight->error_code = flight->error_message = (struct dray_slice){NULL, 0};
    flight->version = flight->handler = flight->route_name = (struct dray_slice){NULL, 0};
    flight->backtrace = (struct dray_slice){NULL, 0};
    flight->revision = 0;
    decode(intake, flight);
    if (message->is_last) {
        end_now(flight);
    }
    dri_intake_order(intake, flight, intake->config->order, 0);
    flight->choice_hash = flight->has_key ? flight->key_hash : choice_of(flight);
    find_duplicate(intake, flight);
    (void)dri_intake_cancel(intake, now, flight);
    return true;
}
