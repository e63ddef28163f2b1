/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* Park logs and windows: subject "<topic>.p.<n>" is read by whoever has the lease of partition n.
 *
 * A follower is a slot of kind LOG, which is read from its first message by a consumer without
 * acknowledgements: one replica reads it, for as long as it has the partition, so there is nothing
 * that a server would have to remember. It is set up when the lease has come back to us, and not
 * before: what the owner before has stored is behind us then. A partition whose own set-up is done
 * waits (SETUP_FOLLOW) until every follower has its consumer; then all are assigned in one step,
 * the followers first. They end in one step, too: when the lease ends, and when the stream of one
 * of them is gone; the commands are told first. What leads stands behind its followers in the table
 * of slots, and nats.c tells by that order.
 *
 * What of a park log is finished is erased from the stream, since no position says it: the request
 * is repeated until the server has answered. A partition that is given up is kept until all is
 * erased that was settled, or the next owner would run it again. Erased is only while the slot is
 * set up, because set-up looks whether the stream is still the one that we know: a sequence of a
 * stream that was made anew is another message. */

#define AGAIN_NS   UINT64_C(250000000)
#define REFUSED_NS UINT64_C(5000000000)
#define NOT_FOUND  10043u /* Source: nats-server, JSSequenceNotFoundErrF */

/* --- slots ---------------------------------------------------------------------------------- */

static struct dri_nats_slot *leader_of(struct dri_nats *self, const struct dri_nats_slot *slot)
{
    return &self->slots[slot->leader];
}

/** Its followers; returns how many. */
static size_t followers_of(struct dri_nats *self, const struct dri_nats_slot *leader,
                           struct dri_nats_slot *ret_slots[DRI_NATS_FOLLOWERS_MAX])
{
    const uint32_t numbers[DRI_NATS_FOLLOWERS_MAX] = {leader->park, leader->window};
    size_t count = 0;
    for (size_t i = 0; i < DRI_NATS_FOLLOWERS_MAX; i++) {
        if (leader->is_partition && numbers[i] != DRI_SLOT_NONE) {
            ret_slots[count++] = &self->slots[numbers[i]];
        }
    }
    return count;
}

bool dri_nats_follow_has_owner(const struct dri_nats_slot *slot)
{
    return slot->is_partition || slot->leader != DRI_SLOT_NONE;
}

static enum dray_status add_source(struct dri_nats *self, const struct dri_source *source,
                                   char ret_text[DRI_NATS_TEXT_BYTES])
{
    if (strpbrk(source->topic, "*>") != NULL || strlen(source->topic) > 400) {
        dri_nats_say(ret_text, "nats.partitions: \"%.60s\" is no plain subject", source->topic);
        return DRAY_EINVALID;
    }
    for (uint32_t i = 0; i < self->settings.partitions; i++) {
        struct dri_nats_slot *slot = &self->slots[self->slots_count];
        slot->number = self->slots_count++;
        slot->kind = DRI_NATS_LOG;
        slot->role = source->role;
        slot->start = DRI_START_EARLIEST;
        slot->state = DRI_NATS_GONE;
        slot->partition = (int32_t)i;
        slot->average_bytes = 512;
        (void)snprintf(slot->topic, sizeof(slot->topic), "%s.p.%u", source->topic, i);
        (void)snprintf(slot->filter, sizeof(slot->filter), "%s", slot->topic);
    }
    return DRAY_OK;
}

enum dray_status dri_nats_follow_init(struct dri_nats *self,
                                      const struct dri_transport_config *config,
                                      char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nats_follow *follow = &self->follow;
    enum dray_status status = DRAY_OK;
    uint32_t roles = 0;
    follow->slot_first = self->slots_count;
    for (size_t i = 0; status == DRAY_OK && i < config->sources_count; i++) {
        const struct dri_source *source = &config->sources[i];
        if (source->role != DRI_ROLE_PARK && source->role != DRI_ROLE_WINDOW) {
            continue;
        }
        if ((roles & 1u << source->role) != 0) {
            dri_nats_say(ret_text, "\"%.60s\": there is another source of its role", source->topic);
            return DRAY_EINVALID;
        }
        roles |= 1u << source->role;
        status = add_source(self, source, ret_text);
    }
    follow->slots_count = self->slots_count - follow->slot_first;
    return status;
}

void dri_nats_follow_name(struct dri_nats *self, struct dri_nats_slot *leader)
{
    for (uint32_t i = 0; i < self->follow.slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[self->follow.slot_first + i];
        if (slot->partition != leader->partition) {
            continue;
        }
        slot->leader = leader->number;
        if (slot->role == DRI_ROLE_PARK) {
            leader->park = slot->number;
        } else {
            leader->window = slot->number;
        }
    }
}

/* --- come and go ---------------------------------------------------------------------------- */

void dri_nats_follow_begin(struct dri_nats *self, struct dri_nats_slot *leader)
{
    struct dri_nats_slot *slots[DRI_NATS_FOLLOWERS_MAX];
    size_t count = followers_of(self, leader, slots);
    for (size_t i = 0; i < count; i++) {
        struct dri_nats_slot *slot = slots[i];
        if (slot->state != DRI_NATS_GONE || slot->is_assigned) {
            continue; /* it was ours before the connection was down, too */
        }
        slot->stream_created[0] = '\0'; /* whatever it is: from its begin to what is its end now */
        slot->consumer[0] = '\0';
        slot->is_gated = false;
        slot->state = DRI_NATS_SETUP_WAIT;
        slot->setup_at_ns = 0;
        slot->setup_tries = 0;
        slot->erase_at_ns = 0;
    }
}

void dri_nats_follow_join(struct dri_nats *self, struct dri_nats_slot *leader)
{
    struct dri_nats_slot *slots[DRI_NATS_FOLLOWERS_MAX];
    size_t count = followers_of(self, leader, slots);
    if (leader->state != DRI_NATS_SETUP_FOLLOW) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!slots[i]->is_assigned && slots[i]->state != DRI_NATS_READY) {
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!slots[i]->is_assigned) {
            leader->is_gated = true; /* nothing is asked for before the first look at the gates */
            dri_nats_slot_assign(slots[i]);
        }
    }
    dri_nats_slot_ready(self, leader);
}

static void forget_erasing(struct dri_nats *self, struct dri_nats_slot *slot)
{
    slot->erase_count = 0;
    for (size_t i = 0; i < DRI_NATS_ERASING_MAX; i++) {
        struct dri_nats_erasing *erasing = &self->follow.erasing[i];
        if (erasing->slot == slot) {
            dri_nats_calls_cancel(self, erasing);
            erasing->slot = NULL;
        }
    }
}

void dri_nats_follow_vacate(struct dri_nats *self, struct dri_nats_slot *leader)
{
    struct dri_nats_slot *slots[DRI_NATS_FOLLOWERS_MAX];
    size_t count = followers_of(self, leader, slots);
    for (size_t i = 0; i < count; i++) {
        struct dri_nats_slot *slot = slots[i];
        if (slot->is_assigned && !slot->has_assigned) {
            slot->has_lost = true;
            slot->lost_epoch = slot->epoch;
        }
        slot->has_assigned = slot->has_revoked = slot->has_caught_up = slot->is_assigned = false;
        slot->is_caught_up = slot->is_at_end = false;
        dri_nats_calls_cancel(self, slot);
        dri_nats_slot_forget_log(self, slot, dri_clock_now());
        slot->consumer[0] = '\0';
        dri_nats_pull_clear(self, slot, dri_clock_now(), false);
        forget_erasing(self, slot);
        slot->state = DRI_NATS_GONE;
    }
}

void dri_nats_follow_revoke(struct dri_nats *self, struct dri_nats_slot *leader)
{
    struct dri_nats_slot *slots[DRI_NATS_FOLLOWERS_MAX];
    size_t count = followers_of(self, leader, slots);
    for (size_t i = 0; i < count; i++) {
        slots[i]->is_gated = true; /* it stays set up: what is finished is erased */
        slots[i]->has_revoked = slots[i]->is_assigned;
        dri_nats_pull_clear(self, slots[i], dri_clock_now(), false);
    }
}

bool dri_nats_follow_lose(struct dri_nats *self, struct dri_nats_slot *slot)
{
    struct dri_nats_slot *leader = leader_of(self, slot);
    if (!slot->is_assigned) {
        return false;
    }
    DRI_LOG(DRI_LOG_WARN, "NATS-CONSUMER-LOST", "the log beside a partition is gone",
            DRI_TEXT("stream", slot->stream), DRI_TEXT("topic", slot->topic));
    dri_nats_slot_vacate(self, leader);
    leader->lease.sent_ns = 0; /* written at once; when that is back, all are set up */
    return true;
}

/* --- erasing -------------------------------------------------------------------------------- */

static bool is_erased(const struct dri_nats_reply *reply)
{
    return reply->status == DRAY_OK || reply->status == DRAY_ENOTFOUND ||
           reply->code == NOT_FOUND || strstr(reply->description, "no message found") != NULL;
}

static bool is_erasing(const struct dri_nats *self, const struct dri_nats_slot *slot)
{
    bool is_out = false;
    for (size_t i = 0; i < DRI_NATS_ERASING_MAX; i++) {
        is_out = is_out || self->follow.erasing[i].slot == slot;
    }
    return is_out || slot->erase_count > 0;
}

/** The last of a partition that is to be given up was let go: others may have it. */
static void try_release(struct dri_nats *self, struct dri_nats_slot *leader)
{
    struct dri_nats_slot *slots[DRI_NATS_FOLLOWERS_MAX];
    size_t count = followers_of(self, leader, slots);
    if (!leader->lease.is_leaving || leader->is_assigned) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (slots[i]->is_assigned || is_erasing(self, slots[i])) {
            return;
        }
    }
    dri_nats_lease_release(self, leader, dri_clock_now());
}

void dri_nats_follow_unassign(struct dri_nats *self, struct dri_nats_slot *slot)
{
    struct dri_nats_slot *leader = slot->is_partition ? slot : leader_of(self, slot);
    slot->is_assigned = false; /* it is given up, not lost */
    slot->has_revoked = slot->has_caught_up = false;
    dri_nats_pull_clear(self, slot, dri_clock_now(), false);
    if (slot->is_partition) {
        slot->lease.is_leaving = true;
    }
    try_release(self, leader);
}

static bool erase_push(struct dri_nats_slot *slot, uint64_t seq)
{
    if (slot->erase_count == slot->erase_capacity) {
        size_t capacity = slot->erase_capacity == 0 ? 64 : 2 * slot->erase_capacity;
        uint64_t *ring = dri_zalloc_array(capacity, sizeof(*ring));
        if (ring == NULL) {
            return false;
        }
        for (size_t i = 0; i < slot->erase_count; i++) {
            ring[i] = slot->erase[(slot->erase_head + i) & (slot->erase_capacity - 1)];
        }
        dri_free(slot->erase);
        slot->erase = ring;
        slot->erase_capacity = capacity;
        slot->erase_head = 0;
    }
    slot->erase[(slot->erase_head + slot->erase_count) & (slot->erase_capacity - 1)] = seq;
    slot->erase_count++;
    return true;
}

void dri_nats_follow_settle(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t seq)
{
    if (!erase_push(slot, seq)) {
        self->stale_settles++; /* no memory: it is read and run again after a restart */
    }
}

static void on_erased(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_erasing *erasing = arg;
    struct dri_nats_slot *slot = erasing->slot;
    erasing->slot = NULL;
    if (is_erased(reply)) {
        return;
    }
    bool is_refused = reply->status == DRAY_EAUTH || reply->status == DRAY_EINVALID;
    if (is_refused) {
        DRI_LOG(DRI_LOG_WARN, "NATS-ERASE", "what is finished cannot be erased and will run again",
                DRI_TEXT("stream", slot->stream), DRI_UINT("seq", erasing->seq),
                DRI_TEXT("why", reply->description));
    }
    if (!is_refused || !leader_of(self, slot)->lease.is_leaving) {
        dri_nats_follow_settle(self, slot, erasing->seq);
        slot->erase_at_ns = dri_clock_mono_ns() + (is_refused ? REFUSED_NS : AGAIN_NS);
    }
}

static struct dri_nats_erasing *free_erasing(struct dri_nats *self)
{
    for (size_t i = 0; i < DRI_NATS_ERASING_MAX; i++) {
        if (self->follow.erasing[i].slot == NULL) {
            return &self->follow.erasing[i];
        }
    }
    return NULL;
}

static bool can_erase(const struct dri_nats *self, const struct dri_nats_slot *slot)
{
    return self->wire != NULL && slot->erase_count > 0 && slot->state == DRI_NATS_READY;
}

static void erase_some(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[DRI_NATS_NAME_BYTES + 32], body[64];
    struct dri_nats_erasing *erasing = free_erasing(self);
    (void)snprintf(subject, sizeof(subject), "STREAM.MSG.DELETE.%s", slot->stream);
    while (erasing != NULL && can_erase(self, slot) && now.mono_ns >= slot->erase_at_ns) {
        erasing->seq = slot->erase[slot->erase_head];
        (void)snprintf(body, sizeof(body), "{\"seq\":%llu,\"no_erase\":true}",
                       (unsigned long long)erasing->seq);
        if (!dri_nats_call(self, now, subject, body, on_erased, erasing)) {
            slot->erase_at_ns = now.mono_ns + AGAIN_NS;
            return;
        }
        erasing->slot = slot;
        slot->erase_head = (slot->erase_head + 1) & (slot->erase_capacity - 1);
        slot->erase_count--;
        erasing = free_erasing(self);
    }
}

void dri_nats_follow_step(struct dri_nats *self, struct dri_now now)
{
    for (uint32_t i = 0; i < self->follow.slots_count; i++) {
        erase_some(self, &self->slots[self->follow.slot_first + i], now);
    }
    for (uint32_t i = 0; self->follow.slots_count > 0 && i < self->leases.partitions; i++) {
        try_release(self, &self->slots[self->leases.slot_first + i]);
    }
}

uint64_t dri_nats_follow_deadline(const struct dri_nats *self)
{
    uint64_t first = UINT64_MAX;
    bool has_room = false;
    for (size_t i = 0; i < DRI_NATS_ERASING_MAX; i++) {
        has_room = has_room || self->follow.erasing[i].slot == NULL;
    }
    for (uint32_t i = 0; has_room && i < self->follow.slots_count; i++) {
        const struct dri_nats_slot *slot = &self->slots[self->follow.slot_first + i];
        if (can_erase(self, slot) && slot->erase_at_ns < first) {
            first = slot->erase_at_ns;
        }
    }
    return first;
}

void dri_nats_follow_flush(struct dri_nats *self, uint64_t deadline_ns)
{
    for (;;) {
        struct dri_now now = dri_clock_now();
        bool more = false, is_done = true;
        for (uint32_t i = 0; i < self->follow.slots_count; i++) {
            is_done = is_done && !is_erasing(self, &self->slots[self->follow.slot_first + i]);
        }
        if (is_done || self->wire == NULL || now.mono_ns >= deadline_ns) {
            return;
        }
        dri_nats_turn(self, now, &more);
        uint64_t next = dri_nats_follow_deadline(self), calls = dri_nats_calls_deadline(self);
        next = calls < next ? calls : next;
        if (!more) {
            dri_nats_link_wait(self, next < deadline_ns ? next : deadline_ns);
        }
    }
}
