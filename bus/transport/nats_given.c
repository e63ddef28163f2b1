/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "nats_private.h"

/* What a consumer's max_deliver gave up.
 *
 * dray's own consumers have no such bound, and one with a small bound is refused; but a consumer
 * can have had one before, or get one while it is read. The server then stops delivering a message,
 * takes it out of what is pending, moves the acknowledgement floor past it, and tells nobody but by
 * an advisory, a core message that is gone when nobody listens. After that nothing distinguishes
 * the message from one that was acknowledged, on 2.9 and on current servers alike: the API names no
 * message by its state, the floor says nothing, and num_redelivered, which keeps counting it, does
 * not say which. (Looked for and rejected: reading the stream between floor and last delivered,
 * where after the last acknowledgement of the others there is nothing any more.) So the advisories
 * themselves are kept, in a stream of their own, from the first start on; what was lost before it
 * was there, and an advisory that dies with the server between the decision and the stream, are not
 * found.
 *
 * One durable consumer a group reads that stream, shared by the replicas, so that each advisory is
 * one replica's, and comes to another when that one dies. Those of other groups are acknowledged
 * unread. For one of ours the message is fetched by its sequence and handed up in the slot of its
 * consumer, at its end (is_last): it becomes a dead letter, and is not run, since the deliveries
 * that were allowed are used up, maybe by killing workers. Its delivery is the advisory's: that is
 * what settling acknowledges and what a lease renews. The letter's deduplication id is that of the
 * message, so a replica that dies in between costs nothing.
 *
 * Is the message still running here, because only its lease was lost, then this is one more
 * delivery of it, and its own outcome settles the advisory. Where the slot is not ours now (a
 * partition of another replica, a consumer that is just looked for) the advisory goes back for a
 * second.
 *
 * All of this is beside the point of a worker: where the stream is missing and may not be made, or
 * may not be read, a warning says so and the worker works.
 */

#define SUBJECT     "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"
#define RETRY_NS    UINT64_C(30000000000)
#define CHECK_NS    UINT64_C(250000000)
#define WITHOUT     "what a consumer's max_deliver gives up is not noticed"
#define CODE_NO_MSG 10037u /* no message found; a stream that is not there has another */
#define LATER_WORD  "-NAK {\"delay\":1000000000}"

static const struct dri_topic topic = {.topic = SUBJECT, .use = DRI_USE_CONTROL};

void dri_nats_given_init(struct dri_nats *self, const struct dri_source *commands)
{
    struct dri_nats_slot *slot = &self->slots[self->slots_count];
    slot->number = self->slots_count++;
    slot->kind = DRI_NATS_GROUP;
    slot->role = DRI_ROLE_LOG;
    slot->start = DRI_START_EARLIEST;
    slot->is_internal = slot->is_optional = true;
    slot->average_bytes = 512;
    slot->batch_max = DRI_NATS_RESCUES_MAX;
    (void)snprintf(slot->topic, sizeof(slot->topic), "%s", SUBJECT);
    (void)snprintf(slot->filter, sizeof(slot->filter), "%s", SUBJECT);
    /* The group may be another's, too, who reads other commands. */
    (void)snprintf(slot->consumer, sizeof(slot->consumer), "%.64s-", self->group);
    dri_nats_append_token(slot->consumer, 64 + 1 + 80, commands->topic);
    dri_nats_append_token(slot->consumer, sizeof(slot->consumer), "-given-up");
    self->given.slot = slot->number;
    self->given.is_on = true;
}

void dri_nats_given_open(struct dri_nats *self, bool can_create, uint64_t deadline_ns)
{
    char why[DRI_NATS_TEXT_BYTES];
    if (self->given.is_on &&
        dri_nats_topic_check(self, &topic, can_create, deadline_ns, NULL, why) != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "NATS-GIVEN-UP", WITHOUT, DRI_TEXT("why", why));
    }
}

void dri_nats_given_examine(struct dri_nats *self, bool can_create, uint64_t deadline_ns,
                            struct dri_topic_report *report)
{
    char why[DRI_NATS_TEXT_BYTES];
    if (self->given.is_on && report->text[0] == '\0' &&
        dri_nats_topic_check(self, &topic, can_create, deadline_ns, NULL, why) != DRAY_OK) {
        (void)snprintf(report->text, sizeof(report->text), WITHOUT ": %.90s", why);
    }
}

/* --- one advisory ---------------------------------------------------------------------------- */

enum verdict {
    DONE,  /* nothing is to be done about it, or all is done */
    LATER, /* it comes to somebody in a second */
    AWAY   /* nothing can be said now: it comes again when its lease has ended */
};

static void finish(struct dri_nats *self, struct dri_nats_rescue *rescue, enum verdict verdict)
{
    const char *ack = natsMsg_GetReply(rescue->advisory);
    if (self->wire != NULL && verdict == DONE) {
        (void)dri_nats_verb_send(self, DRI_NATS_ACK, ack);
    } else if (self->wire != NULL && verdict == LATER) {
        (void)dri_nats_link_send(self, ack, NULL, LATER_WORD, strlen(LATER_WORD));
    }
    natsMsg_Destroy(rescue->advisory);
    rescue->advisory = NULL;
}

/** "<base>_<number>": any of the consumers that a partition has had. */
static bool is_of_partition(const struct dri_nats_slot *slot, const char *consumer)
{
    size_t len = strlen(slot->consumer_base);
    const char *number = consumer + len + 1;
    return slot->is_partition && strncmp(consumer, slot->consumer_base, len) == 0 &&
           consumer[len] == '_' && *number != '\0' &&
           strspn(number, "0123456789") == strlen(number);
}

/** The slot that reads with this consumer; NULL: none of ours. */
static struct dri_nats_slot *slot_of(struct dri_nats *self, const char *stream,
                                     const char *consumer)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[i];
        bool is_source = slot->kind == DRI_NATS_GROUP && !slot->is_internal;
        bool has_read = slot->is_partition ? is_of_partition(slot, consumer)
                                           : strcmp(slot->consumer, consumer) == 0;
        /* One that was never set up does not know its stream yet. */
        if (is_source && has_read &&
            (slot->stream[0] == '\0' || strcmp(slot->stream, stream) == 0)) {
            return slot;
        }
    }
    return NULL;
}

static bool is_there(const struct dri_nats_slot *slot)
{
    return slot->state == DRI_NATS_READY && slot->is_assigned && !slot->lease.is_leaving;
}

static uint64_t time_of(struct dray_slice json, const char *path)
{
    char text[64];
    return dri_nats_json_text(json, path, text, sizeof(text)) ? dri_clock_parse(text, strlen(text))
                                                              : 0;
}

/* --- the message ------------------------------------------------------------------------------ */

/** Bytes of a base64 string in the answer; absent: none, or no base64. */
static struct dray_slice decoded(struct dri_nats *self, struct dray_slice json, const char *path)
{
    const struct dray_slice absent = {NULL, 0};
    struct dray_slice text = dri_nats_json_find(json, path);
    if (text.at == NULL || text.len < 2 || text.at[0] != '"') {
        return absent;
    }
    text = dray_slice_of(text.at + 1, text.len - 2);
    uint8_t *bytes = dri_nats_arena_take(&self->scratch, text.len + 1);
    size_t len = bytes == NULL ? SIZE_MAX : dri_nats_base64_decode(text, bytes);
    return len == SIZE_MAX ? absent : dray_slice_of(bytes, len);
}

/** The message as one of nats.c: header block and body are its data, the advisory's acknowledgement
 *  is its own. NULL: no memory. */
static natsMsg *rebuilt(struct dri_nats *self, struct dray_slice json, const char *ack,
                        uint32_t *ret_block_bytes)
{
    char subject[DRI_NATS_SUBJECT_BYTES];
    natsMsg *message = NULL;
    struct dray_slice block = decoded(self, json, "message.hdrs");
    struct dray_slice body = decoded(self, json, "message.data");
    char *data = dri_nats_arena_take(&self->scratch, block.len + body.len + 1);
    if (data == NULL || !dri_nats_json_text(json, "message.subject", subject, sizeof(subject))) {
        return NULL;
    }
    if (block.len > 0) {
        memcpy(data, block.at, block.len);
    }
    if (body.len > 0) {
        memcpy(data + block.len, body.at, body.len);
    }
    *ret_block_bytes = (uint32_t)block.len;
    natsStatus status = natsMsg_Create(&message, subject, ack, data, (int)(block.len + body.len));
    return status == NATS_OK ? message : NULL;
}

static enum verdict take(struct dri_nats *self, const struct dri_nats_rescue *rescue,
                         struct dray_slice json)
{
    struct dri_nats_slot *slot = &self->slots[rescue->slot];
    uint64_t stored_ms = time_of(json, "message.time");
    struct dri_nats_waiting waiting = {
        .stream_seq = rescue->stream_seq,
        .timestamp_ms = (int64_t)stored_ms,
        .deliveries = rescue->deliveries,
        .due_ns = rescue->due_ns,
        .is_given_up = true,
    };
    if (stored_ms > rescue->given_up_ms ||
        dri_nats_json_uint(json, "message.seq", 0) != rescue->stream_seq) {
        return DONE; /* of a stream that was made anew: not the one that was given up */
    }
    if (dri_nats_delivery_was_settled(slot, waiting.stream_seq, waiting.timestamp_ms)) {
        return DONE; /* given up behind its back: its outcome is stored */
    }
    waiting.message = rebuilt(self, json, natsMsg_GetReply(rescue->advisory), &waiting.block_bytes);
    dri_nats_arena_reset(&self->scratch);
    if (waiting.message == NULL) {
        return LATER;
    }
    if (!dri_nats_pull_put(slot, &waiting)) {
        natsMsg_Destroy(waiting.message);
        return LATER;
    }
    self->given_up++;
    DRI_LOG(DRI_LOG_WARN, "NATS-GIVEN-UP",
            "a consumer's max_deliver gave up a message; it becomes a dead letter",
            DRI_TEXT("stream", slot->stream), DRI_TEXT("consumer", slot->consumer),
            DRI_UINT("sequence", rescue->stream_seq), DRI_UINT("deliveries", rescue->deliveries));
    return AWAY; /* it is the settle's now to acknowledge it */
}

static void on_message(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_rescue *rescue = arg;
    const struct dri_nats_slot *slot = &self->slots[rescue->slot];
    enum verdict verdict = LATER;
    if (reply->status == DRAY_OK && is_there(slot) && slot->epoch == rescue->epoch) {
        verdict = take(self, rescue, reply->json);
    } else if (reply->status == DRAY_ENOTFOUND && reply->code == CODE_NO_MSG) {
        verdict = DONE;
        DRI_LOG(DRI_LOG_ERROR, "NATS-GIVEN-UP",
                "a consumer's max_deliver gave up a message that the stream has deleted since",
                DRI_TEXT("stream", slot->stream), DRI_UINT("sequence", rescue->stream_seq));
    } else if (reply->status != DRAY_OK && reply->status != DRAY_EBROKER) {
        DRI_LOG(DRI_LOG_WARN, "NATS-GIVEN-UP",
                "a message that was given up cannot be read; trying again",
                DRI_TEXT("stream", slot->stream), DRI_UINT("sequence", rescue->stream_seq),
                DRI_TEXT("why", reply->description));
    }
    finish(self, rescue, verdict);
}

/* --- all of them ------------------------------------------------------------------------------ */

static enum verdict begin(struct dri_nats *self, struct dri_nats_rescue *rescue, struct dri_now now)
{
    char stream[DRI_NATS_NAME_BYTES], consumer[DRI_NATS_NAME_BYTES];
    char subject[DRI_NATS_NAME_BYTES + 32], body[48];
    int len = natsMsg_GetDataLength(rescue->advisory);
    struct dray_slice json =
        dray_slice_of(natsMsg_GetData(rescue->advisory), len < 0 ? 0 : (size_t)len);
    if (!dri_nats_json_text(json, "stream", stream, sizeof(stream)) ||
        !dri_nats_json_text(json, "consumer", consumer, sizeof(consumer))) {
        return DONE; /* anybody may publish there */
    }
    const struct dri_nats_slot *slot = slot_of(self, stream, consumer);
    rescue->stream_seq = dri_nats_json_uint(json, "stream_seq", 0);
    rescue->given_up_ms = time_of(json, "timestamp");
    uint64_t deliveries = dri_nats_json_uint(json, "deliveries", 0);
    rescue->deliveries = deliveries > UINT32_MAX ? UINT32_MAX : (uint32_t)deliveries;
    if (slot == NULL || rescue->stream_seq == 0) {
        return DONE;
    }
    if (!is_there(slot)) {
        return LATER;
    }
    rescue->slot = slot->number;
    rescue->epoch = slot->epoch;
    (void)snprintf(subject, sizeof(subject), "STREAM.MSG.GET.%s", slot->stream);
    (void)snprintf(body, sizeof(body), "{\"seq\":%llu}", (unsigned long long)rescue->stream_seq);
    rescue->is_asked = dri_nats_call(self, now, subject, body, on_message, rescue);
    return LATER;
}

static struct dri_nats_rescue *free_one(struct dri_nats *self)
{
    for (size_t i = 0; i < DRI_NATS_RESCUES_MAX; i++) {
        if (self->given.rescues[i].advisory == NULL) {
            return &self->given.rescues[i];
        }
    }
    return NULL;
}

/** What is denied is not asked for again: the server keeps only its last complaint for us, and a
 * second one would hide that the commands may not be read. */
static void give_in(struct dri_nats *self, struct dri_nats_slot *slot, const char *why,
                    struct dri_now now)
{
    DRI_LOG(DRI_LOG_WARN, "NATS-GIVEN-UP", WITHOUT, DRI_TEXT("why", why));
    dri_nats_slot_leave(self, slot, now);
    self->given.is_on = false;
    for (uint32_t i = 0; i < self->slots_count; i++) {
        self->slots[i].pulls_count =
            self->slots[i].kind == DRI_NATS_GROUP ? 0 : self->slots[i].pulls_count;
    }
}

static void check_permission(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[DRI_NATS_SUBJECT_BYTES], why[2 * DRI_NATS_SUBJECT_BYTES];
    if (slot->pulls_count == 0 || now.mono_ns < self->given.check_at_ns) {
        return;
    }
    self->given.check_at_ns = now.mono_ns + CHECK_NS;
    (void)snprintf(subject, sizeof(subject), "%sCONSUMER.MSG.NEXT.%s.%s", self->api_prefix,
                   slot->stream, slot->consumer);
    if (dri_nats_link_is_forbidden(self, subject)) {
        (void)snprintf(why, sizeof(why), "not permitted to publish to %s", subject);
        give_in(self, slot, why, now);
    }
}

/** A set-up that failed is said once for each reason, and tried again rarely. */
static void look_after_setup(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    struct dri_nats_given *given = &self->given;
    if (slot->state == DRI_NATS_READY) {
        given->tries = 0;
        given->told = DRAY_OK;
        check_permission(self, slot, now);
    } else if (slot->state == DRI_NATS_SETUP_WAIT && slot->setup_tries > given->tries) {
        given->tries = slot->setup_tries;
        slot->setup_at_ns = now.mono_ns + RETRY_NS;
        if (slot->setup_status == DRAY_EAUTH) {
            give_in(self, slot, slot->setup_text, now);
        } else if (given->told != slot->setup_status && slot->setup_status != DRAY_EBROKER) {
            given->told = slot->setup_status;
            DRI_LOG(DRI_LOG_WARN, "NATS-GIVEN-UP", WITHOUT, DRI_TEXT("why", slot->setup_text));
        }
    }
}

void dri_nats_given_step(struct dri_nats *self, struct dri_now now)
{
    struct dri_nats_slot *slot = &self->slots[self->given.slot];
    struct dri_nats_rescue *rescue;
    struct dri_nats_waiting waiting;
    if (!self->given.is_on) {
        return;
    }
    slot->has_lost = slot->has_assigned = slot->has_caught_up = false; /* nobody wants to know */
    look_after_setup(self, slot, now);
    while ((rescue = free_one(self)) != NULL && dri_nats_pull_take(slot, &waiting)) {
        *rescue = (struct dri_nats_rescue){.advisory = waiting.message, .due_ns = waiting.due_ns};
        enum verdict verdict = waiting.due_ns <= now.mono_ns ? AWAY : begin(self, rescue, now);
        if (!rescue->is_asked) {
            finish(self, rescue, verdict);
        }
    }
}

void dri_nats_given_fini(struct dri_nats *self)
{
    for (size_t i = 0; i < DRI_NATS_RESCUES_MAX; i++) {
        natsMsg_Destroy(self->given.rescues[i].advisory);
    }
}
