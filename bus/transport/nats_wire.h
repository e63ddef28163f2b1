/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_NATS_WIRE_H
#define DRI_NATS_WIRE_H

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "lock.h"
#include "nats_tools.h"

/* nats_wire.h - one connection of nats.c, and the mailbox into which its callbacks put what came.
 *
 * Threads: the owner's, except where it says otherwise.
 */

/* --- wire: one connection ------------------------------------------------------------------- */

struct dri_nats_server_info {
    char version[32];
    uint64_t payload_bytes_max;
    bool is_tls_required;
};

enum {
    DRI_NATS_CHANNEL_ACK,
    DRI_NATS_CHANNEL_API,
    DRI_NATS_CHANNEL_SLOT
};

struct dri_nats_arrival {
    natsMsg *message;     /* owned by whoever holds the arrival */
    uint32_t channel;     /* DRI_NATS_CHANNEL_SLOT + slot */
    uint64_t received_ns; /* not later than it came */
};

/** Where nats.c's delivery thread leaves messages for the owner. Shared by the transport and by
 * each subscription that may still call back. */
struct dri_nats_mailbox {
    struct dri_lock lock; /* guards what follows, down to holders */
    struct dri_cond released;
    struct dri_nats_arrival *arrivals;
    size_t count, capacity;
    bool is_open;
    uint32_t holders;
    int event_fd;                 /* immutable */
    _Atomic(uint64_t) drained_ns; /* when the owner last saw the socket empty */
    _Atomic(uint64_t) dropped;    /* no memory: the broker delivers again */
};

DRAY_MUST_CHECK enum dray_status dri_nats_mailbox_create(struct dri_nats_mailbox **ret_mailbox);
/** Waits a little for nats.c to let go of it; the last holder frees it. NULL is a no-op. */
void dri_nats_mailbox_destroy(struct dri_nats_mailbox *mailbox);
/** Swaps what is in the box with the caller's empty array (both owned); returns the count. */
size_t dri_nats_mailbox_take(struct dri_nats_mailbox *mailbox, struct dri_nats_arrival **arrivals,
                             size_t *capacity);
/** Nothing gets in any more; what was in is destroyed. */
void dri_nats_mailbox_shut(struct dri_nats_mailbox *mailbox);
void dri_nats_event_signal(int event_fd);

struct dri_nats_wire {
    natsConnection *nc;
    int fd;       /* the socket; -1: none any more */
    int epoll_fd; /* it is registered in */
    bool wants_write;
    bool is_polled_for_write;
    struct dri_nats_server_info server;
    char url[256]; /* host:port, for people */
    uint32_t subscriptions_count, subscriptions_max;
    natsSubscription *subscriptions[]; /* live as long as the connection */
};

/** Blocks up to about twice settings.connect_timeout_ms. Threads: any.
 *  Errors: EBROKER, ETIMEOUT, EAUTH, EUNSUPPORTED, EINVALID; ret_text says more. */
DRAY_MUST_CHECK enum dray_status dri_nats_wire_dial(const struct dri_nats_settings *settings,
                                                    uint32_t server, uint32_t subscriptions_max,
                                                    int epoll_fd, struct dri_nats_wire **ret_wire,
                                                    char ret_text[DRI_NATS_TEXT_BYTES]);
/** May block for half a second when bytes are left unsent. NULL is a no-op. Threads: any. */
void dri_nats_wire_destroy(struct dri_nats_wire *wire);
/** Hand the socket to the owner's loop. */
void dri_nats_wire_adopt(struct dri_nats_wire *wire);
/** Write what is buffered, as far as the socket takes it. */
void dri_nats_wire_push(struct dri_nats_wire *wire);
DRAY_MUST_CHECK enum dray_status dri_nats_wire_subscribe(struct dri_nats_wire *wire,
                                                         struct dri_nats_mailbox *mailbox,
                                                         uint32_t channel, const char *subject);
/** Nothing more for this channel; the subscription itself lives on. Requires: channels were
 * subscribed in order of their numbers. */
void dri_nats_wire_unsubscribe(struct dri_nats_wire *wire, uint32_t channel);
bool dri_nats_wire_is_dead(const struct dri_nats_wire *wire);

#endif
