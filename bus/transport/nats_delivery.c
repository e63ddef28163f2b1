/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "nats_private.h"

/* Deliveries that were handed up and are not settled: who they are for the server, and until when
 * they are ours.
 *
 * The server believes an acknowledgement of a delivery that has expired, and a NAK or TERM of it
 * too: so past the lease nothing is sent but the acknowledgement of a settle, because then the
 * outcome is stored and a redelivery would only run the command again. For the same reason settles
 * that come while the connection is down are kept and sent later, and a redelivery of what this
 * process has settled (the acknowledgement was lost on the way) is acknowledged again and not
 * handed up.
 *
 * An acknowledgement names a stream, a consumer and a sequence; one that was meant for a stream
 * which is gone would settle a message of the stream that was made anew under its name. So what was
 * settled while the connection was down is sent when the consumer was looked at again and is the
 * same, and a message is known by sequence and time.
 *
 * A message that is delivered again while it is out gets a new name, and the old one is stale:
 * whoever holds it knows the new one by then, and nothing is kept for ever.
 *
 * A delivery is named by index and generation. The subject of its acknowledgement is made again
 * from its numbers: keeping 120 bytes of text for each of 400,000 deliveries would cost 50 MB. */

#define LATE_MAX   100000u
#define VERB_BYTES 512u

static struct dri_nats_delivery *entry_at(const struct dri_nats_deliveries *deliveries,
                                          uint32_t index)
{
    return &deliveries->chunks[index / DRI_NATS_CHUNK][index % DRI_NATS_CHUNK];
}

enum dray_status dri_nats_deliveries_init(struct dri_nats *self, uint32_t max)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    deliveries->chunks_max = max / DRI_NATS_CHUNK + 2;
    deliveries->free = deliveries->late_first = deliveries->late_last = DRI_NATS_NONE;
    deliveries->chunks = dri_zalloc_array(deliveries->chunks_max, sizeof(deliveries->chunks[0]));
    return deliveries->chunks == NULL ? DRAY_ENOMEM : DRAY_OK;
}

void dri_nats_deliveries_fini(struct dri_nats *self)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    for (uint32_t i = 0; i < deliveries->chunks_count; i++) {
        for (uint32_t j = 0; j < DRI_NATS_CHUNK; j++) {
            dri_free(deliveries->chunks[i][j].ack_subject);
        }
        dri_free(deliveries->chunks[i]);
    }
    dri_free(deliveries->places);
    deliveries->places = NULL;
    dri_free(deliveries->chunks);
    deliveries->chunks = NULL;
    deliveries->chunks_count = 0;
}

static bool grow(struct dri_nats_deliveries *deliveries)
{
    if (deliveries->chunks_count == deliveries->chunks_max) {
        return false;
    }
    struct dri_nats_delivery *chunk = dri_zalloc_array(DRI_NATS_CHUNK, sizeof(*chunk));
    if (chunk == NULL) {
        return false;
    }
    uint32_t first = deliveries->chunks_count * DRI_NATS_CHUNK;
    deliveries->chunks[deliveries->chunks_count++] = chunk;
    for (uint32_t i = DRI_NATS_CHUNK; i-- > 0;) {
        chunk[i].next = deliveries->free;
        deliveries->free = first + i;
    }
    return true;
}

/* --- what is out, by slot and sequence ------------------------------------------------------- */

static uint32_t home_of(const struct dri_nats_deliveries *deliveries, uint32_t slot,
                        uint64_t stream_seq)
{
    uint64_t hash = (stream_seq ^ (uint64_t)slot << 56) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 32) & (deliveries->places_max - 1);
}

/** The place that holds this sequence, or the free one where it would go. */
static uint32_t place_of(const struct dri_nats_deliveries *deliveries, uint32_t slot,
                         uint64_t stream_seq)
{
    uint32_t place = home_of(deliveries, slot, stream_seq);
    while (deliveries->places[place] != 0) {
        const struct dri_nats_delivery *entry = entry_at(deliveries, deliveries->places[place] - 1);
        if (entry->stream_seq == stream_seq && entry->slot == slot) {
            break;
        }
        place = (place + 1) & (deliveries->places_max - 1);
    }
    return place;
}

static void place_remove(struct dri_nats_deliveries *deliveries, uint32_t index)
{
    const uint32_t mask = deliveries->places_max - 1;
    const struct dri_nats_delivery *entry = entry_at(deliveries, index);
    uint32_t hole = place_of(deliveries, entry->slot, entry->stream_seq);
    if (deliveries->places[hole] != index + 1) {
        return; /* a later delivery of the same message has it */
    }
    /* Close the hole: whoever stands behind it and may stand nearer to his home moves up. */
    for (uint32_t next = (hole + 1) & mask; deliveries->places[next] != 0;
         next = (next + 1) & mask) {
        const struct dri_nats_delivery *moved = entry_at(deliveries, deliveries->places[next] - 1);
        uint32_t home = home_of(deliveries, moved->slot, moved->stream_seq);
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            deliveries->places[hole] = deliveries->places[next];
            hole = next;
        }
    }
    deliveries->places[hole] = 0;
}

/** Room for one more. */
static bool places_grow(struct dri_nats_deliveries *deliveries)
{
    if (2 * (deliveries->out + 1) <= deliveries->places_max) {
        return true;
    }
    uint32_t old_max = deliveries->places_max, *old = deliveries->places;
    uint32_t max = old_max == 0 ? 2 * DRI_NATS_CHUNK : 2 * old_max;
    uint32_t *places = dri_zalloc_array(max, sizeof(*places));
    if (places == NULL) {
        return false;
    }
    deliveries->places = places;
    deliveries->places_max = max;
    for (uint32_t i = 0; i < old_max; i++) {
        if (old[i] != 0) {
            const struct dri_nats_delivery *entry = entry_at(deliveries, old[i] - 1);
            places[place_of(deliveries, entry->slot, entry->stream_seq)] = old[i];
        }
    }
    dri_free(old);
    return true;
}

static void give(struct dri_nats_deliveries *deliveries, uint32_t index)
{
    struct dri_nats_delivery *entry = entry_at(deliveries, index);
    place_remove(deliveries, index);
    dri_free(entry->ack_subject);
    entry->ack_subject = NULL;
    entry->state = DRI_NATS_FREE;
    entry->next = deliveries->free;
    deliveries->free = index;
    deliveries->out--;
}

/** Whether the subject has the plain form, which can be made again from its numbers. */
static bool is_plain_ack(const char *subject)
{
    uint32_t dots = 0;
    for (; *subject != '\0'; subject++) {
        dots += *subject == '.' ? 1 : 0;
    }
    return dots == 8;
}

uint64_t dri_nats_delivery_take(struct dri_nats *self, const struct dri_nats_slot *slot,
                                const struct dri_nats_waiting *waiting)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    const char *ack = natsMsg_GetReply(waiting->message);
    char *copy = NULL;
    if ((deliveries->free == DRI_NATS_NONE && !grow(deliveries)) || !places_grow(deliveries)) {
        return 0;
    }
    bool is_made_again = is_plain_ack(ack) && !waiting->is_given_up;
    if (!is_made_again && (copy = dri_strdup(ack)) == NULL) {
        return 0;
    }
    uint32_t place = place_of(deliveries, slot->number, waiting->stream_seq);
    if (deliveries->places[place] != 0) {
        give(deliveries, deliveries->places[place] - 1); /* the new one stands for both */
        place = place_of(deliveries, slot->number, waiting->stream_seq);
    }
    uint32_t index = deliveries->free;
    struct dri_nats_delivery *entry = entry_at(deliveries, index);
    deliveries->free = entry->next;
    deliveries->places[place] = index + 1;
    deliveries->out++;
    entry->generation++;
    entry->state = DRI_NATS_OUT;
    entry->slot = slot->number;
    entry->epoch = slot->epoch;
    entry->stream_seq = waiting->stream_seq;
    entry->consumer_seq = waiting->consumer_seq;
    entry->timestamp_ms = waiting->timestamp_ms;
    entry->deliveries = waiting->deliveries;
    entry->due_ns = waiting->due_ns;
    entry->ack_subject = copy;
    entry->is_orphan = false;
    return (uint64_t)entry->generation << 32 | (uint64_t)(index + 1);
}

static struct dri_nats_delivery *find(struct dri_nats *self, uint64_t delivery, uint32_t slot,
                                      uint32_t epoch, uint32_t *ret_index)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    uint32_t index = (uint32_t)delivery - 1;
    if ((uint32_t)delivery == 0 || index >= deliveries->chunks_count * DRI_NATS_CHUNK) {
        return NULL;
    }
    struct dri_nats_delivery *entry = entry_at(deliveries, index);
    if (entry->state != DRI_NATS_OUT || entry->generation != (uint32_t)(delivery >> 32) ||
        entry->slot != slot || entry->epoch != epoch) {
        return NULL;
    }
    *ret_index = index;
    return entry;
}

static void ack_subject_of(const struct dri_nats *self, const struct dri_nats_delivery *entry,
                           char ret_subject[VERB_BYTES])
{
    const struct dri_nats_slot *slot = &self->slots[entry->slot];
    if (entry->ack_subject != NULL) {
        (void)snprintf(ret_subject, VERB_BYTES, "%s", entry->ack_subject);
        return;
    }
    /* Source: nats-server consumer.go, ackReplyInfo: delivered count, stream and consumer sequence
     * count; time and pending are not looked at. */
    (void)snprintf(ret_subject, VERB_BYTES, "$JS.ACK.%s.%s.%u.%llu.%llu.0.0", slot->stream,
                   slot->consumer, entry->deliveries, (unsigned long long)entry->stream_seq,
                   (unsigned long long)entry->consumer_seq);
}

bool dri_nats_verb_send(struct dri_nats *self, enum dri_nats_verb verb, const char *ack_subject)
{
    static const char *const words[] = {"+ACK", "-NAK", "+WPI"};
    return dri_nats_link_send(self, ack_subject, NULL, words[verb], 4);
}

/* --- what was settled lately ---------------------------------------------------------------- */

static size_t recent_place(uint64_t stream_seq)
{
    return (size_t)(stream_seq & (DRI_NATS_RECENT_MAX - 1));
}

/** Sequence and time in one number; never 0. */
static uint64_t identity_of(uint64_t stream_seq, int64_t timestamp_ms)
{
    return (stream_seq ^ (uint64_t)timestamp_ms * UINT64_C(0x9e3779b97f4a7c15)) | 1u << 31;
}

bool dri_nats_delivery_was_settled(const struct dri_nats_slot *slot, uint64_t stream_seq,
                                   int64_t timestamp_ms)
{
    /* Sequences are dense enough that the low bits are a hash: a newer one takes the place. */
    return slot->recent != NULL &&
           slot->recent[recent_place(stream_seq)] == identity_of(stream_seq, timestamp_ms);
}

bool dri_nats_delivery_is_of_another(const struct dri_nats *self, uint32_t slot,
                                     uint64_t stream_seq, int64_t timestamp_ms)
{
    const struct dri_nats_deliveries *deliveries = &self->deliveries;
    if (deliveries->places_max == 0) {
        return false;
    }
    uint32_t number = deliveries->places[place_of(deliveries, slot, stream_seq)];
    return number != 0 && entry_at(deliveries, number - 1)->timestamp_ms != timestamp_ms;
}

static void remember(struct dri_nats_slot *slot, uint64_t stream_seq, int64_t timestamp_ms)
{
    if (slot->recent == NULL) {
        slot->recent = dri_zalloc_array(DRI_NATS_RECENT_MAX, sizeof(slot->recent[0]));
    }
    if (slot->recent != NULL) {
        slot->recent[recent_place(stream_seq)] = identity_of(stream_seq, timestamp_ms);
    }
}

/* --- settle and extend ---------------------------------------------------------------------- */

static void late_append(struct dri_nats_deliveries *deliveries, uint32_t index)
{
    struct dri_nats_delivery *entry = entry_at(deliveries, index);
    entry->state = DRI_NATS_LATE;
    entry->next = DRI_NATS_NONE;
    if (deliveries->late_last == DRI_NATS_NONE) {
        deliveries->late_first = index;
    } else {
        entry_at(deliveries, deliveries->late_last)->next = index;
    }
    deliveries->late_last = index;
    deliveries->late_count++;
}

static void put_late(struct dri_nats *self, uint32_t index)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    if (deliveries->late_count == LATE_MAX) {
        give(deliveries, index); /* comes again; remember() has it */
        return;
    }
    place_remove(deliveries, index);
    late_append(deliveries, index);
}

void dri_nats_deliveries_settle(struct dri_nats *self, const struct dri_settle *settle)
{
    char subject[VERB_BYTES];
    uint32_t index = 0;
    struct dri_nats_slot *slot = dri_nats_slot_at(self, settle->slot, settle->epoch);
    if (slot != NULL && slot->role == DRI_ROLE_PARK) {
        dri_nats_follow_settle(self, slot, settle->delivery);
        return;
    }
    if (slot != NULL && slot->kind != DRI_NATS_GROUP) {
        return; /* a log has no position to keep */
    }
    struct dri_nats_delivery *entry =
        slot == NULL ? NULL : find(self, settle->delivery, settle->slot, settle->epoch, &index);
    if (entry == NULL) {
        self->stale_settles++;
        return;
    }
    remember(slot, entry->stream_seq, entry->timestamp_ms);
    if (slot->is_partition &&
        (entry->is_orphan || slot->state != DRI_NATS_READY || !dri_nats_lease_is_ours(slot))) {
        give(&self->deliveries, index); /* comes again, and is acknowledged then */
        return;
    }
    ack_subject_of(self, entry, subject);
    if (slot->state == DRI_NATS_READY && dri_nats_verb_send(self, DRI_NATS_ACK, subject)) {
        give(&self->deliveries, index);
    } else {
        put_late(self, index);
    }
}

void dri_nats_deliveries_extend(struct dri_nats *self, struct dri_now now, uint32_t slot_number,
                                uint32_t epoch, const uint64_t *ids, size_t count)
{
    const struct dri_nats_slot *slot = dri_nats_slot_at(self, slot_number, epoch);
    char subject[VERB_BYTES];
    if (slot == NULL || slot->kind != DRI_NATS_GROUP) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t index = 0;
        struct dri_nats_delivery *entry = find(self, ids[i], slot_number, epoch, &index);
        if (entry == NULL || entry->is_orphan || entry->due_ns <= now.mono_ns) {
            self->expired_extends++;
            continue;
        }
        ack_subject_of(self, entry, subject);
        if (dri_nats_verb_send(self, DRI_NATS_PROGRESS, subject)) {
            entry->due_ns = now.mono_ns + slot->lease_ns;
        }
    }
}

/** Takes this slot's out of the list of the late: sent, or dropped. What cannot be sent stays. */
static void late_sweep(struct dri_nats *self, uint32_t slot, bool can_send)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    char subject[VERB_BYTES];
    uint32_t index = deliveries->late_first;
    deliveries->late_first = deliveries->late_last = DRI_NATS_NONE;
    deliveries->late_count = 0;
    while (index != DRI_NATS_NONE) {
        struct dri_nats_delivery *entry = entry_at(deliveries, index);
        uint32_t next = entry->next;
        bool is_his = entry->slot == slot;
        if (is_his && can_send) {
            ack_subject_of(self, entry, subject);
            is_his = dri_nats_verb_send(self, DRI_NATS_ACK, subject);
        }
        if (is_his) {
            give(deliveries, index);
        } else {
            late_append(deliveries, index);
        }
        index = next;
    }
}

void dri_nats_deliveries_ready(struct dri_nats *self, uint32_t slot)
{
    late_sweep(self, slot, true);
}

void dri_nats_deliveries_orphan(struct dri_nats *self, uint32_t slot)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    for (uint32_t i = 0; i < deliveries->chunks_count * DRI_NATS_CHUNK; i++) {
        struct dri_nats_delivery *entry = entry_at(deliveries, i);
        if (entry->state == DRI_NATS_OUT && entry->slot == slot) {
            entry->is_orphan = true;
        }
    }
}

void dri_nats_deliveries_drop(struct dri_nats *self, uint32_t slot)
{
    struct dri_nats_deliveries *deliveries = &self->deliveries;
    for (uint32_t i = 0; i < deliveries->chunks_count * DRI_NATS_CHUNK; i++) {
        struct dri_nats_delivery *entry = entry_at(deliveries, i);
        if (entry->state == DRI_NATS_OUT && entry->slot == slot) {
            give(deliveries, i);
        }
    }
    late_sweep(self, slot, false);
}
