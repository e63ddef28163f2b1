/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "assert.h"
#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* JetStream behind transport.h: durable pull consumers with explicit acknowledgement, publishes
 * with acknowledgements of our own, logs read from a sequence, inboxes by plain subscription.
 *
 * One thread, the owner's, does everything: it is the event loop that nats.c reads and writes
 * through (nats_wire.c says why). The descriptor that it waits on is an epoll instance with two
 * members: the broker's socket, and the eventfd of the mailbox into which nats.c's delivery thread
 * puts what came.
 *
 * One poll is: keep the connection (nats_link.c), read the socket and hand out what is in the
 * mailbox, let time-outs pass, ask for more (nats_pull.c), write, and then fill the caller's array:
 * first what changed (assigned, lost, caught up), then acknowledgements, then messages, one slot
 * after the other.
 *
 * Rejected: js_PullSubscribe and natsSubscription_Fetch (heap overflow in 3.4.1), js_PublishAsync
 * (its pending list survives no reconnect), KV watchers, connection drain (loses replies
 * before 3.11). */

#define READS_MAX   8
#define PENDING_LOW 1000u
#define CHECKED_MAX 16u

/* --- the turn ------------------------------------------------------------------------------- */

static void hand_out(struct dri_nats *self, struct dri_now now)
{
    size_t count = dri_nats_mailbox_take(self->mailbox, &self->taken, &self->taken_capacity);
    for (size_t i = 0; i < count; i++) {
        struct dri_nats_arrival *arrival = &self->taken[i];
        if (arrival->channel >= DRI_NATS_CHANNEL_SLOT) {
            struct dri_nats_slot *slot = &self->slots[arrival->channel - DRI_NATS_CHANNEL_SLOT];
            dri_nats_pull_arrive(self, slot, arrival->message, arrival->received_ns, now);
            continue;
        }
        if (arrival->channel == DRI_NATS_CHANNEL_ACK) {
            dri_nats_publishes_arrive(self, now, arrival->message);
        } else {
            dri_nats_calls_arrive(self, arrival->message);
        }
        natsMsg_Destroy(arrival->message);
    }
    if (count > 0) {
        self->heard_ns = now.mono_ns;
        self->was_pinged = false;
    }
}

/** Reads what the socket has, a few buffers at most. True: there may be more. */
static bool read_socket(struct dri_nats *self, struct dri_now now)
{
    struct epoll_event events[4];
    for (int reads = 0; self->wire != NULL; reads++) {
        bool is_readable = false;
        int count = epoll_wait(self->epoll_fd, events, 4, 0);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != self->wire) {
                continue;
            }
            is_readable = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
        }
        if (!is_readable) {
            /* What comes later came after now: the bound that leases are counted from. */
            atomic_store_explicit(&self->mailbox->drained_ns, now.mono_ns, memory_order_relaxed);
            return false;
        }
        if (reads == READS_MAX) {
            return true;
        }
        natsConnection_ProcessReadEvent(self->wire->nc);
        self->heard_ns = now.mono_ns;
        if (dri_nats_wire_is_dead(self->wire)) {
            return true;
        }
    }
    return false;
}

void dri_nats_turn(struct dri_nats *self, struct dri_now now, bool *ret_more)
{
    *ret_more = read_socket(self, now);
    hand_out(self, now);
    dri_nats_link_step(self, now);
    dri_nats_calls_expire(self, now);
    dri_nats_publishes_expire(self, now);
    dri_nats_publishes_check(self, now);
    dri_nats_leases_step(self, now);
    dri_nats_given_step(self, now);
    dri_nats_slots_step(self, now);
    dri_nats_follow_step(self, now);
    if (self->wire != NULL) {
        dri_nats_wire_push(self->wire);
    }
}

void dri_nats_tell(struct dri_nats *self, enum dray_status status, const char *format, ...)
{
    va_list arguments;
    if (self->error_status == DRAY_EFATAL) {
        return;
    }
    self->error_status = status;
    va_start(arguments, format);
    (void)vsnprintf(self->error_text, sizeof(self->error_text), format, arguments);
    va_end(arguments);
}

/* --- events --------------------------------------------------------------------------------- */

static void fill_assigned(const struct dri_nats_slot *slot, struct dri_transport_event *ret_event)
{
    bool is_group = slot->kind == DRI_NATS_GROUP;
    bool follows = slot->role == DRI_ROLE_WINDOW || slot->role == DRI_ROLE_PARK;
    ret_event->as.assigned.role = slot->role;
    ret_event->as.assigned.mode = is_group || follows ? DRI_SETTLE_EACH : DRI_SETTLE_WATERMARK;
    ret_event->as.assigned.partition = slot->partition;
    ret_event->as.assigned.committed = follows ? -1
                                       : is_group
                                           ? (slot->is_fresh ? -1 : (int64_t)slot->ack_floor + 1)
                                           : (int64_t)slot->next_seq;
    ret_event->as.assigned.park = slot->park;
    ret_event->as.assigned.window = slot->window;
    ret_event->as.assigned.lease_ns = is_group ? slot->lease_ns : 0;
    ret_event->as.assigned.origin =
        dray_slice_text(slot->kind == DRI_NATS_CORE ? slot->topic : slot->stream);
    ret_event->as.assigned.topic = dray_slice_text(slot->topic);
}

/** An end, before anything begins. */
static bool next_end(struct dri_nats_slot *slot, struct dri_transport_event *ret_event)
{
    bool is_lost = slot->has_lost;
    if ((!slot->has_lost && !slot->has_revoked) || slot->is_internal) {
        return false;
    }
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->slot = slot->number;
    ret_event->epoch = is_lost ? slot->lost_epoch : slot->epoch;
    ret_event->type = is_lost ? DRI_TE_LOST : DRI_TE_REVOKED;
    slot->has_lost = is_lost ? false : slot->has_lost;
    slot->has_revoked = is_lost ? slot->has_revoked : false;
    return true;
}

static bool next_begin(struct dri_nats_slot *slot, struct dri_transport_event *ret_event)
{
    if ((!slot->has_assigned && !slot->has_caught_up) || slot->is_internal) {
        return false;
    }
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->slot = slot->number;
    ret_event->epoch = slot->epoch;
    if (slot->has_assigned) {
        ret_event->type = DRI_TE_ASSIGNED;
        fill_assigned(slot, ret_event);
        slot->has_assigned = false;
    } else {
        ret_event->type = DRI_TE_CAUGHT_UP;
        slot->has_caught_up = false;
    }
    return true;
}

/** What has changed with the slots. What leads ends first and begins last: followers stand before
 * it in the table. */
static bool next_of_slots(struct dri_nats *self, struct dri_transport_event *ret_event)
{
    for (uint32_t i = self->slots_count; i-- > 0;) {
        if (next_end(&self->slots[i], ret_event)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < self->slots_count; i++) {
        if (next_begin(&self->slots[i], ret_event)) {
            return true;
        }
    }
    return false;
}

static bool next_change(struct dri_nats *self, struct dri_transport_event *ret_event)
{
    if (next_of_slots(self, ret_event)) {
        return true;
    }
    if (self->error_text[0] == '\0') {
        return false;
    }
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->type = DRI_TE_ERROR;
    ret_event->status = self->error_status;
    memcpy(self->told_text, self->error_text, sizeof(self->told_text));
    self->error_text[0] = '\0';
    ret_event->as.text = dray_slice_text(self->told_text);
    return true;
}

static bool is_behind(const struct dri_nats *self, uint32_t follower)
{
    return follower != DRI_SLOT_NONE &&
           (!self->slots[follower].is_caught_up || self->slots[follower].has_caught_up);
}

/** Commands wait until their followers were read to the end that these had, and the owner knows
 * that. */
static void set_gates(struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        struct dri_nats_slot *slot = &self->slots[i];
        if (slot->park != DRI_SLOT_NONE || slot->window != DRI_SLOT_NONE) {
            slot->is_gated = is_behind(self, slot->park) || is_behind(self, slot->window);
        }
    }
}

static bool next_message(struct dri_nats *self, struct dri_now now,
                         struct dri_transport_event *ret_event)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        uint32_t number = (self->slot_turn + i) % self->slots_count;
        if (!self->slots[number].is_internal &&
            dri_nats_pull_next(self, &self->slots[number], now, ret_event)) {
            self->slot_turn = number; /* stay: a batch of one slot is cheaper than a mix */
            return true;
        }
    }
    self->slot_turn = self->slots_count == 0 ? 0 : (self->slot_turn + 1) % self->slots_count;
    return false;
}

/** What the last poll handed up is not borrowed any more. */
static void let_go(struct dri_nats *self)
{
    for (size_t i = 0; i < self->held_count; i++) {
        natsMsg_Destroy(self->held[i]);
    }
    self->held_count = 0;
    dri_nats_arena_reset(&self->arena);
}

static bool hold_room(struct dri_nats *self, size_t wanted)
{
    if (wanted <= self->held_capacity) {
        return true;
    }
    natsMsg **held = dri_zalloc_array(wanted, sizeof(*held));
    if (held == NULL) {
        return self->held_capacity > 0;
    }
    dri_free(self->held);
    self->held = held;
    self->held_capacity = wanted;
    return true;
}

/** Whether a poll at once would bring more, without looking at the socket. */
static bool has_more(const struct dri_nats *self, struct dri_now now)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        const struct dri_nats_slot *slot = &self->slots[i];
        if (slot->has_lost || slot->has_assigned || slot->has_caught_up || slot->has_revoked ||
            (dri_nats_pull_ready_ns(slot) <= now.mono_ns && !slot->is_paused && slot->is_assigned &&
             !slot->is_gated)) {
            return true;
        }
    }
    return self->publishes.done_count > 0;
}

static size_t nats_poll(struct dri_transport *transport, struct dri_now now, size_t messages_max,
                        struct dri_transport_event *ret_events, size_t max, bool *ret_more)
{
    struct dri_nats *self = (struct dri_nats *)(void *)transport;
    size_t count = 0, messages = 0;
    bool more = false;
    *ret_more = false;
    if (self->is_closed) {
        return 0;
    }
    let_go(self);
    messages_max = messages_max < max ? messages_max : max;
    self->room = hold_room(self, messages_max) ? messages_max : 0;
    dri_nats_turn(self, now, &more);
    while (count < max && next_change(self, &ret_events[count])) {
        count++;
    }
    set_gates(self);
    while (count < max && dri_nats_publishes_next(self, &ret_events[count])) {
        count++;
    }
    while (count < max && messages < self->room && next_message(self, now, &ret_events[count])) {
        count++;
        messages++;
    }
    *ret_more = more || count == max;
    if (messages > 0) {
        /* The ring has room again: ask now, not at the next poll. */
        dri_nats_slots_step(self, now);
        if (self->wire != NULL) {
            dri_nats_wire_push(self->wire);
        }
        *ret_more = *ret_more || has_more(self, now);
    }
    return count;
}

/* --- the other operations ------------------------------------------------------------------- */

static struct dri_nats *self_of(struct dri_transport *transport)
{
    return (struct dri_nats *)(void *)transport;
}

static int nats_fd(struct dri_transport *transport)
{
    return self_of(transport)->epoll_fd;
}

static size_t nats_publish(struct dri_transport *transport, struct dri_now now,
                           const struct dri_publish *messages, size_t count)
{
    struct dri_nats *self = self_of(transport);
    if (self->is_closed || self->wire == NULL) {
        return 0;
    }
    size_t taken = dri_nats_publishes_send(self, now, messages, count);
    dri_nats_wire_push(self->wire);
    if (self->publishes.done_count > 0) {
        dri_nats_event_signal(self->mailbox->event_fd); /* refused here: poll has news */
    }
    return taken;
}

static void nats_settle(struct dri_transport *transport, struct dri_now now,
                        const struct dri_settle *settles, size_t count)
{
    struct dri_nats *self = self_of(transport);
    for (size_t i = 0; i < count && !self->is_closed; i++) {
        dri_nats_deliveries_settle(self, &settles[i]);
    }
    dri_nats_follow_step(self, now);
    if (self->wire != NULL) {
        dri_nats_wire_push(self->wire);
    }
}

static void nats_extend(struct dri_transport *transport, struct dri_now now, uint32_t slot,
                        uint32_t epoch, const uint64_t *deliveries, size_t count)
{
    struct dri_nats *self = self_of(transport);
    if (self->wire != NULL) {
        dri_nats_deliveries_extend(self, now, slot, epoch, deliveries, count);
        dri_nats_wire_push(self->wire);
    }
}

static void nats_pause(struct dri_transport *transport, uint32_t slot_number, uint32_t epoch)
{
    struct dri_nats_slot *slot = dri_nats_slot_at(self_of(transport), slot_number, epoch);
    if (slot != NULL) {
        slot->is_paused = true;
    }
}

static void nats_resume(struct dri_transport *transport, uint32_t slot_number, uint32_t epoch)
{
    struct dri_nats *self = self_of(transport);
    struct dri_nats_slot *slot = dri_nats_slot_at(self, slot_number, epoch);
    if (slot != NULL && slot->is_paused) {
        slot->is_paused = false;
        dri_nats_event_signal(self->mailbox->event_fd); /* the ring may hold something */
    }
}

static void nats_unassign(struct dri_transport *transport, uint32_t slot_number, uint32_t epoch)
{
    struct dri_nats *self = self_of(transport);
    struct dri_nats_slot *slot = dri_nats_slot_at(self, slot_number, epoch);
    if (slot != NULL) {
        if (dri_nats_follow_has_owner(slot)) {
            dri_nats_follow_unassign(self, slot);
        } else {
            dri_nats_slot_leave(self, slot, dri_clock_now());
        }
        if (self->wire != NULL) {
            dri_nats_wire_push(self->wire);
        }
    }
}

static uint64_t nats_next_deadline(struct dri_transport *transport)
{
    const struct dri_nats *self = self_of(transport);
    uint64_t all[] = {dri_nats_link_deadline(self),      dri_nats_calls_deadline(self),
                      dri_nats_publishes_deadline(self), dri_nats_slots_deadline(self),
                      dri_nats_leases_deadline(self),    dri_nats_follow_deadline(self)};
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < DRI_ARRAY_LEN(all) && !self->is_closed; i++) {
        first = all[i] < first ? all[i] : first;
    }
    return first;
}

static enum dray_status nats_lag(struct dri_transport *transport, uint32_t slot_number,
                                 uint32_t epoch, uint64_t *ret_end)
{
    struct dri_nats *self = self_of(transport);
    struct dri_nats_slot *slot = dri_nats_slot_at(self, slot_number, epoch);
    if (slot == NULL) {
        return DRAY_ESTALE;
    }
    if (self->wire != NULL) {
        dri_nats_slot_ask_end(self, slot, dri_clock_now());
    }
    if (!slot->is_end_known) {
        return DRAY_EAGAIN;
    }
    *ret_end = slot->end_seq;
    return DRAY_OK;
}

static void nats_info(struct dri_transport *transport, struct dri_transport_info *ret_info)
{
    const struct dri_nats *self = self_of(transport);
    ret_info->kind = "nats";
    ret_info->library = self->library_text;
    ret_info->server = self->server_text;
    ret_info->message_bytes_max = self->server.payload_bytes_max;
    ret_info->first_offset = 1; /* stream sequences */
}

static void nats_stats(struct dri_transport *transport, struct dri_transport_stats *ret_stats)
{
    const struct dri_nats *self = self_of(transport);
    *ret_stats = (struct dri_transport_stats){
        .stale_settles = self->stale_settles,
        .leases_missed = self->expired_waiting + self->expired_extends,
        .arrivals_dropped = atomic_load(&self->mailbox->dropped),
        .clients_made = self->made_anew,
        .messages_given_up = self->given_up,
    };
}

/* --- open and close ------------------------------------------------------------------------- */

static void nats_close(struct dri_transport *transport, uint32_t timeout_ms)
{
    struct dri_nats *self = self_of(transport);
    struct dri_now now = dri_clock_now();
    if (self->is_closed) {
        return;
    }
    uint64_t deadline_ns = now.mono_ns + timeout_ms * UINT64_C(1000000);
    self->is_closing = true;                /* no new partition */
    self->room = 0;                         /* no new request */
    dri_nats_link_flush(self, deadline_ns); /* what has come by now can be handed back */
    dri_nats_follow_flush(self, deadline_ns);
    dri_nats_leases_close(self, now);
    for (uint32_t i = 0; i < self->slots_count; i++) {
        if (self->slots[i].state != DRI_NATS_GONE) {
            dri_nats_slot_leave(self, &self->slots[i], now);
        }
    }
    dri_nats_link_close(self, deadline_ns);
    self->is_closed = true;
    if (self->expired_waiting + self->stale_settles + self->expired_extends + self->made_anew > 0) {
        DRI_LOG(DRI_LOG_INFO, "NATS-COUNTS", "connection closed",
                DRI_UINT("expired_before_handed_up", self->expired_waiting),
                DRI_UINT("stale_settles", self->stale_settles),
                DRI_UINT("made_anew_without_progress", self->made_anew),
                DRI_UINT("expired_extends", self->expired_extends));
    }
}

static void nats_destroy(struct dri_transport *transport)
{
    struct dri_nats *self = self_of(transport);
    if (self == NULL) {
        return;
    }
    if (!self->is_closed) {
        nats_close(transport, 0);
    }
    let_go(self);
    dri_nats_given_fini(self);
    dri_nats_slots_fini(self);
    dri_nats_deliveries_fini(self);
    dri_nats_publishes_fini(self);
    dri_nats_arena_fini(&self->arena);
    dri_nats_arena_fini(&self->scratch);
    if (self->mailbox != NULL) {
        dri_nats_mailbox_shut(self->mailbox);
        dri_nats_mailbox_destroy(self->mailbox);
    }
    for (size_t i = 0; i < self->status_topics_count; i++) {
        dri_free(self->status_topics[i]);
    }
    dri_free(self->status_topics);
    dri_free(self->taken);
    dri_free(self->held);
    dri_free(self->group);
    if (self->epoll_fd >= 0) {
        (void)close(self->epoll_fd);
    }
    dri_nats_settings_fini(&self->settings);
    dri_free(self);
}

static enum dray_status copy_topics(struct dri_nats *self,
                                    const struct dri_transport_config *config)
{
    self->window_ms = config->window_ms;
    self->status_topics =
        dri_zalloc_array(config->topics_count + 1, sizeof(self->status_topics[0]));
    if (self->status_topics == NULL) {
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < config->topics_count; i++) {
        const struct dri_topic *topic = &config->topics[i];
        if (topic->use == DRI_USE_COMMANDS && self->partitioned[0] == '\0' &&
            strpbrk(topic->topic, "*>") == NULL) {
            (void)snprintf(self->partitioned, sizeof(self->partitioned), "%s", topic->topic);
        }
        bool follows = topic->use == DRI_USE_PARK || topic->use == DRI_USE_WINDOW;
        if (follows && self->settings.partitions > 1 &&
            self->follow.topics_count < DRI_NATS_FOLLOWERS_MAX) {
            (void)snprintf(self->follow.topics[self->follow.topics_count++], DRI_NATS_SUBJECT_BYTES,
                           "%s", topic->topic);
        }
        if (topic->use != DRI_USE_STATUS || strpbrk(topic->topic, "*>") != NULL) {
            continue;
        }
        char *copy = dri_strdup(topic->topic);
        if (copy == NULL) {
            return DRAY_ENOMEM;
        }
        self->status_topics[self->status_topics_count++] = copy;
    }
    return DRAY_OK;
}

static void name_things(struct dri_nats *self)
{
    natsInbox *inbox = NULL;
    const char *unique = "";
    if (natsInbox_Create(&inbox) == NATS_OK) {
        unique = strrchr((const char *)inbox, '.') + 1;
    }
    (void)snprintf(self->inbox, sizeof(self->inbox), "%.64s.%s",
                   self->settings.inbox_prefix == NULL ? "_INBOX" : self->settings.inbox_prefix,
                   unique);
    natsInbox_Destroy(inbox);
    if (self->settings.domain == NULL) {
        (void)snprintf(self->api_prefix, sizeof(self->api_prefix), "$JS.API.");
    } else {
        (void)snprintf(self->api_prefix, sizeof(self->api_prefix), "$JS.%.40s.API.",
                       self->settings.domain);
    }
    (void)snprintf(self->library_text, sizeof(self->library_text), "nats.c %s", nats_GetVersion());
}

/** Everything but the network. */
static enum dray_status create(const struct dri_transport_config *config,
                               struct dri_nats **ret_self, char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nats *self = dri_zalloc(sizeof(*self));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (self == NULL) {
        return DRAY_ENOMEM;
    }
    self->base.ops = &dri_nats_ops;
    self->epoll_fd = -1;
    self->is_closed = true;
    *ret_self = self;
    enum dray_status status = dri_nats_settings_init(&self->settings, config, ret_text);
    if (status != DRAY_OK) {
        return status;
    }
    if (config->in_flight_max > 0 && config->in_flight_max < self->settings.pull_batch) {
        self->settings.pull_batch = config->in_flight_max;
    }
    self->memory_bytes = config->memory_bytes;
    self->progress_limit_ns = config->progress_ms * UINT64_C(1000000);
    self->max_ack_pending = (uint64_t)config->in_flight_max + config->unacked_max;
    self->max_ack_pending =
        self->max_ack_pending < PENDING_LOW ? PENDING_LOW : self->max_ack_pending;
    name_things(self);
    if (config->group != NULL && (self->group = dri_strdup(config->group)) == NULL) {
        return DRAY_ENOMEM;
    }
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    status = self->epoll_fd < 0 ? DRAY_EIO : dri_nats_mailbox_create(&self->mailbox);
    if (status == DRAY_OK &&
        epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->mailbox->event_fd, &event) != 0) {
        status = DRAY_EIO;
    }
    status = status != DRAY_OK ? status : copy_topics(self, config);
    status = status != DRAY_OK ? status : dri_nats_slots_init(self, config, ret_text);
    uint64_t pending = self->max_ack_pending + self->settings.pull_batch;
    status = status != DRAY_OK
                 ? status
                 : dri_nats_deliveries_init(self, pending > UINT32_MAX / 2 ? UINT32_MAX / 2
                                                                           : (uint32_t)pending);
    return status != DRAY_OK ? status : dri_nats_publishes_init(self, config->unacked_max);
}

/** Why a source that set-up has given up on cannot be had; NULL: none has been given up. */
static const struct dri_nats_slot *hopeless_source(const struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        const struct dri_nats_slot *slot = &self->slots[i];
        if (slot->state == DRI_NATS_SETUP_WAIT && !dri_nats_follow_has_owner(slot) &&
            !slot->is_optional && dray_status_class(slot->setup_status) == DRAY_CLASS_PERMANENT) {
            return slot;
        }
    }
    return NULL;
}

static const struct dri_nats_slot *waiting_source(const struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        const struct dri_nats_slot *slot = &self->slots[i];
        if (slot->state != DRI_NATS_READY && !dri_nats_follow_has_owner(slot) &&
            !slot->is_optional) {
            return slot;
        }
    }
    return NULL;
}

/** Waits until every source has its consumer, or one cannot have it. */
static enum dray_status wait_for_sources(struct dri_nats *self, uint64_t deadline_ns,
                                         char ret_text[DRI_NATS_TEXT_BYTES])
{
    for (;;) {
        struct dri_now now = dri_clock_now();
        bool more = false;
        dri_nats_turn(self, now, &more);
        const struct dri_nats_slot *slot = hopeless_source(self);
        if (slot != NULL) {
            dri_nats_say(ret_text, "nats: %s", slot->setup_text);
            return slot->setup_status;
        }
        slot = waiting_source(self);
        if (slot == NULL) {
            return DRAY_OK;
        }
        if (now.mono_ns >= deadline_ns) {
            dri_nats_say(ret_text, "nats: no consumer for \"%.80s\" in time%s%.100s", slot->topic,
                         slot->setup_text[0] == '\0' ? "" : ": ", slot->setup_text);
            return DRAY_ETIMEOUT;
        }
        uint64_t next = nats_next_deadline((struct dri_transport *)(void *)self);
        if (!more) {
            dri_nats_link_wait(self, next < deadline_ns ? next : deadline_ns);
        }
    }
}

static enum dray_status check_topics(struct dri_nats *self,
                                     const struct dri_transport_config *config,
                                     uint64_t deadline_ns, char ret_text[DRI_NATS_TEXT_BYTES])
{
    char why[DRI_NATS_TEXT_BYTES];
    for (size_t i = 0; i < config->topics_count; i++) {
        enum dray_status status = dri_nats_topic_check(self, &config->topics[i], config->can_create,
                                                       deadline_ns, NULL, why);
        if (status != DRAY_OK) {
            dri_nats_say(ret_text, "nats: %s", why[0] == '\0' ? dray_status_text(status) : why);
            return status;
        }
    }
    return DRAY_OK;
}

/** Connects, and brings every source up. */
static enum dray_status bring_up(struct dri_nats *self, const struct dri_transport_config *config,
                                 uint64_t deadline_ns, char ret_text[DRI_NATS_TEXT_BYTES])
{
    self->is_closed = false;
    for (uint32_t i = 0; i < self->slots_count; i++) {
        self->slots[i].state = DRI_NATS_GONE; /* not before the topics are there */
    }
    enum dray_status status = dri_nats_link_open(self, deadline_ns, ret_text);
    if (status == DRAY_OK) {
        status = check_topics(self, config, deadline_ns, ret_text);
    }
    if (status == DRAY_OK) {
        status = dri_nats_leases_open(self, config->can_create, deadline_ns, ret_text);
    }
    if (status != DRAY_OK) {
        return status;
    }
    dri_nats_given_open(self, config->can_create, deadline_ns);
    for (uint32_t i = 0; i < self->slots_count; i++) {
        bool is_later = dri_nats_follow_has_owner(&self->slots[i]);
        self->slots[i].state = is_later ? DRI_NATS_GONE : DRI_NATS_SETUP_WAIT;
    }
    dri_nats_slots_link_up(self);
    return wait_for_sources(self, deadline_ns, ret_text);
}

/** Copies a text out; one that says nothing becomes the status's. */
static void tell(enum dray_status status, const char *text, char *ret_text, size_t text_bytes)
{
    if (status != DRAY_OK && text[0] == '\0') {
        (void)snprintf(ret_text, text_bytes, "nats: %s", dray_status_text(status));
    } else {
        (void)snprintf(ret_text, text_bytes, "%s", text);
    }
}

static enum dray_status nats_open(const struct dri_transport_config *config,
                                  struct dri_transport **ret_transport, char *ret_text,
                                  size_t text_bytes)
{
    struct dri_nats *self = NULL;
    char text[DRI_NATS_TEXT_BYTES] = "";
    uint64_t deadline_ns = dri_clock_mono_ns() + config->timeout_ms * UINT64_C(1000000);
    enum dray_status status = create(config, &self, text);
    if (status == DRAY_OK) {
        status = bring_up(self, config, deadline_ns, text);
    }
    if (status != DRAY_OK) {
        tell(status, text, ret_text, text_bytes);
        nats_destroy((struct dri_transport *)(void *)self);
        return status;
    }
    *ret_transport = (struct dri_transport *)(void *)self;
    return DRAY_OK;
}

/** Outlives the transport that found them out; one doctor at a time. */
static char info_library[32], info_server[48];

static void check_info(struct dri_nats *self, struct dri_transport_info *ret_info)
{
    nats_info((struct dri_transport *)(void *)self, ret_info);
    (void)snprintf(info_library, sizeof(info_library), "%s", self->library_text);
    (void)snprintf(info_server, sizeof(info_server), "%s", self->server_text);
    ret_info->library = info_library;
    ret_info->server = info_server;
}

/** The topics that a group reads, as sources. */
static size_t sources_of(const struct dri_transport_config *config, struct dri_source *ret_sources,
                         size_t max)
{
    size_t count = 0;
    for (size_t i = 0; config->group != NULL && i < config->topics_count && count < max; i++) {
        enum dri_topic_use use = config->topics[i].use;
        if (use == DRI_USE_REPLAY || use == DRI_USE_COMMANDS || use == DRI_USE_DELAY) {
            ret_sources[count++] = (struct dri_source){
                .topic = config->topics[i].topic,
                .role = use == DRI_USE_REPLAY  ? DRI_ROLE_REPLAY
                        : use == DRI_USE_DELAY ? DRI_ROLE_DELAY
                                               : DRI_ROLE_COMMANDS,
            };
        }
    }
    return count;
}

/** One topic, and the consumer that reads it. */
static enum dray_status check_topic(struct dri_nats *self,
                                    const struct dri_transport_config *config, size_t i,
                                    uint64_t deadline_ns, struct dri_topic_report *ret_report,
                                    char ret_text[DRI_NATS_TEXT_BYTES])
{
    enum dray_status status = dri_nats_topic_check(self, &config->topics[i], config->can_create,
                                                   deadline_ns, ret_report, ret_text);
    for (uint32_t slot = 0; status == DRAY_OK && slot < self->slots_count; slot++) {
        if (strcmp(self->slots[slot].topic, config->topics[i].topic) == 0) {
            dri_nats_slot_examine(self, &self->slots[slot], deadline_ns, ret_report);
        }
    }
    if (status == DRAY_OK && config->topics[i].use == DRI_USE_COMMANDS) {
        dri_nats_given_examine(self, config->can_create, deadline_ns, ret_report);
    }
    return status;
}

static enum dray_status nats_check(const struct dri_transport_config *config,
                                   struct dri_transport_info *ret_info,
                                   struct dri_topic_report *reports, char *ret_text,
                                   size_t text_bytes)
{
    struct dri_nats *self = NULL;
    struct dri_transport_config bare = *config;
    char text[DRI_NATS_TEXT_BYTES] = "";
    uint64_t deadline_ns = dri_clock_mono_ns() + config->timeout_ms * UINT64_C(1000000);
    struct dri_source sources[CHECKED_MAX];
    bare.sources = sources;
    bare.sources_count = sources_of(config, sources, CHECKED_MAX);
    enum dray_status status = create(&bare, &self, text);
    if (status == DRAY_OK) {
        self->is_closed = false;
        for (uint32_t i = 0; i < self->slots_count; i++) {
            self->slots[i].state = DRI_NATS_GONE; /* looked at, not read */
        }
        status = dri_nats_link_open(self, deadline_ns, text);
    }
    if (status == DRAY_OK) {
        check_info(self, ret_info);
    }
    for (size_t i = 0; status == DRAY_OK && i < config->topics_count; i++) {
        char why[DRI_NATS_TEXT_BYTES];
        enum dray_status each = check_topic(self, config, i, deadline_ns, &reports[i], why);
        if (each == DRAY_EBROKER || each == DRAY_ETIMEOUT || each == DRAY_EUNSUPPORTED) {
            dri_nats_say(text, "nats: %s", why);
            status = each;
        }
    }
    tell(status, text, ret_text, text_bytes);
    nats_destroy((struct dri_transport *)(void *)self);
    return status;
}

const struct dri_transport_ops dri_nats_ops = {
    .scheme = "nats",
    .has_dedup = true,
    .open = nats_open,
    .poll = nats_poll,
    .fd = nats_fd,
    .publish = nats_publish,
    .settle = nats_settle,
    .extend = nats_extend,
    .pause = nats_pause,
    .resume = nats_resume,
    .unassign = nats_unassign,
    .next_deadline = nats_next_deadline,
    .lag = nats_lag,
    .info = nats_info,
    .stats = nats_stats,
    .close = nats_close,
    .destroy = nats_destroy,
    .check = nats_check,
    .check_option = dri_nats_check_option,
    .check_config = dri_nats_check_config,
};
