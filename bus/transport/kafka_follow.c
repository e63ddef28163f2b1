/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_follow.c - topics whose partition n goes with partition n of the commands.
 *
 * The group does not subscribe to them: no assignor would have to keep partitions together, and a
 * replica that knows nothing of them can be in the same group. Their partitions are added to what
 * the group gives and to what it takes, in the same call of the library; the broker takes commits
 * for any topic, with the generation checked as for others.
 *
 * Where the end is: a partition-EOF event, which the library makes anew for each assignment, seek
 * and resume, at the position where a fetch came back with nothing more. Asking for the end would
 * be exact about when, but librdkafka has no such call before 2.3 that does not block. A tail that
 * grows all the time could put the end off; but what fills these logs is the owner of the
 * partition, who is us, and who waits.
 *
 * Holding back: commands of the partition, and replays of it while they are here, are assigned like
 * all others. The first message that comes too early is stashed and the partition is paused, which
 * drops what was fetched behind it; when the end of every follower was told, it is resumed. Pausing
 * before the first message was rejected: the library takes the place to go on from out of what was
 * consumed last, and at that time this is of an earlier assignment or not known.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"

#define LOOK_NS UINT64_C(1000000000)

bool dri_kafka_role_follows(enum dri_source_role role)
{
    return role == DRI_ROLE_PARK || role == DRI_ROLE_WINDOW;
}

bool dri_kafka_is_follower(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot)
{
    return dri_kafka_role_follows(kafka->sources[slot->source].role);
}

/* ---- topics ---- */

enum dray_status dri_kafka_follow_open(const struct dri_kafka *kafka, struct dri_kafka_admin *admin,
                                       char *ret_text, size_t text_bytes)
{
    char reason[160];
    for (size_t i = 0; i < kafka->sources_count; i++) {
        const struct dri_kafka_source *source = &kafka->sources[i];
        for (size_t j = 0; dri_kafka_role_follows(source->role) && j < kafka->sources_count; j++) {
            const struct dri_kafka_source *leader = &kafka->sources[j];
            int32_t has = 0, wanted = 0;
            if (leader->role != DRI_ROLE_COMMANDS) {
                continue;
            }
            const char *topic = source->topic;
            enum dray_status status =
                dri_kafka_admin_partitions(admin, topic, &has, reason, sizeof(reason));
            if (status == DRAY_OK) {
                topic = leader->topic;
                status = dri_kafka_admin_partitions(admin, topic, &wanted, reason, sizeof(reason));
            }
            if (status != DRAY_OK) {
                (void)snprintf(ret_text, text_bytes, "topic \"%s\" %s", topic, reason);
                return status;
            }
            if (has < wanted) {
                (void)snprintf(ret_text, text_bytes,
                               "topic \"%s\" has %" PRId32
                               " partitions, the commands topic %" PRId32
                               ": add some (kafka-topics.sh --alter --partitions %" PRId32 ")",
                               source->topic, has, wanted, wanted);
                return DRAY_EINVALID;
            }
        }
    }
    return DRAY_OK;
}

/* Old records of a window go while it is read: then it is read from its new beginning. */
void dri_kafka_follow_join(struct dri_kafka *kafka)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        struct dri_kafka_source *source = &kafka->sources[i];
        if (source->role != DRI_ROLE_WINDOW) {
            continue;
        }
        char reason[128];
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(kafka->group);
        rd_kafka_conf_res_t res =
            rd_kafka_topic_conf_set(conf, "auto.offset.reset", "earliest", reason, sizeof(reason));
        DRI_ASSERT(res == RD_KAFKA_CONF_OK);
        source->own_rkt = rd_kafka_topic_new(kafka->group, source->topic, conf);
    }
}

void dri_kafka_follow_put_down(struct dri_kafka *kafka)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        if (kafka->sources[i].own_rkt != NULL) {
            rd_kafka_topic_destroy(kafka->sources[i].own_rkt);
            kafka->sources[i].own_rkt = NULL;
        }
    }
}

/* ---- partitions ---- */

static bool is_commands(const struct dri_kafka *kafka, const char *topic)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        if (kafka->sources[i].role == DRI_ROLE_COMMANDS &&
            strcmp(kafka->sources[i].topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

void dri_kafka_follow_add(const struct dri_kafka *kafka, rd_kafka_topic_partition_list_t *list)
{
    int count = list->cnt;
    for (int i = 0; i < count; i++) {
        int32_t partition = list->elems[i].partition;
        bool leads = is_commands(kafka, list->elems[i].topic);
        for (size_t j = 0; leads && j < kafka->sources_count; j++) {
            const char *topic = kafka->sources[j].topic;
            if (dri_kafka_role_follows(kafka->sources[j].role) &&
                rd_kafka_topic_partition_list_find(list, topic, partition) == NULL) {
                rd_kafka_topic_partition_list_add(list, topic, partition);
            }
        }
    }
}

/* The slot of partition n of the source with this role, if it is assigned; NULL: none. */
static struct dri_kafka_slot *slot_with(const struct dri_kafka *kafka, enum dri_source_role role,
                                        int32_t partition)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        const struct dri_kafka_source *source = &kafka->sources[i];
        if (source->role == role && partition < source->slots_count) {
            struct dri_kafka_slot *slot = source->slots[partition];
            return slot != NULL && slot->state == DRI_KAFKA_SLOT_ASSIGNED ? slot : NULL;
        }
    }
    return NULL;
}

void dri_kafka_follow_name(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot,
                           uint32_t *ret_park, uint32_t *ret_window)
{
    enum dri_source_role role = kafka->sources[slot->source].role;
    bool is_named = (role == DRI_ROLE_COMMANDS || role == DRI_ROLE_REPLAY) &&
                    slot_with(kafka, DRI_ROLE_COMMANDS, slot->partition) != NULL;
    const struct dri_kafka_slot *park =
        is_named ? slot_with(kafka, DRI_ROLE_PARK, slot->partition) : NULL;
    const struct dri_kafka_slot *window =
        is_named ? slot_with(kafka, DRI_ROLE_WINDOW, slot->partition) : NULL;
    *ret_park = park == NULL ? DRI_SLOT_NONE : park->index;
    *ret_window = window == NULL ? DRI_SLOT_NONE : window->index;
}

/* ---- holding back ---- */

static bool is_behind(const struct dri_kafka *kafka, enum dri_source_role role, int32_t partition)
{
    const struct dri_kafka_slot *slot = slot_with(kafka, role, partition);
    return slot != NULL && !slot->is_end_told;
}

static void set_gate(struct dri_kafka *kafka, struct dri_kafka_slot *slot, bool is_gated)
{
    if (slot == NULL || slot->is_gated == is_gated) {
        return;
    }
    slot->gated_ns = kafka->now_ns;
    slot->is_gated = is_gated; /* closed: the first message that comes pauses it */
    if (!is_gated) {
        dri_kafka_slot_apply_pause(kafka, slot);
        dri_kafka_wake(kafka);
    }
}

void dri_kafka_follow_regate(struct dri_kafka *kafka, int32_t partition)
{
    bool is_gated =
        is_behind(kafka, DRI_ROLE_PARK, partition) || is_behind(kafka, DRI_ROLE_WINDOW, partition);
    set_gate(kafka, slot_with(kafka, DRI_ROLE_COMMANDS, partition), is_gated);
    set_gate(kafka, slot_with(kafka, DRI_ROLE_REPLAY, partition), is_gated);
}

/* The watch over progress does not look at what is held back: this does. */
static void tell_late(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot)
{
    enum dri_source_role role =
        is_behind(kafka, DRI_ROLE_PARK, slot->partition) ? DRI_ROLE_PARK : DRI_ROLE_WINDOW;
    const struct dri_kafka_slot *follower = slot_with(kafka, role, slot->partition);
    DRI_LOG(DRI_LOG_WARN, "KAFKA-GATED",
            "commands of a partition wait, because the log beside them is not read to its end: its "
            "topic may have fewer partitions than the commands topic (a start with "
            "worker.create_topics or `dray doctor --fix` adds them), or it is held or very long",
            DRI_TEXT("source", slot->origin),
            DRI_TEXT("log", follower == NULL ? "" : follower->origin));
}

void dri_kafka_follow_look(struct dri_kafka *kafka)
{
    uint64_t limit_ns = kafka->progress.limit_ns;
    if (limit_ns == 0 || kafka->now_ns < kafka->follow_look_ns) {
        return;
    }
    kafka->follow_look_ns = kafka->now_ns + LOOK_NS;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        struct dri_kafka_slot *slot = kafka->slots[i];
        if (slot->state == DRI_KAFKA_SLOT_ASSIGNED && slot->is_gated &&
            slot->gated_ns != UINT64_MAX && kafka->now_ns - slot->gated_ns > limit_ns) {
            tell_late(kafka, slot);
            slot->gated_ns = UINT64_MAX;
        }
    }
}

uint64_t dri_kafka_follow_late(const struct dri_kafka *kafka)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        const struct dri_kafka_slot *slot = kafka->slots[i];
        count += slot->state == DRI_KAFKA_SLOT_ASSIGNED && slot->is_gated &&
                 slot->gated_ns == UINT64_MAX;
    }
    return count;
}

void dri_kafka_follow_check(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if (slot->is_end_seen && !slot->is_caught_up && slot->state == DRI_KAFKA_SLOT_ASSIGNED &&
        !dri_kafka_stash_has(kafka, slot)) {
        slot->is_caught_up = true;
        dri_kafka_slot_tell(kafka, slot, DRI_KAFKA_TELL_CAUGHT_UP);
    }
}

void dri_kafka_follow_told(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if (dri_kafka_is_follower(kafka, slot)) {
        slot->is_end_told = true;
        dri_kafka_follow_regate(kafka, slot->partition);
    }
}
