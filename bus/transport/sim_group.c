/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* sim_group.c - consumer groups of the simulated broker: members, claims, rebalances, commits,
 * leases.
 *
 * WATERMARK: each partition is a claim with at most one owner. A rebalance gives every claim a
 * target; owners that are not the target (eager: all owners) are told to let go, and a free claim
 * is assigned to its target. A member that stays silent, or does not let go in time, is thrown out:
 * its claims go to others at once, and it learns of it when it polls again. Until then its commits
 * are refused; after that they are taken, of any partition, forwards or backwards, because the real
 * coordinator does not look at who owns what.
 *
 * EACH: a topic is one consumer that all members share; every delivery has a lease. An
 * acknowledgement is taken whenever it comes, also of a delivery that has expired, because the
 * server only looks at the sequence number in it. When the broker is partitioned, the commands
 * have owners as above, cooperatively, and each owner reads by a consumer of its own, which begins
 * behind what the one before it had acknowledged without a gap; what comes late for that one is for
 * nobody.
 */
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "sim_inside.h"

#define NS_PER_MS          UINT64_C(1000000)
#define METADATA_BYTES_MAX 4096u /* offset.metadata.max.bytes of Kafka */
#define DELIVERY_COUNT_MAX 0xffffu

/* --- groups, claims, members
 * ---------------------------------------------------------------------- */

struct sim_group *sim_group_get(struct dri_sim_broker *broker, const char *name)
{
    for (struct sim_group *group = broker->groups; group != NULL; group = group->next) {
        if (strcmp(group->name, name) == 0) {
            return group;
        }
    }
    struct sim_group *group = dri_zalloc(sizeof(*group));
    char *copy = dri_strdup(name);
    if (group == NULL || copy == NULL) {
        dri_free(group);
        dri_free(copy);
        return NULL;
    }
    group->name = copy;
    group->next = broker->groups;
    broker->groups = group;
    return group;
}

void sim_group_free(struct sim_group *group)
{
    while (group->claims != NULL) {
        struct sim_claim *claim = group->claims;
        group->claims = claim->next;
        dri_free(claim->metadata);
        dri_free(claim->old_metadata);
        dri_free(claim->deliveries);
        dri_free(claim);
    }
    while (group->members != NULL) {
        struct sim_member *member = group->members;
        group->members = member->next;
        dri_free(member->subscriptions);
        dri_free(member);
    }
    dri_free(group->name);
    dri_free(group);
}

struct sim_claim *sim_claim_find(struct sim_group *group, const struct sim_partition *partition)
{
    for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (claim->partition == partition) {
            return claim;
        }
    }
    return NULL;
}

static struct sim_claim *claim_get(struct sim_group *group, struct sim_partition *partition,
                                   enum dri_source_role role, enum dri_start start)
{
    struct sim_claim **last = &group->claims;
    while (*last != NULL) {
        if ((*last)->partition == partition) {
            return *last;
        }
        last = &(*last)->next;
    }
    struct sim_claim *claim = dri_zalloc(sizeof(*claim));
    if (claim != NULL) {
        *claim = (struct sim_claim){.partition = partition,
                                    .role = role,
                                    .committed = -1,
                                    .expiry_ns = UINT64_MAX,
                                    .fresh = start == DRI_START_LATEST ? partition->count : 0,
                                    .floor = start == DRI_START_LATEST ? partition->count : 0,
                                    .start = start};
        *last = claim;
    }
    return claim;
}

static bool is_subscribed(const struct sim_member *member, const struct sim_claim *claim)
{
    for (size_t i = 0; i < member->subscriptions_count; i++) {
        if (member->subscriptions[i].topic == claim->partition->topic) {
            return true;
        }
    }
    return false;
}

static bool is_isolated(const struct dri_transport *client)
{
    return client->broker->now.mono_ns < client->isolated_until_ns;
}

/* Whether the coordinator can talk to it. */
static bool is_reachable(const struct sim_member *member)
{
    return member->client != NULL && !member->client->is_dead && !is_isolated(member->client);
}

/* --- assignment
 * ----------------------------------------------------------------------------------- */

static void free_claim(struct sim_claim *claim)
{
    claim->last_owner = claim->owner;
    claim->owner = NULL;
    claim->is_revoking = false;
}

/* Another consumer: it begins behind what was acknowledged without a gap. */
static void begin_again(struct sim_claim *claim)
{
    for (size_t i = claim->floor; i < claim->fresh; i++) {
        claim->deliveries[i] = (struct sim_delivery){0};
    }
    claim->fresh = claim->floor;
    claim->expiry_ns = UINT64_MAX;
}

static void assign(struct dri_sim_broker *broker, struct sim_claim *claim)
{
    struct sim_member *member = claim->target;
    uint32_t slot = sim_slot_get(member->client, claim->partition, claim, claim->role);
    if (slot == UINT32_MAX || !sim_follow_get(member->client, slot)) {
        return; /* no memory: tried again at the next tick */
    }
    begin_again(claim);
    claim->owner = member;
    claim->slot = slot;
    if (claim->last_owner == member) {
        sim_count(broker, DRI_SIM_CAME_BACK);
    }
    sim_slot_open(member->client, slot);
    claim->epoch = member->client->slots[slot].epoch;
}

static struct sim_member *nth_member(struct sim_group *group, const struct sim_claim *claim,
                                     uint32_t wanted)
{
    uint32_t count = 0;
    for (struct sim_member *member = group->members; member != NULL; member = member->next) {
        if (member->is_live && is_subscribed(member, claim)) {
            count++;
        }
    }
    if (count == 0) {
        return NULL;
    }
    wanted %= count;
    for (struct sim_member *member = group->members; member != NULL; member = member->next) {
        if (member->is_live && is_subscribed(member, claim) && wanted-- == 0) {
            return member;
        }
    }
    return NULL;
}

static void revoke(struct dri_sim_broker *broker, struct sim_claim *claim)
{
    if (claim->owner == NULL || claim->is_revoking) {
        return;
    }
    claim->is_revoking = true;
    claim->revoke_until_ns = broker->now.mono_ns + broker->config.rebalance_ms * NS_PER_MS;
    if (is_reachable(claim->owner)) {
        sim_slot_revoke(claim->owner->client, claim->slot);
    }
}

static bool has_owner(const struct dri_sim_broker *broker, const struct sim_claim *claim)
{
    return claim->leader == NULL && !sim_is_follower(claim->role) &&
           !sim_is_shared(broker, claim->role);
}

static void rebalance(struct dri_sim_broker *broker, struct sim_group *group)
{
    uint32_t number = group->rotation;
    for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (!has_owner(broker, claim)) {
            continue;
        }
        claim->target = nth_member(group, claim, number++);
        if (!broker->config.is_cooperative || claim->owner != claim->target) {
            revoke(broker, claim);
        }
    }
    group->is_barrier = !broker->config.is_cooperative;
}

static void assign_free_claims(struct dri_sim_broker *broker, struct sim_group *group)
{
    for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (group->is_barrier && claim->owner != NULL && claim->is_revoking) {
            return;
        }
    }
    group->is_barrier = false;
    for (int turn = 0; turn < 2; turn++) { /* commands first: what names them comes behind */
        for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
            if ((claim->role == DRI_ROLE_COMMANDS) == (turn == 0) && claim->owner == NULL &&
                claim->target != NULL && claim->target->is_live && is_reachable(claim->target)) {
                assign(broker, claim);
            }
        }
    }
}

/* Thrown out: its claims are free at once; its client hears of it when it polls again. */
static void throw_out(struct dri_sim_broker *broker, struct sim_group *group,
                      struct sim_member *member)
{
    member->is_live = false;
    for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (claim->owner == member) {
            free_claim(claim);
        }
    }
    rebalance(broker, group);
}

static bool make_claims(struct sim_group *group, const struct sim_subscription *subscription)
{
    struct sim_topic *topic = subscription->topic;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        if (claim_get(group, &topic->partitions[i], subscription->role, subscription->start) ==
            NULL) {
            return false;
        }
    }
    return true;
}

static bool open_shared(struct dri_transport *client)
{
    struct sim_member *member = client->member;
    for (size_t i = 0; i < member->subscriptions_count; i++) {
        enum dri_source_role role = member->subscriptions[i].role;
        struct sim_topic *topic = member->subscriptions[i].topic;
        if (!sim_is_shared(client->broker, role) || sim_is_follower(role)) {
            continue;
        }
        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            struct sim_partition *partition = &topic->partitions[p];
            uint32_t slot =
                sim_slot_get(client, partition, sim_claim_find(client->group, partition), role);
            if (slot == UINT32_MAX || !sim_follow_get(client, slot)) {
                return false;
            }
            sim_slot_open(client, slot);
        }
    }
    return true;
}

bool sim_join(struct dri_transport *client, const struct dri_transport_config *config)
{
    struct dri_sim_broker *broker = client->broker;
    struct sim_member *member = dri_zalloc(sizeof(*member));
    client->group = sim_group_get(broker, config->group);
    if (member == NULL || client->group == NULL) {
        dri_free(member);
        return false;
    }
    *member = (struct sim_member){.client = client, .number = client->number, .is_live = true};
    struct sim_member **last = &client->group->members;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = member;
    client->member = member;
    member->subscriptions =
        dri_zalloc_array(config->sources_count + 1, sizeof(*member->subscriptions));
    if (member->subscriptions == NULL) {
        return false;
    }
    for (size_t i = 0; i < config->sources_count; i++) {
        const struct dri_source *source = &config->sources[i];
        if (source->role == DRI_ROLE_LOG) {
            continue;
        }
        struct sim_subscription *subscription = &member->subscriptions[member->subscriptions_count];
        subscription->topic = sim_topic_find(broker, dray_slice_text(source->topic));
        subscription->role = source->role;
        subscription->start = source->start;
        member->subscriptions_count++;
        if (!make_claims(client->group, subscription)) {
            return false;
        }
    }
    sim_follow_link(broker, client->group, member);
    if (!open_shared(client)) {
        return false;
    }
    rebalance(broker, client->group);
    return true;
}

void sim_leave(struct dri_transport *client)
{
    if (client->member == NULL) {
        return;
    }
    client->member->client = NULL;
    if (!client->is_dead && client->member->is_live) {
        throw_out(client->broker, client->group, client->member);
    }
    client->member = NULL;
}

/* --- what members do
 * ------------------------------------------------------------------------------ */

static void come_back(struct dri_transport *client)
{
    for (uint32_t i = 0; i < client->slots_count; i++) {
        if (client->slots[i].claim != NULL && client->slots[i].leader == DRI_SLOT_NONE &&
            !sim_is_shared(client->broker, client->slots[i].role)) {
            sim_slot_lose(client, i);
        }
    }
    client->member->is_live = true;
    rebalance(client->broker, client->group);
}

/* Revocations that it could not hear. */
static void catch_up(struct dri_transport *client)
{
    for (struct sim_claim *claim = client->group->claims; claim != NULL; claim = claim->next) {
        if (claim->owner == client->member && claim->is_revoking &&
            client->slots[claim->slot].state == SIM_SLOT_OPEN) {
            sim_slot_revoke(client, claim->slot);
        }
    }
}

void sim_heartbeat(struct dri_transport *client)
{
    struct dri_sim_broker *broker = client->broker;
    if (client->member == NULL || is_isolated(client) ||
        broker->now.mono_ns < broker->paused_until_ns) {
        return;
    }
    client->member->heartbeat_ns = broker->now.mono_ns;
    if (!client->member->is_live) {
        come_back(client);
    } else {
        catch_up(client);
    }
    assign_free_claims(broker, client->group);
}

static uint64_t comeback_ns(struct dri_sim_broker *broker, bool is_given_up)
{
    if (is_given_up) {
        return UINT64_MAX;
    }
    uint64_t wait_ns = broker->config.latency_us == 0 ? 0 : sim_lateness(broker);
    return broker->now.mono_ns + wait_ns;
}

/* The broker's side of a slot that ended: by the client's unassign, or because it was lost. */
void sim_slot_ended(struct dri_transport *client, struct sim_slot *slot, bool is_given_up)
{
    struct dri_sim_broker *broker = client->broker;
    struct sim_claim *claim = slot->claim;
    if (claim == NULL || sim_is_follower(slot->role)) {
        slot->comeback_ns = UINT64_MAX;
    } else if (sim_is_shared(broker, slot->role)) {
        slot->comeback_ns = comeback_ns(broker, is_given_up);
    } else if (claim->owner == client->member && claim->epoch == slot->epoch) {
        free_claim(claim);
        claim->target = is_given_up ? NULL : claim->target; /* until the next rebalance */
    }
}

static void storm_group(struct dri_sim_broker *broker, struct sim_group *group)
{
    group->rotation += (uint32_t)sim_below(broker, 2);
    for (struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (claim->owner != NULL && !claim->is_revoking) {
            sim_count(broker, DRI_SIM_STORM_REVOKED);
        }
    }
    rebalance(broker, group);
}

static void storm_slot(struct dri_transport *client, uint32_t slot, bool is_lost)
{
    struct dri_sim_broker *broker = client->broker;
    sim_count(broker, is_lost ? DRI_SIM_STORM_LOST : DRI_SIM_STORM_REVOKED);
    if (is_lost) {
        sim_slot_lose(client, slot);
    } else if (!sim_is_shared(broker, client->slots[slot].role)) {
        revoke(broker, client->slots[slot].claim);
    } else {
        sim_slot_revoke(client, slot);
    }
}

static bool has_owners(const struct dri_sim_broker *broker)
{
    return !sim_is_shared(broker, DRI_ROLE_COMMANDS);
}

/* Sometimes a whole group is shaken, else single assignments. */
void sim_storm(struct dri_sim_broker *broker, bool is_lost, uint32_t one_in)
{
    if (!is_lost && has_owners(broker) && sim_below(broker, 2) == 0) {
        for (struct sim_group *group = broker->groups; group != NULL; group = group->next) {
            storm_group(broker, group);
        }
        return;
    }
    for (struct dri_transport *client = broker->clients; client != NULL; client = client->next) {
        if (client->is_dead || client->is_closed || client->member == NULL || is_isolated(client) ||
            !client->member->is_live) {
            continue;
        }
        for (uint32_t i = 0; i < client->slots_count; i++) {
            if (client->slots[i].claim != NULL && client->slots[i].state == SIM_SLOT_OPEN &&
                client->slots[i].leader == DRI_SLOT_NONE && sim_below(broker, one_in) == 0) {
                storm_slot(client, i, is_lost);
            }
        }
    }
}

/* --- time
 * ----------------------------------------------------------------------------------------- */

static bool has_overstayed(const struct dri_sim_broker *broker, const struct sim_group *group,
                           const struct sim_member *member)
{
    for (const struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (claim->owner == member && claim->is_revoking &&
            claim->revoke_until_ns <= broker->now.mono_ns) {
            return true;
        }
    }
    return false;
}

static void tick_group(struct dri_sim_broker *broker, struct sim_group *group)
{
    for (struct sim_member *member = group->members; member != NULL; member = member->next) {
        if (!member->is_live || member->heartbeat_ns == 0) {
            continue;
        }
        if (member->heartbeat_ns + broker->config.session_ms * NS_PER_MS <= broker->now.mono_ns) {
            sim_count(broker, DRI_SIM_SESSION_EXPIRED);
            throw_out(broker, group, member);
        } else if (has_overstayed(broker, group, member)) {
            sim_count(broker, DRI_SIM_REVOKE_EXPIRED);
            throw_out(broker, group, member);
        }
    }
    assign_free_claims(broker, group);
}

/* A follower is where its commands are. */
static bool is_shared_slot(const struct dri_transport *client, const struct sim_slot *slot)
{
    enum dri_source_role role =
        slot->leader == DRI_SLOT_NONE ? slot->role : client->slots[slot->leader].role;
    return sim_is_shared(client->broker, role);
}

static void tick_shared(struct dri_transport *client)
{
    uint64_t now_ns = client->broker->now.mono_ns;
    for (uint32_t i = 0; i < client->slots_count; i++) {
        struct sim_slot *slot = &client->slots[i];
        if (slot->claim == NULL || !is_shared_slot(client, slot)) {
            continue;
        }
        if (slot->state == SIM_SLOT_REVOKING && slot->revoke_until_ns <= now_ns) {
            sim_count(client->broker, DRI_SIM_REVOKE_EXPIRED);
            sim_slot_lose(client, i);
        }
        if (slot->leader == DRI_SLOT_NONE && slot->state == SIM_SLOT_CLOSED &&
            slot->comeback_ns <= now_ns) {
            sim_count(client->broker, DRI_SIM_CAME_BACK);
            sim_slot_open(client, i);
        }
    }
}

void sim_groups_tick(struct dri_sim_broker *broker)
{
    if (broker->now.mono_ns < broker->paused_until_ns) {
        return;
    }
    for (struct sim_group *group = broker->groups; has_owners(broker) && group != NULL;
         group = group->next) {
        tick_group(broker, group);
    }
    if (broker->config.mode == DRI_SETTLE_WATERMARK) {
        return;
    }
    for (struct dri_transport *client = broker->clients; client != NULL; client = client->next) {
        if (!client->is_dead && !client->is_closed) {
            tick_shared(client);
        }
    }
}

static void earlier(uint64_t *ret_at, uint64_t at)
{
    if (at < *ret_at) {
        *ret_at = at;
    }
}

static uint64_t group_deadline(const struct dri_sim_broker *broker, const struct sim_group *group)
{
    uint64_t at = UINT64_MAX;
    for (const struct sim_member *member = group->members; member != NULL; member = member->next) {
        if (member->is_live && member->heartbeat_ns != 0) {
            earlier(&at, member->heartbeat_ns + broker->config.session_ms * NS_PER_MS);
        }
    }
    for (const struct sim_claim *claim = group->claims; claim != NULL; claim = claim->next) {
        if (claim->owner != NULL && claim->is_revoking) {
            earlier(&at, claim->revoke_until_ns);
        }
    }
    return at;
}

static uint64_t shared_deadline(const struct dri_transport *client)
{
    uint64_t at = UINT64_MAX;
    for (uint32_t i = 0; i < client->slots_count && !client->is_dead && !client->is_closed; i++) {
        const struct sim_slot *slot = &client->slots[i];
        if (slot->claim == NULL || !is_shared_slot(client, slot)) {
            continue;
        }
        if (slot->state == SIM_SLOT_REVOKING) {
            earlier(&at, slot->revoke_until_ns);
        } else if (slot->state == SIM_SLOT_CLOSED && slot->leader == DRI_SLOT_NONE) {
            earlier(&at, slot->comeback_ns);
        }
    }
    return at;
}

uint64_t sim_groups_deadline(const struct dri_sim_broker *broker)
{
    uint64_t at = UINT64_MAX;
    for (const struct sim_group *group = broker->groups; has_owners(broker) && group != NULL;
         group = group->next) {
        earlier(&at, group_deadline(broker, group));
    }
    if (broker->config.mode == DRI_SETTLE_EACH) {
        for (const struct dri_transport *client = broker->clients; client != NULL;
             client = client->next) {
            earlier(&at, shared_deadline(client));
        }
    }
    return at < broker->paused_until_ns ? broker->paused_until_ns : at;
}

/* --- commits (WATERMARK)
 * -------------------------------------------------------------------------- */

/* Consumes the metadata of the op. */
static void keep_metadata(struct sim_claim *claim, struct sim_op *op)
{
    if (claim->metadata != NULL && claim->committed != (int64_t)op->position) {
        dri_free(claim->old_metadata);
        claim->old_metadata = claim->metadata;
        claim->old_metadata_len = claim->metadata_len;
    } else {
        dri_free(claim->metadata);
    }
    claim->metadata = op->metadata;
    claim->metadata_len = op->metadata_len;
    op->metadata = NULL;
}

enum dray_status sim_commit(struct dri_sim_broker *broker, struct sim_op *op)
{
    struct sim_claim *claim = op->claim;
    if (!op->member->is_live) {
        sim_count(broker, DRI_SIM_ZOMBIE_FENCED);
        return DRAY_ESTALE;
    }
    if (op->metadata_len > METADATA_BYTES_MAX) {
        return DRAY_ELIMIT;
    }
    if ((claim->leader != NULL ? claim->leader : claim)->owner != op->member) {
        sim_count(broker, DRI_SIM_FOREIGN_COMMIT);
    }
    if ((int64_t)op->position < claim->committed) {
        sim_count(broker, DRI_SIM_REWIND);
    }
    keep_metadata(claim, op);
    claim->committed = (int64_t)op->position;
    sim_see(broker, &(struct dri_sim_sight){
                        .type = DRI_SIM_COMMITTED,
                        .topic = claim->partition->topic->name,
                        .partition = claim->partition->number,
                        .client = op->member->number,
                        .epoch = op->epoch,
                        .offset = op->position,
                        .metadata = dray_slice_of(claim->metadata, claim->metadata_len)});
    return DRAY_OK;
}

/* --- leases (EACH)
 * -------------------------------------------------------------------------------- */

/* A delivery is named by its message and its number: what a server reads out of an ack's subject.
 */
static struct sim_delivery *delivery_of(struct sim_claim *claim, uint64_t name, uint32_t *ret_count,
                                        size_t *ret_index)
{
    *ret_index = (size_t)(name >> 16);
    *ret_count = (uint32_t)(name & DELIVERY_COUNT_MAX);
    return *ret_index < claim->fresh ? &claim->deliveries[*ret_index] : NULL;
}

static bool is_of_old_consumer(const struct dri_sim_broker *broker, const struct sim_op *op)
{
    return !sim_is_shared(broker, op->claim->role) && op->epoch != op->claim->epoch;
}

void sim_ack(struct dri_sim_broker *broker, const struct sim_op *op)
{
    struct sim_claim *claim = op->claim;
    uint32_t count = 0;
    size_t index = 0;
    struct sim_delivery *delivery = delivery_of(claim, op->delivery, &count, &index);
    if (delivery == NULL || delivery->is_acked || is_of_old_consumer(broker, op)) {
        return;
    }
    if (delivery->count != count || delivery->lease_until_ns <= broker->now.mono_ns) {
        sim_count(broker, DRI_SIM_LATE_ACK_TAKEN);
    }
    delivery->is_acked = true;
    while (claim->floor < claim->fresh && claim->deliveries[claim->floor].is_acked) {
        claim->floor++;
    }
    sim_see(broker,
            &(struct dri_sim_sight){.type = DRI_SIM_ACKED,
                                    .topic = claim->partition->topic->name,
                                    .partition = claim->partition->number,
                                    .client = op->member->number,
                                    .epoch = op->epoch,
                                    .deliveries = count,
                                    .offset = claim->partition->records[index]->view.offset});
}

void sim_extend(struct dri_sim_broker *broker, const struct sim_op *op)
{
    uint32_t count = 0;
    size_t index = 0;
    struct sim_delivery *delivery = delivery_of(op->claim, op->delivery, &count, &index);
    if (delivery != NULL && !delivery->is_acked && !is_of_old_consumer(broker, op) &&
        delivery->lease_until_ns > broker->now.mono_ns) {
        delivery->lease_until_ns = broker->now.mono_ns + broker->config.lease_ms * NS_PER_MS;
    }
}

/* The index of an expired delivery; SIZE_MAX: none. Also finds out when to look again. */
static size_t find_expired(struct dri_sim_broker *broker, struct sim_claim *claim)
{
    uint64_t now_ns = broker->now.mono_ns;
    size_t found = SIZE_MAX;
    size_t expired = 0;
    if (now_ns < claim->expiry_ns) {
        return SIZE_MAX;
    }
    claim->expiry_ns = UINT64_MAX;
    for (size_t i = claim->floor; i < claim->fresh; i++) {
        const struct sim_delivery *delivery = &claim->deliveries[i];
        if (delivery->is_acked) {
            continue;
        }
        earlier(&claim->expiry_ns, delivery->lease_until_ns);
        if (delivery->lease_until_ns > now_ns) {
            continue;
        }
        expired++;
        if (found == SIZE_MAX || (broker->config.rates[DRI_SIM_REDELIVERY_SHUFFLED] > 0 &&
                                  sim_below(broker, expired) == 0)) {
            if (found != SIZE_MAX) {
                sim_count(broker, DRI_SIM_REDELIVERY_SHUFFLED);
            }
            found = i;
        }
    }
    return found;
}

static size_t find_fresh(struct dri_sim_broker *broker, struct sim_claim *claim)
{
    struct sim_partition *log = claim->partition;
    if (claim->fresh >= log->count ||
        log->records[claim->fresh]->visible_ns > broker->now.mono_ns) {
        return SIZE_MAX;
    }
    if (claim->deliveries_capacity < log->capacity) {
        struct sim_delivery *grown = dri_zalloc_array(log->capacity, sizeof(*grown));
        if (grown == NULL) {
            return SIZE_MAX;
        }
        if (claim->deliveries_capacity > 0) {
            memcpy(grown, claim->deliveries, claim->deliveries_capacity * sizeof(*grown));
        }
        dri_free(claim->deliveries);
        claim->deliveries = grown;
        claim->deliveries_capacity = log->capacity;
    }
    return claim->fresh++;
}

const struct sim_record *sim_deliver(struct dri_transport *client, uint32_t slot,
                                     struct dri_message *ret_message)
{
    struct dri_sim_broker *broker = client->broker;
    struct sim_claim *claim = client->slots[slot].claim;
    for (;;) {
        size_t index = find_expired(broker, claim);
        if (index != SIZE_MAX) {
            sim_count(broker, DRI_SIM_LEASE_EXPIRED);
        } else {
            index = find_fresh(broker, claim);
        }
        if (index == SIZE_MAX) {
            return NULL;
        }
        struct sim_delivery *delivery = &claim->deliveries[index];
        delivery->count += delivery->count < DELIVERY_COUNT_MAX ? 1 : 0;
        /* The server counts from when it sent, a little before the client has it. */
        uint64_t on_the_way_ns = sim_latency(broker);
        delivery->lease_until_ns =
            broker->now.mono_ns + broker->config.lease_ms * NS_PER_MS - on_the_way_ns;
        earlier(&claim->expiry_ns, delivery->lease_until_ns);
        if (sim_strikes(broker, DRI_SIM_DELIVERY_LOST)) {
            continue;
        }
        const struct sim_record *record = claim->partition->records[index];
        ret_message->offset = record->view.offset;
        ret_message->delivery = (uint64_t)index << 16 | delivery->count;
        ret_message->deliveries = delivery->count;
        return record;
    }
}

uint64_t sim_deliver_deadline(const struct sim_claim *claim)
{
    uint64_t at = claim->expiry_ns;
    if (claim->fresh < claim->partition->count) {
        earlier(&at, claim->partition->records[claim->fresh]->visible_ns);
    }
    return at;
}

/* --- what a test reads
 * ---------------------------------------------------------------------------- */

static struct sim_claim *find_claim(struct dri_sim_broker *broker, const char *group,
                                    const char *topic, int32_t partition)
{
    struct sim_topic *found = sim_topic_find(broker, dray_slice_text(topic));
    for (struct sim_group *at = broker->groups; found != NULL && at != NULL; at = at->next) {
        if (strcmp(at->name, group) == 0 && partition >= 0 &&
            (uint32_t)partition < found->partitions_count) {
            return sim_claim_find(at, &found->partitions[partition]);
        }
    }
    return NULL;
}

int64_t dri_sim_committed(struct dri_sim_broker *broker, const char *group, const char *topic,
                          int32_t partition)
{
    dri_lock_take(&broker->lock);
    const struct sim_claim *claim = find_claim(broker, group, topic, partition);
    int64_t committed = claim == NULL ? -1 : claim->committed;
    dri_lock_drop(&broker->lock);
    return committed;
}

size_t dri_sim_unacked(struct dri_sim_broker *broker, const char *group, const char *topic)
{
    size_t count = 0;
    dri_lock_take(&broker->lock);
    const struct sim_claim *claim = NULL;
    for (int32_t p = 0; (claim = find_claim(broker, group, topic, p)) != NULL; p++) {
        for (size_t i = claim->floor; i < claim->partition->count; i++) {
            count += sim_is_follower(claim->role)
                         ? !claim->partition->records[i]->is_deleted
                         : i >= claim->fresh || !claim->deliveries[i].is_acked;
        }
    }
    dri_lock_drop(&broker->lock);
    return count;
}
