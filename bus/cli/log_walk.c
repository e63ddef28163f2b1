/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* log_walk.c - logs for tools: dead letters, what is parked.
 *
 * The transport says when each part of the log has reached what was its end at the begin; a walk is
 * over when all have. A step is one wait of the bus until something came, so its callbacks meet at
 * most what one poll brings, a hundred messages or so.
 */
#include "log_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"

#define PATIENCE_MS  30000u
#define SLOTS_MAX    65536u
#define ORIGIN_BYTES 296u

struct slot {
    char origin[ORIGIN_BYTES];
    int32_t partition;
    bool is_caught_up;
};

struct dri_log_walk {
    struct dri_log_walk_config config;
    struct dri_bus *bus; /* owned */
    bool has_partitions;
    struct slot *slots; /* owned; by slot number */
    uint32_t slots_count, assigned, caught_up;
    bool has_progress;
    enum dray_status status; /* of a callback */
};

static struct slot *slot_at(struct dri_log_walk *walk, uint32_t slot)
{
    if (slot >= SLOTS_MAX) {
        return NULL;
    }
    if (slot >= walk->slots_count) {
        uint32_t count = slot < 64 ? 64 : slot * 2;
        struct slot *larger = dri_zalloc_array(count, sizeof(*larger));
        if (larger == NULL) {
            return NULL;
        }
        if (walk->slots_count > 0) {
            memcpy(larger, walk->slots, walk->slots_count * sizeof(*larger));
        }
        dri_free(walk->slots);
        walk->slots = larger;
        walk->slots_count = count;
    }
    return &walk->slots[slot];
}

static struct dri_log_place place_of(const struct dri_log_walk *walk, uint32_t number,
                                     const struct slot *slot)
{
    return (struct dri_log_place){.slot = number,
                                  .has_partition = walk->has_partitions,
                                  .partition = slot->partition,
                                  .origin = slot->origin};
}

static void on_assigned(struct dri_log_walk *walk, const struct dri_transport_event *event)
{
    struct slot *slot = slot_at(walk, event->slot);
    if (slot == NULL) {
        walk->status = DRAY_ENOMEM;
        return;
    }
    struct dray_slice origin = event->as.assigned.origin;
    snprintf(slot->origin, sizeof(slot->origin), "%.*s", (int)origin.len, (const char *)origin.at);
    slot->partition = event->as.assigned.partition;
    walk->assigned++;
    if (walk->config.on_begin != NULL) {
        struct dri_log_place place = place_of(walk, event->slot, slot);
        walk->status = walk->config.on_begin(walk->config.arg, &place, event->as.assigned.committed,
                                             event->as.assigned.metadata);
    }
}

static void on_message(struct dri_log_walk *walk, const struct dri_transport_event *event)
{
    const struct slot *slot = slot_at(walk, event->slot);
    if (slot == NULL || slot->is_caught_up) {
        return; /* came after the end as it was when we began */
    }
    struct dri_log_place place = place_of(walk, event->slot, slot);
    walk->status = walk->config.on_message(walk->config.arg, &place, &event->as.message);
}

static void on_event(void *arg, const struct dri_transport_event *event)
{
    struct dri_log_walk *walk = arg;
    walk->has_progress = true;
    if (walk->status != DRAY_OK) {
        return;
    }
    if (event->type == DRI_TE_ASSIGNED) {
        on_assigned(walk, event);
    } else if (event->type == DRI_TE_MESSAGE) {
        on_message(walk, event);
    } else if (event->type == DRI_TE_CAUGHT_UP) {
        struct slot *slot = slot_at(walk, event->slot);
        if (slot != NULL && !slot->is_caught_up) {
            slot->is_caught_up = true;
            walk->caught_up++;
        }
    }
}

static bool has_news(void *arg)
{
    const struct dri_log_walk *walk = arg;
    return walk->has_progress || walk->status != DRAY_OK;
}

enum dray_status dri_log_walk_open(const struct dri_log_walk_config *config,
                                   struct dri_log_walk **ret_walk, char *ret_text,
                                   size_t text_bytes)
{
    const struct dri_bus_config wanted = {
        .group = config->group, .sources = &config->source, .sources_count = 1};
    struct dri_transport_info info;
    struct dri_log_walk *walk = dri_zalloc(sizeof(*walk));
    if (walk == NULL) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
        return DRAY_ENOMEM;
    }
    walk->config = *config;
    enum dray_status status = dri_bus_open(config->cli, &wanted, &walk->bus, ret_text, text_bytes);
    if (status != DRAY_OK) {
        dri_free(walk);
        return status;
    }
    dri_bus_ops(walk->bus)->info(dri_bus_transport(walk->bus), &info);
    walk->has_partitions = strcmp(info.kind, "nats") != 0;
    *ret_walk = walk;
    return DRAY_OK;
}

enum dray_status dri_log_walk_step(struct dri_log_walk *walk)
{
    if (walk->status != DRAY_OK) {
        return walk->status;
    }
    if (walk->assigned > 0 && walk->caught_up >= walk->assigned) {
        return DRAY_ENOTFOUND;
    }
    walk->has_progress = false;
    enum dray_status status = dri_bus_run(walk->bus, PATIENCE_MS, on_event, has_news, walk);
    return status != DRAY_OK ? status : walk->status;
}

const char *dri_log_walk_fault(const struct dri_log_walk *walk)
{
    return dri_bus_fault(walk->bus);
}

void dri_log_walk_close(struct dri_log_walk *walk)
{
    if (walk == NULL) {
        return;
    }
    dri_bus_close(walk->bus);
    dri_free(walk->slots);
    dri_free(walk);
}

void dri_log_position(const struct dri_log_place *place, uint64_t offset,
                      char ret_text[DRI_POSITION_BYTES])
{
    snprintf(ret_text, DRI_POSITION_BYTES, "%s/%" PRIu64, place->origin, offset);
}

int dri_log_walk_end(const struct dri_cli *cli, const struct dri_log_walk *walk, const char *topic,
                     enum dray_status status)
{
    if (status == DRAY_ENOTFOUND || status == DRAY_OK) {
        return DRI_EXIT_OK;
    }
    if (status == DRAY_ECLOSED) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "interrupted");
    }
    const char *fault = dri_log_walk_fault(walk);
    return dri_cli_fail(cli, (int)dri_exit_for_open(status), "reading %s: %s", topic,
                        fault[0] != '\0' ? fault : dray_status_text(status));
}
