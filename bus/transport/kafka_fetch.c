/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_fetch.c - messages, one a call (K5), and what happens while the owner takes none.
 *
 * rd_kafka_consumer_poll must go on being called (rebalances come through it), and it returns
 * messages too. So with messages_max 0 one message may come out that nobody wants yet: it is
 * stashed, and the polling stops. After half a second of that the partitions are paused, which
 * throws away what was prefetched, and polling goes on: now only rebalances and errors come. A
 * pause shorter than that costs nothing. We keep our own set of what is paused (K6) and resume only
 * what stands in it. librdkafka keeps a pause over the end of an assignment: what is let go is
 * resumed first, or it would come back paused and stay so for ever.
 *
 * A delay source (DRI_ROLE_DELAY) is a log in which each message waits equally long, so that only
 * its first one has to be looked at. One whose time has not come is kept beside its slot, and the
 * partition is paused until it has; that throws away what was prefetched, which therefore costs no
 * memory, and at most one fetch for an eighth of the delay: whatever is as old as seven eighths of
 * it by then goes up with the first.
 *
 * Messages of a partition whose followers are not at their end are held back the same way: the
 * first one that comes is stashed and the partition paused behind it (kafka_follow.c).
 *
 * A log source is read by a second consumer, without a group: all its partitions, from an offset
 * that was made explicit before open returned, never committed. Partition-EOF events tell that the
 * end is reached even when the last offsets hold no message (transaction markers, compaction).
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"
#include "mem.h"

#define CHUNK_BYTES 65536u

/* ---- what is lent out ---- */

static uint8_t *lend_bytes(struct dri_kafka *kafka, size_t bytes)
{
    struct dri_kafka_chunk *chunk = kafka->chunks;
    if (chunk == NULL || chunk->max - chunk->len < bytes) {
        size_t max = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = dri_zalloc(sizeof(*chunk) + max);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->max = max;
        chunk->next = kafka->chunks;
        kafka->chunks = chunk;
    }
    uint8_t *at = chunk->bytes + chunk->len;
    chunk->len += bytes;
    return at;
}

void dri_kafka_release(struct dri_kafka *kafka)
{
    for (size_t i = 0; i < kafka->held_count; i++) {
        rd_kafka_message_destroy(kafka->held[i]);
    }
    kafka->held_count = 0;
    struct dri_kafka_chunk *chunk = kafka->chunks;
    if (chunk != NULL) {
        chunk->len = 0;
        while (chunk->next != NULL) {
            struct dri_kafka_chunk *next = chunk->next;
            chunk->next = next->next;
            dri_free(next);
        }
    }
    dri_kafka_slots_release(kafka);
}

static bool held_reserve(struct dri_kafka *kafka, size_t count)
{
    if (kafka->held_count + count <= kafka->held_max) {
        return true;
    }
    size_t max = kafka->held_count + count;
    rd_kafka_message_t **held = dri_zalloc_array(max, sizeof(*held));
    if (held == NULL) {
        return false;
    }
    if (kafka->held_count > 0) {
        memcpy(held, kafka->held, kafka->held_count * sizeof(*held));
    }
    dri_free(kafka->held);
    kafka->held = held;
    kafka->held_max = max;
    return true;
}

/* ---- messages ---- */

static struct dri_kafka_slot *slot_in(const struct dri_kafka_source *source, int32_t partition)
{
    return partition >= 0 && partition < source->slots_count ? source->slots[partition] : NULL;
}

/* The slot of a message. Its topic object is remembered: comparing names costs more. */
static struct dri_kafka_slot *slot_of(struct dri_kafka *kafka, const rd_kafka_message_t *message,
                                      bool is_log)
{
    for (size_t i = 0; i < kafka->sources_count; i++) {
        struct dri_kafka_source *source = &kafka->sources[i];
        if (source->rkt == message->rkt && (source->role == DRI_ROLE_LOG) == is_log) {
            return slot_in(source, message->partition);
        }
    }
    const char *topic = rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < kafka->sources_count; i++) {
        struct dri_kafka_source *source = &kafka->sources[i];
        if ((source->role == DRI_ROLE_LOG) == is_log && strcmp(topic, source->topic) == 0) {
            source->rkt = message->rkt;
            return slot_in(source, message->partition);
        }
    }
    return NULL;
}

static void check_caught_up(struct dri_kafka *kafka, struct dri_kafka_slot *slot, int64_t reached)
{
    if (!slot->is_caught_up && reached >= slot->log_end) {
        slot->is_caught_up = true;
        dri_kafka_slot_tell(kafka, slot, DRI_KAFKA_TELL_CAUGHT_UP);
    }
}

/* False: no memory for the headers; the message was not handed over. */
static bool write_message(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                          rd_kafka_message_t *message, struct dri_transport_event *event)
{
    struct dray_slice flat = {0};
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t err = rd_kafka_message_headers(message, &headers);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t bytes = dri_kafka_headers_bytes(headers);
        uint8_t *at = lend_bytes(kafka, bytes);
        if (at == NULL) {
            return false;
        }
        dri_kafka_headers_flatten(headers, at);
        flat = dray_slice_of(at, bytes);
    } else if (err != RD_KAFKA_RESP_ERR__NOENT) {
        DRI_LOG(DRI_LOG_WARN, "KAFKA-HEADERS", "headers could not be read and are left out",
                DRI_TEXT("source", slot->origin), DRI_INT("offset", message->offset),
                DRI_TEXT("error", rd_kafka_err2str(err)));
    }
    rd_kafka_timestamp_type_t time_type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    int64_t time = rd_kafka_message_timestamp(message, &time_type);
    *event = (struct dri_transport_event){
        .type = DRI_TE_MESSAGE,
        .slot = slot->index,
        .epoch = slot->epoch,
        .as.message =
            {
                .offset = (uint64_t)message->offset,
                .timestamp_ms = time_type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : time,
                .is_broker_stamp = time_type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
                .subject = dray_slice_text(kafka->sources[slot->source].topic),
                .key = dray_slice_of(message->key, message->key_len),
                .value = dray_slice_of(message->payload, message->len),
                .headers = flat,
            },
    };
    int64_t expected = slot->next_offset >= 0 ? slot->next_offset : slot->settled;
    if (message->offset < expected) {
        /* K16: the log was cut and written anew, or the client went back. Never hide it. */
        kafka->stats.jumps_back++;
        DRI_LOG(DRI_LOG_ERROR, "KAFKA-JUMP", "the broker's log or our position jumped back",
                DRI_TEXT("source", slot->origin), DRI_INT("expected", expected),
                DRI_INT("offset", message->offset));
    }
    slot->next_offset = message->offset + 1;
    kafka->held[kafka->held_count++] = message;
    return true;
}

static void stash(struct dri_kafka *kafka, struct dri_kafka_slot *slot, rd_kafka_message_t *message)
{
    DRI_ASSERT(kafka->stash_count < kafka->stash_max);
    kafka->stash[kafka->stash_count++] = (struct dri_kafka_stashed){message, slot, slot->epoch};
}

void dri_kafka_stash_drop(struct dri_kafka *kafka, const struct dri_kafka_slot *slot)
{
    size_t kept = 0;
    for (size_t i = 0; i < kafka->stash_count; i++) {
        if (slot == NULL || kafka->stash[i].slot == slot) {
            rd_kafka_message_destroy(kafka->stash[i].message);
        } else {
            kafka->stash[kept++] = kafka->stash[i];
        }
    }
    kafka->stash_count = kept;
    for (uint32_t i = 0; i < kafka->slots_count && kafka->early_count > 0; i++) {
        struct dri_kafka_slot *early = kafka->slots[i];
        if (early->early != NULL && (slot == NULL || early == slot)) {
            rd_kafka_message_destroy(early->early);
            early->early = NULL;
            kafka->early_count--;
        }
    }
}

/* A consumer error that stands in place of a message. */
static void on_consumer_error(struct dri_kafka *kafka, const rd_kafka_message_t *message,
                              struct dri_kafka_slot *slot, bool is_log)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (slot != NULL && is_log) {
            check_caught_up(kafka, slot, message->offset);
        } else if (slot != NULL && dri_kafka_is_follower(kafka, slot)) {
            slot->is_end_seen = true;
            dri_kafka_follow_check(kafka, slot);
        }
        return;
    }
    bool is_missing = message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
                      message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                      message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (is_missing && slot != NULL && dri_kafka_is_follower(kafka, slot)) {
        dri_kafka_notice(kafka, DRAY_EBROKER,
                         "%s does not exist, and the commands of that partition wait for it: give "
                         "the topic as many partitions as the commands have (kafka-topics.sh "
                         "--alter --partitions)",
                         slot->origin);
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && slot != NULL) {
        dri_kafka_notice(kafka, is_log ? DRAY_ENOTFOUND : DRAY_EFATAL,
                         "%s: position %" PRId64 " is out of range: the records there were removed "
                         "before they were handled, or the topic was made anew. The worker ends "
                         "rather than skip them: set the group's position "
                         "(kafka-consumer-groups.sh --reset-offsets), then start it again",
                         slot->origin,
                         slot->next_offset >= 0 ? slot->next_offset : slot->committed);
        return;
    }
    dri_kafka_trouble(kafka, message->err, rd_kafka_message_errstr(message));
}

/* The next real message of a handle, with its slot; NULL: none now. Errors and what belongs to no
 * present assignment is dealt with on the way. */
static rd_kafka_message_t *next_message(struct dri_kafka *kafka, bool is_log,
                                        struct dri_kafka_slot **ret_slot)
{
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(is_log ? kafka->log : kafka->group, 0);
        if (message == NULL) {
            return NULL;
        }
        struct dri_kafka_slot *slot = message->rkt == NULL ? NULL : slot_of(kafka, message, is_log);
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            on_consumer_error(kafka, message, slot, is_log);
        } else if (slot == NULL || slot->state != DRI_KAFKA_SLOT_ASSIGNED) {
            kafka->stats.stale_messages++;
        } else {
            kafka->are_brokers_down = false;
            *ret_slot = slot;
            return message;
        }
        rd_kafka_message_destroy(message);
    }
}

/* ---- pausing ---- */

static void set_pause(struct dri_kafka *kafka, struct dri_kafka_slot *slot, bool wanted)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, kafka->sources[slot->source].topic, slot->partition);
    rd_kafka_t *rk = dri_kafka_is_log_slot(kafka, slot) ? kafka->log : kafka->group;
    rd_kafka_resp_err_t err =
        wanted ? rd_kafka_pause_partitions(rk, list) : rd_kafka_resume_partitions(rk, list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        slot->is_paused = wanted;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static bool is_held_back(const struct dri_kafka_slot *slot)
{
    return slot->is_paused_by_owner || slot->is_gated || slot->early != NULL;
}

void dri_kafka_slot_apply_pause(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    bool wanted = is_held_back(slot) || kafka->is_held;
    if (slot->state == DRI_KAFKA_SLOT_ASSIGNED && wanted != slot->is_paused) {
        set_pause(kafka, slot, wanted);
    }
}

void dri_kafka_slot_unpause(struct dri_kafka *kafka, struct dri_kafka_slot *slot)
{
    if (slot->is_paused) {
        set_pause(kafka, slot, false);
    }
    slot->is_paused = false;
}

void dri_kafka_slot_pause(struct dri_kafka *kafka, struct dri_kafka_slot *slot, bool is_paused)
{
    slot->is_paused_by_owner = is_paused;
    dri_kafka_slot_apply_pause(kafka, slot);
}

size_t dri_kafka_stash_open(const struct dri_kafka *kafka)
{
    size_t count = 0;
    for (size_t i = 0; i < kafka->stash_count; i++) {
        count += !kafka->stash[i].slot->is_gated;
    }
    return count;
}

bool dri_kafka_stash_has(const struct dri_kafka *kafka, const struct dri_kafka_slot *slot)
{
    for (size_t i = 0; i < kafka->stash_count; i++) {
        if (kafka->stash[i].slot == slot) {
            return true;
        }
    }
    return false;
}

/* Each partition that is held back for its followers has a place beside the common ones. */
static bool has_stash_room(const struct dri_kafka *kafka)
{
    return kafka->stash_count < kafka->stash_max &&
           (kafka->stash_count < DRI_KAFKA_STASH || dri_kafka_stash_open(kafka) < DRI_KAFKA_STASH);
}

static void hold(struct dri_kafka *kafka, bool is_held)
{
    if (kafka->is_held == is_held) {
        return;
    }
    kafka->is_held = is_held;
    kafka->stats.holds += is_held ? 1 : 0;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        dri_kafka_slot_apply_pause(kafka, kafka->slots[i]);
    }
}

/* ---- delays ---- */

/* Whether the message has to wait; then it waits beside its slot, or (false in *ret_kept) behind
 * one that does. */
static bool is_early(struct dri_kafka *kafka, struct dri_kafka_slot *slot,
                     rd_kafka_message_t *message, bool *ret_kept)
{
    uint64_t delay_ms = kafka->sources[slot->source].delay_ms;
    *ret_kept = false;
    if (delay_ms == 0) {
        return false;
    }
    if (slot->early != NULL) {
        return true;
    }
    rd_kafka_timestamp_type_t type;
    int64_t stored_ms = rd_kafka_message_timestamp(message, &type);
    if (dri_delay_is_over(delay_ms, stored_ms, kafka->wall_ms)) {
        return false;
    }
    /* Never longer than the delay: the clock that wrote the time may be wrong. */
    uint64_t wait_ms = (uint64_t)stored_ms + delay_ms - kafka->wall_ms;
    wait_ms = wait_ms < delay_ms ? wait_ms : delay_ms;
    slot->early = message;
    slot->early_due_ns = kafka->now_ns + wait_ms * UINT64_C(1000000);
    kafka->early_count++;
    dri_kafka_slot_apply_pause(kafka, slot);
    *ret_kept = true;
    return true;
}

/* What waited long enough. */
static size_t take_early(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                         size_t max)
{
    size_t count = 0;
    for (uint32_t i = 0; i < kafka->slots_count && kafka->early_count > 0 && count < max; i++) {
        struct dri_kafka_slot *slot = kafka->slots[i];
        if (slot->early != NULL && slot->early_due_ns <= kafka->now_ns &&
            !slot->is_paused_by_owner && slot->state == DRI_KAFKA_SLOT_ASSIGNED &&
            write_message(kafka, slot, slot->early, &ret_events[count])) {
            count++;
            slot->early = NULL;
            kafka->early_count--;
            dri_kafka_slot_apply_pause(kafka, slot);
        }
    }
    return count;
}

uint64_t dri_kafka_fetch_deadline(const struct dri_kafka *kafka)
{
    uint64_t deadline = UINT64_MAX;
    if (kafka->hold_since_ns != 0) { /* the owner takes none */
        bool is_due = !kafka->is_held && dri_kafka_stash_open(kafka) > 0;
        return is_due ? kafka->hold_since_ns + DRI_KAFKA_HOLD_NS : UINT64_MAX;
    }
    for (uint32_t i = 0; kafka->early_count > 0 && i < kafka->slots_count; i++) {
        const struct dri_kafka_slot *slot = kafka->slots[i];
        if (slot->early != NULL && !slot->is_paused_by_owner &&
            slot->state == DRI_KAFKA_SLOT_ASSIGNED && slot->early_due_ns < deadline) {
            deadline = slot->early_due_ns;
        }
    }
    return deadline;
}

/* The owner takes nothing: let rebalances through all the same. */
static void serve_without_messages(struct dri_kafka *kafka)
{
    if (kafka->hold_since_ns == 0) {
        kafka->hold_since_ns = kafka->now_ns;
    }
    if (dri_kafka_stash_open(kafka) > 0 &&
        kafka->now_ns - kafka->hold_since_ns >= DRI_KAFKA_HOLD_NS) {
        hold(kafka, true);
    }
    for (int log = 0; log < 2; log++) {
        if ((log == 0 ? kafka->group : kafka->log) == NULL) {
            continue;
        }
        /* A stashed message says: there is more. Once paused there is not. */
        while ((dri_kafka_stash_open(kafka) == 0 || kafka->is_held) && has_stash_room(kafka)) {
            struct dri_kafka_slot *slot = NULL;
            rd_kafka_message_t *message = next_message(kafka, log == 1, &slot);
            if (message == NULL) {
                break;
            }
            stash(kafka, slot, message);
            if (kafka->is_held || slot->is_gated) {
                dri_kafka_slot_apply_pause(kafka, slot); /* it was assigned since */
            }
        }
    }
}

static size_t take_stashed(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                           size_t max)
{
    size_t count = 0;
    size_t kept = 0;
    if (kafka->stash_count == 0) {
        return 0;
    }
    for (size_t i = 0; i < kafka->stash_count; i++) {
        struct dri_kafka_stashed *item = &kafka->stash[i];
        DRI_ASSERT(item->epoch == item->slot->epoch);
        bool was_kept = false;
        if (is_early(kafka, item->slot, item->message, &was_kept)) {
            if (!was_kept) {
                kafka->stash[kept++] = *item;
            }
            continue;
        }
        if (count < max && !is_held_back(item->slot) &&
            write_message(kafka, item->slot, item->message, &ret_events[count])) {
            count++;
            if (dri_kafka_is_log_slot(kafka, item->slot)) {
                check_caught_up(kafka, item->slot, item->slot->next_offset);
            }
        } else {
            kafka->stash[kept++] = *item;
        }
    }
    kafka->stash_count = kept;
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        dri_kafka_follow_check(kafka, kafka->slots[i]);
    }
    return count;
}

static size_t take_new(struct dri_kafka *kafka, bool is_log, struct dri_transport_event *ret_events,
                       size_t max)
{
    size_t count = 0;
    while (count < max && has_stash_room(kafka)) {
        struct dri_kafka_slot *slot = NULL;
        rd_kafka_message_t *message = next_message(kafka, is_log, &slot);
        if (message == NULL) {
            kafka->progress.came_up_empty = kafka->progress.came_up_empty || !is_log;
            break;
        }
        bool was_kept = false;
        if (is_early(kafka, slot, message, &was_kept) && was_kept) {
            continue;
        }
        if (is_held_back(slot) || !write_message(kafka, slot, message, &ret_events[count])) {
            stash(kafka, slot, message);
            if (slot->is_gated) {
                dri_kafka_slot_apply_pause(kafka, slot); /* what came behind it comes again */
            }
            continue;
        }
        count++;
        if (is_log) {
            check_caught_up(kafka, slot, slot->next_offset);
        }
    }
    return count;
}

size_t dri_kafka_fetch(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                       size_t messages_max, bool *ret_more)
{
    *ret_more = false;
    if (kafka->group == NULL && kafka->log == NULL) {
        return 0;
    }
    if (messages_max == 0 || !held_reserve(kafka, messages_max)) {
        serve_without_messages(kafka);
        return 0;
    }
    kafka->hold_since_ns = 0;
    size_t count = take_early(kafka, ret_events, messages_max);
    count += take_stashed(kafka, ret_events + count, messages_max - count);
    hold(kafka, false);
    if (kafka->log != NULL) {
        count += take_new(kafka, true, ret_events + count, messages_max - count);
    }
    if (kafka->group != NULL) {
        count += take_new(kafka, false, ret_events + count, messages_max - count);
    }
    *ret_more = count == messages_max;
    return count;
}

/* ---- logs ---- */

static int64_t log_start(const struct dri_kafka_source *source, int64_t begin, int64_t end)
{
    switch (source->start) {
    case DRI_START_LATEST:
        return end;
    case DRI_START_OFFSET:
        return (int64_t)source->start_offset;
    default:
        return begin;
    }
}

/* Where the group stands, within what there is of the log. */
static int64_t group_start(struct dri_kafka_slot *slot, const rd_kafka_topic_partition_t *stand,
                           int64_t begin, int64_t end)
{
    if (stand->offset < begin || stand->offset > end) {
        return begin;
    }
    dri_kafka_slot_keep_metadata(slot, stand);
    return stand->offset;
}

static enum dray_status log_slots(struct dri_kafka *kafka, rd_kafka_topic_partition_list_t *list,
                                  const rd_kafka_topic_partition_list_t *begins,
                                  const rd_kafka_topic_partition_list_t *ends)
{
    int at = 0;
    for (uint32_t i = 0; i < kafka->sources_count; i++) {
        const struct dri_kafka_source *source = &kafka->sources[i];
        for (int32_t p = 0; source->role == DRI_ROLE_LOG && p < source->partitions; p++, at++) {
            struct dri_kafka_slot *slot = dri_kafka_slot_add(kafka, i, p);
            if (slot == NULL) {
                return DRAY_ENOMEM;
            }
            slot->committed = log_start(source, begins->elems[at].offset, ends->elems[at].offset);
            if (source->start == DRI_START_GROUP) {
                slot->committed = group_start(slot, &list->elems[at], begins->elems[at].offset,
                                              ends->elems[at].offset);
            }
            slot->log_end = ends->elems[at].offset;
            list->elems[at].offset = slot->committed;
            dri_kafka_slot_tell(kafka, slot, DRI_KAFKA_TELL_ASSIGNED);
            bool is_empty = begins->elems[at].offset >= slot->log_end;
            check_caught_up(kafka, slot, is_empty ? slot->log_end : slot->committed);
        }
    }
    return DRAY_OK;
}

static rd_kafka_resp_err_t first_error(const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return list->elems[i].err;
        }
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The positions of the group that the client is named after, into the list: open may wait. */
static enum dray_status ask_group(struct dri_kafka *kafka, struct dri_kafka_admin *admin,
                                  rd_kafka_topic_partition_list_t *list, char *ret_text,
                                  size_t text_bytes)
{
    bool is_asked = false;
    for (uint32_t i = 0; i < kafka->sources_count; i++) {
        is_asked = is_asked || kafka->sources[i].start == DRI_START_GROUP;
    }
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    while (is_asked) {
        err = rd_kafka_committed(kafka->log, list, DRI_KAFKA_LOOKUP_MS);
        err = err == RD_KAFKA_RESP_ERR_NO_ERROR ? first_error(list) : err;
        /* A coordinator may be moving, or still be reading its own log. */
        is_asked = err != RD_KAFKA_RESP_ERR_NO_ERROR && dri_kafka_is_noise(err) &&
                   dri_kafka_admin_wait(admin);
    }
    return err == RD_KAFKA_RESP_ERR_NO_ERROR
               ? DRAY_OK
               : dri_kafka_fail(ret_text, text_bytes, err, "the group's positions");
}

enum dray_status dri_kafka_log_open(struct dri_kafka *kafka, struct dri_kafka_admin *admin,
                                    char *ret_text, size_t text_bytes)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; i < kafka->sources_count && status == DRAY_OK; i++) {
        struct dri_kafka_source *source = &kafka->sources[i];
        if (source->role != DRI_ROLE_LOG) {
            continue;
        }
        char reason[160];
        status = dri_kafka_admin_partitions(admin, source->topic, &source->partitions, reason,
                                            sizeof(reason));
        if (status != DRAY_OK) {
            (void)snprintf(ret_text, text_bytes, "topic \"%s\" %s", source->topic, reason);
        }
        for (int32_t p = 0; status == DRAY_OK && p < source->partitions; p++) {
            rd_kafka_topic_partition_list_add(list, source->topic, p);
        }
    }
    rd_kafka_topic_partition_list_t *begins = NULL;
    rd_kafka_topic_partition_list_t *ends = NULL;
    if (status == DRAY_OK) {
        status = dri_kafka_admin_bounds(admin, list, &begins, &ends, ret_text, text_bytes);
    }
    if (status == DRAY_OK) {
        status = ask_group(kafka, admin, list, ret_text, text_bytes);
        status = status == DRAY_OK ? log_slots(kafka, list, begins, ends) : status;
        rd_kafka_topic_partition_list_destroy(begins);
        rd_kafka_topic_partition_list_destroy(ends);
    }
    if (status == DRAY_OK) {
        rd_kafka_resp_err_t err = rd_kafka_assign(kafka->log, list);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = dri_kafka_fail(ret_text, text_bytes, err, "reading logs");
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}
