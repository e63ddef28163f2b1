/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* sim_world.c - the simulated broker as a whole: what is on the wire, time, chance, tests' calls.
 *
 * Whatever travels between a client and the broker is an op in one heap, ordered by arrival and
 * then by sending. A call at a time carries out first what arrived until then. Nothing else moves:
 * the same seed and the same calls give the same world, so a failing run is its seed.
 *
 * Chance is drawn where the thing happens, from one generator. That makes the runs of two versions
 * of the core differ as soon as one call differs; a stream for each fault would keep them nearer,
 * but nothing needs it: a seed is repeated on the build that failed.
 */
#include <string.h>

#include "assert.h"
#include "mem.h"
#include "sim_inside.h"

#define NS_PER_MS UINT64_C(1000000)

const char *dri_sim_fault_text(enum dri_sim_fault fault)
{
    static const char *const texts[] = {
#define FAULT_TEXT(name, has_rate, text) [DRI_SIM_##name] = (text),
        DRI_SIM_FAULT_TABLE(FAULT_TEXT)
#undef FAULT_TEXT
    };
    return fault < DRI_SIM_FAULT_COUNT ? texts[fault] : "?";
}

/* --- chance
 * --------------------------------------------------------------------------------------- */

/* splitmix64: any seed will do, also 0. */
uint64_t sim_random(struct dri_sim_broker *broker)
{
    uint64_t mixed = broker->random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint64_t sim_below(struct dri_sim_broker *broker, uint64_t max)
{
    return max == 0 ? 0 : sim_random(broker) % max;
}

void sim_count(struct dri_sim_broker *broker, enum dri_sim_fault fault)
{
    broker->counts[fault]++;
}

bool sim_strikes(struct dri_sim_broker *broker, enum dri_sim_fault fault)
{
    if (broker->config.rates[fault] == 0 ||
        sim_below(broker, 1000) >= broker->config.rates[fault]) {
        return false;
    }
    sim_count(broker, fault);
    return true;
}

uint64_t sim_latency(struct dri_sim_broker *broker)
{
    uint64_t mean_ns = (uint64_t)broker->config.latency_us * 1000;
    return mean_ns / 2 + sim_below(broker, mean_ns);
}

uint64_t sim_lateness(struct dri_sim_broker *broker)
{
    return 1 + sim_below(broker, broker->config.late_ms * NS_PER_MS);
}

/* --- arrays
 * --------------------------------------------------------------------------------------- */

void *sim_grown(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = dri_zalloc_array(wanted, size);
    if (grown == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(grown, array, count * size);
    }
    dri_free(array);
    *capacity = wanted;
    return grown;
}

void sim_see(struct dri_sim_broker *broker, const struct dri_sim_sight *sight)
{
    if (!broker->config.is_observed) {
        return;
    }
    if (broker->sights_read > 0) { /* the last lot was read */
        memmove(broker->sights, broker->sights + broker->sights_read,
                (broker->sights_count - broker->sights_read) * sizeof(*broker->sights));
        broker->sights_count -= broker->sights_read;
        broker->sights_read = 0;
    }
    broker->sights = sim_grown(broker->sights, &broker->sights_capacity, broker->sights_count,
                               sizeof(*broker->sights));
    DRI_ASSERT(broker->sights != NULL); /* a checker that misses something is worse than none */
    struct dri_sim_sight *seen = &broker->sights[broker->sights_count++];
    *seen = *sight;
    seen->at_ns = broker->now.mono_ns;
    if (sight->metadata.len > 0) {
        struct sim_text *text = dri_zalloc(sizeof(*text) + sight->metadata.len);
        DRI_ASSERT(text != NULL);
        memcpy(text->bytes, sight->metadata.at, sight->metadata.len);
        text->next = broker->texts;
        broker->texts = text;
        seen->metadata.at = text->bytes;
    }
}

/* --- the wire
 * ------------------------------------------------------------------------------------- */

static bool is_earlier(const struct sim_op *a, const struct sim_op *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void sift_up(struct dri_sim_broker *broker, size_t at)
{
    struct sim_op *op = broker->heap[at];
    while (at > 0 && is_earlier(op, broker->heap[(at - 1) / 2])) {
        broker->heap[at] = broker->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    broker->heap[at] = op;
}

static void sift_down(struct dri_sim_broker *broker, size_t at)
{
    struct sim_op *op = broker->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= broker->heap_count) {
            break;
        }
        if (child + 1 < broker->heap_count &&
            is_earlier(broker->heap[child + 1], broker->heap[child])) {
            child++;
        }
        if (!is_earlier(broker->heap[child], op)) {
            break;
        }
        broker->heap[at] = broker->heap[child];
        at = child;
    }
    broker->heap[at] = op;
}

void sim_op_free(struct sim_op *op)
{
    dri_free(op->record);
    dri_free(op->metadata);
    dri_free(op);
}

void sim_send(struct dri_sim_broker *broker, uint64_t at_ns, struct sim_op *op)
{
    if (op == NULL) {
        return;
    }
    struct sim_op **heap = sim_grown(broker->heap, &broker->heap_capacity, broker->heap_count,
                                     sizeof(struct sim_op *));
    if (heap == NULL) {
        sim_op_free(op);
        return;
    }
    broker->heap = heap;
    op->at_ns = at_ns;
    op->order = ++broker->order;
    broker->heap[broker->heap_count] = op;
    sift_up(broker, broker->heap_count++);
}

static struct sim_op *take_first(struct dri_sim_broker *broker)
{
    struct sim_op *op = broker->heap[0];
    broker->heap_count--;
    if (broker->heap_count > 0) {
        broker->heap[0] = broker->heap[broker->heap_count];
        sift_down(broker, 0);
    }
    return op;
}

uint64_t sim_wire_deadline(const struct dri_sim_broker *broker)
{
    return broker->heap_count > 0 ? broker->heap[0]->at_ns : UINT64_MAX;
}

/* The client is gone. If it was killed, what it had sent may be lost, or may arrive all the same.
 */
void sim_forget_client(struct dri_transport *client, bool is_killed)
{
    struct dri_sim_broker *broker = client->broker;
    for (size_t i = 0; i < broker->heap_count; i++) {
        struct sim_op *op = broker->heap[i];
        if (op->client != client) {
            continue;
        }
        if (op->type == SIM_OP_ACK || op->type == SIM_OP_ANSWER ||
            (is_killed && sim_below(broker, 2) == 0)) {
            op->type = SIM_OP_VOID;
        }
        op->client = NULL;
    }
}

void sim_report_unknown(struct dri_sim_broker *broker, struct dri_transport *client, uint64_t token,
                        uint64_t at_ns)
{
    struct sim_op *op = dri_zalloc(sizeof(*op));
    DRI_ASSERT(op != NULL); /* every publish has to be answered */
    op->type = SIM_OP_ACK;
    op->client = client;
    op->published = (struct dri_published){.token = token,
                                           .ack = DRI_ACK_UNKNOWN,
                                           .reason = DRAY_ETIMEOUT,
                                           .partition = -1,
                                           .offset = UINT64_MAX};
    sim_send(broker, at_ns, op);
}

/* The publish has arrived; the same op carries the acknowledgement back. */
static void do_store(struct dri_sim_broker *broker, struct sim_op *op)
{
    struct dri_published *published = &op->published;
    if (op->topic->refusal != DRAY_OK) {
        published->ack = DRI_ACK_NOT_STORED;
        published->reason = op->topic->refusal;
        sim_count(broker, DRI_SIM_REFUSED_TARGET);
    } else {
        struct sim_record *record = op->record;
        op->record = NULL;
        published->ack = DRI_ACK_STORED;
        if (!sim_store(broker, op->topic, record, op->partition, published)) {
            published->ack = DRI_ACK_UNKNOWN;
        }
    }
    if (op->is_silent || op->client == NULL) {
        sim_op_free(op);
        return;
    }
    uint64_t at_ns = op->at_ns + sim_latency(broker);
    if (sim_strikes(broker, DRI_SIM_ACK_LATE)) {
        at_ns += sim_lateness(broker);
    }
    if (published->partition >= 0) {
        struct sim_partition *log = &op->topic->partitions[published->partition];
        at_ns = at_ns > log->last_ack_ns ? at_ns : log->last_ack_ns;
        log->last_ack_ns = at_ns;
    }
    if (at_ns > op->due_ns) { /* the client gave up before */
        sim_count(broker, DRI_SIM_PUBLISH_TIMED_OUT);
        at_ns = op->due_ns;
        published->ack = DRI_ACK_UNKNOWN;
        published->reason = DRAY_ETIMEOUT;
        published->offset = UINT64_MAX;
    }
    op->type = SIM_OP_ACK;
    sim_send(broker, at_ns, op);
}

static void do_ack(struct sim_op *op)
{
    if (op->client != NULL) {
        struct dri_transport_event event = {.type = DRI_TE_PUBLISHED};
        event.as.published = op->published;
        op->client->unacked--;
        sim_tell(op->client, &event, NULL, 0);
    }
    sim_op_free(op);
}

static void do_settle(struct dri_sim_broker *broker, struct sim_op *op)
{
    if (broker->config.mode == DRI_SETTLE_EACH) {
        if (op->claim->role == DRI_ROLE_PARK) {
            sim_follow_delete(broker, op);
        } else {
            sim_ack(broker, op);
        }
        sim_op_free(op);
        return;
    }
    op->status = sim_commit(broker, op);
    if (op->is_silent || op->client == NULL) {
        sim_op_free(op);
        return;
    }
    op->type = SIM_OP_ANSWER;
    sim_send(broker, op->at_ns + sim_latency(broker), op);
}

static void do_answer(struct sim_op *op)
{
    if (op->client != NULL && op->client->slots[op->slot].epoch == op->epoch &&
        op->client->slots[op->slot].state != SIM_SLOT_CLOSED) {
        struct dri_transport_event event = {
            .type = DRI_TE_SETTLED, .status = op->status, .slot = op->slot, .epoch = op->epoch};
        event.as.position = op->position;
        sim_tell(op->client, &event, NULL, 0);
    }
    sim_op_free(op);
}

/* The broker sleeps. What reaches it waits; a client that waits too long gives up. */
static void wait_for_broker(struct dri_sim_broker *broker, struct sim_op *op)
{
    if (op->type == SIM_OP_STORE && !op->is_silent && op->client != NULL &&
        op->due_ns < broker->paused_until_ns) {
        sim_count(broker, DRI_SIM_PUBLISH_TIMED_OUT);
        sim_report_unknown(broker, op->client, op->published.token, op->due_ns);
        op->is_silent = true;
        op->is_given_up = true;
    }
    op->is_waiting = true;
    sim_send(broker, broker->paused_until_ns, op);
}

static void carry_out(struct dri_sim_broker *broker, struct sim_op *op)
{
    bool is_for_broker =
        op->type == SIM_OP_STORE || op->type == SIM_OP_SETTLE || op->type == SIM_OP_EXTEND;
    if (is_for_broker && op->at_ns < broker->paused_until_ns) {
        wait_for_broker(broker, op);
        return;
    }
    op->is_waiting = false;
    switch (op->type) {
    case SIM_OP_STORE:
        do_store(broker, op);
        break;
    case SIM_OP_ACK:
        do_ack(op);
        break;
    case SIM_OP_SETTLE:
        do_settle(broker, op);
        break;
    case SIM_OP_ANSWER:
        do_answer(op);
        break;
    case SIM_OP_EXTEND:
        sim_extend(broker, op);
        sim_op_free(op);
        break;
    case SIM_OP_VOID:
        sim_op_free(op);
        break;
    }
}

/* Time never goes back: a call with an older now happens at the latest one. */
void sim_advance(struct dri_sim_broker *broker, struct dri_now now)
{
    if (now.mono_ns < broker->now.mono_ns) {
        now = broker->now;
    }
    while (broker->heap_count > 0 && broker->heap[0]->at_ns <= now.mono_ns) {
        struct sim_op *op = take_first(broker);
        if (op->at_ns > broker->now.mono_ns) {
            broker->now.wall_ms = now.wall_ms - (now.mono_ns - op->at_ns) / NS_PER_MS;
            broker->now.mono_ns = op->at_ns;
        }
        carry_out(broker, op);
    }
    broker->now = now;
    sim_groups_tick(broker);
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

static void set_default(uint32_t *field, uint32_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

enum dray_status dri_sim_create(const struct dri_sim_config *config,
                                struct dri_sim_broker **ret_broker)
{
    struct dri_sim_broker *broker = dri_zalloc(sizeof(*broker));
    if (broker == NULL) {
        return DRAY_ENOMEM;
    }
    broker->config = *config;
    broker->config.is_cooperative |= config->is_partitioned;
    broker->random = config->seed;
    set_default(&broker->config.message_bytes_max, 1024u * 1024u);
    set_default(&broker->config.late_ms, 2000);
    set_default(&broker->config.lease_ms, 30000);
    set_default(&broker->config.session_ms, 10000);
    set_default(&broker->config.rebalance_ms, 10000);
    set_default(&broker->config.publish_ms, 30000);
    set_default(&broker->config.dedup_ms, 600000);
    dri_lock_init(&broker->lock, DRI_LOCK_TRANSPORT);
    *ret_broker = broker;
    return DRAY_OK;
}

void dri_sim_destroy(struct dri_sim_broker *broker)
{
    if (broker == NULL) {
        return;
    }
    DRI_ASSERT(broker->clients == NULL);
    while (broker->groups != NULL) {
        struct sim_group *group = broker->groups;
        broker->groups = group->next;
        sim_group_free(group);
    }
    while (broker->topics != NULL) {
        struct sim_topic *topic = broker->topics;
        broker->topics = topic->next;
        sim_topic_free(topic);
    }
    for (size_t i = 0; i < broker->heap_count; i++) {
        sim_op_free(broker->heap[i]);
    }
    while (broker->texts != NULL) {
        struct sim_text *text = broker->texts;
        broker->texts = text->next;
        dri_free(text);
    }
    dri_free(broker->heap);
    dri_free(broker->sights);
    dri_lock_fini(&broker->lock);
    dri_free(broker);
}

/* --- what a test does to it
 * ----------------------------------------------------------------------- */

void dri_sim_rates(struct dri_sim_broker *broker, const uint16_t rates[DRI_SIM_FAULT_COUNT])
{
    dri_lock_take(&broker->lock);
    if (rates != NULL) {
        memcpy(broker->config.rates, rates, sizeof(broker->config.rates));
    } else {
        memset(broker->config.rates, 0, sizeof(broker->config.rates));
    }
    dri_lock_drop(&broker->lock);
}

/* The client does not give up after all. */
static void take_back_unknown(struct dri_sim_broker *broker, struct sim_op *store)
{
    for (size_t i = 0; i < broker->heap_count; i++) {
        struct sim_op *op = broker->heap[i];
        if (op->type == SIM_OP_ACK && op->client == store->client &&
            op->published.token == store->published.token && op->at_ns == store->due_ns) {
            op->type = SIM_OP_VOID;
            store->is_silent = false;
            store->is_given_up = false;
            broker->counts[DRI_SIM_PUBLISH_TIMED_OUT]--;
            return;
        }
    }
}

/* The pause ends at another time than was thought. */
static void move_waiting(struct dri_sim_broker *broker, uint64_t until_ns)
{
    for (size_t i = 0; i < broker->heap_count; i++) {
        struct sim_op *op = broker->heap[i];
        if (!op->is_waiting) {
            continue;
        }
        op->at_ns = until_ns;
        if (op->is_given_up && op->client != NULL && op->due_ns > until_ns) {
            take_back_unknown(broker, op);
        }
    }
    for (size_t i = broker->heap_count / 2; i > 0; i--) {
        sift_down(broker, i - 1);
    }
}

void dri_sim_pause(struct dri_sim_broker *broker, struct dri_now now, uint64_t until_ns)
{
    dri_lock_take(&broker->lock);
    sim_advance(broker, now);
    broker->paused_until_ns = until_ns;
    move_waiting(broker, until_ns);
    if (until_ns > broker->now.mono_ns) {
        sim_count(broker, DRI_SIM_PAUSE);
    }
    /* The coordinator is asleep too: it does not hold the silence against its members. */
    for (struct sim_group *group = broker->groups; group != NULL; group = group->next) {
        for (struct sim_member *member = group->members; member != NULL; member = member->next) {
            if (member->heartbeat_ns < until_ns) {
                member->heartbeat_ns = until_ns;
            }
        }
    }
    dri_lock_drop(&broker->lock);
}

void dri_sim_storm(struct dri_sim_broker *broker, struct dri_now now, bool is_lost, uint32_t one_in)
{
    dri_lock_take(&broker->lock);
    sim_advance(broker, now);
    sim_storm(broker, is_lost, one_in);
    sim_groups_tick(broker);
    dri_lock_drop(&broker->lock);
}

void dri_sim_isolate(struct dri_transport *client, struct dri_now now, uint64_t until_ns)
{
    dri_lock_take(&client->broker->lock);
    sim_advance(client->broker, now);
    client->isolated_until_ns = until_ns;
    dri_lock_drop(&client->broker->lock);
}

void dri_sim_kill(struct dri_transport *client, uint64_t operations)
{
    dri_lock_take(&client->broker->lock);
    client->operations_left = operations;
    if (operations == 0) {
        sim_die(client);
    }
    dri_lock_drop(&client->broker->lock);
}

bool dri_sim_is_dead(const struct dri_transport *client)
{
    return client->is_dead;
}

void dri_sim_advance(struct dri_sim_broker *broker, struct dri_now now)
{
    dri_lock_take(&broker->lock);
    sim_advance(broker, now);
    dri_lock_drop(&broker->lock);
}

uint64_t dri_sim_next_deadline(struct dri_sim_broker *broker)
{
    dri_lock_take(&broker->lock);
    uint64_t wire = sim_wire_deadline(broker);
    uint64_t groups = sim_groups_deadline(broker);
    dri_lock_drop(&broker->lock);
    return wire < groups ? wire : groups;
}

/* --- what a test reads
 * ---------------------------------------------------------------------------- */

void dri_sim_counts(struct dri_sim_broker *broker, uint64_t ret_counts[DRI_SIM_FAULT_COUNT])
{
    dri_lock_take(&broker->lock);
    memcpy(ret_counts, broker->counts, sizeof(broker->counts));
    dri_lock_drop(&broker->lock);
}

uint32_t dri_sim_client_number(const struct dri_transport *client)
{
    return client->number;
}

uint64_t dri_sim_stale(const struct dri_transport *client)
{
    return client->stale;
}

size_t dri_sim_sights(struct dri_sim_broker *broker, const struct dri_sim_sight **ret_sights)
{
    size_t count = broker->sights_count - broker->sights_read;
    *ret_sights = broker->sights + broker->sights_read;
    broker->sights_read = broker->sights_count;
    return count;
}
