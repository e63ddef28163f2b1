/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "nats_private.h"

/* Requests to the JetStream API: published with a reply subject of our inbox, answered by a call
 * back on the owner's thread. nats.c's js_* calls are not used: they block, and some of their
 * answers are parsed into structures that change between versions.
 *
 * Every request has a local time-out: a server that restarts, or that we may not ask (it says so
 * only in an asynchronous error), never answers. */

static void reply_subject(const struct dri_nats *self, uint32_t index, char *ret_subject,
                          size_t bytes)
{
    (void)snprintf(ret_subject, bytes, "%s.J.%u-%u", self->inbox, index,
                   self->calls[index].generation);
}

bool dri_nats_call(struct dri_nats *self, struct dri_now now, const char *subject, const char *body,
                   dri_nats_reply_fn *on_reply, void *arg)
{
    char full[DRI_NATS_SUBJECT_BYTES], reply[DRI_NATS_SUBJECT_BYTES];
    uint32_t index = 0;
    while (index < DRI_NATS_CALLS_MAX && self->calls[index].is_out) {
        index++;
    }
    if (index == DRI_NATS_CALLS_MAX) {
        return false;
    }
    struct dri_nats_call *call = &self->calls[index];
    call->generation++;
    reply_subject(self, index, reply, sizeof(reply));
    (void)snprintf(full, sizeof(full), "%s%s", self->api_prefix, subject);
    if (!dri_nats_link_send(self, full, reply, body, body == NULL ? 0 : strlen(body))) {
        return false;
    }
    call->is_out = true;
    call->deadline_ns = now.mono_ns + self->settings.api_timeout_ms * UINT64_C(1000000);
    call->on_reply = on_reply;
    call->arg = arg;
    (void)snprintf(call->subject, sizeof(call->subject), "%.190s", full);
    return true;
}

static void finish(struct dri_nats *self, struct dri_nats_call *call,
                   const struct dri_nats_reply *reply)
{
    call->is_out = false;
    if (call->on_reply != NULL) {
        call->on_reply(self, call->arg, reply);
    }
}

static enum dray_status status_of_error(int64_t code, uint32_t err_code)
{
    if (err_code == 10039 || err_code == 10076) { /* JetStream not enabled (for the account) */
        return DRAY_EUNSUPPORTED;
    }
    if (code == 404) {
        return DRAY_ENOTFOUND;
    }
    if (code == 401 || code == 403) {
        return DRAY_EAUTH;
    }
    return code >= 500 ? DRAY_EBROKER : DRAY_EINVALID;
}

static void read_reply(natsMsg *message, struct dri_nats_reply *ret_reply)
{
    struct dri_nats_status_line line = dri_nats_header_status(message);
    int len = natsMsg_GetDataLength(message);
    memset(ret_reply, 0, sizeof(*ret_reply));
    if (line.code != 0 || len <= 0) {
        ret_reply->status = line.code == 503 ? DRAY_EUNSUPPORTED : DRAY_EBROKER;
        (void)snprintf(ret_reply->description, sizeof(ret_reply->description), "%s",
                       line.code == 503 ? "JetStream is not there (start nats-server with -js)"
                                        : line.text);
        return;
    }
    ret_reply->json = dray_slice_of(natsMsg_GetData(message), (size_t)len);
    struct dray_slice error = dri_nats_json_find(ret_reply->json, "error");
    if (error.at == NULL) {
        return;
    }
    ret_reply->code = (uint32_t)dri_nats_json_uint(error, "err_code", 0);
    ret_reply->status = status_of_error(dri_nats_json_int(error, "code", 500), ret_reply->code);
    (void)dri_nats_json_text(error, "description", ret_reply->description,
                             sizeof(ret_reply->description));
}

void dri_nats_calls_arrive(struct dri_nats *self, natsMsg *message)
{
    const char *tail = strrchr(natsMsg_GetSubject(message), '.');
    char *end = NULL;
    if (tail == NULL || strcmp(tail, ".PING") == 0) {
        self->was_pinged = false;
        return;
    }
    unsigned long index = strtoul(tail + 1, &end, 10);
    if (*end != '-' || index >= DRI_NATS_CALLS_MAX) {
        return;
    }
    struct dri_nats_call *call = &self->calls[index];
    unsigned long generation = strtoul(end + 1, &end, 10);
    if (*end != '\0' || !call->is_out || call->generation != generation) {
        return; /* too late: it has timed out */
    }
    struct dri_nats_reply reply;
    read_reply(message, &reply);
    finish(self, call, &reply);
}

void dri_nats_calls_fail(struct dri_nats *self, enum dray_status status)
{
    for (uint32_t i = 0; i < DRI_NATS_CALLS_MAX; i++) {
        if (self->calls[i].is_out) {
            struct dri_nats_reply reply = {.status = status};
            (void)snprintf(reply.description, sizeof(reply.description), "connection lost");
            finish(self, &self->calls[i], &reply);
        }
    }
}

void dri_nats_calls_expire(struct dri_nats *self, struct dri_now now)
{
    for (uint32_t i = 0; i < DRI_NATS_CALLS_MAX; i++) {
        struct dri_nats_call *call = &self->calls[i];
        if (!call->is_out || call->deadline_ns > now.mono_ns) {
            continue;
        }
        struct dri_nats_reply reply = {.status = DRAY_ETIMEOUT};
        if (dri_nats_link_is_forbidden(self, call->subject)) {
            reply.status = DRAY_EAUTH;
            (void)snprintf(reply.description, sizeof(reply.description),
                           "not permitted to publish to %.120s", call->subject);
        } else {
            (void)snprintf(reply.description, sizeof(reply.description), "no answer to %.120s",
                           call->subject);
        }
        finish(self, call, &reply);
    }
}

uint64_t dri_nats_calls_deadline(const struct dri_nats *self)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < DRI_NATS_CALLS_MAX; i++) {
        if (self->calls[i].is_out && self->calls[i].deadline_ns < first) {
            first = self->calls[i].deadline_ns;
        }
    }
    return first;
}

void dri_nats_calls_cancel(struct dri_nats *self, const void *arg)
{
    for (uint32_t i = 0; i < DRI_NATS_CALLS_MAX; i++) {
        if (self->calls[i].is_out && self->calls[i].arg == arg) {
            self->calls[i].is_out = false;
        }
    }
}

struct waiter {
    bool is_done;
    struct dri_nats_inquiry *inquiry;
};

static void on_waited(struct dri_nats *self, void *arg, const struct dri_nats_reply *reply)
{
    struct waiter *waiter = arg;
    struct dri_nats_inquiry *inquiry = waiter->inquiry;
    (void)self;
    waiter->is_done = true;
    inquiry->reply = *reply;
    inquiry->reply.json = (struct dray_slice){NULL, 0};
    if (reply->json.at == NULL) {
        return;
    }
    if (reply->json.len > inquiry->buffer_bytes) {
        inquiry->reply.status = DRAY_ELIMIT;
        (void)snprintf(inquiry->reply.description, sizeof(inquiry->reply.description),
                       "an answer of %zu bytes", reply->json.len);
        return;
    }
    memcpy(inquiry->buffer, reply->json.at, reply->json.len);
    inquiry->reply.json = dray_slice_of(inquiry->buffer, reply->json.len);
}

static void no_answer(struct dri_nats_inquiry *inquiry, enum dray_status status, const char *why)
{
    memset(&inquiry->reply, 0, sizeof(inquiry->reply));
    inquiry->reply.status = status;
    (void)snprintf(inquiry->reply.description, sizeof(inquiry->reply.description), "%s", why);
}

void dri_nats_inquire(struct dri_nats_inquiry *inquiry, const char *subject, const char *body)
{
    struct dri_nats *self = inquiry->self;
    struct waiter waiter = {false, inquiry};
    if (!dri_nats_call(self, dri_clock_now(), subject, body, on_waited, &waiter)) {
        no_answer(inquiry, DRAY_EBROKER, "not connected");
        return;
    }
    for (;;) {
        struct dri_now now = dri_clock_now();
        bool more = false;
        dri_nats_turn(self, now, &more);
        if (waiter.is_done) {
            return;
        }
        if (now.mono_ns >= inquiry->deadline_ns) {
            dri_nats_calls_cancel(self, &waiter);
            no_answer(inquiry, DRAY_ETIMEOUT, "no answer in time");
            return;
        }
        uint64_t first = dri_nats_calls_deadline(self);
        if (!more) {
            dri_nats_link_wait(self, first < inquiry->deadline_ns ? first : inquiry->deadline_ns);
        }
    }
}
