/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_NATS_LEASE_H
#define DRI_NATS_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "clock.h"
#include "nats_tools.h"

/* nats_lease.h - which replica reads which partition. Threads: the owner's.
 */

struct dri_nats;
struct dri_nats_slot;

#define DRI_NATS_OWNER_BYTES  96u
#define DRI_NATS_MEMBERS_MAX  256u
#define DRI_NATS_CREATED_MAX  48u
#define DRI_NATS_RECORD_BYTES 256u

/** What a record of the bucket says. */
struct dri_nats_record {
    bool is_held;
    char owner[DRI_NATS_OWNER_BYTES]; /* "-": nobody */
    uint64_t lease_ms;
    uint64_t nonce;                     /* of the write */
    uint64_t consumer;                  /* number of the consumer that counts; 0: none yet */
    uint64_t floor;                     /* everything of the partition up to here is done */
    char created[DRI_NATS_CREATED_MAX]; /* of the stream that these belong to; "-": none */
};
/** False: it is none of ours. */
bool dri_nats_record_parse(struct dray_slice text, struct dri_nats_record *ret_record);
void dri_nats_record_format(const struct dri_nats_record *record,
                            char ret_text[DRI_NATS_RECORD_BYTES]);

/** How many of `partitions` the member at this place of `members` should have. Pure. */
uint32_t dri_nats_lease_share(uint32_t partitions, uint32_t members, uint32_t place);

/** One partition, in its slot. */
struct dri_nats_lease {
    struct dri_nats_record record; /* as last seen */
    uint64_t record_seq;           /* 0: there is none */
    uint64_t changed_ns;           /* when it was seen */
    bool is_held;                  /* by us, until until_ns */
    uint64_t until_ns;
    uint64_t nonce; /* of our last write; 0: none is out */
    uint64_t sent_ns;
    bool is_leaving; /* REVOKED was said */
};

struct dri_nats_member {
    char id[DRI_NATS_OWNER_BYTES];
    uint64_t seen_ns, lease_ns;
};

struct dri_nats_leases {
    uint32_t partitions;                 /* 0: off */
    uint32_t slot_first;                 /* of the partitions */
    uint32_t slot_log;                   /* of the bucket */
    char prefix[DRI_NATS_SUBJECT_BYTES]; /* "$KV.DRAY_LEASES.<group>.<topic>" */
    char owner[DRI_NATS_OWNER_BYTES];    /* this process */
    char member[DRI_NATS_OWNER_BYTES];   /* this replica */
    struct dri_nats_member members[DRI_NATS_MEMBERS_MAX];
    uint32_t members_count;
    uint64_t nonce;
    uint64_t announced_ns, step_at_ns;
    uint32_t held; /* without those that we leave */
};

/** The bucket is there, or is made. */
DRAY_MUST_CHECK enum dray_status dri_nats_leases_open(struct dri_nats *self, bool can_create,
                                                      uint64_t deadline_ns,
                                                      char ret_text[DRI_NATS_TEXT_BYTES]);
/** Reads the bucket, renews, gives up what is over the share, takes what is free. */
void dri_nats_leases_step(struct dri_nats *self, struct dri_now now);
uint64_t dri_nats_leases_deadline(const struct dri_nats *self);
void dri_nats_leases_link_down(struct dri_nats *self);
/** Writes the slot's consumer and floor down now; dri_nats_slot_noted follows. */
bool dri_nats_lease_note(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
/** Whether the partition is ours at this very moment. */
bool dri_nats_lease_is_ours(const struct dri_nats_slot *slot);
/** Nothing of it is out any more: others may have it. */
void dri_nats_lease_release(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now);
/** All of them, and says good-bye. */
void dri_nats_leases_close(struct dri_nats *self, struct dri_now now);

#endif
