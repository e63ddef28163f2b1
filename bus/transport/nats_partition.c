/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* The slots of partitions: a consumer for each time that a partition becomes ours, or that the
 * connection was down (what the server has sent into the old one would come again behind newer
 * messages). nats_lease.c says why.
 *
 * Set-up of one: which consumer counts, by the record of the lease, and how far it is; make ours
 * behind that; write it down; then the old one is deleted, and only then the first message is asked
 * for. What is out of the old one while the partition stays ours goes on: when it is settled the
 * old consumer is not told, and when the new one delivers it again it is the same flight, or one
 * that was settled lately. */

#define INACTIVE_NS  UINT64_C(86400000000000)
#define CREATE_BYTES 2048u

static void on_looked(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply);

static void name_of(const struct dri_nats_slot *slot, uint64_t number,
                    char ret_name[DRI_NATS_NAME_BYTES])
{
    (void)snprintf(ret_name, DRI_NATS_NAME_BYTES, "%.130s_%llu", slot->consumer_base,
                   (unsigned long long)number);
}

static bool is_of_this_stream(const struct dri_nats_slot *slot)
{
    const struct dri_nats_record *record = &slot->lease.record;
    return record->consumer != 0 && strcmp(record->created, slot->stream_created) == 0;
}

/* --- set-up --------------------------------------------------------------------------------- */

static void on_created(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    if (slot->state != DRI_NATS_SETUP_CREATE) {
        return;
    }
    if (reply->status != DRAY_OK) {
        dri_nats_slot_fail(slot, now, reply->status, "creating a consumer", reply->description);
        return;
    }
    uint64_t floor = dri_nats_json_uint(reply->json, "ack_floor.stream_seq", 0);
    slot->ack_floor = floor > slot->ack_floor ? floor : slot->ack_floor;
    dri_nats_slot_set_lease(slot, dri_nats_json_find(reply->json, "config"));
    (void)dri_nats_json_text(reply->json, "created", slot->consumer_created,
                             sizeof(slot->consumer_created));
    slot->consumer_previous = is_of_this_stream(slot) ? slot->lease.record.consumer : 0;
    slot->consumer_number = slot->lease.record_seq;
    slot->state = DRI_NATS_SETUP_NOTE;
    if (!dri_nats_lease_note(self, slot, now)) {
        dri_nats_slot_fail(slot, now, DRAY_EBROKER, slot->topic, "the lease has ended meanwhile");
    }
}

static void create(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 40], body[CREATE_BYTES], start[96];
    char quoted[DRI_NATS_SUBJECT_BYTES + 16];
    if (!dri_nats_json_quote(slot->filter, quoted, sizeof(quoted)) ||
        !dri_nats_lease_is_ours(slot)) {
        dri_nats_slot_fail(slot, now, DRAY_EBROKER, slot->topic, "the lease has ended meanwhile");
        return;
    }
    /* Latest is for a group that has never read; of a stream made anew nothing was seen. */
    bool is_latest = slot->lease.record.consumer == 0 && slot->start == DRI_START_LATEST;
    if (slot->ack_floor > 0) {
        (void)snprintf(start, sizeof(start),
                       "\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":%llu",
                       (unsigned long long)slot->ack_floor + 1);
    } else {
        (void)snprintf(start, sizeof(start), "\"deliver_policy\":\"%s\"",
                       is_latest ? "new" : "all");
    }
    name_of(slot, slot->lease.record_seq, slot->consumer);
    (void)snprintf(subject, sizeof(subject), "CONSUMER.DURABLE.CREATE.%s.%s", slot->stream,
                   slot->consumer);
    (void)snprintf(body, sizeof(body),
                   "{\"stream_name\":\"%s\",\"config\":{\"durable_name\":\"%s\",%s,"
                   "\"ack_policy\":\"explicit\",\"ack_wait\":%llu,\"max_deliver\":-1,"
                   "\"replay_policy\":\"instant\",\"max_ack_pending\":%llu,"
                   "\"inactive_threshold\":%llu,\"filter_subject\":%s}}",
                   slot->stream, slot->consumer, start, self->settings.ack_wait_ms * 1000000ull,
                   (unsigned long long)self->max_ack_pending, (unsigned long long)INACTIVE_NS,
                   quoted);
    slot->state = DRI_NATS_SETUP_CREATE;
    if (!dri_nats_call(self, now, subject, body, on_created, slot)) {
        dri_nats_slot_fail(slot, now, DRAY_EBROKER, slot->topic, "not connected");
    }
}

static void on_looked(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    if (slot->state != DRI_NATS_SETUP_LOOK) {
        return;
    }
    if (reply->status != DRAY_OK && reply->status != DRAY_ENOTFOUND) {
        dri_nats_slot_fail(slot, now, reply->status, "looking for the consumer",
                           reply->description);
        return;
    }
    if (reply->status == DRAY_OK) {
        uint64_t floor = dri_nats_json_uint(reply->json, "ack_floor.stream_seq", 0);
        slot->ack_floor = floor > slot->ack_floor ? floor : slot->ack_floor;
    }
    create(self, slot, now);
}

void dri_nats_partition_setup(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 32], name[DRI_NATS_NAME_BYTES];
    const struct dri_nats_record *record = &slot->lease.record;
    dri_nats_pull_clear(self, slot, now, false);
    dri_nats_deliveries_orphan(self, slot->number);
    if (!is_of_this_stream(slot)) {
        slot->ack_floor = 0;
        create(self, slot, now);
        return;
    }
    slot->ack_floor = record->floor;
    name_of(slot, record->consumer, name);
    (void)snprintf(subject, sizeof(subject), "CONSUMER.INFO.%s.%s", slot->stream, name);
    slot->state = DRI_NATS_SETUP_LOOK;
    if (!dri_nats_call(self, now, subject, NULL, on_looked, slot)) {
        dri_nats_slot_fail(slot, now, DRAY_EBROKER, slot->topic, "not connected");
    }
}

void dri_nats_slot_noted(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 32], name[DRI_NATS_NAME_BYTES];
    if (slot->lease.is_leaving) {
        return;
    }
    if (slot->state == DRI_NATS_GONE) {
        slot->state = DRI_NATS_SETUP_WAIT;
        slot->setup_at_ns = 0;
        slot->setup_tries = 0;
        dri_nats_follow_begin(self, slot);
        return;
    }
    if (slot->state != DRI_NATS_SETUP_NOTE ||
        slot->lease.record.consumer != slot->consumer_number) {
        return;
    }
    if (slot->consumer_previous != 0 && slot->consumer_previous != slot->consumer_number) {
        name_of(slot, slot->consumer_previous, name);
        (void)snprintf(subject, sizeof(subject), "CONSUMER.DELETE.%s.%s", slot->stream, name);
        (void)dri_nats_call(self, now, subject, NULL, NULL, NULL);
    }
    DRI_LOG(DRI_LOG_INFO, "NATS-LEASE", "partition taken", DRI_TEXT("partition", slot->topic),
            DRI_TEXT("consumer", slot->consumer), DRI_UINT("floor", slot->ack_floor));
    slot->state = DRI_NATS_SETUP_FOLLOW;
    dri_nats_follow_join(self, slot);
}

/* --- the ends ------------------------------------------------------------------------------- */

void dri_nats_slot_vacate(struct dri_nats *self, struct dri_nats_slot *slot)
{
    if (slot->is_assigned && !slot->has_assigned) {
        slot->has_lost = true;
        slot->lost_epoch = slot->epoch;
    }
    slot->has_assigned = slot->has_revoked = slot->is_assigned = false;
    slot->consumer_number = 0;
    slot->state = DRI_NATS_GONE;
    dri_nats_calls_cancel(self, slot);
    dri_nats_pull_clear(self, slot, dri_clock_now(), false);
    dri_nats_deliveries_drop(self, slot->number);
    dri_free(slot->recent);
    slot->recent = NULL;
    dri_nats_follow_vacate(self, slot);
}

void dri_nats_slot_revoke(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    dri_nats_pull_clear(self, slot, now, false);
    if (slot->is_assigned && !slot->has_assigned) {
        slot->has_revoked = true;
        dri_nats_follow_revoke(self, slot);
        return;
    }
    slot->is_assigned = false; /* nobody knows of it */
    dri_nats_lease_release(self, slot, now);
}

void dri_nats_slot_hold(struct dri_nats *self, struct dri_nats_slot *slot)
{
    slot->state = DRI_NATS_GONE;
    dri_nats_calls_cancel(self, slot);
    dri_nats_pull_clear(self, slot, dri_clock_now(), false);
    dri_nats_deliveries_orphan(self, slot->number);
}

bool dri_nats_partition_accepts(const struct dri_nats_slot *slot, struct dray_slice consumer)
{
    return slot->state == DRI_NATS_READY && slot->is_assigned && !slot->lease.is_leaving &&
           dray_slice_equal_text(consumer, slot->consumer);
}

/* --- slots ---------------------------------------------------------------------------------- */

void dri_nats_append_token(char *text, size_t bytes, const char *token)
{
    size_t len = strlen(text);
    for (; *token != '\0' && len + 1 < bytes; token++) {
        bool is_plain = isalnum((unsigned char)*token) != 0 || *token == '-' || *token == '_';
        text[len++] = is_plain ? *token : '_';
    }
    text[len] = '\0';
}

static struct dri_nats_slot *next_slot(struct dri_nats *self)
{
    struct dri_nats_slot *slot = &self->slots[self->slots_count];
    slot->number = self->slots_count++;
    slot->average_bytes = 512;
    return slot;
}

static void name_leases(struct dri_nats *self, const char *topic)
{
    struct dri_nats_leases *leases = &self->leases;
    const char *unique = strrchr(self->inbox, '.');
    (void)snprintf(leases->prefix, sizeof(leases->prefix), "$KV.DRAY_LEASES.%.64s.", self->group);
    dri_nats_append_token(leases->prefix, sizeof(leases->prefix) - 32, topic);
    dri_nats_append_token(leases->member, sizeof(leases->member) - 1,
                          self->settings.name == NULL ? "nobody" : self->settings.name);
    (void)snprintf(leases->owner, sizeof(leases->owner), "%.60s~", leases->member);
    dri_nats_append_token(leases->owner, sizeof(leases->owner) - 1,
                          unique == NULL ? "" : unique + 1);
}

enum dray_status dri_nats_partitions_init(struct dri_nats *self,
                                          const struct dri_transport_config *config,
                                          const struct dri_source *source,
                                          char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nats_leases *leases = &self->leases;
    if (strpbrk(source->topic, "*>") != NULL || strlen(source->topic) > 200) {
        dri_nats_say(ret_text, "nats.partitions: \"%.60s\" is no plain subject", source->topic);
        return DRAY_EINVALID;
    }
    if (source->start == DRI_START_FAIL) {
        dri_nats_say(ret_text, "nats.partitions: the consumers of partitions come and go; set "
                               "worker.start to earliest or latest");
        return DRAY_EINVALID;
    }
    enum dray_status status = dri_nats_follow_init(self, config, ret_text);
    if (status != DRAY_OK) {
        return status;
    }
    leases->partitions = self->settings.partitions;
    leases->slot_first = self->slots_count;
    name_leases(self, source->topic);
    for (uint32_t i = 0; i < leases->partitions; i++) {
        struct dri_nats_slot *slot = next_slot(self);
        slot->kind = DRI_NATS_GROUP;
        slot->role = source->role;
        slot->start = source->start;
        slot->is_partition = true;
        slot->partition = (int32_t)i;
        slot->state = DRI_NATS_GONE;
        (void)snprintf(slot->topic, sizeof(slot->topic), "%s.p.%u", source->topic, i);
        (void)snprintf(slot->filter, sizeof(slot->filter), "%s", slot->topic);
        (void)snprintf(slot->consumer_base, sizeof(slot->consumer_base), "%.64s-", self->group);
        dri_nats_append_token(slot->consumer_base, 128, slot->topic);
        dri_nats_follow_name(self, slot);
    }
    struct dri_nats_slot *log = next_slot(self);
    leases->slot_log = log->number;
    log->kind = DRI_NATS_LOG;
    log->role = DRI_ROLE_LOG;
    log->is_internal = true;
    (void)snprintf(log->topic, sizeof(log->topic), "%.500s.>", leases->prefix);
    (void)snprintf(log->filter, sizeof(log->filter), "%s", log->topic);
    return DRAY_OK;
}
