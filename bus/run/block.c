/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* block.c - the bytes that a run leaves behind, in one block that travels with the flight.
 *
 * Blocks of the common size are made once and come back to their lane through a queue; only larger
 * ones meet the heap.
 */
#include <string.h>

#include "executor_inside.h"
#include "mem.h"

struct block {
    struct lane *lane; /* where it belongs; NULL: the heap */
    uint64_t padding_;
};

static struct block *take_block(struct lane *lane, size_t bytes)
{
    if (sizeof(struct block) + bytes > BLOCK_BYTES) {
        return dri_zalloc(sizeof(struct block) + bytes);
    }
    if (lane->spare_count == 0) {
        lane->spare_count = dri_spsc_take(lane->returned, (void **)lane->spare, SPARE_MAX);
    }
    if (lane->spare_count > 0) {
        lane->spare_count--;
        return lane->spare[lane->spare_count];
    }
    struct block *block = dri_zalloc(BLOCK_BYTES);
    if (block != NULL) {
        block->lane = lane;
    }
    return block;
}

void dri_block_release(struct dri_executor *executor, struct dri_flight *flight)
{
    (void)executor;
    struct block *block = flight->outcome_block;
    if (block == NULL) {
        return;
    }
    flight->outcome_block = NULL;
    void *item = block;
    if (block->lane == NULL || dri_spsc_put(block->lane->returned, &item, 1) == 0) {
        dri_free(block);
    }
}

/* The engine is the one putter of `returned`, so a lane keeps what is its own, and gives the rest
 * to the heap. */
void dri_block_drop(struct lane *lane, struct dri_flight *flight)
{
    struct block *block = flight->outcome_block;
    flight->outcome_block = NULL;
    flight->result = flight->error_code = flight->error_message = (struct dray_slice){NULL, 0};
    flight->version = flight->handler = flight->route_name = (struct dray_slice){NULL, 0};
    flight->backtrace = (struct dray_slice){NULL, 0};
    if (block != NULL && block->lane == lane && lane->spare_count < SPARE_MAX) {
        lane->spare[lane->spare_count++] = block;
    } else {
        dri_free(block);
    }
}

static struct dray_slice keep_bytes(uint8_t **at, struct dray_slice bytes)
{
    if (bytes.at == NULL) {
        return bytes;
    }
    if (bytes.len > 0) {
        memcpy(*at, bytes.at, bytes.len);
    }
    struct dray_slice kept = dray_slice_of(*at, bytes.len);
    *at += bytes.len;
    return kept;
}

bool dri_block_keep(struct lane *lane, struct dri_flight *flight, const struct outcome_texts *texts,
                    const struct dri_route *route)
{
    struct dray_slice version = {NULL, 0};
    struct dray_slice handler = {NULL, 0};
    struct dray_slice name = {NULL, 0};
    if (route != NULL) {
        name = flight->envelope.command.at == NULL ? route->view.name : name;
        version = route->view.version;
        handler = route->view.handler.at != NULL ? route->view.handler : route->view.name;
    }
    size_t bytes = texts->result.len + version.len + handler.len + name.len + texts->code.len +
                   texts->text.len + texts->backtrace.len;
    struct block *block = take_block(lane, bytes);
    if (block == NULL) {
        return false;
    }
    uint8_t *at = (uint8_t *)(block + 1);
    flight->outcome_block = block;
    flight->result = keep_bytes(&at, texts->result);
    flight->version = keep_bytes(&at, version);
    flight->handler = keep_bytes(&at, handler);
    flight->route_name = keep_bytes(&at, name);
    flight->error_code = keep_bytes(&at, texts->code);
    flight->error_message = keep_bytes(&at, texts->text);
    flight->backtrace = keep_bytes(&at, texts->backtrace);
    return true;
}

void dri_block_free_all(struct lane *lane)
{
    void *item;
    while (lane->returned != NULL && dri_spsc_take(lane->returned, &item, 1) == 1) {
        dri_free(item);
    }
    while (lane->spare_count > 0) {
        lane->spare_count--;
        dri_free(lane->spare[lane->spare_count]);
    }
}
