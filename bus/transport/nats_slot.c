/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* Sources: how each finds or makes its consumer, and what happens when that is gone.
 *
 *   group   durable pull consumer, explicit ack. The commands consumer has the name of the group;
 * any other gets the source's topic behind it, since a consumer takes one filter on servers
 *           before 2.10. Looked for first, created only when it is not there.
 *   log     ephemeral pull consumer without acks, from a sequence. On loss, on a gap in the
 * consumer's own count, and after each reconnect another one is made from the next sequence wanted.
 *   core    a plain subscription: the inbox of somebody who waits for an answer.
 *
 * A durable that was deleted is made again from the last known acknowledgement floor: everything
 * below is done for all replicas; from the start would run the whole stream again. A stream that
 * was made anew (another creation time) begins at its first message. Both are told as LOST and
 * ASSIGNED. Whether it is still the same is looked at after each reconnect, before anything is
 * acknowledged, and every few seconds. */

#define RETRY_MIN_NS     UINT64_C(100000000)
#define RETRY_MAX_NS     UINT64_C(5000000000)
#define END_INTERVAL_NS  UINT64_C(2000000000)
#define LOG_INACTIVE_NS  UINT64_C(60000000000)
#define MARGIN_MAX_NS    UINT64_C(1000000000)
#define DELIVER_MAX_LOW  1000 /* each crash of a worker costs one */
#define CREATED_SLACK_MS 1000u
#define CONFIG_BYTES     4096u
#define EXAMINE_BYTES    (256u * 1024u)

enum {
    ASK_FLOOR = 1
};

static void setup_find(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
static void setup_look(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);

struct dri_nats_slot *dri_nats_slot_at(struct dri_nats *self, uint32_t number, uint32_t epoch)
{
    if (number >= self->slots_count || !self->slots[number].is_assigned ||
        self->slots[number].epoch != epoch) {
        return NULL;
    }
    return &self->slots[number];
}

/* --- steps of the set-up -------------------------------------------------------------------- */

void dri_nats_slot_fail(struct dri_nats_slot *slot, struct dri_now now, enum dray_status status,
                        const char *what, const char *why)
{
    uint64_t wait = RETRY_MIN_NS << (slot->setup_tries > 6 ? 6 : slot->setup_tries);
    slot->setup_tries++;
    slot->state = DRI_NATS_SETUP_WAIT;
    slot->setup_at_ns = now.mono_ns + (wait > RETRY_MAX_NS ? RETRY_MAX_NS : wait);
    slot->setup_status = status;
    (void)snprintf(slot->setup_text, sizeof(slot->setup_text), "%s: %s", what, why);
    if (slot->epoch > 0 || dri_nats_follow_has_owner(slot)) {
        DRI_LOG(DRI_LOG_WARN, "NATS-SOURCE", "source is not available; trying again",
                DRI_TEXT("topic", slot->topic), DRI_TEXT("why", slot->setup_text));
    }
}

static void setup_call(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                       const char *subject, const char *body, dri_nats_reply_fn *on_reply)
{
    if (!dri_nats_call(self, now, subject, body, on_reply, slot)) {
        dri_nats_slot_fail(slot, now, DRAY_EBROKER, slot->topic, "not connected");
    }
}

static void lose(struct dri_nats *self, struct dri_nats_slot *slot)
{
    if (!slot->is_assigned) {
        return;
    }
    DRI_LOG(DRI_LOG_WARN, "NATS-CONSUMER-LOST", "consumer is gone; making another",
            DRI_TEXT("stream", slot->stream), DRI_TEXT("consumer", slot->consumer));
    if (slot->has_assigned) {
        slot->has_assigned = false; /* nobody knows of it yet */
    } else {
        slot->has_lost = true;
        slot->lost_epoch = slot->epoch;
    }
    slot->has_caught_up = slot->is_caught_up = slot->is_at_end = false;
    dri_nats_pull_clear(self, slot, dri_clock_now(), false);
    dri_nats_deliveries_drop(self, slot->number);
    slot->is_assigned = false;
    if (slot->is_partition) {
        dri_nats_follow_vacate(self, slot);
        dri_nats_follow_begin(self, slot);
    }
}

void dri_nats_slot_assign(struct dri_nats_slot *slot)
{
    slot->is_assigned = true;
    slot->is_paused = false;
    slot->epoch++;
    slot->has_assigned = true;
}

void dri_nats_slot_ready(struct dri_nats *self, struct dri_nats_slot *slot)
{
    slot->state = DRI_NATS_READY;
    slot->setup_status = DRAY_OK;
    slot->setup_tries = 0;
    slot->pull_at_ns = 0;
    if (slot->leader != DRI_SLOT_NONE) {
        dri_nats_follow_join(self, &self->slots[slot->leader]);
        return;
    }
    if (!slot->is_assigned) {
        dri_nats_slot_assign(slot);
    }
    dri_nats_deliveries_ready(self, slot->number);
}

/* --- group ---------------------------------------------------------------------------------- */

void dri_nats_slot_set_lease(struct dri_nats_slot *slot, struct dray_slice config)
{
    struct dray_slice backoff = dri_nats_json_find(config, "backoff"), first;
    uint64_t wait = dri_nats_json_uint(config, "ack_wait", UINT64_C(30000000000));
    size_t at = 0;
    if (dri_nats_json_next(backoff, &at, &first) && first.len < 24) {
        char text[32];
        (void)snprintf(text, sizeof(text), "{\"n\":%.*s}", (int)first.len, (const char *)first.at);
        wait = dri_nats_json_uint(dray_slice_text(text), "n", wait); /* it replaces ack_wait */
    }
    uint64_t margin = wait / 10 > MARGIN_MAX_NS ? MARGIN_MAX_NS : wait / 10;
    slot->ack_wait_ns = wait;
    slot->lease_ns = wait - margin;
}

static bool filter_fits(const struct dri_nats_slot *slot, struct dray_slice config)
{
    char filter[DRI_NATS_SUBJECT_BYTES];
    struct dray_slice filters = dri_nats_json_find(config, "filter_subjects"), item;
    size_t at = 0, count = 0;
    while (dri_nats_json_next(filters, &at, &item)) {
        count++;
        if (dri_nats_json_unescape(item, filter, sizeof(filter)) &&
            dri_nats_subject_covers(filter, slot->filter)) {
            return true;
        }
    }
    if (!dri_nats_json_text(config, "filter_subject", filter, sizeof(filter)) ||
        filter[0] == '\0') {
        return count == 0 && !slot->has_filter;
    }
    return strcmp(filter, slot->filter) == 0 || dri_nats_subject_covers(filter, slot->filter);
}

/** What is wrong with a consumer that is there; NULL: nothing. */
static const char *fault_of(const struct dri_nats_slot *slot, struct dray_slice config)
{
    char text[DRI_NATS_SUBJECT_BYTES];
    if (!dri_nats_json_text(config, "ack_policy", text, sizeof(text)) ||
        strcmp(text, "explicit") != 0) {
        return "its ack policy is not explicit";
    }
    if (dri_nats_json_text(config, "deliver_subject", text, sizeof(text)) && text[0] != '\0') {
        return "it is a push consumer";
    }
    int64_t deliver_max = dri_nats_json_int(config, "max_deliver", -1);
    if (deliver_max > 0 && deliver_max < DELIVER_MAX_LOW) {
        return "max_deliver is set, and the server would drop messages without a word; set it to "
               "-1 "
               "(a consumer with a back-off needs a number: 1000000)";
    }
    if (dri_nats_json_bool(config, "headers_only")) {
        return "it delivers headers only";
    }
    return filter_fits(slot, config)
               ? NULL
               : "its filter is another subject; with nats.partitions it must be the subject alone";
}

/** The same configuration with a higher max_ack_pending. */
static bool raised_config(const struct dri_nats *self, const struct dri_nats_slot *slot,
                          struct dray_slice config, char *ret_body, size_t bytes)
{
    struct dray_slice old = dri_nats_json_find(config, "max_ack_pending");
    if (old.at == NULL) {
        return false;
    }
    size_t before = (size_t)(old.at - config.at), after = config.len - before - old.len;
    int len =
        snprintf(ret_body, bytes, "{\"stream_name\":\"%s\",\"config\":%.*s%llu%.*s}", slot->stream,
                 (int)before, (const char *)config.at, (unsigned long long)self->max_ack_pending,
                 (int)after, (const char *)(old.at + old.len));
    return len > 0 && (size_t)len < bytes;
}

static void on_raised(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    const struct dri_nats_slot *slot = arg;
    if (reply->status != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "NATS-ACK-PENDING",
                "max_ack_pending of the consumer is below max_in_flight + max_unacked",
                DRI_TEXT("consumer", slot->consumer), DRI_UINT("wanted", self->max_ack_pending),
                DRI_TEXT("why", reply->description));
    }
}

/* nats-server 2.9 tells another creation time after a restart, by as long as it took to write the
 * file. */
bool dri_nats_slot_is_same_consumer(const struct dri_nats_slot *slot, const char *created)
{
    uint64_t one = dri_clock_parse(created, strlen(created));
    uint64_t two = dri_clock_parse(slot->consumer_created, strlen(slot->consumer_created));
    return (one > two ? one - two : two - one) <= CREATED_SLACK_MS;
}

static void forget_recent(struct dri_nats_slot *slot)
{
    dri_free(slot->recent);
    slot->recent = NULL;
}

/** Another consumer than the one we had, under the same name: what is out belongs to the old one.
 * When it begins at or below our floor somebody wants messages to run again: then what we settled
 * does not count; else a replica made it where the old one was. */
static void compare_consumer(struct dri_nats *self, struct dri_nats_slot *slot,
                             struct dray_slice info)
{
    char created[sizeof(slot->consumer_created)];
    uint64_t first = dri_nats_json_uint(info, "config.opt_start_seq", 1);
    (void)dri_nats_json_text(info, "created", created, sizeof(created));
    if (slot->consumer_created[0] != '\0' && !dri_nats_slot_is_same_consumer(slot, created)) {
        lose(self, slot);
        if (first <= slot->ack_floor) {
            forget_recent(slot);
            slot->ack_floor = 0;
        }
    }
    memcpy(slot->consumer_created, created, sizeof(created));
}

static void adopt_consumer(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                           struct dray_slice info)
{
    struct dray_slice config = dri_nats_json_find(info, "config");
    const char *fault = fault_of(slot, config);
    char subject[2 * DRI_NATS_NAME_BYTES + 40], body[CONFIG_BYTES];
    if (fault != NULL) {
        (void)snprintf(body, sizeof(body), "consumer %s of stream %s does not fit", slot->consumer,
                       slot->stream);
        dri_nats_slot_fail(slot, now, DRAY_EINVALID, body, fault);
        return;
    }
    compare_consumer(self, slot, info);
    uint64_t floor = dri_nats_json_uint(info, "ack_floor.stream_seq", 0);
    slot->ack_floor = floor > slot->ack_floor ? floor : slot->ack_floor;
    dri_nats_slot_set_lease(slot, config);
    int64_t deliver_max = dri_nats_json_int(config, "max_deliver", -1);
    slot->deliver_max = deliver_max > 0 ? (uint64_t)deliver_max : 0;
    int64_t bound = dri_nats_json_int(config, "max_ack_pending", -1);
    if (bound > 0 && (uint64_t)bound < self->max_ack_pending &&
        raised_config(self, slot, config, body, sizeof(body))) {
        (void)snprintf(subject, sizeof(subject), "CONSUMER.DURABLE.CREATE.%s.%s", slot->stream,
                       slot->consumer);
        (void)dri_nats_call(self, now, subject, body, on_raised, slot);
    }
    dri_nats_slot_ready(self, slot);
}

static void on_created(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    if (slot->state != DRI_NATS_SETUP_CREATE) {
        return;
    }
    if (reply->status == DRAY_OK) {
        slot->is_fresh = slot->epoch == 0;
        adopt_consumer(self, slot, now, reply->json);
    } else if (reply->status == DRAY_EINVALID && slot->setup_tries < 3) {
        slot->setup_tries++;
        setup_look(self, slot, now); /* another replica was faster, with other numbers */
    } else {
        dri_nats_slot_fail(slot, now, reply->status, "creating a consumer", reply->description);
    }
}

static void create_durable(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 40], body[CONFIG_BYTES], start[96], filter[1200] = "";
    char quoted[DRI_NATS_SUBJECT_BYTES + 16];
    if (slot->has_filter && dri_nats_json_quote(slot->filter, quoted, sizeof(quoted))) {
        (void)snprintf(filter, sizeof(filter), ",\"filter_subject\":%s", quoted);
    }
    if (slot->ack_floor > 0) {
        (void)snprintf(start, sizeof(start),
                       "\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":%llu",
                       (unsigned long long)slot->ack_floor + 1);
    } else {
        bool is_latest = slot->start == DRI_START_LATEST && slot->epoch == 0;
        (void)snprintf(start, sizeof(start), "\"deliver_policy\":\"%s\"",
                       is_latest ? "new" : "all");
    }
    (void)snprintf(subject, sizeof(subject), "CONSUMER.DURABLE.CREATE.%s.%s", slot->stream,
                   slot->consumer);
    (void)snprintf(body, sizeof(body),
                   "{\"stream_name\":\"%s\",\"config\":{\"durable_name\":\"%s\",%s,"
                   "\"ack_policy\":\"explicit\",\"ack_wait\":%llu,\"max_deliver\":-1,"
                   "\"replay_policy\":\"instant\",\"max_ack_pending\":%llu%s}}",
                   slot->stream, slot->consumer, start, self->settings.ack_wait_ms * 1000000ull,
                   (unsigned long long)self->max_ack_pending, filter);
    slot->state = DRI_NATS_SETUP_CREATE;
    setup_call(self, slot, now, subject, body, on_created);
}

static void on_looked(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    if (slot->state != DRI_NATS_SETUP_LOOK) {
        return;
    }
    if (reply->status == DRAY_OK) {
        adopt_consumer(self, slot, now, reply->json);
        return;
    }
    if (reply->status != DRAY_ENOTFOUND) {
        dri_nats_slot_fail(slot, now, reply->status, "looking for the consumer",
                           reply->description);
        return;
    }
    if (slot->start == DRI_START_FAIL && slot->epoch == 0) {
        dri_nats_slot_fail(
            slot, now, DRAY_ENOTFOUND, slot->topic,
            "the group has no consumer there, and start: fail forbids to make one; set "
            "worker.start to earliest or latest once");
        return;
    }
    lose(self, slot);
    create_durable(self, slot, now);
}

static void setup_look(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 32];
    (void)snprintf(subject, sizeof(subject), "CONSUMER.INFO.%s.%s", slot->stream, slot->consumer);
    slot->state = DRI_NATS_SETUP_LOOK;
    setup_call(self, slot, now, subject, NULL, on_looked);
}

/* --- log ------------------------------------------------------------------------------------ */

static void on_log_created(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    if (slot->state != DRI_NATS_SETUP_CREATE) {
        return;
    }
    if (reply->status != DRAY_OK) {
        dri_nats_slot_fail(slot, now, reply->status, "reading a stream", reply->description);
        return;
    }
    if (!dri_nats_json_text(reply->json, "name", slot->consumer, sizeof(slot->consumer))) {
        dri_nats_slot_fail(slot, now, DRAY_EBROKER, "reading a stream", "an answer without a name");
        return;
    }
    slot->consumer_seq = 0;
    slot->pulls_count = 0;
    slot->is_at_end = dri_nats_json_uint(reply->json, "num_pending", 1) == 0;
    dri_nats_slot_ready(self, slot);
}

static void create_log(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[DRI_NATS_NAME_BYTES + 32], body[CONFIG_BYTES], quoted[DRI_NATS_SUBJECT_BYTES + 16];
    char filter[1200] = "";
    if (slot->has_filter && dri_nats_json_quote(slot->filter, quoted, sizeof(quoted))) {
        (void)snprintf(filter, sizeof(filter), ",\"filter_subject\":%s", quoted);
    }
    (void)snprintf(subject, sizeof(subject), "CONSUMER.CREATE.%s", slot->stream);
    (void)snprintf(body, sizeof(body),
                   "{\"stream_name\":\"%s\",\"config\":{\"deliver_policy\":\"by_start_sequence\","
                   "\"opt_start_seq\":%llu,\"ack_policy\":\"none\",\"replay_policy\":\"instant\","
                   "\"max_deliver\":-1,\"inactive_threshold\":%llu,\"mem_storage\":true,"
                   "\"num_replicas\":1%s}}",
                   slot->stream, (unsigned long long)(slot->next_seq == 0 ? 1 : slot->next_seq),
                   (unsigned long long)LOG_INACTIVE_NS, filter);
    slot->state = DRI_NATS_SETUP_CREATE;
    setup_call(self, slot, now, subject, body, on_log_created);
}

void dri_nats_slot_forget_log(struct dri_nats *self, const struct dri_nats_slot *slot,
                              struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 32];
    if (slot->kind == DRI_NATS_LOG && slot->consumer[0] != '\0') {
        (void)snprintf(subject, sizeof(subject), "CONSUMER.DELETE.%s.%s", slot->stream,
                       slot->consumer);
        (void)dri_nats_call(self, now, subject, NULL, NULL, NULL);
    }
}

/* --- stream --------------------------------------------------------------------------------- */

/** Whether the stream holds nothing but this source: then the consumer needs no filter, and one is
 *  enough for "commands" and "commands.>" on every server. */
static bool is_all_ours(const struct dri_nats_slot *slot, struct dray_slice info)
{
    struct dray_slice subjects = dri_nats_json_find(info, "config.subjects"), item;
    char text[DRI_NATS_SUBJECT_BYTES];
    size_t at = 0, len = strlen(slot->filter);
    while (dri_nats_json_next(subjects, &at, &item)) {
        if (!dri_nats_json_unescape(item, text, sizeof(text))) {
            return false;
        }
        bool is_below = slot->role == DRI_ROLE_COMMANDS && strncmp(text, slot->filter, len) == 0 &&
                        text[len] == '.';
        if (!is_below && !dri_nats_subject_covers(slot->filter, text) &&
            strcmp(text, slot->filter) != 0) {
            return false;
        }
    }
    return true;
}

/** With partitions the commands' own consumer must leave theirs alone. */
static bool must_filter(const struct dri_nats *self, const struct dri_nats_slot *slot)
{
    return slot->is_partition || (self->settings.partitions > 1 && slot->role == DRI_ROLE_COMMANDS);
}

static void begin_log(struct dri_nats_slot *slot, struct dray_slice info)
{
    uint64_t last = dri_nats_json_uint(info, "state.last_seq", 0);
    slot->catch_up_seq = last;
    slot->next_seq = slot->start == DRI_START_LATEST   ? last + 1
                     : slot->start == DRI_START_OFFSET ? slot->start_offset
                                                       : 1;
    slot->next_seq = slot->next_seq == 0 ? 1 : slot->next_seq;
}

static void on_stream(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    char created[sizeof(slot->stream_created)];
    if (slot->state != DRI_NATS_SETUP_STREAM) {
        return;
    }
    if (reply->status != DRAY_OK) {
        dri_nats_slot_fail(slot, now, reply->status, "looking at a stream", reply->description);
        return;
    }
    (void)dri_nats_json_text(reply->json, "created", created, sizeof(created));
    bool is_new = slot->stream_created[0] == '\0';
    bool is_another = !is_new && strcmp(created, slot->stream_created) != 0;
    memcpy(slot->stream_created, created, sizeof(created));
    slot->end_seq = dri_nats_json_uint(reply->json, "state.last_seq", 0) + 1;
    slot->is_end_known = true;
    slot->has_filter = must_filter(self, slot) || !is_all_ours(slot, reply->json);
    if (is_another && slot->leader != DRI_SLOT_NONE && dri_nats_follow_lose(self, slot)) {
        return; /* begun again */
    }
    if (is_another) {
        lose(self, slot);
        slot->ack_floor = 0;
        slot->start = DRI_START_EARLIEST; /* nothing of this stream was seen */
        forget_recent(slot);
        slot->consumer_number = 0;
    }
    if (slot->is_partition) {
        dri_nats_partition_setup(self, slot, now);
        return;
    }
    if (slot->kind == DRI_NATS_GROUP) {
        setup_look(self, slot, now);
        return;
    }
    if (is_new || is_another) {
        begin_log(slot, reply->json);
    }
    create_log(self, slot, now);
}

static void on_found(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    struct dray_slice item;
    size_t at = 0;
    char subject[DRI_NATS_NAME_BYTES + 32];
    if (slot->state != DRI_NATS_SETUP_FIND) {
        return;
    }
    if (reply->status != DRAY_OK) {
        dri_nats_slot_fail(slot, now, reply->status, slot->topic, reply->description);
        return;
    }
    if (!dri_nats_json_next(dri_nats_json_find(reply->json, "streams"), &at, &item) ||
        !dri_nats_json_unescape(item, slot->stream, sizeof(slot->stream))) {
        bool is_sure = slot->setup_tries > 0; /* not at once: a cluster may be about to elect */
        if (is_sure && slot->leader != DRI_SLOT_NONE && dri_nats_follow_lose(self, slot)) {
            return; /* begun again */
        }
        if (is_sure) {
            lose(self, slot);
        }
        dri_nats_slot_fail(slot, now, DRAY_ENOTFOUND, slot->topic,
                           "no JetStream stream holds it; run dray doctor --fix, or set "
                           "worker.create_topics: true");
        return;
    }
    (void)snprintf(subject, sizeof(subject), "STREAM.INFO.%s", slot->stream);
    slot->state = DRI_NATS_SETUP_STREAM;
    setup_call(self, slot, now, subject, NULL, on_stream);
}

static void setup_find(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char quoted[DRI_NATS_SUBJECT_BYTES + 16], body[DRI_NATS_SUBJECT_BYTES + 64];
    if (!dri_nats_json_quote(slot->filter, quoted, sizeof(quoted))) {
        dri_nats_slot_fail(slot, now, DRAY_EINVALID, slot->topic, "no NATS subject");
        return;
    }
    (void)snprintf(body, sizeof(body), "{\"subject\":%s}", quoted);
    slot->state = DRI_NATS_SETUP_FIND;
    setup_call(self, slot, now, "STREAM.NAMES", body, on_found);
}

void dri_nats_slot_setup_again(struct dri_nats *self, struct dri_nats_slot *slot,
                               struct dri_now now)
{
    if (slot->state == DRI_NATS_READY) {
        (void)self;
        slot->pulls_count = 0;
        slot->state = DRI_NATS_SETUP_WAIT;
        slot->setup_at_ns = now.mono_ns + (slot->kind == DRI_NATS_LOG ? 0 : RETRY_MIN_NS);
    }
}

/* --- what is asked now and then ------------------------------------------------------------- */

static void on_end(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    (void)self;
    slot->is_end_asked = false;
    if (reply->status == DRAY_OK) {
        slot->end_seq = dri_nats_json_uint(reply->json, "state.last_seq", 0) + 1;
        slot->is_end_known = true;
    }
}

void dri_nats_slot_ask_end(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[DRI_NATS_NAME_BYTES + 32];
    if (slot->is_end_asked || slot->stream[0] == '\0' || now.mono_ns < slot->end_at_ns) {
        return;
    }
    (void)snprintf(subject, sizeof(subject), "STREAM.INFO.%s", slot->stream);
    slot->is_end_asked = dri_nats_call(self, now, subject, NULL, on_end, slot);
    slot->end_at_ns = now.mono_ns + END_INTERVAL_NS;
}

/* --- for doctor ------------------------------------------------------------------------------ */

static void examine(struct dri_nats_inquiry *inquiry, struct dri_nats_slot *slot,
                    struct dri_topic_report *report)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 32], body[DRI_NATS_SUBJECT_BYTES + 64];
    char quoted[DRI_NATS_SUBJECT_BYTES + 16];
    struct dray_slice item;
    size_t at = 0;
    if (!dri_nats_json_quote(slot->filter, quoted, sizeof(quoted))) {
        return;
    }
    (void)snprintf(body, sizeof(body), "{\"subject\":%s}", quoted);
    dri_nats_inquire(inquiry, "STREAM.NAMES", body);
    if (!dri_nats_json_next(dri_nats_json_find(inquiry->reply.json, "streams"), &at, &item) ||
        !dri_nats_json_unescape(item, slot->stream, sizeof(slot->stream))) {
        return;
    }
    (void)snprintf(subject, sizeof(subject), "STREAM.INFO.%s", slot->stream);
    dri_nats_inquire(inquiry, subject, NULL);
    slot->has_filter = must_filter(inquiry->self, slot) || !is_all_ours(slot, inquiry->reply.json);
    (void)snprintf(subject, sizeof(subject), "CONSUMER.INFO.%s.%s", slot->stream, slot->consumer);
    dri_nats_inquire(inquiry, subject, NULL);
    const char *fault = inquiry->reply.status == DRAY_OK
                            ? fault_of(slot, dri_nats_json_find(inquiry->reply.json, "config"))
                            : NULL;
    if (fault != NULL) {
        report->status = DRAY_EINVALID;
        (void)snprintf(report->text, sizeof(report->text), "consumer %.60s does not fit: %s",
                       slot->consumer, fault);
    }
}

void dri_nats_slot_examine(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t deadline_ns,
                           struct dri_topic_report *ret_report)
{
    struct dri_nats_inquiry inquiry = {
        .self = self, .deadline_ns = deadline_ns, .buffer_bytes = EXAMINE_BYTES};
    inquiry.buffer = dri_zalloc(EXAMINE_BYTES);
    if (inquiry.buffer != NULL) {
        examine(&inquiry, slot, ret_report);
    }
    dri_free(inquiry.buffer);
}

/* --- all of them ---------------------------------------------------------------------------- */

static void tell_caught_up(struct dri_nats_slot *slot)
{
    bool is_there =
        slot->kind == DRI_NATS_CORE || slot->is_at_end || slot->next_seq > slot->catch_up_seq;
    if (slot->kind != DRI_NATS_GROUP && !slot->is_caught_up && slot->state == DRI_NATS_READY &&
        slot->is_assigned && !slot->is_gated && slot->waiting_count == 0 && is_there) {
        slot->is_caught_up = true;
        slot->has_caught_up = true;
    }
}

void dri_nats_slots_step(struct dri_nats *self, struct dri_now now)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[i];
        if (self->wire != NULL && slot->state == DRI_NATS_SETUP_WAIT &&
            slot->setup_at_ns <= now.mono_ns) {
            setup_find(self, slot, now);
        }
        if (self->wire != NULL && slot->kind == DRI_NATS_GROUP && slot->state == DRI_NATS_READY &&
            slot->floor_at_ns <= now.mono_ns) {
            dri_nats_progress_ask(self, slot, now);
        }
        dri_nats_pull_step(self, slot, now);
        tell_caught_up(slot);
    }
}

uint64_t dri_nats_slots_deadline(const struct dri_nats *self)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; self->wire != NULL && i < self->slots_count; i++) {
        const struct dri_nats_slot *slot = &self->slots[i];
        uint64_t pull = dri_nats_pull_deadline(slot);
        first = pull < first ? pull : first;
        uint64_t ready = slot->delay_ms != 0 && !slot->is_paused && self->room > 0
                             ? dri_nats_pull_ready_ns(slot)
                             : UINT64_MAX;
        first = ready < first ? ready : first;
        if (slot->state == DRI_NATS_SETUP_WAIT && slot->setup_at_ns < first) {
            first = slot->setup_at_ns;
        }
        if (slot->kind == DRI_NATS_GROUP && slot->state == DRI_NATS_READY &&
            slot->floor_at_ns < first) {
            first = slot->floor_at_ns;
        }
    }
    return first;
}

void dri_nats_slots_link_up(struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[i];
        if (slot->state == DRI_NATS_GONE) {
            continue;
        }
        if (slot->kind == DRI_NATS_CORE) {
            dri_nats_slot_ready(self, slot);
        } else {
            slot->state = DRI_NATS_SETUP_WAIT;
            slot->setup_at_ns = 0;
        }
    }
}

void dri_nats_slots_link_down(struct dri_nats *self, struct dri_now now)
{
    (void)now;
    for (uint32_t i = 0; i < self->slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[i];
        slot->pulls_count = 0;
        slot->is_end_asked = false;
        if (slot->state != DRI_NATS_GONE && slot->state != DRI_NATS_READY) {
            slot->state = DRI_NATS_SETUP_WAIT;
        }
    }
    dri_nats_leases_link_down(self);
}

void dri_nats_slot_leave(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    /* Before anything is handed back: the server would give it to our own waiting requests. */
    if (self->wire != NULL) {
        dri_nats_wire_unsubscribe(self->wire, DRI_NATS_CHANNEL_SLOT + slot->number);
    }
    dri_nats_pull_clear(self, slot, now, true);
    dri_nats_deliveries_drop(self, slot->number);
    dri_nats_calls_cancel(self, slot);
    dri_nats_slot_forget_log(self, slot, now);
    slot->is_assigned = false;
    slot->state = DRI_NATS_GONE;
}

/** "<group>", or "<group>-<topic>" with every other sign as "_". */
static void name_consumer(const struct dri_nats *self, struct dri_nats_slot *slot,
                          bool is_first_commands)
{
    if (is_first_commands) {
        (void)snprintf(slot->consumer, sizeof(slot->consumer), "%s", self->group);
        return;
    }
    (void)snprintf(slot->consumer, sizeof(slot->consumer), "%.64s-%.90s", self->group, slot->topic);
    for (char *at = slot->consumer + strlen(self->group); *at != '\0'; at++) {
        if (isalnum((unsigned char)*at) == 0 && *at != '-' && *at != '_') {
            *at = '_';
        }
    }
}

static enum dray_status init_one(struct dri_nats *self, struct dri_nats_slot *slot,
                                 const struct dri_source *source,
                                 char ret_text[DRI_NATS_TEXT_BYTES])
{
    if (strlen(source->topic) >= sizeof(slot->topic) - 2) {
        dri_nats_say(ret_text, "subject \"%.60s...\" is too long", source->topic);
        return DRAY_EINVALID;
    }
    slot->role = source->role;
    slot->start = source->start;
    slot->start_offset = source->start_offset;
    slot->delay_ms = source->role == DRI_ROLE_DELAY ? source->delay_ms : 0;
    slot->average_bytes = 512;
    (void)snprintf(slot->topic, sizeof(slot->topic), "%s", source->topic);
    (void)snprintf(slot->filter, sizeof(slot->filter), "%s", source->topic);
    for (size_t i = 0; i < self->status_topics_count; i++) {
        if (strcmp(self->status_topics[i], source->topic) == 0) {
            (void)snprintf(slot->filter, sizeof(slot->filter), "%.500s.>", source->topic);
        }
    }
    if (source->role == DRI_ROLE_WINDOW) { /* everybody reads all of it */
        slot->kind = DRI_NATS_LOG;
        slot->start = DRI_START_EARLIEST;
        return DRAY_OK;
    }
    if (source->role == DRI_ROLE_LOG) {
        slot->kind = dri_nats_is_inbox(source->topic) ? DRI_NATS_CORE : DRI_NATS_LOG;
        return DRAY_OK;
    }
    if (self->group == NULL) {
        dri_nats_say(ret_text, "source \"%s\" needs a group", source->topic);
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

/* Without owners of partitions nobody could keep a park log: what would be parked waits in memory.
 */
static bool is_left_out(const struct dri_nats *self, const struct dri_source *source)
{
    if (self->settings.partitions > 1) {
        return source->role == DRI_ROLE_PARK || source->role == DRI_ROLE_WINDOW; /* nats_follow.c */
    }
    if (source->role == DRI_ROLE_PARK) {
        DRI_LOG(DRI_LOG_INFO, "NATS-PARK",
                "without nats.partitions nothing is parked: what waits does so in memory",
                DRI_TEXT("topic", source->topic));
    }
    return source->role == DRI_ROLE_PARK;
}

/* Each has two followers at most, and the advisories, the bucket, and one to spare are slots. */
static enum dray_status make_slots(struct dri_nats *self, size_t sources_count)
{
    size_t max =
        sources_count + (1 + DRI_NATS_FOLLOWERS_MAX) * (size_t)self->settings.partitions + 3;
    self->slots = dri_zalloc_array(max, sizeof(self->slots[0]));
    for (size_t i = 0; self->slots != NULL && i < max; i++) {
        self->slots[i].park = self->slots[i].window = self->slots[i].leader = DRI_SLOT_NONE;
    }
    return self->slots == NULL ? DRAY_ENOMEM : DRAY_OK;
}

enum dray_status dri_nats_slots_init(struct dri_nats *self,
                                     const struct dri_transport_config *config,
                                     char ret_text[DRI_NATS_TEXT_BYTES])
{
    bool has_commands = false;
    uint32_t window = DRI_SLOT_NONE;
    const struct dri_source *commands = NULL;
    enum dray_status status = make_slots(self, config->sources_count);
    for (int turn = 0; turn < 2; turn++) { /* a window is told before the commands that name it */
        for (size_t i = 0; status == DRAY_OK && i < config->sources_count; i++) {
            const struct dri_source *source = &config->sources[i];
            if ((source->role == DRI_ROLE_WINDOW || source->role == DRI_ROLE_PARK) != (turn == 0) ||
                is_left_out(self, source)) {
                continue;
            }
            struct dri_nats_slot *slot = &self->slots[self->slots_count];
            slot->number = self->slots_count++;
            status = init_one(self, slot, source, ret_text);
            window = source->role == DRI_ROLE_WINDOW ? slot->number : window;
            if (status == DRAY_OK && slot->kind == DRI_NATS_GROUP) {
                bool is_first = slot->role == DRI_ROLE_COMMANDS && !has_commands;
                has_commands = has_commands || is_first;
                name_consumer(self, slot, is_first);
                commands = is_first ? source : commands;
                slot->window = slot->role == DRI_ROLE_COMMANDS ? window : DRI_SLOT_NONE;
                slot->is_gated = slot->window != DRI_SLOT_NONE;
            }
        }
    }
    if (status != DRAY_OK) {
        return status;
    }
    if (commands != NULL) {
        dri_nats_given_init(self, commands);
    }
    return commands != NULL && self->settings.partitions > 1
               ? dri_nats_partitions_init(self, config, commands, ret_text)
               : DRAY_OK;
}

void dri_nats_slots_fini(struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[i];
        dri_nats_pull_clear(self, slot, dri_clock_now(), false);
        dri_free(slot->waiting);
        dri_free(slot->recent);
        dri_free(slot->erase);
    }
    dri_free(self->slots);
    self->slots = NULL;
    self->slots_count = 0;
}
