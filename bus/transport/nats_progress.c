/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "log.h"
#include "nats_private.h"

/* What a consumer says of itself, asked for every few seconds: its floor, for the case that it is
 * deleted, whether it is still the same one, and whether it does its work.
 *
 * Servers have been seen whose consumer was there and answered, and gave nothing any more: stuck
 * pull requests (nats-server #4736, #5839), an acknowledgement floor that drifted, a consumer that
 * max-deliver had stopped. Nothing fails then; the worker only has nothing to do. So: messages wait
 * at the server, fewer are unacknowledged than may be, we have asked, and for progress_ms none
 * comes. The first time another connection is made, which makes every request and subscription
 * anew; when the same consumer still gives none, the transport fails, and the supervisor starts the
 * worker again, which looks at everything from the start.
 *
 * What must not be taken for it: time counts only from one answer of the server to the next, and
 * only while the owner took everything that there was, so that back-pressure, a pause, a server
 * that is away and a process that was stopped are no faults. What others get from the consumer does
 * not count in its favour: as long as messages wait, each that has asked gets some.
 *
 * Not noticed: a server that has forgotten to deliver again what nobody acknowledged. From outside
 * that looks like another replica that works on it. */

#define LOOK_MAX_NS UINT64_C(5000000000)
#define LOOK_MIN_NS UINT64_C(250000000)

static uint64_t look_interval(const struct dri_nats *self)
{
    uint64_t interval = self->progress_limit_ns / 8;
    bool is_off = self->progress_limit_ns == 0 || interval > LOOK_MAX_NS;
    return is_off ? LOOK_MAX_NS : interval < LOOK_MIN_NS ? LOOK_MIN_NS : interval;
}

static void make_anew(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t pending)
{
    slot->was_made_anew = true;
    self->made_anew++;
    self->wants_other_wire = true;
    DRI_LOG(DRI_LOG_ERROR, "NATS-STUCK", "messages wait, and none comes; connecting again",
            DRI_TEXT("stream", slot->stream), DRI_TEXT("consumer", slot->consumer),
            DRI_UINT("pending", pending));
}

static void give_up(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t pending)
{
    dri_nats_tell(self, DRAY_EFATAL,
                  "consumer %.80s of stream %.80s has %llu messages and gave none for %llu ms, "
                  "over two connections",
                  slot->consumer, slot->stream, (unsigned long long)pending,
                  (unsigned long long)self->progress_limit_ns / 1000000u);
}

static void on_stuck(struct dri_nats *self, struct dri_nats_slot *slot, uint64_t pending)
{
    char subject[DRI_NATS_SUBJECT_BYTES];
    (void)snprintf(subject, sizeof(subject), "%sCONSUMER.MSG.NEXT.%s.%s", self->api_prefix,
                   slot->stream, slot->consumer);
    if (dri_nats_link_is_forbidden(self, subject)) {
        DRI_LOG(DRI_LOG_ERROR, "NATS-STUCK", "messages wait, and we may not ask for them",
                DRI_TEXT("stream", slot->stream), DRI_TEXT("consumer", slot->consumer),
                DRI_UINT("pending", pending));
        dri_nats_tell(self, DRAY_EAUTH, "not permitted to publish to %s", subject);
    } else if (!slot->was_made_anew) {
        make_anew(self, slot, pending);
    } else {
        give_up(self, slot, pending);
    }
}

static void watch(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                  struct dray_slice info)
{
    uint64_t pending = dri_nats_json_uint(info, "num_pending", 0);
    uint64_t unacked = dri_nats_json_uint(info, "num_ack_pending", 0);
    uint64_t bound = dri_nats_json_uint(info, "config.max_ack_pending", UINT64_MAX);
    uint64_t since = now.mono_ns - slot->looked_ns, most = 2 * look_interval(self);
    bool could_come = slot->is_starved && pending > 0 && unacked < bound;
    slot->stuck_ns = could_come ? slot->stuck_ns + (since > most ? most : since) : 0;
    slot->looked_ns = now.mono_ns;
    slot->is_starved = true; /* until something else is seen */
    if (self->progress_limit_ns > 0 && slot->stuck_ns >= self->progress_limit_ns) {
        slot->stuck_ns = 0;
        on_stuck(self, slot, pending);
    }
}

static void on_info(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct dri_nats_slot *slot = arg;
    struct dri_now now = dri_clock_now();
    char created[sizeof(slot->consumer_created)];
    if (slot->state != DRI_NATS_READY) {
        return;
    }
    if (reply->status == DRAY_ENOTFOUND ||
        (reply->status == DRAY_OK &&
         dri_nats_json_text(reply->json, "created", created, sizeof(created)) &&
         !dri_nats_slot_is_same_consumer(slot, created))) {
        dri_nats_slot_setup_again(self, slot, now);
    } else if (reply->status == DRAY_OK) {
        uint64_t floor = dri_nats_json_uint(reply->json, "ack_floor.stream_seq", 0);
        slot->ack_floor = floor > slot->ack_floor ? floor : slot->ack_floor;
        watch(self, slot, now, reply->json);
    }
}

void dri_nats_progress_ask(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    char subject[2 * DRI_NATS_NAME_BYTES + 32];
    slot->floor_at_ns = now.mono_ns + look_interval(self);
    (void)snprintf(subject, sizeof(subject), "CONSUMER.INFO.%s.%s", slot->stream, slot->consumer);
    (void)dri_nats_call(self, now, subject, NULL, on_info, slot);
}
