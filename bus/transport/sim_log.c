/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* sim_log.c - the logs of the simulated broker: topics, partitions, records, deduplication.
 *
 * Records are never deleted while the broker lives: a checker reads them at any time. Offsets are
 * as the real ones: a Kafka log begins at 0 and has holes (markers of transactions), a stream
 * begins at 1 and counts through all its partitions.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "hash.h"
#include "mem.h"
#include "sim_inside.h"

#define NS_PER_MS UINT64_C(1000000)
#define GAP_MAX   5u

/* --- topics
 * --------------------------------------------------------------------------------------- */

static struct sim_topic *find_exact(struct dri_sim_broker *broker, struct dray_slice name)
{
    for (struct sim_topic *topic = broker->topics; topic != NULL; topic = topic->next) {
        if (dray_slice_equal_text(name, topic->name)) {
            return topic;
        }
    }
    return NULL;
}

/* A stream holds its subject and all below it: what JetStream is set up with. */
struct sim_topic *sim_topic_find(struct dri_sim_broker *broker, struct dray_slice name)
{
    struct sim_topic *topic = find_exact(broker, name);
    while (topic == NULL && broker->config.mode == DRI_SETTLE_EACH && name.len > 0) {
        name.len--;
        if (name.at[name.len] == '.') {
            topic = find_exact(broker, name);
        }
    }
    return topic;
}

static char *stream_name(const char *topic)
{
    char *stream = dri_strdup(topic);
    for (char *at = stream; stream != NULL && *at != '\0'; at++) {
        *at = isalnum((unsigned char)*at) ? (char)toupper((unsigned char)*at) : '_';
    }
    return stream;
}

void sim_topic_free(struct sim_topic *topic)
{
    for (uint32_t i = 0; topic->partitions != NULL && i < topic->partitions_count; i++) {
        struct sim_partition *partition = &topic->partitions[i];
        for (size_t at = 0; at < partition->count; at++) {
            dri_free(partition->records[at]);
        }
        dri_free(partition->records);
    }
    dri_free(topic->partitions);
    dri_free(topic->dedup);
    dri_free(topic->stream);
    dri_free(topic->name);
    dri_free(topic);
}

/* At the end of the list: what is assigned first follows the order of creation. */
struct sim_topic *sim_topic_make(struct dri_sim_broker *broker, const char *name,
                                 uint32_t partitions)
{
    bool is_stream = broker->config.mode == DRI_SETTLE_EACH;
    struct sim_topic *topic = dri_zalloc(sizeof(*topic));
    if (topic == NULL) {
        return NULL;
    }
    bool is_one = (is_stream && !broker->config.is_partitioned) || partitions == 0;
    topic->partitions_count = is_one ? 1 : partitions;
    topic->next_sequence = 1;
    topic->name = dri_strdup(name);
    topic->stream = stream_name(name);
    topic->partitions = dri_zalloc_array(topic->partitions_count, sizeof(*topic->partitions));
    if (topic->name == NULL || topic->stream == NULL || topic->partitions == NULL) {
        sim_topic_free(topic);
        return NULL;
    }
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        topic->partitions[i].topic = topic;
        topic->partitions[i].number = (int32_t)i;
        topic->partitions[i].next_offset = is_stream ? 1 : 0;
    }
    struct sim_topic **last = &broker->topics;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = topic;
    return topic;
}

/* --- records
 * -------------------------------------------------------------------------------------- */

size_t sim_publish_bytes(const struct dri_publish *message)
{
    return message->key.len + message->value.len + message->headers.len;
}

static struct dray_slice put_slice(uint8_t **at, struct dray_slice from)
{
    if (from.at == NULL) {
        return from;
    }
    struct dray_slice copy = dray_slice_of(*at, from.len);
    if (from.len > 0) {
        memcpy(*at, from.at, from.len);
    }
    *at += from.len;
    return copy;
}

struct sim_record *sim_record_make(const struct dri_publish *message)
{
    size_t bytes = sim_publish_bytes(message) + message->topic.len + message->dedup_id.len;
    struct sim_record *record = dri_zalloc(sizeof(*record) + bytes + 1);
    if (record == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(record + 1);
    record->view.subject = put_slice(&at, message->topic);
    record->view.key = put_slice(&at, message->key);
    record->view.value = put_slice(&at, message->value);
    record->view.headers = put_slice(&at, message->headers);
    record->view.dedup_id = put_slice(&at, message->dedup_id);
    return record;
}

size_t sim_index_of(const struct sim_partition *partition, uint64_t offset)
{
    size_t low = 0;
    size_t high = partition->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (partition->records[middle]->view.offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* --- deduplication
 * -------------------------------------------------------------------------------- */

static struct sim_dedup *dedup_place(struct sim_topic *topic, struct dray_slice id, uint64_t hash)
{
    size_t at = (size_t)hash & (topic->dedup_capacity - 1);
    while (topic->dedup[at].record != NULL) {
        const struct sim_record *record = topic->dedup[at].record;
        if (topic->dedup[at].hash == hash && dray_slice_equal(record->view.dedup_id, id)) {
            break;
        }
        at = (at + 1) & (topic->dedup_capacity - 1);
    }
    return &topic->dedup[at];
}

static bool dedup_make_room(struct sim_topic *topic)
{
    if (topic->dedup_count * 2 < topic->dedup_capacity) {
        return true;
    }
    struct sim_dedup *old = topic->dedup;
    size_t old_capacity = topic->dedup_capacity;
    size_t capacity = old_capacity == 0 ? 64 : old_capacity * 2;
    struct sim_dedup *grown = dri_zalloc_array(capacity, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    topic->dedup = grown;
    topic->dedup_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].record != NULL) {
            *dedup_place(topic, old[i].record->view.dedup_id, old[i].hash) = old[i];
        }
    }
    dri_free(old);
    return true;
}

/* The record stored before under this id within the window, or NULL; then the id is taken for
 * this one. */
static const struct sim_record *dedup_check(struct dri_sim_broker *broker, struct sim_topic *topic,
                                            const struct sim_record *added)
{
    uint64_t hash = dri_hash64(added->view.dedup_id);
    struct sim_dedup *place = dedup_place(topic, added->view.dedup_id, hash);
    if (place->record != NULL) {
        const struct sim_record *record = place->record;
        if (broker->now.mono_ns - record->view.stored_ns < broker->config.dedup_ms * NS_PER_MS) {
            return record;
        }
    } else {
        topic->dedup_count++;
    }
    place->hash = hash;
    place->record = added;
    return NULL;
}

/* --- storing
 * -------------------------------------------------------------------------------------- */

/* "<topic>.p.<n>" is partition n. */
static int32_t partition_in(const struct sim_topic *topic, struct dray_slice subject,
                            int32_t wanted)
{
    size_t len = strlen(topic->name);
    char text[16] = "", *end = NULL;
    if (subject.len > len && subject.len - len < sizeof(text)) {
        memcpy(text, subject.at + len, subject.len - len);
    }
    if (strncmp(text, ".p.", 3) != 0) {
        return wanted;
    }
    unsigned long number = strtoul(text + 3, &end, 10);
    return end != text + 3 && number <= INT32_MAX ? (int32_t)number : wanted;
}

static struct sim_partition *choose_partition(struct sim_topic *topic,
                                              const struct sim_record *record, int32_t wanted)
{
    struct dray_slice key = record->view.key;
    wanted = partition_in(topic, record->view.subject, wanted);
    if (wanted >= 0 && (uint32_t)wanted < topic->partitions_count) {
        return &topic->partitions[wanted];
    }
    if (!dray_slice_is_absent(key)) {
        return &topic->partitions[dri_murmur2(key) % topic->partitions_count];
    }
    return &topic->partitions[topic->round_robin++ % topic->partitions_count];
}

static void append(struct dri_sim_broker *broker, struct sim_partition *partition,
                   struct sim_record *record)
{
    if (sim_strikes(broker, DRI_SIM_OFFSET_GAP)) {
        partition->next_offset += 1 + sim_below(broker, GAP_MAX);
    }
    if (broker->config.mode == DRI_SETTLE_EACH) { /* the stream counts */
        uint64_t *next = &partition->topic->next_sequence;
        *next = partition->next_offset > *next ? partition->next_offset : *next;
        partition->next_offset = (*next)++;
    }
    record->view.offset = partition->next_offset++;
    record->view.stored_ns = broker->now.mono_ns;
    record->view.timestamp_ms = (int64_t)(broker->now.wall_ms + broker->config.ahead_ms);
    record->visible_ns = broker->now.mono_ns + sim_latency(broker);
    if (sim_strikes(broker, DRI_SIM_FETCH_LATE)) {
        record->visible_ns += sim_lateness(broker);
    }
    if (partition->count > 0 &&
        record->visible_ns < partition->records[partition->count - 1]->visible_ns) {
        record->visible_ns = partition->records[partition->count - 1]->visible_ns;
    }
    partition->records[partition->count++] = record;
    sim_see(broker, &(struct dri_sim_sight){.type = DRI_SIM_APPENDED,
                                            .topic = partition->topic->name,
                                            .partition = partition->number,
                                            .offset = record->view.offset,
                                            .record = &record->view});
}

bool sim_store(struct dri_sim_broker *broker, struct sim_topic *topic, struct sim_record *record,
               int32_t wanted_partition, struct dri_published *ret_published)
{
    struct sim_partition *partition = choose_partition(topic, record, wanted_partition);
    struct sim_record **records = sim_grown(partition->records, &partition->capacity,
                                            partition->count, sizeof(struct sim_record *));
    bool has_dedup = broker->config.mode == DRI_SETTLE_EACH && record->view.dedup_id.len > 0;
    if (records != NULL) {
        partition->records = records;
    }
    if (records == NULL || (has_dedup && !dedup_make_room(topic))) {
        dri_free(record);
        return false;
    }
    ret_published->partition = partition->number;
    const struct sim_record *first = has_dedup ? dedup_check(broker, topic, record) : NULL;
    if (first != NULL) {
        sim_count(broker, DRI_SIM_DUPLICATE_DROPPED);
        ret_published->is_duplicate = true;
        ret_published->offset = first->view.offset;
        dri_free(record);
        return true;
    }
    append(broker, partition, record);
    ret_published->offset = record->view.offset;
    return true;
}

/* --- tests' calls
 * --------------------------------------------------------------------------------- */

enum dray_status dri_sim_topic_create(struct dri_sim_broker *broker, const char *topic,
                                      uint32_t partitions)
{
    enum dray_status status = DRAY_OK;
    dri_lock_take(&broker->lock);
    if (find_exact(broker, dray_slice_text(topic)) != NULL) {
        status = DRAY_EEXISTS;
    } else if (sim_topic_make(broker, topic, partitions) == NULL) {
        status = DRAY_ENOMEM;
    }
    dri_lock_drop(&broker->lock);
    return status;
}

void dri_sim_topic_refuse(struct dri_sim_broker *broker, const char *topic, enum dray_status status)
{
    dri_lock_take(&broker->lock);
    struct sim_topic *found = find_exact(broker, dray_slice_text(topic));
    DRI_ASSERT(found != NULL);
    found->refusal = status;
    dri_lock_drop(&broker->lock);
}

enum dray_status dri_sim_append(struct dri_sim_broker *broker, struct dri_now now,
                                const struct dri_publish *message, int32_t *ret_partition,
                                uint64_t *ret_offset)
{
    enum dray_status status = DRAY_OK;
    struct dri_published published = {0};
    dri_lock_take(&broker->lock);
    sim_advance(broker, now);
    struct sim_topic *topic = sim_topic_find(broker, message->topic);
    if (topic == NULL) {
        status = DRAY_ENOTFOUND;
    } else {
        struct sim_record *record = sim_record_make(message);
        if (record == NULL || !sim_store(broker, topic, record, message->partition, &published)) {
            status = DRAY_ENOMEM;
        }
    }
    dri_lock_drop(&broker->lock);
    if (status == DRAY_OK) {
        *ret_partition = published.partition;
        *ret_offset = published.offset;
    }
    return status;
}

const struct dri_sim_record *dri_sim_record_at(struct dri_sim_broker *broker, const char *topic,
                                               int32_t partition, size_t index)
{
    struct sim_topic *found = find_exact(broker, dray_slice_text(topic));
    if (found == NULL || partition < 0 || (uint32_t)partition >= found->partitions_count ||
        index >= found->partitions[partition].count) {
        return NULL;
    }
    return &found->partitions[partition].records[index]->view;
}

uint32_t dri_sim_partitions(struct dri_sim_broker *broker, const char *topic)
{
    struct sim_topic *found = find_exact(broker, dray_slice_text(topic));
    return found == NULL ? 0 : found->partitions_count;
}
