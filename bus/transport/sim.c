/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* sim.c - the transport to the simulated broker: what a client library would be.
 *
 * It keeps the promises of transport.h and nothing more: whatever the contract leaves open, it does
 * in an awkward way when the faults say so. Bytes of an event are copies that are overwritten and
 * freed at the next poll, so that whoever borrows longer is found. Epochs are unique in a broker,
 * so that a stale one can never be mistaken.
 *
 * The client does not know more than a real one: one that was thrown out of its group goes on until
 * its next poll, and one that is isolated goes on for as long as it is.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "sim_inside.h"

#define NS_PER_MS  UINT64_C(1000000)
#define SLOT_BURST 16u /* messages of one slot before the next one's turn */
#define POISON     0xdb

/* --- events
 * --------------------------------------------------------------------------------------- */

void sim_tell(struct dri_transport *client, const struct dri_transport_event *event, char *bytes,
              size_t bytes_len)
{
    if (client->is_dead || client->is_closed) {
        dri_free(bytes);
        return;
    }
    if (client->queue_head > 0 &&
        client->queue_head + client->queue_count == client->queue_capacity) {
        memmove(client->queue, client->queue + client->queue_head,
                client->queue_count * sizeof(*client->queue));
        client->queue_head = 0;
    }
    size_t used = client->queue_head + client->queue_count;
    struct sim_event *queue =
        sim_grown(client->queue, &client->queue_capacity, used, sizeof(*queue));
    DRI_ASSERT(queue != NULL); /* an event that vanishes would break the contract */
    client->queue = queue;
    queue[used] = (struct sim_event){*event, bytes, bytes_len};
    client->queue_count++;
}

static void release_held(struct dri_transport *client)
{
    for (size_t i = 0; i < client->held_count; i++) {
        memset(client->held[i].at, POISON, client->held[i].bytes);
        dri_free(client->held[i].at);
    }
    client->held_count = 0;
}

/* bytes live until the next poll. */
static bool hold(struct dri_transport *client, char *at, size_t bytes)
{
    struct sim_held *held =
        sim_grown(client->held, &client->held_capacity, client->held_count, sizeof(*held));
    if (held == NULL) {
        return false;
    }
    client->held = held;
    held[client->held_count++] = (struct sim_held){at, bytes};
    return true;
}

static size_t take_events(struct dri_transport *client, struct dri_transport_event *ret_events,
                          size_t max)
{
    size_t count = 0;
    while (count < max && client->queue_count > 0) {
        struct sim_event *event = &client->queue[client->queue_head];
        if (event->bytes != NULL && !hold(client, event->bytes, event->bytes_len)) {
            break;
        }
        ret_events[count++] = event->event;
        client->queue_head++;
        client->queue_count--;
    }
    if (client->queue_count == 0) {
        client->queue_head = 0;
    }
    return count;
}

/* --- slots
 * ---------------------------------------------------------------------------------------- */

uint32_t sim_slot_get(struct dri_transport *client, struct sim_partition *partition,
                      struct sim_claim *claim, enum dri_source_role role)
{
    for (uint32_t i = 0; i < client->slots_count; i++) {
        if (client->slots[i].partition == partition && client->slots[i].claim == claim) {
            return i;
        }
    }
    struct sim_slot *slots =
        sim_grown(client->slots, &client->slots_capacity, client->slots_count, sizeof(*slots));
    if (slots == NULL) {
        return UINT32_MAX;
    }
    client->slots = slots;
    slots[client->slots_count] = (struct sim_slot){.partition = partition,
                                                   .claim = claim,
                                                   .role = role,
                                                   .comeback_ns = UINT64_MAX,
                                                   .leader = DRI_SLOT_NONE,
                                                   .park = DRI_SLOT_NONE,
                                                   .window = DRI_SLOT_NONE};
    return (uint32_t)client->slots_count++;
}

static void see_metadata(const struct dri_transport *client, uint32_t slot,
                         enum dri_sim_sight_type type, uint64_t offset, uint32_t deliveries,
                         struct dray_slice metadata)
{
    const struct sim_slot *at = &client->slots[slot];
    sim_see(client->broker, &(struct dri_sim_sight){.type = type,
                                                    .topic = at->partition->topic->name,
                                                    .partition = at->partition->number,
                                                    .client = client->number,
                                                    .slot = slot,
                                                    .epoch = at->epoch,
                                                    .offset = offset,
                                                    .metadata = metadata,
                                                    .deliveries = deliveries});
}

void sim_see_slot(const struct dri_transport *client, uint32_t slot, enum dri_sim_sight_type type,
                  uint64_t offset, uint32_t deliveries)
{
    see_metadata(client, slot, type, offset, deliveries, dray_slice_of(NULL, 0));
}

static void find_position(struct sim_slot *slot, enum dri_start start, uint64_t start_offset)
{
    slot->position = 0;
    if (slot->claim != NULL && slot->claim->committed >= 0) {
        slot->position = sim_index_of(slot->partition, (uint64_t)slot->claim->committed);
    } else if (start == DRI_START_LATEST) {
        slot->position = slot->partition->count;
    } else if (start == DRI_START_OFFSET) {
        slot->position = sim_index_of(slot->partition, start_offset);
    }
}

void sim_slot_assign(struct dri_transport *client, uint32_t number, enum dri_start start,
                     uint64_t start_offset)
{
    struct dri_sim_broker *broker = client->broker;
    struct sim_slot *slot = &client->slots[number];
    slot->epoch = ++broker->epochs;
    slot->state = SIM_SLOT_OPEN;
    slot->is_paused = false;
    slot->is_given_up = false;
    slot->has_caught_up = slot->claim != NULL && !sim_is_follower(slot->role);
    slot->log_end = slot->partition->count;
    find_position(slot, start, start_offset);
    struct dri_transport_event event = {
        .type = DRI_TE_ASSIGNED, .slot = number, .epoch = slot->epoch};
    event.as.assigned.role = slot->role;
    event.as.assigned.mode = slot->claim == NULL ? DRI_SETTLE_WATERMARK : broker->config.mode;
    event.as.assigned.partition = slot->partition->number;
    event.as.assigned.committed = slot->claim == NULL ? -1 : slot->claim->committed;
    event.as.assigned.lease_ns =
        event.as.assigned.mode == DRI_SETTLE_EACH && !sim_is_follower(slot->role)
            ? broker->config.lease_ms * NS_PER_MS
            : 0;
    sim_follow_name(client, number, &event.as.assigned.park, &event.as.assigned.window);
    size_t bytes_len = 0;
    char *bytes = sim_assigned_bytes(client, slot, &event, &bytes_len);
    DRI_ASSERT(bytes != NULL);
    see_metadata(client, number, DRI_SIM_ASSIGNED,
                 slot->claim == NULL ? UINT64_MAX : (uint64_t)slot->claim->committed, 0,
                 event.as.assigned.metadata);
    sim_tell(client, &event, bytes, bytes_len);
}

void sim_slot_open(struct dri_transport *client, uint32_t slot)
{
    sim_follow_open(client, slot);
    sim_slot_assign(client, slot, client->slots[slot].claim->start, 0);
}

void sim_slot_open_log(struct dri_transport *client, uint32_t slot, const struct dri_source *source)
{
    sim_slot_assign(client, slot, source->start, source->start_offset);
}

void sim_slot_tell_end(struct dri_transport *client, uint32_t slot,
                       enum dri_transport_event_type type)
{
    struct dri_transport_event event = {
        .type = type, .slot = slot, .epoch = client->slots[slot].epoch};
    sim_tell(client, &event, NULL, 0);
    sim_see_slot(client, slot, DRI_SIM_ENDED, type == DRI_TE_LOST ? 1 : 0, 0);
}

static struct sim_slot *current_slot(struct dri_transport *client, uint32_t slot, uint32_t epoch)
{
    if (slot < client->slots_count && client->slots[slot].epoch == epoch &&
        client->slots[slot].state != SIM_SLOT_CLOSED) {
        return &client->slots[slot];
    }
    client->stale++;
    return NULL;
}

/* --- death
 * ---------------------------------------------------------------------------------------- */

void sim_die(struct dri_transport *client)
{
    if (client->is_dead || client->is_closed) {
        return;
    }
    client->is_dead = true;
    sim_count(client->broker, DRI_SIM_KILLED);
    sim_forget_client(client, true);
    if (client->member != NULL && client->member->heartbeat_ns == 0) {
        client->member->heartbeat_ns = client->broker->now.mono_ns + 1;
    }
}

bool sim_spend(struct dri_transport *client)
{
    if (client->operations_left == 0) {
        sim_die(client);
    } else if (client->operations_left != UINT64_MAX) {
        client->operations_left--;
    }
    return !client->is_dead;
}

/* --- poll
 * ----------------------------------------------------------------------------------------- */

static bool lend_record(struct dri_transport *client, const struct sim_record *record,
                        struct dri_message *ret_message)
{
    const struct dri_sim_record *view = &record->view;
    struct dray_slice parts[] = {view->subject, view->key, view->value, view->headers};
    size_t bytes = 1;
    for (size_t i = 0; i < DRI_ARRAY_LEN(parts); i++) {
        bytes += parts[i].len;
    }
    char *block = dri_zalloc(bytes);
    if (block == NULL || !hold(client, block, bytes)) {
        dri_free(block);
        return false;
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(parts); i++) {
        if (parts[i].at != NULL) {
            memcpy(block, parts[i].at, parts[i].len);
            parts[i].at = (uint8_t *)block;
            block += parts[i].len;
        }
    }
    ret_message->timestamp_ms = view->timestamp_ms;
    ret_message->is_broker_stamp = true;
    ret_message->subject = parts[0];
    ret_message->key = parts[1];
    ret_message->value = parts[2];
    ret_message->headers = parts[3];
    return true;
}

/* One by one, under a lease; else it is read like a log. */
static bool is_delivered(const struct dri_transport *client, const struct sim_slot *slot)
{
    return slot->claim != NULL && client->broker->config.mode == DRI_SETTLE_EACH &&
           !sim_is_follower(slot->role);
}

static bool has_visible(const struct dri_transport *client, const struct sim_slot *slot)
{
    const struct sim_partition *log = slot->partition;
    return slot->position < log->count &&
           sim_ready_ns(slot->claim, log->records[slot->position]) <= client->broker->now.mono_ns;
}

/* The next message of a slot; false: none. */
static bool next_message(struct dri_transport *client, uint32_t number,
                         struct dri_transport_event *ret_event)
{
    struct sim_slot *slot = &client->slots[number];
    const struct sim_record *record = NULL;
    struct dri_transport_event event = {
        .type = DRI_TE_MESSAGE, .slot = number, .epoch = slot->epoch};
    if (slot->state != SIM_SLOT_OPEN || slot->is_paused || sim_follow_holds(client, slot)) {
        return false;
    }
    sim_follow_skip(slot);
    if (is_delivered(client, slot)) {
        record = sim_deliver(client, number, &event.as.message);
    } else if (has_visible(client, slot)) {
        record = slot->partition->records[slot->position];
        event.as.message.offset = record->view.offset;
        event.as.message.delivery =
            client->broker->config.mode == DRI_SETTLE_EACH && slot->role == DRI_ROLE_PARK
                ? record->view.offset
                : 0;
    }
    if (record == NULL || !sim_spend(client) || !lend_record(client, record, &event.as.message)) {
        return false;
    }
    slot->position++;
    sim_see_slot(client, number, DRI_SIM_DELIVERED, record->view.offset,
                 event.as.message.deliveries);
    *ret_event = event;
    return true;
}

static bool catch_up_event(struct dri_transport *client, uint32_t number,
                           struct dri_transport_event *ret_event)
{
    struct sim_slot *slot = &client->slots[number];
    sim_follow_skip(slot);
    if (slot->has_caught_up || slot->state != SIM_SLOT_OPEN || slot->position < slot->log_end) {
        return false;
    }
    slot->has_caught_up = true;
    *ret_event = (struct dri_transport_event){
        .type = DRI_TE_CAUGHT_UP, .slot = number, .epoch = slot->epoch};
    return true;
}

/* Slots take turns; each gives a few messages in its order. */
static size_t take_messages(struct dri_transport *client, struct dri_transport_event *ret_events,
                            size_t messages_max, size_t max)
{
    size_t count = 0;
    size_t messages = 0;
    for (size_t turn = 0, barren = 0; barren < client->slots_count && count < max; turn++) {
        uint32_t number = (uint32_t)((client->slots_turn + turn) % client->slots_count);
        size_t before = count;
        for (size_t i = 0; i < SLOT_BURST && messages < messages_max && count < max; i++) {
            if (!next_message(client, number, &ret_events[count])) {
                break;
            }
            messages++;
            count++;
        }
        if (count < max && catch_up_event(client, number, &ret_events[count])) {
            count++;
        }
        barren = count == before ? barren + 1 : 0;
    }
    client->slots_turn++;
    return count;
}

static uint64_t messages_deadline(const struct dri_transport *client)
{
    uint64_t at_ns = UINT64_MAX;
    for (uint32_t i = 0; i < client->slots_count; i++) {
        const struct sim_slot *slot = &client->slots[i];
        if (slot->state != SIM_SLOT_OPEN || slot->is_paused || sim_follow_holds(client, slot)) {
            continue;
        }
        uint64_t slot_ns = UINT64_MAX;
        if (is_delivered(client, slot)) {
            slot_ns = sim_deliver_deadline(slot->claim);
        } else if (slot->position < slot->partition->count) {
            slot_ns = sim_ready_ns(slot->claim, slot->partition->records[slot->position]);
        }
        at_ns = slot_ns < at_ns ? slot_ns : at_ns;
    }
    return at_ns < client->broker->paused_until_ns ? client->broker->paused_until_ns : at_ns;
}

/* An end that was reached and not told, for want of room or because all behind it was deleted. */
static uint64_t catch_up_deadline(const struct dri_transport *client)
{
    const struct dri_sim_broker *broker = client->broker;
    for (uint32_t i = 0; i < client->slots_count; i++) {
        const struct sim_slot *slot = &client->slots[i];
        if (slot->state == SIM_SLOT_OPEN && !slot->has_caught_up &&
            slot->position >= slot->log_end) {
            return broker->now.mono_ns < broker->paused_until_ns ? broker->paused_until_ns
                                                                 : broker->now.mono_ns;
        }
    }
    return UINT64_MAX;
}

static size_t poll_locked(struct dri_transport *client, struct dri_now now, size_t messages_max,
                          struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    struct dri_sim_broker *broker = client->broker;
    if (client->member != NULL && client->member->heartbeat_ns == 0) {
        client->member->heartbeat_ns = now.mono_ns;
    }
    sim_advance(broker, now);
    client->last_poll_ns = broker->now.mono_ns;
    client->last_messages_max = messages_max;
    sim_heartbeat(client);
    size_t count = take_events(client, ret_events, max);
    size_t wanted = messages_max;
    if (wanted > 0 && sim_strikes(broker, DRI_SIM_POLL_SHORT)) {
        wanted = sim_below(broker, wanted);
    }
    if (broker->now.mono_ns >= broker->paused_until_ns && client->slots_count > 0) {
        count += take_messages(client, ret_events + count, wanted, max - count);
    }
    *ret_more = !client->is_dead &&
                (client->queue_count > 0 || catch_up_deadline(client) <= broker->now.mono_ns ||
                 (messages_max > 0 && messages_deadline(client) <= broker->now.mono_ns));
    return count;
}

static size_t sim_poll(struct dri_transport *client, struct dri_now now, size_t messages_max,
                       struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    size_t count = 0;
    dri_lock_take(&client->broker->lock);
    *ret_more = false;
    release_held(client);
    if (!client->is_dead && !client->is_closed) {
        sim_txn_serve(client);
        count = poll_locked(client, now, messages_max, ret_events, max, ret_more);
        client->is_break_untold = client->is_break_untold && client->queue_count > 0;
    }
    dri_lock_drop(&client->broker->lock);
    return count;
}

static int sim_fd(struct dri_transport *client)
{
    (void)client;
    return -1;
}

static uint64_t sim_next_deadline(struct dri_transport *client)
{
    struct dri_sim_broker *broker = client->broker;
    uint64_t at_ns = UINT64_MAX;
    dri_lock_take(&broker->lock);
    if (!client->is_dead && !client->is_closed) {
        uint64_t others[] = {
            sim_wire_deadline(broker),
            sim_groups_deadline(broker),
            client->member == NULL
                ? UINT64_MAX
                : client->last_poll_ns + broker->config.session_ms * NS_PER_MS / 3,
            client->last_messages_max == 0 ? UINT64_MAX : messages_deadline(client),
            catch_up_deadline(client),
            broker->config.is_virtual ? UINT64_MAX : client->last_poll_ns + NS_PER_MS,
            client->ready_ns > broker->now.mono_ns ? client->ready_ns : UINT64_MAX,
        };
        at_ns = client->queue_count > 0 ? broker->now.mono_ns : UINT64_MAX;
        for (size_t i = 0; i < DRI_ARRAY_LEN(others); i++) {
            at_ns = others[i] < at_ns ? others[i] : at_ns;
        }
    }
    dri_lock_drop(&broker->lock);
    return at_ns;
}

/* --- publish
 * -------------------------------------------------------------------------------------- */

static void refuse(struct dri_transport *client, uint64_t token, enum dray_status reason)
{
    struct sim_op *op = dri_zalloc(sizeof(*op));
    DRI_ASSERT(op != NULL);
    op->type = SIM_OP_ACK;
    op->client = client;
    op->published = (struct dri_published){.token = token,
                                           .ack = DRI_ACK_NOT_STORED,
                                           .reason = reason,
                                           .partition = -1,
                                           .offset = UINT64_MAX};
    sim_count(client->broker,
              reason == DRAY_ELIMIT ? DRI_SIM_REFUSED_LIMIT : DRI_SIM_REFUSED_TARGET);
    sim_send(client->broker, client->broker->now.mono_ns + sim_latency(client->broker), op);
}

/* In order behind what this client sent before, unless it got lost on the way. */
static void send_store(struct dri_transport *client, struct sim_op *op)
{
    struct dri_sim_broker *broker = client->broker;
    uint64_t now_ns = broker->now.mono_ns;
    uint64_t at_ns = now_ns + sim_latency(broker);
    uint64_t unknown_ns = at_ns + sim_latency(broker) + sim_lateness(broker);
    if (at_ns < client->last_store_ns) {
        at_ns = client->last_store_ns;
    }
    if (sim_strikes(broker, DRI_SIM_PUBLISH_LOST_UNKNOWN)) {
        sim_report_unknown(broker, client, op->published.token, unknown_ns);
        sim_op_free(op);
        return;
    }
    if (sim_strikes(broker, DRI_SIM_PUBLISH_STORED_UNKNOWN)) {
        op->is_silent = true;
        sim_report_unknown(broker, client, op->published.token, unknown_ns);
    } else if (sim_strikes(broker, DRI_SIM_PUBLISH_LATE_UNKNOWN)) {
        op->is_silent = true;
        sim_report_unknown(broker, client, op->published.token, unknown_ns);
        sim_send(broker, unknown_ns + sim_lateness(broker), op);
        return;
    }
    client->last_store_ns = at_ns;
    sim_send(broker, at_ns, op);
}

static void publish_one(struct dri_transport *client, const struct dri_publish *message)
{
    struct dri_sim_broker *broker = client->broker;
    struct sim_topic *topic = sim_topic_find(broker, message->topic);
    client->unacked++;
    if (topic == NULL ||
        (message->partition >= 0 && (uint32_t)message->partition >= topic->partitions_count &&
         (broker->config.mode == DRI_SETTLE_WATERMARK || broker->config.is_partitioned))) {
        refuse(client, message->token, DRAY_ENOTFOUND);
        return;
    }
    if (sim_publish_bytes(message) > broker->config.message_bytes_max) {
        refuse(client, message->token, DRAY_ELIMIT);
        return;
    }
    if (client->is_transactional && topic->refusal != DRAY_OK) {
        refuse(client, message->token, topic->refusal);
        return;
    }
    struct sim_op *op = dri_zalloc(sizeof(*op));
    struct sim_record *record = sim_record_make(message);
    if (op == NULL || record == NULL) {
        dri_free(op);
        dri_free(record);
        sim_report_unknown(broker, client, message->token, broker->now.mono_ns);
        return;
    }
    op->type = SIM_OP_STORE;
    op->client = client;
    op->topic = topic;
    op->partition = message->partition;
    op->record = record;
    op->due_ns = broker->now.mono_ns + broker->config.publish_ms * NS_PER_MS;
    op->published =
        (struct dri_published){.token = message->token, .partition = -1, .offset = UINT64_MAX};
    if (client->is_transactional) {
        sim_txn_store(client, op);
    } else {
        send_store(client, op);
    }
}

static size_t publish_locked(struct dri_transport *client, const struct dri_publish *messages,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i].is_courtesy) {
            continue;
        }
        bool is_full = client->unacked_max > 0 && client->unacked >= client->unacked_max;
        if (is_full || !sim_txn_takes(client) ||
            (client->unacked > 0 && sim_strikes(client->broker, DRI_SIM_PUBLISH_FULL))) {
            return i;
        }
        if (!sim_spend(client)) {
            return count; /* nobody will ask */
        }
        publish_one(client, &messages[i]);
    }
    return count;
}

static size_t sim_publish(struct dri_transport *client, struct dri_now now,
                          const struct dri_publish *messages, size_t count)
{
    size_t taken = client->is_closed ? 0 : count;
    dri_lock_take(&client->broker->lock);
    if (!client->is_dead && !client->is_closed) {
        sim_advance(client->broker, now);
        taken = publish_locked(client, messages, count);
        sim_txn_serve(client);
        sim_advance(client->broker, now);
    }
    dri_lock_drop(&client->broker->lock);
    return taken;
}

/* --- settle
 * --------------------------------------------------------------------------------------- */

static void send_answer(struct dri_transport *client, const struct dri_settle *settle,
                        enum dray_status status, uint64_t at_ns)
{
    struct sim_op *op = dri_zalloc(sizeof(*op));
    if (op != NULL) {
        op->type = SIM_OP_ANSWER;
        op->client = client;
        op->slot = settle->slot;
        op->epoch = settle->epoch;
        op->position = settle->position;
        op->status = status;
    }
    sim_send(client->broker, at_ns, op);
}

static struct sim_op *make_settle(struct dri_transport *client, const struct sim_slot *slot,
                                  const struct dri_settle *settle)
{
    struct sim_op *op = dri_zalloc(sizeof(*op));
    if (op == NULL) {
        return NULL;
    }
    op->type = SIM_OP_SETTLE;
    op->client = client;
    op->member = client->member;
    op->claim = slot->claim;
    op->slot = settle->slot;
    op->epoch = settle->epoch;
    op->position = settle->position;
    op->delivery = settle->delivery;
    if (settle->metadata.len > 0) {
        op->metadata = dri_strndup(settle->metadata.at, settle->metadata.len);
        op->metadata_len = op->metadata == NULL ? 0 : settle->metadata.len;
    }
    return op;
}

/* A commit travels in order behind the ones before it, unless it is late. A client library answers
 * in the end, if only with a time-out; ANSWER_NEVER is harder than that, but spares the final one,
 * for which the contract wants an answer. */
static void settle_watermark(struct dri_transport *client, const struct sim_slot *slot,
                             const struct dri_settle *settle)
{
    struct dri_sim_broker *broker = client->broker;
    uint64_t now_ns = broker->now.mono_ns;
    uint64_t at_ns = now_ns + sim_latency(broker);
    uint64_t give_up_ns = now_ns + broker->config.late_ms * NS_PER_MS;
    if (sim_strikes(broker, DRI_SIM_SETTLE_REFUSED)) {
        send_answer(client, settle, DRAY_EBROKER, at_ns + sim_latency(broker));
        return;
    }
    bool is_never = !settle->is_final && sim_strikes(broker, DRI_SIM_ANSWER_NEVER);
    bool is_lost = sim_strikes(broker, DRI_SIM_SETTLE_LOST);
    bool is_late = !is_lost && sim_strikes(broker, DRI_SIM_SETTLE_LATE);
    bool is_timed_out = is_lost || is_late || sim_strikes(broker, DRI_SIM_ANSWER_LOST);
    if (is_timed_out && !is_never) {
        send_answer(client, settle, DRAY_ETIMEOUT, give_up_ns);
    }
    struct sim_op *op = is_lost ? NULL : make_settle(client, slot, settle);
    if (op == NULL) {
        return;
    }
    op->is_silent = is_timed_out || is_never;
    if (is_late) {
        sim_send(broker, at_ns + sim_lateness(broker), op);
        return;
    }
    client->last_settle_ns = at_ns > client->last_settle_ns ? at_ns : client->last_settle_ns;
    sim_send(broker, client->last_settle_ns, op);
}

static void settle_each(struct dri_transport *client, const struct sim_slot *slot,
                        const struct dri_settle *settle)
{
    struct dri_sim_broker *broker = client->broker;
    uint64_t at_ns = broker->now.mono_ns + sim_latency(broker);
    if (sim_strikes(broker, DRI_SIM_SETTLE_LOST)) {
        if (slot->role != DRI_ROLE_PARK) {
            return;
        }
        at_ns += sim_lateness(broker); /* there was no answer: it is sent again */
    }
    if (sim_strikes(broker, DRI_SIM_SETTLE_LATE)) {
        at_ns += sim_lateness(broker);
    }
    sim_send(broker, at_ns, make_settle(client, slot, settle));
}

static void settle_one(struct dri_transport *client, const struct dri_settle *settle)
{
    const struct sim_slot *slot = current_slot(client, settle->slot, settle->epoch);
    if (slot == NULL || slot->claim == NULL || !sim_spend(client)) {
        return;
    }
    DRI_ASSERT(slot->role != DRI_ROLE_WINDOW);
    if (client->is_transactional) {
        sim_txn_settle(client, make_settle(client, slot, settle));
    } else if (client->broker->config.mode == DRI_SETTLE_WATERMARK) {
        see_metadata(client, settle->slot, DRI_SIM_SETTLING, settle->position, 0, settle->metadata);
        settle_watermark(client, slot, settle);
    } else {
        settle_each(client, slot, settle);
    }
}

static void sim_settle(struct dri_transport *client, struct dri_now now,
                       const struct dri_settle *settles, size_t count)
{
    dri_lock_take(&client->broker->lock);
    if (!client->is_dead && !client->is_closed) {
        sim_advance(client->broker, now);
        for (size_t i = 0; i < count && !client->is_dead; i++) {
            settle_one(client, &settles[i]);
        }
        sim_advance(client->broker, now);
    }
    dri_lock_drop(&client->broker->lock);
}

static void extend_one(struct dri_transport *client, const struct sim_slot *slot, uint64_t delivery)
{
    struct dri_sim_broker *broker = client->broker;
    struct sim_op *op = NULL;
    if (sim_strikes(broker, DRI_SIM_EXTEND_LOST)) {
        return;
    }
    op = dri_zalloc(sizeof(*op));
    if (op != NULL) {
        op->type = SIM_OP_EXTEND;
        op->client = client;
        op->claim = slot->claim;
        op->epoch = slot->epoch;
        op->delivery = delivery;
    }
    sim_send(broker, broker->now.mono_ns + sim_latency(broker), op);
}

static void sim_do_extend(struct dri_transport *client, struct dri_now now, uint32_t slot,
                          uint32_t epoch, const uint64_t *deliveries, size_t count)
{
    dri_lock_take(&client->broker->lock);
    if (!client->is_dead && !client->is_closed) {
        sim_advance(client->broker, now);
        const struct sim_slot *at = current_slot(client, slot, epoch);
        bool is_lease = at != NULL && is_delivered(client, at);
        for (size_t i = 0; is_lease && i < count; i++) {
            extend_one(client, at, deliveries[i]);
        }
        sim_advance(client->broker, now);
    }
    dri_lock_drop(&client->broker->lock);
}

/* --- slots, as the caller steers them
 * ------------------------------------------------------------- */

static void set_paused(struct dri_transport *client, uint32_t slot, uint32_t epoch, bool is_paused)
{
    dri_lock_take(&client->broker->lock);
    struct sim_slot *at = current_slot(client, slot, epoch);
    if (at != NULL) {
        at->is_paused = is_paused;
    }
    dri_lock_drop(&client->broker->lock);
}

static void sim_pause(struct dri_transport *client, uint32_t slot, uint32_t epoch)
{
    set_paused(client, slot, epoch, true);
}

static void sim_resume(struct dri_transport *client, uint32_t slot, uint32_t epoch)
{
    set_paused(client, slot, epoch, false);
}

/* Who lets go of what nobody took away does not get it back by itself. */
static void sim_unassign(struct dri_transport *client, uint32_t slot, uint32_t epoch)
{
    dri_lock_take(&client->broker->lock);
    struct sim_slot *at = current_slot(client, slot, epoch);
    if (at != NULL && !client->is_dead && !client->is_closed) {
        at->is_given_up = at->state == SIM_SLOT_OPEN;
        sim_see_slot(client, slot, DRI_SIM_LET_GO, 0, 0);
        sim_txn_slot_gone(client, slot, false);
        at->state = SIM_SLOT_CLOSED;
        sim_follow_revoke(client, slot);
        sim_slot_end(client, slot);
        sim_txn_serve(client);
        sim_groups_tick(client->broker);
    }
    dri_lock_drop(&client->broker->lock);
}

static enum dray_status sim_lag(struct dri_transport *client, uint32_t slot, uint32_t epoch,
                                uint64_t *ret_end)
{
    dri_lock_take(&client->broker->lock);
    const struct sim_slot *at = current_slot(client, slot, epoch);
    if (at != NULL) {
        *ret_end = at->partition->next_offset;
    }
    dri_lock_drop(&client->broker->lock);
    return at == NULL ? DRAY_EAGAIN : DRAY_OK;
}

void sim_fill_info(const struct dri_sim_broker *broker, struct dri_transport_info *ret_info)
{
    *ret_info =
        (struct dri_transport_info){.kind = "sim",
                                    .library = "sim",
                                    .server = "",
                                    .message_bytes_max = broker->config.message_bytes_max,
                                    .first_offset = broker->config.mode == DRI_SETTLE_EACH ? 1 : 0};
}

static void sim_info(struct dri_transport *client, struct dri_transport_info *ret_info)
{
    sim_fill_info(client->broker, ret_info);
}

static void sim_stats(struct dri_transport *client, struct dri_transport_stats *ret_stats)
{
    dri_lock_take(&client->broker->lock);
    *ret_stats = (struct dri_transport_stats){.stale_settles = client->stale};
    dri_lock_drop(&client->broker->lock);
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

static void sim_close(struct dri_transport *client, uint32_t timeout_ms)
{
    (void)timeout_ms; /* what was sent arrives without us */
    dri_lock_take(&client->broker->lock);
    if (!client->is_closed) {
        sim_forget_client(client, false);
        sim_leave(client);
        client->is_closed = true;
        sim_groups_tick(client->broker);
    }
    dri_lock_drop(&client->broker->lock);
}

static void sim_destroy_client(struct dri_transport *client)
{
    if (client == NULL) {
        return;
    }
    struct dri_sim_broker *broker = client->broker;
    DRI_ASSERT(client->is_closed);
    dri_lock_take(&broker->lock);
    struct dri_transport **at = &broker->clients;
    while (*at != client) {
        at = &(*at)->next;
    }
    *at = client->next;
    dri_lock_drop(&broker->lock);
    for (size_t i = 0; i < client->queue_count; i++) {
        dri_free(client->queue[client->queue_head + i].bytes);
    }
    release_held(client);
    dri_free(client->held);
    dri_free(client->queue);
    dri_free(client->slots);
    sim_txn_free(client);
    dri_free(client);
}

const struct dri_transport_ops dri_sim_ops = {
    .scheme = "sim",
    .has_dedup = true,
    .open = sim_open,
    .poll = sim_poll,
    .fd = sim_fd,
    .publish = sim_publish,
    .settle = sim_settle,
    .commit = sim_txn_do_commit,
    .extend = sim_do_extend,
    .pause = sim_pause,
    .resume = sim_resume,
    .unassign = sim_unassign,
    .next_deadline = sim_next_deadline,
    .lag = sim_lag,
    .info = sim_info,
    .stats = sim_stats,
    .close = sim_close,
    .destroy = sim_destroy_client,
    .check = sim_check,
    .check_option = sim_check_option,
    .check_config = sim_check_config,
};
