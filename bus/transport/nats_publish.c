/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "mem.h"
#include "nats_private.h"

/* Publishes and their acknowledgements. Each goes out with a reply subject of its own below our
 * inbox
 * ("<inbox>.A.<index>-<generation>"); the stream's answer, an error, or the server's "nobody
 * listens" comes back there. js_PublishAsync is not used: its table holds a copy of each message,
 * and a reconnect leaves its entries waiting for ever.
 *
 * What an answer means:
 *   {"stream","seq"}         stored; "duplicate": the server had it under this Nats-Msg-Id. Then
 *                            one more question when the caller wants to know whether that is his
 *                            (nats_claim.c). Where the server will not show it, we cannot know,
 *                            and say that the id is taken: twice is better than never
 *   an error of 4xx          not stored, and the same again will not help
 *   an error of 5xx          unknown: no space, no leader, no quorum; try again
 *   503 without a body       nobody listens: no stream holds the subject, or its leader is away.
 * One more question (which stream?) tells the two apart no answer in time        unknown
 *
 * While no connection is up nothing is taken: the caller keeps it and tries again with the same id.
 */

#define CODE_MESSAGE_TOO_LARGE 10054u
#define CODE_HEADER_TOO_LARGE  10097u
#define CODE_STORE_FAILED      10077u
#define TARGET_PROBES          8u
#define CHECKS_MAX             16u

static struct dri_nats_pending *pending_at(const struct dri_nats_publishes *publishes,
                                           uint32_t index)
{
    return &publishes->chunks[index / DRI_NATS_CHUNK][index % DRI_NATS_CHUNK];
}

enum dray_status dri_nats_publishes_init(struct dri_nats *self, uint32_t max)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    publishes->out_max = max == 0 ? 1 : max;
    publishes->chunks_max = publishes->out_max / DRI_NATS_CHUNK + 1;
    publishes->free = publishes->out_first = publishes->out_last = DRI_NATS_NONE;
    publishes->done_first = publishes->done_last = DRI_NATS_NONE;
    publishes->check_first = publishes->check_last = DRI_NATS_NONE;
    publishes->chunks = dri_zalloc_array(publishes->chunks_max, sizeof(publishes->chunks[0]));
    return publishes->chunks == NULL ? DRAY_ENOMEM : DRAY_OK;
}

void dri_nats_publishes_fini(struct dri_nats *self)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    for (uint32_t i = 0; i < publishes->chunks_count; i++) {
        dri_free(publishes->chunks[i]);
    }
    dri_free(publishes->chunks);
    publishes->chunks = NULL;
    publishes->chunks_count = 0;
}

static bool grow(struct dri_nats_publishes *publishes)
{
    if (publishes->chunks_count == publishes->chunks_max) {
        return false;
    }
    struct dri_nats_pending *chunk = dri_zalloc_array(DRI_NATS_CHUNK, sizeof(*chunk));
    if (chunk == NULL) {
        return false;
    }
    uint32_t first = publishes->chunks_count * DRI_NATS_CHUNK;
    publishes->chunks[publishes->chunks_count++] = chunk;
    for (uint32_t i = DRI_NATS_CHUNK; i-- > 0;) {
        chunk[i].index = first + i;
        chunk[i].next = publishes->free;
        publishes->free = first + i;
    }
    return true;
}

/* --- the lists ------------------------------------------------------------------------------ */

static void out_append(struct dri_nats_publishes *publishes, uint32_t index)
{
    struct dri_nats_pending *pending = pending_at(publishes, index);
    pending->state = DRI_NATS_PENDING_OUT;
    pending->next = DRI_NATS_NONE;
    pending->previous = publishes->out_last;
    if (publishes->out_last == DRI_NATS_NONE) {
        publishes->out_first = index;
    } else {
        pending_at(publishes, publishes->out_last)->next = index;
    }
    publishes->out_last = index;
    publishes->out_count++;
}

static void out_remove(struct dri_nats_publishes *publishes, uint32_t index)
{
    struct dri_nats_pending *pending = pending_at(publishes, index);
    if (pending->previous == DRI_NATS_NONE) {
        publishes->out_first = pending->next;
    } else {
        pending_at(publishes, pending->previous)->next = pending->next;
    }
    if (pending->next == DRI_NATS_NONE) {
        publishes->out_last = pending->previous;
    } else {
        pending_at(publishes, pending->next)->previous = pending->previous;
    }
    publishes->out_count--;
}

static void done_append(struct dri_nats_publishes *publishes, uint32_t index, enum dri_ack ack,
                        enum dray_status reason)
{
    struct dri_nats_pending *pending = pending_at(publishes, index);
    pending->state = DRI_NATS_PENDING_DONE;
    pending->ack = ack;
    pending->reason = reason;
    pending->next = DRI_NATS_NONE;
    if (publishes->done_last == DRI_NATS_NONE) {
        publishes->done_first = index;
    } else {
        pending_at(publishes, publishes->done_last)->next = index;
    }
    publishes->done_last = index;
    publishes->done_count++;
}

static void finish(struct dri_nats_publishes *publishes, uint32_t index, enum dri_ack ack,
                   enum dray_status reason)
{
    const struct dri_nats_pending *pending = pending_at(publishes, index);
    if (pending->target != DRI_NATS_NONE) {
        publishes->targets[pending->target].holders--;
    }
    if (pending->state == DRI_NATS_PENDING_CHECK) {
        publishes->checks_count--;
    } else {
        out_remove(publishes, index);
    }
    done_append(publishes, index, ack, reason);
}

bool dri_nats_publishes_next(struct dri_nats *self, struct dri_transport_event *ret_event)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    uint32_t index = publishes->done_first;
    if (index == DRI_NATS_NONE) {
        return false;
    }
    struct dri_nats_pending *pending = pending_at(publishes, index);
    publishes->done_first = pending->next;
    if (publishes->done_first == DRI_NATS_NONE) {
        publishes->done_last = DRI_NATS_NONE;
    }
    publishes->done_count--;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->type = DRI_TE_PUBLISHED;
    ret_event->status = DRAY_OK;
    ret_event->as.published = (struct dri_published){
        .token = pending->token,
        .ack = pending->ack,
        .reason = pending->reason,
        .is_duplicate = pending->is_duplicate,
        .partition = -1,
        .offset = pending->ack == DRI_ACK_STORED ? pending->offset : UINT64_MAX,
    };
    pending->state = DRI_NATS_PENDING_FREE;
    pending->next = publishes->free;
    publishes->free = index;
    return true;
}

/* --- sending -------------------------------------------------------------------------------- */

/** The subject of a publish. A status topic gets the key as its last token, a commands topic with
 *  partitions the one of the key, one that follows it the one that the caller names. */
static bool subject_of(struct dri_nats *self, const struct dri_publish *publish,
                       char ret_subject[DRI_NATS_SUBJECT_BYTES])
{
    size_t len = publish->topic.len;
    if (!dri_nats_subject_is_publishable(publish->topic)) {
        return false;
    }
    memcpy(ret_subject, publish->topic.at, len);
    ret_subject[len] = '\0';
    if (self->settings.partitions > 1 && strcmp(ret_subject, self->partitioned) == 0) {
        bool has_key = publish->key.at != NULL;
        uint32_t number = has_key ? dri_murmur2(publish->key) : self->keyless_turn++;
        (void)snprintf(ret_subject + len, DRI_NATS_SUBJECT_BYTES - len, ".p.%u",
                       number % self->settings.partitions);
        return len + 8 < DRI_NATS_SUBJECT_BYTES;
    }
    for (uint32_t i = 0; publish->partition >= 0 && i < self->follow.topics_count; i++) {
        if (strcmp(ret_subject, self->follow.topics[i]) == 0) {
            (void)snprintf(ret_subject + len, DRI_NATS_SUBJECT_BYTES - len, ".p.%d",
                           (int)publish->partition);
            return len + 14 < DRI_NATS_SUBJECT_BYTES;
        }
    }
    if (publish->key.at == NULL || publish->key.len == 0) {
        return true;
    }
    for (size_t i = 0; i < self->status_topics_count; i++) {
        if (strcmp(self->status_topics[i], ret_subject) != 0) {
            continue;
        }
        if (len + 1 + publish->key.len >= DRI_NATS_SUBJECT_BYTES) {
            return false;
        }
        ret_subject[len++] = '.';
        for (size_t j = 0; j < publish->key.len; j++) {
            uint8_t byte = publish->key.at[j];
            bool is_sign = byte <= ' ' || byte == 0x7f || byte == '.' || byte == '*' || byte == '>';
            ret_subject[len++] = is_sign ? '_' : (char)byte;
        }
        ret_subject[len] = '\0';
        return true;
    }
    return true;
}

/** The place of a subject that publishes are out for, or NONE when the table has no room near it:
 *  then "nobody listens" counts as unknown. */
static uint32_t target_of(struct dri_nats_publishes *publishes, const char *subject)
{
    uint64_t hash = dri_hash64(dray_slice_text(subject));
    uint32_t free = DRI_NATS_NONE;
    for (uint64_t i = 0; i < TARGET_PROBES; i++) {
        uint32_t place = (uint32_t)((hash + i) % DRI_NATS_TARGETS_MAX);
        const struct dri_nats_target *target = &publishes->targets[place];
        if (strcmp(target->subject, subject) == 0) {
            return place;
        }
        if (target->holders == 0 && !target->is_checked && free == DRI_NATS_NONE) {
            free = place;
        }
    }
    if (free != DRI_NATS_NONE) {
        (void)snprintf(publishes->targets[free].subject, DRI_NATS_SUBJECT_BYTES, "%s", subject);
    }
    return free;
}

static natsStatus send_one(struct dri_nats *self, const struct dri_publish *publish,
                           const char *subject, const char *reply)
{
    struct dray_slice block = {NULL, 0};
    natsMsg *message = NULL;
    natsConnection *nc = self->wire->nc;
    const char *body = (const char *)publish->value.at;
    int body_len = (int)publish->value.len;
    if (publish->value.len > INT32_MAX) {
        return NATS_MAX_PAYLOAD;
    }
    if (dri_nats_header_encode(publish, &self->scratch, &block) != DRAY_OK) {
        return NATS_NO_MEMORY;
    }
    if (block.at == NULL) {
        return reply == NULL ? natsConnection_Publish(nc, subject, body, body_len)
                             : natsConnection_PublishRequest(nc, subject, reply, body, body_len);
    }
    natsStatus status = natsMsg_Create(&message, subject, reply, body, body_len);
    if (status == NATS_OK) {
        status = dri_nats_header_attach(message, block) == DRAY_OK ? NATS_OK : NATS_NO_MEMORY;
    }
    if (status == NATS_OK) {
        status = natsConnection_PublishMsg(nc, message);
    }
    natsMsg_Destroy(message);
    return status;
}

/** One publish that wants an acknowledgement. False: not taken. */
static bool send_pending(struct dri_nats *self, struct dri_now now,
                         const struct dri_publish *publish)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    char subject[DRI_NATS_SUBJECT_BYTES], reply[160];
    if (publishes->out_count + publishes->checks_count + publishes->done_count >=
            publishes->out_max ||
        (publishes->free == DRI_NATS_NONE && !grow(publishes))) {
        return false;
    }
    uint32_t index = publishes->free;
    struct dri_nats_pending *pending = pending_at(publishes, index);
    (void)snprintf(reply, sizeof(reply), "%s.A.%u-%u", self->inbox, index, pending->generation + 1);
    bool is_subject = subject_of(self, publish, subject);
    natsStatus status = is_subject ? send_one(self, publish, subject, reply) : NATS_INVALID_SUBJECT;
    if (status != NATS_OK && status != NATS_MAX_PAYLOAD && status != NATS_INVALID_SUBJECT) {
        return false;
    }
    publishes->free = pending->next;
    pending->generation++;
    pending->token = publish->token;
    pending->is_duplicate = false;
    pending->offset = UINT64_MAX;
    pending->is_unheard = false;
    pending->claim = dri_nats_claim_of(publish);
    pending->target = DRI_NATS_NONE;
    pending->due_ns = now.mono_ns + self->settings.publish_timeout_ms * UINT64_C(1000000);
    if (status == NATS_OK) {
        pending->target = target_of(publishes, subject);
        if (pending->target != DRI_NATS_NONE) {
            publishes->targets[pending->target].holders++;
        }
        out_append(publishes, index);
    } else {
        done_append(publishes, index, DRI_ACK_NOT_STORED,
                    status == NATS_MAX_PAYLOAD ? DRAY_ELIMIT : DRAY_EINVALID);
    }
    return true;
}

size_t dri_nats_publishes_send(struct dri_nats *self, struct dri_now now,
                               const struct dri_publish *messages, size_t count)
{
    size_t taken = 0;
    for (; taken < count && dri_nats_link_has_room(self); taken++) {
        dri_nats_arena_reset(&self->scratch);
        if (!messages[taken].is_courtesy) {
            if (!send_pending(self, now, &messages[taken])) {
                break;
            }
            continue;
        }
        char subject[DRI_NATS_SUBJECT_BYTES];
        if (subject_of(self, &messages[taken], subject)) {
            (void)send_one(self, &messages[taken], subject, NULL);
        }
    }
    return taken;
}

/* --- answers -------------------------------------------------------------------------------- */

static enum dray_status reason_of(int64_t code, uint32_t err_code)
{
    if (err_code == CODE_MESSAGE_TOO_LARGE || err_code == CODE_HEADER_TOO_LARGE) {
        return DRAY_ELIMIT;
    }
    if (code == 404) {
        return DRAY_ENOTFOUND;
    }
    return code == 401 || code == 403 ? DRAY_EAUTH : DRAY_EINVALID;
}

static bool is_transient(int64_t code, uint32_t err_code)
{
    return code >= 500 || code == 429 || code == 408 || err_code == CODE_STORE_FAILED;
}

/* --- what is stored under our id --- */

static void check_append(struct dri_nats_publishes *publishes, struct dri_nats_pending *pending)
{
    out_remove(publishes, pending->index);
    pending->state = DRI_NATS_PENDING_CHECK;
    pending->next = DRI_NATS_NONE;
    if (publishes->check_last == DRI_NATS_NONE) {
        publishes->check_first = pending->index;
    } else {
        pending_at(publishes, publishes->check_last)->next = pending->index;
    }
    publishes->check_last = pending->index;
    publishes->checks_count++;
}

static struct dri_nats_pending *check_take(struct dri_nats_publishes *publishes)
{
    struct dri_nats_pending *pending = pending_at(publishes, publishes->check_first);
    publishes->check_first = pending->next;
    if (publishes->check_first == DRI_NATS_NONE) {
        publishes->check_last = DRI_NATS_NONE;
    }
    return pending;
}

static void on_shown(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    const struct dri_nats_pending *pending = arg;
    struct dri_nats_publishes *publishes = &self->publishes;
    publishes->checks_out--;
    if (reply->status == DRAY_OK && dri_nats_claim_holds(&pending->claim, reply->json)) {
        finish(publishes, pending->index, DRI_ACK_STORED, DRAY_OK);
    } else if (reply->status == DRAY_EBROKER || reply->status == DRAY_EUNSUPPORTED) {
        finish(publishes, pending->index, DRI_ACK_UNKNOWN, DRAY_EBROKER); /* ask again */
    } else {
        finish(publishes, pending->index, DRI_ACK_UNKNOWN, DRAY_EEXISTS);
    }
}

void dri_nats_publishes_check(struct dri_nats *self, struct dri_now now)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    char subject[DRI_NATS_NAME_BYTES + 32], body[48];
    while (publishes->check_first != DRI_NATS_NONE && publishes->checks_out < CHECKS_MAX) {
        struct dri_nats_pending *pending = pending_at(publishes, publishes->check_first);
        (void)snprintf(subject, sizeof(subject), "STREAM.MSG.GET.%s",
                       publishes->targets[pending->target].stream);
        (void)snprintf(body, sizeof(body), "{\"seq\":%llu}", (unsigned long long)pending->offset);
        if (!dri_nats_call(self, now, subject, body, on_shown, pending)) {
            return; /* down, or too many questions are out */
        }
        (void)check_take(publishes);
        publishes->checks_out++;
    }
}

static void take_duplicate(struct dri_nats *self, struct dri_now now,
                           struct dri_nats_pending *pending, struct dray_slice json)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    struct dri_nats_target *target =
        pending->target == DRI_NATS_NONE ? NULL : &publishes->targets[pending->target];
    if (target == NULL ||
        !dri_nats_json_text(json, "stream", target->stream, sizeof(target->stream))) {
        finish(publishes, pending->index, DRI_ACK_UNKNOWN, DRAY_EEXISTS);
        return;
    }
    check_append(publishes, pending);
    dri_nats_publishes_check(self, now);
}

/* --- what the stream says --- */

static void take_answer(struct dri_nats *self, struct dri_now now, uint32_t index,
                        struct dray_slice json)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    struct dri_nats_pending *pending = pending_at(publishes, index);
    struct dray_slice error = dri_nats_json_find(json, "error");
    uint64_t seq = dri_nats_json_uint(json, "seq", 0);
    if (error.at != NULL) {
        int64_t code = dri_nats_json_int(error, "code", 500);
        uint32_t err_code = (uint32_t)dri_nats_json_uint(error, "err_code", 0);
        if (is_transient(code, err_code)) {
            finish(publishes, index, DRI_ACK_UNKNOWN, DRAY_EBROKER);
        } else {
            finish(publishes, index, DRI_ACK_NOT_STORED, reason_of(code, err_code));
        }
        return;
    }
    if (seq == 0) {
        /* No JetStream answer: somebody who is no stream listens on the subject and replied. */
        finish(publishes, index, DRI_ACK_UNKNOWN, DRAY_EBROKER);
        return;
    }
    pending->offset = seq;
    pending->is_duplicate = dri_nats_json_bool(json, "duplicate");
    if (pending->is_duplicate && pending->claim.from_ms > 0) {
        take_duplicate(self, now, pending, json);
        return;
    }
    finish(publishes, index, DRI_ACK_STORED, DRAY_OK);
}

/** The server has said which streams hold the subject for which nobody listened. */
static void on_checked(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    struct dray_slice item;
    size_t at = 0;
    struct dri_nats_target *target = arg;
    uint32_t place = (uint32_t)(target - publishes->targets);
    bool is_absent = reply->status == DRAY_OK &&
                     !dri_nats_json_next(dri_nats_json_find(reply->json, "streams"), &at, &item);
    target->is_checked = false;
    for (uint32_t index = publishes->out_first; index != DRI_NATS_NONE;) {
        struct dri_nats_pending *pending = pending_at(publishes, index);
        uint32_t next = pending->next;
        if (pending->is_unheard && pending->target == place) {
            finish(publishes, index, is_absent ? DRI_ACK_NOT_STORED : DRI_ACK_UNKNOWN,
                   is_absent ? DRAY_ENOTFOUND : DRAY_EBROKER);
        }
        index = next;
    }
}

/** Nobody listened: is there a stream for the subject at all? */
static void ask_target(struct dri_nats *self, struct dri_now now, uint32_t index)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    struct dri_nats_pending *pending = pending_at(publishes, index);
    char quoted[DRI_NATS_SUBJECT_BYTES + 16], body[DRI_NATS_SUBJECT_BYTES + 64];
    struct dri_nats_target *target =
        pending->target == DRI_NATS_NONE ? NULL : &publishes->targets[pending->target];
    if (target == NULL || !dri_nats_json_quote(target->subject, quoted, sizeof(quoted))) {
        finish(publishes, index, DRI_ACK_UNKNOWN, DRAY_EBROKER);
        return;
    }
    (void)snprintf(body, sizeof(body), "{\"subject\":%s}", quoted);
    if (!target->is_checked &&
        !dri_nats_call(self, now, "STREAM.NAMES", body, on_checked, target)) {
        finish(publishes, index, DRI_ACK_UNKNOWN, DRAY_EBROKER);
        return;
    }
    target->is_checked = true;
    pending->is_unheard = true;
}

void dri_nats_publishes_arrive(struct dri_nats *self, struct dri_now now, natsMsg *message)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    const char *tail = strrchr(natsMsg_GetSubject(message), '.');
    char *end = NULL;
    unsigned long index = tail == NULL ? ULONG_MAX : strtoul(tail + 1, &end, 10);
    if (end == NULL || *end != '-' ||
        index >= (unsigned long)publishes->chunks_count * DRI_NATS_CHUNK) {
        return;
    }
    unsigned long generation = strtoul(end + 1, &end, 10);
    const struct dri_nats_pending *pending = pending_at(publishes, (uint32_t)index);
    if (*end != '\0' || pending->generation != generation ||
        pending->state != DRI_NATS_PENDING_OUT) {
        return; /* told as unknown already */
    }
    int len = natsMsg_GetDataLength(message);
    if (len > 0) {
        take_answer(self, now, (uint32_t)index,
                    dray_slice_of(natsMsg_GetData(message), (size_t)len));
    } else if (dri_nats_header_status(message).code == 503 && !pending->is_unheard) {
        ask_target(self, now, (uint32_t)index);
    }
}

void dri_nats_publishes_link_down(struct dri_nats *self)
{
    while (self->publishes.out_first != DRI_NATS_NONE) {
        finish(&self->publishes, self->publishes.out_first, DRI_ACK_UNKNOWN, DRAY_EBROKER);
    }
    while (self->publishes.check_first != DRI_NATS_NONE) {
        finish(&self->publishes, check_take(&self->publishes)->index, DRI_ACK_UNKNOWN,
               DRAY_EBROKER);
    }
}

static bool is_forbidden(const struct dri_nats *self, const struct dri_nats_pending *pending)
{
    return pending->target != DRI_NATS_NONE &&
           dri_nats_link_is_forbidden(self, self->publishes.targets[pending->target].subject);
}

void dri_nats_publishes_expire(struct dri_nats *self, struct dri_now now)
{
    struct dri_nats_publishes *publishes = &self->publishes;
    while (publishes->out_first != DRI_NATS_NONE &&
           pending_at(publishes, publishes->out_first)->due_ns <= now.mono_ns) {
        bool is_no = is_forbidden(self, pending_at(publishes, publishes->out_first));
        finish(publishes, publishes->out_first, is_no ? DRI_ACK_NOT_STORED : DRI_ACK_UNKNOWN,
               is_no ? DRAY_EAUTH : DRAY_ETIMEOUT);
    }
}

uint64_t dri_nats_publishes_deadline(const struct dri_nats *self)
{
    const struct dri_nats_publishes *publishes = &self->publishes;
    return publishes->out_first == DRI_NATS_NONE
               ? UINT64_MAX
               : pending_at(publishes, publishes->out_first)->due_ns;
}
