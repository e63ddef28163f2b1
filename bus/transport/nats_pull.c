/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* Pull requests of one slot, and what comes for them. natsSubscription_Fetch is never called:
 * in 3.4.1 it writes past its block in ordinary use, and waits its whole time when the batch is
 * full.
 *
 * A slot keeps a window of messages and bytes asked for: when half of it has come, the next request
 * tops it up, so that the server never waits for us. Each request ends by its count, by a status of
 * the server, or by our own deadline (2.9 does not always send the status). Messages do not say
 * which request they answer; they count for the oldest, as the server serves them.
 *
 * What has come and cannot be handed up yet waits in a ring. Its leases run: they are renewed while
 * the engine is only busy; when the slot is paused they are left to end, so that another replica
 * gets the messages. What is past its lease is dropped, the server delivers it again.
 *
 * A delay source (DRI_ROLE_DELAY) is a log in which each message waits equally long, so that only
 * the first ones have to be looked at. A few of them wait in the ring until their time comes, their
 * leases are renewed, and nothing more is asked for. To nak with a delay instead was rejected: the
 * whole log would be delivered and handed back, and each of it be pending in the server. */

#define DELIVERIES_LEFT     3u  /* for crashes while a message is ended, before the last delivery */
#define DELAY_WINDOW        32u /* of a delay source: so many messages may wait in memory */
#define PARTITION_LOW       16u /* messages asked for ahead, whatever the number of partitions */
#define STATUS_BACKOFF_NS   UINT64_C(250000000)
#define DEADLINE_SLACK_NS   UINT64_C(1000000000)
#define AVERAGE_BYTES_LOW   256u
#define MESSAGE_EXTRA_BYTES (64u * 1024u) /* subjects, and slack */

/* --- the ring ------------------------------------------------------------------------------- */

static struct dri_nats_waiting *ring_at(const struct dri_nats_slot *slot, size_t i)
{
    return &slot->waiting[(slot->waiting_head + i) & (slot->waiting_capacity - 1)];
}

bool dri_nats_pull_put(struct dri_nats_slot *slot, const struct dri_nats_waiting *waiting)
{
    if (slot->waiting_count == slot->waiting_capacity) {
        size_t capacity = slot->waiting_capacity == 0 ? 256 : 2 * slot->waiting_capacity;
        struct dri_nats_waiting *ring = dri_zalloc_array(capacity, sizeof(*ring));
        if (ring == NULL) {
            return false;
        }
        for (size_t i = 0; i < slot->waiting_count; i++) {
            ring[i] = *ring_at(slot, i);
        }
        dri_free(slot->waiting);
        slot->waiting = ring;
        slot->waiting_capacity = capacity;
        slot->waiting_head = 0;
    }
    slot->waiting_count++;
    *ring_at(slot, slot->waiting_count - 1) = *waiting;
    return true;
}

static void ring_drop_first(struct dri_nats_slot *slot)
{
    slot->waiting_head = (slot->waiting_head + 1) & (slot->waiting_capacity - 1);
    slot->waiting_count--;
}

bool dri_nats_pull_take(struct dri_nats_slot *slot, struct dri_nats_waiting *ret_waiting)
{
    if (slot->waiting_count == 0) {
        return false;
    }
    *ret_waiting = *ring_at(slot, 0);
    ring_drop_first(slot);
    return true;
}

void dri_nats_pull_clear(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                         bool hand_back)
{
    for (; slot->waiting_count > 0; ring_drop_first(slot)) {
        const struct dri_nats_waiting *waiting = ring_at(slot, 0);
        if (hand_back && slot->kind == DRI_NATS_GROUP && waiting->due_ns > now.mono_ns) {
            (void)dri_nats_verb_send(self, DRI_NATS_NAK, natsMsg_GetReply(waiting->message));
        }
        natsMsg_Destroy(waiting->message);
    }
    slot->pulls_count = 0;
}

/* --- requests ------------------------------------------------------------------------------- */

static uint32_t outstanding(const struct dri_nats_slot *slot)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < slot->pulls_count; i++) {
        left += slot->pulls[i].left;
    }
    return left;
}

static void pull_remove(struct dri_nats_slot *slot, uint32_t i)
{
    slot->pulls_count--;
    memmove(&slot->pulls[i], &slot->pulls[i + 1], (slot->pulls_count - i) * sizeof(slot->pulls[0]));
}

static void pulls_count_one(struct dri_nats_slot *slot)
{
    if (slot->pulls_count > 0 && --slot->pulls[0].left == 0) {
        pull_remove(slot, 0);
    }
}

static uint32_t window(const struct dri_nats *self, const struct dri_nats_slot *slot)
{
    uint64_t average =
        slot->average_bytes < AVERAGE_BYTES_LOW ? AVERAGE_BYTES_LOW : slot->average_bytes;
    uint64_t wanted = self->settings.pull_batch;
    uint64_t fits = self->memory_bytes == 0 ? wanted : self->memory_bytes / 4 / average;
    wanted = fits < wanted ? fits : wanted;
    if (dri_nats_follow_has_owner(slot) && self->leases.held > 1) {
        wanted =
            wanted / self->leases.held < PARTITION_LOW ? PARTITION_LOW : wanted / self->leases.held;
    }
    wanted = slot->delay_ms != 0 && wanted > DELAY_WINDOW ? DELAY_WINDOW : wanted;
    wanted = slot->batch_max != 0 && slot->batch_max < wanted ? slot->batch_max : wanted;
    return wanted == 0 ? 1 : (uint32_t)wanted;
}

/** Bytes that one request may bring; 0: no bound. Never below what one message may have. */
static uint64_t bytes_max(const struct dri_nats *self)
{
    uint64_t share = self->memory_bytes / DRI_NATS_PULLS_MAX;
    uint64_t least = self->server.payload_bytes_max + MESSAGE_EXTRA_BYTES;
    return self->memory_bytes == 0 ? 0 : share < least ? least : share;
}

static void request(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                    uint32_t batch)
{
    char subject[DRI_NATS_SUBJECT_BYTES], reply[DRI_NATS_SUBJECT_BYTES], body[160], wait[48];
    uint64_t number = ++self->pull_number, bytes = bytes_max(self);
    uint64_t expires_ns = self->settings.pull_expires_ms * UINT64_C(1000000);
    bool is_no_wait = slot->kind == DRI_NATS_LOG && !slot->is_caught_up && !slot->is_at_end;
    (void)snprintf(subject, sizeof(subject), "%sCONSUMER.MSG.NEXT.%s.%s", self->api_prefix,
                   slot->stream, slot->consumer);
    (void)snprintf(reply, sizeof(reply), "%s.S%u.%llu", self->inbox, slot->number,
                   (unsigned long long)number);
    if (is_no_wait) {
        (void)snprintf(wait, sizeof(wait), "\"no_wait\":true");
    } else {
        (void)snprintf(wait, sizeof(wait), "\"expires\":%llu", (unsigned long long)expires_ns);
    }
    if (bytes == 0) {
        (void)snprintf(body, sizeof(body), "{\"batch\":%u,%s}", batch, wait);
    } else {
        (void)snprintf(body, sizeof(body), "{\"batch\":%u,\"max_bytes\":%llu,%s}", batch,
                       (unsigned long long)bytes, wait);
    }
    if (dri_nats_link_send(self, subject, reply, body, strlen(body))) {
        slot->pulls[slot->pulls_count++] =
            (struct dri_nats_pull){number, batch, now.mono_ns + expires_ns + DEADLINE_SLACK_NS};
    }
}

static void renew(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    if (now.mono_ns < slot->renew_at_ns) {
        return;
    }
    slot->renew_at_ns = now.mono_ns + slot->lease_ns / 4;
    for (size_t i = 0; i < slot->waiting_count; i++) {
        struct dri_nats_waiting *waiting = ring_at(slot, i);
        if (waiting->due_ns > now.mono_ns && waiting->due_ns - now.mono_ns < slot->lease_ns / 2 &&
            dri_nats_verb_send(self, DRI_NATS_PROGRESS, natsMsg_GetReply(waiting->message))) {
            waiting->due_ns = now.mono_ns + slot->lease_ns;
        }
    }
}

/* 2.9 says nothing either when a consumer is asked that is gone with its stream. Others are looked
 * for now and then (nats_progress.c), one of a log is now. */
static void drop_unanswered(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    bool is_silent = false;
    for (uint32_t i = slot->pulls_count; i-- > 0;) {
        if (slot->pulls[i].deadline_ns <= now.mono_ns) {
            pull_remove(slot, i);
            is_silent = true;
        }
    }
    if (is_silent && slot->kind == DRI_NATS_LOG) {
        dri_nats_slot_setup_again(self, slot, now);
    }
}

void dri_nats_pull_step(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    drop_unanswered(self, slot, now);
    bool can_pull = !slot->is_paused && slot->is_assigned && slot->state == DRI_NATS_READY &&
                    self->wire != NULL && slot->kind != DRI_NATS_CORE && !slot->lease.is_leaving &&
                    !slot->is_gated;
    bool is_ours_to_change =
        slot->is_paused || slot->is_gated || !slot->is_assigned || self->wire == NULL;
    size_t room = slot->is_internal ? 1 : self->room;
    if (is_ours_to_change || room == 0 || slot->waiting_count > 0) {
        slot->is_starved = false;
    }
    if (!can_pull) {
        return;
    }
    if (slot->kind == DRI_NATS_GROUP && slot->waiting_count > 0) {
        renew(self, slot, now);
    }
    uint32_t wanted = window(self, slot);
    size_t have = outstanding(slot) + slot->waiting_count;
    if (room > 0 && now.mono_ns >= slot->pull_at_ns && have <= wanted / 2 &&
        slot->pulls_count < DRI_NATS_PULLS_MAX) {
        request(self, slot, now, wanted - (uint32_t)have);
    }
}

uint64_t dri_nats_pull_deadline(const struct dri_nats_slot *slot)
{
    uint64_t first = UINT64_MAX;
    if (slot->is_paused || slot->is_gated || slot->state != DRI_NATS_READY ||
        slot->kind == DRI_NATS_CORE) {
        return first;
    }
    for (uint32_t i = 0; i < slot->pulls_count; i++) {
        first = slot->pulls[i].deadline_ns < first ? slot->pulls[i].deadline_ns : first;
    }
    if (slot->pulls_count == 0 && slot->pull_at_ns < first) {
        first = slot->pull_at_ns;
    }
    if (slot->kind == DRI_NATS_GROUP && slot->waiting_count > 0 && slot->renew_at_ns < first) {
        first = slot->renew_at_ns;
    }
    return first;
}

/* --- what arrives --------------------------------------------------------------------------- */

struct ack_numbers {
    struct dray_slice consumer;
    uint64_t deliveries, stream_seq, consumer_seq, time_ns, pending;
};

/** Source: ADR-15. $JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<cseq>.<time>.<pending>, or with
 *  domain and account hash before the stream and a token at the end. */
static bool parse_ack(const char *subject, struct ack_numbers *ret)
{
    const char *tokens[13];
    uint32_t count = 0;
    uint64_t numbers[5];
    if (subject == NULL || strncmp(subject, "$JS.ACK.", 8) != 0) {
        return false;
    }
    for (const char *at = subject; count < 13; at++) {
        tokens[count++] = at;
        at = strchr(at, '.');
        if (at == NULL) {
            break;
        }
    }
    if (count != 9 && count != 11 && count != 12) {
        return false;
    }
    uint32_t first = count == 9 ? 3 : 5;
    ret->consumer = dray_slice_of(tokens[first], (size_t)(tokens[first + 1] - tokens[first]) - 1);
    for (uint32_t i = 0; i < 5; i++) {
        char *end = NULL;
        numbers[i] = strtoull(tokens[first + 1 + i], &end, 10);
        if (end == tokens[first + 1 + i] || (*end != '.' && *end != '\0')) {
            return false;
        }
    }
    ret->deliveries = numbers[0];
    ret->stream_seq = numbers[1];
    ret->consumer_seq = numbers[2];
    ret->time_ns = numbers[3];
    ret->pending = numbers[4];
    return true;
}

/** A slot whose consumer seems to be gone: look for it again. */
static void take_status(struct dri_nats *self, struct dri_nats_slot *slot, natsMsg *message,
                        struct dri_now now)
{
    struct dri_nats_status_line line = dri_nats_header_status(message);
    const char *tail = strrchr(natsMsg_GetSubject(message), '.');
    uint64_t number = tail == NULL ? 0 : strtoull(tail + 1, NULL, 10);
    if (line.code == 0 || line.code == 100) {
        return; /* a heartbeat */
    }
    for (uint32_t i = 0; i < slot->pulls_count; i++) {
        if (slot->pulls[i].number == number) {
            pull_remove(slot, i);
            break;
        }
    }
    switch (line.code) {
    case 404: /* nothing there, without waiting */
        slot->is_at_end = true;
        break;
    case 408: /* time is over, or the rest of a batch did not come */
        slot->is_at_end = slot->is_at_end || slot->kind == DRI_NATS_LOG;
        break;
    case 503: /* nobody serves this consumer: gone, or its leader is away */
        dri_nats_slot_setup_again(self, slot, now);
        break;
    case 409:
        if (strstr(line.text, "MaxBytes") != NULL && strstr(line.text, "Exceeded") == NULL) {
            break; /* the next message did not fit any more: ask again */
        }
        slot->pull_at_ns = now.mono_ns + STATUS_BACKOFF_NS;
        if (strstr(line.text, "eleted") != NULL) {
            dri_nats_slot_setup_again(self, slot, now);
        } else if (strstr(line.text, "MaxRequestBatch") != NULL) {
            slot->batch_max =
                slot->batch_max == 0 ? self->settings.pull_batch / 2 : slot->batch_max / 2;
            slot->batch_max = slot->batch_max == 0 ? 1 : slot->batch_max;
        }
        break;
    default:
        slot->pull_at_ns = now.mono_ns + 4 * STATUS_BACKOFF_NS;
        DRI_LOG(DRI_LOG_WARN, "NATS-PULL", "pull request refused", DRI_TEXT("stream", slot->stream),
                DRI_TEXT("consumer", slot->consumer), DRI_UINT("status", line.code),
                DRI_TEXT("why", line.text));
        break;
    }
}

/** False: not wanted (seen before, or something is missing in front of it). */
static bool log_accepts(struct dri_nats *self, struct dri_nats_slot *slot,
                        const struct ack_numbers *numbers, struct dri_now now)
{
    bool is_of_us = dray_slice_equal_text(numbers->consumer, slot->consumer);
    if (!is_of_us || slot->state != DRI_NATS_READY) {
        return false;
    }
    if (numbers->consumer_seq != slot->consumer_seq + 1) {
        dri_nats_slot_setup_again(self, slot, now); /* lost on the way: a new consumer from there */
        return false;
    }
    slot->consumer_seq = numbers->consumer_seq;
    slot->is_at_end = slot->is_at_end || numbers->pending == 0;
    if (numbers->stream_seq < slot->next_seq) {
        return false;
    }
    slot->next_seq = numbers->stream_seq + 1;
    return true;
}

/** False: not wanted. */
static bool group_accepts(struct dri_nats *self, struct dri_nats_slot *slot, natsMsg *message,
                          const struct ack_numbers *numbers, struct dri_now now)
{
    int64_t timestamp_ms = (int64_t)(numbers->time_ns / 1000000u);
    const char *ack = natsMsg_GetReply(message);
    if (slot->is_partition && !dri_nats_partition_accepts(slot, numbers->consumer)) {
        return false;
    }
    if (slot->state != DRI_NATS_READY && slot->state != DRI_NATS_GONE) {
        return false; /* of a consumer that may be gone: it comes again if it is not */
    }
    if (!slot->is_assigned) {
        (void)dri_nats_verb_send(self, DRI_NATS_NAK, ack);
        return false;
    }
    /* Whatever its delivery count: a server that was killed has forgotten that it delivered at all.
     */
    if (dri_nats_delivery_was_settled(slot, numbers->stream_seq, timestamp_ms)) {
        (void)dri_nats_verb_send(self, DRI_NATS_ACK, ack);
        return false;
    }
    if (dri_nats_delivery_is_of_another(self, slot->number, numbers->stream_seq, timestamp_ms)) {
        dri_nats_slot_setup_again(self, slot, now); /* comes again when that is lost */
        return false;
    }
    return true;
}

static void take_core(struct dri_nats_slot *slot, natsMsg *message)
{
    struct dri_nats_waiting waiting = {
        .message = message,
        .stream_seq = slot->next_seq,
        .timestamp_ms = -1,
        .due_ns = UINT64_MAX,
    };
    if (!slot->is_assigned || !dri_nats_pull_put(slot, &waiting)) {
        natsMsg_Destroy(message);
        return;
    }
    slot->next_seq++;
}

/** When a message that is just come may be handed up. Never later than the delay from now: a clock
 * may be wrong. */
static uint64_t ready_ns(const struct dri_nats_slot *slot, int64_t stored_ms, struct dri_now now)
{
    if (slot->delay_ms == 0 || dri_delay_is_over(slot->delay_ms, stored_ms, now.wall_ms)) {
        return 0;
    }
    uint64_t wait_ms = (uint64_t)stored_ms + slot->delay_ms - slot->delay_ms / 8 - now.wall_ms;
    wait_ms = wait_ms < slot->delay_ms ? wait_ms : slot->delay_ms;
    return now.mono_ns + wait_ms * UINT64_C(1000000);
}

uint64_t dri_nats_pull_ready_ns(const struct dri_nats_slot *slot)
{
    return slot->waiting_count > 0 ? ring_at(slot, 0)->ready_ns : UINT64_MAX;
}

void dri_nats_pull_arrive(struct dri_nats *self, struct dri_nats_slot *slot, natsMsg *message,
                          uint64_t received_ns, struct dri_now now)
{
    struct ack_numbers numbers;
    if (slot->kind == DRI_NATS_CORE) {
        take_core(slot, message);
        return;
    }
    /* The reply subject tells them apart: a sender can put any status line into a message of his.
     */
    if (!parse_ack(natsMsg_GetReply(message), &numbers)) {
        take_status(self, slot, message, now);
        natsMsg_Destroy(message);
        return;
    }
    pulls_count_one(slot);
    slot->is_starved = slot->was_made_anew = false;
    bool is_wanted = slot->kind == DRI_NATS_LOG ? log_accepts(self, slot, &numbers, now)
                                                : group_accepts(self, slot, message, &numbers, now);
    struct dri_nats_waiting waiting = {
        .message = message,
        .stream_seq = numbers.stream_seq,
        .consumer_seq = numbers.consumer_seq,
        .timestamp_ms = (int64_t)(numbers.time_ns / 1000000u),
        .deliveries = numbers.deliveries > UINT32_MAX ? UINT32_MAX : (uint32_t)numbers.deliveries,
        .due_ns = slot->kind == DRI_NATS_LOG ? UINT64_MAX : received_ns + slot->lease_ns,
        .ready_ns = ready_ns(slot, (int64_t)(numbers.time_ns / 1000000u), now),
    };
    uint64_t bytes = (uint64_t)natsMsg_GetDataLength(message) + 256;
    slot->average_bytes = (slot->average_bytes * 15 + bytes) / 16;
    if (bytes > 8 * slot->average_bytes) {
        slot->average_bytes = bytes / 8;
    }
    if (is_wanted && slot->waiting_count == 0) {
        slot->renew_at_ns = now.mono_ns + slot->lease_ns / 4;
    }
    if (!is_wanted || !dri_nats_pull_put(slot, &waiting)) {
        natsMsg_Destroy(message);
    }
}

/* --- handing up ----------------------------------------------------------------------------- */

static bool fill_event(struct dri_nats *self, const struct dri_nats_slot *slot,
                       const struct dri_nats_waiting *waiting,
                       struct dri_transport_event *ret_event)
{
    natsMsg *message = waiting->message;
    int len = natsMsg_GetDataLength(message);
    memset(ret_event, 0, sizeof(*ret_event));
    struct dri_message *out = &ret_event->as.message;
    bool is_ours = slot->role != DRI_ROLE_COMMANDS;
    const char *data = natsMsg_GetData(message);
    size_t bytes = len < 0 ? 0 : (size_t)len;
    enum dray_status status =
        waiting->is_given_up
            ? dri_nats_header_decode_block(dray_slice_of(data, waiting->block_bytes), is_ours,
                                           &self->arena, &out->key, &out->headers)
            : dri_nats_header_decode(message, is_ours, &self->arena, &out->key, &out->headers);
    if (status != DRAY_OK) {
        return false;
    }
    if (slot->kind == DRI_NATS_GROUP) {
        out->delivery = dri_nats_delivery_take(self, slot, waiting);
        if (out->delivery == 0) {
            return false;
        }
        out->deliveries = waiting->deliveries;
        out->is_last = waiting->is_given_up ||
                       (slot->deliver_max > 0 &&
                        waiting->deliveries + UINT64_C(1) + DELIVERIES_LEFT > slot->deliver_max);
    }
    if (slot->role == DRI_ROLE_PARK) {
        out->delivery = waiting->stream_seq; /* to be erased by it */
    }
    ret_event->type = DRI_TE_MESSAGE;
    ret_event->slot = slot->number;
    ret_event->epoch = slot->epoch;
    out->offset = waiting->stream_seq;
    out->timestamp_ms = waiting->timestamp_ms;
    out->is_broker_stamp = waiting->timestamp_ms >= 0;
    out->subject = dray_slice_text(natsMsg_GetSubject(message));
    out->value = data == NULL
                     ? dray_slice_of("", 0)
                     : dray_slice_of(data + waiting->block_bytes, bytes - waiting->block_bytes);
    return true;
}

bool dri_nats_pull_next(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                        struct dri_transport_event *ret_event)
{
    while (slot->is_assigned && !slot->is_paused && !slot->is_gated && slot->waiting_count > 0) {
        const struct dri_nats_waiting *waiting = ring_at(slot, 0);
        if (waiting->due_ns <= now.mono_ns) {
            self->expired_waiting++;
            natsMsg_Destroy(waiting->message);
            ring_drop_first(slot);
            continue;
        }
        if (waiting->ready_ns > now.mono_ns || self->held_count == self->held_capacity ||
            !fill_event(self, slot, waiting, ret_event)) {
            return false; /* early, or no memory: it stays, and comes again if its lease ends */
        }
        self->held[self->held_count++] = waiting->message;
        ring_drop_first(slot);
        return true;
    }
    return false;
}
