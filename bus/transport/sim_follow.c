/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* sim_follow.c - followers of the commands in the simulated broker: park logs and windows.
 *
 * A follower has no owner: it is where partition n of the commands is. Its claim only keeps what
 * was committed (WATERMARK); its slot begins before the slot of its commands, ends behind it, and
 * the commands are free for others only when all of them were let go. A park log of a stream (EACH)
 * is read without leases, in order; settling deletes, and what was deleted is not read again by
 * anybody, though the record stays for checkers.
 */
#include "assert.h"
#include "sim_inside.h"

#define NS_PER_MS UINT64_C(1000000)

bool sim_is_follower(enum dri_source_role role)
{
    return role == DRI_ROLE_PARK || role == DRI_ROLE_WINDOW;
}

bool sim_is_shared(const struct dri_sim_broker *broker, enum dri_source_role role)
{
    return broker->config.mode == DRI_SETTLE_EACH &&
           (!broker->config.is_partitioned || role == DRI_ROLE_REPLAY);
}

/* --- who follows whom
 * ----------------------------------------------------------------------------- */

/* The topic of a role that a member reads; NULL: none. */
static struct sim_topic *topic_of(const struct sim_member *member, enum dri_source_role role)
{
    for (size_t i = 0; member != NULL && i < member->subscriptions_count; i++) {
        if (member->subscriptions[i].role == role) {
            return member->subscriptions[i].topic;
        }
    }
    return NULL;
}

void sim_follow_link(struct dri_sim_broker *broker, struct sim_group *group,
                     const struct sim_member *member)
{
    struct sim_topic *commands = topic_of(member, DRI_ROLE_COMMANDS);
    for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (!sim_is_follower(claim->role) || commands == NULL) {
            continue;
        }
        uint32_t number =
            sim_is_shared(broker, claim->role) ? 0 : (uint32_t)claim->partition->number;
        if (number < commands->partitions_count) {
            claim->leader = sim_claim_find(group, &commands->partitions[number]);
        }
    }
}

static bool get_one(struct dri_transport *client, uint32_t slot, enum dri_source_role role,
                    uint32_t *ret_follower)
{
    struct sim_topic *topic = topic_of(client->member, role);
    bool is_shared = sim_is_shared(client->broker, role);
    if (topic == NULL || (role == DRI_ROLE_PARK && is_shared)) {
        return true;
    }
    uint32_t number = is_shared ? 0 : (uint32_t)client->slots[slot].partition->number;
    struct sim_partition *partition = &topic->partitions[number];
    uint32_t follower =
        sim_slot_get(client, partition, sim_claim_find(client->group, partition), role);
    if (follower == UINT32_MAX) {
        return false;
    }
    client->slots[follower].leader = slot;
    *ret_follower = follower;
    return true;
}

bool sim_follow_get(struct dri_transport *client, uint32_t slot)
{
    uint32_t park = DRI_SLOT_NONE, window = DRI_SLOT_NONE;
    if (client->slots[slot].role != DRI_ROLE_COMMANDS) {
        return true;
    }
    if (!get_one(client, slot, DRI_ROLE_PARK, &park) ||
        !get_one(client, slot, DRI_ROLE_WINDOW, &window)) {
        return false;
    }
    client->slots[slot].park = park; /* slots may have moved */
    client->slots[slot].window = window;
    return true;
}

/* The open commands slot of the same partition; NULL: it is not here. */
static const struct sim_slot *commands_beside(const struct dri_transport *client,
                                              const struct sim_slot *slot)
{
    for (uint32_t i = 0; i < client->slots_count; i++) {
        const struct sim_slot *at = &client->slots[i];
        if (at->role == DRI_ROLE_COMMANDS && at->state == SIM_SLOT_OPEN &&
            at->partition->number == slot->partition->number) {
            return at;
        }
    }
    return NULL;
}

/* Whose followers count for this slot; NULL: nobody's. */
static const struct sim_slot *led_by(const struct dri_transport *client,
                                     const struct sim_slot *slot)
{
    if (slot->role == DRI_ROLE_COMMANDS) {
        return slot;
    }
    bool is_beside =
        slot->role == DRI_ROLE_REPLAY && client->broker->config.mode == DRI_SETTLE_WATERMARK;
    return is_beside ? commands_beside(client, slot) : NULL;
}

void sim_follow_name(const struct dri_transport *client, uint32_t slot, uint32_t *ret_park,
                     uint32_t *ret_window)
{
    const struct sim_slot *leader = led_by(client, &client->slots[slot]);
    *ret_park = leader == NULL ? DRI_SLOT_NONE : leader->park;
    *ret_window = leader == NULL ? DRI_SLOT_NONE : leader->window;
}

/* --- together
 * ------------------------------------------------------------------------------------- */

static void open_one(struct dri_transport *client, uint32_t follower)
{
    if (follower != DRI_SLOT_NONE) {
        sim_slot_assign(client, follower, DRI_START_EARLIEST, 0);
    }
}

void sim_follow_open(struct dri_transport *client, uint32_t slot)
{
    open_one(client, client->slots[slot].park);
    open_one(client, client->slots[slot].window);
}

static void revoke_one(struct dri_transport *client, uint32_t follower)
{
    if (follower != DRI_SLOT_NONE && client->slots[follower].state == SIM_SLOT_OPEN) {
        sim_slot_revoke(client, follower);
    }
}

void sim_follow_revoke(struct dri_transport *client, uint32_t slot)
{
    revoke_one(client, client->slots[slot].park);
    revoke_one(client, client->slots[slot].window);
}

static bool is_closed(const struct dri_transport *client, uint32_t follower)
{
    return follower == DRI_SLOT_NONE || client->slots[follower].state == SIM_SLOT_CLOSED;
}

static void lose_one(struct dri_transport *client, uint32_t follower)
{
    if (!is_closed(client, follower)) {
        sim_slot_tell_end(client, follower, DRI_TE_LOST);
        client->slots[follower].state = SIM_SLOT_CLOSED;
    }
}

void sim_follow_lose(struct dri_transport *client, uint32_t slot)
{
    lose_one(client, client->slots[slot].park);
    lose_one(client, client->slots[slot].window);
}

uint32_t sim_follow_ended(const struct dri_transport *client, uint32_t slot)
{
    uint32_t leader =
        client->slots[slot].leader == DRI_SLOT_NONE ? slot : client->slots[slot].leader;
    const struct sim_slot *at = &client->slots[leader];
    bool is_ended =
        is_closed(client, leader) && is_closed(client, at->park) && is_closed(client, at->window);
    return is_ended ? leader : DRI_SLOT_NONE;
}

void sim_slot_revoke(struct dri_transport *client, uint32_t slot)
{
    struct sim_slot *at = &client->slots[slot];
    at->state = SIM_SLOT_REVOKING;
    at->revoke_until_ns =
        client->broker->now.mono_ns + client->broker->config.rebalance_ms * NS_PER_MS;
    sim_slot_tell_end(client, slot, DRI_TE_REVOKED);
    sim_follow_revoke(client, slot);
}

/* A slot is closed: the broker hears of it when its followers, or those beside it, are too. */
void sim_slot_end(struct dri_transport *client, uint32_t slot)
{
    uint32_t ended = sim_follow_ended(client, slot);
    if (ended != DRI_SLOT_NONE) {
        sim_slot_ended(client, &client->slots[ended], client->slots[ended].is_given_up);
    }
}

void sim_slot_lose(struct dri_transport *client, uint32_t slot)
{
    sim_txn_slot_gone(client, slot, true);
    if (client->slots[slot].state != SIM_SLOT_CLOSED) {
        sim_slot_tell_end(client, slot, DRI_TE_LOST);
        client->slots[slot].state = SIM_SLOT_CLOSED;
    }
    sim_follow_lose(client, slot);
    sim_slot_end(client, slot);
}

/* --- reading
 * -------------------------------------------------------------------------------------- */

static bool is_behind(const struct dri_transport *client, uint32_t follower)
{
    return !is_closed(client, follower) && !client->slots[follower].has_caught_up;
}

bool sim_follow_holds(const struct dri_transport *client, const struct sim_slot *slot)
{
    const struct sim_slot *leader = led_by(client, slot);
    return leader != NULL && (is_behind(client, leader->park) || is_behind(client, leader->window));
}

void sim_follow_skip(struct sim_slot *slot)
{
    while (sim_is_follower(slot->role) && slot->position < slot->partition->count &&
           slot->partition->records[slot->position]->is_deleted) {
        slot->position++;
    }
}

void sim_follow_delete(struct dri_sim_broker *broker, const struct sim_op *op)
{
    struct sim_partition *log = op->claim->partition;
    size_t index = sim_index_of(log, op->delivery);
    if (index >= log->count || log->records[index]->view.offset != op->delivery ||
        log->records[index]->is_deleted) {
        return;
    }
    if (op->claim->leader != NULL && op->claim->leader->owner != op->member) {
        sim_count(broker, DRI_SIM_FOREIGN_COMMIT);
    }
    log->records[index]->is_deleted = true;
    sim_see(broker, &(struct dri_sim_sight){.type = DRI_SIM_ACKED,
                                            .topic = log->topic->name,
                                            .partition = log->number,
                                            .client = op->member->number,
                                            .epoch = op->epoch,
                                            .offset = op->delivery});
}
