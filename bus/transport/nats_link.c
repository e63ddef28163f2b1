/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "assert.h"
#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* Keeps one connection up, whatever ends it. Dialling blocks (names, TCP, TLS, login), so it is
 * done by a helper thread, one at a time, which also destroys the connection before; the owner
 * joins it when it says that it is done. Nothing is final: an authorization error is retried like a
 * refused connect, with back-off, and logged louder. (With nats.c below 3.8 one login in 256 by
 * NKey fails for no fault of the user.)
 *
 * Whether the other side lives is asked by publishing to our own inbox: no answer for two intervals
 * ends the connection. While no connection is up, publish takes nothing, and what was out is
 * "unknown". */

#define DIAL_WAIT_MIN_NS UINT64_C(50000000)
#define DIAL_WAIT_MAX_NS UINT64_C(5000000000)
#define LOGIN_TRIES      3u
#define BUFFERED_MAX     (8 * 1024 * 1024)
#define PING_TAIL        "PING"

struct dri_nats_job {
    pthread_t thread;
    const struct dri_nats_settings *settings; /* immutable while a job runs */
    uint32_t server;
    uint32_t subscriptions_max;
    int epoll_fd, event_fd;
    struct dri_nats_wire *old;
    struct dri_nats_wire *wire; /* the result */
    enum dray_status status;
    char text[DRI_NATS_TEXT_BYTES];
    _Atomic(bool) is_done; /* released by the thread, acquired by the owner */
};

static void *job_run(void *arg)
{
    struct dri_nats_job *job = arg;
    dri_nats_wire_destroy(job->old);
    job->status = dri_nats_wire_dial(job->settings, job->server, job->subscriptions_max,
                                     job->epoll_fd, &job->wire, job->text);
    int event_fd = job->event_fd;
    atomic_store_explicit(&job->is_done, true, memory_order_release);
    dri_nats_event_signal(event_fd); /* of the mailbox, which outlives every job */
    return NULL;
}

static uint32_t next_server(struct dri_nats *self)
{
    uint32_t server = self->server_next;
    self->server_next = (server + 1) % self->settings.servers_count;
    return server;
}

static uint64_t dial_wait_ns(const struct dri_nats *self)
{
    uint32_t rounds = self->dials_failed / self->settings.servers_count;
    uint64_t wait = DIAL_WAIT_MIN_NS << (rounds > 7 ? 7 : rounds);
    return wait > DIAL_WAIT_MAX_NS ? DIAL_WAIT_MAX_NS : wait;
}

static void job_start(struct dri_nats *self, struct dri_nats_wire *old, struct dri_now now)
{
    struct dri_nats_job *job = dri_zalloc(sizeof(*job));
    self->dial_at_ns = now.mono_ns + dial_wait_ns(self);
    if (job == NULL) {
        dri_nats_wire_destroy(old);
        return;
    }
    job->settings = &self->settings;
    job->server = next_server(self);
    job->subscriptions_max = DRI_NATS_CHANNEL_SLOT + self->slots_count;
    job->epoll_fd = self->epoll_fd;
    job->event_fd = self->mailbox->event_fd;
    job->old = old;
    if (pthread_create(&job->thread, NULL, job_run, job) != 0) {
        dri_nats_wire_destroy(old);
        dri_free(job);
        return;
    }
    self->job = job;
}

static bool subscribe_own(struct dri_nats *self, struct dri_nats_wire *wire)
{
    char subject[DRI_NATS_SUBJECT_BYTES];
    (void)snprintf(subject, sizeof(subject), "%s.A.*", self->inbox);
    if (dri_nats_wire_subscribe(wire, self->mailbox, DRI_NATS_CHANNEL_ACK, subject) != DRAY_OK) {
        return false;
    }
    (void)snprintf(subject, sizeof(subject), "%s.J.*", self->inbox);
    return dri_nats_wire_subscribe(wire, self->mailbox, DRI_NATS_CHANNEL_API, subject) == DRAY_OK;
}

static bool subscribe_slots(struct dri_nats *self, struct dri_nats_wire *wire)
{
    for (uint32_t i = 0; i < self->slots_count; i++) {
        const struct dri_nats_slot *slot = &self->slots[i];
        char subject[DRI_NATS_SUBJECT_BYTES];
        if (slot->kind == DRI_NATS_CORE) {
            (void)snprintf(subject, sizeof(subject), "%s", slot->filter);
        } else {
            (void)snprintf(subject, sizeof(subject), "%s.S%u.*", self->inbox, i);
        }
        if (dri_nats_wire_subscribe(wire, self->mailbox, DRI_NATS_CHANNEL_SLOT + i, subject) !=
            DRAY_OK) {
            return false;
        }
    }
    return true;
}

static bool adopt(struct dri_nats *self, struct dri_nats_wire *wire, struct dri_now now)
{
    if (!subscribe_own(self, wire) || !subscribe_slots(self, wire)) {
        dri_nats_wire_destroy(wire);
        return false;
    }
    self->wire = wire;
    self->server = wire->server;
    self->heard_ns = now.mono_ns;
    self->was_pinged = self->wants_other_wire = false;
    self->dials_failed = 0;
    (void)snprintf(self->server_text, sizeof(self->server_text), "nats-server %s",
                   wire->server.version);
    atomic_store_explicit(&self->mailbox->drained_ns, now.mono_ns, memory_order_relaxed);
    dri_nats_wire_adopt(wire);
    dri_nats_slots_link_up(self);
    dri_nats_wire_push(wire);
    return true;
}

static void link_down(struct dri_nats *self, struct dri_now now, const char *why)
{
    struct dri_nats_wire *wire = self->wire;
    dri_nats_tell(self, DRAY_EBROKER, "connection to %s lost: %s", wire->url, why);
    self->wire = NULL;
    DRI_LOG(DRI_LOG_WARN, "NATS-LOST", "connection lost; connecting again",
            DRI_TEXT("server", wire->url), DRI_TEXT("why", why));
    dri_nats_calls_fail(self, DRAY_EBROKER);
    dri_nats_publishes_link_down(self);
    dri_nats_slots_link_down(self, now);
    job_start(self, wire, now);
}

static void job_finish(struct dri_nats *self, struct dri_now now)
{
    struct dri_nats_job *job = self->job;
    (void)pthread_join(job->thread, NULL);
    self->job = NULL;
    if (job->status == DRAY_OK && adopt(self, job->wire, now)) {
        DRI_LOG(DRI_LOG_INFO, "NATS-CONNECTED", "connected again",
                DRI_TEXT("server", self->wire->url));
    } else {
        self->dials_failed++;
        self->dial_at_ns = now.mono_ns + dial_wait_ns(self);
        DRI_LOG(job->status == DRAY_EAUTH ? DRI_LOG_ERROR : DRI_LOG_WARN, "NATS-DIAL",
                "cannot connect; trying again", DRI_TEXT("why", job->text),
                DRI_UINT("failed", self->dials_failed));
    }
    dri_free(job);
}

static void ping(struct dri_nats *self, struct dri_now now)
{
    uint64_t interval = self->settings.ping_interval_ms * UINT64_C(1000000);
    if (now.mono_ns - self->heard_ns < interval) {
        return;
    }
    if (self->was_pinged && now.mono_ns - self->pinged_ns >= interval) {
        link_down(self, now, "it does not answer");
        return;
    }
    if (!self->was_pinged) {
        char subject[DRI_NATS_SUBJECT_BYTES];
        (void)snprintf(subject, sizeof(subject), "%s.J." PING_TAIL, self->inbox);
        (void)dri_nats_link_send(self, subject, NULL, "", 0);
        self->was_pinged = true;
        self->pinged_ns = now.mono_ns;
    }
}

void dri_nats_link_step(struct dri_nats *self, struct dri_now now)
{
    if (self->job != NULL && atomic_load_explicit(&self->job->is_done, memory_order_acquire)) {
        job_finish(self, now);
    }
    if (self->wire != NULL && dri_nats_wire_is_dead(self->wire)) {
        const char *why = NULL;
        natsStatus last = natsConnection_GetLastError(self->wire->nc, &why);
        link_down(self, now,
                  why != NULL && why[0] != '\0' ? why
                  : last == NATS_OK             ? "closed by the server"
                                                : natsStatus_GetText(last));
    }
    if (self->wire != NULL && self->wants_other_wire) {
        link_down(self, now, "a consumer makes no progress");
    }
    if (self->wire != NULL) {
        ping(self, now);
    } else if (self->job == NULL && now.mono_ns >= self->dial_at_ns) {
        job_start(self, NULL, now);
    }
}

uint64_t dri_nats_link_deadline(const struct dri_nats *self)
{
    uint64_t interval = self->settings.ping_interval_ms * UINT64_C(1000000);
    if (self->wire != NULL) {
        return (self->was_pinged ? self->pinged_ns : self->heard_ns) + interval;
    }
    return self->job != NULL ? UINT64_MAX : self->dial_at_ns;
}

static bool is_for_good(enum dray_status status)
{
    return status == DRAY_EUNSUPPORTED || status == DRAY_EINVALID || status == DRAY_EIO ||
           status == DRAY_ENOMEM;
}

enum dray_status dri_nats_link_open(struct dri_nats *self, uint64_t deadline_ns,
                                    char ret_text[DRI_NATS_TEXT_BYTES])
{
    uint32_t logins_failed = 0;
    for (;;) {
        struct dri_nats_wire *wire = NULL;
        enum dray_status status = dri_nats_wire_dial(&self->settings, next_server(self),
                                                     DRI_NATS_CHANNEL_SLOT + self->slots_count,
                                                     self->epoll_fd, &wire, ret_text);
        struct dri_now now = dri_clock_now();
        if (status == DRAY_OK) {
            if (adopt(self, wire, now)) {
                return DRAY_OK;
            }
            dri_nats_say(ret_text, "nats: cannot subscribe to our own inbox");
            status = DRAY_EBROKER;
        }
        self->dials_failed++;
        logins_failed += status == DRAY_EAUTH ? 1 : 0;
        if (is_for_good(status) || logins_failed == LOGIN_TRIES * self->settings.servers_count ||
            now.mono_ns >= deadline_ns) {
            return status;
        }
        uint64_t wait_ns = now.mono_ns + dial_wait_ns(self);
        dri_nats_link_wait(self, wait_ns < deadline_ns ? wait_ns : deadline_ns);
    }
}

void dri_nats_link_wait(struct dri_nats *self, uint64_t until_ns)
{
    struct epoll_event events[4];
    uint64_t now = dri_clock_mono_ns();
    if (until_ns > now) {
        uint64_t wait_ms = (until_ns - now) / 1000000u + 1;
        (void)epoll_wait(self->epoll_fd, events, 4, wait_ms > 60000 ? 60000 : (int)wait_ms);
    }
}

bool dri_nats_link_send(struct dri_nats *self, const char *subject, const char *reply,
                        const void *body, size_t body_bytes)
{
    if (self->wire == NULL) {
        return false;
    }
    natsStatus status =
        reply == NULL
            ? natsConnection_Publish(self->wire->nc, subject, body, (int)body_bytes)
            : natsConnection_PublishRequest(self->wire->nc, subject, reply, body, (int)body_bytes);
    return status == NATS_OK;
}

bool dri_nats_link_is_forbidden(const struct dri_nats *self, const char *subject)
{
    const char *text = NULL;
    if (self->wire == NULL) {
        return false;
    }
    (void)natsConnection_GetLastError(self->wire->nc, &text);
    const char *at = text == NULL ? NULL : strstr(text, "ermissions Violation for Publish to");
    return at != NULL && strstr(at, subject) != NULL;
}

bool dri_nats_link_has_room(const struct dri_nats *self)
{
    return self->wire != NULL && natsConnection_Buffered(self->wire->nc) < BUFFERED_MAX;
}

void dri_nats_link_flush(struct dri_nats *self, uint64_t deadline_ns)
{
    char subject[DRI_NATS_SUBJECT_BYTES];
    bool more = false;
    (void)snprintf(subject, sizeof(subject), "%s.J." PING_TAIL, self->inbox);
    self->was_pinged = dri_nats_link_send(self, subject, NULL, "", 0);
    while (self->was_pinged && self->wire != NULL && !dri_nats_wire_is_dead(self->wire)) {
        struct dri_now now = dri_clock_now();
        dri_nats_turn(self, now, &more);
        if (now.mono_ns >= deadline_ns) {
            return;
        }
        if (self->was_pinged && !more) {
            dri_nats_link_wait(self, deadline_ns);
        }
    }
}

void dri_nats_link_close(struct dri_nats *self, uint64_t deadline_ns)
{
    dri_nats_link_flush(self, deadline_ns);
    if (self->job != NULL) {
        (void)pthread_join(self->job->thread, NULL);
        dri_nats_wire_destroy(self->job->wire);
        dri_free(self->job);
        self->job = NULL;
    }
    dri_nats_wire_destroy(self->wire);
    self->wire = NULL;
}
