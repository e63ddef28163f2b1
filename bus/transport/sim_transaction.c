/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* sim_transaction.c - transactions of the simulated broker, as Kafka has them.
 *
 * What a client publishes and settles is kept in parts and arrives in one piece, or not at all. The
 * broker refuses the whole when a position in it belongs to a partition that is not the member's
 * any more (KIP-447). Whatever else goes wrong on the way, the client breaks: all that is open is
 * gone, what was not acknowledged is unknown, every slot is lost. It may break although the broker
 * has taken everything; it never breaks before that is decided, as a new producer waits for the end
 * of the old one's transaction.
 */
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "sim_inside.h"

#define NS_PER_MS UINT64_C(1000000)
#define READY_MS  100u /* for a new producer */

static void parts_free(struct sim_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        sim_op_free(parts->items[i]);
    }
    dri_free(parts->items);
    *parts = (struct sim_parts){0};
}

static void parts_add(struct sim_parts *parts, struct sim_op *op)
{
    struct sim_op **items =
        sim_grown(parts->items, &parts->capacity, parts->count, sizeof(struct sim_op *));
    DRI_ASSERT(items != NULL && op != NULL);
    parts->items = items;
    parts->items[parts->count++] = op;
}

void sim_txn_free(struct dri_transport *client)
{
    parts_free(&client->open);
}

void sim_txn_op_free(struct sim_op *op)
{
    parts_free(&op->parts);
}

bool sim_txn_takes(const struct dri_transport *client)
{
    return !client->is_transactional ||
           (!client->is_committing && !client->is_broken && !client->is_break_untold &&
            client->ready_ns <= client->broker->now.mono_ns);
}

void sim_txn_store(struct dri_transport *client, struct sim_op *op)
{
    struct dri_sim_broker *broker = client->broker;
    uint64_t at_ns = broker->now.mono_ns + sim_latency(broker) + sim_latency(broker);
    if (sim_strikes(broker, DRI_SIM_PUBLISH_LOST_UNKNOWN) ||
        sim_strikes(broker, DRI_SIM_PUBLISH_STORED_UNKNOWN) ||
        sim_strikes(broker, DRI_SIM_PUBLISH_LATE_UNKNOWN)) {
        sim_report_unknown(broker, client, op->published.token, at_ns);
        sim_op_free(op);
        client->is_broken = true;
        return;
    }
    if (sim_strikes(broker, DRI_SIM_ACK_LATE)) {
        at_ns += sim_lateness(broker);
    }
    struct sim_op *ack = dri_zalloc(sizeof(*ack));
    DRI_ASSERT(ack != NULL);
    ack->type = SIM_OP_ACK;
    ack->client = client;
    ack->published = op->published;
    ack->published.ack = DRI_ACK_STORED;
    parts_add(&client->open, op);
    sim_see(broker, &(struct dri_sim_sight){.type = DRI_SIM_TAKEN,
                                            .topic = op->topic->name,
                                            .client = client->number,
                                            .metadata = op->record->view.headers});
    sim_send(broker, at_ns, ack);
}

/* A later position of a slot in place of the one before. */
void sim_txn_settle(struct dri_transport *client, struct sim_op *op)
{
    for (size_t i = 0; i < client->open.count; i++) {
        struct sim_op *part = client->open.items[i];
        if (part->type == SIM_OP_SETTLE && part->slot == op->slot && part->epoch == op->epoch) {
            client->open.items[i] = op;
            sim_op_free(part);
            return;
        }
    }
    parts_add(&client->open, op);
}

void sim_txn_slot_gone(struct dri_transport *client, uint32_t slot, bool is_lost)
{
    if (!client->is_transactional) {
        return;
    }
    for (size_t i = 0; i < client->open.count; i++) {
        const struct sim_op *part = client->open.items[i];
        if (is_lost || (part->type == SIM_OP_SETTLE && part->slot == slot)) {
            client->is_broken = true;
        }
    }
}

static void tell(struct dri_transport *client, enum dray_status status)
{
    const struct dri_transport_event event = {.type = DRI_TE_TRANSACTION, .status = status};
    sim_tell(client, &event, NULL, 0);
}

/* Followers go with their commands. */
static void lose_all(struct dri_transport *client, bool are_followers)
{
    for (uint32_t i = 0; i < client->slots_count; i++) {
        const struct sim_slot *slot = &client->slots[i];
        if (slot->claim != NULL && slot->state != SIM_SLOT_CLOSED &&
            sim_is_follower(slot->role) == are_followers) {
            sim_slot_lose(client, i);
        }
    }
}

void sim_txn_serve(struct dri_transport *client)
{
    struct dri_sim_broker *broker = client->broker;
    if (!client->is_transactional || !client->is_broken || client->is_dead || client->is_closed) {
        return;
    }
    parts_free(&client->open);
    client->transaction++; /* a commit that has not arrived means nothing any more */
    client->is_committing = false;
    client->is_break_untold = true;
    client->ready_ns = broker->now.mono_ns + READY_MS * NS_PER_MS;
    sim_count(broker, DRI_SIM_TRANSACTION_BROKEN);
    for (size_t i = 0; i < broker->heap_count; i++) {
        struct sim_op *op = broker->heap[i];
        if (op->client == client && op->type == SIM_OP_ACK && op->published.ack == DRI_ACK_STORED) {
            op->published.ack = DRI_ACK_UNKNOWN;
        }
    }
    tell(client, DRAY_EAGAIN);
    lose_all(client, false);
    lose_all(client, true); /* whose commands were let go before */
    client->is_broken = false;
}

static void send_end(struct dri_transport *client, enum dray_status status, uint64_t at_ns)
{
    struct sim_op *op = dri_zalloc(sizeof(*op));
    DRI_ASSERT(op != NULL);
    op->type = SIM_OP_ENDED;
    op->client = client;
    op->status = status;
    op->delivery = client->transaction;
    sim_send(client->broker, at_ns, op);
}

static bool has(const struct sim_parts *parts, enum sim_op_type type)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->items[i]->type == type) {
            return true;
        }
    }
    return false;
}

static void commit(struct dri_transport *client, bool is_void)
{
    struct dri_sim_broker *broker = client->broker;
    uint64_t now_ns = broker->now.mono_ns;
    uint64_t at_ns = now_ns + sim_latency(broker);
    uint64_t give_up_ns = now_ns + broker->config.late_ms * NS_PER_MS;
    if (client->is_broken || client->is_break_untold) {
        tell(client, DRAY_EAGAIN);
        return;
    }
    if (is_void || (has(&client->open, SIM_OP_STORE) && !has(&client->open, SIM_OP_SETTLE))) {
        client->is_broken = true;
        return;
    }
    if (client->open.count == 0) {
        tell(client, DRAY_OK);
        return;
    }
    client->is_committing = true;
    bool is_refused = sim_strikes(broker, DRI_SIM_SETTLE_REFUSED);
    bool is_lost = is_refused || sim_strikes(broker, DRI_SIM_SETTLE_LOST);
    bool is_late = !is_lost && sim_strikes(broker, DRI_SIM_SETTLE_LATE);
    bool is_silent = is_lost || is_late || sim_strikes(broker, DRI_SIM_ANSWER_LOST);
    if (is_silent) {
        send_end(client, DRAY_ETIMEOUT, is_refused ? at_ns : give_up_ns);
    }
    if (is_lost) {
        parts_free(&client->open);
        return;
    }
    struct sim_op *op = dri_zalloc(sizeof(*op));
    DRI_ASSERT(op != NULL);
    op->type = SIM_OP_TRANSACTION;
    op->client = client;
    op->member = client->member;
    op->delivery = client->transaction;
    op->is_silent = is_silent;
    op->parts = client->open;
    client->open = (struct sim_parts){0};
    sim_send(broker, is_late ? at_ns + sim_lateness(broker) : at_ns, op);
}

void sim_txn_do_commit(struct dri_transport *client, struct dri_now now, bool is_void)
{
    dri_lock_take(&client->broker->lock);
    if (!client->is_dead && !client->is_closed) {
        sim_advance(client->broker, now);
        if (sim_spend(client)) {
            commit(client, is_void);
            sim_txn_serve(client);
        }
        sim_advance(client->broker, now);
    }
    dri_lock_drop(&client->broker->lock);
}

/* Whether each position is still the member's to commit. */
static bool is_current(const struct sim_op *op)
{
    for (size_t i = 0; i < op->parts.count; i++) {
        const struct sim_op *part = op->parts.items[i];
        if (part->type != SIM_OP_SETTLE) {
            continue;
        }
        const struct sim_claim *leader = part->claim->leader;
        bool is_ours = leader != NULL
                           ? leader->owner == op->member
                           : part->claim->owner == op->member && part->claim->epoch == part->epoch;
        if (!is_ours) {
            return false;
        }
    }
    return op->member->is_live;
}

static void see_settling(struct dri_sim_broker *broker, const struct sim_op *part)
{
    sim_see(broker,
            &(struct dri_sim_sight){.type = DRI_SIM_SETTLING,
                                    .topic = part->claim->partition->topic->name,
                                    .partition = part->claim->partition->number,
                                    .client = part->member->number,
                                    .slot = part->slot,
                                    .epoch = part->epoch,
                                    .offset = part->position,
                                    .metadata = dray_slice_of(part->metadata, part->metadata_len)});
}

/* All of it, at one moment: first the outcomes, for whoever watches. */
static void apply(struct dri_sim_broker *broker, struct sim_op *op)
{
    for (size_t i = 0; i < op->parts.count; i++) {
        struct sim_op *part = op->parts.items[i];
        if (part->type == SIM_OP_STORE) {
            struct sim_record *record = part->record;
            part->record = NULL;
            bool is_stored =
                sim_store(broker, part->topic, record, part->partition, &part->published);
            DRI_ASSERT(is_stored);
        }
    }
    for (size_t i = 0; i < op->parts.count; i++) {
        struct sim_op *part = op->parts.items[i];
        if (part->type == SIM_OP_SETTLE) {
            see_settling(broker, part);
            enum dray_status status = sim_commit(broker, part);
            DRI_ASSERT(status == DRAY_OK);
        }
    }
}

void sim_txn_arrive(struct dri_sim_broker *broker, struct sim_op *op)
{
    bool is_over = op->client != NULL && op->delivery != op->client->transaction;
    if (is_over) {
        sim_op_free(op);
        return;
    }
    bool is_taken = is_current(op);
    if (is_taken) {
        apply(broker, op);
    }
    if (op->client == NULL || op->is_silent) {
        sim_op_free(op);
        return;
    }
    op->type = SIM_OP_ENDED;
    op->status = is_taken ? DRAY_OK : DRAY_ESTALE;
    sim_send(broker, op->at_ns + sim_latency(broker), op);
}

void sim_txn_answer(struct sim_op *op)
{
    struct dri_transport *client = op->client;
    if (client == NULL || op->delivery != client->transaction) {
        sim_op_free(op);
        return;
    }
    if (op->status != DRAY_OK) {
        client->is_broken = true;
        sim_txn_serve(client);
        sim_op_free(op);
        return;
    }
    client->is_committing = false;
    client->transaction++;
    for (size_t i = 0; i < op->parts.count; i++) {
        const struct sim_op *part = op->parts.items[i];
        if (part->type == SIM_OP_SETTLE) {
            struct dri_transport_event event = {.type = DRI_TE_SETTLED,
                                                .status = DRAY_OK,
                                                .slot = part->slot,
                                                .epoch = part->epoch};
            event.as.position = part->position;
            sim_tell(client, &event, NULL, 0);
        }
    }
    tell(client, DRAY_OK);
    sim_op_free(op);
}
